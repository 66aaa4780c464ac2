//! The makers of golden stores: each shows a part of the format in few bytes.

use std::sync::Arc;

use tapestore::io::Storage;
use tapestore::schema::{SchemaBuilder, bars, bars_with};
use tapestore::{
    AsOf, Batch, ColumnType, ColumnValues, Options, Result, RunVec, Schema, SeriesKey, Store, Tier,
    Timeframe, Transaction, Values, flags,
};

use crate::storage::Clocked;
use crate::values::{Manner, Nulls, Random, column};

/// A minute, in nanoseconds.
pub(crate) const MINUTE: i64 = 60_000_000_000;
/// 2024-03-01T00:00:00 UTC.
pub(crate) const T0: i64 = 1_709_251_200_000_000_000;

/// A maker: fills a store and leaves its files.
pub type Maker = fn() -> Result<Vec<(String, Vec<u8>)>>;

/// Every store that is whole, with what it shows.
pub const STORES: [(&str, &str, Maker); 16] = [
    ("empty", "no commit at all", empty),
    (
        "bars",
        "bars on the grid and off it, gaps, absences, months and weeks; sealed, compacted, and in logs",
        bars_store,
    ),
    ("types-dense", "every type with nulls, every kind of values, columns added later; sealed", types_dense),
    ("types-hot", "the same in the hot tier", types_hot),
    ("types-log", "the same in a log", types_log),
    ("types-cold", "the same in the cold tier, and bars: models and coded blocks", types_cold),
    ("sequences", "plain and dedup sequences, sources, flags; layers over layers", sequences),
    ("sides", "quotes of one side each, in turn: differences from two rows before, packed and coded", sides),
    (
        "adjusted",
        "adjusted prices: decimals with factors, alone and in groups, packed and coded; compacted",
        adjusted,
    ),
    (
        "lanes",
        "coded blocks in lanes, with and without memory: bars, quotes, trades whose venues have a model; compacted",
        lanes,
    ),
    (
        "digits",
        "prices of eight places among cents: further digits of groups, packed and coded, among exceptions; compacted",
        digits,
    ),
    (
        "singles",
        "prices that a source kept as singles and adjusted: groups by the prices that were paid, packed and coded, among exceptions; compacted",
        singles,
    ),
    ("versions", "upserts, deletes, drops, another key, rollback, snapshots; nothing compacted", versions),
    ("compacted", "the same, compacted: history", compacted),
    ("pruned", "the same, pruned: a floor and snapshots", pruned),
    ("logs", "a chain of four logs, no segment", logs),
];

/// A store in the making.
pub(crate) struct Making {
    pub(crate) storage: Arc<Clocked>,
    pub(crate) store: Store,
    pub(crate) options: Options,
    pub(crate) random: Random,
}

impl Making {
    /// An empty store.
    pub(crate) fn new(seed: u64, tier: Tier) -> Result<Self> {
        let storage = Clocked::new();
        let options =
            Options { background: false, tier, young_segments: 100, reserve_bytes: 0, ..Options::default() };
        let store = Store::create_on(storage.clone(), options.clone())?;
        Ok(Self { storage, store, options, random: Random(seed) })
    }

    /// One commit.
    pub(crate) fn commit(
        &mut self,
        source: &str,
        message: &str,
        stage: impl FnOnce(&mut Transaction, &mut Random) -> Result<()>,
    ) -> Result<u64> {
        self.storage.pass(MINUTE);
        let mut transaction = self.store.begin();
        transaction.source(source).message(message);
        stage(&mut transaction, &mut self.random)?;
        Ok(transaction.commit()?.version)
    }

    /// Opens it again: a new log.
    pub(crate) fn reopen(self) -> Result<Self> {
        let Self { storage, store, options, random } = self;
        drop(store);
        let store = Store::open_on(storage.clone() as Arc<dyn Storage>, options.clone())?;
        Ok(Self { storage, store, options, random })
    }

    /// The files.
    pub(crate) fn finish(self) -> Vec<(String, Vec<u8>)> {
        drop(self.store);
        self.storage.files()
    }
}

