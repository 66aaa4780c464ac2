//! Points in time and versions as people type them.

use tapestore_catalog::span;
use tapestore_format::limits::{TIME_MAX, TIME_MIN};

use crate::calendar::parse_stamp;
use crate::fail::{Fail, Result};

/// Reads `2024-01-31`, ISO 8601, `20240131`, integer nanoseconds, `now`, or `30d` (that long before `now_ns`).
pub(crate) fn parse_time(text: &str, now_ns: i64) -> Result<i64> {
    let text = text.trim();
    if text == "now" {
        return Ok(now_ns);
    }
    if let Some(stamp) = parse_stamp(text.as_bytes()) {
        return Ok(stamp.utc_ns());
    }
    if let Ok(ns) = text.parse::<i64>() {
        if (TIME_MIN..=TIME_MAX).contains(&ns) {
            return Ok(ns);
        }
        return Err(Fail::Usage(format!("time {text:?} lies outside the years 1685 to 2255")));
    }
    if let Some(ago) = span::parse(text) {
        return Ok(now_ns.saturating_sub(ago));
    }
    Err(Fail::Usage(format!(
        "{text:?} is not a time; write 2024-01-31, 2024-01-31T09:30:00Z, integer nanoseconds, or 30d (30 days ago)"
    )))
}

/// A state of the store as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A commit number.
    Version(u64),
    /// A snapshot of this name.
    Snapshot(String),
    /// The newest commit at or before this time.
    Time(i64),
}

/// Reads a version number (`17` or `v17`), a time, or a snapshot name. A snapshot of that very name wins.
pub(crate) fn parse_point(text: &str, snapshots: &[String], now_ns: i64) -> Result<Point> {
    let text = text.trim();
    if snapshots.iter().any(|name| name == text) {
        return Ok(Point::Snapshot(text.to_owned()));
    }
    let number = text.strip_prefix('v').unwrap_or(text);
    // Eight digits that form a date, and nanoseconds, are times; other plain numbers are versions.
    if let Ok(version) = number.parse::<u64>()
        && number.len() <= 15
        && parse_stamp(text.as_bytes()).is_none()
    {
        return Ok(Point::Version(version));
    }
    match parse_time(text, now_ns) {
        Ok(time) => Ok(Point::Time(time)),
        Err(_) if snapshots.is_empty() => {
            Err(Fail::Usage(format!("{text:?} is no version, no time, and the store has no snapshots")))
        }
        Err(_) => Err(Fail::Usage(format!(
            "{text:?} is no version, no time, and no snapshot; the snapshots are {}",
            snapshots.join(", ")
        ))),
    }
}

/// Wall-clock time, nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::time::{DAY_NS, HOUR_NS, SECOND_NS};

    const NOW: i64 = 1_704_110_400 * SECOND_NS;

    #[test]
    fn times_are_read_in_every_documented_form() {
        assert_eq!(parse_time("2024-01-01T12:00:00Z", 0).unwrap(), NOW);
        assert_eq!(parse_time("1704110400000000000", 0).unwrap(), NOW);
        assert_eq!(parse_time("-5", 0).unwrap(), -5);
        assert_eq!(parse_time("30d", NOW).unwrap(), NOW - 30 * DAY_NS);
        assert_eq!(parse_time("now", NOW).unwrap(), NOW);
        for bad in ["", "d", "tomorrow", "30q", "9223372036854775807", "99999999999999999999d"] {
            assert!(parse_time(bad, NOW).is_err(), "{bad}");
        }
    }

    #[test]
    fn points_are_versions_times_or_snapshots() {
        let names = vec!["2024-01-01".to_owned(), "before repair".to_owned()];
        assert_eq!(parse_point("17", &names, NOW).unwrap(), Point::Version(17));
        assert_eq!(parse_point("v17", &names, NOW).unwrap(), Point::Version(17));
        assert_eq!(
            parse_point("before repair", &names, NOW).unwrap(),
            Point::Snapshot("before repair".into())
        );
        assert_eq!(parse_point("2024-01-01", &names, NOW).unwrap(), Point::Snapshot("2024-01-01".into()));
        assert_eq!(parse_point("2024-01-01", &[], NOW).unwrap(), Point::Time(NOW - 12 * HOUR_NS));
        assert_eq!(parse_point("1h", &[], NOW).unwrap(), Point::Time(NOW - HOUR_NS));
        assert!(parse_point("nothing", &names, NOW).unwrap_err().to_string().contains("before repair"));
    }
}
