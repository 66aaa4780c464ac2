//! Bit packing: `count` numbers of `width` bits each, end to end, least significant bit first, in
//! `ceil(count * width / 8)` bytes; the bits left over in the last byte are zero.

use super::lane::Lane;

/// Bytes that `count` numbers of `width` bits take.
pub fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Bits needed to hold `value`: 0 for 0, 64 for the largest.
#[inline]
pub fn bits(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Appends `values`, each below `2^width`.
pub fn pack(values: impl IntoIterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let values = values.into_iter();
    out.reserve(packed_bytes(values.size_hint().0, width) + 8);
    let (mut word, mut held) = (0u64, 0);
    for value in values {
        debug_assert!(bits(value) <= width);
        word |= value << held;
        held += width;
        if held >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            held -= 64;
            // What of the value did not fit; all of it did if nothing is held.
            word = if held == 0 { 0 } else { value >> (width - held) };
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Unpacks `out.len()` numbers of `width` bits from `bytes`, which has exactly [`packed_bytes`] of them.
///
/// Of numbers that are too wide for `N`, the low bits. Returns whether the left-over bits were zero.
pub fn unpack<N: Lane>(bytes: &[u8], width: u32, out: &mut [N]) -> bool {
    debug_assert_eq!(bytes.len(), packed_bytes(out.len(), width));
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                0 => out.fill(N::of(0)),
                $($w => unpack_width::<$w, N>(bytes, out),)*
                _ => unreachable!("widths are checked to be at most 64"),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
              33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
    is_padded(bytes, width, out.len())
}

/// Whether the bits behind `count` numbers are zero.
pub(super) fn is_padded(bytes: &[u8], width: u32, count: usize) -> bool {
    let used = (count * width as usize) % 8;
    used == 0 || bytes.last().is_none_or(|last| last >> used == 0)
}

fn word(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}

/// One number at a bit offset, wherever the slice ends: the slow twin, used for the last few.
fn unpack_one(bytes: &[u8], bit: usize, width: usize) -> u64 {
    let mut window = [0; 16];
    let start = bit / 8;
    let end = bytes.len().min(start + 16);
    window[..end - start].copy_from_slice(&bytes[start..end]);
    let value = (u128::from_le_bytes(window) >> (bit % 8)) as u64;
    if width == 64 { value } else { value & ((1 << width) - 1) }
}

/// Eight numbers fill exactly `W` bytes, so with `W` known all shifts and offsets are constants.
#[inline]
pub(super) fn unpack_width<const W: usize, N: Lane>(bytes: &[u8], out: &mut [N]) {
    let mask = if W == 64 { u64::MAX } else { (1u64 << W) - 1 };
    // A word load reads up to 8 bytes past the number's first byte; the last groups are left to the slow twin.
    let fast = if bytes.len() >= W + 9 { ((bytes.len() - 9) / W).min(out.len() / 8) } else { 0 };
    let (groups, rest) = out.split_at_mut(fast * 8);
    for (index, group) in groups.chunks_exact_mut(8).enumerate() {
        let window = &bytes[index * W..index * W + W + 9];
        for (number, slot) in group.iter_mut().enumerate() {
            let (offset, shift) = (number * W / 8, number * W % 8);
            let mut value = word(window, offset) >> shift;
            if W + shift > 64 {
                value |= u64::from(window[offset + 8]) << (64 - shift);
            }
            *slot = N::of((value & mask) as i64);
        }
    }
    for (number, slot) in rest.iter_mut().enumerate() {
        *slot = N::of(unpack_one(bytes, (fast * 8 + number) * W, W) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_count_round_trips() {
        for width in 0..=64u32 {
            let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
            for count in [0, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000, 1023, 1024] {
                let values: Vec<u64> = (0..count as u64)
                    .map(|i| {
                        (i.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                            ^ (i << 31)
                            ^ (u64::from(i % 3 == 0) * u64::MAX))
                            & mask
                    })
                    .collect();
                let mut bytes = Vec::new();
                pack(values.iter().copied(), width, &mut bytes);
                assert_eq!(bytes.len(), packed_bytes(count, width));
                let mut out = vec![-1i64; count];
                assert!(unpack(&bytes, width, &mut out));
                assert!(out.iter().zip(&values).all(|(a, b)| *a as u64 == *b), "width {width} count {count}");
            }
        }
    }

    #[test]
    fn left_over_bits_must_be_zero() {
        let mut out = [0i64; 3];
        assert!(unpack(&[0xff, 0x01], 3, &mut out));
        assert_eq!(out, [7; 3]);
        assert!(!unpack(&[0xff, 0x03], 3, &mut out));
    }
}
