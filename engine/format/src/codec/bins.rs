//! Coded integer blocks: each number is a bin, coded by how often the column uses it, and an offset in the bin.
//! Rules K15 and K16 of `format-spec/codecs.md`; K18 and K19, which [`super::lanes`] decodes.
//!
//! The bins and their frequencies are the column's *model*, one for all blocks of a chunk; a block holds what a coder of
//! bins left, and the offsets. A block needs nothing but the model: any one can be read alone. The coder is one in four lanes
//! (K19); files of before have a range coder (K16: rANS, Duda 2013).

#![expect(
    clippy::inline_always,
    reason = "a loop has to be inlined into its shims to be compiled for their instructions"
)]

use std::hint::select_unpredictable;

use super::bitpack::bits;
use super::exact::Exact;
use super::int::IntScratch;
use super::kernel::Kernels;
use super::lanes::{self, LANES, Lanes};
use crate::bytes::ByteReader;
use crate::error::Result;
use crate::limits::BLOCK_ROWS;

/// Most bins of a model.
pub const BINS: usize = 1024;
/// Largest logarithm of the sum of frequencies, in models of one lane.
pub const LOG_MAX: u32 = 14;
/// Smallest.
pub const LOG_MIN: u32 = 5;
/// Most decimal places that a bin takes out.
pub const PLACES_MAX: u8 = 18;
/// Longest model of rule K15: every field at its longest.
pub const MODEL_BYTES: usize = 3 + BINS * 15;
/// The coder's state is at least this between two numbers, and exactly this at the end.
pub(super) const STATE_LOW: u32 = 1 << 16;

/// Division by the powers of ten that bins take out.
static BY_PLACES: [Exact; PLACES_MAX as usize + 1] = {
    let (mut out, mut places) = ([Exact::by(1); PLACES_MAX as usize + 1], 0);
    while places < out.len() {
        out[places] = Exact::by(10i64.pow(places as u32));
        places += 1;
    }
    out
};

/// Numbers `(lower + offset) * 10^places` with offsets of `width` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bin {
    pub(super) places: u8,
    pub(super) width: u8,
    pub(super) lower: i64,
}

impl Bin {
    /// The offset of a number that it holds, and how many bits that has.
    pub(super) fn place(&self, number: i64) -> (u64, u32) {
        let rest = BY_PLACES[usize::from(self.places)].quotient(number);
        (rest.wrapping_sub(self.lower) as u64, u32::from(self.width))
    }

    /// A number in the middle of it.
    pub(super) fn middle(&self) -> f64 {
        (self.lower as f64 + (f64::from(self.width).exp2() - 1.0) / 2.0) * 10f64.powi(i32::from(self.places))
    }
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
    /// What stands in place of `log`, `steps` and `bins` if blocks are in lanes.
    lanes: Option<Lanes>,
}

/// Longest offset that a window of eight bytes holds from any bit of its first on.
const NARROW_BITS: u8 = 56;
/// Room for the offsets of a block, in lanes for the codes before them: a power of two, so that a place in it is one by its bits.
const HELD: usize = (BLOCK_ROWS * 8 + lanes::CODE_BYTES).next_power_of_two();
/// That, and a window of sixteen bytes behind.
pub(super) type Held = [u8; HELD + 16];

/// Buffers of a block.
#[derive(Clone, Debug)]
pub struct BinScratch {
    words: Vec<u16>,
    offsets: Box<Held>,
    bins: Vec<u16>,
}

impl Default for BinScratch {
    fn default() -> Self {
        let Ok(offsets) = vec![0; HELD + 16].into_boxed_slice().try_into() else {
            unreachable!("as many as asked for")
        };
        Self { words: vec![0; BLOCK_ROWS + 1], offsets, bins: vec![0; BLOCK_ROWS] }
    }
}

