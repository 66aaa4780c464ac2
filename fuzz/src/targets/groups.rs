//! Groups of bars, which targets of their kinds read beside the specification: seeds, the way to every group of a file, and
//! what is the same for all kinds.

use std::cell::RefCell;

use tapestore_format::Result;
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::bins::Model;
use tapestore_format::codec::group::Role;
use tapestore_format::codec::int::{IntScratch, Transform, decode};
use tapestore_format::limits::BLOCK_ROWS;
use tapestore_format::rows::{ColumnValues, RowSet, RunVec, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{Chunk, PartIndex, PartSpec, Scratch, Stream, Tier};
use tapestore_format::time::Timeframe;

use super::pieces::checked;
use super::segments::{Giver, compare, few_columns, write};
use crate::Outcome;
use crate::mend::{self, Member};
use crate::random::Random;

/// Longest file that is made: that of a block and a few rows is one of them.
pub(super) const LONGEST: usize = 9000;

thread_local! {
    /// Kept from one input to the next, so that what was decoded of a block is not that of another.
    pub(super) static SCRATCH: RefCell<IntScratch> = RefCell::default();
}

/// Small files of bars of a kind, of each tier that has such.
pub(super) struct Seeds {
    /// What the inputs are made of that decide the bars.
    pub(super) random: u64,
    /// How many bars there are, in turn.
    pub(super) counts: [usize; 11],
    /// Open, high, low and close.
    pub(super) bars: fn(&mut Giver<'_>, usize) -> [Vec<f64>; 4],
    /// The series of each file, by which the writer may use factors or not.
    pub(super) series: fn(u32) -> u32,
    /// Whether a column is of the kind.
    pub(super) kind: fn(&Member) -> bool,
}

impl Seeds {
    /// What becomes of so many tries to make one that is not longer.
    pub(super) fn made(&self, tries: usize, longest: usize) -> Vec<Vec<u8>> {
        let mut random = Random(self.random);
        let mut seeds = Vec::new();
        for number in 0..tries {
            let input: Vec<u8> = (0..900).map(|_| random.next() as u8).collect();
            let count = self.counts[number % 11];
            let four = (self.bars)(&mut Giver { bytes: &input, at: number % 900 }, count);
            let (spec, rows) = content(four, (self.series)(number as u32));
            let history =
                if number % 5 == 0 { past(&rows) } else { past(&RowSet::with_columns(&spec.columns)) };
            seeds.push(write(&spec, &rows, &history, &[], [Tier::Dense, Tier::Cold][number / 11 % 2]));
        }
        let of_kind =
            |seed: &[u8]| mend::found(seed).is_some_and(|found| found.members.iter().any(self.kind));
        seeds.retain(|seed| seed.len() <= longest && of_kind(seed));
        seeds
    }
}

/// A part of bars.
fn content(four: [Vec<f64>; 4], series: u32) -> (PartSpec, RowSet) {
    let count = four[0].len();
    let ids = [3, 5, 6, 9];
    let spec = PartSpec {
        series,
        columns: ids.map(|id| (id, ColumnType::F64)).to_vec(),
        timeframe: Some(Timeframe::M1),
        unique: true,
        ohlc: Some(ids),
    };
    let rows = RowSet {
        time: (0..count as i64).map(|row| row * 60_000_000_000).collect(),
        version: RunVec::constant(1, count),
        source: RunVec::constant(1, count),
        flags: RunVec::constant(0, count),
        columns: ids.into_iter().zip(four.map(|prices| Values::F64(prices).into())).collect(),
        ..RowSet::default()
    };
    (spec, rows)
}

/// The same rows, as they were replaced.
fn past(rows: &RowSet) -> RowSet {
    RowSet { until: RunVec::constant(2, rows.len()), ..rows.clone() }
}

/// The group of a chunk that verifies.
pub(super) struct Group<'a> {
    pub(super) chunk: &'a Chunk<'a>,
    pub(super) part: &'a PartIndex,
    /// By role.
    pub(super) members: [&'a Member; 4],
    /// The file.
    pub(super) bytes: &'a [u8],
}

/// Opens a segment and runs an oracle on each group of a few blocks; the outcome is of what it tells of them, if anything.
pub(super) fn check(
    input: &[u8],
    oracle: fn(&Group<'_>, &mut Scratch, &mut IntScratch) -> Result<Option<u64>>,
) -> Outcome {
    SCRATCH.with_borrow_mut(|int| {
        checked(input, |opened, part, scratch| {
            let mut shape = 0u64;
            let members = mend::found(opened.bytes).map(|found| found.members).unwrap_or_default();
            for stream in [Stream::Live, Stream::History] {
                for number in 0..part.chunks(stream).len() {
                    let chunk = opened.segment.chunk(part, stream, number)?;
                    few_columns(&chunk, part, scratch)?;
                    if !opened.sound || chunk.rows() > 3 * BLOCK_ROWS {
                        continue;
                    }
                    let own = members.iter().filter(|member| member.chunk as u64 == chunk.bytes().start);
                    let role = |role: Role| own.clone().find(|member| member.role == role as u8);
                    let [Some(close), Some(open), Some(high), Some(low)] = Role::ALL.map(role) else {
                        continue;
                    };
                    let of_role = [close, open, high, low];
                    let group = Group { chunk: &chunk, part, members: of_role, bytes: opened.bytes };
                    if let Some(seen) = oracle(&group, scratch, int)? {
                        shape = shape.wrapping_mul(31).wrapping_add(seen);
                    }
                }
            }
            Ok(shape)
        })
    })
}

impl Group<'_> {
    /// The columns, by role.
    pub(super) fn ids(&self) -> [ColumnId; 4] {
        self.members.map(|member| (member.id - 8) as ColumnId)
    }

    /// Bars that verify may be any, and are written anew with what the writer makes of them: the same come back. Values are given
    /// by role; a number for what was written.
    pub(super) fn written_anew(&self, mut values: [Vec<f64>; 4]) -> u64 {
        let order = [1, 2, 3, 0].map(|role: usize| std::mem::take(&mut values[role]));
        let (spec, rows) = content(order, self.part.summary.series);
        let none = past(&RowSet::with_columns(&spec.columns));
        let tier = [Tier::Dense, Tier::Cold][self.chunk.rows() % 2];
        let again = write(&spec, &rows, &none, &[], tier);
        compare(&again, &spec, &rows, &none, &[])
    }
}

/// The mantissas of a block as `format-spec/codecs.md` has them, given those of the roles before.
pub(super) fn mantissas(
    reader: &mut ByteReader<'_>,
    role: usize,
    count: usize,
    before: &[Vec<i64>; 4],
    model: Option<&Model>,
    int: &mut IntScratch,
) -> Vec<i64> {
    let mut numbers = vec![0; count];
    let transform = decode(reader, &mut numbers, int, model).expect("what verifies decodes");
    if transform == Transform::Group {
        assert_ne!(role, 0, "close is not predicted");
        let [close, open, ..] = before;
        for (row, number) in numbers.iter_mut().enumerate() {
            *number = match role {
                1 => number.wrapping_add(close[row.saturating_sub(1)]),
                2 => number.wrapping_add(open[row].max(close[row])),
                _ => open[row].min(close[row]).wrapping_sub(*number),
            };
        }
    }
    numbers
}

/// What was read of a column of bars.
pub(super) fn prices(column: &ColumnValues) -> &[f64] {
    let Values::F64(prices) = &column.values else { panic!("bars are doubles") };
    prices
}

/// The first of equally many values that has other bits.
pub(super) fn differing(found: &[f64], expected: &[f64]) -> Option<usize> {
    assert_eq!(found.len(), expected.len(), "as many values as were asked for");
    found.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits())
}
