//! The footer, the table of parts, and the index of a part. Rules S3 and S8 to S13.

use std::ops::Range;

use super::chunk::Heads;
use super::runs::Anchor;
use super::sealed::{Checked, sealed_bytes};
use super::{LEAST_BYTES, PartSummary, Stream};
use crate::bytes::{ByteReader, ByteWriter};
use crate::checksum::Identity;
use crate::error::{FormatError, Result};
use crate::header::HEADER_BYTES;
use crate::limits::{
    ALIGNMENT, BLOCK_ROWS, CHECKED_BYTES, CHUNK_ROWS, PART_COLUMNS, PART_ROWS, TIME_MAX, TIME_MIN,
};
use crate::rows::{Mark, MarkKind};
use crate::schema::{ColumnId, ColumnType};
use crate::time::Timeframe;

/// Length of the footer, in bytes.
pub(super) const FOOTER_BYTES: usize = 64;
/// Length of an entry of the table of parts, in bytes.
pub(super) const ENTRY_BYTES: usize = 32;
/// First bytes of the footer.
const FOOTER_MAGIC: [u8; 8] = *b"TAPE-END";
/// First bytes of the index of a part.
pub(super) const INDEX_MAGIC: [u8; 4] = *b"TIDX";

/// The end of a segment: where the table of parts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) table: u64,
    pub(super) parts: u32,
}

impl Footer {
    /// The byte form, as it will stand at `position`.
    pub(super) fn encode(&self, identity: &Identity, position: u64) -> Vec<u8> {
        let mut out = FOOTER_MAGIC.to_vec();
        out.put_u64(self.table);
        out.put_u64(position + FOOTER_BYTES as u64);
        out.put_u32(self.parts);
        out.resize(FOOTER_BYTES - 4, 0);
        let crc = identity.crc(position, &out);
        out.put_u32(crc);
        out
    }

    pub(super) fn read(file: &Checked<'_>) -> Result<Self> {
        let length = file.bytes.len();
        let broken = |offset: usize, detail: &str| Err(FormatError::corrupt("S3", offset as u64, detail));
        if length < LEAST_BYTES {
            return broken(length, "the file is too short for a footer");
        }
        let start = length - FOOTER_BYTES;
        let bytes = &file.bytes[start..];
        if bytes[..8] != FOOTER_MAGIC {
            return broken(start, "no footer at the end of the file");
        }
        let mut reader = ByteReader::new(&bytes[8..], "S3");
        let (table, total, parts) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let crc = ByteReader::new(&bytes[60..], "S3").u32()?;
        if file.identity.crc(start as u64, &bytes[..60]) != crc {
            return broken(start + 60, "checksum of the footer does not match");
        }
        if total != length as u64 || bytes[28..60].iter().any(|byte| *byte != 0) {
            return broken(start + 16, "the footer states another length, or its spare bytes are not zero");
        }
        let end = table.checked_add(u64::from(parts) * ENTRY_BYTES as u64);
        let fits = end.is_some_and(|end| end <= start as u64 && start as u64 - end < ALIGNMENT as u64);
        if table < HEADER_BYTES as u64 || !table.is_multiple_of(ALIGNMENT as u64) || !fits {
            return broken(start + 8, "the table of parts does not end at the footer");
        }
        Ok(Self { table, parts })
    }
}

/// An entry of the table of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartEntry {
    pub(super) series: u32,
    pub(super) start: u64,
    pub(super) index: u64,
}

impl PartEntry {
    pub(super) fn encode(&self, identity: &Identity, position: u64, out: &mut Vec<u8>) {
        let at = out.len();
        out.put_u32(self.series);
        out.put_u32(0);
        out.put_u64(self.start);
        out.put_u64(self.index);
        out.put_u32(0);
        let crc = identity.crc(position, &out[at..]);
        out.put_u32(crc);
    }

    pub(super) fn read(file: &Checked<'_>, offset: u64) -> Result<Self> {
        let bytes = file.slice(offset, ENTRY_BYTES as u64)?;
        let crc = ByteReader::new(&bytes[28..], "S8").u32()?;
        file.unit(offset, ENTRY_BYTES - 4, crc)?;
        let mut reader = ByteReader::new(bytes, "S8");
        let (series, zero) = (reader.u32()?, reader.u32()?);
        let (start, index) = (reader.u64()?, reader.u64()?);
        let valid = zero == 0 && reader.u32()? == 0 && start.is_multiple_of(ALIGNMENT as u64);
        if !valid || start < HEADER_BYTES as u64 || index < start || index >= file.bytes.len() as u64 {
            return Err(FormatError::corrupt("S8", offset, "the place of the part is not within the file"));
        }
        Ok(Self { series, start, index })
    }
}

