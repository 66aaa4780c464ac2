//! Repair: bars in place of those that are missing or wrong, each with where it comes from.
//!
//! In this order, the first that there is and that breaks no rule of its own: the same source asked again; another source of
//! the same market, where it agrees with the bars around; the finer bars of the same series; and only where it was asked
//! for, the close before, flagged as made up.
//!
//! # Invariants
//! - P1. Nothing is written but what the plan shows, all of it in one version, and only if none of its series changed since.
//! - P2. What was there stays in the version before; [`undo`] brings exactly that back, where nothing else came since.
//! - P3. Volume never comes from another exchange.
//! - P4. A made-up bar carries the flag `SYNTHETIC`: it never counts as complete.

mod plan;
mod undo;

use tapestore::{Batch, ColumnValues, RunVec, SeriesKey, Store, Values, flags};

use crate::error::{Error, Result};
use crate::finding::{FindingState, findings, note_findings};
use crate::rule::Rule;
use crate::run::Setup;

pub use plan::{Refetch, Repairs, plan_repairs};
pub use undo::{Undone, undo};

/// How the message of a repair begins.
pub(crate) const REPAIR: &str = "repair:";

/// Where a bar comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The same source was asked again.
    Refetched,
    /// Another source of the same market; its volume is not taken.
    OtherSource,
    /// Finer bars of the same series.
    Rebuilt,
    /// Made up: the close before, without volume.
    Filled,
}

impl Method {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refetched => "refetched",
            Self::OtherSource => "other source",
            Self::Rebuilt => "rebuilt",
            Self::Filled => "filled",
        }
    }

    /// The flags of its bars.
    pub fn flags(self) -> u16 {
        match self {
            Self::Refetched => flags::REPAIRED,
            Self::OtherSource => flags::REPAIRED | flags::CROSS,
            Self::Rebuilt => flags::REPAIRED | flags::REBUILT,
            Self::Filled => flags::REPAIRED | flags::SYNTHETIC,
        }
    }
}

/// A value of a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// Of a column of doubles.
    F64(f64),
    /// Of a column of integers or times.
    I64(i64),
}

/// One bar of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// The series.
    pub key: SeriesKey,
    /// Open time, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// The rules that what is there breaks; [`Rule::Missing`] if nothing is.
    pub rules: Vec<Rule>,
    /// Where the new bar comes from.
    pub method: Method,
    /// In more detail: the name of a source, or a series.
    pub origin: String,
    /// The new values by column; columns that are not named have none.
    pub cells: Vec<(String, Cell)>,
    /// Close and volume of what is there.
    pub before: Option<(f64, f64)>,
}

impl Fix {
    /// The value of a column of doubles; NaN if there is none.
    pub fn value(&self, column: &str) -> f64 {
        let found = self.cells.iter().find(|(name, _)| name == column);
        found.map_or(f64::NAN, |(_, cell)| match cell {
            Cell::F64(value) => *value,
            Cell::I64(value) => *value as f64,
        })
    }
}

/// What is to be done, before it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The version of the store that it is for.
    pub version: u64,
    /// New bars, by series and time.
    pub fixes: Vec<Fix>,
    /// Bars that no source has anything for, with the rules that they break.
    pub left: Vec<(SeriesKey, i64, Vec<Rule>)>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The version that holds it; of a plan without a bar, the one there was.
    pub version: u64,
    /// Bars that were written.
    pub bars: u64,
    /// Findings that were closed by it.
    pub findings: u64,
}

/// Carries out a plan, in one version.
///
/// # Errors
/// [`Error::Store`] if a series changed since the plan was made: then nothing is written; make the plan again.
pub fn apply(store: &Store, plan: &Plan, setup: &Setup) -> Result<Applied> {
    let view = store.view();
    if plan.fixes.is_empty() {
        return Ok(Applied { version: view.version(), ..Applied::default() });
    }
    let mut transaction = store.begin();
    transaction.message(&message(plan));
    for fixes in plan.fixes.chunk_by(|a, b| a.key == b.key) {
        let key = &fixes[0].key;
        transaction.expect_unchanged(key, plan.version);
        let schema = view.schema(key)?;
        let mut origins: Vec<(Method, &str)> =
            fixes.iter().map(|fix| (fix.method, fix.origin.as_str())).collect();
        origins.sort_unstable();
        origins.dedup();
        for (method, origin) in origins {
            let of: Vec<&Fix> =
                fixes.iter().filter(|fix| (fix.method, fix.origin.as_str()) == (method, origin)).collect();
            transaction.source(origin);
            transaction.upsert(key, batch(&of, &schema)?)?;
        }
    }
    let mut closed = findings(&view, i64::MIN..i64::MAX)?;
    closed.retain(|finding| {
        let met =
            |fix: &Fix| fix.key == finding.key && (finding.at_ns..finding.end_ns).contains(&fix.time_ns);
        finding.state == FindingState::Open
            && plan.fixes.iter().any(|fix| met(fix) && fix.rules.contains(&finding.rule))
    });
    for finding in &mut closed {
        (finding.state, finding.changed_ns) = (FindingState::Repaired, setup.now_ns);
    }
    note_findings(&mut transaction, &view, &closed)?;
    let report = transaction.commit()?;
    Ok(Applied { version: report.version, bars: plan.fixes.len() as u64, findings: closed.len() as u64 })
}

fn message(plan: &Plan) -> String {
    let methods = [Method::Refetched, Method::OtherSource, Method::Rebuilt, Method::Filled];
    let counts = methods.into_iter().map(|method| {
        let count = plan.fixes.iter().filter(|fix| fix.method == method).count();
        (count, method.name())
    });
    let parts: Vec<String> =
        counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    let series = plan.fixes.chunk_by(|a, b| a.key == b.key).count();
    format!("{REPAIR} {} bars of {series} series ({})", plan.fixes.len(), parts.join(", "))
}

/// The rows of some fixes of one series.
fn batch(fixes: &[&Fix], schema: &tapestore::Schema) -> Result<Batch> {
    let mut flags = RunVec::default();
    fixes.iter().for_each(|fix| flags.push(fix.method.flags(), 1));
    let mut batch = Batch::new(fixes.iter().map(|fix| fix.time_ns).collect());
    for column in &schema.columns {
        let cell =
            |fix: &&Fix| fix.cells.iter().find(|(name, _)| *name == column.name).map(|(_, cell)| *cell);
        let cells: Vec<Option<Cell>> = fixes.iter().map(cell).collect();
        let nulls: Vec<bool> = cells.iter().map(Option::is_none).collect();
        let values = match Values::empty(column.kind) {
            Values::F64(_) => Values::F64(
                cells
                    .iter()
                    .map(|cell| if let Some(Cell::F64(value)) = cell { *value } else { 0.0 })
                    .collect(),
            ),
            Values::I64(_) => Values::I64(
                cells.iter().map(|cell| if let Some(Cell::I64(value)) = cell { *value } else { 0 }).collect(),
            ),
            _ if column.nullable => continue,
            _ => {
                let text = format!(
                    "{}: the column {:?} must have a value, and a repair has none",
                    fixes[0].key, column.name
                );
                return Err(Error::Usage(text));
            }
        };
        batch =
            batch.with(&column.name, ColumnValues { values, nulls: nulls.contains(&true).then_some(nulls) });
    }
    Ok(batch.with_flags(flags))
}
