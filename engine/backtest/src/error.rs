//! The one error type of the crate.

use std::fmt;

use tapestore::time;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, with the facts: row, time, value.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A column has another number of rows than the times.
    Length {
        /// The column.
        what: &'static str,
        /// Rows that there are times for.
        times: usize,
        /// Rows that it has.
        rows: usize,
    },
    /// Times do not ascend.
    Order {
        /// The first row that is not later than the one before it.
        row: usize,
    },
    /// A price that nothing can be bought at.
    Price {
        /// `open` or `close`.
        what: &'static str,
        /// The row.
        row: usize,
        /// Its time, nanoseconds since the Unix epoch, UTC.
        time_ns: i64,
        /// The price.
        value: f64,
    },
    /// A signal outside of -1 to 1.
    Signal {
        /// The row.
        row: usize,
        /// Its time, nanoseconds since the Unix epoch, UTC.
        time_ns: i64,
        /// The signal.
        value: f64,
    },
    /// A trade on a day for which no costs are known.
    NoCosts {
        /// Time of the bar, nanoseconds since the Unix epoch, UTC.
        time_ns: i64,
        /// First day that the table knows, midnight UTC of the date.
        first_ns: i64,
    },
    /// A setting that makes no sense, or a calendar that is too short.
    Setting(String),
    /// The store.
    Store(tapestore::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, times, rows } => {
                write!(f, "{what} has {rows} rows, but there are {times} times")
            }
            Self::Order { row } => write!(f, "row {row} is not later than the one before it"),
            Self::Price { what, row, time_ns, value } => write!(
                f,
                "{what} of row {row} ({}) is {value}; a backtest needs a positive price in every bar",
                date(*time_ns)
            ),
            Self::Signal { row, time_ns, value } => write!(
                f,
                "the signal of row {row} ({}) is {value}; signals lie between -1 and 1: shape the column \
                 (sign, maxabs, zscore), or scale it",
                date(*time_ns)
            ),
            Self::NoCosts { time_ns, first_ns } => write!(
                f,
                "the table of Hong Kong's costs begins on {}; a trade on {} has none. Begin the backtest later, or \
                 name a rate",
                date(*first_ns),
                date(*time_ns)
            ),
            Self::Setting(text) => f.write_str(text),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<tapestore::Error> for Error {
    fn from(error: tapestore::Error) -> Self {
        Self::Store(error)
    }
}

/// `2024-01-31`, UTC (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(crate) fn date(time_ns: i64) -> String {
    let (year, month, day) = civil(time_ns.div_euclid(time::DAY_NS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a day since the Unix epoch.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days since the Unix epoch: the inverse of [`civil`].
pub(crate) const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for day in -30_000..60_000 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
        assert_eq!(date(days(2025, 6, 30) * time::DAY_NS + 5), "2025-06-30");
    }
}
