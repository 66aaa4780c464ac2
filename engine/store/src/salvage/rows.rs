//! Copying what is left of a part, block by block.
//!
//! A row is saved if its time, version, source and flags, the commit that ended it (history), and the columns that tell it
//! from others can be read. Values of other columns that cannot are null.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tapestore_format::limits::{BLOCK_ROWS, TIME_MAX, TIME_MIN};
use tapestore_format::rows::{ColumnValues, ORDINAL, RowSet};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{Chunk, RemainingPart, Remains, Scratch, SegmentWriter, Stream, System};

use super::Output;
use super::report::{Loss, LossKind};
use crate::error::Result;

/// What copying a part came to.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) rows: u64,
    pub(super) history_rows: u64,
    pub(super) losses: Vec<Loss>,
    /// Columns of which values are lost.
    pub(super) columns: Vec<ColumnId>,
    /// Times between which live rows are lost, inclusive.
    pub(super) holes: Vec<(i64, i64)>,
    /// Lowest and highest commit of the rows that were saved.
    pub(super) versions: Option<(u64, u64)>,
    /// One more than the highest number of a source that a saved row names.
    pub(super) sources: usize,
}

impl Copied {
    fn saw(&mut self, version: u64) {
        let (low, high) = self.versions.unwrap_or((version, version));
        self.versions = Some((low.min(version), high.max(version)));
    }
}

/// One more than the highest number of a source that a row names.
pub(super) fn sources_of(rows: &RowSet) -> usize {
    rows.source.pieces(0..rows.source.len()).map(|(_, source)| usize::from(source) + 1).max().unwrap_or(0)
}

/// A part and where it goes.
pub(super) struct PartCopy<'a> {
    pub(super) remains: Remains<'a>,
    pub(super) part: &'a RemainingPart,
    /// The file, for losses.
    pub(super) file: String,
    pub(super) series: Option<String>,
    /// Columns without which a row is not known from others.
    pub(super) keys: Vec<ColumnId>,
    /// Names of columns.
    pub(super) names: BTreeMap<ColumnId, String>,
    /// Where the manifest is not whole: columns of the newest definition that is left. Newest rows with a value in another
    /// one were written under a definition that is lost.
    pub(super) shown: Option<BTreeSet<ColumnId>>,
    /// Rows that the manifest counts, live and history; unknown without it.
    pub(super) counted: Option<[u64; 2]>,
}

