//! Known faults put into bars, to measure what rules find: a calibration needs to know the truth.
//!
//! # Invariants
//! - J1. The same bars, fault and seed give the same faulty bars.
//! - J2. Every fault changes what it touches: a swap of equal prices is none. Faults do not touch one another's bars.

use std::ops::Range;

use tapestore::Batch;
use tapestore::Values;
use tapestore::time::{DAY_NS, HOUR_NS};

/// Volumes are left as they are for so long at the beginning of a series: the rule about them needs ten days.
pub const HISTORY_NS: i64 = 11 * DAY_NS;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// One to thirty bars are gone.
    Missing,
    /// One bar's close, and its high or low with it, lies 0.3 to 20 % off; the next bar is right again.
    Spike,
    /// Two prices of one bar have changed places.
    Swapped,
    /// A bar comes again, volume included, two to sixty times.
    Stale,
    /// Prices of one to sixty bars are a hundred times too large, or too small.
    Unit,
    /// A day's bars stand an hour too early.
    Shifted,
    /// A day has the bars of the day before.
    Repeated,
    /// Volumes of one to sixty bars are 10 to 1,000 times too large, or too small.
    Volume,
    /// One to thirty bars whose prices move have no volume.
    Untraded,
    /// A day's volumes stand with the bars of one to twelve hours later; what goes over its end stands at its beginning.
    Moved,
    /// One to twelve hours at one end of a day are gone: a hole that looks like that of a day with a wrong clock, which it is not.
    Short,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::Spike,
        Self::Swapped,
        Self::Stale,
        Self::Unit,
        Self::Shifted,
        Self::Repeated,
        Self::Volume,
        Self::Untraded,
        Self::Moved,
        Self::Short,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Spike => "spike",
            Self::Swapped => "swapped fields",
            Self::Stale => "stale run",
            Self::Unit => "unit ×100",
            Self::Shifted => "shifted day",
            Self::Repeated => "repeated day",
            Self::Volume => "volume ×10 to ×1,000",
            Self::Untraded => "no volume",
            Self::Moved => "moved volumes",
            Self::Short => "short day",
        }
    }

    /// Whether it is one of whole days.
    pub fn is_of_days(self) -> bool {
        matches!(self, Self::Shifted | Self::Repeated | Self::Moved | Self::Short)
    }

    /// How long a series has to be known before: what is said of volumes is said beside those of earlier days.
    fn history_ns(self) -> i64 {
        if matches!(self, Self::Volume | Self::Untraded | Self::Moved) { HISTORY_NS } else { 0 }
    }
}

/// Bars as plain columns, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// Open times, nanoseconds since the Unix epoch, UTC.
    pub time: Vec<i64>,
    /// Open, high, low and close.
    pub prices: [Vec<f64>; 4],
    /// Traded volume.
    pub volume: Vec<f64>,
}

impl Columns {
    /// Adds a bar.
    pub fn push(&mut self, time: i64, prices: [f64; 4], volume: f64) {
        self.time.push(time);
        for (column, price) in self.prices.iter_mut().zip(prices) {
            column.push(price);
        }
        self.volume.push(volume);
    }

    /// The prices of a row.
    pub fn prices(&self, row: usize) -> [f64; 4] {
        [0, 1, 2, 3].map(|column| self.prices[column][row])
    }

    fn set(&mut self, row: usize, prices: [f64; 4], volume: f64) {
        for (column, price) in self.prices.iter_mut().zip(prices) {
            column[row] = price;
        }
        self.volume[row] = volume;
    }

    /// As rows to be written.
    pub fn batch(&self) -> Batch {
        let [open, high, low, close] = self.prices.clone();
        Batch::new(self.time.clone())
            .with("open", Values::F64(open))
            .with("high", Values::F64(high))
            .with("low", Values::F64(low))
            .with("close", Values::F64(close))
            .with("volume", Values::F64(self.volume.clone()))
    }

