//! When a bar is likely to be missing: by source and minute of the week; and how late bars arrive.
//!
//! A cell of the hazard is a minute of the week, UTC. What is known before any bar is Beta(1, 99): one in a hundred; with `n`
//! expected bars of which `m` were missing, the expectation of the posterior is (1 + m) / (100 + n).
//!
//! Whether that is worth anything is told by its Brier score (the mean square of forecast less outcome; Brier 1950) on time
//! that it was not learned from, beside two forecasts that know no minutes: the share that was missing in the time before,
//! and that share with the same prior in every cell. The second matters where gaps grow fewer: a prior of one in a hundred
//! gains by that alone, which is no skill of the minute.
//!
//! # Invariants
//! - Z1. A forecast is scored on bars later than all that it was learned from.
//! - Z2. Skill is claimed only if the gain over the better of both, week by week, is above zero by more than two standard
//!   errors, over eight weeks at least.

use std::collections::BTreeMap;
use std::ops::Range;

use tapestore::time::{DAY_NS, MINUTE_NS, Timeframe};
use tapestore::{Run, SeriesKey, Store, View};
use tapestore_calendar::{Listings, Question, expected, market, of_instrument};
use tapestore_format::coverage::Coverage;

use crate::error::Result;

/// Minutes of a week.
const WEEK: usize = 7 * 24 * 60;
/// What is known before any bar: so many missing, of so many.
const PRIOR: (f64, f64) = (1.0, 100.0);
/// Share of a series that is learned from, when its skill is measured.
const LEARNED: f64 = 0.7;
/// Weight of the newest arrival in the mean delay.
const NEWEST: f64 = 0.1;
/// Arrivals later than this were fetched afterwards, and tell nothing of delays.
const BACKFILL_NS: i64 = DAY_NS;
/// The name of a source that nobody named.
const NO_SOURCE: &str = "unknown";
/// Newest rows that are looked at for delays.
const ARRIVALS: usize = 1000;

/// Counts by minute of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// Expected bars.
    seen: Vec<u64>,
    /// Those of them that are missing.
    missing: Vec<u64>,
}

impl Default for Hazard {
    fn default() -> Self {
        Self { seen: vec![0; WEEK], missing: vec![0; WEEK] }
    }
}

/// The minute of the week, UTC, counted from Monday 00:00.
pub fn minute_of_week(time_ns: i64) -> usize {
    // The epoch was a Thursday.
    (time_ns.div_euclid(MINUTE_NS) + 3 * 24 * 60).rem_euclid(WEEK as i64) as usize
}

impl Hazard {
    /// Learns from bars of a timeframe: the slots in which one was expected, and those in which there is one.
    pub fn learn(&mut self, timeframe: Timeframe, expected: &[Run], covered: &[Run]) {
        for_each(timeframe, expected, covered, |cell, missing| {
            self.seen[cell] += 1;
            self.missing[cell] += u64::from(missing);
        });
    }

    /// How likely the bar of a time is to be missing.
    pub fn probability(&self, time_ns: i64) -> f64 {
        self.of_cell(minute_of_week(time_ns))
    }

    fn of_cell(&self, cell: usize) -> f64 {
        (PRIOR.0 + self.missing[cell] as f64) / (PRIOR.1 + self.seen[cell] as f64)
    }

    /// Expected bars, and those of them that are missing.
    pub fn counts(&self) -> (u64, u64) {
        (self.seen.iter().sum(), self.missing.iter().sum())
    }

    /// The share that is missing, whatever the minute.
    pub fn base_rate(&self) -> f64 {
        let (seen, missing) = self.counts();
        (PRIOR.0 + missing as f64) / (PRIOR.1 + seen as f64)
    }

    /// The hours of the week in which bars are missing most: hour from Monday 00:00 UTC, mean probability of its minutes that
    /// were ever expected.
    pub fn worst_hours(&self, count: usize) -> Vec<(usize, f64)> {
        let hour = |hour: usize| {
            let cells = hour * 60..(hour + 1) * 60;
            let known: Vec<f64> =
                cells.filter(|cell| self.seen[*cell] > 0).map(|cell| self.of_cell(cell)).collect();
            (!known.is_empty()).then(|| (hour, known.iter().sum::<f64>() / known.len() as f64))
        };
        let mut hours: Vec<(usize, f64)> = (0..WEEK / 60).filter_map(hour).collect();
        hours.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hours.truncate(count);
        hours
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.seen.iter_mut().zip(&other.seen) {
            *mine += theirs;
        }
        for (mine, theirs) in self.missing.iter_mut().zip(&other.missing) {
            *mine += theirs;
        }
    }
}

