//! What goes in and what comes out: whole columns of bars, whole columns of factors.

use std::ops::Range;

use crate::catalog::{COUNT, Factor, Selection};
use crate::error::{Error, Result};

/// One bar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Bar {
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
}

impl Bar {
    /// Whether all five are finite; what is not belongs to no run.
    pub fn is_finite(&self) -> bool {
        [self.open, self.high, self.low, self.close, self.volume].iter().all(|value| value.is_finite())
    }
}

/// Columns of bars, oldest first, all of one length.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'a> {
    pub(crate) open: &'a [f64],
    pub(crate) high: &'a [f64],
    pub(crate) low: &'a [f64],
    pub(crate) close: &'a [f64],
    pub(crate) volume: &'a [f64],
}

impl<'a> Bars<'a> {
    /// Borrows the columns.
    ///
    /// # Errors
    /// [`Error::Shape`] if they differ in length.
    pub fn new(
        open: &'a [f64],
        high: &'a [f64],
        low: &'a [f64],
        close: &'a [f64],
        volume: &'a [f64],
    ) -> Result<Self> {
        for (column, values) in [("high", high), ("low", low), ("close", close), ("volume", volume)] {
            if values.len() != open.len() {
                return Err(Error::Shape { column, rows: values.len(), expected: open.len() });
            }
        }
        Ok(Self { open, high, low, close, volume })
    }

    /// Number of bars.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Some of them.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            open: &self.open[rows.clone()],
            high: &self.high[rows.clone()],
            low: &self.low[rows.clone()],
            close: &self.close[rows.clone()],
            volume: &self.volume[rows],
        }
    }

    /// One of them.
    #[inline]
    pub fn bar(&self, row: usize) -> Bar {
        Bar {
            open: self.open[row],
            high: self.high[row],
            low: self.low[row],
            close: self.close[row],
            volume: self.volume[row],
        }
    }
}

/// Columns of factors, one row a bar. Where a factor has no value yet, and in rows of no run, stands NaN.
#[derive(Clone, Debug)]
pub struct Table {
    rows: usize,
    selection: Selection,
    /// One for each of the 72, empty if nothing asked for it.
    pub(crate) columns: Vec<Vec<f64>>,
}

impl Default for Table {
    fn default() -> Self {
        Self { rows: 0, selection: Selection::of(&[]), columns: vec![Vec::new(); COUNT] }
    }
}

impl Table {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What was asked for.
    pub fn selection(&self) -> Selection {
        self.selection
    }

    /// The values of a factor; `None` if it was not asked for.
    pub fn column(&self, factor: Factor) -> Option<&[f64]> {
        self.selection.contains(factor).then(|| &self.columns[factor.index()][..])
    }

    /// Makes room: `rows` rows of everything that the groups of the selection compute. NaN where nothing will be written:
    /// in rows of no run, and in those where a run warms up. Memory is used again.
    pub(crate) fn reset(&mut self, rows: usize, selection: Selection, runs: &[Range<usize>]) {
        const WARM_UP: usize = 128;
        (self.rows, self.selection) = (rows, selection);
        for factor in Factor::ALL {
            let column = &mut self.columns[factor.index()];
            if !selection.needs(factor.group()) {
                column.clear();
                continue;
            }
            column.resize(rows, f64::NAN);
            let mut end = 0;
            for run in runs {
                column[end..run.start].fill(f64::NAN);
                column[run.start..run.end.min(run.start + WARM_UP)].fill(f64::NAN);
                end = run.end;
            }
            column[end..].fill(f64::NAN);
        }
    }

    /// The same rows of several columns, to be written.
    pub(crate) fn parts<const N: usize>(
        &mut self,
        factors: [Factor; N],
        rows: &Range<usize>,
    ) -> [&mut [f64]; N] {
        let columns = self
            .columns
            .get_disjoint_mut(factors.map(Factor::index))
            .expect("the factors of a group are different columns");
        columns.map(|column| &mut column[rows.clone()])
    }
}
