//! What people see: tables, strips, structure, the demo.

use tapestore::{Options, SeriesKey, Store};

use super::{Place, member, run, tape};

#[test]
fn ls_and_coverage_show_a_strip() {
    let place = Place::with_bars();
    let ls = place.tape("ls").clean();
    assert!(
        ls.contains("A.X") && ls.contains("2024-01-01 00:05") && ls.contains("66.66 %")
            || ls.contains("66.67 %"),
        "{ls}"
    );
    assert!(ls.contains("██··██"), "{ls}");
    let coverage = place.tape("coverage").clean();
    assert!(coverage.contains("██··██"), "{coverage}");
    let ranges = place.tape("coverage A.X 1m --ranges --json").clean();
    assert_eq!(ranges.lines().count(), 2);
    let sessions = place.write("sessions.csv", "2024-01-01T00:00,2024-01-01T00:03\n");
    let gaps = place.tape(&format!("gaps A.X 1m --json --sessions {sessions}")).clean();
    assert_eq!(gaps, "{\"start\": 1704067320000000000, \"end\": 1704067380000000000, \"missing\": 1}\n");
    let gaps = place.tape("gaps A.X 1m").clean();
    assert!(gaps.contains("1 gaps, 2 missing bars"), "{gaps}");
}

/// A bar that the source confirmed not to exist is missing nowhere: `ls` once counted it.
#[test]
fn a_bar_that_is_confirmed_absent_is_expected_and_not_missing() {
    let place = Place::with_bars();
    let count = |line: &str| {
        let told = place.tape(line).clean();
        (member(&told, "expected"), member(&told, "missing"))
    };
    assert_eq!(count("ls --json"), (6, 2));
    let store = Store::open(place.store(), Options::default()).expect("opens");
    let mut transaction = store.begin();
    let (key, minute_2) = (SeriesKey::new("A.X", "1m").expect("a key"), 1_704_067_320_000_000_000);
    transaction.confirm_absent(&key, minute_2..minute_2 + 1).expect("a series");
    transaction.commit().expect("commits");
    store.close().expect("closes");
    for line in ["ls --json", "info A.X 1m --json"] {
        assert_eq!(count(line), (6, 1), "{line}");
    }
    let info = place.tape("info A.X 1m").clean();
    assert!(info.contains("4 of 6 bars") && info.contains("1 gaps, 1 missing bars"), "{info}");
}

