//! The main job in small: rows in, rows out, versions, sealing, compaction, reopening.

mod common;

use std::sync::Arc;

use common::{MINUTE, bars, options};

use tapestore::io::{MemoryStorage, Storage};
use tapestore::{AsOf, Batch, Options, SeriesKey, Store, Values, schema};

fn store() -> (Arc<dyn Storage>, Store) {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    (storage, store)
}

fn key() -> SeriesKey {
    SeriesKey::new("BTCUSDT.BINANCE", "1m").unwrap()
}

fn write(store: &Store, batch: Batch) -> tapestore::CommitReport {
    let mut transaction = store.begin();
    transaction.source("test");
    transaction.create_series(&key(), schema::bars()).unwrap();
    transaction.upsert(&key(), batch).unwrap();
    transaction.commit().unwrap()
}

fn closes(store: &Store, at: Option<u64>) -> Vec<(i64, f64)> {
    let view = match at {
        Some(version) => store.as_of(&AsOf::Version(version)).unwrap(),
        None => store.view(),
    };
    let rows = view.read(&key()).columns(&["close"]).rows().unwrap();
    rows.time().iter().map(|time| time / MINUTE).zip(rows.f64("close").unwrap().iter().copied()).collect()
}

#[test]
fn rows_and_versions_survive_sealing_compaction_and_reopening() {
    let (storage, store) = store();
    let first: Vec<i64> = (0..3000).collect();
    let report = write(&store, bars(&first, 1000.0));
    assert_eq!((report.version, report.added, report.updated), (1, 3000, 0));
    assert_eq!(write(&store, bars(&first, 1000.0)).unchanged, 3000);
    assert!(!write(&store, bars(&first, 1000.0)).changed);
    let report = write(&store, bars(&[5, 2999, 3000, 3005], 2000.0));
    assert_eq!((report.version, report.added, report.updated), (2, 2, 2));
    let mut delete = store.begin();
    delete.delete_range(&key(), 10 * MINUTE..20 * MINUTE).unwrap();
    assert_eq!(delete.commit().unwrap().deleted, 10);
    let expect = |store: &Store| {
        let old = closes(store, Some(1));
        assert_eq!((old.len(), old[5], old[2999]), (3000, (5, 1005.25), (2999, 3999.25)));
        let middle = closes(store, Some(2));
        assert_eq!((middle.len(), middle[5], middle[3001]), (3002, (5, 2005.25), (3005, 5005.25)));
        let new = closes(store, None);
        assert_eq!((new.len(), new[5], new[10]), (2992, (5, 2005.25), (20, 1020.25)));
        let gaps = store.view().gaps(&key(), None).unwrap();
        let gaps: Vec<_> =
            gaps.iter().map(|gap| (gap.start / MINUTE, gap.end / MINUTE, gap.missing)).collect();
        assert_eq!(gaps, [(10, 20, 10), (3001, 3005, 4)]);
        assert_eq!(store.as_of(&AsOf::Version(1)).unwrap().gaps(&key(), None).unwrap(), []);
        assert_eq!(store.view().latest(&key()).unwrap().unwrap().f64("close").unwrap(), [5005.25]);
        assert_eq!(store.log(10).unwrap().len(), 3);
        assert_eq!(store.verify(true).unwrap(), []);
    };
    expect(&store);
    assert!(store.seal().unwrap());
    expect(&store);
    store.compact().unwrap();
    expect(&store);
    drop(store);
    let store = Store::open_on(storage.clone(), options()).unwrap();
    expect(&store);
    assert_eq!(write(&store, bars(&first[100..], 1000.0)).updated, 1);
    let back = store.rollback(&AsOf::Version(1)).unwrap();
    assert!(back.changed);
    assert_eq!(closes(&store, None), closes(&store, Some(1)));
    assert!(!store.rollback(&AsOf::Version(1)).unwrap().changed);
    drop(store);
    let store = Store::open_on(storage, options()).unwrap();
    assert_eq!(closes(&store, None), closes(&store, Some(1)));
    store.create_snapshot("first", Some(&AsOf::Version(2))).unwrap();
    store.prune(&AsOf::Version(back.version)).unwrap();
    assert!(store.as_of(&AsOf::Version(1)).is_err());
    assert_eq!(closes(&store, Some(2)).len(), 3002);
    assert_eq!(store.verify(true).unwrap(), []);
}

