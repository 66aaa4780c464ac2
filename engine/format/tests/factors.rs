//! Prices that are decimals times a factor: found, stored small, given back to the bit, and refused where they are broken.

mod support;

use support::{Content, Random, SOME, refusal, required, write_with};
use tapestore_format::bytes::{ByteReader, ByteWriter};
use tapestore_format::codec::bitpack::{bits, pack};
use tapestore_format::codec::decimal::{Float, Mantissas, Scale};
use tapestore_format::codec::factor::{Factors, apply};
use tapestore_format::codec::factor_find::Prices;
use tapestore_format::codec::int::IntScratch;
use tapestore_format::codec::int_encode;
use tapestore_format::header::features;
use tapestore_format::rows::{ColumnValues, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{Encoding, Holds, SegmentWriter, Tier};
use tapestore_format::time::Timeframe;

/// Bars in cents, and the factor of each: `dividends` of them, at places that ascend, the last rows with factor 1.
fn bars(random: &mut Random, count: usize, dividends: usize) -> ([Vec<i64>; 4], Vec<(usize, f64)>) {
    let mut columns: [Vec<i64>; 4] = Default::default();
    let mut close = 1000 + random.below(3000) as i64;
    for _ in 0..count {
        let open = close + random.below(9) as i64 - 4;
        close = (open + random.below(61) as i64 - 30).max(100);
        let (high, low) =
            (open.max(close) + random.below(12) as i64, open.min(close) - random.below(12) as i64);
        columns.iter_mut().zip([open, high, low, close]).for_each(|(column, value)| column.push(value));
    }
    let mut starts: Vec<usize> = (0..dividends).map(|_| random.below(count as u64) as usize).collect();
    starts.push(0);
    starts.sort_unstable();
    starts.dedup();
    let total = starts.len();
    let factor = |at: usize| {
        if at + 1 == total { 1.0 } else { (1.0 + (total - at) as f64 * 0.017_345_678_912_3).powi(2) }
    };
    (columns, starts.into_iter().enumerate().map(|(at, start)| (start, factor(at))).collect())
}

fn factor_of(runs: &[(usize, f64)], row: usize) -> f64 {
    runs.iter().rev().find(|run| run.0 <= row).unwrap().1
}

fn adjusted(cents: &[i64], runs: &[(usize, f64)], order: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    cents.iter().enumerate().map(|(row, cents)| order(*cents as f64, factor_of(runs, row))).collect()
}

fn in_order(cents: f64, factor: f64) -> f64 {
    cents / 100.0 * factor
}

fn content(columns: Vec<ColumnValues>, ohlc: bool) -> Content {
    let columns = (0..).zip(columns).map(|(id, values)| (id, ColumnType::F64, values)).collect();
    support::part(Timeframe::D1, columns, ohlc.then_some([0, 1, 2, 3]))
}

/// Writes with or without factors; the bytes, and whether they were missed.
fn written(content: &Content, tier: Tier, factors: bool) -> (Vec<u8>, bool) {
    let writer = SegmentWriter::holding(SOME, tier, Holds { factors, ..Holds::default() });
    let ((bytes, _), lacks) = write_with(std::slice::from_ref(content), writer);
    (bytes, lacks)
}

/// How the columns are stored, all of which come back, wholly and in part.
fn stored(content: &Content, bytes: &[u8], random: &mut Random) -> Vec<(Encoding, bool)> {
    let columns = &content.spec.columns;
    let pick = |random: &mut Random| vec![columns[random.below(2) as usize % columns.len()]];
    let columns = support::stored(content, bytes, random, 4, pick);
    columns.iter().map(|column| (column.encoding, column.factors)).collect()
}

#[test]
fn factors_are_found_where_dividends_are() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let (columns, mut runs) = bars(&mut random, 4000, 6);
        // Two dividends within a few rows may share a window with nothing of their own.
        if runs.windows(2).any(|pair| pair[1].0 - pair[0].0 < 40) || 4000 - runs.last().unwrap().0 < 40 {
            continue;
        }
        if seed % 2 == 0 {
            runs.last_mut().unwrap().1 = 0.731_234_567_891_2;
        }
        let prices: Vec<Vec<f64>> = columns.iter().map(|column| adjusted(column, &runs, in_order)).collect();
        let prices: Vec<&[f64]> = prices.iter().map(Vec::as_slice).collect();
        let (exponent, found) = Prices { columns: &prices, skip: |_| false }.factors().unwrap();
        assert_eq!((exponent, found), (2, runs.clone()), "seed {seed}");
        for (column, prices) in columns.iter().zip(&prices) {
            let split = Mantissas::factored(prices, 2, &runs, |_| false);
            assert_eq!(&split.numbers, column);
            assert!(
                split.strays.is_empty() && split.factors.unwrap().residues.iter().all(|beside| *beside == 0)
            );
        }
        // A column alone has fewer values in each row.
        let (exponent, found) = Prices { columns: &prices[3..], skip: |_| false }.factors().unwrap();
        assert_eq!((exponent, found.len()), (2, runs.len()), "seed {seed}");
        assert!(found.iter().zip(&runs).all(|(a, b)| a.0.abs_diff(b.0) < 32), "{found:?} {runs:?}");
    }
}

