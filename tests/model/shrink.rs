//! From a failing history to a short one.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::time::{Duration, Instant};

use crate::history::{Setting, Step};
use crate::world::{Tally, World};

/// How long to look for a shorter history.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the steps; an `Err` tells at which step the engine and the model parted, and how.
pub(crate) fn attempt(setting: &Setting, steps: &[Step]) -> Result<Tally, String> {
    attempt_traced(setting, steps, false).0
}

/// As [`attempt`], with one line for each step done.
fn attempt_traced(setting: &Setting, steps: &[Step], traced: bool) -> (Result<Tally, String>, Vec<String>) {
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
        world.finish().map_err(|text| format!("at the end: {text}"))
    }));
    (outcome.unwrap_or_else(|panic| Err(message(&*panic))), trace)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a message"))
}

/// Leaves out steps and makes writes smaller as long as something still fails; then tells the story.
pub(crate) fn report(setting: &Setting, failure: &str) -> String {
    let quiet = take_hook();
    set_hook(Box::new(|_| {}));
    let deadline = Instant::now() + PATIENCE;
    let mut steps = setting.draw();
    drop_steps(setting, &mut steps, deadline);
    for index in 0..steps.len() {
        for size in [1, 2, 4, 8, 16] {
            let mut smaller = steps.clone();
            smaller[index].size = size;
            if size < steps[index].size && Instant::now() < deadline && attempt(setting, &smaller).is_err() {
                steps = smaller;
                break;
            }
        }
    }
    drop_steps(setting, &mut steps, deadline);
    let (outcome, trace) = attempt_traced(setting, &steps, true);
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
fn drop_steps(setting: &Setting, steps: &mut Vec<Step>, deadline: Instant) {
    let mut length = steps.len().div_ceil(2);
    loop {
        let mut start = 0;
        while start < steps.len() {
            if Instant::now() > deadline {
                return;
            }
            let end = (start + length).min(steps.len());
            let fewer: Vec<Step> = steps[..start].iter().chain(&steps[end..]).copied().collect();
            if attempt(setting, &fewer).is_err() {
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
