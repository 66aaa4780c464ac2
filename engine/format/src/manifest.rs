//! Records of the manifest: which segments hold what, and everything that is not a row.
//!
//! Layout: `format-spec/manifest.md`. A manifest file is a framed log: a checkpoint, then edits. The file `CURRENT`
//! says which manifest counts and how many bytes of it: bytes behind that are an unfinished step and do not exist.
//!
//! # Invariants
//! - M1. Every byte of a manifest up to the length in `CURRENT` validates; anything else is damage, never a torn tail.
//! - M2. A step is complete when `CURRENT` covers it; replacing `CURRENT` is its commit point.

use crate::bytes::{ByteReader, ByteWriter};
use crate::error::{ErrorKind, FormatError, Result};
use crate::header::HEADER_BYTES;
use crate::limits::{INSTRUMENT_BYTES, NAME_BYTES, NOTE_BYTES};
use crate::schema::{ColumnTypes, Schema};
use crate::segment::PartSummary;

/// A series as the manifest knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesRecord {
    /// Id within the store, never reused.
    pub id: u32,
    /// Instrument.
    pub instrument: String,
    /// Frame, as text.
    pub frame: String,
    /// From which commit on which schema holds; `None`: the series was dropped by that commit. Ascending.
    pub definitions: Vec<(u64, Option<Schema>)>,
}

/// A segment as the manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// File id.
    pub id: u64,
    /// Length of the file, in bytes.
    pub length: u64,
    /// XXH3-128 of the whole file.
    pub hash: u128,
    /// Number of compactions its rows went through; 0: sealed from the log.
    pub level: u8,
    /// What it holds, by ascending series.
    pub parts: Vec<PartSummary>,
}

/// The small state that every step restates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateRecord {
    /// Every commit up to this one is in segments.
    pub sealed_version: u64,
    /// The oldest log that still counts; logs before it are not needed.
    pub first_log: u64,
    /// File ids below this one may have been used.
    pub next_file: u64,
    /// The oldest version that can be read, but for snapshots.
    pub floor: u64,
    /// Number of this step.
    pub step: u64,
}

/// A named version that retention keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Its name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// Wall clock at its making, nanoseconds since the Unix epoch.
    pub created: i64,
}

/// One record of the manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum ManifestRecord {
    /// Ends a step: it holds from here on.
    State(StateRecord),
    /// A source gets its id.
    Source {
        /// Id within the store.
        id: u16,
        /// Name.
        name: String,
    },
    /// A series, replacing an earlier record of the same id.
    Series(SeriesRecord),
    /// A segment counts from this step on.
    AddSegment(SegmentRecord),
    /// A segment no longer counts.
    RemoveSegment(u64),
    /// A snapshot was made.
    Snapshot(SnapshotRecord),
    /// The snapshot of this name was dropped.
    DropSnapshot(String),
}

const KIND_STATE: u8 = 1;
const KIND_SOURCE: u8 = 2;
const KIND_SERIES: u8 = 3;
const KIND_ADD_SEGMENT: u8 = 4;
const KIND_REMOVE_SEGMENT: u8 = 5;
const KIND_SNAPSHOT: u8 = 6;
const KIND_DROP_SNAPSHOT: u8 = 7;

impl ManifestRecord {
    /// Kind of the frames that carry the record.
    pub fn kind(&self) -> u8 {
        match self {
            Self::State(_) => KIND_STATE,
            Self::Source { .. } => KIND_SOURCE,
            Self::Series(_) => KIND_SERIES,
            Self::AddSegment(_) => KIND_ADD_SEGMENT,
            Self::RemoveSegment(_) => KIND_REMOVE_SEGMENT,
            Self::Snapshot(_) => KIND_SNAPSHOT,
            Self::DropSnapshot(_) => KIND_DROP_SNAPSHOT,
        }
    }

