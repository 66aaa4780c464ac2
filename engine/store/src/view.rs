//! Views: one version of a store, pinned.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use tapestore_format::coverage::Run;
use tapestore_format::rows::RowSet;
use tapestore_format::schema::{Column, Schema};
use tapestore_format::segment::System;
use tapestore_format::time::Timeframe;

use crate::apply::COMMITS;
use crate::batch::Rows;
use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::gaps::{self, Gap};
use crate::key::{Quoted, SeriesKey};
use crate::scan::{SHOWN_ROWS, Scan, Sink};
use crate::shown;
use crate::state::{Layer, SeriesState, State};
use crate::store::Shared;

/// One version of a store: immutable, consistent over all series, readable as long as it is held, whatever the writer
/// does meanwhile. Cheap to clone and to send to other threads.
#[derive(Clone, Debug)]
pub struct View {
    shared: Arc<Shared>,
    state: Arc<State>,
    version: u64,
}

/// What is known of a series without reading its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// Its name.
    pub key: SeriesKey,
    /// Its number within the store.
    pub id: u32,
    /// Its schema at the version of the view.
    pub schema: Arc<Schema>,
    /// Visible rows.
    pub rows: u64,
    /// Time of the first row, nanoseconds since the Unix epoch, UTC.
    pub first_ns: Option<i64>,
    /// Time of the last row, nanoseconds since the Unix epoch, UTC.
    pub last_ns: Option<i64>,
    /// Layers that a read may have to put together; 1 when compact.
    pub layers: usize,
    /// Bytes in segments, for all versions.
    pub bytes: u64,
}

