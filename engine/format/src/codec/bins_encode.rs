//! Coded integer blocks: the model of a column and writing blocks by it. The layout is [`super::bins`]'s.

use std::borrow::Cow;

use super::bins::{BINS, Bin};
use super::bins_plan::Plan;
use super::bitpack::bits;
use super::int::{CODED, Transform};
use super::int_encode::{Forms, alternating, differences, encode_with, put_firsts};
use super::lanes::{self, IN_LANES, LANES, LOG_MAX, LOG_MIN, SLOTS};
use super::memory::{CLASSES, Memory};
use super::memory_encode::Tables;
use crate::bytes::ByteWriter;
use crate::limits::BLOCK_ROWS;

/// A cell with more than this share of the numbers is cut again.
const CELLS: usize = 320;
/// Bits that a bin takes in the model, about.
const BIN_BITS: f64 = 48.0;
/// Blocks that tell which transform a column gets.
const SAMPLED_BLOCKS: usize = 8;
/// As [`CELLS`], for that.
const SAMPLED_CELLS: usize = 64;
/// Blocks that tell what is remembered, where that is to be known soon.
const TOLD_BY: usize = 16;

/// The numbers of one column of a chunk, and a model made for them.
#[derive(Clone, Debug)]
struct Coder<'n> {
    numbers: Cow<'n, [i64]>,
    /// The bin of every number.
    rows: Vec<u16>,
    /// By places, then by lower end.
    bins: Vec<Bin>,
    tables: Tables,
    machine: Machine,
}

/// The tables of the coder, one after another.
#[derive(Clone, Debug, Default)]
struct Machine {
    log: u32,
    frequencies: Vec<Vec<u16>>,
    /// By table, then by bin.
    steps: Vec<Step>,
    /// The states that stand for a bin, bin after bin, in ascending order; table after table.
    states: Vec<u16>,
}

/// What a bin makes of a state.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Plus the state, this is how many of the state's bits are told, above sixteen others.
    width: u32,
    /// Plus the bits that are left of the state, this is the place of the next one in `states`.
    start: i32,
}

impl Machine {
    /// With frequencies in proportion to counts.
    fn new(tables: &[Vec<u32>], log: u32) -> Self {
        let mut machine = Self { log, ..Self::default() };
        for counts in tables {
            machine.add(normalized(counts, 1 << log));
        }
        machine
    }

    fn add(&mut self, frequencies: Vec<u16>) {
        let mut end = self.states.len();
        let mut next: Vec<usize> = Vec::with_capacity(frequencies.len());
        for frequency in &frequencies {
            let width = self.log - frequency.checked_ilog2().unwrap_or(0);
            // What is left of a state is at least the frequency, and less than twice as much: of states below this, one bit
            // less is told.
            let least = u32::from(*frequency) << width;
            let start = end as i32 - i32::from(*frequency);
            self.steps.push(Step { width: (width << 16).wrapping_sub(least), start });
            next.push(end);
            end += usize::from(*frequency);
        }
        self.states.resize(end, 0);
        for (state, bin) in lanes::spread(&frequencies, self.log).into_iter().enumerate() {
            let at = &mut next[usize::from(bin)];
            self.states[*at] = state as u16;
            *at += 1;
        }
        self.frequencies.push(frequencies);
    }

    /// The state from which a step leads to this one, and how many of its bits that leaves to be told.
    fn before(&self, state: u16, step: u16) -> (u16, u32) {
        let (state, step) = (u32::from(state) + (1 << self.log), self.steps[usize::from(step)]);
        let width = step.width.wrapping_add(state) >> 16;
        (self.states[((state >> width) as i32 + step.start) as usize], width)
    }
}

