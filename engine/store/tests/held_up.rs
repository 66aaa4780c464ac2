//! Calls of the disk that take their time, or fail, while something else goes on: what is shown, what is durable, and when a
//! handle goes on.

mod common;
#[path = "common/scripted.rs"]
mod scripted;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{bars, key, options, write};
use scripted::{Call, Scripted};
use tapestore::io::Storage;
use tapestore::live::{Bounds, Event, Filter, RecvTimeoutError};
use tapestore::{AsOf, Durability, ErrorClass, Options, Store, schema};

/// Long enough for another thread to come as far as it can.
const MEANWHILE: Duration = Duration::from_millis(60);

fn created(storage: &Scripted) -> Store {
    Store::create_on(Arc::new(storage.clone()), options()).unwrap()
}

/// Adds one row.
fn commit(store: &Store, name: &str, minute: i64, durability: Durability) -> tapestore::Result<()> {
    let mut transaction = store.begin();
    transaction.create_series(&key(name), schema::bars())?;
    transaction.upsert(&key(name), bars(&[minute], 10.0))?;
    transaction.commit_with(durability).map(drop)
}

fn count(store: &Store, name: &str) -> u64 {
    store.view().count(&key(name), i64::MIN..i64::MAX).unwrap()
}

/// A commit that nobody waits for comes while another one is being written: it does not show the other one (P1), which may
/// still fail.
#[test]
fn a_volatile_commit_does_not_show_one_that_is_being_written() {
    let storage = Scripted::default();
    let store = created(&storage);
    write(&store, "A", &[0], 10.0);
    let held = storage.hold(Call::Write, "wal-");
    thread::scope(|scope| {
        let written = scope.spawn(|| commit(&store, "A", 1, Durability::Appended));
        held.wait();
        let volatile = scope.spawn(|| commit(&store, "A", 2, Durability::Volatile));
        thread::sleep(MEANWHILE);
        assert_eq!(count(&store, "A"), 1);
        held.end(Err(ErrorKind::Other));
        assert_eq!(written.join().unwrap().unwrap_err().kind(), ErrorClass::Io);
        assert_eq!(volatile.join().unwrap().unwrap_err().kind(), ErrorClass::Poisoned);
    });
    assert_eq!(count(&store, "A"), 1, "nothing was acknowledged");
}

/// I12, of another process: what is in the log but not synced yet is not shown.
#[test]
fn a_reader_beside_the_writer_sees_no_commit_before_it_is_durable() {
    let storage = Scripted::default();
    let store = created(&storage);
    write(&store, "A", &[0], 10.0);
    let reader = Store::open_read_only_on(Arc::new(storage.clone()), options()).unwrap();
    let held = storage.hold(Call::Sync, "wal-");
    thread::scope(|scope| {
        let committed = scope.spawn(|| commit(&store, "A", 1, Durability::Durable));
        held.wait();
        assert_eq!(reader.refresh().unwrap(), 1);
        let other = Store::open_read_only_on(Arc::new(storage.clone()), options()).unwrap();
        assert_eq!((count(&reader, "A"), count(&other, "A")), (1, 1));
        held.end(Ok(()));
        committed.join().unwrap().unwrap();
    });
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(count(&reader, "A"), 2);
}

/// Sealing goes on in a new log. What came while it made the old one durable belongs to the old one.
#[test]
fn a_commit_that_comes_while_sealing_syncs_the_log_is_not_lost() {
    let storage = Scripted::default();
    let store = created(&storage);
    commit(&store, "A", 0, Durability::Volatile).unwrap();
    let held = storage.hold(Call::Sync, "wal-");
    thread::scope(|scope| {
        let sealed = scope.spawn(|| store.seal());
        held.wait();
        let volatile = scope.spawn(|| commit(&store, "A", 1, Durability::Volatile));
        thread::sleep(MEANWHILE);
        held.end(Ok(()));
        assert!(sealed.join().unwrap().unwrap());
        volatile.join().unwrap().unwrap();
    });
    commit(&store, "A", 2, Durability::Durable).unwrap();
    drop(store);
    let store = Store::open_on(Arc::new(storage), options()).unwrap();
    assert!(store.torn_tail().is_none());
    assert_eq!(count(&store, "A"), 3);
}

