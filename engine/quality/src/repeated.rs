//! Days that repeat the bars of a day before.

use std::collections::VecDeque;
use std::ops::Range;

use tapestore::time::DAY_NS;

use crate::bars::Bars;
use crate::rule::Rule;
use crate::rules::Rules;

/// What the days before held.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    days: VecDeque<Option<u64>>,
}

impl Repeats {
    /// Marks a day that holds, at the same times, the bars of one of the `window` days before, and remembers it.
    pub(crate) fn day(
        &mut self,
        bars: &Bars<'_>,
        rows: Range<usize>,
        window: usize,
        rules: &Rules,
        marks: Option<&mut [u32]>,
    ) {
        let today = content(bars, &rows, rules);
        if let (Some(marks), Some(_)) = (marks, today)
            && self.days.contains(&today)
        {
            marks[rows].iter_mut().for_each(|mark| *mark |= Rule::Repeated.bit());
        }
        self.days.push_back(today);
        if self.days.len() > window {
            self.days.pop_front();
        }
    }
}

/// A number for what a day holds; `None` if that is too little, or always the same, to tell days apart.
fn content(bars: &Bars<'_>, rows: &Range<usize>, rules: &Rules) -> Option<u64> {
    let moves =
        rows.clone().skip(1).filter(|row| bars.close[*row].to_bits() != bars.close[*row - 1].to_bits());
    if rows.len() < rules.repeated_bars.max(2)
        || moves.take(rules.repeated_bars / 2).count() < rules.repeated_bars / 2
    {
        return None;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bits: u64| hash = (hash.rotate_left(23) ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for row in rows.clone() {
        take(bars.time[row].rem_euclid(DAY_NS) as u64);
        take(bars.open[row].to_bits() ^ bars.low[row].to_bits().rotate_left(17));
        take(bars.close[row].to_bits() ^ bars.high[row].to_bits().rotate_left(31));
        if let Some(volume) = bars.volume {
            take(volume[row].to_bits());
        }
    }
    Some(hash)
}
