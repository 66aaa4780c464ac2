//! Every schedule of a case, with at most so many preemptions (loom).

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crate::cases::{CASES, Case, join, spawn};

/// Most times that a schedule takes the processor from a thread that could go on.
fn preemption_bound() -> usize {
    std::env::var("SYNC_PREEMPTIONS").map_or(3, |text| text.parse().expect("SYNC_PREEMPTIONS is a number"))
}

/// All cases, two at a time: each model keeps to its thread.
pub(crate) fn all() -> ExitCode {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            explore(case);
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    ExitCode::SUCCESS
}

/// The case of this name.
pub(crate) fn one(name: &str) -> ExitCode {
    explore(CASES.iter().find(|case| case.name == name).expect("a case of this name"));
    ExitCode::SUCCESS
}

fn explore(case: &Case) {
    let bound = preemption_bound().saturating_sub(case.fewer);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(bound);
    model.max_branches = 100_000;
    model.expect_explicit_explore = true;
    let executions = Arc::new(AtomicU64::new(0));
    let (counter, run) = (executions.clone(), case.run);
    let start = Instant::now();
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        // The first thread of a model has a small stack.
        join(spawn(move || run(loom::explore)));
    });
    println!(
        "torture: loom {} | {} executions, {bound} preemptions | seed - | failures 0",
        case.name,
        executions.load(Ordering::Relaxed),
    );
    eprintln!("{} took {:.1} s", case.name, start.elapsed().as_secs_f64());
}