impl View {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let state = shared.published.read().clone();
        Self { version: state.version, shared, state }
    }

    pub(crate) fn at(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every series that exists at this version, sorted by instrument and frame.
    pub fn keys(&self) -> Vec<SeriesKey> {
        let mut keys: Vec<_> = self.existing().map(|(series, _)| (*series.key).clone()).collect();
        keys.sort_unstable();
        keys
    }

    /// The series that exist at this version, in the order of their numbers.
    pub(crate) fn existing(&self) -> impl Iterator<Item = (&Arc<SeriesState>, &Arc<Schema>)> {
        let users = self.state.series.iter().filter(|series| series.id != COMMITS);
        users.filter_map(|series| Some((series, series.schema_at(self.version)?)))
    }

    /// Whether a version can be read.
    pub(crate) fn retains(&self, version: u64) -> bool {
        self.shared.retained.read().contains(version)
    }

    pub(crate) fn find(&self, key: &SeriesKey) -> Result<(&Arc<SeriesState>, &Arc<Schema>)> {
        let found = self.shared.catalog.series_id(key).and_then(|id| self.state.series(id));
        found
            .filter(|series| series.id != COMMITS)
            .and_then(|series| Some((series, series.schema_at(self.version)?)))
            .ok_or_else(|| Error::NotFound(format!("there is no series {key} at version {}", self.version)))
    }

    /// The schema of a series at this version.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not exist at this version.
    pub fn schema(&self, key: &SeriesKey) -> Result<Arc<Schema>> {
        Ok(self.find(key)?.1.clone())
    }

    /// Size and span of a series.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not exist at this version.
    pub fn info(&self, key: &SeriesKey) -> Result<SeriesInfo> {
        let (series, schema) = self.find(key)?;
        let part_bytes = |layer: &Layer| match layer {
            Layer::Part(part) => part.summary.bytes,
            Layer::Mem(_) => 0,
        };
        let rows = self.count(key, i64::MIN..i64::MAX)?;
        let first =
            if rows == 0 { None } else { self.read(key).columns(&[]).first(1)?.time().first().copied() };
        Ok(SeriesInfo {
            key: key.clone(),
            id: series.id,
            schema: schema.clone(),
            rows,
            first_ns: first,
            last_ns: if rows == 0 { None } else { self.latest(key)?.map(|row| row.time()[0]) },
            layers: series.layers.len(),
            bytes: series.layers.iter().map(part_bytes).sum(),
        })
    }

    /// Begins a read of a series; by default of all its columns and rows. A series that does not exist is reported when
    /// the read runs.
    pub fn read<'v>(&'v self, key: &SeriesKey) -> Read<'v> {
        Read {
            view: self,
            key: key.clone(),
            range: i64::MIN..i64::MAX,
            columns: None,
            system: System { time: true, version: false, source: false, flags: false },
        }
    }

    /// Reads the same range and columns of many series, in parallel. One result per key, in the order of the keys.
    pub fn read_many(&self, keys: &[SeriesKey], range: Range<i64>, columns: &[&str]) -> Vec<Result<Rows>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(keys.len()).max(1);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let mut out: Vec<Option<Result<Rows>>> = keys.iter().map(|_| None).collect();
        let (sender, results) = crossbeam::channel::unbounded();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (sender, next, range) = (sender.clone(), &next, range.clone());
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(key) = keys.get(index) else { return };
                        let rows = self.read(key).range(range.clone()).columns(columns).rows();
                        let _ = sender.send((index, rows));
                    }
                });
            }
        });
        drop(sender);
        for (index, rows) in results {
            out[index] = Some(rows);
        }
        out.into_iter().map(|rows| rows.expect("every index was read")).collect()
    }

    /// Number of rows in `[range.start, range.end)`. From indexes, but where layers overlap.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the series does not exist at this version.
    pub fn count(&self, key: &SeriesKey, range: Range<i64>) -> Result<u64> {
        let (series, _) = self.find(key)?;
        let scan = Scan {
            cache: &self.shared.cache,
            series,
            version: self.version,
            columns: Vec::new(),
            system: System::TIME,
        };
        scan.count(&range)
    }

    fn timeframe(key: &SeriesKey) -> Result<Timeframe> {
        key.frame().timeframe().ok_or_else(|| {
            Error::Usage(format!(
                "{key} has no timeframe, so no bar is expected; gaps and coverage are for bars"
            ))
        })
    }

    /// Times of the first row and one past the last, from the layers: exact, but for deletions at the ends.
    fn span(&self, key: &SeriesKey) -> Result<Option<Range<i64>>> {
        let rows = self.read(key).columns(&[]).first(1)?;
        let Some(first) = rows.time().first().copied() else { return Ok(None) };
        let last = self.latest(key)?.map_or(first, |row| row.time()[0]);
        Ok(Some(first..last.saturating_add(1)))
    }

    fn slots(
        &self,
        key: &SeriesKey,
        timeframe: Timeframe,
        range: Option<Range<i64>>,
    ) -> Result<Option<Range<i64>>> {
        if let Some(range) = range {
            return Ok(Some(gaps::slots_in(timeframe, &range)));
        }
        let span = self.span(key)?;
        Ok(span.map(|span| timeframe.slot(span.start)..timeframe.slot(span.end - 1) + 1))
    }

    /// The covered slots of a series of bars as runs; see [`Timeframe::slot_start`]. Without `range`, all of them. Slots
    /// count to a range if they begin in it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Usage`] if the series does not hold bars.
    pub fn coverage(&self, key: &SeriesKey, range: Option<Range<i64>>) -> Result<Vec<Run>> {
        let (series, _) = self.find(key)?;
        let timeframe = Self::timeframe(key)?;
        let Some(slots) = self.slots(key, timeframe, range)? else { return Ok(Vec::new()) };
        let covered = gaps::coverage(series, &self.shared.cache, self.version, timeframe, &slots)?;
        Ok(covered.runs().to_vec())
    }

    /// The missing bars of a series on the always-open grid: expected, not there, and not confirmed absent. Without
    /// `range`, from the first bar to the last. `O(log runs)`, and the runs in the range; no column is read.
    ///
    /// # Errors
    /// As [`View::coverage`].
    pub fn gaps(&self, key: &SeriesKey, range: Option<Range<i64>>) -> Result<Vec<Gap>> {
        let timeframe = Self::timeframe(key)?;
        self.find(key)?;
        let mut out = Vec::new();
        if let Some(slots) = self.slots(key, timeframe, range)? {
            self.missing(key, timeframe, &[slots], &mut out)?;
        }
        Ok(out)
    }

    /// The missing bars in sessions: sorted, disjoint ranges of time in which bars are expected. A bar is expected if
    /// it opens in a session. A gap never crosses the end of a session, unless the next one begins there.
    ///
    /// # Errors
    /// As [`View::coverage`]; [`Error::Usage`] if sessions overlap or are not sorted.
    pub fn gaps_in_sessions(&self, key: &SeriesKey, sessions: &[Range<i64>]) -> Result<Vec<Gap>> {
        let timeframe = Self::timeframe(key)?;
        self.find(key)?;
        if let Some(at) = sessions.windows(2).position(|pair| pair[0].end > pair[1].start) {
            return Err(Error::Usage(format!("sessions {at} and {} overlap or are not in order", at + 1)));
        }
        let mut slots: Vec<Range<i64>> = Vec::new();
        for session in sessions {
            slots.push(gaps::slots_in(timeframe, session));
        }
        let mut out = Vec::new();
        self.missing(key, timeframe, &slots, &mut out)?;
        Ok(out)
    }

    fn missing(
        &self,
        key: &SeriesKey,
        timeframe: Timeframe,
        slots: &[Range<i64>],
        out: &mut Vec<Gap>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(()) };
        let (series, _) = self.find(key)?;
        let whole = first.start..last.end.max(first.start);
        let covered = gaps::coverage(series, &self.shared.cache, self.version, timeframe, &whole)?;
        let absent = gaps::absences(series, self.version)?;
        for slots in slots {
            let inside = covered.within(slots.start, slots.end).collect();
            gaps::missing(timeframe, slots, &inside, &absent, out);
        }
        Ok(())
    }

    /// The ranges that the source confirmed to hold nothing, sorted and disjoint.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the series does not exist at this version.
    pub fn absences(&self, key: &SeriesKey) -> Result<Vec<Range<i64>>> {
        gaps::absences(self.find(key)?.0, self.version)
    }

    /// The name of a source, as found in the provenance of rows.
    pub fn source_name(&self, id: u16) -> Option<String> {
        self.shared.catalog.source_name(id)
    }
}

