//! What of a store's files counts, worked out from the chapters of `format-spec` apart from the engine: which files,
//! which bytes of the manifest and of each log, and what each frame of a log proves of the ones before it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::header::HEADER_BYTES;
use tapestore_format::log::{FrameReader, RecordAssembler};
use tapestore_format::manifest::{Current, ManifestRecord, SeriesRecord, StateRecord};
use tapestore_format::schema::ColumnId;
use tapestore_format::wal::{KIND_START, KIND_TRANSACTION, LogStart, TransactionRecord};

use crate::parts::{Contents, contents};
use crate::subject::Files;

/// A frame of a log.
#[derive(Clone, Debug)]
pub struct LogFrame {
    /// Where it stands.
    pub bytes: Range<usize>,
    /// Its number.
    pub sequence: u64,
    /// Frames up to this number were durable when it was written.
    pub durable: u64,
    /// Whether it is the record that begins the log.
    pub start: bool,
    /// The version that all records before this one add up to.
    pub before: u64,
}

/// A log that counts.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its file.
    pub name: String,
    /// Its frames.
    pub frames: Vec<LogFrame>,
    /// Where its records end.
    pub end: usize,
    /// The version when it began.
    pub version: u64,
}

/// What of the files counts.
#[derive(Debug)]
pub struct Layout {
    /// The manifest's file.
    pub manifest: String,
    /// How much of it counts.
    pub manifest_bytes: usize,
    /// The logs that count, oldest first.
    pub logs: Vec<Log>,
    /// The frames of the manifest that count, each with the series that it names, if it names one.
    pub manifest_frames: Vec<(Range<usize>, Option<u32>)>,
    /// The series that the manifest names.
    pub series: BTreeMap<u32, SeriesRecord>,
    /// Every commit up to this one is in segments.
    pub sealed: u64,
    /// The segments that count.
    pub segments: BTreeMap<String, Contents>,
}

/// Number of the series that is the log of commits.
pub const COMMITS: u32 = 0;

/// The number in the name of a log.
fn log_number(name: &str) -> Option<u64> {
    name.strip_prefix("wal-")?.strip_suffix(".tape")?.parse().ok()
}

impl Layout {
    /// Reads the files of a whole store.
    ///
    /// # Panics
    /// If they are not those of a whole store.
    pub fn of(files: &Files) -> Self {
        let current = Current::decode(&files["CURRENT"]).expect("a whole CURRENT");
        let manifest = format!("manifest-{:012}.tape", current.manifest);
        let Manifest { state, records, frames, series } = read_manifest(&files[&manifest], &current);
        let is_key = |id: u32, column: ColumnId| {
            let record = series.get(&id);
            let mut schemas = record.iter().flat_map(|record| &record.definitions);
            id == COMMITS || schemas.any(|(_, schema)| schema.iter().any(|s| s.dedup().contains(&column)))
        };
        let mut segments = BTreeMap::new();
        for id in records {
            let name = format!("segment-{id:012}.tape");
            let identity = Identity { store: current.store, file: id };
            let contents = contents(&files[&name], identity, &is_key);
            segments.insert(name, contents);
        }
        let logs = read_logs(files, current.store, &state);
        Self {
            manifest,
            manifest_bytes: current.length as usize,
            logs,
            manifest_frames: frames,
            series,
            sealed: state.sealed_version,
            segments,
        }
    }

    /// The frames of a log or a manifest.
    pub fn frames(&self, name: &str) -> Vec<Range<usize>> {
        let log = self.logs.iter().filter(|log| log.name == name).flat_map(|log| &log.frames);
        let manifest = self.manifest_frames.iter().filter(|_| name == self.manifest);
        log.map(|frame| frame.bytes.clone()).chain(manifest.map(|frame| frame.0.clone())).collect()
    }

    /// The stretches of a file that have a checksum each.
    pub fn units(&self, name: &str) -> Vec<Range<usize>> {
        self.segments.get(name).map_or_else(|| self.frames(name), |contents| contents.units.clone())
    }

    /// The name of a series, as losses have it.
    pub fn series_name(&self, id: u32) -> String {
        let named = self.series.get(&id).map(|record| format!("{} {}", record.instrument, record.frame));
        named.unwrap_or_else(|| "tape commits".to_owned())
    }

    /// Every column of this name that a series had.
    fn columns(&self, series: u32, name: &str) -> BTreeSet<ColumnId> {
        let definitions = self.series.get(&series).into_iter().flat_map(|record| &record.definitions);
        let columns = definitions.filter_map(|definition| definition.1.as_ref()).flat_map(|s| &s.columns);
        columns.filter(|column| column.name == name).map(|column| column.id).collect()
    }

    /// Whether a loss that names a column of a series means the one of this number.
    pub fn is_column(&self, series: u32, id: ColumnId, name: &str) -> bool {
        self.columns(series, name).contains(&id)
    }

