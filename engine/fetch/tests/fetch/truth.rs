//! What becomes of replies: what is written, what is found, what is refused.

use std::collections::HashMap;
use std::time::Duration;

use tapestore::AsOf;
use tapestore_fetch::Error;
use tapestore_fetch::sources::Settings;

use crate::exchange::Trick;
use crate::{Bench, key};

#[test]
fn the_unfinished_bar_is_left_out_by_the_clock_of_the_source() {
    let bench = Bench::at_minute(50);
    // Our clock says that minute 49 is over; the exchange is 30 s behind, for it the minute is not.
    bench.exchange.play("BTCUSDT", [Trick::Behind(30)]);
    bench.minutes("BTCUSDT", 0..100);
    assert_eq!(bench.stored("BTCUSDT"), (0..49).collect::<Vec<_>>());
    bench.minutes("BTCUSDT", 0..100);
    assert_eq!(bench.stored("BTCUSDT"), (0..50).collect::<Vec<_>>());
}

#[test]
fn order_repetition_and_units_of_time_do_no_harm() {
    let bench = Bench::at_minute(60);
    for (turn, trick) in [Trick::Reversed, Trick::Twice, Trick::Microseconds].into_iter().enumerate() {
        let symbol = format!("S{turn}");
        bench.exchange.play(&symbol, [trick.clone()]);
        let summary = bench.minutes(&symbol, 0..60);
        assert_eq!(summary.failed().count(), 0, "{trick:?}: {summary:?}");
        assert_eq!(bench.stored(&symbol), (0..60).collect::<Vec<_>>(), "{trick:?}");
    }
    assert!(bench.findings().is_empty());
    bench.exchange.play("C", [Trick::Conflict]);
    bench.minutes("C", 0..60);
    assert_eq!(bench.findings(), [("conflict".into(), 1, "volume".into())]);
}

#[test]
fn a_page_that_does_not_answer_the_request_is_refused_whole() {
    let bench = Bench::at_minute(200);
    for (turn, trick) in [Trick::Later, Trick::OtherInterval].into_iter().enumerate() {
        let symbol = format!("S{turn}");
        bench.exchange.play(&symbol, [trick.clone()]);
        let summary = bench.minutes(&symbol, 0..60);
        let error = summary.failed().next().and_then(|outcome| outcome.error.clone());
        assert!(matches!(error.as_deref(), Some(Error::Refused { .. })), "{trick:?}: {error:?}");
        assert!(bench.store.view().info(&key(&symbol)).is_err(), "{trick:?}: nothing is written");
    }
}

#[test]
fn a_silent_revision_becomes_a_version_with_a_finding() {
    let bench = Bench::at_minute(50);
    bench.minutes("BTCUSDT", 0..9999);
    let before = bench.store.view().version();
    bench.exchange.revised.lock().insert(49);
    bench.clock.advance(Duration::from_mins(1));
    let summary = bench.minutes("BTCUSDT", 0..9999);
    let written = summary.written();
    assert_eq!((written.commit.added, written.commit.updated, written.findings), (1, 1, 1));
    assert_eq!(bench.findings(), [("revision".into(), 49, "close".into())]);
    let close = |view: tapestore::View| view.read(&key("BTCUSDT")).rows().unwrap().f64("close").unwrap()[49];
    assert_eq!(close(bench.store.view()), 98.0);
    assert_eq!(close(bench.store.as_of(&AsOf::Version(before)).unwrap()), 49.0, "the old one stays readable");
}

#[test]
fn a_bar_that_the_source_takes_back_stays_and_is_found() {
    let bench = Bench::at_minute(50);
    bench.minutes("BTCUSDT", 0..9999);
    bench.exchange.holes.lock().insert(48);
    bench.clock.advance(Duration::from_mins(10));
    bench.minutes("BTCUSDT", 0..9999);
    assert_eq!(bench.findings(), [("vanished".into(), 48, String::new())]);
    assert!(bench.stored("BTCUSDT").contains(&48));
}

