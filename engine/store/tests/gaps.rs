//! The gap index against sets of slots: what is listed, and what is only counted, at every version.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::slice::from_ref;
use std::sync::Arc;

use common::{MINUTE, key, options, write};
use tapestore::io::MemoryStorage;
use tapestore::{AsOf, Batch, Completeness, Gap, Run, Store, Values, View, schema};

/// Times are counted in halves of a minute: odd ones stand off the grid.
const HALF: i64 = MINUTE / 2;

/// What is there at one version.
#[derive(Clone, Default)]
struct Truth {
    rows: BTreeSet<i64>,
    absent: BTreeSet<i64>,
}

impl Truth {
    fn covered(&self) -> BTreeSet<i64> {
        self.rows.iter().map(|half| half.div_euclid(2)).collect()
    }

    /// From the first bar to the last.
    fn whole(&self) -> Range<i64> {
        let covered = self.covered();
        covered.first().map_or(0..0, |first| *first..covered.last().expect("as there is a first") + 1)
    }

    fn completeness(&self, slots: &[Range<i64>]) -> Completeness {
        let covered = self.covered();
        let mut out = Completeness::default();
        for slot in slots.iter().cloned().flatten() {
            out.expected += 1;
            match (covered.contains(&slot), self.absent.contains(&(2 * slot))) {
                (true, _) => out.present += 1,
                (false, true) => out.absent += 1,
                (false, false) => out.missing += 1,
            }
        }
        out
    }

    fn gaps(&self, slots: &[Range<i64>]) -> Vec<Gap> {
        let covered = self.covered();
        let missing = slots.iter().cloned().flatten();
        let missing = missing.filter(|slot| !covered.contains(slot) && !self.absent.contains(&(2 * slot)));
        let mut out: Vec<Gap> = Vec::new();
        for slot in missing {
            match out.last_mut() {
                Some(last) if last.end == slot * MINUTE => {
                    (last.end, last.missing) = (last.end + MINUTE, last.missing + 1);
                }
                _ => out.push(Gap { start: slot * MINUTE, end: (slot + 1) * MINUTE, missing: 1 }),
            }
        }
        out
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as i64
    }

    fn range(&mut self, bound: i64) -> Range<i64> {
        let start = self.below(bound) - 3;
        start..start + 1 + self.below(bound / 3)
    }
}

fn times(halves: &Range<i64>) -> Range<i64> {
    halves.start * HALF..halves.end * HALF
}

/// The slots that begin in a range of halves.
fn begun(halves: &Range<i64>) -> Range<i64> {
    let ceil = |half: i64| half.div_euclid(2) + half.rem_euclid(2);
    ceil(halves.start)..ceil(halves.end).max(ceil(halves.start))
}

fn batch(halves: &[i64]) -> Batch {
    let column = || Values::F64(halves.iter().map(|half| *half as f64).collect());
    let batch = Batch::new(halves.iter().map(|half| half * HALF).collect());
    ["open", "high", "low", "close", "volume"].iter().fold(batch, |batch, name| batch.with(name, column()))
}

/// Does something to a store and to what is known of it.
fn change(store: &Store, truth: &mut Truth, random: &mut Random, bound: i64, on_grid: bool) -> u64 {
    let mut transaction = store.begin();
    transaction.create_series(&key("A"), schema::bars()).unwrap();
    let range = random.range(bound);
    match random.below(6) {
        0 => {
            transaction.delete_range(&key("A"), times(&range)).unwrap();
            truth.rows.retain(|half| !range.contains(half));
        }
        1 => {
            transaction.confirm_absent(&key("A"), times(&range)).unwrap();
            truth.absent.extend(range);
        }
        2 => {
            transaction.withdraw_absence(&key("A"), times(&range)).unwrap();
            truth.absent.retain(|half| !range.contains(half));
        }
        kind => {
            // Some lay over what is there, some go on behind it.
            let last = truth.rows.last().map_or(0, |last| last + 1);
            let range = if kind == 3 { last..last + 1 + random.below(bound / 2) } else { range };
            let step = if on_grid { 2 } else { 1 };
            let halves: Vec<i64> = range.filter(|half| half % step == 0 && random.below(3) > 0).collect();
            if !halves.is_empty() {
                transaction.upsert(&key("A"), batch(&halves)).unwrap();
            }
            truth.rows.extend(halves);
        }
    }
    transaction.commit().unwrap().version
}

