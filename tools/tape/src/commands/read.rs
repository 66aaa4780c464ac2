//! `tape head`, `tail`, `show`, `export` and `latest`: rows out of the store.

use std::io;
use std::ops::ControlFlow;

use tapestore::{Rows, SeriesInfo, SeriesKey, Store, View};
use tapestore_format::rows::{ColumnValues, RowSet};
use tapestore_format::schema::Column;

use super::{Context, range, series};
use crate::args::{Ends, Export, Form, Latest, Show};
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::rows::{RowWriter, Style};
use crate::output::{Out, note};

/// Rows that `show` puts in a table unless told otherwise.
const TABLE_ROWS: u64 = 100;

/// Which end of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The oldest rows.
    First,
    /// The newest rows.
    Last,
}

pub(super) fn style(context: &Context, form: &Form) -> Style {
    match (context.json, form.csv) {
        (true, _) => Style::Json,
        (_, true) => Style::Csv,
        _ => Style::Table,
    }
}

/// The columns asked for, in the order asked for; all by default.
pub(super) fn columns(info: &SeriesInfo, form: &Form) -> Result<Vec<Column>> {
    let Some(names) = &form.columns else { return Ok(info.schema.columns.clone()) };
    let find = |name: &String| {
        info.schema.column(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = info.schema.columns.iter().map(|column| column.name.as_str()).collect();
            Fail::Usage(format!("{} has no column {name:?}; its columns are {}", info.key, known.join(", ")))
        })
    };
    names.iter().filter(|name| *name != "time").map(find).collect()
}

pub(super) fn source_name(store: &Store) -> impl Fn(u16) -> String + '_ {
    |id| store.source_name(id).unwrap_or_else(|| id.to_string())
}

/// Runs `tape head` and `tape tail`.
pub(crate) fn ends(context: &Context, arguments: &Ends, end: End) -> Result<()> {
    let (store, view) = context.view(&arguments.selection.state)?;
    let (key, info) = series(&view, &arguments.series)?;
    let columns = columns(&info, &arguments.selection.form)?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut read = view.read(&key).range(range(&arguments.selection.span)?).columns(&names);
    if arguments.selection.form.provenance {
        read = read.provenance();
    }
    let rows = match end {
        End::First => read.first(arguments.rows)?,
        End::Last => read.last(arguments.rows)?,
    };
    let mut out = Out::stdout();
    let mut writer = RowWriter::new(
        style(context, &arguments.selection.form),
        arguments.selection.form.time.into(),
        arguments.selection.form.provenance,
    );
    writer.write(&columns, &rows.set, 0..rows.len(), &source_name(&store), &mut out)?;
    writer.finish(&mut out)?;
    out.finish()
}

/// Runs `tape show`.
pub(crate) fn show(context: &Context, arguments: &Show) -> Result<()> {
    let (store, view) = context.view(&arguments.selection.state)?;
    let (key, info) = series(&view, &arguments.series)?;
    let style = style(context, &arguments.selection.form);
    let limit = match (arguments.limit, style) {
        (Some(limit), _) => limit,
        (None, Style::Table) => TABLE_ROWS,
        (None, _) => u64::MAX,
    };
    let range = range(&arguments.selection.span)?;
    let mut out = Out::stdout();
    let stream =
        Stream { store: &store, view: &view, key: &key, info: &info, form: &arguments.selection.form, style };
    let written = stream.write(range.clone(), limit, &mut out)?;
    out.finish()?;
    if written == limit && arguments.limit.is_none() {
        let all = view.count(&key, range)?;
        if all > written {
            note(
                context.quiet,
                &format!("tape: {} of {} rows; more with --limit", grouped(written), grouped(all)),
            );
        }
    }
    Ok(())
}

/// Runs `tape export`.
pub(crate) fn export(context: &Context, arguments: &Export) -> Result<()> {
    let (store, view) = context.view(&arguments.selection.state)?;
    let (key, info) = series(&view, &arguments.series)?;
    if context.json && arguments.selection.form.csv {
        return Err(Fail::Usage("--csv or --json, not both".into()));
    }
    let style = if context.json { Style::Json } else { Style::Csv };
    let range = range(&arguments.selection.span)?;
    let mut out = Out::create(&arguments.output, arguments.force)?;
    let stream =
        Stream { store: &store, view: &view, key: &key, info: &info, form: &arguments.selection.form, style };
    let written = stream.write(range, arguments.limit.unwrap_or(u64::MAX), &mut out)?;
    out.finish()?;
    if arguments.output.as_os_str() != "-" {
        let path = arguments.output.display();
        note(context.quiet, &format!("{key}: {} rows written to {path}", grouped(written)));
    }
    Ok(())
}

