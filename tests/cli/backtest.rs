//! `tape backtest` as a process: metrics by hand, results that are kept and made again, wrong calls. What people see is in
//! `engine/backtest/README.md`.

use super::{Place, member};

/// Two days of five minutes: 2026-01-05 and 06, from 01:30.
const BARS: &str = "time,open,high,low,close,volume\n\
    1767576600,100,100,100,100,1\n1767576660,100,110,100,110,1\n1767576720,110,110,99,99,1\n\
    1767576780,99,99,99,99,1\n1767576840,99,108.9,99,108.9,1\n\
    1767663000,108.9,108.9,108.9,108.9,1\n1767663060,108.9,119.79,108.9,119.79,1\n\
    1767663120,119.79,119.79,119.79,119.79,1\n1767663180,119.79,119.79,119.79,119.79,1\n\
    1767663240,119.79,119.79,119.79,119.79,1\n";
const SIGNALS: &str = "time,side,wide,flag\n\
    1767576600,1,70,1\n1767576660,-1,30,0\n1767576720,0,50,0\n1767576780,,60,1\n1767663000,0.5,20,1\n\
    1767663060,0,55,0\n";
const SESSIONS: &str = "2026-01-05T01:30Z,2026-01-05T01:35Z\n2026-01-06T01:30Z,2026-01-06T01:35Z\n";

fn place() -> Place {
    let place = Place::new();
    let (bars, signals) = (place.write("bars.csv", BARS), place.write("signals.csv", SIGNALS));
    place.tape(&format!("import {bars} --instrument A.HK --frame 1m")).clean();
    place.tape(&format!("import {signals} --instrument A.HK --frame signals --unique")).clean();
    place
}

/// The value of a number in a line of JSON.
#[track_caller]
fn float(line: &str, name: &str) -> f64 {
    let key = format!("\"{name}\": ");
    let start = line.find(&key).unwrap_or_else(|| panic!("no {name} in {line}")) + key.len();
    let end = start + line[start..].find([',', '}']).expect("a value ends");
    line[start..end].trim_matches('"').parse().unwrap_or_else(|_| panic!("{name} is no number in {line}"))
}

#[track_caller]
fn near(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-12 * (1.0 + theirs.abs()), "{ours} is not {theirs}");
}

const LINE: &str = "backtest A.HK 1m --signal signals:side --allocation 1 --bars-per-year 1000 --json";

#[test]
fn a_signal_earns_what_comes_after_it() {
    let place = place();
    let line = place.tape(LINE).clean();
    // Bought at 100, turned at 110, closed at 99; half of all bought at 108.9 of the second day and sold at 119.79.
    near(float(&line, "total_return"), 1.1 * 1.1 * 1.05 - 1.0);
    assert_eq!((member(&line, "trades"), member(&line, "round_trips"), member(&line, "bars")), (5, 3, 10));
    assert!(line.contains("\"basis\": \"given with --bars-per-year\""), "{line}");
    let costs = place.tape(&format!("{LINE} --costs 0.01")).clean();
    // x: 0.1 − 0.01, 0.1 − 0.02, −0.01, 0, 0, 0, 0.05 − 0.005, −0.005.
    near(float(&costs, "total_return"), 1.09 * 1.08 * 0.99 * 1.045 * 0.995 - 1.0);
    let flat = place.tape(&format!("{LINE} --costs 0.01 --cost-mode flat")).clean();
    near(float(&flat, "total_return"), 1.09 * 1.09 * 0.99 * 1.04 * 0.99 - 1.0);
    let open = place.tape(&format!("{LINE} --fill next-open")).clean();
    near(float(&open, "total_return"), float(&line, "total_return"));
}

#[test]
fn costs_of_hong_kong_are_dated_and_funds_pay_no_stamp_duty() {
    let place = place();
    let of = |costs: &str| {
        let line =
            place.tape(&format!("backtest A.HK 1m --signal signals:flag --json --costs {costs}")).clean();
        float(&line, "costs") / float(&line, "trades")
    };
    // Orders of about 10,000: 11.28, and without the stamp duty of 10, 1.28.
    let (share, fund) = (of("hong-kong"), of("hong-kong-etf"));
    assert!((11.0..12.4).contains(&share) && (1.2..1.3).contains(&fund), "{share} {fund}");
    let old = place.write("old.csv", BARS.replace("17675", "10675").replace("17676", "10676"));
    place.tape(&format!("import {old} --instrument OLD.HK --frame 1m")).clean();
    let error = place.tape("backtest OLD.HK 1m --signal volume --costs hong-kong").failed(2);
    assert!(error.contains("begins on 2015-02-13"), "{error}");
}