/// A name that is good.
pub(crate) fn key(instrument: &str, frame: &str) -> SeriesKey {
    SeriesKey::new(instrument, frame).expect("a good name")
}

/// A schema that is good.
pub(crate) fn schema(builder: SchemaBuilder) -> Schema {
    builder.build().expect("a good schema")
}

/// Bars with prices of two places at these times.
pub(crate) fn prices(random: &mut Random, times: Vec<i64>) -> Batch {
    let columns = price_columns(random, times.len());
    bars_at(times, columns)
}

/// Open, high, low, close and volume.
fn price_columns(random: &mut Random, count: usize) -> [Vec<f64>; 5] {
    let (mut open, mut high, mut low, mut close, mut volume) = (vec![], vec![], vec![], vec![], vec![]);
    let mut last = 4_200_000;
    for _ in 0..count {
        let first = last + random.below(7) - 3;
        last = first + random.below(201) - 100;
        let top = first.max(last) + random.below(40);
        let bottom = first.min(last) - random.below(40);
        for (column, price) in [(&mut open, first), (&mut high, top), (&mut low, bottom), (&mut close, last)]
        {
            column.push(price as f64 / 100.0);
        }
        volume.push(random.below(9_000_000) as f64 / 100_000.0);
    }
    [open, high, low, close, volume]
}

fn bars_at(times: Vec<i64>, [open, high, low, close, volume]: [Vec<f64>; 5]) -> Batch {
    Batch::new(times)
        .with("open", Values::F64(open))
        .with("high", Values::F64(high))
        .with("low", Values::F64(low))
        .with("close", Values::F64(close))
        .with("volume", Values::F64(volume))
}

fn empty() -> Result<Vec<(String, Vec<u8>)>> {
    Ok(Making::new(1, Tier::Dense)?.finish())
}

/// Times of minutes.
pub(crate) fn minutes(range: std::ops::Range<i64>) -> Vec<i64> {
    range.map(|minute| T0 + minute * MINUTE).collect()
}

/// Starts of slots of a timeframe.
pub(crate) fn slots(timeframe: Timeframe, range: impl Iterator<Item = i64>) -> Vec<i64> {
    range.map(|slot| timeframe.slot_start(slot)).collect()
}

fn bars_store() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(2, Tier::Dense)?;
    let (minute, off) = (key("BTCUSDT.BINANCE", "1m"), key("ODD.GRID", "5m"));
    let (month, week) = (key("SPX", "1mo"), key("SPX", "1w"));
    making.commit("binance", "history with holes", |transaction, random| {
        transaction.create_series(&minute, bars_with(&["trades", "open_interest"])?)?;
        let times: Vec<i64> = minutes(0..1400)
            .into_iter()
            .filter(|time| !(100..130).contains(&((time - T0) / MINUTE)))
            .collect();
        let count = times.len();
        let trades = column(random, ColumnType::I64, Manner::Outliers, Nulls::Some, count);
        let interest = column(random, ColumnType::F64, Manner::Mixed, Nulls::Block, count);
        let batch = prices(random, times).with("trades", trades).with("open_interest", interest);
        transaction.append(&minute, batch)
    })?;
    making.commit("exchange", "long frames", |transaction, random| {
        for key in [&month, &week, &off] {
            transaction.create_series(key, bars())?;
        }
        let months = slots(Timeframe::Mo1, (-30..60).filter(|slot| slot % 17 != 0));
        transaction.append(&month, prices(random, months))?;
        let weeks = slots(Timeframe::W1, (-10..300).filter(|slot| slot % 41 != 0));
        transaction.append(&week, prices(random, weeks))?;
        let odd =
            (0..300).filter(|bar| bar % 50 != 7).map(|bar| T0 + bar * 5 * MINUTE + bar % 3 * 11_000_000_000);
        transaction.append(&off, prices(random, odd.collect()))
    })?;
    making.store.seal()?;
    making.commit("binance", "corrections", |transaction, random| {
        let fixed = prices(random, minutes(95..110)).with_flags(RunVec::constant(flags::REPAIRED, 15));
        transaction.upsert(&minute, fixed)?;
        transaction.delete_range(&minute, T0 + 500 * MINUTE..T0 + 520 * MINUTE)?;
        transaction.delete_range(&off, T0 + 42 * MINUTE..T0 + 57 * MINUTE + 5)
    })?;
    making.commit("binance", "absences", |transaction, _| {
        transaction.confirm_absent(&minute, T0 + 500 * MINUTE..T0 + 510 * MINUTE)?;
        transaction.confirm_absent(&minute, T0 + 115 * MINUTE..T0 + 125 * MINUTE + 1)?;
        transaction.confirm_absent(&month, i64::MIN..Timeframe::Mo1.slot_start(0))?;
        transaction.withdraw_absence(&minute, T0 + 119 * MINUTE..T0 + 121 * MINUTE)
    })?;
    making.store.seal()?;
    making.store.compact()?;
    making.commit("binance", "the next day", |transaction, random| {
        transaction.append(&minute, prices(random, minutes(1405..1500)))?;
        transaction.withdraw_absence(&minute, T0 + 505 * MINUTE..T0 + 506 * MINUTE)
    })?;
    making.commit("exchange", "odd ones again", |transaction, random| {
        transaction.delete_range(&off, T0 + 1000 * MINUTE..T0 + 1011 * MINUTE)?;
        transaction.upsert(&off, prices(random, vec![T0 + 1005 * MINUTE + 7, T0 + 1502 * MINUTE]))
    })?;
    Ok(making.finish())
}