impl<'n> Coder<'n> {
    /// The best bins for some numbers, of which about so many blocks tell what is remembered; `None` if too many would be needed.
    fn new(numbers: impl Into<Cow<'n, [i64]>>, told_by: usize) -> Option<Self> {
        let numbers = numbers.into();
        let plan = Plan::new(&numbers, CELLS, BIN_BITS);
        if plan.bins.len() > BINS {
            return None;
        }
        let ((rows, counts), bins) = (plan.rows(&numbers), plan.bins);
        let sizes: Vec<f64> = bins.iter().map(|bin| bin.middle().abs()).collect();
        let tables = Tables::best(&rows, counts, &sizes, told_by);
        let least = (bits(bins.len() as u64) + 1).clamp(LOG_MIN, LOG_MAX);
        let most = LOG_MAX.min((SLOTS / tables.counts.len()).ilog2());
        let lanes = numbers.len().div_ceil(BLOCK_ROWS) * LANES;
        let log =
            (least..=most).min_by_key(|log| table_bits(&tables.counts, *log) + lanes * *log as usize)?;
        let machine = Machine::new(&tables.counts, log);
        Some(Self { numbers, rows, bins, tables, machine })
    }

    /// The model as it stands in the file.
    fn model(&self) -> Vec<u8> {
        let mut out = vec![IN_LANES | self.machine.log as u8];
        out.put_varint(self.bins.len() as u64);
        let mut last = 0i64;
        for bin in &self.bins {
            out.put_u8(bin.places);
            out.put_u8(bin.width);
            out.put_signed_varint(bin.lower.wrapping_sub(last));
            last = bin.lower;
        }
        let Tables { memory, classes, class_of, table_of, .. } = &self.tables;
        let numbers = |bytes: &[u8]| bytes.iter().map(|byte| i64::from(*byte)).collect::<Vec<_>>();
        out.put_u8(memory.id());
        if *memory != Memory::None {
            out.put_u8(*classes as u8);
            out.put_u8(self.machine.frequencies.len() as u8);
            encode_with(Forms::EVERYWHERE, &numbers(class_of), None, &mut out);
            encode_with(Forms::EVERYWHERE, &numbers(table_of), None, &mut out);
        }
        for frequencies in &self.machine.frequencies {
            put_frequencies(frequencies, &mut out);
        }
        out
    }

    /// Appends a block, with what the first differences are added to.
    fn encode(&self, block: usize, transform: Transform, firsts: [i64; 2], out: &mut Vec<u8>) {
        out.put_u8(CODED | (transform as u8) << 3);
        put_firsts(transform, firsts, out);
        let range = block * BLOCK_ROWS..self.rows.len().min((block + 1) * BLOCK_ROWS);
        let (numbers, bins) = (&self.numbers[range.clone()], &self.rows[range]);
        let mut offsets = Vec::new();
        if self.bins.iter().any(|bin| bin.width > 0) {
            let places = numbers.iter().zip(bins);
            put_bits(places.map(|(number, bin)| self.bins[usize::from(*bin)].place(*number)), &mut offsets);
        }
        // Coders go backwards: what was told last is read first. They begin where decoding ends: with the first offsets.
        let mut states =
            std::array::from_fn::<_, LANES, _>(|at| u16::from(offsets.get(at).copied().unwrap_or(0)));
        let steps = self.steps(bins);
        let mut before = steps.as_slice();
        let mut told = Vec::with_capacity(bins.len() + LANES);
        let tell = |state: &mut u16, step: u16| {
            let (before, width) = self.machine.before(*state, step);
            let told = Told { bits: *state & ((1 << width) - 1), width: width as u16 };
            *state = before;
            told
        };
        for row in (0..bins.len().div_ceil(LANES)).rev() {
            let (rest, these) = before.split_at(before.len() - lanes_of_row(bins.len(), row));
            before = rest;
            if let Ok(these) = <[u16; LANES]>::try_from(these) {
                // As below, of a row that all lanes have: nearly every one.
                let [a, b, c, d] = &mut states;
                told.extend([tell(d, these[3]), tell(c, these[2]), tell(b, these[1]), tell(a, these[0])]);
            } else {
                told.extend(these.iter().zip(&mut states).rev().map(|(step, state)| tell(state, *step)));
            }
        }
        told.extend(states.iter().rev().map(|state| Told { bits: *state, width: self.machine.log as u16 }));
        put_told(&told, out);
        out.extend_from_slice(offsets.get(LANES..).unwrap_or(&[]));
    }