/// Calls with the minute of the week of each expected slot, and whether its bar is missing.
fn for_each(timeframe: Timeframe, expected: &[Run], covered: &[Run], mut call: impl FnMut(usize, bool)) {
    let mut next = 0;
    for run in expected {
        for slot in run.start..run.end {
            while covered.get(next).is_some_and(|covered| covered.end <= slot) {
                next += 1;
            }
            let there = covered.get(next).is_some_and(|covered| covered.start <= slot);
            call(minute_of_week(timeframe.slot_start(slot)), !there);
        }
    }
}

/// How good forecasts were, on bars that they were not learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Skill {
    /// Bars that were forecast.
    pub bars: u64,
    /// Weeks that they lie in.
    pub weeks: u64,
    /// Mean square error of the forecasts by minute of the week.
    pub brier: f64,
    /// The same of the share that was missing before, for every bar.
    pub base: f64,
    /// The same of that share with the prior of every minute, but without knowing the minute.
    pub flat: f64,
    /// Mean gain per week over the better of both, and its standard error.
    pub gain: (f64, f64),
}

impl Skill {
    /// Share of an error that the forecast takes away: 1 is all, 0 nothing, below zero it is worse. Of `base`.
    pub fn over_base(&self) -> f64 {
        if self.base > 0.0 { 1.0 - self.brier / self.base } else { 0.0 }
    }

    /// The same of `flat`: what knowing the minute is worth.
    pub fn over_flat(&self) -> f64 {
        if self.flat > 0.0 { 1.0 - self.brier / self.flat } else { 0.0 }
    }

    /// Whether there is any (Z2).
    pub fn is_real(&self) -> bool {
        self.weeks >= 8 && self.gain.0 > 2.0 * self.gain.1
    }
}

/// Squared errors by week: of the hazard, of its base rate, and of that with a prior in every cell.
#[derive(Clone, Debug, Default)]
struct Errors {
    by_week: BTreeMap<i64, (u64, [f64; 3])>,
}

impl Errors {
    fn add(&mut self, hazard: &Hazard, timeframe: Timeframe, expected: &[Run], covered: &[Run]) {
        let base = hazard.base_rate();
        let flat: Vec<f64> = hazard
            .seen
            .iter()
            .map(|seen| (PRIOR.0 + base * *seen as f64) / (PRIOR.1 + *seen as f64))
            .collect();
        for run in expected {
            // Week by week, so that errors of one do not depend on those of another.
            let mut start = run.start;
            while start < run.end {
                let week = Timeframe::W1.slot(timeframe.slot_start(start));
                let next = timeframe.slot(Timeframe::W1.slot_start(week + 1)).max(start + 1);
                let piece = [Run { start, end: run.end.min(next) }];
                let sums = self.by_week.entry(week).or_default();
                let covered = clip(covered, &piece[0]);
                for_each(timeframe, &piece, &covered, |cell, missing| {
                    let outcome = f64::from(u8::from(missing));
                    sums.0 += 1;
                    for (sum, forecast) in sums.1.iter_mut().zip([hazard.of_cell(cell), base, flat[cell]]) {
                        *sum += (forecast - outcome).powi(2);
                    }
                });
                start = piece[0].end;
            }
        }
    }

    fn skill(&self) -> Skill {
        let bars = self.by_week.values().map(|week| week.0).sum::<u64>();
        if bars == 0 {
            return Skill::default();
        }
        let mean = |of: usize| self.by_week.values().map(|week| week.1[of]).sum::<f64>() / bars as f64;
        let [brier, base, flat] = [0, 1, 2].map(mean);
        let better = if flat < base { 2 } else { 1 };
        let gain = |(bars, sums): &(u64, [f64; 3])| (sums[better] - sums[0]) / *bars as f64;
        let gains: Vec<f64> = self.by_week.values().map(gain).collect();
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        let squares: f64 = gains.iter().map(|gain| (gain - mean).powi(2)).sum();
        let count = gains.len() as f64;
        let error = if gains.len() > 1 { (squares / (count - 1.0) / count).sqrt() } else { f64::INFINITY };
        Skill { bars, weeks: gains.len() as u64, brier, base, flat, gain: (mean, error) }
    }
}

