//! Retention: rows that are older than a policy keeps them are deleted, after what is to stay of them was made: coarser
//! bars, rolled up into derived series.
//!
//! A policy never deletes by itself. [`plan`] shows which rows of which series would go and which bars would be made;
//! [`apply`] does it. What is deleted stays readable in older versions and snapshots: space is freed when those are
//! given up ([`tapestore::Store::prune`]).
//!
//! # Invariants
//! - K1. Rows are deleted only in a commit before which every series derived from them is up to date, durably; it is
//!   refused if anyone writes the series meanwhile.
//! - K2. The commit that deletes rows also notes, for every series derived from them, up to where its bars stay as they
//!   are: no later update takes the deletion for a change of the source.
//! - K3. Only whole bars lose their rows: the bar that is being made when rows grow too old has all of its rows.
//! - K4. Age counts from the newest row of the series, and never from a time in the future: neither a clock that jumps
//!   nor a series that ended makes everything old.

use std::collections::HashMap;
use std::ops::Range;

use tapestore::time::Timeframe;
use tapestore::{AsOf, Durability, Error, Operation, Result, SeriesKey, Store, View};

use crate::bucket::Rule;
use crate::derive::{self, Derivation, again, derivations, derive, derived_key, now_ns, restart, rule_text};
use crate::resample::{Resampler, check_coarser};

/// How long the rows of a series are kept, and what is made of them before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Rows older than this, in nanoseconds before the newest row of the series, go; `None`: never.
    pub keep_ns: Option<i64>,
    /// Timeframes of bars to make of them, each of the next finer one that divides it. They are series of their own,
    /// with policies of their own.
    pub rollup: Vec<Timeframe>,
}

/// Which policy a series has, if any.
pub type PolicyOf<'a> = &'a dyn Fn(&SeriesKey) -> Option<Policy>;

/// What [`apply`] would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The version that was looked at.
    pub version: u64,
    /// Every series that has a policy and rows, by name.
    pub series: Vec<SeriesPlan>,
}

/// What [`apply`] would do to one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesPlan {
    /// The series.
    pub key: SeriesKey,
    /// Its policy.
    pub policy: Policy,
    /// The rows in this range go.
    pub range: Range<i64>,
    /// How many they are.
    pub rows: u64,
    /// Times of the first and the last of them.
    pub span: Option<(i64, i64)>,
    /// What is made of the series, finer bars first.
    pub rollups: Vec<Rollup>,
    /// Rows before the range: they came after the bars of their time were made and their neighbours deleted, are in no
    /// bar, and stay unless [`apply`] is told otherwise.
    pub late_rows: u64,
    /// Snapshots that show rows that go: they stay readable there, and take space until the snapshot is dropped.
    pub snapshots: Vec<String>,
    /// Why nothing is deleted.
    pub blocked: Option<String>,
}

/// A series that is rolled up into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// The series of bars.
    pub target: SeriesKey,
    /// Of what it is made: the series itself, or a finer roll-up.
    pub source: SeriesKey,
    /// Bars that are there.
    pub bars: u64,
    /// Bars that are missing and would be made.
    pub missing: u64,
}

/// What [`apply`] did to one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What was to be done; the numbers are those of the moment at which it was.
    pub plan: SeriesPlan,
    /// Bars that were written into series derived from it.
    pub bars_written: u64,
    /// Rows that were deleted.
    pub rows_deleted: u64,
    /// The version of the store after it.
    pub version: u64,
}

/// What would be done at a time, nanoseconds since the Unix epoch, UTC. Changes nothing.
///
/// # Errors
/// Damage. What stands in the way of a single series is told in its plan.
pub fn plan(store: &Store, of: PolicyOf<'_>, now_ns: i64) -> Result<Plan> {
    let view = store.view();
    let known = derivations(&view)?;
    let mut series = Vec::new();
    for key in view.keys().into_iter().filter(|key| !key.is_own()) {
        if let Some(policy) = of(&key) {
            series.extend(Subject { store, view: &view, known: &known, key, policy, now_ns }.plan()?);
        }
    }
    Ok(Plan { version: view.version(), series })
}

