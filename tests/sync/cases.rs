//! What the models run: a store on a model's disk, a few threads, and what must hold in every schedule.
//!
//! Every commit adds one row to each of two series, so a view of version `v` shows the same `v - 1` rows in both: a
//! view that mixes two versions, or one that lost a file, shows something else.

use std::sync::Arc;

use tapestore::{ColumnType, Error, Options, Schema, SeriesKey, Store, Values, View};

use crate::checker;
use crate::disk::Disk;

const STACK_BYTES: usize = 1 << 20;

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Runs it once, in a model; calls its argument where what is to be explored begins.
    pub(crate) run: fn(fn()),
    /// How many preemptions fewer than others it is explored with: it has more threads, or longer ones.
    #[cfg_attr(not(loom), expect(dead_code, reason = "random schedules have no such bound"))]
    pub(crate) fewer: usize,
}

const fn case(name: &'static str, run: fn(fn()), fewer: usize) -> Case {
    Case { name, run, fewer }
}

/// All cases that are small enough for every schedule.
pub(crate) const CASES: [Case; 11] = [
    case("commit-beside-two-readers", commit_beside_two_readers, 0),
    case("two-committers", |explore| committers(explore, &[1]), 0),
    case("three-committers", |explore| committers(explore, &[1, 2]), 1),
    case("same-row-twice", same_row_twice, 0),
    case("failed-sync", failed_sync, 1),
    case("seal-beside-commit", seal_beside_commit, 0),
    case("compact-beside-view", compact_beside_view, 0),
    case("compact-beside-new-follower", compact_beside_new_follower, 0),
    case("compact-beside-refresh", compact_beside_refresh, 0),
    case("commit-beside-refresh", commit_beside_refresh, 0),
    case("background", background, 2),
];

/// A store and its disk.
pub(crate) struct World {
    pub(crate) disk: Disk,
    pub(crate) store: Store,
}

/// Options without threads of their own.
pub(crate) fn quiet() -> Options {
    Options { background: false, reserve_bytes: 0, ..Options::default() }
}

impl World {
    /// A store with two empty series, at version 1.
    pub(crate) fn new(options: Options) -> Self {
        let disk = Disk::new();
        let store = Store::create_on(Arc::new(disk.clone()), options).expect("a new store");
        let mut transaction = store.begin();
        for key in keys() {
            transaction.create_series(&key, schema()).expect("a new series");
        }
        transaction.commit().expect("nothing fails yet");
        Self { disk, store }
    }

    /// The same with two rows in each series, each in a segment of its own.
    fn with_segments() -> Self {
        let world = Self::new(quiet());
        for time in 0..2 {
            world.commit(time);
            world.store.seal().expect("nothing fails");
        }
        world
    }

    fn id(&self) -> [u8; 16] {
        u128::from_str_radix(&self.store.id(), 16).expect("32 digits").to_be_bytes()
    }

    /// Commits a row to each series, and checks that it is durable when acknowledged (I1).
    pub(crate) fn commit(&self, time: i64) -> u64 {
        let version = commit(&self.store, time).expect("nothing fails");
        self.check_durable(version, "acknowledged");
        version
    }

    fn check_durable(&self, version: u64, what: &str) {
        let durable = self.disk.durable_version(self.id());
        assert!(durable >= version, "version {version} is {what}, but only {durable} is durable");
    }

    /// Takes a view; checks that it is whole (I6) and shows nothing that a power cut would undo (I12).
    fn look(&self) -> u64 {
        let view = self.store.view();
        self.check_durable(view.version(), "visible");
        check(&view);
        view.version()
    }

    /// Nothing runs any more: everything is visible, and of the files only those that count are left.
    pub(crate) fn end(self, commits: u64) {
        let view = self.store.view();
        assert_eq!(view.version(), 1 + commits, "not every commit is visible at the end");
        check(&view);
        drop(view);
        let counted = self.store.stats().expect("nothing fails").segments as usize;
        let disk = self.disk.clone();
        self.store.seal().expect("nothing fails");
        let counted = self.store.stats().map_or(counted, |stats| stats.segments as usize);
        self.store.close().expect("nothing failed");
        assert_eq!(disk.segments(), counted, "a file was retired, but not removed, or the other way round");
    }
}

