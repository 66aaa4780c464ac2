//! `tape alerts`: what is wrong, and who is told.

use std::io::Write;
use std::time::{Duration, Instant};

use tapestore::{ErrorClass, Store};
use tapestore_alert::ledger::{self, Incident, Record, Silence, keep_incidents, keep_records, keep_silence};
use tapestore_alert::look::{record, settle};
use tapestore_alert::machine::Phase;
use tapestore_alert::measure::{Measured, measure};
use tapestore_alert::message::alert;
use tapestore_alert::rule::{Pattern, brief_span};
use tapestore_alert::sink::{Delivery, Post, audience, deliver};
use tapestore_alert::{Alerts, Level, Look, Rule, look};
use tapestore_catalog::span;
use tapestore_fetch::clock::{Stop, SystemClock};

use super::watched::Setup;
use super::{Context, write_options};
use crate::args::alerts::{Ack, Alerts as Command, Check, History, Silence as Silencing};
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::grouped;
use crate::output::json::{Object, texts};
use crate::output::table::{Side, Table};
use crate::output::{Out, note, plain};
use crate::when::{now_ns, parse_time};

/// Between two tries to become the writer.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// Runs `tape alerts`.
pub(crate) fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Check(arguments) => check(context, arguments),
        Command::List => list(context),
        Command::History(arguments) => history(context, arguments),
        Command::Ack(arguments) => acknowledge(context, arguments),
        Command::Silence(arguments) => silence(context, arguments),
    }
}

/// The exit code of a level.
pub(super) fn code(level: Level) -> u8 {
    match level {
        Level::Low => 11,
        Level::Medium => 12,
        Level::High => 13,
        Level::Critical => 14,
    }
}

fn check(context: &Context, arguments: &Check) -> Result<()> {
    let setup = Setup::load(context, arguments.config.as_deref())?;
    let wait = span::parse(&arguments.wait)
        .ok_or_else(|| Fail::Usage(format!("--wait {:?} is no span of time; write 30s", arguments.wait)))?;
    let now = now_ns();
    let (measured, mut found) = {
        let store = setup.context.open_to_read()?;
        let view = store.view();
        let watched = setup.watched(&view, now)?;
        let measured = measure(&store, &view, &setup.alerts.rules, &watched, true, now)?;
        let found = look(&view, &setup.alerts, &measured, now)?;
        (measured, found)
    };
    for reading in measured.readings.iter().filter(|reading| reading.value.is_none()) {
        let rule = &setup.alerts.rules[reading.rule];
        // A verification that is not due is no failure.
        if rule.check != tapestore_alert::Check::Checksum {
            let text =
                format!("tape: {} of {} cannot be told: {}", rule.name, reading.subject, reading.evidence);
            note(context.quiet, &text);
        }
    }
    if arguments.dry_run {
        show(context, &setup.alerts, &found, &measured)?;
        return ending(&found.firing(), 0);
    }
    let wait = Duration::from_nanos(wait.unsigned_abs());
    // Whoever watches for full disks cannot rely on writing: then it is told, and kept another time.
    let kept = keep(&setup, &measured, &mut found, now, wait)?;
    let name = setup.context.directory()?.display().to_string();
    let (clock, stop) = (SystemClock::default(), Stop::default());
    let post = Post { store: &name, clock: &clock, stop: &stop };
    let deliveries = deliver(&setup.alerts.sinks, &found.owed, &post);
    if kept.is_ok() {
        let settled = found.settled(&deliveries);
        if !settled.is_empty() {
            let store = open_patiently(&setup.context, wait)?;
            settle(&store, &settled)?;
            store.close()?;
        }
    }
    for Delivery { sink, error, .. } in &deliveries {
        if let Some(error) = error {
            let kind = setup.alerts.sinks.get(sink).map_or("sink", |sink| sink.kind.name());
            note(false, &format!("tape: the {kind} {sink} was not reached and is owed the alert: {error}"));
        }
    }
    show(context, &setup.alerts, &found, &measured)?;
    kept?;
    ending(&found.firing(), deliveries.iter().filter(|it| it.error.is_some()).count())
}

/// Writes what changed. The inner error is a disk that is full.
fn keep(
    setup: &Setup,
    measured: &Measured,
    found: &mut Look,
    now: i64,
    wait: Duration,
) -> Result<std::result::Result<(), Fail>> {
    if found.changes_nothing() {
        return Ok(Ok(()));
    }
    let full = |error: &tapestore::Error| error.is_full_disk();
    let store = match try_open(&setup.context, wait) {
        Err(error) if full(&error) => return Ok(Err(error.into())),
        store => store?,
    };
    // Another look may have come between.
    *found = look(&store.view(), &setup.alerts, measured, now)?;
    match found.commit(&store) {
        Err(tapestore_alert::Error::Store(error)) if full(&error) => Ok(Err(error.into())),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(store.close().map_err(Fail::from)),
    }
}

