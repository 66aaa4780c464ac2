//! Threads, budgets, retention: what a store does while it lives.

mod common;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{MINUTE, bars, key, options, write};
use tapestore::io::{Counts, LockGuard, LockKind, MappedBytes, MemoryStorage, Storage, StorageFile};
use tapestore::{AsOf, Durability, Options, Retention, Store, schema};
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::FrameReader;

/// Memory with a slow sync and a clock of its own.
#[derive(Debug)]
struct Slow {
    inner: MemoryStorage,
    clock: AtomicI64,
    /// Compacted when the next file is about to be mapped.
    compacts_before_map: Mutex<Option<Store>>,
    /// Written to when the next segment is about to be made.
    commits_while_sealing: Mutex<Option<Store>>,
    /// Up to this minute.
    rows_while_sealing: AtomicI64,
    /// Held by a test that lets no segment be made.
    gate: Mutex<()>,
}

#[derive(Debug)]
struct SlowFile(Arc<dyn StorageFile>);

impl StorageFile for SlowFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
    fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_once_at(offset, bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(2));
        self.0.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}

impl Storage for Slow {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        if name.starts_with("segment-") {
            drop(self.gate.lock().unwrap());
        }
        if name.starts_with("segment-")
            && let Some(store) = self.commits_while_sealing.lock().unwrap().take()
        {
            write(
                &store,
                "A",
                &(2..self.rows_while_sealing.load(Ordering::Relaxed)).collect::<Vec<_>>(),
                20.0,
            );
        }
        Ok(Arc::new(SlowFile(self.inner.create_new(name)?)))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.inner.open(name)
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.inner.open_read(name)
    }
    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        let meanwhile = self.compacts_before_map.lock().unwrap().take();
        if let Some(store) = meanwhile {
            store.compact().unwrap();
        }
        self.inner.map(name, length)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
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
        self.clock.load(Ordering::Relaxed)
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

fn slow() -> Arc<Slow> {
    let (compacts_before_map, commits_while_sealing) = (Mutex::default(), Mutex::default());
    let (inner, clock) = (MemoryStorage::new(), AtomicI64::new(0));
    let rows_while_sealing = AtomicI64::new(4);
    let gate = Mutex::default();
    Arc::new(Slow { inner, clock, compacts_before_map, commits_while_sealing, rows_while_sealing, gate })
}

#[test]
fn commits_of_many_threads_share_syncs_and_none_is_lost() {
    let storage = slow();
    let store = Store::create_on(storage.clone(), options()).unwrap();
    let before = storage.counts();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                for minute in 0..25 {
                    write(&store, &format!("S{thread}"), &[minute], 10.0);
                }
            });
        }
    });
    let syncs = storage.counts().since(before).syncs;
    assert!(syncs < 150, "{syncs} syncs for 200 commits");
    assert_eq!(store.view().version(), 200);
    drop(store);
    let store = Store::open_on(storage, options()).unwrap();
    assert_eq!(store.view().version(), 200);
    for thread in 0..8 {
        assert_eq!(store.view().count(&key(&format!("S{thread}")), i64::MIN..i64::MAX).unwrap(), 25);
    }
}

#[test]
fn durability_is_what_was_asked_for() {
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    write(&store, "A", &[0], 1.0);
    let commit = |minute, durability| {
        let before = storage.counts();
        let mut transaction = store.begin();
        transaction.upsert(&key("A"), bars(&[minute], 1.0)).unwrap();
        transaction.commit_with(durability).unwrap();
        let after = storage.counts().since(before);
        (after.syncs, after.write_bytes > 0)
    };
    assert_eq!(commit(1, Durability::Durable), (1, true));
    assert_eq!(commit(2, Durability::Appended), (0, true));
    assert_eq!(commit(3, Durability::Volatile), (0, false));
    assert_eq!(store.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), 4, "all are visible here");
    assert_eq!(commit(4, Durability::Durable).0, 1, "and this one takes the others along");
    store.close().unwrap();
    let store = Store::open_on(storage, options()).unwrap();
    assert_eq!(store.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), 5);
}

