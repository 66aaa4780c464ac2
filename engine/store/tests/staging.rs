//! What a transaction makes of what it is given: absences, appends, merges and counts, to the row.

mod common;

use std::sync::Arc;

use common::{MINUTE, bars, key, options};
use tapestore::io::MemoryStorage;
use tapestore::{Batch, CommitReport, Options, SeriesKey, Store, Transaction, Values, schema};

/// A store with bars of these minutes, sealed or in memory.
fn store_with(minutes: &[i64], sealed: bool) -> Store {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
    common::write(&store, "A", minutes, 10.0);
    if sealed {
        store.seal().unwrap();
    }
    store
}

fn commit(store: &Store, stage: impl FnOnce(&mut Transaction) -> tapestore::Result<()>) -> CommitReport {
    let mut transaction = store.begin();
    stage(&mut transaction).unwrap();
    transaction.commit().unwrap()
}

fn minutes(range: std::ops::Range<i64>) -> std::ops::Range<i64> {
    range.start * MINUTE..range.end * MINUTE
}

fn absences(store: &Store) -> Vec<(i64, i64)> {
    let found = store.view().absences(&key("A")).unwrap();
    found.iter().map(|range| (range.start / MINUTE, range.end / MINUTE)).collect()
}

#[test]
fn an_absence_is_noted_once_and_only_what_is_new_of_it_is_a_commit() {
    for sealed in [false, true] {
        let store = store_with(&[0, 20], sealed);
        let absent =
            |range| commit(&store, |transaction| transaction.confirm_absent(&key("A"), minutes(range)));
        let expected =
            |range| commit(&store, |transaction| transaction.withdraw_absence(&key("A"), minutes(range)));
        assert!(!expected(5..8).changed, "nothing to withdraw");
        assert!(absent(5..8).changed);
        assert_eq!(absences(&store), [(5, 8)]);
        for known in [5..8, 5..6, 7..8, 6..7] {
            assert!(!absent(known.clone()).changed, "{known:?} is known to be absent");
        }
        assert_eq!(store.view().version(), 2);
        for beyond in [4..5, 8..9, 1..5] {
            assert!(!expected(beyond.clone()).changed, "{beyond:?} is expected anyway");
        }
        assert!(absent(7..10).changed, "two minutes of it are new");
        assert_eq!(absences(&store), [(5, 10)]);
        assert!(expected(6..7).changed);
        assert_eq!(absences(&store), [(5, 6), (7, 10)]);
        assert!(!absent(8..9).changed);
        assert!(absent(5..10).changed, "one minute of it is new");
        assert_eq!(absences(&store), [(5, 10)]);
        assert!(expected(9..30).changed);
        assert_eq!(absences(&store), [(5, 9)]);
        // In one transaction the later one counts, whatever was there before.
        let both = commit(&store, |transaction| {
            transaction.withdraw_absence(&key("A"), minutes(5..9))?;
            transaction.confirm_absent(&key("A"), minutes(6..8))
        });
        assert!(both.changed);
        assert_eq!(absences(&store), [(6, 8)]);
        // Absences are sealed, and compacted, like rows; with nothing beneath them, too.
        store.seal().unwrap();
        store.compact().unwrap();
        assert_eq!(absences(&store), [(6, 8)]);
    }
}

#[test]
fn absences_of_a_series_without_rows_are_sealed_too() {
    let store = store_with(&[0], false);
    commit(&store, |transaction| {
        transaction.create_series(&key("B"), schema::bars())?;
        transaction.confirm_absent(&key("B"), minutes(2..5))
    });
    store.seal().unwrap();
    let found = store.view().absences(&key("B")).unwrap();
    assert_eq!(found, [minutes(2..5)]);
}

#[test]
fn the_last_time_that_there_is_takes_part() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
    let name = SeriesKey::new("A", "trades").unwrap();
    let (last, trade) =
        (9_000_000_000_000_000_000, |time| Batch::new(vec![time]).with("price", Values::F64(vec![5.0])));
    let create = |transaction: &mut Transaction| {
        let schema = schema::SchemaBuilder::unique().column("price", tapestore::ColumnType::F64);
        transaction.create_series(&name, schema.build()?)
    };
    commit(&store, |transaction| {
        create(transaction)?;
        transaction.append(&name, trade(last))
    });
    let mut transaction = store.begin();
    transaction.append(&name, trade(last)).unwrap();
    assert!(transaction.commit().is_err(), "it is not after the last row");
    let dropped = commit(&store, |transaction| transaction.drop_series(&name));
    assert_eq!(dropped.deleted, 1);
    commit(&store, create);
    assert_eq!(store.view().count(&name, i64::MIN..i64::MAX).unwrap(), 0);
}

