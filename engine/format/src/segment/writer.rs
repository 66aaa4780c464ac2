//! Writing segments: rows in, bytes out, in one pass.

use std::cell::Cell;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use super::chunk::{CHUNK_MAGIC, Heads, Key};
use super::column_encode::{self, Coded, Encoded, Ways};
use super::group_encode;
use super::index::{ChunkRef, ENTRY_BYTES, Footer, PartEntry, PartIndex};
use super::runs::{self, Anchor};
use super::sealed::{seal, sealed_bytes};
use super::{PartSpec, PartSummary, SegmentSummary, Stream, Tier};
use crate::bytes::ByteWriter;
use crate::checksum::Identity;
use crate::codec::int_encode::Forms;
use crate::coverage::Coverage;
use crate::header::{FileHeader, FileKind, features};
use crate::limits::{ALIGNMENT, BLOCK_ROWS, CHECKED_BYTES, CHUNK_ROWS, TIME_MAX, TIME_MIN};
use crate::rows::{ColumnValues, Mark, RowSet, RunVec, Values};
use crate::schema::{ColumnId, ColumnType};
use crate::spare;

/// Writes a segment into memory that the caller drains: see [`SegmentWriter::output`].
///
/// Calls come in this order: any number of parts (begin, rows and marks in any mixture, end), then `finish`.
pub struct SegmentWriter {
    identity: Identity,
    tier: Tier,
    holds: Holds,
    lacks_factors: Cell<bool>,
    /// Chunks whose rows all lie before this time are cold, whatever the tier.
    cold_before: i64,
    out: Vec<u8>,
    /// Bytes of the file so far, drained ones included.
    position: u64,
    hasher: Box<Xxh3>,
    entries: Vec<PartEntry>,
    parts: Vec<PartSummary>,
    part: Option<Part>,
}

/// The part being written.
struct Part {
    index: PartIndex,
    live: RowSet,
    history: RowSet,
    coverage: Coverage,
    /// All live rows so far open on the grid, each after the one before.
    grid: bool,
    last_time: i64,
    versions: Option<(u64, u64)>,
}

impl Part {
    fn saw(&mut self, low: u64, high: u64) {
        let (before_low, before_high) = self.versions.unwrap_or((low, high));
        self.versions = Some((before_low.min(low), before_high.max(high)));
    }

    fn saw_runs(&mut self, versions: &RunVec<u64>, range: Range<usize>) {
        for (_, version) in versions.pieces(range) {
            self.saw(version, version);
        }
    }
}

/// What a segment holds that its header has to announce, before any part is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Chunks that are cold by their age: see [`SegmentWriter::cold_before`].
    pub aging: bool,
    /// Parts without a timeframe, whose rows may tell of one side each, in turn.
    pub ticks: bool,
    /// Prices that are decimals times a factor: see [`SegmentWriter::lacks_factors`].
    pub factors: bool,
}

impl SegmentWriter {
    /// A writer whose output begins with the file's header.
    pub fn new(identity: Identity, tier: Tier) -> Self {
        Self::holding(identity, tier, Holds::default())
    }

    /// A writer of a segment that holds what not every segment does.
    pub fn holding(identity: Identity, tier: Tier, holds: Holds) -> Self {
        let may_code = match tier {
            Tier::Cold => true,
            Tier::Dense => holds.aging || holds.ticks,
            Tier::Hot => holds.aging,
        };
        let coded = if may_code { features::CODED | features::LANES } else { 0 };
        let required = coded
            | if holds.ticks { features::ALTERNATE } else { 0 }
            | if holds.factors { features::FACTORS | features::SINGLES } else { 0 }
            | if tier == Tier::Hot && !holds.aging { 0 } else { features::DIGITS };
        let mut writer = Self {
            identity,
            tier,
            holds,
            lacks_factors: Cell::new(false),
            cold_before: i64::MIN,
            out: Vec::new(),
            position: 0,
            hasher: Box::default(),
            entries: Vec::new(),
            parts: Vec::new(),
            part: None,
        };
        writer.emit(&FileHeader { required, ..FileHeader::new(FileKind::Segment, identity) }.encode());
        writer
    }

    /// From here on, chunks whose rows all lie before `time` are written as [`Tier::Cold`]. Only for a writer that
    /// [holds](Holds::aging) such: the header has to say it.
    pub fn cold_before(&mut self, time: i64) {
        self.cold_before = time;
    }

    /// Whether chunks so far would be smaller if the segment [held](Holds::factors) prices with factors. It is known only
    /// when they are written, and announced before: whoever wants the smaller segment writes it once more.
    pub fn lacks_factors(&self) -> bool {
        self.lacks_factors.get()
    }

