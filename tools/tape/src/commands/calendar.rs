//! `tape calendar`: when exchanges are open. And what other commands ask of calendars.

use std::io::Write;
use std::ops::Range;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS, date_text};
use tapestore::{SeriesKey, View};
use tapestore_calendar::{
    Day, DayKind, Exchange, Expected, Listings, Market, Question, all, expected, market, named,
};
use tapestore_query::Sessions;
use tapestore_text::json::Object;

use super::Context;
use crate::args::calendar::Calendar;
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::output::Out;
use crate::output::table::{Side, Table};
use crate::when::{now_ns, parse_time};

/// Days that are shown unless told otherwise.
const DAYS: i64 = 14;
const WEEK: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl From<tapestore_calendar::Error> for Fail {
    fn from(error: tapestore_calendar::Error) -> Self {
        match error {
            tapestore_calendar::Error::Store(error) => error.into(),
            other => Self::Usage(other.to_string()),
        }
    }
}

/// The sessions of an exchange in the whole years that a range touches: what is made with them stays the same as long as
/// the year does.
pub(super) fn sessions_of(view: &View, exchange: &str, range: Range<i64>) -> Result<Sessions> {
    Ok(market(view, exchange)?.sessions_of_years(range)?)
}

/// What is expected of an instrument by an exchange's calendar, its listing and its halts.
pub(super) fn expected_of(
    view: &View,
    instrument: &str,
    exchange: &str,
    asked: &Question,
) -> Result<Expected> {
    let market = market(view, exchange)?;
    let listing = Listings::read(view, None)?.of(instrument, Some(market.name()));
    Ok(expected(asked, Some(&market), &listing)?)
}

/// The same as ranges of time, for what fetches; `None` for what are no bars.
pub(super) fn expected_ranges(
    view: &View,
    key: &SeriesKey,
    exchange: &str,
    range: Range<i64>,
) -> Result<Option<Vec<Range<i64>>>> {
    let Some(timeframe) = key.frame().timeframe() else {
        return Ok(Some(market(view, exchange)?.sessions(range)?.ranges()));
    };
    let asked = Question::new(timeframe, range);
    Ok(Some(expected_of(view, key.instrument(), exchange, &asked)?.ranges()))
}

/// The span of series, for [`sessions_of`]: from the first row of any to after the last, inside of a range.
pub(super) fn span_of(view: &View, keys: &[SeriesKey], range: &Range<i64>) -> Result<Range<i64>> {
    let mut span: Option<Range<i64>> = None;
    for key in keys {
        let info = view.info(key)?;
        if let (Some(first), Some(last)) = (info.first_ns, info.last_ns) {
            let before = span.unwrap_or(first..first);
            span = Some(before.start.min(first)..before.end.max(last.saturating_add(1)));
        }
    }
    let span = span.unwrap_or(0..0);
    Ok(span.start.max(range.start)..span.end.min(range.end))
}

