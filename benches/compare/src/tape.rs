//! Tapestore, through its public interface.

use std::collections::HashMap;
use std::hint::black_box;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use tapestore::schema::{SchemaBuilder, bars};
use tapestore::{
    Batch, ColumnType, Frame, Options, Rows, Schema, SeriesKey, Slice, Store, Tier, Values, View,
};
use tapestore_format::checksum::Identity;
use tapestore_format::rows::{RowSet, RunVec};
use tapestore_format::segment::{Holds, PartSpec, Scratch, Segment, SegmentWriter, Stream, System, Verified};

use crate::contender::{Contender, Encoded, Encoder, Piece, Reader, Result, Summary};
use crate::csv::BARS;
use crate::table::{Group, Kind, Table};

/// Rows of one commit.
const COMMIT_ROWS: usize = 250_000;

/// A store of one tier.
pub(crate) struct Tape {
    pub(crate) tier: Tier,
    /// Whether decoded blocks of small reads are kept.
    pub(crate) cache: bool,
}

/// The name of a tier in tables.
pub(crate) fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Hot => "hot",
        Tier::Dense => "dense",
        Tier::Cold => "cold",
    }
}

/// All tiers.
pub(crate) const TIERS: [Tier; 3] = Tier::ALL;

impl Tape {
    pub(crate) fn of(tier: Tier) -> Self {
        Self { tier, cache: true }
    }

    /// The bytes of a segment of all tables of a group.
    fn sealed(&self, group: &Group, rows: &[RowSet], identity: Identity) -> Vec<u8> {
        let ticks = group.tables.iter().any(|table| table.timeframe.is_none());
        let mut holds = Holds { ticks, ..Holds::default() };
        let mut writer = segment(SegmentWriter::holding(identity, self.tier, holds), group, rows);
        // As the store does it: once more where that is smaller.
        if writer.lacks_factors() {
            holds.factors = true;
            writer = segment(SegmentWriter::holding(identity, self.tier, holds), group, rows);
        }
        std::mem::take(writer.output())
    }

    pub(crate) fn options(&self) -> Options {
        let cache_bytes = if self.cache { Options::default().cache_bytes } else { 0 };
        // Nothing happens but what is measured.
        Options {
            tier: self.tier,
            background: false,
            memtable_bytes: 1 << 30,
            cache_bytes,
            ..Options::default()
        }
    }
}

/// The frame of a table: the timeframe of its bars; `bars`, if they have none; or `trades`.
fn frame(table: &Table) -> Result<Frame> {
    if let Some(timeframe) = table.timeframe {
        return Ok(Frame::Bars(timeframe));
    }
    let name = if table.is_bars() { "bars" } else { "trades" };
    Frame::parse(name).ok_or_else(|| format!("{name} is no frame").into())
}

pub(crate) fn key(table: &Table) -> Result<SeriesKey> {
    Ok(SeriesKey::new(&table.name, &frame(table)?.to_string())?)
}

fn schema(table: &Table) -> Result<Schema> {
    if table.names() == BARS {
        return Ok(bars());
    }
    // Distinct times are a key; trades that share a time are a sequence.
    let unique = table.time.windows(2).all(|pair| pair[0] < pair[1]);
    let mut builder = if unique { SchemaBuilder::unique() } else { SchemaBuilder::sequence() };
    for (name, values) in &table.columns {
        builder = builder.column(name, kind(values));
    }
    Ok(builder.build()?)
}

fn kind(values: &Values) -> ColumnType {
    match values {
        Values::F64(_) => ColumnType::F64,
        Values::I64(_) => ColumnType::I64,
        _ => ColumnType::String,
    }
}

/// Writes tables to a new store, one series each, and compacts it.
pub(crate) fn fill(directory: &Path, options: Options, tables: &[Table]) -> Result<()> {
    let store = Store::create(directory, options)?;
    for table in tables {
        let key = key(table)?;
        for start in (0..table.len()).step_by(COMMIT_ROWS) {
            let rows = table.slice(start..(start + COMMIT_ROWS).min(table.len()));
            let mut transaction = store.begin();
            transaction.create_series(&key, schema(table)?)?;
            let mut batch = Batch::new(rows.time);
            for (name, values) in rows.columns {
                batch = batch.with(&name, values);
            }
            transaction.append(&key, batch)?;
            transaction.commit()?;
        }
    }
    store.seal()?;
    store.compact()?;
    store.close()?;
    Ok(())
}

/// The rows of every table, as a segment takes them.
fn row_sets(group: &Group) -> Vec<RowSet> {
    let rows = |table: &Table| {
        let count = table.len();
        RowSet {
            time: table.time.clone(),
            version: RunVec::constant(1, count),
            source: RunVec::constant(1, count),
            flags: RunVec::constant(0, count),
            columns: (0..).zip(table.columns.iter().map(|column| column.1.clone().into())).collect(),
            ..RowSet::default()
        }
    };
    group.tables.iter().map(rows).collect()
}

