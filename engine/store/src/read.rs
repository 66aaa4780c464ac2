//! Reads: what is wanted of a series, described step by step, and run.

use std::ops::{ControlFlow, Range};

use tapestore_format::rows::RowSet;
use tapestore_format::schema::{Column, Schema};
use tapestore_format::segment::System;

use crate::batch::Rows;
use crate::error::{Error, Result};
use crate::key::{Quoted, SeriesKey};
use crate::scan::{SHOWN_ROWS, Scan, Sink};
use crate::shown;
use crate::state::{Layer, SeriesState};
use crate::view::View;

/// A read of one series, being described.
#[derive(Clone, Debug)]
pub struct Read<'v> {
    view: &'v View,
    subject: Subject<'v>,
    range: Range<i64>,
    wanted: Wanted<'v>,
    system: System,
}

/// The series that is read. It is looked up once, when it is named; that it is not there is reported when the read runs.
#[derive(Clone, Debug)]
enum Subject<'v> {
    Found(&'v SeriesState, &'v Schema),
    Missing(SeriesKey),
}

/// The columns that are read.
#[derive(Clone, Debug)]
enum Wanted<'v> {
    All,
    These(Vec<&'v Column>),
    /// A name among those asked for that the schema lacks.
    Unknown(String),
}

impl<'v> Read<'v> {
    /// Of all columns and rows.
    pub(crate) fn new(view: &'v View, key: &SeriesKey) -> Self {
        let subject = match view.find(key) {
            Ok((series, schema)) => Subject::Found(series, schema),
            Err(_) => Subject::Missing(key.clone()),
        };
        Self {
            view,
            subject,
            range: i64::MIN..i64::MAX,
            wanted: Wanted::All,
            system: System { time: true, version: false, source: false, flags: false },
        }
    }

    /// Only rows with times in `[range.start, range.end)`, nanoseconds since the Unix epoch, UTC.
    #[must_use]
    pub fn range(mut self, range: Range<i64>) -> Self {
        self.range = range;
        self
    }

    /// Only these columns, in this order. A column that does not exist is reported when the read runs.
    #[must_use]
    pub fn columns(mut self, names: &[&str]) -> Self {
        // Without a series there is nothing to look them up in, and that is what will be reported.
        let Subject::Found(_, schema) = self.subject else { return self };
        let mut these = Vec::with_capacity(names.len());
        for name in names {
            let Some(column) = schema.column(name) else {
                self.wanted = Wanted::Unknown((*name).to_owned());
                return self;
            };
            these.push(column);
        }
        self.wanted = Wanted::These(these);
        self
    }

    /// Also the version, source and flags of each row.
    #[must_use]
    pub fn provenance(mut self) -> Self {
        self.system = System::ALL;
        self
    }

    /// Whether columns were named.
    pub(crate) fn has_columns(&self) -> bool {
        !matches!(self.wanted, Wanted::All)
    }

    pub(crate) fn time_range(&self) -> &Range<i64> {
        &self.range
    }

    fn found(&self) -> Result<(&'v SeriesState, &'v Schema)> {
        match &self.subject {
            Subject::Found(series, schema) => Ok((series, schema)),
            Subject::Missing(key) => Err(self.view.missing_series(key)),
        }
    }

