//! What logs and manifests are made of: frames, and the records in them.

use tapestore_format::bytes::ByteReader;
use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::{FRAME_HEADER_BYTES, FrameReader, FrameWriter, RecordAssembler};
use tapestore_format::manifest::{Current, ManifestRecord};
use tapestore_format::schema::Schema;
use tapestore_format::wal::{LogStart, TransactionRecord};

use crate::corpus::{stores, vectors};
use crate::{Outcome, Target, mend};

/// Whose frames they are: the identity of the vectors.
const SOME: Identity = Identity { store: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], file: 3 };
/// Where they stand in their file.
const BASE: u64 = HEADER_BYTES as u64;

/// Frames of a log.
pub(super) const FRAMES: Target = Target {
    name: "frames",
    smoke: 900_000,
    longest: 3000,
    fixed: false,
    // The records twice, each growing by doubling, and the frames that they are written to again.
    bound: |length| 12 * length + (64 << 10),
    seeds: || {
        let mut seeds: Vec<Vec<u8>> = vectors("frames").into_iter().map(|one| one.bytes).collect();
        for (name, bytes) in stores(20_000).into_iter().flatten() {
            if name.starts_with("wal-") || name.starts_with("manifest-") {
                seeds.push(bytes[HEADER_BYTES.min(bytes.len())..].to_vec());
            }
        }
        seeds.retain(|seed| seed.len() <= 3000);
        seeds
    },
    mend: |bytes| mend::frames(bytes, BASE, &SOME),
    check: frames,
};

type Records = Vec<(u8, Vec<u8>)>;

/// Records up to the first thing that is wrong, and the number of frames.
fn records(bytes: &[u8]) -> (Records, usize, Option<&'static str>) {
    let mut reader = FrameReader::new(bytes, BASE, SOME, None);
    let mut assembler = RecordAssembler::default();
    let (mut out, mut count) = (Vec::new(), 0);
    loop {
        let before = reader.offset();
        match reader.next_frame() {
            Ok(None) => return (out, count, None),
            Err(error) => {
                assert_eq!(reader.offset(), before, "after an error the reader stays where it is");
                let later = reader.find_later(|_| true);
                if let Some(later) = later {
                    assert!(later.offset >= before && later.end() <= BASE + bytes.len() as u64);
                }
                return (out, count, Some(error.rule));
            }
            Ok(Some(frame)) => {
                count += 1;
                assert_eq!(
                    (frame.offset, frame.end()),
                    (before, reader.offset()),
                    "frames follow one another"
                );
                match assembler.push(&frame) {
                    Ok(Some((kind, record))) => out.push((kind, record.to_vec())),
                    Ok(None) => {}
                    Err(error) => return (out, count, Some(error.rule)),
                }
            }
        }
    }
}

fn frames(input: &[u8]) -> Outcome {
    let (found, count, broken) = records(input);
    assert!(count <= input.len() / FRAME_HEADER_BYTES, "every frame takes its bytes");
    let mut writer = FrameWriter::new(SOME, BASE, 7);
    let mut again = Vec::new();
    for (kind, record) in &found {
        writer.push(*kind, record, 3, &mut again);
    }
    assert_eq!(writer.offset(), BASE + again.len() as u64);
    let (back, _, wrong) = records(&again);
    assert_eq!(wrong, None, "what is written is read");
    assert_eq!(back, found, "and is the same");
    let sizes = found.len().min(9) as u64 * 10 + count.min(9) as u64;
    match broken {
        None => Outcome::Accepted(sizes),
        Some(rule) => Outcome::Refused(rule, sizes),
    }
}

/// Transactions, and the start of a log: the bytes of the record.
pub(super) const TRANSACTION: Target = Target {
    name: "transaction",
    smoke: 1_300_000,
    longest: 2000,
    fixed: false,
    // An effect of five bytes takes a slot of a vector that grows by doubling; and the slots of 1025 columns.
    bound: |length| 300 * length + (160 << 10),
    seeds: || {
        let records = vectors("transaction").into_iter().chain(vectors("start"));
        records.map(|one| one.bytes).filter(|bytes| bytes.len() <= 2000).collect()
    },
    mend: |_| Vec::new(),
    check: transaction,
};

fn transaction(input: &[u8]) -> Outcome {
    if let Ok(start) = LogStart::decode(input) {
        assert_eq!(start.encode(), input, "a start has one form");
    }
    let found = match TransactionRecord::decode(input) {
        Ok(found) => found,
        Err(error) => return Outcome::Refused(error.rule, error.offset.min(40)),
    };
    // Compared as bytes: NaN is not equal to itself.
    let again = found.encode();
    assert!(again.len() <= input.len(), "what is written is the shortest form");
    let back = TransactionRecord::decode(&again).expect("what is written is read");
    assert_eq!(back.encode(), again, "and is the same");
    let kinds = found.effects.iter().fold(0, |kinds, effect| kinds | 1 << discriminant(effect));
    Outcome::Accepted(kinds)
}

