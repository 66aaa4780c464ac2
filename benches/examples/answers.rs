//! Tapestore for `benches/compare/answers.py`: a question's name on a line of standard input, its seconds and what is
//! needed to check the answer on a line of standard output. So the script asks Tapestore and its peers in turn.
//!
//! The only argument is a directory with columns as raw numbers, little-endian: of trades (`trades.time`,
//! `trades.price`, `trades.quantity`), of quotes (`quotes.time`, `quotes.bid`, `quotes.ask`) and of bars (`bars.time`,
//! `bars.open` and so on). Times are nanoseconds.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use tapestore::schema::{SchemaBuilder, bars};
use tapestore::{
    Batch, Column, ColumnType, ColumnValues, Options, RowSet, Rows, Schema, SeriesKey, Store, Timeframe,
    Values, View,
};
use tapestore_query::asof::Joiner;
use tapestore_query::resample::Resampler;
use tapestore_query::{AsOfJoin, Resample, Rule, resample};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows of one commit.
const BATCH: usize = 250_000;

/// A table in memory and its series in the store.
struct Table {
    key: SeriesKey,
    rows: Rows,
}

impl Table {
    fn load(directory: &Path, name: &str, frame: &str, schema: Schema) -> Result<Self> {
        let read = |column: &str| std::fs::read(directory.join(format!("{name}.{column}")));
        let eights = |bytes: Vec<u8>| -> Vec<[u8; 8]> { bytes.as_chunks().0.to_vec() };
        let time = eights(read("time")?).into_iter().map(i64::from_le_bytes).collect();
        let mut columns = Vec::new();
        for column in &schema.columns {
            let values: Vec<f64> = eights(read(&column.name)?).into_iter().map(f64::from_le_bytes).collect();
            columns.push((column.id, ColumnValues::from(Values::F64(values))));
        }
        let set = RowSet { time, columns, ..RowSet::default() };
        Ok(Self { key: SeriesKey::new("X", frame)?, rows: Rows { columns: schema.columns, set } })
    }

    fn write(&self, store: &Store, schema: &Schema) -> Result<()> {
        let all = &self.rows;
        for start in (0..all.len()).step_by(BATCH) {
            let rows = start..(start + BATCH).min(all.len());
            let mut transaction = store.begin();
            transaction.create_series(&self.key, schema.clone())?;
            let batch = Batch::new(all.time()[rows.clone()].to_vec());
            let column = |batch: Batch, name: &str| {
                let values = all.f64(name).expect("a column of doubles");
                batch.with(name, Values::F64(values[rows.clone()].to_vec()))
            };
            let batch = all.columns.iter().fold(batch, |batch, known| column(batch, &known.name));
            transaction.append(&self.key, batch)?;
            transaction.commit()?;
        }
        Ok(())
    }
}

/// A sequence of doubles.
fn ticks(names: [&str; 2]) -> Result<Schema> {
    Ok(names
        .into_iter()
        .fold(SchemaBuilder::sequence(), |b, name| b.column(name, ColumnType::F64))
        .build()?)
}

