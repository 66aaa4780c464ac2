//! OKX and Yahoo: pages that come newest first, charts with nulls, events and a bar that still lives.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tapestore::time::{DAY_NS, MINUTE_NS, SECOND_NS};
use tapestore::{Frame, SeriesKey};
use tapestore_fetch::clock::{Clock, VirtualClock};
use tapestore_fetch::sources::{Settings, source};
use tapestore_fetch::wire::{Carrier, Reply, Request, Transport, WireError};
use tapestore_fetch::{Ask, Error, Event, Job, Page, Refusal, Step, Summary, run};

use crate::Bench;
use crate::exchange::START;

/// OKX with a bar for every minute since a listing.
#[derive(Debug)]
struct Okx {
    clock: Arc<VirtualClock>,
    listed: i64,
    /// What it answers first.
    first: Mutex<Vec<Reply>>,
    log: Mutex<Vec<String>>,
}

impl Transport for Okx {
    fn send(&self, request: &Request) -> Result<Reply, WireError> {
        let Carrier::Get(url) = &request.carrier else { panic!("{request:?}") };
        self.log.lock().push(url.clone());
        if let Some(reply) = self.first.lock().pop() {
            return Ok(reply);
        }
        let query: HashMap<&str, &str> =
            url.split_once('?').unwrap().1.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let number = |name: &str| query[name].parse::<i64>().unwrap();
        let now = (self.clock.now_ns() - START).div_euclid(MINUTE_NS);
        let end = ((number("after") - START / 1_000_000) / 60_000).min(now + 1);
        let row = |at: i64| {
            let (time, complete) = (START / 1_000_000 + at * 60_000, i32::from(at < now));
            format!(r#"["{time}","1","4","0.5","{at}","700","7","14","{complete}"]"#)
        };
        let rows: Vec<String> = (self.listed..end).rev().take(number("limit") as usize).map(row).collect();
        let body = format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.join(","));
        Ok(Reply {
            status: 200,
            body: body.into_bytes(),
            received_ns: self.clock.now_ns(),
            ..Reply::default()
        })
    }
}

fn okx(bench: &Bench, listed: i64) -> Arc<Okx> {
    Arc::new(Okx { clock: bench.clock.clone(), listed, first: Mutex::default(), log: Mutex::default() })
}

fn fetch(bench: &Bench, transport: Arc<dyn Transport>, job: Job) -> Summary {
    let plan = bench.plan(vec![job]);
    run(&bench.store, &plan, &bench.runner(transport), &|_: &Event| {}).expect("the store works")
}

fn minutes(bench: &Bench, key: &SeriesKey) -> Vec<i64> {
    let rows = bench.store.view().read(key).columns(&[]).rows().unwrap();
    rows.time().iter().map(|time| (time - START) / MINUTE_NS).collect()
}

