//! The engine against a model: random histories, and after each step the two must agree.
//!
//! `TAPE_MODEL_SEED` replays one history (a failure prints its seed), `TAPE_MODEL_OPS` makes the run longer: the
//! number of steps in all, or of that one history.
//!
//! Reading order: `oracle` (what is right), `history` (what is done), `world` (doing it), `compare`, `shrink`.

mod compare;
mod history;
mod oracle;
mod place;
mod random;
mod refuse;
mod series;
mod shrink;
mod world;
mod writes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use history::Setting;
use random::Random;
use world::Tally;

/// Where the seeds of all histories of a normal run come from.
const SEED: u64 = 0x7a9e_5704_e000_0002;

/// Steps of the short form of the torture run; a third of a write more, since transactions hold several.
const STEPS: usize = 60_000;

/// Steps that are asked for, where the short form has `steps`: `TORTURE` is unset for a sample, `short`, or `long`.
fn amount(steps: usize) -> usize {
    match std::env::var("TORTURE").as_deref() {
        Ok("short") => steps,
        Ok("long") => 20 * steps,
        _ => steps * 2 / 5,
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed =
        text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok());
    Some(parsed.unwrap_or_else(|| panic!("{name}={text} is not a number")))
}

/// Runs histories in two threads until `steps` are done; returns what was done in all.
fn run(name: &str, steps: usize, setting: impl Fn(u64) -> Setting + Sync) -> Tally {
    if let Some(seed) = number("TAPE_MODEL_SEED") {
        let mut setting = setting(seed);
        setting.steps = number("TAPE_MODEL_OPS").map_or(setting.steps, |steps| steps as usize);
        return one(&setting);
    }
    let steps = number("TAPE_MODEL_OPS").map_or(amount(steps), |asked| asked as usize * steps / STEPS);
    let base = SEED ^ number("TORTURE_SEED").unwrap_or(0).rotate_right(16);
    let histories = steps.div_ceil(setting(0).steps);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= histories {
                return tally;
            }
            let seed = Random::new(base ^ (index as u64) << 20 ^ steps as u64).next();
            tally.add(&one(&setting(seed)));
        }
    };
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let other = scope.spawn(work);
        tally.add(&work());
        match other.join() {
            Ok(theirs) => tally.add(&theirs),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    println!("{name}: seed {base:#x}, {histories} histories, {tally}");
    println!("torture: {name} | {histories} histories, {} steps | seed {base:#x} | failures 0", tally.steps);
    tally
}

/// Runs one history; if it fails, shrinks it and panics with the short list.
fn one(setting: &Setting) -> Tally {
    match shrink::attempt(setting, &setting.draw()) {
        Ok(tally) => tally,
        Err(failure) => panic!("{}", shrink::report(setting, &failure)),
    }
}

#[test]
fn random_histories_agree_with_the_model() {
    let tally = run("model", STEPS, Setting::small);
    if number("TAPE_MODEL_SEED").is_none() && number("TAPE_MODEL_OPS").is_none() {
        assert!(tally.steps >= amount(STEPS) as u64, "only {} steps were done", tally.steps);
    }
}

#[test]
fn histories_with_background_compaction_agree_with_the_model() {
    run("model, background", 4_000, Setting::background);
}

#[test]
fn large_histories_agree_with_the_model() {
    run("model, large", 80, Setting::large);
}
