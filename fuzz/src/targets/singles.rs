//! Adjusted singles, read beside the specification.

use std::ops::Range;

use tapestore_format::Result;
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::bins::Model;
use tapestore_format::codec::group::Role;
use tapestore_format::codec::int::{IntScratch, Transform, decode};
use tapestore_format::limits::BLOCK_ROWS;
use tapestore_format::rows::RowSet;
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{Scratch, System};

use super::groups::{Group, LONGEST, SCRATCH, Seeds, check, differing, mantissas, prices};
use super::pieces::CHUNK;
use super::segments::adjusted;
use crate::Target;
use crate::mend::{self, Member, Structure};

/// What stands behind the mantissas of close in groups of adjusted singles, and of the others; the parameters of their blocks.
pub(super) const SINGLES: Target = Target {
    name: "singles",
    smoke: 60_000,
    longest: LONGEST,
    seeds: || SEEDS.made(400, LONGEST),
    mend: |bytes| places(bytes),
    check: |input| check(input, singles),
    ..CHUNK
};

/// Adjusted singles, in files that may hold factors.
const SEEDS: Seeds = Seeds {
    random: 41,
    counts: [9, 25, 40, 60, 127, 150, 280, 1023, 1024, 1025, 1100],
    bars: adjusted,
    series: |number| number * 3 + 1,
    kind: Member::is_singles,
};

/// How many bytes behind the mantissas of close are changed: runs, starts and factors of some runs.
const FIELDS: usize = 40;

/// Seeds of adjusted singles that other targets have beside theirs.
const BESIDE: usize = 66;

/// Some small files of adjusted singles, for targets whose seeds are mostly something else.
pub(super) fn some_seeds(longest: usize) -> Vec<Vec<u8>> {
    SEEDS.made(BESIDE, longest)
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
fn singles(group: &Group<'_>, scratch: &mut Scratch, int: &mut IntScratch) -> Result<Option<u64>> {
    let all = group.members.iter().all(|member| member.is_singles());
    assert!(all || !group.members.iter().any(|member| member.is_singles()), "all of a group, or none");
    if !all {
        return Ok(None);
    }
    let mut values: [Vec<f64>; 4] = Default::default();
    let models =
        group.members.map(|member| model_of(member, int).expect("the model of what verifies is read"));
    let mut shape = 0u64;
    let rows = group.chunk.rows();
    for block in 0..group.chunk.blocks() {
        let count = (rows - block * BLOCK_ROWS).min(BLOCK_ROWS);
        let (told, seen) = by_specification(group, &models, block, count, int);
        values.iter_mut().zip(told).for_each(|(values, told)| values.extend(told));
        shape = shape.wrapping_mul(31).wrapping_add(seen);
    }
    let ids = group.ids();
    for range in [0..rows, rows / 3..rows - rows / 4, rows - 1..rows] {
        for set in 1..16 {
            let mut some: Vec<usize> = (0..4).filter(|role| set >> role & 1 == 1).collect();
            if (set + rows).is_multiple_of(2) {
                some.reverse();
            }
            let wanted: Vec<_> = some.iter().map(|role| (ids[*role], ColumnType::F64)).collect();
            let mut found = RowSet::with_columns(&wanted);
            group.chunk.read(group.part, range.clone(), System::NONE, &mut found, scratch)?;
            for (role, (_, column)) in some.iter().zip(&found.columns) {
                let row = differing(prices(column), &values[*role][range.clone()]);
                assert_eq!(row, None, "role {role} of {some:?}, rows {range:?}: what the specification says");
            }
        }
    }
    Ok(Some(shape.wrapping_mul(31).wrapping_add(group.written_anew(values))))
}

/// What `format-spec/codecs.md` says of a block of adjusted singles; and a number for what is in it.
fn by_specification(
    group: &Group<'_>,
    models: &[Option<Model>; 4],
    block: usize,
    count: usize,
    int: &mut IntScratch,
) -> ([Vec<f64>; 4], u64) {
    let mut numbers: [Vec<i64>; 4] = Default::default();
    let mut out: [Vec<f64>; 4] = Default::default();
    let mut ratios = Vec::new();
    let mut shape = 0;
    for (role, member) in group.members.iter().enumerate() {
        let place = member.blocks[block].clone();
        let coded = group.bytes[place.start] & 128 != 0;
        let mut reader = ByteReader::new(&group.bytes[place], "");
        numbers[role] = mantissas(&mut reader, role, count, &numbers, models[role].as_ref(), int);
        let (exponent, divisor) = member.scale;
        let paid = |number: &i64| {
            let value = number.wrapping_mul(divisor) as f64 / 10f64.powi(i32::from(exponent));
            f64::from(value as f32)
        };
        let paid: Vec<f64> = numbers[role].iter().map(paid).collect();
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
