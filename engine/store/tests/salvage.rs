//! Salvage of damaged stores: what is kept is exact, what is missing is named.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tapestore::io::{MemoryStorage, Storage};
use tapestore::{
    AsOf, Batch, Loss, LossKind, Options, SalvageReport, SeriesKey, Store, Values, salvage_storage, schema,
    verify_storage,
};

const MINUTE: i64 = 60_000_000_000;

fn options() -> Options {
    Options { background: false, ..Options::default() }
}

fn key(name: &str) -> SeriesKey {
    SeriesKey::new(name, "1m").unwrap()
}

/// Bars at these minutes, told apart by `salt`.
fn bars(minutes: Range<i64>, salt: i64) -> Batch {
    let column = |offset: i64| {
        Values::F64(minutes.clone().map(|m| ((m * 7919 + salt + offset) % 10_007) as f64 / 8.0).collect())
    };
    Batch::new(minutes.clone().map(|minute| minute * MINUTE).collect())
        .with("open", column(1))
        .with("high", column(2))
        .with("low", column(3))
        .with("close", column(4))
        .with("volume", column(5))
}

fn commit(store: &Store, name: &str, batch: Batch) {
    let mut transaction = store.begin();
    let _ = transaction.source("a source").create_series(&key(name), schema::bars());
    transaction.upsert(&key(name), batch).unwrap();
    transaction.commit().unwrap();
}

/// Three series, the first with two layers and history; a snapshot; commits in logs.
fn made() -> Arc<dyn Storage> {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    commit(&store, "A", bars(0..3000, 0));
    commit(&store, "B", bars(0..5000, 1));
    commit(&store, "B", bars(7000..9000, 1)); // with a gap
    store.create_snapshot("early", None).unwrap();
    store.seal().unwrap();
    commit(&store, "A", bars(1000..2000, 5));
    let mut transaction = store.begin();
    transaction.delete_range(&key("A"), 100 * MINUTE..110 * MINUTE).unwrap();
    transaction.commit().unwrap();
    commit(&store, "C", bars(0..100, 2));
    store.seal().unwrap();
    commit(&store, "C", bars(100..110, 3));
    commit(&store, "C", bars(105..112, 4));
    drop(store);
    storage
}

/// Minute to the bits of the five columns; a null is `None`.
type Content = BTreeMap<i64, Vec<Option<u64>>>;

fn content(storage: &Arc<dyn Storage>, name: &str, at: Option<&AsOf>) -> Content {
    let store = Store::open_read_only_on(storage.clone(), options()).unwrap();
    let view = at.map_or_else(|| store.view(), |at| store.as_of(at).unwrap());
    if view.info(&key(name)).is_err() {
        return Content::new();
    }
    let rows = view.read(&key(name)).rows().unwrap();
    let value = |column: &str, row: usize| {
        let column = rows.column(column).unwrap();
        let Values::F64(values) = &column.values else { unreachable!() };
        (!column.is_null(row)).then(|| values[row].to_bits())
    };
    let columns = ["open", "high", "low", "close", "volume"];
    (0..rows.len())
        .map(|row| (rows.set.time[row] / MINUTE, columns.iter().map(|name| value(name, row)).collect()))
        .collect()
}

fn copy(storage: &Arc<dyn Storage>) -> Arc<dyn Storage> {
    let out: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    out.create_dir("leases").unwrap();
    for (name, length) in storage.list("").unwrap() {
        let bytes = storage.open_read(&name).unwrap().read_all(length).unwrap();
        out.create_new(&name).unwrap().write_at(0, &bytes).unwrap();
    }
    out
}

fn digest(storage: &Arc<dyn Storage>) -> BTreeMap<String, Vec<u8>> {
    let read = |name: &str, length| storage.open_read(name).unwrap().read_all(length).unwrap();
    storage.list("").unwrap().into_iter().map(|(name, length)| (name.clone(), read(&name, length))).collect()
}

