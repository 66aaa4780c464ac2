//! Arguments of `quality`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Span, State};
use tapestore_quality::{Rule, Tier};

/// Arguments of `quality`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Quality {
    #[command(subcommand)]
    pub(crate) command: Option<QualityCommand>,
    /// Only this instrument, or those whose name contains this.
    pub(crate) instrument: Option<String>,
    /// Only bars of this timeframe.
    pub(crate) frame: Option<String>,
    #[command(flatten)]
    pub(crate) span: Span,
    /// One line for each of these; of a series by default.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) by: Option<By>,
    /// List what was found: open findings, the worst first.
    #[arg(long, conflicts_with = "by")]
    pub(crate) findings: bool,
    /// With --findings: also those that were accepted, repaired, or are gone.
    #[arg(long, requires = "findings")]
    pub(crate) all: bool,
    /// List the rules and what breaking them means.
    #[arg(long)]
    pub(crate) rules: bool,
    /// How the score went, version by version, as far as they are kept: of everything, or of each that --by names.
    #[arg(long, conflicts_with_all = ["findings", "rules"])]
    pub(crate) trend: bool,
    /// Check everything again, not only what changed since the last time.
    #[arg(long)]
    pub(crate) again: bool,
    /// Show what the last check left, and check nothing: needs no right to write.
    #[arg(long, conflicts_with = "again")]
    pub(crate) kept: bool,
    #[command(flatten)]
    pub(crate) how: How,
    /// Judge lateness as of this time; now by default. Without a range only.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to"])]
    pub(crate) at: Option<String>,
    /// Exit with 1 if any line is of a lower tier: S, A, B or C.
    #[arg(long, value_name = "TIER", value_parser = tier)]
    pub(crate) at_least: Option<Tier>,
    /// Most lines.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    /// Write CSV.
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

/// By what bars are judged.
#[derive(Args, Debug)]
pub(crate) struct How {
    /// Bars are expected while this exchange is open: a name, or a file ending in .calendar. By default that of the venue in
    /// an instrument's name (0700.HK), and always where there is none.
    #[arg(long, value_name = "EXCHANGE")]
    pub(crate) calendar: Option<String>,
    /// Thresholds, calendars, universes and the store of this configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What else can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum QualityCommand {
    /// Mark findings as real: they cost nothing any more, as long as they are there.
    Accept(Accept),
    /// Take that back.
    Reopen(Accept),
    /// Hold the bars of one market at two or more sources against one another; of three, the one that is to blame is named.
    Compare(Compare),
    /// When bars of a source are likely to be missing, how late they arrive, and whether the forecast has any skill.
    Hazard(super::hazard::Hazard),
}

/// Arguments of `quality compare`.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// The instruments, as their sources name them: BTCUSDT.BINANCE BTCUSDT.OKX.
    #[arg(required = true, num_args = 2..)]
    pub(crate) instruments: Vec<String>,
    /// Of bars of this timeframe.
    #[arg(short = 't', long, default_value = "1m")]
    pub(crate) frame: String,
    #[command(flatten)]
    pub(crate) span: Span,
    #[command(flatten)]
    pub(crate) how: How,
    /// Most lines.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub(crate) limit: usize,
}

/// Arguments of `quality accept` and `quality reopen`.
#[derive(Args, Debug)]
pub(crate) struct Accept {
    /// Instrument.
    pub(crate) instrument: String,
    /// Timeframe.
    pub(crate) frame: String,
    /// The rule, as --findings names it.
    #[arg(value_parser = rule)]
    pub(crate) rule: Rule,
    #[command(flatten)]
    pub(crate) span: Span,
    #[command(flatten)]
    pub(crate) how: How,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// A series.
    Series,
    /// An instrument, all of its timeframes.
    Instrument,
    /// A timeframe, of all instruments.
    Timeframe,
    /// A day, UTC, of everything.
    Day,
    /// A universe of the configuration; without one, everything.
    Universe,
}

fn tier(text: &str) -> Result<Tier, String> {
    Tier::parse(text).ok_or_else(|| "a tier is S, A, B, C or F".to_owned())
}

fn rule(text: &str) -> Result<Rule, String> {
    Rule::parse(text).ok_or_else(|| {
        let names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        format!("the rules are {}", names.join(", "))
    })
}
