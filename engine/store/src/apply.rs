//! What a committed transaction does to the state: the same for a live commit, for recovery and for followers.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use tapestore_format::limits::{TIME_MAX, TIME_MIN};
use tapestore_format::rows::{Mark, ORDINAL, RowSet, RunVec, Values};
use tapestore_format::schema::{ColumnType, ColumnTypes, KeyPolicy, Schema};
use tapestore_format::wal::{Effect, TransactionRecord};

use crate::error::{Error, Result};
use crate::key::SeriesKey;
use crate::latest::LastRow;
use crate::layer::{MemLayer, merge_layers};
use crate::schema::SchemaBuilder;
use crate::state::{Catalog, Definitions, Layer, SeriesState, State};

/// The series that holds the log of commits, one row each; not shown among the user's.
pub(crate) const COMMITS: u32 = 0;
/// Its instrument and frame.
pub(crate) const COMMITS_NAME: (&str, &str) = ("tape", "commits");

static COMMITS_SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let schema = SchemaBuilder::sequence()
        .column("kind", ColumnType::U8)
        .column("series", ColumnType::I64)
        .column("added", ColumnType::I64)
        .column("updated", ColumnType::I64)
        .column("deleted", ColumnType::I64)
        .column("message", ColumnType::String)
        .build();
    Arc::new(schema.expect("the schema is a constant"))
});

/// The state of a store without a commit: the log of commits exists, and is empty.
pub(crate) fn first_state(catalog: &Catalog) -> State {
    let key = SeriesKey::new(COMMITS_NAME.0, COMMITS_NAME.1).expect("the name is a constant");
    let definitions: Definitions = vec![(0, Some(COMMITS_SCHEMA.clone()))];
    let mut state = State::default();
    let known = catalog.add_series(key.clone(), COMMITS);
    debug_assert!(known, "series 0 comes first");
    state
        .series
        .set(0, Arc::new(SeriesState::new(COMMITS, Arc::new(key), Arc::new(definitions), Vec::new())));
    state
}

/// Whether these are the definitions of the log of commits: one, from version 0 on, with the columns that it has.
pub(crate) fn is_commits(definitions: &[(u64, Option<Arc<Schema>>)]) -> bool {
    let [(0, Some(schema))] = definitions else { return false };
    let columns = |schema: &Schema| -> Vec<_> {
        schema.columns.iter().map(|c| (c.id, c.name.clone(), c.kind, c.nullable)).collect()
    };
    schema.key == COMMITS_SCHEMA.key && columns(schema) == columns(&COMMITS_SCHEMA)
}

fn commit_row(record: &TransactionRecord, series: usize) -> RowSet {
    let one = |value: u64| Values::I64(vec![value as i64]).into();
    RowSet {
        time: vec![record.time],
        version: RunVec::constant(record.version, 1),
        source: RunVec::constant(0, 1),
        flags: RunVec::constant(0, 1),
        columns: vec![
            (0, Values::U8(vec![record.kind as u8]).into()),
            (1, one(series as u64)),
            (2, one(record.added)),
            (3, one(record.updated)),
            (4, one(record.deleted)),
            (5, Values::Str([&record.message].into_iter().collect()).into()),
        ],
        ..RowSet::default()
    }
}

/// What a transaction does to one series.
#[derive(Default)]
struct Change {
    key: Option<SeriesKey>,
    define: Option<Option<Schema>>,
    rows: RowSet,
    marks: Vec<Mark>,
}

/// Whether `version` is the one after `before`; files may name any number, the last one too.
pub(crate) fn follows(version: u64, before: u64) -> bool {
    version.checked_sub(1) == Some(before)
}

