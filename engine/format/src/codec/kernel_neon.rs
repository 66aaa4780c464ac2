//! Loops in NEON that compilers do not find: unpacking and the spreading of values. What is safe to call is decided
//! where the tables are made (U1).
//!
//! One look-up of bytes places four numbers of 32 bits, or two of 64, by a table per width, so that one loop serves all
//! widths. A look-up leaves alone what it is told to take from nowhere: so values are spread over a default. It takes
//! from up to four vectors: so values are chosen, one vector for each class.

use std::arch::aarch64::{
    int32x4_t, int64x2_t, uint8x16_t, uint8x16x4_t, uint32x4_t, uint64x2_t, vaddq_s32, vandq_u32, vandq_u64,
    vdupq_laneq_s32, vdupq_n_s32, vdupq_n_u32, vdupq_n_u64, vextq_s32, vget_low_u32, vgetq_lane_s32,
    vmovl_high_u32, vmovl_u32, vqtbl1q_u8, vqtbl4q_u8, vqtbx1q_u8, vshlq_u32, vshlq_u64, vuzp1q_u32,
};

use super::MEMBERS;
use crate::codec::bitpack;
use crate::codec::lane::{Lane, PADDED};
use crate::limits::BLOCK_ROWS;

/// Bytes of a vector.
const VECTOR: usize = 16;

/// Numbers that begin and end on whole bytes at any width.
const GROUP: usize = 8;

/// The widest numbers that fit a lane of 64 bits together with the bits before them in their first byte.
const WIDEST: usize = 57;

/// The same for a lane of 32 bits.
const NARROW_WIDEST: usize = 25;

/// For each lane of a window: which bytes its number takes, and how far to shift them.
#[derive(Clone, Copy)]
struct Order {
    bytes: [u8; VECTOR],
    /// As wide as lanes are, in the first byte of each; negative, which is to the right.
    shifts: [i8; VECTOR],
}

impl Order {
    /// As vectors: bytes, shifts.
    #[inline(always)]
    fn vectors(&self) -> (uint8x16_t, uint8x16_t) {
        (bytemuck::cast(self.bytes), bytemuck::cast(self.shifts))
    }
}

/// The orders of the widths below `WIDTHS` in lanes of `SIZE` bytes, for each of the `WINDOWS` of a group.
const fn orders<const SIZE: usize, const WINDOWS: usize, const WIDTHS: usize>() -> [[Order; WINDOWS]; WIDTHS]
{
    let mut orders = [[Order { bytes: [0; VECTOR], shifts: [0; VECTOR] }; WINDOWS]; WIDTHS];
    let mut at = 0;
    while at < WIDTHS * WINDOWS * VECTOR {
        let (width, window, byte) = (at / VECTOR / WINDOWS, at / VECTOR % WINDOWS, at % VECTOR);
        let (first, number) = (window * VECTOR / SIZE, byte / SIZE);
        let bit = first * width % 8 + number * width;
        let order = &mut orders[width][window];
        // A byte behind the window is behind the number as well: nothing is found there.
        order.bytes[byte] = (bit / 8 + byte % SIZE) as u8;
        if byte.is_multiple_of(SIZE) {
            order.shifts[byte] = -((bit % 8) as i8);
        }
        at += 1;
    }
    orders
}

static WIDE: [[Order; 4]; WIDEST + 1] = orders::<8, 4, { WIDEST + 1 }>();
static NARROW: [[Order; 2]; NARROW_WIDEST + 1] = orders::<4, 2, { NARROW_WIDEST + 1 }>();

/// Bytes from the first of a group to the end of its last window, at the widest.
const WIDE_REACH: usize = 6 * WIDEST / 8 + VECTOR;
const NARROW_REACH: usize = 4 * NARROW_WIDEST / 8 + VECTOR;

