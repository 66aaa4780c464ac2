//! Reads that fail: every reading call, in every way, whatever is being done with the store meanwhile.
//!
//! What is asked of all of it: the exact data, or one error that names the file; a call that was interrupted, or gave less than was
//! asked for, is gone on with. When the disk answers again, the same handle reads everything, and nothing is lost.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use tapestore::io::{LockKind, Storage};
use tapestore::{Finding, SalvageReport, Store, salvage_storage, verify_storage};

use crate::case::Blow;
use crate::image::Keep;
use crate::reads::{ReadFault, ReadSite};
use crate::run::{Copied, MINUTE_NS, Moment, Op, Run, SERIES, Stop, key, options};
use crate::search::{Effort, Report, guarded, record};
use crate::sim::{Disk, Fault, SimStorage};
use crate::targets::{check_backup, check_creation, check_salvaged};

/// What is done with a store while a read fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Created: with no operations only, since none come before it.
    Create,
    /// Opened for writing, and read.
    Write,
    /// Opened for reading, and read.
    Read,
    /// Opened for reading beside a writer whose last commit failed.
    Beside,
    /// A handle that reads moves on behind the last operation.
    Refresh,
    /// The last operation itself.
    Work,
    /// Verified, every byte.
    Verify,
    /// Salvaged.
    Salvage,
    /// Backed up; what is copied cannot be read.
    Backup,
    /// Backed up; what the target holds cannot be read.
    BackupTarget,
}

impl Look {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::Write,
        Self::Read,
        Self::Beside,
        Self::Refresh,
        Self::Work,
        Self::Verify,
        Self::Salvage,
        Self::Backup,
        Self::BackupTarget,
    ];
}

/// A workload that was done, and the disks that it left.
pub(crate) struct Scene {
    seed: u64,
    ops: Vec<Op>,
    run: Run,
    known: Moment,
    disk: Disk,
    target: Disk,
    /// What the last backup holds.
    before: Option<Copied>,
    /// The disk of a writer whose next commit failed when it was synced, and what is known of it.
    failed: Option<(Disk, Moment)>,
    /// Disks that were checked already.
    checked: RefCell<HashSet<(u128, usize)>>,
}

/// What a look came to.
#[derive(Default)]
struct Seen {
    /// Its reading calls.
    sites: Vec<ReadSite>,
    /// The version that it showed, or the most that it found wrong with a sound store.
    shown: Option<u64>,
    hit: bool,
}

/// One look, with a read that fails.
struct Trial {
    storage: SimStorage,
    fault: Option<(u64, ReadFault)>,
}

impl Trial {
    fn begin(storage: &SimStorage, fault: Option<(u64, ReadFault)>) -> Self {
        storage.watch_reads(fault);
        Self { storage: storage.clone(), fault }
    }

    /// Nothing, if something failed as it may: with an error that names the file that could not be read.
    fn judge<T>(&self, result: Result<T, String>) -> Result<Option<T>, String> {
        let harmless = self.fault.is_some_and(|fault| fault.1.is_harmless());
        match (result, self.storage.read_fault_hit()) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(why), Some(file)) if !harmless && why.contains(&file) => Ok(None),
            (Err(why), Some(file)) => Err(format!("{why}; the read that failed was of {file}")),
            (Err(why), None) => Err(why),
        }
    }

    /// Reads are answered again; what the look was.
    fn end(&self, shown: Option<u64>) -> Seen {
        self.storage.heal_reads();
        let (sites, hit) = (self.storage.read_sites(), self.storage.read_fault_hit().is_some());
        Seen { sites, shown, hit }
    }
}

fn shared(storage: &SimStorage) -> Arc<dyn Storage> {
    Arc::new(storage.clone())
}

fn stopped(op: Op, stop: Stop) -> String {
    match stop {
        Stop::Engine(error) => format!("{op}: {error}"),
        Stop::Broken(why) => format!("{op}: {why}"),
    }
}

