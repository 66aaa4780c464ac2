//! What a store is asked for and what it tells of itself.

use tapestore_format::wal::CommitKind;

/// A version to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// This commit.
    Version(u64),
    /// The snapshot of this name.
    Snapshot(String),
    /// The newest commit not later than this time, nanoseconds since the Unix epoch, UTC.
    Time(i64),
}

/// A named version that retention keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// When it was made, nanoseconds since the Unix epoch, UTC.
    pub created_ns: i64,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its number.
    pub version: u64,
    /// Wall clock, nanoseconds since the Unix epoch, UTC.
    pub time_ns: i64,
    /// Why it was made.
    pub kind: CommitKind,
    /// What its maker said.
    pub message: String,
    /// Series touched.
    pub series: u64,
    /// Rows that did not exist before.
    pub added: u64,
    /// Rows that replaced others.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// The oldest version that can be read now, but for snapshots.
    pub floor: u64,
    /// Old rows that were given up.
    pub history_rows_dropped: u64,
    /// Bytes of segments before.
    pub bytes_before: u64,
    /// Bytes of segments after.
    pub bytes_after: u64,
    /// Whether the disk was too full to reclaim all: with more space, prune again.
    pub unfinished: bool,
}

/// Sizes and counters of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Newest visible version.
    pub version: u64,
    /// Oldest version that can be read, but for snapshots.
    pub floor: u64,
    /// Series that exist.
    pub series: u64,
    /// Visible rows.
    pub rows: u64,
    /// Rows kept for older versions.
    pub history_rows: u64,
    /// Segments.
    pub segments: u64,
    /// All files of the store, but for the reserve.
    pub bytes_on_disk: u64,
    /// Segments.
    pub segment_bytes: u64,
    /// Logs.
    pub wal_bytes: u64,
    /// Manifests.
    pub manifest_bytes: u64,
    /// Rows in memory.
    pub memtable_rows: u64,
    /// Approximate bytes in memory.
    pub memtable_bytes: u64,
    /// Blocks found in the cache.
    pub cache_hits: u64,
    /// Blocks decoded.
    pub cache_misses: u64,
    /// Bytes in the cache.
    pub cache_bytes: u64,
    /// Snapshots.
    pub snapshots: u64,
}
