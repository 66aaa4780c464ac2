//! What is kept of checks: one row a series with the version that was checked, and one row a day in a table per series.
//!
//! `tapestore quality/series` lists the series and numbers their tables, `tapestore quality/days/N`. Both are written in
//! one commit with the findings; a rollback takes them back together with the rows that they tell of.

use std::ops::Range;

use tapestore::schema::SchemaBuilder;
use tapestore::{
    Batch, ColumnType, Error as StoreError, OWN_INSTRUMENT, Rows, Schema, SeriesKey, Strings, Transaction,
    Values, View,
};

use crate::error::{Error, Result};
use crate::score::Tally;

/// What was found on one day of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Midnight UTC, nanoseconds since the Unix epoch. Bars belong to the day in which they open.
    pub day_ns: i64,
    /// What was counted.
    pub tally: Tally,
}

/// A series that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The series.
    pub key: SeriesKey,
    /// The number of its table of days.
    pub number: u64,
    /// The version of the store whose bars were checked.
    pub version: u64,
    /// By which rules and which calendar, in words that are equal only if these are.
    pub definition: String,
    /// The sum of all days.
    pub tally: Tally,
    /// Open time of the last bar, nanoseconds since the Unix epoch, UTC.
    pub last_ns: i64,
    /// When it was checked, nanoseconds since the Unix epoch, UTC.
    pub checked_ns: i64,
}

const COUNTS: [&str; 9] = [
    "expected",
    "present",
    "synthetic",
    "outside",
    "invalid",
    "inconsistent",
    "inaccurate",
    "usable",
    "soft",
];

fn counts(tally: &Tally) -> [u64; 9] {
    [
        tally.expected,
        tally.present,
        tally.synthetic,
        tally.outside,
        tally.invalid,
        tally.inconsistent,
        tally.inaccurate,
        tally.usable,
        tally.soft,
    ]
}

fn with_counts(batch: Batch, tallies: &(impl Iterator<Item = Tally> + Clone)) -> Batch {
    COUNTS.iter().enumerate().fold(batch, |batch, (at, name)| {
        let values = tallies.clone().map(|tally| counts(&tally)[at] as i64).collect();
        batch.with(name, Values::I64(values))
    })
}

fn tally(rows: &Rows, row: usize) -> Option<Tally> {
    let count = |name: &str| rows.i64(name).map(|values| values[row] as u64);
    Some(Tally {
        expected: count("expected")?,
        present: count("present")?,
        synthetic: count("synthetic")?,
        outside: count("outside")?,
        invalid: count("invalid")?,
        inconsistent: count("inconsistent")?,
        inaccurate: count("inaccurate")?,
        usable: count("usable")?,
        soft: count("soft")?,
    })
}

pub(crate) fn text<'a>(rows: &'a Rows, name: &str, row: usize) -> Option<&'a str> {
    match rows.column(name).map(|column| &column.values) {
        Some(Values::Str(texts)) => Some(texts.get(row)),
        _ => None,
    }
}

pub(crate) fn texts<'a>(items: impl Iterator<Item = &'a str>) -> Values {
    Values::Str(items.collect::<Strings>())
}

/// A table of the store's own, which may not be there.
pub(crate) fn read(view: &View, table: &SeriesKey, range: Range<i64>) -> Result<Option<Rows>> {
    match view.read(table).range(range).rows() {
        Err(StoreError::NotFound(_)) => Ok(None),
        rows => Ok(Some(rows?)),
    }
}

pub(crate) fn foreign(table: &SeriesKey) -> Error {
    Error::Usage(format!("the table {table} is not one of quality checks"))
}

fn series_table() -> Result<SeriesKey> {
    Ok(SeriesKey::new(OWN_INSTRUMENT, "quality/series")?)
}

fn days_table(number: u64) -> Result<SeriesKey> {
    Ok(SeriesKey::new(OWN_INSTRUMENT, &format!("quality/days/{number}"))?)
}