impl Scene {
    fn of(seed: u64, ops: &[Op], run: Run) -> Self {
        let (known, disk, target) = (run.moment().clone(), run.storage.disk(), run.target.disk());
        let before = run.backups.get(1..).and_then(<[_]>::last).cloned();
        let mut failing = Run::start(seed);
        ops.iter().for_each(|op| failing.apply(*op).expect("done above"));
        // Written, then not synced.
        failing.storage.fail_at(2, Fault::SyncKept);
        let failed = failing.apply(Op::Commit).is_err();
        assert!(failed || failing.storage.calls() == 0, "the commit that is to fail changes something");
        let failed = failed.then(|| (failing.storage.disk(), failing.moment().clone()));
        let checked = RefCell::default();
        Self { seed, ops: ops.to_vec(), run, known, disk, target, before, failed, checked }
    }

    /// Everything acknowledged is on this disk, as it is and after a power cut.
    fn check_after(&self, disk: &Disk, shown: Option<usize>) -> Result<(), String> {
        let least = [shown.unwrap_or(self.known.appended), shown.unwrap_or(self.known.acknowledged.version)];
        for (image, least) in [disk.after_crash(), disk.image(Keep::Nothing)].into_iter().zip(least) {
            if self.checked.borrow_mut().insert((image.digest(), least)) {
                self.run
                    .check_image(&SimStorage::from_disk(image), &self.known, least)
                    .map_err(|why| format!("afterwards: {why}"))?;
            }
        }
        Ok(())
    }

    fn unchanged(&self, storage: &SimStorage) -> Result<(), String> {
        let same = storage.disk().digest() == self.disk.digest();
        if same { Ok(()) } else { Err("what only reads changed the store".into()) }
    }

    fn look(&self, look: Look, fault: Option<(u64, ReadFault)>, sound: Option<u64>) -> Result<Seen, String> {
        let seen = match look {
            Look::Create => self.create(fault),
            Look::Write => self.write(fault),
            Look::Read => self.read(fault),
            Look::Beside => self.beside(fault),
            Look::Refresh => self.refresh(fault, sound),
            Look::Work => self.work(fault),
            Look::Verify => self.verify(fault),
            Look::Salvage => self.salvage(fault, sound),
            Look::Backup => self.backup(fault, false),
            Look::BackupTarget => self.backup(fault, true),
        }?;
        match (sound, seen.shown) {
            (Some(sound), Some(shown)) if sound != shown => {
                Err(format!("shows version {shown}; without the fault it is {sound}"))
            }
            _ => Ok(seen),
        }
    }

    /// Reads a store that was opened, or not; once a read has failed, again with reads answered. One that is to fail later
    /// fails when the store is closed.
    fn read_store(&self, trial: &Trial, store: Option<&Store>) -> Result<Option<u64>, String> {
        let Some(store) = store else { return Ok(None) };
        let (known, least) = (&self.known, self.known.appended);
        let shown = trial.judge(self.run.check_store(store, known, least))?;
        if trial.storage.read_fault_hit().is_none() {
            return Ok(shown.map(|shown| shown as u64));
        }
        trial.storage.heal_reads();
        let again = self.run.check_store(store, known, least);
        Ok(Some(again.map_err(|why| format!("with reads answered again: {why}"))? as u64))
    }

    fn create(&self, fault: Option<(u64, ReadFault)>) -> Result<Seen, String> {
        if !self.ops.is_empty() {
            return Ok(Seen::default());
        }
        let storage = SimStorage::new();
        let trial = Trial::begin(&storage, fault);
        let created = Run::create(storage.clone(), self.seed).map_err(|error| format!("creation: {error}"));
        let ended = trial.judge(created)?.is_some();
        let seen = trial.end(None);
        for image in [storage.disk().after_crash(), storage.disk().image(Keep::Nothing)] {
            check_creation(&self.run, self.seed, image, ended)?;
        }
        Ok(seen)
    }

