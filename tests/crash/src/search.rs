//! The sweeps: a power cut at every call, a fault at every call.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use tapestore::ErrorClass;

use crate::case::{Blow, Case, Place};
use crate::image::Keep;
use crate::looks::{one_read_fault, read_faults};
use crate::random::Random;
use crate::reads::ReadSite;
use crate::run::{ALL, Moment, Op, Run, SHORT, Stop};
use crate::sim::{CallKind, Disk, Fault, SimStorage, Site};
use crate::targets::{backup_cuts, one_target_cut, one_target_fault, target_cuts, target_faults};

/// What was done and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Workloads.
    pub workloads: u64,
    /// Calls at which power was cut or a fault injected.
    pub calls: u64,
    /// Different disks that were opened and checked.
    pub images: u64,
    /// Of these, disks after a second cut, during recovery.
    pub second_cuts: u64,
    /// Of these, disks beside that of the store: of backups, of salvage, of creation.
    pub target_images: u64,
    /// Faults that were injected and hit.
    pub faults: u64,
    /// Faults of reading calls that were injected and hit.
    pub read_faults: u64,
    /// Call sites that were hit.
    pub sites: BTreeMap<Site, u64>,
    /// Call sites on other disks.
    pub target_sites: BTreeMap<Site, u64>,
    /// Sites of reading calls.
    pub read_sites: BTreeMap<ReadSite, u64>,
    /// What is broken: the case and why.
    pub failures: Vec<(Case, String)>,
}

impl Report {
    /// Fails, with all that is needed to do it again, if anything was found.
    pub fn assert_clean(&self) {
        let Some((case, why)) = self.failures.first() else { return };
        let command = format!("CRASH_REPLAY='{case}' cargo test -p crash-tests --test power_cut replay");
        panic!("{} failures; the first: {why}\nto see it again: {command}", self.failures.len());
    }

    /// One line per count.
    pub fn print(&self, name: &str, seed: u64, since: Instant) {
        let seconds = since.elapsed().as_secs_f64();
        println!(
            "{name}: {} workloads, {} calls, {} images ({} after a second cut, {} of other disks), {} faults, {} faults of \
             reads, {} failures, seed {seed}, {seconds:.1} s",
            self.workloads,
            self.calls,
            self.images,
            self.second_cuts,
            self.target_images,
            self.faults,
            self.read_faults,
            self.failures.len()
        );
        print_sites("call sites", &self.sites);
        print_sites("call sites on other disks", &self.target_sites);
        print_sites("sites of reads", &self.read_sites);
        println!(
            "torture: {name} | {} images, {} faults, {} read faults, {} call sites | seed {seed} | failures {}",
            self.images,
            self.faults,
            self.read_faults,
            self.sites.len() + self.target_sites.len() + self.read_sites.len(),
            self.failures.len()
        );
    }

    /// Takes in what another sweep did and found.
    pub fn add(&mut self, other: Self) {
        self.workloads += other.workloads;
        self.calls += other.calls;
        self.images += other.images;
        self.second_cuts += other.second_cuts;
        self.target_images += other.target_images;
        self.faults += other.faults;
        self.read_faults += other.read_faults;
        for (site, count) in other.sites {
            *self.sites.entry(site).or_default() += count;
        }
        for (site, count) in other.target_sites {
            *self.target_sites.entry(site).or_default() += count;
        }
        for (site, count) in other.read_sites {
            *self.read_sites.entry(site).or_default() += count;
        }
        self.failures.extend(other.failures);
    }

    pub(crate) fn fail(&mut self, seed: u64, ops: &[Op], blow: Blow, why: String) {
        self.failures.push((Case { seed, anew: false, ops: ops.to_vec(), blow }, why));
    }
}

/// Every call site that short workloads have: a kind of call on a kind of file. One that is missing is no longer tested;
/// one that is new must be added.
pub const SITES: &str = "Create current.new, Create leases, Create reserve, Create segment, Create wal, Write current.new, \
     Write manifest, Write reserve, Write segment, Write visible, Write wal, Sync current.new, Sync manifest, Sync reserve, \
     Sync segment, Sync wal, SetLength reserve, Rename CURRENT, Remove leases, Remove reserve, Remove segment, Remove wal, \
     SyncDir root";

