//! Tapestore side by side with Parquet, Arrow IPC and pco, in one process, on the same rows.
//!
//! `cargo run --release` takes sizes and times of everything in `shared/data` and writes `benches/RESULTS.md`, the
//! figures behind it (`results.json`) and plots. With the path of a CSV file of bars or trades, the same for that file. Parts:
//! `sizes`, `times`, `batch`, `report`; what a part measures takes the place of what the file of figures had. `serve` answers
//! the script of the Python peers.

mod answers;
mod contender;
mod data;
mod figures;
mod ipc;
mod machine;
mod measure;
mod parquet;
mod pcodec;
mod peers;
mod plot;
mod report;
mod serve;
mod table;
mod tape;
mod targets;
mod workloads;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use contender::Result;
use table::Group;

/// What the command line asks for.
struct Arguments {
    parts: Vec<String>,
    csv: Vec<PathBuf>,
    rounds: u32,
    only: String,
    skip: String,
    files: String,
    workloads: String,
    tables: Vec<String>,
    out: PathBuf,
}

/// What is timed unless tables are named.
const TABLES: [&str; 4] = ["NEARUSDT", "BTCUSD", "SPY_trade_201310", "AIG_quote_201310_head"];

const USAGE: &str = "tape-compare [sizes] [times] [batch] [report] [FILE.csv[.gz]]... \
    [--rounds N] [--only CONTENDER] [--skip CONTENDER] [--files NAME] [--workloads A,B] [--tables A,B] [--out DIRECTORY]";

fn arguments() -> std::result::Result<Arguments, String> {
    let mut out = Arguments {
        parts: Vec::new(),
        csv: Vec::new(),
        rounds: 9,
        only: String::new(),
        skip: String::new(),
        files: String::new(),
        workloads: String::new(),
        tables: TABLES.map(Into::into).into(),
        out: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
    };
    let mut given = std::env::args().skip(1);
    let mut elsewhere = false;
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "sizes" | "times" | "batch" | "report" | "serve" => out.parts.push(argument),
            "--rounds" => out.rounds = value()?.parse().map_err(|_| "--rounds needs a number".to_owned())?,
            "--only" => out.only = value()?,
            "--skip" => out.skip = value()?,
            "--files" => out.files = value()?,
            "--workloads" => out.workloads = value()?,
            "--tables" => out.tables = value()?.split(',').map(str::to_owned).collect(),
            "--out" => (out.out, elsewhere) = (PathBuf::from(value()?), true),
            path if !path.starts_with('-') => out.csv.push(PathBuf::from(path)),
            _ => return Err(USAGE.to_owned()),
        }
    }
    if !out.csv.is_empty() && !elsewhere {
        out.out = PathBuf::from(".");
    }
    Ok(out)
}

fn main() -> std::process::ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return std::process::ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::from(3)
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.parts.iter().any(|part| part == "serve") {
        let path = arguments.csv.first().ok_or("serve needs a file")?;
        return serve::serve(&data::bars_of(path)?);
    }
    let wanted = |part: &str| arguments.parts.is_empty() || arguments.parts.iter().any(|given| given == part);
    let figures = if arguments.csv.is_empty() && arguments.out.join("compare").is_dir() {
        arguments.out.join("compare/results.json")
    } else {
        arguments.out.join("results.json")
    };
    let mut results: Value = match std::fs::read_to_string(&figures) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => json!({ "sizes": [], "times": [] }),
    };
    if wanted("sizes") {
        take_sizes(arguments, &mut results, &figures)?;
    }
    if wanted("times") {
        let groups = if arguments.csv.is_empty() {
            arguments
                .tables
                .iter()
                .map(|name| data::table(name))
                .collect::<std::result::Result<Vec<_>, _>>()?
        } else {
            arguments
                .csv
                .iter()
                .map(|path| data::file_of(path))
                .collect::<std::result::Result<Vec<_>, _>>()?
        };
        for group in groups {
            eprintln!("{}: {} rows", group.name, group.rows());
            let put = &mut |entry| put_times(&mut results, entry, &figures);
            workloads::time_table(&group, arguments.rounds, &arguments.workloads, &arguments.only, put)?;
        }
    }
    if wanted("batch") && arguments.csv.is_empty() {
        eprintln!("batch");
        for entry in workloads::time_batch(&data::windows()?, arguments.rounds)? {
            put_times(&mut results, entry, &figures)?;
        }
    }
    if wanted("report") {
        report::write(&results, &arguments.out, figures.parent().unwrap_or(Path::new(".")))?;
        println!("{}", arguments.out.join("RESULTS.md").display());
    }
    Ok(())
}

fn take_sizes(arguments: &Arguments, results: &mut Value, figures: &Path) -> Result<()> {
    let groups: Vec<Group> = if arguments.csv.is_empty() {
        let mut all = data::klines(&arguments.files)?;
        all.extend(data::ticks(&arguments.files)?);
        all.extend(data::books(&arguments.files)?);
        all.extend(data::daily(&arguments.files)?);
        all
    } else {
        arguments.csv.iter().map(|path| data::file_of(path)).collect::<std::result::Result<Vec<_>, _>>()?
    };
    for group in groups.iter().filter(|group| {
        arguments.files.is_empty() || group.name.contains(&arguments.files) || arguments.files == "daily"
    }) {
        eprintln!("{}: {} rows", group.name, group.rows());
        let found = workloads::sizes(group, &arguments.only, &arguments.skip)?;
        let list = results["sizes"].as_array_mut().ok_or("no list of sizes")?;
        let place = list.iter().position(|entry| entry["file"] == group.name.as_str());
        let place = place.unwrap_or_else(|| {
            list.push(json!({ "file": group.name, "contenders": Map::new() }));
            list.len() - 1
        });
        let entry = &mut list[place];
        entry["kind"] = group.kind.name().into();
        entry["rows"] = group.rows().into();
        entry["raw_bytes"] = group.raw_bytes().into();
        let known = entry["contenders"].as_object_mut().ok_or("no contenders")?;
        known.extend(found);
        save(results, figures)?;
    }
    Ok(())
}

/// Puts a workload's times in the place of older ones, with the machine that they were taken on.
fn put_times(results: &mut Value, mut entry: Value, figures: &Path) -> Result<()> {
    entry["machine"] = machine::describe();
    let list = results["times"].as_array_mut().ok_or("no list of times")?;
    list.retain(|known| known["workload"] != entry["workload"] || known["table"] != entry["table"]);
    list.push(entry);
    save(results, figures)
}

fn save(results: &mut Value, figures: &Path) -> Result<()> {
    results["machine"] = machine::describe();
    std::fs::write(figures, serde_json::to_string_pretty(results)? + "\n")?;
    Ok(())
}