/// Where a chunk stands, and which rows it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// Byte offset in the file.
    pub offset: u64,
    /// Number of its first row within the stream.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u32,
    /// Time of the first row.
    pub first_time: i64,
    /// Time of the last row, inclusive.
    pub last_time: i64,
}

/// The index of a part: owned, verified, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartIndex {
    /// What the part holds.
    pub summary: PartSummary,
    /// Columns of the part, in the writer's order.
    pub columns: Vec<(ColumnId, ColumnType)>,
    /// The grid of bars.
    pub timeframe: Option<Timeframe>,
    /// Whether each time has at most one row.
    pub unique: bool,
    /// Whether all live rows open on the grid, so that coverage tells their times.
    pub on_grid: bool,
    /// Chunks of live rows.
    pub live: Vec<ChunkRef>,
    /// Chunks of history rows.
    pub history: Vec<ChunkRef>,
    /// Ranges that are deleted, confirmed absent, or expected again; in order of arrival.
    pub marks: Vec<Mark>,
    pub(super) ohlc: Option<[ColumnId; 4]>,
    /// Live rows, counted from the first, whose times the runs tell.
    pub(super) grid_rows: u64,
    pub(super) anchors: Vec<Anchor>,
    /// Heads of chunks that were read.
    pub(super) heads: Heads,
    /// Where the part begins, where its index does, and where it ends.
    pub(super) start: u64,
    pub(super) offset: u64,
    pub(super) end: u64,
}

impl PartIndex {
    /// The chunks of a stream.
    pub fn chunks(&self, stream: Stream) -> &[ChunkRef] {
        match stream {
            Stream::Live => &self.live,
            Stream::History => &self.history,
        }
    }

