//! The same market at several sources: where they disagree, and which of three is to blame.
//!
//! For two sources d = ln(close A / close B) less its median over the 61 common bars before. They disagree at a bar if
//! |d| > max(0.5 %, 10 · MAD), or if their ranges from low to high do not meet once B is shifted by that median. Of two
//! nobody knows which is right; of three or more the one that disagrees with all others is to blame, if these agree.

use std::collections::BTreeMap;
use std::ops::Range;

use tapestore::{Rows, SeriesKey, Store, View};

use crate::coarser::end_of;
use crate::error::{Error, Result};
use crate::evidence::number;
use crate::finding::{Finding, FindingState, findings, note_findings, settle};
use crate::returns::{WINDOW, median_and_deviation};
use crate::rule::Rule;
use crate::rules::Rules;
use crate::run::Setup;

/// Common bars that a comparison takes.
const ENOUGH: usize = 10;

/// A bar at which a source disagrees with others.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// The series in question.
    pub key: SeriesKey,
    /// Open time, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// Whether the others agree among themselves: then this one is to blame.
    pub is_culprit: bool,
    /// Its close.
    pub close: f64,
    /// The others that it disagrees with, and their closes.
    pub others: Vec<(SeriesKey, f64)>,
}

/// Where the series of one market disagree in a range, by time and series.
///
/// # Errors
/// [`Error::Usage`] if fewer than two series are given, they differ in their timeframe, or have no prices; damage.
pub fn compare(
    view: &View,
    keys: &[SeriesKey],
    range: &Range<i64>,
    rules: &Rules,
) -> Result<Vec<Disagreement>> {
    let same_frame = keys.windows(2).all(|pair| pair[0].frame() == pair[1].frame());
    if keys.len() < 2 || !same_frame || keys[0].frame().timeframe().is_none() {
        return Err(Error::Usage("a comparison takes two or more series of bars of one timeframe".into()));
    }
    let mut tables = Vec::new();
    for key in keys {
        // What comes before gives the first bars their basis.
        let before = view.read(key).columns(&[]).range(i64::MIN..range.start).last(2 * WINDOW)?;
        let from = before.time().first().copied().unwrap_or(range.start);
        tables.push(view.read(key).columns(&["high", "low", "close"]).range(from..range.end).rows()?);
    }
    // For each bar the pairs that have it: whether they agree.
    let mut pairs: BTreeMap<i64, Vec<(usize, usize, bool)>> = BTreeMap::new();
    for a in 0..keys.len() {
        for b in a + 1..keys.len() {
            for (time, agrees) in compare_two(&tables[a], &tables[b], rules)? {
                pairs.entry(time).or_default().push((a, b, agrees));
            }
        }
    }
    let mut out = Vec::new();
    for (time_ns, pairs) in pairs.into_iter().filter(|(time, _)| range.contains(time)) {
        if pairs.iter().all(|pair| pair.2) {
            continue;
        }
        let of = |one: usize, agree: bool| {
            let pairs = pairs.iter().filter(move |pair| (pair.0 == one || pair.1 == one) && pair.2 == agree);
            pairs.map(move |pair| if pair.0 == one { pair.1 } else { pair.0 }).collect::<Vec<_>>()
        };
        let alone = |one: usize| {
            let against = of(one, false);
            against.len() >= 2
                && of(one, true).is_empty()
                && pairs.iter().filter(|pair| pair.0 != one && pair.1 != one).all(|pair| pair.2)
        };
        let culprit = (0..keys.len()).find(|one| alone(*one));
        let close = |one: usize| {
            let row = tables[one].time().binary_search(&time_ns).ok();
            row.and_then(|row| tables[one].f64("close").map(|close| close[row])).unwrap_or(f64::NAN)
        };
        for one in (0..keys.len()).filter(|one| culprit.is_none_or(|culprit| culprit == *one)) {
            let others = of(one, false);
            if !others.is_empty() {
                out.push(Disagreement {
                    key: keys[one].clone(),
                    time_ns,
                    is_culprit: culprit.is_some(),
                    close: close(one),
                    others: others.into_iter().map(|other| (keys[other].clone(), close(other))).collect(),
                });
            }
        }
    }
    Ok(out)
}

