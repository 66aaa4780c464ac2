//! `tape resample`, `join`, `panel`, `average`, `adjust` and `book`: questions asked of market data.

use std::io::Write;
use std::sync::Arc;

use tapestore::{Column, ColumnType, Rows, SeriesInfo, SeriesKey, Values, View, flags, time::Timeframe};
use tapestore_catalog::span;
use tapestore_query::adjust::{actions, adjusted};
use tapestore_query::average::{twap, vwap};
use tapestore_query::book::{Book as OrderBook, Side};
use tapestore_query::{
    Adjustment, Anchor, AsOfJoin, Direction, Parts, Resample, Rule, Sessions, Times, asof, book_at, depth,
    derive, derived_key,
};

use super::calendar::sessions_of;
use super::coverage::read_sessions;
use super::operations::watched;
use super::read::style;
use super::{Context, range, series};
use crate::args::market::{Adjust, Average, Book, DirectionArgument, Join, Panel, PartsArgument};
use crate::args::{Form, Series, market};
use crate::calendar::{TimeStyle, brief};
use crate::fail::{Fail, Result};
use crate::number::{grouped, push_f64};
use crate::output::json::Object;
use crate::output::rows::RowWriter;
use crate::output::table::{self, Side as Align, Table};
use crate::output::{Out, note};
use crate::when::{now_ns, parse_time};

/// Writes rows that were made, not read: they have no provenance.
pub(super) fn write(context: &Context, form: &Form, rows: &Rows) -> Result<()> {
    if form.provenance {
        return Err(Fail::Usage(
            "rows that are computed have no provenance; ask for that of their sources".into(),
        ));
    }
    let mut out = Out::stdout();
    let mut writer = RowWriter::new(style(context, form), form.time.into(), false);
    writer.write(&rows.columns, &rows.set, 0..rows.len(), &|id: u16| id.to_string(), &mut out)?;
    writer.finish(&mut out)?;
    out.finish()
}

/// Keeps the columns asked for, in the order asked for.
pub(super) fn pick(rows: Rows, names: Option<&[String]>) -> Result<Rows> {
    let Some(names) = names else { return Ok(rows) };
    let mut out = Rows { columns: Vec::new(), set: rows.set.clone() };
    out.set.columns.clear();
    for name in names.iter().filter(|name| *name != "time") {
        let Some(at) = rows.columns.iter().position(|column| column.name == *name) else {
            let known: Vec<&str> = rows.columns.iter().map(|column| column.name.as_str()).collect();
            return Err(Fail::Usage(format!(
                "there is no column {name:?}; the columns are {}",
                known.join(", ")
            )));
        };
        out.columns.push(rows.columns[at].clone());
        out.set.columns.push(rows.set.columns[at].clone());
    }
    Ok(out)
}

fn span_ns(text: &str, what: &str) -> Result<i64> {
    span::parse(text).ok_or_else(|| {
        Fail::Usage(format!("--{what} {text:?} is no span of time; write 250ms, 5s, 1m or 1d"))
    })
}

/// Runs `tape resample`.
pub(crate) fn resample(context: &Context, arguments: &market::Resample) -> Result<()> {
    let rule =
        match (&arguments.bars.into, arguments.bars.ticks, arguments.bars.volume, arguments.bars.amount) {
            (Some(text), ..) => Rule::Time(timeframe(text)?),
            (_, Some(count), ..) => Rule::Ticks(count),
            (_, _, Some(volume), _) => Rule::Volume(volume),
            (_, _, _, Some(amount)) => Rule::Dollars(amount),
            _ => return Err(Fail::Usage("bars of what? --into 1h, --ticks, --volume or --amount".into())),
        };
    if arguments.save {
        let source = SeriesKey::new(&arguments.series.instrument, &arguments.series.frame)?;
        let target = derived_key(&source, rule)?.to_string();
        return watched(context, "derive", &target, |_| save(context, arguments, rule));
    }
    let (_store, view) = context.view(&arguments.selection.state)?;
    let (key, info) = series(&view, &arguments.series)?;
    let sessions = sessions(arguments, &view, &info)?;
    let how = Resample { rule, sessions, until_ns: None, unfinished: arguments.unfinished };
    let mut made = tapestore_query::resample(&view, &key, range(&arguments.selection.span)?, &how)?;
    let partial = made.rows.set.flags.iter().map(|flags| u8::from(flags & flags::PARTIAL != 0)).collect();
    let id = made.rows.columns.len() as u16;
    made.rows.set.columns.push((id, Values::U8(partial).into()));
    made.rows.columns.push(Column {
        id,
        name: "partial".into(),
        kind: ColumnType::Bool,
        nullable: false,
        description: "whether the bar is shorter than its kind".into(),
    });
    write(
        context,
        &arguments.selection.form,
        &pick(made.rows, arguments.selection.form.columns.as_deref())?,
    )?;
    if let (Some(time), false) = (made.unfinished, arguments.unfinished) {
        let text = format!("tape: the bar of {} is not finished; --unfinished shows it", brief(time));
        note(context.quiet, &text);
    }
    if made.outside > 0 {
        let rows = grouped(made.outside);
        note(context.quiet, &format!("tape: {rows} rows lie outside of the sessions and are in no bar"));
    }
    Ok(())
}

