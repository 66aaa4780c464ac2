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
    /// No factor has this name.
    Unknown {
        /// The name.
        name: String,
        /// Names that resemble it.
        near: Vec<&'static str>,
    },
    /// Columns of a frame differ in length.
    Shape {
        /// The column.
        column: &'static str,
        /// Its rows.
        rows: usize,
        /// Rows of the first column.
        expected: usize,
    },
    /// An expression cannot be read.
    Expression {
        /// The expression.
        text: String,
        /// Characters before the place where it goes wrong.
        at: usize,
        /// What was expected there.
        reason: String,
    },
    /// An argument makes no sense.
    Usage(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Unknown { name, near } if near.is_empty() => write!(f, "there is no factor {name:?}"),
            Self::Unknown { name, near } => {
                write!(f, "there is no factor {name:?}; did you mean {}?", near.join(", "))
            }
            Self::Shape { column, rows, expected } => {
                write!(f, "the column {column} has {rows} rows, the others {expected}")
            }
            Self::Expression { text, at, reason } => {
                let (before, after) = text.split_at(text.char_indices().nth(*at).map_or(text.len(), |c| c.0));
                write!(f, "{reason}, at character {} of the expression: {before} «here» {after}", at + 1)
            }
            Self::Usage(text) => f.write_str(text),
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
