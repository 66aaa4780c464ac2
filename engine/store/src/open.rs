//! Opening: creating a store, recovering one for writing, and building its state from the manifest and the logs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use tapestore_format::manifest::{Current, StateRecord};
use tapestore_format::wal::LogStart;

use crate::apply::{COMMITS, apply, first_state, is_commits};
use crate::backup::{PARTIAL, remove_partial};
use crate::cache::BlockCache;
use crate::commit::Pipeline;
use crate::error::{Error, Result};
use crate::io::{LockGuard, LockKind, RealStorage, Storage, StorageFile};
use crate::key::SeriesKey;
use crate::lease::LEASES;
use crate::live::Listeners;
use crate::maintenance::Maintenance;
use crate::manifest::{CURRENT_NEW, Manifest, ManifestState, load, manifest_name, read_current};
use crate::options::Options;
use crate::reserve::{self, Reserve};
use crate::segment::{Part, SegmentFile};
use crate::state::{Catalog, Definitions, Layer, SeriesState, State};
use crate::store::{LOCK, LOCK_TRIES, Role, Shared, Store, WriterRole, retained_of, seal_role};
use crate::sync::{Mutex, RwLock, thread};
use crate::wal::{EMPTY_LOG_BYTES, LogReader, LogWriter, TornTail, Visible, log_name, parse_log_name};
use crate::worker::Worker;

/// File ids that every store begins with.
const FIRST_LOG: u64 = 1;
const FIRST_MANIFEST: u64 = 2;
/// Most bytes of a log that recovery writes again in one piece.
const REWRITE_BYTES: u64 = 1 << 20;

impl Store {
    /// Creates a store in a directory that does not exist or is empty, or where a creation was cut off.
    ///
    /// # Errors
    /// [`Error::Usage`] if the directory holds anything else.
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
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let failed = |action, error| Error::io(action, storage.describe(""), error);
        storage.create_dir("").map_err(|error| failed("creating", error))?;
        let lock = lock_for_writing(&*storage)?;
        clear_stillborn(&*storage)?;
        let files = storage.list("").map_err(|error| failed("listing", error))?;
        if let Some((name, _)) = files.iter().find(|(name, _)| name != LOCK) {
            let reason = if name == "CURRENT" { "is a store already; open it" } else { "is not empty" };
            return Err(Error::Usage(format!("{} {reason}", storage.describe(""))));
        }
        storage.create_dir(LEASES).map_err(|error| failed("creating", error))?;
        let store = random_identity(&*storage);
        let start = LogStart { previous_log: 0, previous_end: 0, version: 0 };
        let log = LogWriter::create(&*storage, store, FIRST_LOG, start, 1)?;
        let state = ManifestState {
            state: StateRecord {
                first_log: FIRST_LOG,
                next_file: FIRST_MANIFEST + 1,
                ..StateRecord::default()
            },
            ..ManifestState::default()
        };
        let manifest = Manifest::create(storage.clone(), store, storage.now_ns(), state, FIRST_MANIFEST)?;
        let catalog = Catalog::default();
        let mut maintenance = Maintenance::new(storage.clone(), manifest, FIRST_MANIFEST);
        maintenance.reserve_at_a_time(options.reserved_ids);
        let opening = Opening {
            maintenance,
            state: first_state(&catalog),
            visible: show(&*storage, store, &log)?,
            storage,
            catalog,
            log,
            memtable_bytes: 0,
            torn: None,
        };
        Ok(opening.start(options, lock))
    }

    /// As [`Store::open`], on any storage.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        find_store(&*storage)?;
        let lock = lock_for_writing(&*storage)?;
        let opening = match Opening::recover(storage.clone(), &options) {
            // What was kept aside for this is what it takes now (R1).
            Err(error) if error.is_full_disk() && reserve::give_up(&*storage)? => {
                Opening::recover(storage, &options)?
            }
            other => other?,
        };
        Ok(opening.start(options, lock))
    }
}

/// The pieces of a writer.
struct Opening {
    storage: Arc<dyn Storage>,
    maintenance: Maintenance,
    catalog: Catalog,
    state: State,
    log: LogWriter,
    visible: Arc<dyn StorageFile>,
    memtable_bytes: usize,
    torn: Option<TornTail>,
}

