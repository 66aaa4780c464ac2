//! Results in a store: a row for each signal of a run, in a table of the store's own, `tapestore backtests`, with
//! everything that is needed to make them again; and, if wanted, the series behind them.
//!
//! # Invariants
//! - K1. Runs are numbered from 1, in order; all rows of a run come in one commit.
//! - K2. A row names the version of the store that was read. While that version is kept, the run can be repeated, and gives
//!   the same bits with the same code ([`CODE`]).

use tapestore::schema::SchemaBuilder;
use tapestore::{
    Batch, ColumnType, CommitReport, Error as StoreError, OWN_INSTRUMENT, Rows, Schema, SeriesKey, Store,
    Transaction, Values, View,
};

use crate::error::Result;
use crate::metrics::Metrics;
use crate::run::Curves;

/// Version of the kernels and definitions, raised whenever a number could come out differently, behind that of the crate.
pub const CODE: &str = concat!(env!("CARGO_PKG_VERSION"), "/1");

const FRAME: &str = "backtests";
const TEXTS: [(&str, &str); 9] = [
    ("instrument", "whose bars were traded"),
    ("frame", "which bars"),
    ("signal", "the column, or what made it"),
    ("shape", "how it became a signal"),
    ("settings", "capital, costs, fills and all else"),
    ("basis", "where the number of bars a year is from"),
    ("call", "the call that made the run"),
    ("code", "version of the code"),
    ("curves", "frame of the series behind it, or empty"),
];
const INTEGERS: [(&str, &str); 2] =
    [("run", "number of the run"), ("store_version", "version of the store that was read")];
const TIMES: [(&str, &str); 2] = [("first", "first bar"), ("last", "last bar")];

/// A result as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When the run began, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// Number of the run.
    pub run: u64,
    /// Whose bars were traded.
    pub instrument: String,
    /// Which bars.
    pub frame: String,
    /// The column, or what made it.
    pub signal: String,
    /// How it became a signal; see [`crate::Shape::name`].
    pub shape: String,
    /// See [`crate::Settings::to_text`].
    pub settings: String,
    /// Where the number of bars a year is from.
    pub basis: String,
    /// The call that made the run.
    pub call: String,
    /// Version of the code; see [`CODE`].
    pub code: String,
    /// Frame of the series behind it, or empty.
    pub curves: String,
    /// Version of the store that was read.
    pub store_version: u64,
    /// Open times of the first and the last bar, nanoseconds since the Unix epoch, UTC.
    pub bars_ns: (i64, i64),
    /// What came of it: names and values of [`Metrics::numbers`] and [`Metrics::counts`].
    pub values: Vec<(String, f64)>,
}

