//! The compiled calendars.

use std::collections::BTreeSet;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS, date_text, days_from_date};
use tapestore_calendar::{DayKind, Error, Exchange, all, as_generated, compiled, of_instrument};

use super::at;

/// FNV-1a over whole numbers, as `generate.py` has it.
fn checksum(values: impl Iterator<Item = i64>) -> u64 {
    values.fold(0xCBF2_9CE4_8422_2325, |state, value| (state ^ value as u64).wrapping_mul(0x0100_0000_01B3))
}

/// Nothing of ours stands there without saying what it rests on.
#[test]
fn every_line_of_our_own_has_a_source_or_is_from_memory() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("overrides");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut rests_on = None;
        for (number, line) in text.lines().enumerate() {
            if let Some(comment) = line.strip_prefix("# ") {
                let named = ["source: ", "from memory: "].iter().any(|how| comment.starts_with(how));
                rests_on = if named { Some(comment) } else { rests_on };
            } else if ["day ", "closed ", "hours ", "late "].iter().any(|kind| line.starts_with(kind)) {
                assert!(rests_on.is_some(), "{}, line {}: {line}", path.display(), number + 1);
            }
        }
        assert!(rests_on.is_some_and(|text| text.len() > 20), "{}", path.display());
        files += 1;
    }
    assert_eq!(files, all().len());
}

#[test]
fn generated_tables_say_what_the_package_says_year_by_year() {
    let mut exchanges = BTreeSet::new();
    let mut years = 0;
    for line in include_str!("../oracle/digest.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let exchange = as_generated(fields[0]).expect("an exchange that is generated");
        let year: i64 = fields[1].parse().unwrap();
        let range = days_from_date(year, 1, 1) * DAY_NS..days_from_date(year + 1, 1, 1) * DAY_NS;
        let days: Vec<_> = exchange.days_in(range).unwrap().filter(|day| !day.sessions.is_empty()).collect();
        let minutes: i64 = days.iter().map(tapestore_calendar::Day::minutes).sum();
        let ends = days.iter().flat_map(|day| &day.sessions).flat_map(|it| [it.open.start, it.open.end]);
        let found = format!(
            "{},{year},{},{minutes},{:016x}",
            exchange.name(),
            days.len(),
            checksum(ends.map(|end| end / MINUTE_NS))
        );
        assert_eq!(found, line);
        exchanges.insert(fields[0]);
        years += 1;
    }
    assert_eq!((exchanges.len(), years), (all().len() - 1, 214), "all but 24x7");
}

#[test]
fn the_page_of_differences_names_every_day_that_is_other() {
    let page = include_str!("../oracle/DIFFERENCES.md");
    let mut differing = 0;
    for exchange in all().iter().filter(|exchange| exchange.name() != "24x7") {
        let generated = as_generated(exchange.name()).unwrap();
        let days =
            exchange.days_in(exchange.days()).unwrap().zip(generated.days_in(generated.days()).unwrap());
        let (mut hours, mut special) = (0, 0);
        for (ours, _) in days.filter(|(ours, theirs)| ours.sessions != theirs.sessions) {
            differing += 1;
            if ours.own {
                special += 1;
                let row = format!("| {} | {} |", exchange.name(), date_text(ours.day_ns));
                assert!(page.contains(&row), "{row} is missing");
            } else {
                hours += 1;
            }
        }
        let row = format!("| {} | {hours} | {special} |", exchange.name());
        assert!(page.contains(&row), "{row} is missing in the summary");
    }
    assert!(differing > 5000, "lunch in Hong Kong and Tokyo alone: {differing}");
}

#[test]
fn names_and_venues_lead_to_a_calendar() {
    for exchange in all() {
        assert_eq!(compiled(exchange.name()).unwrap().name(), exchange.name());
        assert!(!exchange.title().is_empty() && !exchange.source().is_empty());
    }
    for (name, wanted) in [
        ("hkex", "XHKG"),
        ("SSE", "XSHG"),
        ("szse", "XSHE"),
        ("NYSE", "XNYS"),
        ("Nasdaq", "XNAS"),
        ("LSE", "XLON"),
        ("TSE", "XTKS"),
        ("JPX", "XTKS"),
        ("crypto", "24x7"),
    ] {
        assert_eq!(compiled(name).unwrap().name(), wanted);
    }
    assert!(compiled("XPAR").is_none());
    assert_eq!(of_instrument("0700.HK").unwrap().name(), "XHKG");
    assert_eq!(of_instrument("BTCUSDT.BINANCE").unwrap().name(), "24x7");
    assert!(of_instrument("GOLD").is_none() && of_instrument("A.X").is_none());
}

