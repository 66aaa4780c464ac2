//! How many bars a year has, by which ratios are annualised. Counted from the calendar, not assumed.

use std::collections::BTreeMap;

use tapestore::time::{DAY_NS, Timeframe, date_from_days, days_from_date};
use tapestore_query::Sessions;

use crate::error::{Error, Result};

const WEEK_DAYS: i64 = 7;
const YEAR_WEEKS: f64 = 365.2425 / 7.0;

/// Bars in a year, and where the number is from.
#[derive(Clone, Debug, PartialEq)]
pub struct BarsPerYear {
    /// The number.
    pub value: f64,
    /// How it was found, for people; stored with results.
    pub basis: String,
}

/// Of a market that never closes: 365 days, as is usual for crypto.
pub fn always_open(timeframe: Timeframe) -> BarsPerYear {
    let value = match timeframe.step_ns() {
        Some(step) if timeframe != Timeframe::W1 => 365.0 * DAY_NS as f64 / step as f64,
        Some(_) => 365.0 / 7.0,
        None => 12.0,
    };
    BarsPerYear { value, basis: format!("{timeframe} bars of 365 days, always open") }
}

/// Of a market with sessions: the bars of the calendar's whole years, in the mean; of a shorter calendar, those of its
/// whole weeks, for 52.18 weeks a year. A year is whole if its first and its last seven days both have a session.
///
/// # Errors
/// [`Error::Setting`] if the calendar has not one whole week.
pub fn of_sessions(timeframe: Timeframe, sessions: &Sessions) -> Result<BarsPerYear> {
    let by_day = bars_by_day(timeframe, sessions);
    let year_of = |day: i64| date_from_days(day).0;
    let (Some(first), Some(last)) = (by_day.keys().next(), by_day.keys().next_back()) else {
        return Err(Error::Setting("the calendar has no sessions".into()));
    };
    let open = |days: std::ops::Range<i64>| by_day.range(days).next().is_some();
    let whole: Vec<i64> = (year_of(*first)..=year_of(*last))
        .filter(|year| {
            let (start, end) = (days_from_date(*year, 1, 1), days_from_date(year + 1, 1, 1));
            open(start..start + WEEK_DAYS) && open(end - WEEK_DAYS..end)
        })
        .collect();
    let count = |days: std::ops::Range<i64>| by_day.range(days).map(|(_, bars)| bars).sum::<u64>();
    if let (Some(from), Some(to)) = (whole.first(), whole.last()) {
        let bars: u64 =
            whole.iter().map(|year| count(days_from_date(*year, 1, 1)..days_from_date(year + 1, 1, 1))).sum();
        let years = if from == to { from.to_string() } else { format!("{from} to {to}") };
        let count = if from == to { "one whole year".into() } else { format!("{} whole years", whole.len()) };
        let basis = format!("{bars} bars of {timeframe} in the calendar's {count}, {years}");
        return Ok(BarsPerYear { value: bars as f64 / whole.len() as f64, basis });
    }
    // Mondays: the epoch was a Thursday.
    let monday = |day: i64| (day + 3).div_euclid(WEEK_DAYS) * WEEK_DAYS - 3;
    let start = if monday(*first) == *first { *first } else { monday(*first) + WEEK_DAYS };
    // A week whose last session is on Friday is whole.
    let end = if last - monday(*last) >= 4 { monday(*last) + WEEK_DAYS } else { monday(*last) };
    let weeks = (end - start) / WEEK_DAYS;
    if weeks < 1 {
        return Err(Error::Setting(
            "the calendar has neither a whole year nor a whole week, so it does not tell how many bars a year has; \
             say it with --bars-per-year"
                .into(),
        ));
    }
    let bars = count(start..end);
    let value = bars as f64 / weeks as f64 * YEAR_WEEKS;
    let weeks = if weeks == 1 { "one whole week".into() } else { format!("{weeks} whole weeks") };
    Ok(BarsPerYear { value, basis: format!("{bars} bars of {timeframe} in the calendar's {weeks}") })
}

