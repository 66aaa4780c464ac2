//! Loops in AVX2 that compilers do not find: unpacking, sums, spreading of values. What is safe to call is decided
//! where the tables are made (U1).

use std::arch::x86_64::{
    __m128i, __m256i, _mm_shuffle_epi8, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256,
    _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_castsi128_si256, _mm256_castsi256_si128,
    _mm256_cmpeq_epi32, _mm256_cmpeq_epi64, _mm256_cvtepu8_epi32, _mm256_cvtepu32_epi64,
    _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_permute2x128_si256, _mm256_permute4x64_epi64,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_shuffle_epi32, _mm256_slli_si256, _mm256_srlv_epi32, _mm256_srlv_epi64, _pdep_u32, _pext_u32,
};

use super::MEMBERS;
use crate::codec::bitpack::unpack_width;
use crate::codec::lane::{Lane, PADDED};
use crate::limits::BLOCK_ROWS;

/// Calls a function with the width as a constant.
macro_rules! by_width {
    ($width:expr, $call:ident, $bytes:expr, $out:expr, $($w:literal)*) => {
        match $width {
            $($w => $call::<$w>($bytes, $out),)*
            _ => unreachable!("widths are checked to be at most 64"),
        }
    };
}

/// Unpacks all numbers; of those that are too wide for `N`, the low bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn unpack<N: Lane>(bytes: &[u8], width: u32, out: &mut [N]) {
    match (width, size_of::<N>()) {
        (0, _) => out.fill(N::of(0)),
        (_, 4) => by_width!(
            width, unpack_narrow, bytes, bytemuck::cast_slice_mut(out),
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34
            35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
        ),
        _ => by_width!(
            width, unpack_wide, bytes, bytemuck::cast_slice_mut(out),
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34
            35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
        ),
    }
}

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

/// As many groups of eight numbers of `W` bits as whole windows reach.
fn groups<const W: usize>(bytes: usize, numbers: usize) -> usize {
    if bytes >= reach::<W>() { ((bytes - reach::<W>()) / W + 1).min(numbers / 8) } else { 0 }
}

/// The last window of a group begins at most at byte `6 * W / 8`.
const fn reach<const W: usize>() -> usize {
    6 * W / 8 + 16
}

/// Eight numbers of at most 25 bits, which begin on a whole byte and take `W` bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn words<const W: usize>(bytes: &[u8]) -> __m256i {
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
    let words = both(window(bytes, 0, first.0), window(bytes, 4 * W / 8, second.0));
    let words = _mm256_srlv_epi32(words, bytemuck::cast(shifts));
    _mm256_and_si256(words, _mm256_set1_epi32(((1u64 << W) - 1) as i32))
}

/// Eight numbers of at most 56 bits, four by four.
#[inline]
#[target_feature(enable = "avx2")]
fn long_words<const W: usize>(bytes: &[u8]) -> [__m256i; 2] {
    let mask = _mm256_set1_epi64x(((1u64 << W) - 1) as i64);
    let half = |pair: usize| {
        let first = const { lanes::<8>(W, 0) };
        let second = const { lanes::<8>(W, 2 * W % 8) };
        let third = const { lanes::<8>(W, 4 * W % 8) };
        let fourth = const { lanes::<8>(W, 6 * W % 8) };
        let (a, b) = if pair == 0 { (first, second) } else { (third, fourth) };
        let shifts = [a.1[0], a.1[1], b.1[0], b.1[1]].map(u64::from);
        let (at, next) = (4 * pair * W / 8, (4 * pair + 2) * W / 8);
        let words = both(window(bytes, at, a.0), window(bytes, next, b.0));
        _mm256_and_si256(_mm256_srlv_epi64(words, bytemuck::cast(shifts)), mask)
    };
    [half(0), half(1)]
}

/// Groups of eight numbers of 64 bits; how many numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn wide_groups<const W: usize>(bytes: &[u8], out: &mut [i64]) -> usize {
    let fast = groups::<W>(bytes.len(), out.len());
    for (index, group) in out[..fast * 8].chunks_exact_mut(8).enumerate() {
        let bytes = &bytes[index * W..index * W + reach::<W>()];
        let [low, high] = if W <= 25 {
            let words = words::<W>(bytes);
            [
                _mm256_cvtepu32_epi64(_mm256_castsi256_si128(words)),
                _mm256_cvtepu32_epi64(_mm256_extracti128_si256::<1>(words)),
            ]
        } else {
            long_words::<W>(bytes)
        };
        group[..4].copy_from_slice(&bytemuck::cast::<__m256i, [i64; 4]>(low));
        group[4..].copy_from_slice(&bytemuck::cast::<__m256i, [i64; 4]>(high));
    }
    fast * 8
}

