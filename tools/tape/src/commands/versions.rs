//! `tape log`, `snapshot`, `rollback`, `delete` and `prune`: the store's past.

use std::io::Write;

use tapestore::{CommitKind, Operation};

use super::operations::{self, note_done, watched};
use super::{Context, as_of, is_whole, range, series};
use crate::args::{Delete, Log, Prune, Rollback, Snapshot};
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::Out;
use crate::output::json::Object;
use crate::output::note;
use crate::output::table::{Side, Table};
use crate::when::now_ns;

/// A wall-clock time for people: date and whole seconds, so that all are as long.
pub(super) fn clock(time_ns: i64) -> String {
    const DAY_NS: i64 = 86_400_000_000_000;
    let of_day = time_ns.rem_euclid(DAY_NS) / 1_000_000_000;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{} {hour:02}:{minute:02}:{second:02}", brief(time_ns - time_ns.rem_euclid(DAY_NS)))
}

/// Runs `tape log`.
pub(crate) fn log(context: &Context, arguments: &Log) -> Result<()> {
    if arguments.operations {
        return operations::log(context, arguments);
    }
    let store = context.open_to_read()?;
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("version", Side::Right),
        ("time", Side::Left),
        ("series", Side::Right),
        ("added", Side::Right),
        ("updated", Side::Right),
        ("deleted", Side::Right),
        ("message", Side::Left),
    ]);
    for commit in store.log(arguments.limit)? {
        let rollback = matches!(commit.kind, CommitKind::Rollback);
        if context.json {
            let object = Object::new()
                .count("version", commit.version)
                .int("time", commit.time_ns)
                .text("kind", if rollback { "rollback" } else { "write" })
                .count("series", commit.series)
                .count("added", commit.added)
                .count("updated", commit.updated)
                .count("deleted", commit.deleted)
                .text("message", &commit.message);
            out.write_all(&object.line())?;
        } else {
            let message = match (rollback, commit.message.as_str()) {
                (true, "") => "rollback".to_owned(),
                (_, message) => message.to_owned(),
            };
            table.row([
                commit.version.to_string(),
                clock(commit.time_ns),
                grouped(commit.series),
                grouped(commit.added),
                grouped(commit.updated),
                grouped(commit.deleted),
                message,
            ]);
        }
    }
    if !table.is_empty() {
        table.write(&mut out)?;
    }
    out.finish()
}

/// Runs `tape snapshot`.
pub(crate) fn snapshot(context: &Context, arguments: &Snapshot) -> Result<()> {
    let mut out = Out::stdout();
    match arguments {
        Snapshot::Create { name, at } => {
            watched(context, "snapshot create", name, |operation| {
                let store = context.open_to_write()?;
                let at = at.as_deref().map(|text| as_of(&store, text)).transpose()?;
                let snapshot = store.create_snapshot(name, at.as_ref())?;
                note_done(&store, operation, &format!("version {}", snapshot.version))?;
                store.close()?;
                if context.json {
                    let object = Object::new()
                        .text("name", &snapshot.name)
                        .count("version", snapshot.version)
                        .int("created", snapshot.created_ns);
                    out.write_all(&object.line())?;
                } else {
                    writeln!(out, "snapshot {:?} is version {}", snapshot.name, snapshot.version)?;
                }
                Ok(())
            })?;
        }
        Snapshot::Ls => {
            let store = context.open_to_read()?;
            let mut table =
                Table::new([("snapshot", Side::Left), ("version", Side::Right), ("created", Side::Left)]);
            for snapshot in store.snapshots() {
                if context.json {
                    let object = Object::new()
                        .text("name", &snapshot.name)
                        .count("version", snapshot.version)
                        .int("created", snapshot.created_ns);
                    out.write_all(&object.line())?;
                } else {
                    table.row([snapshot.name, snapshot.version.to_string(), clock(snapshot.created_ns)]);
                }
            }
            if !table.is_empty() {
                table.write(&mut out)?;
            }
        }
        Snapshot::Drop { name } => {
            watched(context, "snapshot drop", name, |operation| {
                let store = context.open_to_write()?;
                store.drop_snapshot(name)?;
                note_done(&store, operation, "")?;
                Ok(store.close()?)
            })?;
            if !context.json {
                writeln!(out, "snapshot {name:?} is forgotten")?;
            }
        }
    }
    out.finish()
}

