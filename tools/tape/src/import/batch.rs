//! Text cells into typed columns, row by row; a bad row leaves no trace.

use csv::ByteRecord;
use tapestore_format::limits::STRING_BYTES;
use tapestore_format::number::parse_f64;
use tapestore_format::rows::{ColumnValues, Values};
use tapestore_format::schema::ColumnType;

use super::clock::{Clock, Unit, show};

/// A column of the series being filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name in the series.
    pub(crate) name: String,
    /// Type of the values.
    pub(crate) kind: ColumnType,
    /// Whether an empty cell is allowed.
    pub(crate) nullable: bool,
    /// Cell of the row; `None`: the same in every row.
    pub(crate) cell: Option<usize>,
    /// What stands for an empty cell, or in every row if there is no cell; `None`: null, or zero.
    pub(crate) default: Option<String>,
    /// What the file writes, and the value it means; empty: the value itself.
    pub(crate) words: &'static [(&'static str, &'static str)],
}

/// Rows ready to be written.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Times, in order of the file.
    pub(crate) time: Vec<i64>,
    /// Columns by name.
    pub(crate) columns: Vec<(String, ColumnValues)>,
}

/// Fills columns from rows of cells.
#[derive(Debug)]
pub(crate) struct Builder {
    clock: Clock,
    time_cell: usize,
    width: usize,
    time: Vec<i64>,
    columns: Vec<Filling>,
}

#[derive(Debug)]
struct Filling {
    target: Target,
    values: Values,
    nulls: Option<Vec<bool>>,
    /// Unit of a timestamp column; found like that of the rows' time.
    clock: Clock,
}

impl Builder {
    /// For rows of `width` cells.
    pub(crate) fn new(clock: Clock, time_cell: usize, width: usize, targets: &[Target]) -> Self {
        // Strings last: they cannot be taken back when a later cell of the row is bad.
        let (strings, others): (Vec<_>, Vec<_>) =
            targets.iter().partition(|target| target.kind == ColumnType::String);
        let columns = others
            .into_iter()
            .chain(strings)
            .map(|target| Filling {
                target: target.clone(),
                values: Values::empty(target.kind),
                nulls: None,
                clock: Clock::new(None, false),
            })
            .collect();
        Self { clock, time_cell, width, time: Vec::new(), columns }
    }

    /// The unit of the times, once known.
    pub(crate) fn unit(&self) -> Option<Unit> {
        self.clock.unit()
    }

    /// Rows held.
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// Time of the last row held.
    pub(crate) fn last_time(&self) -> Option<i64> {
        self.time.last().copied()
    }

    /// The time of a row, without adding it.
    pub(crate) fn peek_time(&mut self, record: &ByteRecord) -> Option<i64> {
        self.clock.read(record.get(self.time_cell)?).ok()
    }

    /// Adds a row.
    ///
    /// # Errors
    /// What is wrong with the row; nothing of it is kept.
    pub(crate) fn push(&mut self, record: &ByteRecord) -> Result<(), String> {
        if record.len() != self.width {
            return Err(format!("the row has {} cells, the file has {} columns", record.len(), self.width));
        }
        // A bad first row must not decide the unit of the file.
        let clock = self.clock.clone();
        let outcome = self.push_cells(record);
        if outcome.is_err() {
            self.clock = clock;
            let rows = self.time.len();
            self.columns.iter_mut().for_each(|column| column.truncate(rows));
        }
        outcome
    }

    fn push_cells(&mut self, record: &ByteRecord) -> Result<(), String> {
        let cell = |index: usize| record.get(index).unwrap_or_default();
        let time = self.clock.read(cell(self.time_cell))?;
        for column in self.columns.iter().filter(|column| column.target.kind == ColumnType::String) {
            column.check_string(column.target.cell.map_or(b"".as_slice(), cell))?;
        }
        for column in &mut self.columns {
            column.push(column.target.cell.map(cell))?;
        }
        self.time.push(time);
        Ok(())
    }

    /// Takes all rows out.
    pub(crate) fn take(&mut self) -> Piece {
        let columns = self.columns.iter_mut().map(|column| {
            let values = std::mem::replace(&mut column.values, Values::empty(column.target.kind));
            (column.target.name.clone(), ColumnValues { values, nulls: column.nulls.take() })
        });
        Piece { columns: columns.collect(), time: std::mem::take(&mut self.time) }
    }
}

impl Filling {
    /// Adds what the cell means; without a cell, what stands in every row.
    fn push(&mut self, cell: Option<&[u8]>) -> Result<(), String> {
        let empty = cell.is_none_or(|cell| cell.trim_ascii().is_empty());
        match (self.target.default.clone(), cell) {
            (Some(default), _) if empty => self.push_cell(default.as_bytes()),
            (_, None) => {
                self.push_default();
                Ok(())
            }
            (_, Some(cell)) if empty || self.target.words.is_empty() => self.push_cell(cell),
            (_, Some(cell)) => self.push_cell(self.meaning(cell)?.as_bytes()),
        }
    }

