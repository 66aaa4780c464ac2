//! Calendars on the command line: the command, and every command that takes one.

use super::{Place, member};

/// Bars of a quarter of an hour of two days in Hong Kong, without those in `left_out`.
fn bars(place: &Place, left_out: &[&str]) -> String {
    let mut text = String::from("time,open,high,low,close,volume\n");
    for day in ["2023-10-06", "2023-10-09"] {
        for quarter in (6..16).chain(20..32) {
            let time = format!("{day}T{:02}:{:02}:00Z", quarter / 4, quarter % 4 * 15);
            if !left_out.iter().any(|left| time.starts_with(left)) {
                text.push_str(&format!("{time},10,11,9,10.5,{quarter}\n"));
            }
        }
    }
    let file = place.write("bars.csv", &text);
    place.tape(&format!("import {file} --instrument 0700.HK --frame 15m")).clean();
    text
}

#[test]
fn calendars_are_listed_shown_and_explained_without_a_store() {
    let place = Place::new();
    let list = place.tape("calendar").clean();
    for name in ["24x7", "XHKG", "XLON", "XNAS", "XNYS", "XSHE", "XSHG", "XTKS"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{name}: {list}");
    }
    assert_eq!(place.tape("calendar --json").clean().lines().count(), 8);
    let days = place.tape("calendar XNYS --from 2024-11-25 --to 2024-12-02").clean();
    assert!(days.contains("2024-11-28  Thu  closed             0  -05:00  Thanksgiving"), "{days}");
    assert!(days.contains("2024-11-29  Fri  09:30-13:00"), "{days}");
    assert!(days.ends_with("4 trading days, 1380 minutes\n"), "{days}");
    let json = place.tape("calendar hkex 2024-02-08 --json").clean();
    assert!(json.contains("\"kind\": \"regular\"") && json.contains("\"09:30-12:00 13:00-16:00\""), "{json}");
    assert_eq!(member(&json, "minutes"), 330);
    let special = place.tape("calendar XTKS --from 2024-01-01 --to 2025-01-01 --special --json").clean();
    assert_eq!(special.lines().count(), 17, "closed weekdays of 2024: {special}");
    let storm = place.tape("calendar XHKG 2023-09-01").clean();
    assert!(
        storm.contains("closed: typhoon Saola") && storm.contains("opens next at 2023-09-04 09:30"),
        "{storm}"
    );
    for (line, told) in [
        ("calendar XPAR", "there is no calendar \"XPAR\"; there are 24x7, XHKG"),
        ("calendar XSHG 2027-01-04", "XSHG speaks of 2000-01-01 to 2026-12-31"),
        ("calendar mine.calendar", "mine.calendar: cannot be read"),
        ("calendar XHKG noon", "is not a time"),
        ("calendar --special", "EXCHANGE"),
    ] {
        let ended = place.tape(line).failed(2);
        assert!(ended.contains(told), "{line}: {ended}");
    }
}

#[test]
fn files_and_tables_go_before_what_is_compiled_in() {
    let place = Place::new();
    let file = place.write("mine.calendar", "base XHKG\nclosed 2023-10-06 a day of our own\n");
    let day = place.tape(&format!("calendar {file} 2023-10-06")).clean();
    assert!(day.contains("mine 2023-10-06 (Fri): closed: a day of our own"), "{day}");
    let wrong = place.write("wrong.calendar", "base XHKG\nholiday 2023-10-06\n");
    let ended = place.tape(&format!("calendar {wrong}")).failed(2);
    assert!(ended.contains("wrong.calendar, line 2: \"holiday\" is no statement"), "{ended}");
    bars(&place, &["2023-10-06T01:45"]);
    let gaps = |calendar: &str| place.tape(&format!("gaps 0700.HK 15m --calendar {calendar}")).clean();
    // A quarter is missing on Friday. On Monday there was a typhoon until 14:00: what is there before is not expected.
    assert!(gaps("XHKG").ends_with("1 gaps, 1 missing bars\n"), "{}", gaps("XHKG"));
    assert!(gaps(&file).starts_with("0 gaps"));
    let days =
        place.write("days.csv", "date,exchange,status\n2023-10-06,XHKG,closed\n2023-10-09,XHKG,closed\n");
    place.tape(&format!("import {days} --kind calendar")).clean();
    assert!(gaps("XHKG").starts_with("0 gaps") && gaps("HKEX").starts_with("0 gaps"));
    let shown = place.tape("calendar HKEX --from 2023-10-06 --to 2023-10-07").clean();
    assert!(shown.contains("2023-10-06  Fri  closed"), "{shown}");
}