impl Model {
    /// Takes over the model in `bytes`, in place of what was there.
    ///
    /// # Errors
    /// A broken rule K15 or K18; the model must not be used then.
    pub fn read(&mut self, bytes: &[u8], scratch: &mut IntScratch) -> Result<()> {
        self.wide = false;
        self.scales.clear();
        self.steps.clear();
        self.bins.clear();
        if lanes::are_of(bytes) {
            // What a model of one lane took is not kept beside what one in lanes takes.
            (self.steps, self.bins) = (Vec::new(), Vec::new());
            let mut reader = ByteReader::new(bytes, "K18");
            let mut lanes = self.lanes.take().unwrap_or_default();
            lanes.read_log(&mut reader)?;
            let count = self.read_bins(&mut reader, |_, _| Ok(()))?;
            lanes.read_tables(&mut reader, count, scratch)?;
            self.lanes = Some(lanes);
            return reader.finish();
        }
        self.lanes = None;
        let mut reader = ByteReader::new(bytes, "K15");
        if bytes.len() > MODEL_BYTES {
            return Err(reader.error(format!("a model of one lane with {} bytes", bytes.len())));
        }
        self.log = u32::from(reader.u8()?);
        if !(LOG_MIN..=LOG_MAX).contains(&self.log) {
            return Err(reader.error(format!("frequencies that add up to 2^{}", self.log)));
        }
        let total = 1usize << self.log;
        let (mut steps, mut bins) = (std::mem::take(&mut self.steps), std::mem::take(&mut self.bins));
        self.read_bins(&mut reader, |reader, bin| {
            let frequency = reader.varint()?;
            if frequency >= (total - steps.len()) as u64 {
                return Err(reader.error("frequencies beyond their sum"));
            }
            // A bin has one slot more than is written.
            for offset in 0..=frequency as u16 {
                steps.push(Step { frequency: frequency as u16 + 1, offset });
                bins.push(bin);
            }
            Ok(())
        })?;
        (self.steps, self.bins) = (steps, bins);
        if self.steps.len() != total {
            return Err(reader.error("frequencies do not reach their sum"));
        }
        reader.finish()
    }

    /// Reads the bins, and with each what `behind` reads; how many there are.
    fn read_bins(
        &mut self,
        reader: &mut ByteReader<'_>,
        mut behind: impl FnMut(&mut ByteReader<'_>, u16) -> Result<()>,
    ) -> Result<usize> {
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
            behind(reader, bin)?;
            self.wide |= width > NARROW_BITS;
            let factor = 10i64.pow(u32::from(places));
            self.scales.push(Scale { lower: last, factor, width: usize::from(width) });
        }
        Ok(count as usize)
    }

    /// Decodes the numbers of a block, before any transform.
    ///
    /// # Errors
    /// A broken rule K16 or K19.
    pub(super) fn decode(
        &self,
        reader: &mut ByteReader<'_>,
        out: &mut [i64],
        scratch: &mut BinScratch,
        kernels: &Kernels,
    ) -> Result<()> {
        if self.lanes.is_some() {
            return self.decode_lanes(reader, out, scratch, kernels);
        }
        reader.cite("K16");
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
        hold(&mut scratch.offsets, reader.rest());
        let streams = Streams { state, words, offsets: &mut scratch.offsets, bins: &mut [] };
        let ends = (kernels.coded)(self, streams, out);
        if ends.words != count || ends.state != STATE_LOW {
            return Err(reader.error("the coder does not end where its words do"));
        }
        let offsets = reader.take(ends.bits.div_ceil(8))?;
        if !is_padded(offsets, ends.bits) {
            return Err(reader.error("left-over bits are not zero"));
        }
        Ok(())
    }

    /// [`Model::decode`] of a block in lanes.
    fn decode_lanes(
        &self,
        reader: &mut ByteReader<'_>,
        out: &mut [i64],
        scratch: &mut BinScratch,
        kernels: &Kernels,
    ) -> Result<()> {
        reader.cite("K19");
        let BinScratch { offsets, bins, .. } = scratch;
        // How much there is of codes and offsets is known when all numbers are.
        hold(offsets, reader.rest());
        let streams = Streams { state: 0, words: &[], offsets, bins: &mut bins[..out.len()] };
        let ends = (kernels.coded)(self, streams, out);
        let codes = ends.codes.div_ceil(8);
        let bytes = reader.take(codes.max(ends.bits.div_ceil(8)))?;
        if ends.state > u32::from(u8::MAX) {
            return Err(reader.error("a coder ends in a state of more than a byte"));
        }
        // If the last states tell more than there is of offsets, the rest is left over too.
        let told = &offsets[..codes];
        if !is_padded(bytes, ends.codes)
            || !is_zero_from(told, ends.bits)
            || !is_padded(&offsets[..], ends.bits)
        {
            return Err(reader.error("left-over bits are not zero"));
        }
        Ok(())
    }
}