#[test]
fn what_is_no_product_has_no_factors() {
    let mut random = Random(3);
    let noise: Vec<f64> = (0..5000).map(|_| (random.below(1 << 40) as f64).sqrt()).collect();
    let wild: Vec<f64> = (0..5000).map(|_| f64::from_bits(random.next())).collect();
    let flat = vec![0.0; 5000];
    let none: Vec<f64> = Vec::new();
    for values in [&noise, &wild, &flat, &none] {
        assert_eq!(Prices { columns: &[values], skip: |_| false }.factors().map(|found| found.1.len()), None);
        assert_eq!(
            Prices { columns: &[values.as_slice(); 4], skip: |_| false }.factors().map(|found| found.1.len()),
            None
        );
    }
    assert_eq!(
        Prices { columns: &[&noise], skip: |_| true }.factors().map(|found| found.1.len()),
        None,
        "nothing but nulls"
    );
    // Half of the rows are products: too few.
    let (columns, runs) = bars(&mut random, 5000, 3);
    let mut prices = adjusted(&columns[0], &runs, in_order);
    prices[2000..].copy_from_slice(&noise[2000..]);
    assert_eq!(Prices { columns: &[&prices], skip: |_| false }.factors().map(|found| found.1.len()), None);
}

/// Changes some values in one of several manners.
fn disturb(random: &mut Random, values: &mut [f64], manner: u64) {
    let strange =
        [f64::NAN, -f64::NAN, f64::INFINITY, -0.0, 0.0, 5e-324, -1e300, f64::MAX, f64::MIN_POSITIVE, 0.1];
    for value in values.iter_mut() {
        match manner {
            1 if random.chance(20) => *value = random.pick(&strange),
            2 => *value = f64::from_bits(value.to_bits() + random.below(3) - 1),
            // Around the farthest residue.
            3 if random.chance(5) => *value = f64::from_bits(value.to_bits() + 120 + random.below(16)),
            4 if random.chance(5) => *value = f64::from_bits(value.to_bits() - 120 - random.below(16)),
            5 => *value = -*value,
            6 if random.chance(9) => *value *= 1.0 + 1e-9,
            7 if random.chance(3) => *value = 0.0,
            _ => {}
        }
    }
}

#[test]
fn every_value_comes_back_to_the_bit() {
    let (mut with, mut missed) = (0, 0);
    for seed in 0..150 {
        let mut random = Random(seed);
        let count = random.pick(&[1, 2, 3, 30, 127, 128, 129, 1023, 1024, 1025, 3000]);
        let dividends = random.pick(&[0, 1, 5, count / 8]);
        let (cents, mut runs) = bars(&mut random, count, dividends);
        if random.chance(2) {
            runs.last_mut().unwrap().1 = 2.345_678_912_345_6;
        }
        let order: fn(f64, f64) -> f64 = random.pick(&[
            in_order,
            |cents, factor| cents * factor / 100.0,
            |cents, factor| cents * 0.01 * factor,
        ]);
        let manner = random.below(8);
        let ohlc = random.chance(2);
        let columns = cents.iter().map(|cents| {
            let mut values = adjusted(cents, &runs, order);
            disturb(&mut random, &mut values, manner);
            let nulls: Option<Vec<bool>> =
                (!ohlc && manner.is_multiple_of(2)).then(|| (0..count).map(|_| random.chance(10)).collect());
            for (value, null) in values.iter_mut().zip(nulls.iter().flatten()) {
                *value = if *null { 0.0 } else { *value };
            }
            ColumnValues { values: Values::F64(values), nulls }
        });
        let content = content(columns.collect(), ohlc);
        for tier in Tier::ALL {
            let (plain, lacks) = written(&content, tier, false);
            let (bytes, still) = written(&content, tier, true);
            assert!(!still, "nothing is missed where it is allowed");
            let forms = stored(&content, &bytes, &mut random);
            let factors = forms.iter().filter(|form| form.1).count();
            assert_eq!(factors > 0, lacks, "seed {seed}: missed exactly where it would be used");
            assert!(stored(&content, &plain, &mut random).iter().all(|form| !form.1));
            if lacks {
                assert!(bytes.len() <= plain.len(), "seed {seed}: {} and {}", bytes.len(), plain.len());
            }
            assert!(tier != Tier::Hot || !lacks, "hot columns stay as they are");
            with += factors;
            missed += usize::from(factors == 0);
        }
    }
    assert!(with > 150 && missed > 60, "{with} columns with factors, {missed} contents without");
}

