//! Manifests: written, read again, rewritten, and refused where they break a rule.

use tapestore_format::log::FrameReader;

use super::*;
use crate::io::{MemoryStorage, failing::Failing};

fn state(version: u64) -> StateRecord {
    StateRecord { sealed_version: version, first_log: 1, next_file: 50, floor: 0, step: 0 }
}

fn source(id: u16) -> ManifestRecord {
    ManifestRecord::Source { id, name: format!("source {id}") }
}

#[test]
fn published_steps_are_loaded_and_bytes_behind_them_are_not() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    manifest.publish(vec![source(0), source(1)], state(7), None).unwrap();
    let current = read_current(&*storage).unwrap().unwrap();
    assert_eq!(load(&*storage, &current).unwrap().0, manifest.state);
    storage.open(&manifest_name(2)).unwrap().write_at(current.length, b"an unfinished step").unwrap();
    let (state, next_sequence) = load(&*storage, &current).unwrap();
    assert_eq!(state.sources.len(), 2);
    drop(manifest);
    let mut manifest = Manifest::reopen(storage.clone(), current, state, next_sequence).unwrap();
    manifest.publish(vec![source(2)], self::state(8), None).unwrap();
    let current = read_current(&*storage).unwrap().unwrap();
    assert_eq!(load(&*storage, &current).unwrap().0.sources.len(), 3);
}

#[test]
fn every_flipped_byte_of_a_manifest_is_named() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    manifest.publish(vec![source(0)], state(7), None).unwrap();
    let current = manifest.current;
    let file = storage.open(&manifest_name(2)).unwrap();
    for position in 0..current.length {
        let mut byte = [0];
        file.read_exact_at(position, &mut byte).unwrap();
        file.write_at(position, &[byte[0] ^ 4]).unwrap();
        assert!(load(&*storage, &current).is_err(), "byte {position}");
        file.write_at(position, &byte).unwrap();
    }
    load(&*storage, &current).unwrap();
}

#[test]
fn a_long_manifest_is_written_anew() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    let mut rewritten = 0;
    for version in 0..20_000 {
        rewritten += u64::from(
            manifest.publish(Vec::new(), state(version), Some(50 + version)).unwrap().manifest.is_some(),
        );
    }
    assert!((1..5).contains(&rewritten), "{rewritten}");
    let current = read_current(&*storage).unwrap().unwrap();
    assert_eq!(load(&*storage, &current).unwrap().0.state.sealed_version, 19_999);
}

#[test]
fn steps_count_up_by_one() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    for step in 2..6 {
        manifest.publish(Vec::new(), state(step), None).unwrap();
        let current = read_current(&*storage).unwrap().unwrap();
        assert_eq!((current.step, manifest.current.step), (step, step));
        assert_eq!(load(&*storage, &current).unwrap().0.state.step, step);
    }
}

#[test]
fn a_manifest_that_is_not_what_current_says_is_named_with_the_rule() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    let before = manifest.current;
    let long = ManifestRecord::Source { id: 0, name: "x".repeat(200) };
    manifest.publish(vec![long, source(1)], state(7), None).unwrap();
    let current = manifest.current;
    let rule = |current: &Current| match load(&*storage, current).unwrap_err() {
        Error::Inconsistent { rule, .. } => rule,
        other => panic!("{other}"),
    };
    let header = HEADER_BYTES as u64;
    assert_eq!(rule(&Current { length: current.length + 1, ..current }), "M1");
    assert_eq!(rule(&Current { length: header - 1, ..current }), "M1");
    assert_eq!(rule(&Current { length: header, ..current }), "M2", "not one record");
    assert_eq!(rule(&Current { step: current.step + 1, ..current }), "M2");
    assert_eq!(rule(&Current { step: before.step, ..current }), "M2");
    load(&*storage, &before).unwrap();
    // It ends behind a whole record that is no step.
    let identity = Identity { store: current.store, file: 2 };
    let file = storage.open(&manifest_name(2)).unwrap();
    let bytes = file.read_all(1 << 20).unwrap();
    let mut frames = FrameReader::new(&bytes[before.length as usize..], before.length, identity, None);
    let end = frames.next_frame().ok().flatten().unwrap().end();
    assert_eq!(rule(&Current { length: end, ..before }), "M2");
    assert_eq!(rule(&Current { length: end, ..current }), "M2");
    // It ends inside a record of several frames, behind a step.
    let (_, sequence) = load(&*storage, &current).unwrap();
    let (mut writer, mut bytes) = (FrameWriter::new(identity, current.length, sequence), Vec::new());
    let large = ManifestRecord::Series(SeriesRecord {
        id: 1,
        instrument: "A".into(),
        frame: "1m".into(),
        definitions: vec![(0, Some(crate::schema::bars())); 400],
    });
    writer.push(large.kind(), &large.encode(), 0, &mut bytes);
    file.write_at(current.length, &bytes).unwrap();
    let mut frames = FrameReader::new(&bytes, current.length, identity, None);
    let first = frames.next_frame().ok().flatten().unwrap();
    assert!(first.first && !first.last);
    assert_eq!(rule(&Current { length: first.end(), ..current }), "M2");
}

