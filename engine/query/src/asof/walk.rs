//! Which right row stands before or after each of ascending left times: the kernel of joins without groups.

use tapestore::{Error, Result};

use super::NO_ROW;

/// Left rows that are checked and matched while both sides are in the nearest caches.
pub(super) const BLOCK: usize = 4096;

/// Which right row is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// The last one before the left time, or at it unless `strict`.
    Before { strict: bool },
    /// The first one after it, or at it unless `strict`.
    After { strict: bool },
}

/// How far the right side has been walked through.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    right: &'a [i64],
    from: usize,
    /// The left time before the next.
    last: i64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(right: &'a [i64]) -> Self {
        Self { right, from: 0, last: i64::MIN }
    }

    /// The rows of the next left times, at most [`BLOCK`].
    ///
    /// # Errors
    /// [`Error::Usage`] if times do not ascend.
    pub(super) fn rows(&mut self, left: &[i64], wanted: Wanted, out: &mut [u32]) -> Result<()> {
        let right_rows = self.right.len();
        // Before the first row this is NO_ROW.
        let before = |next: usize| (next as u32).wrapping_sub(1);
        let after = |next: usize| if next < right_rows { next as u32 } else { NO_ROW };
        match wanted {
            Wanted::Before { strict: false } => self.walk(left, |right, left| right <= left, before, out),
            Wanted::Before { strict: true } => self.walk(left, |right, left| right < left, before, out),
            Wanted::After { strict: false } => self.walk(left, |right, left| right < left, after, out),
            Wanted::After { strict: true } => self.walk(left, |right, left| right <= left, after, out),
        }
    }

    /// After the last of the left times.
    ///
    /// # Errors
    /// [`Error::Usage`] if right times that were not come by do not ascend.
    pub(super) fn finish(&self) -> Result<()> {
        check(ascend(&self.right[self.from.saturating_sub(1)..]))
    }

    /// Writes for each left time the first right row that does not satisfy `holds(right, left)`, as `row` wants it
    /// written.
    fn walk(
        &mut self,
        left: &[i64],
        holds: impl Fn(i64, i64) -> bool,
        row: impl Fn(usize) -> u32,
        out: &mut [u32],
    ) -> Result<()> {
        let Some(&time) = left.last() else { return Ok(()) };
        let to = self.from + crate::gallop(&self.right[self.from..], |other| holds(other, time));
        check(left[0] >= self.last)?;
        let right = &self.right[..to];
        check(match_block(left, right, self.from, holds, row, out))?;
        (self.from, self.last) = (to, time);
        Ok(())
    }
}

pub(super) fn check(ascending: bool) -> Result<()> {
    if ascending {
        return Ok(());
    }
    Err(Error::Usage("a join needs ascending times on both sides".into()))
}

/// Whether the times ascend; `out` is filled if they do.
///
/// A row is found from the one before it, so one after another the processor would wait for each: the left side is cut
/// into parts of one length that are walked side by side.
#[inline]
fn match_block(
    left: &[i64],
    right: &[i64],
    from: usize,
    holds: impl Fn(i64, i64) -> bool,
    row: impl Fn(usize) -> u32,
    out: &mut [u32],
) -> bool {
    const LANES: usize = 4;
    if !ascend(left) || !ascend(&right[from.saturating_sub(1)..]) {
        return false;
    }
    let part = left.len() / LANES;
    let mut next = [from; LANES];
    if part > 0 {
        for lane in 1..LANES {
            let time = left[lane * part];
            next[lane] += right[from..].partition_point(|other| holds(*other, time));
        }
        let lefts: [&[i64]; LANES] = std::array::from_fn(|lane| &left[lane * part..][..part]);
        let mut outs = out.chunks_exact_mut(part);
        let outs: [&mut [u32]; LANES] = std::array::from_fn(|_| outs.next().expect("as many parts as lanes"));
        for place in 0..part {
            for lane in 0..LANES {
                let time = lefts[lane][place];
                next[lane] = advance(right, next[lane], |other| holds(other, time));
                outs[lane][place] = row(next[lane]);
            }
        }
    }
    let mut next = next[LANES - 1];
    for (time, out) in left.iter().zip(out).skip(part * LANES) {
        next = advance(right, next, |other| holds(other, *time));
        *out = row(next);
    }
    true
}

/// Whether times ascend. Nearly always they do: a thousand are compared before an answer is looked at.
#[inline]
pub(super) fn ascend(times: &[i64]) -> bool {
    const MANY: usize = 1024;
    (1..times.len()).step_by(MANY).all(|from| {
        let to = (from + MANY).min(times.len());
        let pairs = times[from - 1..to - 1].iter().zip(&times[from..to]);
        pairs.filter(|(time, next)| time > next).count() == 0
    })
}

/// Times that are compared at once: counted rather than branched on, since no processor predicts which side comes next.
const WIDTH: usize = 4;

/// The first index from `from` on whose time does not satisfy `holds`.
#[inline]
fn advance(times: &[i64], from: usize, holds: impl Fn(i64) -> bool) -> usize {
    if let Some(next) = times[from..].first_chunk::<WIDTH>() {
        let count = next.iter().map(|time| usize::from(holds(*time))).sum::<usize>();
        if count < WIDTH {
            return from + count;
        }
    }
    advance_far(times, from, holds)
}

/// The same where it is further away: a few steps more, then doubling ones, so that a sparse left side costs a search
/// each.
#[cold]
#[inline(never)]
fn advance_far(times: &[i64], from: usize, holds: impl Fn(i64) -> bool) -> usize {
    const STEPS: usize = 3;
    let mut at = from;
    for next in times[from..].as_chunks::<WIDTH>().0.iter().take(STEPS) {
        let count = next.iter().map(|time| usize::from(holds(*time))).sum::<usize>();
        at += count;
        if count < WIDTH {
            return at;
        }
    }
    at + crate::gallop(&times[at..], holds)
}
