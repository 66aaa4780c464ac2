//! Segments as the engine holds them: a file mapped on first use, and the parts in it.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, OnceLock};

use tapestore_format::checksum::Identity;
use tapestore_format::coverage::Run;
use tapestore_format::limits::BLOCK_ROWS;
use tapestore_format::manifest::SegmentRecord;
use tapestore_format::rows::{Mark, RowSet};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{PartIndex, PartSummary, Scratch, Segment, Stream, System, Verified};

use crate::error::{Error, Result};
use crate::io::{MappedBytes, Storage};
use crate::sync::{Mistake, mistaken};

/// Name of a segment file.
pub(crate) fn segment_name(id: u64) -> String {
    format!("segment-{id:012}.tape")
}

/// A sealed file. Mapped when first read; stays readable as long as it is held, even after the file is removed.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) identity: Identity,
    pub(crate) length: u64,
    pub(crate) level: u8,
    /// Number of parts: one means that a series has the segment for itself.
    pub(crate) parts: usize,
    storage: Arc<dyn Storage>,
    opened: OnceLock<Opened>,
}

struct Opened {
    map: Arc<dyn MappedBytes>,
    verified: Verified,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("bytes", &self.map.bytes().len()).finish_non_exhaustive()
    }
}

impl SegmentFile {
    pub(crate) fn new(storage: Arc<dyn Storage>, store: [u8; 16], record: &SegmentRecord) -> Self {
        Self {
            identity: Identity { store, file: record.id },
            length: record.length,
            level: record.level,
            parts: record.parts.len(),
            storage,
            opened: OnceLock::new(),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.identity.file
    }

    pub(crate) fn path(&self) -> String {
        self.storage.describe(&segment_name(self.id()))
    }

    /// Maps the file, if that has not happened yet.
    pub(crate) fn open(&self) -> Result<()> {
        if self.opened.get().is_some() {
            return Ok(());
        }
        let map = match self.storage.map(&segment_name(self.id()), self.length) {
            // Whoever removed it meanwhile mapped it first, for us (I7).
            Err(_) if self.opened.get().is_some() && !mistaken(Mistake::MapOnlyOnce) => return Ok(()),
            other => other.map_err(|error| Error::referred("mapping", self.path(), error))?,
        };
        // A race maps twice and keeps one.
        let _ = self.opened.set(Opened { map, verified: Verified::new(self.length) });
        Ok(())
    }

    /// The bytes, structured.
    pub(crate) fn segment(&self) -> Result<Segment<'_>> {
        self.open()?;
        let opened = self.opened.get().expect("opened above");
        Segment::open(opened.map.bytes(), self.identity, &opened.verified)
            .map_err(|error| Error::format(self.path(), error))
    }
}

/// The rows of one series in a segment.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) summary: PartSummary,
    index: OnceLock<Box<PartIndex>>,
    /// The last time of the first piece of rows that would become cold, once they are old enough.
    pub(crate) ages_at: OnceLock<i64>,
}

impl Part {
    pub(crate) fn new(file: Arc<SegmentFile>, summary: PartSummary) -> Self {
        Self { file, summary, index: OnceLock::new(), ages_at: OnceLock::new() }
    }

    pub(crate) fn live_span(&self) -> Option<(i64, i64)> {
        (self.summary.rows > 0).then_some((self.summary.first_time, self.summary.last_time))
    }

    pub(crate) fn history_span(&self) -> Option<(i64, i64)> {
        let summary = &self.summary;
        (summary.history_rows > 0).then_some((summary.history_first_time, summary.history_last_time))
    }

    /// Names the file in an error of the format.
    pub(crate) fn blame(&self, error: tapestore_format::FormatError) -> Error {
        Error::format(self.file.path(), error)
    }

