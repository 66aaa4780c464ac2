//! Readings: what rules find when they look at a store.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tapestore::time::DAY_NS;
use tapestore::{Error as StoreError, Operation, Outcome, SeriesKey, Store, View};
use tapestore_quality::Expected;

use crate::error::Result;
use crate::rule::{Check, Rule, brief_span};

/// Failed runs of a fetch are remembered for so long, in nanoseconds.
pub const FETCH_WITHIN_NS: i64 = 7 * DAY_NS;
/// How the log of operations names a verification.
pub const VERIFY: &str = "verify";
/// The subject of rules that are of no series.
pub const STORE: &str = "store";

/// A series that rules may be about.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its name.
    pub key: SeriesKey,
    /// The configuration keeps it current.
    pub kept: bool,
    /// Where bars are expected, at least until now. An error, in words, keeps the series from being measured.
    pub expected: std::result::Result<Arc<Expected>, String>,
    /// Its score, a share from 0 to 1, and what is behind it in words; `None`: it has none.
    pub score: Option<(f64, String)>,
}

/// What a rule found about a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Number of the rule.
    pub rule: usize,
    /// What it is about.
    pub subject: String,
    /// In the unit of the check; `None`: it could not be measured, or was not this time.
    pub value: Option<f64>,
    /// What was found, in words.
    pub evidence: String,
}

/// What a look at a store gives.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// By rule and subject.
    pub readings: Vec<Reading>,
    /// What was done on the way, to be noted with what comes of it.
    pub operations: Vec<Operation>,
}

