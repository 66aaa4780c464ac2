//! Coded blocks in lanes: the bins of four quarters of a block, each by a coder of its own, from one stream of bits.
//! Rules K18 and K19 of `format-spec/codecs.md`.
//!
//! The coders are finite state machines (tANS, Duda 2013): a step looks up which bin a state stands for, and the next state is
//! a number of the table plus some bits. A step waits for the one before; four that do not wait for one another fill that time.

#![expect(
    clippy::inline_always,
    reason = "a loop has to be inlined into its shims to be compiled for their instructions"
)]

use super::bins::{Held, window};
use super::int::{self, IntScratch};
use super::memory::{CLASSES, Memory};
use crate::bytes::ByteReader;
use crate::error::Result;
use crate::limits::BLOCK_ROWS;

/// Lanes of a block.
pub(super) const LANES: usize = 4;
/// Smallest logarithm of the states of a coder: the last one tells eight bits.
pub const LOG_MIN: u32 = 8;
/// Largest: four steps take at most 48 bits, which a window of eight bytes has from any
/// bit of its first on.
pub const LOG_MAX: u32 = 12;
/// Most states of all tables together.
pub const SLOTS: usize = 1 << 15;
/// Longest model.
pub const MODEL_BYTES: usize = 1 << 16;
/// Bytes of all codes of a block at most, with the states before them.
pub(super) const CODE_BYTES: usize = (BLOCK_ROWS + LANES) * LOG_MAX as usize / 8;
/// Set in the first byte of a model whose blocks are in lanes.
pub(super) const IN_LANES: u8 = 0x80;

/// What a state of a coder stands for.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
pub(super) struct Step {
    /// The next state is this plus `width` bits, those of the mask.
    base: u16,
    bin: u16,
    mask: u16,
    width: u8,
    /// The class of the bin.
    class: u8,
}

/// Where a lane is in its memory: the first step of the state's table, and below that in 16 bits the state times [`CLASSES`]. One
/// number, so that four lanes stay in registers.
#[derive(Clone, Copy, Debug, Default)]
struct Place(u32);

impl Place {
    fn new(state: usize, table: i64) -> Self {
        Self((table as u32) << 16 | (state * CLASSES) as u32)
    }

    #[inline(always)]
    fn table(self) -> usize {
        (self.0 >> 16) as usize
    }

    #[inline(always)]
    fn state(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// The coders of a model, made ready for decoding.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    log: u32,
    /// By state of the coder, table after table.
    steps: Vec<Step>,
    /// Where a class leads from a state of the memory, [`CLASSES`] for each state; empty if nothing is remembered.
    moves: Vec<Place>,
    /// Where a lane begins.
    first: Place,
}

/// Whether a model is one of rule K18, whose blocks are in lanes.
pub(crate) fn are_of(model: &[u8]) -> bool {
    model.first().is_some_and(|byte| byte & IN_LANES != 0)
}

/// The bin that every state stands for: each is spread over the states, as often as its frequency says.
pub(super) fn spread(frequencies: &[u16], log: u32) -> Vec<u16> {
    let states = 1usize << log;
    let step = (states >> 1) + (states >> 3) + 3;
    let (mut out, mut at) = (vec![0; states], 0);
    for (bin, frequency) in frequencies.iter().enumerate() {
        for _ in 0..*frequency {
            out[at] = bin as u16;
            at = (at + step) & (states - 1);
        }
    }
    out
}

impl Lanes {
    /// Reads the first byte of a model.
    pub(super) fn read_log(&mut self, reader: &mut ByteReader<'_>) -> Result<()> {
        self.log = u32::from(reader.u8()? & !IN_LANES);
        if !(LOG_MIN..=LOG_MAX).contains(&self.log) {
            return Err(reader.error(format!("frequencies that add up to 2^{}", self.log)));
        }
        Ok(())
    }

    /// Reads what stands behind the bins: what the coders remember, and a table for each that it is to tell apart.
    pub(super) fn read_tables(
        &mut self,
        reader: &mut ByteReader<'_>,
        bins: usize,
        scratch: &mut IntScratch,
    ) -> Result<()> {
        self.steps.clear();
        self.moves.clear();
        self.first = Place::default();
        let memory = reader.u8()?;
        let Some(memory) = Memory::from_id(memory) else {
            return Err(reader.error(format!("unknown memory {memory}")));
        };
        let mut numbers = vec![0i64; bins];
        let mut classes_of = vec![0u8; bins];
        let mut tables = 1;
        if memory != Memory::None {
            let classes = usize::from(reader.u8()?);
            tables = usize::from(reader.u8()?);
            if !(2..=CLASSES).contains(&classes) || tables == 0 || tables << self.log > SLOTS {
                return Err(reader.error(format!("{tables} tables for {classes} classes")));
            }
            int::decode_plain(reader, &mut numbers, scratch)?;
            for (class, number) in classes_of.iter_mut().zip(&numbers) {
                *class = below(reader, *number, classes, "class")? as u8;
            }
            let mut table_of = vec![0i64; memory.states(classes)];
            int::decode_plain(reader, &mut table_of, scratch)?;
            for table in &mut table_of {
                *table = (below(reader, *table, tables, "table")? << self.log) as i64;
            }
            self.remember(memory, classes, &table_of);
        }
        for _ in 0..tables {
            int::decode_plain(reader, &mut numbers, scratch)?;
            self.put_table(reader, &numbers, &classes_of)?;
        }
        Ok(())
    }

