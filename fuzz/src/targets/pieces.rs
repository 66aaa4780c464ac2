//! What segments are made of, one structure at a time: small files in which only that structure is changed, so that what
//! is executed is its decoder, and not what stands before it.

use tapestore_format::Result;
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::int::{IntScratch, decode};
use tapestore_format::coverage::{Coverage, Run};
use tapestore_format::limits::{BLOCK_ROWS, CHUNK_ROWS, STRING_BYTES};
use tapestore_format::rows::{ColumnValues, RowSet, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{
    Chunk, Holds, PartIndex, PartSpec, Scratch, Segment, SegmentWriter, Stream, System, Tier, Verified, Zone,
};

use super::segments::{Content, SOME, compare, content, one_column, write};
use super::singles::some_seeds;
use crate::corpus::vectors;
use crate::mend::{self, Structure};
use crate::random::Random;
use crate::{Outcome, Target};

/// Longest file that is made.
const LONGEST: usize = 2500;
/// Rows that are written anew, at most: the seeds have fewer.
const REWRITTEN_ROWS: u64 = 400;

/// Footer, table of parts, indexes of parts.
pub(super) const FOOTER: Target = Target {
    name: "footer",
    smoke: 80_000,
    longest: LONGEST,
    fixed: true,
    // Verification decodes what the index leads to: see `segment`.
    bound: |length| 8 * (1 << 20) + 5000 * length,
    seeds: || seeds(&FOOTER_STRUCTURES, |_| true).into_iter().chain((1..5).map(several)).collect(),
    mend: |bytes| mend::structures(bytes, &FOOTER_STRUCTURES),
    check: |input| checked(input, footer),
};

const FOOTER_STRUCTURES: [Structure; 3] = [Structure::Header, Structure::Footer, Structure::Index];

/// Heads of chunks: the directory of blocks, and zone maps.
pub(super) const CHUNK: Target = Target {
    name: "chunk",
    seeds: || seeds(&[Structure::Head], |_| true),
    mend: |bytes| mend::structures(bytes, &[Structure::Head]),
    check: |input| checked(input, heads),
    ..FOOTER
};

/// Columns of strings: dictionaries, codes, and text end to end.
pub(super) const STRINGS: Target = Target {
    name: "strings",
    smoke: 60_000,
    seeds: || {
        seeds(&[Structure::Text], |spec| spec.columns.iter().any(|column| column.1 == ColumnType::String))
    },
    mend: |bytes| {
        // Models have a target of their own, and stand where dictionaries do.
        mend::structures(bytes, &[Structure::Heap, Structure::Text])
    },
    check: |input| checked(input, strings),
    ..FOOTER
};

/// What tells the nulls of blocks, for columns of every type.
pub(super) const NULLS: Target = Target {
    name: "nulls",
    smoke: 50_000,
    seeds: || seeds(&[Structure::Nulls], |_| true),
    mend: |bytes| mend::structures(bytes, &[Structure::Nulls]),
    check: |input| checked(input, nulls),
    ..FOOTER
};

/// Blocks of runs: covered slots, and the times of rows on the grid.
pub(super) const RUNS: Target = Target {
    name: "runs",
    seeds: || seeds(&[Structure::Runs], |spec| spec.timeframe.is_some()),
    mend: |bytes| mend::structures(bytes, &[Structure::Runs]),
    check: |input| checked(input, runs),
    ..FOOTER
};

/// Small files that hold one of the structures: the vectors, and what the writer makes of any rows.
fn seeds(wanted: &[Structure], made: fn(&PartSpec) -> bool) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = vectors("segment").into_iter().map(|one| one.bytes).collect();
    let mut random = Random(17);
    for number in 0..300 {
        let input: Vec<u8> = (0..400).map(|_| random.next() as u8).collect();
        let Content { spec, live, history, marks, .. } = content(&input);
        if made(&spec) {
            seeds.push(write(&spec, &live, &history, &marks, Tier::ALL[number % 3]));
        }
    }
    seeds.extend(some_seeds(LONGEST));
    seeds.retain(|seed| seed.len() <= LONGEST && !mend::structures(&mut seed.clone(), wanted).is_empty());
    seeds
}

