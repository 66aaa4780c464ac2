//! Whole blocks by packing and width, what stands behind mantissas, and columns as they are read.

use std::hint::black_box;

use tapestore_format::bytes::{ByteReader, ByteWriter};
use tapestore_format::checksum::Identity;
use tapestore_format::codec::bitpack::{bits, pack};
use tapestore_format::codec::decimal;
use tapestore_format::codec::factor;
use tapestore_format::codec::int::{self, IntScratch, Packing, packing_of};
use tapestore_format::codec::int_encode;
use tapestore_format::codec::kernel::Kernels;
use tapestore_format::codec::single::Closes;
use tapestore_format::rows::{ColumnValues, RowSet, RunVec, Values};
use tapestore_format::schema::ColumnType;
use tapestore_format::segment::{PartSpec, Scratch, Segment, SegmentWriter, Stream, System, Tier, Verified};
use tapestore_format::time::Timeframe;

use crate::{COUNT, Figure, once};

fn noise(i: usize) -> u64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ mixed >> 32
}

/// A number of a width.
fn number(i: usize, width: u32) -> u64 {
    if width == 0 { 0 } else { noise(i) >> (64 - width) }
}

/// The head of a block without transform or form, and the base of one that has offsets.
fn head(packing: Packing, base: Option<i64>) -> Vec<u8> {
    let mut out = vec![packing as u8];
    base.into_iter().for_each(|base| out.put_signed_varint(base));
    out
}

fn packed(count: usize, width: u32) -> Vec<u8> {
    let mut out = head(Packing::Packed, Some(7));
    out.put_u8(width as u8);
    pack((0..count).map(|i| number(i, width)), width, &mut out);
    out
}

/// Eight more bits for so many of the numbers.
fn patched(width: u32, patches: usize) -> Vec<u8> {
    let mut out = head(Packing::Patched, Some(7));
    out.extend([width as u8, 8]);
    out.put_varint(patches as u64);
    pack((0..patches).map(|patch| (patch * COUNT / patches) as u64), bits(COUNT as u64 - 1), &mut out);
    pack((0..patches).map(|i| number(i, 8)), 8, &mut out);
    pack((0..COUNT).map(|i| number(i, width)), width, &mut out);
    out
}

/// Codes of a width, each of which has a value of 20 bits.
fn dictionary(width: u32) -> Vec<u8> {
    let mut out = head(Packing::Dictionary, None);
    out.put_varint(1 << width);
    out.extend(packed(1 << width, 20));
    pack((0..COUNT).map(|i| number(i, width)), width, &mut out);
    out
}

/// Values of a width for runs of this length in the mean.
fn runs(width: u32, length: usize) -> Vec<u8> {
    let (mut lengths, mut left) = (Vec::new(), COUNT);
    while left > 0 {
        let next = (noise(lengths.len()) as usize % (2 * length - 1)).min(left - 1);
        lengths.push(next as u64);
        left -= next + 1;
    }
    let mut out = head(Packing::Runs, None);
    out.put_varint(lengths.len() as u64);
    out.extend(packed(lengths.len(), width));
    out.extend(head(Packing::Packed, Some(0)));
    let width = bits(2 * length as u64 - 2);
    out.put_u8(width as u8);
    pack(lengths, width, &mut out);
    out
}

/// Every second number has a value of a width.
fn sparse(width: u32) -> Vec<u8> {
    let mut out = head(Packing::Sparse, Some(0));
    let others = (0..COUNT).filter(|i| number(*i, 1) == 1).count();
    out.put_varint(others as u64);
    pack((0..COUNT).map(|i| number(i, 1)), 1, &mut out);
    out.extend(packed(others, width));
    out
}

/// A quarter of the numbers in each of four widths, of which this is the mean.
fn classes(width: u32) -> Vec<u8> {
    let mut out = head(Packing::Classes, Some(7));
    let widths = [width / 2, width - width / 4, width + width / 4, width + width / 2];
    out.extend(widths.map(|width| width as u8));
    let class = |i: &usize| number(*i, 2) as usize;
    pack((0..COUNT).map(|i| number(i, 2)), 2, &mut out);
    for (own, width) in widths.into_iter().enumerate() {
        let rows = (0..COUNT).filter(|i| class(i) == own);
        pack(rows.map(|i| number(i + COUNT, width)), width, &mut out);
    }
    out
}

