//! A real file system that is full. Opt-in: `TAPE_FULL_DISK` names a directory on one with a few megabytes, such as
//! `mount -t tmpfs -o size=4m tmpfs DIR`. The simulated full disk is in `tests/crash` and always runs.

use std::fs;
use std::path::Path;

use tapestore::{AsOf, Batch, ErrorClass, Options, SeriesKey, Store, Values, schema};

fn options() -> Options {
    Options { background: false, ..Options::default() }
}

fn bars(from: i64, count: i64) -> Batch {
    let column = || Values::F64((from..from + count).map(|row| (row * 7919 % 10_007) as f64).collect());
    let times = (from..from + count).map(|row| row * 60_000_000_000).collect();
    ["open", "high", "low", "close", "volume"]
        .into_iter()
        .fold(Batch::new(times), |batch, name| batch.with(name, column()))
}

fn fill(directory: &Path) {
    let mut filler = fs::File::create(directory.join("filler")).unwrap();
    let piece = [0x55; 4096];
    while std::io::Write::write_all(&mut filler, &piece).is_ok() {}
}

#[test]
fn a_full_file_system_fails_writes_cleanly_and_is_survived() {
    let Some(directory) = std::env::var_os("TAPE_FULL_DISK") else { return };
    let directory = Path::new(&directory);
    let path = directory.join("store");
    let _ = fs::remove_dir_all(&path);
    let _ = fs::remove_file(directory.join("filler"));
    let key = SeriesKey::new("A", "1m").unwrap();
    let store = Store::create(&path, options()).unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&key, schema::bars()).unwrap();
    transaction.upsert(&key, bars(0, 1000)).unwrap();
    transaction.commit().unwrap();
    fill(directory);
    let mut acknowledged = 1;
    let error = loop {
        let mut transaction = store.begin();
        transaction.upsert(&key, bars(acknowledged * 1000, 1000)).unwrap();
        match transaction.commit() {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorClass::Io, "{error}");
    assert!(error.to_string().contains("wal-"), "{error}");
    // One clear error after it; what was acknowledged can be read, here and in a reader that begins now.
    assert_eq!(store.seal().unwrap_err().kind(), ErrorClass::Poisoned);
    let rows = |store: &Store| store.view().count(&key, i64::MIN..i64::MAX).unwrap();
    assert_eq!(rows(&store), 1000 * acknowledged as u64);
    let reader = Store::open_read_only(&path, options()).unwrap();
    assert_eq!(rows(&reader), 1000 * acknowledged as u64);
    drop((store, reader));
    let error = Store::open(&path, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorClass::Io, "{error}");
    // With space again it goes on: deletes, prunes.
    fs::remove_file(directory.join("filler")).unwrap();
    let store = Store::open(&path, options()).unwrap();
    // The commit that failed may have been written whole (I2).
    let recovered = rows(&store);
    assert!(recovered == 1000 * acknowledged as u64 || recovered == 1000 * (acknowledged as u64 + 1));
    let mut transaction = store.begin();
    transaction.delete_range(&key, 0..500 * 60_000_000_000).unwrap();
    transaction.commit().unwrap();
    let newest = store.view().version();
    store.prune(&AsOf::Version(newest)).unwrap();
    assert_eq!(rows(&store), recovered - 500);
    assert!(store.verify(true).unwrap().is_empty());
    println!(
        "torture: full file system | {acknowledged} commits, 1 file system filled | seed 0 | failures 0"
    );
}