    /// Approximate bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + (self.live.len() + self.history.len()) * size_of::<ChunkRef>()
            + self.marks.len() * size_of::<Mark>()
            + self.anchors.len() * size_of::<Anchor>()
            + self.columns.len() * 4
    }

    /// The content of the index and the places in it where the checksums of runs blocks go.
    pub(super) fn encode(&self) -> (Vec<u8>, Vec<usize>) {
        let mut out = INDEX_MAGIC.to_vec();
        out.put_u32(0);
        let summary = &self.summary;
        out.put_varint(u64::from(summary.series));
        let bits = [self.unique, self.timeframe.is_some(), self.ohlc.is_some()];
        out.put_u8(bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
        if let Some(timeframe) = self.timeframe {
            out.put_u8(timeframe as u8);
        }
        out.put_varint(self.columns.len() as u64);
        for (id, kind) in &self.columns {
            out.put_varint(u64::from(*id));
            out.put_u8(*kind as u8);
        }
        for id in self.ohlc.iter().flatten() {
            out.put_varint(u64::from(*id));
        }
        out.put_varint(summary.version_low);
        out.put_varint(summary.version_high - summary.version_low);
        out.put_varint(self.grid_rows);
        for chunks in [&self.live, &self.history] {
            out.put_varint(chunks.len() as u64);
            let mut last = 0;
            for chunk in chunks {
                out.put_varint((chunk.offset - self.start) / ALIGNMENT as u64);
                out.put_varint(u64::from(chunk.rows));
                out.put_signed_varint(chunk.first_time.wrapping_sub(last));
                out.put_varint(chunk.last_time.wrapping_sub(chunk.first_time) as u64);
                last = chunk.last_time;
            }
        }
        out.put_varint(self.marks.len() as u64);
        for mark in &self.marks {
            out.put_u8(mark.kind as u8);
            out.put_signed_varint(mark.start);
            out.put_varint(mark.end.wrapping_sub(mark.start) as u64);
            out.put_varint(mark.version);
        }
        let mut crcs = Vec::new();
        out.put_varint(self.anchors.len() as u64);
        let mut slot = 0i64;
        for anchor in &self.anchors {
            out.put_signed_varint(anchor.first_slot.wrapping_sub(slot));
            out.put_varint(anchor.runs as u64);
            out.put_varint(anchor.slots);
            out.put_varint(anchor.bytes as u64);
            crcs.push(out.len());
            out.put_u32(anchor.crc);
            slot = anchor.first_slot;
        }
        let length = out.len() as u32;
        out[4..8].copy_from_slice(&length.to_le_bytes());
        (out, crcs)
    }

    pub(super) fn read(file: &Checked<'_>, entry: &PartEntry, ordinal: u32) -> Result<Self> {
        let content = file.sealed_with_magic(entry.index, INDEX_MAGIC, "part index")?;
        let mut reader = ByteReader::new(&content, "S9");
        let runs = entry.index + sealed_bytes(content.len()) as u64;
        let part = Self::parse(&mut reader, entry, runs).and_then(|part| reader.finish().map(|()| part));
        let mut part = part.map_err(|error| error.shifted(entry.index))?;
        file.slice(part.start, part.end - part.start)?;
        part.summary.part = ordinal;
        Ok(part)
    }

    pub(super) fn parse(reader: &mut ByteReader<'_>, entry: &PartEntry, runs: u64) -> Result<Self> {
        reader.take(8)?;
        let series = reader.varint()?;
        if series != u64::from(entry.series) {
            return Err(reader.error(format!("index of series {series}, expected {}", entry.series)));
        }
        let bits = reader.u8()?;
        if bits & !7 != 0 {
            return Err(reader.error("reserved bits of an index are set"));
        }
        let timeframe = if bits & 2 != 0 { Some(read_timeframe(reader)?) } else { None };
        let columns = read_columns(reader)?;
        let ohlc = if bits & 4 != 0 { Some(read_ohlc(reader, &columns)?) } else { None };
        let (version_low, span) = (reader.varint()?, reader.varint()?);
        let Some(version_high) = version_low.checked_add(span) else {
            return Err(reader.error("highest version beyond 64 bits"));
        };
        let grid_rows = reader.varint()?;
        let live = read_chunks(reader, entry)?;
        let history = read_chunks(reader, entry)?;
        let marks = read_marks(reader)?;
        let (anchors, slots, end) = read_anchors(reader, runs)?;
        let rows = |chunks: &[ChunkRef]| chunks.last().map_or(0, |c| c.first_row + u64::from(c.rows));
        let times = |chunks: &[ChunkRef]| match (chunks.first(), chunks.last()) {
            (Some(first), Some(last)) => (first.first_time, last.last_time),
            _ => (0, -1),
        };
        let unique = bits & 1 != 0;
        let on_chunk = grid_rows == 0 || live.iter().any(|c| c.first_row + u64::from(c.rows) == grid_rows);
        if !on_chunk || grid_rows > slots || (grid_rows > 0 && !unique) || (timeframe.is_none() && slots > 0)
        {
            return Err(reader.error(format!("{grid_rows} rows on the grid, {slots} slots covered")));
        }
        let ((first_time, last_time), (history_first_time, history_last_time)) =
            (times(&live), times(&history));
        let summary = PartSummary {
            series: entry.series,
            part: 0,
            rows: rows(&live),
            history_rows: rows(&history),
            first_time,
            last_time,
            history_first_time,
            history_last_time,
            version_low,
            version_high,
            marks: marks.len() as u32,
            bytes: end - entry.start + ENTRY_BYTES as u64,
        };
        let on_grid = timeframe.is_some() && grid_rows == summary.rows;
        let heads = Heads::new([live.len(), history.len()]);
        Ok(Self {
            summary,
            columns,
            timeframe,
            unique,
            on_grid,
            live,
            history,
            marks,
            ohlc,
            grid_rows,
            anchors,
            heads,
            start: entry.start,
            offset: entry.index,
            end,
        })
    }

    /// The bytes of the part in the file.
    pub fn bytes(&self) -> Range<u64> {
        self.start..self.end
    }
}

fn read_timeframe(reader: &mut ByteReader<'_>) -> Result<Timeframe> {
    let id = reader.u8()?;
    Timeframe::from_id(id).ok_or_else(|| reader.error(format!("unknown timeframe {id}")))
}

/// A column id: a varint that fits 16 bits.
pub(super) fn read_id(reader: &mut ByteReader<'_>) -> Result<ColumnId> {
    let id = reader.varint()?;
    ColumnId::try_from(id).map_err(|_| reader.error(format!("column id {id}")))
}

/// A column type.
pub(super) fn read_kind(reader: &mut ByteReader<'_>) -> Result<ColumnType> {
    let kind = reader.u8()?;
    ColumnType::from_id(kind).ok_or_else(|| reader.error(format!("unknown column type {kind}")))
}

fn read_columns(reader: &mut ByteReader<'_>) -> Result<Vec<(ColumnId, ColumnType)>> {
    let count = reader.varint()?;
    if count > PART_COLUMNS as u64 {
        return Err(FormatError::limit("S9", reader.position() as u64, format!("{count} columns")));
    }
    let mut columns: Vec<(ColumnId, ColumnType)> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        columns.push((read_id(reader)?, read_kind(reader)?));
    }
    let mut ids: Vec<ColumnId> = columns.iter().map(|column| column.0).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(reader.error("a column appears twice"));
    }
    Ok(columns)
}