/// One series for each type, one column for each manner, then rows with nulls and columns added later.
pub(crate) fn types(making: &mut Making, name_of: &str, rows: usize) -> Result<()> {
    let name = |manner: Manner| format!("{manner:?}").to_lowercase();
    for kind in ColumnType::ALL {
        let key = key(&format!("{name_of}.{}", kind.name().to_uppercase()), "table");
        let mut builder = SchemaBuilder::unique();
        for manner in Manner::ALL {
            builder = builder.column(&name(manner), kind).describe("values of one manner, without nulls");
        }
        for nulls in ["some", "block", "all"] {
            builder = builder.nullable(nulls, kind);
        }
        let times = |random: &mut Random, from: i64, count: usize| -> Vec<i64> {
            let mut time = T0 + from;
            (0..count)
                .map(|_| {
                    time += 1 + random.below(2_000_000_000);
                    time
                })
                .collect()
        };
        let batch = |random: &mut Random, from: i64, count: usize| {
            let mut batch = Batch::new(times(random, from, count));
            for manner in Manner::ALL {
                batch = batch.with(&name(manner), column(random, kind, manner, Nulls::None, count));
            }
            let second = [Manner::Mixed, Manner::Few][count % 2];
            batch
                .with("some", column(random, kind, Manner::Strange, Nulls::Some, count))
                .with("block", column(random, kind, second, Nulls::Block, count))
                .with("all", column(random, kind, Manner::Constant, Nulls::All, count))
        };
        making.commit("maker", "values", |transaction, random| {
            transaction.create_series(&key, schema(builder))?;
            transaction.append(&key, batch(random, 0, rows))
        })?;
        making.commit("maker", "a column more", |transaction, random| {
            transaction.add_column(&key, "later", kind, "added later")?;
            let more = batch(random, 1 << 50, rows / 5);
            let later = column(random, kind, Manner::Residues, Nulls::None, rows / 5);
            transaction.append(&key, more.with("later", later))
        })?;
    }
    Ok(())
}

fn types_dense() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(3, Tier::Dense)?;
    types(&mut making, "TYPES", 150)?;
    making.store.seal()?;
    Ok(making.finish())
}

fn types_hot() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(4, Tier::Hot)?;
    types(&mut making, "TYPES", 60)?;
    making.store.seal()?;
    let key = key("HOT", "1m");
    making.commit("maker", "bars", |transaction, random| {
        transaction.create_series(&key, bars())?;
        transaction.append(&key, prices(random, minutes(0..200)))
    })?;
    making.store.seal()?;
    Ok(making.finish())
}

fn types_cold() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(9, Tier::Cold)?;
    types(&mut making, "TYPES", 60)?;
    making.store.seal()?;
    let key = key("COLD", "1m");
    making.commit("maker", "bars", |transaction, random| {
        transaction.create_series(&key, bars())?;
        transaction.append(&key, prices(random, minutes(0..1100)))
    })?;
    making.store.seal()?;
    Ok(making.finish())
}