/// Compares every answer about gaps with the truth; the missing bars that were counted.
fn check(view: &View, truth: &Truth, random: &mut Random, bound: i64, told: &str) -> u64 {
    let key = key("A");
    let whole = truth.whole();
    assert_eq!(view.gaps(&key, None).unwrap(), truth.gaps(from_ref(&whole)), "{told}");
    let all = view.completeness(&key, None).unwrap();
    assert_eq!(all, truth.completeness(&[whole]), "{told}");

    let range = random.range(bound);
    let (slots, asked) = (begun(&range), Some(times(&range)));
    let told = format!("{told}, halves {range:?}");
    assert_eq!(view.gaps(&key, asked.clone()).unwrap(), truth.gaps(from_ref(&slots)), "{told}");
    let some = view.completeness(&key, asked.clone()).unwrap();
    assert_eq!(some, truth.completeness(from_ref(&slots)), "{told}");
    let mut runs: Vec<Run> = Vec::new();
    for slot in truth.covered().range(slots) {
        match runs.last_mut() {
            Some(last) if last.end == *slot => last.end += 1,
            _ => runs.push(Run { start: *slot, end: slot + 1 }),
        }
    }
    assert_eq!(view.coverage(&key, asked).unwrap(), runs, "{told}");

    let mut at = -5;
    let mut sessions = Vec::new();
    while at < bound {
        let session = at..at + random.below(9);
        at = session.end + random.below(20) * random.below(2);
        sessions.push(session);
    }
    let slots: Vec<Range<i64>> = sessions.iter().map(begun).collect();
    let sessions: Vec<Range<i64>> = sessions.iter().map(times).collect();
    assert_eq!(view.gaps_in_sessions(&key, &sessions).unwrap(), truth.gaps(&slots), "{told}, sessions");
    let inside = view.completeness_in_sessions(&key, &sessions).unwrap();
    assert_eq!(inside, truth.completeness(&slots), "{told}, sessions");
    all.missing + some.missing + inside.missing
}

/// Corrections, deletions and absences, in memory, sealed and compacted, on the grid and off it, at every version.
#[test]
fn what_is_counted_is_what_is_listed_and_what_is_true() {
    let mut missing = 0;
    for seed in 0..120 {
        let mut random = Random(seed);
        // Some have so many gaps that they take several blocks of runs.
        let bound = if seed % 8 == 0 { 9000 } else { 120 };
        let on_grid = seed % 4 != 1;
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
        let mut truth = Truth::default();
        let mut versions = BTreeMap::new();
        for step in 0..if bound > 1000 { 8 } else { 14 } {
            let version = change(&store, &mut truth, &mut random, bound, on_grid);
            versions.insert(version, truth.clone());
            match random.below(5) {
                0 => drop(store.seal().unwrap()),
                1 => {
                    store.seal().unwrap();
                    store.compact().unwrap();
                }
                _ => {}
            }
            missing += check(&store.view(), &truth, &mut random, bound, &format!("seed {seed}, step {step}"));
        }
        for (version, truth) in versions {
            let view = store.as_of(&AsOf::Version(version)).unwrap();
            missing += check(&view, &truth, &mut random, bound, &format!("seed {seed}, version {version}"));
        }
    }
    println!("{missing} missing bars counted");
    assert!(missing > 100_000, "there was something to count");
}

/// A session that ends before it begins holds no bar; it once hid that others overlap.
#[test]
fn sessions_out_of_order_are_refused_whatever_stands_between() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options()).unwrap();
    write(&store, "A", &[0, 20], 1.0);
    let view = store.view();
    let minutes = |start: i64, end: i64| start * MINUTE..end * MINUTE;
    let inverted = [minutes(0, 4), minutes(9, 6), minutes(12, 14)];
    assert_eq!(view.completeness_in_sessions(&key("A"), &inverted).unwrap().missing, 5);
    let overlapping = [minutes(0, 10), minutes(12, 3), minutes(4, 6)];
    for error in [
        view.gaps_in_sessions(&key("A"), &overlapping).unwrap_err(),
        view.completeness_in_sessions(&key("A"), &overlapping).unwrap_err(),
    ] {
        assert!(error.to_string().contains("sessions 1 and 2 overlap or are not in order"), "{error}");
    }
}

/// Where nothing overlaps and nothing is absent, counts suffice: runs between the first and the last bar are not even
/// looked at, and damage to them is named only to who asks for them.
#[test]
fn a_whole_series_is_counted_without_its_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::create(&path, options()).unwrap();
    let mut random = Random(7);
    let minutes: Vec<i64> = (0..9000).filter(|minute| *minute == 0 || random.below(3) > 0).collect();
    write(&store, "A", &minutes, 1.0);
    store.seal().unwrap();
    store.compact().unwrap();
    write(&store, "A", &[9002, 9003], 1.0);
    store.close().unwrap();

    // Runs stand between the index of their part and the table of parts, which the footer names.
    let segment = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.max_by_key(|path| path.to_string_lossy().contains("segment-")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let index = bytes.windows(4).rposition(|magic| magic == b"TIDX").unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (runs, table) = (index + word(index + 4), word(bytes.len() - 56));
    assert!(table - runs > 1000, "three blocks of runs");
    bytes[runs.midpoint(table)] ^= 1;
    std::fs::write(&segment, bytes).unwrap();

    let store = Store::open(&path, options()).unwrap();
    let found = store.view().completeness(&key("A"), None).unwrap();
    let present = minutes.len() as u64 + 2;
    assert_eq!(found, Completeness { expected: 9004, present, absent: 0, missing: 9004 - present });
    let error = store.view().gaps(&key("A"), None).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}