/// Rows are staged by the schema that a transaction saw, and committed by the one that holds.
#[test]
fn a_schema_may_change_between_staging_and_committing() {
    let column =
        |builder: schema::SchemaBuilder, name: &str| builder.column(name, tapestore::ColumnType::F64);
    let name = SeriesKey::new("A", "trades").unwrap();
    let x = Values::F64(vec![1.0]);
    let start = || {
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
        let schema = column(schema::SchemaBuilder::unique(), "x").build().unwrap();
        commit(&store, |transaction| transaction.create_series(&name, schema));
        let mut transaction = store.begin();
        transaction.append(&name, Batch::new(vec![5]).with("x", x.clone())).unwrap();
        (store, transaction)
    };
    // A column that may be null came: it is.
    let (store, transaction) = start();
    commit(&store, |other| other.add_column(&name, "y", tapestore::ColumnType::F64, ""));
    transaction.commit().unwrap();
    let rows = store.view().read(&name).rows().unwrap();
    assert_eq!((rows.f64("x").unwrap(), rows.column("y").unwrap().is_null(0)), (&[1.0][..], true));
    // The series was made anew: with a column that every row has, without one, or with one of another type.
    let other = schema::SchemaBuilder::unique;
    for schema in [
        column(column(other(), "x"), "y"),
        column(other(), "y"),
        other().column("x", tapestore::ColumnType::I64),
    ] {
        let (store, transaction) = start();
        commit(&store, |other| {
            other.drop_series(&name)?;
            other.create_series(&name, schema.build()?)
        });
        let error = transaction.commit().unwrap_err().to_string();
        assert!(error.contains("its schema was changed by another commit meanwhile"), "{error}");
        assert_eq!(store.view().count(&name, i64::MIN..i64::MAX).unwrap(), 0);
    }
    // The same columns in another order.
    let (store, transaction) = start();
    commit(&store, |other| {
        other.drop_series(&name)?;
        let both = column(schema::SchemaBuilder::unique().nullable("y", tapestore::ColumnType::F64), "x");
        other.create_series(&name, both.build()?)
    });
    transaction.commit().unwrap();
    let rows = store.view().read(&name).rows().unwrap();
    assert_eq!((rows.f64("x").unwrap(), rows.column("y").unwrap().is_null(0)), (&[1.0][..], true));
}

#[test]
fn a_series_that_is_dropped_leaves_no_absence_to_its_successor() {
    let store = store_with(&[0], true);
    commit(&store, |transaction| transaction.confirm_absent(&key("A"), minutes(5..8)));
    commit(&store, |transaction| transaction.drop_series(&key("A")));
    common::write(&store, "A", &[3], 10.0);
    assert_eq!(absences(&store), []);
    let view = store.view();
    assert_eq!(view.count(&key("A"), i64::MIN..i64::MAX).unwrap(), 1);
    assert_eq!(view.read(&key("A")).rows().unwrap().f64("close").unwrap(), [13.25]);
}

#[test]
fn rows_are_appended_behind_the_last_one_only() {
    for sealed in [false, true] {
        let store = store_with(&[0, 5], sealed);
        let append = |times: &[i64]| {
            let mut transaction = store.begin();
            transaction.append(&key("A"), bars(times, 10.0))?;
            transaction.commit()
        };
        for behind in [&[4, 6][..], &[5], &[-1]] {
            let error = append(behind).unwrap_err().to_string();
            assert!(error.contains("is not after the series' last row at 300000000000"), "{error}");
        }
        assert_eq!(append(&[6]).unwrap().added, 1);
        // What the same transaction deletes is not there; what it staged is.
        let mut transaction = store.begin();
        transaction.delete_range(&key("A"), minutes(5..7)).unwrap();
        transaction.append(&key("A"), bars(&[2], 11.0)).unwrap();
        let report = transaction.commit().unwrap();
        assert_eq!((report.added, report.deleted), (1, 2));
        let mut transaction = store.begin();
        transaction.append(&key("A"), bars(&[7, 8], 10.0)).unwrap();
        let error = transaction
            .append(&key("A"), bars(&[8], 10.0))
            .and_then(|()| transaction.commit().map(drop))
            .unwrap_err()
            .to_string();
        assert!(error.contains("is not after the series' last row at 480000000000"), "{error}");
    }
}

