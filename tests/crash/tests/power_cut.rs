//! The power fails at every mutating call of every short workload, and of seeded long ones.
//!
//! `CRASH_LONG=1` tries more; `CRASH_SEED` sets the seed; `CRASH_REPLAY='seed=…;ops=…;cut=…'` does one case again.

use std::time::Instant;

use crash_tests::run::Op;
use crash_tests::search::{Case, Effort, Report, long_workload, power_cuts, replay, sequences, shrink};

fn seed() -> u64 {
    std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn is_long() -> bool {
    std::env::var_os("CRASH_LONG").is_some()
}

fn finish(name: &str, report: &mut Report, since: Instant) {
    report.print(name, seed(), since);
    if let Some((case, why)) = report.failures.first_mut() {
        println!("found: {case}: {why}");
        (*case, *why) = shrink(case);
    }
    report.assert_clean();
}

fn sweep(name: &str, workloads: &[Vec<Op>], all_ops: bool, effort: &Effort) {
    let since = Instant::now();
    let mut report = Report::default();
    for (number, ops) in workloads.iter().enumerate() {
        power_cuts(seed() + number as u64, ops, all_ops, effort, &mut report);
        if !report.failures.is_empty() {
            break;
        }
    }
    finish(name, &mut report, since);
}

fn effort() -> Effort {
    if is_long() { Effort { random: 24, again_once_in: 12, ..Effort::default() } } else { Effort::default() }
}

#[test]
fn a_cut_in_any_single_operation_loses_nothing_acknowledged() {
    sweep(
        "power cuts, 1 operation",
        &sequences(1),
        true,
        &Effort { random: 24, again_once_in: 10, ..effort() },
    );
}

#[test]
fn a_cut_in_any_sequence_of_three_operations_loses_nothing_acknowledged() {
    let longer: Vec<Vec<Op>> = sequences(3).into_iter().filter(|ops| ops.len() > 1).collect();
    sweep("power cuts, 2 and 3 operations", &longer, false, &effort());
}

#[test]
fn a_cut_in_long_workloads_loses_nothing_acknowledged() {
    let count = if is_long() { 400 } else { 12 };
    let workloads: Vec<Vec<Op>> = (0..count).map(|number| long_workload(seed() + number, 12)).collect();
    sweep("power cuts, long workloads", &workloads, true, &effort());
}

#[test]
fn replay_of_one_case() {
    let Ok(text) = std::env::var("CRASH_REPLAY") else { return };
    let case: Case = text.parse().unwrap();
    assert_eq!(case.to_string(), text);
    replay(&case).unwrap();
}
