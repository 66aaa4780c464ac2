//! What typical columns cost, to the byte: an encoder that chooses worse is noticed, although all it writes comes back.
//!
//! The sizes are what the encoders reached when they were stated; whoever makes a column smaller states the new size here.

mod support;

use support::{Random, part, write};
use tapestore_format::codec::bins_encode::Coding;
use tapestore_format::codec::int_encode::{Forms, encode};
use tapestore_format::rows::Values;
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::Tier;
use tapestore_format::time::Timeframe;

/// Numbers of many shapes, `count` each.
fn shapes(count: usize) -> Vec<(&'static str, Vec<i64>)> {
    let mut random = Random(11);
    let mut make = |number: &mut dyn FnMut(&mut Random, i64) -> i64| -> Vec<i64> {
        (0..count as i64).map(|at| number(&mut random, at)).collect()
    };
    let mut walk = 5_000_000i64;
    let mut level = 0i64;
    vec![
        ("one number", make(&mut |_, _| -77)),
        ("steps of one length", make(&mut |_, at| at * 60 + 7)),
        ("bytes", make(&mut |random, _| random.below(256) as i64)),
        ("far from zero", make(&mut |random, _| 1_700_000_000_000 + random.below(900) as i64)),
        ("both signs", make(&mut |random, _| random.below(2001) as i64 - 1000)),
        (
            "few outliers",
            make(&mut |random, _| {
                if random.chance(97) { random.next() as i64 >> 20 } else { random.below(64) as i64 }
            }),
        ),
        (
            "outliers on both sides",
            make(&mut |random, _| {
                let far = if random.chance(41) { 30 } else { 56 };
                (random.next() as i64 >> far) + 9_000
            }),
        ),
        ("multiples", make(&mut |random, _| random.below(500) as i64 * 25_000 + 3)),
        (
            "multiples around a middle",
            make(&mut |random, _| {
                (random.below(64) as i64 - 32) * if random.chance(60) { 100_000_000 } else { 1000 }
            }),
        ),
        (
            "a walk",
            make(&mut |random, _| {
                walk += random.below(41) as i64 - 20;
                walk
            }),
        ),
        (
            "levels",
            make(&mut |random, at| {
                if at % 37 == 0 {
                    level = random.next() as i64 >> 30;
                }
                level
            }),
        ),
        ("kinds", make(&mut |random, _| random.pick(&[7, 1 << 40, -(1 << 50), 12_345, 99, 1 << 33]))),
        (
            "mostly nothing",
            make(&mut |random, _| {
                if random.chance(9) { random.below(1 << 30) as i64 + (1 << 30) } else { 0 }
            }),
        ),
        (
            "half nothing",
            make(&mut |random, _| if random.chance(2) { random.next() as i64 >> 40 } else { 0 }),
        ),
        ("four lengths", make(&mut |random, _| (random.next() >> (20 + random.below(4) * 12)) as i64)),
        ("every length", make(&mut |random, _| (random.next() >> (1 + random.below(62))) as i64)),
        (
            "round numbers",
            make(&mut |random, _| (1 + random.below(9) as i64) * 10i64.pow(random.below(7) as u32)),
        ),
        (
            "rarely round",
            make(&mut |random, _| {
                let places = if random.chance(4) { 1 + random.below(3) } else { 0 };
                (1 + random.below(900) as i64) * 10i64.pow(places as u32)
            }),
        ),
        ("noise", make(&mut |random, _| random.next() as i64)),
    ]
}

/// Fails, with all sizes as they are now, if a size is above that stated.
fn compare(found: &[(String, Vec<usize>)], stated: &[(&str, &[usize])]) {
    let table: String =
        found.iter().map(|(name, sizes)| format!("        (\"{name}\", &{sizes:?}),\n")).collect();
    assert_eq!(found.len(), stated.len(), "sizes now:\n{table}");
    for ((name, sizes), (known, most)) in found.iter().zip(stated) {
        let fits = name == known && sizes.len() == most.len() && sizes.iter().zip(*most).all(|(a, b)| a <= b);
        assert!(fits, "{name}: {sizes:?}, stated are {most:?}; sizes now:\n{table}");
    }
}