#[test]
fn rows_that_replace_rows_are_told_from_new_ones_and_from_the_same() {
    for sealed in [false, true] {
        let store = store_with(&[0, 1, 2, 600], sealed);
        let upsert = |times: &[i64], price: f64| {
            commit(&store, |transaction| transaction.upsert(&key("A"), bars(times, price)))
        };
        let counts = |report: CommitReport| (report.added, report.updated, report.unchanged, report.changed);
        assert_eq!(counts(upsert(&[0, 1, 2, 600], 10.0)), (0, 0, 4, false));
        assert_eq!(counts(upsert(&[1, 3, 600, 601], 10.0)), (2, 0, 2, true));
        assert_eq!(counts(upsert(&[1, 2, 700], 11.0)), (1, 2, 0, true));
        // Rows far apart are looked for piece by piece: the last of one piece and the first of the next.
        let (one, other) = ((0..700).collect::<Vec<_>>(), (0..1400).step_by(7).collect::<Vec<_>>());
        let report = upsert(&one, 10.0);
        assert_eq!((report.added + report.updated + report.unchanged, report.updated), (700, 2));
        let report = upsert(&other, 12.0);
        assert_eq!((report.added, report.updated), (99, 101));
    }
}

/// Trades at these minutes, with these prices.
fn trades(rows: &[(i64, f64)]) -> Batch {
    Batch::new(rows.iter().map(|row| row.0 * MINUTE).collect())
        .with("price", Values::F64(rows.iter().map(|row| row.1).collect()))
}

#[test]
fn merging_adds_a_row_as_often_as_it_is_missing() {
    let name = SeriesKey::new("A", "trades").unwrap();
    for sealed in [false, true] {
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
        let schema = schema::SchemaBuilder::sequence().column("price", tapestore::ColumnType::F64);
        let first = commit(&store, |transaction| {
            transaction.create_series(&name, schema.build()?)?;
            transaction.append(&name, trades(&[(1, 5.0), (1, 5.0), (2, 6.0), (9, 7.0)]))
        });
        assert_eq!(first.added, 4);
        if sealed {
            store.seal().unwrap();
        }
        let merge = |rows: &[(i64, f64)]| {
            let report = commit(&store, |transaction| transaction.merge(&name, trades(rows)));
            (report.added, report.unchanged)
        };
        let all = [(1, 5.0), (1, 5.0), (2, 6.0), (9, 7.0)];
        assert_eq!(merge(&all), (0, 4));
        assert_eq!(merge(&all[1..3]), (0, 2));
        assert_eq!(merge(&[(1, 5.0), (1, 5.0), (1, 5.0), (2, 6.5), (8, 7.0), (9, 7.0)]), (3, 3));
        assert_eq!(store.view().count(&name, i64::MIN..i64::MAX).unwrap(), 7);
        // What the transaction itself has staged is there, too; what it has deleted is not.
        let twice = commit(&store, |transaction| {
            transaction.merge(&name, trades(&[(20, 1.0)]))?;
            transaction.merge(&name, trades(&[(20, 1.0), (20, 1.0)]))
        });
        assert_eq!((twice.added, twice.unchanged), (2, 1));
        let again = commit(&store, |transaction| {
            transaction.delete_range(&name, minutes(9..21))?;
            transaction.merge(&name, trades(&[(9, 7.0), (20, 1.0)]))
        });
        assert_eq!((again.deleted, again.added, again.unchanged), (3, 2, 0));
        // Rows of one time are no damage of such a series.
        store.seal().unwrap();
        assert_eq!(store.verify(true).unwrap(), []);
    }
}

#[test]
fn deleted_rows_are_counted_once() {
    for sealed in [false, true] {
        let store = store_with(&[0, 1, 2, 3, 4, 5], sealed);
        let report = commit(&store, |transaction| {
            transaction.delete_range(&key("A"), minutes(1..3))?;
            transaction.delete_range(&key("A"), minutes(2..5))?;
            transaction.delete_range(&key("A"), minutes(2..4))
        });
        assert_eq!((report.deleted, report.changed), (4, true));
        let report = commit(&store, |transaction| transaction.delete_range(&key("A"), minutes(1..5)));
        assert_eq!((report.deleted, report.changed), (0, false), "nothing is there");
    }
}

