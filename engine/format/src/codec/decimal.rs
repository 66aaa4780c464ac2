//! Floats as decimals: `value = (mantissa * divisor) / 10^exponent`, with exceptions for whatever that does not give
//! back bit for bit. Rules K10 and K11 of `format-spec/codecs.md`.
//!
//! The division of two exact doubles is correctly rounded, so the nearest double of any decimal of up to 15 digits
//! comes back exactly. Nothing rests on that: the encoder checks every value by its bits.

use super::bitpack::{bits, pack, packed_bytes, unpack};
use super::factor::{self, Factors};
use super::int::IntScratch;
use super::kernel::Kernels;
use super::lane::Lane;
use crate::bytes::{ByteReader, ByteWriter};
use crate::error::Result;
use crate::number::POWERS;
use crate::spare;

/// Most decimal places that the encoder looks for.
pub(super) const SEARCHED: usize = 14;
/// Mantissas beyond this are exceptions: below it, adding `ROUNDER` rounds to an integer.
const LARGEST: f64 = (1u64 << 51) as f64;
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Values that are tried together: mostly none of them is an exception.
const ALL_OR_NONE: usize = 64;

/// A float that decimals can give back.
pub trait Float: Copy {
    /// The same number as a double.
    fn wide(self) -> f64;
    /// The nearest float of this type.
    fn narrow(wide: f64) -> Self;
    /// The bits, as an integer that grows with the magnitude.
    fn to_int(self) -> i64;
    /// The float of these bits, of which only as many count as the type has.
    fn from_int(bits: i64) -> Self;
    /// Appends `(mantissa * divisor) / power` for every mantissa.
    fn scale(kernels: &Kernels, mantissas: &[i64], divisor: i64, power: f64, out: &mut Vec<Self>);
    /// The same, where products with the divisor are below 2^51 in magnitude.
    fn scale_small<N: Lane>(
        kernels: &Kernels,
        mantissas: &[N],
        divisor: f64,
        power: f64,
        out: &mut Vec<Self>,
    );
    /// Makes decimals products with their factors: [`factor::apply`]. Only columns of `f64` have such.
    ///
    /// # Errors
    /// Those of [`factor::apply`].
    fn multiply(
        reader: &mut ByteReader<'_>,
        count: usize,
        start: usize,
        out: &mut [Self],
        rows: &mut [i64],
        scratch: &mut IntScratch,
    ) -> Result<()>;
}

impl Float for f64 {
    fn wide(self) -> f64 {
        self
    }
    fn narrow(wide: f64) -> Self {
        wide
    }
    fn to_int(self) -> i64 {
        self.to_bits() as i64
    }
    fn from_int(bits: i64) -> Self {
        Self::from_bits(bits as u64)
    }
    fn scale(kernels: &Kernels, mantissas: &[i64], divisor: i64, power: f64, out: &mut Vec<Self>) {
        (kernels.scale)(mantissas, divisor, power, out);
    }
    fn scale_small<N: Lane>(
        kernels: &Kernels,
        mantissas: &[N],
        divisor: f64,
        power: f64,
        out: &mut Vec<Self>,
    ) {
        (N::loops(kernels).scale)(mantissas, divisor, power, out);
    }
    fn multiply(
        reader: &mut ByteReader<'_>,
        count: usize,
        start: usize,
        out: &mut [Self],
        rows: &mut [i64],
        scratch: &mut IntScratch,
    ) -> Result<()> {
        factor::apply(reader, count, start, out, rows, scratch)
    }
}

impl Float for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn narrow(wide: f64) -> Self {
        wide as Self
    }
    fn to_int(self) -> i64 {
        i64::from(self.to_bits())
    }
    fn from_int(bits: i64) -> Self {
        Self::from_bits(bits as u32)
    }
    fn scale(_: &Kernels, mantissas: &[i64], divisor: i64, power: f64, out: &mut Vec<Self>) {
        let value = |mantissa: &i64| (mantissa.wrapping_mul(divisor) as f64 / power) as Self;
        out.extend(mantissas.iter().map(value));
    }
    fn scale_small<N: Lane>(_: &Kernels, mantissas: &[N], divisor: f64, power: f64, out: &mut Vec<Self>) {
        out.extend(mantissas.iter().map(|mantissa| (mantissa.double() * divisor / power) as Self));
    }
    fn multiply(
        reader: &mut ByteReader<'_>,
        _: usize,
        _: usize,
        _: &mut [Self],
        _: &mut [i64],
        _: &mut IntScratch,
    ) -> Result<()> {
        Err(reader.error("factors of single-precision numbers"))
    }
}