    /// The byte form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::State(state) => {
                for field in [state.sealed_version, state.first_log, state.next_file, state.floor, state.step]
                {
                    out.put_u64(field);
                }
            }
            Self::Source { id, name } => {
                out.put_u16(*id);
                out.put_string(name);
            }
            Self::Series(series) => series.encode(&mut out),
            Self::AddSegment(segment) => segment.encode(&mut out),
            Self::RemoveSegment(id) => out.put_u64(*id),
            Self::Snapshot(snapshot) => {
                out.put_string(&snapshot.name);
                out.put_u64(snapshot.version);
                out.put_i64(snapshot.created);
            }
            Self::DropSnapshot(name) => out.put_string(name),
        }
        out
    }

    /// Reads the byte form.
    ///
    /// # Errors
    /// M3: the record is malformed.
    pub fn decode(kind: u8, bytes: &[u8]) -> Result<Self> {
        let mut reader = ByteReader::new(bytes, "M3");
        let record = match kind {
            KIND_STATE => Self::State(StateRecord {
                sealed_version: reader.u64()?,
                first_log: reader.u64()?,
                next_file: reader.u64()?,
                floor: reader.u64()?,
                step: reader.u64()?,
            }),
            KIND_SOURCE => Self::Source { id: reader.u16()?, name: reader.string(NOTE_BYTES)? },
            KIND_SERIES => Self::Series(SeriesRecord::decode(&mut reader)?),
            KIND_ADD_SEGMENT => Self::AddSegment(SegmentRecord::decode(&mut reader)?),
            KIND_REMOVE_SEGMENT => Self::RemoveSegment(reader.u64()?),
            KIND_SNAPSHOT => Self::Snapshot(SnapshotRecord {
                name: reader.string(NOTE_BYTES)?,
                version: reader.u64()?,
                created: reader.i64()?,
            }),
            KIND_DROP_SNAPSHOT => Self::DropSnapshot(reader.string(NOTE_BYTES)?),
            other => return Err(reader.error(format!("unknown manifest record {other}"))),
        };
        reader.finish()?;
        Ok(record)
    }
}

impl SeriesRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.id);
        out.put_string(&self.instrument);
        out.put_string(&self.frame);
        out.put_varint(self.definitions.len() as u64);
        for (version, schema) in &self.definitions {
            out.put_u64(*version);
            out.put_u8(u8::from(schema.is_some()));
            if let Some(schema) = schema {
                schema.encode(out);
            }
        }
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let id = reader.u32()?;
        let instrument = reader.string(INSTRUMENT_BYTES)?;
        let frame = reader.string(NAME_BYTES)?;
        if instrument.is_empty() || frame.is_empty() {
            return Err(reader.error("a series without a name"));
        }
        let count = reader.varint()?;
        let mut definitions: Vec<(u64, Option<Schema>)> = Vec::new();
        let mut types = ColumnTypes::default();
        for _ in 0..count {
            let version = reader.u64()?;
            if definitions.last().is_some_and(|last| last.0 >= version) {
                return Err(reader.error("definitions of a series are not in order"));
            }
            let schema = match reader.u8()? {
                0 => None,
                1 => Some(Schema::decode(reader)?),
                other => return Err(reader.error(format!("schema flag must be 0 or 1, found {other}"))),
            };
            if let Some(column) = schema.as_ref().and_then(|schema| types.add(schema)) {
                return Err(reader.error(format!("column {column} of series {id} changes its type (A4)")));
            }
            definitions.push((version, schema));
        }
        Ok(Self { id, instrument, frame, definitions })
    }
}

impl SegmentRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.id);
        out.put_u64(self.length);
        out.put_u64(self.hash as u64);
        out.put_u64((self.hash >> 64) as u64);
        out.put_u8(self.level);
        out.put_varint(self.parts.len() as u64);
        for part in &self.parts {
            out.put_varint(u64::from(part.series));
            out.put_varint(u64::from(part.part));
            out.put_varint(part.rows);
            out.put_i64(part.first_time);
            out.put_i64(part.last_time);
            out.put_varint(part.history_rows);
            if part.history_rows > 0 {
                out.put_i64(part.history_first_time);
                out.put_i64(part.history_last_time);
            }
            out.put_varint(part.version_low);
            out.put_varint(part.version_high);
            out.put_varint(u64::from(part.marks));
            out.put_varint(part.bytes);
        }
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let id = reader.u64()?;
        let length = reader.u64()?;
        let hash = u128::from(reader.u64()?) | u128::from(reader.u64()?) << 64;
        let level = reader.u8()?;
        let count = reader.varint()?;
        let mut parts: Vec<PartSummary> = Vec::new();
        for _ in 0..count {
            let part = decode_part(reader)?;
            if parts.last().is_some_and(|last| last.series >= part.series) {
                return Err(reader.error("parts of a segment are not by ascending series"));
            }
            parts.push(part);
        }
        Ok(Self { id, length, hash, level, parts })
    }
}