/// Copies what is left of a block to a buffer that reaches further.
fn hold(buffer: &mut Held, rest: &[u8]) {
    let held = rest.len().min(HELD);
    buffer[..held].copy_from_slice(&rest[..held]);
}

/// Whether no bit is set from bit `bit` on.
fn is_zero_from(bytes: &[u8], bit: usize) -> bool {
    let rest = bytes.get(bit.div_ceil(8)..).unwrap_or(&[]);
    rest.iter().all(|byte| *byte == 0)
}

/// Whether the byte that bit `bit` is of has no bit from there on.
fn is_padded(bytes: &[u8], bit: usize) -> bool {
    bit.is_multiple_of(8) || bytes[bit / 8] >> (bit % 8) == 0
}

/// Fills `out` with the numbers of a block, by a model.
#[inline(always)]
pub(super) fn run(model: &Model, streams: Streams<'_>, out: &mut [i64]) -> Ends {
    match (&model.lanes, model.wide) {
        (Some(lanes), true) => run_lanes(model, lanes, streams, out, wide_bits),
        (Some(lanes), false) => run_lanes(model, lanes, streams, out, narrow_bits),
        (None, true) => run_alone(model, &streams, out, wide_bits),
        (None, false) => run_alone(model, &streams, out, narrow_bits),
    }
}

/// First the bin of every number, then the numbers: where an offset begins, the bins before it tell.
#[inline(always)]
fn run_lanes(
    model: &Model,
    lanes: &Lanes,
    streams: Streams<'_>,
    out: &mut [i64],
    bits_at: impl Fn(&Held, usize, usize) -> u64,
) -> Ends {
    let Streams { offsets, bins, .. } = streams;
    let (codes, states) = lanes.bins_of(offsets, bins);
    // The first bytes of the offsets are what the last states tell. They take the place of codes that were read.
    let begin = codes.div_ceil(8) - LANES;
    for (told, state) in offsets[begin..begin + LANES].iter_mut().zip(states) {
        *told = state as u8;
    }
    let state = states.iter().fold(0, |bits, state| bits | *state as u32);
    let (scales, mut bit) = (&model.scales[..], begin * 8);
    for (out, bin) in out.iter_mut().zip(bins.iter()) {
        let scale = scales[usize::from(*bin)];
        let offset = bits_at(offsets, bit, scale.width);
        bit += scale.width;
        *out = scale.lower.wrapping_add(offset as i64).wrapping_mul(scale.factor);
    }
    Ends { state, words: 0, codes, bits: bit }
}

/// Each step of the coder waits for the one before; what is done with the offsets fills that time.
#[inline(always)]
fn run_alone(
    model: &Model,
    streams: &Streams<'_>,
    out: &mut [i64],
    bits_at: impl Fn(&Held, usize, usize) -> u64,
) -> Ends {
    let Streams { words, offsets, .. } = streams;
    let mut state = streams.state;
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
    Ends { state, words: next, codes: 0, bits: bit }
}

/// What a block is decoded from.
#[derive(Debug)]
pub(super) struct Streams<'a> {
    state: u32,
    /// One more than there are numbers. In lanes, none.
    words: &'a [u16],
    /// In lanes, behind the codes.
    offsets: &'a mut Held,
    /// Room for the bin of every number, in lanes.
    bins: &'a mut [u16],
}

/// Where decoding a block ended.
pub(super) struct Ends {
    /// The last state; in lanes, the bits of all of them together.
    state: u32,
    words: usize,
    /// Bits of the codes, in lanes.
    codes: usize,
    bits: usize,
}

/// `width` bits from bit `bit` on, at most [`NARROW_BITS`].
#[inline(always)]
fn narrow_bits(bytes: &Held, bit: usize, width: usize) -> u64 {
    window(bytes, bit) & ((1 << width) - 1)
}

/// The bits from bit `bit` on, 57 at least.
#[inline(always)]
pub(super) fn window(bytes: &Held, bit: usize) -> u64 {
    let window = bytes[bit / 8 % HELD..][..8].try_into().expect("eight bytes");
    u64::from_le_bytes(window) >> (bit % 8)
}

/// `width` bits from bit `bit` on, at most 64.
#[inline(always)]
fn wide_bits(bytes: &Held, bit: usize, width: usize) -> u64 {
    let window = bytes[bit / 8 % HELD..][..16].try_into().expect("sixteen bytes");
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