    /// The numbers of a block in the order in which they are read, row by row of all lanes, as steps of the coder.
    fn steps(&self, bins: &[u16]) -> Vec<u16> {
        let Tables { class_of, table_of, moves, .. } = &self.tables;
        let rows = bins.len().div_ceil(LANES);
        let mut states = [0u8; LANES];
        let mut out = Vec::with_capacity(bins.len());
        let step = |state: &mut u8, bin: u16| {
            let step = u16::from(table_of[usize::from(*state)]) * self.bins.len() as u16 + bin;
            *state = moves[usize::from(*state) * CLASSES + usize::from(class_of[usize::from(bin)])];
            step
        };
        // The lanes have all of these rows, then all but the last ones.
        let all = bins.len().saturating_sub((LANES - 1) * rows);
        let of_lane: [&[u16]; LANES] = std::array::from_fn(|lane| bins.get(lane * rows..).unwrap_or(&[]));
        for row in 0..all {
            let [a, b, c, d] = &mut states;
            let [of_a, of_b, of_c, of_d] = of_lane;
            out.extend([step(a, of_a[row]), step(b, of_b[row]), step(c, of_c[row]), step(d, of_d[row])]);
        }
        for row in all..rows {
            for (state, bins) in states.iter_mut().zip(&of_lane).take(lanes_of_row(bins.len(), row)) {
                out.push(step(state, bins[row]));
            }
        }
        out
    }
}

/// How many lanes of a block of so many numbers have a row of that number: the last ones are shorter, or have none.
fn lanes_of_row(numbers: usize, row: usize) -> usize {
    let rows = numbers.div_ceil(LANES);
    1 + (1..LANES).filter(|lane| lane * rows + row < numbers).count()
}

/// Bits of a state that a coder tells.
#[derive(Clone, Copy, Debug)]
struct Told {
    bits: u16,
    width: u16,
}

