//! What the tests of segments share: a random source, made-up rows, writing and reading whole parts.
#![allow(dead_code, unreachable_pub, reason = "every test file uses some of it")]

pub mod blocks;

pub use blocks::Random;
use tapestore_format::Result;
use tapestore_format::checksum::Identity;
use tapestore_format::error::FormatError;
use tapestore_format::header::{FileHeader, FileKind};
use tapestore_format::rows::{ColumnValues, Mark, MarkKind, RowSet, RunVec, Strings, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{
    ColumnInfo, PartSpec, Scratch, Segment, SegmentSummary, SegmentWriter, Stream, System, Tier, Verified,
};
use tapestore_format::time::Timeframe;

pub const SOME: Identity = Identity { store: *b"a store of tests", file: 42 };

/// A part as it goes in.
#[derive(Clone, Debug)]
pub struct Content {
    pub spec: PartSpec,
    pub live: RowSet,
    pub history: RowSet,
    pub marks: Vec<Mark>,
}

pub fn spec(series: u32, columns: &[(ColumnId, ColumnType)], timeframe: Option<Timeframe>) -> PartSpec {
    PartSpec { series, columns: columns.to_vec(), timeframe, unique: timeframe.is_some(), ohlc: None }
}

/// Rows at these times, without columns, from one commit.
pub fn rows_at(time: Vec<i64>) -> RowSet {
    let count = time.len();
    RowSet {
        time,
        version: RunVec::constant(1, count),
        source: RunVec::constant(2, count),
        flags: RunVec::constant(0, count),
        ..RowSet::default()
    }
}

/// A part with these columns: a row in each slot from the first after 1970 began.
pub fn part(
    timeframe: Timeframe,
    columns: Vec<(ColumnId, ColumnType, ColumnValues)>,
    ohlc: Option<[ColumnId; 4]>,
) -> Content {
    let count = columns[0].2.len() as i64;
    let kinds: Vec<_> = columns.iter().map(|(id, kind, _)| (*id, *kind)).collect();
    let mut rows = rows_at((0..count).map(|slot| timeframe.slot_start(slot)).collect());
    rows.columns = columns.into_iter().map(|(id, _, values)| (id, values)).collect();
    let mut spec = spec(1, &kinds, Some(timeframe));
    spec.ohlc = ohlc;
    Content { spec, live: rows, history: RowSet::default(), marks: Vec::new() }
}

/// A part of bars that predict one another: open, high, low and close.
pub fn bars(timeframe: Timeframe, columns: &[Vec<f64>; 4]) -> Content {
    let columns = columns.iter().map(|prices| Values::F64(prices.clone()).into());
    let columns = (0..).zip(columns).map(|(id, prices)| (id, ColumnType::F64, prices)).collect();
    part(timeframe, columns, Some([0, 1, 2, 3]))
}

/// Values of a type in one of several manners, with nulls now and then.
pub fn values(random: &mut Random, kind: ColumnType, count: usize) -> ColumnValues {
    let manner = random.below(8);
    let base = random.next() as i64 >> random.below(64);
    let mut walk = base;
    let integer = |random: &mut Random, walk: &mut i64| match manner {
        0 => base,
        1 => random.next() as i64,
        2 => {
            *walk = walk.wrapping_add(random.below(100) as i64 - 40);
            *walk
        }
        3 => random.below(5) as i64 * 1000,
        4 if random.chance(50) => random.next() as i64 >> random.below(64),
        4 | 5 => random.below(1000) as i64,
        6 if random.chance(3) => random.below(30) as i64,
        6 => 0,
        _ if random.chance(40) => {
            *walk = random.pick(&[i64::MIN, i64::MAX, 0, -1, 1]);
            *walk
        }
        _ => *walk,
    };
    let strange = [
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_1234),
        -0.0,
        0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let float = |random: &mut Random, walk: &mut i64| match manner {
        0 => f64::from_bits(base as u64),
        1 => f64::from_bits(random.next()),
        2 | 3 if random.chance(30) => random.pick(&strange),
        2 => {
            *walk = walk.wrapping_add(random.below(100) as i64 - 40) % (1 << 40);
            *walk as f64 / 100.0
        }
        3 => random.below(5) as f64 * 0.25,
        4 if random.chance(50) => random.below(1 << 50) as f64 / 1e8,
        4 | 5 => random.below(100_000) as f64 / 100.0,
        6 => (random.below(1 << 30) as f64).sqrt(),
        _ if random.chance(20) => random.below(1000) as f64 / 10.0 + random.below(10) as f64 / 10.0,
        _ => random.below(1000) as f64 / 10.0,
    };
    let mut out = match kind {
        ColumnType::I64 | ColumnType::Timestamp => {
            Values::I64((0..count).map(|_| integer(random, &mut walk)).collect())
        }
        ColumnType::F64 => Values::F64((0..count).map(|_| float(random, &mut walk)).collect()),
        ColumnType::F32 => Values::F32(
            (0..count)
                .map(|_| {
                    if manner == 1 {
                        f32::from_bits(random.next() as u32)
                    } else {
                        float(random, &mut walk) as f32
                    }
                })
                .collect(),
        ),
        ColumnType::U8 => Values::U8((0..count).map(|_| integer(random, &mut walk) as u8).collect()),
        ColumnType::Bool => Values::U8((0..count).map(|_| integer(random, &mut walk) as u8 & 1).collect()),
        ColumnType::String => Values::Str(
            (0..count)
                .map(|_| match manner {
                    0 => "always".to_owned(),
                    1 => format!("{:x}", random.next()),
                    2 => "ä→".repeat(random.below(800) as usize),
                    _ => format!("code {}", random.below(20)),
                })
                .collect::<Strings>(),
        ),
    };
    let share = random.pick(&[0, 0, 0, 1, 2, 50, 5000]);
    if share == 0 {
        return out.into();
    }
    let nulls: Vec<bool> = (0..count).map(|_| random.chance(share)).collect();
    match &mut out {
        Values::I64(v) => zero(v, &nulls, 0),
        Values::F64(v) => zero(v, &nulls, 0.0),
        Values::F32(v) => zero(v, &nulls, 0.0),
        Values::U8(v) => zero(v, &nulls, 0),
        Values::Str(v) => {
            *v = nulls.iter().enumerate().map(|(row, null)| if *null { "" } else { v.get(row) }).collect();
        }
    }
    ColumnValues { values: out, nulls: Some(nulls) }
}

/// Puts sixty values among bars that no price is: some alone, some in all columns of a row.
pub fn put_odd(random: &mut Random, columns: &mut [Vec<f64>; 4]) {
    let odd = [f64::NAN, f64::INFINITY, -0.0, 0.1 + 0.2, 1e300, f64::MIN_POSITIVE / 8.0, -2_500.123_456_78];
    for _ in 0..60 {
        let row = random.below(columns[0].len() as u64) as usize;
        let value = random.pick(&odd);
        let (first, last) = random.pick(&[(0, 4), (0, 1), (1, 2), (3, 4)]);
        columns[first..last].iter_mut().for_each(|column| column[row] = value);
    }
}

fn zero<T: Copy>(values: &mut [T], nulls: &[bool], zero: T) {
    for (value, _) in values.iter_mut().zip(nulls).filter(|(_, null)| **null) {
        *value = zero;
    }
}

fn runs<T: Copy + PartialEq>(
    random: &mut Random,
    count: usize,
    mut value: impl FnMut(&mut Random) -> T,
) -> RunVec<T> {
    if random.chance(2) {
        return RunVec::constant(value(random), count);
    }
    let length = random.pick(&[1, 3, 1000]);
    let mut out = RunVec::default();
    while out.len() < count {
        let next = value(random);
        out.push(next, (count - out.len()).min(random.below(length) as usize + 1));
    }
    out
}

fn times(random: &mut Random, count: usize, timeframe: Option<Timeframe>) -> Vec<i64> {
    let mut time = random.below(2_000_000_000) as i64 * 1_000_000_000;
    match timeframe {
        Some(timeframe) => {
            // Months and weeks reach the ends of time soon: they start early and have few gaps.
            let long = timeframe >= Timeframe::W1;
            let mut slot = if long { -800 } else { timeframe.slot(time) };
            let gap = if long { random.pick(&[50, 1 << 60]) } else { random.pick(&[2, 10, 1000, 1 << 60]) };
            let widest = if long { 4 } else { 300 };
            let stray = random.pick(&[u64::MAX, u64::MAX, 700]);
            let step = |random: &mut Random| {
                slot += 1 + if random.chance(gap) { random.below(widest) as i64 } else { 0 };
                timeframe.slot_start(slot) + i64::from(stray < u64::MAX && random.chance(stray))
            };
            let mut step = step;
            (0..count).map(|_| step(random)).collect()
        }
        None => (0..count)
            .map(|_| {
                time += if random.chance(3) { 0 } else { random.below(5_000_000_000) as i64 };
                time
            })
            .collect(),
    }
}

/// Made-up rows with system columns.
pub fn rows(random: &mut Random, spec: &PartSpec, count: usize, history: bool) -> RowSet {
    let time = times(random, count, spec.timeframe);
    RowSet {
        time,
        version: runs(random, count, |random| random.below(1 << 40)),
        until: if history { runs(random, count, |random| random.below(1 << 40)) } else { RunVec::default() },
        source: runs(random, count, |random| random.below(10) as u16),
        flags: runs(random, count, |random| random.next() as u16),
        columns: spec.columns.iter().map(|(id, kind)| (*id, values(random, *kind, count))).collect(),
    }
}

pub fn content(random: &mut Random, series: u32) -> Content {
    let count = random.pick(&[0, 1, 2, 5, 100, 1023, 1024, 1025, 3000]);
    let history = random.pick(&[0, 0, 1, 40, 1500]);
    let timeframe = random.pick(&[None, Some(Timeframe::M1), Some(Timeframe::Mo1), Some(Timeframe::W1)]);
    let mut columns: Vec<(ColumnId, ColumnType)> = Vec::new();
    for id in 0..random.below(5) as ColumnId {
        columns.push((id * 7, random.pick(&ColumnType::ALL)));
    }
    let mut spec = spec(series, &columns, timeframe);
    if timeframe == Some(Timeframe::M1) && random.chance(2) {
        let first = columns.len() as ColumnId * 7;
        let ids = [first, first + 1, first + 2, first + 3];
        spec.columns.extend(ids.map(|id| (id, ColumnType::F64)));
        spec.ohlc = Some(ids);
    }
    let marks = (0..random.below(3))
        .map(|_| {
            let start = random.next() as i64 >> 4;
            Mark {
                kind: MarkKind::Absent,
                start,
                end: start + random.below(1 << 40) as i64,
                version: random.below(1 << 40),
            }
        })
        .collect();
    let live = rows(random, &spec, count, false);
    let history = rows(random, &spec, history, true);
    Content { spec, live, history, marks }
}

pub fn write(contents: &[Content], tier: Tier) -> (Vec<u8>, SegmentSummary) {
    write_with(contents, SegmentWriter::new(SOME, tier)).0
}

/// Writes all, and tells whether factors would make it smaller.
pub fn write_with(contents: &[Content], mut writer: SegmentWriter) -> ((Vec<u8>, SegmentSummary), bool) {
    let mut file = Vec::new();
    for content in contents {
        writer.begin_part(content.spec.clone());
        writer.push_live(&content.live, 0..content.live.len() / 3);
        file.append(writer.output());
        writer.push_live(&content.live, content.live.len() / 3..content.live.len());
        writer.push_history(&content.history, 0..content.history.len());
        content.marks.iter().for_each(|mark| writer.push_mark(*mark));
        writer.end_part();
        file.append(writer.output());
    }
    let summary = writer.finish();
    file.append(writer.output());
    assert_eq!(file.len() as u64, summary.length);
    ((file, summary), writer.lacks_factors())
}

/// All rows of a stream.
pub fn read_stream(segment: &Segment<'_>, ordinal: u32, stream: Stream) -> Result<RowSet> {
    let part = segment.part(ordinal)?;
    let mut rows = RowSet::with_columns(&part.columns);
    let mut scratch = Scratch::default();
    for number in 0..part.chunks(stream).len() {
        let chunk = segment.chunk(&part, stream, number)?;
        chunk.read(&part, 0..chunk.rows(), System::ALL, &mut rows, &mut scratch)?;
    }
    Ok(rows)
}

/// Everything in a segment.
pub fn read(bytes: &[u8]) -> Result<Vec<(RowSet, RowSet, Vec<Mark>)>> {
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, SOME, &verified)?;
    (0..segment.part_count())
        .map(|ordinal| {
            let part = segment.part(ordinal)?;
            let live = read_stream(&segment, ordinal, Stream::Live)?;
            Ok((live, read_stream(&segment, ordinal, Stream::History)?, part.marks))
        })
        .collect()
}

