//! Segments: whole files of changed bytes, and rows of any content written and read.

use tapestore_format::Result;
use tapestore_format::checksum::Identity;
use tapestore_format::limits::{BLOCK_ROWS, TIME_MAX, TIME_MIN};
use tapestore_format::rows::{ColumnValues, Mark, MarkKind, RowSet, RunVec, Strings, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{
    Chunk, ColumnInfo, Encoding, Holds, PartIndex, PartSpec, Scratch, Segment, SegmentWriter, Stream, System,
    Tier, Verified,
};
use tapestore_format::time::Timeframe;

use super::singles::some_seeds;
use crate::corpus::vectors;
use crate::random::Random;
use crate::{Outcome, Target, mend};

/// Whole segments.
pub(super) const SEGMENT: Target = Target {
    name: "segment",
    smoke: 150_000,
    longest: 24_000,
    fixed: true,
    // A block of 1024 strings of 4096 bytes, while its vector grows; and 1024 runs of 16 bytes, twice and growing, for
    // a block of runs that takes 13 bytes of file.
    bound: |length| 24 * (1 << 20) + 5000 * length,
    seeds: || {
        let mut seeds: Vec<Vec<u8>> = vectors("segment").into_iter().map(|one| one.bytes).collect();
        // Vectors of the cold tier are few: the writer makes more.
        let mut random = Random(11);
        for _ in 0..40 {
            let input: Vec<u8> = (0..400).map(|_| random.next() as u8).collect();
            let Content { spec, live, history, marks, .. } = content(&input);
            seeds.push(write(&spec, &live, &history, &marks, Tier::Cold));
        }
        seeds.extend(some_seeds(6000));
        seeds.retain(|seed| seed.len() <= 6000);
        seeds
    },
    mend: |bytes| mend::segment(bytes),
    check: segment,
};

/// Rows that are read to be compared, at most; beyond, they are only read.
const COMPARED_ROWS: u64 = 5000;

fn segment(input: &[u8]) -> Outcome {
    let identity = mend::identity(input);
    let verified = Verified::new(input.len() as u64);
    let segment = match Segment::open(input, identity, &verified) {
        Ok(segment) => segment,
        Err(error) => return Outcome::Refused(error.rule, 0),
    };
    let mut first = None;
    let mut findings = 0u64;
    segment.verify(true, &mut |error| {
        findings += 1;
        first.get_or_insert(error.rule);
    });
    let mut scratch = Scratch::default();
    let mut shape = 0u64;
    for ordinal in 0..segment.part_count() {
        let read = part(&segment, ordinal, &mut scratch);
        match read {
            Ok(seen) => shape = shape.wrapping_mul(31).wrapping_add(seen),
            Err(error) => {
                assert!(findings > 0, "verification finds nothing, and reading fails: {error}");
                first.get_or_insert(error.rule);
            }
        }
    }
    match first {
        None => Outcome::Accepted(shape),
        Some(rule) => Outcome::Refused(rule, findings.min(3)),
    }
}

/// Reads all of a part in several ways, which must agree.
fn part(segment: &Segment<'_>, ordinal: u32, scratch: &mut Scratch) -> Result<u64> {
    let part = segment.part(ordinal)?;
    part.coverage(segment)?;
    let mut shape = part.columns.iter().fold(0u64, |shape, (_, kind)| shape * 8 + *kind as u64);
    for stream in [Stream::Live, Stream::History] {
        for number in 0..part.chunks(stream).len() {
            let chunk = segment.chunk(&part, stream, number)?;
            for info in chunk.columns() {
                shape = shape.wrapping_mul(12).wrapping_add(form(&info));
            }
            for column in &part.columns {
                one_column(&chunk, &part, *column, scratch)?;
            }
            few_columns(&chunk, &part, scratch)?;
        }
    }
    let summary = &part.summary;
    if summary.rows > 0 && summary.rows <= COMPARED_ROWS {
        let middle = summary.first_time.midpoint(summary.last_time);
        let rows = part.rows_between(segment, middle, i64::MAX, scratch)?;
        assert!(rows.start <= rows.end && rows.end <= summary.rows, "rows lie within the part: {rows:?}");
    }
    Ok(shape)
}

/// Reads a column block by block, and a range across blocks, which must be the same.
pub(super) fn one_column(
    chunk: &Chunk<'_>,
    part: &PartIndex,
    column: (ColumnId, ColumnType),
    scratch: &mut Scratch,
) -> Result<()> {
    let (start, end) = (chunk.rows() / 3, (chunk.rows() / 3 + BLOCK_ROWS).min(chunk.rows()));
    let mut across = RowSet::with_columns(&[column]);
    chunk.read(part, start..end, System::NONE, &mut across, scratch)?;
    let across = &across.columns[0].1;
    assert_eq!(across.len(), end - start, "as many values as were asked for");
    let zones = chunk.zones(column.0)?;
    for block in 0..chunk.blocks() {
        let rows = block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(chunk.rows());
        let mut whole = RowSet::with_columns(&[column]);
        chunk.read(part, rows.clone(), System::ALL, &mut whole, scratch)?;
        assert_eq!(whole.time.len(), rows.len(), "as many times as were asked for");
        let values = &whole.columns[0].1;
        for row in rows.start.max(start)..rows.end.min(end) {
            assert!(
                values.same(row - rows.start, across, row - start),
                "a part of a block is a part of the whole"
            );
        }
        if let Some(zones) = &zones {
            let nulls = (0..values.len()).filter(|row| values.is_null(*row)).count() as u64;
            let zone = &zones[block];
            assert!(zone.count + zone.nulls <= rows.len() as u64 && nulls <= rows.len() as u64);
        }
    }
    if let Some(raw) = chunk.raw_f64(column.0, start..end)? {
        let Values::F64(values) = &across.values else { panic!("raw floats of a column of something else") };
        assert!(raw.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits()), "borrowed is read");
    }
    Ok(())
}

