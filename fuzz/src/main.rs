//! `tape-fuzz`: fuzzing on the stable toolchain. See `fuzz/README.md`.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tape_fuzz::driver::{self, Tally, attempt, listen_to_panics, tell};
use tape_fuzz::{Target, targets};

const USAGE: &str = "tape-fuzz smoke [SEED]
tape-fuzz run TARGET [EXECUTIONS] [SEED]
tape-fuzz replay TARGET FILE...
tape-fuzz seeds TARGET DIRECTORY
tape-fuzz list";

/// Seed of the smoke run: fixed, so that what it says is the same everywhere.
const SEED: u64 = 1;

/// An execution that takes longer is worth a look: it is slow, or the machine is busy.
const SLOW: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match words.as_slice() {
        ["list"] => {
            targets::ALL.iter().for_each(|target| println!("{}", target.name));
            Ok(true)
        }
        ["smoke"] => Ok(smoke(SEED)),
        ["smoke", seed] => number(seed).map(smoke),
        ["run", target] => find(target).map(|target| run(target, target.smoke, SEED)),
        ["run", target, executions] => {
            find(target).and_then(|target| Ok(run(target, number(executions)?, SEED)))
        }
        ["run", target, executions, seed] => {
            find(target).and_then(|target| Ok(run(target, number(executions)?, number(seed)?)))
        }
        ["replay", target, files @ ..] => find(target).and_then(|target| replay(target, files)),
        ["seeds", target, directory] => find(target).and_then(|target| seeds(target, Path::new(directory))),
        _ => Err(USAGE.to_owned()),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
    }
}

fn find(name: &str) -> Result<&'static Target, String> {
    Target::find(name).ok_or_else(|| format!("there is no target {name}; tape-fuzz list names them"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn smoke(seed: u64) -> bool {
    let plan: Vec<(&'static Target, u64)> =
        targets::ALL.iter().map(|target| (target, target.smoke)).collect();
    run_plan(&plan, seed)
}

fn run(target: &'static Target, executions: u64, seed: u64) -> bool {
    run_plan(&[(target, executions)], seed)
}

fn run_plan(plan: &[(&'static Target, u64)], seed: u64) -> bool {
    listen_to_panics();
    let start = Instant::now();
    let tallies = driver::run(plan, seed, threads(), &|target, tally| report(target, tally, seed));
    let _ = std::panic::take_hook();
    let (mut executions, mut failures) = (0, 0);
    for tally in &tallies {
        executions += tally.executions;
        failures += tally.findings.len();
    }
    println!(
        "torture: fuzz | {executions} executions, {} targets, {:.0} s | seed {seed} | failures {failures}",
        plan.len(),
        start.elapsed().as_secs_f64()
    );
    failures == 0
}

fn report(target: &Target, tally: &Tally, seed: u64) {
    println!(
        "torture: fuzz {} | {} executions, {} read through, {} outcomes, {:.0} s | seed {seed} | failures {}",
        target.name,
        tally.executions,
        tally.accepted,
        tally.outcomes,
        tally.time.as_secs_f64(),
        tally.findings.len()
    );
    tally.findings.iter().for_each(|finding| tell(target, finding));
    let (took, input) = &tally.slowest;
    if *took > SLOW {
        let file = driver::write_finding(&format!("{}-slow", target.name), input);
        println!("{}: an execution took {took:.1?}, input in {}", target.name, file.display());
    }
}

fn replay(target: &Target, files: &[&str]) -> Result<bool, String> {
    let mut passed = true;
    for file in files {
        let input = std::fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
        match attempt(target, &input) {
            Ok(outcome) => println!("{file}: {outcome:?}"),
            Err(message) => {
                println!("{file}: {message}");
                passed = false;
            }
        }
    }
    Ok(passed)
}

fn seeds(target: &Target, directory: &Path) -> Result<bool, String> {
    let failed = |error| format!("cannot write {}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    for (number, mut input) in (target.seeds)().into_iter().enumerate() {
        (target.mend)(&mut input);
        std::fs::write(directory.join(format!("seed-{number:04}")), input).map_err(failed)?;
    }
    Ok(true)
}