/// The features that a file requires.
pub fn required(bytes: &[u8]) -> u32 {
    FileHeader::decode(bytes, FileKind::Segment).unwrap().required
}

/// Why a file is refused whose header says that it requires these features alone.
pub fn refusal(mut bytes: Vec<u8>, required: u32) -> FormatError {
    let mut header = FileHeader::decode(&bytes, FileKind::Segment).unwrap();
    header.required = required;
    bytes[..64].copy_from_slice(&header.encode());
    read(&bytes).unwrap_err()
}

/// Compares bit by bit (`==` on floats would not).
pub fn same(found: &RowSet, expected: &RowSet) -> std::result::Result<(), String> {
    if found.time != expected.time {
        return Err("times differ".into());
    }
    let system = found.version == expected.version
        && found.until == expected.until
        && found.source == expected.source
        && found.flags == expected.flags;
    if !system {
        return Err("system columns differ".into());
    }
    for ((id, a), (_, b)) in found.columns.iter().zip(&expected.columns) {
        if a.len() != b.len() {
            return Err(format!("column {id} has {} rows, expected {}", a.len(), b.len()));
        }
        if let Some(row) = (0..a.len()).find(|row| !a.same(*row, b, *row)) {
            return Err(format!("column {id} row {row} differs: {:?}", (&a.is_null(row), &b.is_null(row))));
        }
    }
    Ok(())
}

