//! Coverage: which slots of a timeframe's grid hold a bar, as sorted runs.
//!
//! # Invariants
//! - C1. Runs are sorted, non-empty, disjoint and not adjacent.

/// A half-open range of slots that all hold a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First slot.
    pub start: i64,
    /// One past the last slot.
    pub end: i64,
}

impl Run {
    /// Number of slots.
    pub fn slots(&self) -> u64 {
        self.end.abs_diff(self.start)
    }
}

/// A set of slots as runs (C1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    runs: Vec<Run>,
}

impl Coverage {
    /// The runs, sorted.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs, sorted, to be kept.
    pub fn into_runs(self) -> Vec<Run> {
        self.runs
    }

    /// Number of slots in all runs.
    pub fn slots(&self) -> u64 {
        self.runs.iter().map(Run::slots).sum()
    }

    /// Adds a slot at or after the last one.
    pub fn push(&mut self, slot: i64) {
        self.push_run(Run { start: slot, end: slot + 1 });
    }

    /// Adds a run that begins at or after the start of the last one; overlapping and adjacent runs melt together.
    pub fn push_run(&mut self, run: Run) {
        if run.start >= run.end {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
            _ => self.runs.push(run),
        }
    }

    /// The runs that meet `[start, end)`, clipped to it. `O(log runs)` to find the first.
    pub fn within(&self, start: i64, end: i64) -> impl Iterator<Item = Run> + '_ {
        let first = self.runs.partition_point(|run| run.end <= start);
        self.runs[first..]
            .iter()
            .take_while(move |run| run.start < end)
            .map(move |run| Run { start: run.start.max(start), end: run.end.min(end) })
            .filter(|run| run.start < run.end)
    }

    /// The slots of either. Linear in the runs.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.runs.iter().peekable(), other.runs.iter().peekable());
        let mut out = Self { runs: Vec::with_capacity(self.runs.len().max(other.runs.len())) };
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if y.start < x.start => b.next(),
                (Some(_), _) => a.next(),
                (None, _) => b.next(),
            };
            match next {
                Some(run) => out.push_run(*run),
                None => return out,
            }
        }
    }

    /// The slots of `self` that are not in `other`. Linear in the runs.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut out = Self::default();
        let mut cuts = other.runs.iter().peekable();
        for run in &self.runs {
            let mut start = run.start;
            while cuts.next_if(|cut| cut.end <= start).is_some() {}
            for cut in cuts.clone().take_while(|cut| cut.start < run.end) {
                out.push_run(Run { start, end: cut.start.min(run.end) });
                start = start.max(cut.end);
            }
            out.push_run(Run { start, end: run.end });
        }
        out
    }
}

impl FromIterator<Run> for Coverage {
    /// Collects runs in order of their starts.
    fn from_iter<I: IntoIterator<Item = Run>>(runs: I) -> Self {
        let mut out = Self::default();
        for run in runs {
            out.push_run(run);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn cover(slots: &BTreeSet<i64>) -> Coverage {
        slots.iter().map(|slot| Run { start: *slot, end: slot + 1 }).collect()
    }

    /// A small fixed pseudo-random sequence (`SplitMix64`).
    fn sets(seed: u64) -> BTreeSet<i64> {
        let mut state = seed;
        (0..40)
            .map(|_| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((z ^ (z >> 27)) % 100) as i64 - 50
            })
            .collect()
    }

    #[test]
    fn set_operations_agree_with_sets_of_slots() {
        for seed in 0..500 {
            let (a, b) = (sets(seed), sets(seed + 10_000));
            assert_eq!(cover(&a).union(&cover(&b)), cover(&a.union(&b).copied().collect()));
            assert_eq!(cover(&a).minus(&cover(&b)), cover(&a.difference(&b).copied().collect()));
            assert_eq!(cover(&a).slots(), a.len() as u64);
            let clipped: Coverage = cover(&a).within(-10, 20).collect();
            assert_eq!(clipped, cover(&a.range(-10..20).copied().collect()));
        }
    }

    #[test]
    fn slots_pushed_one_by_one_melt_into_runs() {
        let mut coverage = Coverage::default();
        for slot in [3, 4, 4, 5, 9] {
            coverage.push(slot);
        }
        assert_eq!(coverage.runs(), [Run { start: 3, end: 6 }, Run { start: 9, end: 10 }]);
        assert_eq!(coverage.within(4, 4).next(), None, "an empty range holds nothing");
        assert_eq!(coverage.within(5, 4).next(), None, "nor one that ends before it begins");
    }
}
