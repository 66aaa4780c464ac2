//! The state of a store in numbers: what `tape status` shows and every report begins with.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use tapestore::{Operation, Outcome, SeriesKey, Stats, Store, Timeframe, View};
use tapestore_alert::measure::{VERIFY, Watched, disk};
use tapestore_alert::{Incident, Level};
use tapestore_quality::{Checked, Finding, FindingState, Rules, Score, Severity, Tally, Tier};

use crate::error::Result;

/// How a backup is named in the log of operations.
pub const BACKUP: &str = "backup";

/// A series of bars.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub key: SeriesKey,
    /// Names of the universes that hold it.
    pub universes: Vec<String>,
    /// Bars.
    pub rows: u64,
    /// Open time of the first bar, nanoseconds since the Unix epoch, UTC.
    pub first_ns: Option<i64>,
    /// Open time of the last bar.
    pub last_ns: Option<i64>,
    /// Bytes in segments.
    pub bytes: u64,
    /// The configuration keeps it current.
    pub kept: bool,
    /// For how long the next bar has been due, in nanoseconds; 0: none is. `None`: nobody keeps it current, or its calendar
    /// says nothing.
    pub lag_ns: Option<i64>,
    /// Its score, if it was checked.
    pub score: Option<Score>,
}

/// Several series together.
#[derive(Clone, Debug)]
pub struct Group {
    /// A universe, or a timeframe.
    pub name: String,
    /// How many.
    pub series: u64,
    /// Their bars.
    pub rows: u64,
    /// Open time of the newest bar.
    pub newest_ns: Option<i64>,
    /// The largest lag of those that are kept current.
    pub lag_ns: Option<i64>,
    /// The score of all of them together; `None`: none was checked.
    pub score: Option<Score>,
}

/// The disk below a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that may be written.
    pub free: u64,
    /// Bytes that there are.
    pub all: u64,
}

/// Everything at a glance.
#[derive(Clone, Debug)]
pub struct Overview {
    /// When it was made, nanoseconds since the Unix epoch, UTC.
    pub now_ns: i64,
    /// The directory of the store.
    pub directory: Option<PathBuf>,
    /// The id of the store.
    pub id: String,
    /// Sizes and counters.
    pub stats: Stats,
    /// Bytes of all values and times of the rows that are visible, eight each: what they are compared with.
    pub plain_bytes: u64,
    /// When the newest version was committed.
    pub committed_ns: Option<i64>,
    /// Series of bars.
    pub lines: Vec<Line>,
    /// By universe, those in none last; a series in several counts in each.
    pub groups: Vec<Group>,
    /// By timeframe, the finest first.
    pub frames: Vec<Group>,
    /// The score of all that was checked.
    pub score: Option<Score>,
    /// Series by tier, the best first.
    pub tiers: [(Tier, u64); 5],
    /// Open findings.
    pub findings: Vec<Finding>,
    /// Alerts that are pending or firing.
    pub alerts: Vec<Incident>,
    /// The last run of a fetch, and the last that ended well.
    pub fetch: (Option<Operation>, Option<Operation>),
    /// The last verification that was noted.
    pub verified: Option<Operation>,
    /// The last backup that was noted.
    pub backed_up: Option<Operation>,
    /// The disk, where the system tells.
    pub disk: Option<Disk>,
}

/// How a store is, as its exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing fires, nothing is open.
    Good,
    /// No alert fires, but findings are open or the last fetch failed.
    Attention,
    /// Alerts fire, the highest of this level.
    Alerts(Level),
}

/// What is known of a store beyond what it says itself.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Series of bars, and those that are kept current.
    pub watched: Vec<Watched>,
    /// The universes of an instrument.
    pub universes: HashMap<String, Vec<String>>,
    /// Thresholds of scores.
    pub rules: Rules,
    /// Alerts that are pending or firing.
    pub alerts: Vec<Incident>,
}