/// Checks that a part comes back wholly, and so many times in part: any rows of the columns that `pick` names. How the
/// columns of its first chunk are stored.
pub fn stored(
    content: &Content,
    bytes: &[u8],
    random: &mut Random,
    times: usize,
    pick: impl Fn(&mut Random) -> Vec<(ColumnId, ColumnType)>,
) -> Vec<ColumnInfo> {
    same(&read(bytes).unwrap()[0].0, &content.live).unwrap();
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, SOME, &verified).unwrap();
    segment.verify(true, &mut |error| panic!("{error}"));
    let part = segment.part(0).unwrap();
    let chunk = segment.chunk(&part, Stream::Live, 0).unwrap();
    let count = chunk.rows() as u64;
    let mut scratch = Scratch::default();
    for _ in 0..times {
        let start = random.below(count) as usize;
        let end = start + 1 + random.below(count - start as u64) as usize;
        let wanted = pick(random);
        let mut out = RowSet::with_columns(&wanted);
        chunk.read(&part, start..end, System::NONE, &mut out, &mut scratch).unwrap();
        for (id, found) in &out.columns {
            let expected = &content.live.columns[usize::from(*id)].1;
            let same = (start..end).all(|row| found.same(row - start, expected, row));
            assert!(same, "column {id} of {wanted:?}, rows {start} to {end}");
        }
    }
    chunk.columns().filter(|column| column.id.is_some()).collect()
}

/// Whether the group of [`bars`] is of a kind, as every column of it tells. All rows come back, and any range of rows of any
/// columns in any order.
pub fn stored_group(
    content: &Content,
    bytes: &[u8],
    random: &mut Random,
    told: fn(&ColumnInfo) -> bool,
) -> bool {
    let pick = |random: &mut Random| {
        let mut wanted: Vec<(ColumnId, ColumnType)> = Vec::new();
        for _ in 0..=random.below(4) {
            let id = random.below(4) as ColumnId;
            if wanted.iter().all(|column| column.0 != id) {
                wanted.push((id, ColumnType::F64));
            }
        }
        wanted
    };
    let columns = stored(content, bytes, random, 12, pick);
    let forms: Vec<bool> = columns.iter().map(told).collect();
    assert!(forms.iter().all(|form| *form == forms[0]), "all of a group, or none");
    forms[0]
}