    /// The columns that are wanted, where the schema has them.
    fn chosen(&self) -> Result<impl Iterator<Item = &'v Column> + '_> {
        let (series, schema) = self.found()?;
        let (all, these): (&'v [Column], &[&'v Column]) = match &self.wanted {
            Wanted::All => (&schema.columns, &[]),
            Wanted::These(these) => (&[], these),
            Wanted::Unknown(name) => {
                let known: Vec<_> = schema.columns.iter().map(|column| column.name.as_str()).collect();
                let (key, name, known) = (&series.key, Quoted(name), known.join(", "));
                return Err(Error::NotFound(format!("{key} has no column {name}; it has {known}")));
            }
        };
        Ok(all.iter().chain(these.iter().copied()))
    }

    pub(crate) fn projection(&self) -> Result<Vec<Column>> {
        Ok(self.chosen()?.cloned().collect())
    }

    pub(crate) fn scan(&self, columns: &[Column]) -> Result<Scan<'v>> {
        let (series, _) = self.found()?;
        let columns = columns.iter().map(|column| (column.id, column.kind)).collect();
        let (cache, version) = (self.view.cache(), self.view.version());
        Ok(Scan { cache, series, version, columns, system: self.system })
    }

    /// Runs the scan into `rows`, stopping after `limit` rows.
    fn fill(&self, rows: &mut Rows, limit: usize) -> Result<()> {
        if limit == 0 {
            return Ok(());
        }
        let mut stop = |_: &mut RowSet| ControlFlow::Break(());
        let mut sink = Sink { out: &mut rows.set, room: limit, early: false, full: &mut stop };
        self.scan(&rows.columns)?.run(&self.range, &mut sink)
    }

    /// All rows.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the series does not exist; damage is named and gives no rows.
    pub fn rows(self) -> Result<Rows> {
        let mut rows = Rows::empty(self.projection()?);
        self.fill(&mut rows, usize::MAX)?;
        Ok(rows)
    }

    /// All rows, into buffers that are used again; what they held is dropped.
    ///
    /// # Errors
    /// As [`Read::rows`].
    pub fn rows_into(self, rows: &mut Rows) -> Result<()> {
        // Mostly they hold the same columns as before: nothing is copied to see that.
        if self.chosen()?.eq(&rows.columns) {
            rows.set.clear();
        } else {
            *rows = Rows::empty(self.projection()?);
        }
        self.fill(rows, usize::MAX)
    }

    /// The first `count` rows.
    ///
    /// # Errors
    /// As [`Read::rows`].
    pub fn first(self, count: usize) -> Result<Rows> {
        let mut rows = Rows::empty(self.projection()?);
        self.fill(&mut rows, count)?;
        Ok(rows)
    }

    /// The last `count` rows, in order.
    ///
    /// # Errors
    /// As [`Read::rows`].
    pub fn last(self, count: usize) -> Result<Rows> {
        let columns = self.projection()?;
        let (series, _) = self.found()?;
        let version = self.view.version();
        let spans = || series.layers.iter().filter_map(|layer| layer.span_at(version));
        let first = spans().map(|span| span.0).min().unwrap_or(0).max(self.range.start);
        let end = spans().map(|span| span.1.saturating_add(1)).max().unwrap_or(0).min(self.range.end);
        let rows_all: u64 = series.layers.iter().map(Layer::live_rows).sum::<u64>().max(1);
        let counter = Scan { columns: Vec::new(), system: System::TIME, ..self.scan(&columns)? };
        // A guess from the mean distance, doubled until it holds enough.
        let mean = (i128::from(end) - i128::from(first)).max(1) / i128::from(rows_all) + 1;
        let mut width = mean * (count as i128 + 1);
        let mut start = first;
        if count > 0 {
            loop {
                let guess = i128::from(end) - width;
                start = if guess <= i128::from(first) { first } else { guess as i64 };
                if start == first || counter.count(&(start..end))? >= count as u64 {
                    break;
                }
                width *= 2;
            }
        }
        let mut rows = Rows::empty(columns);
        let narrowed = Self { range: start..end.max(start), ..self };
        narrowed.fill(&mut rows, usize::MAX)?;
        if rows.len() > count {
            let mut cut = Rows::empty(rows.columns.clone());
            append_all(&mut cut.set, &rows.set, rows.len() - count..rows.len());
            rows = cut;
        }
        Ok(rows)
    }

    /// Shows the rows in order, in pieces of at most 8,192, until `visit` breaks. One buffer is used for all.
    ///
    /// # Errors
    /// As [`Read::rows`]; pieces before the damage were shown.
    pub fn visit(self, mut visit: impl FnMut(&Rows) -> ControlFlow<()>) -> Result<()> {
        let columns = self.projection()?;
        let scan = self.scan(&columns)?;
        let mut set = shown::take(&scan.columns);
        let mut rows = Rows { columns, set: RowSet::default() };
        let mut stopped = false;
        let mut show = |set: &mut RowSet| {
            std::mem::swap(&mut rows.set, set);
            let flow = visit(&rows);
            std::mem::swap(&mut rows.set, set);
            set.clear();
            stopped = flow.is_break();
            flow.map_continue(|()| SHOWN_ROWS)
        };
        let mut sink = Sink { out: &mut set, room: SHOWN_ROWS, early: true, full: &mut show };
        scan.run(&self.range, &mut sink)?;
        if !set.is_empty() && !stopped {
            rows.set = set;
            let _ = visit(&rows);
            set = rows.set;
        }
        shown::keep(set);
        Ok(())
    }

    /// The rows page by page, at most `page_rows` (at least one) at a time.
    ///
    /// # Errors
    /// As [`Read::rows`].
    pub fn cursor(self, page_rows: usize) -> Result<Cursor<'v>> {
        self.projection()?;
        let next = self.range.start;
        Ok(Cursor { read: self, page_rows: page_rows.max(1), next, skip: 0, done: false })
    }
}

