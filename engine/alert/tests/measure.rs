//! What rules find in stores.

use std::sync::Arc;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Operation, SeriesKey, Store};
use tapestore_alert::measure::{VERIFY, Watched, measure};
use tapestore_alert::rule::Pattern;
use tapestore_alert::{Check, Rule};
use tapestore_quality::{Calendars, Expected};

use super::{START, key, store, write};

/// What is expected of a series of a store until a time, by a calendar: `24x7`, or one that is compiled in.
fn expected(store: &Store, key: &SeriesKey, calendar: &str, until: i64) -> Arc<Expected> {
    let calendars = Calendars { everywhere: Some(calendar.into()), ..Calendars::default() };
    Arc::new(Expected::of(&store.view(), key, &calendars, &(START..until)).unwrap())
}

fn watched(store: &Store, name: &str) -> Watched {
    let expected = Ok(expected(store, &key(name), "24x7", START + 1));
    Watched { key: key(name), kept: false, expected, score: None }
}

#[test]
fn rules_find_late_and_missing_bars_failed_fetches_and_full_disks() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path());
    write(&store, &key("A.X"), (0..60).filter(|minute| !(20..23).contains(minute)));
    write(&store, &key("B.X"), 0..90);
    let now = START + 91 * MINUTE_NS;
    for (minute, ok) in [(1, false), (2, true), (3, false), (4, false), (5, false)] {
        let begun = Operation::begin(START + minute * MINUTE_NS, "fetch", "tape.toml");
        store.note(&if ok { begun.done(now, "") } else { begun.failed(now, "the network is down") }).unwrap();
    }
    let mut rules = Rule::defaults();
    rules[1].series = vec![Pattern::new("*")];
    let mut all = [watched(&store, "A.X"), watched(&store, "B.X"), watched(&store, "C.X")];
    all[1].score = Some((0.9, "12 bars are missing".into()));
    let measured = measure(&store, &store.view(), &rules, &all, true, now).unwrap();
    let value = |check: Check, subject: &str| {
        let found =
            measured.readings.iter().find(|it| rules[it.rule].check == check && it.subject == subject);
        found.and_then(|found| found.value)
    };
    assert_eq!(value(Check::Freshness, "A.X 1m"), Some((30 * MINUTE_NS) as f64));
    assert_eq!(value(Check::Freshness, "B.X 1m"), Some(0.0));
    assert_eq!(value(Check::Freshness, "C.X 1m"), Some(f64::INFINITY));
    assert_eq!(value(Check::Gaps, "A.X 1m"), Some(3.0));
    assert_eq!(value(Check::Gaps, "B.X 1m"), Some(0.0));
    assert_eq!(value(Check::Quality, "B.X 1m"), Some(0.9));
    assert_eq!(value(Check::Quality, "A.X 1m"), None);
    assert_eq!(value(Check::Fetch, "tape.toml"), Some(3.0));
    let (free, used) = (value(Check::DiskFree, "store").unwrap(), value(Check::DiskUsed, "store").unwrap());
    assert!(free > 0.0 && (0.0..1.0).contains(&used), "{free} {used}");
    let evidence =
        |check: Check| &measured.readings.iter().find(|it| rules[it.rule].check == check).unwrap().evidence;
    assert!(evidence(Check::Gaps).contains("from 2026-02-02 00:20 to 2026-02-02 00:23"), "{measured:?}");
    assert_eq!(evidence(Check::Fetch), "its last 3 runs failed, the last with: the network is down");
    // What the configuration keeps current is what is watched, if it keeps anything.
    all[1].kept = true;
    let defaults = Rule::defaults();
    let measured = measure(&store, &store.view(), &defaults, &all, true, now).unwrap();
    assert!(measured.readings.iter().all(|it| !it.subject.starts_with("A.X")));
    assert!(measured.readings.iter().any(|it| defaults[it.rule].check == Check::Freshness));
    // A session that ended before what is missing: then nothing is.
    all[1].kept = false;
    let measured = measure(&store, &store.view(), &defaults, &all, true, now).unwrap();
    let checks: Vec<Check> = measured.readings.iter().map(|it| defaults[it.rule].check).collect();
    assert!(checks.contains(&Check::Gaps) && !checks.contains(&Check::Freshness), "{checks:?}");
    // New York opens at 14:30 UTC, and this is midnight.
    all[0].expected = Ok(expected(&store, &key("A.X"), "XNYS", now));
    let measured = measure(&store, &store.view(), &rules, &all, true, now).unwrap();
    let of_a = measured.readings.iter().filter(|it| it.subject.starts_with("A.X"));
    assert!(of_a.clone().count() == 2 && of_a.clone().all(|it| it.value == Some(0.0)), "{measured:?}");
    // A calendar that cannot be read: nothing is said of the series, neither good nor bad.
    all[0].expected = Err("there is no such calendar".into());
    let measured = measure(&store, &store.view(), &rules, &all, true, now).unwrap();
    let mut of_a = measured.readings.iter().filter(|it| it.subject.starts_with("A.X"));
    assert!(of_a.all(|it| it.value.is_none() && it.evidence.contains("calendar")), "{measured:?}");
}

#[test]
fn a_store_is_verified_once_a_day_and_damage_is_found() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path());
    write(&store, &key("A.X"), 0..5000);
    store.seal().unwrap();
    let mut rule = Rule::of(Check::Checksum);
    rule.deep = true;
    let rules = [rule];
    let look = |now: i64| measure(&store, &store.view(), &rules, &[], true, now).unwrap();
    let quick = measure(&store, &store.view(), &rules, &[], false, START).unwrap();
    assert!(quick.readings[0].value.is_none() && quick.operations.is_empty());
    let sound = look(START);
    assert_eq!((sound.readings[0].value, sound.operations[0].kind.as_str()), (Some(0.0), VERIFY));
    store.note(&sound.operations[0]).unwrap();
    let soon = look(START + HOUR_NS);
    assert_eq!((soon.readings[0].value, soon.operations.len()), (Some(0.0), 0), "not yet again");
    let segment = std::fs::read_dir(directory.path().join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("seg"))
        .max_by_key(|path| path.metadata().unwrap().len())
        .expect("a segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&segment, bytes).unwrap();
    let later = look(START + DAY_NS);
    assert!(later.readings[0].value > Some(0.0), "{later:?}");
    assert!(!later.operations[0].error.is_empty());
    // Until the next one the damage stands.
    store.note(&later.operations[0]).unwrap();
    let soon = look(START + DAY_NS + HOUR_NS);
    assert!(soon.readings[0].value > Some(0.0) && soon.operations.is_empty(), "{soon:?}");
}