/// A segment takes the place of rows in memory just when a commit behind them has failed.
#[test]
fn sealing_does_not_show_a_commit_that_failed() {
    let storage = Scripted::default();
    let store = created(&storage);
    // The first time, numbers of files are reserved by a step of its own.
    write(&store, "A", &[0], 10.0);
    store.seal().unwrap();
    write(&store, "A", &[1], 10.0);
    let first = storage.hold(Call::Rename, "current.new");
    thread::scope(|scope| {
        let sealed = scope.spawn(|| store.seal());
        first.wait();
        storage.fail(Some((Call::Sync, "wal-", ErrorKind::Other)));
        assert_eq!(commit(&store, "A", 2, Durability::Durable).unwrap_err().kind(), ErrorClass::Io);
        first.end(Ok(()));
        assert!(sealed.join().unwrap().unwrap());
    });
    assert_eq!((count(&store, "A"), store.view().version()), (2, 2));
}

/// The first record of a log says where the one before it ends: after a power cut that has to be there (I1).
#[test]
fn a_log_begins_only_when_the_one_before_it_is_durable() {
    let storage = Scripted::default();
    let store = created(&storage);
    storage.slow_down(Duration::from_micros(100));
    let (seals, durabilities) = (12, [Durability::Durable, Durability::Appended, Durability::Appended]);
    let over = AtomicBool::new(false);
    let committed: u64 = thread::scope(|scope| {
        let committers: Vec<_> = (0..)
            .zip(durabilities)
            .map(|(number, durability)| {
                let (store, over, name) = (&store, &over, format!("S{number}"));
                scope.spawn(move || {
                    let mut minute = 0;
                    while !over.load(Ordering::Relaxed) {
                        commit(store, &name, minute, durability).unwrap();
                        minute += 1;
                    }
                    minute as u64
                })
            })
            .collect();
        let mut sealed = 0;
        while sealed < seals {
            sealed += u32::from(store.seal().unwrap());
        }
        over.store(true, Ordering::Relaxed);
        committers.into_iter().map(|committer| committer.join().unwrap()).sum()
    });
    assert_eq!(storage.hasty_logs(), [""; 0]);
    store.close().unwrap();
    let store = Store::open_on(Arc::new(storage), options()).unwrap();
    assert_eq!((0..3).map(|number| count(&store, &format!("S{number}"))).sum::<u64>(), committed);
}

/// After a failure at a file that counts, a full disk or another one, it is unknown what became durable (I8); after one at a
/// segment that nothing refers to yet, only a failing disk is a reason to stop.
#[test]
fn a_handle_goes_on_after_sealing_failed_only_if_nothing_that_counts_was_touched() {
    for (call, names) in [(Call::Rename, "current.new"), (Call::Write, "segment-"), (Call::Sync, "segment-")]
    {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let storage = Scripted::default();
            let store = created(&storage);
            write(&store, "A", &[0, 1], 10.0);
            storage.fail(Some((call, names, kind)));
            let error = store.seal().unwrap_err();
            assert!(error.kind() == ErrorClass::Io && error.to_string().contains(names), "{error}");
            storage.fail(None);
            let next = commit(&store, "A", 2, Durability::Durable);
            let goes_on = kind == ErrorKind::StorageFull && names == "segment-";
            if goes_on {
                next.unwrap();
                assert!(store.seal().unwrap());
            } else {
                let next = next.unwrap_err();
                assert!(next.kind() == ErrorClass::Poisoned, "{names} {kind}: {next}");
                assert!(next.to_string().contains(&error.to_string()), "{next} tells the cause");
                assert_eq!(store.seal().unwrap_err().kind(), ErrorClass::Poisoned);
            }
            let rows = if goes_on { 3 } else { 2 };
            assert_eq!(count(&store, "A"), rows);
            drop(store);
            let store = Store::open_on(Arc::new(storage), options()).unwrap();
            assert_eq!(count(&store, "A"), rows, "{call:?} {names} {kind}");
            assert_eq!(store.verify(true).unwrap(), []);
        }
    }
}

/// A store of two segments to compact, and its storage.
fn two_segments(options: Options) -> (Scripted, Store) {
    let storage = Scripted::default();
    let store = Store::create_on(Arc::new(storage.clone()), options).unwrap();
    store.pause_compaction();
    for minute in 0..2 {
        write(&store, "A", &[minute], 10.0);
        store.seal().unwrap();
    }
    (storage, store)
}

