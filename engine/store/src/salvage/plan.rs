//! Which parts of which segments are copied, and how: what counts, what lies beneath, what is hidden.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::limits::{TIME_MAX, TIME_MIN};
use tapestore_format::rows::{Mark, MarkKind, ORDINAL};
use tapestore_format::schema::{ColumnId, ColumnType, KeyPolicy, Schema};
use tapestore_format::segment::{PartSpec, PartSummary, RemainingPart, Remains, Verified};
use tapestore_format::time::Frame;

use super::evidence::ids;
use super::report::{Loss, LossKind};
use super::rows::{Copied, PartCopy};
use super::{Output, Salvage};
use crate::apply::COMMITS;
use crate::error::Result;
use crate::io::{MappedBytes, Storage};
use crate::segment::segment_name;

/// Bytes read at a time to see whether a file can be read, and the unit that is given up where it cannot.
const PIECE_BYTES: usize = 1 << 20;
const LOST_BYTES: usize = 512;

/// A part that counts.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) segment: u64,
    pub(super) series: u32,
    /// Its commits, as far as they are known.
    pub(super) low: u64,
    pub(super) high: u64,
    level: u8,
    /// What a whole manifest says of it.
    stated: Option<PartSummary>,
}

/// The bytes of a file: mapped, or what could be read of it, zeros elsewhere.
enum Content {
    Mapped(Arc<dyn MappedBytes>),
    Owned(Vec<u8>),
}

