//! What each byte of the files of `example.md` means, read as the chapters say.

use crate::dump::Dump;

/// The annotated hexdump of a file of the example.
pub fn annotate(name: &str, bytes: &[u8]) -> String {
    let mut dump = Dump::new(bytes);
    match name.split('-').next() {
        Some("CURRENT") => current(&mut dump),
        Some("manifest") => log(&mut dump, bytes.len(), manifest_record),
        Some("wal") => log(&mut dump, bytes.len(), log_record),
        _ => segment(&mut dump, bytes),
    }
    dump.finish()
}

fn current(dump: &mut Dump<'_>) {
    dump.field(8, "magic TAPECURR");
    dump.u32("format");
    dump.field(16, "identity of the store");
    dump.u64("manifest");
    dump.u64("length");
    dump.u64("step");
    dump.i64("created");
    dump.crc("plain CRC-32 of bytes 0 to 59");
}

fn header(dump: &mut Dump<'_>) {
    dump.title("header");
    dump.field(8, "magic");
    dump.u8("file kind");
    dump.u8("major version");
    dump.u8("minor version");
    dump.u8("reserved");
    dump.u32("required features");
    dump.field(16, "identity of the store");
    dump.u64("file id");
    dump.field(16, "no meaning for this kind of file");
    dump.u32("optional features");
    dump.crc("plain CRC-32 of bytes 0 to 59");
}

fn log(dump: &mut Dump<'_>, end: usize, record: fn(&mut Dump<'_>, u64)) {
    header(dump);
    while dump.at < end {
        dump.title("frame");
        dump.crc("checksum");
        let length = dump.u16("bytes of payload") as usize;
        let kind = dump.u8("kind");
        dump.u8("flags");
        dump.u64("sequence");
        dump.u64("durable");
        let start = dump.at;
        record(dump, kind);
        assert_eq!(dump.at, start + length, "the record fills its frame");
        dump.padding(8);
    }
}

fn manifest_record(dump: &mut Dump<'_>, kind: u64) {
    match kind {
        1 => {
            for field in ["sealed version", "first log", "next file", "floor", "step"] {
                dump.u64(field);
            }
        }
        2 => {
            dump.u16("source");
            dump.string("name");
        }
        3 => {
            dump.u32("series");
            dump.string("instrument");
            dump.string("frame");
            for _ in 0..dump.varint("definitions") {
                dump.u64("from version");
                dump.u8("present");
                schema(dump);
            }
        }
        4 => {
            dump.u64("segment");
            dump.u64("length");
            dump.field(16, "XXH3-128, low half first");
            dump.u8("level");
            for _ in 0..dump.varint("parts") {
                dump.varint("series");
                dump.varint("part");
                dump.varint("rows");
                dump.i64("first time");
                dump.i64("last time");
                assert_eq!(dump.varint("history rows"), 0);
                dump.varint("version low");
                dump.varint("version high");
                dump.varint("marks");
                dump.varint("bytes");
            }
        }
        other => panic!("kind {other} does not occur"),
    }
}

fn schema(dump: &mut Dump<'_>) {
    if dump.u8("key") == 2 {
        assert_eq!(dump.u8("dedup columns"), 0);
    }
    for _ in 0..dump.u16("columns") {
        dump.u16("column id");
        dump.u8("type");
        dump.u8("nullable");
        dump.string("name");
        dump.string("description");
    }
}

