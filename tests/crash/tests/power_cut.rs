//! The power fails at every mutating call of every short workload, and of seeded long ones.
//!
//! `TORTURE` says how much: unset, a sample; `short`, as the torture run has it; `long`, more. `TORTURE_SEED` sets the seed;
//! `CRASH_REPLAY='seed=…;ops=…;cut=…'` does one case again.

use std::collections::BTreeMap;
use std::time::Instant;

use crash_tests::amount::{Amount, seed};
use crash_tests::case::{Case, Place};
use crash_tests::run::Op;
use crash_tests::search::{
    Effort, Report, SITES, left_out_syncs, long_workload, manifest_cuts, over, power_cuts, replay, sequences,
    shrink, site_names,
};
use crash_tests::targets::target_cuts;

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

fn sweep(name: &str, workloads: &[Vec<Op>], all_ops: bool, effort: &Effort) -> Report {
    let since = Instant::now();
    let mut report = over(workloads, |number, ops, report| {
        power_cuts(seed() + number, ops, all_ops, effort, report);
    });
    finish(name, &mut report, since);
    report
}

fn effort() -> Effort {
    match Amount::asked() {
        Amount::Sample => Effort::default(),
        Amount::Short => Effort { random: 7, again_once_in: 14, ..Effort::default() },
        Amount::Long => Effort { random: 24, again_once_in: 12, ..Effort::default() },
    }
}

#[test]
fn a_cut_in_any_single_operation_loses_nothing_acknowledged() {
    let effort = Effort { random: 24, again_once_in: 10, ..effort() };
    let report = sweep("power cuts, 1 operation", &sequences(1), true, &effort);
    assert_eq!(site_names(&report.sites).join(", "), SITES);
}

#[test]
fn a_cut_in_any_sequence_of_three_operations_loses_nothing_acknowledged() {
    let longer: Vec<Vec<Op>> = sequences(3).into_iter().filter(|ops| ops.len() > 1).collect();
    let longer = Amount::asked().sampled(longer, 12);
    sweep("power cuts, 2 and 3 operations", &longer, false, &effort());
}

#[test]
fn a_cut_in_long_workloads_loses_nothing_acknowledged() {
    let count = Amount::asked().of(4, 16, 400);
    let workloads: Vec<Vec<Op>> = (0..count).map(|number| long_workload(seed() + number, 12)).collect();
    sweep("power cuts, long workloads", &workloads, true, &effort());
}

/// Between two backups to the same directory, anything.
#[test]
fn a_cut_in_a_repeated_backup_leaves_the_one_before_it_or_the_new_one() {
    let between = sequences(2).into_iter().filter(|ops| ops.len() == 2);
    let workloads = between.map(|ops| [&[Op::Backup], ops.as_slice(), &[Op::Backup]].concat()).collect();
    let mut workloads = Amount::asked().sampled(workloads, 9);
    workloads.push(vec![Op::Backup]);
    let effort = Effort { random: 12, ..effort() };
    let report = sweep("power cuts, repeated backups", &workloads, false, &effort);
    if Amount::asked() != Amount::Sample {
        assert_eq!(site_names(&report.target_sites).join(", "), Place::Backup.sites());
    }
}

#[test]
fn a_cut_in_creation_leaves_a_store_or_a_place_for_one() {
    let since = Instant::now();
    let mut report = Report::default();
    let effort = Effort { random: 40, ..Effort::default() };
    target_cuts(seed(), &[], Place::Creation, &effort, &mut report);
    report.print("power cuts, creation", seed(), since);
    report.assert_clean();
    assert_eq!(site_names(&report.target_sites).join(", "), Place::Creation.sites());
}

#[test]
fn a_cut_in_a_salvage_leaves_all_of_it_or_no_store() {
    let since = Instant::now();
    let mut workloads = vec![Vec::new()];
    workloads.extend(Amount::asked().sampled(sequences(1), 4));
    let count = Amount::asked().of(0, 4, 40);
    workloads.extend((0..count).map(|number| long_workload(seed() + number, 10)));
    let effort = effort();
    let mut report =
        over(&workloads, |_, ops, report| target_cuts(seed(), ops, Place::Salvage, &effort, report));
    finish("power cuts, salvage", &mut report, since);
    assert_eq!(site_names(&report.target_sites).join(", "), Place::Salvage.sites());
}

#[test]
fn a_cut_while_the_manifest_is_written_anew_loses_nothing_acknowledged() {
    let since = Instant::now();
    let mut report = Report::default();
    let effort = Effort { atoms: Amount::asked().of(2, 6, 24) as usize, again_once_in: 200, ..effort() };
    manifest_cuts(seed(), &effort, &mut report);
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
    // The reserve holds nothing: its sync is there to notice a full disk, not for what survives.
    counts.remove("Sync reserve");
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
