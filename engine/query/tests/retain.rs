//! Retention: nothing goes that is not rolled up, and what is rolled up stays.

use std::ops::Range;

use crate::common::minutes::{COLUMNS, Content, key, new_store, put};
use crate::common::{DAY, HOUR, MINUTE, Random, cases};
use tapestore::schema::bars;
use tapestore::{AsOf, SeriesKey, Store, Timeframe, View};
use tapestore_query::retain::{Applied, Plan, Policy, apply, plan};
use tapestore_query::{Resample, Rule, Sessions, derivations, derive, resample};

const FAR: i64 = 1000 * DAY;

fn content(view: &View, frame: &str, range: Range<i64>) -> Content {
    let Ok(rows) = view.read(&key(frame)).range(range).rows() else { return Content::new() };
    let bits = |row: usize| COLUMNS.map(|name| rows.f64(name).unwrap()[row].to_bits());
    rows.time().iter().enumerate().map(|(row, time)| (*time, bits(row))).collect()
}

/// The bars that the source gives from a time on.
fn made(view: &View, from: &str, into: Timeframe, start: i64) -> Content {
    let rows = resample(view, &key(from), start..i64::MAX, &Resample::to(into)).unwrap().rows;
    let bits = |row: usize| COLUMNS.map(|name| rows.f64(name).unwrap()[row].to_bits());
    rows.time().iter().enumerate().map(|(row, time)| (*time, bits(row))).collect()
}

fn kept_before(view: &View, frame: &str) -> i64 {
    let known = derivations(view).unwrap();
    known
        .iter()
        .find(|made| made.target == key(frame))
        .and_then(|made| made.kept_before_ns)
        .unwrap_or(i64::MIN)
}

fn policy(keep_ns: i64, rollup: &[Timeframe]) -> impl Fn(&SeriesKey) -> Option<Policy> + use<> {
    let policy = Policy { keep_ns: Some(keep_ns), rollup: rollup.to_vec() };
    move |wanted: &SeriesKey| (*wanted == key("1m")).then(|| policy.clone())
}

fn only(plan: Plan) -> tapestore_query::retain::SeriesPlan {
    assert_eq!(plan.series.len(), 1);
    plan.series.into_iter().next().unwrap()
}

fn one(mut applied: Vec<Applied>) -> Applied {
    assert_eq!(applied.len(), 1);
    applied.remove(0)
}

