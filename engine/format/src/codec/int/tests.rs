//! Coded integers: narrow and wide decoding agree however blocks are damaged, and blocks tell of what they reach.

use std::collections::BTreeSet;

use super::super::int_encode::{Forms, encode_with};
use super::*;

#[path = "../../../tests/support/blocks.rs"]
mod blocks;

use blocks::Random;

/// Numbers of a kind that some packing suits.
fn numbers(random: &mut Random, kind: u64) -> Vec<i64> {
    let count = [1, 7, 64, 1000, 1024][random.below(5) as usize];
    let width = random.below(34);
    let wide = 1u64 << width;
    let mut last = random.below(wide) as i64;
    let number = |_| {
        let next = random.below(wide) as i64;
        match kind {
            0 => next,
            1 => next * 25 - 7,
            2 => {
                if random.below(4) == 0 {
                    next
                } else {
                    0
                }
            }
            3 => {
                if random.below(40) == 0 {
                    next
                } else {
                    next & 7
                }
            }
            4 => next % 5 * 1_000_003,
            5 => next >> random.below(width + 1),
            8 => {
                last = i64::from(random.below(9) == 0) - last;
                last
            }
            _ => {
                last += if kind == 6 { next % 9 - 4 } else { i64::from(random.below(30) == 0) };
                last
            }
        }
    };
    (0..count).map(number).collect()
}

/// Decodes in 64 bits and, if the reach allows it, in 32; both must agree. Whether it did.
fn agrees(bytes: &[u8], count: usize, scratch: &mut IntScratch) -> bool {
    let (mut wide, mut narrow) = (vec![0i64; count], vec![0i32; count]);
    let Some((transform, most)) = reach(ByteReader::new(bytes, "K1"), count) else { return false };
    let found = decode(&mut ByteReader::new(bytes, "K1"), &mut wide, scratch, None);
    if let Ok(found) = &found {
        assert_eq!(*found, transform);
        assert!(wide.iter().all(|number| number.unsigned_abs() <= most), "beyond the reach of {most}");
    }
    if most >= 1 << 31 {
        return false;
    }
    let other = decode_narrow(&mut ByteReader::new(bytes, "K1"), &mut narrow, scratch);
    assert_eq!(found.is_ok(), other.is_ok(), "{found:?} {other:?}");
    assert!(found.is_err() || narrow.iter().zip(&wide).all(|(narrow, wide)| i64::from(*narrow) == *wide));
    true
}

#[test]
fn blocks_decode_in_32_bits_as_in_64_however_damaged() {
    let mut random = Random(5);
    let mut scratch = IntScratch::default();
    for kernels in Kernels::all() {
        scratch.kernels = kernels;
        let mut tried = [0; 2];
        for round in 0..1500 {
            let numbers = numbers(&mut random, round % 9);
            let mut bytes = Vec::new();
            encode_with(Forms::ALL, &numbers, None, &mut bytes);
            tried[0] += u32::from(agrees(&bytes, numbers.len(), &mut scratch));
            for _ in 0..4 {
                let mut bad = bytes.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(bad.len().min(24) as u64) as usize;
                    bad[at] = random.below(256) as u8;
                }
                tried[1] += u32::from(agrees(&bad, numbers.len(), &mut scratch));
            }
        }
        assert!(tried[0] > 800 && tried[1] > 800, "{}: {tried:?}", kernels.name);
    }
}

