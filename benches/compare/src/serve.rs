//! Tapestore for another process that measures: a workload's name on a line of standard input, its seconds on a line
//! of standard output. So the script of the Python peers interleaves Tapestore with them in one run.

use std::io::{BufRead as _, Write as _};
use std::ops::Range;
use std::time::Instant;

use serde_json::json;

use crate::contender::{ALWAYS, Contender, Reader, Result};
use crate::machine;
use crate::measure::cpu_seconds;
use crate::table::{Group, Table};
use crate::tape::{TIERS, Tape, tier_name};

/// Answers `TIER WORKLOAD [START END]` until the input ends. Workloads: `write`, `rows`, `close`, `range START END`,
/// `gaps`, `year START END`, `open`, `bytes`, `commit`. What cannot be done is answered by an error.
pub(crate) fn serve(group: &Group) -> Result<()> {
    let root = tempfile::tempdir()?;
    let table = &group.tables[0];
    let mut readers: Vec<(Tape, Box<dyn Reader>)> = Vec::new();
    for tier in TIERS {
        let tape = Tape::of(tier);
        let directory = root.path().join(tier_name(tier));
        tape.write(table, &directory)?;
        let reader = tape.open(&directory)?;
        readers.push((tape, reader));
    }
    let mut target = table.emptied();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [tier, workload, rest @ ..] = &words[..] else {
            return Err(format!("not a request: {line}").into());
        };
        let bounds: Vec<i64> = rest.iter().filter_map(|word| word.parse().ok()).collect();
        let range = if let [start, end] = bounds[..] { start..end } else { ALWAYS };
        let place = readers.iter_mut().find(|(tape, _)| tier_name(tape.tier) == *tier);
        let (tape, reader) = place.ok_or_else(|| format!("no tier {tier}"))?;
        let directory = root.path().join(tier_name(tape.tier));
        let answer = match *workload {
            "bytes" => json!({ "bytes": machine::bytes_of(&directory)? }),
            "commit" => json!({ "commit": machine::COMMIT }),
            _ => {
                let (start, cpu) = (Instant::now(), cpu_seconds());
                match work(workload, &range, tape, reader.as_mut(), table, &mut target, root.path()) {
                    Ok(()) => json!({ "wall": start.elapsed().as_secs_f64(), "cpu": cpu_seconds() - cpu }),
                    Err(error) => json!({ "error": error.to_string() }),
                }
            }
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn work(
    workload: &str,
    range: &Range<i64>,
    tape: &Tape,
    reader: &mut dyn Reader,
    table: &Table,
    target: &mut Table,
    root: &std::path::Path,
) -> Result<()> {
    match workload {
        "write" => {
            let directory = root.join("written");
            if directory.exists() {
                std::fs::remove_dir_all(&directory)?;
            }
            tape.write(table, &directory)
        }
        "rows" | "range" => reader.rows_into(range, target),
        "close" => reader.scan(&["close"]).map(drop),
        "gaps" => {
            reader.gaps(table.step_ns().ok_or("bars of no fixed step have no gaps to count")?).map(drop)
        }
        "year" => reader.summary("volume", range).map(drop),
        "open" => tape.open(&root.join(tier_name(tape.tier))).map(drop),
        other => Err(format!("no workload {other}").into()),
    }
}
