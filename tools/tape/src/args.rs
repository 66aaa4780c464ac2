//! The grammar of the command line.

pub(crate) mod alerts;
pub(crate) mod backtest;
pub(crate) mod calendar;
pub(crate) mod explore;
pub(crate) mod factor;
pub(crate) mod fetch;
pub(crate) mod hazard;
pub(crate) mod live;
pub(crate) mod market;
pub(crate) mod quality;
pub(crate) mod repair;
pub(crate) mod schema;
pub(crate) mod table;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::calendar::TimeStyle;
use crate::import::OnError;
use crate::import::clock::Unit;
use tapestore::{Options, Tier};
use tapestore_catalog::{Kind, span};
use tapestore_format::schema::ColumnType;

/// Tapestore: an embedded store for market data.
///
/// Exit codes: 0 clean, 1 findings, 2 usage, 3 I/O or lock, 4 corruption.
#[derive(Debug, Parser)]
#[command(name = "tape", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Directory of the store.
    #[arg(long, global = true, env = "TAPE_STORE", value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Write JSON: one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no notes on standard error.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an empty store.
    Init,
    /// Import CSV or JSON files (plain, .gz, .zst, .zip, or - for standard input); creates the store if need be.
    Import(Box<Import>),
    /// Fetch what is missing of instruments from a source, and nothing else; creates the store if need be.
    Fetch(Box<fetch::Fetch>),
    /// The file that names what to keep current.
    #[command(subcommand)]
    Config(fetch::Config),
    /// What is wrong, and who is told: rules of a configuration, evaluated; what is open, what was told.
    #[command(subcommand)]
    Alerts(alerts::Alerts),
    /// How the store is, at a glance: what is there, how late, how good, what fires.
    Status(alerts::Status),
    /// The state of the store as one page: days, tiers, findings with their bars, trend, storage.
    Report(Box<alerts::Report>),
    /// List the series: rows, span, coverage.
    Ls(Ls),
    /// Describe a series, or the store.
    Info(Info),
    /// First rows of a series.
    Head(Ends),
    /// Last rows of a series; with -f also those that follow, as they are committed.
    Tail(live::Tail),
    /// Rows of a range.
    Show(Show),
    /// Least, greatest, sum and count of columns over a range, from zone maps.
    Aggregate(Aggregate),
    /// Write rows to a file as CSV or JSON lines.
    Export(Export),
    /// The newest row of one series, or of all.
    Latest(Latest),
    /// Bars out of finer bars or trades; shown, or stored and kept up to date.
    Resample(Box<market::Resample>),
    /// Rows of a series with the rows of another that were in force.
    Join(Box<market::Join>),
    /// One field of many instruments at the same times.
    Panel(Box<market::Panel>),
    /// Average price of a range, by volume and by time.
    Average(market::Average),
    /// When exchanges are open: the calendars there are, the days of one, one day explained.
    Calendar(calendar::Calendar),
    /// Signals of the store, traded on its bars: return, Sharpe, drawdown, information coefficients, costs.
    Backtest(Box<backtest::Backtest>),
    /// Every factor in every timeframe, traded and ranked: a table, a report, results in the store.
    Explore(Box<explore::Explore>),
    /// Rows with prices and volumes adjusted for splits and dividends.
    Adjust(Box<market::Adjust>),
    /// The order book at a time.
    Book(market::Book),
    /// A reference table as it was valid at one time and known at another.
    Table(Box<table::TableAt>),
    /// Technical indicators of bars: listed, computed, kept and brought up to date.
    #[command(subcommand)]
    Factor(factor::Factor),
    /// What is missing, from the gap index.
    Gaps(Gaps),
    /// What is there: a strip per series, or the covered ranges of one.
    Coverage(Coverage),
    /// How good bars are: checks what changed, and shows scores, tiers and findings.
    Quality(Box<quality::Quality>),
    /// Commits, newest first.
    Log(Log),
    /// Make the store as a schema file declares it, and compare the two.
    #[command(subcommand)]
    Schema(schema::Schema),
    /// Named versions that are always kept.
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// A new commit whose content equals an older version.
    Rollback(Rollback),
    /// Delete rows of a series, or all of it. Older versions keep them, until they are pruned.
    Delete(Delete),
    /// What declared tables keep and roll up: shows which rows would go and which bars be made; does it with --apply.
    Retain(live::Retain),
    /// Forget history before a version, to free space.
    Prune(Prune),
    /// Merge segments into few large ones.
    Compact(Compact),
    /// Check the store; findings are listed, nothing is changed.
    Verify(Verify),
    /// Put right bars that are missing or wrong (--plan, --apply, --undo), or save what a damaged store still holds (TARGET).
    ///
    /// With --plan or --apply, bars that `tape quality` counts as not usable get new ones: asked again of their source
    /// (--source), of another source of the same market (--other), built of finer bars of the store, or made up where nothing
    /// else is found (--forward-fill; such bars never count as complete). All of it is one version, --undo takes it back.
    ///
    /// With TARGET and nothing else, the files of the store are damaged: what can be read goes into a new store there.
    Repair(Box<repair::Repair>),
    /// Structure of the store's files: sizes per column and encoding, records, bytes.
    Inspect(Inspect),
    /// Numbers about the store.
    Stats,
    /// Copy a consistent version to a directory; repeated, copies only what is new.
    Backup(Backup),
    /// Completions for a shell.
    Completions(Completions),
    /// Make a store of three instruments, damage and repair the data, and tell what happens.
    Demo(Demo),
}

