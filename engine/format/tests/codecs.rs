//! Integer blocks: every packing, transform, width and edge value round-trips.

mod support;

use std::collections::BTreeSet;

use support::Random;
use tapestore_format::bytes::{ByteReader, ByteWriter};
use tapestore_format::codec::bins::{BINS, MODEL_BYTES, Model};
use tapestore_format::codec::decimal::{Scale, patch};
use tapestore_format::codec::int::{IntScratch, Packing, Transform, decode, packing_of};
use tapestore_format::codec::int_encode::{Forms, encode, encode_with};
use tapestore_format::codec::kernel::Kernels;

/// Encodes, decodes, compares; tells the packing that was chosen.
fn round_trip(values: &[i64], residuals: Option<&[i64]>) -> (Packing, usize) {
    let mut bytes = Vec::new();
    encode(values, residuals, &mut bytes);
    let mut out = vec![0x5555; values.len()];
    let mut reader = ByteReader::new(&bytes, "K1");
    let transform = decode(&mut reader, &mut out, &mut IntScratch::default(), None).unwrap();
    reader.finish().unwrap();
    let expected = if transform == Transform::Group { residuals.unwrap() } else { values };
    assert_eq!(out, expected);
    for length in 0..bytes.len() {
        assert!(
            decode(&mut ByteReader::new(&bytes[..length], "K1"), &mut out, &mut IntScratch::default(), None)
                .is_err()
        );
    }
    (packing_of(bytes[0]), bytes.len())
}

#[test]
fn every_width_and_edge_round_trips() {
    let mut random = Random(1);
    for width in 0..=64u32 {
        for count in [1, 2, 3, 64, 100, 1023, 1024] {
            for base in [0, 1, -1, i64::MIN, i64::MAX, 12_345] {
                let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
                let values: Vec<i64> = (0..count)
                    .map(|index| match index {
                        0 => base,
                        1 => base.wrapping_add(mask as i64),
                        _ => base.wrapping_add((random.next() & mask) as i64),
                    })
                    .collect();
                let mut bytes = Vec::new();
                encode(&values, None, &mut bytes);
                let mut out = vec![0; count];
                decode(&mut ByteReader::new(&bytes, "K1"), &mut out, &mut IntScratch::default(), None)
                    .unwrap();
                assert_eq!(out, values, "width {width} count {count} base {base}");
            }
        }
    }
}

#[test]
fn every_packing_is_chosen_where_it_is_smallest() {
    let mut random = Random(2);
    let mut seen = BTreeSet::new();
    let mut expect = |packing: Packing, most: usize, values: Vec<i64>| {
        let (found, bytes) = round_trip(&values, None);
        assert_eq!(found, packing);
        assert!(bytes <= most, "{packing:?}: {bytes} bytes");
        seen.insert(packing as u8);
    };
    expect(Packing::Constant, 4, vec![-77; 1024]);
    expect(Packing::Constant, 4, (0..1024).map(|index| index * 60).collect());
    expect(Packing::Packed, 1024 * 10 / 8 + 8, (0..1024).map(|_| random.below(1024) as i64).collect());
    let mut patched: Vec<i64> = (0..1024).map(|_| random.below(1024) as i64).collect();
    patched[17] = i64::MIN;
    patched[1023] = i64::MAX;
    expect(Packing::Patched, 1024 * 11 / 8 + 40, patched);
    let mut level = 0;
    let runs = (0..1024).map(|index| {
        if index % 100 == 0 {
            level = random.next() as i64;
        }
        level
    });
    expect(Packing::Runs, 130, runs.collect());
    let kinds: Vec<i64> = (0..8).map(|_| random.next() as i64).collect();
    expect(Packing::Dictionary, 1024 * 3 / 8 + 80, (0..1024).map(|_| random.pick(&kinds)).collect());
    let sparse =
        (0..1024).map(|_| if random.chance(5) { random.below(1 << 40) as i64 + (1 << 40) } else { 0 });
    expect(Packing::Sparse, 128 + 260 * 6, sparse.collect());
    expect(Packing::Raw, 8193, (0..1024).map(|_| random.next() as i64).collect());
    let classes = (0..1024).map(|_| (random.next() >> (24 + random.below(4) * 12)) as i64);
    expect(Packing::Classes, 1024 * 26 / 8, classes.collect());
    assert_eq!(seen.len(), 8);
}

