//! Sealing: what is in memory becomes a segment, and the logs that held it may go.
//!
//! # Invariants
//! - Z1. A segment is durable, with its directory entry, before the manifest names it (I3).
//! - Z2. A log is given up only by the step that adds the segment with its rows (I5).
//! - Z3. Readers see the same rows before and after.

use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::limits::CHUNK_ROWS;
use tapestore_format::manifest::{ManifestRecord, SegmentRecord, SeriesRecord};
use tapestore_format::rows::{Mark, MarkKind, ORDINAL, RowSet};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{Holds, PartSpec, SegmentSummary, SegmentWriter, Tier};
use tapestore_format::wal::LogStart;

use crate::apply::COMMITS;
use crate::error::{Error, Result};
use crate::io::StorageFile;
use crate::layer::{MemLayer, Retained, each_follows, merge_layers};
use crate::overlay::RowKey;
use crate::reserve::discard;
use crate::schema::ohlc_columns;
use crate::segment::{Part, SegmentFile, segment_name};
use crate::state::{Layer, SeriesState, State};
use crate::store::{Shared, WriterRole};
use crate::sync::{Mistake, mistaken};
use crate::wal::LogWriter;

/// Seals everything in memory. `false` if there was nothing.
pub(crate) fn seal(shared: &Shared, role: &WriterRole) -> Result<bool> {
    let _one_at_a_time = role.sealing.lock();
    let mut step = true;
    let result = role.pipeline.guard(|| seal_locked(shared, role, &mut step));
    if let Err(error) = &result
        && !matches!(error, Error::Poisoned { .. })
    {
        if step || !error.is_full_disk() {
            // It is unknown what became durable (I8).
            role.pipeline.poison(error);
        } else {
            role.reserve.give_up(&*shared.storage);
        }
    }
    role.pipeline.notify();
    result
}

/// `step` says whether it was at a file that counts when it failed.
fn seal_locked(shared: &Shared, role: &WriterRole, step: &mut bool) -> Result<bool> {
    let Some((frozen, generation, log_id)) = rotate(shared, role)? else { return Ok(false) };
    let id = role.maintenance.lock().allocate()?;
    *step = false;
    let storage = &*shared.storage;
    let sealed = role.reserve.keeping_back(storage, || {
        write_segment(shared, id, &frozen).inspect_err(|_| {
            // Nothing refers to it; a full disk wants its space back now.
            let _ = discard(storage, &segment_name(id));
        })
    })?;
    *step = true;
    publish(shared, role, &frozen, generation, log_id, sealed)?;
    Ok(true)
}

/// Writes what a frozen state has in memory as a segment; `None` if nobody can see any of it.
fn write_segment(shared: &Shared, id: u64, frozen: &State) -> Result<Option<SegmentRecord>> {
    let retained = shared.retained.read().clone();
    let ticks = frozen.series.iter().any(|series| holds_ticks(series) && is_in_memory(series));
    SegmentOutput::write(shared, Holds { ticks, ..Holds::default() }, 0, |holds| {
        let tier = shared.options.sealed_tier.unwrap_or(shared.options.tier);
        let mut output = SegmentOutput::create(shared, id, tier, holds)?;
        write_parts(&mut output, frozen, &retained)?;
        Ok(output)
    })
}

/// Whether a series has anything that no segment holds.
fn is_in_memory(series: &SeriesState) -> bool {
    series.layers.iter().any(|layer| matches!(layer, Layer::Mem(_)))
}

fn write_parts(output: &mut SegmentOutput, frozen: &State, retained: &Retained) -> Result<()> {
    for series in frozen.series.iter() {
        let layers = series.layers.iter().filter_map(|layer| match layer {
            Layer::Mem(mem) => Some(mem.clone()),
            Layer::Part(_) => None,
        });
        let mut layers: Vec<Arc<MemLayer>> = layers.collect();
        if layers.is_empty() {
            continue;
        }
        if !each_follows(&layers) {
            layers = vec![merge_layers(&layers, &|version| series.row_key(version))];
        }
        let bottom = !series.layers.iter().any(|layer| matches!(layer, Layer::Part(_)));
        write_part(output, series, &layers, bottom, retained)?;
    }
    Ok(())
}

