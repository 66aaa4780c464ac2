//! What a store remembers of fetching beside rows: findings, and files that were taken. Both are tables of the store's
//! own instrument, `tapestore fetch/findings` and `tapestore fetch/files`; `tape show` lists them. They are written in
//! the commit of the page that they tell of.

use std::collections::HashMap;

use tapestore::schema::SchemaBuilder;
use tapestore::{
    Batch, ColumnType, ColumnValues, Error, OWN_INSTRUMENT, Result, Schema, SeriesKey, Strings, Transaction,
    Values, View,
};

/// Most findings that one page notes; of more, the rest is counted.
pub const FINDINGS_PER_PAGE: usize = 1000;

/// Something odd about what a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Time of the row it is about, nanoseconds since the Unix epoch, UTC.
    pub at_ns: i64,
    /// `revision`: a stored value is another now. `vanished`: a stored row is not given any more. `conflict`: a time
    /// came twice, with different values; the later counts.
    pub kind: &'static str,
    /// The column, if one is to blame.
    pub column: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// A file that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Its name below the root of its source.
    pub name: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
}

fn own(frame: &str) -> SeriesKey {
    SeriesKey::new(OWN_INSTRUMENT, frame).expect("the name is a constant")
}

/// The table of findings; the time of a row is when it was found.
pub fn findings_key() -> SeriesKey {
    own("fetch/findings")
}

/// The table of files; the time of a row is when it was taken.
pub fn files_key() -> SeriesKey {
    own("fetch/files")
}

fn findings_schema() -> Schema {
    SchemaBuilder::sequence()
        .column("instrument", ColumnType::String)
        .describe("of the series")
        .column("frame", ColumnType::String)
        .describe("of the series")
        .column("origin", ColumnType::String)
        .describe("who gave the rows")
        .column("at", ColumnType::Timestamp)
        .describe("time of the row it is about")
        .column("kind", ColumnType::String)
        .describe("revision, vanished or conflict")
        .column("column", ColumnType::String)
        .describe("the column, if one is to blame")
        .column("old", ColumnType::String)
        .describe("what it was")
        .column("new", ColumnType::String)
        .describe("what it is")
        .dedup(&["instrument", "frame", "at", "kind", "column"])
        .build()
        .expect("a valid schema")
}

fn files_schema() -> Schema {
    SchemaBuilder::sequence()
        .column("file", ColumnType::String)
        .describe("its name below the root of its source")
        .column("origin", ColumnType::String)
        .describe("who published it")
        .column("sha256", ColumnType::String)
        .describe("checksum, hexadecimal")
        .column("bytes", ColumnType::I64)
        .describe("its size")
        .column("rows", ColumnType::I64)
        .describe("rows in it")
        .dedup(&["file"])
        .build()
        .expect("a valid schema")
}

fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> ColumnValues {
    Values::Str(texts.into_iter().collect::<Strings>()).into()
}

/// Adds findings about a series to a transaction.
///
/// # Errors
/// As [`Transaction::upsert`].
pub fn note_findings(
    transaction: &mut Transaction,
    key: &SeriesKey,
    source: &str,
    findings: &[Finding],
    now_ns: i64,
) -> Result<()> {
    let findings = &findings[..findings.len().min(FINDINGS_PER_PAGE)];
    if findings.is_empty() {
        return Ok(());
    }
    let table = findings_key();
    transaction.create_series(&table, findings_schema())?;
    let frame = key.frame().to_string();
    let constant = |text: &str| strings(std::iter::repeat_n(text, findings.len()));
    let batch = Batch::new(vec![now_ns; findings.len()])
        .with("instrument", constant(key.instrument()))
        .with("frame", constant(&frame))
        .with("origin", constant(source))
        .with("at", Values::I64(findings.iter().map(|finding| finding.at_ns).collect()))
        .with("kind", strings(findings.iter().map(|finding| finding.kind)))
        .with("column", strings(findings.iter().map(|finding| finding.column.as_str())))
        .with("old", strings(findings.iter().map(|finding| finding.old.as_str())))
        .with("new", strings(findings.iter().map(|finding| finding.new.as_str())));
    transaction.upsert(&table, batch)
}

/// Adds a file that was taken to a transaction.
///
/// # Errors
/// As [`Transaction::upsert`].
pub fn note_file(transaction: &mut Transaction, source: &str, file: &FileRecord, now_ns: i64) -> Result<()> {
    let table = files_key();
    transaction.create_series(&table, files_schema())?;
    let batch = Batch::new(vec![now_ns])
        .with("file", strings([file.name.as_str()]))
        .with("origin", strings([source]))
        .with("sha256", strings([file.sha256.as_str()]))
        .with("bytes", Values::I64(vec![file.bytes as i64]))
        .with("rows", Values::I64(vec![file.rows as i64]));
    transaction.upsert(&table, batch)
}

/// The checksums of the files of a source that were taken, by name; of one that was taken twice, the last.
///
/// # Errors
/// Damage.
pub fn known_files(view: &View, source: &str) -> Result<HashMap<String, String>> {
    let rows = match view.read(&files_key()).columns(&["file", "origin", "sha256"]).rows() {
        Err(Error::NotFound(_)) => return Ok(HashMap::new()),
        rows => rows?,
    };
    let column = |name: &str| match rows.column(name).map(|column| &column.values) {
        Some(Values::Str(texts)) => Ok(texts),
        _ => Err(Error::Usage(format!("{} is not the table of files", files_key()))),
    };
    let (files, sources, sums) = (column("file")?, column("origin")?, column("sha256")?);
    let own = (0..rows.len()).filter(|row| sources.get(*row) == source);
    Ok(own.map(|row| (files.get(row).to_owned(), sums.get(row).to_owned())).collect())
}
