//! The store: creating, opening, and everything that is asked of a store as a whole.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tapestore_format::manifest::{Current, ManifestRecord, SegmentRecord, SnapshotRecord, StateRecord};
use tapestore_format::rows::Values;
use tapestore_format::schema::Schema;
use tapestore_format::wal::{CommitKind, LogStart, TransactionRecord};

use crate::apply::{COMMITS, apply, first_state};
use crate::batch::Rows;
use crate::cache::BlockCache;
use crate::commit::Pipeline;
use crate::compact::{self, CompactReport, Scope};
use crate::error::{Error, Result};
use crate::io::{LockGuard, LockKind, RealStorage, Storage};
use crate::key::SeriesKey;
use crate::layer::Retained;
use crate::lease::{LEASES, Lease};
use crate::maintenance::Maintenance;
use crate::manifest::{Manifest, ManifestState, load, read_current};
use crate::options::{Durability, Options, Retention};
use crate::rollback;
use crate::seal;
use crate::segment::{Part, SegmentFile};
use crate::state::{Catalog, Definitions, Layer, SeriesState, State};
use crate::transaction::{CommitReport, Transaction, check_snapshot_name};
use crate::view::{View, commits};
use crate::wal::{LogReader, LogWriter, Position, TornTail, Visible};
use crate::worker::Worker;

const LOCK: &str = "LOCK";
/// How often a busy lock is tried again: a reader holds it for an instant to see whether a writer lives.
const LOCK_TRIES: u32 = 40;

/// Everything that a store's handles, views and threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) store: [u8; 16],
    pub(crate) created: i64,
    pub(crate) options: Options,
    pub(crate) catalog: Catalog,
    pub(crate) cache: BlockCache,
    /// What readers see.
    pub(crate) published: RwLock<Arc<State>>,
    pub(crate) retained: RwLock<Retained>,
    pub(crate) snapshots: RwLock<BTreeMap<String, SnapshotRecord>>,
    files: Mutex<HashMap<u64, Weak<SegmentFile>>>,
    pub(crate) role: Role,
}

#[derive(Debug)]
pub(crate) enum Role {
    Writer(Box<WriterRole>),
    Reader(ReaderRole),
}

/// What only the writer has.
#[derive(Debug)]
pub(crate) struct WriterRole {
    pub(crate) pipeline: Pipeline,
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) sealing: Mutex<()>,
    pub(crate) compacting: Mutex<()>,
    pub(crate) worker: Worker,
    /// Bytes behind the last whole commit that recovery left out.
    pub(crate) torn: Option<TornTail>,
    _lock: Box<dyn LockGuard>,
}

/// What only a follower has.
#[derive(Debug)]
pub(crate) struct ReaderRole {
    follower: Mutex<Follower>,
    lease: Option<Lease>,
}

#[derive(Clone, Copy, Debug)]
struct Follower {
    step: u64,
    position: Position,
}

pub(crate) fn seal_role(shared: &Shared) -> Option<&WriterRole> {
    match &shared.role {
        Role::Writer(role) => Some(role),
        Role::Reader(_) => None,
    }
}

impl Shared {
    pub(crate) fn writer(&self) -> Result<&WriterRole> {
        seal_role(self).ok_or(Error::ReadOnly)
    }

    /// Shows a state to readers, unless they see a newer one.
    pub(crate) fn publish(&self, state: Arc<State>) {
        let mut published = self.published.write();
        if state.version >= published.version {
            *published = state;
        }
    }

    /// The file of a segment; one object per file, so that its map and what was verified is shared.
    pub(crate) fn segment_file(&self, record: &SegmentRecord) -> Arc<SegmentFile> {
        let mut files = self.files.lock();
        if let Some(file) = files.get(&record.id).and_then(Weak::upgrade) {
            return file;
        }
        let file = Arc::new(SegmentFile::new(self.storage.clone(), self.store, record));
        files.insert(record.id, Arc::downgrade(&file));
        file
    }

    pub(crate) fn wake_sealer(&self) -> bool {
        seal_role(self).is_some_and(|role| role.worker.wake_sealer())
    }

    pub(crate) fn seal(&self) -> Result<bool> {
        let role = self.writer()?;
        let sealed = seal::seal(self, role)?;
        if sealed {
            self.apply_retention(role)?;
            role.worker.wake_compactor();
        }
        Ok(sealed)
    }