#[test]
fn columns_of_a_series_made_anew_have_numbers_of_their_own() {
    let store = store_with(&[0, 1], true);
    let version = store.view().version();
    let number =
        |store: &Store, column: &str| store.view().schema(&key("A")).unwrap().column(column).unwrap().id;
    assert_eq!((number(&store, "open"), number(&store, "volume")), (0, 4));
    let added = |name: &str| {
        commit(&store, |transaction| transaction.add_column(&key("A"), name, tapestore::ColumnType::F64, ""));
        number(&store, name)
    };
    assert_eq!((added("x"), added("y")), (5, 6));
    commit(&store, |transaction| transaction.drop_series(&key("A")));
    common::write(&store, "A", &[7], 10.0);
    assert_eq!((number(&store, "open"), number(&store, "volume")), (7, 11));
    assert_eq!(added("x"), 12);
    // Within one transaction, too.
    commit(&store, |transaction| {
        transaction.create_series(&key("B"), schema::bars())?;
        transaction.add_column(&key("B"), "x", tapestore::ColumnType::F64, "")?;
        transaction.add_column(&key("B"), "y", tapestore::ColumnType::F64, "")
    });
    let schema = store.view().schema(&key("B")).unwrap();
    assert_eq!(schema.columns.iter().map(|column| column.id).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    let old = store.as_of(&tapestore::AsOf::Version(version)).unwrap();
    assert_eq!(old.read(&key("A")).rows().unwrap().f64("close").unwrap(), [10.25, 11.25]);
}

#[test]
fn a_commit_tells_its_version_and_one_that_changes_nothing_the_newest() {
    let store = store_with(&[0], false);
    let same = commit(&store, |transaction| transaction.upsert(&key("A"), bars(&[0], 10.0)));
    assert_eq!((same.version, same.changed), (1, false));
    let next = commit(&store, |transaction| transaction.upsert(&key("A"), bars(&[0], 10.5)));
    assert_eq!((next.version, next.changed), (2, true));
}

#[test]
fn a_commit_that_expects_a_series_unchanged_is_refused_if_it_is_not() {
    let store = store_with(&[0], false);
    common::write(&store, "B", &[0], 10.0);
    common::write(&store, "A", &[1], 10.0);
    let newest = store.view().version();
    assert_eq!(newest, 3);
    let attempt = |name: &str, since: u64| {
        let mut transaction = store.begin();
        transaction.expect_unchanged(&key(name), since);
        transaction.confirm_absent(&key("B"), minutes(50..60 + since as i64)).unwrap();
        transaction.commit().map(|report| report.changed)
    };
    assert!(attempt("A", 3).unwrap());
    for since in [0, 1, 2] {
        let error = attempt("A", since).unwrap_err().to_string();
        assert!(error.contains("version 3 changed it"), "{error}");
    }
    assert!(attempt("C", 0).is_ok(), "there is no such series");
    let error = attempt("B", 1).unwrap_err().to_string();
    assert!(error.contains("version 4 changed it"), "{error}");
}

#[test]
fn sources_are_numbered_as_they_come_and_rows_keep_theirs() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
    commit(&store, |transaction| {
        transaction.create_series(&key("A"), schema::bars())?;
        for (minute, source) in (0..).zip(["x", "y", "x", "z"]) {
            transaction.source(source);
            transaction.append(&key("A"), bars(&[minute], 10.0))?;
        }
        Ok(())
    });
    commit(&store, |transaction| {
        for (minute, source) in (4..).zip(["w", "z"]) {
            transaction.source(source);
            transaction.append(&key("A"), bars(&[minute], 10.0))?;
        }
        Ok(())
    });
    let view = store.view();
    let rows = view.read(&key("A")).provenance().rows().unwrap();
    let names: Vec<String> = rows.set.source.iter().map(|id| view.source_name(id).unwrap()).collect();
    assert_eq!(names, ["x", "y", "x", "z", "w", "z"]);
}

#[test]
fn duplicates_within_a_batch_and_a_transaction_are_counted() {
    let store = store_with(&[0], false);
    let report = commit(&store, |transaction| {
        transaction.upsert(&key("A"), bars(&[1, 2, 2, 2, 3], 10.0))?;
        transaction.upsert(&key("A"), bars(&[3, 4, 4], 11.0))
    });
    assert_eq!((report.duplicates, report.added), (4, 4));
    assert_eq!(
        store.view().read(&key("A")).rows().unwrap().f64("close").unwrap(),
        [10.25, 11.25, 12.25, 14.25, 15.25]
    );
}

