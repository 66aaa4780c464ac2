//! `tape fetch`: what is missing, from where it is, into the store.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tapestore::time::{Frame, SECOND_NS};
use tapestore::{Error as StoreError, SeriesKey, Store, View};
use tapestore_catalog::span;
use tapestore_fetch::clock::{Stop, SystemClock};
use tapestore_fetch::http::{Http, Timeouts};
use tapestore_fetch::plan::{FIRST_SYNC_NS, expected};
use tapestore_fetch::sources::{ALL, Settings, source};
use tapestore_fetch::wire::Secret;
use tapestore_fetch::{Error, Item, Job, Observer, Outcome, Plan, Runner, Source, Summary, plan, run};
use tapestore_query::Sessions;

use super::calendar::expected_ranges;
use super::coverage::read_sessions;
use super::import::open_or_create;
use super::operations::{note_done, watched};
use super::{Context, watch};
use crate::args::Tiers;
use crate::args::fetch::Fetch;
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::output::{Out, note};
use crate::progress::span as spoken;
use crate::when::{now_ns, parse_time};

/// Runs `tape fetch`.
pub(crate) fn run_fetch(context: &Context, arguments: &Fetch) -> Result<()> {
    if arguments.list {
        return list(context);
    }
    if let Some(file) = &arguments.config {
        return super::config::fetch(context, arguments, file);
    }
    let name = arguments.source.as_deref().unwrap_or_default();
    let source = source(name, &settings(arguments)?)?;
    let jobs = |view: &View| jobs(view, arguments, &source);
    if arguments.plan {
        return plan_only(context, &jobs);
    }
    let target = format!("{name} {}", arguments.symbols.join(" "));
    carry_out(context, &runner(arguments)?, &arguments.tiers, &target, &jobs, &|_, _| Ok(0))
}

/// Makes the jobs, given what is there.
pub(super) type Jobs<'a> = &'a dyn Fn(&View) -> Result<Vec<Job>>;
/// Does what comes after a run, given the version before it; gives the number of findings.
pub(super) type After<'a> = &'a dyn Fn(&Store, u64) -> Result<u64>;

/// Shows a plan.
pub(super) fn plan_only(context: &Context, jobs: Jobs<'_>) -> Result<()> {
    let store = context.directory().is_ok_and(std::path::Path::is_dir).then(|| context.open_to_read());
    let store = store.transpose()?;
    // Without a store everything is missing.
    let empty = Store::create_on(Arc::new(tapestore::io::MemoryStorage::new()), super::write_options())?;
    let view = store.as_ref().unwrap_or(&empty).view();
    let plan = plan(&view, jobs(&view)?, now_ns())?;
    show_plan(context, &plan)?;
    failed_plan(&plan)
}

/// Plans and fetches.
pub(super) fn carry_out(
    context: &Context,
    runner: &Runner,
    tiers: &Tiers,
    target: &str,
    jobs: Jobs<'_>,
    after: After<'_>,
) -> Result<()> {
    // What is found is no failure of the run: the log says that it went well.
    let found = watched(context, "fetch", target, |operation| {
        let store = open_or_create(context, tiers.options())?;
        let view = store.view();
        let plan = plan(&view, jobs(&view)?, now_ns())?;
        let watch = watch::Watch::begin(context, &plan);
        let summary = run(&store, &plan, runner, &watch as &dyn Observer)?;
        watch.end();
        // A run that changes nothing is noted where the one before failed: that it is over is worth a row.
        if summary.written().commit.changed
            || ended_badly(&view, target)? && summary.failed().next().is_none()
        {
            note_done(&store, operation, &detail(&summary))?;
        }
        show_summary(context, &plan, &summary, operation.time_ns)?;
        let found = if summary.outcomes.iter().any(Outcome::was_stopped) {
            0
        } else {
            after(&store, view.version())?
        };
        store.close()?;
        ending(&plan, &summary)?;
        Ok(summary.written().findings + found)
    })?;
    match found {
        0 => Ok(()),
        count => Err(Fail::Findings(format!(
            "{} findings; tape show tapestore fetch/findings lists them",
            grouped(count)
        ))),
    }
}

