//! Choosing what a coder remembers, and which states of that share a table of frequencies.
//!
//! Several memories are tried; for each, states whose numbers are alike are joined, two at a time, as long as the table
//! that this saves is worth more than what telling them apart does. The one that takes least is kept. Some blocks of a column can
//! tell which that is.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::lanes::LANES;
use super::memory::{CLASSES, Memory};
use crate::limits::BLOCK_ROWS;

/// Classes of a pair: their square is the number of states.
const PAIR_CLASSES: usize = 6;
/// Bins from which on there are fewer tables.
const MANY_BINS: usize = 512;
/// Bins that are compared each with each, to make classes; more are joined with their neighbours first.
const COMPARED: usize = 32;
/// Most tables of frequencies.
const TABLES: usize = 16;
/// Bits that a bin takes in a table, about: one that occurs, and one that does not.
const USED_BITS: f64 = 7.0;
const UNUSED_BITS: f64 = 1.5;
/// Bits that counts of a part seem to save by chance in all of a column, for each bin that a table holds: half of the logarithm
/// of e twice, once where they are counted and once where they are not.
const CHANCE_BITS: f64 = std::f64::consts::LOG2_E;
/// Bits that the class of a bin or the table of a state takes, about.
const NAME_BITS: f64 = 4.0;

/// A memory, and how often which bin comes in states that share a table.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) memory: Memory,
    pub(super) classes: usize,
    pub(super) class_of: Vec<u8>,
    /// By state.
    pub(super) table_of: Vec<u8>,
    /// [`Memory::moves`].
    pub(super) moves: Vec<u8>,
    pub(super) counts: Vec<Vec<u32>>,
    /// What the bins and the tables take, about.
    pub(super) bits: f64,
}

impl Tables {
    /// One table for all.
    pub(super) fn without_memory(counts: Vec<u32>) -> Self {
        let bits = cost(&counts, 1.0);
        let (class_of, table_of, moves) = (vec![0; counts.len()], vec![0], Memory::None.moves(1));
        Self { memory: Memory::None, classes: 1, class_of, table_of, moves, counts: vec![counts], bits }
    }

    /// The best of the memories for a column of these bins, which come so often, as about so many of its blocks tell. `sizes`
    /// says how large the numbers of each bin are.
    pub(super) fn best(rows: &[u16], counts: Vec<u32>, sizes: &[f64], told_by: usize) -> Self {
        // With many bins, frequencies have to add up to more, and fewer tables fit.
        let most = if sizes.len() < MANY_BINS { TABLES } else { TABLES / 2 };
        let alone = Self::without_memory(counts);
        let one_of = rows.len().div_ceil(BLOCK_ROWS).div_ceil(told_by).max(1);
        let told: Cow<'_, [u16]> = match one_of {
            1 => Cow::Borrowed(rows),
            _ => rows.chunks(BLOCK_ROWS).step_by(one_of).collect::<Vec<_>>().concat().into(),
        };
        let weight = rows.len() as f64 / told.len() as f64;
        let classes = by_size(&alone.counts[0], sizes);
        let mean = |shift| Counter::new(Memory::Mean(shift), CLASSES, classes.clone());
        let pair = Counter::new(Memory::Pair, PAIR_CLASSES, by_likeness(&told, sizes.len()));
        let found = Counter::count(&told, [pair, mean(1), mean(2), mean(3)]);
        let found = found.into_iter().map(|counter| Self::new(counter, most, weight));
        let Some(best) = found.min_by(|a, b| a.bits.total_cmp(&b.bits)).filter(|best| best.bits < alone.bits)
        else {
            return alone;
        };
        if one_of == 1 {
            return best;
        }
        let [counter] = Counter::count(rows, [Counter::new(best.memory, best.classes, best.class_of)]);
        let best = Self::new(counter, most, 1.0);
        if best.bits < alone.bits { best } else { alone }
    }

    /// Joins states to at most so many tables.
    fn new(counter: Counter, most: usize, weight: f64) -> Self {
        let Counter { memory, classes, class_of, moves, counts } = counter;
        let mut counts: Vec<Vec<u32>> = counts.chunks(class_of.len()).map(<[u32]>::to_vec).collect();
        // Means are in an order: only neighbours can be alike.
        let table_of = match memory {
            Memory::Pair => join_any(&mut counts, most, weight),
            _ => join_neighbours(&mut counts, most, weight),
        };
        let names = (class_of.len() + table_of.len()) as f64 * NAME_BITS;
        let bits = names + counts.iter().map(|counts| cost(counts, weight)).sum::<f64>();
        Self { memory, classes, class_of, table_of, moves, counts, bits }
    }
}

/// How often which bin comes in each state of a memory.
struct Counter {
    memory: Memory,
    classes: usize,
    class_of: Vec<u8>,
    moves: Vec<u8>,
    /// By state, then by bin.
    counts: Vec<u32>,
}

impl Counter {
    fn new(memory: Memory, classes: usize, class_of: Vec<u8>) -> Self {
        let counts = vec![0; memory.states(classes) * class_of.len()];
        Self { memory, classes, class_of, moves: memory.moves(classes), counts }
    }