/// What turns mantissas into values: one for all blocks of a column in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Decimal places, at most 22.
    pub exponent: u8,
    /// Factor of all mantissas: the tick, in units of the last decimal place.
    pub divisor: i64,
}

impl Scale {
    /// Appends exponent and divisor.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.exponent);
        out.put_varint(self.divisor as u64);
    }

    /// Reads exponent and divisor.
    ///
    /// # Errors
    /// An exponent above 22, a divisor that is zero or negative.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let (exponent, divisor) = (reader.u8()?, reader.varint()? as i64);
        if usize::from(exponent) >= POWERS.len() || divisor <= 0 {
            return Err(reader.error(format!("scale of exponent {exponent} and divisor {divisor}")));
        }
        Ok(Self { exponent, divisor })
    }

    /// The value of a mantissa.
    #[inline]
    pub fn value<F: Float>(&self, mantissa: i64) -> F {
        F::narrow(mantissa.wrapping_mul(self.divisor) as f64 / POWERS[usize::from(self.exponent)])
    }

    /// Appends the values of mantissas.
    pub fn extend<F: Float>(&self, kernels: &Kernels, mantissas: &[i64], out: &mut Vec<F>) {
        F::scale(kernels, mantissas, self.divisor, POWERS[usize::from(self.exponent)], out);
    }

    /// Whether [`Scale::extend_small`] may be used for mantissas of at most this magnitude.
    pub fn is_small(&self, reach: u64) -> bool {
        reach.checked_mul(self.divisor as u64).is_some_and(|product| product < 1 << 51)
    }

    /// Appends the values of small mantissas.
    pub fn extend_small<F: Float, N: Lane>(&self, kernels: &Kernels, mantissas: &[N], out: &mut Vec<F>) {
        F::scale_small(kernels, mantissas, self.divisor as f64, POWERS[usize::from(self.exponent)], out);
    }
}

/// The mantissa of a value at a number of decimal places, divisor 1, if it gives the value back.
fn mantissa<F: Float>(value: F, exponent: usize) -> Option<i64> {
    let scaled = value.wide() * POWERS[exponent];
    if scaled.is_nan() || scaled.abs() > LARGEST {
        return None;
    }
    let rounded = (scaled + ROUNDER) - ROUNDER;
    let back = F::narrow(rounded / POWERS[exponent]);
    (back.to_int() == value.to_int()).then_some(rounded as i64)
}

/// The nearest mantissa of a value, or what stands in for it: `otherwise`.
pub(super) fn nearest<F: Float>(value: F, exponent: usize, otherwise: i64) -> i64 {
    let scaled = value.wide() * POWERS[exponent];
    if scaled.abs() <= LARGEST { ((scaled + ROUNDER) - ROUNDER) as i64 } else { otherwise }
}

/// Bits that an exception takes: a position and the difference to the decimal's bits as a varint.
fn stray_bits<F: Float>(value: F, exponent: usize) -> f64 {
    let scale = Scale { exponent: exponent as u8, divisor: 1 };
    let near = scale.value::<F>(nearest(value, exponent, 0));
    let difference = value.to_int().wrapping_sub(near.to_int());
    10.0 + 8.0 * f64::from(bits(super::int::zigzag(difference) | 1).div_ceil(7))
}

