//! The error type of this crate.

use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the state of a store could not be told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    Store(tapestore::Error),
    /// The tables of alerts are damaged or of others.
    Alerts(tapestore_alert::Error),
    /// The tables of quality are damaged or of others.
    Quality(tapestore_quality::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Alerts(error) => error.fmt(f),
            Self::Quality(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Alerts(error) => Some(error),
            Self::Quality(error) => Some(error),
        }
    }
}

impl From<tapestore::Error> for Error {
    fn from(error: tapestore::Error) -> Self {
        Self::Store(error)
    }
}

impl From<tapestore_alert::Error> for Error {
    fn from(error: tapestore_alert::Error) -> Self {
        Self::Alerts(error)
    }
}

impl From<tapestore_quality::Error> for Error {
    fn from(error: tapestore_quality::Error) -> Self {
        Self::Quality(error)
    }
}
