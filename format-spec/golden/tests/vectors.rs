//! The vectors of `format-spec/vectors`: what a generator made from the chapters is decoded by the production code.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use golden::frozen;
use golden::vectors::{Vector, decoded};
use simd_json::OwnedValue;
use simd_json::prelude::*;
use tapestore_format::segment::{Encoding, Segment, Stream, Verified};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

fn vectors(kind: &str) -> Vec<Vector> {
    let files = frozen::files(&directory().join(kind)).expect("vectors");
    files.into_iter().map(|(name, bytes)| Vector::parse(&name, bytes).expect("a vector")).collect()
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

#[test]
fn valid_vectors_decode_to_their_values() {
    let mut wrong = Vec::new();
    for vector in vectors("valid") {
        let expected = ["values", "records", "expected"].into_iter().find_map(|field| vector.json.get(field));
        match (decoded(&vector), expected) {
            (Err(error), _) => wrong.push(format!("{}: {error:?}", vector.name)),
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
                let rule = found.rule == expected.1 || others.iter().any(|rule| *rule == found.rule.as_str());
                if found.class != expected.0 || !rule {
                    wrong.push(format!("{}: {found:?}, expected {expected:?}", vector.name));
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
    let (mut lows, mut transforms, mut headers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for vector in vectors("valid") {
        let bytes = if vector.json.contains_key("hex") { vector.bytes() } else { continue };
        match vector.text("structure") {
            "integers" => {
                headers.insert(bytes[0] & 0x1f);
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
    // That of the group is met in segments only.
    assert!(transforms.into_iter().eq([0, 1, 3]), "transforms");
    let header = |packing: u8, transform: u8| packing | transform << 3;
    let missing: Vec<_> = (0..8).filter(|packing| !headers.contains(&header(*packing, 3))).collect();
    assert!(missing.is_empty(), "transform alternate without packings {missing:?}");
    assert!(widths.into_iter().eq(0..=64), "widths of packed numbers");
    assert!(lows.into_iter().eq(0..64), "low widths of patched numbers");
    assert!(encodings.into_iter().eq(0..=Encoding::Text as u8), "encodings");
}
