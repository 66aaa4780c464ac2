//! Bars of an instrument in several timeframes, read once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{RowSet, Rows, SeriesKey, View, flags, schema};
use tapestore_query::resample::Resampler;
use tapestore_query::{Rule, Sessions};

use crate::bars::{Bars, Table};
use crate::catalog::Selection;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::gaps::{Continuity, GapPolicy};

/// The eleven timeframes of an exploration.
pub const TIMEFRAMES: [Timeframe; 11] = [
    Timeframe::M1,
    Timeframe::M2,
    Timeframe::M3,
    Timeframe::M5,
    Timeframe::M10,
    Timeframe::M15,
    Timeframe::M30,
    Timeframe::H1,
    Timeframe::H2,
    Timeframe::H4,
    Timeframe::D1,
];

pub(crate) const COLUMNS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// What is computed of which bars.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Timeframes, each that of the source or coarser.
    pub timeframes: Vec<Timeframe>,
    /// Factors.
    pub selection: Selection,
    /// What counts as a gap.
    pub gaps: GapPolicy,
    /// When the market is open; `None`: always. Bars outside are left out, and no bar crosses a break.
    pub sessions: Option<Arc<Sessions>>,
}

impl Setup {
    /// All factors of one timeframe, every gap a break, without sessions.
    pub fn new(timeframe: Timeframe) -> Self {
        Self {
            timeframes: vec![timeframe],
            selection: Selection::ALL,
            gaps: GapPolicy::Break,
            sessions: None,
        }
    }

    pub(crate) fn continuity(&self, timeframe: Timeframe, absences: &Arc<Vec<Range<i64>>>) -> Continuity {
        Continuity {
            timeframe,
            policy: self.gaps,
            sessions: self.sessions.clone(),
            absences: absences.clone(),
        }
    }
}

/// Finished bars of one timeframe, and which of them follow one another without a gap.
#[derive(Clone, Debug)]
pub struct BarFrame {
    /// The length of the bars.
    pub timeframe: Timeframe,
    /// Open times: nanoseconds since the Unix epoch, UTC.
    pub time: Vec<i64>,
    /// Open, high, low, close, volume.
    pub(crate) columns: [Vec<f64>; 5],
    /// The rows of each run.
    pub runs: Vec<Range<usize>>,
}

impl BarFrame {
    /// The columns.
    pub fn bars(&self) -> Bars<'_> {
        let [open, high, low, close, volume] = &self.columns;
        Bars { open, high, low, close, volume }
    }

    /// The opens.
    pub fn open(&self) -> &[f64] {
        &self.columns[0]
    }

    /// The closes.
    pub fn close(&self) -> &[f64] {
        &self.columns[3]
    }

    /// Computes factors of all runs into `table`.
    pub fn compute(&self, selection: Selection, table: &mut Table) {
        compute(&self.bars(), &self.runs, selection, table);
    }

    fn new(time: Vec<i64>, columns: [Vec<f64>; 5], continuity: &Continuity) -> Self {
        let runs = continuity.runs(&time);
        Self { timeframe: continuity.timeframe, time, columns, runs }
    }
}

/// Which of the eleven timeframes can be made of a series of bars.
///
/// # Errors
/// [`Error::Usage`] if it holds no bars.
pub fn timeframes_of(source: &SeriesKey) -> Result<Vec<Timeframe>> {
    let base = base(source)?;
    let fits = |timeframe: &Timeframe| is_made_of(*timeframe, base);
    Ok(TIMEFRAMES.into_iter().filter(fits).collect())
}

fn base(source: &SeriesKey) -> Result<Timeframe> {
    let none = || Error::Usage(format!("{source} holds no bars; factors are made of bars"));
    source.frame().timeframe().ok_or_else(none)
}

fn is_made_of(timeframe: Timeframe, base: Timeframe) -> bool {
    timeframe == base
        || match (base.step_ns(), timeframe.step_ns()) {
            (Some(base), Some(step)) => base < step && step % base == 0,
            (Some(base), None) => DAY_NS % base == 0,
            _ => false,
        }
}

/// The bars of `source` in a range of time, in every timeframe of the setup: rows are read once, bars that are not
/// finished at the end are left out. Timeframes are made in parallel, on `threads` threads.
///
/// # Errors
/// [`Error::Usage`] if the source holds no bars, or a timeframe cannot be made of them; what the store says.
pub fn frames(
    view: &View,
    source: &SeriesKey,
    range: Range<i64>,
    setup: &Setup,
    threads: usize,
) -> Result<Vec<BarFrame>> {
    let base = base(source)?;
    if let Some(bad) = setup.timeframes.iter().find(|timeframe| !is_made_of(**timeframe, base)) {
        return Err(Error::Usage(format!("bars of {bad} cannot be made of bars of {base}")));
    }
    let rows = usable(view.read(source).range(range).columns(&COLUMNS).provenance().rows()?, base, setup)?;
    let absences = Arc::new(view.absences(source)?);
    let make = |timeframe: Timeframe| -> Result<BarFrame> {
        let continuity = setup.continuity(timeframe, &absences);
        if timeframe == base {
            return Ok(BarFrame::new(rows.time().to_vec(), take(&rows)?, &continuity));
        }
        let mut resampler = resampler(source, timeframe, setup)?;
        resampler.push(&rows)?;
        let made = resampler.finish(None, false).rows;
        Ok(BarFrame::new(made.time().to_vec(), take(&made)?, &continuity))
    };
    in_parallel(setup.timeframes.len(), threads, |number| make(setup.timeframes[number]))
        .into_iter()
        .collect()
}

