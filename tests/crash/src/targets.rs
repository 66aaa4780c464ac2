//! Disks that are written beside the one of a store, or before there is a store: creation, backups, salvage. Power cuts and
//! faults leave what was there before, or a whole store, or no store.

use std::collections::HashSet;
use std::sync::Arc;

use tapestore::io::Storage;
use tapestore::{Error, SalvageReport, Store, salvage_storage};

use crate::case::{Blow, Place};
use crate::image::Keep;
use crate::random::Random;
use crate::run::{Copied, Facts, Moment, Op, Run, Stop, options};
use crate::search::{Effort, Report, guarded, keeps, record};
use crate::sim::{Disk, Fault, SimStorage, Site};

/// Whether a disk holds what opens as a store.
fn is_store(disk: &Disk) -> bool {
    disk.files().any(|(name, _)| name == "CURRENT")
}

/// What is left of a creation is an empty store, or a place for one; a store, if it had ended.
pub(crate) fn check_creation(run: &Run, seed: u64, image: Disk, ended: bool) -> Result<(), String> {
    let exists = is_store(&image);
    let storage = SimStorage::from_disk(image);
    if exists {
        run.check_image(&storage, &Moment::default(), 0).map(drop).map_err(|why| format!("creation: {why}"))
    } else if ended {
        Err("a created store is gone".to_owned())
    } else {
        Run::create(storage, seed).map(drop).map_err(|error| format!("creating again: {error}"))
    }
}

/// A backup cut off is the one before it, or the new one; or no store, if there was none. `finished` says which version a
/// backup that ended holds.
pub(crate) fn check_backup(
    run: &Run,
    image: Disk,
    before: Option<&Copied>,
    finished: Option<usize>,
) -> Result<(), String> {
    if !is_store(&image) && finished.is_none() && before.is_none() {
        return Ok(());
    }
    let mut known = run.moment().clone();
    let oldest = before.map_or(known.appended, |before| before.version);
    known.before = before.map_or_else(Facts::default, |before| before.facts.clone());
    known.acknowledged.snapshots.clear();
    let storage = SimStorage::from_disk(image);
    guarded(|| run.check_image(&storage, &known, finished.unwrap_or(oldest)).map(drop))
        .map_err(|why| format!("backup: {why}"))
}

/// What is left of a salvage is no store, or all of it; all of it, if it had ended. `version` is the newest it holds.
pub(crate) fn check_salvaged(run: &Run, image: Disk, version: u64, ended: bool) -> Result<(), String> {
    if !is_store(&image) {
        return if ended { Err("what a salvage saved is gone".to_owned()) } else { Ok(()) };
    }
    let storage: Arc<dyn Storage> = Arc::new(SimStorage::from_disk(image));
    let failed = |error: Error| format!("salvaged: {error}");
    let store = Store::open_on(storage, options()).map_err(failed)?;
    if store.view().version() != version {
        return Err(format!("salvaged: version {}, not {version}", store.view().version()));
    }
    for version in store.stats().map_err(failed)?.floor..=version {
        run.check_version(&store, version).map_err(|why| format!("salvaged: {why}"))?;
    }
    match store.verify(true).map_err(failed)?.first() {
        None => Ok(()),
        Some(finding) => Err(format!("salvaged: {finding:?}")),
    }
}

/// Saves what a sound store holds.
fn salvage(run: &Run, to: &SimStorage) -> Result<SalvageReport, Error> {
    // The run holds the lock of its disk.
    let from: Arc<dyn Storage> = Arc::new(SimStorage::from_disk(run.storage.disk()));
    let to: Arc<dyn Storage> = Arc::new(to.clone());
    salvage_storage(&from, &to)
}

/// What a place goes through when nothing fails: every disk, every call, and the version of a salvage.
struct Course {
    disks: Vec<Disk>,
    sites: Vec<Site>,
    first: u64,
    version: u64,
}

/// Does on another disk what a place is for.
fn course(run: &Run, seed: u64, place: Place) -> Result<Course, String> {
    let target = if place == Place::Backup { run.target.clone() } else { SimStorage::new() };
    let (mut first, mut version) = (0, 0);
    match place {
        Place::Creation => {
            target.record();
            Run::create(target.clone(), seed).map(drop).map_err(|error| format!("creation: {error}"))?;
        }
        Place::Backup => first = last_backup(run).0,
        Place::Salvage => {
            target.record();
            let saved = salvage(run, &target).map_err(|error| format!("salvage: {error}"))?;
            if !saved.is_complete() {
                return Err(format!("salvage of a sound store: {:?} {:?}", saved.losses, saved.unknown));
            }
            version = saved.version;
        }
    }
    Ok(Course { sites: target.sites(), disks: target.take_record(), first, version })
}

/// Of the last backup: the calls made before it, and the one before it, if there was one.
fn last_backup(run: &Run) -> (u64, Option<&Copied>) {
    let copied = &run.backups[run.backups.len() - 2];
    (copied.calls, (run.backups.len() > 2).then_some(copied))
}

fn check(run: &Run, seed: u64, place: Place, image: Disk, version: u64, ended: bool) -> Result<(), String> {
    guarded(|| match place {
        Place::Creation => check_creation(run, seed, image, ended),
        Place::Backup => {
            check_backup(run, image, last_backup(run).1, ended.then_some(run.moment().issued.version))
        }
        Place::Salvage => check_salvaged(run, image, version, ended),
    })
}

/// Cuts the power of another disk at every call.
pub fn target_cuts(seed: u64, ops: &[Op], place: Place, effort: &Effort, report: &mut Report) {
    report.workloads += 1;
    if let Some(run) = record(seed, false, ops, report) {
        cuts_of(seed, ops, &run, place, effort, report);
    }
}

