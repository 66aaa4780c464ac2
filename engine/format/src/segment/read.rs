//! Reading rows out of chunks.

use std::ops::Range;

use super::chunk::{Chunk, Encoding, Entry, FACTORS, Key, MODEL, NULLS, STRAYS};
use super::index::PartIndex;
use super::scratch::Models;
use super::{Scratch, Stream, System};
use crate::bytes::ByteReader;
use crate::codec::bins::Model;
use crate::codec::bitpack::packed_bytes;
use crate::codec::decimal::{self, Float};
use crate::codec::int::{self, IntScratch};
use crate::codec::lanes;
use crate::error::{FormatError, Result};
use crate::header::features;
use crate::limits::{ALIGNMENT, BLOCK_ROWS, STRING_BYTES};
use crate::rows::{ColumnValues, RowSet, RunVec, Values};
use crate::schema::{ColumnId, ColumnType};

/// What numbers of 32 bits stay below in magnitude.
pub(super) const NARROW: u64 = 1 << 31;

impl<'a> Chunk<'a> {
    /// Appends rows to `out`: the system columns that `system` asks for, and the columns that `out` has; one that the
    /// chunk lacks becomes null. System columns that are not asked for stay untouched. Rows count from the chunk's first.
    ///
    /// # Errors
    /// Damage to a block that is touched, or a range beyond the chunk. `out` then holds columns of uneven lengths.
    pub fn read(
        &self,
        part: &PartIndex,
        range: Range<usize>,
        system: System,
        out: &mut RowSet,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_range(&range)?;
        if system.time {
            self.read_times(part, range.clone(), &mut out.time, scratch)?;
        }
        if system.version {
            self.read_runs(Key::Version, &range, scratch, &mut out.version, |number| Some(number as u64))?;
            if self.head.stream == Stream::History {
                self.read_runs(Key::Until, &range, scratch, &mut out.until, |number| Some(number as u64))?;
            }
        }
        if system.source {
            self.read_runs(Key::Source, &range, scratch, &mut out.source, |number| {
                u16::try_from(number).ok()
            })?;
        }
        if system.flags {
            self.read_runs(Key::Flags, &range, scratch, &mut out.flags, |number| u16::try_from(number).ok())?;
        }
        let mut grouped = false;
        for (id, values) in &mut out.columns {
            match self.entry(Key::Column(*id)) {
                Some(entry) if entry.encoding == Encoding::Group => grouped = true,
                Some(entry) => self.read_column(entry, &range, values, scratch)?,
                None => values.push_nulls(range.len()),
            }
        }
        if grouped { self.read_group(&range, out, scratch) } else { Ok(()) }
    }

    fn check_range(&self, range: &Range<usize>) -> Result<()> {
        if range.start <= range.end && range.end <= self.rows() {
            return Ok(());
        }
        let detail = format!("rows {} to {} of {}", range.start, range.end, self.rows());
        Err(FormatError::limit("S23", self.head.offset, detail))
    }

    /// Appends the times of rows, stored or implied by runs.
    ///
    /// # Errors
    /// Damage to what is touched, or a range beyond the chunk.
    pub fn times(
        &self,
        part: &PartIndex,
        range: Range<usize>,
        out: &mut Vec<i64>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_range(&range)?;
        self.read_times(part, range, out, scratch)
    }

    pub(super) fn read_times(
        &self,
        part: &PartIndex,
        range: Range<usize>,
        out: &mut Vec<i64>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if let Some(entry) = self.entry(Key::Time) {
            return self.read_numbers(entry, &range, out, scratch);
        }
        let rows = self.first_row() + range.start as u64..self.first_row() + range.end as u64;
        part.grid_times(&self.file, rows, out, scratch)
    }

    /// A system column as runs.
    fn read_runs<T: Copy + PartialEq>(
        &self,
        key: Key,
        range: &Range<usize>,
        scratch: &mut Scratch,
        out: &mut RunVec<T>,
        value: impl Fn(i64) -> Option<T>,
    ) -> Result<()> {
        let broken = |detail: &str| FormatError::corrupt("S19", self.head.offset, detail);
        let Some(entry) = self.entry(key) else { return Err(broken("a system column is missing")) };
        if entry.encoding == Encoding::Constant {
            let number = self.constant(entry).signed_varint()?;
            out.push(value(number).ok_or_else(|| broken("system value out of range"))?, range.len());
            return Ok(());
        }
        let mut numbers = std::mem::take(&mut scratch.system);
        numbers.clear();
        let read = self.read_numbers(entry, range, &mut numbers, scratch);
        for run in numbers.chunk_by(|a, b| a == b) {
            out.push(value(run[0]).ok_or_else(|| broken("system value out of range"))?, run.len());
        }
        scratch.system = numbers;
        read
    }

