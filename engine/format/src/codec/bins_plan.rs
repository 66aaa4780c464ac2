//! Choosing the bins of a column of numbers.
//!
//! Numbers are counted, in order, and cut into cells, some hundreds; neighbouring cells are then joined so that the total of
//! coded bins, offsets and the model is least, by dynamic programming, as `pco` joins its bins.

use std::ops::Range;

use super::bins::{Bin, span_bits, split_places};
use super::bitpack::bits;
use super::tally::Tally;

/// Cells at most: the joining is quadratic.
const MOST_CELLS: usize = 900;
/// Logarithm of how many numbers are kept at hand with their bins.
const KNOWN_LOG: u32 = 10;

/// Sorted numbers that stay together.
#[derive(Clone, Copy, Debug)]
struct Cell {
    lower: i64,
    upper: i64,
    count: usize,
}

/// Bins for some numbers.
pub(super) struct Plan {
    /// By places, then by lower end.
    pub(super) bins: Vec<Bin>,
    /// Bits of coded bins, offsets and the model together, about.
    pub(super) bits: f64,
    tally: Tally,
}

impl Plan {
    /// The best bins out of cells of at least one in so many numbers, if a bin takes so many bits. There is one number at least.
    pub(super) fn new(numbers: &[i64], cells_at_least: usize, bin_bits: f64) -> Self {
        let least = (numbers.len() / cells_at_least).max(1);
        let mut plan = Self { bins: Vec::new(), bits: 0.0, tally: Tally::of(numbers) };
        for (places, class) in (0..).zip(by_places(&plan.tally, most_places(numbers))) {
            let mut cells = Vec::new();
            cells_of(&class, 0, least, &mut cells);
            while cells.len() > MOST_CELLS {
                cells = cells.chunks(2).map(joined).collect();
            }
            let (joined, bits) = join(&cells, numbers.len(), bin_bits);
            plan.bits += bits;
            plan.bins.extend(joined.into_iter().map(|cell| Bin {
                places,
                width: span_bits(cell.lower, cell.upper) as u8,
                lower: cell.lower,
            }));
        }
        plan
    }

    /// The bin of each of the numbers that this was made for, and how many have which.
    pub(super) fn rows(&self, numbers: &[i64]) -> (Vec<u16>, Vec<u32>) {
        let mut search = Search::new(&self.bins);
        self.tally.map(numbers, self.bins.len(), |number| search.bin_of(number))
    }
}

/// Where the bin of a number is looked for.
struct Search<'b> {
    bins: &'b [Bin],
    /// The bins of each number of places.
    by_places: Vec<Range<usize>>,
    /// Numbers that were met last, with their bins: most come again.
    known: Vec<Option<(i64, u16)>>,
}

impl<'b> Search<'b> {
    fn new(bins: &'b [Bin]) -> Self {
        let mut by_places = Vec::new();
        for (at, bin) in bins.iter().enumerate() {
            by_places.resize(usize::from(bin.places) + 1, at..at);
            by_places[usize::from(bin.places)].end = at + 1;
        }
        Self { bins, by_places, known: vec![None; 1 << KNOWN_LOG] }
    }

    fn bin_of(&mut self, number: i64) -> u16 {
        let slot = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KNOWN_LOG);
        match self.known[slot as usize] {
            Some((known, bin)) if known == number => bin,
            _ => {
                let bin = self.look_for(number);
                self.known[slot as usize] = Some((number, bin));
                bin
            }
        }
    }

    /// With fewer places than the number has, if those are too rare.
    fn look_for(&self, number: i64) -> u16 {
        let (mut places, mut rest) = split_places(number, (self.by_places.len() - 1) as u8);
        loop {
            let range = self.by_places[usize::from(places)].clone();
            let found = self.bins[range.clone()].partition_point(|bin| bin.lower <= rest);
            if found > 0 {
                let index = range.start + found - 1;
                let offset = rest.wrapping_sub(self.bins[index].lower) as u64;
                if bits(offset) <= u32::from(self.bins[index].width) {
                    return index as u16;
                }
            }
            // The bins were made for these numbers: some number of places holds it.
            places -= 1;
            rest *= 10;
        }
    }
}

/// Numbers without their decimal places, by how many they have, with how many there are up to each. Places that few numbers have
/// are not worth bins of their own: those numbers keep a zero more.
fn by_places(tally: &Tally, most: u8) -> Vec<Vec<(i64, u32)>> {
    if most == 0 {
        return vec![tally.upto.clone()];
    }
    // With how often each comes: what is before it in its class is known when all classes are.
    let mut classes = vec![Vec::new(); usize::from(most) + 1];
    let mut before = 0;
    for (number, upto) in &tally.upto {
        let (places, rest) = split_places(*number, most);
        classes[usize::from(places)].push((rest, upto - before));
        before = *upto;
    }
    let least = tally.total() / 512 + 16;
    for places in (1..classes.len()).rev() {
        let count: u32 = classes[places].iter().map(|(_, count)| count).sum();
        if (count as usize) < least && count > 0 {
            let few = std::mem::take(&mut classes[places]);
            classes[places - 1].extend(few.into_iter().map(|(rest, count)| (rest * 10, count)));
            classes[places - 1].sort_unstable();
        }
    }
    for class in &mut classes {
        let mut before = 0;
        for (_, count) in class {
            before += *count;
            *count = before;
        }
    }
    classes
}

/// How many decimal places are worth taking out: none unless round numbers are more frequent than by chance. Zeros, which are
/// round by any measure, say nothing.
pub(super) fn most_places(numbers: &[i64]) -> u8 {
    // An odd step: rows often tell of two sides in turn.
    let step = (numbers.len() / 4096) | 1;
    let sample = || numbers.iter().step_by(step).filter(|number| **number != 0);
    let round = sample().filter(|number| **number % 10 == 0).count();
    if round * 100 > sample().count() * 14 { 15 } else { 0 }
}

/// Cuts sorted numbers, before which there are so many, into cells: halves of halves of all numbers, until a half holds few or
/// is a single number. So cells that are joined again tend to span powers of two, and waste no part of a bit.
fn cells_of(sorted: &[(i64, u32)], before: u32, least: usize, out: &mut Vec<Cell>) {
    let (Some(&(lower, _)), Some(&(upper, upto))) = (sorted.first(), sorted.last()) else { return };
    let count = (upto - before) as usize;
    if count <= least || lower == upper {
        out.push(Cell { lower, upper, count });
        return;
    }
    // The highest bit in which they differ, in an order where negative numbers come first, tells the half.
    let half = 63 - (lower ^ upper).leading_zeros();
    let middle = if half == 63 { 0 } else { upper >> half << half };
    let (left, right) = sorted.split_at(sorted.partition_point(|(number, _)| *number < middle));
    cells_of(left, before, least, out);
    cells_of(right, left.last().map_or(before, |(_, upto)| *upto), least, out);
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