fn log_record(dump: &mut Dump<'_>, kind: u64) {
    if kind == 1 {
        dump.u64("previous log");
        dump.u64("previous end");
        dump.u64("version");
        return;
    }
    dump.u64("version");
    dump.i64("time");
    dump.u8("commit kind");
    dump.string("message");
    dump.varint("added");
    dump.varint("updated");
    dump.varint("deleted");
    for _ in 0..dump.varint("effects") {
        assert_eq!(dump.u8("effect"), 4);
        dump.u32("series");
        let rows = dump.u32("rows");
        for _ in 0..rows {
            dump.i64("time");
        }
        for what in ["source", "flags"] {
            for _ in 0..dump.varint(&format!("runs of {what}")) {
                dump.varint("length");
                dump.u16(what);
            }
        }
        for _ in 0..dump.u16("columns") {
            dump.u16("column id");
            assert_eq!(dump.u8("nulls"), 0);
            assert_eq!(dump.u8("physical type"), 2);
            for _ in 0..rows {
                dump.f64("value");
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn segment(dump: &mut Dump<'_>, bytes: &[u8]) {
    header(dump);
    let footer = bytes.len() - 64;
    let table = word(bytes, footer + 8) as usize;
    while dump.at < table {
        match &bytes[dump.at..dump.at + 4] {
            b"TCHK" => chunk(dump),
            b"TIDX" => index(dump),
            _ => dump.padding(64),
        }
    }
    while dump.at + 32 <= footer {
        dump.title("entry of the table of parts");
        dump.u32("series");
        dump.u32("zero");
        dump.u64("position of the part");
        dump.u64("position of its index");
        dump.u32("zero");
        dump.crc("checksum");
    }
    dump.padding(64);
    dump.title("footer");
    dump.field(8, "TAPE-END");
    dump.u64("position of the table");
    dump.u64("length of the file");
    dump.u32("parts");
    dump.field(32, "zero");
    dump.crc("checksum");
}

/// A column of a chunk as its entry describes it: what it is, and the lengths of its blocks.
struct Entry {
    what: String,
    blocks: Vec<u64>,
}

fn chunk(dump: &mut Dump<'_>) {
    dump.title("chunk: head");
    dump.field(4, "magic TCHK");
    dump.u32("bytes of the head");
    dump.varint("series");
    dump.u8("stream");
    dump.varint("number");
    dump.varint("first row");
    dump.varint("rows");
    dump.svarint("first time");
    dump.varint("time span");
    let count = dump.varint("entries");
    let entries: Vec<Entry> = (0..count).map(|_| entry(dump)).collect();
    dump.crc("checksum of the page");
    for entry in entries {
        for bytes in entry.blocks {
            dump.title(&format!("block of {}", entry.what));
            dump.field(bytes as usize, "block");
        }
    }
}

fn entry(dump: &mut Dump<'_>) -> Entry {
    let code = dump.varint("column code");
    let what = match code {
        0..5 => ["time", "version", "until", "source", "flags"][code as usize].to_owned(),
        _ => format!("column {}", code - 8),
    };
    let kind = dump.u8(&format!("  type of {what}"));
    let encoding = dump.u8("  encoding");
    assert_eq!(dump.u8("  flags") & !2, 0, "small columns without nulls have no zone maps");
    let mut blocks = Vec::new();
    match (encoding, kind) {
        (1, 1 | 7) => {
            dump.svarint("  value");
        }
        (1, 4 | 5) => {
            dump.u8("  value");
        }
        (1, 2) => dump.f64("  value"),
        (1, 6) => dump.string("  value"),
        (3, _) => blocks.push(0),
        (4, _) => {
            dump.u8("  exponent");
            dump.varint("  divisor");
            blocks.push(0);
        }
        other => panic!("encoding and type {other:?} do not occur"),
    }
    for block in &mut blocks {
        *block = dump.u16("  bytes of block 0");
        dump.crc("  checksum of block 0");
    }
    Entry { what, blocks }
}

fn index(dump: &mut Dump<'_>) {
    dump.title("index of the part");
    dump.field(4, "magic TIDX");
    dump.u32("bytes of the index");
    dump.varint("series");
    let bits = dump.u8("bits");
    if bits & 2 != 0 {
        dump.u8("timeframe");
    }
    for _ in 0..dump.varint("columns") {
        dump.varint("column id");
        dump.u8("type");
    }
    dump.varint("lowest version");
    dump.varint("version span");
    dump.varint("grid rows");
    for stream in ["live", "history"] {
        for _ in 0..dump.varint(&format!("{stream} chunks")) {
            dump.varint("position");
            dump.varint("rows");
            dump.svarint("first time");
            dump.varint("time span");
        }
    }
    assert_eq!(dump.varint("marks"), 0);
    let mut runs = Vec::new();
    for _ in 0..dump.varint("run blocks") {
        dump.svarint("first slot");
        dump.varint("runs");
        dump.varint("covered slots");
        runs.push(dump.varint("bytes"));
        dump.crc("checksum of the block of runs");
    }
    dump.crc("checksum of the page");
    for bytes in runs {
        dump.title("block of runs");
        dump.field(bytes as usize, "gaps, then lengths: two integer blocks");
    }
}
