//! The sweep: every damage of every store, and what must come of it.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use golden::values::Random;
use tapestore::io::Storage;
use tapestore::{Error, ErrorClass, Finding, Store, verify_storage};
use tapestore_format::limits::CHECKED_BYTES;
use tapestore_format::log::FRAME_HEADER_BYTES;

use crate::damage::{Damage, SECTOR_BYTES};
use crate::harmless::{Allowed, Kind, allowed};
use crate::saved::{self, Count};
use crate::subject::{Files, Subject, disk, options};
use crate::truth::Given;

/// A damaged store: everything needed to do it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The store.
    pub subject: String,
    /// What was done to it.
    pub damage: Damage,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.subject, self.damage)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (subject, damage) = text.split_once('/').ok_or_else(|| format!("{text:?} is no case"))?;
        Ok(Self { subject: subject.to_owned(), damage: damage.parse()? })
    }
}

/// What came of the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The store did not open, and the error names the damaged file.
    Refused,
    /// It opened; some reads gave errors that name the damaged file, all others the exact data.
    Named,
    /// It gave the exact data, and a deep verification found the damage.
    Found,
    /// It gave the exact data, and nobody noticed: only for what the list of harmless damage has.
    Harmless(Kind),
}

/// What was done and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Damages by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Outcomes.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Stores of which all was read, and which were also opened for writing.
    pub thorough: u64,
    /// Damaged stores that were salvaged, and the rows of their newest versions.
    pub salvaged: u64,
    /// What became of these rows.
    pub rows: Count,
    /// What is broken: the case and why.
    pub failures: Vec<(Case, String)>,
}

impl Report {
    /// Number of damaged stores.
    pub fn count(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// Takes in what another sweep did and found.
    pub fn add(&mut self, other: Self) {
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.thorough += other.thorough;
        self.salvaged += other.salvaged;
        self.add_rows(other.rows);
        self.failures.extend(other.failures);
    }

    fn add_rows(&mut self, rows: Count) {
        self.rows.held += rows.held;
        self.rows.saved += rows.saved;
        self.rows.missing += rows.missing;
        self.rows.exactly += rows.exactly;
    }

    /// One line for the table of the torture run, and what it is made of.
    pub fn print(&self, name: &str, seed: u64, since: Instant) {
        println!("{name}: {:.1} s, {} of them thoroughly", since.elapsed().as_secs_f64(), self.thorough);
        println!("  damage: {:?}", self.kinds);
        println!("  outcome: {:?}", self.outcomes);
        println!("  salvaged: {} stores, {:?}", self.salvaged, self.rows);
        println!(
            "torture: {name} | {} corruptions, {} salvages | seed {seed} | failures {}",
            self.count(),
            self.salvaged,
            self.failures.len()
        );
    }

    /// Fails, with all that is needed to do it again, if anything was found.
    pub fn assert_clean(&self) {
        let Some((case, why)) = self.failures.first() else { return };
        self.failures.iter().skip(1).for_each(|(case, why)| println!("  {case}: {why}"));
        let command = format!("CORRUPTION_REPLAY='{case}' cargo test -p tape-corruption replay");
        panic!("{} failures; the first: {why}\nto see it again: {command}", self.failures.len());
    }
}

/// How much of everything: one in so many. 1 is all of it.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Of flips.
    pub flips: usize,
    /// Of truncations.
    pub truncations: usize,
    /// Of swapped and moved sectors.
    pub sectors: usize,
    /// Of units in the place of others, wrong lengths of frames, and files of other stores.
    pub units: usize,
    /// Stores with random bytes, each.
    pub noise: usize,
    /// Of damaged stores of which all series are read, and which are opened for writing as well.
    pub thorough: usize,
    /// Of damaged stores that are salvaged.
    pub salvage: usize,
}

