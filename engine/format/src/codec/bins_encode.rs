//! Coded integer blocks: choosing the bins of a column and writing blocks. The layout is [`super::bins`]'s.
//!
//! Numbers are sorted and cut into cells, some hundreds; neighbouring cells are then joined so that the total of coded
//! bins, offsets and the model is least, by dynamic programming, as `pco` joins its bins.

use super::bins::{BINS, Bin, span_bits, split_places};
use super::bitpack::bits;
use super::int::{CODED, Transform};
use super::int_encode::{Forms, alternating, differences, encode_with, put_firsts};
use super::lanes::{self, IN_LANES, LANES, LOG_MAX, LOG_MIN, SLOTS};
use super::memory::Memory;
use super::memory_encode::{Tables, lanes as lanes_of};
use crate::bytes::ByteWriter;
use crate::limits::BLOCK_ROWS;

/// A cell with more than this share of the numbers is cut again.
const CELLS: usize = 320;
/// Cells at most: the joining is quadratic.
const MOST_CELLS: usize = 900;
/// Bits that a bin takes in the model, about.
const BIN_BITS: f64 = 48.0;
/// Numbers are near if the greatest is less than this above the least.
const NEAR: i64 = 1 << 14;
/// No bin.
const UNKNOWN: u16 = u16::MAX;
/// Blocks that tell which transform a column gets.
const SAMPLED_BLOCKS: usize = 8;
/// As [`CELLS`], for that.
const SAMPLED_CELLS: usize = 64;

/// A model, made for the numbers of one column of a chunk.
#[derive(Clone, Debug)]
pub struct Coder {
    log: u32,
    /// By places, then by lower end.
    bins: Vec<Bin>,
    /// The bins of each number of places.
    by_places: Vec<std::ops::Range<usize>>,
    near: Near,
    tables: Tables,
    coders: Vec<Table>,
}

/// The bins of numbers that lie close together, by number: to look for one takes longer.
#[derive(Clone, Debug, Default)]
struct Near {
    least: i64,
    /// [`UNKNOWN`] for numbers that were not met.
    bins: Vec<u16>,
}

impl Near {
    fn of(numbers: &[i64]) -> Self {
        let (least, most) = numbers.iter().fold((i64::MAX, i64::MIN), |(a, b), n| (a.min(*n), b.max(*n)));
        match most.checked_sub(least) {
            Some(span @ 0..NEAR) => Self { least, bins: vec![UNKNOWN; span as usize + 1] },
            _ => Self::default(),
        }
    }

    /// Where the bin of a number stands, if it is near.
    fn at(&self, number: i64) -> Option<usize> {
        let at = number.wrapping_sub(self.least) as u64;
        (at < self.bins.len() as u64).then_some(at as usize)
    }
}

/// A table of the coder.
#[derive(Clone, Debug)]
struct Table {
    frequencies: Vec<u16>,
    /// Where the states of each bin begin in `states`.
    starts: Vec<u16>,
    /// The states that stand for a bin, bin after bin, in ascending order.
    states: Vec<u16>,
}

impl Table {
    /// With frequencies in proportion to counts.
    fn new(counts: &[u32], log: u32) -> Self {
        let frequencies = normalized(counts, 1 << log);
        let starts = frequencies.iter().scan(0, |next, frequency| {
            let start = *next;
            *next += frequency;
            Some(start)
        });
        let starts: Vec<u16> = starts.collect();
        let (mut states, mut next) = (vec![0; 1 << log], starts.clone());
        for (state, bin) in lanes::spread(&frequencies, log).into_iter().enumerate() {
            let at = &mut next[usize::from(bin)];
            states[usize::from(*at)] = state as u16;
            *at += 1;
        }
        Self { frequencies, starts, states }
    }

    /// The state from which a step to this one gives the bin, and how many of its bits that leaves to be told.
    fn before(&self, state: u16, bin: usize, log: u32) -> (u16, u32) {
        let (state, frequency) = (u32::from(state) + (1 << log), u32::from(self.frequencies[bin]));
        // As many bits as leave at least the frequency, and less than twice as much.
        let mut width = log - frequency.ilog2();
        if state >> width < frequency {
            width -= 1;
        }
        let at = u32::from(self.starts[bin]) + (state >> width) - frequency;
        (self.states[at as usize], width)
    }
}

