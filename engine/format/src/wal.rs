//! Records of the write-ahead log: transactions.
//!
//! Layout: `format-spec/wal.md`. A transaction states effects, not requests: rows that changed nothing are left out,
//! so replaying it needs no look at older data.

use crate::bytes::{ByteReader, ByteWriter};
use crate::error::{FormatError, Result};
use crate::limits::{COLUMNS, INSTRUMENT_BYTES, NAME_BYTES, NOTE_BYTES, STRING_BYTES};
use crate::rows::{ColumnValues, Mark, MarkKind, RowSet, RunVec, Strings, Values};
use crate::schema::Schema;

/// Record kind: first record of a log, a [`LogStart`].
pub const KIND_START: u8 = 1;
/// Record kind: a [`TransactionRecord`].
pub const KIND_TRANSACTION: u8 = 2;

/// First record of a log: how it follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStart {
    /// File id of the log before this one; 0: none.
    pub previous_log: u64,
    /// Where the valid frames of that log end, in bytes.
    pub previous_end: u64,
    /// Version of the store when this log began.
    pub version: u64,
}

impl LogStart {
    /// The byte form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        out.put_u64(self.previous_log);
        out.put_u64(self.previous_end);
        out.put_u64(self.version);
        out
    }

    /// Reads the byte form.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = ByteReader::new(bytes, "W1");
        let start = Self { previous_log: reader.u64()?, previous_end: reader.u64()?, version: reader.u64()? };
        reader.finish()?;
        Ok(start)
    }
}

/// Why a commit was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CommitKind {
    /// A transaction of the user.
    Write = 1,
    /// A return to an older version.
    Rollback = 2,
}

impl CommitKind {
    /// The kind with this frozen id.
    pub fn from_id(id: u8) -> Option<Self> {
        [Self::Write, Self::Rollback].into_iter().find(|kind| *kind as u8 == id)
    }
}

/// One effect of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A source gets its id.
    Source {
        /// Id within the store.
        id: u16,
        /// Name.
        name: String,
    },
    /// A series is created, or its schema changes.
    Define {
        /// Id within the store.
        series: u32,
        /// Instrument.
        instrument: String,
        /// Frame, as text.
        frame: String,
        /// The schema from this commit on.
        schema: Schema,
    },
    /// A series ends; its rows were deleted by a mark.
    Drop {
        /// The series.
        series: u32,
    },
    /// Rows added or replaced; `version` of the rows is that of the commit.
    Rows {
        /// The series.
        series: u32,
        /// In time order.
        rows: RowSet,
    },
    /// A marked range; `version` of the mark is that of the commit. Deletions come before rows of the same series.
    Mark {
        /// The series.
        series: u32,
        /// The mark.
        mark: Mark,
    },
}

/// A commit.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionRecord {
    /// Number of the commit.
    pub version: u64,
    /// Wall clock at commit, nanoseconds since the Unix epoch. For people; decides nothing.
    pub time: i64,
    /// Why.
    pub kind: CommitKind,
    /// The user's words.
    pub message: String,
    /// Rows that did not exist before.
    pub added: u64,
    /// Rows that replaced others.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// What it does.
    pub effects: Vec<Effect>,
}

impl TransactionRecord {
    /// The byte form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.version);
        out.put_i64(self.time);
        out.put_u8(self.kind as u8);
        out.put_string(&self.message);
        out.put_varint(self.added);
        out.put_varint(self.updated);
        out.put_varint(self.deleted);
        out.put_varint(self.effects.len() as u64);
        for effect in &self.effects {
            effect.encode(&mut out);
        }
        out
    }

    /// Reads the byte form.
    ///
    /// # Errors
    /// W2: the record is malformed. Memory used is at most a small multiple of `bytes.len()`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = ByteReader::new(bytes, "W2");
        let version = reader.u64()?;
        let time = reader.i64()?;
        let kind = reader.u8()?;
        let kind =
            CommitKind::from_id(kind).ok_or_else(|| reader.error(format!("unknown commit kind {kind}")))?;
        let message = reader.string(NOTE_BYTES)?;
        let (added, updated, deleted) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let count = reader.varint()?;
        let mut effects = Vec::new();
        for _ in 0..count {
            effects.push(Effect::decode(&mut reader, version)?);
        }
        reader.finish()?;
        Ok(Self { version, time, kind, message, added, updated, deleted, effects })
    }
}

const EFFECT_SOURCE: u8 = 1;
const EFFECT_DEFINE: u8 = 2;
const EFFECT_DROP: u8 = 3;
const EFFECT_ROWS: u8 = 4;
const EFFECT_MARK: u8 = 5;