/// All damages of a store that a sweep of this effort tries, in a fixed order.
pub fn damages(subject: &Subject, effort: &Effort, seed: u64) -> Vec<Damage> {
    let mut random = Random(seed ^ 0xDA3A_6E00);
    let mut out = Vec::new();
    let lengths: Vec<usize> = subject.files.values().map(|bytes| bytes.len()).collect();
    let sectors = |file: usize| lengths[file].div_ceil(SECTOR_BYTES);
    let mut some = |one_in: usize| one_in > 0 && random.below(one_in as i64) == 0;
    for (file, length) in lengths.iter().enumerate() {
        for offset in 0..*length {
            // One bit, all bits, and something in between that depends on the place.
            for mask in [1 << (offset % 8), 0xFF, 0x5A ^ (offset as u8 & 0x0F)] {
                if some(effort.flips) {
                    out.push(Damage::Flip { file, offset, mask });
                }
            }
        }
        for cut in 0..*length {
            if some(effort.truncations) {
                out.push(Damage::Truncate { file, length: cut });
            }
        }
        for bytes in [1, 7, 8, 24, 100, 512, 5000] {
            out.extend([0, 0xFF].map(|value| Damage::Extend { file, bytes, value }));
        }
        for sector in 0..sectors(file) {
            out.extend([0, 0xFF].map(|value| Damage::Fill { file, sector, value }));
            for other in 0..sectors(file) {
                if other > sector && some(effort.sectors) {
                    out.push(Damage::SwapSectors { file, first: sector, second: other });
                }
                if other != sector && some(effort.sectors) {
                    out.push(Damage::Moved { file, from: sector, to: other });
                }
            }
            let foreign = (0..lengths.len()).filter(|from| *from != file && sector < sectors(*from));
            out.extend(foreign.map(|from| Damage::Misdirected { from, to: file, sector }));
            for moment in 0..subject.earlier.len() {
                out.push(Damage::StaleSector { file, moment, sector });
            }
        }
        out.extend((0..subject.earlier.len()).map(|moment| Damage::StaleFile { file, moment }));
        let foreign = (0..subject.others.len()).filter(|_| some(effort.units));
        out.extend(foreign.map(|store| Damage::Foreign { file, store }));
        units(subject, file, &mut some, effort, &mut out);
        out.push(Damage::Delete { file });
        for other in 0..lengths.len() {
            if other > file {
                out.push(Damage::Exchange { first: file, second: other });
            }
            if other != file {
                out.push(Damage::Duplicate { from: other, to: file });
            }
        }
    }
    for _ in 0..effort.noise {
        let file = random.below(lengths.len() as i64) as usize;
        let offset = random.below(lengths[file].max(1) as i64) as usize;
        let bytes = 1 + random.below(64) as usize;
        out.push(Damage::Noise { file, offset, bytes, seed: random.word() >> 32 });
    }
    out
}

/// Whole units of checksums in the place of others as long, and lengths of frames that leave the padded length as it is:
/// what nothing tells from the right ones but that checksums cover place and length. Each unit with the next one of its
/// length, and some others.
fn units(
    subject: &Subject,
    file: usize,
    some: &mut dyn FnMut(usize) -> bool,
    effort: &Effort,
    out: &mut Vec<Damage>,
) {
    let units = subject.layout.units(subject.file(file));
    for (at, unit) in units.iter().enumerate() {
        let (first, bytes) = (unit.start, unit.len());
        let alike = units[at + 1..].iter().filter(|other| other.len() == bytes).map(|other| other.start);
        for (number, second) in alike.enumerate() {
            // Full pages carry their checksums with them.
            let wanted = bytes == CHECKED_BYTES || some(effort.units);
            if (number == 0 && wanted) || some(effort.sectors) {
                out.push(Damage::SwapUnits { file, first, second, bytes });
                out.push(Damage::MovedUnit { file, from: first, to: second, bytes });
                out.push(Damage::MovedUnit { file, from: second, to: first, bytes });
            }
        }
    }
    let content = &subject.files[subject.file(file)];
    for frame in subject.layout.frames(subject.file(file)) {
        let offset = frame.start + 4;
        let longest = (frame.len() - FRAME_HEADER_BYTES) as u16;
        let length = u16::from_le_bytes([content[offset], content[offset + 1]]);
        let others = (longest.saturating_sub(7).max(1)..=longest)
            .filter(|other| other ^ length != 0 && (other ^ length) < 256);
        out.extend(others.filter(|_| some(effort.units)).map(|other| Damage::Flip {
            file,
            offset,
            mask: (other ^ length) as u8,
        }));
    }
}

/// Names of the files that differ.
fn touched(before: &Files, after: &Files) -> Vec<String> {
    let changed = before.iter().filter(|(name, bytes)| after.get(*name) != Some(*bytes));
    changed.map(|(name, _)| name.clone()).collect()
}

/// The path that an error names, the rule and the offset.
fn place(error: &Error) -> Option<(&str, &str, u64)> {
    match error {
        Error::Format { path, source } => Some((path, source.rule, source.offset)),
        Error::Inconsistent { path, rule, offset, .. } => Some((path, rule, *offset)),
        _ => None,
    }
}

