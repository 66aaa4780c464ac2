//! Reading the columns of bars that predict one another.

use std::ops::Range;

use super::Scratch;
use super::chunk::{Chunk, DIGITS, Entry, FACTORS, Key, STRAYS, is_singles};
use super::read::{NARROW, each_block, model_of, wrong_type};
use super::scratch::{Group, Models};
use crate::bytes::ByteReader;
use crate::codec::bins::Model;
use crate::codec::decimal::{self, Scale};
use crate::codec::digits::Digits;
use crate::codec::factor;
use crate::codec::group::Role;
use crate::codec::int::{self, IntScratch, Transform};
use crate::codec::kernel::Kernels;
use crate::codec::lane::Lane;
use crate::codec::single::Closes;
use crate::error::{FormatError, Result};
use crate::rows::{RowSet, Values};

/// Entry flags: what stands behind the mantissas of a block.
const BEHIND: u8 = STRAYS | FACTORS | DIGITS;

/// Decodes a block of numbers of one size.
type Decode<N> = fn(&mut ByteReader<'_>, &mut [N], &mut IntScratch, Option<&Model>) -> Result<Transform>;

/// Appends the values of mantissas.
type Append<N> = fn(&Scale, &Kernels, &[N], &mut Vec<f64>);

/// The bytes of the members' blocks and their places, by role, as far as they were looked up.
type Blocks<'a> = [Option<(&'a [u8], u64)>; 4];

/// What decoding the members of a block needs.
struct Members<'a, 's, N> {
    blocks: Blocks<'a>,
    group: &'s mut Group<N>,
    models: &'s mut Models,
    digits: &'s mut Digits,
    closes: &'s mut Closes,
    int: &'s mut IntScratch,
    /// Scratch for the rows of a block, and for others.
    bits: &'s mut [i64],
    more: &'s mut [i64],
    /// Whether values without further digits are those of mantissas alone.
    exact: bool,
    decode: Decode<N>,
    append: Append<N>,
}

impl<'a> Chunk<'a> {
    /// The columns of the group, block by block, so that what predicts is decoded once.
    pub(super) fn read_group(
        &self,
        range: &Range<usize>,
        out: &mut RowSet,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let mut wanted: Vec<(&Entry, Role, &mut Vec<f64>)> = Vec::with_capacity(4);
        for (id, values) in &mut out.columns {
            let Some(entry) = self.entry(Key::Column(*id)) else { continue };
            let Some(role) = entry.role else { continue };
            let Values::F64(out) = &mut values.values else { return Err(wrong_type(entry)) };
            if let Some(nulls) = &mut values.nulls {
                nulls.resize(out.len() + range.len(), false);
            }
            wanted.push((entry, role, out));
        }
        each_block(range, |block, rows| {
            let mut reach = 0;
            let (mut known, mut blocks) = ([None; 4], [None; 4]);
            for (_, role, _) in &wanted {
                reach = reach.max(self.reach(*role, block, &mut known, &mut blocks)?);
            }
            let small =
                wanted.iter().all(|(entry, ..)| entry.scale.is_some_and(|scale| scale.is_small(reach)));
            let exact =
                wanted.iter().all(|(entry, ..)| entry.places.is_none_or(|places| places.are_exact(reach)));
            let Scratch { int, bits, group, small_group, models, digits, closes, numbers: more, .. } =
                &mut *scratch;
            if small && reach < NARROW {
                let decode: Decode<i32> = |reader, out, scratch, _| int::decode_narrow(reader, out, scratch);
                let append = Scale::extend_small;
                let group = small_group;
                let members =
                    Members { blocks, group, models, digits, closes, int, bits, more, exact, decode, append };
                self.read_members(members, &mut wanted, block, &rows)
            } else {
                let append = if small { Scale::extend_small } else { Scale::extend };
                let decode = int::decode;
                let members =
                    Members { blocks, group, models, digits, closes, int, bits, more, exact, decode, append };
                self.read_members(members, &mut wanted, block, &rows)
            }
        })
    }

