//! The golden stores of every version: read for ever, and unchanged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use golden::expected::{exports, observe};
use golden::frozen::{self, HASHES};
use tapestore::{Options, Store, verify_directory};
use tapestore_format::header::{FileHeader, FileKind, MAJOR};
use tapestore_format::segment::{Segment, Stream, Tier, Verified};

const VERSIONS: [&str; 1] = ["v1"];

fn each(mut check: impl FnMut(&str, &Path)) {
    for version in VERSIONS {
        let directory = frozen::directory(version);
        for name in frozen::names(&directory).expect("golden stores") {
            check(&format!("{version}/{name}"), &directory.join(name));
        }
    }
}

fn copied(store: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary directory");
    frozen::copy(&store.join("store"), copy.path()).expect("a copy");
    copy
}

/// A version that is released gets a directory, and a line in `VERSIONS`: for ever.
#[test]
fn every_released_version_is_read() {
    let root = frozen::directory("");
    let mut versions = frozen::names(&root).expect("the directory of golden stores");
    versions.retain(|name| name.strip_prefix('v').is_some_and(|digits| digits.parse::<u8>().is_ok()));
    assert_eq!(versions, VERSIONS);
    assert_eq!(VERSIONS.len(), usize::from(MAJOR), "a directory for each major version");
}

#[test]
fn golden_stores_never_change() {
    for version in VERSIONS {
        let directory = frozen::directory(version);
        let listed = fs::read_to_string(directory.join(HASHES)).expect("the list of hashes");
        let found = frozen::hashes(&directory).expect("golden stores");
        assert!(found == listed, "{version} is frozen: a change needs a page in format-spec/decisions");
    }
}

#[test]
fn golden_stores_give_what_is_expected() {
    each(|name, store| {
        let copy = copied(store);
        let expected = frozen::files(&store.join("expected")).expect("what is expected");
        let found = observe(copy.path());
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{name}: files that are expected"
        );
        for (file, text) in found {
            assert!(text.as_bytes() == expected[&file], "{name}: {file} differs");
        }
    });
}

#[test]
fn golden_stores_opened_for_writing_give_the_same() {
    let options = Options { background: false, ..Options::default() };
    each(|name, store| {
        let copy = copied(store);
        let Ok(reader) = Store::open_read_only(copy.path(), Options::default()) else {
            assert!(Store::open(copy.path(), options.clone()).is_err(), "{name}: a writer is no less strict");
            return;
        };
        let expected = exports(&reader);
        drop(reader);
        if !verify_directory(copy.path(), true).expect("a store").iter().all(|finding| !finding.damage) {
            return;
        }
        let writer = Store::open(copy.path(), options.clone()).expect(name);
        assert!(exports(&writer) == expected, "{name}: recovered");
        writer.seal().expect(name);
        assert!(exports(&writer) == expected, "{name}: sealed");
        writer.compact().expect(name);
        assert!(exports(&writer) == expected, "{name}: compacted");
        writer.close().expect(name);
        let reader = Store::open_read_only(copy.path(), Options::default()).expect(name);
        assert!(exports(&reader) == expected, "{name}: read again");
        assert_eq!(verify_directory(copy.path(), true).expect(name), [], "{name}");
    });
}

/// Forms of groups that occur only where the encoder finds them worth while: the stores that are to show them do, packed and
/// with a model.
#[test]
fn golden_stores_hold_the_groups_that_they_are_made_for() {
    let wanted = [
        ("v1/adjusted", "group with factors"),
        ("v1/digits", "group with digits"),
        ("v1/singles", "group of singles"),
    ];
    let mut found = BTreeSet::new();
    each(|name, store| {
        let files = frozen::files(&store.join("store")).expect("a store");
        for (_, bytes) in files.iter().filter(|file| file.0.starts_with("segment-")) {
            // Some stores are damaged.
            let Ok(header) = FileHeader::decode(bytes, FileKind::Segment) else { continue };
            let verified = Verified::new(bytes.len() as u64);
            let Ok(segment) = Segment::open(bytes, header.identity, &verified) else { continue };
            for part in (0..segment.part_count()).map(|ordinal| segment.part(ordinal).expect(name)) {
                let Ok(chunk) = segment.chunk(&part, Stream::Live, 0) else { continue };
                let model = chunk.tier() == Tier::Cold;
                found.extend(chunk.columns().map(|info| (name.to_owned(), info.form(), model)));
            }
        }
    });
    for (name, form) in wanted {
        for model in [false, true] {
            assert!(found.contains(&(name.to_owned(), form, model)), "{name}: {form}, with a model: {model}");
        }
    }
}

#[test]
fn golden_stores_are_small() {
    each(|name, store| {
        let bytes: usize = frozen::files(&store.join("store")).expect("a store").values().map(Vec::len).sum();
        assert!(bytes <= 100_000, "{name} has {bytes} bytes");
    });
}