fn clip(runs: &[Run], piece: &Run) -> Vec<Run> {
    let first = runs.partition_point(|run| run.end <= piece.start);
    let inside = runs[first..].iter().take_while(|run| run.start < piece.end);
    inside.map(|run| Run { start: run.start.max(piece.start), end: run.end.min(piece.end) }).collect()
}

/// How long after the end of a bar it arrived: an exponentially weighted mean over arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delay {
    /// In nanoseconds; `None`: nothing arrived in time yet.
    pub mean_ns: Option<f64>,
    /// Arrivals that it is of.
    pub arrivals: u64,
}

impl Delay {
    /// Takes an arrival; one that is more than a day late was fetched afterwards, and one before its bar ended is none.
    pub fn arrived(&mut self, end_ns: i64, at_ns: i64) {
        let late = at_ns.saturating_sub(end_ns);
        if !(0..=BACKFILL_NS).contains(&late) {
            return;
        }
        let late = late as f64;
        self.arrivals += 1;
        self.mean_ns = Some(self.mean_ns.map_or(late, |mean| mean + NEWEST * (late - mean)));
    }

    /// Whether bars come so late that a gap is near: later than half of what is allowed, in the mean.
    pub fn is_critical(&self, slo_ns: i64) -> bool {
        self.mean_ns.is_some_and(|mean| mean > slo_ns as f64 / 2.0)
    }
}

/// What is known of one source.
#[derive(Clone, Debug)]
pub struct SourceHazard {
    /// Its name, as it stands with the rows; where they have none, the venue in the instrument's name.
    pub source: String,
    /// Series that it is of: of every instrument the one with the shortest bars.
    pub series: u64,
    /// Learned from all there is.
    pub hazard: Hazard,
    /// Measured on the last 30 % of every series, learned from the time before.
    pub skill: Skill,
    /// How late bars arrive.
    pub delay: Delay,
}

/// The hazard of every source of a store, by name.
///
/// # Errors
/// Damage; [`crate::Error::Usage`] if a calendar does not speak of a series' time.
pub fn hazards(store: &Store, view: &View) -> Result<Vec<SourceHazard>> {
    let listings = Listings::read(view, None)?;
    let commits: BTreeMap<u64, i64> =
        store.log(usize::MAX)?.into_iter().map(|commit| (commit.version, commit.time_ns)).collect();
    let mut finest: BTreeMap<String, (Timeframe, SeriesKey)> = BTreeMap::new();
    for key in view.keys().into_iter().filter(|key| !key.is_own()) {
        let Some(timeframe) = key.frame().timeframe() else { continue };
        let known = finest.entry(key.instrument().to_owned()).or_insert_with(|| (timeframe, key.clone()));
        if timeframe < known.0 {
            *known = (timeframe, key);
        }
    }
    let mut sources: BTreeMap<String, Vec<Series>> = BTreeMap::new();
    for (timeframe, key) in finest.into_values() {
        if let Some((source, series)) = Series::of(view, &key, timeframe, &listings, &commits)? {
            sources.entry(source).or_default().push(series);
        }
    }
    Ok(sources.into_iter().map(|(source, series)| measure(source, &series)).collect())
}

/// One series as the hazard sees it.
struct Series {
    timeframe: Timeframe,
    expected: Vec<Run>,
    covered: Vec<Run>,
    delay: Delay,
}

