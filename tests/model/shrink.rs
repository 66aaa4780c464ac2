//! From a failing history to a short one.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::time::{Duration, Instant};

use crate::history::{Setting, Step};
use crate::series::keys;
use crate::world::{Tally, World};

/// How long to look for a shorter history.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the steps; an `Err` tells at which step the engine and the model parted, and how.
pub(crate) fn attempt(setting: &Setting, steps: &[Step]) -> Result<Tally, String> {
    attempt_traced(setting, steps, false, false).0
}

/// As [`attempt`], with one line for each step done; `thorough` compares all old versions at the end.
fn attempt_traced(
    setting: &Setting,
    steps: &[Step],
    thorough: bool,
    traced: bool,
) -> (Result<Tally, String>, Vec<String>) {
    let mut trace = Vec::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(setting, traced)?;
        for (number, step) in steps.iter().enumerate() {
            let verdict = catch_unwind(AssertUnwindSafe(|| world.step(*step)));
            trace.append(&mut world.trace);
            verdict
                .unwrap_or_else(|panic| Err(message(&*panic)))
                .map_err(|text| format!("step {number}, {step:?}: {text}"))?;
        }
        world.finish(thorough).map_err(|text| format!("at the end: {text}"))
    }));
    (outcome.unwrap_or_else(|panic| Err(message(&*panic))), trace)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a message"))
}

/// Roughly what kind of failure it is, the first words of its last clause: shrinking must not slide from one into
/// another.
fn class(failure: &str) -> String {
    let clause = failure.rsplit(": ").next().unwrap_or_default();
    let words = clause.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.take(2).collect::<Vec<_>>().join(" ")
}

/// Leaves out steps and makes writes smaller as long as it still fails in that way; then tells the story.
pub(crate) fn report(setting: &Setting, failure: &str) -> String {
    let quiet = take_hook();
    set_hook(Box::new(|_| {}));
    let deadline = Instant::now() + PATIENCE;
    let mut steps = setting.draw();
    let reached =
        failure.strip_prefix("step ").and_then(|rest| rest.split(',').next()?.parse::<usize>().ok());
    steps.truncate(reached.map_or(usize::MAX, |step| step + 1));
    // What is wrong with an old version is found wherever the version numbers go, if all are looked at.
    let old =
        ["ReadOld", "Release", "Reader", "Prune", "at the end"].iter().any(|kind| failure.contains(kind));
    let fails = |steps: &[Step]| {
        let outcome = || attempt_traced(setting, steps, old, false).0;
        Instant::now() < deadline && outcome().is_err_and(|text| class(&text) == class(failure))
    };
    for series in 0..keys().len() {
        let mut fewer = steps.clone();
        fewer.iter_mut().for_each(|step| step.spared |= 1 << series);
        if fails(&fewer) {
            steps = fewer;
        }
    }
    drop_steps(&mut steps, &fails);
    for index in 0..steps.len() {
        for small in [1, 2, 4, 8, 16, 32, 64] {
            for of_rows in [true, false] {
                let mut smaller = steps.clone();
                let step = &mut smaller[index];
                let number = if of_rows { &mut step.size } else { &mut step.writes };
                if small < *number {
                    *number = small;
                    if fails(&smaller) {
                        steps = smaller;
                    }
                }
            }
        }
    }
    drop_steps(&mut steps, &fails);
    let (outcome, trace) = attempt_traced(setting, &steps, old, true);
    set_hook(quiet);
    let last = outcome.err().unwrap_or_else(|| "the shortened history passes now and then".into());
    format!(
        "{failure}\nreplay: TAPE_MODEL_SEED={:#x}\n{setting:?}\nshrunk to {} steps:\n  {}\n{last}",
        setting.seed,
        steps.len(),
        trace.join("\n  "),
    )
}

/// Leaves out ever smaller stretches of steps.
fn drop_steps(steps: &mut Vec<Step>, fails: &dyn Fn(&[Step]) -> bool) {
    let mut length = steps.len().div_ceil(2);
    loop {
        let mut start = 0;
        while start < steps.len() {
            let end = (start + length).min(steps.len());
            let fewer: Vec<Step> = steps[..start].iter().chain(&steps[end..]).copied().collect();
            if fails(&fewer) {
                *steps = fewer;
            } else {
                start = end;
            }
        }
        if length == 1 {
            return;
        }
        length = length.div_ceil(2);
    }
}
