//! Numbers in the chapters are those of the code.

use std::fs;

use format_spec_tests::{chapter, root, section, tables};
use tapestore_format::checksum::Identity;
use tapestore_format::codec::bins::{BINS, LOG_MAX, LOG_MIN, MODEL_BYTES, PLACES_MAX};
use tapestore_format::codec::int::{Transform, packing_of};
use tapestore_format::codec::lanes;
use tapestore_format::header::{
    FileHeader, FileKind, HEADER_BYTES, KNOWN_REQUIRED, MAGIC, MAJOR, MINOR, features,
};
use tapestore_format::log::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES};
use tapestore_format::manifest::CURRENT_BYTES;
use tapestore_format::rows::{MarkKind, ORDINAL, flags};
use tapestore_format::schema::ColumnType;
use tapestore_format::time::Timeframe;
use tapestore_format::wal::{CommitKind, KIND_START, KIND_TRANSACTION};
use tapestore_format::{limits, time};

fn number(text: &str) -> i128 {
    text.trim_matches('`').parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn constants() -> Vec<(&'static str, i128)> {
    macro_rules! all {
        ($($name:ident),*) => { vec![$((stringify!($name), i128::from(limits::$name as i64))),*] };
    }
    let mut all = all![
        BLOCK_ROWS,
        CHUNK_BLOCKS,
        CHUNK_ROWS,
        CHECKED_BYTES,
        ALIGNMENT,
        INSTRUMENT_BYTES,
        NAME_BYTES,
        DESCRIPTION_BYTES,
        NOTE_BYTES,
        RECORD_BYTES,
        COLUMNS,
        PART_COLUMNS,
        DEDUP_COLUMNS,
        STRING_BYTES,
        SERIES,
        PART_ROWS,
        SEGMENT_BYTES,
        TIME_MIN,
        TIME_MAX
    ];
    all.extend([
        ("HEADER_BYTES", HEADER_BYTES as i128),
        ("FRAME_HEADER_BYTES", FRAME_HEADER_BYTES as i128),
        ("FRAME_PAYLOAD_BYTES", FRAME_PAYLOAD_BYTES as i128),
        ("FRAME_ALIGNMENT", FRAME_ALIGNMENT as i128),
        ("CURRENT_BYTES", CURRENT_BYTES as i128),
        ("ORDINAL", i128::from(ORDINAL)),
    ]);
    all
}

#[test]
fn limits_are_those_of_the_code() {
    let stated: Vec<(String, i128)> = tables(&chapter("limits.md"), &["name", "value"])
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), number(&row[1])))
        .collect();
    let expected: Vec<_> = constants().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(stated, expected);
    let source =
        fs::read_to_string(root().join("engine/format/src/limits.rs")).expect("the limits are there");
    for name in source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()) {
        assert!(stated.iter().any(|known| known.0 == name), "{name} is missing in limits.md");
    }
}

#[test]
fn timeframes_are_those_of_the_code() {
    let rows = tables(&chapter("time.md"), &["id", "name", "step in nanoseconds"]);
    assert_eq!(rows.len(), Timeframe::ALL.len());
    for (row, timeframe) in rows.iter().zip(Timeframe::ALL) {
        assert_eq!(number(&row[0]), timeframe as i128);
        assert_eq!(row[1].trim_matches('`'), timeframe.name());
        if let Some(step) = timeframe.step_ns() {
            assert_eq!(number(&row[2]), i128::from(step));
            assert_eq!(number(&row[3]), i128::from(timeframe.slot_start(0)));
        }
    }
    assert_eq!(Timeframe::Mo1.slot(19_723 * time::DAY_NS), 648);
    assert_eq!(Timeframe::Mo1.slot_start(650), 19_783 * time::DAY_NS);
    assert_eq!(Timeframe::Mo1.slot_start(648), 19_723 * time::DAY_NS);
}

#[test]
fn types_and_flags_are_those_of_the_code() {
    let schema = chapter("schema.md");
    let rows = tables(section(&schema, "### Types"), &["id", "type"]);
    let stated: Vec<_> = rows.iter().map(|row| (number(&row[0]), row[1].clone())).collect();
    let expected: Vec<_> = ColumnType::ALL.map(|kind| (kind as i128, kind.name().to_owned())).to_vec();
    assert_eq!(stated, expected);
    let rows = tables(&schema, &["bit", "name"]);
    let stated: Vec<_> = rows.iter().map(|row| (number(&row[0]), row[1].as_str())).collect();
    let expected = [
        (flags::REPAIRED, "repaired"),
        (flags::SYNTHETIC, "synthetic"),
        (flags::REBUILT, "rebuilt"),
        (flags::CROSS, "cross"),
        (flags::OUTLIER_SOFT, "outlier_soft"),
        (flags::OUTLIER_HARD, "outlier_hard"),
        (flags::STALE, "stale"),
        (flags::PARTIAL, "partial"),
    ];
    assert_eq!(stated, expected.map(|(bit, name)| (i128::from(bit), name)));
}