/// Chooses the number of decimal places from a sample; `None` if decimals do not fit at all.
pub fn choose<F: Float>(sample: &[F]) -> Option<u8> {
    // How many values of the sample need how many places.
    let mut needs = [0usize; SEARCHED + 2];
    let of =
        |value: F| (0..=SEARCHED).find(|places| mantissa(value, *places).is_some()).unwrap_or(SEARCHED + 1);
    let places: Vec<usize> = sample.iter().map(|value| of(*value)).collect();
    for place in &places {
        needs[*place] += 1;
    }
    let mut best: Option<(f64, usize)> = None;
    for exponent in (0..=SEARCHED).filter(|exponent| needs[*exponent] * 100 >= sample.len()) {
        let strays = sample.iter().zip(&places).filter(|(value, place)| {
            **place > exponent || (**place < exponent && mantissa(**value, exponent).is_none())
        });
        let (count, cost) =
            strays.fold((0, 0.0), |(n, sum), (value, _)| (n + 1, sum + stray_bits(*value, exponent)));
        // Every further place widens every value by a decimal digit.
        let cost = cost + sample.len() as f64 * exponent as f64 * std::f64::consts::LOG2_10;
        if count * 2 <= sample.len() && best.is_none_or(|best| cost < best.0) {
            best = Some((cost, exponent));
        }
    }
    best.map(|(_, exponent)| exponent as u8)
}

/// A sample of values that `take` accepts: one of each stretch, not always at the same place in it, as values may
/// alternate (quotes of one side each). About `count` of them, fewer than twice as many.
pub fn sample<F: Float>(values: &[F], take: impl Fn(usize) -> bool, count: usize) -> Vec<F> {
    let step = (values.len() / count).max(1);
    let place = |start: usize| start + (start / step).wrapping_mul(0x9e37_79b9) / 8 % step;
    let places = (0..values.len()).step_by(step).map(place);
    places.filter(|index| *index < values.len() && take(*index)).map(|index| values[index]).collect()
}

/// Values as mantissas, and the values that these do not give back.
#[derive(Clone, Debug, Default)]
pub struct Mantissas {
    /// A mantissa for every value, before the divisor is taken out.
    pub numbers: Vec<i64>,
    /// Index and bits of every exception, by index.
    pub strays: Vec<(usize, i64)>,
    /// Largest number that divides all mantissas of values that are no exceptions; 0 if all are zero.
    pub divisor: u64,
    /// What the decimals are multiplied by, if they are.
    pub factors: Option<Factors>,
    /// The bits in place of every exception, if these do not follow from mantissa and factor.
    pub stand_ins: Option<Vec<i64>>,
}

impl Mantissas {
    /// Splits values; those for which `skip` holds (nulls) get the mantissa before them.
    pub fn of<F: Float>(values: &[F], exponent: u8, skip: impl Fn(usize) -> bool) -> Self {
        let exponent = usize::from(exponent);
        let mut out = Self { numbers: spare::take(), ..Self::default() };
        out.numbers.reserve(values.len());
        let mut last = 0;
        for (block, few) in values.chunks(ALL_OR_NONE).enumerate() {
            let start = block * ALL_OR_NONE;
            let nulls = (start..start + few.len()).any(&skip);
            if !nulls && out.push_all(few, exponent) {
                last = out.numbers.last().copied().unwrap_or(last);
                continue;
            }
            for (index, value) in (start..).zip(few) {
                if skip(index) {
                    out.numbers.push(last);
                } else if let Some(number) = mantissa(*value, exponent) {
                    out.divisible(number);
                    out.numbers.push(number);
                    last = number;
                } else {
                    out.strays.push((index, value.to_int()));
                    last = nearest(*value, exponent, last);
                    out.numbers.push(last);
                }
            }
        }
        out
    }

    /// The mantissa of a value at a number of decimal places, divisor 1, if it gives the value back.
    pub(super) fn exact(value: f64, exponent: u8) -> Option<i64> {
        mantissa(value, usize::from(exponent))
    }

    /// Appends the mantissas of a few values if all of them give their value back: the same as [`mantissa`] of each,
    /// without a branch, so that several are made at once.
    fn push_all<F: Float>(&mut self, values: &[F], exponent: usize) -> bool {
        let power = POWERS[exponent];
        let start = self.numbers.len();
        let mut good = true;
        self.numbers.extend(values.iter().map(|value| {
            let scaled = value.wide() * power;
            let shifted = scaled + ROUNDER;
            let back = F::narrow((shifted - ROUNDER) / power);
            good &= scaled.abs() <= LARGEST && back.to_int() == value.to_int();
            // Between 2^52 and 2^53 the bits of a double count in ones.
            (shifted.to_bits() as i64).wrapping_sub(ROUNDER.to_bits() as i64)
        }));
        if !good {
            self.numbers.truncate(start);
            return false;
        }
        for row in start..self.numbers.len() {
            if self.divisor == 1 {
                break;
            }
            self.divisible(self.numbers[row]);
        }
        true
    }