    fn write(&self, fault: Option<(u64, ReadFault)>) -> Result<Seen, String> {
        let storage = SimStorage::from_disk(self.disk.clone());
        let trial = Trial::begin(&storage, fault);
        let opened = Store::open_on(shared(&storage), options());
        let store = trial.judge(opened.map_err(|error| format!("open: {error}")))?;
        let shown = self.read_store(&trial, store.as_ref())?;
        drop(store);
        let seen = trial.end(shown);
        self.check_after(&storage.disk(), shown.map(|shown| shown as usize))?;
        Ok(seen)
    }

    fn read(&self, fault: Option<(u64, ReadFault)>) -> Result<Seen, String> {
        let storage = SimStorage::from_disk(self.disk.clone());
        let trial = Trial::begin(&storage, fault);
        let opened = Store::open_read_only_on(shared(&storage), options());
        let store = trial.judge(opened.map_err(|error| format!("open to read: {error}")))?;
        let shown = self.read_store(&trial, store.as_ref())?;
        drop(store);
        let seen = trial.end(shown);
        self.unchanged(&storage)?;
        Ok(seen)
    }

    /// The commit that failed stands in the log, and was never shown: a reader must not show it (I12).
    fn beside(&self, fault: Option<(u64, ReadFault)>) -> Result<Seen, String> {
        let Some((disk, known)) = &self.failed else { return Ok(Seen::default()) };
        let storage = SimStorage::from_disk(disk.clone());
        let held = storage.lock("LOCK", LockKind::Exclusive).map_err(|error| error.to_string())?;
        let trial = Trial::begin(&storage, fault);
        let opened = Store::open_read_only_on(shared(&storage), options());
        let store = trial.judge(opened.map_err(|error| format!("open beside a writer: {error}")))?;
        let shown = store.as_ref().map(|store| store.view().version());
        if let (Some(store), Some(shown)) = (&store, shown) {
            if shown >= known.issued.version as u64 {
                return Err(format!("I12: shows version {shown}, which failed"));
            }
            trial.judge(self.run.check_version(store, shown))?;
        }
        drop(held);
        Ok(trial.end(shown))
    }

    fn refresh(&self, fault: Option<(u64, ReadFault)>, sound: Option<u64>) -> Result<Seen, String> {
        let Some((last, first)) = self.ops.split_last() else { return Ok(Seen::default()) };
        let mut run = Run::start(self.seed);
        first.iter().try_for_each(|op| run.apply(*op).map_err(|stop| stopped(*op, stop)))?;
        let reader = Store::open_read_only_on(shared(&run.storage), options());
        let reader = reader.map_err(|error| format!("open to read: {error}"))?;
        run.apply(*last).map_err(|stop| stopped(*last, stop))?;
        let trial = Trial::begin(&run.storage, fault);
        let moved = trial.judge(reader.refresh().map_err(|error| format!("refresh: {error}")))?;
        trial.judge(run.check_version(&reader, reader.view().version()))?;
        let seen = trial.end(moved);
        let again = reader.refresh().map_err(|error| format!("refresh again: {error}"))?;
        if sound.is_some_and(|sound| sound != again) {
            return Err(format!("refreshed again it shows version {again}, not {sound:?}"));
        }
        run.check_version(&reader, again)?;
        Ok(seen)
    }

    fn work(&self, fault: Option<(u64, ReadFault)>) -> Result<Seen, String> {
        let Some((last, first)) = self.ops.split_last() else { return Ok(Seen::default()) };
        let mut run = Run::start(self.seed);
        first.iter().try_for_each(|op| run.apply(*op).map_err(|stop| stopped(*op, stop)))?;
        let known = run.moment().clone();
        let trial = Trial::begin(&run.storage, fault);
        let done = match run.apply(*last) {
            Err(Stop::Broken(why)) => return Err(format!("{last}: {why}")),
            other => trial.judge(other.map_err(|stop| stopped(*last, stop)))?,
        };
        trial.judge(run.check_reads())?;
        let seen = trial.end(None);
        if run.store().is_ok_and(|store| store.wait_idle().is_ok()) {
            // What failed and left the handle alive was not done; but pruning raises the floor first, then frees space.
            if done.is_none() && *last != Op::Prune {
                run.take_back(known);
            }
            run.check_reads().map_err(|why| format!("with reads answered again: {why}"))?;
            run.apply(Op::Commit).map_err(|stop| stopped(Op::Commit, stop))?;
            run.check_reads().map_err(|why| format!("with reads answered again: {why}"))?;
        }
        run.let_go();
        let (known, disk) = (run.moment().clone(), run.storage.disk());
        let cut = SimStorage::from_disk(disk.image(Keep::Nothing));
        run.check_image(&cut, &known, known.acknowledged.version)
            .map_err(|why| format!("power cut after the fault: {why}"))?;
        run.check_image(&SimStorage::from_disk(disk.after_crash()), &known, known.appended)
            .map_err(|why| format!("reopening after the fault: {why}"))?;
        Ok(seen)
    }

