//! The part of the report on joins and resampling beside polars, from what `answers.py` left.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::contender::Result;
use crate::measure::{median, quantile, seconds};

/// What the questions are, in words, and what is aimed at.
const QUESTIONS: [(&str, &str); 4] = [
    ("join memory", "as-of join of a million trades with a million quotes, columns in memory"),
    ("join store", "the same out of a store, and out of two Parquet files"),
    ("resample memory", "minutes to hours over the longest file, columns in memory"),
    ("resample store", "the same out of a store, and out of a Parquet file"),
];
const AIM: f64 = 3.0;

/// Appends the table, if the script was run.
pub(crate) fn append(directory: &Path, text: &mut String) -> Result<()> {
    let Ok(found) = std::fs::read_to_string(directory.join("answers.json")) else { return Ok(()) };
    let found: Value = serde_json::from_str(&found)?;
    let word = |name: &str| found[name].as_str().unwrap_or("unknown").to_owned();
    writeln!(text, "## Joins and resampling beside polars\n")?;
    writeln!(
        text,
        "`benches/compare/answers.py`, {}; polars {}, one thread each, asked in turn on the same data (bars: {}). Processor \
         time: median and quartiles. Aimed at: {AIM} times as fast as polars.\n",
        word("date"),
        word("polars"),
        word("bars")
    )?;
    writeln!(text, "| | Tapestore | polars | times as fast | met |\n|-|-:|-:|-:|-|")?;
    for (question, meaning) in QUESTIONS {
        let samples = |name: &str| -> Vec<f64> {
            let list = found["answers"][question][name].as_array();
            list.map(|list| list.iter().filter_map(|run| run["cpu"].as_f64()).collect()).unwrap_or_default()
        };
        let (ours, theirs) = (samples("tapestore"), samples("polars"));
        if ours.is_empty() || theirs.is_empty() {
            continue;
        }
        let cell = |times: &[f64]| {
            let (low, high) = (quantile(times, 0.25), quantile(times, 0.75));
            format!("{} ({} – {})", seconds(median(times)), seconds(low), seconds(high))
        };
        let ratio = median(&theirs) / median(&ours);
        let met = if ratio >= AIM { "yes" } else { "**no**" };
        writeln!(text, "| {meaning} | {} | {} | {ratio:.2} | {met} |", cell(&ours), cell(&theirs))?;
    }
    writeln!(text)?;
    Ok(())
}
