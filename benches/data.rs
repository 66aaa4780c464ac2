//! Data for the benches: generated from a fixed seed, and real bars where they are present.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use tapestore::schema::bars;
use tapestore::{Batch, Options, SeriesKey, Store, Values};

pub(crate) const MINUTE_NS: i64 = 60_000_000_000;
pub(crate) const DAY_NS: i64 = 1440 * MINUTE_NS;

/// 2020-01-01.
pub(crate) const START_NS: i64 = 18_262 * DAY_NS;

pub(crate) const COLUMNS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// Bytes of a row before any encoding: the time and five doubles.
pub(crate) const ROW_BYTES: u64 = 48;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> i64 {
        (self.next() % bound) as i64
    }
}

/// Bars in memory: what a program without a store would hold.
#[derive(Clone)]
pub(crate) struct Bars {
    pub(crate) time: Vec<i64>,
    /// As [`COLUMNS`].
    pub(crate) columns: [Vec<f64>; 5],
}

impl Bars {
    /// A random walk in hundredths; volumes with three decimals, mostly small.
    pub(crate) fn walk(times: impl Iterator<Item = i64>, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut bars = Self { time: times.collect(), columns: Default::default() };
        let mut close = 1_000_000;
        for _ in 0..bars.time.len() {
            let open = close + random.below(5) - 2;
            close = (open + random.below(41) - 20).max(1_000);
            let high = open.max(close) + random.below(12);
            let low = open.min(close) - random.below(12);
            let digits = 4 + random.below(16);
            let volume = random.below(1 << digits);
            let prices = [open, high, low, close].map(|price| price as f64 / 100.0);
            let [o, h, l, c, v] = &mut bars.columns;
            for (column, value) in [o, h, l, c].into_iter().zip(prices) {
                column.push(value);
            }
            v.push(volume as f64 / 1000.0);
        }
        bars
    }

    /// As many minutes without a hole.
    pub(crate) fn complete(rows: usize) -> Self {
        Self::walk((0..rows as i64).map(|minute| START_NS + minute * MINUTE_NS), 1)
    }

    /// Minutes of which about one in eight is missing.
    pub(crate) fn sparse(rows: usize) -> Self {
        let mut random = Random(2);
        let minutes = (0..).filter(|_| random.below(8) != 0).take(rows);
        Self::walk(
            minutes.map(|minute: i64| START_NS + minute * MINUTE_NS).collect::<Vec<_>>().into_iter(),
            3,
        )
    }

    /// The bars of a real file, if it is present: `TAPE_DATA`, or beside the workspace.
    pub(crate) fn real(file: &str) -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let path = std::env::var_os("TAPE_DATA").map_or(beside, PathBuf::from).join("klines").join(file);
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(std::fs::File::open(path).ok()?).read_to_string(&mut text).ok()?;
        let mut bars = Self { time: Vec::new(), columns: Default::default() };
        for line in text.lines().skip(1) {
            let mut fields = line.split(',');
            bars.time.push(fields.next()?.parse::<i64>().ok()? * 1_000_000);
            for column in &mut bars.columns {
                column.push(fields.next()?.parse().ok()?);
            }
        }
        Some(bars)
    }

    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// Raw bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.len() as u64 * ROW_BYTES
    }

    pub(crate) fn batch(&self, rows: std::ops::Range<usize>) -> Batch {
        let batch = Batch::new(self.time[rows.clone()].to_vec());
        COLUMNS
            .iter()
            .zip(&self.columns)
            .fold(batch, |batch, (name, column)| batch.with(name, Values::F64(column[rows.clone()].to_vec())))
    }
}

pub(crate) fn key(number: usize) -> SeriesKey {
    SeriesKey::new(&format!("S{number:05}.BENCH"), "1m").expect("a valid name")
}

/// Writes all bars to the series, a quarter of a million rows a commit.
pub(crate) fn import(store: &Store, key: &SeriesKey, all: &Bars) {
    for start in (0..all.len()).step_by(250_000) {
        let mut transaction = store.begin();
        transaction.create_series(key, bars()).expect("create_series");
        let rows = start..(start + 250_000).min(all.len());
        transaction.merge(key, all.batch(rows)).expect("merge");
        transaction.commit().expect("commit");
    }
}

/// Nothing happens but what is measured.
pub(crate) fn quiet() -> Options {
    Options { background: false, memtable_bytes: 1 << 30, ..Options::default() }
}

/// A store in a directory, with one sealed and compacted series.
pub(crate) fn sealed(directory: &Path, all: &Bars, options: Options) -> Store {
    let store = Store::create(directory, options).expect("create");
    import(&store, &key(0), all);
    store.seal().expect("seal");
    store.compact().expect("compact");
    store
}