/// Rows of two sides in turn: steps of a width, now and then.
fn sides(random: &mut Random, width: u32, every: u64, count: usize) -> Vec<i64> {
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let mut sides = [i64::MIN, 7];
    (0..count)
        .map(|row| {
            if random.next().is_multiple_of(every) {
                sides[row % 2] = sides[row % 2].wrapping_add((random.next() & mask) as i64);
            }
            sides[row % 2]
        })
        .collect()
}

#[test]
fn rows_of_two_sides_in_turn_round_trip() {
    let mut random = Random(7);
    let mut seen = BTreeSet::new();
    for width in 0..=64u32 {
        for count in [1, 2, 3, 64, 100, 1023, 1024] {
            for every in [1, 2, 9, 100] {
                let values = sides(&mut random, width, every, count);
                let (mut bytes, mut usual) = (Vec::new(), Vec::new());
                encode_with(Forms::ALL, &values, None, &mut bytes);
                encode(&values, None, &mut usual);
                assert!(bytes.len() <= usual.len());
                let mut scratch = IntScratch::default();
                let mut out = vec![0; count];
                let mut reader = ByteReader::new(&bytes, "K1");
                let transform = decode(&mut reader, &mut out, &mut scratch, None).unwrap();
                reader.finish().unwrap();
                assert_eq!(out, values, "width {width} count {count} every {every}");
                if transform == Transform::Alternate {
                    seen.insert(packing_of(bytes[0]) as u8);
                }
                let transform = decode(&mut ByteReader::new(&usual, "K1"), &mut out, &mut scratch, None);
                assert_ne!(transform.unwrap(), Transform::Alternate, "not in every file");
            }
        }
    }
    let wanted = [Packing::Packed, Packing::Patched, Packing::Sparse, Packing::Classes];
    assert!(wanted.iter().all(|packing| seen.contains(&(*packing as u8))), "{seen:?}");
}

#[test]
fn quotes_of_one_side_each_cost_what_their_changes_do() {
    let mut bid = 489_500;
    let quotes: Vec<i64> = (0..1024)
        .map(|row| {
            bid += i64::from(row % 100 == 0) * 100;
            if row % 2 == 0 { bid } else { 0 }
        })
        .collect();
    let (mut bytes, mut usual) = (Vec::new(), Vec::new());
    encode_with(Forms::ALL, &quotes, None, &mut bytes);
    encode(&quotes, None, &mut usual);
    assert!(bytes.len() < 40 && usual.len() > 200, "{} {}", bytes.len(), usual.len());
}

/// Quantities of trades, which repeat what stood two before more often than not, and are of all lengths.
#[test]
fn more_forms_never_make_a_block_larger() {
    let mut random = Random(11);
    for round in 0..200 {
        let mut values: Vec<i64> = (0..1024).map(|_| 100 << (random.next() % 12)).collect();
        for row in 2..1024 {
            if random.next() % 10 < round % 10 {
                values[row] = values[row - 2];
            }
        }
        let (mut all, mut usual) = (Vec::new(), Vec::new());
        encode_with(Forms::ALL, &values, None, &mut all);
        encode(&values, None, &mut usual);
        assert!(all.len() <= usual.len(), "round {round}: {} {}", all.len(), usual.len());
    }
}

#[test]
fn common_multiples_cost_nothing() {
    let mut random = Random(3);
    let values: Vec<i64> = (0..1024).map(|_| random.below(1000) as i64 * 1_000_000_007 + 5).collect();
    assert!(round_trip(&values, None).1 < 1024 * 10 / 8 + 16);
}