fn try_open(context: &Context, wait: Duration) -> tapestore::Result<Store> {
    let until = Instant::now() + wait;
    let directory = context.store.clone().unwrap_or_default();
    loop {
        match Store::open(&directory, write_options()) {
            Err(error) if error.kind() == ErrorClass::Locked && Instant::now() < until => {
                std::thread::sleep(TRY_EVERY);
            }
            store => return store,
        }
    }
}

/// Opens the store for writing; waits while another process writes.
fn open_patiently(context: &Context, wait: Duration) -> Result<Store> {
    context.directory()?;
    Ok(try_open(context, wait)?)
}

fn ending(firing: &[&Incident], unreached: usize) -> Result<()> {
    let Some(first) = firing.first() else {
        return match unreached {
            0 => Ok(()),
            count => Err(Fail::Findings(format!("{count} sinks were not reached; they are owed the alerts"))),
        };
    };
    let counts: Vec<String> = Level::ALL
        .iter()
        .rev()
        .map(|level| (level, firing.iter().filter(|it| it.level == *level).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(level, count)| format!("{} {}", grouped(count as u64), level.name()))
        .collect();
    let text = format!("{} fires; tape alerts list shows what is open", counts.join(", "));
    Err(Fail::Alert(code(first.level), text))
}

fn table() -> Table {
    Table::new([
        ("level", Side::Left),
        ("state", Side::Left),
        ("since", Side::Left),
        ("rule", Side::Left),
        ("subject", Side::Left),
        ("what", Side::Left),
        ("fingerprint", Side::Left),
    ])
}

fn object(incident: &Incident) -> Object {
    let event = incident.owed.as_ref().map_or(tapestore_alert::machine::Event::Fired, |owed| owed.0);
    let owed: &[String] = incident.owed.as_ref().map_or(&[], |owed| &owed.1);
    // As a message has it, with what only the store knows.
    let base = alert(event, incident).closed();
    Object::new()
        .raw("alert", &base)
        .text("phase", incident.state.phase.name())
        .maybe_int("acknowledged", incident.acknowledged_ns)
        .text("note", &incident.note)
        .raw("owed", &texts(owed))
}

fn write_open(context: &Context, out: &mut Out, open: &[&Incident]) -> Result<()> {
    let mut rows = table();
    for incident in open {
        if context.json {
            out.write_all(&object(incident).line())?;
            continue;
        }
        let phase = match incident.state.phase {
            Phase::Firing if incident.acknowledged_ns.is_some() => "acknowledged",
            Phase::Firing if incident.state.told_ns.is_none() => "silenced",
            phase => phase.name(),
        };
        rows.row([
            incident.level.name().to_owned(),
            phase.to_owned(),
            brief(incident.state.since_ns / 1_000_000_000 * 1_000_000_000),
            incident.rule.clone(),
            incident.subject.clone(),
            incident.evidence.clone(),
            incident.fingerprint[..8].to_owned(),
        ]);
    }
    if !rows.is_empty() {
        rows.write(out)?;
    }
    Ok(())
}

fn sorted(open: &[Incident]) -> Vec<&Incident> {
    let mut open: Vec<&Incident> = open.iter().collect();
    open.sort_by_key(|it| {
        (it.state.phase == Phase::Pending, std::cmp::Reverse(it.level), it.state.since_ns, &it.subject)
    });
    open
}

fn show(context: &Context, alerts: &Alerts, found: &Look, measured: &Measured) -> Result<()> {
    let mut out = Out::stdout();
    write_open(context, &mut out, &sorted(&found.open))?;
    let count = |event: &str| found.records.iter().filter(|it| it.event == event).count() as u64;
    let readings = measured.readings.iter().filter(|it| it.value.is_some()).count() as u64;
    if context.json {
        let object = Object::new()
            .text("event", "summary")
            .count("rules", alerts.rules.len() as u64)
            .count("readings", readings)
            .count("open", found.open.len() as u64)
            .count("fired", count("fired"))
            .count("repeated", count("repeated"))
            .count("resolved", count("resolved"));
        out.write_all(&object.line())?;
    } else {
        writeln!(
            out,
            "{} rules, {} readings: {} open; {} fired, {} repeated, {} resolved",
            alerts.rules.len(),
            grouped(readings),
            grouped(found.open.len() as u64),
            grouped(count("fired")),
            grouped(count("repeated")),
            grouped(count("resolved"))
        )?;
    }
    out.finish()
}

fn list(context: &Context) -> Result<()> {
    let store = context.open_to_read()?;
    let open = ledger::open(&store.view())?;
    let mut out = Out::stdout();
    write_open(context, &mut out, &sorted(&open))?;
    for incident in open.iter().filter(|_| !context.json) {
        if let Some((event, names)) = &incident.owed {
            let (fingerprint, names) = (&incident.fingerprint[..8], names.join(", "));
            writeln!(out, "{fingerprint}: {} is owed to {}", event.name(), plain(&names))?;
        }
    }
    if open.is_empty() && !context.json {
        writeln!(out, "nothing is open")?;
    }
    out.finish()?;
    let firing: Vec<&Incident> =
        sorted(&open).into_iter().filter(|it| it.state.phase == Phase::Firing).collect();
    ending(&firing, 0)
}

fn history(context: &Context, arguments: &History) -> Result<()> {
    let store = context.open_to_read()?;
    let since = arguments.since.as_deref().map(|text| parse_time(text, now_ns())).transpose()?;
    let mut found = ledger::records(&store.view(), since.unwrap_or(i64::MIN))?;
    if let Some(pattern) = arguments.pattern.as_deref().map(Pattern::new) {
        found.retain(|it| pattern.fits_text(&it.rule) || pattern.fits_text(&it.subject));
    }
    found.reverse();
    found.truncate(arguments.limit);
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("time", Side::Left),
        ("event", Side::Left),
        ("level", Side::Left),
        ("rule", Side::Left),
        ("subject", Side::Left),
        ("what", Side::Left),
    ]);
    for it in &found {
        if context.json {
            out.write_all(&record_object(it).line())?;
            continue;
        }
        let hushed = if it.silenced { " (silenced)" } else { "" };
        table.row([
            brief(it.time_ns / 1_000_000_000 * 1_000_000_000),
            format!("{}{hushed}", it.event),
            it.level.name().to_owned(),
            it.rule.clone(),
            it.subject.clone(),
            it.evidence.clone(),
        ]);
    }
    if !table.is_empty() {
        table.write(&mut out)?;
    }
    out.finish()
}

