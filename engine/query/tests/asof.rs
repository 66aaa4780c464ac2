//! As-of joins agree with a search through all rows.

use crate::common::{MINUTE, Random, cases, real};
use tapestore::schema::SchemaBuilder;
use tapestore::{Batch, ColumnType, ColumnValues, Options, SeriesKey, Store, Strings, Values};
use tapestore_query::asof::{Grouped, Joiner, NO_ROW, codes, gather, join, join_by};
use tapestore_query::{AsOfJoin, Direction};

const DIRECTIONS: [Direction; 3] = [Direction::Backward, Direction::Forward, Direction::Nearest];

/// The definition, by looking at every right row. J1 and J2 in words of one line each.
fn search(how: &AsOfJoin, time: i64, right: &[i64], may: impl Fn(usize) -> bool) -> u32 {
    let fits = |row: &usize| {
        let other = right[*row];
        let side = match how.direction {
            Direction::Backward => other <= time,
            Direction::Forward => other >= time,
            Direction::Nearest => true,
        };
        let near = how.tolerance_ns.is_none_or(|most| other.abs_diff(time) <= most);
        side && near && may(*row) && !(how.strict && other == time)
    };
    let best = (0..right.len()).filter(fits).min_by_key(|row| {
        let other = right[*row];
        // The nearest; of equally far ones the earlier; of equal times the last before, the first after.
        let before = other < time || (other == time && how.direction != Direction::Forward);
        let row = *row as i64;
        (other.abs_diff(time), !before, if before { -row } else { row })
    });
    best.map_or(NO_ROW, |row| row as u32)
}

#[test]
fn joins_agree_with_a_search_through_all_rows() {
    let (mut random, cases) = (Random(6), cases(3000));
    let mut out = Vec::new();
    for case in 0..cases {
        let (lefts, rights) = (random.below(40) as usize, random.below(60) as usize);
        let (left_step, right_step) = (1 + random.below(30), 1 + random.below(30));
        let (left, right) = (random.times(lefts, left_step), random.times(rights, right_step));
        let groups = 1 + random.below(4);
        let mut group = |count: usize| (0..count).map(|_| random.below(groups) as u32).collect::<Vec<_>>();
        let (left_group, right_group) = (group(lefts), group(rights));
        let tolerance = random.chance(50).then(|| random.below(40));
        let strict = random.chance(50);
        for direction in DIRECTIONS {
            let how = AsOfJoin { direction, tolerance_ns: tolerance, strict };
            how.rows(&left, &right, &mut out).unwrap();
            let expected: Vec<u32> = left.iter().map(|time| search(&how, *time, &right, |_| true)).collect();
            assert_eq!(out, expected, "case {case}: {how:?} of {left:?} and {right:?}");
            let (a, b) =
                (Grouped { time: &left, group: &left_group }, Grouped { time: &right, group: &right_group });
            if groups as usize <= lefts + rights {
                how.rows_by(a, b, &mut out).unwrap();
                let expected: Vec<u32> = (0..lefts)
                    .map(|row| search(&how, left[row], &right, |other| right_group[other] == left_group[row]))
                    .collect();
                assert_eq!(out, expected, "case {case}: {how:?} by group of {a:?} and {b:?}");
            }
        }
    }
    println!("torture: as-of join against a search | {} joins | seed 6 | failures 0", cases * 6);
}

#[test]
fn a_long_right_side_is_skipped_through() {
    let right: Vec<i64> = (0..100_000).collect();
    let left = [-1, 0, 7, 8, 9, 5_000, 5_001, 99_999, 200_000];
    let mut out = Vec::new();
    AsOfJoin::default().rows(&left, &right, &mut out).unwrap();
    assert_eq!(out, [NO_ROW, 0, 7, 8, 9, 5_000, 5_001, 99_999, 99_999]);
    AsOfJoin { direction: Direction::Forward, strict: true, tolerance_ns: None }
        .rows(&left, &right, &mut out)
        .unwrap();
    assert_eq!(out, [0, 1, 8, 9, 10, 5_001, 5_002, NO_ROW, NO_ROW]);
}

