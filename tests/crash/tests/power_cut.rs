//! The power fails at every mutating call of every short workload, and of seeded long ones.
//!
//! `CRASH_LONG=1` tries more; `CRASH_SEED` sets the seed; `CRASH_REPLAY='seed=…;ops=…;cut=…'` does one case again.

use std::collections::BTreeMap;
use std::time::Instant;

use crash_tests::run::Op;
use crash_tests::search::{
    Case, Effort, Report, creation_cuts, left_out_syncs, long_workload, manifest_cuts, power_cuts, replay,
    sequences, shrink,
};

fn seed() -> u64 {
    std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn is_long() -> bool {
    std::env::var_os("CRASH_LONG").is_some()
}

/// Every call site that short workloads have: a kind of call on a kind of file. One that is missing is no longer tested;
/// one that is new must be added.
const SITES: &str = "Create current.new, Create leases, Create segment, Create wal, Write current.new, Write manifest, \
     Write segment, Write visible, Write wal, Sync current.new, Sync manifest, Sync segment, Sync wal, Rename CURRENT, \
     Remove leases, Remove segment, Remove wal, SyncDir root";

fn finish(name: &str, report: &mut Report, since: Instant) {
    report.print(name, seed(), since);
    if let Some((case, why)) = report.failures.first_mut() {
        println!("found: {case}: {why}");
        (*case, *why) = shrink(case);
    }
    report.assert_clean();
}

fn sweep(name: &str, workloads: &[Vec<Op>], all_ops: bool, effort: &Effort) -> Report {
    let since = Instant::now();
    let mut report = Report::default();
    for (number, ops) in workloads.iter().enumerate() {
        power_cuts(seed() + number as u64, ops, all_ops, effort, &mut report);
        if !report.failures.is_empty() {
            break;
        }
    }
    finish(name, &mut report, since);
    report
}

fn effort() -> Effort {
    if is_long() { Effort { random: 24, again_once_in: 12, ..Effort::default() } } else { Effort::default() }
}

#[test]
fn a_cut_in_any_single_operation_loses_nothing_acknowledged() {
    let effort = Effort { random: 24, again_once_in: 10, ..effort() };
    let report = sweep("power cuts, 1 operation", &sequences(1), true, &effort);
    let sites: Vec<String> = report.sites.keys().map(|(kind, class)| format!("{kind:?} {class}")).collect();
    assert_eq!(sites.join(", "), SITES);
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

/// Between two backups to the same directory, anything.
#[test]
fn a_cut_in_a_repeated_backup_leaves_the_one_before_it_or_the_new_one() {
    let between = sequences(2).into_iter().filter(|ops| ops.len() == 2);
    let workloads: Vec<Vec<Op>> =
        between.map(|ops| [&[Op::Backup], ops.as_slice(), &[Op::Backup]].concat()).collect();
    sweep("power cuts, repeated backups", &workloads, false, &Effort { random: 12, ..effort() });
}

#[test]
fn a_cut_in_creation_leaves_a_store_or_a_place_for_one() {
    let since = Instant::now();
    let mut report = Report::default();
    creation_cuts(seed(), &mut report);
    report.print("power cuts, creation", seed(), since);
    report.assert_clean();
}

#[test]
fn a_cut_while_the_manifest_is_written_anew_loses_nothing_acknowledged() {
    let since = Instant::now();
    let mut report = Report::default();
    manifest_cuts(seed(), &Effort { atoms: 6, again_once_in: 200, ..effort() }, &mut report);
    report.print("power cuts, manifest written anew", seed(), since);
    report.assert_clean();
}

/// The search is not blind: without any one kind of sync it finds something broken.
#[test]
fn a_sync_left_out_is_noticed() {
    let since = Instant::now();
    let (mut report, mut counts) = (Report::default(), BTreeMap::new());
    for ops in [
        vec![Op::Commit, Op::Commit],
        vec![Op::Upsert, Op::Seal, Op::Commit, Op::Snapshot],
        vec![Op::Commit, Op::Seal, Op::Compact, Op::Commit],
        vec![Op::Commit, Op::Reopen, Op::Commit, Op::Prune, Op::Commit],
    ] {
        left_out_syncs(seed(), &ops, &mut counts, &mut report);
    }
    report.print("syncs left out", seed(), since);
    for (name, (all, missed)) in &counts {
        println!("  {name}: {all} left out, {} noticed", all - missed);
    }
    report.assert_clean();
    let blind: Vec<_> = counts.iter().filter(|(_, (all, missed))| all == missed).collect();
    assert!(blind.is_empty(), "{blind:?}");
}

#[test]
fn replay_of_one_case() {
    let Ok(text) = std::env::var("CRASH_REPLAY") else { return };
    let case: Case = text.parse().unwrap();
    assert_eq!(case.to_string(), text);
    replay(&case).unwrap();
}
