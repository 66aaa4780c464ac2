//! Looks at stores, one after another, with the clock of the test.

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Batch, OWN_INSTRUMENT, SeriesKey, Store, Values};
use tapestore_alert::ledger::{self, Silence, keep_silence};
use tapestore_alert::look::settle;
use tapestore_alert::machine::{Event, Phase};
use tapestore_alert::measure::{Measured, Reading};
use tapestore_alert::sink::{Delivery, Kind, Sink};
use tapestore_alert::{Alerts, Check, Level, Look, Rule, look};

use super::{START, options, store};

/// One rule of freshness and a sink that is never called.
fn alerts() -> Alerts {
    let mut rule = Rule::of(Check::Freshness);
    rule.spans.hold_ns = 10 * MINUTE_NS;
    rule.spans.repeat_ns = HOUR_NS;
    let sink = Sink { kind: Kind::Log("/nonexistent".into()), level: Level::Low };
    Alerts { rules: vec![rule], sinks: [("chat".to_owned(), sink)].into() }
}

fn reading(value: Option<f64>) -> Measured {
    let evidence = format!("{value:?}");
    Measured {
        readings: vec![Reading { rule: 0, subject: "A.X 1m".into(), value, evidence }],
        operations: Vec::new(),
    }
}

const LATE: Option<f64> = Some(6.0 * MINUTE_NS as f64);
const FINE: Option<f64> = Some(0.0);

/// Looks at a minute, and writes what changed.
fn at(store: &Store, alerts: &Alerts, minute: i64, measured: &Measured) -> Look {
    let found = look(&store.view(), alerts, measured, START + minute * MINUTE_NS).expect("a look");
    found.commit(store).expect("a commit");
    found
}

fn arrived(found: &Look, store: &Store, error: Option<&str>) {
    let deliveries: Vec<Delivery> = found
        .owed
        .iter()
        .map(|incident| Delivery {
            sink: "chat".into(),
            incidents: vec![(incident.fingerprint.clone(), incident.state.since_ns)],
            error: error.map(str::to_owned),
        })
        .collect();
    settle(store, &found.settled(&deliveries)).expect("a commit");
}

#[test]
fn an_incident_survives_restarts_and_is_told_of_once_at_each_turn() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut store = store(directory.path());
    let alerts = alerts();
    let mut events = Vec::new();
    for (minute, value) in [
        (0, FINE),
        (5, LATE),
        (10, LATE),
        (15, LATE),
        (20, LATE),
        (74, LATE),
        (75, LATE),
        (80, FINE),
        (85, FINE),
    ] {
        let found = at(&store, &alerts, minute, &reading(value));
        arrived(&found, &store, None);
        events.extend(found.records.iter().map(|record| (minute, record.event.clone())));
        // A process that looks once and ends: the next one begins with what is in the store.
        store.close().expect("closes");
        store = Store::open(directory.path().join("store"), options()).expect("opens");
    }
    let told: Vec<(i64, &str)> = events.iter().map(|(minute, event)| (*minute, event.as_str())).collect();
    assert_eq!(told, [(15, "fired"), (75, "repeated"), (80, "resolved")]);
    let view = store.view();
    let kept = ledger::records(&view, i64::MIN).expect("records");
    assert_eq!(
        kept.iter().map(|it| it.event.as_str()).collect::<Vec<_>>(),
        ["fired", "repeated", "resolved"]
    );
    let incidents = ledger::incidents(&view).expect("incidents");
    assert_eq!(incidents.len(), 1, "one row, written anew: {incidents:?}");
    let state = incidents[0].state;
    assert_eq!((state.phase, state.since_ns), (Phase::Resolved, START + 5 * MINUTE_NS));
    assert_eq!(state.ended_ns, Some(START + 80 * MINUTE_NS));
    assert!(ledger::open(&view).expect("incidents").is_empty());
}