#[test]
fn budgets_make_segments_and_compaction_keeps_them_few() {
    let storage = Arc::new(MemoryStorage::new());
    let budgets = Options { memtable_bytes: 20_000, young_segments: 4, ..Options::default() };
    let store = Store::create_on(storage, budgets).unwrap();
    for round in 0..200 {
        write(&store, &format!("S{}", round % 7), &(round * 10..round * 10 + 60).collect::<Vec<_>>(), 10.0);
    }
    store.seal().unwrap();
    store.wait_idle().unwrap();
    let stats = store.stats().unwrap();
    assert!((1..10).contains(&stats.segments), "{stats:?}");
    assert!(stats.memtable_bytes < 40_000, "{stats:?}");
    assert_eq!(store.verify(true).unwrap(), []);
    let before = store.compact().unwrap();
    assert_eq!(store.compact().unwrap().rows, 0, "compacting again does nothing after {before:?}");
    assert_eq!(store.stats().unwrap().rows, stats.rows);
}

#[test]
fn paused_compaction_waits_and_sealing_goes_on() {
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage, Options { young_segments: 3, ..Options::default() }).unwrap();
    store.pause_compaction();
    for minute in 0..12 {
        write(&store, "A", &[minute], 10.0);
        store.seal().unwrap();
    }
    assert_eq!(store.stats().unwrap().segments, 12);
    store.resume_compaction();
    store.wait_idle().unwrap();
    assert!(store.stats().unwrap().segments < 12);
    assert_eq!(store.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), 12);
}

#[test]
fn throttled_compaction_takes_its_time_and_gives_the_same() {
    let storage = Arc::new(MemoryStorage::new());
    let slowly = Options { compaction_bytes_per_second: Some(200_000), ..options() };
    let store = Store::create_on(storage, slowly).unwrap();
    for round in 0..3 {
        write(&store, "A", &(round..round + 2000).collect::<Vec<_>>(), round as f64);
        store.seal().unwrap();
    }
    let rows = store.view().read(&key("A")).rows().unwrap();
    let report = store.compact().unwrap();
    assert!(report.segments_after < report.segments_before);
    assert_eq!(store.view().read(&key("A")).rows().unwrap(), rows);
}

#[test]
fn versions_are_found_by_number_name_and_time() {
    let storage = slow();
    let store = Store::create_on(storage.clone(), options()).unwrap();
    for minute in 1..=5 {
        storage.clock.store(minute * MINUTE, Ordering::Relaxed);
        write(&store, "A", &(0..minute).collect::<Vec<_>>(), 10.0);
    }
    store.create_snapshot("three", Some(&AsOf::Version(3))).unwrap();
    let rows = |at: AsOf| store.as_of(&at).map(|view| view.count(&key("A"), i64::MIN..i64::MAX).unwrap());
    assert_eq!(rows(AsOf::Version(2)).unwrap(), 2);
    assert_eq!(rows(AsOf::Snapshot("three".into())).unwrap(), 3);
    assert_eq!(rows(AsOf::Time(4 * MINUTE + 1)).unwrap(), 4);
    assert_eq!(rows(AsOf::Time(4 * MINUTE)).unwrap(), 4);
    assert_eq!(rows(AsOf::Time(i64::MAX)).unwrap(), 5);
    assert!(rows(AsOf::Time(0)).is_err());
    assert!(rows(AsOf::Version(6)).unwrap_err().to_string().contains("newest is 5"));
    assert!(rows(AsOf::Snapshot("four".into())).is_err());
    assert!(store.create_snapshot("three", None).is_err());
    assert!(store.create_snapshot("17", None).is_err(), "it would be taken for a version");
    store.drop_snapshot("three").unwrap();
    assert!(store.drop_snapshot("three").is_err());
}

