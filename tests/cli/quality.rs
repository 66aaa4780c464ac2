//! `tape quality` and the repair of bars.

use super::{Place, member};

fn minutes(skip: std::ops::Range<i64>) -> String {
    let mut text = String::from("open_time,open,high,low,close,volume\n");
    for minute in (0..1500).filter(|minute| !skip.contains(minute)) {
        let close = 1000 + (minute * 7919) % 13;
        let time = 1_735_689_600_000_i64 + minute * 60_000;
        text += &format!("{time},1000,1020,990,{close},{}\n", 1 + minute % 97);
    }
    text
}

fn place() -> Place {
    let place = Place::new();
    let file = place.write("bars.csv", minutes(600..605));
    place.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
    place
}

#[test]
fn scores_have_a_threshold_and_need_no_lock_to_be_shown() {
    let place = place();
    let error = place.tape("quality --kept").failed(2);
    assert!(error.contains("leave out --kept"), "{error}");
    let line = place.tape("quality --json --at 2025-01-02T01:00:00Z").clean();
    assert_eq!(
        (member(&line, "expected"), member(&line, "usable"), member(&line, "missing")),
        (1500, 1495, 5)
    );
    assert!(line.contains("\"tier\": \"A\"") && line.contains("\"lag_ns\": 0"), "{line}");
    let late = place.tape("quality --json --at 2025-01-02T02:00:00Z").clean();
    assert!(late.contains("\"tier\": \"C\"") && late.contains("\"held_back\": true"), "{late}");
    place.tape("quality --kept --at 2025-01-02T01:00:00Z --at-least A").clean();
    let ended = place.tape("quality --kept --at 2025-01-02T01:00:00Z --at-least S");
    assert_eq!(ended.code, 1, "{ended:?}");
    let days = place.tape("quality --kept --by day --csv").clean();
    assert_eq!(days.lines().count(), 3, "{days}");
    let error = place.tape("quality B.Y").failed(2);
    assert!(error.contains("no bars of an instrument with \"B.Y\""), "{error}");
}

#[test]
fn findings_are_listed_accepted_and_reopened() {
    let place = place();
    let found = place.tape("quality --findings --json").clean();
    let missing = found.lines().find(|line| line.contains("\"missing\"")).unwrap_or_default();
    assert_eq!(member(missing, "bars"), 5, "{found}");
    let version = place.tape("log --json").clean();
    place.tape("quality").clean();
    assert_eq!(place.tape("log --json").clean(), version, "checking again makes no version");
    place.tape("quality accept A.X 1m missing").clean();
    assert!(!place.tape("quality --kept --findings --json").clean().contains("\"missing\""));
    assert!(place.tape("quality --kept --findings --all --json").clean().contains("\"accepted\""));
    let error = place.tape("quality accept A.X 1m missing").failed(2);
    assert!(error.contains("no finding"), "{error}");
    place.tape("quality reopen A.X 1m missing").clean();
    let error = place.tape("quality accept A.X 1m nonsense").failed(2);
    assert!(error.contains("the rules are"), "{error}");
}

#[test]
fn bars_are_repaired_and_the_repair_is_taken_back() {
    let place = place();
    let before = place.tape("export A.X 1m --csv --provenance -o - --columns close").clean();
    let ended = place.tape("repair --plan");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("0 bars can be repaired, 5 cannot"), "{ended:?}");
    assert!(!place.tape("log --operations").clean().contains("repair"), "a plan is no operation that failed");
    let plan = place.tape("repair --plan --forward-fill --json").clean();
    assert_eq!(plan.lines().count(), 5, "{plan}");
    let done = place.tape("repair --apply --forward-fill").clean();
    assert!(done.contains("5 bars, 1 findings are closed"), "{done}");
    let score = place.tape("quality --kept --json").clean();
    assert_eq!((member(&score, "usable"), member(&score, "synthetic")), (1495, 5), "{score}");
    place.tape("repair --undo").clean();
    assert_eq!(place.tape("export A.X 1m --csv --provenance -o - --columns close").clean(), before);
    let error = place.tape("repair --undo").failed(2);
    assert!(error.contains("no repair"), "{error}");
    let error = place.tape("repair").failed(2);
    assert!(error.contains("--plan") && error.contains("TARGET"), "{error}");
    place.tape("repair elsewhere --plan").failed(2);
}

