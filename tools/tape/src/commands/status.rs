//! `tape status`: how a store is, at a glance.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tapestore::{Operation, Outcome};
use tapestore_alert::Level;
use tapestore_alert::rule::brief_span;
use tapestore_quality::{Score, Severity};
use tapestore_report::json::overview as object;
use tapestore_report::overview::Group;
use tapestore_report::{Health, Overview};

use super::Context;
use super::alerts::code;
use super::tail::Wait;
use super::watched::Setup;
use crate::args::alerts::Status;
use crate::calendar::brief;
use crate::fail::{FINDINGS, Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::table::{Side, Table, facts};
use crate::output::{Out, plain};
use crate::when::now_ns;

/// Alerts that are listed.
const ALERTS: usize = 10;

/// Runs `tape status`.
pub(crate) fn run(context: &Context, arguments: &Status) -> Result<()> {
    let setup = Setup::load(context, arguments.config.as_deref())?;
    let Some(seconds) = arguments.watch else {
        return ending(&once(context, &setup, arguments)?);
    };
    let wait = Wait::begin(Duration::from_secs(seconds.into()))?;
    let drawing = !context.json && std::io::stdout().is_terminal();
    loop {
        if drawing {
            // From the top, over what was there; the rest is cleared after it is written.
            let mut out = std::io::stdout();
            out.write_all(b"\x1b[H\x1b[2J")?;
            out.flush()?;
        }
        let last = once(context, &setup, arguments)?;
        if !wait.more() {
            return ending(&last);
        }
        if !drawing && !context.json {
            writeln!(std::io::stdout())?;
        }
    }
}

/// Looks, shows and exports.
fn once(context: &Context, setup: &Setup, arguments: &Status) -> Result<Overview> {
    let store = setup.context.open_to_read()?;
    let (view, now) = (store.view(), now_ns());
    let overview = Overview::of(&store, &view, &setup.knowledge(&store, &view, now)?, now)?;
    if let Some(path) = &arguments.export {
        let mut file = Out::create(path, true)?;
        file.write_all(&object(&overview).line())?;
        file.finish()?;
    }
    let mut out = Out::stdout();
    if context.json {
        out.write_all(&object(&overview).line())?;
    } else {
        write(&overview, &mut out)?;
    }
    out.finish()?;
    Ok(overview)
}

fn ending(overview: &Overview) -> Result<()> {
    match overview.health() {
        Health::Good => Ok(()),
        Health::Attention => {
            Err(Fail::Alert(FINDINGS, "no alert fires, but something deserves attention".to_owned()))
        }
        Health::Alerts(level) => Err(Fail::Alert(code(level), format!("a {} alert fires", level.name()))),
    }
}

/// Seconds are enough for people.
fn at(time_ns: i64) -> String {
    brief(time_ns - time_ns.rem_euclid(1_000_000_000))
}

fn graded(score: &Score) -> String {
    let few = if score.provisional { ", provisional" } else { "" };
    let held = if score.held_back { ", held back by its lag" } else { "" };
    format!("{} {}{few}{held}", share(score.ratio), score.tier)
}

/// A share in percent; what is not all of it is never shown as 100 %.
fn share(ratio: f64) -> String {
    if ratio >= 1.0 { "100 %".to_owned() } else { format!("{:.3} %", (ratio * 100_000.0).floor() / 1000.0) }
}

fn write(overview: &Overview, out: &mut Out) -> Result<()> {
    let stats = &overview.stats;
    let directory = overview.directory.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let committed = overview.committed_ns.map_or_else(String::new, |time| format!(" of {}", at(time)));
    let saved = overview.saved().filter(|saved| *saved > 0.0).map_or_else(String::new, |saved| {
        format!(", {:.1} % less than {} of plain values", saved * 100.0, bytes(overview.plain_bytes))
    });
    let per_row = stats.bytes_on_disk as f64 / stats.rows.max(1) as f64;
    let mut lines = vec![
        ("as of", format!("{} UTC", at(overview.now_ns))),
        ("store", format!("{directory}, version {}{committed}", stats.version)),
        ("series", format!("{}, {} of bars", grouped(stats.series), grouped(overview.lines.len() as u64))),
        ("rows", format!("{}, and {} of history", grouped(stats.rows), grouped(stats.history_rows))),
        ("size", format!("{}, {per_row:.2} bytes a row{saved}", bytes(stats.bytes_on_disk))),
    ];
    if let Some(disk) = overview.disk {
        let used = 100.0 - disk.free as f64 * 100.0 / disk.all.max(1) as f64;
        lines.push(("disk", format!("{} of {} free, {used:.0} % used", bytes(disk.free), bytes(disk.all))));
    }
    let quality = overview.score.as_ref().map(|score| {
        let tiers: Vec<String> = overview
            .tiers
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(tier, count)| format!("{} {tier}", grouped(*count)))
            .collect();
        let d = &score.dimensions;
        format!(
            "{} of expected bars can be used ({} series: {}); complete {}, valid {}, consistent {}, accurate {}{}",
            graded(score),
            grouped(overview.tiers.iter().map(|tier| tier.1).sum()),
            tiers.join(", "),
            share(d.completeness),
            share(d.validity),
            share(d.consistency),
            share(d.accuracy),
            score.lag_ns.map_or_else(String::new, |_| format!(", timely {}", share(d.timeliness)))
        )
    });
    lines.push(("quality", quality.unwrap_or_else(|| "not checked yet: tape quality".to_owned())));
    let open: Vec<String> = [Severity::High, Severity::Medium, Severity::Low]
        .into_iter()
        .map(|severity| (severity, overview.open(severity)))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{} {}", grouped(count as u64), severity.name()))
        .collect();
    lines.push((
        "findings",
        if open.is_empty() { "none open".to_owned() } else { format!("open: {}", open.join(", ")) },
    ));
    lines.push(("alerts", alerts(overview)));
    lines.push(("fetch", fetch(overview)));
    lines.push(("verified", done(overview.verified.as_ref(), overview.now_ns)));
    lines.push(("backup", done(overview.backed_up.as_ref(), overview.now_ns)));
    lines.push(("health", overview.health().name().to_owned()));
    facts(out, &lines)?;
    if overview.groups.iter().any(|group| !group.name.is_empty()) {
        groups(out, "universe", &overview.groups)?;
    }
    groups(out, "frame", &overview.frames)?;
    firing(out, overview)
}