pub(crate) fn resampler(source: &SeriesKey, timeframe: Timeframe, setup: &Setup) -> Result<Resampler> {
    let (rule, sessions) = (Rule::Time(timeframe), setup.sessions.clone());
    Ok(Resampler::new(source.frame(), &schema::bars(), rule, sessions)?)
}

/// The columns of bars.
pub(crate) fn take(rows: &Rows) -> Result<[Vec<f64>; 5]> {
    let mut out: [Vec<f64>; 5] = Default::default();
    for (out, name) in out.iter_mut().zip(COLUMNS) {
        let none = || Error::Usage(format!("there is no column {name:?} of doubles"));
        *out = rows.f64(name).ok_or_else(none)?.to_vec();
    }
    Ok(out)
}

/// Whether a bar that opens at `time` lies in a session.
pub(crate) fn is_open(sessions: &Sessions, time: i64) -> bool {
    let sessions = sessions.all();
    let at = sessions.partition_point(|session| session.open.end <= time);
    sessions.get(at).is_some_and(|session| session.open.start <= time)
}

/// Leaves out what takes no part: made-up bars unless the policy takes them, bars outside the sessions, and bars that are
/// not finite.
fn usable(rows: Rows, base: Timeframe, setup: &Setup) -> Result<Rows> {
    let columns = take(&rows)?;
    // Bars of days carry their date, which may lie outside of the hours.
    let within_days = base.step_ns().is_some_and(|step| step < DAY_NS);
    let sessions = setup.sessions.as_deref().filter(|_| within_days);
    let keeps = |row: usize, flags: u16| {
        (setup.gaps.takes_synthetic() || flags & flags::SYNTHETIC == 0)
            && columns.iter().all(|column| column[row].is_finite())
            && sessions.is_none_or(|sessions| is_open(sessions, rows.time()[row]))
    };
    let kept: Vec<usize> = rows
        .set
        .flags
        .iter()
        .enumerate()
        .filter(|(row, flags)| keeps(*row, *flags))
        .map(|(row, _)| row)
        .collect();
    if kept.len() == rows.len() {
        return Ok(rows);
    }
    let kinds: Vec<_> = rows.columns.iter().map(|column| (column.id, column.kind)).collect();
    let mut out = Rows { columns: rows.columns.clone(), set: RowSet::with_columns(&kinds) };
    for stretch in kept.chunk_by(|a, b| a + 1 == *b) {
        out.set.extend_from(&rows.set, stretch[0]..stretch[stretch.len() - 1] + 1);
    }
    Ok(out)
}

/// Does `count` pieces of work on up to `threads` threads; results in the order of their numbers.
pub(crate) fn in_parallel<T: Send>(count: usize, threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || count <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let mut out: Vec<(usize, T)> = std::thread::scope(|scope| {
        let run = || {
            let number = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count);
            std::iter::from_fn(number).map(|number| (number, work(number))).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..threads.min(count)).map(|_| scope.spawn(run)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("work does not panic")).collect()
    });
    out.sort_unstable_by_key(|(number, _)| *number);
    out.into_iter().map(|(_, made)| made).collect()
}

/// Computes factors of many instruments and timeframes in parallel. As many instruments as there are threads are held at
/// a time; `done` gets each frame with its factors, in the thread that computed them, or what went wrong with the
/// instrument. One failure never stops the rest.
pub fn compute_many(
    view: &View,
    sources: &[SeriesKey],
    range: &Range<i64>,
    setup: &Setup,
    threads: usize,
    done: impl Fn(&SeriesKey, Result<(&BarFrame, &Table)>) + Sync,
) {
    let threads = threads.max(1);
    for batch in sources.chunks(threads) {
        let inner = threads.div_ceil(batch.len());
        let loaded = in_parallel(batch.len(), threads, |number| {
            frames(view, &batch[number], range.clone(), setup, inner)
        });
        let mut work: Vec<(&SeriesKey, BarFrame)> = Vec::new();
        for (source, frames) in batch.iter().zip(loaded) {
            match frames {
                Ok(frames) => work.extend(frames.into_iter().map(|frame| (source, frame))),
                Err(error) => done(source, Err(error)),
            }
        }
        // The largest first, so that no thread is left with one at the end.
        work.sort_by_key(|(_, frame)| std::cmp::Reverse(frame.time.len()));
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(work.len()) {
                scope.spawn(|| {
                    let mut table = Table::default();
                    while let Some((source, frame)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        frame.compute(setup.selection, &mut table);
                        done(source, Ok((frame, &table)));
                    }
                });
            }
        });
    }
}
