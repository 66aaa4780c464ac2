//! Real market data: every value comes back bit for bit, and gaps agree with a brute force.
//!
//! The files are not part of the project; where they are absent the test says so and does nothing. They are looked
//! for in `TAPE_DATA`, else in `../shared/data` beside the project.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Place, member};

const MINUTE_NS: i64 = 60_000_000_000;

pub(super) fn data() -> Option<PathBuf> {
    let path = match std::env::var_os("TAPE_DATA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no market data at {}; set TAPE_DATA", path.display());
    None
}

/// The text of a file, unpacked without any code of the project.
pub(super) fn text(path: &Path) -> String {
    let file = std::fs::File::open(path).expect("opens");
    let mut out = String::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_string(&mut out),
        Some("zip") => {
            let mut archive = zip::ZipArchive::new(file).expect("a zip");
            archive.by_index(0).expect("one file").read_to_string(&mut out)
        }
        _ => { file }.read_to_string(&mut out),
    }
    .expect("unpacks");
    out
}

/// Time → open, high, low, close, volume as bits.
type Bars = BTreeMap<i64, [u64; 5]>;

fn time(cell: &str) -> i64 {
    if let Ok(milliseconds) = cell.parse::<i64>() {
        return milliseconds * 1_000_000;
    }
    // 2025-05-30 16:40:00+00:00, all of one summer: days counted by hand from 2025-05-01.
    let number = |range: std::ops::Range<usize>| cell[range].parse::<i64>().expect("a number");
    assert!(cell.starts_with("2025-0") && cell.ends_with("+00:00"), "{cell}");
    let days = 20_209 + [0, 31, 61][number(5..7) as usize - 5] + number(8..10) - 1;
    ((days * 24 + number(11..13)) * 60 + number(14..16)) * MINUTE_NS
}

fn bars(text: &str) -> Bars {
    let mut bars = Bars::new();
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        let mut cells = line.split(',');
        let time = time(cells.next().expect("a time"));
        let mut bits = [0; 5];
        for bit in &mut bits {
            *bit = cells.next().expect("a value").parse::<f64>().expect("a float").to_bits();
        }
        bars.insert(time, bits);
    }
    bars
}

fn exported(text: &str) -> Bars {
    assert!(text.starts_with("time,open,high,low,close,volume"), "{}", &text[..60]);
    let mut bars = Bars::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').take(6).collect();
        let bits = std::array::from_fn(|index| cells[index + 1].parse::<f64>().expect("a float").to_bits());
        assert!(bars.insert(cells[0].parse().expect("nanoseconds"), bits).is_none(), "a time twice");
    }
    bars
}

fn brute_force_gaps(bars: &Bars, step: i64) -> Vec<(i64, i64, i64)> {
    let times: Vec<i64> = bars.keys().copied().collect();
    let pairs = times.windows(2).filter(|pair| pair[1] - pair[0] > step);
    pairs.map(|pair| (pair[0] + step, pair[1], (pair[1] - pair[0]) / step - 1)).collect()
}