#[test]
fn random_blocks_round_trip() {
    for seed in 0..3000 {
        let mut random = Random(seed);
        let count = random.pick(&[1, 2, 5, 30, 65]);
        let kind = tapestore_format::schema::ColumnType::I64;
        let values = |random: &mut Random| match support::values(random, kind, count).values {
            tapestore_format::rows::Values::I64(values) => values,
            _ => unreachable!(),
        };
        let (values, residuals) = (values(&mut random), values(&mut random));
        round_trip(&values, random.chance(2).then_some(&residuals));
    }
}

/// A model of bins with these fields: places, width, difference of the lower end, frequency less one.
fn model(log: u8, count: u64, bins: &[(u8, u8, i64, u64)]) -> Vec<u8> {
    let mut out = vec![log];
    out.put_varint(count);
    for (places, width, lower, frequency) in bins {
        out.extend([*places, *width]);
        out.put_signed_varint(*lower);
        out.put_varint(*frequency);
    }
    out
}

#[test]
fn models_are_refused_behind_every_edge() {
    let read = |bytes: &[u8]| Model::default().read(bytes, &mut IntScratch::default());
    for (log, places, width, valid) in [
        (5, 18, 64, true),
        (5, 0, 0, true),
        (5, 19, 0, false),
        (5, 0, 65, false),
        (5, 19, 65, false),
        (14, 1, 1, true),
        (4, 0, 0, false),
        (15, 0, 0, false),
    ] {
        let all = (1u64 << log) - 1;
        let found = read(&model(log, 1, &[(places, width, -5, all)]));
        assert_eq!(found.is_ok(), valid, "2^{log}, {places} places, {width} bits");
        assert!(read(&model(log, 1, &[(places, width, -5, all - 1)])).is_err(), "a slot too few");
        assert!(read(&model(log, 1, &[(places, width, -5, all + 1)])).is_err(), "a slot too many");
    }
    assert!(read(&model(5, 0, &[])).is_err(), "no bin");
    // As many bins as there may be, each field as long as it can be: within the stated bound.
    assert_eq!(MODEL_BYTES, 15_363);
    let longest = |bins: usize| -> Vec<(u8, u8, i64, u64)> {
        (0..bins).map(|bin| (18, 64, if bin % 2 == 0 { i64::MIN } else { i64::MAX }, 15)).collect()
    };
    let most = model(14, BINS as u64, &longest(BINS));
    assert!(most.len() <= MODEL_BYTES);
    read(&most).unwrap();
    let mut halved = longest(BINS + 1);
    (halved[BINS - 1].3, halved[BINS].3) = (7, 7);
    let error = read(&model(14, BINS as u64 + 1, &halved)).unwrap_err();
    assert_eq!(error.rule, "K15");
}

/// A model in lanes, of bins of one number each.
fn model_in_lanes(log: u8, memory: &[u8], names: &[&[i64]], frequencies: &[&[i64]]) -> Vec<u8> {
    let mut out = vec![128 + log];
    out.put_varint(frequencies.first().map_or(1, |table| table.len()) as u64);
    for _ in 0..frequencies.first().map_or(1, |table| table.len()) {
        out.extend([0, 0]);
        out.put_signed_varint(1);
    }
    out.extend(memory);
    names.iter().chain(frequencies).for_each(|numbers| encode(numbers, None, &mut out));
    out
}

