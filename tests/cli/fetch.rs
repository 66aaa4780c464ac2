//! Fetching: plans, syncs, events, exit codes, and what is left by a run that is killed.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tapestore_fetch::clock::SystemClock;

use super::exchange::{Exchange, Sent, Trick};
use super::server::{Delivery, Server};
use super::{Ended, Place, member, tape};

/// An exchange on a port of its own, with the clock of the machine, that takes this long to answer.
pub(crate) fn exchange(takes: Duration) -> (Arc<Exchange>, Server) {
    let exchange = Arc::new(Exchange::new(Arc::new(SystemClock::default())));
    let own = Arc::clone(&exchange);
    let server = Server::start(move |path| {
        std::thread::sleep(takes);
        (own.answer(path, 2).expect("an answer"), Delivery::Whole)
    });
    (exchange, server)
}

/// A command that knows no proxy.
pub(crate) fn direct(place: &Place, line: &str) -> std::process::Command {
    let mut command = tape();
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.arg("--store").arg(place.store()).args(line.split_whitespace());
    command
}

pub(crate) fn fetch(place: &Place, line: &str) -> Ended {
    super::run(direct(place, line), b"")
}

/// A proxy that counts connections. It makes tunnels, and passes plain requests on, to whatever host they name.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || pass_on(stream));
        }
    });
    (url, count)
}

/// One connection through the proxy; ends quietly with either side.
fn pass_on(mut client: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let (method, rest) = head.split_once(' ')?;
    let mut server;
    if method == "CONNECT" {
        server = TcpStream::connect(rest.split(' ').next()?).ok()?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    } else {
        let (host, path) = rest.strip_prefix("http://")?.split_once('/')?;
        server = TcpStream::connect(host).ok()?;
        server.write_all(format!("{method} /{path}").as_bytes()).ok()?;
    }
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut server, &mut client).ok()?;
    Some(())
}

#[test]
fn requests_go_through_the_proxy_of_the_environment() {
    let (exchange, server) = exchange(Duration::ZERO);
    let (proxy, connections) = proxy();
    let place = Place::new();
    let line = |symbol: &str| {
        format!("fetch binance {symbol} -t 1h --since 2026-02-01 --until 2026-02-02 --url {}", server.url)
    };
    let with = |symbol: &str, without: &str| {
        let mut command = direct(&place, &line(symbol));
        command.env_remove("no_proxy").env("http_proxy", &proxy).env("NO_PROXY", without);
        super::run(command, b"").clean()
    };
    assert!(with("BTCUSDT", "").contains("24 added"));
    let through = connections.load(Ordering::SeqCst);
    assert!(through > 0, "it went by itself");
    assert!(with("ETHUSDT", "127.0.0.1").contains("24 added"));
    assert_eq!(connections.load(Ordering::SeqCst), through, "NO_PROXY names the host");
    assert_eq!(exchange.sent().len(), 2);
}

#[test]
fn what_is_missing_is_planned_fetched_and_then_current() {
    let (exchange, server) = exchange(Duration::ZERO);
    let place = Place::new();
    let line = format!(
        "fetch binance BTCUSDT ETHUSDT -t 1m,1h --since 2026-02-01 --until 2026-02-02 --url {}",
        server.url
    );
    let plan = fetch(&place, &format!("{line} --plan")).clean();
    assert!(plan.contains("BTCUSDT.BINANCE  1m     first  2026-02-01  2026-02-02    1,440"), "{plan}");
    assert!(
        plan.ends_with("2,928 bars are missing; at most 6 requests, about 0 s; nothing was sent\n"),
        "{plan}"
    );
    assert!(exchange.sent().is_empty() && !place.store().exists(), "a plan changes nothing");
    let done = fetch(&place, &line).clean();
    assert!(done.contains("4 series, 6 requests: 2,928 added, 0 updated"), "{done}");
    assert_eq!(exchange.sent().len(), 6);
    let rows =
        place.tape("export ETHUSDT.BINANCE 1h --csv --time ms --columns open,close,trades -o -").clean();
    assert_eq!(rows.lines().nth(1), Some("1769904000000,44640.25,44640,44640"));
    assert!(place.tape("gaps BTCUSDT.BINANCE 1m").clean().starts_with("0 gaps"));
    let again = fetch(&place, &line).clean();
    assert_eq!(again, "4 series are current\n");
    assert_eq!(exchange.sent().len(), 6, "nothing is asked for twice");
    let log = place.tape("log --operations --kind fetch --json").clean();
    assert!(log.contains("2,928 added") && log.lines().count() == 1, "{log}");
}

