//! Sessions out of a table of an exchange's days.

use crate::common::{DAY, HOUR};
use tapestore::schema::SchemaBuilder;
use tapestore::{Batch, ColumnType, ColumnValues, Options, SeriesKey, Store, Values};
use tapestore_query::calendar;

/// A row: the day, exchange, open, close, status, and since when it is known.
type Line = (i64, &'static str, Option<i64>, Option<i64>, &'static str, Option<i64>);

fn table(lines: &[Line]) -> (tempfile::TempDir, Store, SeriesKey) {
    let directory = tempfile::tempdir().unwrap();
    let store =
        Store::create(directory.path().join("store"), Options { background: false, ..Options::default() })
            .unwrap();
    let key = SeriesKey::new("reference", "calendar").unwrap();
    let stamps = |cell: fn(&Line) -> Option<i64>| {
        let values = Values::I64(lines.iter().map(|line| cell(line).unwrap_or(0)).collect());
        ColumnValues { values, nulls: Some(lines.iter().map(|line| cell(line).is_none()).collect()) }
    };
    let texts = |cell: fn(&Line) -> &'static str| Values::Str(lines.iter().map(cell).collect());
    let schema = SchemaBuilder::sequence()
        .column("exchange", ColumnType::String)
        .column("status", ColumnType::String)
        .nullable("open", ColumnType::Timestamp)
        .nullable("close", ColumnType::Timestamp)
        .nullable("known", ColumnType::Timestamp);
    let batch = Batch::new(lines.iter().map(|line| line.0).collect())
        .with("exchange", texts(|line| line.1))
        .with("status", texts(|line| line.4))
        .with("open", stamps(|line| line.2))
        .with("close", stamps(|line| line.3))
        .with("known", stamps(|line| line.5));
    let mut transaction = store.begin();
    transaction.create_series(&key, schema.build().unwrap()).unwrap();
    transaction.append(&key, batch).unwrap();
    transaction.commit().unwrap();
    (directory, store, key)
}

/// Two sessions of Hong Kong on a day, by its number.
fn planned(day: i64) -> [Line; 2] {
    let session = |from: i64, to: i64| {
        (day * DAY, "XHKG", Some(day * DAY + from * HOUR), Some(day * DAY + to * HOUR), "open", None)
    };
    [session(1, 4), session(5, 8)]
}

#[test]
fn a_storm_takes_the_place_of_both_sessions_once_it_is_known() {
    let mut lines: Vec<Line> = [planned(10), planned(11), planned(12)].concat();
    lines.insert(4, (11 * DAY, "XHKG", None, None, "Closed", Some(11 * DAY - HOUR)));
    lines.insert(5, (11 * DAY, "XNYS", Some(11 * DAY + 14 * HOUR), Some(11 * DAY + 21 * HOUR), "open", None));
    let (_directory, store, key) = table(&lines);
    let view = store.view();
    let all = calendar(&view, &key, "XHKG", None).unwrap();
    assert_eq!(all.days, 10 * DAY..13 * DAY);
    let days: Vec<i64> = all.sessions.all().iter().map(|session| session.day_ns / DAY).collect();
    assert_eq!(days, [10, 10, 12, 12]);
    let before = calendar(&view, &key, "XHKG", Some(11 * DAY - HOUR - 1)).unwrap();
    assert_eq!(before.sessions.all().len(), 6, "nobody knew of the storm yet");
    assert_eq!(calendar(&view, &key, "XNYS", None).unwrap().sessions.all().len(), 1);
}

#[test]
fn half_days_and_late_openings_are_what_the_last_rows_say() {
    let mut lines: Vec<Line> = planned(10).to_vec();
    let late =
        (10 * DAY, "XHKG", Some(10 * DAY + 6 * HOUR), Some(10 * DAY + 8 * HOUR), "late", Some(10 * DAY));
    lines.push(late);
    let (_directory, store, key) = table(&lines);
    let sessions = calendar(&store.view(), &key, "XHKG", None).unwrap().sessions;
    assert_eq!(sessions.ranges(), [10 * DAY + 6 * HOUR..10 * DAY + 8 * HOUR]);
}

#[test]
fn what_the_table_does_not_say_is_no_guess() {
    let (_directory, store, key) = table(&[planned(10), planned(11)].concat());
    let view = store.view();
    let found = calendar(&view, &key, "XHKG", None).unwrap();
    assert!(found.clone().covering(10 * DAY..12 * DAY).is_ok());
    assert!(found.clone().covering(0..0).is_ok(), "no rows ask for nothing");
    for range in [9 * DAY..11 * DAY, 11 * DAY..12 * DAY + 1] {
        let error = found.clone().covering(range).unwrap_err().to_string();
        assert!(error.contains("before 1970-01-11 and from 1970-01-13 on"), "{error}");
    }
    let error = calendar(&view, &key, "XLON", None).unwrap_err().to_string();
    assert!(error.contains("says nothing of \"XLON\""), "{error}");
    let (_directory, store, key) = table(&[(10 * DAY, "XHKG", None, Some(11 * DAY), "open", None)]);
    let error = calendar(&store.view(), &key, "XHKG", None).unwrap_err().to_string();
    assert!(error.contains("XHKG on 1970-01-11: neither open and close"), "{error}");
    let schema = SchemaBuilder::sequence().column("exchange", ColumnType::String).build().unwrap();
    let other = SeriesKey::new("reference", "other").unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&other, schema).unwrap();
    transaction.commit().unwrap();
    let error = calendar(&store.view(), &other, "XHKG", None).unwrap_err().to_string();
    assert!(error.contains("has no column \"open\""), "{error}");
}