    /// Takes a mantissa into account that the divisor has to divide.
    pub(super) fn divisible(&mut self, number: i64) {
        if self.divisor != 1 {
            self.divisor = gcd(number.unsigned_abs(), self.divisor);
        }
    }

    /// Takes the divisor out of all mantissas; stand-ins of exceptions are rounded.
    pub fn divide(&mut self, divisor: i64) {
        if divisor > 1 {
            for number in &mut self.numbers {
                *number /= divisor;
            }
        }
    }

    /// Appends what stands behind the mantissas of a block: factors and exceptions, as far as the column has such.
    pub fn put_behind<F: Float>(&self, scale: Scale, start: usize, count: usize, out: &mut Vec<u8>) {
        if let Some(factors) = &self.factors {
            factors.put(start, count, out);
        }
        if !self.strays.is_empty() {
            self.put_strays::<F>(scale, start, count, out);
        }
    }

    /// Appends the exceptions in `rows`: their count, positions within the block, and how far their bits are
    /// from those of the decimal in their place.
    pub fn put_strays<F: Float>(&self, scale: Scale, start: usize, count: usize, out: &mut Vec<u8>) {
        let first = self.strays.partition_point(|stray| stray.0 < start);
        let last = self.strays.partition_point(|stray| stray.0 < start + count);
        let strays = &self.strays[first..last];
        out.put_varint(strays.len() as u64);
        pack(strays.iter().map(|stray| (stray.0 - start) as u64), bits(count as u64 - 1), out);
        for (at, (index, value)) in (first..).zip(strays) {
            let number = self.numbers[*index];
            let near = match (&self.stand_ins, &self.factors) {
                (Some(stand_ins), _) => stand_ins[at],
                (None, None) => scale.value::<F>(number).to_int(),
                (None, Some(factors)) => factors.product(*index, scale.value(number)).to_bits() as i64,
            };
            out.put_signed_varint(value.wrapping_sub(near));
        }
    }
}

