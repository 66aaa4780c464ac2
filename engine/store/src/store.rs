//! The store: what its handles, views and threads share, and everything that is asked of a store as a whole.
//!
//! Not here: creating and opening (`open`), handles that only read (`follow`).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tapestore_format::manifest::{ManifestRecord, SegmentRecord, SnapshotRecord, StateRecord};
use tapestore_format::rows::Values;
use tapestore_format::schema::Schema;
use tapestore_format::segment::Tier;
use tapestore_format::wal::{CommitKind, TransactionRecord};

use crate::apply::COMMITS;
use crate::batch::Rows;
use crate::cache::BlockCache;
use crate::commit::Pipeline;
use crate::compact::{self, CompactReport, Scope};
use crate::error::{Error, Result};
use crate::follow::ReaderRole;
use crate::io::{LockGuard, Storage};
use crate::key::{Quoted, SeriesKey};
use crate::layer::Retained;
use crate::live::Listeners;
use crate::maintenance::Maintenance;
use crate::manifest::ManifestState;
use crate::options::{Durability, Options, Retention};
use crate::report::{AsOf, CommitInfo, PruneReport, Snapshot, Stats};
use crate::reserve::{RESERVE, Reserve};
use crate::rollback;
use crate::seal;
use crate::segment::SegmentFile;
use crate::state::{Catalog, Layer, State};
use crate::sync::thread::JoinHandle;
use crate::sync::{Mutex, RwLock, caught};
use crate::transaction::{CommitReport, Transaction, check_snapshot_name};
use crate::view::{View, commits};
use crate::wal::TornTail;
use crate::worker::Worker;

pub(crate) const LOCK: &str = "LOCK";
/// How often a busy lock is tried again: a reader holds it for an instant to see whether a writer lives.
pub(crate) const LOCK_TRIES: u32 = 40;

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
    pub(crate) files: Mutex<HashMap<u64, Weak<SegmentFile>>>,
    pub(crate) listeners: Listeners,
    pub(crate) role: Role,
}

#[derive(Debug)]
pub(crate) enum Role {
    Writer(Box<WriterRole>),
    Reader(Box<ReaderRole>),
}

/// What only the writer has.
#[derive(Debug)]
pub(crate) struct WriterRole {
    pub(crate) pipeline: Pipeline,
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) sealing: Mutex<()>,
    pub(crate) compacting: Mutex<()>,
    pub(crate) worker: Worker,
    pub(crate) reserve: Reserve,
    /// Bytes behind the last whole commit that recovery left out.
    pub(crate) torn: Option<TornTail>,
    pub(crate) _lock: Box<dyn LockGuard>,
}

impl WriterRole {
    /// A step of the manifest; if it fails it is unknown what counts (I8).
    fn publish(
        &self,
        maintenance: &mut Maintenance,
        records: Vec<ManifestRecord>,
        state: StateRecord,
    ) -> Result<()> {
        let published = self.pipeline.guard(|| maintenance.publish(records, state));
        published.inspect_err(|error| self.pipeline.poison(error))
    }
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

    /// Whether the disk is so full that only giving up rows is accepted: then nothing is sealed or compacted unasked.
    pub(crate) fn is_cramped(&self) -> bool {
        seal_role(self).is_some_and(|role| role.reserve.is_missing())
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
        // A floor above the newest version that survives a power cut would leave nothing to read.
        drop(role.pipeline.quiesce(self)?);
        let mut maintenance = role.maintenance.lock();
        let state = maintenance.state();
        if floor <= state.floor {
            return Ok(());
        }
        role.publish(&mut maintenance, Vec::new(), StateRecord { floor, ..state })?;
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

/// A store, opened. Cloning gives another handle to the same opening.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    threads: Arc<Threads>,
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
            drop(caught(|| drop(role.pipeline.quiesce(&self.shared))));
        }
        self.shared.listeners.end();
    }
}

impl Store {
    pub(crate) fn new(shared: Arc<Shared>, threads: Vec<JoinHandle<()>>) -> Self {
        let threads = Threads { shared: shared.clone(), handles: Mutex::new(threads) };
        Self { shared, threads: Arc::new(threads) }
    }