/// How a column is stored, as a number below 12.
pub(super) fn form(info: &ColumnInfo) -> u64 {
    match info {
        ColumnInfo { singles: true, .. } => 11,
        ColumnInfo { digits: true, .. } => 9,
        ColumnInfo { factors: true, .. } => 10,
        _ => info.encoding as u64,
    }
}

/// Bars tell of one another: whatever is read beside a column, its values are the same.
pub(super) fn few_columns(chunk: &Chunk<'_>, part: &PartIndex, scratch: &mut Scratch) -> Result<()> {
    let stored = chunk.columns().filter(|info| info.encoding == Encoding::Group).filter_map(|info| info.id);
    let bars: Vec<(ColumnId, ColumnType)> = stored.map(|id| (id, ColumnType::F64)).collect();
    if bars.len() != 4 {
        return Ok(());
    }
    let start = chunk.rows() / 5;
    let rows = start..(chunk.rows() - chunk.rows() / 7).min(start + 2 * BLOCK_ROWS);
    let mut all = RowSet::with_columns(&bars);
    chunk.read(part, rows.clone(), System::NONE, &mut all, scratch)?;
    for set in 1..16 {
        // In any order, and one of them twice.
        let mut some: Vec<_> = (0..4).filter(|column| set >> column & 1 == 1).collect();
        if set % 3 == 0 {
            some.reverse();
        }
        if set % 5 == 0 {
            some.push(some[0]);
        }
        let wanted: Vec<_> = some.iter().map(|column| bars[*column]).collect();
        let mut found = RowSet::with_columns(&wanted);
        chunk.read(part, rows.clone(), System::NONE, &mut found, scratch)?;
        for ((id, values), column) in found.columns.iter().zip(some) {
            let expected = &all.columns[column].1;
            assert_eq!(values.len(), expected.len(), "column {id}");
            let same = (0..values.len()).all(|row| values.same(row, expected, row));
            assert!(same, "column {id} among {wanted:?} is as among all");
        }
    }
    Ok(())
}

/// Rows of any content: sixteen bytes that decide, then values.
pub(super) const ROWS: Target = Target {
    name: "rows",
    smoke: 70_000,
    longest: 4000,
    fixed: false,
    bound: |length| 24 * (1 << 20) + 1000 * length,
    seeds: || {
        let mut random = Random(5);
        (0..60)
            .map(|seed| {
                let mut bytes: Vec<u8> = (0..16).map(|_| random.next() as u8).collect();
                bytes[0] = seed;
                for step in 0..i64::from(seed) * 4 {
                    bytes.extend_from_slice(&(step * step % 700 + 93_000).to_le_bytes());
                }
                bytes
            })
            .collect()
    },
    mend: |_| Vec::new(),
    check: rows,
};

