//! Runs: the covered slots of a part in blocks that are found through anchors, and the times of rows on the grid.

use super::index::PartIndex;
use super::sealed::Checked;
use super::{Chunk, Scratch, Segment, Stream};
use crate::bytes::ByteReader;
use crate::codec::int::{self, IntScratch};
use crate::codec::int_encode;
use crate::coverage::{Coverage, Run};
use crate::error::{FormatError, Result};
use crate::limits::{BLOCK_ROWS, TIME_MAX, TIME_MIN};
use std::ops::Range;

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

/// The runs of the block that was decoded last: the ends of a range and the times in it mostly stand in the same one.
#[derive(Debug, Default)]
pub(super) struct RunBuffer {
    runs: Vec<Run>,
    /// Of which bytes and which block in them.
    known: Option<(usize, Anchor)>,
}

impl RunBuffer {
    /// Has to be called before it is used with another file, which may stand where one stood before.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    fn block(&mut self, file: &Checked<'_>, anchor: &Anchor, scratch: &mut IntScratch) -> Result<&[Run]> {
        let key = (file.bytes.as_ptr() as usize, *anchor);
        if self.known != Some(key) {
            self.known = None;
            decode(file, anchor, scratch, &mut self.runs)?;
            self.known = Some(key);
        }
        Ok(&self.runs)
    }
}

/// Decodes one block; runs are sorted, non-empty, disjoint and not adjacent, and as many slots as the anchor says.
pub(super) fn decode(
    file: &Checked<'_>,
    anchor: &Anchor,
    scratch: &mut IntScratch,
    runs: &mut Vec<Run>,
) -> Result<()> {
    let payload = file.unit(anchor.offset, anchor.bytes, anchor.crc)?;
    let broken = |detail: &str| FormatError::corrupt("S14", anchor.offset, detail);
    let mut reader = ByteReader::new(payload, "S14");
    // Mostly there are few: clearing a block's worth would take longer than decoding them.
    let mut numbers = vec![0; anchor.runs * 2];
    let (gaps, lengths) = numbers.split_at_mut(anchor.runs);
    for numbers in [&mut *gaps, &mut *lengths] {
        int::decode_plain(&mut reader, numbers, scratch).map_err(|e| e.shifted(anchor.offset))?;
    }
    reader.finish().map_err(|e| e.shifted(anchor.offset))?;
    runs.clear();
    let (mut end, mut slots) = (anchor.first_slot, 0u64);
    for (index, (gap, length)) in gaps.iter().zip(lengths.iter()).enumerate() {
        let valid_gap = if index == 0 { *gap == 0 } else { *gap > 0 };
        let start = end.checked_add(*gap).filter(|_| valid_gap);
        let run = start.and_then(|start| Some(Run { start, end: start.checked_add(*length)? }));
        let Some(run) = run.filter(|run| run.start < run.end) else {
            return Err(broken("runs are empty, adjacent or out of order"));
        };
        end = run.end;
        slots = slots.saturating_add(run.slots());
        runs.push(run);
    }
    if slots == anchor.slots { Ok(()) } else { Err(broken("runs do not add up to the anchor's slots")) }
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
        let mut scratch = Scratch::pooled();
        let Scratch { int, runs, .. } = &mut *scratch;
        let first = self.anchors.partition_point(|anchor| anchor.first_slot <= start_slot).saturating_sub(1);
        for anchor in self.anchors[first..].iter().take_while(|anchor| anchor.first_slot < end_slot) {
            for run in runs.block(&segment.file, anchor, int)? {
                out.push_run(Run { start: run.start.max(start_slot), end: run.end.min(end_slot) });
            }
        }
        Ok(out)
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

    /// Rows on the grid: the number of covered slots that begin before `time`.
    fn row_of_time(&self, segment: &Segment<'_>, time: i64, scratch: &mut Scratch) -> Result<u64> {
        let Some(timeframe) = self.timeframe else { return Ok(0) };
        let time = time.clamp(TIME_MIN, TIME_MAX);
        let slot = timeframe.slot(time);
        let slot = if timeframe.slot_start(slot) < time { slot.saturating_add(1) } else { slot };
        let at = self.anchors.partition_point(|anchor| anchor.first_slot < slot);
        let Some(anchor) = at.checked_sub(1).and_then(|at| self.anchors.get(at)) else { return Ok(0) };
        let runs = scratch.runs.block(&segment.file, anchor, &mut scratch.int)?;
        let before = runs.iter().take_while(|run| run.start < slot);
        let slots: u64 = before.map(|run| run.end.min(slot).abs_diff(run.start)).sum();
        Ok(anchor.first_row + slots)
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
        let mut next = rows.start;
        let rise = scratch.int.kernels.rise;
        for anchor in &self.anchors[first..] {
            if next >= rows.end {
                break;
            }
            let mut row = anchor.first_row;
            for run in scratch.runs.block(file, anchor, &mut scratch.int)? {
                let end = row + run.slots();
                if end > next {
                    let slot = run.start + (next - row) as i64;
                    let count = end.min(rows.end) - next;
                    match timeframe.step_ns() {
                        Some(step) => rise(timeframe.slot_start(slot), step, count as usize, out),
                        None => {
                            let slots = slot..slot + count as i64;
                            out.extend(slots.map(|slot| timeframe.slot_start(slot)));
                        }
                    }
                    next += count;
                    if next >= rows.end {
                        break;
                    }
                }
                row = end;
            }
        }
        if out.len() == wanted {
            Ok(())
        } else {
            Err(FormatError::corrupt("S15", self.offset, "fewer covered slots than rows on the grid"))
        }
    }
}