#[test]
fn nothing_is_lost_whatever_happens_between_retention_and_retention() {
    let (mut random, cases) = (Random(31), cases(20));
    let (mut deletions, mut deleted) = (0, 0);
    for case in 0..cases {
        let (_directory, store) = new_store();
        // What the bars have to be that stay as they are.
        let mut frozen = Content::new();
        for step in 0..25 {
            let (from, length) = (random.between(0, 6 * 1440), random.between(1, 900));
            let what = random.below(12);
            let range = from * MINUTE..(from + length) * MINUTE;
            match what {
                0..4 => put(&store, (from..from + length).filter(|minute| minute % 7 != 3), &mut random),
                4 => put(&store, std::iter::once(from), &mut random),
                5 => {
                    let mut transaction = store.begin();
                    transaction.delete_range(&key("1m"), range).unwrap();
                    transaction.commit().unwrap();
                }
                6 => {
                    let back = 1 + random.below(store.view().version());
                    if store.rollback(&AsOf::Version(back)).is_ok() {
                        frozen = content(&store.view(), "1h", i64::MIN..kept_before(&store.view(), "1h"));
                    }
                }
                7 => _ = store.compact().unwrap(),
                8 => _ = store.prune(&AsOf::Version(store.view().version())).unwrap(),
                9 => _ = derive(&store, &key("1m"), Timeframe::H1, None).unwrap(),
                _ => {
                    let keep = random.between(0, 4 * 1440) * MINUTE;
                    let frames = if random.chance(50) {
                        vec![Timeframe::H1, Timeframe::D1]
                    } else {
                        vec![Timeframe::H1]
                    };
                    let policy = policy(keep, &frames);
                    let before = store.view();
                    let planned = plan(&store, &policy, FAR).unwrap();
                    assert_eq!(store.view().version(), before.version(), "a plan changes nothing");
                    let applied = apply(&store, &policy, FAR, false).unwrap();
                    let after = store.view();
                    let Some(planned) = planned.series.into_iter().next() else { continue };
                    let applied = one(applied);
                    assert_eq!((planned.rows, &planned.range), (applied.rows_deleted, &applied.plan.range));
                    assert_eq!(planned.blocked, None);
                    for rollup in &planned.rollups {
                        let bars = after.count(&rollup.target, i64::MIN..i64::MAX).unwrap();
                        assert!(bars <= rollup.bars + rollup.missing, "case {case}, step {step}: {rollup:?}");
                        // Bars of minutes that were deleted since the last time go; the plan counts what is made.
                        let times = after.read(&rollup.target).columns(&[]).rows().unwrap().set.time;
                        let old = before.read(&rollup.target).columns(&[]).rows().map(|rows| rows.set.time);
                        let old = old.unwrap_or_default();
                        let new = times.iter().filter(|time| old.binary_search(time).is_err()).count();
                        assert_eq!(new as u64, rollup.missing, "case {case}, step {step}: {rollup:?}");
                    }
                    // Only what was planned is gone.
                    let mut rest = content(&before, "1m", i64::MIN..i64::MAX);
                    rest.retain(|time, _| !planned.range.contains(time));
                    assert!(content(&after, "1m", i64::MIN..i64::MAX) == rest, "case {case}, step {step}");
                    let floor = kept_before(&before, "1h");
                    frozen.extend(
                        made(&before, "1m", Timeframe::H1, floor).range(..planned.range.end.max(floor)),
                    );
                    frozen.retain(|time, _| *time < kept_before(&after, "1h"));
                    deletions += u32::from(applied.rows_deleted > 0);
                    deleted += applied.rows_deleted;
                }
            }
            if what >= 9 || random.chance(30) {
                derive(&store, &key("1m"), Timeframe::H1, None).unwrap();
                let view = store.view();
                let floor = kept_before(&view, "1h");
                let mut expected = frozen.clone();
                expected.extend(made(&view, "1m", Timeframe::H1, floor));
                assert!(
                    content(&view, "1h", i64::MIN..i64::MAX) == expected,
                    "case {case}, step {step}, after {what}"
                );
            }
        }
    }
    println!(
        "torture: bars of deleted minutes | {deletions} deletions of {deleted} rows | seed 31 | failures 0"
    );
    assert!(deletions > 10, "{deletions} deletions");
}

#[test]
fn a_plan_names_rows_bars_and_snapshots_and_applying_does_just_that() {
    let (_directory, store) = new_store();
    let mut random = Random(32);
    put(&store, 0..3 * 1440, &mut random);
    store.create_snapshot("monday", None).unwrap();
    put(&store, 3 * 1440..3 * 1440 + 90, &mut random);
    let policy = policy(DAY, &[Timeframe::H1, Timeframe::M5]);
    let planned = only(plan(&store, &policy, FAR).unwrap());
    // The newest minute is 3 d 01:29, so what is older than 2 d 01:29 goes, up to a whole bar of five minutes.
    assert_eq!(planned.range, i64::MIN..2 * DAY + HOUR + 25 * MINUTE);
    assert_eq!((planned.rows, planned.span), (2965, Some((0, 2964 * MINUTE))));
    let rollups: Vec<_> = planned
        .rollups
        .iter()
        .map(|r| (r.target.to_string(), r.source.to_string(), r.bars, r.missing))
        .collect();
    let text =
        |target: &str, source: &str, missing| (format!("A.X {target}"), format!("A.X {source}"), 0, missing);
    assert_eq!(rollups, [text("5m", "1m", 882), text("1h", "5m", 73)]);
    assert_eq!((planned.snapshots, planned.late_rows, planned.blocked), (vec!["monday".to_owned()], 0, None));

    let whole = (
        made(&store.view(), "1m", Timeframe::M5, i64::MIN),
        made(&store.view(), "1m", Timeframe::H1, i64::MIN).len(),
    );
    let applied = one(apply(&store, &policy, FAR, false).unwrap());
    assert_eq!((applied.rows_deleted, applied.bars_written), (2965, 882 + 73));
    let view = store.view();
    assert_eq!(content(&view, "5m", i64::MIN..i64::MAX), whole.0);
    assert_eq!(view.count(&key("1h"), i64::MIN..i64::MAX).unwrap(), whole.1 as u64);
    let again = one(apply(&store, &policy, FAR, false).unwrap());
    assert_eq!((again.rows_deleted, again.bars_written, again.version), (0, 0, view.version()));
    let operations = view.operations(i64::MIN..i64::MAX).unwrap();
    assert!(
        operations
            .iter()
            .any(|o| o.kind == "retain" && o.target == "A.X 1m" && o.detail == "2965 rows deleted")
    );
    assert_eq!(
        store.as_of(&AsOf::Snapshot("monday".into())).unwrap().count(&key("1m"), 0..DAY).unwrap(),
        1440
    );
}