/// Bytes that are asked for values; after their end they begin anew.
pub(super) struct Giver<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Giver<'_> {
    fn byte(&mut self) -> u8 {
        let byte = self.bytes[self.at % self.bytes.len()];
        self.at += 1;
        byte
    }

    fn word(&mut self) -> i64 {
        i64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % limit
    }

    /// A value in one of several manners, from smooth to wild.
    fn number(&mut self, manner: u8) -> i64 {
        match manner % 8 {
            0 => i64::from(self.byte() & 3),
            1 => i64::from(self.byte()),
            2 => self.word(),
            3 => i64::from(self.word() as i16),
            4 => self.word() >> 40,
            5 => [0, 0, 0, 0, 0, 0, 1 << 40, i64::MIN][usize::from(self.byte() & 7)],
            6 => 93_000 + i64::from(self.byte()) * 25,
            _ => self.word() >> (self.byte() & 63),
        }
    }
}

fn rows(input: &[u8]) -> Outcome {
    if input.len() < 16 {
        return Outcome::Refused("", 0);
    }
    let Content { spec, live, history, marks, tier } = content(input);
    let bytes = write(&spec, &live, &history, &marks, tier);
    Outcome::Accepted(compare(&bytes, &spec, &live, &history, &marks))
}

/// What an input decides.
pub(super) struct Content {
    pub(super) spec: PartSpec,
    pub(super) live: RowSet,
    pub(super) history: RowSet,
    pub(super) marks: Vec<Mark>,
    tier: Tier,
}

pub(super) fn content(input: &[u8]) -> Content {
    let mut giver = Giver { bytes: input, at: 0 };
    let timeframe = [None, Some(Timeframe::M1), Some(Timeframe::W1), Some(Timeframe::Mo1)][giver.below(4)];
    let tier = [Tier::Dense, Tier::Hot, Tier::Cold][giver.below(3)];
    let mut columns: Vec<(ColumnId, ColumnType)> = Vec::new();
    for number in 0..giver.below(4) {
        columns.push((number as ColumnId * 9, ColumnType::ALL[giver.below(7)]));
    }
    let mut spec = PartSpec {
        series: u32::from(giver.byte()),
        columns,
        timeframe,
        unique: timeframe.is_some() || giver.byte() & 1 == 1,
        ohlc: None,
    };
    if timeframe == Some(Timeframe::M1) && giver.byte() & 1 == 1 {
        spec.columns.extend([100, 101, 102, 103].map(|id| (id, ColumnType::F64)));
        spec.ohlc = Some([100, 101, 102, 103]);
    }
    let most = if giver.byte() < 2 { 2100 } else { 140 };
    let live = giver.below(most);
    let live = some_rows(&mut giver, &spec, live, false);
    let history = giver.below(20);
    let history = some_rows(&mut giver, &spec, history, true);
    let marks = (0..giver.below(3)).map(|_| mark(&mut giver)).collect();
    Content { spec, live, history, marks, tier }
}

fn mark(giver: &mut Giver<'_>) -> Mark {
    let kind = [MarkKind::Delete, MarkKind::Absent, MarkKind::Expected][giver.below(3)];
    let start = giver.word() >> 1;
    Mark { kind, start, end: start.saturating_add(1 + i64::from(giver.byte())), version: giver.word() as u64 }
}

