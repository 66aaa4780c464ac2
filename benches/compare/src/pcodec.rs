//! The `pco` crate, column by column, at its default level: chunks of up to 262,144 numbers one after another, with an
//! index of first times at the front that it does not have itself.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use pco::standalone::{simple_compress, simple_decompress_into};
use tapestore_format::rows::Values;

use crate::contender::{ALWAYS, Contender, Encoded, Encoder, Piece, Reader, Result};
use crate::table::{Group, Table};

/// Numbers of a chunk: the largest that pco's default configuration makes.
const CHUNK: usize = 1 << 18;

pub(crate) struct Pco;

enum Numbers<'a> {
    I64(&'a [i64]),
    F64(&'a [f64]),
}

impl Numbers<'_> {
    fn len(&self) -> usize {
        match self {
            Self::I64(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    fn compress(&self, rows: Range<usize>) -> Result<Vec<u8>> {
        let config = pco::ChunkConfig::default();
        Ok(match self {
            Self::I64(values) => simple_compress(&values[rows], &config)?,
            Self::F64(values) => simple_compress(&values[rows], &config)?,
        })
    }
}

fn numbers(values: &Values) -> Option<Numbers<'_>> {
    match values {
        Values::I64(values) => Some(Numbers::I64(values)),
        Values::F64(values) => Some(Numbers::F64(values)),
        _ => None,
    }
}

/// Names and numbers of a table's columns, the time first.
fn columns(table: &Table) -> Result<Vec<(&str, Numbers<'_>)>> {
    let mut out = vec![("time", Numbers::I64(&table.time[..]))];
    for (name, values) in &table.columns {
        let values = numbers(values).ok_or_else(|| format!("pco keeps numbers only, {name} is text"))?;
        out.push((name, values));
    }
    Ok(out)
}

fn chunks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(CHUNK).map(move |start| start..(start + CHUNK).min(rows))
}

impl Contender for Pco {
    fn name(&self) -> String {
        "pco per column".to_owned()
    }

    fn encoder<'a>(&'a self, group: &'a Group) -> Result<Encoder<'a>> {
        let (table, _) = group.concatenated();
        Ok(Box::new(move || {
            let mut out = Encoded::default();
            for (name, values) in columns(&table)? {
                let mut bytes = 0;
                for rows in chunks(values.len()) {
                    bytes += values.compress(rows)?.len() as u64;
                }
                out.bytes += bytes;
                out.columns.push((name.to_owned(), bytes));
            }
            Ok(out)
        }))
    }

    fn write(&self, table: &Table, directory: &Path) -> Result<()> {
        let columns = columns(table)?;
        let mut head = vec![columns.len() as u64, table.len() as u64];
        head.extend(chunks(table.len()).map(|rows| table.time[rows.start] as u64));
        let mut bytes = Vec::new();
        for (_, values) in &columns {
            head.push(u64::from(matches!(values, Numbers::F64(_))));
            for rows in chunks(table.len()) {
                bytes.extend(values.compress(rows)?);
                head.push(bytes.len() as u64);
            }
        }
        let mut file: Vec<u8> = head.iter().flat_map(|number| number.to_le_bytes()).collect();
        file.extend(bytes);
        let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
        crate::machine::write_durably(&directory.join("names"), names.join("\n").as_bytes())?;
        crate::machine::write_durably(&directory.join("table.pco"), &file)
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Reader>> {
        let file = crate::machine::map(&File::open(directory.join("table.pco"))?)?;
        let names = std::fs::read_to_string(directory.join("names"))?;
        let mut place = 0;
        let mut number = || {
            let bytes = file.get(place..place + 8).ok_or("a file cut short")?;
            place += 8;
            Ok::<u64, Box<dyn std::error::Error + Send + Sync>>(u64::from_le_bytes(bytes.try_into()?))
        };
        let (columns, rows) = (number()? as usize, number()? as usize);
        let count = chunks(rows).count();
        let starts = (0..count).map(|_| Ok(number()? as i64)).collect::<Result<Vec<i64>>>()?;
        let (mut places, mut begin) = (Vec::new(), 0);
        for name in names.lines().take(columns) {
            let float = number()? == 1;
            let mut ends = Vec::new();
            for _ in 0..count {
                let end = number()? as usize;
                ends.push(begin..end);
                begin = end;
            }
            places.push(Column { name: name.to_owned(), float, chunks: ends });
        }
        let payload = file.slice(place..);
        Ok(Box::new(PcoReader { payload, rows, starts, columns: places, buffers: Vec::new() }))
    }
}

struct Column {
    name: String,
    float: bool,
    chunks: Vec<Range<usize>>,
}

struct PcoReader {
    payload: Bytes,
    rows: usize,
    starts: Vec<i64>,
    columns: Vec<Column>,
    /// Used again for every chunk.
    buffers: Vec<(Vec<i64>, Vec<f64>)>,
}

impl Reader for PcoReader {
    fn pieces(
        &mut self,
        columns: &[&str],
        range: &Range<i64>,
        visit: &mut dyn FnMut(&[Piece<'_>]),
    ) -> Result<()> {
        let whole = *range == ALWAYS;
        let mut names = columns.to_vec();
        if !whole && !names.contains(&"time") {
            names.push("time");
        }
        let mut wanted = Vec::new();
        for name in &names {
            let column = self.columns.iter().find(|column| column.name == *name);
            wanted.push(column.ok_or_else(|| format!("no column {name}"))?);
        }
        self.buffers.resize_with(wanted.len(), Default::default);
        let first = self.starts.partition_point(|start| *start <= range.start).saturating_sub(1);
        let end = self.starts.partition_point(|start| *start < range.end);
        for (number, rows) in chunks(self.rows).enumerate().skip(first).take(end.saturating_sub(first)) {
            for (column, (integers, floats)) in wanted.iter().zip(&mut self.buffers) {
                let bytes = &self.payload[column.chunks[number].clone()];
                if column.float {
                    floats.resize(rows.len(), 0.0);
                    simple_decompress_into(bytes, floats)?;
                } else {
                    integers.resize(rows.len(), 0);
                    simple_decompress_into(bytes, integers)?;
                }
            }
            let pieces: Vec<Piece<'_>> = wanted
                .iter()
                .zip(&self.buffers)
                .map(
                    |(column, (integers, floats))| {
                        if column.float { Piece::F64(floats) } else { Piece::I64(integers) }
                    },
                )
                .collect();
            let inside = match names.iter().position(|name| *name == "time") {
                Some(time) if !whole => pieces[time].rows_between(range),
                _ => 0..rows.len(),
            };
            let pieces: Vec<Piece<'_>> =
                pieces[..columns.len()].iter().map(|piece| piece.cut(inside.clone())).collect();
            visit(&pieces);
        }
        Ok(())
    }
}
