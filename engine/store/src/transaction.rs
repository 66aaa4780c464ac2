//! Transactions: changes to any number of series that become visible together or not at all.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tapestore_format::limits::{NAME_BYTES, NOTE_BYTES, TIME_MAX, TIME_MIN};
use tapestore_format::rows::RowSet;
use tapestore_format::schema::{Column, ColumnType, KeyPolicy, Schema};

use crate::apply::COMMITS_NAME;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::key::{Quoted, SeriesKey, check_printable};
use crate::options::Durability;
use crate::schema::check_schema;
use crate::store::Store;

/// How rows meet the ones that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Append,
    Upsert,
    Merge,
}

/// One change, validated against the schema it was given for.
#[derive(Debug)]
pub(crate) enum Change {
    Create(Schema),
    AddColumn {
        name: String,
        kind: ColumnType,
        description: String,
    },
    AlterColumn {
        name: String,
        nullable: bool,
        description: String,
    },
    Drop,
    Rows {
        mode: Mode,
        rows: RowSet,
        source: String,
        schema: Arc<Schema>,
    },
    Delete(Range<i64>),
    Absent(Range<i64>),
    Expected(Range<i64>),
    /// No commit after this version touched the series.
    Unchanged(u64),
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// The version of the store after it.
    pub version: u64,
    /// Whether there was anything to commit. If not, no version was made.
    pub changed: bool,
    /// Rows that did not exist before.
    pub added: u64,
    /// Rows that replaced others.
    pub updated: u64,
    /// Rows that were there already, bit for bit, and were not written.
    pub unchanged: u64,
    /// Rows of a batch that a later row of the same key in the same transaction replaced.
    pub duplicates: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// Changes to any number of series, staged in memory. Nothing is visible before [`Transaction::commit`]; dropping a
/// transaction forgets it.
///
/// Rows are checked against the schema when they are staged; how they meet rows that are there is decided at commit,
/// against the newest version.
#[derive(Debug)]
pub struct Transaction {
    store: Store,
    source: String,
    pub(crate) message: String,
    pub(crate) changes: Vec<(SeriesKey, Change)>,
    /// Schemas that this transaction makes or changes; `None`: dropped.
    schemas: HashMap<SeriesKey, Option<Arc<Schema>>>,
}

impl Transaction {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            source: "unknown".into(),
            message: String::new(),
            changes: Vec::new(),
            schemas: HashMap::new(),
        }
    }

    /// Names where the rows that follow come from; at most 512 bytes, longer names are cut.
    pub fn source(&mut self, name: &str) -> &mut Self {
        self.source = cut(name, NOTE_BYTES);
        self
    }

    /// Says why the commit is made; at most 512 bytes, longer messages are cut.
    pub fn message(&mut self, text: &str) -> &mut Self {
        self.message = cut(text, NOTE_BYTES);
        self
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether this does anything but give up rows, and note that.
    pub(crate) fn adds(&self) -> bool {
        let gives_up = |change: &Change| matches!(change, Change::Drop | Change::Delete(_));
        !self.changes.iter().any(|(_, change)| gives_up(change))
            || !self.changes.iter().all(|(key, change)| gives_up(change) || key.is_own())
    }

    /// Creates a series. Does nothing if it exists with the same columns and key.
    ///
    /// # Errors
    /// [`Error::Usage`] if the schema is unusable, [`Error::Rejected`] if the series exists with another one.
    pub fn create_series(&mut self, key: &SeriesKey, schema: Schema) -> Result<()> {
        if key.instrument() == COMMITS_NAME.0 && key.frame().to_string() == COMMITS_NAME.1 {
            return Err(Error::Usage(format!(
                "{key} is the store's own log of commits; choose another name"
            )));
        }
        let known = self.schema(key);
        if known.as_ref().is_some_and(|known| same_schema(known, &schema)) {
            return Ok(());
        }
        check_schema(&schema)?;
        if key.frame().timeframe().is_some() && schema.key != KeyPolicy::Unique {
            return Err(Error::Usage(format!(
                "{key}: bars have one row per open time, so their key is unique"
            )));
        }
        if known.is_some() {
            let reason = "the series exists with another schema; add columns instead";
            return Err(Error::rejected(key, None, reason));
        }
        self.schemas.insert(key.clone(), Some(Arc::new(schema.clone())));
        self.changes.push((key.clone(), Change::Create(schema)));
        Ok(())
    }

    /// Adds a nullable column; rows that exist have no value in it. Does nothing if the series has the same column.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such series, [`Error::Rejected`] if the name is taken by another type.
    pub fn add_column(
        &mut self,
        key: &SeriesKey,
        name: &str,
        kind: ColumnType,
        description: &str,
    ) -> Result<()> {
        let known = self.existing_schema(key)?;
        if let Some(column) = known.column(name) {
            return if column.kind == kind {
                Ok(())
            } else {
                let reason = format!("column {name:?} exists as {}", column.kind.name());
                Err(Error::rejected(key, None, reason))
            };
        }
        let mut schema = (*known).clone();
        // The id is settled at commit; here it only has to be unique.
        let id = schema.columns.iter().map(|column| column.id + 1).max().unwrap_or(0);
        schema.columns.push(Column {
            id,
            name: name.to_owned(),
            kind,
            nullable: true,
            description: description.to_owned(),
        });
        check_printable("column name", name, NAME_BYTES)?;
        if let Some(problem) = schema.problem() {
            return Err(Error::Usage(problem));
        }
        self.schemas.insert(key.clone(), Some(Arc::new(schema)));
        let change = Change::AddColumn { name: name.to_owned(), kind, description: description.to_owned() };
        self.changes.push((key.clone(), change));
        Ok(())
    }

    /// Says anew what a column means, and whether rows that are written from now on may lack a value. Rows that exist stay
    /// as they are: one that lacks a value is still read as such. Does nothing if the column says so already.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such series or column, [`Error::Usage`] if the description is too long.
    pub fn alter_column(
        &mut self,
        key: &SeriesKey,
        name: &str,
        nullable: bool,
        description: &str,
    ) -> Result<()> {
        let mut schema = (*self.existing_schema(key)?).clone();
        altered(&mut schema, key, name, nullable, description)?;
        if let Some(problem) = schema.problem() {
            return Err(Error::Usage(problem));
        }
        self.schemas.insert(key.clone(), Some(Arc::new(schema)));
        let (name, description) = (name.to_owned(), description.to_owned());
        self.changes.push((key.clone(), Change::AlterColumn { name, nullable, description }));
        Ok(())
    }

    /// Drops a series with all its rows. Older versions keep it; creating it again starts empty.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such series.
    pub fn drop_series(&mut self, key: &SeriesKey) -> Result<()> {
        self.existing_schema(key)?;
        self.schemas.insert(key.clone(), None);
        self.changes.push((key.clone(), Change::Drop));
        Ok(())
    }

    /// Stages rows that must be new. For `unique` series every time must be after the series' last row and after the
    /// row before it; a plain sequence takes all rows; a sequence with dedup columns behaves as in
    /// [`Transaction::upsert`].
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a series; [`Error::Rejected`] names the first bad row, and nothing is staged.
    pub fn append(&mut self, key: &SeriesKey, batch: Batch) -> Result<()> {
        self.rows(key, batch, Mode::Append)
    }

    /// Stages rows that replace rows of the same key. Rows that are there already, bit for bit, are left alone and
    /// counted as unchanged.
    ///
    /// # Errors
    /// As [`Transaction::append`]; [`Error::Rejected`] for plain sequences, whose rows have no key.
    pub fn upsert(&mut self, key: &SeriesKey, batch: Batch) -> Result<()> {
        self.rows(key, batch, Mode::Upsert)
    }

    /// Stages rows as far as they are missing. For plain sequences a row is added as often as the batch has it more
    /// often, at its time, than the series; otherwise as [`Transaction::upsert`]. Merging the same rows again changes
    /// nothing: this is what an import uses.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn merge(&mut self, key: &SeriesKey, batch: Batch) -> Result<()> {
        self.rows(key, batch, Mode::Merge)
    }

    /// Deletes the rows in `[range.start, range.end)`, nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such series, [`Error::Usage`] if the range is empty.
    pub fn delete_range(&mut self, key: &SeriesKey, range: Range<i64>) -> Result<()> {
        self.ranged(key, range, Change::Delete)
    }

    /// Notes that the source confirmed that there is nothing in the range: it is no gap any more.
    ///
    /// # Errors
    /// As [`Transaction::delete_range`].
    pub fn confirm_absent(&mut self, key: &SeriesKey, range: Range<i64>) -> Result<()> {
        self.ranged(key, range, Change::Absent)
    }

    /// Takes back [`Transaction::confirm_absent`].
    ///
    /// # Errors
    /// As [`Transaction::delete_range`].
    pub fn withdraw_absence(&mut self, key: &SeriesKey, range: Range<i64>) -> Result<()> {
        self.ranged(key, range, Change::Expected)
    }

    /// Makes the commit depend on what was read: it is refused if any commit after version `since` touched the series.
    /// A series that does not exist may be named, too.
    pub fn expect_unchanged(&mut self, key: &SeriesKey, since: u64) -> &mut Self {
        self.changes.push((key.clone(), Change::Unchanged(since)));
        self
    }

    /// Commits with the store's durability. All changes become visible together.
    ///
    /// # Errors
    /// Nothing is changed on [`Error::Rejected`], [`Error::NotFound`] and [`Error::ReadOnly`]. After
    /// [`Error::Io`] and [`Error::Poisoned`] the handle accepts nothing more; reopening recovers every acknowledged
    /// commit, and perhaps this one.
    pub fn commit(self) -> Result<CommitReport> {
        let durability = self.store.options().durability;
        self.commit_with(durability)
    }

    /// Commits with a durability of its own.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<CommitReport> {
        let store = self.store.clone();
        store.commit(self, durability)
    }

    fn rows(&mut self, key: &SeriesKey, batch: Batch, mode: Mode) -> Result<()> {
        let schema = self.existing_schema(key)?;
        let plain = matches!(&schema.key, KeyPolicy::Sequence { dedup } if dedup.is_empty());
        if plain && mode == Mode::Upsert {
            return Err(Error::rejected(
                key,
                None,
                "rows of a plain sequence have no key; append or merge them",
            ));
        }
        let rows = batch.into_rows(key, &schema)?;
        if mode == Mode::Append
            && schema.key == KeyPolicy::Unique
            && let Some(row) = rows.time.windows(2).position(|pair| pair[0] == pair[1])
        {
            let reason = format!("time {} appears twice; upsert replaces rows", rows.time[row]);
            return Err(Error::rejected(key, Some(row + 1), reason));
        }
        let source = self.source.clone();
        self.changes.push((key.clone(), Change::Rows { mode, rows, source, schema }));
        Ok(())
    }

    fn ranged(&mut self, key: &SeriesKey, range: Range<i64>, change: fn(Range<i64>) -> Change) -> Result<()> {
        self.existing_schema(key)?;
        let range = range.start.max(TIME_MIN)..range.end.min(TIME_MAX + 1);
        if range.start >= range.end {
            return Err(Error::Usage(format!("{key}: the range {}..{} is empty", range.start, range.end)));
        }
        self.changes.push((key.clone(), change(range)));
        Ok(())
    }

    /// The schema as this transaction sees it.
    fn schema(&self, key: &SeriesKey) -> Option<Arc<Schema>> {
        match self.schemas.get(key) {
            Some(own) => own.clone(),
            None => self.store.newest_schema(key),
        }
    }

    fn existing_schema(&self, key: &SeriesKey) -> Result<Arc<Schema>> {
        self.schema(key).ok_or_else(|| Error::NotFound(format!("there is no series {key}; create it first")))
    }
}

