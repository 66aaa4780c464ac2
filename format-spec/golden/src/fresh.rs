//! A store made anew from a seed, in which everything of the format occurs. What is there does not depend on the seed;
//! values, counts, and the order in which things happen to series do.

use tapestore::schema::{SchemaBuilder, bars, bars_with};
use tapestore::{
    AsOf, Batch, ColumnType, Error, Result, RunVec, SeriesKey, Strings, Tier, Timeframe, Transaction, Values,
};

use crate::damage::StoreFiles;
use crate::stores::{
    MINUTE, Making, T0, adjusted_prices, days, fine_prices, key, minutes, prices, quotes, quotes_schema,
    schema, single_prices, slots, trades, trades_schema, types,
};
use crate::values::{Manner, Nulls, Random, column};

/// Makes the store and gives its files.
///
/// # Errors
/// Those of the engine.
pub fn make(seed: u64) -> Result<StoreFiles> {
    let mut making = Making::new(seed, Tier::Dense)?;
    // More than a block, so that blocks without a value occur.
    let rows = 1030 + making.random.below(300) as usize;
    types(&mut making, "DENSE", rows)?;
    fine(&mut making, "FINE.DENSE")?;
    singles(&mut making, "SINGLE.DENSE")?;
    making.store.seal()?;
    frames(&mut making)?;
    making.store.seal()?;
    sequences(&mut making)?;
    making.store.seal()?;
    long(&mut making)?;
    making.store.seal()?;
    turmoil(&mut making, "EARLY", 12)?;
    making.store.seal()?;
    making.store.compact()?;
    snapshots(&mut making)?;
    turmoil(&mut making, "MIDDLE", 10)?;
    making.store.seal()?;
    let newest = making.store.view().version();
    making.store.prune(&AsOf::Version(newest - 4))?;
    making.options.tier = Tier::Hot;
    making = making.reopen()?;
    let rows = 30 + making.random.below(100) as usize;
    types(&mut making, "HOT", rows)?;
    making.store.seal()?;
    making.options.tier = Tier::Cold;
    making = making.reopen()?;
    let rows = 600 + making.random.below(900) as usize;
    types(&mut making, "COLD", rows)?;
    adjusted(&mut making)?;
    fine(&mut making, "FINE.COIN")?;
    singles(&mut making, "SINGLE.SHARE")?;
    making.store.seal()?;
    making.options.tier = Tier::Dense;
    making = making.reopen()?;
    turmoil(&mut making, "LATE", 8)?;
    // A deletion of what lies in an older segment: its mark stays.
    making.commit("late", "a hole", |transaction, random| {
        let from = T0 + random.below(60_000) * MINUTE;
        transaction.delete_range(&key("LONG.RUN", "1m"), from..from + 90 * MINUTE)
    })?;
    making.store.seal()?;
    // From here on, everything stays in logs: two of them.
    types(&mut making, "LOG", 25)?;
    making = making.reopen()?;
    tail(&mut making)?;
    Ok(making.finish())
}

