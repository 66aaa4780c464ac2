//! Any file of bars, trades, quotes or updates of a book, by its path. What its columns are, their names say; what could not
//! be kept is counted and told.

use std::collections::BTreeMap;
use std::path::Path;

use tapestore_format::rows::Values;
use tapestore_format::time::Timeframe;

use crate::moment::parse_time;
use crate::table::{DAY_NS, Group, Kind, Table};
use crate::unpack::{contents, stem};

/// The prices and the amount of a bar, in the order in which tables have them.
pub(crate) const BARS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// What a time is called, the likeliest first: some files have several.
const TIMES: [&str; 18] = [
    "open_time",
    "opentime",
    "timestamp",
    "time",
    "datetime",
    "date_time",
    "date",
    "ts",
    "ts_ms_utc",
    "ts_event",
    "transact_time",
    "trade_time",
    "event_time",
    "time_utc",
    "unix",
    "unix_time",
    "epoch",
    "gmt_time",
];
/// What the name of an instrument is called.
const SYMBOLS: [&str; 14] = [
    "symbol",
    "sym",
    "ticker",
    "tic",
    "instrument",
    "instrument_id",
    "inst_id",
    "instid",
    "ts_code",
    "stock_code",
    "code",
    "pair",
    "isin",
    "contract",
];
/// Words of which one is in the name of a price.
const PRICES: [&str; 7] = ["price", "bid", "ask", "px", "last", "close", "rate"];

/// A file as it was read, and what is to be told of it.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) group: Group,
    pub(crate) notes: Vec<String>,
}

/// A name as it is compared and kept: small letters, digits and low lines.
fn plain(name: &str) -> String {
    let name = name.trim().trim_matches(['"', '\'', '<', '>', '\u{feff}']).to_lowercase();
    let letter = |letter: char| if letter.is_alphanumeric() { letter } else { '_' };
    let name: String = name.chars().map(letter).collect();
    name.trim_matches('_').to_owned()
}

/// Fields of a line, without the marks around them.
fn fields<'a>(line: &'a str, delimiter: char, out: &mut Vec<&'a str>) {
    let bare = |field: &'a str| {
        let field = field.trim();
        field.strip_prefix('"').and_then(|inside| inside.strip_suffix('"')).unwrap_or(field)
    };
    out.clear();
    if !line.contains('"') {
        out.extend(line.split(delimiter).map(str::trim));
        return;
    }
    let (mut start, mut inside) = (0, false);
    for (at, letter) in line.char_indices() {
        if letter == '"' {
            inside = !inside;
        } else if letter == delimiter && !inside {
            out.push(bare(&line[start..at]));
            start = at + letter.len_utf8();
        }
    }
    out.push(bare(&line[start..]));
}

/// A column that is kept: where it stands, what it is called, and the decimal places that its integers are short of (`_e4`).
#[derive(Clone, Debug, PartialEq)]
struct Place {
    at: usize,
    name: String,
    places: i32,
}

/// What the columns of a file are.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    time: usize,
    /// A time of day apart from the date.
    clock: Option<usize>,
    symbol: Option<usize>,
    /// Bars have open, high, low, close first, then the volume, if there is one.
    bars: bool,
    values: Vec<Place>,
    width: usize,
}

/// What is looked for, for who has a file without it.
const WANTED: &str = "a time (open_time, timestamp, time, datetime, date, ts, …) and open, high, low, close for bars, or a price, \
     bid or ask for trades, quotes and books";