fn hours(exchange: &str, date: (i64, i64, i64)) -> Vec<String> {
    let exchange = compiled(exchange).unwrap();
    let day = exchange.day(at(date, 0, 0)).unwrap();
    let clock = |time: i64| {
        let of_day = exchange.time_of_day_ns(time);
        format!("{:02}:{:02}", of_day / HOUR_NS, of_day / MINUTE_NS % 60)
    };
    let text = |open: &std::ops::Range<i64>| format!("{}-{}", clock(open.start), clock(open.end));
    day.sessions.iter().map(|session| text(&session.open)).collect()
}

#[test]
fn hours_are_those_of_their_time() {
    assert_eq!(hours("XHKG", (2010, 6, 1)), ["10:00-12:30", "14:30-16:00"]);
    assert_eq!(hours("XHKG", (2011, 6, 1)), ["09:30-12:00", "13:30-16:00"]);
    assert_eq!(hours("XHKG", (2012, 3, 5)), ["09:30-12:00", "13:00-16:00"]);
    assert_eq!(hours("XHKG", (2024, 12, 24)), ["09:30-12:00"], "half a day");
    assert_eq!(hours("XHKG", (2023, 10, 9)), ["14:00-16:00"], "a typhoon");
    assert_eq!(hours("XHKG", (2023, 9, 8)), [""; 0], "rain");
    assert_eq!(hours("XTKS", (2011, 11, 18)), ["09:00-11:00", "12:30-15:00"]);
    assert_eq!(hours("XTKS", (2024, 11, 1)), ["09:00-11:30", "12:30-15:00"]);
    assert_eq!(hours("XTKS", (2024, 11, 5)), ["09:00-11:30", "12:30-15:30"]);
    assert_eq!(hours("XTKS", (2006, 1, 18)), ["09:00-11:00", "12:30-14:40"]);
    assert_eq!(hours("XNYS", (2024, 11, 29)), ["09:30-13:00"]);
    assert_eq!(hours("XLON", (2024, 12, 24)), ["08:00-12:30"]);
    assert_eq!(hours("XSHG", (2024, 10, 8)), ["09:30-11:30", "13:00-15:00"]);
}

#[test]
fn a_year_of_hong_kong_counts_as_is_known() {
    let exchange = compiled("XHKG").unwrap();
    for (year, days) in [(2024, 246), (2025, 246)] {
        let range = at((year, 1, 1), 0, 0)..at((year + 1, 1, 1), 0, 0);
        let open: Vec<_> = exchange.days_in(range).unwrap().filter(|day| !day.sessions.is_empty()).collect();
        let half = open.iter().filter(|day| day.minutes() == 150).count() as i64;
        assert_eq!((open.len(), half), (days, 3), "{year}");
        let minutes: i64 = open.iter().map(tapestore_calendar::Day::minutes).sum();
        assert_eq!(minutes, (days as i64 - half) * 330 + half * 150);
    }
}

#[test]
fn sessions_follow_the_clock_of_new_york_and_london() {
    let open = |exchange: &str, date| {
        let exchange = compiled(exchange).unwrap();
        let day = exchange.day(at(date, 0, 0)).unwrap();
        (day.sessions[0].open.start - day.day_ns) / MINUTE_NS
    };
    // The clocks of New York are set on 2024-03-10 and 2024-11-03, those of London on 2024-03-31 and 2024-10-27.
    assert_eq!([open("XNYS", (2024, 3, 8)), open("XNYS", (2024, 3, 11))], [14 * 60 + 30, 13 * 60 + 30]);
    assert_eq!([open("XNYS", (2024, 11, 1)), open("XNYS", (2024, 11, 4))], [13 * 60 + 30, 14 * 60 + 30]);
    assert_eq!([open("XLON", (2024, 3, 28)), open("XLON", (2024, 4, 2))], [8 * 60, 7 * 60]);
    assert_eq!([open("XLON", (2024, 10, 25)), open("XLON", (2024, 10, 28))], [7 * 60, 8 * 60]);
    // Before 2007 the summer of New York began in April.
    assert_eq!([open("XNYS", (2006, 3, 31)), open("XNYS", (2006, 4, 3))], [14 * 60 + 30, 13 * 60 + 30]);
}

