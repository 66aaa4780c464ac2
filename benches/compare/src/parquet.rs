//! Parquet by arrow-rs, in every setting that is claimed to suit numbers.
//!
//! Kept fair: files are mapped, metadata and page index are parsed once and reused, ranges read only the pages that
//! the column index names, batches are large, text is read as the dictionary that it is written as, and what arrow-rs leaves
//! out by default (page checksums) stays out. So does Arrow's schema, which arrow-rs writes beside Parquet's own: files
//! stay readable without. Statistics and page index are written, as Tapestore writes its zone maps and gaps.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, PageIndexPolicy};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tapestore_format::rows::{Strings, Values};

use crate::contender::{ALWAYS, Contender, Encoded, Encoder, Piece, Reader, Result, Text};
use crate::table::{Group, Table, scaled};

/// Rows of a batch when reading: large enough to amortise, small enough to stay in cache.
pub(crate) const BATCH_ROWS: usize = 8192;

/// How numbers are encoded before compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Plain, with a dictionary where arrow-rs finds one worth it.
    Dictionary,
    /// Plain, times as deltas.
    Plain,
    /// Bytes of equal significance together, times as deltas.
    Split,
    /// Scaled to integers where that is exact, as deltas; other doubles as in `Plain`.
    Delta,
    /// Adaptive lossless floating point, times as deltas.
    Alp,
    /// The narrowest integers that are exact, in 32 bits where they fit, as deltas; other doubles as in `Alp`.
    NarrowDelta,
    /// The same integers plain; other doubles as in `Plain`.
    NarrowPlain,
    /// The same integers with bytes of equal significance together; other doubles as in `Split`.
    NarrowSplit,
}

impl Form {
    fn numbers(self) -> Numbers {
        match self {
            Self::Dictionary | Self::Plain | Self::Split | Self::Alp => Numbers::Doubles,
            Self::Delta => Numbers::Scaled,
            Self::NarrowDelta | Self::NarrowPlain | Self::NarrowSplit => Numbers::Narrow,
        }
    }
}

/// What numbers are kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// As they are.
    Doubles,
    /// Doubles as integers of 64 bits where that is exact.
    Scaled,
    /// The same, and all integers and times in 32 bits where all of a column fit.
    Narrow,
}

/// One setting of Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parquet {
    pub(crate) form: Form,
    pub(crate) codec: Codec,
    pub(crate) pages: Pages,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Snappy,
    Zstd(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// As arrow-rs writes them: at most 20,000 rows and 1 MiB.
    Default,
    /// 2,048 rows: for reading single days.
    Small,
    /// 1 MiB, however many rows: fewest and largest, for size alone.
    Large,
}

impl Parquet {
    const fn new(form: Form, codec: Codec) -> Self {
        Self { form, codec, pages: Pages::Default }
    }

    /// Every setting whose size is taken.
    pub(crate) fn all() -> Vec<Self> {
        use Codec::{None, Snappy, Zstd};
        use Form::{Alp, Delta, Dictionary, NarrowDelta, NarrowPlain, NarrowSplit, Plain, Split};
        let mut out: Vec<Self> = [
            (Dictionary, Snappy),
            (Dictionary, Zstd(3)),
            (Plain, Zstd(3)),
            (Dictionary, Zstd(19)),
            (Plain, Zstd(19)),
            (Split, Zstd(3)),
            (Delta, None),
            (Delta, Zstd(3)),
            (Delta, Zstd(19)),
            (Alp, None),
            (Alp, Zstd(3)),
            (Alp, Zstd(19)),
            (Split, Zstd(19)),
            (NarrowDelta, None),
            (NarrowDelta, Zstd(3)),
            (NarrowDelta, Zstd(19)),
            (NarrowPlain, Zstd(19)),
            (NarrowSplit, Zstd(19)),
        ]
        .map(|(form, codec)| Self::new(form, codec))
        .to_vec();
        out.push(Self { form: Plain, codec: Zstd(3), pages: Pages::Small });
        for form in [Alp, NarrowDelta, NarrowPlain, NarrowSplit] {
            out.push(Self { form, codec: Zstd(19), pages: Pages::Large });
        }
        out
    }

