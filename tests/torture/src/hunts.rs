//! The hunts, the counts that each has to reach, and the table.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::{Ended, run};

/// Targets of `fuzz`, which share the time of the long hunt.
const FUZZ_TARGETS: u64 = 25;
/// What a soak gives the random schedules, and all targets of the long hunt together: one part in so many of its hours.
const SHARE: u32 = 8;
/// A hunt that takes longer is stuck; those of a soak do up to twenty times as much.
const SHORT_LIMIT: Duration = Duration::from_hours(1);
const LONG_LIMIT: Duration = Duration::from_hours(8);

/// A hunt: a command that ends each of its tests with a line `torture: TEST | COUNT UNIT, … | seed SEED | failures N`.
struct Hunt {
    name: &'static str,
    command: &'static [&'static str],
    /// What the short form has to reach.
    least: &'static [(&'static str, u64)],
    /// Whether it waits, or has work for one processor only, so that the short form lets others run meanwhile.
    waits: bool,
    /// The variable that its seed is read from; none if it has no seed.
    seed: Option<&'static str>,
    rounds: Rounds,
}

/// When a hunt is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounds {
    /// In the short form, and in every round of a soak.
    Every,
    /// In the short form, and in the first round: it has no seed, so another would be the same.
    First,
    /// In every round of a soak.
    Soak,
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
        least: &[("images", 250_000), ("call sites", 23)],
        waits: false,
        seed: Some("TORTURE_SEED"),
        rounds: Rounds::Every,
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
        least: &[("faults", 5_000), ("call sites", 23)],
        waits: false,
        seed: Some("TORTURE_SEED"),
        rounds: Rounds::Every,
    },
    Hunt {
        name: "corruption",
        command: &["cargo", "test", "--locked", "-p", "tape-corruption", "--", "--nocapture"],
        least: &[("corruptions", 200_000)],
        waits: false,
        seed: Some("TORTURE_SEED"),
        rounds: Rounds::Every,
    },
    Hunt {
        name: "model",
        command: &["cargo", "test", "--locked", "-p", "tape-model", "--", "--nocapture"],
        least: &[("steps", 60_000)],
        waits: false,
        seed: Some("TORTURE_SEED"),
        rounds: Rounds::Every,
    },
    Hunt {
        name: "kill -9",
        command: &["bash", "tests/kill/smoke.sh"],
        least: &[("kills", 1_500)],
        waits: true,
        seed: Some("TAPE_KILL_SEED"),
        rounds: Rounds::Every,
    },
    Hunt {
        name: "fuzzing",
        command: &["bash", "fuzz/smoke.sh"],
        least: &[("executions", 10_000_000), ("targets", FUZZ_TARGETS)],
        waits: false,
        seed: Some("TAPE_FUZZ_SEED"),
        rounds: Rounds::Every,
    },
    Hunt {
        name: SCHEDULES,
        command: &["bash", "tests/sync/smoke.sh"],
        least: &[("executions", 30_000), ("schedules", 1_000), ("mistakes", 9)],
        waits: true,
        seed: Some("SYNC_SEED"),
        rounds: Rounds::Every,
    },
    Hunt {
        name: LONG_FUZZING,
        // The time for each target is added.
        command: &["bash", "fuzz/hunt.sh", "all"],
        least: &[],
        waits: false,
        seed: None,
        rounds: Rounds::Soak,
    },
    Hunt {
        name: "planted bugs",
        command: &["cargo", "run", "--locked", "--quiet", "-p", "tape-torture", "--", "planted"],
        least: &[("bugs", 20)],
        waits: false,
        seed: None,
        rounds: Rounds::First,
    },
];

const SCHEDULES: &str = "schedules";
const LONG_FUZZING: &str = "long fuzzing";
/// Counts of which those of several tests are not added up.
const LARGEST: [&str; 2] = ["call sites", "preemptions"];

/// How much of each hunt is done, with which seed.
#[derive(Clone, Copy, Debug)]
enum Amount {
    Short,
    /// So many hours are asked for; the seed of this round.
    Soak(Duration, u64),
}