    /// What cannot be read is found, if it counts.
    fn verify(&self, fault: Option<(u64, ReadFault)>) -> Result<Seen, String> {
        let storage = SimStorage::from_disk(self.disk.clone());
        let trial = Trial::begin(&storage, fault);
        let findings = verify_storage(&shared(&storage), true).map_err(|error| format!("verify: {error}"));
        let Some(findings) = trial.judge(findings)? else { return Ok(trial.end(None)) };
        let damage: Vec<&Finding> = findings.iter().filter(|finding| finding.damage).collect();
        for finding in &damage {
            let found = trial.judge::<()>(Err(format!("{finding:?}")))?;
            debug_assert!(found.is_none());
        }
        let counts = ["CURRENT", "manifest-", "segment-", "wal-"];
        let seen = trial.end(None);
        if let (Some(file), Some((call, fault))) = (storage.read_fault_hit(), fault)
            && !fault.is_harmless()
            && damage.is_empty()
            && counts.iter().any(|name| file.contains(name))
        {
            let site = seen.sites[call as usize - 1];
            return Err(format!("{site:?} of {file} failed, and nothing was found"));
        }
        self.unchanged(&storage)?;
        Ok(seen)
    }

    fn salvage(&self, fault: Option<(u64, ReadFault)>, sound: Option<u64>) -> Result<Seen, String> {
        let (from, to) = (SimStorage::from_disk(self.disk.clone()), SimStorage::new());
        let trial = Trial::begin(&from, fault);
        let saved =
            salvage_storage(&shared(&from), &shared(&to)).map_err(|error| format!("salvage: {error}"));
        let saved = trial.judge(saved)?;
        let seen = trial.end(saved.as_ref().filter(|saved| saved.is_complete()).map(|saved| saved.version));
        match &saved {
            Some(saved) if saved.is_complete() => check_salvaged(&self.run, to.disk(), saved.version, true)?,
            Some(saved) => {
                // What was made good may name the file that was not read; what is lost has to.
                let made_good = if sound == Some(saved.version) { &saved.rebuilt[..] } else { &[] };
                let told = format!("salvage: {:?} {:?} {made_good:?}", saved.losses, saved.unknown);
                trial.judge::<()>(Err(told))?;
                self.check_saved(&to, saved)?;
            }
            None => {}
        }
        self.unchanged(&from)?;
        Ok(seen)
    }

    /// What a salvage saved of the newest version is exact, though not all of it is there.
    fn check_saved(&self, to: &SimStorage, saved: &SalvageReport) -> Result<(), String> {
        let store = Store::open_read_only_on(shared(to), options());
        let store = store.map_err(|error| format!("opening what was saved: {error}"))?;
        let Some(version) = self.run.versions.get(saved.version as usize) else {
            return Err(format!("saved version {}, which was never issued", saved.version));
        };
        let view = store.view();
        for (series, content) in version.iter() {
            if !view.keys().contains(&key(*series)) {
                continue;
            }
            let rows = view.read(&key(*series)).rows();
            let rows = rows.map_err(|error| format!("reading what was saved: {error}"))?;
            let closes = rows.f64("close").unwrap_or_default();
            for (time, close) in rows.time().iter().zip(closes) {
                let known = content.rows.get(&(time / MINUTE_NS));
                if known.is_none_or(|known| !close.is_nan() && known != close) {
                    return Err(format!("saved {time}: {close} of {}; it was {known:?}", SERIES[*series]));
                }
            }
        }
        Ok(())
    }

