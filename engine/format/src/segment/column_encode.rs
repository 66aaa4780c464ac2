//! One column of a chunk to bytes: which encoding, its entry in the chunk's head, its blocks.

use super::Tier;
use super::chunk::{Encoding, Key, LONG, NANS, NULLS, ZONES};
use super::sealed::sealed_bytes;
use crate::bytes::ByteWriter;
use crate::codec::bitpack::pack;
use crate::codec::int_encode;
use crate::limits::{BLOCK_ROWS, CHECKED_BYTES};
use crate::rows::{ColumnValues, Strings, Values};
use crate::schema::ColumnType;

/// Chunks of fewer rows carry no zone maps: reading them costs less.
const ZONED_ROWS: usize = 128;

/// An encoded column that does not know its place in the file yet.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The entry up to the block table.
    entry: Vec<u8>,
    /// Length of every block; empty if the encoding has none.
    lengths: Vec<usize>,
    /// Whether lengths are written (raw blocks imply theirs), and in four bytes.
    listed: bool,
    long: bool,
    aligned: bool,
    /// Content of the heap, to be sealed.
    heap: Vec<u8>,
    payload: Vec<u8>,
}

impl Encoded {
    fn new(key: Key, kind: ColumnType, encoding: Encoding, flags: u8) -> Self {
        let mut entry = Vec::new();
        entry.put_varint(key.code());
        entry.put_u8(kind as u8);
        entry.put_u8(encoding as u8);
        entry.put_u8(flags);
        Self { entry, ..Self::default() }
    }

    /// Bytes that the entry will take in the head.
    pub(super) fn entry_bytes(&self) -> usize {
        let width = if self.long { 4 } else { 2 };
        let listed = if self.listed { self.lengths.len() * width } else { 0 };
        let units: usize = self.lengths.iter().map(|length| length.div_ceil(CHECKED_BYTES)).sum();
        self.entry.len() + listed + units * 4
    }

    /// Where the column's bytes begin if the bytes before end at `position`.
    pub(super) fn begins(&self, position: u64) -> u64 {
        if self.aligned { position.next_multiple_of(crate::limits::ALIGNMENT as u64) } else { position }
    }

    /// Bytes that the column takes behind the head.
    pub(super) fn payload_bytes(&self) -> usize {
        sealed_bytes(self.heap.len()) + self.payload.len()
    }

    /// Appends the entry, and the payload as it will stand at `position`.
    pub(super) fn place(
        &self,
        identity: &crate::checksum::Identity,
        position: u64,
        head: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        super::sealed::seal(identity, position, &self.heap, out);
        out.extend_from_slice(&self.payload);
        head.extend_from_slice(&self.entry);
        if self.listed {
            for length in &self.lengths {
                if self.long { head.put_u32(*length as u32) } else { head.put_u16(*length as u16) }
            }
        }
        let mut offset = position + sealed_bytes(self.heap.len()) as u64;
        let mut rest = self.payload.as_slice();
        for length in &self.lengths {
            let (block, after) = rest.split_at(*length);
            for unit in block.chunks(CHECKED_BYTES) {
                head.put_u32(identity.crc(offset, unit));
                offset += unit.len() as u64;
            }
            rest = after;
        }
    }

    /// Finishes the entry: the long flag is known only when all blocks are.
    fn finish(mut self, flags_at: usize) -> Self {
        self.listed = !self.aligned;
        self.long = self.listed && self.lengths.iter().any(|length| *length > usize::from(u16::MAX));
        if self.long {
            self.entry[flags_at] |= LONG;
        }
        self
    }
}

/// Encodes a column of a chunk.
pub(super) fn encode(key: Key, kind: ColumnType, column: &ColumnValues, tier: Tier) -> Encoded {
    let rows = column.len();
    let nulls = column.nulls.as_deref().filter(|nulls| nulls.contains(&true));
    if nulls.is_some_and(|nulls| !nulls.contains(&false)) {
        return Encoded::new(key, kind, Encoding::Null, 0);
    }
    if nulls.is_none() && (1..rows).all(|row| column.values.same(row, &column.values, 0)) {
        return constant(key, kind, &column.values);
    }
    match &column.values {
        Values::I64(values) if tier == Tier::Hot && nulls.is_none() && !key.is_system() => {
            raw(key, kind, column, bytemuck_bytes(values, |v| v.to_le_bytes()))
        }
        Values::F64(values) if tier == Tier::Hot && nulls.is_none() => {
            raw(key, kind, column, bytemuck_bytes(values, |v| v.to_le_bytes()))
        }
        Values::F32(values) if tier == Tier::Hot && nulls.is_none() => {
            raw(key, kind, column, bytemuck_bytes(values, |v| v.to_le_bytes()))
        }
        Values::Str(texts) => text(key, kind, texts, nulls),
        values => integers(key, kind, column, &as_integers(values), nulls),
    }
}

