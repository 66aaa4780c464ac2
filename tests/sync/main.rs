//! The engine under model checkers.
//!
//! `smoke.sh` builds this twice. With `--cfg loom` it runs each of a few small cases under every schedule with a
//! bounded number of preemptions; with `--cfg shuttle`, larger ones under many random schedules. Both run the engine
//! itself: `engine/store/src/sync.rs` hands it the checker's locks, condition variables and threads.
//!
//! To show that a broken engine is found, the engine can be told to make one of a list of mistakes
//! (`tapestore::Mistake`); each must be found by the case named beside it.

#[cfg(any(loom, shuttle))]
mod cases;
#[cfg(any(loom, shuttle))]
mod disk;
#[cfg(loom)]
mod every;
#[cfg(any(loom, shuttle))]
mod mistakes;
#[cfg(all(shuttle, not(loom)))]
mod random;

#[cfg(loom)]
use {every as runner, loom as checker};
#[cfg(all(shuttle, not(loom)))]
use {random as runner, shuttle as checker};

#[cfg(any(loom, shuttle))]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => runner::all(),
        ["mistakes"] => mistakes::all(),
        ["mistake", mistake, case] => {
            tapestore::make(Some(mistakes::by_name(mistake)));
            runner::one(case)
        }
        ["case", case] => runner::one(case),
        _ => {
            eprintln!("usage: sync-models [mistakes | case NAME | mistake MISTAKE NAME]");
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(not(any(loom, shuttle)))]
fn main() -> std::process::ExitCode {
    eprintln!("built without a model checker; run tests/sync/smoke.sh");
    std::process::ExitCode::from(2)
}
