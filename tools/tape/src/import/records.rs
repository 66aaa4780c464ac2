//! Rows of text cells, whatever the file is written in.

use csv::ByteRecord;
use tapestore_catalog::Kind;

use super::csv::CsvRecords;
use super::json::JsonRecords;
use super::messages::received;
use super::source::Source;
use crate::fail::{Fail, Result};

/// What is known about the columns of a file before its first row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Column names, as the file writes them.
    Names(Vec<String>),
    /// No names: this many cells, in a file of this kind.
    Positions {
        /// Cells of a row.
        count: usize,
        /// Whether the file is JSON, where exchanges have layouts of their own.
        json: bool,
    },
}

impl Header {
    /// Number of cells of a row.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Names(names) => names.len(),
            Self::Positions { count, .. } => *count,
        }
    }
}

/// What the next step of reading gave.
#[derive(Debug)]
pub(crate) enum Item {
    /// A row, now in the record; it began on this line (or is the row of this number, in a JSON document).
    Row(u64),
    /// Something that is no row at all.
    Bad {
        /// Where.
        line: u64,
        /// What is wrong.
        what: String,
        /// The text itself.
        text: Vec<u8>,
    },
    /// No more rows.
    End,
}

/// How to read a file, where detection is overridden.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialect {
    /// CSV only: whether there is a header.
    pub(crate) header: Option<bool>,
    /// CSV only: the delimiter.
    pub(crate) delimiter: Option<u8>,
    /// Whether the file is JSON.
    pub(crate) json: Option<bool>,
}

/// Rows of one file.
#[derive(Debug)]
pub(crate) enum Records {
    /// From CSV.
    Csv(CsvRecords),
    /// From JSON.
    Json(JsonRecords),
}

impl Records {
    /// Finds out what the file is and stands before its first row.
    pub(crate) fn open(source: Source, dialect: &Dialect, kind: Option<Kind>) -> Result<Self> {
        let Source { name, mut reader, .. } = source;
        let mut head = Vec::new();
        let unreadable = |error: std::io::Error| Fail::Io(format!("cannot read {name}: {error}"));
        std::io::Read::read_to_end(&mut std::io::Read::take(&mut reader, 64 * 1024), &mut head)
            .map_err(unreadable)?;
        let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
        let looks = matches!(received(start).1.first(), Some(b'[' | b'{'));
        if dialect.json.unwrap_or(looks) {
            JsonRecords::open(name, head, reader, kind).map(Self::Json)
        } else {
            CsvRecords::open(name, head, reader, dialect).map(Self::Csv)
        }
    }

    /// What is known about the columns.
    pub(crate) fn header(&self) -> &Header {
        match self {
            Self::Csv(csv) => csv.header(),
            Self::Json(json) => json.header(),
        }
    }

    /// Whether the file is JSON.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Name of the file in messages.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Csv(csv) => csv.name(),
            Self::Json(json) => json.name(),
        }
    }

    /// What the numbers of [`Item::Row`] count.
    pub(crate) fn place(&self) -> &'static str {
        match self {
            Self::Json(json) if !json.is_lines() => "row",
            _ => "line",
        }
    }

    /// The delimiter, for writing rows back.
    pub(crate) fn delimiter(&self) -> u8 {
        match self {
            Self::Csv(csv) => csv.delimiter(),
            Self::Json(_) => b',',
        }
    }

    /// Reads the next row into `record`.
    pub(crate) fn read(&mut self, record: &mut ByteRecord) -> Result<Item> {
        match self {
            Self::Csv(csv) => csv.read(record),
            Self::Json(json) => Ok(json.read(record)),
        }
    }
}
