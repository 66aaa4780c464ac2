//! Whether a store is as declared: its series, and the values in them.

use std::ops::ControlFlow;

use tapestore::{Result, Rows, SeriesKey, Values, View};

use crate::declaration::{ColumnDeclaration, Declarations, Table};
use crate::plan::{is_tolerated, key_names};

/// Something that is not as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: String,
    /// The series, if it is about one.
    pub series: Option<SeriesKey>,
    /// The column, if it is about one.
    pub column: Option<String>,
    /// What is wrong.
    pub what: String,
    /// Whether the store contradicts the declaration; if not, it is worth knowing only.
    pub wrong: bool,
}

/// Compares a store with its declarations: series, columns, types, keys, nulls, decimals. Reads the values of columns that
/// may not be null but could be, and of those with decimals.
///
/// # Errors
/// Damage.
pub fn validate(view: &View, wanted: &Declarations) -> Result<Vec<Finding>> {
    let mut out = Vec::new();
    let keys = view.keys();
    for table in &wanted.tables {
        let finding = |series: Option<&SeriesKey>, column: Option<&str>, what: String, wrong: bool| Finding {
            table: table.name.clone(),
            series: series.cloned(),
            column: column.map(str::to_owned),
            what,
            wrong,
        };
        for key in table.named() {
            if !keys.contains(&key) {
                out.push(finding(Some(&key), None, "does not exist".into(), true));
            }
        }
        let own = |key: &&SeriesKey| wanted.of(key).is_some_and(|first| first.name == table.name);
        let mut covered = keys.iter().filter(own).peekable();
        if covered.peek().is_none() && table.named().is_empty() {
            out.push(finding(None, None, "covers no series yet".into(), false));
        }
        for key in covered {
            let schema = view.schema(key)?;
            for column in &table.columns {
                for (what, wrong) in column_findings(view, key, column)? {
                    out.push(finding(Some(key), Some(&column.name), what, wrong));
                }
            }
            for column in &schema.columns {
                if table.column(&column.name).is_none() && !is_tolerated(table, &column.name) {
                    out.push(finding(Some(key), Some(&column.name), "is not declared".into(), true));
                }
            }
            if key_names(&schema) != key_names(&table.schema()?) {
                let text = match key_names(&schema) {
                    None => "its rows are told apart by time".to_owned(),
                    Some(names) if names.is_empty() => "every row counts".to_owned(),
                    Some(names) => format!("its rows are told apart by time and {}", names.join(", ")),
                };
                out.push(finding(Some(key), None, format!("{text}, which is not declared so"), true));
            }
        }
    }
    Ok(out)
}

fn column_findings(view: &View, key: &SeriesKey, wanted: &ColumnDeclaration) -> Result<Vec<(String, bool)>> {
    let schema = view.schema(key)?;
    let Some(column) = schema.column(&wanted.name) else { return Ok(vec![("is missing".into(), true)]) };
    let mut out = Vec::new();
    if column.kind != wanted.kind {
        out.push((format!("is {}, declared is {}", column.kind.name(), wanted.kind.name()), true));
    }
    if column.description != wanted.comment {
        out.push(("has another comment".into(), false));
    }
    if !column.nullable && wanted.nullable {
        out.push(("may not be null in the store".into(), false));
    }
    let look_for_nulls = column.nullable && !wanted.nullable;
    let decimals = wanted.decimals.filter(|_| column.kind == wanted.kind);
    if !look_for_nulls && decimals.is_none() {
        return Ok(out);
    }
    let mut tally = Tally::default();
    view.read(key).columns(&[&wanted.name]).visit(|rows| {
        tally.add(rows, decimals);
        ControlFlow::Continue(())
    })?;
    if look_for_nulls {
        let what = if tally.nulls == 0 {
            ("may be null in the store; no row is".to_owned(), false)
        } else {
            (format!("is null in {} rows", tally.nulls), true)
        };
        out.push(what);
    }
    if let (Some(decimals), Some((example, time))) = (decimals, tally.example) {
        out.push((
            format!(
                "{} values have more than {decimals} decimals, the first is {example} at {time}",
                tally.finer
            ),
            true,
        ));
    }
    Ok(out)
}

#[derive(Default)]
struct Tally {
    nulls: u64,
    finer: u64,
    example: Option<(String, i64)>,
}

impl Tally {
    fn add(&mut self, rows: &Rows, decimals: Option<u8>) {
        let values = &rows.set.columns[0].1;
        self.nulls += values.nulls.iter().flatten().filter(|null| **null).count() as u64;
        let Some(decimals) = decimals else { return };
        for row in (0..rows.len()).filter(|row| !values.is_null(*row)) {
            let (fits, text) = match &values.values {
                Values::F64(numbers) => (has_decimals(numbers[row], decimals), numbers[row].to_string()),
                Values::F32(numbers) => {
                    let text = numbers[row].to_string();
                    (decimals_of(&text) <= usize::from(decimals), text)
                }
                _ => return,
            };
            if !fits {
                self.finer += 1;
                self.example.get_or_insert((text, rows.time()[row]));
            }
        }
    }
}

/// Whether a number is one with at most so many decimals: the double nearest to it.
fn has_decimals(value: f64, decimals: u8) -> bool {
    let scale = 10_f64.powi(i32::from(decimals));
    let units = (value * scale).round();
    // A quotient of whole numbers below 2^53 and a power of ten below 10^22 is rounded once.
    units.abs() < 9e15 && units / scale == value || decimals_of(&value.to_string()) <= usize::from(decimals)
}

fn decimals_of(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, digits)| digits.len())
}

/// The series that no table covers.
pub fn undeclared(view: &View, declarations: &Declarations) -> Result<Declarations> {
    let own = |key: &SeriesKey| !key.is_own() && declarations.of(key).is_none();
    let tables = view.keys().into_iter().filter(own);
    let tables = tables.map(|key| Ok(Table::of_series(&key, &*view.schema(&key)?)));
    Ok(Declarations { tables: tables.collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_of_the_shortest_text() {
        for (value, decimals, expected) in [
            (0.1, 1, true),
            (0.1, 0, false),
            (93_500.13, 2, true),
            (93_500.13, 1, false),
            (0.1 + 0.2, 4, false),
            (1e300, 0, true),
            (8e-8, 8, true),
            (8e-8, 7, false),
            (-2.5, 1, true),
        ] {
            assert_eq!(has_decimals(value, decimals), expected, "{value} {decimals}");
            assert_eq!(decimals_of(&value.to_string()) <= usize::from(decimals), expected, "{value}");
        }
    }
}