impl Effect {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Source { id, name } => {
                out.put_u8(EFFECT_SOURCE);
                out.put_u16(*id);
                out.put_string(name);
            }
            Self::Define { series, instrument, frame, schema } => {
                out.put_u8(EFFECT_DEFINE);
                out.put_u32(*series);
                out.put_string(instrument);
                out.put_string(frame);
                schema.encode(out);
            }
            Self::Drop { series } => {
                out.put_u8(EFFECT_DROP);
                out.put_u32(*series);
            }
            Self::Rows { series, rows } => {
                out.put_u8(EFFECT_ROWS);
                out.put_u32(*series);
                encode_rows(rows, out);
            }
            Self::Mark { series, mark } => {
                out.put_u8(EFFECT_MARK);
                out.put_u32(*series);
                out.put_u8(mark.kind as u8);
                out.put_i64(mark.start);
                out.put_i64(mark.end);
            }
        }
    }

    fn decode(reader: &mut ByteReader<'_>, version: u64) -> Result<Self> {
        Ok(match reader.u8()? {
            EFFECT_SOURCE => Self::Source { id: reader.u16()?, name: reader.string(NOTE_BYTES)? },
            EFFECT_DEFINE => Self::Define {
                series: reader.u32()?,
                instrument: reader.string(INSTRUMENT_BYTES)?,
                frame: reader.string(NAME_BYTES)?,
                schema: Schema::decode(reader)?,
            },
            EFFECT_DROP => Self::Drop { series: reader.u32()? },
            EFFECT_ROWS => Self::Rows { series: reader.u32()?, rows: decode_rows(reader, version)? },
            EFFECT_MARK => {
                let series = reader.u32()?;
                let kind = reader.u8()?;
                let kind = MarkKind::from_id(kind)
                    .ok_or_else(|| reader.error(format!("unknown mark kind {kind}")))?;
                let (start, end) = (reader.i64()?, reader.i64()?);
                if start >= end {
                    return Err(reader.error("mark of an empty range"));
                }
                Self::Mark { series, mark: Mark { kind, start, end, version } }
            }
            other => return Err(reader.error(format!("unknown effect {other}"))),
        })
    }
}

const PHYSICAL_I64: u8 = 1;
const PHYSICAL_F64: u8 = 2;
const PHYSICAL_F32: u8 = 3;
const PHYSICAL_U8: u8 = 4;
const PHYSICAL_STR: u8 = 5;

fn encode_rows(rows: &RowSet, out: &mut Vec<u8>) {
    out.put_u32(rows.len() as u32);
    out.extend_from_slice(bytemuck::cast_slice(&rows.time));
    encode_runs(&rows.source, out);
    encode_runs(&rows.flags, out);
    out.put_u16(rows.columns.len() as u16);
    for (id, column) in &rows.columns {
        out.put_u16(*id);
        match &column.nulls {
            None => out.put_u8(0),
            Some(nulls) => {
                out.put_u8(1);
                out.extend(nulls.iter().map(|null| u8::from(*null)));
            }
        }
        encode_values(&column.values, out);
    }
}

fn encode_runs(runs: &RunVec<u16>, out: &mut Vec<u8>) {
    out.put_varint(runs.run_count() as u64);
    for (range, value) in runs.pieces(0..runs.len()) {
        out.put_varint(range.len() as u64);
        out.put_u16(value);
    }
}

