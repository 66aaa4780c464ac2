//! Stores with something left over, cut off, missing or damaged, made of whole ones.

use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::{FrameReader, FrameWriter};
use tapestore_format::manifest::Current;
use tapestore_format::wal::{KIND_START, LogStart};

/// Files by name.
pub type StoreFiles = Vec<(String, Vec<u8>)>;

/// What is changed.
pub type Change = fn(&mut StoreFiles);

/// Name, the store that it is made of, what it shows, the change.
pub const CHANGED: [(&str, &str, &str, Change); 21] = [
    ("torn-cut", "logs", "the newest log ends in the middle of a record", torn_cut),
    ("torn-zeros", "logs", "the newest log ends in zeros", torn_zeros),
    (
        "torn-garbage",
        "logs",
        "the last record of the newest log is damaged, nothing calls it durable",
        torn_garbage,
    ),
    ("stillborn", "logs", "a log whose header is cut short", stillborn),
    ("stillborn-empty", "compacted", "an empty log", stillborn_empty),
    ("another-chain", "logs", "logs of another chain, and one of the store's behind them", another_chain),
    ("another-chain-beheaded", "logs", "a log that follows one of another chain, which is missing", beheaded),
    ("leftovers", "versions", "files and bytes that do not count", leftovers),
    ("damaged-current", "compacted", "CURRENT with a flipped bit", damaged_current),
    ("newer-current", "compacted", "CURRENT of format 2", newer_current),
    ("short-current", "compacted", "CURRENT with 63 bytes", short_current),
    ("long-current", "compacted", "CURRENT with 65 bytes", |files| bytes(files, "CURRENT").push(0)),
    ("missing-manifest", "compacted", "the manifest is missing", missing_manifest),
    ("damaged-manifest", "compacted", "the manifest with a flipped bit", damaged_manifest),
    ("foreign-manifest", "compacted", "a manifest of another store", foreign_manifest),
    ("missing-log", "logs", "a log in the middle of the chain is missing", missing_log),
    ("missing-segment", "versions", "a segment is missing", missing_segment),
    ("short-segment", "versions", "a segment with a byte too few", short_segment),
    ("damaged-log", "logs", "a bit flipped in a log that has a successor", damaged_log),
    ("damaged-durable", "logs", "a bit flipped in a frame that a later one calls durable", damaged_durable),
    ("damaged-block", "bars", "a bit flipped in a block of one series", damaged_block),
];

fn numbered(files: &StoreFiles, prefix: &str) -> Vec<String> {
    files.iter().map(|file| file.0.clone()).filter(|name| name.starts_with(prefix)).collect()
}

fn bytes<'a>(files: &'a mut StoreFiles, name: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|file| file.0 == name).expect("a file of that name").1
}

fn last<'a>(files: &'a mut StoreFiles, prefix: &str) -> &'a mut Vec<u8> {
    let name = numbered(files, prefix).pop().expect("a file");
    bytes(files, &name)
}

fn torn_cut(files: &mut StoreFiles) {
    let log = last(files, "wal-");
    log.truncate(log.len() - 4000);
}

fn torn_zeros(files: &mut StoreFiles) {
    let log = last(files, "wal-");
    log.resize(log.len() + 1000, 0);
}

fn torn_garbage(files: &mut StoreFiles) {
    let log = last(files, "wal-");
    let at = log.len() - 50;
    log[at] ^= 1;
}

fn stillborn(files: &mut StoreFiles) {
    let header = last(files, "wal-")[..40].to_vec();
    files.push(("wal-000000009999.tape".into(), header));
}

fn stillborn_empty(files: &mut StoreFiles) {
    files.push(("wal-000000009999.tape".into(), Vec::new()));
}

/// An empty log that follows another one.
fn empty_log(files: &mut StoreFiles, id: u64, previous_log: u64, previous_end: u64, sequence: u64) {
    let store = Current::decode(bytes(files, "CURRENT")).expect("a whole one").store;
    let identity = Identity { store, file: id };
    let mut log = FileHeader::new(FileKind::Wal, identity).encode().to_vec();
    let start = LogStart { previous_log, previous_end, version: 0 };
    FrameWriter::new(identity, HEADER_BYTES as u64, sequence).push(
        KIND_START,
        &start.encode(),
        sequence - 1,
        &mut log,
    );
    files.push((format!("wal-{id:012}.tape"), log));
}

