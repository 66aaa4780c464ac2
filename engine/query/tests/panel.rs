//! Panels and averages agree with what a plain program makes of the rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{Random, cases};
use tapestore::schema::SchemaBuilder;
use tapestore::{Batch, ColumnType, Options, SeriesKey, Store, Values};
use tapestore_query::average::{twap, vwap};
use tapestore_query::panel::{intersection, matrix, union};
use tapestore_query::{Times, panel};

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    (directory, store)
}

#[test]
fn panels_agree_with_looking_each_cell_up() {
    let (mut random, cases) = (Random(51), cases(40));
    for case in 0..cases {
        let (_directory, store) = new_store();
        let mut all: Vec<BTreeMap<i64, f64>> = Vec::new();
        let mut keys = Vec::new();
        let mut transaction = store.begin();
        for number in 0..=random.below(6) {
            let key = SeriesKey::new(&format!("S{number}.X"), "factor").unwrap();
            let schema = SchemaBuilder::unique().column("value", ColumnType::F64).build().unwrap();
            transaction.create_series(&key, schema).unwrap();
            let count = random.below(50);
            let mut time = 0;
            let mut row = || {
                time += random.between(1, 6);
                (time, random.below(1000) as f64)
            };
            let rows: BTreeMap<i64, f64> = (0..count).map(|_| row()).collect();
            let batch = Batch::new(rows.keys().copied().collect());
            transaction
                .upsert(&key, batch.with("value", Values::F64(rows.values().copied().collect())))
                .unwrap();
            all.push(rows);
            keys.push(key);
        }
        transaction.commit().unwrap();
        let range = random.between(-5, 60)..random.between(60, 200);
        let inside: Vec<Vec<i64>> =
            all.iter().map(|rows| rows.range(range.clone()).map(|row| *row.0).collect()).collect();
        let slices: Vec<&[i64]> = inside.iter().map(Vec::as_slice).collect();
        let any: BTreeSet<i64> = inside.iter().flatten().copied().collect();
        let every: Vec<i64> =
            any.iter().copied().filter(|time| inside.iter().all(|times| times.contains(time))).collect();
        assert_eq!(union(&slices), any.iter().copied().collect::<Vec<_>>());
        assert_eq!(intersection(&slices), every);
        let given: Vec<i64> = random.times(20, 12);
        for (times, wanted) in [
            (Times::Any, any.iter().copied().collect()),
            (Times::All, every),
            (Times::Given(given.clone()), given),
        ] {
            let fill = random.chance(60).then(|| random.below(15));
            let view = store.view();
            let found = panel(&view, &keys, "value", range.clone(), &times, fill).unwrap();
            assert_eq!(found.time(), wanted, "case {case}");
            let numbers = matrix(&found).unwrap();
            for (row, time) in wanted.iter().enumerate() {
                for (column, rows) in all.iter().enumerate() {
                    let oldest = time - fill.unwrap_or(0) as i64;
                    let lead = range.start - fill.unwrap_or(0) as i64;
                    let (first, last) = (oldest.max(lead), (*time).min(range.end - 1));
                    let mut near = rows.iter().filter(|row| first <= *row.0 && *row.0 <= last);
                    let cell = near.next_back().map(|row| *row.1);
                    assert_eq!(found.set.columns[column].1.is_null(row), cell.is_none(), "case {case}");
                    let number = numbers[row * keys.len() + column];
                    assert!(cell.map_or(number.is_nan(), |cell| cell == number), "case {case}");
                }
            }
        }
    }
    println!("torture: panels cell by cell | {} panels | seed 51 | failures 0", cases * 3);
}

#[test]
fn two_series_of_one_instrument_are_refused() {
    let (_directory, store) = new_store();
    let keys = ["a", "b"].map(|frame| SeriesKey::new("A.X", frame).unwrap());
    let mut transaction = store.begin();
    for key in &keys {
        let schema = SchemaBuilder::unique().column("value", ColumnType::F64).build().unwrap();
        transaction.create_series(key, schema).unwrap();
    }
    transaction.commit().unwrap();
    let refused = panel(&store.view(), &keys, "value", 0..9, &Times::Any, None);
    assert!(refused.unwrap_err().to_string().contains("two series of A.X"));
}

#[test]
fn averages_of_bars_and_trades() {
    let (_directory, store) = new_store();
    let (bars, trades) = (SeriesKey::new("A.X", "1m").unwrap(), SeriesKey::new("A.X", "trades").unwrap());
    let minute = 60_000_000_000;
    let mut transaction = store.begin();
    transaction.create_series(&bars, tapestore::schema::bars_with(&["quote_volume"]).unwrap()).unwrap();
    let column = |values: [f64; 3]| Values::F64(values.to_vec());
    let batch = Batch::new(vec![0, minute, 3 * minute])
        .with("open", column([10.0, 20.0, 30.0]))
        .with("high", column([12.0, 22.0, 32.0]))
        .with("low", column([9.0, 19.0, 29.0]))
        .with("close", column([11.0, 21.0, 31.0]))
        .with("volume", column([2.0, 0.0, 6.0]))
        .with("quote_volume", column([21.0, 0.0, 183.0]));
    transaction.upsert(&bars, batch).unwrap();
    let schema =
        SchemaBuilder::sequence().column("price", ColumnType::F64).column("quantity", ColumnType::F64);
    transaction.create_series(&trades, schema.build().unwrap()).unwrap();
    let batch = Batch::new(vec![0, 10, 10, 40])
        .with("price", Values::F64(vec![1.0, 9.0, 2.0, 5.0]))
        .with("quantity", Values::F64(vec![4.0, 1.0, 1.0, 2.0]));
    transaction.append(&trades, batch).unwrap();
    transaction.commit().unwrap();
    let view = store.view();
    let all = i64::MIN..i64::MAX;

    let average = vwap(&view, &bars, all.clone()).unwrap().unwrap();
    assert_eq!((average.price, average.weight, average.rows), (204.0 / 8.0, 8.0, 2));
    // Half of the first minute; the minute that is missing does not count.
    let average = twap(&view, &bars, minute / 2..4 * minute).unwrap().unwrap();
    assert_eq!(average.price, (10.5 * 0.5 + 20.5 + 30.5) / 2.5);
    assert_eq!((average.weight, average.rows), (2.5 * minute as f64, 3));

    let average = vwap(&view, &trades, all.clone()).unwrap().unwrap();
    assert_eq!((average.price, average.rows), (25.0 / 8.0, 4));
    // From the trade before the range on; of two trades of one time the last stands.
    let average = twap(&view, &trades, 5..50).unwrap().unwrap();
    assert_eq!(average.price, (1.0 * 5.0 + 2.0 * 30.0 + 5.0 * 10.0) / 45.0);
    assert!(twap(&view, &trades, all.clone()).unwrap_err().to_string().contains("end of the range"));
    assert_eq!(vwap(&view, &trades, 100..200).unwrap(), None);
}