/// A segment of so many parts, each a few rows and a mark.
fn several(parts: u32) -> Vec<u8> {
    let mut writer = SegmentWriter::holding(SOME, Tier::Dense, Holds::default());
    let mut random = Random(u64::from(parts));
    for series in 0..parts {
        let input: Vec<u8> = (0..40).map(|_| random.next() as u8).collect();
        let Content { spec, live, history, marks, .. } = content(&input);
        writer.begin_part(PartSpec { series: series * 7 + 1, ..spec });
        writer.push_live(&live, 0..live.len().min(9));
        writer.push_history(&history, 0..history.len().min(5));
        marks.iter().for_each(|mark| writer.push_mark(*mark));
        writer.end_part();
    }
    writer.finish();
    std::mem::take(writer.output())
}

/// A file that opened.
pub(super) struct Opened<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) segment: Segment<'a>,
    /// Whether verification finds nothing.
    pub(super) sound: bool,
}

/// Opens a segment and runs an oracle on each part; what verifies is written anew.
pub(super) fn checked(
    input: &[u8],
    mut oracle: impl FnMut(&Opened<'_>, &PartIndex, &mut Scratch) -> Result<u64>,
) -> Outcome {
    let identity = mend::identity(input);
    let verified = Verified::new(input.len() as u64);
    let segment = match Segment::open(input, identity, &verified) {
        Ok(segment) => segment,
        Err(error) => return Outcome::Refused(error.rule, error.offset.min(64)),
    };
    let mut first = None;
    segment.verify(true, &mut |error| {
        first.get_or_insert(error.rule);
    });
    let opened = Opened { bytes: input, segment, sound: first.is_none() };
    let mut shape = 0u64;
    let mut scratch = Scratch::pooled();
    for ordinal in 0..segment.part_count() {
        match segment.part(ordinal).and_then(|part| oracle(&opened, &part, &mut scratch)) {
            Ok(seen) => shape = shape.wrapping_mul(31).wrapping_add(seen),
            Err(error) => assert!(!opened.sound, "verification finds nothing, and reading fails: {error}"),
        }
    }
    assert!(segment.part(segment.part_count()).is_err(), "there is no part behind the last");
    match first {
        None => {
            (0..segment.part_count()).for_each(|ordinal| rewritten(&segment, ordinal, &mut scratch));
            Outcome::Accepted(shape)
        }
        Some(rule) => Outcome::Refused(rule, shape),
    }
}

/// The rows of a part that verifies, written once more, are the same.
fn rewritten(segment: &Segment<'_>, ordinal: u32, scratch: &mut Scratch) {
    let part = segment.part(ordinal).expect("what verifies is read");
    let summary = &part.summary;
    if summary.rows + summary.history_rows > REWRITTEN_ROWS {
        return;
    }
    let [live, history] = [Stream::Live, Stream::History].map(|stream| {
        let mut rows = RowSet::with_columns(&part.columns);
        for number in 0..part.chunks(stream).len() {
            let chunk = segment.chunk(&part, stream, number).expect("what verifies is read");
            let all = 0..chunk.rows();
            chunk.read(&part, all, System::ALL, &mut rows, scratch).expect("what verifies is read");
        }
        rows
    });
    let spec = PartSpec {
        series: summary.series,
        columns: part.columns.clone(),
        timeframe: part.timeframe,
        unique: part.unique,
        ohlc: None,
    };
    let tier = Tier::ALL[summary.rows as usize % 3];
    compare(&write(&spec, &live, &history, &part.marks, tier), &spec, &live, &history, &part.marks);
}

/// An index lies within its file, and its chunks within the part; whether checksums are looked at changes nothing.
#[expect(clippy::unnecessary_wraps, reason = "an oracle among others, of which most read on")]
fn footer(opened: &Opened<'_>, part: &PartIndex, _: &mut Scratch) -> Result<u64> {
    let (segment, input) = (&opened.segment, opened.bytes);
    let trusting = Verified::trusting();
    let again =
        Segment::open(input, mend::identity(input), &trusting).expect("the ends of the file are right");
    assert_eq!(again.part(part.summary.part).as_ref(), Ok(part), "an index has one meaning");
    assert_eq!(segment.summary(part.summary.part).as_ref(), Ok(&part.summary));
    let bytes = part.bytes();
    assert!(64 <= bytes.start && bytes.start <= bytes.end && bytes.end <= input.len() as u64, "{bytes:?}");
    for (stream, rows) in [(Stream::Live, part.summary.rows), (Stream::History, part.summary.history_rows)] {
        let chunks = part.chunks(stream);
        let mut next = 0;
        for chunk in chunks {
            assert!(bytes.contains(&chunk.offset) && chunk.first_row == next, "{chunk:?}");
            assert!((1..=CHUNK_ROWS as u32).contains(&chunk.rows) && chunk.first_time <= chunk.last_time);
            next += u64::from(chunk.rows);
        }
        assert_eq!(next, rows, "a part has the rows of its chunks");
        let mut pairs = chunks.array_windows();
        let apart = pairs.all(|[a, b]| a.offset < b.offset && a.last_time <= b.first_time);
        assert!(apart, "chunks follow one another");
    }
    assert!(part.marks.iter().all(|mark| mark.start < mark.end), "no mark is empty");
    assert!(part.summary.version_low <= part.summary.version_high);
    let kinds = part.columns.iter().fold(0, |kinds, column| kinds * 8 + column.1 as u64);
    Ok(kinds * 64 + part.marks.len().min(7) as u64 * 8 + part.live.len().min(7) as u64)
}

/// Every chunk of a part.
fn chunks<'a>(segment: &Segment<'a>, part: &PartIndex) -> Result<Vec<Chunk<'a>>> {
    let mut out = Vec::new();
    for stream in [Stream::Live, Stream::History] {
        for number in 0..part.chunks(stream).len() {
            out.push(segment.chunk(part, stream, number)?);
        }
    }
    Ok(out)
}

