//! What every commit does, as a function of its number: so each process knows every version without being told.
//!
//! A store has four series with a ring of minutes each. Commit `v` writes values that no other commit writes, so a
//! version that is a mix of two, or misses a commit, is never taken for another.

use std::collections::BTreeMap;
use std::rc::Rc;

/// Series of a store.
pub(crate) const SERIES: usize = 4;
/// Minutes that a series may have.
pub(crate) const MINUTES: usize = 120;
/// Versions whose content is kept.
const KEPT: u64 = 80;

/// The value at each minute of each series.
pub(crate) type Content = [[Option<f64>; MINUTES]; SERIES];

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What a commit does to one series: first a range goes, then rows are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) series: usize,
    pub(crate) deleted: Option<(usize, usize)>,
    pub(crate) rows: Vec<(usize, f64)>,
}

/// What a commit does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Commit {
    /// Changes some series; the first commit creates all of them.
    Write(Vec<Change>),
    /// Goes back to the content of an older version.
    Rollback(u64),
}

/// The commit that makes version `version`.
pub(crate) fn commit(seed: u64, version: u64) -> Commit {
    let mut random = Random(seed ^ version.wrapping_mul(0x2545_f491_4f6c_dd1d));
    if version > 6 && version % 13 == 7 {
        return Commit::Rollback(version - 2 - random.below(3));
    }
    let first = random.below(SERIES as u64) as usize;
    let count = if version == 1 { SERIES } else { 1 + random.below(3) as usize };
    let change = |number: usize| {
        let deleted = (version > 1 && random.below(5) == 0).then(|| {
            let start = random.below(MINUTES as u64 - 1) as usize;
            (start, (start + 1 + random.below(20) as usize).min(MINUTES))
        });
        let mut rows: BTreeMap<usize, f64> = BTreeMap::new();
        for _ in 0..=random.below(7) {
            let minute = random.below(MINUTES as u64) as usize;
            rows.insert(minute, version as f64 + minute as f64 / 1000.0);
        }
        Change { series: (first + number) % SERIES, deleted, rows: rows.into_iter().collect() }
    };
    Commit::Write((0..count).map(change).collect())
}

/// The content of versions, made as they are asked for.
#[derive(Debug)]
pub(crate) struct History {
    seed: u64,
    newest: u64,
    kept: BTreeMap<u64, Rc<Content>>,
}

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let empty = Rc::new([[None; MINUTES]; SERIES]);
        Self { seed, newest: 0, kept: [(0, empty)].into() }
    }

    /// The content of a version.
    pub(crate) fn at(&mut self, version: u64) -> Rc<Content> {
        if let Some(content) = self.kept.get(&version) {
            return Rc::clone(content);
        }
        if version < self.newest {
            // Long gone: all of it once more.
            let mut again = Self::new(self.seed);
            again.advance(version);
            return again.at(version);
        }
        self.advance(version);
        Rc::clone(&self.kept[&version])
    }

    fn advance(&mut self, version: u64) {
        while self.newest < version {
            let next = self.newest + 1;
            let content = match commit(self.seed, next) {
                Commit::Rollback(to) => Rc::clone(&self.kept[&to]),
                Commit::Write(changes) => {
                    let mut content = *self.kept[&self.newest];
                    for change in changes {
                        let series = &mut content[change.series];
                        if let Some((start, end)) = change.deleted {
                            series[start..end].fill(None);
                        }
                        for (minute, value) in change.rows {
                            series[minute] = Some(value);
                        }
                    }
                    Rc::new(content)
                }
            };
            self.kept.insert(next, content);
            self.newest = next;
            let floor = next.saturating_sub(KEPT);
            self.kept.retain(|version, _| *version >= floor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_changes_something_and_old_versions_are_made_again() {
        let mut history = History::new(9);
        let mut all = Vec::new();
        for version in 0..300 {
            all.push(history.at(version));
        }
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
        for version in [0, 1, 7, 20, 150, 219] {
            assert_eq!(history.at(version), all[version as usize], "version {version}");
        }
    }
}
