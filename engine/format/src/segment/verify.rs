//! Verification of a whole segment: every byte is either under a checksum that is checked here, or padding that is
//! compared with zero.

use super::chunk::Chunk;
use super::index::{ENTRY_BYTES, FOOTER_BYTES, PartIndex};
use super::{Scratch, Segment, Stream, System, zones};
use crate::coverage::Coverage;
use crate::error::{FormatError, Result};
use crate::header::HEADER_BYTES;
use crate::limits::{ALIGNMENT, TIME_MAX, TIME_MIN};
use crate::rows::RowSet;
use crate::schema::ColumnType;

struct Verifier<'s, 'a> {
    segment: &'s Segment<'a>,
    deep: bool,
    report: &'s mut dyn FnMut(FormatError),
    scratch: Scratch,
}

/// What the live rows of a part add up to, seen chunk by chunk.
#[derive(Default)]
struct Seen {
    coverage: Coverage,
    last_time: Option<i64>,
    versions: Option<(u64, u64)>,
}

impl Seen {
    fn version(&mut self, version: u64) {
        let (low, high) = self.versions.unwrap_or((version, version));
        self.versions = Some((low.min(version), high.max(version)));
    }
}

pub(super) fn verify(segment: &Segment<'_>, deep: bool, report: &mut dyn FnMut(FormatError)) {
    let mut verifier = Verifier { segment, deep, report, scratch: Scratch::default() };
    // Where the bytes before end; `None` after an error, when that is not known.
    let mut end = Some(HEADER_BYTES as u64);
    let mut series = None;
    for ordinal in 0..segment.part_count() {
        match segment.part(ordinal) {
            Ok(part) => {
                if series.is_some_and(|series| series >= part.summary.series) {
                    verifier.broken("S8", part.start, "series of parts do not ascend");
                }
                series = Some(part.summary.series);
                if let Some(end) = end {
                    verifier.padding(end, part.start);
                }
                verifier.part(&part);
                end = Some(part.end);
            }
            Err(error) => {
                (verifier.report)(error);
                end = None;
            }
        }
    }
    if let Some(end) = end {
        verifier.padding(end, segment.footer.table);
    }
    let table_end = segment.footer.table + u64::from(segment.footer.parts) * ENTRY_BYTES as u64;
    verifier.padding(table_end, (segment.file.bytes.len() - FOOTER_BYTES) as u64);
}

impl Verifier<'_, '_> {
    fn broken(&mut self, rule: &'static str, offset: u64, detail: &str) {
        (self.report)(FormatError::corrupt(rule, offset, detail));
    }

    /// Bytes from `start` to `end` are zero, and fewer than an alignment.
    fn padding(&mut self, start: u64, end: u64) {
        if !self.deep {
            return;
        }
        let length = end.checked_sub(start).filter(|length| *length < ALIGNMENT as u64);
        match length.map(|length| self.segment.file.slice(start, length)) {
            Some(Ok(bytes)) if bytes.iter().all(|byte| *byte == 0) => {}
            Some(Ok(_)) => self.broken("S2", start, "padding is not zero"),
            Some(Err(error)) => (self.report)(error),
            None => self.broken("S2", start, &format!("bytes up to {end} belong to nothing")),
        }
    }

    fn part(&mut self, part: &PartIndex) {
        let mut places: Vec<(u64, Stream, usize)> = Vec::new();
        for stream in [Stream::Live, Stream::History] {
            places.extend(
                part.chunks(stream).iter().enumerate().map(|(number, at)| (at.offset, stream, number)),
            );
        }
        places.sort_unstable_by_key(|place| place.0);
        let mut seen = [Seen::default(), Seen::default()];
        let mut end = Some(part.start);
        let mut whole = true;
        for (offset, stream, number) in places {
            if let Some(end) = end {
                self.padding(end, offset);
            }
            let checked = self.segment.chunk(part, stream, number).and_then(|chunk| {
                end = Some(chunk.head.end);
                if self.deep { self.chunk(part, stream, &chunk, &mut seen[stream as usize]) } else { Ok(()) }
            });
            if let Err(error) = checked {
                if self.segment.chunk(part, stream, number).is_err() {
                    end = None;
                }
                whole = false;
                (self.report)(error);
            }
        }
        if end.is_some_and(|end| end != part.offset) {
            self.broken("S9", part.offset, "the index does not follow the last chunk");
        }
        match part.coverage(self.segment) {
            Ok(coverage) if self.deep && whole && coverage != seen[0].coverage => {
                self.broken("S14", part.offset, "coverage differs from the times of the rows");
            }
            Ok(_) => {}
            Err(error) => (self.report)(error),
        }
        if self.deep && whole {
            self.versions(part, &mut seen);
        }
    }

