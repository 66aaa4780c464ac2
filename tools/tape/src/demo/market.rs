//! Made-up bars that look like real ones: three instruments, one-minute bars, a fixed seed, and the damage that real
//! files have: minutes missing, spikes, rows twice, rows out of order.

use tapestore_format::time::{DAY_NS, HOUR_NS, MINUTE_NS};

use crate::calendar::push_iso;
use crate::number::{push_f64, push_i64};

/// 2025-01-06, a Monday.
const START_NS: i64 = 20_094 * DAY_NS;

/// `SplitMix64`: a small, fixed sequence of pseudo-random numbers.
#[derive(Clone, Debug)]
struct Random {
    state: u64,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// In `[0, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normal, variance 1.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 3.0_f64.sqrt()
    }
}

/// One bar; prices in ticks, so that they are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Open time.
    pub(crate) time: i64,
    ticks: [i64; 4],
    lots: i64,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Header, milliseconds, commas.
    Exchange,
    /// Header, ISO dates, semicolons.
    Spreadsheet,
    /// No header, seconds, tabs.
    Bare,
}

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// Instrument.
    pub(crate) instrument: &'static str,
    /// How the file is written.
    pub(crate) dialect: Dialect,
    days: i64,
    /// Trades in the sessions of Hong Kong, not around the clock.
    pub(crate) sessions: bool,
    price: f64,
    /// Ticks of one unit of price, as `10^decimals / step`.
    decimals: u32,
    tick_step: i64,
    volume_decimals: u32,
    seed: u64,
}

/// The three instruments of the demo.
pub(crate) const RECIPES: [Recipe; 3] = [
    Recipe {
        instrument: "BTCUSDT.BINANCE",
        dialect: Dialect::Exchange,
        days: 90,
        sessions: false,
        price: 98_250.0,
        decimals: 2,
        tick_step: 1,
        volume_decimals: 5,
        seed: 20_250_106,
    },
    Recipe {
        instrument: "ETHUSDT.BINANCE",
        dialect: Dialect::Spreadsheet,
        days: 90,
        sessions: false,
        price: 3_640.0,
        decimals: 2,
        tick_step: 1,
        volume_decimals: 4,
        seed: 7,
    },
    Recipe {
        instrument: "0700.HK",
        dialect: Dialect::Bare,
        days: 90,
        sessions: true,
        price: 412.0,
        decimals: 1,
        tick_step: 2,
        volume_decimals: 0,
        seed: 700,
    },
];

/// What was made.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    /// The text of the CSV file.
    pub(crate) csv: Vec<u8>,
    /// Different bars in the file.
    pub(crate) bars: u64,
    /// Rows in the file.
    pub(crate) rows: u64,
    /// Rows that are in the file twice.
    pub(crate) duplicates: u64,
    /// Rows that stand after a later one.
    pub(crate) out_of_order: u64,
    /// Minutes taken out.
    pub(crate) dropped: u64,
    /// The bars that spikes replaced: what was really traded.
    pub(crate) true_bars: Vec<Bar>,
}

impl Recipe {
    /// Makes the file. The same every time.
    pub(crate) fn make(&self) -> Market {
        let mut random = Random { state: self.seed };
        let mut bars = self.walk(&mut random);
        let before = bars.len();
        drop_minutes(&mut bars, &mut random);
        let dropped = (before - bars.len()) as u64;
        let true_bars = spike(&mut bars, &mut random);
        let mut rows = bars.clone();
        let duplicates = repeat_rows(&mut rows, &mut random);
        shuffle_stretches(&mut rows, &mut random);
        let mut latest = i64::MIN;
        let mut out_of_order = 0;
        for row in &rows {
            out_of_order += u64::from(row.time < latest);
            latest = latest.max(row.time);
        }
        let mut csv = Vec::with_capacity(rows.len() * 64);
        csv.extend_from_slice(match self.dialect {
            Dialect::Exchange => b"open_time,open,high,low,close,volume\n".as_slice(),
            Dialect::Spreadsheet => b"Date;Open;High;Low;Close;Volume\n",
            Dialect::Bare => b"",
        });
        for row in &rows {
            self.push_row(&mut csv, row);
        }
        let (bars, rows) = (bars.len() as u64, rows.len() as u64);
        Market { csv, bars, rows, duplicates, out_of_order, dropped, true_bars }
    }

    /// Open, high, low, close and volume of a bar.
    pub(crate) fn values(&self, bar: &Bar) -> [f64; 5] {
        let scale = 10_i64.pow(self.decimals) as f64;
        let [open, high, low, close] = bar.ticks.map(|ticks| (ticks * self.tick_step) as f64 / scale);
        [open, high, low, close, bar.lots as f64 / 10_i64.pow(self.volume_decimals) as f64]
    }