/// The same of several operations: opening after an opening that nobody wrote after puts a copy in the place of the empty log.
pub const SITES_OF_SEQUENCES: &str = "Create copy, Create current.new, Create leases, Create reserve, Create segment, Create wal, \
     Write copy, Write current.new, Write manifest, Write reserve, Write segment, Write visible, Write wal, Sync copy, \
     Sync current.new, Sync manifest, Sync reserve, Sync segment, Sync wal, SetLength reserve, Rename CURRENT, Rename wal, \
     Remove leases, Remove reserve, Remove segment, Remove wal, SyncDir root";

/// The names of call sites: what is called on which kind of file.
pub fn site_names<K: fmt::Debug>(sites: &BTreeMap<(K, &'static str), u64>) -> Vec<String> {
    sites.keys().map(|(kind, class)| format!("{kind:?} {class}")).collect()
}

fn print_sites<K: fmt::Debug>(what: &str, sites: &BTreeMap<(K, &'static str), u64>) {
    let counts = site_names(sites).into_iter().zip(sites.values());
    let each: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    if !each.is_empty() {
        println!("  {what}: {} ({})", each.len(), each.join(", "));
    }
}

/// How thoroughly.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Random subsets per cut.
    pub random: u64,
    /// One in this many images is cut again during recovery.
    pub again_once_in: usize,
    /// Most single atoms tried per cut, each alone, left out, and torn.
    pub atoms: usize,
    /// Failures after which the search ends.
    pub failures: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { random: 3, again_once_in: 60, atoms: 24, failures: 1 }
    }
}

/// Sweeps over workloads with two threads; no more are begun after a failure. The same is done whatever the threads do.
pub fn over(workloads: &[Vec<Op>], sweep: impl Fn(u64, &[Op], &mut Report) + Sync) -> Report {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let total = Mutex::new(Report::default());
    let work = || {
        let mut report = Report::default();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(ops) = workloads.get(number) else { break };
            sweep(number as u64, ops, &mut report);
            stop.fetch_or(!report.failures.is_empty(), Ordering::Relaxed);
        }
        total.lock().add(report);
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    total.into_inner()
}

/// All sequences of up to `length` of the nine operations, shortest first.
pub fn sequences(length: usize) -> Vec<Vec<Op>> {
    let mut out: Vec<Vec<Op>> = Vec::new();
    let mut last: Vec<Vec<Op>> = vec![Vec::new()];
    for _ in 0..length {
        last = last
            .iter()
            .flat_map(|ops| SHORT.iter().map(|op| ops.iter().copied().chain([*op]).collect()))
            .collect();
        out.extend(last.iter().cloned());
    }
    out
}

/// A long workload of all operations.
pub fn long_workload(seed: u64, length: usize) -> Vec<Op> {
    let mut random = Random::new(seed ^ 0xC0FF_EE00);
    (0..length).map(|_| ALL[random.below(ALL.len())]).collect()
}

/// Runs operations, recording the disk; `None` and a failure if the engine errs on a sound disk.
pub(crate) fn record(seed: u64, anew: bool, ops: &[Op], report: &mut Report) -> Option<Run> {
    let mut run = Run::start(seed);
    if anew {
        run.lengthen_manifest().expect("a sound disk");
    }
    for op in ops {
        if let Err(stop) = run.apply(*op) {
            let why = match stop {
                Stop::Engine(error) => format!("{op} on a sound disk: {error}"),
                Stop::Broken(text) => format!("{op} on a sound disk: {text}"),
            };
            report.fail(seed, ops, Blow::Cut(run.moment().calls, Keep::Everything, None), why);
            return None;
        }
    }
    Some(run)
}

/// What is known when the power fails after a call: the moment before it, with what the next one issued.
fn knowledge(moments: &[Moment], call: u64) -> Moment {
    let past = moments.iter().rposition(|moment| moment.calls <= call).unwrap_or(0);
    let mut known = moments[past].clone();
    known.before = known.issued.clone();
    if let Some(next) = moments.get(past + 1) {
        known.issued = next.issued.clone();
    }
    known
}

/// What a reader beside the writer sees at this moment must not be undone (I12), unless the writer acknowledged less than
/// durable commits.
fn raise_to_shown(run: &Run, ops: &[Op], disk: &Disk, known: &mut Moment) -> Result<(), String> {
    if !ops.iter().any(|op| matches!(op, Op::Appended | Op::Volatile)) {
        let shown = run.shown_beside_writer(disk)?;
        known.acknowledged.version = known.acknowledged.version.max(shown);
    }
    Ok(())
}

