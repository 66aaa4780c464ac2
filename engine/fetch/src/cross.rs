//! Bars that were fetched, held against bars of the same length that finer ones give.

use std::ops::Range;

use tapestore::{Error as StoreError, Rows, SeriesKey, Store, Timeframe};
use tapestore_query::coarser::{Bar, BarColumns, Rounding, each_with_finer};

use crate::error::Result;
use crate::ledger::{Finding, note_findings};

/// What is rounding: volumes are sums of decimals, prices are taken over as they are.
const ROUNDING: Rounding = Rounding { price: 0.0, volume: 1e-9 };
/// Bars for which finer ones are read at once.
const PIECE: usize = 2_000;

/// What came of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Bars that both have.
    pub bars: u64,
    /// Values that differ, each noted as a finding of kind `differs`: `old` is what was fetched, `new` what the finer
    /// bars give.
    pub differences: u64,
}

/// Compares the stored bars of `coarse` with what the bars of `fine` give, where these are whole, and notes where they
/// differ.
///
/// # Errors
/// Damage, and failure of the store.
pub fn cross_check(
    store: &Store,
    fine: &SeriesKey,
    coarse: Timeframe,
    range: &Range<i64>,
    source: &str,
    now_ns: i64,
) -> Result<Compared> {
    let view = store.view();
    let key = SeriesKey::with_frame(fine.instrument(), tapestore::Frame::Bars(coarse))?;
    let first = coarse.slot_start(coarse.slot(range.start));
    // The last bar is whole, too, wherever in it the range ends.
    let whole = first..coarse.slot_start(coarse.slot(range.end.saturating_sub(1)).saturating_add(1));
    let names = ["open", "high", "low", "close", "volume"];
    let fetched = match view.read(&key).range(whole).rows() {
        Err(StoreError::NotFound(_)) => return Ok(Compared::default()),
        rows => rows?,
    };
    let Some(bars) = columns(&fetched) else { return Ok(Compared::default()) };
    let end_of = |time: i64| coarse.slot_start(coarse.slot(time) + 1);
    let mut compared = Compared::default();
    let mut findings = Vec::new();
    // Finer bars are read for some coarser ones at a time.
    for start in (0..bars.time.len()).step_by(PIECE) {
        let rows = start..bars.time.len().min(start + PIECE);
        let times = bars.time[start]..end_of(bars.time[rows.end - 1]);
        let finer = view.read(fine).range(times.clone()).rows()?;
        let Some(made_of) = columns(&finer) else { continue };
        let gaps = view.gaps(fine, Some(times))?;
        let has_gap = |range: &Range<i64>| {
            let after = gaps.partition_point(|gap| gap.end <= range.start);
            gaps.get(after).is_some_and(|gap| gap.start < range.end)
        };
        each_with_finer(&bars, rows, end_of, made_of.time, |row, times, rows| {
            let is_whole = coarse.slot_start(coarse.slot(times.start)) == times.start && !has_gap(&times);
            let Some(made) = made_of.aggregate(rows).filter(|_| is_whole) else { return };
            compared.bars += 1;
            let stored = bars.bar(row);
            let values = |bar: &Bar| bar.prices.into_iter().chain([bar.volume.unwrap_or(f64::NAN)]);
            let pairs = names.iter().zip(values(&stored).zip(values(&made)));
            for ((column, (old, new)), _) in pairs.zip(stored.differs(&made, ROUNDING)).filter(|one| one.1) {
                let (old, new, column) = (old.to_string(), new.to_string(), (*column).to_owned());
                findings.push(Finding { at_ns: times.start, kind: "differs", column, old, new });
            }
        });
    }
    compared.differences = findings.len() as u64;
    if !findings.is_empty() {
        let mut transaction = store.begin();
        transaction.source(source).message(&format!("cross-check of {key} with {fine}"));
        note_findings(&mut transaction, &key, source, &findings, now_ns)?;
        transaction.commit()?;
    }
    Ok(compared)
}

/// Rows as bars; `None` if they have no four prices.
fn columns(rows: &Rows) -> Option<BarColumns<'_>> {
    let prices = [rows.f64("open")?, rows.f64("high")?, rows.f64("low")?, rows.f64("close")?];
    Some(BarColumns { time: rows.time(), prices, volume: rows.f64("volume") })
}

#[cfg(test)]
mod tests {
    use tapestore::time::{HOUR_NS, MINUTE_NS};
    use tapestore::{Batch, Options, Values, schema};

    use super::*;

    /// Bars whose closes rise by one each, the highs and lows beside them.
    fn batch(step: i64, count: i64, per: i64) -> Batch {
        let values = |of: fn(f64, f64) -> f64| {
            Values::F64((0..count).map(|at| of((at * per) as f64, per as f64)).collect())
        };
        Batch::new((0..count).map(|at| at * step).collect())
            .with("open", values(|at, _| 100.0 + at))
            .with("high", values(|at, per| 100.5 + at + per - 1.0))
            .with("low", values(|at, _| 99.5 + at))
            .with("close", values(|at, per| 100.0 + at + per - 1.0))
            .with("volume", values(|_, per| 0.1 * per))
    }

    #[test]
    fn whole_bars_are_compared_value_by_value() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(directory.path().join("store"), Options::default()).unwrap();
        let [fine, coarse] = ["1m", "1h"].map(|frame| SeriesKey::new("A.X", frame).unwrap());
        let range = 0..5 * HOUR_NS;
        let check = || cross_check(&store, &fine, Timeframe::H1, &range, "test", 7).unwrap();
        let mut transaction = store.begin();
        transaction.create_series(&fine, schema::bars()).unwrap();
        transaction.upsert(&fine, batch(MINUTE_NS, 300, 1)).unwrap();
        transaction.commit().unwrap();
        assert_eq!(check(), Compared::default(), "nothing was fetched to compare");
        let mut transaction = store.begin();
        transaction.create_series(&coarse, schema::bars()).unwrap();
        transaction.upsert(&coarse, batch(HOUR_NS, 5, 60)).unwrap();
        transaction.commit().unwrap();
        assert_eq!(check(), Compared { bars: 5, differences: 0 });
        // A minute that is missing leaves its hour out; two minutes that differ change high and volume of one hour and the
        // close of another.
        let mut transaction = store.begin();
        transaction.delete_range(&fine, 70 * MINUTE_NS..71 * MINUTE_NS).unwrap();
        let changed = Batch::new(vec![130 * MINUTE_NS, 239 * MINUTE_NS])
            .with("open", Values::F64(vec![1.0, 1.0]))
            .with("high", Values::F64(vec![900.0, 339.5]))
            .with("low", Values::F64(vec![229.5, 338.5]))
            .with("close", Values::F64(vec![1.0, 1.0]))
            .with("volume", Values::F64(vec![0.2, 0.1]));
        transaction.upsert(&fine, changed).unwrap();
        transaction.commit().unwrap();
        assert_eq!(check(), Compared { bars: 4, differences: 3 });
    }
}