fn some_rows(giver: &mut Giver<'_>, spec: &PartSpec, count: usize, history: bool) -> RowSet {
    let manner = giver.byte();
    let mut time = (giver.word() >> 4).clamp(TIME_MIN / 8, TIME_MAX / 8);
    if let Some(timeframe) = spec.timeframe {
        time = timeframe.slot_start(timeframe.slot(time));
    }
    let step = |giver: &mut Giver<'_>, time: i64| match spec.timeframe {
        Some(timeframe) if !history => {
            let far = if giver.byte() & manner == 0 { i64::from(giver.byte()) } else { 1 };
            let next = timeframe.slot_start(timeframe.slot(time) + far.max(1));
            // Now and then a bar that is not on the grid.
            if manner > 200 && giver.byte() > 250 { next.saturating_add(1) } else { next }
        }
        _ => time + (giver.number(manner) & 0xffff_ffff) + i64::from(spec.unique && !history),
    };
    let mut times = Vec::with_capacity(count);
    while times.len() < count {
        time = step(giver, time);
        // Months reach the end of time soon.
        if time > TIME_MAX {
            break;
        }
        times.push(time);
    }
    let count = times.len();
    // Bars mostly know of one another; else each of the four columns is what any column may be.
    let mut grouped = spec.ohlc.filter(|_| giver.byte() & 3 != 0).map(|ids| (ids, bars(giver, count)));
    let mut column = |giver: &mut Giver<'_>, id: ColumnId, kind: ColumnType| {
        let known =
            grouped.as_mut().and_then(|(ids, four)| Some(&mut four[ids.iter().position(|of| *of == id)?]));
        known.map_or_else(|| values(giver, kind, count), |prices| Values::F64(std::mem::take(prices)).into())
    };
    let versions: RunVec<u64> =
        (0..count).map(|_| giver.number(manner >> 2) as u64 & u64::MAX >> 1).collect();
    RowSet {
        version: versions.clone(),
        until: if history { versions } else { RunVec::default() },
        source: (0..count).map(|_| giver.number(manner >> 4) as u16).collect(),
        flags: (0..count).map(|_| giver.number(manner >> 3) as u16).collect(),
        columns: spec.columns.iter().map(|(id, kind)| (*id, column(giver, *id, *kind))).collect(),
        time: times,
    }
}

/// Open, high, low and close of bars: mostly of few decimal places, some of more, with which others are equal; and what
/// is no price at all.
pub(super) fn bars(giver: &mut Giver<'_>, count: usize) -> [Vec<f64>; 4] {
    let (mut places, mut further) = (i32::from(giver.byte() % 5), i32::from(giver.byte() % 12));
    let (share, strange, apart) = (giver.byte() / 3, giver.byte(), giver.byte());
    // The tick, in units of the last place; and where prices begin, also where 32 bits or 53 do not hold their numbers.
    let mut tick = [1, 1, 1, 5, 25, 1 << 20][usize::from(giver.byte() % 6)];
    let mut close = giver.word() % [1 << 10, 1 << 10, 1 << 20, 1 << 32, 1 << 40][giver.below(5)];
    if apart & 7 == 6 {
        return adjusted(giver, count);
    }
    let huge = apart == 255;
    if huge {
        // 64 bits do not hold what one of them has in units of the last place: it is a multiple of 2^64.
        (places, further, tick) = (0, 14, 1 << 50);
    }
    let power = 10f64.powi(places);
    let finer = 10f64.powi(places + further);
    let mut columns: [Vec<f64>; 4] = Default::default();
    let mut last = 0.0;
    for _ in 0..count {
        let price = |giver: &mut Giver<'_>, ticks: i64| {
            let number = ticks.wrapping_mul(tick);
            let number = if huge { tick << (ticks & 1) } else { number };
            if giver.byte() < share {
                if huge {
                    return f64::from(giver.byte() & 3) / finer;
                }
                // Digits are few or many, and begin with a carry now and then.
                let digits = i64::from(giver.byte()) * i64::from(giver.byte()) + 1;
                (number as f64 * 10f64.powi(further) + digits as f64).round() / finer
            } else {
                number as f64 / power
            }
        };
        let steps = giver.word();
        let [up, down, step, way] = [steps & 7, steps >> 8 & 7, steps >> 16 & 15, steps >> 24 & 7];
        let open = if way & 1 == 0 { last } else { price(giver, close) };
        close += step - 7;
        last = if way & 2 == 0 { open } else { price(giver, close) };
        let mut bar = [open, open.max(last), open.min(last), last];
        if up > 2 {
            bar[1] = price(giver, close + up);
        }
        if down > 2 {
            bar[2] = price(giver, close - down - 7);
        }
        if apart & 7 == 1 {
            // The close is elsewhere, as far as two prices are that have the same 32 bits.
            bar[3] += (1i64 << 32) as f64 / power * f64::from(apart >> 3 & 3);
            bar[1] = if up > 3 { bar[0] } else { bar[1] };
        }
        if giver.byte() < strange / 16 {
            let wild = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e300, 0.1 + 0.2];
            bar[giver.below(4)] = wild[giver.below(8)];
        }
        if giver.byte() < strange / 16 {
            // Any order.
            bar.rotate_left(giver.below(4));
        }
        columns.iter_mut().zip(bar).for_each(|(column, price)| column.push(price));
    }
    columns
}

