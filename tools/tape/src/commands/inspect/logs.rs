//! Inside a write-ahead log or a manifest: records, and the bytes behind them.

use std::io::Write;
use std::path::Path;

use tapestore_format::FormatError;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::{FrameReader, RecordAssembler};
use tapestore_format::manifest::ManifestRecord;
use tapestore_format::wal::{Effect, KIND_START, KIND_TRANSACTION, LogStart, TransactionRecord};

use crate::calendar::brief;
use crate::commands::Context;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::Out;
use crate::output::json::Object;
use crate::output::table::{Side, Table};

/// Called with the place, kind and content of a record.
type Visitor<'a> = &'a mut dyn FnMut((u64, u64), u8, &[u8]) -> std::result::Result<(), FormatError>;

/// Where reading ended, and why if not at the end of the bytes.
struct Stop {
    offset: u64,
    error: Option<FormatError>,
}

/// Calls `each` with the place, kind and content of every whole record. Stops at the first frame that is none.
pub(super) fn records(content: &[u8], header: &FileHeader, mut each: impl FnMut((u64, u64), u8, &[u8])) {
    walk(content, header, &mut |place, kind, record| {
        each(place, kind, record);
        Ok(())
    });
}

fn walk(content: &[u8], header: &FileHeader, each: Visitor<'_>) -> Stop {
    let body = content.get(HEADER_BYTES..).unwrap_or_default();
    let mut frames = FrameReader::new(body, HEADER_BYTES as u64, header.identity, None);
    let mut assembler = RecordAssembler::default();
    let mut start = frames.offset();
    loop {
        let frame = match frames.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Stop { offset: frames.offset(), error: None },
            Err(error) => return Stop { offset: frames.offset(), error: Some(error) },
        };
        if frame.first {
            start = frame.offset;
        }
        let outcome = match assembler.push(&frame) {
            Ok(Some((kind, record))) => each((start, frame.end() - start), kind, record),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            return Stop { offset: start, error: Some(error) };
        }
    }
}

/// Lists the records of a log or manifest.
pub(super) fn inspect(
    context: &Context,
    path: &Path,
    content: &[u8],
    header: &FileHeader,
    out: &mut Out,
) -> Result<()> {
    let mut table = Table::new([
        ("offset", Side::Right),
        ("bytes", Side::Right),
        ("record", Side::Left),
        ("content", Side::Left),
    ]);
    let mut lines = Vec::new();
    let stop = walk(content, header, &mut |(offset, length), kind, record| {
        let (name, text) = match header.kind {
            FileKind::Manifest => manifest_record(&ManifestRecord::decode(kind, record)?),
            _ => log_record(kind, record)?,
        };
        if context.json {
            let object = Object::new()
                .count("offset", offset)
                .count("bytes", length)
                .text("record", name)
                .text("content", &text);
            lines.extend_from_slice(&object.line());
        } else {
            table.row([offset.to_string(), grouped(length), name.to_owned(), text]);
        }
        Ok(())
    });
    out.write_all(&lines)?;
    if !context.json && !table.is_empty() {
        table.write(out)?;
    }
    let rest = content.get(stop.offset as usize..).unwrap_or_default();
    match stop.error {
        None => {
            if !context.json {
                writeln!(out, "the records end where the file ends")?;
            }
            Ok(())
        }
        // Room that was reserved, or the rest of a write that was never acknowledged.
        Some(_) if rest.iter().all(|byte| *byte == 0) => {
            if !context.json {
                writeln!(out, "behind offset {}: {} zeros", stop.offset, grouped(rest.len() as u64))?;
            }
            Ok(())
        }
        Some(error) => {
            let length = grouped(rest.len() as u64);
            Err(Fail::Corrupt(format!(
                "{}: {length} bytes behind offset {} are no records: {error}; a torn tail is cut when the store is opened",
                path.display(),
                stop.offset
            )))
        }
    }
}

fn manifest_record(record: &ManifestRecord) -> (&'static str, String) {
    match record {
        ManifestRecord::State(state) => (
            "state",
            format!(
                "step {}, sealed up to version {}, readable from {}, first log {}, next file {}",
                state.step, state.sealed_version, state.floor, state.first_log, state.next_file
            ),
        ),
        ManifestRecord::Source { id, name } => ("source", format!("{id} is {name:?}")),
        ManifestRecord::Series(series) => {
            let columns = series.definitions.iter().rev().find_map(|(_, schema)| schema.as_ref());
            let columns = columns.map_or(0, |schema| schema.columns.len());
            ("series", format!("{} is {} {}, {columns} columns", series.id, series.instrument, series.frame))
        }
        ManifestRecord::AddSegment(segment) => {
            let rows: u64 = segment.parts.iter().map(|part| part.rows).sum();
            let text = format!(
                "{}, level {}, {} bytes, {} parts, {} rows, hash {:032x}",
                segment.id,
                segment.level,
                grouped(segment.length),
                grouped(segment.parts.len() as u64),
                grouped(rows),
                segment.hash
            );
            ("add segment", text)
        }
        ManifestRecord::RemoveSegment(id) => ("remove segment", id.to_string()),
        ManifestRecord::Snapshot(snapshot) => {
            ("snapshot", format!("{:?} is version {}", snapshot.name, snapshot.version))
        }
        ManifestRecord::DropSnapshot(name) => ("drop snapshot", format!("{name:?}")),
    }
}

fn log_record(kind: u8, record: &[u8]) -> std::result::Result<(&'static str, String), FormatError> {
    match kind {
        KIND_START => {
            let start = LogStart::decode(record)?;
            let before = match start.previous_log {
                0 => "the first log".to_owned(),
                log => format!("follows log {log}, which ends at {}", start.previous_end),
            };
            Ok(("start", format!("version {}, {before}", start.version)))
        }
        KIND_TRANSACTION => {
            let commit = TransactionRecord::decode(record)?;
            let mut effects: Vec<String> = commit.effects.iter().take(4).map(effect).collect();
            if commit.effects.len() > 4 {
                effects.push(format!("and {} more", commit.effects.len() - 4));
            }
            let text =
                format!("version {} at {}: {}", commit.version, brief(commit.time), effects.join(", "));
            Ok(("commit", text))
        }
        other => Err(FormatError::corrupt("W1", 0, format!("unknown record kind {other}"))),
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Source { id, name } => format!("source {id} is {name:?}"),
        Effect::Define { series, instrument, frame, .. } => {
            format!("series {series} is {instrument} {frame}")
        }
        Effect::Drop { series } => format!("drops series {series}"),
        Effect::Rows { series, rows } => format!("{} rows of series {series}", grouped(rows.len() as u64)),
        Effect::Mark { series, mark } => {
            format!("{:?} {} to {} in series {series}", mark.kind, brief(mark.start), brief(mark.end))
        }
    }
}
