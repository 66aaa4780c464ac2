//! Resampling agrees with a plain program that puts every row into the bar it belongs to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::common::{DAY, HOUR, MINUTE, Random, cases, real};
use tapestore::schema::{SchemaBuilder, bars_with};
use tapestore::{
    Batch, ColumnType, ColumnValues, Options, RowSet, Rows, Schema, SeriesKey, Store, Timeframe, Values,
    flags,
};
use tapestore_query::bucket::Piece;
use tapestore_query::fold::{Fold, Folder, Input};
use tapestore_query::resample::Resampler;
use tapestore_query::{Resample, Resampled, Rule, Sessions, resample};

const PRICES: [&str; 4] = ["open", "high", "low", "close"];

/// Rows of a made-up series of bars.
#[derive(Clone, Debug, Default)]
struct Bars {
    time: Vec<i64>,
    prices: [Vec<f64>; 4],
    volume: Vec<f64>,
    trades: Vec<Option<i64>>,
}

impl Bars {
    fn random(random: &mut Random, times: Vec<i64>) -> Self {
        let mut out = Self { time: times, ..Self::default() };
        for _ in 0..out.time.len() {
            let open = 10_000 + random.between(-500, 500);
            let close = open + random.between(-30, 30);
            let (high, low) =
                (open.max(close) + random.between(0, 9), open.min(close) - random.between(0, 9));
            for (column, price) in out.prices.iter_mut().zip([open, high, low, close]) {
                column.push(if random.chance(2) { f64::NAN } else { price as f64 / 100.0 });
            }
            out.volume.push(random.below(100_000) as f64 / 1000.0);
            out.trades.push((!random.chance(5)).then(|| random.below(50) as i64));
        }
        out
    }

    fn rows(&self, schema: &Schema, range: Range<usize>) -> Rows {
        let floats = |values: &Vec<f64>| ColumnValues::from(Values::F64(values[range.clone()].to_vec()));
        let mut columns: Vec<_> = self.prices.iter().map(floats).collect();
        columns.push(floats(&self.volume));
        let trades = &self.trades[range.clone()];
        let nulls: Vec<bool> = trades.iter().map(Option::is_none).collect();
        columns.push(ColumnValues {
            values: Values::I64(trades.iter().map(|count| count.unwrap_or(0)).collect()),
            nulls: nulls.contains(&true).then_some(nulls),
        });
        let columns = columns.into_iter().zip(0..).map(|(values, id)| (id, values)).collect();
        let set = RowSet { time: self.time[range].to_vec(), columns, ..RowSet::default() };
        Rows { columns: schema.columns.clone(), set }
    }
}

/// What a bar should be.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    time: i64,
    prices: [u64; 4],
    volume: u64,
    trades: Option<i64>,
}

/// The value of all decimals of thousandths together, rounded once.
fn exact_sum(values: &[f64]) -> f64 {
    values.iter().map(|value| (value * 1000.0).round() as i64).sum::<i64>() as f64 / 1000.0
}

fn expected(bars: &Bars, time: i64, rows: &[usize]) -> Expected {
    let pick = |column: usize| rows.iter().map(|row| bars.prices[column][*row]).collect::<Vec<f64>>();
    // `f64::max` and `min` pass over NaN; what is left of nothing but NaN is the first.
    let high = pick(1).into_iter().fold(f64::NAN, f64::max);
    let low = pick(2).into_iter().fold(f64::NAN, f64::min);
    let prices = [pick(0)[0], high, low, *pick(3).last().unwrap()].map(f64::to_bits);
    let volumes: Vec<f64> = rows.iter().map(|row| bars.volume[*row]).collect();
    let trades = rows.iter().map(|row| bars.trades[*row]).sum();
    Expected { time, prices, volume: exact_sum(&volumes).to_bits(), trades }
}

