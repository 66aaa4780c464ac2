//! Which bars are expected.

use std::ops::Range;

use tapestore::Run;
use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS, Timeframe};
use tapestore_calendar::{Cut, Expected, Listing, Need, Question, expected, named};

use super::at;

fn ask(exchange: &str, timeframe: Timeframe, range: Range<i64>) -> Expected {
    expected(&Question::new(timeframe, range), Some(&named(exchange).unwrap()), &Listing::ALWAYS).unwrap()
}

/// Open times of the expected slots of a day, as hours and minutes of UTC.
fn times(expected: &Expected) -> Vec<(i64, i64)> {
    let slots = expected.slots().iter().flat_map(|run| run.start..run.end);
    let of_day = slots.map(|slot| expected.timeframe().slot_start(slot).rem_euclid(DAY_NS) / MINUTE_NS);
    of_day.map(|minute| (minute / 60, minute % 60)).collect()
}

const MONDAY: (i64, i64, i64) = (2024, 3, 11);

fn day(date: (i64, i64, i64)) -> Range<i64> {
    at(date, 0, 0)..at(date, 24, 0)
}

#[test]
fn minutes_are_expected_in_sessions_only() {
    let minutes = ask("XHKG", Timeframe::M1, day(MONDAY));
    assert_eq!(minutes.count(), 330);
    assert_eq!(minutes.ranges(), [at(MONDAY, 1, 30)..at(MONDAY, 4, 0), at(MONDAY, 5, 0)..at(MONDAY, 8, 0)]);
    let slot = |hour, minute| Timeframe::M1.slot(at(MONDAY, hour, minute));
    assert_eq!(minutes.allowed(), [Run { start: slot(8, 0), end: slot(8, 10) }], "the closing auction");
    // A range cuts: bars count that start in it.
    assert_eq!(ask("XHKG", Timeframe::M1, at(MONDAY, 3, 59) + 1..at(MONDAY, 5, 1)).count(), 1);
    assert_eq!(ask("XHKG", Timeframe::M5, day(MONDAY)).count(), 66);
    assert_eq!(ask("24x7", Timeframe::M1, day(MONDAY)).count(), 1440);
    assert_eq!(ask("XHKG", Timeframe::M1, day((2024, 3, 10))).count(), 0, "a Sunday");
}

#[test]
fn longer_bars_stand_in_the_slots_that_their_starts_lie_in() {
    let hours = |exchange, timeframe| times(&ask(exchange, timeframe, day(MONDAY)));
    // 09:30, 10:30, 11:30 and 13:00, 14:00, 15:00 in Hong Kong: 01:30 to 03:30 and 05:00 to 07:00 UTC.
    assert_eq!(hours("XHKG", Timeframe::H1), [(1, 0), (2, 0), (3, 0), (5, 0), (6, 0), (7, 0)]);
    // 09:30, 11:30 and 13:00, 15:00: 01:30, 03:30, 05:00, 07:00 UTC.
    assert_eq!(hours("XHKG", Timeframe::H2), [(0, 0), (2, 0), (4, 0), (6, 0)]);
    assert_eq!(hours("XHKG", Timeframe::H4), [(0, 0), (4, 0)]);
    assert_eq!(hours("XHKG", Timeframe::H6), [(0, 0)], "both sessions begin in one slot");
    // New York in summer time: 13:30 to 20:00 UTC.
    assert_eq!(hours("XNYS", Timeframe::H1).len(), 7);
    assert_eq!(hours("XNYS", Timeframe::H4), [(12, 0), (16, 0)]);
    assert_eq!(hours("24x7", Timeframe::H4).len(), 6);
    // In winter 14:30 to 21:00: two bars of four hours from the start of the session, three by the clock.
    let winter = day((2024, 1, 8));
    assert_eq!(times(&ask("XNYS", Timeframe::H4, winter.clone())), [(12, 0), (16, 0)]);
    let by_clock = Question { cut: Cut::Clock, ..Question::new(Timeframe::H4, winter) };
    let by_clock = expected(&by_clock, Some(&named("XNYS").unwrap()), &Listing::ALWAYS).unwrap();
    assert_eq!(times(&by_clock), [(12, 0), (16, 0), (20, 0)]);
}

