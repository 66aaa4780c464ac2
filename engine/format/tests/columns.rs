//! Which encoding a column gets, its size, its zone maps, and what can be borrowed.

mod support;

use support::{Content, Random, SOME, read, read_stream, rows_at, same, spec, write, write_with};
use tapestore_format::rows::{ColumnValues, RowSet, RunVec, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{
    Chunk, Encoding, Holds, Scratch, Segment, SegmentWriter, Stream, System, Tier, Verified, Zone,
};
use tapestore_format::time::Timeframe;

/// A part of one-minute bars with these columns.
fn part(columns: Vec<(ColumnId, ColumnType, ColumnValues)>, ohlc: Option<[ColumnId; 4]>) -> Content {
    support::part(Timeframe::M1, columns, ohlc)
}

/// Writes, compares, verifies, and shows the first chunk.
fn written<T>(content: &Content, writer: SegmentWriter, show: impl FnOnce(&Chunk<'_>) -> T) -> T {
    let ((bytes, _), _) = write_with(std::slice::from_ref(content), writer);
    same(&read(&bytes).unwrap()[0].0, &content.live).unwrap();
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, SOME, &verified).unwrap();
    segment.verify(true, &mut |error| panic!("{error}"));
    let part = segment.part(0).unwrap();
    show(&segment.chunk(&part, Stream::Live, 0).unwrap())
}

/// Encoding and bytes of every column.
fn stored(content: &Content, tier: Tier) -> Vec<(Encoding, u64)> {
    written(content, SegmentWriter::new(SOME, tier), |chunk| {
        let own = chunk.columns().filter(|column| column.id.is_some());
        own.map(|column| (column.encoding, column.bytes)).collect()
    })
}

fn floats(values: Vec<f64>) -> ColumnValues {
    Values::F64(values).into()
}

#[test]
fn every_encoding_is_used_where_it_belongs() {
    let mut random = Random(5);
    let count = 5000;
    let texts = |f: &mut dyn FnMut(usize) -> String| Values::Str((0..count).map(f).collect()).into();
    let columns = vec![
        (0, ColumnType::F64, floats(vec![7.25; count])),
        (1, ColumnType::F64, floats((0..count).map(|_| random.below(100_000) as f64 / 100.0).collect())),
        (2, ColumnType::F64, floats((0..count).map(|_| (random.below(1 << 40) as f64).sqrt()).collect())),
        (3, ColumnType::F64, floats((0..count).map(|_| f64::from_bits(random.next())).collect())),
        (
            4,
            ColumnType::I64,
            Values::I64((0..count as i64).map(|index| index * 3 + index % 2).collect()).into(),
        ),
        (5, ColumnType::String, texts(&mut |row| ["buy", "sell"][row % 2].to_owned())),
        (6, ColumnType::String, texts(&mut |row| format!("order {row}"))),
        (
            7,
            ColumnType::F32,
            Values::F32((0..count).map(|_| random.below(1000) as f32 / 10.0).collect()).into(),
        ),
        (
            8,
            ColumnType::F64,
            ColumnValues { values: Values::F64(vec![0.0; count]), nulls: Some(vec![true; count]) },
        ),
    ];
    let content = part(columns, None);
    let found: Vec<Encoding> =
        stored(&content, Tier::Dense).into_iter().map(|(encoding, _)| encoding).collect();
    let expected = [
        Encoding::Constant,
        Encoding::Decimal,
        Encoding::Split,
        Encoding::Raw,
        Encoding::Integers,
        Encoding::Dictionary,
        Encoding::Text,
        Encoding::Decimal,
        Encoding::Null,
    ];
    assert_eq!(found, expected);
    let hot: Vec<Encoding> = stored(&content, Tier::Hot).into_iter().map(|(encoding, _)| encoding).collect();
    assert_eq!(hot.iter().filter(|encoding| **encoding == Encoding::Raw).count(), 5);
}

/// Strings that begin and end alike, or are as long and differ in one byte, each after each.
#[test]
fn strings_that_are_nearly_the_same_have_codes_of_their_own() {
    let words = [
        "",
        "\0",
        "\0\0",
        "a",
        "\0a",
        "aa",
        "aaa",
        "aaaa",
        "aaab",
        "baaa",
        "aaaaa",
        "aaaaaaa",
        "aaaaaaaa",
        "aaabaaaa",
        "aaaabaaa",
        "aaaaaaaaa",
        "aaaabaaaa",
        "aaaacaaaa",
        "aaaabbaaaa",
        "BUY LIMIT",
        "BUY_LIMIT",
    ];
    let pairs = words.iter().flat_map(|first| words.iter().flat_map(move |second| [*first, *second]));
    let texts: Vec<&str> = pairs.cycle().take(20_000).collect();
    let column = Values::Str(texts.into_iter().collect()).into();
    let found = stored(&part(vec![(0, ColumnType::String, column)], None), Tier::Dense);
    assert_eq!(found[0].0, Encoding::Dictionary);
}

/// Short strings of a dictionary are copied as words, longer ones are not: around that length, of several bytes a character, with
/// nulls and without, from any row to any other.
#[test]
fn dictionaries_of_short_and_of_long_strings_come_back() {
    let mut random = Random(23);
    for longest in [0, 1, 8, 15, 16, 17, 40] {
        for nulls in [false, true] {
            let texts = [
                "",
                "é",
                "买",
                "a",
                "buy_sell",
                "日本1",
                "\u{0}",
                "\u{10ffff}\u{10ffff}",
                "NASDAQ-Q",
                "a condition: 15",
                "a condition: 016",
                "a condition: 0017",
                "a venue of the past",
            ];
            let some: Vec<&str> = texts.into_iter().filter(|text| text.len() <= longest).collect();
            let count = 2600;
            let mut values: Vec<&str> = (0..count).map(|_| random.pick(&some)).collect();
            // Not all of them are the same.
            values[7] = &"12345678901234567890123456789012345678901"[..longest.max(1)];
            let nulls: Option<Vec<bool>> = nulls.then(|| (0..count).map(|row| row % 9 == 4).collect());
            let null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls[row]);
            let values = values.iter().enumerate().map(|(row, text)| if null(row) { "" } else { text });
            let column = ColumnValues { values: Values::Str(values.collect()), nulls: nulls.clone() };
            let content = part(vec![(0, ColumnType::String, column)], None);
            for tier in [Tier::Hot, Tier::Dense, Tier::Cold] {
                let (bytes, _) = write(std::slice::from_ref(&content), tier);
                let pick = |_: &mut Random| vec![(0, ColumnType::String)];
                let columns = support::stored(&content, &bytes, &mut random, 30, pick);
                assert_eq!(columns[0].encoding, Encoding::Dictionary, "{longest} bytes");
            }
        }
    }
}