fn found(resampled: &Rows) -> Vec<Expected> {
    let bits = |name: &str, row: usize| resampled.f64(name).unwrap()[row].to_bits();
    let trades = resampled.column("trades").unwrap();
    (0..resampled.len())
        .map(|row| Expected {
            time: resampled.time()[row],
            prices: PRICES.map(|name| bits(name, row)),
            volume: bits("volume", row),
            trades: (!trades.is_null(row)).then(|| resampled.i64("trades").unwrap()[row]),
        })
        .collect()
}

/// Runs a resampler over the rows in random pieces, taking bars now and then.
fn in_pieces(bars: &Bars, how: &Resample, random: &mut Random) -> Resampled {
    let schema = bars_with(&["trades"]).unwrap();
    let key = SeriesKey::new("A.X", "1m").unwrap();
    let mut resampler = Resampler::new(key.frame(), &schema, how.rule, how.sessions.clone()).unwrap();
    let mut out: Option<Rows> = None;
    let mut add = |rows: Rows| match &mut out {
        None => out = Some(rows),
        Some(all) => {
            all.set.time.extend(&rows.set.time);
            all.set.flags.extend_from(&rows.set.flags, 0..rows.len());
            for ((_, to), (_, from)) in all.set.columns.iter_mut().zip(&rows.set.columns) {
                to.extend_from(from, 0..rows.len());
            }
        }
    };
    let mut row = 0;
    while row < bars.time.len() {
        let end = (row + 1 + random.below(40) as usize).min(bars.time.len());
        resampler.push(&bars.rows(&schema, row..end)).unwrap();
        if random.chance(40) {
            add(resampler.take());
        }
        row = end;
    }
    let last = resampler.finish(how.until_ns, how.unfinished);
    add(last.rows);
    Resampled { rows: out.unwrap(), ..last }
}

/// Hong Kong's hours on some days around the epoch, in which bars are asked for that straddle the lunch break.
fn hong_kong() -> Sessions {
    let hours = [9 * HOUR + 30 * MINUTE..12 * HOUR, 13 * HOUR..16 * HOUR];
    Sessions::on_weekdays(0..20 * DAY, 8 * HOUR, &hours, &[7 * DAY]).unwrap()
}

/// Where a row of time `time` belongs: when its bar opens and when it ends. By the definition, session by session.
fn bar_of(timeframe: Timeframe, sessions: Option<&Sessions>, time: i64) -> Option<(i64, i64)> {
    let Some(sessions) = sessions else {
        let slot = timeframe.slot(time);
        return Some((timeframe.slot_start(slot), timeframe.slot_start(slot + 1)));
    };
    let session = sessions.all().iter().find(|session| session.open.contains(&time))?;
    match timeframe.step_ns() {
        Some(step) if step < DAY => {
            let mut start = session.open.start;
            while start + step <= time {
                start += step;
            }
            Some((start, (start + step).min(session.open.end)))
        }
        _ => {
            let slot = timeframe.slot(session.day_ns);
            let same = sessions.all().iter().filter(|other| timeframe.slot(other.day_ns) == slot);
            Some((timeframe.slot_start(slot), same.map(|other| other.open.end).max().unwrap()))
        }
    }
}

