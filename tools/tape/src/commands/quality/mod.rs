//! `tape quality`: checks bars, and shows the score and what was found.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::ops::Range;

use tapestore::time::{DAY_NS, date_text};
use tapestore::{SeriesKey, View};
use tapestore_fetch::config::Config;
use tapestore_quality::{
    Checked, Finding, FindingState, Markets, Rule, RunReport, Score, Settings, Setup, Tally, check, checked,
    days, findings,
};

mod settle;
mod trend;

use super::watched::with_store;
use super::{Context, is_whole, range};
use crate::args::quality::{By, How, Quality, QualityCommand};
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::json::Object;
use crate::output::rows::push_csv_text;
use crate::output::table::{Side, Table};
use crate::output::{Out, note};
use crate::when::{now_ns, parse_time};

impl From<tapestore_quality::Error> for Fail {
    fn from(error: tapestore_quality::Error) -> Self {
        match error {
            tapestore_quality::Error::Store(error) => error.into(),
            other => Self::Usage(other.to_string()),
        }
    }
}

/// Runs `tape quality`.
pub(crate) fn run(context: &Context, arguments: &Quality) -> Result<()> {
    match &arguments.command {
        Some(QualityCommand::Accept(accept)) => {
            return settle::settle(context, accept, FindingState::Accepted);
        }
        Some(QualityCommand::Reopen(accept)) => return settle::settle(context, accept, FindingState::Open),
        Some(QualityCommand::Compare(arguments)) => return settle::compare(context, arguments),
        Some(QualityCommand::Hazard(hazard)) => return super::hazard::run(context, hazard),
        None => {}
    }
    if arguments.rules {
        return rules(context, arguments);
    }
    let (context, setup, universes) = &setup(context, &arguments.how, arguments.again)?;
    let (store, view) = if arguments.kept || arguments.trend || arguments.state.as_of.is_some() {
        context.view(&arguments.state)?
    } else {
        let store = context.open_to_write()?;
        if let Some(name) = &arguments.how.calendar {
            tapestore_calendar::market(&store.view(), name)?;
        }
        let report = check(&store, |key| is_wanted(arguments, key), setup)?;
        tell_run(context, &report);
        let view = store.view();
        (store, view)
    };
    if arguments.trend {
        return trend::trend(context, arguments, &store, setup, universes);
    }
    if arguments.findings {
        return list(context, arguments, &view);
    }
    scores(context, arguments, &view, setup, universes)
}

/// The section `quality` of a configuration, with the calendars that its other sections name; without one, what holds
/// without.
pub(super) fn settings_of(config: &Config) -> Result<Settings> {
    let section = config.sections.get("quality");
    let read = section.map(|section| Settings::read(&section.file, &section.node)).transpose()?;
    let mut settings = read.unwrap_or_default();
    super::expected::add_calendars(config, &mut settings.calendars)?;
    Ok(settings)
}

/// The universes of instruments.
type Universes = HashMap<String, Vec<String>>;

/// How to check as a command says it, with the store that its configuration names if it names none itself.
fn setup(context: &Context, how: &How, again: bool) -> Result<(Context, Setup, Universes)> {
    let (mut context, mut settings, mut universes) = (context.clone(), Settings::default(), HashMap::new());
    if let Some(file) = &how.config {
        let config = super::config::load(file)?;
        settings = settings_of(&config)?;
        context = with_store(&context, file, &config)?;
        universes = super::expected::universes(&config)?;
    }
    let mut setup = Setup {
        rules: settings.rules,
        calendars: settings.calendars,
        again,
        now_ns: now_ns(),
        ..Setup::default()
    };
    if how.calendar.is_some() {
        setup.calendars.everywhere.clone_from(&how.calendar);
    }
    Ok((context, setup, universes))
}

fn tell_run(context: &Context, report: &RunReport) {
    let mut reasons: BTreeMap<&str, Vec<&SeriesKey>> = BTreeMap::new();
    for (key, why) in &report.skipped {
        // What differs from series to series is told of each.
        let why = why.strip_prefix(&format!("{key}: ")).unwrap_or(why);
        reasons.entry(why).or_default().push(key);
    }
    for (why, keys) in reasons {
        let more = if keys.len() > 1 {
            format!(" and {} others", grouped(keys.len() as u64 - 1))
        } else {
            String::new()
        };
        note(context.quiet, &format!("not checked: {}{more}: {why}", keys[0]));
    }
    if report.read > 0 {
        note(
            context.quiet,
            &format!(
                "checked {} of {} series: {} bars on {} days; {} findings are new, {} are gone",
                report.read,
                report.series,
                grouped(report.bars),
                grouped(report.days),
                grouped(report.found),
                grouped(report.gone)
            ),
        );
    }
}

