//! Test vectors, fed to the production decoders: `format-spec/vectors/README.md`.

use std::fmt::Write;
use std::sync::Arc;

use simd_json::prelude::*;
use simd_json::{OwnedValue, json};
use tapestore::io::{MemoryStorage, Storage};
use tapestore::{ColumnType, Error, ErrorClass, Options, Store, verify_storage};
use tapestore_format::bytes::ByteReader;
use tapestore_format::checksum::Identity;
use tapestore_format::codec::int::{IntScratch, decode};
use tapestore_format::header::{FileHeader, FileKind};
use tapestore_format::log::{FrameReader, RecordAssembler};
use tapestore_format::manifest::{Current, ManifestRecord};
use tapestore_format::rows::{ColumnValues, RowSet, Values};
use tapestore_format::schema::{KeyPolicy, Schema};
use tapestore_format::segment::{Scratch, Segment, Stream, System, Verified};
use tapestore_format::wal::{Effect, LogStart, TransactionRecord};
use tapestore_format::{ErrorKind, FormatError};

use crate::expected::{float32, float64};

/// A vector, and access to its fields.
pub struct Vector {
    /// Name of its file.
    pub name: String,
    /// Its content.
    pub json: OwnedValue,
}

impl Vector {
    /// Reads the file of a vector.
    ///
    /// # Errors
    /// What is wrong with its JSON.
    pub fn parse(name: &str, mut bytes: Vec<u8>) -> std::result::Result<Self, String> {
        let json = simd_json::to_owned_value(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { name: name.to_owned(), json })
    }

    /// A field that every vector of its structure has.
    pub fn text(&self, field: &str) -> &str {
        self.json.get_str(field).unwrap_or_else(|| panic!("{} has no {field}", self.name))
    }

    fn number(&self, field: &str) -> u64 {
        self.json.get_u64(field).unwrap_or_else(|| panic!("{} has no {field}", self.name))
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        from_hex(self.text("hex"))
    }

