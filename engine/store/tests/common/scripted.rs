//! Memory whose calls a test may fail, or hold up until it says how they end.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapestore::io::{Counts, LockGuard, LockKind, MappedBytes, MemoryStorage, Storage, StorageFile};

/// Calls that change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Write,
    Sync,
    Rename,
}

/// Which calls fail, on which names, and how.
type Failure = (Call, &'static str, io::ErrorKind);

/// How long a test waits for another thread before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to become of the next call of a kind on a file whose name begins so.
#[derive(Debug)]
struct Plan {
    call: Call,
    names: &'static str,
    arrived: Sender<()>,
    end: Receiver<Result<(), io::ErrorKind>>,
}

/// A call that is held up, or will be.
#[derive(Debug)]
pub(crate) struct Held {
    arrived: Receiver<()>,
    end: Sender<Result<(), io::ErrorKind>>,
}

impl Held {
    /// Waits until the call was made.
    pub(crate) fn wait(&self) {
        self.arrived.recv_timeout(PATIENCE).expect("the call is made");
    }

    /// Lets it happen, or fail.
    pub(crate) fn end(self, result: Result<(), io::ErrorKind>) {
        self.end.send(result).expect("it is waited for");
    }
}

/// The storage. Clones are handles of the same files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) inner: MemoryStorage,
    plans: Arc<Mutex<Vec<Plan>>>,
    /// Calls of a kind, on names that begin so, that fail so until said otherwise.
    failing: Arc<Mutex<Option<Failure>>>,
    /// The next call of a kind on such a name panics.
    panicking: Arc<Mutex<Option<(Call, &'static str)>>>,
    /// Every write: to which file, and how long it was.
    writes: Arc<Mutex<Vec<(String, usize)>>>,
    /// Files written to since they were synced.
    unsynced: Arc<Mutex<BTreeSet<String>>>,
    /// Logs created while another one was unsynced.
    hasty: Arc<Mutex<Vec<String>>>,
    /// Whether there is no space for a log unless the reserve is gone.
    cramped: Arc<AtomicBool>,
    /// How long each write and sync of a log takes, in microseconds.
    slow_us: Arc<AtomicU64>,
}

impl Scripted {
    /// Holds up the next such call.
    pub(crate) fn hold(&self, call: Call, names: &'static str) -> Held {
        let ((arrived, wait), (end, told)) = (channel(), channel());
        self.plans.lock().unwrap().push(Plan { call, names, arrived, end: told });
        Held { arrived: wait, end }
    }

    /// From now on such calls fail so; `None`: none.
    pub(crate) fn fail(&self, what: Option<Failure>) {
        *self.failing.lock().unwrap() = what;
    }

    /// The next such call panics.
    pub(crate) fn panic(&self, call: Call, names: &'static str) {
        *self.panicking.lock().unwrap() = Some((call, names));
    }

    /// The lengths of all writes to files whose name begins so.
    pub(crate) fn writes(&self, names: &str) -> Vec<usize> {
        let writes = self.writes.lock().unwrap();
        writes.iter().filter(|write| write.0.starts_with(names)).map(|write| write.1).collect()
    }

    /// From now on there is space for another log only in the place of the reserve.
    pub(crate) fn cramp(&self) {
        self.cramped.store(true, Ordering::Relaxed);
    }

    /// From now on each write and sync of a log takes so long.
    pub(crate) fn slow_down(&self, time: Duration) {
        self.slow_us.store(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// Logs that were created while another one had bytes that were not synced.
    pub(crate) fn hasty_logs(&self) -> Vec<String> {
        self.hasty.lock().unwrap().clone()
    }

    fn meet(&self, call: Call, name: &str) -> io::Result<()> {
        let plan = {
            let mut plans = self.plans.lock().unwrap();
            let at = plans.iter().position(|plan| plan.call == call && name.starts_with(plan.names));
            at.map(|at| plans.remove(at))
        };
        if let Some(plan) = plan {
            // A test that has failed waits for nothing any more.
            let _ = plan.arrived.send(());
            plan.end.recv_timeout(PATIENCE).unwrap_or(Ok(()))?;
        }
        let panics =
            self.panicking.lock().unwrap().take_if(|panic| panic.0 == call && name.starts_with(panic.1));
        assert!(panics.is_none(), "a storage that panics at {name}");
        let slow = self.slow_us.load(Ordering::Relaxed);
        if slow > 0 && name.starts_with("wal-") && matches!(call, Call::Write | Call::Sync) {
            std::thread::sleep(Duration::from_micros(slow));
        }
        match *self.failing.lock().unwrap() {
            Some((failing, names, kind)) if failing == call && name.starts_with(names) => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn file(&self, name: &str, inner: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(File { storage: self.clone(), name: name.to_owned(), inner })
    }
}

#[derive(Debug)]
struct File {
    storage: Scripted,
    name: String,
    inner: Arc<dyn StorageFile>,
}

impl StorageFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }
    fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.storage.meet(Call::Write, &self.name)?;
        self.storage.writes.lock().unwrap().push((self.name.clone(), bytes.len()));
        self.storage.unsynced.lock().unwrap().insert(self.name.clone());
        self.inner.write_once_at(offset, bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.storage.meet(Call::Sync, &self.name)?;
        self.storage.unsynced.lock().unwrap().remove(&self.name);
        self.inner.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.storage.meet(Call::Sync, &self.name)?;
        self.storage.unsynced.lock().unwrap().remove(&self.name);
        self.inner.sync_all()
    }
    fn set_length(&self, length: u64) -> io::Result<()> {
        self.inner.set_length(length)
    }
    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}

impl Storage for Scripted {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.meet(Call::Create, name)?;
        let is_log = |name: &str| name.starts_with("wal-");
        if is_log(name) && self.cramped.load(Ordering::Relaxed) && self.inner.length("reserve").is_ok() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if is_log(name) && self.unsynced.lock().unwrap().iter().any(|other| is_log(other)) {
            self.hasty.lock().unwrap().push(name.to_owned());
        }
        Ok(self.file(name, self.inner.create_new(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.file(name, self.inner.open(name)?))
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.inner.open_read(name)
    }
    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        self.inner.map(name, length)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.meet(Call::Rename, from)?;
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
