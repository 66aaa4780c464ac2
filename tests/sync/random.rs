//! Random schedules of cases too large for every schedule (shuttle): the whole engine with its threads, committers,
//! readers, followers, and somebody who seals, compacts, names snapshots and prunes.
//!
//! Each schedule has a seed of its own, printed when it fails; `SYNC_SEED=N sync-models case NAME` begins with it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, MaxSteps, Runner};
use tapestore::io::MemoryStorage;
use tapestore::{AsOf, Error, Options, Store};

use crate::cases::{CASES, Case, World, check, commit, join, quiet, spawn};

const COMMITTERS: i64 = 3;
const COMMITS: i64 = 4;
const STACK_BYTES: usize = 1 << 20;

/// The larger cases.
const LARGE: [Case; 2] = [
    Case { name: "everything", run: |_| everything(), fewer: 0 },
    Case { name: "failing-disk", run: |_| failing_disk(), fewer: 0 },
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// All cases, large and small, for a share of the time each.
pub(crate) fn all() -> ExitCode {
    let seconds = number("SYNC_SECONDS", 20);
    let first = number("SYNC_SEED", 1);
    let small = Duration::from_millis(seconds * 1000 / 5 / CASES.len() as u64);
    let large = Duration::from_millis(seconds * 1000 * 4 / 5 / LARGE.len() as u64);
    for (case, time) in CASES.iter().map(|case| (case, small)).chain(LARGE.iter().map(|case| (case, large))) {
        let start = Instant::now();
        let mut seed = first;
        STEPS.store(0, Ordering::Relaxed);
        while start.elapsed() < time || seed == first {
            schedule(case, seed);
            seed += 1;
        }
        let commits = match STEPS.load(Ordering::Relaxed) {
            0 => String::new(),
            count => format!(", {count} commits"),
        };
        let schedules = seed - first;
        println!(
            "torture: shuttle {} | {schedules} schedules{commits} | seed {first} | failures 0",
            case.name
        );
    }
    ExitCode::SUCCESS
}

/// The case of this name, under the schedule of `SYNC_SEED`, or of a thousand seeds from there on.
pub(crate) fn one(name: &str) -> ExitCode {
    let case = CASES.iter().chain(&LARGE).find(|case| case.name == name).expect("a case of this name");
    let first = number("SYNC_SEED", 1);
    for seed in first..first + number("SYNC_COUNT", 1000) {
        schedule(case, seed);
    }
    ExitCode::SUCCESS
}

/// The seed of the schedule that runs.
static SEED: AtomicU64 = AtomicU64::new(0);
/// Commits acknowledged in all schedules of a case.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Runs a case once: every third time with few, well-placed preemptions, otherwise with many.
fn schedule(case: &Case, seed: u64) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(10_000_000);
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.silence_warnings = true;
    let run = case.run;
    SEED.store(seed, Ordering::Relaxed);
    let told = Told { case: case.name, seed };
    if seed.is_multiple_of(3) {
        Runner::new(PctScheduler::new_from_seed(seed, 3, 1), config).run(move || run(|| ()));
    } else {
        Runner::new(RandomScheduler::new_from_seed(seed, 1), config).run(move || run(|| ()));
    }
    std::mem::forget(told);
}

/// Says how to run a failed schedule again.
struct Told {
    case: &'static str,
    seed: u64,
}

impl Drop for Told {
    fn drop(&mut self) {
        println!("torture: shuttle {} | 1 schedule | seed {} | failures 1", self.case, self.seed);
        eprintln!("again: SYNC_SEED={} SYNC_COUNT=1 sync-models case {}", self.seed, self.case);
    }
}

/// What was acknowledged, with what a power cut at that moment would have left.
#[derive(Default)]
struct Acknowledged(Mutex<Vec<(u64, MemoryStorage)>>);

impl Acknowledged {
    fn note(&self, version: u64, world: &World) {
        STEPS.fetch_add(1, Ordering::Relaxed);
        self.0.lock().expect("never held in a panic").push((version, world.disk.after_power_cut()));
    }