/// Bars with prices in ticks of 0.25 that now and then break the ordering, and strays of every kind.
fn bars(random: &mut Random, count: usize) -> [Vec<f64>; 4] {
    let mut out: [Vec<f64>; 4] = Default::default();
    let mut price = 40_000i64;
    for row in 0..count {
        let open = price + random.below(3) as i64 - 1;
        price += random.below(41) as i64 - 20;
        let (mut high, mut low) =
            (open.max(price) + random.below(8) as i64, open.min(price) - random.below(8) as i64);
        if row % 500 == 499 {
            std::mem::swap(&mut high, &mut low);
        }
        for (column, value) in out.iter_mut().zip([open, high, low, price]) {
            column.push(value as f64 * 0.25);
        }
    }
    out
}

#[test]
fn bars_predict_one_another_whatever_strays_among_them() {
    let mut random = Random(6);
    let group = |four: [Vec<f64>; 4]| {
        let columns = (0..).zip(four).map(|(id, values)| (id, ColumnType::F64, floats(values))).collect();
        stored(&part(columns, Some([0, 1, 2, 3])), Tier::Dense)
    };
    let clean = bars(&mut random, 10_000);
    let found = group(clean.clone());
    assert!(found.iter().all(|(encoding, _)| *encoding == Encoding::Group));
    let total: u64 = found.iter().map(|(_, bytes)| bytes).sum();
    assert!(total < 10_000 * 2, "{total} bytes for 10,000 bars");

    let mut strays = clean;
    for row in (3..10_000).step_by(400) {
        let value =
            random.pick(&[f64::NAN, -0.0, f64::INFINITY, 10_000.123_456_78, 0.1 + 0.2, 1e-300, f64::MAX]);
        strays[row % 4][row] = value;
    }
    let found = group(strays.clone());
    assert!(found.iter().all(|(encoding, _)| *encoding == Encoding::Group));
    let with: u64 = found.iter().map(|(_, bytes)| bytes).sum();
    assert!(with < total + 25 * 30, "{with} bytes with 25 strays, {total} without");

    // Nulls in one of the four: each for itself.
    let mut columns: Vec<_> = (0..).zip(strays).map(|(id, v)| (id, ColumnType::F64, floats(v))).collect();
    columns[2].2.nulls = Some((0..10_000).map(|row| row == 77).collect());
    let Values::F64(values) = &mut columns[2].2.values else { unreachable!() };
    values[77] = 0.0;
    let found = stored(&part(columns, Some([0, 1, 2, 3])), Tier::Dense);
    assert!(found.iter().all(|(encoding, _)| *encoding == Encoding::Decimal));
}