    fn without(&self, gone: impl Fn(usize) -> bool) -> Self {
        let mut out = Self::default();
        for row in (0..self.time.len()).filter(|row| !gone(*row)) {
            out.push(self.time[row], self.prices(row), self.volume[row]);
        }
        out
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Injected {
    /// From the first bar that is wrong, or was there, to after the last.
    pub range: Range<i64>,
    /// How large it is: bars, or for a spike the share of the price, for volumes the factor, and for those that are moved,
    /// and short days, hours.
    pub size: f64,
}

/// Numbers by a fixed rule (`SplitMix64`, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Puts `count` faults into bars of a timeframe of `step_ns`; fewer where there is no room for them.
pub fn inject(
    clean: &Columns,
    step_ns: i64,
    fault: Fault,
    count: usize,
    seed: u64,
) -> (Columns, Vec<Injected>) {
    let mut random = Random(seed ^ (fault as u64) << 32);
    match fault {
        _ if fault.is_of_days() => days(clean, step_ns, fault, count, &mut random),
        _ => bars(clean, step_ns, fault, count, &mut random),
    }
}

fn bars(
    clean: &Columns,
    step_ns: i64,
    fault: Fault,
    count: usize,
    random: &mut Random,
) -> (Columns, Vec<Injected>) {
    let rows = clean.time.len();
    let (mut out, mut done) = (clean.clone(), Vec::new());
    let mut gone = vec![false; rows];
    let start = clean.time.first().map_or(0, |first| first + fault.history_ns());
    let first = clean.time.partition_point(|time| *time < start);
    // One fault in every stretch, so that none touches another, and none the window of another.
    let stretch = (rows - first) / count.max(1);
    for at in 0..count {
        if stretch < 200 {
            break;
        }
        let row = first + at * stretch + 80 + random.below(stretch - 160);
        let (bars, size) = match fault {
            Fault::Missing => {
                let bars = 1 + random.below(30);
                gone[row..row + bars].fill(true);
                (bars, bars as f64)
            }
            Fault::Spike => (1, spike(&mut out, row, random)),
            Fault::Swapped => (1, swap(&mut out, row, random)),
            Fault::Stale => stale(clean, &mut out, row, random),
            Fault::Volume => volumes(&mut out, row, random),
            Fault::Untraded => untraded(&mut out, row, random),
            _ => {
                let factor = if random.below(2) == 0 { 100.0 } else { 0.01 };
                let bars = 1 + random.below(60);
                for row in row..row + bars {
                    out.set(row, clean.prices(row).map(|price| price * factor), clean.volume[row]);
                }
                (bars, bars as f64)
            }
        };
        if size > 0.0 {
            done.push(Injected { range: clean.time[row]..clean.time[row + bars - 1] + step_ns, size });
        } else {
            (row..row + 60).for_each(|row| out.set(row, clean.prices(row), clean.volume[row]));
        }
    }
    (out.without(|row| gone[row]), done)
}

/// A bar that comes again; without volume, or where the bars were equal before, nothing is wrong.
fn stale(clean: &Columns, out: &mut Columns, row: usize, random: &mut Random) -> (usize, f64) {
    let bars = 2 + random.below(59);
    let (prices, volume) = (clean.prices(row), clean.volume[row]);
    (row + 1..row + bars).for_each(|row| out.set(row, prices, volume));
    let equal =
        (row + 1..row + bars).all(|other| clean.prices(other) == prices && clean.volume[other] == volume);
    (bars, if volume > 0.0 && !equal { bars as f64 } else { 0.0 })
}

/// Volumes in another unit; 0 if there is none among them.
fn volumes(out: &mut Columns, row: usize, random: &mut Random) -> (usize, f64) {
    let bars = 1 + random.below(60);
    // Between 10 and 1,000, each power of ten alike.
    let factor = 10.0_f64.powf(1.0 + 2.0 * random.share());
    let factor = if random.below(2) == 0 { factor } else { 1.0 / factor };
    let volumes = &mut out.volume[row..row + bars];
    let traded = volumes.iter().any(|volume| *volume > 0.0);
    volumes.iter_mut().for_each(|volume| *volume *= factor);
    (bars, if traded { factor } else { 0.0 })
}

/// No volume beside prices that move; 0 if none does, or there was none before.
fn untraded(out: &mut Columns, row: usize, random: &mut Random) -> (usize, f64) {
    let bars = 1 + random.below(30);
    let moves = |row: usize| out.prices[1][row] > out.prices[2][row] && out.volume[row] > 0.0;
    let any = (row..row + bars).any(moves);
    out.volume[row..row + bars].fill(0.0);
    (bars, if any { bars as f64 } else { 0.0 })
}

/// A close that lies off, with the high or the low; its distance as a share.
fn spike(bars: &mut Columns, row: usize, random: &mut Random) -> f64 {
    let [open, high, low, close] = bars.prices(row);
    // Between 0.3 and 20 %, each power of ten alike.
    let size = 0.003 * (0.2_f64 / 0.003).powf(random.share());
    let up = random.below(2) == 0;
    let wrong = close * if up { 1.0 + size } else { 1.0 - size };
    bars.set(row, [open, high.max(wrong), low.min(wrong), wrong], bars.volume[row]);
    size
}

/// Two prices of a bar change places; 0 if no two differ so that it is seen.
fn swap(bars: &mut Columns, row: usize, random: &mut Random) -> f64 {
    let mut prices = bars.prices(row);
    let pairs = [(1, 2), (0, 2), (3, 1), (0, 1), (3, 2)];
    let first = random.below(pairs.len());
    let differ = |(a, b): &(usize, usize)| prices[*a] != prices[*b];
    let Some((a, b)) = (0..pairs.len()).map(|at| pairs[(first + at) % pairs.len()]).find(differ) else {
        return 0.0;
    };
    prices.swap(a, b);
    bars.set(row, prices, bars.volume[row]);
    1.0
}

fn days(
    clean: &Columns,
    step_ns: i64,
    fault: Fault,
    count: usize,
    random: &mut Random,
) -> (Columns, Vec<Injected>) {
    let day_of = |row: usize| clean.time[row].div_euclid(DAY_NS);
    let mut days: Vec<Range<usize>> = Vec::new();
    for row in 0..clean.time.len() {
        match days.last_mut() {
            Some(last) if day_of(last.start) == day_of(row) => last.end = row + 1,
            _ => days.push(row..row + 1),
        }
    }
    let (mut out, mut done) = (Columns::default(), Vec::new());
    let start = clean.time.first().map_or(0, |first| first + fault.history_ns());
    let early = days.partition_point(|day| clean.time[day.start] < start);
    // A day between two that are left as they are; the first has none before it.
    let mut chosen = vec![false; days.len()];
    for _ in 0..count * 20 {
        let at = random.below(days.len());
        let free = at >= early.max(1)
            && !chosen[at]
            && !chosen[at - 1]
            && chosen.get(at + 1).is_none_or(|next| !next);
        if free && chosen.iter().filter(|day| **day).count() < count {
            chosen[at] = true;
        }
    }
    for (at, day) in days.iter().enumerate() {
        let midnight = day_of(day.start) * DAY_NS;
        if !chosen[at] {
            day.clone().for_each(|row| out.push(clean.time[row], clean.prices(row), clean.volume[row]));
            continue;
        }
        let before = out.time.last().copied().unwrap_or(i64::MIN);
        let mut size = day.len() as f64;
        match fault {
            Fault::Shifted => {
                for row in day.clone().filter(|row| clean.time[*row] - HOUR_NS > before) {
                    out.push(clean.time[row] - HOUR_NS, clean.prices(row), clean.volume[row]);
                }
            }
            Fault::Short => {
                let hours = 1 + random.below(12);
                let gone = hours as i64 * HOUR_NS;
                let keeps = if random.below(2) == 0 {
                    midnight + gone..midnight + DAY_NS
                } else {
                    midnight..midnight + DAY_NS - gone
                };
                for row in day.clone().filter(|row| keeps.contains(&clean.time[*row])) {
                    out.push(clean.time[row], clean.prices(row), clean.volume[row]);
                }
                size = hours as f64;
            }
            Fault::Moved => {
                let hours = 1 + random.below(12);
                let bars = hours * (HOUR_NS / step_ns) as usize;
                for (place, row) in day.clone().enumerate() {
                    let from = day.start + (place + day.len() - bars % day.len()) % day.len();
                    out.push(clean.time[row], clean.prices(row), clean.volume[from]);
                }
                size = hours as f64;
            }
            _ => {
                let from = day_of(days[at - 1].start) * DAY_NS;
                for row in days[at - 1].clone() {
                    out.push(clean.time[row] - from + midnight, clean.prices(row), clean.volume[row]);
                }
            }
        }
        let end = clean.time[day.end - 1] + step_ns;
        done.push(Injected { range: midnight..end, size });
    }
    (out, done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore::time::MINUTE_NS;

    fn clean() -> Columns {
        let mut bars = Columns::default();
        let mut random = Random(1);
        let mut close: f64 = 100.0;
        for minute in 0..20 * 1440 {
            let open = close;
            close *= 1.0 + (random.share() - 0.5) * 0.002;
            let (high, low) = (open.max(close) * 1.0005, open.min(close) * 0.9995);
            bars.push(minute * MINUTE_NS, [open, high, low, close], 1.0 + random.share());
        }
        bars
    }

    #[test]
    fn every_fault_changes_what_it_says_and_nothing_else() {
        let clean = clean();
        for fault in Fault::ALL {
            let count = if fault.is_of_days() { 2 } else { 20 };
            let (faulty, done) = inject(&clean, MINUTE_NS, fault, count, 7);
            assert_eq!(done.len(), count, "{}", fault.name());
            assert!(faulty.time.is_sorted_by(|a, b| a < b), "{}", fault.name());
            let row_at = |bars: &Columns, time: i64| bars.time.binary_search(&time).ok();
            for row in 0..clean.time.len() {
                let time = clean.time[row];
                let touched = done.iter().any(|one| {
                    let reach = if fault == Fault::Shifted { HOUR_NS } else { 0 };
                    (one.range.start - reach..one.range.end + reach).contains(&time)
                });
                if !touched {
                    let other = row_at(&faulty, time).expect("a bar outside of faults stays");
                    assert_eq!(faulty.prices(other), clean.prices(row), "{} at {row}", fault.name());
                    assert_eq!(faulty.volume[other], clean.volume[row], "{} at {row}", fault.name());
                }
            }
            for one in &done {
                let rows = (0..clean.time.len()).filter(|row| one.range.contains(&clean.time[*row]));
                let differs = |row: usize| {
                    row_at(&faulty, clean.time[row]).is_none_or(|other| {
                        faulty.prices(other) != clean.prices(row) || faulty.volume[other] != clean.volume[row]
                    })
                };
                assert!(rows.into_iter().any(differs), "{} {one:?}", fault.name());
            }
            assert_eq!(inject(&clean, MINUTE_NS, fault, count, 7), (faulty, done), "{}", fault.name());
        }
    }

    #[test]
    fn sizes_are_within_their_bounds() {
        let clean = clean();
        let (faulty, spikes) = inject(&clean, MINUTE_NS, Fault::Spike, 30, 3);
        assert!(spikes.iter().all(|spike| (0.003..=0.2).contains(&spike.size)));
        for spike in &spikes {
            let row = clean.time.binary_search(&spike.range.start).unwrap();
            let off = (faulty.prices[3][row] / clean.prices[3][row] - 1.0).abs();
            assert!((off - spike.size).abs() < 1e-9);
        }
        let (_, missing) = inject(&clean, MINUTE_NS, Fault::Missing, 30, 3);
        assert!(missing.iter().all(|one| one.range.end - one.range.start == one.size as i64 * MINUTE_NS));
    }

    #[test]
    fn faults_of_volume_leave_prices_and_the_first_days_alone() {
        let clean = clean();
        for fault in [Fault::Volume, Fault::Untraded, Fault::Moved] {
            let (faulty, done) = inject(&clean, MINUTE_NS, fault, 4, 5);
            assert_eq!((&faulty.time, &faulty.prices), (&clean.time, &clean.prices), "{}", fault.name());
            assert!(done.iter().all(|one| one.range.start >= HISTORY_NS), "{}", fault.name());
            let sum = |bars: &Columns| bars.volume.iter().sum::<f64>();
            let kept = (sum(&faulty) / sum(&clean) - 1.0).abs() < 1e-12;
            assert_eq!(kept, fault == Fault::Moved, "what is moved is not lost");
        }
        let (faulty, done) = inject(&clean, MINUTE_NS, Fault::Volume, 30, 5);
        for one in &done {
            let row = clean.time.binary_search(&one.range.start).unwrap();
            assert!((faulty.volume[row] / clean.volume[row] / one.size - 1.0).abs() < 1e-9);
            assert!((10.0..=1000.0).contains(&one.size) || (0.001..=0.1).contains(&one.size));
        }
        assert!(done.iter().any(|one| one.size < 1.0) && done.iter().any(|one| one.size > 1.0));
        // A week of bars has no such history.
        let week = clean.without(|row| row >= 7 * 1440);
        assert!(inject(&week, MINUTE_NS, Fault::Volume, 4, 5).1.is_empty());
        assert!(inject(&week, MINUTE_NS, Fault::Moved, 4, 5).1.is_empty());
    }

    #[test]
    fn prices_that_are_all_the_same_cannot_be_swapped() {
        let mut flat = Columns::default();
        (0..1000).for_each(|minute| flat.push(minute * MINUTE_NS, [5.0; 4], 1.0));
        assert!(inject(&flat, MINUTE_NS, Fault::Swapped, 3, 1).1.is_empty());
        assert!(inject(&flat, MINUTE_NS, Fault::Stale, 3, 1).1.is_empty());
        assert_eq!(inject(&Columns::default(), MINUTE_NS, Fault::Spike, 3, 1).1, []);
        assert_eq!(inject(&Columns::default(), MINUTE_NS, Fault::Repeated, 3, 1).1, []);
    }
}