/// A head says what the mender reads in it; its columns lie one behind the other; zone maps are whole.
fn heads(opened: &Opened<'_>, part: &PartIndex, _: &mut Scratch) -> Result<u64> {
    let specified = mend::found(opened.bytes).map(|found| found.chunks);
    let mut shape = 0u64;
    for chunk in chunks(&opened.segment, part)? {
        let bytes = chunk.bytes();
        let found: Vec<_> = chunk
            .columns()
            .map(|column| mend::Column {
                encoding: column.encoding as u8,
                digits: column.digits,
                singles: column.singles,
                bytes: column.bytes as usize,
            })
            .collect();
        if let Some(specified) = &specified {
            let said = specified.iter().find(|chunk| chunk.0 as u64 == bytes.start);
            assert_eq!(said.map(|chunk| &chunk.1), Some(&found), "the mender reads the same head");
        }
        let mut names: Vec<_> = chunk.columns().map(|column| (column.name, column.id)).collect();
        names.sort_unstable();
        assert!(names.array_windows().all(|[a, b]| a != b), "each column stands once: {names:?}");
        let mut end = bytes.start + chunk.head_bytes();
        for column in chunk.columns() {
            assert!((end..end + 64).contains(&column.offset), "columns follow one another: {column:?}");
            end = column.offset + column.bytes;
            shape = shape.wrapping_mul(11).wrapping_add(column.encoding as u64);
        }
        assert_eq!(end, bytes.end, "a chunk ends with its last column");
        let _ = (chunk.tier(), chunk.may_be_coded());
        for (id, _) in &part.columns {
            let Some(zones) = chunk.zones(*id)? else { continue };
            assert_eq!(zones.len(), chunk.blocks(), "a zone for every block");
            let mut all = Zone::EMPTY;
            for (block, zone) in zones.iter().enumerate() {
                let rows = BLOCK_ROWS.min(chunk.rows() - block * BLOCK_ROWS) as u64;
                assert!(zone.count + zone.nulls <= rows, "no more values than rows: {zone:?}");
                let one = chunk.zone(*id, block)?.expect("one of the zones");
                assert!(same_zone(&one, zone), "a zone alone is the one among all");
                all.merge(zone);
            }
            let whole = chunk.chunk_zone(*id)?.expect("there are zones");
            assert!(same_zone(&whole, &all), "the zone of a chunk is that of its blocks");
            shape = shape.wrapping_mul(3).wrapping_add(u64::from(all.nulls > 0));
        }
    }
    Ok(shape)
}

