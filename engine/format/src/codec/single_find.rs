//! Looking for adjusted singles: see [`super::single`].
//!
//! Values of a few rows are whole multiples of a unit, a tick times the factor, to as many digits as an `f32` has. The greatest
//! unit that fits all of them is looked for among the parts of the largest value; of its decimal multiples the one is the factor
//! under which the other prices follow from close to the bit. Rows follow it until one does not; there a new run begins.

use super::decimal::{Mantissas, nearest};
use super::factor::Factors;
use super::factor_find::Runs;
use super::single::{adjusted, paid, ratio};
use crate::number::POWERS;

/// Rows that a unit is looked for in, at first; then half as many, and so on, as a dividend may lie in between.
const WINDOW: usize = 24;
/// Fewest.
const FEWEST: usize = 4;
/// Units that a value has at most.
const UNITS: u32 = 1 << 17;
/// How far values are from whole units at most, as a share of the value: two roundings to 24 bits, and one of the factor.
const BESIDE: f64 = 1.0 / (1u64 << 22) as f64;
/// Most decimal places of prices that were paid.
const PLACES: usize = 5;
/// Ticks that a unit may be, in units of the last place.
const TICKS: [f64; 11] = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0];
/// Places of the rows that tell whether it is worth while to look at all of them.
const PROBES: usize = 8;
/// Residues of closes that follow a factor, in `f32`, at most.
const FARTHEST: i64 = 8;
/// A run goes on behind a row that does not follow if of so many all but one do.
const AHEAD: usize = 4;
/// A unit is looked for in vain at one of so many rows at most: that takes as long as thousands of rows.
const FAILED: usize = 16;
/// One of so many rows may be no adjusted singles.
const STRANGE: usize = 8;

/// Open, high, low and close.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'v> {
    columns: [&'v [f64]; 4],
}

/// What a row is under a factor: mantissas of open, high, low and close, and the residue of close.
#[derive(Clone, Copy, Debug)]
struct Row {
    numbers: [i64; 4],
    residue: i64,
    /// Whether all of the four come back.
    exact: bool,
}

