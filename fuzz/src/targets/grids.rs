//! Coverage and grids: sets of slots against a plain set, and slots against times.

use std::collections::BTreeSet;

use tapestore_format::coverage::{Coverage, Run};
use tapestore_format::limits::{TIME_MAX, TIME_MIN};
use tapestore_format::time::Timeframe;

use crate::{Outcome, Target};

/// Two sets of runs: eight bytes of a time, then pairs of a gap and a length, for one set and the other in turn.
pub(super) const COVERAGE: Target = Target {
    name: "coverage",
    smoke: 200_000,
    longest: 48,
    fixed: false,
    bound: |length| 4000 * length + (64 << 10),
    seeds: || {
        let pairs = |count: u8, gap: u8, length: u8| {
            let time = 1_704_110_400_000_000_000i64.to_le_bytes();
            let runs = (0..count).flat_map(|n| [gap.wrapping_mul(n + 1), length + n % 3]);
            time.into_iter().chain(runs).collect::<Vec<u8>>()
        };
        let mut seeds = Vec::new();
        for count in [0, 1, 2, 5, 20] {
            for (gap, length) in [(0, 1), (1, 1), (3, 9), (17, 2), (200, 30)] {
                seeds.push(pairs(count, gap, length));
            }
        }
        seeds
    },
    mend: |_| Vec::new(),
    check: coverage,
};

fn coverage(input: &[u8]) -> Outcome {
    let Some((time, rest)) = input.split_at_checked(8) else { return Outcome::Refused("", 0) };
    let time = i64::from_le_bytes(std::array::from_fn(|index| time[index]));
    grids(time);
    let mut sets =
        [(Coverage::default(), BTreeSet::new(), 0i64), (Coverage::default(), BTreeSet::new(), 5i64)];
    for (number, pair) in rest.as_chunks::<2>().0.iter().enumerate() {
        let (runs, slots, end) = &mut sets[number % 2];
        // A gap of zero melts with the run before, an overlap too.
        let start = *end + i64::from(pair[0] & 31) - i64::from(pair[0] > 250);
        let start = runs.runs().last().map_or(start, |last: &Run| start.max(last.start));
        let run = Run { start, end: start + i64::from(pair[1] & 31) };
        runs.push_run(run);
        slots.extend(run.start..run.end);
        *end = run.end.max(*end);
    }
    let [(a, in_a, _), (b, in_b, _)] = &sets;
    for (runs, slots) in [(a, in_a), (b, in_b)] {
        assert!(same(runs, slots), "runs hold what was put in");
        assert_eq!(runs.slots(), slots.len() as u64);
        sorted(runs);
    }
    assert!(same(&a.union(b), &in_a.union(in_b).copied().collect()), "union");
    assert!(same(&a.minus(b), &in_a.difference(in_b).copied().collect()), "minus");
    let (low, high) = (time.rem_euclid(300) - 20, time.rem_euclid(300) + time.rem_euclid(90));
    let clipped: Coverage = a.within(low, high).collect();
    assert!(same(&clipped, &in_a.range(low..high.max(low)).copied().collect()), "within");
    [a.union(b), a.minus(b), clipped].iter().for_each(sorted);
    Outcome::Accepted((a.runs().len() as u64) << 8 | b.runs().len() as u64)
}

fn same(runs: &Coverage, slots: &BTreeSet<i64>) -> bool {
    runs.runs().iter().flat_map(|run| run.start..run.end).eq(slots.iter().copied())
}

/// C1: sorted, not empty, disjoint, not adjacent.
fn sorted(coverage: &Coverage) {
    let runs = coverage.runs();
    assert!(
        runs.iter().all(|run| run.start < run.end) && runs.windows(2).all(|pair| pair[0].end < pair[1].start)
    );
}

fn grids(time: i64) {
    let within = time.clamp(TIME_MIN, TIME_MAX);
    for frame in Timeframe::ALL {
        let slot = frame.slot(within);
        let (start, next) = (frame.slot_start(slot), frame.slot_start(slot + 1));
        assert!(start <= within && within < next, "{frame}: {within} lies in its slot, {start} to {next}");
        assert_eq!((frame.slot(start), frame.slot(next - 1)), (slot, slot), "{frame}");
        // Slots and times of files are any numbers: they must not end the process.
        let _ = (frame.slot_start(time), frame.slot(time));
    }
}