#[test]
fn forms_of_integer_blocks_are_those_of_the_code() {
    let codecs = chapter("codecs.md");
    let ids = |header: &[&str]| -> Vec<(i128, String)> {
        tables(&codecs, header).iter().map(|row| (number(&row[0]), row[1].clone())).collect()
    };
    let packings: Vec<_> = (0..8u8).map(|id| (i128::from(id), packing_of(id).name().to_owned())).collect();
    assert_eq!(ids(&["id", "packing"]), packings);
    let transforms = [Transform::Plain, Transform::Delta, Transform::Group, Transform::Alternate];
    let transforms: Vec<_> =
        transforms.iter().map(|found| (*found as i128, format!("{found:?}").to_lowercase())).collect();
    assert_eq!(ids(&["id", "transform"]), transforms);
}

#[test]
fn ids_of_logs_are_those_of_the_code() {
    let wal = chapter("wal.md");
    let ids = |header: &[&str]| -> Vec<(i128, String)> {
        tables(&wal, header).iter().map(|row| (number(&row[0]), row[1].clone())).collect()
    };
    let kinds = ids(&["kind", "record"]);
    assert_eq!(kinds[0].0, i128::from(KIND_START));
    assert_eq!(kinds[1].0, i128::from(KIND_TRANSACTION));
    let marks = ids(&["id", "mark"]);
    let expected =
        [(MarkKind::Delete, "delete"), (MarkKind::Absent, "absent"), (MarkKind::Expected, "expected")];
    assert_eq!(marks, expected.map(|(kind, name)| (kind as i128, name.to_owned())));
    let names = |rows: Vec<(i128, String)>| rows.into_iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(names(ids(&["id", "effect"])), ["source", "define", "drop", "rows", "mark"]);
    assert_eq!(names(ids(&["id", "physical type"])), ["i64", "f64", "f32", "u8", "string"]);
    assert!(wal.contains("| kind | u8 | 1 write, 2 rollback |"));
    assert_eq!((CommitKind::Write as u8, CommitKind::Rollback as u8), (1, 2));
}

#[test]
fn the_header_is_that_of_the_code() {
    let segment = chapter("segment.md");
    let magic: Vec<String> = MAGIC.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(segment.contains(&format!("| 0 | 8 | bytes | magic `{}` |", magic.join(" "))));
    assert!(segment.contains(&format!("| 9 | 1 | u8 | major version, {MAJOR} |")));
    let kinds = [FileKind::Segment, FileKind::Wal, FileKind::Manifest];
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("{} {}", *kind as u8, kind.name())).collect();
    assert!(segment.contains(&format!("| 8 | 1 | u8 | file kind: {} |", kinds.join(", "))));
    let readme = chapter("README.md");
    assert!(readme.contains(&format!("The minor version is {MINOR}.")));
    assert_eq!(
        KNOWN_REQUIRED,
        (0..7).filter(|bit| *bit != 2).map(|bit| 1 << bit).sum::<u32>(),
        "README.md says which are defined"
    );
    let stated = "required feature bits: 1 a segment in which columns may have models, 2 one in which";
    assert!(segment.contains(stated), "{stated}");
    let stated =
        "*alternate*, 8 one in which decimals may have factors, 16 one in which models may be in lanes";
    assert!(segment.contains(stated));
    let stated =
        "16 one in which models may be in lanes, 32 one in which decimals of groups may have further digits";
    assert!(segment.contains(stated));
    let stated = "32 one in which decimals of groups may have further digits, 64 one in which groups may be adjusted singles";
    assert!(segment.contains(stated));
    let bits = [features::CODED, features::ALTERNATE, features::FACTORS, features::LANES];
    assert_eq!(bits, [1, 2, 8, 16]);
    assert_eq!([features::DIGITS, features::SINGLES], [32, 64]);
    let codecs = chapter("codecs.md");
    for sentence in [
        format!("| log | u8 | {LOG_MIN} to {LOG_MAX}: "),
        format!("| bins | varint | 1 to {BINS} |"),
        format!("places | u8 | 0 to {PLACES_MAX} |"),
        "A model of one lane has 1 to 15,363 bytes".to_owned(),
        format!("| log | u8 | 128 + {} to 128 + {}: ", lanes::LOG_MIN, lanes::LOG_MAX),
        format!("is at most {},{:03} |", lanes::SLOTS / 1000, lanes::SLOTS % 1000),
        "It has at most 65,536 bytes".to_owned(),
    ] {
        assert!(codecs.contains(&sentence), "{sentence}");
    }
    assert_eq!((MODEL_BYTES, lanes::MODEL_BYTES), (15_363, 65_536));
    let header = FileHeader::new(FileKind::Wal, Identity { store: [7; 16], file: 9 }).encode();
    assert_eq!((header[8], header[16], header[32]), (2, 7, 9));
}