impl Overview {
    /// Looks at a store. Reads indexes and the store's own tables, no prices.
    ///
    /// # Errors
    /// Damage.
    pub fn of(store: &Store, view: &View, knowledge: &Knowledge, now_ns: i64) -> Result<Self> {
        let checked: HashMap<SeriesKey, Checked> =
            tapestore_quality::checked(view)?.into_iter().map(|one| (one.key.clone(), one)).collect();
        let mut lines = Vec::new();
        for watched in &knowledge.watched {
            lines.push(line(view, watched, checked.get(&watched.key), knowledge, now_ns)?);
        }
        let mut plain_bytes = 0;
        for key in view.keys().into_iter().filter(|key| !key.is_own()) {
            let info = view.info(&key)?;
            plain_bytes += info.rows * 8 * (info.schema.columns.len() as u64 + 1);
        }
        let rules = &knowledge.rules;
        let operations = view.operations(i64::MIN..i64::MAX)?;
        let last = |kind: &str, ok: bool| {
            let wanted = |it: &&Operation| it.kind == kind && (!ok || it.outcome == Outcome::Done);
            operations.iter().rev().find(wanted).cloned()
        };
        let mut findings = tapestore_quality::findings(view, i64::MIN..i64::MAX)?;
        findings.retain(|finding| finding.state == FindingState::Open);
        findings.sort_by_key(|finding| {
            (std::cmp::Reverse(finding.severity), std::cmp::Reverse(finding.bars), -finding.at_ns)
        });
        let directory = store.directory();
        let space = directory.as_deref().and_then(disk);
        let count = |tier: &Tier| {
            let of = |line: &&Line| line.score.as_ref().is_some_and(|score| score.tier == *tier);
            (*tier, lines.iter().filter(of).count() as u64)
        };
        let frame = |line: &Line| vec![line.key.frame().to_string()];
        let mut frames = groups(&lines, frame, rules);
        frames.sort_by_key(|group| Timeframe::parse(&group.name).map(|timeframe| timeframe as u8));
        let universes = |line: &Line| match line.universes.as_slice() {
            [] => vec![String::new()],
            names => names.to_vec(),
        };
        let mut by_universe = groups(&lines, universes, rules);
        by_universe.sort_by(|a, b| (a.name.is_empty(), &a.name).cmp(&(b.name.is_empty(), &b.name)));
        Ok(Self {
            now_ns,
            id: store.id(),
            stats: store.stats()?,
            plain_bytes,
            committed_ns: store.log(1)?.first().map(|commit| commit.time_ns),
            score: score(&lines.iter().collect::<Vec<_>>(), rules),
            tiers: Tier::ALL.each_ref().map(count),
            groups: by_universe,
            frames,
            findings,
            alerts: knowledge.alerts.clone(),
            fetch: (last("fetch", false), last("fetch", true)),
            verified: last(VERIFY, false),
            backed_up: last(BACKUP, true),
            disk: space.map(|(free, all)| Disk { free, all }),
            directory,
            lines,
        })
    }

    /// The alerts that fire, the highest level first.
    pub fn firing(&self) -> Vec<&Incident> {
        let mut firing: Vec<&Incident> = self
            .alerts
            .iter()
            .filter(|it| it.state.phase == tapestore_alert::machine::Phase::Firing)
            .collect();
        firing.sort_by_key(|it| (std::cmp::Reverse(it.level), it.state.since_ns));
        firing
    }

    /// Open findings of a severity.
    pub fn open(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// How it is, all in all. Findings that are only worth a look count for nothing here.
    pub fn health(&self) -> Health {
        if let Some(first) = self.firing().first() {
            return Health::Alerts(first.level);
        }
        let failed = self.fetch.0.as_ref().is_some_and(|run| run.outcome == Outcome::Failed);
        let open = self.findings.iter().any(|finding| finding.severity != Severity::Low);
        if failed || open { Health::Attention } else { Health::Good }
    }

    /// The share of bytes that the store saves beside plain values of eight bytes; negative if it takes more.
    pub fn saved(&self) -> Option<f64> {
        (self.plain_bytes > 0).then(|| 1.0 - self.stats.bytes_on_disk as f64 / self.plain_bytes as f64)
    }
}

fn line(
    view: &View,
    watched: &Watched,
    checked: Option<&Checked>,
    knowledge: &Knowledge,
    now_ns: i64,
) -> Result<Line> {
    let info = match view.info(&watched.key) {
        Err(tapestore::Error::NotFound(_)) => None,
        info => Some(info?),
    };
    let last = info.as_ref().and_then(|info| info.last_ns);
    let lag_ns = match (&watched.expected, last) {
        (Ok(expected), Some(last)) if watched.kept => expected.lag(last, now_ns),
        _ => None,
    };
    Ok(Line {
        key: watched.key.clone(),
        universes: knowledge.universes.get(watched.key.instrument()).cloned().unwrap_or_default(),
        rows: info.as_ref().map_or(0, |info| info.rows),
        first_ns: info.as_ref().and_then(|info| info.first_ns),
        last_ns: last,
        bytes: info.map_or(0, |info| info.bytes),
        kept: watched.kept,
        lag_ns,
        score: checked.map(|checked| Score::of(checked.tally, lag_ns, &knowledge.rules)),
    })
}

fn score(lines: &[&Line], rules: &Rules) -> Option<Score> {
    let scores: Vec<&Score> = lines.iter().filter_map(|line| line.score.as_ref()).collect();
    let tally: Tally = scores.iter().map(|score| score.tally).sum();
    let lag = scores.iter().filter_map(|score| score.lag_ns).max();
    (!scores.is_empty()).then(|| Score::of(tally, lag, rules))
}

fn groups(lines: &[Line], names: impl Fn(&Line) -> Vec<String>, rules: &Rules) -> Vec<Group> {
    let mut by_name: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        for name in names(line) {
            by_name.entry(name).or_default().push(line);
        }
    }
    let group = |(name, lines): (String, Vec<&Line>)| Group {
        name,
        series: lines.len() as u64,
        rows: lines.iter().map(|line| line.rows).sum(),
        newest_ns: lines.iter().filter_map(|line| line.last_ns).max(),
        lag_ns: lines.iter().filter_map(|line| line.lag_ns).max(),
        score: score(&lines, rules),
    };
    by_name.into_iter().map(group).collect()
}
