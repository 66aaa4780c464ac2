//! What a store remembers of alerts: tables of its own instrument. `tapestore alerts/incidents` has a row an incident, at
//! the time when it began, which is written anew when the incident moves; `tapestore alerts/open` the times when those
//! began that a look has to know; `tapestore alerts/events` what was told, when; `tapestore alerts/silences` what is not to
//! be told.
//!
//! # Invariants
//! - B1. `alerts/open` has a row for each time at which an incident began that is not over, or of which somebody is owed word,
//!   and no other. It is written in one commit with the incidents, so that a look reads these and not all there ever were.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tapestore::schema::SchemaBuilder;
use tapestore::time::DAY_NS;
use tapestore::{
    Batch, ColumnType, ColumnValues, Error as StoreError, OWN_INSTRUMENT, Rows, Schema, SeriesKey, Strings,
    Transaction, Values, View,
};

use crate::error::{Error, Result};
use crate::machine::{Event, Hush, Phase, State};
use crate::rule::{Check, Level, Pattern, fingerprint};

/// How long a sink that fails is owed an event, in nanoseconds.
pub const OWED_NS: i64 = DAY_NS;

/// Something that is wrong, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// See [`crate::Rule::fingerprint`].
    pub fingerprint: String,
    /// Name of the rule.
    pub rule: String,
    /// What is measured.
    pub check: Check,
    /// How bad it is.
    pub level: Level,
    /// The series, the target of the fetch, or `store`.
    pub subject: String,
    /// Where it is in its life.
    pub state: State,
    /// The value when it moved the last time, in the unit of its check.
    pub value: f64,
    /// What was found then, in words.
    pub evidence: String,
    /// When somebody said that they know, nanoseconds since the Unix epoch, UTC; `None`: nobody did.
    pub acknowledged_ns: Option<i64>,
    /// What they said.
    pub note: String,
    /// The event that sinks are owed, and their names.
    pub owed: Option<(Event, Vec<String>)>,
}

impl Incident {
    /// Whether a look has to know it: it is not over, or somebody is owed word of it.
    pub fn is_unsettled(&self) -> bool {
        self.state.is_open() || self.owed.is_some()
    }
}

/// Something that was told, or kept quiet.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// `fired`, `repeated`, `resolved` or `acknowledged`.
    pub event: String,
    /// The incident as it was then.
    pub fingerprint: String,
    /// Name of its rule.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub subject: String,
    /// What is measured.
    pub check: Check,
    /// The value then.
    pub value: f64,
    /// What was found, in words.
    pub evidence: String,
    /// When the incident began.
    pub since_ns: i64,
    /// Nobody was told, because of a silence.
    pub silenced: bool,
}

/// Something that is not to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When it was made, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// By what it is ended: eight hexadecimal digits.
    pub id: String,
    /// Rules, a pattern.
    pub rule: String,
    /// Subjects, a pattern.
    pub subject: String,
    /// Until when, exclusive.
    pub until_ns: i64,
    /// Why.
    pub reason: String,
}

impl Silence {
    /// A silence from now on.
    pub fn new(time_ns: i64, rule: &str, subject: &str, until_ns: i64, reason: &str) -> Self {
        let id = fingerprint(rule, &format!("{subject}\0{time_ns}"))[..8].to_owned();
        let (rule, subject, reason) = (rule.to_owned(), subject.to_owned(), reason.to_owned());
        Self { time_ns, id, rule, subject, until_ns, reason }
    }

    /// Whether it hushes a rule about a subject at a time.
    pub fn hushes(&self, rule: &str, subject: &str, now_ns: i64) -> bool {
        now_ns < self.until_ns
            && Pattern::new(&self.rule).fits_text(rule)
            && Pattern::new(&self.subject).fits_text(subject)
    }
}

/// What hushes an incident.
pub fn hush(silences: &[Silence], rule: &str, subject: &str, acknowledged: bool, now_ns: i64) -> Hush {
    let silenced = silences.iter().any(|silence| silence.hushes(rule, subject, now_ns));
    Hush { silenced, acknowledged }
}

fn own(frame: &str) -> SeriesKey {
    SeriesKey::new(OWN_INSTRUMENT, frame).expect("the name is a constant")
}

fn incidents_key() -> SeriesKey {
    own("alerts/incidents")
}

fn open_key() -> SeriesKey {
    own("alerts/open")
}

fn events_key() -> SeriesKey {
    own("alerts/events")
}

fn silences_key() -> SeriesKey {
    own("alerts/silences")
}

/// Columns: name, type, meaning.
type Columns<'a> = &'a [(&'a str, ColumnType, &'a str)];

const TEXT: ColumnType = ColumnType::String;
const TIME: ColumnType = ColumnType::Timestamp;