/// Runs `tape calendar`.
pub(crate) fn run(context: &Context, arguments: &Calendar) -> Result<()> {
    let Some(name) = &arguments.exchange else { return list(context) };
    // A store is not needed, but what it says goes before.
    let market = match context.directory() {
        Ok(directory) if directory.is_dir() => market(&context.open_to_read()?.view(), name)?,
        _ => named(name)?,
    };
    let now = now_ns();
    super::range(&arguments.span)?;
    let time = |text: &Option<String>| text.as_deref().map(|text| parse_time(text, now)).transpose();
    match &market {
        Market::Exchange(exchange) => {
            if let Some(text) = &arguments.day {
                return explain(context, exchange, parse_time(text, now)?);
            }
            let range = asked(time(&arguments.span.from)?, time(&arguments.span.to)?, exchange.date_ns(now));
            let days = exchange.days_in(range)?;
            let zone = exchange.zone();
            show(context, arguments, days, |time| zone.offset_ns(time))
        }
        Market::Table { calendar, .. } => {
            let (from, to) = match &arguments.day {
                Some(text) => {
                    let day = parse_time(text, now)?;
                    (Some(day), Some(day.saturating_add(1)))
                }
                None => (time(&arguments.span.from)?, time(&arguments.span.to)?),
            };
            let range = asked(from, to, now);
            let range = range.start.div_euclid(DAY_NS) * DAY_NS..range.end;
            let sessions = calendar.clone().covering(range.clone())?;
            let days = (range.start..range.end).step_by(DAY_NS as usize).map(|day_ns| {
                let sessions: Vec<_> =
                    sessions.all().iter().filter(|it| it.day_ns == day_ns).cloned().collect();
                let kind = if sessions.is_empty() { DayKind::Closed } else { DayKind::Regular };
                let offset_ns = market.offset_ns(day_ns + DAY_NS / 2).unwrap_or(0);
                Day { day_ns, kind, sessions, offset_ns, note: None, own: true }
            });
            show(context, arguments, days, |time| market.offset_ns(time).unwrap_or(0))
        }
    }
}

/// What is asked for: from today on two weeks, unless told otherwise.
fn asked(from: Option<i64>, to: Option<i64>, today: i64) -> Range<i64> {
    match (from, to) {
        // Half-open ranges, as everywhere.
        (Some(from), Some(to)) => from..to,
        (Some(from), None) => from..from.saturating_add(DAYS * DAY_NS),
        (None, Some(to)) => to.saturating_sub(DAYS * DAY_NS)..to,
        (None, None) => today..today + DAYS * DAY_NS,
    }
}

fn list(context: &Context) -> Result<()> {
    let mut out = Out::stdout();
    let mut table = Table::new(["calendar", "from", "to", "clock", "what"].map(|head| (head, Side::Left)));
    for exchange in all() {
        let days = exchange.days();
        let (from, to) = (date_text(days.start), date_text(days.end - 1));
        if context.json {
            let object = Object::new()
                .text("calendar", exchange.name())
                .text("title", exchange.title())
                .text("zone", exchange.zone().name())
                .text("from", &from)
                .text("to", &to)
                .text("source", exchange.source())
                .text("notes", &exchange.notes().join("; "));
            out.write_all(&object.line())?;
        } else {
            let zone = exchange.zone().name().to_owned();
            table.row([exchange.name().to_owned(), from, to, zone, exchange.title().to_owned()]);
        }
    }
    if !context.json {
        table.write(&mut out)?;
    }
    out.finish()
}

/// `09:30`; midnight at the end of a day is 24:00.
fn clock(of_day: i64) -> String {
    format!("{:02}:{:02}", of_day / HOUR_NS, of_day / MINUTE_NS % 60)
}

/// `+08:00`.
fn offset(ns: i64) -> String {
    format!("{}{}", if ns < 0 { '-' } else { '+' }, clock(ns.abs()))
}

/// The hours of a day on the exchange's clock.
fn hours(day: &Day, offset_ns: impl Fn(i64) -> i64) -> String {
    let local = |time: i64| clock(time + offset_ns(time) - day.day_ns);
    let hours = day
        .sessions
        .iter()
        .map(|session| format!("{}-{}", local(session.open.start), local(session.open.end)));
    let hours: Vec<String> = hours.collect();
    if hours.is_empty() { "closed".to_owned() } else { hours.join(" ") }
}

fn weekday(day_ns: i64) -> &'static str {
    // The epoch was a Thursday.
    WEEK[(day_ns.div_euclid(DAY_NS) + 3).rem_euclid(7) as usize]
}

