//! Which requests are sent: as few as can be, for nothing that is there.

use std::sync::Arc;

use tapestore_fetch::{Job, Reason};

use crate::exchange::Trick;
use crate::{Bench, key};

#[test]
fn the_first_sync_is_whole_pages_and_a_second_one_is_nothing() {
    let bench = Bench::at_minute(2500);
    let plan = bench.plan(vec![Bench::job("binance", "BTCUSDT", "1m", 0..2500)]);
    assert_eq!((plan.requests(), plan.missing(), plan.items[0].weight), (3, 2500, 6));
    let summary = bench.minutes("BTCUSDT", 0..2500);
    assert_eq!((summary.requests(), summary.written().commit.added), (3, 2500));
    let asked: Vec<_> = bench.exchange.sent().iter().map(|sent| (sent.minutes.start, sent.limit)).collect();
    assert_eq!(asked, [(0, 1000), (1000, 1000), (2000, 500)]);
    assert!(bench.exchange.sent().iter().all(|sent| sent.interval == "1m"));
    assert_eq!(bench.stored("BTCUSDT"), (0..2500).collect::<Vec<_>>());
    let plan = bench.plan(vec![Bench::job("binance", "BTCUSDT", "1m", 0..2500)]);
    assert_eq!((plan.requests(), plan.items[0].pieces.len()), (0, 0));
}

#[test]
fn a_tail_is_one_request_that_reads_two_bars_again() {
    let bench = Bench::at_minute(100);
    bench.minutes("BTCUSDT", 0..9999);
    bench.exchange.forget();
    bench.clock.advance(std::time::Duration::from_mins(7));
    let plan = bench.plan(vec![Bench::job("binance", "BTCUSDT", "1m", 0..9999)]);
    assert_eq!((plan.items[0].pieces[0].reason, plan.missing()), (Reason::Tail, 7));
    let summary = bench.minutes("BTCUSDT", 0..9999);
    let sent = bench.exchange.sent();
    assert_eq!((sent.len(), sent[0].minutes.clone(), sent[0].limit), (1, 98..107, 9));
    let written = summary.written().commit;
    assert_eq!((written.added, written.updated, written.unchanged), (7, 0, 2));
    // Within the same minute there is nothing new to ask for.
    bench.exchange.forget();
    assert_eq!(bench.minutes("BTCUSDT", 0..9999).requests(), 0);
    assert!(bench.exchange.sent().is_empty());
}

#[test]
fn holes_are_asked_for_together_where_a_page_holds_them_and_apart_where_not() {
    let bench = Bench::at_minute(5000);
    bench.minutes("BTCUSDT", 0..5000);
    bench.exchange.forget();
    let mut transaction = bench.store.begin();
    for hole in [10..12, 700..701, 2000..2003, 4990..4995] {
        let time = |minute: i64| crate::START + minute * tapestore::time::MINUTE_NS;
        transaction.delete_range(&key("BTCUSDT"), time(hole.start)..time(hole.end)).unwrap();
    }
    transaction.commit().unwrap();
    let plan = bench.plan(vec![Bench::job("binance", "BTCUSDT", "1m", 0..5000)]);
    assert_eq!((plan.requests(), plan.missing()), (3, 11));
    let summary = bench.minutes("BTCUSDT", 0..5000);
    assert_eq!(summary.written().commit.added, 11);
    let asked: Vec<_> = bench.exchange.sent().into_iter().map(|sent| sent.minutes).collect();
    assert_eq!(asked, [10..701, 2000..2003, 4990..4995]);
    assert_eq!(bench.stored("BTCUSDT").len(), 5000);
}

#[test]
fn years_before_a_listing_cost_one_request_and_are_not_asked_for_again() {
    let bench = Bench::at_minute(300_000);
    bench.exchange.listed.lock().insert("NEWUSDT".into(), 298_500);
    let summary = bench.minutes("NEWUSDT", 0..300_000);
    assert_eq!((summary.requests(), summary.written().commit.added), (2, 1500));
    assert_eq!(summary.written().absent, 298_500);
    assert_eq!(bench.minutes("NEWUSDT", 0..300_000).requests(), 0);
    assert_eq!(bench.store.view().absences(&key("NEWUSDT")).unwrap().len(), 1);
}

#[test]
fn what_a_source_confirms_to_be_absent_is_not_asked_for_again_but_when_told_to() {
    let bench = Bench::at_minute(900);
    bench.exchange.holes.lock().extend([5, 6, 7, 400]);
    let summary = bench.minutes("BTCUSDT", 0..900);
    assert_eq!((summary.requests(), summary.written().absent), (1, 4));
    assert_eq!(bench.minutes("BTCUSDT", 0..900).requests(), 0);
    bench.exchange.holes.lock().clear();
    let mut job = Bench::job("binance", "BTCUSDT", "1m", 0..900);
    job.recheck = true;
    assert_eq!(bench.fetch(vec![job]).0.written().commit.added, 4);
}

