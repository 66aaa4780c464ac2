//! What sinks are given: JSON, the same for all.

use tapestore_text::json::Object;
use tapestore_text::stamp::push_iso;

use crate::ledger::Incident;
use crate::machine::Event;

/// Most alerts in one message; more are counted.
pub const ALERTS_PER_MESSAGE: usize = 200;

/// `2026-02-03T08:00:00Z`.
fn iso(time_ns: i64) -> String {
    let mut out = Vec::new();
    push_iso(&mut out, time_ns);
    String::from_utf8(out).unwrap_or_default()
}

/// One line for people: `HIGH fired: freshness of BTCUSDT.BINANCE 1m is 12m; …`.
pub fn line(event: Event, incident: &Incident) -> String {
    format!(
        "{} {}: {} of {}: {}",
        incident.level.name(),
        event.name(),
        incident.rule,
        incident.subject,
        incident.evidence
    )
}

/// An incident and what is told of it.
pub fn alert(event: Event, incident: &Incident) -> Object {
    Object::new()
        .text("fingerprint", &incident.fingerprint)
        .text("event", event.name())
        .text("level", incident.level.name())
        .text("rule", &incident.rule)
        .text("check", incident.check.name())
        .text("subject", &incident.subject)
        .float("value", incident.value)
        .text("shown", &incident.check.show(incident.value))
        .text("evidence", &incident.evidence)
        .int("since", incident.state.since_ns)
        .maybe_int("fired", incident.state.fired_ns)
        .maybe_int("ended", incident.state.ended_ns)
}

/// A message about several: `text` is what chats show, the rest is for programs.
pub fn message(store: &str, now_ns: i64, alerts: &[(Event, &Incident)]) -> Vec<u8> {
    let shown = &alerts[..alerts.len().min(ALERTS_PER_MESSAGE)];
    let mut lines: Vec<String> = shown.iter().map(|(event, incident)| line(*event, incident)).collect();
    let left_out = alerts.len() - shown.len();
    if left_out > 0 {
        lines.push(format!("and {left_out} more: tape alerts list"));
    }
    Object::new()
        .text("store", store)
        .int("time", now_ns)
        .text("at", &iso(now_ns))
        .text("text", &lines.join("\n"))
        .objects("alerts", shown.iter().map(|(event, incident)| alert(*event, incident)))
        .count("left_out", left_out as u64)
        .closed()
}

/// A line of a log.
pub fn log_line(store: &str, now_ns: i64, event: Event, incident: &Incident) -> Vec<u8> {
    Object::new()
        .int("time", now_ns)
        .text("at", &iso(now_ns))
        .text("store", store)
        .raw("alert", &alert(event, incident).closed())
        .line()
}
