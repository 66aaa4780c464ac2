//! Decoded blocks, least recently used first out, within a budget of bytes: columns of rows, and runs that tell their
//! times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use tapestore_format::rows::ColumnValues;
use tapestore_format::schema::{ColumnId, ColumnType};
use tapestore_format::segment::RunBlock;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Which block. Segments never change and their ids are never reused, so an entry cannot go stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockPlace {
    pub(crate) segment: u64,
    /// Of the chunk, or of the block of runs.
    pub(crate) offset: u64,
    pub(crate) block: u32,
}

impl BlockPlace {
    /// Of a block of runs: no chunk has as many blocks.
    pub(crate) fn of_runs(segment: u64, offset: u64) -> Self {
        Self { segment, offset, block: u32::MAX }
    }
}

/// Columns of one block of rows, as far as they were asked for. They stand side by side, not behind pointers of their
/// own: what was read long ago is far from the processor, and each pointer is one more wait.
#[derive(Debug, Default)]
pub(crate) struct Block(Vec<(ColumnId, ColumnValues)>);

impl Block {
    pub(crate) fn column(&self, id: ColumnId) -> Option<&ColumnValues> {
        self.0.iter().find(|column| column.0 == id).map(|column| &column.1)
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|column| column.1.bytes() + size_of_val(column)).sum()
    }

    /// Copies columns that are not here yet.
    fn add(&mut self, other: &Self) {
        for (id, values) in &other.0 {
            if self.column(*id).is_none() {
                self.0.push((*id, values.clone()));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Kept {
    Rows(Arc<Block>),
    Runs(Arc<RunBlock>),
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(block) => block.bytes(),
            Self::Runs(runs) => runs.bytes(),
        }
    }
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
    bypassed: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    kept: Kept,
    bytes: usize,
    /// Neighbours in order of use; `NONE` at the ends.
    newer: usize,
    older: usize,
    place: BlockPlace,
}

const NONE: usize = usize::MAX;

#[derive(Debug)]
struct Entries {
    index: HashMap<BlockPlace, usize, BuildHasherDefault<PlaceHasher>>,
    slots: Vec<Entry>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    bytes: usize,
    /// Columns of blocks that were asked for and were here, or were not.
    hits: u64,
    misses: u64,
}

/// A hash of the numbers of a place. They come from the engine's own files and need no defence against an enemy, who
/// would at worst make look-ups slow.
#[derive(Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // An odd number without structure: its products spread low bits over high ones.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // Tables look at both ends of it.
        self.0 ^ self.0.rotate_left(32)
    }
}

impl BlockCache {
    pub(crate) fn new(budget: usize) -> Self {
        let entries = Entries {
            index: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            bytes: 0,
            hits: 0,
            misses: 0,
        };
        Self { budget, entries: Mutex::new(entries), bypassed: AtomicU64::new(0) }
    }

    /// What is here of a block of rows. Counts which of the columns are and which are not.
    pub(crate) fn rows(&self, place: &BlockPlace, columns: &[(ColumnId, ColumnType)]) -> Option<Arc<Block>> {
        let mut entries = self.entries.lock();
        let block = match entries.find(place) {
            Some(Kept::Rows(block)) => Some(block.clone()),
            _ => None,
        };
        let here =
            |block: &Arc<Block>| columns.iter().filter(|column| block.column(column.0).is_some()).count();
        let hits = block.as_ref().map_or(0, here);
        entries.hits += hits as u64;
        entries.misses += (columns.len() - hits) as u64;
        block
    }

    /// Keeps columns of a block of rows beside those that are kept already, dropping the least recently used blocks
    /// beyond the budget; all of them, and those that were `known`, whether they fit or not.
    pub(crate) fn add_rows(
        &self,
        place: &BlockPlace,
        known: Option<&Block>,
        columns: Vec<(ColumnId, ColumnValues)>,
    ) -> Arc<Block> {
        let mut block = Block(columns);
        let mut entries = self.entries.lock();
        // Another thread may have added to it meanwhile.
        if let Some(Kept::Rows(kept)) = entries.find(place) {
            block.add(kept);
        }
        if let Some(known) = known {
            block.add(known);
        }
        let block = Arc::new(block);
        entries.keep(*place, Kept::Rows(block.clone()), self.budget);
        block
    }

    /// A block of runs.
    pub(crate) fn runs(&self, place: &BlockPlace) -> Option<Arc<RunBlock>> {
        match self.entries.lock().find(place) {
            Some(Kept::Runs(runs)) => Some(runs.clone()),
            _ => None,
        }
    }

    /// Keeps a block of runs.
    pub(crate) fn add_runs(&self, place: &BlockPlace, runs: &Arc<RunBlock>) {
        self.entries.lock().keep(*place, Kept::Runs(runs.clone()), self.budget);
    }

    /// Counts blocks that were decoded without being looked up or kept: large scans.
    pub(crate) fn count_bypassed(&self, blocks: u64) {
        self.bypassed.fetch_add(blocks, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let entries = self.entries.lock();
        let misses = entries.misses + self.bypassed.load(Ordering::Relaxed);
        CacheStats { hits: entries.hits, misses, bytes: entries.bytes as u64 }
    }
}

impl Entries {
    fn find(&mut self, place: &BlockPlace) -> Option<&Kept> {
        let slot = self.index.get(place).copied()?;
        if slot != self.newest {
            self.unlink(slot);
            self.push_newest(slot);
        }
        Some(&self.slots[slot].kept)
    }

