//! What stands behind the mantissas of a block, written by hand: exceptions (K11), factors (K17), further digits (K20) and adjusted
//! singles (K21), with numbers of every width, in every packing, and by every table of loops.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::Random;
use support::blocks::{
    BASES, COUNTS, Case, Form, PACKED, PATCHED, RAW, TRANSFORMS, Written, bits, cases, most, pack,
    put_signed, put_values, put_varint,
};
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::decimal::{Float, Scale, patch};
use tapestore_format::codec::digits::{Digits, Places};
use tapestore_format::codec::factor;
use tapestore_format::codec::group::Role;
use tapestore_format::codec::int::{IntScratch, Transform};
use tapestore_format::codec::kernel::Kernels;
use tapestore_format::codec::lane::Lane;
use tapestore_format::codec::single::Closes;

const ROWS: usize = 1024;
/// Most blocks of each packing, transform and width.
const EACH: usize = 3;

/// Bits of floats of any kind, finite or not.
fn any_bits(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.next(),
        1 => (random.below(1_000_000) as f64 / 100.0).to_bits(),
        2 => random.next() & 1 << 63,
        _ => u64::MAX >> random.below(64),
    }
}

/// A difference of a width as a zigzag number: the largest or the smallest of it, or any.
fn difference(random: &mut Random, width: u32) -> i64 {
    let least = if width == 0 { 0 } else { 1 << (width - 1) };
    let any = least | random.next() & most(width);
    let folded = random.pick(&[most(width), least, any]);
    (folded >> 1) as i64 ^ -((folded & 1) as i64)
}

fn exceptions_of<F: Float + std::fmt::Debug>(any: impl Fn(&mut Random) -> F) {
    let mut random = Random(1);
    let (mut positions, mut lengths) = (BTreeSet::new(), BTreeSet::new());
    for width in 0..=64 {
        for count in COUNTS {
            for share in [1, 2, 50, 1 << 40] {
                let values: Vec<F> = (0..count).map(|_| any(&mut random)).collect();
                let mut rows: Vec<usize> = (0..count).filter(|_| random.chance(share)).collect();
                if rows.is_empty() && random.chance(2) {
                    rows.push(random.pick(&[0, count - 1]));
                }
                let mut bytes = Vec::new();
                put_varint(rows.len() as u64, &mut bytes);
                pack(rows.iter().map(|row| *row as u64), bits(count as u64 - 1), &mut bytes);
                let mut expected = values.clone();
                for row in &rows {
                    let before = bytes.len();
                    let difference = difference(&mut random, width);
                    put_signed(difference, &mut bytes);
                    lengths.insert((width, bytes.len() - before));
                    expected[*row] = F::from_int(values[*row].to_int().wrapping_add(difference));
                    positions.insert(bits(count as u64 - 1));
                }
                for start in [0, random.below(count as u64) as usize, count - 1] {
                    let mut found = values[start..].to_vec();
                    let mut reader = ByteReader::new(&bytes, "K11");
                    patch(&mut reader, count, start, &mut found, &mut [0; ROWS]).expect("as it is specified");
                    reader.finish().expect("as it is specified");
                    let same = found.iter().zip(&expected[start..]).all(|(a, b)| a.to_int() == b.to_int());
                    assert!(same, "width {width}, {} of {count} from {start}", rows.len());
                }
            }
        }
    }
    // Positions of up to ten bits; differences of every width in as many bytes as those take, seven bits each.
    assert!(positions.into_iter().eq(0..=10));
    assert!(lengths.into_iter().eq((0..=64u32).map(|width| (width, width.max(1).div_ceil(7) as usize))));
}

#[test]
fn exceptions_of_every_width_are_added() {
    exceptions_of(|random| f64::from_bits(any_bits(random)));
    exceptions_of(|random| f32::from_bits(any_bits(random) as u32 | random.next() as u32 & 1 << 31));
}

/// A few blocks of every packing, transform and width, at least one of those that `use_it` takes; but no predicted ones, which may not
/// stand here.
fn some_cases(mut use_it: impl FnMut(&Case, &Written) -> bool) {
    let mut used: BTreeMap<(u8, u8, u32), usize> = BTreeMap::new();
    cases(|case, written| {
        let key = (case.packing, case.form.transform, case.width);
        let used_so_far = used.get(&key).copied().unwrap_or(0);
        let predicted = case.form.transform == Transform::Group as u8;
        if !predicted && !case.near && used_so_far < EACH && use_it(case, &written) {
            used.insert(key, used_so_far + 1);
        }
    });
    assert_eq!(used.len(), 8 * (usize::from(TRANSFORMS) - 1) * 65);
}

