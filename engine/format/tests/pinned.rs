//! What the encoders write, to the byte: thousands of blocks of random shape, their lengths and a checksum of all bytes stated.
//!
//! An encoder that chooses otherwise is noticed, although all it writes comes back. Whoever makes it choose better states the new
//! table, which a failure prints; where every total has grown smaller or stayed, it is better.

mod support;

use support::Random;
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::bins_encode::Coding;
use tapestore_format::codec::decimal::{Mantissas, Scale, choose};
use tapestore_format::codec::int::{IntScratch, Packing, Transform, decode};
use tapestore_format::codec::int_encode::{Forms, encode_with};

/// Kinds of numbers, by what they were made to be good for.
const KINDS: [&str; 13] = [
    "one width",
    "multiples",
    "multiples around a middle",
    "outliers",
    "a walk",
    "few that are not zero",
    "runs",
    "few distinct",
    "several lengths",
    "round",
    "two walks in turn",
    "two levels in turn",
    "mostly above zero",
];

/// A number of so many bits at most, of either sign.
fn signed(random: &mut Random, bits: u64) -> i64 {
    if bits == 0 { 0 } else { random.next() as i64 >> (64 - bits) }
}

/// A number of so many bits at most.
fn unsigned(random: &mut Random, bits: u64) -> i64 {
    if bits == 0 { 0 } else { (random.next() >> (64 - bits)) as i64 }
}

fn numbers(random: &mut Random, kind: usize, count: usize) -> Vec<i64> {
    let (width, one_in) = (random.below(40), 2 + random.below(60));
    let (base, factor) = (signed(random, 45), random.pick(&[1, 2, 5, 10, 25, 1000, 7]));
    let far = width + random.below(20);
    let distinct: Vec<i64> = (0..2 + random.below(40)).map(|_| signed(random, 50)).collect();
    let lengths: Vec<u64> = (0..2 + random.below(7)).map(|_| random.below(48)).collect();
    let (mut last, mut other) = (base, base / 2);
    let number = |_| match kind {
        0 => base + unsigned(random, width),
        1 => base + unsigned(random, width.min(40)) * factor,
        2 => {
            let width = if random.chance(one_in) { far.min(48) } else { width };
            signed(random, width) * factor
        }
        3 if random.chance(one_in) => base + signed(random, far),
        3 => base + signed(random, width.min(12)),
        4 => {
            last += signed(random, width.min(14)) * factor;
            last
        }
        5 => {
            if random.below(70) < one_in {
                signed(random, width)
            } else {
                0
            }
        }
        6 => {
            if random.below(70) < one_in {
                last = signed(random, width);
            }
            last
        }
        7 => random.pick(&distinct),
        8 => {
            let length = random.pick(&lengths);
            signed(random, length)
        }
        9 => unsigned(random, 5) * 10i64.pow(random.below(1 + width % 9) as u32),
        10 => {
            (last, other) = (other, last + signed(random, width.min(10)));
            other
        }
        11 => {
            (last, other) = (other, if random.chance(one_in) { signed(random, 20) } else { last });
            other
        }
        _ => unsigned(random, width.min(20)) - if random.chance(one_in) { unsigned(random, far) } else { 0 },
    };
    (0..count).map(number).collect()
}

/// Lengths and bytes of what was written of one kind.
#[derive(Default)]
struct Written {
    bytes: usize,
    checksum: crc32fast::Hasher,
}

impl Written {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.checksum.update(bytes);
    }
}

/// Holds what was written against what is stated.
fn compare(found: Vec<Written>, stated: &[(usize, u32); KINDS.len()]) {
    let found: Vec<(usize, u32)> =
        found.into_iter().map(|written| (written.bytes, written.checksum.finalize())).collect();
    let table: String = found.iter().map(|(bytes, crc)| format!("    ({bytes}, 0x{crc:08x}),\n")).collect();
    for ((kind, found), stated) in KINDS.iter().zip(&found).zip(stated) {
        assert_eq!(found.0, stated.0, "bytes of {kind}; all now:\n{table}");
        assert_eq!(found.1, stated.1, "the bytes of {kind} are others; all now:\n{table}");
    }
}

