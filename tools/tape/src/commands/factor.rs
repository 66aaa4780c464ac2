//! `tape factor`: technical indicators, shown or kept.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use tapestore::{
    Column, ColumnType, ColumnValues, RowSet, Rows, SeriesKey, Store, Values, View, time::Timeframe,
};
use tapestore_factor::{
    Entry, Expressions, FUNCTIONS, Factor as Indicator, GapPolicy, Kept, Memory, Pack, Selection, Setup,
    entries, evict, frames, keep, timeframes_of,
};
use tapestore_query::Sessions;

use super::calendar::{sessions_of, span_of};
use super::coverage::read_sessions;
use super::market::{pick, write};
use super::operations::watched;
use super::{Context, range, series};
use crate::args::Series;
use crate::args::factor::{Cache, Compute, Factor, Gaps, List, PackArgument};
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::Out;
use crate::output::json::Object;
use crate::output::table::{Side, Table};

impl From<tapestore_factor::Error> for Fail {
    fn from(error: tapestore_factor::Error) -> Self {
        match error {
            tapestore_factor::Error::Store(error) => error.into(),
            other => Self::Usage(other.to_string()),
        }
    }
}

/// Runs `tape factor`.
pub(crate) fn run(context: &Context, command: &Factor) -> Result<()> {
    match command {
        Factor::List(arguments) => list(context, arguments),
        Factor::Functions => functions(context),
        Factor::Compute(arguments) if arguments.save => {
            let target = arguments.instruments.join(" ");
            watched(context, "factor", &target, |_| save(context, arguments))
        }
        Factor::Compute(arguments) => show(context, arguments),
        Factor::Cache(arguments) => match arguments.budget {
            Some(budget) => watched(context, "factor cache", "", |_| shrink(context, arguments, budget)),
            None => cache(context, arguments),
        },
    }
}

/// What a value depends on, in words.
fn memory(factor: Indicator) -> String {
    match factor.memory() {
        Memory::Bars(1) => "its bar".to_owned(),
        Memory::Bars(bars) => format!("{bars} bars"),
        Memory::Fading => "all before, fading".to_owned(),
        Memory::Total => "all before".to_owned(),
    }
}

fn list(context: &Context, arguments: &List) -> Result<()> {
    let pattern = arguments.pattern.as_deref().unwrap_or_default().to_ascii_uppercase();
    let found = Indicator::ALL.into_iter().filter(|factor| factor.name().contains(&pattern));
    let mut out = Out::stdout();
    if arguments.csv {
        writeln!(out, "name,warm_up,recursive,depends_on,parameters,meaning")?;
    }
    let mut table = Table::new([
        ("factor", Side::Left),
        ("warm-up", Side::Right),
        ("depends on", Side::Left),
        ("parameters", Side::Left),
        ("meaning", Side::Left),
    ]);
    let mut count = 0;
    for factor in found {
        count += 1;
        let (name, warm_up) = (factor.name(), factor.warm_up());
        let (parameters, meaning) = (factor.parameters(), factor.meaning());
        if context.json {
            let object = Object::new()
                .text("name", name)
                .count("warm_up", warm_up as u64)
                .flag("recursive", factor.is_recursive())
                .text("depends_on", &memory(factor))
                .text("parameters", parameters)
                .text("meaning", meaning);
            out.write_all(&object.line())?;
        } else if arguments.csv {
            let recursive = factor.is_recursive();
            let depends = memory(factor);
            writeln!(out, "{name},{warm_up},{recursive},\"{depends}\",\"{parameters}\",\"{meaning}\"")?;
        } else {
            table.row([name.into(), warm_up.to_string(), memory(factor), parameters.into(), meaning.into()]);
        }
    }
    if !context.json && !arguments.csv {
        table.write(&mut out)?;
        writeln!(out, "{count} factors")?;
    }
    out.finish()
}

