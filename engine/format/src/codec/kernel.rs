//! The loops that decoding spends its time in, compiled for what the machine has: chosen once per [`Kernels::best`],
//! which readers ask when they make their buffers.
//!
//! Each loop is written once, for any machine and for numbers of 32 and of 64 bits, and inlined into a shim per set of
//! instructions; only what compilers do not vectorise (unpacking, sums, spreading) has forms of its own for AVX2, for
//! AVX-512 and for NEON, and division one for all of them. The scalar table is the reference; tests compare every other table with it, bit by bit.
//!
//! # Invariants
//! - U1. A table with instructions beyond the baseline is only handed out after they were detected.

#![expect(
    clippy::inline_always,
    reason = "a loop has to be inlined into its shims to be compiled for their instructions"
)]

use super::bins::{self, Ends, Model, Streams};
use super::bitpack;
use super::digits::{self, Rows};
use super::group::{self, Role};
use super::lane::{Lane, PADDED};
use crate::limits::BLOCK_ROWS;

#[cfg(target_arch = "aarch64")]
#[path = "kernel_neon.rs"]
mod vectors_of_128;
#[cfg(target_arch = "x86_64")]
#[path = "kernel_avx2.rs"]
mod vectors_of_256;
#[cfg(target_arch = "x86_64")]
#[path = "kernel_avx512.rs"]
mod vectors_of_512;

/// Decoding loops for one set of instructions.
#[derive(Debug)]
pub struct Kernels {
    /// Name of the instructions.
    pub name: &'static str,
    /// Loops over any numbers.
    pub wide: Loops<i64>,
    /// Loops over blocks in which no number needs more than 32 bits.
    pub narrow: Loops<i32>,
    /// Appends mantissas of any size as doubles: divisor, power of ten.
    pub scale: fn(&[i64], i64, f64, &mut Vec<f64>),
    /// Appends numbers that rise by a step: first, step, how many.
    pub rise: fn(i64, i64, usize, &mut Vec<i64>),
    /// How many of a count of selectors of two bits choose each class.
    pub members: fn(&[u8], usize) -> [usize; 4],
    /// How many bits of a bitmap are set.
    pub ones: fn(&[u8]) -> usize,
    /// Numbers of a coded block, and where decoding them ended.
    pub(super) coded: fn(&Model, Streams<'_>, &mut [i64]) -> Ends,
    /// For encoding: how many numbers have an offset of how many bits from a base, folded (zigzag) or not.
    pub lengths: fn(&[i64], i64, bool) -> Histogram,
}

/// How many numbers have how many bits.
pub type Histogram = [u32; 65];

/// A loop over selectors, values, where each class begins in them, and what is chosen.
pub type Choose<N> = fn(&[u8], &[N; PADDED], [usize; 4], &mut [N]);

/// A loop over a role, its mantissas, close and open with their digits, and what the rows have of these.
pub type Carry<N> = fn(Role, &[N], Rows<'_, N>, Rows<'_, N>, &mut [i64]);

/// Decoding loops for numbers of one size.
#[derive(Debug)]
pub struct Loops<N: 'static> {
    /// Unpacks numbers of a width; whether the left-over bits were zero. As [`bitpack::unpack`].
    pub unpack: fn(&[u8], u32, &mut [N]) -> bool,
    /// Turns offsets into numbers: base, multiplier, whether zigzag.
    pub place: fn(N, N, bool, &mut [N]),
    /// Adds each number to the one before, the first to the number given.
    pub sum: fn(N, &mut [N]),
    /// Adds each number to the one two before, the first two to the numbers given.
    pub alternate: fn(N, N, &mut [N]),
    /// Adds the predictions of a role: close, open, residuals. As [`group::restore`].
    pub restore: fn(Role, &[N], &[N], &mut [N]),
    /// The further digits that rows have of what they equal. As [`digits::carry`].
    pub carry: Carry<N>,
    /// Mantissas with further digits: mantissas, digits, how many make one. As [`digits::finer`].
    pub finer: fn(&[N], &[i64], i64, &mut [i64]),
    /// The next of the values where a bit is set, else the default: bitmap, values, default.
    pub expand: fn(&[u8], &[N; PADDED], N, &mut [N]),
    /// The next value of the class that two bits select: selectors, values, where each class begins in them.
    pub choose: Choose<N>,
    /// Appends mantissas as doubles: divisor, power of ten. Products with the divisor are below 2^51 in magnitude.
    pub scale: fn(&[N], f64, f64, &mut Vec<f64>),
}

