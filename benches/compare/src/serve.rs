//! Tapestore for another process that measures: a workload's name on a line of standard input, its seconds on a line
//! of standard output. So the script of the Python peers interleaves Tapestore with them in one run.

use std::io::{BufRead as _, Write as _};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tapestore::Store;

use crate::contender::{ALWAYS, Contender, Reader, Result};
use crate::ipc::Ipc;
use crate::machine;
use crate::measure::cpu_seconds;
use crate::table::{Group, Table};
use crate::tape::{self, TIERS, Tape, tier_name};
use crate::workloads;

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
    answer_all(|tier, workload, range| {
        let place = readers.iter_mut().find(|(tape, _)| tier_name(tape.tier) == tier);
        let (tape, reader) = place.ok_or_else(|| format!("no tier {tier}"))?;
        if workload == "bytes" {
            let directory = root.path().join(tier_name(tape.tier));
            return Ok(json!({ "bytes": machine::bytes_of(&directory)? }));
        }
        Ok(timed(|| work(workload, range, tape, reader.as_mut(), table, &mut target, root.path())))
    })
}

/// The same of many series, for `batch [START END]`, which reads all of them, and `bytes`. Each is left as an Arrow file in a
/// directory, for others to take it from: `0/table.arrow` and on.
pub(crate) fn serve_many(tables: &[Table], directory: &Path) -> Result<()> {
    for (number, table) in tables.iter().enumerate() {
        let place = directory.join(number.to_string());
        std::fs::create_dir(&place)?;
        Ipc(None).write(table, &place)?;
    }
    let root = tempfile::tempdir()?;
    let keys = tables.iter().map(tape::key).collect::<Result<Vec<_>>>()?;
    let mut stores: Vec<(Tape, Store)> = Vec::new();
    for tier in TIERS {
        let tape = Tape::of(tier);
        let directory = root.path().join(tier_name(tier));
        tape::fill(&directory, tape.options(), tables)?;
        let store = Store::open_read_only(&directory, tape.options())?;
        stores.push((tape, store));
    }
    answer_all(|tier, workload, range| {
        let place = stores.iter().find(|(tape, _)| tier_name(tape.tier) == tier);
        let (tape, store) = place.ok_or_else(|| format!("no tier {tier}"))?;
        match workload {
            "bytes" => Ok(json!({ "bytes": machine::bytes_of(&root.path().join(tier_name(tape.tier)))? })),
            "batch" => {
                let expected: usize = tables.iter().map(|table| table.rows_between(range).len()).sum();
                Ok(timed(|| match workloads::read_many(&store.view(), &keys, range)? {
                    found if found == expected => Ok(()),
                    found => Err(format!("{found} rows, not {expected}").into()),
                }))
            }
            other => Err(format!("no workload {other}").into()),
        }
    })
}

/// Answers the lines of standard input.
fn answer_all(mut answer: impl FnMut(&str, &str, &Range<i64>) -> Result<Value>) -> Result<()> {
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [tier, workload, rest @ ..] = &words[..] else {
            return Err(format!("not a request: {line}").into());
        };
        let bounds: Vec<i64> = rest.iter().filter_map(|word| word.parse().ok()).collect();
        let range = if let [start, end] = bounds[..] { start..end } else { ALWAYS };
        let found = match *workload {
            "commit" => json!({ "commit": machine::COMMIT }),
            workload => answer(tier, workload, &range)?,
        };
        println!("{found}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// What some work took, or why it cannot be done.
fn timed(work: impl FnOnce() -> Result<()>) -> Value {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    match work() {
        Ok(()) => json!({ "wall": start.elapsed().as_secs_f64(), "cpu": cpu_seconds() - cpu }),
        Err(error) => json!({ "error": error.to_string() }),
    }
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
