//! What the tests of the engine share.
#![allow(dead_code, reason = "each test file uses a part")]

use tapestore::{Batch, CommitReport, Options, SeriesKey, Store, Values, schema};

pub(crate) const MINUTE: i64 = 60_000_000_000;

pub(crate) fn options() -> Options {
    Options { background: false, ..Options::default() }
}

pub(crate) fn key(name: &str) -> SeriesKey {
    SeriesKey::new(name, "1m").unwrap()
}

/// One bar per minute given; every price tells the minute and `price`.
pub(crate) fn bars(minutes: &[i64], price: f64) -> Batch {
    let column = |shift: f64| Values::F64(minutes.iter().map(|m| price + *m as f64 + shift).collect());
    Batch::new(minutes.iter().map(|m| m * MINUTE).collect())
        .with("open", column(0.0))
        .with("high", column(0.5))
        .with("low", column(-0.5))
        .with("close", column(0.25))
        .with("volume", column(100.0))
}

pub(crate) fn write(store: &Store, name: &str, minutes: &[i64], price: f64) -> CommitReport {
    let mut transaction = store.begin();
    transaction.create_series(&key(name), schema::bars()).unwrap();
    transaction.upsert(&key(name), bars(minutes, price)).unwrap();
    transaction.commit().unwrap()
}
