//! Decoded blocks, least recently used first out, within a budget of bytes.

use std::collections::HashMap;
use std::sync::Arc;

use tapestore_format::rows::ColumnValues;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Which block of which column. Segments never change and their ids are never reused, so an entry cannot go stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockKey {
    pub(crate) segment: u64,
    pub(crate) chunk_offset: u64,
    pub(crate) block: u32,
    pub(crate) column: u16,
}

/// Hits, misses and bytes held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheStats {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) bytes: u64,
}

/// The cache. Shared by all threads of a store.
#[derive(Debug)]
pub(crate) struct BlockCache {
    budget: usize,
    entries: Mutex<Entries>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    values: Arc<ColumnValues>,
    bytes: usize,
    /// Neighbours in order of use; `NONE` at the ends.
    newer: usize,
    older: usize,
    key: BlockKey,
}

const NONE: usize = usize::MAX;

#[derive(Debug)]
struct Entries {
    index: HashMap<BlockKey, usize>,
    slots: Vec<Entry>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    bytes: usize,
}

impl BlockCache {
    pub(crate) fn new(budget: usize) -> Self {
        let entries = Entries {
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            bytes: 0,
        };
        Self { budget, entries: Mutex::new(entries), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// A block, if it is here. Counts as a hit or a miss.
    pub(crate) fn get(&self, key: &BlockKey) -> Option<Arc<ColumnValues>> {
        let mut entries = self.entries.lock();
        let found = entries.index.get(key).copied();
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        let slot = found?;
        entries.unlink(slot);
        entries.push_newest(slot);
        Some(entries.slots[slot].values.clone())
    }

    /// Counts blocks that were decoded without being looked up or kept: large scans.
    pub(crate) fn count_bypassed(&self, blocks: u64) {
        self.misses.fetch_add(blocks, Ordering::Relaxed);
    }

    /// Keeps a block, dropping the least recently used ones beyond the budget.
    pub(crate) fn insert(&self, key: BlockKey, values: Arc<ColumnValues>) {
        let bytes = values.bytes() + size_of::<Entry>();
        if bytes > self.budget {
            return;
        }
        let mut entries = self.entries.lock();
        if entries.index.contains_key(&key) {
            return;
        }
        while entries.bytes + bytes > self.budget {
            entries.drop_oldest();
        }
        let entry = Entry { values, bytes, newer: NONE, older: NONE, key };
        let slot = match entries.free.pop() {
            Some(slot) => {
                entries.slots[slot] = entry;
                slot
            }
            None => {
                entries.slots.push(entry);
                entries.slots.len() - 1
            }
        };
        entries.bytes += bytes;
        entries.index.insert(key, slot);
        entries.push_newest(slot);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.entries.lock().bytes as u64,
        }
    }
}

impl Entries {
    fn unlink(&mut self, slot: usize) {
        let (newer, older) = (self.slots[slot].newer, self.slots[slot].older);
        match newer {
            NONE => self.newest = older,
            _ => self.slots[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            _ => self.slots[older].newer = newer,
        }
    }

    fn push_newest(&mut self, slot: usize) {
        self.slots[slot].newer = NONE;
        self.slots[slot].older = self.newest;
        match self.newest {
            NONE => self.oldest = slot,
            newest => self.slots[newest].newer = slot,
        }
        self.newest = slot;
    }

    fn drop_oldest(&mut self) {
        let slot = self.oldest;
        self.unlink(slot);
        let key = self.slots[slot].key;
        self.index.remove(&key);
        self.bytes -= self.slots[slot].bytes;
        self.slots[slot].values = Arc::new(tapestore_format::rows::Values::U8(Vec::new()).into());
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::rows::Values;

    fn key(block: u32) -> BlockKey {
        BlockKey { segment: 1, chunk_offset: 64, block, column: 0 }
    }

    fn block() -> Arc<ColumnValues> {
        Arc::new(Values::I64(vec![0; 100]).into())
    }

    #[test]
    fn the_least_recently_used_block_goes_first_and_the_budget_holds() {
        let cache = BlockCache::new(3 * (800 + size_of::<Entry>()));
        for number in 0..3 {
            cache.insert(key(number), block());
        }
        assert!(cache.get(&key(0)).is_some());
        cache.insert(key(3), block());
        assert!(cache.get(&key(1)).is_none(), "block 1 was used least recently");
        assert!([0, 2, 3].iter().all(|number| cache.get(&key(*number)).is_some()));
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses), (4, 1));
        for number in 0..1000 {
            cache.insert(key(number), block());
            assert!(cache.stats().bytes as usize <= cache.budget);
        }
    }

    #[test]
    fn a_block_beyond_the_budget_is_not_kept() {
        let cache = BlockCache::new(100);
        cache.insert(key(0), block());
        assert!(cache.get(&key(0)).is_none());
    }
}
