//! Choosing the bins of a column of numbers.
//!
//! Numbers are sorted and cut into cells, some hundreds; neighbouring cells are then joined so that the total of coded
//! bins, offsets and the model is least, by dynamic programming, as `pco` joins its bins.

use super::bins::{Bin, span_bits, split_places};

/// Cells at most: the joining is quadratic.
const MOST_CELLS: usize = 900;
/// Numbers of which the greatest is less than this above the least are sorted by counting them.
const NEAR: u64 = 1 << 14;

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
}

impl Plan {
    /// The best bins out of cells of at least one in so many numbers, if a bin takes so many bits.
    pub(super) fn new(numbers: &[i64], cells_at_least: usize, bin_bits: f64) -> Self {
        let least = (numbers.len() / cells_at_least).max(1);
        let mut plan = Self { bins: Vec::new(), bits: 0.0 };
        for (places, mut class) in (0..).zip(by_places(numbers)) {
            sort(&mut class);
            let mut cells = Vec::new();
            cells_of(&class, least, &mut cells);
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
}

/// Numbers without their decimal places, by how many they have. Places that few numbers have are not worth bins of their own:
/// those numbers keep a zero more.
fn by_places(numbers: &[i64]) -> Vec<Vec<i64>> {
    let most = most_places(numbers);
    if most == 0 {
        return vec![numbers.to_vec()];
    }
    let mut classes = vec![Vec::new(); usize::from(most) + 1];
    for number in numbers {
        let (places, rest) = split_places(*number, most);
        classes[usize::from(places)].push(rest);
    }
    let least = numbers.len() / 512 + 16;
    for places in (1..classes.len()).rev() {
        if classes[places].len() < least {
            let few = std::mem::take(&mut classes[places]);
            classes[places - 1].extend(few.into_iter().map(|rest| rest * 10));
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

/// Sorts numbers: where many lie close together, by counting how often each comes.
fn sort(numbers: &mut [i64]) {
    let (least, most) = numbers.iter().fold((i64::MAX, i64::MIN), |(a, b), n| (a.min(*n), b.max(*n)));
    let span = most.wrapping_sub(least) as u64;
    if span >= NEAR || span >= numbers.len() as u64 {
        return numbers.sort_unstable();
    }
    let mut counts = vec![0; span as usize + 1];
    numbers.iter().for_each(|number| counts[(number - least) as usize] += 1);
    let mut rest = numbers;
    for (above, count) in counts.into_iter().enumerate() {
        let (these, after) = rest.split_at_mut(count);
        these.fill(least + above as i64);
        rest = after;
    }
}

/// Cuts sorted numbers into cells: halves of halves of all numbers, until a half holds few or is a single number. So
/// cells that are joined again tend to span powers of two, and waste no part of a bit.
fn cells_of(sorted: &[i64], least: usize, out: &mut Vec<Cell>) {
    let (Some(&lower), Some(&upper)) = (sorted.first(), sorted.last()) else { return };
    if sorted.len() <= least || lower == upper {
        out.push(Cell { lower, upper, count: sorted.len() });
        return;
    }
    // The highest bit in which they differ, in an order where negative numbers come first, tells the half.
    let half = 63 - (lower ^ upper).leading_zeros();
    let middle = if half == 63 { 0 } else { upper >> half << half };
    let at = sorted.partition_point(|number| *number < middle);
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
