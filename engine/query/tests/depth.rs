//! Books out of snapshots of fixed depth, and updates on top of them, agree with plain maps.

use std::collections::BTreeMap;

use crate::common::{Random, cases};
use tapestore::{Batch, ColumnValues, Error, Options, SeriesKey, Store, Values};
use tapestore_query::book::{Book, Side, action, schema};
use tapestore_query::depth;

const LEVELS: usize = 3;

/// Ticks to quantities of both sides.
type Plain = [BTreeMap<i64, f64>; 2];

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    (directory, store)
}

/// Best prices first.
fn best(book: &Plain, side: usize) -> Vec<(i64, f64)> {
    let levels = book[side].iter().map(|(tick, quantity)| (*tick, *quantity));
    if side == 0 { levels.rev().collect() } else { levels.collect() }
}

fn write_snapshots(store: &Store, key: &SeriesKey, snapshots: &[(i64, Plain)]) {
    let mut batch = Batch::new(snapshots.iter().map(|snapshot| snapshot.0).collect());
    for level in 1..=LEVELS {
        for side in [Side::Bid, Side::Ask] {
            for size in [false, true] {
                let value = |snapshot: &(i64, Plain)| {
                    let found = best(&snapshot.1, side as usize).get(level - 1).copied();
                    found.map(|(tick, quantity)| if size { quantity } else { tick as f64 / 100.0 })
                };
                let values: Vec<Option<f64>> = snapshots.iter().map(value).collect();
                let column = ColumnValues {
                    nulls: Some(values.iter().map(Option::is_none).collect()),
                    values: Values::F64(values.into_iter().map(Option::unwrap_or_default).collect()),
                };
                batch = batch.with(&depth::column(side, level, size), column);
            }
        }
    }
    let mut transaction = store.begin();
    transaction.create_series(key, depth::schema(LEVELS)).unwrap();
    transaction.append(key, batch).unwrap();
    transaction.commit().unwrap();
}

fn write_updates(store: &Store, key: &SeriesKey, updates: &[(i64, u8, usize, i64, f64)]) {
    let batch = Batch::new(updates.iter().map(|update| update.0).collect())
        .with("action", Values::U8(updates.iter().map(|update| update.1).collect()))
        .with("side", Values::U8(updates.iter().map(|update| update.2 as u8).collect()))
        .with("price", Values::F64(updates.iter().map(|update| update.3 as f64 / 100.0).collect()))
        .with("quantity", Values::F64(updates.iter().map(|update| update.4).collect()));
    let mut transaction = store.begin();
    transaction.create_series(key, schema()).unwrap();
    transaction.append(key, batch).unwrap();
    transaction.commit().unwrap();
}

fn levels(book: &Book) -> [Vec<(i64, f64)>; 2] {
    [Side::Bid, Side::Ask].map(|side| {
        let levels = book.levels(side, usize::MAX).into_iter();
        levels.map(|level| ((level.price * 100.0).round() as i64, level.quantity)).collect()
    })
}

#[test]
fn a_book_is_the_nearest_snapshot_and_the_updates_after_it() {
    let (mut random, cases) = (Random(67), cases(40));
    let mut asked = 0;
    for case in 0..cases {
        let (_directory, store) = new_store();
        let (snapshots_key, updates_key) =
            (SeriesKey::new("A.X", "depth").unwrap(), SeriesKey::new("A.X", "book").unwrap());
        let mut time = 0;
        let mut updates = Vec::new();
        for _ in 0..=random.below(300) {
            time += random.below(4) as i64;
            let clear = random.below(100) < 2;
            let code = if clear { action::CLEAR } else { action::SET };
            let quantity = if clear { 0.0 } else { random.below(4) as f64 };
            updates.push((time, code, random.below(2) as usize, random.between(-5, 30), quantity));
        }
        let mut at: Vec<i64> = (0..random.below(6)).map(|_| random.between(0, time + 2)).collect();
        at.sort_unstable();
        let snapshots: Vec<(i64, Plain)> = at
            .into_iter()
            .map(|time| {
                let mut plain = Plain::default();
                for _ in 0..random.below(12) {
                    plain[random.below(2) as usize]
                        .insert(random.between(-5, 30), 1.0 + random.below(9) as f64);
                }
                (time, plain)
            })
            .collect();
        write_updates(&store, &updates_key, &updates);
        if !snapshots.is_empty() {
            write_snapshots(&store, &snapshots_key, &snapshots);
        }
        let view = store.view();
        for _ in 0..15 {
            let moment = random.between(-1, time + 3);
            let nearest = snapshots.iter().rfind(|snapshot| snapshot.0 <= moment);
            let mut plain = Plain::default();
            if let Some((_, book)) = nearest {
                for (side, levels) in plain.iter_mut().enumerate() {
                    *levels = best(book, side).into_iter().take(LEVELS).collect();
                }
            }
            let alone = plain.clone();
            // A clear at the snapshot's own time wins; other updates count from the next time on.
            let from = nearest.map_or(i64::MIN, |snapshot| snapshot.0);
            let clear = updates.iter().rposition(|u| u.1 == action::CLEAR && from <= u.0 && u.0 <= moment);
            let later = |update: &(usize, &(i64, u8, usize, i64, f64))| {
                update.1.0 <= moment
                    && match clear {
                        Some(clear) => update.0 >= clear,
                        None => nearest.is_none() || update.1.0 > from,
                    }
            };
            for (_, (_, code, side, tick, quantity)) in updates.iter().enumerate().filter(later) {
                match *code {
                    action::CLEAR => plain = Plain::default(),
                    _ if *quantity == 0.0 => drop(plain[*side].remove(tick)),
                    _ => drop(plain[*side].insert(*tick, *quantity)),
                }
            }
            if snapshots.is_empty() {
                let none = depth::book_at(&view, &snapshots_key, None, moment);
                assert!(matches!(none, Err(Error::NotFound(_))));
                continue;
            }
            let book = depth::book_at(&view, &snapshots_key, Some(&updates_key), moment).unwrap();
            assert_eq!(levels(&book), [best(&plain, 0), best(&plain, 1)], "case {case} at {moment}");
            let book = depth::book_at(&view, &snapshots_key, None, moment).unwrap();
            assert_eq!(levels(&book), [best(&alone, 0), best(&alone, 1)], "K4, case {case} at {moment}");
            asked += 1;
        }
    }
    println!("torture: books out of snapshots against plain maps | {asked} books | seed 67 | failures 0");
}