impl Kernels {
    /// The best that this machine can run.
    pub fn best() -> &'static Self {
        Self::all().last().expect("there is always the scalar one")
    }

    /// All that this machine can run, the slowest first: the scalar reference.
    pub fn all() -> impl DoubleEndedIterator<Item = &'static Self> {
        #[cfg(target_arch = "x86_64")]
        let others = {
            let all = |features: &[bool]| features.iter().all(|there| *there);
            let avx2 = all(&[
                is_x86_feature_detected!("avx2"),
                is_x86_feature_detected!("fma"),
                is_x86_feature_detected!("bmi1"),
                is_x86_feature_detected!("bmi2"),
                is_x86_feature_detected!("popcnt"),
                is_x86_feature_detected!("lzcnt"),
            ]);
            let avx512 = all(&[
                avx2,
                is_x86_feature_detected!("avx512f"),
                is_x86_feature_detected!("avx512bw"),
                is_x86_feature_detected!("avx512dq"),
                is_x86_feature_detected!("avx512vl"),
                is_x86_feature_detected!("avx512vbmi"),
            ]);
            [avx2.then_some(&avx2::KERNELS), avx512.then_some(&avx512::KERNELS)]
        };
        // It belongs to the baseline of all targets that the standard library is there for.
        #[cfg(target_arch = "aarch64")]
        let others = [std::arch::is_aarch64_feature_detected!("neon").then_some(&neon::KERNELS)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let others: [Option<&'static Self>; 0] = [];
        std::iter::once(&SCALAR).chain(others.into_iter().flatten())
    }
}

/// The reference.
static SCALAR: Kernels = Kernels {
    name: "scalar",
    wide: Loops::SCALAR,
    narrow: Loops::SCALAR,
    scale,
    rise,
    members,
    ones,
    coded: bins::run,
    lengths,
};

impl<N: Lane> Loops<N> {
    const SCALAR: Self = Self {
        unpack: bitpack::unpack,
        place,
        sum,
        alternate,
        restore: group::restore,
        carry: digits::carry,
        finer: digits::finer,
        expand,
        choose,
        scale: scale_small,
    };
}

#[inline(always)]
fn place<N: Lane>(base: N, multiplier: N, zigzag: bool, out: &mut [N]) {
    match (zigzag, multiplier == N::of(1)) {
        (false, true) if base == N::of(0) => {}
        (false, true) => out.iter_mut().for_each(|slot| *slot = slot.plus(base)),
        (true, true) => out.iter_mut().for_each(|slot| *slot = slot.unzigzag().plus(base)),
        (false, false) => out.iter_mut().for_each(|slot| *slot = slot.times(multiplier).plus(base)),
        (true, false) => {
            out.iter_mut().for_each(|slot| *slot = slot.unzigzag().times(multiplier).plus(base));
        }
    }
}

fn sum<N: Lane>(first: N, out: &mut [N]) {
    let mut value = first;
    for slot in out {
        value = value.plus(*slot);
        *slot = value;
    }
}

#[inline(always)]
fn alternate<N: Lane>(first: N, second: N, out: &mut [N]) {
    let (mut even, mut odd) = (first, second);
    let mut pairs = out.chunks_exact_mut(2);
    for pair in &mut pairs {
        even = even.plus(pair[0]);
        odd = odd.plus(pair[1]);
        pair.copy_from_slice(&[even, odd]);
    }
    for last in pairs.into_remainder() {
        *last = even.plus(*last);
    }
}

fn expand<N: Lane>(bitmap: &[u8], values: &[N; PADDED], default: N, out: &mut [N]) {
    let mut next = 0;
    for (group, byte) in out.chunks_mut(8).zip(bitmap) {
        for (number, slot) in group.iter_mut().enumerate() {
            let taken = byte >> number & 1;
            // Masked, so that no bound is checked: there are never more than a block of them.
            let value = values[next & (BLOCK_ROWS - 1)];
            *slot = if taken == 1 { value } else { default };
            next += usize::from(taken);
        }
    }
}