    fn properties(self, schema: &Schema, scales: &str) -> WriterProperties {
        let codec = match self.codec {
            Codec::None => Compression::UNCOMPRESSED,
            Codec::Snappy => Compression::SNAPPY,
            Codec::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level).expect("a level of zstd")),
        };
        let mut builder =
            WriterProperties::builder().set_compression(codec).set_max_row_group_row_count(Some(1 << 20));
        if !scales.is_empty() {
            let scales = KeyValue::new(SCALES.to_owned(), scales.to_owned());
            builder = builder.set_key_value_metadata(Some(vec![scales]));
        }
        builder = match self.pages {
            Pages::Default => builder,
            Pages::Large => builder.set_data_page_row_count_limit(usize::MAX),
            Pages::Small => builder.set_data_page_row_count_limit(2048).set_write_batch_size(2048),
        };
        if self.form == Form::Dictionary {
            return builder.build();
        }
        for field in schema.fields() {
            builder = self.column(builder, field);
        }
        builder.build()
    }

    fn column(self, builder: WriterPropertiesBuilder, field: &Field) -> WriterPropertiesBuilder {
        let path = ColumnPath::from(field.name().as_str());
        let encoding = match (field.data_type(), self.form) {
            _ if field.name() == "time" => Encoding::DELTA_BINARY_PACKED,
            (DataType::Float64, Form::Split | Form::NarrowSplit)
            | (DataType::Int32 | DataType::Int64, Form::NarrowSplit) => Encoding::BYTE_STREAM_SPLIT,
            (DataType::Float64, Form::Alp | Form::NarrowDelta) => Encoding::ALP,
            (DataType::Float64, _)
            | (DataType::Int64, Form::Plain)
            | (DataType::Int32 | DataType::Int64, Form::NarrowPlain) => Encoding::PLAIN,
            (DataType::Int32 | DataType::Int64, _) => Encoding::DELTA_BINARY_PACKED,
            // Text is best kept by a dictionary in all forms.
            _ => return builder.set_column_dictionary_enabled(path, true),
        };
        builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding)
    }

    fn encoded(self, written: &Written) -> Result<Encoded> {
        let Written { batch, note, scales } = written;
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties(&batch.schema(), scales))
            .with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options)?;
        writer.write(batch)?;
        writer.flush()?;
        let mut columns: Vec<(String, u64)> = Vec::new();
        for group in writer.flushed_row_groups() {
            for chunk in group.columns() {
                let name = chunk.column_path().string();
                let bytes = chunk.compressed_size() as u64;
                match columns.iter_mut().find(|column| column.0 == name) {
                    Some(column) => column.1 += bytes,
                    None => columns.push((name, bytes)),
                }
            }
        }
        let file = writer.into_inner()?;
        Ok(Encoded { bytes: file.len() as u64, columns, note: note.clone(), file })
    }
}

/// The key of the metadata that says, by column, the nanoseconds of a time's unit or the decimal places of integers.
const SCALES: &str = "scales";

/// A table as it is written, and what a reader has to know besides.
pub(crate) struct Written {
    pub(crate) batch: RecordBatch,
    /// Names columns of doubles that are not exact as integers, if integers were asked for.
    note: String,
    /// What stands under [`SCALES`].
    scales: String,
}

/// The table for Arrow. Times in milliseconds where that is exact, since they are smaller so; doubles as `numbers` asks,
/// where that is exact.
pub(crate) fn record_batch(table: &Table, symbols: Option<&[&str]>, numbers: Numbers) -> Result<Written> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    let (mut inexact, mut scales) = (Vec::new(), Vec::new());
    let mut add = |name: &str, array: ArrayRef, scale: Option<i64>| {
        fields.push(Field::new(name, array.data_type().clone(), false));
        arrays.push(array);
        scales.push(scale.map_or(String::new(), |scale| scale.to_string()));
    };
    if let Some(symbols) = symbols {
        let array: DictionaryArray<Int32Type> = symbols.iter().copied().collect();
        add("symbol", Arc::new(array), None);
    }
    let (times, unit) = times(&table.time, numbers);
    add("time", times, unit);
    for (name, values) in &table.columns {
        match values {
            Values::F64(values) => match if numbers == Numbers::Doubles { None } else { scaled(values) } {
                Some(found) => add(name, integers(found.mantissas, numbers), Some(found.exponent.into())),
                None => {
                    inexact.push(format!("{name} as f64"));
                    add(name, Arc::new(Float64Array::from(values.clone())), None);
                }
            },
            Values::I64(values) => add(name, integers(values.clone(), numbers), None),
            Values::Str(text) => add(name, Arc::new(text.iter().map(Some).collect::<StringArray>()), None),
            _ => return Err("tables hold numbers and text".into()),
        }
    }
    let scales = if scales.iter().all(String::is_empty) { String::new() } else { scales.join(",") };
    let note = if numbers == Numbers::Doubles { String::new() } else { inexact.join(", ") };
    Ok(Written { batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?, note, scales })
}

