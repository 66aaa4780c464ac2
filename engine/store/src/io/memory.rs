//! A store in memory: behaves as [`RealStorage`](super::RealStorage) does, loses everything with its last handle.
//!
//! Syncs succeed and do nothing but count: there is no power to cut. What a power cut leaves is the business of the
//! fault-injecting simulator.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::{
    Counters, Counts, LockGuard, LockKind, MappedBytes, Storage, StorageFile, check_directory, check_name,
    length_differs, system_now_ns,
};

/// Longest file in memory: a stray offset must not become an allocation.
const FILE_BYTES_MAX: u64 = 1 << 32;

/// Files in memory. Cloning gives another handle of the same files, as another process would have: locks taken
/// through one are seen by the other.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    names: Arc<Mutex<Names>>,
    clock_ns: Arc<Mutex<Option<i64>>>,
    counters: Arc<Counters>,
}

impl MemoryStorage {
    /// An empty root directory, and the system's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// All files by name, those in directories included, as they are now; copies nothing until a file is written.
    pub fn files(&self) -> BTreeMap<String, Arc<Vec<u8>>> {
        let names = self.names.lock();
        names.files.iter().map(|(name, node)| (name.clone(), node.content())).collect()
    }

    /// Sets the clock, which then stands still until set again; for all handles.
    pub fn set_now_ns(&self, now_ns: i64) {
        *self.clock_ns.lock() = Some(now_ns);
    }

    fn file(&self, node: Arc<Node>, writable: bool) -> MemoryFile {
        MemoryFile { node, writable, counters: Arc::clone(&self.counters) }
    }

    fn find(&self, name: &str) -> io::Result<Arc<Node>> {
        check_name(name)?;
        self.names.lock().find(name)
    }
}

impl Storage for MemoryStorage {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        check_name(name)?;
        let node = self.names.lock().create(name)?;
        Counters::add(&self.counters.creates, 1);
        Ok(Arc::new(self.file(node, true)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(self.file(self.find(name)?, true)))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(self.file(self.find(name)?, false)))
    }

    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        let content = self.find(name)?.content();
        if content.len() as u64 != length {
            return Err(length_differs(content.len() as u64, length));
        }
        Ok(Arc::new(MemoryMap { content }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut names = self.names.lock();
        let node = names.find(from)?;
        names.check_parent(to)?;
        if names.directories.contains(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        names.files.remove(from);
        names.files.insert(to.to_owned(), node);
        Counters::add(&self.counters.renames, 1);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let mut names = self.names.lock();
        names.find(name)?;
        names.files.remove(name);
        Counters::add(&self.counters.removes, 1);
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        check_directory(directory)?;
        let names = self.names.lock();
        names.check_directory_exists(directory)?;
        let inside = |name: &str| name.rsplit_once('/').map_or("", |(parent, _)| parent) == directory;
        let files = names.files.iter().filter(|(name, _)| inside(name));
        Ok(files.map(|(name, node)| (name.clone(), node.length())).collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(self.find(name)?.length())
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        check_directory(directory)?;
        self.names.lock().check_directory_exists(directory)?;
        Counters::add(&self.counters.dir_syncs, 1);
        Ok(())
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        check_directory(directory)?;
        let mut names = self.names.lock();
        if names.files.contains_key(directory) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if !directory.is_empty() {
            names.directories.insert(directory.to_owned());
        }
        Ok(())
    }

    fn lock(&self, name: &str, kind: LockKind) -> io::Result<Option<Box<dyn LockGuard>>> {
        check_name(name)?;
        // Under one lock with the names, so the file cannot be removed or replaced in between.
        let mut names = self.names.lock();
        let node = match names.find(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let node = names.create(name)?;
                Counters::add(&self.counters.creates, 1);
                node
            }
            other => other?,
        };
        if !node.holders.lock().try_add(kind) {
            return Ok(None);
        }
        Ok(Some(Box::new(MemoryLock { file: self.file(node, true), kind })))
    }

    fn now_ns(&self) -> i64 {
        self.clock_ns.lock().unwrap_or_else(system_now_ns)
    }

    fn describe(&self, name: &str) -> String {
        format!("memory:{}", name.escape_debug())
    }

    fn root(&self) -> Option<PathBuf> {
        None
    }

    fn counts(&self) -> Counts {
        self.counters.snapshot()
    }
}

/// The directory tree, of depth two. The root always exists.
#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<String, Arc<Node>>,
    directories: BTreeSet<String>,
}

