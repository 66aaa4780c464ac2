//! A real file system that is full: a small one, mounted for the test. Where nothing may be mounted the tests say so and
//! are skipped; the simulated full disk in `tests/crash` always runs.

mod common;
#[path = "common/small_disk.rs"]
mod small_disk;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{MINUTE, bars, key, options};
use small_disk::SmallDisk;
use tapestore::{AsOf, ErrorClass, Options, Store, schema};

const EVERYTHING: std::ops::Range<i64> = i64::MIN..i64::MAX;

fn upsert(store: &Store, name: &str, from: i64) -> tapestore::Result<()> {
    let minutes: Vec<i64> = (from..from + 500).collect();
    let mut transaction = store.begin();
    transaction.create_series(&key(name), schema::bars())?;
    // Prices that no encoding makes small.
    transaction.upsert(&key(name), bars(&minutes, 0.1 + from as f64 * 0.37))?;
    transaction.commit().map(drop)
}

/// A store with rows of two series, sealed and not, on a disk without space; how many commits it acknowledged.
fn full(disk: &SmallDisk, path: &Path, options: Options) -> i64 {
    let store = Store::create(path, options).unwrap();
    for commit in 0..6 {
        upsert(&store, "A", commit * 500).unwrap();
        upsert(&store, "B", commit * 500).unwrap();
        if commit % 2 == 0 {
            store.seal().unwrap();
        }
    }
    disk.fill();
    let mut acknowledged = 6;
    let error = loop {
        match upsert(&store, "A", acknowledged * 500) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full_disk() && error.kind() == ErrorClass::Io, "{error}");
    assert!(error.to_string().contains("wal-") && error.to_string().contains("make space"), "{error}");
    // One clear error after it; what was acknowledged can be read, here and in a reader that begins now.
    assert_eq!(store.seal().unwrap_err().kind(), ErrorClass::Poisoned);
    assert_eq!(rows(&store, "A"), 500 * acknowledged as u64);
    let reader = Store::open_read_only(path, self::options()).unwrap();
    assert_eq!(rows(&reader, "A"), 500 * acknowledged as u64);
    acknowledged
}

fn rows(store: &Store, name: &str) -> u64 {
    store.view().count(&key(name), EVERYTHING).unwrap()
}

#[test]
fn rows_are_deleted_and_history_is_pruned_on_a_full_file_system() {
    let Some(disk) = SmallDisk::mount("reserve", 1500) else { return };
    let path = disk.path().join("store");
    let acknowledged = full(&disk, &path, options());
    // Opening gives up the reserve. The commit that failed may have been written whole (I2).
    let store = Store::open(&path, options()).unwrap();
    let found = rows(&store, "A");
    assert!(found == 500 * acknowledged as u64 || found == 500 * (acknowledged as u64 + 1), "{found}");
    // Nothing is added now, and the handle says why and goes on.
    let error = upsert(&store, "A", 0).unwrap_err();
    assert!(error.is_full_disk() && error.to_string().contains("reserve"), "{error}");
    let mut transaction = store.begin();
    transaction.delete_range(&key("A"), 0..1000 * MINUTE).unwrap();
    transaction.commit().unwrap();
    drop(store);
    // Again by a process of its own, as often as one likes.
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Programs that start hold every file that this process has open, for a moment: what is removed then keeps its space.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = Command::new("true").status();
            }
        });
        for _ in 0..20 {
            let opened = Store::open(&path, options());
            over.fetch_or(opened.is_err(), Ordering::Relaxed);
            drop(opened.unwrap());
        }
        over.store(true, Ordering::Relaxed);
    });
    let store = Store::open(&path, options()).unwrap();
    assert_eq!(rows(&store, "A"), found - 1000);
    let mut transaction = store.begin();
    transaction.drop_series(&key("B")).unwrap();
    transaction.commit().unwrap();
    let before = store.stats().unwrap().bytes_on_disk;
    let newest = store.view().version();
    let report = store.prune(&AsOf::Version(newest)).unwrap();
    assert_eq!(report.floor, newest);
    let after = store.stats().unwrap();
    assert!(after.segment_bytes < report.bytes_before, "{report:?}, {before} -> {after:?}");
    assert_eq!(rows(&store, "A"), found - 1000);
    assert!(store.verify(true).unwrap().is_empty());
    // What was freed, or with the filler gone: it takes rows again, without being opened again.
    disk.give_space();
    upsert(&store, "A", 0).unwrap();
    assert_eq!(rows(&store, "A"), found - 500);
    store.close().unwrap();
    let store = Store::open(&path, options()).unwrap();
    assert!(store.verify(true).unwrap().is_empty());
    println!(
        "torture: full file system | {acknowledged} commits, 1 file system filled | seed 0 | failures 0"
    );
}

#[test]
fn a_store_without_a_reserve_opens_on_a_full_file_system_with_a_little_space() {
    let Some(disk) = SmallDisk::mount("plain", 1500) else { return };
    let path = disk.path().join("store");
    full(&disk, &path, Options { reserve_bytes: 0, ..options() });
    let count = rows(&Store::open_read_only(&path, options()).unwrap(), "A");
    // Its own commit that failed left a torn end; if that was no page, it does not open, and says what to do.
    if let Err(error) = Store::open(&path, options()) {
        assert!(error.is_full_disk() && error.to_string().contains("make space"), "{error}");
        assert_eq!(rows(&Store::open_read_only(&path, options()).unwrap(), "A"), count);
    }
    // 24 KiB are enough, whoever gives them.
    let length = std::fs::metadata(disk.path().join("filler")).unwrap().len();
    let filler = std::fs::OpenOptions::new().write(true).open(disk.path().join("filler")).unwrap();
    filler.set_len(length - (24 << 10)).unwrap();
    drop(filler);
    let store = Store::open(&path, options()).unwrap();
    let mut transaction = store.begin();
    transaction.drop_series(&key("B")).unwrap();
    transaction.commit().unwrap();
    store.prune(&AsOf::Version(store.view().version())).unwrap();
    assert!(store.verify(true).unwrap().is_empty());
    disk.give_space();
    upsert(&store, "A", 0).unwrap();
    store.close().unwrap();
}
