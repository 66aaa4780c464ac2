//! Whole segments: what goes in comes out, bit for bit.

mod support;

use support::{Content, Random, SOME, content, read, read_stream, rows_at, same, spec, write};
use tapestore_format::coverage::Coverage;
use tapestore_format::limits::{TIME_MAX, TIME_MIN};
use tapestore_format::rows::{Mark, MarkKind, RowSet, RunVec, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{Scratch, Segment, Stream, System, Tier, Verified};
use tapestore_format::time::{MINUTE_NS, Timeframe};

#[test]
fn random_parts_come_back_bit_for_bit() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let count = random.below(5) as u32;
        let contents: Vec<Content> = (0..count).map(|index| content(&mut random, index * 3 + 1)).collect();
        let tier = random.pick(&[Tier::Hot, Tier::Dense, Tier::Cold]);
        let (bytes, summary) = write(&contents, tier);
        let found = read(&bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(found.len(), contents.len());
        for ((live, history, marks), content) in found.iter().zip(&contents) {
            same(live, &content.live).unwrap_or_else(|error| panic!("seed {seed} live: {error}"));
            same(history, &content.history).unwrap_or_else(|error| panic!("seed {seed} history: {error}"));
            assert_eq!(*marks, content.marks, "seed {seed}");
        }
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        segment.verify(true, &mut |error| panic!("seed {seed}: {error}"));
        for (index, part) in summary.parts.iter().enumerate() {
            assert_eq!(segment.summary(index as u32).unwrap(), *part, "seed {seed}");
        }
    }
}

#[test]
fn coverage_and_row_searches_agree_with_the_times() {
    for seed in 1000..1200 {
        let mut random = Random(seed);
        let content = content(&mut random, 5);
        let (bytes, _) = write(std::slice::from_ref(&content), Tier::Dense);
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        let part = segment.part(0).unwrap();
        let mut expected = Coverage::default();
        if let Some(timeframe) = content.spec.timeframe {
            content.live.time.iter().for_each(|time| expected.push(timeframe.slot(*time)));
        }
        assert_eq!(part.coverage(&segment).unwrap(), expected, "seed {seed}");
        let mut edges = vec![i64::MIN, i64::MAX, 0];
        for _ in 0..30 {
            if let Some(time) = content.live.time.get(random.below(content.live.len().max(1) as u64) as usize)
            {
                edges.extend([*time, time + 1, time - 1]);
            }
        }
        for _ in 0..40 {
            let (start, end) = (random.pick(&edges), random.pick(&edges));
            let found = part.rows_between(&segment, start, end, &mut Scratch::pooled()).unwrap();
            let wanted = content.live.rows_between(start, end);
            assert_eq!(
                (found.start, found.end),
                (wanted.start as u64, wanted.end as u64),
                "seed {seed} {start} {end}"
            );
            if let Some(timeframe) = content.spec.timeframe {
                let slots = |time: i64| timeframe.slot(time.clamp(TIME_MIN, TIME_MAX));
                let within = part.coverage_within(&segment, slots(start), slots(end)).unwrap();
                let counted = part.slots_within(&segment, slots(start), slots(end), &mut Scratch::pooled());
                assert_eq!(counted.unwrap(), within.slots(), "seed {seed}");
                assert_eq!(within, expected.within(slots(start), slots(end)).collect(), "seed {seed}");
            }
        }
    }
}

#[test]
fn ranges_and_projections_read_what_is_asked() {
    for seed in 2000..2100 {
        let mut random = Random(seed);
        let content = content(&mut random, 5);
        if content.live.is_empty() {
            continue;
        }
        let (bytes, _) =
            write(std::slice::from_ref(&content), random.pick(&[Tier::Hot, Tier::Dense, Tier::Cold]));
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        let part = segment.part(0).unwrap();
        let chunk = segment.chunk(&part, Stream::Live, 0).unwrap();
        let mut scratch = Scratch::default();
        for _ in 0..10 {
            let mut wanted = content.spec.columns.clone();
            wanted.retain(|_| random.chance(2));
            wanted.push((999, ColumnType::String));
            let start = random.below(content.live.len() as u64 + 1) as usize;
            let end = start + random.below((content.live.len() - start) as u64 + 1) as usize;
            let mut expected = RowSet::with_columns(&wanted);
            expected.extend_from(&content.live, start..end);
            let mut found = RowSet::with_columns(&wanted);
            let middle = start.midpoint(end);
            chunk.read(&part, start..middle, System::ALL, &mut found, &mut scratch).unwrap();
            chunk.read(&part, middle..end, System::ALL, &mut found, &mut scratch).unwrap();
            same(&found, &expected).unwrap_or_else(|error| panic!("seed {seed} {start}..{end}: {error}"));
        }
    }
}

#[test]
fn parts_of_many_chunks_keep_their_order() {
    let count = 150_000;
    let mut rows = rows_at((0..count).map(|index| (index + index / 1000 * 5) * MINUTE_NS).collect());
    rows.columns = vec![(3, Values::I64((0..count).collect()).into())];
    let spec = spec(9, &[(3, ColumnType::I64)], Some(Timeframe::M1));
    let content = Content { spec, live: rows, history: RowSet::default(), marks: Vec::new() };
    for tier in [Tier::Hot, Tier::Dense, Tier::Cold] {
        let (bytes, _) = write(std::slice::from_ref(&content), tier);
        let verified = Verified::new(bytes.len() as u64);
        let segment = Segment::open(&bytes, SOME, &verified).unwrap();
        let part = segment.part(0).unwrap();
        assert_eq!(part.live.len(), 3);
        assert!(part.on_grid);
        same(&read_stream(&segment, 0, Stream::Live).unwrap(), &content.live).unwrap();
        assert_eq!(
            part.rows_between(&segment, 70_000 * MINUTE_NS, i64::MAX, &mut Scratch::pooled()).unwrap().end,
            150_000
        );
        let chunk = segment.chunk(&part, Stream::Live, 1).unwrap();
        let raw = chunk.raw_i64(3, 10..5000).unwrap();
        match tier {
            Tier::Hot => assert_eq!(raw.unwrap()[0], 65_546),
            Tier::Dense | Tier::Cold => assert!(raw.is_none()),
        }
    }
}

