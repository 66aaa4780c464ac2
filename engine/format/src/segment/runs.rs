//! Runs: the covered slots of a part in blocks that are found through anchors, and the times of rows on the grid.

use super::index::PartIndex;
use super::sealed::Checked;
use super::{Chunk, Scratch, Segment, Stream};
use crate::bytes::ByteReader;
use crate::codec::int::{self, IntScratch};
use crate::codec::int_encode;
use crate::codec::kernel::Kernels;
use crate::coverage::{Coverage, Run};
use crate::error::{FormatError, Result};
use crate::limits::{BLOCK_ROWS, TIME_MAX, TIME_MIN};
use crate::time::{DAY_NS, Timeframe};
use std::ops::Range;
use std::sync::Arc;

/// Where a block of runs stands, and what it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    /// First slot of the first run.
    pub(super) first_slot: i64,
    /// Covered slots of the part before this block.
    pub(super) first_row: u64,
    /// Covered slots in this block.
    pub(super) slots: u64,
    /// Runs in this block.
    pub(super) runs: usize,
    /// Place in the file.
    pub(super) offset: u64,
    pub(super) bytes: usize,
    pub(super) crc: u32,
}

/// Appends the payload of a block of runs: gaps before each run, then their lengths.
pub(super) fn encode(runs: &[Run], out: &mut Vec<u8>) {
    let mut end = runs[0].start;
    let mut gaps = Vec::with_capacity(runs.len());
    for run in runs {
        gaps.push(run.start - end);
        end = run.end;
    }
    let lengths: Vec<i64> = runs.iter().map(|run| run.end - run.start).collect();
    int_encode::encode(&gaps, None, out);
    int_encode::encode(&lengths, None, out);
}

/// The runs of a block, decoded: found by slot or by row.
#[derive(Debug, Default)]
pub struct RunBlock {
    /// First slot of each run.
    starts: Vec<i64>,
    /// Live rows of the part before each run, and before what follows the last.
    rows: Vec<u64>,
}

/// Where a block of runs stands among those of its part, and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPlace {
    number: usize,
    /// Byte offset in the file.
    pub offset: u64,
}

impl RunBlock {
    /// Approximate bytes of memory held.
    pub fn bytes(&self) -> usize {
        (self.starts.len() + self.rows.len()) * 8 + size_of::<Self>()
    }

    fn length(&self, run: usize) -> i64 {
        (self.rows[run + 1] - self.rows[run]) as i64
    }

    fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let lengths = self.rows.windows(2).map(|pair| (pair[1] - pair[0]) as i64);
        self.starts.iter().zip(lengths).map(|(start, length)| Run { start: *start, end: start + length })
    }

    /// One past the last covered slot.
    fn end(&self) -> i64 {
        let last = self.starts.len() - 1;
        self.starts[last] + self.length(last)
    }

    fn lies_within(&self, start_slot: i64, end_slot: i64) -> bool {
        start_slot <= self.starts[0] && self.end() <= end_slot
    }

    /// Live rows of the part that stand before a slot, as far as this block tells, and the run that says so. It is
    /// looked for from `near` on, if that is known.
    fn rows_before(&self, slot: i64, near: Option<usize>) -> (u64, usize) {
        let Some(run) = partition_near(&self.starts, near, |start| *start < slot).checked_sub(1) else {
            return (self.rows[0], 0);
        };
        (self.rows[run] + slot.abs_diff(self.starts[run]).min(self.length(run) as u64), run)
    }

    /// Appends the times of some of the block's rows, the first of which is looked for from `near` on; the run behind
    /// them.
    fn append_times(
        &self,
        timeframe: Timeframe,
        rows: Range<u64>,
        near: Option<usize>,
        kernels: &Kernels,
        out: &mut Vec<i64>,
    ) -> usize {
        let mut run = partition_near(&self.rows, near, |row| *row <= rows.start).saturating_sub(1);
        let mut row = rows.start;
        if let Some(step) = timeframe.step_ns()
            && self.fits(timeframe)
        {
            while row < rows.end {
                let end = rows.end.min(row + BLOCK_ROWS as u64);
                run = self.append_steps(timeframe, step, run, row..end, kernels, out);
                row = end;
            }
            return run;
        }
        while row < rows.end {
            let slot = self.starts[run] + (row - self.rows[run]) as i64;
            let end = self.rows[run + 1].min(rows.end);
            out.extend((slot..).take((end - row) as usize).map(|slot| timeframe.slot_start(slot)));
            (row, run) = (end, run + 1);
        }
        run
    }

    /// Whether no time of the block is beyond what 64 bits hold.
    fn fits(&self, timeframe: Timeframe) -> bool {
        let ends = [self.starts[0], self.end()];
        // What is cut off stands at the end of the range, or a phase away from it.
        let whole = i64::MIN + 7 * DAY_NS..i64::MAX - 7 * DAY_NS;
        ends.iter().all(|slot| whole.contains(&timeframe.slot_start(*slot)))
    }

    /// The same for at most a block's rows, the first of which lies in `run`; the run of the next row.
    fn append_steps(
        &self,
        timeframe: Timeframe,
        step: i64,
        mut run: usize,
        rows: Range<u64>,
        kernels: &Kernels,
        out: &mut Vec<i64>,
    ) -> usize {
        let count = (rows.end - rows.start) as usize;
        let slot = self.starts[run] + (rows.start - self.rows[run]) as i64;
        let first = timeframe.slot_start(slot);
        if self.rows[run + 1] >= rows.end {
            (kernels.rise)(first, step, count, out);
            return run + usize::from(self.rows[run + 1] == rows.end);
        }
        // Differences, longer where a run begins, and their sums: no run is short enough to cost more than another.
        let at = out.len();
        out.resize(at + count, step);
        let times = &mut out[at..];
        times[0] = 0;
        for (row, slot) in self.rows[run..].windows(2).zip(self.starts[run..].windows(2)) {
            if row[1] >= rows.end {
                break;
            }
            let missing = slot[1] - slot[0] - (row[1] - row[0]) as i64;
            times[(row[1] - rows.start) as usize] = (missing + 1) * step;
            run += 1;
        }
        (kernels.wide.sum)(first, times);
        run + usize::from(self.rows[run + 1] == rows.end)
    }
}

/// As `partition_point`, in doubling steps from a place near the answer, which spares looking at places far from it.
fn partition_near<T>(sorted: &[T], near: Option<usize>, before: impl Fn(&T) -> bool) -> usize {
    let Some(near) = near.filter(|near| *near < sorted.len()) else {
        return sorted.partition_point(before);
    };
    let (mut low, mut high, mut step) = (near, near, 1);
    if before(&sorted[near]) {
        while high < sorted.len() && before(&sorted[high]) {
            (low, high, step) = (high + 1, high + step, step * 2);
        }
        high = high.min(sorted.len());
    } else {
        while low > 0 && !before(&sorted[low]) {
            (low, high, step) = (low.saturating_sub(step), low, step * 2);
        }
    }
    low + sorted[low..high].partition_point(before)
}

/// Blocks of runs at hand while a read lasts: the one that was decoded last, as the ends of a range and the times in it
/// mostly stand in the same one, and those that the caller kept from earlier reads.
#[derive(Debug, Default)]
pub(super) struct RunBuffer {
    block: RunBlock,
    /// Of which bytes and which block in them.
    known: Option<(usize, Anchor)>,
    lent: Vec<(usize, Anchor, Arc<RunBlock>)>,
    numbers: Vec<i64>,
    /// A block, by its place in the file, and a run of it near to which the next will be looked for.
    near: Option<(u64, usize)>,
}

/// Blocks of fewer runs are decoded as fast as they would be looked up.
const KEPT_RUNS: usize = 8;

/// Blocks that are lent at a time: those of both ends of a range.
const LENT: usize = 2;

impl RunBuffer {
    /// Has to be called before it is used with another file, which may stand where one stood before.
    pub(super) fn forget(&mut self) {
        self.known = None;
        self.lent.clear();
        self.near = None;
    }

