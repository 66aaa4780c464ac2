//! `tape-mutants GROUP...`: builds all mutants that cargo-mutants lists into one copy of the sources, each behind a switch, builds
//! that copy once, and looks which tests notice each. So a mutant costs a run of tests and no build.
//!
//! Variables: `MUTANTS_OUT` is where copy and results are (`target/mutants`), `MUTANTS_JOBS` how many run at once (2),
//! `MUTANTS_ONLY` parts of the names of those to run, with commas between, `MUTANTS_QUICK` leaves the slow tests out, `MUTANTS_MINUTES` when to stop, `MUTANTS_MOST` how many of a group
//! to run: they are taken evenly spread, so that what was run until then is a fair sample. A second run goes on where the first stopped, and tries again what was missed.

mod copy;
mod groups;
mod list;
mod places;
mod results;
mod run;
mod weave;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use groups::{GROUPS, Group};
use list::Mutant;
use results::Outcome;

/// Numbers of the mutants of all groups, from 1; 0 is none.
type Mutants = BTreeMap<u32, Mutant>;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(3).expect("three levels below the root").to_path_buf()
}

fn chosen() -> Result<Vec<&'static Group>, String> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        return Ok(GROUPS.iter().collect());
    }
    let group = |name: &String| GROUPS.iter().find(|group| group.name == name);
    let known = || GROUPS.iter().map(|group| group.name).collect::<Vec<_>>().join(", ");
    names
        .iter()
        .map(|name| group(name).ok_or_else(|| format!("no group {name}; there are {}", known())))
        .collect()
}

/// All groups are woven, whichever are run: so the copy is the same, and built once.
fn all(root: &Path) -> Result<(Mutants, BTreeMap<&'static str, BTreeSet<u32>>), String> {
    let mut mutants = Mutants::new();
    let mut members = BTreeMap::new();
    for group in GROUPS {
        let ids = list::list(root, group.package, &group.files(root)?)?;
        let ids = ids.into_iter().map(|mutant| {
            let id = mutants.len() as u32 + 1;
            mutants.insert(id, mutant);
            id
        });
        members.insert(group.name, ids.collect());
    }
    Ok((mutants, members))
}

/// An order in which any beginning is spread evenly.
fn spread(ids: &BTreeSet<u32>) -> Vec<u32> {
    let mut ids: Vec<u32> = ids.iter().copied().collect();
    ids.sort_by_key(|id| u64::from(*id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
    ids
}

fn number(variable: &str, usual: u64) -> Result<u64, String> {
    match std::env::var(variable) {
        Err(_) => Ok(usual),
        Ok(text) => text.parse().map_err(|_| format!("{variable}={text} is no number")),
    }
}

fn go() -> Result<bool, String> {
    let root = root();
    let out = std::env::var_os("MUTANTS_OUT").map_or_else(|| root.join("target/mutants"), PathBuf::from);
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let jobs = number("MUTANTS_JOBS", 2)? as usize;
    let until = Instant::now() + Duration::from_mins(number("MUTANTS_MINUTES", 60 * 24 * 365)?);
    let most = number("MUTANTS_MOST", u64::MAX)? as usize;
    let only = std::env::var("MUTANTS_ONLY").unwrap_or_default();
    let is_wanted = |mutant: &Mutant| only.split(',').any(|part| mutant.name.contains(part));
    let only_quick = std::env::var_os("MUTANTS_QUICK").is_some();
    let groups = chosen()?;
    let (mutants, members) = all(&root)?;
    let woven = copy::weave(&root, &out, &mutants)?;
    println!(
        "{} mutants woven, {} do not compile, {} fixed",
        mutants.len(),
        woven.unviable.len(),
        woven.fixed.len()
    );
    let executables = copy::build(&out.join("copy"), &groups, only_quick)?;
    let mut fine = true;
    for group in groups {
        let mut results = results::Results::open(&out.join(format!("{}.tsv", group.name)))?;
        let ids: BTreeSet<u32> =
            members[group.name].iter().copied().filter(|id| is_wanted(&mutants[id])).collect();
        // The first so many of those that are evenly spread.
        let ids: BTreeSet<u32> = spread(&ids).into_iter().take(most).collect();
        results.note_unrunnable(&ids, &mutants, &woven)?;
        let open: Vec<u32> =
            spread(&ids).into_iter().filter(|id| !results.is_settled(&mutants[id])).collect();
        let quick = run::Tests::of(group.quick, &executables, &out)?;
        quick.hunt(&open, &mutants, (jobs, until), &Outcome::Survived, &mut results)?;
        let open: Vec<u32> =
            spread(&ids).into_iter().filter(|id| results.has_survived(&mutants[id])).collect();
        if !open.is_empty() && !only_quick && Instant::now() < until {
            let slow = run::Tests::of(group.slow, &executables, &out)?;
            slow.hunt(&open, &mutants, (jobs, until), &Outcome::Missed, &mut results)?;
        }
        fine &= results.print(group.name, &ids, &mutants);
    }
    Ok(fine)
}

fn main() -> ExitCode {
    match go() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