/// Times in milliseconds or nanoseconds; in 32 bits, if asked for and if they fit, as multiples of the largest unit that
/// divides them all, which is given as well.
fn times(times: &[i64], numbers: Numbers) -> (ArrayRef, Option<i64>) {
    let unit = times.iter().fold(0, |unit, time| common_divisor(unit, *time)).max(1);
    if numbers == Numbers::Narrow
        && let Some(narrow) = narrowed(times.iter().map(|time| time / unit))
    {
        return (narrow, Some(unit));
    }
    if unit % 1_000_000 == 0 {
        let millis: Vec<i64> = times.iter().map(|time| time / 1_000_000).collect();
        return (Arc::new(TimestampMillisecondArray::from(millis)), None);
    }
    (Arc::new(TimestampNanosecondArray::from(times.to_vec())), None)
}

fn integers(values: Vec<i64>, numbers: Numbers) -> ArrayRef {
    let narrow = if numbers == Numbers::Narrow { narrowed(values.iter().copied()) } else { None };
    narrow.unwrap_or_else(|| Arc::new(Int64Array::from(values)))
}

/// The same integers in 32 bits; `None` if one does not fit.
fn narrowed(values: impl Iterator<Item = i64>) -> Option<ArrayRef> {
    let narrow: Option<Vec<i32>> = values.map(|value| i32::try_from(value).ok()).collect();
    Some(Arc::new(Int32Array::from(narrow?)))
}

fn common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

/// A column of a batch as a piece.
pub(crate) fn piece<'a>(field: &Field, array: &'a ArrayRef) -> Piece<'a> {
    match field.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Piece::Millis(array.as_primitive::<TimestampMillisecondType>().values())
        }
        DataType::Timestamp(..) => Piece::I64(array.as_primitive::<TimestampNanosecondType>().values()),
        DataType::Int32 => Piece::Short(array.as_primitive::<Int32Type>().values()),
        DataType::Float64 => Piece::F64(array.as_primitive::<Float64Type>().values()),
        DataType::Utf8 => Piece::Text(array.as_string::<i32>(), 0, array.len()),
        DataType::Dictionary(..) => Piece::Text(array.as_dictionary::<Int32Type>(), 0, array.len()),
        _ => Piece::I64(array.as_primitive::<Int64Type>().values()),
    }
}

impl Text for StringArray {
    fn append(&self, rows: Range<usize>, out: &mut Strings) {
        rows.for_each(|row| out.push(self.value(row)));
    }
}

impl Text for DictionaryArray<Int32Type> {
    fn append(&self, rows: Range<usize>, out: &mut Strings) {
        let words = self.values().as_string::<i32>();
        self.keys().values()[rows].iter().for_each(|key| out.push(words.value(*key as usize)));
    }
}

/// The schema with text as dictionaries, if there is text.
fn with_dictionaries(schema: &Schema) -> Option<SchemaRef> {
    let is_text = |field: &Field| *field.data_type() == DataType::Utf8;
    schema.fields().iter().any(|field| is_text(field)).then(|| {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let read_as = |field: &Arc<Field>| {
            let kind = if is_text(field) { &dictionary } else { field.data_type() };
            field.as_ref().clone().with_data_type(kind.clone())
        };
        Arc::new(Schema::new(schema.fields().iter().map(read_as).collect::<Vec<_>>()))
    })
}

impl Contender for Parquet {
    fn name(&self) -> String {
        let form = match self.form {
            Form::Dictionary => "f64",
            Form::Plain => "f64 no dict",
            Form::Split => "f64 BYTE_STREAM_SPLIT",
            Form::Delta => "i64 DELTA",
            Form::Alp => "f64 ALP",
            Form::NarrowDelta => "i32 DELTA",
            Form::NarrowPlain => "i32 no dict",
            Form::NarrowSplit => "i32 BYTE_STREAM_SPLIT",
        };
        let codec = match self.codec {
            Codec::None => String::new(),
            Codec::Snappy => " snappy".to_owned(),
            Codec::Zstd(level) => format!(" zstd {level}"),
        };
        let pages = match self.pages {
            Pages::Default => "",
            Pages::Large => ", pages of 1 MiB",
            Pages::Small => ", pages of 2,048 rows",
        };
        format!("parquet {form}{codec}{pages}")
    }

