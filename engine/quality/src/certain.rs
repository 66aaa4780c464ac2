//! Which returns lie within their local scale for certain: nearly all of them, at a small part of the work of saying so
//! for each.
//!
//! Eight returns in a row have 48 of those before them in common, C, so that what C says holds for the windows of all
//! eight. With C ascending, n of it there, and at most E other returns in a window (E = 61 − 48):
//! - C1. The two middle values of a window lie between C\[X\] and C\[(n + E) / 2\], X = (n + E − 1) / 2 − E.
//! - C2. An open interval in which all of X + 1 neighbours of C lie is as wide as these are apart. One that is no wider than
//!   the closest such neighbours holds at most X of C and, with the E others, no more than half of the window: the median
//!   deviation is at least half of that width.
//! - C3. Log returns are nearer to one another than simple ones by a factor between 1 / (1 + largest) and 1 / (1 + least).
//!
//! C is sorted by a network, block by block in the lanes of vectors; sorted eights are merged, and shared by their neighbours.

#![expect(
    clippy::inline_always,
    clippy::needless_bitwise_bool,
    clippy::needless_range_loop,
    reason = "kernels are compiled with the vectors of their caller, and without a branch"
)]

use crate::wide::widest;

/// Returns that are judged together.
const BLOCK: usize = 8;
/// Returns that their windows have in common.
const COMMON: usize = 48;
/// Windows of at least this many returns have them.
pub(crate) const LEAST_WIDTH: usize = COMMON + BLOCK - 1;
/// Blocks that are sorted together: those that are judged and, before them, what these look at.
const LANES: usize = 40;
const BEFORE: usize = COMMON / BLOCK;
/// Returns that are judged by one pass.
pub(crate) const CHUNK: usize = (LANES - BEFORE) * BLOCK;
/// Rounding to f32 moves each by a part in 2^24 of itself; distances are of a few of them.
const DOUBT: f32 = 4e-7;

/// A value of every block, and room for looking ahead.
type Row = [f32; LANES + BLOCK];
/// The same as integers of the same order: the compiler has the lesser and the greater of two of these for one instruction
/// each, whereas for floats it writes with masks.
type Keys = [i32; LANES + BLOCK];

/// A number that is ordered as a float is.
#[inline(always)]
fn key(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

#[inline(always)]
fn of_key(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32)
}

/// Buffers of a pass.
#[derive(Debug)]
pub(crate) struct Certain {
    /// Returns by their place in a block: NaN where there is none.
    plain: [Row; BLOCK],
    eights: [Keys; BLOCK],
    pairs: [Keys; 2 * BLOCK],
    quads: [Keys; 4 * BLOCK],
    merged: [Keys; COMMON],
    /// What windows have in common, ascending; infinite where there is none.
    common: [Row; COMMON],
    low: Row,
    high: Row,
    half: Row,
    least: Row,
    largest: Row,
    fails: [u32; LANES],
}

impl Default for Certain {
    fn default() -> Self {
        let (row, keys) = ([0.0; LANES + BLOCK], [0; LANES + BLOCK]);
        Self {
            plain: [row; BLOCK],
            eights: [keys; BLOCK],
            pairs: [keys; 2 * BLOCK],
            quads: [keys; 4 * BLOCK],
            merged: [keys; COMMON],
            common: [row; COMMON],
            low: row,
            high: row,
            half: row,
            least: row,
            largest: row,
            fails: [0; LANES],
        }
    }
}

impl Certain {
    /// The rows of `start..end`, at most [`CHUNK`], whose return may lie farther from the median of the `width` returns
    /// before than `scales` times 1.4826 median deviations; those that have no return never.
    pub(crate) fn doubtful(
        &mut self,
        returns: &[f64],
        start: usize,
        end: usize,
        width: usize,
        scales: f32,
        out: &mut Vec<usize>,
    ) {
        debug_assert!(start < end && end - start <= CHUNK && end <= returns.len());
        if width < LEAST_WIDTH || !self.fill(returns, start, end) {
            out.extend((start..end).filter(|row| !returns[*row].is_nan()));
            return;
        }
        bound(self, width - COMMON);
        for lane in 0..LANES - BEFORE {
            if self.common[COMMON - 1][lane] == f32::INFINITY {
                self.bound_some(lane, width - COMMON);
            }
        }
        judge(self, scales);
        for lane in (0..LANES - BEFORE).filter(|lane| self.fails[*lane] != 0) {
            for place in 0..BLOCK {
                let row = start + lane * BLOCK + place;
                if row < end && self.fails[lane] >> place & 1 == 1 {
                    out.push(row);
                }
            }
        }
    }

