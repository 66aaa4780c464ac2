//! Alerts on the command line: looks, what they keep, who is told, and how they exit.

use super::{Place, exists, member, tape};

/// Rules about gaps and freshness, and sinks: a log and a program, of which one fails.
const CONFIG: &str = r#"store = "store"
[alerts]
defaults = false
[[alerts.rules]]
check = "gaps"
level = "LOW"
within = "all"
[[alerts.rules]]
check = "freshness"
level = "HIGH"
above = "1d"
series = ["A.* 1m"]
[alerts.sinks.journal]
kind = "log"
path = "alerts.jsonl"
[alerts.sinks.pager]
kind = "command"
command = ["sh", "-c", "cat > paged.json; exit $(cat code)"]
level = "HIGH"
"#;

fn run(place: &Place, line: &str) -> super::Ended {
    let mut command = tape();
    command.args(line.split_whitespace()).current_dir(place.directory.path());
    super::run(command, b"")
}

#[test]
fn looks_keep_what_changed_tell_and_exit_by_the_highest_level() {
    let place = Place::with_bars();
    place.write("tape.toml", CONFIG);
    place.write("code", "1");
    let told = run(&place, "config check tape.toml").clean();
    assert!(
        told.contains(
            "freshness  HIGH   freshness above 1d  1d        4h        A.* 1m              journal pager"
        ),
        "{told}"
    );
    assert!(told.contains("sink pager: a command, from HIGH on"), "{told}");
    let version = || member(&place.tape("stats --json").clean(), "version");
    let before = version();
    let dry = run(&place, "alerts check --config tape.toml --dry-run");
    assert_eq!((dry.code, version()), (13, before), "{dry:?}");
    assert!(!exists(&place.path("alerts.jsonl")));
    let first = run(&place, "alerts check --config tape.toml");
    assert_eq!(first.code, 13, "{first:?}");
    assert!(first.out.contains("2 rules, 2 readings: 2 open; 2 fired, 0 repeated, 0 resolved"), "{first:?}");
    assert!(
        first.err.contains("the command pager was not reached and is owed the alert: sh ended with 1"),
        "{first:?}"
    );
    assert!(first.err.contains("1 HIGH, 1 LOW fires"), "{first:?}");
    assert_eq!(place.read("alerts.jsonl").lines().count(), 2);
    assert!(place.read("paged.json").contains("\"rule\": \"freshness\""));
    let listed = place.tape("alerts list");
    assert!(listed.out.contains("fired is owed to pager"), "{listed:?}");
    // The next look pays what is owed, and tells nothing twice.
    place.write("code", "0");
    let second = run(&place, "alerts check --config tape.toml");
    assert!(second.code == 13 && second.out.contains("0 fired"), "{second:?}");
    assert!(!place.tape("alerts list").out.contains("owed"));
    assert_eq!(place.read("alerts.jsonl").lines().count(), 2);
    let settled = version();
    run(&place, "alerts check --config tape.toml");
    assert_eq!(version(), settled, "nothing changed, nothing is written");
    let file = place.write("rest.csv", "1704067320000,1,1,1,1,1\n1704067380000,1,1,1,1,1\n");
    place.tape(&format!("import {file} --instrument A.X --frame 1m --no-header")).clean();
    let third = run(&place, "alerts check --config tape.toml --json");
    assert!(third.code == 13 && third.out.contains("\"resolved\": 1"), "{third:?}");
    let history = place.tape("alerts history").clean();
    assert!(history.lines().nth(1).is_some_and(|line| line.contains("resolved  LOW    gaps")), "{history}");
    assert_eq!(place.tape("alerts history fresh*").clean().lines().count(), 2);
    let log = place.tape("log").clean();
    assert!(log.contains("alerts: 2 fired, 0 repeated, 0 resolved"), "{log}");
}

#[test]
fn alerts_are_acknowledged_and_silenced() {
    let place = Place::with_bars();
    place.write("tape.toml", CONFIG.replace("level = \"HIGH\"\ncommand", "command"));
    place.write("code", "0");
    let silenced = place.tape_with(&["alerts", "silence", "A.X*", "--rule", "gaps", "--for", "2h"], b"");
    assert!(silenced.err.contains("for 2h: rules gaps, subjects A.X*"), "{silenced:?}");
    run(&place, "alerts check --config tape.toml");
    let log = place.read("alerts.jsonl");
    assert!(log.lines().count() == 1 && log.contains("freshness"), "{log}");
    let listed = place.tape("alerts list");
    assert!(listed.out.contains("LOW    silenced") && listed.out.contains("HIGH   firing"), "{listed:?}");
    let silences = place.tape("alerts silence").clean();
    let id = silences.lines().nth(1).and_then(|line| line.split(' ').next()).expect("a silence");
    place.tape(&format!("alerts silence --end {id}")).clean();
    assert_eq!(place.tape("alerts silence").clean(), "");
    run(&place, "alerts check --config tape.toml");
    assert_eq!(place.read("alerts.jsonl").lines().count(), 2, "told once it is over");
    let fingerprint = listed.out.lines().nth(1).and_then(|line| line.rsplit(' ').next()).expect("a row");
    place.tape_with(&["alerts", "ack", fingerprint, "--note", "known"], b"").clean();
    assert!(place.tape("alerts list").out.contains("HIGH   acknowledged"));
    let error = place.tape("alerts ack 0000").failed(2);
    assert!(error.contains("no open alert begins with \"0000\""), "{error}");
    let error = place.tape("alerts silence --for soon").failed(2);
    assert!(error.contains("\"soon\" is no span of time; write 2h"), "{error}");
}