#[test]
fn bars_by_time_agree_with_the_definition_whole_and_in_pieces() {
    let (mut random, cases) = (Random(7), cases(400));
    let (sessions, frames) = (Arc::new(hong_kong()), [2, 4, 6, 8, 9, 10, 11, 14, 15, 16, 17]);
    let mut made = 0;
    for case in 0..cases {
        let count = 1 + random.below(600) as usize;
        let mut minute = random.between(-3 * 1440, 12 * 1440);
        let mut step = || {
            minute += if random.chance(90) { 1 } else { random.between(1, 900) };
            minute * MINUTE
        };
        let times = (0..count).map(|_| step()).collect();
        let bars = Bars::random(&mut random, times);
        let timeframe = Timeframe::from_id(frames[random.below(frames.len() as u64) as usize]).unwrap();
        if timeframe == Timeframe::M1 {
            continue;
        }
        let own = random.chance(60).then(|| sessions.clone());
        let unfinished = random.chance(50);
        let until_ns = random.chance(30).then(|| bars.time[count - 1] + MINUTE + random.between(0, 3 * DAY));
        let how = Resample { rule: Rule::Time(timeframe), sessions: own.clone(), until_ns, unfinished };
        let mut groups: BTreeMap<i64, (i64, Vec<usize>)> = BTreeMap::new();
        let mut outside = 0;
        for (row, time) in bars.time.iter().enumerate() {
            match bar_of(timeframe, own.as_deref(), *time) {
                Some((start, end)) => groups.entry(start).or_insert((end, Vec::new())).1.push(row),
                None => outside += 1,
            }
        }
        let until = until_ns.unwrap_or(bars.time[count - 1] + MINUTE);
        let open = groups.last_key_value().filter(|(_, (end, _))| until < *end).map(|(start, _)| *start);
        let mut wanted: Vec<_> =
            groups.iter().map(|(start, (_, rows))| expected(&bars, *start, rows)).collect();
        if open.is_some() && !unfinished {
            wanted.pop();
        }
        let result = in_pieces(&bars, &how, &mut random);
        assert_eq!(found(&result.rows), wanted, "case {case}: {how:?}");
        assert_eq!((result.unfinished, result.outside), (open, outside), "case {case}");
        for (row, time) in result.rows.time().iter().enumerate() {
            let step = timeframe.step_ns().filter(|step| *step < DAY);
            let short = step.is_some_and(|step| groups[time].0 - time < step) || Some(*time) == open;
            assert_eq!(result.rows.set.flags.get(row) == flags::PARTIAL, short, "case {case}, bar at {time}");
        }
        made += wanted.len();
    }
    println!("torture: bars by time against the definition | {made} bars | seed 7 | failures 0");
}

#[test]
fn bars_by_size_agree_with_counting_row_by_row() {
    let (mut random, cases) = (Random(8), cases(400));
    let sessions = Arc::new(hong_kong());
    let mut made = 0;
    for case in 0..cases {
        let mut time = random.between(0, 3 * DAY);
        let count = 1 + random.below(500) as usize;
        let times = (0..count)
            .map(|_| {
                time += random.between(0, 5 * MINUTE);
                time
            })
            .collect();
        let bars = Bars::random(&mut random, times);
        let rule = match random.below(3) {
            0 => Rule::Ticks(1 + random.below(30)),
            1 => Rule::Volume((1 + random.below(500_000)) as f64 / 1000.0),
            _ => Rule::Dollars((1 + random.below(50_000)) as f64),
        };
        let own = random.chance(50).then(|| sessions.clone());
        let how = Resample { rule, sessions: own.clone(), until_ns: None, unfinished: true };
        let mut groups: Vec<(Option<usize>, bool, Vec<usize>)> = Vec::new();
        for (row, time) in bars.time.iter().enumerate() {
            let inside = |sessions: &Arc<Sessions>| sessions.all().iter().position(|s| s.open.contains(time));
            let session = own.as_ref().map(inside);
            if session == Some(None) {
                continue;
            }
            let session = session.flatten();
            if groups.last().is_none_or(|(other, full, _)| *full || *other != session) {
                groups.push((session, false, Vec::new()));
            }
            let (_, full, rows) = groups.last_mut().unwrap();
            rows.push(row);
            let thousandths = |row: &usize| (bars.volume[*row] * 1000.0).round() as i64;
            *full = match rule {
                Rule::Ticks(count) => rows.len() as u64 == count,
                Rule::Volume(size) => {
                    rows.iter().map(thousandths).sum::<i64>() >= (size * 1000.0).round() as i64
                }
                Rule::Dollars(size) => {
                    rows.iter().map(|row| bars.prices[3][*row] * bars.volume[*row]).sum::<f64>() >= size
                }
                Rule::Time(_) => unreachable!(),
            };
        }
        let wanted: Vec<_> =
            groups.iter().map(|(.., rows)| expected(&bars, bars.time[rows[0]], rows)).collect();
        let result = in_pieces(&bars, &how, &mut random);
        assert_eq!(found(&result.rows), wanted, "case {case}: {how:?}");
        let ends: Vec<i64> = groups.iter().map(|(.., rows)| bars.time[*rows.last().unwrap()]).collect();
        assert_eq!(result.rows.i64("end").unwrap(), ends);
        for (row, (_, full, _)) in groups.iter().enumerate() {
            assert_eq!(result.rows.set.flags.get(row) == flags::PARTIAL, !full, "case {case}, bar {row}");
        }
        made += wanted.len();
    }
    println!("torture: bars by size against counting | {made} bars | seed 8 | failures 0");
}