/// Bars that begin on each trading day, by days since the Unix epoch.
fn bars_by_day(timeframe: Timeframe, sessions: &Sessions) -> BTreeMap<i64, u64> {
    let mut out = BTreeMap::new();
    let mut last_slot = None;
    for session in sessions.all() {
        let bars = match timeframe.step_ns().filter(|step| *step < DAY_NS) {
            // Bars start anew with every session; the last one may be short.
            Some(step) => {
                (session.open.end - session.open.start).unsigned_abs().div_ceil(step.unsigned_abs())
            }
            None => {
                let slot = Some(timeframe.slot(session.day_ns));
                u64::from(std::mem::replace(&mut last_slot, slot) != slot)
            }
        };
        *out.entry(session.day_ns.div_euclid(DAY_NS)).or_default() += bars;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore::time::HOUR_NS;

    fn hong_kong(from: i64, to: i64, closed: &[i64]) -> Sessions {
        let hours = [9 * HOUR_NS + HOUR_NS / 2..12 * HOUR_NS, 13 * HOUR_NS..16 * HOUR_NS];
        let closed: Vec<i64> = closed.iter().map(|day| day * DAY_NS).collect();
        Sessions::on_weekdays(from * DAY_NS..to * DAY_NS, 8 * HOUR_NS, &hours, &closed).unwrap()
    }

    #[test]
    fn bars_of_whole_years_are_counted() {
        // 2023 has 260 weekdays; with the 2nd of January closed, 259 sessions of 330 minutes.
        let year =
            hong_kong(days_from_date(2023, 1, 1), days_from_date(2024, 1, 1), &[days_from_date(2023, 1, 2)]);
        let of = |timeframe| of_sessions(timeframe, &year).unwrap().value;
        assert_eq!(
            [of(Timeframe::M1), of(Timeframe::H1), of(Timeframe::H2)],
            [259.0 * 330.0, 259.0 * 6.0, 259.0 * 4.0]
        );
        assert_eq!([of(Timeframe::D1), of(Timeframe::Mo1)], [259.0, 12.0]);
        assert_eq!(
            of_sessions(Timeframe::D1, &year).unwrap().basis,
            "259 bars of 1d in the calendar's one whole year, 2023"
        );
        // A part of the next year changes nothing; a second whole one makes a mean.
        let more =
            hong_kong(days_from_date(2023, 1, 1), days_from_date(2024, 6, 1), &[days_from_date(2023, 1, 2)]);
        assert_eq!(of_sessions(Timeframe::D1, &more).unwrap().value, 259.0);
        let two =
            hong_kong(days_from_date(2023, 1, 1), days_from_date(2025, 1, 1), &[days_from_date(2023, 1, 2)]);
        assert_eq!(of_sessions(Timeframe::D1, &two).unwrap().value, 260.5);
    }

    #[test]
    fn a_short_calendar_counts_its_whole_weeks_and_a_shorter_one_nothing() {
        // From Thursday 2023-06-01 to Wednesday 2023-06-21: two whole weeks.
        let short = hong_kong(days_from_date(2023, 6, 1), days_from_date(2023, 6, 22), &[]);
        let found = of_sessions(Timeframe::D1, &short).unwrap();
        assert_eq!(found.value, 5.0 * YEAR_WEEKS);
        assert_eq!(found.basis, "10 bars of 1d in the calendar's 2 whole weeks");
        let week = hong_kong(days_from_date(2023, 6, 5), days_from_date(2023, 6, 10), &[]);
        assert_eq!(of_sessions(Timeframe::D1, &week).unwrap().value, 5.0 * YEAR_WEEKS);
        let days = hong_kong(days_from_date(2023, 6, 6), days_from_date(2023, 6, 10), &[]);
        assert!(of_sessions(Timeframe::D1, &days).unwrap_err().to_string().contains("--bars-per-year"));
    }

    #[test]
    fn a_market_that_never_closes_has_365_days() {
        let of = |timeframe| always_open(timeframe).value;
        assert_eq!([of(Timeframe::M1), of(Timeframe::D1), of(Timeframe::Mo1)], [525_600.0, 365.0, 12.0]);
        assert!((of(Timeframe::W1) - 52.142_857).abs() < 1e-6);
    }
}
