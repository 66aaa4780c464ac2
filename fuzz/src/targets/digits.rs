//! Further digits of bars, read beside the specification.

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
use tapestore_format::rows::RowSet;
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{Scratch, System};

use super::groups::{Group, LONGEST, Seeds, check, differing, mantissas, prices};
use super::pieces::CHUNK;
use super::segments::bars;
use crate::Target;
use crate::mend::{self, Structure};

/// What stands behind the mantissas of bars, of which some have further digits; and the parameters of their blocks.
pub(super) const DIGITS: Target = Target {
    name: "digits",
    smoke: 60_000,
    longest: LONGEST,
    seeds: || SEEDS.made(600, LONGEST),
    mend: |bytes| mend::structures(bytes, &[Structure::Behind, Structure::Block]),
    check: |input| check(input, digits),
    ..CHUNK
};

/// Bars with further digits.
const SEEDS: Seeds = Seeds {
    random: 29,
    counts: [2, 9, 40, 60, 127, 128, 150, 1023, 1024, 1025, 1100],
    bars,
    series: |number| number,
    kind: |member| member.places.is_some(),
};

/// Bars are what the specification makes of their blocks; every set of columns reads them alike; written anew they are the same.
fn digits(group: &Group<'_>, scratch: &mut Scratch, int: &mut IntScratch) -> Result<Option<u64>> {
    let chunk = group.chunk;
    let mut found = RowSet::with_columns(&group.ids().map(|id| (id, ColumnType::F64)));
    chunk.read(group.part, 0..chunk.rows(), System::NONE, &mut found, scratch)?;
    let values = [0, 1, 2, 3].map(|role: usize| prices(&found.columns[role].1));
    let mut shape = u64::from(group.members[0].places.unwrap_or(0));
    for block in 0..chunk.blocks() {
        let rows = block * BLOCK_ROWS..chunk.rows().min((block + 1) * BLOCK_ROWS);
        // Coded blocks, factors and adjusted singles have oracles of their own.
        let Some(told) = by_specification(group, block, &rows, int) else { continue };
        for (role, (expected, values)) in told.iter().zip(values).enumerate() {
            let row = differing(&values[rows.clone()], &expected.0);
            assert_eq!(row, None, "block {block}, role {role}: what the specification says");
            shape = shape.wrapping_mul(5).wrapping_add(u64::from(expected.1));
        }
    }
    let anew = group.written_anew(values.map(<[f64]>::to_vec));
    Ok(Some(shape.wrapping_mul(31).wrapping_add(anew)))
}

/// Values of a column in a block, and whether some have digits.
type Column = (Vec<f64>, bool);

/// What `format-spec/codecs.md` says of a block of bars; nothing of what is coded, or has factors.
fn by_specification(
    group: &Group<'_>,
    block: usize,
    rows: &Range<usize>,
    int: &mut IntScratch,
) -> Option<[Column; 4]> {
    let count = rows.len();
    let mut numbers: [Vec<i64>; 4] = Default::default();
    let mut digits: [Vec<i64>; 4] = Default::default();
    let mut out: [Column; 4] = Default::default();
    for (role, member) in group.members.iter().enumerate() {
        let place = member.blocks.get(block)?.clone();
        if group.bytes[place.start] & 128 != 0 || member.flags & 64 != 0 {
            return None;
        }
        let mut reader = ByteReader::new(&group.bytes[place], "");
        numbers[role] = mantissas(&mut reader, role, count, &numbers, None, int);
        digits[role] = match member.places {
            Some(_) => further(&mut reader, role, count, &numbers, &digits, int),
            None => vec![0; count],
        };
        let (exponent, divisor) = member.scale;
        let places = member.places.unwrap_or(0);
        let power = 10i64.pow(u32::from(places));
        let value = |row: usize| {
            let units = numbers[role][row].wrapping_mul(divisor).wrapping_mul(power);
            units.wrapping_add(digits[role][row]) as f64 / 10f64.powi(i32::from(exponent + places))
        };
        let mut values: Vec<f64> = (0..count).map(value).collect();
        if member.flags & 2 != 0 {
            patch(&mut reader, count, 0, &mut values, &mut [0; BLOCK_ROWS]).expect("what verifies is read");
        }
        reader.finish().expect("nothing is left over");
        out[role] = (values, digits[role].iter().any(|digits| *digits != 0));
    }
    if group.members[0].places.is_some() {
        every_table(&numbers, &digits);
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