#[test]
fn blocks_of_integers_are_as_small_as_they_were() {
    let mut found = Vec::new();
    for (name, numbers) in shapes(1024) {
        let mut sizes = Vec::new();
        for count in [1024, 300, 65, 20, 2] {
            let mut bytes = Vec::new();
            encode(&numbers[..count], None, &mut bytes);
            sizes.push(bytes.len());
        }
        found.push((name.to_owned(), sizes));
    }
    compare(&found, INTEGERS);
}

#[test]
fn residuals_are_used_where_they_are_smaller() {
    let shapes = shapes(1024);
    let mut found = Vec::new();
    for ((name, values), (_, residuals)) in shapes.iter().zip(shapes.iter().skip(3).chain(&shapes)) {
        let mut bytes = Vec::new();
        encode(values, Some(residuals), &mut bytes);
        found.push((name.to_string(), vec![bytes.len()]));
    }
    compare(&found, RESIDUALS);
}

#[test]
fn coded_columns_are_as_small_as_they_were() {
    let (shapes, mut found) = (shapes(5000), Vec::new());
    for ((name, values), (_, residuals)) in shapes.iter().zip(shapes.iter().skip(2).chain(&shapes)) {
        let mut sizes = Vec::new();
        for residuals in [None, Some(&residuals[..])] {
            let Some(coding) = Coding::new(Forms::EVERYWHERE, values, residuals) else { continue };
            let mut bytes = coding.model();
            sizes.push(bytes.len());
            for block in 0..values.len().div_ceil(1024) {
                assert!(coding.encode(block, usize::MAX, &mut bytes));
                // What is no smaller than asked for leaves nothing behind.
                let before = bytes.clone();
                assert!(!coding.encode(block, 3, &mut bytes));
                assert_eq!(bytes, before);
            }
            sizes.push(bytes.len());
        }
        found.push((name.to_string(), sizes));
    }
    compare(&found, CODED);
}

#[test]
fn columns_of_floats_are_as_small_as_they_were() {
    let mut found = Vec::new();
    for (name, numbers) in shapes(5000) {
        let mut sizes = Vec::new();
        let decimals = |by: f64| numbers.iter().map(|number| *number as f64 / by).collect::<Vec<_>>();
        let sums: Vec<f64> = numbers.iter().map(|number| *number as f64 * 0.1 + 0.7).collect();
        for values in [decimals(1.0), decimals(100.0), decimals(1e8), sums] {
            let column = (3, ColumnType::F64, Values::F64(values).into());
            let content = part(Timeframe::M1, vec![column], None);
            sizes.extend(
                [Tier::Dense, Tier::Cold].map(|tier| write(std::slice::from_ref(&content), tier).0.len()),
            );
        }
        found.push((name.to_owned(), sizes));
    }
    compare(&found, FLOATS);
}