fn check(place: &Place, instrument: &str, frame: &str, step: i64, files: &[PathBuf]) {
    let mut expected = Bars::new();
    let mut arguments = vec!["import".to_owned()];
    for file in files {
        expected.extend(bars(&text(file)));
        arguments.push(file.display().to_string());
    }
    arguments.extend(["--instrument", instrument, "--frame", frame, "--json"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let first = place.tape_with(&arguments, b"").clean();
    let added: i64 = first.lines().map(|line| member(line, "added")).sum();
    assert_eq!(added, expected.len() as i64, "{instrument} {frame}");
    let again = place.tape_with(&arguments, b"").clean();
    for line in again.lines() {
        assert_eq!((member(line, "added"), member(line, "updated")), (0, 0), "{line}");
    }
    let out = place.tape(&format!("export {instrument} {frame} --csv --time ns")).clean();
    // Not assert_eq: a difference would print millions of rows.
    assert!(exported(&out) == expected, "{instrument} {frame}: values differ");
    let gaps: Vec<_> = place
        .tape(&format!("gaps {instrument} {frame} --json"))
        .clean()
        .lines()
        .map(|line| (member(line, "start"), member(line, "end"), member(line, "missing")))
        .collect();
    assert!(gaps == brute_force_gaps(&expected, step), "{instrument} {frame}: gaps differ");
}

fn matching(directory: &Path, part: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("lists")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file() && path.to_string_lossy().contains(part))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {part} in {}", directory.display());
    found
}

#[test]
fn bitfinex_bars_come_back_exactly() {
    let Some(data) = data() else { return };
    let place = Place::new();
    for instrument in ["EOSUSD.BITFINEX", "LTCUSD.BITFINEX", "BTCUSD.BITFINEX"] {
        let file = data.join(format!("klines/{instrument}-1m.csv.gz"));
        check(&place, instrument, "1m", MINUTE_NS, &[file]);
    }
    assert_eq!(place.tape("verify --deep --json").clean(), "");
}

#[test]
fn binance_months_and_ladders_come_back_exactly() {
    let Some(data) = data() else { return };
    let klines = data.join("klines");
    let place = Place::new();
    for symbol in ["NEARUSDT", "FILUSDT"] {
        let files = matching(&klines.join("binance-um"), symbol);
        check(&place, symbol, "1m", MINUTE_NS, &files);
    }
    let hours = [klines.join("binance_spot_BTCUSDT-1h-2017-2024.csv")];
    check(&place, "BTCUSDT.BINANCE", "1h", 60 * MINUTE_NS, &hours);
    let minutes = [klines.join("binance_spot_BTCUSDT-1m-2025-06.csv")];
    check(&place, "BTCUSDT.BINANCE", "1m", MINUTE_NS, &minutes);
    for symbol in ["ADAUSDT", "DOGEUSDT"] {
        for (name, frame, count) in [
            ("1m", "1m", 1),
            ("5m", "5m", 5),
            ("15m", "15m", 15),
            ("30m", "30m", 30),
            ("60m", "1h", 60),
            ("240m", "4h", 240),
        ] {
            let file = klines.join(format!("ladder/{symbol}_{name}.csv.gz"));
            check(&place, symbol, frame, count * MINUTE_NS, &[file]);
        }
    }
    assert_eq!(place.tape("verify --deep --json").clean(), "");
}

#[test]
fn trades_and_daily_files_import_without_losing_a_row() {
    let Some(data) = data() else { return };
    let place = Place::new();
    let file = data.join("trades/AIG_trade_201310.csv.gz");
    let source = text(&file);
    let line =
        format!("import {} --instrument AIG --frame trades --json --type cond_hex=string", file.display());
    assert_eq!(member(&place.tape(&line).clean(), "added"), source.lines().count() as i64 - 1);
    assert_eq!(member(&place.tape(&line).clean(), "added"), 0);
    let out = place.tape("export AIG trades --csv --time ms").clean();
    assert!(out.lines().skip(1).eq(source.lines().skip(1)), "trades differ");
    let shares = data.join("daily/ashare-daily-600.zip");
    let line =
        format!("import {} --entry 000001.csv --instrument 000001.SZ --frame 1d --json", shares.display());
    assert!(member(&place.tape(&line).clean(), "added") > 100);
    let close = place.tape("head 000001.SZ 1d -n 1 --csv").clean();
    assert!(
        close.contains("17.21421066967584,17.32989756933764,16.716757001130098,17.04068032018314,988209"),
        "{close}"
    );
    let line = format!(
        "import {} --entry 0001.HK.csv --instrument 0001.HK --frame 1d --drop-zone --json",
        data.join("daily/hk-daily.zip").display()
    );
    assert!(member(&place.tape(&line).clean(), "added") > 1000);
    assert!(place.tape("head 0001.HK 1d -n 1 --csv").clean().contains("2020-01-02T00:00:00Z,55.165"));
}
