//! The series that histories are about, and random rows for them.

use std::rc::Rc;

use tapestore::schema::{SchemaBuilder, bars, bars_with};
use tapestore::{Batch, ColumnType, ColumnValues, RunVec, Schema, SeriesKey, Strings, Timeframe, Values};

use crate::oracle::{Cell, NewRow, Series};
use crate::random::Random;

/// 2020-01-01, a Wednesday, in nanoseconds: the middle of the times of most rows.
const EPOCH: i64 = 18_262 * 86_400_000_000_000;

/// No row is written outside of the years 1780 to 2160, and no range ends there: months wander far.
pub(crate) const TIMES: std::ops::Range<i64> = -6_000_000_000_000_000_000..6_000_000_000_000_000_000;

/// Instrument and frame of every series that may exist.
const NAMES: [(&str, &str); 8] = [
    ("BTCUSDT.BINANCE", "1m"),
    ("0700.HK", "1h"),
    ("AAPL.NASDAQ", "1mo"),
    ("ÜBER.XETRA", "factors/all"),
    ("SPY.ARCA", "trades"),
    ("ETHUSD.BITFINEX", "trades"),
    ("BTCUSDT.BINANCE", "1w"),
    ("BTCUSDT.BINANCE", "changing"),
];

/// The keys of all series that may exist.
pub(crate) fn keys() -> Vec<SeriesKey> {
    NAMES.iter().map(|(instrument, frame)| SeriesKey::new(instrument, frame).expect("a valid name")).collect()
}

/// A schema for the series at `index` of [`keys`]. Some have only one, others differ from creation to creation.
pub(crate) fn schema(index: usize, random: &mut Random) -> Schema {
    match index {
        0 | 2 => bars(),
        1 | 6 => {
            let optional = ["trades", "quote_volume", "open_interest"];
            bars_with(&optional[..random.below(4) as usize]).expect("known columns")
        }
        3 => every_type(SchemaBuilder::unique()).build().expect("a valid schema"),
        4 => trades(&[]),
        5 => trades(if random.chance(50) { &["id"] } else { &["venue", "id"] }),
        _ => changing(random),
    }
}

fn trades(dedup: &[&str]) -> Schema {
    SchemaBuilder::sequence()
        .column("price", ColumnType::F64)
        .describe("per share")
        .column("size", ColumnType::I64)
        .column("id", ColumnType::I64)
        .nullable("venue", ColumnType::String)
        .dedup(dedup)
        .build()
        .expect("a valid schema")
}

fn every_type(mut builder: SchemaBuilder) -> SchemaBuilder {
    for kind in ColumnType::ALL {
        builder = builder.column(&format!("{}_always", kind.name()), kind);
        builder = builder.nullable(&format!("{}_maybe", kind.name()), kind);
    }
    builder
}

/// A few columns of random type and any key policy: drop and create again, and everything is different.
fn changing(random: &mut Random) -> Schema {
    let sequence = random.chance(50);
    let mut builder = if sequence { SchemaBuilder::sequence() } else { SchemaBuilder::unique() };
    let names = ["a", "b", "c"];
    for name in &names[..=random.below(3) as usize] {
        let kind = *random.pick(&ColumnType::ALL);
        builder = if random.chance(50) { builder.column(name, kind) } else { builder.nullable(name, kind) };
    }
    if sequence && random.chance(50) {
        builder = builder.dedup(&["a"]);
    }
    builder.build().expect("a valid schema")
}

/// A time near the others of the series: on the grid for bars (some one-hour bars stand beside it).
pub(crate) fn time(series: &Series, place: i64, random: &mut Random) -> i64 {
    match series.timeframe() {
        Some(frame) => {
            let start = frame.slot_start(frame.slot(EPOCH) + place);
            let beside = frame == Timeframe::H1 && random.chance(3);
            if beside { start + random.between(1, 3_600_000_000_000) } else { start }
        }
        // Two neighbours share a time, so that sequences have something to keep apart.
        None if series.is_unique() => EPOCH + place * 1_000_003,
        None => EPOCH + place / 3 * 1_000_003,
    }
}

/// The place of a time: the inverse of [`time`], roughly.
pub(crate) fn place(series: &Series, time: i64) -> i64 {
    match series.timeframe() {
        Some(frame) => frame.slot(time) - frame.slot(EPOCH),
        None if series.is_unique() => (time - EPOCH).div_euclid(1_000_003),
        None => (time - EPOCH).div_euclid(1_000_003) * 3,
    }
}

/// The places of the first and the last row, with some room around them.
fn extent(series: &Series) -> (i64, i64) {
    let ends = series.rows.first_key_value().zip(series.rows.last_key_value());
    ends.map_or((0, 60), |(first, last)| (place(series, first.0.0) - 20, place(series, last.0.0) + 20))
}

/// A place among the rows of the series, or near them.
pub(crate) fn some_place(series: &Series, random: &mut Random) -> i64 {
    let (low, high) = extent(series);
    random.between(low, high)
}

/// A random range of times, not empty, that meets the rows of most series.
pub(crate) fn range(series: &Series, random: &mut Random) -> std::ops::Range<i64> {
    let (low, high) = extent(series);
    let start = random.between(low, high);
    let longest = *random.pick(&[4, 40, high - low]);
    let length = random.between(0, longest + 1);
    let mut end = |place| time(series, place, random).clamp(TIMES.start, TIMES.end);
    let (mut from, mut to) = (end(start), end(start + length));
    if random.chance(20) {
        from += random.between(-5, 6);
        to += random.between(-5, 6);
    }
    from..to.max(from + 1)
}

