//! The hunts, the counts that each has to reach, and the table.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::run;

/// A hunt: a command that ends each of its tests with a line `torture: TEST | COUNT UNIT, … | seed SEED | failures N`.
struct Hunt {
    name: &'static str,
    command: &'static [&'static str],
    /// What the short form has to reach.
    least: &'static [(&'static str, u64)],
    /// Whether it waits, or has work for one processor only, so that the short form lets others run meanwhile.
    waits: bool,
}

const HUNTS: &[Hunt] = &[
    Hunt {
        name: "power cuts",
        command: &[
            "cargo",
            "test",
            "--locked",
            "-p",
            "crash-tests",
            "--test",
            "power_cut",
            "--",
            "--nocapture",
        ],
        least: &[("images", 250_000)],
        waits: false,
    },
    Hunt {
        name: "failing disks",
        command: &[
            "cargo",
            "test",
            "--locked",
            "-p",
            "crash-tests",
            "--test",
            "faults",
            "--test",
            "full_disk",
            "--",
            "--nocapture",
        ],
        least: &[("faults", 5_000)],
        waits: false,
    },
    Hunt {
        name: "corruption",
        command: &["cargo", "test", "--locked", "-p", "tape-corruption", "--", "--nocapture"],
        least: &[("corruptions", 200_000)],
        waits: false,
    },
    Hunt {
        name: "model",
        command: &["cargo", "test", "--locked", "-p", "tape-model", "--", "--nocapture"],
        least: &[("steps", 60_000)],
        waits: false,
    },
    Hunt {
        name: "kill -9",
        command: &["bash", "tests/kill/smoke.sh"],
        least: &[("kills", 1_500)],
        waits: true,
    },
    Hunt {
        name: "fuzzing",
        command: &["bash", "fuzz/smoke.sh"],
        least: &[("executions", 10_000_000)],
        waits: false,
    },
    Hunt { name: "schedules", command: &["bash", "tests/sync/smoke.sh"], least: &[], waits: true },
    Hunt {
        name: "planted bugs",
        command: &["cargo", "run", "--locked", "--quiet", "-p", "tape-torture", "--", "planted"],
        least: &[("bugs", 20)],
        waits: false,
    },
];

/// A line that a test ended with.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    test: String,
    counts: Vec<(String, u64)>,
    seed: String,
    failures: u64,
}

/// A number with commas or without.
fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.strip_prefix("torture: ")?.split(" | ");
    let test = fields.next()?.to_owned();
    let count = |text: &str| {
        let (count, unit) = text.split_once(' ')?;
        Some((unit.to_owned(), number(count)?))
    };
    let counts = fields.next()?.split(", ").filter_map(count).collect();
    let seed = fields.next()?.strip_prefix("seed ")?.to_owned();
    let failures = fields.next()?.strip_prefix("failures ")?.trim().parse().ok()?;
    Some(Line { test, counts, seed, failures })
}

/// What came of a hunt.
struct Report {
    name: &'static str,
    lines: Vec<Line>,
    totals: BTreeMap<String, u64>,
    took: Duration,
    /// What is wrong with it.
    faults: Vec<String>,
}

/// With thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

fn report(hunt: &Hunt, lines: Vec<Line>, ok: bool, took: Duration, least: bool) -> Report {
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    // A hunt that sums up itself says so in a line without a part: `fuzz`, beside `fuzz wal` and the like.
    let whole = |line: &&Line| lines.iter().any(|other| other.test.starts_with(&format!("{} ", line.test)));
    let sums: Vec<&Line> = lines.iter().filter(whole).collect();
    for line in if sums.is_empty() { lines.iter().collect() } else { sums } {
        for (unit, count) in &line.counts {
            *totals.entry(unit.clone()).or_default() += count;
        }
    }
    let mut faults = Vec::new();
    if !ok {
        faults.push("it failed".to_owned());
    }
    let failures: u64 = lines.iter().map(|line| line.failures).sum();
    if failures > 0 {
        faults.push(format!("{failures} failures"));
    }
    if lines.is_empty() {
        faults.push("it said nothing".to_owned());
    }
    for (unit, wanted) in hunt.least.iter().filter(|_| least) {
        let reached = totals.get(*unit).copied().unwrap_or(0);
        if reached < *wanted {
            faults.push(format!("{} {unit}, at least {} wanted", grouped(reached), grouped(*wanted)));
        }
    }
    Report { name: hunt.name, lines, totals, took, faults }
}

