//! The last rows, from memory and across handles.

mod common;

use common::{MINUTE, bars, key, options, write};
use tapestore::{AsOf, Store, View};

fn closes(view: &View) -> Vec<(String, i64, f64, u64)> {
    let rows = view.latest_rows(|key| key.instrument() != "Z.X").unwrap();
    let close = |row: &tapestore::Latest<'_>| row.f64("close").unwrap();
    rows.iter()
        .map(|(key, row)| (key.instrument().to_owned(), row.time_ns(), close(row), row.version()))
        .collect()
}

#[test]
fn the_last_rows_of_all_series_come_in_one_call() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path().join("store"), options()).unwrap();
    write(&store, "B.X", &[3, 4], 1.0);
    write(&store, "A.X", &[7], 2.0);
    write(&store, "Z.X", &[8], 3.0);
    write(&store, "B.X", &[3], 9.0);
    let expected = [("B.X".to_owned(), 4 * MINUTE, 5.25, 1), ("A.X".to_owned(), 7 * MINUTE, 9.25, 2)];
    assert_eq!(closes(&store.view()), expected);
    let view = store.view();
    let row = view.latest_row(&key("A.X")).unwrap().unwrap();
    assert_eq!(
        (row.f64("volume"), row.f64("nope"), row.i64("close"), row.text("close")),
        (Some(109.0), None, None, None)
    );
    assert_eq!(row.rows(), store.view().latest(&key("A.X")).unwrap().unwrap());
    assert!(store.view().latest_row(&key("C.X")).is_err());

    let mut transaction = store.begin();
    transaction.delete_range(&key("A.X"), 0..100 * MINUTE).unwrap();
    transaction.commit().unwrap();
    assert_eq!(closes(&store.view()), expected[..1]);
    assert_eq!(closes(&store.as_of(&AsOf::Version(2)).unwrap()), expected);
    assert!(store.view().latest_row(&key("A.X")).unwrap().is_none());
}

/// A follower that begins again from the manifest hands on what it remembers, and only that which still holds.
#[test]
fn a_follower_has_the_last_rows_whatever_the_writer_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::create(&path, options()).unwrap();
    write(&store, "A.X", &[1], 1.0);
    write(&store, "B.X", &[1], 1.0);
    let follower = Store::open_read_only(&path, options()).unwrap();
    assert_eq!(closes(&follower.view()), closes(&store.view()));
    for round in 0..40 {
        match round % 8 {
            0 => _ = store.seal().unwrap(),
            1 => _ = store.compact().unwrap(),
            2 => _ = store.rollback(&AsOf::Version(store.view().version() - 1)).unwrap(),
            3 => {
                write(&store, "B.X", &[0], 4.0);
                let mut transaction = store.begin();
                transaction.drop_series(&key("B.X")).unwrap();
                transaction.commit().unwrap();
                write(&store, "B.X", &[round], 5.0);
                store.seal().unwrap();
            }
            4 => {
                let mut transaction = store.begin();
                transaction.upsert(&key("A.X"), bars(&[round], 7.0)).unwrap();
                transaction.delete_range(&key("A.X"), (round - 1) * MINUTE..2 * round * MINUTE).unwrap();
                transaction.commit().unwrap();
                store.seal().unwrap();
            }
            5 => _ = store.prune(&AsOf::Version(store.view().version())).unwrap(),
            _ => _ = write(&store, "A.X", &[round], 3.0),
        }
        follower.refresh().unwrap();
        let seen = closes(&follower.view());
        assert_eq!(seen, closes(&store.view()), "round {round}");
        let fresh = Store::open_read_only(&path, options()).unwrap();
        assert_eq!(seen, closes(&fresh.view()), "round {round}");
    }
}

/// The model found a follower that named a last row which was deleted: pruning had taken the rows and the deletion, and
/// nothing in the series was newer than what the follower knew.
#[test]
fn a_follower_forgets_a_last_row_that_was_deleted_and_pruned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::create(&path, options()).unwrap();
    write(&store, "A.X", &[1, 2, 3], 1.0);
    store.seal().unwrap();
    let follower = Store::open_read_only(&path, options()).unwrap();
    assert_eq!(closes(&follower.view())[0].1, 3 * MINUTE);
    let mut transaction = store.begin();
    transaction.delete_range(&key("A.X"), 3 * MINUTE..4 * MINUTE).unwrap();
    transaction.commit().unwrap();
    store.seal().unwrap();
    store.compact().unwrap();
    store.prune(&AsOf::Version(store.view().version())).unwrap();
    store.compact().unwrap();
    follower.refresh().unwrap();
    assert_eq!(closes(&follower.view())[0].1, 2 * MINUTE);
    assert_eq!(follower.view().info(&key("A.X")).unwrap().last_ns, Some(2 * MINUTE));
}
