//! Loops in AVX-512 that compilers do not find: unpacking and the spreading of values. What is safe to call is decided
//! where the tables are made (U1).
//!
//! A group of numbers is placed by one permutation of 64 bytes (VBMI), so that one loop serves all widths, and values are
//! spread by one expansion. Sums are those of AVX2: twice as many to a vector took as long.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cvtepi64_epi32, _mm512_mask_expand_epi32, _mm512_mask_expand_epi64,
    _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_srlv_epi32, _mm512_srlv_epi64, _pext_u32,
};

pub(super) use super::vectors_of_256::sum;
use crate::codec::bitpack;
use crate::codec::lane::{Lane, PADDED};
use crate::limits::BLOCK_ROWS;

/// Bytes of a vector.
const VECTOR: usize = 64;

/// The widest numbers that fit a lane of 64 bits together with the bits before them in their first byte.
const WIDEST: usize = 57;

/// The same for a lane of 32 bits.
const NARROW_WIDEST: usize = 25;

/// For each lane, whose number begins at bit `lane * width` of a window: which bytes it takes, and how far to shift them.
#[derive(Clone, Copy)]
struct Order {
    bytes: [u8; VECTOR],
    /// As wide as lanes are, the bytes of a number one after another.
    shifts: [u8; VECTOR],
}

/// The orders of the widths below `WIDTHS` in lanes of `SIZE` bytes.
const fn orders<const SIZE: usize, const WIDTHS: usize>() -> [Order; WIDTHS] {
    let mut orders = [Order { bytes: [0; VECTOR], shifts: [0; VECTOR] }; WIDTHS];
    let mut at = 0;
    while at < WIDTHS * VECTOR {
        let (width, byte) = (at / VECTOR, at % VECTOR);
        let bit = byte / SIZE * width;
        // A byte behind the window is behind the number as well: it is masked, and any other serves.
        orders[width].bytes[byte] = ((bit / 8 + byte % SIZE) % VECTOR) as u8;
        if byte.is_multiple_of(SIZE) {
            orders[width].shifts[byte] = (bit % 8) as u8;
        }
        at += 1;
    }
    orders
}

static WIDE: [Order; WIDEST + 1] = orders::<8, { WIDEST + 1 }>();
static NARROW: [Order; NARROW_WIDEST + 1] = orders::<4, { NARROW_WIDEST + 1 }>();

/// Unpacks all numbers; of those that are too wide for `N`, the low bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn unpack<N: Lane>(bytes: &[u8], width: u32, out: &mut [N]) {
    let width = width as usize;
    match (width, size_of::<N>()) {
        (0, _) => out.fill(N::of(0)),
        (..=NARROW_WIDEST, 4) => {
            let order = &NARROW[width];
            let (places, shifts) = (bytemuck::cast(order.bytes), bytemuck::cast(order.shifts));
            let mask = _mm512_set1_epi32((1 << width) - 1);
            unpack_windows(bytes, 2 * width, out, |bytes| {
                let words = _mm512_permutexvar_epi8(places, load(bytes));
                bytemuck::cast::<_, [N; 16]>(_mm512_and_si512(_mm512_srlv_epi32(words, shifts), mask))
            });
        }
        (..=WIDEST, size) => {
            let order = &WIDE[width];
            let (places, shifts) = (bytemuck::cast(order.bytes), bytemuck::cast(order.shifts));
            let mask = _mm512_set1_epi64((1 << width) - 1);
            let eight = |bytes: &[u8]| {
                let words = _mm512_permutexvar_epi8(places, load(bytes));
                _mm512_and_si512(_mm512_srlv_epi64(words, shifts), mask)
            };
            if size == 8 {
                unpack_windows(bytes, width, out, |bytes| bytemuck::cast::<_, [N; 8]>(eight(bytes)));
            } else {
                unpack_windows(bytes, width, out, |bytes| {
                    bytemuck::cast::<_, [N; 8]>(_mm512_cvtepi64_epi32(eight(bytes)))
                });
            }
        }
        _ => _ = bitpack::unpack(bytes, width as u32, out),
    }
}

/// Unpacks groups of `GROUP` numbers, which take `step` bytes, from windows; near the end from a copy with zeros behind it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn unpack_windows<N: Lane, const GROUP: usize>(
    bytes: &[u8],
    step: usize,
    out: &mut [N],
    group: impl Fn(&[u8]) -> [N; GROUP],
) {
    let whole = bytes.len().checked_sub(VECTOR).map_or(0, |spare| spare / step + 1).min(out.len() / GROUP);
    let (fast, rest) = out.split_at_mut(whole * GROUP);
    for (index, out) in fast.chunks_exact_mut(GROUP).enumerate() {
        out.copy_from_slice(&group(&bytes[index * step..index * step + VECTOR]));
    }
    if rest.is_empty() {
        return;
    }
    // Less than a window and a group are left.
    let mut tail = [0; 3 * VECTOR];
    let left = &bytes[whole * step..];
    tail[..left.len()].copy_from_slice(left);
    for (index, out) in rest.chunks_mut(GROUP).enumerate() {
        let numbers = group(&tail[index * step..index * step + VECTOR]);
        match <&mut [N; GROUP]>::try_from(&mut *out) {
            Ok(out) => *out = numbers,
            Err(_) => out.copy_from_slice(&numbers[..out.len()]),
        }
    }
}