#[test]
fn retention_gives_up_old_versions_but_never_rows_or_snapshots() {
    let by_count = Options { retention: Retention::Commits(3), ..options() };
    let by_age = Options { retention: Retention::Nanoseconds(2 * MINUTE), ..options() };
    for kept in [by_count, by_age] {
        let storage = slow();
        let store = Store::create_on(storage.clone(), kept).unwrap();
        for version in 1..=10 {
            storage.clock.store(version * MINUTE, Ordering::Relaxed);
            write(&store, "A", &[1, 2], version as f64);
            if version == 4 {
                store.create_snapshot("four", None).unwrap();
            }
        }
        store.seal().unwrap();
        store.compact().unwrap();
        assert_eq!(store.stats().unwrap().floor, 8);
        let close =
            |at: &AsOf| Some(store.as_of(at).ok()?.read(&key("A")).rows().unwrap().f64("close").unwrap()[0]);
        assert_eq!(close(&AsOf::Version(7)), None);
        assert_eq!(close(&AsOf::Version(8)), Some(9.25));
        assert_eq!(close(&AsOf::Version(10)), Some(11.25));
        assert_eq!(close(&AsOf::Snapshot("four".into())), Some(5.25));
        // Two rows each for the versions 4, 8 and 9; version 10 is live.
        assert_eq!(store.stats().unwrap().history_rows, 6);
    }
}

#[test]
fn many_series_are_written_in_one_commit_and_read_in_parallel() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
    let keys: Vec<_> = (0..300).map(|number| key(&format!("S{number}"))).collect();
    let mut transaction = store.begin();
    for (number, key) in keys.iter().enumerate() {
        transaction.create_series(key, schema::bars()).unwrap();
        transaction.append(key, bars(&[1, 2, 3], number as f64)).unwrap();
    }
    assert_eq!(transaction.commit().unwrap().added, 900);
    store.seal().unwrap();
    let mut asked = keys.clone();
    asked.push(key("nobody"));
    let results = store.view().read_many(&asked, 0..3 * MINUTE, &["close"]);
    for (number, rows) in results[..300].iter().enumerate() {
        assert_eq!(
            rows.as_ref().unwrap().f64("close").unwrap(),
            [number as f64 + 1.25, number as f64 + 2.25]
        );
    }
    assert!(results[300].is_err(), "one bad key does not spoil the others");
}

#[test]
fn a_store_opened_and_closed_often_is_compacted_all_the_same() {
    let often = Options { memtable_bytes: 1000, young_segments: 3, ..Options::default() };
    let storage = MemoryStorage::new();
    Store::create_on(Arc::new(storage.clone()), often.clone()).unwrap().close().unwrap();
    for minute in 0..40 {
        let store = Store::open_on(Arc::new(storage.clone()), often.clone()).unwrap();
        write(&store, "A", &[minute], 10.0);
        store.close().unwrap();
    }
    let store = Store::open_on(Arc::new(storage), often).unwrap();
    store.wait_idle().unwrap();
    let stats = store.stats().unwrap();
    assert!(stats.segments <= 6 && stats.rows == 40, "{stats:?}");
}

/// Found by the model `compact-beside-view` of tests/sync: a view was about to map a segment when compaction mapped it
/// for the view, and removed it. The view then said that the file was missing, though it had been mapped.
#[test]
fn a_view_that_maps_a_segment_while_compaction_removes_it_reads_on() {
    let storage = slow();
    let store = Store::create_on(storage.clone(), options()).unwrap();
    for minute in 0..2 {
        write(&store, "A", &[minute], 10.0);
        store.seal().unwrap();
    }
    let view = store.view();
    *storage.compacts_before_map.lock().unwrap() = Some(store.clone());
    assert_eq!(view.read(&key("A")).rows().unwrap().time(), [0, MINUTE]);
    assert_eq!(store.stats().unwrap().segments, 1, "compaction ran in between");
}

#[test]
fn what_is_committed_while_sealing_stays_in_memory_and_is_sealed_next() {
    let storage = slow();
    let store = Store::create_on(storage.clone(), options()).unwrap();
    write(&store, "A", &[0, 1, 2], 10.0);
    *storage.commits_while_sealing.lock().unwrap() = Some(store.clone());
    assert!(store.seal().unwrap());
    let closes = |store: &Store| store.view().read(&key("A")).rows().unwrap().f64("close").unwrap().to_vec();
    let expected = [10.25, 11.25, 22.25, 23.25];
    let stats = store.stats().unwrap();
    // Two rows, and the commit's own.
    assert_eq!((stats.segments, stats.memtable_rows, closes(&store)), (1, 3, expected.to_vec()));
    assert!(stats.memtable_bytes > 0);
    write(&store, "A", &[4], 30.0);
    assert_eq!(store.stats().unwrap().memtable_rows, 5);
    // Neither a crash here nor sealing the rest changes what is read.
    let reopened = Store::open_read_only_on(storage.clone(), options()).unwrap();
    assert_eq!(closes(&reopened)[..4], expected);
    assert!(store.seal().unwrap());
    let stats = store.stats().unwrap();
    assert_eq!((stats.segments, stats.memtable_rows, stats.memtable_bytes), (2, 0, 0));
    assert_eq!(closes(&store)[..4], expected);
    assert!(!store.seal().unwrap(), "nothing is left to seal");
}

