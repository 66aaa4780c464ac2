//! A disk under a model checker: what was synced is known apart from what was written, and calls that another thread
//! or process can see are points at which the checker may let another thread go first.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tapestore::io::{Counts, LockGuard, LockKind, MappedBytes, MemoryStorage, Storage, StorageFile};
use tapestore_format::checksum::Identity;
use tapestore_format::header::HEADER_BYTES;
use tapestore_format::log::{FrameReader, RecordAssembler};
use tapestore_format::wal::{KIND_TRANSACTION, TransactionRecord};

use crate::checker;

/// The disk. Clones are handles of the same disk, as other processes would have.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    memory: MemoryStorage,
    arm: Arc<Arm>,
}

/// What the handles share.
#[derive(Debug)]
struct Arm {
    /// Taken and released where another thread may come in between.
    point: checker::sync::Mutex<()>,
    /// Never held at such a point, hence not the checker's.
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    /// Contents as last synced.
    synced: BTreeMap<String, Arc<Vec<u8>>>,
    removed: BTreeSet<String>,
    /// How many syncs of logs still succeed; `None`: all.
    log_syncs_left: Option<usize>,
    /// Whether other processes look at logs while they grow.
    shared_logs: bool,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let memory = MemoryStorage::new();
        memory.set_now_ns(1_700_000_000_000_000_000);
        let arm = Arm { point: checker::sync::Mutex::new(()), facts: Mutex::default() };
        Self { memory, arm: Arc::new(arm) }
    }

    /// Lets this many syncs of logs succeed, and then fail all of them.
    pub(crate) fn fail_log_syncs_after(&self, count: usize) {
        self.facts(|facts| facts.log_syncs_left = Some(count));
    }

    /// From now on, reading and writing logs are points at which other threads may come in.
    pub(crate) fn share_logs(&self) {
        self.facts(|facts| facts.shared_logs = true);
    }

    /// The newest commit that a power cut now would leave, of those in logs.
    pub(crate) fn durable_version(&self, store: [u8; 16]) -> u64 {
        // Whoever looks at the disk depends on the order of what others do to it.
        self.point();
        let synced = self.facts(|facts| facts.synced.clone());
        let mut newest = 0;
        for (name, bytes) in synced {
            let Some(id) = name.strip_prefix("wal-").and_then(|rest| rest.strip_suffix(".tape")) else {
                continue;
            };
            let identity = Identity { store, file: id.parse().expect("logs are numbered") };
            let mut frames = FrameReader::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, identity, None);
            let mut assembler = RecordAssembler::default();
            while let Ok(Some(frame)) = frames.next_frame() {
                let Ok(Some((kind, record))) = assembler.push(&frame) else { continue };
                if kind == KIND_TRANSACTION {
                    newest = newest.max(TransactionRecord::decode(record).expect("checked").version);
                }
            }
        }
        newest
    }

    /// A disk with what a power cut now would leave, if entries of directories were durable at once.
    #[cfg_attr(loom, expect(dead_code, reason = "opening it is too much for every schedule"))]
    pub(crate) fn after_power_cut(&self) -> MemoryStorage {
        let left = MemoryStorage::new();
        left.create_dir("leases").expect("a memory takes a directory");
        let names = self.memory.files();
        for (name, bytes) in self.facts(|facts| facts.synced.clone()) {
            if names.contains_key(&name) {
                let file = left.create_new(&name).expect("names differ");
                file.write_at(0, &bytes).expect("a memory takes bytes");
            }
        }
        left
    }

    /// Segment files that are there.
    pub(crate) fn segments(&self) -> usize {
        self.memory.files().keys().filter(|name| name.starts_with("segment-")).count()
    }

    fn point(&self) {
        drop(self.arm.point.lock());
    }

    fn facts<T>(&self, with: impl FnOnce(&mut Facts) -> T) -> T {
        with(&mut self.arm.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn handle(&self, name: &str, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(File { disk: self.clone(), name: name.to_owned(), inner: file })
    }
}

impl Storage for Disk {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        assert!(!self.facts(|facts| facts.removed.contains(name)), "the name {name} is used a second time");
        Ok(self.handle(name, self.memory.create_new(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.handle(name, self.memory.open(name)?))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.point();
        Ok(self.handle(name, self.memory.open_read(name)?))
    }

    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        self.point();
        self.memory.map(name, length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.point();
        self.memory.rename(from, to)?;
        self.facts(|facts| {
            if let Some(bytes) = facts.synced.remove(from) {
                facts.synced.insert(to.to_owned(), bytes);
            }
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.point();
        let result = self.memory.remove(name);
        if name.starts_with("segment-") || name.starts_with("wal-") {
            let first = self.facts(|facts| facts.removed.insert(name.to_owned()));
            assert!(first, "{name} is removed twice");
        }
        self.facts(|facts| facts.synced.remove(name));
        result
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        self.point();
        self.memory.list(directory)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.memory.length(name)
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.memory.sync_dir(directory)
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.memory.create_dir(directory)
    }

    fn lock(&self, name: &str, kind: LockKind) -> io::Result<Option<Box<dyn LockGuard>>> {
        self.point();
        self.memory.lock(name, kind)
    }

    fn now_ns(&self) -> i64 {
        self.memory.now_ns()
    }

    fn describe(&self, name: &str) -> String {
        self.memory.describe(name)
    }

    fn root(&self) -> Option<PathBuf> {
        None
    }

    fn counts(&self) -> Counts {
        self.memory.counts()
    }
}

#[derive(Debug)]
struct File {
    disk: Disk,
    name: String,
    inner: Arc<dyn StorageFile>,
}

impl File {
    /// A point only where content changes while others look.
    fn content_point(&self) {
        let changes = self.name.starts_with("wal-") || self.name == "visible";
        if changes && self.disk.facts(|facts| facts.shared_logs) {
            self.disk.point();
        }
    }
}

impl StorageFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.content_point();
        self.inner.read_at(offset, buffer)
    }

    fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.content_point();
        self.inner.write_once_at(offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.disk.point();
        let failed = self.disk.facts(|facts| match &mut facts.log_syncs_left {
            Some(left) if self.name.starts_with("wal-") => {
                let failed = *left == 0;
                *left = left.saturating_sub(1);
                failed
            }
            _ => false,
        });
        if failed {
            return Err(io::Error::other("the model's disk fails"));
        }
        self.inner.sync_all()?;
        if let Some(content) = self.disk.memory.files().remove(&self.name) {
            self.disk.facts(|facts| facts.synced.insert(self.name.clone(), content));
        }
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.inner.set_length(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}