/// Sorted numbers that stay together.
#[derive(Clone, Copy, Debug)]
struct Cell {
    lower: i64,
    upper: i64,
    count: usize,
}

/// Bins for some numbers.
struct Plan {
    /// Without frequencies; how many numbers each has.
    bins: Vec<(Bin, usize)>,
    /// Bits of coded bins, offsets and the model together, about.
    bits: f64,
}

impl Plan {
    /// The best bins out of cells of at least one in so many numbers, if a bin takes so many bits.
    fn new(numbers: &[i64], cells_at_least: usize, bin_bits: f64) -> Self {
        let most = most_places(numbers);
        let mut split: Vec<(u8, i64)> = numbers.iter().map(|number| split_places(*number, most)).collect();
        if most > 0 {
            join_rare_places(&mut split);
        }
        split.sort_unstable();
        let least = (split.len() / cells_at_least).max(1);
        let mut plan = Self { bins: Vec::new(), bits: 0.0 };
        for class in split.chunk_by(|a, b| a.0 == b.0) {
            let mut cells = Vec::new();
            cells_of(class, least, &mut cells);
            while cells.len() > MOST_CELLS {
                cells = cells.chunks(2).map(joined).collect();
            }
            let (joined, bits) = join(&cells, split.len(), bin_bits);
            plan.bits += bits;
            for cell in joined {
                let (lower, width) = (cell.lower, span_bits(cell.lower, cell.upper) as u8);
                plan.bins.push((Bin { places: class[0].0, width, lower }, cell.count));
            }
        }
        plan
    }
}

impl Coder {
    /// The best bins for these numbers; `None` if there are none, or too many would be needed.
    pub fn new(numbers: &[i64]) -> Option<Self> {
        let plan = Plan::new(numbers, CELLS, BIN_BITS);
        if plan.bins.is_empty() || plan.bins.len() > BINS {
            return None;
        }
        let (mut bins, mut by_places) = (Vec::new(), Vec::new());
        for (bin, _) in plan.bins {
            while by_places.len() <= usize::from(bin.places) {
                by_places.push(bins.len()..bins.len());
            }
            bins.push(bin);
            by_places[usize::from(bin.places)].end = bins.len();
        }
        let tables = Tables::without_memory(&[], bins.len());
        let near = Near::of(numbers);
        let mut coder = Self { log: 0, bins, by_places, near, tables, coders: Vec::new() };
        let rows: Vec<u16> = numbers.iter().map(|number| coder.learn(*number)).collect();
        let sizes: Vec<f64> = coder.bins.iter().map(|bin| bin.middle().abs()).collect();
        coder.tables = Tables::best(&rows, &sizes);
        let counts = &coder.tables.counts;
        let least = (bits(coder.bins.len() as u64) + 1).clamp(LOG_MIN, LOG_MAX);
        let most = LOG_MAX.min((SLOTS / counts.len()).ilog2());
        let lanes = numbers.len().div_ceil(BLOCK_ROWS) * LANES;
        coder.log = (least..=most).min_by_key(|log| table_bits(counts, *log) + lanes * *log as usize)?;
        coder.coders = counts.iter().map(|counts| Table::new(counts, coder.log)).collect();
        Some(coder)
    }

