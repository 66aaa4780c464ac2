//! Over sockets: time-outs, slow and truncated bodies, dead hosts.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tapestore_fetch::http::{Http, Timeouts};
use tapestore_fetch::sources::{Settings, source};
use tapestore_fetch::wire::{Carrier, Request, Secret, Transport};
use tapestore_fetch::{Event, run};

use crate::server::{Delivery, Server};
use crate::{Bench, START};

fn impatient() -> Arc<Http> {
    let short = Duration::from_millis(300);
    Arc::new(Http::new(Timeouts { connect: short, answer: short, whole: short * 2 }))
}

/// A server that delivers badly first, and then as it should.
fn server(bench: &Bench, bad: Vec<Delivery>) -> Server {
    let (exchange, turn) = (bench.exchange.clone(), AtomicUsize::new(0));
    Server::start(move |path| {
        let delivery = bad.get(turn.fetch_add(1, Ordering::Relaxed)).copied().unwrap_or(Delivery::Whole);
        (exchange.answer(path, 2).expect("an answer"), delivery)
    })
}

#[test]
fn a_sync_over_http_survives_bad_deliveries() {
    let bench = Bench::at_minute(1500);
    let server = server(&bench, vec![Delivery::Cut, Delivery::Silent, Delivery::Whole, Delivery::Stalled]);
    let settings = Settings { url: Some(server.url.clone()), ..Settings::default() };
    let mut job = Bench::job("binance", "BTCUSDT", "1m", 0..1500);
    job.source = source("binance", &settings).unwrap();
    let plan = bench.plan(vec![job]);
    let summary = run(&bench.store, &plan, &bench.runner(impatient()), &|_: &Event| {}).unwrap();
    assert_eq!((summary.failed().count(), summary.requests()), (0, 5), "{summary:?}");
    assert_eq!(bench.stored("BTCUSDT").len(), 1500);
}

#[test]
fn errors_tell_what_happened_and_hold_no_key() {
    let http = impatient();
    let send = |url: &str| http.send(&Request::get(url.into(), 1)).unwrap_err();
    let nobody = send("http://127.0.0.1:9/x?apikey=hunter2");
    assert!(nobody.passes && !nobody.reason.contains("hunter2"), "{nobody:?}");
    let malformed = send("http://exa mple/?apikey=hunter2");
    assert!(!malformed.passes && !malformed.reason.contains("hunter2"), "{malformed:?}");
}

/// The head of the one request that a listener gets, which it answers with this.
fn heard(answer: &'static str, url: impl Fn(&str) -> String, secrets: Vec<Secret>) -> (String, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> =
            lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        stream.write_all(answer.as_bytes()).unwrap();
        head.join("\n")
    });
    let request = Request { secrets, ..Request::get(url(&address), 1) };
    let reply = impatient().send(&request).unwrap();
    (heard.join().unwrap(), reply.status)
}

#[test]
fn a_key_is_sent_to_its_source_and_not_where_that_one_points() {
    let secret = || vec![Secret { name: "X-MBX-APIKEY".into(), value: "hunter2".into() }];
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    let (head, status) = heard(elsewhere, |address| format!("{address}/x"), secret());
    assert!(head.to_lowercase().contains("x-mbx-apikey: hunter2"), "{head}");
    assert_eq!(status, 302, "it is not followed");
}

#[test]
fn status_headers_and_date_come_through() {
    let bench = Bench::at_minute(3);
    let server = server(&bench, vec![]);
    let reply =
        impatient().send(&Request::get(format!("{}/api/v3/klines?symbol=NONE", server.url), 1)).unwrap();
    assert_eq!(reply.status, 400);
    assert_eq!(reply.source_now_ns(), START + 200 * tapestore::time::SECOND_NS);
}

#[test]
fn programs_and_files_are_carried_too() {
    let http = impatient();
    let send = |carrier| http.send(&Request { carrier, weight: 1, secrets: Vec::new() });
    let run = |script: &str| {
        let command = ["sh", "-c", script].map(str::to_owned).into();
        send(Carrier::Process { command, input: "question".into() })
    };
    assert_eq!(run("cat").unwrap().body, b"question");
    let failed = run("echo what is wrong >&2; exit 3").unwrap_err();
    assert!(!failed.passes && failed.reason.ends_with("ended with 3: what is wrong"), "{failed:?}");
    assert!(run("exit 75").unwrap_err().passes);
    assert!(run("exec sleep 5").unwrap_err().reason.contains("did not end"));
    // What the program started holds its output open; it ends as well, and nobody waits for it.
    let begun = std::time::Instant::now();
    assert!(run("sleep 20 & sleep 20").unwrap_err().reason.contains("did not end"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(send(Carrier::File("/nonexistent/x.csv".into())).unwrap().status, 404);
}