    /// The part's index, read once.
    pub(crate) fn index(&self) -> Result<&PartIndex> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let segment = self.file.segment()?;
        let index = segment.part(self.summary.part).map_err(|error| self.blame(error))?;
        // What the manifest says of a part decides where rows are looked for: it must be what the part says itself.
        if index.summary != self.summary {
            return Err(Error::Inconsistent {
                path: self.file.path(),
                rule: "M6",
                offset: 0,
                detail: format!(
                    "part {} holds {} rows of series {}, and is not the one of {} rows of series {} that the manifest \
                     describes",
                    self.summary.part,
                    index.summary.rows,
                    index.summary.series,
                    self.summary.rows,
                    self.summary.series
                ),
            });
        }
        Ok(self.index.get_or_init(|| Box::new(index)))
    }

    pub(crate) fn marks(&self) -> Result<&[Mark]> {
        if self.summary.marks == 0 { Ok(&[]) } else { Ok(&self.index()?.marks) }
    }

    /// The runs of covered slots in `[start, end)`, in order.
    pub(crate) fn each_run(&self, slots: &Range<i64>, each: impl FnMut(Run)) -> Result<()> {
        let (index, segment) = (self.index()?, self.file.segment()?);
        let shown = index.each_run_within(&segment, slots.start, slots.end, each);
        shown.map_err(|error| self.blame(error))
    }

    /// How many slots in `[start, end)` are covered, from counts.
    pub(crate) fn slots_within(&self, slots: &Range<i64>, scratch: &mut Scratch) -> Result<u64> {
        let (index, segment) = (self.index()?, self.file.segment()?);
        let counted = index.slots_within(&segment, slots.start, slots.end, scratch);
        counted.map_err(|error| self.blame(error))
    }

    /// Hands the history rows in `[range.start, range.end)` whose life, from their version until another one, is wanted to
    /// `each`, at most a block at a time, with all system columns and these columns. Nothing is kept: a few bytes of a file
    /// may be rows without end.
    pub(crate) fn each_history(
        &self,
        range: &Range<i64>,
        columns: &[(ColumnId, ColumnType)],
        wanted: &dyn Fn(Range<u64>) -> bool,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(&RowSet) -> ControlFlow<()>,
    ) -> Result<()> {
        if self.history_span().is_none_or(|(first, last)| last < range.start || range.end <= first) {
            return Ok(());
        }
        let (index, segment) = (self.index()?, self.file.segment()?);
        let lives = System { version: true, ..System::NONE };
        let (mut system, mut times) = (RowSet::default(), Vec::new());
        for (number, place) in index.history.iter().enumerate() {
            if place.last_time < range.start || range.end <= place.first_time {
                continue;
            }
            let chunk = segment.chunk(index, Stream::History, number).map_err(|error| self.blame(error))?;
            let mut rows = 0..chunk.rows();
            if place.first_time < range.start || range.end <= place.last_time {
                times.clear();
                let read = chunk.times(index, rows, &mut times, scratch);
                read.map_err(|error| self.blame(error))?;
                let before = |end: i64| times.partition_point(|time| *time < end);
                rows = before(range.start)..before(range.end);
            }
            while rows.start < rows.end {
                let stop = rows.end.min((rows.start / BLOCK_ROWS + 1) * BLOCK_ROWS);
                let block = rows.start..stop;
                rows.start = stop;
                system.clear();
                let read = chunk.read(index, block.clone(), lives, &mut system, scratch);
                read.map_err(|error| self.blame(error))?;
                let is_wanted = |row: &usize| wanted(system.version.get(*row)..system.until.get(*row));
                let keep: Vec<usize> = (0..block.len()).filter(is_wanted).collect();
                let (Some(first), Some(last)) = (keep.first(), keep.last()) else { continue };
                let mut found = RowSet::with_columns(columns);
                let piece = block.start + first..block.start + last + 1;
                let read = chunk.read(index, piece, System::ALL, &mut found, scratch);
                read.map_err(|error| self.blame(error))?;
                if keep.len() < found.len() {
                    let mut rest = RowSet::with_columns(columns);
                    keep.iter().for_each(|row| rest.extend_from(&found, row - first..row - first + 1));
                    found = rest;
                }
                if each(&found).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::io::MemoryStorage;
    use crate::key::SeriesKey;
    use crate::options::Options;
    use crate::schema::SchemaBuilder;
    use crate::state::Layer;
    use crate::store::Store;
    use tapestore_format::rows::Values;
    use tapestore_format::schema::ColumnType;

    /// What the manifest says of a part decides where rows are looked for: a part that says otherwise is refused (M6).
    #[test]
    fn a_part_that_is_not_the_one_described_is_refused() {
        let options = Options { background: false, reserve_bytes: 0, ..Options::default() };
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options).unwrap();
        let key = SeriesKey::new("A", "t").unwrap();
        let mut transaction = store.begin();
        let schema = SchemaBuilder::unique().column("a", ColumnType::I64).build().unwrap();
        transaction.create_series(&key, schema).unwrap();
        transaction.upsert(&key, Batch::new(vec![5, 6]).with("a", Values::I64(vec![1, 2]))).unwrap();
        transaction.commit().unwrap();
        store.seal().unwrap();
        let state = store.shared.published.read().clone();
        let series = state.series(store.shared.catalog.series_id(&key).unwrap()).unwrap();
        let [Layer::Part(part)] = &series.layers[..] else { panic!("one sealed layer") };
        assert_eq!(part.index().unwrap().summary, part.summary);
        let changes: [fn(&mut PartSummary); 5] = [
            |summary| summary.rows += 1,
            |summary| summary.series += 1,
            |summary| summary.last_time += 1,
            |summary| summary.version_high += 1,
            |summary| summary.marks += 1,
        ];
        for change in changes {
            let mut summary = part.summary.clone();
            change(&mut summary);
            let error = Part::new(part.file.clone(), summary).index().unwrap_err().to_string();
            assert!(error.contains("rule M6"), "{error}");
        }
    }
}