/// As after sealing: a compaction went on after a failed sync of its segment (I8).
#[test]
fn a_handle_goes_on_after_a_compaction_failed_only_if_its_segment_found_no_space() {
    for (call, names) in [
        (Call::Create, "segment-"),
        (Call::Write, "segment-"),
        (Call::Sync, "segment-"),
        (Call::Write, "manifest-"),
        (Call::Rename, "current.new"),
    ] {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let (storage, store) = two_segments(options());
            store.resume_compaction();
            storage.fail(Some((call, names, kind)));
            let error = store.compact().unwrap_err();
            assert!(error.kind() == ErrorClass::Io && error.to_string().contains(names), "{error}");
            storage.fail(None);
            let goes_on = kind == ErrorKind::StorageFull && names == "segment-";
            match commit(&store, "A", 2, Durability::Durable) {
                Ok(()) => assert!(goes_on, "{call:?} {names} {kind}"),
                Err(next) => {
                    assert!(
                        !goes_on && next.kind() == ErrorClass::Poisoned,
                        "{call:?} {names} {kind}: {next}"
                    );
                    assert!(next.to_string().contains(&error.to_string()), "{next} tells the cause");
                    assert_eq!(store.compact().unwrap_err().kind(), ErrorClass::Poisoned);
                }
            }
            if goes_on {
                assert_eq!(store.compact().unwrap().segments_after, 1);
            }
            let rows = if goes_on { 3 } else { 2 };
            assert_eq!(count(&store, "A"), rows);
            drop(store);
            let store = Store::open_on(Arc::new(storage), options()).unwrap();
            assert_eq!(count(&store, "A"), rows, "{call:?} {names} {kind}");
            assert_eq!(store.verify(true).unwrap(), []);
        }
    }
}

/// Nobody waits for a compaction in the background: that it failed is told by what comes next.
#[test]
fn a_compaction_that_fails_in_the_background_stops_the_handle() {
    let (storage, store) = two_segments(Options { background: true, young_segments: 2, ..options() });
    storage.fail(Some((Call::Sync, "segment-", ErrorKind::Other)));
    store.resume_compaction();
    let error = store.wait_idle().unwrap_err();
    assert!(error.kind() == ErrorClass::Poisoned && error.to_string().contains("segment-"), "{error}");
    assert_eq!(commit(&store, "A", 2, Durability::Durable).unwrap_err().kind(), ErrorClass::Poisoned);
    assert_eq!(count(&store, "A"), 2);
}

/// A panic of a thread in the background ends no waiting in nothing: it is told as a failed write is.
#[test]
fn a_panic_in_the_background_stops_the_handle_and_nobody_waits_for_ever() {
    let told = |error: tapestore::Error| {
        let said = error.to_string().contains("a panic: a storage that panics at segment-");
        assert!(said && error.kind() == ErrorClass::Poisoned, "{error}");
    };
    for sealing in [true, false] {
        // Either nothing is due for compaction, or nothing for sealing.
        let (young_segments, memtable_bytes) = if sealing { (99, 1) } else { (2, 1 << 20) };
        let options = Options { background: true, young_segments, memtable_bytes, ..options() };
        let (storage, store) = two_segments(options);
        if sealing {
            // What the rows before woke is over, so that this one is acknowledged before it is sealed.
            store.resume_compaction();
            store.wait_idle().unwrap();
        }
        // A compaction may have come as far as its first pause.
        storage.panic(Call::Sync, "segment-");
        store.resume_compaction();
        if sealing {
            commit(&store, "A", 2, Durability::Durable).unwrap();
        }
        told(store.wait_idle().unwrap_err());
        told(commit(&store, "A", 3, Durability::Durable).unwrap_err());
        let rows = if sealing { 3 } else { 2 };
        assert_eq!(count(&store, "A"), rows);
        told(store.close().unwrap_err());
        let store = Store::open_on(Arc::new(storage), self::options()).unwrap();
        assert_eq!(count(&store, "A"), rows);
    }
}

