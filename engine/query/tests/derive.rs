//! Derived series are what resampling everything gives, after whatever happened to their source.

use std::sync::Arc;

use crate::common::minutes::{COLUMNS, Content, key, new_store, put};
use crate::common::{DAY, HOUR, MINUTE, Random, cases};
use tapestore::schema::bars;
use tapestore::{AsOf, Store, Timeframe};
use tapestore_query::{Resample, Sessions, derivations, derive, resample};

fn content(rows: &tapestore::Rows) -> Content {
    let bits = |row: usize| COLUMNS.map(|name| rows.f64(name).unwrap()[row].to_bits());
    rows.time().iter().enumerate().map(|(row, time)| (*time, bits(row))).collect()
}

/// D1.
fn check(store: &Store, timeframe: Timeframe, sessions: Option<&Arc<Sessions>>, what: &str) {
    let view = store.view();
    let how = Resample { sessions: sessions.cloned(), ..Resample::to(timeframe) };
    let whole = resample(&view, &key("1m"), i64::MIN..i64::MAX, &how).unwrap().rows;
    let stored = view.read(&key(timeframe.name())).provenance().rows().unwrap();
    assert_eq!(content(&stored), content(&whole), "{timeframe} {what}");
    assert_eq!(stored.set.flags, whole.set.flags, "{timeframe} {what}");
}

#[test]
fn whatever_happens_to_the_source_the_derived_series_follows() {
    let (mut random, cases) = (Random(11), cases(25));
    let hours = [9 * HOUR + 30 * MINUTE..12 * HOUR, 13 * HOUR..16 * HOUR];
    let sessions = Arc::new(Sessions::on_weekdays(0..9 * DAY, 8 * HOUR, &hours, &[]).unwrap());
    let (mut updates, mut bars_made) = (0, 0);
    for case in 0..cases {
        let (_directory, store) = new_store();
        let frames = [Timeframe::M5, Timeframe::H1, Timeframe::H4, Timeframe::D1];
        let timeframe = frames[random.below(4) as usize];
        let own = random.chance(40).then_some(&sessions);
        for step in 0..20 {
            let (from, length) = (random.between(0, 8 * 1440), random.between(1, 700));
            let what = random.below(10);
            match what {
                0..4 => {
                    let thin = 20 + random.below(80);
                    let mut pick = Random(random.next());
                    put(&store, (from..from + length).filter(|_| pick.chance(thin)), &mut random);
                }
                4 => put(&store, std::iter::once(from), &mut random),
                5 => {
                    let mut transaction = store.begin();
                    transaction.delete_range(&key("1m"), from * MINUTE..(from + length) * MINUTE).unwrap();
                    transaction.commit().unwrap();
                }
                6 => {
                    let version = random.between(1, store.view().version() as i64 + 1) as u64;
                    // Before the source was made there is nothing to derive from; pruned versions are gone.
                    let _ = store.rollback(&AsOf::Version(version));
                }
                7 => drop(store.seal().unwrap()),
                8 => drop(store.compact().unwrap()),
                _ if random.chance(30) => {
                    let at = AsOf::Version(store.view().version());
                    store.prune(&at).unwrap();
                }
                _ => {}
            }
            if random.chance(60) {
                let report = derive(&store, &key("1m"), timeframe, own.cloned()).unwrap();
                updates += 1;
                bars_made += report.commit.added + report.commit.updated;
                check(&store, timeframe, own, &format!("case {case}, step {step}, after {what}"));
                let again = derive(&store, &key("1m"), timeframe, own.cloned()).unwrap();
                assert!(!again.commit.changed && again.remade.is_empty(), "nothing happened in between");
            }
        }
        drop(store);
    }
    println!(
        "torture: derived series against resampling everything | {updates} updates, {bars_made} bars written | seed 11 | failures 0"
    );
}

#[test]
fn a_repair_of_one_minute_remakes_its_hour_and_the_end() {
    let (_directory, store) = new_store();
    let mut random = Random(12);
    put(&store, 0..100 * 60, &mut random);
    let first = derive(&store, &key("1m"), Timeframe::H1, None).unwrap();
    assert_eq!((first.commit.added, first.unfinished), (100, None));
    put(&store, std::iter::once(20 * 60 + 7), &mut random);
    let repaired = derive(&store, &key("1m"), Timeframe::H1, None).unwrap();
    assert_eq!(repaired.remade, [20 * HOUR..21 * HOUR, 99 * HOUR..i64::MAX]);
    assert_eq!((repaired.commit.added, repaired.commit.updated, repaired.commit.unchanged), (0, 1, 1));
    put(&store, 100 * 60..100 * 60 + 30, &mut random);
    let half = derive(&store, &key("1m"), Timeframe::H1, None).unwrap();
    assert_eq!((half.commit.added, half.unfinished), (0, Some(100 * HOUR)));
    put(&store, 100 * 60 + 30..101 * 60, &mut random);
    let full = derive(&store, &key("1m"), Timeframe::H1, None).unwrap();
    assert_eq!((full.commit.added, full.unfinished), (1, None));
    check(&store, Timeframe::H1, None, "at the end");

    let known = derivations(&store.view()).unwrap();
    assert_eq!((known.len(), &known[0].target, &known[0].source), (1, &key("1h"), &key("1m")));
    assert_eq!((known[0].rule.as_str(), known[0].source_version), ("1h", full.source_version));
    let names = store.view().read(&key("1h")).provenance().last(1).unwrap();
    assert_eq!(store.source_name(names.set.source.get(0)).unwrap(), "resample of A.X 1m");
}

#[test]
fn other_sessions_make_everything_anew() {
    let (_directory, store) = new_store();
    let mut random = Random(13);
    put(&store, 0..1440, &mut random);
    let morning = |end: i64| Some(Arc::new(Sessions::of_ranges(std::iter::once(HOUR..end * HOUR)).unwrap()));
    derive(&store, &key("1m"), Timeframe::H4, morning(6)).unwrap();
    check(&store, Timeframe::H4, morning(6).as_ref(), "five hours");
    let report = derive(&store, &key("1m"), Timeframe::H4, morning(9)).unwrap();
    assert_eq!(report.remade, [i64::MIN..i64::MAX]);
    check(&store, Timeframe::H4, morning(9).as_ref(), "eight hours");
}

#[test]
fn a_series_of_another_origin_is_left_alone() {
    let (_directory, store) = new_store();
    let mut random = Random(14);
    put(&store, 0..600, &mut random);
    let mut transaction = store.begin();
    transaction.create_series(&key("1h"), bars()).unwrap();
    transaction.commit().unwrap();
    let refused = derive(&store, &key("1m"), Timeframe::H1, None).unwrap_err().to_string();
    assert!(refused.contains("is no derived series"), "{refused}");
    derive(&store, &key("1m"), Timeframe::M5, None).unwrap();
    let other = derive(&store, &key("5m"), Timeframe::M15, None).unwrap();
    assert!(other.commit.changed, "a derived series can be a source");
    let refused = derive(&store, &key("1m"), Timeframe::M15, None).unwrap_err().to_string();
    assert!(refused.contains("is derived from A.X 5m"), "{refused}");
}
