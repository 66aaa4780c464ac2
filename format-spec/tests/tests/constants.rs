//! What no release may change: bytes of every record, written out. A failure here is a break of the format.

use format_spec_tests::example::commits_schema;
use tapestore_format::bytes::ByteReader;
use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind};
use tapestore_format::log::FrameWriter;
use tapestore_format::manifest::{
    Current, ManifestRecord, SegmentRecord, SeriesRecord, SnapshotRecord, StateRecord,
};
use tapestore_format::rows::{ColumnValues, Mark, MarkKind, RowSet, RunVec, Values};
use tapestore_format::schema::{Column, ColumnType, KeyPolicy, Schema};
use tapestore_format::segment::{Encoding, PartSummary};
use tapestore_format::time::{DAY_NS, Timeframe};
use tapestore_format::wal::{CommitKind, Effect, LogStart, TransactionRecord};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn transaction(effect: Effect) -> String {
    let record = TransactionRecord {
        version: 2,
        time: 3,
        kind: CommitKind::Write,
        message: "m".into(),
        added: 4,
        updated: 5,
        deleted: 6,
        effects: vec![effect],
    };
    let text = hex(&record.encode());
    let head = "02000000000000000300000000000000010100".to_owned() + "6d040506" + "01";
    text.strip_prefix(&head).expect("the head of a transaction").to_owned()
}

fn column(id: u16, kind: ColumnType) -> Column {
    Column { id, name: kind.name().into(), kind, nullable: id == 1, description: "d".into() }
}

