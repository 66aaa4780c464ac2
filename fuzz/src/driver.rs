//! Seeded, counted runs on the stable toolchain.
//!
//! A run of a target is cut into *slices*, each a seed of its own, which threads take in turn: what a slice does depends
//! on nothing but its seed and its length, so any execution can be made again. There is no coverage; an input whose
//! [`Outcome`] is new joins the seeds of its slice instead.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::corpus::repository;
use crate::random::Random;
use crate::{Outcome, Target};

/// Slices that a run of a target is cut into.
const SLICES: u64 = 4;
/// Inputs that a slice holds at most.
const POOL: usize = 1500;
/// What one execution may take at most; they take microseconds, but the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);
/// Executions that making a finding smaller may take.
const SHRINKING: usize = 4000;

thread_local! {
    /// Where this thread notes what it is at, for a process that has to end in the middle of it.
    static DESK: RefCell<Option<Arc<Desk>>> = const { RefCell::new(None) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A broken oracle.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What the oracle said.
    pub message: String,
    /// The seed of the slice, and the number of the execution in it.
    pub place: (u64, u64),
    /// The smallest input found.
    pub input: Vec<u8>,
}

/// What a run of a target came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Executions.
    pub executions: u64,
    /// Inputs that were read through.
    pub accepted: u64,
    /// Different outcomes.
    pub outcomes: u64,
    /// Time of all threads.
    pub time: Duration,
    /// The longest execution, and its input.
    pub slowest: (Duration, Vec<u8>),
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Where inputs that break an oracle are written.
pub fn findings_directory() -> PathBuf {
    std::env::var_os("TAPE_FUZZ_FINDINGS").map_or_else(|| repository("fuzz/findings"), PathBuf::from)
}

/// Runs the oracle; the message if it panics.
///
/// # Errors
/// What the oracle said.
pub fn attempt(target: &Target, input: &[u8]) -> Result<Outcome, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    outcome.map_err(|panic| {
        let place = MESSAGE.take();
        let said = said(&*panic);
        if place.is_empty() { said } else { format!("{said}, at {place}") }
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// Keeps the place of a panic instead of printing it: most of them are caught and told in another way.
pub fn listen_to_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        MESSAGE.with(|message| *message.borrow_mut() = place);
    }));
}

/// Called by the allocator when an execution holds more than any may: writes the input and ends the process.
pub(crate) fn over_the_top(held: usize) -> ! {
    let desk = DESK.with(|desk| desk.try_borrow().ok().and_then(|desk| desk.clone()));
    let at = desk.as_ref().and_then(|desk| desk.at.try_lock().ok());
    let (target, input) = at.as_deref().map_or(("unknown", &[][..]), |at| (at.0, at.1.as_slice()));
    let file = write_finding(target, input);
    println!("{target}: {held} bytes held at once, input in {}", file.display());
    std::process::abort();
}

/// Writes an input where findings go; the path of it.
pub fn write_finding(target: &str, input: &[u8]) -> PathBuf {
    let folder = findings_directory();
    let _ = fs::create_dir_all(&folder);
    let file = folder.join(format!("{target}-{:08x}", crc32fast::hash(input)));
    if let Err(error) = fs::write(&file, input) {
        eprintln!("cannot write {}: {error}", file.display());
    }
    file
}

/// One slice of a run.
struct Slice {
    target: &'static Target,
    seed: u64,
    executions: u64,
}