/// Longer than what is matched in one piece; both sides of every density.
#[test]
fn long_joins_agree_with_bisection() {
    let mut random = Random(8);
    let mut found = Vec::new();
    let mut values = [ColumnValues::empty(ColumnType::String), ColumnValues::empty(ColumnType::I64)];
    for (left_step, right_step) in [(1, 1), (3, 3), (100, 1), (1, 100), (40, 7)] {
        let (left, right) = (random.times(9_001, left_step), random.times(8_200, right_step));
        let numbers = ColumnValues::from(Values::I64((0..8_200).collect()));
        let holes =
            ColumnValues { nulls: Some((0..8_200).map(|row| row % 3 == 0).collect()), ..numbers.clone() };
        for (direction, strict) in DIRECTIONS.into_iter().flat_map(|d| [(d, false), (d, true)]) {
            let how = AsOfJoin { direction, strict, tolerance_ns: random.chance(30).then_some(2) };
            let expected: Vec<u32> = left
                .iter()
                .map(|time| {
                    let before = right.partition_point(|other| other < time);
                    let after = right.partition_point(|other| other <= time);
                    let near = before.saturating_sub(2)..(after + 2).min(right.len());
                    // J1 and J2 want no more than the rows on both sides, of equal times the one nearest to the left row.
                    let row = search(&how, *time, &right[near.clone()], |_| true);
                    if row == NO_ROW { NO_ROW } else { near.start as u32 + row }
                })
                .collect();
            how.rows(&left, &right, &mut found).unwrap();
            assert_eq!(found, expected, "{how:?}, steps {left_step} and {right_step}");
            how.values(&left, &right, &[&numbers, &holes], &mut values).unwrap();
            for (from, values) in [&numbers, &holes].into_iter().zip(&values) {
                let mut gathered = ColumnValues::empty(ColumnType::I64);
                gather(from, &found, &mut gathered);
                assert_eq!(*values, gathered, "{how:?}");
            }
        }
    }
}

