//! What is asked of every contender, and what a reader that hands out pieces of columns gives for free.
//!
//! A peer is charged only for its own work: pieces are shown in the form in which it decodes them, times in
//! milliseconds, prices as integers where it stores them so. Turning them into nanoseconds and doubles is charged only
//! where rows are to stand in the caller's buffers.

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;

use tapestore_format::rows::{Strings, Values};

use crate::table::{Group, Table};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// All of time.
pub(crate) const ALWAYS: Range<i64> = i64::MIN..i64::MAX;

/// Bytes of an encoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    /// The whole file.
    pub(crate) bytes: u64,
    /// Payload by column, as far as the format tells; the rest is structure.
    pub(crate) columns: Vec<(String, u64)>,
    /// What the format could not do with these values, if anything.
    pub(crate) note: String,
    /// The file itself, where it can be read back from memory.
    pub(crate) file: Vec<u8>,
}

/// Encodes the same columns each time.
pub(crate) type Encoder<'a> = Box<dyn FnMut() -> Result<Encoded> + 'a>;

/// One way to keep a table in files.
pub(crate) trait Contender: Sync {
    fn name(&self) -> String;

    /// Takes the columns of a group in the form that the format's library wants, and encodes them in memory as often as it is
    /// called: what it costs to hand columns over is charged to nobody.
    fn encoder<'a>(&'a self, group: &'a Group) -> Result<Encoder<'a>>;

    /// Encodes once.
    fn encode(&self, group: &Group) -> Result<Encoded> {
        self.encoder(group)?()
    }

    /// Writes a table to a directory, durably.
    fn write(&self, table: &Table, directory: &Path) -> Result<()>;

    /// Opens what was written, reading no more than the format needs to find its columns.
    fn open(&self, directory: &Path) -> Result<Box<dyn Reader>>;

    /// Reads a file that is in memory, if the contender can.
    fn open_bytes(&self, _file: Vec<u8>) -> Result<Option<Box<dyn Reader>>> {
        Ok(None)
    }
}

/// Rows of text in the form that a contender decodes them to.
pub(crate) trait Text: std::fmt::Debug {
    fn append(&self, rows: Range<usize>, out: &mut Strings);
}

impl Text for Strings {
    fn append(&self, rows: Range<usize>, out: &mut Strings) {
        rows.for_each(|row| out.push(self.get(row)));
    }
}

/// A stretch of one column as a contender decodes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    I64(&'a [i64]),
    F64(&'a [f64]),
    /// Times in milliseconds.
    Millis(&'a [i64]),
    /// Integers to be divided by this power of ten.
    Scaled(&'a [i64], f64),
    /// Integers of 32 bits.
    Short(&'a [i32]),
    /// Integers of 32 bits to be divided by this power of ten.
    ShortScaled(&'a [i32], f64),
    /// Times as multiples of a unit in nanoseconds.
    Units(&'a [i32], i64),
    /// Text, from one row up to another.
    Text(&'a dyn Text, usize, usize),
}

impl Piece<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::I64(v) | Self::Millis(v) | Self::Scaled(v, _) => v.len(),
            Self::F64(v) => v.len(),
            Self::Short(v) | Self::ShortScaled(v, _) | Self::Units(v, _) => v.len(),
            Self::Text(_, start, end) => end - start,
        }
    }

    pub(crate) fn cut(self, rows: Range<usize>) -> Self {
        match self {
            Self::I64(v) => Self::I64(&v[rows]),
            Self::Millis(v) => Self::Millis(&v[rows]),
            Self::Scaled(v, power) => Self::Scaled(&v[rows], power),
            Self::F64(v) => Self::F64(&v[rows]),
            Self::Short(v) => Self::Short(&v[rows]),
            Self::ShortScaled(v, power) => Self::ShortScaled(&v[rows], power),
            Self::Units(v, unit) => Self::Units(&v[rows], unit),
            Self::Text(text, start, _) => Self::Text(text, start + rows.start, start + rows.end),
        }
    }

    /// The rows with times in a range, if this piece holds times.
    pub(crate) fn rows_between(&self, range: &Range<i64>) -> Range<usize> {
        let find = |v: &[i64], factor: i64| {
            let at = |bound: i64| v.partition_point(|time| time * factor < bound);
            at(range.start)..at(range.end)
        };
        match self {
            Self::Millis(v) => find(v, 1_000_000),
            Self::I64(v) | Self::Scaled(v, _) => find(v, 1),
            Self::Units(v, unit) => {
                let at = |bound: i64| v.partition_point(|time| i64::from(*time) * unit < bound);
                at(range.start)..at(range.end)
            }
            _ => 0..0,
        }
    }

    fn append_times(self, out: &mut Vec<i64>) {
        match self {
            Self::Millis(v) => out.extend(v.iter().map(|time| time * 1_000_000)),
            Self::I64(v) | Self::Scaled(v, _) => out.extend_from_slice(v),
            Self::Units(v, unit) => out.extend(v.iter().map(|time| i64::from(*time) * unit)),
            _ => {}
        }
    }

    fn append(self, out: &mut Values) {
        match (self, out) {
            (Self::F64(v), Values::F64(out)) => out.extend_from_slice(v),
            (Self::Scaled(v, power), Values::F64(out)) => out.extend(v.iter().map(|m| *m as f64 / power)),
            (Self::ShortScaled(v, power), Values::F64(out)) => {
                out.extend(v.iter().map(|m| f64::from(*m) / power));
            }
            (Self::I64(v), Values::I64(out)) => out.extend_from_slice(v),
            (Self::Short(v), Values::I64(out)) => out.extend(v.iter().map(|value| i64::from(*value))),
            (Self::Text(text, start, end), Values::Str(out)) => text.append(start..end, out),
            _ => {}
        }
    }
}

/// What aggregation gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

impl Summary {
    pub(crate) const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, count: 0 };

    /// Takes in values, four lanes at a time: a summing loop that a compiler makes fast.
    pub(crate) fn add(&mut self, values: &[f64]) {
        let (mut min, mut max, mut sum) = ([self.min; 4], [self.max; 4], [0.0; 4]);
        let lanes = values.chunks_exact(4);
        for value in lanes.remainder() {
            (self.min, self.max) = (self.min.min(*value), self.max.max(*value));
            self.sum += value;
        }
        for four in lanes {
            for lane in 0..4 {
                min[lane] = if four[lane] < min[lane] { four[lane] } else { min[lane] };
                max[lane] = if four[lane] > max[lane] { four[lane] } else { max[lane] };
                sum[lane] += four[lane];
            }
        }
        self.min = min.into_iter().fold(self.min, f64::min);
        self.max = max.into_iter().fold(self.max, f64::max);
        self.sum += sum.into_iter().sum::<f64>();
        self.count += values.len() as u64;
    }

    /// Same up to the rounding of sums.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let close = (self.sum - other.sum).abs() <= 1e-9 * self.sum.abs().max(1.0);
        (self.min, self.max, self.count) == (other.min, other.max, other.count) && close
    }
}

/// Steps that are missing within a piece of times and before it; `before` is the last time of the piece before.
fn gaps_in<T: Copy + Into<i64>>(times: &[T], step: i64, before: &mut Option<i64>) -> i64 {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return 0 };
    let missing = |from: i64, to: i64| (to - from) / step - 1;
    let mut found = before.map_or(0, |last| missing(last, (*first).into()));
    found += times
        .windows(2)
        .map(|pair| (pair[0].into(), pair[1].into()))
        .filter(|(from, to)| to - from != step)
        .map(|(from, to)| missing(from, to))
        .sum::<i64>();
    *before = Some((*last).into());
    found
}

