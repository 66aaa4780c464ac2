//! Rows on their way in ([`Batch`]) and out ([`Rows`]).

use tapestore_format::limits::{STRING_BYTES, TIME_MAX, TIME_MIN};
use tapestore_format::rows::{ColumnValues, RowSet, RunVec, Values};
use tapestore_format::schema::{Column, ColumnType, Schema};

use crate::error::{Error, Result};
use crate::key::{Quoted, SeriesKey};

/// Rows to write to one series, column by column.
///
/// Times are nanoseconds since the Unix epoch, UTC; for bars the open time. They may come in any order; rows of equal
/// time keep theirs. Values are stored as given and come back bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    time: Vec<i64>,
    columns: Vec<(String, ColumnValues)>,
    flags: Option<RunVec<u16>>,
}

impl Batch {
    /// Rows at these times.
    pub fn new(time: Vec<i64>) -> Self {
        Self { time, columns: Vec::new(), flags: None }
    }

    /// Adds the values of a column, one per row. A nullable column that is left out becomes null.
    #[must_use]
    pub fn with(mut self, column: &str, values: impl Into<ColumnValues>) -> Self {
        self.columns.push((column.to_owned(), values.into()));
        self
    }

    /// Sets the flags of the rows, bits of [`crate::flags`]; without, they are zero.
    #[must_use]
    pub fn with_flags(mut self, flags: RunVec<u16>) -> Self {
        self.flags = Some(flags);
        self
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Checks the batch against the schema and orders its rows. Version and source are left to the caller.
    pub(crate) fn into_rows(self, key: &SeriesKey, schema: &Schema) -> Result<RowSet> {
        self.check(key, schema)?;
        let count = self.time.len();
        let flags = self.flags.unwrap_or_else(|| RunVec::constant(0, count));
        let mut given = self.columns;
        let columns = schema
            .columns
            .iter()
            .map(|column| {
                let position = given.iter().position(|(name, _)| *name == column.name);
                let values = position.map_or_else(
                    || {
                        let mut nulls = ColumnValues::empty(column.kind);
                        nulls.push_nulls(count);
                        nulls
                    },
                    |position| canonical(given.swap_remove(position).1),
                );
                (column.id, values)
            })
            .collect();
        let rows = RowSet { time: self.time, flags, columns, ..RowSet::default() };
        Ok(if rows.time.is_sorted() { rows } else { sorted(&rows) })
    }

    fn check(&self, key: &SeriesKey, schema: &Schema) -> Result<()> {
        let count = self.time.len();
        let refuse = |row, reason: String| Err(Error::rejected(key, row, reason));
        if let Some(row) = self.time.iter().position(|time| !(TIME_MIN..=TIME_MAX).contains(time)) {
            return refuse(Some(row), format!("time {} is outside the years 1684 to 2255", self.time[row]));
        }
        if self.flags.as_ref().is_some_and(|flags| flags.len() != count) {
            return refuse(None, format!("{count} rows, but another number of flags"));
        }
        for (index, (name, values)) in self.columns.iter().enumerate() {
            let Some(column) = schema.column(name) else {
                return refuse(None, format!("the series has no column {}", Quoted(name)));
            };
            if self.columns[..index].iter().any(|earlier| earlier.0 == *name) {
                return refuse(None, format!("column {name:?} is given twice"));
            }
            if !values.values.fits(column.kind) {
                return refuse(
                    None,
                    format!("column {name:?} holds {}, other values are given", column.kind.name()),
                );
            }
            let nulls = values.nulls.as_ref();
            if values.len() != count || nulls.is_some_and(|nulls| nulls.len() != count) {
                return refuse(
                    None,
                    format!("{count} times, but {} values in column {name:?}", values.len()),
                );
            }
            if !column.nullable
                && let Some(row) = nulls.and_then(|nulls| nulls.iter().position(|null| *null))
            {
                return refuse(Some(row), format!("column {name:?} must have a value"));
            }
            if let Some((row, reason)) = bad_value(column, &values.values) {
                return refuse(Some(row), format!("column {name:?}: {reason}"));
            }
        }
        let given = |column: &Column| self.columns.iter().any(|(name, _)| *name == column.name);
        match schema.columns.iter().find(|column| !column.nullable && !given(column)) {
            Some(column) if count > 0 => refuse(Some(0), format!("column {:?} is missing", column.name)),
            _ => Ok(()),
        }
    }
}

fn bad_value(column: &Column, values: &Values) -> Option<(usize, String)> {
    match values {
        Values::U8(v) if column.kind == ColumnType::Bool => {
            let row = v.iter().position(|value| *value > 1)?;
            Some((row, format!("a bool is 0 or 1, not {}", v[row])))
        }
        Values::Str(v) => {
            let row = v.iter().position(|text| text.len() > STRING_BYTES)?;
            Some((row, format!("text of {} bytes, at most {STRING_BYTES} are allowed", v.get(row).len())))
        }
        _ => None,
    }
}

/// Zero or empty under every null, and no null vector where nothing is null: equal columns compare equal.
fn canonical(mut column: ColumnValues) -> ColumnValues {
    let Some(nulls) = column.nulls.take() else { return column };
    if !nulls.contains(&true) {
        return column;
    }
    match &mut column.values {
        Values::I64(v) => clear_under(&nulls, v),
        Values::F64(v) => clear_under(&nulls, v),
        Values::F32(v) => clear_under(&nulls, v),
        Values::U8(v) => clear_under(&nulls, v),
        Values::Str(v) => {
            *v = v.iter().zip(&nulls).map(|(text, null)| if *null { "" } else { text }).collect();
        }
    }
    ColumnValues { nulls: Some(nulls), ..column }
}

fn clear_under<T: Default>(nulls: &[bool], values: &mut [T]) {
    for (value, null) in values.iter_mut().zip(nulls) {
        if *null {
            *value = T::default();
        }
    }
}

/// The rows in order of time; equal times keep their order.
fn sorted(rows: &RowSet) -> RowSet {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| rows.time[*row]);
    let mut out = RowSet { columns: empty_like(rows), ..RowSet::default() };
    // Neighbours that stay neighbours are copied together.
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && order[end] == order[end - 1] + 1 {
            end += 1;
        }
        out.extend_from(rows, order[start]..order[end - 1] + 1);
        start = end;
    }
    out
}

