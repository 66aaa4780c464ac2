//! What sealing, compaction, snapshots and pruning share: the manifest, file ids, and files that may go.
//!
//! # Invariants
//! - N1. File ids are reserved in the manifest before they are used, in blocks: an id is never given twice, whatever
//!   became durable of the file that had it (I4).
//! - N2. A file is removed only after the step that made it obsolete is durable, and when no live lease is at an
//!   earlier step (I5, I7).

use std::sync::{Arc, Weak};

use tapestore_format::manifest::{ManifestRecord, StateRecord};

use crate::error::{Error, Result};
use crate::io::Storage;
use crate::lease::oldest_leased;
use crate::manifest::{Manifest, manifest_name};
use crate::options::Options;
use crate::segment::{SegmentFile, segment_name};
use crate::wal::log_name;

/// Fewest file ids reserved at a time: one is for a manifest that is written anew.
const RESERVED_IDS_MIN: u64 = 2;

/// A file that nothing counts any more.
#[derive(Debug)]
struct Garbage {
    /// The step that made it obsolete.
    step: u64,
    name: String,
    segment: Option<Weak<SegmentFile>>,
}

/// The part of a writer that changes the manifest. One thread at a time.
#[derive(Debug)]
pub(crate) struct Maintenance {
    storage: Arc<dyn Storage>,
    pub(crate) manifest: Manifest,
    highest_found: u64,
    next_file: u64,
    reserved_end: u64,
    /// File ids reserved at a time.
    block: u64,
    /// A reserved id for a manifest that is written anew: by then it is too late to reserve one.
    spare: Option<u64>,
    garbage: Vec<Garbage>,
}

impl Maintenance {
    /// Takes over a manifest whose `next_file` is not reserved yet. No id up to `highest_found` is given out: an
    /// interrupted backup holds files newer than its manifest (N1).
    pub(crate) fn new(storage: Arc<dyn Storage>, manifest: Manifest, highest_found: u64) -> Self {
        let block = Options::default().reserved_ids;
        Self {
            storage,
            manifest,
            highest_found,
            next_file: 0,
            reserved_end: 0,
            block,
            spare: None,
            garbage: Vec::new(),
        }
    }

    /// From now on so many file ids are reserved at a time.
    pub(crate) fn reserve_at_a_time(&mut self, ids: u64) {
        self.block = ids.max(RESERVED_IDS_MIN);
    }

    /// An id for a new file (N1). Where none is left this is a step: an error of it is one of [`Maintenance::publish`].
    pub(crate) fn allocate(&mut self) -> Result<u64> {
        if self.next_file == self.reserved_end {
            self.publish(Vec::new(), self.state())?;
        }
        self.next_file += 1;
        Ok(self.next_file - 1)
    }

    /// The state that the next step starts from.
    pub(crate) fn state(&self) -> StateRecord {
        self.manifest.state.state
    }

    /// Publishes a step; when this returns it is durable. Reserves ids along with it if there are none left.
    ///
    /// # Errors
    /// Those of [`Manifest::publish`]: whoever calls stops writing (I8).
    pub(crate) fn publish(&mut self, records: Vec<ManifestRecord>, mut state: StateRecord) -> Result<()> {
        let first = state.next_file.max(self.highest_found.saturating_add(1));
        let reserve = self.next_file == self.reserved_end;
        if reserve {
            state.next_file = first
                .checked_add(self.block)
                .ok_or_else(|| Error::Limit(format!("no numbers are left for files after {first}")))?;
        }
        let replaced = self.manifest.publish(records, state, self.spare)?;
        if reserve {
            (self.next_file, self.reserved_end) = (first, state.next_file);
        }
        if replaced.manifest.is_some() {
            self.spare = None;
        }
        if self.spare.is_none() {
            self.reserved_end -= 1;
            self.spare = Some(self.reserved_end);
        }
        if let Some(manifest) = replaced.manifest {
            self.retire(manifest_name(manifest), None);
        }
        Ok(())
    }

    fn retire(&mut self, name: String, segment: Option<&Arc<SegmentFile>>) {
        let segment = segment.map(Arc::downgrade);
        self.garbage.push(Garbage { step: self.manifest.current.step, name, segment });
    }

    /// Notes that the step just published does not count a segment any more.
    pub(crate) fn retire_segment(&mut self, file: &Arc<SegmentFile>) {
        self.retire(segment_name(file.id()), Some(file));
    }

    /// Notes that the step just published does not need a log any more.
    pub(crate) fn retire_log(&mut self, id: u64) {
        self.retire(log_name(id), None);
    }

    /// Notes a file that no step counts: left over from a crash.
    pub(crate) fn retire_orphan(&mut self, name: String) {
        self.retire(name, None);
    }

    /// Removes what may go (N2). Failures are left for the next time: a file too many harms nobody.
    pub(crate) fn collect(&mut self) {
        if self.garbage.is_empty() {
            return;
        }
        let oldest = oldest_leased(&*self.storage, self.manifest.current.store);
        let storage = &self.storage;
        self.garbage.retain(|garbage| {
            if garbage.step > oldest {
                return true;
            }
            // A view of this process may still want to map it: let it, while the name exists.
            let file = garbage.segment.as_ref().and_then(Weak::upgrade);
            if file.is_some_and(|file| file.open().is_err()) {
                return true;
            }
            match storage.remove(&garbage.name) {
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
                Ok(()) => false,
            }
        });
    }
}
