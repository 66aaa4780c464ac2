//! Sources that a configuration declares: CSV or JSON over HTTP or from a folder, by a mapping of columns; and programs.
//!
//! # Programs
//! A program is started for each page. It reads one JSON object from its standard input and ends it:
//!
//! ```json
//! {"version": 1, "symbol": "600519", "frame": "1d", "start_ns": 1704067200000000000, "end_ns": 1735689600000000000,
//!  "start": "2024-01-01T00:00:00Z", "end": "2025-01-01T00:00:00Z"}
//! ```
//!
//! and writes the bars that open in `[start, end)` to its standard output: as CSV with a header, or as JSON, an object a
//! line. The fields are `time` (the open time: integer s, ms, µs or ns since 1970, or a date, or ISO 8601), `open`, `high`,
//! `low`, `close`, and any of `volume`, `quote_volume`, `trades`, `taker_buy_base`, `taker_buy_quote`, `open_interest`.
//! It ends with 0; with 75 if it may go well the next time; with anything else if not. The last line of its standard
//! error is shown then. Examples are in `engine/fetch/examples`.

use std::path::PathBuf;
use std::sync::Arc;

use simd_json::BorrowedValue;
use simd_json::prelude::*;
use tapestore::schema::bars_with;
use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS};
use tapestore::{ColumnValues, Frame, Schema, SeriesKey, Timeframe, Values};

use super::binance::{Field, escaped};
use crate::error::{Error, Result};
use crate::source::{Ask, Manners, Naming, Page, Reach, Refusal, Source, Step, Table};
use crate::wire::{Carrier, Reply, Request, Secret};

/// Columns of bars that a mapping may name beside the prices.
pub const MORE_COLUMNS: [&str; 6] =
    ["volume", "quote_volume", "trades", "taker_buy_base", "taker_buy_quote", "open_interest"];
const PRICES: [&str; 4] = ["open", "high", "low", "close"];

/// Where the text comes from. `{symbol}`, `{interval}`, and of start and end `{start_s}`, `{start_ms}`, `{start_us}`,
/// `{start_ns}` and `{start_date}` stand for what is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A URL.
    Http(String),
    /// A path of a file.
    File(String),
    /// Program and arguments.
    Process(Vec<String>),
}

/// What the text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Separated values.
    Csv {
        /// Between the values.
        delimiter: u8,
        /// Whether the first line names them.
        header: bool,
    },
    /// A JSON document; the names lead to the list of its bars, which are objects or arrays.
    Json(Vec<String>),
    /// CSV with a header, or a JSON object a line, told by the first letter.
    Either,
}

/// Unit of times that are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// This many nanoseconds.
    Of(i64),
    /// Told by size: seconds, milliseconds, microseconds or nanoseconds; eight digits are a date.
    BySize,
}

/// A declared source.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Where the text comes from.
    pub place: Place,
    /// What it is.
    pub shape: Shape,
    /// Column of the times: a name, or a number from 1.
    pub time: String,
    /// Unit of the times.
    pub unit: Unit,
    /// How far clock times without a zone are ahead of UTC, in nanoseconds.
    pub utc_offset_ns: i64,
    /// Columns of bars, and where they are: names, or numbers from 1.
    pub columns: Vec<(&'static str, String)>,
    /// Timeframes that it has, and what it calls them.
    pub intervals: Vec<(Timeframe, String)>,
    /// Bars of a request at most.
    pub page_bars: u64,
    /// Whether what is not in a good reply is confirmed absent.
    pub complete: bool,
    /// How symbols become instruments.
    pub naming: Naming,
    /// Headers with keys.
    pub secrets: Vec<Secret>,
    /// How it wants to be treated.
    pub manners: Manners,
}

impl Declared {
    fn interval(&self, timeframe: Timeframe) -> Option<&str> {
        self.intervals.iter().find(|known| known.0 == timeframe).map(|known| known.1.as_str())
    }

    /// Whether the text is of the range that was asked for, not of everything.
    fn is_ranged(&self) -> bool {
        match &self.place {
            Place::Http(text) | Place::File(text) => text.contains("{start") || text.contains("{end"),
            Place::Process(_) => true,
        }
    }

