//! `tape repair`: bars in place of those that are missing or wrong, and taking that back; or the salvage of a store.

mod again;
mod salvage;

use std::collections::HashMap;
use std::io::Write;

use tapestore::SeriesKey;
use tapestore_quality::{
    Fix, Plan, Repairs, Rule, Settings, Setup, apply, check, is_checkable, plan_repairs, undo,
};

use super::operations::watched;
use super::watched::with_store;
use super::{Context, is_whole, range};
use crate::args::repair::Repair;
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::Out;
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::when::now_ns;

/// Runs `tape repair`.
pub(crate) fn run(context: &Context, arguments: &Repair) -> Result<()> {
    if let Some(target) = &arguments.target {
        return salvage::salvage(context, target);
    }
    let (context, setup, others) = &setup(context, arguments)?;
    if let Some(version) = arguments.undo {
        return watched(context, "repair undo", "", |_| take_back(context, setup, version));
    }
    // A plan changes nothing, so there is nothing to note of it; and where nothing repairs a bar, nothing failed.
    let left = if arguments.plan {
        repair(context, arguments, setup, others)?
    } else {
        watched(context, "repair", "", |_| repair(context, arguments, setup, others))?
    };
    ending(left)
}

/// How to check, and what the configuration says of the store and of other sources.
fn setup(context: &Context, arguments: &Repair) -> Result<(Context, Setup, HashMap<String, Vec<String>>)> {
    let (mut context, mut settings) = (context.clone(), Settings::default());
    if let Some(file) = &arguments.config {
        let config = super::config::load(file)?;
        settings = super::quality::settings_of(&config)?;
        context = with_store(&context, file, &config)?;
    }
    let mut setup =
        Setup { rules: settings.rules, calendars: settings.calendars, now_ns: now_ns(), ..Setup::default() };
    if arguments.calendar.is_some() {
        setup.calendars.everywhere.clone_from(&arguments.calendar);
    }
    Ok((context, setup, settings.others))
}

/// Plans, and does it if that is asked for; how many bars are left.
fn repair(
    context: &Context,
    arguments: &Repair,
    setup: &Setup,
    known_others: &HashMap<String, Vec<String>>,
) -> Result<usize> {
    let store = context.open_to_write()?;
    let keys: Vec<SeriesKey> =
        store.view().keys().into_iter().filter(|key| is_checkable(&store.view(), key)).collect();
    if let Some(name) = &arguments.calendar {
        tapestore_calendar::market(&store.view(), name)?;
    }
    if let Some(text) = unknown(arguments, &keys) {
        return Err(Fail::Usage(text));
    }
    // Those named here come before those of the file.
    let mut others: HashMap<String, Vec<String>> = HashMap::new();
    for (instrument, other) in &arguments.other {
        others.entry(instrument.clone()).or_default().push(other.clone());
    }
    for (instrument, more) in known_others {
        others.entry(instrument.clone()).or_default().extend(more.iter().cloned());
    }
    let mut source = match &arguments.source {
        Some(name) => Some(again::Again::new(&store, name, arguments.url.clone())?),
        None => None,
    };
    let mut repairs = Repairs {
        refetch: source.as_mut().map(|source| source as &mut dyn tapestore_quality::Refetch),
        others,
        range: if is_whole(&arguments.span) { None } else { Some(range(&arguments.span)?) },
        forward_fill: arguments.forward_fill,
    };
    let wanted = |key: &SeriesKey| {
        arguments.instrument.as_ref().is_none_or(|wanted| key.instrument() == wanted)
            && arguments.frame.as_ref().is_none_or(|wanted| key.frame().to_string() == *wanted)
    };
    let plan = plan_repairs(&store, wanted, &mut repairs, setup)?;
    let mut out = Out::stdout();
    tell_plan(context, arguments, &plan, &mut out)?;
    if arguments.apply {
        let applied = apply(&store, &plan, setup)?;
        check(&store, wanted, setup)?;
        if context.json {
            let object = Object::new()
                .count("version", applied.version)
                .count("bars", applied.bars)
                .count("findings", applied.findings);
            out.write_all(&object.line())?;
        } else if applied.bars > 0 {
            writeln!(
                out,
                "version {}: {} bars, {} findings are closed; tape repair --undo {} takes it back",
                applied.version,
                grouped(applied.bars),
                grouped(applied.findings),
                applied.version
            )?;
        }
    }
    store.close()?;
    out.finish()?;
    Ok(plan.left.len())
}