/// The log of commits up to a version, with provenance.
pub(crate) fn commits(cache: &BlockCache, state: &State, version: u64) -> Result<Rows> {
    let series = state.series(COMMITS).expect("every store has it");
    let columns = series.schema_at(version).expect("it exists from the beginning").columns.clone();
    let kinds = columns.iter().map(|column| (column.id, column.kind)).collect();
    let scan = Scan { cache, series, version, columns: kinds, system: System::ALL };
    Ok(Rows { set: scan.collect(&(i64::MIN..i64::MAX))?, columns })
}

/// A row that may lack columns added later, with exactly the columns of `schema`.
pub(crate) fn project(row: &RowSet, schema: &Schema) -> Rows {
    let mut out = Rows::empty(schema.columns.clone());
    out.set.extend_from(row, 0..row.len());
    out
}

/// A read of one series, being described.
#[derive(Clone, Debug)]
pub struct Read<'v> {
    view: &'v View,
    key: SeriesKey,
    range: Range<i64>,
    columns: Option<Vec<String>>,
    system: System,
}

impl<'v> Read<'v> {
    /// Only rows with times in `[range.start, range.end)`, nanoseconds since the Unix epoch, UTC.
    #[must_use]
    pub fn range(mut self, range: Range<i64>) -> Self {
        self.range = range;
        self
    }

    /// Only these columns, in this order. A column that does not exist is reported when the read runs.
    #[must_use]
    pub fn columns(mut self, names: &[&str]) -> Self {
        self.columns = Some(names.iter().map(|name| (*name).to_owned()).collect());
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
        self.columns.is_some()
    }

    pub(crate) fn time_range(&self) -> &Range<i64> {
        &self.range
    }

    pub(crate) fn projection(&self) -> Result<Vec<Column>> {
        let (_, schema) = self.view.find(&self.key)?;
        let Some(names) = &self.columns else { return Ok(schema.columns.clone()) };
        let find = |name: &String| {
            schema.column(name).cloned().ok_or_else(|| {
                let known: Vec<_> = schema.columns.iter().map(|column| column.name.as_str()).collect();
                let known = known.join(", ");
                Error::NotFound(format!("{} has no column {}; it has {known}", self.key, Quoted(name)))
            })
        };
        names.iter().map(find).collect()
    }

    pub(crate) fn scan(&self, columns: &[Column]) -> Result<Scan<'v>> {
        let (series, _) = self.view.find(&self.key)?;
        let kinds = columns.iter().map(|column| (column.id, column.kind)).collect();
        let cache = &self.view.shared.cache;
        Ok(Scan { cache, series, version: self.view.version, columns: kinds, system: self.system })
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
        let columns = self.projection()?;
        if rows.columns == columns {
            rows.set.clear();
        } else {
            *rows = Rows::empty(columns);
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
        let (series, _) = self.view.find(&self.key)?;
        let spans = || series.layers.iter().filter_map(|layer| layer.span_at(self.view.version));
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
