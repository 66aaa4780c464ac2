//! Real bars through the engine: every value comes back to the bit, gaps are those that counting finds, a second
//! import adds nothing, and the store is smaller than Parquet.
//!
//! The data is not part of the project. Where it is absent, these tests pass and say that they were skipped;
//! `TAPE_DATA` says where it is, if not beside the workspace.

mod source;

use std::path::{Path, PathBuf};
use std::time::Instant;

use source::{Bars, data};
use tapestore::schema::{bars, bars_with};
use tapestore::{Batch, CommitReport, Options, SeriesKey, Store, Timeframe, Values, View};
use tempfile::TempDir;

/// Rows of one transaction of an import.
const STEP: usize = 250_000;

const DOUBLES: [&str; 8] =
    ["open", "high", "low", "close", "volume", "quote_volume", "taker_buy_base", "taker_buy_quote"];

/// A series to be: its name, its files, and what Parquet makes of it.
struct Case {
    instrument: &'static str,
    frame: &'static str,
    files: Vec<PathBuf>,
    /// Only the first six columns of twelve.
    narrow: bool,
    /// Bytes per row of the same columns in Parquet with zstd at level 3, the smaller of two ways to write it
    /// (dictionary, or none and DELTA for times), where that was measured.
    parquet: Option<f64>,
}

impl Case {
    fn new(instrument: &'static str, frame: &'static str, files: Vec<PathBuf>) -> Self {
        Self { instrument, frame, files, narrow: false, parquet: None }
    }

    fn parquet(mut self, bytes_per_row: f64) -> Self {
        self.parquet = Some(bytes_per_row);
        self
    }
}

/// What was found out about one series.
struct Outcome {
    name: String,
    rows: u64,
    gaps: usize,
    missing: u64,
    bytes_per_row: f64,
    parquet: Option<f64>,
    seconds: f64,
}

/// Imports, compares, imports again; all cases in one store.
fn check(title: &str, cases: &[Case]) {
    let directory: TempDir = tempfile::tempdir().expect("a temporary directory can be made");
    let store = Store::create(directory.path().join("store"), Options::default()).expect("create");
    let mut loaded = Vec::new();
    for case in cases {
        let start = Instant::now();
        let mut source = Bars::default();
        for file in &case.files {
            source.add(file, case.narrow);
        }
        let key = SeriesKey::new(case.instrument, case.frame).expect("a valid name");
        let settled = source.settled();
        let report = import(&store, &key, &source);
        assert_eq!(report.added, settled.len() as u64, "{key}: rows added");
        compare(&store.view(), &key, &source, &settled);
        loaded.push((key, source, settled, start.elapsed().as_secs_f64()));
    }
    store.wait_idle().expect("wait_idle");
    store.compact().expect("compact");
    let view = store.view();
    let mut outcomes = Vec::new();
    for (case, (key, source, settled, seconds)) in cases.iter().zip(loaded) {
        let start = Instant::now();
        compare(&view, &key, &source, &settled);
        let (gaps, missing) = gaps_as_counted(&view, &key, &source, &settled);
        let version = store.view().version();
        let again = import(&store, &key, &source);
        assert_eq!((again.added, again.updated, again.deleted), (0, 0, 0), "{key}: the second import");
        assert_eq!((again.changed, store.view().version()), (false, version), "{key}: the second import");
        let info = view.info(&key).expect("info");
        outcomes.push(Outcome {
            name: key.to_string(),
            rows: info.rows,
            gaps,
            missing,
            bytes_per_row: info.bytes as f64 / info.rows as f64,
            parquet: case.parquet,
            seconds: seconds + start.elapsed().as_secs_f64(),
        });
    }
    let findings = store.verify(true).expect("verify");
    assert!(findings.is_empty(), "{findings:?}");
    let stats = store.stats().expect("stats");
    show(title, &outcomes, stats.bytes_on_disk);
    for outcome in outcomes {
        if let Some(parquet) = outcome.parquet {
            let ours = outcome.bytes_per_row;
            assert!(ours < parquet, "{}: {ours:.2} bytes per row, Parquet {parquet:.2}", outcome.name);
        }
    }
}

/// One table for people, printed at once so that tests running side by side do not mix theirs.
fn show(title: &str, outcomes: &[Outcome], bytes_on_disk: u64) {
    let mut text = format!(
        "\n{title}\n{:<22} {:>9} {:>8} {:>9} {:>10} {:>13} {:>6}\n",
        "series", "rows", "gaps", "missing", "bytes/row", "Parquet zstd3", "s"
    );
    for one in outcomes {
        let parquet = one.parquet.map_or_else(|| "-".into(), |bytes| format!("{bytes:.2}"));
        let Outcome { name, rows, gaps, missing, bytes_per_row, seconds, .. } = one;
        let line = format!(
            "{name:<22} {rows:>9} {gaps:>8} {missing:>9} {bytes_per_row:>10.2} {parquet:>13} {seconds:>6.1}"
        );
        text = text + &line + "\n";
    }
    println!("{text}whole store on disk: {bytes_on_disk} bytes");
}

