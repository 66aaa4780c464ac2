//! What stands where in a segment, and what its damage may cost: worked out from `format-spec/segment.md`, by the sizes that
//! the format's reader tells and the checksums in the file.

use std::ops::Range;

use tapestore_format::checksum::Identity;
use tapestore_format::header::HEADER_BYTES;
use tapestore_format::limits::{BLOCK_ROWS, CHECKED_BYTES};
use tapestore_format::rows::{ORDINAL, RowSet};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{
    Chunk, ColumnInfo, Encoding, PartIndex, Scratch, Segment, Stream, System, Verified,
};

/// A row of a part.
#[derive(Clone, Copy, Debug)]
pub struct PartRow {
    /// Its time.
    pub time: i64,
    /// The commit that wrote it.
    pub version: u64,
    /// The commit that replaced or deleted it; the last number there is for a live row.
    pub until: u64,
}

/// A part of a segment.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its bytes.
    pub bytes: Range<usize>,
    /// Its series.
    pub series: u32,
    /// Its lowest and its highest commit.
    pub versions: (u64, u64),
    /// Its index.
    pub index: Range<usize>,
    /// Its deletions and absences.
    pub marks: u64,
    /// Its rows, live ones and history.
    pub rows: [Vec<PartRow>; 2],
}

/// What damage to some bytes may cost.
#[derive(Clone, Debug)]
pub enum Cost {
    /// These rows.
    Rows,
    /// The values of these columns in these rows.
    Values(Vec<ColumnId>),
    /// The marks of the part, and with them what lies beneath it.
    Index,
}

/// Some bytes under one checksum, or under one that cannot do without them.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where they stand.
    pub bytes: Range<usize>,
    /// The number of the part.
    pub part: usize,
    /// The rows concerned, as they are counted in the part.
    pub stream: Stream,
    /// See `stream`.
    pub rows: Range<u64>,
    /// The first and last time of the chunks concerned.
    pub times: (i64, i64),
    /// What may be lost.
    pub cost: Cost,
}

/// A segment.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Its parts, by series.
    pub parts: Vec<Part>,
    /// All bytes whose damage may cost anything. Header, table, footer and padding are not among them: whatever happens to
    /// them, nothing may be lost.
    pub pieces: Vec<Piece>,
    /// All bytes under one checksum each that stands with them or elsewhere: what may be mixed up with one another.
    pub units: Vec<Range<usize>>,
    /// Every encoding that occurs, as the golden stores name them; coded ones are named as such.
    pub forms: Vec<String>,
}

/// Bytes of a sealed structure with this much content, and its pages.
fn pages(offset: usize, content: usize) -> (usize, Vec<Range<usize>>) {
    let inside = CHECKED_BYTES - 4;
    let end = offset + content + 4 * content.div_ceil(inside);
    (end, (offset..end).step_by(CHECKED_BYTES).map(|at| at..end.min(at + CHECKED_BYTES)).collect())
}

/// The content of sealed bytes.
fn unsealed(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(CHECKED_BYTES).flat_map(|page| &page[..page.len() - 4]).copied().collect()
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..at + width)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// Looks at a segment. `keys` tells of a series the columns that tell its rows from others, or all.
///
/// # Panics
/// If it is not whole.
pub fn contents(bytes: &[u8], identity: Identity, keys: &dyn Fn(u32, ColumnId) -> bool) -> Contents {
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, identity, &verified).expect("a whole segment");
    let mut reading = Reading {
        bytes,
        identity,
        keys,
        out: Contents { parts: vec![], pieces: vec![], units: vec![], forms: vec![] },
    };
    for ordinal in 0..segment.part_count() {
        reading.part(&segment, &segment.part(ordinal).expect("a whole part"));
    }
    // Behind the last part: the table and the footer.
    let table = reading.out.parts.last().map_or(HEADER_BYTES, |part| part.bytes.end.next_multiple_of(64));
    let entries = (0..segment.part_count() as usize).map(|entry| table + entry * 32..table + entry * 32 + 32);
    reading.out.units.extend(entries);
    reading.out
}