/// Makes the bars and deletes the rows of every series that has a policy, one series after another; `late`: also the
/// rows that came too late to be in a bar. Series that stand in their own way are left alone, and say why.
///
/// # Errors
/// As [`Store::begin`]'s commits; what was done before stays done, and doing it again goes on from there.
pub fn apply(store: &Store, of: PolicyOf<'_>, now_ns: i64, late: bool) -> Result<Vec<Applied>> {
    let mut out = Vec::new();
    for key in store.view().keys().into_iter().filter(|key| !key.is_own()) {
        if let Some(policy) = of(&key) {
            out.extend(again(|| apply_one(store, &key, &policy, now_ns, late))?);
        }
    }
    Ok(out)
}

fn apply_one(
    store: &Store,
    key: &SeriesKey,
    policy: &Policy,
    now: i64,
    late: bool,
) -> Result<Option<Applied>> {
    let subject = |view: &View, known: &[Derivation]| {
        let (key, policy) = (key.clone(), policy.clone());
        Subject { store, view, known, key, policy, now_ns: now }.plan()
    };
    let view = store.view();
    let known = derivations(&view)?;
    let Some(first) = subject(&view, &known)? else { return Ok(None) };
    let mut applied = Applied { bars_written: 0, rows_deleted: 0, version: view.version(), plan: first };
    if applied.plan.blocked.is_some() {
        return Ok(Some(applied));
    }
    // K1.
    for rollup in &applied.plan.rollups {
        if let Some(rule) = plain_rule(&known, &rollup.target) {
            applied.bars_written += derive(store, &rollup.source, rule, None)?.bars_written();
        }
    }
    for made in known.iter().filter(|made| made.source == *key) {
        if let Some(rule) = plain_rule(&known, &made.target) {
            applied.bars_written += derive(store, key, rule, None)?.bars_written();
        }
    }
    let view = store.view();
    let known = derivations(&view)?;
    let Some(plan) = subject(&view, &known)? else { return Ok(Some(applied)) };
    let (blocked, rows) = (plan.blocked.is_some(), plan.rows + if late { plan.late_rows } else { 0 });
    let range = if late { i64::MIN..plan.range.end } else { plan.range.clone() };
    for made in known.iter().filter(|made| made.source == *key) {
        if is_stale(&view, made, plan.range.end)? {
            let reason = format!("it is being written, and {} cannot keep up; try again", made.target);
            return Err(Error::Rejected { series: key.to_string(), row: None, reason });
        }
    }
    applied.plan = plan;
    applied.version = view.version();
    if blocked || rows == 0 {
        return Ok(Some(applied));
    }
    let operation = Operation::begin(now_ns(), "retain", &key.to_string());
    let mut transaction = store.begin();
    transaction.message(&format!("retention: {rows} rows of {key}"));
    transaction.expect_unchanged(key, view.version()).expect_unchanged(&derive::table()?, view.version());
    for made in known.iter().filter(|made| made.source == *key) {
        let Some(end) = stays_before(&view, &known, made, range.end)? else { continue };
        let kept_before_ns = Some(end.max(made.floor()));
        derive::note(&mut transaction, &view, &Derivation { kept_before_ns, ..made.clone() })?;
    }
    transaction.delete_range(key, range)?;
    transaction.note(&operation.done(now_ns(), &format!("{rows} rows deleted")))?;
    let report = transaction.commit_with(Durability::Durable)?;
    (applied.rows_deleted, applied.version) = (report.deleted, report.version);
    Ok(Some(applied))
}

/// The rule of a derived series, if its sessions need not be known to make it.
fn plain_rule(known: &[Derivation], target: &SeriesKey) -> Option<Rule> {
    let frame = target.frame().to_string();
    let size = |prefix: &str| frame.strip_prefix(prefix).and_then(|size| size.parse::<f64>().ok());
    let rule = match target.frame().timeframe() {
        Some(timeframe) => Rule::Time(timeframe),
        None => frame
            .strip_prefix("ticks-")
            .and_then(|count| count.parse().ok())
            .map(Rule::Ticks)
            .or_else(|| size("volume-").map(Rule::Volume))
            .or_else(|| size("amount-").map(Rule::Dollars))?,
    };
    let made = known.iter().find(|made| made.target == *target);
    made.is_none_or(|made| made.rule == rule_text(rule, None)).then_some(rule)
}

