//! Rows of a series under another schema: columns of other types, filled or dropped, another key.
//!
//! # Invariants
//! - B1. A value that its new type cannot hold, so that it could be read back as it was, is a loss and is counted.
//! - B2. A rebuilt series has the rows, times, sources, flags and confirmed absences that it had.

use std::collections::HashSet;

use tapestore::{
    Batch, Column, ColumnType, ColumnValues, KeyPolicy, Result, Rows, RunVec, Schema, SeriesKey, Strings,
    Transaction, Values, View,
};
use tapestore_query::asof::gather;

/// A value of a column without its null.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Integer(i64),
    Float(f64),
    Text(String),
}

fn cell(values: &Values, row: usize) -> Cell {
    match values {
        Values::I64(values) => Cell::Integer(values[row]),
        Values::U8(values) => Cell::Integer(i64::from(values[row])),
        Values::F64(values) => Cell::Float(values[row]),
        Values::F32(values) => Cell::Float(f64::from(values[row])),
        Values::Str(values) => Cell::Text(values.get(row).to_owned()),
    }
}

/// The value as the type has it, and whether it reads back as it was; `None` if there is no such value.
fn convert(from: &Cell, to: ColumnType) -> Option<(Cell, bool)> {
    let exact = |value: i64| (value as f64) as i64 == value && value != i64::MAX;
    Some(match (from, to) {
        (Cell::Integer(value), ColumnType::I64 | ColumnType::Timestamp) => (Cell::Integer(*value), true),
        (Cell::Integer(value), ColumnType::U8) => {
            (Cell::Integer(i64::from(u8::try_from(*value).ok()?)), true)
        }
        (Cell::Integer(value), ColumnType::Bool) => {
            (Cell::Integer(i64::from(*value != 0)), (0..=1).contains(value))
        }
        (Cell::Integer(value), ColumnType::F64) => (Cell::Float(*value as f64), exact(*value)),
        (Cell::Integer(value), ColumnType::F32) => {
            let single = *value as f32;
            (Cell::Float(f64::from(single)), f64::from(single) as i64 == *value && exact(*value))
        }
        (Cell::Integer(value), ColumnType::String) => (Cell::Text(value.to_string()), true),
        (Cell::Float(value), ColumnType::F64) => (Cell::Float(*value), true),
        (Cell::Float(value), ColumnType::F32) => {
            let single = f64::from(*value as f32);
            (Cell::Float(single), single.to_bits() == value.to_bits())
        }
        (Cell::Float(value), ColumnType::String) => (Cell::Text(value.to_string()), !value.is_nan()),
        (Cell::Float(value), _) => {
            let whole = *value as i64;
            if !value.is_finite() || value.abs() >= 9e18 {
                return None;
            }
            let (cell, fits) = convert(&Cell::Integer(whole), to)?;
            (cell, fits && (whole as f64).to_bits() == value.to_bits())
        }
        (Cell::Text(text), ColumnType::String) => (Cell::Text(text.clone()), true),
        (Cell::Text(text), ColumnType::F64 | ColumnType::F32) => {
            let (cell, fits) = convert(&Cell::Float(text.parse().ok()?), to)?;
            let same = matches!(&cell, Cell::Float(value) if value.to_string() == *text);
            (cell, fits && same)
        }
        (Cell::Text(text), ColumnType::Bool) => (Cell::Integer(i64::from(text.parse::<bool>().ok()?)), true),
        (Cell::Text(text), _) => {
            let value: i64 = text.parse().ok()?;
            let (cell, fits) = convert(&Cell::Integer(value), to)?;
            (cell, fits && value.to_string() == *text)
        }
    })
}

/// Cells as a column.
fn column(cells: Vec<Option<Cell>>, kind: ColumnType) -> ColumnValues {
    let nulls: Vec<bool> = cells.iter().map(Option::is_none).collect();
    let integer = |cell: Option<Cell>| if let Some(Cell::Integer(value)) = cell { value } else { 0 };
    let float = |cell: Option<Cell>| if let Some(Cell::Float(value)) = cell { value } else { 0.0 };
    let text = |cell: Option<Cell>| if let Some(Cell::Text(text)) = cell { text } else { String::new() };
    let cells = cells.into_iter();
    let values = match kind {
        ColumnType::I64 | ColumnType::Timestamp => Values::I64(cells.map(integer).collect()),
        ColumnType::F64 => Values::F64(cells.map(float).collect()),
        ColumnType::F32 => Values::F32(cells.map(|cell| float(cell) as f32).collect()),
        ColumnType::U8 | ColumnType::Bool => Values::U8(cells.map(|cell| integer(cell) as u8).collect()),
        ColumnType::String => Values::Str(cells.map(text).collect::<Strings>()),
    };
    let nulls = nulls.contains(&true).then_some(nulls);
    ColumnValues { values, nulls }
}

