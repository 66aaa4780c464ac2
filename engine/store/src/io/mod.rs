//! The one seam between the engine and the outside: files, directories, locks and the clock.
//!
//! Every mutating call, every sync, every lock, every directory operation and every clock read of the engine goes
//! through [`Storage`] and the [`StorageFile`]s it hands out. That is what lets a fault-injecting simulator stand in
//! for the disk and cut the power at every call. [`RealStorage`] is a directory; [`MemoryStorage`] is for tests and
//! for stores that need not outlive the process.
//!
//! Not here: what is written, in which order, and what a failure means (poisoning, I8). Errors are those of the
//! operating system, unchanged; the caller adds the path, from [`Storage::describe`].
//!
//! # What is durable when
//! - Content written to a file: after [`StorageFile::sync_data`] or [`StorageFile::sync_all`].
//! - A file's creation, renaming or removal: after [`Storage::sync_dir`] of the directory that holds it.
//! - A directory's creation: after [`Storage::sync_dir`] of `""`; for the root itself, see [`Storage::create_dir`].
//!
//! # Symbolic links, other users
//! The root may be reached through symbolic links. No file in it is one: opening one is refused, [`Storage::list`] does not
//! mention them; removing and renaming act on the link itself. So `CURRENT`, `LOCK` or a log that was replaced by a link to
//! elsewhere is an error, and nothing elsewhere is written. Files are created with mode 0600 and directories with 0700; what
//! exists is taken with the permissions that it has, also if all the world may write. Whoever else may write to the store's
//! directory can harm the store: the engine detects damage (I13), it does not resist an attacker with write access.

#[cfg(test)]
pub(crate) mod failing;
mod memory;
mod real;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub use memory::MemoryStorage;
pub use real::RealStorage;

/// Longest component of a name, in bytes: what every file system in use takes.
pub const NAME_COMPONENT_BYTES_MAX: usize = 255;

/// How often in a row an interrupted call (`EINTR`) is repeated before the interruption is returned as the error.
pub const INTERRUPTED_COUNT_MAX: u32 = 1000;

/// Most bytes written by one call of the provided [`StorageFile::preallocate`].
pub const PREALLOCATE_STEP_BYTES: usize = 1 << 20;

/// The two well-known files whose names are upper case; all other names are lower case, so that a file system that
/// ignores case holds the same files.
const UPPER_CASE_NAMES: [&str; 2] = ["LOCK", "CURRENT"];

/// A directory of files: the disk as the engine sees it.
///
/// Names are one flat component (`000012.wal`) or a directory and a component (`leases/x`), of `[a-z0-9._-]`,
/// besides `LOCK` and `CURRENT`; see [`check_name`]. A name that breaks this is refused by every method with
/// [`io::ErrorKind::InvalidInput`], so no name taken from a damaged file ever becomes a path outside the store.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Creates an empty file of mode 0600 and opens it for reading and writing.
    ///
    /// Not durable before [`StorageFile::sync_all`] and [`Storage::sync_dir`].
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken (I4: nothing published is ever overwritten).
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Opens an existing file for reading; every mutating call on the result fails.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Maps a sealed file of exactly `length` bytes.
    ///
    /// Only for files that are never changed again (I4). The map stays readable after the file is removed (I7).
    /// Not promised: that a read survives a hostile process truncating the file under the map (`SIGBUS`).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if the file has another length (I3), [`io::ErrorKind::NotFound`] if there is none.
    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>>;

    /// Renames a file, replacing `to` in one step if it exists. Durable after [`Storage::sync_dir`] of both directories.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no `from`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; handles and maps of it stay usable (I7).
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The files of a directory (`""` is the root) and their lengths in bytes, sorted by name.
    ///
    /// The names are whole, ready for the other methods: listing `leases` gives `leases/x`. Directories are left
    /// out, and so is what cannot be the store's: symbolic links, and names that [`check_name`] refuses.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such directory.
    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>>;

    /// The names that [`Storage::list`] gives, with its errors, without the lengths: no file is looked at.
    fn names(&self, directory: &str) -> io::Result<Vec<String>> {
        Ok(self.list(directory)?.into_iter().map(|file| file.0).collect())
    }

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn length(&self, name: &str) -> io::Result<u64>;

    /// Makes creations, renamings and removals in a directory (`""` is the root) durable.
    ///
    /// # Errors
    /// Any error means that it is unknown what is durable (I8).
    fn sync_dir(&self, directory: &str) -> io::Result<()>;

    /// Creates a directory of mode 0700, unless it exists. Durable after `sync_dir("")`.
    ///
    /// `""` creates the root, whose parent must exist; no name reaches that parent, so here the call itself
    /// makes the new entry durable.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] if the name is taken by something else.
    fn create_dir(&self, directory: &str) -> io::Result<()>;

    /// Takes an advisory lock on a file without waiting; `None` if someone else holds it.
    ///
    /// Creates the file, empty, if there is none. Two locks conflict even within one process and one `Storage`,
    /// unless both are shared. The lock returned is on the file that had this name after the lock was taken, not on
    /// one that was removed or replaced meanwhile: a reader is never left with a lease that nobody can see (I7).
    ///
    /// # Errors
    /// Those of opening, creating and locking; that the lock is held is not an error.
    fn lock(&self, name: &str, kind: LockKind) -> io::Result<Option<Box<dyn LockGuard>>>;

    /// The wall clock, in nanoseconds since the Unix epoch, UTC. It may jump; it decides no order (I14).
    fn now_ns(&self) -> i64;

    /// The full path of a file, a directory or the root (`""`), for error messages; any text is accepted.
    fn describe(&self, name: &str) -> String;

    /// The root directory, if there is one on disk.
    fn root(&self) -> Option<PathBuf>;

    /// What this handle, its clones and their files have done so far.
    fn counts(&self) -> Counts;
}

