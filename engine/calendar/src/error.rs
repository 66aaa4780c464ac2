//! The error type of the crate.

use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The store refused, or is damaged.
    Store(tapestore::Error),
    /// No calendar has this name.
    Unknown(String),
    /// A calendar says nothing of a time.
    Outside {
        /// The calendar.
        calendar: String,
        /// The first date it speaks of.
        first: String,
        /// The last date it speaks of.
        last: String,
        /// The first date that was asked for.
        from: String,
        /// The last date that was asked for.
        to: String,
    },
    /// A calendar in a file cannot be read.
    File {
        /// Where.
        file: String,
        /// Which line, from 1; 0: all of it.
        line: usize,
        /// What is wrong, and how it is right.
        what: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Unknown(name) => {
                let known: Vec<&str> = crate::all().iter().map(crate::Exchange::name).collect();
                write!(
                    f,
                    "there is no calendar {name:?}; there are {}, files ending in .calendar, and what the store's table has: \
                     tape import FILE --kind calendar",
                    known.join(", ")
                )
            }
            Self::Outside { calendar, first, last, from, to } => write!(
                f,
                "the calendar {calendar} speaks of {first} to {last}, not of all from {from} to {to}; \
                 ask for less, or give the days in a file or the store's table of calendars"
            ),
            Self::File { file, line: 0, what } => write!(f, "{file}: {what}"),
            Self::File { file, line, what } => write!(f, "{file}, line {line}: {what}"),
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
