//! Telling others: logs, webhooks against a server of this test, commands.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tapestore::time::MINUTE_NS;
use tapestore_alert::ledger::Incident;
use tapestore_alert::machine::{Event, Phase, State};
use tapestore_alert::sink::{Delivery, Kind, Post, Sink, Url, deliver};
use tapestore_alert::{Check, Level};
use tapestore_fetch::clock::{Clock, Stop, VirtualClock};
use tapestore_fetch::wire::Secret;

use super::START;

/// Answers each request with the next of these heads, the last for ever; an empty one is never answered. Keeps what it got.
struct Server {
    url: String,
    got: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook/hunter2", listener.local_addr().expect("an address"));
        let got: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (Ok(stream), kept) = (stream, Arc::clone(&kept)) else { return };
                std::thread::spawn(move || answer(stream, answers[number.min(answers.len() - 1)], &kept));
            }
        });
        Self { url, got }
    }
}

fn answer(mut stream: TcpStream, head: &str, kept: &Mutex<Vec<(String, String)>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    kept.lock().push((text, String::from_utf8(body).expect("UTF-8")));
    if head.is_empty() {
        std::thread::sleep(Duration::from_secs(20));
        return;
    }
    let _ = stream
        .write_all(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
}

fn incident(names: &[&str]) -> Incident {
    Incident {
        fingerprint: "0123456789abcdef".into(),
        rule: "freshness".into(),
        check: Check::Freshness,
        level: Level::High,
        subject: "A\"; $(touch hacked) 1m".into(),
        state: State {
            phase: Phase::Firing,
            since_ns: START,
            fired_ns: Some(START + MINUTE_NS),
            told_ns: Some(START + MINUTE_NS),
            good_since_ns: None,
            ended_ns: None,
        },
        value: (7 * MINUTE_NS) as f64,
        evidence: "late".into(),
        acknowledged_ns: None,
        note: String::new(),
        owed: Some((Event::Fired, names.iter().map(|name| (*name).to_owned()).collect())),
    }
}

fn webhook(url: &str, attempts: u32) -> Sink {
    let keys = vec![Secret { name: "authorization".into(), value: "hunter2".into() }];
    let timeout = Duration::from_millis(500);
    Sink { kind: Kind::Webhook { url: Url(url.into()), keys, timeout, attempts }, level: Level::Low }
}

fn command(script: &str) -> Sink {
    let words = ["sh", "-c", script].map(str::to_owned).into();
    Sink { kind: Kind::Command { words, timeout: Duration::from_millis(700) }, level: Level::Low }
}

/// Sends one incident to all of them; waits take no time.
fn send(sinks: Vec<(&str, Sink)>) -> (Vec<Delivery>, Duration) {
    let names: Vec<&str> = sinks.iter().map(|(name, _)| *name).collect();
    let incident = incident(&names);
    let sinks: BTreeMap<String, Sink> =
        sinks.into_iter().map(|(name, sink)| (name.to_owned(), sink)).collect();
    let clock = VirtualClock::new(START);
    let post = Post { store: "market", clock: &clock, stop: &Stop::default() };
    (deliver(&sinks, &[incident], &post), clock.elapsed())
}

fn error_of<'d>(deliveries: &'d [Delivery], name: &str) -> Option<&'d str> {
    deliveries.iter().find(|it| it.sink == name).expect("a delivery").error.as_deref()
}

#[test]
fn a_webhook_is_asked_again_after_what_passes() {
    let server = Server::start(&["503 X", "429 X\r\nretry-after: 7", "200 OK"]);
    let (deliveries, waited) = send(vec![("chat", webhook(&server.url, 4))]);
    assert_eq!(error_of(&deliveries, "chat"), None);
    assert_eq!(waited, Duration::from_millis(7500), "half a second, then as it says");
    let got = server.got.lock();
    assert_eq!(got.len(), 3);
    assert!(got[0].0.starts_with("POST /hook/hunter2 ") && got[0].0.contains("authorization: hunter2"));
    assert!(got[0].0.to_lowercase().contains("content-type: application/json"));
    let json = &got[2].1;
    assert!(simd_json::to_borrowed_value(&mut json.clone().into_bytes()).is_ok());
    for part in
        ["\"event\": \"fired\"", "\"fingerprint\": \"0123456789abcdef\"", "\"since\": 1769990400000000000"]
    {
        assert!(json.contains(part), "{part} in {json}");
    }
    assert!(got[2].1.contains("HIGH fired: freshness of A\\\"; $(touch hacked) 1m: late"), "{}", got[2].1);
}

#[test]
fn what_is_final_is_not_tried_again_and_errors_hold_no_secret() {
    for (answer, attempts) in
        [(&["404 X"][..], 1), (&["302 X\r\nlocation: http://127.0.0.1:1/"], 1), (&["500 X"], 3)]
    {
        let server = Server::start(answer.to_vec().leak());
        let (deliveries, _) = send(vec![("chat", webhook(&server.url, 3))]);
        let error = error_of(&deliveries, "chat").expect("an error");
        assert!(error.contains(&answer[0][..3]) && !error.contains("hunter2"), "{error}");
        assert_eq!(server.got.lock().len(), attempts);
    }
}

#[test]
fn a_sink_that_is_slow_or_down_stops_no_other() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("alerts.jsonl");
    std::fs::write(&file, "before\n").expect("a file");
    let (slow, fine) = (Server::start(&[""]), Server::start(&["204 OK"]));
    let begun = Instant::now();
    let (deliveries, _) = send(vec![
        ("slow", webhook(&slow.url, 2)),
        ("down", webhook("http://127.0.0.1:9/hunter2", 2)),
        ("fine", webhook(&fine.url, 2)),
        ("log", Sink { kind: Kind::Log(file.clone()), level: Level::Low }),
        ("nowhere", Sink { kind: Kind::Log("/nonexistent/x".into()), level: Level::Low }),
    ]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((error_of(&deliveries, "fine"), error_of(&deliveries, "log")), (None, None));
    for name in ["slow", "down", "nowhere"] {
        let error = error_of(&deliveries, name).expect("an error");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(error_of(&deliveries, "slow").expect("an error").contains("the last of 2 attempts"));
    let log = std::fs::read_to_string(&file).expect("a log");
    assert_eq!(log.lines().count(), 2, "{log}");
    // Others may have slept on the same clock before: within the second.
    assert!(log.starts_with("before\n{\"time\": 1769990400"), "{log}");
}

#[test]
fn a_command_gets_json_and_no_shell_sees_what_alerts_say() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("got.json");
    let tee = Sink {
        kind: Kind::Command {
            words: vec!["tee".into(), file.display().to_string()],
            timeout: Duration::from_secs(5),
        },
        level: Level::Low,
    };
    let begun = Instant::now();
    let (deliveries, _) = send(vec![
        ("tee", tee),
        ("fails", command("echo no pager here >&2; exit 3")),
        ("hangs", command("sleep 30 & sleep 30")),
    ]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(error_of(&deliveries, "tee"), None);
    let mut got = std::fs::read(&file).expect("what it got");
    assert!(simd_json::to_borrowed_value(&mut got).is_ok());
    assert!(error_of(&deliveries, "fails").expect("an error").ends_with("no pager here"));
    assert!(error_of(&deliveries, "hangs").expect("an error").contains("did not end"));
}
