//! The manifest on disk: loading it, and publishing steps.
//!
//! Layout and invariants: `tapestore_format::manifest`, `format-spec/manifest.md`.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::{FrameWriter, RecordAssembler};
use tapestore_format::manifest::{
    CURRENT_BYTES, Current, ManifestRecord, SegmentRecord, SeriesRecord, SnapshotRecord, StateRecord,
};

use crate::error::{Error, Result};
use crate::frames::{FrameStream, Stop};
use crate::io::{Storage, StorageFile};
use crate::reserve::discard;

pub(crate) const CURRENT: &str = "CURRENT";
pub(crate) const CURRENT_NEW: &str = "current.new";
/// A manifest this much longer than twice what a checkpoint would take is written anew.
const REWRITE_SLACK_BYTES: u64 = 1 << 20;

/// Name of a manifest file.
pub(crate) fn manifest_name(id: u64) -> String {
    format!("manifest-{id:012}.tape")
}

/// What the records of a manifest add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ManifestState {
    pub(crate) sources: Vec<String>,
    pub(crate) series: BTreeMap<u32, SeriesRecord>,
    pub(crate) segments: BTreeMap<u64, SegmentRecord>,
    pub(crate) snapshots: BTreeMap<String, SnapshotRecord>,
    pub(crate) state: StateRecord,
}

impl ManifestState {
    fn apply(&mut self, record: ManifestRecord) -> std::result::Result<(), String> {
        match record {
            ManifestRecord::State(state) => self.state = state,
            ManifestRecord::Source { id, name } => {
                if id as usize != self.sources.len() {
                    return Err(format!("source id {id} leaves a hole"));
                }
                self.sources.push(name);
            }
            ManifestRecord::Series(series) => {
                if series.id as usize > self.series.len() {
                    return Err(format!("series id {} leaves a hole", series.id));
                }
                self.series.insert(series.id, series);
            }
            ManifestRecord::AddSegment(segment) => {
                let id = segment.id;
                if self.segments.insert(id, segment).is_some() {
                    return Err(format!("segment {id} is added twice"));
                }
            }
            ManifestRecord::RemoveSegment(id) => {
                if self.segments.remove(&id).is_none() {
                    return Err(format!("segment {id} is removed but was never added"));
                }
            }
            ManifestRecord::Snapshot(snapshot) => {
                self.snapshots.insert(snapshot.name.clone(), snapshot);
            }
            ManifestRecord::DropSnapshot(name) => {
                self.snapshots.remove(&name);
            }
        }
        Ok(())
    }

    /// The records of a checkpoint, without the closing state.
    fn checkpoint(&self) -> impl Iterator<Item = ManifestRecord> + '_ {
        let sources = self.sources.iter().zip(0..=u16::MAX);
        sources
            .map(|(name, id)| ManifestRecord::Source { id, name: name.clone() })
            .chain(self.series.values().cloned().map(ManifestRecord::Series))
            .chain(self.segments.values().cloned().map(ManifestRecord::AddSegment))
            .chain(self.snapshots.values().cloned().map(ManifestRecord::Snapshot))
    }
}

/// Reads `CURRENT`; `None` if there is none.
pub(crate) fn read_current(storage: &dyn Storage) -> Result<Option<Current>> {
    let path = || storage.describe(CURRENT);
    let file = match storage.open_read(CURRENT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| Error::io("opening", path(), error))?,
    };
    let failed = |error| Error::io("reading", path(), error);
    // A byte more than there should be is enough to see that there are too many (M4).
    let length = file.length().map_err(failed)?.min(CURRENT_BYTES as u64 + 1);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(0, &mut bytes).map_err(failed)?;
    Current::decode(&bytes).map(Some).map_err(|error| Error::format(path(), error))
}

/// Loads the manifest that `current` points to, and the sequence number of its next frame.
///
/// # Errors
/// M1: any byte up to the length in `current` that does not validate.
pub(crate) fn load(storage: &dyn Storage, current: &Current) -> Result<(ManifestState, u64)> {
    let name = manifest_name(current.manifest);
    let path = storage.describe(&name);
    let identity = Identity { store: current.store, file: current.manifest };
    let file = storage.open_read(&name).map_err(|error| Error::referred("opening", path.as_str(), error))?;
    let length = file.length().map_err(|error| Error::io("reading", path.as_str(), error))?;
    if length < current.length || current.length < HEADER_BYTES as u64 {
        let detail = format!("manifest has {length} bytes, CURRENT counts {}", current.length);
        return Err(Error::Inconsistent { path, rule: "M1", offset: length, detail });
    }
    let failed = |error| Error::io("reading", path.as_str(), error);
    let broken = |error| Error::format(path.as_str(), error);
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(0, &mut header).map_err(failed)?;
    FileHeader::check(&header, FileKind::Manifest, &identity).map_err(broken)?;
    let mut frames = FrameStream::new(file, identity, HEADER_BYTES as u64, current.length, Some(0));
    let mut assembler = RecordAssembler::default();
    let mut state = ManifestState::default();
    let mut complete = false;
    let stopped = |stop| match stop {
        Stop::Io(error) => failed(error),
        Stop::Format(error) => broken(error),
    };
    while let Some(frame) = frames.next_frame().map_err(stopped)? {
        let Some((kind, record)) = assembler.push(&frame).map_err(broken)? else { continue };
        let record =
            ManifestRecord::decode(kind, record).map_err(|error| broken(error.shifted(frame.offset)))?;
        complete = matches!(record, ManifestRecord::State(_));
        state.apply(record).map_err(|detail| Error::Inconsistent {
            path: path.clone(),
            rule: "M5",
            offset: frame.offset,
            detail,
        })?;
    }
    if !complete || assembler.is_open() || state.state.step != current.step {
        let detail = format!("step {} is not complete where CURRENT says so", current.step);
        return Err(Error::Inconsistent { path, rule: "M2", offset: current.length, detail });
    }
    Ok((state, frames.next_sequence().unwrap_or(0)))
}