#[test]
fn never_change_these_constants() {
    // Header.
    let store = [0x11; 16];
    let header = FileHeader::new(FileKind::Manifest, Identity { store, file: 5 });
    let expected = "9354415045 0d0a1a 03 01 00 00 00000000".replace(' ', "")
        + &"11".repeat(16)
        + "0500000000000000"
        + &"00".repeat(20);
    assert_eq!(hex(&header.encode()[..60]), expected);

    // Frames: a record of 8169 bytes takes two.
    let mut out = Vec::new();
    let mut frames = FrameWriter::new(Identity { store, file: 5 }, 64, 7);
    frames.push(9, &[0xab; 8169], 6, &mut out);
    assert_eq!(out.len(), 8192 + 32);
    assert_eq!(hex(&out[4..24]), "e81f 09 01 0700000000000000 0600000000000000".replace(' ', ""));
    assert_eq!(
        hex(&out[8196..]),
        "0100 09 02 0800000000000000 0600000000000000 ab00000000000000".replace(' ', "")
    );
    let crc = Identity { store, file: 5 }.crc(64, &out[4..8192]);
    assert_eq!(out[..4], crc.to_le_bytes());

    // Logs.
    let start = LogStart { previous_log: 1, previous_end: 2, version: 3 };
    assert_eq!(hex(&start.encode()), "010000000000000002000000000000000300000000000000");
    assert_eq!(transaction(Effect::Source { id: 7, name: "s".into() }), "01 0700 010073".replace(' ', ""));
    assert_eq!(transaction(Effect::Drop { series: 7 }), "0307000000");
    for (kind, id) in [(MarkKind::Delete, "01"), (MarkKind::Absent, "02"), (MarkKind::Expected, "03")] {
        let mark = Mark { kind, start: 1, end: 2, version: 2 };
        let expected = format!("0507000000{id}01000000000000000200000000000000");
        assert_eq!(transaction(Effect::Mark { series: 7, mark }), expected);
    }
    let schema = Schema {
        columns: vec![column(0, ColumnType::I64), column(1, ColumnType::String)],
        key: KeyPolicy::Sequence { dedup: vec![1] },
    };
    let schema_bytes = "02 01 0100 0200 0000 01 00 0300693634 010064 0100 06 01 0600737472696e67 010064";
    let schema_bytes = schema_bytes.replace(' ', "");
    let define =
        Effect::Define { series: 7, instrument: "I".into(), frame: "1m".into(), schema: schema.clone() };
    assert_eq!(transaction(define), format!("02070000000100490200316d{schema_bytes}"));
    let rows = RowSet {
        time: vec![1, 2],
        version: RunVec::constant(2, 2),
        source: RunVec::constant(3, 2),
        flags: [4, 5].into_iter().collect(),
        columns: vec![
            (0, ColumnValues { values: Values::I64(vec![-1, 0]), nulls: Some(vec![false, true]) }),
            (1, Values::F64(vec![1.0, -0.0]).into()),
            (2, Values::F32(vec![1.0, 2.0]).into()),
            (3, Values::U8(vec![8, 9]).into()),
            (65535, Values::Str(["", "x"].into_iter().collect()).into()),
        ],
        ..RowSet::default()
    };
    let expected = "04 07000000 02000000 0100000000000000 0200000000000000 01 02 0300 02 01 0400 01 0500 0500 \
        0000 01 00 01 01 ffffffffffffffff 0000000000000000 \
        0100 00 02 000000000000f03f 0000000000000080 \
        0200 00 03 0000803f 00000040 \
        0300 00 04 08 09 \
        ffff 00 05 00 01 78";
    assert_eq!(transaction(Effect::Rows { series: 7, rows }), expected.replace(' ', ""));

    // Manifest.
    let state = StateRecord { sealed_version: 1, first_log: 2, next_file: 3, floor: 4, step: 5 };
    let part = PartSummary {
        series: 300,
        part: 1,
        rows: 2,
        history_rows: 3,
        first_time: 4,
        last_time: 5,
        history_first_time: 6,
        history_last_time: 7,
        version_low: 8,
        version_high: 9,
        marks: 10,
        bytes: 11,
    };
    let longs = |numbers: &[u64]| {
        numbers.iter().map(|number| hex(&number.to_le_bytes())).collect::<Vec<_>>().concat()
    };
    let series = SeriesRecord {
        id: 7,
        instrument: "I".into(),
        frame: "1m".into(),
        definitions: vec![(1, Some(schema)), (2, None)],
    };
    let segment = SegmentRecord { id: 1, length: 2, hash: 3 | 4 << 64, level: 5, parts: vec![part] };
    let part = format!("ac0201 02{}03{}08090a0b", longs(&[4, 5]), longs(&[6, 7])).replace(' ', "");
    let (one, two) = (longs(&[1]), longs(&[2]));
    let records = [
        (1, ManifestRecord::State(state), longs(&[1, 2, 3, 4, 5])),
        (2, ManifestRecord::Source { id: 7, name: "s".into() }, "0700010073".into()),
        (3, ManifestRecord::Series(series), format!("070000000100490200316d02{one}01{schema_bytes}{two}00")),
        (4, ManifestRecord::AddSegment(segment), format!("{}0501{part}", longs(&[1, 2, 3, 4]))),
        (5, ManifestRecord::RemoveSegment(6), longs(&[6])),
        (
            6,
            ManifestRecord::Snapshot(SnapshotRecord { name: "n".into(), version: 1, created: 2 }),
            format!("01006e{one}{two}"),
        ),
        (7, ManifestRecord::DropSnapshot("n".into()), "01006e".into()),
    ];
    for (kind, record, expected) in records {
        assert_eq!((record.kind(), hex(&record.encode())), (kind, expected));
    }
    let current = Current { store, manifest: 1, length: 2, step: 3, created: 4 }.encode();
    let expected = format!("544150454355525201000000{}{}", "11".repeat(16), longs(&[1, 2, 3, 4]));
    assert_eq!(hex(&current[..60]), expected);

    // Time.
    for (frame, time) in
        [(Timeframe::S1, 1_000_000_000), (Timeframe::W1, 4 * DAY_NS), (Timeframe::Mo1, 31 * DAY_NS)]
    {
        assert_eq!((frame.slot(time), frame.slot(time - 1)), (1, 0));
    }

    // Encodings of columns.
    let encodings = [
        Encoding::Null,
        Encoding::Constant,
        Encoding::Raw,
        Encoding::Integers,
        Encoding::Decimal,
        Encoding::Group,
        Encoding::Split,
        Encoding::Dictionary,
        Encoding::Text,
    ];
    assert!(encodings.into_iter().zip(0u8..).all(|(encoding, id)| encoding as u8 == id));
}

#[test]
fn the_schema_of_commits_is_the_one_that_versions_md_states() {
    let mut bytes = Vec::new();
    commits_schema().encode(&mut bytes);
    let read = Schema::decode(&mut ByteReader::new(&bytes, "M3")).unwrap();
    let text = format_spec_tests::chapter("versions.md");
    let stated: Vec<(u16, String, String)> = format_spec_tests::tables(&text, &["column id", "name", "type"])
        .iter()
        .map(|row| (row[0].parse().unwrap(), row[1].trim_matches('`').to_owned(), row[2].clone()))
        .collect();
    let expected: Vec<_> = read
        .columns
        .iter()
        .map(|column| (column.id, column.name.clone(), column.kind.name().to_owned()))
        .collect();
    assert_eq!(stated, expected);
    assert_eq!(read.key, KeyPolicy::Sequence { dedup: Vec::new() });
}
