//! A layer: what a stretch of commits did to one series. In memory here; sealed into a part of a segment later.
//!
//! # Invariants
//! - Y1. `live` holds the rows visible at `high` if nothing lies beneath; `history` the rows that commits of this very
//!   layer, or of layers merged into it, replaced or deleted, each with `version <= until - 1`.
//! - Y2. A deletion mark acts on layers beneath only: within the layer its effect is already in `history`.
//! - Y3. The layers of a series have disjoint version ranges, oldest first; only neighbours are merged.

use std::sync::{Arc, OnceLock};

use tapestore_format::coverage::Coverage;
use tapestore_format::rows::{Mark, MarkKind, ORDINAL, RowSet, Values};
use tapestore_format::time::Timeframe;

use crate::batch::empty_union;
use crate::overlay::{Plan, RowKey};

/// Rows of one series from the commits `low..=high`.
#[derive(Debug, Default)]
pub(crate) struct MemLayer {
    /// Visible rows.
    pub(crate) live: RowSet,
    /// Replaced and deleted rows, by time, then version.
    pub(crate) history: RowSet,
    /// Deletions of rows beneath, and absences.
    pub(crate) marks: Vec<Mark>,
    /// First commit.
    pub(crate) low: u64,
    /// Last commit.
    pub(crate) high: u64,
    /// Which filling of the memtable it belongs to: layers of different generations are sealed apart.
    pub(crate) generation: u64,
    coverage: OnceLock<Coverage>,
    on_grid: OnceLock<bool>,
}

impl MemLayer {
    /// What one commit did.
    pub(crate) fn new(live: RowSet, marks: Vec<Mark>, version: u64, generation: u64) -> Self {
        Self { live, marks, low: version, high: version, generation, ..Self::default() }
    }

    /// Approximate bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.live.bytes() + self.history.bytes() + self.marks.len() * size_of::<Mark>()
    }

    /// Covered slots of live rows, computed once.
    pub(crate) fn coverage(&self, timeframe: Timeframe) -> &Coverage {
        self.coverage.get_or_init(|| covered(&self.live.time, timeframe))
    }

    /// Whether every live row stands on the grid, computed once.
    pub(crate) fn on_grid(&self, timeframe: Timeframe) -> bool {
        *self.on_grid.get_or_init(|| self.live.time.iter().all(|time| timeframe.on_grid(*time)))
    }

    /// Rows and marks, kept for the one version or for another.
    pub(crate) fn size(&self) -> usize {
        self.live.len() + self.history.len() + self.marks.len()
    }

    /// Lays `newer` over this layer, keeping replaced rows that `retained` wants.
    pub(crate) fn merged(&self, newer: &Self, key: &RowKey, retained: &Retained) -> Self {
        debug_assert!(self.high < newer.low, "Y3");
        let mut merged = merge_rows(
            Side { live: &self.live, history: &self.history },
            Side { live: &newer.live, history: &newer.history },
            &newer.marks,
            key,
            retained,
        );
        merged.marks = self.marks.iter().chain(&newer.marks).copied().collect();
        merged.low = self.low;
        merged.high = newer.high;
        merged.generation = newer.generation;
        merged
    }
}

/// One layer in the place of neighbours, oldest first; `key` says by what rows up to a version are told apart.
pub(crate) fn merge_layers(layers: &[Arc<MemLayer>], key: &dyn Fn(u64) -> RowKey) -> Arc<MemLayer> {
    if let [only] = layers {
        return only.clone();
    }
    if each_follows(layers) {
        return Arc::new(joined(layers));
    }
    // In halves: so a row is copied as often as the halves can be halved again.
    let (older, newer) = layers.split_at(layers.len() / 2);
    let (older, newer) = (merge_layers(older, key), merge_layers(newer, key));
    Arc::new(older.merged(&newer, &key(older.high), &Retained::default()))
}

/// Whether every layer has only rows that come after those of the layers before it, and replaced or deleted nothing.
pub(crate) fn each_follows(layers: &[Arc<MemLayer>]) -> bool {
    let mut last = None;
    layers.iter().all(|layer| {
        let times = &layer.live.time;
        let follows = times.first().is_none_or(|first| last.is_none_or(|last| last < *first));
        last = times.last().copied().or(last);
        follows && layer.history.is_empty() && layer.marks.iter().all(|mark| mark.kind != MarkKind::Delete)
    })
}

/// Layers of which [`each_follows`] the one before, end to end.
fn joined(layers: &[Arc<MemLayer>]) -> MemLayer {
    let sets: Vec<&RowSet> = layers.iter().map(|layer| &layer.live).collect();
    let mut live = empty_union(&sets);
    live.reserve(sets.iter().map(|rows| rows.len()).sum());
    sets.iter().for_each(|rows| live.extend_from(rows, 0..rows.len()));
    let (first, last) = (&layers[0], &layers[layers.len() - 1]);
    MemLayer {
        live,
        marks: layers.iter().flat_map(|layer| &layer.marks).copied().collect(),
        low: first.low,
        high: last.high,
        generation: last.generation,
        ..MemLayer::default()
    }
}