#[test]
fn bars_a_year_come_from_the_calendar_or_are_said() {
    let place = place();
    let sessions = place.write("sessions.csv", SESSIONS);
    let error =
        place.tape(&format!("backtest A.HK 1m --signal signals:side --sessions {sessions}")).failed(2);
    assert!(error.contains("--bars-per-year"), "{error}");
    let ended = place.tape("backtest A.HK 1m --signal signals:side --json");
    assert!(ended.err.contains("annualised by 1m bars of 365 days"), "{}", ended.err);
    assert!(ended.clean().contains("bars_per_year=525600"));
    let error = place.tape("backtest A.HK signals --signal flag").failed(2);
    assert!(error.contains("has no column close"), "{error}");
    // Two days of a table that is no timeframe.
    let bars = place.path("bars.csv").display().to_string();
    place.tape(&format!("import {bars} --instrument A.HK --frame odd --unique")).clean();
    let error = place.tape("backtest A.HK odd --signal volume").failed(2);
    assert!(error.contains("A.HK odd is no timeframe") && error.contains("--bars-per-year"), "{error}");
    place.tape("backtest A.HK odd --signal volume --bars-per-year 5").clean();
}

#[test]
fn holes_are_counted_and_bridged_or_broken() {
    let place = place();
    let run = |more: &str| place.tape(&format!("{LINE} {more}"));
    let ended = run("");
    assert!(ended.err.contains("1,435 bars are missing; positions are held"), "{}", ended.err);
    let sessions = place.write("sessions.csv", SESSIONS);
    assert_eq!(run(&format!("--sessions {sessions}")).err, "", "closed hours are no hole");
    place.tape("delete A.HK 1m --from 2026-01-05T01:31Z --to 2026-01-05T01:32Z").clean();
    let bridged = run(&format!("--sessions {sessions}"));
    assert!(bridged.err.contains("1 bars are missing"), "{}", bridged.err);
    near(float(&bridged.clean(), "total_return"), 0.99 * 1.05 - 1.0);
    let broken = run(&format!("--sessions {sessions} --gaps break")).clean();
    near(float(&broken, "total_return"), 0.05);
}

#[test]
fn several_signals_are_a_table_or_one_portfolio() {
    let place = place();
    let line = "backtest A.HK 1m --signal signals:wide --signal volume --signal close --shape zscore:3 --bars-per-year 9";
    let table = place.tape(line).clean();
    let first: Vec<&str> = table.lines().map(|line| line.split_whitespace().next().unwrap_or("")).collect();
    assert_eq!(first, ["signal", "signals:wide", "volume", "close", "10"]);
    assert_eq!(
        place.tape(&format!("{line} --json --threads 3")).clean(),
        place.tape(&format!("{line} --json --threads 1")).clean()
    );
    let one = place.tape(&format!("{line} --combine 1,-2,0.5 --json")).clean();
    assert!(one.contains("\"signal\": \"1 signals:wide + -2 volume + 0.5 close\""), "{one}");
    assert!(place.tape(&format!("{line} --combine 1,2")).failed(2).contains("2 weights for 3 signals"));
    assert!(place.tape(&format!("{line} --combine 1,2,NaN")).failed(2).contains("NaN is no number"));
}