    fn versions(&mut self, part: &PartIndex, seen: &mut [Seen; 2]) {
        let [live, history] = seen;
        for (low, high) in [history.versions].into_iter().flatten() {
            live.version(low);
            live.version(high);
        }
        part.marks.iter().for_each(|mark| live.version(mark.version));
        if live.versions.unwrap_or((0, 0)) != (part.summary.version_low, part.summary.version_high) {
            self.broken("S9", part.offset, "bounds of versions differ from those of rows and marks");
        }
    }

    /// Decodes all of a chunk and compares what was derived from its rows.
    ///
    /// Block by block, and text column by column: a chunk of a few bytes may stand for 65,536 rows of 4,096 columns, and
    /// a dictionary for as many strings of 4,096 bytes.
    fn chunk(&mut self, part: &PartIndex, stream: Stream, chunk: &Chunk<'_>, seen: &mut Seen) -> Result<()> {
        chunk.check_padding()?;
        let (texts, numbers): (Vec<_>, Vec<_>) =
            part.columns.iter().copied().partition(|column| column.1 == ColumnType::String);
        let zones = numbers.iter().map(|(id, _)| chunk.zones(*id)).collect::<Result<Vec<_>>>()?;
        let mut rows = RowSet::with_columns(&numbers);
        let (mut first, mut last) = (None, None);
        for block in 0..chunk.blocks() {
            let range = chunk.block_rows(block);
            rows.clear();
            chunk.read(part, range.clone(), System::ALL, &mut rows, &mut self.scratch)?;
            check_times(part, stream, chunk, &rows, seen)?;
            first = first.or(rows.time.first().copied());
            last = rows.time.last().copied();
            for ((id, column), zones) in rows.columns.iter().zip(&zones) {
                let Some(zone) = zones.as_ref().and_then(|zones| zones.get(block)) else { continue };
                if !zones::same(zone, &zones::measure(column, 0..range.len())) {
                    let detail = format!("zone map of column {id}, block {block} differs from its rows");
                    return Err(FormatError::corrupt("S25", chunk.head.offset, detail));
                }
            }
            for text in &texts {
                let mut rows = RowSet::with_columns(&[*text]);
                chunk.read(part, range.clone(), System::NONE, &mut rows, &mut self.scratch)?;
            }
        }
        let place = part.chunks(stream).iter().find(|place| place.offset == chunk.head.offset);
        if place.is_none_or(|at| first != Some(at.first_time) || last != Some(at.last_time)) {
            let detail = "first or last time of the chunk differs from its rows";
            return Err(FormatError::corrupt("S11", chunk.head.offset, detail));
        }
        Ok(())
    }
}

/// Times ascend and lie within the limits; takes note of slots and versions.
fn check_times(
    part: &PartIndex,
    stream: Stream,
    chunk: &Chunk<'_>,
    rows: &RowSet,
    seen: &mut Seen,
) -> Result<()> {
    let broken = |detail: &str| Err(FormatError::corrupt("S11", chunk.head.offset, detail));
    let strict = part.unique && stream == Stream::Live;
    for time in &rows.time {
        if !(TIME_MIN..=TIME_MAX).contains(time) {
            return broken("time beyond the limits");
        }
        if seen.last_time.is_some_and(|last| *time < last || (strict && *time == last)) {
            return broken("times are out of order");
        }
        seen.last_time = Some(*time);
        if let Some(timeframe) = part.timeframe.filter(|_| stream == Stream::Live) {
            seen.coverage.push(timeframe.slot(*time));
        }
    }
    for (_, version) in
        rows.version.pieces(0..rows.version.len()).chain(rows.until.pieces(0..rows.until.len()))
    {
        seen.version(version);
    }
    Ok(())
}