fn functions(context: &Context) -> Result<()> {
    let mut out = Out::stdout();
    let mut table = Table::new([("function", Side::Left), ("meaning", Side::Left)]);
    for (call, meaning) in FUNCTIONS {
        if context.json {
            out.write_all(&Object::new().text("function", call).text("meaning", meaning).line())?;
        } else {
            table.row([call.into(), meaning.into()]);
        }
    }
    if !context.json {
        table.write(&mut out)?;
        let columns = "$open $high $low $close $volume";
        writeln!(out, "and {columns}, numbers, + - * /, > >= < <= == != and & |, which give 1 or 0")?;
    }
    out.finish()
}

fn pack(arguments: &Compute) -> Result<Pack> {
    if arguments.expressions.is_empty() {
        return Ok(match arguments.pack {
            PackArgument::Ta => {
                Pack::Indicators(Selection::parse(arguments.factors.iter().map(String::as_str))?)
            }
            PackArgument::Alpha158 => Pack::alpha158()?,
        });
    }
    let mut all = Expressions::new();
    for (name, text) in &arguments.expressions {
        all.add(name, text)?;
    }
    Ok(Pack::Expressions { name: arguments.name.clone(), all: Arc::new(all) })
}

pub(super) fn policy(gaps: Gaps) -> GapPolicy {
    match gaps {
        Gaps::Break => GapPolicy::Break,
        Gaps::Bridge => GapPolicy::Bridge,
        Gaps::Fills => GapPolicy::Fills,
        Gaps::Rows => GapPolicy::Rows,
    }
}

fn setup(view: &View, arguments: &Compute, source: &SeriesKey) -> Result<Setup> {
    let base = super::timeframe(source)?;
    let timeframes = match &arguments.timeframes {
        None => vec![base],
        Some(names) if names.iter().any(|name| name == "all") => timeframes_of(source)?,
        Some(names) => {
            let parse = |name: &String| {
                Timeframe::parse(name).ok_or_else(|| Fail::Usage(format!("{name:?} is no timeframe")))
            };
            names.iter().map(parse).collect::<Result<_>>()?
        }
    };
    let sessions = match (&arguments.sessions, &arguments.calendar) {
        (Some(path), _) => Some(Arc::new(Sessions::of_ranges(read_sessions(path)?)?)),
        (None, Some(exchange)) => {
            let span = span_of(view, std::slice::from_ref(source), &(i64::MIN..i64::MAX))?;
            Some(Arc::new(sessions_of(view, exchange, span)?))
        }
        (None, None) if matches!(arguments.gaps, Gaps::Bridge | Gaps::Fills) => {
            let text = "--gaps bridge and fills need --calendar or --sessions: when is the market open?";
            return Err(Fail::Usage(text.into()));
        }
        (None, None) => None,
    };
    Ok(Setup { timeframes, selection: Selection::ALL, gaps: policy(arguments.gaps), sessions })
}

fn threads(arguments: &Compute) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    arguments.threads.map_or_else(processors, usize::from)
}

fn source(view: &View, instrument: &str, frame: &str) -> Result<SeriesKey> {
    let wanted = Series { instrument: instrument.to_owned(), frame: frame.to_owned() };
    Ok(series(view, &wanted)?.0)
}

fn show(context: &Context, arguments: &Compute) -> Result<()> {
    let [instrument] = &arguments.instruments[..] else {
        return Err(Fail::Usage("factors of several instruments are kept, not shown: add --save".into()));
    };
    let (_store, view) = context.view(&arguments.selection.state)?;
    let source = source(&view, instrument, &arguments.frame)?;
    let (setup, pack) = (setup(&view, arguments, &source)?, pack(arguments)?);
    if setup.timeframes.len() != 1 {
        return Err(Fail::Usage("factors of several timeframes are kept, not shown: add --save".into()));
    }
    // Warm-up and memory reach back: everything is computed, and the range is shown.
    let made = frames(&view, &source, i64::MIN..i64::MAX, &setup, threads(arguments))?;
    let columns = pack.compute(&made[0].bars(), &made[0].runs);
    let range = range(&arguments.selection.span)?;
    let from = made[0].time.partition_point(|time| *time < range.start);
    let to = made[0].time.partition_point(|time| *time < range.end).max(from);
    let rows = as_rows(&made[0].time, &pack, &columns, from..to);
    write(context, &arguments.selection.form, &pick(rows, arguments.selection.form.columns.as_deref())?)
}

