//! Visiting one column in place: no copy where the values are stored raw.

use std::ops::{ControlFlow, Range};

use tapestore_format::rows::{RowSet, Values};
use tapestore_format::schema::{Column, ColumnType};
use tapestore_format::segment::{Chunk, PooledScratch, Scratch, Stream, System};

use crate::error::{Error, Result};
use crate::key::Quoted;
use crate::read::Read;
use crate::scan::{SHOWN_ROWS, Scan, chunks_of};
use crate::shown;
use crate::state::Layer;

/// A stretch of one column, in row order. Raw blocks are borrowed from the map, others from a buffer that the next
/// stretch uses again. Zero stands under a null.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Slice<'a> {
    /// Values of an `i64` or timestamp column.
    I64(&'a [i64]),
    /// Values of an `f64` column.
    F64(&'a [f64]),
}

impl Slice<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::I64(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How the values of a visit were come by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisitReport {
    /// Values borrowed in place.
    pub borrowed: u64,
    /// Values decoded or copied into a buffer.
    pub copied: u64,
}

impl Read<'_> {
    /// Shows the values of one `f64`, `i64` or timestamp column in row order, until `visit` breaks. Where the store is
    /// of [`crate::Tier::Hot`] and layers do not overlap, nothing is copied.
    ///
    /// # Errors
    /// [`Error::Usage`] for a column of another type; as [`Read::rows`].
    pub fn visit_column(
        self,
        name: &str,
        mut visit: impl FnMut(Slice<'_>) -> ControlFlow<()>,
    ) -> Result<VisitReport> {
        let read = self.columns(&[name]);
        let columns = read.projection()?;
        let column = &columns[0];
        if !matches!(column.kind, ColumnType::F64 | ColumnType::I64 | ColumnType::Timestamp) {
            let kind = column.kind.name();
            return Err(Error::Usage(format!(
                "column {} holds {kind}; f64, i64 and timestamp can be visited",
                Quoted(name)
            )));
        }
        let scan = read.scan(&columns)?;
        let mut visitor = Visitor {
            scan: &scan,
            column,
            buffer: shown::take(&scan.columns),
            scratch: Scratch::pooled(),
            report: VisitReport::default(),
        };
        for interval in scan.intervals(read.time_range())? {
            if visitor.interval(&interval.layers, interval.start..interval.end, &mut visit)?.is_break() {
                break;
            }
        }
        shown::keep(visitor.buffer);
        Ok(visitor.report)
    }
}

struct Visitor<'a> {
    scan: &'a Scan<'a>,
    column: &'a Column,
    buffer: RowSet,
    scratch: PooledScratch,
    report: VisitReport,
}

impl Visitor<'_> {
    fn interval(
        &mut self,
        layers: &[usize],
        range: Range<i64>,
        visit: &mut dyn FnMut(Slice<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let single = match layers {
            [only] if self.scan.whole(*only) => Some(&self.scan.series.layers[*only]),
            _ => None,
        };
        match single {
            Some(Layer::Part(part)) => {
                let index = part.index()?;
                let segment = part.file.segment()?;
                let wanted = self.scan.part_rows(part, range.start, range.end, &mut self.scratch)?;
                for (number, _, rows) in chunks_of(index, wanted) {
                    let chunk =
                        segment.chunk(index, Stream::Live, number).map_err(|error| part.blame(error))?;
                    let borrowed = self.borrow(&chunk, rows.clone()).map_err(|error| part.blame(error))?;
                    if let Some(slice) = borrowed {
                        self.report.borrowed += slice.len() as u64;
                        if let flow @ ControlFlow::Break(()) = visit(slice) {
                            return Ok(flow);
                        }
                        continue;
                    }
                    let mut row = rows.start;
                    while row < rows.end {
                        let end = rows.end.min(row / SHOWN_ROWS * SHOWN_ROWS + SHOWN_ROWS);
                        self.buffer.clear();
                        chunk
                            .read(index, row..end, System::NONE, &mut self.buffer, &mut self.scratch)
                            .map_err(|error| part.blame(error))?;
                        if let flow @ ControlFlow::Break(()) = self.show_buffer(visit) {
                            return Ok(flow);
                        }
                        row = end;
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            Some(Layer::Mem(layer)) => {
                let rows = layer.live.rows_between(range.start, range.end);
                let values = layer.live.column(self.column.id).map(|column| &column.values);
                let slice = match values {
                    Some(Values::F64(values)) => Slice::F64(&values[rows]),
                    Some(Values::I64(values)) => Slice::I64(&values[rows]),
                    _ => return self.copied(&range, visit),
                };
                self.report.borrowed += slice.len() as u64;
                Ok(visit(slice))
            }
            None => self.copied(&range, visit),
        }
    }

    fn borrow<'a>(
        &self,
        chunk: &Chunk<'a>,
        rows: Range<usize>,
    ) -> std::result::Result<Option<Slice<'a>>, tapestore_format::FormatError> {
        Ok(match self.column.kind {
            ColumnType::F64 => chunk.raw_f64(self.column.id, rows)?.map(Slice::F64),
            _ => chunk.raw_i64(self.column.id, rows)?.map(Slice::I64),
        })
    }

    /// Overlapping layers: put together in a buffer first.
    fn copied(
        &mut self,
        range: &Range<i64>,
        visit: &mut dyn FnMut(Slice<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        self.buffer = self.scan.collect(range)?;
        Ok(self.show_buffer(visit))
    }

    fn show_buffer(&mut self, visit: &mut dyn FnMut(Slice<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let slice = match &self.buffer.columns[0].1.values {
            Values::F64(values) => Slice::F64(values),
            Values::I64(values) => Slice::I64(values),
            _ => unreachable!("the type was checked"),
        };
        self.report.copied += slice.len() as u64;
        visit(slice)
    }
}