/// Open, high, low and close that a source kept as `f32` and adjusted in `f64`: mostly of few decimal places and with a factor
/// that is another one now and then; and what was not adjusted so.
pub(super) fn adjusted(giver: &mut Giver<'_>, count: usize) -> [Vec<f64>; 4] {
    let power = 10f64.powi(i32::from(giver.byte() % 4));
    let tick = [1, 1, 5, 10, 20, 25, 3, 1 << 20][usize::from(giver.byte() % 8)];
    let mut close = i64::from([4_000u32, 50, 900_000, 1 << 25][usize::from(giver.byte() % 4)]);
    // Now and then all factors are one, or far from it, or adjusted closes are some units beside what they follow.
    let (lasting, far, beside) = (giver.below(300) + 20, giver.byte(), giver.byte());
    let (strange, whole) = (giver.byte(), giver.byte());
    let mut factor = [0.62, 1.0, 0.031_25, 1e-9, 77.7, 1e34, 0.999_999, 0.5][usize::from(far % 8)];
    let mut columns: [Vec<f64>; 4] = Default::default();
    for row in 0..count {
        if row % lasting == lasting - 1 {
            factor += (1.0 - factor) * f64::from(giver.byte()) / 1000.0;
        }
        let steps = giver.word();
        let step = |place: u32, below: i64| (steps >> place & 0xff) % below;
        let open = (close + step(0, 21) - 10).max(1);
        close = (open + step(8, 41) - 20).max(1);
        let (high, low) = (open.max(close) + step(16, 9), (open.min(close) - step(24, 9)).max(1));
        let paid = [open, high, low, close].map(|price| f64::from(((price * tick) as f64 / power) as f32));
        let mut single = (paid[3] * factor) as f32;
        if giver.byte() < beside / 4 {
            single = f32::from_bits(single.to_bits() + u32::from(giver.byte() & 3));
        }
        let ratio = f64::from(single) / paid[3];
        let mut bar = paid.map(|price| price * ratio);
        bar[3] = f64::from(single);
        if giver.byte() < strange / 32 {
            // One of them is more than an `f32` holds, and not much more.
            let wild = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e300, 0.1 + 0.2, 3.5e38];
            let value = wild[giver.below(8)];
            // Some alone, some in all columns of a row.
            match whole & 3 {
                0 => bar = [value; 4],
                1 => bar[3] = value,
                _ => bar[giver.below(4)] = value,
            }
        }
        columns.iter_mut().zip(bar).for_each(|(column, price)| column.push(price));
    }
    columns
}