    fn request(&self, ask: &Ask) -> Request {
        let interval = ask.timeframe().and_then(|timeframe| self.interval(timeframe)).unwrap_or_default();
        let fill = |text: &str, symbol: &str| {
            let mut text = text.replace("{symbol}", symbol).replace("{interval}", interval);
            for (name, time) in [("start", ask.range.start), ("end", ask.range.end)] {
                for (unit, ns) in [("s", SECOND_NS), ("ms", 1_000_000), ("us", 1000), ("ns", 1)] {
                    text = text.replace(&format!("{{{name}_{unit}}}"), &(time / ns).to_string());
                }
                text = text.replace(&format!("{{{name}_date}}"), &iso(time)[..10]);
            }
            text
        };
        let carrier = match &self.place {
            Place::Http(url) => Carrier::Get(fill(url, &escaped(&ask.symbol))),
            // A symbol never leads out of the folder.
            Place::File(path) => {
                Carrier::File(PathBuf::from(fill(path, &ask.symbol.replace(['/', '\\'], "_"))))
            }
            Place::Process(command) => {
                let (start, end) = (ask.range.start, ask.range.end);
                let input = format!(
                    "{{\"version\": 1, \"symbol\": {}, \"frame\": \"{interval}\", \"start_ns\": {start}, \
                     \"end_ns\": {end}, \"start\": \"{}\", \"end\": \"{}\"}}\n",
                    quoted(&ask.symbol),
                    iso(start),
                    iso(end)
                );
                Carrier::Process { command: command.clone(), input }
            }
        };
        Request { carrier, weight: 1, secrets: self.secrets.clone() }
    }

    fn page(&self, ask: &Ask, reply: &Reply) -> std::result::Result<Step, Refusal> {
        let mut bars = Bars::new(self);
        match &self.shape {
            Shape::Csv { delimiter, header } => bars.csv(&reply.body, *delimiter, *header)?,
            Shape::Json(path) => bars.document(&reply.body, path)?,
            Shape::Either if reply.body.trim_ascii_start().first() == Some(&b'{') => {
                bars.lines(&reply.body)?;
            }
            Shape::Either => bars.csv(&reply.body, b',', true)?,
        }
        let mut rows = bars.table();
        if !self.is_ranged() {
            let wanted: Vec<usize> =
                (0..rows.time.len()).filter(|row| ask.range.contains(&rows.time[*row])).collect();
            rows.pick(&wanted);
        }
        Ok(Step::Done(Box::new(Page {
            rows,
            answered: ask.range.clone(),
            complete: self.complete,
            now_ns: reply.source_now_ns(),
            ..Page::default()
        })))
    }
}

impl Source for Declared {
    fn name(&self) -> &str {
        &self.name
    }

    fn manners(&self) -> Manners {
        self.manners
    }

    fn reach(&self, frame: &Frame) -> Result<Reach> {
        if frame.timeframe().and_then(|timeframe| self.interval(timeframe)).is_none() {
            let known: Vec<&str> = self.intervals.iter().map(|known| known.0.name()).collect();
            return Err(Error::Usage(format!("{} has no {frame}; it has {}", self.name, known.join(" "))));
        }
        let page_slots = if self.is_ranged() { self.page_bars } else { u64::MAX };
        Ok(Reach { page_slots, page_requests: 1, page_weight: 1, history_ns: None })
    }

    fn key(&self, symbol: &str, frame: &Frame) -> Result<SeriesKey> {
        self.naming.key(symbol, frame)
    }

    fn schema(&self, _: &Frame) -> Schema {
        let optional: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.0)
            .filter(|name| MORE_COLUMNS[1..].contains(name))
            .collect();
        bars_with(&optional).expect("columns of bars")
    }

    fn step(&self, ask: &Ask, replies: &[Reply]) -> std::result::Result<Step, Refusal> {
        let Some(timeframe) = ask.timeframe() else {
            return Err(Refusal::Other("only bars are asked for".to_owned()));
        };
        let mut part = ask.clone();
        if self.is_ranged() {
            let last = timeframe.slot(ask.range.start).saturating_add_unsigned(self.page_bars);
            part.range.end = timeframe.slot_start(last).min(ask.range.end);
        }
        match replies.first() {
            None => Ok(Step::Send(self.request(&part))),
            Some(reply) => self.page(&part, reply),
        }
    }
}

/// Bars, being collected.
struct Bars<'a> {
    source: &'a Declared,
    time: Vec<i64>,
    columns: Vec<(Vec<f64>, Vec<bool>)>,
}