    /// Raises the floor as the options say.
    fn apply_retention(&self, role: &WriterRole) -> Result<()> {
        let newest = self.published.read().version;
        let floor = match self.options.retention {
            Retention::All => return Ok(()),
            Retention::Commits(count) => newest.saturating_sub(count.saturating_sub(1)),
            Retention::Nanoseconds(age) => {
                let commits = commits(&self.cache, &self.published.read().clone(), newest)?;
                let Some(last) = commit_time(&commits, newest) else { return Ok(()) };
                version_at(&commits, last.saturating_sub(age)).unwrap_or(0)
            }
        };
        self.raise_floor(role, floor.min(newest))
    }

    pub(crate) fn raise_floor(&self, role: &WriterRole, floor: u64) -> Result<()> {
        let mut maintenance = role.maintenance.lock();
        let state = maintenance.state();
        if floor <= state.floor {
            return Ok(());
        }
        let published = maintenance.publish(Vec::new(), StateRecord { floor, ..state });
        published.inspect_err(|error| role.pipeline.poison(error))?;
        self.retained.write().floor = floor;
        Ok(())
    }
}

/// The wall clock of a commit.
fn commit_time(commits: &Rows, version: u64) -> Option<i64> {
    (0..commits.len()).find(|row| commits.set.version.get(*row) == version).map(|row| commits.set.time[row])
}

/// The newest version whose commit is not later than `time`.
fn version_at(commits: &Rows, time: i64) -> Option<u64> {
    let until = commits.set.time.partition_point(|commit| *commit <= time);
    (0..until).map(|row| commits.set.version.get(row)).max()
}

/// A version to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// This commit.
    Version(u64),
    /// The snapshot of this name.
    Snapshot(String),
    /// The newest commit not later than this time, nanoseconds since the Unix epoch, UTC.
    Time(i64),
}

/// A named version that retention keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// When it was made, nanoseconds since the Unix epoch, UTC.
    pub created_ns: i64,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its number.
    pub version: u64,
    /// Wall clock, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// Why it was made.
    pub kind: CommitKind,
    /// What its maker said.
    pub message: String,
    /// Series touched.
    pub series: u64,
    /// Rows that did not exist before.
    pub added: u64,
    /// Rows that replaced others.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// The oldest version that can be read now, but for snapshots.
    pub floor: u64,
    /// Old rows that were given up.
    pub history_rows_dropped: u64,
    /// Bytes of segments before.
    pub bytes_before: u64,
    /// Bytes of segments after.
    pub bytes_after: u64,
}

/// Sizes and counters of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Newest visible version.
    pub version: u64,
    /// Oldest version that can be read, but for snapshots.
    pub floor: u64,
    /// Series that exist.
    pub series: u64,
    /// Visible rows.
    pub rows: u64,
    /// Rows kept for older versions.
    pub history_rows: u64,
    /// Segments.
    pub segments: u64,
    /// All files of the store.
    pub bytes_on_disk: u64,
    /// Segments.
    pub segment_bytes: u64,
    /// Logs.
    pub wal_bytes: u64,
    /// Manifests.
    pub manifest_bytes: u64,
    /// Rows in memory.
    pub memtable_rows: u64,
    /// Approximate bytes in memory.
    pub memtable_bytes: u64,
    /// Blocks found in the cache.
    pub cache_hits: u64,
    /// Blocks decoded.
    pub cache_misses: u64,
    /// Bytes in the cache.
    pub cache_bytes: u64,
    /// Snapshots.
    pub snapshots: u64,
}

/// A store, opened. Cloning gives another handle to the same opening.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    _threads: Arc<Threads>,
}

/// Stops the threads when the last handle goes.
#[derive(Debug)]
struct Threads {
    shared: Arc<Shared>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    fn stop(&self) {
        if let Some(role) = seal_role(&self.shared) {
            role.worker.stop();
        }
        for handle in self.handles.lock().drain(..) {
            let _ = handle.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
        // Volatile commits are worth an attempt; whoever needs to know calls `close`.
        if let Some(role) = seal_role(&self.shared) {
            let _ = role.pipeline.quiesce(&self.shared);
        }
    }
}

impl Store {
    /// Creates a store in a directory that does not exist or is empty.
    ///
    /// # Errors
    /// [`Error::Usage`] if the directory holds anything.
    pub fn create(directory: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::create_on(Arc::new(RealStorage::new(directory.as_ref().to_path_buf())), options)
    }

    /// Opens a store for reading and writing. Recovers what an earlier process left.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no store, [`Error::Locked`] if another process writes to it; damage is named.
    pub fn open(directory: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_on(Arc::new(RealStorage::new(directory.as_ref().to_path_buf())), options)
    }

    /// Opens a store for reading, beside a writer or without one. Shows the newest version; [`Store::refresh`] moves on.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no store; damage is named.
    pub fn open_read_only(directory: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_read_only_on(Arc::new(RealStorage::new(directory.as_ref().to_path_buf())), options)
    }

