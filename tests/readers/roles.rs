//! What the child processes do, and how they know a whole version when they see one.
//!
//! Commit number `v` makes version `v` of the store. In every series it rewrites the bar at minute 0 and writes one
//! bar of the ring of minutes 1 to 500, the next in turn, both with the value `v`. So it is known of every version
//! which bars it has and what they say, the same in all series. Anything else is a mix of versions.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use tapestore::schema::bars;
use tapestore::{Batch, Error, ErrorClass, Options, SeriesKey, Store, Values, View};

/// Series that every commit writes to.
pub(crate) const SERIES: usize = 24;

/// Bars behind the first one.
const RING: u64 = 500;

const MINUTE_NS: i64 = 60_000_000_000;

/// How long to wait for the other side.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Budgets that make the writer seal and compact several times a second.
pub(crate) fn options() -> Options {
    Options { memtable_bytes: 60_000, own_segment_bytes: 4_000, young_segments: 3, ..Options::default() }
}

pub(crate) fn keys() -> Vec<SeriesKey> {
    (0..SERIES).map(|n| SeriesKey::new(&format!("S{n:02}.TEST"), "1m").expect("a valid name")).collect()
}

/// Bars at these minutes that all say `value`.
fn says(minutes: &[i64], value: f64) -> Batch {
    let mut batch = Batch::new(minutes.iter().map(|minute| minute * MINUTE_NS).collect());
    for column in ["open", "high", "low", "close", "volume"] {
        batch = batch.with(column, Values::F64(vec![value; minutes.len()]));
    }
    batch
}

/// Makes the next version.
pub(crate) fn commit_next(store: &Store) -> Result<u64, Error> {
    let next = store.view().version() + 1;
    let turn = 1 + (next - 1) % RING;
    let mut transaction = store.begin();
    transaction.source("writer").message(&format!("commit {next}"));
    for key in keys() {
        transaction.create_series(&key, bars())?;
        transaction.upsert(&key, says(&[0, turn as i64], next as f64))?;
    }
    Ok(transaction.commit()?.version)
}

/// What the bars of a version say, by minute.
fn expected(version: u64) -> Vec<f64> {
    // The newest commit up to `version` whose turn it was.
    let writer = |minute: u64| version - (version - minute) % RING;
    let ring = (1..=version.min(RING)).map(|minute| writer(minute) as f64);
    std::iter::once(version as f64).chain(ring).collect()
}

/// Panics unless the view shows exactly its version in every series.
pub(crate) fn check_whole(view: &View) {
    let version = view.version();
    if version == 0 {
        assert!(view.keys().is_empty(), "the empty version has series");
        return;
    }
    let keys = keys();
    assert_eq!(view.keys(), keys, "series of version {version}");
    let want = expected(version);
    let minutes: Vec<i64> = (0..want.len() as i64).map(|minute| minute * MINUTE_NS).collect();
    let all = view.read_many(&keys, i64::MIN..i64::MAX, &["close"]);
    for (key, rows) in keys.iter().zip(all) {
        let rows = rows.unwrap_or_else(|error| panic!("{key} at version {version}: {error}"));
        assert_eq!(rows.time(), minutes, "{key} at version {version}");
        assert_eq!(rows.f64("close"), Some(&want[..]), "{key} at version {version}");
        let latest = view.latest(key).expect("latest").expect("there are rows");
        assert_eq!(
            latest.f64("close"),
            want.last().map(std::slice::from_ref),
            "latest of {key} at {version}"
        );
        let gaps = view.gaps(key, None).expect("gaps");
        assert!(gaps.is_empty(), "{key} at version {version}: {gaps:?}");
    }
}

/// Commits until the stop file appears; acknowledges each version on standard output.
pub(crate) fn write(store: &Path, stop: &Path) {
    let store = open_when_free(store);
    let mut out = std::io::stdout();
    while !stop.exists() {
        let version = commit_next(&store).expect("commit");
        // The line goes out in one write: the parent sees all of it or nothing.
        out.write_all(format!("ack {version}\n").as_bytes()).expect("the parent reads");
        out.flush().expect("the parent reads");
        if version.is_multiple_of(50) {
            store.compact().expect("compact");
        }
    }
    store.close().expect("close");
}

/// Opens for writing, waiting for the lock of a process that is just going.
pub(crate) fn open_when_free(store: &Path) -> Store {
    let start = Instant::now();
    loop {
        match Store::open(store, options()) {
            Ok(store) => return store,
            Err(error) if error.kind() == ErrorClass::Locked && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("open: {error}"),
        }
    }
}

/// Follows the writer until the stop file appears, then tells how many versions it saw and which was the last.
pub(crate) fn read(store: &Path, stop: &Path) {
    let store =
        Store::open_read_only(store, Options { cache_bytes: 1 << 16, ..options() }).expect("open_read_only");
    let mut held: VecDeque<View> = VecDeque::new();
    let (mut last, mut seen, mut checked_again) = (0, 0u64, 0u64);
    loop {
        // Looked at before the refresh: what was acknowledged before the stop must be seen after it.
        let ending = stop.exists();
        let version = store.refresh().expect("refresh");
        assert!(version >= last, "version {version} after {last}");
        seen += u64::from(version > last);
        last = version;
        let view = store.view();
        assert_eq!(view.version(), version, "the view after a refresh");
        check_whole(&view);
        held.push_back(view);
        // A view held while the writer seals and compacts away the files beneath it still reads.
        while held.len() > 8 || (ending && !held.is_empty()) {
            check_whole(&held.pop_front().expect("not empty"));
            checked_again += 1;
        }
        if ending {
            break;
        }
    }
    println!("saw {seen} versions up to {last}, {checked_again} views checked again");
    store.close().expect("close");
}

#[test]
fn each_version_is_told_apart() {
    assert_eq!(expected(3), [3.0, 1.0, 2.0, 3.0]);
    let later = expected(RING + 2);
    assert_eq!((later.len() as u64, &later[..4]), (RING + 1, &[502.0, 501.0, 502.0, 3.0][..]));
}