    /// Counts for several memories at once: the next state waits for the one before, and those of others fill that time.
    fn count<const N: usize>(rows: &[u16], mut counters: [Self; N]) -> [Self; N] {
        for lane in lanes(rows) {
            let mut states = [0; N];
            for bin in lane {
                for (counter, state) in counters.iter_mut().zip(&mut states) {
                    let bin = usize::from(*bin);
                    counter.counts[*state * counter.class_of.len() + bin] += 1;
                    let class = usize::from(counter.class_of[bin]);
                    *state = usize::from(counter.moves[*state * CLASSES + class]);
                }
            }
        }
        counters
    }
}

/// The rows of every lane, block after block.
pub(super) fn lanes<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    rows.chunks(BLOCK_ROWS).flat_map(|block| block.chunks(block.len().div_ceil(LANES)))
}

/// Classes of numbers of like size, each about as frequent.
fn by_size(counts: &[u32], sizes: &[f64]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|a, b| sizes[*a].total_cmp(&sizes[*b]));
    let total = counts.iter().map(|count| u64::from(*count)).sum::<u64>().max(1);
    let (mut out, mut before) = (vec![0; sizes.len()], 0);
    for bin in order {
        let count = u64::from(counts[bin]);
        out[bin] = ((before + count / 2) * CLASSES as u64 / total).min(CLASSES as u64 - 1) as u8;
        before += count;
    }
    out
}

/// Classes of bins after which the same bins come.
fn by_likeness(rows: &[u16], bins: usize) -> Vec<u8> {
    let mut after = vec![vec![0; bins]; bins];
    for lane in lanes(rows) {
        for pair in lane.windows(2) {
            after[usize::from(pair[0])][usize::from(pair[1])] += 1;
        }
    }
    let near = join_neighbours(&mut after, COMPARED, 1.0);
    let like = join_any(&mut after, PAIR_CLASSES, 1.0);
    near.into_iter().map(|group| like[usize::from(group)]).collect()
}

/// Joins neighbours while that takes fewer bits, and until there are at most so many. Returns where each went.
fn join_neighbours(counts: &mut Vec<Vec<u32>>, most: usize, weight: f64) -> Vec<u8> {
    let mut sizes = vec![1; counts.len()];
    let mut costs: Vec<f64> = counts.iter().map(|counts| cost(counts, weight)).collect();
    let more = |counts: &[Vec<u32>], costs: &[f64], at: usize| {
        joined_cost(&counts[at], &counts[at + 1], weight) - costs[at] - costs[at + 1]
    };
    let mut mores: Vec<f64> = (1..counts.len()).map(|at| more(counts, &costs, at - 1)).collect();
    while let Some(at) = (0..mores.len()).min_by(|a, b| mores[*a].total_cmp(&mores[*b])) {
        if counts.len() <= most && mores[at] >= 0.0 {
            break;
        }
        let joined = counts.remove(at + 1);
        add(&mut counts[at], &joined);
        sizes[at] += sizes.remove(at + 1);
        costs.remove(at + 1);
        costs[at] = cost(&counts[at], weight);
        mores.remove(at);
        for left in at.saturating_sub(1)..mores.len().min(at + 1) {
            mores[left] = more(counts, &costs, left);
        }
    }
    sizes.iter().enumerate().flat_map(|(group, size)| std::iter::repeat_n(group as u8, *size)).collect()
}

/// As [`join_neighbours`], but joins any two.
fn join_any(counts: &mut Vec<Vec<u32>>, most: usize, weight: f64) -> Vec<u8> {
    let mut groups: Vec<usize> = (0..counts.len()).collect();
    let mut costs: Vec<f64> = counts.iter().map(|counts| cost(counts, weight)).collect();
    let more = |counts: &[Vec<u32>], costs: &[f64], a: usize, b: usize| {
        joined_cost(&counts[a], &counts[b], weight) - costs[a] - costs[b]
    };
    // By the later of the two, then the earlier.
    let mut mores: Vec<Vec<f64>> = (0..counts.len())
        .map(|later| (0..later).map(|earlier| more(counts, &costs, earlier, later)).collect())
        .collect();
    loop {
        let pairs = mores.iter().enumerate().flat_map(|(later, row)| {
            row.iter().enumerate().map(move |(earlier, more)| (*more, earlier, later))
        });
        let Some((least, earlier, later)) = pairs.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        if counts.len() <= most && least >= 0.0 {
            break;
        }
        let joined = counts.remove(later);
        add(&mut counts[earlier], &joined);
        costs.remove(later);
        costs[earlier] = cost(&counts[earlier], weight);
        mores.remove(later);
        for row in &mut mores[later..] {
            row.remove(later);
        }
        for other in (0..counts.len()).filter(|other| *other != earlier) {
            let (first, last) = (earlier.min(other), earlier.max(other));
            mores[last][first] = more(counts, &costs, first, last);
        }
        for group in &mut groups {
            if *group == later {
                *group = earlier;
            } else if *group > later {
                *group -= 1;
            }
        }
    }
    groups.into_iter().map(|group| group as u8).collect()
}