/// Cuts the power of the machine that holds the backups, if the last operation is one.
pub(crate) fn backup_cuts(seed: u64, ops: &[Op], run: &Run, effort: &Effort, report: &mut Report) {
    if ops.last() == Some(&Op::Backup) {
        cuts_of(seed, ops, run, Place::Backup, effort, report);
    }
}

fn cuts_of(seed: u64, ops: &[Op], run: &Run, place: Place, effort: &Effort, report: &mut Report) {
    let course = match course(run, seed, place) {
        Ok(course) => course,
        Err(why) => return report.fail(seed, ops, Blow::CutOf(place, 0, Keep::Everything), why),
    };
    let mut random = Random::new(seed ^ 0xBAC);
    let mut seen = HashSet::new();
    for call in course.first..course.disks.len() as u64 {
        report.calls += 1;
        if call > course.first {
            let site = course.sites[call as usize - 1];
            *report.target_sites.entry(site).or_default() += 1;
        }
        let disk = &course.disks[call as usize];
        let ended = call + 1 == course.disks.len() as u64;
        for keep in keeps(disk.atoms(), effort, &mut random) {
            let image = disk.image(keep);
            if !seen.insert((image.digest(), ended)) {
                continue;
            }
            report.images += 1;
            report.target_images += 1;
            if let Err(why) = check(run, seed, place, image, course.version, ended) {
                report.fail(seed, ops, Blow::CutOf(place, call, keep), why);
                return;
            }
        }
    }
}

/// Does one cut again.
pub(crate) fn one_target_cut(
    run: &Run,
    seed: u64,
    place: Place,
    call: u64,
    keep: Keep,
    report: &mut Report,
) -> Result<(), String> {
    let course = course(run, seed, place)?;
    let disk = course.disks.get(call as usize).ok_or("there is no such call")?;
    let ended = call as usize + 1 == course.disks.len();
    report.images += 1;
    check(run, seed, place, disk.image(keep), course.version, ended)
}

/// Lets every call on another disk fail in every way. For backups, the last operation is one.
pub fn target_faults(seed: u64, ops: &[Op], place: Place, effort: &Effort, report: &mut Report) {
    report.workloads += 1;
    if place == Place::Backup && ops.last() != Some(&Op::Backup) {
        return;
    }
    let Some(run) = record(seed, false, ops, report) else { return };
    let course = match course(&run, seed, place) {
        Ok(course) => course,
        Err(why) => return report.fail(seed, ops, Blow::CutOf(place, 0, Keep::Everything), why),
    };
    for (call, site) in (1..).zip(&course.sites[course.first as usize..]) {
        report.calls += 1;
        for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(site.0)) {
            *report.target_sites.entry(*site).or_default() += 1;
            if let Err(why) = guarded(|| one_target_fault(seed, ops, place, call, fault, report)) {
                let why = format!("{:?} {}: {why}", site.0, site.1);
                report.fail(seed, ops, Blow::FaultOf(place, call, fault), why);
                if report.failures.len() >= effort.failures {
                    return;
                }
            }
        }
    }
}

/// Does something on another disk while a call of it fails, and looks at what is left; then does it again.
pub(crate) fn one_target_fault(
    seed: u64,
    ops: &[Op],
    place: Place,
    call: u64,
    fault: Fault,
    report: &mut Report,
) -> Result<(), String> {
    let mut run = Run::start(seed);
    let before = if place == Place::Backup { &ops[..ops.len() - 1] } else { ops };
    for op in before {
        run.apply(*op).map_err(|stop| format!("{op}: {stop:?}"))?;
    }
    let target = if place == Place::Backup { run.target.clone() } else { SimStorage::new() };
    drop(target.take_record());
    let mut version = 0;
    target.fail_at(call, fault);
    let done = match place {
        Place::Creation => Run::create(target.clone(), seed).map(drop),
        Place::Backup => match run.apply(Op::Backup) {
            Err(Stop::Broken(why)) => return Err(why),
            Err(Stop::Engine(error)) => Err(error),
            Ok(()) => Ok(()),
        },
        Place::Salvage => salvage(&run, &target).map(|saved| version = saved.version),
    };
    if !target.fault_hit() {
        return Err("there is no such call".into());
    }
    report.faults += 1;
    let ended = done.is_ok();
    if !ended {
        if fault == Fault::Short {
            return Err(format!("did not go on after a short write: {done:?}"));
        }
        // What the check of a backup calls the last one is the one that failed.
        run.backups.push(Copied::default());
        if place == Place::Salvage {
            version = salvage(&run, &SimStorage::new()).map_err(|error| format!("salvage: {error}"))?.version;
        }
    }
    target.mend();
    let disk = target.disk();
    let mut seen = HashSet::new();
    let keeps = [Keep::Nothing, Keep::Everything, Keep::Random(call), Keep::Random(call + 1000)];
    for image in keeps.map(|keep| disk.image(keep)).into_iter().chain([disk.after_crash()]) {
        if seen.insert(image.digest()) {
            report.images += 1;
            report.target_images += 1;
            check(&run, seed, place, image, version, ended)
                .map_err(|why| format!("after {done:?}: {why}"))?;
        }
    }
    if place == Place::Backup {
        // Neither the store nor its handle has anything to do with it, and the next backup is whole.
        run.apply(Op::Backup).map_err(|stop| format!("the next one: {stop:?}"))?;
        let finished = Some(run.moment().issued.version);
        run.apply(Op::Commit).map_err(|stop| format!("a commit after the fault: {stop:?}"))?;
        for image in [target.disk().image(Keep::Nothing), target.disk().after_crash()] {
            check_backup(&run, image, run.backups.last(), finished)
                .map_err(|why| format!("the next one: {why}"))?;
        }
    }
    Ok(())
}
