//! Integer blocks: every packing, transform, width and edge value round-trips.

mod support;

use std::collections::BTreeSet;

use support::Random;
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::int::{IntScratch, Packing, Transform, decode, packing_of};
use tapestore_format::codec::int_encode::encode;

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