fn add(counts: &mut [u32], others: &[u32]) {
    counts.iter_mut().zip(others).for_each(|(count, other)| *count += other);
}

/// Bits of numbers that come so often, each of which stands for so many, and of their table.
fn cost(counts: &[u32], weight: f64) -> f64 {
    cost_of(counts.iter().copied(), weight)
}

fn joined_cost(counts: &[u32], others: &[u32], weight: f64) -> f64 {
    cost_of(counts.iter().zip(others).map(|(count, other)| count + other), weight)
}

fn cost_of(counts: impl Iterator<Item = u32>, weight: f64) -> f64 {
    let used = USED_BITS + (weight - 1.0) * CHANCE_BITS;
    let (mut total, mut known, mut table) = (0, 0.0, 0.0);
    for count in counts {
        total += count;
        known += times_log(count);
        table += if count > 0 { used } else { UNUSED_BITS };
    }
    (times_log(total) - known) * weight + table
}

/// `count * log2(count)`.
fn times_log(count: u32) -> f64 {
    static SMALL: OnceLock<Vec<f64>> = OnceLock::new();
    let times_log = |count: u32| f64::from(count) * f64::from(count.max(1)).log2();
    let small = SMALL.get_or_init(|| (0..4096).map(times_log).collect());
    small.get(count as usize).copied().unwrap_or_else(|| times_log(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: u64) -> u64 {
        (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i << 21).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
    }

    fn counts_of(rows: &[u16], bins: usize) -> Vec<u32> {
        let mut counts = vec![0; bins];
        rows.iter().for_each(|bin| counts[usize::from(*bin)] += 1);
        counts
    }

    fn best(rows: &[u16], sizes: &[f64]) -> Tables {
        Tables::best(rows, counts_of(rows, sizes.len()), sizes, usize::MAX)
    }

    /// A bin that says nothing about the next one.
    #[test]
    fn nothing_is_remembered_where_nothing_is_told() {
        let rows: Vec<u16> = (0..20_000).map(|i| (noise(i) % 5) as u16).collect();
        let found = best(&rows, &[0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found.memory, Memory::None);
    }

    /// The row two before says which of two halves the number is of.
    #[test]
    fn a_pair_is_remembered_where_rows_take_turns() {
        let mut rows: Vec<u16> = vec![0, 4];
        for i in 2..20_000 {
            rows.push(rows[i - 2] / 4 * 4 + (noise(i as u64) % 4) as u16);
        }
        let sizes: Vec<f64> = (0..8).map(|bin| f64::from(bin * 7 % 8)).collect();
        let found = best(&rows, &sizes);
        assert_eq!(found.memory, Memory::Pair);
        // Two bits for each instead of three.
        assert!(found.bits < 20_000.0 * 2.1, "{}", found.bits);
    }

    /// Quiet hours and busy ones: the size of many numbers before tells more than that of one.
    #[test]
    fn a_mean_is_remembered_where_sizes_last() {
        let rows: Vec<u16> =
            (0..50_000u64).map(|i| (noise(i) % 12 + noise(i / 100 + 1_000_000) % 20) as u16).collect();
        let sizes: Vec<f64> = (0..32).map(f64::from).collect();
        let found = best(&rows, &sizes);
        assert!(matches!(found.memory, Memory::Mean(_)), "{:?}", found.memory);
        let alone = Tables::without_memory(counts_of(&rows, 32));
        assert!(found.bits < alone.bits * 0.9, "{} of {}", found.bits, alone.bits);
        assert!(found.counts.len() <= 16);
    }

    #[test]
    fn states_are_joined_to_as_many_tables_as_there_may_be() {
        let rows: Vec<u16> = (0..60_000u64).map(|i| ((noise(i) % 40 + i % 60) % 64) as u16).collect();
        let sizes: Vec<f64> = (0..64).map(f64::from).collect();
        let tables = |counter, most| {
            let [counter] = Counter::count(&rows, [counter]);
            Tables::new(counter, most, 1.0)
        };
        for most in [1, 2, 8, 16] {
            let found = tables(Counter::new(Memory::Pair, PAIR_CLASSES, by_likeness(&rows, 64)), most);
            assert!(found.counts.len() <= most);
            assert!(found.table_of.iter().all(|table| usize::from(*table) < found.counts.len()));
            let total: u32 = found.counts.iter().flatten().sum();
            assert_eq!(total, 60_000);
            let found = tables(Counter::new(Memory::Mean(2), CLASSES, by_size(&[1; 64], &sizes)), most);
            assert!(found.counts.len() <= most);
        }
    }

    #[test]
    fn lanes_are_quarters_of_blocks() {
        let rows: Vec<usize> = (0..1029).collect();
        let found: Vec<Vec<usize>> = lanes(&rows).map(<[usize]>::to_vec).collect();
        let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(lengths, [256, 256, 256, 256, 2, 2, 1]);
        assert_eq!(found.concat(), rows);
    }
}
