//! Integer blocks: decoding. Rules K1 and K2 of `format-spec/codecs.md`.
//!
//! A block is a header byte (packing, transform, form), the parameters that the header announces, and the packed
//! numbers. It tells its own length, but not its count: the caller knows how many numbers there are.

use super::bins::{BinScratch, Model};
use super::bitpack::{bits, packed_bytes};
use super::kernel::Kernels;
use crate::bytes::ByteReader;
use crate::error::Result;
use crate::limits::BLOCK_ROWS;

/// How the numbers of a block are packed. Ids are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Packing {
    /// One value for all.
    Constant = 0,
    /// Offsets from a base, in one width.
    Packed = 1,
    /// Like `Packed`, but for a few whose high bits stand apart.
    Patched = 2,
    /// Runs of equal values.
    Runs = 3,
    /// Codes into a list of distinct values.
    Dictionary = 4,
    /// A bitmap of those that differ from a default, and their values.
    Sparse = 5,
    /// Eight bytes each.
    Raw = 6,
    /// Each number in one of up to four widths, with a selector.
    Classes = 7,
}

impl Packing {
    fn from_id(id: u8) -> Self {
        match id & 7 {
            0 => Self::Constant,
            1 => Self::Packed,
            2 => Self::Patched,
            3 => Self::Runs,
            4 => Self::Dictionary,
            5 => Self::Sparse,
            6 => Self::Raw,
            _ => Self::Classes,
        }
    }

    /// Name in `tape inspect`.
    pub fn name(self) -> &'static str {
        ["constant", "packed", "patched", "runs", "dictionary", "sparse", "raw", "classes"][self as usize]
    }
}

/// What the packed numbers are, relative to the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transform {
    /// The values.
    Plain = 0,
    /// Differences from the value before; what the first is added to stands in the parameters.
    Delta = 1,
    /// Differences from what other columns of the row predict; added by the caller.
    Group = 2,
}

/// Header bit: offsets from the base are zigzag numbers.
pub(super) const ZIGZAG: u8 = 1 << 5;
/// Header bit: offsets are in units of a multiplier.
pub(super) const MULTIPLIER: u8 = 1 << 6;
/// Header bit: the block is coded with the column's model; packing and form bits are zero.
pub(super) const CODED: u8 = 1 << 7;

/// Buffers for decoding integer blocks.
#[derive(Clone, Debug)]
pub struct IntScratch {
    first: Vec<i64>,
    second: Vec<i64>,
    positions: Vec<i64>,
    highs: Vec<i64>,
    bins: BinScratch,
    pub(crate) kernels: &'static Kernels,
}

impl Default for IntScratch {
    fn default() -> Self {
        let buffer = || vec![0; BLOCK_ROWS];
        Self {
            first: buffer(),
            second: buffer(),
            positions: buffer(),
            highs: buffer(),
            bins: BinScratch::default(),
            kernels: Kernels::best(),
        }
    }
}

/// The value of a zigzag number.
#[expect(clippy::inline_always, reason = "inlined into the shims of kernels")]
#[inline(always)]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The zigzag number of a value: small for small magnitudes.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The packing of the block that begins with this byte, for display.
pub fn packing_of(header: u8) -> Packing {
    Packing::from_id(header)
}

