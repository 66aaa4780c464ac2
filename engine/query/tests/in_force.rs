//! Reference tables as they were valid and known agree with a search through plain rows.

use std::collections::BTreeMap;

use crate::common::{Random, cases};
use tapestore::schema::SchemaBuilder;
use tapestore::{Batch, ColumnType, ColumnValues, Error, Options, SeriesKey, Store, Strings, Values};
use tapestore_query::{Moment, in_force, view_known_at};

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    (directory, store)
}

/// Valid from, index, member (or none), weight, until, known.
type Row = (i64, &'static str, Option<&'static str>, f64, Option<i64>, Option<i64>);

fn maybe(values: impl Iterator<Item = Option<i64>>) -> ColumnValues {
    let (values, nulls) = values.map(|value| (value.unwrap_or(0), value.is_none())).unzip();
    ColumnValues { values: Values::I64(values), nulls: Some(nulls) }
}

fn write(store: &Store, key: &SeriesKey, rows: &[Row]) {
    let schema = SchemaBuilder::sequence()
        .column("index", ColumnType::String)
        .nullable("member", ColumnType::String)
        .column("weight", ColumnType::F64)
        .nullable("until", ColumnType::Timestamp)
        .nullable("known", ColumnType::Timestamp)
        .build()
        .unwrap();
    let members: Strings = rows.iter().map(|row| row.2.unwrap_or("")).collect();
    let members = ColumnValues {
        values: Values::Str(members),
        nulls: Some(rows.iter().map(|row| row.2.is_none()).collect()),
    };
    let batch = Batch::new(rows.iter().map(|row| row.0).collect())
        .with("index", Values::Str(rows.iter().map(|row| row.1).collect()))
        .with("member", members)
        .with("weight", Values::F64(rows.iter().map(|row| row.3).collect()))
        .with("until", maybe(rows.iter().map(|row| row.4)))
        .with("known", maybe(rows.iter().map(|row| row.5)));
    let mut transaction = store.begin();
    transaction.create_series(key, schema).unwrap();
    transaction.append(key, batch).unwrap();
    transaction.commit().unwrap();
}

/// The weights in force, by the plainest search: among all rows that count, none beats the one that is taken.
fn plain(rows: &[Row], moment: Moment) -> BTreeMap<(&str, Option<&str>), f64> {
    let counts = |row: &&Row| {
        row.0 <= moment.valid_ns && moment.known_ns.is_none_or(|known| row.5.unwrap_or(row.0) <= known)
    };
    let mut best: BTreeMap<(&str, Option<&str>), &Row> = BTreeMap::new();
    for row in rows.iter().filter(counts) {
        let place = best.entry((row.1, row.2)).or_insert(row);
        let later = |a: &Row, b: &Row| (a.0, a.5.unwrap_or(a.0)) >= (b.0, b.5.unwrap_or(b.0));
        if later(row, place) {
            *place = row;
        }
    }
    let ended = |row: &Row| row.4.is_some_and(|until| until <= moment.valid_ns);
    best.into_iter().filter(|(_, row)| !ended(row)).map(|(key, row)| (key, row.3)).collect()
}

#[test]
fn what_was_valid_and_known_is_what_a_search_finds() {
    let (mut random, cases) = (Random(53), cases(60));
    let mut asked = 0;
    for case in 0..cases {
        let (_directory, store) = new_store();
        let key = SeriesKey::new("reference", "constituents").unwrap();
        let mut rows: Vec<Row> = (0..=random.below(40))
            .map(|number| {
                let index = ["HSI", "SPX"][random.below(2) as usize];
                let member = [None, Some("A"), Some("B"), Some("C")][random.below(4) as usize];
                let time = random.between(0, 12);
                let until = random.chance(30).then(|| random.between(0, 15));
                let known = random.chance(60).then(|| random.between(-3, 15));
                (time, index, member, number as f64, until, known)
            })
            .collect();
        // As the store has them: by time, and within one time as they came.
        rows.sort_by_key(|row| row.0);
        write(&store, &key, &rows);
        let view = store.view();
        for _ in 0..12 {
            let known_ns = random.chance(70).then(|| random.between(-4, 16));
            let moment = Moment { valid_ns: random.between(-2, 16), known_ns };
            let found = in_force(&view, &key, &["index", "member"], moment).unwrap();
            let text = |name: &str, row: usize| {
                let column = found.column(name).unwrap();
                let Values::Str(texts) = &column.values else { panic!() };
                (!column.is_null(row)).then(|| texts.get(row).to_owned())
            };
            let told: Vec<_> = (0..found.len())
                .map(|row| {
                    ((text("index", row).unwrap(), text("member", row)), found.f64("weight").unwrap()[row])
                })
                .collect();
            let wanted: Vec<_> = plain(&rows, moment)
                .into_iter()
                .map(|((index, member), weight)| ((index.to_owned(), member.map(str::to_owned)), weight))
                .collect();
            assert_eq!(told, wanted, "case {case}, {moment:?}");
            asked += 1;
        }
    }
    println!("torture: tables in force against plain rows | {asked} questions | seed 53 | failures 0");
}

#[test]
fn without_a_column_known_the_versions_of_the_store_tell() {
    let (_directory, store) = new_store();
    let key = SeriesKey::new("reference", "notes").unwrap();
    let schema =
        SchemaBuilder::sequence().column("name", ColumnType::String).dedup(&["name"]).build().unwrap();
    let write = |time: i64, name: &str| {
        let mut transaction = store.begin();
        transaction.create_series(&key, schema.clone()).unwrap();
        let names: Strings = [name].into_iter().collect();
        transaction.upsert(&key, Batch::new(vec![time]).with("name", Values::Str(names))).unwrap();
        transaction.commit().unwrap();
        store.log(1).unwrap()[0].time_ns
    };
    let first = write(5, "a");
    std::thread::sleep(std::time::Duration::from_millis(2));
    let second = write(6, "b");
    for (known, count) in [(first, 1), (second, 2), (second + 1, 2)] {
        let view = view_known_at(&store, &key, known).unwrap();
        let found = in_force(&view, &key, &["name"], Moment { valid_ns: 9, known_ns: None }).unwrap();
        assert_eq!(found.len(), count);
    }
    assert!(matches!(view_known_at(&store, &key, first - 1), Err(Error::NotFound(_))));
    let missing = in_force(&store.view(), &key, &["nothing"], Moment { valid_ns: 9, known_ns: None });
    assert!(matches!(missing, Err(Error::NotFound(_))));
}