/// Every packing as a whole block, from its head to numbers of 64 bits.
pub(crate) fn packings(figure: Figure) {
    let block = |name: &str, block: &[u8]| {
        let mut out = vec![0; COUNT];
        scratches(figure, &format!("block, {} {name}", packing_of(block[0]).name()), |scratch| {
            let mut reader = ByteReader::new(black_box(block), "K1");
            int::decode(&mut reader, &mut out, scratch, None).expect("a sound block");
            reader.finish().expect("nothing behind it");
        });
    };
    let mut constant = head(Packing::Constant, None);
    constant.put_signed_varint(7);
    block("", &constant);
    for width in [4, 8, 12, 16, 24, 32, 40] {
        let of = format!("{width} bits");
        block(&of, &packed(COUNT, width));
        block(&format!("{of}, 32 patches"), &patched(width, 32));
        block(&format!("{of}, every second"), &sparse(width));
        block(&format!("{of} in the mean"), &classes(width));
        block(&format!("{of}, runs of 8"), &runs(width, 8));
    }
    for patches in [8, 128, 512] {
        block(&format!("8 bits, {patches} patches"), &patched(8, patches));
    }
    for length in [2, 32, 256] {
        block(&format!("8 bits, runs of {length}"), &runs(8, length));
    }
    (0..=10).for_each(|width| block(&format!("{width} bits"), &dictionary(width)));
    let mut raw = head(Packing::Raw, None);
    (0..COUNT).for_each(|i| raw.put_u64(noise(i)));
    block("", &raw);
}

/// Prints a line: a call with the buffers of every table.
fn scratches(figure: Figure, name: &str, mut call: impl FnMut(&mut IntScratch)) {
    print!("| {name} |");
    for table in Kernels::all() {
        let mut scratch = IntScratch::with(table);
        figure.print(|| call(&mut scratch));
    }
    println!();
}

/// What is done to the decimals of a block.
pub(crate) fn behind(figure: Figure) {
    let prices: Vec<f64> = (0..COUNT).map(|i| number(i, 12) as f64 / 100.0).collect();
    let mut rows = vec![0; COUNT];
    for (count, bytes) in [(8, 2), (32, 2), (128, 2), (32, 10)] {
        let mut block = Vec::new();
        block.put_varint(count as u64);
        pack((0..count).map(|i| (i * COUNT / count) as u64), bits(COUNT as u64 - 1), &mut block);
        (0..count).for_each(|_| block.put_signed_varint(if bytes == 2 { -100 } else { i64::MIN }));
        let mut out = prices.clone();
        once(figure, &format!("{count} exceptions of {bytes} bytes"), |_| {
            let mut reader = ByteReader::new(black_box(&block), "K11");
            decimal::patch(&mut reader, COUNT, 0, &mut out, &mut rows).expect("sound exceptions");
        });
    }
    let factors = |runs: usize, residues: u32| {
        let mut block = Vec::new();
        block.put_varint(runs as u64);
        pack((1..runs).map(|run| (run * COUNT / runs) as u64), bits(COUNT as u64 - 1), &mut block);
        (0..runs).for_each(|_| block.put_u64(0.9f64.to_bits()));
        let residues: Vec<i64> = (0..COUNT).map(|i| number(i, residues) as i64).collect();
        int_encode::encode(&residues, None, &mut block);
        block
    };
    for (runs, residues) in [(1, 0), (1, 1), (1, 2), (1, 8), (16, 2)] {
        let block = factors(runs, residues);
        let mut out = prices.clone();
        let name =
            format!("factors in {runs} runs, residues of {residues} bits ({})", packing_name(&block, runs));
        scratches(figure, &name, |scratch| {
            out.copy_from_slice(&prices);
            let mut reader = ByteReader::new(black_box(&block), "K17");
            factor::apply(&mut reader, COUNT, 0, &mut out, &mut rows, scratch).expect("sound factors");
        });
    }
    let mut closes = Closes::default();
    for (runs, residues) in [(1, 0), (1, 2), (16, 2)] {
        let block = factors(runs, residues);
        let name = format!("adjusted closes in {runs} runs, residues of {residues} bits");
        scratches(figure, &name, |scratch| {
            let mut reader = ByteReader::new(black_box(&block), "K21");
            let decimals = |out: &mut Vec<f64>| out.extend_from_slice(&prices);
            closes.read(&mut reader, COUNT, decimals, &mut rows, scratch).expect("sound closes");
        });
    }
    let mut out = prices.clone();
    once(figure, "other adjusted singles", |_| {
        out.copy_from_slice(&prices);
        black_box(&closes).adjust(0, &mut out);
    });
}

