//! The last row of one series, or of all: from memory, borrowed from the view instead of copied.
//!
//! A state remembers the last row of a series once it was asked for, and every commit that follows brings it up to date
//! (`apply`): in the process that writes and, by [`crate::Store::refresh`], in those that read beside it.

use std::sync::Arc;

use tapestore_format::rows::{ColumnValues, ORDINAL, RowSet, Values};
use tapestore_format::schema::{Column, ColumnId, ColumnType, Schema};

use crate::batch::Rows;
use crate::error::Result;
use crate::key::SeriesKey;
use crate::state::{Layer, SeriesState, State};
use crate::view::{View, project};

/// The last row of a series at the version of a view, where it stands in memory.
#[derive(Clone, Debug)]
pub struct Latest<'v> {
    schema: &'v Schema,
    row: Row<'v>,
}

#[derive(Clone, Debug)]
enum Row<'v> {
    /// What the state of the view remembers.
    Known(&'v LastRow),
    /// Of an older version: read for this answer.
    Read(Arc<LastRow>),
}

impl std::ops::Deref for Row<'_> {
    type Target = LastRow;

    fn deref(&self) -> &LastRow {
        match self {
            Self::Known(row) => row,
            Self::Read(row) => row,
        }
    }
}

/// Numbers that stand in the head of a last row.
const HEAD: usize = 8;

/// A last row, with what is asked of it most in one place: its first numbers lie beside its time, not behind the
/// pointers of columns, each of which the processor would have to wait for.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct LastRow {
    time: i64,
    /// Columns whose numbers follow, by id; the rest is [`NO_COLUMN`].
    ids: [ColumnId; HEAD],
    /// The bits of an `f64` or `i64`.
    numbers: [u64; HEAD],
    all: RowSet,
}

/// No column has this id: [`ORDINAL`] is the engine's own.
const NO_COLUMN: ColumnId = ORDINAL;

impl LastRow {
    /// Takes a set of one row.
    pub(crate) fn new(all: RowSet) -> Self {
        let (mut ids, mut numbers) = ([NO_COLUMN; HEAD], [0; HEAD]);
        let number = |(id, column): &(ColumnId, ColumnValues)| match &column.values {
            _ if column.is_null(0) || *id == NO_COLUMN => None,
            Values::F64(values) => Some((*id, values[0].to_bits())),
            Values::I64(values) => Some((*id, values[0] as u64)),
            _ => None,
        };
        for (place, (id, bits)) in all.columns.iter().filter_map(number).take(HEAD).enumerate() {
            (ids[place], numbers[place]) = (id, bits);
        }
        Self { time: all.time[0], ids, numbers, all }
    }

    pub(crate) fn time_ns(&self) -> i64 {
        self.time
    }

    /// The bits of a number of the head.
    fn number(&self, id: ColumnId) -> Option<u64> {
        Some(self.numbers[self.ids.iter().position(|known| *known == id)?])
    }
}