impl Opening {
    /// Reads what an earlier process left, makes that durable, and begins a new log. The lock is held.
    fn recover(storage: Arc<dyn Storage>, options: &Options) -> Result<Self> {
        let current = find_store(&*storage)?;
        let (manifest, next_sequence) = load(&*storage, &current)?;
        let catalog = Catalog::default();
        let mut state = build_state(&storage, current.store, &manifest, &catalog, &HashMap::new())?;
        let sealed = state.version;
        let mut memtable_bytes = 0;
        let reader = LogReader { storage: &*storage, store: current.store, visible: None };
        let replayed = reader.replay(manifest.state.first_log, &mut |transaction| {
            if transaction.version > sealed {
                let (next, bytes) = apply(&state, &catalog, transaction, 0)?;
                state = next;
                memtable_bytes += bytes;
            }
            Ok(())
        })?;
        let position = replayed.end;
        // What recovery counts must not vanish once a newer log says so (I9).
        if position.offset > EMPTY_LOG_BYTES {
            make_durable(&*storage, &log_name(position.log), position.offset)?;
        } else {
            replace_by_copy(&*storage, &log_name(position.log), position.offset)?;
        }
        let manifest = Manifest::reopen(storage.clone(), current, manifest, next_sequence)?;
        let mut maintenance = Maintenance::new(storage.clone(), manifest, highest_id(&*storage)?);
        maintenance.reserve_at_a_time(options.reserved_ids);
        // Always a new log: what lies behind the end of the old one is unknown (W4).
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
        for log in replayed.stillborn {
            maintenance.retire_log(log);
        }
        maintenance.collect();
        let (visible, torn) = (show(&*storage, current.store, &log)?, replayed.torn);
        Ok(Self { storage, maintenance, catalog, state, log, visible, memtable_bytes, torn })
    }

    /// Puts them together and starts the threads.
    fn start(self, options: Options, lock: Box<dyn LockGuard>) -> Store {
        let current = self.maintenance.manifest.current;
        let storage = self.storage;
        let (retained, snapshots) = retained_of(&self.maintenance.manifest.state);
        let head = Arc::new(self.state);
        let role = WriterRole {
            pipeline: Pipeline::new(head.clone(), self.log, self.visible, self.memtable_bytes),
            worker: Worker::new(options.background),
            reserve: Reserve::new(&*storage, options.reserve_bytes),
            maintenance: Mutex::new(self.maintenance),
            sealing: Mutex::new(()),
            compacting: Mutex::new(()),
            torn: self.torn,
            _lock: lock,
        };
        let shared = Arc::new(Shared {
            cache: BlockCache::new(options.cache_bytes),
            storage,
            store: current.store,
            created: current.created,
            options,
            catalog: self.catalog,
            published: RwLock::new(head),
            retained: RwLock::new(retained),
            snapshots: RwLock::new(snapshots),
            files: Mutex::new(HashMap::new()),
            listeners: Listeners::default(),
            role: Role::Writer(Box::new(role)),
        });
        shared.remember_files();
        let role = seal_role(&shared).expect("built above");
        let threads = Worker::start(&shared, &role.worker);
        // Stores that are opened, written a little and closed again and again are compacted at opening.
        role.worker.wake_compactor();
        Store::new(shared, threads)
    }
}

/// Tells other processes how far a new log may be shown.
fn show(storage: &dyn Storage, store: [u8; 16], log: &LogWriter) -> Result<Arc<dyn StorageFile>> {
    let visible = Visible::open(storage)?;
    let hint = Visible { log: log.id, end: log.frames.offset() };
    let written = visible.write_at(0, &hint.encode(store));
    written.map_err(|error| Error::io("writing", storage.describe("visible"), error))?;
    Ok(visible)
}

/// Removes what a creation that was cut off left behind: the first log, too short for a transaction, the first
/// manifest, and a `CURRENT` without its name. Anything beside them, and nothing is removed.
fn clear_stillborn(storage: &dyn Storage) -> Result<()> {
    let failed = |action, error| Error::io(action, storage.describe(""), error);
    let files = storage.list("").map_err(|error| failed("listing", error))?;
    let left_over = |(name, length): &(String, u64)| {
        *name == LOCK
            || *name == CURRENT_NEW
            || *name == manifest_name(FIRST_MANIFEST)
            || (*name == log_name(FIRST_LOG) && *length <= EMPTY_LOG_BYTES)
    };
    if !files.iter().all(left_over) {
        return Ok(());
    }
    let mut cleared = false;
    for (name, _) in files.iter().filter(|(name, _)| name != LOCK) {
        storage.remove(name).map_err(|error| failed("clearing", error))?;
        cleared = true;
    }
    if cleared {
        storage.sync_dir("").map_err(|error| failed("syncing", error))?;
    }
    Ok(())
}

