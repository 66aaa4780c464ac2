//! Days that repeat the bars of a day before.

use std::collections::VecDeque;
use std::ops::Range;

use tapestore::time::DAY_NS;

use crate::bars::Bars;
use crate::rule::Rule;
use crate::rules::Rules;

/// Bars of a day that are looked at to tell it from others at once.
const SAMPLE: usize = 16;

/// What the days before held: their rows, and a number that days of the same content have in common.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    days: VecDeque<(Option<u64>, Range<usize>)>,
}

impl Repeats {
    /// Marks a day that holds, at the same times, the bars of one of the `window` days before, and remembers it. All days
    /// are rows of the same bars.
    pub(crate) fn day(
        &mut self,
        bars: &Bars<'_>,
        rows: Range<usize>,
        window: usize,
        rules: &Rules,
        marks: Option<&mut [u32]>,
    ) {
        let today = if tells(bars, &rows, rules) { Some(sample(bars, &rows)) } else { None };
        if let (Some(marks), Some(_)) = (marks, today) {
            let mut alike = self.days.iter().filter(|day| day.0 == today);
            if alike.any(|day| is_same(bars, &day.1, &rows)) {
                marks[rows.clone()].iter_mut().for_each(|mark| *mark |= Rule::Repeated.bit());
            }
        }
        self.days.push_back((today, rows));
        if self.days.len() > window {
            self.days.pop_front();
        }
    }
}

/// Whether a day holds enough, and not always the same, to tell it from others.
fn tells(bars: &Bars<'_>, rows: &Range<usize>, rules: &Rules) -> bool {
    if rows.len() < rules.repeated_bars.max(2) {
        return false;
    }
    let moves =
        rows.clone().skip(1).filter(|row| bars.close[*row].to_bits() != bars.close[*row - 1].to_bits());
    let least = rules.repeated_bars / 2;
    moves.take(least).count() == least
}

/// A number made of some bars of a day.
fn sample(bars: &Bars<'_>, rows: &Range<usize>) -> u64 {
    let mut hash = rows.len() as u64;
    let mut take = |bits: u64| hash = (hash.rotate_left(23) ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for row in rows.clone().step_by(rows.len().div_ceil(SAMPLE)) {
        take(bars.time[row].rem_euclid(DAY_NS) as u64);
        take(bars.close[row].to_bits());
    }
    hash
}

/// Whether two days hold the same bars at the same times of day.
fn is_same(bars: &Bars<'_>, a: &Range<usize>, b: &Range<usize>) -> bool {
    let columns = [Some(bars.open), Some(bars.high), Some(bars.low), Some(bars.close), bars.volume];
    let mut places = a.clone().zip(b.clone());
    a.len() == b.len()
        && places.all(|(a, b)| (bars.time[a] - bars.time[b]) % DAY_NS == 0)
        && columns.into_iter().flatten().all(|column| {
            let bits = |rows: &Range<usize>| column[rows.clone()].iter().map(|value| value.to_bits());
            bits(a).eq(bits(b))
        })
}
