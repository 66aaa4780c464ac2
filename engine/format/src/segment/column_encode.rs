//! One column of a chunk to bytes: which encoding, its entry in the chunk's head, its blocks.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use super::chunk::{DIGITS, Encoding, FACTORS, Key, LONG, MODEL, NULLS, STRAYS};
use super::sealed::sealed_bytes;
use super::zones::{self, Bounds};
use super::{Tier, text_encode};
use crate::bytes::ByteWriter;
use crate::codec::bins_encode::Coding;
use crate::codec::bitpack::pack;
use crate::codec::decimal::{Float, Mantissas, Scale, choose, gcd, sample};
use crate::codec::digits::{self, Places};
use crate::codec::factor_find::Prices;
use crate::codec::group::{self, Role};
use crate::codec::int_encode::{self, Forms};
use crate::limits::{BLOCK_ROWS, CHECKED_BYTES};
use crate::rows::{ColumnValues, Values};
use crate::schema::ColumnType;
use crate::spare;

/// Values of a chunk that the scale of decimals is chosen from.
const SAMPLE: usize = 512;
/// Factors are looked for where more than one value of so many is an exception.
const MANY: usize = 16;
/// A group is tried with fewer and more places where more than one value of so many is an exception.
const SOME: usize = 200;
/// It has further digits where more than one value of so many has such: they take a byte in each block.
const FEW: usize = 2000;
/// Which blocks tell whether that may be smaller: one of so many.
const ONE_OF: usize = 8;
/// Most places that it is tried with: what exchanges state at most.
const FINE: u8 = 8;
/// Factors ask for a reader that knows them: they have to save more than one byte of so many.
const WORTH: usize = 8;

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
    /// If it is smaller at all.
    IfSmaller,
    /// As `IfSmaller`; else there is a model that no block uses. A reader is to see which tier this is.
    OrMarked,
}

impl Ways<'_> {
    /// Whether factors that gain something may be used; takes note of those that may not.
    fn may_use_factors(self) -> bool {
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
    pub(super) fn put_model(&mut self, coding: Option<&Coding>) {
        if let Some(coding) = coding {
            self.entry[self.flags_at] |= MODEL;
            self.model = coding.model();
            self.entry.put_varint(self.model.len() as u64);
        }
    }

    /// Appends zone maps to the entry, after the parameters.
    fn put_zones(&mut self, column: &ColumnValues, bounds: Bounds, nullable: bool) {
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
    let forms = ways.forms;
    if ways.coded == Coded::Never {
        return build(&Blocks { forms, coding: None, packed: None });
    }
    let packed = RefCell::default();
    let plain = build(&Blocks { forms, coding: None, packed: Some(&packed) });
    let with = |coding: &Coding| {
        packed.borrow_mut().taken = 0;
        build(&Blocks { forms, coding: Some(coding), packed: Some(&packed) })
    };
    let coded = Coding::new(forms, values, residuals).map(|coding| with(&coding));
    let saves = |coded: &Encoded| {
        let (coded, plain) = (coded.payload_bytes(), plain.payload_bytes());
        if ways.coded == Coded::ByAnEighth { coded * 8 <= plain * 7 } else { coded < plain }
    };
    match coded.filter(saves) {
        Some(coded) => coded,
        None if ways.coded == Coded::OrMarked => with(&Coding::mark()),
        None => plain,
    }
}

/// How the integer blocks of a column are written: coded if there is a model and that is smaller.
pub(super) struct Blocks<'b> {
    forms: Forms,
    pub(super) coding: Option<&'b Coding>,
    /// What they are when they are packed. They are written more than once, in the same order, and packed once.
    packed: Option<&'b RefCell<Packed>>,
}

/// Packed blocks, one after another.
#[derive(Default)]
struct Packed {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// How many of them were written again.
    taken: usize,
}

impl Packed {
    fn put(&mut self, block: &[u8]) {
        self.bytes.extend_from_slice(block);
        self.ends.push(self.bytes.len());
    }