/// A panic in the midst of work on files goes on to whoever did it; all others are told.
#[test]
fn a_panic_in_the_midst_of_a_step_stops_the_handle() {
    type Work = fn(&Store);
    let works: [(Call, &'static str, Work); 5] = [
        (Call::Write, "segment-", |store| drop(store.seal())),
        (Call::Sync, "segment-", |store| drop(store.compact())),
        (Call::Write, "manifest-", |store| drop(store.create_snapshot("s", None))),
        (Call::Sync, "manifest-", |store| drop(store.prune(&AsOf::Version(2)))),
        (Call::Write, "wal-", |store| drop(commit(store, "A", 9, Durability::Durable))),
    ];
    for (call, names, work) in works {
        let (storage, store) = two_segments(options());
        store.resume_compaction();
        write(&store, "A", &[2], 10.0);
        storage.panic(call, names);
        let panic = thread::scope(|scope| scope.spawn(|| work(&store)).join()).unwrap_err();
        assert!(panic.downcast::<String>().unwrap().contains(names));
        let error = commit(&store, "A", 3, Durability::Durable).unwrap_err();
        assert!(error.kind() == ErrorClass::Poisoned && error.to_string().contains(names), "{error}");
        assert_eq!(count(&store, "A"), 3);
        drop(store);
        let store = Store::open_on(Arc::new(storage), options()).unwrap();
        assert_eq!(count(&store, "A"), 3, "{call:?} {names}");
        assert_eq!(store.verify(true).unwrap(), []);
    }
}

/// Who waits for another one to write its commit as well does not wait for ever if that one panics.
#[test]
fn a_panic_of_the_one_who_writes_for_all_is_told_to_all() {
    let storage = Scripted::default();
    let store = created(&storage);
    write(&store, "A", &[0], 10.0);
    let held = storage.hold(Call::Sync, "wal-");
    thread::scope(|scope| {
        let first = scope.spawn(|| commit(&store, "A", 1, Durability::Durable));
        held.wait();
        storage.panic(Call::Sync, "wal-");
        let second = scope.spawn(|| commit(&store, "A", 2, Durability::Durable));
        thread::sleep(MEANWHILE);
        held.end(Ok(()));
        assert!(first.join().is_err());
        assert_eq!(second.join().unwrap().unwrap_err().kind(), ErrorClass::Poisoned);
    });
    assert_eq!(count(&store, "A"), 1, "nothing was acknowledged");
}

/// A new log says where the one before it ends, and what stands behind that counts for nothing: a commit that waited for one which
/// failed went on in the old log, was acknowledged, and gone when the store was opened again.
#[test]
fn a_commit_that_waits_for_a_new_log_is_refused_if_that_fails() {
    for panics in [true, false] {
        let storage = Scripted::default();
        let store = created(&storage);
        write(&store, "A", &[0, 1], 10.0);
        let held = storage.hold(Call::Sync, "wal-");
        thread::scope(|scope| {
            let sealed = scope.spawn(|| store.seal());
            held.wait();
            let waiting = scope.spawn(|| commit(&store, "A", 2, Durability::Durable));
            thread::sleep(MEANWHILE);
            if panics {
                storage.panic(Call::Sync, "wal-");
            }
            held.end(if panics { Ok(()) } else { Err(ErrorKind::Other) });
            assert_eq!(sealed.join().is_err(), panics);
            assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorClass::Poisoned);
        });
        drop(store);
        assert_eq!(count(&Store::open_on(Arc::new(storage), options()).unwrap(), "A"), 2);
    }
}

/// What a step that ended in a panic left half written was followed by the step of another thread, which already waited: the store
/// did not open any more.
#[test]
fn no_step_follows_one_that_ended_in_a_panic() {
    let storage = Scripted::default();
    let store = created(&storage);
    for minute in 0..2 {
        write(&store, "A", &[minute], 10.0);
        // The first time, numbers of files are reserved by a step of its own.
        if minute == 0 {
            store.seal().unwrap();
        }
    }
    let held = storage.hold(Call::Sync, "manifest-");
    thread::scope(|scope| {
        let sealed = scope.spawn(|| store.seal());
        held.wait();
        let named = scope.spawn(|| store.create_snapshot("s", None));
        thread::sleep(MEANWHILE);
        storage.panic(Call::Sync, "manifest-");
        held.end(Ok(()));
        assert!(sealed.join().is_err());
        assert_eq!(named.join().unwrap().unwrap_err().kind(), ErrorClass::Poisoned);
    });
    drop(store);
    let store = Store::open_on(Arc::new(storage), options()).unwrap();
    assert_eq!((count(&store, "A"), store.snapshots().len()), (2, 0));
    assert_eq!(store.verify(true).unwrap(), []);
}

