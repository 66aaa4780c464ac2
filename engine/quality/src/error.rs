//! The error type of this crate.

use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The store refused, or is damaged.
    Store(tapestore::Error),
    /// An argument or a configuration makes no sense.
    Usage(String),
    /// A source of repairs failed.
    Source(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Usage(text) | Self::Source(text) => f.write_str(text),
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

impl From<tapestore_calendar::Error> for Error {
    fn from(error: tapestore_calendar::Error) -> Self {
        match error {
            tapestore_calendar::Error::Store(error) => Self::Store(error),
            other => Self::Usage(other.to_string()),
        }
    }
}