    /// The store and the file that the bytes belong to.
    pub fn identity(&self) -> Identity {
        let store = from_hex(self.text("store")).try_into().expect("16 bytes");
        Identity { store, file: self.number("file") }
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal");
    text.as_bytes().chunks(2).map(digits).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why a vector is refused: class and rule of `format-spec/errors.md`, and the message.
#[derive(Debug)]
pub struct Refusal {
    /// The class.
    pub class: &'static str,
    /// The rule.
    pub rule: String,
    /// What was found.
    pub detail: String,
}

impl From<FormatError> for Refusal {
    fn from(error: FormatError) -> Self {
        let class = match error.kind {
            ErrorKind::Foreign => "foreign",
            ErrorKind::Newer => "newer",
            ErrorKind::Corrupt => "corrupt",
            _ => "limit",
        };
        Self { class, rule: error.rule.into(), detail: error.detail }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let class = match error.kind() {
            ErrorClass::NotFound => "missing",
            ErrorClass::Corrupt => "corrupt",
            ErrorClass::Newer => "newer",
            ErrorClass::Foreign => "foreign",
            ErrorClass::Limit => "limit",
            _ => "other",
        };
        let rule = match error {
            Error::Format { source, .. } => source.rule.to_owned(),
            Error::Inconsistent { rule, .. } => rule.to_owned(),
            _ => String::new(),
        };
        Self { class, rule, detail }
    }
}

type Result<T> = std::result::Result<T, Refusal>;

/// The answer of `decode-vector`: `format-spec/conformance/README.md`.
pub fn answer(vector: &Vector) -> OwnedValue {
    match decoded(vector) {
        Err(refusal) => json!({"error": {"class": refusal.class, "rule": refusal.rule}}),
        Ok(found) => match vector.text("structure") {
            "integers" => json!({"values": found}),
            "frames" => json!({"records": found}),
            "header" => json!({}),
            _ => json!({"expected": found}),
        },
    }
}

/// What a vector decodes to, in the form in which vectors state it.
///
/// # Errors
/// The vector is refused.
pub fn decoded(vector: &Vector) -> Result<OwnedValue> {
    if vector.text("structure") == "store" {
        return store(vector);
    }
    let bytes = vector.bytes();
    match vector.text("structure") {
        "integers" => integers(&bytes, vector.number("count") as usize),
        "header" => {
            let kind = FileKind::from_id(vector.number("kind") as u8).expect("a known kind");
            FileHeader::check(&bytes, kind, &vector.identity())?;
            Ok(OwnedValue::null())
        }
        "current" => {
            let current = Current::decode(&bytes)?;
            Ok(json!({
                "store": to_hex(&current.store), "manifest": current.manifest, "length": current.length,
                "step": current.step, "created": current.created
            }))
        }
        "frames" => frames(vector, &bytes),
        "schema" => {
            let mut reader = ByteReader::new(&bytes, "W2");
            let found = Schema::decode(&mut reader)?;
            reader.finish()?;
            Ok(schema(&found))
        }
        "start" => {
            let start = LogStart::decode(&bytes)?;
            Ok(json!({
                "previous_log": start.previous_log, "previous_end": start.previous_end, "version": start.version
            }))
        }
        "manifest" => Ok(manifest(&ManifestRecord::decode(vector.number("kind") as u8, &bytes)?)),
        "transaction" => Ok(transaction(&TransactionRecord::decode(&bytes)?)),
        "segment" => segment(vector, &bytes),
        "text" => Ok(texts(vector, &bytes)),
        other => panic!("{}: unknown structure {other}", vector.name),
    }
}

fn integers(bytes: &[u8], count: usize) -> Result<OwnedValue> {
    let mut reader = ByteReader::new(bytes, "K1");
    let mut out = vec![0; count];
    decode(&mut reader, &mut out, &mut IntScratch::default(), None)?;
    reader.finish()?;
    Ok(json!(out))
}

fn frames(vector: &Vector, bytes: &[u8]) -> Result<OwnedValue> {
    let mut reader =
        FrameReader::new(bytes, vector.number("offset"), vector.identity(), vector.json.get_u64("sequence"));
    let mut assembler = RecordAssembler::default();
    let mut records = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        if let Some((kind, record)) = assembler.push(&frame)? {
            records.push(json!({"kind": kind, "hex": to_hex(record)}));
        }
    }
    Ok(records.into())
}

fn schema(schema: &Schema) -> OwnedValue {
    let columns: Vec<OwnedValue> = schema
        .columns
        .iter()
        .map(|column| {
            json!({
                "id": column.id, "type": column.kind as u8, "nullable": column.nullable,
                "name": column.name.as_str(), "description": column.description.as_str()
            })
        })
        .collect();
    let key: OwnedValue = match &schema.key {
        KeyPolicy::Unique => "unique".into(),
        KeyPolicy::Sequence { dedup } => json!(dedup.clone()),
    };
    json!({"key": key, "columns": columns})
}

fn manifest(record: &ManifestRecord) -> OwnedValue {
    match record {
        ManifestRecord::State(state) => json!({
            "sealed_version": state.sealed_version, "first_log": state.first_log, "next_file": state.next_file,
            "floor": state.floor, "step": state.step
        }),
        ManifestRecord::Source { id, name } => json!({"id": *id, "name": name.as_str()}),
        ManifestRecord::Series(series) => {
            let definitions: Vec<OwnedValue> = series
                .definitions
                .iter()
                .map(|(version, found)| json!([*version, found.as_ref().map_or(OwnedValue::null(), schema)]))
                .collect();
            json!({
                "id": series.id, "instrument": series.instrument.as_str(), "frame": series.frame.as_str(),
                "definitions": definitions
            })
        }
        ManifestRecord::AddSegment(segment) => {
            let parts: Vec<OwnedValue> = segment
                .parts
                .iter()
                .map(|part| {
                    json!({
                        "series": part.series, "part": part.part, "rows": part.rows, "first_time": part.first_time,
                        "last_time": part.last_time, "history_rows": part.history_rows,
                        "history_first_time": part.history_first_time, "history_last_time": part.history_last_time,
                        "version_low": part.version_low, "version_high": part.version_high, "marks": part.marks,
                        "bytes": part.bytes
                    })
                })
                .collect();
            let hash = [segment.hash as u64, (segment.hash >> 64) as u64];
            json!({
                "id": segment.id, "length": segment.length, "hash": hash.to_vec(), "level": segment.level,
                "parts": parts
            })
        }
        ManifestRecord::RemoveSegment(id) => json!({"id": *id}),
        ManifestRecord::Snapshot(snapshot) => json!({
            "name": snapshot.name.as_str(), "version": snapshot.version, "created": snapshot.created
        }),
        ManifestRecord::DropSnapshot(name) => json!({"name": name.as_str()}),
    }
}

fn transaction(record: &TransactionRecord) -> OwnedValue {
    let effect = |effect: &Effect| match effect {
        Effect::Source { id, name } => json!({"effect": 1, "id": *id, "name": name.as_str()}),
        Effect::Define { series, instrument, frame, schema: found } => json!({
            "effect": 2, "series": *series, "instrument": instrument.as_str(), "frame": frame.as_str(),
            "schema": schema(found)
        }),
        Effect::Drop { series } => json!({"effect": 3, "series": *series}),
        Effect::Rows { series, rows } => {
            let column = |(id, column): &(u16, ColumnValues)| json!({"id": *id, "values": (0..rows.len()).map(|row| cell(column, row)).collect::<Vec<_>>()});
            json!({
                "effect": 4, "series": *series, "time": rows.time.clone(),
                "source": rows.source.iter().collect::<Vec<u16>>(), "flags": rows.flags.iter().collect::<Vec<u16>>(),
                "columns": rows.columns.iter().map(column).collect::<Vec<_>>()
            })
        }
        Effect::Mark { series, mark } => json!({
            "effect": 5, "series": *series, "kind": mark.kind as u8, "start": mark.start, "end": mark.end
        }),
    };
    json!({
        "version": record.version, "time": record.time, "kind": record.kind as u8, "message": record.message.as_str(),
        "added": record.added, "updated": record.updated, "deleted": record.deleted,
        "effects": record.effects.iter().map(effect).collect::<Vec<_>>()
    })
}

fn cell(column: &ColumnValues, row: usize) -> OwnedValue {
    if column.is_null(row) {
        return OwnedValue::null();
    }
    match &column.values {
        Values::I64(values) => values[row].into(),
        Values::U8(values) => values[row].into(),
        Values::F64(values) => format!("{:016x}", values[row].to_bits()).into(),
        Values::F32(values) => format!("{:08x}", values[row].to_bits()).into(),
        Values::Str(values) => values.get(row).to_owned().into(),
    }
}

fn rows(rows: &RowSet, stream: Stream) -> Vec<OwnedValue> {
    let row = |row: usize| {
        let mut cells: Vec<OwnedValue> = vec![rows.time[row].into(), rows.version.get(row).into()];
        if stream == Stream::History {
            cells.push(rows.until.get(row).into());
        }
        cells.push(rows.source.get(row).into());
        cells.push(rows.flags.get(row).into());
        cells.extend(rows.columns.iter().map(|(_, column)| cell(column, row)));
        OwnedValue::from(cells)
    };
    (0..rows.len()).map(row).collect()
}

/// Everything in a segment; its deep verification included.
fn segment(vector: &Vector, bytes: &[u8]) -> Result<OwnedValue> {
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, vector.identity(), &verified)?;
    let mut parts = Vec::new();
    for ordinal in 0..segment.part_count() {
        let part = segment.part(ordinal)?;
        let mut streams = Vec::new();
        for stream in [Stream::Live, Stream::History] {
            let mut found = RowSet::with_columns(&part.columns);
            for number in 0..part.chunks(stream).len() {
                let chunk = segment.chunk(&part, stream, number)?;
                chunk.read(&part, 0..chunk.rows(), System::ALL, &mut found, &mut Scratch::default())?;
            }
            streams.push(rows(&found, stream));
        }
        let marks: Vec<OwnedValue> = part
            .marks
            .iter()
            .map(|mark| json!([mark.kind as u8, mark.start, mark.end, mark.version]))
            .collect();
        let history = streams.pop().expect("two streams");
        let live = streams.pop().expect("two streams");
        parts.push(json!({"series": part.summary.series, "live": live, "history": history, "marks": marks}));
    }
    let mut first = None;
    segment.verify(true, &mut |error| {
        first.get_or_insert(error);
    });
    first.map_or(Ok(json!({"parts": parts})), |error| Err(error.into()))
}