    /// Makes the model of a column ready, if it has one.
    pub(super) fn read_model(&self, entry: &Entry, models: &mut Models, int: &mut IntScratch) -> Result<()> {
        if entry.flags & MODEL == 0 {
            return Ok(());
        }
        let offset = entry.model_offset();
        models.read(entry.slot, (self.file.bytes.as_ptr() as usize, offset), |model| {
            let bytes = self.file.sealed(offset, entry.model)?;
            if lanes::are_of(&bytes) && self.file.required & features::LANES == 0 {
                return Err(FormatError::corrupt("K18", offset, "a model of lanes without its feature bit"));
            }
            model.read(&bytes, int).map_err(|error| error.shifted(offset))
        })
    }

    fn constant(&self, entry: &Entry) -> ByteReader<'_> {
        ByteReader::new(&self.head.content[entry.parameters.clone()], "S20")
    }

    /// Appends integers of a column without nulls.
    fn read_numbers(
        &self,
        entry: &Entry,
        range: &Range<usize>,
        out: &mut Vec<i64>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        match entry.encoding {
            Encoding::Constant => {
                let number = self.constant(entry).signed_varint()?;
                out.resize(out.len() + range.len(), number);
                Ok(())
            }
            Encoding::Integers => {
                self.read_model(entry, &mut scratch.models, &mut scratch.int)?;
                each_block(range, |block, rows| {
                    self.decode_integers(entry, block, scratch)?;
                    out.extend_from_slice(&scratch.numbers[rows]);
                    Ok(())
                })
            }
            Encoding::Raw => each_block(range, |block, rows| {
                let (bytes, _) = self.block(entry, block)?;
                extend_raw(out, bytes, rows, i64::from_le_bytes);
                Ok(())
            }),
            _ => Err(FormatError::corrupt(
                "S19",
                entry.offset,
                "system column with an encoding for other types",
            )),
        }
    }

    fn read_column(
        &self,
        entry: &Entry,
        range: &Range<usize>,
        out: &mut ColumnValues,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if !out.values.fits(entry.kind) {
            let detail = format!("column of type {} read as another", entry.kind.name());
            return Err(FormatError::limit("S23", entry.offset, detail));
        }
        let before = out.len();
        match entry.encoding {
            Encoding::Null => {
                out.push_nulls(range.len());
                return Ok(());
            }
            Encoding::Constant => self.read_constant(entry, range.len(), &mut out.values)?,
            Encoding::Dictionary => self.read_dictionary(entry, range, out, scratch)?,
            _ => {
                self.read_model(entry, &mut scratch.models, &mut scratch.int)?;
                each_block(range, |block, rows| {
                    let at = out.len();
                    if self.read_block(entry, block, rows.clone(), &mut out.values, scratch)? {
                        append_nulls(out, at, &scratch.nulls[rows]);
                    }
                    Ok(())
                })?;
            }
        }
        if let Some(nulls) = &mut out.nulls {
            nulls.resize(before + range.len(), false);
        }
        Ok(())
    }

    pub(super) fn read_constant(&self, entry: &Entry, count: usize, out: &mut Values) -> Result<()> {
        let mut reader = self.constant(entry);
        match out {
            Values::I64(out) => out.resize(out.len() + count, reader.signed_varint()?),
            Values::F64(out) => out.resize(out.len() + count, f64::from_bits(reader.u64()?)),
            Values::F32(out) => out.resize(out.len() + count, f32::from_bits(reader.u32()?)),
            Values::U8(out) => {
                let value = reader.u8()?;
                check_bytes(entry, &[value])?;
                out.resize(out.len() + count, value);
            }
            Values::Str(out) => out.push_times(&reader.string(STRING_BYTES)?, count),
        }
        Ok(())
    }

    /// Appends the values of rows of one block; whether some are null, and then `scratch.nulls` tells which.
    fn read_block(
        &self,
        entry: &Entry,
        block: usize,
        rows: Range<usize>,
        out: &mut Values,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        match entry.encoding {
            Encoding::Raw => {
                let (bytes, _) = self.block(entry, block)?;
                match out {
                    Values::I64(out) => extend_raw(out, bytes, rows, i64::from_le_bytes),
                    Values::F64(out) => extend_raw(out, bytes, rows, f64::from_le_bytes),
                    Values::F32(out) => extend_raw(out, bytes, rows, f32::from_le_bytes),
                    Values::U8(out) => {
                        check_bytes(entry, bytes)?;
                        out.extend_from_slice(&bytes[rows]);
                    }
                    Values::Str(_) => return Err(FormatError::corrupt("S20", entry.offset, "raw text")),
                }
                Ok(false)
            }
            Encoding::Integers => match out {
                // All rows of the block: straight to where they are wanted.
                Values::I64(out) if rows.len() == self.block_rows(block).len() => {
                    let at = out.len();
                    out.resize(at + rows.len(), 0);
                    self.decode_integers_to(entry, block, &mut out[at..], scratch)
                }
                _ => {
                    let some = self.decode_integers(entry, block, scratch)?;
                    append_integers(entry, &scratch.numbers[rows], out)?;
                    Ok(some)
                }
            },
            Encoding::Decimal => match out {
                Values::F64(out) => self.read_decimal(entry, block, rows, out, scratch),
                Values::F32(out) => self.read_decimal(entry, block, rows, out, scratch),
                _ => Err(wrong_type(entry)),
            },
            Encoding::Split => {
                let some = self.decode_split(entry, block, scratch)?;
                append_integers(entry, &scratch.numbers[rows], out)?;
                Ok(some)
            }
            Encoding::Text => self.read_text(entry, block, rows, out, scratch),
            Encoding::Null | Encoding::Constant | Encoding::Group | Encoding::Dictionary => {
                Err(wrong_type(entry))
            }
        }
    }

    /// Reads what tells the nulls of a block into `scratch.nulls`; whether some are null, and whether all.
    pub(super) fn read_nulls(
        entry: &Entry,
        reader: &mut ByteReader<'_>,
        count: usize,
        scratch: &mut Scratch,
    ) -> Result<(bool, bool)> {
        if entry.flags & NULLS == 0 {
            return Ok((false, false));
        }
        match reader.u8()? {
            0 => Ok((false, false)),
            1 => {
                let bits = &mut scratch.bits[..count];
                if !(scratch.int.kernels.wide.unpack)(reader.take(count.div_ceil(8))?, 1, bits) {
                    return Err(reader.error("left-over bits of a null bitmap are not zero"));
                }
                for (null, bit) in scratch.nulls.iter_mut().zip(bits.iter()) {
                    *null = *bit != 0;
                }
                Ok((true, false))
            }
            2 => {
                scratch.nulls[..count].fill(true);
                Ok((true, true))
            }
            other => Err(reader.error(format!("unknown form of nulls {other}"))),
        }
    }

    /// Decodes a block of integers into `scratch.numbers`, zero under nulls; whether some are null.
    pub(super) fn decode_integers(&self, entry: &Entry, block: usize, scratch: &mut Scratch) -> Result<bool> {
        let mut numbers = std::mem::take(&mut scratch.numbers);
        let count = self.block_rows(block).len();
        let some = self.decode_integers_to(entry, block, &mut numbers[..count], scratch);
        scratch.numbers = numbers;
        some
    }

    /// [`Self::decode_integers`], to another place.
    fn decode_integers_to(
        &self,
        entry: &Entry,
        block: usize,
        numbers: &mut [i64],
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let (bytes, offset) = self.block(entry, block)?;
        let count = numbers.len();
        let mut reader = ByteReader::new(bytes, "K1");
        let decoded = (|| {
            let (some, all) = Self::read_nulls(entry, &mut reader, count, scratch)?;
            let Scratch { int, nulls, models, .. } = scratch;
            if all {
                numbers.fill(0);
            } else {
                int::decode_alone(&mut reader, numbers, int, model_of(entry, models))?;
            }
            if some {
                for (number, null) in numbers.iter_mut().zip(nulls.iter()) {
                    *number = if *null { 0 } else { *number };
                }
            }
            reader.finish().map(|()| some)
        })();
        decoded.map_err(|error: FormatError| error.shifted(offset))
    }

    fn read_decimal<F: Float>(
        &self,
        entry: &Entry,
        block: usize,
        rows: Range<usize>,
        out: &mut Vec<F>,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let (bytes, offset) = self.block(entry, block)?;
        let count = self.block_rows(block).len();
        let Some(scale) = entry.scale else { return Err(wrong_type(entry)) };
        let mut reader = ByteReader::new(bytes, "K10");
        let at = out.len();
        let decoded = (|| {
            let (some, all) = Self::read_nulls(entry, &mut reader, count, scratch)?;
            if all {
                out.resize(at + rows.len(), F::narrow(0.0));
                return reader.finish().map(|()| true);
            }
            let Scratch { int, numbers, small, models, .. } = scratch;
            let reach = int::reach(reader.clone(), count).map_or(u64::MAX, |reach| reach.1);
            if scale.is_small(reach) && reach < NARROW {
                let numbers = &mut small[..count];
                int::decode_narrow_alone(&mut reader, numbers, int)?;
                scale.extend_small(int.kernels, &numbers[rows.clone()], out);
            } else {
                let numbers = &mut numbers[..count];
                int::decode_alone(&mut reader, numbers, int, model_of(entry, models))?;
                if scale.is_small(reach) {
                    scale.extend_small(int.kernels, &numbers[rows.clone()], out);
                } else {
                    scale.extend(int.kernels, &numbers[rows.clone()], out);
                }
            }
            if entry.flags & FACTORS != 0 {
                reader.cite("K17");
                F::multiply(
                    &mut reader,
                    count,
                    rows.start,
                    &mut out[at..],
                    &mut scratch.bits,
                    &mut scratch.int,
                )?;
            }
            if entry.flags & STRAYS != 0 {
                reader.cite("K11");
                decimal::patch(&mut reader, count, rows.start, &mut out[at..], &mut scratch.bits)?;
            }
            if some {
                for (value, null) in out[at..].iter_mut().zip(&scratch.nulls[rows.clone()]) {
                    *value = if *null { F::narrow(0.0) } else { *value };
                }
            }
            reader.finish().map(|()| some)
        })();
        decoded.map_err(|error: FormatError| error.shifted(offset))
    }

    /// Decodes a block of floats in two halves into their bits in `scratch.numbers`; whether some are null.
    fn decode_split(&self, entry: &Entry, block: usize, scratch: &mut Scratch) -> Result<bool> {
        let (bytes, offset) = self.block(entry, block)?;
        let count = self.block_rows(block).len();
        let cut = u32::from(self.head.content[entry.parameters.start]);
        let mut reader = ByteReader::new(bytes, "K12");
        let decoded = (|| {
            let (some, all) = Self::read_nulls(entry, &mut reader, count, scratch)?;
            let Scratch { int, numbers, bits, nulls, models, .. } = scratch;
            let (numbers, bits) = (&mut numbers[..count], &mut bits[..count]);
            if all {
                numbers.fill(0);
                return reader.finish().map(|()| true);
            }
            int::decode_alone(&mut reader, numbers, int, model_of(entry, models))?;
            reader.cite("K12");
            if !(int.kernels.wide.unpack)(reader.take(packed_bytes(count, cut))?, cut, bits) {
                return Err(reader.error("left-over bits are not zero"));
            }
            for (number, low) in numbers.iter_mut().zip(bits.iter()) {
                *number = number.wrapping_shl(cut) | low;
            }
            if some {
                for (number, null) in numbers.iter_mut().zip(nulls.iter()) {
                    *number = if *null { 0 } else { *number };
                }
            }
            reader.finish().map(|()| some)
        })();
        decoded.map_err(|error: FormatError| error.shifted(offset))
    }

    /// The values of an `f64` column that is stored raw, borrowed from the segment; `None` if it is not.
    ///
    /// # Errors
    /// Damage to the blocks that are touched, or a range beyond the chunk.
    pub fn raw_f64(&self, id: ColumnId, range: Range<usize>) -> Result<Option<&'a [f64]>> {
        let bytes = self.raw(id, |kind| kind == ColumnType::F64, range)?;
        Ok(bytes.and_then(|bytes| bytemuck::try_cast_slice(bytes).ok()))
    }

    /// The values of an `i64` or timestamp column that is stored raw, borrowed; `None` if it is not.
    ///
    /// # Errors
    /// Damage to the blocks that are touched, or a range beyond the chunk.
    pub fn raw_i64(&self, id: ColumnId, range: Range<usize>) -> Result<Option<&'a [i64]>> {
        let bytes = self.raw(id, |kind| matches!(kind, ColumnType::I64 | ColumnType::Timestamp), range)?;
        Ok(bytes.and_then(|bytes| bytemuck::try_cast_slice(bytes).ok()))
    }

    fn raw(
        &self,
        id: ColumnId,
        wanted: impl Fn(ColumnType) -> bool,
        range: Range<usize>,
    ) -> Result<Option<&'a [u8]>> {
        self.check_range(&range)?;
        let entry =
            self.entry(Key::Column(id)).filter(|entry| entry.encoding == Encoding::Raw && wanted(entry.kind));
        let Some(entry) = entry.filter(|_| cfg!(target_endian = "little")) else { return Ok(None) };
        debug_assert!(entry.offset.is_multiple_of(ALIGNMENT as u64));
        for block in range.start / BLOCK_ROWS..range.end.div_ceil(BLOCK_ROWS) {
            self.block(entry, block)?;
        }
        let start = entry.offset + range.start as u64 * 8;
        self.file.slice(start, range.len() as u64 * 8).map(Some)
    }
}