/// Writes all tables as parts of one segment, and finishes it.
fn segment(mut writer: SegmentWriter, group: &Group, rows: &[RowSet]) -> SegmentWriter {
    for ((series, table), rows) in (1..).zip(&group.tables).zip(rows) {
        writer.begin_part(PartSpec {
            series,
            columns: (0..).zip(table.columns.iter().map(|column| kind(&column.1))).collect(),
            timeframe: table.timeframe,
            unique: table.time.windows(2).all(|pair| pair[0] < pair[1]),
            ohlc: table.is_bars().then_some([0, 1, 2, 3]),
        });
        writer.push_live(rows, 0..rows.len());
        writer.end_part();
    }
    writer.finish();
    writer
}

impl Contender for Tape {
    fn name(&self) -> String {
        let cache = if self.cache { "" } else { ", decoded blocks not kept" };
        format!("tapestore {}{cache}", tier_name(self.tier))
    }

    fn encoder<'a>(&'a self, group: &'a Group) -> Result<Encoder<'a>> {
        let identity = Identity { store: [1; 16], file: 1 };
        let rows = row_sets(group);
        Ok(Box::new(move || sizes(&self.sealed(group, &rows, identity), identity, group)))
    }

    fn write(&self, table: &Table, directory: &Path) -> Result<()> {
        fill(directory, self.options(), std::slice::from_ref(table))
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Reader>> {
        let store = Store::open_read_only(directory, self.options())?;
        let view = store.view();
        let key = view.keys().first().cloned().ok_or("the store is empty")?;
        Ok(Box::new(TapeReader { view, key, rows: Rows::default(), _store: store }))
    }
}

/// Bytes by column, from the heads of the chunks.
fn sizes(bytes: &[u8], identity: Identity, group: &Group) -> Result<Encoded> {
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(bytes, identity, &verified)?;
    let mut found: HashMap<String, u64> = HashMap::new();
    for ordinal in 0..segment.part_count() {
        let part = segment.part(ordinal)?;
        for number in 0..part.live.len() {
            for column in segment.chunk(&part, Stream::Live, number)?.columns() {
                let name = match column.id {
                    Some(id) => group.tables[0].columns[usize::from(id)].0.as_str(),
                    None => column.name,
                };
                *found.entry(name.to_owned()).or_default() += column.bytes + column.head_bytes;
            }
        }
    }
    let names = std::iter::once("time").chain(group.tables[0].names());
    let columns = names.map(|name| (name.to_owned(), found.get(name).copied().unwrap_or(0))).collect();
    Ok(Encoded { bytes: bytes.len() as u64, columns, ..Encoded::default() })
}

/// A sealed file of one table, mapped once and read by the format alone: what was found right in it can be forgotten, as the
/// store does when it opens a file, without mapping the file or touching its pages anew.
pub(crate) struct Sealed {
    file: bytes::Bytes,
    identity: Identity,
    columns: Vec<(u16, ColumnType)>,
    names: Vec<String>,
}

/// Rows that are decoded at a time, as the store does it.
const SHOWN_ROWS: usize = 8192;

impl Sealed {
    /// Writes a table to a file, maps it, and reads all of it once.
    pub(crate) fn new(tier: Tier, table: &Table, directory: &Path) -> Result<Self> {
        let identity = Identity { store: [1; 16], file: 1 };
        let path = directory.join(format!("{}.tape", tier_name(tier)));
        let group = Group::single(Kind::Klines, table.clone());
        std::fs::write(&path, Tape::of(tier).sealed(&group, &row_sets(&group), identity))?;
        let file = crate::machine::map(&std::fs::File::open(path)?)?;
        let columns = (0..).zip(table.columns.iter().map(|column| kind(&column.1))).collect();
        let names = table.names().into_iter().map(str::to_owned).collect();
        let sealed = Self { file, identity, columns, names };
        let found = sealed.read(&sealed.nothing_verified(), None, &mut Scratch::default())?;
        if found == table.len() as u64 { Ok(sealed) } else { Err(format!("{found} rows were sealed").into()) }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.file.len() as u64
    }

    /// What is known of a file that was just opened.
    pub(crate) fn nothing_verified(&self) -> Verified {
        Verified::new(self.bytes())
    }

