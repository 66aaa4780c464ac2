//! Mistakes that the models must find. Each runs in a process of its own: what a model leaves behind when it fails is
//! not fit for another run.

use std::process::{Command, ExitCode};

use tapestore::Mistake;

/// Each mistake, a case that finds it, and a piece of what is then said.
const MISTAKES: [(Mistake, &str, &str); 9] = [
    (Mistake::AcknowledgeBeforeSync, "same-row-twice", "is acknowledged, but only"),
    (Mistake::PublishBeforeSync, "commit-beside-two-readers", "is visible, but only"),
    (Mistake::LoseWakeUp, "two-committers", "deadlock"),
    (Mistake::GoOnAfterFailure, "failed-sync", ""),
    (Mistake::RemoveBeforeStep, "compact-beside-new-follower", ""),
    (Mistake::MapOnlyOnce, "compact-beside-view", "a view broke"),
    (Mistake::LeaseTooLate, "compact-beside-new-follower", "a view broke"),
    (Mistake::LeaseMovesTooSoon, "compact-beside-refresh", "a view broke"),
    (Mistake::SwapForgetsCommits, "seal-beside-commit", "a commit is not visible"),
];

/// The mistake of this name.
pub(crate) fn by_name(name: &str) -> Mistake {
    let found = MISTAKES.iter().find(|known| format!("{:?}", known.0) == name);
    found.unwrap_or_else(|| panic!("no mistake is called {name}")).0
}

/// Makes each in turn; fails unless all are found.
pub(crate) fn all() -> ExitCode {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut missed = 0;
    for (mistake, case, said) in MISTAKES {
        let name = format!("{mistake:?}");
        let run = Command::new(&program).args(["mistake", &name, case]).output().expect("it starts again");
        let text = String::from_utf8_lossy(&run.stderr);
        let found = !run.status.success() && text.contains("panicked at") && text.contains(said);
        let how = text.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or("");
        eprintln!("{} {name} by {case}: {how}", if found { "found " } else { "MISSED" });
        missed += u32::from(!found);
    }
    println!("torture: sync mistakes | {} mistakes | seed - | failures {missed}", MISTAKES.len());
    ExitCode::from(u8::from(missed > 0))
}
