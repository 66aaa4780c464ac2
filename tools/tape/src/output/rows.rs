//! Rows as CSV, JSON lines or a table.
//!
//! CSV: a null is an empty cell, an empty string is `""`; floats in the shortest form that reads back to the same
//! bits; no spaces. JSON: null is `null`; a float that JSON cannot hold is a string (`"NaN"`, `"inf"`, `"-inf"`).

use std::io::{self, Write};
use std::ops::Range;

use tapestore_format::rows::{ColumnValues, RowSet, Values, flags};
use tapestore_format::schema::{Column, ColumnType};

use super::json::{push_number, push_string};
use super::table::{Side, Table};
use crate::calendar::TimeStyle;
use crate::number::{push_f32, push_f64, push_i64};

/// Bytes collected before they go out.
const BUFFER_BYTES: usize = 64 * 1024;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// With a header line.
    Csv,
    /// One object a line.
    Json,
    /// Aligned, for people.
    Table,
}

/// Name of a source by its number.
pub(crate) type SourceName<'a> = &'a dyn Fn(u16) -> String;

/// Writes rows of one series, piece by piece.
#[derive(Debug)]
pub(crate) struct RowWriter {
    style: Style,
    time: TimeStyle,
    provenance: bool,
    /// `series` members put before each row, already in the form of the style.
    prefix: Option<(String, String)>,
    buffer: Vec<u8>,
    table: Option<Table>,
    begun: bool,
}

impl RowWriter {
    /// A writer that has written nothing.
    pub(crate) fn new(style: Style, time: TimeStyle, provenance: bool) -> Self {
        Self { style, time, provenance, prefix: None, buffer: Vec::new(), table: None, begun: false }
    }

    /// Puts instrument and frame before each row that follows.
    pub(crate) fn set_series(&mut self, instrument: &str, frame: &str) {
        self.prefix = Some((instrument.to_owned(), frame.to_owned()));
    }

    /// Writes the header, if the style has one and it is not written yet. Called for a series without rows, too.
    pub(crate) fn begin(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let mut heads: Vec<(&str, Side)> = Vec::new();
        if self.prefix.is_some() {
            heads.extend([("instrument", Side::Left), ("frame", Side::Left)]);
        }
        heads.push(("time", if self.time.is_number() { Side::Right } else { Side::Left }));
        heads.extend(columns.iter().map(|column| {
            let text = matches!(column.kind, ColumnType::String | ColumnType::Timestamp);
            (column.name.as_str(), if text { Side::Left } else { Side::Right })
        }));
        if self.provenance {
            heads.extend([("version", Side::Right), ("source", Side::Left), ("flags", Side::Left)]);
        }
        match self.style {
            Style::Json => {}
            Style::Table => self.table = Some(Table::new(heads)),
            Style::Csv => {
                for (index, (head, _)) in heads.iter().enumerate() {
                    if index > 0 {
                        self.buffer.push(b',');
                    }
                    push_csv_text(&mut self.buffer, head);
                }
                self.buffer.push(b'\n');
                self.drain(out)?;
            }
        }
        Ok(())
    }

    /// Writes `range` of the rows; `columns[i]` describes `set.columns[i]`.
    pub(crate) fn write(
        &mut self,
        columns: &[Column],
        set: &RowSet,
        range: Range<usize>,
        sources: SourceName<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.begin(columns, out)?;
        for row in range {
            match self.style {
                Style::Csv => self.csv_row(columns, set, row, sources),
                Style::Json => self.json_row(columns, set, row, sources),
                Style::Table => self.table_row(columns, set, row, sources),
            }
            if self.buffer.len() >= BUFFER_BYTES {
                self.drain(out)?;
            }
        }
        self.drain(out)
    }