#[test]
fn a_follower_sees_commits_when_it_refreshes() {
    let (storage, store) = store();
    write(&store, bars(&[1, 2, 3], 10.0));
    let follower = Store::open_read_only_on(storage, options()).unwrap();
    assert_eq!(closes(&follower, None).len(), 3);
    write(&store, bars(&[4], 10.0));
    assert_eq!(closes(&follower, None).len(), 3);
    assert_eq!(follower.refresh().unwrap(), 2);
    assert_eq!(closes(&follower, None).len(), 4);
    let pinned = follower.view();
    write(&store, bars(&[5], 10.0));
    store.seal().unwrap();
    write(&store, bars(&[6], 10.0));
    store.seal().unwrap();
    store.compact().unwrap();
    assert_eq!(follower.refresh().unwrap(), 4);
    assert_eq!(closes(&follower, None).len(), 6);
    assert_eq!(pinned.read(&key()).rows().unwrap().len(), 4);
    assert!(follower.begin().commit().is_err());
}

#[test]
fn a_backup_is_a_store_and_repeats_incrementally() {
    let (_, store) = store();
    write(&store, bars(&[1, 2, 3], 10.0));
    store.seal().unwrap();
    write(&store, bars(&[4], 10.0));
    let target = Arc::new(MemoryStorage::new());
    let report = store.backup_to(&*target).unwrap();
    assert_eq!(report.version, 2);
    let copy = Store::open_read_only_on(target.clone(), options()).unwrap();
    assert_eq!(closes(&copy, None).len(), 4);
    drop(copy);
    write(&store, bars(&[5], 10.0));
    let report = store.backup_to(&*target).unwrap();
    assert_eq!((report.version, report.files_kept), (3, 1));
    let copy = Store::open_on(target, options()).unwrap();
    assert_eq!(closes(&copy, None).len(), 5);
    assert_eq!(copy.verify(true).unwrap(), []);
}

#[test]
fn a_series_created_and_dropped_in_one_transaction_leaves_nothing() {
    let (_, store) = store();
    let (a, b) = (SeriesKey::new("A", "1m").unwrap(), SeriesKey::new("B", "1m").unwrap());
    let mut transaction = store.begin();
    transaction.create_series(&a, schema::bars()).unwrap();
    transaction.drop_series(&a).unwrap();
    transaction.create_series(&b, schema::bars()).unwrap();
    assert!(transaction.commit().unwrap().changed);
    assert_eq!(store.view().keys(), std::slice::from_ref(&b));
    let mut transaction = store.begin();
    transaction.drop_series(&b).unwrap();
    assert!(transaction.commit().unwrap().changed);
    let mut transaction = store.begin();
    transaction.create_series(&b, schema::bars()).unwrap();
    transaction.drop_series(&b).unwrap();
    assert!(!transaction.commit().unwrap().changed);
}

#[test]
fn an_old_version_keeps_the_order_of_arrival() {
    let (_, store) = store();
    let key = SeriesKey::new("T", "trades").unwrap();
    let schema = schema::SchemaBuilder::sequence()
        .column("id", tapestore::ColumnType::I64)
        .column("size", tapestore::ColumnType::I64)
        .dedup(&["id"])
        .build()
        .unwrap();
    let write = |rows: &[(i64, i64)]| {
        let mut transaction = store.begin();
        transaction.create_series(&key, schema.clone()).unwrap();
        let batch = Batch::new(vec![7; rows.len()])
            .with("id", Values::I64(rows.iter().map(|row| row.0).collect()))
            .with("size", Values::I64(rows.iter().map(|row| row.1).collect()));
        transaction.upsert(&key, batch).unwrap();
        transaction.commit().unwrap();
    };
    write(&[(1, 10), (2, 20), (3, 30)]);
    write(&[(2, 21)]);
    let check = || {
        let view = store.as_of(&AsOf::Version(1)).unwrap();
        assert_eq!(view.read(&key).rows().unwrap().i64("id"), Some(&[1, 2, 3][..]));
    };
    check();
    store.seal().unwrap();
    check();
}

