//! Spearman's rank correlation of a signal with what follows it. The order of the returns is known, so that only the
//! signal is sorted: by its bits, eleven at a time.

/// Room for sorting, reused from signal to signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct RankScratch {
    pairs: Vec<(u64, u32)>,
    spare: Vec<(u64, u32)>,
    ranks: Vec<f64>,
}

const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 64_usize.div_ceil(DIGIT_BITS as usize);
const BUCKETS: usize = 1 << DIGIT_BITS;

/// Bits that ascend as the numbers do; the two zeros are one number.
fn key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Of `signal` and `forward` over rows where both are finite; `order` are the rows that have a forward return, in its
/// order. Equal values share the mean of their ranks. NaN without variance.
pub(crate) fn correlation(signal: &[f64], forward: &[f64], order: &[u32], scratch: &mut RankScratch) -> f64 {
    let RankScratch { pairs, spare, ranks } = scratch;
    ranks.clear();
    ranks.resize(signal.len(), 0.0);
    let both = order.iter().copied().filter(|row| signal[*row as usize].is_finite());
    let mut count = 0_usize;
    let mut equal: Vec<u32> = Vec::new();
    let mut last = f64::NAN;
    let mut squares_b = 0.0;
    let mut settle = |equal: &mut Vec<u32>, after: usize, ranks: &mut [f64]| {
        // Ranks count from 1: the mean of those that the equal ones take.
        let rank = after as f64 - (equal.len() as f64 - 1.0) / 2.0;
        squares_b += rank * rank * equal.len() as f64;
        equal.drain(..).for_each(|row| ranks[row as usize] = rank);
    };
    for row in both {
        let value = forward[row as usize];
        if value != last && !equal.is_empty() {
            settle(&mut equal, count, ranks);
        }
        last = value;
        equal.push(row);
        count += 1;
    }
    if !equal.is_empty() {
        settle(&mut equal, count, ranks);
    }
    if count < 2 {
        return f64::NAN;
    }
    pairs.clear();
    // A rank is never 0, so that a row without one has no pair.
    let rows = signal.iter().zip(ranks.iter()).zip(0_u32..);
    pairs.extend(rows.filter(|((_, rank), _)| **rank > 0.0).map(|((value, _), row)| (key(*value), row)));
    sort(pairs, spare);
    let mean = f64::midpoint(count as f64, 1.0);
    let (mut squares_a, mut crossed) = (0.0, 0.0);
    let mut start = 0;
    while start < count {
        let end = start + pairs[start..].iter().take_while(|pair| pair.0 == pairs[start].0).count();
        // From 0 to half of all, so that the sums keep their digits.
        let rank = f64::midpoint((start + 1) as f64, end as f64) - mean;
        squares_a += rank * rank * (end - start) as f64;
        let others: f64 = pairs[start..end].iter().map(|pair| ranks[pair.1 as usize] - mean).sum();
        crossed += rank * others;
        start = end;
    }
    let squares_b = squares_b - count as f64 * mean * mean;
    if squares_a <= 0.0 || squares_b <= 0.0 {
        return f64::NAN;
    }
    (crossed / (squares_a.sqrt() * squares_b.sqrt())).clamp(-1.0, 1.0)
}

/// Sorts by key: least digit first; digits that are all alike cost nothing.
fn sort(pairs: &mut Vec<(u64, u32)>, spare: &mut Vec<(u64, u32)>) {
    let mut counts = vec![[0_u32; BUCKETS]; DIGITS];
    let digit = |key: u64, place: usize| (key >> (DIGIT_BITS as usize * place)) as usize & (BUCKETS - 1);
    for (key, _) in pairs.iter() {
        for (place, counts) in counts.iter_mut().enumerate() {
            counts[digit(*key, place)] += 1;
        }
    }
    for (place, counts) in counts.iter_mut().enumerate() {
        if pairs.first().is_none_or(|first| counts[digit(first.0, place)] as usize == pairs.len()) {
            continue;
        }
        let mut next = 0;
        for count in counts.iter_mut() {
            next += std::mem::replace(count, next);
        }
        spare.clear();
        spare.resize(pairs.len(), (0, 0));
        for pair in pairs.iter() {
            let at = &mut counts[digit(pair.0, place)];
            spare[*at as usize] = *pair;
            *at += 1;
        }
        std::mem::swap(pairs, spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ascend_as_numbers_do() {
        let numbers = [f64::NEG_INFINITY, -1e300, -1.5, -5e-324, 0.0, 5e-324, 1.0, 1.0 + f64::EPSILON, 1e300];
        assert!(numbers.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert_eq!(key(0.0), key(-0.0));
    }

    #[test]
    fn sorting_is_stable_and_complete() {
        let mut state = 3_u64;
        let mut pairs: Vec<(u64, u32)> = (0..5000)
            .map(|row| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (if row % 3 == 0 { state } else { state >> 55 }, row)
            })
            .collect();
        let mut expected = pairs.clone();
        expected.sort_by_key(|pair| pair.0);
        sort(&mut pairs, &mut Vec::new());
        assert_eq!(pairs, expected);
        sort(&mut Vec::new(), &mut Vec::new());
    }
}
