//! The work of an exploration: one instrument after another, its timeframes side by side, within a budget of memory.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tapestore::time::Timeframe;
use tapestore::{SeriesKey, View};
use tapestore_backtest::results::{self, CODE, Record};
use tapestore_backtest::{Bars, Curves, Gaps, Market, Scratch, Shape};
use tapestore_factor::{BarFrame, Factor, GapPolicy, Selection, Setup, Table, frames, timeframes_of};

use super::progress::Progress;
use crate::args::Series;
use crate::args::explore::Explore;
use crate::commands::backtest::input::{Input, Plan};
use crate::commands::backtest::{ends, shape, threads};
use crate::commands::factor::policy;
use crate::commands::{range, series};
use crate::fail::{Fail, Result};
use crate::number::bytes;

/// Points that a curve is thinned to.
const CURVE_POINTS: usize = 240;
/// Bytes a bar takes in a frame: time and five columns.
const BAR_BYTES: u64 = 48;
/// Bytes a bar takes while it is read and resampled: the rows, their provenance, and the copy that becomes a frame.
const READ_BYTES: u64 = 3 * BAR_BYTES;
/// Bytes a bar takes for a backtest, beside the factors: returns, their order, a signal, ranks, and curves.
const TRADE_BYTES: u64 = 160;
/// Columns that are computed beside those that are asked for, since their kernels make several at once, at most.
const COMPANIONS: usize = 24;

/// A result.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    pub(super) record: Record,
    /// The account after some of the bars, evenly chosen, as a multiple of its start.
    pub(super) curve: Vec<f32>,
}

/// What could not be done, and why; the rest was.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) instrument: String,
    /// Timeframe, or `all`.
    pub(super) frame: String,
    /// Factor, or `all`.
    pub(super) signal: String,
    pub(super) error: String,
}

/// Where the time went, in nanoseconds of all threads.
#[derive(Debug, Default)]
pub(super) struct Spent {
    pub(super) load: AtomicU64,
    pub(super) factors: AtomicU64,
    pub(super) backtest: AtomicU64,
    pub(super) write: AtomicU64,
}

impl Spent {
    pub(super) fn on<T>(part: &AtomicU64, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let out = work();
        part.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        out
    }
}

/// What is explored, and how.
pub(super) struct Exploration<'a> {
    view: &'a View,
    arguments: &'a Explore,
    plan: Plan,
    shape: Shape,
    selection: Selection,
    gaps: GapPolicy,
    range: Range<i64>,
    threads: NonZeroUsize,
    started_ns: i64,
    pub(super) spent: Spent,
}

/// Bars of a timeframe, and the signals of the store that belong to it.
struct Item<'a> {
    frame: BarFrame,
    signals: &'a [String],
}

/// Factors of a timeframe that has too few bars for them.
#[derive(Clone, Debug)]
pub(super) struct Skipped {
    pub(super) instrument: String,
    pub(super) frame: String,
    pub(super) factors: Vec<&'static str>,
    /// The most bars without a gap.
    pub(super) longest: usize,
}

/// What came of an item.
#[derive(Default)]
pub(super) struct Found {
    pub(super) scored: Vec<Scored>,
    pub(super) failed: Vec<Failed>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) bars: u64,
}

impl Found {
    pub(super) fn add(&mut self, other: Self) {
        self.scored.extend(other.scored);
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
        self.bars += other.bars;
    }
}

impl<'a> Exploration<'a> {
    /// Reads the arguments.
    pub(super) fn new(view: &'a View, arguments: &'a Explore, started_ns: i64) -> Result<Self> {
        let range = range(&arguments.span)?;
        // One that does not exist fails by itself, later.
        let keys =
            arguments.instruments.iter().filter_map(|name| SeriesKey::new(name, &arguments.frame).ok());
        let keys: Vec<SeriesKey> = keys.filter(|key| view.schema(key).is_ok()).collect();
        let plan = Plan::of(&arguments.trading, view, &keys, &range)?;
        let gaps = match (arguments.factor_gaps, &plan.sessions) {
            (Some(gaps), _) => policy(gaps),
            (None, Some(_)) => GapPolicy::Bridge,
            (None, None) => GapPolicy::Rows,
        };
        if matches!(gaps, GapPolicy::Bridge | GapPolicy::Fills) && plan.sessions.is_none() {
            let text =
                "--factor-gaps bridge and fills need --calendar or --sessions: when is the market open?";
            return Err(Fail::Usage(text.into()));
        }
        let shape = shape(&arguments.shape)?;
        if shape == Shape::Raw {
            let text = "--shape raw: factors are no signals from -1 to 1; write sign, maxabs or zscore";
            return Err(Fail::Usage(text.into()));
        }
        Ok(Self {
            view,
            arguments,
            plan,
            shape,
            selection: Selection::parse(arguments.factors.iter().map(String::as_str))?,
            gaps,
            range,
            threads: threads(arguments.threads),
            started_ns,
            spent: Spent::default(),
        })
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.get()
    }