fn series_schema() -> Result<Schema> {
    let builder = SchemaBuilder::sequence()
        .column("instrument", ColumnType::String)
        .column("frame", ColumnType::String)
        .column("definition", ColumnType::String)
        .describe("by which rules and calendar")
        .column("number", ColumnType::I64)
        .describe("of its table of days")
        .column("as_of", ColumnType::I64)
        .describe("whose bars were checked")
        .column("last", ColumnType::Timestamp)
        .describe("open time of the last bar")
        .column("checked", ColumnType::Timestamp)
        .describe("when");
    let all = COUNTS.iter().fold(builder, |builder, name| builder.column(name, ColumnType::I64));
    Ok(all.dedup(&["instrument", "frame"]).build()?)
}

fn days_schema() -> Result<Schema> {
    let all = COUNTS.iter().fold(SchemaBuilder::unique(), |builder, name| {
        builder.column(name, ColumnType::I64).describe("bars")
    });
    Ok(all.build()?)
}

/// Every series that was checked, sorted by instrument and frame.
///
/// # Errors
/// Damage; [`Error::Usage`] if a table of that name is another one.
pub fn checked(view: &View) -> Result<Vec<Checked>> {
    let table = series_table()?;
    let Some(rows) = read(view, &table, i64::MIN..i64::MAX)? else { return Ok(Vec::new()) };
    let one = |row: usize| -> Option<Checked> {
        let number = |name: &str| rows.i64(name).map(|values| values[row]);
        Some(Checked {
            key: SeriesKey::new(text(&rows, "instrument", row)?, text(&rows, "frame", row)?).ok()?,
            number: number("number")? as u64,
            version: number("as_of")? as u64,
            definition: text(&rows, "definition", row)?.to_owned(),
            tally: tally(&rows, row)?,
            last_ns: number("last")?,
            checked_ns: number("checked")?,
        })
    };
    let mut all: Vec<Checked> =
        (0..rows.len()).map(one).collect::<Option<_>>().ok_or_else(|| foreign(&table))?;
    all.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(all)
}

/// The days of a series that was checked, of those that begin in `range`, in order. Days without a bar between the
/// first and the last are among them.
///
/// # Errors
/// As [`checked`].
pub fn days(view: &View, series: &Checked, range: Range<i64>) -> Result<Vec<Day>> {
    let table = days_table(series.number)?;
    let Some(rows) = read(view, &table, range)? else { return Ok(Vec::new()) };
    let one = |row: usize| Some(Day { day_ns: rows.time()[row], tally: tally(&rows, row)? });
    (0..rows.len()).map(one).collect::<Option<_>>().ok_or_else(|| foreign(&table))
}

/// Writes days of a series in place of those that are known of the same range.
pub(crate) fn note_days(
    transaction: &mut Transaction,
    view: &View,
    number: u64,
    days: &[Day],
    known: &[Day],
) -> Result<()> {
    let table = days_table(number)?;
    if view.schema(&table).is_err() {
        transaction.create_series(&table, days_schema()?)?;
    }
    for gone in known {
        if days.binary_search_by_key(&gone.day_ns, |day| day.day_ns).is_err() {
            transaction.delete_range(&table, gone.day_ns..gone.day_ns + 1)?;
        }
    }
    if !days.is_empty() {
        let batch = Batch::new(days.iter().map(|day| day.day_ns).collect());
        transaction.upsert(&table, with_counts(batch, &days.iter().map(|day| day.tally)))?;
    }
    Ok(())
}

/// Writes rows of series.
pub(crate) fn note_checked(transaction: &mut Transaction, view: &View, all: &[Checked]) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let table = series_table()?;
    if view.schema(&table).is_err() {
        transaction.create_series(&table, series_schema()?)?;
    }
    let frames: Vec<String> = all.iter().map(|one| one.key.frame().to_string()).collect();
    let numbers = |of: &dyn Fn(&Checked) -> i64| Values::I64(all.iter().map(of).collect());
    let batch = Batch::new(vec![0; all.len()])
        .with("instrument", texts(all.iter().map(|one| one.key.instrument())))
        .with("frame", texts(frames.iter().map(String::as_str)))
        .with("definition", texts(all.iter().map(|one| one.definition.as_str())))
        .with("number", numbers(&|one| one.number as i64))
        .with("as_of", numbers(&|one| one.version as i64))
        .with("last", numbers(&|one| one.last_ns))
        .with("checked", numbers(&|one| one.checked_ns));
    Ok(transaction.upsert(&table, with_counts(batch, &all.iter().map(|one| one.tally)))?)
}
