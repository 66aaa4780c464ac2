//! Plans, repairs and taking them back.

use std::ops::Range;

use tapestore::time::MINUTE_NS;
use tapestore::{AsOf, Rows, SeriesKey, Store, flags};
use tapestore_quality::{
    Error, FindingState, Method, Refetch, Repairs, Rule, apply, check, checked, findings, plan_repairs, undo,
};

use crate::market::{Table, found, key, minutes, put, setup, store};

/// Another store in place of a source.
struct Twin(Store);

impl Refetch for Twin {
    fn origin(&self, _: &SeriesKey) -> Option<String> {
        Some("twin".into())
    }

    fn bars(&mut self, key: &SeriesKey, range: &Range<i64>) -> Result<Rows, Error> {
        Ok(self.0.view().read(key).range(range.clone()).rows()?)
    }
}

pub(crate) fn content(store: &Store, key: &SeriesKey) -> (Rows, Vec<Option<String>>) {
    let view = store.view();
    let mut rows = view.read(key).provenance().rows().unwrap();
    let sources = rows.set.source.iter().map(|id| view.source_name(id)).collect();
    // A restored row is one of a new version.
    (rows.set.version, rows.set.source) = Default::default();
    (rows, sources)
}

fn plan(store: &Store, mut repairs: Repairs<'_>) -> tapestore_quality::Plan {
    plan_repairs(store, |_| true, &mut repairs, &setup()).unwrap()
}

#[test]
fn bars_are_fetched_again_and_the_repair_is_taken_back_to_the_bit() {
    let (_one, good) = store();
    let (_two, store) = store();
    let key = key("A.X", "1m");
    let table = minutes(1, 9);
    put(&good, &key, &table);
    let mut bad = table.clone();
    bad.values[..4].iter_mut().for_each(|column| column[700] *= 1.1);
    bad.values[1][300] = f64::NAN;
    put(&store, &key, &bad.without(100..105));
    let before = content(&store, &key);
    let mut twin = Twin(good);
    let plan = plan(&store, Repairs { refetch: Some(&mut twin), ..Repairs::default() });
    let times: Vec<i64> = plan.fixes.iter().map(|fix| fix.time_ns / MINUTE_NS).collect();
    assert_eq!((times, plan.left.len()), (vec![100, 101, 102, 103, 104, 300, 700], 0));
    let applied = apply(&store, &plan, &setup()).unwrap();
    assert_eq!((applied.bars, applied.findings), (7, 3));
    let (rows, sources) = content(&store, &key);
    assert_eq!(rows.f64("close"), Some(&table.values[3][..]));
    assert_eq!((rows.set.flags.get(700), sources[700].as_deref()), (flags::REPAIRED, Some("twin")));
    assert_eq!((rows.set.flags.get(699), sources[699].as_deref()), (0, Some("test")));
    // The old values stay in the version before.
    let old = store.as_of(&AsOf::Version(applied.version - 1)).unwrap();
    assert_eq!(old.count(&key, i64::MIN..i64::MAX).unwrap(), 1435);
    check(&store, |_| true, &setup()).unwrap();
    assert_eq!(checked(&store.view()).unwrap()[0].tally.usable, 1440);
    let states: Vec<_> =
        findings(&store.view(), i64::MIN..i64::MAX).unwrap().iter().map(|one| one.state).collect();
    assert!(states.iter().all(|state| *state != FindingState::Open), "{states:?}");
    let undone = undo(&store, None).unwrap();
    assert_eq!((undone.repair, undone.restored, undone.removed), (applied.version, 2, 5));
    assert!(undone.kept.is_empty());
    let after = content(&store, &key);
    assert_eq!(format!("{before:?}"), format!("{after:?}"), "NaN is the same NaN");
    assert!(undo(&store, None).unwrap_err().to_string().contains("no repair"));
    assert_eq!(found(&store, &key, Rule::Spike), [(700 * MINUTE_NS, 1)], "the finding is open again");
}

#[test]
fn coarse_bars_are_rebuilt_of_finer_ones() {
    let (_directory, store) = store();
    let (fine, coarse) = (key("A.X", "1m"), key("A.X", "5m"));
    let table = minutes(1, 10);
    put(&store, &fine, &table);
    let five = table.coarser(5);
    let mut bad = five.clone();
    bad.values[4][50] += 3.0;
    put(&store, &coarse, &bad.without(20..22));
    let plan = plan(&store, Repairs::default());
    let methods: Vec<_> = plan.fixes.iter().map(|fix| (fix.time_ns / MINUTE_NS, fix.method)).collect();
    let rebuilt = [100, 105, 250].map(|minute| (minute, Method::Rebuilt));
    assert_eq!((methods, plan.left.len()), (rebuilt.to_vec(), 0));
    apply(&store, &plan, &setup()).unwrap();
    let (rows, _) = content(&store, &coarse);
    assert_eq!(rows.f64("high"), Some(&five.values[1][..]));
    assert_eq!(rows.set.flags.get(50), flags::REPAIRED | flags::REBUILT);
    assert_eq!(found(&store, &coarse, Rule::Coarser), []);
}

