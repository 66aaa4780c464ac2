//! Links and permissions: what `format-spec/store.md` says of them.
#![cfg(unix)]

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{key, options, write};
use tapestore::io::{RealStorage, Storage};
use tapestore::{ErrorClass, Store, salvage_directory, verify_directory, verify_storage};

/// A store with a sealed row and one in its log.
fn stored(directory: &Path) {
    let store = Store::create(directory, options()).unwrap();
    write(&store, "A", &[1], 10.0);
    store.seal().unwrap();
    write(&store, "A", &[2], 10.0);
}

fn rows(store: &Store) -> u64 {
    store.view().count(&key("A"), 0..i64::MAX).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_directory_may_be_reached_through_links() {
    let place = tempfile::tempdir().unwrap();
    let (real, link, second) =
        (place.path().join("real"), place.path().join("link"), place.path().join("second"));
    stored(&real);
    symlink(&real, &link).unwrap();
    symlink("link", &second).unwrap();
    for path in [&real, &link, &second] {
        let store = Store::open(path, options()).unwrap();
        assert_eq!(rows(&store), 2);
        // It is one store, whichever way it is reached: one writer, and readers see what it writes.
        for other in [&real, &link, &second] {
            assert_eq!(Store::open(other, options()).unwrap_err().kind(), ErrorClass::Locked, "{other:?}");
            assert_eq!(rows(&Store::open_read_only(other, options()).unwrap()), 2);
        }
        drop(store);
        assert!(verify_directory(path, true).unwrap().is_empty());
    }
    // A backup, and the next one, into a directory reached through a link.
    let (backup, to_backup) = (place.path().join("backup"), place.path().join("to-backup"));
    std::fs::create_dir(&backup).unwrap();
    symlink(&backup, &to_backup).unwrap();
    for target in [&to_backup, &backup, &to_backup] {
        Store::open(&second, options()).unwrap().backup(target).unwrap();
        assert_eq!(rows(&Store::open(&backup, options()).unwrap()), 2);
    }
    let salvaged = place.path().join("salvaged");
    salvage_directory(&link, &salvaged).unwrap();
    assert_eq!(rows(&Store::open(&salvaged, options()).unwrap()), 2);
}

#[test]
fn a_store_is_made_where_a_link_leads_if_that_is_an_empty_directory() {
    let place = tempfile::tempdir().unwrap();
    let (empty, full) = (place.path().join("empty"), place.path().join("full"));
    for path in [&empty, &full] {
        std::fs::create_dir(path).unwrap();
    }
    std::fs::write(full.join("notes.txt"), "mine").unwrap();
    let link = |name: &str, to: &Path| -> PathBuf {
        let path = place.path().join(name);
        symlink(to, &path).unwrap();
        path
    };
    stored(&link("to-empty", &empty));
    assert_eq!(rows(&Store::open(&empty, options()).unwrap()), 2);
    let refused = Store::create(link("to-full", &full), options()).unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    let nothing = link("to-nothing", &place.path().join("nothing"));
    for error in [
        Store::create(&nothing, options()).unwrap_err(),
        Store::open(&nothing, options()).unwrap_err(),
        Store::open_read_only(&nothing, options()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("to-nothing"), "{error}");
    }
    let itself = link("itself", &place.path().join("itself"));
    assert!(Store::open(&itself, options()).is_err() && Store::create(&itself, options()).is_err());
    // A rescue writes where nothing was: not even a link.
    let error = salvage_directory(&empty, &nothing).unwrap_err();
    assert_eq!(error.kind(), ErrorClass::Usage, "{error}");
    assert!(!place.path().join("nothing").exists());
}

/// Each file of a store in turn is moved elsewhere, and a link to it put in its place.
#[test]
fn no_file_of_a_store_is_a_link() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    stored(&source);
    let mut seen = Vec::new();
    for name in names(&source) {
        let (directory, away) = (place.path().join("store"), place.path().join("away"));
        std::fs::create_dir(&directory).unwrap();
        for file in names(&source).iter().filter(|file| *file != "leases") {
            std::fs::copy(source.join(file), directory.join(file)).unwrap();
        }
        std::fs::create_dir(directory.join("leases")).unwrap();
        std::fs::rename(directory.join(&name), &away).unwrap();
        symlink(&away, directory.join(&name)).unwrap();
        let before = if away.is_file() { std::fs::read(&away).unwrap() } else { Vec::new() };
        // A segment is opened when it is read.
        let used = Store::open(&directory, options()).and_then(|store| {
            let rows = store.view().read(&key("A")).rows()?.len();
            store.compact().map(|_| rows)
        });
        if ["reserve", "leases"].contains(&name.as_str()) {
            // The store does without: nothing needs a reserve (R1), and with leases unknown nothing is removed.
            assert_eq!(used.expect(&name), 2);
            assert_eq!(rows(&Store::open_read_only(&directory, options()).unwrap()), 2);
            assert_eq!(directory.join(&name).is_symlink(), name == "leases");
        } else {
            let error = used.expect_err(&name).to_string();
            assert!(error.contains(&name), "{name}: {error}");
        }
        if away.is_file() {
            assert_eq!(std::fs::read(&away).unwrap(), before, "{name}: nothing was written through the link");
        } else {
            assert!(names(&away).is_empty(), "{name}");
        }
        std::fs::remove_dir_all(&directory).unwrap();
        if away.is_dir() { std::fs::remove_dir(&away) } else { std::fs::remove_file(&away) }.unwrap();
        seen.push(name);
    }
    seen.retain(|name| !name.starts_with("segment"));
    seen.sort();
    assert_eq!(
        seen.iter().map(|name| name.split('-').next().unwrap()).collect::<Vec<_>>(),
        ["CURRENT", "LOCK", "leases", "manifest", "reserve", "visible", "wal"]
    );
}