    /// The greatest magnitude that a mantissa of a member can have, as far as the parameters of blocks tell.
    fn reach(
        &self,
        role: Role,
        block: usize,
        known: &mut [Option<u64>; 4],
        blocks: &mut Blocks<'a>,
    ) -> Result<u64> {
        if let Some(known) = known[role as usize] {
            return Ok(known);
        }
        let (bytes, _) = self.member_block(role, block, blocks)?;
        let count = self.block_rows(block).len();
        let found = int::reach(ByteReader::new(bytes, "K13"), count);
        let (transform, own) = found.unwrap_or((Transform::Plain, u64::MAX));
        // Digits are those of what a mantissa equals, and adjusted singles follow from close: these are decoded beside it, in
        // numbers of one size.
        let looked_at = transform == Transform::Group || self.member(role)?.flags & DIGITS != 0;
        let others = match role {
            Role::Open if looked_at => self.reach(Role::Close, block, known, blocks)?,
            Role::High | Role::Low if looked_at => self
                .reach(Role::Close, block, known, blocks)?
                .max(self.reach(Role::Open, block, known, blocks)?),
            _ => 0,
        };
        let predicted = if transform == Transform::Group { others } else { 0 };
        let reach = own.saturating_add(predicted).max(others);
        known[role as usize] = Some(reach);
        Ok(reach)
    }

    /// A block of a member, looked up once.
    fn member_block(&self, role: Role, block: usize, blocks: &mut Blocks<'a>) -> Result<(&'a [u8], u64)> {
        let known = &mut blocks[role as usize];
        if let Some(known) = known {
            return Ok(*known);
        }
        let found = self.block(self.member(role)?, block)?;
        *known = Some(found);
        Ok(found)
    }

    fn read_members<N: Lane>(
        &self,
        mut members: Members<'a, '_, N>,
        wanted: &mut [(&Entry, Role, &mut Vec<f64>)],
        block: usize,
        rows: &Range<usize>,
    ) -> Result<()> {
        members.group.have = [false; 4];
        members.digits.forget();
        members.closes.forget();
        for (entry, role, out) in wanted {
            self.decode_member(*role, block, &mut members)?;
            let Some(scale) = entry.scale else { return Err(wrong_type(entry)) };
            let at = out.len();
            if entry.places.is_some() {
                self.decode_digits(*role, block, &mut members)?;
            }
            let numbers = &members.group.numbers[*role as usize][rows.clone()];
            match entry.places.filter(|_| members.digits.has_some(*role) || !members.exact) {
                Some(places) => {
                    let rows = (numbers, &members.digits.of(*role)[rows.clone()]);
                    places.extend(members.int.kernels, rows, &mut members.more[..numbers.len()], out);
                }
                None if is_singles(entry.flags) && *role == Role::Close => {
                    self.decode_closes(block, &mut members)?;
                    out.extend_from_slice(&members.closes.adjusted()[rows.clone()]);
                }
                None => {
                    (members.append)(&scale, members.int.kernels, numbers, out);
                    if is_singles(entry.flags) {
                        self.decode_closes(block, &mut members)?;
                        members.closes.adjust(rows.start, &mut out[at..]);
                    }
                }
            }
            if entry.flags & BEHIND != 0 {
                let (bytes, offset) = self.member_block(*role, block, &mut members.blocks)?;
                let rest = members.group.rest[*role as usize];
                let count = self.block_rows(block).len();
                let Members { bits, int, .. } = &mut members;
                read_behind(entry, &bytes[rest..], count, rows.start, &mut out[at..], bits, int)
                    .map_err(|error| error.shifted(offset + rest as u64))?;
            }
        }
        Ok(())
    }

