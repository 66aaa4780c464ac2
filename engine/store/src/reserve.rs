//! The reserve: space kept aside for the day on which the disk is full.
//!
//! Deleting and pruning write before they free anything: a step, `CURRENT`, a log, smaller segments. So a writer keeps
//! a file `reserve` that nobody reads. If opening finds no space left, the file goes, with what else counts for nothing, and
//! the store opens in its place. Until there is space for a new one, only what gives up rows is accepted.
//!
//! # Invariants
//! - R1. The reserve is never needed: absent, short, or of any content, the store is the same.
//! - R2. Without it, a commit that adds anything is refused before it is staged, and the handle goes on.

use std::collections::HashSet;
use std::io;
// Not those of `sync`: nothing waits for this, and no order depends on it.
use std::sync::atomic::{AtomicBool, Ordering};

use tapestore_format::checksum::Identity;
use tapestore_format::segment::{Segment, Verified};

use crate::error::{Error, Result};
use crate::io::Storage;
use crate::manifest::{CURRENT_NEW, load};
use crate::open::find_store;
use crate::segment::segment_name;
use crate::sync::Mutex;
use crate::wal::{LogReader, log_name};

/// Name of the file.
pub(crate) const RESERVE: &str = "reserve";

/// A file that is written to see whether there is space for it, and removed.
const PROBE: &str = "reserve.new";

/// What a writer knows of its reserve.
#[derive(Debug)]
pub(crate) struct Reserve {
    bytes: u64,
    /// There was no space for it when it was last looked for.
    missing: AtomicBool,
    filling: Mutex<()>,
}

impl Reserve {
    /// Sets the reserve up if it is not there yet. Without the space for it, it is missing; any other failure is left for
    /// the next time.
    pub(crate) fn new(storage: &dyn Storage, bytes: u64) -> Self {
        // A process that was stopped may have left its probe.
        if storage.length(PROBE).is_ok() {
            let _ = discard(storage, PROBE);
        }
        let missing = fill(storage, RESERVE, bytes).is_err_and(|error| is_full(&error));
        Self { bytes, missing: AtomicBool::new(missing), filling: Mutex::new(()) }
    }

    /// Whether there was no space for it.
    pub(crate) fn is_missing(&self) -> bool {
        self.missing.load(Ordering::Relaxed)
    }

    /// Gives the reserve up if there is not as much space beside it, for what frees space but needs some first.
    pub(crate) fn give_up_if_tight(&self, storage: &dyn Storage) {
        if self.bytes == 0 {
            return;
        }
        let free = fill(storage, PROBE, self.bytes);
        let _ = discard(storage, PROBE);
        if free.is_err_and(|error| is_full(&error)) {
            self.give_up(storage);
        }
    }

    /// Gives the reserve up: something large found no space.
    pub(crate) fn give_up(&self, storage: &dyn Storage) {
        if self.bytes > 0 {
            self.missing.store(true, Ordering::Relaxed);
            let _ = discard(storage, RESERVE);
        }
    }

    /// Writes something large. On a full disk a part of the reserve is kept back meanwhile, for the step that is to follow.
    pub(crate) fn keeping_back<T>(
        &self,
        storage: &dyn Storage,
        write: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if !self.is_missing() {
            return write();
        }
        let _one_at_a_time = self.filling.lock();
        fill(storage, RESERVE, self.bytes / 4)
            .map_err(|error| Error::io("keeping space for a step in", storage.describe(RESERVE), error))?;
        let written = write();
        let _ = discard(storage, RESERVE);
        written
    }