    /// Where to look for runs of a block first.
    fn near(&self, anchor: &Anchor) -> Option<usize> {
        self.near.filter(|near| near.0 == anchor.offset).map(|near| near.1)
    }

    fn block(&mut self, file: &Checked<'_>, anchor: &Anchor, scratch: &mut IntScratch) -> Result<&RunBlock> {
        let place = file.bytes.as_ptr() as usize;
        let lent = self.lent.iter().position(|lent| (lent.0, &lent.1) == (place, anchor));
        if let Some(lent) = lent {
            return Ok(&self.lent[lent].2);
        }
        if self.known != Some((place, *anchor)) {
            self.known = None;
            decode(file, anchor, scratch, &mut self.numbers, &mut self.block)?;
            self.known = Some((place, *anchor));
        }
        Ok(&self.block)
    }
}

/// Decodes one block; runs are sorted, non-empty, disjoint and not adjacent, and as many slots as the anchor says.
fn decode(
    file: &Checked<'_>,
    anchor: &Anchor,
    scratch: &mut IntScratch,
    numbers: &mut Vec<i64>,
    out: &mut RunBlock,
) -> Result<()> {
    let payload = file.unit(anchor.offset, anchor.bytes, anchor.crc)?;
    let broken = |detail: &str| FormatError::corrupt("S14", anchor.offset, detail);
    let mut reader = ByteReader::new(payload, "S14");
    out.starts.resize(anchor.runs, 0);
    numbers.resize(anchor.runs, 0);
    for numbers in [&mut out.starts, &mut *numbers] {
        int::decode_plain(&mut reader, numbers, scratch).map_err(|e| e.shifted(anchor.offset))?;
    }
    reader.finish().map_err(|e| e.shifted(anchor.offset))?;
    // Counted, as there is nearly never one: no branch in the loop.
    let positive = |numbers: &[i64]| numbers.iter().map(|number| u32::from(*number <= 0)).sum::<u32>() == 0;
    let mut bad = out.starts[0] != 0 || !positive(&out.starts[1..]) || !positive(numbers);
    // Below this, no sum of a block's numbers overflows; what is not is added up with care.
    let bits = out.starts.iter().chain(numbers.iter()).fold(0, |bits, number| bits | number.unsigned_abs());
    if bits.max(anchor.first_slot.unsigned_abs()) >= 1 << 48 {
        let mut all = out.starts.iter().zip(numbers.iter());
        let end =
            all.try_fold(anchor.first_slot, |slot, (gap, run)| slot.checked_add(*gap)?.checked_add(*run));
        bad |= end.is_none();
    }
    let (mut slot, mut row) = (anchor.first_slot, anchor.first_row);
    out.rows.clear();
    out.rows.extend(out.starts.iter_mut().zip(numbers.iter()).map(|(start, length)| {
        let before = row;
        *start = start.wrapping_add(slot);
        slot = start.wrapping_add(*length);
        row = row.wrapping_add(*length as u64);
        before
    }));
    out.rows.push(row);
    if bad {
        return Err(broken("runs are empty, adjacent or out of order"));
    }
    if row.wrapping_sub(anchor.first_row) == anchor.slots {
        Ok(())
    } else {
        Err(broken("runs do not add up to the anchor's slots"))
    }
}

impl PartIndex {
    /// The covered slots of live rows. Reads the blocks of runs, never column data.
    ///
    /// # Errors
    /// Damage to a block of runs. A part without a timeframe has no coverage: empty.
    pub fn coverage(&self, segment: &Segment<'_>) -> Result<Coverage> {
        self.coverage_within(segment, i64::MIN, i64::MAX)
    }

    /// The covered slots that lie in `[start_slot, end_slot)`. `O(log blocks)` and the blocks that meet the range.
    ///
    /// # Errors
    /// Damage to a block of runs that meets the range.
    pub fn coverage_within(&self, segment: &Segment<'_>, start_slot: i64, end_slot: i64) -> Result<Coverage> {
        let mut out = Coverage::default();
        self.each_run_within(segment, start_slot, end_slot, |run| out.push_run(run))?;
        Ok(out)
    }