fn discriminant(effect: &tapestore_format::wal::Effect) -> u32 {
    use tapestore_format::wal::Effect::{Define, Drop, Mark, Rows, Source};
    match effect {
        Source { .. } => 0,
        Define { .. } => 1,
        Drop { .. } => 2,
        Rows { rows, .. } => 3 + rows.columns.len().min(5) as u32,
        Mark { .. } => 10,
    }
}

/// Records of the manifest: a byte with the kind, then the record.
pub(super) const MANIFEST: Target = Target {
    name: "manifest",
    smoke: 1_300_000,
    longest: 1500,
    fixed: false,
    bound: |length| 100 * length + (64 << 10),
    seeds: || {
        let seed = |kind: u64, bytes: &[u8]| [&[kind as u8][..], bytes].concat();
        let mut seeds: Vec<_> = vectors("manifest").iter().map(|one| seed(one.context, &one.bytes)).collect();
        for (name, file) in stores(20_000).into_iter().flatten() {
            if name.starts_with("manifest-") && file.len() > HEADER_BYTES {
                let identity = mend::identity(&file);
                let mut reader = FrameReader::new(&file[HEADER_BYTES..], BASE, identity, None);
                while let Ok(Some(frame)) = reader.next_frame() {
                    seeds.push(seed(u64::from(frame.kind), frame.payload));
                }
            }
        }
        seeds.sort();
        seeds.dedup();
        seeds.retain(|seed| seed.len() <= 1500);
        seeds
    },
    mend: |_| Vec::new(),
    check: |input| {
        let Some((kind, bytes)) = input.split_first() else { return Outcome::Refused("", 0) };
        let found = match ManifestRecord::decode(*kind, bytes) {
            Ok(found) => found,
            Err(error) => return Outcome::Refused(error.rule, u64::from(*kind) << 16 | error.offset.min(60)),
        };
        let again = found.encode();
        assert!(again.len() <= bytes.len(), "what is written is the shortest form");
        assert_eq!(found.kind(), *kind);
        assert_eq!(ManifestRecord::decode(*kind, &again).as_ref(), Ok(&found), "what is written is read");
        Outcome::Accepted(u64::from(*kind))
    },
};

/// What files begin with, `CURRENT`, and schemas: a byte that says which, then the bytes.
pub(super) const HEADS: Target = Target {
    name: "heads",
    smoke: 1_300_000,
    longest: 600,
    fixed: false,
    bound: |length| 100 * length + (64 << 10),
    seeds: || {
        let seed = |which: u8, bytes: &[u8]| [&[which][..], bytes].concat();
        let mut seeds = Vec::new();
        seeds.extend(vectors("header").iter().map(|one| seed(one.context as u8 & 3, &one.bytes)));
        seeds.extend(vectors("current").iter().map(|one| seed(4, &one.bytes)));
        seeds.extend(vectors("schema").iter().map(|one| seed(5, &one.bytes)));
        seeds.retain(|seed| seed.len() <= 600);
        seeds
    },
    mend: |bytes| {
        if bytes.len() > 64 && bytes[0] < 5 {
            mend::head(&mut bytes[1..]);
        }
        Vec::new()
    },
    check: heads,
};

fn heads(input: &[u8]) -> Outcome {
    let Some((which, bytes)) = input.split_first() else { return Outcome::Refused("", 0) };
    let refused = |error: tapestore_format::FormatError| {
        Outcome::Refused(error.rule, u64::from(*which) << 16 | error.offset.min(100))
    };
    match which {
        0..4 => {
            let kind = FileKind::from_id(*which).unwrap_or(FileKind::Wal);
            let found = match FileHeader::decode(bytes, kind) {
                Ok(found) => found,
                Err(error) => return refused(error),
            };
            // The minor version is information, and is not kept.
            let mut again = found.encode();
            again[10] = bytes[10];
            mend::head(&mut again);
            assert_eq!(again, bytes[..HEADER_BYTES], "a header has one form");
            assert_eq!(FileHeader::check(bytes, kind, &found.identity), Ok(found));
        }
        4 => match Current::decode(bytes) {
            Ok(found) => {
                let mut again = found.encode();
                again[8..12].copy_from_slice(&bytes[8..12]);
                mend::head(&mut again);
                assert_eq!(again, bytes, "CURRENT has one form");
            }
            Err(error) => return refused(error),
        },
        _ => {
            let mut reader = ByteReader::new(bytes, "A1");
            let found = match Schema::decode(&mut reader) {
                Ok(found) => found,
                Err(error) => return refused(error),
            };
            let mut again = Vec::new();
            found.encode(&mut again);
            assert_eq!(again, bytes[..reader.position()], "a schema has one form");
            assert_eq!(found.problem(), None, "a schema that is read can be used");
        }
    }
    Outcome::Accepted(u64::from(*which))
}