/// Finds out what the columns are from their names.
fn shape(header: &[&str]) -> Result<Shape, String> {
    let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let lacking = |what: &str| {
        let found: Vec<String> = header.iter().map(|name| format!("{:?}", name.trim())).collect();
        Err(format!("no column is {what}: found {}; wanted are {WANTED}", found.join(", ")))
    };
    let find =
        |wanted: &[&str]| wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
    // A first column without a name is the index of who wrote the file, which is the time where there is no other.
    let unnamed = names.first().filter(|name| name.is_empty() || *name == "index").map(|_| 0);
    let Some(time) = find(&TIMES).or(unnamed) else { return lacking("a time") };
    let (date, clock) = (find(&["date"]), find(&["time", "clock"]));
    let (time, clock) = match (date, clock) {
        (Some(date), Some(clock)) if time == clock || time == date => (date, Some(clock)),
        _ => (time, None),
    };
    let symbol = find(&SYMBOLS).filter(|at| *at != time);
    let mut taken = vec![Some(time), clock, symbol];
    let mut values: Vec<Place> = Vec::new();
    let scaled = |at: usize| {
        let name = &names[at];
        let scale =
            name.rsplit_once("_e").and_then(|(name, places)| Some((name, places.parse::<i32>().ok()?)));
        let (name, places) = scale.filter(|scale| (1..=12).contains(&scale.1)).unwrap_or((name, 0));
        Place { at, name: name.to_owned(), places }
    };
    let all: Vec<Place> = (0..names.len()).map(scaled).collect();
    let of_bars = |name: &str| {
        let initial = &name[..1];
        let also = [format!("{name}_price"), format!("price_{name}")];
        let exact = all.iter().find(|place| place.name == name || also.contains(&place.name));
        exact.or_else(|| all.iter().find(|place| place.name == initial)).cloned()
    };
    let prices: Vec<Place> = BARS[..4].iter().filter_map(|name| of_bars(name)).collect();
    let bars = prices.len() == 4;
    if bars {
        values.extend(
            prices.into_iter().zip(BARS).map(|(place, name)| Place { name: name.to_owned(), ..place }),
        );
        let volume = of_bars("volume").or_else(|| {
            let begins = |place: &&Place| {
                ["vol", "base_volume", "tick_vol", "tickvol"]
                    .iter()
                    .any(|start| place.name.starts_with(start))
            };
            all.iter().find(begins).cloned()
        });
        values.extend(volume.map(|place| Place { name: "volume".to_owned(), places: 0, ..place }));
    }
    taken.extend(values.iter().map(|place| Some(place.at)));
    for place in all.into_iter().filter(|place| !taken.contains(&Some(place.at))) {
        let base =
            if place.name.is_empty() { format!("column_{}", place.at + 1) } else { place.name.clone() };
        let base: String = base.chars().take(48).collect();
        let known =
            |name: &str, values: &[Place]| name == "time" || values.iter().any(|value| value.name == name);
        let mut name = base.clone();
        let mut number = 2;
        while known(&name, &values) {
            name = format!("{base}_{number}");
            number += 1;
        }
        values.push(Place { name, ..place });
    }
    let is_price =
        |place: &Place| place.name.split('_').any(|word| PRICES.contains(&word)) || place.name == "p";
    if !bars && !values.iter().any(is_price) {
        return lacking("a price");
    }
    Ok(Shape { time, clock, symbol, bars, values, width: header.len() })
}

/// Bars without a header, in the usual order, which their numbers must bear out: no high is below another price of its bar,
/// no low above.
fn headless(text: &str, delimiter: char, width: usize) -> Result<Shape, String> {
    let mut row = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        fields(line, delimiter, &mut row);
        let price = |at: usize| row.get(at).and_then(|field| field.parse::<f64>().ok());
        let (Some(open), Some(high), Some(low), Some(close)) = (price(1), price(2), price(3), price(4))
        else {
            return Err(format!(
                "there is no header, and line {} has no open, high, low, close behind a time; wanted are {WANTED}",
                number + 1
            ));
        };
        if high < open.max(close).max(low) || low > open.min(close) {
            return Err(format!(
                "there is no header, and line {} is no bar of time, open, high, low, close: give the columns names; wanted are {WANTED}",
                number + 1
            ));
        }
    }
    let name = |at: usize| BARS.get(at - 1).map_or(format!("column_{}", at + 1), |name| (*name).to_owned());
    let values = (1..width).map(|at| Place { at, name: name(at), places: 0 }).collect();
    Ok(Shape { time: 0, clock: None, symbol: None, bars: true, values, width })
}

/// A number as it is or with a comma for its point; nothing, where none is stated, is no number.
fn number(field: &str, comma: bool) -> Option<f64> {
    if comma && field.contains(',') { field.replace(',', ".").parse().ok() } else { field.parse().ok() }
}

