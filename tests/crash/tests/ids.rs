//! Numbers for new files run out in the middle of an operation: the step that reserves more fails as any other may.

use std::collections::BTreeSet;

use crash_tests::amount::seed;
use crash_tests::image::Keep;
use crash_tests::run::{Op, Run, Stop, options};
use crash_tests::sim::{CallKind, Fault, SimStorage};
use tapestore::{Options, Tier};

/// What is done to a store.
#[derive(Clone, Copy, Debug)]
enum Work {
    Does(Op),
    /// Rewrites everything that is sealed.
    CompactsTo(Tier),
}

use Work::{CompactsTo, Does};

/// The last of each is the one that fails.
const WORKLOADS: [&[Work]; 9] = [
    &[CompactsTo(Tier::Hot)],
    &[Does(Op::Reopen), CompactsTo(Tier::Hot)],
    &[CompactsTo(Tier::Hot), CompactsTo(Tier::Dense)],
    &[CompactsTo(Tier::Hot), CompactsTo(Tier::Dense), CompactsTo(Tier::Hot)],
    &[Does(Op::Seal)],
    &[Does(Op::Seal), Does(Op::Upsert), Does(Op::Seal)],
    &[Does(Op::Seal), Does(Op::Compact)],
    &[Does(Op::Seal), Does(Op::Prune)],
    &[Does(Op::Upsert), Does(Op::Prune)],
];

fn apply(run: &mut Run, work: Work) -> Result<(), Stop> {
    match work {
        Does(op) => run.apply(op),
        CompactsTo(tier) => Ok(run.store()?.compact_to(tier).map(drop)?),
    }
}

/// A store that reserves so few numbers at a time, before the last operation of a workload. Each of its series has a segment
/// of its own, so a compaction takes several.
fn before_the_last(ids: u64, work: &[Work]) -> Run {
    let mut run = Run::start_with(Options { reserved_ids: ids, own_segment_bytes: 1, ..options() }, seed());
    for work in &work[..work.len() - 1] {
        apply(&mut run, *work).unwrap();
    }
    run
}

/// Lets a call of the last operation fail, and goes on with whatever the handle still takes; what it acknowledged is there
/// when the store is opened again. How many disks were looked at.
fn fails(ids: u64, work: &[Work], call: u64, fault: Fault) -> usize {
    let case = format!("{ids} ids, {work:?}, call {call}, {fault:?}");
    let mut run = before_the_last(ids, work);
    run.storage.fail_at(call, fault);
    if let Err(Stop::Broken(why)) = apply(&mut run, work[work.len() - 1]) {
        panic!("{case}: {why}");
    }
    assert!(run.storage.fault_hit(), "{case}");
    // Steps of the manifest above all: they stand where the one that failed would have stood.
    for op in [Op::Snapshot, Op::Seal, Op::Prune, Op::DropSnapshot, Op::Commit] {
        run.check_reads().unwrap_or_else(|why| panic!("{case}: {why}"));
        run.probe(op).unwrap_or_else(|why| panic!("{case}: {op}: {why}"));
    }
    let (known, disk) = (run.moment().clone(), run.storage.disk());
    run.let_go();
    let mut seen = BTreeSet::new();
    for image in [disk.after_crash(), disk.image(Keep::Nothing), disk.image(Keep::Random(call))] {
        if seen.insert(image.digest()) {
            let checked = run.check_image(&SimStorage::from_disk(image), &known, known.acknowledged.version);
            checked.unwrap_or_else(|why| panic!("{case}: opened again: {why}"));
        }
    }
    seen.len()
}

/// A compaction that found no numbers left, and no space for the step that reserves more, let the handle go on behind
/// half a step: the store did not open any more.
#[test]
fn a_fault_where_numbers_run_out_loses_nothing_acknowledged() {
    let (mut faults, mut images, mut between_segments) = (0, 0, 0);
    for ids in 2..=5 {
        for work in WORKLOADS {
            let mut run = before_the_last(ids, work);
            run.storage.record();
            apply(&mut run, work[work.len() - 1]).unwrap();
            let sites = run.storage.sites();
            drop(run);
            let step = sites.iter().position(|site| *site == (CallKind::Write, "manifest"));
            let segment = sites.iter().rposition(|site| *site == (CallKind::Create, "segment"));
            let compacts = matches!(work[work.len() - 1], CompactsTo(_));
            between_segments += u64::from(compacts && step.is_some_and(|step| Some(step) < segment));
            for (call, (kind, _)) in (1..).zip(sites) {
                for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(kind)) {
                    faults += 1;
                    images += fails(ids, work, call, fault);
                }
            }
        }
    }
    assert!(between_segments >= 8, "in {between_segments} compactions numbers ran out");
    println!(
        "torture: faults where numbers run out | {images} images, {faults} faults | seed {} | failures 0",
        seed()
    );
}
