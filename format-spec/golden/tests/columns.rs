//! A column that is read alone, or with some others, has the values that it has beside all of them.

use std::ops::Range;
use std::path::Path;

use golden::frozen;
use golden::vectors::Vector;
use tapestore_format::rows::{ColumnValues, RowSet, Values};
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::{Chunk, PartIndex, Scratch, Segment, Stream, System, Verified};

/// Columns of which every subset is read.
const SUBSETS: usize = 6;

#[test]
fn columns_of_every_vector_are_the_same_alone() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/valid");
    let mut reads = 0;
    for (name, bytes) in frozen::files(&directory).expect("vectors") {
        if name.starts_with("segment-") {
            let vector = Vector::parse(&name, bytes).expect("a vector");
            reads += every_subset(&name, &vector.bytes(), &vector);
        }
    }
    assert!(reads > 5000, "{reads} reads");
}

/// Reads every subset of the columns of each chunk, all of its rows and some; how often.
fn every_subset(name: &str, bytes: &[u8], vector: &Vector) -> usize {
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, vector.identity(), &verified).expect(name);
    // One for all, so that what a read leaves behind would be seen in the next.
    let mut scratch = Scratch::default();
    let mut reads = 0;
    for ordinal in 0..segment.part_count() {
        let part = segment.part(ordinal).expect(name);
        for number in 0..part.live.len() {
            let chunk = segment.chunk(&part, Stream::Live, number).expect(name);
            let rows = chunk.rows();
            for range in [0..rows, 1.min(rows)..rows, 0..1.min(rows), rows.saturating_sub(1)..rows] {
                let all = read(&chunk, &part, &range, &part.columns, &mut Scratch::default()).expect(name);
                for mask in 1..1usize << part.columns.len().min(SUBSETS) {
                    let wanted =
                        part.columns.iter().take(SUBSETS).enumerate().filter(|(at, _)| mask >> at & 1 == 1);
                    let wanted: Vec<_> = wanted.map(|(_, column)| *column).collect();
                    let what = format!("{name}, columns {wanted:?} of rows {range:?}");
                    let found = read(&chunk, &part, &range, &wanted, &mut scratch).expect(&what);
                    for (id, values) in &found.columns {
                        let beside = all.column(*id).expect("all are read");
                        assert_eq!(bits(values), bits(beside), "column {id}: {what}");
                    }
                    reads += 1;
                }
            }
        }
    }
    reads
}

fn read(
    chunk: &Chunk<'_>,
    part: &PartIndex,
    rows: &Range<usize>,
    columns: &[(ColumnId, ColumnType)],
    scratch: &mut Scratch,
) -> tapestore_format::Result<RowSet> {
    let mut out = RowSet::with_columns(columns);
    chunk.read(part, rows.clone(), System::NONE, &mut out, scratch)?;
    Ok(out)
}

/// What a column holds, floats by their bits.
fn bits(column: &ColumnValues) -> (Vec<u64>, Option<Vec<bool>>) {
    let numbers = match &column.values {
        Values::F64(values) => values.iter().map(|value| value.to_bits()).collect(),
        Values::F32(values) => values.iter().map(|value| u64::from(value.to_bits())).collect(),
        Values::I64(values) => values.iter().map(|value| *value as u64).collect(),
        Values::U8(values) => values.iter().map(|value| u64::from(*value)).collect(),
        Values::Str(texts) => {
            (0..texts.len()).flat_map(|row| texts.get(row).bytes().map(u64::from)).collect()
        }
    };
    (numbers, column.nulls.clone().filter(|nulls| nulls.contains(&true)))
}