/// Groups of eight numbers of 32 bits; how many numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn narrow_groups<const W: usize>(bytes: &[u8], out: &mut [i32]) -> usize {
    let fast = groups::<W>(bytes.len(), out.len());
    for (index, group) in out[..fast * 8].chunks_exact_mut(8).enumerate() {
        let bytes = &bytes[index * W..index * W + reach::<W>()];
        let words = if W <= 25 {
            words::<W>(bytes)
        } else {
            // The low halves of the eight, in order.
            let [low, high] = long_words::<W>(bytes).map(|four| _mm256_shuffle_epi32::<0b10_00_10_00>(four));
            _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_blend_epi32::<0b1100_1100>(low, high))
        };
        group.copy_from_slice(&bytemuck::cast::<__m256i, [i32; 8]>(words));
    }
    fast * 8
}

/// Bytes that hold what is left behind the last whole window, and zeros for as many windows.
const TAIL: usize = 192;

/// Unpacks all; what is too near the end for whole windows is copied to where it is not.
#[inline]
#[target_feature(enable = "avx2")]
fn unpack_wide<const W: usize>(bytes: &[u8], out: &mut [i64]) {
    if W > 56 {
        unpack_width::<W, i64>(bytes, out);
        return;
    }
    let fast = wide_groups::<W>(bytes, out);
    if fast == out.len() {
        return;
    }
    let mut tail = [0; TAIL];
    let (rest, out) = (&bytes[fast * W / 8..], &mut out[fast..]);
    tail[..rest.len()].copy_from_slice(rest);
    let (whole, few) = out.split_at_mut(out.len() / 8 * 8);
    wide_groups::<W>(&tail, whole);
    if !few.is_empty() {
        let mut last = [0; 8];
        wide_groups::<W>(&tail[whole.len() * W / 8..], &mut last);
        few.copy_from_slice(&last[..few.len()]);
    }
}

/// The same in 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn unpack_narrow<const W: usize>(bytes: &[u8], out: &mut [i32]) {
    if W > 56 {
        unpack_width::<W, i32>(bytes, out);
        return;
    }
    let fast = narrow_groups::<W>(bytes, out);
    if fast == out.len() {
        return;
    }
    let mut tail = [0; TAIL];
    let (rest, out) = (&bytes[fast * W / 8..], &mut out[fast..]);
    tail[..rest.len()].copy_from_slice(rest);
    let (whole, few) = out.split_at_mut(out.len() / 8 * 8);
    narrow_groups::<W>(&tail, whole);
    if !few.is_empty() {
        let mut last = [0; 8];
        narrow_groups::<W>(&tail[whole.len() * W / 8..], &mut last);
        few.copy_from_slice(&last[..few.len()]);
    }
}

/// Each number becomes its sum with all before it, and with `first`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum<N: Lane>(first: N, out: &mut [N]) {
    let whole = out.len() / 8 * 8;
    let (groups, rest) = out.split_at_mut(whole);
    let mut last = if size_of::<N>() == 4 {
        N::of(i64::from(sum_narrow(first.wide() as i32, bytemuck::cast_slice_mut(groups))))
    } else {
        N::of(sum_wide(first.wide(), bytemuck::cast_slice_mut(groups)))
    };
    for slot in rest {
        last = last.plus(*slot);
        *slot = last;
    }
}