fn types_log() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(5, Tier::Dense)?;
    types(&mut making, "TYPES", 40)?;
    Ok(making.finish())
}

/// Rows of trades: several a time, some twice.
pub(crate) fn trades(random: &mut Random, from: i64, count: usize) -> Batch {
    let mut time = T0 + from;
    let mut times = Vec::new();
    for _ in 0..count {
        time += random.below(3) * 1_000_000;
        times.push(time);
    }
    let ids = (0..count).map(|_| random.below(30)).collect();
    Batch::new(times)
        .with("id", Values::I64(ids))
        .with("price", column(random, ColumnType::F64, Manner::Decimals, Nulls::None, count))
        .with("side", column(random, ColumnType::String, Manner::Few, Nulls::Some, count))
        .with_flags((0..count).map(|row| (row / 7 % 5) as u16 * 3).collect())
}

/// The schema of `trades`.
pub(crate) fn trades_schema(dedup: &[&str]) -> Schema {
    schema(
        SchemaBuilder::sequence()
            .column("id", ColumnType::I64)
            .column("price", ColumnType::F64)
            .nullable("side", ColumnType::String)
            .dedup(dedup),
    )
}

fn sequences() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(6, Tier::Dense)?;
    let (plain, by_id, by_two) = (key("PLAIN", "trades"), key("BY.ID", "trades"), key("BY.TWO", "quotes"));
    let many = key("MANY.ROWS", "trades");
    making.commit("feed a", "first", |transaction, random| {
        transaction.create_series(&plain, trades_schema(&[]))?;
        transaction.create_series(&by_id, trades_schema(&["id"]))?;
        transaction.create_series(&by_two, trades_schema(&["id", "side"]))?;
        transaction.append(&plain, trades(random, 0, 120))?;
        transaction.upsert(&by_id, trades(random, 0, 120))?;
        transaction.source("feed b").upsert(&by_two, trades(random, 0, 120))
    })?;
    for round in 0..3 {
        making.commit("feed b", "again, over what is there", |transaction, random| {
            transaction.merge(&plain, trades(random, round * 40_000_000, 60))?;
            transaction.upsert(&by_id, trades(random, round * 40_000_000, 60))?;
            transaction.source("feed c").upsert(&by_two, trades(random, round * 30_000_000, 60))?;
            transaction.delete_range(&by_id, T0 + 20_000_000..T0 + 22_000_001)
        })?;
        if round == 1 {
            making.store.seal()?;
        }
    }
    making.commit("feed a", "more than one block of rows", |transaction, random| {
        transaction.create_series(&many, trades_schema(&[]))?;
        transaction.append(&many, trades(random, 0, 1500))
    })?;
    making.store.seal()?;
    making.commit("feed a", "the tail", |transaction, random| {
        transaction.upsert(&by_id, trades(random, 10_000_000, 40))?;
        transaction.append(&plain, trades(random, 10_000_000, 40))
    })?;
    Ok(making.finish())
}

/// Quotes of one side each, bids and asks in turn, a few out of turn: nothing is stated of the other side.
pub(crate) fn quotes(random: &mut Random, from: i64, count: usize) -> Batch {
    let mut time = T0 + from;
    let (mut times, mut venues) = (Vec::new(), Vec::new());
    let mut prices = [vec![], vec![]];
    let mut sizes = [vec![], vec![]];
    let (mut state, mut side) = ([(49_180, 300), (49_210, 1200)], 0);
    for row in 0..count {
        side = if row % 300 == 299 { side } else { 1 - side };
        if random.below(12) == 0 {
            state[side].0 += random.below(7) - 3;
        }
        if random.below(5) == 0 {
            state[side].1 = 100 * (1 + random.below(40));
        }
        time += random.below(3) / 2 * 1_000_000;
        times.push(time);
        venues.push(if random.below(9) == 0 { "X" } else { ["P", "Q"][side] });
        for (place, (price, size)) in state.iter().enumerate() {
            prices[place].push(if place == side { *price as f64 / 100.0 } else { 0.0 });
            sizes[place].push(if place == side { *size } else { 0 });
        }
    }
    let [bid, ask] = prices;
    let [bid_size, ask_size] = sizes;
    Batch::new(times)
        .with("bid", Values::F64(bid))
        .with("bid_size", Values::I64(bid_size))
        .with("ask", Values::F64(ask))
        .with("ask_size", Values::I64(ask_size))
        .with("venue", Values::Str(venues.into_iter().collect()))
}