    fn take(&mut self) -> &[u8] {
        let start = self.taken.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.taken += 1;
        &self.bytes[start..self.ends[self.taken - 1]]
    }
}

impl Blocks<'_> {
    /// Appends the next block.
    pub(super) fn put(&self, block: &[i64], residuals: Option<&[i64]>, out: &mut Vec<u8>) {
        let start = out.len();
        let Some(coding) = self.coding else {
            int_encode::encode_with(self.forms, block, residuals, out);
            if let Some(packed) = self.packed {
                packed.borrow_mut().put(&out[start..]);
            }
            return;
        };
        let mut packed = self.packed.expect("packed before it is coded").borrow_mut();
        let packed = packed.take();
        if !coding.encode(block, residuals, packed.len(), out) {
            out.extend_from_slice(packed);
        }
    }
}

fn nulls_of(column: &ColumnValues) -> Option<&[bool]> {
    column.nulls.as_deref().filter(|nulls| nulls.contains(&true))
}

fn is_constant(column: &ColumnValues) -> bool {
    let same = match &column.values {
        Values::I64(values) => values.iter().all(|value| *value == values[0]),
        Values::F64(values) => values.iter().all(|value| value.to_bits() == values[0].to_bits()),
        values => (1..values.len()).all(|row| values.same(row, values, 0)),
    };
    same && nulls_of(column).is_none()
}

/// What products with factors have to stay below, in bytes: half of the values as they are in memory, and most of what
/// plain decimals take.
fn limit(raw: usize, plain: Option<usize>) -> usize {
    plain.map_or(raw / 2, |plain| (plain - plain / WORTH).min(raw / 2))
}

/// Whether more than one value of so many is an exception.
fn has_strays(columns: &[Mantissas], one_of: usize) -> bool {
    columns.iter().any(|column| column.strays.len() * one_of > column.numbers.len())
}

/// Encodes open, high, low and close together, if all four are decimals of one scale.
pub(super) fn encode_group(columns: [(Key, &ColumnValues); 4], ways: Ways<'_>) -> Option<[Encoded; 4]> {
    let mut prices: Vec<&[f64]> = Vec::with_capacity(4);
    for (_, column) in columns {
        match &column.values {
            Values::F64(values) if nulls_of(column).is_none() && !is_constant(column) => prices.push(values),
            _ => return None,
        }
    }
    let bytes = |group: &[Encoded; 4]| group.iter().map(Encoded::payload_bytes).sum::<usize>();
    let plain = plain_group(&prices).and_then(|plain| {
        let found = smallest(&prices, plain, ways);
        let many = found.places == 0 && has_strays(&found.mantissas, MANY);
        Some((put_group(columns, found, ways)?, many))
    });
    let many = plain.as_ref().is_none_or(|plain| plain.1);
    let plain = plain.map(|plain| plain.0);
    if !many {
        return plain;
    }
    let limit = limit(prices[0].len() * 4 * size_of::<f64>(), plain.as_ref().map(bytes));
    let found = Prices { columns: &prices, skip: |_| false }.factors().and_then(|(exponent, runs)| {
        let split = |values: &&[f64]| Mantissas::factored(values, exponent, &runs, |_| false);
        let mantissas = prices.iter().map(split).collect();
        put_group(columns, Prepared { exponent, places: 0, mantissas }, ways)
    });
    match found {
        Some(found) if bytes(&found) < limit && ways.may_use_factors() => Some(found),
        _ => plain,
    }
}

/// Mantissas of four columns, open, high, low and close.
struct Prepared {
    exponent: u8,
    /// Places of further digits, 0 without.
    places: u8,
    mantissas: Vec<Mantissas>,
}

