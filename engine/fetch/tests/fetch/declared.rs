//! Sources of one's own: columns by name and by place, units and zones of times, and what a program may do.

use std::sync::Arc;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Frame, SeriesKey, Timeframe};
use tapestore_fetch::http::{Http, Timeouts};
use tapestore_fetch::source::{Manners, Naming};
use tapestore_fetch::sources::declared::{Declared, Place, Shape, Unit, share};
use tapestore_fetch::wire::Reply;
use tapestore_fetch::{Ask, Error, Event, Job, Page, Refusal, Source, Step, run};

use crate::Bench;
use crate::exchange::START;

fn declared(place: Place, shape: Shape, time: &str, columns: [&str; 5]) -> Declared {
    let names = ["open", "high", "low", "close", "volume"];
    Declared {
        name: "mine".into(),
        place,
        shape,
        time: time.into(),
        unit: Unit::BySize,
        utc_offset_ns: 8 * HOUR_NS,
        columns: names.into_iter().zip(columns.map(str::to_owned)).collect(),
        intervals: vec![(Timeframe::M1, "1min".into()), (Timeframe::D1, "day".into())],
        page_bars: 100,
        complete: true,
        naming: Naming::new("{symbol}.MINE").unwrap(),
        secrets: Vec::new(),
        manners: Manners { weight_per_minute: 600, used_header: None, concurrency: 1 },
    }
}

const NAMES: [&str; 5] = ["o", "h", "l", "c", "v"];

fn ask(frame: &str, days: std::ops::Range<i64>) -> Ask {
    Ask {
        symbol: "A/B".into(),
        frame: Frame::parse(frame).unwrap(),
        range: START + days.start * DAY_NS..START + days.end * DAY_NS,
        after_id: None,
        before_id: None,
        known_files: std::collections::HashMap::new(),
        recheck: false,
        now_ns: START + 1000 * DAY_NS,
    }
}

fn read(source: &Declared, ask: &Ask, body: &str) -> Result<Page, Refusal> {
    let reply = Reply { status: 200, body: body.into(), ..Reply::default() };
    match source.step(ask, &[reply])? {
        Step::Done(page) => Ok(*page),
        Step::Send(request) => panic!("{request:?}"),
    }
}

/// Minutes after [`START`] of what is read.
fn minutes(page: &Page) -> Vec<i64> {
    page.rows.time.iter().map(|time| (time - START) / MINUTE_NS).collect()
}

#[test]
fn questions_are_filled_into_urls_and_paths() {
    let place = Place::Http("https://x/{symbol}?tf={interval}&a={start_ms}&b={end_s}&d={start_date}".into());
    let source = declared(place, Shape::Json(vec![]), "t", NAMES);
    let Ok(Step::Send(request)) = source.step(&ask("1d", 0..2), &[]) else { panic!("nothing is sent") };
    let url = "https://x/A%2FB?tf=day&a=1767225600000&b=1767398400&d=2026-01-01";
    assert_eq!(request.carrier, tapestore_fetch::wire::Carrier::Get(url.into()));
    let source = declared(Place::File("/data/{symbol}.csv".into()), Shape::Json(vec![]), "t", NAMES);
    let Ok(Step::Send(request)) = source.step(&ask("1d", 0..2), &[]) else { panic!("nothing is sent") };
    let path = std::path::PathBuf::from("/data/A_B.csv");
    assert_eq!(request.carrier, tapestore_fetch::wire::Carrier::File(path));
}

#[test]
fn times_are_read_in_all_their_forms() {
    let place = Place::File("x".into());
    let source = declared(place, Shape::Csv { delimiter: b',', header: true }, "t", NAMES);
    for (time, minute) in [
        ("1767225660", 1),
        ("1767225660000", 1),
        ("1767225660000000", 1),
        ("1767225660000000000", 1),
        ("2026-01-01T08:01:00", 1),
        ("2026-01-01 08:01", 1),
        ("2026-01-01T00:01:00Z", 1),
        ("2026-01-01T00:01:00.000Z", 1),
        ("2026-01-01T01:01:00+01:00", 1),
        ("2025-12-31T20:01:00-0400", 1),
        ("2026/01/01", 0),
        ("20260101", 0),
    ] {
        let page = read(&source, &ask("1m", 0..1), &format!("t,o,h,l,c,v\n{time},1,2,0.5,1,9\n"));
        assert_eq!(minutes(&page.unwrap()), [minute], "{time}");
    }
    for wrong in [
        "",
        "soon",
        "2026-13-01",
        "€€€€€€€€",
        "2026-01-01T99:00",
        "2026-01-01+",
        "1e400",
        "99999999999999999999",
    ] {
        let page = read(&source, &ask("1m", 0..1), &format!("t,o,h,l,c,v\n{wrong},1,2,0.5,1,9\n"));
        assert!(matches!(page, Err(Refusal::Broken(_))), "{wrong}: {page:?}");
    }
}