/// Runs `tape rollback`.
pub(crate) fn rollback(context: &Context, arguments: &Rollback) -> Result<()> {
    watched(context, "rollback", &arguments.to, |operation| roll_back(context, arguments, operation))
}

fn roll_back(context: &Context, arguments: &Rollback, operation: &Operation) -> Result<()> {
    let store = context.open_to_write()?;
    let to = as_of(&store, &arguments.to)?;
    let report = store.rollback(&to)?;
    let (added, updated, deleted) = (report.added, report.updated, report.deleted);
    let detail = format!(
        "version {}: {} rows restored, {} set back, {} removed",
        report.version,
        grouped(added),
        grouped(updated),
        grouped(deleted)
    );
    note_done(&store, operation, &detail)?;
    store.close()?;
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new()
            .count("version", report.version)
            .flag("changed", report.changed)
            .count("added", report.added)
            .count("updated", report.updated)
            .count("deleted", report.deleted);
        out.write_all(&object.line())?;
    } else if report.changed {
        writeln!(
            out,
            "version {} has the content of {}: {} rows restored, {} set back, {} removed; nothing is lost, roll back again to undo",
            report.version,
            arguments.to,
            grouped(report.added),
            grouped(report.updated),
            grouped(report.deleted)
        )?;
    } else {
        writeln!(out, "nothing to do: the store already has the content of {}", arguments.to)?;
    }
    out.finish()
}

/// Runs `tape delete`.
pub(crate) fn delete(context: &Context, arguments: &Delete) -> Result<()> {
    if !arguments.all && is_whole(&arguments.span) {
        return Err(Fail::Usage("which rows? give --from, --to or both, or --all for the series".to_owned()));
    }
    let target = format!("{} {}", arguments.series.instrument, arguments.series.frame);
    watched(context, "delete", &target, |operation| delete_rows(context, arguments, operation))
}

fn delete_rows(context: &Context, arguments: &Delete, operation: &Operation) -> Result<()> {
    let span = range(&arguments.span)?;
    let store = context.open_to_write()?;
    let view = store.view();
    let (key, _) = series(&view, &arguments.series)?;
    let rows = view.count(&key, span.clone())?;
    let mut transaction = store.begin();
    if arguments.all {
        transaction.drop_series(&key)?;
    } else {
        transaction.delete_range(&key, span)?;
    }
    transaction.note(&operation.done(now_ns(), &format!("{} rows", grouped(rows))))?;
    let report = transaction.commit()?;
    store.close()?;
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new().count("version", report.version).count("deleted", rows);
        out.write_all(&object.line())?;
    } else if rows > 0 || arguments.all {
        writeln!(
            out,
            "{} rows of {key} deleted; version {}; older versions keep them until tape prune",
            grouped(rows),
            report.version
        )?;
    } else {
        writeln!(out, "nothing to do: {key} has no row there")?;
    }
    out.finish()
}

/// Runs `tape prune`.
pub(crate) fn prune(context: &Context, arguments: &Prune) -> Result<()> {
    watched(context, "prune", &arguments.keep_from, |operation| drop_history(context, arguments, operation))
}

fn drop_history(context: &Context, arguments: &Prune, operation: &Operation) -> Result<()> {
    let store = context.open_to_write()?;
    let keep = as_of(&store, &arguments.keep_from)?;
    let report = store.prune(&keep)?;
    let dropped = grouped(report.history_rows_dropped);
    note_done(&store, operation, &format!("{dropped} rows of history before version {}", report.floor))?;
    store.close()?;
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new()
            .count("floor", report.floor)
            .count("history_rows_dropped", report.history_rows_dropped)
            .count("bytes_before", report.bytes_before)
            .count("bytes_after", report.bytes_after)
            .flag("unfinished", report.unfinished);
        out.write_all(&object.line())?;
    } else {
        if report.unfinished {
            note(context.quiet, "the disk is too full to rewrite everything; prune again with more space");
        }
        writeln!(
            out,
            "versions from {} on are kept, and snapshots; {} rows of history dropped, {} → {}",
            report.floor,
            grouped(report.history_rows_dropped),
            bytes(report.bytes_before),
            bytes(report.bytes_after)
        )?;
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn times_are_as_long_at_whole_minutes_and_at_midnight() {
        assert_eq!(clock(0), "1970-01-01 00:00:00");
        assert_eq!(clock(1_709_251_260_999_999_999), "2024-03-01 00:01:00");
        assert_eq!(clock(-1), "1969-12-31 23:59:59");
    }
}