/// Whether a field says that there is no number.
fn missing(field: &str) -> bool {
    matches!(field.to_ascii_lowercase().as_str(), "" | "nan" | "null" | "none" | "na" | "n/a" | "-")
}

/// Whole numbers that read as they are written: a code such as 0012 is text.
fn integer(field: &str) -> Option<i64> {
    let digits = field.strip_prefix('-').unwrap_or(field);
    let plain = digits == "0" || digits.starts_with(|letter: char| ('1'..='9').contains(&letter));
    if plain { field.parse().ok() } else { None }
}

/// Rows as they stand in a file, before it is known what they are.
#[derive(Default)]
struct Rows<'a> {
    time: Vec<i64>,
    fields: Vec<Vec<&'a str>>,
}

/// Reasons for leaving lines out: how many, and the first.
#[derive(Default)]
struct Left(BTreeMap<&'static str, (u64, String)>);

impl Left {
    fn line(&mut self, why: &'static str, place: impl FnOnce() -> String) {
        self.0.entry(why).or_insert_with(|| (0, place())).0 += 1;
    }

    fn notes(self) -> Vec<String> {
        let told = |(why, (count, first)): (&str, (u64, String))| {
            format!("{count} lines left out: {why} (first {first})")
        };
        self.0.into_iter().map(told).collect()
    }
}

/// A text's delimiter, its shape, and how many lines come before its rows.
fn understood(text: &str) -> Result<(char, Shape, usize), String> {
    const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
    let is_row = |line: &&str| !line.starts_with('#') && line.contains(DELIMITERS);
    // Some begin with a line on where they are from.
    let first = text.lines().take(16).position(|line| is_row(&line));
    let Some(skipped) = first else { return Err(format!("no line has columns; wanted are {WANTED}")) };
    let line = text.lines().nth(skipped).unwrap_or_default().trim_start_matches('\u{feff}');
    let delimiter =
        DELIMITERS.into_iter().rev().max_by_key(|letter| line.matches(*letter).count()).unwrap_or(',');
    let mut header = Vec::new();
    fields(line, delimiter, &mut header);
    if parse_time(header[0]).is_some() {
        return Ok((delimiter, headless(text, delimiter, header.len())?, skipped));
    }
    Ok((delimiter, shape(&header)?, skipped + 1))
}

/// Reads a file by its path.
pub(crate) fn read(path: &Path) -> Result<Read, String> {
    let told = |error: String| format!("{}: {error}", path.display());
    let contents = contents(path)?;
    if let [(name, text)] = &contents[..]
        && crate::data::is_book(text)
    {
        let table = crate::data::book(name, text).map_err(told)?;
        let notes = vec!["updates of a book, a row for every level of every message".to_owned()];
        return Ok(Read { group: Group::single(Kind::Books, table), notes });
    }
    of_texts(&stem(path), &contents).map_err(told)
}

/// Reads texts that belong together: one file, or the files of a zip.
fn of_texts(name: &str, texts: &[(String, String)]) -> Result<Read, String> {
    let mut notes = Vec::new();
    let mut left = Left::default();
    let mut wanted: Option<Shape> = None;
    let mut series: BTreeMap<String, Rows<'_>> = BTreeMap::new();
    let (mut refused, mut others, mut comma) = (Vec::new(), 0, false);
    for (file, text) in texts {
        let (delimiter, shape, skipped) = match understood(text) {
            Ok(found) => found,
            Err(error) if texts.len() == 1 => return Err(error),
            Err(error) => {
                refused.push(format!("{file}: {error}"));
                continue;
            }
        };
        let same = |known: &Shape| {
            known.values.iter().map(|place| &place.name).eq(shape.values.iter().map(|place| &place.name))
        };
        if wanted.as_ref().is_some_and(|known| !same(known)) {
            others += 1;
            continue;
        }
        comma |= delimiter == ';';
        let own = if texts.len() == 1 { name.to_owned() } else { series_name(file, texts) };
        let place = |line: usize| {
            if texts.len() == 1 {
                format!("line {}", line + 1)
            } else {
                format!("line {} of {file}", line + 1)
            }
        };
        gather(text, (delimiter, skipped), &shape, &own, &mut series, &mut left, &place);
        wanted.get_or_insert(shape);
    }
    let Some(shape) = wanted else {
        return Err(refused
            .into_iter()
            .next()
            .unwrap_or_else(|| format!("nothing is in it; wanted are {WANTED}")));
    };
    if others > 0 {
        notes.push(format!(
            "{others} of {} files inside have other columns than the first and were left out",
            texts.len()
        ));
    }
    if let Some(first) = refused.first() {
        notes.push(format!(
            "{} of {} files inside were not understood, the first: {first}",
            refused.len(),
            texts.len()
        ));
    }
    let mut out_of_order = 0;
    for (symbol, rows) in &mut series {
        let turned = order(rows, shape.bars, &mut out_of_order, &mut left);
        if turned && texts.len() == 1 {
            notes.push(format!("{symbol}: newest first, turned round"));
        }
    }
    if out_of_order > 0 {
        notes.push(format!("{out_of_order} lines are older than the one before them: sorted by time, those of one time as they stood"));
    }
    let short = series.values().filter(|rows| rows.time.len() < 2).count();
    series.retain(|_, rows| rows.time.len() > 1);
    if short > 0 && !series.is_empty() {
        notes.push(format!("{short} series of a single row or none were left out"));
    }
    if series.is_empty() {
        let why: Vec<String> = left.notes();
        return Err(format!(
            "no rows were found; {}",
            if why.is_empty() { "the file has none".to_owned() } else { why.join("; ") }
        ));
    }
    notes.extend(left.notes());
    let columns = typed(&shape, &series, comma, &mut notes);
    let tables = tables(&series, &columns);
    Ok(finished(name, shape.bars, tables, notes))
}

/// The name of a series that is a file in a zip: that of the file, or its whole path where another has the same name.
fn series_name(file: &str, texts: &[(String, String)]) -> String {
    let stem_of = |file: &str| stem(Path::new(file));
    let alike = texts.iter().filter(|(other, _)| stem_of(other) == stem_of(file)).count();
    if alike > 1 { file.trim_end_matches(".csv").to_owned() } else { stem_of(file) }
}

/// Rows of a text, to the series that they are of.
fn gather<'a>(
    text: &'a str,
    (delimiter, skipped): (char, usize),
    shape: &Shape,
    own: &str,
    series: &mut BTreeMap<String, Rows<'a>>,
    left: &mut Left,
    place: &dyn Fn(usize) -> String,
) {
    let mut row = Vec::new();
    let comma = delimiter == ';';
    for (line_number, line) in text.lines().enumerate().skip(skipped) {
        if line.trim().is_empty() {
            continue;
        }
        fields(line, delimiter, &mut row);
        if row.len() < shape.width {
            left.line("they have fewer columns than the header", || place(line_number));
            continue;
        }
        let time = match shape.clock {
            Some(clock) => parse_time(&format!("{} {}", row[shape.time], row[clock])),
            None => parse_time(row[shape.time]),
        };
        let Some(time) = time else {
            left.line(
                "their time is none: whole units since 1970, or a date that begins with the year",
                || format!("{}: {:?}", place(line_number), row[shape.time]),
            );
            continue;
        };
        // What makes a bar must be there; another column may lack a number.
        let is_bar = |place: &Place| !missing(row[place.at]) && number(row[place.at], comma).is_some();
        if shape.bars
            && !shape.values.iter().take(5).filter(|place| BARS.contains(&place.name.as_str())).all(is_bar)
        {
            left.line("a price or the volume of the bar is no number", || place(line_number));
            continue;
        }
        let symbol = shape.symbol.map_or(own, |at| row[at]);
        if !series.contains_key(symbol) {
            let empty = Rows { time: Vec::new(), fields: vec![Vec::new(); shape.values.len()] };
            series.insert(symbol.to_owned(), empty);
        }
        let rows = series.get_mut(symbol).expect("just put there");
        rows.time.push(time);
        rows.fields.iter_mut().zip(&shape.values).for_each(|(column, value)| column.push(row[value.at]));
    }
}

