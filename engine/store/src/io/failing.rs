//! A storage for tests: memory that refuses calls on some names, and lists files that are not there.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::{Counts, LockGuard, LockKind, MappedBytes, MemoryStorage, Storage, StorageFile};

/// Memory with faults.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    pub(crate) inner: MemoryStorage,
    /// Calls on names that begin so fail so.
    refused: Mutex<Option<Refused>>,
    /// Names that begin so cannot be created.
    refused_new: Mutex<Option<Refused>>,
    /// Listed at the top, without being there.
    pub(crate) ghosts: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Refused {
    /// Beginning of the names.
    names: String,
    /// So many calls still succeed.
    left: usize,
    kind: io::ErrorKind,
}

impl Failing {
    /// From now on calls on names that begin so fail so.
    pub(crate) fn refuse(&self, names: &str, kind: io::ErrorKind) {
        self.refuse_after(0, names, kind);
    }

    /// After so many more, calls on names that begin so fail so.
    pub(crate) fn refuse_after(&self, left: usize, names: &str, kind: io::ErrorKind) {
        *self.refused.lock().unwrap() = Some(Refused { names: names.to_owned(), left, kind });
    }

    /// From now on names that begin so cannot be created, and it fails so.
    pub(crate) fn refuse_new(&self, names: &str, kind: io::ErrorKind) {
        *self.refused_new.lock().unwrap() = Some(Refused { names: names.to_owned(), left: 0, kind });
    }

    fn check(&self, name: &str) -> io::Result<()> {
        refused(&self.refused, name)
    }
}

fn refused(refused: &Mutex<Option<Refused>>, name: &str) -> io::Result<()> {
    match &mut *refused.lock().unwrap() {
        Some(refused) if name.starts_with(&refused.names) => match refused.left.checked_sub(1) {
            None => Err(refused.kind.into()),
            Some(left) => {
                refused.left = left;
                Ok(())
            }
        },
        _ => Ok(()),
    }
}

impl Storage for Failing {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.check(name)?;
        refused(&self.refused_new, name)?;
        self.inner.create_new(name)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.check(name)?;
        self.inner.open(name)
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.check(name)?;
        self.inner.open_read(name)
    }
    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        self.inner.map(name, length)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.check(name)?;
        self.inner.remove(name)
    }
    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        let mut files = self.inner.list(directory)?;
        if directory.is_empty() {
            files.extend(self.ghosts.lock().unwrap().iter().map(|name| (name.clone(), 0)));
        }
        Ok(files)
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
        self.check(name)?;
        self.inner.lock(name, kind)
    }
    fn now_ns(&self) -> i64 {
        self.inner.now_ns()
    }
    fn describe(&self, name: &str) -> String {
        self.inner.describe(name)
    }
    fn root(&self) -> Option<PathBuf> {
        self.inner.root()
    }
    fn counts(&self) -> Counts {
        self.inner.counts()
    }
}