/// Exchanges state some prices with eight places among those of two. As exceptions each takes six bytes or more, in every
/// column that has it; as mantissas of eight places they are predicted by one another, and the others are round numbers.
#[test]
fn prices_of_more_places_are_predicted_like_the_others() {
    let mut random = Random(8);
    let count = 20_000;
    let (mut short, mut long): ([Vec<f64>; 4], [Vec<f64>; 4]) = Default::default();
    // In units of the eighth place; a bar opens where the one before closed.
    let mut last = 5_000 * 100_000_000;
    for row in 0..count {
        let odd = if row % 15 == 7 { 1 + random.below(999_999) as i64 } else { 0 };
        let close = (last / 1_000_000 + random.below(41) as i64 - 20) * 1_000_000 + odd;
        let (over, under) = (random.below(4) as i64 / 3 * 1_000_000, random.below(4) as i64 / 3 * 1_000_000);
        let bar = [last, last.max(close) + over, last.min(close) - under, close];
        for (column, value) in short.iter_mut().zip(bar) {
            column.push((value / 1_000_000) as f64 / 100.0);
        }
        for (column, value) in long.iter_mut().zip(bar) {
            column.push(value as f64 / 1e8);
        }
        last = close;
    }
    let strays = short.iter().flatten().zip(long.iter().flatten()).filter(|(a, b)| a != b).count() as u64;
    let [without, with] = [short, long].map(|four| {
        let columns = (0..).zip(four).map(|(id, values)| (id, ColumnType::F64, floats(values)));
        let found = stored(&part(columns.collect(), Some([0, 1, 2, 3])), Tier::Cold);
        assert!(found.iter().all(|(encoding, _)| *encoding == Encoding::Group));
        found.iter().map(|(_, bytes)| bytes).sum::<u64>()
    });
    assert!(with < without + 3 * strays, "{with} bytes with {strays} such prices, {without} without");
}

#[test]
fn zone_maps_are_those_of_the_values() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let count = random.pick(&[128, 1024, 1025, 4000]);
        let kinds =
            [ColumnType::F64, ColumnType::F32, ColumnType::I64, ColumnType::U8, ColumnType::Timestamp];
        let columns = (0..)
            .zip(kinds)
            .map(|(id, kind)| (id, kind, support::values(&mut random, kind, count)))
            .collect();
        let content = part(columns, None);
        let (bytes, _) =
            write(std::slice::from_ref(&content), random.pick(&[Tier::Hot, Tier::Dense, Tier::Cold]));
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        let part = segment.part(0).unwrap();
        let chunk = segment.chunk(&part, Stream::Live, 0).unwrap();
        for (id, column) in &content.live.columns {
            let value = |row: usize| match &column.values {
                Values::I64(values) => values[row] as f64,
                Values::F64(values) => values[row],
                Values::F32(values) => f64::from(values[row]),
                Values::U8(values) => f64::from(values[row]),
                Values::Str(_) => unreachable!(),
            };
            let mut all = Zone::EMPTY;
            for block in 0..count.div_ceil(1024) {
                let rows = block * 1024..count.min(block * 1024 + 1024);
                let present: Vec<f64> = rows.clone().filter(|row| !column.is_null(*row)).map(value).collect();
                let zone = chunk.zone(*id, block).unwrap().unwrap();
                let numbers = || present.iter().copied().filter(|value| !value.is_nan());
                assert_eq!(zone.nulls, (rows.len() - present.len()) as u64);
                assert_eq!(zone.count, numbers().count() as u64);
                assert_eq!(zone.min, numbers().fold(f64::INFINITY, f64::min), "seed {seed} column {id}");
                assert_eq!(zone.max, numbers().fold(f64::NEG_INFINITY, f64::max));
                assert_eq!(zone.sum.to_bits(), numbers().fold(0.0, |sum, value| sum + value).to_bits());
                all.merge(&zone);
            }
            let chunk_zone = chunk.chunk_zone(*id).unwrap().unwrap();
            assert_eq!((chunk_zone.count, chunk_zone.min), (all.count, all.min));
        }
    }
}

