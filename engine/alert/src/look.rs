//! One look at a store: readings beside what is known of incidents, what changes by that, and who is owed what.

use std::collections::HashMap;

use tapestore::{CommitReport, Operation, Store, View};

use crate::config::Alerts;
use crate::error::Result;
use crate::ledger::{self, Incident, OWED_NS, Record, hush, keep_incidents, keep_records};
use crate::machine::{Event, Phase, Spans, State, Verdict, step};
use crate::measure::Measured;
use crate::rule::Rule;
use crate::sink::{Delivery, audience};

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Incidents that moved: their rows are to be written.
    pub moved: Vec<Incident>,
    /// What happened.
    pub records: Vec<Record>,
    /// Everything that is pending or firing after it.
    pub open: Vec<Incident>,
    /// Incidents of which sinks are owed an event, new ones and those that did not arrive before.
    pub owed: Vec<Incident>,
    /// What was done on the way.
    pub operations: Vec<Operation>,
}

/// Compares readings with what the store knows. Writes nothing.
///
/// # Errors
/// Damage to the tables of alerts, or tables of others under their names.
pub fn look(view: &View, alerts: &Alerts, measured: &Measured, now_ns: i64) -> Result<Look> {
    let silences = ledger::silences(view)?;
    let mut result = Look { operations: measured.operations.clone(), ..Look::default() };
    let mut known: HashMap<String, Incident> = HashMap::new();
    for incident in ledger::unsettled(view)? {
        if incident.state.is_open() {
            known.insert(incident.fingerprint.clone(), incident);
        } else if incident.owed.is_some() {
            result.retry(incident, now_ns);
        }
    }
    for reading in &measured.readings {
        let rule = &alerts.rules[reading.rule];
        let before = known.remove(&rule.fingerprint(&reading.subject));
        let Some(value) = reading.value else {
            before.into_iter().for_each(|incident| result.keep(incident, now_ns));
            continue;
        };
        let acknowledged = before.as_ref().is_some_and(|it| it.acknowledged_ns.is_some());
        let hushed = hush(&silences, &rule.name, &reading.subject, acknowledged, now_ns);
        let state = before.as_ref().map(|incident| incident.state);
        let (state, event) = step(state, rule.verdict(value), now_ns, rule.spans, hushed);
        let Some(state) = state else { continue };
        let moved = before.as_ref().is_none_or(|it| it.state != state || it.level != rule.level);
        let mut incident = before.unwrap_or_else(|| begun(rule, &reading.subject, state));
        if !moved && event.is_none() {
            result.keep(incident, now_ns);
            continue;
        }
        incident.level = rule.level;
        incident.value = value;
        incident.evidence.clone_from(&reading.evidence);
        let names = if hushed.silenced { Vec::new() } else { audience(&alerts.sinks, rule) };
        result.moves(incident, state, event, names, hushed.silenced, now_ns);
    }
    // What no rule is about any more: the rule is gone, or the series.
    let mut left: Vec<Incident> = known.into_values().collect();
    left.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    for mut incident in left {
        let hushed = hush(&silences, &incident.rule, &incident.subject, false, now_ns);
        let (state, event) = step(Some(incident.state), Verdict::Good, now_ns, Spans::default(), hushed);
        let Some(state) = state else { continue };
        "nobody watches it any more".clone_into(&mut incident.evidence);
        let rule = alerts.rules.iter().find(|rule| rule.name == incident.rule);
        let names = match (hushed.silenced, rule) {
            (true, _) => Vec::new(),
            (false, Some(rule)) => audience(&alerts.sinks, rule),
            (false, None) => {
                let told = alerts.sinks.iter().filter(|sink| sink.1.level <= incident.level);
                told.map(|sink| sink.0.clone()).collect()
            }
        };
        result.moves(incident, state, event, names, hushed.silenced, now_ns);
    }
    Ok(result)
}

fn begun(rule: &Rule, subject: &str, state: State) -> Incident {
    Incident {
        fingerprint: rule.fingerprint(subject),
        rule: rule.name.clone(),
        check: rule.check,
        level: rule.level,
        subject: subject.to_owned(),
        state,
        value: 0.0,
        evidence: String::new(),
        acknowledged_ns: None,
        note: String::new(),
        owed: None,
    }
}

impl Look {
    /// Whether there is nothing to write.
    pub fn changes_nothing(&self) -> bool {
        self.moved.is_empty() && self.records.is_empty() && self.operations.is_empty()
    }

