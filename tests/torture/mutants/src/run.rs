//! Runs the tests of a group with one mutant after another switched on.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Mutants;
use crate::copy::Executables;
use crate::groups::Executable;
use crate::results::{Outcome, Results};

/// Memory that a test may map; more is taken for a loop that allocates.
const MEMORY_KIB: u64 = 12 << 20;

/// An executable, and how long it may take.
struct Test {
    path: PathBuf,
    directory: PathBuf,
    arguments: Vec<String>,
    name: String,
    /// Processor time, in seconds, and time on the clock: of mutants that loop, and of those that wait.
    limits: (u64, Duration),
}

/// Tests that are run one after the other.
pub(crate) struct Tests {
    tests: Vec<Test>,
    out: PathBuf,
}

/// Runs a test; `None` if its time on the clock was over.
fn run(test: &Test, mutant: u32, room: &Path) -> Option<ExitStatus> {
    let _ = fs::remove_dir_all(room);
    fs::create_dir_all(room).expect("a directory for what tests write");
    let limits =
        format!("ulimit -c 0; ulimit -t {}; ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"", test.limits.0);
    let mut command = Command::new("sh");
    command.args(["-c", &limits]).arg(&test.path).args(&test.arguments).current_dir(&test.directory);
    command.env("TAPE_MUTANT", mutant.to_string()).env("TMPDIR", room).env("RUST_BACKTRACE", "0");
    // The first failure ends the run: an option that the stable toolchain keeps behind this variable.
    command.env("RUSTC_BOOTSTRAP", "1").args(["-Zunstable-options", "--fail-fast"]);
    command.env_remove("TORTURE").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a built executable runs");
    let since = Instant::now();
    loop {
        match child.try_wait().expect("a child of ours") {
            Some(status) => return Some(status),
            None if since.elapsed() < test.limits.1 => thread::sleep(Duration::from_millis(10)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

impl Tests {
    /// Finds the executables, and measures them without any mutant.
    pub(crate) fn of(wanted: &[Executable], executables: &Executables, out: &Path) -> Result<Self, String> {
        let mut tests = Vec::new();
        for (package, target, only) in wanted {
            let key = ((*package).to_owned(), (*target).to_owned());
            let (path, directory) =
                executables.get(&key).ok_or_else(|| format!("no tests {target} of {package}"))?.clone();
            let mut arguments: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            arguments.push("--test-threads=2".to_owned());
            let limits = (3600, Duration::from_hours(1));
            let mut test = Test { path, directory, arguments, name: format!("{package} {target}"), limits };
            let since = Instant::now();
            let status = run(&test, 0, &out.join("room"));
            if !status.is_some_and(|status| status.success()) {
                return Err(format!("{} fails without any mutant", test.name));
            }
            let took = since.elapsed();
            println!("{}: {:.1} s", test.name, took.as_secs_f64());
            test.limits = (took.as_secs() * 4 + 8, took * 20 + Duration::from_mins(2));
            tests.push(test);
        }
        Ok(Self { tests, out: out.to_owned() })
    }

    /// What comes of a mutant; `passed` if no test fails.
    fn outcome(&self, mutant: u32, worker: usize, passed: &Outcome) -> Outcome {
        let room = self.out.join(format!("room-{worker}"));
        for test in &self.tests {
            match run(test, mutant, &room) {
                None => return Outcome::Endless(test.name.clone()),
                // SIGXCPU, or the SIGKILL that follows it.
                Some(status) if matches!(status.signal(), Some(24 | 9)) => {
                    return Outcome::Endless(test.name.clone());
                }
                Some(status) if !status.success() => return Outcome::Caught(test.name.clone()),
                Some(_) => {}
            }
        }
        passed.clone()
    }

    /// Runs mutants until all are done or the time is over.
    pub(crate) fn hunt(
        &self,
        open: &[u32],
        mutants: &Mutants,
        (jobs, until): (usize, Instant),
        passed: &Outcome,
        results: &mut Results,
    ) -> Result<(), String> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(results);
        let work = |worker: usize| -> Result<(), String> {
            while Instant::now() < until {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(id) = open.get(at) else { break };
                let since = Instant::now();
                let outcome = self.outcome(*id, worker, passed);
                let mutant = &mutants[id];
                println!(
                    "{}/{} {:.1} s {outcome:?}: {}",
                    at + 1,
                    open.len(),
                    since.elapsed().as_secs_f64(),
                    mutant.name
                );
                results.lock().expect("no panic").note(mutant, outcome)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|worker| scope.spawn(move || work(worker))).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no panic"))
        })
    }
}