#[test]
fn raw_columns_are_borrowed_and_checked() {
    let mut random = Random(8);
    let values: Vec<f64> = (0..3000).map(|_| f64::from_bits(random.next())).collect();
    let content = part(vec![(0, ColumnType::F64, floats(values.clone()))], None);
    let (mut bytes, _) = write(std::slice::from_ref(&content), Tier::Hot);
    let offset = {
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        let part = segment.part(0).unwrap();
        let chunk = segment.chunk(&part, Stream::Live, 0).unwrap();
        // The bytes of a test are not aligned to 64 in memory; where they are aligned to 8, the column is borrowed.
        if let Some(borrowed) = chunk.raw_f64(0, 1000..2500).unwrap() {
            assert!(borrowed.iter().zip(&values[1000..2500]).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        assert!(chunk.raw_i64(0, 0..1).unwrap().is_none());
        assert!(chunk.raw_f64(0, 0..3001).is_err());
        chunk.columns().find(|column| column.id == Some(0)).unwrap().offset
    };
    assert_eq!(offset % 64, 0);
    bytes[offset as usize + 2999 * 8] ^= 1;
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, SOME, &verified).unwrap();
    let part = segment.part(0).unwrap();
    let chunk = segment.chunk(&part, Stream::Live, 0).unwrap();
    assert!(chunk.raw_f64(0, 0..2048).is_ok(), "the damage is in another block");
    assert!(chunk.raw_f64(0, 2047..2049).is_err());
}

#[test]
fn trades_cost_little() {
    let mut random = Random(9);
    let count = 20_000;
    let mut time = 1_380_000_000_000_000_000i64;
    let mut price = 1_680_000i64;
    let (mut times, mut prices, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        time += if random.chance(2) { 0 } else { random.below(400) as i64 * 1_000_000 };
        price += random.pick(&[0, 0, 0, 100, -100]);
        times.push(time);
        prices.push(price as f64 / 10_000.0);
        sizes.push(random.pick(&[100i64, 100, 200, 300, 500, 37]));
    }
    let kinds = [(0, ColumnType::F64), (1, ColumnType::I64)];
    let mut rows = rows_at(times);
    rows.columns = vec![(0, floats(prices)), (1, Values::I64(sizes).into())];
    let content =
        Content { spec: spec(1, &kinds, None), live: rows, history: RowSet::default(), marks: Vec::new() };
    let (bytes, _) = write(std::slice::from_ref(&content), Tier::Dense);
    same(&read(&bytes).unwrap()[0].0, &content.live).unwrap();
    assert!(bytes.len() < count * 3, "{} bytes for {count} trades", bytes.len());
}

/// Times of which a model tells much are coded in the dense tier as well, and the chunk is known for a dense one all the same:
/// else it would never be made cold.
#[test]
fn times_that_are_coded_in_the_dense_tier_make_no_cold_chunk() {
    let mut random = Random(31);
    let count = 30_000;
    for repeats in [true, false] {
        // Mostly the step before the last one again; or any.
        let (mut time, mut steps) = (1_380_000_000_000_000_000i64, vec![3, 5]);
        let times = (0..count).map(|row| {
            let again = repeats && !random.chance(10);
            steps.push(if again { steps[row] } else { random.below(9) as i64 });
            time += steps[row] * 1_000_000;
            time
        });
        let mut rows = rows_at(times.collect());
        rows.columns = vec![(0, Values::I64((0..count).map(|_| random.below(9) as i64).collect()).into())];
        let spec = spec(1, &[(0, ColumnType::I64)], None);
        let content = Content { spec, live: rows, history: RowSet::default(), marks: Vec::new() };
        let time_bytes = |tier: Tier| {
            let holds = Holds { ticks: true, ..Holds::default() };
            written(&content, SegmentWriter::holding(SOME, tier, holds), |chunk| {
                assert_eq!(chunk.tier(), tier, "repeats: {repeats}");
                chunk.columns().find(|column| column.name == "time").unwrap().bytes
            })
        };
        let [packed, dense, cold] = [Tier::Hot, Tier::Dense, Tier::Cold].map(time_bytes);
        assert_eq!(dense * 4 < packed * 3, repeats, "{packed}, {dense} and {cold} bytes");
        assert!(!repeats || dense == cold, "{packed}, {dense} and {cold} bytes");
    }
}

/// Rows on the grid, all the same but for their versions, or noise, of which no model tells anything: nothing in a cold chunk of them
/// said that it is one, and it was made cold again and again.
#[test]
fn a_cold_chunk_is_known_for_one_or_has_no_other_form() {
    let mut random = Random(32);
    let noise: Vec<f64> = (0..5000).map(|_| f64::from_bits(random.next())).collect();
    for (values, told) in [(vec![1.5; 5000], Tier::Dense), (noise, Tier::Cold)] {
        let mut content = part(vec![(0, ColumnType::F64, floats(values))], None);
        let mut version = RunVec::default();
        (0..5000).for_each(|row| version.push(row, 1));
        content.live.version = version;
        let known = written(&content, SegmentWriter::new(SOME, Tier::Cold), |chunk| {
            (chunk.tier(), chunk.may_be_coded())
        });
        assert_eq!(known, (told, told == Tier::Cold));
    }
}

/// Prices at and around what 32 bits hold: a column is read in numbers that hold all that it is predicted from, and what it becomes.
#[test]
fn groups_at_the_edge_of_32_bits_come_back() {
    let mut random = Random(11);
    for sign in [1, -1] {
        for near in -12..=3 {
            let edge = (1i64 << 31) + near;
            // A block of one price; another that reaches almost as far as its ten bits do.
            let mut closes = vec![sign * edge; 1024];
            closes.extend((0..1024).map(|_| sign * (edge - 1024) + random.below(1024) as i64));
            let mut bars: [Vec<i64>; 4] = Default::default();
            for (row, close) in closes.iter().enumerate() {
                let before = if row % 1024 == 0 { row } else { row - 1 };
                let open = closes[before] + 5;
                let prices = [open, open.max(*close) + 5, open.min(*close) - 5, *close];
                bars.iter_mut().zip(prices).for_each(|(column, price)| column.push(price));
            }
            let prices = |cents: &Vec<i64>| floats(cents.iter().map(|cents| *cents as f64 / 100.0).collect());
            let columns = (0..).zip(&bars).map(|(id, cents)| (id, ColumnType::F64, prices(cents)));
            let content = part(columns.collect(), Some([0, 1, 2, 3]));
            for tier in [Tier::Dense, Tier::Cold] {
                let forms = stored(&content, tier);
                assert!(forms.iter().all(|form| form.0 == Encoding::Group), "{forms:?}");
            }
        }
    }
}

/// Bars without nulls are read behind others that have some.
#[test]
fn rows_of_a_group_are_no_nulls_behind_rows_that_may_be() {
    let prices = |by: usize| floats((0..3000).map(|row| (row * 7 % 90 + by) as f64 / 100.0).collect());
    let columns = (0..4).map(|id| (id, ColumnType::F64, prices(id as usize))).collect();
    let content = part(columns, Some([0, 1, 2, 3]));
    let (bytes, _) = write(std::slice::from_ref(&content), Tier::Dense);
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, SOME, &verified).unwrap();
    let part = segment.part(0).unwrap();
    let chunk = segment.chunk(&part, Stream::Live, 0).unwrap();
    let mut out = RowSet::with_columns(&[(1, ColumnType::F64)]);
    out.columns[0].1.push_nulls(2);
    for rows in [0..700, 700..2500] {
        chunk.read(&part, rows, System::NONE, &mut out, &mut Scratch::default()).unwrap();
    }
    let nulls = out.columns[0].1.nulls.as_ref().unwrap();
    assert_eq!((nulls.len(), nulls.iter().filter(|null| **null).count()), (2502, 2));
}