/// One series.
#[derive(Args, Clone, Debug)]
pub(crate) struct Series {
    /// Instrument, such as BTCUSDT.BINANCE.
    pub(crate) instrument: String,
    /// Timeframe (1m, 4h, 1d), trades, quotes, book, or the name of a table.
    pub(crate) frame: String,
}

/// Which state of the store.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct State {
    /// An earlier state: version number, snapshot name, or time.
    #[arg(long, value_name = "VERSION|SNAPSHOT|TIME")]
    pub(crate) as_of: Option<String>,
}

/// Which times.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Span {
    /// First time: 2024-01-31, ISO 8601, integer nanoseconds, or 30d (ago).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// End of the range, exclusive.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
}

/// How rows are written.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Form {
    /// Write CSV.
    #[arg(long)]
    pub(crate) csv: bool,
    /// How times are written.
    #[arg(long, value_enum, value_name = "STYLE", default_value = "iso")]
    pub(crate) time: TimeArgument,
    /// Columns, separated by commas; all by default.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) columns: Option<Vec<String>>,
    /// Also version, source and flags of each row.
    #[arg(long)]
    pub(crate) provenance: bool,
}

/// Which rows, of which state, and how they are written.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) span: Span,
    #[command(flatten)]
    pub(crate) form: Form,
    #[command(flatten)]
    pub(crate) state: State,
}

/// How times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeArgument {
    /// ISO 8601.
    #[default]
    Iso,
    /// Integer nanoseconds since the Unix epoch.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

impl From<TimeArgument> for TimeStyle {
    fn from(argument: TimeArgument) -> Self {
        match argument {
            TimeArgument::Iso => Self::Iso,
            TimeArgument::Ns => Self::Ns,
            TimeArgument::Us => Self::Us,
            TimeArgument::Ms => Self::Ms,
            TimeArgument::S => Self::S,
        }
    }
}