fn small(reader: &mut ByteReader<'_>) -> Result<u32> {
    let value = reader.varint()?;
    u32::try_from(value).map_err(|_| reader.error(format!("{value} does not fit 32 bits")))
}

fn decode_part(reader: &mut ByteReader<'_>) -> Result<PartSummary> {
    let series = small(reader)?;
    let part = small(reader)?;
    let rows = reader.varint()?;
    let (first_time, last_time) = (reader.i64()?, reader.i64()?);
    let history_rows = reader.varint()?;
    let (history_first_time, history_last_time) =
        if history_rows > 0 { (reader.i64()?, reader.i64()?) } else { (0, -1) };
    let (version_low, version_high) = (reader.varint()?, reader.varint()?);
    let live = if rows > 0 { first_time <= last_time } else { (first_time, last_time) == (0, -1) };
    if version_low > version_high || !live || (history_rows > 0 && history_first_time > history_last_time) {
        return Err(reader.error("a part's versions or times are reversed, or it has times without rows"));
    }
    let marks = small(reader)?;
    let bytes = reader.varint()?;
    Ok(PartSummary {
        series,
        part,
        rows,
        history_rows,
        first_time,
        last_time,
        history_first_time,
        history_last_time,
        version_low,
        version_high,
        marks,
        bytes,
    })
}

/// Bytes of the file `CURRENT`.
pub const CURRENT_BYTES: usize = 64;
const CURRENT_MAGIC: [u8; 8] = *b"TAPECURR";
const CURRENT_FORMAT: u32 = 1;

/// The file `CURRENT`: which manifest counts, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Random identity of the store.
    pub store: [u8; 16],
    /// File id of the manifest.
    pub manifest: u64,
    /// Bytes of it that count.
    pub length: u64,
    /// Number of the newest step.
    pub step: u64,
    /// Wall clock at the creation of the store, nanoseconds since the Unix epoch.
    pub created: i64,
}

impl Current {
    /// The byte form.
    pub fn encode(&self) -> [u8; CURRENT_BYTES] {
        let mut out = Vec::with_capacity(CURRENT_BYTES);
        out.extend_from_slice(&CURRENT_MAGIC);
        out.put_u32(CURRENT_FORMAT);
        out.extend_from_slice(&self.store);
        out.put_u64(self.manifest);
        out.put_u64(self.length);
        out.put_u64(self.step);
        out.put_i64(self.created);
        let crc = crc32fast::hash(&out);
        out.put_u32(crc);
        out.try_into().expect("the fields add up to 64 bytes")
    }