#[test]
fn raw_columns_are_borrowed_and_others_decoded() {
    for (tier, borrowed) in [(tapestore::Tier::Hot, 3000), (tapestore::Tier::Dense, 0)] {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let store = Store::create_on(storage, Options { tier, ..options() }).unwrap();
        write(&store, bars(&(0..3000).collect::<Vec<_>>(), 1000.0));
        store.seal().unwrap();
        let mut seen = Vec::new();
        let view = store.view();
        let report = view
            .read(&key())
            .visit_column("close", |slice| {
                let tapestore::Slice::F64(values) = slice else { panic!("close is f64") };
                seen.extend_from_slice(values);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(seen, view.read(&key()).rows().unwrap().f64("close").unwrap());
        assert_eq!((report.borrowed, report.copied), (borrowed, 3000 - borrowed));
    }
}

#[test]
fn versions_before_a_drop_keep_their_key() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage, Options { young_segments: 100, ..options() }).unwrap();
    let key = SeriesKey::new("T", "table").unwrap();
    let write = |schema: tapestore::Schema, value: i64| {
        let mut transaction = store.begin();
        transaction.create_series(&key, schema).unwrap();
        transaction.merge(&key, Batch::new(vec![7]).with("a", Values::I64(vec![value]))).unwrap();
        transaction.commit().unwrap();
        store.seal().unwrap();
    };
    let unique = schema::SchemaBuilder::unique().column("a", tapestore::ColumnType::I64).build().unwrap();
    write(unique.clone(), 1);
    write(unique, 2);
    let mut transaction = store.begin();
    transaction.drop_series(&key).unwrap();
    transaction.commit().unwrap();
    write(schema::SchemaBuilder::sequence().column("a", tapestore::ColumnType::I64).build().unwrap(), 3);
    store.compact().unwrap();
    for (version, value) in [(1, 1), (2, 2), (4, 3)] {
        let view = store.as_of(&AsOf::Version(version)).unwrap();
        assert_eq!(view.read(&key).rows().unwrap().i64("a"), Some(&[value][..]));
    }
}

#[test]
fn a_rollback_restores_the_source() {
    let (_, store) = store();
    let write = |source: &str| {
        let mut transaction = store.begin();
        transaction.create_series(&key(), schema::bars()).unwrap();
        transaction.delete_range(&key(), 0..10 * MINUTE).unwrap();
        transaction.source(source).upsert(&key(), bars(&[7], 1.0)).unwrap();
        transaction.commit().unwrap();
    };
    write("good");
    write("bad");
    store.rollback(&AsOf::Version(1)).unwrap();
    let rows = store.view().read(&key()).provenance().rows().unwrap();
    assert_eq!(store.source_name(rows.set.source.get(0)).as_deref(), Some("good"));
}

#[test]
fn the_log_of_commits_is_nobody_elses() {
    let (_, store) = store();
    let own = SeriesKey::new("tape", "commits").unwrap();
    let mut transaction = store.begin();
    assert!(transaction.create_series(&own, schema::bars()).is_err());
    assert!(transaction.delete_range(&own, 0..1).is_err());
    assert!(store.view().info(&own).is_err());
}

#[test]
fn a_drop_and_creation_with_another_key_can_be_rolled_back() {
    let (_, store) = store();
    let key = SeriesKey::new("T", "table").unwrap();
    let batch = |values: &[i64]| Batch::new(vec![7; values.len()]).with("a", Values::I64(values.to_vec()));
    let column = tapestore::ColumnType::I64;
    let mut transaction = store.begin();
    transaction
        .create_series(&key, schema::SchemaBuilder::unique().column("a", column).build().unwrap())
        .unwrap();
    transaction.merge(&key, batch(&[1])).unwrap();
    transaction.commit().unwrap();
    let mut transaction = store.begin();
    transaction.drop_series(&key).unwrap();
    transaction
        .create_series(&key, schema::SchemaBuilder::sequence().column("a", column).build().unwrap())
        .unwrap();
    transaction.merge(&key, batch(&[5, 6])).unwrap();
    transaction.commit().unwrap();
    store.rollback(&AsOf::Version(1)).unwrap();
    let check = |when: &str| {
        let values = |version| {
            let view = store.as_of(&AsOf::Version(version)).unwrap();
            view.read(&key).rows().unwrap().i64("a").unwrap().to_vec()
        };
        assert_eq!([values(1), values(2), values(3)], [vec![1], vec![5, 6], vec![1]], "{when}");
    };
    check("in memory");
    store.seal().unwrap();
    check("sealed");
}
