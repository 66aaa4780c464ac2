//! Prices and volumes adjusted for splits and dividends, when they are read. What is stored stays as the source stated it.
//!
//! A split of `old` shares into `new` ones divides the prices before it by `new / old` and multiplies the volumes by it.
//! A dividend of `amount` lowers the prices before it by the factor `1 − amount / close`, with the last raw close before
//! the ex-time (the method of CRSP, also used by Yahoo). Of a split and a dividend at the same time, the amount is per
//! old share.
//!
//! # Invariants
//! - P1. A row at or after an action's ex-time trades without it; a row before trades with it.
//! - P2. Point in time: an action counts only if both its ex-time and the time at which it became known are not later
//!   than the time asked for.
//! - P3. A row's adjusted value does not depend on the range that is read.

use std::ops::Range;

use tapestore::schema::SchemaBuilder;
use tapestore::{ColumnType, Error, Result, Rows, Schema, SeriesKey, Values, View};

/// Columns that are prices of one share.
const PRICES: [&str; 10] =
    ["open", "high", "low", "close", "price", "bid", "ask", "bid_price", "ask_price", "vwap"];
/// Columns that count shares.
const VOLUMES: [&str; 8] =
    ["volume", "quantity", "qty", "size", "bid_size", "ask_size", "taker_buy_base", "open_interest"];

/// What happened to a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// `old` shares became `new` ones.
    Split {
        /// Shares before.
        old: f64,
        /// Shares after.
        new: f64,
    },
    /// Cash paid per share.
    Dividend {
        /// In the currency of the prices.
        amount: f64,
    },
}

/// A corporate action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Action {
    /// From when on the share trades without it, nanoseconds since the Unix epoch, UTC.
    pub ex_ns: i64,
    /// When it became known.
    pub known_ns: i64,
    /// What it is.
    pub what: What,
}

/// Which actions to adjust for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// Splits only.
    Splits,
    /// Dividends only.
    Dividends,
    /// Both.
    #[default]
    Both,
}

/// Which prices stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// Backward adjustment: the last prices stay, older ones change.
    #[default]
    Last,
    /// Forward adjustment: the first prices stay, newer ones change.
    First,
}

/// How to adjust.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// For what.
    pub parts: Parts,
    /// To which prices.
    pub anchor: Anchor,
    /// Only what was known and in force then; `None`: at the last row of the series.
    pub as_of_ns: Option<i64>,
}

/// The effect of one action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The ex-time.
    pub ex_ns: i64,
    /// Shares before; 1 for a dividend.
    pub old: f64,
    /// Shares after; 1 for a dividend.
    pub new: f64,
    /// What a dividend leaves of a price; 1 for a split.
    pub left: f64,
}

/// The kind of a column, as far as actions matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A price of one share.
    Price,
    /// A number of shares.
    Volume,
}

/// The steps of the actions that count, in order of their ex-times. `close_before` gives the last raw close before a time;
/// a dividend without one has nothing to adjust.
///
/// # Errors
/// [`Error::Usage`] for a split or dividend that is not positive, or a dividend not below the close.
pub fn steps(
    actions: &[Action],
    parts: Parts,
    as_of_ns: i64,
    mut close_before: impl FnMut(i64) -> Result<Option<f64>>,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let counts = |action: &&Action| action.ex_ns <= as_of_ns && action.known_ns <= as_of_ns;
    for action in actions.iter().filter(counts) {
        let plain = Step { ex_ns: action.ex_ns, old: 1.0, new: 1.0, left: 1.0 };
        let positive = |value: f64| value > 0.0 && value.is_finite();
        match action.what {
            What::Split { old, new } if parts != Parts::Dividends => {
                if !positive(old) || !positive(new) {
                    return Err(Error::Usage(format!("a split of {old} into {new} at {}", action.ex_ns)));
                }
                steps.push(Step { old, new, ..plain });
            }
            What::Dividend { amount } if parts != Parts::Splits => {
                let Some(close) = close_before(action.ex_ns)? else { continue };
                if !positive(amount) || !positive(close) || amount >= close {
                    let at = action.ex_ns;
                    return Err(Error::Usage(format!(
                        "a dividend of {amount} on a close of {close} at {at}"
                    )));
                }
                steps.push(Step { left: 1.0 - amount / close, ..plain });
            }
            _ => {}
        }
    }
    steps.sort_by_key(|step| step.ex_ns);
    Ok(steps)
}

/// Adjusts a column in place. `time` ascends; `steps` are in order.
pub fn adjust(time: &[i64], values: &mut [f64], steps: &[Step], field: Field, anchor: Anchor) {
    // Splits first as whole numbers of shares, so that a price is divided once.
    let (mut old, mut new, mut left) = (1.0, 1.0, 1.0);
    let mut turn = |step: &Step| {
        (old, new, left) = (old * step.old, new * step.new, left * step.left);
        (old, new, left)
    };
    let scale = |values: &mut [f64], (old, new, left): (f64, f64, f64)| match (field, anchor) {
        (Field::Price, Anchor::Last) => each(values, |value| value * old / new * left),
        (Field::Price, Anchor::First) => each(values, |value| value * new / old / left),
        (Field::Volume, Anchor::Last) => each(values, |value| value * new / old),
        (Field::Volume, Anchor::First) => each(values, |value| value * old / new),
    };
    let row_of = |step: &Step| time.partition_point(|time| *time < step.ex_ns);
    match anchor {
        Anchor::Last => {
            for (number, step) in steps.iter().enumerate().rev() {
                let factors = turn(step);
                let start = number.checked_sub(1).map_or(0, |before| row_of(&steps[before]));
                scale(&mut values[start..row_of(step)], factors);
            }
        }
        Anchor::First => {
            for (number, step) in steps.iter().enumerate() {
                let factors = turn(step);
                let end = steps.get(number + 1).map_or(values.len(), row_of);
                scale(&mut values[row_of(step)..end], factors);
            }
        }
    }
}