/// Unpacks all numbers; of those that are too wide for `N`, the low bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn unpack<N: Lane>(bytes: &[u8], width: u32, out: &mut [N]) {
    match (width as usize, size_of::<N>()) {
        (0, _) => out.fill(N::of(0)),
        // Halves of lanes, which compilers widen.
        (32, 8) => _ = bitpack::unpack(bytes, width, out),
        (width @ ..=NARROW_WIDEST, _) => unpack_narrow(bytes, width, out),
        (width @ ..=WIDEST, _) => unpack_wide(bytes, width, out),
        _ => _ = bitpack::unpack(bytes, width, out),
    }
}

/// In lanes of 32 bits.
#[inline]
#[target_feature(enable = "neon")]
fn unpack_narrow<N: Lane>(bytes: &[u8], width: usize, out: &mut [N]) {
    let [low, high] = &NARROW[width];
    let (low, high) = (low.vectors(), high.vectors());
    let mask = vdupq_n_u32((1 << width) - 1);
    // Never more, which tells that no bound has to be checked.
    let second = (4 * width / 8).min(NARROW_REACH - VECTOR);
    let four = |window: uint8x16_t, (places, shifts)| {
        let words: uint32x4_t = bytemuck::cast(vqtbl1q_u8(window, places));
        vandq_u32(vshlq_u32(words, bytemuck::cast::<uint8x16_t, int32x4_t>(shifts)), mask)
    };
    let eight =
        |bytes: &[u8; NARROW_REACH]| (four(load(&bytes[..]), low), four(load(&bytes[second..]), high));
    if size_of::<N>() == 4 {
        unpack_groups(bytes, width, out, |bytes| {
            let (low, high) = eight(bytes);
            bytemuck::cast([low, high])
        });
    } else {
        unpack_groups(bytes, width, out, |bytes| {
            let (low, high) = eight(bytes);
            let low = [vmovl_u32(vget_low_u32(low)), vmovl_high_u32(low)];
            bytemuck::cast([low, [vmovl_u32(vget_low_u32(high)), vmovl_high_u32(high)]])
        });
    }
}

/// In lanes of 64 bits.
#[inline]
#[target_feature(enable = "neon")]
fn unpack_wide<N: Lane>(bytes: &[u8], width: usize, out: &mut [N]) {
    let [a, b, c, d] = &WIDE[width];
    let (a, b, c, d) = (a.vectors(), b.vectors(), c.vectors(), d.vectors());
    let mask = (1u64 << width) - 1;
    // Never more, as above.
    let at = |window: usize| (2 * window * width / 8).min(WIDE_REACH - VECTOR);
    let (second, third, fourth) = (at(1), at(2), at(3));
    let two = |window: uint8x16_t, (places, shifts)| {
        let words: uint64x2_t = bytemuck::cast(vqtbl1q_u8(window, places));
        vshlq_u64(words, bytemuck::cast::<uint8x16_t, int64x2_t>(shifts))
    };
    let eight = |bytes: &[u8; WIDE_REACH]| {
        let low = (two(load(&bytes[..]), a), two(load(&bytes[second..]), b));
        let high = (two(load(&bytes[third..]), c), two(load(&bytes[fourth..]), d));
        (low, high)
    };
    if size_of::<N>() == 8 {
        let mask = vdupq_n_u64(mask);
        unpack_groups(bytes, width, out, |bytes| {
            let (low, high) = eight(bytes);
            let low = [vandq_u64(low.0, mask), vandq_u64(low.1, mask)];
            bytemuck::cast([low, [vandq_u64(high.0, mask), vandq_u64(high.1, mask)]])
        });
    } else {
        let mask = vdupq_n_u32(mask as u32);
        // The low halves of both.
        let halves = |(low, high): (uint64x2_t, uint64x2_t)| {
            vandq_u32(vuzp1q_u32(bytemuck::cast(low), bytemuck::cast(high)), mask)
        };
        unpack_groups(bytes, width, out, |bytes| {
            let (low, high) = eight(bytes);
            bytemuck::cast([halves(low), halves(high)])
        });
    }
}

