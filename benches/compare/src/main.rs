//! Tapestore side by side with Parquet, Arrow IPC and pco, in one process, on the same rows.
//!
//! `cargo run --release` takes sizes and times of everything in `shared/data` and writes `benches/RESULTS.md`, the
//! figures behind it (`results.json`) and plots. With paths of CSV files of bars, trades, quotes or books (gz, xz, zst, zip),
//! the same for these; a file that is not understood is named and the others are measured. Parts: `read` (what a file by its
//! path is taken for), `sizes`, `times`, `batch`, `report`; what a part measures takes the place of what the file of figures
//! had. `serve` and `serve-many` answer the script of the Python peers.

mod aims;
mod answers;
mod checksums;
mod contender;
mod csv;
mod data;
mod figures;
mod ipc;
mod machine;
mod measure;
mod moment;
mod parquet;
mod pcodec;
mod peers;
mod plot;
mod report;
mod serve;
mod summary;
mod table;
mod tape;
mod targets;
mod unpack;
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
const TABLES: [&str; 5] =
    ["NEARUSDT", "BTCUSD", "SPY_trade_201310", "AIG_quote_201310_head", "hftbacktest_usdm_btcusdt_20240808"];

const USAGE: &str = "tape-compare [read] [sizes] [times] [batch] [report] [FILE.csv[.gz|.xz|.zst] | FILE.zip]... \
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
            "read" | "sizes" | "times" | "batch" | "report" | "serve" | "serve-many" => {
                out.parts.push(argument);
            }
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
        return serve::serve(&longest(&csv::read(path)?.group).of_bars());
    }
    if arguments.parts.iter().any(|part| part == "serve-many") {
        return serve::serve_many(&workloads::many(&data::windows()?), &arguments.out);
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
    let mut failed = Vec::new();
    if arguments.csv.is_empty() {
        of_ours(arguments, &wanted, &mut results, &figures)?;
    } else {
        for path in &arguments.csv {
            // A file that fails says why and keeps no other from being measured, nor what was from being reported.
            if let Err(error) = by_path(path, arguments, &wanted, &mut results, &figures) {
                let error = error.to_string();
                eprintln!("{error}");
                put_read(&mut results, json!({ "file": path.to_string_lossy(), "failed": error }), &figures)?;
                failed.push(path.to_string_lossy());
            }
        }
    }
    if wanted("report") {
        report::write(&results, &arguments.out, figures.parent().unwrap_or(Path::new(".")))?;
        println!("{}", arguments.out.join("RESULTS.md").display());
    }
    if failed.is_empty() {
        Ok(())
    } else {
        let count = arguments.csv.len();
        Err(format!("{} of {count} files failed, as said above: {}", failed.len(), failed.join(", ")).into())
    }
}

/// Everything in `shared/data`.
fn of_ours(
    arguments: &Arguments,
    wanted: &dyn Fn(&str) -> bool,
    results: &mut Value,
    figures: &Path,
) -> Result<()> {
    if wanted("sizes") {
        let mut groups = data::klines(&arguments.files)?;
        groups.extend(data::ticks(&arguments.files)?);
        groups.extend(data::books(&arguments.files)?);
        groups.extend(data::daily(&arguments.files)?);
        groups.retain(|group| {
            let part = &arguments.files;
            part.is_empty() || group.name.contains(part) || part == "daily"
        });
        for group in &groups {
            take_sizes(group, arguments, results, figures)?;
        }
    }
    if wanted("times") {
        for name in &arguments.tables {
            take_times(&data::table(name)?, arguments, results, figures)?;
        }
    }
    if wanted("batch") {
        eprintln!("batch");
        for entry in workloads::time_batch(&data::windows()?, arguments.rounds)? {
            put_times(results, entry, figures)?;
        }
    }
    Ok(())
}

/// A file that somebody names.
fn by_path(
    path: &Path,
    arguments: &Arguments,
    wanted: &dyn Fn(&str) -> bool,
    results: &mut Value,
    figures: &Path,
) -> Result<()> {
    let csv::Read { mut group, notes } = csv::read(path)?;
    // What is measured is put away by its name: files of one name are told apart by their paths.
    if arguments.csv.iter().filter(|other| unpack::stem(other) == unpack::stem(path)).count() > 1 {
        group.name = path.to_string_lossy().into_owned();
    }
    eprintln!("{}: {} rows of {}", path.display(), group.rows(), group.tables[0].names().join(", "));
    notes.iter().for_each(|note| eprintln!("  {note}"));
    let told = json!({
        "file": path.to_string_lossy(),
        "rows": group.rows(),
        "series": group.tables.len(),
        "columns": group.tables[0].names(),
        "notes": notes,
    });
    put_read(results, told, figures)?;
    let named = |error: Box<dyn std::error::Error + Send + Sync>| format!("{}: {error}", path.display());
    if wanted("sizes") {
        take_sizes(&group, arguments, results, figures).map_err(named)?;
    }
    if wanted("times") {
        take_times(&longest(&group), arguments, results, figures).map_err(named)?;
    }
    Ok(())
}

/// The longest series of a group, by itself.
fn longest(group: &Group) -> Group {
    let Some(table) = group.tables.iter().max_by_key(|table| table.len()).filter(|_| group.tables.len() > 1)
    else {
        return group.clone();
    };
    let name = format!("{}: {}", group.name, table.name);
    Group { name, kind: group.kind, tables: vec![table.clone()] }
}

fn take_times(group: &Group, arguments: &Arguments, results: &mut Value, figures: &Path) -> Result<()> {
    eprintln!("{}: {} rows", group.name, group.rows());
    let sizes = figures::Figures(results).sizes();
    // Of a series of many, what is smallest for all of them.
    let name = group.name.split(": ").next().unwrap_or_default();
    let sized = sizes.iter().find(|sized| sized.file == name);
    let smallest = sized.and_then(|sized| Some(sized.smallest_parquet()?.0.to_owned())).unwrap_or_default();
    let put = &mut |entry| put_times(results, entry, figures);
    workloads::time_table(group, arguments.rounds, &arguments.workloads, &arguments.only, &smallest, put)
}

fn take_sizes(group: &Group, arguments: &Arguments, results: &mut Value, figures: &Path) -> Result<()> {
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
    save(results, figures)
}

/// Puts what a file by its path was taken for in the place of what was said of it before.
fn put_read(results: &mut Value, entry: Value, figures: &Path) -> Result<()> {
    if !results["read"].is_array() {
        results["read"] = json!([]);
    }
    let list = results["read"].as_array_mut().ok_or("no list of files")?;
    list.retain(|known| known["file"] != entry["file"]);
    list.push(entry);
    save(results, figures)
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