    /// The model as it stands in the file.
    pub fn model(&self) -> Vec<u8> {
        let mut out = vec![IN_LANES | self.log as u8];
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
            out.put_u8(self.coders.len() as u8);
            encode_with(Forms::EVERYWHERE, &numbers(class_of), None, &mut out);
            encode_with(Forms::EVERYWHERE, &numbers(table_of), None, &mut out);
        }
        for coder in &self.coders {
            put_frequencies(&coder.frequencies, &mut out);
        }
        out
    }

    /// The bin of a number, which is known from then on if it is near.
    fn learn(&mut self, number: i64) -> u16 {
        let Some(at) = self.near.at(number) else { return self.look_for(number).0 as u16 };
        if self.near.bins[at] == UNKNOWN {
            self.near.bins[at] = self.look_for(number).0 as u16;
        }
        self.near.bins[at]
    }

    /// The bin of a number that the model was made for, and its offset there.
    fn place(&self, number: i64) -> (usize, u64) {
        let Some(at) = self.near.at(number) else { return self.look_for(number) };
        let index = usize::from(self.near.bins[at]);
        let Bin { places, lower, .. } = self.bins[index];
        let rest = if places == 0 { number } else { number / 10i64.pow(u32::from(places)) };
        (index, rest.wrapping_sub(lower) as u64)
    }

    /// The bin of a number, and its offset there. With fewer places than it has, if those are too rare.
    fn look_for(&self, number: i64) -> (usize, u64) {
        let (mut places, mut rest) = split_places(number, (self.by_places.len() - 1) as u8);
        loop {
            let range = self.by_places[usize::from(places)].clone();
            let found = self.bins[range.clone()].partition_point(|bin| bin.lower <= rest);
            if found > 0 {
                let index = range.start + found - 1;
                let offset = rest.wrapping_sub(self.bins[index].lower) as u64;
                if bits(offset) <= u32::from(self.bins[index].width) {
                    return (index, offset);
                }
            }
            // The model was made for these numbers: some number of places holds it.
            places -= 1;
            rest *= 10;
        }
    }

    /// Appends a block of the numbers that the model was made for, one of those that they were cut into: a number is looked for
    /// among those that came after the same ones.
    pub fn encode(&self, numbers: &[i64], transform: Transform, firsts: [i64; 2], out: &mut Vec<u8>) {
        out.put_u8(CODED | (transform as u8) << 3);
        put_firsts(transform, firsts, out);
        let placed: Vec<(usize, u64)> = numbers.iter().map(|number| self.place(*number)).collect();
        let coders: Vec<&Table> = lanes_of(&placed).flat_map(|lane| self.coders_of(lane)).collect();
        let rows = numbers.len().div_ceil(LANES);
        let mut offsets = Vec::new();
        let offset = |(bin, offset): &(usize, u64)| (*offset, u32::from(self.bins[*bin].width));
        put_bits(placed.iter().map(offset), &mut offsets);
        // Coders go backwards: what was told last is read first. They begin where decoding ends: with the first offsets.
        let mut states =
            std::array::from_fn::<_, LANES, _>(|at| u16::from(offsets.get(at).copied().unwrap_or(0)));
        let mut told = Vec::new();
        for row in (0..rows).rev() {
            for (lane, state) in states.iter_mut().enumerate().rev() {
                let at = lane * rows + row;
                let Some((bin, _)) = placed.get(at) else { continue };
                let (before, width) = coders[at].before(*state, *bin, self.log);
                told.push((u64::from(*state) & ((1 << width) - 1), width));
                *state = before;
            }
        }
        told.extend(states.iter().rev().map(|state| (u64::from(*state), self.log)));
        put_bits(told.into_iter().rev(), out);
        out.extend(offsets.iter().skip(LANES));
    }

    /// The table of every number in a lane.
    fn coders_of<'s>(&'s self, lane: &'s [(usize, u64)]) -> impl Iterator<Item = &'s Table> {
        let Tables { memory, classes, class_of, table_of, .. } = &self.tables;
        let mut state = 0;
        lane.iter().map(move |(bin, _)| {
            let table = table_of[state];
            state = memory.next(*classes, state, usize::from(class_of[*bin]));
            &self.coders[usize::from(table)]
        })
    }
}

