//! Reading the files: bars, trades, quotes and daily prices as the sources publish them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tapestore_format::rows::Values;
use tapestore_format::time::Timeframe;

use crate::table::{DAY_NS, Group, Kind, MINUTE_NS, Table};

const BARS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// Where the data is: `TAPE_DATA`, or beside the workspace.
pub(crate) fn directory() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("TAPE_DATA").map_or(beside, PathBuf::from)
}

fn text(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    let read = if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text)
    } else {
        file.read_to_string(&mut text)
    };
    read.map_err(failed)?;
    Ok(text)
}

/// Names and texts of the files in a zip.
fn zipped(path: &Path) -> Result<Vec<(String, String)>, String> {
    let failed = |error: String| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| failed(error.to_string()))?;
    let mut out = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| failed(error.to_string()))?;
        let mut text = String::new();
        if entry.is_file() {
            entry.read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
            let name = entry.name().map_err(|error| failed(error.to_string()))?.into_owned();
            out.push((name, text));
        }
    }
    out.sort();
    Ok(out)
}

/// Nanoseconds: from a number whose unit follows from its size, or a date with or without a time of day and offset.
fn parse_time(field: &str) -> Option<i64> {
    if let Ok(number) = field.parse::<i64>() {
        return Some(match number {
            0..100_000_000_000 => number * 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => number * 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => number * 1000,
            _ => number,
        });
    }
    if let Some((date, _)) = field.split_once(' ').filter(|(date, _)| date.len() == 8) {
        // The first file that has them is daily: the time of day is midnight.
        return parse_time(&format!("{}-{}-{}", date.get(0..4)?, date.get(4..6)?, date.get(6..8)?));
    }
    if !matches!((field.get(4..5)?, field.get(7..8)?), ("-", "-") | ("/", "/")) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| field.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let month_ns = Timeframe::Mo1.slot_start((year - 1970) * 12 + month - 1);
    let clock = |at: usize| part(at..at + 2).unwrap_or(0);
    let seconds = clock(11) * 3600 + clock(14) * 60 + clock(17);
    let rest = field.get(19..).unwrap_or_default();
    let (parts, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let parts_ns: i64 = format!("{parts:0<9}").get(0..9)?.parse().ok()?;
    let offset = match zone.get(0..1) {
        Some(sign @ ("+" | "-")) => {
            let part =
                |range: std::ops::Range<usize>| zone.get(range).and_then(|text| text.parse::<i64>().ok());
            let minutes = part(1..3).unwrap_or(0) * 60 + part(4..6).unwrap_or(0);
            if sign == "+" { minutes } else { -minutes }
        }
        _ => 0,
    };
    Some(month_ns + (day - 1) * DAY_NS + seconds * 1_000_000_000 + parts_ns - offset * MINUTE_NS)
}

/// A column of a file: its name here, and where it stands.
type Place<'a> = (&'a str, usize);

/// Rows of CSV with the time at `time` and prices at `places`; lines that are no rows are left out, as are bars
/// that do not follow the one before.
fn parse_bars(name: &str, text: &str, time: usize, places: &[Place<'_>], factor: f64) -> Table {
    let mut times = Vec::new();
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); places.len()];
    let mut fields = Vec::new();
    for line in text.lines() {
        fields.clear();
        fields.extend(line.split(','));
        let Some(at) = fields.get(time).and_then(|field| parse_time(field)) else { continue };
        let values: Vec<f64> =
            places.iter().filter_map(|place| fields.get(place.1)?.parse::<f64>().ok()).collect();
        if values.len() == places.len() && times.last().is_none_or(|last| *last < at) {
            times.push(at);
            for ((column, value), place) in columns.iter_mut().zip(values).zip(places) {
                column.push(if place.0 == "volume" { value } else { value / factor });
            }
        }
    }
    let columns = places.iter().zip(columns).map(|(place, values)| (place.0.to_owned(), Values::F64(values)));
    Table { name: name.to_owned(), step_ns: None, time: times, columns: columns.collect() }
}

