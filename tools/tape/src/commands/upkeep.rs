//! `tape init`, `compact`, `verify`, `backup` and `completions`.

use std::io::Write;

use clap::CommandFactory;
use tapestore::{Operation, Store};
use tapestore_alert::measure::VERIFY;
use tapestore_report::overview::BACKUP;

use super::operations::{note_done, watched};
use super::{Context, write_options};
use crate::args::{Backup, Cli, Compact, Completions, Verify};
use crate::fail::{Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::json::Object;
use crate::output::{Out, plain, shown};
use crate::when::now_ns;

/// Runs `tape init`.
pub(crate) fn init(context: &Context) -> Result<()> {
    let directory = context.directory()?;
    let store = Store::create(directory, write_options())?;
    let id = store.id();
    store.close()?;
    let mut out = Out::stdout();
    if context.json {
        out.write_all(&Object::new().text("store", &directory.display().to_string()).text("id", &id).line())?;
    } else {
        writeln!(out, "an empty store at {}", shown(directory))?;
    }
    out.finish()
}

/// Runs `tape compact`.
pub(crate) fn compact(context: &Context, arguments: &Compact) -> Result<()> {
    watched(context, "compact", "", |operation| compact_all(context, arguments, operation))
}

fn compact_all(context: &Context, arguments: &Compact, operation: &Operation) -> Result<()> {
    let store = context.open_to_compact(arguments.aging.cold_after)?;
    store.seal()?;
    let report = match arguments.tier {
        None => store.compact()?,
        Some(tier) => store.compact_to(tier.tier())?,
    };
    let segments = (report.segments_before, report.segments_after);
    let detail = format!("{} → {} segments, {} rows rewritten", segments.0, segments.1, grouped(report.rows));
    note_done(&store, operation, &detail)?;
    store.close()?;
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new()
            .count("segments_before", report.segments_before)
            .count("segments_after", report.segments_after)
            .count("bytes_before", report.bytes_before)
            .count("bytes_after", report.bytes_after)
            .count("rows", report.rows);
        out.write_all(&object.line())?;
    } else {
        writeln!(
            out,
            "{} → {} segments, {} → {}, {} rows rewritten",
            grouped(report.segments_before),
            grouped(report.segments_after),
            bytes(report.bytes_before),
            bytes(report.bytes_after),
            grouped(report.rows)
        )?;
    }
    out.finish()
}

/// Runs `tape verify`. It reads the files themselves, so a store that no longer opens can be checked as well.
pub(crate) fn verify(context: &Context, arguments: &Verify) -> Result<()> {
    let directory = context.directory()?;
    if !directory.is_dir() {
        return Err(Fail::Usage(format!("there is no store at {}; check --store", directory.display())));
    }
    let operation = Operation::begin(now_ns(), VERIFY, if arguments.deep { "deep" } else { "" });
    let findings = tapestore::verify_directory(directory, arguments.deep)?;
    let mut out = Out::stdout();
    for finding in &findings {
        if context.json {
            let mut object = Object::new()
                .text("file", &finding.file)
                .count("offset", finding.offset)
                .text("rule", &finding.rule)
                .text("detail", &finding.detail)
                .flag("damage", finding.damage);
            if let Some(series) = &finding.series {
                object = object.text("series", series);
            }
            out.write_all(&object.line())?;
        } else {
            let series = finding.series.as_ref().map(|series| format!(" ({series})")).unwrap_or_default();
            let series = plain(&series);
            let class = if finding.damage { "damage" } else { "note" };
            writeln!(
                out,
                "{class}: {} at offset {}: rule {}: {}{series}",
                plain(&finding.file),
                finding.offset,
                finding.rule,
                plain(&finding.detail)
            )?;
        }
    }
    if findings.is_empty() && !context.json {
        let how = if arguments.deep { "every byte was read and decoded" } else { "structures were checked" };
        writeln!(out, "clean: {how}")?;
    }
    out.finish()?;
    let damaged = findings.iter().filter(|finding| finding.damage).count();
    if arguments.note {
        let operation = match damaged {
            0 => operation.done(now_ns(), "clean"),
            count => operation.failed(now_ns(), &format!("{count} findings of damage")),
        };
        // A store that is damaged perhaps takes no note: the damage is what counts.
        match noted(context, &operation) {
            Err(fail) if damaged == 0 => return Err(fail),
            _ => {}
        }
    }
    match (damaged, findings.len()) {
        (_, 0) => Ok(()),
        (0, count) => Err(Fail::Findings(format!(
            "{count} findings in {}, no damage; the next writer mends them",
            directory.display()
        ))),
        (damaged, _) => Err(Fail::Corrupt(format!(
            "{damaged} findings of damage in {}; restore the files named from a backup",
            directory.display()
        ))),
    }
}

/// Writes an operation to the store's log.
fn noted(context: &Context, operation: &Operation) -> Result<()> {
    let store = context.open_to_write()?;
    store.note(operation)?;
    Ok(store.close()?)
}

/// Runs `tape backup`.
pub(crate) fn backup(context: &Context, arguments: &Backup) -> Result<()> {
    let store = context.open_to_read()?;
    let operation = Operation::begin(now_ns(), BACKUP, &arguments.directory.display().to_string());
    let report = store.backup(&arguments.directory)?;
    drop(store);
    if arguments.note {
        let detail = format!("version {}, {} files copied", report.version, grouped(report.files_copied));
        noted(context, &operation.done(now_ns(), &detail))?;
    }
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new()
            .count("version", report.version)
            .count("files_copied", report.files_copied)
            .count("bytes_copied", report.bytes_copied)
            .count("files_kept", report.files_kept);
        out.write_all(&object.line())?;
    } else {
        writeln!(
            out,
            "version {} is in {}: {} files copied ({}), {} were there already",
            report.version,
            shown(&arguments.directory),
            grouped(report.files_copied),
            bytes(report.bytes_copied),
            grouped(report.files_kept)
        )?;
    }
    out.finish()
}

/// Runs `tape completions`.
pub(crate) fn completions(arguments: &Completions) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tape", &mut text);
    let mut out = Out::stdout();
    out.write_all(&text)?;
    out.finish()
}
