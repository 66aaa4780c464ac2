//! Bars from finer bars or from trades.
//!
//! [`Resampler`] takes rows piece by piece and gives bars as they close; [`resample`] runs it over a range of a series.
//! Which rows make a bar is [`crate::bucket`]'s business, what becomes of their values [`crate::fold`]'s.
//!
//! # Invariants
//! - R1. However the rows come in pieces, the bars are the same to the bit.
//! - R2. The last bar is unfinished unless the rows are known to be complete up to its end; it is left out, or flagged
//!   `partial`, and named either way.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use tapestore::time::{DAY_NS, Frame, Timeframe};
use tapestore::{
    Column, ColumnType, ColumnValues, Error, KeyPolicy, Result, RowSet, Rows, RunVec, Schema, SeriesKey,
    Values, View, flags,
};

use crate::bucket::{Bar, Bucketer, Piece, Rule, bar_around};
use crate::fold::{Fold, Folder, Input};
use crate::session::Sessions;

/// What becomes of the columns of bars. Columns of other names are left out.
const BAR_COLUMNS: [(&str, Fold); 10] = [
    ("open", Fold::First),
    ("high", Fold::Max),
    ("low", Fold::Min),
    ("close", Fold::Last),
    ("volume", Fold::Sum),
    ("quote_volume", Fold::Sum),
    ("trades", Fold::Sum),
    ("taker_buy_base", Fold::Sum),
    ("taker_buy_quote", Fold::Sum),
    ("open_interest", Fold::Last),
];

/// Names under which trades have their quantity, the first that exists.
const QUANTITIES: [&str; 4] = ["quantity", "qty", "size", "volume"];

/// What bars of trades are made of: name, fold, whether of integers, meaning.
const TRADE_BARS: [(&str, Fold, bool, &str); 7] = [
    ("open", Fold::First, false, "first price"),
    ("high", Fold::Max, false, "highest price"),
    ("low", Fold::Min, false, "lowest price"),
    ("close", Fold::Last, false, "last price"),
    ("volume", Fold::Sum, false, "sum of the quantities"),
    ("quote_volume", Fold::Sum, false, "sum of price times quantity"),
    ("trades", Fold::Sum, true, "number of trades"),
];

/// How to resample.
#[derive(Clone, Debug)]
pub struct Resample {
    /// When a bar is full.
    pub rule: Rule,
    /// When the market is open; `None`: always.
    pub sessions: Option<Arc<Sessions>>,
    /// The rows are known to be complete before this time; `None`: up to the end of the last bar, or the last trade.
    pub until_ns: Option<i64>,
    /// Whether to give an unfinished last bar, flagged `partial`.
    pub unfinished: bool,
}

impl Resample {
    /// Bars of a timeframe, without sessions and without an unfinished one.
    pub fn to(timeframe: Timeframe) -> Self {
        Self { rule: Rule::Time(timeframe), sessions: None, until_ns: None, unfinished: false }
    }
}

/// Bars, and what else came of making them.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampled {
    /// The bars; flags are filled, versions and sources are not.
    pub rows: Rows,
    /// Open time of the last bar, if it is unfinished, whether it is among the rows or not.
    pub unfinished: Option<i64>,
    /// Rows that lie outside all sessions and are in no bar.
    pub outside: u64,
}

/// What the rows are.
#[derive(Clone, Debug)]
enum Source {
    Bars { step: Option<Timeframe>, folds: Vec<(String, Fold)> },
    Trades { price: String, quantity: String },
}

/// Makes bars of rows that come in pieces.
#[derive(Clone, Debug)]
pub struct Resampler {
    source: Source,
    bucketer: Bucketer,
    folders: Vec<Folder>,
    columns: Vec<Column>,
    by_size: bool,
    last_ns: Option<i64>,
    pieces: Vec<Piece>,
    prices: Vec<f64>,
    quantities: Vec<f64>,
    amounts: Vec<f64>,
}

impl Resampler {
    /// For rows of a series with this schema: bars (of doubles `open`, `high`, `low`, `close`, `volume`) or trades (of
    /// `price` and a quantity).
    ///
    /// # Errors
    /// [`Error::Usage`] if they are neither, or the bars asked for are not coarser.
    pub fn new(frame: &Frame, schema: &Schema, rule: Rule, sessions: Option<Arc<Sessions>>) -> Result<Self> {
        let bucketer = Bucketer::new(rule, sessions)?;
        let (source, mut columns) = describe(frame, schema)?;
        if let (Source::Bars { step: Some(from), .. }, Rule::Time(to)) = (&source, rule) {
            check_coarser(*from, to)?;
        }
        let fold = |column: &Column| match &source {
            Source::Bars { folds, .. } => folds.iter().find(|(name, _)| *name == column.name).map(|f| f.1),
            Source::Trades { .. } => TRADE_BARS.iter().find(|bar| bar.0 == column.name).map(|bar| bar.1),
        };
        let folders = columns
            .iter()
            .map(|column| Folder::new(fold(column).unwrap_or(Fold::Last), column.kind != ColumnType::F64))
            .collect();
        let by_size = !matches!(rule, Rule::Time(_));
        if by_size {
            columns.push(Column {
                id: columns.len() as u16,
                name: "end".into(),
                kind: ColumnType::Timestamp,
                nullable: false,
                description: "time of the last row of the bar".into(),
            });
        }
        Ok(Self {
            source,
            bucketer,
            folders,
            columns,
            by_size,
            last_ns: None,
            pieces: Vec::new(),
            prices: Vec::new(),
            quantities: Vec::new(),
            amounts: Vec::new(),
        })
    }