/// The subsets tried at a cut.
pub(crate) fn keeps(atoms: usize, effort: &Effort, random: &mut Random) -> Vec<Keep> {
    let mut keeps = vec![Keep::Nothing, Keep::Everything];
    for _ in 0..effort.atoms.min(atoms) {
        // All of them if there are few, otherwise some.
        let atom = if atoms <= effort.atoms { (keeps.len() - 2) / 3 } else { random.below(atoms) };
        keeps.extend([Keep::Only(atom), Keep::Without(atom), Keep::Torn(atom)]);
    }
    if atoms > 1 {
        keeps.extend((0..effort.random).map(|_| Keep::Random(random.draw() >> 16)));
    }
    keeps
}

pub(crate) fn guarded<T>(check: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Cuts the power at every call of the last operation of a workload, or of all of them.
pub fn power_cuts(seed: u64, ops: &[Op], all_ops: bool, effort: &Effort, report: &mut Report) {
    report.workloads += 1;
    let Some(run) = record(seed, false, ops, report) else { return };
    // The earlier calls are the business of the shorter sequences.
    let first = if all_ops { 0 } else { run.moments[run.moments.len() - 2].calls };
    if cuts(seed, ops, &run, first, effort, report) {
        backup_cuts(seed, ops, &run, effort, report);
    }
}

/// Cuts the power at every call around the moment at which a manifest is written anew.
///
/// # Panics
/// If it is not written anew: then this looks in the wrong place.
pub fn manifest_cuts(seed: u64, effort: &Effort, report: &mut Report) {
    report.workloads += 1;
    let once = [Op::Snapshot, Op::Commit, Op::Snapshot, Op::Snapshot, Op::Seal, Op::Snapshot];
    let ops = [once, once].concat();
    let mut found = Report::default();
    if let Some(run) = record(seed, true, &ops, &mut found) {
        let anew = |site: &Site| *site == (CallKind::Create, "manifest");
        assert!(run.storage.sites().iter().any(anew), "the manifest is not written anew");
        cuts(seed, &ops, &run, 0, effort, &mut found);
    }
    found.failures.iter_mut().for_each(|failure| failure.0.anew = true);
    report.add(found);
}

/// Cuts the power at every recorded call from `first` on; whether the search goes on.
fn cuts(seed: u64, ops: &[Op], run: &Run, first: u64, effort: &Effort, report: &mut Report) -> bool {
    let (disks, sites) = (run.storage.take_record(), run.storage.sites());
    let mut random = Random::new(seed ^ 0x5EED);
    let mut seen = HashSet::new();
    for call in first..disks.len() as u64 {
        if call > 0 {
            *report.sites.entry(sites[call as usize - 1]).or_default() += 1;
        }
        report.calls += 1;
        let mut known = knowledge(&run.moments, call);
        let disk = &disks[call as usize];
        if let Err(why) = guarded(|| raise_to_shown(run, ops, disk, &mut known)) {
            report.fail(seed, ops, Blow::Cut(call, Keep::Everything, None), why);
            return false;
        }
        let least = known.acknowledged.version;
        for keep in keeps(disk.atoms(), effort, &mut random) {
            let image = disk.image(keep);
            if !seen.insert((image.digest(), least, known.issued.version)) {
                continue;
            }
            let again = effort.again_once_in > 0 && random.once_in(effort.again_once_in);
            let found = check_cut(run, &image, &known, again.then_some(&mut random), report);
            if let Err((second, why)) = found {
                report.fail(seed, ops, Blow::Cut(call, keep, second), why);
                if report.failures.len() >= effort.failures {
                    return false;
                }
            }
        }
    }
    true
}

/// Leaves out each sync of a workload in turn and counts, by what it makes durable, how many there are and how many
/// of them the search misses: it must not be blind.
pub fn left_out_syncs(seed: u64, ops: &[Op], counts: &mut BTreeMap<String, (u64, u64)>, report: &mut Report) {
    report.workloads += 1;
    let Some(run) = record(seed, false, ops, report) else { return };
    let sites = run.storage.sites();
    drop(run);
    for call in 1..=sites.len() {
        let (kind, class) = sites[call - 1];
        if !Fault::Ignored.fits(kind) {
            continue;
        }
        // Which sync of a directory it is tells the call before it.
        let name = match kind {
            CallKind::SyncDir => format!("SyncDir after {:?} {}", sites[call - 2].0, sites[call - 2].1),
            _ => format!("{kind:?} {class}"),
        };
        let mut run = Run::start(seed);
        run.storage.fail_at(call as u64, Fault::Ignored);
        let sound = ops.iter().all(|op| run.apply(*op).is_ok());
        let mut found = Report::default();
        let effort = Effort { again_once_in: 0, ..Effort::default() };
        if sound {
            cuts(seed, ops, &run, 0, &effort, &mut found);
        }
        report.images += found.images;
        report.faults += 1;
        let count = counts.entry(name).or_default();
        count.0 += 1;
        count.1 += u64::from(sound && found.failures.is_empty());
    }
}

type CutFailure = (Option<(u64, Keep)>, String);

/// Checks one image, and perhaps cuts the power again at every call of its recovery.
fn check_cut(
    run: &Run,
    image: &Disk,
    known: &Moment,
    again: Option<&mut Random>,
    report: &mut Report,
) -> Result<(), CutFailure> {
    let least = known.acknowledged.version;
    report.images += 1;
    guarded(|| run.check_reader(image, known, least)).map_err(|why| (None, why))?;
    let storage = SimStorage::from_disk(image.clone());
    if again.is_some() {
        storage.record();
    }
    let version = guarded(|| run.check_image(&storage, known, least)).map_err(|why| (None, why))?;
    let Some(random) = again else { return Ok(()) };
    let disks = storage.take_record();
    let last = disks.len() - 1;
    let mut seen = HashSet::new();
    for (call, disk) in disks.iter().enumerate() {
        let sample = Effort { random: 2, atoms: 3, ..Effort::default() };
        for keep in keeps(disk.atoms(), &sample, random) {
            let image = disk.image(keep);
            if !seen.insert(image.digest()) {
                continue;
            }
            report.images += 1;
            report.second_cuts += 1;
            // What a finished recovery showed stays (I9, I12).
            let least = if call == last { version } else { least };
            let storage = SimStorage::from_disk(image);
            guarded(|| run.check_image(&storage, known, least))
                .map_err(|why| (Some((call as u64, keep)), format!("second cut: {why}")))?;
        }
    }
    Ok(())
}

/// Lets every call of a workload fail in every way.
pub fn faults(seed: u64, ops: &[Op], effort: &Effort, report: &mut Report) {
    report.workloads += 1;
    let Some(run) = record(seed, false, ops, report) else { return };
    let sites = run.storage.sites();
    let first = run.moments[run.moments.len() - 2].calls;
    drop(run);
    for call in first + 1..=sites.len() as u64 {
        let site = sites[call as usize - 1];
        report.calls += 1;
        for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(site.0)) {
            *report.sites.entry(site).or_default() += 1;
            if let Err(why) = guarded(|| one_fault(seed, ops, call, fault, report)) {
                report.fail(seed, ops, Blow::Fault(call, fault), why);
                if report.failures.len() >= effort.failures {
                    return;
                }
            }
        }
    }
}

