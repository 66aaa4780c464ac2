//! Random markets and settings from a seed.

use tapestore_backtest::{
    Bars, Commission, Costs, Fill, Gaps, Market, Rebalance, Schedule, Settings, costs::Mode,
};

pub(crate) const MINUTE: i64 = 60_000_000_000;
/// 2026-01-05, a Monday.
pub(crate) const START: i64 = 1_767_571_200_000_000_000;

/// A generator (`SplitMix64`); the same seed gives the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From -1 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Bars as columns.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) time: Vec<i64>,
    pub(crate) open: Vec<f64>,
    pub(crate) close: Vec<f64>,
    pub(crate) after_hole: Vec<usize>,
}

impl Series {
    /// Prices that wander in cents, with holes, over a few days of 100 bars.
    pub(crate) fn random(random: &mut Random, rows: usize) -> Self {
        let (mut time, mut price) = (START, 100.0);
        let mut out = Self { time: Vec::new(), open: Vec::new(), close: Vec::new(), after_hole: Vec::new() };
        for row in 0..rows {
            if row > 0 && random.chance(3) {
                out.after_hole.push(row);
                time += MINUTE;
            }
            time += if row % 100 == 99 { 1341 * MINUTE } else { MINUTE };
            let mut step = |price: f64| {
                let next: f64 = price * (1.0 + random.unit() * 0.02);
                (next * 100.0).round().max(1.0) / 100.0
            };
            let open = step(price);
            price = step(open);
            out.time.push(time);
            out.open.push(open);
            out.close.push(price);
        }
        out
    }

    pub(crate) fn until(&self, rows: usize) -> Self {
        Self {
            time: self.time[..rows].to_vec(),
            open: self.open[..rows].to_vec(),
            close: self.close[..rows].to_vec(),
            after_hole: self.after_hole.iter().copied().filter(|row| *row < rows).collect(),
        }
    }

    pub(crate) fn bars(&self) -> Bars<'_> {
        Bars {
            time: &self.time,
            open: Some(&self.open),
            close: &self.close,
            after_hole: &self.after_hole,
            sessions: None,
            intraday: true,
        }
    }

    pub(crate) fn market(&self, settings: &Settings) -> Market {
        Market::new(&self.bars(), settings).expect("bars that can be traded")
    }
}

/// A signal: steps, noise, or a few values, with holes.
pub(crate) fn signal(random: &mut Random, rows: usize) -> Vec<f64> {
    let kind = random.below(4);
    let mut last = 0.0;
    let mut next = |random: &mut Random| {
        if random.chance(5) {
            return [f64::NAN, f64::INFINITY, 0.0, -0.0][random.below(4) as usize];
        }
        if kind == 0 || (kind == 1 && random.chance(10)) {
            last = random.unit();
        } else if kind > 1 && random.chance(20) {
            last = [-1.0, 0.0, 1.0, 0.5][random.below(4) as usize];
        }
        last
    };
    (0..rows).map(|_| next(random)).collect()
}

pub(crate) fn settings(random: &mut Random) -> Settings {
    let commission = Commission {
        rate: [0.0, 0.0005, 0.003][random.below(3) as usize],
        minimum: [0.0, 3.0][random.below(2) as usize],
    };
    let schedule = match random.below(4) {
        0 => Schedule::Free,
        1 | 2 => Schedule::Rate(commission),
        _ => Schedule::HongKong { commission, stamp_exempt: random.chance(50) },
    };
    Settings {
        capital: [100_000.0, 12_345.0][random.below(2) as usize],
        allocation: [0.1, 1.0, 2.5][random.below(3) as usize],
        fill: [Fill::Close, Fill::NextOpen][random.below(2) as usize],
        costs: Costs { mode: [Mode::Proportional, Mode::Flat][random.below(2) as usize], schedule },
        rebalance: [Rebalance::Free, Rebalance::Paid][random.below(2) as usize],
        gaps: [Gaps::Bridge, Gaps::Break][random.below(2) as usize],
        bars_per_year: 25_000.0,
        rank_ic: true,
    }
}