#[test]
fn an_interrupted_sync_goes_on_where_it_was() {
    let bench = Bench::at_minute(5000);
    // Three pages come, then the source fails for good.
    let pages = std::iter::repeat_n(Trick::Behind(0), 3);
    bench.exchange.play("BTCUSDT", pages.chain([Trick::Status(403, vec![], "")]));
    let summary = bench.minutes("BTCUSDT", 0..5000);
    assert_eq!((summary.requests(), summary.failed().count()), (4, 1));
    assert_eq!(bench.stored("BTCUSDT").len(), 3000);
    bench.exchange.forget();
    bench.minutes("BTCUSDT", 0..5000);
    let asked: Vec<_> = bench.exchange.sent().into_iter().map(|sent| sent.minutes.start).collect();
    assert_eq!(asked, [2998, 3998, 4998], "what is there is not asked for, but for the overlap");
    assert_eq!(bench.stored("BTCUSDT").len(), 5000);
}

#[test]
fn sessions_say_what_is_expected() {
    let bench = Bench::at_minute(5000);
    let time = |minute: i64| crate::START + minute * tapestore::time::MINUTE_NS;
    let open = [0..300, 1440..1740, 2880..3180];
    let sessions: Vec<_> = open.iter().map(|open| time(open.start)..time(open.end)).collect();
    let job = || {
        let sessions = Some(std::sync::Arc::new(sessions.clone()));
        tapestore_fetch::Job { sessions, ..Bench::job("binance", "BTCUSDT", "1m", 0..4000) }
    };
    let plan = bench.plan(vec![job()]);
    assert_eq!((plan.missing(), plan.requests()), (900, 3));
    bench.fetch(vec![job()]);
    assert_eq!(bench.stored("BTCUSDT").len(), 900);
    assert_eq!(bench.plan(vec![job()]).requests(), 0);
}

#[test]
fn the_overlap_reaches_over_a_break_to_the_last_bars() {
    let bench = Bench::at_minute(300);
    let time = |minute: i64| crate::START + minute * tapestore::time::MINUTE_NS;
    let sessions = Arc::new(vec![time(0)..time(300), time(400)..time(700), time(2000)..time(2300)]);
    let job = || Job { sessions: Some(sessions.clone()), ..Bench::job("binance", "BTCUSDT", "1m", 0..4000) };
    let asked = |minutes: u64| {
        bench.exchange.forget();
        bench.clock.advance(std::time::Duration::from_mins(minutes));
        assert_eq!(bench.fetch(vec![job()]).0.failed().count(), 0);
        bench.exchange.sent().into_iter().map(|sent| sent.minutes).collect::<Vec<_>>()
    };
    assert_eq!(asked(0), [0..300]);
    assert_eq!(asked(400), [298..700]);
    assert_eq!(asked(1600), [2000..2300], "the last bars are more than a page away");
}

#[test]
fn a_series_that_takes_no_such_rows_stops_no_other() {
    let bench = Bench::at_minute(100);
    let mut transaction = bench.store.begin();
    let schema = tapestore::schema::SchemaBuilder::unique().column("mood", tapestore::ColumnType::String);
    transaction.create_series(&key("A"), schema.build().unwrap()).unwrap();
    transaction.commit().unwrap();
    let jobs = ["A", "B"].map(|symbol| Bench::job("binance", symbol, "1m", 0..100));
    let (summary, _) = bench.fetch(jobs.into());
    let error = summary.failed().next().and_then(|outcome| outcome.error.clone()).unwrap();
    assert!(error.to_string().contains("mood"), "{error}");
    assert_eq!((summary.failed().count(), bench.stored("B").len()), (1, 100));
}

#[test]
fn trades_go_on_by_number_and_holes_are_found_by_number() {
    let bench = Bench::at_minute(200);
    bench.exchange.trades.lock().extend((100..3600).filter(|id| !(500..510).contains(id)));
    let job = || Bench::job("binance", "BTCUSDT", "trades", 1..9999);
    let trades = tapestore::SeriesKey::new("BTCUSDT.BINANCE", "trades").unwrap();
    let count = || bench.store.view().count(&trades, i64::MIN..i64::MAX).unwrap();
    let (summary, _) = bench.fetch(vec![job()]);
    assert_eq!((summary.requests(), count()), (4, 3490));
    // The hole is asked for once; the exchange has nothing, and that is noted.
    bench.exchange.forget();
    let reasons = |plan: tapestore_fetch::Plan| {
        plan.items[0].pieces.iter().map(|piece| piece.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons(bench.plan(vec![job()])), [Reason::Hole, Reason::Tail]);
    bench.fetch(vec![job()]);
    assert_eq!(reasons(bench.plan(vec![job()])), [Reason::Tail]);
    // More trades: those alone come.
    bench.exchange.trades.lock().extend(3600..3700);
    let (summary, _) = bench.fetch(vec![job()]);
    assert_eq!((summary.requests(), summary.written().commit.added, count()), (1, 100, 3590));
    // Rows that were lost come back.
    let mut transaction = bench.store.begin();
    let at = |id: i64| crate::START + id * tapestore::time::SECOND_NS;
    transaction.delete_range(&trades, at(1000)..at(1100)).unwrap();
    transaction.commit().unwrap();
    bench.fetch(vec![job()]);
    assert_eq!(count(), 3590);
}