    /// Takes returns in; whether all of them are numbers of an `f32`.
    fn fill(&mut self, returns: &[f64], start: usize, end: usize) -> bool {
        let mut single = [f32::NAN; LANES * BLOCK];
        let from = start.saturating_sub(COMMON);
        let mut huge = false;
        for (single, x) in single[COMMON - (start - from)..].iter_mut().zip(&returns[from..end]) {
            *single = *x as f32;
            huge |= single.abs() == f32::INFINITY;
        }
        for (lane, eight) in single.chunks_exact(BLOCK).enumerate() {
            for (place, x) in eight.iter().enumerate() {
                self.plain[place][lane] = *x;
            }
        }
        !huge
    }

    /// Bounds of a block before which some returns are none.
    #[cold]
    fn bound_some(&mut self, lane: usize, others: usize) {
        let there = self.common.iter().take_while(|row| row[lane] < f32::INFINITY).count();
        let Some(few) = ((there + others).saturating_sub(1) / 2).checked_sub(others).filter(|_| there > 0)
        else {
            // Too little is known of the window.
            (self.low[lane], self.high[lane], self.half[lane]) = (0.0, 0.0, f32::NEG_INFINITY);
            (self.least[lane], self.largest[lane]) = (0.0, 0.0);
            return;
        };
        let at = |rank: usize| self.common[rank][lane];
        let spans = (0..there - few).map(|rank| at(rank + few) - at(rank));
        let half = spans.fold(f32::INFINITY, f32::min) / 2.0;
        (self.low[lane], self.high[lane], self.half[lane]) =
            (at(few), at(usize::midpoint(there, others)), half);
        (self.least[lane], self.largest[lane]) = (at(0), at(there - 1));
    }
}

/// Puts the lesser of two rows in the first, lane by lane.
#[inline(always)]
fn order(rows: &mut [Keys], low: usize, high: usize) {
    let (left, right) = rows.split_at_mut(high);
    let (left, right) = (&mut left[low], &mut right[0]);
    for lane in 0..LANES {
        let (x, y) = (left[lane], right[lane]);
        (left[lane], right[lane]) = (x.min(y), x.max(y));
    }
}

/// Merges sorted rows, the first `half` and the rest, which is no more: Batcher's odd-even merge from the step of `gap` on.
/// What is not there of the second half would be infinite, and stays where it is.
#[inline(always)]
fn merge(rows: &mut [Keys], half: usize, mut gap: usize) {
    while gap > 0 {
        let mut from = gap % half;
        while from + gap < rows.len() {
            let mut low = from;
            while low < from + gap && low + gap < rows.len() {
                order(rows, low, low + gap);
                low += 1;
            }
            from += 2 * gap;
        }
        gap /= 2;
    }
}

/// The first step of merging sorted rows, `first`, with those of the blocks `by` places ahead, `then`.
#[inline(always)]
fn join<const A: usize, const B: usize, const C: usize>(
    first: &[Keys; A],
    then: &[Keys; B],
    by: usize,
    out: &mut [Keys; C],
) {
    for rank in 0..A {
        if rank < B {
            let ahead = &then[rank][by..by + LANES];
            for lane in 0..LANES {
                let (x, y) = (first[rank][lane], ahead[lane]);
                (out[rank][lane], out[rank + A][lane]) = (x.min(y), x.max(y));
            }
        } else {
            out[rank] = first[rank];
        }
    }
}

#[inline(always)]
fn bound_body(all: &mut Certain, others: usize) {
    for place in 0..BLOCK {
        for lane in 0..LANES {
            let x = all.plain[place][lane];
            all.eights[place][lane] = key(if x.is_nan() { f32::INFINITY } else { x });
        }
    }
    for half in [1, 2, 4] {
        let mut from = 0;
        while from < BLOCK {
            merge(&mut all.eights[from..from + 2 * half], half, half);
            from += 2 * half;
        }
    }
    join(&all.eights, &all.eights, 1, &mut all.pairs);
    merge(&mut all.pairs, BLOCK, BLOCK / 2);
    join(&all.pairs, &all.pairs, 2, &mut all.quads);
    merge(&mut all.quads, 2 * BLOCK, BLOCK);
    join(&all.quads, &all.pairs, 4, &mut all.merged);
    merge(&mut all.merged, 4 * BLOCK, 2 * BLOCK);
    for rank in 0..COMMON {
        for lane in 0..LANES {
            all.common[rank][lane] = of_key(all.merged[rank][lane]);
        }
    }
    // C1 and C2, as if all of them were there.
    let few = (COMMON + others - 1) / 2 - others;
    (all.low, all.high) = (all.common[few], all.common[usize::midpoint(COMMON, others)]);
    (all.least, all.largest) = (all.common[0], all.common[COMMON - 1]);
    let mut closest = [f32::INFINITY; LANES];
    for rank in 0..COMMON - few {
        let (from, to) = (&all.common[rank], &all.common[rank + few]);
        for lane in 0..LANES {
            let span = to[lane] - from[lane];
            closest[lane] = if span < closest[lane] { span } else { closest[lane] };
        }
    }
    for lane in 0..LANES {
        all.half[lane] = closest[lane] / 2.0;
    }
}