/// The state after `record`, and the bytes that it added to memory.
///
/// # Errors
/// The record refers to a series that does not exist, or does not follow the state: a damaged log, never a caller.
pub(crate) fn apply(
    state: &State,
    catalog: &Catalog,
    record: TransactionRecord,
    generation: u64,
) -> Result<(State, usize)> {
    if !follows(record.version, state.version) {
        return Err(damaged(format!("commit {} follows commit {}", record.version, state.version)));
    }
    let version = record.version;
    let mut changes: BTreeMap<u32, Change> = BTreeMap::new();
    let touched =
        record.effects.iter().filter_map(effect_series).collect::<std::collections::BTreeSet<_>>().len();
    changes.entry(COMMITS).or_default().rows = commit_row(&record, touched);
    if record.effects.iter().any(|effect| effect_series(effect) == Some(COMMITS)) {
        return Err(damaged("the log of commits cannot be written".into()));
    }
    for effect in record.effects {
        match effect {
            Effect::Source { id, name } => {
                catalog.add_source(id, &name).map_err(|error| damaged(error.to_string()))?;
            }
            Effect::Define { series, instrument, frame, schema } => {
                let change = changes.entry(series).or_default();
                let key = SeriesKey::recorded(&instrument, &frame);
                let key =
                    key.ok_or_else(|| damaged(format!("{instrument:?} {frame:?} is no name of a series")));
                change.key = Some(key?);
                change.define = Some(Some(schema));
            }
            Effect::Drop { series } => changes.entry(series).or_default().define = Some(None),
            Effect::Rows { series, rows } => {
                let change = changes.entry(series).or_default();
                if !change.rows.is_empty() {
                    return Err(damaged(format!("two sets of rows for series {series}")));
                }
                change.rows = rows;
            }
            Effect::Mark { series, mark } => {
                if mark.start < TIME_MIN || mark.end > TIME_MAX + 1 {
                    return Err(damaged(format!("a mark of series {series} is beyond the limits of times")));
                }
                changes.entry(series).or_default().marks.push(mark);
            }
        }
    }
    let mut next = State { version, series: state.series.clone() };
    let mut bytes = 0;
    for (id, change) in changes {
        if id as usize > next.series.len() {
            return Err(damaged(format!("series id {id} leaves a hole")));
        }
        let (series, added) = change_series(state, catalog, id, change, version, generation)?;
        bytes += added;
        next.series.set(id as usize, Arc::new(series));
    }
    Ok((next, bytes))
}

fn effect_series(effect: &Effect) -> Option<u32> {
    match effect {
        Effect::Source { .. } => None,
        Effect::Define { series, .. }
        | Effect::Drop { series }
        | Effect::Rows { series, .. }
        | Effect::Mark { series, .. } => Some(*series),
    }
}

fn change_series(
    state: &State,
    catalog: &Catalog,
    id: u32,
    change: Change,
    version: u64,
    generation: u64,
) -> Result<(SeriesState, usize)> {
    let (key, mut definitions, mut layers, latest) = match state.series(id) {
        Some(known) => {
            if let Some(key) = change.key.filter(|key| *key != *known.key) {
                return Err(damaged(format!("series {id} is {}, not {key}", known.key)));
            }
            (known.key.clone(), known.definitions.clone(), known.layers.clone(), known.latest.get().cloned())
        }
        None => {
            let key = change.key.ok_or_else(|| damaged(format!("series {id} was never defined")))?;
            if !catalog.add_series(key.clone(), id) {
                return Err(damaged(format!("series {id} has the name of another one, {key}")));
            }
            (Arc::new(key), Arc::new(Vec::new()), Vec::new(), Some(None))
        }
    };
    if let Some(define) = change.define {
        if let Some(schema) = &define {
            check_types(id, &definitions, schema)?;
        }
        Arc::make_mut(&mut definitions).push((version, define.map(|schema| catalog.shared_schema(schema))));
    }
    check_rows(id, &definitions, &change.rows)?;
    check_sources(id, catalog, &change.rows)?;
    let latest = next_latest(latest, &change.rows, &change.marks);
    let mut series = SeriesState::new(id, key, definitions, Vec::new());
    let mut bytes = 0;
    if !change.rows.is_empty() || !change.marks.is_empty() {
        let layer = MemLayer::new(change.rows, change.marks, version, generation);
        bytes = layer.bytes();
        push_layer(&mut layers, layer, &series);
    }
    series.layers = layers;
    if let Some(latest) = latest {
        let _ = series.latest.set(latest);
    }
    Ok((series, bytes))
}

fn damaged(detail: String) -> Error {
    Error::Inconsistent { path: "log".into(), rule: "W7", offset: 0, detail }
}

/// A column keeps its type through all definitions (A4): layers of several share a part.
fn check_types(id: u32, definitions: &Definitions, schema: &Schema) -> Result<()> {
    let mut types = ColumnTypes::default();
    let earlier = definitions.iter().filter_map(|definition| definition.1.as_deref());
    match earlier.chain([schema]).find_map(|schema| types.add(schema)) {
        None => Ok(()),
        Some(column) => Err(damaged(format!("column {column} of series {id} changes its type (A4)"))),
    }
}