    /// The same runs one by one, in order: nothing is kept of them.
    ///
    /// # Errors
    /// As [`PartIndex::coverage_within`]; runs before the damage were shown.
    pub fn each_run_within(
        &self,
        segment: &Segment<'_>,
        start_slot: i64,
        end_slot: i64,
        mut each: impl FnMut(Run),
    ) -> Result<()> {
        let mut scratch = Scratch::pooled();
        let Scratch { int, runs, .. } = &mut *scratch;
        let first = self.anchors.partition_point(|anchor| anchor.first_slot <= start_slot).saturating_sub(1);
        let later = self.anchors.get(first..).unwrap_or_default();
        for (at, anchor) in later.iter().take_while(|anchor| anchor.first_slot < end_slot).enumerate() {
            let block = runs.block(&segment.file, anchor, int)?;
            if later.get(at + 1).is_some_and(|next| next.first_slot <= block.end()) {
                let detail = "the next block of runs begins before this one ends, or right there";
                return Err(FormatError::corrupt("S14", anchor.offset, detail));
            }
            if block.lies_within(start_slot, end_slot) {
                block.runs().for_each(&mut each);
                continue;
            }
            for run in block.runs() {
                let run = Run { start: run.start.max(start_slot), end: run.end.min(end_slot) };
                if run.start < run.end {
                    each(run);
                }
            }
        }
        Ok(())
    }

    /// Number of covered slots in `[start_slot, end_slot)`, from the counts of anchors: `O(log blocks)`, and at most one
    /// block for each end that lies between runs of the part.
    ///
    /// # Errors
    /// Damage to a block of runs that is read.
    pub fn slots_within(
        &self,
        segment: &Segment<'_>,
        start_slot: i64,
        end_slot: i64,
        scratch: &mut Scratch,
    ) -> Result<u64> {
        let before = self.slots_before(segment, start_slot, scratch)?;
        let until = self.slots_before(segment, end_slot, scratch)?;
        // Whatever anchors say, no more than there are.
        Ok(until.saturating_sub(before).min(end_slot.max(start_slot).abs_diff(start_slot)))
    }

    fn slots_before(&self, segment: &Segment<'_>, slot: i64, scratch: &mut Scratch) -> Result<u64> {
        let at = self.anchors.partition_point(|anchor| anchor.first_slot < slot);
        let Some(anchor) = at.checked_sub(1).map(|at| &self.anchors[at]) else { return Ok(0) };
        let last = self.timeframe.map_or(i64::MIN, |timeframe| timeframe.slot(self.summary.last_time));
        if at == self.anchors.len() && slot > last {
            return Ok(anchor.first_row + anchor.slots);
        }
        if anchor.runs == 1 {
            return Ok(anchor.first_row + slot.abs_diff(anchor.first_slot).min(anchor.slots));
        }
        let block = scratch.runs.block(&segment.file, anchor, &mut scratch.int)?;
        Ok(block.rows_before(slot, None).0)
    }

    /// Numbers of the live rows whose times lie in `[start, end)`, found through anchors or zone maps.
    ///
    /// # Errors
    /// Damage to the blocks that are touched.
    pub fn rows_between(
        &self,
        segment: &Segment<'_>,
        start: i64,
        end: i64,
        scratch: &mut Scratch,
    ) -> Result<Range<u64>> {
        let first = self.first_row_at_or_after(segment, start, scratch)?;
        if end <= start {
            return Ok(first..first);
        }
        let last = self.first_row_at_or_after(segment, end, scratch)?;
        Ok(first..last.max(first))
    }

