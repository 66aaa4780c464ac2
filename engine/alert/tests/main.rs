//! Alerts: [`machine`] beside a plain twin, [`look`] on stores with a clock of the test, [`sinks`] against a server here,
//! [`measure`] what rules find, [`config`] what configurations may say.

mod config;
mod look;
mod machine;
mod measure;
mod sinks;

use std::path::Path;

use tapestore::time::MINUTE_NS;
use tapestore::{Batch, Durability, Options, SeriesKey, Store, Values, schema};

/// 2026-02-02, a Monday.
const START: i64 = 1_769_990_400_000_000_000;

fn options() -> Options {
    Options { durability: Durability::Appended, background: false, ..Options::default() }
}

fn store(directory: &Path) -> Store {
    Store::create(directory.join("store"), options()).expect("a store")
}

fn key(name: &str) -> SeriesKey {
    SeriesKey::new(name, "1m").expect("a key")
}

/// Bars of these minutes after [`START`].
fn write(store: &Store, key: &SeriesKey, minutes: impl IntoIterator<Item = i64>) {
    let times: Vec<i64> = minutes.into_iter().map(|minute| START + minute * MINUTE_NS).collect();
    let ones = || Values::F64(vec![1.0; times.len()]);
    let columns = ["open", "high", "low", "close", "volume"];
    let batch = columns.iter().fold(Batch::new(times.clone()), |batch, name| batch.with(name, ones()));
    let mut transaction = store.begin();
    transaction.create_series(key, schema::bars()).expect("a series");
    transaction.upsert(key, batch).expect("rows");
    transaction.commit().expect("a commit");
}
