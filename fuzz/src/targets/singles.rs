//! Adjusted singles, read beside the specification.

use std::cell::RefCell;
use std::ops::Range;

use tapestore_format::Result;
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::bins::Model;
use tapestore_format::codec::group::Role;
use tapestore_format::codec::int::{IntScratch, Transform, decode};
use tapestore_format::limits::BLOCK_ROWS;
use tapestore_format::rows::{RowSet, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{Chunk, PartIndex, Scratch, Stream, System, Tier};

use super::digits::{content, past};
use super::pieces::{CHUNK, Opened, checked};
use super::segments::{Giver, adjusted, compare, few_columns, write};
use crate::Target;
use crate::mend::{self, Member, Structure};
use crate::random::Random;

/// What stands behind the mantissas of close in groups of adjusted singles, and of the others; the parameters of their blocks.
pub(super) const SINGLES: Target = Target {
    name: "singles",
    smoke: 60_000,
    longest: LONGEST,
    seeds,
    mend: |bytes| places(bytes),
    check: |input| {
        // Kept from one input to the next, so that the closes of a block are not those of another.
        SCRATCH.with_borrow_mut(|scratch| {
            checked(input, |opened, part, kept| singles(opened, part, kept, scratch))
        })
    },
    ..CHUNK
};

/// Longest file that is made: that of a block and a few rows is one of them.
const LONGEST: usize = 9000;
/// How many bytes behind the mantissas of close are changed: runs, starts and factors of some runs.
const FIELDS: usize = 40;

thread_local! {
    static SCRATCH: RefCell<IntScratch> = RefCell::default();
}

/// Seeds of adjusted singles that other targets have beside theirs.
const BESIDE: usize = 66;

/// Small files of adjusted singles, of each tier that has such.
fn seeds() -> Vec<Vec<u8>> {
    made(400, LONGEST)
}

/// Some of them, for targets whose seeds are mostly something else.
pub(super) fn some_seeds(longest: usize) -> Vec<Vec<u8>> {
    made(BESIDE, longest)
}

/// What becomes of so many tries to make one that is not longer.
fn made(tries: usize, longest: usize) -> Vec<Vec<u8>> {
    let mut random = Random(41);
    let mut seeds = Vec::new();
    for number in 0..tries {
        let input: Vec<u8> = (0..900).map(|_| random.next() as u8).collect();
        let count = [9, 25, 40, 60, 127, 150, 280, 1023, 1024, 1025, 1100][number % 11];
        let four = adjusted(&mut Giver { bytes: &input, at: number % 900 }, count);
        let (spec, rows) = content(four, number as u32 * 3 + 1);
        let history = if number % 5 == 0 { past(&rows) } else { past(&RowSet::with_columns(&spec.columns)) };
        seeds.push(write(&spec, &rows, &history, &[], [Tier::Dense, Tier::Cold][number / 11 % 2]));
    }
    seeds.retain(|seed| seed.len() <= longest && has_singles(seed));
    seeds
}

/// Whether bars in a segment are adjusted singles.
fn has_singles(file: &[u8]) -> bool {
    mend::found(file).is_some_and(|found| found.members.iter().any(Member::is_singles))
}

/// Mends a segment; the places of its blocks and of what stands behind mantissas, of closes also where that begins.
fn places(file: &mut [u8]) -> Vec<Range<usize>> {
    let (mut places, members) = mend::structures_and_members(file, &[Structure::Behind, Structure::Block]);
    SCRATCH.with_borrow_mut(|int| {
        for member in members.iter().filter(|member| member.is_singles() && member.role == Role::Close as u8)
        {
            for (block, place) in member.blocks.iter().enumerate() {
                let Some(model) = model_of(member, int) else { continue };
                let Some(bytes) = file.get(place.clone()) else { continue };
                let mut reader = ByteReader::new(bytes, "");
                let mut numbers = vec![0; (member.rows - block * BLOCK_ROWS).min(BLOCK_ROWS)];
                if decode(&mut reader, &mut numbers, int, model.as_ref()).is_ok() {
                    let start = place.start + reader.position();
                    places.push(start..place.end.min(start + FIELDS));
                }
            }
        }
    });
    places
}

/// The model of a column, if it has one; nothing if that is broken.
fn model_of(member: &Member, int: &mut IntScratch) -> Option<Option<Model>> {
    let Some(bytes) = &member.model else { return Some(None) };
    let mut model = Model::default();
    model.read(bytes, int).ok()?;
    Some(Some(model))
}

/// Bars are what the specification makes of their blocks, whatever rows and columns are read; written anew they are the same.
fn singles(
    opened: &Opened<'_>,
    part: &PartIndex,
    scratch: &mut Scratch,
    int: &mut IntScratch,
) -> Result<u64> {
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
            let all = group.iter().all(|member| member.is_singles());
            assert!(all || !group.iter().any(|member| member.is_singles()), "all of a group, or none");
            if all {
                let seen = beside(&chunk, part, group, opened.bytes, scratch, int)?;
                shape = shape.wrapping_mul(31).wrapping_add(seen);
            }
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
    let mut values: [Vec<f64>; 4] = Default::default();
    let models = group.map(|member| model_of(member, int).expect("the model of what verifies is read"));
    let mut shape = 0u64;
    for block in 0..chunk.blocks() {
        let count = (chunk.rows() - block * BLOCK_ROWS).min(BLOCK_ROWS);
        let (told, seen) = by_specification(group, &models, bytes, block, count, int);
        values.iter_mut().zip(told).for_each(|(values, told)| values.extend(told));
        shape = shape.wrapping_mul(31).wrapping_add(seen);
    }
    let ids = group.map(|member| (member.id - 8) as ColumnId);
    let rows = chunk.rows();
    for range in [0..rows, rows / 3..rows - rows / 4, rows - 1..rows] {
        for set in 1..16 {
            let mut some: Vec<usize> = (0..4).filter(|role| set >> role & 1 == 1).collect();
            if (set + rows).is_multiple_of(2) {
                some.reverse();
            }
            let wanted: Vec<_> = some.iter().map(|role| (ids[*role], ColumnType::F64)).collect();
            let mut found = RowSet::with_columns(&wanted);
            chunk.read(part, range.clone(), System::NONE, &mut found, scratch)?;
            for (role, (_, column)) in some.iter().zip(&found.columns) {
                let Values::F64(found) = &column.values else { panic!("bars are doubles") };
                let expected = &values[*role][range.clone()];
                assert_eq!(found.len(), expected.len(), "as many values as were asked for");
                let row = found.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
                assert_eq!(row, None, "role {role} of {some:?}, rows {range:?}: what the specification says");
            }
        }
    }
    // Bars that verify may be any, and are written anew with what the writer makes of them.
    let order = [1, 2, 3, 0].map(|role: usize| std::mem::take(&mut values[role]));
    let (spec, rows) = content(order, part.summary.series);
    let none = past(&RowSet::with_columns(&spec.columns));
    let tier = [Tier::Dense, Tier::Cold][chunk.rows() % 2];
    let again = write(&spec, &rows, &none, &[], tier);
    Ok(shape.wrapping_mul(31).wrapping_add(compare(&again, &spec, &rows, &none, &[])))
}

/// What `format-spec/codecs.md` says of a block of adjusted singles; and a number for what is in it.
fn by_specification(
    group: [&Member; 4],
    models: &[Option<Model>; 4],
    bytes: &[u8],
    block: usize,
    count: usize,
    int: &mut IntScratch,
) -> ([Vec<f64>; 4], u64) {
    let mut mantissas: [Vec<i64>; 4] = Default::default();
    let mut out: [Vec<f64>; 4] = Default::default();
    let mut ratios = Vec::new();
    let mut shape = 0;
    for (role, member) in group.iter().enumerate() {
        let place = member.blocks[block].clone();
        let coded = bytes[place.start] & 128 != 0;
        let mut reader = ByteReader::new(&bytes[place], "");
        let mut numbers = vec![0; count];
        let transform =
            decode(&mut reader, &mut numbers, int, models[role].as_ref()).expect("what verifies decodes");
        if transform == Transform::Group {
            assert_ne!(role, 0, "close is not predicted");
            let [close, open, ..] = &mantissas;
            for (row, number) in numbers.iter_mut().enumerate() {
                *number = match role {
                    1 => number.wrapping_add(close[row.saturating_sub(1)]),
                    2 => number.wrapping_add(open[row].max(close[row])),
                    _ => open[row].min(close[row]).wrapping_sub(*number),
                };
            }
        }
        let (exponent, divisor) = member.scale;
        let paid = |number: &i64| {
            let value = number.wrapping_mul(divisor) as f64 / 10f64.powi(i32::from(exponent));
            f64::from(value as f32)
        };
        let paid: Vec<f64> = numbers.iter().map(paid).collect();
        if role == 0 {
            let (adjusted, seen) = closes(&mut reader, &paid, int);
            let ratio = |(adjusted, paid): (&f64, &f64)| if *paid == 0.0 { 1.0 } else { adjusted / paid };
            ratios = adjusted.iter().zip(&paid).map(ratio).collect();
            out[0] = adjusted;
            shape = shape * 8 + seen;
        } else {
            out[role] = paid.iter().zip(&ratios).map(|(paid, ratio)| paid * ratio).collect();
        }
        let strays = if member.flags & 2 == 0 { 0 } else { exceptions(&mut reader, &mut out[role]) };
        reader.finish().expect("nothing is left over");
        mantissas[role] = numbers;
        shape = shape * 6 + u64::from(coded) * 3 + strays.min(2);
    }
    (out, shape)
}

/// Adjusted closes, of what stands behind the mantissas of close; and a number below 8 for what that is.
fn closes(reader: &mut ByteReader<'_>, paid: &[f64], int: &mut IntScratch) -> (Vec<f64>, u64) {
    let count = paid.len();
    let runs = reader.varint().expect("what verifies is read") as usize;
    assert!(runs <= count, "{runs} runs of {count} rows");
    let (mut starts, mut factors, mut residues) = (vec![0], vec![1.0], vec![0; count]);
    if runs > 0 {
        starts.extend(packed(reader, runs - 1, count));
        assert!(starts.array_windows().all(|[a, b]| a < b) && starts[runs - 1] < count, "{starts:?}");
        factors = (0..runs).map(|_| f64::from_bits(reader.u64().expect("what verifies is read"))).collect();
        assert!(factors.iter().all(|factor| factor.is_finite() && *factor > 0.0), "{factors:?}");
        let transform = decode(reader, &mut residues, int, None).expect("what verifies decodes");
        assert_ne!(transform, Transform::Group, "residues are not predicted");
    }
    let mut run = 0;
    let adjusted: Vec<f64> = (0..count)
        .map(|row| {
            run += usize::from(starts.get(run + 1) == Some(&row));
            let single = (paid[row] * factors[run]) as f32;
            let bits = i64::from(single.to_bits()).wrapping_add(residues[row]);
            f64::from(f32::from_bits(bits as u32))
        })
        .collect();
    assert!(adjusted.iter().all(|value| value.is_finite()), "adjusted closes are finite: {adjusted:?}");
    let beside = residues.iter().any(|residue| *residue != 0);
    (adjusted, runs.min(3) as u64 * 2 + u64::from(beside))
}

/// Adds exceptions to the bits of values; tells how many there are.
fn exceptions(reader: &mut ByteReader<'_>, values: &mut [f64]) -> u64 {
    let count = reader.varint().expect("what verifies is read") as usize;
    assert!(count <= values.len(), "{count} exceptions");
    let rows = packed(reader, count, values.len());
    assert!(rows.array_windows().all(|[a, b]| a < b), "positions ascend: {rows:?}");
    for row in rows {
        let beside = reader.signed_varint().expect("what verifies is read");
        values[row] = f64::from_bits((values[row].to_bits() as i64).wrapping_add(beside) as u64);
    }
    count as u64
}

/// Packed numbers that tell rows of a block of `count`.
fn packed(reader: &mut ByteReader<'_>, numbers: usize, count: usize) -> Vec<usize> {
    let width = (usize::BITS - (count - 1).leading_zeros()) as usize;
    let bytes = reader.take((numbers * width).div_ceil(8)).expect("what verifies is read");
    let bit = |at: usize| usize::from(bytes[at / 8] >> (at % 8) & 1);
    let left_over = (numbers * width..bytes.len() * 8).any(|at| bit(at) != 0);
    assert!(!left_over, "left-over bits are zero");
    (0..numbers).map(|number| (0..width).map(|place| bit(number * width + place) << place).sum()).collect()
}
