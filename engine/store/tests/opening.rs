//! Opening says clearly what is wrong: missing, foreign, locked, newer, damaged.

mod common;

use std::sync::Arc;

use common::{key, options, write};
use tapestore::io::{MemoryStorage, Storage};
use tapestore::{ErrorClass, Store};

fn stored() -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    write(&store, "A", &[1, 2, 3], 10.0);
    store.seal().unwrap();
    write(&store, "A", &[4], 10.0);
    drop(store);
    storage
}

fn refused(storage: &Arc<MemoryStorage>) -> (ErrorClass, String) {
    let writing = Store::open_on(storage.clone(), options()).unwrap_err();
    let reading = Store::open_read_only_on(storage.clone(), options()).unwrap_err();
    assert_eq!(writing.kind(), reading.kind(), "{writing} / {reading}");
    (writing.kind(), writing.to_string())
}

fn overwrite(storage: &MemoryStorage, name: &str, offset: u64, bytes: &[u8]) {
    storage.open(name).unwrap().write_at(offset, bytes).unwrap();
}

fn file(storage: &MemoryStorage, prefix: &str) -> String {
    storage.list("").unwrap().into_iter().map(|file| file.0).find(|name| name.starts_with(prefix)).unwrap()
}

#[test]
fn a_missing_store_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nothing");
    for error in [
        Store::open(&missing, options()).unwrap_err(),
        Store::open_read_only(&missing, options()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorClass::NotFound);
        assert!(error.to_string().contains("holds no store"), "{error}");
    }
    assert!(!missing.exists(), "opening creates nothing");
}

#[test]
fn a_directory_that_holds_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let error = Store::create(directory.path(), options()).unwrap_err();
    assert_eq!(error.kind(), ErrorClass::Usage);
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[test]
fn a_store_is_not_created_over_another() {
    let storage = stored();
    let error = Store::create_on(storage, options()).unwrap_err();
    assert!(error.to_string().contains("is a store already"), "{error}");
}

#[test]
fn a_second_writer_is_locked_out_and_a_reader_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path().join("s"), options()).unwrap();
    write(&store, "A", &[1], 10.0);
    let error = Store::open(directory.path().join("s"), options()).unwrap_err();
    assert_eq!(error.kind(), ErrorClass::Locked);
    let reader = Store::open_read_only(directory.path().join("s"), options()).unwrap();
    assert_eq!(reader.view().count(&key("A"), 0..i64::MAX).unwrap(), 1);
}

#[test]
fn a_foreign_file_is_told_from_a_damaged_one() {
    let storage = stored();
    overwrite(&storage, "CURRENT", 0, b"#!/bin/sh");
    assert_eq!(refused(&storage).0, ErrorClass::Foreign);
    let storage = stored();
    overwrite(&storage, "CURRENT", 30, &[0xff]);
    assert_eq!(refused(&storage).0, ErrorClass::Corrupt);
}

#[test]
fn a_newer_format_asks_for_a_newer_version() {
    let storage = stored();
    let name = file(&storage, "manifest-");
    let mut header = [0; 64];
    storage.open(&name).unwrap().read_exact_at(0, &mut header).unwrap();
    header[9] += 1;
    let crc = crc32fast::hash(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    overwrite(&storage, &name, 0, &header);
    let (class, text) = refused(&storage);
    assert_eq!(class, ErrorClass::Newer);
    assert!(text.contains(&name) && text.contains("newer format"), "{text}");
}

#[test]
fn damage_names_file_offset_and_rule() {
    let storage = stored();
    let name = file(&storage, "manifest-");
    overwrite(&storage, &name, 100, &[0xff, 0xff]);
    let (class, text) = refused(&storage);
    assert_eq!(class, ErrorClass::Corrupt);
    assert!(text.contains(&name) && text.contains("rule L3 at offset 64"), "{text}");
}

#[test]
fn a_damaged_block_is_an_error_of_the_read_never_rows() {
    let storage = stored();
    let name = file(&storage, "segment-");
    let length = storage.length(&name).unwrap();
    let (mut errors, mut fine) = (0, 0);
    let whole = Store::open_on(stored(), options()).unwrap().view().read(&key("A")).rows().unwrap();
    for offset in 64..length {
        let mut byte = [0];
        storage.open(&name).unwrap().read_exact_at(offset, &mut byte).unwrap();
        overwrite(&storage, &name, offset, &[byte[0] ^ 0x10]);
        let store = Store::open_read_only_on(storage.clone(), options()).unwrap();
        match store.view().read(&key("A")).rows() {
            Ok(rows) => {
                assert_eq!(rows, whole);
                fine += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorClass::Corrupt);
                assert!(error.to_string().contains(&name), "{error}");
                errors += 1;
            }
        }
        drop(store);
        assert!(
            !tapestore::verify_storage(&(storage.clone() as Arc<dyn Storage>), true).unwrap().is_empty(),
            "{offset}"
        );
        overwrite(&storage, &name, offset, &byte);
    }
    assert!(errors > 0 && fine > 0, "{errors} {fine}");
}

#[test]
fn a_missing_segment_or_log_is_named() {
    for prefix in ["segment-", "wal-"] {
        let storage = stored();
        let name = file(&storage, prefix);
        storage.remove(&name).unwrap();
        let error = match Store::open_on(storage, options()) {
            Err(error) => error,
            Ok(store) => store.view().read(&key("A")).rows().unwrap_err(),
        };
        assert!(error.to_string().contains(&name), "{error}");
    }
}

