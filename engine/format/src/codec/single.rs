//! Adjusted singles: bars that a source kept as `f32` and adjusted in `f64`. Rule K21 of `format-spec/codecs.md`.
//!
//! Yahoo's daily bars are the best known. The prices that were paid are decimals, kept as `f32`; adjusted close is an `f32` of its
//! own, and open, high and low are multiplied by what adjusted close is of close. So no factor gives the values back, but the
//! prices that were paid and the adjusted closes do, to the bit.
//!
//! [`super::single_find`] tells such bars and the factors of their closes.

use super::factor;
use super::int::{self, IntScratch};
use crate::bytes::ByteReader;
use crate::error::Result;

/// A price as the source kept it.
pub(super) fn paid(decimal: f64) -> f64 {
    f64::from(decimal as f32)
}

/// What an adjusted price is of the one that was paid, from those of close.
pub(super) fn ratio(adjusted: f64, paid: f64) -> f64 {
    if paid == 0.0 { 1.0 } else { adjusted / paid }
}

/// An adjusted close, from the product of the one that was paid with a factor.
pub(super) fn adjusted(product: f64, residue: i64) -> f64 {
    let bits = i64::from((product as f32).to_bits()).wrapping_add(residue);
    f64::from(f32::from_bits(bits as u32))
}

/// Adjusted closes of a block, and what the other prices of each row are multiplied by.
#[derive(Clone, Debug, Default)]
pub struct Closes {
    /// Whether they were read.
    ready: bool,
    adjusted: Vec<f64>,
    ratios: Vec<f64>,
}

impl Closes {
    /// For another block.
    pub fn forget(&mut self) {
        self.ready = false;
    }

    /// Whether they are those of this block.
    pub fn are_ready(&self) -> bool {
        self.ready
    }

    /// Reads what stands behind the mantissas of closes of a block of `count` rows; `decimals` appends their decimals. `bits` is
    /// scratch of at least `count` numbers.
    ///
    /// # Errors
    /// What [`factor::apply`] says of runs and residues, and adjusted closes that are not finite.
    pub fn read(
        &mut self,
        reader: &mut ByteReader<'_>,
        count: usize,
        decimals: impl FnOnce(&mut Vec<f64>),
        bits: &mut [i64],
        scratch: &mut IntScratch,
    ) -> Result<()> {
        self.ready = false;
        let Self { adjusted: closes, ratios, .. } = self;
        closes.clear();
        decimals(closes);
        closes.iter_mut().for_each(|close| *close = paid(*close));
        ratios.clone_from(closes);
        let multiply = |rows: std::ops::Range<usize>, factor: f64| {
            closes[rows].iter_mut().for_each(|close| *close *= factor);
        };
        let residues = &mut bits[..count];
        if factor::read_runs(reader, count, residues, scratch, multiply)? {
            int::decode_plain(reader, residues, scratch)?;
        } else {
            residues.fill(0);
        }
        for ((close, ratio), residue) in closes.iter_mut().zip(ratios).zip(residues) {
            *close = adjusted(*close, *residue);
            *ratio = self::ratio(*close, *ratio);
        }
        if closes.iter().any(|close| !close.is_finite()) {
            return Err(reader.error("an adjusted close that is not finite"));
        }
        self.ready = true;
        Ok(())
    }

    /// The adjusted closes.
    pub fn adjusted(&self) -> &[f64] {
        &self.adjusted
    }

    /// Makes decimals of other prices, from row `start` on, adjusted ones.
    pub fn adjust(&self, start: usize, decimals: &mut [f64]) {
        for (value, ratio) in decimals.iter_mut().zip(&self.ratios[start..]) {
            *value = paid(*value) * ratio;
        }
    }
}