/// A default, which was checked when it was declared.
fn default_cell(default: &str, kind: ColumnType) -> Option<Cell> {
    match kind {
        ColumnType::String => Some(Cell::Text(default.to_owned())),
        ColumnType::Bool => Some(Cell::Integer(i64::from(default == "true"))),
        ColumnType::F64 | ColumnType::F32 => default.parse().ok().map(Cell::Float),
        _ => default.parse().ok().map(Cell::Integer),
    }
}

/// What a series is to become: its schema, and what rows without a value get, by column.
#[derive(Clone, Debug)]
pub struct Target {
    /// The new schema.
    pub schema: Schema,
    /// Column and default.
    pub defaults: Vec<(String, String)>,
}

/// The rows of a series under another schema, and what is lost by that, in words.
///
/// # Errors
/// [`tapestore::Error::NotFound`] if the series does not exist; damage.
pub fn rebuilt(view: &View, key: &SeriesKey, target: &Target) -> Result<(Rows, Vec<String>)> {
    let old = view.read(key).provenance().rows()?;
    let mut losses = Vec::new();
    let mut set = old.set.clone();
    set.columns.clear();
    for wanted in &target.schema.columns {
        let known = old.columns.iter().position(|column| column.name == wanted.name);
        let default = target.defaults.iter().find(|(name, _)| *name == wanted.name);
        let default = default.and_then(|(_, text)| default_cell(text, wanted.kind));
        let values = match known {
            Some(at) if same_values(&old.columns[at], wanted, default.as_ref(), &old.set.columns[at].1) => {
                old.set.columns[at].1.clone()
            }
            Some(at) => {
                converted(&old.columns[at], &old.set.columns[at].1, wanted, default.as_ref(), &mut losses)
            }
            None => column(vec![default.clone(); old.len()], wanted.kind),
        };
        let nulls = values.nulls.iter().flatten().filter(|null| **null).count();
        if nulls > 0 && !wanted.nullable {
            losses.push(format!(
                "{nulls} rows have no value in column {:?}, and there is no default",
                wanted.name
            ));
        }
        set.columns.push((wanted.id, values));
    }
    for column in old.columns.iter().filter(|column| target.schema.column(&column.name).is_none()) {
        if !old.is_empty() {
            losses.push(format!("column {:?} goes with {} rows of values", column.name, old.len()));
        }
    }
    let rows = Rows { columns: target.schema.columns.clone(), set };
    let merged = merged_rows(&rows, &target.schema);
    if merged > 0 {
        losses.push(format!("{merged} rows are one with others under the new key"));
    }
    Ok((rows, losses))
}

fn same_values(old: &Column, new: &Column, default: Option<&Cell>, values: &ColumnValues) -> bool {
    old.kind == new.kind && (new.nullable || default.is_none() || values.nulls.is_none())
}

