//! Bars as columns, and the rules that look at one bar at a time.

use tapestore::{ColumnValues, Rows, RunVec, flags};

use crate::rule::Rule;
use crate::rules::Rules;

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

    fn column(&self, name: &str) -> Option<&'a ColumnValues> {
        self.rows.column(name)
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

/// Marks bars that break a rule by themselves.
#[expect(clippy::needless_bitwise_bool, reason = "six comparisons and one branch")]
pub(crate) fn mark_bars(bars: &Bars<'_>, step_ns: Option<i64>, rules: &Rules, marks: &mut [u32]) {
    let rows = bars.len();
    let (open, high, low, close) =
        (&bars.open[..rows], &bars.high[..rows], &bars.low[..rows], &bars.close[..rows]);
    let marks = &mut marks[..rows];
    let traded = |row: usize| bars.volume.is_none_or(|volume| volume[row] > 0.0 && volume[row] <= f64::MAX);
    for row in 0..rows {
        let (o, h, l, c) = (open[row], high[row], low[row], close[row]);
        // Between a low above zero and a finite high there is nothing that is not finite.
        let ordered = (l > 0.0) & (l <= o) & (l <= c) & (h >= o) & (h >= c) & (h <= f64::MAX);
        if !(ordered & traded(row)) {
            marks[row] |= closely(bars, row);
        }
    }
    nulls(bars, marks);
    amounts(bars, rules, marks);
    if let (Some(column), Some(step)) = (bars.column("close_time"), step_ns)
        && let tapestore::Values::I64(values) = &column.values
    {
        for row in (0..rows).filter(|row| !column.is_null(*row)) {
            let short = bars.time[row] + step - values[row];
            // Exchanges state the last unit inside the bar: a millisecond, a microsecond, a second.
            if ![0, 1, 1_000, 1_000_000, 1_000_000_000].contains(&short) {
                marks[row] |= Rule::CloseTime.bit();
            }
        }
    }
    if let Some(tick) = rules.tick.filter(|tick| *tick > 0.0) {
        for row in 0..rows {
            let off = |price: f64| {
                let steps = price / tick;
                (steps - steps.round()).abs() > 1e-6 * steps.abs().max(1.0)
            };
            if [open[row], high[row], low[row], close[row]].into_iter().any(off) {
                marks[row] |= Rule::Tick.bit();
            }
        }
    }
}

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
    if l > o || l > c || h < o || h < c || h < l {
        bits |= Rule::Range.bit();
    }
    // An instrument without volume (a rate, an index) has it nowhere; that is for the series to tell.
    if volume == Some(0.0)
        && (o.to_bits() != c.to_bits() || h.to_bits() != l.to_bits() || o.to_bits() != h.to_bits())
    {
        bits |= Rule::Flat.bit();
    }
    bits
}

fn nulls(bars: &Bars<'_>, marks: &mut [u32]) {
    for name in ["open", "high", "low", "close", "volume"] {
        if let Some(nulls) = bars.column(name).and_then(|column| column.nulls.as_ref()) {
            for (mark, _) in marks.iter_mut().zip(nulls).filter(|(_, null)| **null) {
                *mark |= Rule::Finite.bit();
            }
        }
    }
}

/// What amounts say of one another.
fn amounts(bars: &Bars<'_>, rules: &Rules, marks: &mut [u32]) {
    let column = |name: &str| {
        let column = bars.column(name)?;
        match &column.values {
            tapestore::Values::F64(values) => Some((column, values.as_slice())),
            _ => None,
        }
    };
    let Some(volume) = bars.volume else { return };
    // Sums of decimals, and prices of few digits: what is left of rounding.
    let share = 1e-6_f64.max(rules.rounding);
    if let Some((column, quote)) = column("quote_volume") {
        for row in (0..bars.len()).filter(|row| !column.is_null(*row)) {
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
        for row in (0..bars.len()).filter(|row| !column.is_null(*row)) {
            if part[row] < 0.0 {
                marks[row] |= Rule::Volume.bit();
            } else if part[row] > whole[row] * (1.0 + share) {
                marks[row] |= Rule::Taker.bit();
            }
        }
    }
}
