//! Ten thousand series: commits, files, reads of one of them, opening.

use std::sync::Arc;
use std::time::Instant;

use tapestore::io::{MemoryStorage, Storage as _};
use tapestore::schema::bars;
use tapestore::{Options, SeriesKey, Store};

use crate::{MINUTE_NS, bars_at, key};

const SERIES: usize = 10_000;

/// Nothing happens but what is asked for.
fn quiet() -> Options {
    Options { background: false, memtable_bytes: 1 << 30, ..Options::default() }
}

fn keys() -> Vec<SeriesKey> {
    (0..SERIES).map(key).collect()
}

/// One bar for each series at this minute, in one transaction.
fn commit(store: &Store, keys: &[SeriesKey], minute: i64) {
    let mut transaction = store.begin();
    for key in keys {
        transaction.create_series(key, bars()).expect("create_series");
        transaction.append(key, bars_at(std::iter::once(minute))).expect("append");
    }
    let report = transaction.commit().expect("commit");
    assert_eq!(report.added, keys.len() as u64);
}

#[test]
fn ten_thousand_series_in_one_commit_cost_one_fsync_and_a_handful_of_files() {
    let storage = MemoryStorage::new();
    let store = Store::create_on(Arc::new(storage.clone()), quiet()).expect("create");
    let keys = keys();
    let files_at_first = storage.files().len();

    // The commit: one fsync, no file.
    let before = storage.counts();
    commit(&store, &keys, 0);
    let cost = storage.counts().since(before);
    println!("one commit of {SERIES} series: {cost:?}");
    assert_eq!(cost.syncs, 1, "a commit is one fsync");
    assert_eq!(
        (cost.creates, cost.dir_syncs, cost.renames, cost.removes),
        (0, 0, 0, 0),
        "a commit makes no file"
    );
    assert!(cost.writes <= 2, "a commit is one record: {cost:?}");

    // Ninety-nine more.
    let before = storage.counts();
    for minute in 1..100 {
        commit(&store, &keys, minute);
    }
    let cost = storage.counts().since(before);
    println!("99 more: {cost:?}");
    assert_eq!((cost.syncs, cost.creates), (99, 0));

    // Sealing them: files in ones.
    let before = storage.counts();
    assert!(store.seal().expect("seal"));
    let cost = storage.counts().since(before);
    println!("seal of {} rows: {cost:?}", SERIES * 100);
    assert!(cost.creates <= 8 && cost.syncs <= 8, "{cost:?}");

    let before = storage.counts();
    let report = store.compact().expect("compact");
    let cost = storage.counts().since(before);
    println!(
        "compact: {cost:?}, {} segments before, {} after",
        report.segments_before, report.segments_after
    );
    assert!(cost.creates <= 8, "{cost:?}");
    let files = storage.files().len();
    println!("{files} files in all, {files_at_first} in the empty store");
    assert!(files <= files_at_first + 8, "{:?}", storage.files().keys());

    reads_touch_a_handful_of_blocks(&store, &keys);
}

/// Reading one series decodes the blocks of its own columns, however many others there are.
fn reads_touch_a_handful_of_blocks(store: &Store, keys: &[SeriesKey]) {
    let view = store.view();
    let mut most = 0;
    for key in keys.iter().step_by(997) {
        let before = store.stats().expect("stats");
        let rows = view.read(key).rows().expect("read");
        let after = store.stats().expect("stats");
        assert_eq!(rows.len(), 100);
        assert!(rows.time().iter().copied().eq((0..100).map(|minute| minute * MINUTE_NS)));
        most = most.max(after.cache_misses - before.cache_misses);
    }
    println!("reading one of {SERIES} series decodes at most {most} blocks");
    assert!(most <= 10, "{most} blocks of five columns");
}

/// Series with one row in each of many small commits, sealed one by one: what is read after compaction does not
/// depend on how the rows came.
#[test]
fn small_appends_do_not_slow_reads_after_compaction() {
    let storage = MemoryStorage::new();
    let store = Store::create_on(Arc::new(storage.clone()), quiet()).expect("create");
    let keys: Vec<SeriesKey> = (0..50).map(key).collect();
    for minute in 0..200 {
        commit(&store, &keys, minute);
        if minute % 5 == 0 {
            store.seal().expect("seal");
        }
    }
    store.seal().expect("seal");
    let report = store.compact().expect("compact");
    println!("{} segments before, {} after", report.segments_before, report.segments_after);
    let before = store.stats().expect("stats");
    assert_eq!(store.view().read(&keys[25]).rows().expect("read").len(), 200);
    let misses = store.stats().expect("stats").cache_misses - before.cache_misses;
    println!("reading 200 rows that came one by one decodes {misses} blocks");
    assert!(misses <= 10, "{misses} blocks");
}

/// Opening a store whose every series has rows in ten segments. Measured and printed, not asserted.
#[test]
fn opening_a_store_of_ten_thousand_series_in_ten_segments() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("store");
    // Compaction would undo the ten segments.
    let options = Options { young_segments: 1000, ..quiet() };
    let store = Store::create(&path, options.clone()).expect("create");
    let keys = keys();
    for minute in 0..10 {
        commit(&store, &keys, minute);
        assert!(store.seal().expect("seal"));
    }
    let stats = store.stats().expect("stats");
    assert_eq!(stats.segments as u64, 10);
    store.close().expect("close");

    for (what, read_only) in [("for writing", false), ("for reading", true)] {
        let start = Instant::now();
        let open = if read_only { Store::open_read_only } else { Store::open };
        let store = open(&path, options.clone()).expect("open");
        let opened = start.elapsed();
        let start = Instant::now();
        let rows = store.view().read(&keys[SERIES / 2]).rows().expect("read");
        println!(
            "{SERIES} series × 10 segments, {} bytes on disk: opened {what} in {opened:?}, first read in {:?}",
            stats.bytes_on_disk,
            start.elapsed()
        );
        assert_eq!(rows.len(), 10);
        store.close().expect("close");
    }
}