#[test]
fn space_is_freed_once_no_version_and_no_snapshot_shows_the_rows() {
    let (_directory, store) = new_store();
    let mut random = Random(33);
    put(&store, 0..100_000, &mut random);
    store.create_snapshot("old", None).unwrap();
    store.seal().unwrap();
    let bytes = |store: &Store| store.stats().unwrap().segment_bytes;
    let full = bytes(&store);
    apply(&store, &policy(DAY, &[Timeframe::H1]), FAR, false).unwrap();
    store.compact().unwrap();
    assert!(bytes(&store) >= full, "older versions still show the rows");
    store.prune(&AsOf::Version(store.view().version())).unwrap();
    assert!(bytes(&store) >= full / 2, "so does the snapshot");
    store.drop_snapshot("old").unwrap();
    store.prune(&AsOf::Version(store.view().version())).unwrap();
    let left = bytes(&store);
    assert!(left * 10 < full, "{left} of {full} bytes are left");
    assert_eq!(store.view().count(&key("1h"), i64::MIN..i64::MAX).unwrap(), 100_000 / 60);
}

#[test]
fn rows_that_come_too_late_are_named_and_stay_unless_told_otherwise() {
    let (_directory, store) = new_store();
    let mut random = Random(34);
    put(&store, 0..2 * 1440, &mut random);
    let policy = policy(6 * HOUR, &[Timeframe::H1]);
    apply(&store, &policy, FAR, false).unwrap();
    let hour = content(&store.view(), "1h", 0..HOUR);
    put(&store, 10..20, &mut random);
    derive(&store, &key("1m"), Timeframe::H1, None).unwrap();
    assert_eq!(content(&store.view(), "1h", 0..HOUR), hour, "a part of an hour is no hour");
    let planned = only(plan(&store, &policy, FAR).unwrap());
    assert_eq!((planned.late_rows, planned.rows), (10, 0));
    assert_eq!(one(apply(&store, &policy, FAR, false).unwrap()).rows_deleted, 0);
    assert_eq!(one(apply(&store, &policy, FAR, true).unwrap()).rows_deleted, 10);
    assert_eq!(content(&store.view(), "1h", 0..HOUR), hour);
}

#[test]
fn what_stands_in_the_way_is_said_and_nothing_is_deleted() {
    let (_directory, store) = new_store();
    let mut random = Random(35);
    put(&store, 0..3 * 1440, &mut random);
    let mut transaction = store.begin();
    transaction.create_series(&key("1h"), bars()).unwrap();
    transaction.commit().unwrap();
    let hourly = policy(DAY, &[Timeframe::H1]);
    let blocked = one(apply(&store, &hourly, FAR, false).unwrap());
    assert!(blocked.plan.blocked.unwrap().contains("A.X 1h exists and is no roll-up"));
    assert_eq!(
        (blocked.rows_deleted, store.view().count(&key("1m"), i64::MIN..i64::MAX).unwrap()),
        (0, 3 * 1440)
    );

    // A series made in sessions can only be brought up to date by those who know the sessions.
    let sessions =
        Sessions::of_ranges((0..3).map(|day| day * DAY + 9 * HOUR..day * DAY + 17 * HOUR)).unwrap();
    let sessions = std::sync::Arc::new(sessions);
    derive(&store, &key("1m"), Timeframe::H4, Some(sessions.clone())).unwrap();
    put(&store, std::iter::once(600), &mut random);
    let alone = policy(DAY, &[]);
    let blocked = only(plan(&store, &alone, FAR).unwrap()).blocked.unwrap();
    assert!(blocked.contains("A.X 4h, made in sessions, is not up to date"), "{blocked}");
    derive(&store, &key("1m"), Timeframe::H4, Some(sessions.clone())).unwrap();
    let bars = content(&store.view(), "4h", i64::MIN..i64::MAX);
    let applied = one(apply(&store, &alone, FAR, false).unwrap());
    assert!(applied.rows_deleted > 1000, "{applied:?}");
    derive(&store, &key("1m"), Timeframe::H4, Some(sessions)).unwrap();
    assert_eq!(content(&store.view(), "4h", i64::MIN..i64::MAX), bars);
    let other = derive(&store, &key("1m"), Timeframe::H4, None).unwrap_err().to_string();
    assert!(other.contains("they cannot become 4h"), "{other}");
}