fn one_fault(seed: u64, ops: &[Op], call: u64, fault: Fault, report: &mut Report) -> Result<(), String> {
    let mut run = Run::start(seed);
    run.storage.fail_at(call, fault);
    let mut failed = None;
    for op in ops {
        match run.apply(*op) {
            Ok(()) => {}
            Err(Stop::Engine(error)) => {
                failed = Some((*op, error));
                break;
            }
            Err(Stop::Broken(why)) => return Err(format!("{op}: {why}")),
        }
    }
    if !run.storage.fault_hit() {
        return Err("there is no such call".into());
    }
    report.faults += 1;
    if let (Some((op, error)), Fault::Short) = (&failed, fault) {
        return Err(format!("{op} did not go on after a short write: {error}"));
    }
    run.check_reads().map_err(|why| format!("reading after the fault: {why}"))?;
    // The handle may take more, or not; what it acknowledges must be there (I8).
    let more = run.probe(Op::Commit)?;
    // Only a new segment for which there is no space may be given up instead. A backup writes nothing that counts here.
    if let Some((op, error)) = &failed
        && more
        && !(error.is_full_disk() && error.to_string().contains("segment-"))
        && *op != Op::Backup
    {
        return Err(format!("I8: {op} failed ({error}), yet the handle acknowledged a later commit"));
    }
    run.check_reads().map_err(|why| format!("reading after the fault: {why}"))?;
    run.storage.mend();
    let known = run.moment().clone();
    let disk = run.storage.disk();
    let mut seen = BTreeSet::new();
    for keep in [Keep::Nothing, Keep::Everything, Keep::Random(call), Keep::Random(call + 1000)] {
        let image = disk.image(keep);
        if seen.insert(image.digest()) {
            report.images += 1;
            let storage = SimStorage::from_disk(image);
            run.check_image(&storage, &known, known.acknowledged.version)
                .map_err(|why| format!("power cut ({keep}) after the fault: {why}"))?;
        }
    }
    // Without a power cut: what was handed to the operating system is there, unless a sync lost it.
    let least = if fault == Fault::SyncReverted { known.acknowledged.version } else { known.appended };
    let storage = SimStorage::from_disk(disk.after_crash());
    report.images += 1;
    let version = run
        .check_image(&storage, &known, least)
        .map_err(|why| format!("reopening after the fault: {why}"))?;
    // And then the power fails: what the reopened store showed is there.
    let rest = SimStorage::from_disk(storage.disk().image(Keep::Nothing));
    report.images += 1;
    run.check_image(&rest, &known, version)
        .map_err(|why| format!("power cut after reopening after the fault: {why}"))?;
    // Steps of the manifest, which a failed one may have left in between; only now, since a seal makes good what was lost.
    for op in [Op::Snapshot, Op::Seal] {
        run.probe(op)?;
    }
    let (known, disk) = (run.moment().clone(), run.storage.disk());
    run.let_go();
    report.images += 1;
    run.check_image(&SimStorage::from_disk(disk.image(Keep::Nothing)), &known, known.acknowledged.version)
        .map_err(|why| format!("power cut after steps after the fault: {why}"))?;
    if matches!(fault, Fault::NoSpace | Fault::Full) {
        go_on(&mut run).map_err(|why| format!("with space again: {why}"))?;
    }
    Ok(())
}