impl Prepared {
    /// At so many decimal places, with further digits where exceptions have such, unless too many values are no decimals.
    fn at(prices: &[&[f64]], exponent: u8) -> Option<Self> {
        let mantissas: Vec<Mantissas> =
            prices.iter().map(|values| Mantissas::of(values, exponent, |_| false)).collect();
        let places = if has_strays(&mantissas, FEW) { digits::find(&mantissas, exponent) } else { None };
        let most = if places.is_some() { 2 } else { 4 };
        let fit = mantissas.iter().all(|column| column.strays.len() * most <= column.numbers.len());
        fit.then(|| Self { exponent, places: places.unwrap_or(0), mantissas })
    }
}

/// Mantissas of four columns, unless too many values are no decimals, at the most places either.
fn plain_group(prices: &[&[f64]]) -> Option<Prepared> {
    let samples: Vec<f64> = prices.iter().flat_map(|values| sample(values, |_| true, SAMPLE / 4)).collect();
    let exponent = choose(&samples)?;
    [exponent, FINE].into_iter().find_map(|places| Prepared::at(prices, places))
}

/// The decimal places, with mantissas, at which a group may take least: those of most values, or fewer, or more. Exceptions
/// are often decimals of more places, prices of eight among those of two, and the more places the fewer of them there are.
/// Every eighth block tells: from one place to the next, as long as it is smaller.
fn smallest(prices: &[&[f64]], plain: Prepared, ways: Ways<'_>) -> Prepared {
    if !has_strays(&plain.mantissas, SOME) {
        return plain;
    }
    let blocks = |values: &[f64]| values.chunks(BLOCK_ROWS).step_by(ONE_OF).flatten().copied().collect();
    let sampled: Vec<Vec<f64>> = prices.iter().map(|values| blocks(values)).collect();
    let sampled: Vec<&[f64]> = sampled.iter().map(Vec::as_slice).collect();
    let bytes = |exponent| Some((Group::of(Prepared::at(&sampled, exponent)?)?.packed_bytes(ways), exponent));
    let mut best = bytes(plain.exponent);
    for step in [-1, 1] {
        let next =
            |(_, exponent): (usize, u8)| exponent.checked_add_signed(step).filter(|next| *next <= FINE);
        while let Some(found) = best.and_then(next).and_then(bytes).filter(|found| best > Some(*found)) {
            best = Some(found);
        }
    }
    let other = best.filter(|(_, exponent)| *exponent != plain.exponent);
    other.and_then(|(_, exponent)| Prepared::at(prices, exponent)).unwrap_or(plain)
}

/// Open, high, low and close as mantissas of one scale, in this order.
struct Group {
    scale: Scale,
    mantissas: [Mantissas; 4],
    /// Further digits, and their places.
    digits: Option<(Places, [Vec<i64>; 4])>,
}

impl Group {
    fn of(prepared: Prepared) -> Option<Self> {
        let Prepared { exponent, places, mantissas } = prepared;
        let mut mantissas: [Mantissas; 4] = mantissas.try_into().ok()?;
        let divisor = mantissas.iter().fold(0, |divisor, column| gcd(divisor, column.divisor)).max(1) as i64;
        mantissas.iter_mut().for_each(|column| column.divide(divisor));
        let scale = Scale { exponent, divisor };
        let reach =
            mantissas.iter().flat_map(|column| &column.numbers).map(|number| number.unsigned_abs()).max();
        let places = Places::beyond(scale, places).filter(|places| places.are_exact(reach.unwrap_or(0)));
        let digits = places.map(|places| (places, mantissas.each_mut().map(|column| places.take(column))));
        Some(Self { scale, mantissas, digits })
    }

    const ROLES: [Role; 4] = [Role::Open, Role::High, Role::Low, Role::Close];

    /// Appends the residuals of a column in a block.
    fn residuals(&self, index: usize, rows: &Range<usize>, out: &mut Vec<i64>) {
        let [open, _, _, close] = self.mantissas.each_ref().map(|column| &column.numbers[rows.clone()]);
        group::residuals(Self::ROLES[index], close, open, &self.mantissas[index].numbers[rows.clone()], out);
    }