/// Arguments of `import`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Import {
    /// Files in the order they are imported; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files hold: trades, quotes, depth, book, instruments, orders, …; columns get their standard names.
    #[arg(long, value_parser = kind)]
    pub(crate) kind: Option<Kind>,
    /// Instrument, such as BTCUSDT.BINANCE; kinds of tables have one of their own: reference, metadata, transactions.
    #[arg(long, required_unless_present = "kind")]
    pub(crate) instrument: Option<String>,
    /// Timeframe (1m, 4h, 1d), trades, quotes, book, or the name of a table; by default the name of the kind.
    #[arg(long, required_unless_present = "kind")]
    pub(crate) frame: Option<String>,
    /// Where the rows come from; kept with each row.
    #[arg(long, default_value = "import", value_name = "NAME")]
    pub(crate) source: String,
    /// A column and where it is in the file: close=last (by name), open=3 (by position, from 1), time=ts.
    #[arg(long = "column", value_name = "NAME=COLUMN", value_parser = pair)]
    pub(crate) columns: Vec<(String, String)>,
    /// Type of a column: i64, f64, f32, u8, bool, string, timestamp.
    #[arg(long = "type", value_name = "NAME=TYPE", value_parser = typed)]
    pub(crate) types: Vec<(String, ColumnType)>,
    /// Take only rows with this value in this column of the file.
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = pair)]
    pub(crate) filters: Vec<(String, String)>,
    /// Columns that, with the time, identify a row of trades or a table (a trade id), separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) dedup: Vec<String>,
    /// A table holds one row per time, as bars do; an equal time replaces.
    #[arg(long, conflicts_with = "dedup")]
    pub(crate) unique: bool,
    /// Unit of the times; found by itself otherwise, per file.
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) time_unit: Option<Unit>,
    /// Take clock times as they stand, without their zone: daily bars keep their date.
    #[arg(long)]
    pub(crate) drop_zone: bool,
    /// The file has a header, whatever it looks like.
    #[arg(long, conflicts_with = "no_header")]
    pub(crate) header: bool,
    /// The file has no header, whatever it looks like.
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Delimiter of the CSV; found by itself otherwise.
    #[arg(long, value_parser = delimiter, value_name = "CHAR")]
    pub(crate) delimiter: Option<u8>,
    /// Kind of file; found by itself otherwise.
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Which file of a zip.
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// Bars without a volume column get volume 0.
    #[arg(long)]
    pub(crate) no_volume: bool,
    /// What a bad row does.
    #[arg(long, value_enum, default_value = "stop")]
    pub(crate) on_error: OnError,
    /// Where bad rows go; default: FILE.quarantine.
    #[arg(long, value_name = "FILE")]
    pub(crate) quarantine: Option<PathBuf>,
    /// Message of the commit.
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// Most rows of one transaction; a file is one transaction up to this.
    #[arg(long, default_value_t = 4_000_000, value_name = "COUNT", value_parser = positive)]
    pub(crate) batch_rows: u64,
    #[command(flatten)]
    pub(crate) tiers: Tiers,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Separated values.
    Csv,
    /// A JSON document, or one value a line.
    Json,
}

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// Only series whose instrument contains this.
    pub(crate) pattern: Option<String>,
    #[command(flatten)]
    pub(crate) state: State,
}

/// Arguments of `info`.
#[derive(Args, Debug)]
pub(crate) struct Info {
    /// Instrument; without, the store is described.
    #[arg(requires = "frame")]
    pub(crate) instrument: Option<String>,
    /// Frame.
    pub(crate) frame: Option<String>,
    #[command(flatten)]
    pub(crate) state: State,
}

/// Arguments of `head` and `tail`.
#[derive(Args, Debug)]
pub(crate) struct Ends {
    #[command(flatten)]
    pub(crate) series: Series,
    /// Number of rows.
    #[arg(short = 'n', long, visible_alias = "limit", default_value_t = 10)]
    pub(crate) rows: usize,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `show`.
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) series: Series,
    /// Most rows; a table shows 100 unless told otherwise.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `aggregate`.
#[derive(Args, Debug)]
pub(crate) struct Aggregate {
    #[command(flatten)]
    pub(crate) series: Series,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Columns, separated by commas; all that hold numbers by default.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) columns: Option<Vec<String>>,
    #[command(flatten)]
    pub(crate) state: State,
}

/// Arguments of `export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) series: Series,
    /// Most rows.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
    /// File to write; - is standard output.
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Replace the file if it exists.
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `latest`.
#[derive(Args, Debug)]
pub(crate) struct Latest {
    /// Instrument; all when absent.
    pub(crate) instrument: Option<String>,
    /// Frame; all when absent.
    pub(crate) frame: Option<String>,
    #[command(flatten)]
    pub(crate) form: Form,
    #[command(flatten)]
    pub(crate) state: State,
}

