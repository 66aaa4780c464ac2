//! The process ends, the power fails or the disk refuses, anywhere in plan, repair, check and undoing: bars are the old or
//! the new ones, never half of them, and a check afterwards says the truth.

use std::collections::HashSet;
use std::sync::Arc;

use crash_tests::image::Keep;
use crash_tests::sim::{Disk, Fault, SimStorage};
use tapestore::io::Storage;
use tapestore::time::MINUTE_NS;
use tapestore::{Options, SeriesKey, Store};
use tapestore_quality::{
    FindingState, Plan, Repairs, Result, Rule, Setup, apply, check, findings, plan_repairs, undo,
};

use crate::incremental::kept;
use crate::market::{Table, key, put, setup};
use crate::repair::content;

/// What is done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Plan,
    Apply,
    Check,
    Undo,
    CheckAgain,
}

const STEPS: [Step; 5] = [Step::Plan, Step::Apply, Step::Check, Step::Undo, Step::CheckAgain];

/// Rows of the series with flags and the names of their sources, in words: NaN equals NaN.
fn bars(store: &Store) -> String {
    format!("{:?}", content(store, &ours()))
}

fn ours() -> SeriesKey {
    key("A.X", "15m")
}

fn open(storage: &SimStorage) -> tapestore::Result<Store> {
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    Store::open_on(shared, Options { background: false, ..Options::default() })
}

fn one_thread() -> Setup {
    Setup { threads: 1, ..setup() }
}

fn plan(store: &Store) -> Result<Plan> {
    let others = [("A.X".to_owned(), vec!["A.Y".to_owned()])].into();
    plan_repairs(store, |one| *one == ours(), &mut Repairs { others, ..Repairs::default() }, &one_thread())
}

fn perform(store: &Store, step: Step, planned: &mut Plan) -> Result<()> {
    match step {
        Step::Plan => *planned = plan(store)?,
        Step::Apply => drop(apply(store, planned, &one_thread())?),
        Step::Undo => drop(undo(store, None)?),
        Step::Check | Step::CheckAgain => drop(check(store, |_| true, &one_thread())?),
    }
    Ok(())
}

/// A disk with two days of two sources: ours has a hole, a spike, a price that is no number, and was checked.
fn base() -> Disk {
    let storage = SimStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let store = Store::create_on(shared, Options { background: false, ..Options::default() }).unwrap();
    let table = Table::walk(0, 15 * MINUTE_NS, 192, 9);
    put(&store, &key("A.Y", "15m"), &table);
    let mut bad = table.clone();
    bad.values[..4].iter_mut().for_each(|column| column[120] *= 1.1);
    bad.values[1][60] = f64::NAN;
    put(&store, &ours(), &bad.without(30..34));
    check(&store, |_| true, &one_thread()).unwrap();
    store.close().unwrap();
    storage.disk()
}

/// What is open of our series: rule, time, bars.
fn told(store: &Store) -> Vec<(Rule, i64, u64)> {
    let all = findings(&store.view(), i64::MIN..i64::MAX).unwrap();
    let open = all.iter().filter(|one| one.state == FindingState::Open && one.key == ours());
    open.map(|one| (one.rule, one.at_ns, one.bars)).collect()
}

/// What it has to look like before and after.
struct Truth {
    old: String,
    new: String,
    told: Vec<(Rule, i64, u64)>,
}

impl Truth {
    /// Opens what is left of a disk. The bars have to be among those that are `allowed`.
    fn check(&self, disk: Disk, step: Step, allowed: &[&String]) {
        let store = open(&SimStorage::from_disk(disk)).unwrap();
        let found = bars(&store);
        assert!(allowed.contains(&&found), "{step:?}: the bars are neither old nor new");
        let is_new = found == self.new;
        if matches!(step, Step::Plan | Step::Apply) {
            // One commit closes findings and brings bars.
            assert_eq!(told(&store).is_empty(), is_new, "{step:?}");
        }
        check(&store, |_| true, &one_thread()).unwrap();
        let expected = if is_new { &[][..] } else { &self.told };
        assert_eq!(told(&store), expected, "{step:?}");
        let after = kept(&store);
        check(&store, |_| true, &Setup { again: true, ..one_thread() }).unwrap();
        assert_eq!(kept(&store), after, "{step:?}: a run over everything says the same");
        // What did not come to its end can be done again, and taken back.
        let planned = plan(&store).unwrap();
        assert_eq!(planned.fixes.is_empty(), is_new, "{step:?}");
        apply(&store, &planned, &one_thread()).unwrap();
        assert_eq!(bars(&store), self.new, "{step:?}");
        undo(&store, None).unwrap();
        assert_eq!(bars(&store), self.old, "{step:?}");
    }
}

