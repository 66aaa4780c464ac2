//! What changed since a version: nothing outside of the ranges given, and not much more inside.

mod common;

use std::sync::Arc;

use common::{MINUTE, key, options, write};
use tapestore::io::MemoryStorage;
use tapestore::{AsOf, ColumnType, Store, View, schema};

const NAME: &str = "A.X";

fn store() -> Store {
    Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap()
}

/// The ranges in minutes.
fn changes(view: &View, version: u64, melt: i64) -> Vec<(i64, i64)> {
    let ranges = view.changes_since(&key(NAME), version, melt * MINUTE).unwrap().expect("nothing was pruned");
    ranges.iter().map(|range| (range.start / MINUTE, (range.end - 1) / MINUTE)).collect()
}

#[test]
fn ranges_name_what_was_written_replaced_and_deleted() {
    let store = store();
    write(&store, NAME, &(0..100).collect::<Vec<_>>(), 10.0);
    write(&store, NAME, &[7, 40, 41, 42, 100], 20.0);
    let mut transaction = store.begin();
    transaction.delete_range(&key(NAME), 60 * MINUTE..70 * MINUTE).unwrap();
    transaction.commit().unwrap();
    let look = |what: &str| {
        let view = store.view();
        assert_eq!(changes(&view, 3, 0), [], "{what}");
        let deleted = changes(&view, 2, 0);
        let all: Vec<i64> = deleted.iter().flat_map(|range| range.0..=range.1).collect();
        assert_eq!(all, (60..70).collect::<Vec<_>>(), "{what}");
        assert_eq!(changes(&view, 1, 1), [(7, 7), (40, 42), (60, 69), (100, 100)], "{what}");
        assert_eq!(changes(&view, 1, 20), [(7, 7), (40, 69), (100, 100)], "{what}");
    };
    look("in memory");
    store.seal().unwrap();
    look("sealed");
    store.compact().unwrap();
    look("compacted");
}

#[test]
fn a_pruned_version_tells_nothing_and_a_new_life_everything() {
    let store = store();
    write(&store, NAME, &[1, 2, 3], 10.0);
    write(&store, NAME, &[4], 10.0);
    store.create_snapshot("one", Some(&AsOf::Version(1))).unwrap();
    write(&store, NAME, &[2], 30.0);
    store.prune(&AsOf::Version(3)).unwrap();
    let view = store.view();
    assert_eq!(view.changes_since(&key(NAME), 2, 0).unwrap(), None);
    assert_eq!(changes(&view, 1, 0), [(2, 2), (4, 4)], "a snapshot keeps its version");
    assert!(view.changes_since(&key(NAME), 9, 0).unwrap_err().to_string().contains("version 9"));
    assert!(view.changes_since(&key("B.X"), 3, 0).is_err());

    let mut transaction = store.begin();
    transaction.add_column(&key(NAME), "note", ColumnType::String, "").unwrap();
    transaction.commit().unwrap();
    assert!(store.view().changes_since(&key(NAME), 3, 0).unwrap().unwrap()[0].contains(&0));
    let mut transaction = store.begin();
    transaction.drop_series(&key(NAME)).unwrap();
    transaction.create_series(&key(NAME), schema::bars()).unwrap();
    transaction.commit().unwrap();
    assert!(store.view().changes_since(&key(NAME), 4, 0).unwrap().unwrap()[0].contains(&0));
}

/// Z1 after random changes, for every pair of versions.
#[test]
fn outside_of_the_ranges_both_versions_show_the_same() {
    let mut state = 5_u64;
    let mut below = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % bound) as i64
    };
    let mut pairs = 0;
    for _ in 0..12 {
        let store = store();
        write(&store, NAME, &[0], 1.0);
        for _ in 0..14 {
            match below(8) {
                0..4 => {
                    let from = below(60);
                    let minutes: Vec<i64> = (from..from + 1 + below(12)).filter(|_| below(3) > 0).collect();
                    write(&store, NAME, &minutes, below(3) as f64);
                }
                4 | 5 => {
                    let (from, count) = (below(60), 1 + below(9));
                    let mut transaction = store.begin();
                    transaction.delete_range(&key(NAME), from * MINUTE..(from + count) * MINUTE).unwrap();
                    transaction.commit().unwrap();
                }
                6 => drop(store.rollback(&AsOf::Version(1 + below(store.view().version()) as u64)).unwrap()),
                _ => {
                    store.seal().unwrap();
                    if below(2) == 0 {
                        store.compact().unwrap();
                    }
                }
            }
        }
        let newest = store.view().version();
        for now in 1..=newest {
            let view = store.as_of(&AsOf::Version(now)).unwrap();
            for then in 1..=now {
                let changed = view.changes_since(&key(NAME), then, 0).unwrap().unwrap();
                assert!(changed.windows(2).all(|pair| pair[0].end < pair[1].start), "sorted and disjoint");
                let outside = |view: &View| {
                    let rows = view.read(&key(NAME)).columns(&["close"]).rows().unwrap();
                    let closes = rows.f64("close").unwrap().to_vec();
                    let all = rows.time().iter().copied().zip(closes);
                    all.filter(|row| !changed.iter().any(|range| range.contains(&row.0))).collect::<Vec<_>>()
                };
                let before = store.as_of(&AsOf::Version(then)).unwrap();
                assert_eq!(outside(&before), outside(&view), "from {then} to {now}: {changed:?}");
                pairs += 1;
            }
        }
    }
    assert!(pairs > 500, "{pairs} pairs of versions");
    println!("torture: changes between versions | {pairs} pairs | seed 5 | failures 0");
}
