//! The parsers of the command line, for fuzzing: bytes and text in, plain values out. Not an interface for programs;
//! it changes whenever the parsers do.

use std::io::Read as _;
use std::ops::Range;

use tapestore_catalog::Kind;
use tapestore_format::rows::ColumnValues;
use tapestore_format::schema::ColumnType;

use crate::calendar::{brief, parse_stamp, push_iso};
use crate::commands::coverage::parse_sessions;
use crate::fail::Result;
use crate::import::batch::{Piece, Target};
use crate::import::clock::Unit;
use crate::import::records::Dialect;
use crate::import::source::Input;
use crate::import::{OnError, Progressed, Settings, Sink, import_file};
use crate::number::{push_f32, push_f64};
use crate::progress::Progress;
use crate::when::{Point, parse_point, parse_time};

/// How [`import`] reads a file; what is not given is found out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// The frame is a timeframe: columns are those of bars.
    pub bars: bool,
    /// Bad rows are left out instead of ending the import.
    pub skip: bool,
    /// Whether the text is JSON.
    pub json: Option<bool>,
    /// Whether a CSV has a header.
    pub header: Option<bool>,
    /// Most rows of one piece.
    pub batch_rows: usize,
    /// Times are nanoseconds, whatever they look like.
    pub nanoseconds: bool,
    /// What the file holds, if that is said.
    pub kind: Option<Kind>,
}

/// Columns by name.
pub type Columns = Vec<(String, ColumnValues)>;

/// What an import gave.
#[derive(Debug, Default)]
pub struct Imported {
    /// Rows of the file, and how many of them were left out.
    pub read: u64,
    /// Rows left out: bad, filtered or unfinished.
    pub left_out: u64,
    /// Name, type and nullability of the columns.
    pub columns: Vec<(String, ColumnType, bool)>,
    /// Times of the rows, and their columns by name, piece by piece.
    pub pieces: Vec<(Vec<i64>, Columns)>,
}

impl Sink for Imported {
    fn begin(&mut self, targets: &[Target]) -> Result<()> {
        let column = |target: &Target| (target.name.clone(), target.kind, target.nullable);
        self.columns = targets.iter().map(column).collect();
        Ok(())
    }

    fn piece(&mut self, piece: Piece, _: Progressed) -> Result<()> {
        self.pieces.push((piece.time, piece.columns));
        Ok(())
    }
}

/// Imports the bytes of a file, as `tape import` does, into memory.
///
/// # Errors
/// The message of the failure.
pub fn import(bytes: &[u8], reading: Reading) -> std::result::Result<Imported, String> {
    let settings = Settings {
        dialect: Dialect { header: reading.header, delimiter: None, json: reading.json },
        on_error: if reading.skip { OnError::Skip } else { OnError::Stop },
        batch_rows: reading.batch_rows,
        kind: reading.kind,
        unit: reading.nanoseconds.then_some(Unit::Ns),
        ..Settings::default()
    };
    let mut out = Imported::default();
    let input = Input::Memory(bytes.into());
    let tally = import_file(input, &settings, reading.bars, None, &mut Progress::new(true), &mut out);
    let tally = tally.map_err(|fail| fail.to_string())?;
    (out.read, out.left_out) = (tally.read, tally.bad + tally.filtered + tally.unfinished);
    Ok(out)
}

/// Unpacks the bytes of a file, as `tape import` does; at most `limit` bytes of it are kept.
///
/// # Errors
/// The message of the failure.
pub fn unpack(bytes: &[u8], limit: u64) -> std::result::Result<Vec<u8>, String> {
    let source = Input::Memory(bytes.into()).open(None).map_err(|fail| fail.to_string())?;
    let mut out = Vec::new();
    source.reader.take(limit).read_to_end(&mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

/// Reads a time as `--from` and `--to` do.
///
/// # Errors
/// The message of the failure.
pub fn time(text: &str, now_ns: i64) -> std::result::Result<i64, String> {
    parse_time(text, now_ns).map_err(|fail| fail.to_string())
}

/// A state of the store, as `--as-of` names it: a version, a time, or one of the snapshots.
///
/// # Errors
/// The message of the failure.
pub fn point(text: &str, snapshots: &[String], now_ns: i64) -> std::result::Result<String, String> {
    let point = parse_point(text, snapshots, now_ns).map_err(|fail| fail.to_string())?;
    Ok(match point {
        Point::Version(version) => format!("version {version}"),
        Point::Snapshot(name) => format!("snapshot {name}"),
        Point::Time(time) => format!("time {time}"),
    })
}

/// A date and time of day in text, as nanoseconds since the Unix epoch, UTC.
pub fn stamp(text: &[u8]) -> Option<i64> {
    parse_stamp(text).map(crate::calendar::Stamp::utc_ns)
}

/// A time as it is written: in ISO 8601, and for people.
pub fn written(time: i64) -> (String, String) {
    let mut iso = Vec::new();
    push_iso(&mut iso, time);
    (String::from_utf8_lossy(&iso).into_owned(), brief(time))
}

/// A double and a single as they are written.
pub fn numbers(double: f64, single: f32) -> (String, String) {
    let (mut long, mut short) = (Vec::new(), Vec::new());
    push_f64(&mut long, double);
    push_f32(&mut short, single);
    (String::from_utf8_lossy(&long).into_owned(), String::from_utf8_lossy(&short).into_owned())
}

/// A calendar: the text of a file of `--sessions`.
///
/// # Errors
/// The message of the failure.
pub fn sessions(text: &str, now_ns: i64) -> std::result::Result<Vec<Range<i64>>, String> {
    parse_sessions(text, "sessions", now_ns).map_err(|fail| fail.to_string())
}
