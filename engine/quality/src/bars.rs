//! Bars as columns, and the rules that look at one bar at a time.

#![expect(
    clippy::inline_always,
    clippy::needless_bitwise_bool,
    reason = "kernels are compiled with the vectors of their caller, and without a branch"
)]

use std::ops::Range;

use tapestore::{ColumnValues, Rows, RunVec, Timeframe, Values, flags};
use tapestore_query::coarser::BarColumns;

use crate::coarser::end_of;
use crate::rule::Rule;
use crate::rules::Rules;
use crate::wide::widest;

/// The columns of bars that rules look at, borrowed. All of one length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bars<'a> {
    pub(crate) time: &'a [i64],
    pub(crate) open: &'a [f64],
    pub(crate) high: &'a [f64],
    pub(crate) low: &'a [f64],
    pub(crate) close: &'a [f64],
    pub(crate) volume: Option<&'a [f64]>,
    rows: &'a Rows,
}

/// The columns that are read, of those that a series has.
pub(crate) const COLUMNS: [&str; 9] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "taker_buy_base",
    "taker_buy_quote",
    "close_time",
];

impl<'a> Bars<'a> {
    /// The bars of rows; `None` if they have no four prices.
    pub(crate) fn of(rows: &'a Rows) -> Option<Self> {
        Some(Self {
            time: rows.time(),
            open: rows.f64("open")?,
            high: rows.f64("high")?,
            low: rows.f64("low")?,
            close: rows.f64("close")?,
            volume: rows.f64("volume"),
            rows,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// The same as plain columns.
    pub(crate) fn columns(&self) -> BarColumns<'a> {
        let prices = [self.open, self.high, self.low, self.close];
        BarColumns { time: self.time, prices, volume: self.volume }
    }

    fn column(&self, name: &str) -> Option<&'a ColumnValues> {
        self.rows.column(name)
    }

    /// A value of a column of numbers; `None` if there is none.
    pub(crate) fn value(&self, name: &str, row: usize) -> Option<f64> {
        let column = self.column(name).filter(|column| !column.is_null(row))?;
        match &column.values {
            Values::F64(values) => Some(values[row]),
            Values::I64(values) => Some(values[row] as f64),
            _ => None,
        }
    }

    /// Whether a row was made up.
    pub(crate) fn flags(&self) -> &'a RunVec<u16> {
        &self.rows.set.flags
    }

    /// Whether any row was made up.
    pub(crate) fn any_synthetic(&self) -> bool {
        match self.flags().single() {
            Some(all) => all & flags::SYNTHETIC != 0,
            None => self.flags().pieces(0..self.len()).any(|(_, bits)| bits & flags::SYNTHETIC != 0),
        }
    }
}

/// Bars that are looked at together.
const WIDE: usize = 32;

/// Whether prices stand in their order, between a low above zero and a finite high: then there is nothing that is not finite.
#[inline(always)]
fn is_ordered(o: f64, h: f64, l: f64, c: f64) -> bool {
    (l > 0.0) & (l <= o) & (l <= c) & (h >= o) & (h >= c) & (h <= f64::MAX)
}

#[inline(always)]
fn first_odd_body(prices: [&[f64]; 4], volume: Option<&[f64]>, from: usize, end: usize) -> usize {
    let [open, high, low, close] = prices;
    let mut row = from;
    while row + WIDE <= end {
        let rows = row..row + WIDE;
        let (o, h) = (&open[rows.clone()], &high[rows.clone()]);
        let (l, c) = (&low[rows.clone()], &close[rows.clone()]);
        let mut fine = true;
        for at in 0..WIDE {
            fine &= is_ordered(o[at], h[at], l[at], c[at]);
        }
        if let Some(volume) = volume {
            for v in &volume[rows] {
                fine &= (*v > 0.0) & (*v <= f64::MAX);
            }
        }
        if !fine {
            break;
        }
        row += WIDE;
    }
    let traded = |row: usize| volume.is_none_or(|volume| volume[row] > 0.0 && volume[row] <= f64::MAX);
    while row < end && is_ordered(open[row], high[row], low[row], close[row]) && traded(row) {
        row += 1;
    }
    row
}

widest! {
    /// The first row of `from..end` whose bar is not plainly in order: open, high, low, close and volume; else `end`.
    first_odd = first_odd_body(
        prices: [&[f64]; 4],
        volume: Option<&[f64]>,
        from: usize,
        end: usize,
    ) -> usize
}