/// Arguments of `gaps`.
#[derive(Args, Debug)]
pub(crate) struct Gaps {
    #[command(flatten)]
    pub(crate) series: Series,
    #[command(flatten)]
    pub(crate) span: Span,
    /// Only bars inside these sessions are expected: a CSV of start,end in any form of time, without a header.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "calendar"])]
    pub(crate) sessions: Option<PathBuf>,
    /// Only bars while this exchange is open are expected: as the store's table `calendar` says, or a file ending in .calendar, or
    /// a calendar that is compiled in (see tape calendar). Halts and listings in the store's tables count too.
    #[arg(long, value_name = "EXCHANGE")]
    pub(crate) calendar: Option<String>,
    /// Bars are cut by the clock, on whole hours of UTC, and not from the start of sessions.
    #[arg(long, requires = "calendar")]
    pub(crate) clock: bool,
    /// The instrument trades seldom: only days without any bar are gaps.
    #[arg(long, requires = "calendar")]
    pub(crate) seldom: bool,
    /// Most gaps that are listed; the total counts all.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    /// Write CSV.
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

/// Arguments of `coverage`.
#[derive(Args, Debug)]
pub(crate) struct Coverage {
    /// Instrument; all when absent.
    pub(crate) instrument: Option<String>,
    /// Frame; all when absent.
    pub(crate) frame: Option<String>,
    #[command(flatten)]
    pub(crate) span: Span,
    /// List the covered ranges of the series instead of a strip.
    #[arg(long)]
    pub(crate) ranges: bool,
    /// Most ranges that are listed.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) state: State,
}

/// Arguments of `log`.
#[derive(Args, Debug)]
pub(crate) struct Log {
    /// Most commits, or operations.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// What was done to the store instead of its commits: imports, changes of schemas, maintenance.
    #[arg(long)]
    pub(crate) operations: bool,
    /// Only operations since: 2024-01-31, ISO 8601, integer nanoseconds, or 30d (ago).
    #[arg(long, value_name = "TIME", requires = "operations")]
    pub(crate) since: Option<String>,
    /// Only operations of this kind: import, schema, compact, …
    #[arg(long, value_name = "KIND", requires = "operations")]
    pub(crate) kind: Option<String>,
    /// Only operations that failed.
    #[arg(long, requires = "operations")]
    pub(crate) failed: bool,
    /// Write CSV.
    #[arg(long, requires = "operations")]
    pub(crate) csv: bool,
}

/// Arguments of `snapshot`.
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Name a version.
    Create {
        /// Name.
        name: String,
        /// The version: number, snapshot, or time; the newest when absent.
        #[arg(long, value_name = "VERSION|SNAPSHOT|TIME")]
        at: Option<String>,
    },
    /// List the snapshots.
    Ls,
    /// Forget a name; its version is then kept only as retention says.
    Drop {
        /// Name.
        name: String,
    },
}

/// Arguments of `rollback`.
#[derive(Args, Debug)]
pub(crate) struct Rollback {
    /// Version number, snapshot name, or time.
    pub(crate) to: String,
}

/// Arguments of `delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) series: Series,
    #[command(flatten)]
    pub(crate) span: Span,
    /// The series itself, with all its rows.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub(crate) all: bool,
}

/// Arguments of `prune`.
#[derive(Args, Debug)]
pub(crate) struct Prune {
    /// The oldest state to keep: version number, snapshot name, or time.
    #[arg(long, value_name = "VERSION|SNAPSHOT|TIME")]
    pub(crate) keep_from: String,
}

/// Arguments of `compact`.
#[derive(Args, Debug)]
pub(crate) struct Compact {
    /// Rewrite everything in this tier; without it, only what is due is merged, in the usual tier.
    #[arg(long, conflicts_with = "cold_after")]
    pub(crate) tier: Option<TierArgument>,
    #[command(flatten)]
    pub(crate) aging: Aging,
}

/// When rows become cold.
#[derive(Args, Clone, Debug)]
pub(crate) struct Aging {
    /// Rows that are so much older than the newest of their series become cold where compaction writes: 30d, 12h, 1y. In whole
    /// pieces of 65,536 rows; what is cold already is left alone. The store does not remember it: give it each time, as a
    /// compaction without it writes the rows that it merges in the usual tier.
    #[arg(long, value_name = "AGE", value_parser = age, allow_hyphen_values = true)]
    pub(crate) cold_after: Option<i64>,
}