    fn first_row_at_or_after(&self, segment: &Segment<'_>, time: i64, scratch: &mut Scratch) -> Result<u64> {
        let number = self.live.partition_point(|chunk| chunk.last_time < time);
        let Some(place) = self.live.get(number) else { return Ok(self.summary.rows) };
        if place.first_time >= time {
            return Ok(place.first_row);
        }
        let end = place.first_row + u64::from(place.rows);
        if end <= self.grid_rows {
            // The chunk's own bounds keep the answer within it whatever the runs say.
            return Ok(self.row_of_time(segment, time, scratch)?.clamp(place.first_row, end));
        }
        let chunk = segment.chunk(self, Stream::Live, number)?;
        Ok(place.first_row + self.search_chunk(&chunk, time, scratch)?)
    }

    /// Binary search over blocks by their first time, then within one.
    fn search_chunk(&self, chunk: &Chunk<'_>, time: i64, scratch: &mut Scratch) -> Result<u64> {
        let mut block = Vec::new();
        let (mut low, mut high) = (0, chunk.rows().div_ceil(BLOCK_ROWS));
        // Blocks before `low` begin before `time`; blocks from `high` on do not.
        while low < high {
            let middle = low.midpoint(high);
            let row = middle * BLOCK_ROWS;
            block.clear();
            chunk.read_times(self, row..row + 1, &mut block, scratch)?;
            if block[0] < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let start = low.saturating_sub(1) * BLOCK_ROWS;
        block.clear();
        chunk.read_times(self, start..chunk.rows().min(start + BLOCK_ROWS), &mut block, scratch)?;
        Ok((start + block.partition_point(|row| *row < time)) as u64)
    }

    /// The slots up to which rows on the grid open before `time`, and the block of runs that tells how many there are.
    fn anchor_before(&self, time: i64) -> Option<(i64, usize)> {
        let timeframe = self.timeframe?;
        let time = time.clamp(TIME_MIN, TIME_MAX);
        let slot = timeframe.slot(time);
        let slot = if timeframe.slot_start(slot) < time { slot.saturating_add(1) } else { slot };
        let at = self.anchors.partition_point(|anchor| anchor.first_slot < slot);
        Some((slot, at.checked_sub(1)?))
    }

    /// Rows on the grid: the number of covered slots that begin before `time`.
    fn row_of_time(&self, segment: &Segment<'_>, time: i64, scratch: &mut Scratch) -> Result<u64> {
        let Some((slot, number)) = self.anchor_before(time) else { return Ok(0) };
        let anchor = &self.anchors[number];
        if anchor.runs == 1 {
            return Ok(anchor.first_row + slot.abs_diff(anchor.first_slot).min(anchor.slots));
        }
        let near = scratch.runs.near(anchor);
        let block = scratch.runs.block(&segment.file, anchor, &mut scratch.int)?;
        let (row, run) = block.rows_before(slot, near);
        // The beginning of a range is looked for first, and again for its times.
        scratch.runs.near = Some((anchor.offset, near.unwrap_or(run)));
        Ok(row)
    }

    /// The block of runs that tells which rows on the grid open before `time`, if it takes longer to decode than to keep.
    pub fn runs_before(&self, time: i64) -> Option<RunPlace> {
        let (_, number) = self.anchor_before(time)?;
        let anchor = &self.anchors[number];
        (anchor.runs >= KEPT_RUNS).then_some(RunPlace { number, offset: anchor.offset })
    }

    /// A block of runs, to be kept and [lent](Scratch::lend_runs).
    ///
    /// # Errors
    /// Damage to the block.
    pub fn run_block(
        &self,
        segment: &Segment<'_>,
        place: RunPlace,
        scratch: &mut Scratch,
    ) -> Result<RunBlock> {
        let mut block = RunBlock::default();
        let Scratch { int, runs, .. } = scratch;
        decode(&segment.file, &self.anchors[place.number], int, &mut runs.numbers, &mut block)?;
        Ok(block)
    }

    /// Appends the times of live rows that the runs imply.
    pub(super) fn grid_times(
        &self,
        file: &Checked<'_>,
        rows: Range<u64>,
        out: &mut Vec<i64>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(timeframe) = self.timeframe else {
            return Err(FormatError::corrupt("S15", self.offset, "rows on a grid without a timeframe"));
        };
        let wanted = out.len() + (rows.end - rows.start) as usize;
        let first = self.anchors.partition_point(|anchor| anchor.first_row <= rows.start).saturating_sub(1);
        let mut row = rows.start;
        let kernels = scratch.int.kernels;
        for anchor in &self.anchors[first..] {
            let end = rows.end.min(anchor.first_row + anchor.slots);
            if row >= end {
                break;
            }
            let slot = anchor.first_slot.saturating_add_unsigned(row - anchor.first_row);
            match timeframe.step_ns() {
                // A single run: the anchor tells it all.
                Some(step) if anchor.runs == 1 => {
                    (kernels.rise)(timeframe.slot_start(slot), step, (end - row) as usize, out);
                }
                _ => {
                    let near = scratch.runs.near(anchor);
                    let block = scratch.runs.block(file, anchor, &mut scratch.int)?;
                    let run = block.append_times(timeframe, row..end, near, kernels, out);
                    scratch.runs.near = Some((anchor.offset, run));
                }
            }
            row = end;
        }
        if out.len() == wanted {
            Ok(())
        } else {
            Err(FormatError::corrupt("S15", self.offset, "fewer covered slots than rows on the grid"))
        }
    }
}

impl Scratch {
    /// Lends a block of runs that was kept from an earlier read of the same file, for as long as this read lasts.
    pub fn lend_runs(
        &mut self,
        segment: &Segment<'_>,
        part: &PartIndex,
        place: RunPlace,
        block: Arc<RunBlock>,
    ) {
        let lent = &mut self.runs.lent;
        if lent.len() == LENT {
            lent.remove(0);
        }
        lent.push((segment.file.bytes.as_ptr() as usize, part.anchors[place.number], block));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PartSpec, SegmentWriter, Tier, Verified};
    use super::*;
    use crate::bytes::ByteWriter;
    use crate::checksum::Identity;
    use crate::rows::{RowSet, RunVec};
    use crate::time::MINUTE_NS;