impl Amount {
    /// What the environment of a hunt tells it.
    fn variables(self, hunt: &Hunt) -> Vec<(&'static str, String)> {
        let Self::Soak(time, seed) = self else { return vec![("TORTURE", "short".to_owned())] };
        let mut out = vec![("TORTURE", "long".to_owned())];
        out.extend(hunt.seed.map(|name| (name, seed.to_string())));
        if hunt.name == SCHEDULES {
            let seconds = (time / SHARE).as_secs().clamp(15, 3600);
            out.extend([("SYNC_SOAK", "1".to_owned()), ("SYNC_SECONDS", seconds.to_string())]);
        }
        out
    }

    /// The words of its command.
    fn words(self, hunt: &Hunt) -> Vec<String> {
        let mut words: Vec<String> = hunt.command.iter().map(|&word| word.to_owned()).collect();
        if let Self::Soak(time, _) = self
            && hunt.name == LONG_FUZZING
        {
            words.push(((time / SHARE).as_secs() / FUZZ_TARGETS).max(1).to_string());
        }
        words
    }

    /// What is typed to do a hunt again as it was done.
    fn again(self, hunt: &Hunt) -> String {
        let variables = self.variables(hunt).into_iter().map(|(name, value)| format!("{name}={value}"));
        variables.chain(self.words(hunt)).collect::<Vec<_>>().join(" ")
    }
}

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
            let total = totals.entry(unit.clone()).or_default();
            *total = if LARGEST.contains(&unit.as_str()) { *count.max(total) } else { *total + count };
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

/// Does a hunt once, for so long at most; `last` says that this is the end of a soak.
fn one(root: &Path, hunt: &Hunt, amount: Amount, limit: Duration, last: bool) -> Report {
    let since = Instant::now();
    println!("== {}", hunt.name);
    let words = amount.words(hunt);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(root).envs(amount.variables(hunt));
    let ended = run(&mut command, limit);
    let lines: Vec<Line> = ended.text.lines().filter_map(parse).collect();
    for line in ended.text.lines().filter(|line| line.starts_with("torture: ")) {
        println!("{line}");
    }
    let Ended { ok, late, text } = ended;
    let mut report = report(hunt, lines, ok, since.elapsed(), matches!(amount, Amount::Short));
    if late {
        settle_late(&mut report, limit, last);
    }
    if !report.faults.is_empty() {
        // What a test says of its failure stands near the end, with the command that shows it again.
        let told: Vec<&str> = text.lines().collect();
        told[told.len().saturating_sub(80)..].iter().for_each(|line| println!("    {line}"));
        println!("again: {}", amount.again(hunt));
    }
    report
}

/// A hunt that was killed was stuck. At the end of a soak it was only not done, and what is missing is no fault.
fn settle_late(report: &mut Report, limit: Duration, last: bool) {
    if last && report.lines.iter().all(|line| line.failures == 0) {
        report.faults.clear();
        println!("the time is over: {} was not done to its end", report.name);
    } else {
        report.faults.push(format!("killed after {:.0} s", limit.as_secs_f64()));
    }
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
        let hunts = HUNTS.iter().filter(|hunt| hunt.waits == waits && hunt.rounds != Rounds::Soak);
        hunts.map(|hunt| one(root, hunt, Amount::Short, SHORT_LIMIT, false)).collect()
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

/// What the long hunt of `fuzz` lacks on this machine, if anything; it says the same itself.
fn lacking(hunt: &Hunt) -> Option<&'static str> {
    if hunt.name != LONG_FUZZING {
        return None;
    }
    let runs = |program: &str, arguments: &[&str]| {
        run(Command::new(program).args(arguments), Duration::from_mins(1)).ok
    };
    let toolchain = std::env::var("TAPE_FUZZ_TOOLCHAIN").unwrap_or_else(|_| "nightly".to_owned());
    if !runs("cargo", &[&format!("+{toolchain}"), "--version"]) {
        return Some("no nightly toolchain: rustup toolchain install nightly --profile minimal");
    }
    let compiler = runs("c++", &["--version"]);
    (!compiler).then_some("no C++ compiler: on Debian, apt-get install g++")
}

