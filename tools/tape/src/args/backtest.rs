//! The grammar of `tape backtest`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Series, Span, State};

/// Arguments of `backtest`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Backtest {
    #[command(subcommand)]
    pub(crate) kept: Option<Kept>,
    #[command(flatten)]
    pub(crate) run: Option<Run>,
}

/// Results that are kept.
#[derive(Debug, Subcommand)]
pub(crate) enum Kept {
    /// List the runs that are kept.
    Ls,
    /// Everything about a run.
    Show(RunNumber),
    /// Run it again on the version of the store that it read, and compare every bit; ends with 1 if they differ.
    Check(RunNumber),
}

/// A run.
#[derive(Args, Debug)]
pub(crate) struct RunNumber {
    /// Its number.
    pub(crate) run: u64,
}

/// What is backtested.
#[derive(Args, Debug)]
// clap leaves the group of arguments that hold others empty; by this one it tells whether they are given at all.
#[group(id = "backtest-run", args = ["signals"])]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) series: Series,
    /// A signal, known at the close of its bar: a column of the bars, FRAME:COLUMN of the instrument, or
    /// "INSTRUMENT FRAME:COLUMN"; repeat it for several.
    #[arg(long = "signal", value_name = "COLUMN|SERIES:COLUMN", required = true)]
    pub(crate) signals: Vec<String>,
    /// How a column becomes a signal from -1 to 1: raw, sign, maxabs or zscore over all bars so far, maxabs:250 or zscore:250
    /// over so many.
    #[arg(long, default_value = "raw", value_name = "SHAPE")]
    pub(crate) shape: String,
    /// One portfolio of all signals, with these weights: 1,-0.5,2. Divided by its largest absolute value so far.
    #[arg(long, value_delimiter = ',', value_name = "WEIGHTS", allow_hyphen_values = true)]
    pub(crate) combine: Option<Vec<f64>>,
    /// The largest absolute value of the portfolio over so many bars, instead of all so far.
    #[arg(long, value_name = "BARS", requires = "combine")]
    pub(crate) over: Option<usize>,
    #[command(flatten)]
    pub(crate) trading: Trading,
    #[command(flatten)]
    pub(crate) span: Span,
    #[command(flatten)]
    pub(crate) state: State,
    /// Keep the results in the store; tape backtest show prints them again.
    #[arg(long)]
    pub(crate) save: bool,
    /// Keep position, return, account and drawdown of every bar too, as a series of the instrument.
    #[arg(long, requires = "save")]
    pub(crate) curves: bool,
    /// Threads; by default as many as the machine has.
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<NonZeroUsize>,
}

/// How trading is simulated.
#[derive(Args, Clone, Debug)]
pub(crate) struct Trading {
    /// The account at the start.
    #[arg(long, default_value_t = 100_000.0, value_name = "AMOUNT")]
    pub(crate) capital: f64,
    /// Share of the account that a signal of 1 holds.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    pub(crate) allocation: f64,
    /// At which price a signal is acted upon.
    #[arg(long, value_enum, default_value = "close")]
    pub(crate) fill: FillArgument,
    /// What an order costs: free, a share (0.001 is 0.1 %), hong-kong (stamp duty, levies and fees of the day), hong-kong-etf
    /// (without stamp duty).
    #[arg(long, default_value = "free", value_name = "COSTS")]
    pub(crate) costs: String,
    /// Commission on top of Hong Kong's costs, as a share.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) commission: f64,
    /// The least commission of an order.
    #[arg(long, default_value_t = 0.0, value_name = "AMOUNT")]
    pub(crate) minimum: f64,
    /// How costs are charged.
    #[arg(long, value_enum, default_value = "proportional")]
    pub(crate) cost_mode: CostArgument,
    /// Whether keeping a weight while prices move is traded, and paid.
    #[arg(long, value_enum, default_value = "free")]
    pub(crate) rebalance: RebalanceArgument,
    /// What becomes of a position across missing bars.
    #[arg(long, value_enum, default_value = "bridge")]
    pub(crate) gaps: GapsArgument,
    /// When the market is open: a CSV of start,end in any form of time, without a header. Bars a year are counted from it, and
    /// holes are those inside of it.
    #[arg(long, value_name = "FILE")]
    pub(crate) sessions: Option<PathBuf>,
    /// When the market is open, by an exchange: as the store's table `calendar` says, or a file ending in .calendar, or a
    /// calendar that is compiled in (see tape calendar).
    #[arg(long, value_name = "EXCHANGE", conflicts_with = "sessions")]
    pub(crate) calendar: Option<String>,
    /// Bars a year, by which ratios are annualised; counted from the sessions by default, or for a market that never closes.
    #[arg(long, value_name = "COUNT")]
    pub(crate) bars_per_year: Option<f64>,
}

impl Trading {
    /// Whether it is said when the market is open, or how many bars a year has.
    pub(crate) fn says_when(&self) -> bool {
        self.sessions.is_some() || self.calendar.is_some() || self.bars_per_year.is_some()
    }
}

/// At which price a signal is acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FillArgument {
    /// The close that made it.
    Close,
    /// The open of the next bar.
    NextOpen,
}

/// How costs are charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CostArgument {
    /// By what is traded.
    Proportional,
    /// The same for any change of position.
    Flat,
}

/// Whether keeping a weight is traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RebalanceArgument {
    /// It costs nothing.
    Free,
    /// It is traded, and paid.
    Paid,
}

/// What becomes of a position across missing bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GapsArgument {
    /// It is held, and earns what the price did meanwhile.
    Bridge,
    /// What the price did meanwhile counts for nothing.
    Break,
}
