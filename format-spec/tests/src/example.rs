//! The tiny store of `example.md`: made with the encoders of the format crate and a fixed identity, opened by the engine.

use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::FrameWriter;
use tapestore_format::manifest::{Current, ManifestRecord, SegmentRecord, SeriesRecord, StateRecord};
use tapestore_format::rows::{RowSet, RunVec, Values};
use tapestore_format::schema::{Column, ColumnType, KeyPolicy, Schema};
use tapestore_format::segment::{PartSpec, SegmentSummary, SegmentWriter, Tier};
use tapestore_format::time::{MINUTE_NS, Timeframe};
use tapestore_format::wal::{CommitKind, Effect, KIND_START, KIND_TRANSACTION, LogStart, TransactionRecord};

/// Identity of the store.
pub const STORE: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// 2024-01-01T00:00:00 UTC.
pub const START: i64 = 1_704_067_200_000_000_000;
/// File id of the manifest.
pub const MANIFEST: u64 = 2;
/// File id of the log that counts.
pub const LOG: u64 = 3;
/// File id of the segment.
pub const SEGMENT: u64 = 4;

/// The files of the store, by name.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let first = commit(1, "first", &[(0, 93.25), (1, 93.5), (3, 93.0)]);
    let (segment, summary) = segment(&first);
    let manifest = manifest(summary);
    let current =
        Current { store: STORE, manifest: MANIFEST, length: manifest.len() as u64, step: 3, created: START };
    vec![
        ("CURRENT".into(), current.encode().to_vec()),
        (format!("manifest-{MANIFEST:012}.tape"), manifest),
        (format!("segment-{SEGMENT:012}.tape"), segment),
        (format!("wal-{LOG:012}.tape"), log(&first)),
    ]
}

fn identity(file: u64) -> Identity {
    Identity { store: STORE, file }
}

fn column(id: u16, name: &str, kind: ColumnType) -> Column {
    Column { id, name: name.into(), kind, nullable: false, description: String::new() }
}

fn schema() -> Schema {
    Schema { columns: vec![column(0, "price", ColumnType::F64)], key: KeyPolicy::Unique }
}

/// The schema of series 0, as `versions.md` states it.
pub fn commits_schema() -> Schema {
    let numbers = ["series", "added", "updated", "deleted"];
    let mut columns = vec![column(0, "kind", ColumnType::U8)];
    columns.extend(numbers.into_iter().zip(1..).map(|(name, id)| column(id, name, ColumnType::I64)));
    columns.push(column(5, "message", ColumnType::String));
    Schema { columns, key: KeyPolicy::Sequence { dedup: Vec::new() } }
}

fn commit(version: u64, message: &str, prices: &[(i64, f64)]) -> TransactionRecord {
    let rows = RowSet {
        time: prices.iter().map(|(minute, _)| START + minute * MINUTE_NS).collect(),
        version: RunVec::constant(version, prices.len()),
        source: RunVec::constant(0, prices.len()),
        flags: RunVec::constant(0, prices.len()),
        columns: vec![(0, Values::F64(prices.iter().map(|(_, price)| *price).collect()).into())],
        ..RowSet::default()
    };
    let mut effects = vec![Effect::Rows { series: 1, rows }];
    if version == 1 {
        let define =
            Effect::Define { series: 1, instrument: "BTC.X".into(), frame: "1m".into(), schema: schema() };
        effects.splice(0..0, [Effect::Source { id: 0, name: "exchange".into() }, define]);
    }
    TransactionRecord {
        version,
        time: START + version as i64 * 3_600_000_000_000,
        kind: CommitKind::Write,
        message: message.into(),
        added: if version == 1 { prices.len() as u64 } else { 0 },
        updated: if version == 1 { 0 } else { prices.len() as u64 },
        deleted: 0,
        effects,
    }
}