/// Reads one table.
pub(crate) trait Reader: Send {
    /// Shows the wanted columns of the rows in a range, piece by piece; the column `time` is one of them if asked for.
    fn pieces(
        &mut self,
        columns: &[&str],
        range: &Range<i64>,
        visit: &mut dyn FnMut(&[Piece<'_>]),
    ) -> Result<()>;

    /// Decodes everything and lets each piece go again; the number of rows.
    fn scan(&mut self, columns: &[&str]) -> Result<u64> {
        let mut rows = 0;
        self.pieces(columns, &ALWAYS, &mut |pieces| {
            rows += pieces[0].len() as u64;
            black_box(pieces);
        })?;
        Ok(rows)
    }

    /// Rows of a range in the caller's buffers, as nanoseconds and doubles.
    fn rows_into(&mut self, range: &Range<i64>, out: &mut Table) -> Result<()> {
        out.clear();
        let names: Vec<String> = out.columns.iter().map(|column| column.0.clone()).collect();
        let columns: Vec<&str> = std::iter::once("time").chain(names.iter().map(String::as_str)).collect();
        self.pieces(&columns, range, &mut |pieces| {
            pieces[0].append_times(&mut out.time);
            for ((_, values), piece) in out.columns.iter_mut().zip(&pieces[1..]) {
                piece.append(values);
            }
        })
    }

    /// Missing bars between the first and the last one.
    fn gaps(&mut self, step_ns: i64) -> Result<u64> {
        let (mut missing, mut before) = (0, None);
        self.pieces(&["time"], &ALWAYS, &mut |pieces| {
            let found = match pieces[0] {
                Piece::Millis(times) => gaps_in(times, step_ns / 1_000_000, &mut before),
                Piece::I64(times) | Piece::Scaled(times, _) => gaps_in(times, step_ns, &mut before),
                Piece::Units(times, unit) => gaps_in(times, step_ns / unit, &mut before),
                _ => 0,
            };
            missing += found;
        })?;
        Ok(missing as u64)
    }

    /// Least, greatest and sum of a column over a range.
    fn summary(&mut self, column: &str, range: &Range<i64>) -> Result<Summary> {
        self.scanned_summary(column, range)
    }

    /// The same by looking at every value.
    fn scanned_summary(&mut self, column: &str, range: &Range<i64>) -> Result<Summary> {
        let mut out = Summary::EMPTY;
        let mut buffer = Vec::new();
        self.pieces(&[column], range, &mut |pieces| match pieces[0] {
            Piece::F64(values) => out.add(values),
            Piece::Scaled(values, power) => {
                buffer.clear();
                buffer.extend(values.iter().map(|m| *m as f64 / power));
                out.add(&buffer);
            }
            Piece::ShortScaled(values, power) => {
                buffer.clear();
                buffer.extend(values.iter().map(|m| f64::from(*m) / power));
                out.add(&buffer);
            }
            _ => {}
        })?;
        Ok(out)
    }
}
