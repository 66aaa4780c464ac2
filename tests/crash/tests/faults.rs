//! Every mutating call of every short workload fails in every way.

use std::time::Instant;

use crash_tests::run::{Moment, Op, Run};
use crash_tests::search::{Effort, Report, faults, long_workload, sequences};

fn sweep(name: &str, workloads: &[Vec<Op>]) {
    let since = Instant::now();
    let mut report = Report::default();
    for ops in workloads {
        faults(1, ops, &Effort::default(), &mut report);
        if !report.failures.is_empty() {
            break;
        }
    }
    report.print(name, 1, since);
    report.assert_clean();
}

#[test]
fn a_fault_in_any_sequence_of_two_operations_loses_nothing_acknowledged() {
    sweep("faults, up to 2 operations", &sequences(2));
}

#[test]
fn a_fault_in_long_workloads_loses_nothing_acknowledged() {
    let long = std::env::var_os("CRASH_LONG").is_some();
    let mut prefixes: Vec<Vec<Op>> = Vec::new();
    for seed in 0..if long { 60 } else { 4 } {
        let workload = long_workload(seed, 14);
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