/// Puts rows in order of time; of bars of one time the first is kept. Whether they stood the other way round.
fn order(rows: &mut Rows<'_>, bars: bool, out_of_order: &mut u64, left: &mut Left) -> bool {
    let mut places: Vec<usize> = (0..rows.time.len()).collect();
    let turned = rows.time.len() > 1
        && rows.time.windows(2).all(|pair| pair[0] >= pair[1])
        && rows.time[0] > rows.time[rows.time.len() - 1];
    if turned {
        places.reverse();
    } else {
        *out_of_order += rows.time.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        places.sort_by_key(|place| rows.time[*place]);
    }
    if bars {
        places.dedup_by(|later, kept| {
            let same = rows.time[*later] == rows.time[*kept];
            if same {
                left.line("a bar before has the same time", || format!("row {} of its series", *later + 1));
            }
            same
        });
    }
    let sorted =
        places.len() == rows.time.len() && places.iter().enumerate().all(|(row, place)| row == *place);
    if !sorted {
        rows.time = places.iter().map(|place| rows.time[*place]).collect();
        for column in &mut rows.fields {
            *column = places.iter().map(|place| column[*place]).collect();
        }
    }
    turned
}

/// What a column is kept as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum As {
    Integers,
    /// To be divided by a power of ten; with a comma for the point.
    Doubles(f64, bool),
    Text,
}

