//! Further digits of bars, read beside the specification.

use std::cell::RefCell;
use std::ops::Range;

use tapestore_format::Result;
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::decimal::patch;
use tapestore_format::codec::digits::{carry, finer};
use tapestore_format::codec::group::Role;
use tapestore_format::codec::int::{IntScratch, Transform, decode};
use tapestore_format::codec::kernel::Kernels;
use tapestore_format::codec::lane::Lane;
use tapestore_format::limits::BLOCK_ROWS;
use tapestore_format::rows::{RowSet, RunVec, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{Chunk, PartIndex, PartSpec, Scratch, Stream, System, Tier};
use tapestore_format::time::Timeframe;

use super::pieces::{CHUNK, Opened, checked};
use super::segments::{Giver, bars, compare, few_columns, write};
use crate::Target;
use crate::mend::{self, Member, Structure};
use crate::random::Random;

/// What stands behind the mantissas of bars, of which some have further digits; and the parameters of their blocks.
pub(super) const DIGITS: Target = Target {
    name: "digits",
    smoke: 60_000,
    longest: LONGEST,
    seeds,
    mend: |bytes| mend::structures(bytes, &[Structure::Behind, Structure::Block]),
    check: |input| {
        // Kept from one input to the next, so that digits of a block are not those of another.
        SCRATCH.with_borrow_mut(|scratch| {
            checked(input, |opened, part, kept| digits(opened, part, kept, scratch))
        })
    },
    ..CHUNK
};

/// Longest file that is made: that of a block and a few rows is one of them.
const LONGEST: usize = 9000;

thread_local! {
    static SCRATCH: RefCell<IntScratch> = RefCell::default();
}

/// Small files of bars with further digits, of each tier that has such.
fn seeds() -> Vec<Vec<u8>> {
    let mut random = Random(29);
    let mut seeds = Vec::new();
    for number in 0..600 {
        let input: Vec<u8> = (0..900).map(|_| random.next() as u8).collect();
        let count = [2, 9, 40, 60, 127, 128, 150, 1023, 1024, 1025, 1100][number % 11];
        let four = bars(&mut Giver { bytes: &input, at: number % 900 }, count);
        let (spec, rows) = content(four, number as u32);
        let history = if number % 5 == 0 { past(&rows) } else { past(&RowSet::with_columns(&spec.columns)) };
        seeds.push(write(&spec, &rows, &history, &[], [Tier::Dense, Tier::Cold][number / 11 % 2]));
    }
    seeds.retain(|seed| seed.len() <= LONGEST && has_digits(seed));
    seeds
}

/// Whether bars in a segment have further digits.
fn has_digits(file: &[u8]) -> bool {
    mend::found(file).is_some_and(|found| found.members.iter().any(|member| member.places.is_some()))
}

/// A part of bars.
pub(super) fn content(four: [Vec<f64>; 4], series: u32) -> (PartSpec, RowSet) {
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
pub(super) fn past(rows: &RowSet) -> RowSet {
    RowSet { until: RunVec::constant(2, rows.len()), ..rows.clone() }
}

/// Bars are what the specification makes of their blocks; every set of columns reads them alike; written anew they are the same.
fn digits(opened: &Opened<'_>, part: &PartIndex, scratch: &mut Scratch, int: &mut IntScratch) -> Result<u64> {
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
            let [Some(close), Some(open), Some(high), Some(low)] = Role::ALL.map(role) else { continue };
            let group = [close, open, high, low];
            shape =
                shape.wrapping_mul(31).wrapping_add(beside(&chunk, part, group, opened.bytes, scratch, int)?);
        }
    }
    Ok(shape)
}

