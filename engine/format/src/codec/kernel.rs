//! The loops that decoding spends its time in, compiled for what the machine has: chosen once per [`Kernels::best`],
//! which readers ask when they make their buffers.
//!
//! Each loop is written once, for any machine and for numbers of 32 and of 64 bits, and inlined into a shim per set of
//! instructions; only what compilers do not vectorise (unpacking, sums, spreading) and division have an AVX2 form of their
//! own. The scalar table is the reference; tests compare every other table with it, bit by bit.
//!
//! # Invariants
//! - U1. A table with instructions beyond the baseline is only handed out after they were detected.

#![expect(
    clippy::inline_always,
    reason = "a loop has to be inlined into its shims to be compiled for their instructions"
)]

use super::bitpack;
use super::group::{self, Role};
use super::lane::{Lane, PADDED};
use crate::limits::BLOCK_ROWS;

#[cfg(target_arch = "x86_64")]
#[path = "kernel_avx2.rs"]
mod vector;

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
    /// For encoding: how many numbers have an offset of how many bits from a base, folded (zigzag) or not.
    pub lengths: fn(&[i64], i64, bool) -> Histogram,
}

/// How many numbers have how many bits.
pub type Histogram = [u32; 65];

/// A loop over selectors, values, where each class begins in them, and what is chosen.
pub type Choose<N> = fn(&[u8], &[N; PADDED], [usize; 4], &mut [N]);

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
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("lzcnt");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            [avx2.then_some(&avx2::KERNELS), avx512.then_some(&avx512::KERNELS)]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let others: [Option<&'static Self>; 0] = [];
        std::iter::once(&SCALAR).chain(others.into_iter().flatten())
    }
}

/// The reference. On aarch64, where NEON belongs to the baseline, the compiler vectorises these loops.
static SCALAR: Kernels =
    Kernels { name: "scalar", wide: Loops::SCALAR, narrow: Loops::SCALAR, scale, rise, lengths };