    /// Opens each image: it has every commit up to the acknowledged one, and is whole (I1, I2).
    fn check(&self) {
        for (version, image) in std::mem::take(&mut *self.0.lock().expect("never held in a panic")) {
            let store = Store::open_on(Arc::new(image), quiet()).expect("what is left opens");
            let view = store.view();
            assert!(view.version() >= version, "version {version} was acknowledged and is lost");
            check(&view);
        }
    }
}

fn committers(world: &Arc<World>, acknowledged: &Arc<Acknowledged>) -> Vec<shuttle::thread::JoinHandle<u64>> {
    let body = |committer: i64| {
        let (world, acknowledged) = (world.clone(), acknowledged.clone());
        move || {
            let mut done = 0;
            for number in 0..COMMITS {
                match commit(&world.store, number * COMMITTERS + committer) {
                    Ok(version) => {
                        acknowledged.note(version, &world);
                        done += 1;
                    }
                    Err(Error::Poisoned { .. } | Error::Io { .. }) => {}
                    Err(other) => panic!("another failure: {other}"),
                }
            }
            done
        }
    };
    (0..COMMITTERS).map(|committer| spawn(body(committer))).collect()
}

/// Views, and older versions of them.
fn reader(world: &World) {
    let mut newest = 0;
    for _ in 0..3 {
        let view = world.store.view();
        assert!(view.version() >= newest, "a reader went back in time");
        newest = view.version();
        check(&view);
        match world.store.as_of(&AsOf::Version(newest.div_ceil(2))) {
            Ok(older) => check(&older),
            Err(Error::NotFound(_)) => {}
            Err(other) => panic!("an older version: {other}"),
        }
        check(&view);
    }
}

/// Another process that reads: a new view at each turn, and the first one all along.
fn follower(world: &World) {
    let store = Store::open_read_only_on(Arc::new(world.disk.clone()), quiet())
        .expect("a reader beside a writer opens");
    let first = store.view();
    let mut newest = first.version();
    for _ in 0..3 {
        let version = store.refresh().expect("a reader moves on");
        assert!(version >= newest, "a follower went back in time");
        newest = version;
        check(&store.view());
        check(&first);
    }
}

/// Sealing, compaction, a snapshot, and pruning up to it.
fn keeper(store: &Store) {
    store.seal().expect("nothing fails");
    let snapshot = store.create_snapshot("kept", None).expect("a new name");
    store.compact().expect("nothing fails");
    store.prune(&AsOf::Version(snapshot.version)).expect("nothing fails");
    let kept = store.as_of(&AsOf::Snapshot("kept".into())).expect("a snapshot stays");
    assert_eq!(kept.version(), snapshot.version);
    check(&kept);
    store.drop_snapshot("kept").expect("it is there");
    store.compact().expect("nothing fails");
    check(&kept);
}

fn everything() {
    let options = Options { background: true, memtable_bytes: 600, young_segments: 2, ..quiet() };
    let world = Arc::new(World::new(options));
    world.disk.share_logs();
    let acknowledged = Arc::<Acknowledged>::default();
    let committers = committers(&world, &acknowledged);
    let others: [fn(&World); 4] = [reader, follower, follower, |world| keeper(&world.store)];
    let others = others.map(|body| {
        let world = world.clone();
        spawn(move || body(&world))
    });
    let done: u64 = committers.into_iter().map(join).sum();
    others.into_iter().for_each(join);
    assert_eq!(done, (COMMITTERS * COMMITS) as u64, "a commit failed on a disk that works");
    world.store.wait_idle().expect("nothing failed");
    acknowledged.check();
    Arc::into_inner(world).expect("nobody else").end(done);
}

/// The disk fails at some sync of a log: what was acknowledged before stays, nothing is acknowledged after.
fn failing_disk() {
    let world = Arc::new(World::new(quiet()));
    world.disk.fail_log_syncs_after(SEED.load(Ordering::Relaxed) as usize % 9);
    let acknowledged = Arc::<Acknowledged>::default();
    let committers = committers(&world, &acknowledged);
    let reading = {
        let world = world.clone();
        spawn(move || reader(&world))
    };
    committers.into_iter().for_each(|committer| {
        join(committer);
    });
    join(reading);
    acknowledged.check();
}