    fn remember(&mut self, memory: Memory, classes: usize, table_of: &[i64]) {
        self.moves.resize(table_of.len() * CLASSES, Place::default());
        for state in 0..table_of.len() {
            for class in 0..classes {
                let next = memory.next(classes, state, class);
                self.moves[state * CLASSES + class] = Place::new(next, table_of[next]);
            }
        }
        self.first = Place::new(0, table_of[0]);
    }

    /// Appends the steps of a table.
    fn put_table(&mut self, reader: &ByteReader<'_>, frequencies: &[i64], classes: &[u8]) -> Result<()> {
        let states = 1i64 << self.log;
        let mut left = states;
        let mut shares = Vec::with_capacity(frequencies.len());
        for frequency in frequencies {
            if !(0..=left).contains(frequency) {
                return Err(reader.error("frequencies beyond their sum"));
            }
            left -= frequency;
            shares.push(*frequency as u16);
        }
        if left != 0 {
            return Err(reader.error("frequencies do not reach their sum"));
        }
        let mut next = shares.clone();
        for bin in spread(&shares, self.log) {
            let share = &mut next[usize::from(bin)];
            let width = self.log - share.ilog2();
            let base = (u32::from(*share) << width) - (1 << self.log);
            let class = classes[usize::from(bin)];
            let mask = (1 << width) - 1;
            self.steps.push(Step { base: base as u16, bin, mask, width: width as u8, class });
            *share += 1;
        }
        Ok(())
    }

    /// The bin of every number; how many bits the codes take, and the last state of every lane.
    #[inline(always)]
    pub(super) fn bins_of(&self, codes: &Held, out: &mut [u16]) -> (usize, [usize; LANES]) {
        if self.moves.is_empty() { self.run::<false>(codes, out) } else { self.run::<true>(codes, out) }
    }

    #[inline(always)]
    fn run<const REMEMBERS: bool>(&self, codes: &Held, out: &mut [u16]) -> (usize, [usize; LANES]) {
        let log = self.log as usize;
        let mut stream = Stream { codes, bit: LANES * log, window: window(codes, 0) };
        let lane = |lane: usize, stream: &Stream<'_>| Lane {
            state: (stream.window >> (lane * log)) as usize & ((1 << log) - 1),
            at: self.first,
        };
        let mut lanes: [Lane; LANES] = std::array::from_fn(|at| lane(at, &stream));
        let rows = out.len().div_ceil(LANES);
        let mut rest = out;
        let mut outs: [&mut [u16]; LANES] = std::array::from_fn(|_| {
            let length = rows.min(rest.len());
            rest.split_off_mut(..length).expect("no more than there are")
        });
        // Each lane on its own, so that none of them leaves the registers.
        let [a, b, c, d] = &mut lanes;
        let [out_a, out_b, out_c, out_d] = &mut outs;
        for (((out_a, out_b), out_c), out_d) in
            out_a.iter_mut().zip(&mut **out_b).zip(&mut **out_c).zip(&mut **out_d)
        {
            stream.refill();
            *out_a = self.step::<REMEMBERS>(a, &mut stream);
            *out_b = self.step::<REMEMBERS>(b, &mut stream);
            *out_c = self.step::<REMEMBERS>(c, &mut stream);
            *out_d = self.step::<REMEMBERS>(d, &mut stream);
        }
        // The last lanes of a short block have fewer rows.
        for row in outs[LANES - 1].len()..rows {
            stream.refill();
            for (lane, out) in lanes.iter_mut().zip(&mut outs) {
                if let Some(out) = out.get_mut(row) {
                    *out = self.step::<REMEMBERS>(lane, &mut stream);
                }
            }
        }
        (stream.bit, lanes.map(|lane| lane.state))
    }

    /// The bin of the next number in a lane.
    #[inline(always)]
    fn step<const REMEMBERS: bool>(&self, lane: &mut Lane, stream: &mut Stream<'_>) -> u16 {
        let table = if REMEMBERS { lane.at.table() } else { 0 };
        let step = self.steps[table + lane.state];
        lane.state = usize::from(step.base) + stream.take(step.width, step.mask);
        if REMEMBERS {
            lane.at = self.moves[lane.at.state() + usize::from(step.class)];
        }
        step.bin
    }
}

/// Where a lane is.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// Of its coder.
    state: usize,
    /// Of what it remembers.
    at: Place,
}

/// The codes of a block.
struct Stream<'a> {
    codes: &'a Held,
    bit: usize,
    /// The bits from there on, as many as four steps may take.
    window: u64,
}

impl Stream<'_> {
    #[inline(always)]
    fn refill(&mut self) {
        self.window = window(self.codes, self.bit);
    }

    #[inline(always)]
    fn take(&mut self, width: u8, mask: u16) -> usize {
        let bits = self.window as usize & usize::from(mask);
        self.window >>= width;
        self.bit += usize::from(width);
        bits
    }
}

/// A number of a model that has to be below a limit.
fn below(reader: &ByteReader<'_>, number: i64, limit: usize, what: &str) -> Result<usize> {
    let found = usize::try_from(number).ok().filter(|number| *number < limit);
    found.ok_or_else(|| reader.error(format!("{what} {number} of {limit}")))
}