/// After a full disk has space again: it opens, and everything works.
fn go_on(run: &mut Run) -> Result<(), String> {
    let done = (|| {
        run.reopen()?;
        [Op::Delete, Op::Commit, Op::Seal, Op::Prune].into_iter().try_for_each(|op| run.apply(op))
    })();
    match done {
        Ok(()) => run.check_reads(),
        Err(Stop::Engine(error)) => Err(error.to_string()),
        Err(Stop::Broken(why)) => Err(why),
    }
}

/// Lets every write of a workload go wrong without a word, in every way: afterwards and after the machine started anew,
/// nothing wrong is read (I13).
pub fn lies(seed: u64, ops: &[Op], report: &mut Report) {
    report.workloads += 1;
    let Some(run) = record(seed, false, ops, report) else { return };
    let sites = run.storage.sites();
    let first = run.moments[run.moments.len() - 2].calls;
    drop(run);
    for call in first + 1..=sites.len() as u64 {
        let site = sites[call as usize - 1];
        report.calls += 1;
        for fault in Fault::LIES.into_iter().filter(|fault| fault.fits(site.0)) {
            *report.sites.entry(site).or_default() += 1;
            if let Err(why) = guarded(|| one_lie(seed, ops, call, fault, report)) {
                report.fail(seed, ops, Blow::Fault(call, fault), why);
                return;
            }
        }
    }
}

fn one_lie(seed: u64, ops: &[Op], call: u64, fault: Fault, report: &mut Report) -> Result<(), String> {
    let mut run = Run::start(seed);
    run.storage.fail_at(call, fault);
    for op in ops {
        match run.apply(*op) {
            Ok(()) => {}
            // It may read what it has just written, and find it wrong.
            Err(Stop::Engine(error)) if matches!(error.kind(), ErrorClass::Corrupt | ErrorClass::Foreign) => {
                break;
            }
            Err(Stop::Engine(error)) => return Err(format!("{op}: {error}")),
            Err(Stop::Broken(why)) => return Err(format!("{op}: {why}")),
        }
    }
    if !run.storage.fault_hit() {
        return Err("there is no such call".into());
    }
    report.faults += 1;
    let (known, disk) = (run.moment().clone(), run.storage.disk());
    for image in [disk.image(Keep::Nothing), disk.image(Keep::Random(call)), disk.after_crash()] {
        report.images += 1;
        run.check_damaged(&image, &known)?;
    }
    Ok(())
}

/// The calls of a workload that nothing befalls.
#[derive(Debug)]
pub struct Calls {
    /// On the disk of the store.
    pub store: Vec<Site>,
    /// On the disk of its backups.
    pub target: Vec<Site>,
    /// How many of those were made before the last backup.
    pub before_last_backup: u64,
}