    const IDENTITY: Identity = Identity { store: [3; 16], file: 9 };

    /// What decoding makes of gaps and lengths as they stand in a file, behind so many rows.
    fn decoded(first_slot: i64, first_row: u64, gaps: &[i64], lengths: &[i64]) -> Result<RunBlock> {
        let mut bytes = vec![0; 64];
        int_encode::encode(gaps, None, &mut bytes);
        int_encode::encode(lengths, None, &mut bytes);
        let slots = lengths.iter().fold(0u64, |sum, length| sum.wrapping_add(*length as u64));
        let anchor = Anchor {
            first_slot,
            first_row,
            slots,
            runs: gaps.len(),
            offset: 64,
            bytes: bytes.len() - 64,
            crc: 0,
        };
        let verified = Verified::trusting();
        let file = Checked { bytes: &bytes, identity: IDENTITY, verified: &verified, required: 0 };
        let mut out = RunBlock::default();
        decode(&file, &anchor, &mut IntScratch::default(), &mut Vec::new(), &mut out).map(|()| out)
    }

    /// A block of as many runs, with lengths and gaps below a bound that a seed decides.
    fn some_runs(runs: usize, bound: u64, seed: u64) -> (Vec<i64>, Vec<i64>) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + (state >> 33) % bound
        };
        let mut gaps: Vec<i64> = (0..runs).map(|_| next() as i64).collect();
        gaps[0] = 0;
        (gaps, (0..runs).map(|_| next() as i64).collect())
    }

    fn slots_of(first_slot: i64, gaps: &[i64], lengths: &[i64]) -> Vec<i64> {
        let mut slot = first_slot;
        let mut out = Vec::new();
        for (gap, length) in gaps.iter().zip(lengths) {
            slot += gap;
            out.extend(slot..slot + length);
            slot += length;
        }
        out
    }

    #[test]
    fn times_of_any_rows_are_those_of_the_slots() {
        for (runs, bound) in [(1, 5000), (2, 1), (1024, 1), (1024, 3), (700, 90), (40, 3000)] {
            let (gaps, lengths) = some_runs(runs, bound, bound);
            let slots = slots_of(-70, &gaps, &lengths);
            let block = decoded(-70, 9, &gaps, &lengths).unwrap();
            assert_eq!(block.runs().flat_map(|run| run.start..run.end).collect::<Vec<_>>(), slots);
            let count = slots.len() as u64;
            let step = (count as usize / 40).max(1);
            for start in (0..count).step_by(step).chain([count - 1]) {
                for length in [1, 2, 63, 1023, 1024, 1025, 2048, count] {
                    let rows = start..(start + length).min(count);
                    let wanted: Vec<i64> = slots[rows.start as usize..rows.end as usize].to_vec();
                    for timeframe in [Timeframe::M1, Timeframe::W1, Timeframe::Mo1] {
                        for kernels in Kernels::all() {
                            let mut found = vec![7];
                            let near = Some(length as usize % 7).filter(|near| *near > 0);
                            let behind = rows.start + 9..rows.end + 9;
                            block.append_times(timeframe, behind, near, kernels, &mut found);
                            let same = found[1..].iter().eq(wanted
                                .iter()
                                .map(|s| timeframe.slot_start(*s))
                                .collect::<Vec<_>>()
                                .iter());
                            assert!(
                                same && found[0] == 7,
                                "{runs} runs below {bound}, {rows:?} of {timeframe}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn places_are_found_from_anywhere() {
        for count in 0..40usize {
            let sorted: Vec<usize> = (0..count).map(|number| number / 2).collect();
            for bound in 0..=count {
                let wanted = sorted.partition_point(|number| *number < bound);
                for near in (0..=count).map(Some).chain([None]) {
                    assert_eq!(partition_near(&sorted, near, |number| *number < bound), wanted, "{near:?}");
                }
            }
        }
    }

    #[test]
    fn rows_before_any_slot_are_counted() {
        for (runs, bound) in [(1, 9), (300, 4), (50, 40)] {
            let (gaps, lengths) = some_runs(runs, bound, 5);
            let slots = slots_of(1000, &gaps, &lengths);
            let block = decoded(1000, 77, &gaps, &lengths).unwrap();
            for slot in 990..slots[slots.len() - 1] + 10 {
                let wanted = 77 + slots.iter().filter(|other| **other < slot).count() as u64;
                let near = [None, Some(0), Some(runs / 2), Some(runs - 1), Some(runs)];
                assert!(near.iter().all(|near| block.rows_before(slot, *near).0 == wanted), "slot {slot}");
            }
        }
    }

    /// A part of one-minute bars with so many runs, each of one bar, every third slot.
    fn part_of_runs(runs: i64) -> Vec<u8> {
        let mut writer = SegmentWriter::new(IDENTITY, Tier::Dense);
        writer.begin_part(PartSpec {
            series: 1,
            columns: Vec::new(),
            timeframe: Some(Timeframe::M1),
            unique: true,
            ohlc: None,
        });
        let count = runs as usize;
        let rows = RowSet {
            time: (0..runs).map(|run| run * 3 * MINUTE_NS).collect(),
            version: RunVec::constant(1, count),
            source: RunVec::constant(1, count),
            flags: RunVec::constant(0, count),
            ..RowSet::default()
        };
        writer.push_live(&rows, 0..count);
        writer.end_part();
        writer.finish();
        std::mem::take(writer.output())
    }

    /// Between blocks of runs at least one slot is free (S14), whatever an index says.
    #[test]
    fn a_block_of_runs_that_does_not_leave_a_slot_before_the_next_is_refused() {
        let bytes = part_of_runs(3000);
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, IDENTITY, &verified).unwrap();
        let mut part = segment.part(0).unwrap();
        assert_eq!(part.anchors.len(), 3);
        assert_eq!(part.coverage(&segment).unwrap().runs().len(), 3000);
        let begins = part.anchors[1].first_slot;
        for (earlier, good) in [(1, true), (2, false), (3, false), (600, false)] {
            part.anchors[1].first_slot = begins - earlier;
            assert_eq!(part.coverage(&segment).is_ok(), good, "{earlier} slots earlier");
        }
        let error = part.coverage(&segment).unwrap_err();
        assert_eq!((error.rule, error.offset), ("S14", part.anchors[0].offset));
    }

    /// An index that counts more slots than there are is no reason to panic, nor to say that there are so many bars.
    #[test]
    fn no_more_slots_are_counted_than_there_are() {
        let bytes = part_of_runs(3000);
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, IDENTITY, &verified).unwrap();
        let mut part = segment.part(0).unwrap();
        let mut scratch = Scratch::default();
        let mut count = |part: &PartIndex, start, end| part.slots_within(&segment, start, end, &mut scratch);
        assert_eq!(count(&part, 0, 8998).unwrap(), 3000);
        assert_eq!(count(&part, i64::MIN, i64::MAX).unwrap(), 3000);
        assert_eq!(count(&part, 9, 3).unwrap(), 0);
        part.anchors[2].slots = 1 << 40;
        let begins = part.anchors[2].first_slot;
        assert_eq!(count(&part, begins, begins + 5000).unwrap(), 5000);
        assert_eq!(
            count(&part, 8990, 8998).unwrap_err().rule,
            "S14",
            "its block is read, and says otherwise"
        );
        part.anchors[1].first_row = 0;
        assert_eq!(count(&part, 3000, 3100).unwrap(), 0, "less than before is nothing");
    }

    /// Times beyond what 64 bits hold are cut off, one by one.
    #[test]
    fn times_beyond_the_range_are_cut_off() {
        let last = i64::MAX / MINUTE_NS;
        for first in [last - 8, -last - 8, last + 5] {
            let block = decoded(first, 0, &[0, 2, 3], &[4, 1, 5]).unwrap();
            let mut found = Vec::new();
            block.append_times(Timeframe::M1, 0..10, None, Kernels::best(), &mut found);
            let slots = slots_of(first, &[0, 2, 3], &[4, 1, 5]);
            assert_eq!(found, slots.iter().map(|slot| slot.saturating_mul(MINUTE_NS)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn runs_that_are_empty_adjacent_or_overflow_are_refused() {
        assert!(decoded(5, 0, &[0, 1], &[1, 1]).is_ok());
        let cases: [(i64, &[i64], &[i64]); 9] = [
            (5, &[1, 1], &[1, 1]),
            (5, &[-1, 1], &[1, 1]),
            (5, &[0, 0], &[1, 1]),
            (5, &[0, -1], &[1, 1]),
            (5, &[0, 1], &[0, 1]),
            (5, &[0, 1], &[1, -1]),
            (i64::MAX - 3, &[0, 1], &[1, 2]),
            (i64::MAX - 3, &[0, 9], &[1, 1]),
            (0, &[0, i64::MAX, i64::MAX], &[i64::MAX, 1, i64::MAX]),
        ];
        for (first, gaps, lengths) in cases {
            let error = decoded(first, 0, gaps, lengths).unwrap_err();
            assert_eq!((error.rule, error.offset), ("S14", 64), "{first} {gaps:?} {lengths:?}");
        }
    }

    /// The runs that an anchor states are those that it is told of, or none.
    #[test]
    fn runs_have_as_many_slots_as_their_anchor_says() {
        let mut bytes = Vec::new();
        int_encode::encode(&[0, 3], None, &mut bytes);
        int_encode::encode(&[4, 5], None, &mut bytes);
        bytes.put_u8(0);
        for (slots, length, good) in [(9, 1, true), (8, 1, false), (10, 1, false), (9, 0, false)] {
            let bytes = &bytes[..bytes.len() - length];
            let anchor =
                Anchor { first_slot: 0, first_row: 0, slots, runs: 2, offset: 0, bytes: bytes.len(), crc: 0 };
            let verified = Verified::trusting();
            let file = Checked { bytes, identity: IDENTITY, verified: &verified, required: 0 };
            let found =
                decode(&file, &anchor, &mut IntScratch::default(), &mut Vec::new(), &mut RunBlock::default());
            assert_eq!(found.is_ok(), good, "{slots} slots");
        }
    }
}
