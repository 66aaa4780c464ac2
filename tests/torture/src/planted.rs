//! Planted bugs: the sources are copied, all bugs are put into the copy at once, it is built once, and each bug is
//! switched on in turn by `TAPE_PLANTED`. The engine itself has no trace of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::bugs::{BUGS, Bug, Test};
use crate::run::{Ended, run};

/// What the copy gets beside the bugs.
const SWITCH: &str = r#"//! Bugs planted on purpose.

/// Whether this bug is switched on.
pub fn planted(bug: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("TAPE_PLANTED").ok()).as_deref() == Some(bug)
}
"#;

/// Crates with tests that have to catch bugs, and those of their executables that do.
const WANTED: [&str; 10] = [
    "--package=tapestore-format",
    "--package=tapestore",
    "--package=crash-tests",
    "--package=tape-corruption",
    "--lib",
    "--test=opening",
    "--test=power_cut",
    "--test=faults",
    "--test=regressions",
    "--test=sweep",
];
/// A test that takes longer is taken for one that hangs: also a way to catch a bug.
const TEST_LIMIT: Duration = Duration::from_mins(10);

/// What came of one bug.
pub(crate) struct Caught {
    bug: &'static Bug,
    /// The test, and what it counted up to then.
    by: Option<(Test, String)>,
}

/// What came of all.
pub(crate) struct Outcome {
    pub(crate) caught: Vec<Caught>,
    /// Tests that fail without any bug: then they say nothing.
    pub(crate) broken: Vec<Test>,
}

impl Outcome {
    pub(crate) fn missed(&self) -> usize {
        self.caught.iter().filter(|caught| caught.by.is_none()).count() + self.broken.len()
    }

    /// The table of README.md.
    pub(crate) fn table(&self) -> String {
        let mut out =
            String::from("| bug | what is wrong | caught by | after |\n| --- | --- | --- | --- |\n");
        for Caught { bug, by } in &self.caught {
            let (test, after) = match by {
                Some(((file, ""), counts)) => ((*file).to_owned(), counts.clone()),
                Some(((file, test), counts)) => (format!("{file}: {test}"), counts.clone()),
                None => ("**nothing**".to_owned(), String::new()),
            };
            // The first count is that of what was looked at.
            let after = after.split(", ").next().unwrap_or_default();
            let _ = writeln!(out, "| {} | {} | {test} | {after} |", bug.name, bug.what);
        }
        out
    }
}

/// Copies the sources that are under version control and plants all bugs.
fn plant(root: &Path, copy: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("copying to {}: {error}", copy.display());
    let listed =
        Command::new("git").args(["ls-files", "-co", "--exclude-standard", "-z"]).current_dir(root).output();
    let listed = String::from_utf8(listed.map_err(failed)?.stdout).map_err(|error| error.to_string())?;
    let wanted = |name: &&str| {
        !name.is_empty() && !name.starts_with("format-spec/golden/v1") && root.join(name).is_file()
    };
    let mut texts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for name in listed.split('\0').filter(wanted) {
        texts.insert(name.to_owned(), fs::read(root.join(name)).map_err(failed)?);
    }
    let mut edit = |file: &str, old: &str, new: &str, bug: &str| -> Result<(), String> {
        let text = texts.get_mut(file).and_then(|bytes| String::from_utf8(bytes.clone()).ok());
        let text = text.ok_or_else(|| format!("{bug}: there is no {file}"))?;
        if text.matches(old).count() != 1 {
            return Err(format!("{bug}: its place in {file} is gone; the bug must be planted anew:\n{old}"));
        }
        texts.insert(file.to_owned(), text.replacen(old, new, 1).into_bytes());
        Ok(())
    };
    for bug in BUGS {
        for (file, old, new) in bug.changes {
            let path = if file.starts_with("engine/format") { "crate" } else { "tapestore_format" };
            edit(file, old, &new.replace("planted(\"", &format!("{path}::planted::planted(\"")), bug.name)?;
        }
    }
    edit("engine/format/src/lib.rs", "pub mod wal;", "pub mod planted;\npub mod wal;", "the switch")?;
    texts.insert("engine/format/src/planted.rs".to_owned(), SWITCH.as_bytes().to_vec());
    for (name, bytes) in &texts {
        let path = copy.join(name);
        // What is unchanged keeps its time, so that a second run builds little.
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        fs::create_dir_all(path.parent().expect("below the copy")).map_err(failed)?;
        fs::write(path, bytes).map_err(failed)?;
    }
    forget(copy, copy, &texts).map_err(failed)
}