impl Series {
    fn of(
        view: &View,
        key: &SeriesKey,
        timeframe: Timeframe,
        listings: &Listings,
        commits: &BTreeMap<u64, i64>,
    ) -> Result<Option<(String, Self)>> {
        let info = view.info(key)?;
        let (Some(first), Some(last)) = (info.first_ns, info.last_ns) else { return Ok(None) };
        let calendar =
            of_instrument(key.instrument()).map(|exchange| market(view, exchange.name())).transpose()?;
        let listing = listings.of(key.instrument(), calendar.as_ref().map(tapestore_calendar::Market::name));
        let question = Question::new(timeframe, first..last + 1);
        let slots = expected(&question, calendar.as_ref(), &listing)?.without(&view.absences(key)?);
        let newest = view.read(key).columns(&[]).provenance().last(ARRIVALS)?;
        let mut delay = Delay::default();
        let mut before = None;
        for row in 0..newest.len() {
            let version = newest.set.version.get(row);
            let ends = timeframe.slot_start(timeframe.slot(newest.time()[row]) + 1);
            // Of the rows of one commit the last was the newest; those before it waited for it.
            if before.is_some_and(|(last, _)| last != version)
                && let Some((last, ended)) = before
                && let Some(at) = commits.get(&last)
            {
                delay.arrived(ended, *at);
            }
            before = Some((version, ends));
        }
        if let Some((last, ended)) = before
            && let Some(at) = commits.get(&last)
        {
            delay.arrived(ended, *at);
        }
        let name =
            (!newest.is_empty()).then(|| view.source_name(newest.set.source.get(newest.len() - 1))).flatten();
        let venue = || key.instrument().rsplit_once('.').map_or("unknown", |(_, venue)| venue).to_owned();
        let source = name.filter(|name| !name.is_empty() && name != NO_SOURCE).unwrap_or_else(venue);
        let from = timeframe.slot_start(timeframe.slot(first));
        let covered = view.coverage(key, Some(from..last + 1))?;
        Ok(Some((source, Self { timeframe, expected: slots.slots().to_vec(), covered, delay })))
    }

    /// Cut in two: what is learned from, and what is forecast.
    fn split(&self) -> (Vec<Run>, Vec<Run>) {
        let (Some(first), Some(last)) = (self.expected.first(), self.expected.last()) else {
            return (Vec::new(), Vec::new());
        };
        let at = first.start + ((last.end - first.start) as f64 * LEARNED) as i64;
        let all: Coverage = self.expected.iter().copied().collect();
        let part = |range: Range<i64>| all.within(range.start, range.end).collect();
        (part(first.start..at), part(at..last.end))
    }
}

