//! What factors are worth: sizes of bars, each file a series of its own, with and without them.
//!
//! Reads CSV files with a header that names open, high, low and close; dates are not looked at, each row is one day.
//!
//! `cargo run --release -p tapestore-format --example adjusted -- FILE.csv…`

use std::collections::BTreeMap;
use std::time::Instant;

use tapestore_format::checksum::Identity;
use tapestore_format::rows::{RowSet, RunVec, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{
    Holds, PartSpec, Scratch, Segment, SegmentWriter, Stream, System, Tier, Verified,
};
use tapestore_format::time::Timeframe;

const NAMES: [&str; 4] = ["open", "high", "low", "close"];
const IDENTITY: Identity = Identity { store: [1; 16], file: 1 };

fn main() {
    let texts = std::env::args().skip(1).map(|path| (std::fs::read_to_string(&path).expect("a file"), path));
    let series: Vec<RowSet> = texts.map(|(text, path)| parse(&text, &path)).collect();
    let rows: usize = series.iter().map(RowSet::len).sum();
    println!("{} series, {rows} rows; bytes per row", series.len());
    for tier in [Tier::Hot, Tier::Dense, Tier::Cold] {
        for factors in [false, true] {
            measure(&series, rows, tier, factors);
        }
    }
}

fn measure(series: &[RowSet], count: usize, tier: Tier, factors: bool) {
    let columns: Vec<_> = (0..4).map(|id| (id, ColumnType::F64)).collect();
    let start = Instant::now();
    let mut writer = SegmentWriter::holding(IDENTITY, tier, Holds { factors, ..Holds::default() });
    for (number, rows) in (1..).zip(series) {
        writer.begin_part(PartSpec {
            series: number,
            columns: columns.clone(),
            timeframe: Some(Timeframe::D1),
            unique: true,
            ohlc: Some([0, 1, 2, 3]),
        });
        writer.push_live(rows, 0..rows.len());
        writer.end_part();
    }
    writer.finish();
    let encode = start.elapsed().as_secs_f64();
    let bytes = std::mem::take(writer.output());
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, IDENTITY, &verified).expect("own bytes");
    segment.verify(true, &mut |error| panic!("{error}"));
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut forms: BTreeMap<&str, u32> = BTreeMap::new();
    let mut out = RowSet::with_columns(&columns);
    let mut decode = 0.0;
    for (ordinal, rows) in (0..).zip(series) {
        let part = segment.part(ordinal).expect("own bytes");
        let chunk = segment.chunk(&part, Stream::Live, 0).expect("own bytes");
        *sizes.entry("heads").or_default() += chunk.head_bytes();
        for column in chunk.columns() {
            let Some(id) = column.id else { continue };
            *sizes.entry(NAMES[id as usize]).or_default() += column.bytes;
            *forms.entry(column.form()).or_default() += 1;
        }
        out.clear();
        let start = Instant::now();
        let read = chunk.read(&part, 0..chunk.rows(), System::TIME, &mut out, &mut Scratch::pooled());
        decode += start.elapsed().as_secs_f64();
        read.expect("own bytes");
        for ((id, found), (_, expected)) in out.columns.iter().zip(&rows.columns) {
            let same = (0..rows.len()).all(|row| found.same(row, expected, row));
            assert!(same && found.len() == rows.len(), "column {id} of series {ordinal} differs");
        }
    }
    let name = format!("{}{}", tier.name(), if factors { " with factors" } else { "" });
    print!("{name:20} {:7.3}:", bytes.len() as f64 / count as f64);
    sizes.iter().for_each(|(label, size)| print!(" {label} {:.3}", *size as f64 / count as f64));
    let million = |seconds: f64| count as f64 / seconds / 1e6;
    println!(" | encode {:.1}, decode {:.1} million rows/s | {forms:?}", million(encode), million(decode));
}

fn parse(text: &str, path: &str) -> RowSet {
    let mut lines = text.lines();
    let header: Vec<String> = lines.next().unwrap_or("").split(',').map(str::to_lowercase).collect();
    let place = |name: &str| header.iter().position(|field| field == name);
    let places = NAMES.map(|name| place(name).unwrap_or_else(|| panic!("{path}: no column {name}")));
    let mut columns: [Vec<f64>; 4] = Default::default();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let values = places.map(|place| fields.get(place).and_then(|field| field.parse().ok()));
        if values.iter().all(Option::is_some) {
            columns.iter_mut().zip(values).for_each(|(column, value): (_, Option<f64>)| column.extend(value));
        }
    }
    let count = columns[0].len();
    RowSet {
        time: (0..count as i64).map(|day| day * 86_400_000_000_000).collect(),
        version: RunVec::constant(1, count),
        source: RunVec::constant(1, count),
        flags: RunVec::constant(0, count),
        columns: (0..).zip(columns).map(|(id, values)| (id, Values::F64(values).into())).collect(),
        ..RowSet::default()
    }
}