/// The bits of the highest and the lowest: which zero, which NaN, whatever the cuts between pieces (F1).
#[test]
fn extremes_are_those_of_a_walk_from_row_to_row() {
    const SOME: [f64; 8] = [0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5];
    let mut random = Random(77);
    for case in 0..cases(4000) {
        let kinds = 1 + random.below(8);
        let values: Vec<f64> =
            (0..=random.below(40)).map(|_| SOME[(case + random.below(kinds)) as usize % 8]).collect();
        for (fold, better) in
            [(Fold::Max, f64::gt as fn(&f64, &f64) -> bool), (Fold::Min, f64::lt as fn(&f64, &f64) -> bool)]
        {
            // The first number that no other is better than; the first NaN if there is no number.
            let walk = values.iter().copied().reduce(|best, value| {
                if better(&value, &best) || (best.is_nan() && !value.is_nan()) { value } else { best }
            });
            let mut folder = Folder::new(fold, false);
            let mut start = 0;
            while start < values.len() {
                let end = values.len().min(start + 1 + random.below(20) as usize);
                folder.push(&[Piece { rows: start..end, fresh: start == 0 }], Input::F64(&values, None));
                start = end;
            }
            let Values::F64(found) = folder.take(true).values else { panic!("doubles stay doubles") };
            assert_eq!(found[0].to_bits(), walk.unwrap().to_bits(), "{fold:?} of {values:?}: {found:?}");
        }
    }
}

#[test]
fn tenths_add_up_to_what_they_are() {
    let volume = vec![0.1; 30];
    let times = (0..30).map(|minute| minute * MINUTE).collect();
    let bars = Bars { volume, ..Bars::random(&mut Random(1), times) };
    let how = Resample::to(Timeframe::M10);
    let result = in_pieces(&bars, &how, &mut Random(2));
    assert_eq!(result.rows.f64("volume").unwrap(), [1.0, 1.0, 1.0]);
    let how = Resample { rule: Rule::Volume(1.0), ..how };
    assert_eq!(in_pieces(&bars, &how, &mut Random(2)).rows.len(), 3, "ten tenths are full");
}

#[test]
fn what_cannot_be_made_is_refused() {
    let schema = bars_with(&[]).unwrap();
    let refused = |frame: &str, rule| {
        let key = SeriesKey::new("A.X", frame).unwrap();
        Resampler::new(key.frame(), &schema, rule, None).err().map(|error| error.to_string())
    };
    assert!(refused("2m", Rule::Time(Timeframe::M3)).unwrap().contains("cannot be made"));
    assert!(refused("1h", Rule::Time(Timeframe::H1)).is_some());
    assert!(refused("1w", Rule::Time(Timeframe::Mo1)).is_some());
    assert!(refused("1mo", Rule::Time(Timeframe::D1)).is_some());
    assert!(refused("4h", Rule::Time(Timeframe::Mo1)).is_none());
    assert!(refused("1m", Rule::Ticks(0)).is_some());
    assert!(refused("1m", Rule::Dollars(f64::NAN)).is_some());
    let other = SchemaBuilder::unique().column("note", ColumnType::String).build().unwrap();
    let key = SeriesKey::new("A.X", "notes").unwrap();
    assert!(Resampler::new(key.frame(), &other, Rule::Ticks(5), None).is_err());
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    (directory, store)
}

