//! One column of a chunk to bytes: which encoding, its entry in the chunk's head, its blocks.

use std::cell::Cell;

use super::chunk::{Encoding, FACTORS, Key, LONG, MODEL, NULLS, STRAYS};
use super::sealed::sealed_bytes;
use super::zones::{self, Bounds};
use super::{Tier, text_encode};
use crate::bytes::ByteWriter;
use crate::codec::bins_encode::Coding;
use crate::codec::bitpack::pack;
use crate::codec::decimal::{Float, Mantissas, Scale, choose, sample};
use crate::codec::factor_find::Prices;
use crate::codec::int_encode::{self, Forms};
use crate::limits::{BLOCK_ROWS, CHECKED_BYTES};
use crate::rows::{ColumnValues, Values};
use crate::schema::ColumnType;
use crate::spare;

/// Values of a chunk that the scale of decimals is chosen from.
pub(super) const SAMPLE: usize = 512;
/// Factors are looked for where more than one value of so many is an exception.
pub(super) const MANY: usize = 16;
/// Factors ask for a reader that knows them: they have to save more than one byte of so many.
const WORTH: usize = 8;

/// About how many blocks of a column tell whether a model is worth it.
const TOLD_BY: usize = 8;
/// Half of those do, if what they tell is off by more than one part of so many from what would decide otherwise.
const CLEAR: usize = 8;

/// How the columns of a chunk may be stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways<'w> {
    pub(super) tier: Tier,
    pub(super) forms: Forms,
    pub(super) coded: Coded,
    /// Whether decimals may have factors.
    pub(super) factors: bool,
    /// Set if they would have, but may not.
    pub(super) gain: &'w Cell<bool>,
}

/// When a column gets a model, and blocks of it are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    Never,
    /// If that saves an eighth of its bytes at least: decoding takes several times as long then.
    ByAnEighth,
    /// If that saves a quarter: of times, which are looked through for where a range begins. Most have no model then, so some
    /// blocks tell first.
    ByAQuarter,
    /// If it is smaller at all.
    IfSmaller,
    /// As `IfSmaller`; else there is a model that no block uses. A reader is to see which tier this is.
    OrMarked,
}

impl Ways<'_> {
    /// Whether factors that gain something may be used; takes note of those that may not.
    pub(super) fn may_use_factors(self) -> bool {
        if !self.factors {
            self.gain.set(true);
        }
        self.factors
    }
}

/// An encoded column that does not know its place in the file yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoded {
    /// The entry up to the block table.
    pub(super) entry: Vec<u8>,
    flags_at: usize,
    /// Length of every block; empty if the encoding has none.
    lengths: Vec<usize>,
    /// Whether lengths are written (raw blocks imply theirs), and in four bytes.
    listed: bool,
    long: bool,
    aligned: bool,
    /// Contents of the heap and of the model, to be sealed.
    pub(super) heap: Vec<u8>,
    model: Vec<u8>,
    payload: Vec<u8>,
}

