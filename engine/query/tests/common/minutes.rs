//! A store with minutes of one instrument, for what is made of them.

use std::collections::BTreeMap;

use super::{MINUTE, Random};
use tapestore::schema::bars;
use tapestore::{Batch, Options, SeriesKey, Store, Values};

/// Bars by time, as bits.
pub(crate) type Content = BTreeMap<i64, [u64; 5]>;

pub(crate) const COLUMNS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// The series of a frame.
pub(crate) fn key(frame: &str) -> SeriesKey {
    SeriesKey::new("A.X", frame).unwrap()
}

/// With an empty series of minutes.
pub(crate) fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&key("1m"), bars()).unwrap();
    transaction.commit().unwrap();
    (directory, store)
}

/// Commits minutes with random prices.
pub(crate) fn put(store: &Store, minutes: impl Iterator<Item = i64>, random: &mut Random) {
    let minutes: Vec<i64> = minutes.collect();
    let batch = Batch::new(minutes.iter().map(|minute| minute * MINUTE).collect());
    let mut column = || Values::F64(minutes.iter().map(|_| random.below(100_000) as f64 / 100.0).collect());
    let batch = COLUMNS.iter().fold(batch, |batch, name| batch.with(name, column()));
    let mut transaction = store.begin();
    transaction.upsert(&key("1m"), batch).unwrap();
    transaction.commit().unwrap();
}
