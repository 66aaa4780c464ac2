//! Bars that a source kept as `f32` and adjusted in `f64`, as Yahoo's: stored by the prices that were paid, given back to the bit,
//! and refused where the file does not say that it holds such.

mod support;

use support::{Content, Random, SOME, put_odd, refusal, required, write_with};
use tapestore_format::header::features;
use tapestore_format::segment::{Holds, SegmentWriter, Tier};
use tapestore_format::time::Timeframe;

/// Prices that were paid, in units of 10^-places, and the factor of every row: dividends lie some hundred rows apart.
struct Paid {
    prices: [Vec<i64>; 4],
    factors: Vec<f64>,
    unit: f64,
}

impl Paid {
    /// Bars in ticks of so many units, of about 4,000 ticks.
    fn random(random: &mut Random, count: usize, places: i32, tick: i64) -> Self {
        Self::of(random, count, places, tick, 4_000)
    }

    /// Bars in ticks of so many units, of about so many ticks.
    fn of(random: &mut Random, count: usize, places: i32, tick: i64, ticks: i64) -> Self {
        let mut prices: [Vec<i64>; 4] = Default::default();
        let (mut factors, mut factor, mut close) = (Vec::new(), 0.62, ticks);
        for row in 0..count {
            if row % 250 == 249 {
                factor = (factor + (1.0 - factor) * 0.07_f64).min(1.0);
            }
            let open = close + random.below(21) as i64 - 10;
            close = (open + random.below(41) as i64 - 20).max(50);
            let open = open.max(50);
            let (high, low) =
                (open.max(close) + random.below(9) as i64, open.min(close) - random.below(9) as i64);
            for (column, price) in prices.iter_mut().zip([open, high, low, close]) {
                column.push(price * tick);
            }
            factors.push(if row * 5 > count * 4 { 1.0 } else { factor });
        }
        Self { prices, factors, unit: 10f64.powi(places) }
    }

    /// As the source gives them: adjusted close as `f32`, the others times what it is of close.
    fn adjusted(&self) -> [Vec<f64>; 4] {
        let paid =
            |column: usize, row: usize| f64::from((self.prices[column][row] as f64 / self.unit) as f32);
        let close = |row: usize| f64::from((paid(3, row) * self.factors[row]) as f32);
        let rows = 0..self.factors.len();
        [0, 1, 2, 3].map(|column| {
            let value = |row: usize| match column {
                3 => close(row),
                _ => paid(column, row) * (close(row) / paid(3, row)),
            };
            rows.clone().map(value).collect()
        })
    }
}

fn content(columns: &[Vec<f64>; 4]) -> Content {
    support::bars(Timeframe::D1, columns)
}

/// Written as the store does it: once more where a segment that may hold factors is smaller.
fn written(content: &Content, tier: Tier) -> Vec<u8> {
    let contents = std::slice::from_ref(content);
    let ((bytes, _), lacks) = write_with(contents, SegmentWriter::new(SOME, tier));
    if !lacks {
        return bytes;
    }
    let holds = Holds { factors: true, ..Holds::default() };
    let ((smaller, _), _) = write_with(contents, SegmentWriter::holding(SOME, tier, holds));
    assert!(smaller.len() < bytes.len());
    smaller
}

/// Whether the group is one of adjusted singles.
fn stored(content: &Content, bytes: &[u8], random: &mut Random) -> bool {
    support::stored_group(content, bytes, random, |column| column.singles)
}

#[test]
fn bars_that_were_adjusted_from_singles_come_back() {
    let mut random = Random(1);
    for count in [130, 1023, 1024, 1025, 2500, 9000] {
        for (places, tick) in [(2, 1), (2, 5), (2, 20), (3, 1), (3, 5), (1, 1), (0, 1)] {
            let content = content(&Paid::random(&mut random, count, places, tick).adjusted());
            for tier in [Tier::Dense, Tier::Cold] {
                let bytes = written(&content, tier);
                assert!(stored(&content, &bytes, &mut random), "{count} rows, {places} places, {tier:?}");
            }
            assert!(!stored(&content, &written(&content, Tier::Hot), &mut random));
        }
    }
}

/// Singles of prices of many units are hardly nearer to them than other singles are.
#[test]
fn bars_of_a_few_cents_and_of_thousands_come_back() {
    let mut random = Random(9);
    for ticks in [60, 400, 50_000, 120_000, 400_000, 900_000] {
        let paid = Paid::of(&mut random, 3000, 2, 1, ticks);
        let content = content(&paid.adjusted());
        let bytes = written(&content, Tier::Dense);
        assert!(stored(&content, &bytes, &mut random), "{ticks} cents");
        let columns = paid.prices.map(|column| column.iter().map(|price| *price as f64 / 100.0).collect());
        let plain = written(&self::content(&columns), Tier::Dense);
        assert!(
            bytes.len() < plain.len() * 5 / 4 + 2000,
            "{ticks} cents: {} and {}",
            bytes.len(),
            plain.len()
        );
    }
}

#[test]
fn what_was_not_adjusted_so_is_an_exception() {
    let mut random = Random(2);
    let mut columns = Paid::random(&mut random, 5000, 2, 5).adjusted();
    put_odd(&mut random, &mut columns);
    let content = content(&columns);
    for tier in [Tier::Dense, Tier::Cold] {
        assert!(stored(&content, &written(&content, tier), &mut random));
    }
}

