//! `tape aggregate`: what columns add up to, from zone maps.

use std::io::Write;

use super::{Context, range, series};
use crate::args::Aggregate;
use crate::fail::Result;
use crate::number::{grouped, push_f64};
use crate::output::Out;
use crate::output::json::Object;
use crate::output::table::{Side, Table};

/// Runs `tape aggregate`.
pub(crate) fn run(context: &Context, arguments: &Aggregate) -> Result<()> {
    let (_store, view) = context.view(&arguments.state)?;
    let (key, _) = series(&view, &arguments.series)?;
    let mut read = view.read(&key).range(range(&arguments.span)?);
    if let Some(names) = &arguments.columns {
        read = read.columns(&names.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("column", Side::Left),
        ("rows", Side::Right),
        ("values", Side::Right),
        ("least", Side::Right),
        ("greatest", Side::Right),
        ("sum", Side::Right),
    ]);
    for found in read.aggregate()? {
        if context.json {
            let mut object = Object::new()
                .text("column", &found.column.name)
                .count("rows", found.rows)
                .count("count", found.count)
                .count("nulls", found.nulls)
                .count("nans", found.nans);
            if let (Some(min), Some(max)) = (found.min, found.max) {
                object = object.float("min", min).float("max", max);
            }
            out.write_all(&object.float("sum", found.sum).line())?;
            continue;
        }
        let number = |value: Option<f64>| {
            let mut text = Vec::new();
            match value {
                Some(value) => push_f64(&mut text, value),
                None => text.push(b'-'),
            }
            String::from_utf8_lossy(&text).into_owned()
        };
        table.row([
            found.column.name.clone(),
            grouped(found.rows),
            grouped(found.count),
            number(found.min),
            number(found.max),
            number(Some(found.sum)),
        ]);
    }
    if !context.json {
        table.write(&mut out)?;
    }
    out.finish()
}