fn as_rows(time: &[i64], pack: &Pack, columns: &[Vec<f64>], rows: std::ops::Range<usize>) -> Rows {
    let mut out =
        Rows { columns: Vec::new(), set: RowSet { time: time[rows.clone()].to_vec(), ..RowSet::default() } };
    for (id, ((name, meaning), column)) in (0..).zip(pack.columns().into_iter().zip(columns)) {
        let values = column[rows.clone()].to_vec();
        let nulls = values.iter().map(|value| value.is_nan()).collect();
        out.columns.push(Column {
            id,
            name: name.to_owned(),
            kind: ColumnType::F64,
            nullable: true,
            description: meaning.to_owned(),
        });
        out.set.columns.push((id, ColumnValues { values: Values::F64(values), nulls: Some(nulls) }));
    }
    out
}

fn save(context: &Context, arguments: &Compute) -> Result<()> {
    let store = context.open_to_write()?;
    let mut out = Out::stdout();
    let mut failed = 0;
    let start = Instant::now();
    let mut all: Vec<Kept> = Vec::new();
    for instrument in &arguments.instruments {
        match save_one(&store, instrument, arguments) {
            Ok(kept) => all.extend(kept),
            // One failure does not stop the rest.
            Err(fail @ Fail::Usage(_)) if arguments.instruments.len() > 1 => {
                failed += 1;
                crate::output::note(false, &format!("tape: {instrument}: {fail}"));
            }
            Err(fail) => return Err(fail),
        }
    }
    let dropped = arguments.budget.map(|budget| evict(&store, budget)).transpose()?.unwrap_or_default();
    let version = store.view().version();
    store.close()?;
    for kept in &all {
        tell(context, &mut out, kept)?;
    }
    if !context.json {
        let dropped = if dropped.is_empty() { String::new() } else { format!(", {} dropped", dropped.len()) };
        writeln!(
            out,
            "{} series, {} rows computed, {} written{dropped}; {:.2} s; version {version}",
            all.len(),
            grouped(all.iter().map(|kept| kept.computed).sum()),
            grouped(all.iter().map(|kept| kept.written).sum()),
            start.elapsed().as_secs_f64()
        )?;
    }
    out.finish()?;
    match failed {
        0 => Ok(()),
        _ => Err(Fail::Findings(format!("{failed} instruments could not be computed"))),
    }
}

fn save_one(store: &Store, instrument: &str, arguments: &Compute) -> Result<Vec<Kept>> {
    let source = source(&store.view(), instrument, &arguments.frame)?;
    let setup = setup(&store.view(), arguments, &source)?;
    Ok(keep(store, &source, &setup, &pack(arguments)?, threads(arguments))?)
}

fn tell(context: &Context, out: &mut Out, kept: &Kept) -> Result<()> {
    if context.json {
        let object = Object::new()
            .text("instrument", kept.target.instrument())
            .text("frame", &kept.target.frame().to_string())
            .text("outcome", kept.outcome.name())
            .count("rows", kept.rows)
            .count("computed", kept.computed)
            .count("written", kept.written)
            .count("deleted", kept.deleted)
            .count("source_version", kept.source_version);
        out.write_all(&object.line())?;
        return Ok(());
    }
    writeln!(
        out,
        "{}: {}, {} rows, {} computed, {} written, {} deleted",
        kept.target,
        kept.outcome.name(),
        grouped(kept.rows),
        grouped(kept.computed),
        grouped(kept.written),
        grouped(kept.deleted)
    )?;
    Ok(())
}

