//! Reading rows of one series at one version: layers put together, time by time.
//!
//! A range of time is cut into intervals in which the same layers take part. Where one layer stands alone, which is
//! nearly everywhere, its rows go straight from the blocks to the caller's buffer; only where layers overlap are they
//! read apart and laid over one another.

use std::hint::black_box;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use tapestore_format::limits::{BLOCK_ROWS, CHUNK_ROWS, STRING_BYTES};
use tapestore_format::rows::{MarkKind, ORDINAL, RowSet, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{Chunk, ChunkRef, PartIndex, Scratch, Stream, System};

use crate::cache::{Block, BlockCache, BlockPlace};
use crate::error::{Error, Result};
use crate::layer::{MemLayer, rows_at};
use crate::overlay::{Plan, RowKey};
use crate::segment::Part;
use crate::state::{Layer, SeriesState};

/// Rows that are shown at a time: few enough that the columns of bars stay in a core's own cache.
pub(crate) const SHOWN_ROWS: usize = 8 * BLOCK_ROWS;

/// Reads of at most this many rows of a chunk go through the cache, however few are shown at a time.
const CACHED_ROWS: usize = 4 * BLOCK_ROWS;

/// Room is made for at most this many rows before they are read: what a damaged index says is not believed.
const ROOM_ROWS: u64 = 1 << 20;

/// What to read of a series.
pub(crate) struct Scan<'a> {
    pub(crate) cache: &'a BlockCache,
    pub(crate) series: &'a SeriesState,
    pub(crate) version: u64,
    /// The columns wanted, with their types.
    pub(crate) columns: Vec<(ColumnId, ColumnType)>,
    /// The system columns wanted; the time is always read.
    pub(crate) system: System,
}

/// Where rows go: a buffer, how many more it takes, and what to do when it has them.
pub(crate) struct Sink<'a> {
    /// Rows are appended here.
    pub(crate) out: &'a mut RowSet,
    /// How many may be appended before `full` is called.
    pub(crate) room: usize,
    /// Whether `full` may be called earlier, where a block ends: so that no block is decoded for two buffers.
    pub(crate) early: bool,
    /// Called with the buffer when there is no room left; makes room or stops the scan.
    pub(crate) full: &'a mut dyn FnMut(&mut RowSet) -> ControlFlow<(), usize>,
}

/// An interval of time `[start, end)` and the layers, oldest first, whose rows are visible in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) layers: Vec<usize>,
}