/// An open file. All positions are explicit, so handles can be shared by threads.
pub trait StorageFile: Send + Sync + fmt::Debug {
    /// Reads at `offset` with one call of the operating system, like `pread`: returns how many bytes were read, which
    /// may be fewer than asked; 0 at and past the end, or for an empty buffer.
    ///
    /// # Errors
    /// Those of the operating system, [`io::ErrorKind::Interrupted`] among them.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes at `offset` with one call of the operating system, like `pwrite`: returns how many bytes were written,
    /// which may be fewer than given. A gap between the end and `offset` reads as zeros.
    ///
    /// This is the level at which a simulator injects short writes and interruptions; the engine calls
    /// [`StorageFile::write_at`].
    ///
    /// # Errors
    /// Those of the operating system, [`io::ErrorKind::Interrupted`] among them.
    fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the content and the length durable. Called once, never retried by the engine (I8).
    ///
    /// # Errors
    /// Any error means that it is unknown what is durable, now and after a later sync that succeeds (I8).
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the content and all metadata durable. Called once, never retried by the engine (I8).
    ///
    /// # Errors
    /// Any error means that it is unknown what is durable, now and after a later sync that succeeds (I8).
    fn sync_all(&self) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros that take no space yet. Never on a file that is mapped.
    ///
    /// # Errors
    /// Those of the operating system.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// Those of the operating system.
    fn length(&self) -> io::Result<u64>;

    /// Writes all of `bytes` at `offset`, going on after short writes and interruptions.
    ///
    /// # Errors
    /// The first other error; how much was written is then unknown, up to all of it. [`io::ErrorKind::WriteZero`] if
    /// the file takes no more bytes, [`io::ErrorKind::Interrupted`] after [`INTERRUPTED_COUNT_MAX`] in a row.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        let mut interrupted_count = 0;
        while written < bytes.len() {
            let position = advance(offset, written)?;
            match self.write_once_at(position, &bytes[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    interrupted_count = 0;
                }
                Err(error) => repeat_if_interrupted(error, &mut interrupted_count)?,
            }
        }
        Ok(())
    }

    /// Extends the file to `length` bytes with zeros that have their space on disk; never shortens it.
    ///
    /// Portable and without `unsafe`, hence by writing the zeros: it costs as much as writing `length` bytes, and on a
    /// file system that compresses or copies on write it reserves nothing. In return, later writes into the range
    /// change neither length nor allocation, and a disk that fills up is noticed here. Not to be called while another
    /// thread writes past the end.
    ///
    /// # Errors
    /// As [`StorageFile::write_at`]; the length is then anywhere between the old one and `length`.
    fn preallocate(&self, length: u64) -> io::Result<()> {
        let mut position = self.length()?;
        if position >= length {
            return Ok(());
        }
        let zeros = vec![0; (length - position).min(PREALLOCATE_STEP_BYTES as u64) as usize];
        while position < length {
            let step = (length - position).min(zeros.len() as u64);
            self.write_at(position, &zeros[..step as usize])?;
            position += step;
        }
        Ok(())
    }

    /// Fills `buffer` from `offset`, going on after short reads and interruptions.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends first; otherwise the first error.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let count = read_until_end(self, offset, buffer)?;
        if count < buffer.len() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} bytes wanted at offset {offset}, {count} there", buffer.len()),
            ));
        }
        Ok(())
    }

    /// The whole file, which must not be longer than `limit` bytes; no more than that is ever allocated.
    ///
    /// A file that grows meanwhile gives the bytes of its length at the start.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] beyond the limit; otherwise the first error.
    fn read_all(&self, limit: u64) -> io::Result<Vec<u8>> {
        let length = self.length()?;
        if length > limit {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{length} bytes, at most {limit} allowed"),
            ));
        }
        let size = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; size];
        let count = read_until_end(self, 0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// The bytes of a sealed file, unchanged for as long as this lives (I4, I7).
pub trait MappedBytes: Send + Sync {
    /// All bytes of the file.
    fn bytes(&self) -> &[u8];
}

/// A held lock; dropping it releases the lock. A process that dies releases its locks too.
pub trait LockGuard: Send + Sync + fmt::Debug {
    /// The locked file, for its content. Open for writing, except for a shared lock on a file that may only be read.
    fn file(&self) -> &dyn StorageFile;
}

/// How a lock excludes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Together with other shared locks.
    Shared,
    /// Alone.
    Exclusive,
}

