//! Decoded blocks, least recently used first out, within a budget of bytes.

use std::collections::HashMap;
use std::sync::Arc;

use tapestore_format::rows::ColumnValues;
use tapestore_format::schema::ColumnId;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Which block. Segments never change and their ids are never reused, so an entry cannot go stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockPlace {
    pub(crate) segment: u64,
    pub(crate) chunk_offset: u64,
    pub(crate) block: u32,
}

/// A block of a column.
type BlockKey = (BlockPlace, ColumnId);

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

    /// A block of some columns, as far as they are here. Counts hits and misses. One lock for all.
    pub(crate) fn get(
        &self,
        place: &BlockPlace,
        columns: impl Iterator<Item = ColumnId>,
    ) -> Vec<Option<Arc<ColumnValues>>> {
        let mut entries = self.entries.lock();
        let found: Vec<_> = columns.map(|column| entries.find(&(*place, column))).collect();
        drop(entries);
        let hits = found.iter().flatten().count();
        self.hits.fetch_add(hits as u64, Ordering::Relaxed);
        self.misses.fetch_add((found.len() - hits) as u64, Ordering::Relaxed);
        found
    }

    /// Counts blocks that were decoded without being looked up or kept: large scans.
    pub(crate) fn count_bypassed(&self, blocks: u64) {
        self.misses.fetch_add(blocks, Ordering::Relaxed);
    }

    /// Keeps columns of a block, dropping the least recently used ones beyond the budget.
    pub(crate) fn insert(&self, place: &BlockPlace, columns: &[(ColumnId, Arc<ColumnValues>)]) {
        let mut entries = self.entries.lock();
        for (column, values) in columns {
            entries.keep((*place, *column), values.clone(), self.budget);
        }
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
    fn find(&mut self, key: &BlockKey) -> Option<Arc<ColumnValues>> {
        let slot = self.index.get(key).copied()?;
        self.unlink(slot);
        self.push_newest(slot);
        Some(self.slots[slot].values.clone())
    }

    fn keep(&mut self, key: BlockKey, values: Arc<ColumnValues>, budget: usize) {
        let bytes = values.bytes() + size_of::<Entry>();
        if bytes > budget || self.index.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > budget {
            self.drop_oldest();
        }
        let entry = Entry { values, bytes, newer: NONE, older: NONE, key };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                self.slots.len() - 1
            }
        };
        self.bytes += bytes;
        self.index.insert(key, slot);
        self.push_newest(slot);
    }

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

    fn place(block: u32) -> BlockPlace {
        BlockPlace { segment: 1, chunk_offset: 64, block }
    }

    fn insert(cache: &BlockCache, block: u32) {
        cache.insert(&place(block), &[(7, Arc::new(Values::I64(vec![0; 100]).into()))]);
    }

    fn has(cache: &BlockCache, block: u32) -> bool {
        cache.get(&place(block), [7].into_iter())[0].is_some()
    }

    #[test]
    fn the_least_recently_used_block_goes_first_and_the_budget_holds() {
        let cache = BlockCache::new(3 * (800 + size_of::<Entry>()));
        for number in 0..3 {
            insert(&cache, number);
        }
        assert!(has(&cache, 0));
        insert(&cache, 3);
        assert!(!has(&cache, 1), "block 1 was used least recently");
        assert!([0, 2, 3].iter().all(|number| has(&cache, *number)));
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses), (4, 1));
        for number in 0..1000 {
            insert(&cache, number);
            assert!(cache.stats().bytes as usize <= cache.budget);
        }
    }

    #[test]
    fn a_block_beyond_the_budget_is_not_kept() {
        let cache = BlockCache::new(100);
        insert(&cache, 0);
        assert!(!has(&cache, 0));
    }

    #[test]
    fn columns_of_a_block_are_found_one_by_one() {
        let cache = BlockCache::new(1 << 20);
        insert(&cache, 0);
        let found = cache.get(&place(0), [3, 7, 9].into_iter());
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 2));
    }
}