fn six_columns(name: &str, text: &str) -> Table {
    let places = [0, 1, 2, 3, 4].map(|at| (BARS[at], at + 1));
    let mut table = parse_bars(name, text, 0, &places, 1.0);
    table.step_ns = table.time.windows(2).map(|pair| pair[1] - pair[0]).min();
    table
}

/// The name of a file without what says its form.
fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.trim_end_matches(".gz").trim_end_matches(".csv").to_owned()
}

/// A file that somebody names: trades, if its header has a price; else bars.
pub(crate) fn file_of(path: &Path) -> Result<Group, String> {
    let text = text(path)?;
    if !header(&text).iter().any(|column| is_price(column)) {
        return bars_of(path);
    }
    let table = parse_trades(&stem(path), &text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Group::single(Kind::Ticks, table))
}

/// Names of the columns in the first line, as they are compared.
fn header(text: &str) -> Vec<String> {
    let first = text.lines().next().unwrap_or_default();
    first.split(',').map(|column| column.trim().trim_matches('"').to_lowercase()).collect()
}

fn is_price(column: &str) -> bool {
    ["price", "bid", "ask", "bid_price", "ask_price"].contains(&column)
}

/// Trades or quotes with a header: the time, and all other columns as integers, doubles or text, whichever they all are.
fn parse_trades(name: &str, text: &str) -> Result<Table, String> {
    const TIMES: [&str; 6] = ["time", "timestamp", "ts", "date", "datetime", "transact_time"];
    let header = header(text);
    let time = header.iter().position(|column| TIMES.contains(&column.as_str()));
    let time = time.ok_or_else(|| {
        format!("none of the columns {} is a time: call it one of {}", header.join(", "), TIMES.join(", "))
    })?;
    let mut times = Vec::new();
    let mut fields: Vec<Vec<&str>> = vec![Vec::new(); header.len()];
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        let row: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        if row.len() != header.len() {
            return Err(format!(
                "line {} has {} columns, the header {}",
                number + 1,
                row.len(),
                header.len()
            ));
        }
        let at = parse_time(row[time]).ok_or_else(|| {
            format!("line {}: {:?} is no time: whole units since 1970, or a date", number + 1, row[time])
        })?;
        if times.last().is_some_and(|last| at < *last) {
            return Err(format!(
                "line {} is older than the one before it: sort the file by time",
                number + 1
            ));
        }
        times.push(at);
        fields.iter_mut().zip(row).for_each(|(column, field)| column.push(field));
    }
    let others = header.into_iter().zip(&fields).enumerate().filter(|(place, _)| *place != time);
    let columns = others.map(|(_, (name, fields))| (name, typed(fields))).collect();
    Ok(Table { name: name.to_owned(), step_ns: None, time: times, columns })
}

/// A column as integers, else as doubles, else as text.
fn typed(fields: &[&str]) -> Values {
    let integers: Option<Vec<i64>> = fields.iter().map(|field| field.parse().ok()).collect();
    let doubles = || fields.iter().map(|field| field.parse().ok()).collect::<Option<Vec<f64>>>();
    integers
        .map(Values::I64)
        .or_else(|| doubles().map(Values::F64))
        .unwrap_or_else(|| Values::Str(fields.iter().collect()))
}

/// Bars of a file with time, open, high, low, close, volume in its first six columns.
pub(crate) fn bars_of(path: &Path) -> Result<Group, String> {
    let table = six_columns(&stem(path), &text(path)?);
    if table.len() < 2 {
        return Err(format!(
            "{}: no bars found: they have time, open, high, low, close, volume in their first six columns; trades have a \
             header with a time and a price",
            path.display()
        ));
    }
    Ok(Group::single(Kind::Klines, table))
}

/// The month of which `INDEX.md` states sizes.
pub(crate) const LISTED_MONTH: &str = "NEARUSDT.BINANCE-UM-1m-2025-06";

