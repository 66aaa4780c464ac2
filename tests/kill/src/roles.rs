//! What the processes do: one writes, others read; and how the content of a view is compared.
//!
//! A process says on standard output what it has been promised, a line at a time, each in one write: the pipe keeps what
//! was said before the kill.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tapestore::schema::bars;
use tapestore::{AsOf, Batch, Durability, Error, ErrorClass, Options, SeriesKey, Store, Values, View};

use crate::history::{Commit, Content, History, MINUTES, Random, SERIES, commit};

const MINUTE_NS: i64 = 60_000_000_000;
/// Versions that a prune leaves readable, at least.
const READABLE: u64 = 20;
/// Snapshots that are left alone before the oldest is dropped.
const SNAPSHOTS: u64 = 3;
/// How long to wait for a lock whose holder was just killed: the kernel lets go of it as the process ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Budgets so small that every run seals and compacts.
pub(crate) fn options(background: bool) -> Options {
    Options {
        background,
        memtable_bytes: 12_000,
        own_segment_bytes: 3_000,
        young_segments: 3,
        cache_bytes: 1 << 18,
        ..Options::default()
    }
}

pub(crate) fn key(series: usize) -> SeriesKey {
    SeriesKey::new(&format!("S{series}.KILL"), "1m").expect("a valid name")
}

/// The difference between a view and what its version must hold.
///
/// # Errors
/// What differs.
pub(crate) fn compare(view: &View, content: &Content) -> Result<(), String> {
    let version = view.version();
    let keys = view.keys();
    let expected = if version == 0 { 0 } else { SERIES };
    if keys.len() != expected {
        return Err(format!("version {version} has {} series", keys.len()));
    }
    for (series, content) in content.iter().enumerate().take(expected) {
        let key = key(series);
        let failed = |error: Error| format!("version {version}, {key}: {error}");
        let rows = view.read(&key).columns(&["close"]).rows().map_err(failed)?;
        let mut found = [None; MINUTES];
        for (time, value) in rows.time().iter().zip(rows.f64("close").unwrap_or_default()) {
            let slot = usize::try_from(time / MINUTE_NS).ok().and_then(|minute| found.get_mut(minute));
            *slot.ok_or_else(|| format!("version {version}, {key}: a row at {time}"))? = Some(*value);
        }
        if found != *content {
            let minute = (0..MINUTES).find(|minute| found[*minute] != content[*minute]).unwrap_or(0);
            return Err(format!(
                "version {version}, {key}, minute {minute}: {:?} found, {:?} expected",
                found[minute], content[minute]
            ));
        }
    }
    Ok(())
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone needs no answer.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// Opens for writing; a store that is not there is created.
fn open_or_create(directory: &Path, background: bool) -> Result<Store, Error> {
    let start = Instant::now();
    loop {
        let opened = match Store::open(directory, options(background)) {
            Err(error) if error.kind() == ErrorClass::NotFound => {
                Store::create(directory, options(background))
            }
            other => other,
        };
        match opened {
            Err(error) if error.kind() == ErrorClass::Locked && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

/// Commits and maintains until killed.
///
/// # Errors
/// Whatever the store refuses: nothing should.
pub(crate) fn write(directory: &Path, seed: u64, chance: u64) -> Result<(), Error> {
    let mut random = Random(chance);
    let store = open_or_create(&directory.join("store"), random.below(2) == 0)?;
    say("open");
    loop {
        let version = store.view().version() + 1;
        let durability =
            [Durability::Volatile, Durability::Appended, Durability::Appended, Durability::Durable];
        let durability = durability[random.below(4) as usize];
        let report = match commit(seed, version) {
            Commit::Rollback(to) => store.rollback(&AsOf::Version(to))?,
            Commit::Write(changes) => {
                let mut transaction = store.begin();
                transaction.source("kill").message(&format!("commit {version}"));
                for change in changes {
                    let key = key(change.series);
                    if version == 1 {
                        transaction.create_series(&key, bars())?;
                    }
                    if let Some((start, end)) = change.deleted {
                        transaction.delete_range(&key, start as i64 * MINUTE_NS..end as i64 * MINUTE_NS)?;
                    }
                    transaction.upsert(&key, batch(&change.rows))?;
                }
                transaction.commit_with(durability)?
            }
        };
        assert_eq!(report.version, version, "versions are numbered without a gap");
        // A rollback is made with the durability of the store, which is the strongest.
        let level =
            if durability == Durability::Volatile && !is_rollback(seed, version) { "weak" } else { "ack" };
        say(&format!("{level} {version}"));
        maintain(&store, directory, version, &mut random)?;
    }
}

fn is_rollback(seed: u64, version: u64) -> bool {
    matches!(commit(seed, version), Commit::Rollback(_))
}

fn batch(rows: &[(usize, f64)]) -> Batch {
    let mut batch = Batch::new(rows.iter().map(|row| row.0 as i64 * MINUTE_NS).collect());
    for column in ["open", "high", "low", "close", "volume"] {
        batch = batch.with(column, Values::F64(rows.iter().map(|row| row.1).collect()));
    }
    batch
}

/// Now and then what is not a commit.
fn maintain(store: &Store, directory: &Path, version: u64, random: &mut Random) -> Result<(), Error> {
    match random.below(24) {
        0 | 1 => {
            store.seal()?;
            say(&format!("ack {version}"));
        }
        2 => drop(store.compact()?),
        3 | 4 => {
            let name = format!("at-{version}");
            store.create_snapshot(&name, None)?;
            say(&format!("snapshot {version}"));
            let versions: Vec<u64> = store.snapshots().iter().map(|snapshot| snapshot.version).collect();
            let oldest = versions.iter().min().copied();
            if let Some(oldest) = oldest.filter(|_| versions.len() as u64 > SNAPSHOTS) {
                say(&format!("dropping {oldest}"));
                store.drop_snapshot(&format!("at-{oldest}"))?;
                say(&format!("dropped {oldest}"));
            }
        }
        5 if version > READABLE => drop(store.prune(&AsOf::Version(version - READABLE))?),
        6 | 7 => {
            let name = format!("backup-{version}-{}", std::process::id());
            store.backup(directory.join(&name))?;
            say(&format!("backup {name} {version}"));
        }
        _ => {}
    }
    Ok(())
}

/// Follows the writer until killed, or until the file `stop` appears; holds views and looks at them again and again.
///
/// # Errors
/// What is wrong with a view, or what the store refuses.
pub(crate) fn read(directory: &Path, seed: u64) -> Result<(), String> {
    let failed = |error: Error| error.to_string();
    let store = Store::open_read_only(directory.join("store"), options(false)).map_err(failed)?;
    let mut history = History::new(seed);
    let mut held: VecDeque<(View, Rc<Content>)> = VecDeque::new();
    let (mut last, mut views) = (0, 0u64);
    while !directory.join("stop").exists() {
        let version = store.refresh().map_err(failed)?;
        if version < last {
            return Err(format!("version {version} after {last}"));
        }
        last = version;
        let view = store.view();
        let content = history.at(view.version());
        compare(&view, &content)?;
        held.push_back((view, content));
        for (view, content) in &held {
            compare(view, content).map_err(|what| format!("a view that is held changed: {what}"))?;
        }
        views += held.len() as u64;
        if held.len() > 4 {
            held.pop_front();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    say(&format!("looked {views}"));
    drop(held);
    store.close().map_err(failed)
}
