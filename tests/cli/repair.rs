//! `tape repair`, and names that would like to be more than names.

use std::path::PathBuf;

use super::{Place, member, run, tape};

/// Files of the store whose names begin so.
fn files(place: &Place, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.store()).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix));
    files.sort();
    files
}

fn with_segment() -> Place {
    let place = Place::new();
    let rows = super::minutes(5000);
    let file = place.write("bars.csv", rows);
    place.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
    place.tape("compact").clean();
    place
}

fn export(place: &Place, store: &str) -> String {
    let mut command = tape();
    command.arg("--store").arg(place.path(store)).args(["export", "A.X", "1m", "--csv", "-o", "-"]);
    run(command, b"").clean()
}

#[test]
fn a_sound_store_is_copied_whole_and_ends_with_zero() {
    let place = with_segment();
    let target = place.path("saved").display().to_string();
    let text = place.tape(&format!("repair {target}")).clean();
    assert!(text.contains("version 2 of 2, 2 series, 5,001 rows"), "{text}");
    assert_eq!(export(&place, "saved"), export(&place, "store"));
    let error = place.tape(&format!("repair {target}")).failed(2);
    assert!(error.contains("exists"), "{error}");
}

#[test]
fn what_is_lost_is_listed_and_ends_with_one() {
    let place = with_segment();
    let path = files(&place, "segment-").pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let before = bytes.clone();
    // A bit in the head of the first chunk: none of its rows can be read.
    bytes[64 + 40] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let target = place.path("saved").display().to_string();
    let ended = place.tape(&format!("repair {target} --json"));
    assert_eq!(ended.code, 1, "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    let of_series = lines.iter().find(|line| line.contains("\"series\": \"A.X 1m\"")).map_or(0, |line| {
        assert!(line.starts_with("{\"lost\": \"rows\""), "{line}");
        member(line, "count")
    });
    let saved = export(&place, "saved").lines().count() as i64 - 1;
    assert_eq!(saved + of_series, 5000, "{ended:?}");
    assert!(lines.last().unwrap().starts_with("{\"complete\": false"), "{ended:?}");
    assert!(ended.err.contains("the old store is as it was"), "{ended:?}");
    assert_ne!(before, bytes);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let mut command = tape();
    command.arg("--store").arg(&target).args(["verify", "--deep"]);
    let verify = run(command, b"").clean();
    assert!(verify.contains("clean"), "{verify}");
}

#[test]
fn a_store_without_current_is_repaired_and_no_store_is_named() {
    let place = with_segment();
    let expected = export(&place, "store");
    std::fs::remove_file(place.store().join("CURRENT")).unwrap();
    assert_eq!(place.tape("ls").code, 2);
    let target = place.path("saved").display().to_string();
    let text = place.tape(&format!("repair {target}")).clean();
    assert!(text.contains("CURRENT is missing"), "{text}");
    assert_eq!(export(&place, "saved"), expected);
    let empty = Place::new();
    std::fs::create_dir(empty.store()).unwrap();
    let target = empty.path("saved").display().to_string();
    empty.tape(&format!("repair {target}")).failed(2);
    assert!(!empty.path("saved").exists());
    Place::new().tape("repair somewhere").failed(2);
}

/// Instruments that look like paths are names; those that would drive a terminal, or that are too long, are refused.
#[test]
fn names_are_stored_or_refused_and_never_become_paths_or_commands() {
    let place = Place::new();
    let file = place.write("bars.csv", super::BARS);
    for name in ["../../etc/passwd", "/absolute", "..", "a/b", "C:\\x", "CURRENT", "LOCK", "腾讯.HK"] {
        place.tape_with(&["import", &file, "--instrument", name, "--frame", "1m"], b"").clean();
        let shown = place.tape_with(&["show", name, "1m", "--csv"], b"").clean();
        assert_eq!(shown.lines().count(), 5, "{name}");
    }
    let inside: Vec<_> =
        std::fs::read_dir(place.store()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let known = |name: &str| {
        ["CURRENT", "LOCK", "visible", "reserve", "leases"].contains(&name)
            || ["wal-", "segment-", "manifest-"].iter().any(|prefix| name.starts_with(prefix))
    };
    assert!(inside.iter().all(|name| known(&name.to_string_lossy())), "{inside:?}");
    assert_eq!(std::fs::read_dir(place.directory.path()).unwrap().count(), 2, "the file and the store");
    let long = "x".repeat(10_000);
    for bad in ["", "a\u{1b}[2Jb", "a\nb", "a\u{202e}b", "a\u{9b}b", "a\u{200b}b", &long] {
        let ended = place.tape_with(&["import", &file, "--instrument", bad, "--frame", "1m"], b"");
        assert!([1, 2].contains(&ended.code), "{bad:?}: {ended:?}");
        let shown = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}' || c == '\u{200b}');
        assert!(ended.err.chars().chain(ended.out.chars()).all(shown), "{bad:?}: {ended:?}");
        let ended = place.tape_with(&["snapshot", "create", bad], b"");
        assert!(ended.code == 2 && ended.err.chars().all(shown), "{bad:?}: {ended:?}");
        // Asked for, they do not exist, and are not obeyed either.
        let ended = place.tape_with(&["show", bad, "1m"], b"");
        assert!(ended.code == 2 && ended.err.chars().all(shown), "{bad:?}: {ended:?}");
    }
}
