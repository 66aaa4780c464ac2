//! Ready-made schemas and a builder for others.

use tapestore_format::limits::NAME_BYTES;
use tapestore_format::schema::{Column, ColumnType, KeyPolicy, Schema};

use crate::error::{Error, Result};
use crate::key::{Quoted, check_printable};

/// The optional columns of bars: name, type, meaning.
const OPTIONAL_BAR_COLUMNS: [(&str, ColumnType, &str); 5] = [
    ("quote_volume", ColumnType::F64, "traded amount in the quote currency"),
    ("trades", ColumnType::I64, "number of trades"),
    ("taker_buy_base", ColumnType::F64, "volume bought by takers, in units of the base"),
    ("taker_buy_quote", ColumnType::F64, "amount bought by takers, in the quote currency"),
    ("open_interest", ColumnType::F64, "open contracts at the close of the bar"),
];

/// Ids of open, high, low and close in [`bars`] schemas: the columns that predict one another.
pub const OHLC: [u16; 4] = [0, 1, 2, 3];

/// Bars: open, high, low, close, volume; one row per open time.
pub fn bars() -> Schema {
    bars_with(&[]).expect("no optional column is asked for")
}

/// Bars with some of the optional columns `quote_volume`, `trades`, `taker_buy_base`, `taker_buy_quote` and
/// `open_interest`, which may be null.
///
/// # Errors
/// [`Error::Usage`] names an unknown column.
pub fn bars_with(optional: &[&str]) -> Result<Schema> {
    let mut builder = SchemaBuilder::unique()
        .column("open", ColumnType::F64)
        .describe("first price of the bar, as the source states it")
        .column("high", ColumnType::F64)
        .describe("highest price of the bar, as the source states it")
        .column("low", ColumnType::F64)
        .describe("lowest price of the bar, as the source states it")
        .column("close", ColumnType::F64)
        .describe("last price of the bar, as the source states it")
        .column("volume", ColumnType::F64)
        .describe("traded volume in units of the base, as the source states it");
    for name in optional {
        let known = OPTIONAL_BAR_COLUMNS.iter().find(|column| column.0 == *name);
        let (name, kind, meaning) =
            known.ok_or_else(|| Error::Usage(format!("bars have no optional column {}", Quoted(name))))?;
        builder = builder.nullable(name, *kind).describe(meaning);
    }
    builder.build()
}

/// Type and meaning of an optional column of bars; `None` if it is not one.
pub fn optional_bar_column(name: &str) -> Option<(ColumnType, &'static str)> {
    OPTIONAL_BAR_COLUMNS.iter().find(|column| column.0 == name).map(|column| (column.1, column.2))
}

/// The four price columns of a schema, if it has them as doubles.
pub(crate) fn ohlc_columns(schema: &Schema) -> Option<[u16; 4]> {
    let find = |name| schema.column(name).filter(|c| c.kind == ColumnType::F64).map(|c| c.id);
    Some([find("open")?, find("high")?, find("low")?, find("close")?])
}

/// Refuses what no series can have, and names of columns that cannot be shown safely. Stores made before that was asked may
/// hold some; they are read as they are.
pub(crate) fn check_schema(schema: &Schema) -> Result<()> {
    schema.columns.iter().try_for_each(|column| check_printable("column name", &column.name, NAME_BYTES))?;
    schema.problem().map_or(Ok(()), |problem| Err(Error::Usage(problem)))
}

/// Builds a [`Schema`] column by column.
#[derive(Clone, Debug)]
pub struct SchemaBuilder {
    columns: Vec<Column>,
    sequence: bool,
    dedup: Vec<String>,
}

impl SchemaBuilder {
    /// One row per timestamp.
    pub fn unique() -> Self {
        Self { columns: Vec::new(), sequence: false, dedup: Vec::new() }
    }

    /// Rows may share a timestamp and keep their order of arrival.
    pub fn sequence() -> Self {
        Self { sequence: true, ..Self::unique() }
    }

    /// Adds a column whose every row has a value.
    #[must_use]
    pub fn column(self, name: &str, kind: ColumnType) -> Self {
        self.add(name, kind, false)
    }

    /// Adds a column whose rows may lack a value.
    #[must_use]
    pub fn nullable(self, name: &str, kind: ColumnType) -> Self {
        self.add(name, kind, true)
    }

    fn add(mut self, name: &str, kind: ColumnType, nullable: bool) -> Self {
        let id = self.columns.len() as u16;
        self.columns.push(Column { id, name: name.to_owned(), kind, nullable, description: String::new() });
        self
    }

    /// Says what the column added last means, and its unit.
    #[must_use]
    pub fn describe(mut self, text: &str) -> Self {
        if let Some(column) = self.columns.last_mut() {
            text.clone_into(&mut column.description);
        }
        self
    }

    /// For sequences: the columns that, with the timestamp, identify a row.
    #[must_use]
    pub fn dedup(mut self, columns: &[&str]) -> Self {
        self.dedup = columns.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The schema.
    ///
    /// # Errors
    /// [`Error::Usage`] says what is wrong with it.
    pub fn build(self) -> Result<Schema> {
        let find = |name: &String| {
            let found = self.columns.iter().find(|column| column.name == *name);
            found
                .map(|column| column.id)
                .ok_or_else(|| Error::Usage(format!("dedup column {} is not a column", Quoted(name))))
        };
        let dedup = self.dedup.iter().map(find).collect::<Result<Vec<_>>>()?;
        let key = match (self.sequence, dedup.is_empty()) {
            (false, false) => return Err(Error::Usage("dedup columns belong to sequences".into())),
            (false, true) => KeyPolicy::Unique,
            (true, _) => KeyPolicy::Sequence { dedup },
        };
        let schema = Schema { columns: self.columns, key };
        check_schema(&schema).map(|()| schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_the_documented_columns() {
        let schema = bars_with(&["trades", "quote_volume"]).unwrap();
        let names: Vec<_> = schema.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["open", "high", "low", "close", "volume", "trades", "quote_volume"]);
        assert!(schema.column("trades").unwrap().nullable && !schema.column("close").unwrap().nullable);
        assert_eq!(ohlc_columns(&schema), Some(OHLC));
        assert!(bars_with(&["nope"]).is_err());
    }

    #[test]
    fn builder_refuses_what_cannot_be() {
        assert!(SchemaBuilder::unique().column("a", ColumnType::I64).dedup(&["a"]).build().is_err());
        assert!(SchemaBuilder::sequence().dedup(&["a"]).build().is_err());
        assert!(SchemaBuilder::sequence().column("time", ColumnType::I64).build().is_err());
    }
}