fn converted(
    old: &Column,
    values: &ColumnValues,
    new: &Column,
    default: Option<&Cell>,
    losses: &mut Vec<String>,
) -> ColumnValues {
    let (mut lost, mut example) = (0_u64, None);
    let fill = default.filter(|_| !new.nullable);
    let cells = (0..values.len()).map(|row| {
        if values.is_null(row) {
            return fill.cloned();
        }
        let from = cell(&values.values, row);
        match convert_named(&from, old.kind, new.kind) {
            Some((to, true)) => Some(to),
            other => {
                lost += 1;
                example.get_or_insert(from);
                other.map(|(to, _)| to).or_else(|| fill.cloned())
            }
        }
    });
    let cells = cells.collect();
    if let Some(example) = example {
        let example = match example {
            Cell::Integer(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Text(text) => format!("{text:?}"),
        };
        losses.push(format!(
            "{lost} values of column {:?} are not the same as {}, such as {example}",
            new.name,
            new.kind.name()
        ));
    }
    column(cells, new.kind)
}

/// As [`convert`]; a bool becomes the text `true` or `false`.
fn convert_named(from: &Cell, old: ColumnType, new: ColumnType) -> Option<(Cell, bool)> {
    match (from, old, new) {
        (Cell::Integer(value), ColumnType::Bool, ColumnType::String) => {
            Some((Cell::Text((*value != 0).to_string()), true))
        }
        _ => convert(from, new),
    }
}

/// How many rows share their key with an earlier one.
fn merged_rows(rows: &Rows, schema: &Schema) -> usize {
    let dedup = match &schema.key {
        KeyPolicy::Unique => &[][..],
        KeyPolicy::Sequence { dedup } if dedup.is_empty() => return 0,
        KeyPolicy::Sequence { dedup } => dedup,
    };
    let columns: Vec<usize> =
        dedup.iter().filter_map(|id| rows.columns.iter().position(|column| column.id == *id)).collect();
    let mut seen = HashSet::new();
    let key = |row: usize| {
        let part = |at: &usize| {
            let values = &rows.set.columns[*at].1;
            (!values.is_null(row)).then(|| match cell(&values.values, row) {
                Cell::Integer(value) => value.to_string(),
                Cell::Float(value) => format!("{:x}", value.to_bits()),
                Cell::Text(text) => text,
            })
        };
        (rows.time()[row], columns.iter().map(part).collect::<Vec<_>>())
    };
    (0..rows.len()).filter(|row| !seen.insert(key(*row))).count()
}

/// Replaces a series by its rows under another schema, in this transaction. Rows that lose their value in a column that
/// needs one are left out.
///
/// # Errors
/// As [`Transaction::create_series`] and [`Transaction::upsert`].
pub fn replace(
    transaction: &mut Transaction,
    view: &View,
    key: &SeriesKey,
    target: &Target,
    rows: &Rows,
) -> Result<()> {
    let absences = view.absences(key)?;
    transaction.drop_series(key)?;
    transaction.create_series(key, target.schema.clone())?;
    let whole = |row: usize| {
        let mut columns = rows.columns.iter().zip(&rows.set.columns);
        columns.all(|(column, (_, values))| column.nullable || !values.is_null(row))
    };
    let plain = matches!(&target.schema.key, KeyPolicy::Sequence { dedup } if dedup.is_empty());
    for (piece, source) in rows.set.source.pieces(0..rows.len()) {
        let kept: Vec<u32> = piece.filter(|row| whole(*row)).map(|row| row as u32).collect();
        if kept.is_empty() {
            continue;
        }
        let flags: RunVec<u16> = kept.iter().map(|row| rows.set.flags.get(*row as usize)).collect();
        let time = kept.iter().map(|row| rows.time()[*row as usize]).collect();
        let mut batch = Batch::new(time).with_flags(flags);
        for (column, (_, values)) in rows.columns.iter().zip(&rows.set.columns) {
            let mut picked = ColumnValues::empty(column.kind);
            gather(values, &kept, &mut picked);
            batch = batch.with(&column.name, picked);
        }
        transaction.source(&view.source_name(source).unwrap_or_else(|| source.to_string()));
        if plain {
            transaction.append(key, batch)?;
        } else {
            transaction.upsert(key, batch)?;
        }
    }
    for absence in absences {
        transaction.confirm_absent(key, absence)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_what_they_are_or_are_a_loss() {
        use ColumnType::{Bool, F32, F64, I64, String, U8};
        let text = |text: &str| Cell::Text(text.to_owned());
        for (from, to, expected) in [
            (Cell::Integer(7), F64, Some((Cell::Float(7.0), true))),
            (Cell::Integer((1 << 53) + 1), F64, Some((Cell::Float(9_007_199_254_740_992.0), false))),
            (Cell::Integer(300), U8, None),
            (Cell::Integer(2), Bool, Some((Cell::Integer(1), false))),
            (Cell::Float(0.1), F32, Some((Cell::Float(f64::from(0.1_f32)), false))),
            (Cell::Float(0.5), F32, Some((Cell::Float(0.5), true))),
            (Cell::Float(3.0), I64, Some((Cell::Integer(3), true))),
            (Cell::Float(3.5), I64, Some((Cell::Integer(3), false))),
            (Cell::Float(-0.0), I64, Some((Cell::Integer(0), false))),
            (Cell::Float(f64::NAN), I64, None),
            (Cell::Float(0.1), String, Some((text("0.1"), true))),
            (text("1.50"), F64, Some((Cell::Float(1.5), false))),
            (text("1.5"), F64, Some((Cell::Float(1.5), true))),
            (text("007"), I64, Some((Cell::Integer(7), false))),
            (text("x"), I64, None),
            (text("true"), Bool, Some((Cell::Integer(1), true))),
        ] {
            assert_eq!(convert(&from, to), expected, "{from:?} as {}", to.name());
        }
    }
}