/// The slots of sorted times.
pub(crate) fn covered(times: &[i64], timeframe: Timeframe) -> Coverage {
    let mut out = Coverage::default();
    for time in times {
        out.push(timeframe.slot(*time));
    }
    out
}

/// Live and history rows of one side of a merge.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) live: &'a RowSet,
    pub(crate) history: &'a RowSet,
}

/// Merges the rows of two neighbouring layers, or of the same slice of time in them. `marks` are the newer layer's.
/// Of the result only `live` and `history` are filled.
pub(crate) fn merge_rows(
    older: Side<'_>,
    newer: Side<'_>,
    marks: &[Mark],
    key: &RowKey,
    retained: &Retained,
) -> MemLayer {
    let plan = Plan::new(older.live, newer.live, marks, key);
    let live = plan.apply(older.live, newer.live);
    let mut replaced = empty_union(&[older.live]);
    for range in &plan.dropped {
        for row in range.clone() {
            let until = replaced_at(older.live, row, newer, marks, key);
            if retained.wants(older.live.version.get(row), until) {
                replaced.extend_from(older.live, row..row + 1);
                replaced.until.push(until, 1);
            }
        }
    }
    let history = merge_history([older.history, &replaced, newer.history], retained);
    MemLayer { live, history, ..MemLayer::default() }
}

/// The first commit of the newer layer that replaced or deleted a row beneath it.
fn replaced_at(older: &RowSet, row: usize, newer: Side<'_>, marks: &[Mark], key: &RowKey) -> u64 {
    let time = older.time[row];
    let covers = |mark: &&Mark| mark.kind == MarkKind::Delete && mark.start <= time && time < mark.end;
    let deleted = marks.iter().filter(covers).map(|mark| mark.version);
    let written = [newer.live, newer.history].into_iter().flat_map(|rows| {
        let end = time.saturating_add(1);
        let same = move |new: &usize| key.same(older, row, rows, *new);
        rows.rows_between(time, end).filter(same).map(|new| rows.version.get(new))
    });
    deleted.chain(written).min().expect("O2: a dropped row has a reason")
}

/// History rows of several sources by time, then version, without those that no retained version shows.
fn merge_history(sources: [&RowSet; 3], retained: &Retained) -> RowSet {
    let mut order: Vec<(i64, u64, usize, usize)> = Vec::new();
    for (source, rows) in sources.iter().enumerate() {
        for row in 0..rows.len() {
            if retained.wants(rows.version.get(row), rows.until.get(row)) {
                order.push((rows.time[row], rows.version.get(row), source, row));
            }
        }
    }
    order.sort_unstable();
    let mut out = empty_union(&sources);
    for (_, _, source, row) in order {
        out.extend_from(sources[source], row..row + 1);
    }
    out
}

/// The rows of a layer as `version` saw them.
pub(crate) fn rows_at(live: &RowSet, history: &RowSet, version: u64) -> RowSet {
    let mut then = empty_union(&[live]);
    for (piece, written) in live.version.pieces(0..live.len()) {
        if written <= version {
            then.extend_from(live, piece);
        }
    }
    let mut gone = empty_union(&[live, history]);
    for row in 0..history.len() {
        if history.version.get(row) <= version && version < history.until.get(row) {
            gone.extend_from(history, row..row + 1);
        }
    }
    gone.until.clear();
    if gone.is_empty() {
        return then;
    }
    // Keys of both never coincide: a row is either still live or was replaced after `version`. Equal times happen in
    // sequences only, where the order of arrival is the order of versions.
    let mut order: Vec<(i64, u64, i64, bool, usize)> = Vec::with_capacity(then.len() + gone.len());
    for (from_gone, rows) in [(false, &then), (true, &gone)] {
        let place = |row| (rows.time[row], rows.version.get(row), ordinal(rows, row), from_gone, row);
        order.extend((0..rows.len()).map(place));
    }
    order.sort_unstable();
    let mut out = empty_union(&[&then, &gone]);
    for (.., from_gone, row) in order {
        out.extend_from(if from_gone { &gone } else { &then }, row..row + 1);
    }
    out
}

/// The number of a row among those of its time and commit; 0 where rows of one commit only go together.
fn ordinal(rows: &RowSet, row: usize) -> i64 {
    match rows.column(ORDINAL).map(|column| &column.values) {
        Some(Values::I64(numbers)) => numbers[row],
        _ => 0,
    }
}

/// Which versions must stay readable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retained {
    /// Every version from this one on.
    pub(crate) floor: u64,
    /// And these, ascending.
    pub(crate) snapshots: Vec<u64>,
}

impl Retained {
    /// Whether some retained version lies in `[version, until)`: shows a row with that life.
    pub(crate) fn wants(&self, version: u64, until: u64) -> bool {
        let next = self.snapshots.partition_point(|snapshot| *snapshot < version);
        until > self.floor.max(version) || self.snapshots.get(next).is_some_and(|snapshot| *snapshot < until)
    }