#[test]
fn bars_of_days_weeks_and_months_are_expected_where_there_was_trade() {
    // The week of the Lunar New Year of 2024: closed from Monday to Tuesday.
    let week = at((2024, 2, 12), 0, 0)..at((2024, 2, 19), 0, 0);
    let days: Vec<Range<i64>> = ask("XHKG", Timeframe::D1, week.clone()).ranges();
    assert_eq!(days, [at((2024, 2, 14), 0, 0)..at((2024, 2, 17), 0, 0)]);
    assert_eq!(ask("XHKG", Timeframe::W1, week).count(), 1);
    // Golden Week: all of Shanghai's first week of October 2024 but its Monday was off; 2023 no day of it was on.
    assert_eq!(ask("XSHG", Timeframe::W1, at((2023, 10, 2), 0, 0)..at((2023, 10, 9), 0, 0)).count(), 0);
    assert_eq!(ask("XSHG", Timeframe::Mo1, at((2023, 10, 1), 0, 0)..at((2023, 11, 1), 0, 0)).count(), 1);
    // A range that ends within a week or a month asks for those that began in it.
    assert_eq!(ask("XNYS", Timeframe::Mo1, at((2024, 1, 2), 0, 0)..at((2024, 3, 2), 0, 0)).count(), 2);
    assert_eq!(ask("XNYS", Timeframe::D1, at((2024, 1, 1), 0, 0)..at((2025, 1, 1), 0, 0)).count(), 252);
    assert!(ask("XHKG", Timeframe::D1, day(MONDAY)).allowed().is_empty());
}

#[test]
fn halts_and_listings_take_bars_away() {
    let market = named("XHKG").unwrap();
    let count = |timeframe, listing: &Listing| {
        expected(&Question::new(timeframe, day(MONDAY)), Some(&market), listing).unwrap().count()
    };
    // 10:00 to 10:45 and over lunch to 13:30 in Hong Kong.
    let halted = vec![at(MONDAY, 2, 0)..at(MONDAY, 2, 45), at(MONDAY, 3, 30)..at(MONDAY, 5, 30)];
    let halts = Listing { listed: None, halted: halted.clone() };
    assert_eq!(count(Timeframe::M1, &halts), 330 - 45 - 30 - 30);
    // Of 09:30 to 10:30 half an hour is left; 11:30 to 12:00 is gone.
    assert_eq!(count(Timeframe::H1, &halts), 5);
    assert_eq!(count(Timeframe::D1, &halts), 1);
    let gone = Listing { listed: None, halted: vec![at(MONDAY, 0, 0)..i64::MAX] };
    assert_eq!((count(Timeframe::M1, &gone), count(Timeframe::D1, &gone)), (0, 0));
    let since = Listing { listed: Some(vec![at(MONDAY, 5, 0)..i64::MAX]), halted };
    assert_eq!((count(Timeframe::M1, &since), count(Timeframe::D1, &since)), (150, 1));
    assert_eq!(count(Timeframe::D1, &Listing { listed: Some(vec![]), halted: vec![] }), 0);
}

