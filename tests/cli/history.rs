//! Versions: as-of reads, snapshots, rollback, prune, backup.

use super::{Place, exists, member, run, tape};

/// A store whose first bar was 1.75 in version 1 and is 9 since version 2.
fn corrected() -> Place {
    let place = Place::with_bars();
    place.tape("snapshot create imported").clean();
    let file = place.write("fix.csv", "ts,open,high,low,close,volume\n1704067200,1.5,9,1,9,10\n");
    place
        .tape(&format!("import {file} --instrument A.X --frame 1m --source repair --message mended"))
        .clean();
    place
}

fn first_close(place: &Place, more: &str) -> String {
    let out = place.tape(&format!("head A.X 1m -n 1 --csv --columns close {more}")).clean();
    out.lines().nth(1).and_then(|line| line.split(',').nth(1)).unwrap_or("none").to_owned()
}

#[test]
fn earlier_states_are_read_by_number_name_and_time() {
    let place = corrected();
    assert_eq!(first_close(&place, ""), "9");
    for state in ["1", "v1", "imported"] {
        assert_eq!(first_close(&place, &format!("--as-of {state}")), "1.75", "{state}");
    }
    assert_eq!(first_close(&place, "--as-of now"), "9");
    let log = place.tape("log --json").clean();
    let first = log.lines().last().unwrap();
    assert_eq!(first_close(&place, &format!("--as-of {}", member(first, "time"))), "1.75");
    assert!(log.lines().next().unwrap().contains("\"message\": \"mended\""), "{log}");
    assert!(place.tape("head A.X 1m --as-of nonsense").failed(2).contains("imported"));
    place.tape("head A.X 1m --as-of 99").failed(2);
}

#[test]
fn provenance_tells_where_a_row_is_from() {
    let place = corrected();
    let out = place.tape("show A.X 1m --csv --time s --columns close --provenance --limit 2").clean();
    assert_eq!(out, "time,close,version,source,flags\n1704067200,9,3,repair,\n1704067260,1.8,1,import,\n");
}

#[test]
fn rollback_is_a_new_version_and_can_be_undone() {
    let place = corrected();
    let report = place.tape("rollback imported --json").clean();
    assert_eq!(member(&report, "version"), 4);
    assert_eq!((first_close(&place, ""), first_close(&place, "--as-of 3")), ("1.75".into(), "9".into()));
    place.tape("rollback 3").clean();
    assert_eq!(first_close(&place, ""), "9");
    assert!(place.tape("rollback 6").clean().contains("nothing to do"));
    assert_eq!(place.tape("verify --deep --json").clean(), "");
}

#[test]
fn snapshots_are_listed_and_dropped() {
    let place = corrected();
    place.tape("snapshot create repaired --at 2").clean();
    let list = place.tape("snapshot ls --json").clean();
    let versions: Vec<_> = list.lines().map(|line| member(line, "version")).collect();
    assert_eq!(versions, [1, 2]);
    place.tape("snapshot drop imported").clean();
    assert_eq!(place.tape("snapshot ls --json").clean().lines().count(), 1);
    place.tape("snapshot drop imported").failed(2);
    place.tape("snapshot create repaired").failed(2);
}

#[test]
fn prune_forgets_but_for_snapshots() {
    let place = corrected();
    place.tape("prune --keep-from 2 --json").clean();
    assert_eq!(first_close(&place, "--as-of imported"), "1.75", "snapshots stay");
    place.tape("snapshot drop imported").clean();
    place.tape("prune --keep-from 2").clean();
    assert_eq!(first_close(&place, ""), "9");
    place.tape("head A.X 1m --as-of 1").failed(2);
    assert_eq!(place.tape("verify --deep --json").clean(), "");
}

#[test]
fn a_backup_is_a_store_and_is_brought_up_to_date() {
    let place = corrected();
    place.tape("compact").clean();
    let copy = place.path("copy");
    place.tape(&format!("backup {} --json", copy.display())).clean();
    assert!(exists(&copy));
    let again = place.tape(&format!("backup {} --json", copy.display())).clean();
    assert!(member(&again, "files_kept") > 0, "{again}");
    let mut command = tape();
    command.arg("--store").arg(&copy).args(["verify", "--deep", "--json"]);
    assert_eq!(run(command, b"").clean(), "");
    let mut command = tape();
    command.arg("--store").arg(&copy).args(["export", "A.X", "1m", "--csv"]);
    assert_eq!(run(command, b"").clean(), place.tape("export A.X 1m --csv").clean());
}
