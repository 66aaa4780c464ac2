//! Every bound of the format, declared once. `format-spec/limits.md` is checked against this file by a test.

/// Rows in one block: the unit of decoding, zone maps and checksums.
pub const BLOCK_ROWS: usize = 1024;
/// Blocks in one chunk: the unit of encoding choice.
pub const CHUNK_BLOCKS: usize = 64;
/// Rows in one chunk.
pub const CHUNK_ROWS: usize = BLOCK_ROWS * CHUNK_BLOCKS;
/// Largest range of bytes under one CRC-32: its first undetected 3-bit error spans more than this.
pub const CHECKED_BYTES: usize = 8192;
/// Alignment of chunks and of raw payloads, in bytes.
pub const ALIGNMENT: usize = 64;
/// Longest instrument name, in bytes of UTF-8.
pub const INSTRUMENT_BYTES: usize = 128;
/// Longest table or column name, in bytes of UTF-8.
pub const NAME_BYTES: usize = 64;
/// Longest description of a column, in bytes of UTF-8.
pub const DESCRIPTION_BYTES: usize = 512;
/// Longest commit message, absence note, source or snapshot name, in bytes of UTF-8.
pub const NOTE_BYTES: usize = 512;
/// Longest record of a log, in bytes: a transaction or a manifest step.
pub const RECORD_BYTES: usize = 1 << 31;
/// Columns in one schema.
pub const COLUMNS: usize = 1024;
/// Columns of a part: those of all lives of its series, and the ordinal.
pub const PART_COLUMNS: usize = 4096;
/// Dedup columns of a sequence key.
pub const DEDUP_COLUMNS: usize = 8;
/// Longest single string value, in bytes of UTF-8.
pub const STRING_BYTES: usize = 4096;
/// Series in one store.
pub const SERIES: u32 = 1 << 24;
/// Rows in one part of a segment.
pub const PART_ROWS: u64 = 1 << 32;
/// Longest segment, in bytes.
pub const SEGMENT_BYTES: u64 = 1 << 40;
/// Earliest timestamp, nanoseconds since the Unix epoch (year 1684).
pub const TIME_MIN: i64 = -9_000_000_000_000_000_000;
/// Latest timestamp, nanoseconds since the Unix epoch (year 2255).
pub const TIME_MAX: i64 = 9_000_000_000_000_000_000;