#[test]
fn events_are_json_a_line_each() {
    let (_, server) = exchange(Duration::ZERO);
    let place = Place::new();
    let line = format!("fetch binance A --since 2026-02-01 --until 2026-02-02 --json --url {}", server.url);
    let plan = fetch(&place, &format!("{line} --plan")).clean();
    assert_eq!((member(&plan, "missing"), plan.lines().count()), (1440, 2));
    let events = fetch(&place, &line).clean();
    let named = |name: &str| {
        let mark = format!("\"event\": \"{name}\"");
        events.lines().filter(|line| line.contains(&mark)).collect::<Vec<_>>()
    };
    let counts = ["begin", "page", "wait", "end", "summary"].map(|name| named(name).len());
    assert_eq!(counts, [1, 2, 0, 1, 1], "{events}");
    assert_eq!([member(named("page")[1], "added"), member(named("summary")[0], "added")], [440, 1440]);
}

#[test]
fn a_calendar_of_the_store_says_what_is_expected() {
    let (_, server) = exchange(Duration::ZERO);
    let place = Place::new();
    let days = place.write(
        "days.csv",
        "date,exchange,open,close,status\n\
         2026-02-02,XHKG,2026-02-02T01:30:00Z,2026-02-02T04:00:00Z,open\n\
         2026-02-02,XHKG,2026-02-02T05:00:00Z,2026-02-02T08:00:00Z,open\n\
         2026-02-03,XHKG,2026-02-03T01:30:00Z,2026-02-03T04:00:00Z,open\n\
         2026-02-04,XHKG,,,closed\n",
    );
    place.tape(&format!("import {days} --kind calendar")).clean();
    let line = format!("fetch binance A -t 1m,1d --since 2026-02-02 --until 2026-02-05 --url {}", server.url);
    let told = fetch(&place, &format!("{line} --calendar XHKG --plan --json")).clean();
    let missing: Vec<i64> = told.lines().take(2).map(|line| member(line, "missing")).collect();
    assert_eq!(missing, [330, 2], "a day of minutes, and two days of trade: {told}");
    assert_eq!(member(told.lines().last().unwrap_or_default(), "missing"), 150 + 180 + 150 + 2);
    fetch(&place, &format!("{line} --calendar XHKG")).clean();
    let again = fetch(&place, &format!("{line} --calendar XHKG")).clean();
    assert_eq!(again, "2 series are current\n");
    let error = fetch(&place, &format!("{line} --calendar XPAR")).failed(2);
    assert!(error.contains("XPAR"), "{error}");
}

#[test]
fn exit_codes_tell_what_kind_of_failure_it_was() {
    let (exchange, server) = exchange(Duration::ZERO);
    let place = Place::new();
    let line = |symbols: &str| {
        format!("fetch binance {symbols} --since 2026-02-01 --until 2026-02-01T01:00 --url {}", server.url)
    };
    let some = fetch(&place, &line("A NONE"));
    assert!(some.err.contains("NONE.BINANCE 1m: binance declines: -1121: Invalid symbol."), "{some:?}");
    assert!(some.code == 1 && some.out.contains("done") && some.out.contains("failed"), "{some:?}");
    exchange.play("B", [Trick::Status(418, vec![("retry-after", "90000".into())], "")]);
    let banned = fetch(&place, &line("B"));
    assert!(banned.code == 3 && banned.err.contains("90000 s"), "{banned:?}");
    for (wrong, hint) in [
        ("fetch nowhere A", "the sources are binance"),
        ("fetch binance A -t 7q", "neither a timeframe"),
        ("fetch binance A -t 2m", "it has 1s 1m 3m"),
        ("fetch binance A --since 2026-02-02 --until 2026-02-01", "--since lies after"),
        ("fetch binance A --name X", "{symbol}"),
        ("fetch binance A --url ftp://x", "https://"),
        ("fetch binance A --key-env KEY=TAPE_NO_SUCH_VARIABLE", "TAPE_NO_SUCH_VARIABLE"),
    ] {
        let ended = fetch(&place, wrong);
        assert!(ended.code == 2 && ended.err.contains(hint), "{wrong}: {ended:?}");
    }
    let revised = fetch(&place, &line("C"));
    revised.clean();
    exchange.revised.lock().extend(44_640..44_700);
    let found = fetch(&place, &format!("{} --recheck", line("C")));
    assert!(found.code == 1 && found.err.contains("60 findings"), "{found:?}");
    let findings = place.tape("show tapestore fetch/findings --csv --limit 1").clean();
    assert!(
        findings.contains("C.BINANCE,1m,binance,2026-02-01T00:00:00Z,revision,close,44640,89280"),
        "{findings}"
    );
}