fn one(root: &Path, hunt: &Hunt, amount: &str, seed: u64) -> Report {
    let since = Instant::now();
    println!("== {}", hunt.name);
    let mut command = Command::new(hunt.command[0]);
    command.args(&hunt.command[1..]).current_dir(root).env("TORTURE", amount);
    if amount == "long" {
        for variable in ["TORTURE_SEED", "SYNC_SEED", "TAPE_FUZZ_SEED", "TAPE_KILL_SEED"] {
            command.env(variable, seed.to_string());
        }
    }
    let ended = run(&mut command, Duration::from_hours(24));
    let lines: Vec<Line> = ended.text.lines().filter_map(parse).collect();
    for line in ended.text.lines().filter(|line| line.starts_with("torture: ")) {
        println!("{line}");
    }
    let report = report(hunt, lines, ended.ok, since.elapsed(), amount == "short");
    if !report.faults.is_empty() {
        // What a test says of its failure stands near the end, with the command that shows it again.
        let told: Vec<&str> = ended.text.lines().collect();
        told[told.len().saturating_sub(80)..].iter().for_each(|line| println!("    {line}"));
    }
    report
}

fn print_table(reports: &[Report], took: Duration) {
    println!("\n| hunt | tests | counts | seed | time | failures |\n| --- | --- | --- | --- | --- | --- |");
    for report in reports {
        let counts: Vec<String> =
            report.totals.iter().map(|(unit, count)| format!("{} {unit}", grouped(*count))).collect();
        let mut seeds: Vec<&str> = report.lines.iter().map(|line| line.seed.as_str()).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let faults = if report.faults.is_empty() { "0".to_owned() } else { report.faults.join("; ") };
        println!(
            "| {} | {} | {} | {} | {:.0} s | {faults} |",
            report.name,
            report.lines.len(),
            counts.join(", "),
            seeds.join(", "),
            report.took.as_secs_f64()
        );
    }
    println!("all of it: {:.0} s", took.as_secs_f64());
}

/// Every hunt once, in its short form; whether all reached their counts and found nothing.
pub(crate) fn short(root: &Path) -> bool {
    let since = Instant::now();
    let short = |waits: bool| -> Vec<Report> {
        let hunts = HUNTS.iter().filter(|hunt| hunt.waits == waits);
        hunts.map(|hunt| one(root, hunt, "short", 1)).collect()
    };
    let reports = std::thread::scope(|scope| {
        let beside = scope.spawn(|| short(true));
        let mut reports = short(false);
        reports.extend(beside.join().expect("no panic"));
        reports
    });
    print_table(&reports, since.elapsed());
    reports.iter().all(|report| report.faults.is_empty())
}

/// Every hunt in turn with new seeds, until the time is over or something is found.
pub(crate) fn soak(root: &Path, time: Duration) -> Result<bool, String> {
    let since = Instant::now();
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = clock.map_err(|error| error.to_string())?.as_secs();
    let mut reports = Vec::new();
    for seed in first.. {
        for hunt in HUNTS {
            if since.elapsed() >= time {
                print_table(&reports, since.elapsed());
                return Ok(true);
            }
            let report = one(root, hunt, "long", seed);
            let found = !report.faults.is_empty();
            reports.push(report);
            if found {
                print_table(&reports, since.elapsed());
                println!("found with seed {seed}: {}", hunt.command.join(" "));
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        parse(text).unwrap()
    }

    #[test]
    fn a_line_is_read() {
        let read = line("torture: fuzz | 10,000,000 executions, 12 targets, 140 s | seed 7 | failures 2");
        assert_eq!(read.counts[..2], [("executions".to_owned(), 10_000_000), ("targets".to_owned(), 12)]);
        assert_eq!((read.seed.as_str(), read.failures), ("7", 2));
        assert_eq!(parse("power cuts: 3 workloads"), None);
    }

    #[test]
    fn a_hunt_that_does_too_little_fails_and_so_does_one_that_says_nothing() {
        let hunt = Hunt { name: "fuzzing", command: &[], least: &[("executions", 100)], waits: false };
        let faults = |lines: &[&str], ok: bool| {
            report(&hunt, lines.iter().map(|text| line(text)).collect(), ok, Duration::ZERO, true)
                .faults
                .len()
        };
        let (part, whole) = (
            "torture: fuzz wal | 60 executions | seed 1 | failures 0",
            "torture: fuzz | 100 executions | seed 1 | failures 0",
        );
        assert_eq!(faults(&[part, whole], true), 0, "the sum counts once");
        assert_eq!(faults(&[part, part], true), 0);
        assert_eq!(faults(&[part], true), 1);
        assert_eq!(faults(&[whole], false), 1);
        assert_eq!(faults(&[], true), 2);
        assert_eq!(faults(&["torture: a | 100 executions | seed 1 | failures 3"], true), 1);
    }
}