    /// Decodes all columns, or one, and lets each piece go again; the number of rows. What is in `verified` is believed.
    pub(crate) fn read(&self, verified: &Verified, only: Option<&str>, scratch: &mut Scratch) -> Result<u64> {
        let segment = Segment::open(&self.file, self.identity, verified)?;
        let part = segment.part(0)?;
        let wanted = |name: &String| only.is_none_or(|only| only == name);
        let columns: Vec<_> = self
            .columns
            .iter()
            .zip(&self.names)
            .filter(|(_, name)| wanted(name))
            .map(|(column, _)| *column)
            .collect();
        let mut rows = RowSet::with_columns(&columns);
        let system = if only.is_none() { System::TIME } else { System::NONE };
        let mut found = 0;
        for number in 0..part.live.len() {
            let chunk = segment.chunk(&part, Stream::Live, number)?;
            found += chunk.rows() as u64;
            if let (Some(_), [(id, ColumnType::F64)]) = (only, &columns[..])
                && let Some(shown) = chunk.raw_f64(*id, 0..chunk.rows())?
            {
                black_box(shown);
                continue;
            }
            for start in (0..chunk.rows()).step_by(SHOWN_ROWS) {
                rows.clear();
                chunk.read(
                    &part,
                    start..(start + SHOWN_ROWS).min(chunk.rows()),
                    system,
                    &mut rows,
                    scratch,
                )?;
                black_box(&rows);
            }
        }
        Ok(found)
    }
}

struct TapeReader {
    view: View,
    key: SeriesKey,
    rows: Rows,
    _store: Store,
}

impl Reader for TapeReader {
    fn pieces(
        &mut self,
        columns: &[&str],
        range: &Range<i64>,
        visit: &mut dyn FnMut(&[Piece<'_>]),
    ) -> Result<()> {
        if let [only] = columns
            && *only != "time"
        {
            self.view.read(&self.key).range(range.clone()).visit_column(only, |slice| {
                match slice {
                    Slice::F64(values) => visit(&[Piece::F64(values)]),
                    Slice::I64(values) => visit(&[Piece::I64(values)]),
                    _ => {}
                }
                ControlFlow::Continue(())
            })?;
            return Ok(());
        }
        let names: Vec<&str> = columns.iter().copied().filter(|name| *name != "time").collect();
        self.view.read(&self.key).range(range.clone()).columns(&names).visit(|rows| {
            let mut own = rows.set.columns.iter();
            let pieces: Vec<Piece<'_>> = columns
                .iter()
                .map(|name| match *name {
                    "time" => Piece::I64(rows.time()),
                    _ => match own.next().map(|column| &column.1.values) {
                        Some(Values::F64(values)) => Piece::F64(values),
                        Some(Values::I64(values)) => Piece::I64(values),
                        Some(Values::Str(text)) => Piece::Text(text, 0, text.len()),
                        _ => Piece::I64(&[]),
                    },
                })
                .collect();
            visit(&pieces);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    fn rows_into(&mut self, range: &Range<i64>, out: &mut Table) -> Result<()> {
        let columns: Vec<&str> = out.columns.iter().map(|column| column.0.as_str()).collect();
        if self.rows.columns.is_empty() {
            // The columns, without rows.
            let none = self.view.read(&self.key).range(range.start..range.start).columns(&columns);
            none.rows_into(&mut self.rows)?;
        }
        // The buffers of `out` serve as the store's own for the time of the read: no copy is charged that a program
        // would not have.
        self.swap(out);
        let columns: Vec<&str> = out.columns.iter().map(|column| column.0.as_str()).collect();
        let read = self.view.read(&self.key).range(range.clone()).columns(&columns);
        read.rows_into(&mut self.rows)?;
        self.swap(out);
        Ok(())
    }

    fn summary(&mut self, column: &str, range: &Range<i64>) -> Result<Summary> {
        let found = self.view.read(&self.key).range(range.clone()).columns(&[column]).aggregate()?;
        let found = found.first().ok_or("no such column")?;
        let (min, max) = (found.min.unwrap_or(f64::INFINITY), found.max.unwrap_or(f64::NEG_INFINITY));
        Ok(Summary { min, max, sum: found.sum, count: found.count })
    }

    fn gaps(&mut self, _: i64) -> Result<u64> {
        Ok(self.view.completeness(&self.key, None)?.missing)
    }
}

impl TapeReader {
    fn swap(&mut self, out: &mut Table) {
        std::mem::swap(&mut self.rows.set.time, &mut out.time);
        for ((_, own), (_, values)) in self.rows.set.columns.iter_mut().zip(&mut out.columns) {
            std::mem::swap(&mut own.values, values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_file_is_checked_again_and_a_remembered_one_is_not() {
        let count = 20_000;
        let close = (0..count).map(|row| f64::from(row * row % 977) / 100.0).collect();
        let table = Table {
            name: "X".into(),
            timeframe: None,
            time: (0..i64::from(count)).map(|row| row * row).collect(),
            columns: vec![("price".into(), Values::F64(close))],
        };
        let directory = tempfile::tempdir().unwrap();
        for tier in TIERS {
            let mut sealed = Sealed::new(tier, &table, directory.path()).unwrap();
            let mut scratch = Scratch::default();
            let known = sealed.nothing_verified();
            assert_eq!(sealed.read(&known, None, &mut scratch).unwrap(), count as u64);
            // A bit of the price's blocks, in the middle of the file: the value is another, its form is right.
            let right = sealed.file.clone();
            let found = (right.len() / 2..right.len()).any(|at| {
                let mut wrong = right.to_vec();
                wrong[at] ^= 1;
                sealed.file = wrong.into();
                sealed.read(&known, None, &mut scratch).is_ok()
                    && sealed.read(&sealed.nothing_verified(), None, &mut scratch).is_err()
            });
            assert!(found, "{tier:?}");
        }
    }
}