/// What a repeated backup leaves that was cut off, and a log that a writer of the earlier backup began behind it.
fn another_chain(files: &mut StoreFiles) {
    let name = numbered(files, "wal-").pop().expect("a log");
    let id = name["wal-".len()..name.len() - ".tape".len()].parse().expect("digits");
    let log = bytes(files, &name);
    let identity = Identity { store: log[16..32].try_into().expect("16 bytes"), file: id };
    let mut frames = FrameReader::new(&log[HEADER_BYTES..], HEADER_BYTES as u64, identity, None);
    while frames.next_frame().expect("a whole log").is_some() {}
    let (end, sequence) = (log.len() as u64, frames.next_sequence().expect("a frame"));
    empty_log(files, 9000, 0, 0, 700);
    empty_log(files, 9001, 9000, 112, 701);
    empty_log(files, 9002, id, end, sequence);
}

fn beheaded(files: &mut StoreFiles) {
    another_chain(files);
    files.retain(|file| file.0 != "wal-000000009000.tape");
}

fn leftovers(files: &mut StoreFiles) {
    let stray = last(files, "segment-").clone();
    last(files, "manifest-").extend_from_slice(b"half a step");
    files.push(("current.new".into(), b"TAPECURR".to_vec()));
    files.push(("segment-000000008888.tape".into(), stray[..500].to_vec()));
    files.push(("manifest-000000009999.tape".into(), b"nothing".to_vec()));
    files.push(("wal-000000000000.tape".into(), b"older than the first that counts".to_vec()));
    files.push(("notes.txt".into(), b"not the store's".to_vec()));
    files.retain(|file| file.0 != "visible");
}

fn damaged_current(files: &mut StoreFiles) {
    bytes(files, "CURRENT")[37] ^= 4;
}

fn newer_current(files: &mut StoreFiles) {
    let current = bytes(files, "CURRENT");
    current[8] = 2;
    // The checksum keeps its place in every later format. CRC-32 over a changed byte: made anew, byte by byte.
    let crc = crc32(&current[..60]);
    current[60..].copy_from_slice(&crc.to_le_bytes());
}

/// CRC-32 bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn short_current(files: &mut StoreFiles) {
    bytes(files, "CURRENT").pop();
}

fn missing_manifest(files: &mut StoreFiles) {
    files.retain(|file| !file.0.starts_with("manifest-"));
}

fn damaged_manifest(files: &mut StoreFiles) {
    last(files, "manifest-")[150] ^= 0x10;
}

fn foreign_manifest(files: &mut StoreFiles) {
    let current = Current::decode(bytes(files, "CURRENT")).expect("a whole one");
    let other = Current { store: *b"some other store", ..current };
    *bytes(files, "CURRENT") = other.encode().to_vec();
}

fn missing_log(files: &mut StoreFiles) {
    let name = numbered(files, "wal-").swap_remove(1);
    files.retain(|file| file.0 != name);
}

fn missing_segment(files: &mut StoreFiles) {
    let name = numbered(files, "segment-").swap_remove(0);
    files.retain(|file| file.0 != name);
}

fn short_segment(files: &mut StoreFiles) {
    let name = numbered(files, "segment-").swap_remove(0);
    bytes(files, &name).pop();
}

fn damaged_log(files: &mut StoreFiles) {
    let name = numbered(files, "wal-").swap_remove(1);
    bytes(files, &name)[1000] ^= 0x80;
}

fn damaged_durable(files: &mut StoreFiles) {
    last(files, "wal-")[300] ^= 2;
}

fn damaged_block(files: &mut StoreFiles) {
    let segment = last(files, "segment-");
    // In the blocks of the part with the most bytes: the bars of minutes.
    let at = segment.len() / 3;
    segment[at] ^= 8;
}