#[test]
fn open_and_closed_are_found_in_both_directions() {
    let exchange = compiled("HKEX").unwrap();
    // Monday 2024-03-11, lunch: 12:30 in Hong Kong.
    let lunch = at((2024, 3, 11), 4, 30);
    assert!(!exchange.is_open(lunch).unwrap() && exchange.is_open(lunch - HOUR_NS).unwrap());
    assert!(!exchange.is_open(at((2024, 3, 11), 4, 0)).unwrap(), "a session ends before its end");
    assert_eq!(exchange.next_open(lunch).unwrap().open.start, at((2024, 3, 11), 5, 0));
    assert_eq!(exchange.next_close(lunch).unwrap().open.end, at((2024, 3, 11), 8, 0));
    assert_eq!(exchange.previous_close(lunch).unwrap().open.end, at((2024, 3, 11), 4, 0));
    assert_eq!(exchange.previous_open(lunch).unwrap().open.start, at((2024, 3, 11), 1, 30));
    // Good Friday to Easter Monday 2024.
    let easter = at((2024, 3, 30), 0, 0);
    assert_eq!(exchange.previous_close(easter).unwrap().open.end, at((2024, 3, 28), 8, 0));
    assert_eq!(exchange.next_open(easter).unwrap().open.start, at((2024, 4, 2), 1, 30));
    assert_eq!(exchange.session_at(lunch - HOUR_NS).unwrap().unwrap().day_ns, at((2024, 3, 11), 0, 0));
    assert_eq!(exchange.date_ns(at((2024, 3, 10), 16, 0)), at((2024, 3, 11), 0, 0), "midnight in Hong Kong");
    assert_eq!(exchange.time_of_day_ns(at((2024, 3, 10), 16, 1)), MINUTE_NS);
}

#[test]
fn outside_of_its_days_a_calendar_says_nothing() {
    let exchange = compiled("XSHG").unwrap();
    assert_eq!(date_text(exchange.days().end - 1), "2026-12-31");
    let after = at((2027, 1, 4), 3, 0);
    let error = exchange.is_open(after).unwrap_err().to_string();
    assert!(error.contains("XSHG speaks of 2000-01-01 to 2026-12-31"), "{error}");
    for failed in [
        exchange.sessions(at((2026, 12, 1), 0, 0)..after).err(),
        exchange.day(after).err(),
        exchange.next_open(at((2026, 12, 31), 8, 0)).err(),
        exchange.previous_open(at((2000, 1, 1), 8, 0)).err(),
        exchange.days_in(at((1999, 12, 31), 0, 0)..after).err().map(|error| {
            assert!(error.to_string().contains("from 1999-12-31 to 2027-01-04"), "{error}");
            error
        }),
    ] {
        assert!(matches!(failed, Some(Error::Outside { .. })), "{failed:?}");
    }
    // All of its days are spoken of, by their dates in UTC.
    let all = exchange.sessions(exchange.days()).unwrap();
    assert!(all.all().len() > 13_000);
    assert!(exchange.sessions(7..7).unwrap().all().is_empty(), "nothing is asked of it");
}

#[test]
fn sessions_of_a_range_are_those_of_its_months() {
    let exchange = compiled("XNYS").unwrap();
    let sessions = exchange.sessions(at((2024, 5, 15), 14, 0)..at((2024, 5, 15), 15, 0)).unwrap();
    let (first, last) = (sessions.all().first().unwrap().day_ns, sessions.all().last().unwrap().day_ns);
    assert!(first <= at((2024, 5, 1), 0, 0) && last >= at((2024, 5, 31), 0, 0));
    let year = compiled("24x7").unwrap().sessions(at((2024, 1, 1), 0, 0)..at((2025, 1, 1), 0, 0)).unwrap();
    assert!(year.all().windows(2).all(|pair| pair[0].open.end == pair[1].open.start));
}

#[test]
fn a_day_says_why_it_is_not_as_others() {
    let exchange = compiled("XHKG").unwrap();
    let day = |date| exchange.day(at(date, 0, 0)).unwrap();
    let storm = day((2023, 9, 1));
    assert_eq!(
        (storm.kind, storm.note.as_deref(), storm.own),
        (DayKind::Closed, Some("typhoon Saola"), true)
    );
    let year = day((2024, 2, 12));
    assert_eq!((year.kind, year.note.as_deref(), year.own), (DayKind::Closed, Some("Lunar New Year"), false));
    assert_eq!(day((2024, 2, 9)).kind, DayKind::Special);
    assert_eq!(day((2024, 2, 10)).kind, DayKind::Weekend);
    assert_eq!((day((2024, 2, 8)).kind, day((2024, 2, 8)).minutes()), (DayKind::Regular, 330));
    assert_eq!(day((2024, 2, 8)).offset_ns, 8 * HOUR_NS);
}

#[test]
fn a_file_of_ones_own_builds_on_a_compiled_calendar() {
    let text = "base HKEX\ntitle Hong Kong without a day\nclosed 2024-03-11 our own reason\n";
    let own = Exchange::parse("desk/mine.calendar", text).unwrap();
    assert_eq!((own.name(), own.title()), ("mine", "Hong Kong without a day"));
    let day = own.day(at((2024, 3, 11), 0, 0)).unwrap();
    assert_eq!((day.kind, day.note.as_deref()), (DayKind::Closed, Some("our own reason")));
    assert_eq!(own.day(at((2023, 9, 8), 0, 0)).unwrap().kind, DayKind::Closed, "what the base says stays");
}
