//! `tape explore` as a process: everything is traded, what fails leaves the rest alone, memory is kept to, the report needs
//! nothing else, and results come out the same later.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Place, member};

/// Minutes of a few hours, prices that wander by a rule.
fn bars(seed: u64, rows: u64) -> String {
    let (mut state, mut open, mut out) =
        (seed, 50_000_u64, String::from("time,open,high,low,close,volume\n"));
    for row in 0..rows {
        let mut next = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let close = open + next(101) - 50;
        let (high, low) = (open.max(close) + next(20), open.min(close) - next(20));
        let price = |price: u64| format!("{}.{:02}", price / 100, price % 100);
        let prices = [open, high, low, close].map(price).join(",");
        writeln!(out, "{},{prices},{}", 1_767_571_200 + row * 60, 1 + next(500))
            .expect("a string takes text");
        open = close;
    }
    out
}

fn place() -> Place {
    let place = Place::new();
    for (instrument, seed) in [("A.X", 1), ("B.X", 2)] {
        let file = place.write("bars.csv", bars(seed, 600));
        place.tape(&format!("import {file} --instrument {instrument} --frame 1m")).clean();
    }
    place
}

/// Lines of results, by instrument, frame and factor; and the last line.
fn results(out: &str) -> (BTreeMap<String, String>, String) {
    let lines: Vec<&str> = out.lines().collect();
    let (last, rest) = lines.split_last().expect("there are lines");
    let results = rest.iter().filter(|line| line.contains("\"total_return\""));
    let key = |line: &str| line.split(", \"shape\"").next().unwrap_or("").to_owned();
    (results.map(|line| (key(line), (*line).to_owned())).collect(), (*last).to_owned())
}

#[test]
fn every_factor_is_traded_in_every_timeframe() {
    let place = place();
    let ended = place.tape("explore A.X --json --progress");
    let progress = ended.err.lines().filter(|line| line.contains(" of 792 backtests")).count();
    assert_eq!(progress, 11, "{}", ended.err);
    assert!(
        ended.err.contains("792 of 792 backtests (100 %)") && ended.err.contains("s left"),
        "{}",
        ended.err
    );
    let out = ended.clean();
    let (found, meta) = results(&out);
    assert_eq!(member(&meta, "results") + member(&meta, "skipped"), 792);
    assert_eq!((found.len() as i64, member(&meta, "failed")), (member(&meta, "results"), 0));
    for name in ["seconds_of_all_threads", "load", "factors", "backtest", "write", "peak_memory_bytes"] {
        assert!(meta.contains(&format!("\"{name}\": ")), "{meta}");
    }
    // Ten hours have ten bars of 1h: what needs more is skipped, and told.
    assert!(out.contains("\"frame\": \"1h\", \"skipped\": [\"SMA20\""), "{out}");
    let sharpe: Vec<f64> = out
        .lines()
        .filter_map(|line| line.split("\"sharpe\": ").nth(1)?.split(',').next()?.parse().ok())
        .filter(|value: &f64| !value.is_nan())
        .collect();
    assert!(sharpe.len() > 300 && sharpe.is_sorted_by(|a, b| a >= b), "{sharpe:?}");
    let table = place.tape("explore A.X --top 3 --rank-by rank-ic --timeframes 1m,5m --quiet").clean();
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("#  instrument  frame  factor") && lines[3].starts_with("3  A.X"),
        "{table}"
    );
    assert!(lines[4].starts_with("time: load ") && lines[5].contains(" results, "), "{table}");
}

#[test]
fn a_factor_explored_is_the_factor_backtested() {
    let place = place();
    place.tape("factor compute A.X --factors RSI14,ATR14 --gaps rows --save").clean();
    let one = place
        .tape("backtest A.X 1m --signal factors/ta@1m:RSI14 --shape zscore:250 --costs 0.0002 --json")
        .clean();
    let (all, _) =
        results(&place.tape("explore A.X --factors all --timeframes 1m --costs 0.0002 --json").clean());
    let same = all.values().find(|line| line.contains("\"signal\": \"RSI14\"")).expect("it was explored");
    let numbers = |line: &str| -> String {
        let from = line.find("\"first\"").expect("has a beginning");
        line[from..line.find("\"call\"").expect("has a call")].to_owned()
    };
    assert_eq!(numbers(same), numbers(&one));
}