/// The schema of `quotes`.
pub(crate) fn quotes_schema() -> Schema {
    schema(
        SchemaBuilder::sequence()
            .column("bid", ColumnType::F64)
            .column("bid_size", ColumnType::I64)
            .column("ask", ColumnType::F64)
            .column("ask_size", ColumnType::I64)
            .column("venue", ColumnType::String),
    )
}

fn sides() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(10, Tier::Dense)?;
    let (dense, cold, minute) = (key("DENSE", "quotes"), key("COLD", "quotes"), key("DENSE", "1m"));
    making.commit("feed", "more than a block, and bars beside it", |transaction, random| {
        transaction.create_series(&dense, quotes_schema())?;
        transaction.create_series(&minute, bars())?;
        transaction.append(&dense, quotes(random, 0, 1101))?;
        transaction.append(&minute, prices(random, minutes(0..90)))
    })?;
    making.store.seal()?;
    making.options.tier = Tier::Cold;
    making = making.reopen()?;
    making.commit("feed", "the same, cold", |transaction, random| {
        transaction.create_series(&cold, quotes_schema())?;
        transaction.append(&cold, quotes(random, 0, 1100))
    })?;
    making.store.seal()?;
    making.commit("feed", "in a log", |transaction, random| {
        transaction.append(&dense, quotes(random, 1 << 40, 9))?;
        transaction.delete_range(&cold, T0 + 4_000_000..T0 + 9_000_001)
    })?;
    Ok(making.finish())
}

/// Times of days.
pub(crate) fn days(range: std::ops::Range<i64>) -> Vec<i64> {
    range.map(|day| (20_000 + day) * 1440 * MINUTE).collect()
}

/// Columns of bars that were paid in cents and adjusted for a dividend every so many rows, the last ones for none.
pub(crate) fn adjusted_columns(random: &mut Random, count: usize, every: usize) -> [Vec<f64>; 5] {
    let mut columns = price_columns(random, count);
    for (row, value) in columns[..4].iter_mut().flat_map(|column| column.iter_mut().enumerate()) {
        let dividends = (count - 1 - row) / every;
        // The source multiplied in another order: some products are a bit beside.
        let cents = (*value * 100.0).round() - 4_150_000.0;
        *value = cents * (1.0 + dividends as f64 * 0.012_345_678_9) / 100.0;
    }
    columns
}

/// Bars of days with such prices.
pub(crate) fn adjusted_prices(random: &mut Random, range: std::ops::Range<i64>, every: usize) -> Batch {
    let times = days(range);
    let columns = adjusted_columns(random, times.len(), every);
    bars_at(times, columns)
}

fn adjusted() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(11, Tier::Dense)?;
    let (dense, cold, alone) = (key("DENSE", "1d"), key("COLD", "1d"), key("ALONE", "table"));
    let one = || schema(SchemaBuilder::unique().nullable("close", ColumnType::F64));
    making.commit("feed", "more than a block, and a column of its own", |transaction, random| {
        transaction.create_series(&dense, bars())?;
        transaction.create_series(&alone, one())?;
        transaction.append(&dense, adjusted_prices(random, 0..1100, 250))?;
        let [.., close, _] = adjusted_columns(random, 1030, 300);
        let nulls: Vec<bool> = (0..1030).map(|row| row % 97 == 5).collect();
        let close = close.into_iter().zip(&nulls).map(|(price, null)| if *null { 0.0 } else { price });
        let close = ColumnValues { values: Values::F64(close.collect()), nulls: Some(nulls) };
        transaction.append(&alone, Batch::new(days(0..1030)).with("close", close))
    })?;
    making.store.seal()?;
    making.commit("feed", "a correction", |transaction, random| {
        transaction.upsert(&dense, adjusted_prices(random, 1090..1120, 100))
    })?;
    making.store.seal()?;
    making.store.compact()?;
    making.options.tier = Tier::Cold;
    making = making.reopen()?;
    making.commit("feed", "the same, cold", |transaction, random| {
        transaction.create_series(&cold, bars())?;
        transaction.append(&cold, adjusted_prices(random, 0..1500, 400))
    })?;
    making.store.seal()?;
    making.commit("feed", "in a log", |transaction, random| {
        transaction.append(&dense, adjusted_prices(random, 1120..1130, 100))
    })?;
    Ok(making.finish())
}

