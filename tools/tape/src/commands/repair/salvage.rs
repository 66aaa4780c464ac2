//! `tape repair TARGET`: what a damaged store still holds, in a new one, and what is lost.

use std::io::Write;
use std::path::Path;

use tapestore::{Loss, LossKind, SalvageReport};

use crate::calendar::push_iso;
use crate::commands::Context;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::json::Object;
use crate::output::{Out, plain, shown};

/// Saves into `target`.
pub(super) fn salvage(context: &Context, target: &Path) -> Result<()> {
    let directory = context.directory()?;
    if !directory.is_dir() {
        return Err(Fail::Usage(format!("there is no store at {}; check --store", directory.display())));
    }
    let report = tapestore::salvage_directory(directory, target)?;
    let mut out = Out::stdout();
    if context.json {
        for loss in &report.losses {
            out.write_all(&object(loss).line())?;
        }
        out.write_all(&summary(&report).line())?;
    } else {
        for text in &report.rebuilt {
            writeln!(out, "made anew: {}", plain(text))?;
        }
        for loss in &report.losses {
            writeln!(out, "lost: {}", plain(&line(loss)))?;
        }
        for text in &report.unknown {
            writeln!(out, "unknown: {}", plain(text))?;
        }
        writeln!(
            out,
            "{}: version {} of {}, {} series, {} rows and {} of history from segments, {} commits from logs",
            shown(target),
            report.version,
            report.newest_seen,
            grouped(report.series),
            grouped(report.rows),
            grouped(report.history_rows),
            grouped(report.commits)
        )?;
    }
    out.finish()?;
    if report.is_complete() {
        return Ok(());
    }
    Err(Fail::Findings(format!(
        "{} losses; what could be read of {} is in {}, the old store is as it was",
        report.losses.len() + report.unknown.len(),
        directory.display(),
        target.display()
    )))
}

fn object(loss: &Loss) -> Object {
    let mut object = Object::new().text("lost", loss.kind.name()).text("file", &loss.file);
    if let Some(series) = &loss.series {
        object = object.text("series", series).flag("history", loss.history);
    }
    if let Some(column) = &loss.column {
        object = object.text("column", column);
    }
    object = object.count("count", loss.count);
    if let Some(rows) = &loss.rows {
        object = object.count("first_row", rows.start).count("end_row", rows.end);
    }
    if let Some((first, last)) = loss.times {
        object = object.int("first_time", first).int("last_time", last);
    }
    if let Some((low, high)) = loss.versions {
        object = object.count("first_version", low).count("last_version", high);
    }
    object.text("detail", &loss.detail)
}

fn summary(report: &SalvageReport) -> Object {
    let list = |name, texts: &[String]| {
        let items: Vec<Object> = texts.iter().map(|text| Object::new().text("detail", text)).collect();
        move |object: Object| object.objects(name, items)
    };
    let object = Object::new()
        .flag("complete", report.is_complete())
        .count("version", report.version)
        .count("newest_seen", report.newest_seen)
        .count("series", report.series)
        .count("rows", report.rows)
        .count("history_rows", report.history_rows)
        .count("commits", report.commits)
        .count("losses", report.losses.len() as u64);
    list("unknown", &report.unknown)(list("rebuilt", &report.rebuilt)(object))
}

/// A loss in words: what, of which series, which rows, when, why.
fn line(loss: &Loss) -> String {
    let mut text = match loss.kind {
        LossKind::Rows | LossKind::Unnamed => format!("{} rows", grouped(loss.count)),
        LossKind::Values => {
            format!("{} values of column {}", grouped(loss.count), loss.column.as_deref().unwrap_or("?"))
        }
        LossKind::Commits => format!("{} commits", grouped(loss.count)),
        LossKind::Sources => format!("{} names of sources", grouped(loss.count)),
        LossKind::Marks => "deletions and absences".to_owned(),
        other => other.name().to_owned(),
    };
    if loss.history {
        text.push_str(" of history");
    }
    if let Some(series) = &loss.series {
        text.push_str(&format!(" of {series}"));
    }
    if let Some(rows) = &loss.rows {
        text.push_str(&format!(", rows {} to {}", grouped(rows.start), grouped(rows.end)));
    }
    if let Some((first, last)) = loss.times {
        text.push_str(&format!(", from {} to {}", stamp(first), stamp(last)));
    }
    match loss.versions {
        Some((low, high)) if low == high => text.push_str(&format!(", version {low}")),
        Some((low, high)) => text.push_str(&format!(", versions {low} to {high}")),
        None => {}
    }
    format!("{text}: {}: {}", loss.file, loss.detail)
}

fn stamp(time: i64) -> String {
    let mut text = Vec::new();
    push_iso(&mut text, time);
    String::from_utf8_lossy(&text).into_owned()
}
