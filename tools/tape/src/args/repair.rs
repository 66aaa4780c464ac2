//! Arguments of `repair`.

use std::path::PathBuf;

use clap::Args;

use super::{Span, pair};

/// Arguments of `repair`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["target", "plan", "apply", "undo"])))]
pub(crate) struct Repair {
    /// Save a damaged store: directory of the new store, which must not exist. The damaged store is not changed.
    #[arg(conflicts_with_all = ["instrument", "frame", "from", "to", "source", "other", "forward_fill", "calendar", "config"])]
    pub(crate) target: Option<PathBuf>,
    /// Show which bars would be put in place of which, and change no bar.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Do it, in one version.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Take a repair back: the version of it, or the last one. What changed since is left as it is, and told.
    #[arg(long, value_name = "VERSION", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "not given, given without a version, given with one")]
    pub(crate) undo: Option<Option<u64>>,
    /// Only this instrument.
    #[arg(long)]
    pub(crate) instrument: Option<String>,
    /// Only bars of this timeframe.
    #[arg(long)]
    pub(crate) frame: Option<String>,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Ask this source again, for series whose bars come from it; tape fetch --list names sources.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Where the source is, if not where it usually is.
    #[arg(long, value_name = "URL", requires = "source")]
    pub(crate) url: Option<String>,
    /// Another instrument of the same market whose prices may be taken, never its volume: BTCUSDT.BINANCE=BTCUSDT.OKX. Several are
    /// asked in their order.
    #[arg(long, value_name = "INSTRUMENT=OTHER", value_parser = pair)]
    pub(crate) other: Vec<(String, String)>,
    /// Where nothing else is found, make up a bar of the close before, without volume, flagged: it never counts as complete.
    #[arg(long)]
    pub(crate) forward_fill: bool,
    /// Bars are expected while this exchange is open, as tape quality --calendar.
    #[arg(long, value_name = "EXCHANGE")]
    pub(crate) calendar: Option<String>,
    /// Thresholds, calendars and other sources of the section `quality` of this configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Most bars that are listed; all are counted.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub(crate) limit: usize,
}