const INCIDENTS: Columns<'_> = &[
    ("fingerprint", TEXT, "of rule and subject"),
    ("rule", TEXT, "name of the rule"),
    ("check", TEXT, "what is measured"),
    ("level", TEXT, "CRITICAL, HIGH, MEDIUM or LOW"),
    ("subject", TEXT, "a series, the target of a fetch, or store"),
    ("phase", TEXT, "pending, firing, resolved or passed"),
    ("value", ColumnType::F64, "when it moved the last time: a share, nanoseconds, bytes or a count"),
    ("evidence", TEXT, "what was found then"),
    ("fired", TIME, "when it fired; 0: it did not"),
    ("told", TIME, "when somebody was told the last time; 0: nobody was"),
    ("good_since", TIME, "good since, while it fires; 0: it is bad"),
    ("ended", TIME, "when it was over; 0: it is not"),
    ("acknowledged", TIME, "when somebody said that they know; 0: nobody did"),
    ("note", TEXT, "what they said"),
    ("owed_event", TEXT, "what sinks have not got"),
    ("owed", TEXT, "names of those sinks"),
];
const EVENTS: Columns<'_> = &[
    ("fingerprint", TEXT, "of rule and subject"),
    ("event", TEXT, "fired, repeated, resolved or acknowledged"),
    ("rule", TEXT, "name of the rule"),
    ("check", TEXT, "what is measured"),
    ("level", TEXT, "CRITICAL, HIGH, MEDIUM or LOW"),
    ("subject", TEXT, "a series, the target of a fetch, or store"),
    ("value", ColumnType::F64, "a share, nanoseconds, bytes or a count"),
    ("evidence", TEXT, "what was found"),
    ("since", TIME, "when the incident began"),
    ("silenced", TEXT, "yes: nobody was told"),
];
const SILENCES: Columns<'_> = &[
    ("id", TEXT, "by which it is ended"),
    ("rule", TEXT, "rules, a pattern"),
    ("subject", TEXT, "subjects, a pattern"),
    ("until", TIME, "until when"),
    ("reason", TEXT, "why"),
];

fn schema(columns: Columns<'_>, identity: &[&str]) -> Schema {
    let add = |b: SchemaBuilder, c: &(&str, ColumnType, &str)| b.column(c.0, c.1).describe(c.2);
    let builder = columns.iter().fold(SchemaBuilder::sequence(), add);
    builder.dedup(identity).build().expect("a valid schema")
}

/// Texts beyond what a value may have are cut, at the end of a letter.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(4000);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn texts<T>(items: &[T], of: impl Fn(&T) -> String) -> ColumnValues {
    Values::Str(items.iter().map(|item| cut(&of(item)).to_owned()).collect::<Strings>()).into()
}

fn times<T>(items: &[T], of: impl Fn(&T) -> Option<i64>) -> Values {
    Values::I64(items.iter().map(|item| of(item).unwrap_or(0)).collect())
}

/// Writes incidents, in place of what was known of them; `view` is what the transaction begins with.
///
/// # Errors
/// As [`Transaction::upsert`]; damage.
pub fn keep_incidents(transaction: &mut Transaction, view: &View, items: &[Incident]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    keep_open(transaction, view, items)?;
    let table = incidents_key();
    transaction.create_series(&table, schema(INCIDENTS, &["fingerprint"]))?;
    let batch = Batch::new(items.iter().map(|it| it.state.since_ns).collect())
        .with("fingerprint", texts(items, |it| it.fingerprint.clone()))
        .with("rule", texts(items, |it| it.rule.clone()))
        .with("check", texts(items, |it| it.check.name().into()))
        .with("level", texts(items, |it| it.level.name().into()))
        .with("subject", texts(items, |it| it.subject.clone()))
        .with("phase", texts(items, |it| it.state.phase.name().into()))
        .with("value", Values::F64(items.iter().map(|it| it.value).collect()))
        .with("evidence", texts(items, |it| it.evidence.clone()))
        .with("fired", times(items, |it| it.state.fired_ns))
        .with("told", times(items, |it| it.state.told_ns))
        .with("good_since", times(items, |it| it.state.good_since_ns))
        .with("ended", times(items, |it| it.state.ended_ns))
        .with("acknowledged", times(items, |it| it.acknowledged_ns))
        .with("note", texts(items, |it| it.note.clone()))
        .with("owed_event", texts(items, |it| it.owed.as_ref().map_or("", |owed| owed.0.name()).into()))
        .with("owed", texts(items, |it| it.owed.as_ref().map_or(String::new(), |owed| owed.1.join(","))));
    Ok(transaction.upsert(&table, batch)?)
}