/// Heads of files, `CURRENT` and ends of segments are the longest structures that are blamed at their checksum, which comes
/// last in them; all else is blamed at its first byte, or behind its head.
const HEAD_BYTES: usize = 64;

struct Checker<'a> {
    subject: &'a Subject,
    after: &'a Files,
    touched: Vec<String>,
    allowed: Allowed,
    thorough: bool,
}

impl Checker<'_> {
    /// Whether a file, a rule and an offset are those of the damage: the offset lies in the file, before or after, and not
    /// behind the structure in which the last damaged byte is.
    fn is_of_damage(&self, path: &str, rule: &str, offset: u64) -> bool {
        let Some(name) = self.touched.iter().find(|name| path.ends_with(name.as_str())) else {
            return self.allowed.elsewhere && !rule.is_empty();
        };
        let before = &self.subject.files[name];
        let after = self.after.get(name).map_or(&[][..], |bytes| bytes.as_slice());
        // Checksums are looked at before anything beneath them is: a record that is not what its frame says was never read (L3).
        // At the end of a file there is no frame.
        if ["W1", "W2", "M3"].contains(&rule) && offset < after.len() as u64 {
            return false;
        }
        let last = if before.len() == after.len() {
            (0..before.len()).rev().find(|at| before[*at] != after[*at]).expect("a damaged file")
        } else {
            before.len().max(after.len())
        };
        !rule.is_empty() && offset <= (last + HEAD_BYTES) as u64
    }

    /// Whether an error names a damaged file, the place in it and a rule.
    fn check_error(&self, error: &Error) -> Result<(), String> {
        if error.kind() == ErrorClass::NotFound && !self.after.contains_key("CURRENT") {
            return if error.to_string().contains("CURRENT") {
                Ok(())
            } else {
                Err(format!("unnamed: {error}"))
            };
        }
        let Some((path, rule, offset)) = place(error) else { return Err(format!("no place: {error}")) };
        if self.is_of_damage(path, rule, offset) {
            Ok(())
        } else {
            Err(format!("of {:?}: {error}", self.touched))
        }
    }

    /// The series whose bytes may be concerned: of damage inside the parts of one segment, the series of these parts.
    /// Now and then all of them, to see that the others are not.
    fn concerned(&self) -> Option<Vec<usize>> {
        if self.thorough {
            return None;
        }
        let [name] = &self.touched[..] else { return None };
        let parts = &self.subject.layout.segments.get(name)?.parts;
        let (before, after) = (&self.subject.files[name], self.after.get(name)?);
        if before.len() != after.len() {
            return None;
        }
        let differ = |at: &usize| before[*at] != after[*at];
        let (first, last) = ((0..before.len()).find(differ)?, (0..before.len()).rev().find(differ)?);
        let inside = parts.iter().filter(|part| part.bytes.start <= last && first < part.bytes.end);
        Some(inside.filter_map(|part| self.subject.numbers.get(&part.series).copied()).collect())
    }

    fn check_given(&self, given: &Given) -> Result<(), String> {
        given.errors.iter().try_for_each(|error| self.check_error(error))?;
        let least = self.allowed.least.unwrap_or(self.subject.truth.newest);
        if given.version < least {
            return Err(format!("version {} is shown as the newest, not {least}", given.version));
        }
        if !given.same_retention && !self.allowed.retention {
            return Err("snapshots, or the versions that can be read, are others".to_owned());
        }
        Ok(())
    }

    fn findings(&self, storage: &Arc<dyn Storage>) -> Result<bool, String> {
        let findings: Vec<Finding> = match verify_storage(storage, true) {
            Ok(findings) => findings,
            Err(error) => return self.check_error(&error).map(|()| true),
        };
        for finding in findings.iter().filter(|finding| finding.damage) {
            if !self.is_of_damage(&finding.file, &finding.rule, finding.offset) {
                return Err(format!(
                    "verify blames another place than that in {:?}: {finding:?}",
                    self.touched
                ));
            }
        }
        Ok(findings.iter().any(|finding| finding.damage))
    }

    fn outcome(&self) -> Result<Outcome, String> {
        let storage: Arc<dyn Storage> = Arc::new(disk(self.after));
        let found = self.findings(&storage).map_err(|why| format!("verify: {why}"))?;
        let outcome = match Store::open_read_only_on(storage, options()) {
            Err(error) => {
                self.check_error(&error).map_err(|why| format!("open: {why}"))?;
                Outcome::Refused
            }
            Ok(store) => {
                let given = self.subject.truth.compare(&store, self.concerned().as_deref())?;
                self.check_given(&given)?;
                match (given.errors.is_empty(), found, self.allowed.kind) {
                    (false, ..) => Outcome::Named,
                    (true, true, _) => Outcome::Found,
                    (true, false, Some(kind)) => Outcome::Harmless(kind),
                    (true, false, None) => return Err("nobody noticed".to_owned()),
                }
            }
        };
        if !found && matches!(outcome, Outcome::Refused | Outcome::Named) {
            return Err("a deep verification finds nothing".to_owned());
        }
        Ok(outcome)
    }

    /// A writer refuses it as well, or goes on from what a reader may show.
    fn check_writer(&self) -> Result<(), String> {
        let storage: Arc<dyn Storage> = Arc::new(disk(self.after));
        match Store::open_on(storage, options()) {
            Err(error) => self.check_error(&error),
            Ok(store) => self.check_given(&self.subject.truth.compare(&store, self.concerned().as_deref())?),
        }
    }
}

