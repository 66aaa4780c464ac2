//! Signals to metrics: one signal in blocks that stay in cache, many signals on several threads.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::account::{Account, BLOCK, Block};
use crate::error::{Error, Result};
use crate::market::Market;
use crate::metrics::Metrics;
use crate::moments::{Pairs, mean_and_deviation};
use crate::rank::{self, RankScratch};
use crate::tally::Tally;

/// Pairs that a day needs for its correlation to count.
const DAY_PAIRS: f64 = 3.0;
/// Rows that are correlated at a time where days do not divide them.
const CORRELATED: usize = 4096;

/// Room for a backtest, to be used again for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    block: Box<Block>,
    ranks: RankScratch,
    daily: Vec<f64>,
}

/// The series of a backtest, a value a bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Share of the account that is held during the bar: `p_t = a·s_{t−1}`.
    pub position: Vec<f64>,
    /// Net return of the bar.
    pub net: Vec<f64>,
    /// The account after the bar.
    pub equity: Vec<f64>,
    /// The account, less its highest value so far, as a share of that: 0 or negative.
    pub drawdown: Vec<f64>,
}

impl Market {
    /// Backtests a signal: a value a bar, known at the close, from −1 (all of the allocation sold short) to 1 (bought).
    /// What is not finite is 0 for the account, and left out of correlations.
    ///
    /// # Errors
    /// [`Error::Length`], and [`Error::Signal`] for a value beyond −1 and 1.
    pub fn run(&self, signal: &[f64], scratch: &mut Scratch) -> Result<Metrics> {
        self.run_with(signal, scratch, None)
    }

    /// The same, and the series behind it, in the caller's buffers.
    ///
    /// # Errors
    /// As [`Market::run`].
    pub fn run_into(&self, signal: &[f64], scratch: &mut Scratch, curves: &mut Curves) -> Result<Metrics> {
        self.run_with(signal, scratch, Some(curves))
    }

    fn run_with(
        &self,
        signal: &[f64],
        scratch: &mut Scratch,
        mut curves: Option<&mut Curves>,
    ) -> Result<Metrics> {
        let rows = self.len();
        if signal.len() != rows {
            return Err(Error::Length { what: "the signal", times: rows, rows: signal.len() });
        }
        let beyond = |value: &f64| value.is_finite() && value.abs() > 1.0;
        if let Some(row) = signal.iter().position(beyond) {
            return Err(Error::Signal { row, time_ns: self.time[row], value: signal[row] });
        }
        if let Some(curves) = &mut curves {
            for series in [&mut curves.position, &mut curves.net, &mut curves.equity, &mut curves.drawdown] {
                series.clear();
                series.reserve(rows);
            }
        }
        let settings = &self.settings;
        let mut account = Account::new(settings.capital);
        let mut tally = Tally::new(settings.capital);
        let block = &mut *scratch.block;
        for start in (0..rows).step_by(BLOCK) {
            let len = BLOCK.min(rows - start);
            for (at, position) in block.position[..len].iter_mut().enumerate() {
                // p_0 = 0: nothing was known before the first bar.
                let known = (start + at).checked_sub(1).map_or(0.0, |row| signal[row]);
                *position = if known.is_finite() { settings.allocation * known } else { 0.0 };
            }
            account.advance(self, start, len, block);
            if let Some(curves) = &mut curves {
                curves.position.extend_from_slice(&block.position[..len]);
                curves.net.extend_from_slice(&block.net[..len]);
                curves.equity.extend_from_slice(&block.equity[..len]);
                tally.drawdowns(&block.equity[..len], &mut curves.drawdown);
            }
            tally.add(block, len);
        }
        let mut metrics = tally.metrics(self, &account);
        self.correlate(signal, scratch, &mut metrics);
        Ok(metrics)
    }

    fn correlate(&self, signal: &[f64], scratch: &mut Scratch, metrics: &mut Metrics) {
        let mut all = Pairs::default();
        scratch.daily.clear();
        let mut add = |rows: std::ops::Range<usize>, daily: Option<&mut Vec<f64>>| {
            let pairs = Pairs::of(&signal[rows.clone()], &self.forward[rows]);
            all.merge(&pairs);
            let correlation = pairs.correlation();
            if let (Some(daily), true) = (daily, pairs.count >= DAY_PAIRS && correlation.is_finite()) {
                daily.push(correlation);
            }
        };
        match &self.days {
            Some(days) => {
                days.windows(2).for_each(|day| add(day[0]..day[1], Some(&mut scratch.daily)));
                let (mean, deviation) = mean_and_deviation(&scratch.daily);
                metrics.ic_days = scratch.daily.len() as u64;
                metrics.icir = if deviation > 0.0 { mean / deviation } else { f64::NAN };
            }
            None => {
                let starts = (0..signal.len()).step_by(CORRELATED);
                starts.for_each(|start| add(start..(start + CORRELATED).min(signal.len()), None));
            }
        }
        metrics.ic = all.correlation();
        if self.settings.rank_ic {
            metrics.rank_ic =
                rank::correlation(signal, &self.forward, &self.forward_order, &mut scratch.ranks);
        }
    }

    /// Backtests many signals of these bars on so many threads. A signal that fails leaves the others alone.
    pub fn run_all(&self, signals: &[&[f64]], threads: NonZeroUsize) -> Vec<Result<Metrics>> {
        let tasks: Vec<(&Market, &[f64])> = signals.iter().map(|signal| (self, *signal)).collect();
        run_all(&tasks, threads, |_| {})
    }
}

/// Backtests many signals, each of its own bars, on so many threads; outcomes in order of the tasks. A signal that fails
/// leaves the others alone. `done` is told how many are.
pub fn run_all(
    tasks: &[(&Market, &[f64])],
    threads: NonZeroUsize,
    done: impl Fn(usize) + Sync,
) -> Vec<Result<Metrics>> {
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut scratch = Scratch::default();
        let mut outcomes = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((market, signal)) = tasks.get(number) else { return outcomes };
            outcomes.push((number, market.run(signal, &mut scratch)));
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    let mut outcomes = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get().min(tasks.len())).map(|_| scope.spawn(work)).collect();
        let mut outcomes = work();
        for other in others {
            outcomes.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        outcomes
    });
    outcomes.sort_unstable_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