#[test]
fn columns_are_found_by_name_and_by_place_in_every_shape() {
    let place = || Place::File("x".into());
    let csv =
        declared(place(), Shape::Csv { delimiter: b';', header: false }, "2", ["3", "4", "5", "6", "7"]);
    let text = "A;2026-01-01;1;2;0.5;1.5;9\nA;2026-01-02;;;;;\nA;2026-01-03;1;2;0.5;1.5;9\nA;2026-02-03;1;2;0.5;1.5;9\n";
    let page = read(&csv, &ask("1d", 0..10), text).unwrap();
    assert_eq!(
        minutes(&page),
        [0, 2880],
        "without a price no bar, and what lies outside is left out of a file"
    );
    let json = declared(place(), Shape::Json(vec!["data".into(), "bars".into()]), "t", NAMES);
    let text = r#"{"data":{"bars":[{"t":"2026-01-02","o":1,"h":2,"l":0.5,"c":"1.5","v":null}]}}"#;
    let page = read(&json, &ask("1d", 0..10), text).unwrap();
    assert_eq!(page.rows.columns[3].1.values, tapestore::Values::F64(vec![1.5]));
    assert_eq!(page.rows.columns[4].1, tapestore::Values::F64(vec![0.0]).into(), "no volume is none");
    assert!(matches!(read(&json, &ask("1d", 0..10), r#"{"data":{}}"#), Err(Refusal::Other(_))));
    assert!(matches!(read(&json, &ask("1d", 0..10), r#"{"data":{"bars":[{"#), Err(Refusal::Broken(_))));
    let missing = declared(place(), Shape::Csv { delimiter: b',', header: true }, "t", NAMES);
    let page = read(&missing, &ask("1d", 0..10), "t,o,h,l,v\n2026-01-01,1,2,0.5,9\n");
    assert!(matches!(page, Err(Refusal::Other(reason)) if reason.contains("\"c\"")));
    let page = read(&missing, &ask("1d", 0..10), "t,o,h,l,c,v\n2026-01-01,1,2,0.5,x,9\n");
    assert!(matches!(page, Err(Refusal::Broken(reason)) if reason.contains("close is no number")));
}

/// Runs a program of the shell as a source of daily bars.
fn program(bench: &Bench, script: &str) -> (Result<(), Arc<Error>>, u64) {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let source = share(declared(
        Place::Process(command),
        Shape::Either,
        "time",
        ["open", "high", "low", "close", "volume"],
    ));
    let key = SeriesKey::new("X.MINE", "1d").unwrap();
    let range = START..START + 200 * DAY_NS;
    let job = Job { source, symbol: "X".into(), key: key.clone(), range, sessions: None, recheck: false };
    let plan = bench.plan(vec![job]);
    let http = Arc::new(Http::new(Timeouts::default()));
    let summary = run(&bench.store, &plan, &bench.runner(http), &|_: &Event| {}).unwrap();
    let error = summary.failed().next().and_then(|outcome| outcome.error.clone());
    let count = bench.store.view().count(&key, i64::MIN..i64::MAX).unwrap_or(0);
    (error.map_or(Ok(()), Err), count)
}

#[test]
fn programs_answer_in_csv_or_json_lines_and_say_how_they_failed() {
    let bench = Bench::at_minute(300 * 1440);
    // The question is echoed into the open time, so a page of a hundred days gives one bar.
    let time = r#"at=$(sed 's/.*"start_ns": \([0-9]*\).*/\1/')"#;
    let csv = format!("{time}; echo time,open,high,low,close; echo $at,1,2,0.5,1.5");
    assert!(matches!(program(&bench, &csv), (Ok(()), 2)));
    let bench = Bench::at_minute(300 * 1440);
    let lines =
        format!(r#"{time}; echo '{{"time": '$at', "open": 1, "high": 2, "low": 0.5, "close": 1.5}}'"#);
    assert!(matches!(program(&bench, &lines), (Ok(()), 2)));
    let bench = Bench::at_minute(300 * 1440);
    let (failed, count) = program(&bench, "echo the token is missing >&2; exit 1");
    assert!(failed.unwrap_err().to_string().contains("the token is missing") && count == 0);
    let (failed, _) = program(&bench, "echo busy >&2; exit 75");
    assert!(
        matches!(&*failed.unwrap_err(), Error::GaveUp { attempts: 6, reason, .. } if reason.contains("busy"))
    );
    let (failed, count) = program(&bench, "echo time,open,high,low,close; echo 2030-01-01,1,2,0.5,1.5");
    assert!(
        matches!(&*failed.unwrap_err(), Error::Refused { .. }) && count == 0,
        "it answers another question"
    );
}