    fn encoder<'a>(&'a self, group: &'a Group) -> Result<Encoder<'a>> {
        let written = if let [table] = &group.tables[..] {
            record_batch(table, None, self.form.numbers())?
        } else {
            let (table, symbols) = group.concatenated();
            record_batch(&table, Some(&symbols), self.form.numbers())?
        };
        Ok(Box::new(move || self.encoded(&written)))
    }

    fn write(&self, table: &Table, directory: &Path) -> Result<()> {
        let file = self.encoded(&record_batch(table, None, self.form.numbers())?)?.file;
        crate::machine::write_durably(&directory.join("table.parquet"), &file)
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Reader>> {
        let file = crate::machine::map(&File::open(directory.join("table.parquet"))?)?;
        Ok(Box::new(ParquetReader::new(file)?))
    }

    fn open_bytes(&self, file: Vec<u8>) -> Result<Option<Box<dyn Reader>>> {
        Ok(Some(Box::new(ParquetReader::new(Bytes::from(file))?)))
    }
}

struct ParquetReader {
    file: Bytes,
    metadata: ArrowReaderMetadata,
    /// What a time is multiplied with, where times are integers of 32 bits.
    unit_ns: i64,
    /// Names and powers of ten of the columns that are scaled.
    powers: Vec<(String, f64)>,
}

impl ParquetReader {
    fn new(file: Bytes) -> Result<Self> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let mut metadata = ArrowReaderMetadata::load(&file, options.clone())?;
        if let Some(schema) = with_dictionaries(metadata.schema()) {
            metadata =
                ArrowReaderMetadata::try_new(metadata.metadata().clone(), options.with_schema(schema))?;
        }
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let scales = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == SCALES));
        let scales = scales.and_then(|pair| pair.value.as_deref()).unwrap_or_default();
        let (mut unit_ns, mut powers) = (1, Vec::new());
        for (field, scale) in metadata.schema().fields().iter().zip(scales.split(',')) {
            match scale.parse::<i64>() {
                Ok(unit) if field.name() == "time" => unit_ns = unit,
                Ok(exponent) => powers.push((field.name().clone(), 10f64.powi(exponent as i32))),
                Err(_) => {}
            }
        }
        Ok(Self { file, metadata, unit_ns, powers })
    }

    /// A column of a batch, with its scale.
    fn piece<'a>(&self, field: &Field, array: &'a ArrayRef) -> Piece<'a> {
        let power = || self.powers.iter().find(|(name, _)| name == field.name());
        match piece(field, array) {
            Piece::I64(values) => power().map_or(Piece::I64(values), |power| Piece::Scaled(values, power.1)),
            Piece::Short(values) if field.name() == "time" => Piece::Units(values, self.unit_ns),
            Piece::Short(values) => {
                power().map_or(Piece::Short(values), |power| Piece::ShortScaled(values, power.1))
            }
            other => other,
        }
    }

    /// The rows of all pages of times that meet a range: two bounds, since times ascend.
    fn rows_of_pages(&self, range: &Range<i64>) -> Range<usize> {
        let all = self.metadata.metadata();
        let factor = match self.metadata.schema().field(0).data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
            DataType::Int32 => self.unit_ns,
            _ => 1,
        };
        let (mut first, mut end, mut before) = (None, 0, 0);
        for number in 0..all.num_row_groups() {
            let count = all.row_group(number).num_rows() as usize;
            let index = all.page_index_for_row_group(number);
            let column = index.column_index(0);
            let places = index.offset_index(0).map(OffsetIndexMetaData::page_locations);
            let Some(places) = places else { return 0..usize::MAX };
            let mut see = |page: usize, low: i64, high: i64| {
                if low * factor < range.end && range.start <= high * factor {
                    let start = before + places[page].first_row_index as usize;
                    let next = places.get(page + 1).map_or(count, |place| place.first_row_index as usize);
                    first.get_or_insert(start);
                    end = before + next;
                }
            };
            match column {
                Some(ColumnIndexMetaData::INT64(column)) => {
                    let bounds = column.min_values().iter().zip(column.max_values());
                    bounds.enumerate().for_each(|(page, (low, high))| see(page, *low, *high));
                }
                Some(ColumnIndexMetaData::INT32(column)) => {
                    let bounds = column.min_values().iter().zip(column.max_values());
                    bounds
                        .enumerate()
                        .for_each(|(page, (low, high))| see(page, (*low).into(), (*high).into()));
                }
                _ => return 0..usize::MAX,
            }
            before += count;
        }
        first.unwrap_or(0)..end
    }
}