/// Pages of a read. Holds no rows between pages; its place can be kept and taken up again with another cursor of the
/// same view and read.
#[derive(Clone, Debug)]
pub struct Cursor<'v> {
    read: Read<'v>,
    page_rows: usize,
    next: i64,
    skip: usize,
    done: bool,
}

/// The place of a [`Cursor`]: rows before it were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorPlace {
    /// Time of the next row, or later.
    pub time: i64,
    /// Rows of exactly that time that were delivered already.
    pub skip: usize,
}

impl Cursor<'_> {
    /// Where the next page begins.
    pub fn place(&self) -> CursorPlace {
        CursorPlace { time: self.next, skip: self.skip }
    }

    /// Goes on at a place.
    #[must_use]
    pub fn starting_at(mut self, place: CursorPlace) -> Self {
        (self.next, self.skip, self.done) = (place.time, place.skip, false);
        self
    }

    fn page(&mut self) -> Result<Rows> {
        let read = self.read.clone().range(self.next..self.read.range.end);
        let mut rows = read.first(self.page_rows.saturating_add(self.skip))?;
        if rows.len() < self.page_rows + self.skip {
            self.done = true;
        }
        if self.skip > 0 {
            let mut cut = Rows::empty(rows.columns.clone());
            append_all(&mut cut.set, &rows.set, self.skip.min(rows.len())..rows.len());
            rows = cut;
        }
        if let Some(last) = rows.time().last().copied() {
            let same = rows.time().iter().rev().take_while(|time| **time == last).count();
            self.skip = if last == self.next { self.skip + same } else { same };
            self.next = last;
        }
        Ok(rows)
    }
}

impl Iterator for Cursor<'_> {
    type Item = Result<Rows>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let page = self.page();
        match &page {
            Err(_) => self.done = true,
            Ok(rows) if rows.is_empty() => return None,
            Ok(_) => {}
        }
        Some(page)
    }
}

/// Appends rows with the system columns that `from` carries.
fn append_all(out: &mut RowSet, from: &RowSet, rows: Range<usize>) {
    out.time.extend_from_slice(&from.time[rows.clone()]);
    for (to, from) in [(&mut out.source, &from.source), (&mut out.flags, &from.flags)] {
        if !from.is_empty() {
            to.extend_from(from, rows.clone());
        }
    }
    if !from.version.is_empty() {
        out.version.extend_from(&from.version, rows.clone());
    }
    for ((_, to), (_, from)) in out.columns.iter_mut().zip(&from.columns) {
        to.extend_from(from, rows.clone());
    }
}
