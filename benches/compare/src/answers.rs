//! The part of the report on joins, resampling and last rows beside polars and a hash map, from what `answers.py` left.

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
/// Seconds of one question for a last row.
const LATEST_AIM: f64 = 1e-6;

/// Appends the table, if the script was run.
pub(crate) fn append(directory: &Path, text: &mut String) -> Result<()> {
    let Ok(found) = std::fs::read_to_string(directory.join("answers.json")) else { return Ok(()) };
    let found: Value = serde_json::from_str(&found)?;
    let word = |name: &str| found[name].as_str().unwrap_or("unknown").to_owned();
    writeln!(text, "## Joins and resampling beside polars, last rows\n")?;
    writeln!(
        text,
        "`benches/compare/answers.py`, {}; polars {}, one thread each, asked in turn on the same data (bars: {}). Processor \
         time: median and quartiles. Aimed at: {AIM} times as fast as polars.\n",
        word("date"),
        word("polars"),
        word("bars")
    )?;
    writeln!(text, "| | Tapestore | polars | times as fast | met |\n|-|-:|-:|-:|-|")?;
    let samples = |question: &str, name: &str| -> Vec<f64> {
        let list = found["answers"][question][name].as_array();
        list.map(|list| list.iter().filter_map(|run| run["cpu"].as_f64()).collect()).unwrap_or_default()
    };
    let cell = |times: &[f64]| {
        let (low, high) = (quantile(times, 0.25), quantile(times, 0.75));
        format!("{} ({} – {})", seconds(median(times)), seconds(low), seconds(high))
    };
    let met = |holds: bool| if holds { "yes" } else { "**no**" };
    for (question, meaning) in QUESTIONS {
        let (ours, theirs) = (samples(question, "tapestore"), samples(question, "polars"));
        if ours.is_empty() || theirs.is_empty() {
            continue;
        }
        let ratio = median(&theirs) / median(&ours);
        let met = met(ratio >= AIM);
        writeln!(text, "| {meaning} | {} | {} | {ratio:.2} | {met} |", cell(&ours), cell(&theirs))?;
    }
    let (ours, map) = (samples("latest", "tapestore"), samples("latest", "map"));
    if !ours.is_empty() && !map.is_empty() {
        writeln!(
            text,
            "\nThe last row of one of 10,000 series, in an order that no cache knows: {}; aimed at: {}; met: {}. A hash map of \
             the same rows in the same process: {}.",
            cell(&ours),
            seconds(LATEST_AIM),
            met(median(&ours) <= LATEST_AIM),
            cell(&map)
        )?;
    }
    writeln!(text)?;
    Ok(())
}