    /// As [`Store::create`], on any storage.
    pub fn create_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let failed = |action, error| Error::io(action, storage.describe(""), error);
        storage.create_dir("").map_err(|error| failed("creating", error))?;
        let lock = lock_for_writing(&*storage)?;
        let files = storage.list("").map_err(|error| failed("listing", error))?;
        if let Some((name, _)) = files.iter().find(|(name, _)| name != LOCK) {
            let reason = if name == "CURRENT" { "is a store already; open it" } else { "is not empty" };
            return Err(Error::Usage(format!("{} {reason}", storage.describe(""))));
        }
        storage.create_dir(LEASES).map_err(|error| failed("creating", error))?;
        let store = random_identity(&*storage);
        let created = storage.now_ns();
        let start = LogStart { previous_log: 0, previous_end: 0, version: 0 };
        let log = LogWriter::create(&*storage, store, 1, start, 1)?;
        let state = ManifestState {
            state: StateRecord { first_log: 1, next_file: 3, ..StateRecord::default() },
            ..ManifestState::default()
        };
        let manifest = Manifest::create(storage.clone(), store, created, state, 2)?;
        let current = manifest.current;
        let catalog = Catalog::default();
        let first = first_state(&catalog);
        Self::start_writer(storage, options, lock, manifest, current, catalog, first, log, 0, None)
    }

    /// As [`Store::open`], on any storage.
    pub fn open_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        find_store(&*storage)?;
        let lock = lock_for_writing(&*storage)?;
        let current = find_store(&*storage)?;
        let (manifest_state, next_sequence) = load(&*storage, &current)?;
        let catalog = Catalog::default();
        let record = manifest_state.state;
        let files = SegmentFiles { storage: &storage, store: current.store, known: &HashMap::new() };
        let mut state = files.build_state(&manifest_state, &catalog)?;
        let sealed = state.version;
        let mut memtable_bytes = 0;
        let reader = LogReader { storage: &*storage, store: current.store, visible: None };
        let (position, torn) = reader.replay(record.first_log, &mut |transaction| {
            if transaction.version > sealed {
                let (next, bytes) = apply(&state, &catalog, transaction, 0)?;
                state = next;
                memtable_bytes += bytes;
            }
            Ok(())
        })?;
        let manifest = Manifest::reopen(storage.clone(), current, manifest_state, next_sequence)?;
        let mut maintenance = Maintenance::new(storage.clone(), manifest);
        let id = maintenance.allocate()?;
        let start =
            LogStart { previous_log: position.log, previous_end: position.offset, version: state.version };
        let log = LogWriter::create(&*storage, current.store, id, start, position.next_sequence)?;
        if state.version == sealed {
            // Nothing in the old logs counts: give them up now instead of carrying them along.
            let next = StateRecord { first_log: id, ..maintenance.state() };
            maintenance.publish(Vec::new(), next)?;
        }
        retire_orphans(&*storage, &mut maintenance)?;
        maintenance.collect();
        Self::finish_writer(storage, options, lock, maintenance, current, catalog, state, log, memtable_bytes, torn)
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of a writer, put together in one place")]
    fn start_writer(
        storage: Arc<dyn Storage>,
        options: Options,
        lock: Box<dyn LockGuard>,
        manifest: Manifest,
        current: Current,
        catalog: Catalog,
        state: State,
        log: LogWriter,
        memtable_bytes: usize,
        torn: Option<TornTail>,
    ) -> Result<Self> {
        let maintenance = Maintenance::new(storage.clone(), manifest);
        Self::finish_writer(storage, options, lock, maintenance, current, catalog, state, log, memtable_bytes, torn)
    }

    #[expect(clippy::too_many_arguments, reason = "the pieces of a writer, put together in one place")]
    fn finish_writer(
        storage: Arc<dyn Storage>,
        options: Options,
        lock: Box<dyn LockGuard>,
        maintenance: Maintenance,
        current: Current,
        catalog: Catalog,
        state: State,
        log: LogWriter,
        memtable_bytes: usize,
        torn: Option<TornTail>,
    ) -> Result<Self> {
        let visible = Visible::open(&*storage)?;
        let hint = Visible { log: log.id, end: log.frames.offset() };
        visible
            .write_at(0, &hint.encode(current.store))
            .map_err(|error| Error::io("writing", storage.describe("visible"), error))?;
        let manifest_state = &maintenance.manifest.state;
        let (retained, snapshots) = retained_of(manifest_state);
        let head = Arc::new(state);
        let role = WriterRole {
            pipeline: Pipeline::new(head.clone(), log, visible, memtable_bytes),
            worker: Worker::new(options.background),
            maintenance: Mutex::new(maintenance),
            sealing: Mutex::new(()),
            compacting: Mutex::new(()),
            torn,
            _lock: lock,
        };
        let shared = Arc::new(Shared {
            cache: BlockCache::new(options.cache_bytes),
            storage,
            store: current.store,
            created: current.created,
            options,
            catalog,
            published: RwLock::new(head),
            retained: RwLock::new(retained),
            snapshots: RwLock::new(snapshots),
            files: Mutex::new(HashMap::new()),
            role: Role::Writer(Box::new(role)),
        });
        shared.remember_files();
        let role = seal_role(&shared).expect("built above");
        let handles = Worker::start(&shared, &role.worker);
        let threads = Threads { shared: shared.clone(), handles: Mutex::new(handles) };
        Ok(Self { shared, _threads: Arc::new(threads) })
    }