impl Scan<'_> {
    /// Appends the rows in `[range.start, range.end)` to the sink, in order, until it stops the scan.
    pub(crate) fn run(&self, range: &Range<i64>, sink: &mut Sink<'_>) -> Result<()> {
        let mut scratch = Scratch::pooled();
        for interval in self.intervals(range)? {
            let flow = match interval.layers.as_slice() {
                [only] if self.whole(*only) => {
                    self.direct(&self.series.layers[*only], &interval, sink, &mut scratch)?
                }
                _ => self.merged(&interval, sink, &mut scratch)?,
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// All rows of a range.
    pub(crate) fn collect(&self, range: &Range<i64>) -> Result<RowSet> {
        let mut out = RowSet::with_columns(&self.columns);
        self.run(
            range,
            &mut Sink {
                out: &mut out,
                room: usize::MAX,
                early: false,
                full: &mut |_| ControlFlow::Break(()),
            },
        )?;
        Ok(out)
    }

    /// Number of rows in a range. Reads rows only where layers overlap.
    pub(crate) fn count(&self, range: &Range<i64>) -> Result<u64> {
        let mut total = 0;
        let mut scratch = Scratch::pooled();
        for interval in self.intervals(range)? {
            total += match interval.layers.as_slice() {
                [only] if self.whole(*only) => match &self.series.layers[*only] {
                    Layer::Mem(layer) => layer.live.rows_between(interval.start, interval.end).len() as u64,
                    Layer::Part(part) => {
                        self.part_rows(part, interval.start, interval.end, &mut scratch)?.count() as u64
                    }
                },
                _ => {
                    let mut rows = 0;
                    for (start, end) in self.slices(&interval)? {
                        rows += self.overlaid(&interval.layers, start, end, &mut scratch)?.len() as u64;
                    }
                    rows
                }
            };
        }
        Ok(total)
    }

    /// Whether all of a layer's live rows are visible at the version, and nothing else of it.
    pub(crate) fn whole(&self, layer: usize) -> bool {
        self.series.layers[layer].high() <= self.version
    }

    /// Whether the version may see rows of a part that later commits in it replaced.
    fn is_partial(&self, part: &Part) -> bool {
        part.summary.version_high > self.version && part.summary.history_rows > 0
    }

    fn row_key(&self) -> RowKey {
        let schema = self.series.schema_at(self.version).or_else(|| self.series.newest_schema());
        schema.map_or(RowKey::Distinct, |schema| RowKey::from(&**schema))
    }

    /// Cuts a range where the set of visible layers changes.
    pub(crate) fn intervals(&self, range: &Range<i64>) -> Result<Vec<Interval>> {
        if let [only] = &self.series.layers[..]
            && only.low() <= self.version
            && only.marks()?.is_empty()
        {
            let span = only.span_at(self.version);
            let inside =
                span.map(|(first, last)| (range.start.max(first), range.end.min(last.saturating_add(1))));
            let inside = inside.filter(|(start, end)| start < end);
            return Ok(inside
                .map(|(start, end)| Interval { start, end, layers: vec![0] })
                .into_iter()
                .collect());
        }
        let mut cuts = vec![range.start, range.end];
        let mut spans = Vec::new();
        for (index, layer) in self.series.layers.iter().enumerate() {
            if layer.low() > self.version {
                continue;
            }
            let span = layer.span_at(self.version).map(|(first, last)| (first, last.saturating_add(1)));
            let deletes = self.deletes(layer, range)?;
            cuts.extend(span.iter().chain(&deletes).flat_map(|(start, end)| [*start, *end]));
            spans.push((index, span, deletes));
        }
        cuts.retain(|cut| (range.start..=range.end).contains(cut));
        cuts.sort_unstable();
        cuts.dedup();
        let mut intervals: Vec<Interval> = Vec::new();
        for pair in cuts.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            let mut layers = Vec::new();
            for (index, span, deletes) in &spans {
                let next = deletes.partition_point(|delete| delete.1 <= start);
                if deletes.get(next).is_some_and(|delete| delete.0 <= start) {
                    layers.clear();
                }
                if span.is_some_and(|(first, after)| first < end && start < after) {
                    layers.push(*index);
                }
            }
            match intervals.last_mut() {
                Some(last) if last.end == start && last.layers == layers => last.end = end,
                _ if !layers.is_empty() => intervals.push(Interval { start, end, layers }),
                _ => {}
            }
        }
        Ok(intervals)
    }

    /// The deletions of a layer that the version sees, as sorted disjoint ranges within `range`.
    fn deletes(&self, layer: &Layer, range: &Range<i64>) -> Result<Vec<(i64, i64)>> {
        let mut deletes: Vec<(i64, i64)> = layer
            .marks()?
            .iter()
            .filter(|mark| mark.kind == MarkKind::Delete && mark.version <= self.version)
            .filter(|mark| mark.start < range.end && range.start < mark.end)
            .map(|mark| (mark.start, mark.end))
            .collect();
        deletes.sort_unstable();
        deletes.dedup_by(|next, last| {
            let touches = next.0 <= last.1;
            if touches {
                last.1 = last.1.max(next.1);
            }
            touches
        });
        Ok(deletes)
    }

    /// Live row numbers of a part in `[start, end)`. Runs that tell them are kept, and at hand for the rest of the read.
    pub(crate) fn part_rows(
        &self,
        part: &Part,
        start: i64,
        end: i64,
        scratch: &mut Scratch,
    ) -> Result<Range<u64>> {
        let (index, segment) = (part.index()?, part.file.segment()?);
        let inside =
            |time: &i64| part.live_span().is_some_and(|(first, last)| first < *time && *time <= last);
        let [first, last] =
            [start, end].map(|time| Some(time).filter(inside).and_then(|t| index.runs_before(t)));
        // Both ends of a short range mostly stand in the same block.
        for runs in first.into_iter().chain(last.filter(|last| Some(last) != first.as_ref())) {
            let place = BlockPlace::of_runs(part.file.id(), runs.offset);
            let block = match self.cache.runs(&place) {
                Some(block) => block,
                None => {
                    let block =
                        index.run_block(&segment, runs, scratch).map_err(|error| part.blame(error))?;
                    let block = Arc::new(block);
                    self.cache.add_runs(&place, &block);
                    block
                }
            };
            scratch.lend_runs(&segment, index, runs, block);
        }
        part_rows(part, start, end, scratch)
    }

    /// Rows of a single layer, straight into the sink.
    fn direct(
        &self,
        layer: &Layer,
        interval: &Interval,
        sink: &mut Sink<'_>,
        scratch: &mut Scratch,
    ) -> Result<ControlFlow<()>> {
        match layer {
            Layer::Mem(layer) => {
                let rows = layer.live.rows_between(interval.start, interval.end);
                self.copy(&layer.live, rows, sink)
            }
            Layer::Part(part) => {
                let index = part.index()?;
                let segment = part.file.segment()?;
                let wanted = self.part_rows(part, interval.start, interval.end, scratch)?;
                let count = wanted.end.saturating_sub(wanted.start).min(ROOM_ROWS) as usize;
                sink.out.make_room(count.min(sink.room));
                for (number, place, rows) in chunks_of(index, wanted) {
                    let chunk =
                        segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
                    // What is stored as it is in memory is in memory already.
                    let few = rows.len() <= CACHED_ROWS
                        && !self.columns.iter().all(|column| chunk.is_plain(column.0));
                    let mut row = rows.start;
                    while row < rows.end {
                        let stop = sink.stop(row, rows.end);
                        let piece = row..stop;
                        check_text(sink.out, piece.len())?;
                        if few {
                            self.read_cached(part, &chunk, place.offset, piece, sink.out, scratch)?;
                        } else {
                            self.read_chunk(part, &chunk, piece, sink.out, scratch)?;
                        }
                        if let flow @ ControlFlow::Break(()) = sink.appended(stop - row) {
                            return Ok(flow);
                        }
                        row = stop;
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn read_chunk(
        &self,
        part: &Part,
        chunk: &Chunk<'_>,
        rows: Range<usize>,
        out: &mut RowSet,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let blocks = rows.end.div_ceil(BLOCK_ROWS) - rows.start / BLOCK_ROWS;
        self.cache.count_bypassed((blocks * self.columns.len()) as u64);
        chunk.read(part.index()?, rows, self.system, out, scratch).map_err(|error| part.blame(error))
    }

    /// Through the cache: decoded blocks are kept.
    fn read_cached(
        &self,
        part: &Part,
        chunk: &Chunk<'_>,
        offset: u64,
        rows: Range<usize>,
        out: &mut RowSet,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let index = part.index()?;
        let columns = std::mem::take(&mut out.columns);
        let system = chunk.read(index, rows.clone(), self.system, out, scratch);
        out.columns = columns;
        system.map_err(|error| part.blame(error))?;
        let numbers = rows.start / BLOCK_ROWS..rows.end.div_ceil(BLOCK_ROWS);
        let wanted = |number: usize| {
            let first = number * BLOCK_ROWS;
            rows.start.max(first) - first..rows.end.min(first + BLOCK_ROWS) - first
        };
        // All are found before one is copied: the processor fetches the beginnings of many columns at a time.
        let mut blocks = Vec::with_capacity(numbers.len());
        for number in numbers.clone() {
            let block = self.block(part, chunk, (offset, number), &self.columns, scratch)?;
            for (id, _) in &self.columns {
                black_box(block.column(*id).map(|values| values.touch(wanted(number).start)));
            }
            blocks.push(block);
        }
        for (id, values) in &mut out.columns {
            for (number, block) in numbers.clone().zip(&blocks) {
                values.extend_from(block.column(*id).expect("decoded or known"), wanted(number));
            }
        }
        Ok(())
    }

    /// One block of some columns, from the cache or decoded and kept. A block is told by the offset of its chunk and its
    /// number.
    pub(crate) fn block(
        &self,
        part: &Part,
        chunk: &Chunk<'_>,
        (offset, number): (u64, usize),
        columns: &[(ColumnId, ColumnType)],
        scratch: &mut Scratch,
    ) -> Result<Arc<Block>> {
        let place = BlockPlace { segment: part.file.id(), offset, block: number as u32 };
        let known = self.cache.rows(&place, columns);
        let here = |id| known.as_ref().is_some_and(|block| block.column(id).is_some());
        let missing: Vec<_> = columns.iter().copied().filter(|column| !here(column.0)).collect();
        if let Some(known) = known.as_ref().filter(|_| missing.is_empty()) {
            return Ok(known.clone());
        }
        let first = number * BLOCK_ROWS;
        let rows = first..(first + BLOCK_ROWS).min(chunk.rows());
        let mut decoded = RowSet::with_columns(&missing);
        chunk
            .read(part.index()?, rows, System::NONE, &mut decoded, scratch)
            .map_err(|error| part.blame(error))?;
        Ok(self.cache.add_rows(&place, known.as_deref(), decoded.columns))
    }

    /// Rows of overlapping or partly visible layers.
    fn merged(
        &self,
        interval: &Interval,
        sink: &mut Sink<'_>,
        scratch: &mut Scratch,
    ) -> Result<ControlFlow<()>> {
        for (start, end) in self.slices(interval)? {
            let rows = self.overlaid(&interval.layers, start, end, scratch)?;
            if let flow @ ControlFlow::Break(()) = self.copy(&rows, 0..rows.len(), sink)? {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Cuts a long interval at chunk boundaries, so that overlapping layers are never held whole.
    fn slices(&self, interval: &Interval) -> Result<Vec<(i64, i64)>> {
        let mut cuts = vec![interval.start, interval.end];
        for layer in &interval.layers {
            let Layer::Part(part) = &self.series.layers[*layer] else { continue };
            let inside = |time: &i64| interval.start < *time && *time < interval.end;
            if part.summary.rows > CHUNK_ROWS as u64 {
                cuts.extend(part.index()?.live.iter().map(|chunk| chunk.first_time).filter(inside));
            }
            if self.is_partial(part) && part.summary.history_rows > CHUNK_ROWS as u64 {
                cuts.extend(part.index()?.history.iter().map(|chunk| chunk.first_time).filter(inside));
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        Ok(cuts.windows(2).map(|pair| (pair[0], pair[1])).collect())
    }

    /// The visible rows of some layers in `[start, end)`, oldest layer first, laid over one another.
    fn overlaid(&self, layers: &[usize], start: i64, end: i64, scratch: &mut Scratch) -> Result<RowSet> {
        let key = self.row_key();
        let mut result: Option<RowSet> = None;
        for layer in layers {
            let rows = self.layer_rows(&self.series.layers[*layer], &key, start, end, scratch)?;
            result = Some(match result {
                None => rows,
                Some(beneath) if beneath.is_empty() => rows,
                Some(beneath) if rows.is_empty() => beneath,
                Some(beneath) => Plan::new(&beneath, &rows, &[], &key).apply(&beneath, &rows),
            });
        }
        Ok(result.unwrap_or_default())
    }

    /// The rows of one layer in `[start, end)` that the version sees, with the wanted columns and those of the key.
    fn layer_rows(
        &self,
        layer: &Layer,
        key: &RowKey,
        start: i64,
        end: i64,
        scratch: &mut Scratch,
    ) -> Result<RowSet> {
        let mut columns = self.columns.clone();
        for id in key.columns() {
            let mut known =
                self.series.definitions.iter().rev().filter_map(|definition| definition.1.as_ref());
            let column = known.find_map(|schema| schema.column_by_id(*id));
            if let Some(column) = column.filter(|column| columns.iter().all(|wanted| wanted.0 != column.id)) {
                columns.push((column.id, column.kind));
            }
        }
        if matches!(key, RowKey::TimeAnd(_)) {
            columns.push((ORDINAL, ColumnType::I64));
        }
        let cut = |rows: &RowSet| {
            let mut out = RowSet::with_columns(&columns);
            out.extend_from(rows, rows.rows_between(start, end));
            out
        };
        let (live, history) = match layer {
            Layer::Mem(layer) => (cut(&layer.live), cut_history(layer, layer.high > self.version, &cut)),
            Layer::Part(part) => {
                let mut live = RowSet::with_columns(&columns);
                read_live(part, start, end, &mut live, scratch)?;
                let mut history = RowSet::with_columns(&columns);
                if self.is_partial(part) {
                    let seen = |life: Range<u64>| life.contains(&self.version);
                    part.each_history(&(start..end), &columns, &seen, scratch, &mut |rows| {
                        history.extend_from(rows, 0..rows.len());
                        ControlFlow::Continue(())
                    })?;
                }
                (live, history)
            }
        };
        if layer.high() <= self.version { Ok(live) } else { Ok(rows_at(&live, &history, self.version)) }
    }

    /// Copies rows that are in memory into the sink.
    fn copy(&self, from: &RowSet, rows: Range<usize>, sink: &mut Sink<'_>) -> Result<ControlFlow<()>> {
        let mut row = rows.start;
        while row < rows.end {
            let stop = rows.end.min(row.saturating_add(sink.room.min(CHUNK_ROWS)));
            check_text(sink.out, stop - row)?;
            append(sink.out, from, row..stop, self.system);
            if let flow @ ControlFlow::Break(()) = sink.appended(stop - row) {
                return Ok(flow);
            }
            row = stop;
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn cut_history(layer: &MemLayer, wanted: bool, cut: &dyn Fn(&RowSet) -> RowSet) -> RowSet {
    if wanted { cut(&layer.history) } else { RowSet::default() }
}

impl Sink<'_> {
    /// Where a piece of a chunk's rows that begins at `row` ends.
    fn stop(&self, row: usize, end: usize) -> usize {
        let stop = end.min(row.saturating_add(self.room));
        let block = stop / BLOCK_ROWS * BLOCK_ROWS;
        if self.early && stop < end && block > row { block } else { stop }
    }

    fn appended(&mut self, rows: usize) -> ControlFlow<()> {
        self.room -= rows;
        if self.room == 0 || (self.early && self.room < BLOCK_ROWS) {
            self.room = (self.full)(self.out)?;
        }
        ControlFlow::Continue(())
    }
}

/// Refuses so many more rows if the text of one column could become longer than its ends can tell.
fn check_text(out: &RowSet, rows: usize) -> Result<()> {
    for (_, column) in &out.columns {
        if let Values::Str(strings) = &column.values {
            let text = column.values.bytes() - size_of::<u32>() * strings.len();
            if text + rows * STRING_BYTES > u32::MAX as usize {
                let detail = format!("{text} bytes of text in one column at once; read a shorter range");
                return Err(Error::Limit(detail));
            }
        }
    }
    Ok(())
}

/// Appends rows with the time, the wanted system columns and the columns that `out` has.
fn append(out: &mut RowSet, from: &RowSet, rows: Range<usize>, system: System) {
    let keep = (out.version.len(), out.source.len(), out.flags.len());
    debug_assert!(system.time);
    out.extend_from(from, rows);
    let drop = |wanted: bool, length: usize| if wanted { usize::MAX } else { length };
    out.version.truncate(drop(system.version, keep.0));
    out.source.truncate(drop(system.source, keep.1));
    out.flags.truncate(drop(system.flags, keep.2));
}

/// Live row numbers of a part in `[start, end)`.
fn part_rows(part: &Part, start: i64, end: i64, scratch: &mut Scratch) -> Result<Range<u64>> {
    if let Some((first, last)) = part.live_span()
        && start <= first
        && last < end
    {
        return Ok(0..part.summary.rows);
    }
    let found = part.index()?.rows_between(&part.file.segment()?, start, end, scratch);
    found.map_err(|error| part.blame(error))
}

/// The chunks that hold some live rows of a part: number, place, and which of the chunk's own rows are meant.
pub(crate) fn chunks_of(
    index: &PartIndex,
    wanted: Range<u64>,
) -> impl Iterator<Item = (usize, &ChunkRef, Range<usize>)> {
    let end = |chunk: &ChunkRef| chunk.first_row + u64::from(chunk.rows);
    let first = index.live.partition_point(|chunk| end(chunk) <= wanted.start);
    let places = index.live.iter().enumerate().skip(first);
    places.take_while(move |(_, chunk)| chunk.first_row < wanted.end).map(move |(number, chunk)| {
        let start = wanted.start.saturating_sub(chunk.first_row) as usize;
        (number, chunk, start..(wanted.end.min(end(chunk)) - chunk.first_row) as usize)
    })
}

/// Appends the live rows of a part in `[start, end)` with all system columns and the columns that `out` has.
pub(crate) fn read_live(
    part: &Part,
    start: i64,
    end: i64,
    out: &mut RowSet,
    scratch: &mut Scratch,
) -> Result<()> {
    let index = part.index()?;
    let segment = part.file.segment()?;
    let wanted = part_rows(part, start, end, scratch)?;
    for (number, _, rows) in chunks_of(index, wanted) {
        let chunk = segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
        chunk.read(index, rows, System::ALL, out, scratch).map_err(|error| part.blame(error))?;
    }
    Ok(())
}

/// As [`read_live`], a block at a time, until `look` at what there is says that it is enough.
pub(crate) fn read_live_blocks(
    part: &Part,
    range: &Range<i64>,
    out: &mut RowSet,
    scratch: &mut Scratch,
    look: &mut dyn FnMut(&RowSet) -> ControlFlow<()>,
) -> Result<()> {
    let index = part.index()?;
    let segment = part.file.segment()?;
    let wanted = part_rows(part, range.start, range.end, scratch)?;
    for (number, _, mut rows) in chunks_of(index, wanted) {
        let chunk = segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
        while rows.start < rows.end {
            let stop = rows.end.min((rows.start / BLOCK_ROWS + 1) * BLOCK_ROWS);
            let read = chunk.read(index, rows.start..stop, System::ALL, out, scratch);
            read.map_err(|error| part.blame(error))?;
            rows.start = stop;
            if look(out).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorClass;

    /// A million rows of the longest strings, a few bytes in a file, once ended the process.
    #[test]
    fn text_beyond_what_one_column_holds_is_refused_before_it_is_read() {
        let mut out = RowSet::with_columns(&[(1, ColumnType::I64), (2, ColumnType::String)]);
        let most = u32::MAX as usize / STRING_BYTES;
        check_text(&out, most).unwrap();
        let error = check_text(&out, most + 1).unwrap_err();
        assert!(error.kind() == ErrorClass::Limit && error.to_string().contains("shorter range"), "{error}");
        let Values::Str(text) = &mut out.columns[1].1.values else { unreachable!("made above") };
        (0..2).for_each(|_| text.push(&"x".repeat(STRING_BYTES)));
        check_text(&out, most - 2).unwrap();
        check_text(&out, most - 1).unwrap_err();
        out.columns.pop();
        check_text(&out, 1 << 40).unwrap();
    }
}
