//! Inside a segment: parts, chunks, columns, encodings, and where the bytes go.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use tapestore_format::header::{FileHeader, HEADER_BYTES};
use tapestore_format::segment::{PartIndex, Segment, Stream, Verified};

use super::Names;
use crate::calendar::brief;
use crate::commands::Context;
use crate::fail::{Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::output::{Out, plain};

/// Parts whose columns are shown one by one; further parts are only counted.
const PARTS_SHOWN: u32 = 64;

/// Bytes and rows of one column in one encoding.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    chunks: u64,
    rows: u64,
    payload_bytes: u64,
    head_bytes: u64,
}

/// By column name, type and encoding, in the order they are met.
type Shares = Vec<((String, &'static str, &'static str), Share)>;

/// Describes a segment.
pub(super) fn inspect(
    context: &Context,
    path: &Path,
    content: &[u8],
    header: &FileHeader,
    names: &Names,
    out: &mut Out,
) -> Result<()> {
    let damaged = |error| Fail::Corrupt(format!("{}: {error}", path.display()));
    let verified = Verified::new(content.len() as u64);
    let segment = Segment::open(content, header.identity, &verified).map_err(damaged)?;
    let count = segment.part_count();
    let mut total: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut part_bytes = 0;
    for ordinal in 0..count {
        let part = segment.part(ordinal).map_err(damaged)?;
        let series = names.series(part.summary.series);
        let mut shares = Shares::new();
        for stream in [Stream::Live, Stream::History] {
            for chunk in 0..part.chunks(stream).len() {
                let chunk = segment.chunk(&part, stream, chunk).map_err(damaged)?;
                for info in chunk.columns() {
                    let name = match info.id {
                        Some(id) => names.column(part.summary.series, id),
                        None => info.name.to_owned(),
                    };
                    let name = if stream == Stream::History { format!("{name} (history)") } else { name };
                    let key = (name, info.kind.name(), info.form());
                    let index = shares.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                        shares.push((key, Share::default()));
                        shares.len() - 1
                    });
                    let share = &mut shares[index].1;
                    share.chunks += 1;
                    share.rows += chunk.rows() as u64;
                    share.payload_bytes += info.bytes;
                    share.head_bytes += info.head_bytes;
                    *total.entry(info.form()).or_default() += info.bytes + info.head_bytes;
                }
            }
        }
        part_bytes += part.summary.bytes;
        if context.json {
            out.write_all(&part_object(&series, &part, &shares).line())?;
        } else if ordinal < PARTS_SHOWN {
            describe(&series, &part, &shares, out)?;
        }
    }
    if context.json {
        return Ok(());
    }
    if count > PARTS_SHOWN {
        writeln!(
            out,
            "… and {} parts more; all of them with --json",
            grouped(u64::from(count - PARTS_SHOWN))
        )?;
    }
    let encodings: Vec<_> = total.iter().map(|(name, size)| format!("{name} {}", bytes(*size))).collect();
    writeln!(
        out,
        "{} parts, {}; by encoding: {}",
        grouped(u64::from(count)),
        bytes(part_bytes),
        encodings.join(", ")
    )?;
    let rest = (content.len() as u64).saturating_sub(part_bytes + HEADER_BYTES as u64);
    writeln!(out, "header {HEADER_BYTES} B, directory and footer {}", bytes(rest))?;
    Ok(())
}

fn describe(series: &str, part: &PartIndex, shares: &Shares, out: &mut Out) -> Result<()> {
    let summary = &part.summary;
    let rows = summary.rows + summary.history_rows;
    let span = match summary.rows {
        0 => "no live rows".to_owned(),
        _ => format!("{} to {}", brief(summary.first_time), brief(summary.last_time)),
    };
    let grid = match (part.timeframe, part.on_grid) {
        (Some(timeframe), true) => format!("on the {timeframe} grid: times come from the gap index"),
        (Some(timeframe), false) => format!("{timeframe} bars, some off the grid"),
        (None, _) => "times stored".to_owned(),
    };
    writeln!(out, "part {}: {}", summary.part, plain(series))?;
    writeln!(
        out,
        "  {} rows, {} of history, {} marks; {span}; versions {} to {}; {grid}",
        grouped(summary.rows),
        grouped(summary.history_rows),
        summary.marks,
        summary.version_low,
        summary.version_high
    )?;
    let mut table = Table::new([
        ("  column", Side::Left),
        ("type", Side::Left),
        ("encoding", Side::Left),
        ("chunks", Side::Right),
        ("payload", Side::Right),
        ("metadata", Side::Right),
        ("bytes/row", Side::Right),
    ]);
    let mut in_columns = 0;
    for ((name, kind, encoding), share) in shares {
        let all = share.payload_bytes + share.head_bytes;
        in_columns += all;
        table.row([
            format!("  {name}"),
            (*kind).to_owned(),
            (*encoding).to_owned(),
            grouped(share.chunks),
            grouped(share.payload_bytes),
            grouped(share.head_bytes),
            format!("{:.3}", all as f64 / share.rows.max(1) as f64),
        ]);
    }
    let rest = summary.bytes.saturating_sub(in_columns);
    let per_row = |size: u64| format!("{:.3}", size as f64 / rows.max(1) as f64);
    table.row([
        "  gap index and chunk heads".into(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        grouped(rest),
        per_row(rest),
    ]);
    table.row([
        "  all".into(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        grouped(summary.bytes),
        per_row(summary.bytes),
    ]);
    table.write(out)?;
    writeln!(out)?;
    Ok(())
}

fn part_object(series: &str, part: &PartIndex, shares: &Shares) -> Object {
    let summary = &part.summary;
    let columns = shares.iter().map(|((name, kind, encoding), share)| {
        Object::new()
            .text("column", name)
            .text("type", kind)
            .text("encoding", encoding)
            .count("chunks", share.chunks)
            .count("rows", share.rows)
            .count("payload_bytes", share.payload_bytes)
            .count("metadata_bytes", share.head_bytes)
    });
    Object::new()
        .count("part", u64::from(summary.part))
        .text("series", series)
        .count("rows", summary.rows)
        .count("history_rows", summary.history_rows)
        .count("marks", u64::from(summary.marks))
        .int("first", summary.first_time)
        .int("last", summary.last_time)
        .count("version_low", summary.version_low)
        .count("version_high", summary.version_high)
        .flag("on_grid", part.on_grid)
        .count("bytes", summary.bytes)
        .objects("columns", columns)
}