fn show(
    context: &Context,
    arguments: &Calendar,
    days: impl Iterator<Item = Day>,
    offset_ns: impl Fn(i64) -> i64,
) -> Result<()> {
    let mut out = Out::stdout();
    let heads = [
        ("day", Side::Left),
        ("", Side::Left),
        ("hours", Side::Left),
        ("minutes", Side::Right),
        ("UTC", Side::Left),
        ("", Side::Left),
    ];
    let mut table = Table::new(heads);
    let (mut open, mut minutes) = (0, 0);
    for day in days.filter(|day| !arguments.special || matches!(day.kind, DayKind::Special | DayKind::Closed))
    {
        open += u64::from(!day.sessions.is_empty());
        minutes += day.minutes();
        if context.json {
            out.write_all(&object(&day, &offset_ns).line())?;
            continue;
        }
        let note = day.note.clone().unwrap_or_default();
        table.row([
            date_text(day.day_ns),
            weekday(day.day_ns).to_owned(),
            hours(&day, &offset_ns),
            day.minutes().to_string(),
            offset(day.offset_ns),
            note,
        ]);
    }
    if !context.json {
        if !table.is_empty() {
            table.write(&mut out)?;
        }
        writeln!(out, "{open} trading days, {minutes} minutes")?;
    }
    out.finish()
}

fn object(day: &Day, offset_ns: impl Fn(i64) -> i64) -> Object {
    let ends = |end: fn(&Range<i64>) -> i64| {
        let ends: Vec<String> = day.sessions.iter().map(|session| end(&session.open).to_string()).collect();
        ends.join(" ")
    };
    Object::new()
        .text("day", &date_text(day.day_ns))
        .text("kind", day.kind.name())
        .text("hours", &hours(day, offset_ns))
        .int("minutes", day.minutes())
        .text("opens", &ends(|open| open.start))
        .text("closes", &ends(|open| open.end))
        .text("offset", &offset(day.offset_ns))
        .text("note", day.note.as_deref().unwrap_or_default())
        .text("from", if day.own { "own" } else { "generated" })
}

/// One day, and what is around it.
fn explain(context: &Context, exchange: &Exchange, day_ns: i64) -> Result<()> {
    let day = exchange.day(day_ns)?;
    let zone = exchange.zone();
    let mut out = Out::stdout();
    if context.json {
        out.write_all(&object(&day, |time| zone.offset_ns(time)).line())?;
        return out.finish();
    }
    let why = match (&day.note, day.kind) {
        (Some(note), _) => format!(": {note}"),
        (None, DayKind::Closed | DayKind::Special) => ": the source does not say why".to_owned(),
        (None, _) => String::new(),
    };
    let what = match day.kind {
        DayKind::Regular => "regular hours",
        DayKind::Special => "other hours than usual",
        DayKind::Closed => "closed",
        DayKind::Weekend => "closed as every week",
    };
    let date = date_text(day.day_ns);
    writeln!(out, "{} {date} ({}): {what}{why}", exchange.name(), weekday(day.day_ns))?;
    for session in &day.sessions {
        let local = |time: i64| clock(exchange.time_of_day_ns(time));
        let (start, end) = (session.open.start, session.open.end);
        writeln!(
            out,
            "  {} to {} {}, that is {} to {} UTC: {} minutes",
            local(start),
            local(end),
            offset(zone.offset_ns(start)),
            brief(start),
            brief(end),
            (end - start) / MINUTE_NS
        )?;
    }
    if day.sessions.is_empty() {
        let noon = zone.utc_ns(day.day_ns + DAY_NS / 2);
        let local = |time: i64| brief(time + zone.offset_ns(time));
        if let (Ok(before), Ok(after)) = (exchange.previous_close(noon), exchange.next_open(noon)) {
            writeln!(
                out,
                "  closed before at {}, opens next at {}, by its clock",
                local(before.open.end),
                local(after.open.start)
            )?;
        }
    }
    let list = if day.own { "our own list, overrides".to_owned() } else { exchange.source().to_owned() };
    writeln!(
        out,
        "  from {list}; it speaks of {} to {}",
        date_text(exchange.days().start),
        date_text(exchange.days().end - 1)
    )?;
    for note in exchange.notes() {
        writeln!(out, "  note: {note}")?;
    }
    out.finish()
}
