//! What is left of a damaged segment. Chunks and indexes begin with magic numbers and end where their own fields say, under
//! checksums that know their place in the file: they are found without footer, table of parts, or one another.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::chunk::{CHUNK_MAGIC, Chunk, Heads, Key};
use super::index::{ChunkRef, INDEX_MAGIC, PartEntry, PartIndex};
use super::sealed::{Checked, Verified, sealed_bytes};
use super::{PartSpec, PartSummary, Scratch, Stream, System};
use crate::bytes::ByteReader;
use crate::checksum::Identity;
use crate::error::Result;
use crate::header::{FileHeader, FileKind, HEADER_BYTES, KNOWN_REQUIRED};
use crate::limits::{ALIGNMENT, CHUNK_ROWS};
use crate::rows::RowSet;

/// The bytes of a segment of which anything may be damaged.
#[derive(Clone, Copy, Debug)]
pub struct Remains<'a> {
    file: Checked<'a>,
}

/// What is left of a part.
#[derive(Clone, Debug)]
pub struct RemainingPart {
    /// The index: that of the file, or one made of the heads of chunks, without marks and runs.
    pub index: PartIndex,
    /// Whether it is that of the file.
    pub indexed: bool,
    /// The numbers of the chunks in `index`, live ones and history: those of a made index may have holes.
    numbers: [Vec<usize>; 2],
}

/// What the head of a chunk says before its entries.
#[derive(Clone, Copy, Debug)]
struct Head {
    series: u32,
    stream: Stream,
    number: usize,
    place: ChunkRef,
}

impl RemainingPart {
    /// How the part would be written again.
    pub fn spec(&self) -> PartSpec {
        PartSpec {
            series: self.index.summary.series,
            columns: self.index.columns.clone(),
            timeframe: self.index.timeframe,
            unique: self.index.unique,
            ohlc: self.index.ohlc,
        }
    }

    /// The number in its stream of the chunk at `at` of the index.
    pub fn number(&self, stream: Stream, at: usize) -> usize {
        self.numbers[stream as usize][at]
    }
}

impl<'a> Remains<'a> {
    /// Looks at the bytes of a file as those of a segment. Nothing of them need be right.
    pub fn new(bytes: &'a [u8], identity: Identity, verified: &'a Verified) -> Self {
        // Without the header, anything that this crate knows may occur.
        let header = FileHeader::check(bytes, FileKind::Segment, &identity);
        let required = header.map_or(KNOWN_REQUIRED, |header| header.required);
        Self { file: Checked { bytes, identity, verified, required } }
    }

    /// Every part of which an index or a chunk is left, by series. `describe` tells the columns of a series whose index is
    /// lost; where it does not know, the part has none.
    pub fn parts(&self, describe: &dyn Fn(u32) -> Option<PartSpec>) -> Vec<RemainingPart> {
        let mut heads: BTreeMap<u32, Vec<Head>> = BTreeMap::new();
        let chunks = (HEADER_BYTES..self.file.bytes.len()).step_by(ALIGNMENT);
        for head in chunks.filter_map(|offset| self.head(offset as u64).ok()) {
            heads.entry(head.series).or_default().push(head);
        }
        let mut parts: BTreeMap<u32, RemainingPart> = BTreeMap::new();
        for offset in self.places_of(INDEX_MAGIC) {
            if let Ok((series, index)) = self.index(offset, &heads) {
                let numbers = [(0..index.live.len()).collect(), (0..index.history.len()).collect()];
                parts.entry(series).or_insert(RemainingPart { index, indexed: true, numbers });
            }
        }
        for (series, heads) in heads {
            parts.entry(series).or_insert_with(|| Self::made_index(series, &heads, describe(series)));
        }
        parts.into_values().collect()
    }