#[test]
fn current_is_as_long_as_it_is() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    assert!(read_current(&*storage).unwrap().is_none());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    read_current(&*storage).unwrap().unwrap();
    let file = storage.open(CURRENT).unwrap();
    let length = file.length().unwrap();
    for other in [length + 1, length + 100, length - 1, 0] {
        file.set_length(other).unwrap();
        assert!(read_current(&*storage).is_err(), "{other} bytes");
    }
}

/// A manifest is written anew when it is about twice as long as what it says would take.
#[test]
fn a_manifest_is_written_anew_when_most_of_it_is_of_the_past() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let sources = (0..5000).map(|id| format!("source {id}")).collect();
    let first = ManifestState { state: state(0), sources, ..ManifestState::default() };
    let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    let live = manifest.live_bytes;
    assert!(live > 50_000);
    let bound = 2 * live + REWRITE_SLACK_BYTES;
    let mut version = 0;
    while manifest.publish(Vec::new(), state(version), Some(3)).unwrap().manifest.is_none() {
        version += 1;
    }
    let old = storage.length(&manifest_name(2)).unwrap();
    assert!((bound - 200..=bound).contains(&old), "{old} bytes, {bound} allowed");
    assert_eq!(manifest.live_bytes, live);
}

#[test]
fn a_step_that_does_not_fit_names_the_manifest() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    let mut manifest = Manifest::create(storage, [1; 16], 0, first, 2).unwrap();
    let error = manifest.publish(vec![ManifestRecord::RemoveSegment(9)], state(1), None).unwrap_err();
    assert!(error.to_string().contains("manifest-000000000002.tape"), "{error}");
}

/// A step that could not be written, and the next one behind where it would have ended: the store did not open any more.
#[test]
fn behind_a_failed_step_there_is_no_other() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let first = ManifestState { state: state(0), ..ManifestState::default() };
    let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
    manifest.publish(vec![source(0)], state(1), None).unwrap();
    // A file opened for reading refuses the write.
    let unwritable = storage.open_read(&manifest_name(2)).unwrap();
    let file = std::mem::replace(&mut manifest.file, unwritable);
    let failed = manifest.publish(vec![source(1)], state(2), None).unwrap_err();
    assert!(matches!(failed, Error::Io { action: "writing", .. }), "{failed}");
    manifest.file = file;
    let refused = manifest.publish(vec![source(2)], state(3), None);
    let current = read_current(&*storage).unwrap().unwrap();
    assert_eq!(load(&*storage, &current).unwrap().0.sources, ["source 0"]);
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, Error::Poisoned { cause } if *cause == failed.to_string()), "{refused}");
}

#[test]
fn a_current_that_cannot_be_opened_is_not_missing() {
    let storage = Failing::default();
    assert!(read_current(&storage).unwrap().is_none());
    storage.refuse(CURRENT, io::ErrorKind::PermissionDenied);
    assert!(matches!(read_current(&storage), Err(Error::Io { .. })));
    storage.refuse(CURRENT_NEW, io::ErrorKind::PermissionDenied);
    let current = Current { store: [1; 16], manifest: 2, length: 40, step: 1, created: 0 };
    assert!(write_current(&storage, &current).unwrap_err().to_string().contains("removing"));
}

/// A full disk has no space for another manifest: the one that is there grows on. Whatever else fails is an error.
#[test]
fn a_manifest_that_cannot_be_written_anew_for_want_of_space_grows_on() {
    for (kind, goes_on) in [(io::ErrorKind::StorageFull, true), (io::ErrorKind::PermissionDenied, false)] {
        let storage = Arc::new(Failing::default());
        let first = ManifestState { state: state(0), ..ManifestState::default() };
        let mut manifest = Manifest::create(storage.clone(), [1; 16], 0, first, 2).unwrap();
        storage.refuse_new("manifest-", kind);
        let mut last = 0;
        let outcome =
            (0..20_000).find_map(|version| match manifest.publish(Vec::new(), state(version), Some(3)) {
                Ok(Replaced { manifest: None }) => None,
                other => {
                    last = version;
                    Some(other)
                }
            });
        let outcome = outcome.expect("it is long by then");
        let current = read_current(&*storage).unwrap().unwrap();
        let loaded = load(&*storage, &current).unwrap().0.state.sealed_version;
        if goes_on {
            assert_eq!(outcome.unwrap().manifest, Some(3), "the number may not be used again");
            assert_eq!((current.manifest, loaded), (2, last));
            manifest.publish(Vec::new(), state(last + 1), None).unwrap();
        } else {
            assert!(matches!(outcome, Err(Error::Io { .. })));
            assert_eq!(loaded, last - 1);
        }
    }
}
