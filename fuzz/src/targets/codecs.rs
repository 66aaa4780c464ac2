//! Blocks of integers and of decimals, and bars that predict one another.

use std::cell::RefCell;

use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::decimal::{Float, Mantissas, Scale, choose, patch, sample};
use tapestore_format::codec::digits::{Digits, put};
use tapestore_format::codec::factor::apply;
use tapestore_format::codec::factor_find::Prices;
use tapestore_format::codec::group::{Role, residuals, restore};
use tapestore_format::codec::int::{IntScratch, Transform, decode};
use tapestore_format::codec::int_encode::{Forms, encode_with};
use tapestore_format::codec::kernel::Kernels;
use tapestore_format::codec::lane::Lane;
use tapestore_format::limits::BLOCK_ROWS;

use crate::corpus::vectors;
use crate::{Outcome, Target};

/// Integer blocks: two bytes with the count, then the block.
pub(super) const INTEGERS: Target = Target {
    name: "integers",
    smoke: 1_900_000,
    longest: 3000,
    fixed: false,
    // Buffers of one block each: four of the decoder, the numbers, those encoded again, and what the encoder tries.
    bound: |_| 40 * BLOCK_ROWS * 8,
    seeds: || {
        let seed = |count: u64, bytes: &[u8]| [&(count as u16).to_le_bytes()[..], bytes].concat();
        let mut seeds: Vec<_> = vectors("integers").iter().map(|one| seed(one.context, &one.bytes)).collect();
        seeds.retain(|seed| seed.len() <= 3000);
        seeds
    },
    mend: |_| Vec::new(),
    check: integers,
};

thread_local! {
    /// Kept from one input to the next, so that a decoder that relies on clean buffers is found.
    static SCRATCH: RefCell<IntScratch> = RefCell::default();
    /// Likewise the digits of bars.
    static DIGITS: RefCell<Digits> = RefCell::default();
}

fn decoded(bytes: &[u8], out: &mut [i64]) -> Result<(Transform, usize), Outcome> {
    let mut reader = ByteReader::new(bytes, "K1");
    let transform = SCRATCH.with(|scratch| decode(&mut reader, out, &mut scratch.borrow_mut(), None));
    let header = u64::from(bytes.first().copied().unwrap_or(0));
    let place = header << 8 | u64::from(reader.position() == bytes.len());
    transform
        .map(|transform| (transform, reader.position()))
        .map_err(|error| Outcome::Refused(error.rule, place))
}