/// The columns of `rows`, without a row.
pub(crate) fn empty_like(rows: &RowSet) -> Vec<(u16, ColumnValues)> {
    let empty = |values: &Values| match values {
        Values::I64(_) => Values::I64(Vec::new()),
        Values::F64(_) => Values::F64(Vec::new()),
        Values::F32(_) => Values::F32(Vec::new()),
        Values::U8(_) => Values::U8(Vec::new()),
        Values::Str(_) => Values::empty(ColumnType::String),
    };
    rows.columns.iter().map(|(id, column)| (*id, empty(&column.values).into())).collect()
}

/// No rows, with every column that one of the sets has.
pub(crate) fn empty_union(sets: &[&RowSet]) -> RowSet {
    let mut columns: Vec<(u16, ColumnValues)> = Vec::new();
    for set in sets {
        for column in empty_like(set) {
            if columns.iter().all(|known| known.0 != column.0) {
                columns.push(column);
            }
        }
    }
    RowSet { columns, ..RowSet::default() }
}

/// Rows of one series, column by column, as read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The columns asked for, in that order.
    pub columns: Vec<Column>,
    /// Times and values: `set.columns[i]` belongs to `columns[i]`. Versions, sources and flags are filled when
    /// provenance was asked for.
    pub set: RowSet,
}

impl Rows {
    pub(crate) fn empty(columns: Vec<Column>) -> Self {
        let kinds: Vec<_> = columns.iter().map(|column| (column.id, column.kind)).collect();
        Self { columns, set: RowSet::with_columns(&kinds) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Nanoseconds since the Unix epoch, UTC; for bars the open times. Ascending.
    pub fn time(&self) -> &[i64] {
        &self.set.time
    }

    /// The values of a column.
    pub fn column(&self, name: &str) -> Option<&ColumnValues> {
        let position = self.columns.iter().position(|column| column.name == name)?;
        Some(&self.set.columns[position].1)
    }

    /// The values of an `f64` column; 0.0 stands where the column is null.
    pub fn f64(&self, name: &str) -> Option<&[f64]> {
        match &self.column(name)?.values {
            Values::F64(values) => Some(values),
            _ => None,
        }
    }

    /// The values of an `i64` or timestamp column; 0 stands where the column is null.
    pub fn i64(&self, name: &str) -> Option<&[i64]> {
        match &self.column(name)?.values {
            Values::I64(values) => Some(values),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{SchemaBuilder, bars};

    fn key() -> SeriesKey {
        SeriesKey::new("A.B", "1m").unwrap()
    }

    #[test]
    fn rows_are_ordered_and_missing_columns_are_null() {
        let schema = SchemaBuilder::unique()
            .column("a", ColumnType::I64)
            .nullable("b", ColumnType::String)
            .build()
            .unwrap();
        let rows = Batch::new(vec![3, 1, 2, 1])
            .with("a", Values::I64(vec![30, 10, 20, 11]))
            .into_rows(&key(), &schema)
            .unwrap();
        assert_eq!(rows.time, [1, 1, 2, 3]);
        assert_eq!(rows.columns[0].1.values, Values::I64(vec![10, 11, 20, 30]));
        assert!(rows.columns[1].1.is_null(3));
    }

    #[test]
    fn bad_batches_name_the_row() {
        let refused = |batch: Batch| batch.into_rows(&key(), &bars()).unwrap_err().to_string();
        assert!(refused(Batch::new(vec![1, i64::MAX])).contains("row 1"));
        assert!(refused(Batch::new(vec![1])).contains("\"open\" is missing"));
        assert!(refused(Batch::new(vec![1]).with("nope", Values::F64(vec![1.0]))).contains("no column"));
        assert!(refused(Batch::new(vec![1]).with("open", Values::I64(vec![1]))).contains("holds f64"));
        assert!(refused(Batch::new(vec![1]).with("open", Values::F64(vec![]))).contains("0 values"));
        let null = ColumnValues { values: Values::F64(vec![1.0]), nulls: Some(vec![true]) };
        assert!(refused(Batch::new(vec![1]).with("open", null)).contains("must have a value"));
    }
}