/// Calls that succeeded, since the storage was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files created, lock files included.
    pub creates: u64,
    /// Syncs of files, `sync_data` and `sync_all` alike.
    pub syncs: u64,
    /// Syncs of directories.
    pub dir_syncs: u64,
    /// Files renamed.
    pub renames: u64,
    /// Files removed.
    pub removes: u64,
    /// Single write calls, those of [`StorageFile::preallocate`] included.
    pub writes: u64,
    /// Bytes written by them.
    pub write_bytes: u64,
}

impl Counts {
    /// What happened after `earlier`, a value from the same storage.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            creates: self.creates.saturating_sub(earlier.creates),
            syncs: self.syncs.saturating_sub(earlier.syncs),
            dir_syncs: self.dir_syncs.saturating_sub(earlier.dir_syncs),
            renames: self.renames.saturating_sub(earlier.renames),
            removes: self.removes.saturating_sub(earlier.removes),
            writes: self.writes.saturating_sub(earlier.writes),
            write_bytes: self.write_bytes.saturating_sub(earlier.write_bytes),
        }
    }
}

/// The live form of [`Counts`]. Relaxed throughout: the numbers order nothing.
#[derive(Debug, Default)]
struct Counters {
    creates: AtomicU64,
    syncs: AtomicU64,
    dir_syncs: AtomicU64,
    renames: AtomicU64,
    removes: AtomicU64,
    writes: AtomicU64,
    write_bytes: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    fn count_write(&self, written: usize) {
        Self::add(&self.writes, 1);
        Self::add(&self.write_bytes, written as u64);
    }

    fn snapshot(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            creates: get(&self.creates),
            syncs: get(&self.syncs),
            dir_syncs: get(&self.dir_syncs),
            renames: get(&self.renames),
            removes: get(&self.removes),
            writes: get(&self.writes),
            write_bytes: get(&self.write_bytes),
        }
    }
}

/// Refuses what is not the name of a file inside a store.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`], with the name, escaped.
pub fn check_name(name: &str) -> io::Result<()> {
    let valid = match name.split_once('/') {
        // A second slash is not among the allowed characters, so depth is bounded here too.
        Some((directory, file)) => is_component(directory) && is_component(file),
        None => is_component(name) || UPPER_CASE_NAMES.contains(&name),
    };
    if valid { Ok(()) } else { Err(bad_name("file", name)) }
}

/// Refuses what is not the name of a directory inside a store: one component, or `""` for the root.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`], with the name, escaped.
pub fn check_directory(directory: &str) -> io::Result<()> {
    if directory.is_empty() || is_component(directory) {
        Ok(())
    } else {
        Err(bad_name("directory", directory))
    }
}

fn is_component(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    !text.is_empty()
        && text.len() <= NAME_COMPONENT_BYTES_MAX
        && text != "."
        && !text.contains("..")
        && text.bytes().all(allowed)
}

fn bad_name(what: &str, name: &str) -> io::Error {
    // A hostile name may be long; the start is enough to find it.
    let start: String = name.chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidInput, format!("{start:?} cannot name a {what} of a store"))
}

fn length_differs(found: u64, expected: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("file of {found} bytes, {expected} expected"))
}

/// The whole name of `file` in `directory`.
fn join(directory: &str, file: &str) -> String {
    if directory.is_empty() { file.to_owned() } else { format!("{directory}/{file}") }
}