fn shrink(context: &Context, arguments: &Cache, budget: u64) -> Result<()> {
    let store = context.open_to_write()?;
    let dropped = evict(&store, budget)?;
    store.close()?;
    for key in &dropped {
        crate::output::note(context.quiet, &format!("tape: {key} is dropped"));
    }
    cache(context, arguments)
}

/// Whether a kept series stands for the bars as they are now.
fn is_current(view: &View, entry: &Entry) -> Result<bool> {
    match view.changes_since(&entry.source, entry.source_version, 0) {
        Err(tapestore::Error::NotFound(_)) => Ok(false),
        changes => Ok(changes?.is_some_and(|changes| changes.is_empty())),
    }
}

fn object(entry: &Entry, state: &str) -> Object {
    Object::new()
        .text("instrument", entry.target.instrument())
        .text("frame", &entry.target.frame().to_string())
        .text("source", &entry.source.to_string())
        .text("state", state)
        .count("source_version", entry.source_version)
        .count("rows", entry.rows)
        .count("bytes", entry.bytes)
        .count("hits", entry.hits)
        .count("misses", entry.misses)
        .int("took_ns", entry.took_ns)
        .int("saved_ns", entry.saved_ns)
        .int("used_ns", entry.used_ns)
        .text("definition", &entry.definition)
}

fn seconds(ns: i64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}

/// What all of them come to, in one line.
fn sums(known: &[Entry]) -> String {
    let sum = |of: &dyn Fn(&Entry) -> u64| known.iter().map(of).sum::<u64>();
    let (hits, misses) = (sum(&|entry| entry.hits), sum(&|entry| entry.misses));
    format!(
        "{} kept, {}; {} of {} requests found what they asked for ({:.1} %), {} saved",
        known.iter().filter(|entry| !entry.definition.is_empty()).count(),
        bytes(sum(&|entry| entry.bytes)),
        grouped(hits),
        grouped(hits + misses),
        100.0 * hits as f64 / (hits + misses).max(1) as f64,
        seconds(known.iter().map(|entry| entry.saved_ns).sum())
    )
}

fn cache(context: &Context, arguments: &Cache) -> Result<()> {
    let store = context.open_to_read()?;
    let view = store.view();
    let known = entries(&view)?;
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("series", Side::Left),
        ("state", Side::Left),
        ("rows", Side::Right),
        ("size", Side::Right),
        ("hits", Side::Right),
        ("misses", Side::Right),
        ("saved", Side::Right),
        ("used", Side::Left),
        ("definition", Side::Left),
    ]);
    if arguments.csv {
        writeln!(out, "instrument,frame,state,rows,bytes,hits,misses,took_ns,saved_ns,used_ns,definition")?;
    }
    for entry in &known {
        let state = match entry.definition.is_empty() {
            true => "dropped",
            false if is_current(&view, entry)? => "current",
            false => "stale",
        };
        let (instrument, frame) = (entry.target.instrument(), entry.target.frame().to_string());
        if context.json {
            out.write_all(&object(entry, state).line())?;
        } else if arguments.csv {
            let Entry { rows, bytes, hits, misses, took_ns, saved_ns, used_ns, definition, .. } = entry;
            writeln!(
                out,
                "{instrument},{frame},{state},{rows},{bytes},{hits},{misses},{took_ns},{saved_ns},{used_ns},\"{definition}\""
            )?;
        } else {
            table.row([
                entry.target.to_string(),
                state.into(),
                grouped(entry.rows),
                bytes(entry.bytes),
                entry.hits.to_string(),
                entry.misses.to_string(),
                seconds(entry.saved_ns),
                brief(entry.used_ns),
                entry.definition.clone(),
            ]);
        }
    }
    if !context.json && !arguments.csv {
        if !table.is_empty() {
            table.write(&mut out)?;
        }
        writeln!(out, "{}", sums(&known))?;
    }
    out.finish()
}