#[test]
fn what_fails_is_named_and_leaves_the_rest_alone() {
    let place = place();
    let (good, _) =
        results(&place.tape("explore A.X B.X --factors RSI14,SAR,OBV --timeframes 1m,5m --json").clean());
    assert_eq!(good.len(), 12);
    let text = place.write("text.csv", "time,mood,ok\n1767571200,glad,0.5\n1767571260,sad,-0.5\n");
    place
        .tape(&format!(
            "import {text} --instrument A.X --frame bad --unique --type mood=string --type ok=f64"
        ))
        .clean();
    let zero = bars(3, 300).replacen("1767571500,", "1767571500,1,1,0,0,1\n9", 1);
    let zero: Vec<&str> = zero.lines().filter(|line| !line.starts_with('9')).collect();
    let zero = place.write("zero.csv", zero.join("\n"));
    place.tape(&format!("import {zero} --instrument ZERO.X --frame 1m")).clean();
    let line = "explore NOPE.X A.X ZERO.X B.X --factors RSI14,SAR,OBV --timeframes 1m,5m --signal bad:mood --signal bad:ok \
                --signal gone:x --report report.html";
    let report = place.path("report.html").display().to_string();
    let ended = place.tape(&format!("{} --json", line.replace("report.html", &report)));
    assert_eq!(ended.code, 1, "{ended:?}");
    let (found, meta) = results(&ended.out);
    for (key, line) in &good {
        // The version of the store moved on; nothing else did.
        let without = |line: &str| line.split(", \"settings\"").next().unwrap_or("").to_owned();
        assert_eq!(without(&found[key]), without(line));
    }
    assert!(
        found.keys().any(|key| key.contains("\"bad:ok\"")),
        "a column of the store is explored like a factor"
    );
    for says in [
        "\"instrument\": \"NOPE.X\", \"frame\": \"all\", \"signal\": \"all\", \"error\": \"there is no series NOPE.X 1m",
        "\"signal\": \"bad:mood\", \"error\": \"column \\\"mood\\\" of A.X bad holds text, not numbers",
        "\"signal\": \"gone:x\", \"error\": \"there is no series A.X gone",
        "\"instrument\": \"ZERO.X\", \"frame\": \"1m\", \"signal\": \"all\", \"error\": \"close of row 5 (2026-01-05) is 0",
    ] {
        assert!(ended.out.contains(says), "{says} in {}", ended.out);
    }
    assert!(member(&meta, "failed") >= 6, "{meta}");
    assert!(ended.err.contains("could not be explored; the rest was"), "{}", ended.err);
    let page = place.read("report.html");
    assert!(page.contains("<h2>Failures</h2>") && page.contains("holds text, not numbers"), "{page}");
}

#[test]
fn memory_is_kept_to_and_changes_no_result() {
    let place = place();
    let line = "explore A.X --timeframes 1m,2m,5m --json";
    let (whole, _) = results(&place.tape(&format!("{line} --threads 1")).clean());
    // 600 bars: reading takes 86 kB, trading 96 kB, and a column 5 kB.
    for more in ["--memory 300kB --threads 1", "--memory 400kB --threads 3", "--memory 1GB --threads 5"] {
        let (part, _) = results(&place.tape(&format!("{line} {more}")).clean());
        assert!(whole == part, "{more}");
    }
    let ended = place.tape(&format!("{line} --memory 200kB"));
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("one factor of 600 bars takes 216.0 kB, --memory leaves"), "{}", ended.out);
    assert!(ended.out.contains("\"frame\": \"5m\", \"signal\": "), "smaller timeframes fit: {}", ended.out);
    let ended = place.tape(&format!("{line} --memory 50kB"));
    assert!(
        ended.out.contains("reading 600 bars of A.X 1m takes 86.4 kB, --memory allows 50.0 kB"),
        "{}",
        ended.out
    );
}

