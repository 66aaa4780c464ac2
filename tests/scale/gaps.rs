//! Gaps come from the index: no column data is read, however many rows there are.

use std::sync::Arc;

use tapestore::io::MemoryStorage;
use tapestore::schema::bars;
use tapestore::{Options, Store};

use crate::{MINUTE_NS, bars_at, key};

/// Rows of one transaction.
const STEP: i64 = 200_000;

/// A sealed, compacted store with one series of bars at these minutes.
fn store_of(minutes: &[i64]) -> Store {
    let options = Options { background: false, memtable_bytes: 1 << 30, ..Options::default() };
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options).expect("create");
    for part in minutes.chunks(STEP as usize) {
        let mut transaction = store.begin();
        transaction.create_series(&key(0), bars()).expect("create_series");
        transaction.append(&key(0), bars_at(part.iter().copied())).expect("append");
        transaction.commit().expect("commit");
    }
    store.seal().expect("seal");
    store.compact().expect("compact");
    store
}

/// Asks for gaps, coverage and counts, and tells how many blocks of columns were decoded for it.
fn blocks_for_gaps(store: &Store, minutes: &[i64]) -> u64 {
    let before = store.stats().expect("stats");
    let view = store.view();
    let holes = minutes.windows(2).filter(|pair| pair[1] - pair[0] > 1);
    let want: Vec<_> = holes.map(|pair| ((pair[0] + 1) * MINUTE_NS, pair[1] * MINUTE_NS)).collect();
    let gaps = view.gaps(&key(0), None).expect("gaps");
    assert!(gaps.iter().map(|gap| (gap.start, gap.end)).eq(want.iter().copied()));
    assert_eq!(view.coverage(&key(0), None).expect("coverage").len(), want.len() + 1);
    let middle = minutes[minutes.len() / 2] * MINUTE_NS;
    let day = view.gaps(&key(0), Some(middle..middle + 1440 * MINUTE_NS)).expect("gaps of a day");
    assert!(day.len() <= want.len() + 2);
    let count = view.count(&key(0), i64::MIN..i64::MAX).expect("count");
    assert_eq!(count, minutes.len() as u64);
    let after = store.stats().expect("stats");
    (after.cache_misses + after.cache_hits) - (before.cache_misses + before.cache_hits)
}

#[test]
fn gaps_read_no_column_whatever_the_number_of_rows() {
    let complete = |rows: i64| (0..rows).collect::<Vec<i64>>();
    // One minute in eight is missing here and there: about 60,000 runs.
    let sparse: Vec<i64> =
        (0..550_000).filter(|minute| ((minute * 2_654_435_761_i64) >> 7) % 8 != 0).collect();
    let cases = [
        ("complete, 100 k rows", complete(100_000)),
        ("complete, 2.6 M rows", complete(2_600_000)),
        ("sparse", sparse),
    ];
    for (name, minutes) in cases {
        let store = store_of(&minutes);
        let blocks = blocks_for_gaps(&store, &minutes);
        println!("gaps, {name} ({} rows): {blocks} blocks of columns read", minutes.len());
        assert_eq!(blocks, 0, "{name}");
    }
}

/// The same on rows that are still in memory, and across memory and segments.
#[test]
fn gaps_agree_across_memory_and_segments() {
    let store = store_of(&(0..5_000).filter(|minute| minute % 100 != 99).collect::<Vec<_>>());
    let mut transaction = store.begin();
    let late = (0..50).map(|n| n * 100 + 99).chain(5_010..5_020);
    transaction.upsert(&key(0), bars_at(late)).expect("upsert");
    transaction.delete_range(&key(0), 1_000 * MINUTE_NS..1_010 * MINUTE_NS).expect("delete_range");
    transaction.commit().expect("commit");
    let found: Vec<_> = store.view().gaps(&key(0), None).expect("gaps");
    let found: Vec<_> =
        found.iter().map(|gap| (gap.start / MINUTE_NS, gap.end / MINUTE_NS, gap.missing)).collect();
    assert_eq!(found, [(1_000, 1_010, 10), (5_000, 5_010, 10)]);
}
