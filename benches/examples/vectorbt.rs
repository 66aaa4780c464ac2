//! Tapestore's side of `benches/vectorbt/compare.py`: backtests the signals of a directory and tells how long it took.
//!
//! `close.f64` holds the closes, `signals.f64` the signals one after another, as little-endian doubles. Arguments:
//! DIRECTORY FEE THREADS REPEATS all|same; `same` leaves out what vectorbt has no word for, the rank correlation. The
//! accounts of all signals go to `equity.f64`. Prints a line of JSON.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use tapestore_backtest::{
    Bars, Commission, Costs, Curves, Market, Rebalance, Schedule, Scratch, Settings, costs::Mode,
};

/// 2026-01-05 01:30, UTC.
const START_NS: i64 = 1_767_576_600_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
/// Bars of a day: those of Hong Kong.
const DAY_BARS: i64 = 330;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("DIRECTORY FEE THREADS REPEATS all|same");
    let (directory, fee, threads) = (next(), next(), next());
    let (repeats, what) = (next().parse::<usize>().expect("REPEATS"), next());
    let directory = Path::new(&directory);
    let started = Instant::now();
    let (close, signals) = (doubles(&directory.join("close.f64")), doubles(&directory.join("signals.f64")));
    let loaded = started.elapsed();
    let time: Vec<i64> = (0..close.len() as i64)
        .map(|bar| START_NS + (bar / DAY_BARS * 1440 + bar % DAY_BARS) * MINUTE_NS)
        .collect();
    let commission = Commission { rate: fee.parse().expect("FEE"), minimum: 0.0 };
    let settings = Settings {
        costs: Costs { mode: Mode::Proportional, schedule: Schedule::Rate(commission) },
        rebalance: Rebalance::Paid,
        bars_per_year: 81_180.0,
        rank_ic: what == "all",
        ..Settings::default()
    };
    let threads = threads.parse::<NonZeroUsize>().expect("THREADS");
    let signals: Vec<&[f64]> = signals.chunks_exact(close.len()).collect();
    // Everything but reading the files: returns, their order, accounts, metrics.
    let all = || {
        let bars =
            Bars { time: &time, open: None, close: &close, after_hole: &[], sessions: None, intraday: true };
        let market = Market::new(&bars, &settings).expect("bars");
        market.run_all(&signals, threads)
    };
    let timed = |times: usize| {
        let (started, before) = (Instant::now(), processor_seconds());
        let mut outcomes = Vec::new();
        (0..times).for_each(|_| outcomes = all());
        let count = times as f64;
        let spent = [started.elapsed().as_secs_f64() / count, (processor_seconds() - before) / count];
        (spent, outcomes)
    };
    let (first, _) = timed(1);
    let (warm, outcomes) = timed(repeats);
    let total: f64 = outcomes.iter().map(|outcome| outcome.as_ref().expect("a signal").total_return).sum();
    let peak = peak_kb();
    let (started, before) = (Instant::now(), processor_seconds());
    let curves = equities(&time, &close, &settings, &signals, threads);
    let account = [started.elapsed().as_secs_f64(), processor_seconds() - before];
    let peak_account = peak_kb();
    let bytes: Vec<u8> = curves.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(directory.join("equity.f64"), bytes).expect("writes the accounts");
    println!(
        "{{\"load\": {}, \"first\": {first:?}, \"warm\": {warm:?}, \"account\": {account:?}, \"peak_kb\": {peak}, \
         \"peak_account_kb\": {peak_account}, \"sum_of_returns\": {total}}}",
        loaded.as_secs_f64()
    );
}

/// The accounts of all signals, kept.
fn equities(
    time: &[i64],
    close: &[f64],
    settings: &Settings,
    signals: &[&[f64]],
    threads: NonZeroUsize,
) -> Vec<Vec<f64>> {
    let bars = Bars { time, open: None, close, after_hole: &[], sessions: None, intraday: true };
    let market = Market::new(&bars, settings).expect("bars");
    let share = signals.len().div_ceil(threads.get());
    thread::scope(|scope| {
        let parts: Vec<_> = signals
            .chunks(share)
            .map(|part| {
                let market = &market;
                scope.spawn(move || {
                    let (mut scratch, mut curves) = (Scratch::default(), Curves::default());
                    let mut equity = |signal: &&[f64]| {
                        market.run_into(signal, &mut scratch, &mut curves).expect("a signal");
                        curves.equity.clone()
                    };
                    part.iter().map(&mut equity).collect::<Vec<_>>()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("a part")).collect()
    })
}

fn doubles(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).expect("reads the file");
    bytes.chunks_exact(8).map(|word| f64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// What the process has worked so far, on all threads, in hundredths of a second; 0 where the system does not tell.
fn processor_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Largest memory of the process so far, in kB; 0 where the system does not tell.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