    /// The value that a word of the file means.
    fn meaning(&self, cell: &[u8]) -> Result<&'static str, String> {
        let words = self.target.words;
        let known = words.iter().find(|(word, _)| cell.trim_ascii().eq_ignore_ascii_case(word.as_bytes()));
        known.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("{} is none of {}: {}", self.target.name, names.join(", "), show(cell))
        })
    }

    fn push_cell(&mut self, cell: &[u8]) -> Result<(), String> {
        // A string cell is kept as it stands; around anything else spaces mean nothing.
        let trimmed = cell.trim_ascii();
        if trimmed.is_empty() {
            if !self.target.nullable {
                return Err(format!("{} is empty", self.target.name));
            }
            let length = self.values.len();
            self.values.push_default(1);
            self.nulls.get_or_insert_with(|| vec![false; length]).push(true);
            return Ok(());
        }
        let bad = |what: &str| format!("{} is {what}: {}", self.target.name, show(cell));
        match (&mut self.values, self.target.kind) {
            (Values::F64(values), _) => {
                values.push(parse_f64(trimmed).ok_or_else(|| bad("not a number"))?);
            }
            (Values::F32(values), _) => {
                values.push(parse(trimmed).ok_or_else(|| bad("not a number"))?);
            }
            (Values::I64(values), ColumnType::Timestamp) => {
                let time = self.clock.read(trimmed);
                values.push(time.map_err(|what| format!("{}: {what}", self.target.name))?);
            }
            (Values::I64(values), _) => {
                values.push(parse_integer(trimmed).ok_or_else(|| bad("not an integer"))?);
            }
            (Values::U8(values), ColumnType::Bool) => {
                values.push(u8::from(parse_bool(trimmed).ok_or_else(|| bad("neither true nor false"))?));
            }
            (Values::U8(values), _) => {
                values.push(parse(trimmed).ok_or_else(|| bad("not an integer from 0 to 255"))?);
            }
            (Values::Str(values), _) => {
                values.push(std::str::from_utf8(cell).map_err(|_| bad("not UTF-8"))?);
            }
        }
        if let Some(nulls) = &mut self.nulls {
            nulls.push(false);
        }
        Ok(())
    }

    fn push_default(&mut self) {
        self.values.push_default(1);
        if let Some(nulls) = &mut self.nulls {
            nulls.push(false);
        }
    }

    fn check_string(&self, cell: &[u8]) -> Result<(), String> {
        let name = &self.target.name;
        if cell.len() > STRING_BYTES {
            return Err(format!("{name} is {} bytes long, at most {STRING_BYTES} are kept", cell.len()));
        }
        if cell.trim_ascii().is_empty() {
            let missing = !self.target.nullable && self.target.default.is_none();
            return if missing { Err(format!("{name} is empty")) } else { Ok(()) };
        }
        if !self.target.words.is_empty() {
            self.meaning(cell)?;
        }
        std::str::from_utf8(cell).map(|_| ()).map_err(|_| format!("{name} is not UTF-8: {}", show(cell)))
    }

    /// Takes back what a bad row has added. Strings are added last, so they never need it.
    fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::I64(values) => values.truncate(rows),
            Values::F64(values) => values.truncate(rows),
            Values::F32(values) => values.truncate(rows),
            Values::U8(values) => values.truncate(rows),
            Values::Str(_) => {}
        }
        if let Some(nulls) = &mut self.nulls {
            nulls.truncate(rows);
        }
    }
}

fn parse<T: std::str::FromStr>(cell: &[u8]) -> Option<T> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

/// An integer, also when it is written `617.0`.
fn parse_integer(cell: &[u8]) -> Option<i64> {
    parse(cell).or_else(|| {
        let value: f64 = parse(cell)?;
        (value.fract() == 0.0 && value.abs() <= 9e15).then_some(value as i64)
    })
}

/// Whether a cell says true or false.
pub(crate) fn parse_bool(cell: &[u8]) -> Option<bool> {
    match cell.trim_ascii().to_ascii_lowercase().as_slice() {
        b"true" | b"1" | b"t" | b"yes" | b"y" => Some(true),
        b"false" | b"0" | b"f" | b"no" | b"n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, kind: ColumnType, nullable: bool, cell: usize) -> Target {
        Target { name: name.into(), kind, nullable, cell: Some(cell), default: None, words: &[] }
    }

    fn builder() -> Builder {
        let targets = [
            target("note", ColumnType::String, true, 2),
            target("price", ColumnType::F64, false, 1),
            target("size", ColumnType::I64, true, 3),
        ];
        Builder::new(Clock::new(None, false), 0, 4, &targets)
    }

    #[test]
    fn cells_become_values_and_empty_ones_nulls() {
        let mut builder = builder();
        builder.push(&ByteRecord::from(vec!["1704110400000", "8e-8", "a", ""])).unwrap();
        builder.push(&ByteRecord::from(vec!["1704110400001", " -0 ", "", "617.0"])).unwrap();
        let piece = builder.take();
        assert_eq!(piece.time, [1_704_110_400_000_000_000, 1_704_110_400_001_000_000]);
        let Values::F64(prices) = &piece.columns[0].1.values else { panic!() };
        assert_eq!(prices[0].to_bits(), 8e-8_f64.to_bits());
        assert_eq!(prices[1].to_bits(), (-0.0_f64).to_bits());
        assert_eq!(piece.columns[2].1.nulls, Some(vec![false, true]));
        assert_eq!(
            piece.columns[1].1,
            ColumnValues { values: Values::I64(vec![0, 617]), nulls: Some(vec![true, false]) }
        );
        assert_eq!(builder.len(), 0);
    }

    #[test]
    fn a_bad_row_leaves_no_trace() {
        let mut builder = builder();
        for (row, what) in [
            (vec!["1704110400", "x", "a", "1"], "price is not a number"),
            (vec!["1704110400", "1", "a", "1.5"], "size is not an integer"),
            (vec!["1704110400", "", "a", "1"], "price is empty"),
            (vec!["1704110400", "1"], "cells"),
            (vec!["time", "1", "a", "1"], "not a time"),
        ] {
            let error = builder.push(&ByteRecord::from(row)).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        builder.push(&ByteRecord::from(vec!["1704110400000", "1", "a", "1"])).unwrap();
        let piece = builder.take();
        assert_eq!(piece.time, [1_704_110_400_000_000_000], "the bad rows did not decide the unit");
        assert!(piece.columns.iter().all(|(_, values)| values.len() == 1));
    }
}
