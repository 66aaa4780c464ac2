//! `tape retain`: rows that are older than the declared tables keep them, and the bars that stay.

use std::io::Write;

use tapestore::{SeriesKey, View};
use tapestore_catalog::{Declarations, declared, span};
use tapestore_query::Policy;
use tapestore_query::retain::{Applied, SeriesPlan, apply, plan};

use super::Context;
use super::list::matches;
use super::operations::watched;
use crate::args::live::Retain;
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::json::Object;
use crate::output::{Out, plain};
use crate::when::now_ns;

/// Runs `tape retain`.
pub(crate) fn run(context: &Context, arguments: &Retain) -> Result<()> {
    if arguments.apply {
        let target = arguments.pattern.as_deref().unwrap_or_default();
        return watched(context, "retain", target, |_| carry_out(context, arguments));
    }
    let store = context.open_to_read()?;
    let declared = policies(&store.view())?;
    let plan = plan(&store, &policy(&declared, arguments), now_ns())?;
    let mut out = Out::stdout();
    for series in &plan.series {
        if context.json {
            out.write_all(&object(series).line())?;
        } else {
            describe(&mut out, series, false)?;
        }
    }
    if !context.json {
        let rows = plan.series.iter().map(|series| series.rows).sum();
        let bars = plan.series.iter().flat_map(|series| &series.rollups).map(|rollup| rollup.missing).sum();
        writeln!(
            out,
            "{} rows would be deleted, {} bars made before; nothing is changed without --apply",
            grouped(rows),
            grouped(bars)
        )?;
    }
    out.finish()?;
    end(plan.series.iter())
}

fn carry_out(context: &Context, arguments: &Retain) -> Result<()> {
    let store = context.open_to_write()?;
    let declared = policies(&store.view())?;
    let applied = apply(&store, &policy(&declared, arguments), now_ns(), arguments.late)?;
    let version = store.view().version();
    store.close()?;
    let mut out = Out::stdout();
    for done in &applied {
        if context.json {
            let object = object(&done.plan)
                .count("bars_written", done.bars_written)
                .count("rows_deleted", done.rows_deleted)
                .count("version", done.version);
            out.write_all(&object.line())?;
        } else {
            report(&mut out, done)?;
        }
    }
    if !context.json && applied.iter().any(|done| done.rows_deleted > 0) {
        writeln!(
            out,
            "older versions still show the rows; their space is freed by: tape prune --keep-from {version}"
        )?;
    }
    out.finish()?;
    end(applied.iter().map(|done| &done.plan))
}

/// The tables that say how long rows are kept.
fn policies(view: &View) -> Result<Declarations> {
    let declared = declared(view)?;
    if declared.tables.iter().all(|table| table.retention.is_none()) {
        return Err(Fail::Usage(
            "no table of the store says how long its rows are kept; write retention = { keep = \"30d\" } in its \
             schema file, and tape schema apply"
                .to_owned(),
        ));
    }
    Ok(declared)
}

fn policy<'a>(
    declared: &'a Declarations,
    arguments: &'a Retain,
) -> impl Fn(&SeriesKey) -> Option<Policy> + 'a {
    move |key| {
        let wanted = arguments.pattern.as_ref().is_none_or(|pattern| matches(key.instrument(), pattern));
        let retention = declared.of(key).filter(|_| wanted)?.retention.as_ref()?;
        Some(Policy { keep_ns: retention.keep_ns, rollup: retention.rollup.clone() })
    }
}

/// What stands in the way of a series deserves attention.
fn end<'a>(mut plans: impl Iterator<Item = &'a SeriesPlan>) -> Result<()> {
    match plans.find_map(|plan| Some((plan, plan.blocked.as_ref()?))) {
        None => Ok(()),
        Some((plan, reason)) => Err(Fail::Findings(format!("{}: no rows are deleted: {reason}", plan.key))),
    }
}

/// The policy, as one would say it.
fn rule(policy: &Policy) -> String {
    match policy.keep_ns {
        Some(keep) => format!("keeps {}", span::show(keep)),
        None => "keeps everything".to_owned(),
    }
}

fn describe(out: &mut Out, series: &SeriesPlan, done: bool) -> Result<()> {
    let (key, rule) = (plain(&series.key.to_string()), rule(&series.policy));
    if !done {
        match series.span {
            Some((first, last)) => {
                let rows = grouped(series.rows);
                writeln!(out, "{key} {rule}: {rows} rows go, from {} to {}", brief(first), brief(last))?;
            }
            None => writeln!(out, "{key} {rule}: no row goes")?,
        }
        for rollup in &series.rollups {
            let (there, missing) = (grouped(rollup.bars), grouped(rollup.missing));
            let source = rollup.source.frame();
            writeln!(
                out,
                "  {} from {source}: {missing} bars to make, {there} are there",
                rollup.target.frame()
            )?;
        }
    }
    for name in &series.snapshots {
        let name = plain(name);
        writeln!(
            out,
            "  snapshot {name:?} shows rows that go: they take space until tape snapshot drop {name}"
        )?;
    }
    if series.late_rows > 0 {
        let rows = grouped(series.late_rows);
        writeln!(
            out,
            "  {rows} rows came after the bars of their time were made, and stay; --late deletes them"
        )?;
    }
    if let Some(reason) = &series.blocked {
        writeln!(out, "  no rows are deleted: {}", plain(reason))?;
    }
    Ok(())
}

fn report(out: &mut Out, done: &Applied) -> Result<()> {
    let (rows, bars) = (grouped(done.rows_deleted), grouped(done.bars_written));
    let key = plain(&done.plan.key.to_string());
    writeln!(out, "{key}: {bars} bars written, {rows} rows deleted; version {}", done.version)?;
    let left =
        SeriesPlan { late_rows: done.plan.late_rows.saturating_sub(done.rows_deleted), ..done.plan.clone() };
    describe(out, &left, true)
}

fn object(series: &SeriesPlan) -> Object {
    let rollups = series.rollups.iter().map(|rollup| {
        Object::new()
            .text("frame", &rollup.target.frame().to_string())
            .text("source", &rollup.source.frame().to_string())
            .count("bars", rollup.bars)
            .count("missing", rollup.missing)
    });
    let snapshots = series.snapshots.iter().map(|name| Object::new().text("name", name));
    Object::new()
        .text("instrument", series.key.instrument())
        .text("frame", &series.key.frame().to_string())
        .maybe_int("keep_ns", series.policy.keep_ns)
        .count("rows", series.rows)
        .maybe_int("first", series.span.map(|span| span.0))
        .maybe_int("last", series.span.map(|span| span.1))
        .objects("rollups", rollups)
        .objects("snapshots", snapshots)
        .count("late_rows", series.late_rows)
        .text("blocked", series.blocked.as_deref().unwrap_or_default())
}