/// What of the arguments names nothing that is there.
fn unknown(arguments: &Repair, keys: &[SeriesKey]) -> Option<String> {
    let others = arguments.other.iter().flat_map(|(instrument, other)| [instrument, other]);
    let is_there = |name: &str| keys.iter().any(|key| key.instrument() == name);
    if let Some(name) = arguments.instrument.iter().chain(others).find(|name| !is_there(name)) {
        return Some(format!("there are no bars of {name:?} in the store; tape ls lists what is there"));
    }
    let frame = arguments.frame.as_ref()?;
    let fits = |key: &SeriesKey| {
        key.frame().to_string() == *frame
            && arguments.instrument.as_ref().is_none_or(|wanted| key.instrument() == wanted)
    };
    let of = arguments.instrument.as_ref().map_or(String::new(), |name| format!(" of {name}"));
    let text =
        format!("there are no bars{of} of the frame {frame:?} in the store; tape ls lists what is there");
    (!keys.iter().any(fits)).then_some(text)
}

fn ending(left: usize) -> Result<()> {
    match left {
        0 => Ok(()),
        left => Err(Fail::Findings(format!(
            "for {} bars there is nothing to repair them with",
            grouped(left as u64)
        ))),
    }
}

fn words(rules: &[Rule]) -> String {
    rules.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", ")
}

fn tell_plan(context: &Context, arguments: &Repair, plan: &Plan, out: &mut Out) -> Result<()> {
    if context.json {
        for fix in &plan.fixes {
            out.write_all(&fix_object(fix).line())?;
        }
        for (key, time, rules) in &plan.left {
            let object = Object::new()
                .text("instrument", key.instrument())
                .text("frame", &key.frame().to_string())
                .int("time", *time)
                .text("rules", &words(rules))
                .text("method", "none");
            out.write_all(&object.line())?;
        }
        return Ok(());
    }
    let mut table = Table::new([
        ("instrument", Side::Left),
        ("frame", Side::Left),
        ("time", Side::Left),
        ("why", Side::Left),
        ("close", Side::Right),
        ("becomes", Side::Right),
        ("how", Side::Left),
        ("from", Side::Left),
    ]);
    let fixes = plan.fixes.iter().map(|fix| {
        let before = fix.before.map_or_else(|| "-".to_owned(), |before| before.0.to_string());
        let how = [before, fix.value("close").to_string(), fix.method.name().to_owned(), fix.origin.clone()];
        (&fix.key, fix.time_ns, &fix.rules, how)
    });
    let nothing = || ["-", "-", "nothing", "-"].map(str::to_owned);
    let left = plan.left.iter().map(|(key, time, rules)| (key, *time, rules, nothing()));
    for (key, time, rules, how) in fixes.chain(left).take(arguments.limit) {
        let [before, becomes, method, origin] = how;
        let (instrument, frame) = (key.instrument().to_owned(), key.frame().to_string());
        table.row([instrument, frame, brief(time), words(rules), before, becomes, method, origin]);
    }
    if !table.is_empty() {
        table.write(out)?;
    }
    let (bars, left) = (plan.fixes.len(), plan.left.len());
    let more = (bars + left).saturating_sub(arguments.limit);
    let more = if more > 0 { format!("; {} not shown", grouped(more as u64)) } else { String::new() };
    writeln!(out, "{} bars can be repaired, {} cannot{more}", grouped(bars as u64), grouped(left as u64))?;
    Ok(())
}

fn fix_object(fix: &Fix) -> Object {
    let mut object = Object::new()
        .text("instrument", fix.key.instrument())
        .text("frame", &fix.key.frame().to_string())
        .int("time", fix.time_ns)
        .text("rules", &words(&fix.rules))
        .text("method", fix.method.name())
        .text("from", &fix.origin);
    if let Some((close, volume)) = fix.before {
        object = object.float("close_before", close).float("volume_before", volume);
    }
    for name in ["open", "high", "low", "close", "volume"] {
        object = object.float(name, fix.value(name));
    }
    object
}

fn take_back(context: &Context, setup: &Setup, version: Option<u64>) -> Result<()> {
    let store = context.open_to_write()?;
    let undone = undo(&store, version)?;
    // What was repaired is open again.
    check(&store, |key| undone.series.contains(key), setup)?;
    store.close()?;
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new()
            .count("repair", undone.repair)
            .count("version", undone.version)
            .count("restored", undone.restored)
            .count("removed", undone.removed)
            .count("kept", undone.kept.len() as u64);
        out.write_all(&object.line())?;
    } else {
        writeln!(
            out,
            "repair of version {} is taken back in version {}: {} bars as before, {} gone that were not there",
            undone.repair,
            undone.version,
            grouped(undone.restored),
            grouped(undone.removed)
        )?;
        for (key, time) in &undone.kept {
            writeln!(out, "left as it is, it changed since: {key} {}", brief(*time))?;
        }
    }
    out.finish()?;
    match undone.kept.len() {
        0 => Ok(()),
        kept => {
            Err(Fail::Findings(format!("{kept} bars changed since the repair and were left as they are")))
        }
    }
}