#[test]
fn updates_older_than_their_snapshot_do_not_count() {
    let (_directory, store) = new_store();
    let key = SeriesKey::new("A.X", "book").unwrap();
    // A snapshot up to update 7 comes after update 5 was made, and before it was received.
    let numbers = [7, 7, 5, 7, 8];
    let batch = Batch::new(vec![1, 1, 2, 2, 3])
        .with("action", Values::U8(vec![action::CLEAR, 1, 1, 1, 1]))
        .with("side", Values::U8(vec![0; 5]))
        .with("price", Values::F64(vec![0.0, 10.0, 11.0, 9.0, 8.0]))
        .with("quantity", Values::F64(vec![0.0, 1.0, 1.0, 1.0, 1.0]))
        .with("update", Values::I64(numbers.to_vec()));
    let mut transaction = store.begin();
    transaction.create_series(&key, schema()).unwrap();
    transaction.append(&key, batch).unwrap();
    transaction.commit().unwrap();
    let book = tapestore_query::book_at(&store.view(), &key, 3).unwrap();
    let prices: Vec<f64> = book.levels(Side::Bid, 9).iter().map(|level| level.price).collect();
    assert_eq!((prices, book.stale), (vec![10.0, 9.0, 8.0], 1), "K5");
}

/// A snapshot that was asked for takes longer than the stream: the captured book of an exchange was crossed without this.
#[test]
fn updates_that_overtook_their_snapshot_come_on_top_of_it() {
    // Prices of bids; number of the update. Zero quantity removes.
    let rows: [(i64, u8, f64, f64, i64); 8] = [
        (0, 1, 12.0, 0.0, 9),  // newer than the snapshot: 12 is gone
        (1, 1, 11.0, 5.0, 10), // newer, at the time of the snapshot
        (1, action::CLEAR, 0.0, 0.0, 8),
        (1, 1, 12.0, 2.0, 8),
        (1, 1, 11.0, 3.0, 8),
        (1, 1, 10.0, 1.0, 8),
        (2, 1, 10.0, 4.0, 7), // older
        (3, 1, 11.0, 6.0, 11),
    ];
    // Many may have overtaken it: it is not enough to look back a little.
    for newer in [0, 5000] {
        let (_directory, store) = new_store();
        let key = SeriesKey::new("A.X", "book").unwrap();
        let older = [(-2, 1, 13.0, 1.0, 5), (-2, 1, 10.0, 1.0, 6)];
        let newer_rows = std::iter::repeat_n((-1, 1, 9.0, 7.0, 9), newer);
        let rows: Vec<_> = older.into_iter().chain(newer_rows).chain(rows).collect();
        let batch = Batch::new(rows.iter().map(|row| row.0).collect())
            .with("action", Values::U8(rows.iter().map(|row| row.1).collect()))
            .with("side", Values::U8(vec![0; rows.len()]))
            .with("price", Values::F64(rows.iter().map(|row| row.2).collect()))
            .with("quantity", Values::F64(rows.iter().map(|row| row.3).collect()))
            .with("update", Values::I64(rows.iter().map(|row| row.4).collect()));
        let mut transaction = store.begin();
        transaction.create_series(&key, schema()).unwrap();
        transaction.append(&key, batch).unwrap();
        transaction.commit().unwrap();
        for (time, eleven) in [(1, 5.0), (2, 5.0), (3, 6.0)] {
            let book = tapestore_query::book_at(&store.view(), &key, time).unwrap();
            let levels: Vec<_> =
                book.levels(Side::Bid, 9).iter().map(|level| (level.price, level.quantity)).collect();
            let nine = (newer > 0).then_some((9.0, 7.0));
            let wanted: Vec<_> = [(11.0, eleven), (10.0, 1.0)].into_iter().chain(nine).collect();
            assert_eq!(levels, wanted, "{newer} newer ones, at {time}");
        }
    }
}

#[test]
fn other_tables_are_no_snapshots() {
    let (_directory, store) = new_store();
    let key = SeriesKey::new("A.X", "depth").unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&key, schema()).unwrap();
    let batch = Batch::new(vec![1])
        .with("action", Values::U8(vec![0]))
        .with("side", Values::U8(vec![0]))
        .with("price", Values::F64(vec![0.0]))
        .with("quantity", Values::F64(vec![0.0]));
    transaction.append(&key, batch).unwrap();
    transaction.commit().unwrap();
    assert!(matches!(depth::book_at(&store.view(), &key, None, 5), Err(Error::Usage(_))));
    assert_eq!(depth::levels(&depth::schema(25)), 25);
}