fn same_zone(a: &Zone, b: &Zone) -> bool {
    let bits = |zone: &Zone| [zone.min, zone.max, zone.sum].map(f64::to_bits);
    (bits(a), a.count, a.nulls) == (bits(b), b.count, b.nulls)
}

/// All of a column of a chunk; it is the same in parts.
fn column(
    chunk: &Chunk<'_>,
    part: &PartIndex,
    column: (ColumnId, ColumnType),
    scratch: &mut Scratch,
) -> Result<ColumnValues> {
    one_column(chunk, part, column, scratch)?;
    let mut rows = RowSet::with_columns(&[column]);
    chunk.read(part, 0..chunk.rows(), System::NONE, &mut rows, scratch)?;
    Ok(rows.columns.swap_remove(0).1)
}

/// Strings are of bounded length, and empty where there is none.
fn strings(opened: &Opened<'_>, part: &PartIndex, scratch: &mut Scratch) -> Result<u64> {
    let mut shape = 0u64;
    let chunks = chunks(&opened.segment, part)?;
    for chunk in chunks.iter().filter(|chunk| chunk.rows() as u64 <= REWRITTEN_ROWS) {
        for one in part.columns.iter().filter(|column| column.1 == ColumnType::String) {
            let found = column(chunk, part, *one, scratch)?;
            let Values::Str(texts) = &found.values else { panic!("strings are read as strings") };
            assert_eq!(texts.len(), chunk.rows());
            for (row, text) in texts.iter().enumerate() {
                assert!(text.len() <= STRING_BYTES, "a string of {} bytes", text.len());
                assert!(text.is_empty() || !found.is_null(row), "no text where there is null");
            }
            let longest = texts.iter().map(str::len).max().unwrap_or(0);
            shape = shape.wrapping_mul(13).wrapping_add(longest.checked_ilog2().unwrap_or(0).into());
        }
        for info in chunk.columns() {
            shape = shape.wrapping_mul(11).wrapping_add(info.encoding as u64);
        }
    }
    Ok(shape)
}

/// Where there is null, the value is zero.
fn nulls(opened: &Opened<'_>, part: &PartIndex, scratch: &mut Scratch) -> Result<u64> {
    let mut shape = 0u64;
    let chunks = chunks(&opened.segment, part)?;
    for chunk in chunks.iter().filter(|chunk| chunk.rows() as u64 <= REWRITTEN_ROWS) {
        for one in &part.columns {
            let found = column(chunk, part, *one, scratch)?;
            let Some(nulls) = &found.nulls else { continue };
            assert_eq!(nulls.len(), chunk.rows(), "a bit for every row");
            let mut zero = Values::empty(one.1);
            zero.push_default(1);
            for row in (0..nulls.len()).filter(|row| nulls[*row]) {
                assert!(found.values.same(row, &zero, 0), "a value under a null, row {row} of {one:?}");
            }
            let count = nulls.iter().filter(|null| **null).count();
            let amount = if count == nulls.len() { 2 } else { u64::from(count > 0) };
            shape = shape.wrapping_mul(31).wrapping_add(one.1 as u64 * 3 + amount);
        }
    }
    Ok(shape)
}

