//! Kernels and twin agree, on random markets, signals and settings; one thread and many agree to the bit.

use std::num::NonZeroUsize;

use tapestore_backtest::{Curves, Scratch, run_all};

use crate::common::{Random, Series, settings, signal};
use crate::twin;

/// How many random cases are tried: `TAPE_CASES`, or the default of the test.
fn cases(default: u64) -> u64 {
    std::env::var("TAPE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[track_caller]
fn near(what: &str, case: u64, ours: f64, theirs: f64, tolerance: f64) {
    let same = ours == theirs || (ours.is_nan() && theirs.is_nan());
    let close = (ours - theirs).abs() <= tolerance * (1.0 + theirs.abs());
    assert!(same || close, "case {case}: {what} is {ours}, the twin has {theirs}");
}

#[test]
fn kernels_and_twin_agree() {
    let (mut scratch, mut curves) = (Scratch::default(), Curves::default());
    for case in 0..cases(300) {
        let mut random = Random(case);
        let rows = [3, 7, 100, 511, 512, 513, 1300][random.below(7) as usize];
        let series = Series::random(&mut random, rows);
        let (settings, signal) = (settings(&mut random), signal(&mut random, rows));
        let market = series.market(&settings);
        let metrics = market.run_into(&signal, &mut scratch, &mut curves).unwrap();
        let found = twin::backtest(&series.bars(), &signal, &settings);
        for (name, ours, theirs) in [
            ("position", &curves.position, &found.position),
            ("net", &curves.net, &found.net),
            ("equity", &curves.equity, &found.equity),
            ("drawdown", &curves.drawdown, &found.drawdown),
        ] {
            assert_eq!(ours.len(), theirs.len());
            let scale = if name == "equity" { settings.capital } else { 1.0 };
            for (row, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                near(&format!("{name} of row {row}"), case, ours / scale, theirs / scale, 1e-10);
            }
        }
        assert_eq!(metrics.trades, found.trades, "case {case}");
        assert_eq!(metrics.round_trips, found.trips.len() as u64, "case {case}: {settings:?}");
        let numbers = metrics.numbers();
        assert_eq!(numbers.len(), found.numbers.len());
        for ((name, ours), (named, theirs)) in numbers.iter().zip(&found.numbers) {
            assert_eq!(name, named);
            near(name, case, *ours, *theirs, 1e-7);
        }
        let without_curves = market.run(&signal, &mut scratch).unwrap();
        assert_eq!(format!("{metrics:?}"), format!("{without_curves:?}"), "case {case}");
    }
}

#[test]
fn many_threads_find_what_one_finds() {
    let mut random = Random(7);
    let series: Vec<Series> = (0..3).map(|_| Series::random(&mut random, 700)).collect();
    let markets: Vec<_> = series.iter().map(|series| series.market(&settings(&mut random))).collect();
    let mut signals: Vec<Vec<f64>> = (0..30).map(|_| signal(&mut random, 700)).collect();
    signals[11][5] = 7.0;
    signals[13].pop();
    let tasks: Vec<_> =
        signals.iter().enumerate().map(|(at, signal)| (&markets[at % 3], &signal[..])).collect();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let count = |number| _ = done.fetch_max(number, std::sync::atomic::Ordering::Relaxed);
    let many = run_all(&tasks, NonZeroUsize::new(4).unwrap(), count);
    assert_eq!((many.len(), done.into_inner()), (30, 30));
    for (at, outcome) in many.iter().enumerate() {
        let (market, signal) = tasks[at];
        match (outcome, market.run(signal, &mut Scratch::default())) {
            (Ok(many), Ok(one)) => assert_eq!(format!("{many:?}"), format!("{one:?}")),
            (Err(many), Err(one)) => assert_eq!(many.to_string(), one.to_string()),
            other => panic!("{at}: {other:?}"),
        }
    }
    let failed: Vec<usize> = (0..30).filter(|at| many[*at].is_err()).collect();
    assert_eq!(failed, [11, 13], "a signal that fails leaves the others alone");
}