fn integers(input: &[u8]) -> Outcome {
    let Some((count, block)) = input.split_at_checked(2) else { return Outcome::Refused("", 0) };
    let count = usize::from(u16::from_le_bytes([count[0], count[1]])).clamp(1, BLOCK_ROWS);
    let (mut first, mut second) = (vec![0; count], vec![-1; count]);
    let (transform, used) = match decoded(block, &mut first) {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    assert_eq!(
        decoded(&block[..used], &mut second),
        Ok((transform, used)),
        "nothing behind a block is looked at"
    );
    assert_eq!(first, second, "a block gives the same numbers whatever was decoded before");
    let usual = encoded(Forms::EVERYWHERE, &first);
    let all = encoded(Forms::ALL, &first);
    assert_ne!(usual[0] >> 3 & 3, Transform::Alternate as u8, "a form that not every file may hold");
    assert!(all.len() <= usual.len(), "more forms make nothing longer");
    Outcome::Accepted(u64::from(block[0]) << 16 | u64::from(all[0]) << 8 | count.ilog2() as u64)
}

/// The block that an encoder makes of numbers, which it gives back.
fn encoded(forms: Forms, numbers: &[i64]) -> Vec<u8> {
    let mut block = Vec::new();
    encode_with(forms, numbers, None, &mut block);
    // A header, and at most what a number takes as a varint beyond its eight bytes.
    assert!(block.len() <= 8 * numbers.len() + 3, "no block is longer than its numbers: {}", block.len());
    let mut found = vec![7; numbers.len()];
    let used = decoded(&block, &mut found).map(|found| found.1);
    assert_eq!(used, Ok(block.len()), "what is encoded decodes");
    assert_eq!(found, numbers, "what is encoded decodes to the same");
    block
}

/// Decimals and bars: a byte with the number of values, a byte with the manner, then numbers of eight bytes.
pub(super) const FLOATS: Target = Target {
    name: "floats",
    smoke: 650_000,
    longest: 1200,
    fixed: false,
    // The buffers for factors, made at first use and kept, are 70 KiB; further digits of four columns are 32, once kept and
    // once made anew.
    bound: |length| 32 * length + (192 << 10),
    seeds: || {
        let mut seeds = Vec::new();
        for manner in 0..8u8 {
            for count in [1u8, 4, 50] {
                let numbers = (0..i64::from(count)).map(|n| (n * n * 25 + 90_000) * i64::from(manner + 1));
                let bytes = numbers.flat_map(i64::to_le_bytes).collect::<Vec<u8>>();
                seeds.push([&[count, manner][..], &bytes].concat());
                let prices = (0..i64::from(count)).map(|n| (n as f64 * 0.01 + 93.25).to_bits());
                let bytes = prices.flat_map(u64::to_le_bytes).collect::<Vec<u8>>();
                seeds.push([&[count, manner][..], &bytes].concat());
            }
        }
        seeds
    },
    mend: |_| Vec::new(),
    check: floats,
};

fn floats(input: &[u8]) -> Outcome {
    let Some((head, rest)) = input.split_at_checked(2) else { return Outcome::Refused("", 0) };
    let manner = head[1];
    let numbers: Vec<i64> = rest.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    let numbers = &numbers[..numbers.len().min(usize::from(head[0]).max(1))];
    let power = 10f64.powi(i32::from(manner >> 4));
    let double = |number: &i64| match manner & 3 {
        0 => f64::from_bits(*number as u64),
        1 => (*number >> 20) as f64 / power,
        2 => (*number >> 40) as f64 * 0.1 * power,
        _ => (*number as i16) as f64 / power,
    };
    let doubles: Vec<f64> = numbers.iter().map(double).collect();
    let singles: Vec<f32> = match manner & 3 {
        0 => numbers.iter().map(|number| f32::from_bits(*number as u32)).collect(),
        _ => doubles.iter().map(|value| *value as f32).collect(),
    };
    let wide = decimals(&doubles);
    let narrow = decimals(&singles);
    let factors = products(&doubles, numbers, manner);
    bars(numbers);
    further(numbers, rest);
    hostile(rest, usize::from(head[0]).max(1));
    Outcome::Accepted(factors << 40 | u64::from(manner & 3) << 32 | wide << 16 | narrow)
}

/// What the encoder makes of values gives them back to the bit.
fn decimals<F: Float>(values: &[F]) -> u64 {
    if values.is_empty() {
        return 0;
    }
    let chosen = choose(&sample(values, |_| true, 256));
    let exponent = chosen.unwrap_or(3);
    let mut mantissas = Mantissas::of(values, exponent, |_| false);
    let divisor = i64::try_from(mantissas.divisor).unwrap_or(1).max(1);
    mantissas.divide(divisor);
    let scale = Scale { exponent, divisor };
    let mut bytes = Vec::new();
    scale.encode(&mut bytes);
    mantissas.put_strays::<F>(scale, 0, values.len(), &mut bytes);
    let mut reader = ByteReader::new(&bytes, "K10");
    assert_eq!(Scale::decode(&mut reader).as_ref(), Ok(&scale), "a scale comes back");
    let mut out = Vec::new();
    scale.extend::<F>(Kernels::best(), &mantissas.numbers, &mut out);
    patch(&mut reader, values.len(), 0, &mut out, &mut [0; BLOCK_ROWS]).expect("exceptions are read back");
    reader.finish().expect("and nothing is left over");
    for (found, expected) in out.iter().zip(values) {
        assert_eq!(found.to_int(), expected.to_int(), "a value comes back to the bit");
    }
    u64::from(exponent) << 1 | u64::from(mantissas.strays.is_empty())
}

/// Values under factors that were found, or under any, come back to the bit, wholly and in part.
fn products(values: &[f64], numbers: &[i64], manner: u8) -> u64 {
    if values.is_empty() {
        return 0;
    }
    let null = |row: usize| manner & 4 != 0 && row % 5 == 1;
    let found = Prices { columns: &[values], skip: null }.factors();
    let shape = found.as_ref().map_or(0, |found| 1 + u64::from(found.0) + found.1.len() as u64 * 8);
    // Factors made of the input where none is found.
    let factor = |number: i64| (number.unsigned_abs() >> 11) as f64 / (1u64 << 50) as f64 + f64::MIN_POSITIVE;
    let starts = (0..values.len()).step_by(usize::from(manner >> 3) + 1);
    let made = || (manner >> 5, starts.map(|row| (row, factor(numbers[row]))).collect());
    let (exponent, runs) = found.unwrap_or_else(made);
    let mut split = Mantissas::factored(values, exponent, &runs, null);
    let divisor = i64::try_from(split.divisor).unwrap_or(1).max(1);
    split.divide(divisor);
    let scale = Scale { exponent, divisor };
    let mut bytes = Vec::new();
    split.put_behind::<f64>(scale, 0, values.len(), &mut bytes);
    let mut decimals = Vec::new();
    scale.extend::<f64>(Kernels::best(), &split.numbers, &mut decimals);
    for start in [0, values.len() / 2] {
        let (mut reader, mut rows) = (ByteReader::new(&bytes, "K17"), [0; BLOCK_ROWS]);
        let out = &mut decimals.clone()[start..];
        let read = SCRATCH.with(|scratch| {
            apply(&mut reader, values.len(), start, out, &mut rows, &mut scratch.borrow_mut())
        });
        read.expect("factors are read back");
        if !split.strays.is_empty() {
            patch(&mut reader, values.len(), start, out, &mut rows).expect("exceptions are read back");
        }
        reader.finish().expect("and nothing is left over");
        for (row, found) in (start..).zip(out.iter()) {
            assert!(null(row) || found.to_int() == values[row].to_int(), "a value comes back to the bit");
        }
    }
    shape
}

/// Residuals of any numbers give them back.
fn bars(numbers: &[i64]) {
    let quarter = numbers.len() / 4;
    let (close, rest) = numbers.split_at(quarter);
    let (open, rest) = rest.split_at(quarter);
    for role in Role::ALL {
        let values = &rest[..quarter];
        let mut found = Vec::new();
        residuals(role, close, open, values, &mut found);
        restore(role, close, open, &mut found);
        assert_eq!(found, values, "{role:?} comes back");
    }
}

/// Further digits of any bars come back; those of any bytes are the same whatever was read before.
fn further(numbers: &[i64], bytes: &[u8]) {
    let count = numbers.len() / 4;
    if count == 0 {
        return;
    }
    let quarters: [&[i64]; 4] = std::array::from_fn(|role| &numbers[role * count..(role + 1) * count]);
    // Of few bits, so that rows are equal and digits carry over.
    let mantissas = quarters.map(|numbers| numbers.iter().map(|number| number >> 8 & 3).collect::<Vec<_>>());
    let digits = quarters.map(|numbers| {
        numbers
            .iter()
            .map(|number| if number & 6 == 0 { number >> 16 } else { number & 1 })
            .collect::<Vec<_>>()
    });
    let of = |role: usize| (&mantissas[role][..], &digits[role][..]);
    let mut written = Vec::new();
    Role::ALL.into_iter().for_each(|role| put(role, of(role as usize), of(0), of(1), &mut written));
    let small = mantissas.each_ref().map(|numbers| numbers.iter().map(|n| *n as i32).collect::<Vec<_>>());
    let mantissas = mantissas.each_ref().map(Vec::as_slice);
    let small = small.each_ref().map(Vec::as_slice);
    DIGITS.with_borrow_mut(|kept| {
        assert_eq!(read_digits(&written, small, kept), Ok(written.len()), "digits are read back");
        for role in Role::ALL {
            assert_eq!(kept.of(role)[..count], digits[role as usize], "{role:?} comes back");
        }
        let mut fresh = Digits::default();
        let found = read_digits(bytes, mantissas, kept);
        assert_eq!(read_digits(bytes, small, &mut fresh), found, "whatever was read before");
        for role in Role::ALL.into_iter().filter(|role| fresh.has(*role)) {
            let zero = fresh.of(role)[..count].iter().all(|digits| *digits == 0);
            assert!(fresh.has_some(role) || zero, "digits of {role:?} are looked at if there are some");
            assert!(kept.has(role) && kept.has_some(role) == fresh.has_some(role));
            assert_eq!(kept.of(role)[..count], fresh.of(role)[..count], "digits of another block");
        }
    });
}

/// Reads the digits of four columns, one behind the other; tells where they end, or what is wrong.
fn read_digits<N: Lane>(
    bytes: &[u8],
    mantissas: [&[N]; 4],
    digits: &mut Digits,
) -> Result<usize, (&'static str, u64)> {
    let mut reader = ByteReader::new(bytes, "K20");
    digits.forget();
    for role in Role::ALL {
        let (mut rows, mut told) = ([-1; BLOCK_ROWS], [-1; BLOCK_ROWS]);
        let read = SCRATCH.with_borrow_mut(|int| {
            let scratch = [&mut rows[..], &mut told[..]];
            digits.read(role, &mut reader, mantissas[0].len(), mantissas, int, scratch)
        });
        read.map_err(|error| (error.rule, error.offset))?;
    }
    Ok(reader.position())
}

/// Bytes that no encoder made: an error or values, nothing else.
fn hostile(bytes: &[u8], count: usize) {
    let start = count / 3;
    let read = |start: usize, out: &mut [f64]| {
        let mut reader = ByteReader::new(bytes, "K17");
        let read = SCRATCH.with(|scratch| {
            apply(&mut reader, count, start, out, &mut [0; BLOCK_ROWS], &mut scratch.borrow_mut())
        });
        (read, reader.position())
    };
    let (mut part, mut whole) = (vec![0.37; count - start], vec![0.37; count]);
    let found = read(0, &mut whole);
    assert_eq!(read(start, &mut part), found, "factors of a part are as good as those of the whole");
    let same = part.iter().zip(&whole[start..]).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(found.0.is_err() || same, "products of a part are those of the whole");
    let mut reader = ByteReader::new(bytes, "K10");
    let Ok(scale) = Scale::decode(&mut reader) else { return };
    let mut out: Vec<f64> = (start..count).map(|row| scale.value(row as i64 - 5)).collect();
    let mut whole: Vec<f64> = (0..count).map(|row| scale.value(row as i64 - 5)).collect();
    let part = patch(&mut reader.clone(), count, start, &mut out, &mut [0; BLOCK_ROWS]);
    let all = patch(&mut reader, count, 0, &mut whole, &mut [0; BLOCK_ROWS]);
    assert_eq!(part, all, "a part of a block is as good as the whole");
    if all.is_ok() {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&out), bits(&whole[start..]), "a part of a block is a part of the whole");
    }
}