/// A writer goes on in a new log when it seals. A reader that asked how much may be shown just before that, and looks at the
/// logs just behind it, knows nothing of what is acknowledged in the new one: it shows none of it (I12).
#[test]
fn a_log_that_the_writer_has_not_shown_yet_is_not_read() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    write(&store, "A", &[0, 1], 1.0);
    let visible = storage.open("visible").unwrap();
    let before = visible.read_all(64).unwrap();
    store.seal().unwrap();
    write(&store, "A", &[2], 1.0);
    let after = visible.read_all(64).unwrap();
    assert_ne!(before, after);
    visible.write_at(0, &before).unwrap();
    let reader = Store::open_read_only_on(storage.clone(), options()).unwrap();
    assert_eq!(reader.view().version(), 1);
    assert_eq!(reader.refresh().unwrap(), 1);
    visible.write_at(0, &after).unwrap();
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(reader.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), 3);
    // Whoever read more does not go back.
    visible.write_at(0, &before).unwrap();
    assert_eq!(reader.refresh().unwrap(), 2);
}

/// A follower kept reading the manifest of whatever store stood under its path.
#[test]
fn a_store_put_in_the_place_of_another_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let made = |rows: &[i64]| {
        let store = Store::create(&path, options()).unwrap();
        write(&store, "A", rows, 10.0);
        store.seal().unwrap();
        store
    };
    let store = made(&[1, 2, 3]);
    let follower = Store::open_read_only(&path, options()).unwrap();
    let rows = || follower.view().read(&key("A")).rows().unwrap();
    assert_eq!(rows().len(), 3);
    drop(store);
    std::fs::remove_dir_all(&path).unwrap();
    let _other = made(&[7, 8]);
    let error = follower.refresh().unwrap_err().to_string();
    assert!(error.contains("holds another store"), "{error}");
    assert_eq!(rows().len(), 3, "it stays where it was, with the files that it has open");
}

/// Names of the files of a store, without the directories.
fn names(storage: &MemoryStorage) -> Vec<String> {
    storage.list("").unwrap().into_iter().map(|file| file.0).collect()
}

#[test]
fn what_no_step_counts_is_removed_at_opening_and_what_is_not_the_stores_stays() {
    let storage = stored();
    let orphans = ["segment-000000000900.tape", "manifest-000000000901.tape", "wal-000000000001.tape"];
    let foreign = ["notes.txt", "segment-x.tape", "wal-1.tape", "segment-281474976710656.tape"];
    for name in orphans.iter().chain(&foreign) {
        // The first log was given up when what it held was sealed.
        storage.create_new(name).unwrap().write_at(0, b"left over").unwrap();
    }
    let store = Store::open_on(storage.clone(), options()).unwrap();
    let found = names(&storage);
    for orphan in orphans {
        assert!(!found.iter().any(|name| name == orphan), "{orphan} is still there");
    }
    for name in &foreign[..3] {
        assert!(found.iter().any(|found| found == name), "{name} is gone");
    }
    assert_eq!(store.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), 4);
    // The number of a file that was there is not given again; one that no store counts to is no number.
    write(&store, "A", &[5], 10.0);
    store.seal().unwrap();
    let id = |name: &String| name.strip_prefix("segment-")?.strip_suffix(".tape")?.parse::<u64>().ok();
    let newest = names(&storage).iter().filter_map(id).filter(|id| *id != 1 << 48).max().unwrap();
    assert!((902..2000).contains(&newest), "segment {newest}");
}

#[test]
fn logs_are_given_up_when_all_of_them_is_in_segments() {
    let logs =
        |storage: &MemoryStorage| names(storage).iter().filter(|name| name.starts_with("wal-")).count();
    let storage = stored();
    drop(Store::open_on(storage.clone(), options()).unwrap());
    assert_eq!(logs(&storage), 2, "the log before holds a commit that is in no segment");
    drop(Store::open_on(storage.clone(), options()).unwrap());
    assert_eq!(logs(&storage), 3);
    let store = Store::open_on(storage.clone(), options()).unwrap();
    assert_eq!(store.view().version(), 2);
    store.seal().unwrap();
    drop(store);
    for _ in 0..3 {
        let store = Store::open_on(storage.clone(), options()).unwrap();
        assert_eq!(logs(&storage), 1);
        assert_eq!(store.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), 4);
    }
}

/// A log is written again at opening, piece by piece.
#[test]
fn a_log_of_several_megabytes_is_recovered_whole() {
    let storage = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options()).unwrap();
    let rows = 30_000;
    for part in 0..3 {
        write(&store, "A", &(part * rows..(part + 1) * rows).collect::<Vec<_>>(), 10.0);
    }
    drop(store);
    let log = file(&storage, "wal-");
    let before = storage.open(&log).unwrap().read_all(1 << 30).unwrap();
    assert!(before.len() > 2 << 20, "{} bytes", before.len());
    let store = Store::open_on(storage.clone(), options()).unwrap();
    assert_eq!(store.view().count(&key("A"), i64::MIN..i64::MAX).unwrap(), 3 * rows as u64);
    assert!(store.torn_tail().is_none());
    assert_eq!(storage.open(&log).unwrap().read_all(1 << 30).unwrap(), before);
}

#[test]
fn current_has_no_byte_too_many() {
    let storage = stored();
    let current = storage.open("CURRENT").unwrap();
    let length = current.length().unwrap();
    current.write_at(length, b"x").unwrap();
    let (class, message) = refused(&storage);
    assert_eq!(class, ErrorClass::Corrupt, "{message}");
    assert!(message.contains("CURRENT"), "{message}");
}
