//! The tables that a store knows: the text of its schema file, line by line, in the table `tapestore schema` of the store.
//! So it has versions as all data has, is in every backup, and a rollback takes it back together with the series.

use tapestore::schema::SchemaBuilder;
use tapestore::{
    Batch, ColumnType, Error, OWN_INSTRUMENT, Result, SeriesKey, Strings, Transaction, Values, View,
};

use crate::declaration::Declarations;
use crate::file::{Language, parse, to_toml};

/// Longest line: a string of the store.
const LINE_BYTES: usize = 4096;

fn series() -> SeriesKey {
    SeriesKey::new(OWN_INSTRUMENT, "schema").expect("the name is a constant")
}

/// The tables that are declared in the store, at the version of the view.
///
/// # Errors
/// Damage.
pub fn declared(view: &View) -> Result<Declarations> {
    let rows = match view.read(&series()).columns(&["text"]).rows() {
        Err(Error::NotFound(_)) => return Ok(Declarations::default()),
        rows => rows?,
    };
    let Some(Values::Str(lines)) = rows.column("text").map(|column| &column.values) else {
        return Err(Error::Usage(format!("{} is no table of declarations", series())));
    };
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    if text.trim().is_empty() {
        return Ok(Declarations::default());
    }
    let mut declarations = parse(&series().to_string(), &text, Language::Toml)?;
    declarations.tables.iter_mut().for_each(|table| table.line = 0);
    Ok(declarations)
}

/// Makes these the tables that are declared in the store.
///
/// # Errors
/// [`Error::Usage`] if a text in them is too long.
pub fn declare(transaction: &mut Transaction, view: &View, declarations: &Declarations) -> Result<()> {
    let text = to_toml(declarations);
    let lines: Vec<&str> = text.lines().collect();
    if let Some(line) = lines.iter().find(|line| line.len() > LINE_BYTES) {
        let name = line.split(' ').next().unwrap_or_default();
        return Err(Error::Usage(format!(
            "the field {name:?} is {} bytes long, at most {LINE_BYTES} are kept; divide the table",
            line.len()
        )));
    }
    let key = series();
    let schema = SchemaBuilder::unique()
        .column("text", ColumnType::String)
        .describe("a line of the schema file; the time of the row is its number")
        .build()?;
    transaction.create_series(&key, schema)?;
    let known = match view.info(&key) {
        Err(Error::NotFound(_)) => 0,
        info => info?.last_ns.map_or(0, |last| last + 1),
    };
    let count = lines.len() as i64;
    if known > count {
        transaction.delete_range(&key, count..known)?;
    }
    let texts: Strings = lines.iter().collect();
    transaction.upsert(&key, Batch::new((0..count).collect()).with("text", Values::Str(texts)))
}