#[test]
fn times_that_do_not_ascend_are_found_wherever_they_stand() {
    let times: Vec<i64> = (0..20_000).collect();
    let mut out = Vec::new();
    for place in [1, 100, 4_095, 4_096, 4_097, 8_191, 8_192, 15_000, 19_999] {
        let mut broken = times.clone();
        broken[place] = broken[place - 1] - 1;
        for how in DIRECTIONS.map(|direction| AsOfJoin { direction, ..AsOfJoin::default() }) {
            for (left, right) in [(&broken, &times), (&times, &broken)] {
                assert!(how.rows(left, right, &mut out).is_err(), "{place} {how:?}");
            }
            // The left side ends before, or begins behind the place, and skips it.
            assert!(how.rows(&[-5, -4], &broken, &mut out).is_err(), "{place} {how:?}");
            assert!(how.rows(&[30_000], &broken, &mut out).is_err(), "{place} {how:?}");
            assert!(how.rows(&[], &broken, &mut out).is_err(), "{place} {how:?}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut out = Vec::new();
    let how = AsOfJoin::default();
    assert!(how.rows(&[2, 1], &[1], &mut out).is_err());
    let column = ColumnValues::from(Values::I64(vec![1, 2]));
    let mut values = [ColumnValues::empty(ColumnType::I64)];
    let uneven = how.values(&[1], &[1], &[&column], &mut values);
    assert!(uneven.unwrap_err().to_string().contains("one value per time"));
    assert!(how.values(&[1], &[1, 2], &[&column], &mut []).is_err(), "a column without a place");
    let one = Grouped { time: &[1], group: &[0] };
    assert!(how.rows_by(one, Grouped { time: &[1], group: &[] }, &mut out).is_err());
    let far = how.rows_by(one, Grouped { time: &[1], group: &[4_000_000_000] }, &mut out);
    assert!(far.unwrap_err().to_string().contains("4000000000"), "no table of 16 GB is made");
}

#[test]
fn values_are_gathered_and_what_is_missing_is_null() {
    let from =
        ColumnValues { values: Values::F64(vec![1.5, 0.0, -0.0]), nulls: Some(vec![false, true, false]) };
    let mut out = ColumnValues::empty(ColumnType::String);
    gather(&from, &[2, NO_ROW, 1, 0], &mut out);
    assert_eq!(out.nulls, Some(vec![false, true, true, false]));
    let Values::F64(values) = &out.values else { panic!("doubles stay doubles") };
    assert_eq!(
        values.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
        [(-0.0_f64).to_bits(), 0, 0, 1.5_f64.to_bits()]
    );
    let words: Strings = ["a", "b", "a"].into_iter().collect();
    gather(&Values::Str(words.clone()).into(), &[1, NO_ROW], &mut out);
    assert_eq!((out.is_null(0), out.is_null(1)), (false, true));
    assert_eq!(codes(&words, &["b", "c"].into_iter().collect()), (vec![0, 1, 0], vec![1, 2]));
}

fn put(store: &Store, key: &SeriesKey, times: &[i64], name: &str) {
    let schema = SchemaBuilder::sequence().column(name, ColumnType::I64).column("n", ColumnType::I64);
    let mut transaction = store.begin();
    transaction.create_series(key, schema.build().unwrap()).unwrap();
    let numbers = Values::I64((0..times.len() as i64).collect());
    let batch = Batch::new(times.to_vec()).with(name, numbers.clone()).with("n", numbers);
    transaction.append(key, batch).unwrap();
    transaction.commit().unwrap();
}

/// A join of a range finds rows that lie outside of the range, and gives what a join of everything gives there.
#[test]
fn a_range_is_joined_as_the_whole_is() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    let (trades, quotes) =
        (SeriesKey::new("A.X", "trades").unwrap(), SeriesKey::new("A.X", "quotes").unwrap());
    let mut random = Random(66);
    put(&store, &trades, &random.times(300, 20), "price");
    put(&store, &quotes, &random.times(200, 40), "bid");
    let view = store.view();
    let mut joiner = Joiner::default();
    for direction in DIRECTIONS {
        for strict in [false, true] {
            let how = AsOfJoin { direction, strict, tolerance_ns: None };
            let all = join(&view, (&trades, None), (&quotes, None), i64::MIN..i64::MAX, &how).unwrap();
            let names: Vec<_> = all.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, ["price", "n", "bid", "n_right", "time_right"]);
            for _ in 0..40 {
                let start = random.between(-60, 2900);
                let range = start..start + random.between(0, 400);
                let part = join(&view, (&trades, None), (&quotes, None), range.clone(), &how).unwrap();
                // The memory of other answers, of the other direction and of other columns, leaves no trace.
                let again = joiner.join(&view, (&trades, None), (&quotes, None), range.clone(), &how);
                assert_eq!(*again.unwrap(), part);
                if random.chance(30) {
                    let other = (&quotes, Some(&["n"][..]));
                    joiner.join(&view, other, (&trades, None), range.clone(), &how).unwrap();
                }
                let rows = all.set.rows_between(range.start, range.end);
                assert_eq!(part.time(), &all.time()[rows.clone()]);
                for name in &names {
                    let (a, b) = (part.column(name).unwrap(), all.column(name).unwrap());
                    assert!(
                        rows.clone().enumerate().all(|(x, y)| a.same(x, b, y)),
                        "{how:?} {range:?} {name}"
                    );
                }
            }
        }
    }
}

/// Trades with the quote in force, out of a store and by hand from the files.
#[test]
fn real_trades_meet_the_quotes_in_force() {
    let Some(trades) = real("trades/AIG_trade_201310.csv.gz") else { return };
    let Some(quotes) = real("trades/AIG_quote_201310_head.csv.gz") else { return };
    let column = |text: &str, number: usize| -> Vec<i64> {
        text.lines().skip(1).map(|line| line.split(',').nth(number).unwrap().parse().unwrap()).collect()
    };
    let (trade_ms, quote_ms, bids) = (column(&trades, 0), column(&quotes, 0), column(&quotes, 1));
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    let (left, right) =
        (SeriesKey::new("AIG.US", "trades").unwrap(), SeriesKey::new("AIG.US", "quotes").unwrap());
    for (key, ms, name, values) in
        [(&left, &trade_ms, "price_e4", &column(&trades, 1)), (&right, &quote_ms, "bid_e4", &bids)]
    {
        let schema = SchemaBuilder::sequence().column(name, ColumnType::I64).build().unwrap();
        let mut transaction = store.begin();
        transaction.create_series(key, schema).unwrap();
        let times = ms.iter().map(|ms| ms * 1_000_000).collect();
        transaction.append(key, Batch::new(times).with(name, Values::I64(values.clone()))).unwrap();
        transaction.commit().unwrap();
    }
    let how = AsOfJoin { tolerance_ns: Some(MINUTE as u64), ..AsOfJoin::default() };
    let found = join(&store.view(), (&left, None), (&right, None), i64::MIN..i64::MAX, &how).unwrap();
    assert_eq!(found.len(), trade_ms.len());
    let found = found.column("bid_e4").unwrap();
    let mut matched = 0;
    for (row, ms) in trade_ms.iter().enumerate() {
        let last = quote_ms.partition_point(|quote| quote <= ms).checked_sub(1);
        let last = last.filter(|last| ms - quote_ms[*last] <= 60_000);
        matched += usize::from(last.is_some());
        let bid = Values::I64(vec![last.map_or(0, |last| bids[last])]);
        assert_eq!(found.is_null(row), last.is_none());
        assert!(found.values.same(row, &bid, 0));
    }
    println!("{matched} of {} trades have a quote not older than a minute", trade_ms.len());
    assert!(matched > 1000);
}

/// Fills of several instruments in one table, each with the quote of its own instrument.
#[test]
fn rows_that_name_their_instrument_find_its_rows() {
    let mut random = Random(77);
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    let names = ["A.X", "B.X", "C.X", "NONE.X"];
    let fills = SeriesKey::new("fund", "fills").unwrap();
    let mut transaction = store.begin();
    let quoted = SchemaBuilder::sequence().column("bid", ColumnType::F64).build().unwrap();
    let mut quotes = Vec::new();
    for name in &names[..3] {
        let key = SeriesKey::new(name, "quotes").unwrap();
        let times = random.times(200, 40);
        let bids: Vec<f64> = times.iter().map(|_| random.below(1000) as f64).collect();
        transaction.create_series(&key, quoted.clone()).unwrap();
        transaction.append(&key, Batch::new(times.clone()).with("bid", Values::F64(bids.clone()))).unwrap();
        quotes.push((times, bids));
    }
    let times = random.times(300, 30);
    let of: Vec<usize> = times.iter().map(|_| random.below(4) as usize).collect();
    let texts: Strings = of.iter().map(|instrument| names[*instrument]).collect();
    let schema = SchemaBuilder::sequence().column("symbol", ColumnType::String).build().unwrap();
    transaction.create_series(&fills, schema).unwrap();
    transaction.append(&fills, Batch::new(times.clone()).with("symbol", Values::Str(texts))).unwrap();
    transaction.commit().unwrap();
    let view = store.view();
    let frame = SeriesKey::new("A.X", "quotes").unwrap().frame().clone();
    for direction in [Direction::Backward, Direction::Forward, Direction::Nearest] {
        for (tolerance_ns, strict) in [(None, false), (Some(15), false), (None, true), (Some(40), true)] {
            let how = AsOfJoin { direction, tolerance_ns, strict };
            let rows =
                join_by(&view, (&fills, None), "symbol", (&frame, None), i64::MIN..i64::MAX, &how).unwrap();
            let bids = rows.column("bid").unwrap();
            for (row, instrument) in of.iter().enumerate() {
                let alone = quotes.get(*instrument).and_then(|(times_of, bids_of)| {
                    let mut found = Vec::new();
                    how.rows(&times[row..=row], times_of, &mut found).unwrap();
                    bids_of.get(found[0] as usize).copied()
                });
                let joined = (!bids.is_null(row)).then(|| rows.f64("bid").unwrap()[row]);
                assert_eq!(joined, alone, "row {row}, {how:?}");
            }
        }
    }
    let wrong =
        join_by(&view, (&fills, None), "nope", (&frame, None), i64::MIN..i64::MAX, &AsOfJoin::default());
    assert!(wrong.unwrap_err().to_string().contains("nope"));
}