/// What may be chosen from: all, all but one, and what every file may hold.
fn forms() -> Vec<Forms> {
    let packings = [Packing::Sparse, Packing::Runs, Packing::Dictionary, Packing::Patched, Packing::Classes];
    let transforms = [Transform::Delta, Transform::Group, Transform::Alternate];
    let mut all = vec![Forms::ALL, Forms::EVERYWHERE, Forms::ALL, Forms::EVERYWHERE, Forms::EVERYWHERE];
    all.extend(packings.map(|packing| Forms::ALL.without(packing)));
    all.extend(packings.map(|packing| Forms::EVERYWHERE.without(packing)));
    all.extend(transforms.map(|transform| Forms::ALL.without_transform(transform)));
    all
}

const COUNTS: [usize; 14] = [1, 2, 3, 5, 8, 17, 63, 64, 65, 257, 600, 1000, 1023, 1024];

#[test]
fn blocks_are_written_as_they_were() {
    let (mut random, forms) = (Random(2026), forms());
    let mut scratch = IntScratch::default();
    let mut found = Vec::new();
    for (kind, name) in KINDS.iter().enumerate() {
        let mut written = Written::default();
        for round in 0..420 {
            let count = COUNTS[round % COUNTS.len()];
            let values = numbers(&mut random, kind, count);
            // Residuals of a prediction that is worth something, or nothing, or is not there.
            let residuals = match round % 3 {
                0 => None,
                1 => Some(numbers(&mut random, 12, count)),
                _ => Some(numbers(&mut random, round % KINDS.len(), count)),
            };
            let mut bytes = Vec::new();
            encode_with(forms[round % forms.len()], &values, residuals.as_deref(), &mut bytes);
            let mut reader = ByteReader::new(&bytes, "K2");
            let mut back = vec![0; count];
            let transform = decode(&mut reader, &mut back, &mut scratch, None).unwrap();
            reader.finish().unwrap();
            let expected = if transform == Transform::Group { residuals.unwrap() } else { values };
            assert_eq!(back, expected, "{name} in round {round}");
            written.add(&bytes);
        }
        found.push(written);
    }
    compare(found, BLOCKS);
}

#[test]
fn coded_columns_are_written_as_they_were() {
    let mut random = Random(2027);
    let mut found = Vec::new();
    for kind in 0..KINDS.len() {
        let mut written = Written::default();
        for round in 0..9 {
            let count = [700, 2048, 5000][round % 3];
            let values = numbers(&mut random, kind, count);
            let residuals = (round % 2 == 1).then(|| numbers(&mut random, 12, count));
            let forms = [Forms::ALL, Forms::EVERYWHERE][round % 2];
            let Some(coding) = Coding::new(forms, &values, residuals.as_deref()) else {
                written.add(b"no model");
                continue;
            };
            written.add(&coding.model());
            for block in 0..count.div_ceil(1024) {
                let mut bytes = vec![7, 8];
                assert!(coding.encode(block, usize::MAX, &mut bytes));
                let length = bytes.len() - 2;
                // Exactly as long as allowed is not smaller; a byte more is.
                let (mut again, mut not) = (vec![7, 8], vec![7, 8]);
                assert!(!coding.encode(block, length, &mut not));
                assert_eq!(not, [7, 8]);
                assert!(coding.encode(block, length + 1, &mut again));
                assert_eq!(again, bytes);
                written.add(&bytes[2..]);
            }
        }
        found.push(written);
    }
    compare(found, CODED);
}