    /// Whether `version` is readable.
    pub(crate) fn contains(&self, version: u64) -> bool {
        version >= self.floor || self.snapshots.binary_search(&version).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::rows::RunVec;

    fn layer(rows: &[(i64, i64)], marks: &[(i64, i64)], version: u64) -> MemLayer {
        let live = RowSet {
            time: rows.iter().map(|row| row.0).collect(),
            version: RunVec::constant(version, rows.len()),
            source: RunVec::constant(0, rows.len()),
            flags: RunVec::constant(0, rows.len()),
            columns: vec![(0, Values::I64(rows.iter().map(|row| row.1).collect()).into())],
            ..RowSet::default()
        };
        let mark =
            |range: &(i64, i64)| Mark { kind: MarkKind::Delete, start: range.0, end: range.1, version };
        MemLayer::new(live, marks.iter().map(mark).collect(), version, 0)
    }

    fn pairs(rows: &RowSet) -> Vec<(i64, i64)> {
        if rows.is_empty() {
            return Vec::new();
        }
        let Values::I64(values) = &rows.columns[0].1.values else { unreachable!() };
        rows.time.iter().copied().zip(values.iter().copied()).collect()
    }

    #[test]
    fn merged_layers_show_every_old_version() {
        let key = RowKey::Time;
        let all = Retained::default();
        let first = layer(&[(1, 10), (2, 20), (3, 30)], &[], 1);
        let second = layer(&[(2, 21)], &[], 2);
        let third = layer(&[(3, 32)], &[(1, 3)], 3);
        let a = first.merged(&second, &key, &all).merged(&third, &key, &all);
        let b = first.merged(&second.merged(&third, &key, &all), &key, &all);
        for merged in [a, b] {
            assert_eq!(pairs(&rows_at(&merged.live, &merged.history, 1)), [(1, 10), (2, 20), (3, 30)]);
            assert_eq!(pairs(&rows_at(&merged.live, &merged.history, 2)), [(1, 10), (2, 21), (3, 30)]);
            assert_eq!(pairs(&rows_at(&merged.live, &merged.history, 3)), [(3, 32)]);
            assert_eq!((merged.low, merged.high), (1, 3));
        }
    }

    /// Layers of every kind, merged at once, show at every version what they do merged one after another.
    #[test]
    fn many_layers_merged_at_once_are_what_they_are_one_after_another() {
        let mut state = 3u64;
        let mut random = move |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % bound) as i64
        };
        let (key, all) = (RowKey::Time, Retained::default());
        let mut followed = 0;
        for case in 0..300 {
            let mut next = 0;
            let layers: Vec<Arc<MemLayer>> = (1..2 + random(9) as u64)
                .map(|version| {
                    // Some only append; the others write and delete anywhere.
                    let start = if case % 2 == 0 || random(4) > 0 { next } else { random(20) };
                    let rows: Vec<_> =
                        (0..random(4)).map(|row| (start + row, 100 * version as i64 + row)).collect();
                    next = next.max(rows.last().map_or(next, |row| row.0 + 1));
                    let deleted = (case % 3 == 1 && random(4) == 0).then(|| (random(20), 20));
                    Arc::new(layer(&rows, deleted.as_slice(), version))
                })
                .collect();
            followed += usize::from(layers.len() > 1 && each_follows(&layers));
            let at_once = merge_layers(&layers, &|_| RowKey::Time);
            let (first, rest) = layers.split_first().expect("there is one");
            let mut stepwise = first.clone();
            for newer in rest {
                stepwise = Arc::new(stepwise.merged(newer, &key, &all));
            }
            assert_eq!((at_once.low, at_once.high), (stepwise.low, stepwise.high));
            assert_eq!(at_once.marks, stepwise.marks, "case {case}");
            for version in 0..=layers.len() as u64 {
                let of = |layer: &MemLayer| pairs(&rows_at(&layer.live, &layer.history, version));
                assert_eq!(of(&at_once), of(&stepwise), "case {case} at version {version}");
            }
        }
        assert!((50..250).contains(&followed), "both ways were taken: {followed}");
    }

    #[test]
    fn history_that_no_retained_version_shows_is_dropped() {
        let key = RowKey::Time;
        let (first, second) = (layer(&[(1, 10)], &[], 1), layer(&[(1, 11)], &[], 5));
        let kept = |floor, snapshots: &[u64]| {
            let retained = Retained { floor, snapshots: snapshots.to_vec() };
            first.merged(&second, &key, &retained).history.len()
        };
        assert_eq!(kept(0, &[]), 1);
        assert_eq!(kept(4, &[]), 1);
        assert_eq!(kept(5, &[]), 0);
        assert_eq!(kept(9, &[3]), 1);
        assert_eq!(kept(9, &[5]), 0);
        assert_eq!(kept(9, &[0]), 0);
    }
}