    /// As [`Store::open_read_only`], on any storage.
    pub fn open_read_only_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let store = find_store(&*storage)?.store;
        // Without a lease, on a medium that takes no files, everything is mapped before anything can go.
        let lease = Lease::take(storage.clone(), store).ok();
        let catalog = Catalog::default();
        let loaded = load_follower(&storage, &catalog, &HashMap::new())?;
        if let Some(lease) = &lease {
            lease.move_to(loaded.follower.step)?;
        }
        let (retained, snapshots) = retained_of(&loaded.manifest);
        let shared = Arc::new(Shared {
            cache: BlockCache::new(options.cache_bytes),
            storage,
            store,
            created: loaded.current.created,
            options,
            catalog,
            published: RwLock::new(Arc::new(loaded.state)),
            retained: RwLock::new(retained),
            snapshots: RwLock::new(snapshots),
            files: Mutex::new(HashMap::new()),
            role: Role::Reader(ReaderRole { follower: Mutex::new(loaded.follower), lease }),
        });
        shared.remember_files();
        if let Role::Reader(ReaderRole { lease: None, .. }) = &shared.role {
            shared.open_all_files()?;
        }
        let threads = Threads { shared: shared.clone(), handles: Mutex::new(Vec::new()) };
        Ok(Self { shared, _threads: Arc::new(threads) })
    }

    /// For handles that only read: moves to the newest version that the writer shows; returns it.
    /// A handle that writes is always there.
    ///
    /// # Errors
    /// Damage is named; the handle then stays at its version.
    pub fn refresh(&self) -> Result<u64> {
        let shared = &self.shared;
        let Role::Reader(role) = &shared.role else { return Ok(shared.published.read().version) };
        let mut follower = role.follower.lock();
        let current = find_store(&*shared.storage)?;
        if current.step == follower.step {
            let mut state = (**shared.published.read()).clone();
            let visible = live_writer(&*shared.storage, shared.store)?;
            let reader = LogReader { storage: &*shared.storage, store: shared.store, visible };
            let position = reader.resume(follower.position, &mut |transaction| {
                if transaction.version > state.version {
                    state = apply(&state, &shared.catalog, transaction, 0)?.0;
                }
                Ok(())
            });
            // A log that is gone, or cut where a new writer recovered: the manifest tells.
            if let Ok(position) = position {
                follower.position = position;
                let version = state.version;
                shared.publish(Arc::new(state));
                return Ok(version);
            }
        }
        let known = shared.files.lock().iter().filter_map(|(id, file)| Some((*id, file.upgrade()?))).collect();
        let loaded = load_follower(&shared.storage, &shared.catalog, &known)?;
        // Files that only views of this process still use must be open before the lease moves on (I7).
        for file in known.values().filter(|file| !loaded.manifest.segments.contains_key(&file.id())) {
            file.open()?;
        }
        let version = loaded.state.version;
        let published = shared.published.read().version;
        if version < published {
            return Ok(published);
        }
        (*shared.retained.write(), *shared.snapshots.write()) = retained_of(&loaded.manifest);
        *shared.published.write() = Arc::new(loaded.state);
        shared.remember_files();
        *follower = loaded.follower;
        match &role.lease {
            Some(lease) => lease.move_to(loaded.follower.step)?,
            None => shared.open_all_files()?,
        }
        Ok(version)
    }

    /// Begins a transaction. On a handle that only reads, its commit fails with [`Error::ReadOnly`].
    pub fn begin(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    pub(crate) fn commit(&self, transaction: Transaction, durability: Durability) -> Result<CommitReport> {
        self.shared.writer()?.pipeline.commit(&self.shared, transaction, durability)
    }

    /// The options that the store was opened with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The newest version visible to this handle, pinned.
    pub fn view(&self) -> View {
        View::new(self.shared.clone())
    }

    /// An older version, pinned.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not exist or was pruned.
    pub fn as_of(&self, at: &AsOf) -> Result<View> {
        let view = self.view();
        let version = self.resolve(at, &view)?;
        Ok(view.at(version))
    }

    fn resolve(&self, at: &AsOf, view: &View) -> Result<u64> {
        let shared = &self.shared;
        let version = match at {
            AsOf::Version(version) => *version,
            AsOf::Snapshot(name) => {
                let snapshots = shared.snapshots.read();
                let found = snapshots.get(name).map(|snapshot| snapshot.version);
                found.ok_or_else(|| Error::NotFound(format!("there is no snapshot {name:?}")))?
            }
            AsOf::Time(time) => version_at(&commits(&shared.cache, view.state(), view.version())?, *time)
                .ok_or_else(|| Error::NotFound(format!("there is no commit at or before {time} ns")))?,
        };
        let retained = shared.retained.read();
        if version > view.version() {
            let newest = view.version();
            return Err(Error::NotFound(format!("version {version} does not exist yet; the newest is {newest}")));
        }
        if !retained.contains(version) {
            let floor = retained.floor;
            let text = format!("version {version} was pruned; the oldest kept is {floor}, beside snapshots");
            return Err(Error::NotFound(text));
        }
        Ok(version)
    }

    /// Names a version, so that retention keeps it. Without `at`, the newest.
    ///
    /// # Errors
    /// [`Error::Usage`] if the name is taken or looks like a version number.
    pub fn create_snapshot(&self, name: &str, at: Option<&AsOf>) -> Result<Snapshot> {
        check_snapshot_name(name)?;
        let role = self.shared.writer()?;
        // What a snapshot names must not vanish: make it durable first.
        drop(role.pipeline.quiesce(&self.shared)?);
        let view = self.view();
        let mut maintenance = role.maintenance.lock();
        let version = at.map_or(Ok(view.version()), |at| self.resolve(at, &view))?;
        if self.shared.snapshots.read().contains_key(name) {
            return Err(Error::Usage(format!("a snapshot {name:?} exists; drop it first")));
        }
        let record = SnapshotRecord { name: name.to_owned(), version, created: self.shared.storage.now_ns() };
        let state = maintenance.state();
        maintenance
            .publish(vec![ManifestRecord::Snapshot(record.clone())], state)
            .inspect_err(|error| role.pipeline.poison(error))?;
        (*self.shared.retained.write(), *self.shared.snapshots.write()) = retained_of(&maintenance.manifest.state);
        Ok(snapshot_of(&record))
    }

    /// All snapshots by name.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.shared.snapshots.read().values().map(snapshot_of).collect()
    }

    /// Forgets a snapshot; the version may go with the next pruning.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none of that name.
    pub fn drop_snapshot(&self, name: &str) -> Result<()> {
        let role = self.shared.writer()?;
        let mut maintenance = role.maintenance.lock();
        if !self.shared.snapshots.read().contains_key(name) {
            return Err(Error::NotFound(format!("there is no snapshot {name:?}")));
        }
        let state = maintenance.state();
        maintenance
            .publish(vec![ManifestRecord::DropSnapshot(name.to_owned())], state)
            .inspect_err(|error| role.pipeline.poison(error))?;
        (*self.shared.retained.write(), *self.shared.snapshots.write()) = retained_of(&maintenance.manifest.state);
        Ok(())
    }

    /// Makes a commit whose content equals an older version. The versions in between stay readable.
    ///
    /// # Errors
    /// As [`Store::as_of`] and [`Transaction::commit`].
    pub fn rollback(&self, to: &AsOf) -> Result<CommitReport> {
        let role = self.shared.writer()?;
        let view = self.view();
        let target = self.resolve(to, &view)?;
        let mut report = CommitReport::default();
        let make = |head: &State| -> Result<Option<TransactionRecord>> {
            let record = rollback::record(&self.shared, head, target)?;
            if let Some(record) = &record {
                report.changed = true;
                (report.added, report.updated, report.deleted) = (record.added, record.updated, record.deleted);
            }
            Ok(record)
        };
        report.version = role.pipeline.commit_record(&self.shared, self.shared.options.durability, make)?;
        Ok(report)
    }

    /// Gives up versions before `keep_from`, but for snapshots, and reclaims their space.
    ///
    /// # Errors
    /// As [`Store::as_of`].
    pub fn prune(&self, keep_from: &AsOf) -> Result<PruneReport> {
        let role = self.shared.writer()?;
        let before = self.stats()?;
        let floor = self.resolve(keep_from, &self.view())?;
        self.shared.raise_floor(role, floor)?;
        self.seal()?;
        self.compact()?;
        let after = self.stats()?;
        Ok(PruneReport {
            floor: after.floor,
            history_rows_dropped: before.history_rows.saturating_sub(after.history_rows),
            bytes_before: before.segment_bytes,
            bytes_after: after.segment_bytes,
        })
    }

    /// Writes what is in memory into a segment now. `false` if there was nothing.
    pub fn seal(&self) -> Result<bool> {
        self.shared.seal()
    }

    /// Compacts everything now; does nothing where nothing is to be done.
    pub fn compact(&self) -> Result<CompactReport> {
        let role = self.shared.writer()?;
        if let Some(report) = compact::compact(&self.shared, role, Scope::All)? {
            return Ok(report);
        }
        let stats = self.stats()?;
        Ok(CompactReport {
            segments_before: stats.segments,
            segments_after: stats.segments,
            bytes_before: stats.segment_bytes,
            bytes_after: stats.segment_bytes,
            rows: 0,
        })
    }

    /// Waits until the background threads have nothing to do.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if one of them failed.
    pub fn wait_idle(&self) -> Result<()> {
        let role = self.shared.writer()?;
        role.worker.wait_idle();
        role.pipeline.lock().check()
    }

    /// Holds background compaction at its next step.
    pub fn pause_compaction(&self) {
        if let Some(role) = seal_role(&self.shared) {
            compact::set_paused(role, true);
        }
    }

    /// Lets background compaction go on.
    pub fn resume_compaction(&self) {
        if let Some(role) = seal_role(&self.shared) {
            compact::set_paused(role, false);
        }
    }

    /// The newest commits, newest first.
    pub fn log(&self, limit: usize) -> Result<Vec<CommitInfo>> {
        let view = self.view();
        let rows = commits(&self.shared.cache, view.state(), view.version())?;
        let numbers = |name: &str| rows.i64(name).expect("a column of the log");
        let (series, added) = (numbers("series"), numbers("added"));
        let (updated, deleted) = (numbers("updated"), numbers("deleted"));
        let (Some(Values::U8(kinds)), Some(Values::Str(messages))) =
            (rows.column("kind").map(|c| &c.values), rows.column("message").map(|c| &c.values))
        else {
            unreachable!("columns of the log");
        };
        let mut order: Vec<(u64, usize)> = (0..rows.len()).map(|row| (rows.set.version.get(row), row)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        order.truncate(limit);
        let info = |(version, row): (u64, usize)| CommitInfo {
            version,
            time_ns: rows.set.time[row],
            kind: CommitKind::from_id(kinds[row]).unwrap_or(CommitKind::Write),
            message: messages.get(row).to_owned(),
            series: series[row] as u64,
            added: added[row] as u64,
            updated: updated[row] as u64,
            deleted: deleted[row] as u64,
        };
        Ok(order.into_iter().map(info).collect())
    }

    /// Sizes and counters. Counts rows through indexes; reads rows only where layers overlap.
    pub fn stats(&self) -> Result<Stats> {
        let view = self.view();
        let files =
            self.shared.storage.list("").map_err(|error| Error::io("listing", self.shared.storage.describe(""), error))?;
        let cache = self.shared.cache.stats();
        let mut stats = Stats {
            version: view.version(),
            floor: self.shared.retained.read().floor,
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            cache_bytes: cache.bytes,
            snapshots: self.shared.snapshots.read().len() as u64,
            ..Stats::default()
        };
        for (name, length) in files {
            stats.bytes_on_disk += length;
            if name.starts_with("wal-") {
                stats.wal_bytes += length;
            } else if name.starts_with("manifest-") {
                stats.manifest_bytes += length;
            }
        }
        let mut segments = HashMap::new();
        for series in view.state().series.iter() {
            for layer in &series.layers {
                match layer {
                    Layer::Mem(layer) => {
                        stats.memtable_bytes += layer.bytes() as u64;
                        stats.memtable_rows += (layer.live.len() + layer.history.len()) as u64;
                    }
                    Layer::Part(part) => {
                        segments.insert(part.file.id(), part.file.length);
                    }
                }
                if series.id != COMMITS {
                    stats.history_rows += layer.history_rows();
                }
            }
        }
        stats.segments = segments.len() as u64;
        stats.segment_bytes = segments.values().sum();
        for key in view.keys() {
            stats.series += 1;
            stats.rows += view.count(&key, i64::MIN..i64::MAX)?;
        }
        Ok(stats)
    }

    /// The directory of the store, if it has one.
    pub fn directory(&self) -> Option<PathBuf> {
        self.shared.storage.root()
    }

    /// The store's identity, as 32 hexadecimal digits.
    pub fn id(&self) -> String {
        self.shared.store.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// When the store was created, nanoseconds since the Unix epoch, UTC.
    pub fn created_ns(&self) -> i64 {
        self.shared.created
    }

    /// The name of a source, as found in the provenance of rows.
    pub fn source_name(&self, id: u16) -> Option<String> {
        self.shared.catalog.source_name(id)
    }

    /// What recovery cut off at opening: bytes of commits that were never acknowledged.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        seal_role(&self.shared).and_then(|role| role.torn.as_ref())
    }

    /// Makes everything durable, lets the threads end, and tells of failures that dropping the handle would hide.
    /// Rows in memory beyond a sixteenth of their budget are sealed, so that the next opening is quick.
    pub fn close(self) -> Result<()> {
        let Some(role) = seal_role(&self.shared) else { return Ok(()) };
        self._threads.stop();
        let inner = role.pipeline.quiesce(&self.shared)?;
        let worth_sealing = inner.memtable_bytes > self.shared.options.memtable_bytes / 16;
        drop(inner);
        if worth_sealing {
            seal::seal(&self.shared, role)?;
        }
        role.maintenance.lock().collect();
        Ok(())
    }

    pub(crate) fn newest_schema(&self, key: &SeriesKey) -> Option<Arc<Schema>> {
        let id = self.shared.catalog.series_id(key)?;
        let state = self.shared.published.read().clone();
        state.series(id)?.schema_at(state.version).cloned()
    }
}