/// The hint for other processes is no part of a commit: whose commit another one wrote, who then ended in a panic, finds it shown.
#[test]
fn a_panic_at_the_hint_for_followers_hides_no_commit() {
    let storage = Scripted::default();
    let store = created(&storage);
    write(&store, "A", &[0], 10.0);
    let (first, second) = (storage.hold(Call::Sync, "wal-"), storage.hold(Call::Sync, "wal-"));
    thread::scope(|scope| {
        let alone = scope.spawn(|| commit(&store, "A", 1, Durability::Durable));
        first.wait();
        let together = [2, 3].map(|minute| {
            scope.spawn({
                let store = &store;
                move || commit(store, "A", minute, Durability::Durable)
            })
        });
        // Both are to wait for the first.
        thread::sleep(MEANWHILE * 5);
        first.end(Ok(()));
        second.wait();
        storage.panic(Call::Write, "visible");
        second.end(Ok(()));
        alone.join().unwrap().unwrap();
        let ended = together.map(|commit| commit.join().is_ok_and(|committed| committed.is_ok()));
        assert_eq!(ended.iter().filter(|acknowledged| **acknowledged).count(), 1);
    });
    assert_eq!(count(&store, "A"), 4);
}

/// The same when a new log begins: the next commit went to the place in the old log that it should have had in the new one.
#[test]
fn a_panic_at_the_hint_for_followers_harms_no_log() {
    let storage = Scripted::default();
    let store = created(&storage);
    write(&store, "A", &[0, 1], 10.0);
    let held = storage.hold(Call::Write, "visible");
    let acknowledged = thread::scope(|scope| {
        let sealed = scope.spawn(|| store.seal());
        held.wait();
        let waiting = scope.spawn(|| commit(&store, "A", 2, Durability::Durable));
        thread::sleep(MEANWHILE);
        storage.panic(Call::Write, "visible");
        held.end(Ok(()));
        assert!(sealed.join().is_err());
        waiting.join().unwrap().is_ok()
    });
    drop(store);
    let store = Store::open_on(Arc::new(storage), options()).unwrap();
    assert_eq!(count(&store, "A"), 2 + u64::from(acknowledged));
}

/// A volatile commit is worth an attempt when the last handle goes, and no more: what waits for commits learns that it is over.
#[test]
fn a_panic_when_the_last_handle_goes_keeps_no_subscriber_waiting() {
    let storage = Scripted::default();
    let store = created(&storage);
    let subscription = store.subscribe(Filter::all(), Bounds::default()).unwrap();
    commit(&store, "A", 0, Durability::Volatile).unwrap();
    let view = store.view();
    storage.panic(Call::Write, "wal-");
    drop(store);
    assert!(matches!(subscription.recv_timeout(MEANWHILE), Ok(Event::Commit(_))));
    assert_eq!(subscription.recv_timeout(MEANWHILE), Err(RecvTimeoutError::Disconnected));
    drop(view);
}

/// Damage that a compaction finds is named by it, and is no failed write: new rows are still taken.
#[test]
fn a_compaction_that_finds_damage_does_not_stop_the_handle() {
    let (storage, store) = two_segments(options());
    drop(store);
    let files = storage.inner.files();
    let (name, bytes) = files.iter().find(|file| file.0.starts_with("segment-")).unwrap();
    let file = storage.inner.open(name).unwrap();
    // All but what opening a segment looks at first.
    for at in 64..bytes.len() as u64 / 2 {
        file.write_at(at, &[bytes[at as usize] ^ 1]).unwrap();
    }
    let store = Store::open_on(Arc::new(storage), options()).unwrap();
    let error = store.compact().unwrap_err();
    assert!(error.kind() == ErrorClass::Corrupt && error.to_string().contains(name), "{error}");
    commit(&store, "B", 5, Durability::Durable).unwrap();
    assert!(store.seal().unwrap());
}

