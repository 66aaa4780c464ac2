//! A store with minutes of one instrument that trades in two sessions a day.

use std::sync::Arc;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Batch, Options, SeriesKey, Store, Values, schema};
use tapestore_query::Sessions;

use super::series::Series;

pub(crate) struct Market {
    _directory: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) key: SeriesKey,
}

/// Weekday sessions of Hong Kong from the first of January 1970 on, a Thursday.
pub(crate) fn sessions(days: i64) -> Arc<Sessions> {
    let hours = [9 * HOUR_NS + 30 * MINUTE_NS..12 * HOUR_NS, 13 * HOUR_NS..16 * HOUR_NS];
    Arc::new(Sessions::on_weekdays(0..days * DAY_NS, 8 * HOUR_NS, &hours, &[]).expect("sound sessions"))
}

/// The minutes of the sessions.
pub(crate) fn minutes(sessions: &Sessions) -> Vec<i64> {
    let all = sessions.all().iter();
    all.flat_map(|session| session.open.clone().step_by(MINUTE_NS as usize)).collect()
}

impl Market {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = Options { background: false, ..Options::default() };
        let store = Store::create(directory.path().join("store"), options).expect("a store");
        let key = SeriesKey::new("0700.HK", "1m").expect("a key");
        let mut transaction = store.begin();
        transaction.create_series(&key, schema::bars()).expect("a series");
        transaction.commit().expect("a commit");
        Self { _directory: directory, store, key }
    }

    /// Writes bars of a walk at these times.
    pub(crate) fn put(&self, times: &[i64], seed: u64) {
        self.put_flagged(times, seed, 0);
    }

    pub(crate) fn put_flagged(&self, times: &[i64], seed: u64, flags: u16) {
        let Series { open, high, low, close, volume } = Series::walk(times.len(), seed);
        let batch = Batch::new(times.to_vec())
            .with("open", Values::F64(open))
            .with("high", Values::F64(high))
            .with("low", Values::F64(low))
            .with("close", Values::F64(close))
            .with("volume", Values::F64(volume))
            .with_flags(tapestore::RunVec::constant(flags, times.len()));
        let mut transaction = self.store.begin();
        transaction.upsert(&self.key, batch).expect("sound rows");
        transaction.commit().expect("a commit");
    }

    pub(crate) fn delete(&self, range: std::ops::Range<i64>) {
        let mut transaction = self.store.begin();
        transaction.delete_range(&self.key, range).expect("a range");
        transaction.commit().expect("a commit");
    }
}
