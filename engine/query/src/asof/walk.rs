//! Which right row stands before or after each of ascending left times: the kernel of joins without groups.

use tapestore::{Error, Result};

use super::NO_ROW;

/// Left rows that are checked and matched while both sides are in the nearest caches.
pub(super) const BLOCK: usize = 4096;

/// Left times that are compared at once with so many right ones each, counted rather than branched on: no processor
/// predicts which side comes next.
pub(super) const GROUP: usize = 4;
pub(super) const NEAR: usize = 8;

/// Which right row is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// The last one before the left time, or at it unless `strict`.
    Before { strict: bool },
    /// The first one after it, or at it unless `strict`.
    After { strict: bool },
}

impl Wanted {
    /// Turns how many of `count` right rows are passed by into the row that is wanted.
    fn settle(self, rows: &mut [u32], count: usize) {
        match self {
            // Before the first row this is NO_ROW.
            Self::Before { .. } => rows.iter_mut().for_each(|row| *row = row.wrapping_sub(1)),
            Self::After { .. } => {
                rows.iter_mut().for_each(|row| *row = if *row == count as u32 { NO_ROW } else { *row });
            }
        }
    }
}

/// How far the right side has been walked through.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    right: &'a [i64],
    wanted: Wanted,
    /// Right rows that the left times so far pass by.
    passed: usize,
    /// The left time before the next.
    last: i64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(right: &'a [i64], wanted: Wanted) -> Self {
        Self { right, wanted, passed: 0, last: i64::MIN }
    }

    /// The rows of the next left times, at most [`BLOCK`].
    ///
    /// # Errors
    /// [`Error::Usage`] if times do not ascend.
    pub(super) fn rows(&mut self, left: &[i64], out: &mut [u32]) -> Result<()> {
        match self.wanted {
            Wanted::Before { strict: false } | Wanted::After { strict: true } => {
                self.block::<true>(left, out)
            }
            Wanted::Before { strict: true } | Wanted::After { strict: false } => {
                self.block::<false>(left, out)
            }
        }
    }

    /// After the last of the left times.
    ///
    /// # Errors
    /// [`Error::Usage`] if right times that were not come by do not ascend.
    pub(super) fn finish(&self) -> Result<()> {
        check(self.right[self.passed.saturating_sub(1)..].is_sorted())
    }

    fn block<const EQUAL: bool>(&mut self, left: &[i64], out: &mut [u32]) -> Result<()> {
        let (Some(&first), Some(&last)) = (left.first(), left.last()) else { return Ok(()) };
        let (right, from) = (self.right, self.passed);
        let to = from + crate::gallop(&right[from..], |right| passes::<EQUAL>(right, last));
        check(first >= self.last && left.is_sorted() && right[from.saturating_sub(1)..to].is_sorted())?;
        pass::<EQUAL>(left, right, from, out);
        self.wanted.settle(out, right.len());
        (self.passed, self.last) = (to, last);
        Ok(())
    }
}

pub(super) fn check(ascending: bool) -> Result<()> {
    if ascending {
        return Ok(());
    }
    Err(Error::Usage("a join needs ascending times on both sides".into()))
}

/// Whether a left time passes by a right one: the one before it, and with `EQUAL` the one at it.
fn passes<const EQUAL: bool>(right: i64, left: i64) -> bool {
    if EQUAL { right <= left } else { right < left }
}

/// Writes how many right rows each left time passes by; no fewer than `from`.
fn pass<const EQUAL: bool>(left: &[i64], right: &[i64], from: usize, out: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked for it.
        return unsafe { super::walk_avx2::pass::<EQUAL>(left, right, from, out) };
    }
    side_by_side::<EQUAL>(left, right, from, out, counts::<EQUAL>);
}

/// [`pass`] with a way to count how many of a few right rows each of a few left times passes by.
///
/// One is found from the one before it, so one after another the processor would wait for each: the left side is cut into
/// parts of one length that are walked side by side.
#[expect(clippy::inline_always, reason = "it is compiled for the instructions of whoever calls it")]
#[inline(always)]
pub(super) fn side_by_side<const EQUAL: bool>(
    left: &[i64],
    right: &[i64],
    from: usize,
    out: &mut [u32],
    counts: impl Fn(&[i64; GROUP], &[i64; NEAR]) -> [u32; GROUP],
) {
    let (left, left_rest) = left.as_chunks::<GROUP>();
    let (out, out_rest) = out.as_chunks_mut::<GROUP>();
    let mut group = |place: usize, passed: usize| {
        if let Some(near) = right[passed..].first_chunk::<NEAR>() {
            let counts = counts(&left[place], near);
            let last = counts[GROUP - 1] as usize;
            if last < NEAR {
                out[place] = counts.map(|count| passed as u32 + count);
                return passed + last;
            }
        }
        one_by_one::<EQUAL>(&left[place], right, passed, &mut out[place])
    };
    let part = left.len() / 4;
    let begin = |place: usize| {
        let first = left.get(place).map_or(i64::MIN, |group| group[0]);
        from + crate::gallop(&right[from..], |right| passes::<EQUAL>(right, first))
    };
    let [mut a, mut b, mut c, mut d] = [from, begin(part), begin(2 * part), begin(3 * part)];
    for place in 0..part {
        a = group(place, a);
        b = group(part + place, b);
        c = group(2 * part + place, c);
        d = group(3 * part + place, d);
    }
    for place in 4 * part..left.len() {
        d = group(place, d);
    }
    one_by_one::<EQUAL>(left_rest, right, d, out_rest);
}

/// How many of the near right rows each left time passes by.
pub(super) fn counts<const EQUAL: bool>(left: &[i64; GROUP], near: &[i64; NEAR]) -> [u32; GROUP] {
    left.map(|left| near.iter().map(|right| u32::from(passes::<EQUAL>(*right, left))).sum())
}

/// Where many right rows lie between one left time and the next, or few are left: some steps of a few rows, then doubling
/// ones, so that a sparse left side costs a search each. Returns how many rows the last one passes by.
#[cold]
#[inline(never)]
fn one_by_one<const EQUAL: bool>(left: &[i64], right: &[i64], from: usize, out: &mut [u32]) -> usize {
    let mut passed = from;
    for (left, out) in left.iter().zip(out) {
        let passes = |right: i64| passes::<EQUAL>(right, *left);
        let mut near = right[passed..].as_chunks::<4>().0.iter().take(4);
        let far = near.all(|near| {
            let count = near.iter().map(|right| usize::from(passes(*right))).sum::<usize>();
            passed += count;
            count == near.len()
        });
        if far {
            passed += crate::gallop(&right[passed..], passes);
        }
        *out = passed as u32;
    }
    passed
}