#[test]
fn halts_listings_and_seldom_trade_take_gaps_away() {
    let place = Place::new();
    bars(&place, &["2023-10-06T05", "2023-10-06T06", "2023-10-09T07"]);
    let gaps = |more: &str| {
        let json = place.tape(&format!("gaps 0700.HK 15m --calendar XHKG --json {more}")).clean();
        json.lines().map(|line| member(line, "missing")).collect::<Vec<_>>()
    };
    // Bars of Monday from 15:00 on are beyond the last one, unless the range says that they are asked for.
    assert_eq!(gaps(""), [8]);
    assert_eq!(gaps("--to 2023-10-10"), [8, 4]);
    assert_eq!(gaps("--to 2023-10-10 --seldom"), [0; 0]);
    assert_eq!(gaps("--to 2023-10-11 --seldom"), [10, 12], "of Tuesday there is nothing");
    let halts = "from,ticker,to,reason\n2023-10-06T05:00Z,0700.HK,2023-10-06T06:30Z,news\n2023-10-09T07:30Z,XHKG,,broken\n";
    let file = place.write("halts.csv", halts);
    place.tape(&format!("import {file} --kind halts")).clean();
    assert_eq!(gaps("--to 2023-10-10"), [2, 2]);
    let listed = "date,symbol,exchange,status,until\n2023-10-09,0700.HK,HKEX,listed,\n";
    let file = place.write("listed.csv", listed);
    place.tape(&format!("import {file} --kind instruments")).clean();
    assert_eq!(gaps("--to 2023-10-10"), [2]);
}

#[test]
fn resampling_factors_and_backtests_follow_a_compiled_calendar() {
    let place = Place::new();
    bars(&place, &[]);
    let hours = place.tape("resample 0700.HK 15m --into 1h --calendar XHKG --json").clean();
    // Friday 09:30, 10:30, 11:30, 13:00, 14:00, 15:00; Monday from 14:00 on.
    assert_eq!(hours.lines().count(), 6 + 2, "{hours}");
    let from_sessions = |command: &str| {
        let days = place.tape("calendar XHKG --from 2023-01-01 --to 2024-01-01 --json").clean();
        let field = |line: &str, name: &str| {
            let rest = line.split_once(&format!("\"{name}\": \"")).expect("a field").1;
            rest.split_once('"').expect("its end").0.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let pair =
            |line: &str| field(line, "opens").into_iter().zip(field(line, "closes")).collect::<Vec<_>>();
        let lines: Vec<String> =
            days.lines().flat_map(pair).map(|(open, close)| format!("{open},{close}")).collect();
        let file = place.write("year.csv", lines.join("\n"));
        place.tape(&format!("{command} --sessions {file}")).clean()
    };
    for command in [
        "resample 0700.HK 15m --into 1h --json",
        "factor compute 0700.HK --frame 15m --factors SMA20 --gaps bridge --json",
        "backtest 0700.HK 15m --signal volume --shape sign --json",
    ] {
        let by_name = place.tape(&format!("{command} --calendar HKEX")).clean();
        // The call itself is kept with a result.
        let without_call = |text: &str| match text.split_once("\"call\"") {
            Some((before, after)) => {
                format!("{before}{}", after.split_once("\"basis\"").expect("what follows").1)
            }
            None => text.to_owned(),
        };
        assert_eq!(without_call(&by_name), without_call(&from_sessions(command)), "{command}");
        let both = place.tape(&format!("{command} --calendar HKEX --sessions x.csv")).failed(2);
        assert!(both.contains("cannot be used with"), "{command}: {both}");
    }
    let explored = place.tape("explore 0700.HK --frame 15m --factors SMA20 --calendar XHKG --json").clean();
    assert!(!explored.is_empty());
}

#[test]
fn kept_factors_and_bars_stay_when_nothing_changed() {
    let place = Place::new();
    bars(&place, &[]);
    let line =
        "factor compute 0700.HK --frame 15m --factors SMA20 --gaps bridge --calendar XHKG --save --json";
    assert!(place.tape(line).clean().contains("\"computed\": 3"), "{}", place.tape(line).clean());
    assert_eq!(member(&place.tape(line).clean(), "computed"), 0);
    let line = "resample 0700.HK 15m --into 1h --calendar XHKG --save --json";
    place.tape(line).clean();
    let again = place.tape(line).clean();
    assert_eq!((member(&again, "written"), again.contains("\"whole\": false")), (0, true), "{again}");
}
