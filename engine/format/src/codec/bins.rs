//! Coded integer blocks: each number is a bin, coded by how often the column uses it, and an offset in the bin.
//! Rules K15 and K16 of `format-spec/codecs.md`.
//!
//! The bins and their frequencies are the column's *model*, one for all blocks of a chunk; a block holds the state of
//! a range coder (rANS, Duda 2013) and the offsets. A block needs nothing but the model: any one can be read alone.

#![expect(
    clippy::inline_always,
    reason = "a loop has to be inlined into its shims to be compiled for their instructions"
)]

use std::hint::select_unpredictable;

use super::bitpack::bits;
use super::kernel::Kernels;
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

/// What one slot of the coder's table makes of the state.
#[derive(Clone, Copy, Debug)]
struct Step {
    frequency: u16,
    offset: u16,
}

/// What a bin's offsets become numbers by.
#[derive(Clone, Copy, Debug)]
struct Scale {
    lower: i64,
    factor: i64,
    width: usize,
}

/// A model made ready for decoding. One value is used for one column after another.
#[derive(Clone, Debug, Default)]
pub struct Model {
    log: u32,
    /// Whether offsets can be longer than [`NARROW_BITS`].
    wide: bool,
    scales: Vec<Scale>,
    /// By slot. Apart from `bins`: each step waits for this table, which so stays in the nearest cache.
    steps: Vec<Step>,
    /// The bin of each slot.
    bins: Vec<u16>,
}

/// Longest offset that a window of eight bytes holds from any bit of its first on.
const NARROW_BITS: u8 = 56;
/// Offsets of a block at most, and a window of sixteen bytes behind them.
const OFFSET_BYTES: usize = BLOCK_ROWS * 8 + 16;

/// Buffers of a block.
#[derive(Clone, Debug)]
pub struct BinScratch {
    words: Vec<u16>,
    offsets: Vec<u8>,
}

impl Default for BinScratch {
    fn default() -> Self {
        Self { words: vec![0; BLOCK_ROWS + 1], offsets: vec![0; OFFSET_BYTES] }
    }
}

impl Model {
    /// Takes over the model in `bytes`, in place of what was there.
    ///
    /// # Errors
    /// A broken rule K15; the model must not be used then.
    pub fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = ByteReader::new(bytes, "K15");
        self.wide = false;
        self.scales.clear();
        self.steps.clear();
        self.bins.clear();
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
            if frequency >= (total - self.steps.len()) as u64 {
                return Err(reader.error("frequencies beyond their sum"));
            }
            self.wide |= width > NARROW_BITS;
            let factor = 10i64.pow(u32::from(places));
            self.scales.push(Scale { lower: last, factor, width: usize::from(width) });
            // A bin has one slot more than is written.
            for offset in 0..=frequency as u16 {
                self.steps.push(Step { frequency: frequency as u16 + 1, offset });
                self.bins.push(bin);
            }
        }
        if self.steps.len() != total {
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
        kernels: &Kernels,
    ) -> Result<()> {
        let count = reader.varint()?;
        if count > out.len() as u64 {
            return Err(reader.error(format!("{count} words for {} numbers", out.len())));
        }
        let count = count as usize;
        let state = reader.u32()?;
        let bytes = reader.take(count * 2)?;
        let words = &mut scratch.words[..=out.len()];
        words[count..].fill(0);
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_le_bytes([bytes[0], bytes[1]]);
        }
        if state < STATE_LOW {
            return Err(reader.error(format!("state {state:#x} of the coder is too small")));
        }
        // How many offsets there are is known when all numbers are; those that would lie behind what is there are refused then.
        let rest = reader.rest();
        let held = rest.len().min(OFFSET_BYTES - 16);
        scratch.offsets[..held].copy_from_slice(&rest[..held]);
        let streams = Streams { state, words, offsets: &scratch.offsets };
        let ends = (kernels.coded)(self, streams, out);
        if ends.words != count || ends.state != STATE_LOW {
            return Err(reader.error("the coder does not end where its words do"));
        }
        let offsets = reader.take(ends.bits.div_ceil(8))?;
        if !ends.bits.is_multiple_of(8) && offsets[ends.bits / 8] >> (ends.bits % 8) != 0 {
            return Err(reader.error("left-over bits are not zero"));
        }
        Ok(())
    }
}

/// Fills `out` with the numbers of a block, by a model.
#[inline(always)]
pub(super) fn run(model: &Model, streams: Streams<'_>, out: &mut [i64]) -> Ends {
    if model.wide {
        run_with(model, streams, out, wide_bits)
    } else {
        run_with(model, streams, out, narrow_bits)
    }
}

/// Each step of the coder waits for the one before; what is done with the offsets fills that time.
#[inline(always)]
fn run_with(
    model: &Model,
    streams: Streams<'_>,
    out: &mut [i64],
    bits_at: impl Fn(&[u8], usize, usize) -> u64,
) -> Ends {
    let Streams { mut state, words, offsets } = streams;
    let log = model.log;
    let mask = (1usize << log) - 1;
    let (steps, bins, scales) = (&model.steps[..=mask], &model.bins[..=mask], &model.scales[..]);
    let (mut next, mut bit) = (0usize, 0usize);
    for out in out.iter_mut() {
        let slot = state as usize & mask;
        let step = steps[slot];
        state = u32::from(step.frequency) * (state >> log) + u32::from(step.offset);
        // Each number takes at most one word, so there are never more than numbers. Nobody could foretell this branch.
        let refill = state < STATE_LOW;
        state = select_unpredictable(refill, state << 16 | u32::from(words[next]), state);
        next += usize::from(refill);
        let scale = scales[usize::from(bins[slot])];
        let offset = bits_at(offsets, bit, scale.width);
        bit += scale.width;
        *out = scale.lower.wrapping_add(offset as i64).wrapping_mul(scale.factor);
    }
    Ends { state, words: next, bits: bit }
}

/// What a block is decoded from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams<'a> {
    state: u32,
    /// One more than there are numbers.
    words: &'a [u16],
    offsets: &'a [u8],
}

/// Where decoding a block ended.
pub(super) struct Ends {
    state: u32,
    words: usize,
    bits: usize,
}

/// `width` bits from bit `bit` on, at most [`NARROW_BITS`].
#[inline(always)]
fn narrow_bits(bytes: &[u8], bit: usize, width: usize) -> u64 {
    let window = bytes[bit / 8..][..8].try_into().expect("eight bytes");
    u64::from_le_bytes(window) >> (bit % 8) & ((1 << width) - 1)
}

/// `width` bits from bit `bit` on, at most 64.
#[inline(always)]
fn wide_bits(bytes: &[u8], bit: usize, width: usize) -> u64 {
    let window = bytes[bit / 8..][..16].try_into().expect("sixteen bytes");
    (u128::from_le_bytes(window) >> (bit % 8) & ((1 << width) - 1)) as u64
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