const EXPORT: &str = "export BTCUSDT.BINANCE 1m --csv --provenance -o -";

/// A day of minutes of the exchange, and how it was before five of them were taken away.
fn fetched(url: &str) -> (Place, String) {
    let place = Place::new();
    let line = format!("fetch binance BTCUSDT -t 1m --since 2026-02-01 --until 2026-02-02 --url {url}");
    super::fetch::fetch(&place, &line).clean();
    let whole = place.tape(EXPORT).clean();
    let range = "--from 2026-02-01T10:00:00Z --to 2026-02-01T10:05:00Z";
    place.tape(&format!("delete BTCUSDT.BINANCE 1m {range}")).clean();
    (place, whole)
}

/// Every line without some columns.
fn without(text: &str, names: &[&str]) -> Vec<String> {
    let head: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    let kept = |line: &str| -> String {
        let cells = line.split(',').zip(&head).filter(|(_, name)| !names.contains(name));
        cells.map(|(cell, _)| cell).collect::<Vec<_>>().join(",")
    };
    text.lines().map(kept).collect()
}

fn assert_same(left: &[String], right: &[String]) {
    assert_eq!(left.len(), right.len());
    assert_eq!(left.iter().zip(right).find(|(left, right)| left != right), None);
}

#[test]
fn a_source_is_asked_again_and_what_it_gives_is_taken_back_to_the_bit() {
    let (exchange, server) = super::fetch::exchange(std::time::Duration::ZERO);
    let (place, whole) = fetched(&server.url);
    // 12:00 is minute 720 of the day, and 45,360 of the year: a close that the next bar takes back, twice its low.
    let wrong = "open_time,open,high,low,close,volume\n1769947200000,45360.25,90721,45360,90720,12.125\n";
    let file = place.write("wrong.csv", wrong);
    place.tape(&format!("import {file} --instrument BTCUSDT.BINANCE --frame 1m")).clean();
    let before = place.tape(EXPORT).clean();
    let repair = |what: &str| {
        let line = format!("repair {what} --source binance --url {}", server.url);
        super::fetch::fetch(&place, &line)
    };
    let plan = repair("--plan --json").clean();
    let fixes: Vec<&str> = plan.lines().collect();
    assert_eq!(fixes.len(), 6, "{plan}");
    for (minute, fix) in [0, 1, 2, 3, 4, 120].into_iter().zip(&fixes) {
        assert!(fix.contains("\"refetched\"") && fix.contains("\"from\": \"binance\""), "{fix}");
        assert_eq!(member(fix, "close"), 45_240 + minute, "{fix}");
    }
    assert!(place.tape(EXPORT).clean() == before, "a plan writes nothing");
    let sent = exchange.sent().len();
    let done = repair("--apply").clean();
    assert!(
        done.contains("6 bars can be repaired, 0 cannot") && done.contains("6 bars, 2 findings"),
        "{done}"
    );
    assert!(exchange.sent().len() > sent);
    // Every value is as it was, and the repaired bars say that they are.
    let after = place.tape(EXPORT).clean();
    assert_same(&without(&after, &["version", "flags"]), &without(&whole, &["version", "flags"]));
    let told = without(&after, &["version"]).into_iter().zip(without(&whole, &["version"]));
    assert_eq!(told.filter(|(after, whole)| after != whole).count(), 6);
    let score = place.tape("quality --kept --json --at 2026-02-02").clean();
    assert_eq!((member(&score, "expected"), member(&score, "usable")), (1440, 1440), "{score}");
    assert!(repair("--plan").clean().contains("0 bars can be repaired, 0 cannot"));
    place.tape("repair --undo").clean();
    let undone = place.tape(EXPORT).clean();
    assert_same(&without(&undone, &["version"]), &without(&before, &["version"]));
}

