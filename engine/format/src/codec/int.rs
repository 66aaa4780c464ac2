//! Integer blocks: decoding. Rules K1 and K2 of `format-spec/codecs.md`.
//!
//! A block is a header byte (packing, transform, form), the parameters that the header announces, and the packed
//! numbers. It tells its own length, but not its count: the caller knows how many numbers there are.

use super::bins::{BinScratch, Model};
use super::bitpack::{bits, is_padded, packed_bytes};
use super::kernel::Kernels;
use super::lane::{Block, Lane, PADDED, block};
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
    /// Differences from the value two before, as of rows that tell of one side each, in turn; what the first two are added to
    /// stands in the parameters.
    Alternate = 3,
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
    wide: Inner<i64>,
    narrow: Inner<i32>,
    lengths: Inner<i64>,
    bins: BinScratch,
    pub(crate) kernels: &'static Kernels,
}

impl Default for IntScratch {
    fn default() -> Self {
        Self::with(Kernels::best())
    }
}

impl IntScratch {
    /// Buffers for decoding with loops of these instructions.
    pub fn with(kernels: &'static Kernels) -> Self {
        Self {
            wide: Inner::default(),
            narrow: Inner::default(),
            lengths: Inner::default(),
            bins: BinScratch::default(),
            kernels,
        }
    }
}

/// Numbers of blocks inside of a block, and of patches.
#[derive(Clone, Debug)]
pub(super) struct Inner<N> {
    values: Block<N>,
    positions: Block<N>,
    tops: Block<N>,
}

impl<N: Lane> Default for Inner<N> {
    fn default() -> Self {
        Self { values: block(), positions: block(), tops: block() }
    }
}

/// The zigzag number of a value: small for small magnitudes.
#[inline]
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
/// A broken rule K1 or K2, K16 or K19 in a coded block. `out` then holds anything.
pub fn decode(
    reader: &mut ByteReader<'_>,
    out: &mut [i64],
    scratch: &mut IntScratch,
    model: Option<&Model>,
) -> Result<Transform> {
    let head = Head::read(reader, model.is_some())?;
    let IntScratch { wide, lengths, bins, kernels, .. } = scratch;
    if let Some(model) = model.filter(|_| head.coded) {
        reader.cite("K16");
        model.decode(reader, out, bins, kernels)?;
        head.finish(kernels, out);
    } else {
        decode_packed(kernels, reader, &head, out, wide, lengths)?;
    }
    Ok(head.transform)
}

/// [`decode`] for a block whose [`reach`] is known, and is below 2^31.
///
/// # Errors
/// Those of [`decode`].
pub(crate) fn decode_narrow(
    reader: &mut ByteReader<'_>,
    out: &mut [i32],
    scratch: &mut IntScratch,
) -> Result<Transform> {
    let head = Head::read(reader, false)?;
    let IntScratch { narrow, lengths, kernels, .. } = scratch;
    decode_packed(kernels, reader, &head, out, narrow, lengths)?;
    Ok(head.transform)
}

/// The transform of a block, and the greatest magnitude that a number of it can have, before any prediction is added, as
/// far as the parameters tell; `None` if they do not, or are broken. No number on the way to the values has more.
pub(crate) fn reach(mut reader: ByteReader<'_>, count: usize) -> Option<(Transform, u64)> {
    let head = Head::read(&mut reader, false).ok()?;
    let most = match head.packing {
        Packing::Runs => {
            reader.varint().ok()?;
            reach_simple(&mut reader, count)?
        }
        Packing::Dictionary => {
            let distinct = reader.varint().ok()?;
            reach_simple(&mut reader, usize::try_from(distinct).ok()?)?
        }
        Packing::Sparse => {
            let default = reader.signed_varint().ok()?.unsigned_abs();
            let others = reader.varint().ok()?;
            reader.take(count.div_ceil(8)).ok()?;
            default.max(reach_simple(&mut reader, usize::try_from(others).ok()?)?)
        }
        _ => reach_offsets(&mut reader, &head)?,
    };
    Some((head.transform, head.summed(most, count)))
}

/// The reach of a block inside of a block.
fn reach_simple(reader: &mut ByteReader<'_>, count: usize) -> Option<u64> {
    let head = Head::read(reader, false).ok()?;
    Some(head.summed(reach_offsets(reader, &head)?, count))
}