    /// The columns that have to be pushed.
    pub fn inputs(&self) -> Vec<&str> {
        match &self.source {
            Source::Bars { folds, .. } => folds.iter().map(|fold| fold.0.as_str()).collect(),
            Source::Trades { price, quantity } => vec![price, quantity],
        }
    }

    /// The schema of the bars. Bars by time are unique in theirs; others are a sequence.
    pub fn schema(&self) -> Schema {
        let key = if self.by_size { KeyPolicy::Sequence { dedup: Vec::new() } } else { KeyPolicy::Unique };
        Schema { columns: self.columns.clone(), key }
    }

    /// Takes further rows, with the columns of [`Resampler::inputs`], later than all before.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a column is missing or of another type.
    pub fn push(&mut self, rows: &Rows) -> Result<()> {
        let Some(last) = rows.time().last() else { return Ok(()) };
        self.last_ns = Some(*last);
        let input = |name: &str| {
            rows.column(name)
                .and_then(Input::of)
                .ok_or_else(|| Error::NotFound(format!("a column {name:?} of numbers to resample")))
        };
        match &self.source {
            Source::Bars { folds, .. } => {
                let (close, volume) = (rows.f64("close"), rows.f64("volume"));
                let (Some(close), Some(volume)) = (close, volume) else {
                    return Err(Error::NotFound("columns close and volume of doubles to resample".into()));
                };
                self.bucketer.cut(rows.time(), close, volume, &mut self.pieces);
                for (folder, (name, _)) in self.folders.iter_mut().zip(folds) {
                    folder.push(&self.pieces, input(name)?);
                }
            }
            Source::Trades { price, quantity } => {
                doubles(input(price)?, &mut self.prices);
                doubles(input(quantity)?, &mut self.quantities);
                self.amounts.clear();
                self.amounts.extend(self.prices.iter().zip(&self.quantities).map(|(p, q)| p * q));
                self.bucketer.cut(rows.time(), &self.prices, &self.quantities, &mut self.pieces);
                for (folder, (name, ..)) in self.folders.iter_mut().zip(&TRADE_BARS) {
                    let input = match *name {
                        "volume" => Input::F64(&self.quantities, None),
                        "quote_volume" => Input::F64(&self.amounts, None),
                        "trades" => Input::Ones,
                        _ => Input::F64(&self.prices, None),
                    };
                    folder.push(&self.pieces, input);
                }
            }
        }
        Ok(())
    }

    /// The bars that were closed since the last call.
    pub fn take(&mut self) -> Rows {
        let bars = self.bucketer.take_closed();
        let values = self.folders.iter_mut().map(|folder| folder.take(false)).collect();
        self.rows(&bars, values, false)
    }

    /// The bars that were not taken yet, the last one too if it is finished or asked for.
    pub fn finish(mut self, until_ns: Option<i64>, unfinished: bool) -> Resampled {
        let until = until_ns.or_else(|| self.complete_before()).unwrap_or(i64::MIN);
        let finished = self.bucketer.finished(until);
        let with_open = finished == Some(true) || (finished == Some(false) && unfinished);
        let mut bars = self.bucketer.take_closed();
        let known = bars.len();
        // Closing gives the open bar, from which its start is known even if it is left out.
        self.bucketer.close();
        let open = self.bucketer.take_closed();
        let unfinished = open.first().filter(|_| finished == Some(false)).map(|bar| bar.start_ns);
        if with_open {
            bars.extend(open);
        }
        let values: Vec<ColumnValues> = self.folders.iter_mut().map(|f| f.take(with_open)).collect();
        let partial = with_open && finished == Some(false);
        debug_assert!(bars.len() == known || with_open);
        Resampled { rows: self.rows(&bars, values, partial), unfinished, outside: self.bucketer.outside() }
    }

    /// Before when the rows seen are complete, as far as they tell.
    fn complete_before(&self) -> Option<i64> {
        let last = self.last_ns?;
        Some(match &self.source {
            Source::Bars { step: Some(step), .. } => match step.step_ns() {
                Some(step) => last.saturating_add(step),
                None => step.slot_start(step.slot(last) + 1),
            },
            _ => last,
        })
    }