/// However many rows of a series are in memory, they go to the file chunk by chunk.
#[test]
fn a_segment_of_one_large_series_is_written_in_pieces() {
    let storage = Scripted::default();
    let store = created(&storage);
    let noise = |row: i64| {
        let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        f64::from_bits((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 2)
    };
    let (commits, rows) = (8, 65_536);
    for part in 0..commits {
        let times: Vec<i64> = (part * rows..(part + 1) * rows).collect();
        let values = times.iter().map(|row| noise(*row)).collect();
        let mut transaction = store.begin();
        let schema = schema::SchemaBuilder::unique().column("x", tapestore::ColumnType::F64);
        let name = tapestore::SeriesKey::new("A", "noise").unwrap();
        transaction.create_series(&name, schema.build().unwrap()).unwrap();
        transaction
            .append(&name, tapestore::Batch::new(times).with("x", tapestore::Values::F64(values)))
            .unwrap();
        transaction.commit_with(Durability::Appended).unwrap();
    }
    store.seal().unwrap();
    let writes = storage.writes("segment-");
    let (whole, most) = (writes.iter().sum::<usize>(), writes.iter().max().copied().unwrap());
    assert!(whole > 3 << 20 && most < 1 << 20, "{whole} bytes, at most {most} at once");
}

/// Rows replaced in memory before a version that was pruned away are not written, and those after it are.
#[test]
fn history_that_was_pruned_before_sealing_is_not_sealed() {
    let storage = Scripted::default();
    let store = created(&storage);
    for (version, price) in (1..=5).zip([10.0, 11.0, 12.0, 13.0, 14.0]) {
        write(&store, "A", &[0, 1, 2], price);
        assert_eq!(store.view().version(), version);
    }
    let report = store.prune(&AsOf::Version(4)).unwrap();
    assert_eq!(report.floor, 4);
    let stats = store.stats().unwrap();
    assert_eq!((stats.memtable_rows, stats.history_rows), (0, 3), "three rows of version 4");
    let close = |version| {
        let view = store.as_of(&AsOf::Version(version)).unwrap();
        view.read(&key("A")).rows().unwrap().f64("close").unwrap().to_vec()
    };
    assert_eq!(close(4), [13.25, 14.25, 15.25]);
    assert_eq!(close(5), [14.25, 15.25, 16.25]);
}

/// The documented budget: sealing begins beyond it, not at it.
#[test]
fn memory_may_be_filled_to_the_budget_exactly() {
    let rows: Vec<i64> = (0..1000).collect();
    let store = created(&Scripted::default());
    write(&store, "A", &rows, 10.0);
    let held = store.stats().unwrap().memtable_bytes as usize;
    for (budget, segments) in [(held, 0), (held - 1, 1)] {
        let options = Options { memtable_bytes: budget, ..options() };
        let store = Store::create_on(Arc::new(Scripted::default()), options).unwrap();
        write(&store, "A", &rows, 10.0);
        assert_eq!(store.stats().unwrap().segments, segments, "{held} bytes, {budget} allowed");
    }
}

/// Open, high, low and close came later than the rows: those that are sealed have none of them.
#[test]
fn rows_from_before_a_series_had_bars_are_sealed_without_them() {
    let store = created(&Scripted::default());
    let name = tapestore::SeriesKey::new("A", "1m").unwrap();
    let mut transaction = store.begin();
    let schema = schema::SchemaBuilder::unique().column("x", tapestore::ColumnType::F64);
    transaction.create_series(&name, schema.build().unwrap()).unwrap();
    let times: Vec<i64> = (0..300).map(|minute| minute * common::MINUTE).collect();
    let values: Vec<f64> = (0..300).map(|row| f64::from(row) / 4.0).collect();
    let batch = tapestore::Batch::new(times).with("x", tapestore::Values::F64(values.clone()));
    transaction.append(&name, batch).unwrap();
    transaction.commit().unwrap();
    let mut transaction = store.begin();
    for column in ["open", "high", "low", "close"] {
        transaction.add_column(&name, column, tapestore::ColumnType::F64, "").unwrap();
    }
    transaction.commit().unwrap();
    assert!(store.seal().unwrap());
    assert_eq!(store.verify(true).unwrap(), []);
    let rows = store.view().read(&name).rows().unwrap();
    assert_eq!(rows.f64("x").unwrap(), values);
    let close = rows.column("close").unwrap();
    assert!((0..300).all(|row| close.is_null(row)));
}

/// Opening needs space, for which the reserve is there; whatever else stops it takes nothing away.
#[test]
fn opening_gives_the_reserve_up_for_want_of_space_and_for_nothing_else() {
    let storage = Scripted::default();
    let store = created(&storage);
    write(&store, "A", &[0, 1], 10.0);
    drop(store);
    let reserve = || storage.inner.length("reserve").unwrap_or(0);
    assert_eq!(reserve(), 256 << 10);
    let open = || Store::open_on(Arc::new(storage.clone()), options());
    storage.fail(Some((Call::Create, "wal-", ErrorKind::PermissionDenied)));
    let error = open().unwrap_err();
    assert!(error.kind() == ErrorClass::Io && error.to_string().contains("wal-"), "{error}");
    assert_eq!(reserve(), 256 << 10, "another failure leaves it alone");
    storage.fail(None);
    storage.cramp();
    let store = open().unwrap();
    assert_eq!(count(&store, "A"), 2);
    drop(store);
    // There is none to give up, and still no space: that is said.
    let _ = storage.inner.remove("reserve");
    storage.fail(Some((Call::Create, "wal-", ErrorKind::StorageFull)));
    let error = open().unwrap_err();
    assert!(error.is_full_disk() && error.to_string().contains("make space"), "{error}");
}
