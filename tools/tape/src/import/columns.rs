//! Which cell of a row becomes which column: names and aliases, layouts of headerless files, and what the caller says.

use std::fmt::Write;

use tapestore_format::schema::ColumnType;

use super::records::Header;
use crate::fail::{Fail, Result};

/// The columns every bar has, in order of output.
pub(crate) const BAR_COLUMNS: [&str; 5] = ["open", "high", "low", "close", "volume"];
/// The columns a bar may have.
pub(crate) const OPTIONAL_BAR_COLUMNS: [&str; 5] =
    ["quote_volume", "trades", "taker_buy_base", "taker_buy_quote", "open_interest"];

/// Names under which a time column is known, most trusted first. `time` stands before `date`: where a file has both,
/// `date` may lack the time of day.
const TIME_NAMES: [&str; 24] = [
    "open_time",
    "opentime",
    "timestamp",
    "timestamp_ms",
    "ts_event",
    "ts",
    "ts_ms",
    "ts_ms_utc",
    "ts_ns",
    "epoch",
    "unix",
    "unix_timestamp",
    "datetime",
    "date_time",
    "interval_begin",
    "candle_begin_time",
    "start",
    "start_time",
    "begin",
    "t",
    "time",
    "date",
    "day",
    "time_ms",
];

/// What else a bar's column is called.
const ALIASES: [(&str, &str); 46] = [
    ("o", "open"),
    ("open_price", "open"),
    ("openprice", "open"),
    ("first", "open"),
    ("h", "high"),
    ("high_price", "high"),
    ("highprice", "high"),
    ("max", "high"),
    ("l", "low"),
    ("low_price", "low"),
    ("lowprice", "low"),
    ("min", "low"),
    ("c", "close"),
    ("close_price", "close"),
    ("closeprice", "close"),
    ("last", "close"),
    ("vol", "volume"),
    ("v", "volume"),
    ("base_volume", "volume"),
    ("basevolume", "volume"),
    ("tick_volume", "volume"),
    ("q", "quote_volume"),
    ("quotevolume", "quote_volume"),
    ("quote_asset_volume", "quote_volume"),
    ("quote_vol", "quote_volume"),
    ("turnover", "quote_volume"),
    ("volccyquote", "quote_volume"),
    ("n", "trades"),
    ("count", "trades"),
    ("trade_count", "trades"),
    ("tradecount", "trades"),
    ("trades_count", "trades"),
    ("number_of_trades", "trades"),
    ("num_trades", "trades"),
    ("no_of_trades", "trades"),
    ("taker_buy_volume", "taker_buy_base"),
    ("taker_base_volume", "taker_buy_base"),
    ("taker_buy_base_volume", "taker_buy_base"),
    ("taker_buy_base_asset_volume", "taker_buy_base"),
    ("taker_buy_quote_volume", "taker_buy_quote"),
    ("taker_quote_volume", "taker_buy_quote"),
    ("taker_buy_quote_asset_volume", "taker_buy_quote"),
    ("openinterest", "open_interest"),
    ("open_int", "open_interest"),
    ("oi", "open_interest"),
    ("adj_close", "close"),
];

/// Currencies in which a column such as `Volume USD` counts money, not pieces.
const MONEY: [&str; 12] =
    ["usd", "usdt", "usdc", "busd", "eur", "gbp", "jpy", "krw", "cny", "hkd", "currency", "quote"];
/// Columns that say nothing new about a bar.
const WITHOUT_NEWS: [&str; 5] = ["ignore", "close_time", "closetime", "end", "unnamed_0"];
/// Columns that tell whether a bar is finished.
const FINISHED: [&str; 4] = ["confirm", "is_closed", "isclosed", "x"];
/// Columns that name the instrument.
pub(crate) const SYMBOLS: [&str; 7] = ["symbol", "ticker", "instrument", "pair", "product_id", "instid", "s"];

/// Names that rows use themselves.
pub(crate) const RESERVED: [&str; 4] = ["time", "source", "flags", "version"];

/// Columns of a file at most: each is compared with all others.
pub(crate) const FILE_COLUMNS: usize = 4096;

/// A file that has more.
pub(crate) fn too_many_columns(file: &str) -> Fail {
    Fail::Usage(format!("{file} has more than {FILE_COLUMNS} columns; is the delimiter right?"))
}

/// What the caller says about columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Column of the series = name or 1-based position in the file.
    pub(crate) columns: Vec<(String, String)>,
    /// Column of the series = type.
    pub(crate) types: Vec<(String, ColumnType)>,
    /// Column of the file = the value a row must have to be taken.
    pub(crate) filters: Vec<(String, String)>,
    /// Bars without a volume column take 0.
    pub(crate) no_volume: bool,
}