impl Content {
    /// Everything is read once: a map of a file on a failing disk would end the process.
    fn read(storage: &dyn Storage, name: &str) -> Option<Self> {
        let file = storage.open_read(name).ok()?;
        let length = file.length().ok()?;
        let mut buffer = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < length {
            let piece = &mut buffer[..(length - at).min(PIECE_BYTES as u64) as usize];
            if file.read_exact_at(at, piece).is_err() {
                return Some(Self::Owned(pieces(&*file, length).0));
            }
            at += piece.len() as u64;
        }
        match storage.map(name, length) {
            Ok(map) => Some(Self::Mapped(map)),
            Err(_) => Some(Self::Owned(pieces(&*file, length).0)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map.bytes(),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// What can be read of a file, in small units; zeros where it cannot, and where the last of those end.
pub(super) fn pieces(file: &dyn crate::io::StorageFile, length: u64) -> (Vec<u8>, Option<u64>) {
    let mut bytes = vec![0; length as usize];
    let (mut at, mut unread) = (0, None);
    for piece in bytes.chunks_mut(LOST_BYTES) {
        let read = file.read_exact_at(at, piece);
        at += piece.len() as u64;
        if read.is_err() {
            piece.fill(0);
            unread = Some(at);
        }
    }
    (bytes, unread)
}

impl Salvage {
    /// The parts that count, by segment.
    pub(super) fn plan(&mut self, sound: bool) -> Result<Vec<Plan>> {
        if sound {
            let plans = self.manifest.segments.values().flat_map(|record| {
                record.parts.iter().map(|part| Plan {
                    segment: record.id,
                    series: part.series,
                    low: part.version_low,
                    high: part.version_high,
                    level: record.level,
                    stated: Some(part.clone()),
                })
            });
            return Ok(plans.collect());
        }
        let mut found: Vec<Plan> = Vec::new();
        for segment in ids(&*self.from, "segment-")? {
            let Some(content) = Content::read(&*self.from, &segment_name(segment)) else {
                self.name_unread(segment);
                continue;
            };
            let verified = Verified::new(content.bytes().len() as u64);
            let remains = self.remains(segment, &content, &verified);
            let parts = remains.parts(&|series| self.describe(series));
            if parts.is_empty() {
                self.name_unread(segment);
            }
            for part in parts {
                let summary = &part.index.summary;
                let (low, high) = if part.indexed {
                    (summary.version_low, summary.version_high)
                } else {
                    self.copy_of(segment, remains, &part, None).run(None)?.versions.unwrap_or((0, 0))
                };
                found.push(Plan { segment, series: summary.series, low, high, level: 0, stated: None });
            }
        }
        let (kept, dropped): (Vec<Plan>, Vec<Plan>) =
            found.iter().cloned().partition(|plan| !found.iter().any(|other| contains(other, plan)));
        if !dropped.is_empty() {
            self.report.rebuilt.push(format!(
                "{} parts of segments are contained in newer ones and were left out",
                dropped.len()
            ));
        }
        Ok(kept)
    }

    /// Names a file of which nothing is left that is a segment's. Without a manifest nobody knows what stood in it.
    fn name_unread(&mut self, segment: u64) {
        let detail = "nothing in it can be read as a segment: of which series it held rows, and how many, is not known";
        let file = segment_name(segment);
        self.report
            .unknown
            .push(format!("{file}: which commits it held, and whether there were later ones, is unknown"));
        self.report.losses.push(Loss::new(LossKind::Unnamed, file, detail));
    }

    fn remains<'a>(&self, segment: u64, content: &'a Content, verified: &'a Verified) -> Remains<'a> {
        Remains::new(content.bytes(), Identity { store: self.old, file: segment }, verified)
    }

    /// Every schema that a series had, newest first.
    fn schemas(&self, series: u32) -> Vec<&Schema> {
        let record = self.manifest.series.get(&series);
        let definitions = record.into_iter().flat_map(|record| record.definitions.iter().rev());
        definitions.filter_map(|definition| definition.1.as_ref()).collect()
    }

    /// How a part of a series is written, from its name and schemas.
    fn describe(&self, series: u32) -> Option<PartSpec> {
        let record = self.manifest.series.get(&series)?;
        let schemas = self.schemas(series);
        let newest = schemas.first()?;
        let mut columns: BTreeMap<ColumnId, ColumnType> = BTreeMap::new();
        for column in schemas.iter().flat_map(|schema| &schema.columns) {
            columns.entry(column.id).or_insert(column.kind);
        }
        columns.insert(ORDINAL, ColumnType::I64);
        Some(PartSpec {
            series,
            columns: columns.into_iter().collect(),
            timeframe: Frame::parse(&record.frame).and_then(|frame| frame.timeframe()),
            unique: newest.key == KeyPolicy::Unique,
            ohlc: None,
        })
    }

    fn series_name(&self, series: u32) -> Option<String> {
        let record = self.manifest.series.get(&series).filter(|record| !record.definitions.is_empty())?;
        Some(format!("{} {}", record.instrument, record.frame))
    }

    /// The columns that the series shows at a version, as far as its definitions are known.
    fn shown(&self, series: u32, version: u64) -> Option<BTreeSet<ColumnId>> {
        let definitions = &self.manifest.series.get(&series)?.definitions;
        let schema = definitions.iter().rev().find(|definition| definition.0 <= version)?.1.as_ref()?;
        Some(schema.columns.iter().map(|column| column.id).collect())
    }

    fn copy_of<'a>(
        &self,
        segment: u64,
        remains: Remains<'a>,
        part: &'a RemainingPart,
        stated: Option<&PartSummary>,
    ) -> PartCopy<'a> {
        let series = part.index.summary.series;
        let schemas = self.schemas(series);
        let columns = schemas.iter().flat_map(|schema| &schema.columns);
        PartCopy {
            remains,
            part,
            file: self.from.describe(&segment_name(segment)),
            series: self.series_name(series),
            // A row of the log of commits is whole or lost: no column of it may be null.
            keys: if series == COMMITS {
                part.index.columns.iter().map(|column| column.0).collect()
            } else {
                schemas.iter().flat_map(|schema| schema.dedup()).copied().collect()
            },
            names: columns.map(|column| (column.id, column.name.clone())).collect(),
            shown: if stated.is_some() { None } else { self.shown(series, part.index.summary.version_high) },
            counted: stated.map(|part| [part.rows, part.history_rows]),
        }
    }

    /// Writes every part that counts, each segment as one of the new store.
    pub(super) fn copy_segments(&mut self, plans: &[Plan]) -> Result<()> {
        let mut segments: BTreeMap<u64, Vec<&Plan>> = BTreeMap::new();
        for plan in plans {
            segments.entry(plan.segment).or_default().push(plan);
        }
        for (segment, mut own) in segments {
            own.sort_by_key(|plan| plan.series);
            let name = segment_name(segment);
            let content = Content::read(&*self.from, &name);
            let content = content.unwrap_or(Content::Owned(Vec::new()));
            let verified = Verified::new(content.bytes().len() as u64);
            let remains = self.remains(segment, &content, &verified);
            let parts = remains.parts(&|series| self.describe(series));
            let whole = verified_footer(content.bytes(), self.old, segment);
            if let Err(error) = whole {
                self.report.rebuilt.push(format!("{}: {error}", self.from.describe(&name)));
            }
            let mut output: Option<Output> = None;
            for plan in own {
                let part = parts.iter().find(|part| part.index.summary.series == plan.series);
                self.part(plan, plans, remains, part, &mut output)?;
            }
            if let Some(output) = output {
                let level = plans.iter().find(|plan| plan.segment == segment).map_or(0, |plan| plan.level);
                let record = output.finish(&*self.to, level)?;
                self.segments.insert(record.id, record);
            }
        }
        Ok(())
    }

    /// Copies one part, and hides what lies beneath where it lost something.
    fn part(
        &mut self,
        plan: &Plan,
        plans: &[Plan],
        remains: Remains<'_>,
        part: Option<&RemainingPart>,
        output: &mut Option<Output>,
    ) -> Result<()> {
        let file = self.from.describe(&segment_name(plan.segment));
        let Some(name) = self.series_name(plan.series) else {
            let detail = format!("series {}: its name and columns are lost with the manifest", plan.series);
            self.unnamed(plan, part, file, None, detail);
            return Ok(());
        };
        let last = self.manifest.series.get(&plan.series).and_then(|record| record.definitions.last());
        if let Some((dropped, None)) = last
            && plan.high > *dropped
        {
            let detail = format!(
                "it was dropped by commit {dropped}; the columns that it was created with again are lost with the manifest"
            );
            self.unnamed(plan, part, file, Some(name), detail);
            return Ok(());
        }
        let beneath = plans.iter().any(|other| other.series == plan.series && other.high < plan.low);
        let mut marks: Vec<Mark> = Vec::new();
        let mut copied = Copied::default();
        let indexed = part.is_some_and(|part| part.indexed);
        // The range of a lost chunk reaches to the part's own first and last time, if the manifest states them.
        let bounds =
            plan.stated.as_ref().map_or((TIME_MIN, TIME_MAX), |part| (part.first_time, part.last_time));
        let spec = match part {
            Some(part) => part.spec(),
            None => match self.describe(plan.series) {
                Some(spec) => spec,
                None => return Ok(()),
            },
        };
        let lost_marks = !indexed && plan.stated.as_ref().is_none_or(|part| part.marks > 0);
        let whole_is_lost = part.is_none() && beneath;
        if part.is_some() || whole_is_lost {
            let new = match output {
                Some(output) => output,
                None => {
                    let id = self.next_file;
                    self.next_file += 1;
                    output.insert(Output::create(&*self.to, self.new, id)?)
                }
            };
            new.writer.begin_part(spec);
            if let Some(part) = part {
                copied = self.copy_of(plan.segment, remains, part, plan.stated.as_ref()).run(Some(new))?;
                marks.clone_from(&part.index.marks);
            }
        }
        if part.is_none() {
            lost_part(plan, &name, &file, &mut copied);
        }
        let low = if plan.stated.is_some() || indexed {
            plan.low
        } else {
            copied.versions.map_or(plan.low, |versions| versions.0)
        };
        if lost_marks {
            copied.losses.push(marks_loss(plan, name, file));
            copied.holes.push((TIME_MIN, TIME_MAX));
        }
        if beneath {
            marks.splice(
                0..0,
                hiding(&copied.holes, if lost_marks { (TIME_MIN, TIME_MAX) } else { bounds }, low),
            );
        }
        if let Some(new) = output.as_mut().filter(|_| part.is_some() || whole_is_lost) {
            marks.into_iter().for_each(|mark| new.writer.push_mark(mark));
            new.writer.end_part();
            new.drain()?;
        }
        self.account(plan, copied, beneath);
        Ok(())
    }

    fn account(&mut self, plan: &Plan, copied: Copied, beneath: bool) {
        // Rows of the log of commits are nobody's data, and come from no source.
        if plan.series != COMMITS {
            self.report.rows += copied.rows;
            self.report.history_rows += copied.history_rows;
            self.sources = self.sources.max(copied.sources);
        }
        self.damaged_columns.extend(copied.columns.iter().map(|column| (plan.series, *column)));
        if copied.losses.iter().any(|loss| loss.history && loss.kind == LossKind::Rows) {
            self.damaged_history.push((plan.low, plan.high));
        }
        for mut loss in copied.losses {
            loss.versions = loss.versions.or(Some((plan.low, plan.high)));
            if let (Some(times), Some(part)) =
                (&mut loss.times, plan.stated.as_ref().filter(|_| !loss.history))
            {
                *times = (times.0.max(part.first_time), times.1.min(part.last_time));
            }
            if beneath && !loss.history && loss.kind != LossKind::Values {
                loss.detail.push_str("; older rows of these times are in versions before only");
            }
            self.report.losses.push(loss);
        }
    }

    fn unnamed(
        &mut self,
        plan: &Plan,
        part: Option<&RemainingPart>,
        file: String,
        series: Option<String>,
        detail: String,
    ) {
        let mut loss = Loss::new(LossKind::Unnamed, file, detail);
        loss.series = series;
        loss.versions = Some((plan.low, plan.high));
        if let Some(summary) = part.map(|part| &part.index.summary) {
            loss.count = summary.rows;
            loss.times = (summary.rows > 0).then_some((summary.first_time, summary.last_time));
        }
        self.report.losses.push(loss);
    }
}

/// Of a part nothing is left: the manifest says what it was.
fn lost_part(plan: &Plan, name: &str, file: &str, copied: &mut Copied) {
    let Some(stated) = &plan.stated else { return };
    let streams = [
        (false, stated.rows, (stated.first_time, stated.last_time)),
        (true, stated.history_rows, (stated.history_first_time, stated.history_last_time)),
    ];
    for (history, count, times) in streams.into_iter().filter(|stream| stream.1 > 0) {
        let mut loss = Loss::new(LossKind::Rows, file, "nothing of them could be read");
        loss.series = Some(name.to_owned());
        (loss.history, loss.count, loss.rows, loss.times) = (history, count, Some(0..count), Some(times));
        copied.losses.push(loss);
        if !history {
            copied.holes.push(times);
        }
    }
}

fn marks_loss(plan: &Plan, series: String, file: String) -> Loss {
    let detail = "the index of the part is lost, and with it which ranges were deleted or confirmed absent";
    let mut loss = Loss::new(LossKind::Marks, file, detail);
    loss.series = Some(series);
    loss.versions = Some((plan.low, plan.high));
    loss.count = plan.stated.as_ref().map_or(0, |part| u64::from(part.marks));
    loss
}

/// Whether a newer part holds all commits of another one of its series: what compaction made of it.
fn contains(newer: &Plan, older: &Plan) -> bool {
    newer.series == older.series
        && newer.segment > older.segment
        && newer.low <= older.low
        && newer.high >= older.high
        && newer.high > 0
}

/// Deletions of everything beneath, between times that are in question.
fn hiding(holes: &[(i64, i64)], bounds: (i64, i64), version: u64) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut holes = holes.to_vec();
    holes.sort_unstable();
    for (start, end) in holes {
        let (start, end) = (start.max(bounds.0), end.min(bounds.1).saturating_add(1));
        match marks.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ if start < end => marks.push(Mark { kind: MarkKind::Delete, start, end, version }),
            _ => {}
        }
    }
    marks
}

/// Whether the segment opens as it is.
fn verified_footer(bytes: &[u8], store: [u8; 16], file: u64) -> tapestore_format::Result<()> {
    let verified = Verified::new(bytes.len() as u64);
    tapestore_format::segment::Segment::open(bytes, Identity { store, file }, &verified).map(drop)
}