widest! {
    /// Sorts what blocks have in common, and bounds the median and its deviation in their windows, in which up to `others`
    /// more returns are.
    bound = bound_body(all: &mut Certain, others: usize)
}

#[inline(always)]
fn judge_body(all: &mut Certain, scales: f32) {
    all.fails = [0; LANES];
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    for place in 0..BLOCK {
        for lane in 0..LANES - BEFORE {
            let x = all.plain[place][lane + BEFORE];
            let (low, high) = (all.low[lane], all.high[lane]);
            let distance = larger(x - low, high - x);
            let bottom = if x < low { x } else { low };
            let size = larger(larger(all.least[lane].abs(), all.largest[lane].abs()), x.abs());
            let doubt = DOUBT * size;
            let far = (distance + doubt) * (1.0 + all.largest[lane]);
            let near = scales * (all.half[lane] - doubt) * (1.0 + bottom);
            // Near −1 nothing is left of the precision of 1 + x. What is none fails nowhere.
            let fails = ((far > near) | (bottom < -0.5)) & !x.is_nan();
            all.fails[lane] |= u32::from(fails) << place;
        }
    }
}

widest! {
    /// Holds every return against the bounds of its block (C3).
    judge = judge_body(all: &mut Certain, scales: f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bars::tests::Random;

    /// Returns of which some are far, some are none, and some are alike.
    fn returns(random: &mut Random, count: usize) -> Vec<f64> {
        let (holes, far) = (20 + random.below(200), 10 + random.below(100));
        let scale = [1e-5, 1e-3, 0.05][random.below(3)];
        let one = |random: &mut Random| match (random.below(holes), random.below(far), random.below(5)) {
            (0, _, _) => f64::NAN,
            (_, 0, _) => scale * 20.0 * random.normal(),
            (_, _, 0) => 0.0,
            _ => scale * random.normal(),
        };
        (0..count).map(|_| one(random).max(-0.99)).collect()
    }

    #[test]
    fn wide_and_plain_kernels_agree_and_sort() {
        let mut random = Random(5);
        for _ in 0..50 {
            let returns = returns(&mut random, 320);
            let (mut wide, mut plain) = (Certain::default(), Certain::default());
            for all in [&mut wide, &mut plain] {
                assert!(all.fill(&returns, COMMON, 320));
            }
            bound(&mut wide, 13);
            bound_body(&mut plain, 13);
            judge(&mut wide, 11.0);
            judge_body(&mut plain, 11.0);
            assert_eq!(wide.fails, plain.fails);
            for lane in 0..LANES - BEFORE {
                let mut there: Vec<f32> =
                    returns[lane * BLOCK..][..COMMON].iter().map(|x| *x as f32).collect();
                there.iter_mut().for_each(|x| *x = if x.is_nan() { f32::INFINITY } else { *x });
                there.sort_by(f32::total_cmp);
                for all in [&wide, &plain] {
                    let sorted: Vec<f32> = all.common.iter().map(|row| row[lane]).collect();
                    assert_eq!(sorted, there);
                }
            }
        }
    }

    #[test]
    fn what_passes_is_within_the_scale_and_most_passes() {
        let mut random = Random(9);
        let (mut all, mut told) = (0, 0);
        for case in 0..60 {
            let returns = returns(&mut random, 700);
            let width = [61, 58, LEAST_WIDTH, LEAST_WIDTH - 1][case % 4];
            let mut doubtful = Vec::new();
            let (start, end) = (random.below(100), 372);
            let mut certain = Certain::default();
            certain.doubtful(&returns, start, start + CHUNK, width, 11.0, &mut doubtful);
            certain.doubtful(&returns, start + CHUNK, end + 100, width, 11.0, &mut doubtful);
            for row in start..end + 100 {
                let mut past: Vec<f64> = returns[row.saturating_sub(width)..row]
                    .iter()
                    .filter(|x| !x.is_nan())
                    .map(|x| x.ln_1p())
                    .collect();
                let x = returns[row].ln_1p();
                if x.is_nan() || past.is_empty() {
                    continue;
                }
                let (median, deviation) = crate::returns::median_and_deviation(&mut past);
                let is_told = doubtful.binary_search(&row).is_ok();
                let enough = past.len() >= width.div_ceil(2);
                assert!(is_told || !enough || (x - median).abs() <= 11.0 * deviation, "{case}, row {row}");
                (all, told) = (all + usize::from(width == 61), told + usize::from(width == 61 && is_told));
            }
        }
        assert!(told * 2 < all, "{told} of {all}");
    }
}