    fn rows(&self, bars: &[Bar], values: Vec<ColumnValues>, partial: bool) -> Rows {
        let mut out = RunVec::default();
        for (number, bar) in bars.iter().enumerate() {
            let partial = bar.short || (partial && number + 1 == bars.len());
            out.push(if partial { flags::PARTIAL } else { 0 }, 1);
        }
        let mut columns: Vec<_> = values.into_iter().zip(0..).map(|(values, id)| (id, values)).collect();
        if self.by_size {
            let ends = bars.iter().map(|bar| bar.end_ns).collect();
            columns.push((columns.len() as u16, Values::I64(ends).into()));
        }
        let time = bars.iter().map(|bar| bar.start_ns).collect();
        Rows { columns: self.columns.clone(), set: RowSet { time, flags: out, columns, ..RowSet::default() } }
    }
}

/// What the rows of a series are, and the columns of the bars made of them.
fn describe(frame: &Frame, schema: &Schema) -> Result<(Source, Vec<Column>)> {
    let number = |name: &str| {
        schema.column(name).filter(|column| matches!(column.kind, ColumnType::F64 | ColumnType::I64))
    };
    let floats = ["open", "high", "low", "close", "volume"];
    if floats.iter().all(|name| schema.column(name).is_some_and(|column| column.kind == ColumnType::F64)) {
        let known = BAR_COLUMNS.iter().filter_map(|(name, fold)| Some((number(name)?, *fold)));
        let (columns, folds): (Vec<_>, Vec<_>) = known
            .zip(0..)
            .map(|((column, fold), id)| (Column { id, ..column.clone() }, (column.name.clone(), fold)))
            .unzip();
        return Ok((Source::Bars { step: frame.timeframe(), folds }, columns));
    }
    let quantity = QUANTITIES.iter().find_map(|name| number(name));
    let (Some(price), Some(quantity)) = (number("price"), quantity) else {
        return Err(Error::Usage(
            "only bars (open, high, low, close, volume) and trades (price and quantity) can be resampled"
                .into(),
        ));
    };
    let columns = TRADE_BARS.iter().zip(0..).map(|((name, _, integers, meaning), id)| Column {
        id,
        name: (*name).to_owned(),
        kind: if *integers { ColumnType::I64 } else { ColumnType::F64 },
        nullable: matches!(*name, "quote_volume" | "trades"),
        description: (*meaning).to_owned(),
    });
    let columns = columns.collect();
    Ok((Source::Trades { price: price.name.clone(), quantity: quantity.name.clone() }, columns))
}

/// A bar of `to` has to hold whole bars of `from`.
pub(crate) fn check_coarser(from: Timeframe, to: Timeframe) -> Result<()> {
    let fits = match (from.step_ns(), to.step_ns()) {
        (Some(from), Some(to)) => from < to && to % from == 0,
        (Some(from), None) => DAY_NS % from == 0,
        (None, _) => false,
    };
    if fits { Ok(()) } else { Err(Error::Usage(format!("bars of {to} cannot be made of bars of {from}"))) }
}

fn doubles(input: Input<'_>, out: &mut Vec<f64>) {
    out.clear();
    match input {
        Input::F64(values, _) => out.extend_from_slice(values),
        Input::I64(values, _) => out.extend(values.iter().map(|value| *value as f64)),
        Input::Ones => {}
    }
}

/// The bars of a series that open in `range`, made of all their rows. Bars by size are counted from the start of the
/// range. Rows are read piece by piece and never held whole.
///
/// # Errors
/// [`Error::NotFound`] if the series does not exist; as [`Resampler::new`].
pub fn resample(view: &View, key: &SeriesKey, range: Range<i64>, how: &Resample) -> Result<Resampled> {
    let schema = view.schema(key)?;
    let mut resampler = Resampler::new(key.frame(), &schema, how.rule, how.sessions.clone())?;
    let range = whole(range, how);
    let inputs: Vec<String> = resampler.inputs().into_iter().map(str::to_owned).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let mut failure = None;
    view.read(key).range(range.clone()).columns(&inputs).visit(|rows| match resampler.push(rows) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    })?;
    if let Some(error) = failure {
        return Err(error);
    }
    // A bar before the end of the range is finished if there are rows after it.
    let later = || -> Result<Option<i64>> {
        let next = view.read(key).columns(&[]).range(range.end..i64::MAX).first(1)?;
        Ok(next.time().first().copied())
    };
    let until = match how.until_ns {
        None if range.end < i64::MAX => later()?,
        until => until,
    };
    Ok(resampler.finish(until, how.unfinished))
}

/// The range from and to the first bars by time that open in or after it.
pub(crate) fn whole(range: Range<i64>, how: &Resample) -> Range<i64> {
    let Rule::Time(timeframe) = how.rule else { return range };
    let bounded = i64::MIN + 32 * DAY_NS..i64::MAX - 32 * DAY_NS;
    let next = |time: i64| {
        if !bounded.contains(&time) {
            return time;
        }
        match bar_around(timeframe, how.sessions.as_deref(), time) {
            Some((label, rows)) if label < time => rows.end,
            Some((_, rows)) => rows.start.min(time),
            None => time,
        }
    };
    next(range.start)..next(range.end)
}