/// Makes everything staged durable and goes on in a new log. `None` if there is nothing to seal.
fn rotate(shared: &Shared, role: &WriterRole) -> Result<Option<(Arc<State>, u64, u64)>> {
    // A handle that failed reserves no ids either (I8).
    role.pipeline.lock().check()?;
    // Ids first: the maintenance lock is never taken inside the pipeline's.
    let id = role.maintenance.lock().allocate()?;
    let mut inner = role.pipeline.quiesce(shared)?;
    if !inner.head.series.iter().any(|series| is_in_memory(series)) {
        return Ok(None);
    }
    let start = LogStart {
        previous_log: inner.log.id,
        previous_end: inner.log.frames.offset(),
        version: inner.head.version,
    };
    // The new log may be there with its start, however its creation ends: nobody goes on in the old one, behind the end that it names.
    inner.poisoned = Some("a panic while a new log was begun".into());
    let log = LogWriter::create(&*shared.storage, shared.store, id, start, inner.log.frames.next_sequence())
        .inspect_err(|error| inner.poisoned = Some(error.to_string()))?;
    inner.poisoned = None;
    let generation = inner.generation;
    inner.switch_log(shared, log);
    Ok(Some((inner.head.clone(), generation, id)))
}

/// Writes layers of a series, each of which follows the one before, as a part, without rows and marks that nobody can see.
fn write_part(
    output: &mut SegmentOutput,
    series: &SeriesState,
    layers: &[Arc<MemLayer>],
    bottom: bool,
    retained: &Retained,
) -> Result<()> {
    let marks = kept_marks(layers.iter().flat_map(|layer| &layer.marks), bottom);
    let rows = || layers.iter().flat_map(|layer| [&layer.live, &layer.history]);
    if rows().all(RowSet::is_empty) && marks.is_empty() {
        return Ok(());
    }
    let used: Vec<ColumnId> = rows().flat_map(|rows| &rows.columns).map(|column| column.0).collect();
    let newest = layers.last().expect("there is a layer");
    output.begin(series, newest.high, &used);
    for rows in layers.iter().map(|layer| &layer.live) {
        for start in (0..rows.len()).step_by(CHUNK_ROWS) {
            output.writer.push_live(rows, start..rows.len().min(start + CHUNK_ROWS));
            output.drain_if_large()?;
        }
    }
    for history in layers.iter().map(|layer| &layer.history) {
        let mut row = 0;
        while row < history.len() {
            let wanted = |row: usize| retained.wants(history.version.get(row), history.until.get(row));
            let start = row;
            while row < history.len() && wanted(row) {
                row += 1;
            }
            output.writer.push_history(history, start..row);
            row += 1;
        }
    }
    for mark in marks {
        output.writer.push_mark(mark);
    }
    output.end()
}

/// Marks that still mean something: at the bottom there is nothing left to delete.
pub(crate) fn kept_marks<'m>(marks: impl IntoIterator<Item = &'m Mark>, bottom: bool) -> Vec<Mark> {
    marks.into_iter().filter(|mark| !bottom || mark.kind != MarkKind::Delete).copied().collect()
}