fn alerts(overview: &Overview) -> String {
    let firing = overview.firing();
    let pending = overview.alerts.len() - firing.len();
    let counts: Vec<String> = Level::ALL
        .into_iter()
        .rev()
        .map(|level| (level, firing.iter().filter(|it| it.level == level).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(level, count)| format!("{} {}", grouped(count as u64), level.name()))
        .collect();
    match (counts.is_empty(), pending) {
        (true, 0) => "none".to_owned(),
        (true, pending) => format!("none fires, {pending} pending"),
        (false, 0) => counts.join(", "),
        (false, pending) => format!("{}, {pending} pending", counts.join(", ")),
    }
}

fn ago(time_ns: i64, now_ns: i64) -> String {
    format!("{} ago", brief_span(now_ns.saturating_sub(time_ns)))
}

fn fetch(overview: &Overview) -> String {
    let (last, well) = &overview.fetch;
    let Some(last) = last else { return "never noted".to_owned() };
    let when = ago(last.time_ns, overview.now_ns);
    match (last.outcome, well) {
        (Outcome::Done, _) => format!("{when}, {}: {}", last.target, last.detail),
        (outcome, None) => format!("{when}, {}: {}: {}", last.target, outcome.name(), last.error),
        (outcome, Some(well)) => {
            let before = ago(well.time_ns, overview.now_ns);
            format!(
                "{when}, {}: {}: {}; the last that ended well {before}",
                last.target,
                outcome.name(),
                last.error
            )
        }
    }
}

fn done(operation: Option<&Operation>, now_ns: i64) -> String {
    let Some(last) = operation else { return "never noted".to_owned() };
    let what = if last.error.is_empty() { &last.detail } else { &last.error };
    format!("{}: {what}", ago(last.time_ns, now_ns))
}

fn groups(out: &mut Out, what: &str, groups: &[Group]) -> Result<()> {
    let mut table = Table::new([
        (what, Side::Left),
        ("series", Side::Right),
        ("rows", Side::Right),
        ("newest", Side::Left),
        ("lag", Side::Right),
        ("score", Side::Left),
    ]);
    for group in groups {
        table.row([
            if group.name.is_empty() { "(none)".to_owned() } else { group.name.clone() },
            grouped(group.series),
            grouped(group.rows),
            group.newest_ns.map_or_else(|| "-".to_owned(), at),
            group
                .lag_ns
                .map_or_else(|| "-".to_owned(), |lag| if lag == 0 { "0".into() } else { brief_span(lag) }),
            group.score.as_ref().map_or_else(|| "-".to_owned(), graded),
        ]);
    }
    if !table.is_empty() {
        writeln!(out)?;
        table.write(out)?;
    }
    Ok(())
}

fn firing(out: &mut Out, overview: &Overview) -> Result<()> {
    let firing = overview.firing();
    if !firing.is_empty() {
        writeln!(out)?;
    }
    for it in firing.iter().take(ALERTS) {
        let text = format!("{:<8}  {} of {}: {}", it.level.name(), it.rule, it.subject, it.evidence);
        writeln!(out, "{}", plain(&text))?;
    }
    if firing.len() > ALERTS {
        writeln!(out, "and {} more: tape alerts list", grouped((firing.len() - ALERTS) as u64))?;
    }
    Ok(())
}