/// Marks bars that break a rule by themselves.
pub(crate) fn mark_bars(
    bars: &Bars<'_>,
    rows: Range<usize>,
    timeframe: Timeframe,
    rules: &Rules,
    marks: &mut [u32],
) {
    let prices @ [open, high, low, close] = [bars.open, bars.high, bars.low, bars.close];
    let mut row = first_odd(prices, bars.volume, rows.start, rows.end);
    while row < rows.end {
        let borrowed = bars.flags().get(row) & flags::CROSS != 0;
        // Prices of another exchange come without its volume.
        marks[row] |= closely(bars, row) & if borrowed { !Rule::Flat.bit() } else { u32::MAX };
        row = first_odd(prices, bars.volume, row + 1, rows.end);
    }
    nulls(bars, &rows, marks);
    amounts(bars, &rows, rules, marks);
    close_times(bars, &rows, timeframe, marks);
    if let Some(tick) = rules.tick.filter(|tick| *tick > 0.0) {
        for row in rows {
            let off = |price: f64| {
                let steps = price / tick;
                // A millionth of a step, or what rounding leaves of a price of very many steps.
                (steps - steps.round()).abs() > 1e-6_f64.max(4.0 * f64::EPSILON * steps.abs())
            };
            if [open[row], high[row], low[row], close[row]].into_iter().any(off) {
                marks[row] |= Rule::Tick.bit();
            }
        }
    }
}

/// Close times, where they are stored.
fn close_times(bars: &Bars<'_>, rows: &Range<usize>, timeframe: Timeframe, marks: &mut [u32]) {
    let Some(column) = bars.column("close_time") else { return };
    let Values::I64(values) = &column.values else { return };
    for row in rows.clone().filter(|row| !column.is_null(*row)) {
        let short = end_of(timeframe, bars.time[row]) - values[row];
        // Exchanges state the last unit inside the bar: a millisecond, a microsecond, a second.
        if ![0, 1, 1_000, 1_000_000, 1_000_000_000].contains(&short) {
            marks[row] |= Rule::CloseTime.bit();
        }
    }
}

/// Share by which prices differ after a few multiplications and divisions.
const PRODUCT: f64 = 1e-13;

/// The rules of one bar, one after the other.
#[cold]
fn closely(bars: &Bars<'_>, row: usize) -> u32 {
    let (o, h, l, c) = (bars.open[row], bars.high[row], bars.low[row], bars.close[row]);
    let volume = bars.volume.map(|volume| volume[row]);
    let mut bits = 0;
    if ![o, h, l, c].iter().all(|price| price.is_finite()) || volume.is_some_and(|v| !v.is_finite()) {
        bits |= Rule::Finite.bit();
    }
    if [o, h, l, c].iter().any(|price| *price <= 0.0) {
        bits |= Rule::Price.bit();
    }
    if volume.is_some_and(|v| v < 0.0) {
        bits |= Rule::Volume.bit();
    }
    // Adjusted prices are products: what is left of rounding is no fault.
    let above = |a: f64, b: f64| a - b > PRODUCT * b.abs();
    if above(l, o) || above(l, c) || above(o, h) || above(c, h) || above(l, h) {
        bits |= Rule::Range.bit();
    }
    // An instrument without volume (a rate, an index) has it nowhere; that is for the series to tell.
    let (most, least) = (o.max(h).max(l).max(c), o.min(h).min(l).min(c));
    if volume == Some(0.0) && above(most, least) {
        bits |= Rule::Flat.bit();
    }
    bits
}

fn nulls(bars: &Bars<'_>, rows: &Range<usize>, marks: &mut [u32]) {
    for name in ["open", "high", "low", "close", "volume"] {
        if let Some(nulls) = bars.column(name).and_then(|column| column.nulls.as_ref()) {
            for row in rows.clone().filter(|row| nulls[*row]) {
                marks[row] |= Rule::Finite.bit();
            }
        }
    }
}

