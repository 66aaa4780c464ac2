//! What the command line reads: files to import, times, versions, names, calendars, packed files.

use tape_cli::probe::{self, Imported, Reading};
use tapestore::SeriesKey;
use tapestore_catalog::Kind;
use tapestore_format::limits::{STRING_BYTES, TIME_MAX, TIME_MIN};
use tapestore_format::rows::Values;
use tapestore_format::schema::ColumnType;
use tapestore_format::time::{Frame, HOUR_NS, Timeframe};

use crate::corpus::own;
use crate::{Outcome, Target};

/// The clock of all tests of words: 2024-01-01T12:00:00Z.
const NOW_NS: i64 = 1_704_110_400_000_000_000;
/// Most bytes that are taken out of a packed file here.
const UNPACKED_BYTES: u64 = 1 << 18;

/// What files are said to hold.
const KINDS: [Option<Kind>; 8] = [
    None,
    Some(Kind::Trades),
    Some(Kind::Quotes),
    Some(Kind::Depth),
    Some(Kind::Book),
    Some(Kind::Instruments),
    Some(Kind::Orders),
    Some(Kind::Constituents),
];

/// CSV to import: a byte that says how, then the file.
pub(super) const CSV: Target = Target {
    name: "csv",
    smoke: 90_000,
    longest: 1500,
    fixed: false,
    // Buffers of readers, twice where a file is read twice; then rows as cells, as values and as messages.
    bound: |length| 3 * (1 << 20) + 400 * length,
    seeds: || seeds("csv", 6),
    mend: |_| Vec::new(),
    check: |input| imported(input, false),
};

/// JSON to import: a byte that says how, then the file.
pub(super) const JSON: Target = Target {
    name: "json",
    smoke: 120_000,
    longest: 1500,
    fixed: false,
    bound: |length| 3 * (1 << 20) + 800 * length,
    seeds: || seeds("json", 4),
    mend: |_| Vec::new(),
    check: |input| imported(input, true),
};

/// Every file of the corpus in so many manners.
fn seeds(target: &str, manners: u8) -> Vec<Vec<u8>> {
    let files = own(target);
    assert!(!files.is_empty(), "fuzz/corpus/{target} holds seeds");
    // Kinds are said for files that are no bars.
    let manners = || (0..manners).chain((1..8).map(|kind| 1 | kind << 5));
    files.iter().flat_map(|file| manners().map(|manner| [&[manner][..], file].concat())).collect()
}

fn imported(input: &[u8], json: bool) -> Outcome {
    let Some((manner, file)) = input.split_first() else { return Outcome::Refused("", 0) };
    let reading = Reading {
        bars: manner & 1 == 0,
        skip: manner & 2 != 0,
        json: Some(json),
        header: [None, Some(true), None, Some(false)][usize::from(manner >> 2 & 3)],
        batch_rows: [1000, 2][usize::from(manner >> 4 & 1)],
        nanoseconds: false,
        kind: KINDS[usize::from(manner >> 5)],
    };
    let found = match probe::import(file, reading) {
        Ok(found) => found,
        Err(message) => {
            assert!(!message.is_empty() && message.len() < 4000 + 4 * file.len(), "a message says something");
            // The words of a message, without what it quotes: one outcome for each kind of trouble.
            let words = message.bytes().filter(u8::is_ascii_lowercase).take(200);
            return Outcome::Refused("import", words.fold(7, |sum, byte| sum * 31 % 8191 + u64::from(byte)));
        }
    };
    let rows = check_rows(&found, reading);
    assert_eq!(found.read, found.left_out + rows, "every row is taken or counted as left out");
    if reading.bars && rows > 0 && !json {
        again(&found, reading);
    }
    Outcome::Accepted(found.columns.len() as u64 * 100 + rows.min(9) * 10 + found.left_out.min(9))
}

/// Rows are whole, within the limits, and of the types announced; tells how many there are.
fn check_rows(found: &Imported, reading: Reading) -> u64 {
    let mut rows = 0;
    for (time, columns) in &found.pieces {
        rows += time.len() as u64;
        assert!(!time.is_empty(), "no piece is empty");
        assert!(time.iter().all(|time| (TIME_MIN..=TIME_MAX).contains(time)), "times lie within the limits");
        assert_eq!(columns.len(), found.columns.len());
        for (name, values) in columns {
            let (_, kind, nullable) =
                found.columns.iter().find(|column| column.0 == *name).expect("a column that was announced");
            assert_eq!(values.len(), time.len(), "{name} has a value for every row");
            assert!(values.values.fits(*kind) && (*nullable || values.nulls.is_none()), "{name}");
            match &values.values {
                Values::Str(texts) => assert!(texts.iter().all(|text| text.len() <= STRING_BYTES)),
                Values::U8(bytes) if *kind == ColumnType::Bool => assert!(bytes.iter().all(|byte| *byte < 2)),
                _ => {}
            }
        }
    }
    if reading.bars && rows > 0 {
        for name in ["open", "high", "low", "close", "volume"] {
            assert!(found.columns.iter().any(|column| column.0 == name), "bars have {name}");
        }
    }
    rows
}

