//! Bars by ticks, volume and amount that are stored follow their source like those by time.

use std::sync::Arc;

use crate::common::{HOUR, MINUTE, Random, cases};
use tapestore::{AsOf, Batch, ColumnType, Options, Rows, SeriesKey, Store, Values, schema::SchemaBuilder};
use tapestore_query::{Resample, Rule, Sessions, derivations, derive, derived_key, resample};

fn trades() -> SeriesKey {
    SeriesKey::new("A.X", "trades").unwrap()
}

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    let schema =
        SchemaBuilder::sequence().column("price", ColumnType::F64).column("quantity", ColumnType::F64);
    let mut transaction = store.begin();
    transaction.create_series(&trades(), schema.build().unwrap()).unwrap();
    transaction.commit().unwrap();
    (directory, store)
}

/// Trades from a time on, many of them at the same times.
fn put(store: &Store, from: i64, count: usize, random: &mut Random) {
    let mut time = from;
    let mut next = || {
        time += if random.chance(40) { 0 } else { random.between(1, 40) * 1_000_000_000 };
        time
    };
    let times: Vec<i64> = (0..count).map(|_| next()).collect();
    let mut column =
        |bound| Values::F64((0..count).map(|_| 1.0 + random.below(bound) as f64 / 10.0).collect());
    let batch = Batch::new(times).with("price", column(1000)).with("quantity", column(40));
    let mut transaction = store.begin();
    transaction.append(&trades(), batch).unwrap();
    transaction.commit().unwrap();
}

type Bar = (i64, u16, Vec<u64>);

fn bars(rows: &Rows) -> Vec<Bar> {
    let bits = |row: usize| -> Vec<u64> {
        let bits = |values: &Values| match values {
            Values::F64(values) => values[row].to_bits(),
            Values::I64(values) => values[row] as u64,
            _ => panic!("a bar holds numbers"),
        };
        rows.set.columns.iter().map(|(_, values)| bits(&values.values)).collect()
    };
    (0..rows.len()).map(|row| (rows.time()[row], rows.set.flags.get(row), bits(row))).collect()
}

#[test]
fn bars_by_size_follow_whatever_happens_to_the_trades() {
    let (mut random, cases) = (Random(21), cases(30));
    let ranges = (0..40).map(|hour| hour * HOUR + 10 * MINUTE..hour * HOUR + 50 * MINUTE);
    let sessions = Arc::new(Sessions::of_ranges(ranges).unwrap());
    let (mut updates, mut partly) = (0, 0);
    for case in 0..cases {
        let (_directory, store) = new_store();
        let rule = match random.below(3) {
            0 => Rule::Ticks(1 + random.below(30)),
            1 => Rule::Volume(1.0 + random.below(300) as f64 / 10.0),
            _ => Rule::Dollars(50.0 + random.below(5000) as f64),
        };
        let own = random.chance(40).then(|| sessions.clone());
        let target = derived_key(&trades(), rule).unwrap();
        let mut end = 0;
        for step in 0..15 {
            let what = random.below(9);
            match what {
                0..5 => {
                    let from = if random.chance(75) { end } else { random.between(0, end + 1) };
                    let count = 1 + random.below(300) as usize;
                    put(&store, from, count, &mut random);
                    end = store.view().latest(&trades()).unwrap().map_or(0, |row| row.time()[0]);
                }
                5 => {
                    let from = random.between(0, end + 1);
                    let mut transaction = store.begin();
                    transaction.delete_range(&trades(), from..from + random.between(1, 20) * MINUTE).unwrap();
                    transaction.commit().unwrap();
                }
                6 => _ = store.rollback(&AsOf::Version(1 + random.below(store.view().version()))),
                7 => _ = store.compact().unwrap(),
                _ => _ = store.seal().unwrap(),
            }
            if random.chance(70) {
                let report = derive(&store, &trades(), rule, own.clone()).unwrap();
                updates += 1;
                partly += u32::from(report.remade.first().is_some_and(|range| range.start > i64::MIN));
                let how = Resample { rule, sessions: own.clone(), until_ns: None, unfinished: false };
                let view = store.view();
                let whole = resample(&view, &trades(), i64::MIN..i64::MAX, &how).unwrap();
                let stored = view.read(&target).provenance().rows().unwrap();
                assert!(
                    bars(&stored) == bars(&whole.rows),
                    "case {case}, step {step}, {rule:?}, after {what}"
                );
                assert_eq!(
                    report.unfinished.filter(|_| !report.remade.is_empty()),
                    whole.unfinished.filter(|_| !report.remade.is_empty())
                );
                let again = derive(&store, &trades(), rule, own.clone()).unwrap();
                assert!(!again.commit.changed && again.remade.is_empty(), "nothing happened in between");
            }
        }
    }
    println!(
        "torture: stored bars by size against all trades | {updates} updates, {partly} of them from within | seed 21 | failures 0"
    );
    assert!(partly > 20, "{partly} updates began within");
}

#[test]
fn new_trades_touch_the_last_bars_only() {
    let (_directory, store) = new_store();
    let mut random = Random(22);
    put(&store, 0, 1000, &mut random);
    let first = derive(&store, &trades(), Rule::Ticks(10), None).unwrap();
    assert_eq!(first.commit.added, 100);
    put(&store, 100 * HOUR, 95, &mut random);
    let more = derive(&store, &trades(), Rule::Ticks(10), None).unwrap();
    assert_eq!((more.commit.added, more.commit.deleted), (9, 0));
    assert!(more.unfinished.is_some());
    let known = derivations(&store.view()).unwrap();
    assert_eq!((known[0].rule.as_str(), known[0].target.to_string().as_str()), ("10 ticks", "A.X ticks-10"));
}