/// Unpacks groups of eight numbers, which take `width` bytes, from windows; near the end from a copy with zeros behind it.
#[inline]
#[target_feature(enable = "neon")]
fn unpack_groups<N: Lane, const REACH: usize>(
    bytes: &[u8],
    width: usize,
    out: &mut [N],
    group: impl Fn(&[u8; REACH]) -> [N; GROUP],
) {
    let whole = bytes.len().checked_sub(REACH).map_or(0, |spare| spare / width + 1).min(out.len() / GROUP);
    let (fast, rest) = out.split_at_mut(whole * GROUP);
    // Never less, which tells that no bound has to be checked.
    let step = width.min(REACH);
    let mut left = bytes;
    for out in fast.as_chunks_mut().0 {
        *out = group(reach(left));
        left = &left[step..];
    }
    if rest.is_empty() {
        return;
    }
    // Less than a reach is left, and as much is read behind it.
    let mut tail = [0; 2 * WIDE_REACH];
    tail[..left.len()].copy_from_slice(left);
    for (index, out) in rest.chunks_mut(GROUP).enumerate() {
        let numbers = group(reach(&tail[index * width..]));
        match <&mut [N; GROUP]>::try_from(&mut *out) {
            Ok(out) => *out = numbers,
            Err(_) => out.copy_from_slice(&numbers[..out.len()]),
        }
    }
}

/// As many bytes of a slice.
#[inline(always)]
fn reach<const REACH: usize>(bytes: &[u8]) -> &[u8; REACH] {
    bytes.first_chunk().expect("groups are counted by what they reach")
}

/// Each number becomes its sum with all before it, and with `first`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn sum<N: Lane>(first: N, out: &mut [N]) {
    let (groups, rest) = out.as_chunks_mut::<GROUP>();
    let last = if size_of::<N>() == 4 {
        let groups = bytemuck::cast_slice_mut(groups.as_flattened_mut());
        N::of(sum_narrow(first.wide() as i32, groups).into())
    } else {
        // One after another, but many to a turn of the loop.
        groups.iter_mut().fold(first, |last, group| {
            super::sum(last, group);
            group[GROUP - 1]
        })
    };
    super::sum(last, rest);
}

/// Groups of eight, as two vectors; the last sum. Only one addition of a vector waits for the vector before.
#[inline]
#[target_feature(enable = "neon")]
fn sum_narrow(first: i32, out: &mut [i32]) -> i32 {
    let zero = vdupq_n_s32(0);
    let mut carry = vdupq_n_s32(first);
    for group in out.as_chunks_mut::<GROUP>().0 {
        for four in group.as_chunks_mut::<4>().0 {
            let mut sums = bytemuck::cast(*four);
            sums = vaddq_s32(sums, vextq_s32::<3>(zero, sums));
            sums = vaddq_s32(sums, vextq_s32::<2>(zero, sums));
            *four = bytemuck::cast(vaddq_s32(sums, carry));
            carry = vaddq_s32(carry, vdupq_laneq_s32::<3>(sums));
        }
    }
    vgetq_lane_s32::<0>(carry)
}

/// A vector from the beginning of a slice.
#[inline]
#[target_feature(enable = "neon")]
fn load<T: bytemuck::Pod>(numbers: &[T]) -> uint8x16_t {
    bytemuck::pod_read_unaligned(&bytemuck::cast_slice::<T, u8>(numbers)[..VECTOR])
}

/// A byte that a look-up does not find.
const NOWHERE: u8 = 0xff;

/// For every set of lanes of `SIZE` bytes: the bytes of the next value in each of them, none in the others.
const fn spreads<const SIZE: usize, const SETS: usize>() -> [[u8; VECTOR]; SETS] {
    let mut spreads = [[NOWHERE; VECTOR]; SETS];
    let mut set = 0;
    while set < SETS {
        let (mut byte, mut next) = (0, 0);
        while byte < VECTOR {
            if set >> (byte / SIZE) & 1 == 1 {
                spreads[set][byte] = next;
                next += 1;
            }
            byte += 1;
        }
        set += 1;
    }
    spreads
}

static WIDE_SPREADS: [[u8; VECTOR]; 4] = spreads::<8, 4>();
static NARROW_SPREADS: [[u8; VECTOR]; 16] = spreads::<4, 16>();