/// Runs of rows with a factor each, from row 0 on.
fn runs(random: &mut Random, count: usize, factors: &[f64]) -> Vec<(usize, f64)> {
    let share = random.pick(&[1, 2, 100, 1 << 40]);
    let starts = (0..count).filter(|row| *row == 0 || random.chance(share)).collect::<Vec<_>>();
    starts.into_iter().map(|start| (start, random.pick(factors))).collect()
}

fn put_runs(runs: &[(usize, f64)], count: usize, out: &mut Vec<u8>) {
    put_varint(runs.len() as u64, out);
    pack(runs[1..].iter().map(|run| run.0 as u64), bits(count as u64 - 1), out);
    runs.iter().for_each(|run| out.extend(run.1.to_le_bytes()));
}

fn factor_of(runs: &[(usize, f64)], row: usize) -> f64 {
    runs[runs.partition_point(|run| run.0 <= row) - 1].1
}

#[test]
fn residues_of_every_width_are_added_to_products() {
    let mut random = Random(2);
    let mut tables: Vec<IntScratch> = Kernels::all().map(IntScratch::with).collect();
    let mut starts = BTreeSet::new();
    some_cases(|case, residues| {
        let count = case.count;
        let factors = [1.0, 0.731_234_567_891_2, f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX, 2.5, 1e-7];
        let runs = runs(&mut random, count, &factors);
        let mut bytes = Vec::new();
        put_runs(&runs, count, &mut bytes);
        bytes.extend(&residues.bytes);
        let decimals: Vec<f64> = (0..count).map(|_| (random.below(2_000_000) as f64 - 1e6) / 100.0).collect();
        let value = |row: usize| {
            let product = decimals[row] * factor_of(&runs, row);
            product.to_bits().wrapping_add(residues.values[row] as u64)
        };
        for scratch in &mut tables {
            for start in [0, random.below(count as u64) as usize] {
                let mut found = decimals[start..].to_vec();
                let mut reader = ByteReader::new(&bytes, "K17");
                factor::apply(&mut reader, count, start, &mut found, &mut [0; ROWS], scratch)
                    .and_then(|()| reader.finish())
                    .unwrap_or_else(|error| panic!("{error}: {case:?}"));
                let same = (start..count).all(|row| found[row - start].to_bits() == value(row));
                assert!(same, "{runs:?} from {start}: {case:?}");
            }
        }
        if runs.len() > 1 {
            starts.insert(bits(count as u64 - 1));
        }
        true
    });
    assert!(starts.into_iter().eq(1..=10), "starts of every width: one row has one run");
}

/// Mantissas and digits of close, open, high and low.
type Columns = [(Vec<i64>, Vec<i64>); 4];

/// The digits of a row that is not told, as the table of the specification has them.
fn carried(columns: &Columns, role: Role, row: usize) -> i64 {
    let [close, open, ..] = columns;
    let at = |column: &(Vec<i64>, Vec<i64>), row: usize| (column.0[row], column.1[row]);
    let own = columns[role as usize].0[row];
    let pairs = [at(close, row), at(open, row)];
    let equal = match role {
        Role::Close => None,
        Role::Open if row > 0 && own == close.0[row - 1] => Some(at(close, row - 1)),
        Role::Open => Some(pairs[0]),
        Role::High => pairs.into_iter().max(),
        Role::Low => pairs.into_iter().min(),
    };
    equal.filter(|pair| pair.0 == own).map_or(0, |pair| pair.1)
}

/// So many of the rows, in order.
fn some_rows(random: &mut Random, rows: usize, told: usize) -> Vec<i64> {
    let mut all: Vec<i64> = (0..rows as i64).collect();
    random.shuffle(&mut all);
    all.truncate(told);
    all.sort_unstable();
    all
}

/// The further digits of some rows: which ones, in any form, and a block of what they have. The packing, width and form of the rows.
fn put_digits(
    random: &mut Random,
    (rows, digits): (&[i64], &[u8]),
    out: &mut Vec<u8>,
) -> Option<(u8, u32, Form)> {
    put_varint(rows.len() as u64, out);
    if rows.is_empty() {
        return None;
    }
    let (packing, mut form) = (random.pick(&[PACKED, PATCHED, RAW]), Form::any(random));
    if rows.len() == 1 && random.chance(2) {
        // Without any bits.
        form = Form { base: rows[0], ..Form::PLAIN };
    }
    let width = put_values(packing, form, rows, random, out);
    out.extend(digits);
    Some((packing, width, form))
}