/// Whether the last run for a target that the log knows did not end well.
fn ended_badly(view: &View, target: &str) -> Result<bool> {
    let operations = view.operations(i64::MIN..i64::MAX)?;
    let last = operations.iter().rev().find(|it| it.kind == "fetch" && it.target == target);
    Ok(last.is_some_and(|last| last.outcome != tapestore::Outcome::Done))
}

fn list(context: &Context) -> Result<()> {
    let mut out = Out::stdout();
    let mut table = Table::new([("source", Side::Left), ("what it gives", Side::Left)]);
    for entry in &ALL {
        if context.json {
            out.write_all(&Object::new().text("source", entry.name).text("about", entry.about).line())?;
        } else {
            table.row([entry.name.to_owned(), entry.about.to_owned()]);
        }
    }
    if !context.json {
        table.write(&mut out)?;
    }
    out.finish()
}

fn settings(arguments: &Fetch) -> Result<Settings> {
    let secret = |(name, variable): &(String, String)| match std::env::var(variable) {
        Ok(value) => Ok(Secret { name: name.clone(), value }),
        Err(_) => Err(Fail::Usage(format!("the environment has no variable {variable}, for {name}"))),
    };
    Ok(Settings {
        url: arguments.url.clone(),
        name: arguments.name.clone(),
        secrets: arguments.keys.iter().map(secret).collect::<Result<_>>()?,
        ..Settings::default()
    })
}

/// A job for every symbol and frame.
fn jobs(view: &View, arguments: &Fetch, source: &Arc<dyn Source>) -> Result<Vec<Job>> {
    let now = now_ns();
    let time = |text: &Option<String>| text.as_deref().map(|text| parse_time(text, now)).transpose();
    let (since, until) = (time(&arguments.since)?, time(&arguments.until)?.unwrap_or(now));
    if since.is_some_and(|since| since >= until) {
        return Err(Fail::Usage("--since lies after the end of what is expected".to_owned()));
    }
    let file = arguments.sessions.as_deref().map(read_sessions).transpose()?;
    let file = file.map(Sessions::of_ranges).transpose()?;
    let mut jobs: Vec<Job> = Vec::new();
    for symbol in &arguments.symbols {
        for text in &arguments.frames {
            let frame = Frame::parse(text)
                .filter(|frame| !matches!(frame, Frame::Table(_)))
                .ok_or_else(|| Fail::Usage(format!("{text:?} is neither a timeframe nor trades")))?;
            let key = source.key(symbol, &frame)?;
            if jobs.iter().any(|job| job.key == key) {
                continue;
            }
            let range = since.map_or_else(|| beginning(view, &key, now), Ok)?..until;
            let sessions = match (&file, &arguments.calendar) {
                (Some(sessions), _) => expected(sessions, &frame),
                (None, Some(exchange)) => expected_ranges(view, &key, exchange, range.clone())?,
                (None, None) => None,
            };
            jobs.push(Job {
                source: Arc::clone(source),
                symbol: symbol.clone(),
                range,
                key,
                sessions: sessions.map(Arc::new),
                recheck: arguments.recheck,
            });
        }
    }
    Ok(jobs)
}