fn advance(offset: u64, count: usize) -> io::Result<u64> {
    offset.checked_add(count as u64).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Swallows an interruption, so that the caller repeats the call; bounded, as every loop is.
fn repeat_if_interrupted(error: io::Error, interrupted_count: &mut u32) -> io::Result<()> {
    if error.kind() != io::ErrorKind::Interrupted || *interrupted_count >= INTERRUPTED_COUNT_MAX {
        return Err(error);
    }
    *interrupted_count += 1;
    Ok(())
}

/// Reads until the buffer is full or the file ends; returns how much was read.
fn read_until_end<F: StorageFile + ?Sized>(file: &F, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    let mut interrupted_count = 0;
    while filled < buffer.len() {
        let position = advance(offset, filled)?;
        match file.read_at(position, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => {
                filled += count;
                interrupted_count = 0;
            }
            Err(error) => repeat_if_interrupted(error, &mut interrupted_count)?,
        }
    }
    Ok(filled)
}

/// The wall clock; saturates instead of wrapping (the years 1677 and 2262).
fn system_now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;

    use parking_lot::Mutex;

    use super::*;

    /// Runs one behaviour against both implementations; the two handles stand for two processes.
    fn on_both(behaviour: fn(&dyn Storage, &dyn Storage)) {
        let memory = MemoryStorage::new();
        memory.create_dir("").unwrap();
        behaviour(&memory, &memory.clone());

        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let real = RealStorage::new(root.clone());
        real.create_dir("").unwrap();
        behaviour(&real, &RealStorage::new(root));
    }

    fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) {
        storage.create_new(name).unwrap().write_at(0, bytes).unwrap();
    }

    fn get(storage: &dyn Storage, name: &str) -> Vec<u8> {
        storage.open_read(name).unwrap().read_all(1 << 20).unwrap()
    }

    fn kind<T>(result: io::Result<T>) -> ErrorKind {
        result.err().expect("an error").kind()
    }

    #[test]
    fn create_new_refuses_a_taken_name() {
        on_both(|storage, other| {
            put(storage, "a.seg", b"one");
            assert_eq!(kind(other.create_new("a.seg")), ErrorKind::AlreadyExists);
            storage.create_dir("leases").unwrap();
            assert_eq!(kind(storage.create_new("leases")), ErrorKind::AlreadyExists);
            assert_eq!(get(other, "a.seg"), b"one");
        });
    }

    #[test]
    fn missing_files_and_directories_are_not_found() {
        on_both(|storage, _| {
            assert_eq!(kind(storage.open("a")), ErrorKind::NotFound);
            assert_eq!(kind(storage.open_read("a")), ErrorKind::NotFound);
            assert_eq!(kind(storage.map("a", 0)), ErrorKind::NotFound);
            assert_eq!(kind(storage.length("a")), ErrorKind::NotFound);
            assert_eq!(kind(storage.remove("a")), ErrorKind::NotFound);
            assert_eq!(kind(storage.rename("a", "b")), ErrorKind::NotFound);
            assert_eq!(kind(storage.create_new("leases/a")), ErrorKind::NotFound);
            assert_eq!(kind(storage.list("leases")), ErrorKind::NotFound);
            assert_eq!(kind(storage.sync_dir("leases")), ErrorKind::NotFound);
        });
    }

    #[test]
    fn files_and_directories_are_not_taken_for_each_other() {
        on_both(|storage, _| {
            put(storage, "a", b"x");
            storage.create_dir("leases").unwrap();
            storage.create_dir("leases").unwrap();
            assert_eq!(kind(storage.create_dir("a")), ErrorKind::NotADirectory);
            assert_eq!(kind(storage.sync_dir("a")), ErrorKind::NotADirectory);
            assert_eq!(kind(storage.list("a")), ErrorKind::NotADirectory);
            assert_eq!(kind(storage.create_new("a/b")), ErrorKind::NotADirectory);
            assert_eq!(kind(storage.open("leases")), ErrorKind::IsADirectory);
            assert_eq!(kind(storage.open_read("leases")), ErrorKind::IsADirectory);
            assert_eq!(kind(storage.length("leases")), ErrorKind::IsADirectory);
            assert_eq!(kind(storage.rename("leases", "b")), ErrorKind::IsADirectory);
            assert_eq!(kind(storage.rename("a", "leases")), ErrorKind::IsADirectory);
            assert!(storage.remove("leases").is_err());
            assert_eq!(get(storage, "a"), b"x");
        });
    }

    #[test]
    fn bad_names_are_refused_by_every_method() {
        let long = "a".repeat(NAME_COMPONENT_BYTES_MAX + 1);
        let bad = [
            "/",
            "/etc/passwd",
            ".",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "a..b",
            "a/",
            "/a",
            "a//b",
            "a/b/c",
            "A",
            "Lock",
            "LOCK2",
            "leases/LOCK",
            "a b",
            "a\0",
            "a\\b",
            "a:b",
            "é",
            "\u{202e}a",
            long.as_str(),
        ];
        let memory = MemoryStorage::new();
        let directory = tempfile::tempdir().unwrap();
        let real = RealStorage::new(directory.path().to_owned());
        for storage in [&memory as &dyn Storage, &real] {
            put(storage, "good", b"x");
            for name in bad.iter().copied().chain([""]) {
                assert_eq!(kind(storage.create_new(name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.open(name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.open_read(name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.map(name, 0)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.rename("good", name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.rename(name, "good")), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.remove(name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.length(name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.lock(name, LockKind::Shared)), ErrorKind::InvalidInput, "{name:?}");
            }
            for name in bad.iter().copied().chain(["a/b", "LOCK"]) {
                assert_eq!(kind(storage.create_dir(name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.sync_dir(name)), ErrorKind::InvalidInput, "{name:?}");
                assert_eq!(kind(storage.list(name)), ErrorKind::InvalidInput, "{name:?}");
            }
            assert_eq!(storage.list("").unwrap(), [("good".to_owned(), 1)]);
        }
        let longest = "a".repeat(NAME_COMPONENT_BYTES_MAX);
        for name in ["LOCK", "CURRENT", "000012.wal", "leases/7-x_y", ".tmp", longest.as_str()] {
            check_name(name).unwrap();
        }
        assert!(bad_name("file", &"x".repeat(10_000)).to_string().len() < 200);
    }

    #[test]
    fn rename_replaces_and_open_handles_keep_their_file() {
        on_both(|storage, other| {
            storage.create_dir("leases").unwrap();
            put(storage, "new", b"new");
            put(storage, "CURRENT", b"old");
            let old = other.open_read("CURRENT").unwrap();
            storage.rename("new", "CURRENT").unwrap();
            assert_eq!(get(other, "CURRENT"), b"new");
            assert_eq!(old.read_all(10).unwrap(), b"old");
            assert_eq!(storage.list("").unwrap(), [("CURRENT".to_owned(), 3)]);
            storage.rename("CURRENT", "CURRENT").unwrap();
            storage.rename("CURRENT", "leases/x").unwrap();
            assert_eq!(get(other, "leases/x"), b"new");
            assert_eq!(kind(storage.rename("leases/x", "gone/x")), ErrorKind::NotFound);
        });
    }

    #[test]
    fn removed_files_stay_readable_through_handles_and_maps() {
        on_both(|storage, other| {
            put(storage, "a.seg", b"sealed");
            let map = other.map("a.seg", 6).unwrap();
            let file = other.open_read("a.seg").unwrap();
            storage.remove("a.seg").unwrap();
            put(storage, "a.seg", b"different");
            assert_eq!(map.bytes(), b"sealed");
            assert_eq!(file.read_all(10).unwrap(), b"sealed");
            assert_eq!(file.length().unwrap(), 6);
        });
    }

    #[test]
    fn map_refuses_another_length() {
        on_both(|storage, _| {
            put(storage, "a", b"1234");
            put(storage, "empty", b"");
            for length in [0, 3, 5, u64::MAX] {
                assert_eq!(kind(storage.map("a", length)), ErrorKind::InvalidData);
            }
            assert_eq!(storage.map("a", 4).unwrap().bytes(), b"1234");
            assert!(storage.map("empty", 0).unwrap().bytes().is_empty());
        });
    }

    #[test]
    fn reads_past_the_end_are_short() {
        on_both(|storage, _| {
            put(storage, "a", b"12345");
            let file = storage.open_read("a").unwrap();
            let mut buffer = [0; 4];
            assert_eq!(file.read_at(3, &mut buffer).unwrap(), 2);
            assert_eq!(&buffer[..2], b"45");
            assert_eq!(file.read_at(5, &mut buffer).unwrap(), 0);
            assert_eq!(file.read_at(1 << 40, &mut buffer).unwrap(), 0);
            assert_eq!(file.read_at(0, &mut []).unwrap(), 0);
            assert_eq!(kind(file.read_at(u64::MAX, &mut buffer)), ErrorKind::InvalidInput);
            file.read_exact_at(1, &mut buffer).unwrap();
            assert_eq!(&buffer, b"2345");
            assert_eq!(kind(file.read_exact_at(2, &mut buffer)), ErrorKind::UnexpectedEof);
            assert_eq!(file.read_all(5).unwrap(), b"12345");
            assert_eq!(kind(file.read_all(4)), ErrorKind::FileTooLarge);
        });
    }

    #[test]
    fn writes_overwrite_extend_and_leave_zeros_in_gaps() {
        on_both(|storage, other| {
            let file = storage.create_new("a").unwrap();
            file.write_at(0, b"abc").unwrap();
            file.write_at(1, b"X").unwrap();
            file.write_at(5, b"e").unwrap();
            file.write_at(100, b"").unwrap();
            assert_eq!(get(other, "a"), b"aXc\0\0e");
            file.set_length(2).unwrap();
            file.set_length(4).unwrap();
            assert_eq!(get(other, "a"), b"aX\0\0");
            assert_eq!(other.length("a").unwrap(), 4);
            let again = other.open("a").unwrap();
            again.write_at(0, b"b").unwrap();
            assert_eq!(file.read_all(4).unwrap(), b"bX\0\0");
            assert_eq!(kind(file.write_at(u64::MAX, b"x")), ErrorKind::InvalidInput);
            assert_eq!(kind(file.set_length(u64::MAX)), ErrorKind::InvalidInput);
            assert_eq!(file.length().unwrap(), 4);
        });
    }

    #[test]
    fn preallocate_extends_with_zeros_and_never_shortens() {
        on_both(|storage, _| {
            let file = storage.create_new("a").unwrap();
            file.write_at(0, b"abc").unwrap();
            let length = PREALLOCATE_STEP_BYTES as u64 + 10;
            file.preallocate(length).unwrap();
            assert_eq!(file.length().unwrap(), length);
            file.preallocate(5).unwrap();
            let bytes = file.read_all(length).unwrap();
            assert_eq!(bytes.len() as u64, length);
            assert_eq!(&bytes[..3], b"abc");
            assert!(bytes[3..].iter().all(|&byte| byte == 0));
        });
    }

    #[test]
    fn a_file_opened_for_reading_refuses_every_change() {
        on_both(|storage, _| {
            put(storage, "a", b"abc");
            let file = storage.open_read("a").unwrap();
            assert!(file.write_at(0, b"x").is_err());
            assert!(file.set_length(1).is_err());
            assert!(file.preallocate(10).is_err());
            assert_eq!(get(storage, "a"), b"abc");
        });
    }

    #[test]
    fn list_is_sorted_and_holds_files_only() {
        on_both(|storage, other| {
            storage.create_dir("leases").unwrap();
            for (name, bytes) in
                [("b", "22"), ("a", "1"), ("LOCK", ""), ("leases/2", "x"), ("leases/10", "xyz")]
            {
                put(storage, name, bytes.as_bytes());
            }
            let top = [("LOCK".to_owned(), 0), ("a".to_owned(), 1), ("b".to_owned(), 2)];
            assert_eq!(other.list("").unwrap(), top);
            assert_eq!(
                other.list("leases").unwrap(),
                [("leases/10".to_owned(), 3), ("leases/2".to_owned(), 1)]
            );
            assert_eq!(other.names("leases").unwrap(), ["leases/10", "leases/2"]);
        });
    }

    #[test]
    fn locks_exclude_across_and_within_handles() {
        on_both(|storage, other| {
            let exclusive = storage.lock("LOCK", LockKind::Exclusive).unwrap().unwrap();
            for handle in [storage, other] {
                assert!(handle.lock("LOCK", LockKind::Exclusive).unwrap().is_none());
                assert!(handle.lock("LOCK", LockKind::Shared).unwrap().is_none());
            }
            drop(exclusive);
            let first = storage.lock("LOCK", LockKind::Shared).unwrap().unwrap();
            let second = other.lock("LOCK", LockKind::Shared).unwrap().unwrap();
            assert!(other.lock("LOCK", LockKind::Exclusive).unwrap().is_none());
            drop(first);
            assert!(storage.lock("LOCK", LockKind::Exclusive).unwrap().is_none());
            drop(second);
            assert!(storage.lock("LOCK", LockKind::Exclusive).unwrap().is_some());
            assert_eq!(storage.counts().creates, 1);
        });
    }

    #[test]
    fn a_lock_survives_other_handles_of_its_file_and_gives_access_to_the_content() {
        on_both(|storage, other| {
            let guard = storage.lock("LOCK", LockKind::Exclusive).unwrap().unwrap();
            guard.file().write_at(0, b"pid 7").unwrap();
            // Closing any descriptor would release an `fcntl` lock.
            drop(storage.open("LOCK").unwrap());
            assert_eq!(get(other, "LOCK"), b"pid 7");
            assert!(other.lock("LOCK", LockKind::Exclusive).unwrap().is_none());
        });
    }

    #[test]
    fn a_lock_is_on_the_file_that_has_the_name_now() {
        on_both(|storage, other| {
            storage.create_dir("leases").unwrap();
            let old = storage.lock("leases/1", LockKind::Exclusive).unwrap().unwrap();
            storage.remove("leases/1").unwrap();
            let new = other.lock("leases/1", LockKind::Exclusive).unwrap().unwrap();
            drop(old);
            assert!(storage.lock("leases/1", LockKind::Shared).unwrap().is_none());
            drop(new);
        });
    }

    /// I7: a lease must never end up on a file that its collector has just removed.
    #[test]
    fn racing_lockers_and_removers_never_share_an_exclusive_lock() {
        on_both(|storage, other| {
            let inside = AtomicU64::new(0);
            let taken = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for handle in [storage, other, storage, other] {
                    let (inside, taken) = (&inside, &taken);
                    scope.spawn(move || {
                        for _ in 0..500 {
                            let Some(guard) = handle.lock("lease", LockKind::Exclusive).unwrap() else {
                                continue;
                            };
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            handle.remove("lease").unwrap();
                            drop(guard);
                        }
                    });
                }
            });
            assert!(taken.into_inner() > 0);
        });
    }

    #[test]
    fn counts_tell_what_was_done() {
        on_both(|storage, _| {
            let before = storage.counts();
            let file = storage.create_new("a").unwrap();
            file.write_at(0, b"abc").unwrap();
            file.write_at(3, b"de").unwrap();
            file.sync_data().unwrap();
            file.sync_all().unwrap();
            storage.sync_dir("").unwrap();
            storage.rename("a", "b").unwrap();
            storage.remove("b").unwrap();
            assert!(storage.remove("b").is_err());
            let expected = Counts {
                creates: 1,
                syncs: 2,
                dir_syncs: 1,
                renames: 1,
                removes: 1,
                writes: 2,
                write_bytes: 5,
            };
            assert_eq!(storage.counts().since(before), expected);
        });
    }

    #[test]
    fn the_clock_is_in_this_century_and_memory_can_set_it() {
        on_both(|storage, _| {
            let year_2020_ns = 1_577_836_800_000_000_000;
            assert!(storage.now_ns() > year_2020_ns);
        });
        let memory = MemoryStorage::new();
        memory.clone().set_now_ns(-5);
        assert_eq!(memory.now_ns(), -5);
    }

    #[test]
    fn memory_files_show_content_and_maps_never_change() {
        let memory = MemoryStorage::new();
        memory.create_dir("leases").unwrap();
        put(&memory, "leases/x", b"1");
        put(&memory, "a", b"abc");
        let map = memory.map("a", 3).unwrap();
        let files = memory.files();
        memory.open("a").unwrap().write_at(0, b"XYZ").unwrap();
        assert_eq!(map.bytes(), b"abc");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a", "leases/x"]);
        assert_eq!(files["a"].as_slice(), b"abc");
        assert_eq!(memory.files()["a"].as_slice(), b"XYZ");
        let file = memory.open("a").unwrap();
        assert_eq!(kind(file.write_at(1 << 40, b"x")), ErrorKind::FileTooLarge);
        assert_eq!(kind(file.set_length(1 << 40)), ErrorKind::FileTooLarge);
        assert_eq!(memory.describe("a"), "memory:a");
        assert_eq!(memory.root(), None);
    }

    #[test]
    fn real_files_and_directories_are_private_and_foreign_entries_are_not_listed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let storage = RealStorage::new(root.clone());
        assert_eq!(kind(storage.list("")), ErrorKind::NotFound);
        storage.create_dir("").unwrap();
        storage.create_dir("").unwrap();
        storage.create_dir("leases").unwrap();
        put(&storage, "a", b"x");
        drop(storage.lock("LOCK", LockKind::Exclusive).unwrap().unwrap());
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(root.clone()), 0o700);
        assert_eq!(mode(root.join("leases")), 0o700);
        assert_eq!(mode(root.join("a")), 0o600);
        assert_eq!(mode(root.join("LOCK")), 0o600);

        std::fs::write(root.join("Notes.txt"), "not ours").unwrap();
        std::os::unix::fs::symlink(root.join("a"), root.join("link")).unwrap();
        assert_eq!(storage.list("").unwrap(), [("LOCK".to_owned(), 0), ("a".to_owned(), 1)]);
        assert_eq!(storage.names("").unwrap(), ["LOCK", "a"]);
        assert_eq!(kind(storage.open_read("link")), ErrorKind::InvalidInput);
        assert_eq!(kind(storage.open("link")), ErrorKind::InvalidInput);
        assert_eq!(kind(storage.lock("link", LockKind::Shared)), ErrorKind::InvalidInput);
        assert_eq!(kind(storage.map("link", 1)), ErrorKind::InvalidInput);
        storage.remove("link").unwrap();
        assert_eq!(get(&storage, "a"), b"x");
        std::fs::remove_dir(root.join("leases")).unwrap();
        std::os::unix::fs::symlink(directory.path(), root.join("leases")).unwrap();
        assert_eq!(kind(storage.create_dir("leases")), ErrorKind::NotADirectory);
        assert_eq!(kind(storage.create_new("leases/x")), ErrorKind::NotADirectory);
        assert_eq!(kind(storage.list("leases")), ErrorKind::NotADirectory);
        assert_eq!(kind(storage.names("leases")), ErrorKind::NotADirectory);

        assert_eq!(storage.root(), Some(root.clone()));
        assert_eq!(storage.describe(""), root.display().to_string());
        assert_eq!(storage.describe("leases/x"), format!("{}/leases/x", root.display()));
        assert!(storage.describe("/etc/passwd").starts_with(&root.display().to_string()));
        let missing = RealStorage::new(directory.path().join("no/parent"));
        assert_eq!(kind(missing.create_dir("")), ErrorKind::NotFound);
    }

    /// A superuser may write the file all the same; then this shows less, and passes.
    #[test]
    fn a_shared_lock_needs_no_permission_to_write() {
        let directory = tempfile::tempdir().unwrap();
        let storage = RealStorage::new(directory.path().to_owned());
        put(&storage, "LOCK", b"x");
        std::fs::set_permissions(directory.path().join("LOCK"), PermissionsExt::from_mode(0o400)).unwrap();
        let guard = storage.lock("LOCK", LockKind::Shared).unwrap().unwrap();
        assert_eq!(guard.file().read_all(10).unwrap(), b"x");
        assert!(storage.lock("LOCK", LockKind::Shared).unwrap().is_some());
    }

    /// A file whose single writes and reads do what a script says: `Ok(n)` takes at most `n` bytes.
    #[derive(Debug)]
    struct Scripted {
        script: Mutex<VecDeque<Result<usize, ErrorKind>>>,
        content: Arc<dyn StorageFile>,
    }

    impl Scripted {
        fn new(script: impl IntoIterator<Item = Result<usize, ErrorKind>>) -> Self {
            let content = MemoryStorage::new().create_new("a").unwrap();
            Self { script: Mutex::new(script.into_iter().collect()), content }
        }

        fn next(&self, wanted: usize) -> io::Result<usize> {
            let step = self.script.lock().pop_front().unwrap_or(Ok(wanted));
            Ok(step?.min(wanted))
        }
    }

    impl StorageFile for Scripted {
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.next(buffer.len())?;
            self.content.read_at(offset, &mut buffer[..count])
        }

        fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            let count = self.next(bytes.len())?;
            self.content.write_once_at(offset, &bytes[..count])
        }

        fn sync_data(&self) -> io::Result<()> {
            self.content.sync_data()
        }

        fn sync_all(&self) -> io::Result<()> {
            self.content.sync_all()
        }

        fn set_length(&self, length: u64) -> io::Result<()> {
            self.content.set_length(length)
        }

        fn length(&self) -> io::Result<u64> {
            self.content.length()
        }
    }

    #[test]
    fn short_and_interrupted_calls_are_continued() {
        let eintr = Err(ErrorKind::Interrupted);
        let file = Scripted::new([Ok(2), eintr, Ok(1), eintr, eintr]);
        file.write_at(3, b"abcdef").unwrap();
        assert!(file.script.lock().is_empty());
        file.script.lock().extend([Ok(1), eintr, Ok(3)]);
        assert_eq!(file.read_all(100).unwrap(), b"\0\0\0abcdef");
        file.script.lock().extend([eintr, Ok(1)]);
        let mut buffer = [0; 4];
        file.read_exact_at(4, &mut buffer).unwrap();
        assert_eq!(&buffer, b"bcde");
    }

    #[test]
    fn the_first_real_error_ends_a_write() {
        let file = Scripted::new([Ok(2), Err(ErrorKind::StorageFull)]);
        assert_eq!(kind(file.write_at(0, b"abcdef")), ErrorKind::StorageFull);
        assert_eq!(file.length().unwrap(), 2);
        let file = Scripted::new([Ok(2), Ok(0)]);
        assert_eq!(kind(file.write_at(0, b"abcdef")), ErrorKind::WriteZero);
        let file = Scripted::new([Err(ErrorKind::StorageFull)]);
        assert_eq!(kind(file.preallocate(10)), ErrorKind::StorageFull);
    }

    #[test]
    fn endless_interruption_is_an_error() {
        let forever = vec![Err(ErrorKind::Interrupted); INTERRUPTED_COUNT_MAX as usize + 1];
        let file = Scripted::new(forever.clone());
        assert_eq!(kind(file.write_at(0, b"abc")), ErrorKind::Interrupted);
        let file = Scripted::new(forever.into_iter().skip(1));
        file.write_at(0, b"abc").unwrap();
    }
}