fn log(first: &TransactionRecord) -> Vec<u8> {
    let mut gone = Vec::new();
    let mut frames = FrameWriter::new(identity(1), HEADER_BYTES as u64, 1);
    frames.push(
        KIND_START,
        &LogStart { previous_log: 0, previous_end: 0, version: 0 }.encode(),
        0,
        &mut gone,
    );
    frames.push(KIND_TRANSACTION, &first.encode(), 1, &mut gone);
    let start = LogStart { previous_log: 1, previous_end: frames.offset(), version: 1 };
    let mut bytes = FileHeader::new(FileKind::Wal, identity(LOG)).encode().to_vec();
    let mut frames = FrameWriter::new(identity(LOG), HEADER_BYTES as u64, frames.next_sequence());
    frames.push(KIND_START, &start.encode(), 2, &mut bytes);
    frames.push(KIND_TRANSACTION, &commit(2, "fix", &[(1, 94.5)]).encode(), 3, &mut bytes);
    bytes
}

fn manifest(segment: SegmentSummary) -> Vec<u8> {
    let series = |id, instrument: &str, frame: &str, from, schema| {
        ManifestRecord::Series(SeriesRecord {
            id,
            instrument: instrument.into(),
            frame: frame.into(),
            definitions: vec![(from, Some(schema))],
        })
    };
    let created = StateRecord { first_log: 1, next_file: 3, step: 1, ..StateRecord::default() };
    let reserved = StateRecord { next_file: 1027, step: 2, ..created };
    let sealed = StateRecord { sealed_version: 1, first_log: LOG, step: 3, ..reserved };
    let records = [
        ManifestRecord::State(created),
        ManifestRecord::State(reserved),
        ManifestRecord::Source { id: 0, name: "exchange".into() },
        series(0, "tape", "commits", 0, commits_schema()),
        series(1, "BTC.X", "1m", 1, schema()),
        ManifestRecord::AddSegment(SegmentRecord {
            id: SEGMENT,
            length: segment.length,
            hash: segment.hash,
            level: 0,
            parts: segment.parts,
        }),
        ManifestRecord::State(sealed),
    ];
    let mut bytes = FileHeader::new(FileKind::Manifest, identity(MANIFEST)).encode().to_vec();
    let mut frames = FrameWriter::new(identity(MANIFEST), HEADER_BYTES as u64, 0);
    for record in records {
        frames.push(record.kind(), &record.encode(), 0, &mut bytes);
    }
    bytes
}

fn segment(first: &TransactionRecord) -> (Vec<u8>, SegmentSummary) {
    let mut writer = SegmentWriter::new(identity(SEGMENT), Tier::Dense);
    let mut part = |series, columns: Vec<_>, timeframe, unique, rows: &RowSet| {
        writer.begin_part(PartSpec { series, columns, timeframe, unique, ohlc: None });
        writer.push_live(rows, 0..rows.len());
        writer.end_part();
    };
    let one = |value: u64| Values::I64(vec![value as i64]).into();
    let commits = RowSet {
        time: vec![first.time],
        version: RunVec::constant(1, 1),
        source: RunVec::constant(0, 1),
        flags: RunVec::constant(0, 1),
        columns: vec![
            (0, Values::U8(vec![first.kind as u8]).into()),
            (1, one(1)),
            (2, one(first.added)),
            (3, one(first.updated)),
            (4, one(first.deleted)),
            (5, Values::Str([&first.message].into_iter().collect()).into()),
        ],
        ..RowSet::default()
    };
    let kinds = |schema: Schema| schema.columns.iter().map(|column| (column.id, column.kind)).collect();
    part(0, kinds(commits_schema()), None, false, &commits);
    let Some(Effect::Rows { rows, .. }) = first.effects.last() else { unreachable!("made above") };
    part(1, kinds(schema()), Some(Timeframe::M1), true, rows);
    let summary = writer.finish();
    (std::mem::take(writer.output()), summary)
}