    /// Begins a transaction. On a handle that only reads, its commit fails with [`Error::ReadOnly`].
    pub fn begin(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    pub(crate) fn commit(&self, transaction: Transaction, durability: Durability) -> Result<CommitReport> {
        let role = self.shared.writer()?;
        if transaction.adds() {
            role.reserve.ensure(&*self.shared.storage)?;
        }
        role.pipeline.commit(&self.shared, transaction, durability)
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
                found.ok_or_else(|| Error::NotFound(format!("there is no snapshot {}", Quoted(name))))?
            }
            AsOf::Time(time) => version_at(&commits(&shared.cache, view.state(), view.version())?, *time)
                .ok_or_else(|| Error::NotFound(format!("there is no commit at or before {time} ns")))?,
        };
        let retained = shared.retained.read();
        if version > view.version() {
            let newest = view.version();
            return Err(Error::NotFound(format!(
                "version {version} does not exist yet; the newest is {newest}"
            )));
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
        role.publish(&mut maintenance, vec![ManifestRecord::Snapshot(record.clone())], state)?;
        (*self.shared.retained.write(), *self.shared.snapshots.write()) =
            retained_of(&maintenance.manifest.state);
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
            return Err(Error::NotFound(format!("there is no snapshot {}", Quoted(name))));
        }
        role.pipeline.lock().check()?;
        let state = maintenance.state();
        role.publish(&mut maintenance, vec![ManifestRecord::DropSnapshot(name.to_owned())], state)?;
        (*self.shared.retained.write(), *self.shared.snapshots.write()) =
            retained_of(&maintenance.manifest.state);
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
        role.reserve.ensure(&*self.shared.storage)?;
        let mut report = CommitReport::default();
        let make = |head: &State| -> Result<Option<TransactionRecord>> {
            let record = rollback::record(&self.shared, head, target)?;
            if let Some(record) = &record {
                report.changed = true;
                (report.added, report.updated, report.deleted) =
                    (record.added, record.updated, record.deleted);
            }
            Ok(record)
        };
        report.version = role.pipeline.commit_record(&self.shared, self.shared.options.durability, make)?;
        Ok(report)
    }

    /// Gives up versions before `keep_from`, but for snapshots, and reclaims their space. On a full disk in the order in
    /// which it can: what needs most space to be rewritten comes last, and may have to wait.
    ///
    /// # Errors
    /// As [`Store::as_of`].
    pub fn prune(&self, keep_from: &AsOf) -> Result<PruneReport> {
        let role = self.shared.writer()?;
        let before = self.stats()?;
        let floor = self.resolve(keep_from, &self.view())?;
        role.pipeline.lock().check()?;
        role.reserve.give_up_if_tight(&*self.shared.storage);
        self.shared.raise_floor(role, floor)?;
        let done = if role.reserve.is_missing() { Ok(false) } else { self.seal_and_compact().map(|()| true) };
        let unfinished = match done {
            Ok(done) => !done && self.reclaim(role)?,
            Err(error) if error.is_full_disk() && role.pipeline.lock().check().is_ok() => {
                role.reserve.give_up(&*self.shared.storage);
                self.reclaim(role)?
            }
            Err(error) => return Err(error),
        };
        let after = self.stats()?;
        Ok(PruneReport {
            floor: after.floor,
            history_rows_dropped: before.history_rows.saturating_sub(after.history_rows),
            bytes_before: before.segment_bytes,
            bytes_after: after.segment_bytes,
            unfinished,
        })
    }

    fn seal_and_compact(&self) -> Result<()> {
        self.seal()?;
        self.compact().map(drop)
    }

    /// Reclaims what the space that is left allows, piece by piece; whether something had to wait.
    fn reclaim(&self, role: &WriterRole) -> Result<bool> {
        let waits = |done: Result<bool>| match done {
            Err(error) if error.is_full_disk() && role.pipeline.lock().check().is_ok() => Ok(true),
            other => other,
        };
        // Before sealing, which needs space of its own, and after it.
        waits(compact::reclaim(&self.shared, role))?;
        let unsealed = waits(self.seal().map(|_| false))?;
        let unfinished = waits(compact::reclaim(&self.shared, role))? || unsealed;
        // With space again everything else is accepted again.
        let _ = role.reserve.ensure(&*self.shared.storage);
        Ok(unfinished)
    }

    /// Writes what is in memory into a segment now. `false` if there was nothing.
    pub fn seal(&self) -> Result<bool> {
        self.shared.seal()
    }

    /// Compacts everything now; does nothing where nothing is to be done.
    pub fn compact(&self) -> Result<CompactReport> {
        self.compact_scope(Scope::All)
    }

    /// Rewrites everything that is sealed in a tier, whatever [`Options::tier`] says of what is written later; later
    /// compactions write in the tier of the options again, wherever they have to rewrite.
    pub fn compact_to(&self, tier: Tier) -> Result<CompactReport> {
        self.compact_scope(Scope::To(tier))
    }

    fn compact_scope(&self, scope: Scope) -> Result<CompactReport> {
        let role = self.shared.writer()?;
        if let Some(report) = compact::compact(&self.shared, role, scope)? {
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
            role.worker.set_paused(true);
        }
    }

    /// Lets background compaction go on.
    pub fn resume_compaction(&self) {
        if let Some(role) = seal_role(&self.shared) {
            role.worker.set_paused(false);
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
        let mut order: Vec<(u64, usize)> =
            (0..rows.len()).map(|row| (rows.set.version.get(row), row)).collect();
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

    /// Sizes and counters. Counts rows through indexes; reads rows only where layers overlap. Series and rows are those of
    /// the user, without the store's own tables.
    pub fn stats(&self) -> Result<Stats> {
        let view = self.view();
        let files = self
            .shared
            .storage
            .list("")
            .map_err(|error| Error::io("listing", self.shared.storage.describe(""), error))?;
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
        for (name, length) in files.into_iter().filter(|file| file.0 != RESERVE) {
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
                if series.id != COMMITS && !series.key.is_own() {
                    stats.history_rows += layer.history_rows();
                }
            }
        }
        stats.segments = segments.len() as u64;
        stats.segment_bytes = segments.values().sum();
        for key in view.keys().iter().filter(|key| !key.is_own()) {
            stats.series += 1;
            stats.rows += view.count(key, i64::MIN..i64::MAX)?;
        }
        Ok(stats)
    }

    /// The directory of the store, if it has one.
    pub fn directory(&self) -> Option<PathBuf> {
        self.shared.storage.root()
    }

    /// The store's identity, as 32 hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.shared.store))
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
    /// Rows in memory beyond a thousandth of their budget are sealed: the next opening is quick, and the store small.
    pub fn close(self) -> Result<()> {
        let Some(role) = seal_role(&self.shared) else { return Ok(()) };
        self.threads.stop();
        let inner = role.pipeline.quiesce(&self.shared)?;
        let worth_sealing =
            inner.memtable_bytes > self.shared.options.memtable_bytes / 1024 && !role.reserve.is_missing();
        drop(inner);
        if worth_sealing {
            seal::seal(&self.shared, role)?;
        }
        role.maintenance.lock().collect();
        Ok(())
    }

    pub(crate) fn newest_schema(&self, key: &SeriesKey) -> Option<Arc<Schema>> {
        let id = self.shared.catalog.series_id(key).filter(|id| *id != COMMITS)?;
        let state = self.shared.published.read().clone();
        state.series(id)?.schema_at(state.version).cloned()
    }
}

fn snapshot_of(record: &SnapshotRecord) -> Snapshot {
    Snapshot { name: record.name.clone(), version: record.version, created_ns: record.created }
}

pub(crate) fn retained_of(manifest: &ManifestState) -> (Retained, BTreeMap<String, SnapshotRecord>) {
    let mut versions: Vec<u64> = manifest.snapshots.values().map(|snapshot| snapshot.version).collect();
    versions.sort_unstable();
    versions.dedup();
    (Retained { floor: manifest.state.floor, snapshots: versions }, manifest.snapshots.clone())
}