/// Greatest common divisor; that of 0 and `a` is `a`.
pub fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Puts the exceptions of a block of `count` rows in place, as far as they lie in `out`, which holds the values of
/// the rows from `start` on. `positions` is scratch of at least `count` numbers.
///
/// # Errors
/// More exceptions than rows, or positions that do not ascend.
pub fn patch<F: Float>(
    reader: &mut ByteReader<'_>,
    count: usize,
    start: usize,
    out: &mut [F],
    positions: &mut [i64],
) -> Result<()> {
    let strays = reader.varint()?;
    if strays > count as u64 {
        return Err(reader.error(format!("{strays} exceptions in {count} rows")));
    }
    let width = bits(count as u64 - 1);
    let positions = &mut positions[..strays as usize];
    let packed = reader.take(packed_bytes(strays as usize, width))?;
    if !unpack(packed, width, positions) {
        return Err(reader.error("left-over bits are not zero"));
    }
    let mut least = 0;
    for position in positions {
        if *position < least || *position >= count as i64 {
            return Err(reader.error("exceptions out of order or outside of the block"));
        }
        let difference = reader.signed_varint()?;
        if let Some(slot) = (*position as usize).checked_sub(start).and_then(|index| out.get_mut(index)) {
            *slot = F::from_int(slot.to_int().wrapping_add(difference));
        }
        least = *position + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<F: Float + std::fmt::Debug>(values: &[F]) -> usize {
        let exponent = choose(&sample(values, |_| true, 256)).unwrap_or(2);
        let mut numbers = Mantissas::of(values, exponent, |_| false);
        let divisor = (numbers.divisor as i64).max(1);
        numbers.divide(divisor);
        let scale = Scale { exponent, divisor };
        let mut bytes = Vec::new();
        numbers.put_strays::<F>(scale, 0, values.len(), &mut bytes);
        let mut out = Vec::new();
        scale.extend::<F>(Kernels::best(), &numbers.numbers, &mut out);
        let mut reader = ByteReader::new(&bytes, "K11");
        patch(&mut reader, values.len(), 0, &mut out, &mut [0; 1024]).unwrap();
        reader.finish().unwrap();
        for (found, expected) in out.iter().zip(values) {
            assert_eq!(found.to_int(), expected.to_int(), "{expected:?}");
        }
        numbers.strays.len()
    }

    #[test]
    fn decimals_are_found_and_strays_never_widen_them() {
        let mut prices: Vec<f64> = (0..1000).map(|i| (f64::from(i) * 25.0 + 100_000.0) / 100.0).collect();
        assert_eq!(choose(&prices), Some(2));
        assert_eq!(Mantissas::of(&prices, 2, |_| false).divisor, 25);
        assert_eq!(round_trip(&prices), 0);
        prices[7] = 1_000.123_456_78;
        prices[100] = f64::NAN;
        prices[101] = -0.0;
        prices[102] = f64::INFINITY;
        prices[103] = f64::from_bits(0xfff8_0000_dead_beef);
        prices[104] = 0.1 + 0.2;
        prices[105] = 1e300;
        prices[106] = f64::MIN_POSITIVE / 8.0;
        assert_eq!(choose(&prices), Some(2));
        assert_eq!(round_trip(&prices), 8);
    }

    #[test]
    fn residues_of_float_arithmetic_are_cheap_exceptions() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.1 + 0.7).collect();
        let exponent = choose(&values).unwrap();
        assert_eq!(exponent, 1);
        let numbers = Mantissas::of(&values, exponent, |_| false);
        let mut bytes = Vec::new();
        numbers.put_strays::<f64>(Scale { exponent, divisor: 1 }, 0, 1000, &mut bytes);
        assert!(!numbers.strays.is_empty() && bytes.len() < numbers.strays.len() * 3 + 3);
        round_trip(&values);
    }

    #[test]
    fn alternating_values_are_sampled_alike() {
        for period in 2..=8 {
            let values: Vec<f64> = (0..65_536).map(|i| if i % period == 0 { 0.0 } else { 49.18 }).collect();
            let found = sample(&values, |_| true, 512);
            assert!((400..1024).contains(&found.len()));
            let zeros = found.iter().filter(|value| **value == 0.0).count() * period;
            assert!(
                (found.len() / 2..found.len() * 3 / 2).contains(&zeros),
                "{period}: {zeros} of {}",
                found.len()
            );
            assert_eq!(choose(&found), Some(2));
        }
    }

    #[test]
    fn singles_round_trip() {
        let values: Vec<f32> =
            (0..1000).map(|i| i as f32 / 100.0).chain([f32::NAN, -0.0, f32::MAX]).collect();
        assert_eq!(choose(&values), Some(2));
        assert_eq!(round_trip(&values), 3);
    }

    /// Exceptions in the last row of a block and in the first of the next belong to one block each.
    #[test]
    fn exceptions_belong_to_their_block() {
        let mut values: Vec<f64> = (0..48).map(|row| f64::from(row) / 4.0).collect();
        for row in [15, 16, 31, 32] {
            values[row] = 1.0 / 3.0;
        }
        let numbers = Mantissas::of(&values, 2, |_| false);
        assert_eq!(numbers.strays.iter().map(|stray| stray.0).collect::<Vec<_>>(), [15, 16, 31, 32]);
        for (start, expected) in [(0, 1), (16, 2), (32, 1)] {
            let mut bytes = Vec::new();
            numbers.put_strays::<f64>(Scale { exponent: 2, divisor: 1 }, start, 16, &mut bytes);
            assert_eq!(usize::from(bytes[0]), expected, "from row {start}");
            let mut out: Vec<f64> =
                numbers.numbers[start..start + 16].iter().map(|n| *n as f64 / 100.0).collect();
            let mut reader = ByteReader::new(&bytes, "K11");
            patch(&mut reader, 16, 0, &mut out, &mut [0; 16]).unwrap();
            reader.finish().unwrap();
            assert_eq!(out, values[start..start + 16]);
        }
    }
}