impl Shared {
    /// Registers the segment files of the published state.
    fn remember_files(&self) {
        let state = self.published.read().clone();
        let mut files = self.files.lock();
        files.retain(|_, file| file.strong_count() > 0);
        for series in state.series.iter() {
            for layer in &series.layers {
                if let Layer::Part(part) = layer {
                    files.entry(part.file.id()).or_insert_with(|| Arc::downgrade(&part.file));
                }
            }
        }
    }

    fn open_all_files(&self) -> Result<()> {
        let files: Vec<_> = self.files.lock().values().filter_map(Weak::upgrade).collect();
        files.iter().try_for_each(|file| file.open())
    }
}

fn snapshot_of(record: &SnapshotRecord) -> Snapshot {
    Snapshot { name: record.name.clone(), version: record.version, created_ns: record.created }
}

fn retained_of(manifest: &ManifestState) -> (Retained, BTreeMap<String, SnapshotRecord>) {
    let mut versions: Vec<u64> = manifest.snapshots.values().map(|snapshot| snapshot.version).collect();
    versions.sort_unstable();
    versions.dedup();
    (Retained { floor: manifest.state.floor, snapshots: versions }, manifest.snapshots.clone())
}

fn find_store(storage: &dyn Storage) -> Result<Current> {
    match read_current(storage)? {
        Some(current) => Ok(current),
        None => {
            let path = storage.describe("");
            let empty = storage.list("").map_or(true, |files| files.is_empty());
            let hint = if empty { "create one first" } else { "the directory has no file CURRENT" };
            Err(Error::NotFound(format!("{path} holds no store: {hint}")))
        }
    }
}

