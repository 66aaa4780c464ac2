//! What the tests share: random numbers from a seed, and the lines of real files.

pub(crate) mod minutes;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(crate) const MINUTE: i64 = 60_000_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

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

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low) as u64) as i64
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Ascending times, some of them equal.
    pub(crate) fn times(&mut self, count: usize, step: u64) -> Vec<i64> {
        let mut time = self.between(-50, 50);
        let mut next = || {
            time += if self.chance(25) { 0 } else { self.below(step) as i64 };
            time
        };
        (0..count).map(|_| next()).collect()
    }
}

/// How many random cases a property is tried with: `TAPE_CASES`, or the default of the test.
pub(crate) fn cases(default: u64) -> u64 {
    std::env::var("TAPE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A real file, decompressed; `None`, and a word on it, where it is not there. `TAPE_DATA`, or beside the workspace.
pub(crate) fn real(name: &str) -> Option<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("TAPE_DATA").map_or(beside, PathBuf::from).join(name);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: there is no {}", path.display());
        return None;
    };
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).expect("a gzip file of text");
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text).expect("a file of text");
    }
    Some(text)
}