#[test]
fn a_part_of_one_bar_is_small() {
    let columns: Vec<_> = (0..5).map(|id| (id, ColumnType::F64)).collect();
    let contents: Vec<Content> = (0..10_000)
        .map(|series| {
            let mut rows = rows_at(vec![1_750_000_000 / 60 * 60 * 1_000_000_000]);
            rows.version = RunVec::constant(123_456, 1);
            rows.columns = columns
                .iter()
                .map(|(id, _)| (*id, Values::F64(vec![f64::from(*id) * 0.1 + 7.0]).into()))
                .collect();
            let spec = spec(series, &columns, Some(Timeframe::M1));
            Content { spec, live: rows, history: RowSet::default(), marks: Vec::new() }
        })
        .collect();
    let (bytes, _) = write(&contents, Tier::Dense);
    let each = bytes.len() / contents.len();
    assert!(each <= 300, "{each} bytes per part of one bar");
}

#[test]
fn a_bar_off_the_grid_leaves_earlier_chunks_to_the_runs() {
    let mut times: Vec<i64> = (0..200_000).map(|index| (index + index / 777) * MINUTE_NS).collect();
    times[100_000] += 1;
    // A second bar within the slot of the one before it.
    times[150_000] = times[149_999] + 5;
    let spec = spec(1, &[], Some(Timeframe::M1));
    let content = Content { spec, live: rows_at(times), history: RowSet::default(), marks: Vec::new() };
    let (bytes, _) = write(std::slice::from_ref(&content), Tier::Dense);
    same(&read(&bytes).unwrap()[0].0, &content.live).unwrap();
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, SOME, &verified).unwrap();
    segment.verify(true, &mut |error| panic!("{error}"));
    let part = segment.part(0).unwrap();
    assert!(!part.on_grid);
    let stored =
        |chunk: usize| segment.chunk(&part, Stream::Live, chunk).unwrap().columns().any(|c| c.name == "time");
    assert_eq!([0, 1, 2, 3].map(stored), [false, true, true, true]);
    let mut random = Random(3);
    for _ in 0..300 {
        let near = content.live.time[random.below(200_000) as usize] + random.pick(&[-1, 0, 1]);
        let (start, end) = (near, near + random.below(1 << 42) as i64);
        let expected = content.live.rows_between(start, end);
        let found = part.rows_between(&segment, start, end, &mut Scratch::pooled()).unwrap();
        assert_eq!((found.start, found.end), (expected.start as u64, expected.end as u64));
    }
}

#[test]
fn an_empty_segment_and_parts_of_marks_only_are_valid() {
    let (bytes, summary) = write(&[], Tier::Dense);
    assert_eq!((bytes.len(), summary.parts.len()), (128, 0));
    assert!(read(&bytes).unwrap().is_empty());
    let mark = Mark { kind: MarkKind::Delete, start: TIME_MIN, end: TIME_MAX + 1, version: 77 };
    let content = Content {
        spec: spec(6, &[], None),
        live: RowSet::default(),
        history: RowSet::default(),
        marks: vec![mark],
    };
    let (bytes, summary) = write(&[content], Tier::Dense);
    assert_eq!(read(&bytes).unwrap()[0].2, [mark]);
    let part = &summary.parts[0];
    assert_eq!((part.rows, part.first_time, part.last_time), (0, 0, -1));
    assert_eq!((part.version_low, part.version_high, part.marks), (77, 77, 1));
}

#[test]
fn the_hash_of_a_segment_is_that_of_its_bytes() {
    let mut random = Random(77);
    let contents = [content(&mut random, 1), content(&mut random, 2)];
    let (bytes, summary) = write(&contents, Tier::Dense);
    assert_eq!(summary.hash, xxhash_rust::xxh3::xxh3_128(&bytes));
    assert_eq!(write(&contents, Tier::Dense).0, bytes, "writing is deterministic");
}

/// Whether packing such a block would take less is asked of its differences, of which it has none.
#[test]
fn a_coded_column_may_end_in_a_block_of_one_row() {
    let mut random = Random(11);
    for count in [1025, 2049, 9217] {
        let mut rows = rows_at((0..count).map(|row| row * 1000 + random.below(900) as i64).collect());
        // Small numbers are the most frequent ones.
        let skewed = (0..count).map(|_| (random.below(40) * random.below(40) / 30) as i64).collect();
        rows.columns = vec![(0, Values::I64(skewed).into())];
        let content = Content {
            spec: spec(1, &[(0, ColumnType::I64)], None),
            live: rows,
            history: RowSet::default(),
            marks: Vec::new(),
        };
        let (bytes, _) = write(std::slice::from_ref(&content), Tier::Cold);
        same(&read(&bytes).unwrap()[0].0, &content.live).unwrap();
    }
}
