//! `tape ls`, `info` and `stats`: what the store holds.

use std::io::Write;

use tapestore::{Completeness, SeriesInfo, SeriesKey, View};

use super::{Context, covered, series};
use crate::args::{Info, Ls, Series};
use crate::calendar::brief;
use crate::fail::Result;
use crate::number::{bytes, grouped};
use crate::output::Out;
use crate::output::json::{Object, texts};
use crate::output::strip::{percent, strip};
use crate::output::table::{Side, Table, facts};

/// Cells of the coverage strip in `ls`.
const STRIP_CELLS: usize = 24;

/// Runs `tape ls`.
pub(crate) fn ls(context: &Context, arguments: &Ls) -> Result<()> {
    let (_store, view) = context.view(&arguments.state)?;
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("instrument", Side::Left),
        ("frame", Side::Left),
        ("rows", Side::Right),
        ("first", Side::Left),
        ("last", Side::Left),
        ("bytes/row", Side::Right),
        ("coverage", Side::Right),
        ("", Side::Left),
    ]);
    for key in view.keys() {
        // The store's own tables are listed when they are asked for.
        if arguments.pattern.as_ref().map_or(key.is_own(), |pattern| !matches(key.instrument(), pattern)) {
            continue;
        }
        let info = view.info(&key)?;
        if context.json {
            out.write_all(&series_object(&view, &key, &info)?.line())?;
        } else {
            table.row(series_cells(&view, &key, &info)?);
        }
    }
    if !context.json && !table.is_empty() {
        table.write(&mut out)?;
    }
    out.finish()
}

pub(super) fn matches(instrument: &str, pattern: &str) -> bool {
    instrument.to_lowercase().contains(&pattern.to_lowercase())
}

fn series_cells(view: &View, key: &SeriesKey, info: &SeriesInfo) -> Result<Vec<String>> {
    let time = |time: Option<i64>| time.map_or_else(|| "-".to_owned(), brief);
    let (share, drawn) = if key.frame().timeframe().is_some() && info.rows > 0 {
        let runs = view.coverage(key, None)?;
        let (bars, expected) = covered(&runs);
        let (start, end) = (runs.first().map_or(0, |run| run.start), runs.last().map_or(0, |run| run.end));
        (percent(bars, expected), strip(&runs, start, end, STRIP_CELLS))
    } else {
        ("-".to_owned(), String::new())
    };
    let per_row = match info.rows {
        0 => "-".to_owned(),
        _ if info.bytes == 0 => "-".to_owned(),
        rows => format!("{:.2}", info.bytes as f64 / rows as f64),
    };
    Ok(vec![
        key.instrument().to_owned(),
        key.frame().to_string(),
        grouped(info.rows),
        time(info.first_ns),
        time(info.last_ns),
        per_row,
        share,
        drawn,
    ])
}

fn series_object(view: &View, key: &SeriesKey, info: &SeriesInfo) -> Result<Object> {
    let mut object = Object::new()
        .text("instrument", key.instrument())
        .text("frame", &key.frame().to_string())
        .count("rows", info.rows)
        .maybe_int("first", info.first_ns)
        .maybe_int("last", info.last_ns)
        .count("bytes", info.bytes)
        .count("layers", info.layers as u64);
    if key.frame().timeframe().is_some() {
        let all = view.completeness(key, None)?;
        object = object.count("expected", all.expected).count("missing", all.missing);
    }
    Ok(object)
}

/// Runs `tape info`.
pub(crate) fn info(context: &Context, arguments: &Info) -> Result<()> {
    match (&arguments.instrument, &arguments.frame) {
        (Some(instrument), Some(frame)) => {
            let wanted = Series { instrument: instrument.clone(), frame: frame.clone() };
            series_info(context, arguments, &wanted)
        }
        _ => stats(context),
    }
}