    /// A walk with calm and busy hours.
    fn walk(&self, random: &mut Random) -> Vec<Bar> {
        let per_unit = 10_f64.powi(self.decimals as i32) / self.tick_step as f64;
        let mut price = (self.price * per_unit).round() as i64;
        let mut bars = Vec::new();
        let mut heat: f64 = 1.0;
        for minute in 0..self.days * 1440 {
            let time = START_NS + minute * MINUTE_NS;
            if self.sessions && !in_session(time) {
                continue;
            }
            heat = (heat * 0.995 + 0.005 + random.unit() * 0.02 - 0.01).clamp(0.3, 4.0);
            let step = price as f64 * 0.0004 * heat;
            let open = price + (random.normal() * step * 0.05).round() as i64;
            let close = (open + (random.normal() * step).round() as i64).max(1);
            let high = open.max(close) + (random.normal().abs() * step * 0.6).round() as i64;
            let low = (open.min(close) - (random.normal().abs() * step * 0.6).round() as i64).max(1);
            let lots = match self.volume_decimals {
                0 => (1 + random.below((400.0 * heat) as u64)) as i64 * 100,
                _ => {
                    (random.unit() * random.unit() * heat * 30.0 * 10_f64.powi(self.volume_decimals as i32))
                        as i64
                }
            };
            bars.push(Bar { time, ticks: [open, high, low, close], lots });
            price = close;
        }
        bars
    }

    fn push_row(&self, out: &mut Vec<u8>, bar: &Bar) {
        let delimiter = match self.dialect {
            Dialect::Exchange => {
                push_i64(out, bar.time / 1_000_000);
                b','
            }
            Dialect::Spreadsheet => {
                push_iso(out, bar.time);
                b';'
            }
            Dialect::Bare => {
                push_i64(out, bar.time / 1_000_000_000);
                b'\t'
            }
        };
        for value in self.values(bar) {
            out.push(delimiter);
            push_f64(out, value);
        }
        out.push(b'\n');
    }
}

/// The sessions of Hong Kong between two times, as half-open ranges.
pub(crate) fn sessions(range: std::ops::Range<i64>) -> Vec<std::ops::Range<i64>> {
    let mut sessions: Vec<std::ops::Range<i64>> = Vec::new();
    for time in range.step_by(MINUTE_NS as usize).filter(|time| in_session(*time)) {
        match sessions.last_mut() {
            Some(last) if last.end == time => last.end += MINUTE_NS,
            _ => sessions.push(time..time + MINUTE_NS),
        }
    }
    sessions
}

/// 9:30 to 12:00 and 13:00 to 16:00 in Hong Kong, Monday to Friday.
fn in_session(time: i64) -> bool {
    let local = time + 8 * HOUR_NS;
    let weekday = (local.div_euclid(DAY_NS) + 3).rem_euclid(7);
    let minute = local.rem_euclid(DAY_NS) / MINUTE_NS;
    weekday < 5 && ((570..720).contains(&minute) || (780..960).contains(&minute))
}

/// Takes out single minutes, and four outages, each a quarter as long as the one before.
fn drop_minutes(bars: &mut Vec<Bar>, random: &mut Random) {
    let mut keep = vec![true; bars.len()];
    for _ in 0..bars.len() / 4000 {
        keep[random.below(bars.len() as u64) as usize] = false;
    }
    for outage in 0..4 {
        let length = (bars.len() as u64 >> (5 + 2 * outage)) + random.below(60);
        let start = random.below(bars.len() as u64 - length) as usize;
        keep[start..start + length as usize].fill(false);
    }
    // The first and the last bar stay, so that the span is known.
    keep[0] = true;
    *keep.last_mut().expect("there are bars") = true;
    let mut flags = keep.iter();
    bars.retain(|_| *flags.next().expect("one flag a bar"));
}

/// Makes a few bars absurd; returns what they were.
fn spike(bars: &mut [Bar], random: &mut Random) -> Vec<Bar> {
    let mut originals = Vec::new();
    for _ in 0..3 {
        let index = 1 + random.below(bars.len() as u64 - 2) as usize;
        originals.push(bars[index]);
        bars[index].ticks[1] *= 10;
        bars[index].ticks[3] = bars[index].ticks[1];
    }
    originals.sort_by_key(|bar| bar.time);
    originals.dedup_by_key(|bar| bar.time);
    originals
}

fn repeat_rows(rows: &mut Vec<Bar>, random: &mut Random) -> u64 {
    let count = rows.len() / 500;
    for _ in 0..count {
        let index = random.below(rows.len() as u64) as usize;
        rows.insert(index, rows[index]);
    }
    count as u64
}

/// Turns stretches of rows around, as parallel downloads do.
fn shuffle_stretches(rows: &mut [Bar], random: &mut Random) {
    for _ in 0..12 {
        let start = random.below(rows.len() as u64 - 300) as usize;
        rows[start..start + 300].rotate_left(150);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_every_time_and_as_told() {
        for recipe in RECIPES {
            let market = recipe.make();
            assert_eq!(market.csv, recipe.make().csv);
            let lines = market.csv.split(|byte| *byte == b'\n').count() as u64 - 1;
            assert_eq!(lines, market.rows + u64::from(recipe.dialect != Dialect::Bare));
            assert_eq!(market.rows, market.bars + market.duplicates);
            assert!(market.dropped > 100 && market.out_of_order > 100 && market.true_bars.len() == 3);
            assert!(market.dropped < market.bars / 10);
        }
    }

    #[test]
    fn true_bars_are_consistent() {
        for recipe in RECIPES {
            for bar in recipe.walk(&mut Random { state: recipe.seed }) {
                let [open, high, low, close, volume] = recipe.values(&bar);
                assert!(high >= open.max(close) && low <= open.min(close) && low > 0.0 && volume >= 0.0);
            }
        }
    }
}