/// Decodes one block of `out.len()` numbers. Differences are already summed; the caller adds predictions
/// if the transform returned is [`Transform::Group`]. `model` is the column's, if it has one.
///
/// # Errors
/// A broken rule K1 or K2, K16 in a coded block. `out` then holds anything.
pub fn decode(
    reader: &mut ByteReader<'_>,
    out: &mut [i64],
    scratch: &mut IntScratch,
    model: Option<&Model>,
) -> Result<Transform> {
    debug_assert!(out.len() <= BLOCK_ROWS);
    let head = Head::read(reader, model.is_some())?;
    let count = out.len();
    let IntScratch { first, second, positions, highs, bins, kernels } = scratch;
    if let Some(model) = model.filter(|_| head.coded) {
        reader.cite("K16");
        model.decode(reader, out, bins)?;
        head.finish(kernels, out);
        return Ok(head.transform);
    }
    let (first, second) = (&mut first[..BLOCK_ROWS], &mut second[..BLOCK_ROWS]);
    match head.packing {
        Packing::Runs => {
            let runs = bounded(reader, count)?;
            let (values, lengths) = (&mut first[..runs], &mut second[..runs]);
            decode_simple(kernels, reader, values, positions, highs)?;
            decode_simple(kernels, reader, lengths, positions, highs)?;
            let mut rest = &mut *out;
            for (value, length) in values.iter().zip(lengths.iter()) {
                if *length < 0 || *length as u64 >= rest.len() as u64 {
                    return Err(reader.error("runs are longer than the block"));
                }
                let (run, after) = rest.split_at_mut(*length as usize + 1);
                run.fill(*value);
                rest = after;
            }
            if !rest.is_empty() {
                return Err(reader.error("runs are shorter than the block"));
            }
        }
        Packing::Dictionary => {
            let distinct = bounded(reader, count)?;
            let entries = &mut first[..distinct];
            decode_simple(kernels, reader, entries, positions, highs)?;
            let width = bits(distinct as u64 - 1);
            unpack_checked(kernels, reader, width, out)?;
            for slot in out.iter_mut() {
                let Some(value) = entries.get(*slot as usize) else {
                    return Err(reader.error(format!("code {slot} of {distinct}")));
                };
                *slot = *value;
            }
        }
        Packing::Sparse => {
            let default = reader.signed_varint()?;
            let others = bounded(reader, count)?;
            let bitmap = reader.take(count.div_ceil(8))?;
            let set: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
            if set as usize != others || (!count.is_multiple_of(8) && bitmap[count / 8] >> (count % 8) != 0) {
                return Err(reader.error("bitmap and count disagree"));
            }
            decode_simple(kernels, reader, &mut first[..others], positions, highs)?;
            let mut next = 0;
            for (group, byte) in out.chunks_mut(8).zip(bitmap) {
                for (number, slot) in group.iter_mut().enumerate() {
                    let taken = byte >> number & 1;
                    // Masked, so that no bound is checked: there are never more than `others` of them.
                    let value = first[next & (BLOCK_ROWS - 1)];
                    *slot = if taken == 1 { value } else { default };
                    next += usize::from(taken);
                }
            }
        }
        Packing::Classes => decode_classes(kernels, reader, &head, out, first, second)?,
        _ => unpack_simple(kernels, reader, &head, out, positions, highs)?,
    }
    head.finish(kernels, out);
    Ok(head.transform)
}

/// Decodes one block that is neither predicted nor coded.
///
/// # Errors
/// Those of [`decode`], and a block of residuals.
pub fn decode_plain(reader: &mut ByteReader<'_>, out: &mut [i64], scratch: &mut IntScratch) -> Result<()> {
    decode_alone(reader, out, scratch, None)
}

/// Decodes one block that may not be predicted.
///
/// # Errors
/// Those of [`decode`], and a block of residuals.
pub fn decode_alone(
    reader: &mut ByteReader<'_>,
    out: &mut [i64],
    scratch: &mut IntScratch,
    model: Option<&Model>,
) -> Result<()> {
    match decode(reader, out, scratch, model)? {
        Transform::Group => Err(reader.error("prediction in a column that has none")),
        _ => Ok(()),
    }
}

/// The header byte and its parameters.
struct Head {
    packing: Packing,
    transform: Transform,
    coded: bool,
    zigzag: bool,
    multiplier: i64,
    first: i64,
}

impl Head {
    fn read(reader: &mut ByteReader<'_>, model: bool) -> Result<Self> {
        let byte = reader.u8()?;
        let transform = match byte >> 3 & 3 {
            0 => Transform::Plain,
            1 => Transform::Delta,
            2 => Transform::Group,
            _ => return Err(reader.error("unknown transform")),
        };
        let coded = byte & CODED != 0;
        if coded && (!model || byte & 0x67 != 0) {
            return Err(reader.error("a coded block in a column without a model, or with a packing"));
        }
        let first = if transform == Transform::Delta { reader.signed_varint()? } else { 0 };
        let multiplier = if byte & MULTIPLIER != 0 { reader.varint()? as i64 } else { 1 };
        let packing = Packing::from_id(byte);
        let offsets = matches!(packing, Packing::Packed | Packing::Patched | Packing::Classes);
        if !offsets && byte & (ZIGZAG | MULTIPLIER) != 0 {
            return Err(reader.error("a form bit is set where there are no offsets"));
        }
        Ok(Self { packing, transform, coded, zigzag: byte & ZIGZAG != 0, multiplier, first })
    }

    /// Sums differences.
    fn finish(&self, kernels: &Kernels, out: &mut [i64]) {
        if self.transform == Transform::Delta {
            (kernels.sum)(self.first, out);
        }
    }
}

