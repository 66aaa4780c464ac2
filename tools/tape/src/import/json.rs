//! JSON: one document, or one value a line. Finds the rows inside a reply, whatever it is wrapped in.
//!
//! A row is an array of plain values (as Binance, OKX, Bybit and Kraken send klines) or an object with a time. Rows
//! are looked for inside `data`, `result`, `list`, `candles` and the like, to a bounded depth.

use std::collections::VecDeque;
use std::io::{BufRead, Read};

use csv::ByteRecord;
use simd_json::borrowed::Value;
use simd_json::prelude::Writable;
use simd_json::{StaticNode, to_borrowed_value};
use tapestore_catalog::Kind;

use super::columns::{FILE_COLUMNS, is_time_name, too_many_columns};
use super::messages::{self, Row, push_cell, received};
use super::records::{Header, Item};
use crate::fail::{Fail, Result};

/// Longest text that is read.
const TEXT_BYTES: u64 = 4 << 30;
/// How deep values may be nested: the parser goes down as many calls, and the stack has an end.
const NESTING: usize = 128;
/// How deep rows are looked for.
const DEPTH: usize = 6;
/// Members of an object that rows are looked for in first.
const WRAPPERS: [&str; 8] = ["data", "result", "list", "candles", "klines", "rows", "trades", "k"];

/// Rows of a JSON file.
#[derive(Debug)]
pub(crate) struct JsonRecords {
    name: String,
    text: Vec<u8>,
    lines: bool,
    position: usize,
    line: u64,
    row: u64,
    header: Header,
    pending: VecDeque<ByteRecord>,
    /// The kind whose messages the rows are; `None`: rows are taken as they stand.
    messages: Option<Kind>,
}

impl JsonRecords {
    /// `head` is the beginning of the text, `rest` what follows it.
    pub(crate) fn open(
        name: String,
        head: Vec<u8>,
        rest: Box<dyn BufRead + Send>,
        kind: Option<Kind>,
    ) -> Result<Self> {
        let mut text = head;
        let read = rest.take(TEXT_BYTES).read_to_end(&mut text);
        read.map_err(|error| Fail::Io(format!("cannot read {name}: {error}")))?;
        if text.len() as u64 >= TEXT_BYTES {
            return Err(Fail::Usage(format!("{name} is longer than 4 GiB; split it, or write it as CSV")));
        }
        if text.starts_with(b"\xef\xbb\xbf") {
            text.drain(..3);
        }
        let lines = is_lines(&text);
        let header = Header::Positions { count: 0, json: true };
        let mut records = Self {
            name,
            text,
            lines,
            position: 0,
            line: 0,
            row: 0,
            header,
            pending: VecDeque::new(),
            messages: kind,
        };
        if let Some(kind) = kind {
            records.find_names(kind)?;
            (records.position, records.line) = (0, 0);
        }
        if records.header.width() == 0 {
            records.messages = None;
            records.find_header()?;
        }
        (records.position, records.line) = (0, 0);
        Ok(records)
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether each line is a value of its own.
    pub(crate) fn is_lines(&self) -> bool {
        self.lines
    }

    /// The next document: its line, and a copy that parsing may scribble on.
    fn document(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = self.text.get(self.position..).filter(|rest| !rest.is_empty())?;
            let length = if self.lines {
                rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1)
            } else {
                rest.len()
            };
            self.position += length;
            self.line += 1;
            if !rest[..length].trim_ascii().is_empty() {
                return Some(rest[..length].to_vec());
            }
        }
    }

    /// The names of all messages of a kind.
    fn find_names(&mut self, kind: Kind) -> Result<()> {
        let mut names: Vec<String> = Vec::new();
        while let Some(document) = self.document() {
            for row in messages_of(&document, kind).unwrap_or_default() {
                for (name, _) in row {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                    if names.len() > FILE_COLUMNS {
                        return Err(too_many_columns(&self.name));
                    }
                }
            }
        }
        if !names.is_empty() {
            self.header = Header::Names(names);
        }
        Ok(())
    }

    fn find_header(&mut self) -> Result<()> {
        let mut names: Vec<String> = Vec::new();
        let mut count = 0;
        while let Some(mut document) = self.document() {
            let value = match parse(&mut document) {
                Ok(value) => value,
                Err(_) if self.lines => continue,
                Err(error) => {
                    return Err(Fail::Findings(format!("{} is not valid JSON: {error}", self.name)));
                }
            };
            for row in rows_of(&value) {
                match row {
                    Value::Object(object) => {
                        for name in object.keys() {
                            if !names.iter().any(|known| known == name) {
                                names.push(name.to_string());
                            }
                            if names.len() > FILE_COLUMNS {
                                return Err(too_many_columns(&self.name));
                            }
                        }
                    }
                    Value::Array(cells) if count == 0 => count = cells.len(),
                    _ => {}
                }
            }
        }
        if names.is_empty() {
            self.header = Header::Positions { count, json: true };
        } else {
            if count > 0 {
                return Err(Fail::Findings(format!(
                    "{} mixes rows that are arrays with rows that are objects",
                    self.name
                )));
            }
            self.header = Header::Names(names);
        }
        Ok(())
    }

    /// Reads the next row into `record`.
    pub(crate) fn read(&mut self, record: &mut ByteRecord) -> Item {
        loop {
            if let Some(next) = self.pending.pop_front() {
                *record = next;
                self.row += 1;
                return Item::Row(if self.lines { self.line } else { self.row });
            }
            let Some(mut document) = self.document() else { return Item::End };
            let text = if self.lines { document.trim_ascii().to_vec() } else { Vec::new() };
            if let (Some(kind), Header::Names(names)) = (self.messages, &self.header) {
                match messages_of(&document, kind) {
                    Ok(rows) => self.pending.extend(rows.into_iter().map(|row| cells_by_name(row, names))),
                    Err(what) => {
                        return Item::Bad { line: self.line, what: format!("not valid JSON: {what}"), text };
                    }
                }
                continue;
            }
            match parse(&mut document) {
                Ok(value) => {
                    for row in rows_of(&value) {
                        self.pending.push_back(cells_of(row, &self.header));
                    }
                }
                Err(error) => {
                    return Item::Bad { line: self.line, what: format!("not valid JSON: {error}"), text };
                }
            }
        }
    }
}