    /// Reads the byte form.
    ///
    /// # Errors
    /// M4: not a `CURRENT` file, a newer format, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() >= 8 && bytes[..8] != CURRENT_MAGIC {
            return Err(FormatError {
                kind: ErrorKind::Foreign,
                rule: "M4",
                offset: 0,
                detail: "the file CURRENT does not begin with TAPECURR".into(),
            });
        }
        if bytes.len() != CURRENT_BYTES {
            let detail = format!("CURRENT has {} bytes, {CURRENT_BYTES} expected", bytes.len());
            return Err(FormatError::corrupt("M4", 0, detail));
        }
        let crc = u32::from_le_bytes([bytes[60], bytes[61], bytes[62], bytes[63]]);
        if crc32fast::hash(&bytes[..60]) != crc {
            return Err(FormatError::corrupt("M4", 60, "checksum of CURRENT does not match"));
        }
        let mut reader = ByteReader::new(&bytes[8..60], "M4");
        let format = reader.u32()?;
        if format > CURRENT_FORMAT {
            return Err(FormatError {
                kind: ErrorKind::Newer,
                rule: "M4",
                offset: 8,
                detail: format!("format {format} of CURRENT; this version reads up to {CURRENT_FORMAT}"),
            });
        }
        let mut store = [0; 16];
        store.copy_from_slice(reader.take(16)?);
        let (manifest, length) = (reader.u64()?, reader.u64()?);
        if format == 0 || length < HEADER_BYTES as u64 {
            let detail = format!("format {format} of CURRENT, {length} bytes of the manifest");
            return Err(FormatError::corrupt("M4", 8, detail));
        }
        Ok(Self { store, manifest, length, step: reader.u64()?, created: reader.i64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, ColumnType, KeyPolicy, Schema};

    fn records() -> Vec<ManifestRecord> {
        let schema = Schema { columns: Vec::new(), key: KeyPolicy::Unique };
        let part = |series, history_rows| PartSummary {
            series,
            part: series,
            rows: 10,
            history_rows,
            first_time: -5,
            last_time: 99,
            history_first_time: if history_rows > 0 { 3 } else { 0 },
            history_last_time: if history_rows > 0 { 4 } else { -1 },
            version_low: 3,
            version_high: 300,
            marks: 1,
            bytes: 1 << 40,
        };
        vec![
            ManifestRecord::Source { id: 3, name: "binance".into() },
            ManifestRecord::Series(SeriesRecord {
                id: 7,
                instrument: "0700.HK".into(),
                frame: "1m".into(),
                definitions: vec![(1, Some(schema)), (5, None)],
            }),
            ManifestRecord::AddSegment(SegmentRecord {
                id: 8,
                length: 999,
                hash: u128::MAX - 7,
                level: 2,
                parts: vec![part(1, 0), part(2, 5)],
            }),
            ManifestRecord::RemoveSegment(5),
            ManifestRecord::Snapshot(SnapshotRecord { name: "a".into(), version: 4, created: -1 }),
            ManifestRecord::DropSnapshot("a".into()),
            ManifestRecord::State(StateRecord {
                sealed_version: 1,
                first_log: 2,
                next_file: 3,
                floor: 4,
                step: 5,
            }),
        ]
    }

    #[test]
    fn records_round_trip_and_truncations_are_refused() {
        for record in records() {
            let bytes = record.encode();
            assert_eq!(ManifestRecord::decode(record.kind(), &bytes).unwrap(), record);
            for length in 0..bytes.len() {
                assert!(ManifestRecord::decode(record.kind(), &bytes[..length]).is_err());
            }
        }
    }

    #[test]
    fn a_column_keeps_its_type_through_all_definitions() {
        let schema = |kind| {
            let column = Column { id: 4, name: "x".into(), kind, nullable: true, description: String::new() };
            Some(Schema { columns: vec![column], key: KeyPolicy::Unique })
        };
        let decoded = |later| {
            let definitions = vec![(1, schema(ColumnType::I64)), (2, None), (3, schema(later))];
            let series = SeriesRecord { id: 7, instrument: "A".into(), frame: "x".into(), definitions };
            let record = ManifestRecord::Series(series);
            ManifestRecord::decode(record.kind(), &record.encode())
        };
        assert!(decoded(ColumnType::I64).is_ok());
        let error = decoded(ColumnType::F64).unwrap_err();
        assert!(error.to_string().contains("column 4 of series 7 changes its type"), "{error}");
    }

    #[test]
    fn current_round_trips_and_every_flipped_bit_is_noticed() {
        let current = Current { store: [3; 16], manifest: 9, length: 4096, step: 7, created: -3 };
        let bytes = current.encode();
        assert_eq!(Current::decode(&bytes), Ok(current));
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes;
                bad[position] ^= 1 << bit;
                assert!(Current::decode(&bad).is_err(), "byte {position} bit {bit}");
            }
        }
        assert!(Current::decode(&[0; 64]).is_err());
        assert!(Current::decode(&bytes[..63]).is_err());
    }
}