#[test]
fn models_in_lanes_are_refused_behind_every_edge() {
    let read = |bytes: &[u8]| Model::default().read(bytes, &mut IntScratch::default());
    let says = |bytes: &[u8], what: &str| {
        let error = read(bytes).expect_err(what);
        assert!(error.rule == "K18" && error.detail.contains(what), "{what}: {error}");
    };
    for log in 8..=12 {
        let half = 1i64 << (log - 1);
        read(&model_in_lanes(log, &[0], &[], &[&[half, half]])).unwrap();
        read(&model_in_lanes(log, &[0], &[], &[&[half * 2, 0]])).unwrap();
        says(&model_in_lanes(log, &[0], &[], &[&[half, half - 1]]), "do not reach their sum");
        says(&model_in_lanes(log, &[0], &[], &[&[half, half + 1]]), "beyond their sum");
        says(&model_in_lanes(log, &[0], &[], &[&[half * 2 + 1, -1]]), "beyond their sum");
        says(&model_in_lanes(log, &[0], &[], &[&[-1, half * 2 + 1]]), "beyond their sum");
    }
    for log in [0, 4, 7, 13, 14, 127] {
        says(&model_in_lanes(log, &[0], &[], &[&[1 << 4, 1 << 4]]), "frequencies that add up to");
    }
    let (whole, states): (&[i64], Vec<i64>) = (&[128, 128], vec![0; 16 << 3]);
    says(&model_in_lanes(8, &[5], &[], &[whole]), "unknown memory 5");
    // Pairs of classes have a state each, means as many as their shift says.
    for (memory, classes, count) in [(1, 2, 4), (1, 16, 256), (2, 2, 4), (3, 2, 8), (4, 2, 16), (4, 16, 128)]
    {
        let names: [&[i64]; 2] = [&[0, 1], &vec![0; count]];
        read(&model_in_lanes(8, &[memory, classes, 1], &names, &[whole])).unwrap();
        let names: [&[i64]; 2] = [&[0, i64::from(classes)], &vec![0; count]];
        says(&model_in_lanes(8, &[memory, classes, 1], &names, &[whole]), "class");
        let names: [&[i64]; 2] = [&[0, -1], &vec![0; count]];
        says(&model_in_lanes(8, &[memory, classes, 1], &names, &[whole]), "class -1");
        let mut other = vec![0; count];
        other[count - 1] = 1;
        let names: [&[i64]; 2] = [&[0, 1], &other];
        says(&model_in_lanes(8, &[memory, classes, 1], &names, &[whole]), "table 1 of 1");
        read(&model_in_lanes(8, &[memory, classes, 2], &names, &[whole, whole])).unwrap();
    }
    let names: [&[i64]; 2] = [&[0, 1], &states];
    for (classes, tables) in [(0, 1), (1, 1), (17, 1), (255, 1), (16, 0)] {
        says(&model_in_lanes(8, &[4, classes, tables], &names, &[whole]), "tables for");
    }
    // 32,768 states of coders together, and one table more.
    let large: &[i64] = &[1 << 11, 1 << 11];
    read(&model_in_lanes(12, &[4, 16, 8], &names, &[large; 8])).unwrap();
    says(&model_in_lanes(12, &[4, 16, 9], &names, &[large; 9]), "9 tables for");
    let mut more = model_in_lanes(8, &[0], &[], &[whole]);
    for length in 0..more.len() {
        read(&more[..length]).unwrap_err();
    }
    more.push(0);
    read(&more).unwrap_err();
}

