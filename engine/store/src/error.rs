//! The one error type of the engine.

use std::fmt;
use std::io;

use tapestore_format::{ErrorKind, FormatError};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Broad class of an error, for exit codes and for deciding what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// An argument makes no sense.
    Usage,
    /// The store, series, column, snapshot or version does not exist.
    NotFound,
    /// The rows or the change break a rule of the series; nothing was staged.
    Rejected,
    /// The operating system failed.
    Io,
    /// Another process writes to the store.
    Locked,
    /// Bytes of the store are damaged.
    Corrupt,
    /// The store was written by a newer version.
    Newer,
    /// The directory or file is not a Tapestore store, or belongs to another one.
    Foreign,
    /// The handle only reads.
    ReadOnly,
    /// An earlier write of this handle failed; it accepts nothing more.
    Poisoned,
    /// A number is beyond a limit of the format.
    Limit,
}

/// What went wrong, with the facts: path, offset, rule, series, row.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An argument makes no sense.
    Usage(String),
    /// Something named does not exist.
    NotFound(String),
    /// Rows or a change break a rule of their series.
    Rejected {
        /// The series.
        series: String,
        /// The first offending row of the batch, if one is to blame.
        row: Option<usize>,
        /// The rule and what broke it.
        reason: String,
    },
    /// The operating system failed.
    Io {
        /// What was being done, such as `writing`.
        action: &'static str,
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// Another process writes to the store.
    Locked {
        /// The store.
        path: String,
    },
    /// A file of the store breaks a rule of the format.
    Format {
        /// The file.
        path: String,
        /// The rule, where, and what was found.
        source: FormatError,
    },
    /// Structures of the store contradict one another.
    Inconsistent {
        /// The file.
        path: String,
        /// The broken rule of `format-spec/`.
        rule: &'static str,
        /// Byte offset in the file at which the contradiction was noticed; 0 if it is that of the file as a whole.
        offset: u64,
        /// What was found.
        detail: String,
    },
    /// The handle was opened for reading.
    ReadOnly,
    /// An earlier write of this handle failed; reopen the store to recover.
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// A number is beyond a limit.
    Limit(String),
}

impl Error {
    /// The class of the error.
    pub fn kind(&self) -> ErrorClass {
        match self {
            Self::Usage(_) => ErrorClass::Usage,
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Rejected { .. } => ErrorClass::Rejected,
            Self::Io { .. } => ErrorClass::Io,
            Self::Locked { .. } => ErrorClass::Locked,
            Self::Format { source, .. } => match source.kind {
                ErrorKind::Foreign => ErrorClass::Foreign,
                ErrorKind::Newer => ErrorClass::Newer,
                _ => ErrorClass::Corrupt,
            },
            Self::Inconsistent { .. } => ErrorClass::Corrupt,
            Self::ReadOnly => ErrorClass::ReadOnly,
            Self::Poisoned { .. } => ErrorClass::Poisoned,
            Self::Limit(_) => ErrorClass::Limit,
        }
    }

    /// Whether this says that the disk, or a quota, is full. Reading goes on; a store that is opened again has space kept
    /// aside to delete rows and prune history ([`crate::Options::reserve_bytes`]).
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. } if crate::reserve::is_full(source))
    }

    pub(crate) fn io(action: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    /// What the manifest or `CURRENT` refers to cannot be opened: damage if it is not there, or not as stated (I3).
    pub(crate) fn referred(action: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidData => Self::Inconsistent {
                path: path.into(),
                rule: "I3",
                offset: 0,
                detail: format!("{action}: {source}"),
            },
            _ => Self::io(action, path, source),
        }
    }

    pub(crate) fn format(path: impl Into<String>, source: FormatError) -> Self {
        Self::Format { path: path.into(), source }
    }

    pub(crate) fn rejected(series: impl fmt::Display, row: Option<usize>, reason: impl Into<String>) -> Self {
        Self::Rejected { series: series.to_string(), row, reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::NotFound(text) | Self::Limit(text) => f.write_str(text),
            Self::Rejected { series, row: Some(row), reason } => {
                write!(f, "{series}: row {row} refused: {reason}")
            }
            Self::Rejected { series, row: None, reason } => write!(f, "{series}: refused: {reason}"),
            Self::Io { action, path, source } => {
                write!(f, "{action} {path}: {source}")?;
                if self.is_full_disk() {
                    f.write_str(
                        "; make space on this disk, or open the store again and delete rows or prune history",
                    )?;
                }
                Ok(())
            }
            Self::Locked { path } => write!(
                f,
                "{path} is being written by another process; wait for it, or open the store read-only"
            ),
            Self::Format { path, source } => write!(f, "{path}: {source}"),
            Self::Inconsistent { path, rule, offset, detail } => {
                write!(f, "{path}: corrupt: rule {rule} at offset {offset}: {detail}")
            }
            Self::ReadOnly => f.write_str("the store was opened read-only; open it for writing to change it"),
            Self::Poisoned { cause } => {
                write!(
                    f,
                    "an earlier write failed ({cause}); reopen the store: acknowledged commits are safe"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Format { source, .. } => Some(source),
            _ => None,
        }
    }
}