/// Where a column of the series comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Name in the series.
    pub(crate) name: String,
    /// Cell of the row; `None`: the same in every row.
    pub(crate) cell: Option<usize>,
    /// What stands in every row, and in place of an empty cell; `None`: zero, where there is no cell.
    pub(crate) fixed: Option<&'static str>,
}

/// Which cell becomes what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The time.
    pub(crate) time: usize,
    /// The columns, in order of output.
    pub(crate) columns: Vec<Mapped>,
    /// Rows with a false value here are unfinished bars.
    pub(crate) finished: Option<usize>,
    /// The instrument; must not change within a file of bars.
    pub(crate) symbol: Option<usize>,
    /// Cells and the values they must have.
    pub(crate) filters: Vec<(usize, String)>,
    /// Columns of the file that are not taken, for a note.
    pub(crate) ignored: Vec<String>,
    /// Columns renamed because rows use the name themselves.
    pub(crate) renamed: Vec<(String, String)>,
}

/// Whether a column of this name can be the time of a row.
pub(crate) fn is_time_name(name: &str) -> bool {
    TIME_NAMES.contains(&plain(name).as_str())
}

/// `Adj Close` → `adj_close`, `Volume_(BTC)` → `volume_btc`.
pub(crate) fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.trim().chars() {
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// The columns of a file under the names they are looked up by.
pub(crate) struct Names {
    file: String,
    /// As written; numbered where the file has no header.
    written: Vec<String>,
    plain: Vec<String>,
    /// Cells already given a meaning.
    taken: Vec<bool>,
}

impl Names {
    pub(crate) fn new(file: &str, header: &Header, layout: Option<&[&str]>) -> Self {
        let written: Vec<String> = match header {
            Header::Names(names) => names.clone(),
            Header::Positions { count, .. } => (0..*count)
                .map(|index| match layout {
                    Some(layout) => layout[index].to_owned(),
                    None => format!("c{}", index + 1),
                })
                .collect(),
        };
        let mut plain: Vec<String> = written.iter().map(|name| plain(name)).collect();
        // One-letter names of stream messages differ in case only: v and V, q and Q, t and T.
        for (capital, small, meaning) in [
            ("V", "v", "taker_buy_base"),
            ("Q", "q", "taker_buy_quote"),
            ("T", "t", "close_time"),
            ("L", "l", "ignore"),
        ] {
            if written.iter().any(|name| name == small)
                && let Some(index) = written.iter().position(|name| name == capital)
            {
                meaning.clone_into(&mut plain[index]);
            }
        }
        let taken = vec![false; written.len()];
        Self { file: file.to_owned(), written, plain, taken }
    }

    /// A free column of exactly this name.
    pub(crate) fn written_as(&self, name: &str) -> Option<usize> {
        (0..self.written.len()).find(|index| !self.taken[*index] && self.written[*index] == name)
    }

    /// The columns that have no meaning yet.
    pub(crate) fn untaken(&self) -> Vec<usize> {
        (0..self.taken.len()).filter(|index| !self.taken[*index]).collect()
    }

    /// A column's name in the file.
    pub(crate) fn written(&self, index: usize) -> &str {
        &self.written[index]
    }

    /// The filters that the caller asks for.
    pub(crate) fn filters(&mut self, wishes: &Wishes) -> Result<Vec<(usize, String)>> {
        resolve_filters(self, wishes)
    }

    /// The columns that the caller names.
    pub(crate) fn named(&mut self, wishes: &Wishes) -> Result<Vec<(String, usize)>> {
        resolve_columns(self, wishes)
    }

    /// A free column of this name, in any spelling.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        (0..self.plain.len()).find(|index| !self.taken[*index] && self.plain[*index] == name)
    }

    /// A column as the caller names it: by exact name, by name in any spelling, or by 1-based position.
    fn resolve(&self, wanted: &str) -> Result<usize> {
        if let Some(index) = self.written.iter().position(|name| name == wanted) {
            return Ok(index);
        }
        if let Ok(position) = wanted.parse::<usize>()
            && (1..=self.written.len()).contains(&position)
        {
            return Ok(position - 1);
        }
        let wanted_plain = plain(wanted);
        self.plain
            .iter()
            .position(|name| !name.is_empty() && *name == wanted_plain)
            .ok_or_else(|| Fail::Usage(format!("{} has no column {wanted:?}; {}", self.file, self.listing())))
    }

    pub(crate) fn listing(&self) -> String {
        let mut out = String::from("its columns are ");
        for (index, name) in self.written.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(out, "{comma}{}:{}", index + 1, if name.is_empty() { "(empty)" } else { name });
        }
        out
    }

    pub(crate) fn time(&mut self) -> Result<usize> {
        let by_name = TIME_NAMES.iter().find_map(|name| self.find(name));
        let by_part = || {
            let like = |name: &str| name.starts_with("ts_") || name.contains("time") || name.contains("date");
            let mut found = (0..self.plain.len()).filter(|index| {
                !self.taken[*index]
                    && like(&self.plain[*index])
                    && !WITHOUT_NEWS.contains(&self.plain[*index].as_str())
            });
            // A nameless first column is the index that pandas writes.
            let first = self.plain.first().is_some_and(String::is_empty).then_some(0);
            found.next().filter(|_| found.next().is_none()).or(first)
        };
        let index = by_name.or_else(by_part).ok_or_else(|| {
            Fail::Usage(format!(
                "{} has no column that looks like a time; name it with --column time=NAME; {}",
                self.file,
                self.listing()
            ))
        })?;
        self.taken[index] = true;
        Ok(index)
    }

    pub(crate) fn take(&mut self, index: usize) -> usize {
        self.taken[index] = true;
        index
    }
}

