//! Reading the files of `shared/data`: bars, trades, quotes, books and daily prices as the sources publish them, each in the
//! form in which its sizes have been taken since the first run. A file by its path is read by [`csv::read`].

use std::path::{Path, PathBuf};

use tapestore_format::rows::Values;

use crate::csv::{self, BARS};
use crate::moment::parse_time;
use crate::table::{DAY_NS, Group, Kind, Table};
use crate::unpack::{contents, stem};

/// Where the data is: `TAPE_DATA`, or beside the workspace.
pub(crate) fn directory() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("TAPE_DATA").map_or(beside, PathBuf::from)
}

/// The text of a file that holds one.
fn text(path: &Path) -> Result<String, String> {
    Ok(contents(path)?.swap_remove(0).1)
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
    Table { name: name.to_owned(), timeframe: None, time: times, columns: columns.collect() }
}

/// Bars in the usual order: what has other columns beside them, or others, is read by [`csv::read`].
fn six_columns(name: &str, text: &str) -> Table {
    let places = [0, 1, 2, 3, 4].map(|at| (BARS[at], at + 1));
    let mut table = parse_bars(name, text, 0, &places, 1.0);
    table.timeframe = csv::timeframe(&table.time);
    table
}

/// Bars of a file of ours with time, open, high, low, close, volume in its first six columns.
fn bars_of(path: &Path) -> Result<Group, String> {
    let table = six_columns(&stem(path), &text(path)?);
    if table.len() < 2 {
        return Err(format!("{}: no bars in its first six columns", path.display()));
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

/// The group of a file of bars, trades, quotes or updates of a book.
pub(crate) fn table(name: &str) -> Result<Group, String> {
    match name {
        _ if TICKS.contains(&name) => Ok(ticks(name)?.remove(0)),
        _ if BOOKS.contains(&name) => Ok(books(name)?.remove(0)),
        _ => kline(name),
    }
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
        for (_, text) in contents(&path)? {
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
        let table = book(name, &text(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
        out.push(Group::single(Kind::Books, table));
    }
    Ok(out)
}

/// Whether a text is a capture of a stream: a time of receipt and a message on each line.
pub(crate) fn is_book(text: &str) -> bool {
    let first = text.lines().next().and_then(|line| line.split_once(' '));
    first.is_some_and(|(at, message)| at.parse::<i64>().is_ok() && message.starts_with('{'))
}

/// The updates in a capture; its other messages are left out.
pub(crate) fn book(name: &str, text: &str) -> Result<Table, String> {
    let failed = |number: usize| format!("line {} is no message", number + 1);
    let (mut time, mut side, mut update) = (Vec::new(), Vec::new(), Vec::new());
    let (mut price, mut quantity) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
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
    if time.is_empty() {
        return Err("no message is an update of a book".to_owned());
    }
    let columns = [
        ("side", Values::I64(side)),
        ("price", Values::F64(price)),
        ("quantity", Values::F64(quantity)),
        ("update", Values::I64(update)),
    ];
    let columns = columns.map(|(name, values)| (name.to_owned(), values)).to_vec();
    Ok(Table { name: name.to_owned(), timeframe: None, time, columns })
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
    let hk = contents(&root.join("hk-daily.zip"))?;
    let hk = hk.iter().map(|(name, text)| parse_bars(name, text, 0, &straight, 1.0)).collect();
    let shares = contents(&root.join("ashare-daily-600.zip"))?;
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