#[test]
fn the_same_as_asking_minute_by_minute() {
    // Beside the plain definition: a slot is expected if a bar that starts in it, cut from a session's start, has an open moment.
    let market = named("XHKG").unwrap();
    let mut state = 7_u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % below
    };
    for round in 0..60 {
        let start = at((2024, 2, 7), 0, 0) + random(5000) * MINUTE_NS;
        let range = start..start + random(6000) * MINUTE_NS;
        let mut halted: Vec<Range<i64>> = Vec::new();
        let mut from = start;
        for _ in 0..random(6) {
            from += random(900) * MINUTE_NS + MINUTE_NS;
            let until = from + (1 + random(500)) * MINUTE_NS;
            halted.push(from..until);
            from = until;
        }
        let listed =
            (random(2) == 0).then(|| vec![start + random(900) * MINUTE_NS..start + 5000 * MINUTE_NS]);
        let listing = Listing { listed, halted };
        let open = |time: i64| {
            listing.listed.as_ref().is_none_or(|listed| listed.iter().any(|it| it.contains(&time)))
                && !listing.halted.iter().any(|halt| halt.contains(&time))
        };
        for timeframe in [Timeframe::M1, Timeframe::M5, Timeframe::M30, Timeframe::H1, Timeframe::H4] {
            let step = timeframe.step_ns().unwrap();
            let mut plain = Vec::new();
            for session in market.sessions(range.clone()).map(|it| it.all().to_vec()).unwrap_or_default() {
                let mut bar = session.open.start;
                while bar < session.open.end {
                    let end = (bar + step).min(session.open.end);
                    let any = (bar..end).step_by(MINUTE_NS as usize).any(open);
                    if any && range.contains(&bar) {
                        plain.push(timeframe.slot(bar));
                    }
                    bar += step;
                }
            }
            plain.dedup();
            let found = expected(&Question::new(timeframe, range.clone()), Some(&market), &listing).unwrap();
            let slots: Vec<i64> = found.slots().iter().flat_map(|run| run.start..run.end).collect();
            assert_eq!(slots, plain, "round {round}, {timeframe}");
        }
    }
}

#[test]
fn absences_and_seldom_trade_excuse() {
    let slot = |hour, minute| Timeframe::M1.slot(at(MONDAY, hour, minute));
    let two = at(MONDAY, 0, 0)..at((2024, 3, 13), 0, 0);
    let asked = || ask("XHKG", Timeframe::M1, two.clone());
    let covered = [Run { start: slot(1, 30), end: slot(1, 32) }, Run { start: slot(3, 0), end: slot(3, 1) }];
    let absent = [at(MONDAY, 2, 0)..at(MONDAY, 2, 30)];
    let every = asked().needed(Need::EveryBar, &covered, &absent);
    assert_eq!(every.count(), 660 - 30);
    assert_eq!(every.missing(&covered).iter().map(Run::slots).sum::<u64>(), 660 - 30 - 3);
    // Monday has bars, so none of it is missing; of Tuesday nothing is known.
    let seldom = asked().needed(Need::EveryDay, &covered, &[]);
    let missing = seldom.missing(&covered);
    assert_eq!((seldom.count(), missing.iter().map(Run::slots).sum::<u64>()), (3 + 330, 330));
    let told = asked().needed(Need::EveryDay, &covered, &[at((2024, 3, 12), 1, 30)..at((2024, 3, 12), 8, 0)]);
    assert!(told.missing(&covered).is_empty(), "the source said that there was nothing");
    // Bars where none can be.
    let odd = [Run { start: slot(1, 0), end: slot(1, 1) }, Run { start: slot(8, 5), end: slot(8, 12) }];
    let beyond = asked().beyond(&odd);
    assert_eq!(beyond, [odd[0], Run { start: slot(8, 10), end: slot(8, 12) }]);
}

#[test]
fn thirty_years_of_minutes_are_a_matter_of_ranges() {
    let year = at((2024, 1, 1), 0, 0)..at((2025, 1, 1), 0, 0);
    let market = named("XHKG").unwrap();
    let started = std::time::Instant::now();
    let mut bars = 0;
    for _ in 0..30 {
        bars += expected(&Question::new(Timeframe::M1, year.clone()), Some(&market), &Listing::ALWAYS)
            .unwrap()
            .count();
    }
    assert_eq!(bars, 30 * (243 * 330 + 3 * 150));
    // Measured 30 ms without optimisation; a bound that only another kind of algorithm would pass.
    assert!(started.elapsed().as_millis() < 2000, "{:?}", started.elapsed());
    assert_eq!(HOUR_NS, 60 * MINUTE_NS);
}