/// What amounts say of one another.
fn amounts(bars: &Bars<'_>, rows: &Range<usize>, rules: &Rules, marks: &mut [u32]) {
    let column = |name: &str| {
        let column = bars.column(name)?;
        match &column.values {
            Values::F64(values) => Some((column, values.as_slice())),
            _ => None,
        }
    };
    let Some(volume) = bars.volume else { return };
    // Sums of decimals, and prices of few digits: what is left of rounding.
    let share = 1e-6_f64.max(rules.rounding);
    if let Some((column, quote)) = column("quote_volume") {
        for row in rows.clone().filter(|row| !column.is_null(*row)) {
            let (v, q) = (volume[row], quote[row]);
            let inside = q >= bars.low[row] * v * (1.0 - share) && q <= bars.high[row] * v * (1.0 + share);
            if q < 0.0 {
                marks[row] |= Rule::Volume.bit();
            } else if !inside && v > 0.0 {
                marks[row] |= Rule::Amount.bit();
            }
        }
    }
    let pairs = [("taker_buy_base", Some(volume)), ("taker_buy_quote", column("quote_volume").map(|c| c.1))];
    for (name, whole) in pairs {
        let (Some((column, part)), Some(whole)) = (column(name), whole) else { continue };
        for row in rows.clone().filter(|row| !column.is_null(*row)) {
            if part[row] < 0.0 {
                marks[row] |= Rule::Volume.bit();
            } else if part[row] > whole[row] * (1.0 + share) {
                marks[row] |= Rule::Taker.bit();
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tapestore::{Column, ColumnType, RowSet};

    use super::*;

    /// Numbers from a seed.
    pub(crate) struct Random(pub(crate) u64);

    impl Random {
        pub(crate) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        pub(crate) fn below(&mut self, bound: usize) -> usize {
            (self.next() % bound as u64) as usize
        }

        pub(crate) fn unit(&mut self) -> f64 {
            (self.next() >> 11) as f64 / (1u64 << 53) as f64
        }

        pub(crate) fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
        }
    }

    /// Rows of bars that do not move within.
    pub(crate) fn rows_of(time: &[i64], close: &[f64], volume: &[f64]) -> Rows {
        let columns = ["open", "high", "low", "close", "volume"];
        let mut rows = Rows { columns: Vec::new(), set: RowSet { time: time.to_vec(), ..RowSet::default() } };
        for (id, name) in (0..).zip(columns) {
            let values = if name == "volume" { volume } else { close };
            rows.columns.push(Column {
                id,
                name: name.into(),
                kind: ColumnType::F64,
                nullable: false,
                description: String::new(),
            });
            rows.set.columns.push((id, Values::F64(values.to_vec()).into()));
        }
        rows.set.flags = RunVec::constant(0, time.len());
        rows
    }

    fn marks(change: impl FnOnce(&mut Rows)) -> Vec<Rule> {
        let mut rows = rows_of(&[0], &[10.0], &[5.0]);
        change(&mut rows);
        let mut marks = [0];
        mark_bars(
            &Bars::of(&rows).unwrap(),
            0..1,
            Timeframe::M1,
            &Rules { tick: Some(0.5), ..Rules::default() },
            &mut marks,
        );
        Rule::ALL.iter().copied().filter(|rule| marks[0] & rule.bit() != 0).collect()
    }

    fn set(rows: &mut Rows, name: &str, value: f64) {
        let at = rows.columns.iter().position(|column| column.name == name).unwrap();
        rows.set.columns[at].1 = Values::F64(vec![value]).into();
    }

    fn add(rows: &mut Rows, name: &str, values: Values) {
        let id = rows.columns.len() as u16;
        let kind = if matches!(values, Values::F64(_)) { ColumnType::F64 } else { ColumnType::Timestamp };
        rows.columns.push(Column { id, name: name.into(), kind, nullable: true, description: String::new() });
        rows.set.columns.push((id, values.into()));
    }

    #[test]
    fn each_rule_of_one_bar_has_its_case() {
        let with = |name: &'static str, value: f64| marks(move |rows| set(rows, name, value));
        assert_eq!(marks(|_| {}), []);
        assert_eq!(with("close", f64::NAN), [Rule::Finite]);
        assert!(with("high", f64::INFINITY).contains(&Rule::Finite));
        assert_eq!(with("volume", f64::NAN), [Rule::Finite]);
        assert_eq!(with("low", 0.0), [Rule::Price]);
        assert_eq!(with("volume", -1.0), [Rule::Volume]);
        assert_eq!(with("high", 9.5), [Rule::Range]);
        assert_eq!(with("low", 10.5), [Rule::Range]);
        assert_eq!(with("high", 10.25), [Rule::Tick]);
        let quiet = |rows: &mut Rows| set(rows, "volume", 0.0);
        assert_eq!(marks(quiet), [], "a bar without trade does not move");
        let moves = |rows: &mut Rows| {
            quiet(rows);
            set(rows, "high", 11.0);
        };
        assert_eq!(marks(moves), [Rule::Flat]);
    }

    #[test]
    fn amounts_and_close_times_have_their_cases() {
        let number =
            |name: &'static str, value: f64| marks(move |rows| add(rows, name, Values::F64(vec![value])));
        assert_eq!(number("quote_volume", 50.0), []);
        assert_eq!(number("quote_volume", 51.0), [Rule::Amount]);
        assert_eq!(number("quote_volume", -50.0), [Rule::Volume]);
        assert_eq!(number("taker_buy_base", 5.0), []);
        assert_eq!(number("taker_buy_base", 5.1), [Rule::Taker]);
        let time = |value: i64| marks(move |rows| add(rows, "close_time", Values::I64(vec![value])));
        assert_eq!(time(59_999_000_000), []);
        assert_eq!(time(60_000_000_000), []);
        assert_eq!(time(50_000_000_000), [Rule::CloseTime]);
    }
}
