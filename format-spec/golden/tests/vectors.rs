//! The vectors of `format-spec/vectors`: what a generator made from the chapters is decoded by the production code.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use golden::frozen;
use simd_json::prelude::*;
use simd_json::{OwnedValue, json};
use tapestore_format::bytes::ByteReader;
use tapestore_format::checksum::Identity;
use tapestore_format::codec::int::{IntScratch, decode};
use tapestore_format::header::{FileHeader, FileKind};
use tapestore_format::log::{FrameReader, RecordAssembler};
use tapestore_format::manifest::{Current, ManifestRecord};
use tapestore_format::rows::{ColumnValues, RowSet, Values};
use tapestore_format::schema::{KeyPolicy, Schema};
use tapestore_format::segment::{Encoding, Scratch, Segment, Stream, System, Verified};
use tapestore_format::wal::{Effect, LogStart, TransactionRecord};
use tapestore_format::{ErrorKind, FormatError, Result};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

/// A vector, and access to its fields.
struct Vector {
    name: String,
    json: OwnedValue,
}

impl Vector {
    fn text(&self, field: &str) -> &str {
        self.json.get_str(field).unwrap_or_else(|| panic!("{} has no {field}", self.name))
    }

    fn number(&self, field: &str) -> u64 {
        self.json.get_u64(field).unwrap_or_else(|| panic!("{} has no {field}", self.name))
    }

    fn bytes(&self) -> Vec<u8> {
        from_hex(self.text("hex"))
    }

    fn identity(&self) -> Identity {
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

fn vectors(kind: &str) -> Vec<Vector> {
    let files = frozen::files(&directory().join(kind)).expect("vectors");
    let parse = |(name, mut bytes): (String, Vec<u8>)| {
        let json = simd_json::to_owned_value(&mut bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        Vector { name, json }
    };
    files.into_iter().map(parse).collect()
}

/// A value with its fields in order and its numbers by value, for comparison.
fn show(value: &OwnedValue) -> String {
    if let Some(object) = value.as_object() {
        let mut fields: Vec<String> =
            object.iter().map(|(name, value)| format!("{name}: {}", show(value))).collect();
        fields.sort();
        return format!("{{{}}}", fields.join(", "));
    }
    match value.as_array() {
        Some(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        None => value.as_i128().map_or_else(|| value.encode(), |number| number.to_string()),
    }
}

/// What a vector decodes to, in the form in which vectors state it.
fn decoded(vector: &Vector) -> Result<OwnedValue> {
    let bytes = vector.bytes();
    match vector.text("structure") {
        "integers" => integers(&bytes, vector.number("count") as usize),
        "header" => {
            let kind = FileKind::from_id(vector.number("kind") as u8).expect("a known kind");
            FileHeader::check(&bytes, kind, &vector.identity()).map(|_| OwnedValue::null())
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
        "manifest" => {
            ManifestRecord::decode(vector.number("kind") as u8, &bytes).map(|found| manifest(&found))
        }
        "transaction" => TransactionRecord::decode(&bytes).map(|found| transaction(&found)),
        "segment" => segment(vector, &bytes),
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
    first.map_or(Ok(json!({"parts": parts})), Err)
}

fn class(error: &FormatError) -> &'static str {
    match error.kind {
        ErrorKind::Foreign => "foreign",
        ErrorKind::Newer => "newer",
        ErrorKind::Corrupt => "corrupt",
        _ => "limit",
    }
}

#[test]
fn valid_vectors_decode_to_their_values() {
    let mut wrong = Vec::new();
    for vector in vectors("valid") {
        let expected = ["values", "records", "expected"].into_iter().find_map(|field| vector.json.get(field));
        match (decoded(&vector), expected) {
            (Err(error), _) => wrong.push(format!("{}: {error}", vector.name)),
            (Ok(found), Some(expected)) if show(&found) != show(expected) => {
                let (mut found, mut expected) = (show(&found), show(expected));
                found.truncate(300);
                expected.truncate(300);
                wrong.push(format!("{}:\n  found    {found}\n  expected {expected}", vector.name));
            }
            (Ok(_), None) => {
                assert_eq!(vector.text("structure"), "header", "{} expects nothing", vector.name);
            }
            (Ok(_), Some(_)) => {}
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn invalid_vectors_are_refused_with_their_rule() {
    let mut wrong = Vec::new();
    for vector in vectors("invalid") {
        let error = vector.json.get("error").expect("an error");
        let expected = (error.get_str("class").expect("a class"), error.get_str("rule").expect("a rule"));
        match decoded(&vector) {
            Ok(found) => wrong.push(format!("{}: decodes to {:.200}", vector.name, show(&found))),
            Err(found) => {
                let others = error.get_array("also").map_or(&[][..], |rules| rules);
                let rule = found.rule == expected.1 || others.iter().any(|rule| *rule == found.rule);
                if class(&found) != expected.0 || !rule {
                    wrong.push(format!("{}: {found}, expected {expected:?}", vector.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn vectors_never_change() {
    let listed = fs::read_to_string(directory().join(frozen::HASHES)).expect("the list of hashes");
    let mut found = String::new();
    for kind in ["invalid", "valid"] {
        for line in frozen::hashes(&directory().join(kind)).expect("vectors").lines() {
            let (hash, name) = line.split_once("  ").expect("a hash and a name");
            let _ = writeln!(found, "{hash}  {kind}/{name}");
        }
    }
    if std::env::var_os("TAPE_BLESS").is_some() {
        fs::write(directory().join(frozen::HASHES), &found).expect("a writable list");
        return;
    }
    assert!(found == listed, "vectors are frozen: a change needs a page in format-spec/decisions");
}

#[test]
fn every_encoding_packing_and_width_occurs() {
    let (mut packings, mut widths, mut encodings) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut lows, mut transforms) = (BTreeSet::new(), BTreeSet::new());
    for vector in vectors("valid") {
        let bytes = vector.bytes();
        match vector.text("structure") {
            "integers" => {
                packings.insert(bytes[0] & 7);
                transforms.insert(bytes[0] >> 3 & 3);
                // Forms without parameters before the base, whose base takes one byte.
                match bytes[0] & 0x7f {
                    1 => widths.extend([bytes[2]]),
                    2 => lows.extend([bytes[2]]),
                    _ => {}
                }
            }
            "segment" => {
                let verified = Verified::new(bytes.len() as u64);
                let segment = Segment::open(&bytes, vector.identity(), &verified).expect("valid");
                for ordinal in 0..segment.part_count() {
                    let part = segment.part(ordinal).expect("valid");
                    for number in 0..part.chunks(Stream::Live).len() {
                        let chunk = segment.chunk(&part, Stream::Live, number).expect("valid");
                        encodings.extend(chunk.columns().map(|column| column.encoding as u8));
                    }
                }
            }
            _ => {}
        }
    }
    assert!(packings.into_iter().eq(0..8), "packings");
    assert!(transforms.is_superset(&[0, 1].into()), "transforms");
    assert!(widths.into_iter().eq(0..=64), "widths of packed numbers");
    assert!(lows.into_iter().eq(0..64), "low widths of patched numbers");
    assert!(encodings.into_iter().eq(0..=Encoding::Text as u8), "encodings");
}