/// What reading the columns of a chunk gives is what the specification says; a number for what is in them.
fn beside(
    chunk: &Chunk<'_>,
    part: &PartIndex,
    group: [&Member; 4],
    bytes: &[u8],
    scratch: &mut Scratch,
    int: &mut IntScratch,
) -> Result<u64> {
    let ids = group.map(|member| (member.id - 8) as u16);
    let mut found = RowSet::with_columns(&ids.map(|id| (id, ColumnType::F64)));
    chunk.read(part, 0..chunk.rows(), System::NONE, &mut found, scratch)?;
    let values: Vec<&[f64]> = found
        .columns
        .iter()
        .map(|(_, column)| match &column.values {
            Values::F64(values) => values.as_slice(),
            _ => panic!("bars are doubles"),
        })
        .collect();
    let mut shape = u64::from(group[0].places.unwrap_or(0));
    for block in 0..chunk.blocks() {
        let rows = block * BLOCK_ROWS..chunk.rows().min((block + 1) * BLOCK_ROWS);
        // Coded blocks, factors and adjusted singles have oracles of their own.
        let Some(told) = by_specification(group, bytes, block, &rows, int) else { continue };
        for (role, (expected, values)) in told.iter().zip(&values).enumerate() {
            let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits();
            let row = expected.0.iter().zip(&values[rows.clone()]).position(|pair| !same(pair));
            assert_eq!(row, None, "block {block}, role {role}: what the specification says");
            shape = shape.wrapping_mul(5).wrapping_add(u64::from(expected.1));
        }
    }
    // Bars that verify may be any, and are written anew with what the writer makes of them.
    let order = [1, 2, 3, 0].map(|role: usize| values[role].to_vec());
    let (spec, rows) = content(order, part.summary.series);
    let none = past(&RowSet::with_columns(&spec.columns));
    let tier = [Tier::Dense, Tier::Cold][chunk.rows() % 2];
    let again = write(&spec, &rows, &none, &[], tier);
    Ok(shape.wrapping_mul(31).wrapping_add(compare(&again, &spec, &rows, &none, &[])))
}

/// Values of a column in a block, and whether some have digits.
type Column = (Vec<f64>, bool);

/// What `format-spec/codecs.md` says of a block of bars; nothing of what is coded, or has factors.
fn by_specification(
    group: [&Member; 4],
    bytes: &[u8],
    block: usize,
    rows: &Range<usize>,
    int: &mut IntScratch,
) -> Option<[Column; 4]> {
    let count = rows.len();
    let mut mantissas: [Vec<i64>; 4] = Default::default();
    let mut digits: [Vec<i64>; 4] = Default::default();
    let mut out: [Column; 4] = Default::default();
    for (role, member) in group.iter().enumerate() {
        let place = member.blocks.get(block)?.clone();
        if bytes[place.start] & 128 != 0 || member.flags & 64 != 0 {
            return None;
        }
        let mut reader = ByteReader::new(&bytes[place], "");
        let mut numbers = vec![0; count];
        let transform = decode(&mut reader, &mut numbers, int, None).expect("what verifies decodes");
        if transform == Transform::Group {
            for row in 0..count {
                let [close, open, ..] = &mantissas;
                let number = numbers[row];
                numbers[row] = match role {
                    1 => number.wrapping_add(close[row.saturating_sub(1)]),
                    2 => number.wrapping_add(open[row].max(close[row])),
                    _ => open[row].min(close[row]).wrapping_sub(number),
                };
            }
        }
        mantissas[role] = numbers;
        digits[role] = match member.places {
            Some(_) => further(&mut reader, role, count, &mantissas, &digits, int),
            None => vec![0; count],
        };
        let (exponent, divisor) = member.scale;
        let places = member.places.unwrap_or(0);
        let power = 10i64.pow(u32::from(places));
        let value = |row: usize| {
            let units = mantissas[role][row].wrapping_mul(divisor).wrapping_mul(power);
            units.wrapping_add(digits[role][row]) as f64 / 10f64.powi(i32::from(exponent + places))
        };
        let mut values: Vec<f64> = (0..count).map(value).collect();
        if member.flags & 2 != 0 {
            patch(&mut reader, count, 0, &mut values, &mut [0; BLOCK_ROWS]).expect("what verifies is read");
        }
        reader.finish().expect("nothing is left over");
        out[role] = (values, digits[role].iter().any(|digits| *digits != 0));
    }
    if group[0].places.is_some() {
        every_table(&mantissas, &digits);
    }
    Some(out)
}

