//! The state of a store at its newest version: immutable, shared, cheap to derive from the one before.
//!
//! # Invariants
//! - T1. A state never changes; a commit makes a new one that shares all it did not touch.
//! - T2. Series ids are dense, given once, never reused.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use tapestore_format::rows::{Mark, RowSet};
use tapestore_format::schema::{ColumnId, Schema};

use crate::error::{Error, Result};
use crate::key::SeriesKey;
use crate::latest::LastRow;
use crate::layer::MemLayer;
use crate::overlay::RowKey;
use crate::segment::Part;
use crate::sync::RwLock;

/// From which commit on which schema holds; `None`: the series was dropped.
pub(crate) type Definitions = Vec<(u64, Option<Arc<Schema>>)>;

/// What some commits did to a series.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    /// In memory.
    Mem(Arc<MemLayer>),
    /// In a segment.
    Part(Arc<Part>),
}

impl Layer {
    /// The part, if it is in a segment.
    pub(crate) fn part(&self) -> Option<&Arc<Part>> {
        match self {
            Self::Part(part) => Some(part),
            Self::Mem(_) => None,
        }
    }

    /// First commit in it.
    pub(crate) fn low(&self) -> u64 {
        match self {
            Self::Mem(layer) => layer.low,
            Self::Part(part) => part.summary.version_low,
        }
    }

    /// Last commit in it.
    pub(crate) fn high(&self) -> u64 {
        match self {
            Self::Mem(layer) => layer.high,
            Self::Part(part) => part.summary.version_high,
        }
    }

    /// Times of its first and last live row.
    pub(crate) fn live_span(&self) -> Option<(i64, i64)> {
        match self {
            Self::Mem(layer) => span(&layer.live),
            Self::Part(part) => part.live_span(),
        }
    }

    /// Times of its first and last row as `version` may see it: live rows, and history where that version needs it.
    pub(crate) fn span_at(&self, version: u64) -> Option<(i64, i64)> {
        let live = self.live_span();
        if version >= self.high() {
            return live;
        }
        let history = match self {
            Self::Mem(layer) => span(&layer.history),
            Self::Part(part) => part.history_span(),
        };
        match (live, history) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        }
    }

    /// Its marks.
    pub(crate) fn marks(&self) -> Result<&[Mark]> {
        match self {
            Self::Mem(layer) => Ok(&layer.marks),
            Self::Part(part) => part.marks(),
        }
    }

    /// Number of live rows.
    pub(crate) fn live_rows(&self) -> u64 {
        match self {
            Self::Mem(layer) => layer.live.len() as u64,
            Self::Part(part) => part.summary.rows,
        }
    }

    /// Number of rows kept for older versions.
    pub(crate) fn history_rows(&self) -> u64 {
        match self {
            Self::Mem(layer) => layer.history.len() as u64,
            Self::Part(part) => part.summary.history_rows,
        }
    }
}

fn span(rows: &RowSet) -> Option<(i64, i64)> {
    Some((*rows.time.first()?, *rows.time.last()?))
}

/// One series: its name, its schemas over time, its layers.
#[derive(Debug)]
pub(crate) struct SeriesState {
    pub(crate) id: u32,
    pub(crate) key: Arc<SeriesKey>,
    pub(crate) definitions: Arc<Definitions>,
    /// The last of the definitions: what almost every look-up wants.
    newest: (u64, Option<Arc<Schema>>),
    /// Oldest first (Y3).
    pub(crate) layers: Vec<Layer>,
    /// The last row at the state's own version, once asked for.
    pub(crate) latest: OnceLock<Option<Arc<LastRow>>>,
}

impl SeriesState {
    pub(crate) fn new(
        id: u32,
        key: Arc<SeriesKey>,
        definitions: Arc<Definitions>,
        layers: Vec<Layer>,
    ) -> Self {
        let newest = definitions.last().cloned().unwrap_or_default();
        Self { id, key, definitions, newest, layers, latest: OnceLock::new() }
    }

    /// The same series with other layers that hold the same rows.
    pub(crate) fn with_layers(&self, layers: Vec<Layer>) -> Self {
        Self {
            id: self.id,
            key: self.key.clone(),
            definitions: self.definitions.clone(),
            newest: self.newest.clone(),
            layers,
            latest: self.latest.clone(),
        }
    }

    /// The schema at `version`; `None` if the series did not exist then.
    pub(crate) fn schema_at(&self, version: u64) -> Option<&Arc<Schema>> {
        if self.newest.0 <= version {
            return self.newest.1.as_ref();
        }
        let next = self.definitions.partition_point(|definition| definition.0 <= version);
        self.definitions[..next].last()?.1.as_ref()
    }

    /// The newest schema the series ever had: the one its layers are merged by.
    pub(crate) fn newest_schema(&self) -> Option<&Arc<Schema>> {
        self.definitions.iter().rev().find_map(|definition| definition.1.as_ref())
    }

    /// How rows that were written up to `version` are told apart: by the schema that held then. A series that was
    /// dropped and created again may have had another key before; the drop deleted all rows of its former life.
    pub(crate) fn row_key(&self, version: u64) -> RowKey {
        let schema = self.schema_at(version).or_else(|| self.newest_schema());
        schema.map_or(RowKey::Distinct, |schema| RowKey::from(&**schema))
    }