#[test]
fn results_are_kept_and_come_out_the_same_later() {
    let place = place();
    assert!(place.tape("backtest ls").err.contains("no backtests are kept"));
    assert!(place.tape("backtest show 1").failed(2).contains("no backtests are kept"));
    let kept = place.tape(&format!("{LINE} --signal volume --costs 0.001 --save --curves")).clean();
    assert_eq!(kept.lines().count(), 2);
    assert_eq!((member(&kept, "run"), member(&kept, "store_version")), (1, 2));
    let shown = place.tape("backtest show 1 --json").clean();
    let without_version = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(", \"version\"").next().unwrap_or("").trim_end_matches('}').to_owned())
            .collect()
    };
    assert_eq!(without_version(&shown), without_version(&kept));
    let curves = place.tape("show A.HK backtest-1-1 --csv --columns position,equity --time s").clean();
    let lines: Vec<&str> = curves.lines().collect();
    assert_eq!(
        lines[..3],
        ["time,position,equity", "1767576600,0,100000", "1767576660,1,109900.00000000001"]
    );
    assert_eq!(lines.len(), 11);
    // What comes later changes nothing of it.
    place.tape("delete A.HK 1m --from 2026-01-06").clean();
    place.tape("backtest A.HK 1m --signal signals:side --save").clean();
    assert!(place.tape("backtest check 1").err.contains("2 results of run 1 come out the same, to the bit"));
    assert_eq!(place.tape("backtest ls --json").clean().lines().count(), 2);
    assert!(place.tape("backtest show 7").failed(2).contains("the last one is 2"));
    let log = place.tape("log --operations --kind backtest --json").clean();
    assert!(log.contains("\"target\": \"A.HK 1m\"") && log.contains("\"detail\": \"run 2\""), "{log}");
    assert!(place.tape("verify --deep").clean().contains("clean"));
}

#[test]
fn another_calendar_is_found_by_checking() {
    let place = place();
    let sessions = place.write("sessions.csv", SESSIONS);
    place.tape(&format!("{LINE} --sessions {sessions} --save")).clean();
    place.tape("backtest check 1").clean();
    place.write("sessions.csv", SESSIONS.replace("01:35", "01:34"));
    let ended = place.tape("backtest check 1");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("A.HK 1m signals:side: icir") || ended.out.contains("calendar"), "{ended:?}");
    assert!(ended.err.contains("1 of 1 results of run 1 come out otherwise"), "{ended:?}");
}

#[test]
fn wrong_calls_say_what_is_wrong() {
    let place = place();
    let bars = place.path("bars.csv").display().to_string();
    place.tape(&format!("import {bars} --instrument A.HK --frame 1h")).clean();
    for (line, says) in [
        ("backtest A.HK 1m", "--signal"),
        ("backtest", "--signal"),
        ("backtest A.HK 5m --signal x", "there is no series A.HK 5m"),
        ("backtest A.HK 1m --signal nope", "has no column \"nope\"; the columns are open, high"),
        ("backtest A.HK 1m --signal factors:rsi", "there is no series A.HK factors"),
        ("backtest A.HK 1m --signal 1h:close", "complete only when they end"),
        ("backtest A.HK 1m --signal signals:wide", "signals:wide: the signal of row 0 (2026-01-05) is 70"),
        ("backtest A.HK 1m --signal signals:wide --shape rank", "write raw, sign, maxabs"),
        ("backtest A.HK 1m --signal volume --costs cheap", "write free, a share such as 0.001"),
        ("backtest A.HK 1m --signal volume --costs 1.5", "no share from 0 to 1"),
        ("backtest A.HK 1m --signal volume --costs 0.1 --commission 0.1", "the same thing twice"),
        ("backtest A.HK 1m --signal volume --capital 0", "the capital is 0"),
        ("backtest A.HK 1m --signal volume --curves", "--save"),
        ("backtest A.HK 1m --signal volume --over 3", "--combine"),
        ("backtest A.HK 1m --signal volume --combine 1 --over 0", "no window"),
        ("backtest show", "RUN"),
    ] {
        let error = place.tape(line).failed(2);
        assert!(error.contains(says), "{line}: {error}");
    }
    place.tape("delete A.HK 1m --from 2026-01-05T01:32Z --to 2026-01-05T01:33Z").clean();
    let zero = place.write("zero.csv", "time,open,high,low,close,volume\n1767576720,1,1,0,0,1\n");
    place.tape(&format!("import {zero} --instrument A.HK --frame 1m")).clean();
    let error = place.tape("backtest A.HK 1m --signal volume").failed(2);
    assert!(error.contains("close of row 2 (2026-01-05) is 0"), "{error}");
}