/// The memtable is sealed when it is over its budget, not before: what was replayed at opening counts.
#[test]
fn the_budget_of_memory_holds_across_openings() {
    let storage: Arc<MemoryStorage> = Arc::new(MemoryStorage::new());
    let options = |bytes| Options { memtable_bytes: bytes, ..options() };
    let store = Store::create_on(storage.clone(), options(1 << 20)).unwrap();
    common::write(&store, "A", &(0..1000).collect::<Vec<_>>(), 10.0);
    let (held, rows) = (store.stats().unwrap().memtable_bytes, store.stats().unwrap().memtable_rows);
    assert!(held > 40_000, "{held} bytes");
    assert_eq!(store.stats().unwrap().segments, 0);
    drop(store);
    let store = Store::open_on(storage, options(held as usize + 1000)).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((stats.memtable_bytes, stats.memtable_rows, stats.segments), (held, rows, 0));
    common::write(&store, "A", &[1000], 10.0);
    assert_eq!(store.stats().unwrap().segments, 0, "within the budget");
    common::write(&store, "A", &(1001..1100).collect::<Vec<_>>(), 10.0);
    let stats = store.stats().unwrap();
    assert_eq!((stats.segments, stats.memtable_bytes), (1, 0));
}

/// Two transactions add a column of the same name: of the same type it is the same, of another one it is refused.
#[test]
fn a_column_that_another_commit_added_meanwhile_is_taken_if_it_is_the_same() {
    use tapestore::ColumnType::{F64, I64};
    for (kind, same) in [(F64, true), (I64, false)] {
        let store = store_with(&[0], false);
        let mut late = store.begin();
        late.add_column(&key("A"), "x", F64, "").unwrap();
        commit(&store, |transaction| transaction.add_column(&key("A"), "x", kind, ""));
        let result = late.commit().map(|report| report.changed);
        assert_eq!(result.is_ok(), same);
        assert!(!same || !result.unwrap(), "nothing is left to change");
        assert_eq!(store.view().schema(&key("A")).unwrap().column("x").unwrap().kind, kind);
    }
}

/// A large segment goes to its file in pieces: memory does not hold it whole, and no call is wasted on a few bytes.
#[test]
fn segments_are_written_in_pieces() {
    use tapestore::io::Storage;
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    let name = SeriesKey::new("A", "noise").unwrap();
    let noise = |row: i64| {
        let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        f64::from_bits((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 2)
    };
    commit(&store, |transaction| {
        let schema = schema::SchemaBuilder::unique().column("x", tapestore::ColumnType::F64);
        transaction.create_series(&name, schema.build()?)?;
        let batch = Batch::new((0..500_000).collect());
        transaction.append(&name, batch.with("x", Values::F64((0..500_000).map(noise).collect())))
    });
    let before = storage.counts();
    store.seal().unwrap();
    let done = storage.counts().since(before);
    assert!(done.write_bytes > 3 << 20, "{} bytes", done.write_bytes);
    // A chunk of 65,536 rows is half a mebibyte.
    assert!((6..40).contains(&done.writes), "{} writes", done.writes);
    let series = 300;
    commit(&store, |transaction| {
        (0..series).try_for_each(|at| {
            let key = key(&format!("S{at}"));
            transaction.create_series(&key, schema::bars())?;
            transaction.append(&key, bars(&[0, 1], 10.0))
        })
    });
    let before = storage.counts();
    store.seal().unwrap();
    let writes = storage.counts().since(before).writes;
    assert!(writes < 20, "{writes} writes for {series} small parts");
}

/// What nobody waits for is held back in memory, but not without end.
#[test]
fn volatile_commits_are_written_when_many_are_held_back() {
    use tapestore::io::Storage;
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    common::write(&store, "A", &[0], 10.0);
    let before = storage.counts();
    let mut committed = 0;
    for part in 0..40 {
        let minutes: Vec<i64> = (0..5000).map(|row| 1 + part * 5000 + row).collect();
        let mut transaction = store.begin();
        transaction.append(&key("A"), bars(&minutes, 10.0)).unwrap();
        transaction.commit_with(tapestore::Durability::Volatile).unwrap();
        committed += minutes.len() * 48;
        let written = storage.counts().since(before);
        assert_eq!(written.syncs, 0);
        assert!(
            committed as u64 - written.write_bytes.min(committed as u64) < 6 << 20,
            "after {committed} bytes"
        );
    }
    assert!(storage.counts().since(before).write_bytes > 4 << 20);
}