impl PartCopy<'_> {
    /// Copies the rows of both streams. Without an output, only looks.
    pub(super) fn run(&self, mut output: Option<&mut Output>) -> Result<Copied> {
        let mut copied = Copied::default();
        let mut scratch = Scratch::pooled();
        for stream in [Stream::Live, Stream::History] {
            let mut last = i64::MIN;
            let mut next_row = 0;
            let chunks = self.part.index.chunks(stream);
            for (at, place) in chunks.iter().enumerate() {
                if place.first_row > next_row {
                    let after = chunks[..at].last().map_or(TIME_MIN, |chunk| chunk.last_time);
                    let times = (after, place.first_time);
                    self.lose_rows(
                        &mut copied,
                        stream,
                        next_row..place.first_row,
                        times,
                        "the chunk is lost",
                    );
                }
                next_row = place.first_row + u64::from(place.rows);
                let writer = output.as_deref_mut().map(|output| &mut output.writer);
                self.chunk(&mut copied, stream, at, &mut last, writer, &mut scratch);
                if let Some(output) = &mut output {
                    output.drain()?;
                }
            }
            let counted = self.counted.map_or(next_row, |counted| counted[stream as usize]);
            if counted > next_row {
                let after = chunks.last().map_or(TIME_MIN, |chunk| chunk.last_time);
                self.lose_rows(
                    &mut copied,
                    stream,
                    next_row..counted,
                    (after, TIME_MAX),
                    "the chunk is lost",
                );
            }
        }
        Ok(copied)
    }

    fn chunk(
        &self,
        copied: &mut Copied,
        stream: Stream,
        at: usize,
        last: &mut i64,
        mut writer: Option<&mut SegmentWriter>,
        scratch: &mut Scratch,
    ) {
        let place = self.part.index.chunks(stream)[at];
        let chunk = match self.remains.chunk(self.part, stream, at) {
            Ok(chunk) => chunk,
            Err(error) => {
                let rows = place.first_row..place.first_row + u64::from(place.rows);
                self.lose_rows(copied, stream, rows, (place.first_time, place.last_time), &error.to_string());
                return;
            }
        };
        for start in (0..chunk.rows()).step_by(BLOCK_ROWS) {
            let range = start..chunk.rows().min(start + BLOCK_ROWS);
            let numbers = place.first_row + range.start as u64..place.first_row + range.end as u64;
            let block = Block { copy: self, chunk: &chunk, at, range };
            let rows = block.keyed(scratch).and_then(|rows| {
                let strict = self.part.index.unique && stream == Stream::Live;
                let mut before = *last;
                let ordered = rows.time.iter().all(|time| {
                    let fits = *time > before || (*time == before && !strict);
                    before = *time;
                    fits && (TIME_MIN..=TIME_MAX).contains(time)
                });
                if ordered { Ok(rows) } else { Err("times are out of order".to_owned()) }
            });
            let mut rows = match rows {
                Ok(rows) => rows,
                Err(why) => {
                    let known = self.remains.times(self.part, at, &chunk, block.range.clone(), scratch);
                    let known = known.ok().and_then(|times| Some((*times.first()?, *times.last()?)));
                    let times = known.unwrap_or(((*last).max(place.first_time), place.last_time));
                    self.lose_rows(copied, stream, numbers, times, &why);
                    continue;
                }
            };
            *last = rows.time.last().copied().unwrap_or(*last);
            for (id, kind) in &self.part.index.columns {
                if self.keys.contains(id) || *id == ORDINAL {
                    continue;
                }
                if !self.names.contains_key(id) {
                    let why = "the name of the column is lost with the manifest; its values are not saved";
                    self.lose_values(copied, stream, numbers.clone(), &rows, *id, why);
                    continue;
                }
                let values = block.column(*id, *kind, scratch).unwrap_or_else(|error| {
                    let why = format!("{error}; saved as null");
                    self.lose_values(copied, stream, numbers.clone(), &rows, *id, &why);
                    let mut nulls = ColumnValues::empty(*kind);
                    nulls.push_nulls(rows.len());
                    nulls
                });
                let hidden = self.shown.as_ref().is_some_and(|shown| !shown.contains(id));
                if hidden && stream == Stream::Live && !(0..rows.len()).all(|row| values.is_null(row)) {
                    let why = "the definition of the series with this column is lost with the manifest; its values are not shown";
                    self.lose_values(copied, stream, numbers.clone(), &rows, *id, why);
                }
                rows.columns.push((*id, values));
            }
            let versions = rows.version.pieces(0..rows.len()).chain(rows.until.pieces(0..rows.until.len()));
            versions.for_each(|(_, version)| copied.saw(version));
            copied.sources = copied.sources.max(sources_of(&rows));
            match stream {
                Stream::Live => copied.rows += rows.len() as u64,
                Stream::History => copied.history_rows += rows.len() as u64,
            }
            if let Some(writer) = &mut writer {
                match stream {
                    Stream::Live => writer.push_live(&rows, 0..rows.len()),
                    Stream::History => writer.push_history(&rows, 0..rows.len()),
                }
            }
        }
    }

    fn lose_rows(&self, copied: &mut Copied, stream: Stream, rows: Range<u64>, times: (i64, i64), why: &str) {
        if stream == Stream::Live {
            copied.holes.push(times);
        }
        let mut loss = self.loss(LossKind::Rows, stream, rows, times, why);
        // Neighbouring blocks that are lost for one reason are one loss.
        if let Some(before) = copied.losses.last_mut()
            && before.kind == LossKind::Rows
            && (before.history, &before.detail) == (loss.history, &loss.detail)
            && before.rows.as_ref().map(|rows| rows.end) == loss.rows.as_ref().map(|rows| rows.start)
        {
            extend(before, &loss);
            return;
        }
        loss.count = loss.rows.as_ref().map_or(0, |rows| rows.end - rows.start);
        copied.losses.push(loss);
    }

    fn lose_values(
        &self,
        copied: &mut Copied,
        stream: Stream,
        numbers: Range<u64>,
        rows: &RowSet,
        column: ColumnId,
        why: &str,
    ) {
        if !copied.columns.contains(&column) {
            copied.columns.push(column);
        }
        let times = (rows.time[0], rows.time[rows.len() - 1]);
        let mut loss = self.loss(LossKind::Values, stream, numbers, times, why);
        loss.column = Some(self.names.get(&column).cloned().unwrap_or_else(|| format!("column {column}")));
        loss.count = rows.len() as u64;
        let before = copied.losses.iter_mut().rev().find(|before| {
            before.kind == LossKind::Values && before.column == loss.column && before.history == loss.history
        });
        match before {
            Some(before)
                if before.rows.as_ref().map(|rows| rows.end) == loss.rows.as_ref().map(|rows| rows.start) =>
            {
                extend(before, &loss);
            }
            _ => copied.losses.push(loss),
        }
    }

    fn loss(&self, kind: LossKind, stream: Stream, rows: Range<u64>, times: (i64, i64), why: &str) -> Loss {
        let mut loss = Loss::new(kind, self.file.clone(), why);
        loss.series.clone_from(&self.series);
        loss.history = stream == Stream::History;
        loss.rows = Some(rows);
        loss.times = Some(times);
        loss
    }
}

fn extend(before: &mut Loss, next: &Loss) {
    let (Some(rows), Some(more)) = (&mut before.rows, &next.rows) else { return };
    rows.end = more.end;
    before.count = rows.end - rows.start;
    if let (Some(times), Some(more)) = (&mut before.times, next.times) {
        *times = (times.0.min(more.0), times.1.max(more.1));
    }
}

/// The rows of a chunk in one block.
struct Block<'a> {
    copy: &'a PartCopy<'a>,
    chunk: &'a Chunk<'a>,
    at: usize,
    range: Range<usize>,
}

impl Block<'_> {
    /// The rows with all that makes them rows, and without other values.
    fn keyed(&self, scratch: &mut Scratch) -> std::result::Result<RowSet, String> {
        let part = self.copy.part;
        let system = System { time: false, ..System::ALL };
        let known = part.index.columns.iter().copied();
        let keys: Vec<_> = known.filter(|(id, _)| self.copy.keys.contains(id) || *id == ORDINAL).collect();
        let mut rows = RowSet::with_columns(&keys);
        let read = self.chunk.read(&part.index, self.range.clone(), system, &mut rows, scratch);
        read.map_err(|error| error.to_string())?;
        let times = self.copy.remains.times(part, self.at, self.chunk, self.range.clone(), scratch);
        rows.time = times.map_err(|error| error.to_string())?;
        Ok(rows)
    }

    fn column(
        &self,
        id: ColumnId,
        kind: ColumnType,
        scratch: &mut Scratch,
    ) -> tapestore_format::Result<ColumnValues> {
        let mut one = RowSet::with_columns(&[(id, kind)]);
        let part = &self.copy.part.index;
        self.chunk.read(part, self.range.clone(), System::NONE, &mut one, scratch)?;
        Ok(one.columns.remove(0).1)
    }
}