#[test]
fn adjusted_prices_cost_little_more_than_those_that_were_paid() {
    let mut random = Random(7);
    let (columns, runs) = bars(&mut random, 5000, 12);
    let of = |order: fn(f64, f64) -> f64, runs: &[(usize, f64)]| {
        columns.iter().map(|column| Values::F64(adjusted(column, runs, order)).into()).collect()
    };
    let raw = content(of(in_order, &[(0, 1.0)]), true);
    let exact = content(of(in_order, &runs), true);
    let beside = content(of(|cents, factor| cents * factor / 100.0, &runs), true);
    let mut sizes = Vec::new();
    for content in [&raw, &exact, &beside] {
        for tier in [Tier::Dense, Tier::Cold] {
            let (bytes, _) = written(content, tier, true);
            stored(content, &bytes, &mut random);
            sizes.push(bytes.len());
        }
    }
    assert!(sizes.iter().zip(SIZES).all(|(found, stated)| found <= stated), "sizes now: {sizes:?}");
}

/// Bars that were paid, adjusted in the order of the decoder, and in another one: dense and cold.
const SIZES: &[usize; 6] = &[12160, 11200, 13056, 12096, 16384, 15424];

#[test]
fn a_file_without_the_bit_has_no_factors() {
    let mut random = Random(9);
    let (columns, runs) = bars(&mut random, 2000, 4);
    let prices = columns.iter().map(|column| Values::F64(adjusted(column, &runs, in_order)).into());
    let content = content(prices.collect(), true);
    let (plain, lacks) = written(&content, Tier::Dense, false);
    assert!(lacks && required(&plain) == features::DIGITS);
    let (bytes, _) = written(&content, Tier::Dense, true);
    assert_eq!(required(&bytes), features::FACTORS | features::DIGITS | features::SINGLES);
    assert_eq!(stored(&content, &bytes, &mut random), [(Encoding::Group, true); 4]);
    // The same bytes without the bit are refused.
    let error = refusal(bytes, 0);
    assert_eq!(error.rule, "S16");
    assert!(error.detail.contains("feature"), "{error}");
}

/// A block's factors and residues.
fn block(count: usize, runs: u64, starts: &[u64], factors: &[f64], residues: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_varint(runs);
    pack(starts.iter().copied(), bits(count as u64 - 1), &mut out);
    factors.iter().for_each(|factor| out.put_u64(factor.to_bits()));
    int_encode::encode(residues, None, &mut out);
    out
}

fn applied(bytes: &[u8], count: usize, start: usize, values: &[f64]) -> Result<Vec<f64>, String> {
    let mut reader = ByteReader::new(bytes, "K17");
    let mut out = values.to_vec();
    apply(&mut reader, count, start, &mut out, &mut [0; 1024], &mut IntScratch::default())
        .and_then(|()| reader.finish())
        .map_err(|error| format!("{} {}", error.rule, error.detail))?;
    Ok(out)
}