struct Reading<'a> {
    bytes: &'a [u8],
    identity: Identity,
    keys: &'a dyn Fn(u32, ColumnId) -> bool,
    out: Contents,
}

impl Reading<'_> {
    fn part(&mut self, segment: &Segment<'_>, index: &PartIndex) {
        let mut rows = [Vec::new(), Vec::new()];
        let (mut end, mut on_grid) = (index.bytes().start as usize, Vec::new());
        for stream in [Stream::Live, Stream::History] {
            for (at, place) in index.chunks(stream).iter().enumerate() {
                let chunk = segment.chunk(index, stream, at).expect("a whole chunk");
                rows[stream as usize].extend(rows_of(&chunk, index, stream));
                let times = (place.first_time, place.last_time);
                self.chunk(index.summary.series, &chunk, stream, times);
                end = end.max(chunk.bytes().end as usize);
                // As many rows as slots: the times follow from the first one.
                let slots = index.timeframe.map(|frame| frame.slot(times.1) - frame.slot(times.0) + 1);
                let told = chunk.columns().all(|column| column.name != "time");
                if told && slots != Some(i64::from(place.rows)) {
                    on_grid.push((place.first_row..place.first_row + u64::from(place.rows), times));
                }
            }
        }
        let content = number(self.bytes, end + 4, 4).expect("an index");
        let (runs, pages) = pages(end, content);
        let part = self.out.parts.len();
        let piece = |bytes: Range<usize>, rows, times, cost| Piece {
            bytes,
            part,
            stream: Stream::Live,
            rows,
            times,
            cost,
        };
        let summary = &index.summary;
        let whole = index.bytes().end as usize;
        if summary.marks > 0 {
            self.out.pieces.push(piece(end..runs, 0..0, (0, 0), Cost::Index));
        }
        for (rows, times) in on_grid {
            // The index has the places of the runs; all stores here have one block of them.
            self.out.pieces.push(piece(end..whole, rows, times, Cost::Rows));
        }
        self.out.units.extend(pages);
        if runs < whole {
            self.out.units.push(runs..whole);
        }
        self.out.parts.push(Part {
            bytes: index.bytes().start as usize..whole,
            series: summary.series,
            versions: (summary.version_low, summary.version_high),
            index: end..runs,
            marks: u64::from(summary.marks),
            rows,
        });
    }

    fn chunk(&mut self, series: u32, chunk: &Chunk<'_>, stream: Stream, times: (i64, i64)) {
        let part = self.out.parts.len();
        let (first, count) = (chunk.first_row(), chunk.rows() as u64);
        let piece = |bytes, rows: Range<u64>, cost| Piece { bytes, part, stream, rows, times, cost };
        let start = chunk.bytes().start as usize;
        let head = start..start + chunk.head_bytes() as usize;
        let content = unsealed(&self.bytes[head.clone()]);
        self.out.pieces.push(piece(head.clone(), first..first + count, Cost::Rows));
        self.out.units.extend(pages(start, content.len()).1);
        let columns: Vec<ColumnInfo> = chunk.columns().collect();
        let group: Vec<ColumnId> = columns
            .iter()
            .filter(|column| column.encoding == Encoding::Group)
            .filter_map(|column| column.id)
            .collect();
        let mut end = content.len();
        for column in columns.iter().rev() {
            let blocks = self.blocks(column, chunk, &content[..end]);
            let heap = blocks.first().map_or(0, |block| block.start - column.offset as usize);
            let coded = heap > 0 && column.encoding != Encoding::Dictionary;
            let form = format!("{}{}", if coded { "coded " } else { "" }, column.form());
            self.out.forms.push(form);
            let cost = match column.id {
                None => Cost::Rows,
                Some(id) if id == ORDINAL || (self.keys)(series, id) => Cost::Rows,
                // They predict one another: without one of them the others are not known.
                Some(_) if column.encoding == Encoding::Group => Cost::Values(group.clone()),
                Some(id) => Cost::Values(vec![id]),
            };
            if heap > 0 {
                let bytes = column.offset as usize..column.offset as usize + heap;
                self.out.units.extend(
                    bytes.clone().step_by(CHECKED_BYTES).map(|at| at..bytes.end.min(at + CHECKED_BYTES)),
                );
                self.out.pieces.push(piece(bytes, first..first + count, cost.clone()));
            }
            for (block, bytes) in blocks.into_iter().enumerate() {
                let from = (block * BLOCK_ROWS) as u64;
                let rows = first + from..first + count.min(from + BLOCK_ROWS as u64);
                self.out.units.extend(
                    bytes.clone().step_by(CHECKED_BYTES).map(|at| at..bytes.end.min(at + CHECKED_BYTES)),
                );
                self.out.pieces.push(piece(bytes, rows, cost.clone()));
            }
            end -= column.head_bytes as usize;
        }
    }

    /// The blocks of a column. Their lengths and checksums end its entry in the head; that they are the right ones is told by
    /// the checksums.
    fn blocks(&self, column: &ColumnInfo, chunk: &Chunk<'_>, head: &[u8]) -> Vec<Range<usize>> {
        if matches!(column.encoding, Encoding::Null | Encoding::Constant) {
            return Vec::new();
        }
        let blocks = chunk.blocks();
        // The entry of the ordinal has a longer code than others: two bytes more than its size says.
        for slack in 0..3 {
            for width in [0, 2, 4] {
                for units in 0..=blocks + column.bytes as usize / CHECKED_BYTES {
                    let end = head.len() - slack;
                    let Some(start) = end.checked_sub(units * 4 + blocks * width) else { continue };
                    if let Some(found) = self.try_blocks(column, chunk, &head[start..end], width, units) {
                        return found;
                    }
                }
            }
        }
        panic!("the blocks of {column:?}");
    }

    fn try_blocks(
        &self,
        column: &ColumnInfo,
        chunk: &Chunk<'_>,
        table: &[u8],
        width: usize,
        units: usize,
    ) -> Option<Vec<Range<usize>>> {
        let blocks = chunk.blocks();
        let raw = column.encoding == Encoding::Raw;
        if raw != (width == 0) {
            return None;
        }
        let value = match column.kind {
            ColumnType::I64 | ColumnType::Timestamp | ColumnType::F64 => 8,
            ColumnType::F32 => 4,
            _ => 1,
        };
        let length = |block: usize| {
            let rows = BLOCK_ROWS.min(chunk.rows() - block * BLOCK_ROWS);
            if raw { Some(rows * value) } else { number(table, block * width, width) }
        };
        let lengths: Vec<usize> = (0..blocks).map(length).collect::<Option<_>>()?;
        let total: usize = lengths.iter().sum();
        if lengths.iter().map(|length| length.div_ceil(CHECKED_BYTES)).sum::<usize>() != units {
            return None;
        }
        let mut at = column.offset as usize + (column.bytes as usize).checked_sub(total)?;
        let (mut out, mut unit) = (Vec::new(), blocks * width);
        for length in lengths {
            let bytes = at..at + length;
            for from in bytes.clone().step_by(CHECKED_BYTES) {
                let content = &self.bytes[from..bytes.end.min(from + CHECKED_BYTES)];
                if number(table, unit, 4)? != self.identity.crc(from as u64, content) as usize {
                    return None;
                }
                unit += 4;
            }
            at = bytes.end;
            out.push(bytes);
        }
        Some(out)
    }
}

fn rows_of(chunk: &Chunk<'_>, index: &PartIndex, stream: Stream) -> Vec<PartRow> {
    let mut rows = RowSet::default();
    let system = System { version: true, ..System::TIME };
    chunk.read(index, 0..chunk.rows(), system, &mut rows, &mut Scratch::pooled()).expect("whole blocks");
    let until = |row| if stream == Stream::Live { u64::MAX } else { rows.until.get(row) };
    (0..rows.len())
        .map(|row| PartRow { time: rows.time[row], version: rows.version.get(row), until: until(row) })
        .collect()
}