/// The value of a document, which parsing scribbles on.
fn parse(document: &mut [u8]) -> std::result::Result<Value<'_>, String> {
    if is_deeper(document, NESTING) {
        return Err(format!("values are nested deeper than {NESTING}"));
    }
    to_borrowed_value(document).map_err(|error| error.to_string())
}

/// Whether brackets are nested deeper than `limit`. A backslash hides the byte behind it, also outside of strings: so
/// the parser finds strings, and what it takes for a bracket must be counted here.
fn is_deeper(text: &[u8], limit: usize) -> bool {
    let (mut depth, mut string, mut hidden) = (0usize, false, false);
    for byte in text {
        match byte {
            _ if hidden => hidden = false,
            b'\\' => hidden = true,
            b'"' => string = !string,
            b'[' | b'{' if !string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' if !string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether the text is one value a line: its first filled line is a whole value, and more follows.
fn is_lines(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else { return false };
    let mut first = received(&text[..end]).1.to_vec();
    parse(&mut first).is_ok_and(|value| matches!(value, Value::Array(_) | Value::Object(_)))
}

/// The rows inside a value; none when there is nothing that looks like rows.
fn rows_of<'v, 't>(value: &'v Value<'t>) -> Vec<&'v Value<'t>> {
    if is_row(value) {
        return vec![value];
    }
    let mut rows = Vec::new();
    find_rows(value, DEPTH, &mut rows);
    rows
}

fn find_rows<'v, 't>(value: &'v Value<'t>, depth: usize, rows: &mut Vec<&'v Value<'t>>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(items) => {
            // An odd one among rows is kept, to be reported as a bad row.
            if items.iter().any(is_row) {
                rows.extend(items.iter());
            } else {
                items.iter().for_each(|item| find_rows(item, depth - 1, rows));
            }
        }
        Value::Object(members) => {
            let known = WRAPPERS.iter().filter_map(|name| members.get(*name));
            let others =
                members.iter().filter(|(name, _)| !WRAPPERS.contains(&&***name)).map(|(_, member)| member);
            for member in known.chain(others) {
                match member {
                    Value::Object(_) if is_row(member) => rows.push(member),
                    Value::Object(_) | Value::Array(_) => find_rows(member, depth - 1, rows),
                    _ => {}
                }
                if !rows.is_empty() {
                    return;
                }
            }
        }
        _ => {}
    }
}

/// An array of at least two plain values, or an object that has a time and at least one more number.
fn is_row(value: &Value<'_>) -> bool {
    match value {
        Value::Array(cells) => {
            cells.len() >= 2
                && cells.iter().all(is_plain)
                && !matches!(cells[0], Value::Static(StaticNode::Bool(_)))
        }
        Value::Object(members) => {
            let timed = members.iter().any(|(name, cell)| is_time_name(name) && is_plain(cell));
            // A reply's envelope has a time, too; what it wraps is the data.
            timed && !members.values().any(|cell| matches!(cell, Value::Object(_)) || holds_rows(cell))
        }
        _ => false,
    }
}

fn holds_rows(value: &Value<'_>) -> bool {
    matches!(value, Value::Array(items) if items.iter().any(|item| !is_plain(item)))
}

fn is_plain(value: &Value<'_>) -> bool {
    matches!(value, Value::Static(_) | Value::String(_))
}

/// The rows that the messages of a document are.
fn messages_of(document: &[u8], kind: Kind) -> std::result::Result<Vec<Row>, String> {
    let (stamp, body) = received(document.trim_ascii());
    let (stamp, mut body) = (stamp.map(<[u8]>::to_vec), body.to_vec());
    let value = parse(&mut body)?;
    Ok(messages::rows_of(&value, kind, stamp.as_deref()))
}

fn cells_by_name(row: Row, names: &[String]) -> ByteRecord {
    let mut cells = vec![Vec::new(); names.len()];
    for (name, cell) in row {
        if let Some(at) = names.iter().position(|known| *known == name) {
            cells[at] = cell;
        }
    }
    ByteRecord::from(cells)
}

fn cells_of(row: &Value<'_>, header: &Header) -> ByteRecord {
    let mut record = ByteRecord::new();
    let mut cell = Vec::new();
    match (row, header) {
        (Value::Object(members), Header::Names(names)) => {
            for name in names {
                cell.clear();
                members.get(name.as_str()).inspect(|value| push_cell(&mut cell, value));
                record.push_field(&cell);
            }
        }
        (Value::Array(values), _) => {
            for value in values.iter() {
                cell.clear();
                push_cell(&mut cell, value);
                record.push_field(&cell);
            }
        }
        (other, _) => record.push_field(other.encode().as_bytes()),
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Header, Vec<Vec<String>>) {
        let mut records =
            JsonRecords::open("x.json".into(), text.as_bytes().to_vec(), Box::new(std::io::empty()), None)
                .unwrap();
        let mut rows = Vec::new();
        let mut record = ByteRecord::new();
        loop {
            match records.read(&mut record) {
                Item::Row(_) => {
                    rows.push(record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
                }
                Item::Bad { what, .. } => rows.push(vec![what]),
                Item::End => return (records.header().clone(), rows),
            }
        }
    }

    #[test]
    fn arrays_of_arrays_are_rows_by_position() {
        let (header, rows) =
            read(r#"[[1499040000000,"0.0163",1.5,true,null],[1499040060000,"1","2",false,0]]"#);
        assert_eq!(header, Header::Positions { count: 5, json: true });
        assert_eq!(rows[0], ["1499040000000", "0.0163", "1.5", "true", ""]);
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn replies_are_unwrapped() {
        let okx = r#"{"code":"0","msg":"","data":[["1625097600000","1","2","3"]]}"#;
        let bybit = r#"{"retCode":0,"result":{"symbol":"B","list":[["1709891679000","27450"]]},"time":1709891679050}"#;
        let kraken = r#"{"error":[],"result":{"XBTUSDT":[[1762777020,"1","2"]],"last":1762777020}}"#;
        let coinbase = r#"{"channel":"candles","timestamp":"2026-04-07T14:30:05Z","events":[{"type":"update","candles":[{"start":"1775521800","high":"1"}]}]}"#;
        for reply in [okx, bybit, kraken, coinbase] {
            assert_eq!(read(reply).1.len(), 1, "{reply}");
        }
        assert!(read(r#"{"error":["EGeneral:Invalid"]}"#).1.is_empty());
        assert!(read("[]").1.is_empty());
    }

    #[test]
    fn a_stream_message_is_the_kline_inside_it() {
        let (header, rows) = read(
            r#"{"e":"kline","E":1638747660000,"s":"BTCUSDT","k":{"t":1638747660000,"o":"0.001","v":"1","V":"2"}}"#,
        );
        assert_eq!(header.width(), 4);
        assert_eq!(rows.len(), 1);
        assert!(rows[0].contains(&"1638747660000".to_owned()));
    }

    #[test]
    fn lines_of_objects_take_the_union_of_their_names() {
        let (header, rows) = read("{\"ts\":1,\"a\":\"x\"}\n\n{\"ts\":2,\"b\":0.1}\nbroken\n");
        assert_eq!(header, Header::Names(vec!["ts".into(), "a".into(), "b".into()]));
        assert_eq!(rows[..2], [vec!["1", "x", ""], vec!["2", "", "0.1"]]);
        assert!(rows[2][0].contains("JSON"));
    }

    /// Found by reading: a document of brackets ended the process, because the parser calls itself for each of them.
    #[test]
    fn values_that_are_nested_without_end_are_refused() {
        let open = |text: String| {
            JsonRecords::open("x.json".into(), text.into_bytes(), Box::new(std::io::empty()), None).err()
        };
        let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
        let error = open(deep(1_000_000)).expect("refused").to_string();
        assert!(error.contains("nested"), "{error}");
        assert!(open(deep(NESTING + 1)).is_some() && open(deep(NESTING)).is_none());
        let objects = format!("{}1{}", "{\"a\":".repeat(NESTING + 1), "}".repeat(NESTING + 1));
        assert!(open(objects).is_some());
        // Brackets in strings are text, and what a backslash hides is not the end of a string.
        let text = format!("[[1,\"{}\\\"{}\"]]", "[".repeat(500), "[".repeat(500));
        assert!(open(text).is_none());
        let outside = format!("[\\\"{}", "[".repeat(1_000_000));
        assert!(open(outside).is_some());
    }

    #[test]
    fn lines_of_arrays_are_rows() {
        let (header, rows) = read("[1,\"2\"]\n[3,\"4\"]\n");
        assert_eq!(header, Header::Positions { count: 2, json: true });
        assert_eq!(rows, [vec!["1", "2"], vec!["3", "4"]]);
    }
}