/// A range gives the bars that open in it, each whole, as the resampling of everything has them.
#[test]
fn a_range_has_the_bars_of_the_whole_that_open_in_it() {
    let (_directory, store) = store();
    let key = SeriesKey::new("A.X", "1m").unwrap();
    let mut random = Random(9);
    let times: Vec<i64> = (0..20_000).filter(|_| random.chance(80)).map(|minute| minute * MINUTE).collect();
    let bars = Bars::random(&mut random, times);
    let schema = bars_with(&["trades"]).unwrap();
    let rows = bars.rows(&schema, 0..bars.time.len());
    let mut transaction = store.begin();
    transaction.create_series(&key, schema).unwrap();
    let batch = Batch::new(bars.time.clone());
    let columns = rows.columns.iter().zip(rows.set.columns);
    let batch = columns.fold(batch, |batch, (column, (_, values))| batch.with(&column.name, values));
    transaction.append(&key, batch).unwrap();
    transaction.commit().unwrap();
    let view = store.view();
    for sessions in [None, Some(Arc::new(hong_kong()))] {
        for timeframe in [Timeframe::M5, Timeframe::H1, Timeframe::H4, Timeframe::D1, Timeframe::W1] {
            let how = Resample { sessions: sessions.clone(), ..Resample::to(timeframe) };
            let all = resample(&view, &key, i64::MIN..i64::MAX, &how).unwrap().rows;
            assert!(all.len() > 1, "{timeframe}");
            for _ in 0..50 {
                let start = random.between(-1000, 15_000) * MINUTE;
                let range = start..start + random.between(0, 4000) * MINUTE;
                let part = resample(&view, &key, range.clone(), &how).unwrap().rows;
                let rows = all.set.rows_between(range.start, range.end);
                assert_eq!(found(&part), found(&all)[rows], "{timeframe} {range:?}");
            }
        }
    }
}

/// The same market at several timeframes: coarser bars are the aggregate of finer ones, volumes included.
#[test]
fn coarser_files_of_an_exchange_are_made_of_finer_ones() {
    let mut compared = 0;
    for symbol in ["ADAUSDT", "DOGEUSDT"] {
        let read = |frame: &str| real(&format!("klines/ladder/{symbol}_{frame}.csv.gz"));
        let Some(minutes) = read("1m") else { return };
        let (_directory, store) = store();
        let key = SeriesKey::new(symbol, "1m").unwrap();
        let bars = ladder(&minutes);
        let schema = bars_with(&[]).unwrap();
        let mut transaction = store.begin();
        transaction.create_series(&key, schema).unwrap();
        let mut batch = Batch::new(bars.time.clone()).with("volume", Values::F64(bars.volume.clone()));
        for (name, column) in PRICES.iter().zip(&bars.prices) {
            batch = batch.with(name, Values::F64(column.clone()));
        }
        transaction.upsert(&key, batch).unwrap();
        transaction.commit().unwrap();
        let view = store.view();
        for (name, timeframe) in [
            ("5m", Timeframe::M5),
            ("15m", Timeframe::M15),
            ("30m", Timeframe::M30),
            ("60m", Timeframe::H1),
            ("240m", Timeframe::H4),
        ] {
            let made = resample(&view, &key, i64::MIN..i64::MAX, &Resample::to(timeframe)).unwrap().rows;
            let coarse = ladder(&read(name).unwrap());
            let (mut same, mut different) = (0, Vec::new());
            for (row, time) in coarse.time.iter().enumerate() {
                // Bars at the ends of the two files have rows beyond the other's.
                let whole = timeframe.slot_start(timeframe.slot(*time) + 1) <= *bars.time.last().unwrap();
                let Ok(own) = made.time().binary_search(time) else { continue };
                if !whole || *time < bars.time[0] {
                    continue;
                }
                let prices = PRICES.iter().zip(&coarse.prices);
                let equal = prices.clone().all(|(name, column)| made.f64(name).unwrap()[own] == column[row])
                    && made.f64("volume").unwrap()[own] == coarse.volume[row];
                if equal { same += 1 } else { different.push(*time) }
            }
            println!("{symbol} {name}: {same} bars equal, {} differ", different.len());
            assert!(same > 100, "{symbol} {name}");
            assert!(different.len() <= 1, "{symbol} {name}: {different:?}");
            compared += same;
        }
    }
    assert!(compared > 10_000);
}