#[test]
fn scales_are_read_up_to_their_edges_and_small_ones_give_the_same() {
    let scale = |exponent: u8, divisor: u64| {
        let mut bytes = vec![exponent];
        bytes.put_varint(divisor);
        Scale::decode(&mut ByteReader::new(&bytes, "K10"))
    };
    for (exponent, divisor, valid) in [
        (0, 1, true),
        (22, i64::MAX as u64, true),
        (23, 1, false),
        (255, 1, false),
        (0, 0, false),
        (0, 1 << 63, false),
        (3, u64::MAX, false),
    ] {
        assert_eq!(scale(exponent, divisor).is_ok(), valid, "{exponent} {divisor}");
    }
    let ticks = Scale { exponent: 4, divisor: 1 << 20 };
    assert!(ticks.is_small((1 << 31) - 1) && !ticks.is_small(1 << 31) && !ticks.is_small(u64::MAX));
    // The short way for small mantissas: as the long one, and as one by one.
    let mantissas: Vec<i32> = (-700..700).map(|at| at * 997).collect();
    let wide: Vec<i64> = mantissas.iter().map(|mantissa| i64::from(*mantissa)).collect();
    for scale in [Scale { exponent: 2, divisor: 25 }, Scale { exponent: 0, divisor: 3 }, ticks] {
        for kernels in Kernels::all() {
            let (mut short, mut long) = (vec![0.5], vec![0.5]);
            scale.extend_small::<f64, i32>(kernels, &mantissas, &mut short);
            scale.extend::<f64>(kernels, &wide, &mut long);
            let each: Vec<f64> = wide.iter().map(|mantissa| scale.value(*mantissa)).collect();
            assert_eq!((&short[1..], &long[1..]), (&each[..], &each[..]), "{scale:?}");
            assert_eq!((short[0], long[0]), (0.5, 0.5));
            let (mut short, mut long) = (vec![0.5], vec![0.5]);
            scale.extend_small::<f32, i32>(kernels, &mantissas, &mut short);
            scale.extend::<f32>(kernels, &wide, &mut long);
            let each: Vec<f32> = wide.iter().map(|mantissa| scale.value(*mantissa)).collect();
            assert_eq!((&short[1..], &long[1..]), (&each[..], &each[..]), "{scale:?}");
        }
    }
}

#[test]
fn packings_have_names_of_their_own() {
    let blocks = [vec![1i64; 9], (0..9).map(|at| at * at * 7 % 5).collect()];
    let names = blocks.map(|block| {
        let mut bytes = Vec::new();
        encode(&block, None, &mut bytes);
        packing_of(bytes[0]).name()
    });
    assert_eq!(names, ["constant", "packed"]);
}

#[test]
fn exceptions_are_refused_unless_they_ascend_within_the_block() {
    // Positions in two bits each, then the differences.
    let block = |count: u64, positions: &[u8], differences: &[i64]| {
        let mut out = Vec::new();
        out.put_varint(count);
        out.extend(positions.iter().enumerate().fold(
            vec![0u8; positions.len().div_ceil(4)],
            |mut all, (at, p)| {
                all[at / 4] |= p << (at % 4 * 2);
                all
            },
        ));
        differences.iter().for_each(|difference| out.put_signed_varint(*difference));
        out
    };
    let patched = |rows: usize, start: usize, bytes: &[u8]| {
        let mut out = vec![1.0f64; rows - start];
        let mut reader = ByteReader::new(bytes, "K11");
        patch(&mut reader, rows, start, &mut out, &mut [0; 8]).and_then(|()| reader.finish()).map(|()| out)
    };
    let next = f64::from_bits(1.0f64.to_bits() + 1);
    assert_eq!(patched(3, 0, &block(0, &[], &[])).unwrap(), [1.0, 1.0, 1.0]);
    assert_eq!(patched(3, 0, &block(2, &[0, 2], &[1, 0])).unwrap(), [next, 1.0, 1.0]);
    assert_eq!(patched(3, 0, &block(3, &[0, 1, 2], &[1, 1, 1])).unwrap(), [next; 3]);
    // A part of a block takes what lies in it, and passes over the rest.
    assert_eq!(patched(3, 1, &block(3, &[0, 1, 2], &[5, 0, 1])).unwrap(), [1.0, next]);
    for (what, bytes) in [
        ("more exceptions than rows", block(4, &[0, 1, 2, 2], &[1, 1, 1, 1])),
        ("far more", block(1 << 40, &[], &[])),
        ("twice the same", block(2, &[1, 1], &[1, 1])),
        ("back to front", block(2, &[2, 0], &[1, 1])),
        ("behind the rows", block(1, &[3], &[1])),
        ("a difference too few", block(2, &[0, 2], &[1])),
        ("a difference too many", block(1, &[0], &[1, 1])),
        ("bits left over", vec![1, 0b100, 2]),
    ] {
        assert_eq!(patched(3, 0, &bytes).unwrap_err().rule, "K11", "{what}");
    }
}