/// Runs are in order; a part of them is a part of the whole; they tell the times of rows on the grid, whoever keeps them.
fn runs(opened: &Opened<'_>, part: &PartIndex, scratch: &mut Scratch) -> Result<u64> {
    let segment = &opened.segment;
    let covered = part.coverage(segment)?;
    let Some(timeframe) = part.timeframe else {
        assert_eq!(covered, Coverage::default(), "no coverage without a grid");
        return Ok(0);
    };
    // Of several parts, one that is broken may claim the bytes of another.
    let alone = Some(opened.bytes).filter(|_| segment.part_count() == 1);
    for block in alone.and_then(mend::found).iter().flat_map(|found| &found.runs) {
        one_block(&opened.bytes[block.place.clone()], block);
    }
    let runs = covered.runs();
    assert!(runs.iter().all(|run| run.start < run.end), "no run is empty");
    assert!(runs.array_windows().all(|[a, b]| a.end < b.start), "runs are in order and apart");
    for run in [runs.first(), runs.get(runs.len() / 2), runs.last()].into_iter().flatten() {
        for (start, end) in
            [(run.start, run.end), (run.start.saturating_sub(1), run.start), (run.end - 1, i64::MAX)]
        {
            let clipped: Vec<Run> = covered.within(start, end).collect();
            let found = part.coverage_within(segment, start, end)?;
            // Blocks that reach into one another are found by verification, and by nothing that reads one of them.
            assert!(
                !opened.sound || found.runs() == clipped,
                "from {start} to {end}: {found:?}, {clipped:?}"
            );
        }
    }
    let shape = runs.len().min(1023) as u64 * 4 + u64::from(part.on_grid);
    if part.summary.rows > REWRITTEN_ROWS {
        return Ok(shape);
    }
    let mut times = Vec::new();
    for number in 0..part.live.len() {
        let chunk = segment.chunk(part, Stream::Live, number)?;
        chunk.times(part, 0..chunk.rows(), &mut times, scratch)?;
    }
    let slots = runs.iter().flat_map(|run| run.start..run.end);
    let told = slots.map(|slot| timeframe.slot_start(slot)).take(times.len());
    let same = told.eq(times.iter().copied());
    assert!(same || !part.on_grid || !opened.sound, "rows on the grid open where runs say");
    for time in [times.first(), times.get(times.len() / 2), times.last()].into_iter().flatten() {
        let rows = part.rows_between(segment, *time, i64::MAX, scratch)?;
        assert!(rows.start <= rows.end && rows.end <= part.summary.rows, "{rows:?}");
        if let Some(place) = part.runs_before(*time) {
            let block = part.run_block(segment, place, scratch)?;
            scratch.lend_runs(segment, part, place, std::sync::Arc::new(block));
            let kept = part.rows_between(segment, *time, i64::MAX, scratch)?;
            assert_eq!(kept, rows, "runs that were kept say the same");
        }
    }
    Ok(shape)
}

/// A block of runs that was read is what S14 says: gaps and lengths above zero, as many slots as the index says, and no more.
fn one_block(bytes: &[u8], block: &mend::RunsBlock) {
    let mut reader = ByteReader::new(bytes, "S14");
    let [mut gaps, mut lengths] = [vec![0; block.runs], vec![0; block.runs]];
    for numbers in [&mut gaps, &mut lengths] {
        decode(&mut reader, numbers, &mut IntScratch::default(), None).expect("what was read decodes");
    }
    assert_eq!(reader.position(), bytes.len(), "nothing stands behind the runs");
    assert!(gaps[0] == 0 && gaps[1..].iter().all(|gap| *gap > 0), "runs are apart: {gaps:?}");
    assert!(lengths.iter().all(|length| *length > 0), "runs hold something: {lengths:?}");
    let slots = lengths.iter().fold(0u64, |sum, length| sum.saturating_add(length.unsigned_abs()));
    assert_eq!(slots, block.slots, "the index knows how many slots there are");
}