/// A vector from the beginning of a slice.
#[inline]
#[target_feature(enable = "avx512f")]
fn load<T: bytemuck::Pod>(numbers: &[T]) -> __m512i {
    bytemuck::pod_read_unaligned(&bytemuck::cast_slice::<T, u8>(numbers)[..VECTOR])
}

/// The lanes of a vector as numbers.
#[inline]
#[target_feature(enable = "avx512f")]
fn store<N: Lane>(vector: __m512i, out: &mut [N]) {
    let bytes: [u8; VECTOR] = bytemuck::cast(vector);
    let out: &mut [u8] = bytemuck::cast_slice_mut(out);
    match <&mut [u8; VECTOR]>::try_from(&mut *out) {
        // Nearly always: one store instead of a call.
        Ok(whole) => *whole = bytes,
        Err(_) => out.copy_from_slice(&bytes[..out.len()]),
    }
}

/// Numbers from `next` on, one for each bit that is set, in the lanes of these bits; the others stay.
#[inline]
#[target_feature(enable = "avx512f")]
fn spread<N: Lane>(others: __m512i, bits: u32, values: &[N; PADDED], next: usize) -> __m512i {
    // Masked, so that no bound is checked.
    let next = next & (BLOCK_ROWS - 1);
    if size_of::<N>() == 4 {
        _mm512_mask_expand_epi32(others, bits as u16, load(&values[next..next + 16]))
    } else {
        _mm512_mask_expand_epi64(others, bits as u8, load(&values[next..next + 8]))
    }
}

/// The next of the values where a bit is set, else the default.
#[inline]
#[target_feature(enable = "avx512f,popcnt")]
pub(super) fn expand<N: Lane>(bitmap: &[u8], values: &[N; PADDED], default: N, out: &mut [N]) {
    let narrow = size_of::<N>() == 4;
    let default =
        if narrow { _mm512_set1_epi32(default.wide() as i32) } else { _mm512_set1_epi64(default.wide()) };
    let mut next = 0;
    let step = |bits: u32, out: &mut [N]| {
        store(spread(default, bits, values, next), out);
        next += bits.count_ones() as usize;
    };
    if narrow { by_words::<2, 16, N>(bitmap, out, step) } else { by_words::<1, 8, N>(bitmap, out, step) }
}

/// The next value of the class that two bits select.
#[inline]
#[target_feature(enable = "avx512f,popcnt,bmi2")]
pub(super) fn choose<N: Lane>(selectors: &[u8], values: &[N; PADDED], starts: [usize; 4], out: &mut [N]) {
    let narrow = size_of::<N>() == 4;
    let lanes = if narrow { 0xffff } else { 0xff };
    let [mut first, mut second, mut third, mut fourth] = starts;
    let step = |word: u32, out: &mut [N]| {
        let (low, high) = (_pext_u32(word, 0x5555_5555), _pext_u32(word, 0xaaaa_aaaa));
        // Each spread over zeros, so that none waits for another.
        let take = |members: u32, next: &mut usize| {
            let numbers = spread(_mm512_setzero_si512(), members, values, *next);
            *next += members.count_ones() as usize;
            numbers
        };
        let both = (take(!(low | high) & lanes, &mut first), take(low & !high, &mut second));
        let upper = (take(high & !low, &mut third), take(low & high, &mut fourth));
        store(_mm512_or_si512(_mm512_or_si512(both.0, both.1), _mm512_or_si512(upper.0, upper.1)), out);
    };
    if narrow {
        by_words::<4, 16, N>(selectors, out, step);
    } else {
        by_words::<2, 8, N>(selectors, out, step);
    }
}

/// Calls with words of `BYTES` bytes, and the numbers that they are about, `LANES` but for the last few.
#[inline(always)]
fn by_words<const BYTES: usize, const LANES: usize, N: Lane>(
    bytes: &[u8],
    out: &mut [N],
    mut step: impl FnMut(u32, &mut [N]),
) {
    let word = |bytes: &[u8]| {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        u32::from_le_bytes(word)
    };
    let (groups, rest) = out.as_chunks_mut::<LANES>();
    for (out, bytes) in groups.iter_mut().zip(bytes.as_chunks::<BYTES>().0) {
        step(word(bytes), out);
    }
    if !rest.is_empty() {
        step(word(&bytes[groups.len() * BYTES..]), rest);
    }
}