#[test]
fn broken_factors_are_refused() {
    let values = [2.0; 5];
    let good = block(5, 3, &[1, 4], &[1.5, 0.25, 4.0], &[0, 1, -1, 0, 0]);
    let up = |value: f64, by: i64| f64::from_bits(value.to_bits().wrapping_add_signed(by));
    let expected = [3.0, up(0.5, 1), up(0.5, -1), 0.5, 8.0];
    assert_eq!(applied(&good, 5, 0, &values).unwrap(), expected);
    for start in 0..5 {
        for end in start..=5 {
            assert_eq!(applied(&good, 5, start, &values[start..end]).unwrap(), expected[start..end]);
        }
    }
    assert_eq!(applied(&[0], 5, 0, &values).unwrap(), values, "no factors at all");
    let one = [1.0; 5];
    let zeros = [0; 5];
    for (bytes, said) in [
        (block(5, 6, &[1, 2, 3, 4, 4], &[1.0; 6], &zeros), "6 factors in 5 rows"),
        (block(5, 2, &[0], &one[..2], &zeros), "out of order"),
        (block(5, 2, &[5], &one[..2], &zeros), "out of order"),
        (block(5, 3, &[2, 2], &one[..3], &zeros), "out of order"),
        (block(5, 3, &[2, 1], &one[..3], &zeros), "out of order"),
        (block(5, 1, &[], &[0.0], &zeros), "a factor of 0"),
        (block(5, 1, &[], &[-1.0], &zeros), "a factor of -1"),
        (block(5, 1, &[], &[f64::NAN], &zeros), "a factor of NaN"),
        (block(5, 1, &[], &[f64::INFINITY], &zeros), "a factor of inf"),
        (vec![2, 9], "left-over bits"),
    ] {
        let error = applied(&bytes, 5, 0, &values).unwrap_err();
        assert!(error.starts_with("K17") && error.contains(said), "{error}, not {said}");
    }
    let least = block(5, 1, &[], &[5e-324], &zeros);
    assert_eq!(applied(&least, 5, 0, &values).unwrap(), [1e-323; 5], "the least factor there is");
    for end in 0..good.len() {
        assert!(applied(&good[..end], 5, 0, &values).unwrap_err().starts_with("K17"));
    }
    assert!(applied(&[&good[..], &[0]].concat(), 5, 0, &values).unwrap_err().starts_with("K17"));
    // Five factors for five rows are not too many, nor is one for one.
    let most = block(5, 5, &[1, 2, 3, 4], &[1.0, 2.0, 3.0, 4.0, 5.0], &zeros);
    assert_eq!(applied(&most, 5, 0, &values).unwrap(), [2.0, 4.0, 6.0, 8.0, 10.0]);
    assert_eq!(applied(&block(1, 1, &[], &[7.0], &[0]), 1, 0, &values[..1]).unwrap(), [14.0]);
}

/// A column of them may claim to have factors, but only a damaged or a hostile one does.
#[test]
fn single_precision_numbers_have_no_factors() {
    let block = block(5, 1, &[], &[1.5], &[0; 5]);
    let mut reader = ByteReader::new(&block, "K17");
    let error = f32::multiply(&mut reader, 5, 0, &mut [2.0; 5], &mut [0; 5], &mut IntScratch::default());
    assert!(error.unwrap_err().to_string().contains("single-precision"));
}

#[test]
fn blocks_hold_the_factors_of_their_rows() {
    let factors = Factors { runs: vec![(0, 2.0), (3, 0.5), (9, 1.0)], residues: vec![0; 12] };
    let put = |start: usize, count: usize| {
        let mut bytes = Vec::new();
        factors.put(start, count, &mut bytes);
        bytes
    };
    assert_eq!(put(0, 3), block(3, 1, &[], &[2.0], &[0; 3]));
    assert_eq!(put(0, 4), block(4, 2, &[3], &[2.0, 0.5], &[0; 4]));
    assert_eq!(put(3, 6), block(6, 1, &[], &[0.5], &[0; 6]));
    assert_eq!(put(2, 10), block(10, 3, &[1, 7], &[2.0, 0.5, 1.0], &[0; 10]));
    assert_eq!(put(9, 3), [0], "plain decimals");
    assert_eq!([2, 3, 8, 9, 11].map(|row| factors.product(row, 10.0)), [20.0, 5.0, 5.0, 10.0, 10.0]);
    let beside = Factors { runs: vec![(0, 1.0)], residues: vec![0, 1] };
    let mut bytes = Vec::new();
    beside.put(0, 2, &mut bytes);
    assert_eq!(bytes, block(2, 1, &[], &[1.0], &[0, 1]), "a residue needs its factor");
}

#[test]
fn residues_and_exceptions_share_the_work() {
    let scale = Scale { exponent: 2, divisor: 1 };
    let exact: f64 = scale.value::<f64>(1234) * 1.1;
    let up = |by: i64| f64::from_bits(exact.to_bits().wrapping_add_signed(by));
    let values = [exact, up(127), up(-127), up(128), up(-128), f64::NAN, exact];
    let split = Mantissas::factored(&values, 2, &[(0, 1.1)], |row| row == 6);
    assert_eq!(split.numbers, [1234; 7], "an exception leaves the mantissa before it");
    assert_eq!(split.factors.unwrap().residues, [0, 127, -127, 0, 0, 0, 0]);
    let rows: Vec<usize> = split.strays.iter().map(|stray| stray.0).collect();
    assert_eq!(rows, [3, 4, 5]);
    assert_eq!(split.divisor, 1234, "the divisor is that of the numbers");
}

