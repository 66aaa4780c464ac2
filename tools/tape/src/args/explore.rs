//! The grammar of `tape explore`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::backtest::Trading;
use super::factor::{Gaps, size};
use super::{Span, State};

/// Arguments of `explore`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Explore {
    /// Instruments, such as 0700.HK.
    #[arg(required = true, value_name = "INSTRUMENT")]
    pub(crate) instruments: Vec<String>,
    /// Timeframe of the bars that everything is made of.
    #[arg(long, default_value = "1m", value_name = "TIMEFRAME")]
    pub(crate) frame: String,
    /// Factors by name, separated by commas; see tape factor list.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAMES")]
    pub(crate) factors: Vec<String>,
    /// Timeframes, separated by commas; all: 1m to 1d.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "TIMEFRAMES")]
    pub(crate) timeframes: Vec<String>,
    /// A column of the store to explore beside the factors, in the timeframe of --frame: COLUMN, FRAME:COLUMN, or
    /// "INSTRUMENT FRAME:COLUMN"; repeat it for several.
    #[arg(long = "signal", value_name = "COLUMN|SERIES:COLUMN")]
    pub(crate) signals: Vec<String>,
    /// How a factor becomes a signal from -1 to 1: sign, maxabs or zscore over all bars so far, maxabs:250 or zscore:250 over so
    /// many.
    #[arg(long, default_value = "zscore:250", value_name = "SHAPE")]
    pub(crate) shape: String,
    /// What counts as a gap, after which factors begin anew; by default bridge with --sessions or --calendar, and rows without.
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) factor_gaps: Option<Gaps>,
    #[command(flatten)]
    pub(crate) trading: Trading,
    #[command(flatten)]
    pub(crate) span: Span,
    #[command(flatten)]
    pub(crate) state: State,
    /// By what results are ranked.
    #[arg(long, value_enum, default_value = "sharpe", value_name = "METRIC")]
    pub(crate) rank_by: RankBy,
    /// Results that the table shows; JSON has all.
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub(crate) top: usize,
    /// Write a report: one HTML file with tables and curves, without scripts, that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Replace the report if it exists.
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Keep the results in the store; tape backtest show prints them again.
    #[arg(long)]
    pub(crate) save: bool,
    /// Most memory for bars and factors: 500MB, 4GB. What does not fit is done in parts; what does not even then is an error of
    /// its own.
    #[arg(long, default_value = "4GB", value_parser = size, value_name = "SIZE")]
    pub(crate) memory: u64,
    /// Threads; by default as many as the machine has.
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Tell of each timeframe that is done, as a line on standard error; on a terminal a line is kept up to date anyway.
    #[arg(long)]
    pub(crate) progress: bool,
}

/// By what results are ranked, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RankBy {
    /// Sharpe ratio.
    Sharpe,
    /// Total return.
    Return,
    /// Information coefficient, whatever its sign.
    Ic,
    /// Rank information coefficient, whatever its sign.
    RankIc,
    /// Mean over deviation of daily information coefficients, whatever its sign.
    Icir,
    /// Stability.
    Stability,
}