#[test]
fn an_absence_is_believed_only_when_it_is_old_and_only_after_a_good_reply() {
    let bench = Bench::at_minute(50);
    bench.exchange.holes.lock().extend([30, 48]);
    bench.minutes("BTCUSDT", 0..9999);
    let absences = bench.store.view().absences(&key("BTCUSDT")).unwrap();
    let minute = |at: i64| crate::START + at * tapestore::time::MINUTE_NS;
    assert_eq!(absences, [minute(30)..minute(31)], "minute 48 may still come");
    bench.exchange.holes.lock().remove(&48);
    bench.minutes("BTCUSDT", 0..9999);
    assert!(bench.stored("BTCUSDT").contains(&48));

    // Errors confirm nothing.
    for trick in [Trick::Status(500, vec![], "[]"), Trick::TimeOut, Trick::Cut] {
        bench.exchange.play("ETHUSDT", std::iter::repeat_n(trick, 6));
        let summary = bench.minutes("ETHUSDT", 0..50);
        assert_eq!(summary.failed().count(), 1);
        assert!(bench.store.view().info(&key("ETHUSDT")).is_err());
    }
    // An empty list for a range that is long over does.
    bench.exchange.play("ETHUSDT", [Trick::Empty]);
    bench.minutes("ETHUSDT", 0..40);
    assert_eq!(bench.store.view().absences(&key("ETHUSDT")).unwrap(), [minute(0)..minute(40)]);
}

#[test]
fn a_null_in_a_bar_is_no_bar() {
    let bench = Bench::at_minute(60);
    bench.exchange.play("BTCUSDT", [Trick::Null]);
    let summary = bench.minutes("BTCUSDT", 0..60);
    assert_eq!(summary.requests(), 2, "the page is asked for again");
    assert_eq!(bench.stored("BTCUSDT").len(), 60);
}

#[test]
fn rows_tell_where_they_come_from_and_every_field_is_kept() {
    let bench = Bench::at_minute(10);
    bench.minutes("BTCUSDT", 0..10);
    let view = bench.store.view();
    let rows = view.read(&key("BTCUSDT")).provenance().rows().unwrap();
    assert_eq!(view.source_name(rows.set.source.get(3)).as_deref(), Some("binance"));
    let fields =
        ["open", "high", "low", "close", "volume", "quote_volume", "taker_buy_base", "taker_buy_quote"];
    let third: Vec<f64> = fields.iter().map(|name| rows.f64(name).unwrap()[3]).collect();
    assert_eq!(third, [3.25, 6.75, 3.0, 3.0, 12.125, 36.375, 6.0, 18.0]);
    assert_eq!(rows.i64("trades").unwrap()[3], 3);
}

#[test]
fn a_series_of_fewer_columns_keeps_them() {
    let bench = Bench::at_minute(10);
    let mut transaction = bench.store.begin();
    transaction.create_series(&key("BTCUSDT"), tapestore::schema::bars()).unwrap();
    transaction.commit().unwrap();
    assert_eq!(bench.minutes("BTCUSDT", 0..10).written().commit.added, 10);
    assert_eq!(bench.store.view().schema(&key("BTCUSDT")).unwrap().columns.len(), 5);
}

#[test]
fn recorded_replies_are_read() {
    let Some(data) = std::env::var_os("TAPE_DATA").map(std::path::PathBuf::from) else {
        eprintln!("skipped: TAPE_DATA names no directory of recorded replies");
        return;
    };
    for (name, frame, file, rows) in [
        ("binance", "1m", "binance-http_spot_market_klines.json", 10),
        ("binance", "1w", "binance-spot-http_json-klines_response.json", 1),
        ("binance-um", "1w", "binance-http_futures_market_klines.json", 1),
        ("binance", "trades", "binance-http_spot_market_agg_trades.json", 10),
        ("binance-um", "trades", "binance-http_futures_market_agg_trades.json", 1),
    ] {
        let Ok(body) = std::fs::read(data.join("api").join(file)) else {
            eprintln!("skipped: there is no {file}");
            continue;
        };
        let source = tapestore_fetch::sources::source(name, &Settings::default()).unwrap();
        let ask = tapestore_fetch::Ask {
            symbol: "BTCUSDT".into(),
            frame: tapestore::Frame::parse(frame).unwrap(),
            range: 0..i64::MAX / 2,
            after_id: None,
            before_id: None,
            known_files: HashMap::new(),
            recheck: false,
            now_ns: i64::MAX / 2,
        };
        let reply = tapestore_fetch::wire::Reply { status: 200, body, ..Default::default() };
        match source.step(&ask, &[reply]) {
            Ok(tapestore_fetch::Step::Done(page)) => assert_eq!(page.rows.time.len(), rows, "{file}"),
            other => panic!("{file}: {other:?}"),
        }
    }
}
