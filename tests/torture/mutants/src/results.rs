//! What became of each mutant, in a file that a second run goes on with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::Mutants;
use crate::copy::Left;
use crate::list::Mutant;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A test failed: which executable.
    Caught(String),
    /// A test went on for ever, or used memory without end: which executable.
    Endless(String),
    /// The quick tests passed; the others have not been run.
    Survived,
    /// All tests passed.
    Missed,
    /// Does not compile.
    Unviable,
    /// No switch can choose it: it needs a build of its own.
    Fixed,
}

impl Outcome {
    fn line(&self) -> (&'static str, &str) {
        match self {
            Self::Caught(by) => ("caught", by),
            Self::Endless(by) => ("endless", by),
            Self::Survived => ("survived", ""),
            Self::Missed => ("missed", ""),
            Self::Unviable => ("unviable", ""),
            Self::Fixed => ("fixed", ""),
        }
    }
}

/// Outcomes by mutant; the last line about one counts.
pub(crate) struct Results {
    file: File,
    outcomes: BTreeMap<String, Outcome>,
}

/// What a mutant is known by, wherever its line has moved to.
pub(crate) fn key(mutant: &Mutant) -> String {
    // FNV, so that it is the same in every run.
    let text = format!("{}\n{}", mutant.file, mutant.diff);
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

impl Results {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut outcomes = BTreeMap::new();
        for line in fs::read_to_string(path).unwrap_or_default().lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [key, word, by, _] = fields[..] else { continue };
            let outcome = match word {
                "caught" => Outcome::Caught(by.to_owned()),
                "endless" => Outcome::Endless(by.to_owned()),
                "survived" => Outcome::Survived,
                "missed" => Outcome::Missed,
                "unviable" => Outcome::Unviable,
                _ => Outcome::Fixed,
            };
            outcomes.insert(key.to_owned(), outcome);
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        Ok(Self { file, outcomes })
    }

    /// Whether the quick tests need not be run again.
    pub(crate) fn is_settled(&self, mutant: &Mutant) -> bool {
        let outcome = self.outcomes.get(&key(mutant));
        outcome.is_some_and(|outcome| *outcome != Outcome::Missed)
    }

    /// Whether the quick tests passed, and the others have not been run.
    pub(crate) fn has_survived(&self, mutant: &Mutant) -> bool {
        self.outcomes.get(&key(mutant)) == Some(&Outcome::Survived)
    }

    /// Notes an outcome.
    pub(crate) fn note(&mut self, mutant: &Mutant, outcome: Outcome) -> Result<(), String> {
        let (word, by) = outcome.line();
        writeln!(self.file, "{}\t{word}\t{by}\t{}", key(mutant), mutant.name)
            .map_err(|error| error.to_string())?;
        self.outcomes.insert(key(mutant), outcome);
        Ok(())
    }

    /// Notes those that cannot be run; those of before count no more.
    pub(crate) fn note_unrunnable(
        &mut self,
        ids: &BTreeSet<u32>,
        mutants: &Mutants,
        left: &Left,
    ) -> Result<(), String> {
        for id in ids {
            let mutant = &mutants[id];
            let stale = self.outcomes.get(&key(mutant));
            if left.unviable.contains(id) {
                self.note(mutant, Outcome::Unviable)?;
            } else if left.fixed.contains(id) && !matches!(stale, Some(Outcome::Caught(_))) {
                self.note(mutant, Outcome::Fixed)?;
            } else if matches!(stale, Some(Outcome::Unviable | Outcome::Fixed)) {
                self.outcomes.remove(&key(mutant));
            }
        }
        Ok(())
    }

    /// Prints what was missed, and the counts; whether of those that were run at least 95 of 100 were caught.
    pub(crate) fn print(&self, group: &str, ids: &BTreeSet<u32>, mutants: &Mutants) -> bool {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for id in ids {
            let mutant = &mutants[id];
            let outcome = self.outcomes.get(&key(mutant));
            let word = outcome.map_or("not run", |outcome| outcome.line().0);
            *counts.entry(word).or_default() += 1;
            if matches!(word, "survived" | "missed" | "fixed") {
                println!("{word}: {}", mutant.name);
            }
        }
        let count = |word: &str| counts.get(word).copied().unwrap_or(0);
        let (caught, missed) = (count("caught") + count("endless"), count("missed") + count("survived"));
        println!(
            "torture: mutants {group} | {} mutants, {caught} caught, {} of them endless, {} unviable, {} fixed, {} not run, \
             {} tried by the quick tests alone | seed - | failures {missed}",
            ids.len(),
            count("endless"),
            count("unviable"),
            count("fixed"),
            count("not run"),
            count("survived"),
        );
        caught * 100 >= (caught + missed) * 95
    }
}