/// Damages a store and looks at it; `None` if the damage changes nothing.
fn check(subject: &Subject, damage: Damage, thorough: bool) -> Result<Option<Outcome>, String> {
    let after = subject.damaged(damage);
    let touched = touched(&subject.files, &after);
    if touched.is_empty() {
        return Ok(None);
    }
    let checker = Checker { subject, touched, allowed: allowed(subject, &after), after: &after, thorough };
    let run = || -> Result<Outcome, String> {
        let outcome = checker.outcome()?;
        if thorough {
            checker.check_writer().map_err(|why| format!("writer: {why}"))?;
        }
        Ok(outcome)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("panic".to_owned())).map(Some)
}

/// Damages a store and salvages it.
fn salvaged(subject: &Subject, damage: Damage) -> Result<Count, String> {
    let after = subject.damaged(damage);
    let run = || saved::check(subject, &after);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("panic in salvage".to_owned()))
}

/// Does a case again.
///
/// # Errors
/// What is broken.
pub fn replay(subjects: &[Subject], case: &Case) -> Result<Option<Outcome>, String> {
    let subject = subjects.iter().find(|subject| subject.name == case.subject).ok_or("no such store")?;
    let outcome = check(subject, case.damage, true)?;
    if outcome.is_some() {
        salvaged(subject, case.damage)?;
    }
    Ok(outcome)
}

/// Sweeps over some stores; ends early after some failures.
pub fn sweep(subjects: &[Subject], effort: &Effort, seed: u64) -> Report {
    const FAILURES: usize = 20;
    const PIECE: usize = 256;
    const THREADS: usize = 2;
    let mut all = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        all.extend(damages(subject, effort, seed).into_iter().map(|damage| (number, damage)));
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let total = Mutex::new(Report::default());
    let work = || {
        let mut report = Report::default();
        while !stop.load(Ordering::Relaxed) {
            let from = next.fetch_add(PIECE, Ordering::Relaxed);
            let Some(piece) = all.get(from..all.len().min(from + PIECE)).filter(|piece| !piece.is_empty())
            else {
                break;
            };
            for (index, (number, damage)) in piece.iter().enumerate() {
                let subject = &subjects[*number];
                let thorough = effort.thorough > 0 && (from + index).is_multiple_of(effort.thorough);
                report.thorough += u64::from(thorough);
                let salvage = effort.salvage > 0 && (from + index).is_multiple_of(effort.salvage);
                let mut checked = check(subject, *damage, thorough);
                if salvage && matches!(checked, Ok(Some(_))) {
                    match salvaged(subject, *damage) {
                        Ok(rows) => report.add_rows(rows),
                        Err(why) => checked = Err(why),
                    }
                    report.salvaged += 1;
                }
                match checked {
                    Ok(None) => continue,
                    Ok(Some(outcome)) => *report.outcomes.entry(outcome).or_default() += 1,
                    Err(why) => {
                        let case = Case { subject: subject.name.to_owned(), damage: *damage };
                        let file = subject.file(0);
                        report
                            .failures
                            .push((case, format!("{why} ({} files from {file} on)", subject.files.len())));
                        stop.store(report.failures.len() >= FAILURES, Ordering::Relaxed);
                    }
                }
                *report.kinds.entry(damage.kind()).or_default() += 1;
            }
        }
        total.lock().expect("no panic").add(report);
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    total.into_inner().expect("no panic")
}