/// Rows fit the schema that holds. Only a damaged log breaks this, but then it must be named, not obeyed.
fn check_rows(id: u32, definitions: &Definitions, rows: &RowSet) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let schema = definitions.last().and_then(|definition| definition.1.as_ref());
    let schema = schema.ok_or_else(|| damaged(format!("rows of series {id}, which does not exist")))?;
    for (column, values) in &rows.columns {
        let kind = match schema.column_by_id(*column) {
            Some(known) => known.kind,
            None if *column == ORDINAL => ColumnType::I64,
            None => return Err(damaged(format!("series {id} has no column {column}"))),
        };
        if !values.values.fits(kind) {
            return Err(damaged(format!("column {column} of series {id} holds {}", kind.name())));
        }
        if let (ColumnType::Bool, Values::U8(bools)) = (kind, &values.values)
            && bools.iter().enumerate().any(|(row, value)| *value > 1 && !values.is_null(row))
        {
            return Err(damaged(format!("column {column} of series {id} holds a bool above 1")));
        }
    }
    let in_order = match schema.key {
        KeyPolicy::Unique => rows.time.is_sorted_by(|a, b| a < b),
        KeyPolicy::Sequence { .. } => rows.time.is_sorted(),
    };
    if !in_order || rows.time[0] < TIME_MIN || rows.time[rows.len() - 1] > TIME_MAX {
        return Err(damaged(format!("times of rows of series {id} are out of order or range")));
    }
    Ok(())
}

/// Rows come from sources that are known. Those of the log of commits have none.
fn check_sources(id: u32, catalog: &Catalog, rows: &RowSet) -> Result<()> {
    let known = catalog.source_count();
    let unknown = rows.source.pieces(0..rows.source.len()).find(|(_, source)| usize::from(*source) >= known);
    match unknown.filter(|_| id != COMMITS) {
        None => Ok(()),
        Some((_, source)) => {
            Err(damaged(format!("rows of series {id} come from source {source}, of {known}")))
        }
    }
}

/// The last row after a change, where that is known without reading anything.
fn next_latest(
    known: Option<Option<Arc<LastRow>>>,
    rows: &RowSet,
    marks: &[Mark],
) -> Option<Option<Arc<LastRow>>> {
    let known = known?;
    if marks.iter().any(|mark| mark.kind == tapestore_format::rows::MarkKind::Delete) {
        return None;
    }
    let Some(last) = rows.time.last() else { return Some(known) };
    match &known {
        Some(row) if row.time_ns() > *last => Some(known),
        _ => {
            let mut row = crate::batch::empty_union(&[rows]);
            row.extend_from(rows, rows.len() - 1..rows.len());
            Some(Some(Arc::new(LastRow::new(row))))
        }
    }
}

/// From so many rows on a layer is long: one more to look at costs a read less than copying it.
const LONG_LAYER: usize = 512;
/// So many long layers are merged at once.
const LONG_LAYERS: usize = 8;

/// Adds a layer on top. Neighbours in memory of like size are merged, short ones two at a time, as in a binary counter,
/// long ones [`LONG_LAYERS`] at a time: a series has a logarithmic number of layers, and each row is copied a logarithmic
/// number of times.
fn push_layer(layers: &mut Vec<Layer>, layer: MemLayer, series: &SeriesState) {
    let mut layer = Arc::new(layer);
    loop {
        let alike = |beneath: &Layer| match beneath {
            Layer::Mem(mem) if mem.generation == layer.generation && mem.size() <= 2 * layer.size() => {
                Some(mem.clone())
            }
            _ => None,
        };
        let mut run: Vec<Arc<MemLayer>> = layers.iter().rev().map_while(alike).collect();
        let wanted = if layer.size() < LONG_LAYER { 2 } else { LONG_LAYERS };
        if run.len() + 1 < wanted {
            break;
        }
        layers.truncate(layers.len() - run.len());
        run.reverse();
        run.push(layer);
        layer = merge_layers(&run, &|version| series.row_key(version));
    }
    layers.push(Layer::Mem(layer));
}

#[cfg(test)]
mod tests;