/// The reach of numbers that are constant or offsets.
fn reach_offsets(reader: &mut ByteReader<'_>, head: &Head) -> Option<u64> {
    if head.packing == Packing::Constant {
        return Some(reader.signed_varint().ok()?.unsigned_abs());
    }
    let base = reader.signed_varint().ok()?.unsigned_abs();
    let width = match head.packing {
        Packing::Packed => u32::from(reader.u8().ok()?),
        Packing::Patched => u32::from(reader.u8().ok()?) + u32::from(reader.u8().ok()?),
        Packing::Classes => {
            let widths = reader.take(4).ok()?;
            u32::from(widths.iter().copied().max()?)
        }
        _ => return None,
    };
    // Above every offset; a folded one is half as far from the base, but takes this on the way there.
    let most = 1u64.checked_shl(width)?.checked_mul(u64::try_from(head.multiplier).ok()?)?;
    base.checked_add(most)
}

/// What stands behind the head, and its sums.
fn decode_packed<N: Lane>(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    head: &Head,
    out: &mut [N],
    inner: &mut Inner<N>,
    lengths: &mut Inner<i64>,
) -> Result<()> {
    debug_assert!(out.len() <= BLOCK_ROWS);
    let count = out.len();
    match head.packing {
        Packing::Runs => {
            let runs = bounded(reader, count)?;
            decode_simple(kernels, reader, inner, runs)?;
            // In 64 bits, whatever the values are: nothing was asked of their reach.
            decode_simple(kernels, reader, lengths, runs)?;
            let mut rest = &mut *out;
            for (value, length) in inner.values.iter().zip(&lengths.values[..runs]) {
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
            decode_simple(kernels, reader, inner, distinct)?;
            let width = bits(distinct as u64 - 1);
            unpack_checked(kernels, reader, width, out)?;
            for slot in out.iter_mut() {
                let code = slot.wide() as usize;
                if code >= distinct {
                    return Err(reader.error(format!("code {code} of {distinct}")));
                }
                *slot = inner.values[code];
            }
        }
        Packing::Sparse => {
            let default = reader.signed_varint()?;
            let others = bounded(reader, count)?;
            let bitmap = reader.take(count.div_ceil(8))?;
            if (kernels.ones)(bitmap) != others
                || (!count.is_multiple_of(8) && bitmap[count / 8] >> (count % 8) != 0)
            {
                return Err(reader.error("bitmap and count disagree"));
            }
            decode_simple(kernels, reader, inner, others)?;
            (N::loops(kernels).expand)(bitmap, &inner.values, N::of(default), out);
        }
        Packing::Classes => decode_classes(kernels, reader, head, out, inner)?,
        _ => unpack_simple(kernels, reader, head, out, &mut inner.positions, &mut inner.tops)?,
    }
    head.finish(kernels, out);
    Ok(())
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

/// [`decode_narrow`] for a block that may not be predicted.
///
/// # Errors
/// Those of [`decode`], and a block of residuals.
pub(crate) fn decode_narrow_alone(
    reader: &mut ByteReader<'_>,
    out: &mut [i32],
    scratch: &mut IntScratch,
) -> Result<()> {
    match decode_narrow(reader, out, scratch)? {
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
    /// What the first difference is added to; of alternating ones, the first two.
    firsts: [i64; 2],
}

impl Head {
    fn read(reader: &mut ByteReader<'_>, model: bool) -> Result<Self> {
        let byte = reader.u8()?;
        let transform = match byte >> 3 & 3 {
            0 => Transform::Plain,
            1 => Transform::Delta,
            2 => Transform::Group,
            _ => Transform::Alternate,
        };
        let coded = byte & CODED != 0;
        if coded && (!model || byte & 0x67 != 0) {
            return Err(reader.error("a coded block in a column without a model, or with a packing"));
        }
        let firsts = match transform {
            Transform::Delta => [reader.signed_varint()?, 0],
            Transform::Alternate => [reader.signed_varint()?, reader.signed_varint()?],
            _ => [0; 2],
        };
        let multiplier = if byte & MULTIPLIER != 0 { reader.varint()? as i64 } else { 1 };
        let packing = Packing::from_id(byte);
        let offsets = matches!(packing, Packing::Packed | Packing::Patched | Packing::Classes);
        if !offsets && byte & (ZIGZAG | MULTIPLIER) != 0 {
            return Err(reader.error("a form bit is set where there are no offsets"));
        }
        Ok(Self { packing, transform, coded, zigzag: byte & ZIGZAG != 0, multiplier, firsts })
    }

    /// Sums differences.
    fn finish<N: Lane>(&self, kernels: &Kernels, out: &mut [N]) {
        let [first, second] = self.firsts.map(N::of);
        match self.transform {
            Transform::Delta => (N::loops(kernels).sum)(first, out),
            Transform::Alternate => (N::loops(kernels).alternate)(first, second, out),
            _ => {}
        }
    }

    /// Turns offsets into numbers.
    fn place<N: Lane>(&self, kernels: &Kernels, base: i64, out: &mut [N]) {
        (N::loops(kernels).place)(N::of(base), N::of(self.multiplier), self.zigzag, out);
    }

    /// That of a block inside a block.
    fn simple(reader: &mut ByteReader<'_>) -> Result<Self> {
        let head = Self::read(reader, false)?;
        if !matches!(head.transform, Transform::Plain | Transform::Delta) {
            return Err(reader.error("a block inside a block is neither plain nor of differences"));
        }
        Ok(head)
    }

    /// The reach of sums of numbers that reach so far.
    fn summed(&self, most: u64, count: usize) -> u64 {
        match self.transform {
            Transform::Delta | Transform::Alternate => {
                let first = self.firsts.map(i64::unsigned_abs).into_iter().fold(0, u64::max);
                first.saturating_add(most.saturating_mul(count as u64))
            }
            _ => most,
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

fn unpack_checked<N: Lane>(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    width: u32,
    out: &mut [N],
) -> Result<()> {
    let bytes = reader.take(packed_bytes(out.len(), width))?;
    if (N::loops(kernels).unpack)(bytes, width, out) {
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
fn decode_simple<N: Lane>(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    inner: &mut Inner<N>,
    count: usize,
) -> Result<()> {
    let Inner { values, positions, tops } = inner;
    let head = Head::simple(reader)?;
    let out = &mut values[..count];
    unpack_simple(kernels, reader, &head, out, positions, tops)?;
    head.finish(kernels, out);
    Ok(())
}

fn unpack_simple<N: Lane>(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    head: &Head,
    out: &mut [N],
    positions: &mut [N; PADDED],
    tops: &mut [N; PADDED],
) -> Result<()> {
    match head.packing {
        Packing::Constant => out.fill(N::of(reader.signed_varint()?)),
        Packing::Raw => unpack_checked(kernels, reader, 64, out)?,
        Packing::Packed => {
            let base = reader.signed_varint()?;
            let width = width(reader, 64)?;
            unpack_checked(kernels, reader, width, out)?;
            head.place(kernels, base, out);
        }
        Packing::Patched => {
            let base = reader.signed_varint()?;
            let low = width(reader, 63)?;
            let high = width(reader, 64 - low)?;
            let patches = bounded(reader, out.len())?;
            let (positions, tops) = (&mut positions[..patches], &mut tops[..patches]);
            unpack_checked(kernels, reader, bits(out.len() as u64 - 1), positions)?;
            unpack_checked(kernels, reader, high, tops)?;
            unpack_checked(kernels, reader, low, out)?;
            let unit = N::of(1i64.wrapping_shl(low));
            for (position, top) in positions.iter().zip(tops.iter()) {
                let position = position.wide() as usize;
                let Some(slot) = out.get_mut(position) else {
                    return Err(reader.error(format!("patch at {position} is outside of the block")));
                };
                *slot = slot.or(top.times(unit));
            }
            head.place(kernels, base, out);
        }
        _ => return Err(reader.error("this packing may not stand inside a block")),
    }
    Ok(())
}

/// Selectors of two bits, then the numbers of each class end to end.
fn decode_classes<N: Lane>(
    kernels: &Kernels,
    reader: &mut ByteReader<'_>,
    head: &Head,
    out: &mut [N],
    inner: &mut Inner<N>,
) -> Result<()> {
    let base = reader.signed_varint()?;
    let mut widths = [0; 4];
    for slot in &mut widths {
        *slot = width(reader, 64)?;
    }
    let selectors = reader.take(packed_bytes(out.len(), 2))?;
    if !is_padded(selectors, 2, out.len()) {
        return Err(reader.error("left-over bits are not zero"));
    }
    let members = (kernels.members)(selectors, out.len());
    let (mut starts, mut start) = ([0; 4], 0);
    for (class, width) in widths.into_iter().enumerate() {
        let values = &mut inner.values[start..start + members[class]];
        unpack_checked(kernels, reader, width, values)?;
        starts[class] = start;
        start += members[class];
    }
    (N::loops(kernels).choose)(selectors, &inner.values, starts, out);
    head.place(kernels, base, out);
    Ok(())
}

#[cfg(test)]
mod tests;