    /// Appends what stands behind the mantissas of a column in a block.
    fn put_behind(&self, index: usize, rows: &Range<usize>, out: &mut Vec<u8>) {
        let column = &self.mantissas[index];
        if let Some((_, digits)) = &self.digits {
            let of =
                |index: usize| (&self.mantissas[index].numbers[rows.clone()], &digits[index][rows.clone()]);
            digits::put(Self::ROLES[index], of(index), of(3), of(0), out);
        }
        column.put_behind::<f64>(self.scale, rows.start, rows.len(), out);
    }

    /// What the blocks take when they are packed.
    fn packed_bytes(&self, ways: Ways<'_>) -> usize {
        let (mut residuals, mut bytes) = (Vec::new(), Vec::new());
        let count = self.mantissas[0].numbers.len();
        for start in (0..count).step_by(BLOCK_ROWS) {
            let rows = start..count.min(start + BLOCK_ROWS);
            for (index, role) in Self::ROLES.into_iter().enumerate() {
                residuals.clear();
                self.residuals(index, &rows, &mut residuals);
                let residuals = (role != Role::Close).then_some(&residuals[..]);
                let numbers = &self.mantissas[index].numbers[rows.clone()];
                int_encode::encode_with(ways.forms, numbers, residuals, &mut bytes);
                self.put_behind(index, &rows, &mut bytes);
            }
        }
        bytes.len()
    }
}

/// Encodes open, high, low and close with their mantissas.
fn put_group(columns: [(Key, &ColumnValues); 4], prepared: Prepared, ways: Ways<'_>) -> Option<[Encoded; 4]> {
    let group = Group::of(prepared)?;
    let encode = |index: usize, role: Role| {
        let (key, column) = columns[index];
        let numbers = &group.mantissas[index];
        let rows_of = || (0..column.len()).step_by(BLOCK_ROWS).map(|s| s..column.len().min(s + BLOCK_ROWS));
        let residuals: Option<Vec<i64>> = (role != Role::Close).then(|| {
            let mut all = spare::take();
            rows_of().for_each(|rows| group.residuals(index, &rows, &mut all));
            all
        });
        let flags = behind(numbers) | if group.digits.is_some() { DIGITS } else { 0 };
        let encoded = coded_if_smaller(ways, &numbers.numbers, residuals.as_deref(), |blocks| {
            let mut out = Encoded::new(key, ColumnType::F64, Encoding::Group, flags);
            out.entry.put_u8(role as u8);
            group.scale.encode(&mut out.entry);
            if let Some((places, _)) = &group.digits {
                out.entry.put_u8(places.count);
            }
            out.put_model(blocks.coding);
            out.put_zones(column, Bounds::Floats(Some(group.scale)), false);
            for rows in rows_of() {
                let residuals = residuals.as_ref().map(|residuals| &residuals[rows.clone()]);
                out.block(|payload| {
                    blocks.put(&numbers.numbers[rows.clone()], residuals, payload);
                    group.put_behind(index, &rows, payload);
                });
            }
            out.finish()
        });
        residuals.into_iter().for_each(spare::give);
        encoded
    };
    let mut index = 0..;
    let encoded = Group::ROLES.map(|role| encode(index.next().unwrap_or_default(), role));
    group.mantissas.into_iter().for_each(|column| spare::give(column.numbers));
    Some(encoded)
}

/// Entry flags of what stands behind the mantissas of blocks.
fn behind(numbers: &Mantissas) -> u8 {
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
                    blocks.put(block, None, payload);
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
    match best {
        Some(best) if nulls.is_some() || best.payload_bytes() < raw_bytes - raw_bytes / 50 => best,
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
                    blocks.put(block, None, payload);
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
                    blocks.put(&highs[rows], None, payload);
                    pack(block.iter().map(|number| *number as u64 & ((1 << cut) - 1)), cut, payload);
                }
            });
        }
        out.finish()
    })
}