impl Record {
    /// A metric by its name; NaN if there is none of that name.
    pub fn value(&self, name: &str) -> f64 {
        self.values.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// Names and values of all metrics, counts as numbers.
pub fn values(metrics: &Metrics) -> Vec<(String, f64)> {
    let counts = metrics.counts().map(|(name, count)| (name.to_owned(), count as f64));
    let numbers = metrics.numbers().map(|(name, value)| (name.to_owned(), value));
    counts.into_iter().chain(numbers).collect()
}

/// The table of results.
///
/// # Errors
/// None; the name is a constant.
pub fn table() -> Result<SeriesKey> {
    Ok(SeriesKey::new(OWN_INSTRUMENT, FRAME)?)
}

fn schema(names: &[String]) -> Result<Schema> {
    let mut builder = SchemaBuilder::sequence();
    for (name, meaning) in INTEGERS {
        builder = builder.column(name, ColumnType::I64).describe(meaning);
    }
    for (name, meaning) in TIMES {
        builder = builder.column(name, ColumnType::Timestamp).describe(meaning);
    }
    for (name, meaning) in TEXTS {
        builder = builder.column(name, ColumnType::String).describe(meaning);
    }
    builder = names.iter().fold(builder, |builder, name| builder.nullable(name, ColumnType::F64));
    Ok(builder.dedup(&["run", "instrument", "frame", "signal", "shape"]).build()?)
}

/// The number of the next run.
///
/// # Errors
/// Damage.
pub fn next_run(view: &View) -> Result<u64> {
    match view.read(&table()?).columns(&["run"]).rows() {
        Err(StoreError::NotFound(_)) => Ok(1),
        rows => Ok(rows?.i64("run").and_then(|runs| runs.iter().max()).map_or(1, |run| *run as u64 + 1)),
    }
}

/// Stages records of one run, all with the same metrics.
///
/// # Errors
/// As [`Transaction::append`].
pub fn stage(transaction: &mut Transaction, records: &[Record]) -> Result<()> {
    let Some(first) = records.first() else { return Ok(()) };
    let names: Vec<String> = first.values.iter().map(|(name, _)| name.clone()).collect();
    let key = table()?;
    transaction.create_series(&key, schema(&names)?)?;
    let mut batch = Batch::new(records.iter().map(|record| record.time_ns).collect());
    let integers: [fn(&Record) -> i64; 4] = [
        |record| record.run as i64,
        |record| record.store_version as i64,
        |record| record.bars_ns.0,
        |record| record.bars_ns.1,
    ];
    for ((name, _), value) in INTEGERS.iter().chain(&TIMES).zip(integers) {
        batch = batch.with(name, Values::I64(records.iter().map(value).collect()));
    }
    for (at, (name, _)) in TEXTS.iter().enumerate() {
        let texts = records.iter().map(|record| record.texts()[at]).collect();
        batch = batch.with(name, Values::Str(texts));
    }
    for name in &names {
        batch = batch.with(name, Values::F64(records.iter().map(|record| record.value(name)).collect()));
    }
    transaction.append(&key, batch)?;
    Ok(())
}

/// Stages the series behind a result, as a series of the instrument.
///
/// # Errors
/// As [`Transaction::upsert`].
pub fn stage_curves(
    transaction: &mut Transaction,
    key: &SeriesKey,
    time: &[i64],
    curves: &Curves,
) -> Result<()> {
    let columns = [
        ("position", "share of the account that is held during the bar", &curves.position),
        ("net", "net return of the bar", &curves.net),
        ("equity", "the account after the bar", &curves.equity),
        ("drawdown", "how far the account is below its highest value, as a share of that", &curves.drawdown),
    ];
    let builder = columns.iter().fold(SchemaBuilder::unique(), |builder, (name, meaning, _)| {
        builder.column(name, ColumnType::F64).describe(meaning)
    });
    transaction.create_series(key, builder.build()?)?;
    let batch = columns.iter().fold(Batch::new(time.to_vec()), |batch, (name, _, values)| {
        batch.with(name, Values::F64((*values).clone()))
    });
    transaction.upsert(key, batch)?;
    Ok(())
}

/// Stores records of one run.
///
/// # Errors
/// As [`stage`] and [`Transaction::commit`].
pub fn save(store: &Store, records: &[Record]) -> Result<CommitReport> {
    let mut transaction = store.begin();
    transaction.source("backtest");
    stage(&mut transaction, records)?;
    Ok(transaction.commit()?)
}

/// All that is kept, in order.
///
/// # Errors
/// [`tapestore::Error::Usage`] if the table is not one of results; damage.
pub fn load(view: &View) -> Result<Vec<Record>> {
    let rows = match view.read(&table()?).rows() {
        Err(StoreError::NotFound(_)) => return Ok(Vec::new()),
        rows => rows?,
    };
    let metrics: Vec<&str> = rows
        .columns
        .iter()
        .filter(|column| column.kind == ColumnType::F64)
        .map(|column| column.name.as_str())
        .collect();
    (0..rows.len()).map(|row| record(&rows, row, &metrics)).collect()
}

fn record(rows: &Rows, row: usize, metrics: &[&str]) -> Result<Record> {
    let missing = |name: &str| StoreError::Usage(format!("the table of backtests has no column {name:?}"));
    let text = |name: &str| match rows.column(name).map(|column| &column.values) {
        Some(Values::Str(texts)) => Ok(texts.get(row).to_owned()),
        _ => Err(missing(name)),
    };
    let integer = |name: &str| match rows.column(name).map(|column| &column.values) {
        Some(Values::I64(values)) => Ok(values[row]),
        _ => Err(missing(name)),
    };
    let value = |name: &&str| Some(((*name).to_owned(), rows.f64(name)?[row]));
    Ok(Record {
        time_ns: rows.time()[row],
        run: integer("run")? as u64,
        instrument: text("instrument")?,
        frame: text("frame")?,
        signal: text("signal")?,
        shape: text("shape")?,
        settings: text("settings")?,
        basis: text("basis")?,
        call: text("call")?,
        code: text("code")?,
        curves: text("curves")?,
        store_version: integer("store_version")? as u64,
        bars_ns: (integer("first")?, integer("last")?),
        values: metrics.iter().filter_map(value).collect(),
    })
}

impl Record {
    /// In the order of `TEXTS`.
    fn texts(&self) -> [&str; 9] {
        [
            &self.instrument,
            &self.frame,
            &self.signal,
            &self.shape,
            &self.settings,
            &self.basis,
            &self.call,
            &self.code,
            &self.curves,
        ]
    }
}