#[test]
fn a_calendar_that_does_not_say_enough_is_an_error() {
    let place = Place::with_bars();
    let ended = place.tape("gaps A.X 1m --calendar XPAR").failed(2);
    assert!(ended.contains("tape import FILE --kind calendar") && ended.contains("XHKG"), "{ended}");
    // Compiled in: the first of January is no trading day.
    assert!(place.tape("gaps A.X 1m --calendar HKEX").clean().contains("0 gaps"));
    assert!(place.tape("gaps A.X 1m --calendar 24x7").clean().contains("1 gaps, 2 missing bars"));
    let days = place.write("days.csv", "day,exchange,status\n2023-12-29,XHKG,closed\n");
    place.tape(&format!("import {days} --kind calendar")).clean();
    for command in ["gaps A.X 1m", "resample A.X 1m --into 5m", "resample A.X 1m --into 5m --save"] {
        let ended = place.tape(&format!("{command} --calendar XHKG")).failed(2);
        assert!(ended.contains("nothing of before 2023-12-29 and from 2023-12-30 on"), "{command}: {ended}");
    }
    let more = place.write("more.csv", "day,exchange,status\n2024-01-02,XHKG,closed\n");
    place.tape(&format!("import {more} --kind calendar")).clean();
    assert!(
        place.tape("gaps A.X 1m --calendar XHKG").clean().contains("0 gaps"),
        "it is closed all the time"
    );
    let both = place.tape("gaps A.X 1m --calendar XHKG --sessions x.csv").failed(2);
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn info_describes_columns_and_the_store() {
    let place = Place::with_bars();
    let info = place.tape("info A.X 1m").clean();
    for word in ["open", "volume", "f64", "as the source states it", "one row per time"] {
        assert!(info.contains(word), "{word}: {info}");
    }
    assert!(place.tape("info").clean().contains("series"));
    assert!(place.tape("stats").clean().contains("bytes a row"));
}

#[test]
fn show_limits_itself_and_says_so() {
    let place = Place::new();
    let rows = super::minutes(150);
    let file = place.write("bars.csv", rows);
    place.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
    let ended = place.tape("show A.X 1m");
    assert!(ended.err.contains("100 of 150"), "{}", ended.err);
    assert_eq!(ended.clean().lines().count(), 101);
    assert_eq!(place.tape("show A.X 1m --limit 3").clean().lines().count(), 4);
    assert_eq!(
        place.tape("show A.X 1m --from 2024-01-01T00:10 --to 2024-01-01T00:20").clean().lines().count(),
        11
    );
    assert_eq!(place.tape("show A.X 1m --csv -q").clean().lines().count(), 151);
    assert_eq!(place.tape("head A.X 1m").clean().lines().count(), 11);
    assert_eq!(
        place.tape("tail A.X 1m -n 2 --csv --time s").clean(),
        "time,open,high,low,close,volume\n1704076080,1,1,1,1,1\n1704076140,1,1,1,1,1\n"
    );
}

#[test]
fn latest_shows_every_series() {
    let place = Place::with_bars();
    let file = place.write("t.csv", "time,price,side\n1704067200000,1.5,buy\n");
    place.tape(&format!("import {file} --instrument A.X --frame trades")).clean();
    let all = place.tape("latest --csv --time s").clean();
    let expected = "instrument,frame,time,open,high,low,close,volume,price,side\n\
        A.X,1m,1704067500,1.8,100,0.1,-0,3,,\nA.X,trades,1704067200,,,,,,1.5,buy\n";
    assert_eq!(all, expected);
    assert_eq!(place.tape("latest A.X 1m --json").clean().lines().count(), 1);
    place.tape("latest Z.X").failed(2);
}

#[test]
fn inspect_opens_every_kind_of_file() {
    let place = Place::with_bars();
    place.tape("compact").clean();
    let files = place.tape("inspect --json").clean();
    for kind in ["segment", "log", "manifest"] {
        let line = files.lines().find(|line| line.contains(&format!("\"kind\": \"{kind}\""))).expect(kind);
        let name = line.split('"').nth(3).unwrap();
        let text = place.tape(&format!("inspect {name}")).clean();
        assert!(text.contains(kind), "{text}");
        let dump = place.tape(&format!("inspect {name} --hexdump 0:16")).clean();
        assert!(dump.contains("|.TAPE...") && dump.lines().count() == 1, "{dump}");
        place.tape(&format!("inspect {name} --json")).clean();
        if kind == "segment" {
            assert!(
                text.contains("A.X 1m") && text.contains("close") && text.contains("bytes/row"),
                "{text}"
            );
        }
    }
    assert!(place.tape("inspect").clean().contains("in all"));
}

#[test]
fn completions_exist_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.tape(&format!("completions {shell}")).clean().contains("snapshot"), "{shell}");
    }
}

#[test]
fn the_demo_tells_its_story() {
    let place = Place::new();
    let mut command = tape();
    command.args(["demo", "--keep"]).arg(place.path("kept"));
    let story = run(command, b"").clean();
    for word in ["Importing twice changes nothing", "snapshot", "rollback", "clean", "smaller"] {
        assert!(story.contains(word), "{word}: {story}");
    }
    let mut command = tape();
    command.arg("--store").arg(place.path("kept/store")).args(["verify", "--deep", "--json"]);
    assert_eq!(run(command, b"").clean(), "");
}
