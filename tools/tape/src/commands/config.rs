//! `tape config check`, and `tape fetch --config`: one file that names what to keep current.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapestore::time::{DAY_NS, Frame};
use tapestore::{SeriesKey, Store, View};
use tapestore_alert::Alerts;
use tapestore_fetch::Job;
use tapestore_fetch::config::{Calendar, Config, Entry};
use tapestore_fetch::cross::cross_check;
use tapestore_fetch::plan::expected;
use tapestore_query::{Rule, Sessions, derive};

use super::Context;
use super::alerts::{explain, rule_object};
use super::calendar::{expected_ranges, sessions_of};
use super::coverage::read_sessions;
use super::fetch::{beginning, carry_out, plan_only, runner};
use crate::args::fetch::{Config as Command, Fetch};
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::json::{Object, texts};
use crate::output::table::{Side, Table};
use crate::output::{Out, note, plain, shown};
use crate::when::{now_ns, parse_time};

/// Runs `tape config`.
pub(crate) fn run(context: &Context, command: &Command) -> Result<()> {
    let Command::Check { file } = command;
    let config = load(file)?;
    // Mistakes are told, whatever is shown.
    let alerts = config.sections.get("alerts").map(Alerts::read).transpose()?;
    super::quality::settings_of(&config)?;
    let mut out = Out::stdout();
    if context.json {
        for rule in alerts.iter().flat_map(|alerts| &alerts.rules) {
            out.write_all(&rule_object(rule).line())?;
        }
        for entry in &config.entries {
            out.write_all(&object(&config, entry)?.line())?;
        }
        return out.finish();
    }
    let mut table = Table::new([
        ("source", Side::Left),
        ("symbols", Side::Right),
        ("fetched", Side::Left),
        ("derived", Side::Left),
        ("compared", Side::Left),
        ("since", Side::Left),
        ("calendar", Side::Left),
        ("schedule", Side::Left),
        ("store", Side::Left),
    ]);
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    for entry in &config.entries {
        table.row([
            entry.source.clone(),
            grouped(entry.symbols.len() as u64),
            words(&entry.frames),
            dash(words(&entry.derive)),
            dash(words(&entry.cross_check)),
            entry.since.clone().unwrap_or_else(|| "5y".to_owned()),
            entry.calendar.clone().unwrap_or_else(|| "always open".to_owned()),
            dash(entry.schedule.clone().unwrap_or_default()),
            entry.store.display().to_string(),
        ]);
    }
    if !table.is_empty() {
        table.write(&mut out)?;
    }
    for (name, universe) in &config.universes {
        let tier = universe.tier.map(|tier| format!(", tier {tier}")).unwrap_or_default();
        writeln!(out, "universe {}: {} symbols{tier}", plain(name), grouped(universe.symbols.len() as u64))?;
    }
    for name in config.entries.iter().map(|entry| &entry.source).collect::<BTreeSet<_>>() {
        let manners = config.source(name)?.manners();
        writeln!(
            out,
            "source {}: a weight of {} a minute, {} instruments at a time",
            plain(name),
            grouped(manners.weight_per_minute.into()),
            manners.concurrency
        )?;
    }
    if let Some(alerts) = &alerts {
        explain(alerts, &mut out)?;
    }
    let series: usize = config.entries.iter().map(|entry| entry.symbols.len() * entry.fetched().len()).sum();
    if series == 0 {
        writeln!(out, "sound: nothing is fetched; tape alerts check --config {} measures", shown(file))?;
        return out.finish();
    }
    writeln!(
        out,
        "sound: {} series; tape fetch --config {} --plan shows what is missing",
        series,
        shown(file)
    )?;
    out.finish()
}