fn record_object(it: &Record) -> Object {
    Object::new()
        .int("time", it.time_ns)
        .text("event", &it.event)
        .text("fingerprint", &it.fingerprint)
        .text("level", it.level.name())
        .text("rule", &it.rule)
        .text("check", it.check.name())
        .text("subject", &it.subject)
        .float("value", it.value)
        .text("evidence", &it.evidence)
        .int("since", it.since_ns)
        .flag("silenced", it.silenced)
}

fn acknowledge(context: &Context, arguments: &Ack) -> Result<()> {
    let store = context.open_to_write()?;
    let (now, open) = (now_ns(), ledger::open(&store.view())?);
    let (mut changed, mut records): (Vec<Incident>, Vec<Record>) = (Vec::new(), Vec::new());
    for wanted in &arguments.fingerprints {
        let fits: Vec<&Incident> = open.iter().filter(|it| it.fingerprint.starts_with(wanted)).collect();
        let [incident] = fits.as_slice() else {
            let how = if fits.is_empty() { "no open alert begins" } else { "several alerts begin" };
            return Err(Fail::Usage(format!("{how} with {wanted:?}; tape alerts list shows fingerprints")));
        };
        let mut incident = (*incident).clone();
        incident.acknowledged_ns = Some(now);
        incident.note.clone_from(&arguments.note);
        records.push(record(&incident, "acknowledged", false, now));
        changed.push(incident);
    }
    let mut transaction = store.begin();
    transaction.message("alerts: acknowledged");
    keep_incidents(&mut transaction, &store.view(), &changed)?;
    keep_records(&mut transaction, &records)?;
    transaction.commit()?;
    store.close()?;
    note(context.quiet, &format!("tape: {} acknowledged; not repeated until they are over", changed.len()));
    Ok(())
}