fn encode_values(values: &Values, out: &mut Vec<u8>) {
    match values {
        Values::I64(v) => {
            out.put_u8(PHYSICAL_I64);
            out.extend_from_slice(bytemuck::cast_slice(v));
        }
        Values::F64(v) => {
            out.put_u8(PHYSICAL_F64);
            out.extend_from_slice(bytemuck::cast_slice(v));
        }
        Values::F32(v) => {
            out.put_u8(PHYSICAL_F32);
            out.extend_from_slice(bytemuck::cast_slice(v));
        }
        Values::U8(v) => {
            out.put_u8(PHYSICAL_U8);
            out.extend_from_slice(v);
        }
        Values::Str(v) => {
            out.put_u8(PHYSICAL_STR);
            for text in v.iter() {
                out.put_varint(text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// Little-endian words of a slice, which need not be aligned.
fn words<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| from(*chunk)).collect()
}

fn decode_rows(reader: &mut ByteReader<'_>, version: u64) -> Result<RowSet> {
    let count = reader.u32()? as usize;
    let time = words(reader.take(count.saturating_mul(8))?, i64::from_le_bytes);
    if !time.is_sorted() {
        return Err(reader.error("times of the rows are not in order"));
    }
    let source = decode_runs(reader, count)?;
    let flags = decode_runs(reader, count)?;
    let column_count = reader.u16()? as usize;
    // The ordinal comes on top of the schema's columns.
    if column_count > COLUMNS + 1 {
        return Err(FormatError::limit("W3", reader.position() as u64, format!("{column_count} columns")));
    }
    let mut columns = Vec::with_capacity(column_count);
    for _ in 0..column_count {
        let id = reader.u16()?;
        if columns.iter().any(|(known, _)| *known == id) {
            return Err(reader.error(format!("column {id} twice")));
        }
        let nulls = match reader.u8()? {
            0 => None,
            1 => Some(reader.take(count)?.iter().map(|byte| *byte != 0).collect()),
            other => return Err(reader.error(format!("null flag must be 0 or 1, found {other}"))),
        };
        columns.push((id, ColumnValues { values: decode_values(reader, count)?, nulls }));
    }
    Ok(RowSet {
        time,
        version: RunVec::constant(version, count),
        until: RunVec::default(),
        source,
        flags,
        columns,
    })
}

fn decode_runs(reader: &mut ByteReader<'_>, count: usize) -> Result<RunVec<u16>> {
    let mut out = RunVec::default();
    for _ in 0..reader.varint()? {
        let length = reader.varint()?;
        if length == 0 || length > (count - out.len()) as u64 {
            return Err(reader.error("runs do not add up to the rows"));
        }
        out.push(reader.u16()?, length as usize);
    }
    if out.len() != count {
        return Err(reader.error("runs do not add up to the rows"));
    }
    Ok(out)
}

fn decode_values(reader: &mut ByteReader<'_>, count: usize) -> Result<Values> {
    Ok(match reader.u8()? {
        PHYSICAL_I64 => Values::I64(words(reader.take(count.saturating_mul(8))?, i64::from_le_bytes)),
        PHYSICAL_F64 => Values::F64(words(reader.take(count.saturating_mul(8))?, f64::from_le_bytes)),
        PHYSICAL_F32 => Values::F32(words(reader.take(count.saturating_mul(4))?, f32::from_le_bytes)),
        PHYSICAL_U8 => Values::U8(reader.take(count)?.to_vec()),
        PHYSICAL_STR => {
            let mut strings = Strings::default();
            for _ in 0..count {
                let length = reader.varint()?;
                if length > STRING_BYTES as u64 {
                    return Err(reader.error(format!("string of {length} bytes, at most {STRING_BYTES}")));
                }
                let Ok(text) = std::str::from_utf8(reader.take(length as usize)?) else {
                    return Err(reader.error("string is not UTF-8"));
                };
                strings.push(text);
            }
            Values::Str(strings)
        }
        other => return Err(reader.error(format!("unknown physical type {other}"))),
    })
}

#[cfg(target_endian = "big")]
compile_error!(
    "the format is little-endian and borrows raw columns in place; big-endian targets need byte swaps"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, ColumnType, KeyPolicy};

    fn some() -> TransactionRecord {
        let mut rows = RowSet {
            time: vec![-5, 7, 7],
            version: RunVec::constant(42, 3),
            source: [1, 1, 2].into_iter().collect(),
            flags: RunVec::constant(4, 3),
            ..RowSet::default()
        };
        rows.columns = vec![
            (0, Values::F64(vec![1.5, f64::INFINITY, -0.0]).into()),
            (1, Values::Str(["", "ä", "long enough"].into_iter().collect()).into()),
            (
                2,
                ColumnValues {
                    values: Values::I64(vec![i64::MIN, 0, 9]),
                    nulls: Some(vec![false, true, false]),
                },
            ),
            (3, Values::F32(vec![1.0, 2.0, 3.0]).into()),
            (4, Values::U8(vec![0, 1, 255]).into()),
        ];
        let schema = Schema {
            columns: vec![Column {
                id: 0,
                name: "x".into(),
                kind: ColumnType::F64,
                nullable: false,
                description: "a price".into(),
            }],
            key: KeyPolicy::Unique,
        };
        let mark = Mark { kind: MarkKind::Absent, start: 1, end: 2, version: 42 };
        TransactionRecord {
            version: 42,
            time: 1,
            kind: CommitKind::Write,
            message: "why".into(),
            added: 3,
            updated: 0,
            deleted: 0,
            effects: vec![
                Effect::Source { id: 1, name: "binance".into() },
                Effect::Define { series: 1, instrument: "A.B".into(), frame: "1m".into(), schema },
                Effect::Mark { series: 1, mark },
                Effect::Rows { series: 1, rows },
                Effect::Drop { series: 2 },
            ],
        }
    }

    #[test]
    fn transactions_round_trip() {
        let bytes = some().encode();
        assert_eq!(TransactionRecord::decode(&bytes).unwrap(), some());
        let start = LogStart { previous_log: 1, previous_end: 2, version: 3 };
        assert_eq!(LogStart::decode(&start.encode()).unwrap(), start);
    }

    #[test]
    fn every_truncation_is_refused_and_no_flip_panics() {
        let bytes = some().encode();
        for length in 0..bytes.len() {
            assert!(TransactionRecord::decode(&bytes[..length]).is_err());
        }
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[position] ^= 1 << bit;
                let _ = TransactionRecord::decode(&bad);
            }
        }
    }
}
