//! What changed in a series since a version: for whoever keeps something that was computed from it.
//!
//! # Invariants
//! - Z1. Outside of the ranges given, the series shows the same rows at both versions. Inside it may, too.

use std::ops::{ControlFlow, Range};

use tapestore_format::limits::{TIME_MAX, TIME_MIN};
use tapestore_format::rows::{MarkKind, RowSet};
use tapestore_format::segment::{Scratch, Stream, System};

use crate::error::{Error, Result};
use crate::key::SeriesKey;
use crate::scan::chunks_of;
use crate::segment::Part;
use crate::state::Layer;
use crate::view::View;

impl View {
    /// The ranges of time in which the series may differ from what it was at `version`: sorted, disjoint, those nearer
    /// to each other than `melt_ns` as one. `None` if nothing is known, because that version was pruned.
    ///
    /// Costs the rows written since, and where they lie in one segment with older ones, a look at the times and versions
    /// of that segment.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the series does not exist at this view's version, [`Error::Usage`] if `version` is newer.
    pub fn changes_since(
        &self,
        key: &SeriesKey,
        version: u64,
        melt_ns: i64,
    ) -> Result<Option<Vec<Range<i64>>>> {
        let (series, _) = self.find(key)?;
        if version > self.version() {
            let newest = self.version();
            return Err(Error::Usage(format!(
                "changes since version {version} in a view of version {newest}"
            )));
        }
        if !self.retains(version) {
            return Ok(None);
        }
        let redefined = series.definitions.last().is_some_and(|definition| definition.0 > version);
        if redefined || series.schema_at(version).is_none() {
            return Ok(Some(vec![TIME_MIN..TIME_MAX + 1]));
        }
        let mut changes =
            Changes { since: version, now: self.version(), melt_ns: melt_ns.max(0), ranges: Vec::new() };
        for layer in series.layers.iter().filter(|layer| layer.high() > version) {
            match layer {
                Layer::Mem(layer) => {
                    changes.written(&layer.live);
                    changes.replaced(&layer.history);
                }
                Layer::Part(part) => {
                    changes.part(part)?;
                    changes.replaced_in(part)?;
                }
            }
            let deletes = layer.marks()?.iter().filter(|mark| mark.kind == MarkKind::Delete);
            for mark in deletes.filter(|mark| mark.version > version) {
                changes.add(mark.start, mark.end);
            }
        }
        Ok(Some(changes.settled()))
    }
}

struct Changes {
    since: u64,
    now: u64,
    melt_ns: i64,
    ranges: Vec<Range<i64>>,
}

impl Changes {
    fn add(&mut self, start: i64, end: i64) {
        match self.ranges.last_mut() {
            Some(last) if last.start <= start && start <= last.end.saturating_add(self.melt_ns) => {
                last.end = last.end.max(end);
            }
            _ => self.ranges.push(start..end),
        }
    }

    /// Rows written since; that they may be hidden again does no harm (Z1).
    fn written(&mut self, live: &RowSet) {
        for (rows, version) in live.version.pieces(0..live.len()) {
            if version > self.since {
                live.time[rows].iter().for_each(|time| self.add(*time, time + 1));
            }
        }
    }

    /// Rows that one of the two versions shows and the other does not, in the layer that holds them.
    fn replaced(&mut self, history: &RowSet) {
        for row in 0..history.len() {
            let life = history.version.get(row)..history.until.get(row);
            if life.contains(&self.since) != life.contains(&self.now) {
                self.add(history.time[row], history.time[row] + 1);
            }
        }
    }

    /// The same of a sealed layer.
    fn replaced_in(&mut self, part: &Part) -> Result<()> {
        let (since, now) = (self.since, self.now);
        let differs = |life: Range<u64>| life.contains(&since) != life.contains(&now);
        part.each_history(&(i64::MIN..i64::MAX), &[], &differs, &mut Scratch::pooled(), &mut |rows| {
            self.replaced(rows);
            ControlFlow::Continue(())
        })
    }

    fn part(&mut self, part: &Part) -> Result<()> {
        let (index, segment) = (part.index()?, part.file.segment()?);
        let system = System { time: true, version: true, ..System::NONE };
        let (mut rows, mut scratch) = (RowSet::default(), Scratch::pooled());
        for (number, _, wanted) in chunks_of(index, 0..part.summary.rows) {
            rows.clear();
            let chunk = segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
            chunk.read(index, wanted, system, &mut rows, &mut scratch).map_err(|error| part.blame(error))?;
            self.written(&rows);
        }
        Ok(())
    }

    fn settled(mut self) -> Vec<Range<i64>> {
        let mut ranges = std::mem::take(&mut self.ranges);
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        ranges.into_iter().for_each(|range| self.add(range.start, range.end));
        self.ranges
    }
}
