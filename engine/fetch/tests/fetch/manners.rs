//! Limits, bans and retries.

use std::sync::Arc;
use std::time::Duration;

use tapestore_fetch::clock::SystemClock;
use tapestore_fetch::{Error, Event};

use crate::Bench;
use crate::exchange::{Exchange, Trick};

fn error(summary: &tapestore_fetch::Summary) -> Arc<Error> {
    summary.failed().next().and_then(|outcome| outcome.error.clone()).expect("it failed")
}

#[test]
fn retry_after_is_obeyed_by_all_threads() {
    let bench = Bench::at_minute(1000);
    let crowded =
        Trick::Status(429, vec![("retry-after", "17".into())], r#"{"code":-1003,"msg":"Too many"}"#);
    bench.exchange.play("S0", [crowded]);
    let jobs = (0..8).map(|turn| Bench::job("binance", &format!("S{turn}"), "1m", 0..1000)).collect();
    let (summary, events) = bench.fetch(jobs);
    assert_eq!(summary.failed().count(), 0);
    let sent = bench.exchange.sent();
    let refused = sent.iter().find(|sent| sent.status == 429).unwrap().at;
    // Three others may have been on their way when it came.
    let early = sent.iter().filter(|sent| sent.at < refused + Duration::from_secs(17)).count();
    assert!((1..=8).contains(&early), "{sent:?}");
    let again: Vec<_> = sent.iter().filter(|sent| sent.symbol == "S0").collect();
    assert!(again.len() == 2 && again[1].at >= refused + Duration::from_secs(17), "{again:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Waiting { time, .. } if time.as_secs() == 17)));
}

/// With a clock that is waited for: one that jumps would carry all threads along.
#[test]
fn while_one_thread_was_told_to_wait_no_other_sends() {
    let bench = Bench::at_minute(1000);
    let mut exchange = Exchange::new(Arc::new(SystemClock::default()));
    exchange.takes = Duration::from_millis(5);
    let exchange = Arc::new(exchange);
    exchange.play("*", [Trick::Status(429, vec![("retry-after", "1".into())], "")]);
    let jobs = (0..40).map(|turn| Bench::job("binance", &format!("S{turn}"), "1m", 0..1000)).collect();
    let plan = bench.plan(jobs);
    let mut runner = bench.runner(exchange.clone());
    runner.clock = Arc::new(SystemClock::default());
    let summary = tapestore_fetch::run(&bench.store, &plan, &runner, &|_: &Event| {}).unwrap();
    assert_eq!((summary.failed().count(), summary.requests()), (0, 41));
    let sent = exchange.sent();
    let told = sent.iter().find(|sent| sent.status == 429).unwrap().at;
    let meanwhile = sent.iter().filter(|sent| sent.at > told && sent.at < told + Duration::from_millis(950));
    assert!(meanwhile.count() <= 3, "but for what was on its way: {sent:?}");
}

#[test]
fn a_ban_beyond_our_patience_ends_the_source_at_once_and_says_for_how_long() {
    let bench = Bench::at_minute(1000);
    bench.exchange.play("S0", [Trick::Status(418, vec![("retry-after", "7200".into())], "")]);
    let jobs: Vec<_> = (0..8).map(|turn| Bench::job("binance", &format!("S{turn}"), "1m", 0..1000)).collect();
    let plan = bench.plan(jobs);
    let mut runner = bench.runner(bench.exchange.clone());
    runner.concurrency = Some(1);
    let summary = tapestore_fetch::run(&bench.store, &plan, &runner, &|_: &Event| {}).unwrap();
    assert_eq!((summary.failed().count(), bench.exchange.sent().len()), (8, 1), "nobody knocks again");
    let text = error(&summary).to_string();
    assert!(text.contains("7200 s"), "{text}");
}

#[test]
fn what_passes_is_tried_again_with_growing_waits_and_given_up_in_the_end() {
    let bench = Bench::at_minute(100);
    let bad = |count| std::iter::repeat_n(Trick::Status(503, vec![], "busy"), count);
    bench.exchange.play("A", bad(5));
    assert_eq!(bench.minutes("A", 0..100).failed().count(), 0, "the sixth attempt is good");
    let at: Vec<Duration> = bench.exchange.sent().iter().map(|sent| sent.at).collect();
    let waits: Vec<f64> = at.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_secs_f64()).collect();
    for (turn, wait) in waits.iter().enumerate() {
        let least = 0.5 * f64::from(1 << turn);
        assert!((least..=2.0 * least + 0.1).contains(wait), "wait {turn} is {wait} s of {waits:?}");
    }
    bench.exchange.forget();
    bench.exchange.play("B", bad(6));
    let summary = bench.minutes("B", 0..100);
    assert!(matches!(&*error(&summary), Error::GaveUp { attempts: 6, .. }));
    assert_eq!(bench.exchange.sent().len(), 6);
}

#[test]
fn time_outs_and_garbled_replies_are_tried_again() {
    let bench = Bench::at_minute(100);
    for (turn, trick) in [Trick::TimeOut, Trick::Cut, Trick::Html].into_iter().enumerate() {
        let symbol = format!("S{turn}");
        bench.exchange.play(&symbol, [trick.clone(), trick]);
        let summary = bench.minutes(&symbol, 0..100);
        assert_eq!((summary.failed().count(), summary.requests()), (0, 3), "{symbol}");
        assert_eq!(bench.stored(&symbol).len(), 100);
    }
}

#[test]
fn what_does_not_pass_is_not_tried_again_and_stops_no_other() {
    let bench = Bench::at_minute(100);
    let jobs = ["A", "NONE", "B"].map(|symbol| Bench::job("binance", symbol, "1m", 0..100));
    let (summary, _) = bench.fetch(jobs.into());
    assert_eq!((summary.failed().count(), bench.exchange.sent().len()), (1, 3));
    assert!(error(&summary).to_string().contains("-1121: Invalid symbol"));
    assert_eq!([bench.stored("A").len(), bench.stored("B").len()], [100, 100]);
}

#[test]
fn codes_of_the_exchange_that_pass_are_tried_again() {
    let bench = Bench::at_minute(100);
    bench.exchange.play("A", [Trick::Status(400, vec![], r#"{"code":-1001,"msg":"Internal error"}"#)]);
    bench.exchange.play("B", [Trick::Status(400, vec![], r#"{"code":-1120,"msg":"Invalid interval."}"#)]);
    assert_eq!(bench.minutes("A", 0..100).requests(), 2);
    assert_eq!(bench.minutes("B", 0..100).requests(), 1);
}

/// Every request of a sync of many instruments, weighed over every minute that begins with one.
#[test]
fn the_budget_is_never_exceeded_whatever_the_number_of_threads() {
    let mut bench = Bench::at_minute(60_000);
    let exchange = Arc::get_mut(&mut bench.exchange).unwrap();
    exchange.takes = Duration::from_millis(1);
    let jobs: Vec<_> =
        (0..24).map(|turn| Bench::job("binance-um", &format!("S{turn}"), "1m", 0..60_000)).collect();
    let plan = bench.plan(jobs);
    let mut runner = bench.runner(bench.exchange.clone());
    runner.concurrency = Some(16);
    let summary = tapestore_fetch::run(&bench.store, &plan, &runner, &|_: &Event| {}).unwrap();
    assert_eq!((summary.failed().count(), summary.requests()), (0, 24 * 60));
    let mut sent = bench.exchange.sent();
    sent.sort_by_key(|sent| sent.at);
    let heaviest = sent.iter().enumerate().map(|(from, first)| {
        let minute = sent[from..].iter().take_while(|sent| sent.at < first.at + Duration::from_mins(1));
        minute.map(|sent| sent.weight).sum::<u32>()
    });
    let heaviest = heaviest.max().unwrap();
    assert!((2000..=2400).contains(&heaviest), "the heaviest minute weighs {heaviest}");
}

#[test]
fn the_count_of_the_source_slows_us_down() {
    let bench = Bench::at_minute(2000);
    bench.exchange.play("A", [Trick::Status(503, vec![("x-mbx-used-weight-1m", "5900".into())], "")]);
    bench.minutes("A", 0..2000);
    let sent = bench.exchange.sent();
    assert!(sent[1].at >= Duration::from_secs(40), "20 s into the minute, the next begins in 40 s: {sent:?}");
}

#[test]
fn a_stopped_run_keeps_what_is_committed() {
    let bench = Bench::at_minute(5000);
    let plan = bench.plan(vec![Bench::job("binance", "A", "1m", 0..5000)]);
    let stop = bench.stop.clone();
    let watch = move |event: &Event| {
        if let Event::Page { .. } = event {
            stop.stop();
        }
    };
    let summary =
        tapestore_fetch::run(&bench.store, &plan, &bench.runner(bench.exchange.clone()), &watch).unwrap();
    assert!(summary.outcomes[0].was_stopped());
    assert_eq!((bench.exchange.sent().len(), bench.stored("A").len()), (1, 1000));
}