/// What is left in memory after sealing counts against the budget.
#[test]
fn the_budget_counts_what_was_committed_while_sealing() {
    let storage = slow();
    let options = Options { memtable_bytes: 100_000, ..options() };
    let store = Store::create_on(storage.clone(), options).unwrap();
    write(&store, "A", &[0, 1], 10.0);
    storage.rows_while_sealing.store(1200, Ordering::Relaxed);
    *storage.commits_while_sealing.lock().unwrap() = Some(store.clone());
    assert!(store.seal().unwrap());
    let stats = store.stats().unwrap();
    assert!((50_000..95_000).contains(&stats.memtable_bytes), "{} bytes", stats.memtable_bytes);
    assert_eq!(stats.segments, 1);
    write(&store, "A", &(1200..2400).collect::<Vec<_>>(), 10.0);
    assert_eq!(store.stats().unwrap().segments, 2, "both together are over the budget");
}

/// Each commit says in the log which frames were durable before it: only so can damage be told from a torn end.
#[test]
fn frames_call_durable_what_was_synced_before_them() {
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    let newest = || {
        storage.list("").unwrap().into_iter().map(|file| file.0).filter(|name| name.starts_with("wal-")).max()
    };
    let frames = || {
        let name = newest().unwrap();
        let bytes = storage.open(&name).unwrap().read_all(1 << 20).unwrap();
        let identity = FileHeader::decode(&bytes, FileKind::Wal).unwrap().identity;
        let mut reader = FrameReader::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, identity, None);
        let mut found = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            found.push((frame.sequence, frame.durable));
        }
        found
    };
    let commit = |minute, durability| {
        let mut transaction = store.begin();
        transaction.create_series(&key("A"), schema::bars()).unwrap();
        transaction.upsert(&key("A"), bars(&[minute], 1.0)).unwrap();
        transaction.commit_with(durability).unwrap();
    };
    commit(1, Durability::Durable);
    commit(2, Durability::Appended);
    commit(3, Durability::Durable);
    commit(4, Durability::Durable);
    assert_eq!(frames(), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 4)]);
    store.seal().unwrap();
    commit(5, Durability::Durable);
    commit(6, Durability::Durable);
    assert_eq!(frames(), [(6, 5), (7, 6), (8, 7)]);
}

/// Commits wait when sealing is far behind: memory holds twice the budget, not more.
#[test]
fn commits_wait_for_sealing_at_twice_the_budget() {
    let storage = slow();
    let budget = 400_000;
    let options = Options { memtable_bytes: budget, background: true, ..Options::default() };
    let store = Store::create_on(storage.clone(), options).unwrap();
    let (parts, rows) = (60, 500);
    let gate = storage.gate.lock().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for part in 0..parts {
                write(&store, "A", &(part * rows..(part + 1) * rows).collect::<Vec<_>>(), 10.0);
            }
        });
        let held = || store.stats().unwrap().memtable_bytes;
        let since = std::time::Instant::now();
        while held() < budget as u64 * 19 / 10 {
            assert!(since.elapsed() < Duration::from_secs(30), "stopped at {} bytes", held());
            std::thread::sleep(Duration::from_millis(5));
        }
        // Time for more, if nothing held it up.
        std::thread::sleep(Duration::from_millis(700));
        let most = held();
        assert!(most < budget as u64 * 5 / 2, "{most} bytes");
        drop(gate);
        writer.join().unwrap();
    });
    store.wait_idle().unwrap();
    assert_eq!(store.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), (parts * rows) as u64);
    store.close().unwrap();
}