fn timeframe(text: &str) -> Result<Timeframe> {
    Timeframe::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Timeframe::ALL.into_iter().map(Timeframe::name).collect();
        Fail::Usage(format!("{text:?} is no timeframe; the timeframes are {}", names.join(" ")))
    })
}

/// The sessions that no bar crosses.
fn sessions(arguments: &market::Resample, view: &View, info: &SeriesInfo) -> Result<Option<Arc<Sessions>>> {
    let sessions = match (&arguments.sessions, &arguments.calendar) {
        (Some(path), _) => Sessions::of_ranges(read_sessions(path)?)?,
        (None, Some(exchange)) => {
            let asked = range(&arguments.selection.span)?;
            let (first, last) =
                (info.first_ns.unwrap_or(0), info.last_ns.map_or(0, |last| last.saturating_add(1)));
            sessions_of(view, exchange, first.max(asked.start)..last.min(asked.end))?
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(Arc::new(sessions)))
}

fn save(context: &Context, arguments: &market::Resample, rule: Rule) -> Result<()> {
    let store = context.open_to_write()?;
    let view = store.view();
    let (key, info) = series(&view, &arguments.series)?;
    let sessions = sessions(arguments, &view, &info)?;
    drop(view);
    let report = derive(&store, &key, rule, sessions)?;
    let bars = report.bars_written();
    let target = derived_key(&key, rule)?;
    store.close()?;
    let mut out = Out::stdout();
    let whole = report.remade.contains(&(i64::MIN..i64::MAX));
    if context.json {
        let object = Object::new()
            .text("instrument", target.instrument())
            .text("frame", &target.frame().to_string())
            .text("source", &key.to_string())
            .count("source_version", report.source_version)
            .count("version", report.commit.version)
            .count("written", bars)
            .count("deleted", report.commit.deleted)
            .flag("whole", whole)
            .maybe_int("unfinished", report.unfinished);
        out.write_all(&object.line())?;
        return out.finish();
    }
    let what = match (report.remade.len(), whole) {
        (0, _) => "nothing new".to_owned(),
        (_, true) => "all of it".to_owned(),
        (count, _) => format!("{} changed ranges", grouped(count as u64)),
    };
    let open = report.unfinished.map(|time| format!("; the bar of {} is not finished", brief(time)));
    writeln!(
        out,
        "{target} from {key} at version {}: {what}, {} bars written, {} deleted{}; version {}",
        report.source_version,
        grouped(bars),
        grouped(report.commit.deleted),
        open.unwrap_or_default(),
        report.commit.version
    )?;
    out.finish()
}

/// Runs `tape join`.
pub(crate) fn join(context: &Context, arguments: &Join) -> Result<()> {
    let (_store, view) = context.view(&arguments.selection.state)?;
    let (left, _) = series(&view, &arguments.series)?;
    let tolerance = arguments.tolerance.as_deref().map(|text| span_ns(text, "tolerance")).transpose()?;
    let how = AsOfJoin {
        direction: match arguments.direction {
            DirectionArgument::Backward => Direction::Backward,
            DirectionArgument::Forward => Direction::Forward,
            DirectionArgument::Nearest => Direction::Nearest,
        },
        tolerance_ns: tolerance.map(i64::unsigned_abs),
        strict: arguments.strict,
    };
    let (mine, theirs) =
        (names(arguments.selection.form.columns.as_deref()), names(arguments.right_columns.as_deref()));
    let range = range(&arguments.selection.span)?;
    let rows = if let Some(by) = &arguments.by {
        let frame = SeriesKey::new(left.instrument(), &arguments.right)?.frame().clone();
        let right = (&frame, theirs.as_deref());
        asof::join_by(&view, (&left, mine.as_deref()), by, right, range, &how)?
    } else {
        let instrument = arguments.right_instrument.clone().unwrap_or_else(|| left.instrument().to_owned());
        let (right, _) = series(&view, &Series { instrument, frame: arguments.right.clone() })?;
        asof::join(&view, (&left, mine.as_deref()), (&right, theirs.as_deref()), range, &how)?
    };
    write(context, &arguments.selection.form, &rows)
}

fn names(names: Option<&[String]>) -> Option<Vec<&str>> {
    Some(names?.iter().map(String::as_str).filter(|name| *name != "time").collect())
}

/// Runs `tape panel`.
pub(crate) fn panel(context: &Context, arguments: &Panel) -> Result<()> {
    let (_store, view) = context.view(&arguments.selection.state)?;
    let frame = SeriesKey::new("x", &arguments.frame)?.frame().clone();
    let keys = match &arguments.instruments {
        Some(names) => {
            let key = |name: &String| -> Result<SeriesKey> {
                let wanted = Series { instrument: name.clone(), frame: arguments.frame.clone() };
                Ok(series(&view, &wanted)?.0)
            };
            names.iter().map(key).collect::<Result<Vec<_>>>()?
        }
        None => view.keys().into_iter().filter(|key| *key.frame() == frame).collect(),
    };
    if keys.is_empty() {
        return Err(Fail::Usage(format!("no instrument has {frame}; tape ls lists what is there")));
    }
    let fill = arguments.fill.as_deref().map(|text| span_ns(text, "fill")).transpose()?;
    let times = if arguments.complete { Times::All } else { Times::Any };
    let range = range(&arguments.selection.span)?;
    let fill = fill.map(i64::unsigned_abs);
    let rows = tapestore_query::panel(&view, &keys, &arguments.field, range, &times, fill)?;
    write(context, &arguments.selection.form, &pick(rows, arguments.selection.form.columns.as_deref())?)
}

/// Runs `tape average`.
pub(crate) fn average(context: &Context, arguments: &Average) -> Result<()> {
    let (_store, view) = context.view(&arguments.state)?;
    let (key, info) = series(&view, &arguments.series)?;
    let mut range = range(&arguments.span)?;
    if range.end == i64::MAX {
        // Up to the last row; the end of the last bar, or the last trade.
        let last = info.last_ns.unwrap_or(0);
        let end = key.frame().timeframe().map(|frame| frame.slot_start(frame.slot(last) + 1));
        range.end = end.unwrap_or(last).max(range.start);
    }
    // The last trade itself belongs to the average by volume.
    let by_volume =
        vwap(&view, &key, range.start..range.end.saturating_add(i64::from(info.last_ns == Some(range.end))))?;
    let by_time = twap(&view, &key, range)?;
    let mut out = Out::stdout();
    if context.json {
        let mut object = Object::new();
        if let Some(average) = by_volume {
            object = object
                .float("vwap", average.price)
                .float("volume", average.weight)
                .count("rows", average.rows);
        }
        if let Some(average) = by_time {
            object = object.float("twap", average.price).int("time_ns", average.weight as i64);
        }
        out.write_all(&object.line())?;
        return out.finish();
    }
    let text = |value: f64| {
        let mut out = Vec::new();
        push_f64(&mut out, value);
        String::from_utf8_lossy(&out).into_owned()
    };
    let mut facts = Vec::new();
    match by_volume {
        Some(average) => facts.extend([
            ("by volume", text(average.price)),
            ("volume", text(average.weight)),
            ("rows", grouped(average.rows)),
        ]),
        None => facts.push(("by volume", "nothing was traded".to_owned())),
    }
    facts.push(("by time", by_time.map_or("there is no price".to_owned(), |average| text(average.price))));
    table::facts(&mut out, &facts)?;
    out.finish()
}

/// Runs `tape adjust`.
pub(crate) fn adjust(context: &Context, arguments: &Adjust) -> Result<()> {
    let (_store, view) = context.view(&arguments.selection.state)?;
    let (key, _) = series(&view, &arguments.series)?;
    let table = Series { instrument: key.instrument().to_owned(), frame: arguments.actions.clone() };
    let (table, _) = series(&view, &table)?;
    let known = actions(&view, &table)?;
    let how = Adjustment {
        parts: match arguments.parts {
            PartsArgument::Splits => Parts::Splits,
            PartsArgument::Dividends => Parts::Dividends,
            PartsArgument::Both => Parts::Both,
        },
        anchor: if arguments.forward { Anchor::First } else { Anchor::Last },
        as_of_ns: arguments.known_at.as_deref().map(|text| parse_time(text, now_ns())).transpose()?,
    };
    let columns = names(arguments.selection.form.columns.as_deref());
    let rows = adjusted(&view, &key, range(&arguments.selection.span)?, columns.as_deref(), &known, &how)?;
    write(context, &arguments.selection.form, &rows)
}

/// Runs `tape book`.
pub(crate) fn book(context: &Context, arguments: &Book) -> Result<()> {
    let (_store, view) = context.view(&arguments.state)?;
    let series_of = |frame: &str| {
        series(&view, &Series { instrument: arguments.instrument.clone(), frame: frame.to_owned() })
    };
    let (snapshots, updates) = match (series_of(&arguments.frame), series_of(&arguments.snapshots).ok()) {
        // A series of snapshots may be named by itself.
        (Ok(named), _) if depth::levels(&named.1.schema) > 0 => (Some(named), None),
        (Err(_), Some(snapshots)) => (Some(snapshots), None),
        (updates, snapshots) => (snapshots, Some(updates?)),
    };
    let asked = arguments.at.as_deref().map(|text| parse_time(text, now_ns())).transpose()?;
    let last = updates.iter().chain(&snapshots).filter_map(|(_, info)| info.last_ns).max();
    let time = asked.or(last).unwrap_or(0);
    let book = match (&snapshots, &updates) {
        (Some((snapshots, _)), updates) => {
            depth::book_at(&view, snapshots, updates.as_ref().map(|(key, _)| key), time)?
        }
        (None, Some((key, _))) => book_at(&view, key, time)?,
        (None, None) => OrderBook::default(),
    };
    let key = updates.or(snapshots).map(|(key, _)| key.to_string()).unwrap_or_default();
    let mut out = Out::stdout();
    if context.json {
        for (name, side) in [("bid", Side::Bid), ("ask", Side::Ask)] {
            for (level, number) in book.levels(side, arguments.levels).into_iter().zip(1..) {
                let object = Object::new()
                    .text("side", name)
                    .count("level", number)
                    .float("price", level.price)
                    .float("quantity", level.quantity)
                    .count("orders", level.orders);
                out.write_all(&object.line())?;
            }
        }
        return out.finish();
    }
    let mut table = Table::new([
        ("quantity", Align::Right),
        ("bid", Align::Right),
        ("ask", Align::Right),
        ("quantity", Align::Right),
    ]);
    let sides = [Side::Bid, Side::Ask].map(|side| book.levels(side, arguments.levels));
    let text = |value: Option<f64>| {
        let mut out = Vec::new();
        value.into_iter().for_each(|value| push_f64(&mut out, value));
        String::from_utf8_lossy(&out).into_owned()
    };
    for row in 0..sides[0].len().max(sides[1].len()) {
        let [bid, ask] = [0, 1].map(|side: usize| sides[side].get(row));
        table.row([
            text(bid.map(|level| level.quantity)),
            text(bid.map(|level| level.price)),
            text(ask.map(|level| level.price)),
            text(ask.map(|level| level.quantity)),
        ]);
    }
    table.write(&mut out)?;
    let mut when = Vec::new();
    TimeStyle::Iso.push(&mut when, time);
    writeln!(
        out,
        "{key} at {}: {} bids, {} asks",
        String::from_utf8_lossy(&when),
        grouped(book.depth(Side::Bid) as u64),
        grouped(book.depth(Side::Ask) as u64)
    )?;
    out.finish()
}