/// The factors that are found in one column, each with its first row.
fn found(values: &[f64]) -> Option<(u8, Vec<(usize, f64)>)> {
    Prices { columns: &[values], skip: |_| false }.factors()
}

fn close(found: &[(usize, f64)], expected: &[(usize, f64)]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| a.0 == b.0 && (a.1 / b.1 - 1.0).abs() < 1e-14)
}

#[test]
fn places_are_those_of_the_prices_that_were_paid() {
    let mut random = Random(21);
    for (places, power) in [(0, 1.0), (1, 10.0), (2, 100.0), (3, 1000.0), (4, 10_000.0)] {
        let ticks: Vec<f64> = (0..600).map(|_| (20_001 + random.below(5000)) as f64).collect();
        let values: Vec<f64> = ticks.iter().map(|ticks| ticks / power * 1.234_567_890_123).collect();
        let (exponent, runs) = found(&values).unwrap();
        assert_eq!(exponent, places);
        assert!(close(&runs, &[(0, 1.234_567_890_123)]), "{runs:?}");
    }
}

#[test]
fn units_are_many_but_not_any_number() {
    let mut random = Random(22);
    let mut prices = |least: u64| -> Vec<f64> {
        (0..600).map(|_| in_order((least + random.below(3000)) as f64, 1.023_456_789)).collect()
    };
    assert!(close(&found(&prices(1_040_000)).unwrap().1, &[(0, 1.023_456_789)]));
    assert_eq!(found(&prices(1_100_000)), None, "more than 2^20 units");
}

#[test]
fn short_runs_take_the_unit_of_those_beside() {
    let mut random = Random(23);
    // The prices of nine rows, at the end or at first, are multiples of ten cents.
    for few in [300..309, 0..9] {
        let cents: Vec<i64> = (0..309)
            .map(|row| {
                let price = 500 + random.below(90) as i64;
                if few.contains(&row) { price / 10 * 10 } else { price }
            })
            .collect();
        let cut = if few.start == 0 { few.end } else { few.start };
        let runs = [(0, 1.512_345_678), (cut, 1.212_345_678)];
        let (exponent, got) = found(&adjusted(&cents, &runs, in_order)).unwrap();
        assert!(exponent == 2 && close(&got, &runs), "{got:?}");
    }
}

#[test]
fn what_stands_still_or_apart_does_not_end_a_run() {
    let mut random = Random(24);
    let mut values: Vec<f64> =
        (0..900).map(|_| in_order((2001 + random.below(300)) as f64, 1.345_678_912)).collect();
    // A share that is not traded, at first and in between.
    for row in (0..150).chain(400..600) {
        values[row] = in_order(2100.0, 1.345_678_912);
    }
    assert!(close(&found(&values).unwrap().1, &[(0, 1.345_678_912)]));
    // A few rows that are no products: exceptions, and the run goes on.
    for row in [0, 250, 251, 700] {
        values[row] = 3.0f64.sqrt() * (row + 9) as f64;
    }
    let (exponent, runs) = found(&values).unwrap();
    assert!(close(&runs, &[(0, 1.345_678_912)]), "{runs:?}");
    let split = Mantissas::factored(&values, exponent, &runs, |_| false);
    let strays: Vec<usize> = split.strays.iter().map(|stray| stray.0).collect();
    assert_eq!(strays, [0, 250, 251, 700]);
}

/// Values as far beside the products as they may be: some windows fit their unit, and no row of them the factor made of it.
/// The search goes on behind such a row, and begins no run with it.
#[test]
fn rows_at_the_edge_of_what_fits_begin_no_run() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let reach = 7 + random.below(4);
        let values: Vec<f64> = (0..200)
            .map(|_| {
                let exact = in_order((2001 + random.below(3000)) as f64, 1.345_678_912);
                f64::from_bits(exact.to_bits() + random.below(2 * reach + 1) - reach)
            })
            .collect();
        let Some((_, runs)) = found(&values) else { continue };
        assert!(runs.windows(2).all(|pair| pair[0].0 < pair[1].0), "{runs:?}");
        // That of no rows at all is 1.
        assert!(runs.iter().all(|run| run.1 != 1.0), "seed {seed}: {runs:?}");
    }
}
