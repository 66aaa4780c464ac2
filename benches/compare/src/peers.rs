//! The part of the report on the peers in Python, from what `peers.py` left.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::contender::Result;
use crate::figures::clock_of;
use crate::measure::{median, quantile, seconds};

/// Appends the tables, if the script was run.
pub(crate) fn append(directory: &Path, text: &mut String, _plots: &Path) -> Result<()> {
    let Ok(found) = std::fs::read_to_string(directory.join("peers.json")) else { return Ok(()) };
    let peers: Value = serde_json::from_str(&found)?;
    let versions: Vec<String> = peers["versions"]
        .as_object()
        .map(|map| {
            map.iter().map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?"))).collect()
        })
        .unwrap_or_default();
    writeln!(text, "## Peers in Python\n")?;
    writeln!(
        text,
        "`benches/compare/peers.py`, {}, {}, Tapestore at {}; {}. Each peer writes the table to its own files with its defaults unless said \
         otherwise, and hands results out in its own columnar form, no further. All have one thread, but Tapestore where it reads many series at once: \
         processor time is that of all. It runs in a process beside, asked over a pipe, which is part of none of its times; rounds are interleaved. *Reserve* is what a store sets aside so that it can still \
         write when the device is full; it does not grow with the rows, and is not in its bytes per row here.\n",
        peers["date"].as_str().unwrap_or("undated"),
        peers["machine"].as_str().unwrap_or("a machine that is not named"),
        peers["commit"].as_str().unwrap_or("a commit that is not named"),
        versions.join(", ")
    )?;
    for entry in peers["tables"].as_array().map_or(&[][..], Vec::as_slice) {
        table(entry, text)?;
    }
    for note in peers["notes"].as_array().map_or(&[][..], Vec::as_slice) {
        writeln!(text, "- {}", note.as_str().unwrap_or_default())?;
    }
    writeln!(text)?;
    Ok(())
}

fn table(entry: &Value, text: &mut String) -> Result<()> {
    let Some(contenders) = entry["contenders"].as_object() else { return Ok(()) };
    let workloads: Vec<&str> = entry["workloads"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let samples = |contender: &Value, workload: &str| -> Vec<f64> {
        let list = contender[clock_of(workload)][workload].as_array();
        list.map(|list| list.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
    };
    let rows = entry["rows"].as_u64().unwrap_or(0);
    writeln!(
        text,
        "| {}, {rows} rows | bytes/row | {} |",
        entry["table"].as_str().unwrap_or(""),
        workloads.join(" | ")
    )?;
    writeln!(text, "|-|-:|{}", "-:|".repeat(workloads.len()))?;
    let reserve = tapestore::Options::default().reserve_bytes as f64;
    let own = &contenders.get("tapestore dense").cloned().unwrap_or_default();
    for (name, contender) in contenders {
        let reserve = if name.starts_with("tapestore") { reserve } else { 0.0 };
        let bytes = contender["bytes"].as_f64().map_or("–".to_owned(), |bytes| {
            let beside = if reserve > 0.0 {
                format!(" + {:.2} of reserve", reserve / rows as f64)
            } else {
                String::new()
            };
            format!("{:.2}{beside}", (bytes - reserve) / rows as f64)
        });
        let cell = |workload: &&str| {
            let (found, ours) = (samples(contender, workload), samples(own, workload));
            if found.is_empty() {
                return "–".to_owned();
            }
            let (low, high) = (quantile(&found, 0.25), quantile(&found, 0.75));
            format!(
                "{} ({} – {}; {:.2}×)",
                seconds(median(&found)),
                seconds(low),
                seconds(high),
                median(&found) / median(&ours)
            )
        };
        let cells: Vec<String> = workloads.iter().map(cell).collect();
        writeln!(text, "| {name} | {bytes} | {} |", cells.join(" | "))?;
    }
    writeln!(text, "\nMedian, quartiles, and how many times as long as Tapestore dense takes.\n")?;
    Ok(())
}