#[test]
fn a_look_that_changes_nothing_writes_nothing_and_one_that_does_is_one_commit() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path());
    let mut alerts = alerts();
    alerts.rules[0].spans.hold_ns = 0;
    let version = || store.view().version();
    at(&store, &alerts, 0, &reading(FINE));
    assert_eq!(version(), 0);
    let mut many = reading(LATE);
    many.readings.push(Reading { subject: "B.X 1m".into(), ..many.readings[0].clone() });
    let found = at(&store, &alerts, 1, &many);
    assert_eq!((version(), found.records.len()), (1, 2), "both incidents and both events in one commit");
    arrived(&found, &store, None);
    assert_eq!(version(), 2, "and who was told in another");
    for minute in 2..10 {
        let found = at(&store, &alerts, minute, &many);
        assert!(found.owed.is_empty() && found.open.len() == 2, "{found:?}");
    }
    assert_eq!(version(), 2);
    // The series is gone, or the rule.
    let found = at(&store, &alerts, 10, &Measured::default());
    assert_eq!(found.records.iter().filter(|it| it.event == "resolved").count(), 2);
    assert!(found.records[0].evidence.contains("nobody watches"));
}

#[test]
fn a_look_reads_what_is_not_over_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path());
    let mut alerts = alerts();
    alerts.rules[0].spans.hold_ns = 0;
    let open_times = || {
        let table = SeriesKey::new(OWN_INSTRUMENT, "alerts/open").expect("a key");
        store.view().read(&table).rows().map_or(Vec::new(), |rows| rows.time().to_vec())
    };
    // Several series go bad and well again; what is open is always what all incidents say.
    for minute in 0..40 {
        let value = |series: i64| if (minute / (series + 2)) % 2 == 0 { FINE } else { LATE };
        let one = |series| Reading {
            subject: format!("{series}.X 1m"),
            ..reading(value(series)).readings[0].clone()
        };
        let measured = Measured { readings: (0..5).map(one).collect(), operations: Vec::new() };
        let found = at(&store, &alerts, minute, &measured);
        arrived(&found, &store, (minute % 7 == 3).then_some("down"));
        let view = store.view();
        let mut all = ledger::incidents(&view).expect("incidents");
        all.retain(ledger::Incident::is_unsettled);
        assert_eq!(ledger::unsettled(&view).expect("incidents"), all, "minute {minute}");
        let mut times: Vec<i64> = all.iter().map(|incident| incident.state.since_ns).collect();
        times.dedup();
        assert_eq!(open_times(), times, "minute {minute}");
    }
    // A store of before there was such a table.
    let before = ledger::unsettled(&store.view()).expect("incidents");
    let mut transaction = store.begin();
    transaction.drop_series(&SeriesKey::new(OWN_INSTRUMENT, "alerts/open").unwrap()).unwrap();
    transaction.commit().unwrap();
    assert_eq!(ledger::unsettled(&store.view()).expect("incidents"), before);
    let found = at(&store, &alerts, 41, &Measured::default());
    arrived(&found, &store, None);
    assert!(open_times().is_empty() && ledger::unsettled(&store.view()).unwrap().is_empty());
    // An incident of long ago that makes no sense is not in the way: it is not read.
    let mut wrong = ledger::incidents(&store.view()).unwrap().remove(0);
    (wrong.state.since_ns, wrong.fingerprint) = (START - DAY_NS, "wrong".into());
    let mut transaction = store.begin();
    ledger::keep_incidents(&mut transaction, &store.view(), &[wrong]).unwrap();
    transaction.commit().unwrap();
    let table = SeriesKey::new(OWN_INSTRUMENT, "alerts/incidents").unwrap();
    let mut transaction = store.begin();
    let rows = store.view().read(&table).range(i64::MIN..START).rows().unwrap();
    let column = |name: &str| rows.column(name).unwrap().clone();
    let batch = rows.columns.iter().fold(Batch::new(rows.time().to_vec()), |batch, it| {
        let level: Values = Values::Str(["nonsense"].into_iter().map(str::to_owned).collect());
        batch.with(&it.name, if it.name == "level" { level.into() } else { column(&it.name) })
    });
    transaction.upsert(&table, batch).unwrap();
    transaction.commit().unwrap();
    assert!(ledger::incidents(&store.view()).is_err());
    assert_eq!(at(&store, &alerts, 42, &reading(LATE)).records.len(), 1);
}

