//! The one error type of the format crate.

use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, FormatError>;

/// What class of trouble bytes are in. Specified in `format-spec/errors.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes do not belong to a Tapestore file (wrong magic), or to another store (wrong identity).
    Foreign,
    /// A newer major format, or a required feature bit that this reader does not know.
    Newer,
    /// The bytes break a rule of the specification: they were damaged, or written wrongly.
    Corrupt,
    /// A count, length or width is beyond a limit of [`crate::limits`].
    Limit,
}

/// A broken rule: which one, where, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Class of the error.
    pub kind: ErrorKind,
    /// Number of the broken rule in `format-spec/`, such as `S7`.
    pub rule: &'static str,
    /// Byte offset in the file (or in the buffer given, where there is no file) at which the rule is broken.
    pub offset: u64,
    /// What was found and what was expected.
    pub detail: String,
}

impl FormatError {
    /// A broken rule of class [`ErrorKind::Corrupt`].
    pub fn corrupt(rule: &'static str, offset: u64, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Corrupt, rule, offset, detail: detail.into() }
    }

    /// A number beyond a limit.
    pub fn limit(rule: &'static str, offset: u64, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Limit, rule, offset, detail: detail.into() }
    }

    /// The same error, `base` bytes further into the file: for structures parsed from a slice of it.
    #[must_use]
    pub fn shifted(mut self, base: u64) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.kind {
            ErrorKind::Foreign => "not a file of this store",
            ErrorKind::Newer => "newer format",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Limit => "beyond a limit",
        };
        write!(f, "{class}: rule {} at offset {}: {}", self.rule, self.offset, self.detail)
    }
}

impl std::error::Error for FormatError {}