/// Digits of all columns as far as they are asked for, and the values of the last one.
fn values_of<N: Lane>(
    kernels: &'static Kernels,
    columns: &Columns,
    blocks: &[(Role, Vec<u8>)],
    places: Places,
) -> (Vec<i64>, Vec<f64>) {
    let numbers =
        columns.each_ref().map(|(numbers, _)| numbers.iter().map(|number| N::of(*number)).collect());
    let numbers = numbers.each_ref().map(|numbers: &Vec<N>| &numbers[..]);
    let (count, mut digits, mut int) = (numbers[0].len(), Digits::default(), IntScratch::with(kernels));
    for (role, bytes) in blocks {
        let mut reader = ByteReader::new(bytes, "K20");
        let scratch = [&mut [0; ROWS][..], &mut [0; ROWS][..]];
        let read = digits.read(*role, &mut reader, count, numbers, &mut int, scratch);
        read.and_then(|()| reader.finish()).unwrap_or_else(|error| panic!("{error}: {role:?} of {count}"));
    }
    let role = blocks[blocks.len() - 1].0;
    let (found, mut values) = (digits.of(role)[..count].to_vec(), Vec::new());
    places.extend(kernels, (numbers[role as usize], &found), &mut vec![0; count], &mut values);
    (found, values)
}

#[test]
fn digits_of_every_width_stand_behind_mantissas() {
    let mut random = Random(3);
    let (mut rows_met, mut widths, mut scales, mut roles) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    some_cases(|case, digits| {
        let more = (case.count + random.below(50) as usize).min(ROWS);
        let count = random.pick(&[case.count, more, ROWS]);
        let role = random.pick(&Role::ALL);
        // Few mantissas, so that they are often equal; also the ends of what 32 bits hold.
        let few = random.pick(&[[0, 1, -2], [i64::from(i32::MIN), 7, i64::from(i32::MAX)]]);
        let mut columns: Columns =
            [(); 4].map(|()| ((0..count).map(|_| random.pick(&few)).collect(), vec![0; count]));
        let mut blocks = Vec::new();
        let before = [&[][..], &[Role::Close], &[Role::Close, Role::Open], &[Role::Close, Role::Open]];
        for other in before[role as usize].iter().chain([&role]) {
            let carried: Vec<i64> = (0..count).map(|row| carried(&columns, *other, row)).collect();
            let own = &mut columns[*other as usize].1;
            *own = carried;
            let mut told = |rows: &[i64], digits: &[i64]| {
                rows.iter().zip(digits).for_each(|(row, digits)| own[*row as usize] = *digits);
            };
            let mut bytes = Vec::new();
            if *other == role {
                let rows = some_rows(&mut random, count, case.count);
                told(&rows, &digits.values);
                let form = put_digits(&mut random, (&rows, &digits.bytes), &mut bytes);
                let (packing, width, form) = form.expect("there are rows");
                if packing != RAW {
                    widths.insert(width);
                }
                if BASES.contains(&form.base) {
                    rows_met.insert((packing, form.transform, form.zigzag, form.base));
                }
            } else {
                let some = random.below(2) * random.below(count as u64 + 1);
                let rows = some_rows(&mut random, count, some as usize);
                let numbers: Vec<i64> = rows.iter().map(|_| random.below(7) as i64 - 3).collect();
                told(&rows, &numbers);
                let mut block = Vec::new();
                if !rows.is_empty() {
                    put_values(PACKED, Form::PLAIN, &numbers, &mut random, &mut block);
                }
                put_digits(&mut random, (&rows, &block), &mut bytes);
            }
            blocks.push((*other, bytes));
        }
        let exponent = random.below(22) as u8;
        let more = 1 + random.below(u64::from(18.min(22 - exponent))) as u8;
        let scale = Scale { exponent, divisor: random.pick(&[1, 5, 1 << 40, i64::MAX]) };
        let places = Places::beyond(scale, more).expect("within their limits");
        let (numbers, own) = &columns[role as usize];
        let unit = scale.divisor.wrapping_mul(10i64.pow(u32::from(more)));
        let value = |(number, digits): (&i64, &i64)| {
            let finer = number.wrapping_mul(unit).wrapping_add(*digits);
            (finer as f64 / 10f64.powi(i32::from(exponent + more))).to_bits()
        };
        let expected: Vec<u64> = numbers.iter().zip(own).map(value).collect();
        for kernels in Kernels::all() {
            let wide = values_of::<i64>(kernels, &columns, &blocks, places);
            let narrow = values_of::<i32>(kernels, &columns, &blocks, places);
            for (digits, values) in [wide, narrow] {
                assert!(digits == *own, "{}: {role:?} of {count}: {case:?}", kernels.name);
                let same = values.iter().map(|value| value.to_bits()).eq(expected.iter().copied());
                assert!(same, "{}: {scale:?} and {more} places: {case:?}", kernels.name);
            }
        }
        scales.insert((exponent, more));
        roles.insert((role as u8, case.packing, case.form.transform));
        true
    });
    assert!(widths.into_iter().eq(0..=64));
    let forms: BTreeSet<(u8, u8, bool)> = rows_met.iter().map(|(p, t, z, _)| (*p, *t, *z)).collect();
    assert_eq!(forms.len(), 3 * 2 * 2);
    assert_eq!(rows_met.len(), 3 * 2 * 2 * 5, "with every base");
    assert_eq!(scales.len(), 5 * 18 + (1..=17).sum::<usize>(), "up to 18 places, with those before up to 22");
    assert_eq!(roles.len(), 4 * 8 * (usize::from(TRANSFORMS) - 1));
}

