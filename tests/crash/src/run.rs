//! Operations on a store, and the model that says what must be read afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;
use std::sync::Arc;

use tapestore::{AsOf, Batch, Durability, Error, Options, SeriesKey, Store, Values, schema};

use crate::random::Random;
use crate::sim::SimStorage;

pub(crate) const MINUTE_NS: i64 = 60_000_000_000;
const HOUR_NS: i64 = 60 * MINUTE_NS;
pub(crate) const SERIES: [&str; 3] = ["A", "B", "C"];

/// One operation on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Appends a row to two series, durably.
    Commit,
    /// Rewrites a row and adds one, durably.
    Upsert,
    /// As [`Op::Commit`], only handed to the operating system.
    Appended,
    /// As [`Op::Commit`], only in memory.
    Volatile,
    /// Deletes a range of rows.
    Delete,
    /// Drops a series, or creates it anew.
    DropCreate,
    /// Confirms that there is nothing in a range, or takes it back.
    Absence,
    /// Seals.
    Seal,
    /// Compacts.
    Compact,
    /// Names the newest version.
    Snapshot,
    /// Forgets the oldest snapshot.
    DropSnapshot,
    /// Rolls back to the version before the newest.
    Rollback,
    /// Gives up all but the two newest versions.
    Prune,
    /// Backs up.
    Backup,
    /// Closes and opens.
    Reopen,
    /// Moves the clock by years.
    Clock,
}

/// The operations of which all short sequences are tried.
pub const SHORT: [Op; 9] = [
    Op::Commit,
    Op::Upsert,
    Op::Seal,
    Op::Compact,
    Op::Snapshot,
    Op::Rollback,
    Op::Prune,
    Op::Backup,
    Op::Reopen,
];

/// All operations.
pub const ALL: [Op; 16] = [
    Op::Commit,
    Op::Upsert,
    Op::Appended,
    Op::Volatile,
    Op::Delete,
    Op::DropCreate,
    Op::Absence,
    Op::Seal,
    Op::Compact,
    Op::Snapshot,
    Op::DropSnapshot,
    Op::Rollback,
    Op::Prune,
    Op::Backup,
    Op::Reopen,
    Op::Clock,
];

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ALL.into_iter().find(|op| op.to_string() == text).ok_or_else(|| format!("{text:?} is no operation"))
    }
}

/// The options of every store here: nothing runs beside the operations.
pub fn options() -> Options {
    // Not its usual size: every disk that is looked at would be so much longer.
    Options { background: false, cache_bytes: 1 << 16, reserve_bytes: 512, ..Options::default() }
}

pub(crate) fn key(series: usize) -> SeriesKey {
    SeriesKey::new(SERIES[series], "1m").expect("a valid name")
}

/// What a version holds of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SeriesContent {
    /// Close by minute; the other columns follow from it.
    pub(crate) rows: BTreeMap<i64, f64>,
    /// Minutes confirmed absent.
    pub(crate) absent: BTreeSet<i64>,
}

impl SeriesContent {
    /// Minutes between the first row and the last that hold no row and are not confirmed absent.
    pub(crate) fn missing(&self) -> impl Iterator<Item = i64> + '_ {
        let span = self.rows.keys().next().zip(self.rows.keys().next_back());
        let minutes = span.map_or(0..0, |(first, last)| *first..*last);
        minutes.filter(|minute| !self.rows.contains_key(minute) && !self.absent.contains(minute))
    }
}

/// What a version holds.
pub(crate) type Content = BTreeMap<usize, SeriesContent>;

/// What is known to hold of a store at some moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The newest version.
    pub version: usize,
    /// The oldest that can be read, but for snapshots.
    pub floor: u64,
    /// Snapshots and their versions.
    pub snapshots: BTreeMap<String, u64>,
}

/// A moment in a run: what was acknowledged as durable, and the most that may have become of everything else.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Mutating calls made up to here.
    pub calls: u64,
    /// What must be there after a power cut.
    pub acknowledged: Facts,
    /// What must be there after the mere end of the process.
    pub appended: usize,
    /// What may be there.
    pub issued: Facts,
    /// What an unfinished operation may have changed the issued facts from.
    pub before: Facts,
}