#[inline(always)]
fn choose<N: Lane>(selectors: &[u8], values: &[N; PADDED], starts: [usize; 4], out: &mut [N]) {
    // Four counters of 16 bits in one register: an addition is all that waits for the number before.
    let mut next = (0..4).fold(0u64, |next, class| next | (starts[class] as u64) << (class * 16));
    let mut take = |selector: u8| {
        let shift = u64::from(selector & 3) * 16;
        let value = values[(next >> shift) as usize & (BLOCK_ROWS - 1)];
        next = next.wrapping_add(1 << shift);
        value
    };
    let mut groups = out.chunks_exact_mut(4);
    for (group, selectors) in (&mut groups).zip(selectors) {
        group.copy_from_slice(
            &[selectors, &(selectors >> 2), &(selectors >> 4), &(selectors >> 6)].map(|s| take(*s)),
        );
    }
    if let (rest, Some(selectors)) = (groups.into_remainder(), selectors.last()) {
        for (number, slot) in rest.iter_mut().enumerate() {
            *slot = take(selectors >> (number * 2));
        }
    }
}

/// For every byte, how many of its four selectors are of each class: four counters of 16 bits.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static MEMBERS: [u64; 256] = {
    let mut members = [0; 256];
    let mut byte = 0;
    while byte < 1024 {
        let selector = ((byte / 4) >> (byte % 4 * 2)) & 3;
        members[byte / 4] += 1 << (selector * 16);
        byte += 1;
    }
    members
};

/// Bytes as words, the last one filled with zeros.
#[inline(always)]
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().map(|word| u64::from_le_bytes(*word)).chain([u64::from_le_bytes(last)])
}

#[inline(always)]
fn ones(bitmap: &[u8]) -> usize {
    words(bitmap).map(|word| word.count_ones() as usize).sum()
}

#[inline(always)]
fn members(selectors: &[u8], count: usize) -> [usize; 4] {
    let (mut odd, mut upper, mut third) = (0, 0, 0);
    for word in words(selectors) {
        let (low, high) = (word & 0x5555_5555_5555_5555, word >> 1 & 0x5555_5555_5555_5555);
        odd += low.count_ones() as usize;
        upper += high.count_ones() as usize;
        third += (low & high).count_ones() as usize;
    }
    [count + third - odd - upper, odd - third, upper - third, third]
}

#[inline(always)]
fn lengths(numbers: &[i64], base: i64, zigzag: bool) -> Histogram {
    if zigzag {
        count_bits(numbers, |number| super::int::zigzag(number.wrapping_sub(base)))
    } else {
        count_bits(numbers, |number| number.wrapping_sub(base) as u64)
    }
}

/// Four histograms in turn, so that equal neighbours do not wait for one another.
#[inline(always)]
fn count_bits(numbers: &[i64], offset: impl Fn(i64) -> u64) -> Histogram {
    let mut counts = [[0u32; 65]; 4];
    let fours = numbers.chunks_exact(4);
    for number in fours.remainder() {
        counts[0][bitpack::bits(offset(*number)) as usize] += 1;
    }
    for four in fours {
        for (number, counts) in four.iter().zip(&mut counts) {
            counts[bitpack::bits(offset(*number)) as usize] += 1;
        }
    }
    std::array::from_fn(|bits| counts.iter().map(|counts| counts[bits]).sum())
}

fn scale(mantissas: &[i64], divisor: i64, power: f64, out: &mut Vec<f64>) {
    out.extend(mantissas.iter().map(|mantissa| mantissa.wrapping_mul(divisor) as f64 / power));
}

fn scale_small<N: Lane>(mantissas: &[N], divisor: f64, power: f64, out: &mut Vec<f64>) {
    out.extend(mantissas.iter().map(|mantissa| mantissa.wide() as f64 * divisor / power));
}

#[inline(always)]
fn rise(first: i64, step: i64, count: usize, out: &mut Vec<i64>) {
    // Additions alone: vectors of 64 bits have no product before AVX-512.
    let mut next = first;
    out.extend((0..count).map(|_| {
        let number = next;
        next = next.wrapping_add(step);
        number
    }));
}

/// A signed number as the nearest double, as `as` does it, but in operations that vectors have: each half stands
/// exactly in the fraction of a double, and the one addition rounds.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn double(number: i64) -> f64 {
    /// 2^52, whose fraction counts ones.
    const LOW: u64 = 0x4330_0000_0000_0000;
    /// 2^84 + 2^63, whose fraction counts units of 2^32; the sign bit of the number flips the 2^63.
    const HIGH: u64 = 0x4530_0000_8000_0000;
    /// What both add: 2^84 + 2^63 + 2^52.
    const BOTH: f64 = f64::from_bits(0x4530_0000_8010_0000);
    let low = f64::from_bits((number as u64 & 0xffff_ffff) | LOW);
    let high = f64::from_bits((number as u64 >> 32) ^ HIGH);
    (high - BOTH) + low
}