/// Floats as text.
fn texts(vector: &Vector, bytes: &[u8]) -> OwnedValue {
    let text: Vec<String> = if vector.number("type") == ColumnType::F64 as u64 {
        bytes
            .chunks(8)
            .map(|bits| float64(f64::from_le_bytes(bits.try_into().expect("eight bytes"))))
            .collect()
    } else {
        bytes
            .chunks(4)
            .map(|bits| float32(f32::from_le_bytes(bits.try_into().expect("four bytes"))))
            .collect()
    };
    json!(text)
}

/// A directory: opened, every series read at the newest version, then verified.
fn store(vector: &Vector) -> Result<OwnedValue> {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    for (name, hex) in vector.json.get_object("files").expect("files") {
        let file = storage.create_new(name).expect("an empty storage");
        file.write_at(0, &from_hex(hex.as_str().expect("hexadecimal"))).expect("room in memory");
    }
    let store = Store::open_read_only_on(storage.clone(), Options::default())?;
    let view = store.view();
    let mut series = Vec::new();
    for key in view.keys() {
        let found = view.read(&key).rows()?;
        let row = |row: usize| {
            let mut cells: Vec<OwnedValue> = vec![found.time()[row].into()];
            cells.extend(found.set.columns.iter().map(|(_, column)| cell(column, row)));
            OwnedValue::from(cells)
        };
        let rows: Vec<OwnedValue> = (0..found.time().len()).map(row).collect();
        series.push(json!({"instrument": key.instrument(), "frame": key.frame().to_string(), "rows": rows}));
    }
    let expected = json!({"newest": view.version(), "series": series});
    match verify_storage(&storage, true)?.into_iter().find(|finding| finding.damage) {
        Some(finding) => Err(Refusal { class: "corrupt", rule: finding.rule, detail: finding.detail }),
        None => Ok(expected),
    }
}