impl Latest<'_> {
    /// Its time: nanoseconds since the Unix epoch, UTC; for bars the open time.
    pub fn time_ns(&self) -> i64 {
        self.row.time
    }

    /// The commit that wrote it.
    pub fn version(&self) -> u64 {
        self.row.all.version.get(0)
    }

    /// Its flags, bits of [`crate::flags`].
    pub fn flags(&self) -> u16 {
        self.row.all.flags.get(0)
    }

    /// The schema of the series.
    pub fn schema(&self) -> &Schema {
        self.schema
    }

    /// The value of an `f64` column; `None` if it is null, or there is no such column.
    pub fn f64(&self, column: &str) -> Option<f64> {
        let column = self.schema.column(column).filter(|column| column.kind == ColumnType::F64)?;
        if let Some(bits) = self.row.number(column.id) {
            return Some(f64::from_bits(bits));
        }
        match self.value(column.id)? {
            Values::F64(values) => values.first().copied(),
            _ => None,
        }
    }

    /// The value of an `i64` or timestamp column; `None` likewise.
    pub fn i64(&self, column: &str) -> Option<i64> {
        let number = |column: &&Column| matches!(column.kind, ColumnType::I64 | ColumnType::Timestamp);
        let column = self.schema.column(column).filter(number)?;
        if let Some(bits) = self.row.number(column.id) {
            return Some(bits as i64);
        }
        match self.value(column.id)? {
            Values::I64(values) => values.first().copied(),
            _ => None,
        }
    }

    /// The value of a string column; `None` likewise.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.value(self.schema.column(column)?.id)? {
            Values::Str(values) => Some(values.get(0)),
            _ => None,
        }
    }

    /// The value of a column of any type, one; `None` likewise.
    pub fn column(&self, name: &str) -> Option<&Values> {
        self.value(self.schema.column(name)?.id)
    }

    fn value(&self, id: ColumnId) -> Option<&Values> {
        self.row.all.column(id).filter(|column| !column.is_null(0)).map(|column| &column.values)
    }

    /// The row with all columns of the schema, as reads give it.
    pub fn rows(&self) -> Rows {
        project(&self.row.all, self.schema)
    }
}

impl View {
    /// The last row of a series, with all columns; `None` if it has no row. Remembered: asking again is a lookup.
    /// [`View::latest_row`] does not copy it.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if the series does not exist at this version.
    pub fn latest(&self, key: &SeriesKey) -> Result<Option<Rows>> {
        Ok(self.latest_row(key)?.map(|latest| latest.rows()))
    }

    /// The last row of a series, not copied; `None` if it has no row. Remembered: asking again is a lookup, below a
    /// microsecond.
    ///
    /// # Errors
    /// As [`View::latest`].
    pub fn latest_row(&self, key: &SeriesKey) -> Result<Option<Latest<'_>>> {
        let (series, schema) = self.find(key)?;
        self.latest_of(series, schema)
    }

    /// The last rows of all series that exist at this version, have a row and are `wanted`, in the order in which the
    /// series were created.
    ///
    /// # Errors
    /// Damage.
    pub fn latest_rows(&self, wanted: impl Fn(&SeriesKey) -> bool) -> Result<Vec<(&SeriesKey, Latest<'_>)>> {
        let mut out = Vec::with_capacity(self.state().series.len());
        for (series, schema) in self.existing() {
            if wanted(&series.key)
                && let Some(latest) = self.latest_of(series, schema)?
            {
                out.push((&*series.key, latest));
            }
        }
        Ok(out)
    }

    fn latest_of<'v>(&self, series: &'v SeriesState, schema: &'v Schema) -> Result<Option<Latest<'v>>> {
        let known =
            |row: &'v Option<Arc<LastRow>>| row.as_deref().map(|row| Latest { schema, row: Row::Known(row) });
        let newest = self.version() == self.state().version;
        if newest && let Some(row) = series.latest.get() {
            return Ok(known(row));
        }
        let row = self.read(&series.key).provenance().last(1)?.set;
        let found = (!row.is_empty()).then(|| Arc::new(LastRow::new(row)));
        if newest {
            return Ok(known(series.latest.get_or_init(|| found)));
        }
        Ok(found.map(|row| Latest { schema, row: Row::Read(row) }))
    }
}

/// Hands the last rows that `old` remembers to a state that was built anew, where nothing was committed since.
pub(crate) fn hand_over(old: &State, new: &State) {
    for (old_series, series) in old.series.iter().zip(new.series.iter()) {
        // Without later commits its rows are among the old ones. They are fewer if some were deleted since, and pruning
        // left nothing of the deletion.
        let rows = |series: &SeriesState| series.layers.iter().map(Layer::live_rows).sum::<u64>();
        let same = series.definitions.len() == old_series.definitions.len()
            && series.layers.iter().all(|layer| layer.high() <= old.version)
            && rows(series) == rows(old_series);
        if let Some(known) = old_series.latest.get().filter(|_| same) {
            let _ = series.latest.set(known.clone());
        }
    }
}