/// The common bars of two sources that have enough before them, and whether these agree there.
fn compare_two(a: &Rows, b: &Rows, rules: &Rules) -> Result<Vec<(i64, bool)>> {
    let prices = |rows: &Rows| -> Option<[Vec<f64>; 3]> {
        Some([rows.f64("high")?.to_vec(), rows.f64("low")?.to_vec(), rows.f64("close")?.to_vec()])
    };
    let no_prices = || Error::Usage("one of the series has no prices high, low and close".into());
    let (left, right) = (prices(a).ok_or_else(no_prices)?, prices(b).ok_or_else(no_prices)?);
    let (mut past, mut sample, mut out): (Vec<f64>, Vec<f64>, Vec<_>) = (Vec::new(), Vec::new(), Vec::new());
    for (row, time) in a.time().iter().enumerate() {
        let Ok(at) = b.time().binary_search(time) else { continue };
        let basis = (left[2][row] / right[2][at]).ln();
        if past.len() >= ENOUGH {
            sample.clear();
            sample.extend(&past[past.len().saturating_sub(WINDOW)..]);
            let (median, deviation) = median_and_deviation(&mut sample);
            let near = (basis - median).abs() <= rules.source_share.max(rules.source_scales * deviation);
            let shift = median.exp();
            let meet = left[1][row] <= right[0][at] * shift * (1.0 + 1e-12)
                && left[0][row] >= right[1][at] * shift * (1.0 - 1e-12);
            out.push((*time, near && meet));
        }
        if basis.is_finite() {
            past.push(basis);
        }
    }
    Ok(out)
}

/// Compares, and keeps what disagrees as findings of the rule `source`; how many there are. Findings of an earlier
/// comparison in the range whose cause is gone are closed.
///
/// # Errors
/// As [`compare`]; what the store says.
pub fn compare_and_note(
    store: &Store,
    keys: &[SeriesKey],
    range: &Range<i64>,
    setup: &Setup,
) -> Result<Vec<Disagreement>> {
    let view = store.view();
    let found = compare(&view, keys, range, &setup.rules)?;
    let mut known = findings(&view, range.clone())?;
    known.retain(|one| one.rule == Rule::Source && keys.contains(&one.key));
    let mut told = Vec::new();
    for key in keys {
        let seen = found.iter().filter(|one| one.key == *key).map(|one| tell(one, &view, setup)).collect();
        let before = known.iter().filter(|one| one.key == *key).cloned().collect();
        told.extend(settle(before, seen, setup.now_ns));
    }
    if !told.is_empty() {
        let mut transaction = store.begin();
        transaction.source("quality").message("comparison of sources");
        note_findings(&mut transaction, &view, &told)?;
        transaction.commit()?;
    }
    Ok(found)
}

fn tell(one: &Disagreement, view: &View, setup: &Setup) -> Finding {
    let others: Vec<String> = one
        .others
        .iter()
        .map(|(key, close)| format!("{} has {}", key.instrument(), number(*close)))
        .collect();
    let verdict = if one.is_culprit { "the others agree" } else { "who is right is not known" };
    let end = one.key.frame().timeframe().map_or(one.time_ns + 1, |timeframe| end_of(timeframe, one.time_ns));
    Finding {
        key: one.key.clone(),
        rule: Rule::Source,
        at_ns: one.time_ns,
        end_ns: end,
        worst_ns: one.time_ns,
        bars: 1,
        severity: Rule::Source.severity(),
        state: FindingState::Open,
        evidence: format!("close {}, {}; {verdict}", number(one.close), others.join(", ")),
        version: view.version(),
        found_ns: setup.now_ns,
        changed_ns: setup.now_ns,
    }
}