    /// Makes sure that it is there, before anything is added (R2).
    ///
    /// # Errors
    /// There is no space for it.
    pub(crate) fn ensure(&self, storage: &dyn Storage) -> Result<()> {
        if !self.is_missing() {
            return Ok(());
        }
        let _one_at_a_time = self.filling.lock();
        fill(storage, RESERVE, self.bytes)
            .map_err(|error| Error::io("keeping space for deleting in", storage.describe(RESERVE), error))?;
        self.missing.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether an error says that there is no space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Removes a file that nobody reads, and gives its space back now, whoever has it open: a program that this process has just
/// started holds every file of this process for a moment, and with a file the space of it.
pub(crate) fn discard(storage: &dyn Storage, name: &str) -> io::Result<()> {
    if let Ok(file) = storage.open(name) {
        let _ = file.set_length(0);
    }
    storage.remove(name)
}

/// Brings a file to a size, with bytes that no file system makes smaller. After a failure there is none.
fn fill(storage: &dyn Storage, name: &str, bytes: u64) -> io::Result<()> {
    let there = storage.length(name).unwrap_or(0);
    if there >= bytes {
        return Ok(());
    }
    let filled = (|| {
        let file = match storage.create_new(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => storage.open(name)?,
            other => other?,
        };
        let count = (bytes - there) as usize;
        let mut noise = Vec::with_capacity(count + 8);
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        while noise.len() < count {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            noise.extend_from_slice(&word.to_le_bytes());
        }
        file.write_at(there, &noise[..count])?;
        file.sync_all()
    })();
    if filled.is_err() {
        let _ = discard(storage, name);
    }
    filled
}

/// Gives up the reserve and what else takes space and counts for nothing; whether there was anything.
///
/// For a store that does not open for want of space. Nothing goes that an earlier step may have counted: that this step
/// is durable is not known yet (N2).
pub(crate) fn give_up(storage: &dyn Storage) -> Result<bool> {
    let mut found = discard(storage, RESERVE).is_ok();
    found |= discard(storage, PROBE).is_ok();
    found |= storage.remove(CURRENT_NEW).is_ok();
    let current = find_store(storage)?;
    let (manifest, _) = load(storage, &current)?;
    let files = storage.list("").map_err(|error| Error::io("listing", storage.describe(""), error))?;
    let counted: HashSet<u64> = manifest.segments.keys().copied().collect();
    for (name, length) in files {
        let digits = name.strip_prefix("segment-").and_then(|rest| rest.strip_suffix(".tape"));
        let Some(id) = digits.and_then(|digits| digits.parse().ok()) else { continue };
        if counted.contains(&id) || segment_name(id) != name {
            continue;
        }
        // What no step ever counted is what was never finished (I3).
        let identity = Identity { store: current.store, file: id };
        let finished = length > 0
            && storage
                .map(&name, length)
                .is_ok_and(|map| Segment::open(map.bytes(), identity, &Verified::new(length)).is_ok());
        found |= !finished && storage.remove(&name).is_ok();
    }
    // A torn end is no part of the log, and it may be a large commit that found the disk full (W5).
    let reader = LogReader { storage, store: current.store, visible: None };
    let replayed = reader.replay(manifest.state.first_log, &mut |_| Ok(()))?;
    for log in replayed.stillborn {
        found |= storage.remove(&log_name(log)).is_ok();
    }
    if replayed.torn.is_some() {
        let end = replayed.end;
        let cut = storage.open(&log_name(end.log)).and_then(|file| file.set_length(end.offset));
        found |= cut.is_ok();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryStorage;

    #[test]
    fn a_reserve_is_made_once_and_made_whole_again() {
        let storage = MemoryStorage::new();
        let reserve = Reserve::new(&storage, 1000);
        assert!(!reserve.is_missing());
        assert_eq!(storage.length(RESERVE).unwrap(), 1000);
        storage.open(RESERVE).unwrap().set_length(10).unwrap();
        storage.create_new(PROBE).unwrap();
        let writes = storage.counts().writes;
        Reserve::new(&storage, 1000).ensure(&storage).unwrap();
        assert_eq!(storage.length(RESERVE).unwrap(), 1000);
        Reserve::new(&storage, 1000).ensure(&storage).unwrap();
        assert_eq!(storage.counts().writes, writes + 1, "one that is there is left alone");
        assert!(storage.length(PROBE).is_err(), "a probe that was left over is gone");
    }

    /// A program started by this process just when the reserve went kept its space: the store did not open.
    #[test]
    fn what_is_given_up_takes_no_space_though_another_process_has_it_open() {
        let storage = MemoryStorage::new();
        let reserve = Reserve::new(&storage, 1000);
        let held = storage.open(RESERVE).unwrap();
        reserve.give_up(&storage);
        assert_eq!(held.length().unwrap(), 0);
        assert!(reserve.is_missing() && storage.length(RESERVE).is_err());
        discard(&storage, RESERVE).unwrap_err();
    }

    #[test]
    fn a_store_without_a_reserve_never_misses_one() {
        let storage = MemoryStorage::new();
        let reserve = Reserve::new(&storage, 0);
        assert!(!reserve.is_missing());
        reserve.ensure(&storage).unwrap();
        assert!(storage.list("").unwrap().is_empty());
    }
}
