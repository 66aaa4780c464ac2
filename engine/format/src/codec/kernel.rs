//! The loops that decoding spends its time in, compiled for what the machine has: chosen once per [`Kernels::best`],
//! which readers ask when they make their buffers.
//!
//! Each loop is written once, for any machine, and inlined into a shim per set of instructions; only unpacking, which
//! compilers do not vectorise, and division have an AVX2 form of their own. The scalar table is the reference; tests
//! compare every other table with it, bit by bit.
//!
//! # Invariants
//! - U1. A table with instructions beyond the baseline is only handed out after they were detected.

#![expect(
    clippy::inline_always,
    reason = "a loop has to be inlined into its shims to be compiled for their instructions"
)]

use super::bitpack;
use super::group::{self, Role};
use super::int::unzigzag;

/// Decoding loops for one set of instructions.
#[derive(Debug)]
pub struct Kernels {
    /// Name of the instructions.
    pub name: &'static str,
    /// Unpacks numbers of a width; whether the left-over bits were zero. As [`bitpack::unpack`].
    pub unpack: fn(&[u8], u32, &mut [i64]) -> bool,
    /// Turns offsets into numbers: base, multiplier, whether zigzag.
    pub place: fn(i64, i64, bool, &mut [i64]),
    /// Adds each number to the one before, the first to the number given.
    pub sum: fn(i64, &mut [i64]),
    /// Adds the predictions of a role: close, open, residuals. As [`group::restore`].
    pub restore: fn(Role, &[i64], &[i64], &mut [i64]),
    /// Mantissas to doubles: divisor, power of ten.
    pub scale: fn(&[i64], i64, f64, &mut [f64]),
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
                && is_x86_feature_detected!("bmi2");
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
    Kernels { name: "scalar", unpack: bitpack::unpack, place, sum, restore: group::restore, scale };

#[inline(always)]
fn place(base: i64, multiplier: i64, zigzag: bool, out: &mut [i64]) {
    match (zigzag, multiplier) {
        (false, 1) if base == 0 => {}
        (false, 1) => out.iter_mut().for_each(|slot| *slot = slot.wrapping_add(base)),
        (true, 1) => out.iter_mut().for_each(|slot| *slot = unzigzag(*slot as u64).wrapping_add(base)),
        (false, _) => {
            out.iter_mut().for_each(|slot| *slot = slot.wrapping_mul(multiplier).wrapping_add(base));
        }
        (true, _) => {
            for slot in out {
                *slot = unzigzag(*slot as u64).wrapping_mul(multiplier).wrapping_add(base);
            }
        }
    }
}

#[inline(always)]
fn sum(first: i64, out: &mut [i64]) {
    // Four at a time: only one addition of a group waits for the group before.
    let mut value = first;
    let mut groups = out.chunks_exact_mut(4);
    for group in &mut groups {
        let (a, b) = (group[0], group[0].wrapping_add(group[1]));
        let (c, d) = (b.wrapping_add(group[2]), b.wrapping_add(group[2].wrapping_add(group[3])));
        group.copy_from_slice(&[a, b, c, d].map(|part| value.wrapping_add(part)));
        value = value.wrapping_add(d);
    }
    for slot in groups.into_remainder() {
        value = value.wrapping_add(*slot);
        *slot = value;
    }
}

#[inline(always)]
fn scale(mantissas: &[i64], divisor: i64, power: f64, out: &mut [f64]) {
    for (value, mantissa) in out.iter_mut().zip(mantissas) {
        *value = mantissa.wrapping_mul(divisor) as f64 / power;
    }
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

/// [`scale`] for machines with fused multiplication and addition, which is faster there than division, and as exact.
///
/// With `inverse` the double nearest to `1 / power`, the first quotient is off by less than two units in the last place;
/// one correction makes it faithful, and by Markstein's theorem (IBM J. Res. Dev. 34, 1990) another one makes of a
/// faithful quotient the correctly rounded one. A quotient of an integer by at most 10^22 never comes near the
/// range where doubles lose bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn scale_fused(mantissas: &[i64], divisor: i64, power: f64, out: &mut [f64]) {
    let inverse = 1.0 / power;
    let quotient = |number: i64| {
        let number = double(number);
        let first = number * inverse;
        let faithful = first.mul_add(-power, number).mul_add(inverse, first);
        faithful.mul_add(-power, number).mul_add(inverse, faithful)
    };
    if divisor == 1 {
        out.iter_mut().zip(mantissas).for_each(|(value, mantissa)| *value = quotient(*mantissa));
    } else {
        for (value, mantissa) in out.iter_mut().zip(mantissas) {
            *value = quotient(mantissa.wrapping_mul(divisor));
        }
    }
}

/// Calls a function with the width as a constant.
#[cfg(target_arch = "x86_64")]
macro_rules! by_width {
    ($width:expr, $call:ident, $bytes:expr, $out:expr, $($w:literal)*) => {
        match $width {
            $($w => $call::<$w>($bytes, $out),)*
            _ => unreachable!("widths are checked to be at most 64"),
        }
    };
}

/// A table for one set of instructions: every loop in a shim that allows them.
#[cfg(target_arch = "x86_64")]
macro_rules! table {
    ($module:ident, $name:literal, $features:literal) => {
        mod $module {
            use super::vector::unpack_vector;
            use super::{Kernels, Role};

            #[target_feature(enable = $features)]
            fn unpack(bytes: &[u8], width: u32, out: &mut [i64]) -> bool {
                match width {
                    0 => out.fill(0),
                    width => by_width!(
                        width, unpack_vector, bytes, out,
                        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34
                        35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
                    ),
                }
                super::bitpack::is_padded(bytes, width, out.len())
            }
            #[target_feature(enable = $features)]
            fn place(base: i64, multiplier: i64, zigzag: bool, out: &mut [i64]) {
                super::place(base, multiplier, zigzag, out);
            }
            #[target_feature(enable = $features)]
            fn sum(first: i64, out: &mut [i64]) {
                super::sum(first, out);
            }
            #[target_feature(enable = $features)]
            fn restore(role: Role, close: &[i64], open: &[i64], numbers: &mut [i64]) {
                super::group::restore_inline(role, close, open, numbers);
            }
            #[target_feature(enable = $features)]
            fn scale(mantissas: &[i64], divisor: i64, power: f64, out: &mut [f64]) {
                super::scale_fused(mantissas, divisor, power, out);
            }

            pub(super) static KERNELS: Kernels = Kernels {
                name: $name,
                // SAFETY: U1: `Kernels::all` gives this table out only if the machine has the instructions.
                unpack: |bytes, width, out| unsafe { unpack(bytes, width, out) },
                // SAFETY: U1, as above.
                place: |base, multiplier, zigzag, out| unsafe { place(base, multiplier, zigzag, out) },
                // SAFETY: U1, as above.
                sum: |first, out| unsafe { sum(first, out) },
                // SAFETY: U1, as above.
                restore: |role, close, open, numbers| unsafe { restore(role, close, open, numbers) },
                // SAFETY: U1, as above.
                scale: |mantissas, divisor, power, out| unsafe { scale(mantissas, divisor, power, out) },
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
table!(avx2, "avx2", "avx2,fma,bmi1,bmi2");
#[cfg(target_arch = "x86_64")]
table!(avx512, "avx512", "avx512f,avx512dq,avx512vl,avx2,fma,bmi1,bmi2");

/// Unpacking with shuffles and shifts of vectors.
#[cfg(target_arch = "x86_64")]
mod vector {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_shuffle_epi8, _mm256_and_si256, _mm256_castsi128_si256, _mm256_castsi256_si128,
        _mm256_cvtepu32_epi64, _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_set1_epi32,
        _mm256_set1_epi64x, _mm256_srlv_epi32, _mm256_srlv_epi64,
    };

    use crate::codec::bitpack::unpack_width;

    /// For lanes of `SIZE` bytes, each a number that begins at bit `lead + lane * width`: which bytes of a window of 16
    /// it takes, and how far to shift it. A number and the bits before it in its first byte fit a lane.
    const fn lanes<const SIZE: usize>(width: usize, lead: usize) -> ([u8; 16], [u8; 4]) {
        let (mut bytes, mut shifts) = ([0; 16], [0; 4]);
        let mut lane = 0;
        while lane < 16 / SIZE {
            let bit = lead + lane * width;
            shifts[lane] = (bit % 8) as u8;
            let mut byte = 0;
            while byte < SIZE {
                let index = bit / 8 + byte;
                // A byte beyond the window is beyond the number: it is masked, and any other byte serves.
                bytes[lane * SIZE + byte] = if index < 16 { index as u8 } else { 0x80 };
                byte += 1;
            }
            lane += 1;
        }
        (bytes, shifts)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn window(bytes: &[u8], offset: usize, order: [u8; 16]) -> __m128i {
        let window: __m128i = bytemuck::pod_read_unaligned(&bytes[offset..offset + 16]);
        _mm_shuffle_epi8(window, bytemuck::cast(order))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn both(low: __m128i, high: __m128i) -> __m256i {
        _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
    }

    /// Unpacks all; what is too near the end for whole windows is copied to where it is not.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn unpack_vector<const W: usize>(bytes: &[u8], out: &mut [i64]) {
        if W > 56 {
            unpack_width::<W>(bytes, out);
            return;
        }
        let fast = unpack_groups::<W>(bytes, out);
        // Less than a window and a group is left, and that is followed by zeros here.
        let mut tail = [0; 192];
        let rest = &bytes[fast * W / 8..];
        tail[..rest.len()].copy_from_slice(rest);
        let mut last = [0; 256];
        let rest = &mut out[fast..];
        let count = rest.len();
        unpack_groups::<W>(&tail, &mut last[..count.next_multiple_of(8)]);
        rest.copy_from_slice(&last[..count]);
    }

    /// Eight numbers of `W` bits begin on a whole byte and take `W` bytes: groups of eight, from windows of 16 bytes.
    /// Returns how many numbers were unpacked before the windows reached the end.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn unpack_groups<const W: usize>(bytes: &[u8], out: &mut [i64]) -> usize {
        // The last window of a group begins at most at byte `6 * W / 8`; groups too near the end are left.
        let reach = 6 * W / 8 + 16;
        let fast = if bytes.len() >= reach { ((bytes.len() - reach) / W + 1).min(out.len() / 8) } else { 0 };
        for (index, group) in out[..fast * 8].chunks_exact_mut(8).enumerate() {
            let window_of = |offset, order| window(&bytes[index * W..index * W + reach], offset, order);
            let (low, high) = if W <= 25 {
                let (first, second) = (const { lanes::<4>(W, 0) }, const { lanes::<4>(W, 4 * W % 8) });
                let shifts: [u32; 8] = const {
                    let (a, b) = (lanes::<4>(W, 0).1, lanes::<4>(W, 4 * W % 8).1);
                    [
                        a[0] as u32,
                        a[1] as u32,
                        a[2] as u32,
                        a[3] as u32,
                        b[0] as u32,
                        b[1] as u32,
                        b[2] as u32,
                        b[3] as u32,
                    ]
                };
                let words = both(window_of(0, first.0), window_of(4 * W / 8, second.0));
                let words = _mm256_srlv_epi32(words, bytemuck::cast(shifts));
                let words = _mm256_and_si256(words, _mm256_set1_epi32(((1u64 << W) - 1) as i32));
                (
                    _mm256_cvtepu32_epi64(_mm256_castsi256_si128(words)),
                    _mm256_cvtepu32_epi64(_mm256_extracti128_si256::<1>(words)),
                )
            } else {
                let mask = _mm256_set1_epi64x(((1u64 << W) - 1) as i64);
                let half = |pair: usize| {
                    let first = const { lanes::<8>(W, 0) };
                    let second = const { lanes::<8>(W, 2 * W % 8) };
                    let third = const { lanes::<8>(W, 4 * W % 8) };
                    let fourth = const { lanes::<8>(W, 6 * W % 8) };
                    let (a, b) = if pair == 0 { (first, second) } else { (third, fourth) };
                    let shifts = [a.1[0], a.1[1], b.1[0], b.1[1]].map(u64::from);
                    let (at, next) = (4 * pair * W / 8, (4 * pair + 2) * W / 8);
                    let words = both(window_of(at, a.0), window_of(next, b.0));
                    _mm256_and_si256(_mm256_srlv_epi64(words, bytemuck::cast(shifts)), mask)
                };
                (half(0), half(1))
            };
            group[..4].copy_from_slice(&bytemuck::cast::<__m256i, [i64; 4]>(low));
            group[4..].copy_from_slice(&bytemuck::cast::<__m256i, [i64; 4]>(high));
        }
        fast * 8
    }
}

#[cfg(test)]
mod tests {
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
                        let (mut expected, mut found) = (vec![-1; count], vec![-2; count]);
                        let padded = bitpack::unpack(&bytes, width, &mut expected);
                        assert_eq!((kernels.unpack)(&bytes, width, &mut found), padded);
                        assert_eq!(found, expected, "{} width {width} count {count}", kernels.name);
                    }
                }
            }
        }
    }

    #[test]
    fn every_kernel_places_and_sums_and_restores_as_the_scalar_one() {
        for kernels in Kernels::all() {
            for count in COUNTS {
                let numbers = edges(count);
                let apply = |change: &dyn Fn(&mut [i64])| {
                    let mut out = numbers.clone();
                    change(&mut out);
                    out
                };
                for base in [0, 1, -77, i64::MIN, i64::MAX] {
                    for (multiplier, zigzag) in [(1, false), (1, true), (25, false), (-3, true)] {
                        assert_eq!(
                            apply(&|out| (kernels.place)(base, multiplier, zigzag, out)),
                            apply(&|out| (SCALAR.place)(base, multiplier, zigzag, out))
                        );
                    }
                    let mut value = base;
                    let sums: Vec<i64> = numbers
                        .iter()
                        .map(|number| {
                            value = value.wrapping_add(*number);
                            value
                        })
                        .collect();
                    assert_eq!(apply(&|out| (kernels.sum)(base, out)), sums);
                }
                let (close, mut open) = (edges(count), edges(count));
                open.rotate_left(count / 3);
                for role in Role::ALL {
                    assert_eq!(
                        apply(&|out| (kernels.restore)(role, &close, &open, out)),
                        apply(&|out| group::restore(role, &close, &open, out))
                    );
                }
            }
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
                    let (mut expected, mut found) = (vec![0.0; numbers.len()], vec![1.0; numbers.len()]);
                    scale(&numbers, divisor, power, &mut expected);
                    (kernels.scale)(&numbers, divisor, power, &mut found);
                    for ((found, expected), number) in found.iter().zip(&expected).zip(&numbers) {
                        let same = found.to_bits() == expected.to_bits();
                        assert!(same, "{}: {number} * {divisor} / 10^{exponent}: {found:e}", kernels.name);
                    }
                }
            }
        }
    }
}
