//! Sizes and speeds of bars in a segment: reads CSV (time, open, high, low, close, volume; with or without a header;
//! times in seconds, milliseconds or microseconds, or ISO 8601 dates) from standard input.
//!
//! `zcat FILE.csv.gz | cargo run --release -p tapestore-format --example sizes -- NAME`

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Instant;

use tapestore_format::checksum::Identity;
use tapestore_format::rows::{RowSet, RunVec, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{PartSpec, Scratch, Segment, SegmentWriter, Stream, System, Tier, Verified};
use tapestore_format::time::Timeframe;

const NAMES: [&str; 5] = ["open", "high", "low", "close", "volume"];

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("standard input is text");
    let rows = parse(&text);
    for (tier, label) in [(Tier::Hot, "hot"), (Tier::Dense, "dense"), (Tier::Cold, "cold")] {
        measure(&format!("{name} {label}"), &rows, tier);
    }
}

fn measure(name: &str, rows: &RowSet, tier: Tier) {
    let columns: Vec<_> = (0..5).map(|id| (id, ColumnType::F64)).collect();
    let identity = Identity { store: [1; 16], file: 1 };
    let start = Instant::now();
    let mut writer = SegmentWriter::new(identity, tier);
    writer.begin_part(PartSpec {
        series: 1,
        columns: columns.clone(),
        timeframe: Some(Timeframe::M1),
        unique: true,
        ohlc: Some([0, 1, 2, 3]),
    });
    writer.push_live(rows, 0..rows.len());
    let summary = writer.end_part();
    writer.finish();
    let encode = start.elapsed().as_secs_f64();
    let bytes = std::mem::take(writer.output());
    let count = rows.len() as f64;
    let raw = count * 48.0;

    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, identity, &verified).expect("own bytes");
    let part = segment.part(0).expect("own bytes");
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let mut heads = 0;
    let mut packings: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
    for number in 0..part.live.len() {
        let chunk = segment.chunk(&part, Stream::Live, number).expect("own bytes");
        heads += chunk.head_bytes();
        for column in chunk.columns() {
            let label = column.id.map_or(column.name, |id| NAMES[id as usize]);
            *sizes.entry(label.to_owned()).or_default() += column.bytes;
            *packings.entry(label).or_default().entry(column.encoding.name()).or_default() += 1;
        }
    }
    let columns_bytes: u64 = sizes.values().sum();
    let rest = summary.bytes - heads - columns_bytes;
    print!("{name:34} {count:9} rows {:7.3} B/row:", bytes.len() as f64 / count);
    print!(" heads {:.3} index+runs {:.3}", heads as f64 / count, rest as f64 / count);
    for (label, size) in &sizes {
        print!(" {label} {:.3}", *size as f64 / count);
    }
    println!();
    for (label, encodings) in packings.iter().filter(|(label, _)| NAMES.contains(label)) {
        print!(" {label}: {encodings:?}");
    }
    println!();

    segment.verify(true, &mut |error| panic!("{error}"));
    check(rows, &segment);
    let mut out = RowSet::with_columns(&columns);
    let mut scratch = Scratch::default();
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        for number in 0..part.live.len() {
            let chunk = segment.chunk(&part, Stream::Live, number).expect("own bytes");
            out.clear();
            chunk.read(&part, 0..chunk.rows(), System::TIME, &mut out, &mut scratch).expect("own bytes");
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "  encode {:.3} GB/s  decode {:.3} GB/s (warm, checked once)",
        raw / encode / 1e9,
        raw / best / 1e9
    );
}

/// Every value comes back bit for bit.
fn check(rows: &RowSet, segment: &Segment<'_>) {
    let part = segment.part(0).expect("own bytes");
    let mut out = RowSet::with_columns(&part.columns);
    for number in 0..part.live.len() {
        let chunk = segment.chunk(&part, Stream::Live, number).expect("own bytes");
        let read = chunk.read(&part, 0..chunk.rows(), System::ALL, &mut out, &mut Scratch::default());
        read.expect("own bytes");
    }
    assert_eq!(out.time, rows.time, "times differ");
    for ((id, found), (_, expected)) in out.columns.iter().zip(&rows.columns) {
        let same = (0..rows.len()).all(|row| found.same(row, expected, row));
        assert!(same && found.len() == rows.len(), "column {id} differs");
    }
}

fn parse(text: &str) -> RowSet {
    let mut time = Vec::new();
    let mut columns: [Vec<f64>; 5] = Default::default();
    for line in text.lines() {
        let mut fields = line.split(',');
        let Some(at) = fields.next().and_then(parse_time) else { continue };
        let values: Vec<f64> = fields.take(5).filter_map(|field| field.parse().ok()).collect();
        if values.len() == 5 && time.last().is_none_or(|last| *last < at) {
            time.push(at);
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        }
    }
    let count = time.len();
    RowSet {
        time,
        version: RunVec::constant(1, count),
        source: RunVec::constant(1, count),
        flags: RunVec::constant(0, count),
        columns: (0..).zip(columns).map(|(id, values)| (id, Values::F64(values).into())).collect(),
        ..RowSet::default()
    }
}

/// Nanoseconds, from a number whose unit follows from its size, or from `YYYY-MM-DD HH:MM:SS…`.
fn parse_time(field: &str) -> Option<i64> {
    if let Ok(number) = field.parse::<i64>() {
        return Some(match number {
            0..100_000_000_000 => number * 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => number * 1_000_000,
            _ => number * 1000,
        });
    }
    let part = |range: std::ops::Range<usize>| field.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let days = (1..day).count() as i64 + days_before(year, month);
    Some((((days * 24 + part(11..13)?) * 60 + part(14..16)?) * 60 + part(17..19)?) * 1_000_000_000)
}

fn days_before(year: i64, month: i64) -> i64 {
    Timeframe::Mo1.slot_start((year - 1970) * 12 + month - 1) / 86_400_000_000_000
}