/// Names and kinds of the columns, which all series share.
fn typed(
    shape: &Shape,
    series: &BTreeMap<String, Rows<'_>>,
    comma: bool,
    notes: &mut Vec<String>,
) -> Vec<(String, As)> {
    let mut out = Vec::new();
    for (at, place) in shape.values.iter().enumerate() {
        let all = || series.values().flat_map(|rows| rows.fields[at].iter().copied());
        let double = As::Doubles(10f64.powi(place.places), comma);
        let of_bar = shape.bars && at < 5 && BARS.contains(&place.name.as_str());
        let numbers = || {
            let sane = |field: &str| missing(field) || number(field, comma).is_some() && !coded(field);
            all().all(sane) && all().any(|field| !missing(field))
        };
        let kind = if of_bar {
            double
        } else if place.name.ends_with("_hex") {
            As::Text
        } else if place.places == 0 && all().all(|field| integer(field).is_some()) {
            As::Integers
        } else if numbers() {
            double
        } else {
            As::Text
        };
        let lacking = if kind == double { all().filter(|field| missing(field)).count() } else { 0 };
        if lacking > 0 {
            notes.push(format!("{lacking} rows have no number in {}: NaN", place.name));
        }
        out.push((place.name.clone(), kind));
    }
    out
}

/// Whether digits would be lost by reading a number: a code with zeros in front.
fn coded(field: &str) -> bool {
    field.len() > 1 && field.starts_with('0') && field.bytes().all(|byte| byte.is_ascii_digit())
}

fn tables(series: &BTreeMap<String, Rows<'_>>, columns: &[(String, As)]) -> Vec<Table> {
    let table = |(symbol, rows): (&String, &Rows<'_>)| {
        let column = |((name, kind), fields): (&(String, As), &Vec<&str>)| {
            let values = match *kind {
                As::Integers => Values::I64(fields.iter().filter_map(|field| field.parse().ok()).collect()),
                As::Doubles(power, comma) => {
                    let double = |field: &&str| {
                        number(field, comma)
                            .map_or(f64::NAN, |value| if power == 1.0 { value } else { value / power })
                    };
                    Values::F64(fields.iter().map(double).collect())
                }
                As::Text => Values::Str(fields.iter().copied().collect()),
            };
            (name.clone(), values)
        };
        let columns = columns.iter().zip(&rows.fields).map(column).collect();
        Table { name: symbol.clone(), timeframe: None, time: rows.time.clone(), columns }
    };
    series.iter().map(table).collect()
}