/// The layouts of klines without a header, by number of cells.
fn layout(header: &Header) -> Option<&'static [&'static str]> {
    const BINANCE: [&str; 12] = [
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "close_time",
        "quote_volume",
        "trades",
        "taker_buy_base",
        "taker_buy_quote",
        "ignore",
    ];
    const BYBIT: [&str; 7] = ["open_time", "open", "high", "low", "close", "volume", "quote_volume"];
    const KRAKEN: [&str; 8] = ["open_time", "open", "high", "low", "close", "vwap", "volume", "trades"];
    const OKX: [&str; 9] =
        ["open_time", "open", "high", "low", "close", "volume", "volume_ccy", "quote_volume", "confirm"];
    let Header::Positions { count, json } = header else { return None };
    match (count, json) {
        (6 | 11 | 12, _) => Some(&BINANCE[..*count]),
        (7, true) => Some(&BYBIT),
        (8, true) => Some(&KRAKEN),
        (9, true) => Some(&OKX),
        _ => None,
    }
}

/// Maps a file of bars.
///
/// # Errors
/// A required column is missing, or the caller names one that is not there.
pub(crate) fn map_bars(file: &str, header: &Header, wishes: &Wishes) -> Result<Mapping> {
    let mut names = Names::new(file, header, layout(header));
    let filters = resolve_filters(&mut names, wishes)?;
    let mut explicit = resolve_columns(&mut names, wishes)?;
    let time = match take_named(&mut explicit, "time") {
        Some(index) => index,
        None => names.time()?,
    };
    let finished = FINISHED.iter().find_map(|name| names.find(name));
    let symbol = SYMBOLS.iter().find_map(|name| names.find(name));
    let mut columns = Vec::new();
    for name in BAR_COLUMNS.into_iter().chain(OPTIONAL_BAR_COLUMNS) {
        let cell = match take_named(&mut explicit, name) {
            Some(cell) => Some(cell),
            None => find_bar_column(&names, name).map(|index| names.take(index)),
        };
        if cell.is_some() || (name == "volume" && wishes.no_volume) {
            columns.push(Mapped { name: name.to_owned(), cell, fixed: None });
        } else if BAR_COLUMNS.contains(&name) {
            let fix = if name == "volume" { ", or say --no-volume to store 0" } else { "" };
            let text = format!(
                "{file} has no column for {name}; name it with --column {name}=NAME{fix}; {}",
                names.listing()
            );
            return Err(Fail::Usage(text));
        }
    }
    let filtered = |index: usize| filters.iter().any(|(cell, _)| *cell == index);
    let symbol = symbol.filter(|index| !filtered(*index));
    let ignored = (0..names.written.len())
        .filter(|index| !names.taken[*index] && !WITHOUT_NEWS.contains(&names.plain[*index].as_str()))
        .filter(|index| Some(*index) != finished && !filtered(*index))
        .filter(|index| !TIME_NAMES.contains(&names.plain[*index].as_str()) && Some(*index) != symbol)
        .map(|index| names.written[index].clone())
        .collect();
    columns.extend(explicit.into_iter().map(|(name, cell)| Mapped { name, cell: Some(cell), fixed: None }));
    Ok(Mapping { time, columns, finished, symbol, filters, ignored, renamed: Vec::new() })
}

