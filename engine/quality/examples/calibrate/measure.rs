//! Faults in, findings out.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::ops::Range;

use tapestore::time::{HOUR_NS, MINUTE_NS};
use tapestore::{Options, SeriesKey, Store, schema};
use tapestore_quality::inject::{Columns, Fault, Injected, inject};
use tapestore_quality::{Rule, Rules, Setup, Severity, marks};

use crate::read::Series;

/// Faults of one kind in a series; of whole days as many as fit.
const FAULTS: usize = 60;
const DAYS: usize = 6;
const SEED: u64 = 20_261_121;

/// What was found of what was done, of one kind of fault, over all series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits {
    pub(crate) faults: usize,
    /// Faults that a rule found.
    pub(crate) by_rule: BTreeMap<Rule, usize>,
    /// Faults that any rule found which makes bars unusable or says that they are missing.
    pub(crate) any: usize,
}

/// Bars that a rule marks: over all faulty series, and on the clean ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) told: u64,
    /// Of those, in a fault.
    pub(crate) right: u64,
    /// Not in a fault, but marked on the clean series too.
    pub(crate) before: u64,
    /// Neither, but within an hour after a fault: its traces in windows.
    pub(crate) after: u64,
    pub(crate) clean: u64,
}

/// A threshold tried.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) threshold: &'static str,
    pub(crate) rule: Rule,
    pub(crate) fault: Fault,
    pub(crate) value: f64,
    pub(crate) is_default: bool,
    /// Found and all faults, by size: small, middle, large.
    pub(crate) sizes: [(usize, usize); 3],
    /// Bars marked on the clean series, of 100,000.
    pub(crate) alarms: f64,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) hits: BTreeMap<Fault, Hits>,
    pub(crate) counts: BTreeMap<Rule, Counts>,
    pub(crate) bars: u64,
    pub(crate) tried: Vec<Tried>,
}

struct Bench {
    store: Store,
    key: SeriesKey,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(name: &str, bars: &Columns) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let store = Store::create(directory.path().join("store"), Options::default())?;
        let key = SeriesKey::new(name, "1m")?;
        let mut transaction = store.begin();
        transaction.create_series(&key, schema::bars())?;
        transaction.upsert(&key, bars.batch())?;
        transaction.commit()?;
        Ok(Self { store, key, _directory: directory })
    }

    fn marks(&self, rules: &Rules) -> Result<Marks, Box<dyn Error>> {
        let setup = Setup { rules: rules.clone(), ..Setup::default() };
        Ok(marks(&self.store.view(), &self.key, &setup)?)
    }
}

/// Bars that are missing or break a rule: open times and bits of rules.
type Marks = Vec<(i64, u32)>;

fn bit(rule: Rule) -> u32 {
    1 << rule as u8
}

/// A return is that of the bar after a fault as well.
fn touched(fault: &Injected) -> Range<i64> {
    fault.range.start..fault.range.end + MINUTE_NS
}

/// Which faults a rule found: marked a bar of them that it does not mark on the clean series.
fn found_by(rule: Rule, found: &Marks, clean: &HashMap<i64, u32>, faults: &[Injected]) -> Vec<bool> {
    let new = |mark: &&(i64, u32)| {
        mark.1 & bit(rule) != 0 && clean.get(&mark.0).is_none_or(|bits| bits & bit(rule) == 0)
    };
    let times: Vec<i64> = found.iter().filter(new).map(|mark| mark.0).collect();
    let any = |fault: &Injected| {
        let range = touched(fault);
        let first = times.partition_point(|time| *time < range.start);
        times.get(first).is_some_and(|time| *time < range.end)
    };
    faults.iter().map(any).collect()
}

pub(crate) fn all(series: &[Series]) -> Result<Measured, Box<dyn Error>> {
    let mut out = Measured::default();
    let mut clean = Vec::new();
    for one in series {
        let bench = Bench::new(one.name, &one.bars)?;
        let found = bench.marks(&Rules::default())?;
        out.bars += one.bars.time.len() as u64;
        for rule in Rule::ALL {
            let count = found.iter().filter(|mark| mark.1 & bit(*rule) != 0).count() as u64;
            if count > 0 {
                out.counts.entry(*rule).or_default().clean += count;
            }
        }
        clean.push((bench, found.into_iter().collect::<HashMap<i64, u32>>()));
    }
    for fault in Fault::ALL {
        for (one, (_, clean)) in series.iter().zip(&clean) {
            let count = if fault.is_of_days() { DAYS } else { FAULTS };
            let (faulty, done) = inject(&one.bars, MINUTE_NS, fault, count, SEED);
            let found = Bench::new(one.name, &faulty)?.marks(&Rules::default())?;
            tally(&mut out, fault, &done, &found, clean);
        }
    }
    thresholds(series, &clean, &mut out)?;
    Ok(out)
}

