//! The last row of one series, or of all: from memory, borrowed from the view instead of copied.
//!
//! A state remembers the last row of a series once it was asked for, and every commit that follows brings it up to date
//! (`apply`): in the process that writes and, by [`crate::Store::refresh`], in those that read beside it.

use std::sync::Arc;

use tapestore_format::rows::{ColumnValues, RowSet, Values};
use tapestore_format::schema::Schema;

use crate::batch::Rows;
use crate::error::Result;
use crate::key::SeriesKey;
use crate::state::{SeriesState, State};
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
    Known(&'v RowSet),
    /// Of an older version: read for this answer.
    Read(Arc<RowSet>),
}

impl std::ops::Deref for Row<'_> {
    type Target = RowSet;

    fn deref(&self) -> &RowSet {
        match self {
            Self::Known(row) => row,
            Self::Read(row) => row,
        }
    }
}

impl Latest<'_> {
    /// Its time: nanoseconds since the Unix epoch, UTC; for bars the open time.
    pub fn time_ns(&self) -> i64 {
        self.row.time[0]
    }

    /// The commit that wrote it.
    pub fn version(&self) -> u64 {
        self.row.version.get(0)
    }

    /// Its flags, bits of [`crate::flags`].
    pub fn flags(&self) -> u16 {
        self.row.flags.get(0)
    }

    /// The schema of the series.
    pub fn schema(&self) -> &Schema {
        self.schema
    }

    /// The value of an `f64` column; `None` if it is null, or there is no such column.
    pub fn f64(&self, column: &str) -> Option<f64> {
        match &self.column(column)?.values {
            Values::F64(values) => values.first().copied(),
            _ => None,
        }
    }

    /// The value of an `i64` or timestamp column; `None` likewise.
    pub fn i64(&self, column: &str) -> Option<i64> {
        match &self.column(column)?.values {
            Values::I64(values) => values.first().copied(),
            _ => None,
        }
    }

    /// The value of a string column; `None` likewise.
    pub fn text(&self, column: &str) -> Option<&str> {
        match &self.column(column)?.values {
            Values::Str(values) => Some(values.get(0)),
            _ => None,
        }
    }

    /// The values of a column of any type, one; `None` likewise.
    pub fn column(&self, name: &str) -> Option<&ColumnValues> {
        let id = self.schema.column(name)?.id;
        self.row.column(id).filter(|column| !column.is_null(0))
    }

    /// The row with all columns of the schema, as reads give it.
    pub fn rows(&self) -> Rows {
        project(&self.row, self.schema)
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
            |row: &'v Option<Arc<RowSet>>| row.as_deref().map(|row| Latest { schema, row: Row::Known(row) });
        let newest = self.version() == self.state().version;
        if newest && let Some(row) = series.latest.get() {
            return Ok(known(row));
        }
        let row = self.read(&series.key).provenance().last(1)?.set;
        let found = (!row.is_empty()).then(|| Arc::new(row));
        if newest {
            return Ok(known(series.latest.get_or_init(|| found)));
        }
        Ok(found.map(|row| Latest { schema, row: Row::Read(row) }))
    }
}

/// Hands the last rows that `old` remembers to a state that was built anew, where nothing was committed since.
pub(crate) fn hand_over(old: &State, new: &State) {
    for (old_series, series) in old.series.iter().zip(new.series.iter()) {
        let same = series.definitions.len() == old_series.definitions.len()
            && series.layers.iter().all(|layer| layer.high() <= old.version);
        if let Some(known) = old_series.latest.get().filter(|_| same) {
            let _ = series.latest.set(known.clone());
        }
    }
}
