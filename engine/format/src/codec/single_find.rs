//! Looking for adjusted singles: see [`super::single`].
//!
//! The prices of a row are singles times one ratio, rounded in `f64`: what one is of another is a fraction of two numbers of 24
//! bits, and an `f64` has digits enough to tell which. So a single row gives its prices but for a power of two and a small factor
//! that they may have in common; of those that are left, the ones are taken under which the prices are decimals and the next rows
//! follow to the bit. Rows follow a factor until one does not; there a new run begins.

use super::decimal::{Mantissas, nearest};
use super::factor::Factors;
use super::factor_find::Runs;
use super::single::{adjusted, paid, ratio};
use crate::number::POWERS;

/// Rows that a factor is judged by.
const WINDOW: usize = 24;
/// Rows of a window that a factor is looked for in: those of which no two prices differ say nothing.
const LOOKS: usize = 4;
/// Bits of a single.
const BITS: u32 = 24;
/// Most decimal places of prices that were paid.
const PLACES: usize = 5;
/// The largest price that is looked for, in units of the last place: beyond it, singles are too coarse to tell decimals from others.
const UNITS: f64 = (1 << 20) as f64;
/// The largest odd factor that the prices of a row may have in common.
const COMMON: u32 = 63;
/// Places of the rows that tell whether it is worth while to look at all of them.
const PROBES: usize = 8;
/// Factors that are judged for all rows at most, beside one for each row.
const JUDGED: usize = 1 << 16;
/// What looking for a factor takes, found or not, as so many that are judged.
const LOOK: usize = 100;
/// Residues of closes that follow a factor, in `f32`, at most.
const FARTHEST: i64 = 8;
/// A run goes on behind a row that does not follow if of so many all but one do.
const AHEAD: usize = 4;
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
        let exact = |exponent: usize| {
            let best = |rows: &std::ops::Range<usize>| self.factor(rows.clone(), exponent, 1.0, &mut 0);
            windows.iter().filter_map(best).map(|(_, exact)| exact).sum::<usize>()
        };
        let best = (0..=PLACES).map(|exponent| (exact(exponent), std::cmp::Reverse(exponent))).max()?;
        let (exact, std::cmp::Reverse(exponent)) = best;
        if exact * 2 < windows.iter().map(ExactSizeIterator::len).sum() {
            return None;
        }
        Some((exponent, self.runs(exponent)?))
    }

    /// The factor under which most of the rows come back, and how many. Of several, that nearest to `near`. Counts in `judged` how
    /// many it had to judge.
    fn factor(
        &self,
        rows: std::ops::Range<usize>,
        exponent: usize,
        near: f64,
        judged: &mut usize,
    ) -> Option<(f64, usize)> {
        let looked = rows.clone().filter_map(|row| Fractions::of(self.columns.map(|column| column[row])));
        let counted = looked.take(LOOKS).flat_map(|row| row.factors(exponent)).map(|factor| {
            *judged += 1;
            let exact = rows.clone().filter(|row| self.row(*row, exponent, factor).exact).count();
            (factor, exact)
        });
        let distance = |factor: f64| (factor / near).ln().abs();
        counted.max_by(|a, b| a.1.cmp(&b.1).then(distance(b.0).total_cmp(&distance(a.0))))
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

    /// The factors of all rows; `None` if too many have none, or if it takes too long to find them.
    fn runs(&self, exponent: usize) -> Option<Runs> {
        let mut runs = Runs::new();
        let (mut row, mut without, mut judged, mut step, mut ended) = (0, 0, 0, 1, 0);
        while row < self.rows() {
            let near = runs.last().map_or(1.0, |run| run.1);
            if let Some(again) = self.again(row, exponent, near).filter(|_| !runs.is_empty()) {
                row = self.end_of(again, exponent, near);
                (step, ended) = (1, row);
                continue;
            }
            judged += LOOK;
            let found = self.factor(row..self.rows().min(row + WINDOW), exponent, near, &mut judged);
            if judged > JUDGED + self.rows() {
                return None;
            }
            let end = found.map_or(row, |(factor, _)| self.end_of(row, exponent, factor));
            let Some((factor, _)) = found.filter(|_| end > row) else {
                without += step;
                if without * STRANGE > PROBES * STRANGE + self.rows() {
                    return None;
                }
                // Strange rows come in stretches: the longer one is, the further on the next factor is looked for.
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

/// The prices of a row as whole multiples of what they have in common.
#[derive(Clone, Copy, Debug)]
struct Fractions {
    multiples: [f64; 4],
    /// What they are multiples of.
    unit: f64,
}

impl Fractions {
    /// `None` if they are all equal, or no multiples that singles could be.
    fn of(values: [f64; 4]) -> Option<Self> {
        if !values.iter().all(|value| value.is_finite() && *value > 0.0) {
            return None;
        }
        let largest = values.into_iter().fold(0.0, f64::max);
        let common = values.iter().try_fold(1, |common, value| {
            let denominator = denominator(value / largest)?;
            let common = common / greatest_divisor(common, denominator) * denominator;
            (common < 1 << BITS).then_some(common)
        })?;
        let unit = largest / common as f64;
        let multiples = values.map(|value| (value / unit).round());
        (common > 1).then_some(Self { multiples, unit })
    }

    /// Factors under which the prices that were paid are decimals of so many places.
    fn factors(self, exponent: usize) -> impl Iterator<Item = f64> {
        let decimals = move |unit: &f64| {
            let single = |multiple: f64| {
                let price = multiple * unit;
                paid(decimal(nearest(price, exponent, 0), exponent)) == price
            };
            self.multiples.into_iter().all(single)
        };
        let largest = self.multiples.into_iter().fold(0.0, f64::max);
        let most = UNITS / POWERS[exponent];
        let units = (1..=COMMON).step_by(2).flat_map(move |common| {
            let unit = f64::from(common);
            let greatest = unit * (most / (largest * unit)).log2().floor().exp2();
            (0..BITS).map(move |halved| greatest / f64::from(1 << halved))
        });
        // Prices that no single holds may be so far from one that the factor between them is no number.
        units.filter(decimals).map(move |unit| self.unit / unit).filter(|factor| factor.is_normal())
    }
}

/// The denominator of the fraction of singles that a share of two prices is, from its continued fraction: two such fractions are
/// farther from each other than three roundings of an `f64`.
fn denominator(share: f64) -> Option<u64> {
    let (mut rest, mut last, mut denominator) = (share, 0, 1u64);
    loop {
        let product = share * denominator as f64;
        if (product - product.round()).abs() <= product * 2.0 * f64::EPSILON {
            return Some(denominator);
        }
        rest = (rest - rest.floor()).recip();
        (last, denominator) = (denominator, (rest as u64).saturating_mul(denominator).saturating_add(last));
        if denominator >= 1 << BITS {
            return None;
        }
    }
}

fn greatest_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}