/// Makes the first `length` bytes of a log durable, whatever became of earlier syncs.
///
/// Syncing alone is not enough: a failed sync may have marked pages clean that never reached the disk, and those are
/// what recovery has just read. Written again, as they are, they belong to the next sync (I8).
fn make_durable(storage: &dyn Storage, name: &str, length: u64) -> Result<()> {
    let failed = |error| Error::io("rewriting", storage.describe(name), error);
    let file = storage.open(name).map_err(failed)?;
    let mut buffer = vec![0; length.min(REWRITE_BYTES) as usize];
    let mut done = 0;
    while done < length {
        let piece = &mut buffer[..(length - done).min(REWRITE_BYTES) as usize];
        file.read_exact_at(done, piece).map_err(failed)?;
        file.write_at(done, piece).map_err(failed)?;
        done += piece.len() as u64;
    }
    file.sync_data().map_err(|error| Error::io("syncing", storage.describe(name), error))
}

/// Puts a copy in the place of a log that took no transaction, and makes it durable, with its name.
///
/// A log takes transactions once its name is durable (W4). The name of one that took none may be seen and not be durable: a sync
/// of the directory that failed may have given it up, and a later one does not look at it again (I8). That of a copy is new.
fn replace_by_copy(storage: &dyn Storage, name: &str, length: u64) -> Result<()> {
    let failed = |error| Error::io("rewriting", storage.describe(name), error);
    let mut bytes = vec![0; length as usize];
    storage.open_read(name).and_then(|log| log.read_exact_at(0, &mut bytes)).map_err(failed)?;
    remove_partial(storage)?;
    let copy = storage.create_new(PARTIAL).map_err(failed)?;
    copy.write_at(0, &bytes).map_err(failed)?;
    copy.sync_all().map_err(failed)?;
    storage.rename(PARTIAL, name).map_err(failed)?;
    storage.sync_dir("").map_err(|error| Error::io("syncing", storage.describe(""), error))
}

