//! One new bar into the factors of all timeframes, from states that are kept.

use std::ops::Range;
use std::sync::Arc;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{RowSet, Rows, SeriesKey, Values, schema};
use tapestore_query::resample::Resampler;

use crate::bars::Bar;
use crate::catalog::COUNT;
use crate::error::{Error, Result};
use crate::frame::{Setup, is_open, resampler, take};
use crate::gaps::Continuity;
use crate::live::Live;

/// The states of all timeframes of one instrument. Takes finished bars of the source in order of time and gives, for each
/// timeframe, the bars that are finished by them with their factors: the bits of [`crate::frames`] and [`crate::compute`].
#[derive(Clone, Debug)]
pub struct Stream {
    step: Timeframe,
    lanes: Vec<Lane>,
    setup: Setup,
    last_ns: Option<i64>,
    row: Rows,
}

#[derive(Clone, Debug)]
struct Lane {
    continuity: Continuity,
    /// `None` for the timeframe of the source.
    resampler: Option<Resampler>,
    live: Live,
    last_ns: Option<i64>,
}

/// The factors of a bar that is finished.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// The length of the bar.
    pub timeframe: Timeframe,
    /// Its open time: nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// One value for each of the 72 columns.
    pub values: &'a [f64; COUNT],
}

impl Stream {
    /// Before the first bar. Confirmed absences are those of the source, sorted and disjoint.
    ///
    /// # Errors
    /// [`Error::Usage`] if the source holds no bars, or a timeframe cannot be made of them.
    pub fn new(source: &SeriesKey, setup: &Setup, absences: Vec<Range<i64>>) -> Result<Self> {
        let none = || Error::Usage(format!("{source} holds no bars; factors are made of bars"));
        let step = source.frame().timeframe().ok_or_else(none)?;
        let absences = Arc::new(absences);
        let lane = |timeframe: &Timeframe| {
            let resampler = (*timeframe != step).then(|| resampler(source, *timeframe, setup)).transpose()?;
            let continuity = setup.continuity(*timeframe, &absences);
            Ok(Lane { continuity, resampler, live: Live::new(setup.selection), last_ns: None })
        };
        let lanes = setup.timeframes.iter().map(lane).collect::<Result<_>>()?;
        let row = Rows { columns: schema::bars().columns, set: RowSet::default() };
        Ok(Self { step, lanes, setup: setup.clone(), last_ns: None, row })
    }

    /// Takes the bar of the source that opened at `time_ns` and is finished now; `done` gets every bar that it finishes.
    /// A bar outside the sessions, or that is not finite, is left out.
    ///
    /// # Errors
    /// [`Error::Usage`] if it does not come after the one before.
    pub fn push(&mut self, time_ns: i64, bar: &Bar, mut done: impl FnMut(Finished<'_>)) -> Result<()> {
        if let Some(last) = self.last_ns.filter(|last| *last >= time_ns) {
            return Err(Error::Usage(format!(
                "a bar of {time_ns} after one of {last}; start anew from before it"
            )));
        }
        if !bar.is_finite() || !self.takes(time_ns) {
            return Ok(());
        }
        self.last_ns = Some(time_ns);
        let until = match self.step.step_ns() {
            Some(step) => time_ns + step,
            None => self.step.slot_start(self.step.slot(time_ns) + 1),
        };
        self.row.set = RowSet {
            time: vec![time_ns],
            flags: tapestore::RunVec::constant(0, 1),
            columns: (0..)
                .zip([bar.open, bar.high, bar.low, bar.close, bar.volume])
                .map(|(id, value)| (id, Values::F64(vec![value]).into()))
                .collect(),
            ..RowSet::default()
        };
        for lane in &mut self.lanes {
            lane.push(&self.row, bar, until, &mut done)?;
        }
        Ok(())
    }
}

impl Stream {
    fn takes(&self, time_ns: i64) -> bool {
        let within_days = self.step.step_ns().is_some_and(|step| step < DAY_NS);
        !within_days || self.setup.sessions.as_deref().is_none_or(|sessions| is_open(sessions, time_ns))
    }
}

impl Lane {
    fn push(&mut self, row: &Rows, bar: &Bar, until: i64, done: &mut impl FnMut(Finished<'_>)) -> Result<()> {
        let Some(resampler) = &mut self.resampler else {
            self.finish(row.time()[0], bar, done);
            return Ok(());
        };
        resampler.push(row)?;
        let finished = resampler.clone().finish(Some(until), false).rows;
        resampler.take();
        let columns = take(&finished)?;
        for (number, time) in finished.time().iter().enumerate() {
            // A bar that its last row finished is met again when the next one begins.
            if self.last_ns.is_some_and(|last| *time <= last) {
                continue;
            }
            let [open, high, low, close, volume] =
                [0, 1, 2, 3, 4].map(|column: usize| columns[column][number]);
            self.finish(*time, &Bar { open, high, low, close, volume }, done);
        }
        Ok(())
    }

    fn finish(&mut self, time: i64, bar: &Bar, done: &mut impl FnMut(Finished<'_>)) {
        if self.last_ns.is_some_and(|last| !self.continuity.follows(last, time)) {
            self.live.restart();
        }
        self.last_ns = Some(time);
        done(Finished { timeframe: self.continuity.timeframe, time_ns: time, values: self.live.push(bar) });
    }
}
