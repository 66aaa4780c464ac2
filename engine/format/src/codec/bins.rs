//! Coded integer blocks: each number is a bin, coded by how often the column uses it, and an offset in the bin.
//! Rules K15 and K16 of `format-spec/codecs.md`.
//!
//! The bins and their frequencies are the column's *model*, one for all blocks of a chunk; a block holds the state of
//! a range coder (rANS, Duda 2013) and the offsets. A block needs nothing but the model: any one can be read alone.

use super::bitpack::bits;
use crate::bytes::ByteReader;
use crate::error::Result;
use crate::limits::BLOCK_ROWS;

/// Most bins of a model.
pub const BINS: usize = 1024;
/// Largest logarithm of the sum of frequencies.
pub const LOG_MAX: u32 = 14;
/// Smallest.
pub const LOG_MIN: u32 = 5;
/// Most decimal places that a bin takes out.
pub const PLACES_MAX: u8 = 18;
/// Longest model: every field at its longest.
pub const MODEL_BYTES: usize = 3 + BINS * 15;
/// The coder's state is at least this between two numbers, and exactly this at the end.
pub(super) const STATE_LOW: u32 = 1 << 16;

/// Numbers `(lower + offset) * 10^places` with offsets of `width` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bin {
    pub(super) places: u8,
    pub(super) width: u8,
    pub(super) lower: i64,
    /// Share of `2^log` slots.
    pub(super) frequency: u32,
}

/// What one slot of the coder's table tells: the step of the state, and the bin.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    frequency: u16,
    offset: u16,
    bin: u16,
    width: u16,
}

/// A model made ready for decoding. One value is used for one column after another.
#[derive(Clone, Debug, Default)]
pub struct Model {
    log: u32,
    lower: Vec<i64>,
    factor: Vec<i64>,
    slots: Vec<Slot>,
}

/// Buffers of a block.
#[derive(Clone, Debug)]
pub struct BinScratch {
    words: Vec<u16>,
    chosen: Vec<Slot>,
}

impl Default for BinScratch {
    fn default() -> Self {
        Self { words: vec![0; BLOCK_ROWS + 1], chosen: vec![Slot::default(); BLOCK_ROWS] }
    }
}

impl Model {
    /// Takes over the model in `bytes`, in place of what was there.
    ///
    /// # Errors
    /// A broken rule K15; the model must not be used then.
    pub fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = ByteReader::new(bytes, "K15");
        self.lower.clear();
        self.factor.clear();
        self.slots.clear();
        self.log = u32::from(reader.u8()?);
        if !(LOG_MIN..=LOG_MAX).contains(&self.log) {
            return Err(reader.error(format!("frequencies that add up to 2^{}", self.log)));
        }
        let total = 1usize << self.log;
        let count = reader.varint()?;
        if count == 0 || count > BINS as u64 {
            return Err(reader.error(format!("{count} bins, allowed are 1 to {BINS}")));
        }
        let mut last = 0i64;
        for bin in 0..count as u16 {
            let (places, width) = (reader.u8()?, reader.u8()?);
            if places > PLACES_MAX || width > 64 {
                return Err(reader.error(format!("bin of {places} places and {width} bits")));
            }
            last = last.wrapping_add(reader.signed_varint()?);
            let frequency = reader.varint()?;
            if frequency >= (total - self.slots.len()) as u64 {
                return Err(reader.error("frequencies beyond their sum"));
            }
            self.lower.push(last);
            self.factor.push(10i64.pow(u32::from(places)));
            // A bin has one slot more than is written.
            for offset in 0..=frequency as u16 {
                let frequency = frequency as u16 + 1;
                self.slots.push(Slot { frequency, offset, bin, width: u16::from(width) });
            }
        }
        if self.slots.len() != total {
            return Err(reader.error("frequencies do not reach their sum"));
        }
        reader.finish()
    }

    /// Decodes the numbers of a block, before any transform.
    ///
    /// # Errors
    /// A broken rule K16.
    pub(super) fn decode(
        &self,
        reader: &mut ByteReader<'_>,
        out: &mut [i64],
        scratch: &mut BinScratch,
    ) -> Result<()> {
        let count = reader.varint()?;
        if count > out.len() as u64 {
            return Err(reader.error(format!("{count} words for {} numbers", out.len())));
        }
        let count = count as usize;
        let mut state = reader.u32()?;
        let bytes = reader.take(count * 2)?;
        let words = &mut scratch.words[..=out.len()];
        words[count..].fill(0);
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_le_bytes([bytes[0], bytes[1]]);
        }
        if state < STATE_LOW {
            return Err(reader.error(format!("state {state:#x} of the coder is too small")));
        }
        let chosen = &mut scratch.chosen[..out.len()];
        let mask = (1u32 << self.log) - 1;
        let slots = &self.slots[..=mask as usize];
        let (mut next, mut total) = (0usize, 0usize);
        for chosen in chosen.iter_mut() {
            let slot = slots[(state & mask) as usize];
            state = u32::from(slot.frequency) * (state >> self.log) + u32::from(slot.offset);
            // Each number takes at most one word, so there are never more than numbers.
            let refill = state < STATE_LOW;
            let word = words[next];
            state = if refill { state << 16 | u32::from(word) } else { state };
            next += usize::from(refill);
            total += usize::from(slot.width);
            *chosen = slot;
        }
        if next != count || state != STATE_LOW {
            return Err(reader.error("the coder does not end where its words do"));
        }
        let offsets = reader.take(total.div_ceil(8))?;
        if !total.is_multiple_of(8) && offsets[total / 8] >> (total % 8) != 0 {
            return Err(reader.error("left-over bits are not zero"));
        }
        let mut bit = 0;
        for (slot, out) in chosen.iter().zip(out) {
            let offset = bits_at(offsets, bit, u32::from(slot.width));
            bit += usize::from(slot.width);
            let bin = usize::from(slot.bin);
            *out = self.lower[bin].wrapping_add(offset as i64).wrapping_mul(self.factor[bin]);
        }
        Ok(())
    }
}

/// `width` bits from bit `bit` on, which are there.
#[inline]
fn bits_at(bytes: &[u8], bit: usize, width: u32) -> u64 {
    let start = bit / 8;
    if width <= 56
        && let Some(word) = bytes.get(start..start + 8)
    {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        return word >> (bit % 8) & ((1 << width) - 1);
    }
    let mut window = [0; 16];
    let end = bytes.len().min(start + 16);
    window[..end.saturating_sub(start)].copy_from_slice(bytes.get(start..end).unwrap_or_default());
    let value = (u128::from_le_bytes(window) >> (bit % 8)) as u64;
    if width == 64 { value } else { value & ((1 << width) - 1) }
}

/// Places and number without them: `number = rest * 10^places`, as many places as there are, at most `most`.
pub(super) fn split_places(number: i64, most: u8) -> (u8, i64) {
    let (mut places, mut rest) = (0, number);
    while places < most && rest != 0 && rest % 10 == 0 {
        rest /= 10;
        places += 1;
    }
    (places, rest)
}

/// Bits of the offsets in a bin from `lower` to `upper`.
pub(super) fn span_bits(lower: i64, upper: i64) -> u32 {
    bits(upper.wrapping_sub(lower) as u64)
}