#[test]
fn what_cannot_be_measured_changes_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path());
    let alerts = alerts();
    at(&store, &alerts, 0, &reading(LATE));
    let found = at(&store, &alerts, 5, &reading(None));
    assert!(found.changes_nothing() && found.open.len() == 1);
    let found = at(&store, &alerts, 10, &reading(LATE));
    assert_eq!(found.records[0].event, "fired", "the time goes on");
}

#[test]
fn what_did_not_arrive_is_sent_again_for_a_day() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path());
    let mut alerts = alerts();
    alerts.rules[0].spans.hold_ns = 0;
    alerts.rules[0].spans.repeat_ns = 0;
    let found = at(&store, &alerts, 0, &reading(LATE));
    arrived(&found, &store, Some("down"));
    let version = store.view().version();
    let found = at(&store, &alerts, 5, &reading(LATE));
    assert_eq!(found.owed.len(), 1);
    assert_eq!(found.owed[0].owed, Some((Event::Fired, vec!["chat".to_owned()])));
    assert_eq!(store.view().version(), version, "trying again is no change");
    // A crash after the commit and before sending leaves the same.
    let found = at(&store, &alerts, 6, &reading(FINE));
    assert_eq!(found.owed[0].owed, Some((Event::Resolved, vec!["chat".to_owned()])), "the last event counts");
    let found = at(&store, &alerts, 7, &reading(FINE));
    assert_eq!(found.owed.len(), 1, "of what is over as well");
    arrived(&found, &store, None);
    let found = at(&store, &alerts, 8, &reading(FINE));
    assert!(found.owed.is_empty());
    let found = at(&store, &alerts, 10, &reading(LATE));
    arrived(&found, &store, Some("down"));
    let day = DAY_NS / MINUTE_NS;
    assert_eq!(at(&store, &alerts, 9 + day, &reading(LATE)).owed.len(), 1);
    assert!(at(&store, &alerts, 10 + day, &reading(LATE)).owed.is_empty(), "given up");
    assert!(at(&store, &alerts, 11 + day, &reading(LATE)).changes_nothing());
}

#[test]
fn silence_keeps_quiet_and_acknowledging_stops_repetitions() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(directory.path());
    let mut alerts = alerts();
    alerts.rules[0].spans.hold_ns = 0;
    let silence = Silence::new(START, "fresh*", "A.*", START + 30 * MINUTE_NS, "maintenance");
    let mut transaction = store.begin();
    keep_silence(&mut transaction, &silence).expect("a row");
    transaction.commit().expect("a commit");
    let found = at(&store, &alerts, 1, &reading(LATE));
    assert!(found.owed.is_empty() && found.records[0].silenced, "{found:?}");
    assert!(at(&store, &alerts, 29, &reading(LATE)).changes_nothing());
    let found = at(&store, &alerts, 30, &reading(LATE));
    assert_eq!((found.records[0].event.as_str(), found.owed.len()), ("repeated", 1), "told when it ends");
    arrived(&found, &store, None);
    let mut incident = ledger::open(&store.view()).expect("incidents").remove(0);
    incident.acknowledged_ns = Some(START + 31 * MINUTE_NS);
    settle(&store, &[incident]).expect("a commit");
    assert!(at(&store, &alerts, 500, &reading(LATE)).changes_nothing());
    let found = at(&store, &alerts, 501, &reading(FINE));
    assert_eq!((found.records[0].event.as_str(), found.owed.len()), ("resolved", 1));
    assert!(silence.hushes("freshness", "A.X 1m", START) && !silence.hushes("gaps", "A.X 1m", START));
}