fn lock_for_writing(storage: &dyn Storage) -> Result<Box<dyn LockGuard>> {
    for attempt in 0..LOCK_TRIES {
        let lock = storage.lock(LOCK, LockKind::Exclusive);
        match lock.map_err(|error| Error::io("locking", storage.describe(LOCK), error))? {
            Some(guard) => return Ok(guard),
            None if attempt + 1 < LOCK_TRIES => std::thread::sleep(std::time::Duration::from_millis(5)),
            None => {}
        }
    }
    Err(Error::Locked { path: storage.describe("") })
}

/// How far a living writer lets others see; `None` if there is no writer.
fn live_writer(storage: &dyn Storage, store: [u8; 16]) -> Result<Option<Visible>> {
    for _ in 0..LOCK_TRIES {
        match storage.lock(LOCK, LockKind::Shared) {
            // Nobody writes, or nobody can: what is there is all there is.
            Ok(Some(_)) | Err(_) => return Ok(None),
            Ok(None) => {}
        }
        if let Some(visible) = Visible::read(storage, store) {
            return Ok(Some(visible));
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(Error::Inconsistent {
        path: storage.describe("visible"),
        rule: "V1",
        detail: "a writer holds the lock, but does not say what is visible".into(),
    })
}

/// 16 bytes that no other store has: from the operating system's randomness, by way of the hasher seeded with it, and
/// from the clock and the process.
fn random_identity(storage: &dyn Storage) -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let word = |salt: u64| RandomState::new().hash_one((salt, storage.now_ns(), std::process::id()));
    let mut out = [0; 16];
    out[..8].copy_from_slice(&word(1).to_le_bytes());
    out[8..].copy_from_slice(&word(2).to_le_bytes());
    out
}

/// Files that look like the store's and that no step counts.
fn retire_orphans(storage: &dyn Storage, maintenance: &mut Maintenance) -> Result<()> {
    let files = storage.list("").map_err(|error| Error::io("listing", storage.describe(""), error))?;
    let manifest = &maintenance.manifest;
    let current = crate::manifest::manifest_name(manifest.current.manifest);
    let first_log = manifest.state.state.first_log;
    let counted = |name: &str| {
        let segment = name.strip_prefix("segment-").and_then(|rest| rest.strip_suffix(".tape"));
        if let Some(id) = segment.and_then(|digits| digits.parse::<u64>().ok()) {
            return manifest.state.segments.contains_key(&id);
        }
        if let Some(id) = crate::wal::parse_log_name(name) {
            return id >= first_log;
        }
        name == current || !name.starts_with("manifest-")
    };
    let orphans: Vec<String> = files.into_iter().map(|file| file.0).filter(|name| !counted(name)).collect();
    for name in orphans {
        maintenance.retire_orphan(name);
    }
    Ok(())
}

/// Builds states from manifests, sharing the files of an earlier state.
struct SegmentFiles<'a> {
    storage: &'a Arc<dyn Storage>,
    store: [u8; 16],
    known: &'a HashMap<u64, Arc<SegmentFile>>,
}