const FRAMES: [&str; 6] = ["1m", "5m", "15m", "1h", "4h", "1d"];

/// The command of a sync of 30 instruments and six timeframes over four days.
fn big_sync(server: &Server) -> String {
    let symbols: Vec<String> = (0..30).map(|number| format!("S{number}USDT")).collect();
    let (symbols, frames) = (symbols.join(" "), FRAMES.join(","));
    format!("fetch binance {symbols} -t {frames} --since 2026-03-01 --until 2026-03-05 --url {}", server.url)
}

/// Starts it, and waits until the exchange has answered so many requests more.
fn started(place: &Place, line: &str, exchange: &Exchange, requests: usize) -> Child {
    let until = exchange.sent().len() + requests;
    let mut command = direct(place, line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("starts");
    let patience = Instant::now() + Duration::from_mins(1);
    while exchange.sent().len() < until {
        assert!(Instant::now() < patience, "{} requests were sent", exchange.sent().len());
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Requests for more than the two bars of the overlap that an earlier request asked for, too.
fn repeated(sent: &[Sent]) -> usize {
    let mut known: HashMap<(&str, &str), Vec<bool>> = HashMap::new();
    let mut repeated = 0;
    for sent in sent {
        let step = FRAMES.iter().position(|frame| *frame == sent.interval).expect("a frame");
        let step = [1, 5, 15, 60, 240, 1440][step];
        let first = sent.minutes.start / step;
        let last = first + sent.limit.min((sent.minutes.end - sent.minutes.start).div_euclid(step));
        let known = known.entry((&sent.symbol, &sent.interval)).or_insert_with(|| vec![false; 100_000]);
        let again = (first..last).filter(|slot| known[*slot as usize]).count();
        repeated += usize::from(again > 2);
        (first..last).for_each(|slot| known[slot as usize] = true);
    }
    repeated
}

fn assert_complete(place: &Place) {
    let list = place.tape("ls --json").clean();
    let rows: Vec<i64> =
        list.lines().filter(|line| line.contains("BINANCE")).map(|l| member(l, "rows")).collect();
    assert_eq!(rows.len(), 180);
    assert_eq!(rows.iter().sum::<i64>(), 30 * (5760 + 1152 + 384 + 96 + 24 + 4));
    for frame in FRAMES {
        let gaps = place.tape(&format!("gaps S7USDT.BINANCE {frame} --from 2026-03-01 --to 2026-03-05"));
        assert!(gaps.clean().starts_with("0 gaps"), "{frame}");
    }
    assert!(place.tape("verify --deep").clean().starts_with("clean"));
}

#[test]
fn a_sync_that_is_killed_goes_on_without_a_hole_and_without_asking_again() {
    let (exchange, server) = exchange(Duration::from_millis(2));
    let (place, line) = (Place::new(), big_sync(&server));
    for requests in [60, 45, 80] {
        let mut child = started(&place, &line, &exchange, requests);
        child.kill().expect("kills");
        child.wait().expect("is dead");
    }
    fetch(&place, &line).clean();
    assert_complete(&place);
    // Four instruments are on their way at a time, a page each, when a run is killed.
    let repeated = repeated(&exchange.sent());
    assert!(repeated <= 3 * 4, "{repeated} pages were asked for twice");
    let before = exchange.sent().len();
    fetch(&place, &line).clean();
    assert_eq!(exchange.sent().len(), before);
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_what_is_committed_and_says_how_to_go_on() {
    let (exchange, server) = exchange(Duration::from_millis(2));
    let (place, line) = (Place::new(), big_sync(&server));
    let child = started(&place, &line, &exchange, 60);
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("interrupts");
    let ended = child.wait_with_output().expect("ends");
    let error = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{error}");
    assert!(error.contains("stopped") && error.contains("the same command goes on"), "{error}");
    fetch(&place, &line).clean();
    assert_complete(&place);
    assert_eq!(repeated(&exchange.sent()), 0, "what was on its way was taken");
}