    /// How many columns of this name a series had.
    pub fn columns_named(&self, series: u32, name: &str) -> usize {
        self.columns(series, name).len()
    }

    /// Whether a file is among those that count.
    pub fn counts(&self, name: &str) -> bool {
        name == "CURRENT"
            || name == self.manifest
            || self.segments.contains_key(name)
            || self.logs.iter().any(|log| log.name == name)
    }
}

/// What a manifest says.
struct Manifest {
    /// Its closing state.
    state: StateRecord,
    /// The segments that it counts.
    records: Vec<u64>,
    frames: Vec<(Range<usize>, Option<u32>)>,
    series: BTreeMap<u32, SeriesRecord>,
}

fn read_manifest(bytes: &[u8], current: &Current) -> Manifest {
    let identity = Identity { store: current.store, file: current.manifest };
    let counted = &bytes[HEADER_BYTES..current.length as usize];
    let mut reader = FrameReader::new(counted, HEADER_BYTES as u64, identity, Some(0));
    let mut assembler = RecordAssembler::default();
    let mut out = Manifest {
        state: StateRecord::default(),
        records: Vec::new(),
        frames: Vec::new(),
        series: BTreeMap::new(),
    };
    while let Some(frame) = reader.next_frame().expect("a whole manifest") {
        out.frames.push((frame.offset as usize..frame.end() as usize, None));
        let Some((kind, record)) = assembler.push(&frame).expect("whole records") else { continue };
        match ManifestRecord::decode(kind, record).expect("whole records") {
            ManifestRecord::State(newer) => out.state = newer,
            ManifestRecord::AddSegment(segment) => out.records.push(segment.id),
            ManifestRecord::RemoveSegment(id) => out.records.retain(|segment| *segment != id),
            ManifestRecord::Series(series) => {
                out.frames.last_mut().expect("pushed").1 = Some(series.id);
                out.series.insert(series.id, series);
            }
            _ => {}
        }
    }
    out
}

fn read_logs(files: &Files, store: [u8; 16], state: &StateRecord) -> Vec<Log> {
    let ids = files.keys().filter_map(|name| Some((log_number(name)?, name)));
    let mut counted: Vec<(u64, &String)> = ids.filter(|(id, _)| *id >= state.first_log).collect();
    counted.sort_unstable();
    let mut logs: Vec<Log> = Vec::new();
    let mut version = state.sealed_version;
    for (id, name) in counted {
        let Some((log, start)) = read_log(&files[name], Identity { store, file: id }, name, version) else {
            continue;
        };
        // What stands behind the end that the successor states does not count.
        if let Some(previous) = logs.last_mut() {
            previous.end = start.previous_end as usize;
            previous.frames.retain(|frame| frame.bytes.end <= start.previous_end as usize);
        }
        let log = Log { version: start.version, ..log };
        version = last_version(&files[name], Identity { store, file: id }, log.end).unwrap_or(start.version);
        logs.push(log);
    }
    logs
}

/// The frames of a log; `None` for one whose creation was cut short.
fn read_log(bytes: &[u8], identity: Identity, name: &str, version: u64) -> Option<(Log, LogStart)> {
    let rest = bytes.get(HEADER_BYTES..)?;
    let mut reader = FrameReader::new(rest, HEADER_BYTES as u64, identity, None);
    let mut assembler = RecordAssembler::default();
    let (mut frames, mut start, mut end, mut before) = (Vec::new(), None, HEADER_BYTES, version);
    while let Ok(Some(frame)) = reader.next_frame() {
        frames.push(LogFrame {
            bytes: frame.offset as usize..frame.end() as usize,
            sequence: frame.sequence,
            durable: frame.durable,
            start: frame.kind == KIND_START,
            before,
        });
        match assembler.push(&frame).expect("whole records") {
            Some((KIND_START, record)) => {
                start = LogStart::decode(record).ok();
                before = start.as_ref()?.version;
            }
            Some((KIND_TRANSACTION, record)) => {
                before = TransactionRecord::decode(record).expect("a whole transaction").version;
            }
            _ => continue,
        }
        end = frame.end() as usize;
    }
    frames.retain(|frame| frame.bytes.end <= end);
    Some((Log { name: name.to_owned(), frames, end, version }, start?))
}

/// The version of the last transaction that ends by `end`.
fn last_version(bytes: &Arc<Vec<u8>>, identity: Identity, end: usize) -> Option<u64> {
    let mut reader = FrameReader::new(&bytes[HEADER_BYTES..end], HEADER_BYTES as u64, identity, None);
    let mut assembler = RecordAssembler::default();
    let mut version = None;
    while let Ok(Some(frame)) = reader.next_frame() {
        if let Ok(Some((KIND_TRANSACTION, record))) = assembler.push(&frame) {
            version = TransactionRecord::decode(record).ok().map(|transaction| transaction.version);
        }
    }
    version
}
