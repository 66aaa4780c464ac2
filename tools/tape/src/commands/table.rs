//! `tape table`: reference tables as they were valid and known.

use tapestore::{Rows, SeriesKey, View};
use tapestore_catalog::{Kind, declared};
use tapestore_query::{Moment, in_force, view_known_at};

use super::market::{pick, write};
use super::{Context, as_of, series};
use crate::args::Series;
use crate::args::table::TableAt;
use crate::calendar::TimeStyle;
use crate::fail::{Fail, Result};
use crate::output::rows::cell_text;
use crate::when::{now_ns, parse_time};

/// Runs `tape table`.
pub(crate) fn run(context: &Context, arguments: &TableAt) -> Result<()> {
    let store = context.open_to_read()?;
    let time = |text: &Option<String>| text.as_deref().map(|text| parse_time(text, now_ns())).transpose();
    let (at, known) = (time(&arguments.at)?, time(&arguments.known_at)?);
    let kind = Kind::parse(&arguments.frame);
    let usual = kind.and_then(Kind::instrument);
    let instrument = arguments
        .instrument
        .as_deref()
        .or(usual)
        .ok_or_else(|| Fail::Usage(format!("whose {} are meant? say --instrument", arguments.frame)))?;
    let wanted = Series { instrument: instrument.to_owned(), frame: arguments.frame.clone() };
    let (key, _) = series(&store.view(), &wanted)?;
    let view = match (&arguments.state.as_of, known) {
        (Some(text), _) => store.as_of(&as_of(&store, text)?)?,
        (None, Some(known)) => view_known_at(&store, &key, known)?,
        (None, None) => store.view(),
    };
    let by = match &arguments.by {
        Some(names) => names.clone(),
        None => identity(&view, &key)?,
    };
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    let moment = Moment { valid_ns: at.unwrap_or_else(now_ns), known_ns: known };
    let rows = filtered(in_force(&view, &key, &by, moment)?, &arguments.filters)?;
    write(context, &arguments.form, &pick(rows, arguments.form.columns.as_deref())?)
}

/// What rows of a table have in common of which one is in force: by its kind, or else what tells its rows apart.
fn identity(view: &View, key: &SeriesKey) -> Result<Vec<String>> {
    let schema = view.schema(key)?;
    let known = declared(view)?.of(key).and_then(|table| table.kind).or_else(|| Kind::of_frame(key.frame()));
    let has = |name: &&&str| schema.column(name).is_some();
    let own: Vec<String> = known
        .map(|kind| kind.in_force().iter().filter(has).map(|name| (*name).to_owned()).collect())
        .unwrap_or_default();
    if !own.is_empty() {
        return Ok(own);
    }
    let dedup = schema.dedup().iter().filter_map(|id| schema.column_by_id(*id));
    let names: Vec<String> = dedup.map(|column| column.name.clone()).filter(|name| name != "known").collect();
    if names.is_empty() {
        return Err(Fail::Usage(format!(
            "{key} does not say by what its rows are told apart; say --by COLUMNS"
        )));
    }
    Ok(names)
}

/// The rows whose values are, as text, those asked for.
fn filtered(rows: Rows, filters: &[(String, String)]) -> Result<Rows> {
    let mut kept: Vec<u32> = (0..rows.len() as u32).collect();
    for (name, wanted) in filters {
        let at = rows.columns.iter().position(|column| column.name == *name).ok_or_else(|| {
            let known: Vec<&str> = rows.columns.iter().map(|column| column.name.as_str()).collect();
            Fail::Usage(format!("there is no column {name:?}; the columns are {}", known.join(", ")))
        })?;
        let (column, values) = (&rows.columns[at], &rows.set.columns[at].1);
        kept.retain(|row| {
            cell_text(column.kind, values, *row as usize, TimeStyle::Iso).is_some_and(|text| text == *wanted)
        });
    }
    if kept.len() == rows.len() {
        return Ok(rows);
    }
    Ok(tapestore_query::asof::gather_rows(&rows, &kept))
}