fn find_bar_column(names: &Names, wanted: &str) -> Option<usize> {
    let alias = || {
        let mut known = ALIASES.iter().filter(|(_, meaning)| *meaning == wanted);
        known.find_map(|(alias, _)| names.find(alias))
    };
    let in_unit = || {
        (0..names.plain.len()).find(|index| {
            let unit = names.plain[*index].strip_prefix("volume_").unwrap_or("");
            let letters = !unit.is_empty() && unit.bytes().all(|byte| byte.is_ascii_alphabetic());
            let money = MONEY.contains(&unit);
            let meant = match wanted {
                "volume" => !money && unit != "ccy",
                "quote_volume" => money,
                _ => false,
            };
            !names.taken[*index] && letters && meant
        })
    };
    names.find(wanted).or_else(alias).or_else(in_unit)
}

/// Maps a file of trades, quotes or any table: every column is taken under its own name.
///
/// # Errors
/// No time column is found, or the caller names a column that is not there.
pub(crate) fn map_table(file: &str, header: &Header, wishes: &Wishes) -> Result<Mapping> {
    let mut names = Names::new(file, header, None);
    let mut explicit = resolve_columns(&mut names, wishes)?;
    let time = match (take_named(&mut explicit, "time"), header) {
        (Some(index), _) => index,
        (None, Header::Names(_)) => names.time()?,
        (None, Header::Positions { .. }) => names.take(0),
    };
    let filters = resolve_filters(&mut names, wishes)?;
    let mut renamed = Vec::new();
    let mut columns = Vec::new();
    for (cell, written) in names.written.iter().enumerate() {
        let given = explicit.iter().find(|(_, index)| *index == cell);
        if cell == time || (names.taken[cell] && given.is_none()) {
            continue;
        }
        let mut name = match given {
            Some((name, _)) => name.clone(),
            None if written.is_empty() => format!("c{}", cell + 1),
            None => written.clone(),
        };
        if RESERVED.contains(&name.as_str()) {
            let other = format!("{name}_");
            renamed.push((name, other.clone()));
            name = other;
        }
        if columns.iter().any(|mapped: &Mapped| mapped.name == name) {
            return Err(Fail::Usage(format!(
                "{file} has two columns {name:?}; rename one with --column OTHER={}",
                cell + 1
            )));
        }
        columns.push(Mapped { name, cell: Some(cell), fixed: None });
    }
    Ok(Mapping { time, columns, finished: None, symbol: None, filters, ignored: Vec::new(), renamed })
}

fn resolve_columns(names: &mut Names, wishes: &Wishes) -> Result<Vec<(String, usize)>> {
    let mut out: Vec<(String, usize)> = Vec::new();
    for (name, wanted) in &wishes.columns {
        let index = names.resolve(wanted)?;
        if out.iter().any(|(other, _)| other == name) {
            return Err(Fail::Usage(format!("--column {name}=… is given twice")));
        }
        names.taken[index] = true;
        out.push((name.clone(), index));
    }
    Ok(out)
}

fn resolve_filters(names: &mut Names, wishes: &Wishes) -> Result<Vec<(usize, String)>> {
    let resolve = |(name, value): &(String, String)| Ok((names.resolve(name)?, value.clone()));
    wishes.filters.iter().map(resolve).collect()
}

