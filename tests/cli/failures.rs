//! Wrong calls, damage, and exit codes.

use std::io::{Read, Write};
use std::process::Stdio;

use super::{Place, member, run, tape};

#[test]
fn wrong_calls_end_with_two() {
    let place = Place::with_bars();
    for line in [
        "",
        "nonsense",
        "head",
        "head A.X",
        "head A.X 7q",
        "head Z.X 1m",
        "head A.X 1m --columns nope",
        "show A.X 1m --from tomorrow",
        "show A.X 1m --from 2024-02-01 --to 2024-01-01",
        "gaps A.X trades",
        "coverage --ranges",
        "export A.X 1m --csv --json",
        "snapshot drop nothing",
        "rollback nothing",
        "inspect nothing",
        "completions klingon",
        "import x --instrument A.X",
        "init",
    ] {
        let ended = place.tape(line);
        assert_eq!(ended.code, 2, "{line}: {ended:?}");
        assert!(!ended.err.is_empty() && ended.out.is_empty(), "{line}: {ended:?}");
    }
}

#[test]
fn a_missing_store_is_told_with_both_ways_to_name_one() {
    let mut command = tape();
    command.arg("ls");
    let error = run(command, b"").failed(2);
    assert!(error.contains("--store") && error.contains("TAPE_STORE"), "{error}");
    let error = Place::new().tape("ls").failed(2);
    assert!(error.contains("tape init"), "{error}");
}

#[test]
fn help_and_version_are_answers() {
    let mut command = tape();
    command.arg("--help");
    let help = run(command, b"").clean();
    assert!(help.contains("Exit codes") && help.contains("import"), "{help}");
    let mut command = tape();
    command.arg("--version");
    assert!(run(command, b"").clean().starts_with("tape "));
}

#[test]
fn near_misses_get_a_hint() {
    let place = Place::with_bars();
    assert!(place.tape("head a.x 1m").failed(2).contains("did you mean A.X 1m?"));
    assert!(place.tape("head A.X 1m --columns colse").failed(2).contains("close"));
}

#[test]
fn damage_is_named_and_ends_with_four() {
    let place = Place::with_bars();
    place.tape("compact").clean();
    let files = place.tape("inspect --json").clean();
    let segment = files.lines().find(|line| line.contains("\"kind\": \"segment\"")).expect("a segment");
    let name = segment.split('"').nth(3).expect("a name").to_owned();
    let path = place.store().join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    let ended = place.tape("verify --deep --json");
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.out.lines().next().unwrap().contains(&name), "{ended:?}");
    assert!(member(ended.out.lines().next().unwrap(), "offset") >= 0);
    assert!(ended.out.contains("\"damage\": true"), "{ended:?}");
}

#[test]
fn a_directory_that_is_no_store_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.store()).unwrap();
    std::fs::write(place.store().join("notes.txt"), "x").unwrap();
    let ended = place.tape("ls");
    assert!([2, 4].contains(&ended.code), "{ended:?}");
    let file = place.write("bars.csv", super::BARS);
    let ended = place.tape(&format!("import {file} --instrument A.X --frame 1m"));
    assert!([2, 4].contains(&ended.code), "{ended:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let rows = super::minutes(50_000);
    let file = place.write("bars.csv", rows);
    place.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
    let mut command = tape();
    command.arg("--store").arg(place.store()).args(["export", "A.X", "1m"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn a_second_writer_ends_with_three_and_readers_go_on() {
    let place = Place::with_bars();
    let mut command = tape();
    command.arg("--store").arg(place.store()).args(["import", "-", "--instrument", "B.X", "--frame", "1m"]);
    let mut writer =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The writer opens the store, then waits for its input.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let refused = loop {
        let ended = place.tape("compact");
        if ended.code != 0 {
            break ended;
        }
        assert!(std::time::Instant::now() < deadline, "the writer never took the lock");
    };
    assert!(refused.failed(3).contains("another process"));
    assert_eq!(place.tape("head A.X 1m --csv").clean().lines().count(), 5);
    writer.stdin.take().unwrap().write_all(super::BARS.as_bytes()).unwrap();
    assert_eq!(writer.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(member(&place.tape("stats --json").clean(), "rows"), 8);
}