/// Tables as a group, with their timeframe, if they are bars that have one.
fn finished(name: &str, bars: bool, mut tables: Vec<Table>, mut notes: Vec<String>) -> Read {
    let rows: usize = tables.iter().map(Table::len).sum();
    let mut kind = Kind::Ticks;
    if bars {
        let mut frames: BTreeMap<&str, usize> = BTreeMap::new();
        for table in &mut tables {
            table.timeframe = timeframe(&table.time);
            *frames.entry(table.timeframe.map_or("none", Timeframe::name)).or_default() += 1;
        }
        let step = shortest(&tables).unwrap_or(0);
        let told: Vec<String> = match frames.len() {
            1 => frames.keys().map(|frame| (*frame).to_owned()).collect(),
            _ => frames.iter().map(|(frame, count)| format!("{frame} ({count} series)")).collect(),
        };
        let mut note = format!("bars, timeframe: {}", told.join(", "));
        if frames.contains_key("none") {
            let seconds = step / 1_000_000_000;
            note += &format!(
                "; the shortest step is {seconds} s. Where none has it, or times lie off its grid, no bar is known to be missing: gaps are not asked for"
            );
        }
        notes.insert(0, note);
        kind = if step < DAY_NS { Kind::Klines } else { Kind::Daily };
    }
    if let [only] = &mut tables[..] {
        if only.name != name {
            notes.push(format!("one series, {}", only.name));
        }
        name.clone_into(&mut only.name);
    } else if let Some(longest) = tables.iter().max_by_key(|table| table.len()) {
        notes.push(format!(
            "{} series in one file: sizes are of all of them ({rows} rows), times of the longest, {} ({} rows)",
            tables.len(),
            longest.name,
            longest.len()
        ));
    }
    Read { group: Group { name: name.to_owned(), kind, tables }, notes }
}

/// The shortest step between rows that follow one another.
fn shortest(tables: &[Table]) -> Option<i64> {
    tables.iter().flat_map(|table| table.time.windows(2).map(|pair| pair[1] - pair[0])).min()
}

