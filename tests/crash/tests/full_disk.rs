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

/// Every seed, with every number of units left, or the one that `FULL_DISK_LEFT` asks for.
fn budgets() -> Vec<(u64, u64)> {
    let one = std::env::var("FULL_DISK_LEFT").ok().and_then(|text| text.parse().ok());
    let left = one.map_or(0..=UNITS_LEFT, |left| left..=left);
    let seeds = seed()..seed() + Amount::asked().of(1, 6, 60);
    seeds.flat_map(|seed| left.clone().map(move |left| (seed, left))).collect()
}

/// The command that does one of them again.
fn again(test: &str, seed: u64, left: u64) -> String {
    format!("TORTURE_SEED={seed} FULL_DISK_LEFT={left} cargo test -p crash-tests --test full_disk {test}")
}

#[test]
fn deleting_and_pruning_work_on_a_full_disk() {
    let all = budgets();
    let mut filled = 0;
    for (seed, left) in all.iter().copied() {
        let mut run = cramped(RESERVE_UNITS * UNIT_BYTES, left, seed);
        let again = again("deleting_and_pruning_work_on_a_full_disk", seed, left);
        filled += usize::from(run.telling(&again, deletes_and_prunes));
    }
    assert!(filled > all.len() / 2 || all.len() == 1, "{filled} of {} disks were full", all.len());
    let budgets = all.len();
    println!("torture: full disk | {budgets} budgets, {filled} full disks | seed {} | failures 0", seed());
}

/// Fills the disk, deletes and prunes; whether it was full.
fn deletes_and_prunes(run: &mut Run) -> bool {
    let filled = fill(run);
    // A power cut now loses nothing acknowledged, and neither does a reader see less.
    let (known, cut) = (run.moment().clone(), run.storage.disk().image(Keep::Nothing));
    run.check_image(&SimStorage::from_disk(cut), &known, known.acknowledged.version).unwrap();
    for op in [Op::Delete, Op::Prune, Op::Delete] {
        // As separate processes would.
        run.let_go();
        assert!(reopen(run), "the reserve opens the store");
        assert_eq!(attempt(run, op), Done::Yes, "{op}");
        // Whatever adds is done, or refused without harm.
        let more = attempt(run, Op::Upsert);
        assert!(more != Done::Refused || attempt(run, Op::Delete) == Done::Yes);
    }
    let findings = run.store().unwrap().verify(true).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    goes_on(run);
    filled
}

/// A store that was made without a reserve, and found the disk full before it got one.
#[test]
fn a_store_without_a_reserve_fails_cleanly_and_goes_on_with_space() {
    let all = budgets();
    let mut opened = 0;
    for (seed, left) in all.iter().copied() {
        let again = again("a_store_without_a_reserve_fails_cleanly_and_goes_on_with_space", seed, left);
        opened += usize::from(cramped(0, left, seed).telling(&again, |run| {
            fill(run);
            run.let_go();
            let opened = reopen(run);
            if opened && attempt(run, Op::Delete) == Done::Yes {
                attempt(run, Op::Prune);
            }
            goes_on(run);
            opened
        }));
        // A few units are enough, whoever gives them.
        cramped(0, left, seed).telling(&again, |run| {
            fill(run);
            run.let_go();
            run.storage.leave(Some(8));
            assert!(reopen(run), "8 units left");
            assert_eq!(attempt(run, Op::Delete), Done::Yes);
            assert_eq!(attempt(run, Op::Prune), Done::Yes);
        });
    }
    assert!(opened > 0 || all.len() == 1);
    println!(
        "torture: full disk, without a reserve | {} budgets, {opened} opened | seed {} | failures 0",
        all.len(),
        seed()
    );
}

#[test]
fn space_that_comes_back_is_used_without_opening_again() {
    let again = again("space_that_comes_back_is_used_without_opening_again", seed(), 2);
    cramped(RESERVE_UNITS * UNIT_BYTES, 2, seed()).telling(&again, uses_space_that_comes_back);
}

fn uses_space_that_comes_back(run: &mut Run) {
    assert!(fill(run));
    run.let_go();
    assert!(reopen(run));
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
    goes_on(run);
}