fn is_wanted(arguments: &Quality, key: &SeriesKey) -> bool {
    let instrument = arguments.instrument.as_ref();
    let named = instrument.is_none_or(|wanted| key.instrument().contains(wanted.as_str()));
    named && arguments.frame.as_ref().is_none_or(|wanted| key.frame().to_string() == *wanted)
}

/// Which bars are asked for, in words.
fn named(arguments: &Quality) -> String {
    let instrument =
        arguments.instrument.as_ref().map(|name| format!(" of an instrument with {name:?} in its name"));
    let frame = arguments.frame.as_ref().map(|frame| format!(" of the frame {frame:?}"));
    [instrument, frame].into_iter().flatten().collect()
}

fn wanted(arguments: &Quality, view: &View) -> Result<Vec<Checked>> {
    let mut all = checked(view)?;
    all.retain(|one| is_wanted(arguments, &one.key) && view.schema(&one.key).is_ok());
    if all.is_empty() {
        let hint = if arguments.kept { "leave out --kept to check" } else { "tape ls lists what is there" };
        return Err(Fail::Usage(format!("no bars{} were checked; {hint}", named(arguments))));
    }
    Ok(all)
}

/// Instrument, frame and day.
type Group = (String, String, Option<i64>);

/// One line: what it is about, and its score.
struct Line {
    instrument: String,
    frame: String,
    day: Option<i64>,
    score: Score,
    open: u64,
}

/// The lines that a series counts in: instrument and frame, or what stands in place of them.
fn labels(by: By, universes: &Universes, key: &SeriesKey) -> Vec<(String, String)> {
    let all = || "all".to_owned();
    match by {
        By::Series => vec![(key.instrument().to_owned(), key.frame().to_string())],
        By::Instrument => vec![(key.instrument().to_owned(), all())],
        By::Timeframe => vec![(all(), key.frame().to_string())],
        By::Day => vec![(all(), all())],
        By::Universe => match universes.get(key.instrument()) {
            Some(names) => names.iter().map(|name| (name.clone(), all())).collect(),
            // Without universes all are in one; with some, these are in none.
            None if universes.is_empty() => vec![(all(), all())],
            None => vec![("(none)".to_owned(), all())],
        },
    }
}

fn scores(
    context: &Context,
    arguments: &Quality,
    view: &View,
    setup: &Setup,
    universes: &Universes,
) -> Result<()> {
    let all = wanted(arguments, view)?;
    let span = range(&arguments.span)?;
    let whole = is_whole(&arguments.span);
    // Days are kept, not bars: a range is one of days.
    let span = if whole { span } else { whole_days(&span) };
    let now = match &arguments.at {
        Some(text) => parse_time(text, now_ns())?,
        None => now_ns(),
    };
    let mut open: HashMap<(String, String), u64> = HashMap::new();
    let mut groups: BTreeMap<Group, (Tally, Option<i64>)> = BTreeMap::new();
    let by = arguments.by.unwrap_or(By::Series);
    let mut markets = Markets::read(view)?;
    for one in &all {
        for (instrument, frame) in labels(by, universes, &one.key) {
            if by == By::Day {
                for day in days(view, one, span.clone())? {
                    let group = (instrument.clone(), frame.clone(), Some(day.day_ns));
                    groups.entry(group).or_default().0 += day.tally;
                }
                continue;
            }
            let lag = if whole {
                let around = one.last_ns..one.last_ns.saturating_add(1);
                markets.expected(view, &setup.calendars, &one.key, &around)?.lag(one.last_ns, now)
            } else {
                None
            };
            let group = groups.entry((instrument, frame, None)).or_default();
            group.0 += tally_of(view, one, (!whole).then_some(&span))?;
            group.1 = group.1.max(lag);
        }
    }
    for finding in findings(view, span)?.iter().filter(|finding| finding.state == FindingState::Open) {
        if all.iter().any(|one| one.key == finding.key) {
            for label in labels(by, universes, &finding.key) {
                *open.entry(label).or_default() += 1;
            }
        }
    }
    let lines: Vec<Line> = groups
        .into_iter()
        .map(|((instrument, frame, day), (tally, lag))| Line {
            open: open.get(&(instrument.clone(), frame.clone())).copied().unwrap_or(0),
            score: Score::of(tally, lag, &setup.rules),
            instrument,
            frame,
            day,
        })
        .collect();
    write_scores(context, arguments, &lines)?;
    let low = arguments.at_least.map_or(0, |tier| lines.iter().filter(|line| line.score.tier < tier).count());
    match arguments.at_least {
        Some(tier) if low > 0 => {
            Err(Fail::Findings(format!("{low} of {} are of a lower tier than {tier}", lines.len())))
        }
        _ => Ok(()),
    }
}