    /// Writes what is still held: a table is aligned only when all of it is known.
    pub(crate) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        match self.table {
            Some(table) => table.write(out),
            None => out.write_all(&self.buffer),
        }
    }

    /// Writes all rows there are, for whoever looks on: a table in columns as wide as they were so far.
    pub(crate) fn show(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(table) = &mut self.table {
            table.write_more(out)?;
        }
        self.drain(out)?;
        out.flush()
    }

    fn drain(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn csv_row(&mut self, columns: &[Column], set: &RowSet, row: usize, sources: SourceName<'_>) {
        let out = &mut self.buffer;
        if let Some((instrument, frame)) = &self.prefix {
            push_csv_text(out, instrument);
            out.push(b',');
            push_csv_text(out, frame);
            out.push(b',');
        }
        self.time.push(out, set.time[row]);
        for (column, (_, values)) in columns.iter().zip(&set.columns) {
            out.push(b',');
            if !values.is_null(row) {
                push_plain_value(out, column.kind, values, row, self.time, push_csv_text);
            }
        }
        if self.provenance {
            out.push(b',');
            push_i64(out, set.version.get(row) as i64);
            out.push(b',');
            push_csv_text(out, &sources(set.source.get(row)));
            out.push(b',');
            out.extend_from_slice(flag_names(set.flags.get(row)).as_bytes());
        }
        out.push(b'\n');
    }

    fn json_row(&mut self, columns: &[Column], set: &RowSet, row: usize, sources: SourceName<'_>) {
        let out = &mut self.buffer;
        out.push(b'{');
        if let Some((instrument, frame)) = &self.prefix {
            out.extend_from_slice(b"\"instrument\": ");
            push_string(out, instrument);
            out.extend_from_slice(b", \"frame\": ");
            push_string(out, frame);
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(b"\"time\": ");
        push_json_time(out, self.time, set.time[row]);
        for (column, (_, values)) in columns.iter().zip(&set.columns) {
            out.extend_from_slice(b", ");
            push_string(out, &column.name);
            out.extend_from_slice(b": ");
            match &values.values {
                _ if values.is_null(row) => out.extend_from_slice(b"null"),
                Values::F64(floats) => push_number(out, floats[row]),
                Values::F32(floats) if !floats[row].is_finite() => push_number(out, f64::from(floats[row])),
                Values::I64(times) if column.kind == ColumnType::Timestamp => {
                    push_json_time(out, self.time, times[row]);
                }
                _ => push_plain_value(out, column.kind, values, row, self.time, push_string),
            }
        }
        if self.provenance {
            out.extend_from_slice(b", \"version\": ");
            push_i64(out, set.version.get(row) as i64);
            out.extend_from_slice(b", \"source\": ");
            push_string(out, &sources(set.source.get(row)));
            out.extend_from_slice(b", \"flags\": ");
            push_string(out, &flag_names(set.flags.get(row)));
        }
        out.extend_from_slice(b"}\n");
    }

    fn table_row(&mut self, columns: &[Column], set: &RowSet, row: usize, sources: SourceName<'_>) {
        let mut cells = Vec::with_capacity(columns.len() + 4);
        if let Some((instrument, frame)) = &self.prefix {
            cells.extend([instrument.clone(), frame.clone()]);
        }
        let mut cell = Vec::new();
        self.time.push(&mut cell, set.time[row]);
        cells.push(String::from_utf8_lossy(&cell).into_owned());
        for (column, (_, values)) in columns.iter().zip(&set.columns) {
            cell.clear();
            if values.is_null(row) {
                cell.push(b'-');
            } else {
                let push_text = |out: &mut Vec<u8>, text: &str| out.extend_from_slice(text.as_bytes());
                push_plain_value(&mut cell, column.kind, values, row, self.time, push_text);
            }
            cells.push(String::from_utf8_lossy(&cell).into_owned());
        }
        if self.provenance {
            cells.push(set.version.get(row).to_string());
            cells.extend([sources(set.source.get(row)), flag_names(set.flags.get(row))]);
        }
        if let Some(table) = &mut self.table {
            table.row(cells);
        }
    }
}

fn push_json_time(out: &mut Vec<u8>, style: TimeStyle, time: i64) {
    if style.is_number() {
        style.push(out, time);
    } else {
        out.push(b'"');
        style.push(out, time);
        out.push(b'"');
    }
}

/// A value as text; `None` if it is null.
pub(crate) fn cell_text(
    kind: ColumnType,
    values: &ColumnValues,
    row: usize,
    time: TimeStyle,
) -> Option<String> {
    if values.is_null(row) {
        return None;
    }
    let mut out = Vec::new();
    push_plain_value(&mut out, kind, values, row, time, |out, text| out.extend_from_slice(text.as_bytes()));
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// A value that is not null; strings through `push_text`.
fn push_plain_value(
    out: &mut Vec<u8>,
    kind: ColumnType,
    values: &ColumnValues,
    row: usize,
    time: TimeStyle,
    push_text: impl Fn(&mut Vec<u8>, &str),
) {
    match &values.values {
        Values::F64(floats) => push_f64(out, floats[row]),
        Values::F32(floats) => push_f32(out, floats[row]),
        Values::I64(times) if kind == ColumnType::Timestamp => time.push(out, times[row]),
        Values::I64(integers) => push_i64(out, integers[row]),
        Values::U8(bytes) if kind == ColumnType::Bool => {
            out.extend_from_slice(if bytes[row] == 0 { b"false" } else { b"true" });
        }
        Values::U8(bytes) => push_i64(out, i64::from(bytes[row])),
        Values::Str(strings) => push_text(out, strings.get(row)),
    }
}

/// A CSV cell, quoted where it must be.
pub(crate) fn push_csv_text(out: &mut Vec<u8>, text: &str) {
    let special = |byte| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let spaced = text.starts_with(' ') || text.ends_with(' ');
    if !text.is_empty() && !spaced && !text.bytes().any(special) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// `repaired|outlier_soft`; empty when no flag is set; bits without a name as `bit9`.
pub(crate) fn flag_names(bits: u16) -> String {
    use std::fmt::Write;
    const NAMES: [(u16, &str); 8] = [
        (flags::REPAIRED, "repaired"),
        (flags::SYNTHETIC, "synthetic"),
        (flags::REBUILT, "rebuilt"),
        (flags::CROSS, "cross"),
        (flags::OUTLIER_SOFT, "outlier_soft"),
        (flags::OUTLIER_HARD, "outlier_hard"),
        (flags::STALE, "stale"),
        (flags::PARTIAL, "partial"),
    ];
    let mut out = String::new();
    for bit in 0..16 {
        let flag = 1_u16 << bit;
        if bits & flag != 0 {
            if !out.is_empty() {
                out.push('|');
            }
            match NAMES.iter().find(|(known, _)| *known == flag) {
                Some((_, name)) => out.push_str(name),
                None => {
                    let _ = write!(out, "bit{bit}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::rows::RunVec;

    fn column(id: u16, name: &str, kind: ColumnType) -> Column {
        Column { id, name: name.into(), kind, nullable: true, description: String::new() }
    }

    fn sample() -> (Vec<Column>, RowSet) {
        let columns = vec![
            column(0, "open", ColumnType::F64),
            column(1, "note", ColumnType::String),
            column(2, "seen", ColumnType::Timestamp),
            column(3, "ok", ColumnType::Bool),
        ];
        let set = RowSet {
            time: vec![1_704_110_400_000_000_000, 1_704_110_400_500_000_000],
            version: RunVec::constant(3, 2),
            source: RunVec::constant(1, 2),
            flags: [0, flags::REPAIRED | flags::STALE | 1 << 12].into_iter().collect(),
            columns: vec![
                (0, Values::F64(vec![8e-8, f64::NAN]).into()),
                (1, Values::Str(["a,\"b\"", ""].into_iter().collect()).into()),
                (2, ColumnValues { values: Values::I64(vec![0, 1]), nulls: Some(vec![true, false]) }),
                (3, Values::U8(vec![1, 0]).into()),
            ],
            ..RowSet::default()
        };
        (columns, set)
    }

    fn written(style: Style, time: TimeStyle, provenance: bool) -> String {
        let (columns, set) = sample();
        let mut out = Vec::new();
        let mut writer = RowWriter::new(style, time, provenance);
        let name = |id: u16| format!("source {id}");
        writer.write(&columns, &set, 0..1, &name, &mut out).unwrap();
        writer.write(&columns, &set, 1..2, &name, &mut out).unwrap();
        writer.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_is_exact_and_tells_null_from_empty() {
        let expected = "time,open,note,seen,ok\n\
            1704110400000000000,0.00000008,\"a,\"\"b\"\"\",,true\n1704110400500000000,NaN,\"\",1,false\n";
        assert_eq!(written(Style::Csv, TimeStyle::Ns, false), expected);
    }

    #[test]
    fn json_lines_are_valid_and_keep_what_json_cannot_hold() {
        let text = written(Style::Json, TimeStyle::Iso, true);
        let lines: Vec<_> = text.lines().collect();
        let second = "{\"time\": \"2024-01-01T12:00:00.5Z\", \"open\": \"NaN\", \"note\": \"\", \"seen\": \"1970-01-01T00:00:00.000000001Z\", \"ok\": false, \"version\": 3, \"source\": \"source 1\", \"flags\": \"repaired|stale|bit12\"}";
        assert_eq!(lines[1], second);
        for line in lines {
            assert!(simd_json::to_borrowed_value(&mut line.as_bytes().to_vec()).is_ok());
        }
    }

    #[test]
    fn tables_are_aligned() {
        let text = written(Style::Table, TimeStyle::Iso, false);
        assert!(text.starts_with("time                          open  note   seen"), "{text}");
        assert!(text.contains("2024-01-01T12:00:00Z    0.00000008  a,\"b\"  -"), "{text}");
    }

    #[test]
    fn a_series_without_rows_has_a_header() {
        let (columns, _) = sample();
        let mut out = Vec::new();
        let mut writer = RowWriter::new(Style::Csv, TimeStyle::Ns, false);
        writer.begin(&columns, &mut out).unwrap();
        writer.finish(&mut out).unwrap();
        assert_eq!(out, b"time,open,note,seen,ok\n");
    }
}