/// `2025-05-30 16:40:00+00:00,…`: the days are counted from the first of May 2025.
fn ladder(text: &str) -> Bars {
    let mut bars = Bars::default();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |from: usize, to: usize| fields[0][from..to].parse::<i64>().expect("digits");
        assert_eq!((number(0, 4), &fields[0][19..]), (2025, "+00:00"));
        let days = 20_209 + [0, 31, 61, 92][number(5, 7) as usize - 5] + number(8, 10) - 1;
        bars.time.push(days * DAY + number(11, 13) * HOUR + number(14, 16) * MINUTE);
        for (column, text) in bars.prices.iter_mut().zip(&fields[1..]) {
            column.push(text.parse().unwrap());
        }
        bars.volume.push(fields[5].parse().unwrap());
    }
    bars
}

#[test]
fn bars_of_real_trades_agree_with_counting() {
    let Some(text) = real("trades/AIG_trade_201310.csv.gz") else { return };
    let column = |number: usize| -> Vec<i64> {
        text.lines().skip(1).map(|line| line.split(',').nth(number).unwrap().parse().unwrap()).collect()
    };
    let (ms, prices, quantities) = (column(0), column(1), column(2));
    let (_directory, store) = store();
    let key = SeriesKey::new("AIG.US", "trades").unwrap();
    let schema =
        SchemaBuilder::sequence().column("price", ColumnType::F64).column("quantity", ColumnType::I64);
    let mut transaction = store.begin();
    transaction.create_series(&key, schema.build().unwrap()).unwrap();
    let batch = Batch::new(ms.iter().map(|ms| ms * 1_000_000).collect())
        .with("price", Values::F64(prices.iter().map(|price| *price as f64 / 1e4).collect()))
        .with("quantity", Values::I64(quantities.clone()));
    transaction.append(&key, batch).unwrap();
    transaction.commit().unwrap();
    let how = Resample { unfinished: true, ..Resample::to(Timeframe::M1) };
    let made = resample(&store.view(), &key, i64::MIN..i64::MAX, &how).unwrap().rows;
    let mut minutes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, ms) in ms.iter().enumerate() {
        minutes.entry(ms / 60_000 * MINUTE).or_default().push(row);
    }
    assert_eq!(made.time(), minutes.keys().copied().collect::<Vec<_>>());
    for (bar, rows) in minutes.values().enumerate() {
        let of = |name: &str| made.f64(name).unwrap()[bar];
        let all = || rows.iter().map(|row| prices[*row]);
        assert_eq!(of("open"), prices[rows[0]] as f64 / 1e4);
        assert_eq!(of("high"), all().max().unwrap() as f64 / 1e4);
        assert_eq!(of("low"), all().min().unwrap() as f64 / 1e4);
        assert_eq!(of("close"), prices[*rows.last().unwrap()] as f64 / 1e4);
        assert_eq!(of("volume"), rows.iter().map(|row| quantities[*row]).sum::<i64>() as f64);
        assert_eq!(made.i64("trades").unwrap()[bar], rows.len() as i64);
    }
    println!("{} bars of {} trades", made.len(), ms.len());
}