/// The same where vectors have an instruction for it.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn double(number: i64) -> f64 {
    number as f64
}

/// The largest power of ten for which one correction of the quotient suffices.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const ONCE: f64 = 1e15;

/// Quotients of doubles that are integers by a power of ten, for machines with fused multiplication and addition, which
/// is faster there than division, and as exact.
///
/// With `inverse` the double nearest to `1 / power`, the first quotient is off by less than two units in the last place.
/// What is missing, `number - first * power`, is a double if the power is at most 10^15: a multiple of the quotient's
/// last half bit, and below `4 * power < 2^52` of these. So the corrected quotient, before it is rounded, is off by less than 2^-51
/// of a unit; as the true quotient is never half way between two doubles, nor nearer to that than one part in `2 * power` of a
/// unit, both round to the same double. For larger powers the first correction makes the quotient faithful, and by
/// Markstein's theorem (IBM J. Res. Dev. 34, 1990) a second one makes of that the correctly rounded one. A quotient
/// of an integer by at most 10^22 never comes near the range where doubles lose bits.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn divide<T: Copy>(numbers: &[T], power: f64, out: &mut Vec<f64>, double: impl Fn(T) -> f64) {
    let inverse = 1.0 / power;
    let correct = |number: f64, quotient: f64| quotient.mul_add(-power, number).mul_add(inverse, quotient);
    if power <= ONCE {
        out.extend(numbers.iter().map(|number| {
            let number = double(*number);
            correct(number, number * inverse)
        }));
    } else {
        out.extend(numbers.iter().map(|number| {
            let number = double(*number);
            correct(number, correct(number, number * inverse))
        }));
    }
}

/// [`scale`] with fused multiplication and addition.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn scale_fused(mantissas: &[i64], divisor: i64, power: f64, out: &mut Vec<f64>) {
    if divisor == 1 {
        divide(mantissas, power, out, double);
    } else {
        divide(mantissas, power, out, |mantissa: i64| double(mantissa.wrapping_mul(divisor)));
    }
}

/// [`scale_small`] with fused multiplication and addition.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn scale_small_fused<N: Lane>(mantissas: &[N], divisor: f64, power: f64, out: &mut Vec<f64>) {
    if divisor == 1.0 {
        divide(mantissas, power, out, N::double);
    } else {
        divide(mantissas, power, out, |mantissa: N| mantissa.double() * divisor);
    }
}

