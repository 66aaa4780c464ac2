//! Bars to check, made of a seed.

use tapestore::time::{DAY_NS, MINUTE_NS};
use tapestore::{Batch, Options, SeriesKey, Store, Values, schema};
use tapestore_quality::{Finding, FindingState, Rule, Setup, check, findings};

/// Numbers from a seed.
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
}

/// Bars, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) time: Vec<i64>,
    /// Open, high, low, close, volume.
    pub(crate) values: [Vec<f64>; 5],
}

impl Table {
    /// A walk of `count` bars of `step` nanoseconds.
    pub(crate) fn walk(start: i64, step: i64, count: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut out = Self::default();
        let mut price = 10_000.0_f64;
        for at in 0..count {
            let move_by = |random: &mut Random| (random.below(41) as f64 - 20.0) * 0.01;
            let open = price;
            let close = ((open + move_by(&mut random)) * 100.0).round() / 100.0;
            let high = ((open.max(close) + 0.01 * random.below(9) as f64) * 100.0).round() / 100.0;
            let low = ((open.min(close) - 0.01 * random.below(9) as f64) * 100.0).round() / 100.0;
            let volume = 10.0 + random.below(1000) as f64 / 100.0;
            out.time.push(start + at as i64 * step);
            let bar = [open, high, low, close, volume];
            out.values.iter_mut().zip(bar).for_each(|(column, value)| column.push(value));
            price = close;
        }
        out
    }

    pub(crate) fn batch(&self) -> Batch {
        let names = ["open", "high", "low", "close", "volume"];
        let batch = Batch::new(self.time.clone());
        names
            .iter()
            .zip(&self.values)
            .fold(batch, |batch, (name, values)| batch.with(name, Values::F64(values.clone())))
    }

    /// Without the bars of some rows.
    pub(crate) fn without(&self, rows: std::ops::Range<usize>) -> Self {
        let mut out = self.clone();
        out.time.drain(rows.clone());
        out.values.iter_mut().for_each(|column| drop(column.drain(rows.clone())));
        out
    }

    /// Coarser bars of every `per` bars.
    pub(crate) fn coarser(&self, per: usize) -> Self {
        let mut out = Self::default();
        for start in (0..self.time.len()).step_by(per) {
            let rows = start..(start + per).min(self.time.len());
            let fold = |column: usize, with: fn(f64, f64) -> f64| {
                self.values[column][rows.clone()].iter().copied().reduce(with).unwrap()
            };
            out.time.push(self.time[start]);
            let bar = [
                self.values[0][start],
                fold(1, f64::max),
                fold(2, f64::min),
                self.values[3][rows.end - 1],
                fold(4, |a, b| a + b),
            ];
            out.values.iter_mut().zip(bar).for_each(|(column, value)| column.push(value));
        }
        out
    }
}

pub(crate) fn key(instrument: &str, frame: &str) -> SeriesKey {
    SeriesKey::new(instrument, frame).unwrap()
}

pub(crate) fn minutes(days: usize, seed: u64) -> Table {
    Table::walk(0, MINUTE_NS, days * (DAY_NS / MINUTE_NS) as usize, seed)
}

pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path(), options).unwrap();
    (directory, store)
}

pub(crate) fn put(store: &Store, key: &SeriesKey, table: &Table) {
    let mut transaction = store.begin();
    transaction.source("test").create_series(key, schema::bars()).unwrap();
    transaction.upsert(key, table.batch()).unwrap();
    transaction.commit().unwrap();
}

pub(crate) fn setup() -> Setup {
    Setup { now_ns: 1_000 * DAY_NS, threads: 2, ..Setup::default() }
}

/// Open findings of a rule after a check: where, how many bars.
pub(crate) fn found(store: &Store, key: &SeriesKey, rule: Rule) -> Vec<(i64, u64)> {
    check(store, |_| true, &setup()).unwrap();
    let all = findings(&store.view(), i64::MIN..i64::MAX).unwrap();
    let wanted = |one: &&Finding| one.key == *key && one.rule == rule && one.state == FindingState::Open;
    all.iter().filter(wanted).map(|one| (one.at_ns, one.bars)).collect()
}