pub(crate) fn keys() -> [SeriesKey; 2] {
    ["a", "b"].map(|name| SeriesKey::new(name, "t").expect("a plain name"))
}

fn schema() -> Schema {
    tapestore::schema::SchemaBuilder::unique().column("x", ColumnType::I64).build().expect("one column")
}

/// Adds the row of this time to both series.
pub(crate) fn commit(store: &Store, time: i64) -> Result<u64, Error> {
    let mut transaction = store.begin();
    for key in keys() {
        let row = tapestore::Batch::new(vec![time]).with("x", Values::I64(vec![time * 7]));
        transaction.upsert(&key, row)?;
    }
    Ok(transaction.commit()?.version)
}

/// Checks that a view is one version, of both series, with every row that belongs to it.
pub(crate) fn check(view: &View) {
    let rows =
        keys().map(|key| view.read(&key).rows().unwrap_or_else(|error| panic!("a view broke: {error}")));
    let version = view.version();
    assert_eq!(rows[0].time(), rows[1].time(), "version {version} is two versions");
    assert_eq!(rows[0].len() as u64, version - 1, "version {version} has other rows than were committed");
    for rows in rows {
        let values = rows.i64("x").expect("a column");
        assert!(rows.time().iter().zip(values).all(|(time, x)| *x == time * 7), "a value is wrong");
    }
}

pub(crate) fn spawn<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> checker::thread::JoinHandle<T> {
    checker::thread::Builder::new().stack_size(STACK_BYTES).spawn(body).expect("the model gives threads")
}

pub(crate) fn join<T>(handle: checker::thread::JoinHandle<T>) -> T {
    handle.join().expect("the thread panicked")
}

fn commit_beside_two_readers(explore: fn()) {
    let world = Arc::new(World::new(quiet()));
    explore();
    let readers = [(); 2].map(|()| {
        let world = world.clone();
        spawn(move || {
            let first = world.look();
            assert!(world.store.view().version() >= first, "a reader went back in time");
        })
    });
    world.commit(0);
    readers.into_iter().for_each(join);
    Arc::into_inner(world).expect("nobody else").end(1);
}

/// Committers that meet: whoever finds nobody writing writes for all, and each gets its own outcome.
fn committers(explore: fn(), others: &[i64]) {
    let world = Arc::new(World::new(quiet()));
    explore();
    let commit = |time: &i64| {
        let (world, time) = (world.clone(), *time);
        spawn(move || world.commit(time))
    };
    let handles: Vec<_> = others.iter().map(commit).collect();
    let mut versions = vec![world.commit(0)];
    versions.extend(handles.into_iter().map(join));
    versions.sort_unstable();
    let expected: Vec<u64> = (2..).take(versions.len()).collect();
    assert_eq!(versions, expected, "each committer has a version of its own");
    Arc::into_inner(world).expect("nobody else").end(others.len() as u64 + 1);
}

/// Who finds its row there already has nothing to write, and is told so only when that row is durable.
fn same_row_twice(explore: fn()) {
    let world = Arc::new(World::new(quiet()));
    explore();
    let other = {
        let world = world.clone();
        spawn(move || world.commit(0))
    };
    assert_eq!((world.commit(0), join(other)), (2, 2), "the second of two equal commits made a version");
    Arc::into_inner(world).expect("nobody else").end(1);
}