/// Changes what a column says of itself; whether that is anything new.
pub(crate) fn altered(
    schema: &mut Schema,
    key: &SeriesKey,
    name: &str,
    nullable: bool,
    description: &str,
) -> Result<bool> {
    let column = schema.columns.iter_mut().find(|column| column.name == name);
    let column = column.ok_or_else(|| Error::NotFound(format!("{key} has no column {}", Quoted(name))))?;
    let new = column.nullable != nullable || column.description != description;
    column.nullable = nullable;
    description.clone_into(&mut column.description);
    Ok(new)
}

/// The text, at most `bytes` long.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Whether two schemas describe the same columns, by name, and the same key. Ids and descriptions may differ.
pub(crate) fn same_schema(a: &Schema, b: &Schema) -> bool {
    let names = |schema: &Schema| -> Option<Vec<String>> {
        schema.dedup().iter().map(|id| schema.column_by_id(*id).map(|column| column.name.clone())).collect()
    };
    std::mem::discriminant(&a.key) == std::mem::discriminant(&b.key)
        && names(a) == names(b)
        && a.columns.len() == b.columns.len()
        && a.columns
            .iter()
            .zip(&b.columns)
            .all(|(x, y)| (x.name.as_str(), x.kind, x.nullable) == (y.name.as_str(), y.kind, y.nullable))
}

/// Checks a name of a snapshot.
pub(crate) fn check_snapshot_name(name: &str) -> Result<()> {
    check_printable("snapshot name", name, NOTE_BYTES)?;
    if name.parse::<u64>().is_ok() {
        return Err(Error::Usage(format!(
            "snapshot name {} would be taken for a version number",
            Quoted(name)
        )));
    }
    Ok(())
}