/// Rows from the store to a writer, a piece at a time.
struct Stream<'a> {
    store: &'a Store,
    view: &'a View,
    key: &'a SeriesKey,
    info: &'a SeriesInfo,
    form: &'a Form,
    style: Style,
}

impl Stream<'_> {
    /// Returns the number of rows written, at most `limit`.
    fn write(&self, range: std::ops::Range<i64>, limit: u64, out: &mut Out) -> Result<u64> {
        let columns = columns(self.info, self.form)?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let mut read = self.view.read(self.key).range(range).columns(&names);
        if self.form.provenance {
            read = read.provenance();
        }
        let mut writer = RowWriter::new(self.style, self.form.time.into(), self.form.provenance);
        writer.begin(&columns, out)?;
        let sources = source_name(self.store);
        let mut written = 0;
        let mut failure: Option<io::Error> = None;
        if limit > 0 {
            read.visit(|rows| {
                let count = (rows.len() as u64).min(limit - written);
                if let Err(error) = writer.write(&columns, &rows.set, 0..count as usize, &sources, out) {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
                written += count;
                if written == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        if let Some(error) = failure {
            return Err(error.into());
        }
        writer.finish(out)?;
        Ok(written)
    }
}

/// Runs `tape latest`.
pub(crate) fn latest(context: &Context, arguments: &Latest) -> Result<()> {
    let (store, view) = context.view(&arguments.state)?;
    let frame = arguments.frame.as_deref().map(|frame| {
        // Spellings such as 1min are the frame they mean.
        SeriesKey::new("x", frame).map(|key| key.frame().to_string())
    });
    let frame = frame.transpose()?;
    let keys: Vec<SeriesKey> = view
        .keys()
        .into_iter()
        .filter(|key| {
            arguments.instrument.as_ref().map_or(!key.is_own(), |wanted| wanted == key.instrument())
        })
        .filter(|key| frame.as_ref().is_none_or(|wanted| *wanted == key.frame().to_string()))
        .collect();
    if keys.is_empty() && arguments.instrument.is_some() {
        let what = arguments.instrument.as_deref().unwrap_or_default();
        return Err(Fail::Usage(format!("there is no series of {what}; tape ls lists what is there")));
    }
    let mut found = Vec::new();
    for key in keys {
        if let Some(rows) = view.latest(&key)? {
            found.push((key, rows));
        }
    }
    let style = style(context, &arguments.form);
    let union = union(&found, &arguments.form);
    let mut out = Out::stdout();
    let mut writer = RowWriter::new(style, arguments.form.time.into(), arguments.form.provenance);
    for (key, rows) in &found {
        writer.set_series(key.instrument(), &key.frame().to_string());
        let (columns, set) = match style {
            Style::Json => only(rows, arguments.form.columns.as_deref()),
            Style::Csv | Style::Table => (union.clone(), spread(rows, &union)),
        };
        writer.write(&columns, &set, 0..rows.len(), &source_name(&store), &mut out)?;
    }
    writer.finish(&mut out)?;
    out.finish()
}

/// The columns of all rows, by name and type, in the order they first appear.
fn union(found: &[(SeriesKey, Rows)], form: &Form) -> Vec<Column> {
    let mut union: Vec<Column> = Vec::new();
    for column in found.iter().flat_map(|(_, rows)| &rows.columns) {
        let wanted = form.columns.as_ref().is_none_or(|names| names.contains(&column.name));
        if wanted && !union.iter().any(|known| known.name == column.name && known.kind == column.kind) {
            union.push(column.clone());
        }
    }
    union
}

/// The rows under the columns of a union; null where they lack one.
pub(super) fn spread(rows: &Rows, union: &[Column]) -> RowSet {
    let own = |wanted: &Column| {
        rows.columns.iter().position(|column| column.name == wanted.name && column.kind == wanted.kind)
    };
    let columns = union
        .iter()
        .map(|wanted| {
            if let Some(index) = own(wanted) {
                rows.set.columns[index].clone()
            } else {
                let mut nulls = ColumnValues::empty(wanted.kind);
                nulls.push_nulls(rows.len());
                (wanted.id, nulls)
            }
        })
        .collect();
    RowSet { columns, ..rows.set.clone() }
}

/// The rows with only the named columns.
fn only(rows: &Rows, names: Option<&[String]>) -> (Vec<Column>, RowSet) {
    let kept: Vec<Column> = rows
        .columns
        .iter()
        .filter(|column| names.is_none_or(|names| names.contains(&column.name)))
        .cloned()
        .collect();
    let set = spread(rows, &kept);
    (kept, set)
}