fn tally(out: &mut Measured, fault: Fault, done: &[Injected], found: &Marks, clean: &HashMap<i64, u32>) {
    let hits = out.hits.entry(fault).or_default();
    hits.faults += done.len();
    let mut any = vec![false; done.len()];
    for rule in Rule::ALL {
        let hit = found_by(*rule, found, clean, done);
        let count = hit.iter().filter(|hit| **hit).count();
        if count > 0 {
            *hits.by_rule.entry(*rule).or_default() += count;
        }
        if rule.severity() == Severity::High || *rule == Rule::Missing {
            any.iter_mut().zip(&hit).for_each(|(any, hit)| *any |= hit);
        }
    }
    hits.any += any.iter().filter(|any| **any).count();
    for (time, bits) in found {
        let before = clean.get(time).copied().unwrap_or(0);
        let right = done.iter().any(|fault| touched(fault).contains(time));
        let after =
            done.iter().any(|fault| (fault.range.end..fault.range.end + HOUR_NS + MINUTE_NS).contains(time));
        for rule in Rule::ALL.iter().filter(|rule| bits & bit(**rule) != 0) {
            let counts = out.counts.entry(*rule).or_default();
            counts.told += 1;
            match (right, before & bit(*rule) != 0) {
                (true, _) => counts.right += 1,
                (false, true) => counts.before += 1,
                (false, false) => counts.after += u64::from(after),
            }
        }
    }
}

/// A threshold of the rules: its name, the rule, the fault that it is for, values, how it is set.
type Threshold = (&'static str, Rule, Fault, &'static [f64], fn(&mut Rules, f64), fn(&Rules) -> f64);

const THRESHOLDS: [Threshold; 6] = [
    (
        "soft",
        Rule::Outlier,
        Fault::Spike,
        &[4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 24.0],
        |r, k| r.soft = k,
        |r| r.soft,
    ),
    (
        "hard",
        Rule::Spike,
        Fault::Spike,
        &[8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0],
        |r, k| r.hard = k,
        |r| r.hard,
    ),
    (
        "stale",
        Rule::Stale,
        Fault::Stale,
        &[2.0, 3.0, 4.0, 5.0, 8.0, 12.0],
        |r, k| r.stale = k as usize,
        |r| r.stale as f64,
    ),
    (
        "reversion",
        Rule::Spike,
        Fault::Spike,
        &[0.1, 0.15, 0.25, 0.35, 0.5],
        |r, k| r.reversion = k,
        |r| r.reversion,
    ),
    (
        "activity",
        Rule::Activity,
        Fault::Volume,
        &[3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0],
        |r, k| r.activity = k,
        |r| r.activity,
    ),
    (
        "activity_floor",
        Rule::Activity,
        Fault::Volume,
        &[0.01, 0.05, 0.1, 0.2, 0.4],
        |r, k| r.activity_floor = k,
        |r| r.activity_floor,
    ),
];

/// In which class of size a fault is.
pub(crate) fn class(fault: Fault, size: f64) -> usize {
    let bounds = match fault {
        Fault::Spike => [0.01, 0.05],
        Fault::Volume => [1.0, 100.0],
        _ => [5.0, 20.0],
    };
    bounds.iter().filter(|bound| size >= **bound).count()
}

fn thresholds(
    series: &[Series],
    clean: &[(Bench, HashMap<i64, u32>)],
    out: &mut Measured,
) -> Result<(), Box<dyn Error>> {
    for fault in [Fault::Spike, Fault::Stale, Fault::Volume] {
        let mut benches = Vec::new();
        for one in series {
            let (faulty, done) = inject(&one.bars, MINUTE_NS, fault, FAULTS, SEED);
            benches.push((Bench::new(one.name, &faulty)?, done));
        }
        for (threshold, rule, _, values, set, get) in THRESHOLDS.into_iter().filter(|one| one.2 == fault) {
            for value in values {
                let mut rules = Rules::default();
                let is_default = get(&rules) == *value;
                set(&mut rules, *value);
                let (mut sizes, mut marked) = ([(0, 0); 3], 0);
                for ((bench, done), (clean, _)) in benches.iter().zip(clean) {
                    let alarms = clean.marks(&rules)?;
                    marked += alarms.iter().filter(|mark| mark.1 & bit(rule) != 0).count() as u64;
                    let hit = found_by(rule, &bench.marks(&rules)?, &alarms.into_iter().collect(), done);
                    for (fault_done, hit) in done.iter().zip(hit) {
                        let size = &mut sizes[class(fault, fault_done.size)];
                        size.0 += usize::from(hit);
                        size.1 += 1;
                    }
                }
                let alarms = marked as f64 / out.bars as f64 * 1e5;
                out.tried.push(Tried { threshold, rule, fault, value: *value, is_default, sizes, alarms });
            }
        }
    }
    Ok(())
}
