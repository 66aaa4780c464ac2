//! Decimals times a factor: prices that were adjusted for dividends and splits. Rule K17 of `format-spec/codecs.md`.
//!
//! Between two dividends an adjusted price is the price that was paid, a short decimal, times one number. The source
//! multiplied it in an order of its own, so the product may be a few units in the last place beside: residues, mostly
//! zero. What no factor gives back is an exception, as among plain decimals.
//!
//! [`super::factor_find`] looks for the factors.

use std::ops::Range;

use super::bitpack::{bits, pack, packed_bytes};
use super::decimal::{Mantissas, nearest};
use super::int::{self, IntScratch};
use super::int_encode;
use crate::bytes::{ByteReader, ByteWriter};
use crate::error::Result;
use crate::number::POWERS;

/// Units in the last place that a residue is away at most; values further away are exceptions.
const FARTHEST: i64 = 127;

/// The factors of a column's rows, and how far the products are from the values.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// First row and factor of each run of rows, the first from row 0.
    pub runs: Vec<(usize, f64)>,
    /// For every row the bits of the value minus those of the product.
    pub residues: Vec<i64>,
}

impl Factors {
    /// The runs that rows lie in.
    fn within(&self, start: usize, count: usize) -> &[(usize, f64)] {
        let first = self.runs.partition_point(|run| run.0 <= start).saturating_sub(1);
        &self.runs[first..self.runs.partition_point(|run| run.0 < start + count)]
    }

    /// What stands in place of an exception: the decimal times the factor of its row.
    pub fn product(&self, row: usize, decimal: f64) -> f64 {
        decimal * self.within(row, 1)[0].1
    }

    /// Appends the factors and residues of a block.
    pub fn put(&self, start: usize, count: usize, out: &mut Vec<u8>) {
        let (runs, residues) = (self.within(start, count), &self.residues[start..start + count]);
        if runs.iter().all(|run| run.1 == 1.0) && residues.iter().all(|residue| *residue == 0) {
            out.put_varint(0);
            return;
        }
        out.put_varint(runs.len() as u64);
        pack(runs[1..].iter().map(|run| (run.0 - start) as u64), bits(count as u64 - 1), out);
        runs.iter().for_each(|run| out.put_u64(run.1.to_bits()));
        int_encode::encode(residues, None, out);
    }
}

/// The mantissa of a value under a factor, and the residue; `None` if they are far from one another.
pub(super) fn fit(value: f64, exponent: usize, factor: f64) -> Option<(i64, i64)> {
    let number = nearest(value / factor, exponent, i64::MAX);
    if number == i64::MAX {
        return None;
    }
    let product = number as f64 / POWERS[exponent] * factor;
    let residue = (value.to_bits() as i64).wrapping_sub(product.to_bits() as i64);
    (residue.unsigned_abs() <= FARTHEST as u64).then_some((number, residue))
}

impl Mantissas {
    /// Splits values under the factors of runs of rows, the first from row 0; values for which `skip` holds (nulls) get
    /// the mantissa before them.
    pub fn factored(
        values: &[f64],
        exponent: u8,
        runs: &[(usize, f64)],
        skip: impl Fn(usize) -> bool,
    ) -> Self {
        let mut out = Self::default();
        let mut factors = Factors { runs: runs.to_vec(), residues: Vec::with_capacity(values.len()) };
        let ends = runs.iter().skip(1).map(|run| run.0).chain([values.len()]);
        let mut last = 0;
        for ((start, factor), end) in runs.iter().zip(ends) {
            for (row, value) in (*start..end).zip(&values[*start..end]) {
                let mut residue = 0;
                if !skip(row) {
                    if let Some((number, beside)) = fit(*value, usize::from(exponent), *factor) {
                        out.divisible(number);
                        (last, residue) = (number, beside);
                    } else {
                        out.strays.push((row, value.to_bits() as i64));
                    }
                }
                out.numbers.push(last);
                factors.residues.push(residue);
            }
        }
        out.factors = Some(factors);
        out
    }
}

/// Reads the runs of a block of `count` rows and tells the rows and the factor of each; whether there are any. `starts` is
/// scratch of at least `count` numbers.
pub(super) fn read_runs(
    reader: &mut ByteReader<'_>,
    count: usize,
    starts: &mut [i64],
    scratch: &IntScratch,
    mut tell: impl FnMut(Range<usize>, f64),
) -> Result<bool> {
    let runs = reader.varint()?;
    if runs > count as u64 {
        return Err(reader.error(format!("{runs} factors in {count} rows")));
    }
    let Some(others) = (runs as usize).checked_sub(1) else { return Ok(false) };
    let width = bits(count as u64 - 1);
    let starts = &mut starts[..others];
    if !(scratch.kernels.wide.unpack)(reader.take(packed_bytes(others, width))?, width, starts) {
        return Err(reader.error("left-over bits are not zero"));
    }
    let mut from = 0;
    for next in starts.iter().map(|start| Some(*start)).chain([None]) {
        let to = next.map_or(count, |next| next as usize);
        if to <= from || (next.is_some() && to >= count) {
            return Err(reader.error("factors out of order or outside of the block"));
        }
        let factor = f64::from_bits(reader.u64()?);
        if !(factor.is_finite() && factor > 0.0) {
            return Err(reader.error(format!("a factor of {factor}")));
        }
        tell(from..to, factor);
        from = to;
    }
    Ok(true)
}

/// Makes the decimals of a block of `count` rows, of which `out` holds those from `start` on, products with their
/// factors. `bits` is scratch of at least `count` numbers.
///
/// # Errors
/// More runs than rows, runs that do not ascend, factors that are not finite and above zero, residues that cannot be
/// decoded.
pub fn apply(
    reader: &mut ByteReader<'_>,
    count: usize,
    start: usize,
    out: &mut [f64],
    bits_of_rows: &mut [i64],
    scratch: &mut IntScratch,
) -> Result<()> {
    let place = |row: usize, rows: usize| row.saturating_sub(start).min(rows);
    let multiply = |rows: Range<usize>, factor| {
        let all = out.len();
        out[place(rows.start, all)..place(rows.end, all)].iter_mut().for_each(|value| *value *= factor);
    };
    if !read_runs(reader, count, bits_of_rows, scratch, multiply)? {
        return Ok(());
    }
    let residues = &mut bits_of_rows[..count];
    int::decode_plain(reader, residues, scratch)?;
    for (value, residue) in out.iter_mut().zip(&residues[start..]) {
        *value = f64::from_bits((value.to_bits() as i64).wrapping_add(*residue) as u64);
    }
    Ok(())
}