/// Somebody else puts links under every name that a writer might take next. They lead to a file that must not change.
#[test]
fn nothing_is_written_through_a_link_that_waits_under_a_name_to_come() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("store");
    let victim = place.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let plant = |directory: &Path, names: &[String]| {
        for name in names {
            symlink(&victim, directory.join(name)).unwrap();
        }
    };
    let coming: Vec<String> = (1..60)
        .flat_map(|id| ["wal", "segment", "manifest"].map(|kind| format!("{kind}-{id:012}.tape")))
        .chain(["current.new", "copy.new"].map(str::to_owned))
        .collect();
    stored(&directory);
    let free: Vec<String> = coming.iter().filter(|name| !directory.join(name).exists()).cloned().collect();
    plant(&directory, &free);
    // It is passed over, or refused; what was acknowledged stays.
    if let Ok(store) = Store::open(&directory, options()) {
        assert_eq!(rows(&store), 2);
        let _ = store.seal().and_then(|_| store.compact().map(drop));
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(rows(&Store::open_read_only(&directory, options()).unwrap()), 2);
    // A backup into a directory of others.
    let target = place.path().join("target");
    std::fs::create_dir(&target).unwrap();
    plant(&target, &coming);
    plant(&target, &["CURRENT".to_owned()]);
    let reader = Store::open_read_only(&directory, options()).unwrap();
    let _ = reader.backup(&target);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}

/// The next `CURRENT` is made anew, whatever was left under its name.
#[test]
fn a_link_under_the_name_of_the_next_current_is_removed() {
    let place = tempfile::tempdir().unwrap();
    let (directory, victim) = (place.path().join("store"), place.path().join("victim"));
    stored(&directory);
    std::fs::write(&victim, "precious").unwrap();
    symlink(&victim, directory.join("current.new")).unwrap();
    let store = Store::open(&directory, options()).unwrap();
    store.create_snapshot("a step", None).unwrap();
    drop(store);
    assert!(!directory.join("current.new").is_symlink() && !directory.join("CURRENT").is_symlink());
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(rows(&Store::open(&directory, options()).unwrap()), 2);
}

#[test]
fn what_is_made_is_for_its_owner_only_and_what_is_there_keeps_its_permissions() {
    let place = tempfile::tempdir().unwrap();
    let (own, shared) = (place.path().join("own"), place.path().join("shared"));
    stored(&own);
    assert_eq!(mode(&own), 0o700);
    // A directory that anybody may write to is taken as it is.
    std::fs::create_dir(&shared).unwrap();
    set_mode(&shared, 0o777);
    stored(&shared);
    assert_eq!(mode(&shared), 0o777);
    for directory in [&own, &shared] {
        for name in names(directory) {
            let expected = if name == "leases" { 0o700 } else { 0o600 };
            assert_eq!(mode(&directory.join(&name)), expected, "{name}");
        }
    }
    // So are files that anybody may write to.
    for name in names(&shared) {
        set_mode(&shared.join(&name), if name == "leases" { 0o777 } else { 0o666 });
    }
    let log = names(&shared).into_iter().find(|name| name.starts_with("wal-")).unwrap();
    let store = Store::open(&shared, options()).unwrap();
    write(&store, "A", &[3], 10.0);
    assert_eq!((rows(&store), mode(&shared.join(log)), mode(&shared)), (3, 0o666, 0o777));
    assert_eq!(rows(&Store::open_read_only(&shared, options()).unwrap()), 3);
    drop(store);
    assert!(verify_directory(&shared, true).unwrap().is_empty());
}

/// Files of others in the directory are neither read nor removed, whatever they are.
#[test]
fn files_with_other_names_are_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("store");
    stored(&directory);
    std::fs::write(directory.join("Notes.txt"), "mine").unwrap();
    std::fs::write(directory.join("a b\u{202e}c"), "mine").unwrap();
    std::fs::create_dir(directory.join("folder")).unwrap();
    symlink("/nonexistent", directory.join("link")).unwrap();
    let store = Store::open(&directory, options()).unwrap();
    write(&store, "A", &[3], 10.0);
    store.seal().unwrap();
    store.compact().unwrap();
    assert_eq!(rows(&store), 3);
    drop(store);
    assert!(verify_directory(&directory, true).unwrap().iter().all(|finding| !finding.damage));
    for name in ["Notes.txt", "a b\u{202e}c", "folder"] {
        assert!(directory.join(name).exists(), "{name}");
    }
    assert!(directory.join("link").is_symlink());
}

/// Who looks for a store where there is none leaves nothing there: a lease is taken of a store only.
#[test]
fn nothing_is_made_where_there_is_no_store() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("leases")).unwrap();
    let storage = Arc::new(RealStorage::new(place.path().to_path_buf()));
    let error = Store::open_read_only_on(storage.clone(), options()).unwrap_err();
    assert_eq!(error.kind(), ErrorClass::NotFound, "{error}");
    let shared: Arc<dyn Storage> = storage.clone();
    assert_eq!(verify_storage(&shared, true).unwrap_err().kind(), ErrorClass::NotFound);
    assert_eq!(storage.counts().creates, 0);
    assert_eq!(names(place.path()), ["leases"]);
    assert!(names(&place.path().join("leases")).is_empty());
}