/// Every hunt in turn with new seeds, until the time is over or something is found. What is at work when the time is over
/// is ended: that is no fault, unless it found something before.
pub(crate) fn soak(root: &Path, time: Duration) -> Result<bool, String> {
    let since = Instant::now();
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = clock.map_err(|error| error.to_string())?.as_secs();
    let mut reports = Vec::new();
    for seed in first.. {
        for hunt in HUNTS.iter().filter(|hunt| hunt.rounds != Rounds::First || seed == first) {
            let left = time.saturating_sub(since.elapsed());
            if left.is_zero() {
                print_table(&reports, since.elapsed());
                return Ok(true);
            }
            if let Some(what) = lacking(hunt) {
                println!("== {}\nleft out: {what}", hunt.name);
                continue;
            }
            let report = one(root, hunt, Amount::Soak(time, seed), left.min(LONG_LIMIT), left <= LONG_LIMIT);
            let found = !report.faults.is_empty();
            reports.push(report);
            if found {
                print_table(&reports, since.elapsed());
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

    fn hunt(name: &'static str, least: &'static [(&'static str, u64)]) -> Hunt {
        let command = &["bash", "hunt.sh"];
        Hunt { name, command, least, waits: false, seed: Some("TORTURE_SEED"), rounds: Rounds::Every }
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
        let hunt = hunt("fuzzing", &[("executions", 100)]);
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

    /// Two tests at the same 23 call sites are at 23.
    #[test]
    fn call_sites_of_several_tests_are_not_added_up() {
        let line = line("torture: cuts | 5 images, 23 call sites | seed 1 | failures 0");
        let again = parse("torture: more | 6 images, 9 call sites | seed 1 | failures 0").unwrap();
        let hunt = hunt("power cuts", &[("images", 11), ("call sites", 24)]);
        let report = report(&hunt, vec![line, again], true, Duration::ZERO, true);
        assert_eq!((report.totals["images"], report.totals["call sites"]), (11, 23));
        assert_eq!(report.faults, ["23 call sites, at least 24 wanted"]);
    }

    #[test]
    fn a_hunt_is_done_again_with_its_seed() {
        let amount = Amount::Soak(Duration::from_hours(4), 77);
        assert_eq!(amount.again(&hunt("model", &[])), "TORTURE=long TORTURE_SEED=77 bash hunt.sh");
        assert_eq!(Amount::Short.again(&hunt("model", &[])), "TORTURE=short bash hunt.sh");
        let named = |name: &str| HUNTS.iter().find(|hunt| hunt.name == name).unwrap();
        assert_eq!(
            amount.again(named(SCHEDULES)),
            "TORTURE=long SYNC_SEED=77 SYNC_SOAK=1 SYNC_SECONDS=1800 bash tests/sync/smoke.sh"
        );
        assert_eq!(amount.again(named(LONG_FUZZING)), "TORTURE=long bash fuzz/hunt.sh all 72");
    }

    /// A soak that is shorter than a hunt ends in the middle of it, and finds nothing by that; a failure counts, and so does
    /// a hunt that is stuck.
    #[test]
    fn a_hunt_that_the_end_of_a_soak_cuts_off_is_no_failure() {
        let hunt = hunt("model", &[]);
        let faults = |text: &str, last: bool| {
            let mut report = report(&hunt, parse(text).into_iter().collect(), false, Duration::ZERO, false);
            settle_late(&mut report, Duration::from_secs(9), last);
            report.faults.join(", ")
        };
        let sound = "torture: model | 5 steps | seed 1 | failures 0";
        assert_eq!(faults("", true), "");
        assert_eq!(faults(sound, true), "");
        assert_eq!(faults(sound, false), "it failed, killed after 9 s");
        let found = "torture: model | 5 steps | seed 1 | failures 2";
        assert_eq!(faults(found, true), "it failed, 2 failures, killed after 9 s");
    }

    /// The number of targets decides how long each is hunted, and has to be reached.
    #[test]
    fn there_are_as_many_targets_as_fuzz_has() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/src/targets/mod.rs");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("pub const ALL: [Target; {FUZZ_TARGETS}]")));
    }
}