    /// A backup that fails leaves the one before it, or none.
    fn backup(&self, fault: Option<(u64, ReadFault)>, of_target: bool) -> Result<Seen, String> {
        let storage = SimStorage::from_disk(self.disk.clone());
        let store = Store::open_on(shared(&storage), options()).map_err(|error| format!("open: {error}"))?;
        let target = SimStorage::from_disk(self.target.clone());
        target.record();
        let trial = Trial::begin(if of_target { &target } else { &storage }, fault);
        let report = store.backup_to(&target).map_err(|error| format!("backup: {error}"));
        let report = trial.judge(report)?;
        let seen = trial.end(report.map(|report| report.version));
        let disks = target.take_record();
        for (call, disk) in disks.iter().enumerate() {
            let finished = report.filter(|_| call + 1 == disks.len()).map(|report| report.version);
            for keep in [Keep::Everything, Keep::Nothing] {
                self.check_copy(disk.image(keep), finished)
                    .map_err(|why| format!("power cut ({keep}) after call {call}: {why}"))?;
            }
        }
        self.check_copy(target.disk(), report.map(|report| report.version))?;
        let again = store.backup_to(&target).map_err(|error| format!("backing up again: {error}"))?;
        if again.version != store.view().version() {
            return Err(format!("backing up again: {again:?}"));
        }
        self.check_copy(target.disk(), Some(again.version))?;
        self.run.check_store(&store, &self.known, self.known.appended)?;
        Ok(seen)
    }

    fn check_copy(&self, image: Disk, finished: Option<u64>) -> Result<(), String> {
        let finished = finished.map(|version| version as usize);
        if self.checked.borrow_mut().insert((image.digest(), finished.map_or(0, |version| version + 1))) {
            check_backup(&self.run, image, self.before.as_ref(), finished)?;
        }
        Ok(())
    }
}

/// Lets every reading call of every look at the end of a workload fail in every way.
pub fn read_faults(seed: u64, ops: &[Op], effort: &Effort, report: &mut Report) {
    report.workloads += 1;
    let Some(run) = record(seed, false, ops, report) else { return };
    let scene = Scene::of(seed, ops, run);
    for look in Look::ALL {
        let sound = match guarded(|| scene.look(look, None, None)) {
            Ok(sound) => sound,
            Err(why) => {
                report.fail(seed, ops, Blow::Read(look, 0, ReadFault::Once), format!("{look:?}: {why}"));
                return;
            }
        };
        for (call, site) in (1..).zip(&sound.sites) {
            report.calls += 1;
            *report.read_sites.entry(*site).or_default() += 1;
            for fault in ReadFault::ALL.into_iter().filter(|fault| fault.fits(site.0)) {
                match guarded(|| scene.look(look, Some((call, fault)), sound.shown)) {
                    Ok(seen) if seen.hit => report.read_faults += 1,
                    Ok(_) => {
                        let why = format!("{look:?}, {site:?}: it is not made a second time");
                        report.fail(seed, ops, Blow::Read(look, call, fault), why);
                    }
                    Err(why) => {
                        let why = format!("{look:?}, {site:?}: {why}");
                        report.fail(seed, ops, Blow::Read(look, call, fault), why);
                        if report.failures.len() >= effort.failures {
                            return;
                        }
                    }
                }
            }
        }
    }
    report.images += scene.checked.borrow().len() as u64;
}

/// Does one look again; whether the read failed.
pub(crate) fn one_read_fault(
    seed: u64,
    ops: &[Op],
    look: Look,
    call: u64,
    fault: ReadFault,
) -> Result<bool, String> {
    let mut report = Report::default();
    let run = record(seed, false, ops, &mut report);
    let run = run.ok_or_else(|| report.failures.remove(0).1)?;
    let scene = Scene::of(seed, ops, run);
    let sound = scene.look(look, None, None)?;
    Ok(scene.look(look, Some((call, fault)), sound.shown)?.hit)
}