/// An adjusted close is finite by the rule, also where an exception stands that is more than a single holds.
#[test]
fn a_close_that_no_single_holds_is_an_exception() {
    let mut random = Random(7);
    let mut paid = Paid::random(&mut random, 2000, 2, 5);
    let largest = *paid.prices[3].iter().max().unwrap() as f64 / 100.0;
    paid.factors = vec![3.4e38 / largest; 2000];
    let mut columns = paid.adjusted();
    for (row, close) in [(5, 3.5e38), (700, 1e39), (701, f64::INFINITY), (1500, -3.5e38), (1999, f64::MAX)] {
        columns[3][row] = close;
    }
    let content = content(&columns);
    for tier in [Tier::Dense, Tier::Cold] {
        assert!(stored(&content, &written(&content, tier), &mut random));
    }
}

#[test]
fn adjusted_singles_take_little_more_than_the_prices_that_were_paid() {
    let mut random = Random(3);
    let paid = Paid::random(&mut random, 20_000, 2, 5);
    let plain =
        paid.prices.each_ref().map(|column| column.iter().map(|price| *price as f64 / 100.0).collect());
    let size = |columns: &[Vec<f64>; 4]| written(&content(columns), Tier::Dense).len();
    let (plain, adjusted) = (size(&plain), size(&paid.adjusted()));
    // Closes are one or two units beside the factor: some bits of a row.
    assert!(adjusted < plain + 20_000 / 2, "{adjusted} bytes, {plain} before adjustment");
}

/// Singles without any decimals behind them, and closes that are no singles.
#[test]
fn other_noise_is_not_taken_for_adjusted_singles() {
    let mut random = Random(4);
    let mut noise = |singles: bool| -> Vec<f64> {
        let mut value = |_| 40.0 + random.next() as f64 / u64::MAX as f64;
        let value = |row| if singles { f64::from(value(row) as f32) } else { value(row) };
        (0..5000).map(value).collect()
    };
    for singles in [[true; 4], [false, false, false, true], [false; 4]] {
        let columns = singles.map(&mut noise);
        let content = content(&columns);
        assert!(!stored(&content, &written(&content, Tier::Dense), &mut Random(5)), "{singles:?}");
    }
}

/// Where rows do not follow, no factor is looked for at each of them: that took hundreds of times as long as all the rest.
#[test]
fn strange_rows_among_adjusted_singles_are_passed_over() {
    let mut random = Random(8);
    let mut columns = Paid::random(&mut random, 1 << 16, 2, 5).adjusted();
    for start in (0..1 << 16).step_by(40) {
        for row in start..(start + 4).min(1 << 16) {
            let price = |column: &mut Vec<f64>| column[row] *= 1.0 + random.below(1 << 20) as f64 / 1e7;
            columns.iter_mut().for_each(price);
            columns[3][row] = f64::from(columns[3][row] as f32);
        }
    }
    let content = content(&columns);
    assert!(stored(&content, &written(&content, Tier::Dense), &mut random));
}

/// Of two prices one was twice the other, and more than half of what an `f64` holds: what they were times was infinite, and zeros
/// beside a close that is no number seemed to follow it. The segment could not be read any more.
#[test]
fn prices_that_no_single_holds_give_no_factor() {
    let mut random = Random(10);
    let mut columns = Paid::random(&mut random, 3000, 2, 1).adjusted();
    for (start, close) in [(700, f64::NAN), (1400, -f64::NAN)] {
        for (column, prices) in columns.iter_mut().enumerate() {
            prices[start..start + 40].fill(if column == 3 { close } else { 0.0 });
        }
        (0..4).for_each(|column| columns[column][start + 10] = if column == 1 { 1e308 } else { 5e307 });
    }
    let content = content(&columns);
    assert!(stored(&content, &written(&content, Tier::Dense), &mut random));
}

/// Looking for one factor after another takes as long as encoding thousands of rows: there is an end to that.
#[test]
fn factors_that_change_every_few_rows_are_not_looked_for_in_a_long_chunk() {
    let mut random = Random(11);
    let mut changing = |count: usize| {
        let mut paid = Paid::random(&mut random, count, 2, 1);
        for (row, factor) in paid.factors.iter_mut().enumerate() {
            // Where it is told whether it is worth while to look at all of them it changes less often.
            *factor = if row % (count / 8) < 24 { 0.5 } else { 0.3 + (row / 8) as f64 / 1e5 };
        }
        content(&paid.adjusted())
    };
    for (count, found) in [(2000, true), (1 << 16, false)] {
        let content = changing(count);
        assert_eq!(stored(&content, &written(&content, Tier::Dense), &mut Random(12)), found, "{count} rows");
    }
}

/// Where little is traded a price stays as it is for long, and takes next to nothing without factors: what was not adjusted so, if
/// it stays as well, takes more as exceptions than all of it does then.
#[test]
fn exceptions_that_come_again_and_again_are_no_adjusted_singles() {
    let mut random = Random(13);
    let mut paid = Paid::random(&mut random, 20_000, 2, 1);
    for row in (0..20_000).filter(|row| row % 20 != 0) {
        (0..4).for_each(|column| paid.prices[column][row] = [5000, 5010, 4990, 5003][column]);
    }
    paid.factors = vec![0.6123; 20_000];
    let mut columns = paid.adjusted();
    let traded = content(&columns);
    assert!(stored(&traded, &written(&traded, Tier::Dense), &mut random));
    (0..4).for_each(|column| columns[column][9000..11_000].fill(f64::NAN));
    let halted = content(&columns);
    assert!(!stored(&halted, &written(&halted, Tier::Dense), &mut random));
}

#[test]
fn a_file_without_the_bit_has_no_adjusted_singles() {
    let content = content(&Paid::random(&mut Random(6), 2000, 2, 1).adjusted());
    let bytes = written(&content, Tier::Dense);
    assert_eq!(required(&bytes), features::DIGITS | features::FACTORS | features::SINGLES);
    let error = refusal(bytes, features::DIGITS | features::FACTORS);
    assert_eq!(error.rule, "S16");
    assert!(error.to_string().contains("adjusted singles"), "{error}");
}
