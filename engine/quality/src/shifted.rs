//! Days whose clock is wrong.
//!
//! Where markets close, a day's bars stand outside of sessions, and about as many are missing inside. Where they never do, a
//! day that stands some hours too early ends with a hole as long, over which prices go on as if there were none, and begins
//! with a jump; one that stands too late begins with the hole and ends with the jump. An hour without trade is no such thing:
//! prices move in it, and there is no jump at the other end of the day.

use std::ops::Range;

use tapestore::time::{DAY_NS, HOUR_NS};

use crate::bars::Bars;
use crate::returns::median;
use crate::rule::Rule;
use crate::score::Tally;

/// Clocks differ by so many hours at most, in halves of them.
const MOST_NS: i64 = 14 * HOUR_NS;
const PART_NS: i64 = HOUR_NS / 2;
/// Least bars of a hole.
const HOLE: i64 = 12;
/// Least bars of a day.
const BARS: usize = 60;
/// Usual moves from bar to bar that are a jump.
const JUMP: f64 = 2.0;
/// Usual moves within which prices go on.
const ON: f64 = 1.0;

/// Marks a day that misses about as many bars as it has outside of all sessions.
pub(crate) fn mark_by_sessions(rows: Range<usize>, tally: &Tally, marks: &mut [u32]) {
    let missing = tally.missing();
    let many = tally.outside >= 5 && tally.outside * 20 >= tally.expected;
    if many && missing * 2 >= tally.outside && tally.outside * 2 >= missing {
        marks[rows].iter_mut().for_each(|mark| *mark |= Rule::Shifted.bit());
    }
}

/// Marks a day of a market that never closes, with a hole at one end and a jump at the other.
pub(crate) fn mark_by_ends(bars: &Bars<'_>, rows: Range<usize>, day: i64, step_ns: i64, marks: &mut [u32]) {
    let (first, after) = (rows.start, rows.end);
    if rows.len() < BARS || first == 0 || after >= bars.len() {
        return;
    }
    let time = bars.time;
    // There has to be no other hole around the day.
    if time[first - 1] != day - step_ns || time[after] != day + DAY_NS {
        return;
    }
    let early = day + DAY_NS - step_ns - time[after - 1];
    let late = time[first] - day;
    let is_hole = |hole: i64| hole % PART_NS == 0 && (HOLE * step_ns..=MOST_NS).contains(&hole);
    // The rows on whose far side the hole, and the jump, is.
    let (on, jump) = match (early, late) {
        (hole, 0) if is_hole(hole) => (after, first),
        (0, hole) if is_hole(hole) => (first, after),
        _ => return,
    };
    let mut moves: Vec<f64> = rows
        .clone()
        .skip(1)
        .map(|row| (bars.close[row] / bars.close[row - 1] - 1.0).abs())
        .filter(|x| x.is_finite())
        .collect();
    let usual = median(&mut moves);
    let between = |row: usize| (bars.open[row] / bars.close[row - 1] - 1.0).abs();
    // Comparisons with what is not finite are false.
    if usual > 0.0 && between(on) <= ON * usual && between(jump) >= JUMP * usual {
        marks[rows].iter_mut().for_each(|mark| *mark |= Rule::Shifted.bit());
    }
}

#[cfg(test)]
mod tests {
    use tapestore::Values;
    use tapestore::time::MINUTE_NS;

    use super::*;
    use crate::bars::tests::{Random, rows_of};

    /// Three days of minutes, without the rows that are gone, of which those of the second day stand `by` later. Closes go up
    /// by `hour` with every hour, and up and down beside that.
    fn marked(by: i64, gone: impl Fn(i64) -> bool, hour: f64) -> usize {
        let mut random = Random(2);
        let (mut time, mut open, mut close) = (Vec::new(), Vec::new(), Vec::new());
        let mut price = 100.0;
        for minute in 0..3 * 1440_i64 {
            let before = price;
            price = 100.0 * (1.0 + hour / 60.0).powi(minute as i32) * (1.0 + 1e-4 * random.normal());
            let at = minute * MINUTE_NS + if minute / 1440 == 1 { by } else { 0 };
            let clash = minute / 1440 == 1 && at.div_euclid(DAY_NS) != 1;
            if !gone(minute) && !clash {
                time.push(at);
                open.push(before);
                close.push(price);
            }
        }
        let mut rows = rows_of(&time, &close, &vec![1.0; close.len()]);
        rows.set.columns[0].1 = Values::F64(open).into();
        let bars = Bars::of(&rows).unwrap();
        let mut marks = vec![0; bars.len()];
        let of = |time: i64| bars.time.partition_point(|at| *at < time);
        for day in 0..3 {
            let rows = of(day * DAY_NS)..of((day + 1) * DAY_NS);
            mark_by_ends(&bars, rows, day * DAY_NS, MINUTE_NS, &mut marks);
        }
        let told: Vec<usize> = (0..bars.len()).filter(|row| marks[*row] != 0).collect();
        assert!(
            told.iter().all(|row| bars.time[*row].div_euclid(DAY_NS) == 1),
            "only the second day is shifted"
        );
        told.len()
    }

    #[test]
    fn a_hole_that_prices_go_on_over_and_a_jump_at_the_other_end_are_a_wrong_clock() {
        let moving = 5e-3;
        for hours in [1, 3, 8] {
            assert_eq!(marked(-hours * HOUR_NS, |_| false, moving), 1440 - 60 * hours as usize);
            assert_eq!(marked(hours * HOUR_NS, |_| false, moving), 1440 - 60 * hours as usize);
        }
    }

    #[test]
    fn hours_without_bars_and_holes_of_other_lengths_are_not() {
        let moving = 5e-3;
        assert_eq!(marked(0, |_| false, moving), 0);
        assert_eq!(
            marked(0, |minute| (1440..1500).contains(&minute), moving),
            0,
            "the first hour is missing"
        );
        assert_eq!(marked(0, |minute| (2820..2880).contains(&minute), moving), 0, "the last hour is missing");
        assert_eq!(marked(-7 * MINUTE_NS, |_| false, moving), 0, "no clock is seven minutes early");
        assert_eq!(marked(-HOUR_NS, |minute| minute == 1439, moving), 0, "another hole beside it");
        assert_eq!(marked(-HOUR_NS, |_| false, 0.0), 0, "without a jump nothing can be said");
    }
}
