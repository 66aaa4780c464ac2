//! Reading the source files: a few lines of own code, so that the engine is compared with nothing of its own.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

/// Where the data is, if it is there: beside the workspace, or where `TAPE_DATA` says.
pub(crate) fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let place = std::env::var_os("TAPE_DATA").map_or(beside, PathBuf::from).join("klines");
    if place.is_dir() {
        return Some(place);
    }
    println!("skipped: there is no {}", place.display());
    None
}

/// The bars of some files, column by column, in the order of the files.
#[derive(Default)]
pub(crate) struct Bars {
    /// Nanoseconds since the Unix epoch.
    pub(crate) time: Vec<i64>,
    /// Open, high, low, close, volume, and in Binance's dumps quote volume, taker buy volume and quote volume.
    pub(crate) doubles: Vec<Vec<f64>>,
    /// Number of trades, in Binance's dumps.
    pub(crate) trades: Vec<i64>,
}

/// The numbers of the columns with doubles in Binance's dumps of twelve columns.
const DUMP_DOUBLES: [usize; 8] = [1, 2, 3, 4, 5, 7, 9, 10];

impl Bars {
    /// Adds the bars of a file: plain, `.gz`, or the only entry of a `.zip`. `narrow` takes the first six columns.
    pub(crate) fn add(&mut self, path: &Path, narrow: bool) {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => self.parse(flate2::read::MultiGzDecoder::new(file), narrow),
            Some("zip") => {
                let mut archive = zip::ZipArchive::new(file).expect("a zip file");
                assert_eq!(archive.len(), 1, "{}", path.display());
                self.parse(archive.by_index(0).expect("an entry"), narrow);
            }
            _ => self.parse(file, narrow),
        }
    }

    fn parse(&mut self, input: impl Read, narrow: bool) {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let mut line = String::new();
        while input.read_line(&mut line).expect("readable text") > 0 {
            let fields: Vec<&str> = line.trim_end().split(',').collect();
            if fields[0].starts_with(|c: char| c.is_ascii_digit()) {
                self.push(&fields, narrow);
            }
            line.clear();
        }
    }

    fn push(&mut self, fields: &[&str], narrow: bool) {
        let wide = fields.len() == 12 && !narrow;
        let columns = if wide { &DUMP_DOUBLES[..] } else { &DUMP_DOUBLES[..5] };
        self.doubles.resize(columns.len(), Vec::new());
        self.time.push(time_ns(fields[0]));
        for (column, number) in self.doubles.iter_mut().zip(columns) {
            column.push(fields[*number].parse().expect("a number"));
        }
        if wide {
            self.trades.push(fields[8].parse().expect("a whole number"));
        }
    }

    /// The rows in order of time; of several rows of one time, the last.
    pub(crate) fn settled(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.time.len()).collect();
        order.sort_by_key(|row| self.time[*row]);
        order.reverse();
        order.dedup_by_key(|row| self.time[*row]);
        order.reverse();
        order
    }
}

/// Milliseconds, or `2025-05-30 16:40:00+00:00`.
fn time_ns(text: &str) -> i64 {
    if let Ok(milliseconds) = text.parse::<i64>() {
        return milliseconds * 1_000_000;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().expect("digits");
    assert_eq!(&text[19..], "+00:00", "only UTC is expected in {text}");
    // Days from the civil date, by counting: every year has 365, every fourth one more (1901 to 2099).
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = i64::from(year % 4 == 0);
    let lengths = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days =
        (year - 1970) * 365 + (year - 1969) / 4 + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    ((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60_000_000_000 + number(17, 19) * 1_000_000_000
}

#[test]
fn times_are_read() {
    assert_eq!(time_ns("1364774820000"), 1_364_774_820_000_000_000);
    assert_eq!(time_ns("2025-05-30 16:40:00+00:00"), 1_748_623_200_000_000_000);
}