impl SegmentFiles<'_> {
    fn build_state(&self, manifest: &ManifestState, catalog: &Catalog) -> Result<State> {
        for (name, id) in manifest.sources.iter().zip(0u16..) {
            catalog.add_source(id, name)?;
        }
        let mut layers: HashMap<u32, Vec<Layer>> = HashMap::new();
        for record in manifest.segments.values() {
            let file = self.known.get(&record.id).cloned();
            let file = file.unwrap_or_else(|| Arc::new(SegmentFile::new(self.storage.clone(), self.store, record)));
            for summary in &record.parts {
                let part = Arc::new(Part::new(file.clone(), summary.clone()));
                layers.entry(summary.series).or_default().push(Layer::Part(part));
            }
        }
        let mut state = first_state(catalog);
        state.version = manifest.state.sealed_version;
        for record in manifest.series.values() {
            let key = SeriesKey::new(&record.instrument, &record.frame)?;
            let definitions: Definitions = record
                .definitions
                .iter()
                .map(|(version, schema)| (*version, schema.clone().map(Arc::new)))
                .collect();
            let mut own = layers.remove(&record.id).unwrap_or_default();
            own.sort_by_key(Layer::low);
            catalog.add_series(key.clone(), record.id);
            let series = SeriesState::new(record.id, Arc::new(key), Arc::new(definitions), own);
            state.series.set(record.id as usize, Arc::new(series));
        }
        match layers.keys().next() {
            None => Ok(state),
            Some(series) => Err(Error::Inconsistent {
                path: self.storage.describe("CURRENT"),
                rule: "M5",
                detail: format!("a segment holds rows of series {series}, which was never defined"),
            }),
        }
    }
}