impl Encoded {
    pub(super) fn new(key: Key, kind: ColumnType, encoding: Encoding, flags: u8) -> Self {
        let mut entry = Vec::new();
        entry.put_varint(key.code());
        entry.put_u8(kind as u8);
        entry.put_u8(encoding as u8);
        entry.put_u8(flags);
        Self { flags_at: entry.len() - 1, entry, payload: spare::take(), ..Self::default() }
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

    /// Whether blocks may be coded.
    pub(super) fn has_model(&self) -> bool {
        self.entry[self.flags_at] & MODEL != 0
    }

    /// Bytes in front of the blocks.
    fn front_bytes(&self) -> usize {
        sealed_bytes(self.heap.len()) + sealed_bytes(self.model.len())
    }

    /// Bytes that the column takes behind the head.
    pub(super) fn payload_bytes(&self) -> usize {
        self.front_bytes() + self.payload.len()
    }

    /// Appends the entry, and the payload as it will stand at `position`.
    pub(super) fn place(
        self,
        identity: &crate::checksum::Identity,
        position: u64,
        head: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        super::sealed::seal(identity, position, &self.heap, out);
        super::sealed::seal(identity, position + sealed_bytes(self.heap.len()) as u64, &self.model, out);
        out.extend_from_slice(&self.payload);
        head.extend_from_slice(&self.entry);
        if self.listed {
            for length in &self.lengths {
                if self.long { head.put_u32(*length as u32) } else { head.put_u16(*length as u16) }
            }
        }
        let mut offset = position + self.front_bytes() as u64;
        let mut rest = self.payload.as_slice();
        for length in &self.lengths {
            let (block, after) = rest.split_at(*length);
            for unit in block.chunks(CHECKED_BYTES) {
                head.put_u32(identity.crc(offset, unit));
                offset += unit.len() as u64;
            }
            rest = after;
        }
        spare::give(self.payload);
    }

    /// Appends the length of the model, if there is one, after the parameters.
    pub(super) fn put_model(&mut self, coding: Option<&Coding<'_>>) {
        if let Some(coding) = coding {
            self.entry[self.flags_at] |= MODEL;
            self.model = coding.model();
            self.entry.put_varint(self.model.len() as u64);
        }
    }

    /// Appends zone maps to the entry, after the parameters.
    pub(super) fn put_zones(&mut self, column: &ColumnValues, bounds: Bounds, nullable: bool) {
        let (flags, bytes) = zones::encode(column, bounds, nullable);
        self.entry[self.flags_at] |= flags;
        if flags != 0 {
            self.entry.put_varint(bytes.len() as u64);
            self.entry.extend_from_slice(&bytes);
        }
    }

    /// Appends a block.
    pub(super) fn block(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.payload.len();
        write(&mut self.payload);
        self.lengths.push(self.payload.len() - start);
    }

    /// Finishes the entry: the long flag is known only when all blocks are.
    pub(super) fn finish(mut self) -> Self {
        self.listed = !self.aligned;
        self.long = self.listed && self.lengths.iter().any(|length| *length > usize::from(u16::MAX));
        if self.long {
            self.entry[self.flags_at] |= LONG;
        }
        self
    }
}

/// Encodes a column of a chunk.
pub(super) fn encode(key: Key, kind: ColumnType, column: &ColumnValues, ways: Ways<'_>) -> Encoded {
    let nulls = nulls_of(column);
    if nulls.is_some_and(|nulls| !nulls.contains(&false)) {
        return Encoded::new(key, kind, Encoding::Null, 0);
    }
    if is_constant(column) {
        return constant(key, kind, &column.values);
    }
    let hot = ways.tier == Tier::Hot && nulls.is_none() && !key.is_system();
    match &column.values {
        Values::Str(texts) => text_encode::encode(key, kind, texts, nulls, ways),
        Values::I64(_) | Values::F64(_) | Values::F32(_) if hot => raw(key, kind, column),
        Values::F64(values) => floats(key, kind, column, values, nulls, ways),
        Values::F32(values) => floats(key, kind, column, values, nulls, ways),
        Values::I64(values) => integers(key, kind, column, values, nulls, Bounds::Integers, ways),
        Values::U8(values) => {
            let numbers: Vec<i64> = values.iter().map(|value| i64::from(*value)).collect();
            integers(key, kind, column, &numbers, nulls, Bounds::Integers, ways)
        }
    }
}

/// What `build` makes: with a model if that, its own bytes counted, saves as much as the tier asks for.
pub(super) fn coded_if_smaller(
    ways: Ways<'_>,
    values: &[i64],
    residuals: Option<&[i64]>,
    build: impl Fn(&Blocks<'_>) -> Encoded,
) -> Encoded {
    let with = |coding: Option<&Coding<'_>>| build(&Blocks { forms: ways.forms, coding });
    if ways.coded == Coded::Never {
        return with(None);
    }
    let blocks = values.len().div_ceil(BLOCK_ROWS);
    if ways.coded == Coded::ByAQuarter && blocks > 2 * TOLD_BY {
        let some: Vec<&[i64]> = values.chunks(BLOCK_ROWS).step_by(blocks.div_ceil(TOLD_BY)).collect();
        let some = some.concat();
        if Coding::quick(ways.forms, &some, None)
            .is_none_or(|coding| !saves(&coding, &some, None, ways, blocks))
        {
            return with(None);
        }
    }
    let make = if ways.tier == Tier::Cold { Coding::new } else { Coding::quick };
    let coding = make(ways.forms, values, residuals);
    match coding.filter(|coding| saves(coding, values, residuals, ways, blocks)) {
        Some(coding) => with(Some(&coding)),
        None if ways.coded == Coded::OrMarked => with(Some(&Coding::mark())),
        None => with(None),
    }
}

/// Whether coded blocks save as much as the tier asks for, with a model for so many. Some blocks tell, the fewer the clearer:
/// packing all of them to see would take longer than coding them.
fn saves(
    coding: &Coding<'_>,
    values: &[i64],
    residuals: Option<&[i64]>,
    ways: Ways<'_>,
    model_for: usize,
) -> bool {
    let count = values.len().div_ceil(BLOCK_ROWS);
    let model = coding.model().len();
    // Coded bytes times the first number are to be no more than packed ones times the second.
    let (of, at_most) = match ways.coded {
        Coded::ByAnEighth => (8, 7),
        Coded::ByAQuarter => (4, 3),
        _ => (1, 1),
    };
    let (mut bytes, mut packed, mut coded, mut saves) = (Vec::new(), 0, 0, false);
    for (told, block) in (1..).zip((0..count).step_by(count.div_ceil(TOLD_BY))) {
        let rows = block * BLOCK_ROWS..values.len().min((block + 1) * BLOCK_ROWS);
        let residuals = residuals.map(|residuals| &residuals[rows.clone()]);
        bytes.clear();
        int_encode::encode_with(ways.forms, &values[rows], residuals, &mut bytes);
        let most = bytes.len();
        packed += most;
        bytes.clear();
        coded += if coding.encode(block, most, &mut bytes) { bytes.len() } else { most };
        let (these, those) = ((coded + model * told / model_for) * of, packed * at_most);
        saves = if of == 1 { these < those } else { these <= those };
        if told * 2 >= TOLD_BY && these.abs_diff(those) * CLEAR > those {
            break;
        }
    }
    saves
}

/// How the integer blocks of a column are written: coded if there is a model and that is smaller.
pub(super) struct Blocks<'b> {
    forms: Forms,
    pub(super) coding: Option<&'b Coding<'b>>,
}

impl Blocks<'_> {
    /// Appends the block of that number, which has these values.
    pub(super) fn put(&self, index: usize, values: &[i64], residuals: Option<&[i64]>, out: &mut Vec<u8>) {
        let start = out.len();
        let coded = self.coding.is_some_and(|coding| coding.encode(index, usize::MAX, out));
        let middle = out.len();
        if coded && !int_encode::may_take_less(values, residuals, middle - start) {
            return;
        }
        int_encode::encode_with(self.forms, values, residuals, out);
        if coded && out.len() - middle <= middle - start {
            out.drain(start..middle);
        } else if coded {
            out.truncate(middle);
        }
    }
}

