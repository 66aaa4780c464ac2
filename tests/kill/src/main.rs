//! Kills real processes at any moment, and looks at what they leave.
//!
//! `tape-kill run KILLS SEED`: two lanes, each with a store of its own. In every round a writing process commits, seals,
//! compacts, takes snapshots and backups and prunes, beside a reading process that holds views; one or both are killed
//! (`SIGKILL`); then everything that the writer had acknowledged must be there. `lane` has the rounds, `roles` what the
//! processes do, `history` what they write.

mod history;
mod lane;
mod roles;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lane::{Lane, Seen};

const USAGE: &str = "tape-kill run KILLS SEED";
/// Stores that are worked on at the same time.
const LANES: u64 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    match words.as_slice() {
        ["run", kills, seed] => match (number(kills), number(seed)) {
            (Some(kills), Some(seed)) => run(kills, seed),
            _ => usage(),
        },
        ["write", directory, seed, chance] => match (number(seed), number(chance)) {
            (Some(seed), Some(chance)) => {
                let error = roles::write(Path::new(directory), seed, chance);
                end(error.map_err(|error| error.to_string()))
            }
            _ => usage(),
        },
        ["read", directory, seed] => match number(seed) {
            Some(seed) => end(roles::read(Path::new(directory), seed)),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// How a child process ends when it is not killed.
fn end(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            println!("wrong {what}");
            ExitCode::FAILURE
        }
    }
}

fn run(kills: u64, seed: u64) -> ExitCode {
    let start = Instant::now();
    let left = AtomicU64::new(kills);
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let outcomes: Vec<Result<Seen, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..LANES)
            .map(|lane| scope.spawn(move || Lane::new(seed.wrapping_mul(1000) + lane).work(&take)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a lane panicked".into())))
            .collect()
    });
    let mut all = Seen::default();
    let mut failures = 0;
    for outcome in outcomes {
        match outcome {
            Ok(seen) => all.add(&seen),
            Err(what) => {
                println!("kill -9: {what}");
                failures += 1;
            }
        }
    }
    println!(
        "torture: kill -9 | {} kills, {} readers killed, {} acknowledged commits, {} lost, {} snapshots, {} backups, \
         {} stores, {:.0} s | seed {seed} | failures {failures}",
        all.kills,
        all.readers_killed,
        all.acknowledged,
        all.lost,
        all.snapshots,
        all.backups,
        all.stores,
        start.elapsed().as_secs_f64()
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