    /// Keeps a block, in the place of what was kept of it before.
    fn keep(&mut self, place: BlockPlace, kept: Kept, budget: usize) {
        let bytes = kept.bytes() + size_of::<Entry>();
        if bytes > budget {
            return;
        }
        if let Some(slot) = self.index.get(&place).copied() {
            self.drop_slot(slot);
        }
        while self.bytes + bytes > budget {
            self.drop_slot(self.oldest);
        }
        let entry = Entry { kept, bytes, newer: NONE, older: NONE, place };
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
        self.index.insert(place, slot);
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

    fn drop_slot(&mut self, slot: usize) {
        self.unlink(slot);
        let entry = &mut self.slots[slot];
        entry.kept = Kept::Rows(Arc::default());
        self.bytes -= entry.bytes;
        self.index.remove(&entry.place);
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::rows::Values;

    const COLUMNS: [(ColumnId, ColumnType); 1] = [(7, ColumnType::I64)];

    fn place(block: u32) -> BlockPlace {
        BlockPlace { segment: 1, offset: 64, block }
    }

    fn numbers(number: i64) -> ColumnValues {
        Values::I64(vec![number; 100]).into()
    }

    fn insert(cache: &BlockCache, block: u32) -> Arc<Block> {
        cache.add_rows(&place(block), None, vec![(7, numbers(0))])
    }

    fn has(cache: &BlockCache, block: u32) -> bool {
        cache.rows(&place(block), &COLUMNS).is_some_and(|block| block.column(7).is_some())
    }

    /// Bytes that a block of one column takes.
    fn block_bytes() -> usize {
        let cache = BlockCache::new(usize::MAX);
        insert(&cache, 0);
        cache.stats().bytes as usize
    }

    #[test]
    fn the_least_recently_used_block_goes_first_and_the_budget_holds() {
        let cache = BlockCache::new(3 * block_bytes());
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
        assert_eq!(cache.stats().bytes as usize, cache.budget, "as many as there is room for");
    }

    #[test]
    fn a_block_beyond_the_budget_is_handed_out_and_not_kept() {
        let cache = BlockCache::new(100);
        assert!(insert(&cache, 0).column(7).is_some());
        assert!(!has(&cache, 0));
        assert_eq!(cache.stats().bytes, 0);
    }

    #[test]
    fn columns_of_a_block_are_added_one_by_one_and_counted() {
        let cache = BlockCache::new(1 << 20);
        insert(&cache, 0);
        let wanted = [3, 7, 9].map(|id| (id, ColumnType::I64));
        let known = cache.rows(&place(0), &wanted).unwrap();
        assert_eq!(wanted.map(|(id, _)| known.column(id).is_some()), [false, true, false]);
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 2));
        let all = cache.add_rows(&place(0), Some(&known), vec![(3, numbers(3))]);
        assert_eq!((all.column(3), all.column(7)), (Some(&numbers(3)), Some(&numbers(0))));
        let again = cache.rows(&place(0), &wanted).unwrap();
        assert_eq!(wanted.map(|(id, _)| again.column(id).is_some()), [true, true, false]);
        assert_eq!((cache.stats().hits, cache.stats().misses), (3, 3));
    }

    /// What two threads decode of one block at a time is kept of both, and what was dropped meanwhile is handed out.
    #[test]
    fn columns_that_others_added_or_dropped_meanwhile_are_there() {
        let cache = BlockCache::new(1 << 20);
        let known = insert(&cache, 0);
        cache.add_rows(&place(0), None, vec![(8, numbers(8))]);
        let all = cache.add_rows(&place(0), Some(&known), vec![(9, numbers(9))]);
        assert_eq!([7, 8, 9].map(|id| all.column(id).is_some()), [true; 3]);
        let other = BlockCache::new(1 << 20);
        let all = other.add_rows(&place(0), Some(&known), vec![(9, numbers(9))]);
        assert_eq!([7, 8, 9].map(|id| all.column(id).is_some()), [true, false, true]);
    }

    #[test]
    fn runs_are_kept_beside_rows_and_count_for_no_column() {
        let cache = BlockCache::new(1 << 20);
        insert(&cache, 0);
        let place = BlockPlace::of_runs(1, 64);
        assert!(cache.runs(&place).is_none());
        let before = cache.stats();
        cache.add_runs(&place, &Arc::default());
        assert!(cache.runs(&place).is_some() && has(&cache, 0));
        assert!(cache.stats().bytes > before.bytes);
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 0));
    }

    /// Places differ in few bits: in tables of any size they have to fall into different places all the same.
    #[test]
    fn places_spread_over_a_table() {
        use std::hash::BuildHasher;
        let hash = BuildHasherDefault::<PlaceHasher>::default();
        for bits in [8, 12, 16] {
            let count = 1u64 << bits;
            let place =
                |n: u64| BlockPlace { segment: 5 + n / 640, offset: 64 * (n / 64), block: (n % 64) as u32 };
            for shift in [0, 57 - bits] {
                let slots: std::collections::HashSet<u64> =
                    (0..count).map(|n| hash.hash_one(place(n)) >> shift & (count - 1)).collect();
                // Thrown at random, 63 of 100 slots would be hit.
                assert!(slots.len() as u64 > count * 55 / 100, "{} of {count}", slots.len());
            }
        }
    }
}
