//! Slices: what compaction has of a series in memory at a time.
//!
//! # Invariants
//! - C1. Rows of one time are in one slice: layers are laid over one another time by time.
//! - C2. Whatever a few bytes of a file decode to, a slice is about [`SLICE_ROWS`] rows and [`SLICE_BYTES`] bytes, but
//!   for C1.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use tapestore_format::rows::RowSet;
use tapestore_format::segment::Scratch;

use crate::batch::empty_union;
use crate::error::Result;
use crate::layer::{Retained, Side, merge_rows};
use crate::scan::read_live_blocks;
use crate::segment::Part;
use crate::state::SeriesState;

/// About how many rows of a series are in memory at a time.
pub(crate) const SLICE_ROWS: u64 = 1 << 18;
/// About how many bytes they are at most, decoded.
pub(crate) const SLICE_BYTES: usize = 64 << 20;

/// Cuts all of time into slices with about [`SLICE_ROWS`] rows each, at chunk boundaries.
pub(crate) fn slices(layers: &[&Arc<Part>]) -> Result<Vec<Range<i64>>> {
    let mut starts: Vec<(i64, u64)> = Vec::new();
    for part in layers {
        starts.extend(part.index()?.live.iter().map(|chunk| (chunk.first_time, u64::from(chunk.rows))));
    }
    starts.sort_unstable();
    let (mut cuts, mut rows) = (vec![i64::MIN], 0);
    for (time, count) in starts {
        if rows + count > SLICE_ROWS && rows > 0 && *cuts.last().expect("never empty") < time {
            cuts.push(time);
            rows = 0;
        }
        rows += count;
    }
    cuts.push(i64::MAX);
    Ok(cuts.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

/// The live rows and the history of each part in a slice of time. Where they would take more than so many bytes
/// they end earlier, and the rest of the slice comes next.
pub(crate) fn read_slice(
    layers: &[&Arc<Part>],
    slice: &mut Range<i64>,
    left: &mut VecDeque<Range<i64>>,
    bytes: usize,
) -> Result<Vec<(RowSet, RowSet)>> {
    let end = slice.end;
    let share = bytes / (2 * layers.len().max(1));
    let mut scratch = Scratch::pooled();
    let mut sides = Vec::new();
    for part in layers {
        let columns = &part.index()?.columns;
        let (mut live, mut history) = (RowSet::with_columns(columns), RowSet::with_columns(columns));
        let mut cut = slice.end;
        let mut enough = |rows: &RowSet| match rows.time.last() {
            Some(last) if rows.bytes() > share && rows.time[0] < *last => {
                cut = cut.min(*last);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        read_live_blocks(part, slice, &mut live, &mut scratch, &mut enough)?;
        part.each_history(slice, columns, &|_| true, &mut scratch, &mut |rows| {
            history.extend_from(rows, 0..rows.len());
            enough(&history)
        })?;
        slice.end = cut;
        sides.push((live, history));
    }
    if slice.end < end {
        left.push_front(slice.end..end);
        for (live, history) in &mut sides {
            for rows in [live, history] {
                let kept = rows.rows_between(slice.start, slice.end);
                if kept.len() < rows.len() {
                    let mut cut = empty_union(&[rows]);
                    cut.extend_from(rows, kept);
                    *rows = cut;
                }
            }
        }
    }
    Ok(sides)
}

/// What was read of some neighbouring parts, laid over one another oldest first.
pub(crate) fn merged_slice(
    layers: &[&Arc<Part>],
    sides: Vec<(RowSet, RowSet)>,
    series: &SeriesState,
    retained: &Retained,
) -> Result<(RowSet, RowSet)> {
    let mut beneath_high = 0;
    let mut result: Option<(RowSet, RowSet)> = None;
    for (part, (live, history)) in layers.iter().zip(sides) {
        result = Some(match result {
            None => (live, given_up(&history, retained)),
            Some((beneath, old)) if beneath.is_empty() && old.is_empty() => {
                (live, given_up(&history, retained))
            }
            Some((beneath, old)) => {
                let merged = merge_rows(
                    Side { live: &beneath, history: &old },
                    Side { live: &live, history: &history },
                    part.marks()?,
                    &series.row_key(beneath_high),
                    retained,
                );
                (merged.live, merged.history)
            }
        });
        beneath_high = part.summary.version_high;
    }
    Ok(result.unwrap_or_default())
}

/// History without the rows that no retained version shows.
fn given_up(history: &RowSet, retained: &Retained) -> RowSet {
    let mut out = empty_union(&[history]);
    for row in 0..history.len() {
        if retained.wants(history.version.get(row), history.until.get(row)) {
            out.extend_from(history, row..row + 1);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::io::MemoryStorage;
    use crate::key::SeriesKey;
    use crate::options::Options;
    use crate::schema::SchemaBuilder;
    use crate::state::Layer;
    use crate::store::Store;
    use tapestore_format::rows::{Strings, Values};
    use tapestore_format::schema::{ColumnType, Schema};

    /// A series in three segments, the newer ones over the older, the second with history of its own, with so many rows of each
    /// time.
    fn series(schema: &Schema, rows_of_a_time: i64) -> (Store, Arc<SeriesState>) {
        let options = Options { background: false, reserve_bytes: 0, ..Options::default() };
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options).unwrap();
        let key = SeriesKey::new("A", "notes").unwrap();
        for (round, rows, seal) in
            [(1, 0..6000, true), (2, 3000..4500, false), (3, 2000..5500, true), (4, 100..5000, true)]
        {
            let mut transaction = store.begin();
            transaction.create_series(&key, schema.clone()).unwrap();
            let ids = rows.clone().map(|row: i64| row % rows_of_a_time).collect();
            let times: Vec<i64> = rows.map(|row: i64| row / rows_of_a_time).collect();
            let text: Strings = times.iter().map(|time| "x".repeat((time % 700) as usize)).collect();
            let batch = Batch::new(times.clone())
                .with("round", Values::I64(vec![round; times.len()]))
                .with("id", Values::I64(ids))
                .with("text", Values::Str(text));
            transaction.upsert(&key, batch).unwrap();
            transaction.commit().unwrap();
            if seal {
                store.seal().unwrap();
            }
        }
        let state = store.shared.published.read().clone();
        let series = state.series(store.shared.catalog.series_id(&key).unwrap()).unwrap().clone();
        (store, series)
    }

    /// What a compaction that reads so many bytes at a time would write, and in how many slices.
    fn merged(series: &SeriesState, bytes: usize) -> (RowSet, RowSet, usize) {
        let layers: Vec<&Arc<Part>> = series.layers.iter().filter_map(Layer::part).collect();
        assert_eq!(layers.len(), 3);
        let mut left: VecDeque<_> = slices(&layers).unwrap().into();
        let mut whole: Option<(RowSet, RowSet)> = None;
        let mut count = 0;
        while let Some(mut slice) = left.pop_front() {
            let sides = read_slice(&layers, &mut slice, &mut left, bytes).unwrap();
            let (live, history) = merged_slice(&layers, sides, series, &Retained::default()).unwrap();
            count += 1;
            let whole = whole.get_or_insert_with(|| (empty_union(&[&live]), empty_union(&[&history])));
            whole.0.extend_from(&live, 0..live.len());
            whole.1.extend_from(&history, 0..history.len());
        }
        let (live, history) = whole.unwrap();
        (live, history, count)
    }

    #[test]
    fn slices_of_any_size_give_the_same_rows() {
        let columns = |builder: SchemaBuilder| {
            builder
                .column("round", ColumnType::I64)
                .column("id", ColumnType::I64)
                .column("text", ColumnType::String)
        };
        let unique = columns(SchemaBuilder::unique()).build().unwrap();
        let sequence = columns(SchemaBuilder::sequence()).dedup(&["id"]).build().unwrap();
        for (schema, rows_of_a_time) in [(unique, 1), (sequence, 3)] {
            let (_store, series) = series(&schema, rows_of_a_time);
            let (live, history, count) = merged(&series, SLICE_BYTES);
            assert_eq!(count, 1);
            assert_eq!((live.len(), history.len()), (6000, 9900));
            for bytes in [1, 100_000, 1_000_000] {
                let (again, old, count) = merged(&series, bytes);
                assert!(count > 2, "{count} slices of {bytes} bytes");
                assert!(again == live && old == history, "{count} slices of {bytes} bytes");
            }
        }
    }
}