/// What was imported, exported and imported again is the same.
fn again(found: &Imported, reading: Reading) {
    let names: Vec<&str> = found.columns.iter().map(|column| column.0.as_str()).collect();
    let mut text = format!("open_time,{}\n", names.join(","));
    for (time, columns) in &found.pieces {
        for (row, time) in time.iter().enumerate() {
            text.push_str(&time.to_string());
            for name in &names {
                let (_, values) = columns.iter().find(|column| column.0 == *name).expect("as announced");
                text.push(',');
                match &values.values {
                    _ if values.is_null(row) => {}
                    Values::F64(values) => text.push_str(&probe::numbers(values[row], 0.0).0),
                    Values::I64(values) => text.push_str(&values[row].to_string()),
                    _ => return,
                }
            }
            text.push('\n');
        }
    }
    let reading =
        Reading { nanoseconds: true, skip: false, header: Some(true), batch_rows: usize::MAX, ..reading };
    let back = probe::import(text.as_bytes(), reading).expect("what is exported can be imported");
    let rows = |imported: &Imported| {
        let mut out = Vec::new();
        for (time, columns) in &imported.pieces {
            for (row, time) in time.iter().enumerate() {
                out.push(vec![time.to_string()]);
                for (name, values) in columns {
                    let cell = match &values.values {
                        _ if values.is_null(row) => "null".to_owned(),
                        Values::F64(values) if values[row].is_nan() => "NaN".to_owned(),
                        Values::F64(values) => format!("{:x}", values[row].to_bits()),
                        other => format!("{:?}", other.len()),
                    };
                    out.last_mut().expect("pushed").push(format!("{name} {cell}"));
                }
            }
        }
        out
    };
    assert_eq!(rows(&back), rows(found), "what is exported and imported again is the same");
}

/// Packed files: gzip, zstd, zip.
pub(super) const ARCHIVE: Target = Target {
    name: "archive",
    smoke: 200_000,
    longest: 1500,
    fixed: false,
    bound: |length| 4 * (1 << 20) + 64 * length,
    seeds: || own("archive"),
    mend: |_| Vec::new(),
    check: |input| match probe::unpack(input, UNPACKED_BYTES) {
        Ok(text) => {
            assert!(text.len() as u64 <= UNPACKED_BYTES);
            Outcome::Accepted(
                text.len().ilog2_or_zero() << 8 | u64::from(input.first().copied().unwrap_or(0)),
            )
        }
        Err(message) => Outcome::Refused("archive", message.len() as u64),
    },
};

trait Log2 {
    fn ilog2_or_zero(self) -> u64;
}

impl Log2 for usize {
    fn ilog2_or_zero(self) -> u64 {
        u64::from(self.checked_ilog2().unwrap_or(0))
    }
}

/// Times, versions, frames and names, as words of the command line.
pub(super) const WORDS: Target = Target {
    name: "words",
    smoke: 1_200_000,
    longest: 160,
    fixed: false,
    bound: |length| 64 * length + (64 << 10),
    seeds: || {
        own("words").iter().flat_map(|file| file.split(|byte| *byte == b'\n')).map(<[u8]>::to_vec).collect()
    },
    mend: |_| Vec::new(),
    check: words,
};

fn words(input: &[u8]) -> Outcome {
    let mut seen = 0;
    if let Some(time) = probe::stamp(input) {
        assert!((TIME_MIN..=TIME_MAX).contains(&time));
        shown(time);
        seen |= 1;
    }
    let bits: [u8; 8] = std::array::from_fn(|index| input.get(index).copied().unwrap_or(index as u8));
    number(f64::from_bits(u64::from_le_bytes(bits)), f32::from_bits(u64::from_le_bytes(bits) as u32));
    let Ok(text) = std::str::from_utf8(input) else { return Outcome::Refused("utf-8", seen) };
    if let Ok(time) = probe::time(text, NOW_NS) {
        if (TIME_MIN..=TIME_MAX).contains(&time) {
            shown(time);
        }
        let _ = probe::written(time);
        seen |= 2;
    }
    let names = ["before repair".to_owned(), text.trim().to_owned()];
    assert_eq!(
        probe::point(text, &names, NOW_NS),
        Ok(format!("snapshot {}", text.trim())),
        "a snapshot of that very name wins"
    );
    if let Ok(point) = probe::point(text, &[], NOW_NS) {
        if let Some(version) = point.strip_prefix("version ") {
            // With the letter: eight digits alone may be a date.
            let version = format!("v{version}");
            assert_eq!(probe::point(&version, &[], NOW_NS).as_ref(), Ok(&point), "a version is a version");
        }
        seen |= 4;
    }
    if let Some(timeframe) = Timeframe::parse(text) {
        assert_eq!(Timeframe::parse(timeframe.name()), Some(timeframe));
        seen |= 8;
    }
    if let Some(frame) = Frame::parse(text) {
        assert_eq!(Frame::parse(&frame.to_string()).as_ref(), Some(&frame), "a frame is shown as it is read");
        seen |= 16;
    }
    if let Some(length) = text.split_once("..").and_then(|(from, to)| span(from, to)) {
        seen |= 64 << length.checked_ilog2().unwrap_or(0);
    }
    let (instrument, frame) = text.rsplit_once(' ').unwrap_or((text, "1m"));
    if let Ok(key) = SeriesKey::new(instrument, frame) {
        assert_eq!(key.to_string(), format!("{instrument} {}", key.frame()));
        assert!(!key.to_string().chars().any(char::is_control), "nothing that moves a terminal");
        seen |= 32;
    }
    if seen == 0 { Outcome::Refused("words", text.len().min(20) as u64) } else { Outcome::Accepted(seen) }
}