/// How the residues are packed, behind runs.
fn packing_name(block: &[u8], runs: usize) -> &'static str {
    packing_of(block[1 + ((runs - 1) * 10).div_ceil(8) + runs * 8]).name()
}

/// Columns as rows are read, a block at a time, by the best table.
pub(crate) fn columns(figure: Figure) {
    println!("\n| a column, a block of it read at a time | {} per value |\n| --- | --- |", figure.name());
    let null = |i: usize| number(i + 5, 4) == 0;
    let nulls = || Some((0..COUNT * 4).map(null).collect::<Vec<_>>());
    let all = |value: &dyn Fn(usize) -> f64| (0..COUNT * 4).map(value).collect::<Vec<_>>();
    let integer = |i: usize| number(i, 12) as i64;
    let price = |i: usize| number(i, 12) as f64 / 100.0;
    let noisy = |i: usize| (number(i, 12) as f64).sqrt();
    let column = |name: &str, values: Values, nulls: Option<Vec<bool>>| {
        let kind = match values {
            Values::I64(_) => ColumnType::I64,
            Values::F32(_) => ColumnType::F32,
            _ => ColumnType::F64,
        };
        read(figure, name, kind, ColumnValues { values, nulls });
    };
    let unless = |value: &dyn Fn(usize) -> f64, i: usize| if null(i) { 0.0 } else { value(i) };
    column("i64", Values::I64((0..COUNT * 4).map(integer).collect()), None);
    let known = (0..COUNT * 4).map(|i| if null(i) { 0 } else { integer(i) }).collect();
    column("i64, nulls", Values::I64(known), nulls());
    column("f64", Values::F64(all(&price)), None);
    column("f64, nulls", Values::F64(all(&|i| unless(&price, i))), nulls());
    column("f64", Values::F64(all(&noisy)), None);
    column("f64, nulls", Values::F64(all(&|i| unless(&noisy, i))), nulls());
    let singles = |value: &dyn Fn(usize) -> f64| (0..COUNT * 4).map(|i| value(i) as f32).collect();
    column("f32", Values::F32(singles(&price)), None);
    column("f32", Values::F32(singles(&noisy)), None);
}

fn read(figure: Figure, name: &str, kind: ColumnType, values: ColumnValues) {
    let (identity, count) = (Identity { store: [1; 16], file: 1 }, values.len());
    let timeframe = Timeframe::M1;
    let rows = RowSet {
        time: (0..count as i64).map(|slot| timeframe.slot_start(slot)).collect(),
        version: RunVec::constant(1, count),
        source: RunVec::constant(2, count),
        flags: RunVec::constant(0, count),
        columns: vec![(0, values)],
        ..RowSet::default()
    };
    let columns = vec![(0, kind)];
    let mut writer = SegmentWriter::new(identity, Tier::Dense);
    writer.begin_part(PartSpec { series: 1, columns, timeframe: Some(timeframe), unique: true, ohlc: None });
    writer.push_live(&rows, 0..count);
    writer.end_part();
    writer.finish();
    let bytes = std::mem::take(writer.output());
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, identity, &verified).expect("own bytes");
    let part = segment.part(0).expect("own bytes");
    let chunk = segment.chunk(&part, Stream::Live, 0).expect("own bytes");
    let stored = chunk.columns().find(|column| column.id.is_some()).expect("it has one");
    let (mut out, mut scratch) = (RowSet::with_columns(&[(0, kind)]), Scratch::default());
    print!("| {name}: {} |", stored.form());
    figure.print(|| {
        out.clear();
        chunk.read(&part, COUNT..2 * COUNT, System::NONE, &mut out, &mut scratch).expect("own bytes");
        black_box(&out);
    });
    println!();
}