fn import(store: &Store, key: &SeriesKey, source: &Bars) -> CommitReport {
    let wide = !source.trades.is_empty();
    let optional = ["quote_volume", "trades", "taker_buy_base", "taker_buy_quote"];
    let schema = if wide { bars_with(&optional).expect("known columns") } else { bars() };
    let mut total: Option<CommitReport> = None;
    for start in (0..source.time.len()).step_by(STEP) {
        let rows = start..(start + STEP).min(source.time.len());
        let mut batch = Batch::new(source.time[rows.clone()].to_vec());
        for (name, column) in DOUBLES.iter().zip(&source.doubles) {
            batch = batch.with(name, Values::F64(column[rows.clone()].to_vec()));
        }
        if wide {
            batch = batch.with("trades", Values::I64(source.trades[rows].to_vec()));
        }
        let mut transaction = store.begin();
        transaction.source("file").message("import");
        transaction.create_series(key, schema.clone()).expect("create_series");
        transaction.merge(key, batch).expect("merge");
        let report = transaction.commit().expect("commit");
        total = Some(match total {
            None => report,
            Some(so_far) => CommitReport {
                added: so_far.added + report.added,
                updated: so_far.updated + report.updated,
                deleted: so_far.deleted + report.deleted,
                changed: so_far.changed || report.changed,
                ..report
            },
        });
    }
    total.expect("no file is empty")
}

/// Every time and every value, by its bits.
fn compare(view: &View, key: &SeriesKey, source: &Bars, settled: &[usize]) {
    let rows = view.read(key).rows().expect("read");
    assert_eq!(rows.len(), settled.len(), "{key}: rows");
    assert!(rows.time().iter().eq(settled.iter().map(|row| &source.time[*row])), "{key}: times");
    for (name, column) in DOUBLES.iter().zip(&source.doubles) {
        let found = rows.f64(name).unwrap_or_else(|| panic!("{key} has no {name}"));
        let differs =
            found.iter().zip(settled).position(|(value, row)| value.to_bits() != column[*row].to_bits());
        assert_eq!(differs, None, "{key}: {name}");
    }
    if !source.trades.is_empty() {
        let found = rows.i64("trades").unwrap_or_else(|| panic!("{key} has no trades"));
        assert!(found.iter().eq(settled.iter().map(|row| &source.trades[*row])), "{key}: trades");
    }
}

/// Compares the gaps with those found by walking over all times; returns their number and the bars missing.
fn gaps_as_counted(view: &View, key: &SeriesKey, source: &Bars, settled: &[usize]) -> (usize, u64) {
    let step = key.frame().timeframe().and_then(Timeframe::step_ns).expect("bars of fixed length");
    let times: Vec<i64> = settled.iter().map(|row| source.time[*row]).collect();
    let holes = times.windows(2).filter(|pair| pair[1] - pair[0] != step);
    let want: Vec<_> =
        holes.map(|pair| (pair[0] + step, pair[1], ((pair[1] - pair[0]) / step - 1) as u64)).collect();
    let gaps = view.gaps(key, None).expect("gaps");
    assert!(gaps.iter().map(|gap| (gap.start, gap.end, gap.missing)).eq(want.iter().copied()), "{key}: gaps");
    // A part in the middle, cut within gaps if there are any.
    let (from, to) = (times[times.len() / 3] + step, times[times.len() * 2 / 3] - step);
    let cut = want.iter().map(|gap| (gap.0.max(from), gap.1.min(to))).filter(|gap| gap.0 < gap.1);
    let part = view.gaps(key, Some(from..to)).expect("gaps of a part");
    assert!(part.iter().map(|gap| (gap.start, gap.end)).eq(cut), "{key}: gaps of a part");
    (want.len(), want.iter().map(|gap| gap.2).sum())
}

/// The files of a directory whose names begin and end like this, by name.
fn files(directory: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a readable directory");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(begin) && name.ends_with(end)
    });
    found.sort();
    assert!(!found.is_empty(), "no {begin}…{end} in {}", directory.display());
    found
}

#[test]
fn the_longest_sparse_series_comes_back() {
    let Some(data) = data() else { return };
    let btc = vec![data.join("BTCUSD.BITFINEX-1m.csv.gz")];
    check("Bitfinex, the longest", &[Case::new("BTCUSD.BITFINEX", "1m", btc).parquet(16.14)]);
}

#[test]
fn sparse_series_of_mixed_precision_come_back() {
    let Some(data) = data() else { return };
    let case = |instrument, file: &str| Case::new(instrument, "1m", vec![data.join(file)]);
    check(
        "Bitfinex",
        &[
            case("LTCUSD.BITFINEX", "LTCUSD.BITFINEX-1m.csv.gz").parquet(16.40),
            case("EOSUSD.BITFINEX", "EOSUSD.BITFINEX-1m.csv.gz").parquet(16.79),
        ],
    );
}

#[test]
fn monthly_dumps_and_a_ladder_of_timeframes_come_back() {
    let Some(data) = data() else { return };
    let months = data.join("binance-um");
    let mut six =
        Case::new("NEARUSDT-SIX.BINANCE", "1m", vec![months.join("NEARUSDT-1m-2025-06.zip")]).parquet(8.10);
    six.narrow = true;
    let mut cases = vec![
        six,
        Case::new("NEARUSDT.BINANCE", "1m", files(&months, "NEARUSDT-1m-", ".zip")),
        Case::new("FILUSDT.BINANCE", "1m", files(&months, "FILUSDT-1m-", ".zip")),
        Case::new("BTCUSDT.BINANCE", "1h", vec![data.join("binance_spot_BTCUSDT-1h-2017-2024.csv")]),
        Case::new("BTCUSDT.BINANCE", "1m", vec![data.join("binance_spot_BTCUSDT-1m-2025-06.csv")]),
    ];
    for instrument in ["ADAUSDT", "DOGEUSDT"] {
        for frame in ["1m", "5m", "15m", "30m", "60m", "240m"] {
            let file = data.join(format!("ladder/{instrument}_{frame}.csv.gz"));
            let case = Case::new(instrument, frame, vec![file]);
            cases.push(if (instrument, frame) == ("ADAUSDT", "1m") { case.parquet(10.15) } else { case });
        }
    }
    check("Binance", &cases);
}