/// The digits of a column, of which those of others carry over.
fn further(
    reader: &mut ByteReader<'_>,
    role: usize,
    count: usize,
    mantissas: &[Vec<i64>; 4],
    digits: &[Vec<i64>; 4],
    int: &mut IntScratch,
) -> Vec<i64> {
    let mut out: Vec<i64> = (0..count).map(|row| carried(role, row, mantissas, digits)).collect();
    let told = reader.varint().expect("what verifies is read") as usize;
    let [mut rows, mut own] = [vec![0; told], vec![0; told]];
    if told > 0 {
        for numbers in [&mut rows, &mut own] {
            let transform = decode(reader, numbers, int, None).expect("what verifies decodes");
            assert_ne!(transform, Transform::Group, "digits are not predicted");
        }
    }
    assert!(rows.array_windows().all(|[a, b]| a < b), "rows ascend: {rows:?}");
    for (row, own) in rows.into_iter().zip(own) {
        out[usize::try_from(row).expect("no row stands before the first")] = own;
    }
    out
}

/// The digits of a row that is not told.
fn carried(role: usize, row: usize, mantissas: &[Vec<i64>; 4], digits: &[Vec<i64>; 4]) -> i64 {
    let pair = |role: usize, row: usize| (mantissas[role][row], digits[role][row]);
    let candidates = match role {
        0 => vec![],
        1 if row == 0 => vec![pair(0, 0)],
        1 => vec![pair(0, row - 1), pair(0, row)],
        2 => vec![pair(1, row).max(pair(0, row))],
        _ => vec![pair(1, row).min(pair(0, row))],
    };
    let same = candidates.into_iter().find(|(number, _)| *number == mantissas[role][row]);
    same.map_or(0, |(_, digits)| digits)
}

/// The loops of every machine carry digits over as the specification says, and add them up as the scalar ones.
fn every_table(mantissas: &[Vec<i64>; 4], digits: &[Vec<i64>; 4]) {
    for kernels in Kernels::all() {
        for role in Role::ALL {
            loops_alike::<i64>(kernels, role, mantissas, digits);
            let narrow = |number: &i64| i64::from(*number as i32);
            let narrow = mantissas.each_ref().map(|numbers| numbers.iter().map(narrow).collect());
            loops_alike::<i32>(kernels, role, &narrow, digits);
        }
    }
}

fn loops_alike<N: Lane>(kernels: &Kernels, role: Role, mantissas: &[Vec<i64>; 4], digits: &[Vec<i64>; 4]) {
    let own = role as usize;
    let count = mantissas[own].len();
    let expected: Vec<i64> = (0..count).map(|row| carried(own, row, mantissas, digits)).collect();
    let lanes = mantissas.each_ref().map(|numbers| numbers.iter().map(|n| N::of(*n)).collect::<Vec<N>>());
    let rows = |role: usize| (&lanes[role][..], &digits[role][..]);
    let (mut found, mut scalar) = (vec![7; count], vec![-7; count]);
    (N::loops(kernels).carry)(role, &lanes[own], rows(0), rows(1), &mut found);
    carry(role, &lanes[own], rows(0), rows(1), &mut scalar);
    assert_eq!((&found, &scalar), (&expected, &expected), "{} carries the digits of {role:?}", kernels.name);
    for unit in [1, 1_000_000, i64::MIN, i64::MAX / 3] {
        (N::loops(kernels).finer)(&lanes[own], &digits[own], unit, &mut found);
        finer(&lanes[own], &digits[own], unit, &mut scalar);
        assert_eq!(found, scalar, "{} adds digits to {role:?}", kernels.name);
    }
}