/// Brings the table of times up to what it is after some incidents are written (B1).
fn keep_open(transaction: &mut Transaction, view: &View, items: &[Incident]) -> Result<()> {
    let table = open_key();
    let mut times: BTreeSet<i64> = items.iter().map(|item| item.state.since_ns).collect();
    let is_new = view.schema(&table).is_err();
    let known = if is_new { incidents(view)? } else { begun_at(view, &times)? };
    let mut left: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for item in known.iter().chain(items) {
        let at = left.entry(item.state.since_ns).or_default();
        if item.is_unsettled() {
            at.insert(&item.fingerprint);
        } else {
            at.remove(item.fingerprint.as_str());
        }
    }
    times.extend(left.keys());
    let column = "incidents";
    let builder = SchemaBuilder::unique().column(column, ColumnType::I64);
    let schema = builder.describe("how many began then that are not over, or of which somebody is owed word");
    transaction.create_series(&table, schema.build().expect("a valid schema"))?;
    left.retain(|_, fingerprints| !fingerprints.is_empty());
    for time in times.iter().filter(|time| !is_new && !left.contains_key(time)) {
        transaction.delete_range(&table, *time..*time + 1)?;
    }
    if !left.is_empty() {
        let counts = left.values().map(|fingerprints| fingerprints.len() as i64).collect();
        let batch = Batch::new(left.into_keys().collect()).with(column, Values::I64(counts));
        transaction.upsert(&table, batch)?;
    }
    Ok(())
}

/// Incidents that began at some times.
fn begun_at(view: &View, times: &BTreeSet<i64>) -> Result<Vec<Incident>> {
    let mut found = Vec::new();
    for time in times {
        found.extend(all(Table::read_range(view, incidents_key(), *time..*time + 1)?, Table::incident)?);
    }
    Ok(found)
}

/// Adds what was told.
///
/// # Errors
/// As [`Transaction::upsert`].
pub fn keep_records(transaction: &mut Transaction, items: &[Record]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let table = events_key();
    transaction.create_series(&table, schema(EVENTS, &["fingerprint", "event"]))?;
    let batch = Batch::new(items.iter().map(|it| it.time_ns).collect())
        .with("fingerprint", texts(items, |it| it.fingerprint.clone()))
        .with("event", texts(items, |it| it.event.clone()))
        .with("rule", texts(items, |it| it.rule.clone()))
        .with("check", texts(items, |it| it.check.name().into()))
        .with("level", texts(items, |it| it.level.name().into()))
        .with("subject", texts(items, |it| it.subject.clone()))
        .with("value", Values::F64(items.iter().map(|it| it.value).collect()))
        .with("evidence", texts(items, |it| it.evidence.clone()))
        .with("since", times(items, |it| Some(it.since_ns)))
        .with("silenced", texts(items, |it| if it.silenced { "yes".into() } else { String::new() }));
    Ok(transaction.upsert(&table, batch)?)
}

/// Writes a silence, in place of what was known of it.
///
/// # Errors
/// As [`Transaction::upsert`].
pub fn keep_silence(transaction: &mut Transaction, silence: &Silence) -> Result<()> {
    let table = silences_key();
    transaction.create_series(&table, schema(SILENCES, &["id"]))?;
    let items = std::slice::from_ref(silence);
    let batch = Batch::new(vec![silence.time_ns])
        .with("id", texts(items, |it| it.id.clone()))
        .with("rule", texts(items, |it| it.rule.clone()))
        .with("subject", texts(items, |it| it.subject.clone()))
        .with("until", times(items, |it| Some(it.until_ns)))
        .with("reason", texts(items, |it| it.reason.clone()));
    Ok(transaction.upsert(&table, batch)?)
}

/// The rows of a table of ours.
struct Table {
    key: SeriesKey,
    rows: Rows,
}

impl Table {
    fn read(view: &View, key: SeriesKey, since_ns: i64) -> Result<Option<Self>> {
        Self::read_range(view, key, since_ns..i64::MAX)
    }

    fn read_range(view: &View, key: SeriesKey, range: Range<i64>) -> Result<Option<Self>> {
        match view.read(&key).range(range).rows() {
            Err(StoreError::NotFound(_)) => Ok(None),
            rows => Ok(Some(Self { rows: rows?, key })),
        }
    }

    fn foreign(&self) -> Error {
        Error::Usage(format!("{} is not a table of alerts; is it one of your own?", self.key))
    }

    fn text(&self, name: &str, row: usize) -> Result<&str> {
        match self.rows.column(name).map(|column| &column.values) {
            Some(Values::Str(texts)) => Ok(texts.get(row)),
            _ => Err(self.foreign()),
        }
    }

