//! What is to be done so that a store is as declared, and doing it: in one commit, or not at all.
//!
//! # Invariants
//! - P1. After a plan was carried out, planning again gives nothing to do.
//! - P2. Without force nothing is carried out that loses a value, a row or a series with rows.

use std::fmt;

use tapestore::{CommitReport, Error, Operation, Result, Schema, SeriesKey, Store, View};

use crate::declaration::{ColumnDeclaration, Declarations, Table};
use crate::declared::{declare, declared};
use crate::kind::Kind;
use crate::rebuild::{Target, rebuilt, replace};

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Change {
    /// A table becomes known to the store, or is declared anew.
    Declare {
        /// Its name.
        table: String,
        /// Whether the store knows it already, with other words.
        known: bool,
    },
    /// A series begins to exist.
    Create {
        /// The series.
        key: SeriesKey,
        /// Its schema.
        schema: Schema,
    },
    /// A series gets a column, which is null in the rows that exist.
    AddColumn {
        /// The series.
        key: SeriesKey,
        /// The column.
        column: ColumnDeclaration,
    },
    /// A column says something else of itself.
    AlterColumn {
        /// The series.
        key: SeriesKey,
        /// The column as it will be.
        column: ColumnDeclaration,
    },
    /// The rows of a series are written anew under another schema.
    Rebuild {
        /// The series.
        key: SeriesKey,
        /// What it becomes.
        target: Target,
        /// Why.
        reasons: Vec<String>,
        /// What is lost; nothing: it can be done without force.
        losses: Vec<String>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declare { table, known: false } => write!(f, "declare table {table:?}"),
            Self::Declare { table, known: true } => write!(f, "declare table {table:?} anew"),
            Self::Create { key, schema } => write!(f, "create {key} with {} columns", schema.columns.len()),
            Self::AddColumn { key, column } => {
                write!(f, "add column {:?} ({}) to {key}", column.name, column.kind.name())
            }
            Self::AlterColumn { key, column } => {
                let null = if column.nullable { "may be null" } else { "never null" };
                write!(f, "describe column {:?} of {key}: {null}; {:?}", column.name, column.comment)
            }
            Self::Rebuild { key, reasons, losses, .. } => {
                write!(f, "rewrite {key}: {}", reasons.join(", "))?;
                if losses.is_empty() { Ok(()) } else { write!(f, "; LOSES: {}", losses.join(", ")) }
            }
        }
    }
}

