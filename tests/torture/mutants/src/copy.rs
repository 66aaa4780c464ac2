//! The copy of the sources with all mutants in it: woven, mended until it compiles, and built.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Mutants;
use crate::groups::Group;
use crate::list::Mutant;
use crate::results::key;
use crate::weave::{Woven, weave as weave_text};

/// What the copy gets beside the mutants.
const SWITCH: &str = r#"//! Mutants, and the one that is switched on.

use std::sync::atomic::{AtomicU32, Ordering};

static CHOSEN: AtomicU32 = AtomicU32::new(u32::MAX);

#[cold]
fn choose() -> u32 {
    let chosen = std::env::var("TAPE_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    CHOSEN.store(chosen, Ordering::Relaxed);
    chosen
}

/// Whether this mutant is switched on.
#[inline(always)]
pub fn on(mutant: u32) -> bool {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    (if chosen == u32::MAX { choose() } else { chosen }) == mutant
}
"#;

/// The libraries that get mutants; the first has the switch.
const LIBRARIES: [&str; 2] = ["engine/format/src/lib.rs", "engine/store/src/lib.rs"];

/// A mutant that does not compile is found by an error in its lines; one error may hide others.
const ROUNDS: usize = 30;

/// Executables of tests by package and target, each with the directory of its package.
pub(crate) type Executables = BTreeMap<(String, String), (PathBuf, PathBuf)>;

/// What became of the mutants that cannot be switched on.
pub(crate) struct Left {
    /// Their text does not compile.
    pub(crate) unviable: BTreeSet<u32>,
    /// They change what the compiler computes, or what a switch beside the source would: each needs a build of its own.
    pub(crate) fixed: BTreeSet<u32>,
}

/// Copies what is under version control, or would be.
fn copy(root: &Path, to: &Path, except: &BTreeSet<&str>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("copying to {}: {error}", to.display());
    let listed =
        Command::new("git").args(["ls-files", "-co", "--exclude-standard", "-z"]).current_dir(root).output();
    let listed = String::from_utf8(listed.map_err(failed)?.stdout).map_err(|error| error.to_string())?;
    for name in listed.split('\0').filter(|name| !name.is_empty() && !except.contains(name)) {
        let Ok(bytes) = fs::read(root.join(name)) else { continue };
        write(&to.join(name), &bytes)?;
    }
    Ok(())
}

/// Writes a file; what is unchanged keeps its time, so that a second build has little to do.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|there| there == *bytes) {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(path.parent().expect("below the copy")).map_err(failed)?;
    fs::write(path, bytes).map_err(failed)
}

fn cargo(copy: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(copy).env("CARGO_TARGET_DIR", copy.join("target"));
    // Mutants leave parentheses and names behind that nobody needs.
    command.env("RUSTFLAGS", "-Awarnings").stderr(Stdio::inherit());
    command
}