#[test]
fn okx_is_read_backwards_to_the_listing_and_goes_on_from_both_ends() {
    let bench = Bench::at_minute(2000);
    let exchange = okx(&bench, 150);
    let job = || Bench::job("okx", "BTC-USDT-SWAP", "1m", 0..9999);
    let key = job().key;
    // Three pages come, then the exchange fails.
    let failed =
        Reply { status: 200, body: br#"{"code":"51001","msg":"no such"}"#.to_vec(), ..Reply::default() };
    let plan = bench.plan(vec![job()]);
    let watch = |event: &Event| {
        if let Event::Page { answered, .. } = event
            && (answered.start - START) / MINUTE_NS == 1700
        {
            exchange.first.lock().push(failed.clone());
        }
    };
    let summary = run(&bench.store, &plan, &bench.runner(exchange.clone()), &watch).unwrap();
    assert_eq!(summary.failed().count(), 1);
    assert_eq!(minutes(&bench, &key), (1700..2000).collect::<Vec<_>>());
    bench.clock.advance(Duration::from_mins(5));
    exchange.log.lock().clear();
    let summary = fetch(&bench, exchange.clone(), job());
    assert_eq!(summary.failed().count(), 0, "{summary:?}");
    assert_eq!(minutes(&bench, &key), (150..2005).collect::<Vec<_>>());
    assert_eq!(bench.store.view().absences(&key).unwrap(), [START..START + 150 * MINUTE_NS]);
    let log = exchange.log.lock().clone();
    assert!(log.iter().any(|url| url.contains("/market/candles?") && url.contains("limit=300")));
    assert!(log.iter().any(|url| url.contains("/market/history-candles?") && url.contains("limit=100")));
    assert_eq!(bench.plan(vec![job()]).requests(), 0);
    let rows = bench.store.view().read(&key).rows().unwrap();
    // Of a swap the volume in the coin counts, not the contracts.
    assert_eq!((rows.f64("volume").unwrap()[0], rows.f64("quote_volume").unwrap()[0]), (7.0, 14.0));
}

#[test]
fn okx_codes_in_good_replies_are_understood() {
    let bench = Bench::at_minute(50);
    let exchange = okx(&bench, 0);
    let crowded =
        Reply { status: 200, body: br#"{"code":"50011","msg":"Too Many"}"#.to_vec(), ..Reply::default() };
    exchange.first.lock().push(crowded);
    let summary = fetch(&bench, exchange.clone(), Bench::job("okx", "BTC-USDT", "1m", 0..9999));
    assert_eq!((summary.failed().count(), summary.requests()), (0, 2));
    let rows = bench.store.view().read(&SeriesKey::new("BTC-USDT.OKX", "1m").unwrap()).rows().unwrap();
    assert_eq!((rows.len(), rows.f64("volume").unwrap()[0]), (50, 700.0));
}

fn data() -> Option<PathBuf> {
    let found = std::env::var_os("TAPE_DATA").map(|data| PathBuf::from(data).join("api"));
    if found.is_none() {
        eprintln!("skipped: TAPE_DATA names no directory of recorded replies");
    }
    found
}

/// What a source makes of a reply.
fn read(
    name: &str,
    symbol: &str,
    frame: &str,
    range: std::ops::Range<i64>,
    body: &[u8],
) -> Result<Page, Refusal> {
    let ask = Ask {
        symbol: symbol.into(),
        frame: Frame::parse(frame).unwrap(),
        range,
        after_id: None,
        before_id: None,
        known_files: HashMap::new(),
        recheck: false,
        now_ns: i64::MAX / 2,
    };
    let reply = Reply { status: 200, body: body.to_vec(), received_ns: i64::MAX / 2, ..Reply::default() };
    match source(name, &Settings::default()).unwrap().step(&ask, &[reply])? {
        Step::Done(page) => Ok(*page),
        Step::Send(request) => panic!("{request:?}"),
    }
}

#[test]
fn recorded_bars_of_okx_are_read() {
    let Some(data) = data() else { return };
    let body = std::fs::read(data.join("okx-http_get_candlesticks_full.json")).unwrap();
    let range = 0..1_747_094_100 * SECOND_NS;
    let page = read("okx", "BTC-USD-SWAP", "1m", range, &body).unwrap();
    assert_eq!(page.rows.time, [1_747_094_040 * SECOND_NS, 1_747_093_980 * SECOND_NS]);
    assert_eq!(page.rows.columns[4].1.values, tapestore::Values::F64(vec![10.4037, 71.6404]));
}

/// The reply within a recording.
fn recorded(name: &str) -> Option<Vec<u8>> {
    let text = std::fs::read_to_string(data()?.join(name)).ok()?;
    let start = text.find("\"bodyJson\":")? + "\"bodyJson\":".len();
    let (mut depth, mut quoted, mut before) = (0, false, ' ');
    for (at, letter) in text[start..].char_indices() {
        match letter {
            '"' if before != '\\' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(text.as_bytes()[start..=start + at].to_vec());
                }
            }
            _ => {}
        }
        before = letter;
    }
    None
}

#[test]
fn recorded_charts_of_yahoo_are_read() {
    let day = |seconds: i64| seconds * SECOND_NS;
    let Some(body) = recorded("yahoo-chart-AAPL-2020-08-31-to-2020-11-07.json") else { return };
    let page = read("yahoo", "AAPL", "1d", day(1_598_832_000)..day(1_604_707_200), &body).unwrap();
    assert_eq!(page.rows.time.len(), 49);
    assert!(page.rows.time.iter().all(|time| time % DAY_NS == 0));
    assert_eq!(page.rows.time[0], day(1_598_832_000), "the 31st of August in New York");
    let [dividends, splits] = [&page.actions[0], &page.actions[1]];
    assert_eq!(
        (dividends.0, dividends.1.time.len(), splits.0, splits.1.time.len()),
        ("actions", 1, "splits", 1)
    );
    assert_eq!(splits.1.columns[2].1.values, tapestore::Values::F64(vec![4.0]));
    assert!(matches!(
        read("yahoo", "MSFT", "1d", 0..day(1_604_707_200), &body),
        Err(Refusal::Other(reason)) if reason.contains("AAPL")
    ));
    assert!(matches!(read("yahoo", "AAPL", "1w", 0..day(1_604_707_200), &body), Err(Refusal::Other(_))));
    let Some(body) = recorded("yahoo-chart-OCDO.L-2020-01-01-to-2020-01-03.json") else { return };
    let page = read("yahoo", "OCDO.L", "1d", day(1_577_836_800)..day(1_578_009_600), &body).unwrap();
    assert_eq!(page.rows.time, [day(1_577_923_200)], "London was closed on the first");
}