#[test]
fn a_source_is_asked_again_and_what_breaks_a_rule_is_not_taken() {
    let (exchange, server) = super::fetch::exchange(std::time::Duration::ZERO);
    let (place, _) = fetched(&server.url);
    let before = place.tape(EXPORT).clean();
    let sent = exchange.sent().len();
    // Highs below lows.
    let row = |minute: i64| {
        let open = 1_769_940_000_000 + minute * 60_000;
        format!(r#"[{open},"7","5","9","7","12",{},"84",1,"6","42","0"]"#, open + 59_999)
    };
    let page = format!("[{}]", (0..5).map(row).collect::<Vec<_>>().join(","));
    exchange.play("BTCUSDT", [super::exchange::Trick::Status(200, Vec::new(), page.leak())]);
    let line = format!("repair --apply --source binance --url {}", server.url);
    let ended = super::fetch::fetch(&place, &line);
    assert_eq!((ended.code, exchange.sent().len()), (1, sent + 1), "{ended:?}");
    assert!(ended.out.contains("0 bars can be repaired, 5 cannot"), "{ended:?}");
    assert!(place.tape(EXPORT).clean() == before, "nothing is written");
    // A source that fails names itself, and nothing is written.
    exchange.play(
        "BTCUSDT",
        [super::exchange::Trick::Status(400, Vec::new(), r#"{"code":-1100,"msg":"Illegal characters."}"#)],
    );
    let ended = super::fetch::fetch(&place, &line);
    assert!(ended.code == 2 && ended.err.contains("Illegal characters"), "{ended:?}");
    assert!(place.tape(EXPORT).clean() == before, "nothing is written");
}

/// Universes of a configuration, one of them within another, and a store that it names.
const UNIVERSES: &str = r#"store = "store"
[universes.all]
symbols = ["A", "B"]
[universes.best]
symbols = ["A"]
[sources.folder]
kind = "csv"
path = "{symbol}.csv"
time = "open_time"
intervals = ["1m"]
name = "{symbol}.X"
[[fetch]]
source = "folder"
symbols = ["A", "B"]
timeframes = ["1m"]
since = "2024-01-01"
[quality]
provisional = 100
"#;

#[test]
fn universes_of_the_configuration_are_scored_and_have_a_trend() {
    let place = place();
    place.write("tape.toml", UNIVERSES);
    let file = place.write("more.csv", minutes(100..400));
    place.tape(&format!("import {file} --instrument B.X --frame 1m")).clean();
    place.tape(&format!("import {file} --instrument C.X --frame 1m")).clean();
    let run = |line: &str| {
        let mut command = super::tape();
        command.args(line.split_whitespace()).current_dir(place.directory.path());
        super::run(command, b"")
    };
    let at = "--at 2025-01-02T01:00:00Z";
    let scores = run(&format!("quality --by universe --config tape.toml --json {at}")).clean();
    let lines: Vec<&str> = scores.lines().collect();
    let of = |name: &str| {
        let line = lines.iter().find(|line| line.contains(&format!("\"instrument\": \"{name}\"")));
        let line = line.unwrap_or_else(|| panic!("{name} in {scores}"));
        (member(line, "expected"), member(line, "missing"), member(line, "open_findings") > 0)
    };
    assert_eq!((lines.len(), of("best")), (3, (1500, 5, true)), "{scores}");
    assert_eq!((of("all"), of("(none)")), ((3000, 305, true), (1500, 300, true)));
    let shown = run(&format!("quality --by universe --config tape.toml --kept {at}")).clean();
    assert!(shown.starts_with("universe  frame"), "{shown}");
    // Without a configuration everything is one.
    let plain = run(&format!("quality --store store --by universe --kept --json {at}")).clean();
    assert_eq!((plain.lines().count(), member(&plain, "expected")), (1, 4500), "{plain}");
    // What was missing comes: a line for each universe in which something changed.
    let rest = place.write("rest.csv", minutes(0..100));
    place.tape(&format!("import {rest} --instrument B.X --frame 1m")).clean();
    run("quality --config tape.toml").clean();
    let trend = run("quality --trend --by universe --config tape.toml --json").clean();
    let found: Vec<(bool, i64)> =
        trend.lines().map(|line| (line.contains("\"best\""), member(line, "usable"))).collect();
    assert_eq!(found.iter().filter(|line| line.0).count(), 1, "{trend}");
    assert_eq!((found.len(), found.last().map(|line| line.1)), (4, Some(2995)), "{trend}");
    let table = run("quality --trend --by instrument --store store").clean();
    assert!(table.lines().next().is_some_and(|line| line.contains("instrument")), "{table}");
    let error = run("quality --trend --by day --store store").failed(2);
    assert!(error.contains("by version, not by day"), "{error}");
    // The store and the rules of a configuration hold for repairs and for what is accepted as well.
    let version = member(&run("stats --json --store store").clean(), "version");
    run("quality --kept --config tape.toml").clean();
    run("quality accept A.X 1m missing --config tape.toml").clean();
    run("quality reopen A.X 1m missing --config tape.toml").clean();
    let done = run("repair --apply --forward-fill --instrument A.X --config tape.toml").clean();
    assert!(done.contains("5 bars, 1 findings are closed"), "{done}");
    run("repair --undo --config tape.toml").clean();
    let log = run("log --store store --json").clean();
    let checks = log.lines().filter(|line| line.contains("\"checks\"") && member(line, "version") > version);
    // Of one day of one series each: the rules did not change in between.
    assert_eq!(checks.count(), 4, "{log}");
}

#[test]
fn what_is_not_there_is_named() {
    let place = place();
    place.tape("quality").clean();
    for (line, hint) in [
        (
            "quality NOPE 5m",
            "no bars of an instrument with \"NOPE\" in its name of the frame \"5m\" were checked",
        ),
        ("quality --trend NOPE", "\"NOPE\""),
        ("quality --calendar NOPE", "there is no calendar \"NOPE\""),
        ("quality --findings --by day", "cannot be used with"),
        ("quality accept NOPE.X 1m missing", "NOPE.X 1m"),
        ("quality compare A.X A.X", "A.X is named twice"),
        ("quality compare A.X B.X", "no series B.X 1m"),
        ("repair --plan --instrument NOPE", "there are no bars of \"NOPE\" in the store"),
        (
            "repair --plan --instrument A.X --frame 5m",
            "there are no bars of A.X of the frame \"5m\" in the store",
        ),
        ("repair --plan --other A.X=NOPE", "there are no bars of \"NOPE\" in the store"),
        ("repair --apply --calendar NOPE", "there is no calendar \"NOPE\""),
        ("calendar XHKG --from 2024-01-05 --to 2024-01-01", "--from lies after --to"),
    ] {
        let error = place.tape(line).failed(2);
        assert!(error.contains(hint), "{line}: {error}");
        // One line, unless it is about the call itself.
        assert!(error.lines().count() == 1 || error.starts_with("error: "), "{line}: {error}");
    }
    let error = place.tape("report -o nowhere/x.html").failed(3);
    assert!(error.contains("there is no directory nowhere") && !error.contains(".part"), "{error}");
    // Of days of which nothing is expected there is no share.
    let line = place.tape("quality --kept --from 2030-01-01 --json").clean();
    assert!(line.contains("\"tier\": null, \"score\": null"), "{line}");
    let table = place.tape("quality --kept --from 2030-01-01").clean();
    assert!(
        table.lines().nth(1).is_some_and(|line| line.contains(" -  ")) && !table.contains('?'),
        "{table}"
    );
    // Of many series that cannot be checked for one reason one line tells.
    for name in ["A.HK", "B.HK", "C.HK"] {
        let file = place.write(
            "old.csv",
            "open_time,open,high,low,close,volume\n1995-01-03,1,1,1,1,1\n1995-01-04,1,1,1,1,1\n",
        );
        place.tape(&format!("import {file} --instrument {name} --frame 1d")).clean();
    }
    let ended = place.tape("quality");
    let told: Vec<&str> = ended.err.lines().filter(|line| line.contains("not checked")).collect();
    assert_eq!(told.len(), 1, "{ended:?}");
    assert!(told[0].contains("A.HK 1d and 2 others") && told[0].contains("2000-01-01"), "{told:?}");
}