    fn keep(&mut self, incident: Incident, now_ns: i64) {
        self.open.push(incident.clone());
        if incident.owed.is_some() {
            self.retry(incident, now_ns);
        }
    }

    /// An event that did not arrive is sent again, and given up when it is old.
    fn retry(&mut self, mut incident: Incident, now_ns: i64) {
        let sent = incident.state.told_ns.or(incident.state.ended_ns).unwrap_or(incident.state.since_ns);
        if now_ns.saturating_sub(sent) < OWED_NS {
            self.owed.push(incident);
        } else {
            incident.owed = None;
            if let Some(open) = self.open.iter_mut().find(|open| open.fingerprint == incident.fingerprint) {
                open.owed = None;
            }
            self.moved.push(incident);
        }
    }

    fn moves(
        &mut self,
        mut incident: Incident,
        state: State,
        event: Option<Event>,
        names: Vec<String>,
        silenced: bool,
        now_ns: i64,
    ) {
        incident.state = state;
        if let Some(event) = event {
            incident.owed = (!names.is_empty()).then_some((event, names));
            self.records.push(record(&incident, event.name(), silenced, now_ns));
        }
        if incident.owed.is_some() {
            self.owed.push(incident.clone());
        }
        if state.is_open() {
            self.open.push(incident.clone());
        }
        self.moved.push(incident);
    }

    /// The open incidents that fire, by level: the highest first.
    pub fn firing(&self) -> Vec<&Incident> {
        let mut firing: Vec<&Incident> =
            self.open.iter().filter(|it| it.state.phase == Phase::Firing).collect();
        firing.sort_by_key(|it| (std::cmp::Reverse(it.level), it.state.since_ns));
        firing
    }

    /// Writes what changed, in one commit; `None` if nothing did.
    ///
    /// # Errors
    /// As [`tapestore::Transaction::commit`].
    pub fn commit(&self, store: &Store) -> Result<Option<CommitReport>> {
        if self.changes_nothing() {
            return Ok(None);
        }
        let mut transaction = store.begin();
        let count = |event: &str| self.records.iter().filter(|record| record.event == event).count();
        transaction.message(&format!(
            "alerts: {} fired, {} repeated, {} resolved",
            count("fired"),
            count("repeated"),
            count("resolved")
        ));
        keep_incidents(&mut transaction, &store.view(), &self.moved)?;
        keep_records(&mut transaction, &self.records)?;
        for operation in &self.operations {
            transaction.note(operation)?;
        }
        Ok(Some(transaction.commit()?))
    }

    /// Takes back what arrived from what is owed; the incidents whose rows are to be written.
    pub fn settled(&self, deliveries: &[Delivery]) -> Vec<Incident> {
        let mut changed = Vec::new();
        for incident in &self.owed {
            let Some((event, names)) = &incident.owed else { continue };
            let key = (incident.fingerprint.clone(), incident.state.since_ns);
            let arrived = |name: &String| {
                deliveries
                    .iter()
                    .any(|it| it.sink == *name && it.error.is_none() && it.incidents.contains(&key))
            };
            let left: Vec<String> = names.iter().filter(|name| !arrived(name)).cloned().collect();
            if left.len() < names.len() {
                let owed = (!left.is_empty()).then_some((*event, left));
                changed.push(Incident { owed, ..incident.clone() });
            }
        }
        changed
    }
}

/// Writes the rows of incidents that [`Look::settled`] gave, in one commit.
///
/// # Errors
/// As [`tapestore::Transaction::commit`].
pub fn settle(store: &Store, incidents: &[Incident]) -> Result<()> {
    if incidents.is_empty() {
        return Ok(());
    }
    let mut transaction = store.begin();
    transaction.message("alerts: who was told");
    keep_incidents(&mut transaction, &store.view(), incidents)?;
    transaction.commit()?;
    Ok(())
}

/// An event of an incident as it is kept.
pub fn record(incident: &Incident, event: &str, silenced: bool, now_ns: i64) -> Record {
    Record {
        time_ns: now_ns,
        event: event.to_owned(),
        fingerprint: incident.fingerprint.clone(),
        rule: incident.rule.clone(),
        level: incident.level,
        subject: incident.subject.clone(),
        check: incident.check,
        value: incident.value,
        evidence: incident.evidence.clone(),
        since_ns: incident.state.since_ns,
        silenced,
    }
}