impl<'a> Bars<'a> {
    fn new(source: &'a Declared) -> Self {
        Self { source, time: Vec::new(), columns: vec![Default::default(); source.columns.len()] }
    }

    fn csv(&mut self, text: &[u8], delimiter: u8, header: bool) -> std::result::Result<(), Refusal> {
        let broken = |error: csv::Error| Refusal::Broken(format!("no CSV: {error}"));
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(header)
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(text);
        let names = if header { reader.headers().map_err(broken)?.clone() } else { csv::StringRecord::new() };
        if header && names.is_empty() {
            return Ok(());
        }
        let place = |column: &str| match column.parse::<usize>() {
            Ok(number) if number > 0 => Some(number - 1),
            _ => names.iter().position(|name| name.trim() == column),
        };
        let time = place(&self.source.time);
        let missing = |name: &str| Refusal::Other(format!("there is no column {name:?}"));
        let time = time.ok_or_else(|| missing(&self.source.time))?;
        let mut places = Vec::new();
        for (name, column) in &self.source.columns {
            let found = place(column);
            if found.is_none() && PRICES.contains(name) {
                return Err(missing(column));
            }
            places.push(found);
        }
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(broken)? {
            let field =
                |place: usize| record.get(place).map_or(Field::Missing, |text| Field::Text(text.trim()));
            self.push(&field(time), &|column| places[column].map_or(Field::Missing, field))?;
        }
        Ok(())
    }

    fn document(&mut self, body: &[u8], path: &[String]) -> std::result::Result<(), Refusal> {
        let mut body = body.to_vec();
        let value = simd_json::to_borrowed_value(&mut body)
            .map_err(|error| Refusal::Broken(format!("no JSON: {error}")))?;
        let mut at = &value;
        for name in path {
            at = at
                .get(name.as_str())
                .ok_or_else(|| Refusal::Other(format!("there is no member {name:?}")))?;
        }
        let list = at.as_array().ok_or_else(|| Refusal::Other("there is no list of bars".to_owned()))?;
        list.iter().try_for_each(|item| self.item(item))
    }

    fn lines(&mut self, body: &[u8]) -> std::result::Result<(), Refusal> {
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let mut line = line.to_vec();
            let value = simd_json::to_borrowed_value(&mut line)
                .map_err(|error| Refusal::Broken(format!("no JSON: {error}")))?;
            self.item(&value)?;
        }
        Ok(())
    }

    fn item(&mut self, item: &BorrowedValue<'_>) -> std::result::Result<(), Refusal> {
        let source = self.source;
        let of = |column: &str| {
            let value = match column.parse::<usize>() {
                Ok(number) if number > 0 => item.get_idx(number - 1),
                _ => item.get(column),
            };
            match value {
                Some(BorrowedValue::String(text)) => Field::Text(text),
                Some(value) => match (value.as_i64(), value.as_f64()) {
                    (Some(number), _) => Field::Integer(number),
                    (_, Some(number)) => Field::Number(number),
                    _ => Field::Missing,
                },
                None => Field::Missing,
            }
        };
        self.push(&of(&source.time), &|column| of(&source.columns[column].1))
    }

    /// A bar; one without a price is left out.
    fn push<'f>(
        &mut self,
        time: &Field<'_>,
        field: &dyn Fn(usize) -> Field<'f>,
    ) -> std::result::Result<(), Refusal> {
        let row = self.time.len();
        let time = self.source.parse_time(time);
        let time = time.ok_or_else(|| Refusal::Broken(format!("row {row} has no time")))?;
        let mut values = Vec::with_capacity(self.columns.len());
        for (place, (name, _)) in self.source.columns.iter().enumerate() {
            let field = field(place);
            let empty = matches!(field, Field::Missing | Field::Text("" | "null" | "NaN" | "nan" | "None"));
            match field.number() {
                Some(number) => values.push(Some(number)),
                None if !empty => return Err(Refusal::Broken(format!("row {row}: {name} is no number"))),
                None if PRICES.contains(name) => return Ok(()),
                None => values.push(None),
            }
        }
        for ((numbers, nulls), value) in self.columns.iter_mut().zip(values) {
            numbers.push(value.unwrap_or(0.0));
            nulls.push(value.is_none());
        }
        self.time.push(time);
        Ok(())
    }

    fn table(self) -> Table {
        let mut columns: Vec<(&'static str, ColumnValues)> = Vec::new();
        let names = self.source.columns.iter().map(|column| column.0);
        for (name, (numbers, nulls)) in names.zip(self.columns) {
            let values = match name {
                "trades" => Values::I64(numbers.iter().map(|number| *number as i64).collect()),
                _ => Values::F64(numbers),
            };
            // A volume that is not given is none.
            let nulls = (name != "volume" && nulls.contains(&true)).then_some(nulls);
            columns.push((name, ColumnValues { values, nulls }));
        }
        if columns.iter().all(|column| column.0 != "volume") {
            columns.push(("volume", Values::F64(vec![0.0; self.time.len()]).into()));
        }
        Table { time: self.time, columns }
    }
}