/// In which tiers a command that brings rows writes them.
#[derive(Args, Clone, Debug)]
pub(crate) struct Tiers {
    /// How new rows are encoded when they are sealed: hot is read quickest. Compaction moves them to the usual tier.
    #[arg(long, value_name = "TIER")]
    pub(crate) sealed_tier: Option<TierArgument>,
    #[command(flatten)]
    pub(crate) aging: Aging,
}

impl Tiers {
    /// The usual options with these tiers.
    pub(crate) fn options(&self) -> Options {
        let sealed_tier = self.sealed_tier.map(TierArgument::tier);
        Options { sealed_tier, cold_after_ns: self.aging.cold_after, ..Options::default() }
    }
}

/// How rows are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TierArgument {
    /// As in memory.
    Hot,
    /// Small, quick to decode.
    Dense,
    /// Smallest, decoded more slowly.
    Cold,
}

impl TierArgument {
    pub(crate) fn tier(self) -> Tier {
        match self {
            Self::Hot => Tier::Hot,
            Self::Dense => Tier::Dense,
            Self::Cold => Tier::Cold,
        }
    }
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Read and decode every byte.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Note in the store's log that it was done, and what came of it: tape status shows it.
    #[arg(long)]
    pub(crate) note: bool,
}

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A file of the store, by path or by name; all files are listed when absent.
    pub(crate) file: Option<PathBuf>,
    /// Bytes of the file in hexadecimal.
    #[arg(long, value_name = "OFFSET:LENGTH", value_parser = byte_range, requires = "file")]
    pub(crate) hexdump: Option<(u64, u64)>,
}

/// Arguments of `backup`.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// Directory; an earlier backup of the same store is brought up to date.
    pub(crate) directory: PathBuf,
    /// Note in the store's log that it was done: tape status shows it. The note itself is in the next backup.
    #[arg(long)]
    pub(crate) note: bool,
}

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Keep the store and its CSV files in this new directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
        format!("{text:?} is no kind; the kinds are {}", names.join(", "))
    })
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn typed(text: &str) -> Result<(String, ColumnType), String> {
    let (name, kind) = pair(text)?;
    let kind = ColumnType::parse(&kind).ok_or_else(|| {
        let names: Vec<_> = ColumnType::ALL.into_iter().map(ColumnType::name).collect();
        format!("{kind:?} is no type; the types are {}", names.join(", "))
    })?;
    Ok((name, kind))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        "comma" => Ok(b','),
        "semicolon" => Ok(b';'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err("write one ASCII character, or comma, semicolon, tab".to_owned()),
        },
    }
}

fn positive(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number above 0".to_owned())
}

fn age(text: &str) -> Result<i64, String> {
    let span = span::parse(text).filter(|span| *span > 0);
    span.ok_or_else(|| "write a number above 0 and a unit: 30d, 12h, 1y".to_owned())
}

fn byte_range(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let parts = text.split_once(':').and_then(|(offset, length)| Some((number(offset)?, number(length)?)));
    parts.ok_or_else(|| "write OFFSET:LENGTH, decimal or 0x…".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contract_for_scripts_parses() {
        for line in [
            "tape --store S import FILE --instrument NEOUSD.BITFINEX --frame 1m",
            "tape --store S export NEOUSD.BITFINEX 1m --csv --time ns -o FILE",
            "tape --store S gaps NEOUSD.BITFINEX 1m --json",
            "tape --store S stats --json",
            "tape --store S verify --deep --json",
            "tape --store S snapshot create x --at 3",
            "tape demo --keep D",
            "tape inspect f --hexdump 0x40:16",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(byte_range("0x40:16"), Ok((64, 16)));
        assert!(byte_range("5").is_err());
        assert_eq!([delimiter("tab"), delimiter(";")], [Ok(b'\t'), Ok(b';')]);
        assert!(delimiter("ab").is_err() && pair("a").is_err() && positive("0").is_err());
        assert!(typed("a=int").unwrap_err().contains("timestamp"));
        assert_eq!(age("30d"), Ok(30 * 86_400_000_000_000));
        assert!(["", "30", "d", "0d", "-1d", "soon", "1000000y"].iter().all(|text| age(text).is_err()));
    }
}