/// Groups of eight; the last sum. Only one addition of a group waits for the group before.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_narrow(first: i32, out: &mut [i32]) -> i32 {
    let mut carry = _mm256_set1_epi32(first);
    for group in out.chunks_exact_mut(8) {
        let mut sums: __m256i = load(group);
        sums = _mm256_add_epi32(sums, _mm256_slli_si256::<4>(sums));
        sums = _mm256_add_epi32(sums, _mm256_slli_si256::<8>(sums));
        // The sum of the lower four, for the upper four.
        let lower = _mm256_shuffle_epi32::<0xff>(_mm256_permute2x128_si256::<0x08>(sums, sums));
        sums = _mm256_add_epi32(sums, lower);
        group.copy_from_slice(&bytemuck::cast::<__m256i, [i32; 8]>(_mm256_add_epi32(sums, carry)));
        carry = _mm256_add_epi32(carry, _mm256_permutevar8x32_epi32(sums, _mm256_set1_epi32(7)));
    }
    bytemuck::cast::<__m256i, [i32; 8]>(carry)[0]
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_wide(first: i64, out: &mut [i64]) -> i64 {
    let mut carry = _mm256_set1_epi64x(first);
    for group in out.chunks_exact_mut(4) {
        let mut sums: __m256i = load(group);
        sums = _mm256_add_epi64(sums, _mm256_slli_si256::<8>(sums));
        let lower = _mm256_blend_epi32::<0xf0>(
            _mm256_setzero_si256(),
            _mm256_permute4x64_epi64::<0b01_01_01_01>(sums),
        );
        sums = _mm256_add_epi64(sums, lower);
        group.copy_from_slice(&bytemuck::cast::<__m256i, [i64; 4]>(_mm256_add_epi64(sums, carry)));
        carry = _mm256_add_epi64(carry, _mm256_permute4x64_epi64::<0xff>(sums));
    }
    bytemuck::cast::<__m256i, [i64; 4]>(carry)[0]
}

/// A vector from the beginning of a slice.
#[inline]
#[target_feature(enable = "avx2")]
fn load<T: bytemuck::Pod>(numbers: &[T]) -> __m256i {
    bytemuck::pod_read_unaligned(&bytemuck::cast_slice::<T, u8>(numbers)[..32])
}

/// For every byte, the number of bits set before each of its bits.
const RANKS: [[u8; 8]; 256] = {
    let mut ranks = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut rank) = (0, 0);
        while bit < 8 {
            ranks[byte][bit] = rank;
            rank += (byte >> bit & 1) as u8;
            bit += 1;
        }
        byte += 1;
    }
    ranks
};

/// For every four bits, the halves of the numbers that [`RANKS`] tells.
const PAIRS: [[u8; 8]; 16] = {
    let mut pairs = [[0; 8]; 16];
    let mut bits = 0;
    while bits < 16 {
        let mut half = 0;
        while half < 8 {
            pairs[bits][half] = RANKS[bits][half / 2] * 2 + (half % 2) as u8;
            half += 1;
        }
        bits += 1;
    }
    pairs
};

/// Numbers from `next` on, one for each bit that is set, in the lanes of these bits; and which lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn spread<N: Lane>(values: &[N; PADDED], next: usize, bits: u8) -> (__m256i, __m256i) {
    // Masked, so that no bound is checked.
    let next = next & (BLOCK_ROWS - 1);
    let numbers = load(&values[next..next + 8]);
    let narrow = size_of::<N>() == 4;
    let order = if narrow { RANKS[usize::from(bits)] } else { PAIRS[usize::from(bits & 15)] };
    let order = _mm256_cvtepu8_epi32(bytemuck::cast([u64::from_le_bytes(order), 0]));
    let numbers = _mm256_permutevar8x32_epi32(numbers, order);
    let taken = if narrow {
        let lanes: __m256i = bytemuck::cast([1, 2, 4, 8, 16, 32, 64, 128]);
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(i32::from(bits)), lanes), lanes)
    } else {
        let lanes: __m256i = bytemuck::cast([1u64, 2, 4, 8]);
        _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(i64::from(bits)), lanes), lanes)
    };
    (numbers, taken)
}

/// The lanes of a vector as numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn store<N: Lane>(vector: __m256i, out: &mut [N]) {
    let bytes: [u8; 32] = bytemuck::cast(vector);
    let out: &mut [u8] = bytemuck::cast_slice_mut(out);
    match <&mut [u8; 32]>::try_from(&mut *out) {
        // Nearly always: one store instead of a call.
        Ok(whole) => *whole = bytes,
        Err(_) => out.copy_from_slice(&bytes[..out.len()]),
    }
}