#[test]
fn the_report_is_one_file_that_needs_nothing_else() {
    let place = place();
    let strange = place.write("odd.csv", bars(9, 400));
    let mut arguments = vec!["import", &strange, "--instrument", "<b>&'x'", "--frame", "1m"];
    place.tape_with(&arguments, b"").clean();
    let report = place.path("report.html").display().to_string();
    arguments = vec!["explore", "A.X", "<b>&'x'", "--timeframes", "1m,5m,1h", "--report", &report];
    let told = place.tape_with(&arguments, b"").clean();
    assert!(told.contains(&format!("report: {report}")), "{told}");
    let page = place.read("report.html");
    for never in ["<script", "http:", "https:", "src=", "href=", "url(", "@import", "<b>&'"] {
        assert!(!page.contains(never), "{never}");
    }
    for always in [
        "<!DOCTYPE html>",
        "<h2>Time</h2>",
        "<h2>Ranking by sharpe</h2>",
        "<h2>Accounts of the first</h2>",
        "<h2>Information coefficients</h2>",
        "<h2>Skipped</h2>",
        "&lt;b&gt;&amp;&#39;x&#39;",
        "version 3 of the store",
    ] {
        assert!(page.contains(always), "{always}");
    }
    assert_eq!(page.matches("<polyline").count(), 12);
    for tag in ["table", "svg", "figure", "div", "details", "html", "body", "span", "h2", "p"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(place.tape_with(&arguments, b"").failed(2).contains("exists; replace it with -f"));
    arguments.push("-f");
    place.tape_with(&arguments, b"").clean();
}

#[test]
fn results_are_kept_and_come_out_the_same_later() {
    let place = place();
    let told = place
        .tape("explore A.X B.X --factors RSI14,SAR,OBV --timeframes 1m,5m --costs 0.0001 --save")
        .clean();
    assert!(told.contains("kept as run 1"), "{told}");
    let more = place.write("more.csv", bars(7, 900));
    place.tape(&format!("import {more} --instrument A.X --frame 1m")).clean();
    let ended = place.tape("backtest check 1");
    assert!(ended.err.contains("12 results of run 1 come out the same, to the bit"), "{ended:?}");
    ended.clean();
    assert!(place.tape("backtest ls").clean().contains("2 instruments in 2 timeframes"));
    assert_eq!(place.tape("backtest show 1 --json").clean().lines().count(), 12);
    let log = place.tape("log --operations --kind explore --json").clean();
    assert!(log.contains("\"detail\": \"run 1, 12 results\""), "{log}");
    assert!(place.tape("verify --deep").clean().contains("clean"));
}

#[test]
fn wrong_calls_say_what_is_wrong() {
    let place = place();
    for (line, says) in [
        ("explore", "INSTRUMENT"),
        ("explore A.X --factors NOPE", "NOPE"),
        ("explore A.X --shape raw", "write sign, maxabs or zscore"),
        ("explore A.X --shape rank", "is no shape"),
        ("explore A.X --factor-gaps bridge", "need --calendar or --sessions"),
        ("explore A.X --memory much", "500MB"),
        ("explore A.X --costs cheap", "write free"),
        ("explore A.X --rank-by luck", "rank-ic"),
    ] {
        let error = place.tape(line).failed(2);
        assert!(error.contains(says), "{line}: {error}");
    }
    for (line, says) in [
        ("explore A.X --timeframes 7q", "\"7q\" is no timeframe"),
        ("explore A.X --timeframes 30s", "30s"),
        ("explore A.X --frame 5m", "there is no series A.X 5m"),
    ] {
        let ended = place.tape(line);
        assert!(ended.code == 1 && ended.err.contains(says), "{line}: {ended:?}");
    }
}