/// What the compiler says, line by line.
fn messages(command: &mut Command) -> Result<(bool, Vec<Value>), String> {
    let output = command.output().map_err(|error| format!("cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((output.status.success(), messages))
}

/// The places of all errors, with their texts.
fn errors(messages: &[Value]) -> Vec<(String, usize, String)> {
    let mut out = Vec::new();
    for message in messages.iter().map(|message| &message["message"]) {
        if message["level"] != "error" {
            continue;
        }
        let text = message["rendered"].as_str().unwrap_or_default();
        let primary = |span: &&Value| span["is_primary"] == true;
        for mut span in message["spans"].as_array().into_iter().flatten().filter(primary) {
            // Of a macro, where it is called.
            while span["expansion"].is_object() {
                span = &span["expansion"]["span"];
            }
            let line = span["line_start"].as_u64().unwrap_or(0) as usize;
            out.push((span["file_name"].as_str().unwrap_or_default().to_owned(), line, text.to_owned()));
        }
    }
    out
}

/// Takes out the mutants that errors are about; fails if an error is about none.
fn blame(
    errors: &[(String, usize, String)],
    files: &BTreeMap<String, Woven>,
    left: &mut Left,
) -> Result<(), String> {
    let mut found = false;
    for (file, line, text) in errors {
        let Some((ids, mutated)) = files.get(file).and_then(|woven| woven.owners(*line)) else {
            continue;
        };
        found = true;
        let list = if mutated { &mut left.unviable } else { &mut left.fixed };
        if !mutated {
            println!("no switch for {ids:?}: {}", text.lines().next().unwrap_or_default());
        }
        list.extend(ids);
    }
    let all = || errors.iter().map(|error| error.2.as_str()).collect::<String>();
    if found { Ok(()) } else { Err(format!("the woven sources do not compile:\n{}", all())) }
}

/// Copies all but the files that get mutants, with the switch.
fn prepare(root: &Path, to: &Path, woven: &BTreeSet<&str>) -> Result<(), String> {
    let own: BTreeSet<&str> = woven.iter().copied().chain(LIBRARIES).collect();
    copy(root, to, &own)?;
    let read = |file: &str| fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"));
    write(&to.join("engine/format/src/mutants.rs"), SWITCH.as_bytes())?;
    for library in LIBRARIES {
        // What overflows whenever it is run is a mutant like others, and noticed when it is run.
        let allowed = format!("#![allow(arithmetic_overflow, unconditional_panic)]\n{}", read(library)?);
        let switched = allowed.replacen("pub mod wal;", "pub mod mutants;\npub mod wal;", 1);
        write(&to.join(library), switched.as_bytes())?;
    }
    Ok(())
}

/// Copies the sources with all mutants that compile to the directory `copy`. Which do is tried in another one, so that the
/// copy is written once, and a second run finds it built.
pub(crate) fn weave(root: &Path, out: &Path, mutants: &Mutants) -> Result<Left, String> {
    let trial = out.join("trial");
    let mut by_file: BTreeMap<&str, BTreeMap<u32, &Mutant>> = BTreeMap::new();
    for (&id, mutant) in mutants {
        by_file.entry(&mutant.file).or_default().insert(id, mutant);
    }
    let read = |file: &str| fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"));
    prepare(root, &trial, &by_file.keys().copied().collect())?;
    let mut left = Left { unviable: BTreeSet::new(), fixed: BTreeSet::new() };
    // What did not compile the last time is not tried again.
    let known = out.join("unviable.txt");
    let before = fs::read_to_string(&known).unwrap_or_default();
    let before: BTreeSet<&str> = before.lines().collect();
    let still = mutants.iter().filter(|(_, mutant)| before.contains(key(mutant).as_str()));
    left.unviable.extend(still.map(|(id, _)| *id));
    for _ in 0..ROUNDS {
        let mut files = BTreeMap::new();
        for (file, mutants) in &by_file {
            let mut mutants = mutants.clone();
            mutants.retain(|id, _| !left.unviable.contains(id) && !left.fixed.contains(id));
            let crate_name = if file.starts_with("engine/format") { "crate" } else { "tapestore_format" };
            let woven = weave_text(&read(file)?, &mutants, &format!("{crate_name}::mutants::on"))
                .map_err(|error| format!("{file}: {error}"))?;
            left.fixed.extend(&woven.fixed);
            write(&trial.join(file), woven.text.as_bytes())?;
            files.insert((*file).to_owned(), woven);
        }
        let mut check = cargo(&trial);
        check.args([
            "check",
            "--locked",
            "--message-format=json",
            "-p",
            "tapestore-format",
            "-p",
            "tapestore",
        ]);
        let (ok, messages) = messages(&mut check)?;
        if ok {
            let keys: Vec<String> = left.unviable.iter().map(|id| key(&mutants[id])).collect();
            write(&known, keys.join("\n").as_bytes())?;
            let to = out.join("copy");
            prepare(root, &to, &by_file.keys().copied().collect())?;
            for (file, woven) in &files {
                write(&to.join(file), woven.text.as_bytes())?;
            }
            return Ok(left);
        }
        blame(&errors(&messages), &files, &mut left)?;
    }
    Err(format!("the woven sources do not compile after {ROUNDS} rounds"))
}

/// Builds the tests of some groups, all or the quick ones; executables by package and target, each with the directory of its package.
pub(crate) fn build(copy: &Path, groups: &[&Group], only_quick: bool) -> Result<Executables, String> {
    let slow = |group: &Group| if only_quick { &[][..] } else { group.slow };
    let packages: BTreeSet<&str> =
        groups.iter().flat_map(|group| [group.quick, slow(group)].concat()).map(|test| test.0).collect();
    let mut command = cargo(copy);
    command.args(["test", "--no-run", "--locked", "--message-format=json", "--lib", "--tests"]);
    // Its tests are so much faster that it is worth the time of the compiler.
    command.args(["--config", "profile.dev.package.tapestore-format.opt-level=1"]);
    for package in packages {
        command.args(["-p", package]);
    }
    let (ok, messages) = messages(&mut command)?;
    if !ok {
        let texts: String = errors(&messages).into_iter().map(|error| error.2).collect();
        return Err(format!("the tests of the woven sources do not compile:\n{texts}"));
    }
    let mut out = BTreeMap::new();
    for message in messages.iter().filter(|message| message["profile"]["test"] == true) {
        let (Some(path), Some(manifest)) =
            (message["executable"].as_str(), message["manifest_path"].as_str())
        else {
            continue;
        };
        let directory = Path::new(manifest).parent().expect("a file").to_owned();
        let package = fs::read_to_string(manifest).map_err(|error| format!("{manifest}: {error}"))?;
        let name = package.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let target = message["target"]["name"].as_str().unwrap_or_default().to_owned();
        out.insert((name.unwrap_or_default().to_owned(), target), (PathBuf::from(path), directory));
    }
    Ok(out)
}
