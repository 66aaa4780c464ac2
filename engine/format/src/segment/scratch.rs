//! Buffers of reads. A thread keeps those of reads that ended for the next ones: making and clearing them costs more
//! than a small read.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::runs::RunBuffer;
use crate::codec::bins::Model;
use crate::codec::digits::Digits;
use crate::codec::int::IntScratch;
use crate::codec::lane::{Block, Lane, block};
use crate::codec::single::Closes;
use crate::error::Result;
use crate::limits::BLOCK_ROWS;

/// Buffers that a thread keeps, at most: those of a read, and of one that runs inside of it.
const KEPT: usize = 2;

thread_local! {
    static POOL: RefCell<Vec<Box<Scratch>>> = const { RefCell::new(Vec::new()) };
}

/// Models that are kept: of as many columns of a chunk. Tables of more columns, read block by block, make them ready again.
pub(super) const MODELS: usize = 32;

/// The models of columns that were read last, with the file's bytes and the place in them.
#[derive(Debug, Default)]
pub(super) struct Models([(Model, Option<(usize, u64)>); MODELS]);

impl Models {
    /// Has to be called before they are used with another file, which may stand where one stood before.
    fn forget(&mut self) {
        self.0.iter_mut().for_each(|(_, place)| *place = None);
    }

    /// Makes the model at `place` ready in a slot, unless it is there.
    pub(super) fn read(
        &mut self,
        slot: usize,
        place: (usize, u64),
        read: impl FnOnce(&mut Model) -> Result<()>,
    ) -> Result<()> {
        let (model, known) = &mut self.0[slot];
        if *known != Some(place) {
            *known = None;
            read(model)?;
            *known = Some(place);
        }
        Ok(())
    }

    pub(super) fn of(&self, slot: usize) -> &Model {
        &self.0[slot].0
    }
}

/// The columns of the group in one block, by role.
#[derive(Debug)]
pub(super) struct Group<N> {
    /// Mantissas, and whether they are there.
    pub(super) numbers: [Block<N>; 4],
    pub(super) have: [bool; 4],
    /// Where the mantissas end in the blocks.
    pub(super) rest: [usize; 4],
}

impl<N: Lane> Default for Group<N> {
    fn default() -> Self {
        Self { numbers: std::array::from_fn(|_| block()), have: [false; 4], rest: [0; 4] }
    }
}

/// Buffers that reads reuse: nothing is allocated per block.
#[derive(Debug)]
pub struct Scratch {
    pub(super) int: IntScratch,
    pub(super) numbers: Vec<i64>,
    pub(super) bits: Vec<i64>,
    pub(super) nulls: Vec<bool>,
    pub(super) runs: RunBuffer,
    pub(super) system: Vec<i64>,
    /// Numbers of a block that fit 32 bits.
    pub(super) small: Block<i32>,
    pub(super) group: Group<i64>,
    pub(super) small_group: Group<i32>,
    pub(super) digits: Digits,
    pub(super) closes: Closes,
    pub(super) models: Models,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            int: IntScratch::default(),
            numbers: vec![0; BLOCK_ROWS],
            bits: vec![0; BLOCK_ROWS],
            nulls: vec![false; BLOCK_ROWS],
            runs: RunBuffer::default(),
            system: Vec::new(),
            small: block(),
            group: Group::default(),
            small_group: Group::default(),
            digits: Digits::default(),
            closes: Closes::default(),
            models: Models::default(),
        }
    }
}

impl Scratch {
    /// Buffers that this thread kept, or new ones. For one read, of any number of parts.
    pub fn pooled() -> PooledScratch {
        let kept = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        let mut scratch = kept.unwrap_or_default();
        scratch.runs.forget();
        scratch.models.forget();
        PooledScratch(Some(scratch))
    }
}

/// A [`Scratch`] that its thread keeps when it is dropped.
#[derive(Debug)]
pub struct PooledScratch(Option<Box<Scratch>>);

impl Deref for PooledScratch {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        self.0.as_ref().expect("there until dropped")
    }
}

impl DerefMut for PooledScratch {
    fn deref_mut(&mut self) -> &mut Scratch {
        self.0.as_mut().expect("there until dropped")
    }
}

impl Drop for PooledScratch {
    fn drop(&mut self) {
        let scratch = self.0.take();
        // A thread that ends keeps nothing.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT {
                pool.extend(scratch);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_a_few_buffers() {
        let place = |scratch: &PooledScratch| scratch.numbers.as_ptr();
        let first = Scratch::pooled();
        let known = place(&first);
        drop(first);
        let again = Scratch::pooled();
        assert_eq!(place(&again), known);
        let others: Vec<_> = (0..5).map(|_| Scratch::pooled()).collect();
        assert!(others.iter().all(|other| place(other) != known));
        drop((again, others));
        assert_eq!(POOL.with_borrow(Vec::len), KEPT);
    }
}