fn flip(storage: &Arc<dyn Storage>, name: &str, at: u64) {
    let file = storage.open(name).unwrap();
    let mut byte = [0];
    file.read_exact_at(at, &mut byte).unwrap();
    file.write_at(at, &[byte[0] ^ 0x20]).unwrap();
}

/// Salvages; the old store is as it was, the new one verifies deep and goes on.
fn salvage(storage: &Arc<dyn Storage>) -> (Arc<dyn Storage>, SalvageReport) {
    let before = digest(storage);
    let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let report = salvage_storage(storage, &to).unwrap();
    assert!(digest(storage) == before, "the old store is not changed");
    assert_eq!(verify_storage(&to, true).unwrap(), []);
    let again = copy(&to);
    let store = Store::open_on(again, options()).unwrap();
    assert_eq!(store.view().version(), report.version);
    commit(&store, "Z", bars(0..10, 9));
    (to, report)
}

fn names(storage: &Arc<dyn Storage>, prefix: &str) -> Vec<String> {
    let files = storage.list("").unwrap();
    files.into_iter().map(|file| file.0).filter(|name| name.starts_with(prefix)).collect()
}

/// Live rows of a series that a report names as lost, in number.
fn lost(report: &SalvageReport, name: &str) -> u64 {
    let own = |loss: &&Loss| {
        loss.kind == LossKind::Rows && !loss.history && loss.series.as_deref() == Some(&key(name).to_string())
    };
    report.losses.iter().filter(own).map(|loss| loss.count).sum()
}

#[test]
fn an_undamaged_store_is_saved_whole_with_its_versions() {
    let storage = made();
    let (to, report) = salvage(&storage);
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!((report.version, report.newest_seen, report.series), (8, 8, 3));
    for name in ["A", "B", "C"] {
        for version in 0..=8 {
            let at = AsOf::Version(version);
            assert_eq!(content(&to, name, Some(&at)), content(&storage, name, Some(&at)), "{name} {version}");
        }
    }
    let early = AsOf::Snapshot("early".into());
    assert_eq!(content(&to, "A", Some(&early)), content(&storage, "A", Some(&early)));
    let store = Store::open_read_only_on(to, options()).unwrap();
    assert_eq!(store.log(100).unwrap().len(), 8);
}

/// Every byte of a segment in steps: each row of the new store is one of the old one, with values that are right or null;
/// what is missing is named, in number and in time.
#[test]
fn damage_anywhere_in_a_segment_costs_what_is_named_and_nothing_else() {
    let whole = made();
    let expected: BTreeMap<&str, Content> =
        ["A", "B", "C"].into_iter().map(|name| (name, content(&whole, name, None))).collect();
    let before: BTreeMap<&str, Content> = ["A", "B", "C"]
        .into_iter()
        .map(|name| (name, content(&whole, name, Some(&AsOf::Version(3)))))
        .collect();
    let (mut cases, mut lost_rows, mut nulls) = (0, 0, 0);
    for file in names(&whole, "segment-") {
        let length = whole.length(&file).unwrap();
        for at in (0..length).step_by(length as usize / 60) {
            let damaged = copy(&whole);
            flip(&damaged, &file, at);
            let (to, report) = salvage(&damaged);
            assert_eq!(report.version, 8);
            for (name, expected) in &expected {
                let found = content(&to, name, None);
                let place = format!("{name}, {file} byte {at}: {report:#?}");
                let mut missing: Vec<i64> = expected.keys().copied().collect();
                for (minute, values) in &found {
                    let right = &expected.get(minute).unwrap_or_else(|| panic!("minute {minute} of {place}"));
                    for (value, right) in values.iter().zip(*right) {
                        assert!(value.is_none() || value == right, "minute {minute} of {place}");
                        nulls += u64::from(value.is_none());
                    }
                }
                missing.retain(|minute| !found.contains_key(minute));
                lost_rows += missing.len();
                // Rows that are missing are named with their times; rows beneath a loss may be hidden.
                for minute in &missing {
                    let named = report.losses.iter().any(|loss| {
                        let own = loss.series.as_deref() == Some(&key(name).to_string());
                        let times = loss
                            .times
                            .is_none_or(|(first, last)| (first..=last).contains(&(minute * MINUTE)));
                        own && times && matches!(loss.kind, LossKind::Rows | LossKind::Marks)
                    });
                    assert!(named, "minute {minute} of {place}");
                }
                let layers = report.losses.iter().filter(|loss| loss.kind == LossKind::Marks).count();
                if *name != "A" && layers == 0 {
                    assert_eq!(missing.len() as u64, lost(&report, name), "{place}");
                }
                // Older versions show rows that were there, or less.
                let then = report.losses.iter().all(|loss| loss.kind != LossKind::Versions);
                if then {
                    let found = content(&to, name, Some(&AsOf::Version(3)));
                    for (minute, values) in &found {
                        let right =
                            &before[name].get(minute).unwrap_or_else(|| panic!("version 3 of {place}"));
                        assert!(
                            values.iter().zip(*right).all(|(value, right)| value.is_none() || value == right)
                        );
                    }
                }
            }
            cases += 1;
        }
    }
    assert!(lost_rows > 0 && nulls > 0, "{cases} cases, {lost_rows} rows, {nulls} values");
    println!(
        "torture: salvage of damaged segments | {cases} cases, {lost_rows} rows lost, {nulls} values lost | seed 0 | failures 0"
    );
}