/// The next value of the class that two bits select: numbers of 32 bits by eight, others one after another.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn choose<N: Lane>(selectors: &[u8], values: &[N; PADDED], starts: [usize; 4], out: &mut [N]) {
    // Four counters of 16 bits in one register: an addition is all that waits for the numbers before.
    let next = (0..4).fold(0, |next, class| next | (starts[class] as u64) << (class * 16));
    let fast = if size_of::<N>() == 4 { out.len() / 8 * 8 } else { 0 };
    let (groups, rest) = out.split_at_mut(fast);
    let (first, last) = selectors.split_at(fast / 4);
    let next = choose_groups(first, values, next, groups);
    choose_rest(last, values, next, rest);
}

/// Groups of eight numbers of 32 bits; the counters behind them.
#[inline]
#[target_feature(enable = "avx2,bmi2")]
fn choose_groups<N: Lane>(selectors: &[u8], values: &[N; PADDED], mut next: u64, out: &mut [N]) -> u64 {
    let shifts: __m256i = bytemuck::cast([0, 2, 4, 6, 8, 10, 12, 14]);
    for (out, pair) in out.chunks_exact_mut(8).zip(selectors.as_chunks::<2>().0) {
        let word = u32::from(u16::from_le_bytes(*pair));
        let (low, high) = (_pext_u32(word, 0x5555) as u8, _pext_u32(word, 0xaaaa) as u8);
        let classes = _mm256_srlv_epi32(_mm256_set1_epi32(word as i32), shifts);
        let classes = _mm256_and_si256(classes, _mm256_set1_epi32(3));
        let take = |class: i32, members: u8| {
            // Masked, so that no bound is checked.
            let at = (next >> (class * 16)) as usize & (BLOCK_ROWS - 1);
            let order = bytemuck::cast([u64::from_le_bytes(RANKS[usize::from(members)]), 0]);
            _mm256_permutevar8x32_epi32(load(&values[at..at + 8]), _mm256_cvtepu8_epi32(order))
        };
        let mut numbers = take(0, !(low | high));
        for (class, members) in [(1, low & !high), (2, high & !low), (3, low & high)] {
            let lanes = _mm256_cmpeq_epi32(classes, _mm256_set1_epi32(class));
            numbers = _mm256_blendv_epi8(numbers, take(class, members), lanes);
        }
        store(numbers, out);
        next = next.wrapping_add(MEMBERS[usize::from(pair[0])] + MEMBERS[usize::from(pair[1])]);
    }
    next
}

/// Numbers of any size.
#[inline]
#[target_feature(enable = "bmi2")]
fn choose_rest<N: Lane>(selectors: &[u8], values: &[N; PADDED], mut next: u64, out: &mut [N]) {
    let mut take = |selectors: u8, out: &mut [N]| {
        // Selectors are spread to the shifts that lead to their counters, a byte for each: shifts take the lowest six bits.
        let mut shifts = _pdep_u32(u32::from(selectors), 0x3030_3030);
        for slot in out {
            *slot = values[next.wrapping_shr(shifts) as usize & (BLOCK_ROWS - 1)];
            next = next.wrapping_add(1u64.wrapping_shl(shifts));
            shifts >>= 8;
        }
    };
    let (groups, rest) = out.as_chunks_mut::<4>();
    for (group, selectors) in groups.iter_mut().zip(selectors) {
        take(*selectors, group);
    }
    if let Some(selectors) = selectors.last() {
        take(*selectors, rest);
    }
}

/// The next of the values where a bit is set, else the default.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn expand<N: Lane>(bitmap: &[u8], values: &[N; PADDED], default: N, out: &mut [N]) {
    let narrow = size_of::<N>() == 4;
    let other =
        if narrow { _mm256_set1_epi32(default.wide() as i32) } else { _mm256_set1_epi64x(default.wide()) };
    let mut next = 0;
    let mut step = |bits: u8, out: &mut [N]| {
        let (numbers, taken) = spread(values, next, bits);
        store(_mm256_blendv_epi8(other, numbers, taken), out);
        next += bits.count_ones() as usize;
    };
    for (out, bits) in out.chunks_mut(8).zip(bitmap) {
        if narrow {
            step(*bits, out);
        } else {
            let (low, high) = out.split_at_mut(out.len().min(4));
            step(bits & 15, low);
            step(bits >> 4, high);
        }
    }
}