/// Bars of every timeframe, on the grid and off it.
fn frames(making: &mut Making) -> Result<()> {
    making.commit("exchange", "every timeframe", |transaction, random| {
        for timeframe in Timeframe::ALL {
            let key = key("FRAMES", timeframe.name());
            transaction.create_series(&key, bars())?;
            let hole = 2 + random.below(40);
            let count = 20 + random.below(200);
            let first = -random.below(count);
            let mut times = slots(timeframe, (first..first + count).filter(|slot| slot % hole != 1));
            if timeframe as u8 % 4 == 3 {
                // Not for months: their slots are of unequal length, but all longer than this.
                times.iter_mut().for_each(|time| *time += random.below(900_000_000));
            }
            transaction.append(&key, prices(random, times))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Trades, quotes, a book, and tables of every kind of key.
fn sequences(making: &mut Making) -> Result<()> {
    let keys = [
        (key("SEQ.PLAIN", "trades"), trades_schema(&[])),
        (key("SEQ.ID", "quotes"), trades_schema(&["id"])),
        (key("SEQ.TWO", "book"), trades_schema(&["id", "side"])),
    ];
    making.commit("feed a", "sequences", |transaction, random| {
        for (key, schema) in &keys {
            transaction.create_series(key, schema.clone())?;
            transaction.merge(key, trades(random, 0, 150))?;
        }
        let sides = key("SEQ.SIDES", "quotes");
        transaction.create_series(&sides, quotes_schema())?;
        let count = 700 + random.below(700) as usize;
        transaction.append(&sides, quotes(random, 0, count))
    })?;
    for round in 0..3 {
        making.commit("feed b", "over what is there", |transaction, random| {
            for (key, _) in &keys {
                let from = random.below(150) * 1_000_000;
                transaction.merge(key, trades(random, from, 70))?;
            }
            let from = T0 + random.below(100) * 1_000_000;
            transaction.delete_range(&keys[1].0, from..from + 9_000_001)
        })?;
        if round == 0 {
            making.store.seal()?;
        }
    }
    Ok(())
}

/// Bars of days that were adjusted for dividends.
fn adjusted(making: &mut Making) -> Result<()> {
    let key = key("ADJUSTED.SHARE", "1d");
    making.commit("vendor", "adjusted prices", |transaction, random| {
        transaction.create_series(&key, bars())?;
        let (every, days) = (100 + random.below(300) as usize, 1100 + random.below(900));
        transaction.append(&key, adjusted_prices(random, 0..days, every))
    })?;
    Ok(())
}

/// Bars as a source that keeps singles adjusts them.
fn singles(making: &mut Making, instrument: &str) -> Result<()> {
    let key = key(instrument, "1d");
    making.commit("vendor", "adjusted singles", |transaction, random| {
        transaction.create_series(&key, bars())?;
        let (every, count) = (100 + random.below(300), 1100 + random.below(900));
        transaction.append(&key, single_prices(random, days(0..count), every))
    })?;
    Ok(())
}

/// Bars of cents and of prices of eight places among them: so many that their further digits are worth being told.
fn fine(making: &mut Making, instrument: &str) -> Result<()> {
    let key = key(instrument, "1m");
    making.commit("exchange", "prices of eight places", |transaction, random| {
        transaction.create_series(&key, bars())?;
        let (one_in, count) = (5 + random.below(6), 1100 + random.below(900));
        transaction.append(&key, fine_prices(random, minutes(0..count), one_in))
    })?;
    Ok(())
}

/// Bars with optional columns in more rows than a chunk has.
fn long(making: &mut Making) -> Result<()> {
    let key = key("LONG.RUN", "1m");
    making.commit("exchange", "more rows than a chunk", |transaction, random| {
        transaction.create_series(&key, bars_with(&["trades", "open_interest"])?)?;
        let holes: Vec<i64> = (0..9).map(|_| random.below(66_000)).collect();
        let times: Vec<i64> = minutes(0..66_500 + random.below(2000))
            .into_iter()
            .filter(|time| holes.iter().all(|hole| !(*hole..*hole + 25).contains(&((time - T0) / MINUTE))))
            .collect();
        let count = times.len();
        // In the first block only, so that there are blocks without nulls, too.
        let mut trades = column(random, ColumnType::I64, Manner::Outliers, Nulls::Some, count);
        trades.nulls.iter_mut().flat_map(|nulls| &mut nulls[1000..]).for_each(|null| *null = false);
        let interest = column(random, ColumnType::F64, Manner::Mixed, Nulls::Block, count);
        let batch = prices(random, times).with("trades", trades).with("open_interest", interest);
        transaction.append(&key, batch)
    })?;
    Ok(())
}

fn snapshots(making: &mut Making) -> Result<()> {
    let newest = making.store.view().version();
    let earlier = 1 + making.random.below(newest as i64 - 1) as u64;
    making.store.create_snapshot("jetzt – now", None)?;
    making.store.create_snapshot("earlier", Some(&AsOf::Version(earlier)))?;
    making.store.create_snapshot("forgotten", None)?;
    making.store.drop_snapshot("forgotten")
}

/// A table whose rows have a number and a text.
fn table() -> SchemaBuilder {
    SchemaBuilder::unique().column("number", ColumnType::I64).nullable("text", ColumnType::String)
}

/// What happens to a table and a series of bars, at random: rows, deletions, absences, columns, drops, rollbacks; sealed
/// now and then.
fn turmoil(making: &mut Making, name: &str, rounds: usize) -> Result<()> {
    let (grid, other) = (key(name, "5m"), key(name, "table"));
    making.commit("one", "begins", |transaction, random| {
        transaction.create_series(&grid, bars())?;
        transaction.create_series(&other, schema(table()))?;
        let times = fives(random, 0, 300);
        transaction.append(&grid, prices(random, times))?;
        transaction.upsert(&other, numbers(random, 40))
    })?;
    let first = making.store.view().version();
    for round in 0..rounds {
        let source = ["one", "two", name][making.random.below(3) as usize];
        making.commit(source, &format!("round {round}, \"{name}\""), |transaction, random| {
            for _ in 0..=random.below(3) {
                change(transaction, random, &grid, &other, round)?;
            }
            Ok(())
        })?;
        if making.random.below(4) == 0 {
            making.store.seal()?;
        }
        if making.random.below(5) == 0 {
            let newest = making.store.view().version();
            let back = first + making.random.below((newest - first) as i64 + 1) as u64;
            making.storage.pass(MINUTE);
            match making.store.rollback(&AsOf::Version(back)) {
                // A version whose content is that of the newest one.
                Err(Error::Rejected { .. }) | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Opening times of bars of five minutes, some left out.
fn fives(random: &mut Random, from: i64, count: i64) -> Vec<i64> {
    (from..from + count).filter(|_| random.below(12) > 0).map(|bar| T0 + bar * 5 * MINUTE).collect()
}

fn numbers(random: &mut Random, count: i64) -> Batch {
    let mut time = T0 + random.below(50);
    let mut times = Vec::new();
    for _ in 0..count {
        time += 1 + random.below(4);
        times.push(time);
    }
    let count = times.len();
    Batch::new(times)
        .with("number", column(random, ColumnType::I64, Manner::Mixed, Nulls::None, count))
        .with("text", column(random, ColumnType::String, Manner::Strange, Nulls::Some, count))
}

/// One thing that may happen.
fn change(
    transaction: &mut Transaction,
    random: &mut Random,
    grid: &SeriesKey,
    other: &SeriesKey,
    round: usize,
) -> Result<()> {
    let from = random.below(320);
    let range = T0 + from * 5 * MINUTE..T0 + (from + 1 + random.below(30)) * 5 * MINUTE + random.below(2);
    match random.below(8) {
        0 | 1 => {
            let times = fives(random, from, 40);
            let count = times.len();
            let flags: RunVec<u16> = (0..count).map(|row| (row / 9 % 3) as u16 * 64).collect();
            transaction.upsert(grid, prices(random, times).with_flags(flags))
        }
        2 => transaction.delete_range(grid, range),
        3 => transaction.confirm_absent(grid, range),
        4 => transaction.withdraw_absence(grid, range),
        5 => {
            let count = 1 + random.below(30);
            transaction.upsert(other, numbers(random, count))
        }
        6 => transaction.delete_range(other, T0 + random.below(40)..T0 + 40 + random.below(60)),
        _ => {
            let name = format!("later {round} {}", random.below(1_000_000));
            let kind = ColumnType::ALL[random.below(7) as usize];
            transaction.add_column(other, &name, kind, "added on the way")
        }
    }
}

/// Every effect, in the last log: nothing of it is sealed.
fn tail(making: &mut Making) -> Result<()> {
    let (gone, again, moved) = (key("TAIL.GONE", "1h"), key("TAIL.AGAIN", "table"), key("TAIL", "1d"));
    making.commit("tail", "series that do not stay as they are", |transaction, random| {
        for key in [&gone, &moved] {
            transaction.create_series(key, bars())?;
        }
        transaction.upsert(&gone, prices(random, slots(Timeframe::H1, 0..30)))?;
        transaction.upsert(&moved, prices(random, slots(Timeframe::D1, -20..30)))?;
        transaction.create_series(&again, schema(table()))?;
        transaction.upsert(&again, numbers(random, 20))
    })?;
    making.commit("a source of its own", "marks", |transaction, _| {
        let day = |day: i64| Timeframe::D1.slot_start(day);
        transaction.delete_range(&moved, day(3)..day(9))?;
        transaction.confirm_absent(&moved, day(4)..day(8))?;
        transaction.withdraw_absence(&moved, day(5)..day(6) + 1)?;
        transaction.drop_series(&gone)
    })?;
    let before = making.store.view().version();
    making.commit("tail", "another key", |transaction, _| {
        transaction.drop_series(&again)?;
        let builder = SchemaBuilder::sequence().column("text", ColumnType::String);
        transaction.create_series(&again, schema(builder.dedup(&["text"])))?;
        let texts: Strings = ["a", "b", "a, \"c\""].into_iter().collect();
        transaction.upsert(&again, Batch::new(vec![T0, T0, T0 + 1]).with("text", Values::Str(texts)))
    })?;
    making.storage.pass(MINUTE);
    making.store.rollback(&AsOf::Version(before))?;
    making.commit("tail", "the last one", |transaction, random| {
        transaction.upsert(&moved, prices(random, slots(Timeframe::D1, 25..40)))
    })?;
    Ok(())
}
