//! The one error type of the crate.

use std::fmt;

use tapestore::time::date_text;

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
                date_text(*time_ns)
            ),
            Self::Signal { row, time_ns, value } => write!(
                f,
                "the signal of row {row} ({}) is {value}; signals lie between -1 and 1: shape the column \
                 (sign, maxabs, zscore), or scale it",
                date_text(*time_ns)
            ),
            Self::NoCosts { time_ns, first_ns } => write!(
                f,
                "the table of Hong Kong's costs begins on {}; a trade on {} has none. Begin the backtest later, or \
                 name a rate",
                date_text(*first_ns),
                date_text(*time_ns)
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