/// Seconds that this process was on a processor.
fn processor() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// The number of values that are there, and their sum.
fn check(column: &ColumnValues) -> (usize, f64) {
    let Values::F64(values) = &column.values else { return (0, 0.0) };
    let there = (0..values.len()).filter(|row| !column.is_null(*row));
    there.fold((0, 0.0), |(count, sum), row| (count + 1, sum + values[row]))
}

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).ok_or("answers DIRECTORY")?;
    let directory = Path::new(&directory);
    let (of_trades, of_quotes) = (ticks(["price", "quantity"])?, ticks(["bid", "ask"])?);
    let trades = Table::load(directory, "trades", "trades", of_trades.clone())?;
    let quotes = Table::load(directory, "quotes", "quotes", of_quotes.clone())?;
    let minutes = Table::load(directory, "bars", "1m", bars_of_doubles())?;
    let place = tempfile::tempdir()?;
    let store = Store::create(place.path().join("store"), Options::default())?;
    trades.write(&store, &of_trades)?;
    quotes.write(&store, &of_quotes)?;
    minutes.write(&store, &bars_of_doubles())?;
    store.seal()?;
    store.compact()?;
    let view = store.view();
    // Buffers of the caller, used again.
    let mut joiner = Joiner::default();
    let mut columns = [(); 2].map(|()| ColumnValues::empty(ColumnType::F64));
    let hot = Hot::make(place.path())?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (start, cpu) = (Instant::now(), processor());
        let (count, sum) = match line.as_str() {
            "join memory" => {
                let from: Vec<_> = quotes.rows.set.columns.iter().map(|(_, column)| column).collect();
                AsOfJoin::default().values(trades.rows.time(), quotes.rows.time(), &from, &mut columns)?;
                answer(start, cpu, || check(&columns[0]))
            }
            "join store" => {
                let all = i64::MIN..i64::MAX;
                let sides = ((&trades.key, None), (&quotes.key, None));
                let rows = joiner.join(&view, sides.0, sides.1, all, &AsOfJoin::default())?;
                answer(start, cpu, || rows.column("bid").map(check).unwrap_or_default())
            }
            "resample memory" => {
                let rule = Rule::Time(Timeframe::H1);
                let mut resampler = Resampler::new(minutes.key.frame(), &bars_of_doubles(), rule, None)?;
                resampler.push(&minutes.rows)?;
                let made = resampler.finish(Some(i64::MAX - 1), false);
                answer(start, cpu, || made.rows.column("close").map(check).unwrap_or_default())
            }
            "resample store" => {
                let how = Resample { until_ns: Some(i64::MAX - 1), ..Resample::to(Timeframe::H1) };
                let made = resample(&view, &minutes.key, i64::MIN..i64::MAX, &how)?;
                answer(start, cpu, || made.rows.column("close").map(check).unwrap_or_default())
            }
            "latest tapestore" => {
                let closes = |picks: &[usize]| {
                    let close = |pick: &usize| hot.view.latest_row(&hot.keys[*pick]).ok()??.f64("close");
                    picks.iter().filter_map(close).sum()
                };
                hot.ask(closes)
            }
            "latest map" => {
                let closes = |picks: &[usize]| picks.iter().map(|pick| hot.map[&hot.keys[*pick]].1).sum();
                hot.ask(closes)
            }
            other => return Err(format!("no question {other}").into()),
        };
        println!(", \"count\": {count}, \"sum\": {sum:?}}}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// The last bars of many series, in a store and in a map.
struct Hot {
    keys: Vec<SeriesKey>,
    view: View,
    /// Times and closes.
    map: HashMap<SeriesKey, (i64, f64)>,
    /// Which ones are asked for, in an order that no cache knows.
    picks: Vec<usize>,
}

impl Hot {
    const SERIES: usize = 10_000;
    const QUESTIONS: usize = 100_000;

    fn make(place: &Path) -> Result<Self> {
        let store = Store::create(place.join("hot"), Options::default())?;
        let keys = (0..Self::SERIES).map(|number| SeriesKey::new(&format!("{number:05}.X"), "1m"));
        let keys = keys.collect::<tapestore::Result<Vec<_>>>()?;
        let (mut map, mut transaction) = (HashMap::new(), store.begin());
        for (number, key) in keys.iter().enumerate() {
            let close = 100.0 + number as f64 / 64.0;
            transaction.create_series(key, bars_of_doubles())?;
            let with = |bar: Batch, column: &Column| bar.with(&column.name, Values::F64(vec![close]));
            let bar = bars_of_doubles().columns.iter().fold(Batch::new(vec![0]), with);
            transaction.append(key, bar)?;
            map.insert(key.clone(), (0, close));
        }
        transaction.commit()?;
        store.seal()?;
        let view = store.view();
        view.latest_rows(|_| true)?;
        // A step that has no divisor in common with the number of series comes by all of them.
        let picks = (0..Self::QUESTIONS).map(|number| number * 7919 % Self::SERIES).collect();
        Ok(Self { keys, view, map, picks })
    }

    /// Seconds of one question out of all, and the sum of the closes.
    fn ask(&self, closes: impl Fn(&[usize]) -> f64) -> (usize, f64) {
        let (start, cpu) = (Instant::now(), processor());
        let sum = closes(&self.picks);
        let each = |seconds: f64| seconds / self.picks.len() as f64;
        let (wall, cpu) = (each(start.elapsed().as_secs_f64()), each(processor() - cpu));
        print!("{{\"wall\": {wall:?}, \"cpu\": {cpu:?}");
        (self.picks.len(), sum)
    }
}

/// Stops the clocks, then looks at what came out.
fn answer(start: Instant, cpu: f64, check: impl FnOnce() -> (usize, f64)) -> (usize, f64) {
    let (wall, cpu) = (start.elapsed().as_secs_f64(), processor() - cpu);
    print!("{{\"wall\": {wall:?}, \"cpu\": {cpu:?}");
    check()
}

/// The standard columns of bars that the file has.
fn bars_of_doubles() -> Schema {
    let mut schema = bars();
    schema
        .columns
        .retain(|column| ["open", "high", "low", "close", "volume"].contains(&column.name.as_str()));
    schema
}
