//! What scripts rely on. These lines are documented and do not change.

use super::{BARS, Place, member};

const EXPORTED: &str = "time,open,high,low,close,volume\n\
    1704067200000000000,1.5,2,1,1.75,10\n\
    1704067260000000000,1.75,1.8,1.7,1.8,0.00000008\n\
    1704067440000000000,1.8,1.8,1.8,1.8,0.1\n\
    1704067500000000000,1.8,100,0.1,-0,3\n";

#[test]
fn import_creates_the_store_and_repeats_without_effect() {
    let place = Place::new();
    let file = place.write("bars.csv", BARS);
    let line = format!("import {file} --instrument NEOUSD.BITFINEX --frame 1m --json");
    let first = place.tape(&line);
    assert!(first.err.contains("creating a new store"), "{}", first.err);
    let first = first.clean();
    assert_eq!((member(&first, "rows"), member(&first, "added"), member(&first, "bad")), (4, 4, 0));
    let again = place.tape(&line);
    assert!(!again.err.contains("creating"));
    let again = again.clean();
    assert_eq!((member(&again, "added"), member(&again, "updated"), member(&again, "unchanged")), (0, 0, 4));
    assert_eq!(member(&again, "version"), member(&first, "version"), "nothing new is no version");
    let text = place.tape(&format!("import {file} --instrument NEOUSD.BITFINEX --frame 1m")).clean();
    assert!(text.contains("nothing new") && text.contains("0 added"), "{text}");
}

#[test]
fn export_writes_exact_csv() {
    let place = Place::with_bars();
    let file = place.path("out.csv").display().to_string();
    let ended = place.tape(&format!("export A.X 1m --csv --time ns -o {file}"));
    assert_eq!(ended.clean(), "", "data goes to the file");
    assert_eq!(place.read("out.csv"), EXPORTED);
    assert_eq!(place.tape("export A.X 1m --csv --time ns -o -").clean(), EXPORTED);
    let error = place.tape(&format!("export A.X 1m --csv --time ns -o {file}")).failed(2);
    assert!(error.contains("-f"), "{error}");
    place.tape(&format!("export A.X 1m --csv --time ns -f -o {file}")).clean();
}

#[test]
fn gaps_are_one_object_a_line_and_no_finding() {
    let place = Place::with_bars();
    let ended = place.tape("gaps A.X 1m --json").clean();
    assert_eq!(ended, "{\"start\": 1704067320000000000, \"end\": 1704067440000000000, \"missing\": 2}\n");
    assert_eq!(
        place.tape("gaps A.X 1m --csv").clean(),
        "start,end,missing\n1704067320000000000,1704067440000000000,2\n"
    );
    let before = place.tape("gaps A.X 1m --json --from 2023-12-31T23:58 --to 2024-01-01T00:03").clean();
    let lines: Vec<_> = before.lines().map(|line| member(line, "missing")).collect();
    assert_eq!(lines, [2, 1], "a range is half-open and counts what lies before the first bar");
}

#[test]
fn stats_has_the_promised_members() {
    let place = Place::with_bars();
    let stats = place.tape("stats --json").clean();
    assert_eq!((member(&stats, "rows"), member(&stats, "series"), member(&stats, "version")), (4, 1, 1));
    assert!(member(&stats, "bytes_on_disk") > 0);
    let before = member(&stats, "segments");
    place.tape("compact").clean();
    assert_eq!((before.min(1), member(&place.tape("stats --json").clean(), "segments")), (before, 1));
}

#[test]
fn verify_is_silent_when_clean() {
    let place = Place::with_bars();
    assert_eq!(place.tape("verify --deep --json").clean(), "");
    place.tape("compact").clean();
    assert_eq!(place.tape("verify --deep --json").clean(), "");
    assert!(place.tape("verify").clean().contains("clean"));
}

#[test]
fn the_store_can_come_from_the_environment() {
    let place = Place::with_bars();
    let mut command = super::tape();
    command.env("TAPE_STORE", place.store()).args(["stats", "--json"]);
    assert_eq!(member(&super::run(command, b"").clean(), "rows"), 4);
}

#[test]
fn json_rows_are_one_object_a_line() {
    let place = Place::with_bars();
    let line = place.tape("tail A.X 1m -n 1 --json --time ns").clean();
    let expected = "{\"time\": 1704067500000000000, \"open\": 1.8, \"high\": 100, \"low\": 0.1, \"close\": -0, \"volume\": 3}\n";
    assert_eq!(line, expected);
    let line = place.tape("export A.X 1m --json --columns close --limit 1").clean();
    assert_eq!(line, "{\"time\": \"2024-01-01T00:00:00Z\", \"close\": 1.75}\n");
}