fn silence(context: &Context, arguments: &Silencing) -> Result<()> {
    let now = now_ns();
    let made = match (&arguments.span, &arguments.end) {
        (None, None) => return silences(context, now),
        (_, Some(id)) => {
            let store = context.open_to_write()?;
            let known = ledger::silences(&store.view())?;
            let known = known.into_iter().find(|it| it.id == *id && it.until_ns > now);
            let mut silence = known.ok_or_else(|| {
                Fail::Usage(format!("no silence {id:?} lasts; tape alerts silence lists those that do"))
            })?;
            silence.until_ns = now;
            (store, silence)
        }
        (Some(text), None) => {
            let span = span::parse(text).filter(|span| *span > 0);
            let span =
                span.ok_or_else(|| Fail::Usage(format!("--for {text:?} is no span of time; write 2h")))?;
            let until = now.saturating_add(span);
            let silence = Silence::new(now, &arguments.rule, &arguments.subject, until, &arguments.reason);
            (context.open_to_write()?, silence)
        }
    };
    let (store, silence) = made;
    let mut transaction = store.begin();
    transaction.message("alerts: silence");
    keep_silence(&mut transaction, &silence)?;
    transaction.commit()?;
    store.close()?;
    let text = if arguments.end.is_some() {
        format!("tape: silence {} is over", silence.id)
    } else {
        let (span, id) = (brief_span(silence.until_ns - now), &silence.id);
        format!(
            "tape: silence {id} for {span}: rules {}, subjects {}; end it with --end {id}",
            silence.rule, silence.subject
        )
    };
    note(context.quiet, &text);
    Ok(())
}

fn silences(context: &Context, now: i64) -> Result<()> {
    let store = context.open_to_read()?;
    let lasting: Vec<Silence> =
        ledger::silences(&store.view())?.into_iter().filter(|it| it.until_ns > now).collect();
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("id", Side::Left),
        ("rules", Side::Left),
        ("subjects", Side::Left),
        ("until", Side::Left),
        ("why", Side::Left),
    ]);
    for it in &lasting {
        if context.json {
            let object = Object::new()
                .text("id", &it.id)
                .text("rule", &it.rule)
                .text("subject", &it.subject)
                .int("until", it.until_ns)
                .text("reason", &it.reason);
            out.write_all(&object.line())?;
        }
        let until = brief(it.until_ns / 1_000_000_000 * 1_000_000_000);
        table.row([it.id.clone(), it.rule.clone(), it.subject.clone(), until, it.reason.clone()]);
    }
    if !context.json && !table.is_empty() {
        table.write(&mut out)?;
    }
    out.finish()
}

/// A rule as `tape config check` tells it.
pub(super) fn rule_object(rule: &Rule) -> Object {
    let series: Vec<&str> = rule.series.iter().map(Pattern::text).collect();
    Object::new()
        .text("rule", &rule.name)
        .text("check", rule.check.name())
        .text("level", rule.level.name())
        .raw("series", &texts(&series))
        .float("limit", rule.limit)
        .float("clear", rule.clear)
        .int("for_ns", rule.spans.hold_ns)
        .int("clear_for_ns", rule.spans.clear_ns)
        .int("repeat_ns", rule.spans.repeat_ns)
}

/// Rules and sinks as they hold.
pub(super) fn explain(alerts: &Alerts, out: &mut Out) -> Result<()> {
    let mut table = Table::new([
        ("rule", Side::Left),
        ("level", Side::Left),
        ("bad if", Side::Left),
        ("resolved", Side::Left),
        ("repeated", Side::Left),
        ("series", Side::Left),
        ("told", Side::Left),
    ]);
    for rule in &alerts.rules {
        let series: Vec<&str> = rule.series.iter().map(Pattern::text).collect();
        let series = match (rule.check.is_of_series(), series.is_empty()) {
            (false, _) => "-".to_owned(),
            (true, true) => "those kept current".to_owned(),
            (true, false) => series.join(", "),
        };
        let clear = rule.check.show(rule.clear);
        let clear = match rule.spans.clear_ns {
            0 => clear,
            span => format!("{clear} for {}", span::show(span)),
        };
        let repeat = match rule.spans.repeat_ns {
            0 => "never".to_owned(),
            span => span::show(span),
        };
        let told = audience(&alerts.sinks, rule).join(" ");
        let told = if told.is_empty() { "nobody".to_owned() } else { told };
        let condition = format!("{} {}", rule.check.name(), rule.condition());
        table.row([rule.name.clone(), rule.level.name().into(), condition, clear, repeat, series, told]);
    }
    if !table.is_empty() {
        table.write(out)?;
    }
    for (name, sink) in &alerts.sinks {
        let (kind, level) = (sink.kind.name(), sink.level.name());
        writeln!(out, "sink {}: a {kind}, from {level} on", plain(name))?;
    }
    Ok(())
}