/// What was counted of a series, in all or in a range of days.
fn tally_of(view: &View, one: &Checked, span: Option<&Range<i64>>) -> Result<Tally> {
    Ok(match span {
        None => one.tally,
        Some(span) => days(view, one, span.clone())?.into_iter().map(|day| day.tally).sum(),
    })
}

fn whole_days(span: &Range<i64>) -> Range<i64> {
    let start = span.start.div_euclid(DAY_NS).saturating_mul(DAY_NS);
    let end = span.end.saturating_add(DAY_NS - 1).div_euclid(DAY_NS).saturating_mul(DAY_NS);
    start..end
}

fn percent(ratio: f64) -> String {
    // Never rounded up: 99.9996 % is not all.
    format!("{:.3}", (ratio * 100_000.0).floor() / 1000.0)
}

fn write_scores(context: &Context, arguments: &Quality, lines: &[Line]) -> Result<()> {
    let mut out = Out::stdout();
    let limit = arguments.limit.unwrap_or(usize::MAX);
    if arguments.csv {
        out.write_all(b"instrument,frame,day,tier,score,provisional,completeness,validity,consistency,accuracy,timeliness,expected,usable,missing,synthetic,open_findings,lag_ns\n")?;
    }
    let days = arguments.by == Some(By::Day);
    let first = match arguments.by {
        Some(By::Day) => "day",
        Some(By::Universe) => "universe",
        _ => "instrument",
    };
    let mut table = Table::new([
        (first, Side::Left),
        ("frame", Side::Left),
        ("tier", Side::Left),
        ("usable %", Side::Right),
        ("complete", Side::Right),
        ("valid", Side::Right),
        ("consistent", Side::Right),
        ("accurate", Side::Right),
        ("in time", Side::Right),
        ("expected", Side::Right),
        ("missing", Side::Right),
        ("findings", Side::Right),
    ]);
    for line in lines.iter().take(limit) {
        let (score, ratios) = (&line.score, line.score.dimensions);
        if context.json {
            out.write_all(&score_object(line).line())?;
        } else if arguments.csv {
            let mut text = Vec::new();
            push_csv_text(&mut text, &line.instrument);
            text.extend(
                format!(",{},{},{}", line.frame, line.day.map_or(String::new(), date_text), score.tier)
                    .bytes(),
            );
            let ratios = [
                ratios.completeness,
                ratios.validity,
                ratios.consistency,
                ratios.accuracy,
                ratios.timeliness,
            ];
            text.extend(format!(",{},{}", score.ratio, score.provisional).bytes());
            ratios.iter().for_each(|ratio| text.extend(format!(",{ratio}").bytes()));
            let tally = score.tally;
            let lag = score.lag_ns.map_or(String::new(), |lag| lag.to_string());
            let counts = [tally.expected, tally.usable, tally.missing(), tally.synthetic, line.open];
            counts.iter().for_each(|count| text.extend(format!(",{count}").bytes()));
            out.write_all(&text)?;
            writeln!(out, ",{lag}")?;
        } else {
            let nothing = score.tally.expected == 0;
            let ratio = |ratio| if nothing { "-".to_owned() } else { percent(ratio) };
            let mark = format!(
                "{}{}{}",
                score.tier,
                if score.provisional { "?" } else { "" },
                if score.held_back { " late" } else { "" }
            );
            table.row([
                line.day.map_or_else(|| line.instrument.clone(), date_text),
                line.frame.clone(),
                if nothing { "-".to_owned() } else { mark },
                ratio(score.ratio),
                ratio(ratios.completeness),
                ratio(ratios.validity),
                ratio(ratios.consistency),
                ratio(ratios.accuracy),
                ratio(ratios.timeliness),
                grouped(score.tally.expected),
                grouped(score.tally.missing()),
                if days { "-".into() } else { grouped(line.open) },
            ]);
        }
    }
    if !context.json && !arguments.csv {
        table.write(&mut out)?;
        if lines.iter().any(|line| line.score.provisional && line.score.tally.expected > 0) {
            writeln!(out, "?: fewer than 1,000 bars are expected, the tier is provisional")?;
        }
        if lines.len() > limit {
            writeln!(out, "{} more", grouped((lines.len() - limit) as u64))?;
        }
    }
    out.finish()
}