/// Every file of bars whose name holds `part`: the months of one symbol count as one file.
pub(crate) fn klines(part: &str) -> Result<Vec<Group>, String> {
    let root = directory().join("klines");
    let mut paths: Vec<PathBuf> = Vec::new();
    for symbol in ["ADAUSDT", "DOGEUSDT"] {
        for frame in ["1m", "5m", "15m", "30m", "60m", "240m"] {
            paths.push(root.join(format!("ladder/{symbol}_{frame}.csv.gz")));
        }
    }
    for name in ["BTCUSDT-1h-2017-2024", "BTCUSDT-1m-2025-06"] {
        paths.push(root.join(format!("binance_spot_{name}.csv")));
    }
    for name in ["EOSUSD", "LTCUSD", "BTCUSD"] {
        paths.push(root.join(format!("{name}.BITFINEX-1m.csv.gz")));
    }
    let mut out = Vec::new();
    for symbol in ["NEARUSDT", "FILUSDT"] {
        if symbol.contains(part) {
            out.push(months(&root.join("binance-um"), symbol)?);
        }
    }
    if LISTED_MONTH.contains(part) {
        let group = months_of(&root.join("binance-um"), "NEARUSDT-1m-2025-06", LISTED_MONTH)?;
        out.push(Group { kind: Kind::Month, ..group });
    }
    for path in paths.iter().filter(|path| path.to_string_lossy().contains(part)) {
        out.push(bars_of(path)?);
    }
    Ok(out)
}

/// One file of bars by the beginning of its name.
pub(crate) fn kline(name: &str) -> Result<Group, String> {
    let root = directory().join("klines");
    match name {
        "NEARUSDT" | "FILUSDT" => months(&root.join("binance-um"), name),
        _ => bars_of(&root.join(format!("{name}.BITFINEX-1m.csv.gz"))),
    }
}

/// The group of a file of bars, trades or quotes.
pub(crate) fn table(name: &str) -> Result<Group, String> {
    if TICKS.contains(&name) { Ok(ticks(name)?.remove(0)) } else { kline(name) }
}

fn months(directory: &Path, symbol: &str) -> Result<Group, String> {
    months_of(directory, symbol, &format!("{symbol}.BINANCE-UM-1m"))
}

/// The months whose files begin with `prefix`, as one file.
fn months_of(directory: &Path, prefix: &str, name: &str) -> Result<Group, String> {
    let entries =
        std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    paths.sort();
    let mut all = String::new();
    for path in paths {
        for (_, text) in zipped(&path)? {
            all.push_str(&text);
        }
    }
    Ok(Group::single(Kind::Klines, six_columns(name, &all)))
}

/// Files of trades and quotes.
const TICKS: [&str; 3] = ["AIG_trade_201310", "SPY_trade_201310", "AIG_quote_201310_head"];

/// Trades and quotes: rows that share a time keep their order.
pub(crate) fn ticks(part: &str) -> Result<Vec<Group>, String> {
    let root = directory().join("trades");
    let mut out = Vec::new();
    for name in TICKS.into_iter().filter(|name| name.contains(part)) {
        let table = parse_ticks(name, &text(&root.join(format!("{name}.csv.gz")))?)?;
        out.push(Group::single(Kind::Ticks, table));
    }
    Ok(out)
}

/// Prices in units of a ten-thousandth become doubles; sizes and marks stay integers, the rest text.
fn parse_ticks(name: &str, text: &str) -> Result<Table, String> {
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    let mut table = Table { name: name.to_owned(), ..Table::default() };
    for column in &header[1..] {
        let (name, values) = match *column {
            "exchange" | "cond_hex" => (*column, Values::Str(std::iter::empty::<&str>().collect())),
            price if price.ends_with("_e4") => (price.trim_end_matches("_e4"), Values::F64(Vec::new())),
            number => (number, Values::I64(Vec::new())),
        };
        table.columns.push((name.to_owned(), values));
    }
    for (number, line) in text.lines().enumerate().skip(1) {
        let mut fields = line.split(',');
        let broken = || format!("{name}: line {} is no row", number + 1);
        table.time.push(fields.next().and_then(parse_time).ok_or_else(broken)?);
        for (_, values) in &mut table.columns {
            let field = fields.next().ok_or_else(broken)?;
            match values {
                Values::F64(out) => out.push(field.parse::<f64>().map_err(|_| broken())? / 1e4),
                Values::I64(out) => out.push(field.parse().map_err(|_| broken())?),
                Values::Str(out) => out.push(field),
                _ => return Err(broken()),
            }
        }
    }
    Ok(table)
}

