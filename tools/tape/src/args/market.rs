//! The grammar of the commands that ask questions of market data: resample, join, panel, average, adjust, book.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Selection, Series, Span, State};

/// When a bar is full; one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Bars {
    /// Bars of this timeframe.
    #[arg(long, value_name = "TIMEFRAME")]
    pub(crate) into: Option<String>,
    /// Bars of so many trades (or finer bars).
    #[arg(long, value_name = "COUNT")]
    pub(crate) ticks: Option<u64>,
    /// Bars of this traded volume.
    #[arg(long, value_name = "VOLUME")]
    pub(crate) volume: Option<f64>,
    /// Bars of this traded amount: price times volume.
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) amount: Option<f64>,
}

/// Arguments of `resample`.
#[derive(Args, Debug)]
pub(crate) struct Resample {
    #[command(flatten)]
    pub(crate) series: Series,
    #[command(flatten)]
    pub(crate) bars: Bars,
    /// No bar crosses these sessions: a CSV of start,end in any form of time, without a header.
    #[arg(long, value_name = "FILE", conflicts_with = "calendar")]
    pub(crate) sessions: Option<PathBuf>,
    /// No bar crosses the sessions of this exchange: as the store's table `calendar` says, or a file ending in .calendar, or a
    /// calendar that is compiled in (see tape calendar).
    #[arg(long, value_name = "EXCHANGE")]
    pub(crate) calendar: Option<String>,
    /// Also the last bar if it is not finished, marked as partial.
    #[arg(long)]
    pub(crate) unfinished: bool,
    /// Store the bars as a series of their own, or bring it up to date: only what changed is made anew.
    #[arg(long, conflicts_with_all = ["unfinished", "csv", "columns", "from", "to", "as_of"])]
    pub(crate) save: bool,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// On which side of a row's time its partner may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DirectionArgument {
    /// The last row at or before it.
    #[default]
    Backward,
    /// The first row at or after it.
    Forward,
    /// The nearer of both.
    Nearest,
}

/// Arguments of `join`.
#[derive(Args, Debug)]
pub(crate) struct Join {
    #[command(flatten)]
    pub(crate) series: Series,
    /// Frame of the series that is looked into, such as quotes.
    #[arg(value_name = "RIGHT")]
    pub(crate) right: String,
    /// Its instrument; the same by default.
    #[arg(long, value_name = "INSTRUMENT")]
    pub(crate) right_instrument: Option<String>,
    /// Column that names the instrument of each row, as in fills: its partner is of that instrument.
    #[arg(long, value_name = "COLUMN", conflicts_with = "right_instrument")]
    pub(crate) by: Option<String>,
    /// On which side of a row's time its partner may be.
    #[arg(long, value_enum, default_value = "backward")]
    pub(crate) direction: DirectionArgument,
    /// Largest distance in time: 250ms, 5s, 1m.
    #[arg(long, value_name = "SPAN")]
    pub(crate) tolerance: Option<String>,
    /// A row of exactly the same time does not match.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Columns of the right series, separated by commas; all by default.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) right_columns: Option<Vec<String>>,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `panel`.
#[derive(Args, Debug)]
pub(crate) struct Panel {
    /// Frame of the series: 1m, 1d, or the name of a table.
    pub(crate) frame: String,
    /// Column of the series.
    pub(crate) field: String,
    /// Instruments, separated by commas; all that have the frame by default.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) instruments: Option<Vec<String>>,
    /// Only times at which all instruments have a row.
    #[arg(long)]
    pub(crate) complete: bool,
    /// Where a row is missing, the last one before, if it is not older than this: 5m, 1d.
    #[arg(long, value_name = "SPAN")]
    pub(crate) fill: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `average`.
#[derive(Args, Debug)]
pub(crate) struct Average {
    #[command(flatten)]
    pub(crate) series: Series,
    #[command(flatten)]
    pub(crate) span: Span,
    #[command(flatten)]
    pub(crate) state: State,
}

/// For which actions prices are adjusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartsArgument {
    /// Splits only.
    Splits,
    /// Dividends only.
    Dividends,
    /// Both.
    #[default]
    Both,
}

/// Arguments of `adjust`.
#[derive(Args, Debug)]
pub(crate) struct Adjust {
    #[command(flatten)]
    pub(crate) series: Series,
    /// For what.
    #[arg(long = "for", value_enum, default_value = "both")]
    pub(crate) parts: PartsArgument,
    /// The first prices stay as they are, instead of the last.
    #[arg(long)]
    pub(crate) forward: bool,
    /// Only what was known and in force then; by default at the last row.
    #[arg(long, value_name = "TIME")]
    pub(crate) known_at: Option<String>,
    /// The table of actions of the instrument: kind (split, dividend), old, new, amount, known.
    #[arg(long, default_value = "actions", value_name = "FRAME")]
    pub(crate) actions: String,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `book`.
#[derive(Args, Debug)]
pub(crate) struct Book {
    /// Instrument, such as BTCUSDT.BINANCE.
    pub(crate) instrument: String,
    /// The series of updates.
    #[arg(long, default_value = "book")]
    pub(crate) frame: String,
    /// The series of snapshots of fixed depth: the nearest one is what updates come on top of.
    #[arg(long, default_value = "depth", value_name = "FRAME")]
    pub(crate) snapshots: String,
    /// When; by default after the last update.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Prices of each side.
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    pub(crate) levels: usize,
    #[command(flatten)]
    pub(crate) state: State,
}