/// Appends what was told, the last first, up to the next whole byte.
fn put_told(told: &[Told], out: &mut Vec<u8>) {
    let (mut pending, mut held) = (0u64, 0);
    for Told { bits, width } in told.iter().rev() {
        pending |= u64::from(*bits) << held;
        held += u32::from(*width);
        if held >= u32::BITS {
            out.put_u32(pending as u32);
            pending >>= u32::BITS;
            held -= u32::BITS;
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Appends numbers of so many bits each, end to end, up to the next whole byte.
fn put_bits(numbers: impl Iterator<Item = (u64, u32)>, out: &mut Vec<u8>) {
    let (mut pending, mut held) = (0u64, 0);
    for (number, width) in numbers {
        pending |= number << held;
        held += width;
        if held >= u64::BITS {
            out.put_u64(pending);
            held -= u64::BITS;
            pending = number.checked_shr(width - held).unwrap_or(0);
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// How the integer blocks of one column of a chunk are written: coded wherever that is smaller.
#[derive(Clone, Debug)]
pub struct Coding<'v> {
    coder: Coder<'v>,
    transform: Transform,
    /// What the first differences of each block are added to.
    firsts: Vec<[i64; 2]>,
    /// Whether no block is to be coded: see [`Coding::mark`].
    unused: bool,
}

impl<'v> Coding<'v> {
    /// The model for the blocks of a column, of some forms; with `residuals`, its values minus their prediction.
    pub fn new(forms: Forms, values: &'v [i64], residuals: Option<&'v [i64]>) -> Option<Self> {
        Self::told_by(usize::MAX, forms, values, residuals)
    }

    /// As [`Coding::new`], but some blocks tell what is remembered: less time for about a thousandth more bytes (decision 0024).
    pub fn quick(forms: Forms, values: &'v [i64], residuals: Option<&'v [i64]>) -> Option<Self> {
        Self::told_by(TOLD_BY, forms, values, residuals)
    }

    fn told_by(blocks: usize, forms: Forms, values: &'v [i64], residuals: Option<&'v [i64]>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        // Which transform is best, some blocks tell; all of them would pay for a bin.
        let one_of = values.len().div_ceil(BLOCK_ROWS).div_ceil(SAMPLED_BLOCKS).max(1);
        let sampled = |transform| {
            let numbers = transformed(values, residuals, transform, one_of).1;
            Plan::new(&numbers, SAMPLED_CELLS, BIN_BITS / one_of as f64).bits
        };
        let may = |transform: &Transform| {
            forms.allow_transform(*transform) && (*transform != Transform::Group || residuals.is_some())
        };
        let all = [Transform::Plain, Transform::Delta, Transform::Group, Transform::Alternate];
        let sizes = all.into_iter().filter(may).map(|transform| (sampled(transform), transform));
        let transform = sizes.min_by(|a, b| a.0.total_cmp(&b.0))?.1;
        let (firsts, numbers) = transformed(values, residuals, transform, 1);
        Some(Self { coder: Coder::new(numbers, blocks)?, transform, firsts, unused: false })
    }

    /// The shortest model that there is, for a column of which no block is coded: it tells that this was tried.
    pub fn mark() -> Self {
        let bins = vec![Bin { places: 0, width: 0, lower: 0 }];
        let (tables, machine) = (Tables::without_memory(vec![1]), Machine::new(&[vec![1]], LOG_MIN));
        let coder = Coder { numbers: Cow::default(), rows: Vec::new(), bins, tables, machine };
        Self { coder, transform: Transform::Plain, firsts: Vec::new(), unused: true }
    }

    /// The model as it stands in the file.
    pub fn model(&self) -> Vec<u8> {
        self.coder.model()
    }

    /// Appends the block of that number, of those of [`BLOCK_ROWS`] that the column is cut into, if that takes fewer than `most`
    /// bytes; whether it does.
    pub fn encode(&self, block: usize, most: usize, out: &mut Vec<u8>) -> bool {
        if self.unused {
            return false;
        }
        let start = out.len();
        let firsts = self.firsts.get(block).copied().unwrap_or_default();
        self.coder.encode(block, self.transform, firsts, out);
        let smaller = out.len() - start < most;
        if !smaller {
            out.truncate(start);
        }
        smaller
    }
}

/// One of so many blocks of a column after a transform, and what the first differences of each are added to.
fn transformed<'v>(
    values: &'v [i64],
    residuals: Option<&'v [i64]>,
    transform: Transform,
    one_of: usize,
) -> (Vec<[i64; 2]>, Cow<'v, [i64]>) {
    let numbers = if transform == Transform::Group { residuals.unwrap_or(values) } else { values };
    if one_of == 1 && matches!(transform, Transform::Plain | Transform::Group) {
        return (Vec::new(), Cow::Borrowed(numbers));
    }
    let (mut firsts, mut out) = (Vec::new(), Vec::with_capacity(values.len().div_ceil(one_of)));
    for block in numbers.chunks(BLOCK_ROWS).step_by(one_of) {
        match transform {
            Transform::Plain | Transform::Group => out.extend_from_slice(block),
            Transform::Delta => {
                let (first, steps) = differences(block);
                firsts.push([first, 0]);
                out.extend_from_slice(&steps);
            }
            Transform::Alternate => {
                let (both, steps) = alternating(block);
                firsts.push(both);
                out.extend_from_slice(&steps);
            }
        }
    }
    (firsts, Cow::Owned(out))
}

/// Bits of numbers that come so often, and of their tables, if frequencies add up to `2^log`.
fn table_bits(tables: &[Vec<u32>], log: u32) -> usize {
    let (mut bits, mut bytes) = (0.0, Vec::new());
    for counts in tables {
        let frequencies = normalized(counts, 1 << log);
        put_frequencies(&frequencies, &mut bytes);
        let told = counts.iter().zip(&frequencies).filter(|(count, _)| **count > 0);
        bits +=
            told.map(|(n, share)| f64::from(*n) * (f64::from(log) - f64::from(*share).log2())).sum::<f64>();
    }
    bits as usize + bytes.len() * 8
}

fn put_frequencies(frequencies: &[u16], out: &mut Vec<u8>) {
    let numbers: Vec<i64> = frequencies.iter().map(|share| i64::from(*share)).collect();
    encode_with(Forms::EVERYWHERE, &numbers, None, out);
}

/// Frequencies that add up to `total`, in proportion to counts, of at least one for each that is not zero.
fn normalized(counts: &[u32], total: u16) -> Vec<u16> {
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let share = |count: &u32| match count {
        0 => 0,
        _ => ((f64::from(*count) * f64::from(total) / sum as f64).round() as u16).max(1),
    };
    let mut out: Vec<u16> = counts.iter().map(share).collect();
    loop {
        let now: u16 = out.iter().sum();
        if now == total {
            return out;
        }
        // The largest share notices least.
        let largest = (0..out.len()).max_by_key(|index| out[*index]).expect("there are bins");
        if now < total {
            out[largest] += total - now;
        } else {
            let less = (now - total).min(out[largest].div_ceil(4)).min(out[largest] - 1);
            out[largest] -= less;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bins_plan::most_places;
    use super::*;
    use crate::bytes::ByteReader;
    use crate::codec::bins::{BinScratch, Model};
    use crate::codec::int::IntScratch;
    use crate::codec::kernel::Kernels;

    fn round_trip(numbers: &[i64]) -> usize {
        round_trip_by(&Coder::new(numbers, usize::MAX).expect("few enough bins"), numbers)
    }

    /// The bytes that the numbers take with their model, with every table of kernels.
    fn round_trip_by(coder: &Coder<'_>, numbers: &[i64]) -> usize {
        let mut model = Model::default();
        model.read(&coder.model(), &mut IntScratch::default()).expect("own model");
        let mut scratch = BinScratch::default();
        let mut total = coder.model().len();
        for (index, block) in numbers.chunks(BLOCK_ROWS).enumerate() {
            let mut bytes = Vec::new();
            coder.encode(index, Transform::Plain, [0; 2], &mut bytes);
            for kernels in Kernels::all() {
                let mut reader = ByteReader::new(&bytes[1..], "K16");
                let mut out = vec![0; block.len()];
                model.decode(&mut reader, &mut out, &mut scratch, kernels).expect("own bytes");
                reader.finish().expect("nothing is left");
                assert_eq!(out, block, "{}", kernels.name);
            }
            total += bytes.len();
        }
        total
    }

    /// Columns in which nothing, the two numbers before, or many of them tell about the next.
    fn remembered(memory: usize, count: usize) -> Vec<i64> {
        let noise = |i: usize| {
            let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
        };
        let random = |i: usize, below: u64| ((noise(i) >> 40) % below) as i64;
        let mut out: Vec<i64> = Vec::new();
        for i in 0..count {
            let next = match (memory, i) {
                (0, _) | (1, 0 | 1) => random(i, 9),
                (1, _) if random(i, 10) > 0 => out[i - 2],
                (1, _) => random(i + count, 9),
                _ => random(i, 1 << (3 + random(i / 200 + 7_000_000, 12))) - 3,
            };
            out.push(next);
        }
        out
    }

    #[test]
    fn lanes_of_every_length_come_back_whatever_is_remembered() {
        let mut found = std::collections::BTreeSet::new();
        for memory in 0..3 {
            let all = remembered(memory, 40_000);
            let coder = Coder::new(&all, usize::MAX).expect("few enough bins");
            found.insert(coder.tables.memory.id().min(2));
            round_trip(&all);
            // The last block is of each length; the lanes of a short one have no rows, or differ.
            for count in (1..20).chain(250..262).chain(1019..1024) {
                round_trip(&all[..3 * BLOCK_ROWS + count]);
                round_trip(&all[..count]);
            }
        }
        assert_eq!(Vec::from_iter(found), [0, 1, 2], "none, a pair and a mean");
    }

    /// A model that some blocks chose is one for all: numbers come back, and take hardly more.
    #[test]
    fn some_blocks_tell_what_is_remembered() {
        for memory in 0..3 {
            let numbers = remembered(memory, 100 * BLOCK_ROWS + 17);
            let bytes = |told_by| {
                let coder = Coder::new(&numbers, told_by).expect("few enough bins");
                (coder.tables.memory.id(), round_trip_by(&coder, &numbers))
            };
            let (by_all, by_some) = (bytes(usize::MAX), bytes(TOLD_BY));
            // Means of more and of fewer numbers tell about as much.
            assert_eq!(by_some.0.min(2), by_all.0.min(2));
            assert!(by_some.1 * 100 < by_all.1 * 101, "{by_some:?}, {by_all:?}");
        }
    }

    #[test]
    fn numbers_of_every_length_come_back() {
        let edges = (0..64).flat_map(|bit| {
            [1i64 << bit, (-1i64) << bit, (1u64 << bit) as i64 - i64::from(bit < 63), !(1i64 << bit)]
        });
        let edges: Vec<i64> = edges.chain([0, i64::MIN, i64::MAX]).collect();
        round_trip(&edges);
        for count in [1, 2, 3, 1023, 1024, 1025, 5000] {
            round_trip(&edges.iter().copied().cycle().take(count).collect::<Vec<_>>());
            round_trip(&vec![i64::MIN; count]);
            let noise = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i << 40) as i64;
            round_trip(&(0..count as u64).map(noise).collect::<Vec<_>>());
            for shift in [1, 17, 40, 57, 63] {
                round_trip(&(0..count as u64).map(|i| noise(i) >> shift).collect::<Vec<_>>());
            }
        }
    }

    /// Many numbers that lie close together, up to the last ones there are.
    #[test]
    fn numbers_at_the_ends_of_all_come_back() {
        for end in [i64::MIN, i64::MAX] {
            round_trip(&(0..3000).map(|i| end ^ (i * 7919 % 97)).collect::<Vec<_>>());
        }
    }

    /// Times of quotes, which come in pairs: every other difference is zero. The others are whole milliseconds, in nanoseconds.
    #[test]
    fn places_are_taken_out_of_the_numbers_that_are_not_zero() {
        let gap = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as i64 * 1_000_000;
        let gaps: Vec<i64> = (0..65_536).map(|i| if i % 2 == 0 { 0 } else { gap(i) }).collect();
        assert_eq!(most_places(&gaps), 15);
        // 14 bits for every other one, and one that tells which.
        let bytes = round_trip(&gaps);
        assert!(bytes * 8 < gaps.len() / 2 * 16 + 16_000, "{bytes} bytes");
        // Zeros beside numbers of any last digit are no round numbers.
        let noise = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as i64 | 1;
        let few: Vec<i64> = (0..65_536).map(|i| if i % 3 == 0 { noise(i) } else { 0 }).collect();
        assert_eq!(most_places(&few), 0);
    }

    /// A state that is off by a few bits decodes to other numbers. Where the coders end tells most of them; checksums tell all.
    #[test]
    fn a_block_that_does_not_end_where_it_began_is_refused() {
        let numbers: Vec<i64> = (0..1000).map(|i: i64| i.wrapping_mul(7919) % 97 * (i % 3)).collect();
        let coder = Coder::new(&numbers, usize::MAX).expect("few enough bins");
        let mut model = Model::default();
        model.read(&coder.model(), &mut IntScratch::default()).expect("own model");
        let mut bytes = Vec::new();
        coder.encode(0, Transform::Plain, [0; 2], &mut bytes);
        let mut scratch = BinScratch::default();
        let mut decode = |bytes: &[u8]| {
            let (mut reader, mut out) = (ByteReader::new(&bytes[1..], "K1"), vec![0; 1000]);
            model.decode(&mut reader, &mut out, &mut scratch, Kernels::best())?;
            reader.finish().map(|()| out)
        };
        assert_eq!(decode(&bytes).expect("own bytes"), numbers);
        let (mut refused, states) = (0, coder.machine.log as usize * LANES);
        for bit in 0..states {
            let mut other = bytes.clone();
            other[1 + bit / 8] ^= 1 << (bit % 8);
            match decode(&other) {
                Ok(found) => assert_ne!(found, numbers),
                Err(error) => refused += usize::from(error.rule == "K19"),
            }
        }
        assert!(refused > states * 3 / 4, "{refused} of {states}");
        for length in 1..bytes.len() {
            decode(&bytes[..length]).expect_err("a part of a block");
        }
    }

    /// Sizes of trades: few numbers, each at random. Their differences have fewer digits and are many more numbers.
    #[test]
    fn a_column_of_few_numbers_is_not_coded_as_differences() {
        let size = |i: u64| {
            [100, 200, 300, 100, 500, 100, 1000, 137][(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61) as usize]
        };
        let sizes: Vec<i64> = (0..20_000).map(size).collect();
        let coding = Coding::new(Forms::EVERYWHERE, &sizes, None).expect("few bins");
        assert_eq!(coding.transform, Transform::Plain);
        let mut out = Vec::new();
        for block in 0..sizes.len().div_ceil(BLOCK_ROWS) {
            assert!(coding.encode(block, usize::MAX, &mut out));
        }
        // Three of eight are 100: 2.41 bits each.
        assert!(out.len() * 8 < sizes.len() * 5 / 2, "{} bytes", out.len());
        let rising: Vec<i64> = (0..20_000).map(|i| i * 1000 + size(i as u64)).collect();
        let coding = Coding::new(Forms::EVERYWHERE, &rising, None).expect("few bins");
        assert_eq!(coding.transform, Transform::Delta);
    }

    #[test]
    fn round_numbers_cost_what_their_digits_do() {
        let digit = |i: i64| i.wrapping_mul(7919) % 997;
        let round: Vec<i64> = (0..20_000).map(|i| (1000 + digit(i)) * 10i64.pow((i % 9) as u32)).collect();
        // Three digits and one of nine places are 13.2 bits.
        let bytes = round_trip(&round);
        assert!(bytes * 8 < 20_000 * 14, "{bytes} bytes");
    }

    #[test]
    fn numbers_of_rare_places_come_back_with_a_zero_more() {
        // A third is round, so places are taken out; a few have so many that they get no bins of their own.
        let number = |i: i64| (1 + i * 7919 % 997) * if i % 3 == 0 { 100 } else { 1 };
        let mut numbers: Vec<i64> = (0..20_000).map(number).collect();
        for (at, places) in [(5, 5), (77, 9), (900, 5), (15_000, 12), (19_999, 7)] {
            numbers[at] = 3 * 10i64.pow(places);
        }
        assert_eq!(most_places(&numbers), 15);
        let coder = Coder::new(&numbers, usize::MAX).expect("few enough bins");
        assert!(coder.bins.iter().all(|bin| bin.places <= 4), "no bins for a handful");
        round_trip(&numbers);
    }

    /// Places that are rare between ones that are not: their numbers go one place down, never up.
    #[test]
    fn numbers_of_a_rare_place_between_frequent_ones_go_down() {
        let number = |i: i64| (1 + i * 7919 % 89) * [1, 100, 10_000][i as usize % 3];
        let mut numbers: Vec<i64> = (0..20_000).map(number).filter(|number| number % 1000 != 0).collect();
        let none = numbers.len();
        numbers.extend((0..9_000).map(|i| (1 + i * 7919 % 89) * 10_000));
        numbers.extend([7_000, 3_000, 41_000]);
        let coder = Coder::new(&numbers, usize::MAX).expect("few enough bins");
        assert!(coder.bins.iter().any(|bin| bin.places == 4) && coder.bins.iter().all(|bin| bin.places != 3));
        round_trip(&numbers);
        round_trip(&numbers[none..]);
    }

    /// Of a block with one lane, as files of before have it.
    #[test]
    fn more_words_than_numbers_are_refused() {
        let mut model = Model::default();
        model.read(&[5, 1, 0, 3, 0, 31], &mut IntScratch::default()).expect("a bin of three bits");
        for count in [5, 6, 7, 1000, u64::MAX] {
            let mut bytes = Vec::new();
            bytes.put_varint(count);
            bytes.put_u32(1 << 16);
            bytes.resize(4000, 0);
            let mut reader = ByteReader::new(&bytes, "K16");
            let error = model
                .decode(&mut reader, &mut [0; 4], &mut BinScratch::default(), Kernels::best())
                .unwrap_err();
            assert!(error.detail.contains("words for 4 numbers"), "{error}");
        }
    }

    #[test]
    fn frequencies_add_up_however_many_are_rare() {
        for total in [2048, 4096] {
            let mut counts = vec![1; 1000];
            counts.push(1 << 20);
            let out = normalized(&counts, total);
            assert_eq!(out.iter().sum::<u16>(), total);
            assert!(out.iter().all(|share| *share > 0));
            // What never comes gets nothing.
            counts.push(0);
            assert_eq!(normalized(&counts, total).last(), Some(&0));
        }
    }
}