    /// Parses and checks the head of a chunk: the one at `at` of the part's index.
    ///
    /// # Errors
    /// Damage to the head.
    pub fn chunk(&self, part: &RemainingPart, stream: Stream, at: usize) -> Result<Chunk<'a>> {
        let place = &part.index.chunks(stream)[at];
        let number = part.number(stream, at);
        let opened = Chunk::open(self.file, &part.index, stream, number, place);
        if part.indexed || opened.is_ok() {
            return opened;
        }
        // Whether runs told the times of this chunk is not known without the index.
        let on_grid = PartIndex { grid_rows: u64::MAX, ..part.index.clone() };
        Chunk::open(self.file, &on_grid, stream, number, place)
    }

    /// Appends the times of rows of the chunk at `at`: from where they stand, or because the chunk has as many rows as slots.
    ///
    /// # Errors
    /// They are damaged, or stand in runs that are lost.
    pub fn times(
        &self,
        part: &RemainingPart,
        at: usize,
        chunk: &Chunk<'_>,
        range: Range<usize>,
        scratch: &mut Scratch,
    ) -> Result<Vec<i64>> {
        let mut rows = RowSet::default();
        let read = chunk.read(&part.index, range.clone(), System::TIME, &mut rows, scratch);
        let Err(error) = read else { return Ok(rows.time) };
        let place = &part.index.chunks(chunk.head.stream)[at];
        let timeframe = part.index.timeframe.filter(|_| chunk.entry(Key::Time).is_none());
        let full = timeframe.filter(|timeframe| {
            let slots = timeframe.slot(place.last_time).checked_sub(timeframe.slot(place.first_time));
            slots == Some(i64::from(place.rows) - 1)
        });
        let Some(timeframe) = full else { return Err(error) };
        let first = timeframe.slot(place.first_time);
        Ok(range.map(|row| timeframe.slot_start(first + row as i64)).collect())
    }

    fn head(&self, offset: u64) -> Result<Head> {
        let content = self.file.sealed_with_magic(offset, CHUNK_MAGIC, "chunk")?;
        let mut reader = ByteReader::new(&content, "S16");
        reader.take(8)?;
        let series = reader.varint()?;
        let stream = match reader.u8()? {
            0 => Stream::Live,
            1 => Stream::History,
            other => return Err(reader.error(format!("stream {other}"))),
        };
        let (number, first_row, rows) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let first_time = reader.signed_varint()?;
        let last_time = first_time.checked_add_unsigned(reader.varint()?);
        let (Ok(series), Ok(number), Some(last_time)) =
            (u32::try_from(series), usize::try_from(number), last_time)
        else {
            return Err(reader.error("the head of a chunk is out of range"));
        };
        if rows == 0 || rows > CHUNK_ROWS as u64 {
            return Err(reader.error(format!("chunk of {rows} rows")));
        }
        let place = ChunkRef { offset, first_row, rows: rows as u32, first_time, last_time };
        Ok(Head { series, stream, number, place })
    }

    fn places_of(&self, magic: [u8; 4]) -> impl Iterator<Item = u64> + '_ {
        let bytes = self.file.bytes;
        let mut from = HEADER_BYTES.min(bytes.len());
        std::iter::from_fn(move || {
            loop {
                let at = from + bytes[from..].iter().position(|byte| *byte == magic[0])?;
                from = at + 1;
                if bytes[at..].starts_with(&magic) {
                    return Some(at as u64);
                }
            }
        })
    }

    /// The index at `offset`. It states places from the start of its part, which its chunks tell: any of them will do.
    fn index(&self, offset: u64, heads: &BTreeMap<u32, Vec<Head>>) -> Result<(u32, PartIndex)> {
        let content = self.file.sealed_with_magic(offset, INDEX_MAGIC, "part index")?;
        let mut reader = ByteReader::new(&content, "S9");
        reader.take(8)?;
        let series = reader.varint()?;
        let series = u32::try_from(series).map_err(|_| reader.error(format!("series {series}")))?;
        let runs = offset + sealed_bytes(content.len()) as u64;
        let parse = |start: u64| {
            let mut reader = ByteReader::new(&content, "S9");
            let part = PartIndex::parse(&mut reader, &PartEntry { series, start, index: offset }, runs)?;
            reader.finish().map(|()| part)
        };
        let from_start = parse(0)?;
        let start = heads.get(&series).into_iter().flatten().find_map(|head| {
            let place = from_start.chunks(head.stream).get(head.number)?;
            head.place.offset.checked_sub(place.offset).filter(|start| *start < offset)
        });
        let index = match start {
            Some(start) => parse(start)?,
            None => from_start,
        };
        Ok((series, index))
    }

    /// An index of the chunks that are left.
    fn made_index(series: u32, heads: &[Head], spec: Option<PartSpec>) -> RemainingPart {
        let (mut streams, mut numbers) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let mut known = BTreeSet::new();
        let mut heads = heads.to_vec();
        heads.sort_by_key(|head| head.number);
        for head in heads {
            if known.insert((head.stream as usize, head.number)) {
                streams[head.stream as usize].push(head.place);
                numbers[head.stream as usize].push(head.number);
            }
        }
        let [live, history] = streams;
        let rows = |chunks: &[ChunkRef]| chunks.iter().map(|chunk| u64::from(chunk.rows)).sum();
        let times = |chunks: &[ChunkRef]| {
            chunks
                .first()
                .zip(chunks.last())
                .map_or((0, -1), |(first, last)| (first.first_time, last.last_time))
        };
        let ((first_time, last_time), (history_first_time, history_last_time)) =
            (times(&live), times(&history));
        let summary = PartSummary {
            series,
            part: 0,
            rows: rows(&live),
            history_rows: rows(&history),
            first_time,
            last_time,
            history_first_time,
            history_last_time,
            version_low: 0,
            version_high: 0,
            marks: 0,
            bytes: 0,
        };
        let index = PartIndex {
            summary,
            columns: spec.as_ref().map(|spec| spec.columns.clone()).unwrap_or_default(),
            timeframe: spec.as_ref().and_then(|spec| spec.timeframe),
            unique: spec.as_ref().is_some_and(|spec| spec.unique),
            on_grid: false,
            live,
            history,
            marks: Vec::new(),
            ohlc: spec.and_then(|spec| spec.ohlc),
            grid_rows: 0,
            anchors: Vec::new(),
            heads: Heads::default(),
            start: 0,
            // Where the index stood is not known. A chunk that the end of the file cuts still has its first blocks.
            offset: u64::MAX,
            end: u64::MAX,
        };
        RemainingPart { index, indexed: false, numbers }
    }
}
