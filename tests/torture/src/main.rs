//! `torture`: runs every hunt and prints what each did.
//!
//! `torture --short` is what CI runs; `torture --soak HOURS` goes on with new seeds until the hours are over and ends at the
//! first failure, with the command that shows it again; `torture planted [BUG]` plants bugs; `torture readme` does so and
//! writes the table into README.md.

mod bugs;
mod hunts;
mod planted;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).expect("two levels below the root").to_path_buf()
}

fn planted(only: Option<&str>) -> Result<planted::Outcome, String> {
    let since = Instant::now();
    let outcome = planted::hunt(&root(), only)?;
    for test in &outcome.broken {
        println!("  fails without any bug: {}: {}", test.0, test.1);
    }
    println!("{} bugs, {:.0} s", outcome.caught.len(), since.elapsed().as_secs_f64());
    println!(
        "torture: planted bugs | {} bugs | seed 1 | failures {}",
        outcome.caught.len(),
        outcome.missed()
    );
    Ok(outcome)
}

/// Writes the table between the marks of README.md.
fn write_readme(table: &str) -> Result<(), String> {
    const FROM: &str = "<!-- planted: written by `torture readme` -->\n";
    const TO: &str = "<!-- end of planted -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let (head, rest) = text.split_once(FROM).ok_or("README.md has no mark")?;
    let (_, tail) = rest.split_once(TO).ok_or("README.md has no second mark")?;
    std::fs::write(&path, format!("{head}{FROM}\n{table}\n{TO}{tail}")).map_err(|error| error.to_string())
}

fn command(arguments: &[&str]) -> Result<bool, String> {
    match arguments {
        [] | ["--short"] => Ok(hunts::short(&root())),
        ["--soak", hours] => {
            let hours: f64 = hours.parse().map_err(|_| format!("{hours:?} is no number of hours"))?;
            let time = Duration::try_from_secs_f64(hours * 3600.0).ok().filter(|time| !time.is_zero());
            let time = time.ok_or_else(|| format!("{hours} is no number of hours that a soak may take"))?;
            hunts::soak(&root(), time)
        }
        ["planted"] => Ok(planted(None)?.missed() == 0),
        ["planted", bug] => Ok(planted(Some(bug))?.missed() == 0),
        ["readme"] => {
            let outcome = planted(None)?;
            write_readme(&outcome.table())?;
            Ok(outcome.missed() == 0)
        }
        _ => Err("torture [--short | --soak HOURS | planted [BUG] | readme]".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
