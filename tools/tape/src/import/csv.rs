//! CSV: finds the delimiter and the header, then gives rows.

use std::io::{self, BufRead, Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::clock::is_time;
use super::records::{Dialect, Header, Item};
use crate::fail::{Fail, Result};

/// Delimiters that are looked for.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Lines looked at to find the delimiter.
const SAMPLE_LINES: usize = 20;

/// Rows of a CSV file.
pub(crate) struct CsvRecords {
    name: String,
    reader: Reader<Box<dyn Read + Send>>,
    header: Header,
    delimiter: u8,
    skipped_lines: u64,
    carriage_returns: bool,
    first: Option<ByteRecord>,
}

impl std::fmt::Debug for CsvRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvRecords")
            .field("name", &self.name)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl CsvRecords {
    /// `head` is the beginning of the text, `rest` what follows it.
    pub(crate) fn open(
        name: String,
        head: Vec<u8>,
        rest: Box<dyn BufRead + Send>,
        dialect: &Dialect,
    ) -> Result<Self> {
        let delimiter = dialect.delimiter.unwrap_or_else(|| find_delimiter(&head));
        let carriage_returns = head.windows(2).any(|pair| pair == b"\r\n");
        let (skip, skipped_lines) = preamble(&head, delimiter);
        let mut text = Cursor::new(head);
        text.set_position(skip as u64);
        let text: Box<dyn Read + Send> = Box::new(text.chain(rest));
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(256 * 1024)
            .from_reader(text);
        let mut record = ByteRecord::new();
        let header = Header::Positions { count: 0, json: false };
        let unreadable = |error| Fail::Io(format!("cannot read {name}: {}", io::Error::from(error)));
        if !reader.read_byte_record(&mut record).map_err(unreadable)? {
            return Ok(Self {
                name,
                reader,
                header,
                delimiter,
                skipped_lines,
                carriage_returns,
                first: None,
            });
        }
        let has_header = dialect.header.unwrap_or_else(|| looks_like_header(&record));
        let (header, first) = if has_header {
            let names = record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned());
            (Header::Names(names.collect()), None)
        } else {
            (Header::Positions { count: record.len(), json: false }, Some(record))
        };
        Ok(Self { name, reader, header, delimiter, skipped_lines, carriage_returns, first })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub(crate) fn read(&mut self, record: &mut ByteRecord) -> Result<Item> {
        if let Some(first) = self.first.take() {
            *record = first;
            return Ok(Item::Row(self.skipped_lines + 1));
        }
        match self.reader.read_byte_record(record) {
            Ok(true) => {}
            Ok(false) => return Ok(Item::End),
            Err(error) => {
                let line = self.reader.position().line() + self.skipped_lines;
                let error = io::Error::from(error);
                return Err(Fail::Io(format!("cannot read {} beyond line {line}: {error}", self.name)));
            }
        }
        // The reader stands behind the line feed, but before it where a carriage return ends the row; a position
        // taken before the row would point at blank lines in between.
        let (before, after) =
            (record.position().map_or(1, csv::Position::line), self.reader.position().line());
        let line = if self.carriage_returns { after } else { before.max(after - 1) };
        Ok(Item::Row(line + self.skipped_lines))
    }
}

/// The delimiter that the first lines agree on: the one with the highest median count; a comma when there is none.
fn find_delimiter(head: &[u8]) -> u8 {
    let median = |delimiter: u8| {
        let mut counts: Vec<usize> = lines(head)
            .filter(|line| !line.trim_ascii().is_empty())
            .take(SAMPLE_LINES)
            .map(|line| line.split(|byte| *byte == delimiter).count() - 1)
            .collect();
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied().unwrap_or(0)
    };
    let mut best = (b',', median(b','));
    for delimiter in &DELIMITERS[1..] {
        let count = median(*delimiter);
        if count > best.1 {
            best = (*delimiter, count);
        }
    }
    best.0
}

/// Bytes and lines before the header: a byte-order mark, comment lines, a line that only names where the file is from.
fn preamble(head: &[u8], delimiter: u8) -> (usize, u64) {
    let mut skip = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut skipped_lines = 0;
    let tabular = |line: &[u8]| line.contains(&delimiter);
    if !lines(head).any(tabular) {
        return (skip, 0);
    }
    for line in lines(&head[skip..]).take(SAMPLE_LINES) {
        if line.starts_with(b"#") || (!line.is_empty() && !tabular(line)) {
            skip += line.len() + 1;
            skipped_lines += 1;
        } else {
            break;
        }
    }
    (skip.min(head.len()), skipped_lines)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// Whether a first row holds names: fewer than two of its cells are numbers or dates, or most are neither.
fn looks_like_header(record: &ByteRecord) -> bool {
    let filled = record.iter().filter(|cell| !cell.trim_ascii().is_empty()).count();
    let values = record.iter().filter(|cell| is_time(cell) || is_number(cell)).count();
    values == 0 || (values < 2 && filled > 2) || values * 2 < filled
}

fn is_number(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    cell.iter().any(u8::is_ascii_digit)
        && std::str::from_utf8(cell).is_ok_and(|text| text.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &[u8]) -> CsvRecords {
        CsvRecords::open("x.csv".into(), text.to_vec(), Box::new(io::empty()), &Dialect::default()).unwrap()
    }

    fn rows(mut records: CsvRecords) -> Vec<(u64, Vec<String>)> {
        let mut out = Vec::new();
        let mut record = ByteRecord::new();
        while let Item::Row(line) = records.read(&mut record).unwrap() {
            out.push((line, record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()));
        }
        out
    }

    fn names(text: &[u8]) -> Header {
        open(text).header().clone()
    }

    #[test]
    fn delimiters_are_found() {
        for delimiter in [",", ";", "\t", "|"] {
            let text = "time,open\n1,2.5\n3,4.5\n".replace(',', delimiter);
            let records = open(text.as_bytes());
            assert_eq!(records.header(), &Header::Names(vec!["time".into(), "open".into()]), "{delimiter:?}");
            assert_eq!(
                rows(records),
                [(2, vec!["1".into(), "2.5".into()]), (3, vec!["3".into(), "4.5".into()])]
            );
        }
    }

    #[test]
    fn headers_are_told_from_data() {
        assert_eq!(
            names(b"1364774820000,93.25,93.3,93.25,93.3,93.3\n"),
            Header::Positions { count: 6, json: false }
        );
        assert_eq!(
            names(b"1381132800688,491800,300,P,2000,0\n"),
            Header::Positions { count: 6, json: false }
        );
        assert_eq!(names(b"2024-01-01,1,2\n"), Header::Positions { count: 3, json: false });
        assert!(matches!(names(b",Open,High\n2004-08-19,1,2\n"), Header::Names(_)));
        assert!(matches!(names(b"date,open,volume.1\n2004-08-19,1,2\n"), Header::Names(_)));
        assert!(matches!(names(b"id,p\n1,2\n"), Header::Names(_)));
    }

    #[test]
    fn marks_comments_and_titles_before_the_header_are_skipped() {
        let text = b"\xef\xbb\xbfhttps://example.com\n# made today\ntime,open\n1,2\n";
        let records = open(text);
        assert_eq!(records.header(), &Header::Names(vec!["time".into(), "open".into()]));
        assert_eq!(rows(records)[0].0, 4, "line numbers are those of the file");
    }

    #[test]
    fn quotes_and_windows_line_ends_are_read() {
        let records = open(b"\"time\",\"note\"\r\n1,\"a,\"\"b\"\"\"\r\n\r\n2,\r\n");
        assert_eq!(
            rows(records),
            [(2, vec!["1".into(), "a,\"b\"".into()]), (4, vec!["2".into(), String::new()])]
        );
        assert!(rows(open(b"")).is_empty());
    }
}