/// The cases of `tests/forced.rs`, as far as 32 bits hold them: by every table of loops the values that are specified.
#[test]
fn blocks_of_every_form_decode_in_32_bits_as_they_are_specified() {
    let (mut met, mut inner, mut farthest) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut tables: Vec<IntScratch> = Kernels::all().map(IntScratch::with).collect();
    blocks::cases(|case, written| {
        let told = reach(ByteReader::new(&written.bytes, "K1"), case.count);
        let Some((transform, most)) = told.filter(|(_, most)| *most < 1 << 31) else {
            assert!(!case.near, "{told:?}: {case:?}");
            return;
        };
        assert!(written.values.iter().all(|value| value.unsigned_abs() <= most), "{most}: {case:?}");
        for scratch in &mut tables {
            let mut found = vec![0x5555i32; case.count];
            let mut reader = ByteReader::new(&written.bytes, "K1");
            let name = scratch.kernels.name;
            let told = decode_narrow(&mut reader, &mut found, scratch);
            assert_eq!(told.unwrap_or_else(|error| panic!("{name}: {case:?}: {error}")), transform);
            reader.finish().unwrap_or_else(|error| panic!("{name}: {case:?}: {error}"));
            let same = found.iter().zip(&written.values).all(|(found, value)| i64::from(*found) == *value);
            assert!(same, "{name}: {case:?}");
        }
        let of_form = |packing: u8, form: &blocks::Form| {
            blocks::has_offsets(packing).then_some((form.zigzag, form.multiplier.is_some()))
        };
        let blocks::Case { packing, form, width, .. } = case;
        match &case.inner {
            None => drop(met.insert((*packing, transform as u8, *width, of_form(*packing, form)))),
            Some((simple, form)) => {
                let of_form = of_form(*simple, form);
                inner.insert((*packing, transform as u8, *simple, form.transform, *width, of_form));
            }
        }
        if most == (1 << 31) - 1 {
            farthest.insert((*packing, transform as u8));
        }
    });
    // Widths up to 30, of the numbers whose bounds are told: of packed, patched and classes, constants, and blocks inside.
    assert!(met.iter().filter(|case| case.2 <= 30).count() == 4 * 31 * (3 * 4 + 1), "{}", met.len());
    let within = inner.iter().filter(|case| case.4 <= 30).count();
    assert_eq!(within, 3 * 4 * 31 * 2 * (2 * 4 + 1));
    // As near to the bound as can be, by each packing that has offsets.
    assert_eq!(farthest.iter().filter(|(packing, _)| blocks::has_offsets(*packing)).count(), 3 * 4);
}

/// A block of each packing and what [`reach`] tells of it.
#[test]
fn blocks_tell_how_far_their_numbers_can_reach() {
    let written = |values: &[i64]| {
        let mut bytes = Vec::new();
        encode_with(Forms::EVERYWHERE, values, None, &mut bytes);
        bytes
    };
    let mut random = Random(5);
    let mut below = |bound: u64| random.below(bound) as i64;
    let several = (0..1000)
        .map(|_| {
            let (length, sign) = (below(21), 1 - 2 * below(2));
            sign * below(1 << length)
        })
        .collect();
    let far = |row: i64| if row % 50 == 0 { 1 << 20 } else { 0 };
    let blocks: [(Packing, Vec<i64>); 7] = [
        (Packing::Constant, vec![-9; 100]),
        (Packing::Packed, (0..1000).map(|_| 5000 + below(700)).collect()),
        (Packing::Patched, (0..1000).map(|row| below(16) + far(row)).collect()),
        (Packing::Runs, (0..1000).map(|row| row / 100 * 77 % 500).collect()),
        (Packing::Dictionary, (0..1000).map(|_| [7, 90_000, 31, 2_000_000][below(4) as usize]).collect()),
        (Packing::Sparse, (0..1000).map(|row| if row % 9 == 0 { 9000 + below(3000) } else { 0 }).collect()),
        (Packing::Classes, several),
    ];
    for (packing, values) in blocks {
        let bytes = written(&values);
        assert_eq!(Packing::from_id(bytes[0]), packing, "{packing:?}");
        let most = values.iter().map(|value| value.unsigned_abs()).max().unwrap();
        let (transform, found) = reach(ByteReader::new(&bytes, "K2"), values.len()).expect("it is told");
        assert_eq!(transform, Transform::Plain);
        // Differences are told by their sum: far more, but still little enough for 32 bits.
        assert!((most..1 << 31).contains(&found), "{packing:?}: {found} of {most}");
        // What is cut off tells nothing, and is no panic.
        for length in 0..bytes.len() {
            let _ = reach(ByteReader::new(&bytes[..length], "K2"), values.len());
        }
    }
    let raw: Vec<i64> = (0..100).map(|_| below(1 << 31) << 33 ^ below(1 << 31)).collect();
    assert!(reach(ByteReader::new(&written(&raw), "K2"), 100).is_none_or(|(_, most)| most > 1 << 60));
    let steps: Vec<i64> = (0..1000).map(|row| row * 60 + below(9)).collect();
    let (transform, most) = reach(ByteReader::new(&written(&steps), "K2"), 1000).unwrap();
    assert!(transform == Transform::Delta && (60_000..1 << 20).contains(&most), "{most}");
}

