//! The grammar of fetching.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `fetch`.
#[derive(Args, Debug)]
pub(crate) struct Fetch {
    /// Where from: binance, okx, yahoo, …; --list names them all.
    #[arg(required_unless_present_any = ["list", "config"])]
    pub(crate) source: Option<String>,
    /// Instruments as the source names them: BTCUSDT.
    #[arg(required_unless_present_any = ["list", "config"], value_name = "SYMBOL")]
    pub(crate) symbols: Vec<String>,
    /// Fetch what a configuration names instead: TOML or YAML; tape config check explains it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "since", "sessions", "calendar", "name", "url", "keys"])]
    pub(crate) config: Option<PathBuf>,
    /// Timeframes, or trades, separated by commas.
    #[arg(
        short = 't',
        long = "timeframe",
        value_delimiter = ',',
        value_name = "FRAME",
        default_value = "1m"
    )]
    pub(crate) frames: Vec<String>,
    /// First time that is expected: 2024-01-31, or 30d (ago). By default that of the series; five years if it is new.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Nothing is expected from here on; by default now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Show what is missing and what it costs; send nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Ask again for what was confirmed absent and compare what is there; look for files that were replaced.
    #[arg(long)]
    pub(crate) recheck: bool,
    /// Bars are expected in these sessions only: a CSV of start,end in any form of time, without a header.
    #[arg(long, value_name = "FILE", conflicts_with = "calendar")]
    pub(crate) sessions: Option<PathBuf>,
    /// Bars are expected while this exchange is open: as the store's table `calendar` says, or a file ending in .calendar, or a
    /// calendar that is compiled in (see tape calendar). Halts and listings in the store's tables count too.
    #[arg(long, value_name = "EXCHANGE")]
    pub(crate) calendar: Option<String>,
    /// What instruments are named here: {symbol}.NASDAQ.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Another address of the source.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A header with a key, and the variable of the environment that holds it: X-API-KEY=MY_KEY.
    #[arg(long = "key-env", value_name = "HEADER=VARIABLE", value_parser = super::pair)]
    pub(crate) keys: Vec<(String, String)>,
    /// Instruments at the same time.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: Option<u16>,
    /// Longest wait that the source may ask for.
    #[arg(long, value_name = "SPAN", default_value = "10m")]
    pub(crate) patience: String,
    /// Longest time a request may take.
    #[arg(long, value_name = "SPAN", default_value = "2m")]
    pub(crate) timeout: String,
    /// List the sources.
    #[arg(long)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) tiers: super::Tiers,
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check a configuration and tell what it means.
    Check {
        /// The file: TOML or YAML.
        file: PathBuf,
    },
}