#[test]
fn a_lost_footer_costs_nothing() {
    let storage = made();
    let damaged = copy(&storage);
    for name in names(&storage, "segment-") {
        let length = storage.length(&name).unwrap();
        damaged.open(&name).unwrap().set_length(length - 64).unwrap();
    }
    let (to, report) = salvage(&damaged);
    assert!(report.is_complete() && report.rebuilt.len() == 2, "{report:#?}");
    for name in ["A", "B", "C"] {
        assert_eq!(content(&to, name, None), content(&storage, name, None));
    }
}

#[test]
fn a_lost_current_costs_nothing_as_long_as_the_manifest_is_whole() {
    let storage = made();
    let damaged = copy(&storage);
    damaged.remove("CURRENT").unwrap();
    let (to, report) = salvage(&damaged);
    assert!(report.is_complete(), "{report:#?}");
    for name in ["A", "B", "C"] {
        for version in 3..=8 {
            let at = AsOf::Version(version);
            assert_eq!(content(&to, name, Some(&at)), content(&storage, name, Some(&at)), "{name} {version}");
        }
    }
}

#[test]
fn a_damaged_manifest_costs_versions_and_snapshots_but_no_row() {
    let storage = made();
    let manifest = names(&storage, "manifest-").pop().unwrap();
    let length = storage.length(&manifest).unwrap();
    let (mut versions, mut unnamed) = (0, 0);
    for at in (64..length).step_by(length as usize / 40) {
        let damaged = copy(&storage);
        flip(&damaged, &manifest, at);
        let (to, report) = salvage(&damaged);
        if report.rebuilt.is_empty() {
            continue; // behind what counts
        }
        assert_eq!(report.version, 8, "{report:#?}");
        for name in ["A", "B", "C"] {
            let gone = report.losses.iter().any(|loss| loss.kind == LossKind::Unnamed);
            let found = content(&to, name, None);
            assert!(
                found == content(&storage, name, None) || (gone && found.is_empty()),
                "{name} {report:#?}"
            );
            unnamed += u64::from(found.is_empty());
        }
        versions += u64::from(report.losses.iter().any(|loss| loss.kind == LossKind::Versions));
    }
    assert!(versions > 0 && unnamed > 0);
}