/// Adds the segment to the manifest, gives up the logs, and swaps the layers.
fn publish(
    shared: &Shared,
    role: &WriterRole,
    frozen: &State,
    generation: u64,
    first_log: u64,
    sealed: Option<SegmentRecord>,
) -> Result<()> {
    let mut maintenance = role.maintenance.lock();
    let known = &maintenance.manifest.state;
    let mut records = Vec::new();
    for (name, id) in shared.catalog.sources().into_iter().zip(0..=u16::MAX).skip(known.sources.len()) {
        records.push(ManifestRecord::Source { id, name });
    }
    for series in frozen.series.iter() {
        let unchanged = known
            .series
            .get(&series.id)
            .is_some_and(|record| record.definitions.len() == series.definitions.len());
        if !unchanged {
            records.push(ManifestRecord::Series(series_record(series)));
        }
    }
    let file = sealed.as_ref().map(|record| shared.segment_file(record));
    let parts = sealed.as_ref().map(|record| record.parts.clone()).unwrap_or_default();
    records.extend(sealed.map(ManifestRecord::AddSegment));
    let mut state = maintenance.state();
    let old_logs = state.first_log..first_log;
    state.sealed_version = frozen.version;
    state.first_log = first_log;
    maintenance.publish(records, state)?;
    swap(shared, role, generation, file.as_ref(), &parts);
    for log in crate::wal::list_logs(&*shared.storage, old_logs.start)? {
        if old_logs.contains(&log) {
            maintenance.retire_log(log);
        }
    }
    maintenance.collect();
    Ok(())
}

pub(crate) fn series_record(series: &SeriesState) -> SeriesRecord {
    SeriesRecord {
        id: series.id,
        instrument: series.key.instrument().to_owned(),
        frame: series.key.frame().to_string(),
        definitions: series
            .definitions
            .iter()
            .map(|(version, schema)| (*version, schema.as_ref().map(|schema| (**schema).clone())))
            .collect(),
    }
}

/// Replaces the sealed layers by parts in the staged and the published state (Z3).
fn swap(
    shared: &Shared,
    role: &WriterRole,
    generation: u64,
    file: Option<&Arc<SegmentFile>>,
    parts: &[tapestore_format::segment::PartSummary],
) {
    let mut sealed: Vec<Option<Arc<Part>>> = Vec::new();
    for summary in parts {
        let file = file.expect("parts belong to a segment");
        let at = summary.series as usize;
        sealed.resize(sealed.len().max(at + 1), None);
        sealed[at] = Some(Arc::new(Part::new(file.clone(), summary.clone())));
    }
    let stale = mistaken(Mistake::SwapForgetsCommits).then(|| shared.published.read().clone());
    let mut inner = role.pipeline.lock_idle();
    let replace = |state: &State| {
        let mut next = state.clone();
        let mut left = 0;
        for series in state.series.iter() {
            let is_sealed = |layer: &Layer| matches!(layer, Layer::Mem(mem) if mem.generation <= generation);
            let rest = series.layers.iter().filter_map(|layer| match layer {
                Layer::Mem(mem) if mem.generation > generation => Some(mem.bytes()),
                _ => None,
            });
            left += rest.sum::<usize>();
            if !series.layers.iter().any(is_sealed) {
                continue;
            }
            let mut layers: Vec<Layer> =
                series.layers.iter().filter(|layer| matches!(layer, Layer::Part(_))).cloned().collect();
            layers.extend(sealed.get(series.id as usize).cloned().flatten().map(Layer::Part));
            layers.extend(
                series
                    .layers
                    .iter()
                    .filter(|layer| matches!(layer, Layer::Mem(_)) && !is_sealed(layer))
                    .cloned(),
            );
            next.series.set(series.id as usize, Arc::new(series.with_layers(layers)));
        }
        (Arc::new(next), left)
    };
    let (head, left) = replace(&inner.head);
    inner.memtable_bytes = left;
    let mut published = shared.published.write();
    *published = match stale {
        Some(stale) => replace(&stale).0,
        None if Arc::ptr_eq(&*published, &inner.head) => head.clone(),
        None => replace(&published).0,
    };
    inner.head = head;
}

/// Whether rows of the series may tell of one side each, in turn: no bars, and not the log of commits.
pub(crate) fn holds_ticks(series: &SeriesState) -> bool {
    series.id != COMMITS && series.key.frame().timeframe().is_none()
}

/// Bytes that are handed to the file together.
const DRAIN_BYTES: usize = 256 << 10;

/// A segment being written to its file, piece by piece.
pub(crate) struct SegmentOutput {
    pub(crate) writer: SegmentWriter,
    file: Arc<dyn StorageFile>,
    path: String,
    pub(crate) id: u64,
    pub(crate) written: u64,
    parts: usize,
    holds: Holds,
}