fn read_ohlc(reader: &mut ByteReader<'_>, columns: &[(ColumnId, ColumnType)]) -> Result<[ColumnId; 4]> {
    let ids = [read_id(reader)?, read_id(reader)?, read_id(reader)?, read_id(reader)?];
    let known = ids.iter().all(|id| columns.contains(&(*id, ColumnType::F64)));
    let twice = (1..4).any(|index| ids[..index].contains(&ids[index]));
    if known && !twice {
        Ok(ids)
    } else {
        Err(reader.error("open, high, low and close are not four columns of type f64"))
    }
}

fn read_chunks(reader: &mut ByteReader<'_>, entry: &PartEntry) -> Result<Vec<ChunkRef>> {
    let count = reader.varint()?;
    // Every chunk takes at least four bytes here, which bounds the memory by the length of the index.
    if count > reader.remaining() as u64 / 4 {
        return Err(reader.error(format!("{count} chunks in {} bytes", reader.remaining())));
    }
    let mut chunks = Vec::with_capacity(count as usize);
    let (mut first_row, mut last, mut least) = (0u64, 0i64, 0u64);
    for _ in 0..count {
        let place = reader.varint()?;
        let offset = place.checked_mul(ALIGNMENT as u64).and_then(|o| o.checked_add(entry.start));
        let Some(offset) = offset.filter(|offset| *offset < entry.index && *offset >= least) else {
            let detail = "chunk outside of the part or out of order";
            return Err(FormatError::corrupt("S10", reader.position() as u64, detail));
        };
        let rows = reader.varint()?;
        if rows == 0 || rows > CHUNK_ROWS as u64 || first_row + rows > PART_ROWS {
            return Err(reader.error(format!("chunk of {rows} rows after {first_row}")));
        }
        let first_time = last.wrapping_add(reader.signed_varint()?);
        let last_time = first_time.checked_add_unsigned(reader.varint()?);
        let ordered = chunks.is_empty() || first_time >= last;
        let Some(last_time) = last_time.filter(|_| ordered) else {
            let detail = "times of chunks are out of order";
            return Err(FormatError::corrupt("S11", reader.position() as u64, detail));
        };
        chunks.push(ChunkRef { offset, first_row, rows: rows as u32, first_time, last_time });
        (first_row, last, least) = (first_row + rows, last_time, offset + 1);
    }
    Ok(chunks)
}

fn read_marks(reader: &mut ByteReader<'_>) -> Result<Vec<Mark>> {
    let count = reader.varint()?;
    if count > reader.remaining() as u64 / 4 {
        return Err(reader.error(format!("{count} marks in {} bytes", reader.remaining())));
    }
    let mut marks = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let id = reader.u8()?;
        let kind = MarkKind::from_id(id).ok_or_else(|| reader.error(format!("unknown mark {id}")))?;
        let start = reader.signed_varint()?;
        let end = start.checked_add_unsigned(reader.varint()?);
        // An end may be one above the last time: ranges are half-open.
        let Some(end) = end.filter(|end| TIME_MIN <= start && start < *end && *end <= TIME_MAX + 1) else {
            return Err(reader.error("a mark is empty, or beyond the limits of times"));
        };
        marks.push(Mark { kind, start, end, version: reader.varint()? });
    }
    Ok(marks)
}

/// The anchors, the slots that all runs cover, and where the last block ends.
fn read_anchors(reader: &mut ByteReader<'_>, runs_offset: u64) -> Result<(Vec<Anchor>, u64, u64)> {
    let count = reader.varint()?;
    if count > reader.remaining() as u64 / 8 {
        return Err(reader.error(format!("{count} blocks of runs in {} bytes", reader.remaining())));
    }
    let mut anchors: Vec<Anchor> = Vec::with_capacity(count as usize);
    let (mut slot, mut first_row, mut offset) = (0i64, 0u64, runs_offset);
    for _ in 0..count {
        let first_slot = slot.wrapping_add(reader.signed_varint()?);
        let (runs, slots, bytes) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let crc = reader.u32()?;
        let ordered = anchors.last().is_none_or(|last| {
            let end = last.first_slot.checked_add_unsigned(last.slots);
            end.is_some_and(|end| end < first_slot)
        });
        if !ordered || runs == 0 || runs > BLOCK_ROWS as u64 || slots < runs || slots > PART_ROWS {
            return Err(reader.error("a block of runs is empty, too large or out of order"));
        }
        if bytes > CHECKED_BYTES as u64 {
            return Err(reader.error(format!("block of runs of {bytes} bytes")));
        }
        let (runs, bytes) = (runs as usize, bytes as usize);
        anchors.push(Anchor { first_slot, first_row, slots, runs, offset, bytes, crc });
        first_row += slots;
        offset += bytes as u64;
        slot = first_slot;
    }
    Ok((anchors, first_row, offset))
}