/// The manifest of a store opened for writing.
#[derive(Debug)]
pub(crate) struct Manifest {
    storage: Arc<dyn Storage>,
    pub(crate) current: Current,
    pub(crate) state: ManifestState,
    file: Arc<dyn StorageFile>,
    writer: FrameWriter,
    /// Why a step failed, if one did or is under way: the writer and the state are ahead of what counts then.
    failed: Option<String>,
    /// About what a checkpoint of the state would take, and how much of that each record.
    live_bytes: u64,
    record_bytes: BTreeMap<Slot, u64>,
}

/// What a step replaced: files that the next garbage collection may remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// The manifest before one that was written anew, or one for which there was no space.
    pub(crate) manifest: Option<u64>,
}

impl Manifest {
    /// Writes the first manifest of a store and its `CURRENT`.
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        store: [u8; 16],
        created: i64,
        state: ManifestState,
        id: u64,
    ) -> Result<Self> {
        let current = Current { store, manifest: id, length: 0, step: 0, created };
        Self::write_anew(storage, current, state, id)
    }

    /// Goes on with a loaded manifest. Bytes behind its end are overwritten: they belong to no step.
    pub(crate) fn reopen(
        storage: Arc<dyn Storage>,
        current: Current,
        state: ManifestState,
        next_sequence: u64,
    ) -> Result<Self> {
        let name = manifest_name(current.manifest);
        let file =
            storage.open(&name).map_err(|error| Error::io("opening", storage.describe(&name), error))?;
        let identity = Identity { store: current.store, file: current.manifest };
        let writer = FrameWriter::new(identity, current.length, next_sequence);
        let (live_bytes, record_bytes) = (0, BTreeMap::new());
        let mut manifest =
            Self { storage, current, state, file, writer, failed: None, live_bytes, record_bytes };
        let sizes: Vec<_> =
            manifest.state.checkpoint().map(|record| (slot(&record), record.encode().len())).collect();
        for (segment, bytes) in sizes {
            manifest.count(segment, bytes);
        }
        Ok(manifest)
    }

    fn write_anew(
        storage: Arc<dyn Storage>,
        mut current: Current,
        mut state: ManifestState,
        id: u64,
    ) -> Result<Self> {
        let name = manifest_name(id);
        let failed = |action, error| Error::io(action, storage.describe(&name), error);
        let identity = Identity { store: current.store, file: id };
        current.manifest = id;
        current.step += 1;
        state.state.step = current.step;
        let mut bytes = FileHeader::new(FileKind::Manifest, identity).encode().to_vec();
        let mut writer = FrameWriter::new(identity, HEADER_BYTES as u64, 0);
        let mut sizes = Vec::new();
        for record in state.checkpoint().chain([ManifestRecord::State(state.state)]) {
            let encoded = record.encode();
            sizes.push((slot(&record), encoded.len()));
            writer.push(record.kind(), &encoded, 0, &mut bytes);
        }
        let file = storage.create_new(&name).map_err(|error| failed("creating", error))?;
        file.write_at(0, &bytes).map_err(|error| {
            // Nothing names it; on a full disk the step itself needs the space.
            let _ = discard(&*storage, &name);
            failed("writing", error)
        })?;
        file.sync_all().map_err(|error| failed("syncing", error))?;
        storage.sync_dir("").map_err(|error| failed("syncing the directory of", error))?;
        current.length = bytes.len() as u64;
        let (live_bytes, record_bytes) = (0, BTreeMap::new());
        let mut manifest =
            Self { storage, current, state, file, writer, failed: None, live_bytes, record_bytes };
        for (segment, bytes) in sizes {
            manifest.count(segment, bytes);
        }
        manifest.swap_current()?;
        Ok(manifest)
    }

    /// Appends a step and makes it the one that counts. On success the records and the new state hold, durably. The manifest
    /// is written anew if it has grown long and there is an id for it, which was reserved by an earlier step (N1).
    ///
    /// # Errors
    /// Any error leaves it open whether the step counts; the caller must stop writing, and no other step is taken (I8).
    pub(crate) fn publish(
        &mut self,
        records: Vec<ManifestRecord>,
        next: StateRecord,
        spare: Option<u64>,
    ) -> Result<Replaced> {
        if let Some(cause) = &self.failed {
            return Err(Error::Poisoned { cause: cause.clone() });
        }
        // It stays so if the step ends in a panic.
        self.failed = Some("a panic in the midst of a step".into());
        let taken = self.take_step(records, next, spare);
        self.failed = taken.as_ref().err().map(ToString::to_string);
        taken
    }

    fn take_step(
        &mut self,
        records: Vec<ManifestRecord>,
        mut next: StateRecord,
        spare: Option<u64>,
    ) -> Result<Replaced> {
        next.step = self.current.step + 1;
        let mut bytes = Vec::new();
        for record in records.into_iter().chain([ManifestRecord::State(next)]) {
            let encoded = record.encode();
            self.writer.push(record.kind(), &encoded, 0, &mut bytes);
            self.count(slot(&record), encoded.len());
            self.state.apply(record).map_err(|detail| Error::Inconsistent {
                path: self.path(),
                rule: "M5",
                offset: self.current.length,
                detail,
            })?;
        }
        let long = self.current.length + bytes.len() as u64 > 2 * self.live_bytes + REWRITE_SLACK_BYTES;
        let mut replaced = Replaced::default();
        if let Some(id) = spare.filter(|_| long) {
            match self.rewrite(id) {
                // There is no space for another one: this one grows on.
                Err(error) if error.is_full_disk() => replaced.manifest = Some(id),
                other => return other,
            }
        }
        self.file
            .write_at(self.current.length, &bytes)
            .map_err(|error| Error::io("writing", self.path(), error))?;
        self.file.sync_data().map_err(|error| Error::io("syncing", self.path(), error))?;
        self.current.length += bytes.len() as u64;
        self.current.step = next.step;
        self.swap_current()?;
        Ok(replaced)
    }

    /// Counts a record as part of the next checkpoint, in place of the one before it.
    fn count(&mut self, slot: Option<(Slot, bool)>, bytes: usize) {
        let Some((slot, stays)) = slot else { return };
        self.live_bytes -= self.record_bytes.remove(&slot).unwrap_or(0);
        if stays {
            self.live_bytes += bytes as u64;
            self.record_bytes.insert(slot, bytes as u64);
        }
    }

    fn rewrite(&mut self, id: u64) -> Result<Replaced> {
        let old = self.current.manifest;
        *self = Self::write_anew(self.storage.clone(), self.current, self.state.clone(), id)?;
        Ok(Replaced { manifest: Some(old) })
    }

    fn path(&self) -> String {
        self.storage.describe(&manifest_name(self.current.manifest))
    }

    fn swap_current(&self) -> Result<()> {
        write_current(&*self.storage, &self.current)
    }
}

