//! The error type of this crate.

use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An argument or a configuration makes no sense.
    Usage(String),
    /// The store refused or failed.
    Store(tapestore::Error),
    /// The source says no: a symbol it does not know, an interval it does not have. Sending it again would not help.
    Declined {
        /// The source.
        source: String,
        /// What it says.
        reason: String,
    },
    /// A reply does not answer its request.
    Refused {
        /// The source.
        source: String,
        /// What does not fit.
        reason: String,
    },
    /// Every attempt failed in a way that may pass.
    GaveUp {
        /// The source.
        source: String,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt met.
        reason: String,
    },
    /// The source asks for more patience than was allowed.
    Banned {
        /// The source.
        source: String,
        /// For how long, in seconds.
        seconds: u64,
        /// What it says.
        reason: String,
    },
    /// Whoever asked for the run stopped it.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Store(error) => error.fmt(f),
            Self::Declined { source, reason } => write!(f, "{source} declines: {reason}"),
            Self::Refused { source, reason } => {
                write!(f, "a reply of {source} does not answer the request and was not taken: {reason}")
            }
            Self::GaveUp { source, attempts, reason } => {
                write!(f, "{source} failed {attempts} times, last with: {reason}; run it again later")
            }
            Self::Banned { source, seconds, reason } => write!(
                f,
                "{source} asks to stay away for {seconds} s ({reason}); run it again after that, or raise --patience"
            ),
            Self::Stopped => f.write_str("stopped; what is committed stays, run the same again to go on"),
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
