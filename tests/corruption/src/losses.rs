//! What a damage may cost, and whether a report of losses names that and nothing else.
//!
//! With a whole manifest everything is known: which rows stand in damaged blocks, which commits in damaged frames. A report
//! may name these, row by row, and no other. Without one only the kinds of losses are looked at ([`Fate::check_loosely`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tapestore::{Loss, LossKind, SalvageReport};

use crate::harmless::allowed;
use crate::layout::{COMMITS, Layout};
use crate::parts::{Cost, Part, Piece};
use crate::subject::{Files, Subject};

/// What may be lost although its own bytes are whole. Nothing else may.
pub const REASONS: [(&str, &str); 7] = [
    ("a head", "without it nothing says where the blocks of a chunk are: all rows of the chunk"),
    (
        "a dictionary, a model",
        "blocks of a column cannot be decoded without: the column in all rows of the chunk",
    ),
    ("a group", "open, high, low and close predict one another: all four in the rows of the block"),
    (
        "runs",
        "they tell times: the rows of chunks with holes that store none; the index has the places of the runs",
    ),
    (
        "what lies beneath",
        "rows of the same times in older layers may be rows that the lost ones replaced, or that lost marks deleted: the \
         newest version shows neither; they are not counted as lost, because older versions show them",
    ),
    (
        "the end of the newest log",
        "what a power cut leaves is no commit (W5), also where commits behind it can be read: the report says how many bytes",
    ),
    (
        "older versions",
        "where history is lost, the versions before its last commit, and its snapshots, are not certain any more",
    ),
];

/// What a damage may cost.
#[expect(clippy::struct_excessive_bools, reason = "facts about the damage, one for each thing that is asked")]
pub struct Fate<'a> {
    layout: &'a Layout,
    /// Whether the manifest is whole: what it says counts, and everything can be told exactly.
    pub sound: bool,
    /// The version that must be saved: the last one before the first damaged commit.
    pub version: u64,
    /// Whether anything of a log is another.
    logs: bool,
    /// Whether the newest log looks like one that a power cut tore.
    torn: bool,
    /// Whether nothing is amiss but that `CURRENT` is one of an earlier moment.
    earlier: bool,
    /// The newest commit whose frames are whole.
    whole_commit: u64,
    /// Damaged pieces, by segment.
    hits: BTreeMap<&'a str, Vec<&'a Piece>>,
    /// Segments that are others.
    segments: Vec<&'a str>,
    /// Series of which a record in the manifest is damaged.
    unnamed: BTreeSet<u32>,
    after: &'a Files,
    before: &'a Files,
}

/// What a report says of a part.
#[derive(Debug, Default)]
pub struct Lost {
    /// Rows, live ones and history, by number.
    pub rows: [BTreeSet<u64>; 2],
    /// Names of columns of which the values are lost, and how often each is named, by number of the row.
    pub values: [BTreeMap<u64, BTreeMap<String, usize>>; 2],
    /// Times between which live rows are lost.
    pub times: Vec<(i64, i64)>,
    /// Whether the marks are lost.
    pub marks: bool,
}

/// What a report says, by series and by the first commit of the part.
pub type Reported = BTreeMap<u32, BTreeMap<u64, Lost>>;

