//! The log of operations: what was done to a store, when, and how it ended.
//!
//! It is a series of the store itself, `tapestore operations`: as durable as the data, in every backup, and written in
//! the same commit as what it tells of, where that is one commit. Whoever carries out an operation notes it; a
//! rollback takes back what was done, not the record of it.

use std::ops::Range;

use tapestore_format::limits::STRING_BYTES;
use tapestore_format::rows::{ColumnValues, Strings, Values};
use tapestore_format::schema::{ColumnType, Schema};

use crate::batch::{Batch, Rows};
use crate::error::{Error, Result};
use crate::key::{OWN_INSTRUMENT, SeriesKey};
use crate::schema::SchemaBuilder;
use crate::store::Store;
use crate::transaction::{CommitReport, Transaction, cut};
use crate::view::View;

const FRAME: &str = "operations";

/// How an operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It began, and a part of it is committed. What stays so was killed.
    #[default]
    Running,
    /// It ended well.
    Done,
    /// It ended with an error.
    Failed,
}

impl Outcome {
    /// `running`, `ok` or `failed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "ok",
            Self::Failed => "failed",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Failed].into_iter().find(|outcome| outcome.name() == name)
    }
}

/// Something that is done to a store: an import, a change of schemas, maintenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it began, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// What is done: `import`, `schema apply`, `prune`, …
    pub kind: String,
    /// To what: a series, a file, a snapshot; may be empty.
    pub target: String,
    /// How it stands.
    pub outcome: Outcome,
    /// What came of it, for people.
    pub detail: String,
    /// Why it failed; empty if it did not.
    pub error: String,
    /// How long it took so far, in nanoseconds.
    pub duration_ns: i64,
    /// The commit that holds this record; 0 before it is noted.
    pub version: u64,
}

impl Operation {
    /// An operation that begins now. Texts beyond 4096 bytes are cut when it is noted.
    pub fn begin(now_ns: i64, kind: &str, target: &str) -> Self {
        Self {
            time_ns: now_ns,
            kind: kind.to_owned(),
            target: target.to_owned(),
            outcome: Outcome::Running,
            detail: String::new(),
            error: String::new(),
            duration_ns: 0,
            version: 0,
        }
    }

    /// The operation as it stands now.
    #[must_use]
    pub fn running(&self, now_ns: i64, detail: &str) -> Self {
        self.ended(now_ns, Outcome::Running, detail, "")
    }

    /// The operation, ended well.
    #[must_use]
    pub fn done(&self, now_ns: i64, detail: &str) -> Self {
        self.ended(now_ns, Outcome::Done, detail, "")
    }

    /// The operation, failed.
    #[must_use]
    pub fn failed(&self, now_ns: i64, error: &str) -> Self {
        self.ended(now_ns, Outcome::Failed, &self.detail, error)
    }

    fn ended(&self, now_ns: i64, outcome: Outcome, detail: &str, error: &str) -> Self {
        let duration_ns = now_ns.saturating_sub(self.time_ns).max(0);
        Self { outcome, detail: detail.to_owned(), error: error.to_owned(), duration_ns, ..self.clone() }
    }
}

/// The series that holds the log.
pub(crate) fn series() -> SeriesKey {
    SeriesKey::new(OWN_INSTRUMENT, FRAME).expect("the name is a constant")
}

/// Whether a series is the log of operations.
pub(crate) fn is_log(key: &SeriesKey) -> bool {
    key.is_own() && key.frame().to_string() == FRAME
}

fn schema() -> Schema {
    SchemaBuilder::sequence()
        .column("operation", ColumnType::String)
        .describe("what was done; the time of the row is when it began")
        .column("target", ColumnType::String)
        .describe("to what")
        .column("outcome", ColumnType::String)
        .describe("running, ok or failed")
        .column("detail", ColumnType::String)
        .describe("what came of it")
        .column("error", ColumnType::String)
        .describe("why it failed")
        .column("duration_ns", ColumnType::I64)
        .describe("how long it took, in nanoseconds")
        .dedup(&["operation", "target"])
        .build()
        .expect("the schema is a constant")
}

impl Transaction {
    /// Notes an operation in the store's log, in this commit. The same operation, by when it began, what it is and to
    /// what, replaces what was noted of it before.
    ///
    /// # Errors
    /// [`Error::Rejected`] if its time is outside the limits of times.
    pub fn note(&mut self, operation: &Operation) -> Result<()> {
        let log = series();
        self.create_series(&log, schema())?;
        let text = |text: &str| -> ColumnValues {
            Values::Str([cut(text, STRING_BYTES)].iter().collect::<Strings>()).into()
        };
        let batch = Batch::new(vec![operation.time_ns])
            .with("operation", text(&operation.kind))
            .with("target", text(&operation.target))
            .with("outcome", text(operation.outcome.name()))
            .with("detail", text(&operation.detail))
            .with("error", text(&operation.error))
            .with("duration_ns", Values::I64(vec![operation.duration_ns]));
        self.upsert(&log, batch)
    }
}

impl Store {
    /// Notes an operation in a commit of its own.
    ///
    /// # Errors
    /// As [`Transaction::note`] and [`Transaction::commit`].
    pub fn note(&self, operation: &Operation) -> Result<CommitReport> {
        let mut transaction = self.begin();
        transaction.message(&format!(
            "{} {}: {}",
            operation.kind,
            operation.target,
            operation.outcome.name()
        ));
        transaction.note(operation)?;
        transaction.commit()
    }
}

impl View {
    /// The operations that began in `[range.start, range.end)`, oldest first.
    ///
    /// # Errors
    /// Damage.
    pub fn operations(&self, range: Range<i64>) -> Result<Vec<Operation>> {
        let rows = match self.read(&series()).range(range).provenance().rows() {
            Err(Error::NotFound(_)) => return Ok(Vec::new()),
            rows => rows?,
        };
        let unreadable = || Error::Usage(format!("{} is not the log of operations", series()));
        let [kinds, targets, outcomes, details, errors] =
            ["operation", "target", "outcome", "detail", "error"].map(|name| strings(&rows, name));
        let (Some(kinds), Some(targets), Some(outcomes), Some(details), Some(errors), Some(durations)) =
            (kinds, targets, outcomes, details, errors, rows.i64("duration_ns"))
        else {
            return Err(unreadable());
        };
        let operation = |row: usize| {
            Some(Operation {
                time_ns: rows.time()[row],
                kind: kinds.get(row).to_owned(),
                target: targets.get(row).to_owned(),
                outcome: Outcome::parse(outcomes.get(row))?,
                detail: details.get(row).to_owned(),
                error: errors.get(row).to_owned(),
                duration_ns: durations[row],
                version: rows.set.version.get(row),
            })
        };
        (0..rows.len()).map(|row| operation(row).ok_or_else(unreadable)).collect()
    }
}

fn strings<'r>(rows: &'r Rows, name: &str) -> Option<&'r Strings> {
    match rows.column(name).map(|column| &column.values) {
        Some(Values::Str(texts)) => Some(texts),
        _ => None,
    }
}