const INTEGERS: &[(&str, &[usize])] = &[
    ("one number", &[3, 3, 3, 3, 3]),
    ("steps of one length", &[3, 3, 3, 3, 3]),
    ("bytes", &[1027, 303, 68, 23, 4]),
    ("far from zero", &[1288, 383, 90, 33, 9]),
    ("both signs", &[1412, 417, 94, 31, 5]),
    ("few outliers", &[852, 249, 52, 18, 4]),
    ("outliers on both sides", &[1256, 363, 70, 25, 6]),
    ("multiples", &[1160, 346, 82, 31, 8]),
    ("multiples around a middle", &[944, 258, 71, 21, 5]),
    ("a walk", &[775, 232, 56, 22, 6]),
    ("levels", &[136, 54, 17, 6, 6]),
    ("kinds", &[420, 149, 61, 44, 12]),
    ("mostly nothing", &[570, 202, 58, 19, 2]),
    ("half nothing", &[1644, 501, 117, 34, 8]),
    ("four lengths", &[3630, 1099, 248, 84, 7]),
    ("every length", &[5238, 1548, 338, 130, 17]),
    ("round numbers", &[886, 362, 142, 55, 8]),
    ("rarely round", &[1700, 509, 126, 49, 7]),
    ("noise", &[8193, 2401, 521, 161, 17]),
];
const RESIDUALS: &[(&str, &[usize])] = &[
    ("one number", &[3]),
    ("steps of one length", &[3]),
    ("bytes", &[885]),
    ("far from zero", &[1288]),
    ("both signs", &[1412]),
    ("few outliers", &[852]),
    ("outliers on both sides", &[1256]),
    ("multiples", &[136]),
    ("multiples around a middle", &[944]),
    ("a walk", &[570]),
    ("levels", &[136]),
    ("kinds", &[420]),
    ("mostly nothing", &[570]),
    ("half nothing", &[1644]),
    ("four lengths", &[1700]),
    ("every length", &[5238]),
    ("round numbers", &[3]),
    ("rarely round", &[1700]),
    ("noise", &[1027]),
];
const CODED: &[(&str, &[usize])] = &[
    ("one number", &[10, 40, 10, 40]),
    ("steps of one length", &[9, 52, 9, 52]),
    ("bytes", &[9, 5039, 9, 5039]),
    ("far from zero", &[31, 6198, 36, 4144]),
    ("both signs", &[10, 6915, 30, 5539]),
    ("few outliers", &[36, 4144, 36, 4144]),
    ("outliers on both sides", &[30, 5539, 84, 3927]),
    ("multiples", &[315, 8354, 122, 5721]),
    ("multiples around a middle", &[84, 3927, 84, 3927]),
    ("a walk", &[19, 3420, 54, 1700]),
    ("levels", &[29, 789, 29, 789]),
    ("kinds", &[54, 1700, 54, 1700]),
    ("mostly nothing", &[18, 2506, 18, 2506]),
    ("half nothing", &[26, 8308, 26, 8308]),
    ("four lengths", &[30, 17559, 62, 3828]),
    ("every length", &[207, 23367, 76, 7063]),
    ("round numbers", &[62, 3828, 62, 3828]),
    ("rarely round", &[76, 7063, 10, 40]),
    ("noise", &[18, 40048, 68, 11082]),
];
const FLOATS: &[(&str, &[usize])] = &[
    ("one number", &[320, 320, 320, 320, 320, 320, 320, 320]),
    ("steps of one length", &[448, 448, 448, 448, 448, 448, 5056, 5056]),
    ("bytes", &[5440, 5440, 5440, 5440, 5440, 5440, 7424, 7424]),
    ("far from zero", &[6720, 6592, 6720, 6592, 6720, 6592, 14208, 13440]),
    ("both signs", &[7296, 7296, 7296, 7296, 7296, 7296, 11584, 11584]),
    ("few outliers", &[5184, 4608, 5184, 4608, 5184, 4608, 9280, 8768]),
    ("outliers on both sides", &[6592, 6016, 6592, 6016, 6592, 6016, 30912, 8512]),
    ("multiples", &[6080, 6080, 6080, 6080, 6080, 6080, 9408, 9408]),
    ("multiples around a middle", &[5056, 4416, 5056, 4416, 5056, 4416, 5056, 4800]),
    ("a walk", &[4224, 3840, 4224, 3840, 4224, 3840, 23232, 4736]),
    ("levels", &[1152, 1152, 1152, 1152, 1152, 1152, 5632, 5632]),
    ("kinds", &[2496, 2112, 2496, 2112, 2496, 2112, 4352, 4032]),
    ("mostly nothing", &[3200, 2944, 5952, 5632, 6080, 5760, 3648, 3264]),
    ("half nothing", &[8704, 8768, 8704, 8768, 8704, 8768, 11328, 11008]),
    ("four lengths", &[17984, 17984, 17984, 17984, 17984, 17984, 20416, 20416]),
    ("every length", &[31296, 29376, 31296, 29376, 31296, 29376, 34752, 32832]),
    ("round numbers", &[4736, 4224, 4736, 4224, 4736, 4224, 5120, 4800]),
    ("rarely round", &[8832, 7488, 8832, 7488, 8832, 7488, 12864, 12416]),
    ("noise", &[35584, 34944, 35712, 34944, 35584, 34944, 35584, 35008]),
];
