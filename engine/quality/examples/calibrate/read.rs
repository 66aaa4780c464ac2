//! Real bars, out of files as they are.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tapestore::time::{DAY_NS, MINUTE_NS};
use tapestore_quality::inject::Columns;

/// Bars of one instrument.
pub(crate) struct Series {
    /// Its name; the venue says which calendar it follows.
    pub(crate) name: &'static str,
    /// Which bars of which time.
    pub(crate) what: &'static str,
    pub(crate) bars: Columns,
}

/// All of them: minutes of crypto without a hole, minutes with real holes, minutes of a market with sessions.
pub(crate) fn series(data: &Path) -> Result<Vec<Series>, Box<dyn Error>> {
    let klines = data.join("klines");
    let um = klines.join("binance-um");
    let eos = csv(&text(&klines.join("EOSUSD.BITFINEX-1m.csv.gz"))?)?;
    // 2018-03-01 to 2018-04-30.
    let (from, to) = (17_591 * DAY_NS, 17_652 * DAY_NS);
    let ada = ladder(&text(&klines.join("ladder/ADAUSDT_1m.csv.gz"))?)?;
    let spot = csv(&text(&klines.join("binance_spot_BTCUSDT-1m-2025-06.csv"))?)?;
    Ok(vec![
        Series { name: "BTCUSDT.BINANCE", what: "1m, June 2025, spot", bars: spot },
        Series {
            name: "NEARUSDT.BINANCE",
            what: "1m, June 2024, futures",
            bars: csv(&text(&um.join("NEARUSDT-1m-2024-06.zip"))?)?,
        },
        Series {
            name: "FILUSDT.BINANCE",
            what: "1m, June 2025, futures",
            bars: csv(&text(&um.join("FILUSDT-1m-2025-06.zip"))?)?,
        },
        Series { name: "ADAUSDT.BINANCE", what: "1m, 30 days of 2025", bars: ada },
        Series { name: "EOSUSD.BITFINEX", what: "1m, March and April 2018", bars: between(&eos, from, to) },
        Series {
            name: "SPY.US",
            what: "1m, five days of October 2013, made of trades",
            bars: trades(&text(&data.join("trades/SPY_trade_201310.csv.gz"))?)?,
        },
    ])
}

/// The text of a file: plain, gzip, or the first member of a zip.
pub(crate) fn text(path: &Path) -> Result<String, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut text = String::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => MultiGzDecoder::new(file).read_to_string(&mut text)?,
        Some("zip") => zip::ZipArchive::new(file)?.by_index(0)?.read_to_string(&mut text)?,
        _ => {
            let mut file = file;
            file.read_to_string(&mut text)?
        }
    };
    Ok(text)
}

/// Open time in milliseconds, open, high, low, close, volume; further columns are left out.
pub(crate) fn csv(text: &str) -> Result<Columns, Box<dyn Error>> {
    let mut bars = Columns::default();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record?;
        let number = |at: usize| record[at].parse::<f64>();
        let prices = [number(1)?, number(2)?, number(3)?, number(4)?];
        bars.push(record[0].parse::<i64>()? * 1_000_000, prices, number(5)?);
    }
    Ok(bars)
}

/// The same with times such as `2025-05-30 16:40:00+00:00`, a minute apart: the first says all.
fn ladder(text: &str) -> Result<Columns, Box<dyn Error>> {
    let mut bars = Columns::default();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record?;
        let number = |at: usize| record[at].parse::<f64>();
        let part = |range: std::ops::Range<usize>| record[0][range].parse::<i64>();
        let day = tapestore::time::days_from_date(part(0..4)?, part(5..7)?, part(8..10)?);
        let time = day * DAY_NS + (part(11..13)? * 60 + part(14..16)?) * MINUTE_NS;
        bars.push(time, [number(1)?, number(2)?, number(3)?, number(4)?], number(5)?);
    }
    Ok(bars)
}

/// Condition of a trade whose price is an average over some time, which sets no high and no low (`AveragePrice` in the
/// `TradeConditionFlags` of QuantConnect/Lean, whose sample data this is).
const AVERAGE_PRICE: u64 = 1 << 20;

/// Trades (time in milliseconds, price × 10,000, quantity, …, suspicious) in regular hours as bars of a minute.
pub(crate) fn trades(text: &str) -> Result<Columns, Box<dyn Error>> {
    let exchange = tapestore_calendar::compiled("XNYS").ok_or("no calendar")?;
    let mut bars = Columns::default();
    let mut last = (i64::MIN, false);
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record?;
        let minute = (record[0].parse::<i64>()? * 1_000_000).div_euclid(MINUTE_NS) * MINUTE_NS;
        if last.0 != minute {
            last = (minute, exchange.is_open(minute)?);
        }
        let is_average = u64::from_str_radix(&record[4], 16)? & AVERAGE_PRICE != 0;
        if &record[5] != "0" || is_average || !last.1 {
            continue;
        }
        let (price, quantity) = (record[1].parse::<f64>()? / 10_000.0, record[2].parse::<f64>()?);
        match bars.time.last() {
            Some(time) if *time == minute => {
                let row = bars.time.len() - 1;
                bars.prices[1][row] = bars.prices[1][row].max(price);
                bars.prices[2][row] = bars.prices[2][row].min(price);
                bars.prices[3][row] = price;
                bars.volume[row] += quantity;
            }
            _ => bars.push(minute, [price; 4], quantity),
        }
    }
    Ok(bars)
}

/// Daily bars of one symbol, `SYMBOL,20131007 00:00,` and prices × 10,000, volume.
pub(crate) fn days_of(
    text: &str,
    symbol: &str,
    range: std::ops::Range<i64>,
) -> Result<Columns, Box<dyn Error>> {
    let mut bars = Columns::default();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record?;
        let part = |range: std::ops::Range<usize>| record[1][range].parse::<i64>();
        let time = tapestore::time::days_from_date(part(0..4)?, part(4..6)?, part(6..8)?) * DAY_NS;
        if &record[0] == symbol && range.contains(&time) {
            let price =
                |at: usize| Ok::<f64, std::num::ParseFloatError>(record[at].parse::<f64>()? / 10_000.0);
            bars.push(time, [price(2)?, price(3)?, price(4)?, price(5)?], record[6].parse()?);
        }
    }
    Ok(bars)
}

/// The bars of a time.
fn between(bars: &Columns, from: i64, to: i64) -> Columns {
    let mut out = Columns::default();
    for row in (0..bars.time.len()).filter(|row| (from..to).contains(&bars.time[*row])) {
        out.push(bars.time[row], bars.prices(row), bars.volume[row]);
    }
    out
}
