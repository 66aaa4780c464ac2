//! What a salvage saved, and what it names as lost.

use std::ops::Range;

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossKind {
    /// Whole rows of a series.
    Rows,
    /// The values of one column in rows that were saved: they are null now, and the column is nullable.
    Values,
    /// Deletions and absences whose ranges are unknown.
    Marks,
    /// Whole commits.
    Commits,
    /// Rows of a series whose name or schema is lost.
    Unnamed,
    /// Names of sources: rows say by number where they came from.
    Sources,
    /// The name of a version.
    Snapshot,
    /// Older versions: what they showed is not certain any more, so they cannot be read.
    Versions,
}

impl LossKind {
    /// Name in `tape repair --json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Values => "values",
            Self::Marks => "marks",
            Self::Commits => "commits",
            Self::Unnamed => "unnamed",
            Self::Sources => "sources",
            Self::Snapshot => "snapshot",
            Self::Versions => "versions",
        }
    }
}

/// One thing that was lost, as exactly as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What.
    pub kind: LossKind,
    /// The file in which it stood.
    pub file: String,
    /// The series, where it has a name.
    pub series: Option<String>,
    /// The column, for values.
    pub column: Option<String>,
    /// Whether the rows were replaced or deleted ones, which only older versions show.
    pub history: bool,
    /// The rows, counted from the first of the series in this file (of its history, for history); unknown where only their
    /// number is known.
    pub rows: Option<Range<u64>>,
    /// How many rows, commits, or names; unknown: at least this many.
    pub count: u64,
    /// The rows lie between these times, both inclusive, nanoseconds since the Unix epoch, UTC.
    pub times: Option<(i64, i64)>,
    /// The commits concerned, both inclusive.
    pub versions: Option<(u64, u64)>,
    /// Why, and what was done about it.
    pub detail: String,
}

impl Loss {
    pub(super) fn new(kind: LossKind, file: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            file: file.into(),
            series: None,
            column: None,
            history: false,
            rows: None,
            count: 0,
            times: None,
            versions: None,
            detail: detail.into(),
        }
    }
}

/// What a salvage did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// The newest version of the new store.
    pub version: u64,
    /// The newest version of which a trace was found.
    pub newest_seen: u64,
    /// Series in the new store.
    pub series: u64,
    /// Rows saved from segments: the newest ones, and history.
    pub rows: u64,
    /// See `rows`.
    pub history_rows: u64,
    /// Commits saved from logs.
    pub commits: u64,
    /// What was lost but could be made again from the rest.
    pub rebuilt: Vec<String>,
    /// What is lost.
    pub losses: Vec<Loss>,
    /// What could not be known.
    pub unknown: Vec<String>,
}

impl SalvageReport {
    /// Whether the new store holds everything that the old one held.
    pub fn is_complete(&self) -> bool {
        self.losses.is_empty() && self.unknown.is_empty()
    }
}