/// Columns of bars of whole cents, of which one price of so many has eight places, as have those that equal it; some are
/// no decimals.
fn fine_columns(random: &mut Random, count: usize, one_in: i64) -> [Vec<f64>; 5] {
    let mut columns = price_columns(random, count);
    let mut before = columns[0][0];
    for row in 0..count {
        let fine = |random: &mut Random, price: f64| match random.below(one_in) {
            0 => ((price * 1e8).round() + 1.0 + random.below(999_999) as f64) / 1e8,
            _ if random.below(300) == 0 => price + 1.0 / 3.0,
            _ => price,
        };
        let close = fine(random, columns[3][row]);
        let open = match random.below(4) {
            0 => before,
            1 => close,
            _ => fine(random, columns[0][row]),
        };
        let high = if random.below(2) == 0 { open.max(close) } else { fine(random, columns[1][row]) };
        let low = if random.below(2) == 0 { open.min(close) } else { fine(random, columns[2][row]) };
        before = close;
        [open, high, low, close]
            .into_iter()
            .zip(&mut columns)
            .for_each(|(price, column)| column[row] = price);
    }
    columns
}

/// Bars with such prices.
pub(crate) fn fine_prices(random: &mut Random, times: Vec<i64>, one_in: i64) -> Batch {
    let columns = fine_columns(random, times.len(), one_in);
    bars_at(times, columns)
}

/// Bars of which a number says what is among them: more than a block, dense, with a correction; the same, cold; and some in a log.
fn in_tiers(
    seed: u64,
    times: fn(std::ops::Range<i64>) -> Vec<i64>,
    timeframe: &str,
    corrected: std::ops::Range<i64>,
    [dense_with, corrected_with, cold_with, logged_with]: [i64; 4],
    batch: fn(&mut Random, Vec<i64>, i64) -> Batch,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(seed, Tier::Dense)?;
    let (dense, cold) = (key("DENSE", timeframe), key("COLD", timeframe));
    making.commit("feed", "more than a block", |transaction, random| {
        transaction.create_series(&dense, bars())?;
        transaction.append(&dense, batch(random, times(0..1100), dense_with))
    })?;
    making.store.seal()?;
    making.commit("feed", "a correction", |transaction, random| {
        transaction.upsert(&dense, batch(random, times(corrected), corrected_with))
    })?;
    making.store.seal()?;
    making.store.compact()?;
    making.options.tier = Tier::Cold;
    making = making.reopen()?;
    making.commit("feed", "the same, cold", |transaction, random| {
        transaction.create_series(&cold, bars())?;
        transaction.append(&cold, batch(random, times(0..1500), cold_with))
    })?;
    making.store.seal()?;
    making.commit("feed", "in a log", |transaction, random| {
        transaction.append(&dense, batch(random, times(1100..1110), logged_with))
    })?;
    Ok(making.finish())
}

fn digits() -> Result<Vec<(String, Vec<u8>)>> {
    in_tiers(14, minutes, "1m", 1020..1060, [9, 5, 12, 4], fine_prices)
}