fn score_object(line: &Line) -> Object {
    let (score, ratios) = (&line.score, line.score.dimensions);
    let mut object = Object::new().text("instrument", &line.instrument).text("frame", &line.frame);
    if let Some(day) = line.day {
        object = object.text("day", &date_text(day));
    }
    // Of nothing there is no share.
    let known = score.tally.expected > 0;
    let object = if known {
        object.text("tier", score.tier.name()).float("score", score.ratio)
    } else {
        object.raw("tier", b"null").raw("score", b"null")
    };
    object
        .flag("provisional", score.provisional)
        .flag("held_back", score.held_back)
        .float("completeness", ratios.completeness)
        .float("validity", ratios.validity)
        .float("consistency", ratios.consistency)
        .float("accuracy", ratios.accuracy)
        .float("timeliness", ratios.timeliness)
        .count("expected", score.tally.expected)
        .count("usable", score.tally.usable)
        .count("missing", score.tally.missing())
        .count("synthetic", score.tally.synthetic)
        .count("soft", score.tally.soft)
        .count("open_findings", line.open)
        .maybe_int("lag_ns", score.lag_ns)
}

fn list(context: &Context, arguments: &Quality, view: &View) -> Result<()> {
    let span = range(&arguments.span)?;
    let mut all = findings(view, span)?;
    all.retain(|one| is_wanted(arguments, &one.key) && (arguments.all || one.state == FindingState::Open));
    all.sort_by(|a, b| (b.severity, &a.key, a.at_ns, a.rule).cmp(&(a.severity, &b.key, b.at_ns, b.rule)));
    let limit = arguments.limit.unwrap_or(if context.json || arguments.csv { usize::MAX } else { 100 });
    let mut out = Out::stdout();
    if arguments.csv {
        out.write_all(b"instrument,frame,rule,severity,state,from,to,bars,evidence\n")?;
    }
    let mut table = Table::new([
        ("severity", Side::Left),
        ("instrument", Side::Left),
        ("frame", Side::Left),
        ("rule", Side::Left),
        ("from", Side::Left),
        ("bars", Side::Right),
        ("state", Side::Left),
        ("evidence", Side::Left),
    ]);
    for one in all.iter().take(limit) {
        if context.json {
            out.write_all(&finding_object(one).line())?;
        } else if arguments.csv {
            let mut text = Vec::new();
            push_csv_text(&mut text, one.key.instrument());
            let words = [one.rule.name(), one.severity.name(), one.state.name()].join(",");
            text.extend(format!(",{},{words}", one.key.frame()).bytes());
            text.extend(format!(",{},{},{},", one.at_ns, one.end_ns, one.bars).bytes());
            push_csv_text(&mut text, &one.evidence);
            text.push(b'\n');
            out.write_all(&text)?;
        } else {
            table.row([
                one.severity.name().into(),
                one.key.instrument().into(),
                one.key.frame().to_string(),
                one.rule.name().into(),
                brief(one.at_ns),
                grouped(one.bars),
                one.state.name().into(),
                one.evidence.clone(),
            ]);
        }
    }
    if !context.json && !arguments.csv {
        if !table.is_empty() {
            table.write(&mut out)?;
        }
        let more = all.len().saturating_sub(limit);
        let more = if more > 0 { format!(", {} not shown", grouped(more as u64)) } else { String::new() };
        writeln!(out, "{} findings{more}", grouped(all.len() as u64))?;
    }
    out.finish()
}

fn finding_object(one: &Finding) -> Object {
    Object::new()
        .text("instrument", one.key.instrument())
        .text("frame", &one.key.frame().to_string())
        .text("rule", one.rule.name())
        .text("dimension", one.rule.dimension().name())
        .text("severity", one.severity.name())
        .text("state", one.state.name())
        .int("from", one.at_ns)
        .int("to", one.end_ns)
        .int("worst", one.worst_ns)
        .count("bars", one.bars)
        .text("evidence", &one.evidence)
        .count("version", one.version)
        .int("found", one.found_ns)
        .int("changed", one.changed_ns)
}

fn rules(context: &Context, arguments: &Quality) -> Result<()> {
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("rule", Side::Left),
        ("dimension", Side::Left),
        ("severity", Side::Left),
        ("what it says", Side::Left),
    ]);
    if arguments.csv {
        out.write_all(b"rule,dimension,severity,meaning\n")?;
    }
    for rule in Rule::ALL {
        let (name, dimension, severity) = (rule.name(), rule.dimension().name(), rule.severity().name());
        if context.json {
            let object = Object::new()
                .text("rule", name)
                .text("dimension", dimension)
                .text("severity", severity)
                .text("meaning", rule.meaning());
            out.write_all(&object.line())?;
        } else if arguments.csv {
            writeln!(out, "{name},{dimension},{severity},\"{}\"", rule.meaning())?;
        } else {
            table.row([name.into(), dimension.into(), severity.into(), rule.meaning().into()]);
        }
    }
    if !context.json && !arguments.csv {
        table.write(&mut out)?;
        writeln!(
            out,
            "a bar that breaks a rule of severity high is not usable, unless that was accepted as real"
        )?;
    }
    out.finish()
}