fn bytemuck_bytes<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}

/// Numbers as integers; floats by their bits.
fn as_integers(values: &Values) -> Vec<i64> {
    match values {
        Values::I64(values) => values.clone(),
        Values::F64(values) => values.iter().map(|value| value.to_bits() as i64).collect(),
        Values::F32(values) => values.iter().map(|value| i64::from(value.to_bits())).collect(),
        Values::U8(values) => values.iter().map(|value| i64::from(*value)).collect(),
        Values::Str(_) => unreachable!("text has its own encodings"),
    }
}

fn constant(key: Key, kind: ColumnType, values: &Values) -> Encoded {
    let mut out = Encoded::new(key, kind, Encoding::Constant, 0);
    match values {
        Values::I64(values) => out.entry.put_signed_varint(values[0]),
        Values::F64(values) => out.entry.put_u64(values[0].to_bits()),
        Values::F32(values) => out.entry.put_u32(values[0].to_bits()),
        Values::U8(values) => out.entry.put_u8(values[0]),
        Values::Str(texts) => out.entry.put_string(texts.get(0)),
    }
    out
}

fn raw(key: Key, kind: ColumnType, column: &ColumnValues, payload: Vec<u8>) -> Encoded {
    let width = payload.len() / column.len();
    let mut out = Encoded::new(key, kind, Encoding::Raw, 0);
    let flags_at = out.entry.len() - 1;
    out.aligned = true;
    out.lengths = payload.chunks(width * BLOCK_ROWS).map(<[u8]>::len).collect();
    out.payload = payload;
    put_zones(&mut out, column);
    out.finish(flags_at)
}

/// Appends what tells the nulls of a block: 0 none, 1 a bitmap follows, 2 all. Returns whether values follow.
fn put_nulls(nulls: Option<&[bool]>, out: &mut Vec<u8>) -> bool {
    let Some(nulls) = nulls else { return true };
    if !nulls.contains(&true) {
        out.put_u8(0);
    } else if nulls.contains(&false) {
        out.put_u8(1);
        pack(nulls.iter().map(|null| u64::from(*null)), 1, out);
    } else {
        out.put_u8(2);
        return false;
    }
    true
}

fn integers(
    key: Key,
    kind: ColumnType,
    column: &ColumnValues,
    numbers: &[i64],
    nulls: Option<&[bool]>,
) -> Encoded {
    let mut out = Encoded::new(key, kind, Encoding::Integers, if nulls.is_some() { NULLS } else { 0 });
    let flags_at = out.entry.len() - 1;
    let filled = nulls.map(|nulls| fill(numbers, nulls));
    let numbers = filled.as_deref().unwrap_or(numbers);
    for (index, block) in numbers.chunks(BLOCK_ROWS).enumerate() {
        let start = out.payload.len();
        let nulls = nulls.map(|nulls| &nulls[index * BLOCK_ROWS..index * BLOCK_ROWS + block.len()]);
        if put_nulls(nulls, &mut out.payload) {
            int_encode::encode(block, None, &mut out.payload);
        }
        out.lengths.push(out.payload.len() - start);
    }
    put_zones(&mut out, column);
    out.finish(flags_at)
}

/// Numbers with the one before in place of nulls: the cheapest to pack.
fn fill(numbers: &[i64], nulls: &[bool]) -> Vec<i64> {
    let mut last = numbers.iter().zip(nulls).find(|(_, null)| !**null).map_or(0, |(number, _)| *number);
    let keep = numbers.iter().zip(nulls).map(|(number, null)| {
        last = if *null { last } else { *number };
        last
    });
    keep.collect()
}

fn text(key: Key, kind: ColumnType, texts: &Strings, nulls: Option<&[bool]>) -> Encoded {
    let mut out = Encoded::new(key, kind, Encoding::Text, if nulls.is_some() { NULLS } else { 0 });
    let flags_at = out.entry.len() - 1;
    for start in (0..texts.len()).step_by(BLOCK_ROWS) {
        let rows = start..texts.len().min(start + BLOCK_ROWS);
        let before = out.payload.len();
        if put_nulls(nulls.map(|nulls| &nulls[rows.clone()]), &mut out.payload) {
            let lengths: Vec<i64> = rows.clone().map(|row| texts.get(row).len() as i64).collect();
            int_encode::encode(&lengths, None, &mut out.payload);
            rows.for_each(|row| out.payload.extend_from_slice(texts.get(row).as_bytes()));
        }
        out.lengths.push(out.payload.len() - before);
    }
    out.finish(flags_at)
}

/// Zone maps come in step with the decimal codec.
fn put_zones(out: &mut Encoded, column: &ColumnValues) {
    let _ = (out, column.len() >= ZONED_ROWS, NANS, ZONES);
}
