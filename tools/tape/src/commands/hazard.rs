//! `tape quality hazard`: when bars of a source are likely to be missing, and whether that forecast is worth anything.

use std::io::Write;

use tapestore::time::SECOND_NS;
use tapestore_catalog::span;
use tapestore_quality::hazard::{SourceHazard, hazards};
use tapestore_text::json::Object;

use super::Context;
use crate::args::hazard::Hazard;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::table::{Side, Table};
use crate::output::{Out, note};

const WEEK: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Runs `tape quality hazard`.
pub(crate) fn run(context: &Context, arguments: &Hazard) -> Result<()> {
    let slo_ns = span::parse(&arguments.slo)
        .ok_or_else(|| Fail::Usage(format!("{:?} is no span of time; write 5m", arguments.slo)))?;
    let store = context.open_to_read()?;
    let mut found = hazards(&store, &store.view())?;
    if let Some(source) = &arguments.source {
        found.retain(|one| one.source == *source);
        if found.is_empty() {
            return Err(Fail::Usage(format!("no bars of the store come from {source:?}")));
        }
    }
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("source", Side::Left),
        ("series", Side::Right),
        ("expected", Side::Right),
        ("missing", Side::Right),
        ("Brier", Side::Right),
        ("base", Side::Right),
        ("flat", Side::Right),
        ("skill", Side::Right),
        ("delay", Side::Right),
        ("highest, UTC", Side::Left),
    ]);
    for one in &found {
        if context.json {
            out.write_all(&object(one, arguments.hours, slo_ns).line())?;
            continue;
        }
        let (expected, missing) = one.hazard.counts();
        // A forecast without skill is not shown as one.
        let hours = if one.skill.is_real() { hours(one, arguments.hours) } else { "no skill".to_owned() };
        let late = if one.delay.is_critical(slo_ns) { ", late" } else { "" };
        table.row([
            one.source.clone(),
            one.series.to_string(),
            grouped(expected),
            format!("{:.3} %", 100.0 * missing as f64 / expected.max(1) as f64),
            format!("{:.6}", one.skill.brier),
            format!("{:.6}", one.skill.base),
            format!("{:.6}", one.skill.flat),
            format!("{:+.2} %", 100.0 * one.skill.over_flat().min(one.skill.over_base())),
            one.delay.mean_ns.map_or("-".to_owned(), |ns| format!("{:.1} s{late}", ns / SECOND_NS as f64)),
            hours,
        ]);
    }
    if found.is_empty() {
        note(context.quiet, "tape: there are no bars in the store");
    } else if !context.json {
        table.write(&mut out)?;
    }
    out.finish()
}

fn hours(one: &SourceHazard, count: usize) -> String {
    let hour = |(hour, share): (usize, f64)| {
        format!("{} {:02}:00 {:.2} %", WEEK[hour / 24], hour % 24, 100.0 * share)
    };
    one.hazard.worst_hours(count).into_iter().map(hour).collect::<Vec<_>>().join(", ")
}

fn object(one: &SourceHazard, count: usize, slo_ns: i64) -> Object {
    let (expected, missing) = one.hazard.counts();
    let hours = one.hazard.worst_hours(count).into_iter();
    let hours = hours.map(|(hour, share)| Object::new().count("hour", hour as u64).float("hazard", share));
    Object::new()
        .text("source", &one.source)
        .count("series", one.series)
        .count("expected", expected)
        .count("missing", missing)
        .count("scored", one.skill.bars)
        .count("weeks", one.skill.weeks)
        .float("brier", one.skill.brier)
        .float("base", one.skill.base)
        .float("flat", one.skill.flat)
        .float("gain", one.skill.gain.0)
        .float("gain_error", one.skill.gain.1)
        .flag("skill", one.skill.is_real())
        .maybe_int("delay_ns", one.delay.mean_ns.map(|ns| ns as i64))
        .count("arrivals", one.delay.arrivals)
        .flag("late", one.delay.is_critical(slo_ns))
        .objects("hours", hours)
}
