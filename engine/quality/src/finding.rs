//! Findings: rows of the table `tapestore quality/findings`, beside the data, which they never edit.
//!
//! # Invariants
//! - F1. A finding is named by its series, its rule and where it begins. Checking the same bars again changes nothing.
//! - F2. A finding whose cause is gone is `gone`; it stays in the table. If the cause comes back, it is open again.
//! - F3. What was accepted as real stays so as long as the finding is there.

use std::ops::Range;

use tapestore::schema::SchemaBuilder;
use tapestore::{Batch, ColumnType, OWN_INSTRUMENT, Schema, SeriesKey, Transaction, Values, View};

use crate::error::Result;
use crate::ledger::{foreign, read, text, texts};
use crate::rule::{Rule, Severity};

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingState {
    /// It stands.
    Open,
    /// A repair took it away.
    Repaired,
    /// Somebody looked, and it is real: it does not count against the score.
    Accepted,
    /// Its cause is gone.
    Gone,
}

impl FindingState {
    const ALL: [Self; 4] = [Self::Open, Self::Repaired, Self::Accepted, Self::Gone];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Repaired => "repaired",
            Self::Accepted => "accepted",
            Self::Gone => "gone",
        }
    }

    /// The state of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The series.
    pub key: SeriesKey,
    /// The rule.
    pub rule: Rule,
    /// Open time of the first bar that it is about, nanoseconds since the Unix epoch, UTC.
    pub at_ns: i64,
    /// Where the last bar that it is about ends, exclusive.
    pub end_ns: i64,
    /// Open time of the bar that shows it best.
    pub worst_ns: i64,
    /// Number of bars.
    pub bars: u64,
    /// How bad it is.
    pub severity: Severity,
    /// What became of it.
    pub state: FindingState,
    /// What was seen, in words and numbers.
    pub evidence: String,
    /// The version of the store in which it was seen last.
    pub version: u64,
    /// When it was found first, nanoseconds since the Unix epoch, UTC.
    pub found_ns: i64,
    /// When its state changed last.
    pub changed_ns: i64,
}

fn table() -> Result<SeriesKey> {
    Ok(SeriesKey::new(OWN_INSTRUMENT, "quality/findings")?)
}

fn schema() -> Result<Schema> {
    let builder = SchemaBuilder::sequence()
        .column("instrument", ColumnType::String)
        .column("frame", ColumnType::String)
        .column("rule", ColumnType::String)
        .column("end", ColumnType::Timestamp)
        .describe("where the last bar that it is about ends")
        .column("worst", ColumnType::Timestamp)
        .describe("the bar that shows it best")
        .column("bars", ColumnType::I64)
        .describe("number of bars")
        .column("severity", ColumnType::String)
        .column("state", ColumnType::String)
        .describe("open, repaired, accepted or gone")
        .column("evidence", ColumnType::String)
        .column("as_of", ColumnType::I64)
        .describe("the version in which it was seen last")
        .column("found", ColumnType::Timestamp)
        .describe("when it was found first")
        .column("changed", ColumnType::Timestamp)
        .describe("when its state changed last");
    Ok(builder.dedup(&["instrument", "frame", "rule"]).build()?)
}

/// Findings that begin in `range`, in order of time, in any state.
///
/// # Errors
/// Damage; [`crate::Error::Usage`] if a table of that name is another one.
pub fn findings(view: &View, range: Range<i64>) -> Result<Vec<Finding>> {
    let table = table()?;
    let Some(rows) = read(view, &table, range)? else { return Ok(Vec::new()) };
    let one = |row: usize| -> Option<Finding> {
        let number = |name: &str| rows.i64(name).map(|values| values[row]);
        let word = |name: &str| text(&rows, name, row);
        Some(Finding {
            key: SeriesKey::new(word("instrument")?, word("frame")?).ok()?,
            rule: Rule::parse(word("rule")?)?,
            at_ns: rows.time()[row],
            end_ns: number("end")?,
            worst_ns: number("worst")?,
            bars: number("bars")? as u64,
            severity: Severity::parse(word("severity")?)?,
            state: FindingState::parse(word("state")?)?,
            evidence: word("evidence")?.to_owned(),
            version: number("as_of")? as u64,
            found_ns: number("found")?,
            changed_ns: number("changed")?,
        })
    };
    (0..rows.len()).map(one).collect::<Option<_>>().ok_or_else(|| foreign(&table))
}

/// Writes findings.
pub(crate) fn note_findings(transaction: &mut Transaction, view: &View, all: &[Finding]) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let table = table()?;
    if view.schema(&table).is_err() {
        transaction.create_series(&table, schema()?)?;
    }
    let frames: Vec<String> = all.iter().map(|one| one.key.frame().to_string()).collect();
    let numbers = |of: &dyn Fn(&Finding) -> i64| Values::I64(all.iter().map(of).collect());
    let batch = Batch::new(all.iter().map(|one| one.at_ns).collect())
        .with("instrument", texts(all.iter().map(|one| one.key.instrument())))
        .with("frame", texts(frames.iter().map(String::as_str)))
        .with("rule", texts(all.iter().map(|one| one.rule.name())))
        .with("end", numbers(&|one| one.end_ns))
        .with("worst", numbers(&|one| one.worst_ns))
        .with("bars", numbers(&|one| one.bars as i64))
        .with("severity", texts(all.iter().map(|one| one.severity.name())))
        .with("state", texts(all.iter().map(|one| one.state.name())))
        .with("evidence", texts(all.iter().map(|one| one.evidence.as_str())))
        .with("as_of", numbers(&|one| one.version as i64))
        .with("found", numbers(&|one| one.found_ns))
        .with("changed", numbers(&|one| one.changed_ns));
    Ok(transaction.upsert(&table, batch)?)
}

/// What has to be written so that the findings of a series in checked days are the `seen` ones. `known` are those that
/// are there, of this series and these days.
pub(crate) fn settle(known: Vec<Finding>, seen: Vec<Finding>, now_ns: i64) -> Vec<Finding> {
    let name = |finding: &Finding| (finding.at_ns, finding.rule);
    let mut known: std::collections::BTreeMap<_, _> =
        known.into_iter().map(|finding| (name(&finding), finding)).collect();
    let mut out = Vec::new();
    for mut finding in seen {
        if let Some(old) = known.remove(&name(&finding)) {
            finding.found_ns = old.found_ns;
            let keeps = matches!(old.state, FindingState::Open | FindingState::Accepted);
            if keeps {
                (finding.state, finding.changed_ns) = (old.state, old.changed_ns);
            }
            // That it was looked at again is no news.
            if keeps && (Finding { version: old.version, ..finding.clone() }) == old {
                continue;
            }
        }
        out.push(finding);
    }
    for (_, mut old) in known {
        if matches!(old.state, FindingState::Open | FindingState::Accepted) {
            (old.state, old.changed_ns) = (FindingState::Gone, now_ns);
            out.push(old);
        }
    }
    out
}