/// How many of four bits are set: quicker than to count them in a vector.
static ONES: [u8; 16] = [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4];

/// The next of the values where a bit is set, else the default.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn expand<N: Lane>(bitmap: &[u8], values: &[N; PADDED], default: N, out: &mut [N]) {
    let mut next = 0;
    let mut spread = |default, order: &[u8; VECTOR], bits: u8| {
        // Masked, so that no bound is checked: there are never more than a block of them.
        let numbers = load(&values[next & (BLOCK_ROWS - 1)..]);
        next += usize::from(ONES[usize::from(bits)]);
        vqtbx1q_u8(default, numbers, bytemuck::cast(*order))
    };
    if size_of::<N>() == 4 {
        let default = bytemuck::cast(vdupq_n_u32(default.wide() as u32));
        by_bytes::<8, N>(bitmap, out, |byte| {
            let mut four = |bits: u8| spread(default, &NARROW_SPREADS[usize::from(bits)], bits);
            bytemuck::cast([four(byte & 15), four(byte >> 4)])
        });
    } else {
        let default = bytemuck::cast(vdupq_n_u64(default.wide() as u64));
        by_bytes::<8, N>(bitmap, out, |byte| {
            let mut two = |bits: u8| spread(default, &WIDE_SPREADS[usize::from(bits)], bits);
            bytemuck::cast([two(byte & 3), two(byte >> 2 & 3), two(byte >> 4 & 3), two(byte >> 6)])
        });
    }
}

/// For every byte of four selectors: the bytes of the next value of each one's class, of four vectors, one per class.
static CHOICES: [[u8; VECTOR]; 256] = {
    let mut choices = [[0; VECTOR]; 256];
    let mut at = 0;
    while at < 256 * 4 {
        let (selectors, lane) = (at / 4, at % 4);
        let class = selectors >> (lane * 2) & 3;
        // As many of the class stand before it.
        let (mut before, mut rank) = (0, 0);
        while before < lane {
            rank += (selectors >> (before * 2) & 3 == class) as usize;
            before += 1;
        }
        let mut byte = 0;
        while byte < 4 {
            choices[selectors][lane * 4 + byte] = (class * VECTOR + rank * 4 + byte) as u8;
            byte += 1;
        }
        at += 1;
    }
    choices
};

/// The next value of the class that two bits select: numbers of 32 bits by four, others one after another.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn choose<N: Lane>(selectors: &[u8], values: &[N; PADDED], starts: [usize; 4], out: &mut [N]) {
    if size_of::<N>() == 8 {
        super::choose(selectors, values, starts, out);
        return;
    }
    // Four counters of 16 bits in one register: an addition is all that waits for the numbers before.
    let mut next = (0..4).fold(0u64, |next, class| next | (starts[class] as u64) << (class * 16));
    by_bytes::<4, N>(selectors, out, |selectors| {
        // Masked, so that no bound is checked.
        let class = |class: usize| load(&values[(next >> (class * 16)) as usize & (BLOCK_ROWS - 1)..]);
        let classes = uint8x16x4_t(class(0), class(1), class(2), class(3));
        let numbers = vqtbl4q_u8(classes, bytemuck::cast(CHOICES[usize::from(selectors)]));
        next = next.wrapping_add(MEMBERS[usize::from(selectors)]);
        bytemuck::cast(numbers)
    });
}

/// Takes the numbers that bytes tell, `LANES` each, the last perhaps fewer.
#[inline(always)]
fn by_bytes<const LANES: usize, N: Lane>(
    bytes: &[u8],
    out: &mut [N],
    mut numbers: impl FnMut(u8) -> [N; LANES],
) {
    let (groups, rest) = out.as_chunks_mut();
    for (out, byte) in groups.iter_mut().zip(bytes) {
        *out = numbers(*byte);
    }
    if let Some(last) = bytes.get(groups.len()) {
        rest.copy_from_slice(&numbers(*last)[..rest.len()]);
    }
}