#[test]
fn another_source_gives_prices_but_never_volume() {
    let (_directory, store) = store();
    let (ours, theirs) = (key("A.X", "1m"), key("A.Y", "1m"));
    let table = minutes(1, 11);
    let mut other = table.clone();
    other.values[..4].iter_mut().for_each(|column| column.iter_mut().for_each(|price| *price *= 1.0001));
    put(&store, &ours, &table.without(600..602));
    put(&store, &theirs, &other);
    let others = [("A.X".to_owned(), vec!["A.Y".to_owned()])].into();
    let plan =
        plan_repairs(&store, |one| *one == ours, &mut Repairs { others, ..Repairs::default() }, &setup())
            .unwrap();
    assert_eq!(plan.fixes.len(), 2);
    let fix = &plan.fixes[0];
    assert_eq!((fix.method, fix.origin.as_str()), (Method::OtherSource, "A.Y 1m"));
    assert!((fix.value("close") - other.values[3][600]).abs() < 1e-9 && fix.value("volume") == 0.0);
    apply(&store, &plan, &setup()).unwrap();
    check(&store, |_| true, &setup()).unwrap();
    assert_eq!(found(&store, &ours, Rule::Flat), []);
    // A source that says something else is not used.
    let mut far = table.clone();
    far.values[..4].iter_mut().for_each(|column| column.iter_mut().for_each(|price| *price *= 1.02));
    put(&store, &theirs, &far);
    let mut transaction = store.begin();
    transaction.delete_range(&ours, 800 * MINUTE_NS..801 * MINUTE_NS).unwrap();
    transaction.commit().unwrap();
    let others = [("A.X".to_owned(), vec!["A.Y".to_owned()])].into();
    let again =
        plan_repairs(&store, |one| *one == ours, &mut Repairs { others, ..Repairs::default() }, &setup());
    let again = again.unwrap();
    assert_eq!((again.fixes.len(), again.left.len()), (0, 1));
}

#[test]
fn bars_are_made_up_only_on_request_and_never_complete() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    put(&store, &one, &minutes(1, 12).without(50..52));
    assert_eq!(plan(&store, Repairs::default()).left.len(), 2);
    let plan = plan(&store, Repairs { forward_fill: true, ..Repairs::default() });
    assert_eq!(plan.fixes.iter().filter(|fix| fix.method == Method::Filled).count(), 2);
    apply(&store, &plan, &setup()).unwrap();
    check(&store, |_| true, &setup()).unwrap();
    let tally = checked(&store.view()).unwrap()[0].tally;
    assert_eq!((tally.synthetic, tally.present, tally.usable, tally.expected), (2, 1438, 1438, 1440));
}

#[test]
fn a_plan_is_refused_when_the_bars_changed_and_undo_leaves_what_came_later() {
    let (_directory, store) = store();
    let one = key("A.X", "1m");
    let table = minutes(1, 13);
    put(&store, &one, &table.without(50..53));
    let fill = || Repairs { forward_fill: true, ..Repairs::default() };
    let stale = plan(&store, fill());
    put(&store, &one, &Table::walk(60 * MINUTE_NS, MINUTE_NS, 1, 1));
    assert!(apply(&store, &stale, &setup()).is_err());
    assert_eq!(store.view().count(&one, i64::MIN..i64::MAX).unwrap(), 1437);
    let fresh = plan(&store, fill());
    let applied = apply(&store, &fresh, &setup()).unwrap();
    // One of the made-up bars comes for real.
    put(&store, &one, &Table::walk(51 * MINUTE_NS, MINUTE_NS, 1, 1));
    let undone = undo(&store, Some(applied.version)).unwrap();
    assert_eq!((undone.removed, undone.kept), (2, vec![(one.clone(), 51 * MINUTE_NS)]));
    assert_eq!(store.view().count(&one, i64::MIN..i64::MAX).unwrap(), 1438);
    assert!(undo(&store, Some(1)).unwrap_err().to_string().contains("is no repair"));
}
