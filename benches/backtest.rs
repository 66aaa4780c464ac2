//! Backtests of 72 signals over a year of Hong Kong's minutes, beside a twin that takes a pass for every step and metric.

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{Criterion, Throughput};
use tapestore_backtest::costs::Mode;
use tapestore_backtest::{Bars, Commission, Costs, Market, Schedule, Scratch, Settings};

use crate::data::{MINUTE_NS, START_NS};
use crate::twin;

/// Bars of a year: 246 days of 330 minutes.
const BARS: usize = 81_180;
const SIGNALS: usize = 72;

/// A number from -1 to 1, by a fixed rule that no processor predicts.
fn noise(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

pub(crate) fn bench_backtest(criterion: &mut Criterion) {
    let mut state = 7;
    let time: Vec<i64> =
        (0..BARS as i64).map(|bar| START_NS + (bar / 330 * 1440 + bar % 330) * MINUTE_NS).collect();
    let mut price = 300.0;
    let mut step = |_| {
        price *= 1.0 + noise(&mut state) * 0.001;
        price
    };
    let close: Vec<f64> = (0..BARS).map(&mut step).collect();
    let mut held = 0.0;
    let mut signal = |number: usize| -> Vec<f64> {
        let mut next = || {
            let new = noise(&mut state);
            // Every third signal changes with each bar, the others seldom.
            if number.is_multiple_of(3) || new.abs() < 0.03 {
                held = new.signum() * new.abs().sqrt();
            }
            held
        };
        (0..BARS).map(|_| next()).collect()
    };
    let signals: Vec<Vec<f64>> = (0..SIGNALS).map(&mut signal).collect();
    let slices: Vec<&[f64]> = signals.iter().map(|signal| &signal[..]).collect();
    let bars =
        Bars { time: &time, open: None, close: &close, after_hole: &[], sessions: None, intraday: true };
    let commission = Commission { rate: 0.0005, minimum: 0.0 };
    let settings = Settings {
        costs: Costs { mode: Mode::Proportional, schedule: Schedule::Rate(commission) },
        bars_per_year: BARS as f64,
        ..Settings::default()
    };
    let mut group = criterion.benchmark_group("backtest of 72 signals, 81,180 bars");
    group.throughput(Throughput::Elements((BARS * SIGNALS) as u64)).sample_size(10);
    for (name, rank_ic) in [("all metrics", true), ("without ranks", false)] {
        let settings = Settings { rank_ic, ..settings };
        group.bench_function(format!("{name}, one thread"), |bencher| {
            bencher.iter(|| {
                let market = Market::new(&bars, &settings).expect("bars");
                let mut scratch = Scratch::default();
                for signal in &slices {
                    black_box(market.run(signal, &mut scratch).expect("a signal"));
                }
            });
        });
        group.bench_function(format!("{name}, two threads"), |bencher| {
            let threads = NonZeroUsize::new(2).expect("two");
            bencher.iter(|| Market::new(&bars, &settings).expect("bars").run_all(&slices, threads));
        });
    }
    let hong_kong = Schedule::HongKong { commission, stamp_exempt: false };
    let settings = Settings { costs: Costs { schedule: hong_kong, ..settings.costs }, ..settings };
    group.bench_function("all metrics and Hong Kong's costs, one thread", |bencher| {
        let market = Market::new(&bars, &settings).expect("bars");
        let mut scratch = Scratch::default();
        bencher.iter(|| {
            for signal in &slices {
                black_box(market.run(signal, &mut scratch).expect("a signal"));
            }
        });
    });
    group.throughput(Throughput::Elements(BARS as u64));
    group.bench_function("one signal, all metrics", |bencher| {
        let market = Market::new(&bars, &settings).expect("bars");
        let mut scratch = Scratch::default();
        bencher.iter(|| market.run(slices[0], &mut scratch).expect("a signal"));
    });
    group.bench_function("peer: one signal, a pass for every step and metric", |bencher| {
        bencher.iter(|| twin::backtest(&bars, slices[0], &settings).numbers);
    });
    group.finish();
}