impl<N: Lane> Loops<N> {
    const SCALAR: Self = Self {
        unpack: bitpack::unpack,
        place,
        sum,
        alternate,
        restore: group::restore,
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

/// The largest power of ten for which one correction of the quotient suffices.
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn scale_fused(mantissas: &[i64], divisor: i64, power: f64, out: &mut Vec<f64>) {
    if divisor == 1 {
        divide(mantissas, power, out, double);
    } else {
        divide(mantissas, power, out, |mantissa: i64| double(mantissa.wrapping_mul(divisor)));
    }
}

/// [`scale_small`] with fused multiplication and addition.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn scale_small_fused<N: Lane>(mantissas: &[N], divisor: f64, power: f64, out: &mut Vec<f64>) {
    if divisor == 1.0 {
        divide(mantissas, power, out, N::double);
    } else {
        divide(mantissas, power, out, |mantissa: N| mantissa.double() * divisor);
    }
}

/// A table for one set of instructions: every loop in a shim that allows them.
#[cfg(target_arch = "x86_64")]
macro_rules! table {
    ($module:ident, $name:literal, $features:literal) => {
        mod $module {
            use super::vector;
            use super::{Histogram, Kernels, Lane, Loops, PADDED, Role};

            #[target_feature(enable = $features)]
            fn unpack<N: Lane>(bytes: &[u8], width: u32, out: &mut [N]) -> bool {
                vector::unpack(bytes, width, out);
                super::bitpack::is_padded(bytes, width, out.len())
            }
            #[target_feature(enable = $features)]
            fn place<N: Lane>(base: N, multiplier: N, zigzag: bool, out: &mut [N]) {
                super::place(base, multiplier, zigzag, out);
            }
            #[target_feature(enable = $features)]
            fn sum<N: Lane>(first: N, out: &mut [N]) {
                vector::sum(first, out);
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
            fn expand<N: Lane>(bitmap: &[u8], values: &[N; PADDED], default: N, out: &mut [N]) {
                vector::expand(bitmap, values, default, out);
            }
            #[target_feature(enable = $features)]
            fn choose<N: Lane>(selectors: &[u8], values: &[N; PADDED], starts: [usize; 4], out: &mut [N]) {
                super::choose(selectors, values, starts, out);
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
            #[target_feature(enable = $features)]
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
                lengths: |numbers, base, zigzag| unsafe { lengths(numbers, base, zigzag) },
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
table!(avx2, "avx2", "avx2,fma,bmi1,bmi2,popcnt,lzcnt");
#[cfg(target_arch = "x86_64")]
table!(avx512, "avx512", "avx512f,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt,lzcnt");

#[cfg(test)]
mod tests {
    use super::super::lane::block;
    use super::*;

    /// Numbers that mix all lengths and signs.
    fn edges(count: usize) -> Vec<i64> {
        let noise = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i << 37) ^ (i >> 3);
        let number = |i: u64| match i % 7 {
            0 => i64::MIN >> (i % 64),
            1 => i64::MAX >> (i % 64),
            2 => 0,
            3 => -1,
            _ => (noise(i) as i64) >> (i % 61),
        };
        (0..count as u64).map(number).collect()
    }

    const COUNTS: [usize; 14] = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 1000, 1023, 1024];

    #[test]
    fn every_kernel_unpacks_as_the_scalar_one() {
        for kernels in Kernels::all() {
            for width in 0..=64u32 {
                for count in COUNTS {
                    let bytes = bitpack::packed_bytes(count, width);
                    for fill in 0..3u64 {
                        let byte = |i: usize| match fill {
                            0 => (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0],
                            1 => 0xff,
                            _ => (i % 3 * 0x55) as u8,
                        };
                        let bytes: Vec<u8> = (0..bytes).map(byte).collect();
                        unpacks_alike::<i64>(kernels, &bytes, width, count);
                        unpacks_alike::<i32>(kernels, &bytes, width, count);
                    }
                }
            }
        }
    }

    fn unpacks_alike<N: Lane>(kernels: &Kernels, bytes: &[u8], width: u32, count: usize) {
        let (mut expected, mut found) = (vec![N::of(-1); count], vec![N::of(-2); count]);
        let padded = bitpack::unpack(bytes, width, &mut expected);
        assert_eq!((N::loops(kernels).unpack)(bytes, width, &mut found), padded);
        assert_eq!(found, expected, "{} width {width} count {count}", kernels.name);
    }

    /// Every loop but unpacking and scaling, on numbers of one size.
    fn works_alike<N: Lane>(kernels: &Kernels, count: usize) {
        let (loops, scalar) = (N::loops(kernels), N::loops(&SCALAR));
        let numbers: Vec<N> = edges(count).into_iter().map(N::of).collect();
        let apply = |change: &dyn Fn(&mut [N])| {
            let mut out = numbers.clone();
            change(&mut out);
            out
        };
        for base in [0, 1, -77, i64::MIN, i64::MAX].map(N::of) {
            for (multiplier, zigzag) in [(1, false), (1, true), (25, false), (-3, true)] {
                let multiplier = N::of(multiplier);
                assert_eq!(
                    apply(&|out| (loops.place)(base, multiplier, zigzag, out)),
                    apply(&|out| (scalar.place)(base, multiplier, zigzag, out))
                );
            }
            assert_eq!(apply(&|out| (loops.sum)(base, out)), apply(&|out| (scalar.sum)(base, out)));
            let second = N::of(77);
            let mut expected = numbers.clone();
            for row in 0..count {
                let before = if row < 2 { [base, second][row] } else { expected[row - 2] };
                expected[row] = expected[row].plus(before);
            }
            assert_eq!(apply(&|out| (loops.alternate)(base, second, out)), expected);
        }
        let (close, mut open) = (numbers.clone(), numbers.clone());
        open.rotate_left(count / 3);
        for role in Role::ALL {
            assert_eq!(
                apply(&|out| (loops.restore)(role, &close, &open, out)),
                apply(&|out| group::restore(role, &close, &open, out))
            );
        }
        let mut values = block::<N>();
        for (slot, number) in values.iter_mut().zip(edges(PADDED)) {
            *slot = N::of(number);
        }
        for fill in [0u64, 1, 2, 3] {
            let byte = |i: usize| match fill {
                0 => 0,
                1 => 0xff,
                _ => ((i as u64 + fill).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8,
            };
            let bitmap: Vec<u8> = (0..count.div_ceil(8)).map(byte).collect();
            assert_eq!(
                apply(&|out| (loops.expand)(&bitmap, &values, N::of(-5), out)),
                apply(&|out| (scalar.expand)(&bitmap, &values, N::of(-5), out))
            );
            let selectors: Vec<u8> = (0..count.div_ceil(4)).map(byte).collect();
            let mut members = [0; 4];
            for row in 0..count {
                members[usize::from(selectors[row / 4] >> (row % 4 * 2) & 3)] += 1;
            }
            let starts = [0, members[0], members[0] + members[1], count - members[3]];
            assert_eq!(
                apply(&|out| (loops.choose)(&selectors, &values, starts, out)),
                apply(&|out| (scalar.choose)(&selectors, &values, starts, out))
            );
        }
    }

    #[test]
    fn every_kernel_works_as_the_scalar_one() {
        for kernels in Kernels::all() {
            for count in COUNTS {
                works_alike::<i64>(kernels, count);
                works_alike::<i32>(kernels, count);
            }
        }
    }

    #[test]
    fn every_kernel_counts_lengths_as_the_scalar_one() {
        for count in COUNTS {
            let numbers = edges(count);
            for (base, folded) in [(0, false), (0, true), (-77, true), (i64::MIN, false)] {
                let mut expected = [0; 65];
                for number in &numbers {
                    let offset = number.wrapping_sub(base);
                    let offset = if folded { super::super::int::zigzag(offset) } else { offset as u64 };
                    expected[bitpack::bits(offset) as usize] += 1;
                }
                for kernels in Kernels::all() {
                    assert_eq!((kernels.lengths)(&numbers, base, folded), expected, "{}", kernels.name);
                }
            }
        }
    }

    #[test]
    fn every_kernel_rises_by_steps_behind_what_is_there() {
        for kernels in Kernels::all() {
            for count in COUNTS {
                for (first, step) in [(0, 1), (-5, 60_000_000_000), (i64::MAX - 3, 7), (9, 0)] {
                    let mut found = vec![1, 2, 3];
                    (kernels.rise)(first, step, count, &mut found);
                    let number = |index| i64::wrapping_add(first, i64::wrapping_mul(index, step));
                    let expected: Vec<i64> =
                        [1, 2, 3].into_iter().chain((0..count as i64).map(number)).collect();
                    assert_eq!(found, expected, "{}", kernels.name);
                }
            }
        }
    }

    #[test]
    fn sums_are_sums() {
        let mut out = edges(9);
        let wanted: Vec<i64> =
            (0..9).map(|i| edges(9)[..=i].iter().fold(7, |sum: i64, n| sum.wrapping_add(*n))).collect();
        sum(7, &mut out);
        assert_eq!(out, wanted);
    }

    /// The loop for products with the divisor below 2^51.
    fn divides_alike<N: Lane>(kernels: &Kernels, numbers: &[i64], divisor: i64, power: f64) {
        let fits = |number: &&i64| {
            N::of(**number).wide() == **number
                && number.checked_mul(divisor).is_some_and(|product| product.unsigned_abs() < 1 << 51)
        };
        let numbers: Vec<N> = numbers.iter().filter(fits).map(|number| N::of(*number)).collect();
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        let wide: Vec<i64> = numbers.iter().map(|number| number.wide()).collect();
        scale(&wide, divisor, power, &mut expected);
        (N::loops(kernels).scale)(&numbers, divisor as f64, power, &mut found);
        assert_eq!(found.len(), numbers.len());
        for ((found, expected), number) in found.iter().zip(&expected).zip(&numbers) {
            let same = found.to_bits() == expected.to_bits();
            assert!(same, "{}: {number:?} * {divisor} / {power:e}: {found:e}", kernels.name);
        }
    }

    #[test]
    fn every_kernel_divides_as_the_scalar_one() {
        let mut numbers = edges(4096);
        // Around where integers stop being exact, and around ties of the quotient.
        for bit in 0..63 {
            numbers.extend([-2, -1, 0, 1, 2].map(|by| (1i64 << bit) + by));
            numbers.extend([-2, -1, 0, 1, 2].map(|by| by - (1i64 << bit)));
        }
        let mut state = 7u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            numbers.push((state as i64) >> (state % 59));
        }
        for kernels in Kernels::all() {
            for exponent in 0..=22 {
                let power = 10f64.powi(exponent);
                for divisor in [1, 5, 25, 12_345_678_901] {
                    let (mut expected, mut found) = (Vec::new(), Vec::new());
                    scale(&numbers, divisor, power, &mut expected);
                    (kernels.scale)(&numbers, divisor, power, &mut found);
                    assert_eq!(found.len(), numbers.len());
                    for ((found, expected), number) in found.iter().zip(&expected).zip(&numbers) {
                        let same = found.to_bits() == expected.to_bits();
                        assert!(same, "{}: {number} * {divisor} / 10^{exponent}: {found:e}", kernels.name);
                    }
                    divides_alike::<i64>(kernels, &numbers, divisor, power);
                    divides_alike::<i32>(kernels, &numbers, divisor, power);
                }
            }
        }
    }
}