fn failed_sync(explore: fn()) {
    let world = Arc::new(World::new(quiet()));
    world.disk.fail_log_syncs_after(1);
    explore();
    let attempt = |world: &World, time| match commit(&world.store, time) {
        Ok(version) => {
            world.check_durable(version, "acknowledged");
        }
        Err(Error::Poisoned { .. } | Error::Io { .. }) => {}
        Err(other) => panic!("another failure: {other}"),
    };
    let others = [1, 2].map(|time| {
        let world = world.clone();
        spawn(move || attempt(&world, time))
    });
    attempt(&world, 0);
    for other in others {
        join(other);
    }
    let refused = commit(&world.store, 3).and_then(|_| commit(&world.store, 4));
    assert!(matches!(refused, Err(Error::Poisoned { .. })), "goes on after a failed sync: {refused:?}");
    world.look();
}

fn seal_beside_commit(explore: fn()) {
    let world = Arc::new(World::new(quiet()));
    world.commit(0);
    explore();
    let sealing = {
        let world = world.clone();
        spawn(move || world.store.seal().expect("nothing fails"))
    };
    let reading = {
        let world = world.clone();
        spawn(move || check(&world.store.view()))
    };
    assert_eq!(commit(&world.store, 1).expect("nothing fails"), 3);
    assert!(join(sealing), "there was something to seal");
    join(reading);
    let view = world.store.view();
    assert_eq!(view.version(), 3, "a commit is not visible");
    check(&view);
    drop(view);
    world.store.compact().expect("nothing fails");
    check(&world.store.view());
}

fn compact_beside_view(explore: fn()) {
    let world = Arc::new(World::with_segments());
    explore();
    let reading = {
        let world = world.clone();
        spawn(move || {
            let view = world.store.view();
            check(&view);
        })
    };
    world.store.compact().expect("nothing fails");
    join(reading);
    check(&world.store.view());
    let segments = world.store.stats().expect("nothing fails").segments as usize;
    let disk = world.disk.clone();
    Arc::into_inner(world).expect("nobody else").store.close().expect("nothing failed");
    assert_eq!(disk.segments(), segments, "files are retired and removed exactly once");
}

fn compact_beside_new_follower(explore: fn()) {
    let world = Arc::new(World::with_segments());
    explore();
    let following = {
        let disk = Arc::new(world.disk.clone());
        spawn(move || {
            let follower = Store::open_read_only_on(disk, quiet()).expect("a reader beside a writer opens");
            let view = follower.view();
            assert_eq!(view.version(), 3, "what was durable is missing");
            check(&view);
        })
    };
    world.store.compact().expect("nothing fails");
    join(following);
}

fn compact_beside_refresh(explore: fn()) {
    let world = Arc::new(World::with_segments());
    let follower = Store::open_read_only_on(Arc::new(world.disk.clone()), quiet()).expect("a reader opens");
    let old = follower.view();
    explore();
    let following = spawn(move || {
        follower.refresh().expect("a reader moves on");
        check(&old);
        check(&follower.view());
    });
    world.store.compact().expect("nothing fails");
    join(following);
}

fn commit_beside_refresh(explore: fn()) {
    let world = World::new(quiet());
    world.commit(0);
    world.disk.share_logs();
    let follower = Store::open_read_only_on(Arc::new(world.disk.clone()), quiet()).expect("a reader opens");
    explore();
    let (disk, id) = (world.disk.clone(), world.id());
    let following = spawn(move || {
        let version = follower.refresh().expect("a reader moves on");
        let durable = disk.durable_version(id);
        assert!(durable >= version, "version {version} is visible to others, but only {durable} is durable");
        check(&follower.view());
        follower
    });
    world.commit(1);
    let follower = join(following);
    assert_eq!(follower.refresh().expect("a reader moves on"), 3);
    check(&follower.view());
}

/// Commits that each fill the memory, with the engine's own threads: nobody is left waiting (a model has no time-outs).
fn background(explore: fn()) {
    let options = Options { background: true, memtable_bytes: 1, young_segments: 2, ..quiet() };
    let world = World::new(options);
    explore();
    for time in 0..2 {
        commit(&world.store, time).expect("nothing fails");
    }
    world.store.wait_idle().expect("nothing fails");
    let view = world.store.view();
    assert_eq!(view.version(), 3);
    check(&view);
    drop(view);
    world.store.close().expect("nothing failed");
}