impl<'a> Fate<'a> {
    /// Of the change from `subject.files` to `after`.
    pub fn of(subject: &'a Subject, after: &'a Files) -> Self {
        let (layout, before) = (&subject.layout, &subject.files);
        let get = |name: &str| after.get(name).map(|bytes| bytes.as_slice());
        let intact = |name: &str, bytes: &Range<usize>| {
            get(name).and_then(|file| file.get(bytes.clone())) == Some(&before[name][bytes.clone()])
        };
        let same = |name: &str| get(name) == before.get(name).map(|bytes| bytes.as_slice());
        let names = before.keys().filter(|name| !same(name)).collect::<Vec<_>>();
        let manifest = &layout.manifest;
        // A whole manifest is found without `CURRENT` as well, if nothing else is amiss.
        let earlier = names == ["CURRENT"] && is_earlier(subject, after);
        let current = same("CURRENT") || (names == ["CURRENT"] && !earlier);
        let sound = current && intact(manifest, &(0..layout.manifest_bytes));
        let segments = layout.segments.iter().filter(|(name, _)| !same(name));
        let hits = segments.clone().map(|(name, contents)| {
            let hit = contents.pieces.iter().filter(|piece| !intact(name, &piece.bytes));
            (name.as_str(), hit.collect())
        });
        let frames = layout.logs.iter().flat_map(|log| log.frames.iter().map(move |frame| (log, frame)));
        let commits = frames.filter(|(_, frame)| !frame.start && frame.before >= layout.sealed);
        let (mut damaged, mut whole) = (BTreeSet::new(), BTreeSet::new());
        for (log, frame) in commits {
            let set = if intact(&log.name, &frame.bytes) { &mut whole } else { &mut damaged };
            set.insert(frame.before);
        }
        let unnamed = layout.manifest_frames.iter().filter(|(bytes, _)| !intact(manifest, bytes));
        Self {
            layout,
            sound,
            version: damaged.first().copied().unwrap_or(subject.truth.newest),
            logs: layout.logs.iter().any(|log| !same(&log.name)),
            torn: allowed(subject, after).least.is_some(),
            earlier,
            whole_commit: whole.difference(&damaged).last().map_or(layout.sealed, |before| before + 1),
            hits: hits.collect(),
            segments: segments.map(|(name, _)| name.as_str()).collect(),
            unnamed: unnamed.filter_map(|frame| frame.1).collect(),
            after,
            before,
        }
    }