#[test]
fn frames_are_those_of_the_code() {
    let log = chapter("log.md");
    assert!(log.contains(&format!("| {FRAME_HEADER_BYTES} | n | bytes | payload")));
    assert!(log.contains(&format!("| 1 to {FRAME_PAYLOAD_BYTES} (L2) |")));
    assert!(log.contains(&format!("padding to a multiple of {FRAME_ALIGNMENT};")));
}

/// Byte tables leave no byte out: each field begins where the one before ends.
#[test]
fn byte_tables_have_no_holes() {
    let mut count = 0;
    for name in ["store.md", "log.md", "manifest.md", "wal.md", "segment.md"] {
        let mut expected: Option<u64> = None;
        for row in tables(&chapter(name), &["offset", "size", "type"]) {
            let Ok(offset) = row[0].parse::<u64>() else { continue };
            if offset != 0 {
                assert_eq!(Some(offset), expected, "{name}: {row:?}");
            }
            expected = row[1].parse::<u64>().ok().map(|size| offset + size);
            count += 1;
        }
    }
    assert!(count > 40, "{count} fields found");
}

#[test]
fn the_checksum_example_is_right() {
    let text = chapter("checksum.md");
    let mut store = [0; 16];
    store.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value);
    let identity = Identity { store, file: 3 };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("prefix    {}", hex(&identity.prefix()))));
    let crc = identity.crc(64, b"abc");
    assert!(text.contains(&format!("`0x{crc:08X}`, stored as `{}`", hex(&crc.to_le_bytes()))));
}

/// The bits of a table, added up.
fn bits(header: &str) -> u32 {
    let rows = tables(&chapter("README.md"), &[header, "name", "since"]);
    assert!(!rows.is_empty(), "a table of {header}");
    let bit = |row: &Vec<String>| if row[0] == "none" { 0 } else { 1 << number(&row[0]) };
    rows.iter().map(bit).fold(0, |all: u32, bit: u32| {
        assert_eq!(all & bit, 0, "no {header} twice");
        all | bit
    })
}

#[test]
fn feature_bits_are_those_of_the_code() {
    assert_eq!(bits("required bit"), KNOWN_REQUIRED);
    assert_eq!(bits("optional bit"), 0, "no optional bit is written");
    let header = FileHeader::new(FileKind::Segment, Identity { store: [7; 16], file: 9 }).encode();
    assert_eq!(header[56..60], [0; 4]);
}

/// The promise, and what it is shown by: each major version has golden stores.
#[test]
fn every_version_is_read_for_ever() {
    assert!(
        chapter("README.md").contains("- **Read for ever**: each release of Tapestore reads every store")
    );
    for major in 1..=MAJOR {
        let stores = root().join(format!("format-spec/golden/v{major}"));
        let count =
            fs::read_dir(&stores).unwrap_or_else(|error| panic!("{}: {error}", stores.display())).count();
        assert!(count > 20, "version {major} has {count} golden stores");
    }
}

#[test]
fn the_hashes_in_the_chapter_are_right() {
    let rows = tables(&chapter("checksum.md"), &["bytes", "XXH3-128"]);
    assert!(rows.len() > 5);
    for row in rows {
        let bytes: Vec<u8> = (0..number(&row[0])).map(|index| (index % 251) as u8).collect();
        assert_eq!(row[1], format!("`{:032x}`", xxhash_rust::xxh3::xxh3_128(&bytes)), "{} bytes", row[0]);
    }
}
