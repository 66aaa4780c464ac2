//! `tape status`: what it shows, exports and exits with.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use super::{Place, member, tape};

/// A store that is kept current from a folder, and rules that do not depend on the disk of the machine.
const CONFIG: &str = r#"store = "store"
[universes.all]
symbols = ["A"]
[sources.folder]
kind = "csv"
path = "{symbol}.csv"
time = "open_time"
intervals = ["1m"]
name = "{symbol}.X"
[[fetch]]
source = "folder"
universe = "all"
timeframes = ["1m"]
since = "2024-01-01"
[alerts]
defaults = false
[[alerts.rules]]
check = "freshness"
level = "CRITICAL"
above = "1d"
"#;

fn run(place: &Place, line: &str) -> super::Ended {
    let mut command = tape();
    command.args(line.split_whitespace()).current_dir(place.directory.path());
    super::run(command, b"")
}

#[test]
fn status_tells_how_a_store_is_and_exits_by_its_health() {
    let place = Place::with_bars();
    place.write("tape.toml", CONFIG);
    let told = run(&place, "status --config tape.toml");
    assert_eq!(told.code, 14, "{told:?}");
    for part in [
        "series    1, 1 of bars\n",
        "alerts    1 CRITICAL\n",
        "fetch     never noted\n",
        "health    critical\n",
        "universe  series  rows  newest",
        "all            1     4  2024-01-01 00:05",
        "CRITICAL  freshness of A.X 1m: the bar of 2024-01-01 00:06 has been due for",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    assert_eq!(member(&place.tape("stats --json").clean(), "version"), 1, "nothing is written");
    let json = run(&place, "status --config tape.toml --json --export status.json");
    assert_eq!((member(&json.out, "rows"), member(&json.out, "version")), (4, 1));
    assert!(
        json.out.contains("\"health\": \"critical\"") && json.out.contains("\"score\": null"),
        "{json:?}"
    );
    let mut exported = place.read("status.json").into_bytes();
    assert!(simd_json::to_borrowed_value(&mut exported).is_ok());
    // Without a configuration nobody keeps it current, so nothing is late.
    let plain = place.tape("status");
    assert!(!plain.out.contains("freshness"), "{plain:?}");
    let error = place.tape("status --watch 0").failed(2);
    assert!(error.contains("--watch"), "{error}");
}

#[test]
fn verifications_and_backups_are_shown_if_they_are_noted() {
    let place = Place::with_bars();
    place.tape("verify --deep").clean();
    let version = || member(&place.tape("stats --json").clean(), "version");
    assert_eq!(version(), 1, "nothing is noted that nobody asked for");
    place.tape("verify --deep --note").clean();
    let copy = place.path("copy").display().to_string();
    place.tape_with(&["backup", &copy, "--note"], b"").clean();
    assert_eq!(version(), 3);
    let told = place.tape("status").out;
    assert!(told.contains("verified  ") && told.contains(" ago: clean\n"), "{told}");
    assert!(told.contains("backup    ") && told.contains(" ago: version 2, "), "{told}");
}

#[test]
fn a_failed_fetch_deserves_attention() {
    let place = Place::with_bars();
    place.write("tape.toml", CONFIG.replace("above = \"1d\"", "above = \"100000d\""));
    assert_eq!(run(&place, "status --config tape.toml").code, 0);
    assert_ne!(run(&place, "fetch --config tape.toml").code, 0, "there is no such file");
    let told = run(&place, "status --config tape.toml");
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.contains("tape.toml: failed: A.X 1m: "), "{told:?}");
}

#[test]
fn the_score_and_open_findings_are_part_of_it() {
    let place = Place::with_bars();
    place.write(
        "tape.toml",
        CONFIG.replace("\nlevel = \"CRITICAL\"\nabove = \"1d\"", "\nabove = \"100000d\""),
    );
    place.tape("quality");
    let told = run(&place, "status --config tape.toml");
    assert_eq!(told.code, 1, "{told:?}");
    // Four of six are there, and of these one is neither between high and low nor above zero.
    assert!(
        told.out.contains("quality   50.000 % F, provisional, held back")
            || told.out.contains("quality   50.000 % F, provisional of"),
        "{told:?}"
    );
    assert!(told.out.contains("findings  open: ") && told.out.contains("complete 66.666 %"), "{told:?}");
    let json = run(&place, "status --config tape.toml --json").out;
    assert!(json.contains("\"tier\": \"F\"") && json.contains("\"health\": \"attention\""), "{json}");
    // A rule on it.
    place.write(
        "tape.toml",
        CONFIG
            .replace("check = \"freshness\"", "check = \"quality\"")
            .replace("above = \"1d\"", "below = 0.6"),
    );
    let looked = run(&place, "alerts check --config tape.toml");
    assert!(
        looked.code == 14
            && looked.out.contains("its score is 50.00 %; 3 of 6 expected bars can be used, of few bars"),
        "{looked:?}"
    );
}

#[cfg(unix)]
#[test]
fn watching_ends_when_nobody_looks_on() {
    let place = Place::with_bars();
    let mut command = tape();
    command.args(["status", "--watch", "1", "--json", "--store"]).arg(place.store()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("starts");
    let mut out = child.stdout.take().expect("an output");
    let mut seen = Vec::new();
    let mut bytes = [0; 4096];
    while String::from_utf8_lossy(&seen).matches('\n').count() < 2 {
        let count = out.read(&mut bytes).expect("a line");
        seen.extend_from_slice(&bytes[..count]);
    }
    drop(out);
    let begun = std::time::Instant::now();
    while child.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it goes on for nobody");
        std::thread::sleep(Duration::from_millis(50));
    }
}