/// A count from 1 to `limit`.
fn bounded(reader: &mut ByteReader<'_>, limit: usize) -> Result<usize> {
    let count = reader.varint()?;
    if count == 0 || count > limit as u64 {
        return Err(reader.error(format!("count {count}, allowed are 1 to {limit}")));
    }
    Ok(count as usize)
}

fn unpack_checked(kernels: &Kernels, reader: &mut ByteReader<'_>, width: u32, out: &mut [i64]) -> Result<()> {
    let bytes = reader.take(packed_bytes(out.len(), width))?;
    if (kernels.unpack)(bytes, width, out) {
        Ok(())
    } else {
        Err(reader.error("left-over bits are not zero"))
    }
}

fn width(reader: &mut ByteReader<'_>, limit: u32) -> Result<u32> {
    let width = u32::from(reader.u8()?);
    if width > limit {
        return Err(reader.error(format!("width {width}, at most {limit} allowed")));
    }
    Ok(width)
}

/// A block inside a block: constant, packed, patched or raw; plain or differences.
fn decode_simple(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    out: &mut [i64],
    positions: &mut [i64],
    highs: &mut [i64],
) -> Result<()> {
    let head = Head::read(reader, false)?;
    if head.transform == Transform::Group {
        return Err(reader.error("prediction inside a block"));
    }
    unpack_simple(kernels, reader, &head, out, positions, highs)?;
    head.finish(kernels, out);
    Ok(())
}

fn unpack_simple(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    head: &Head,
    out: &mut [i64],
    positions: &mut [i64],
    highs: &mut [i64],
) -> Result<()> {
    match head.packing {
        Packing::Constant => out.fill(reader.signed_varint()?),
        Packing::Raw => {
            let bytes = reader.take(out.len() * 8)?;
            (kernels.unpack)(bytes, 64, out);
        }
        Packing::Packed => {
            let base = reader.signed_varint()?;
            let width = width(reader, 64)?;
            unpack_checked(kernels, reader, width, out)?;
            (kernels.place)(base, head.multiplier, head.zigzag, out);
        }
        Packing::Patched => {
            let base = reader.signed_varint()?;
            let low = width(reader, 63)?;
            let high = width(reader, 64 - low)?;
            let patches = bounded(reader, out.len())?;
            let (positions, highs) = (&mut positions[..patches], &mut highs[..patches]);
            unpack_checked(kernels, reader, bits(out.len() as u64 - 1), positions)?;
            unpack_checked(kernels, reader, high, highs)?;
            unpack_checked(kernels, reader, low, out)?;
            for (position, high) in positions.iter().zip(highs.iter()) {
                let Some(slot) = out.get_mut(*position as usize) else {
                    return Err(reader.error(format!("patch at {position} is outside of the block")));
                };
                *slot |= high << low;
            }
            (kernels.place)(base, head.multiplier, head.zigzag, out);
        }
        _ => return Err(reader.error("this packing may not stand inside a block")),
    }
    Ok(())
}

/// Selectors of two bits, then the numbers of each class end to end.
fn decode_classes(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    head: &Head,
    out: &mut [i64],
    selectors: &mut [i64],
    values: &mut [i64],
) -> Result<()> {
    let base = reader.signed_varint()?;
    let mut widths = [0; 4];
    for slot in &mut widths {
        *slot = width(reader, 64)?;
    }
    let selectors = &mut selectors[..out.len()];
    unpack_checked(kernels, reader, 2, selectors)?;
    // Four counters of 16 bits in one register: a block has at most 1024 numbers.
    let counts: u64 = selectors.iter().map(|selector| 1u64 << ((selector & 3) * 16)).sum();
    let (mut next, mut start) = (0u64, 0);
    for (class, width) in widths.iter().enumerate() {
        let count = (counts >> (class * 16) & 0xffff) as usize;
        unpack_checked(kernels, reader, *width, &mut values[start..start + count])?;
        next |= (start as u64) << (class * 16);
        start += count;
    }
    for (slot, selector) in out.iter_mut().zip(selectors.iter()) {
        let shift = (selector & 3) * 16;
        // Masked, so that no bound is checked.
        *slot = values[(next >> shift) as usize & (BLOCK_ROWS - 1)];
        next = next.wrapping_add(1 << shift);
    }
    (kernels.place)(base, head.multiplier, head.zigzag, out);
    Ok(())
}