fn series_info(context: &Context, arguments: &Info, wanted: &Series) -> Result<()> {
    let (_store, view) = context.view(&arguments.state)?;
    let (key, info) = series(&view, wanted)?;
    let schema = &info.schema;
    let dedup: Vec<&str> = schema
        .dedup()
        .iter()
        .filter_map(|id| schema.column_by_id(*id))
        .map(|column| column.name.as_str())
        .collect();
    let unique = matches!(schema.key, tapestore_format::schema::KeyPolicy::Unique);
    let bars = key.frame().timeframe().is_some();
    let (gaps, absences) =
        if bars { (view.gaps(&key, None)?, view.absences(&key)?) } else { Default::default() };
    let mut out = Out::stdout();
    if context.json {
        let columns = schema.columns.iter().map(|column| {
            Object::new()
                .text("name", &column.name)
                .text("type", column.kind.name())
                .flag("nullable", column.nullable)
                .text("description", &column.description)
        });
        let mut object = series_object(&view, &key, &info)?
            .text("key", if unique { "unique" } else { "sequence" })
            .raw("dedup", &texts(&dedup))
            .count("version", view.version());
        for (tier, rows) in view.tiers(&key)? {
            object = object.count(&format!("{}_rows", tier.name()), rows);
        }
        if bars {
            object = object.count("gaps", gaps.len() as u64).count("absences", absences.len() as u64);
        }
        out.write_all(&object.objects("columns", columns).line())?;
        return out.finish();
    }
    let time = |time: Option<i64>| time.map_or_else(|| "-".to_owned(), brief);
    let per_row = info.bytes as f64 / info.rows.max(1) as f64;
    let policy = match (unique, dedup.as_slice()) {
        (true, _) => "one row per time; writing a time again replaces it".to_owned(),
        (false, []) => "every row counts; several may share a time".to_owned(),
        (false, names) => format!("rows are identified by time and {}", names.join(", ")),
    };
    let mut lines = vec![
        ("series", key.to_string()),
        ("version", view.version().to_string()),
        ("rows", grouped(info.rows)),
        ("first", time(info.first_ns)),
        ("last", time(info.last_ns)),
        (
            "on disk",
            format!("{} in segments, {per_row:.2} bytes a row, {} layers", bytes(info.bytes), info.layers),
        ),
        ("key", policy),
    ];
    let tiers = view.tiers(&key)?;
    let tiers = tiers.iter().filter(|(_, rows)| *rows > 0);
    let tiers: Vec<_> = tiers.map(|(tier, rows)| format!("{} {}", tier.name(), grouped(*rows))).collect();
    if !tiers.is_empty() {
        lines.push(("rows by tier", tiers.join(", ")));
    }
    if bars {
        let Completeness { present, expected, missing, .. } = view.completeness(&key, None)?;
        lines.push((
            "coverage",
            format!("{} of {} bars ({})", grouped(present), grouped(expected), percent(present, expected)),
        ));
        lines.push((
            "gaps",
            format!("{} gaps, {} missing bars", grouped(gaps.len() as u64), grouped(missing)),
        ));
        lines.push(("absences", format!("{} confirmed", grouped(absences.len() as u64))));
    }
    facts(&mut out, &lines)?;
    writeln!(out)?;
    let mut table = Table::new([
        ("column", Side::Left),
        ("type", Side::Left),
        ("null", Side::Left),
        ("meaning", Side::Left),
    ]);
    table.row(["time", "timestamp", "", "nanoseconds since the Unix epoch, UTC"].map(str::to_owned));
    for column in &schema.columns {
        let null = if column.nullable { "yes" } else { "" };
        table.row([&*column.name, column.kind.name(), null, &*column.description].map(str::to_owned));
    }
    table.write(&mut out)?;
    out.finish()
}

/// Runs `tape stats`.
pub(crate) fn stats(context: &Context) -> Result<()> {
    let store = context.open_to_read()?;
    let stats = store.stats()?;
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new()
            .count("rows", stats.rows)
            .count("history_rows", stats.history_rows)
            .count("bytes_on_disk", stats.bytes_on_disk)
            .count("segment_bytes", stats.segment_bytes)
            .count("wal_bytes", stats.wal_bytes)
            .count("manifest_bytes", stats.manifest_bytes)
            .count("series", stats.series)
            .count("segments", stats.segments)
            .count("version", stats.version)
            .count("floor", stats.floor)
            .count("snapshots", stats.snapshots)
            .count("memtable_rows", stats.memtable_rows)
            .count("memtable_bytes", stats.memtable_bytes)
            .text("id", &store.id());
        out.write_all(&object.line())?;
        return out.finish();
    }
    let directory = store.directory().map(|path| path.display().to_string()).unwrap_or_default();
    let per_row = stats.bytes_on_disk as f64 / stats.rows.max(1) as f64;
    facts(
        &mut out,
        &[
            ("store", directory),
            ("id", store.id()),
            ("version", format!("{} (readable from {})", stats.version, stats.floor)),
            ("series", grouped(stats.series)),
            ("rows", format!("{} and {} of history", grouped(stats.rows), grouped(stats.history_rows))),
            ("on disk", format!("{}, {per_row:.2} bytes a row", bytes(stats.bytes_on_disk))),
            ("segments", format!("{} files, {}", grouped(stats.segments), bytes(stats.segment_bytes))),
            ("log", bytes(stats.wal_bytes)),
            ("manifest", bytes(stats.manifest_bytes)),
            ("in memory", format!("{} rows not yet in a segment", grouped(stats.memtable_rows))),
            ("snapshots", grouped(stats.snapshots)),
        ],
    )?;
    out.finish()
}
