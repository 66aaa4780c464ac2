//! What of a store's files counts, worked out from the chapters of `format-spec` apart from the engine: which files,
//! which bytes of the manifest and of each log, and what each frame of a log proves of the ones before it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::header::HEADER_BYTES;
use tapestore_format::log::{FrameReader, RecordAssembler};
use tapestore_format::manifest::{Current, ManifestRecord, StateRecord};
use tapestore_format::segment::{Segment, Verified};
use tapestore_format::wal::{KIND_START, KIND_TRANSACTION, LogStart, TransactionRecord};

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
    /// The segments that count, each with its parts: their bytes and their series.
    pub segments: BTreeMap<String, Vec<(Range<usize>, u32)>>,
}

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
        let (state, records) = read_manifest(&files[&manifest], &current);
        let mut segments = BTreeMap::new();
        for id in records {
            let name = format!("segment-{id:012}.tape");
            let bytes = &files[&name];
            let verified = Verified::new(bytes.len() as u64);
            let identity = Identity { store: current.store, file: id };
            let segment = Segment::open(bytes, identity, &verified).expect("a whole segment");
            let parts = (0..segment.part_count()).map(|ordinal| {
                let part = segment.part(ordinal).expect("a whole part");
                (part.bytes().start as usize..part.bytes().end as usize, part.summary.series)
            });
            segments.insert(name, parts.collect());
        }
        let logs = read_logs(files, current.store, &state);
        Self { manifest, manifest_bytes: current.length as usize, logs, segments }
    }

    /// Whether a file is among those that count.
    pub fn counts(&self, name: &str) -> bool {
        name == "CURRENT"
            || name == self.manifest
            || self.segments.contains_key(name)
            || self.logs.iter().any(|log| log.name == name)
    }
}

/// The closing state of a manifest, and the segments that it counts.
fn read_manifest(bytes: &[u8], current: &Current) -> (StateRecord, Vec<u64>) {
    let identity = Identity { store: current.store, file: current.manifest };
    let counted = &bytes[HEADER_BYTES..current.length as usize];
    let mut frames = FrameReader::new(counted, HEADER_BYTES as u64, identity, Some(0));
    let mut assembler = RecordAssembler::default();
    let (mut state, mut segments) = (StateRecord::default(), Vec::new());
    while let Some(frame) = frames.next_frame().expect("a whole manifest") {
        let Some((kind, record)) = assembler.push(&frame).expect("whole records") else { continue };
        match ManifestRecord::decode(kind, record).expect("whole records") {
            ManifestRecord::State(newer) => state = newer,
            ManifestRecord::AddSegment(segment) => segments.push(segment.id),
            ManifestRecord::RemoveSegment(id) => segments.retain(|segment| *segment != id),
            _ => {}
        }
    }
    (state, segments)
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