/// The longest timeframe on whose grid all times lie; `None` if no two bars are as close as it says, for then it is the step
/// of another.
pub(crate) fn timeframe(times: &[i64]) -> Option<Timeframe> {
    let on_grid = |frame: &Timeframe| times.iter().all(|time| frame.on_grid(*time));
    let found = Timeframe::ALL.into_iter().rev().find(on_grid)?;
    times.windows(2).any(|pair| found.slot(pair[1]) - found.slot(pair[0]) == 1).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::MINUTE_NS;

    const DAY: i64 = 18_262 * DAY_NS;

    fn of(text: &str) -> Result<Read, String> {
        of_texts("X", &[("X.csv".to_owned(), text.to_owned())])
    }

    fn columns(read: &Read) -> Vec<&str> {
        read.group.tables[0].names()
    }

    #[test]
    fn bars_are_found_by_the_names_of_their_columns_in_any_order() {
        // The order of A-shares: by its place, the close would be taken for the high.
        let read = of("date,open,close,high,low,volume,volume.1\n20200101,10,12,13,9,5,7\n20200102,12,11,12.5,10.5,6,8\n").unwrap();
        assert_eq!(columns(&read), ["open", "high", "low", "close", "volume", "volume_1"]);
        let table = &read.group.tables[0];
        assert_eq!(table.time, [DAY, DAY + DAY_NS]);
        assert_eq!((table.f64("high"), table.f64("close")), (&[13.0, 12.5][..], &[12.0, 11.0][..]));
        assert_eq!(table.values("volume_1"), Some(&Values::I64(vec![7, 8])));
        assert_eq!(table.timeframe, Some(Timeframe::D1));
        assert_eq!(read.group.kind, Kind::Daily);
    }

    #[test]
    fn other_delimiters_quotes_marks_and_names_mean_the_same() {
        let bars = [0.5, 1.5, 0.25, 1.0];
        for text in [
            "Open time,Open,High,Low,Close,Volume BTC\n1577836800000,0.5,1.5,0.25,1,3\n1577836860000,0.5,1.5,0.25,1,4\n",
            "\u{feff}timestamp;o;h;l;c;v\n2020-01-01 00:00;0,5;1,5;0,25;1;3\n2020-01-01 00:01;0,5;1,5;0,25;1;4\n",
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<VOL>\n2020.01.01\t00:00:00\t0.5\t1.5\t0.25\t1\t3\n2020.01.01\t00:01:00\t0.5\t1.5\t0.25\t1\t4\n",
            "https://example.org\n,\"open\",\"high\",\"low\",\"close\",\"volume\"\n\"2020-01-01\",\"0.5\",\"1.5\",\"0.25\",\"1\",\"3\"\n2020-01-01 00:01,0.5,1.5,0.25,1,4\n",
            "1577836800,0.5,1.5,0.25,1,3\n1577836860,0.5,1.5,0.25,1,4\n",
            "ts,open_e2,high_e2,low_e2,close_e2,volume\n1577836800,50,150,25,100,3\n1577836860,50,150,25,100,4\n",
        ] {
            let read = of(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let table = &read.group.tables[0];
            assert_eq!(table.names(), BARS, "{text}");
            assert_eq!(table.time, [DAY, DAY + MINUTE_NS], "{text}");
            let first: Vec<f64> = BARS[..4].iter().map(|name| table.f64(name)[0]).collect();
            assert_eq!(first, bars, "{text}");
            assert_eq!(table.f64("volume"), [3.0, 4.0], "{text}");
            assert_eq!(table.timeframe, Some(Timeframe::M1), "{text}");
        }
    }

    #[test]
    fn numbers_without_names_are_bars_only_if_they_can_be() {
        let error = of("1577836800,10,12,13,9,5\n1577836860,10,12,13,9,5\n").unwrap_err();
        assert!(error.contains("line 1 is no bar of time, open, high, low, close"), "{error}");
    }

    #[test]
    fn a_column_of_symbols_makes_several_series() {
        let text = "symbol,datetime,open_e4,high_e4,low_e4,close_e4,volume\nB,20200101 00:00,10000,10000,10000,10000,1\n\
                    A,20200101 00:00,20000,20000,20000,20000,1\nA,20200102 00:00,20000,20000,20000,20000,1\n\
                    B,20200102 00:00,15000,15000,15000,15000,1\nB,20200103 00:00,15000,15000,15000,15000,1\n";
        let read = of(text).unwrap();
        let names: Vec<&str> = read.group.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["A", "B"]);
        assert_eq!(read.group.tables[1].f64("close"), [1.0, 1.5, 1.5]);
        assert_eq!(read.group.name, "X");
        assert!(
            read.notes
                .iter()
                .any(|note| note.contains("2 series") && note.contains("the longest, B (3 rows)")),
            "{:?}",
            read.notes
        );
    }

    #[test]
    fn timeframes_are_those_of_the_grid_and_odd_steps_have_none() {
        let timeframe = |times: &[&str]| {
            let lines: String = times.iter().map(|time| format!("{time},1,1,1,1,1\n")).collect();
            of(&format!("time,open,high,low,close,volume\n{lines}")).unwrap().group.tables[0].timeframe
        };
        assert_eq!(timeframe(&["2020-01-01", "2020-01-02", "2020-01-06"]), Some(Timeframe::D1));
        assert_eq!(timeframe(&["2020-01-06", "2020-01-13", "2020-01-27"]), Some(Timeframe::W1));
        assert_eq!(timeframe(&["2020-01-01", "2020-02-01", "2020-04-01"]), Some(Timeframe::Mo1));
        assert_eq!(
            timeframe(&["2020-01-31", "2020-02-29", "2020-03-31"]),
            None,
            "the ends of months are on no grid"
        );
        assert_eq!(timeframe(&["2020-01-01 00:00", "2020-01-01 00:07", "2020-01-01 00:14"]), None);
        assert_eq!(
            timeframe(&["2020-01-01 00:00+08:00", "2020-01-02 00:00+08:00"]),
            None,
            "days of another place"
        );
        assert_eq!(timeframe(&["2020-01-01 00:00", "2020-01-01 04:00"]), Some(Timeframe::H4));
    }

    #[test]
    fn what_is_left_out_is_counted_and_what_is_out_of_order_is_sorted() {
        let read = of("time,open,high,low,close,volume\n300,1,1,1,1,1\n60,2,2,2,2,2\n60,9,9,9,9,9\nx,1,1,1,1,1\n120,1,1,,1,1\n180,1\n\n240,3,3,3,3,3\n").unwrap();
        let table = &read.group.tables[0];
        assert_eq!(table.f64("close"), [2.0, 3.0, 1.0]);
        let told = |part: &str| read.notes.iter().any(|note| note.contains(part));
        assert!(told("1 lines are older than the one before them"), "{:?}", read.notes);
        assert!(told("1 lines left out: a bar before has the same time"), "{:?}", read.notes);
        assert!(
            told("1 lines left out: their time is none") && told("(first line 5: \"x\")"),
            "{:?}",
            read.notes
        );
        assert!(
            told("1 lines left out: a price or the volume of the bar is no number (first line 6)"),
            "{:?}",
            read.notes
        );
        assert!(
            told("1 lines left out: they have fewer columns than the header (first line 7)"),
            "{:?}",
            read.notes
        );
    }

    #[test]
    fn a_file_whose_newest_row_is_first_is_turned_round() {
        let read = of("time,price\n120,3\n60,2\n60,1\n").unwrap();
        assert_eq!(read.group.tables[0].values("price"), Some(&Values::I64(vec![1, 2, 3])));
        assert!(read.notes.iter().any(|note| note.contains("newest first")), "{:?}", read.notes);
    }

    #[test]
    fn columns_of_trades_are_integers_doubles_or_text() {
        let read = of("Timestamp,Price,qty,side,price_e4,cond_hex,code2,fee\n1577836800000,7195.5,3,buy,5,20,007,\n1577836800000,7195,2,sell,6,21,008,0.5\n").unwrap();
        let table = &read.group.tables[0];
        assert_eq!(table.names(), ["price", "qty", "side", "price_2", "cond_hex", "code2", "fee"]);
        assert_eq!(table.f64("price"), [7195.5, 7195.0]);
        assert_eq!(table.values("qty"), Some(&Values::I64(vec![3, 2])));
        let text = |words: [&str; 2]| Values::Str(words.into_iter().collect());
        assert_eq!(table.values("side"), Some(&text(["buy", "sell"])));
        assert_eq!(table.f64("price_2"), [0.0005, 0.0006]);
        assert_eq!(table.values("cond_hex"), Some(&text(["20", "21"])), "some of them have letters");
        assert_eq!(table.values("code2"), Some(&text(["007", "008"])), "zeros in front would be lost");
        assert!(
            table.f64("fee")[0].is_nan()
                && read.notes.iter().any(|note| note.contains("1 rows have no number in fee"))
        );
        assert_eq!((read.group.kind, table.timeframe), (Kind::Ticks, None));
    }

    #[test]
    fn what_is_not_understood_names_what_it_has_and_what_it_lacks() {
        let error = |text: &str| of(text).unwrap_err();
        let unknown = error("when,price\n1,2\n");
        assert!(
            unknown.contains("no column is a time: found \"when\", \"price\"; wanted are a time (open_time"),
            "{unknown}"
        );
        let unknown = error("time,temperature\n1,2\n");
        assert!(
            unknown.contains("no column is a price: found \"time\", \"temperature\"")
                && unknown.contains("open, high, low, close for bars"),
            "{unknown}"
        );
        assert!(
            error("time,price\nx,2\ny,3\n")
                .contains("no rows were found; 2 lines left out: their time is none")
        );
        assert!(error("nothing\n").contains("no line has columns"));
    }

    #[test]
    fn the_files_of_a_zip_are_series_if_their_columns_are_the_same() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let bars = "date,open,high,low,close,volume\n2020-01-01,1,1,1,1,1\n2020-01-02,1,1,1,1,1\n";
        let read = of_texts(
            "Z",
            &[
                file("a.csv", bars),
                file("b.csv", bars),
                file("hour/b.csv", bars),
                file("c.csv", "date,price\n2020-01-01,2\n"),
                file("d.txt", "read me"),
            ],
        )
        .unwrap();
        let names: Vec<&str> = read.group.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "hour/b"]);
        let told = |part: &str| read.notes.iter().any(|note| note.contains(part));
        assert!(
            told("1 of 5 files inside have other columns")
                && told("1 of 5 files inside were not understood, the first: d.txt"),
            "{:?}",
            read.notes
        );
    }
}
