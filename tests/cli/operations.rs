//! The log of operations on the command line.

use super::{BARS, Place, member};

#[test]
fn what_was_done_is_on_record_with_what_failed() {
    let place = Place::with_bars();
    let file = place.path("bars.csv").display().to_string();
    let again = place.tape(&format!("import {file} --instrument A.X --frame 1m --json")).clean();
    assert_eq!(member(&again, "version"), 1, "nothing new: the rows are those of version 1");
    place.write("bad.csv", BARS.replace("1.75,1.8,1.7", "oops,1.8,1.7"));
    let bad = place.path("bad.csv").display().to_string();
    place.tape(&format!("import {bad} --instrument A.X --frame 1m")).failed(1);
    place.tape("import nowhere.csv --instrument A.X --frame 1m").failed(3);
    place.tape("snapshot create kept").clean();
    place.tape("prune --keep-from 99").failed(2);
    place.tape("compact").clean();
    place.tape("rollback 1").clean();
    place.tape("resample A.X 1m --into 5m --save").clean();
    let log = place.tape("log --operations --json").clean();
    let told: Vec<(&str, &str)> = log
        .lines()
        .map(|line| {
            let text = |name: &str| {
                let from = line.find(&format!("\"{name}\": \"")).unwrap() + name.len() + 5;
                &line[from..from + line[from..].find('"').unwrap()]
            };
            (text("operation"), text("outcome"))
        })
        .collect();
    let expected = [
        ("derive", "ok"),
        ("rollback", "ok"),
        ("compact", "ok"),
        ("prune", "failed"),
        ("snapshot create", "ok"),
        ("import", "failed"),
        ("import", "failed"),
        ("import", "ok"),
        ("import", "ok"),
    ];
    assert_eq!(told, expected);
    assert!(log.contains("oops") && log.contains("nowhere.csv"), "{log}");
    let failed = place.tape("log --operations --failed --kind import --csv").clean();
    assert!(
        failed.starts_with("time,operation,target,outcome,detail,error,duration_ns,version\n"),
        "{failed}"
    );
    assert_eq!(failed.lines().count(), 3);
    assert_eq!(place.tape("log --operations --since now --json").clean(), "");
    assert_eq!(place.tape("log --operations --kind snapshot --json -n 1").clean().lines().count(), 1);
    let table = place.tape("log --operations -n 1").clean();
    assert!(table.contains("derive     A.X 5m  ok"), "{table}");
    assert!(!place.tape("ls").clean().contains("operations"), "the store's own tables are not listed");
    assert!(place.tape("ls tapestore").clean().contains("operations"));
    place.tape("log --failed").failed(2);
}
