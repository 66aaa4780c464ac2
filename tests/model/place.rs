//! Where the store of a history lives.

use std::sync::Arc;

use tapestore::io::MemoryStorage;
use tapestore::{Options, Result, Store};
use tempfile::TempDir;

/// A place for one store.
pub(crate) enum Place {
    Memory(MemoryStorage),
    Files(TempDir),
}

impl Place {
    pub(crate) fn new(files: bool) -> Self {
        if files {
            Self::Files(tempfile::tempdir().expect("a temporary directory can be made"))
        } else {
            Self::Memory(MemoryStorage::new())
        }
    }

    /// Sets the clock, where that can be done.
    pub(crate) fn set_now_ns(&self, now_ns: i64) {
        if let Self::Memory(storage) = self {
            storage.set_now_ns(now_ns);
        }
    }

    pub(crate) fn create(&self, options: Options) -> Result<Store> {
        match self {
            Self::Memory(storage) => Store::create_on(Arc::new(storage.clone()), options),
            Self::Files(directory) => Store::create(directory.path().join("store"), options),
        }
    }

    pub(crate) fn open(&self, options: Options) -> Result<Store> {
        match self {
            Self::Memory(storage) => Store::open_on(Arc::new(storage.clone()), options),
            Self::Files(directory) => Store::open(directory.path().join("store"), options),
        }
    }

    pub(crate) fn open_read_only(&self, options: Options) -> Result<Store> {
        match self {
            Self::Memory(storage) => Store::open_read_only_on(Arc::new(storage.clone()), options),
            Self::Files(directory) => Store::open_read_only(directory.path().join("store"), options),
        }
    }
}