#[test]
fn without_a_manifest_what_the_logs_name_is_saved_and_the_rest_is_reported() {
    let storage = made();
    let damaged = copy(&storage);
    damaged.remove("CURRENT").unwrap();
    damaged.remove(&names(&storage, "manifest-").pop().unwrap()).unwrap();
    let (_, report) = salvage(&damaged);
    let unnamed: Vec<&Loss> = report.losses.iter().filter(|loss| loss.kind == LossKind::Unnamed).collect();
    assert_eq!(unnamed.iter().map(|loss| loss.count).sum::<u64>(), 3000 + 7000 + 1000 + 100 + 10 + 7);
    let place = |loss: &&Loss| loss.file.contains("segment-") || loss.file == "the logs";
    assert!(unnamed.iter().all(place), "{report:#?}");
}

#[test]
fn a_missing_segment_is_named_and_hides_what_it_may_have_replaced() {
    let storage = made();
    let damaged = copy(&storage);
    damaged.remove(&names(&storage, "segment-")[1]).unwrap();
    let (to, report) = salvage(&damaged);
    assert_eq!(lost(&report, "A"), 1000);
    assert_eq!(lost(&report, "C"), 100);
    // A deletion is lost with it: nothing of the layer beneath is shown as the newest, all of it in the version before.
    assert!(report.losses.iter().any(|loss| loss.kind == LossKind::Marks));
    assert_eq!(content(&to, "A", None), Content::new());
    let before = AsOf::Version(3);
    assert_eq!(content(&to, "A", Some(&before)), content(&storage, "A", Some(&before)));
    assert_eq!(content(&to, "B", None), content(&storage, "B", None));
    assert_eq!(content(&to, "C", None).len(), 12);
}

#[test]
fn damage_in_a_log_ends_the_store_before_it_and_names_what_stands_behind() {
    let storage = made();
    let log = names(&storage, "wal-").pop().unwrap();
    let damaged = copy(&storage);
    flip(&damaged, &log, 300); // in the commit of version 7
    let (to, report) = salvage(&damaged);
    assert_eq!((report.version, report.newest_seen), (6, 8));
    let commits: Vec<&Loss> = report.losses.iter().filter(|loss| loss.kind == LossKind::Commits).collect();
    assert_eq!(commits.iter().map(|loss| loss.versions).collect::<Vec<_>>(), [Some((7, 7)), Some((8, 8))]);
    assert!(commits[1].detail.contains("7 rows"), "{report:#?}");
    for name in ["A", "B", "C"] {
        assert_eq!(content(&to, name, None), content(&storage, name, Some(&AsOf::Version(6))));
    }
}

#[test]
fn every_file_deleted_in_turn_leaves_something_exact() {
    let storage = made();
    for (name, _) in storage.list("").unwrap() {
        let damaged = copy(&storage);
        damaged.remove(&name).unwrap();
        let (to, report) = salvage(&damaged);
        let at = AsOf::Version(report.version);
        for series in ["A", "B", "C"] {
            let (found, expected) = (content(&to, series, None), content(&storage, series, Some(&at)));
            assert!(found.iter().all(|(minute, row)| expected.get(minute) == Some(row)), "{name}: {series}");
            assert!(found.len() == expected.len() || !report.is_complete(), "{name}: {series}");
        }
    }
}

#[test]
fn a_target_that_exists_a_living_writer_and_no_store_are_refused() {
    let storage = made();
    let error = salvage_storage(&storage, &copy(&storage)).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
    let writer = Store::open_on(storage.clone(), options()).unwrap();
    let empty = || -> Arc<dyn Storage> { Arc::new(MemoryStorage::new()) };
    assert!(salvage_storage(&storage, &empty()).unwrap_err().to_string().contains("another process"));
    drop(writer);
    assert!(salvage_storage(&empty(), &empty()).is_err());
    // A newer version's file is not damaged.
    let current = storage.open("CURRENT").unwrap();
    let mut bytes = current.read_all(64).unwrap();
    bytes[8] = 2;
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    current.write_at(0, &bytes).unwrap();
    assert_eq!(salvage_storage(&storage, &empty()).unwrap_err().kind(), tapestore::ErrorClass::Newer);
}