pub(super) fn nulls_of(column: &ColumnValues) -> Option<&[bool]> {
    column.nulls.as_deref().filter(|nulls| nulls.contains(&true))
}

pub(super) fn is_constant(column: &ColumnValues) -> bool {
    let same = match &column.values {
        Values::I64(values) => values.iter().all(|value| *value == values[0]),
        Values::F64(values) => values.iter().all(|value| value.to_bits() == values[0].to_bits()),
        values => (1..values.len()).all(|row| values.same(row, values, 0)),
    };
    same && nulls_of(column).is_none()
}

/// What products with factors have to stay below, in bytes: half of the values as they are in memory, and most of what
/// plain decimals take.
pub(super) fn limit(raw: usize, plain: Option<usize>) -> usize {
    plain.map_or(raw / 2, |plain| (plain - plain / WORTH).min(raw / 2))
}

/// Whether more than one value of so many is an exception.
pub(super) fn has_strays(columns: &[Mantissas], one_of: usize) -> bool {
    columns.iter().any(|column| column.strays.len() * one_of > column.numbers.len())
}

/// Entry flags of what stands behind the mantissas of blocks.
pub(super) fn behind(numbers: &Mantissas) -> u8 {
    let strays = if numbers.strays.is_empty() { 0 } else { STRAYS };
    strays | if numbers.factors.is_some() { FACTORS } else { 0 }
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

/// Values as they are in memory.
fn raw(key: Key, kind: ColumnType, column: &ColumnValues) -> Encoded {
    let (payload, bounds): (Vec<u8>, Bounds) = match &column.values {
        Values::I64(values) => (values.iter().flat_map(|v| v.to_le_bytes()).collect(), Bounds::Integers),
        Values::F64(values) => (values.iter().flat_map(|v| v.to_le_bytes()).collect(), Bounds::Floats(None)),
        Values::F32(values) => (values.iter().flat_map(|v| v.to_le_bytes()).collect(), Bounds::Singles(None)),
        Values::U8(values) => (values.clone(), Bounds::Integers),
        Values::Str(_) => unreachable!("text has its own encodings"),
    };
    let width = payload.len() / column.len();
    let mut out = Encoded::new(key, kind, Encoding::Raw, 0);
    out.put_zones(column, bounds, false);
    out.aligned = true;
    out.lengths = payload.chunks(width * BLOCK_ROWS).map(<[u8]>::len).collect();
    out.payload = payload;
    out.finish()
}

/// Appends what tells the nulls of a block: 0 none, 1 a bitmap follows, 2 all. Returns whether values follow.
pub(super) fn put_nulls(nulls: Option<&[bool]>, out: &mut Vec<u8>) -> bool {
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

pub(super) fn null_flag(nulls: Option<&[bool]>) -> u8 {
    if nulls.is_some() { NULLS } else { 0 }
}

fn integers(
    key: Key,
    kind: ColumnType,
    column: &ColumnValues,
    numbers: &[i64],
    nulls: Option<&[bool]>,
    bounds: Bounds,
    ways: Ways<'_>,
) -> Encoded {
    let filled = nulls.map(|nulls| fill(numbers, nulls));
    let numbers = filled.as_deref().unwrap_or(numbers);
    coded_if_smaller(ways, numbers, None, |blocks| {
        let mut out = Encoded::new(key, kind, Encoding::Integers, null_flag(nulls));
        out.put_model(blocks.coding);
        if !key.is_system() {
            out.put_zones(column, bounds, nulls.is_some());
        }
        for (index, block) in numbers.chunks(BLOCK_ROWS).enumerate() {
            let nulls = nulls.map(|nulls| &nulls[index * BLOCK_ROWS..index * BLOCK_ROWS + block.len()]);
            out.block(|payload| {
                if put_nulls(nulls, payload) {
                    blocks.put(index, block, None, payload);
                }
            });
        }
        out.finish()
    })
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

/// The smallest of decimals, products of decimals and factors, bits as integers, bits in two halves, and raw.
fn floats<F: Float>(
    key: Key,
    kind: ColumnType,
    column: &ColumnValues,
    values: &[F],
    nulls: Option<&[bool]>,
    ways: Ways<'_>,
) -> Encoded {
    let raw_bytes = size_of_val(values);
    let good = raw_bytes / 4 * 3;
    let plain = plain_decimals(values, nulls);
    let many = plain.as_ref().is_none_or(|plain| has_strays(std::slice::from_ref(&plain.1), MANY));
    let put = |(exponent, numbers)| put_decimals::<F>(key, kind, column, exponent, numbers, nulls, ways);
    let decimal = plain.and_then(put);
    if many && let Some(found) = factored(column, nulls, ways).and_then(put) {
        let limit = limit(raw_bytes, decimal.as_ref().map(Encoded::payload_bytes));
        if found.payload_bytes() < limit && ways.may_use_factors() {
            return found;
        }
    }
    let decimal = match decimal {
        Some(decimal) if decimal.payload_bytes() < good => return decimal,
        other => other,
    };
    let bounds = if size_of::<F>() == 8 { Bounds::Floats(None) } else { Bounds::Singles(None) };
    let bits: Vec<i64> = values.iter().map(|value| value.to_int()).collect();
    let whole = integers(key, kind, column, &bits, nulls, bounds, ways);
    let halves = split(key, kind, column, &bits, nulls, bounds, ways);
    let best = decimal.into_iter().chain([whole, halves]).min_by_key(Encoded::payload_bytes);
    // A column without blocks of integers tells no tier.
    let tells = ways.coded == Coded::OrMarked;
    match best {
        Some(best) if nulls.is_some() || tells || best.payload_bytes() < raw_bytes - raw_bytes / 50 => best,
        _ => raw(key, kind, column),
    }
}

/// Decimal places and mantissas of a column, unless too many values are no decimals.
fn plain_decimals<F: Float>(values: &[F], nulls: Option<&[bool]>) -> Option<(u8, Mantissas)> {
    let is_null = |index: usize| nulls.is_some_and(|nulls| nulls[index]);
    let exponent = choose(&sample(values, |index| !is_null(index), SAMPLE))?;
    let numbers = Mantissas::of(values, exponent, is_null);
    (numbers.strays.len() * 2 <= values.len()).then_some((exponent, numbers))
}

/// Decimal places, mantissas and factors of a column, if it is one of adjusted prices.
fn factored(column: &ColumnValues, nulls: Option<&[bool]>, ways: Ways<'_>) -> Option<(u8, Mantissas)> {
    let Values::F64(values) = &column.values else { return None };
    if ways.tier == Tier::Hot {
        return None;
    }
    let is_null = |index: usize| nulls.is_some_and(|nulls| nulls[index]);
    let (exponent, runs) = Prices { columns: &[values], skip: is_null }.factors()?;
    Some((exponent, Mantissas::factored(values, exponent, &runs, is_null)))
}

fn put_decimals<F: Float>(
    key: Key,
    kind: ColumnType,
    column: &ColumnValues,
    exponent: u8,
    mut numbers: Mantissas,
    nulls: Option<&[bool]>,
    ways: Ways<'_>,
) -> Option<Encoded> {
    let divisor = i64::try_from(numbers.divisor.max(1)).ok()?;
    numbers.divide(divisor);
    let scale = Scale { exponent, divisor };
    let bounds = if size_of::<F>() == 8 { Bounds::Floats(Some(scale)) } else { Bounds::Singles(Some(scale)) };
    let encoded = coded_if_smaller(ways, &numbers.numbers, None, |blocks| {
        let flags = null_flag(nulls) | behind(&numbers);
        let mut out = Encoded::new(key, kind, Encoding::Decimal, flags);
        scale.encode(&mut out.entry);
        out.put_model(blocks.coding);
        out.put_zones(column, bounds, nulls.is_some());
        for (index, block) in numbers.numbers.chunks(BLOCK_ROWS).enumerate() {
            let start = index * BLOCK_ROWS;
            out.block(|payload| {
                if put_nulls(nulls.map(|nulls| &nulls[start..start + block.len()]), payload) {
                    blocks.put(index, block, None, payload);
                    numbers.put_behind::<F>(scale, start, block.len(), payload);
                }
            });
        }
        out.finish()
    });
    spare::give(numbers.numbers);
    Some(encoded)
}

/// High bits as integers, low bits packed: for floats whose last bits are noise.
fn split(
    key: Key,
    kind: ColumnType,
    column: &ColumnValues,
    bits: &[i64],
    nulls: Option<&[bool]>,
    bounds: Bounds,
    ways: Ways<'_>,
) -> Encoded {
    let filled = nulls.map(|nulls| fill(bits, nulls));
    let bits = filled.as_deref().unwrap_or(bits);
    let high =
        |cut: u32, numbers: &[i64]| numbers.iter().map(|n| (*n as u64 >> cut) as i64).collect::<Vec<_>>();
    let total = if kind == ColumnType::F64 { 64 } else { 32 };
    let first = &bits[..bits.len().min(BLOCK_ROWS)];
    let size = |cut: &u32| {
        let mut trial = Vec::new();
        int_encode::encode(&high(*cut, first), None, &mut trial);
        trial.len() + first.len() * *cut as usize / 8
    };
    let cut = (total - 28..=total - 10).step_by(2).min_by_key(size).unwrap_or(total - 12);
    let highs = high(cut, bits);
    coded_if_smaller(ways, &highs, None, |blocks| {
        let mut out = Encoded::new(key, kind, Encoding::Split, null_flag(nulls));
        out.entry.put_u8(cut as u8);
        out.put_model(blocks.coding);
        out.put_zones(column, bounds, nulls.is_some());
        for (index, block) in bits.chunks(BLOCK_ROWS).enumerate() {
            let rows = index * BLOCK_ROWS..index * BLOCK_ROWS + block.len();
            out.block(|payload| {
                if put_nulls(nulls.map(|nulls| &nulls[rows.clone()]), payload) {
                    blocks.put(index, &highs[rows], None, payload);
                    pack(block.iter().map(|number| *number as u64 & ((1 << cut) - 1)), cut, payload);
                }
            });
        }
        out.finish()
    })
}
