//! Least, greatest, sum and count of columns over a range: from the zone maps of blocks, reading only the rows at the
//! edges of the range.

use std::ops::Range;

use tapestore_format::limits::BLOCK_ROWS;
use tapestore_format::rows::{ColumnValues, RowSet};
use tapestore_format::schema::{Column, ColumnId, ColumnType};
use tapestore_format::segment::{Chunk, PooledScratch, Scratch, Stream, System, Zone};

use crate::error::{Error, Result};
use crate::read::Read;
use crate::scan::{Scan, chunks_of};
use crate::segment::Part;
use crate::state::Layer;

/// What the values of a column in a range add up to.
///
/// All but the sum are exact, and the same however the rows are stored. The sum adds in `f64`, each block of at most
/// 1024 rows apart (in order of rows from 0.0, if it was stored; doubles that have to be read, every eighth row apart), these sums by chunks of
/// at most 65,536 rows likewise, and the sums of chunks in order: so it may differ in the last digits from a sum over
/// all rows in order, and after a compaction from the one before, but by no more than the rounding of as many additions. It is exact if the values are integers and no partial sum exceeds 2^53.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The column.
    pub column: Column,
    /// Rows in the range.
    pub rows: u64,
    /// Values: neither null nor NaN.
    pub count: u64,
    /// Nulls.
    pub nulls: u64,
    /// NaNs, which count nowhere else.
    pub nans: u64,
    /// Least value, integers as the nearest `f64`; `None` if there is no value.
    pub min: Option<f64>,
    /// Greatest value, likewise.
    pub max: Option<f64>,
    /// Sum of the values.
    pub sum: f64,
}

impl Read<'_> {
    /// Least, greatest, sum and count of each column of numbers, in the order asked for; without
    /// [`Read::columns`], of all columns that hold numbers. Rows are read where the range cuts a block, where layers
    /// overlap, and in chunks of fewer than 128 rows, nowhere else.
    ///
    /// # Errors
    /// [`Error::Usage`] if a column of strings is asked for; as [`Read::rows`].
    pub fn aggregate(self) -> Result<Vec<Aggregate>> {
        let chosen = self.has_columns();
        let mut columns = self.projection()?;
        if let Some(text) = columns.iter().find(|column| chosen && column.kind == ColumnType::String) {
            return Err(Error::Usage(format!("column {:?} holds strings, which have no sum", text.name)));
        }
        columns.retain(|column| column.kind != ColumnType::String);
        let scan = self.scan(&columns)?;
        let scan = Scan { system: System::TIME, ..scan };
        let mut totals = Totals { scratch: Scratch::pooled(), zones: vec![(Zone::EMPTY, 0); columns.len()] };
        for interval in scan.intervals(self.time_range())? {
            let range = interval.start..interval.end;
            match interval.layers.as_slice() {
                [only] if scan.whole(*only) => match &scan.series.layers[*only] {
                    Layer::Mem(layer) => {
                        totals.rows(&scan, &layer.live, layer.live.rows_between(range.start, range.end));
                    }
                    Layer::Part(part) => totals.part(&scan, part, &range)?,
                },
                _ => {
                    let rows = scan.collect(&range)?;
                    totals.rows(&scan, &rows, 0..rows.len());
                }
            }
        }
        let finish = |(column, (zone, rows)): (Column, (Zone, u64))| Aggregate {
            column,
            rows,
            count: zone.count,
            nulls: zone.nulls,
            nans: rows - zone.count - zone.nulls,
            min: (zone.count > 0).then_some(zone.min),
            max: (zone.count > 0).then_some(zone.max),
            sum: zone.sum,
        };
        Ok(columns.into_iter().zip(totals.zones).map(finish).collect())
    }
}

/// What was seen so far, by column: statistics and rows.
struct Totals {
    scratch: PooledScratch,
    zones: Vec<(Zone, u64)>,
}

impl Totals {
    fn add(&mut self, column: usize, zone: &Zone, rows: usize) {
        self.zones[column].0.merge(zone);
        self.zones[column].1 += rows as u64;
    }

    /// Rows that are in memory, a block's worth at a time.
    fn rows(&mut self, scan: &Scan<'_>, from: &RowSet, rows: Range<usize>) {
        for (column, (id, _)) in scan.columns.iter().enumerate() {
            match from.column(*id) {
                Some(values) => self.values(column, values, rows.clone()),
                None => self.nulls(column, rows.len()),
            }
        }
    }

    fn values(&mut self, column: usize, values: &ColumnValues, rows: Range<usize>) {
        let mut start = rows.start;
        while start < rows.end {
            let end = rows.end.min(start + BLOCK_ROWS);
            self.add(column, &Zone::of(values, start..end), end - start);
            start = end;
        }
    }

    fn nulls(&mut self, column: usize, rows: usize) {
        self.add(column, &Zone { nulls: rows as u64, ..Zone::EMPTY }, rows);
    }

    fn part(&mut self, scan: &Scan<'_>, part: &Part, range: &Range<i64>) -> Result<()> {
        let (index, segment) = (part.index()?, part.file.segment()?);
        let wanted = scan.part_rows(part, range.start, range.end, &mut self.scratch)?;
        for (number, place, rows) in chunks_of(index, wanted) {
            let chunk = segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
            for column in 0..scan.columns.len() {
                self.chunk(scan, part, (&chunk, place.offset), column, rows.clone())?;
            }
        }
        Ok(())
    }

    /// One column of a chunk: zone maps of the blocks that lie inside, rows of those that do not.
    fn chunk(
        &mut self,
        scan: &Scan<'_>,
        part: &Part,
        (chunk, offset): (&Chunk<'_>, u64),
        column: usize,
        rows: Range<usize>,
    ) -> Result<()> {
        let wanted = &scan.columns[column..=column];
        let (id, count) = (wanted[0].0, rows.len());
        if rows == (0..chunk.rows())
            && let Some(zone) = chunk.chunk_zone(id).map_err(|error| part.blame(error))?
        {
            self.add(column, &zone, count);
            return Ok(());
        }
        let zones = chunk.zones(id).map_err(|error| part.blame(error))?;
        let (mut all, mut start) = (Zone::EMPTY, rows.start);
        while start < rows.end {
            let block = start / BLOCK_ROWS;
            let first = block * BLOCK_ROWS;
            let whole = first..chunk.rows().min(first + BLOCK_ROWS);
            let some = start..rows.end.min(whole.end);
            match zones.filter(|_| some == whole) {
                Some(zones) => all.merge(&zones[block]),
                None => all.merge(&self.edge(scan, part, (chunk, offset), wanted, some.clone())?),
            }
            start = some.end;
        }
        self.add(column, &all, count);
        Ok(())
    }

    /// Rows of one column in a block, read.
    fn edge(
        &mut self,
        scan: &Scan<'_>,
        part: &Part,
        (chunk, offset): (&Chunk<'_>, u64),
        wanted: &[(ColumnId, ColumnType)],
        rows: Range<usize>,
    ) -> Result<Zone> {
        let id = wanted[0].0;
        if let Some(numbers) = chunk.raw_f64(id, rows.clone()).map_err(|error| part.blame(error))? {
            return Ok(Zone::of_numbers(numbers));
        }
        let block = rows.start / BLOCK_ROWS;
        let first = block * BLOCK_ROWS;
        let block = scan.block(part, chunk, (offset, block), wanted, &mut self.scratch)?;
        Ok(Zone::of(block.column(id).expect("decoded or known"), rows.start - first..rows.end - first))
    }
}