/// A block becomes a constant, which takes a few bytes: the others are left over.
#[test]
fn bytes_behind_a_block_of_a_group_are_refused() {
    let mut random = Random(12);
    let mut prices =
        |by: u64| floats((0..600).map(|_| (5000 + by + random.below(90)) as f64 / 100.0).collect());
    let columns = (0..4).map(|id| (id as ColumnId, ColumnType::F64, prices(id))).collect();
    let content = part(columns, Some([0, 1, 2, 3]));
    let (bytes, _) = write(std::slice::from_ref(&content), Tier::Dense);
    let group: Vec<_> = {
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        let chunk = segment.chunk(&segment.part(0).unwrap(), Stream::Live, 0).unwrap();
        chunk.columns().filter(|column| column.id.is_some()).collect()
    };
    for column in group {
        assert!(column.encoding == Encoding::Group && !column.digits, "{column:?}");
        let mut bad = bytes.clone();
        bad[column.offset as usize] = 0;
        let verified = Verified::trusting();
        let segment = Segment::open(&bad, SOME, &verified).unwrap();
        let error = read_stream(&segment, 0, Stream::Live).unwrap_err();
        assert_eq!(error.rule, "K13", "{error}");
        assert!((column.offset..column.offset + column.bytes).contains(&error.offset), "{error}");
    }
}