fn words(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn object(config: &Config, entry: &Entry) -> Result<Object> {
    let names = |items: &[String]| texts(items);
    let frames =
        |items: &[tapestore::Timeframe]| texts(&items.iter().map(|item| item.name()).collect::<Vec<_>>());
    let fetched: Vec<String> = entry.frames.iter().map(ToString::to_string).collect();
    let manners = config.source(&entry.source)?.manners();
    Ok(Object::new()
        .count("line", entry.line as u64)
        .text("source", &entry.source)
        .raw("symbols", &names(&entry.symbols))
        .raw("timeframes", &names(&fetched))
        .raw("derive", &frames(&entry.derive))
        .raw("cross_check", &frames(&entry.cross_check))
        .text("since", entry.since.as_deref().unwrap_or("5y"))
        .text("calendar", entry.calendar.as_deref().unwrap_or_default())
        .text("schedule", entry.schedule.as_deref().unwrap_or_default())
        .text("store", &entry.store.display().to_string())
        .count("weight_per_minute", manners.weight_per_minute.into())
        .count("concurrency", manners.concurrency as u64))
}

/// Reads a configuration, with what only the command line can tell.
pub(super) fn load(file: &Path) -> Result<Config> {
    let config = Config::load(file)?;
    for entry in &config.entries {
        if let Some(since) = &entry.since {
            let place = |fail: Fail| Fail::Usage(format!("{}, line {}: {fail}", file.display(), entry.line));
            parse_time(since, now_ns()).map_err(place)?;
        }
    }
    for calendar in config.calendars.values() {
        if let Calendar::File(path) = calendar {
            read_sessions(path)?;
        }
    }
    Ok(config)
}

/// Runs `tape fetch --config`: store by store.
pub(super) fn fetch(context: &Context, arguments: &Fetch, file: &Path) -> Result<()> {
    let config = load(file)?;
    let store_of = |entry: &Entry| context.store.clone().unwrap_or_else(|| entry.store.clone());
    let stores: BTreeSet<PathBuf> = config.entries.iter().map(store_of).collect();
    let runner = runner(arguments)?;
    let mut first = Ok(());
    for store in stores {
        let context = Context { store: Some(store.clone()), ..context.clone() };
        let entries: Vec<&Entry> = config.entries.iter().filter(|entry| store_of(entry) == store).collect();
        let jobs = |view: &View| jobs(view, arguments, &config, &entries);
        let after = |store: &Store, since: u64| after(&context, store, since, &config, &entries);
        let done = if arguments.plan {
            plan_only(&context, &jobs)
        } else {
            carry_out(&context, &runner, &arguments.tiers, &file.display().to_string(), &jobs, &after)
        };
        match (done, &first) {
            (Err(fail), Ok(())) => first = Err(fail),
            (Err(fail), Err(_)) => note(false, &format!("tape: {}: {fail}", store.display())),
            (Ok(()), _) => {}
        }
        if runner.stop.is_stopped() {
            break;
        }
    }
    first
}

pub(super) fn sessions(
    config: &Config,
    entry: &Entry,
    view: &View,
    range: &Range<i64>,
) -> Result<Option<Sessions>> {
    match config.calendar(entry) {
        None => Ok(None),
        Some(Calendar::File(path)) => Ok(Some(Sessions::of_ranges(read_sessions(&path)?)?)),
        Some(Calendar::Exchange(name)) => Ok(Some(sessions_of(view, &name, range.clone())?)),
        Some(calendar) => Ok(calendar.sessions(range)?),
    }
}

/// Where bars are expected; `None`: always.
fn expected_of(
    config: &Config,
    entry: &Entry,
    view: &View,
    key: &SeriesKey,
    range: &Range<i64>,
) -> Result<Option<Vec<Range<i64>>>> {
    if let Some(Calendar::Exchange(name)) = config.calendar(entry) {
        return expected_ranges(view, key, &name, range.clone());
    }
    let sessions = sessions(config, entry, view, range)?;
    Ok(sessions.and_then(|sessions| expected(&sessions, key.frame())))
}

fn jobs(view: &View, arguments: &Fetch, config: &Config, entries: &[&Entry]) -> Result<Vec<Job>> {
    let now = now_ns();
    let until = arguments.until.as_deref().map(|text| parse_time(text, now)).transpose()?.unwrap_or(now);
    let mut jobs: Vec<Job> = Vec::new();
    for entry in entries {
        let source = config.source(&entry.source)?;
        let since = entry.since.as_deref().map(|text| parse_time(text, now)).transpose()?;
        for symbol in &entry.symbols {
            for frame in entry.fetched() {
                let key = source.key(symbol, &frame)?;
                if let Some(other) = jobs.iter().find(|job| job.key == key) {
                    if other.source.name() == source.name() {
                        continue;
                    }
                    let (one, two) = (other.source.name(), source.name());
                    return Err(Fail::Usage(format!(
                        "{key} is to come from {one} and from {two}; name one differently"
                    )));
                }
                let range = since.map_or_else(|| beginning(view, &key, now), Ok)?..until;
                let sessions = expected_of(config, entry, view, &key, &range)?;
                jobs.push(Job {
                    source: Arc::clone(&source),
                    symbol: symbol.clone(),
                    key,
                    range,
                    sessions: sessions.map(Arc::new),
                    recheck: arguments.recheck,
                });
            }
        }
    }
    Ok(jobs)
}

/// Makes coarser bars, and compares those that were fetched; gives the number of differences.
fn after(context: &Context, store: &Store, since: u64, config: &Config, entries: &[&Entry]) -> Result<u64> {
    let (mut made, mut compared, mut differences) = (0, 0, 0);
    for entry in entries {
        let source = config.source(&entry.source)?;
        let Some(finest) = entry.finest() else { continue };
        for symbol in &entry.symbols {
            let key = source.key(symbol, &Frame::Bars(finest))?;
            let Ok(info) = store.view().info(&key) else { continue };
            let (Some(first), Some(last)) = (info.first_ns, info.last_ns) else { continue };
            let sessions = sessions(config, entry, &store.view(), &(first..last + 1))?.map(Arc::new);
            for coarse in &entry.derive {
                made += derive(store, &key, Rule::Time(*coarse), sessions.clone())?.bars_written();
            }
            for coarse in &entry.cross_check {
                let own = SeriesKey::with_frame(key.instrument(), Frame::Bars(*coarse))?;
                let Some(range) = changed(&store.view(), since, [&own, &key])? else { continue };
                let found = cross_check(store, &key, *coarse, &range, source.name(), now_ns())?;
                compared += found.bars;
                differences += found.differences;
            }
        }
    }
    if made + compared > 0 {
        let mut out = Out::stdout();
        if context.json {
            let object = Object::new()
                .text("event", "derived")
                .count("bars", made)
                .count("compared", compared)
                .count("differences", differences);
            out.write_all(&object.line())?;
        } else {
            writeln!(
                out,
                "{} coarser bars made; {} compared, {} values differ",
                grouped(made),
                grouped(compared),
                grouped(differences)
            )?;
        }
        out.finish()?;
    }
    Ok(differences)
}

/// The range in which either series changed after a version: what is worth comparing.
fn changed(view: &View, since: u64, keys: [&SeriesKey; 2]) -> Result<Option<Range<i64>>> {
    let mut all: Option<Range<i64>> = None;
    for key in keys {
        let changes = match view.changes_since(key, since, DAY_NS) {
            Err(tapestore::Error::NotFound(_)) => return Ok(None),
            changes => changes?.unwrap_or_else(|| vec![i64::MIN..i64::MAX]),
        };
        for range in changes {
            let known = all.get_or_insert_with(|| range.clone());
            *known = known.start.min(range.start)..known.end.max(range.end);
        }
    }
    Ok(all)
}