fn values(giver: &mut Giver<'_>, kind: ColumnType, count: usize) -> ColumnValues {
    let (manner, nullable) = (giver.byte(), giver.byte().is_multiple_of(4));
    let nulls: Option<Vec<bool>> =
        nullable.then(|| (0..count).map(|_| (giver.byte() & manner).is_multiple_of(8)).collect());
    let null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls[row]);
    let number = |giver: &mut Giver<'_>, row: usize| {
        let number = giver.number(manner);
        // Some columns have their values in every other row, as quotes of one side each have them.
        if null(row) || manner & 8 != 0 && row % 2 == usize::from(manner >> 4 & 1) { 0 } else { number }
    };
    let scaled = |giver: &mut Giver<'_>, row: usize| match manner >> 6 {
        0 => f64::from_bits(number(giver, row) as u64),
        1 => number(giver, row) as f64 / 100.0,
        // Adjusted for a dividend every forty rows.
        2 if manner & 32 != 0 => number(giver, row) as f64 / 100.0 * (1.0 + (row / 40) as f64 * 0.012_345),
        2 => number(giver, row) as f64 * 0.1,
        _ => (number(giver, row) >> 20) as f64 / 1e8,
    };
    let rows = 0..count;
    let values = match kind {
        ColumnType::I64 | ColumnType::Timestamp => Values::I64(rows.map(|row| number(giver, row)).collect()),
        ColumnType::F64 => Values::F64(rows.map(|row| scaled(giver, row)).collect()),
        ColumnType::F32 if manner >> 6 == 0 => {
            Values::F32(rows.map(|row| f32::from_bits(number(giver, row) as u32)).collect())
        }
        ColumnType::F32 => Values::F32(rows.map(|row| scaled(giver, row) as f32).collect()),
        ColumnType::U8 => Values::U8(rows.map(|row| number(giver, row) as u8).collect()),
        ColumnType::Bool => Values::U8(rows.map(|row| number(giver, row) as u8 & 1).collect()),
        ColumnType::String => Values::Str(
            rows.map(|row| match number(giver, row) {
                _ if null(row) => String::new(),
                number if manner & 64 == 0 => format!("{number:x}"),
                number => "aä→".repeat((number & 15) as usize),
            })
            .collect::<Strings>(),
        ),
    };
    ColumnValues { values, nulls }
}

pub(super) const SOME: Identity = Identity { store: *b"a store of fuzz!", file: 9 };

/// A segment of one part.
pub(super) fn write(spec: &PartSpec, live: &RowSet, history: &RowSet, marks: &[Mark], tier: Tier) -> Vec<u8> {
    // With the feature bit and without it, where it may be.
    let ticks = spec.timeframe.is_none() && spec.series.is_multiple_of(2);
    let factors = !spec.series.is_multiple_of(3);
    let mut writer = SegmentWriter::holding(SOME, tier, Holds { ticks, factors, ..Holds::default() });
    writer.begin_part(spec.clone());
    writer.push_live(live, 0..live.len() / 3);
    writer.push_live(live, live.len() / 3..live.len());
    writer.push_history(history, 0..history.len());
    marks.iter().for_each(|mark| writer.push_mark(*mark));
    writer.end_part();
    let length = writer.finish().length;
    let bytes = std::mem::take(writer.output());
    assert_eq!(bytes.len() as u64, length, "the writer knows what it wrote");
    bytes
}

/// What is written verifies, and reads back to the bit; its checksums are those that the mender makes.
pub(super) fn compare(bytes: &[u8], spec: &PartSpec, live: &RowSet, history: &RowSet, marks: &[Mark]) -> u64 {
    let mut mended = bytes.to_vec();
    mend::segment(&mut mended);
    assert!(mended == bytes, "the mender and the writer agree on every checksum");
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, SOME, &verified).expect("what is written opens");
    segment.verify(true, &mut |error| panic!("what is written verifies: {error}"));
    let part = segment.part(0).expect("there is one part");
    assert_eq!(part.marks, marks, "marks come back");
    assert_eq!((&part.columns, part.unique), (&spec.columns, spec.unique));
    let mut scratch = Scratch::default();
    let mut shape = 0u64;
    for (stream, expected) in [(Stream::Live, live), (Stream::History, history)] {
        let mut found = RowSet::with_columns(&part.columns);
        for number in 0..part.chunks(stream).len() {
            let chunk = segment.chunk(&part, stream, number).expect("a chunk opens");
            chunk.read(&part, 0..chunk.rows(), System::ALL, &mut found, &mut scratch).expect("and is read");
            for info in chunk.columns() {
                shape = shape.wrapping_mul(12).wrapping_add(form(&info));
            }
            few_columns(&chunk, &part, &mut scratch).expect("and so is a part of it");
        }
        assert_eq!(found.time, expected.time, "times come back");
        let system = (&found.version, &found.until, &found.source, &found.flags);
        assert_eq!(system, (&expected.version, &expected.until, &expected.source, &expected.flags));
        for ((id, a), (_, b)) in found.columns.iter().zip(&expected.columns) {
            assert_eq!(a.len(), b.len(), "column {id}");
            assert!((0..a.len()).all(|row| a.same(row, b, row)), "column {id} comes back to the bit");
        }
    }
    shape
}