    /// Bytes produced since the caller last cleared it. To be drained after every call, or at the end.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.hasher.update(bytes);
        self.position += bytes.len() as u64;
    }

    fn align(&mut self) {
        let padding = self.position.next_multiple_of(ALIGNMENT as u64) - self.position;
        self.emit(&[0; ALIGNMENT][..padding as usize]);
    }

    fn part(&mut self) -> &mut Part {
        self.part.as_mut().expect("a part was begun")
    }

    /// Begins the part of a series, higher than all before.
    pub fn begin_part(&mut self, spec: PartSpec) {
        assert!(self.part.is_none(), "the part before was ended");
        assert!(self.parts.last().is_none_or(|last| last.series < spec.series), "series ascend");
        self.align();
        let summary = PartSummary {
            series: spec.series,
            part: self.parts.len() as u32,
            rows: 0,
            history_rows: 0,
            first_time: 0,
            last_time: -1,
            history_first_time: 0,
            history_last_time: -1,
            version_low: 0,
            version_high: 0,
            marks: 0,
            bytes: 0,
        };
        let live = spare::take_rows(&spec.columns);
        let history = RowSet::with_columns(&spec.columns);
        let index = PartIndex {
            summary,
            columns: spec.columns,
            timeframe: spec.timeframe,
            unique: spec.unique,
            on_grid: false,
            live: Vec::new(),
            history: Vec::new(),
            marks: Vec::new(),
            ohlc: spec.ohlc,
            grid_rows: 0,
            anchors: Vec::new(),
            heads: Heads::default(),
            start: self.position,
            offset: 0,
            end: 0,
        };
        self.part = Some(Part {
            grid: index.timeframe.is_some() && index.unique,
            index,
            live,
            history,
            coverage: Coverage::default(),
            last_time: i64::MIN,
            versions: None,
        });
    }

    /// Adds live rows, in order of time, after those before. A column that `rows` lacks is null.
    pub fn push_live(&mut self, rows: &RowSet, range: Range<usize>) {
        let mut start = range.start;
        while start < range.end {
            let part = self.part();
            let end = range.end.min(start + CHUNK_ROWS - part.live.len());
            part.live.extend_from(rows, start..end);
            part.saw_runs(&rows.version, start..end);
            start = end;
            if part.live.len() == CHUNK_ROWS {
                self.flush(Stream::Live);
            }
        }
    }

    /// Adds history rows, with `until`, in order of time.
    pub fn push_history(&mut self, rows: &RowSet, range: Range<usize>) {
        let mut start = range.start;
        while start < range.end {
            let part = self.part();
            let end = range.end.min(start + CHUNK_ROWS - part.history.len());
            part.history.extend_from(rows, start..end);
            part.saw_runs(&rows.version, start..end);
            part.saw_runs(&rows.until, start..end);
            start = end;
            if part.history.len() == CHUNK_ROWS {
                self.flush(Stream::History);
            }
        }
    }

    /// Adds a mark.
    pub fn push_mark(&mut self, mark: Mark) {
        let part = self.part();
        part.saw(mark.version, mark.version);
        part.index.marks.push(mark);
    }

    /// Notes the slots of new live rows; tells whether all rows so far, these included, are on the grid.
    fn cover(part: &mut Part) -> bool {
        let Some(timeframe) = part.index.timeframe else { return false };
        for time in &part.live.time {
            let within = (*time).clamp(TIME_MIN, TIME_MAX);
            part.coverage.push(timeframe.slot(within));
            part.grid &= *time > part.last_time && timeframe.on_grid(within) && *time == within;
            part.last_time = *time;
        }
        part.grid
    }

    /// Writes a chunk of the rows that are waiting.
    fn flush(&mut self, stream: Stream) {
        let mut part = self.part.take().expect("a part was begun");
        let rows = match stream {
            Stream::Live => &part.live,
            Stream::History => &part.history,
        };
        if rows.is_empty() {
            self.part = Some(part);
            return;
        }
        let grid = stream == Stream::Live && Self::cover(&mut part);
        let rows = match stream {
            Stream::Live => &mut part.live,
            Stream::History => &mut part.history,
        };
        self.align();
        let chunks = part.index.chunks(stream);
        let chunk = ChunkRef {
            offset: self.position,
            first_row: chunks.last().map_or(0, |last| last.first_row + u64::from(last.rows)),
            rows: rows.len() as u32,
            first_time: rows.time[0],
            last_time: rows.time[rows.len() - 1],
        };
        let series = part.index.summary.series;
        let number = chunks.len();
        let at = self.out.len();
        self.encode_chunk(series, stream, number, &chunk, rows, !grid, &part.index);
        rows.clear();
        self.hasher.update(&self.out[at..]);
        self.position += (self.out.len() - at) as u64;
        match stream {
            Stream::Live => {
                part.index.live.push(chunk);
                if grid {
                    part.index.grid_rows = chunk.first_row + u64::from(chunk.rows);
                }
            }
            Stream::History => part.index.history.push(chunk),
        }
        self.part = Some(part);
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one chunk, used once")]
    fn encode_chunk(
        &mut self,
        series: u32,
        stream: Stream,
        number: usize,
        chunk: &ChunkRef,
        rows: &mut RowSet,
        with_time: bool,
        index: &PartIndex,
    ) {
        let count = rows.len();
        let tier = if chunk.last_time < self.cold_before { Tier::Cold } else { self.tier };
        let alternate = self.holds.ticks && index.timeframe.is_none();
        let ways = Ways {
            tier,
            forms: if alternate { Forms::ALL } else { Forms::EVERYWHERE },
            coded: match tier {
                Tier::Cold => Coded::IfSmaller,
                // Rows of one time have no times of their own that would tell which tier this is.
                Tier::Dense if alternate && chunk.first_time < chunk.last_time => Coded::ByAnEighth,
                _ => Coded::Never,
            },
            factors: self.holds.factors,
            gain: &self.lacks_factors,
        };
        let mut columns: Vec<Encoded> = Vec::new();
        let mut system = |key, numbers: Vec<i64>| {
            let numbers = ColumnValues::from(Values::I64(numbers));
            let coded = match ways.coded {
                // Times tell a reader which tier this is.
                Coded::IfSmaller if key == Key::Time && count >= BLOCK_ROWS => Coded::OrMarked,
                Coded::ByAnEighth if key == Key::Time && count >= BLOCK_ROWS => Coded::ByAQuarter,
                Coded::ByAnEighth => Coded::Never,
                coded => coded,
            };
            columns.push(column_encode::encode(key, ColumnType::I64, &numbers, Ways { coded, ..ways }));
            if let Values::I64(numbers) = numbers.values {
                spare::give(numbers);
            }
        };
        if with_time {
            system(Key::Time, std::mem::take(&mut rows.time));
        }
        system(Key::Version, expand(&rows.version, |version| version as i64));
        if stream == Stream::History {
            system(Key::Until, expand(&rows.until, |version| version as i64));
        }
        system(Key::Source, expand(&rows.source, i64::from));
        system(Key::Flags, expand(&rows.flags, i64::from));
        let mut own = Self::own_columns(rows, index, ways);
        // A cold chunk of which nothing is smaller when coded is to be known for one all the same: else it would be made cold
        // again and again.
        if tier == Tier::Cold && count >= BLOCK_ROWS && !columns.iter().chain(&own).any(Encoded::has_model) {
            own = Self::own_columns(rows, index, Ways { coded: Coded::OrMarked, ..ways });
        }
        columns.append(&mut own);
        if tier == Tier::Dense && with_time && columns[0].has_model() {
            // Times with a model that stand first are those of a cold chunk: see `Chunk::tier`.
            columns.rotate_left(1);
        }
        debug_assert!(rows.columns.iter().all(|(_, values): &(_, ColumnValues)| values.len() == count));

        let mut head = CHUNK_MAGIC.to_vec();
        head.put_u32(0);
        head.put_varint(u64::from(series));
        head.put_u8(stream as u8);
        head.put_varint(number as u64);
        head.put_varint(chunk.first_row);
        head.put_varint(u64::from(chunk.rows));
        head.put_signed_varint(chunk.first_time);
        head.put_varint(chunk.last_time.wrapping_sub(chunk.first_time) as u64);
        head.put_varint(columns.len() as u64);
        let length = head.len() + columns.iter().map(Encoded::entry_bytes).sum::<usize>();
        head[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        // The head stands before the columns, and is known after them.
        let at = self.out.len();
        let first = at + sealed_bytes(length);
        self.out.resize(first, 0);
        let place = |out: &Vec<u8>| self.position + (out.len() - at) as u64;
        for column in columns {
            let begins = column.begins(place(&self.out));
            self.out.resize(at + (begins - self.position) as usize, 0);
            column.place(&self.identity, begins, &mut head, &mut self.out);
        }
        debug_assert_eq!(head.len(), length);
        let mut sealed = Vec::with_capacity(first - at);
        seal(&self.identity, self.position, &head, &mut sealed);
        self.out[at..first].copy_from_slice(&sealed);
    }

    /// The columns of the schema, encoded.
    fn own_columns(rows: &RowSet, index: &PartIndex, ways: Ways<'_>) -> Vec<Encoded> {
        let mut group = Self::group(rows, index, ways);
        let columns = rows.columns.iter().zip(&index.columns);
        let encoded = columns.map(|((id, values), (_, kind))| {
            let member = group.as_mut().and_then(|(ids, members)| {
                ids.iter().position(|member| member == id).map(|at| std::mem::take(&mut members[at]))
            });
            let alone = || column_encode::encode(Key::Column(*id), *kind, values, ways);
            member.unwrap_or_else(alone)
        });
        encoded.collect()
    }

    /// The four columns of bars, encoded together if that is possible.
    fn group(rows: &RowSet, index: &PartIndex, ways: Ways<'_>) -> Option<([ColumnId; 4], [Encoded; 4])> {
        let ids = index.ohlc.filter(|_| ways.tier != Tier::Hot)?;
        let column = |id: ColumnId| rows.column(id).map(|values| (Key::Column(id), values));
        let four = [column(ids[0])?, column(ids[1])?, column(ids[2])?, column(ids[3])?];
        Some((ids, group_encode::encode_group(four, ways)?))
    }

    /// Ends the part: writes the rows that are left, and the index.
    pub fn end_part(&mut self) -> PartSummary {
        self.flush(Stream::Live);
        self.flush(Stream::History);
        let mut part = self.part.take().expect("a part was begun");
        let index = &mut part.index;
        let summary = &mut index.summary;
        (summary.version_low, summary.version_high) = part.versions.unwrap_or((0, 0));
        summary.marks = index.marks.len() as u32;
        if let (Some(first), Some(last)) = (index.live.first(), index.live.last()) {
            (summary.first_time, summary.last_time) = (first.first_time, last.last_time);
            summary.rows = last.first_row + u64::from(last.rows);
        }
        if let (Some(first), Some(last)) = (index.history.first(), index.history.last()) {
            (summary.history_first_time, summary.history_last_time) = (first.first_time, last.last_time);
            summary.history_rows = last.first_row + u64::from(last.rows);
        }
        index.offset = self.position;
        let payload = put_runs(&part.coverage, &mut index.anchors);
        let (mut content, places) = index.encode();
        let mut offset = index.offset + sealed_bytes(content.len()) as u64;
        let mut rest = payload.as_slice();
        for (anchor, place) in index.anchors.iter().zip(places) {
            let (block, after) = rest.split_at(anchor.bytes);
            content[place..place + 4].copy_from_slice(&self.identity.crc(offset, block).to_le_bytes());
            offset += block.len() as u64;
            rest = after;
        }
        let mut bytes = Vec::with_capacity(sealed_bytes(content.len()) + payload.len());
        seal(&self.identity, index.offset, &content, &mut bytes);
        bytes.extend_from_slice(&payload);
        self.emit(&bytes);
        index.summary.bytes = self.position - index.start + ENTRY_BYTES as u64;
        self.entries.push(PartEntry {
            series: index.summary.series,
            start: index.start,
            index: index.offset,
        });
        self.parts.push(index.summary.clone());
        spare::give_rows(part.live);
        part.index.summary
    }

    /// Ends the segment. The output drained after this call completes the file.
    pub fn finish(&mut self) -> SegmentSummary {
        assert!(self.part.is_none(), "the last part was ended");
        self.align();
        let footer = Footer { table: self.position, parts: self.entries.len() as u32 };
        let mut table = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            entry.encode(&self.identity, self.position + table.len() as u64, &mut table);
        }
        self.emit(&table);
        self.align();
        let footer = footer.encode(&self.identity, self.position);
        self.emit(&footer);
        SegmentSummary {
            length: self.position,
            hash: self.hasher.digest128(),
            parts: std::mem::take(&mut self.parts),
        }
    }
}

