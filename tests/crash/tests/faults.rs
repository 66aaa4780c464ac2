//! Every mutating call of every short workload fails in every way.

use std::time::Instant;

use crash_tests::run::Op;
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
    let workload = long_workload(5, 14);
    let prefixes: Vec<Vec<Op>> = (1..=workload.len()).map(|length| workload[..length].to_vec()).collect();
    sweep("faults, a long workload", &prefixes);
}
