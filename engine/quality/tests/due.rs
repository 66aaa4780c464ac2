//! Which bar is due, and for how long.

use std::collections::HashMap;
use std::sync::Arc;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Batch, SeriesKey, Store, Strings, Values};
use tapestore_calendar::named;
use tapestore_catalog::Kind;
use tapestore_quality::{Calendars, Due, Expected, Markets};

use crate::market::{Table, key, put, store};

/// 2024-01-02, a Tuesday, 00:00 UTC: Hong Kong trades from 01:30 to 04:00 and from 05:00 to 08:00 UTC.
const TUESDAY: i64 = 19_724 * DAY_NS;

fn at(hour: i64, minute: i64) -> i64 {
    TUESDAY + hour * HOUR_NS + minute * MINUTE_NS
}

fn expected(store: &Store, key: &SeriesKey) -> Expected {
    Expected::of(&store.view(), key, &Calendars::default(), &(TUESDAY..at(8, 0))).unwrap()
}

/// Open time and lateness in minutes.
fn due(expected: &Expected, last: i64, now: i64) -> Option<(i64, i64)> {
    expected.due(last, now).unwrap().map(|Due { open_ns, late_ns }| (open_ns, late_ns / MINUTE_NS))
}

#[test]
fn where_nothing_closes_the_next_bar_is_due_when_it_is_over() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    put(&store, &one, &Table::walk(TUESDAY, MINUTE_NS, 10, 1));
    let now = |minute| due(&expected(&store, &one), at(0, 9), at(0, minute));
    assert_eq!((now(10), now(11), now(21)), (None, Some((at(0, 10), 0)), Some((at(0, 10), 10))));
    // What the source confirmed to be absent is not waited for.
    let mut transaction = store.begin();
    transaction.confirm_absent(&one, at(0, 10)..at(0, 15)).unwrap();
    transaction.commit().unwrap();
    let now = |minute| due(&expected(&store, &one), at(0, 9), at(0, minute));
    assert_eq!((now(15), now(21)), (None, Some((at(0, 15), 5))));
}

#[test]
fn bars_of_sessions_are_due_when_they_are_over_not_when_their_slot_is() {
    let (_directory, store) = store();
    let (minutes, hours, days) = (key("0700.HK", "1m"), key("0700.HK", "1h"), key("0700.HK", "1d"));
    put(&store, &minutes, &Table::walk(at(1, 30), MINUTE_NS, 150, 1));
    put(&store, &hours, &Table::walk(at(1, 30), HOUR_NS, 1, 1));
    put(&store, &days, &Table::walk(TUESDAY, DAY_NS, 1, 1));
    let of = |key: &SeriesKey, last, now| due(&expected(&store, key), last, now);
    assert_eq!(of(&minutes, at(3, 59), at(5, 0)), None, "lunch");
    assert_eq!(of(&minutes, at(3, 59), at(5, 11)), Some((at(5, 0), 10)));
    // 10:30 to 11:30 in Hong Kong; the bar before began at 09:30, in the slot from 09:00.
    assert_eq!(of(&hours, at(1, 30), at(3, 29)), None);
    assert_eq!(of(&hours, at(1, 30), at(3, 40)), Some((at(2, 30), 10)));
    // 11:30 to 12:00: the session ends.
    assert_eq!(of(&hours, at(2, 30), at(3, 59)), None);
    assert_eq!(of(&hours, at(2, 30), at(4, 10)), Some((at(3, 30), 10)));
    assert_eq!(of(&days, TUESDAY, at(47, 59)), None);
    assert_eq!(of(&days, TUESDAY, at(49, 0)), Some((TUESDAY + DAY_NS, 60)));
}

/// A row of a table of reference.
fn refer(store: &Store, kind: Kind, time: i64, texts: &[(&str, &str)], until: Option<i64>) {
    let table = SeriesKey::new(kind.instrument().unwrap(), kind.name()).unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&table, kind.schema()).unwrap();
    let mut batch = Batch::new(vec![time]);
    for (name, text) in texts {
        let column: Strings = std::iter::once((*text).to_owned()).collect();
        batch = batch.with(name, Values::Str(column));
    }
    if let Some(until) = until {
        batch = batch.with("until", Values::I64(vec![until]));
    }
    transaction.upsert(&table, batch).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn what_is_halted_or_no_longer_listed_is_not_late() {
    let (_directory, store) = store();
    let (halted, gone) = (key("0700.HK", "1m"), key("A.X", "1m"));
    put(&store, &halted, &Table::walk(at(1, 30), MINUTE_NS, 10, 1));
    put(&store, &gone, &Table::walk(at(1, 30), MINUTE_NS, 10, 1));
    let of = |key: &SeriesKey, now| due(&expected(&store, key), at(1, 39), now);
    let late = |minutes| Some((at(1, 40), minutes));
    assert_eq!((of(&halted, at(3, 0)), of(&gone, at(3, 0))), (late(79), late(79)));
    refer(&store, Kind::Halts, at(1, 40), &[("symbol", "0700.HK")], Some(at(2, 40)));
    assert_eq!((of(&halted, at(2, 40)), of(&halted, at(3, 0))), (None, Some((at(2, 40), 19))));
    refer(&store, Kind::Instruments, TUESDAY, &[("symbol", "A.X"), ("status", "listed")], Some(at(1, 40)));
    assert_eq!(of(&gone, at(3000, 0)), None);
    // Two years without trade: nothing is late for as long, and then it is.
    refer(&store, Kind::Halts, at(2, 50), &[("symbol", "0700.HK")], Some(TUESDAY + 728 * DAY_NS));
    let late = expected(&store, &halted).due(at(2, 49), TUESDAY + 729 * DAY_NS).unwrap();
    assert_eq!(expected(&store, &halted).due(at(2, 49), TUESDAY + 727 * DAY_NS).unwrap(), None);
    assert!(late.is_some_and(|due| due.open_ns >= TUESDAY + 728 * DAY_NS), "{late:?}");
}

#[test]
fn beyond_its_calendar_nothing_is_said() {
    let (_directory, store) = store();
    let one = key("0700.HK", "1m");
    put(&store, &one, &Table::walk(at(1, 30), MINUTE_NS, 10, 1));
    // 2100: the bar of 2024 is late all the same, since its day is known.
    let far = 47_482 * DAY_NS;
    assert!(expected(&store, &one).lag(at(1, 39), far).is_some_and(|lag| lag > 70 * 365 * DAY_NS));
    let last = 22_000 * DAY_NS;
    assert_eq!(expected(&store, &one).lag(last, far), None);
    let error = expected(&store, &one).due(last, far).unwrap_err().to_string();
    assert!(error.contains("XHKG"), "{error}");
}

#[test]
fn a_declared_calendar_goes_before_that_of_its_name() {
    let (_directory, store) = store();
    let one = key("0700.HK", "1m");
    put(&store, &one, &Table::walk(at(1, 30), MINUTE_NS, 10, 1));
    let calendars = Calendars {
        by_instrument: HashMap::from([("0700.HK".into(), "ours".into())]),
        declared: HashMap::from([("ours".into(), Arc::new(named("XNYS").unwrap()))]),
        ..Calendars::default()
    };
    let mut markets = Markets::read(&store.view()).unwrap();
    let ours = markets.expected(&store.view(), &calendars, &one, &(TUESDAY..at(24, 0))).unwrap();
    assert_eq!(ours.count(&(TUESDAY..at(24, 0))), 390);
    assert_eq!(ours.ranges(), Some(vec![at(14, 30)..at(21, 0)]));
}