/// A chart of minutes: seconds after [`START`] and closes.
fn chart(granularity: &str, rows: &[(i64, Option<f64>)], offset_s: i64, events: &str) -> Vec<u8> {
    let text = |values: Vec<String>| values.join(",");
    let stamps = text(rows.iter().map(|row| (START / SECOND_NS + row.0).to_string()).collect());
    let closes =
        text(rows.iter().map(|row| row.1.map_or("null".into(), |close| close.to_string())).collect());
    let meta = format!(
        r#"{{"symbol":"X.HK","gmtoffset":{offset_s},"exchangeTimezoneName":"Asia/Hong_Kong","dataGranularity":"{granularity}"}}"#
    );
    let quote = format!(
        r#"{{"open":[{closes}],"high":[{closes}],"low":[{closes}],"close":[{closes}],"volume":[{closes}]}}"#
    );
    format!(
        r#"{{"chart":{{"result":[{{"meta":{meta},"timestamp":[{stamps}],"events":{{{events}}},"indicators":{{"quote":[{quote}],"adjclose":[{{"adjclose":[{closes}]}}]}}}}],"error":null}}}}"#
    )
    .into_bytes()
}

/// Answers with this, whatever is asked.
#[derive(Debug)]
struct Always(Reply);

impl Transport for Always {
    fn send(&self, _: &Request) -> Result<Reply, WireError> {
        Ok(self.0.clone())
    }
}

fn always(bench: &Bench, body: Vec<u8>) -> Arc<Always> {
    Arc::new(Always(Reply { status: 200, body, received_ns: bench.clock.now_ns(), ..Reply::default() }))
}

#[test]
fn yahoo_minutes_lose_nulls_and_the_live_row() {
    let bench = Bench::at_minute(60);
    let rows = [
        (0, Some(1.0)),
        (60, None),
        (120, Some(3.0)),
        (3540, Some(4.0)),
        (3600, Some(5.0)),
        (3617, Some(6.0)),
    ];
    let job = Bench::job("yahoo", "X.HK", "1m", 0..9999);
    let key = job.key.clone();
    let summary = fetch(&bench, always(&bench, chart("1m", &rows, 28_800, "")), job);
    assert_eq!(summary.failed().count(), 0, "{summary:?}");
    assert_eq!(minutes(&bench, &key), [0, 2, 59], "minute 60 lives, and so does what has no minute");
    assert!(!bench.store.view().absences(&key).unwrap().is_empty());
}

#[test]
fn yahoo_days_are_dates_of_the_exchange_and_close_there() {
    // 15:30 UTC on the 3rd is 23:30 in Hong Kong; its day is not over there. Half an hour later it is.
    let bench = Bench::at_minute(2 * 1440 + 930);
    let open = |day: i64| day * 86_400 + 5400;
    let rows =
        [(open(0), Some(1.0)), (open(1), Some(2.0)), (open(2), Some(3.0)), (open(2) + 20_000, Some(3.5))];
    let events = format!(
        r#""dividends":{{"1":{{"amount":0.5,"date":{}}}}},"splits":{{"1":{{"date":{},"numerator":2,"denominator":1}}}}"#,
        START / SECOND_NS + open(1),
        START / SECOND_NS + open(1)
    );
    let body = chart("1d", &rows, 28_800, &events);
    let job = || Bench::job("yahoo", "X.HK", "1d", 0..99_999);
    let key = job().key;
    fetch(&bench, always(&bench, body.clone()), job());
    assert_eq!(minutes(&bench, &key), [0, 1440]);
    let view = bench.store.view();
    assert_eq!(view.read(&key).rows().unwrap().f64("adj_close"), Some(&[1.0, 2.0][..]));
    let actions = tapestore_query::adjust::actions(&view, &SeriesKey::new("X.HK.YAHOO", "actions").unwrap());
    assert_eq!(actions.unwrap().len(), 1);
    let splits = tapestore_query::adjust::actions(&view, &SeriesKey::new("X.HK.YAHOO", "splits").unwrap());
    assert_eq!(splits.unwrap()[0].ex_ns, START + DAY_NS);
}

#[test]
fn yahoo_that_gives_another_interval_or_a_page_of_text_is_not_taken() {
    let bench = Bench::at_minute(60);
    let job = || Bench::job("yahoo", "X.HK", "30m", 0..9999);
    let error = |summary: Summary| summary.failed().next().and_then(|outcome| outcome.error.clone()).unwrap();
    let hours = always(&bench, chart("60m", &[(0, Some(1.0))], 0, ""));
    assert!(matches!(&*error(fetch(&bench, hours, job())), Error::Refused { .. }));
    let text = always(&bench, b"Will be right back...".to_vec());
    assert!(matches!(&*error(fetch(&bench, text, job())), Error::GaveUp { .. }));
}
