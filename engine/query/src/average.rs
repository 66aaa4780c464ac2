//! Averages over a range: weighted by volume, and by time.

use std::borrow::Cow;
use std::ops::Range;

use tapestore::{ColumnType, Error, Result, Rows, Schema, SeriesKey, Values, View};

use crate::fold::Sum;

/// An average, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// The average.
    pub price: f64,
    /// For an average by volume the volume, for one by time the nanoseconds that the prices stood.
    pub weight: f64,
    /// Rows that count.
    pub rows: u64,
}

/// The average of `price` weighted by `weight`; `None` if the weights do not add up to more than zero.
pub fn weighted(price: &[f64], weight: &[f64]) -> Option<Average> {
    let (mut amount, mut total, mut rows) = (Sum::default(), Sum::default(), 0);
    for (price, weight) in price.iter().zip(weight) {
        amount.add(price * weight);
        total.add(*weight);
        rows += u64::from(*weight != 0.0);
    }
    let weight = total.value();
    (weight > 0.0).then(|| Average { price: amount.raw() / weight, weight, rows })
}

/// The average over time of a price that stands from each of `time` to the next, the last one to `range.end`. What
/// stands before the range counts from its start.
pub fn over_time(time: &[i64], price: &[f64], range: &Range<i64>) -> Option<Average> {
    let (mut amount, mut total, mut rows) = (Sum::default(), 0_i64, 0);
    for (row, price) in price.iter().enumerate() {
        let from = time[row].max(range.start);
        let to = time.get(row + 1).copied().unwrap_or(range.end).min(range.end);
        if from < to && !price.is_nan() {
            amount.add(price * (to - from) as f64);
            total += to - from;
            rows += 1;
        }
    }
    (total > 0).then(|| Average { price: amount.raw() / total as f64, weight: total as f64, rows })
}

/// The average price of a range of bars or trades, weighted by volume.
///
/// For trades by their quantity. For bars the traded amount over the volume if the series has `quote_volume`; otherwise
/// the mean of high, low and close by volume, as nothing better is known of a bar.
///
/// # Errors
/// [`Error::NotFound`] if the series does not exist, [`Error::Usage`] if it holds neither bars nor trades.
pub fn vwap(view: &View, key: &SeriesKey, range: Range<i64>) -> Result<Option<Average>> {
    let schema = view.schema(key)?;
    let has = |name: &str| is_number(&schema, name);
    let read = |columns: &[&str]| view.read(key).range(range.clone()).columns(columns).rows();
    if has("price") {
        let quantity = ["quantity", "qty", "size", "volume"].into_iter().find(|name| has(name));
        let Some(quantity) = quantity else { return Err(neither(key)) };
        let rows = read(&["price", quantity])?;
        return Ok(weighted(&floats(&rows, "price"), &floats(&rows, quantity)));
    }
    if !["high", "low", "close", "volume"].into_iter().all(has) {
        return Err(neither(key));
    }
    if has("quote_volume") {
        let rows = read(&["volume", "quote_volume"])?;
        if rows.column("quote_volume").is_some_and(|column| column.nulls.is_none()) {
            let (mut amount, mut volume, mut count) = (Sum::default(), Sum::default(), 0);
            for (quote, base) in floats(&rows, "quote_volume").iter().zip(&*floats(&rows, "volume")) {
                amount.add(*quote);
                volume.add(*base);
                count += u64::from(*base != 0.0);
            }
            let weight = volume.value();
            let average = || Average { price: amount.value() / weight, weight, rows: count };
            return Ok((weight > 0.0).then(average));
        }
    }
    let rows = read(&["high", "low", "close", "volume"])?;
    let [high, low, close, volume] = ["high", "low", "close", "volume"].map(|name| floats(&rows, name));
    let typical: Vec<f64> = (0..rows.len()).map(|row| (high[row] + low[row] + close[row]) / 3.0).collect();
    Ok(weighted(&typical, &volume))
}

/// The average price of a range over time.
///
/// For trades each price stands until the next, and the one before the range until the first in it. For bars the mean of
/// open, high, low and close stands as long as the bar; time without a bar does not count.
///
/// # Errors
/// As [`vwap`]; [`Error::Usage`] for trades if the range has no end.
pub fn twap(view: &View, key: &SeriesKey, range: Range<i64>) -> Result<Option<Average>> {
    let schema = view.schema(key)?;
    let has = |name: &str| is_number(&schema, name);
    if has("price") {
        if range.end == i64::MAX {
            return Err(Error::Usage("an average over time of trades needs the end of the range".into()));
        }
        let before = view.read(key).range(i64::MIN..range.start).columns(&["price"]).last(1)?;
        let start = before.time().first().copied().unwrap_or(range.start);
        let rows = view.read(key).range(start..range.end).columns(&["price"]).rows()?;
        return Ok(over_time(rows.time(), &floats(&rows, "price"), &range));
    }
    let names = ["open", "high", "low", "close"];
    let (Some(timeframe), true) = (key.frame().timeframe(), names.into_iter().all(has)) else {
        return Err(neither(key));
    };
    let length = |time: i64| {
        let slot = timeframe.slot(time);
        timeframe.slot_start(slot + 1) - timeframe.slot_start(slot)
    };
    // The bar that the range begins in counts for what of it lies in the range.
    let before = view.read(key).range(i64::MIN..range.start).columns(&[]).last(1)?;
    let start = before.time().first().copied().unwrap_or(range.start);
    let rows = view.read(key).range(start..range.end).columns(&names).rows()?;
    let (mut means, mut weights) = (Vec::new(), Vec::new());
    let columns = names.map(|name| floats(&rows, name));
    for (row, time) in rows.time().iter().enumerate() {
        let inside = (time + length(*time)).min(range.end) - (*time).max(range.start);
        if inside > 0 {
            means.push(columns.iter().map(|column| column[row]).sum::<f64>() / 4.0);
            weights.push(inside as f64);
        }
    }
    Ok(weighted(&means, &weights))
}

/// A column of doubles or of integers, as doubles.
fn floats<'a>(rows: &'a Rows, name: &str) -> Cow<'a, [f64]> {
    match rows.column(name).map(|column| &column.values) {
        Some(Values::F64(values)) => Cow::Borrowed(values),
        Some(Values::I64(values)) => values.iter().map(|value| *value as f64).collect(),
        _ => Cow::Borrowed(&[]),
    }
}

fn is_number(schema: &Schema, name: &str) -> bool {
    schema.column(name).is_some_and(|column| matches!(column.kind, ColumnType::F64 | ColumnType::I64))
}

fn neither(key: &SeriesKey) -> Error {
    Error::Usage(format!("{key} holds neither bars nor trades, so there is no average price"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_weighted() {
        assert_eq!(
            weighted(&[10.0, 20.0], &[3.0, 1.0]).unwrap(),
            Average { price: 12.5, weight: 4.0, rows: 2 }
        );
        assert_eq!(weighted(&[10.0], &[0.0]), None);
        assert_eq!(weighted(&[], &[]), None);
    }

    #[test]
    fn a_price_stands_until_the_next() {
        let time = [0, 10, 40];
        let of = |range| over_time(&time, &[1.0, 2.0, 5.0], &range);
        assert_eq!(of(0..50).unwrap(), Average { price: 2.4, weight: 50.0, rows: 3 });
        assert_eq!(of(5..20).unwrap().price, 25.0 / 15.0);
        assert_eq!(of(60..70).unwrap().price, 5.0);
        assert_eq!(of(-10..0), None);
        assert_eq!(over_time(&time, &[1.0, f64::NAN, 5.0], &(0..50)).unwrap().weight, 20.0);
    }
}
