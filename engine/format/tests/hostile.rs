//! Damage is always named and never returned as data; crafted bytes neither panic nor loop.

mod support;

use std::panic::catch_unwind;

use support::{Content, Random, SOME, content, read, rows_at, same, spec, write};
use tapestore_format::bytes::ByteReader;
use tapestore_format::codec::int::{IntScratch, decode};
use tapestore_format::codec::int_encode;
use tapestore_format::rows::{Mark, MarkKind, RowSet, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{Scratch, Segment, Stream, Tier, Verified};
use tapestore_format::time::{MINUTE_NS, Timeframe};

/// A small segment with a bit of everything.
fn small(random: &mut Random) -> Vec<Content> {
    let columns = [
        (0, ColumnType::F64),
        (1, ColumnType::F64),
        (2, ColumnType::F64),
        (3, ColumnType::F64),
        (4, ColumnType::String),
        (5, ColumnType::I64),
        (6, ColumnType::F32),
    ];
    let mut bars = rows_at((0..150).map(|index| (index + index / 40 * 7) * MINUTE_NS).collect());
    let price = |index: i64, high: i64| (10_000 + index * index % 97 + high) as f64 / 100.0;
    for (id, high) in [(0, 3), (1, 9), (2, 0), (3, 5)] {
        let mut prices: Vec<f64> = (0..150).map(|index| price(index, high)).collect();
        prices[70 + id as usize] = if id == 1 { f64::NAN } else { 101.123_456_78 };
        bars.columns.push((id, Values::F64(prices).into()));
    }
    bars.columns
        .push((4, Values::Str((0..150).map(|index| ["buy", "sell", ""][index % 3]).collect()).into()));
    bars.columns.push((5, support::values(random, ColumnType::I64, 150)));
    bars.columns.push((6, support::values(random, ColumnType::F32, 150)));
    let mut bars_spec = spec(3, &columns, Some(Timeframe::M1));
    bars_spec.ohlc = Some([0, 1, 2, 3]);
    let marks = vec![Mark { kind: MarkKind::Delete, start: 5, end: 700, version: 9 }];
    let mut trades = content(random, 8);
    while trades.live.len() > 150 || trades.live.is_empty() || trades.history.len() > 150 {
        trades = content(random, 8);
    }
    let mut history = RowSet::with_columns(&columns);
    history.extend_from(&bars, 10..13);
    history.until = tapestore_format::rows::RunVec::constant(6, 3);
    vec![Content { spec: bars_spec, live: bars, history, marks }, trades]
}

/// Reads all of `bytes`; what comes back without an error must be the content.
fn check(bytes: &[u8], contents: &[Content]) -> bool {
    let Ok(found) = read(bytes) else { return false };
    assert_eq!(found.len(), contents.len(), "other data");
    for ((live, history, marks), content) in found.iter().zip(contents) {
        same(live, &content.live).expect("other data");
        same(history, &content.history).expect("other data");
        assert_eq!(*marks, content.marks);
    }
    true
}

fn findings(bytes: &[u8]) -> usize {
    let verified = Verified::new(bytes.len() as u64);
    let mut count = 0;
    match Segment::open(bytes, SOME, &verified) {
        Ok(segment) => segment.verify(true, &mut |_| count += 1),
        Err(_) => count = 1,
    }
    count
}

#[test]
fn every_flip_is_named_or_harmless_and_deep_verify_finds_all() {
    for (seed, tier) in [(1, Tier::Dense), (2, Tier::Hot), (3, Tier::Cold)] {
        let mut random = Random(seed);
        let contents = small(&mut random);
        let (bytes, _) = write(&contents, tier);
        assert!(check(&bytes, &contents));
        assert_eq!(findings(&bytes), 0);
        for position in 0..bytes.len() {
            for flip in [1u8 << (position % 8), 0xff] {
                let mut bad = bytes.clone();
                bad[position] ^= flip;
                let found = catch_unwind(|| (check(&bad, &contents), findings(&bad)));
                let (_, findings) = found.unwrap_or_else(|_| panic!("panic at {position}, flip {flip}"));
                assert!(
                    findings > 0,
                    "seed {seed}: flip {flip} at {position} of {} is not found",
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn every_truncation_and_swap_is_named() {
    let contents = small(&mut Random(7));
    let (bytes, _) = write(&contents, Tier::Dense);
    for length in 0..bytes.len() {
        assert!(!check(&bytes[..length], &contents), "length {length}");
    }
    for (from, to) in [(64, 128), (128, 64), (256, 512)] {
        let mut bad = bytes.clone();
        bad.copy_within(from..from + 64, to);
        assert!(bad == bytes || findings(&bad) > 0);
    }
    let mut longer = bytes.clone();
    longer.extend_from_slice(&[0; 64]);
    assert!(!check(&longer, &contents));
}

#[test]
fn crafted_parts_never_panic() {
    let (mut opened, mut read) = (0u32, 0u32);
    for seed in 0..400 {
        let mut random = Random(seed);
        let contents = if seed % 2 == 0 { small(&mut random) } else { vec![content(&mut random, 4)] };
        let (bytes, _) = write(&contents, random.pick(&[Tier::Dense, Tier::Hot, Tier::Cold]));
        let table = bytes.len() - 64 - contents.len() * 32;
        let rounds = 2_000_000 / bytes.len().clamp(10_000, 200_000);
        for _ in 0..rounds {
            let mut bad = bytes.clone();
            for _ in 0..=random.below(3) {
                let position = 64 + random.below((table - 64) as u64) as usize;
                bad[position] =
                    if random.chance(2) { random.next() as u8 } else { bad[position] ^ 1 << random.below(8) };
            }
            let outcome = catch_unwind(|| {
                let verified = Verified::trusting();
                let segment = Segment::open(&bad, SOME, &verified).unwrap();
                segment.verify(true, &mut |_| ());
                let Ok(part) = segment.part(0) else { return (1, 0) };
                let _ = part.rows_between(&segment, 5 * MINUTE_NS, 90 * MINUTE_NS, &mut Scratch::pooled());
                let _ = part.coverage_within(&segment, -5, 1 << 40);
                (1, u32::from(support::read_stream(&segment, 0, Stream::Live).is_ok()))
            });
            let outcome = outcome.unwrap_or_else(|_| panic!("panic, seed {seed}"));
            opened += outcome.0;
            read += outcome.1;
        }
    }
    println!("{opened} crafted segments, {read} of them read through");
    assert!(read > opened / 10, "much damage reaches the decoders: {read} of {opened}");
}

#[test]
fn crafted_integer_blocks_never_panic() {
    let mut scratch = IntScratch::default();
    let mut random = Random(99);
    for round in 0..200_000 {
        let count = random.pick(&[1usize, 2, 9, 64, 200, 1024]);
        let mut bytes = Vec::new();
        if round % 2 == 0 {
            let values = support::values(&mut random, ColumnType::I64, count);
            let Values::I64(values) = values.values else { unreachable!() };
            int_encode::encode(&values, None, &mut bytes);
            let at = random.below(bytes.len().min(12) as u64) as usize;
            bytes[at] = random.next() as u8;
        } else {
            bytes.extend((0..random.below(300)).map(|_| random.next() as u8));
        }
        let mut out = vec![0; count];
        let _ = decode(&mut ByteReader::new(&bytes, "K1"), &mut out, &mut scratch, None);
    }
}
