//! Calendars beside the package they were generated from, and what is expected of series.

mod compiled;
mod expected;
mod tables;

use tapestore::time::{DAY_NS, MINUTE_NS, days_from_date};

/// A time of a date, UTC.
fn at(date: (i64, i64, i64), hour: i64, minute: i64) -> i64 {
    days_from_date(date.0, date.1, date.2) * DAY_NS + (hour * 60 + minute) * MINUTE_NS
}