    /// Parts of a series in all segments.
    pub fn parts(&self, series: u32) -> impl Iterator<Item = &'a Part> {
        let parts = self.layout.segments.values().flat_map(|contents| &contents.parts);
        parts.filter(move |part| part.series == series)
    }

    /// Parts that may lose history.
    pub fn without_history(&self) -> impl Iterator<Item = &'a Part> + '_ {
        self.hits.iter().flat_map(|(name, pieces)| {
            let lost = |piece: &&&Piece| piece.stream as usize == 1 && matches!(piece.cost, Cost::Rows);
            pieces.iter().filter(lost).map(|piece| &self.layout.segments[*name].parts[piece.part])
        })
    }

    /// Reads a report of the salvage of a store whose manifest is whole. Each loss is of damaged bytes, and each is told once.
    ///
    /// # Errors
    /// It names what is not damaged, contradicts itself, or leaves something out.
    pub fn read(&self, report: &SalvageReport) -> Result<Reported, String> {
        let mut out = Reported::new();
        for loss in &report.losses {
            let read = match loss.kind {
                LossKind::Rows | LossKind::Values | LossKind::Marks => self.of_a_part(loss, &mut out),
                LossKind::Versions if self.without_history().next().is_some() => Ok(()),
                LossKind::Snapshot | LossKind::Commits => Ok(()),
                _ => Err("nothing of that kind can be lost".to_owned()),
            };
            read.map_err(|why| format!("{why}: {loss:?}"))?;
        }
        self.check_commits(report)?;
        let lost = |stream: usize| {
            let of_users =
                out.iter().filter(|(series, _)| **series != COMMITS).flat_map(|all| all.1.values());
            of_users.map(|lost| lost.rows[stream].len() as u64).sum::<u64>()
        };
        let held = |stream: usize| {
            let parts = self.layout.segments.values().flat_map(|contents| &contents.parts);
            parts
                .filter(|part| part.series != COMMITS)
                .map(|part| part.rows[stream].len() as u64)
                .sum::<u64>()
        };
        if (report.rows + lost(0), report.history_rows + lost(1)) != (held(0), held(1)) {
            return Err(format!("of {} and {} rows it counts {report:?}", held(0), held(1)));
        }
        Ok(out)
    }

    fn of_a_part(&self, loss: &Loss, out: &mut Reported) -> Result<(), String> {
        let mut segments = self.hits.iter().filter(|(name, _)| loss.file.ends_with(**name));
        let (name, pieces) = segments.next().ok_or("of a file that is whole")?;
        let parts = &self.layout.segments[*name].parts;
        let named = |part: &Part| loss.series.as_deref() == Some(&*self.layout.series_name(part.series));
        let at = parts.iter().position(named).ok_or("of no part of the file")?;
        let part = &parts[at];
        if loss.versions != Some(part.versions) {
            return Err(format!("the commits are {:?}", part.versions));
        }
        let lost = out.entry(part.series).or_default().entry(part.versions.0).or_default();
        let mut hits = pieces.iter().filter(|piece| piece.part == at);
        if loss.kind == LossKind::Marks {
            if loss.count != part.marks || lost.marks || !hits.any(|piece| matches!(piece.cost, Cost::Index))
            {
                return Err(format!("there are {} marks, told once", part.marks));
            }
            lost.marks = true;
            return Ok(());
        }
        let stream = usize::from(loss.history);
        let rows = loss.rows.clone().ok_or("no rows are named")?;
        if rows.is_empty() || loss.count != rows.end - rows.start || rows.end > part.rows[stream].len() as u64
        {
            return Err("so many rows are not there".to_owned());
        }
        let of_rows: Vec<&&Piece> = hits.filter(|piece| piece.stream as usize == stream).collect();
        if (loss.kind == LossKind::Values) != loss.column.is_some() {
            return Err("values are those of a column, rows are whole".to_owned());
        }
        for row in rows.clone() {
            let costs = of_rows.iter().filter(|piece| piece.rows.contains(&row)).map(|piece| &piece.cost);
            let (may_be, told) = match &loss.column {
                None => {
                    let new = lost.rows[stream].insert(row);
                    (usize::from(costs.clone().any(|cost| matches!(cost, Cost::Rows))), 1 + usize::from(!new))
                }
                Some(name) => {
                    let ids =
                        costs.flat_map(|cost| if let Cost::Values(ids) = cost { &ids[..] } else { &[] });
                    // A series that was dropped and created again may have had two columns of one name.
                    let ids: BTreeSet<_> =
                        ids.filter(|id| self.layout.is_column(part.series, **id, name)).collect();
                    let told = lost.values[stream].entry(row).or_default().entry(name.clone()).or_default();
                    *told += 1;
                    (ids.len(), *told)
                }
            };
            if may_be == 0 {
                return Err(format!("row {row} is not damaged"));
            }
            if told > may_be {
                return Err(format!("row {row} is named twice"));
            }
        }
        let times = loss.times.ok_or("no times are named")?;
        self.check_times(loss, part, &of_rows, times)?;
        if loss.kind == LossKind::Rows && !loss.history {
            lost.times.push(times);
        }
        Ok(())
    }

    /// The rows lie between the times that are named, and these lie within the damaged chunks. Where head and index are
    /// lost, the chunks beside them are the bounds.
    fn check_times(
        &self,
        loss: &Loss,
        part: &Part,
        hits: &[&&Piece],
        times: (i64, i64),
    ) -> Result<(), String> {
        let rows = loss.rows.clone().unwrap_or_default();
        let held = &part.rows[usize::from(loss.history)][rows.start as usize..rows.end as usize];
        let reaches = held.iter().all(|row| (times.0..=times.1).contains(&row.time));
        let of_rows = hits.iter().filter(|piece| piece.rows.start < rows.end && rows.start < piece.rows.end);
        let first = of_rows.clone().map(|piece| piece.times.0).min().unwrap_or(0);
        let last = of_rows.map(|piece| piece.times.1).max().unwrap_or(0);
        let file = self.before.keys().find(|name| loss.file.ends_with(name.as_str())).map_or("", |name| name);
        let index = self.after.get(file).and_then(|bytes| bytes.get(part.index.clone()));
        let indexed = index == self.before.get(file).and_then(|bytes| bytes.get(part.index.clone()));
        if !reaches || (indexed && (times.0 < first || times.1 > last)) {
            return Err(format!(
                "the rows are not between its times, or these not between {first} and {last}"
            ));
        }
        Ok(())
    }

    /// The commits behind the version that was saved are named, each once, as far as there is a trace of them; no other is.
    fn check_commits(&self, report: &SalvageReport) -> Result<(), String> {
        if report.version != self.version {
            return Err(format!(
                "version {} is whole; {} was saved: {report:?}",
                self.version, report.version
            ));
        }
        if !self.logs && !report.unknown.is_empty() {
            return Err(format!("nothing is unknown where all logs are whole: {report:?}"));
        }
        let mut named = BTreeSet::new();
        for loss in report.losses.iter().filter(|loss| loss.kind == LossKind::Commits) {
            let (first, last) = loss.versions.ok_or("commits without their numbers")?;
            if loss.count != last - first + 1 || !(first..=last).all(|version| named.insert(version)) {
                return Err(format!("commits are named twice, or counted wrongly: {report:?}"));
            }
        }
        let seen = report.newest_seen;
        if self.torn && named.is_empty() && seen == self.version {
            return Ok(());
        }
        if !named.into_iter().eq(self.version + 1..=seen) || seen < self.whole_commit.max(self.version) {
            let whole = self.whole_commit;
            return Err(format!("commits up to {whole} can be read; not each lost one is named: {report:?}"));
        }
        Ok(())
    }

    /// Reads a report of the salvage of a store whose manifest is damaged.
    ///
    /// # Errors
    /// It names blocks that are whole, or series that the manifest still names.
    pub fn check_loosely(&self, report: &SalvageReport) -> Result<(), String> {
        let only = |loss: &Loss| matches!(loss.kind, LossKind::Snapshot | LossKind::Versions);
        if self.earlier && (report.version != self.version || !report.losses.iter().all(only)) {
            return Err(format!("nothing is damaged, and what is newer is there: {report:?}"));
        }
        // Segments say up to which commit they go, and logs go on from there: without a manifest as well.
        let least = if self.logs { self.layout.sealed } else { self.version };
        if self.segments.is_empty() && report.version < least {
            return Err(format!(
                "segments are whole, version {least} is in them and in the logs: {report:?}"
            ));
        }
        for loss in &report.losses {
            let file = self.segments.iter().any(|name| loss.file.ends_with(name));
            if matches!(loss.kind, LossKind::Rows | LossKind::Marks) && !file {
                return Err(format!("of a file that is whole: {report:?}"));
            }
            if loss.kind == LossKind::Unnamed
                && let Some(id) = unnamed_series(loss)
                && self.is_named(id)
            {
                return Err(format!("the manifest still names the series: {loss:?}"));
            }
        }
        Ok(())
    }

    /// Whether all that the manifest says of a series is whole.
    fn is_named(&self, series: u32) -> bool {
        self.layout.series.contains_key(&series) && !self.unnamed.contains(&series)
    }

    /// Whether a loss of unknown series is the reason why rows of a series in a part are missing: it names the number of the
    /// series, or is a whole file that was replaced by something else.
    pub fn is_unnamed(&self, loss: &Loss, series: u32, version: u64) -> bool {
        if loss.series.is_some() || unnamed_series(loss).is_some() {
            return unnamed_series(loss).is_none_or(|id| id == series);
        }
        let file = self.layout.segments.iter().filter(|(name, _)| loss.file.ends_with(name.as_str()));
        let mut parts =
            file.filter(|(name, _)| self.segments.contains(&name.as_str())).flat_map(|all| &all.1.parts);
        let holds = |part: &Part| (part.versions.0..=part.versions.1).contains(&version);
        parts.any(|part| part.series == series && holds(part))
    }
}

/// The number of a series without a name, as the loss tells it.
fn unnamed_series(loss: &Loss) -> Option<u32> {
    loss.detail.strip_prefix("series ")?.split_once(':')?.0.parse().ok()
}

/// Whether `CURRENT` is one of an earlier moment.
fn is_earlier(subject: &Subject, after: &Files) -> bool {
    let now = after.get("CURRENT");
    now.is_some() && subject.earlier.iter().any(|files| files.get("CURRENT") == now)
}
