//! Views: one version of a store, pinned.

use std::ops::Range;
use std::sync::Arc;

use tapestore_format::coverage::Run;
use tapestore_format::rows::RowSet;
use tapestore_format::schema::Schema;
use tapestore_format::segment::System;
use tapestore_format::time::Timeframe;

use crate::apply::COMMITS;
use crate::batch::Rows;
use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::gaps::{self, Completeness, Gap, GapIndex};
use crate::key::SeriesKey;
use crate::read::Read;
use crate::scan::Scan;
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
            .ok_or_else(|| self.missing_series(key))
    }

    pub(crate) fn missing_series(&self, key: &SeriesKey) -> Error {
        Error::NotFound(format!("there is no series {key} at version {}", self.version))
    }

    pub(crate) fn cache(&self) -> &BlockCache {
        &self.shared.cache
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
        Read::new(self, key)
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

    fn gap_index(&self, key: &SeriesKey) -> Result<GapIndex<'_>> {
        let (series, _) = self.find(key)?;
        let timeframe = Self::timeframe(key)?;
        Ok(GapIndex { series, cache: &self.shared.cache, version: self.version, timeframe })
    }

    /// The covered slots of a series of bars as runs; see [`Timeframe::slot_start`]. Without `range`, all of them. Slots
    /// count to a range if they begin in it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Usage`] if the series does not hold bars.
    pub fn coverage(&self, key: &SeriesKey, range: Option<Range<i64>>) -> Result<Vec<Run>> {
        let index = self.gap_index(key)?;
        let Some(slots) = self.slots(key, index.timeframe, range)? else { return Ok(Vec::new()) };
        Ok(index.coverage(&slots)?.into_runs())
    }

    /// The missing bars of a series on the always-open grid: expected, not there, and not confirmed absent. Without
    /// `range`, from the first bar to the last. `O(log runs)`, and the runs in the range; no column is read. Who wants to
    /// know only how many are missing asks for the [completeness](View::completeness).
    ///
    /// # Errors
    /// As [`View::coverage`].
    pub fn gaps(&self, key: &SeriesKey, range: Option<Range<i64>>) -> Result<Vec<Gap>> {
        let index = self.gap_index(key)?;
        index.missing(self.slots(key, index.timeframe, range)?.as_slice())
    }

    /// How many bars of a series are expected on the always-open grid, there, confirmed absent and missing. Without
    /// `range`, from the first bar to the last. From counts, `O(log runs)`: however many gaps there are, none is looked at,
    /// but where layers overlap or absences are confirmed. Where bars stand off the grid, runs of all layers are; where
    /// the version lies within a layer, times.
    ///
    /// # Errors
    /// As [`View::coverage`].
    pub fn completeness(&self, key: &SeriesKey, range: Option<Range<i64>>) -> Result<Completeness> {
        let index = self.gap_index(key)?;
        index.completeness(self.slots(key, index.timeframe, range)?.as_slice())
    }

    /// The missing bars in sessions: sorted, disjoint ranges of time in which bars are expected. A bar is expected if
    /// it opens in a session. A gap never crosses the end of a session, unless the next one begins there.
    ///
    /// # Errors
    /// As [`View::coverage`]; [`Error::Usage`] if sessions overlap or are not sorted.
    pub fn gaps_in_sessions(&self, key: &SeriesKey, sessions: &[Range<i64>]) -> Result<Vec<Gap>> {
        let index = self.gap_index(key)?;
        index.missing(&session_slots(index.timeframe, sessions)?)
    }

    /// How many bars are expected in sessions, there, confirmed absent and missing: [`View::completeness`] of sessions as
    /// [`View::gaps_in_sessions`] takes them.
    ///
    /// # Errors
    /// As [`View::gaps_in_sessions`].
    pub fn completeness_in_sessions(&self, key: &SeriesKey, sessions: &[Range<i64>]) -> Result<Completeness> {
        let index = self.gap_index(key)?;
        index.completeness(&session_slots(index.timeframe, sessions)?)
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

/// The slots that begin in sessions.
fn session_slots(timeframe: Timeframe, sessions: &[Range<i64>]) -> Result<Vec<Range<i64>>> {
    // One that ends before it begins holds nothing, and stands where it begins.
    let late = |pair: &[Range<i64>]| pair[0].end.max(pair[0].start) > pair[1].start;
    if let Some(at) = sessions.windows(2).position(late) {
        return Err(Error::Usage(format!("sessions {at} and {} overlap or are not in order", at + 1)));
    }
    Ok(sessions.iter().map(|session| gaps::slots_in(timeframe, session)).collect())
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