/// What a backup holds.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// Calls made on the disk of the backups when it ended.
    pub calls: u64,
    /// Its version.
    pub version: usize,
    /// What held of the store then.
    pub facts: Facts,
}

/// A store under test, and its model.
#[derive(Debug)]
pub struct Run {
    /// Its disk.
    pub storage: SimStorage,
    /// The disk of its backups.
    pub target: SimStorage,
    pub(crate) store: Option<Store>,
    /// What it is opened with.
    options: Options,
    random: Random,
    pub(crate) versions: Vec<Arc<Content>>,
    pub(crate) now: Moment,
    next_minute: i64,
    next_value: f64,
    next_name: u32,
    /// Moments at which an operation ended, the first before any.
    pub moments: Vec<Moment>,
    /// Backups that ended, the first an empty one before any.
    pub backups: Vec<Copied>,
    /// Operations that were begun.
    pub done: Vec<Op>,
}

/// Why a run ended.
#[derive(Debug)]
pub enum Stop {
    /// The engine returned this error.
    Engine(Error),
    /// The engine broke a promise.
    Broken(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

fn broken<T>(text: String) -> Result<T, Stop> {
    Err(Stop::Broken(text))
}

fn batch(rows: &BTreeMap<i64, f64>) -> Batch {
    let column = |shift: f64| Values::F64(rows.values().map(|close| close + shift).collect());
    Batch::new(rows.keys().map(|minute| minute * MINUTE_NS).collect())
        .with("open", column(0.0))
        .with("high", column(1.0))
        .with("low", column(-1.0))
        .with("close", column(0.0))
        .with("volume", column(7.0))
}

impl Run {
    /// A store with two series, a segment and a log.
    pub fn start(seed: u64) -> Self {
        Self::start_with(options(), seed)
    }

    /// As [`Run::start`], with options of its own.
    pub fn start_with(options: Options, seed: u64) -> Self {
        let mut run = Self::create_with(SimStorage::new(), options, seed).expect("a sound disk");
        run.seed().expect("a sound disk");
        run.begin();
        run
    }

    /// An empty store.
    ///
    /// # Errors
    /// Whatever creation returns.
    pub fn create(storage: SimStorage, seed: u64) -> Result<Self, Error> {
        Self::create_with(storage, options(), seed)
    }

    fn create_with(storage: SimStorage, options: Options, seed: u64) -> Result<Self, Error> {
        let store = Store::create_on(Arc::new(storage.clone()), options.clone())?;
        Ok(Self {
            options,
            storage,
            target: SimStorage::new(),
            store: Some(store),
            random: Random::new(seed),
            versions: vec![Arc::default()],
            now: Moment::default(),
            next_minute: 10,
            next_value: 100.0,
            next_name: 0,
            moments: Vec::new(),
            backups: Vec::new(),
            done: Vec::new(),
        })
    }

    fn seed(&mut self) -> Result<(), Stop> {
        let rows: BTreeMap<i64, f64> = (0..4).map(|minute| (minute, 50.0 + minute as f64)).collect();
        let mut content = Content::new();
        let mut transaction = self.store()?.begin();
        transaction.source("test");
        for series in 0..2 {
            transaction.create_series(&key(series), schema::bars())?;
            transaction.upsert(&key(series), batch(&rows))?;
            content.insert(series, SeriesContent { rows: rows.clone(), ..SeriesContent::default() });
        }
        self.issue(content);
        transaction.commit()?;
        self.store()?.seal()?;
        self.acknowledge();
        self.apply(Op::Upsert)
    }

    /// Counts and records calls from here.
    fn begin(&mut self) {
        self.storage.record();
        self.target.record();
        self.now.calls = 0;
        self.now.before = self.now.issued.clone();
        self.moments = vec![self.now.clone()];
        self.backups = vec![Copied::default()];
        self.done.clear();
    }

    /// The open store.
    ///
    /// # Errors
    /// If an earlier operation closed it and failed to open it.
    pub fn store(&self) -> Result<&Store, Stop> {
        self.store.as_ref().ok_or_else(|| Stop::Broken("the store is closed".into()))
    }

    /// Publishes manifest steps until the next one or so writes the manifest anew.
    ///
    /// # Errors
    /// Whatever the engine returns.
    pub fn lengthen_manifest(&mut self) -> Result<(), Stop> {
        // Every kept disk would keep a manifest of its own.
        drop(self.storage.take_record());
        let name = "n".repeat(500);
        let files = |run: &Self| {
            run.storage
                .disk()
                .files()
                .map(|(name, content)| (name.to_owned(), content.len()))
                .collect::<Vec<_>>()
        };
        let longest = |files: &[(String, usize)]| {
            files.iter().filter(|file| file.0.starts_with("manifest-")).map(|file| file.1).max().unwrap_or(0)
        };
        let step = longest(&files(self));
        for _ in 0..10_000 {
            let store = self.store()?;
            store.create_snapshot(&name, None)?;
            store.drop_snapshot(&name)?;
            // The slack of a manifest is a mebibyte.
            if longest(&files(self)) > (1 << 20) - 600 + step {
                break;
            }
        }
        self.acknowledge();
        self.begin();
        Ok(())
    }

    /// Opens the store again after a failure, from what the page cache shows.
    ///
    /// # Errors
    /// Whatever the engine returns.
    pub fn reopen(&mut self) -> Result<(), Stop> {
        self.store = None;
        self.store = Some(Store::open_on(Arc::new(self.storage.clone()), self.options.clone())?);
        let version = self.store()?.view().version() as usize;
        // What recovery shows is durable.
        self.now.issued.version = version;
        self.acknowledge();
        Ok(())
    }

    /// Lets go of the store.
    pub fn let_go(&mut self) {
        self.store = None;
    }

    /// Forgets an operation that was refused: nothing of it was done.
    pub fn take_back(&mut self, known: Moment) {
        self.now = known;
    }

    /// The state of knowledge if the run ended now.
    pub fn moment(&self) -> &Moment {
        &self.now
    }

    fn head(&self) -> &Content {
        &self.versions[self.now.issued.version]
    }

    fn issue(&mut self, content: Content) {
        self.versions.truncate(self.now.issued.version + 1);
        self.versions.push(Arc::new(content));
        self.now.issued.version += 1;
    }

    /// Everything issued is durable now.
    fn acknowledge(&mut self) {
        self.now.acknowledged = self.now.issued.clone();
        self.now.appended = self.now.issued.version;
    }

    /// Runs an operation and notes the moment at which it ended.
    ///
    /// # Errors
    /// What the engine returned, or what is wrong with what it did.
    pub fn apply(&mut self, op: Op) -> Result<(), Stop> {
        self.done.push(op);
        self.now.before = self.now.issued.clone();
        let result = self.run(op);
        if result.is_ok() {
            self.now.before = self.now.issued.clone();
        }
        self.now.calls = self.storage.calls();
        self.moments.push(self.now.clone());
        result
    }

    fn run(&mut self, op: Op) -> Result<(), Stop> {
        match op {
            Op::Commit => self.write(Durability::Durable, false),
            Op::Upsert => self.write(Durability::Durable, true),
            Op::Appended => self.write(Durability::Appended, false),
            Op::Volatile => self.write(Durability::Volatile, false),
            Op::Delete => self.delete(),
            Op::DropCreate => self.drop_create(),
            Op::Absence => self.absence(),
            Op::Seal => {
                self.store()?.seal()?;
                self.acknowledge();
                Ok(())
            }
            Op::Compact => {
                self.store()?.compact()?;
                Ok(())
            }
            Op::Snapshot => {
                self.next_name += 1;
                let name = format!("s{}", self.next_name);
                let version = self.now.issued.version as u64;
                self.now.issued.snapshots.insert(name.clone(), version);
                let made = self.store()?.create_snapshot(&name, None)?;
                self.acknowledge();
                if made.version == version { Ok(()) } else { broken(format!("{made:?} is not {version}")) }
            }
            Op::DropSnapshot => {
                let Some(name) = self.now.issued.snapshots.keys().next().cloned() else { return Ok(()) };
                self.now.issued.snapshots.remove(&name);
                self.store()?.drop_snapshot(&name)?;
                self.now.acknowledged.snapshots.remove(&name);
                Ok(())
            }
            Op::Rollback => self.rollback(),
            Op::Prune => {
                let newest = self.now.issued.version as u64;
                let floor = newest.saturating_sub(1).max(self.now.issued.floor);
                self.now.issued.floor = floor;
                self.store()?.prune(&AsOf::Version(floor))?;
                self.acknowledge();
                Ok(())
            }
            Op::Backup => {
                // Promises nothing of the source: a handle that failed still backs up what it reads.
                let report = self.store()?.backup_to(&self.target)?;
                self.backups.push(Copied {
                    calls: self.target.calls(),
                    version: report.version as usize,
                    facts: self.now.issued.clone(),
                });
                let newest = self.now.issued.version;
                let least = if self.storage.fault_hit() { self.now.acknowledged.version } else { newest };
                if (least..=newest).contains(&(report.version as usize)) {
                    Ok(())
                } else {
                    broken(format!("{report:?} is not of versions {least} to {newest}"))
                }
            }
            Op::Reopen => {
                let store = self.store.take().expect("open");
                store.close()?;
                self.acknowledge();
                self.store = Some(Store::open_on(Arc::new(self.storage.clone()), self.options.clone())?);
                Ok(())
            }
            Op::Clock => {
                let years = [3, -3, 30, -30][self.random.below(4)];
                self.storage.jump(years * 365 * 24 * HOUR_NS);
                Ok(())
            }
        }
    }

    /// Commits; `expected` is the content that must come of it.
    fn commit(
        &mut self,
        expected: Content,
        durability: Durability,
        stage: impl FnOnce(&mut tapestore::Transaction) -> Result<(), Error>,
    ) -> Result<(), Stop> {
        let changes = expected != *self.head();
        let mut transaction = self.store()?.begin();
        transaction.source("test");
        stage(&mut transaction)?;
        if changes {
            self.issue(expected);
        }
        let report = transaction.commit_with(durability)?;
        self.acknowledged(report.version, report.changed, changes, durability)
    }

    fn acknowledged(
        &mut self,
        version: u64,
        changed: bool,
        changes: bool,
        durability: Durability,
    ) -> Result<(), Stop> {
        match durability {
            Durability::Durable => {
                self.now.acknowledged.version = self.now.issued.version;
                self.now.appended = self.now.issued.version;
            }
            Durability::Appended => self.now.appended = self.now.issued.version,
            Durability::Volatile => {}
        }
        let newest = self.now.issued.version as u64;
        if changed != changes || version != newest {
            return broken(format!(
                "version {version}, changed: {changed}; the model has {newest}, changes: {changes}"
            ));
        }
        Ok(())
    }

    fn write(&mut self, durability: Durability, rewrite: bool) -> Result<(), Stop> {
        let mut expected = self.head().clone();
        let mut batches = Vec::new();
        let present: Vec<usize> = expected.keys().copied().collect();
        for series in present.into_iter().take(2) {
            let content = expected.get_mut(&series).expect("listed");
            let mut rows = BTreeMap::new();
            if rewrite && let Some((minute, _)) = content.rows.iter().next_back() {
                self.next_value += 1.0;
                rows.insert(*minute, self.next_value);
            }
            self.next_minute += 1;
            self.next_value += 1.0;
            rows.insert(self.next_minute, self.next_value);
            content.rows.extend(&rows);
            batches.push((series, rows));
        }
        self.commit(expected, durability, |transaction| {
            batches.iter().try_for_each(|(series, rows)| transaction.upsert(&key(*series), batch(rows)))
        })
    }

    fn some_series(&mut self) -> Option<usize> {
        let present: Vec<usize> = self.head().keys().copied().collect();
        (!present.is_empty()).then(|| present[self.random.below(present.len())])
    }

    fn some_minutes(&mut self) -> Range<i64> {
        let start = self.random.below(self.next_minute as usize + 2) as i64;
        start..start + 1 + self.random.below(4) as i64
    }

    fn delete(&mut self) -> Result<(), Stop> {
        let (Some(series), minutes) = (self.some_series(), self.some_minutes()) else { return Ok(()) };
        let mut expected = self.head().clone();
        let content = expected.get_mut(&series).expect("listed");
        content.rows.retain(|minute, _| !minutes.contains(minute));
        self.commit(expected, Durability::Durable, |transaction| {
            transaction.delete_range(&key(series), minutes.start * MINUTE_NS..minutes.end * MINUTE_NS)
        })
    }

    fn drop_create(&mut self) -> Result<(), Stop> {
        let series = 1 + self.random.below(2);
        let mut expected = self.head().clone();
        if expected.remove(&series).is_some() {
            return self
                .commit(expected, Durability::Durable, |transaction| transaction.drop_series(&key(series)));
        }
        self.next_value += 1.0;
        let rows: BTreeMap<i64, f64> = [(self.next_minute, self.next_value)].into();
        expected.insert(series, SeriesContent { rows: rows.clone(), ..SeriesContent::default() });
        self.commit(expected, Durability::Durable, |transaction| {
            transaction.create_series(&key(series), schema::bars())?;
            transaction.upsert(&key(series), batch(&rows))
        })
    }

    fn absence(&mut self) -> Result<(), Stop> {
        let (Some(series), minutes) = (self.some_series(), self.some_minutes()) else { return Ok(()) };
        let withdraw = self.random.once_in(3);
        let mut expected = self.head().clone();
        let content = expected.get_mut(&series).expect("listed");
        for minute in minutes.clone() {
            if withdraw {
                content.absent.remove(&minute);
            } else {
                content.absent.insert(minute);
            }
        }
        if expected == *self.head() {
            return Ok(());
        }
        let range = minutes.start * MINUTE_NS..minutes.end * MINUTE_NS;
        self.commit(expected, Durability::Durable, |transaction| {
            if withdraw {
                transaction.withdraw_absence(&key(series), range)
            } else {
                transaction.confirm_absent(&key(series), range)
            }
        })
    }

    fn rollback(&mut self) -> Result<(), Stop> {
        let newest = self.now.issued.version;
        let target = newest.saturating_sub(1).max(self.now.issued.floor as usize);
        let expected = (*self.versions[target]).clone();
        let changes = expected != *self.head();
        if changes {
            self.issue(expected);
        }
        let report = self.store()?.rollback(&AsOf::Version(target as u64))?;
        self.acknowledged(report.version, report.changed, changes, Durability::Durable)
    }

    /// A part of a test; if it panics, says what was done up to then, and how to see it again.
    pub fn telling<T>(&mut self, again: &str, part: impl FnOnce(&mut Self) -> T) -> T {
        match catch_unwind(AssertUnwindSafe(|| part(self))) {
            Ok(value) => value,
            Err(panic) => {
                let done: Vec<String> = self.done.iter().map(Op::to_string).collect();
                println!("operations: {}\nto see it again: {again}", done.join(","));
                resume_unwind(panic)
            }
        }
    }

    /// An operation on this handle after a fault, if it still takes one; whether it was acknowledged.
    ///
    /// # Errors
    /// A promise that was broken.
    pub fn probe(&mut self, op: Op) -> Result<bool, String> {
        if self.store.is_none() {
            return Ok(false);
        }
        let known = self.now.clone();
        match self.apply(op) {
            Ok(()) => Ok(true),
            Err(Stop::Engine(error)) => {
                // Refused for want of space, before anything was written: the handle goes on.
                if error.is_full_disk() && self.store.as_ref().is_some_and(|store| store.wait_idle().is_ok())
                {
                    self.now = known;
                }
                Ok(false)
            }
            Err(Stop::Broken(text)) => Err(text),
        }
    }
}