    /// The first column id never used.
    pub(crate) fn next_column(&self) -> ColumnId {
        let schemas = self.definitions.iter().filter_map(|definition| definition.1.as_ref());
        schemas.flat_map(|schema| &schema.columns).map(|column| column.id + 1).max().unwrap_or(0)
    }

    /// No live row of any layer is later than this.
    pub(crate) fn last_time(&self) -> Option<i64> {
        self.layers.iter().filter_map(Layer::live_span).map(|span| span.1).max()
    }
}

const PAGE: usize = 64;

/// A vector in pages: a change of one element copies one page and the list of pages.
#[derive(Debug)]
pub(crate) struct PagedVec<T> {
    pages: Vec<Arc<Vec<Arc<T>>>>,
}

impl<T> Clone for PagedVec<T> {
    fn clone(&self) -> Self {
        Self { pages: self.pages.clone() }
    }
}

impl<T> Default for PagedVec<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T> PagedVec<T> {
    pub(crate) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Arc<T>> {
        self.pages.get(index / PAGE)?.get(index % PAGE)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    /// Replaces an element, or appends one at the end.
    pub(crate) fn set(&mut self, index: usize, value: Arc<T>) {
        if index == self.len() {
            if index.is_multiple_of(PAGE) {
                self.pages.push(Arc::new(Vec::with_capacity(PAGE)));
            }
            Arc::make_mut(&mut self.pages[index / PAGE]).push(value);
        } else {
            Arc::make_mut(&mut self.pages[index / PAGE])[index % PAGE] = value;
        }
    }
}

/// Everything visible at one version.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) series: PagedVec<SeriesState>,
}

impl State {
    /// The version that the next commit makes.
    pub(crate) fn next_version(&self) -> Result<u64> {
        let next = self.version.checked_add(1);
        next.ok_or_else(|| {
            Error::Limit(format!("version {} is the last that a store can have", self.version))
        })
    }

    pub(crate) fn series(&self, id: u32) -> Option<&Arc<SeriesState>> {
        self.series.get(id as usize)
    }
}

/// Names of series and sources. Only grows: what exists at a version is said by the definitions of a series.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    inner: RwLock<CatalogInner>,
}

#[derive(Debug, Default)]
struct CatalogInner {
    series: HashMap<SeriesKey, u32>,
    sources: Vec<String>,
    source_ids: HashMap<String, u16>,
    schemas: Vec<Arc<Schema>>,
}

/// Schemas that are looked at before a new one is taken: thousands of series share a few.
const SHARED_SCHEMAS: usize = 32;

impl Catalog {
    pub(crate) fn series_id(&self, key: &SeriesKey) -> Option<u32> {
        self.inner.read().series.get(key).copied()
    }

    /// Gives a series its number. False if the name has another one already: the record that says so is damaged.
    #[must_use]
    pub(crate) fn add_series(&self, key: SeriesKey, id: u32) -> bool {
        *self.inner.write().series.entry(key).or_insert(id) == id
    }

    pub(crate) fn source_name(&self, id: u16) -> Option<String> {
        self.inner.read().sources.get(id as usize).cloned()
    }

    pub(crate) fn source_id(&self, name: &str) -> Option<u16> {
        self.inner.read().source_ids.get(name).copied()
    }

    pub(crate) fn source_count(&self) -> usize {
        self.inner.read().sources.len()
    }

    pub(crate) fn sources(&self) -> Vec<String> {
        self.inner.read().sources.clone()
    }

    /// The schema, in one copy for all series that have it: what many share stays in the caches of the processor.
    pub(crate) fn shared_schema(&self, schema: Schema) -> Arc<Schema> {
        let mut inner = self.inner.write();
        if let Some(known) = inner.schemas.iter().find(|known| ***known == schema) {
            return known.clone();
        }
        let schema = Arc::new(schema);
        if inner.schemas.len() < SHARED_SCHEMAS {
            inner.schemas.push(schema.clone());
        }
        schema
    }

    /// Gives a source its id; the next free one, or one it already has.
    ///
    /// # Errors
    /// The id is neither: the record that says so is damaged.
    pub(crate) fn add_source(&self, id: u16, name: &str) -> Result<()> {
        let mut inner = self.inner.write();
        match inner.sources.get(id as usize) {
            Some(known) if known == name => Ok(()),
            None if inner.sources.len() == id as usize && !inner.source_ids.contains_key(name) => {
                inner.sources.push(name.to_owned());
                inner.source_ids.insert(name.to_owned(), id);
                Ok(())
            }
            _ => Err(Error::Inconsistent {
                path: "sources".into(),
                rule: "M5",
                offset: 0,
                detail: format!(
                    "source id {id} of {name:?} is taken, leaves a hole, or has a name that is known"
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_page_leaves_the_old_vector_alone() {
        let mut first = PagedVec::default();
        for index in 0..200 {
            first.set(index, Arc::new(index));
        }
        let mut second = first.clone();
        second.set(70, Arc::new(7));
        second.set(200, Arc::new(200));
        assert_eq!((first.len(), second.len()), (200, 201));
        assert_eq!((**first.get(70).unwrap(), **second.get(70).unwrap()), (70, 7));
        assert!(Arc::ptr_eq(first.get(0).unwrap(), second.get(0).unwrap()));
        assert!(first.iter().map(|value| **value).eq(0..200));
    }
}