impl<'v> Bars<'v> {
    /// Four columns of as many rows.
    pub fn new(columns: [&'v [f64]; 4]) -> Self {
        Self { columns }
    }

    fn rows(&self) -> usize {
        self.columns[3].len()
    }

    /// Mantissas of open, high, low and close, with exceptions and the factors of close, and their decimal places. `None` if these
    /// are no adjusted singles.
    pub fn mantissas(&self) -> Option<(u8, [Mantissas; 4])> {
        let (exponent, runs) = self.factors()?;
        let mut out: [Mantissas; 4] = Default::default();
        let mut residues = Vec::with_capacity(self.rows());
        let mut strange = 0;
        let ends = runs.iter().skip(1).map(|run| run.0).chain([self.rows()]);
        for ((start, factor), end) in runs.iter().zip(ends) {
            for row in *start..end {
                let found = self.row(row, exponent, *factor);
                strange += usize::from(!found.exact);
                residues.push(found.residue);
                self.push(row, &found, exponent, *factor, &mut out);
            }
        }
        if strange * STRANGE > self.rows() {
            return None;
        }
        out[3].factors = Some(Factors { runs, residues });
        Some((exponent as u8, out))
    }

    /// Appends the mantissas of a row, and exceptions.
    fn push(&self, row: usize, found: &Row, exponent: usize, factor: f64, out: &mut [Mantissas; 4]) {
        let values = back(found, exponent, factor);
        for (column, out) in out.iter_mut().enumerate() {
            let (value, number) = (self.columns[column][row], found.numbers[column]);
            // Others follow from what stands under an exception of close as well: all mantissas keep their worth.
            out.divisible(number);
            out.numbers.push(number);
            if value.to_bits() != values[column].to_bits() {
                out.strays.push((row, value.to_bits() as i64));
                out.stand_ins.get_or_insert_default().push(values[column].to_bits() as i64);
            }
        }
    }

    /// Decimal places of the prices that were paid, and the factors.
    fn factors(&self) -> Option<(usize, Runs)> {
        let step = (self.rows() / PROBES).max(WINDOW);
        let probed = (0..self.rows()).step_by(step).take(PROBES);
        let singles = |rows: &std::ops::Range<usize>| {
            self.columns[3][rows.clone()].iter().all(|close| paid(*close).to_bits() == close.to_bits())
        };
        let windows: Vec<_> = probed.map(|row| row..self.rows().min(row + WINDOW)).collect();
        if windows.iter().filter(|rows| singles(rows)).count() * 2 <= windows.len() {
            return None;
        }
        let units: Vec<(std::ops::Range<usize>, f64)> =
            windows.iter().filter_map(|rows| self.unit(rows.start, &mut 0)).collect();
        if units.len() * 2 < windows.len() {
            return None;
        }
        let exact = |exponent: &usize| {
            let best =
                |(rows, unit): &(_, f64)| self.factor(rows, *unit, *exponent, 1.0).map_or(0, |best| best.1);
            (units.iter().map(best).sum::<usize>(), std::cmp::Reverse(*exponent))
        };
        let exponent = (0..=PLACES).max_by_key(exact)?;
        Some((exponent, self.runs(exponent)?))
    }

    /// The rows from one on, as many as have a common unit, and it. Counts in `failed` what was looked for in vain.
    fn unit(&self, row: usize, failed: &mut usize) -> Option<(std::ops::Range<usize>, f64)> {
        let mut count = WINDOW.min(self.rows() - row);
        while count >= FEWEST {
            let rows = row..row + count;
            let values = self.columns.iter().flat_map(|column| column[rows.clone()].iter().copied());
            if let Some(unit) = common_unit(values.collect(), failed) {
                return Some((rows, unit));
            }
            count /= 2;
        }
        None
    }

    /// The factor under which most rows come back, of those that a unit leaves, and how many. Of several, that nearest to `near`.
    fn factor(
        &self,
        rows: &std::ops::Range<usize>,
        unit: f64,
        exponent: usize,
        near: f64,
    ) -> Option<(f64, usize)> {
        let candidates = TICKS.iter().map(|ticks| {
            let factor = self.refined(rows, exponent, unit * POWERS[exponent] / ticks);
            let exact = rows.clone().filter(|row| self.row(*row, exponent, factor).exact).count();
            (factor, exact)
        });
        let distance = |factor: f64| (factor / near).ln().abs();
        candidates.max_by(|a, b| a.1.cmp(&b.1).then(distance(b.0).total_cmp(&distance(a.0))))
    }

    /// A factor as closes have it in the middle.
    fn refined(&self, rows: &std::ops::Range<usize>, exponent: usize, factor: f64) -> f64 {
        let mut found: Vec<f64> = self.columns[3][rows.clone()]
            .iter()
            .map(|close| close / paid(decimal(nearest(close / factor, exponent, 0), exponent)))
            .filter(|found| found.is_finite() && *found > 0.0)
            .collect();
        found.sort_unstable_by(f64::total_cmp);
        found.get(found.len() / 2).copied().unwrap_or(factor)
    }

    /// The factors of all rows; `None` if too many have none.
    fn runs(&self, exponent: usize) -> Option<Runs> {
        let mut runs = Runs::new();
        let (mut row, mut without, mut failed, mut step, mut ended) = (0, 0, 0, 1, 0);
        while row < self.rows() {
            let near = runs.last().map_or(1.0, |run| run.1);
            if let Some(again) = self.again(row, exponent, near).filter(|_| !runs.is_empty()) {
                row = self.end_of(again, exponent, near);
                (step, ended) = (1, row);
                continue;
            }
            let found =
                self.unit(row, &mut failed).and_then(|(rows, unit)| self.factor(&rows, unit, exponent, near));
            let end = found.map_or(row, |(factor, _)| self.end_of(row, exponent, factor));
            let Some((factor, _)) = found.filter(|_| end > row) else {
                without += step;
                let too_many = |count: usize, of: usize| count * of > PROBES * of + self.rows();
                if too_many(without, STRANGE) || too_many(failed, FAILED) {
                    return None;
                }
                // Strange rows come in stretches: the longer one is, the further on the next unit is looked for.
                row += step;
                step = (step * 2).min(WINDOW);
                continue;
            };
            // The rows before that were not looked at, too.
            let passed = (ended..row).rev().take_while(|row| self.follows(*row, exponent, factor)).count();
            let start = if runs.is_empty() { 0 } else { row - passed };
            runs.push((start, self.refined(&(row..end), exponent, factor)));
            (row, step, ended) = (end, 1, end);
        }
        (!runs.is_empty()).then_some(runs)
    }

    /// Where rows follow a factor again, if soon: that is seen much faster than a factor is found.
    fn again(&self, start: usize, exponent: usize, factor: f64) -> Option<usize> {
        let last = self.rows().checked_sub(AHEAD)?.min(start + WINDOW);
        (start..=last).find(|row| (*row..row + AHEAD).all(|row| self.follows(row, exponent, factor)))
    }

    fn follows(&self, row: usize, exponent: usize, factor: f64) -> bool {
        let row = self.row(row, exponent, factor);
        row.exact && row.residue.abs() <= FARTHEST
    }

    /// Where a run ends.
    fn end_of(&self, start: usize, exponent: usize, factor: f64) -> usize {
        let follows = |row: usize| self.follows(row, exponent, factor);
        let ends = |row: &usize| {
            let ahead = *row..self.rows().min(*row + AHEAD);
            !follows(*row) && (*row == start || ahead.filter(|row| follows(*row)).count() + 1 < AHEAD)
        };
        (start..self.rows()).find(ends).unwrap_or(self.rows())
    }

    /// A row under a factor.
    fn row(&self, row: usize, exponent: usize, factor: f64) -> Row {
        let values = self.columns.map(|column| column[row]);
        let numbers = values.map(|value| nearest(value / factor, exponent, 0));
        let mut out = Row { numbers, residue: 0, exact: false };
        let product = paid(decimal(numbers[3], exponent)) * factor;
        let residue = i64::from((values[3] as f32).to_bits()) - i64::from((product as f32).to_bits());
        if residue.unsigned_abs() < 1 << 20 {
            out.residue = residue;
        }
        if !adjusted(product, out.residue).is_finite() {
            // More than an `f32` holds. Adjusted closes are finite by the rule, also under exceptions.
            (out.numbers[3], out.residue) = (0, 0);
        }
        let back = back(&out, exponent, factor);
        out.exact = values.iter().zip(back).all(|(value, back)| value.to_bits() == back.to_bits());
        out
    }
}

fn decimal(number: i64, exponent: usize) -> f64 {
    number as f64 / POWERS[exponent]
}

/// The values of a row.
fn back(row: &Row, exponent: usize, factor: f64) -> [f64; 4] {
    let prices = row.numbers.map(|number| paid(decimal(number, exponent)));
    let close = adjusted(prices[3] * factor, row.residue);
    let ratio = ratio(close, prices[3]);
    [prices[0] * ratio, prices[1] * ratio, prices[2] * ratio, close]
}

/// The greatest number that all values are whole multiples of, to as many digits as an `f32` has. Counts in `failed` if none was
/// found among all.
fn common_unit(mut values: Vec<f64>, failed: &mut usize) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    let largest = *values.last()?;
    if !(largest.is_finite() && values[0] > 0.0) || values.len() < FEWEST {
        return None;
    }
    // From the largest down: it allows fewest units. Each is tried until a value does not fit, mostly the first.
    let shares: Vec<f64> = values.iter().rev().skip(1).map(|value| value / largest).collect();
    let found = (1..=UNITS).find(|units| {
        let units = f64::from(*units);
        shares.iter().all(|share| {
            let many = share * units;
            (many - many.round()).abs() <= many * BESIDE + f64::EPSILON
        })
    });
    *failed += usize::from(found.is_none());
    Some(largest / f64::from(found?))
}