impl Names {
    fn check_directory_exists(&self, directory: &str) -> io::Result<()> {
        if directory.is_empty() || self.directories.contains(directory) {
            Ok(())
        } else if self.files.contains_key(directory) {
            Err(io::ErrorKind::NotADirectory.into())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn check_parent(&self, name: &str) -> io::Result<()> {
        match name.rsplit_once('/') {
            Some((parent, _)) => self.check_directory_exists(parent),
            None => Ok(()),
        }
    }

    fn find(&self, name: &str) -> io::Result<Arc<Node>> {
        self.check_parent(name)?;
        if self.directories.contains(name) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, name: &str) -> io::Result<Arc<Node>> {
        self.check_parent(name)?;
        if self.directories.contains(name) || self.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = Arc::<Node>::default();
        self.files.insert(name.to_owned(), Arc::clone(&node));
        Ok(node)
    }
}

/// What Unix calls an inode: a file apart from its name, alive while a name, a handle or a lock refers to it.
#[derive(Default)]
struct Node {
    /// Copied on write while a map shares it, so a map's bytes never change.
    content: RwLock<Arc<Vec<u8>>>,
    holders: Mutex<Holders>,
}

impl Node {
    fn content(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.content.read())
    }

    fn length(&self) -> u64 {
        self.content.read().len() as u64
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("length", &self.length()).finish_non_exhaustive()
    }
}

/// Who holds the lock of a file.
#[derive(Debug, Default)]
struct Holders {
    shared_count: u64,
    exclusive: bool,
}

impl Holders {
    fn try_add(&mut self, kind: LockKind) -> bool {
        match kind {
            LockKind::Shared if !self.exclusive => self.shared_count += 1,
            LockKind::Exclusive if !self.exclusive && self.shared_count == 0 => self.exclusive = true,
            _ => return false,
        }
        true
    }

    fn release(&mut self, kind: LockKind) {
        match kind {
            LockKind::Shared => self.shared_count -= 1,
            LockKind::Exclusive => self.exclusive = false,
        }
    }
}

#[derive(Debug)]
struct MemoryFile {
    node: Arc<Node>,
    writable: bool,
    counters: Arc<Counters>,
}

impl MemoryFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl StorageFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        check_offset(offset)?;
        let content = self.node.content.read();
        let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
        let count = buffer.len().min(content.len() - start);
        buffer[..count].copy_from_slice(&content[start..start + count]);
        Ok(count)
    }

    fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        check_offset(offset)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let start = checked_size(offset)?;
        checked_size(offset.saturating_add(bytes.len() as u64))?;
        let mut content = self.node.content.write();
        let content = Arc::make_mut(&mut content);
        if content.len() < start {
            content.resize(start, 0);
        }
        let (over, after) = bytes.split_at(bytes.len().min(content.len() - start));
        content[start..start + over.len()].copy_from_slice(over);
        content.extend_from_slice(after);
        self.counters.count_write(bytes.len());
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        Counters::add(&self.counters.syncs, 1);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.check_writable()?;
        check_offset(length)?;
        let size = checked_size(length)?;
        Arc::make_mut(&mut self.node.content.write()).resize(size, 0);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.node.length())
    }
}

#[derive(Debug)]
struct MemoryLock {
    file: MemoryFile,
    kind: LockKind,
}

impl LockGuard for MemoryLock {
    fn file(&self) -> &dyn StorageFile {
        &self.file
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.file.node.holders.lock().release(self.kind);
    }
}

struct MemoryMap {
    content: Arc<Vec<u8>>,
}

impl MappedBytes for MemoryMap {
    fn bytes(&self) -> &[u8] {
        &self.content
    }
}

/// Offsets are signed in the operating system's interface; refused here as they are there.
fn check_offset(offset: u64) -> io::Result<()> {
    if i64::try_from(offset).is_ok() { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn checked_size(length: u64) -> io::Result<usize> {
    if length > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge.into())
}