/// A table for one set of instructions: every loop in a shim that allows them. Loops that take one number after another are
/// compiled for the last set alone: what compilers make of them with vectors takes longer.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! table {
    ($module:ident, $vectors:ident, $name:literal, $features:literal, $single:literal) => {
        mod $module {
            use super::$vectors as vectors;
            use super::{Ends, Histogram, Kernels, Lane, Loops, Model, PADDED, Role, Streams};

            #[target_feature(enable = $features)]
            fn unpack<N: Lane>(bytes: &[u8], width: u32, out: &mut [N]) -> bool {
                vectors::unpack(bytes, width, out);
                super::bitpack::is_padded(bytes, width, out.len())
            }
            #[target_feature(enable = $features)]
            fn place<N: Lane>(base: N, multiplier: N, zigzag: bool, out: &mut [N]) {
                super::place(base, multiplier, zigzag, out);
            }
            #[target_feature(enable = $features)]
            fn sum<N: Lane>(first: N, out: &mut [N]) {
                vectors::sum(first, out);
            }
            #[target_feature(enable = $features)]
            fn alternate<N: Lane>(first: N, second: N, out: &mut [N]) {
                super::alternate(first, second, out);
            }
            #[target_feature(enable = $features)]
            fn restore<N: Lane>(role: Role, close: &[N], open: &[N], numbers: &mut [N]) {
                super::group::restore_inline(role, close, open, numbers);
            }
            #[target_feature(enable = $features)]
            fn carry<N: Lane>(
                role: Role,
                numbers: &[N],
                close: super::Rows<'_, N>,
                open: super::Rows<'_, N>,
                out: &mut [i64],
            ) {
                super::digits::carry_inline(role, numbers, close, open, out);
            }
            #[target_feature(enable = $features)]
            fn finer<N: Lane>(numbers: &[N], digits: &[i64], unit: i64, out: &mut [i64]) {
                super::digits::finer_inline(numbers, digits, unit, out);
            }
            #[target_feature(enable = $features)]
            fn expand<N: Lane>(bitmap: &[u8], values: &[N; PADDED], default: N, out: &mut [N]) {
                vectors::expand(bitmap, values, default, out);
            }
            #[target_feature(enable = $features)]
            fn choose<N: Lane>(selectors: &[u8], values: &[N; PADDED], starts: [usize; 4], out: &mut [N]) {
                vectors::choose(selectors, values, starts, out);
            }
            #[target_feature(enable = $features)]
            fn scale_small<N: Lane>(mantissas: &[N], divisor: f64, power: f64, out: &mut Vec<f64>) {
                super::scale_small_fused(mantissas, divisor, power, out);
            }
            #[target_feature(enable = $features)]
            fn scale(mantissas: &[i64], divisor: i64, power: f64, out: &mut Vec<f64>) {
                super::scale_fused(mantissas, divisor, power, out);
            }

            #[target_feature(enable = $features)]
            fn rise(first: i64, step: i64, count: usize, out: &mut Vec<i64>) {
                super::rise(first, step, count, out);
            }

            #[target_feature(enable = $single)]
            fn coded(model: &Model, streams: Streams<'_>, out: &mut [i64]) -> Ends {
                super::bins::run(model, streams, out)
            }

            #[target_feature(enable = $features)]
            fn members(selectors: &[u8], count: usize) -> [usize; 4] {
                super::members(selectors, count)
            }
            #[target_feature(enable = $features)]
            fn ones(bitmap: &[u8]) -> usize {
                super::ones(bitmap)
            }
            #[target_feature(enable = $single)]
            fn lengths(numbers: &[i64], base: i64, zigzag: bool) -> Histogram {
                super::lengths(numbers, base, zigzag)
            }

            const fn loops<N: Lane>() -> Loops<N> {
                Loops {
                    // SAFETY: U1: `Kernels::all` gives this table out only if the machine has the instructions.
                    unpack: |bytes, width, out| unsafe { unpack(bytes, width, out) },
                    // SAFETY: U1, as above.
                    place: |base, multiplier, zigzag, out| unsafe { place(base, multiplier, zigzag, out) },
                    // SAFETY: U1, as above.
                    sum: |first, out| unsafe { sum(first, out) },
                    // SAFETY: U1, as above.
                    alternate: |first, second, out| unsafe { alternate(first, second, out) },
                    // SAFETY: U1, as above.
                    restore: |role, close, open, numbers| unsafe { restore(role, close, open, numbers) },
                    // SAFETY: U1, as above.
                    carry: |role, numbers, close, open, out| unsafe {
                        carry(role, numbers, close, open, out)
                    },
                    // SAFETY: U1, as above.
                    finer: |numbers, digits, unit, out| unsafe { finer(numbers, digits, unit, out) },
                    // SAFETY: U1, as above.
                    expand: |bitmap, values, default, out| unsafe { expand(bitmap, values, default, out) },
                    // SAFETY: U1, as above.
                    choose: |selectors, values, starts, out| unsafe {
                        choose(selectors, values, starts, out)
                    },
                    // SAFETY: U1, as above.
                    scale: |mantissas, divisor, power, out| unsafe {
                        scale_small(mantissas, divisor, power, out);
                    },
                }
            }

            pub(super) static KERNELS: Kernels = Kernels {
                name: $name,
                wide: loops(),
                narrow: loops(),
                // SAFETY: U1, as above.
                scale: |mantissas, divisor, power, out| unsafe { scale(mantissas, divisor, power, out) },
                // SAFETY: U1, as above.
                rise: |first, step, count, out| unsafe { rise(first, step, count, out) },
                // SAFETY: U1, as above.
                members: |selectors, count| unsafe { members(selectors, count) },
                // SAFETY: U1, as above.
                ones: |bitmap| unsafe { ones(bitmap) },
                // SAFETY: U1, as above.
                coded: |model, streams, out| unsafe { coded(model, streams, out) },
                // SAFETY: U1, as above.
                lengths: |numbers, base, zigzag| unsafe { lengths(numbers, base, zigzag) },
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
table!(avx2, vectors_of_256, "avx2", "avx2,fma,bmi1,bmi2,popcnt,lzcnt", "bmi1,bmi2,popcnt,lzcnt");
#[cfg(target_arch = "x86_64")]
table!(
    avx512,
    vectors_of_512,
    "avx512",
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,fma,bmi1,bmi2,popcnt,lzcnt",
    "bmi1,bmi2,popcnt,lzcnt"
);
#[cfg(target_arch = "aarch64")]
table!(neon, vectors_of_128, "neon", "neon", "neon");

#[cfg(test)]
mod tests;