    /// How factors treat gaps.
    pub(super) fn gaps(&self) -> GapPolicy {
        self.gaps
    }

    /// Everything of one instrument. What fails is told, and leaves the rest alone.
    pub(super) fn instrument(&self, instrument: &str, progress: &Progress) -> Found {
        let all = |error: &Fail| Failed {
            instrument: instrument.to_owned(),
            frame: "all".into(),
            signal: "all".into(),
            error: error.to_string(),
        };
        let items = match Spent::on(&self.spent.load, || self.load(instrument)) {
            Ok(items) => items,
            Err(error) => return Found { failed: vec![all(&error)], ..Found::default() },
        };
        let held: u64 = items.iter().map(|item| item.frame.time.len() as u64 * BAR_BYTES).sum();
        let gate = Gate::new(self.arguments.memory.saturating_sub(held));
        progress.expect(items.iter().map(|item| self.count(item)).sum());
        let workers = self.threads.get().min(items.len()).max(1);
        let inner = (self.threads.get() / workers).max(1);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Found::default();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                let of_item = self.item(instrument, item, &gate, inner);
                progress.done(
                    self.count(item),
                    &format!("{instrument} {}", item.frame.timeframe),
                    of_item.failed.len(),
                );
                found.add(of_item);
            }
            found
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mut found = work();
            others
                .into_iter()
                .for_each(|other| found.add(other.join().unwrap_or_else(|panic| resume_unwind(panic))));
            found
        })
    }

    fn count(&self, item: &Item<'_>) -> usize {
        self.selection.factors().len() + item.signals.len()
    }

    /// The bars of all timeframes, the longest first, so that no thread is left with one at the end.
    fn load(&self, instrument: &str) -> Result<Vec<Item<'_>>> {
        let wanted = Series { instrument: instrument.to_owned(), frame: self.arguments.frame.clone() };
        let (key, _) = series(self.view, &wanted)?;
        let base = crate::commands::timeframe(&key)?;
        let mut timeframes = Vec::new();
        for name in &self.arguments.timeframes {
            match Timeframe::parse(name) {
                _ if name == "all" => timeframes.extend(timeframes_of(&key)?),
                Some(timeframe) => timeframes.push(timeframe),
                None => return Err(Fail::Usage(format!("{name:?} is no timeframe"))),
            }
        }
        timeframes.sort();
        timeframes.dedup();
        let rows = self.view.count(&key, self.range.clone())?;
        if rows * READ_BYTES > self.arguments.memory {
            return Err(Fail::Usage(format!(
                "reading {rows} bars of {key} takes {}, --memory allows {}; name a range, or more",
                bytes(rows * READ_BYTES),
                bytes(self.arguments.memory)
            )));
        }
        let sessions = self.plan.sessions.clone().map(Arc::new);
        let setup = Setup { timeframes, selection: self.selection, gaps: self.gaps, sessions };
        let mut items: Vec<Item<'_>> =
            frames(self.view, &key, self.range.clone(), &setup, self.threads.get())?
                .into_iter()
                .map(|frame| Item {
                    signals: if frame.timeframe == base { &self.arguments.signals } else { &[] },
                    frame,
                })
                .collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.frame.time.len()));
        Ok(items)
    }

    /// All factors of one timeframe, in as many parts as the budget makes it.
    fn item(&self, instrument: &str, item: &Item<'_>, gate: &Gate, threads: usize) -> Found {
        let frame = &item.frame;
        let mut found = Found { bars: frame.time.len() as u64, ..Found::default() };
        let failed = |signal: &str, error: &dyn std::fmt::Display| Failed {
            instrument: instrument.to_owned(),
            frame: frame.timeframe.to_string(),
            signal: signal.to_owned(),
            error: error.to_string(),
        };
        let (market, template) = match self.market(instrument, frame) {
            Ok(made) => made,
            Err(error) => {
                found.failed.push(failed("all", &error));
                return found;
            }
        };
        let rows = frame.time.len() as u64;
        let fixed = rows * TRADE_BYTES * threads as u64;
        let columns = gate.all.saturating_sub(fixed) / (rows * 8).max(1);
        let factors = self.selection.factors();
        let part = (columns as usize).saturating_sub(COMPANIONS).min(factors.len());
        if part == 0 && !factors.is_empty() {
            let needed = bytes(fixed + rows * 8 * (COMPANIONS as u64 + 1));
            let left = bytes(gate.all);
            let error =
                format!("one factor of {rows} bars takes {needed}, --memory leaves {left} beside the bars");
            found.failed.push(failed("all", &error));
            return found;
        }
        let _held = gate.enter((fixed + rows * 8 * (part + COMPANIONS) as u64).min(gate.all));
        let longest = frame.runs.iter().map(Range::len).max().unwrap_or(0);
        let (factors, short): (Vec<Factor>, Vec<Factor>) =
            factors.into_iter().partition(|factor| factor.warm_up() < longest);
        if !short.is_empty() {
            found.skipped.push(Skipped {
                instrument: instrument.to_owned(),
                frame: frame.timeframe.to_string(),
                factors: short.into_iter().map(Factor::name).collect(),
                longest,
            });
        }
        for part in factors.chunks(part.max(1)) {
            // A new one: used again, it would keep the room of all parts.
            let mut table = Table::default();
            Spent::on(&self.spent.factors, || frame.compute(Selection::of(part), &mut table));
            let outcomes = in_parallel(part.len(), threads, |number, room| {
                let factor = part[number];
                let values = table.column(factor).unwrap_or_default();
                self.score(&market, &template, factor.name(), values.to_vec(), room)
            });
            for (factor, outcome) in part.iter().zip(outcomes) {
                match outcome {
                    Ok(scored) => found.scored.push(scored),
                    Err(error) => found.failed.push(failed(factor.name(), &error)),
                }
            }
        }
        for name in item.signals {
            match self
                .signal(instrument, frame, name)
                .and_then(|values| self.score(&market, &template, name, values, &mut Room::default()))
            {
                Ok(scored) => found.scored.push(scored),
                Err(error) => found.failed.push(failed(name, &error)),
            }
        }
        found
    }

    /// Bars ready for signals, and what all results of them have in common.
    fn market(&self, instrument: &str, frame: &BarFrame) -> Result<(Market, Record)> {
        let key = SeriesKey::new(instrument, frame.timeframe.name())?;
        let (settings, basis) = self.plan.settings(&key)?;
        let after_hole: Vec<usize> = match settings.gaps {
            Gaps::Bridge => Vec::new(),
            Gaps::Break => frame.runs.iter().map(|run| run.start).collect(),
        };
        let day = |time: &i64| time.div_euclid(tapestore::time::DAY_NS);
        let bars = Bars {
            time: &frame.time,
            open: Some(frame.open()),
            close: frame.close(),
            after_hole: &after_hole,
            sessions: self.plan.sessions.as_ref(),
            intraday: frame.time.windows(2).any(|pair| day(&pair[0]) == day(&pair[1])),
        };
        let market = Spent::on(&self.spent.backtest, || Market::new(&bars, &settings))?;
        let record = Record {
            time_ns: self.started_ns,
            run: 0,
            instrument: instrument.to_owned(),
            frame: frame.timeframe.name().to_owned(),
            signal: String::new(),
            shape: self.shape.name(),
            settings: settings.to_text(),
            basis: format!("{basis}; factor gaps {}", self.gaps.name()),
            call: String::new(),
            code: format!("{CODE}, factors {}", tapestore_factor::CODE),
            curves: String::new(),
            store_version: self.view.version(),
            bars_ns: ends(&frame.time),
            values: Vec::new(),
        };
        Ok((market, record))
    }

    fn signal(&self, instrument: &str, frame: &BarFrame, name: &str) -> Result<Vec<f64>> {
        let key = SeriesKey::new(instrument, frame.timeframe.name())?;
        let input = Input { time: frame.time.clone(), ..Input::default() };
        let values = Spent::on(&self.spent.load, || input.signal(self.view, &key, name))?;
        if values.iter().any(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(Fail::Usage("no bar has a value".into()))
    }

    fn score(
        &self,
        market: &Market,
        template: &Record,
        name: &str,
        mut values: Vec<f64>,
        room: &mut Room,
    ) -> Result<Scored> {
        Spent::on(&self.spent.backtest, || {
            self.shape.apply(&mut values);
            let metrics = market.run_into(&values, &mut room.scratch, &mut room.curves)?;
            let record = Record {
                signal: name.to_owned(),
                call: self.call(template, name),
                values: results::values(&metrics),
                ..template.clone()
            };
            Ok(Scored { record, curve: thinned(&room.curves.equity, market.settings().capital) })
        })
    }

    /// What makes this result again.
    fn call(&self, record: &Record, name: &str) -> String {
        let mut out = super::call(self.arguments, &record.instrument, self.gaps, &self.range);
        let own = self.arguments.signals.iter().any(|signal| signal == name);
        out.push(if own { format!("--signal={name}") } else { format!("--factors={name}") });
        out.push(format!("--timeframes={}", record.frame));
        out.push(format!("--as-of={}", record.store_version));
        crate::commands::backtest::kept::quoted(&out)
    }
}

