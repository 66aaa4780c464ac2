//! Who is told: logs, webhooks and commands.
//!
//! Each gets what it is owed in one message, all at the same time, a thread each; so one that is slow or down keeps no
//! other waiting. A webhook is asked again after what passes (no connection, time-out, 408, 429, 5xx), with waits that
//! double or as it says; what else it answers is final. A command gets its words as they stand, without a shell.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tapestore_fetch::clock::{Clock, Stop};
use tapestore_fetch::http::{Http, Timeouts};
use tapestore_fetch::wire::{Carrier, Request, Secret, Transport};

use crate::ledger::Incident;
use crate::machine::Event;
use crate::message::{log_line, message};
use crate::rule::{Level, Rule};

/// First wait; each is twice the one before.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait, whatever the receiver asks for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// An address that may hold a secret: it is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(pub String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(kept secret)")
    }
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines of JSON at the end of a file.
    Log(PathBuf),
    /// JSON by HTTP POST.
    Webhook {
        /// Where to.
        url: Url,
        /// Headers with keys.
        keys: Vec<Secret>,
        /// Of one attempt.
        timeout: Duration,
        /// How often it is tried.
        attempts: u32,
    },
    /// A program that gets JSON on its standard input.
    Command {
        /// Program and arguments.
        words: Vec<String>,
        /// After this it is ended, with all that it started.
        timeout: Duration,
    },
}

impl Kind {
    /// `log`, `webhook` or `command`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Log(_) => "log",
            Self::Webhook { .. } => "webhook",
            Self::Command { .. } => "command",
        }
    }
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// How.
    pub kind: Kind,
    /// The lowest level that it is told of.
    pub level: Level,
}

/// The names of those who are told of a rule.
pub fn audience(sinks: &BTreeMap<String, Sink>, rule: &Rule) -> Vec<String> {
    let wanted = |name: &String| rule.sinks.as_ref().is_none_or(|names| names.contains(name));
    let told = sinks.iter().filter(|(name, sink)| wanted(name) && sink.level <= rule.level);
    told.map(|(name, _)| name.clone()).collect()
}

/// What came of telling somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who.
    pub sink: String,
    /// Fingerprints of the incidents, each with when it began.
    pub incidents: Vec<(String, i64)>,
    /// Why it did not arrive; `None`: it did. It holds no secret.
    pub error: Option<String>,
}

/// What telling takes.
#[derive(Debug)]
pub struct Post<'a> {
    /// Name of the store, for messages.
    pub store: &'a str,
    /// Time; waits go by it.
    pub clock: &'a dyn Clock,
    /// Ends waits.
    pub stop: &'a Stop,
}

/// Tells everybody what they are owed. Takes as long as the slowest.
pub fn deliver(sinks: &BTreeMap<String, Sink>, owed: &[Incident], post: &Post<'_>) -> Vec<Delivery> {
    let mut parcels: BTreeMap<&str, Vec<(Event, &Incident)>> = BTreeMap::new();
    for incident in owed {
        if let Some((event, names)) = &incident.owed {
            for name in names {
                parcels.entry(name).or_default().push((*event, incident));
            }
        }
    }
    std::thread::scope(|scope| {
        let send = |(name, parcel): (&str, Vec<(Event, &Incident)>)| {
            // Who is not in the configuration any more is owed nothing.
            let error = sinks.get(name).and_then(|sink| tell(sink, &parcel, post).err());
            let key = |incident: &Incident| (incident.fingerprint.clone(), incident.state.since_ns);
            let incidents = parcel.iter().map(|(_, incident)| key(incident)).collect();
            Delivery { sink: name.to_owned(), incidents, error }
        };
        let threads: Vec<_> = parcels.into_iter().map(|parcel| scope.spawn(move || send(parcel))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn tell(sink: &Sink, parcel: &[(Event, &Incident)], post: &Post<'_>) -> Result<(), String> {
    let now = post.clock.now_ns();
    match &sink.kind {
        Kind::Log(path) => log(path, parcel, post.store, now),
        Kind::Webhook { url, keys, timeout, attempts } => {
            let json = String::from_utf8_lossy(&message(post.store, now, parcel)).into_owned();
            let carrier = Carrier::Post { url: url.0.clone(), json };
            let request = Request { carrier, weight: 1, secrets: keys.clone() };
            call(&http(*timeout), &request, *attempts, post)
        }
        Kind::Command { words, timeout } => {
            let input = String::from_utf8_lossy(&message(post.store, now, parcel)).into_owned();
            let carrier = Carrier::Process { command: words.clone(), input };
            let request = Request { carrier, weight: 1, secrets: Vec::new() };
            http(*timeout).send(&request).map(|_| ()).map_err(|error| error.reason)
        }
    }
}

fn http(whole: Duration) -> Http {
    let bounds = Timeouts::default();
    Http::new(Timeouts { connect: bounds.connect.min(whole), answer: bounds.answer.min(whole), whole })
}

/// All lines in one write at the end of the file, so that those of others do not come in between.
fn log(path: &Path, parcel: &[(Event, &Incident)], store: &str, now_ns: i64) -> Result<(), String> {
    let lines: Vec<u8> =
        parcel.iter().flat_map(|(event, incident)| log_line(store, now_ns, *event, incident)).collect();
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(&lines))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn call(transport: &Http, request: &Request, attempts: u32, post: &Post<'_>) -> Result<(), String> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let (reason, after) = match transport.send(request) {
            Ok(reply) if (200..300).contains(&reply.status) => return Ok(()),
            Ok(reply) => {
                let reason = format!("the receiver answers {}", reply.status);
                if !matches!(reply.status, 408 | 429 | 500..=599) {
                    return Err(reason);
                }
                (reason, reply.retry_after().map(Duration::from_secs))
            }
            Err(error) if error.passes => (error.reason, None),
            Err(error) => return Err(error.reason),
        };
        if attempt >= attempts || post.stop.is_stopped() {
            return Err(format!("{reason}, the last of {attempt} attempts"));
        }
        post.clock.sleep(after.unwrap_or(wait).min(LONGEST_WAIT), post.stop);
        wait *= 2;
        attempt += 1;
    }
}