    /// Decodes the mantissas of a member of the group, and first of those that predict it, unless they are there.
    fn decode_member<N: Lane>(
        &self,
        role: Role,
        block: usize,
        members: &mut Members<'a, '_, N>,
    ) -> Result<()> {
        let at = role as usize;
        if members.group.have[at] {
            return Ok(());
        }
        let entry = self.member(role)?;
        let (bytes, offset) = self.member_block(role, block, &mut members.blocks)?;
        let count = self.block_rows(block).len();
        let mut reader = ByteReader::new(bytes, "K13");
        self.read_model(entry, members.models, members.int)?;
        let numbers = &mut members.group.numbers[at][..count];
        let decoded = (members.decode)(&mut reader, numbers, members.int, model_of(entry, members.models));
        members.group.rest[at] = reader.position();
        let finished = if entry.flags & BEHIND == 0 { reader.finish() } else { Ok(()) };
        let transform = decoded.and_then(|transform| finished.map(|()| transform));
        if transform.map_err(|error| error.shifted(offset))? == Transform::Group {
            if role == Role::Close {
                return Err(FormatError::corrupt("K13", offset, "close is not predicted"));
            }
            self.decode_member(Role::Close, block, members)?;
            if role != Role::Open {
                self.decode_member(Role::Open, block, members)?;
            }
            let restore = N::loops(members.int.kernels).restore;
            let [close, open, rest @ ..] = &mut members.group.numbers;
            match role {
                Role::Close | Role::Open => restore(role, &close[..count], &[], &mut open[..count]),
                _ => restore(role, &close[..count], &open[..count], &mut rest[at - 2][..count]),
            }
        }
        members.group.have[at] = true;
        Ok(())
    }

    /// Reads the adjusted closes of a block, unless they are there.
    fn decode_closes<N: Lane>(&self, block: usize, members: &mut Members<'a, '_, N>) -> Result<()> {
        if members.closes.are_ready() {
            return Ok(());
        }
        self.decode_member(Role::Close, block, members)?;
        let Some(scale) = self.member(Role::Close)?.scale else {
            return Err(wrong_type(self.member(Role::Close)?));
        };
        let (bytes, offset) = self.member_block(Role::Close, block, &mut members.blocks)?;
        let count = self.block_rows(block).len();
        let Members { group, closes, int, bits, append, .. } = members;
        let rest = &mut group.rest[Role::Close as usize];
        let mut reader = ByteReader::new(&bytes[*rest..], "K21");
        let (numbers, kernels) = (&group.numbers[Role::Close as usize][..count], int.kernels);
        let decimals = |out: &mut Vec<f64>| append(&scale, kernels, numbers, out);
        let read = closes.read(&mut reader, count, decimals, bits, int);
        read.map_err(|error| error.shifted(offset + *rest as u64))?;
        *rest += reader.position();
        Ok(())
    }

    /// Reads the further digits of a member, and first of those that it may have them of.
    fn decode_digits<N: Lane>(
        &self,
        role: Role,
        block: usize,
        members: &mut Members<'a, '_, N>,
    ) -> Result<()> {
        if members.digits.has(role) {
            return Ok(());
        }
        self.decode_member(role, block, members)?;
        if role != Role::Close {
            self.decode_digits(Role::Close, block, members)?;
        }
        if matches!(role, Role::High | Role::Low) {
            self.decode_digits(Role::Open, block, members)?;
        }
        let (bytes, offset) = self.member_block(role, block, &mut members.blocks)?;
        let rest = &mut members.group.rest[role as usize];
        let mut reader = ByteReader::new(&bytes[*rest..], "K20");
        let count = self.block_rows(block).len();
        let numbers = members.group.numbers.each_ref().map(|numbers| &numbers[..count]);
        let read =
            members.digits.read(role, &mut reader, count, numbers, members.int, [members.bits, members.more]);
        read.map_err(|error| error.shifted(offset + *rest as u64))?;
        *rest += reader.position();
        Ok(())
    }
}

/// Reads factors and exceptions, which stand behind the mantissas and further digits of a block of `count` rows, into the decimals of the
/// rows from `start` on.
fn read_behind(
    entry: &Entry,
    bytes: &[u8],
    count: usize,
    start: usize,
    out: &mut [f64],
    bits: &mut [i64],
    scratch: &mut IntScratch,
) -> Result<()> {
    let singles = is_singles(entry.flags);
    let before = match (singles, entry.role) {
        (true, Some(Role::Close)) => "K21",
        (true, _) => "K1",
        (false, _) if entry.places.is_some() => "K20",
        (false, _) => "K17",
    };
    let mut reader = ByteReader::new(bytes, before);
    if entry.flags & FACTORS != 0 && !singles {
        factor::apply(&mut reader, count, start, out, bits, scratch)?;
    }
    if entry.flags & STRAYS != 0 {
        reader.cite("K11");
        decimal::patch(&mut reader, count, start, out, bits)?;
    }
    reader.finish()
}