/// Prices with so many places, some of which are something else.
fn prices(random: &mut Random, kind: usize, count: usize) -> Vec<f64> {
    let (places, one_in) = (random.below(9) as i32, [2, 3, 4, 30, 99, 101, 1_000_000][kind % 7]);
    let other = random.below(9) as i32;
    let width = 4 + random.below(30);
    let price = |_| {
        let exact = unsigned(random, width) as f64 / 10f64.powi(places);
        match (random.chance(one_in), kind) {
            (false, _) => exact,
            (true, 0..=4) => unsigned(random, width) as f64 / 10f64.powi(other),
            (true, 5..=7) => f64::from_bits(exact.to_bits() ^ (1 + random.below(1 << (kind * 7 - 30)))),
            (true, 8) => f64::NAN,
            (true, 9) => exact * 1e200,
            (true, _) => exact / 3.0,
        }
    };
    (0..count).map(price).collect()
}

#[test]
fn decimals_are_chosen_and_exceptions_written_as_they_were() {
    let mut random = Random(2028);
    let mut found = Vec::new();
    for kind in 0..KINDS.len() {
        let mut written = Written::default();
        for round in 0..120 {
            let count = COUNTS[round % COUNTS.len()];
            let values = prices(&mut random, kind, count);
            let single: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            written.add(&[choose(&values).unwrap_or(99), choose(&single).unwrap_or(99)]);
            let exponent = choose(&values).unwrap_or(random.below(12) as u8);
            let skipped = 1 + random.below(40) as usize;
            let mut mantissas = Mantissas::of(&values, exponent, |row| row % skipped == 1);
            written.add(&mantissas.divisor.to_le_bytes());
            let divisor = mantissas.divisor.max(1) as i64;
            mantissas.divide(divisor);
            for number in &mantissas.numbers {
                written.add(&number.to_le_bytes());
            }
            let mut bytes = Vec::new();
            mantissas.put_strays::<f64>(Scale { exponent, divisor }, 0, count, &mut bytes);
            mantissas.put_strays::<f64>(
                Scale { exponent, divisor },
                count / 3,
                count - count / 3,
                &mut bytes,
            );
            written.add(&bytes);
        }
        found.push(written);
    }
    compare(found, DECIMALS);
}

const BLOCKS: &[(usize, u32); KINDS.len()] = &[
    (240_391, 0xc246_f890),
    (241_997, 0xb759_4459),
    (265_575, 0x26db_d107),
    (187_944, 0x299f_6326),
    (170_771, 0xf1aa_7a50),
    (132_279, 0x40c4_a2fd),
    (145_948, 0xf9d4_a6cd),
    (148_434, 0xea94_f26d),
    (356_124, 0xa388_af41),
    (147_715, 0xf674_84d4),
    (240_107, 0xfb88_985f),
    (88_942, 0xa0af_40c8),
    (227_868, 0xe198_f1af),
];

const CODED: &[(usize, u32); KINDS.len()] = &[
    (35_940, 0x330b_dae8),
    (60_709, 0xc942_f97a),
    (59_076, 0xcd35_5600),
    (19_776, 0x1a18_364f),
    (46_280, 0x75ca_f1fd),
    (22_526, 0x875d_707f),
    (20_899, 0x8ce4_2877),
    (14_748, 0x3935_6400),
    (70_617, 0xfdc0_73c9),
    (15_838, 0x046d_43e5),
    (30_073, 0x3467_2f7b),
    (14_960, 0x7d6f_f3e3),
    (41_456, 0x93bd_7284),
];

const DECIMALS: &[(usize, u32); KINDS.len()] = &[
    (267_192, 0xce70_5809),
    (269_715, 0x12b7_e560),
    (271_744, 0x5031_b07f),
    (273_146, 0xdf2d_b6e7),
    (269_216, 0x3673_18af),
    (268_357, 0x7e33_d8f2),
    (267_192, 0x7ebf_bf9f),
    (386_750, 0x6626_4d10),
    (446_766, 0x8534_0f1f),
    (396_930, 0x2299_4897),
    (275_772, 0xd00e_ae9d),
    (269_354, 0x2868_7fd8),
    (269_581, 0x46cb_9315),
];