/// Whether rows before `cutoff` changed since a series was made of them.
fn is_stale(view: &View, made: &Derivation, cutoff: i64) -> Result<bool> {
    let changes = view.changes_since(&made.source, made.source_version, 0)?;
    let floor = made.floor();
    Ok(changes.is_none_or(|changes| changes.iter().any(|change| change.start < cutoff && change.end > floor)))
}

/// Before when the bars of a derived series stay as they are if the rows of its source before `cutoff` go. `None` if too
/// few bars are there to know.
fn stays_before(view: &View, known: &[Derivation], made: &Derivation, cutoff: i64) -> Result<Option<i64>> {
    if plain_rule(known, &made.target).is_some() {
        return Ok(Some(cutoff));
    }
    // A bar of sessions may have rows before the time that it bears, but none before that of the bar before.
    let later = view.read(&made.target).columns(&[]).range(cutoff.saturating_add(1)..i64::MAX).first(2)?;
    Ok(later.time().get(1).copied())
}

/// One series, looked at.
struct Subject<'a> {
    store: &'a Store,
    view: &'a View,
    known: &'a [Derivation],
    key: SeriesKey,
    policy: Policy,
    now_ns: i64,
}

impl Subject<'_> {
    fn plan(self) -> Result<Option<SeriesPlan>> {
        let Some(newest) = self.view.latest_row(&self.key)?.map(|row| row.time_ns()) else { return Ok(None) };
        let links = self.links();
        let mut blocked = links.as_ref().err().map(ToString::to_string);
        let links = links.unwrap_or_default();
        let rollups = self.rollups(&links)?;
        let floor = self.direct().map(Derivation::floor).max().unwrap_or(i64::MIN);
        // K4.
        let mut cutoff = match self.policy.keep_ns {
            Some(keep) => newest.min(self.now_ns).saturating_sub(keep.max(0)),
            None => i64::MIN,
        };
        if cutoff > floor && blocked.is_none() {
            cutoff = self.whole_bars(cutoff, &links)?;
            blocked = self.in_the_way(cutoff)?;
        }
        let range = floor..if blocked.is_none() { cutoff.max(floor) } else { floor };
        let end = |last: bool| -> Result<Option<i64>> {
            let read = self.view.read(&self.key).columns(&[]).range(range.clone());
            Ok(if last { read.last(1)? } else { read.first(1)? }.time().first().copied())
        };
        let rows = if range.is_empty() { 0 } else { self.view.count(&self.key, range.clone())? };
        let span = if rows == 0 { None } else { end(false)?.zip(end(true)?) };
        let late_rows = self.view.count(&self.key, i64::MIN..floor)?;
        let snapshots = if rows == 0 { Vec::new() } else { self.holding(&range)? };
        let Self { key, policy, .. } = self;
        Ok(Some(SeriesPlan { key, policy, range, rows, span, rollups, late_rows, snapshots, blocked }))
    }

    /// The series that are made of this one.
    fn direct(&self) -> impl Iterator<Item = &Derivation> {
        self.known.iter().filter(|made| made.source == self.key)
    }

    /// What is rolled up, and of what: a chain from fine to coarse, as far as one divides the next.
    fn links(&self) -> Result<Vec<(SeriesKey, Timeframe, SeriesKey)>> {
        let mut frames = self.policy.rollup.clone();
        frames.sort_unstable_by_key(|frame| frame.slot_start(frame.slot(0) + 1));
        frames.dedup();
        let mut links: Vec<(SeriesKey, Timeframe, SeriesKey)> = Vec::new();
        for frame in frames {
            let target = derived_key(&self.key, Rule::Time(frame))?;
            let made = self.known.iter().find(|made| made.target == target);
            let finer = links.iter().rev().find(|link| check_coarser(link.1, frame).is_ok());
            let source = match made {
                Some(made) => {
                    let ours = made.source == self.key || links.iter().any(|link| link.2 == made.source);
                    if !ours {
                        let text = format!("{target} is derived from {}, not from {}", made.source, self.key);
                        return Err(Error::Usage(text));
                    }
                    made.source.clone()
                }
                None if self.view.schema(&target).is_ok() => {
                    let text = format!("{target} exists and is no roll-up; drop it, or roll up into others");
                    return Err(Error::Usage(text));
                }
                None => finer.map_or_else(|| self.key.clone(), |link| link.2.clone()),
            };
            if source == self.key {
                let schema = self.view.schema(&self.key)?;
                Resampler::new(self.key.frame(), &schema, Rule::Time(frame), None)?;
            }
            links.push((source, frame, target));
        }
        Ok(links)
    }

    /// Counts the bars that are there, and those that would be made, by their times alone.
    fn rollups(&self, links: &[(SeriesKey, Timeframe, SeriesKey)]) -> Result<Vec<Rollup>> {
        let mut times: HashMap<SeriesKey, Vec<i64>> = HashMap::new();
        let mut out = Vec::new();
        for (source, frame, target) in links {
            let made = self.known.iter().find(|made| made.target == *target);
            let there = match self.view.schema(target) {
                Ok(_) => self.view.read(target).columns(&[]).rows()?.set.time,
                Err(_) => Vec::new(),
            };
            let bars = there.len() as u64;
            let mut all = there;
            if plain_rule(self.known, target).is_some() {
                let from = made.map_or(i64::MIN, Derivation::floor);
                let finer = match times.get(source) {
                    Some(times) => times.clone(),
                    None => self.view.read(source).columns(&[]).rows()?.set.time,
                };
                let step = source.frame().timeframe();
                let fresh = finished(&finer[finer.partition_point(|time| *time < from)..], step, *frame);
                all.extend(fresh);
                all.sort_unstable();
                all.dedup();
            }
            let missing = all.len() as u64 - bars;
            times.insert(target.clone(), all);
            out.push(Rollup { target: target.clone(), source: source.clone(), bars, missing });
        }
        Ok(out)
    }

    /// The last time up to `cutoff` that is the start of a bar in every series made of this one (K3).
    fn whole_bars(&self, cutoff: i64, links: &[(SeriesKey, Timeframe, SeriesKey)]) -> Result<i64> {
        let rolled = links.iter().filter(|link| link.0 == self.key).map(|link| &link.2);
        let targets: Vec<&SeriesKey> = rolled.chain(self.direct().map(|made| &made.target)).collect();
        let mut cut = cutoff;
        loop {
            let before = cut;
            for target in &targets {
                match plain_rule(self.known, target) {
                    Some(Rule::Time(frame)) => cut = frame.slot_start(frame.slot(cut)),
                    Some(_) => match restart(self.view, target, cut)? {
                        Some((_, start)) => cut = start,
                        None => return Ok(i64::MIN),
                    },
                    None => {}
                }
            }
            if cut == before {
                return Ok(cut);
            }
        }
    }

    /// A series that cannot be brought up to date from here, and is not.
    fn in_the_way(&self, cutoff: i64) -> Result<Option<String>> {
        for made in self.direct().filter(|made| plain_rule(self.known, &made.target).is_none()) {
            let target = &made.target;
            if is_stale(self.view, made, cutoff)? {
                return Ok(Some(format!(
                    "{target}, made in sessions, is not up to date; bring it up to date first: tape resample --save"
                )));
            }
            if stays_before(self.view, self.known, made, cutoff)?.is_none() {
                return Ok(Some(format!(
                    "{target}, made in sessions, has too few bars behind what would go"
                )));
            }
        }
        Ok(None)
    }

    fn holding(&self, range: &Range<i64>) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for snapshot in self.store.snapshots() {
            let then = self.store.as_of(&AsOf::Version(snapshot.version))?;
            match then.count(&self.key, range.clone()) {
                Ok(0) | Err(Error::NotFound(_)) => {}
                Ok(_) => names.push(snapshot.name),
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }
}

/// The bars that rows at these times make, without the last one if it is not finished.
fn finished(times: &[i64], step: Option<Timeframe>, into: Timeframe) -> Vec<i64> {
    let Some(last) = times.last() else { return Vec::new() };
    let complete = step.map_or(*last, |step| step.slot_start(step.slot(*last) + 1));
    let mut slots: Vec<i64> = times.iter().map(|time| into.slot(*time)).collect();
    slots.dedup();
    slots.retain(|slot| into.slot_start(slot + 1) <= complete);
    slots.into_iter().map(|slot| into.slot_start(slot)).collect()
}