/// Does everything, and notes after every step how many calls there were and what the bars are.
fn walk(disk: &Disk) -> (Vec<Disk>, Vec<(usize, String)>, Truth) {
    let storage = SimStorage::from_disk(disk.clone());
    let store = open(&storage).unwrap();
    let told = told(&store);
    assert_eq!(told.len(), 3, "{told:?}");
    storage.record();
    let mut moments = vec![(0, bars(&store))];
    let mut planned = Plan::default();
    for step in STEPS {
        perform(&store, step, &mut planned).unwrap();
        moments.push((storage.calls() as usize, bars(&store)));
    }
    let (old, new) = (moments[0].1.clone(), moments[2].1.clone());
    assert_eq!((planned.fixes.len(), &moments[1].1, &moments[5].1), (6, &old, &old));
    assert!(old != new && moments[3].1 == new);
    let mut disks = storage.take_record();
    disks.truncate(storage.calls() as usize + 1);
    drop(store);
    (disks, moments, Truth { old, new, told })
}

#[test]
fn a_power_cut_leaves_the_old_bars_or_the_new_ones() {
    let (disks, moments, truth) = walk(&base());
    let (mut seen, mut cuts) = (HashSet::new(), [0; STEPS.len()]);
    for (call, disk) in disks.iter().enumerate() {
        // The step in which this call is; what the one before left is durable or, of checks, can be computed again.
        let step = moments.iter().skip(1).position(|moment| call <= moment.0).unwrap();
        let allowed = [&moments[step].1, &moments[step + 1].1];
        let random = [Keep::Random(call as u64), Keep::Random(call as u64 + 1000)];
        let atoms = [0, disk.atoms() / 2, disk.atoms().saturating_sub(1)];
        let keeps = [Keep::Nothing, Keep::Everything].into_iter().chain(random).chain(atoms.map(Keep::Torn));
        for keep in keeps {
            let image = disk.image(keep);
            if seen.insert((image.digest(), step)) {
                cuts[step] += 1;
                truth.check(image, STEPS[step], &allowed);
            }
        }
    }
    println!("power cuts by step: {cuts:?}");
    assert!(cuts[1] >= 3 && cuts[3] >= 3, "{cuts:?} are few");
}

#[test]
fn a_process_that_is_killed_leaves_the_old_bars_or_the_new_ones() {
    let (disks, moments, truth) = walk(&base());
    let mut found = HashSet::new();
    for (call, disk) in disks.iter().enumerate() {
        let step = moments.iter().skip(1).position(|moment| call <= moment.0).unwrap();
        // Nothing that was written is lost: the page cache stays.
        truth.check(disk.after_crash(), STEPS[step], &[&moments[step].1, &moments[step + 1].1]);
        found.insert(step);
    }
    assert!(found.contains(&1) && found.contains(&3), "{found:?}");
}

#[test]
fn a_call_that_fails_leaves_the_old_bars_or_the_new_ones() {
    let disk = base();
    let (_, moments, truth) = walk(&disk);
    let mut hits = 0;
    for call in 1..=moments[STEPS.len()].0 as u64 {
        for fault in Fault::ALL {
            let storage = SimStorage::from_disk(disk.clone());
            let store = open(&storage).unwrap();
            storage.fail_at(call, fault);
            let mut planned = Plan::default();
            let broken = STEPS.iter().position(|step| perform(&store, *step, &mut planned).is_err());
            // Not every fault is one of this call.
            if !storage.fault_hit() {
                continue;
            }
            hits += 1;
            storage.mend();
            drop(store);
            // Where all went well, it was as if nothing had been.
            let step = broken.unwrap_or(STEPS.len() - 1);
            let allowed = [&moments[step].1, &moments[step + 1].1];
            for left in [storage.disk().after_crash(), storage.disk().image(Keep::Nothing)] {
                truth.check(left, STEPS[step], &allowed);
            }
        }
    }
    println!("{hits} faults hit");
    assert!(hits >= 20, "{hits} faults are few");
}