impl SegmentOutput {
    /// A new segment of a tier.
    pub(crate) fn create(shared: &Shared, id: u64, tier: Tier, holds: Holds) -> Result<Self> {
        let path = shared.storage.describe(&segment_name(id));
        let file = shared
            .storage
            .create_new(&segment_name(id))
            .map_err(|error| Error::io("creating", path.as_str(), error))?;
        let identity = Identity { store: shared.store, file: id };
        let writer = SegmentWriter::holding(identity, tier, holds);
        Ok(Self { writer, file, path, id, written: 0, parts: 0, holds })
    }

    /// Writes a segment, and once more if it turns out that it would be smaller with factors: its header has to announce
    /// them before anybody knows.
    pub(crate) fn write(
        shared: &Shared,
        mut holds: Holds,
        level: u8,
        mut write: impl FnMut(Holds) -> Result<Self>,
    ) -> Result<Option<SegmentRecord>> {
        let mut output = write(holds)?;
        if output.writer.lacks_factors() {
            output.remove(shared)?;
            holds.factors = true;
            output = write(holds)?;
        }
        output.finish(shared, level)
    }

    /// Removes the file: nothing refers to it.
    fn remove(&self, shared: &Shared) -> Result<()> {
        let removed = shared.storage.remove(&segment_name(self.id));
        removed.map_err(|error| Error::io("removing", self.path.as_str(), error))
    }

    /// Begins the part of a series up to a version; `used` are the columns that its rows have.
    pub(crate) fn begin(&mut self, series: &SeriesState, version: u64, used: &[ColumnId]) {
        let mut columns: Vec<(ColumnId, ColumnType)> = Vec::new();
        for schema in series.definitions.iter().filter_map(|definition| definition.1.as_ref()) {
            for column in &schema.columns {
                if used.contains(&column.id) && columns.iter().all(|known| known.0 != column.id) {
                    columns.push((column.id, column.kind));
                }
            }
        }
        if used.contains(&ORDINAL) {
            columns.push((ORDINAL, ColumnType::I64));
        }
        let newest = series.newest_schema();
        let ohlc = newest
            .and_then(|schema| ohlc_columns(schema))
            .filter(|ids| ids.iter().all(|id| columns.iter().any(|column| column.0 == *id)));
        self.writer.begin_part(PartSpec {
            series: series.id,
            columns,
            timeframe: series.key.frame().timeframe(),
            unique: series.row_key(version) == RowKey::Time,
            ohlc,
        });
        self.parts += 1;
    }

    /// Rows before this time become cold, if the segment may hold such.
    pub(crate) fn cold_before(&mut self, time: i64) {
        if self.holds.aging {
            self.writer.cold_before(time);
        }
    }

    pub(crate) fn end(&mut self) -> Result<()> {
        self.writer.end_part();
        self.drain_if_large()
    }

    fn drain_if_large(&mut self) -> Result<()> {
        if self.writer.output().len() < DRAIN_BYTES {
            return Ok(());
        }
        self.drain()
    }

    /// Hands what was produced so far to the file.
    pub(crate) fn drain(&mut self) -> Result<()> {
        let bytes = self.writer.output();
        self.file
            .write_at(self.written, bytes)
            .map_err(|error| Error::io("writing", self.path.as_str(), error))?;
        self.written += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }

    /// Finishes the file and makes it durable (Z1). Without a part the file is removed again.
    fn finish(mut self, shared: &Shared, level: u8) -> Result<Option<SegmentRecord>> {
        if self.parts == 0 {
            self.remove(shared)?;
            return Ok(None);
        }
        let SegmentSummary { length, hash, parts } = self.writer.finish();
        self.drain()?;
        self.file.sync_all().map_err(|error| Error::io("syncing", self.path.as_str(), error))?;
        shared
            .storage
            .sync_dir("")
            .map_err(|error| Error::io("syncing the directory of", self.path.as_str(), error))?;
        debug_assert_eq!(length, self.written);
        Ok(Some(SegmentRecord { id: self.id, length, hash, level, parts }))
    }
}
