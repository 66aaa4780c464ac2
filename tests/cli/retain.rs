//! `tape retain`: what declared tables keep, shown before it is done, and done.

use super::{Place, minutes};

/// Three days of minutes, of which a table keeps one day, and hours for ever.
fn place() -> Place {
    let place = Place::new();
    let file = place.write("bars.csv", minutes(3 * 1440));
    place.tape(&format!("--quiet import {file} --no-header --instrument A.X --frame 1m")).clean();
    place
}

fn declare(place: &Place, retention: &str) {
    let table = format!(
        "[[tables]]\nname = \"minutes\"\nkind = \"bars\"\nframe = \"1m\"\ninstruments = [\"*\"]\nretention = {retention}\n"
    );
    let file = place.write("schema.toml", table);
    place.tape(&format!("schema apply {file}")).clean();
}

fn rows(place: &Place, frame: &str) -> usize {
    place.tape(&format!("show A.X {frame} --csv")).clean().lines().count() - 1
}

#[test]
fn a_dry_run_changes_nothing_and_applying_does_what_it_said() {
    let place = place();
    place.tape("snapshot create before").clean();
    declare(&place, "{ keep = \"1d\", rollup = [\"1h\"] }");
    let plan = place.tape("retain").clean();
    let expected = "A.X 1m keeps 1d: 2,820 rows go, from 2024-01-01 to 2024-01-02 22:59\n  1h from 1m: 72 bars \
        to make, 0 are there\n  snapshot \"before\" shows rows that go: they take space until tape snapshot drop \
        before\n2,820 rows would be deleted, 72 bars made before; nothing is changed without --apply\n";
    assert_eq!(plan, expected);
    assert_eq!(rows(&place, "1m"), 3 * 1440);
    let done = place.tape("retain --apply --json").clean();
    assert!(done.contains("\"bars_written\": 72, \"rows_deleted\": 2820"), "{done}");
    assert_eq!((rows(&place, "1m"), rows(&place, "1h")), (1500, 72));
    let again = place.tape("retain --apply").clean();
    assert!(again.starts_with("A.X 1m: 0 bars written, 0 rows deleted"), "{again}");
    let log = place.tape("log --operations --json").clean();
    assert!(log.contains("\"retain\"") && log.contains("2820 rows deleted"), "{log}");
    // Space: the snapshot holds the rows, then nothing does.
    place.tape("snapshot drop before").clean();
    let version = place.tape("log -n 1 --json").clean();
    let version = super::member(&version, "version");
    assert!(place.tape(&format!("prune --keep-from {version}")).clean().contains("rows of history dropped"));
    assert!(place.tape("verify --deep").clean().contains("clean"));
    assert_eq!((rows(&place, "1m"), rows(&place, "1h")), (1500, 72));
}

#[test]
fn what_is_not_declared_or_stands_in_the_way_is_named() {
    let place = place();
    assert!(place.tape("retain").failed(2).contains("no table of the store says how long its rows are kept"));
    declare(&place, "{ keep = \"1d\", rollup = [\"1h\"] }");
    let hour = place.write("hour.csv", "1704067200,1,1,1,1,1\n");
    place.tape(&format!("import {hour} --no-header --instrument A.X --frame 1h")).clean();
    let ended = place.tape("retain --apply");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("A.X 1h exists and is no roll-up"), "{ended:?}");
    assert_eq!(rows(&place, "1m"), 3 * 1440);
    assert!(place.tape("retain --late").failed(2).contains("--apply"));
}