/// Where a series begins of which nobody says it: where it does, or where an earlier fetch found nothing before it.
pub(super) fn beginning(view: &View, key: &SeriesKey, now: i64) -> Result<i64> {
    match view.info(key) {
        Err(StoreError::NotFound(_)) => Ok(now - FIRST_SYNC_NS),
        Ok(info) => {
            let absent = view.absences(key)?.first().map(|absence| absence.start);
            Ok(info.first_ns.into_iter().chain(absent).min().unwrap_or(now - FIRST_SYNC_NS))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn runner(arguments: &Fetch) -> Result<Runner> {
    let time = |name: &str, text: &str| {
        let parsed = span::parse(text).filter(|span| *span > 0);
        let parsed =
            parsed.ok_or_else(|| Fail::Usage(format!("--{name} {text:?} is no span of time; write 10m")))?;
        Ok::<_, Fail>(Duration::from_nanos(parsed.unsigned_abs()))
    };
    let whole = time("timeout", &arguments.timeout)?;
    let defaults = Timeouts::default();
    let timeouts =
        Timeouts { connect: defaults.connect.min(whole), answer: defaults.answer.min(whole), whole };
    Ok(Runner {
        transport: Arc::new(Http::new(timeouts)),
        clock: Arc::new(SystemClock::default()),
        stop: stop_on_signals()?,
        concurrency: arguments.concurrency.map(usize::from),
        patience: time("patience", &arguments.patience)?,
    })
}

/// Ctrl-C ends a run after the pages that are under way; a second one ends the process on the spot.
#[cfg(unix)]
fn stop_on_signals() -> Result<Stop> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let flag = Arc::default();
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(Stop::following(flag))
}

#[cfg(not(unix))]
fn stop_on_signals() -> Result<Stop> {
    Ok(Stop::default())
}

fn show_plan(context: &Context, plan: &Plan) -> Result<()> {
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("instrument", Side::Left),
        ("frame", Side::Left),
        ("why", Side::Left),
        ("from", Side::Left),
        ("to", Side::Left),
        ("missing", Side::Right),
    ]);
    for item in &plan.items {
        let (instrument, frame) = (item.job.key.instrument(), item.job.key.frame().to_string());
        if context.json {
            out.write_all(&plan_object(item).line())?;
        }
        for piece in &item.pieces {
            let missing = if piece.missing == 0 { "?".to_owned() } else { grouped(piece.missing) };
            table.row([
                instrument.to_owned(),
                frame.clone(),
                piece.reason.name().to_owned(),
                brief(piece.range.start),
                brief(piece.range.end / SECOND_NS * SECOND_NS),
                missing,
            ]);
        }
        if item.pieces.is_empty() {
            let cells = [instrument.to_owned(), frame, "current".into(), "-".into(), "-".into(), "0".into()];
            table.row(cells);
        }
    }
    if context.json {
        let weight = plan.items.iter().map(|item| item.weight).sum();
        let object = Object::new()
            .text("event", "total")
            .count("requests", plan.requests())
            .count("weight", weight)
            .count("missing", plan.missing())
            .count("seconds", plan.seconds());
        out.write_all(&object.line())?;
    } else {
        table.write(&mut out)?;
        writeln!(
            out,
            "{} bars are missing; at most {} requests, about {}; nothing was sent",
            grouped(plan.missing()),
            grouped(plan.requests()),
            spoken(plan.seconds() as f64)
        )?;
    }
    out.finish()
}

fn plan_object(item: &Item) -> Object {
    let piece = |piece: &tapestore_fetch::Piece| {
        Object::new()
            .text("why", piece.reason.name())
            .int("from", piece.range.start)
            .int("to", piece.range.end)
            .count("missing", piece.missing)
    };
    Object::new()
        .text("event", "plan")
        .text("instrument", item.job.key.instrument())
        .text("frame", &item.job.key.frame().to_string())
        .text("source", item.job.source.name())
        .count("requests", item.requests)
        .count("weight", item.weight)
        .objects("pieces", item.pieces.iter().map(piece))
}

/// What came of it, in a line.
fn detail(summary: &Summary) -> String {
    let written = summary.written();
    format!(
        "{} series, {} requests: {} added, {} updated, {} unchanged, {} absent, {} findings",
        grouped(summary.outcomes.len() as u64),
        grouped(summary.requests()),
        grouped(written.commit.added),
        grouped(written.commit.updated),
        grouped(written.commit.unchanged),
        grouped(written.absent),
        grouped(written.findings)
    )
}