impl Declared {
    fn parse_time(&self, field: &Field<'_>) -> Option<i64> {
        match field {
            Field::Text(text) => match (text.parse::<i64>(), self.unit) {
                (Ok(_), Unit::BySize) if text.len() == 8 => self.clock(text),
                (Ok(number), _) => self.scaled(number),
                (Err(_), _) => self.clock(text),
            },
            Field::Integer(number) => self.scaled(*number),
            Field::Number(number) if number.fract() == 0.0 => self.scaled(*number as i64),
            _ => None,
        }
    }

    fn scaled(&self, number: i64) -> Option<i64> {
        let ns = match (self.unit, number.unsigned_abs()) {
            (Unit::Of(ns), _) => ns,
            (_, 0..100_000_000_000) => SECOND_NS,
            (_, 100_000_000_000..100_000_000_000_000) => 1_000_000,
            (_, 100_000_000_000_000..100_000_000_000_000_000) => 1000,
            _ => 1,
        };
        number.checked_mul(ns)
    }

    /// `2024-01-31`, `20240131`, and with `T` or a blank `09:30`, `09:30:15`, then `Z`, `+08:00` or nothing.
    fn clock(&self, text: &str) -> Option<i64> {
        let digits = |text: &str| {
            let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if all { text.parse::<i64>().ok() } else { None }
        };
        let (date, rest) = match text.get(4..5)? {
            "-" | "/" => {
                (format!("{}{}{}", text.get(..4)?, text.get(5..7)?, text.get(8..10)?), text.get(10..)?)
            }
            _ => (text.get(..8)?.to_owned(), text.get(8..)?),
        };
        let (year, month, day) = (digits(date.get(..4)?)?, digits(date.get(4..6)?)?, digits(date.get(6..)?)?);
        if !(1700..2250).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let midnight = Timeframe::Mo1.slot_start((year - 1970) * 12 + month - 1) + (day - 1) * DAY_NS;
        if rest.is_empty() {
            return Some(midnight);
        }
        let rest = rest.strip_prefix(['T', ' '])?;
        let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(zone_at);
        let mut parts = clock.split('.').next()?.split(':').map(digits);
        let mut part = || parts.next().unwrap_or(Some(0));
        let (hour, minute, second) = (part()?, part()?, part()?);
        if hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        let of_day = hour * HOUR_NS + minute * MINUTE_NS + second * SECOND_NS;
        let ahead = match zone {
            "" => self.utc_offset_ns,
            "Z" => 0,
            zone => {
                let (hours, minutes) = (digits(zone.get(1..3)?)?, digits(zone.get(zone.len() - 2..)?)?);
                let minutes = if zone.len() > 3 { minutes } else { 0 };
                let ahead = hours * HOUR_NS + minutes * MINUTE_NS;
                if zone.starts_with('-') { -ahead } else { ahead }
            }
        };
        Some(midnight + of_day - ahead)
    }
}

/// `2024-01-31T09:30:00Z`.
pub(crate) fn iso(ns: i64) -> String {
    let months = Timeframe::Mo1;
    let month = months.slot(ns);
    let day = (ns - months.slot_start(month)) / DAY_NS + 1;
    let of_day = ns.rem_euclid(DAY_NS) / SECOND_NS;
    let (year, month) = (1970 + month.div_euclid(12), month.rem_euclid(12) + 1);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Makes a source of it.
pub fn share(declared: Declared) -> Arc<dyn Source> {
    Arc::new(declared)
}
