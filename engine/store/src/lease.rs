//! Leases: how readers in other processes keep the files of their version (I7).
//!
//! A reader holds a shared lock on a file of its own under `leases/` and writes into it the manifest step it reads.
//! The writer removes a file that step `n` made obsolete only when every live lease is at step `n` or later. A reader
//! that dies loses its lock; its lease file is then swept up. The lock is taken *before* `CURRENT` is read: a writer
//! that did not see the lease had swapped `CURRENT` before.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tapestore_format::checksum::Identity;

use crate::error::{Error, Result};
use crate::io::{LockGuard, LockKind, Storage};
use crate::manifest::CURRENT;
use crate::open::find_store;

/// Directory of the lease files.
pub(crate) const LEASES: &str = "leases";

/// A lease of this process.
#[derive(Debug)]
pub(crate) struct Lease {
    storage: Arc<dyn Storage>,
    name: String,
    guard: Option<Box<dyn LockGuard>>,
}

impl Lease {
    /// Takes a lease that keeps every file.
    pub(crate) fn take(storage: &Arc<dyn Storage>) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let failed = |name: &str, error| Error::io("taking the lease", storage.describe(name), error);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name =
                format!("{LEASES}/{:x}-{:x}-{number:x}", std::process::id(), storage.now_ns().unsigned_abs());
            let lock = storage.lock(&name, LockKind::Shared).map_err(|error| failed(&name, error))?;
            // Without a lock, the writer is looking at it this very moment: take another name.
            if let Some(guard) = lock {
                return Ok(Self { storage: storage.clone(), name, guard: Some(guard) });
            }
        }
    }

    /// A lease, if one can be taken. Where there is no store, nothing is made, not even for an instant.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no store.
    pub(crate) fn of_a_store(storage: &Arc<dyn Storage>) -> Result<Option<Self>> {
        match storage.length(CURRENT) {
            Ok(_) => Ok(Self::take(storage).ok()),
            // Created this very moment, it is one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                find_store(&**storage).map(|_| Self::take(storage).ok())
            }
            Err(error) => Err(Error::io("reading", storage.describe(CURRENT), error)),
        }
    }

    /// Lets go of files that steps of the store up to `step` made obsolete.
    ///
    /// A lease that cannot be written, as on a full disk, goes on keeping what it kept: half of it written, it keeps
    /// everything.
    pub(crate) fn move_to(&self, store: [u8; 16], step: u64) {
        let mut bytes = step.to_le_bytes().to_vec();
        let crc = Identity { store, file: 0 }.crc(1, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let guard = self.guard.as_ref().expect("held until dropped");
        let _ = guard.file().write_at(0, &bytes);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Removed while it is still locked; a writer that sweeps in between finds nothing to do.
        let _ = self.storage.remove(&self.name);
        self.guard = None;
    }
}

/// The oldest step that a live reader may be at; `u64::MAX` without readers. Sweeps up leases of dead readers.
pub(crate) fn oldest_leased(storage: &dyn Storage, store: [u8; 16]) -> u64 {
    let leases = match storage.list(LEASES) {
        Ok(leases) => leases,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return u64::MAX,
        // When in doubt, there are readers.
        Err(_) => return 0,
    };
    let mut oldest = u64::MAX;
    for (name, _) in leases {
        match storage.lock(&name, LockKind::Exclusive) {
            Ok(Some(guard)) => {
                let _ = storage.remove(&name);
                drop(guard);
            }
            // Held, or unreadable: when in doubt, someone reads everything.
            _ => oldest = oldest.min(read_step(storage, store, &name).unwrap_or(0)),
        }
    }
    oldest
}

fn read_step(storage: &dyn Storage, store: [u8; 16], name: &str) -> Option<u64> {
    let bytes = storage.open_read(name).ok()?.read_all(64).ok()?;
    let step = bytes.get(..8)?;
    let crc = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
    (Identity { store, file: 0 }.crc(1, step) == crc).then_some(())?;
    Some(u64::from_le_bytes(step.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryStorage;

    #[test]
    fn live_leases_count_and_dead_ones_are_swept() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        storage.create_dir(LEASES).unwrap();
        let store = [1; 16];
        assert_eq!(oldest_leased(&*storage, store), u64::MAX);
        let first = Lease::take(&storage).unwrap();
        assert_eq!(oldest_leased(&*storage, store), 0, "a new lease keeps everything");
        first.move_to(store, 7);
        let second = Lease::take(&storage).unwrap();
        second.move_to(store, 9);
        assert_eq!(oldest_leased(&*storage, store), 7);
        drop(first);
        assert_eq!(oldest_leased(&*storage, store), 9);
        storage.create_new("leases/dead").unwrap();
        drop(second);
        assert_eq!(oldest_leased(&*storage, store), u64::MAX);
        assert!(storage.list(LEASES).unwrap().is_empty());
    }

    /// It once stood for no readers at all, and files went that they read.
    #[test]
    fn leases_that_cannot_be_listed_keep_everything() {
        let storage = MemoryStorage::new();
        assert_eq!(oldest_leased(&storage, [1; 16]), u64::MAX, "no directory, no readers");
        storage.create_new(LEASES).unwrap();
        assert_eq!(storage.list(LEASES).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(oldest_leased(&storage, [1; 16]), 0);
    }
}