impl Shared {
    /// Registers the segment files of the published state.
    pub(crate) fn remember_files(&self) {
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

    pub(crate) fn open_all_files(&self) -> Result<()> {
        let files: Vec<_> = self.files.lock().values().filter_map(Weak::upgrade).collect();
        files.iter().try_for_each(|file| file.open())
    }
}

pub(crate) fn find_store(storage: &dyn Storage) -> Result<Current> {
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
    for _ in 0..LOCK_TRIES {
        let lock = storage.lock(LOCK, LockKind::Exclusive);
        if let Some(guard) = lock.map_err(|error| Error::io("locking", storage.describe(LOCK), error))? {
            return Ok(guard);
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
    Err(Error::Locked { path: storage.describe("") })
}

/// 16 bytes that no other store has: from the operating system's randomness, by way of the hasher seeded with it, and
/// from the clock and the process.
pub(crate) fn random_identity(storage: &dyn Storage) -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let word = |salt: u64| RandomState::new().hash_one((salt, storage.now_ns(), std::process::id()));
    let mut out = [0; 16];
    out[..8].copy_from_slice(&word(1).to_le_bytes());
    out[8..].copy_from_slice(&word(2).to_le_bytes());
    out
}

/// The highest id in the names of the files that are there.
fn highest_id(storage: &dyn Storage) -> Result<u64> {
    let names = storage.names("").map_err(|error| Error::io("listing", storage.describe(""), error))?;
    let id = |name: &str| name.strip_suffix(".tape")?.rsplit_once('-')?.1.parse::<u64>().ok();
    // No store counts this far; a name that does is not the store's, and must not use up the ids.
    Ok(names.iter().filter_map(|name| id(name)).filter(|id| *id < 1 << 48).max().unwrap_or(0))
}

/// Files that look like the store's and that no step counts.
fn retire_orphans(storage: &dyn Storage, maintenance: &mut Maintenance) -> Result<()> {
    let names = storage.names("").map_err(|error| Error::io("listing", storage.describe(""), error))?;
    let manifest = &maintenance.manifest;
    let current = manifest_name(manifest.current.manifest);
    let first_log = manifest.state.state.first_log;
    let counted = |name: &str| {
        let segment = name.strip_prefix("segment-").and_then(|rest| rest.strip_suffix(".tape"));
        if let Some(id) = segment.and_then(|digits| digits.parse::<u64>().ok()) {
            return manifest.state.segments.contains_key(&id);
        }
        if let Some(id) = parse_log_name(name) {
            return id >= first_log;
        }
        name == current || !name.starts_with("manifest-")
    };
    let orphans: Vec<String> = names.into_iter().filter(|name| !counted(name)).collect();
    for name in orphans {
        maintenance.retire_orphan(name);
    }
    Ok(())
}

/// The state that a manifest describes, sharing the files of an earlier state.
pub(crate) fn build_state(
    storage: &Arc<dyn Storage>,
    store: [u8; 16],
    manifest: &ManifestState,
    catalog: &Catalog,
    known: &HashMap<u64, Arc<SegmentFile>>,
) -> Result<State> {
    // Which of its files is not told here; there is one that counts.
    let manifest_path = || storage.describe("CURRENT");
    for (name, id) in manifest.sources.iter().zip(0..=u16::MAX) {
        catalog.add_source(id, name)?;
    }
    let mut layers: HashMap<u32, Vec<Layer>> = HashMap::new();
    for record in manifest.segments.values() {
        let file = known.get(&record.id).cloned();
        let file = file.unwrap_or_else(|| Arc::new(SegmentFile::new(storage.clone(), store, record)));
        for summary in &record.parts {
            let part = Arc::new(Part::new(file.clone(), summary.clone()));
            layers.entry(summary.series).or_default().push(Layer::Part(part));
        }
    }
    let mut state = first_state(catalog);
    state.version = manifest.state.sealed_version;
    for record in manifest.series.values() {
        let key = SeriesKey::recorded(&record.instrument, &record.frame).ok_or_else(|| {
            let detail =
                format!("series {} has the name {:?} {:?}", record.id, record.instrument, record.frame);
            Error::Inconsistent { path: manifest_path(), rule: "M3", offset: 0, detail }
        })?;
        let definitions: Definitions = record
            .definitions
            .iter()
            .map(|(version, schema)| (*version, schema.clone().map(|schema| catalog.shared_schema(schema))))
            .collect();
        let mut own = layers.remove(&record.id).unwrap_or_default();
        own.sort_by_key(Layer::low);
        let wrong = if record.id == COMMITS && !is_commits(&definitions) {
            Some("is not defined as the log of commits")
        } else if definitions.last().is_some_and(|definition| definition.0 > state.version) {
            // A later commit that defines it would come before: no manifest that follows could be read.
            Some("has a definition from a commit that is not in segments")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let detail = format!("series {} {wrong}", record.id);
            return Err(Error::Inconsistent { path: manifest_path(), rule: "M5", offset: 0, detail });
        }
        if !catalog.add_series(key.clone(), record.id) {
            let detail = format!("two series have the name {key}");
            return Err(Error::Inconsistent { path: manifest_path(), rule: "M5", offset: 0, detail });
        }
        let series = SeriesState::new(record.id, Arc::new(key), Arc::new(definitions), own);
        state.series.set(record.id as usize, Arc::new(series));
    }
    match layers.keys().next() {
        None => Ok(state),
        Some(series) => Err(Error::Inconsistent {
            path: manifest_path(),
            rule: "M5",
            offset: 0,
            detail: format!("a segment holds rows of series {series}, which was never defined"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use tapestore_format::manifest::SeriesRecord;
    use tapestore_format::schema::{KeyPolicy, Schema};

    use super::*;
    use crate::io::{MemoryStorage, failing::Failing};
    use crate::seal::series_record;

    /// Where no lease can be taken, all segments are mapped before a writer can remove one.
    #[test]
    fn a_reader_without_a_lease_keeps_what_it_may_read() {
        let storage = Arc::new(Failing::default());
        let options = || Options { background: false, ..Options::default() };
        let store = Store::create_on(storage.clone(), options()).unwrap();
        let key = SeriesKey::new("A", "trades").unwrap();
        let write = |time| seal_row(&store, &key, time);
        let times = |reader: &Store| reader.view().read(&key).rows().unwrap().time().to_vec();
        write(1);
        write(2);
        storage.refuse(crate::lease::LEASES, std::io::ErrorKind::ReadOnlyFilesystem);
        let reader = Store::open_read_only_on(storage.clone(), options()).unwrap();
        store.compact().unwrap();
        assert_eq!(times(&reader), [1, 2]);
        write(3);
        assert_eq!(reader.refresh().unwrap(), 3);
        store.compact().unwrap();
        assert_eq!(times(&reader), [1, 2, 3]);
    }

    /// Seals a segment of one row.
    fn seal_row(store: &Store, key: &SeriesKey, time: i64) {
        let mut transaction = store.begin();
        let schema = crate::schema::SchemaBuilder::unique().column("x", crate::ColumnType::I64);
        transaction.create_series(key, schema.build().unwrap()).unwrap();
        let batch = crate::Batch::new(vec![time]).with("x", crate::Values::I64(vec![time]));
        transaction.append(key, batch).unwrap();
        transaction.commit().unwrap();
        store.seal().unwrap();
    }

    /// Segment files that something still reads are known, and no others: a refresh opens those that only views use.
    #[test]
    fn a_reader_knows_the_segment_files_that_are_in_use() {
        let storage = Arc::new(MemoryStorage::new());
        let options = || Options { background: false, ..Options::default() };
        let store = Store::create_on(storage.clone(), options()).unwrap();
        let key = SeriesKey::new("A", "trades").unwrap();
        let write = |time| seal_row(&store, &key, time);
        write(1);
        write(2);
        let reader = Store::open_read_only_on(storage, options()).unwrap();
        let known = || reader.shared.files.lock().len();
        assert_eq!(known(), 2);
        let view = reader.view();
        store.compact().unwrap();
        reader.refresh().unwrap();
        assert_eq!(known(), 3, "the new one, and two that the view reads");
        write(3);
        reader.refresh().unwrap();
        assert_eq!(known(), 4);
        drop(view);
        write(4);
        reader.refresh().unwrap();
        assert_eq!(known(), 3, "those of the view are forgotten");
    }

    /// A record of source 65,535 made numbering overflow behind it.
    #[test]
    fn there_may_be_as_many_sources_as_numbers_for_them() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let sources = (0..=u16::MAX).map(|id| format!("source {id}")).collect();
        let manifest = ManifestState { sources, ..ManifestState::default() };
        let catalog = Catalog::default();
        build_state(&storage, [1; 16], &manifest, &catalog, &HashMap::new()).unwrap();
        assert_eq!(catalog.sources().len(), 1 << 16);
    }

    #[test]
    fn the_first_manifest_counts_the_files_that_are_there() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        drop(Store::create_on(storage.clone(), Options { background: false, ..Options::default() }).unwrap());
        let (manifest, _) = load(&*storage, &find_store(&*storage).unwrap()).unwrap();
        assert_eq!((manifest.state.first_log, manifest.state.next_file), (1, 3));
        assert_eq!(highest_id(&*storage).unwrap(), 2);
        for (id, counted) in [((1 << 48) - 1, true), (1 << 48, false)] {
            let name = format!("segment-{id:012}.tape");
            storage.create_new(&name).unwrap();
            assert_eq!(highest_id(&*storage).unwrap(), if counted { id } else { 2 });
            storage.remove(&name).unwrap();
        }
    }

    /// What opening says of a manifest with this record of a series.
    fn opened(record: &SeriesRecord) -> Result<State> {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let mut manifest = ManifestState::default();
        manifest.state.sealed_version = 5;
        let commits = first_state(&Catalog::default());
        let commits = series_record(commits.series(COMMITS).expect("series 0"));
        manifest.series.insert(COMMITS, commits);
        manifest.series.insert(record.id, record.clone());
        build_state(&storage, [1; 16], &manifest, &Catalog::default(), &HashMap::new())
    }

    /// The record of the log of commits, its schema changed.
    fn commits(change: impl FnOnce(&mut Schema)) -> SeriesRecord {
        let state = first_state(&Catalog::default());
        let mut record = series_record(state.series(COMMITS).expect("series 0"));
        change(record.definitions[0].1.as_mut().expect("a schema"));
        record
    }

    fn m5(record: &SeriesRecord, what: &str) {
        let error = opened(record).expect_err("a record that does not fit").to_string();
        assert!(error.contains("rule M5") && error.contains(what), "{error}");
    }

    #[test]
    fn series_0_is_the_log_of_commits_and_nothing_else() {
        let what = "series 0 is not defined as the log of commits";
        opened(&commits(|_| ())).unwrap();
        // What people read of it is free.
        opened(&commits(|schema| schema.columns[0].description = "other".into())).unwrap();
        m5(&commits(|schema| schema.key = KeyPolicy::Unique), what);
        m5(&commits(|schema| schema.columns[1].nullable = true), what);
        m5(&commits(|schema| drop(schema.columns.pop())), what);
        let mut twice = commits(|_| ());
        twice.definitions.push((1, None));
        m5(&twice, what);
    }

    #[test]
    fn a_definition_of_a_commit_that_is_not_sealed_is_refused() {
        let defined = |version| SeriesRecord {
            id: 1,
            instrument: "A".into(),
            frame: "1m".into(),
            definitions: vec![(version, Some(crate::schema::bars()))],
        };
        opened(&defined(5)).unwrap();
        m5(&defined(6), "series 1 has a definition from a commit that is not in segments");
    }
}