/// The values of runs, one by one; of a single run one value, which is all that is written of a constant.
fn expand<T: Copy + PartialEq>(runs: &RunVec<T>, number: impl Fn(T) -> i64) -> Vec<i64> {
    if let Some(value) = runs.single() {
        return vec![number(value)];
    }
    let mut out = spare::take();
    for (range, value) in runs.pieces(0..runs.len()) {
        out.resize(range.end, number(value));
    }
    out
}

/// The payload of all runs, and their anchors; checksums and places are filled in by the caller.
fn put_runs(coverage: &Coverage, anchors: &mut Vec<Anchor>) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut first_row = 0;
    let mut rest = coverage.runs();
    let mut size = BLOCK_ROWS;
    while !rest.is_empty() {
        let (block, after) = rest.split_at(size.min(rest.len()));
        let start = payload.len();
        runs::encode(block, &mut payload);
        let bytes = payload.len() - start;
        if bytes > CHECKED_BYTES {
            // Runs of absurd lengths: fewer of them always fit.
            payload.truncate(start);
            size = BLOCK_ROWS / 4;
            continue;
        }
        let slots = block.iter().map(crate::coverage::Run::slots).sum();
        anchors.push(Anchor {
            first_slot: block[0].start,
            first_row,
            slots,
            runs: block.len(),
            offset: 0,
            bytes,
            crc: 0,
        });
        first_row += slots;
        rest = after;
    }
    payload
}