impl Reader for ParquetReader {
    fn pieces(
        &mut self,
        columns: &[&str],
        range: &Range<i64>,
        visit: &mut dyn FnMut(&[Piece<'_>]),
    ) -> Result<()> {
        let whole = *range == ALWAYS;
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone())
                .with_batch_size(BATCH_ROWS);
        // A range is cut by the times.
        let extra = (!whole && !columns.contains(&"time")).then_some("time");
        let names = columns.iter().copied().chain(extra);
        let mask = ProjectionMask::columns(builder.parquet_schema(), names);
        builder = builder.with_projection(mask);
        if !whole {
            let rows = self.rows_of_pages(range);
            let (mut groups, mut selectors, mut before) = (Vec::new(), Vec::new(), 0);
            for (number, group) in self.metadata.metadata().row_groups().iter().enumerate() {
                let end = before + group.num_rows() as usize;
                let (start, stop) = (rows.start.clamp(before, end), rows.end.clamp(before, end));
                if start < stop {
                    groups.push(number);
                    selectors.push(RowSelector::skip(start - before));
                    selectors.push(RowSelector::select(stop - start));
                    selectors.push(RowSelector::skip(end - stop));
                }
                before = end;
            }
            builder = builder.with_row_groups(groups).with_row_selection(RowSelection::from(selectors));
        }
        for batch in builder.build()? {
            let batch = batch?;
            let schema = batch.schema();
            let find = |name: &str| -> Result<Piece<'_>> {
                let index = schema.index_of(name)?;
                Ok(self.piece(schema.field(index), batch.column(index)))
            };
            let rows = if whole { 0..batch.num_rows() } else { find("time")?.rows_between(range) };
            let pieces: Result<Vec<Piece<'_>>> =
                columns.iter().map(|name| Ok(find(name)?.cut(rows.clone()))).collect();
            visit(&pieces?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Kind;

    #[test]
    fn every_setting_gives_back_what_was_written() {
        let count = 3000;
        let table = Table {
            name: "X".into(),
            timeframe: None,
            time: (0..count).map(|row| row * 60_000_000_000).collect(),
            columns: vec![
                (
                    "price".into(),
                    Values::F64((0..count).map(|row| (10_000 + row * 7 % 90) as f64 / 100.0).collect()),
                ),
                ("residue".into(), Values::F64((0..count).map(|row| row as f64 / 3.0).collect())),
                ("size".into(), Values::I64((0..count).map(|row| row * row).collect())),
                ("large".into(), Values::I64((0..count).map(|row| row << 40).collect())),
                ("venue".into(), Values::Str((0..count).map(|row| format!("V{}", row % 5)).collect())),
            ],
        };
        let group = Group::single(Kind::Ticks, table.clone());
        for parquet in Parquet::all() {
            let file = parquet.encode(&group).unwrap().file;
            let mut found = table.emptied();
            parquet.open_bytes(file).unwrap().unwrap().rows_into(&ALWAYS, &mut found).unwrap();
            assert!(found.same(&table), "{}", parquet.name());
        }
    }

    #[test]
    fn narrow_integers_are_of_32_bits_where_all_fit() {
        let table = Table {
            name: "X".into(),
            timeframe: None,
            time: vec![1_500_000_000_000_000_000, 1_500_000_060_000_000_000],
            columns: vec![
                ("price".into(), Values::F64(vec![1.25, 2.5])),
                ("large".into(), Values::I64(vec![1, 1 << 40])),
            ],
        };
        let written = record_batch(&table, None, Numbers::Narrow).unwrap();
        let schema = written.batch.schema();
        let kinds: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
        assert_eq!(kinds, [&DataType::Int32, &DataType::Int32, &DataType::Int64]);
        assert_eq!(written.scales, "60000000000,2,");
    }
}