fn measure(source: String, series: &[Series]) -> SourceHazard {
    let (mut hazard, mut learned) = (Hazard::default(), Hazard::default());
    let mut delay = Delay::default();
    for one in series {
        let (before, after) = one.split();
        let mut part = Hazard::default();
        part.learn(one.timeframe, &before, &one.covered);
        learned.add(&part);
        part.learn(one.timeframe, &after, &one.covered);
        hazard.add(&part);
        // The slowest of a source says how near it is to a gap.
        if one.delay.mean_ns.unwrap_or(-1.0) > delay.mean_ns.unwrap_or(-1.0) {
            delay = one.delay;
        }
    }
    let mut errors = Errors::default();
    for one in series {
        errors.add(&learned, one.timeframe, &one.split().1, &one.covered);
    }
    SourceHazard { source, series: series.len() as u64, hazard, skill: errors.skill(), delay }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(weeks: i64) -> Run {
        let start = Timeframe::M1.slot(Timeframe::W1.slot_start(2800));
        Run { start, end: start + weeks * WEEK as i64 }
    }

    /// All minutes but those for which `missing` holds, by their number.
    fn without(all: Run, missing: impl Fn(i64) -> bool) -> Vec<Run> {
        let slots = (all.start..all.end).filter(|slot| !missing(slot - all.start));
        slots.map(|slot| Run { start: slot, end: slot + 1 }).collect::<Coverage>().runs().to_vec()
    }

    /// 24 bits of a number, mixed (`SplitMix64`).
    fn noise(number: i64) -> u64 {
        let mut mixed = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) >> 40
    }

    fn found(all: Run, covered: Vec<Run>) -> SourceHazard {
        let series =
            Series { timeframe: Timeframe::M1, expected: vec![all], covered, delay: Delay::default() };
        measure("test".into(), &[series])
    }

    #[test]
    fn a_week_begins_on_monday() {
        assert_eq!(minute_of_week(0), 3 * 24 * 60, "1970-01-01 was a Thursday");
        assert_eq!(minute_of_week(-3 * DAY_NS), 0);
        assert_eq!(minute_of_week(-3 * DAY_NS - 1), WEEK - 1);
    }

    #[test]
    fn the_posterior_begins_at_one_in_a_hundred() {
        let mut hazard = Hazard::default();
        assert_eq!((hazard.probability(0), hazard.base_rate()), (0.01, 0.01));
        let all = minutes(10);
        // Missing: Monday's first minute, in nine of ten weeks.
        hazard.learn(Timeframe::M1, &[all], &without(all, |slot| slot % WEEK as i64 == 0 && slot > 0));
        let monday = Timeframe::M1.slot_start(all.start);
        assert_eq!(hazard.probability(monday), 10.0 / 110.0);
        assert_eq!(hazard.probability(monday + MINUTE_NS), 1.0 / 110.0);
        assert_eq!(hazard.counts(), (10 * WEEK as u64, 9));
        assert_eq!(hazard.worst_hours(1)[0].0, 0);
    }

    #[test]
    fn gaps_that_come_every_week_are_forecast_and_those_by_chance_are_not() {
        let all = minutes(60);
        // Every Sunday from 22:00 to 23:00.
        let weekly = found(all, without(all, |slot| (slot % WEEK as i64) / 60 == 6 * 24 + 22));
        assert!(weekly.skill.is_real() && weekly.skill.over_base() > 0.2, "{:?}", weekly.skill);
        assert_eq!(weekly.hazard.worst_hours(1)[0].0, 6 * 24 + 22);
        // One minute in fifty, by a rule that no week repeats.
        let chance = |slot: i64| noise(slot) < (1 << 24) / 50;
        let random = found(all, without(all, chance));
        assert!(!random.skill.is_real() && random.skill.over_base() < 0.01, "{:?}", random.skill);
        assert_eq!((random.skill.weeks, random.skill.bars), (18, 18 * WEEK as u64));
    }

    #[test]
    fn gaps_that_grow_fewer_are_no_skill_of_the_minute() {
        let all = minutes(60);
        // A third of all at first, one in a thousand from week 40 on.
        let chance = |slot: i64| {
            let share = if slot < 40 * WEEK as i64 { (1 << 24) / 3 } else { (1 << 24) / 1000 };
            noise(slot) < share
        };
        let skill = found(all, without(all, chance)).skill;
        assert!(skill.over_base() > 0.2, "the prior of one in a hundred gains by itself: {skill:?}");
        assert!(!skill.is_real() && skill.over_flat() < 0.0, "{skill:?}");
    }

    #[test]
    fn the_score_is_that_of_the_plain_sum() {
        let all = minutes(12);
        let covered = without(all, |slot| slot % 7 == 0 && slot % WEEK as i64 > 5000);
        let series = Series {
            timeframe: Timeframe::M1,
            expected: vec![all],
            covered: covered.clone(),
            delay: Delay::default(),
        };
        let (before, after) = series.split();
        let mut hazard = Hazard::default();
        hazard.learn(Timeframe::M1, &before, &covered);
        let mut sums = (0.0, 0.0, 0.0);
        for slot in after[0].start..after[0].end {
            let missing = covered.iter().all(|run| slot < run.start || slot >= run.end);
            let outcome = f64::from(u8::from(missing));
            let forecast = hazard.probability(Timeframe::M1.slot_start(slot));
            sums = (
                sums.0 + 1.0,
                sums.1 + (forecast - outcome).powi(2),
                sums.2 + (hazard.base_rate() - outcome).powi(2),
            );
        }
        let skill = measure("test".into(), &[series]).skill;
        assert!(
            (skill.brier - sums.1 / sums.0).abs() < 1e-12 && (skill.base - sums.2 / sums.0).abs() < 1e-12
        );
    }

    #[test]
    fn delays_are_weighted_and_what_was_fetched_later_is_none() {
        let mut delay = Delay::default();
        delay.arrived(0, 2 * BACKFILL_NS);
        delay.arrived(10, 5);
        assert_eq!(delay, Delay::default());
        delay.arrived(0, 100);
        delay.arrived(0, 200);
        assert_eq!((delay.mean_ns, delay.arrivals), (Some(110.0), 2));
        assert!(delay.is_critical(200) && !delay.is_critical(220));
    }
}
