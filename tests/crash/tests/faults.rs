//! Every call of every short workload fails in every way: those that change something, those that read, and those on other disks.

use std::time::Instant;

use crash_tests::amount::{Amount, seed};
use crash_tests::case::Place;
use crash_tests::looks::read_faults;
use crash_tests::run::{Moment, Op, Run};
use crash_tests::search::{
    Effort, Report, SITES_OF_SEQUENCES, faults, lies, long_workload, over, sequences, shrink, site_names,
};
use crash_tests::targets::target_faults;

/// Every site of reads: a kind of call on a kind of file. One that is missing is no longer tested; one that is new must be added.
const READ_SITES: &str = "Open CURRENT, Open manifest, Open reserve, Open segment, Open visible, Open wal, Read CURRENT, \
     Read manifest, Read segment, Read visible, Read wal, Map segment, List leases, List root, Length CURRENT, \
     Length manifest, Length reserve, Length segment, Length visible, Length wal, Lock LOCK, Lock leases";

fn finish(name: &str, report: &mut Report, since: Instant) {
    report.print(name, seed(), since);
    if let Some((case, why)) = report.failures.first_mut() {
        println!("found: {case}: {why}");
        if std::env::var_os("TAPE_PLANTED").is_none() {
            (*case, *why) = shrink(case);
        }
    }
    report.assert_clean();
}

fn sweep(name: &str, workloads: &[Vec<Op>]) -> Report {
    let since = Instant::now();
    let mut report = over(workloads, |_, ops, report| faults(seed(), ops, &Effort::default(), report));
    finish(name, &mut report, since);
    report
}

/// The disk says that it wrote, and did not, or elsewhere, or something else.
#[test]
fn a_disk_that_lies_is_found_out_or_does_no_harm() {
    let since = Instant::now();
    let workloads = Amount::asked().sampled(sequences(2), 3);
    let mut report = over(&workloads, |_, ops, report| lies(seed(), ops, report));
    finish("lying disk, up to 2 operations", &mut report, since);
}

#[test]
fn a_fault_in_any_sequence_of_two_operations_loses_nothing_acknowledged() {
    let mut workloads = Amount::asked().sampled(sequences(2), 2);
    // And each of the other operations; a handle that failed is done with, whichever it was.
    workloads
        .extend([Op::Appended, Op::Volatile, Op::Delete, Op::DropCreate, Op::Absence].map(|op| vec![op]));
    workloads.extend([vec![Op::Snapshot, Op::DropSnapshot], vec![Op::DropCreate, Op::DropCreate]]);
    let report = sweep("faults, up to 2 operations", &workloads);
    if Amount::asked() != Amount::Sample {
        assert_eq!(site_names(&report.sites).join(", "), SITES_OF_SEQUENCES);
    }
}

#[test]
fn a_fault_in_long_workloads_loses_nothing_acknowledged() {
    let mut prefixes: Vec<Vec<Op>> = Vec::new();
    for number in 0..Amount::asked().of(1, 6, 60) {
        let workload = long_workload(seed() + number, 14);
        prefixes.extend((1..=workload.len()).map(|length| workload[..length].to_vec()));
    }
    sweep("faults, long workloads", &prefixes);
}

/// Opening, reading, verifying, salvaging, backing up, and every operation: what cannot be read is named, or read all the same.
#[test]
fn a_read_that_fails_is_named_or_made_good() {
    let mut workloads = vec![Vec::new()];
    workloads.extend(sequences(if Amount::asked() == Amount::Long { 2 } else { 1 }));
    // A backup over an older one, of logs that follow its logs, and that do not.
    workloads.extend([
        vec![Op::Backup, Op::Commit, Op::Seal, Op::Commit],
        vec![Op::Backup, Op::Upsert, Op::Reopen, Op::Commit],
        vec![Op::Seal, Op::Commit, Op::Backup, Op::Seal, Op::Compact, Op::Reopen],
    ]);
    let all = Amount::asked() != Amount::Sample;
    let report = reads("failing reads", &Amount::asked().sampled(workloads, 3));
    if all {
        assert_eq!(site_names(&report.read_sites).join(", "), READ_SITES);
    }
    let count = Amount::asked().of(1, 6, 60);
    let workloads: Vec<Vec<Op>> = (0..count).map(|number| long_workload(seed() + number, 10)).collect();
    reads("failing reads, long workloads", &workloads);
}

fn reads(name: &str, workloads: &[Vec<Op>]) -> Report {
    let since = Instant::now();
    let mut report = over(workloads, |_, ops, report| read_faults(seed(), ops, &Effort::default(), report));
    finish(name, &mut report, since);
    report
}

/// Where a store is created, where a backup goes and where a salvage goes: what was there before stays, and what is there is
/// whole, or no store.
#[test]
fn a_fault_on_another_disk_leaves_what_was_there_or_a_whole_store() {
    let mut workloads = vec![Vec::new()];
    workloads.extend(sequences(1));
    let count = Amount::asked().of(0, 4, 40);
    workloads.extend((0..count).map(|number| long_workload(seed() + number, 10)));
    let saved = Amount::asked().sampled(workloads.clone(), 4);
    let backups = workloads.iter().flat_map(|ops| {
        let first: Vec<Op> = ops.iter().copied().chain([Op::Backup]).collect();
        let again = [Op::Backup].into_iter().chain(first.clone()).collect();
        [first, again]
    });
    let backups = Amount::asked().sampled(backups.collect(), 7);
    let tests = [
        ("faults, creation", Place::Creation, vec![Vec::new()]),
        ("faults, backups", Place::Backup, backups),
        ("faults, salvage", Place::Salvage, saved),
    ];
    for (name, place, workloads) in tests {
        let since = Instant::now();
        let mut report =
            over(&workloads, |_, ops, report| target_faults(seed(), ops, place, &Effort::default(), report));
        finish(name, &mut report, since);
        if Amount::asked() != Amount::Sample || place == Place::Creation {
            assert_eq!(site_names(&report.target_sites).join(", "), place.sites(), "{name}");
        }
    }
}

/// From the first moment to the last, the disk may fill up: writes fail, reads go on, and with space again the store
/// opens, deletes and prunes.
#[test]
fn a_full_disk_is_survived() {
    for op in [Op::Commit, Op::Upsert, Op::Delete, Op::Seal, Op::Compact, Op::Snapshot, Op::Prune, Op::Reopen]
    {
        let again = format!(
            "TORTURE_SEED={} cargo test -p crash-tests --test faults a_full_disk_is_survived",
            seed()
        );
        Run::start(seed()).telling(&again, |run| survives_a_full_disk(run, op));
    }
}

fn survives_a_full_disk(run: &mut Run, op: Op) {
    run.apply(Op::Commit).unwrap();
    run.storage.fill();
    let done = run.apply(op);
    run.check_reads().unwrap();
    let known: Moment = run.moment().clone();
    let least = known.acknowledged.version;
    // Reading needs no space, not even in a process that begins now.
    run.check_reader(&run.storage.disk(), &known, least).unwrap();
    run.let_go();
    assert!(run.reopen().is_err(), "{op}: opening for writing needs a new log ({done:?})");
    run.storage.mend();
    run.reopen().unwrap();
    run.check_reads().unwrap();
    run.apply(Op::Delete).unwrap();
    run.apply(Op::Prune).unwrap();
    run.check_reads().unwrap();
}