fn each(values: &mut [f64], scale: impl Fn(f64) -> f64) {
    for value in values {
        *value = scale(*value);
    }
}

/// The schema of a table of actions: one row per ex-time and kind. By convention it is the series `actions` of the
/// instrument.
pub fn actions_schema() -> Schema {
    SchemaBuilder::sequence()
        .column("kind", ColumnType::String)
        .describe("split or dividend; the time of the row is the ex-time")
        .nullable("old", ColumnType::F64)
        .describe("of a split: shares before")
        .nullable("new", ColumnType::F64)
        .describe("of a split: shares after")
        .nullable("amount", ColumnType::F64)
        .describe("of a dividend: cash per share, in the currency of the prices")
        .nullable("known", ColumnType::Timestamp)
        .describe("when it became known; null: at the ex-time")
        .dedup(&["kind"])
        .build()
        .expect("a valid schema")
}

/// The actions of a table of [`actions_schema`].
///
/// # Errors
/// [`Error::NotFound`] if there is no such series, [`Error::Usage`] if it is another table or a row says nothing.
pub fn actions(view: &View, table: &SeriesKey) -> Result<Vec<Action>> {
    let rows = view.read(table).rows()?;
    let column =
        |name: &str| rows.column(name).ok_or_else(|| Error::Usage(format!("{table} has no column {name:?}")));
    let (kinds, known) = (column("kind")?, column("known")?);
    let number = |name: &'static str, row: usize| -> Result<f64> {
        match &column(name)?.values {
            Values::F64(values) if !column(name)?.is_null(row) => Ok(values[row]),
            _ => Err(Error::Usage(format!("{table}: the row at {} has no {name}", rows.time()[row]))),
        }
    };
    let (Values::Str(texts), Values::I64(times)) = (&kinds.values, &known.values) else {
        return Err(Error::Usage(format!("{table} is no table of corporate actions")));
    };
    (0..rows.len())
        .map(|row| {
            let ex_ns = rows.time()[row];
            let what = match texts.get(row) {
                "split" => What::Split { old: number("old", row)?, new: number("new", row)? },
                "dividend" => What::Dividend { amount: number("amount", row)? },
                other => {
                    return Err(Error::Usage(format!("{table}: {other:?} is neither split nor dividend")));
                }
            };
            Ok(Action { ex_ns, known_ns: if known.is_null(row) { ex_ns } else { times[row] }, what })
        })
        .collect()
}

/// Reads a range of a series with its columns of prices and volumes adjusted; others are as they are stored. `None` of
/// columns means all of them.
///
/// # Errors
/// As [`steps`]; [`Error::NotFound`] if the series or a column does not exist.
pub fn adjusted(
    view: &View,
    key: &SeriesKey,
    range: Range<i64>,
    columns: Option<&[&str]>,
    actions: &[Action],
    how: &Adjustment,
) -> Result<Rows> {
    let read = view.read(key).range(range);
    let mut rows = columns.map_or(read.clone(), |columns| read.columns(columns)).rows()?;
    let last = || -> Result<Option<i64>> { Ok(view.latest(key)?.map(|row| row.time()[0])) };
    let Some(as_of) = how.as_of_ns.map_or_else(last, |time| Ok(Some(time)))? else { return Ok(rows) };
    let schema = view.schema(key)?;
    let is_double = |name: &&str| schema.column(name).is_some_and(|column| column.kind == ColumnType::F64);
    let close = ["close", "price"].into_iter().find(|name| is_double(name));
    let steps = steps(actions, how.parts, as_of, |ex_ns| {
        let Some(close) = close else { return Ok(None) };
        last_before(view, key, close, ex_ns)
    })?;
    let set = &mut rows.set;
    for (column, (_, values)) in rows.columns.iter().zip(&mut set.columns) {
        let field = match column.name.as_str() {
            name if PRICES.contains(&name) => Field::Price,
            name if VOLUMES.contains(&name) => Field::Volume,
            _ => continue,
        };
        if let Values::F64(values) = &mut values.values {
            adjust(&set.time, values, &steps, field, how.anchor);
        }
    }
    Ok(rows)
}

/// The last value of a column of doubles before a time: rows without one (null, NaN), as on days without trade, do not
/// count.
fn last_before(view: &View, key: &SeriesKey, column: &str, time: i64) -> Result<Option<f64>> {
    let mut count = 1;
    loop {
        let rows = view.read(key).range(i64::MIN..time).columns(&[column]).last(count)?;
        let (Some(values), Some(found)) = (rows.f64(column), rows.column(column)) else { return Ok(None) };
        let place = (0..rows.len()).rev().find(|row| !found.is_null(*row) && !values[*row].is_nan());
        if place.is_some() || rows.len() < count {
            return Ok(place.map(|row| values[row]));
        }
        count *= 16;
    }
}