/// Some of the values, evenly chosen, the last one among them, as multiples of the capital.
fn thinned(equity: &[f64], capital: f64) -> Vec<f32> {
    let points = equity.len().min(CURVE_POINTS);
    let last = equity.len().saturating_sub(1);
    (0..points).map(|point| (equity[point * last / (points - 1).max(1)] / capital) as f32).collect()
}

/// Buffers of a thread.
#[derive(Default)]
struct Room {
    scratch: Scratch,
    curves: Curves,
}

/// Does `count` pieces of work on so many threads; results in order of their numbers.
fn in_parallel<T: Send>(count: usize, threads: usize, work: impl Fn(usize, &mut Room) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run = || {
        let (mut room, mut out) = (Room::default(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return out;
            }
            out.push((number, work(number, &mut room)));
        }
    };
    let mut out = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(count)).map(|_| scope.spawn(run)).collect();
        let mut out = run();
        others
            .into_iter()
            .for_each(|other| out.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))));
        out
    });
    out.sort_unstable_by_key(|(number, _)| *number);
    out.into_iter().map(|(_, made)| made).collect()
}

/// Lets in as much at a time as there is room for.
struct Gate {
    all: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// Room that is held until it is dropped.
struct Held<'a> {
    gate: &'a Gate,
    size: u64,
}