/// What a follower loads.
struct Loaded {
    current: Current,
    manifest: ManifestState,
    state: State,
    follower: Follower,
}

fn load_follower(
    storage: &Arc<dyn Storage>,
    catalog: &Catalog,
    known: &HashMap<u64, Arc<SegmentFile>>,
) -> Result<Loaded> {
    let mut tries = 0;
    loop {
        tries += 1;
        let current = find_store(&**storage)?;
        match load_at(storage, catalog, known, current) {
            Ok(loaded) => return Ok(loaded),
            // The writer went on while we read: begin again with what counts now. Without that, it is damage.
            Err(error) => {
                let moved = find_store(&**storage)?.step != current.step;
                if !moved && tries > 3 {
                    return Err(error);
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}

fn load_at(
    storage: &Arc<dyn Storage>,
    catalog: &Catalog,
    known: &HashMap<u64, Arc<SegmentFile>>,
    current: Current,
) -> Result<Loaded> {
    let (manifest, _) = load(&**storage, &current)?;
    let files = SegmentFiles { storage, store: current.store, known };
    let mut state = files.build_state(&manifest, catalog)?;
    let sealed = state.version;
    let visible = live_writer(&**storage, current.store)?;
    let reader = LogReader { storage: &**storage, store: current.store, visible };
    let (position, _) = reader.replay(manifest.state.first_log, &mut |transaction| {
        if transaction.version > sealed {
            state = apply(&state, catalog, transaction, 0)?.0;
        }
        Ok(())
    })?;
    Ok(Loaded { current, manifest, state, follower: Follower { step: current.step, position } })
}