/// The model to decode a column's blocks with, if it has one.
pub(super) fn model_of<'m>(entry: &Entry, models: &'m Models) -> Option<&'m Model> {
    (entry.flags & MODEL != 0).then(|| models.of(entry.slot))
}

/// Appends the nulls of a block to a column that had `at` rows before it.
pub(super) fn append_nulls(column: &mut ColumnValues, at: usize, nulls: &[bool]) {
    let all = column.nulls.get_or_insert_with(|| vec![false; at]);
    all.resize(at, false);
    all.extend_from_slice(nulls);
}

/// Calls `read` for every block that meets the range, with the rows within the block.
pub(super) fn each_block(
    range: &Range<usize>,
    mut read: impl FnMut(usize, Range<usize>) -> Result<()>,
) -> Result<()> {
    let mut row = range.start;
    while row < range.end {
        let block = row / BLOCK_ROWS;
        let start = block * BLOCK_ROWS;
        let end = range.end.min(start + BLOCK_ROWS);
        read(block, row - start..end - start)?;
        row = end;
    }
    Ok(())
}

/// Appends decoded integers as values of the column's type.
fn append_integers(entry: &Entry, numbers: &[i64], out: &mut Values) -> Result<()> {
    let broken = || FormatError::corrupt("S20", entry.offset, "number out of range for its type");
    match out {
        Values::I64(out) => out.extend_from_slice(numbers),
        Values::F64(out) => out.extend(numbers.iter().map(|number| f64::from_bits(*number as u64))),
        Values::F32(out) => {
            for number in numbers {
                out.push(f32::from_bits(u32::try_from(*number).map_err(|_| broken())?));
            }
        }
        Values::U8(out) => {
            let limit = if entry.kind == ColumnType::Bool { 1 } else { 255 };
            for number in numbers {
                out.push(u8::try_from(*number).ok().filter(|byte| *byte <= limit).ok_or_else(broken)?);
            }
        }
        Values::Str(_) => return Err(broken()),
    }
    Ok(())
}

/// Bools are 0 or 1, however they are stored.
fn check_bytes(entry: &Entry, values: &[u8]) -> Result<()> {
    if entry.kind == ColumnType::Bool && values.iter().any(|value| *value > 1) {
        return Err(FormatError::corrupt("S20", entry.offset, "a bool that is neither 0 nor 1"));
    }
    Ok(())
}

pub(super) fn wrong_type(entry: &Entry) -> FormatError {
    let detail = format!("{} of type {} read as something else", entry.encoding.name(), entry.kind.name());
    FormatError::corrupt("S20", entry.offset, detail)
}

/// Appends rows of a raw block: a copy, where numbers in memory have the order of bytes that they have in files.
fn extend_raw<T, const N: usize>(
    out: &mut Vec<T>,
    bytes: &[u8],
    rows: Range<usize>,
    of: impl Fn([u8; N]) -> T,
) {
    let (numbers, _) = bytes.as_chunks::<N>();
    out.extend(numbers[rows].iter().map(|number| of(*number)));
}