/// Captures of a venue's stream of a book.
const BOOKS: [&str; 2] = ["hftbacktest_spot_btcusdt_20240808", "hftbacktest_usdm_btcusdt_20240808"];

/// Updates of books: a row for every level of every message, at the time of receipt.
pub(crate) fn books(part: &str) -> Result<Vec<Group>, String> {
    let root = directory().join("book");
    let mut out = Vec::new();
    for name in BOOKS.into_iter().filter(|name| name.contains(part)) {
        let path = root.join(format!("{name}.gz"));
        let failed = |number: usize| format!("{}: line {} is no message", path.display(), number + 1);
        let (mut time, mut side, mut update) = (Vec::new(), Vec::new(), Vec::new());
        let (mut price, mut quantity) = (Vec::new(), Vec::new());
        for (number, line) in text(&path)?.lines().enumerate() {
            let (at, message) = line.split_once(' ').ok_or_else(|| failed(number))?;
            let message: serde_json::Value = serde_json::from_str(message).map_err(|_| failed(number))?;
            let data = message.get("data").unwrap_or(&message);
            if data["e"] != "depthUpdate" {
                continue;
            }
            for (which, levels) in [(0, &data["b"]), (1, &data["a"])] {
                for level in levels.as_array().ok_or_else(|| failed(number))? {
                    let number_at = |place: usize| level[place].as_str()?.parse::<f64>().ok();
                    time.push(at.parse().map_err(|_| failed(number))?);
                    side.push(which);
                    price.push(number_at(0).ok_or_else(|| failed(number))?);
                    quantity.push(number_at(1).ok_or_else(|| failed(number))?);
                    update.push(data["u"].as_i64().ok_or_else(|| failed(number))?);
                }
            }
        }
        let columns = [
            ("side", Values::I64(side)),
            ("price", Values::F64(price)),
            ("quantity", Values::F64(quantity)),
            ("update", Values::I64(update)),
        ];
        let columns = columns.map(|(name, values)| (name.to_owned(), values)).to_vec();
        out.push(Group::single(Kind::Books, Table { name: name.to_owned(), step_ns: None, time, columns }));
    }
    Ok(out)
}

/// Daily prices, adjusted and not, many instruments a group.
pub(crate) fn daily(part: &str) -> Result<Vec<Group>, String> {
    let root = directory().join("daily");
    let mut single = Vec::new();
    for name in ["BTCUSD", "EURUSD", "GOOG"].map(|name| format!("daily/{name}")) {
        if name.contains(part) {
            let bars = bars_of(&directory().join(format!("{name}.csv")))?;
            single.push(Group { name, kind: Kind::Daily, ..bars });
        }
    }
    if !"daily hk-daily ashare-daily-600 us-daily-21symbols hk-raw-adjclose".contains(part) {
        return Ok(single);
    }
    let many = |name: &str, tables: Vec<Table>| {
        let full = tables.into_iter().filter(|table| table.len() > 1).collect();
        Group { name: name.to_owned(), kind: Kind::Daily, tables: full }
    };
    let straight = [0, 1, 2, 3, 4].map(|at| (BARS[at], at + 1));
    let hk = zipped(&root.join("hk-daily.zip"))?;
    let hk = hk.iter().map(|(name, text)| parse_bars(name, text, 0, &straight, 1.0)).collect();
    let shares = zipped(&root.join("ashare-daily-600.zip"))?;
    let crossed = [("open", 1), ("high", 3), ("low", 4), ("close", 2), ("volume", 5)];
    let shares = shares.iter().map(|(name, text)| parse_bars(name, text, 0, &crossed, 1.0)).collect();
    let us = by_symbol(&text(&root.join("us-daily-21symbols.csv.gz"))?);
    let places = [0, 1, 2, 3, 4].map(|at| (BARS[at], at + 2));
    let us = us.iter().map(|(name, text)| parse_bars(name, text, 1, &places, 1e4)).collect();
    let raw = by_symbol(&text(&root.join("hk-raw-adjclose.csv"))?);
    let mut with_adjusted = places.to_vec();
    with_adjusted.push(("adj_close", 7));
    let raw = raw.iter().map(|(name, text)| parse_bars(name, text, 1, &with_adjusted, 1.0)).collect();
    let mut out = vec![
        many("hk-daily (adjusted)", hk),
        many("ashare-daily-600 (adjusted)", shares),
        many("us-daily-21symbols", us),
        many("hk-raw-adjclose", raw),
    ];
    out.extend(single);
    Ok(out)
}