impl Change {
    /// `declare`, `create`, `add column`, `alter column` or `rewrite`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Declare { .. } => "declare",
            Self::Create { .. } => "create",
            Self::AddColumn { .. } => "add column",
            Self::AlterColumn { .. } => "alter column",
            Self::Rebuild { .. } => "rewrite",
        }
    }

    /// What it loses.
    pub fn losses(&self) -> &[String] {
        match self {
            Self::Rebuild { losses, .. } => losses,
            _ => &[],
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One thing after the other.
    pub changes: Vec<Change>,
    /// The tables that the store will know: its own, with those of the file in the place of others of their names.
    pub declarations: Declarations,
}

/// Compares a store with tables that it should have. Reads the rows of series whose columns change their type.
///
/// # Errors
/// [`Error::Usage`] if something cannot be done at all; damage.
pub fn plan(view: &View, wanted: &Declarations) -> Result<Plan> {
    let mut plan = Plan { declarations: declared(view)?, ..Plan::default() };
    for table in &wanted.tables {
        let table = Table { line: 0, ..table.clone() };
        let known = plan.declarations.tables.iter().position(|known| known.name == table.name);
        match known {
            Some(at) if plan.declarations.tables[at] == table => continue,
            Some(at) => plan.declarations.tables[at] = table.clone(),
            None => plan.declarations.tables.push(table.clone()),
        }
        plan.changes.push(Change::Declare { table: table.name, known: known.is_some() });
    }
    for table in &wanted.tables {
        for key in table.named() {
            let first = wanted.of(&key).is_some_and(|first| first.name == table.name);
            if first && view.schema(&key).is_err() {
                plan.changes.push(Change::Create { key, schema: table.schema()? });
            }
        }
    }
    for key in view.keys() {
        if let Some(table) = wanted.of(&key) {
            series_changes(view, &key, table, &mut plan.changes)?;
        }
    }
    Ok(plan)
}

/// Columns that a series may have beside those of its table: the optional ones of bars.
pub(crate) fn is_tolerated(table: &Table, name: &str) -> bool {
    table.kind == Some(Kind::Bars) && tapestore::schema::optional_bar_column(name).is_some()
}

fn series_changes(view: &View, key: &SeriesKey, table: &Table, changes: &mut Vec<Change>) -> Result<()> {
    let schema = view.schema(key)?;
    let target = target(table, &schema)?;
    let empty = view.count(key, i64::MIN..i64::MAX)? == 0;
    let (mut simple, mut reasons) = (Vec::new(), Vec::new());
    for wanted in &table.columns {
        let Some(column) = schema.column(&wanted.name) else {
            if wanted.nullable && wanted.default.is_none() {
                simple.push(Change::AddColumn { key: key.clone(), column: wanted.clone() });
            } else {
                reasons.push(format!("add column {:?} with its default", wanted.name));
                if wanted.default.is_none() && !empty {
                    return Err(Error::Usage(format!(
                        "column {:?} of table {:?} may not be null, but {key} has rows already: declare a default for it, or nullable = true",
                        wanted.name, table.name
                    )));
                }
            }
            continue;
        };
        if column.kind != wanted.kind {
            reasons.push(format!(
                "column {:?} from {} to {}",
                wanted.name,
                column.kind.name(),
                wanted.kind.name()
            ));
        } else if column.nullable && !wanted.nullable && !empty && has_nulls(view, key, &wanted.name)? {
            reasons.push(format!("fill column {:?}", wanted.name));
        } else if column.nullable != wanted.nullable || column.description != wanted.comment {
            simple.push(Change::AlterColumn { key: key.clone(), column: wanted.clone() });
        }
    }
    for column in &schema.columns {
        if target.schema.column(&column.name).is_none() {
            reasons.push(format!("drop column {:?}, which is not declared", column.name));
        }
    }
    if key_names(&schema) != key_names(&target.schema) {
        reasons.push("another key".to_owned());
    }
    if reasons.is_empty() {
        changes.extend(simple);
        return Ok(());
    }
    let (_, losses) = rebuilt(view, key, &target)?;
    changes.push(Change::Rebuild { key: key.clone(), target, reasons, losses });
    Ok(())
}

fn has_nulls(view: &View, key: &SeriesKey, name: &str) -> Result<bool> {
    let rows = view.read(key).columns(&[name]).rows()?;
    Ok(rows.set.columns[0].1.nulls.iter().flatten().any(|null| *null))
}

pub(crate) fn key_names(schema: &Schema) -> Option<Vec<&str>> {
    let name = |id: &u16| schema.column_by_id(*id).map(|column| column.name.as_str());
    match schema.key {
        tapestore::KeyPolicy::Unique => None,
        tapestore::KeyPolicy::Sequence { .. } => Some(schema.dedup().iter().filter_map(name).collect()),
    }
}

/// The schema of a table, with what is tolerated of a series beside it.
fn target(table: &Table, known: &Schema) -> Result<Target> {
    let mut schema = table.schema()?;
    for column in &known.columns {
        if schema.column(&column.name).is_none() && is_tolerated(table, &column.name) {
            let id = schema.columns.len() as u16;
            schema.columns.push(tapestore::Column { id, ..column.clone() });
        }
    }
    let default = |column: &ColumnDeclaration| Some((column.name.clone(), column.default.clone()?));
    Ok(Target { schema, defaults: table.columns.iter().filter_map(default).collect() })
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Carries it out, in one commit, which also notes the operation.
    ///
    /// # Errors
    /// [`Error::Usage`] names what would be lost, unless `force`; as [`tapestore::Transaction::commit`].
    pub fn carry_out(&self, store: &Store, force: bool, operation: &Operation) -> Result<CommitReport> {
        let losses: Vec<String> = self
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Rebuild { key, losses, .. } if !losses.is_empty() => {
                    Some(format!("{key}: {}", losses.join(", ")))
                }
                _ => None,
            })
            .collect();
        if !force && !losses.is_empty() {
            return Err(Error::Usage(format!(
                "this would lose data: {}; nothing is changed; force it, or change the file",
                losses.join("; ")
            )));
        }
        let view = store.view();
        let mut transaction = store.begin();
        transaction.message(&format!("schema: {} changes", self.changes.len()));
        for change in &self.changes {
            match change {
                Change::Declare { .. } => {}
                Change::Create { key, schema } => transaction.create_series(key, schema.clone())?,
                Change::AddColumn { key, column } => {
                    transaction.add_column(key, &column.name, column.kind, &column.comment)?;
                }
                Change::AlterColumn { key, column } => {
                    transaction.alter_column(key, &column.name, column.nullable, &column.comment)?;
                }
                Change::Rebuild { key, target, .. } => {
                    let (rows, _) = rebuilt(&view, key, target)?;
                    replace(&mut transaction, &view, key, target, &rows)?;
                }
            }
        }
        if self.changes.iter().any(|change| matches!(change, Change::Declare { .. })) {
            declare(&mut transaction, &view, &self.declarations)?;
        }
        transaction.note(operation)?;
        transaction.commit()
    }
}

/// Forgets a table, and drops its series unless `keep_data`; both in one commit, which also notes the operation. Gives the
/// series that were dropped.
///
/// # Errors
/// [`Error::NotFound`] if no such table is declared; [`Error::Usage`] if a series has rows, unless `force` or `keep_data`.
pub fn drop_table(
    store: &Store,
    name: &str,
    keep_data: bool,
    force: bool,
    operation: &Operation,
) -> Result<Vec<SeriesKey>> {
    let view = store.view();
    let mut known = declared(&view)?;
    if known.table(name).is_none() {
        let names: Vec<&str> = known.tables.iter().map(|table| table.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Error::NotFound(format!("no table {name:?} is declared; declared are {names}")));
    }
    let covered = |key: &SeriesKey| known.of(key).is_some_and(|table| table.name == name);
    let keys: Vec<SeriesKey> =
        if keep_data { Vec::new() } else { view.keys().into_iter().filter(covered).collect() };
    for key in &keys {
        let rows = view.count(key, i64::MIN..i64::MAX)?;
        if rows > 0 && !force {
            return Err(Error::Usage(format!(
                "{key} has {rows} rows, which would be dropped with table {name:?}; force it, or keep the data"
            )));
        }
    }
    known.tables.retain(|table| table.name != name);
    let mut transaction = store.begin();
    transaction.message(&format!("schema: drop {name}"));
    for key in &keys {
        transaction.drop_series(key)?;
    }
    declare(&mut transaction, &view, &known)?;
    transaction.note(operation)?;
    transaction.commit()?;
    Ok(keys)
}
