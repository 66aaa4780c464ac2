//! The grammar of `tape factor`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Selection;

/// Factors of bars: technical indicators by the names and meanings of TA-Lib.
#[derive(Debug, Subcommand)]
pub(crate) enum Factor {
    /// What there is: names, parameters, warm-up, and what a value depends on.
    List(List),
    /// The functions of expressions.
    Functions,
    /// Computes factors; shows them, or keeps them as series that are brought up to date by what changed.
    Compute(Box<Compute>),
    /// What is kept, of what use it was, and what of it is out of date.
    Cache(Cache),
}

/// Arguments of `factor list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only factors whose name contains this.
    pub(crate) pattern: Option<String>,
    /// Write CSV.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// What counts as a gap, after which factors begin anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Gaps {
    /// Every bar that is not there, also where the market is closed; made-up bars are not there.
    #[default]
    Break,
    /// Bars missing within --sessions or --calendar, but for confirmed absences.
    Bridge,
    /// As bridge, and made-up bars (flagged synthetic) count as bars.
    Fills,
    /// Nothing: rows are taken as they stand.
    Rows,
}

/// Sets of factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PackArgument {
    /// The 72 of tape factor list.
    #[default]
    Ta,
    /// Alpha158.
    Alpha158,
}

/// Arguments of `factor compute`.
#[derive(Args, Debug)]
pub(crate) struct Compute {
    /// Instruments, such as 0700.HK; several only with --save.
    #[arg(required = true, value_name = "INSTRUMENT")]
    pub(crate) instruments: Vec<String>,
    /// Timeframe of the bars that they are made of.
    #[arg(long, default_value = "1m", value_name = "TIMEFRAME")]
    pub(crate) frame: String,
    /// Factors by name, separated by commas; see tape factor list.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAMES")]
    pub(crate) factors: Vec<String>,
    /// Which factors: those of TA-Lib's names, or the 158 of Qlib's handler.
    #[arg(long, value_enum, default_value = "ta", value_name = "PACK", conflicts_with_all = ["expressions"])]
    pub(crate) pack: PackArgument,
    /// A factor as text: NAME=EXPRESSION, such as 'up=Mean($close > Ref($close, 1), 20)'; see tape factor functions.
    #[arg(long = "expr", value_parser = super::pair, value_name = "NAME=EXPRESSION")]
    pub(crate) expressions: Vec<(String, String)>,
    /// The name under which expressions are kept: INSTRUMENT factors/NAME@TIMEFRAME.
    #[arg(long, requires = "expressions", default_value = "expressions", value_name = "NAME")]
    pub(crate) name: String,
    /// Timeframes that the bars are resampled into, separated by commas; all: 1m to 1d; by default that of the bars.
    #[arg(long, value_delimiter = ',', value_name = "TIMEFRAMES")]
    pub(crate) timeframes: Option<Vec<String>>,
    /// What counts as a gap, after which factors begin anew.
    #[arg(long, value_enum, default_value = "break", value_name = "POLICY")]
    pub(crate) gaps: Gaps,
    /// When the market is open: a CSV of start,end in any form of time, without a header. No bar crosses a session's end.
    #[arg(long, value_name = "FILE")]
    pub(crate) sessions: Option<PathBuf>,
    /// When the market is open, by an exchange: as the store's table `calendar` says, or a file ending in .calendar, or a
    /// calendar that is compiled in (see tape calendar).
    #[arg(long, value_name = "EXCHANGE", conflicts_with = "sessions")]
    pub(crate) calendar: Option<String>,
    /// Keep them as series (INSTRUMENT factors/PACK@TIMEFRAME): only what depends on changed bars is computed anew.
    #[arg(long, conflicts_with_all = ["csv", "columns", "time", "provenance", "from", "to", "as_of"])]
    pub(crate) save: bool,
    /// Then drop kept factors, those used longest ago first, until the rest takes this much: 500MB, 2GB.
    #[arg(long, requires = "save", value_parser = size, value_name = "SIZE")]
    pub(crate) budget: Option<u64>,
    /// Most threads; as many as there are processors by default.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `factor cache`.
#[derive(Args, Debug)]
pub(crate) struct Cache {
    /// Drop kept factors, those used longest ago first, until the rest takes this much: 500MB, 2GB; 0 drops all.
    #[arg(long, value_parser = size, value_name = "SIZE")]
    pub(crate) budget: Option<u64>,
    /// Write CSV.
    #[arg(long)]
    pub(crate) csv: bool,
}

pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "k" | "kB" | "KB" => 1000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        _ => return Err("write a number of bytes, or 500MB, 2GB".to_owned()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    bytes.ok_or_else(|| "write a number of bytes, or 500MB, 2GB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units() {
        assert_eq!([size("0"), size("12kB"), size("2GB")], [Ok(0), Ok(12_000), Ok(2_000_000_000)]);
        assert!(size("2 XB").is_err() && size("").is_err() && size("99999999999GB").is_err());
    }
}
