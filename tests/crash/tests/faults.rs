//! Every mutating call of every short workload fails in every way.

use std::time::Instant;

use crash_tests::amount::{Amount, seed};
use crash_tests::run::{Moment, Op, Run};
use crash_tests::search::{Effort, Report, faults, lies, long_workload, over, sequences, shrink};

fn finish(name: &str, mut report: Report, since: Instant) {
    report.print(name, seed(), since);
    if let Some((case, why)) = report.failures.first_mut() {
        println!("found: {case}: {why}");
        if std::env::var_os("TAPE_PLANTED").is_none() {
            (*case, *why) = shrink(case);
        }
    }
    report.assert_clean();
}

fn sweep(name: &str, workloads: &[Vec<Op>]) {
    let since = Instant::now();
    let report = over(workloads, |_, ops, report| faults(seed(), ops, &Effort::default(), report));
    finish(name, report, since);
}

/// The disk says that it wrote, and did not, or elsewhere, or something else.
#[test]
fn a_disk_that_lies_is_found_out_or_does_no_harm() {
    let since = Instant::now();
    let workloads = Amount::asked().sampled(sequences(2), 3);
    let report = over(&workloads, |_, ops, report| lies(seed(), ops, report));
    finish("lying disk, up to 2 operations", report, since);
}

#[test]
fn a_fault_in_any_sequence_of_two_operations_loses_nothing_acknowledged() {
    sweep("faults, up to 2 operations", &Amount::asked().sampled(sequences(2), 2));
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

/// From the first moment to the last, the disk may fill up: writes fail, reads go on, and with space again the store
/// opens, deletes and prunes.
#[test]
fn a_full_disk_is_survived() {
    for op in [Op::Commit, Op::Upsert, Op::Delete, Op::Seal, Op::Compact, Op::Snapshot, Op::Prune, Op::Reopen]
    {
        let mut run = Run::start(3);
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
        run.storage.give_space();
        run.reopen().unwrap();
        run.check_reads().unwrap();
        run.apply(Op::Delete).unwrap();
        run.apply(Op::Prune).unwrap();
        run.check_reads().unwrap();
    }
}