impl Gate {
    fn new(all: u64) -> Self {
        Self { all, free: Mutex::new(all), freed: Condvar::new() }
    }

    /// Waits until there is room. `size` is at most all there is.
    fn enter(&self, size: u64) -> Held<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.freed.wait_while(free, |free| *free < size).unwrap_or_else(PoisonError::into_inner);
        *free -= size;
        Held { gate: self, size }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.gate.free.lock().unwrap_or_else(PoisonError::into_inner) += self.size;
        self.gate.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_never_lets_in_more_than_there_is_room_for() {
        let gate = Gate::new(10);
        let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
        in_parallel(40, 4, |number, _| {
            let size = 1 + number as u64 % 10;
            let _held = gate.enter(size);
            most.fetch_max(inside.fetch_add(size, Ordering::SeqCst) + size, Ordering::SeqCst);
            thread::yield_now();
            inside.fetch_sub(size, Ordering::SeqCst);
        });
        assert!((1..=10).contains(&most.into_inner()));
        assert_eq!(*gate.free.lock().unwrap(), 10);
    }

    #[test]
    fn curves_keep_their_ends() {
        let equity: Vec<f64> = (0..1000).map(|bar| 100.0 + f64::from(bar)).collect();
        let curve = thinned(&equity, 100.0);
        assert_eq!((curve.len(), curve[0], curve[CURVE_POINTS - 1]), (CURVE_POINTS, 1.0, 10.99));
        assert_eq!(thinned(&[], 1.0), []);
        assert_eq!(thinned(&[2.0], 1.0), [2.0]);
    }
}