/// A random value of a column. Few different ones, so that rows repeat.
fn cell(kind: ColumnType, nullable: bool, random: &mut Random) -> Cell {
    if nullable && random.chance(25) {
        return Cell::Null;
    }
    match kind {
        ColumnType::I64 | ColumnType::Timestamp => Cell::I64(match random.below(12) {
            0 => random.next() as i64,
            1 => *random.pick(&[i64::MIN, i64::MAX, 0, -1]),
            _ => random.between(0, 6),
        }),
        ColumnType::F64 => Cell::F64(float(random).to_bits()),
        ColumnType::F32 => Cell::F32(match random.below(10) {
            0 => random.next() as u32,
            _ => (random.between(0, 8) as f32 / 4.0).to_bits(),
        }),
        ColumnType::U8 => Cell::U8(random.below(4) as u8),
        ColumnType::Bool => Cell::U8(random.below(2) as u8),
        ColumnType::String => Cell::Str(text(random).into()),
    }
}

/// A price-like double: mostly two decimals, a few with eight, and now and then something awkward.
fn float(random: &mut Random) -> f64 {
    match random.below(40) {
        0 => random.between(0, 10_000_000_000) as f64 / 1e8,
        1 => -0.0,
        2 => random.between(1, 1000) as f64 * 0.1 + 0.2,
        3 => f64::from_bits(random.next()),
        4 => *random.pick(&[f64::INFINITY, f64::NEG_INFINITY, f64::from_bits(0x7ff8_0000_0000_1234)]),
        5 => f64::from_bits(1 + random.below(9)),
        _ => random.between(9_990, 10_010) as f64 / 100.0,
    }
}

fn text(random: &mut Random) -> String {
    match random.below(20) {
        0 => String::new(),
        1 => "ß∂ƒ".repeat(random.below(30) as usize),
        2 => format!("{:x}", random.next()),
        _ => (*random.pick(&["XNAS", "XNYS", "腾讯"])).to_owned(),
    }
}

/// A random row.
pub(crate) fn row(series: &Series, time: i64, random: &mut Random) -> NewRow {
    let columns = &series.schema.columns;
    let cells = columns.iter().map(|column| cell(column.kind, column.nullable, random)).collect();
    let flags = if random.chance(90) { 0 } else { random.below(256) as u16 };
    NewRow { time, cells, flags }
}

/// The rows as the engine wants them: columns in any order, left out where nullable and empty.
pub(crate) fn batch(schema: &Schema, rows: &[NewRow], random: &mut Random) -> Batch {
    let mut batch = Batch::new(rows.iter().map(|row| row.time).collect());
    let turn = random.below(schema.columns.len().max(1) as u64) as usize;
    for position in 0..schema.columns.len() {
        let position = (position + turn) % schema.columns.len();
        let column = &schema.columns[position];
        let null = |row: &NewRow| row.cells[position] == Cell::Null;
        if column.nullable && rows.iter().all(null) && random.chance(50) {
            continue;
        }
        let values = values(column.kind, rows.iter().map(|row| &row.cells[position]), random.chance(30));
        let nulls = rows.iter().any(null).then(|| rows.iter().map(null).collect());
        batch = batch.with(&column.name, ColumnValues { values, nulls });
    }
    if rows.iter().any(|row| row.flags != 0) {
        batch = batch.with_flags(rows.iter().map(|row| row.flags).collect::<RunVec<u16>>());
    }
    batch
}

/// The values of a column. Under a null may stand anything the caller left there.
fn values<'a>(kind: ColumnType, cells: impl Iterator<Item = &'a Cell>, rubbish: bool) -> Values {
    let rest = i64::from(rubbish);
    match kind {
        ColumnType::I64 | ColumnType::Timestamp => {
            Values::I64(cells.map(|cell| if let Cell::I64(value) = cell { *value } else { rest }).collect())
        }
        ColumnType::F64 => {
            let value =
                |cell: &Cell| if let Cell::F64(bits) = cell { f64::from_bits(*bits) } else { rest as f64 };
            Values::F64(cells.map(value).collect())
        }
        ColumnType::F32 => {
            let value =
                |cell: &Cell| if let Cell::F32(bits) = cell { f32::from_bits(*bits) } else { rest as f32 };
            Values::F32(cells.map(value).collect())
        }
        ColumnType::U8 | ColumnType::Bool => Values::U8(
            cells.map(|cell| if let Cell::U8(value) = cell { *value } else { rest as u8 }).collect(),
        ),
        ColumnType::String => {
            let rest: Rc<str> = if rubbish { "rubbish".into() } else { "".into() };
            let value =
                |cell: &Cell| if let Cell::Str(text) = cell { Rc::clone(text) } else { Rc::clone(&rest) };
            Values::Str(cells.map(value).collect::<Strings>())
        }
    }
}

/// Whether a column has this value at a row, as read.
pub(crate) fn holds(column: &ColumnValues, row: usize, cell: &Cell) -> bool {
    if column.is_null(row) {
        return *cell == Cell::Null;
    }
    match (&column.values, cell) {
        (Values::I64(v), Cell::I64(value)) => v[row] == *value,
        (Values::F64(v), Cell::F64(bits)) => v[row].to_bits() == *bits,
        (Values::F32(v), Cell::F32(bits)) => v[row].to_bits() == *bits,
        (Values::U8(v), Cell::U8(value)) => v[row] == *value,
        (Values::Str(v), Cell::Str(text)) => *v.get(row) == **text,
        _ => false,
    }
}

/// The value of a column at a row, as read.
pub(crate) fn read_cell(column: &ColumnValues, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match &column.values {
        Values::I64(v) => Cell::I64(v[row]),
        Values::F64(v) => Cell::F64(v[row].to_bits()),
        Values::F32(v) => Cell::F32(v[row].to_bits()),
        Values::U8(v) => Cell::U8(v[row]),
        Values::Str(v) => Cell::Str(v.get(row).into()),
    }
}
