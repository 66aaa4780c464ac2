//! A store in a directory of a Unix file system.
//!
//! Syncs: the standard library issues `fdatasync` and `fsync` (`F_FULLFSYNC` on macOS). It repeats a call that
//! `EINTR` broke off, which reports no lost write; every other error is returned the first time (I8).

use std::fs::{self, DirBuilder, DirEntry, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

use super::{
    Counters, Counts, LockGuard, LockKind, MappedBytes, Storage, StorageFile, check_directory, check_name,
    join, length_differs, system_now_ns,
};

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// How often a lock is tried again because its file was replaced while it was being locked.
const LOCK_ATTEMPT_COUNT_MAX: u32 = 100;

/// A directory on disk. Cloning gives another handle that shares the counters.
#[derive(Clone, Debug)]
pub struct RealStorage {
    root: PathBuf,
    counters: Arc<Counters>,
}

impl RealStorage {
    /// A store's directory; nothing is touched or checked yet (see [`Storage::create_dir`] for creating it).
    ///
    /// A relative path is made absolute now, so a later change of the working directory does not move the store.
    pub fn new(root: PathBuf) -> Self {
        let root = std::path::absolute(&root).unwrap_or(root);
        Self { root, counters: Arc::default() }
    }

    /// An empty path would be the directory that the process happens to be in.
    fn place(&self) -> io::Result<&Path> {
        if self.root.as_os_str().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is empty"));
        }
        Ok(&self.root)
    }

    fn file_path(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        let root = self.place()?;
        if let Some((directory, _)) = name.split_once('/') {
            self.refuse_link(directory)?;
        }
        Ok(root.join(name))
    }

    /// A directory of the store is one, not a link to one elsewhere.
    fn refuse_link(&self, directory: &str) -> io::Result<()> {
        match fs::symlink_metadata(self.root.join(directory)) {
            Ok(metadata) if metadata.is_symlink() => Err(io::ErrorKind::NotADirectory.into()),
            _ => Ok(()),
        }
    }

    /// What `take` makes of the entries with a name of ours, in order; it gives nothing for what is no file.
    fn files<T: Ord>(
        &self,
        directory: &str,
        take: impl Fn(String, &DirEntry) -> io::Result<Option<T>>,
    ) -> io::Result<Vec<T>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.directory_path(directory)?)? {
            let entry = entry?;
            let Ok(file_name) = entry.file_name().into_string() else { continue };
            let name = join(directory, &file_name);
            if check_name(&name).is_err() {
                continue;
            }
            match take(name, &entry) {
                Ok(file) => files.extend(file),
                // Removed since the directory was read: another process may be collecting files.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn directory_path(&self, directory: &str) -> io::Result<PathBuf> {
        check_directory(directory)?;
        let root = self.place()?;
        if directory.is_empty() {
            return Ok(root.to_path_buf());
        }
        self.refuse_link(directory)?;
        Ok(root.join(directory))
    }

    fn real_file(&self, file: File) -> RealFile {
        RealFile { file, counters: Arc::clone(&self.counters) }
    }

    fn create_file(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Counters::add(&self.counters.creates, 1);
        Ok(file)
    }

    /// The file to lock, created if need be. A shared lock makes do with a file, or a file system, that may only be
    /// read: a reader of a store it cannot write.
    fn open_lock_file(&self, path: &Path, kind: LockKind) -> io::Result<File> {
        match open_regular(path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create_file(path),
            Err(error)
                if kind == LockKind::Shared
                    && matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                    ) =>
            {
                open_regular(path, false)
            }
            other => other,
        }
    }

    /// Creates the root and makes its entry durable: also when it exists already, since whoever created it may have
    /// died before the sync (I9).
    fn create_root(&self) -> io::Result<()> {
        let created = make_directory(&self.root)?;
        // Canonical, because the parent of `a/..` or of a link's path is not where the entry is.
        let Some(parent) = fs::canonicalize(&self.root)?.parent().map(Path::to_path_buf) else {
            return Ok(());
        };
        match File::open(parent) {
            Ok(parent) => parent.sync_all(),
            // An old root below a directory that we may not read: nothing of ours to make durable.
            Err(error) if !created && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Storage for RealStorage {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.create_file(&self.file_path(name)?)?;
        Ok(Arc::new(self.real_file(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = open_regular(&self.file_path(name)?, true)?;
        Ok(Arc::new(self.real_file(file)))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = open_regular(&self.file_path(name)?, false)?;
        Ok(Arc::new(self.real_file(file)))
    }

    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        let file = open_regular(&self.file_path(name)?, false)?;
        Ok(Arc::new(RealMap::new(&file, length)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.file_path(from)?, self.file_path(to)?);
        if fs::symlink_metadata(&from)?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        fs::rename(from, to)?;
        Counters::add(&self.counters.renames, 1);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.file_path(name)?)?;
        Counters::add(&self.counters.removes, 1);
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        self.files(directory, |name, entry| {
            let metadata = entry.metadata()?;
            Ok(metadata.is_file().then_some((name, metadata.len())))
        })
    }

    fn names(&self, directory: &str) -> io::Result<Vec<String>> {
        // A file system that tells no types is asked for each.
        self.files(directory, |name, entry| Ok(entry.file_type()?.is_file().then_some(name)))
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(regular(&self.file_path(name)?)?.len())
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        let directory = File::open(self.directory_path(directory)?)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        directory.sync_all()?;
        Counters::add(&self.counters.dir_syncs, 1);
        Ok(())
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        let path = self.directory_path(directory)?;
        if directory.is_empty() { self.create_root() } else { make_directory(&path).map(|_| ()) }
    }

    fn lock(&self, name: &str, kind: LockKind) -> io::Result<Option<Box<dyn LockGuard>>> {
        let path = self.file_path(name)?;
        for _ in 0..LOCK_ATTEMPT_COUNT_MAX {
            let file = match self.open_lock_file(&path, kind) {
                // Created, or removed again, by someone else between two of our calls.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let taken = match kind {
                LockKind::Shared => file.try_lock_shared(),
                LockKind::Exclusive => file.try_lock(),
            };
            match taken {
                Ok(()) if is_named(&file, &path)? => {
                    return Ok(Some(Box::new(RealLock { file: self.real_file(file) })));
                }
                // We locked a file that is gone: dropping the handle unlocks it.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other("lock file was replaced again and again while it was being locked"))
    }

    fn now_ns(&self) -> i64 {
        system_now_ns()
    }

    fn describe(&self, name: &str) -> String {
        // Not `join`, which would follow an absolute name out of the store.
        if name.is_empty() {
            self.root.display().to_string()
        } else {
            format!("{}/{}", self.root.display(), name.escape_debug())
        }
    }

    fn root(&self) -> Option<PathBuf> {
        Some(self.root.clone())
    }

    fn counts(&self) -> Counts {
        self.counters.snapshot()
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    counters: Arc<Counters>,
}

impl StorageFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, offset)?;
        self.counters.count_write(written);
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        Counters::add(&self.counters.syncs, 1);
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()?;
        Counters::add(&self.counters.syncs, 1);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// `flock` on an open file: unlike `fcntl` locks, it survives the closing of other handles of the file.
#[derive(Debug)]
struct RealLock {
    file: RealFile,
}

impl LockGuard for RealLock {
    fn file(&self) -> &dyn StorageFile {
        &self.file
    }
}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child process that inherited the descriptor. An error changes
        // nothing: the file is closed next.
        let _ = self.file.file.unlock();
    }
}

struct RealMap {
    map: Mmap,
}

impl RealMap {
    fn new(file: &File, length: u64) -> io::Result<Self> {
        let found = file.metadata()?.len();
        let Some(mapped) = usize::try_from(length).ok().filter(|_| found == length) else {
            return Err(length_differs(found, length));
        };
        // SAFETY: the caller maps sealed files only, and those are never written, truncated or extended again by any
        // process of the engine (I4); removing one leaves the mapped file in place (I7). The length checked above
        // is the one that is mapped. What is not promised is documented at `Storage::map`: a hostile process that
        // truncates the file.
        let map = unsafe { MmapOptions::new().len(mapped).map(file)? };
        Ok(Self { map })
    }
}

impl MappedBytes for RealMap {
    fn bytes(&self) -> &[u8] {
        &self.map
    }
}

/// The metadata of a regular file, which is no link. Looked at before opening, because opening a pipe would wait for its
/// other end.
fn regular(path: &Path) -> io::Result<Metadata> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link; no file of a store is one"))
    } else if metadata.is_file() {
        Ok(metadata)
    } else if metadata.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

fn open_regular(path: &Path, write: bool) -> io::Result<File> {
    let named = regular(path)?;
    let file = OpenOptions::new().read(true).write(write).open(path)?;
    let opened = file.metadata()?;
    // Replaced by a link in between: as if it had been one before. Files are replaced by renaming as well, which is fine.
    if (named.dev(), named.ino()) == (opened.dev(), opened.ino()) {
        return Ok(file);
    }
    regular(path).map(|_| file)
}

/// Creates one directory unless it exists; says whether it did.
fn make_directory(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(path)?.is_dir() {
                Ok(false)
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether `path` still leads to `file`.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