/// Columns of bars in cents, as a source that keeps singles adjusts them for a dividend every so many rows: close to another
/// single, the others by what that is of close. Some values are none of these.
fn single_columns(random: &mut Random, count: usize, every: i64) -> [Vec<f64>; 5] {
    let [mut open, mut high, mut low, mut close, volume] = price_columns(random, count);
    let mut strange = |value: f64| if random.below(400) == 0 { value + 1.0 / 3.0 } else { value };
    // Prices of about 500, so that singles hold a few digits beyond the cents.
    let paid = |price: f64| f64::from((((price * 100.0).round() - 4_150_000.0) / 100.0) as f32);
    for (row, close) in close.iter_mut().enumerate() {
        let dividends = (count - 1 - row) as i64 / every;
        let before = paid(*close);
        let adjusted = f64::from((before * (1.0 - dividends as f64 * 0.012_345_678_9)) as f32);
        for column in [&mut open, &mut high, &mut low] {
            column[row] = strange(paid(column[row]) * (adjusted / before));
        }
        *close = strange(adjusted);
    }
    [open, high, low, close, volume]
}

/// Bars of days with such prices.
pub(crate) fn single_prices(random: &mut Random, times: Vec<i64>, every: i64) -> Batch {
    let columns = single_columns(random, times.len(), every);
    bars_at(times, columns)
}

fn singles() -> Result<Vec<(String, Vec<u8>)>> {
    in_tiers(15, days, "1d", 1060..1100, [250, 100, 400, 100], single_prices)
}

/// A history in which everything happens that can happen to series.
fn history(making: &mut Making, seal: bool) -> Result<()> {
    let (a, b) = (key("A", "1m"), key("B", "1m"));
    let (table, brief) = (key("T", "table"), key("BRIEF", "1h"));
    let wide =
        || schema(SchemaBuilder::unique().column("a", ColumnType::I64).nullable("b", ColumnType::String));
    let values = |values: &[i64]| {
        Batch::new((0..values.len()).map(|row| T0 + row as i64).collect())
            .with("a", Values::I64(values.to_vec()))
    };
    let close = |making: &mut Making| if seal { making.store.seal().map(|_| ()) } else { Ok(()) };
    making.commit("one", "two series at once", |transaction, random| {
        transaction.create_series(&a, bars())?;
        transaction.create_series(&b, bars())?;
        transaction.append(&a, prices(random, minutes(0..60)))?;
        transaction.append(&b, prices(random, minutes(30..90)))
    })?;
    making.commit("two", "a table", |transaction, _| {
        transaction.create_series(&table, wide())?;
        transaction.append(&table, values(&[1, 2, 3]))
    })?;
    close(making)?;
    making.store.create_snapshot("before the corrections", None)?;
    making.commit("two", "corrections", |transaction, random| {
        transaction.upsert(&a, prices(random, minutes(10..20)))?;
        transaction.delete_range(&b, T0 + 40 * MINUTE..T0 + 50 * MINUTE)?;
        transaction.upsert(&table, values(&[1, 20]))
    })?;
    making.commit("one", "deleted and written in one commit", |transaction, random| {
        transaction.delete_range(&a, T0 + 5 * MINUTE..T0 + 15 * MINUTE)?;
        transaction.upsert(&a, prices(random, minutes(8..12)))?;
        transaction.create_series(&brief, bars())?;
        transaction.upsert(&brief, prices(random, slots(Timeframe::H1, 470_000..470_010)))
    })?;
    close(making)?;
    making.commit("one", "gone", |transaction, _| {
        transaction.confirm_absent(&brief, T0..T0 + 7200 * 1_000_000_000)?;
        transaction.drop_series(&brief)
    })?;
    making.commit("three", "the table again, as a sequence", |transaction, _| {
        transaction.drop_series(&table)?;
        let schema =
            schema(SchemaBuilder::sequence().column("a", ColumnType::I64).nullable("c", ColumnType::F32));
        transaction.create_series(&table, schema)?;
        let twice = Batch::new(vec![T0, T0, T0 + 1]).with("a", Values::I64(vec![7, 7, 8]));
        transaction.append(&table, twice.with("c", Values::F32(vec![0.5, 0.1, -0.0])))
    })?;
    close(making)?;
    making.storage.pass(MINUTE);
    making.store.rollback(&AsOf::Version(2))?;
    making.commit("four", "on top of the rollback", |transaction, random| {
        transaction.upsert(&a, prices(random, minutes(55..65)))?;
        transaction.create_series(&brief, bars())?;
        transaction.upsert(&brief, prices(random, slots(Timeframe::H1, 470_005..470_008)))
    })?;
    making.store.create_snapshot("späte Fassung", Some(&AsOf::Version(6)))?;
    making.store.create_snapshot("forgotten", None)?;
    making.store.drop_snapshot("forgotten")
}

