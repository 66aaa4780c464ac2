//! The grammar of alerts, status and reports.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with alerts.
///
/// Exit codes of check and list: 0 nothing fires; 11, 12, 13, 14: the highest that fires is LOW, MEDIUM, HIGH, CRITICAL; 1: nothing
/// fires, but a sink could not be reached. Others as everywhere.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(crate) enum Alerts {
    /// Measure once, keep what changed, tell whoever is to know: for cron.
    Check(Check),
    /// What is pending and what fires.
    List,
    /// What was told, newest first.
    History(History),
    /// Say that one knows: it is not repeated.
    Ack(Ack),
    /// Keep quiet for a while; without a span of time, list what is kept quiet.
    Silence(Silence),
}

/// Arguments of `alerts check`.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The configuration with rules and sinks; without one the rules that tape config check names hold, and nobody is told.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Measure and show; keep nothing, tell nobody.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long to wait while another process writes the store.
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    pub(crate) wait: String,
}

/// Arguments of `alerts history`.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// From here on: 2024-01-31, or 30d (ago).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Of rules or subjects that fit this pattern.
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) limit: usize,
}

/// Arguments of `alerts ack`.
#[derive(Args, Debug)]
pub(crate) struct Ack {
    /// Fingerprints as tape alerts list shows them; their beginnings are enough.
    #[arg(required = true, value_name = "FINGERPRINT")]
    pub(crate) fingerprints: Vec<String>,
    /// What there is to say.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

/// Arguments of `alerts silence`.
#[derive(Args, Debug)]
pub(crate) struct Silence {
    /// Subjects, with * and ?: "BTC* 1m", store.
    #[arg(value_name = "SUBJECT", default_value = "*")]
    pub(crate) subject: String,
    /// Rules, with * and ?.
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    pub(crate) rule: String,
    /// For how long: 2h.
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) span: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// End the silence of this number.
    #[arg(long, value_name = "ID", conflicts_with_all = ["span", "reason", "rule"])]
    pub(crate) end: Option<String>,
}

/// Arguments of `status`.
///
/// Exit codes: 0 good; 1 no alert fires, but findings of weight are open or the last fetch failed; 11, 12, 13, 14: the
/// highest alert that fires is LOW, MEDIUM, HIGH, CRITICAL. Others as everywhere.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct Status {
    /// The configuration: what is kept current, calendars, rules of alerts.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show it anew every so many seconds, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) watch: Option<u32>,
    /// Write it to a file as JSON, which appears whole or not at all.
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
}

/// Arguments of `report`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// Only these instruments.
    #[arg(value_name = "INSTRUMENT")]
    pub(crate) instruments: Vec<String>,
    /// The page: one HTML file that needs nothing else; - is standard output. Replaced if it is there. With --json the same as
    /// JSON goes to standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The same as JSON, to a file.
    #[arg(long = "data", value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration: universes, what is kept current, calendars, rules of alerts.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) span: super::Span,
}