/// What a checkpoint has at most one record of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Source(u16),
    Series(u32),
    Segment(u64),
    Snapshot(String),
}

/// What a record is about, and whether a checkpoint has it.
fn slot(record: &ManifestRecord) -> Option<(Slot, bool)> {
    Some(match record {
        ManifestRecord::State(_) => return None,
        ManifestRecord::Source { id, .. } => (Slot::Source(*id), true),
        ManifestRecord::Series(series) => (Slot::Series(series.id), true),
        ManifestRecord::AddSegment(segment) => (Slot::Segment(segment.id), true),
        ManifestRecord::RemoveSegment(id) => (Slot::Segment(*id), false),
        ManifestRecord::Snapshot(snapshot) => (Slot::Snapshot(snapshot.name.clone()), true),
        ManifestRecord::DropSnapshot(name) => (Slot::Snapshot(name.clone()), false),
    })
}

/// The commit point of a step: `CURRENT` is replaced in one step, durably (M2).
pub(crate) fn write_current(storage: &dyn Storage, current: &Current) -> Result<()> {
    let failed = |action, error| Error::io(action, storage.describe(CURRENT_NEW), error);
    match storage.remove(CURRENT_NEW) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("removing", error)),
        _ => {}
    }
    let file = storage.create_new(CURRENT_NEW).map_err(|error| failed("creating", error))?;
    file.write_at(0, &current.encode()).map_err(|error| failed("writing", error))?;
    file.sync_all().map_err(|error| failed("syncing", error))?;
    storage.rename(CURRENT_NEW, CURRENT).map_err(|error| failed("renaming", error))?;
    storage.sync_dir("").map_err(|error| failed("syncing the directory of", error))
}

#[cfg(test)]
mod tests;