#[test]
fn singles_with_residues_of_every_width_are_adjusted() {
    let mut random = Random(4);
    let mut tables: Vec<IntScratch> = Kernels::all().map(IntScratch::with).collect();
    let (mut starts, mut infinite) = (BTreeSet::new(), 0);
    let (mut closes, mut bits_of_rows) = (Closes::default(), [0; ROWS]);
    some_cases(|case, residues| {
        let count = case.count;
        let factors = [1.0, 0.731_234_567_891_2, 1e-40, 1e30, f64::from_bits(1), 0.999];
        let runs = runs(&mut random, count, &factors);
        let mut bytes = Vec::new();
        put_runs(&runs, count, &mut bytes);
        bytes.extend(&residues.bytes);
        let prices = |random: &mut Random| -> Vec<f64> {
            let price = |_| {
                let cents = random.below(2_000_000) as f64 / 100.0;
                random.pick(&[cents, cents, cents, -cents, 0.0, -0.0])
            };
            (0..count).map(price).collect()
        };
        let (close, open) = (prices(&mut random), prices(&mut random));
        let paid = |decimal: f64| f64::from(decimal as f32);
        let adjusted = |row: usize| {
            let single = (paid(close[row]) * factor_of(&runs, row)) as f32;
            f64::from(f32::from_bits(i64::from(single.to_bits()).wrapping_add(residues.values[row]) as u32))
        };
        let expected: Vec<f64> = (0..count).map(adjusted).collect();
        let finite = expected.iter().all(|close| close.is_finite());
        for scratch in &mut tables {
            let mut reader = ByteReader::new(&bytes, "K21");
            let decimals = |out: &mut Vec<f64>| out.extend(&close);
            let read = closes.read(&mut reader, count, decimals, &mut bits_of_rows, scratch);
            if !finite {
                let error = read.expect_err("not every one is finite");
                assert!(error.rule == "K21" && error.detail.contains("not finite"), "{error}: {case:?}");
                continue;
            }
            read.and_then(|()| reader.finish()).unwrap_or_else(|error| panic!("{error}: {case:?}"));
            let same = closes.adjusted().iter().map(|close| close.to_bits());
            assert!(same.eq(expected.iter().map(|close| close.to_bits())), "{case:?}");
            for start in [0, random.below(count as u64) as usize] {
                let mut found = open[start..].to_vec();
                closes.adjust(start, &mut found);
                let value = |row: usize| {
                    let of_close = paid(close[row]);
                    let ratio = if of_close == 0.0 { 1.0 } else { expected[row] / of_close };
                    (paid(open[row]) * ratio).to_bits()
                };
                let same = (start..count).all(|row| found[row - start].to_bits() == value(row));
                assert!(same, "from {start}: {case:?}");
            }
        }
        if finite && runs.len() > 1 {
            starts.insert(bits(count as u64 - 1));
        }
        infinite += u32::from(!finite);
        finite
    });
    assert!(infinite > 100 && starts.into_iter().eq(1..=10), "{infinite}");
}
