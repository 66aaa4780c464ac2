//! Carrying requests: HTTP over TLS, programs, files. Blocking; a thread each.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;

use crate::clock::{Clock, SystemClock};
use crate::wire::{Carrier, Reply, Request, Transport, WireError};

/// Largest reply that is read.
pub const BODY_BYTES: u64 = 512 << 20;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Until the head of the reply is there.
    pub answer: Duration,
    /// All of it, or the whole run of a program.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            whole: Duration::from_mins(2),
        }
    }
}

/// The transport of everyday: proxies as the environment says (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`),
/// certificates checked against the roots that browsers trust.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    whole: Duration,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// A transport with these bounds.
    pub fn new(timeouts: Timeouts) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(3)
            .user_agent(concat!("tapestore/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(timeouts.connect))
            .timeout_recv_response(Some(timeouts.answer))
            .timeout_global(Some(timeouts.whole))
            .build();
        Self { agent: config.new_agent(), whole: timeouts.whole, clock: Arc::new(SystemClock::default()) }
    }

    fn get(&self, url: &str, request: &Request) -> Result<Reply, WireError> {
        let mut call = self.agent.get(url);
        if !request.secrets.is_empty() {
            // A key goes to whom it is meant for, not where that one points.
            call = call.config().max_redirects(0).build();
        }
        for secret in &request.secrets {
            call = call.header(&secret.name, &secret.value);
        }
        self.reply(call.call())
    }

    fn post(&self, url: &str, json: &str, request: &Request) -> Result<Reply, WireError> {
        // What is meant for one address is not sent on to another.
        let mut call = self.agent.post(url).config().max_redirects(0).build();
        call = call.header("content-type", "application/json");
        for secret in &request.secrets {
            call = call.header(&secret.name, &secret.value);
        }
        self.reply(call.send(json))
    }

    fn reply(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Reply, WireError> {
        let mut response = answer.map_err(|error| wire_error(&error))?;
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let (status, headers) = (response.status().as_u16(), headers.collect());
        let body = response.body_mut().with_config().limit(BODY_BYTES).read_to_vec();
        let body = body.map_err(|error| wire_error(&error))?;
        Ok(Reply { status, headers, body, received_ns: self.clock.now_ns() })
    }

    fn run(&self, command: &[String], input: &str) -> Result<Reply, WireError> {
        let [program, arguments @ ..] = command else {
            return Err(WireError { reason: "no program is named".into(), passes: false });
        };
        let failed = |doing: &str, error: &std::io::Error| WireError {
            reason: format!("cannot {doing} {program}: {error}"),
            passes: false,
        };
        let mut command = Command::new(program);
        // A group of its own, so that what the program started ends with it: whoever holds its output would keep us waiting.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("start", &error))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let until = std::time::Instant::now() + self.whole;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A program that fails early does not read its input; how it ends tells more.
                let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
            });
            let out = scope.spawn(move || read_bounded(stdout, BODY_BYTES));
            let err = scope.spawn(move || read_bounded(stderr, 1 << 16));
            let status = loop {
                match child.try_wait() {
                    Ok(Some(status)) => break status,
                    Ok(None) if std::time::Instant::now() < until => {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Ok(None) => {
                        end(&mut child);
                        let _ = child.wait();
                        let reason = format!("{program} did not end within {} s", self.whole.as_secs());
                        return Err(WireError { reason, passes: true });
                    }
                    Err(error) => return Err(failed("wait for", &error)),
                }
            };
            let (body, errors) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
            let code = status.code().unwrap_or(-1);
            if code == 0 {
                let received_ns = self.clock.now_ns();
                return Ok(Reply { status: 200, headers: Vec::new(), body, received_ns });
            }
            let said = String::from_utf8_lossy(&errors);
            let said = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            // As sysexits.h has it: a temporary failure.
            Err(WireError { reason: format!("{program} ended with {code}: {said}"), passes: code == 75 })
        })
    }
}

/// Ends a program and what it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

fn read_bounded(from: Option<impl Read>, limit: u64) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(from) = from {
        let _ = from.take(limit).read_to_end(&mut out);
    }
    out
}

impl Transport for Http {
    fn send(&self, request: &Request) -> Result<Reply, WireError> {
        match &request.carrier {
            Carrier::Get(url) => self.get(url, request),
            Carrier::Post { url, json } => self.post(url, json, request),
            Carrier::Process { command, input } => self.run(command, input),
            Carrier::File(path) => {
                let reply = |status, body| Reply {
                    status,
                    headers: Vec::new(),
                    body,
                    received_ns: self.clock.now_ns(),
                };
                match std::fs::read(path) {
                    Ok(body) => Ok(reply(200, body)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        Ok(reply(404, path.display().to_string().into_bytes()))
                    }
                    Err(error) => Err(WireError {
                        reason: format!("cannot read {}: {error}", path.display()),
                        passes: false,
                    }),
                }
            }
        }
    }
}

/// Errors of the carrier name no URL: a URL may hold a key.
fn wire_error(error: &ureq::Error) -> WireError {
    use ureq::Error as E;
    let passes = matches!(
        error,
        E::Timeout(_)
            | E::Io(_)
            | E::ConnectionFailed
            | E::ConnectProxyFailed(_)
            | E::HostNotFound
            | E::Protocol(_)
            | E::BodyStalled
    );
    let reason = match error {
        E::BadUri(_) => "the URL is malformed".to_owned(),
        E::HostNotFound => "the host was not found".to_owned(),
        other => other.to_string(),
    };
    WireError { reason, passes }
}