pub(crate) fn take_named(explicit: &mut Vec<(String, usize)>, name: &str) -> Option<usize> {
    let position = explicit.iter().position(|(known, _)| known == name)?;
    Some(explicit.remove(position).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Header {
        Header::Names(text.split(',').map(str::to_owned).collect())
    }

    fn cells(mapping: &Mapping) -> Vec<(&str, usize)> {
        mapping.columns.iter().map(|mapped| (mapped.name.as_str(), mapped.cell.unwrap_or(99))).collect()
    }

    fn bars(text: &str) -> Mapping {
        map_bars("f.csv", &named(text), &Wishes::default()).unwrap()
    }

    const OHLCV: [(&str, usize); 5] = [("open", 1), ("high", 2), ("low", 3), ("close", 4), ("volume", 5)];

    #[test]
    fn the_usual_headers_are_understood() {
        for header in [
            "open_time,open,high,low,close,volume",
            "timestamp,Open,HIGH,Low,Close,Vol",
            ",Open,High,Low,Close,Volume",
            "Epoch,o,h,l,c,v",
            "ts_ms_utc,open,high,low,close,Volume BTC",
            "Kline open time,open_price,high_price,low_price,close_price,base_volume",
        ] {
            let mapping = bars(header);
            assert_eq!((mapping.time, cells(&mapping)), (0, OHLCV.to_vec()), "{header}");
        }
    }

    #[test]
    fn binance_dumps_are_mapped_whole() {
        let expected = [
            OHLCV.as_slice(),
            &[("quote_volume", 7), ("trades", 8), ("taker_buy_base", 9), ("taker_buy_quote", 10)],
        ]
        .concat();
        let mapping = bars(
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
        );
        assert_eq!(cells(&mapping), expected);
        assert!(mapping.ignored.is_empty());
        let positions = Header::Positions { count: 12, json: false };
        assert_eq!(cells(&map_bars("f", &positions, &Wishes::default()).unwrap()), expected);
        let six = Header::Positions { count: 6, json: false };
        assert_eq!(cells(&map_bars("f", &six, &Wishes::default()).unwrap()), OHLCV);
    }

    #[test]
    fn stream_messages_tell_small_from_capital_letters() {
        let mapping = bars("t,T,s,i,f,L,o,c,h,l,v,n,x,q,V,Q,B");
        let expected = [
            ("open", 6),
            ("high", 8),
            ("low", 9),
            ("close", 7),
            ("volume", 10),
            ("quote_volume", 13),
            ("trades", 11),
            ("taker_buy_base", 14),
            ("taker_buy_quote", 15),
        ];
        assert_eq!((mapping.time, cells(&mapping)), (0, expected.to_vec()));
        assert_eq!((mapping.finished, mapping.symbol), (Some(12), Some(2)));
    }

    #[test]
    fn order_of_columns_does_not_matter_and_extras_are_named() {
        let mapping = bars("date,open,close,high,low,volume,volume.1,Dividends");
        assert_eq!(cells(&mapping), [("open", 1), ("high", 3), ("low", 4), ("close", 2), ("volume", 5)]);
        assert_eq!(mapping.ignored, ["volume.1", "Dividends"]);
    }

    #[test]
    fn raw_close_wins_over_adjusted_close_and_money_is_quote_volume() {
        assert_eq!(cells(&bars("Date,Open,High,Low,Adj Close,Close,Volume"))[3], ("close", 5));
        assert_eq!(cells(&bars("Date,Open,High,Low,Adj Close,Volume"))[3], ("close", 4));
        let mapping = bars("unix,date,symbol,open,high,low,close,Volume BTC,Volume USD");
        assert_eq!(cells(&mapping)[4..], [("volume", 7), ("quote_volume", 8)]);
        assert_eq!((mapping.time, mapping.symbol), (0, Some(2)));
    }

    #[test]
    fn the_caller_can_name_columns_by_name_or_position() {
        let wishes = Wishes {
            columns: vec![
                ("open".into(), "3".into()),
                ("close".into(), "LAST PRICE".into()),
                ("dividends".into(), "Dividends".into()),
            ],
            ..Wishes::default()
        };
        let mapping =
            map_bars("f", &named("ts,open,first,high,low,Last_Price,vol,Dividends"), &wishes).unwrap();
        assert_eq!(
            cells(&mapping),
            [("open", 2), ("high", 3), ("low", 4), ("close", 5), ("volume", 6), ("dividends", 7)]
        );
        assert_eq!(mapping.ignored, ["open"]);
        let wrong = Wishes { columns: vec![("open".into(), "nope".into())], ..Wishes::default() };
        let error = map_bars("f", &named("ts,open"), &wrong).unwrap_err().to_string();
        assert!(error.contains("nope") && error.contains("2:open"), "{error}");
    }

    #[test]
    fn a_missing_column_names_the_fix() {
        let error = map_bars("f.csv", &named("date,open,high,low,close"), &Wishes::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--column volume=") && error.contains("--no-volume"), "{error}");
        let wishes = Wishes { no_volume: true, ..Wishes::default() };
        let mapping = map_bars("f.csv", &named("date,open,high,low,close"), &wishes).unwrap();
        assert_eq!(mapping.columns[4], Mapped { name: "volume".into(), cell: None, fixed: None });
        let error = map_bars("f", &named("a,open,high,low,close,volume"), &Wishes::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--column time="), "{error}");
    }

    #[test]
    fn tables_keep_every_column() {
        let mapping =
            map_table("f", &named("ts_ms_utc,price_e4,qty,exchange,source"), &Wishes::default()).unwrap();
        assert_eq!(mapping.time, 0);
        assert_eq!(cells(&mapping), [("price_e4", 1), ("qty", 2), ("exchange", 3), ("source_", 4)]);
        let positions = Header::Positions { count: 3, json: false };
        assert_eq!(cells(&map_table("f", &positions, &Wishes::default()).unwrap()), [("c2", 1), ("c3", 2)]);
        assert!(map_table("f", &named("ts,a,a"), &Wishes::default()).is_err());
    }
}