/// Which calls a workload makes: so that tests can name one by what it does, and not by a number that moves.
///
/// # Panics
/// If the engine fails on a sound disk.
pub fn calls(seed: u64, anew: bool, ops: &[Op]) -> Calls {
    let run = record(seed, anew, ops, &mut Report::default()).expect("a sound disk");
    let before_last_backup = run.backups.len().checked_sub(2).map_or(0, |index| run.backups[index].calls);
    Calls { store: run.storage.sites(), target: run.target.sites(), before_last_backup }
}

/// The number of a call: the `nth`, from 1, at this site.
///
/// # Panics
/// If there are fewer.
pub fn nth_call(sites: &[Site], site: Site, nth: usize) -> u64 {
    let mut calls = (1..).zip(sites).filter(|(_, known)| **known == site);
    calls.nth(nth - 1).unwrap_or_else(|| panic!("there is no {nth}. {site:?}")).0
}

/// Does a case again; what was done.
///
/// # Errors
/// What is broken; or there is no such call, so that nothing was checked.
pub fn replay(case: &Case) -> Result<Report, String> {
    let mut report = Report::default();
    let Some(run) = record(case.seed, case.anew, &case.ops, &mut report) else {
        return Err(report.failures.remove(0).1);
    };
    match case.blow {
        Blow::Cut(call, keep, second) => {
            let disks = run.storage.take_record();
            let disk = disks.get(call as usize).ok_or("there is no such call")?;
            let mut known = knowledge(&run.moments, call);
            raise_to_shown(&run, &case.ops, disk, &mut known)?;
            let image = disk.image(keep);
            let Some((again, keep)) = second else {
                check_cut(&run, &image, &known, None, &mut report).map_err(|(_, why)| why)?;
                return Ok(report);
            };
            let storage = SimStorage::from_disk(image);
            storage.record();
            let version = run.check_image(&storage, &known, known.acknowledged.version)?;
            let disks = storage.take_record();
            let disk = disks.get(again as usize).ok_or("there is no such call")?;
            let last = again as usize + 1 == disks.len();
            let least = if last { version } else { known.acknowledged.version };
            report.images += 1;
            run.check_image(&SimStorage::from_disk(disk.image(keep)), &known, least)?;
        }
        Blow::Fault(call, fault) if Fault::LIES.contains(&fault) => {
            one_lie(case.seed, &case.ops, call, fault, &mut report)?;
        }
        Blow::Fault(call, fault) => one_fault(case.seed, &case.ops, call, fault, &mut report)?,
        Blow::CutOf(place, call, keep) => one_target_cut(&run, case.seed, place, call, keep, &mut report)?,
        Blow::FaultOf(place, call, fault) => {
            one_target_fault(case.seed, &case.ops, place, call, fault, &mut report)?;
        }
        Blow::Read(look, call, fault) => {
            report.read_faults += u64::from(one_read_fault(case.seed, &case.ops, look, call, fault)?);
        }
    }
    let cut = matches!(case.blow, Blow::Cut(..) | Blow::CutOf(..));
    if cut || report.faults + report.read_faults > 0 {
        Ok(report)
    } else {
        Err("there is no such call".into())
    }
}

/// Leaves out operations as long as something still breaks in the same kind of sweep.
pub fn shrink(case: &Case) -> (Case, String) {
    let search = |ops: &[Op]| {
        let mut report = Report::default();
        match case.blow {
            Blow::Fault(_, fault) if Fault::LIES.contains(&fault) => {
                (1..=ops.len()).for_each(|length| lies(case.seed, &ops[..length], &mut report));
            }
            Blow::Fault(..) => {
                // Every operation may be the one that fails.
                for length in 1..=ops.len() {
                    faults(case.seed, &ops[..length], &Effort::default(), &mut report);
                }
            }
            Blow::Read(..) => {
                (0..=ops.len()).for_each(|length| {
                    read_faults(case.seed, &ops[..length], &Effort::default(), &mut report);
                });
            }
            Blow::FaultOf(place, ..) => target_faults(case.seed, ops, place, &Effort::default(), &mut report),
            Blow::CutOf(place, ..) if place != Place::Backup => {
                target_cuts(case.seed, ops, place, &Effort::default(), &mut report);
            }
            _ => power_cuts(case.seed, ops, true, &Effort::default(), &mut report),
        }
        report.failures.into_iter().next()
    };
    let Some(mut best) = search(&case.ops) else {
        return (case.clone(), replay(case).err().unwrap_or_default());
    };
    let mut index = 0;
    while index < best.0.ops.len() {
        let mut fewer = best.0.ops.clone();
        fewer.remove(index);
        match search(&fewer) {
            Some(found) => best = found,
            None => index += 1,
        }
    }
    best
}
