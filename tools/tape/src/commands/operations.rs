//! The log of operations: commands that change a store are noted in it, and `tape log --operations` shows it.

use std::io::Write;

use tapestore::{Operation, Outcome, Store};

use super::{Context, versions::clock, write_options};
use crate::args::Log;
use crate::fail::{Fail, Result};
use crate::output::json::Object;
use crate::output::rows::push_csv_text;
use crate::output::table::{Side, Table};
use crate::output::{Out, plain};
use crate::when::{now_ns, parse_time};

/// Runs a command that changes the store. If it fails, the store's log tells so, where the store can be written; that it
/// ended well, the command itself notes, in the same commit where it can.
pub(crate) fn watched<T>(
    context: &Context,
    kind: &str,
    target: &str,
    run: impl FnOnce(&Operation) -> Result<T>,
) -> Result<T> {
    let operation = Operation::begin(now_ns(), kind, target);
    let outcome = run(&operation);
    match &outcome {
        Err(Fail::Quiet) | Ok(_) => {}
        Err(fail) => {
            let directory = context.store.as_deref().filter(|directory| directory.is_dir());
            if let Some(Ok(store)) = directory.map(|directory| Store::open(directory, write_options())) {
                let _ = store.note(&operation.failed(now_ns(), &fail.to_string()));
                let _ = store.close();
            }
        }
    }
    outcome
}

/// Notes that an operation ended well, in a commit of its own, if the disk has space for that.
pub(crate) fn note_done(store: &Store, operation: &Operation, detail: &str) -> Result<()> {
    match store.note(&operation.done(now_ns(), detail)) {
        // What was done counts more than the note of it: pruning works on a full disk.
        Err(error) if error.is_full_disk() => Ok(()),
        noted => noted.map(|_| ()).map_err(Fail::from),
    }
}

/// Runs `tape log --operations`.
pub(crate) fn log(context: &Context, arguments: &Log) -> Result<()> {
    let store = context.open_to_read()?;
    let since = arguments.since.as_deref().map(|text| parse_time(text, now_ns())).transpose()?;
    let mut found = store.view().operations(since.unwrap_or(i64::MIN)..i64::MAX)?;
    found.retain(|operation| {
        arguments
            .kind
            .as_ref()
            .is_none_or(|kind| operation.kind == *kind || operation.kind.starts_with(&format!("{kind} ")))
            && (!arguments.failed || operation.outcome == Outcome::Failed)
    });
    found.reverse();
    found.truncate(arguments.limit);
    let mut out = Out::stdout();
    match (context.json, arguments.csv) {
        (true, _) => write_json(&found, &mut out)?,
        (_, true) => write_csv(&found, &mut out)?,
        _ => write_table(&found, &mut out)?,
    }
    out.finish()
}

fn write_json(found: &[Operation], out: &mut Out) -> Result<()> {
    for operation in found {
        let object = Object::new()
            .int("time", operation.time_ns)
            .text("operation", &operation.kind)
            .text("target", &operation.target)
            .text("outcome", operation.outcome.name())
            .text("detail", &operation.detail)
            .text("error", &operation.error)
            .int("duration_ns", operation.duration_ns)
            .count("version", operation.version);
        out.write_all(&object.line())?;
    }
    Ok(())
}

fn write_csv(found: &[Operation], out: &mut Out) -> Result<()> {
    out.write_all(b"time,operation,target,outcome,detail,error,duration_ns,version\n")?;
    for operation in found {
        let mut line = operation.time_ns.to_string().into_bytes();
        for text in [
            &operation.kind,
            &operation.target,
            operation.outcome.name(),
            &operation.detail,
            &operation.error,
        ] {
            line.push(b',');
            if !text.is_empty() {
                push_csv_text(&mut line, text);
            }
        }
        line.extend(format!(",{},{}\n", operation.duration_ns, operation.version).into_bytes());
        out.write_all(&line)?;
    }
    Ok(())
}

fn write_table(found: &[Operation], out: &mut Out) -> Result<()> {
    let mut table = Table::new([
        ("time", Side::Left),
        ("operation", Side::Left),
        ("target", Side::Left),
        ("outcome", Side::Left),
        ("took", Side::Right),
        ("version", Side::Right),
        ("what came of it", Side::Left),
    ]);
    for operation in found {
        let what = if operation.error.is_empty() { &operation.detail } else { &operation.error };
        table.row([
            clock(operation.time_ns),
            operation.kind.clone(),
            operation.target.clone(),
            operation.outcome.name().to_owned(),
            format!("{:.2} s", operation.duration_ns as f64 / 1e9),
            operation.version.to_string(),
            plain(what),
        ]);
    }
    if !table.is_empty() {
        table.write(out)?;
    }
    Ok(())
}