/// Appends numbers of so many bits each, end to end, up to the next whole byte.
fn put_bits(numbers: impl Iterator<Item = (u64, u32)>, out: &mut Vec<u8>) {
    let (mut pending, mut held) = (0u128, 0);
    for (number, width) in numbers {
        pending |= u128::from(number) << held;
        held += width;
        if held >= 64 {
            out.put_u64(pending as u64);
            pending >>= 64;
            held -= 64;
        }
    }
    out.extend_from_slice(&(pending as u64).to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// How the integer blocks of one column of a chunk are written: coded wherever that is smaller.
#[derive(Clone, Debug)]
pub struct Coding {
    coder: Coder,
    transform: Transform,
    /// Whether no block is to be coded: see [`Coding::mark`].
    unused: bool,
}

impl Coding {
    /// The model for the blocks of a column, of some forms; with `residuals`, its values minus their prediction.
    pub fn new(forms: Forms, values: &[i64], residuals: Option<&[i64]>) -> Option<Self> {
        let blocks = |one_of| values.chunks(BLOCK_ROWS).step_by(one_of);
        let each = |one_of, transform: &dyn Fn(&[i64]) -> Vec<i64>| {
            let mut out = Vec::with_capacity(values.len().div_ceil(one_of));
            blocks(one_of).for_each(|block| out.extend_from_slice(&transform(block)));
            out
        };
        let deltas = |one_of| each(one_of, &|block| differences(block).1);
        let alternations = |one_of| each(one_of, &|block| alternating(block).1);
        let may_alternate = forms.allow_transform(Transform::Alternate);
        // Which transform is best, some blocks tell; all of them would pay for a bin.
        let one_of = values.len().div_ceil(BLOCK_ROWS).div_ceil(SAMPLED_BLOCKS).max(1);
        let bits = |sample: &[i64]| Plan::new(sample, SAMPLED_CELLS, BIN_BITS / one_of as f64).bits;
        let sampled = |numbers: &[i64]| {
            let blocks = numbers.chunks(BLOCK_ROWS).step_by(one_of);
            bits(&blocks.flatten().copied().collect::<Vec<_>>())
        };
        let sizes = [
            sampled(values),
            bits(&deltas(one_of)),
            residuals.map_or(f64::INFINITY, sampled),
            if may_alternate { bits(&alternations(one_of)) } else { f64::INFINITY },
        ];
        let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
        let (coder, transform) = if least == sizes[0] {
            (Coder::new(values)?, Transform::Plain)
        } else if least == sizes[1] {
            (Coder::new(&deltas(1))?, Transform::Delta)
        } else if least == sizes[2] {
            (Coder::new(residuals?)?, Transform::Group)
        } else {
            (Coder::new(&alternations(1))?, Transform::Alternate)
        };
        Some(Self { coder, transform, unused: false })
    }

    /// The shortest model that there is, for a column of which no block is coded: it tells that this was tried.
    pub fn mark() -> Self {
        let bins = vec![Bin { places: 0, width: 0, lower: 0 }];
        let tables = Tables::without_memory(&[0], 1);
        let coders = vec![Table::new(&[1], LOG_MIN)];
        let (by_places, near) = (vec![0..1], Near::default());
        let coder = Coder { log: LOG_MIN, bins, by_places, near, tables, coders };
        Self { coder, transform: Transform::Plain, unused: true }
    }

    /// The model as it stands in the file.
    pub fn model(&self) -> Vec<u8> {
        self.coder.model()
    }

    /// Appends a block of the column, one of those of [`BLOCK_ROWS`] that it is cut into, if that takes fewer than `most` bytes;
    /// whether it does.
    pub fn encode(&self, values: &[i64], residuals: Option<&[i64]>, most: usize, out: &mut Vec<u8>) -> bool {
        if self.unused {
            return false;
        }
        let start = out.len();
        match self.transform {
            Transform::Plain => self.coder.encode(values, Transform::Plain, [0; 2], out),
            Transform::Delta => {
                let (first, deltas) = differences(values);
                self.coder.encode(&deltas, Transform::Delta, [first, 0], out);
            }
            Transform::Group => {
                self.coder.encode(residuals.unwrap_or(values), Transform::Group, [0; 2], out);
            }
            Transform::Alternate => {
                let (firsts, alternations) = alternating(values);
                self.coder.encode(&alternations, Transform::Alternate, firsts, out);
            }
        }
        let smaller = out.len() - start < most;
        if !smaller {
            out.truncate(start);
        }
        smaller
    }
}

/// How many decimal places are worth taking out: none unless round numbers are more frequent than by chance. Zeros, which are
/// round by any measure, say nothing.
fn most_places(numbers: &[i64]) -> u8 {
    // An odd step: rows often tell of two sides in turn.
    let step = (numbers.len() / 4096) | 1;
    let sample = || numbers.iter().step_by(step).filter(|number| **number != 0);
    let round = sample().filter(|number| **number % 10 == 0).count();
    if round * 100 > sample().count() * 14 { 15 } else { 0 }
}

/// Places that few numbers have are not worth bins of their own: those numbers keep a zero more.
fn join_rare_places(split: &mut [(u8, i64)]) {
    let least = split.len() / 512 + 16;
    for places in (1..=15).rev() {
        let members = split.iter().filter(|number| number.0 == places).count();
        if members > 0 && members < least {
            for number in split.iter_mut().filter(|number| number.0 == places) {
                *number = (places - 1, number.1 * 10);
            }
        }
    }
}

/// Cuts sorted numbers into cells: halves of halves of all numbers, until a half holds few or is a single number. So
/// cells that are joined again tend to span powers of two, and waste no part of a bit.
fn cells_of(sorted: &[(u8, i64)], least: usize, out: &mut Vec<Cell>) {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return };
    let (lower, upper) = (first.1, last.1);
    if sorted.len() <= least || lower == upper {
        out.push(Cell { lower, upper, count: sorted.len() });
        return;
    }
    // The highest bit in which they differ, in an order where negative numbers come first, tells the half.
    let half = 63 - (lower ^ upper).leading_zeros();
    let middle = if half == 63 { 0 } else { upper >> half << half };
    let at = sorted.partition_point(|number| number.1 < middle);
    cells_of(&sorted[..at], least, out);
    cells_of(&sorted[at..], least, out);
}

fn joined(cells: &[Cell]) -> Cell {
    Cell {
        lower: cells[0].lower,
        upper: cells[cells.len() - 1].upper,
        count: cells.iter().map(|cell| cell.count).sum(),
    }
}

/// Joins neighbouring cells so that all bits together are fewest; how many they then are.
fn join(cells: &[Cell], total: usize, bin_bits: f64) -> (Vec<Cell>, f64) {
    let all = (total as f64).log2();
    let mut best = vec![(0.0, 0usize)];
    for end in 1..=cells.len() {
        let (mut count, mut least) = (0, (f64::INFINITY, 0));
        for start in (0..end).rev() {
            count += cells[start].count;
            let width = f64::from(span_bits(cells[start].lower, cells[end - 1].upper));
            let members = count as f64;
            let cost = best[start].0 + bin_bits + members * (width + all - members.log2());
            if cost < least.0 {
                least = (cost, start);
            }
        }
        best.push(least);
    }
    let mut out = Vec::new();
    let mut end = cells.len();
    while end > 0 {
        let start = best[end].1;
        out.push(joined(&cells[start..end]));
        end = start;
    }
    out.reverse();
    (out, best[cells.len()].0)
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
    use super::*;
    use crate::bytes::ByteReader;
    use crate::codec::bins::{BinScratch, Model};
    use crate::codec::int::IntScratch;
    use crate::codec::kernel::Kernels;

    fn round_trip(numbers: &[i64]) -> usize {
        let coder = Coder::new(numbers).expect("few enough bins");
        let mut model = Model::default();
        model.read(&coder.model(), &mut IntScratch::default()).expect("own model");
        let mut scratch = BinScratch::default();
        let mut total = coder.model().len();
        for block in numbers.chunks(1024) {
            let mut bytes = Vec::new();
            coder.encode(block, Transform::Plain, [0; 2], &mut bytes);
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
            let coder = Coder::new(&all).expect("few enough bins");
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
        let coder = Coder::new(&numbers).expect("few enough bins");
        let mut model = Model::default();
        model.read(&coder.model(), &mut IntScratch::default()).expect("own model");
        let mut bytes = Vec::new();
        coder.encode(&numbers, Transform::Plain, [0; 2], &mut bytes);
        let mut scratch = BinScratch::default();
        let mut decode = |bytes: &[u8]| {
            let (mut reader, mut out) = (ByteReader::new(&bytes[1..], "K1"), vec![0; 1000]);
            model.decode(&mut reader, &mut out, &mut scratch, Kernels::best())?;
            reader.finish().map(|()| out)
        };
        assert_eq!(decode(&bytes).expect("own bytes"), numbers);
        let (mut refused, states) = (0, coder.log as usize * LANES);
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
        for block in sizes.chunks(BLOCK_ROWS) {
            assert!(coding.encode(block, None, usize::MAX, &mut out));
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
        let coder = Coder::new(&numbers).expect("few enough bins");
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
        let coder = Coder::new(&numbers).expect("few enough bins");
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
