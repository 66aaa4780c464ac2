//! How often each number of a column comes.

use super::int_encode::sampled_median;

/// Numbers of which the greatest is less than this above the least are counted in a table; others are sorted.
const NEAR: usize = 1 << 14;

/// Different numbers in ascending order, each with how many there are up to it.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) upto: Vec<(i64, u32)>,
    /// The least of those that were counted in a table, and the size of that.
    base: i64,
    size: usize,
}

impl Tally {
    /// Of numbers, of which there is one at least.
    pub(super) fn of(numbers: &[i64]) -> Self {
        let (least, most) = numbers.iter().fold((i64::MAX, i64::MIN), |(a, b), n| (a.min(*n), b.max(*n)));
        let base = if most.wrapping_sub(least) as u64 >= NEAR as u64 {
            // Most lie around their middle. What is below the table must not be taken for what is above: a difference has a sign.
            let base = sampled_median(numbers).saturating_sub(NEAR as i64 / 2).max(least);
            if base.checked_sub(least).is_some() { base } else { least }
        } else {
            least
        };
        let size = (most.wrapping_sub(base) as u64).min(NEAR as u64 - 1) as usize + 1;
        // Even and odd rows are counted apart: the same number often comes twice, and a count waits for the one before.
        let (mut counts, mut far) = (vec![[0u32; 2]; size], Vec::new());
        let mut count = |number: i64, side: usize| match counts.get_mut(number.wrapping_sub(base) as usize) {
            Some(count) => count[side] += 1,
            None => far.push(number),
        };
        for two in numbers.chunks(2) {
            count(two[0], 0);
            if let Some(second) = two.get(1) {
                count(*second, 1);
            }
        }
        far.sort_unstable();
        let (below, above) = far.split_at(far.partition_point(|number| *number < base));
        let mut tally = Self { upto: Vec::new(), base, size };
        tally.push_sorted(below);
        for (above, [even, odd]) in counts.into_iter().enumerate().filter(|(_, count)| *count != [0; 2]) {
            tally.push(base + above as i64, even + odd);
        }
        tally.push_sorted(above);
        tally
    }

    pub(super) fn total(&self) -> usize {
        self.upto.last().map_or(0, |(_, upto)| *upto as usize)
    }

    fn push(&mut self, number: i64, count: u32) {
        let upto = self.total() as u32 + count;
        self.upto.push((number, upto));
    }

    fn push_sorted(&mut self, numbers: &[i64]) {
        for same in numbers.chunk_by(|a, b| a == b) {
            self.push(same[0], same.len() as u32);
        }
    }

    /// Which of so many bins each of the numbers has that were counted, and how many have which bin. Those that were counted in
    /// the table are asked for once.
    pub(super) fn map(
        &self,
        numbers: &[i64],
        bins: usize,
        mut bin_of: impl FnMut(i64) -> u16,
    ) -> (Vec<u16>, Vec<u32>) {
        let (mut table, mut counts, mut before) = (vec![0; self.size], vec![0; bins], 0);
        for (number, upto) in &self.upto {
            if let Some(place) = table.get_mut(number.wrapping_sub(self.base) as usize) {
                *place = bin_of(*number);
                counts[usize::from(*place)] += upto - before;
            }
            before = *upto;
        }
        let each = |number: &i64| match table.get(number.wrapping_sub(self.base) as usize) {
            Some(bin) => *bin,
            None => {
                let bin = bin_of(*number);
                counts[usize::from(bin)] += 1;
                bin
            }
        };
        (numbers.iter().map(each).collect(), counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against counting one by one, and each number mapped to its place.
    fn check(numbers: &[i64]) {
        let tally = Tally::of(numbers);
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        let mut expected: Vec<(i64, u32)> = Vec::new();
        for (number, upto) in sorted.into_iter().zip(1..) {
            match expected.last_mut() {
                Some((last, count)) if *last == number => *count = upto,
                _ => expected.push((number, upto)),
            }
        }
        assert_eq!(tally.upto, expected);
        assert_eq!(tally.total(), numbers.len());
        let place =
            |number| tally.upto.binary_search_by_key(&number, |(number, _)| *number).expect("counted");
        let (places, counts) = tally.map(numbers, tally.upto.len(), |number| place(number) as u16);
        assert!(numbers.iter().zip(places).all(|(number, at)| tally.upto[usize::from(at)].0 == *number));
        let upto = counts.iter().scan(0, |upto, count| {
            *upto += count;
            Some(*upto)
        });
        assert!(upto.eq(tally.upto.iter().map(|(_, upto)| *upto)));
    }

    #[test]
    fn numbers_near_and_far_are_counted() {
        let noise = |i: i64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 32).unsigned_abs() as i64;
        check(&[7]);
        check(&[3; 1000]);
        for spread in [2, 1000, NEAR as i64 - 1, NEAR as i64, NEAR as i64 + 1, 1 << 31] {
            let numbers: Vec<i64> = (0..5000).map(|i| noise(i) % spread - spread / 3).collect();
            check(&numbers);
            let with: Vec<i64> =
                numbers.iter().copied().chain([i64::MIN, i64::MAX, i64::MIN + 1, 0]).collect();
            check(&with);
        }
    }

    /// The table is far from the least number: what lies below is not counted as what lies above.
    #[test]
    fn numbers_at_both_ends_are_told_apart() {
        for few in 1..20 {
            let mut numbers = vec![i64::MAX; 100];
            numbers[..few].fill(i64::MIN);
            numbers[few] = i64::MIN + few as i64;
            check(&numbers);
            check(&numbers.iter().map(|number| !number).collect::<Vec<_>>());
        }
    }
}
