//! The log of operations: noted with what it tells of, kept by rollbacks, and no part of the counts.

mod common;

use std::sync::Arc;

use common::{bars, options};
use tapestore::io::{MemoryStorage, Storage};
use tapestore::{AsOf, Operation, Outcome, SeriesKey, Store, schema};

fn key() -> SeriesKey {
    SeriesKey::new("BTCUSDT.BINANCE", "1m").unwrap()
}

fn import(store: &Store, operation: &Operation, minutes: &[i64]) -> tapestore::CommitReport {
    let mut transaction = store.begin();
    transaction.create_series(&key(), schema::bars()).unwrap();
    transaction.upsert(&key(), bars(minutes, 10.0)).unwrap();
    transaction.note(operation).unwrap();
    transaction.commit().unwrap()
}

#[test]
fn operations_are_noted_with_what_they_did_and_outlive_rollbacks() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    assert_eq!(store.view().operations(i64::MIN..i64::MAX).unwrap(), []);
    let first = Operation::begin(100, "import", "BTCUSDT.BINANCE 1m");
    let report = import(&store, &first.running(150, "2 rows"), &[0, 1]);
    assert_eq!((report.version, report.added), (1, 2), "the store's own tables count for no commit");
    let report = import(&store, &first.done(200, "3 rows"), &[2]);
    assert_eq!((report.version, report.added, report.updated), (2, 1, 0));
    let second = Operation::begin(300, "prune", "");
    store.note(&second.failed(310, "there is no version 9")).unwrap();
    store.rollback(&AsOf::Version(1)).unwrap();
    assert_eq!(store.view().count(&key(), i64::MIN..i64::MAX).unwrap(), 2);
    let check = |store: &Store| {
        let found = store.view().operations(i64::MIN..i64::MAX).unwrap();
        let told: Vec<_> = found.iter().map(|o| (o.outcome, o.duration_ns, o.version, &*o.error)).collect();
        assert_eq!(told, [(Outcome::Done, 100, 2, ""), (Outcome::Failed, 10, 3, "there is no version 9")]);
        assert_eq!(
            (&*found[0].kind, &*found[0].target, &*found[0].detail),
            ("import", "BTCUSDT.BINANCE 1m", "3 rows")
        );
        assert_eq!(store.view().operations(101..301).unwrap(), found[1..]);
        let stats = store.stats().unwrap();
        assert_eq!((stats.series, stats.rows), (1, 2));
    };
    check(&store);
    store.seal().unwrap();
    store.compact().unwrap();
    store.close().unwrap();
    check(&Store::open_on(storage, options()).unwrap());
}

#[test]
fn long_texts_are_cut_and_times_are_checked() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
    let operation = Operation::begin(1, "import", "x");
    store.note(&operation.failed(2, &"é".repeat(3000))).unwrap();
    assert_eq!(store.view().operations(0..2).unwrap()[0].error, "é".repeat(2048));
    assert!(store.note(&Operation::begin(i64::MIN, "import", "x")).is_err());
}