/// Two times as `--from` and `--to` have them, half-open: by their calendar's parser the same range, or refused if they
/// are not in order; the same when each end is written as a time; gives the length of a range that is not empty.
fn span(from: &str, to: &str) -> Option<u64> {
    let (start, end) = (probe::time(from, NOW_NS).ok()?, probe::time(to, NOW_NS).ok()?);
    // Dates may have a comma before their fraction, which ends the first field of a calendar.
    if !from.contains([',', '\n', '\r']) && !to.contains(['\n', '\r']) {
        let read = probe::sessions(&format!("{from},{to}"), NOW_NS);
        assert_eq!(
            read.as_ref().ok(),
            (start < end).then(|| vec![start..end]).as_ref(),
            "{from:?} to {to:?}"
        );
    }
    // A number of eight digits is a date, if there is such a day.
    let number = |time: i64| {
        (TIME_MIN..=TIME_MAX).contains(&time) && probe::stamp(time.to_string().as_bytes()).is_none()
    };
    if number(start) && number(end) {
        let again = probe::sessions(&format!("{start},{end}"), 0);
        assert_eq!(again.ok(), (start < end).then(|| vec![start..end]), "{from:?} to {to:?}, as numbers");
    }
    // Told an hour later, either end is the same, or an hour later: never anything else.
    for (word, time) in [(from, start), (to, end)] {
        let later = probe::time(word, NOW_NS + HOUR_NS).expect("what is a time now is one later");
        let moves = word.trim() == "now" || word.trim().ends_with(|end: char| end.is_ascii_alphabetic());
        let same = later == time || moves && later == time.saturating_add(HOUR_NS);
        assert!(same, "{word:?} was {time}, and is {later}");
    }
    (start < end).then(|| end.abs_diff(start))
}

/// A time that is shown is read as the same.
fn shown(time: i64) {
    let (iso, brief) = probe::written(time);
    assert_eq!(probe::stamp(iso.as_bytes()), Some(time).filter(|_| year_is_read(&iso)), "{iso}");
    assert_eq!(probe::stamp(brief.as_bytes()), Some(time).filter(|_| year_is_read(&brief)), "{brief}");
    assert_eq!(probe::time(&time.to_string(), NOW_NS), probe::time(&time.to_string(), 0));
}

/// Dates are read from 1685 on, and up to 2254: times at the very ends of the range only as numbers.
fn year_is_read(text: &str) -> bool {
    text.get(..4).and_then(|year| year.parse().ok()).is_some_and(|year: i64| (1685..=2254).contains(&year))
}

/// A number that is written is read as the same.
fn number(double: f64, single: f32) {
    let (long, short) = probe::numbers(double, single);
    let (back, narrow): (f64, f32) = (long.parse().expect("a number"), short.parse().expect("a number"));
    assert!(double.is_nan() && back.is_nan() || back.to_bits() == double.to_bits(), "{double:e} {long}");
    assert!(single.is_nan() && narrow.is_nan() || narrow.to_bits() == single.to_bits(), "{single:e} {short}");
}

/// Calendars: the files of `--sessions`.
pub(super) const SESSIONS: Target = Target {
    name: "sessions",
    smoke: 400_000,
    longest: 600,
    fixed: false,
    bound: |length| 64 * length + (64 << 10),
    seeds: || own("sessions"),
    mend: |_| Vec::new(),
    check: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return Outcome::Refused("utf-8", 0) };
        match probe::sessions(text, NOW_NS) {
            Ok(sessions) => {
                assert!(sessions.iter().all(|session| session.start < session.end), "no session is empty");
                assert!(
                    sessions.is_sorted_by_key(|session| (session.start, session.end)),
                    "they are in order"
                );
                assert_eq!(sessions.len(), text.lines().filter(|line| !line.trim().is_empty()).count());
                Outcome::Accepted(sessions.len().min(40) as u64)
            }
            Err(message) => {
                assert!(message.contains("line "), "a message says where: {message}");
                Outcome::Refused("sessions", message.len().min(300) as u64)
            }
        }
    },
};
