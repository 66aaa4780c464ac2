//! The disk fills up, at every point: what is written fails cleanly, what is there can be read, rows can be deleted and
//! history pruned, and with space again everything goes on.

use crash_tests::amount::{Amount, seed};
use crash_tests::image::Keep;
use crash_tests::run::{Op, Run, Stop, options};
use crash_tests::sim::{SimStorage, UNIT_BYTES};
use tapestore::{Error, ErrorClass, Options};

/// What fills the disk, in turn.
const GROWTH: [Op; 6] = [Op::Commit, Op::Upsert, Op::Appended, Op::Seal, Op::Snapshot, Op::Compact];
/// The reserve of these stores. Their files are small; it is as much beyond them as the usual one beyond usual files.
const RESERVE_UNITS: u64 = 24;
/// Units of space left, from none to more than the reserve.
const UNITS_LEFT: u64 = 40;

/// What came of an operation.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Yes,
    /// Refused for want of space, before anything was written: the handle goes on.
    Refused,
    /// Failed for want of space: the handle takes nothing more.
    Failed,
}

fn wants_space(error: &Error) -> bool {
    error.is_full_disk() && error.to_string().contains("make space")
}

/// Does an operation that may find no space; anything but a clean end of that is a failure of the test.
fn attempt(run: &mut Run, op: Op) -> Done {
    let known = run.moment().clone();
    let done = match run.apply(op) {
        Ok(()) => Done::Yes,
        Err(Stop::Engine(error)) if wants_space(&error) => {
            let alive = run.store().unwrap().wait_idle().is_ok();
            if alive {
                run.take_back(known);
            }
            if alive { Done::Refused } else { Done::Failed }
        }
        Err(stop) => panic!("{op}: {stop:?}"),
    };
    run.check_reads().unwrap();
    done
}

/// Fills the disk until it takes no more; whether it did take no more.
fn fill(run: &mut Run) -> bool {
    (0..300).any(|step| attempt(run, GROWTH[step % GROWTH.len()]) != Done::Yes)
}

/// Opens the store for writing; whether there was space for that.
fn reopen(run: &mut Run) -> bool {
    let known = run.moment().clone();
    let least = known.appended;
    match run.reopen() {
        Ok(()) => true,
        Err(Stop::Engine(error)) if wants_space(&error) => {
            run.check_reader(&run.storage.disk(), &known, least).unwrap();
            false
        }
        Err(stop) => panic!("{stop:?}"),
    }
}

/// A store in the middle of its life, on a disk with so much space left.
fn cramped(reserve_bytes: u64, left: u64, seed: u64) -> Run {
    let mut run = Run::start_with(Options { reserve_bytes, ..options() }, seed);
    for op in [Op::Commit, Op::Seal, Op::Upsert, Op::Upsert, Op::Seal, Op::Commit] {
        run.apply(op).unwrap();
    }
    run.storage.leave(Some(left));
    run
}

/// With space again: everything works, here and after a power cut.
fn goes_on(run: &mut Run) {
    run.storage.leave(None);
    if run.store().is_err() || run.store().unwrap().wait_idle().is_err() {
        run.reopen().unwrap();
    }
    for op in [Op::Commit, Op::Delete, Op::Seal, Op::Prune, Op::Upsert, Op::Reopen, Op::Compact] {
        run.apply(op).unwrap();
        run.check_reads().unwrap();
    }
    let (known, least) = (run.moment().clone(), run.moment().acknowledged.version);
    let image = run.storage.disk().image(Keep::Nothing);
    run.let_go();
    run.check_image(&SimStorage::from_disk(image), &known, least).unwrap();
}

fn seeds() -> std::ops::Range<u64> {
    seed()..seed() + Amount::asked().of(1, 6, 60)
}

#[test]
fn deleting_and_pruning_work_on_a_full_disk() {
    let (mut budgets, mut filled) = (0, 0);
    for (seed, left) in seeds().flat_map(|seed| (0..=UNITS_LEFT).map(move |left| (seed, left))) {
        let mut run = cramped(RESERVE_UNITS * UNIT_BYTES, left, seed);
        budgets += 1;
        filled += u64::from(fill(&mut run));
        // A power cut now loses nothing acknowledged, and neither does a reader see less.
        let (known, disk) = (run.moment().clone(), run.storage.disk());
        run.check_image(
            &SimStorage::from_disk(disk.image(Keep::Nothing)),
            &known,
            known.acknowledged.version,
        )
        .unwrap();
        for op in [Op::Delete, Op::Prune, Op::Delete] {
            // As separate processes would.
            run.let_go();
            assert!(reopen(&mut run), "{left} units left: the reserve opens the store");
            assert_eq!(attempt(&mut run, op), Done::Yes, "{left} units left: {op}");
            // Whatever adds is done, or refused without harm.
            let more = attempt(&mut run, Op::Upsert);
            assert!(more != Done::Refused || attempt(&mut run, Op::Delete) == Done::Yes, "{left} units left");
        }
        let findings = run.store().unwrap().verify(true).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        goes_on(&mut run);
    }
    assert!(filled > budgets / 2, "{filled} of {budgets} disks were full");
    println!("torture: full disk | {budgets} budgets, {filled} full disks | seed {} | failures 0", seed());
}

/// A store that was made without a reserve, and found the disk full before it got one.
#[test]
fn a_store_without_a_reserve_fails_cleanly_and_goes_on_with_space() {
    let (mut budgets, mut opened) = (0, 0);
    for (seed, left) in seeds().flat_map(|seed| (0..=UNITS_LEFT).map(move |left| (seed, left))) {
        let mut run = cramped(0, left, seed);
        budgets += 1;
        fill(&mut run);
        run.let_go();
        if reopen(&mut run) {
            opened += 1;
            let done = attempt(&mut run, Op::Delete);
            if done == Done::Yes {
                attempt(&mut run, Op::Prune);
            }
        }
        goes_on(&mut run);
        // A few units are enough, whoever gives them.
        let mut run = cramped(0, left, seed);
        fill(&mut run);
        run.let_go();
        run.storage.leave(Some(8));
        assert!(reopen(&mut run), "{left} units left, then 8");
        assert_eq!(attempt(&mut run, Op::Delete), Done::Yes);
        assert_eq!(attempt(&mut run, Op::Prune), Done::Yes);
    }
    assert!(opened > 0);
    println!(
        "torture: full disk, without a reserve | {budgets} budgets, {opened} opened | seed {} | failures 0",
        seed()
    );
}

#[test]
fn space_that_comes_back_is_used_without_opening_again() {
    let mut run = cramped(RESERVE_UNITS * UNIT_BYTES, 2, seed());
    assert!(fill(&mut run));
    run.let_go();
    assert!(reopen(&mut run));
    // With the reserve given up it still takes no rows; its error says what to do.
    let error = match run.apply(Op::Commit) {
        Err(Stop::Engine(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.kind(), ErrorClass::Io);
    assert!(error.to_string().contains("reserve") && error.to_string().contains("make space"), "{error}");
    run.storage.leave(None);
    let known = run.moment().acknowledged.clone();
    assert_eq!(run.store().unwrap().view().version() as usize, known.version);
    run.reopen().unwrap();
    run.apply(Op::Commit).unwrap();
    goes_on(&mut run);
}