fn show_summary(context: &Context, plan: &Plan, summary: &Summary, begun_ns: i64) -> Result<()> {
    let mut out = Out::stdout();
    let seconds = (now_ns() - begun_ns).max(1) as f64 / SECOND_NS as f64;
    if context.json {
        let written = summary.written();
        let object = Object::new()
            .text("event", "summary")
            .count("series", plan.items.len() as u64)
            .count("failed", summary.failed().count() as u64 + plan.failed.len() as u64)
            .count("requests", summary.requests())
            .count("added", written.commit.added)
            .count("updated", written.commit.updated)
            .count("unchanged", written.commit.unchanged)
            .count("absent", written.absent)
            .count("findings", written.findings)
            .count("version", written.commit.version)
            .float("seconds", seconds);
        out.write_all(&object.line())?;
        return out.finish();
    }
    let mut table = Table::new([
        ("instrument", Side::Left),
        ("frame", Side::Left),
        ("requests", Side::Right),
        ("added", Side::Right),
        ("updated", Side::Right),
        ("absent", Side::Right),
        ("findings", Side::Right),
        ("", Side::Left),
    ]);
    for outcome in &summary.outcomes {
        table.row(cells(outcome));
    }
    if !table.is_empty() {
        table.write(&mut out)?;
    }
    let current = plan.items.iter().filter(|item| item.pieces.is_empty()).count();
    if current > 0 {
        writeln!(out, "{} series are current", grouped(current as u64))?;
    }
    if !summary.outcomes.is_empty() {
        let rate = grouped((summary.written().rows as f64 / seconds) as u64);
        writeln!(out, "{}; {seconds:.1} s, {rate} rows/s", detail(summary))?;
    }
    out.finish()
}

fn cells(outcome: &Outcome) -> [String; 8] {
    let written = &outcome.written;
    let state = match &outcome.error {
        None => "done",
        Some(_) if outcome.was_stopped() => "stopped",
        Some(_) => "failed",
    };
    [
        outcome.key.instrument().to_owned(),
        outcome.key.frame().to_string(),
        grouped(outcome.requests),
        grouped(written.commit.added),
        grouped(written.commit.updated),
        grouped(written.absent),
        grouped(written.findings),
        state.to_owned(),
    ]
}

fn failed_plan(plan: &Plan) -> Result<()> {
    for (key, reason) in &plan.failed {
        note(false, &format!("tape: {key}: {reason}"));
    }
    match plan.failed.first() {
        Some((key, reason)) if plan.items.is_empty() => Err(Fail::Usage(format!("{key}: {reason}"))),
        Some(_) => Err(Fail::Findings(format!("{} series cannot be fetched", plan.failed.len()))),
        None => Ok(()),
    }
}

/// What the process ends with: failures of all are those of the network or of the call, of some are findings.
fn ending(plan: &Plan, summary: &Summary) -> Result<()> {
    let failed: Vec<&Outcome> = summary.failed().collect();
    if failed.iter().any(|outcome| outcome.was_stopped()) {
        let (done, all) = (summary.outcomes.len() - failed.len(), plan.items.len());
        let text = format!(
            "stopped: {done} of {all} series are complete, what came of the others is kept; the same command goes on"
        );
        return Err(Fail::Findings(text));
    }
    for outcome in failed.iter().skip(1) {
        let reason = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
        note(false, &format!("tape: {}: {reason}", outcome.key));
    }
    if let Some(first) = failed.first() {
        let reason = first.error.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = format!("{}: {reason}", first.key);
        let nothing = failed.len() == summary.outcomes.len();
        return Err(match first.error.as_deref() {
            Some(Error::GaveUp { .. } | Error::Banned { .. }) if nothing => Fail::Io(text),
            _ => Fail::Findings(text),
        });
    }
    failed_plan(plan)
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Self::from(error),
            Error::Usage(text) => Self::Usage(text),
            other => Self::Io(other.to_string()),
        }
    }
}