/// Removes what a run of before has copied and is no source any more: cargo would find it.
fn forget(directory: &Path, copy: &Path, texts: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && path != copy.join("target") {
            forget(&path, copy, texts)?;
        } else if path.is_file() {
            let name = path.strip_prefix(copy).ok().and_then(Path::to_str);
            if name.is_some_and(|name| !texts.contains_key(name)) {
                fs::remove_file(&path)?;
            }
        }
    }
    Ok(())
}

/// Builds the tests of the copy; gives the executables by name, each with the directory of its package.
fn build(copy: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut command = Command::new("cargo");
    // A target directory of its own: the packages of the copy have the names and places of the real ones.
    command
        .args(["test", "--locked", "--no-run"])
        .args(WANTED)
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"));
    let Ended { ok, text, .. } = run(&mut command, Duration::from_hours(1));
    if !ok {
        return Err(format!("the sources with planted bugs do not compile:\n{text}"));
    }
    let mut out = BTreeMap::new();
    for line in text.lines().filter(|line| line.trim_start().starts_with("Executable")) {
        let Some((_, path)) = line.split_once('(') else { continue };
        let path = PathBuf::from(path.trim_end_matches(')'));
        let path = if path.is_absolute() { path } else { copy.join(path) };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        out.insert(name.rsplit_once('-').map_or(name.clone(), |(stem, _)| stem.to_owned()), path);
    }
    Ok(out)
}

/// Runs a test with a bug; whether it fails, and what it counted.
fn catches(
    executables: &BTreeMap<String, PathBuf>,
    copy: &Path,
    test: Test,
    bug: Option<&str>,
) -> Option<String> {
    let Some(executable) = executables.get(test.0) else { panic!("no executable {}", test.0) };
    let mut command = Command::new(executable);
    // A sample of each hunt: the table was made with it, and the whole hunt has been run before.
    command.current_dir(copy).env_remove("TAPE_PLANTED").env_remove("TORTURE");
    command.env("RUST_BACKTRACE", "0").arg("--nocapture");
    if !test.1.is_empty() {
        command.args(["--exact", test.1]);
    }
    if let Some(bug) = bug {
        command.env("TAPE_PLANTED", bug);
    }
    let Ended { ok, text, .. } = run(&mut command, TEST_LIMIT);
    assert!(
        !text.contains("running 0 tests") || !text.contains("0 filtered out; finished") || test.1.is_empty()
    );
    if ok {
        return None;
    }
    let line = text.lines().find_map(|line| line.strip_prefix("torture: "));
    Some(line.and_then(|line| line.split(" | ").nth(1)).unwrap_or("one test").to_owned())
}

/// Plants all bugs, and looks which tests catch them.
pub(crate) fn hunt(root: &Path, only: Option<&str>) -> Result<Outcome, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("planted");
    plant(root, &copy)?;
    let executables = build(&copy)?;
    let bugs: Vec<&'static Bug> =
        BUGS.iter().filter(|bug| only.is_none_or(|only| bug.name == only)).collect();
    let next = AtomicUsize::new(0);
    let caught = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(bug) = bugs.get(at) else { return };
            let try_one = |test: &Test| Some((*test, catches(&executables, &copy, *test, Some(bug.name))?));
            let by = bug.tests.iter().find_map(try_one);
            println!(
                "  {}: {}",
                bug.name,
                by.as_ref().map_or("NOT CAUGHT", |by| if by.0.1.is_empty() { by.0.0 } else { by.0.1 })
            );
            caught.lock().expect("no panic").insert(at, Caught { bug, by });
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let caught: Vec<Caught> = caught.into_inner().expect("no panic").into_values().collect();
    // The control: without a bug these tests pass.
    let used: BTreeSet<Test> = caught.iter().filter_map(|caught| Some(caught.by.as_ref()?.0)).collect();
    let fails = |test: &Test| catches(&executables, &copy, *test, None).is_some();
    let broken = used.into_iter().filter(fails).collect();
    Ok(Outcome { caught, broken })
}