/// Bytes that may be written where a path lies, and all that there are; `None` where the system does not tell.
pub fn disk(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        let of = rustix::fs::statvfs(path).ok()?;
        Some((of.f_bavail.saturating_mul(of.f_frsize), of.f_blocks.saturating_mul(of.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Looks at a store by its rules. Reads no price; with `verify`, a verification that is due reads files.
///
/// # Errors
/// Damage to the tables of the store itself. What goes wrong about one series is a reading without a value.
pub fn measure(
    store: &Store,
    view: &View,
    rules: &[Rule],
    watched: &[Watched],
    verify: bool,
    now_ns: i64,
) -> Result<Measured> {
    let mut measured = Measured::default();
    let any_kept = watched.iter().any(|it| it.kept);
    let since = rules.iter().map(|rule| rule.every_ns).max().unwrap_or(0).max(FETCH_WITHIN_NS);
    let operations = view.operations(now_ns.saturating_sub(since)..i64::MAX)?;
    for (number, rule) in rules.iter().enumerate() {
        let mut add = |subject: &str, (value, evidence): (Option<f64>, String)| {
            measured.readings.push(Reading { rule: number, subject: subject.into(), value, evidence });
        };
        match rule.check {
            Check::Quality | Check::Freshness | Check::Gaps => {
                let chosen = |it: &&Watched| match rule.series.as_slice() {
                    // Of a store that nobody keeps current nothing is late.
                    [] => it.kept || !any_kept && rule.check != Check::Freshness,
                    patterns => patterns.iter().any(|pattern| pattern.fits(&it.key)),
                };
                for it in watched.iter().filter(chosen) {
                    if let Some(found) = of_series(view, rule, it, now_ns) {
                        add(&it.key.to_string(), found);
                    }
                }
            }
            Check::Fetch => {
                for (target, failures) in failures(&operations, now_ns) {
                    add(&target, failures);
                }
            }
            Check::DiskFree | Check::DiskUsed => {
                let space = store.directory().and_then(|directory| Some((disk(&directory)?, directory)));
                let Some(((free, all), directory)) = space else { continue };
                let used = 1.0 - free as f64 / all.max(1) as f64;
                let value = if rule.check == Check::DiskFree { free as f64 } else { used };
                let show = |bytes: u64| Check::DiskFree.show(bytes as f64);
                let evidence =
                    format!("{} of {} are free where {} is", show(free), show(all), directory.display());
                add(STORE, (Some(value), evidence));
            }
            Check::Checksum => {
                let (found, operation) = verification(store, rule, &operations, verify, now_ns);
                add(STORE, found);
                measured.operations.extend(operation);
            }
        }
    }
    Ok(measured)
}

type Found = (Option<f64>, String);

fn of_series(view: &View, rule: &Rule, it: &Watched, now_ns: i64) -> Option<Found> {
    let found = match rule.check {
        Check::Freshness => freshness(view, it, now_ns),
        Check::Gaps => gaps(view, rule, it, now_ns),
        _ => {
            let (score, why) = it.score.as_ref()?;
            Ok(Some((Some(*score), format!("its score is {}; {why}", rule.check.show(*score)))))
        }
    };
    found.unwrap_or_else(|error| Some((None, error.to_string())))
}

fn freshness(view: &View, it: &Watched, now_ns: i64) -> tapestore::Result<Option<Found>> {
    if it.key.frame().timeframe().is_none() {
        return Ok(None);
    }
    let last = match view.info(&it.key) {
        Ok(info) => info.last_ns,
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    let Some(last) = last else {
        return Ok(Some((Some(f64::INFINITY), "there is no bar at all".to_owned())));
    };
    let due = match &it.expected {
        Ok(expected) => expected.due(last, now_ns).map_err(|error| error.to_string()),
        Err(why) => Err(why.clone()),
    };
    let newest = tapestore_text::stamp::brief(last);
    Ok(Some(match due {
        Err(why) => (None, why),
        Ok(None) => (Some(0.0), format!("the newest bar, of {newest}, is the last that is expected")),
        Ok(Some(due)) => {
            let text = format!(
                "the bar of {} has been due for {}; the newest is of {newest}",
                tapestore_text::stamp::brief(due.open_ns),
                brief_span(due.late_ns)
            );
            (Some(due.late_ns as f64), text)
        }
    }))
}

fn gaps(view: &View, rule: &Rule, it: &Watched, now_ns: i64) -> tapestore::Result<Option<Found>> {
    if it.key.frame().timeframe().is_none() {
        return Ok(None);
    }
    let info = match view.info(&it.key) {
        Err(StoreError::NotFound(_)) => return Ok(None),
        info => info?,
    };
    let (Some(first), Some(last)) = (info.first_ns, info.last_ns) else { return Ok(None) };
    let from = rule.within_ns.map_or(first, |within| now_ns.saturating_sub(within)).max(first);
    let range = from..last.max(from);
    let gaps = match it.expected.as_ref().map(|expected| expected.ranges()) {
        Err(why) => return Ok(Some((None, why.clone()))),
        Ok(None) => view.gaps(&it.key, Some(range))?,
        Ok(Some(slots)) => {
            let cut = |open: &Range<i64>| open.start.max(range.start)..open.end.min(range.end);
            let within: Vec<Range<i64>> = slots.iter().map(cut).filter(|open| !open.is_empty()).collect();
            view.gaps_in_sessions(&it.key, &within)?
        }
    };
    let missing: u64 = gaps.iter().map(|gap| gap.missing).sum();
    let span =
        rule.within_ns.map_or_else(String::new, |within| format!(" of the last {}", brief_span(within)));
    let evidence = match gaps.iter().max_by_key(|gap| gap.missing) {
        None => format!("no bar{span} is missing"),
        Some(largest) => format!(
            "{missing} bars{span} are missing in {} {}, the largest from {} to {}",
            gaps.len(),
            if gaps.len() == 1 { "gap" } else { "gaps" },
            tapestore_text::stamp::brief(largest.start),
            tapestore_text::stamp::brief(largest.end)
        ),
    };
    Ok(Some((Some(missing as f64), evidence)))
}

/// For each target of fetches, how many failed one after another since the last that did not.
fn failures(operations: &[Operation], now_ns: i64) -> BTreeMap<String, Found> {
    let mut by_target: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    let fetches = operations
        .iter()
        .filter(|it| it.kind == "fetch" && it.time_ns >= now_ns.saturating_sub(FETCH_WITHIN_NS));
    for operation in fetches {
        let known = by_target.entry(&operation.target).or_default();
        match operation.outcome {
            Outcome::Done => *known = (0, ""),
            Outcome::Failed => *known = (known.0 + 1, &operation.error),
            Outcome::Running => {}
        }
    }
    let tell = |(target, (count, error)): (&str, (u64, &str))| {
        let evidence = match count {
            0 => "its last run ended well".to_owned(),
            1 => format!("its last run failed: {error}"),
            count => format!("its last {count} runs failed, the last with: {error}"),
        };
        (target.to_owned(), (Some(count as f64), evidence))
    };
    by_target.into_iter().map(tell).collect()
}

/// Verifies if that is due and wanted; else what the last verification found counts, whoever made it. Damage counts if two verifications find it: what only one finds was a file that a writer in
/// another process replaced in between.
fn verification(
    store: &Store,
    rule: &Rule,
    operations: &[Operation],
    verify: bool,
    now_ns: i64,
) -> (Found, Option<Operation>) {
    let last = operations.iter().rev().find(|it| it.kind == VERIFY && it.outcome != Outcome::Running);
    if let Some(last) = last.filter(|last| !verify || now_ns.saturating_sub(last.time_ns) < rule.every_ns) {
        let ago = brief_span(now_ns.saturating_sub(last.time_ns));
        let found = match last.outcome {
            Outcome::Failed => (Some(1.0), format!("the verification {ago} ago found: {}", last.error)),
            _ => (Some(0.0), format!("the verification {ago} ago found nothing")),
        };
        return (found, None);
    }
    if !verify {
        return ((None, "it was never verified".to_owned()), None);
    }
    let damage = || {
        let findings = store.verify(rule.deep)?;
        Ok::<_, StoreError>(findings.into_iter().filter(|finding| finding.damage).collect::<Vec<_>>())
    };
    let found = damage().and_then(|found| if found.is_empty() { Ok(found) } else { damage() });
    let operation = Operation::begin(now_ns, VERIFY, if rule.deep { "deep" } else { "" });
    match found {
        Err(error) => ((None, error.to_string()), None),
        Ok(found) => match found.first() {
            None => ((Some(0.0), "the store is sound".to_owned()), Some(operation.done(now_ns, "clean"))),
            Some(first) => {
                let count = found.len();
                let text =
                    format!("{count} findings of damage, the first in {}: {}", first.file, first.detail);
                ((Some(count as f64), text.clone()), Some(operation.failed(now_ns, &text)))
            }
        },
    }
}