#[test]
fn a_coded_block_has_a_model_and_no_packing() {
    let (narrow_model, mut bytes) = (Model::default(), [0u8; 64]);
    for low in 0..=255u8 {
        bytes[0] = low | CODED;
        let error = |model: Option<&Model>| {
            let mut reader = ByteReader::new(&bytes, "K2");
            let (mut out, mut scratch) = (vec![0; 8], IntScratch::default());
            decode(&mut reader, &mut out, &mut scratch, model).err().map(|error| error.to_string())
        };
        let refused = "a coded block in a column without a model, or with a packing";
        let says = |error: Option<String>| error.is_some_and(|error| error.contains(refused));
        assert!(says(error(None)), "{low:#x}");
        // All but the transform and the bit itself.
        let wrong = low & !CODED & !(3 << 3) != 0;
        assert_eq!(says(error(Some(&narrow_model))), wrong, "{low:#x}");
    }
}

#[test]
fn a_block_of_residuals_needs_a_group() {
    let (values, residuals) = ((0..100).map(|row| row * row * 977).collect::<Vec<i64>>(), vec![1, 2]);
    let residuals: Vec<i64> = residuals.into_iter().cycle().take(100).collect();
    let mut bytes = Vec::new();
    encode_with(Forms::EVERYWHERE, &values, Some(&residuals), &mut bytes);
    let mut scratch = IntScratch::default();
    let (mut wide, mut narrow) = ([0i64; 100], [0i32; 100]);
    let of = |bytes| ByteReader::new(bytes, "K2");
    assert_eq!(decode(&mut of(&bytes), &mut wide, &mut scratch, None).unwrap(), Transform::Group);
    assert_eq!(decode_narrow(&mut of(&bytes), &mut narrow, &mut scratch).unwrap(), Transform::Group);
    assert!(decode_alone(&mut of(&bytes), &mut wide, &mut scratch, None).is_err());
    assert!(decode_narrow_alone(&mut of(&bytes), &mut narrow, &mut scratch).is_err());
}

#[test]
fn form_bits_stand_only_where_there_are_offsets() {
    let mut random = Random(9);
    let blocks: [(Packing, Vec<i64>); 5] = [
        (Packing::Constant, vec![-9; 100]),
        (
            Packing::Raw,
            (0..100).map(|_| (random.below(1 << 31) as i64) << 33 ^ random.below(1 << 31) as i64).collect(),
        ),
        (Packing::Runs, (0..1000).map(|row| row / 100 * 77 % 500).collect()),
        (
            Packing::Dictionary,
            (0..1000).map(|_| [7, 90_000, 31, 2_000_000][random.below(4) as usize]).collect(),
        ),
        (Packing::Sparse, (0..1000).map(|row| if row % 9 == 0 { 9000 + row } else { 0 }).collect()),
    ];
    for (packing, values) in blocks {
        let mut bytes = Vec::new();
        encode_with(Forms::EVERYWHERE, &values, None, &mut bytes);
        assert_eq!(Packing::from_id(bytes[0]), packing);
        for wrong in [ZIGZAG, MULTIPLIER, ZIGZAG | MULTIPLIER] {
            let mut bytes = bytes.clone();
            bytes[0] |= wrong;
            if wrong & MULTIPLIER != 0 {
                bytes.insert(1, 1);
            }
            let (mut out, mut scratch) = (vec![0; values.len()], IntScratch::default());
            let error = decode(&mut ByteReader::new(&bytes, "K2"), &mut out, &mut scratch, None).unwrap_err();
            assert!(error.to_string().contains("where there are no offsets"), "{packing:?}: {error}");
        }
    }
}