#[test]
fn bars_by_size_keep_what_they_were_made_of() {
    let (_directory, store) = new_store();
    let mut random = Random(36);
    put(&store, 0..3 * 1440, &mut random);
    derive(&store, &key("1m"), Rule::Ticks(100), None).unwrap();
    let before = store.view().read(&key("ticks-100")).rows().unwrap();
    let applied = one(apply(&store, &policy(DAY, &[Timeframe::M5]), FAR, false).unwrap());
    assert_eq!(
        applied.plan.range.end,
        2800 * MINUTE,
        "whole bars of a hundred, and whole bars of five minutes"
    );
    put(&store, 3 * 1440..4 * 1440, &mut random);
    derive(&store, &key("1m"), Rule::Ticks(100), None).unwrap();
    let after = store.view().read(&key("ticks-100")).rows().unwrap();
    assert_eq!(after.len(), 57);
    assert_eq!(after.time()[..before.len()], *before.time());
    assert_eq!(after.f64("close").unwrap()[..before.len()], *before.f64("close").unwrap());
}

#[test]
fn neither_a_clock_nor_an_end_makes_everything_old() {
    let (_directory, store) = new_store();
    let mut random = Random(37);
    put(&store, 0..3 * 1440, &mut random);
    let policy = policy(DAY, &[]);
    assert_eq!(only(plan(&store, &policy, i64::MAX).unwrap()).rows, 2 * 1440 - 1);
    assert_eq!(only(plan(&store, &policy, 0).unwrap()).rows, 0, "a clock that was set back keeps more");
    // A row from the future does not count.
    put(&store, std::iter::once(10_000_000), &mut random);
    assert_eq!(only(plan(&store, &policy, 3 * DAY).unwrap()).rows, 2 * 1440);
}

/// K1: whatever is written while retention is at work, a deleted row was in the bars before it went.
#[test]
fn rows_written_meanwhile_are_in_the_bars_before_they_go() {
    let (_directory, store) = new_store();
    let mut random = Random(38);
    put(&store, 0..1440, &mut random);
    let policy = policy(6 * HOUR, &[Timeframe::H1]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut random = Random(39);
            for minute in 1440..1840 {
                let old = random.between(0, minute);
                put(&store, [old, minute].into_iter(), &mut random);
            }
        });
        while !writer.is_finished() {
            match apply(&store, &policy, FAR, false) {
                Ok(_) | Err(tapestore::Error::Rejected { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        writer.join().unwrap();
    });
    // On a busy machine every commit of retention may have been crossed by one of the writer's.
    apply(&store, &policy, FAR, false).unwrap();
    let mut deletions = 0;
    for commit in
        store.log(usize::MAX).unwrap().iter().filter(|commit| commit.message.starts_with("retention:"))
    {
        let at = |version| store.as_of(&AsOf::Version(version)).unwrap();
        let (before, after) = (at(commit.version - 1), at(commit.version));
        let (floor, cutoff) = (kept_before(&before, "1h"), kept_before(&after, "1h"));
        let mut whole = made(&before, "1m", Timeframe::H1, floor);
        whole.retain(|time, _| *time < cutoff);
        assert_eq!(content(&after, "1h", floor..cutoff), whole, "version {}", commit.version);
        deletions += 1;
    }
    assert!(deletions > 0);
}