/// What a thread is doing, for the watchman: when it began an execution, and which.
#[derive(Default)]
struct Desk {
    since_ms: AtomicU64,
    at: Mutex<(&'static str, Vec<u8>)>,
}

/// Runs targets for so many executions each, on so many threads; tells the tally of each as it is done.
pub fn run(
    plan: &[(&'static Target, u64)],
    seed: u64,
    threads: usize,
    told: &(dyn Fn(&Target, &Tally) + Sync),
) -> Vec<Tally> {
    let slices: Vec<(usize, Slice)> = plan
        .iter()
        .enumerate()
        .flat_map(|(number, (target, executions))| {
            (0..SLICES).map(move |slice| {
                let executions = executions / SLICES + u64::from(slice < executions % SLICES);
                let seed = seed.wrapping_add(slice).wrapping_mul(0x9e37_79b9).wrapping_add(number as u64);
                (number, Slice { target, seed, executions })
            })
        })
        .collect();
    let next = AtomicUsize::new(0);
    let tallies: Vec<Mutex<(Tally, u64)>> = plan.iter().map(|_| Mutex::default()).collect();
    let desks: Vec<Arc<Desk>> = (0..threads).map(|_| Arc::default()).collect();
    let start = Instant::now();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for desk in &desks {
            let (slices, next, tallies, done) = (&slices, &next, &tallies, &done);
            scope.spawn(move || {
                DESK.set(Some(Arc::clone(desk)));
                while let Some((number, slice)) = slices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A mutator that panics is a finding too, and must not leave the others waiting for this thread.
                    let outcome = catch_unwind(AssertUnwindSafe(|| run_slice(slice, desk, start)));
                    let tally = outcome.unwrap_or_else(|panic| broken_slice(slice, desk, &*panic));
                    let mut all = tallies[*number].lock().unwrap_or_else(PoisonError::into_inner);
                    merge(&mut all.0, tally);
                    all.1 += 1;
                    if all.1 == SLICES {
                        told(slice.target, &all.0);
                    }
                }
                desk.since_ms.store(0, Ordering::Relaxed);
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        watch(&desks, &done, start);
    });
    tallies.into_iter().map(|tally| tally.into_inner().unwrap_or_else(PoisonError::into_inner).0).collect()
}

/// Ends the process if an execution does not end.
fn watch(desks: &[Arc<Desk>], done: &AtomicUsize, start: Instant) {
    while done.load(Ordering::Relaxed) < desks.len() {
        std::thread::sleep(Duration::from_millis(50));
        let now = start.elapsed().as_millis() as u64;
        for desk in desks {
            let since = desk.since_ms.load(Ordering::Relaxed);
            if since > 0 && now.saturating_sub(since) > PATIENCE.as_millis() as u64 {
                let at = desk.at.lock().unwrap_or_else(PoisonError::into_inner);
                let file = write_finding(at.0, &at.1);
                println!("{}: an execution does not end, input in {}", at.0, file.display());
                std::process::exit(1);
            }
        }
    }
}

fn merge(all: &mut Tally, other: Tally) {
    all.executions += other.executions;
    all.accepted += other.accepted;
    all.outcomes = all.outcomes.max(other.outcomes);
    all.time += other.time;
    if other.slowest.0 > all.slowest.0 {
        all.slowest = other.slowest;
    }
    all.findings.extend(other.findings);
}

fn broken_slice(slice: &Slice, desk: &Desk, panic: &(dyn Any + Send)) -> Tally {
    let input = desk.at.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
    let message = format!("making an input after this one: {}, at {}", said(panic), MESSAGE.take());
    let finding = Finding { message, place: (slice.seed, 0), input };
    Tally { findings: vec![finding], ..Tally::default() }
}

fn run_slice(slice: &Slice, desk: &Desk, start: Instant) -> Tally {
    let target = slice.target;
    let mut random = Random(slice.seed);
    let mut pool = (target.seeds)();
    // Which of them were read through: what they become reaches furthest.
    let mut sound: Vec<usize> = Vec::new();
    let mut outcomes = HashSet::new();
    let mut tally = Tally::default();
    let began = Instant::now();
    let mut input = Vec::new();
    // Seeds as they are come first: they are known to be good, or known to be bad.
    let untouched = pool.len() as u64;
    for number in 0..slice.executions {
        let own = if number < untouched {
            number as usize
        } else if sound.is_empty() || random.chance(4) {
            random.below(pool.len())
        } else {
            sound[random.below(sound.len())]
        };
        input.clone_from(&pool[own]);
        if number >= untouched {
            let other = random.below(pool.len());
            target.mutate(&mut random, &mut input, &pool[other]);
        }
        let before = start.elapsed();
        desk.since_ms.store(before.as_millis() as u64 + 1, Ordering::Relaxed);
        {
            let mut at = desk.at.lock().unwrap_or_else(PoisonError::into_inner);
            at.0 = target.name;
            at.1.clone_from(&input);
        }
        tally.executions += 1;
        let outcome = attempt(target, &input);
        let took = start.elapsed().saturating_sub(before);
        if took > tally.slowest.0 {
            tally.slowest = (took, input.clone());
        }
        match outcome {
            Ok(outcome) => {
                let accepted = matches!(outcome, Outcome::Accepted(_));
                tally.accepted += u64::from(accepted);
                let fresh = outcomes.insert(outcome);
                if number < untouched {
                    sound.extend(accepted.then_some(own));
                } else if fresh && pool.len() < POOL {
                    sound.extend(accepted.then_some(pool.len()));
                    pool.push(input.clone());
                }
            }
            Err(message) => {
                desk.since_ms.store(0, Ordering::Relaxed);
                let input = shrink(target, &input);
                tally.findings.push(Finding { message, place: (slice.seed, number), input });
                // One story at a time: what follows is most often the same again.
                break;
            }
        }
    }
    tally.outcomes = outcomes.len() as u64;
    tally.time = began.elapsed();
    tally
}

/// A smaller input that breaks the oracle as well.
pub fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut left = SHRINKING;
    let end = Instant::now() + PATIENCE;
    let mut fails = |bytes: &[u8]| {
        left = left.saturating_sub(1);
        left > 0 && Instant::now() < end && attempt(target, bytes).is_err()
    };
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < best.len() {
            let end = best.len().min(at + size);
            let mut without = best.clone();
            without.drain(at..end);
            (target.mend)(&mut without);
            let mut zeroed = best.clone();
            zeroed[at..end].fill(0);
            let calm = best[at..end].iter().all(|byte| *byte == 0);
            (target.mend)(&mut zeroed);
            if fails(&without) {
                best = without;
            } else if !calm && zeroed != best && fails(&zeroed) {
                best = zeroed;
                at = end;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    best
}

/// Writes what was found and says how to run it again.
pub fn tell(target: &Target, finding: &Finding) {
    let file = write_finding(target.name, &finding.input);
    let (seed, number) = finding.place;
    println!("{}: {} (seed {seed}, execution {number})", target.name, finding.message);
    println!("  replay: cargo run -p tape-fuzz -- replay {} {}", target.name, file.display());
}
