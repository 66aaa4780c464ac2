//! Options of a store: durability, budgets, retention.

use tapestore_format::segment::Tier;

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing: in memory until the next stronger commit, seal or close.
    Volatile,
    /// A crash of the process: handed to the operating system.
    Appended,
    /// A power cut, on a device that honours flush: on stable storage.
    Durable,
}

/// Which old versions stay readable, beside snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Every commit.
    All,
    /// This many newest commits.
    Commits(u64),
    /// Commits of this many nanoseconds before the newest one.
    Nanoseconds(i64),
}

/// How a store behaves. `Options::default()` is right for most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What a commit survives unless it says otherwise. Default: [`Durability::Durable`].
    pub durability: Durability,
    /// Rows in memory, in bytes, beyond which they are sealed into a segment. Default: 64 MiB.
    pub memtable_bytes: usize,
    /// Decoded blocks kept, in bytes. Default: 128 MiB.
    pub cache_bytes: usize,
    /// Whether a thread seals and compacts in the background. Default: true. If not, sealing happens in the commit
    /// that crosses the budget and compaction in [`crate::Store::compact`].
    pub background: bool,
    /// Most bytes a compaction writes per second. Default: `None`, no bound.
    pub compaction_bytes_per_second: Option<u64>,
    /// A series with a part of at least this many bytes gets segments of its own. Default: 1 MiB.
    pub own_segment_bytes: u64,
    /// Segments shared by many series that may pile up before a compaction. Default: 6.
    pub young_segments: usize,
    /// Which old versions stay readable. Default: [`Retention::All`].
    pub retention: Retention,
    /// Space kept aside in the directory of the store, in bytes, so that it can be opened, and rows deleted and history
    /// pruned, when its disk is full. Without space for it nothing else is accepted. Default: 256 KiB; 0: none.
    pub reserve_bytes: u64,
    /// How compaction encodes segments, and sealing as well unless `sealed_tier` says otherwise. Default: [`Tier::Dense`].
    /// Any tier is read the same way; a store may hold all of them. What was written before stays as it is until a
    /// compaction has another reason to rewrite it, or [`crate::Store::compact_to`] is called.
    pub tier: Tier,
    /// How sealing encodes segments: [`Tier::Hot`], say, so that the newest rows are read quickest. They move to `tier` with
    /// the first compaction: in the background once `young_segments` have piled up, in [`crate::Store::compact`] at once.
    /// Default: `None`, as `tier`.
    pub sealed_tier: Option<Tier>,
    /// Rows that are this many nanoseconds older than the newest sealed row of their series become [`Tier::Cold`], whatever
    /// `tier` says, in pieces of 65,536. Default: `None`, never.
    ///
    /// Every compaction that rewrites such rows makes them cold. Where a series has segments of its own, compaction
    /// rewrites them for that alone, if there is anything to gain: in the background one segment after another, at opening
    /// and after each sealing, when nothing younger is due. Rows in segments that many series share wait until these are
    /// merged, or until [`crate::Store::compact`]. The clock plays no part: rows age only as newer ones come.
    pub cold_after_ns: Option<i64>,
    /// Numbers for new files that are reserved together, in one step of the manifest. Default: 1024. Smaller only where a
    /// test wants to see them run out.
    #[doc(hidden)]
    pub reserved_ids: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Durable,
            memtable_bytes: 64 << 20,
            cache_bytes: 128 << 20,
            background: true,
            compaction_bytes_per_second: None,
            own_segment_bytes: 1 << 20,
            young_segments: 6,
            retention: Retention::All,
            reserve_bytes: 256 << 10,
            tier: Tier::Dense,
            sealed_tier: None,
            cold_after_ns: None,
            reserved_ids: 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_defaults_hold() {
        let options = Options::default();
        assert_eq!(options.durability, Durability::Durable);
        assert_eq!((options.memtable_bytes, options.cache_bytes), (64 << 20, 128 << 20));
        assert!(options.background);
        assert_eq!((options.own_segment_bytes, options.young_segments), (1 << 20, 6));
        assert_eq!((options.retention, options.tier), (Retention::All, Tier::Dense));
        assert_eq!((options.sealed_tier, options.cold_after_ns), (None, None));
        assert_eq!(options.reserve_bytes, 256 << 10);
        assert_eq!(options.reserved_ids, 1024);
        assert!(Durability::Durable > Durability::Appended && Durability::Appended > Durability::Volatile);
    }
}
