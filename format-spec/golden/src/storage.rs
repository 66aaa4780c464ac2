//! Memory with a clock of its own, and its way to a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tapestore::io::{Counts, LockGuard, LockKind, MappedBytes, MemoryStorage, Storage, StorageFile};

/// 2024-01-01T00:00:00 UTC: the first reading of the clock.
pub const START: i64 = 1_704_067_200_000_000_000;
/// How far the clock moves with every reading: one second.
pub const TICK: i64 = 1_000_000_000;

/// Memory whose clock depends on nothing but how often it was read.
#[derive(Debug)]
pub struct Clocked {
    inner: MemoryStorage,
    clock: AtomicI64,
}

impl Clocked {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStorage::new(), clock: AtomicI64::new(START) })
    }

    /// Lets time pass, in nanoseconds.
    pub fn pass(&self, time: i64) {
        self.clock.fetch_add(time, Ordering::Relaxed);
    }

    /// The content of every file, by name. Leases are left out: nobody reads what is written here.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.inner.list("").expect("memory does not fail");
        let read = |name: &str| self.inner.open_read(name).and_then(|file| file.read_all(u64::MAX));
        names.into_iter().map(|(name, _)| (name.clone(), read(&name).expect("it was listed"))).collect()
    }
}

/// Writes files into a new directory.
///
/// # Errors
/// Those of the file system.
pub fn write_files(directory: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    files.iter().try_for_each(|(name, bytes)| fs::write(directory.join(name), bytes))
}

impl Storage for Clocked {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.inner.create_new(name)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.inner.open(name)
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.inner.open_read(name)
    }
    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        self.inner.map(name, length)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        self.inner.list(directory)
    }
    fn length(&self, name: &str) -> io::Result<u64> {
        self.inner.length(name)
    }
    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.inner.sync_dir(directory)
    }
    fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.inner.create_dir(directory)
    }
    fn lock(&self, name: &str, kind: LockKind) -> io::Result<Option<Box<dyn LockGuard>>> {
        self.inner.lock(name, kind)
    }
    fn now_ns(&self) -> i64 {
        self.clock.fetch_add(TICK, Ordering::Relaxed)
    }
    fn describe(&self, name: &str) -> String {
        self.inner.describe(name)
    }
    fn root(&self) -> Option<PathBuf> {
        None
    }
    fn counts(&self) -> Counts {
        self.inner.counts()
    }
}