#[test]
fn without_a_configuration_the_documented_rules_hold() {
    let place = Place::with_bars();
    let looked = place.tape("alerts check --json");
    let summary = looked.out.lines().last().expect("a summary");
    assert_eq!(member(summary, "rules"), 7);
    // Nothing but a disk that is nearly full, by one rule or by both.
    let open = member(summary, "open");
    assert!(open <= 2 && (open > 0) == (looked.code != 0), "{looked:?}");
    assert!(open == 0 || looked.out.contains("\"disk-"), "{looked:?}");
    let operations = place.tape("log --operations").clean();
    assert!(operations.contains("verify") && operations.contains("clean"), "{operations}");
    let mistaken = place.write("bad.toml", "store = \"store\"\n[alerts]\nrule = []\n");
    let error = place.tape(&format!("alerts check --config {mistaken}")).failed(2);
    assert!(error.contains("bad.toml, line 3: alerts has no field \"rule\""), "{error}");
}

#[test]
fn a_look_waits_for_the_writer() {
    let place = Place::with_bars();
    let held = tapestore::Store::open(place.store(), tapestore::Options::default()).expect("opens");
    place.write("tape.toml", CONFIG);
    place.write("code", "0");
    let refused = run(&place, "alerts check --config tape.toml --wait 300ms");
    assert_eq!(refused.code, 3, "{refused:?}");
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        held.close().expect("closes");
    });
    assert_eq!(run(&place, "alerts check --config tape.toml --wait 20s").code, 13);
    thread.join().expect("ends");
}

/// Rules about one instrument of Hong Kong, whose calendar only its name and the tables of the store tell.
const HONG_KONG: &str = r#"store = "store"
[alerts]
defaults = false
[[alerts.rules]]
check = "gaps"
level = "LOW"
within = "all"
series = ["0700.HK 1m"]
[[alerts.rules]]
check = "freshness"
level = "HIGH"
above = "5m"
series = ["0700.HK 1m"]
"#;

#[test]
fn alerts_know_calendars_halts_and_listings_as_quality_does() {
    let place = Place::new();
    place.write("tape.toml", HONG_KONG);
    // 2024-01-02 from 09:30 to 12:00 and from 14:00 to 16:00 in Hong Kong.
    let row = |minute: i64| format!("{},1,1,1,1,1\n", 1_704_153_600 + minute * 60);
    let bars: String = (90..240).chain(360..480).map(row).collect();
    let file = place.write("bars.csv", bars);
    place.tape(&format!("import {file} --instrument 0700.HK --frame 1m --no-header")).clean();
    let look = || run(&place, "alerts check --config tape.toml --dry-run --json");
    let first = look();
    assert_eq!(first.code, 13, "{first:?}");
    assert!(
        first.out.contains("60 bars are missing in 1 gap, the largest from 2024-01-02 05:00"),
        "{first:?}"
    );
    assert!(first.out.contains("the bar of 2024-01-03 01:30 has been due for"), "{first:?}");
    let halts = "from,ticker,to,reason\n2024-01-02T05:00Z,0700.HK,2024-01-02T06:00Z,news\n2024-01-02T08:00Z,0700.HK,,news\n";
    let file = place.write("halts.csv", halts);
    place.tape(&format!("import {file} --kind halts")).clean();
    let second = look();
    assert_eq!(
        (second.code, member(&second.out, "readings"), member(&second.out, "open")),
        (0, 2, 0),
        "{second:?}"
    );
    let score = run(&place, "quality --config tape.toml --json").clean();
    assert_eq!(
        (member(&score, "expected"), member(&score, "missing"), member(&score, "lag_ns")),
        (270, 0, 0)
    );
    // The section of quality names another calendar: what is missing in the morning is no gap by it.
    let other = format!(
        "{HONG_KONG}[quality]\ncalendars = {{ \"0700.HK\" = \"office\" }}\n[calendars.office]\nopen = [\"10:00-11:00\"]\n"
    );
    place.write("tape.toml", other);
    place.tape("delete 0700.HK 1m --from 2024-01-02T02:00:00Z --to 2024-01-02T02:30:00Z").clean();
    let third = look();
    assert_eq!(third.code, 0, "{third:?}");
}