/// Numbers of about as many bits as those before: a level that changes every 60 rows, and up to `spread` more.
fn levels(random: &mut Random, rows: usize, spread: i64) -> Vec<i64> {
    (0..rows as i64)
        .map(|row| {
            let level = 12 + 10 * (row / 60 % 2) + random.below(spread);
            (1 << level) + random.below(1 << level)
        })
        .collect()
}

/// Venues: mostly the one of the row before, or the one that follows it.
fn venues(random: &mut Random, rows: usize) -> ColumnValues {
    let names = ["ARCA", "BATS", "EDGX", "Nasdaq – Ω", ""];
    let mut at = 0;
    let values = (0..rows).map(|_| {
        at = (at + [0, 0, 0, 1, 1, 3][random.below(6) as usize]) % names.len();
        names[at]
    });
    let values = Values::Str(values.collect());
    ColumnValues {
        values,
        nulls: Some((0..rows).map(|row| row % 37 == 5 || (600..640).contains(&row)).collect()),
    }
}

fn lanes() -> Result<Vec<(String, Vec<u8>)>> {
    const ROWS: usize = 2060;
    let mut making = Making::new(13, Tier::Cold)?;
    let (minute, sides, ticks) = (key("LANES", "1m"), key("LANES", "quotes"), key("LANES", "trades"));
    making.commit("feed", "bars, quotes, and more than two blocks of ticks", |transaction, random| {
        transaction.create_series(&minute, bars())?;
        transaction.append(&minute, prices(random, minutes(0..1100)))?;
        transaction.create_series(&sides, quotes_schema())?;
        transaction.append(&sides, quotes(random, 0, 1100))?;
        let schema = SchemaBuilder::sequence()
            .column("narrow", ColumnType::I64)
            .column("wide", ColumnType::I64)
            .nullable("venue", ColumnType::String);
        transaction.create_series(&ticks, schema.build()?)?;
        let times = (0..ROWS as i64).map(|row| T0 + row / 3 * MINUTE + row % 3 * (row % 7)).collect();
        let batch = Batch::new(times)
            .with("narrow", Values::I64(levels(random, ROWS, 3)))
            .with("wide", Values::I64(levels(random, ROWS, 10)))
            .with("venue", venues(random, ROWS));
        transaction.append(&ticks, batch)
    })?;
    making.store.seal()?;
    making.commit("feed", "corrections: history", |transaction, random| {
        transaction.upsert(&minute, prices(random, minutes(1090..1105)))?;
        transaction.delete_range(&ticks, T0 + 100 * MINUTE..T0 + 110 * MINUTE)
    })?;
    making.store.seal()?;
    making.store.compact()?;
    making.commit("feed", "in a log", |transaction, random| {
        transaction.append(&minute, prices(random, minutes(1105..1110)))
    })?;
    Ok(making.finish())
}

fn versions() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(7, Tier::Dense)?;
    history(&mut making, true)?;
    Ok(making.finish())
}

fn compacted() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(7, Tier::Dense)?;
    history(&mut making, false)?;
    making.store.seal()?;
    making.store.compact()?;
    Ok(making.finish())
}

fn pruned() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(7, Tier::Dense)?;
    history(&mut making, true)?;
    making.store.prune(&AsOf::Version(7))?;
    Ok(making.finish())
}

fn logs() -> Result<Vec<(String, Vec<u8>)>> {
    let mut making = Making::new(8, Tier::Dense)?;
    let key = key("CHAIN", "1m");
    for round in 0..4 {
        if round > 0 {
            making = making.reopen()?;
        }
        for part in 0..2 {
            making.commit("writer", &format!("part {part} of opening {round}"), |transaction, random| {
                transaction.create_series(&key, bars())?;
                let first = round * 100 + part * 40;
                // More than one frame for the record.
                transaction.upsert(&key, prices(random, minutes(first..first + 30 + round * 70)))
            })?;
        }
    }
    Ok(making.finish())
}