/// The lines of each symbol, which is the first field.
fn by_symbol(text: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for line in text.lines().skip(1) {
        let symbol = line.split(',').next().unwrap_or_default();
        match out.iter_mut().find(|(name, _)| name == symbol) {
            Some((_, lines)) => lines.extend([line, "\n"]),
            None => out.push((symbol.to_owned(), format!("{line}\n"))),
        }
    }
    out
}

/// Thirty instruments of thirty days each: windows of the long files.
pub(crate) fn windows() -> Result<Vec<Table>, String> {
    let mut out = Vec::new();
    for name in ["BTCUSD", "LTCUSD", "EOSUSD"] {
        let table = kline(name)?.tables.remove(0);
        let last = table.time[table.len() - 1];
        for number in 0..10 {
            let end = last - number * 30 * DAY_NS;
            let mut window = table.slice(table.rows_between(&(end - 30 * DAY_NS..end)));
            // The same month for all, so that one range of time means the same for each.
            let start = window.time.first().map_or(0, |time| time.div_euclid(DAY_NS) * DAY_NS);
            window.time.iter_mut().for_each(|time| *time -= start);
            window.name = format!("{name}{number}");
            out.push(window);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_forms_are_read() {
        let day = 18_262 * DAY_NS;
        assert_eq!(parse_time("1577836800"), Some(day));
        assert_eq!(parse_time("1577836800000"), Some(day));
        assert_eq!(parse_time("1577836800000000"), Some(day));
        assert_eq!(parse_time("1577836800000000001"), Some(day + 1));
        assert_eq!(parse_time("2020-01-01"), Some(day));
        assert_eq!(parse_time("2020-01-01T08:00:00.000250+08:00"), Some(day + 250_000));
        assert_eq!(parse_time("2020-01-01 08:00:00+08:00"), Some(day));
        assert_eq!(parse_time("20200101 00:00"), Some(day));
        assert_eq!(parse_time("open_time"), None);
    }

    #[test]
    fn columns_of_trades_are_integers_doubles_or_text() {
        let text = "Timestamp,Price,qty,side\n1577836800000,7195.5,3,buy\n1577836800000,7195,2,sell\n";
        let table = parse_trades("X", text).unwrap();
        assert_eq!(table.names(), ["price", "qty", "side"]);
        assert_eq!(table.f64("price"), [7195.5, 7195.0]);
        assert_eq!(table.values("qty"), Some(&Values::I64(vec![3, 2])));
        assert_eq!(table.values("side"), Some(&Values::Str(["buy", "sell"].into_iter().collect())));
    }

    #[test]
    fn what_is_no_trade_is_named() {
        let error = |text: &str| parse_trades("X", text).unwrap_err();
        assert!(error("when,price\n1,2\n").contains("call it one of time,"));
        assert!(error("time,price\n2,2\n1,2\n").contains("line 3 is older"));
        assert!(error("time,price\n2\n").contains("line 2 has 1 columns"));
        assert!(error("time,price\n1577836800.5,2\n").contains("\"1577836800.5\" is no time"));
    }
}
