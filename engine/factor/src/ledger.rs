//! The table of kept factors: what each series was made of, and how often that was of use.

use tapestore::schema::SchemaBuilder;
use tapestore::{
    Batch, ColumnType, Error as StoreError, OWN_INSTRUMENT, Rows, Schema, SeriesKey, Strings, Transaction,
    Values, View,
};

use crate::error::{Error, Result};

const TEXTS: [&str; 5] = ["instrument", "frame", "source_instrument", "source_frame", "definition"];
const NUMBERS: [&str; 8] =
    ["source_version", "rows", "bytes", "took_ns", "saved_ns", "used_ns", "hits", "misses"];

/// One kept series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The series of factors.
    pub target: SeriesKey,
    /// The bars that it was made of.
    pub source: SeriesKey,
    /// How, see [`crate::definition`]; empty if it was dropped.
    pub definition: String,
    /// The version of the store whose bars it stands for.
    pub source_version: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes in memory, eight a value and time.
    pub bytes: u64,
    /// Nanoseconds that computing all of it took, the last time.
    pub took_ns: i64,
    /// Nanoseconds that were not spent because it was there: `took_ns` for each hit.
    pub saved_ns: i64,
    /// When it was used or written the last time: nanoseconds since the Unix epoch, UTC.
    pub used_ns: i64,
    /// How often it was asked for and up to date.
    pub hits: u64,
    /// How often it was asked for and had to be computed, whole or in part.
    pub misses: u64,
}

impl Entry {
    pub(crate) fn new(target: &SeriesKey, source: &SeriesKey) -> Self {
        Self {
            target: target.clone(),
            source: source.clone(),
            definition: String::new(),
            source_version: 0,
            rows: 0,
            bytes: 0,
            took_ns: 0,
            saved_ns: 0,
            used_ns: 0,
            hits: 0,
            misses: 0,
        }
    }
}

pub(crate) fn table() -> Result<SeriesKey> {
    Ok(SeriesKey::new(OWN_INSTRUMENT, "factors")?)
}

fn schema() -> Result<Schema> {
    let texts = TEXTS.iter().fold(SchemaBuilder::sequence(), |b, name| b.column(name, ColumnType::String));
    let all = NUMBERS.iter().fold(texts, |b, name| b.column(name, ColumnType::I64));
    Ok(all.dedup(&["instrument", "frame"]).build()?)
}

/// Every kept series, and those that were.
///
/// # Errors
/// Damage; [`Error::Usage`] if the table is not ours.
pub fn entries(view: &View) -> Result<Vec<Entry>> {
    let rows = match view.read(&table()?).rows() {
        Err(StoreError::NotFound(_)) => return Ok(Vec::new()),
        rows => rows?,
    };
    let foreign = || Error::Usage("the table tapestore factors is not that of kept factors".into());
    let read = |row: usize| -> Option<Result<Entry>> {
        let [instrument, frame, from, from_frame, definition] = TEXTS.map(|name| text(&rows, name, row));
        let numbers = NUMBERS.map(|name| rows.i64(name).map(|values| values[row]));
        let [source_version, rows, bytes, took_ns, saved_ns, used_ns, hits, misses] = numbers;
        let keys = (SeriesKey::new(instrument?, frame?), SeriesKey::new(from?, from_frame?));
        let (target, source) = match keys {
            (Ok(target), Ok(source)) => (target, source),
            (Err(error), _) | (_, Err(error)) => return Some(Err(error.into())),
        };
        Some(Ok(Entry {
            target,
            source,
            definition: definition?.to_owned(),
            source_version: source_version? as u64,
            rows: rows? as u64,
            bytes: bytes? as u64,
            took_ns: took_ns?,
            saved_ns: saved_ns?,
            used_ns: used_ns?,
            hits: hits? as u64,
            misses: misses? as u64,
        }))
    };
    (0..rows.len()).map(|row| read(row).unwrap_or_else(|| Err(foreign()))).collect()
}

fn text<'a>(rows: &'a Rows, name: &str, row: usize) -> Option<&'a str> {
    match rows.column(name).map(|column| &column.values) {
        Some(Values::Str(texts)) => Some(texts.get(row)),
        _ => None,
    }
}

/// Writes the rows of some series into the table.
pub(crate) fn note(transaction: &mut Transaction, view: &View, entries: &[Entry]) -> Result<()> {
    let table = table()?;
    if view.schema(&table).is_err() {
        transaction.create_series(&table, schema()?)?;
    }
    let texts = |of: &dyn Fn(&Entry) -> String| Values::Str(entries.iter().map(of).collect::<Strings>());
    let numbers = |of: &dyn Fn(&Entry) -> i64| Values::I64(entries.iter().map(of).collect());
    let batch = Batch::new(vec![0; entries.len()])
        .with("instrument", texts(&|entry| entry.target.instrument().to_owned()))
        .with("frame", texts(&|entry| entry.target.frame().to_string()))
        .with("source_instrument", texts(&|entry| entry.source.instrument().to_owned()))
        .with("source_frame", texts(&|entry| entry.source.frame().to_string()))
        .with("definition", texts(&|entry| entry.definition.clone()))
        .with("source_version", numbers(&|entry| entry.source_version as i64))
        .with("rows", numbers(&|entry| entry.rows as i64))
        .with("bytes", numbers(&|entry| entry.bytes as i64))
        .with("took_ns", numbers(&|entry| entry.took_ns))
        .with("saved_ns", numbers(&|entry| entry.saved_ns))
        .with("used_ns", numbers(&|entry| entry.used_ns))
        .with("hits", numbers(&|entry| entry.hits as i64))
        .with("misses", numbers(&|entry| entry.misses as i64));
    Ok(transaction.upsert(&table, batch)?)
}