    fn time(&self, name: &str, row: usize) -> Result<Option<i64>> {
        let time = self.rows.i64(name).ok_or_else(|| self.foreign())?[row];
        Ok((time != 0).then_some(time))
    }

    fn number(&self, name: &str, row: usize) -> Result<f64> {
        Ok(self.rows.f64(name).ok_or_else(|| self.foreign())?[row])
    }

    fn incident(&self, row: usize) -> Result<Incident> {
        let text = |name: &str| self.text(name, row).map(str::to_owned);
        let time = |name: &str| self.time(name, row);
        let state = State {
            phase: Phase::parse(self.text("phase", row)?).ok_or_else(|| self.foreign())?,
            since_ns: self.rows.time()[row],
            fired_ns: time("fired")?,
            told_ns: time("told")?,
            good_since_ns: time("good_since")?,
            ended_ns: time("ended")?,
        };
        let owed = Event::parse(self.text("owed_event", row)?).map(|event| {
            let names = self.text("owed", row)?.split(',').filter(|name| !name.is_empty());
            Ok::<_, Error>((event, names.map(str::to_owned).collect()))
        });
        Ok(Incident {
            fingerprint: text("fingerprint")?,
            rule: text("rule")?,
            check: Check::parse(self.text("check", row)?).ok_or_else(|| self.foreign())?,
            level: Level::parse(self.text("level", row)?).ok_or_else(|| self.foreign())?,
            subject: text("subject")?,
            state,
            value: self.number("value", row)?,
            evidence: text("evidence")?,
            acknowledged_ns: time("acknowledged")?,
            note: text("note")?,
            owed: owed.transpose()?,
        })
    }

    fn record(&self, row: usize) -> Result<Record> {
        let text = |name: &str| self.text(name, row).map(str::to_owned);
        Ok(Record {
            time_ns: self.rows.time()[row],
            event: text("event")?,
            fingerprint: text("fingerprint")?,
            rule: text("rule")?,
            level: Level::parse(self.text("level", row)?).ok_or_else(|| self.foreign())?,
            subject: text("subject")?,
            check: Check::parse(self.text("check", row)?).ok_or_else(|| self.foreign())?,
            value: self.number("value", row)?,
            evidence: text("evidence")?,
            since_ns: self.time("since", row)?.unwrap_or(0),
            silenced: self.text("silenced", row)? == "yes",
        })
    }

    fn silence(&self, row: usize) -> Result<Silence> {
        let text = |name: &str| self.text(name, row).map(str::to_owned);
        Ok(Silence {
            time_ns: self.rows.time()[row],
            id: text("id")?,
            rule: text("rule")?,
            subject: text("subject")?,
            until_ns: self.time("until", row)?.unwrap_or(0),
            reason: text("reason")?,
        })
    }
}

fn all<T>(table: Option<Table>, of: impl Fn(&Table, usize) -> Result<T>) -> Result<Vec<T>> {
    let Some(table) = table else { return Ok(Vec::new()) };
    (0..table.rows.len()).map(|row| of(&table, row)).collect()
}

/// All incidents, by when they began.
///
/// # Errors
/// Damage; [`Error::Usage`] if the table is not ours.
pub fn incidents(view: &View) -> Result<Vec<Incident>> {
    all(Table::read(view, incidents_key(), i64::MIN)?, Table::incident)
}

/// The incidents that are not over, or of which somebody is owed word, by when they began. What is over for good is not
/// read.
///
/// # Errors
/// As [`incidents`].
pub fn unsettled(view: &View) -> Result<Vec<Incident>> {
    let mut found = match Table::read(view, open_key(), i64::MIN)? {
        Some(open) => begun_at(view, &open.rows.time().iter().copied().collect())?,
        // A store of before there was such a table.
        None => incidents(view)?,
    };
    found.retain(Incident::is_unsettled);
    Ok(found)
}

/// The incidents that are pending or firing, the worst first.
///
/// # Errors
/// As [`incidents`].
pub fn open(view: &View) -> Result<Vec<Incident>> {
    let mut open = unsettled(view)?;
    open.retain(|incident| incident.state.is_open());
    open.sort_by_key(|incident| {
        let pending = incident.state.phase == Phase::Pending;
        (pending, std::cmp::Reverse(incident.level), incident.state.since_ns)
    });
    Ok(open)
}

/// What was told since a time, the oldest first.
///
/// # Errors
/// As [`incidents`].
pub fn records(view: &View, since_ns: i64) -> Result<Vec<Record>> {
    all(Table::read(view, events_key(), since_ns)?, Table::record)
}

/// All silences, by when they were made.
///
/// # Errors
/// As [`incidents`].
pub fn silences(view: &View) -> Result<Vec<Silence>> {
    all(Table::read(view, silences_key(), i64::MIN)?, Table::silence)
}
