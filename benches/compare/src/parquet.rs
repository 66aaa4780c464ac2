//! Parquet by arrow-rs, in every setting that is claimed to suit numbers.
//!
//! Kept fair: files are mapped, metadata and page index are parsed once and reused, ranges read only the pages that
//! the column index names, batches are large, and what arrow-rs leaves out by default (page checksums) stays out.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType};
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tapestore_format::rows::Values;

use crate::contender::{ALWAYS, Contender, Encoded, Piece, Reader, Result};
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
}

impl Parquet {
    const fn new(form: Form, codec: Codec) -> Self {
        Self { form, codec, pages: Pages::Default }
    }

    /// Every setting whose size is taken.
    pub(crate) fn all() -> Vec<Self> {
        use Codec::{None, Snappy, Zstd};
        use Form::{Alp, Delta, Dictionary, Plain, Split};
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
        ]
        .map(|(form, codec)| Self::new(form, codec))
        .to_vec();
        out.push(Self { form: Plain, codec: Zstd(3), pages: Pages::Small });
        out
    }

    fn properties(self, schema: &Schema) -> WriterProperties {
        let codec = match self.codec {
            Codec::None => Compression::UNCOMPRESSED,
            Codec::Snappy => Compression::SNAPPY,
            Codec::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level).expect("a level of zstd")),
        };
        let mut builder =
            WriterProperties::builder().set_compression(codec).set_max_row_group_row_count(Some(1 << 20));
        builder = match self.pages {
            Pages::Default => builder,
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
            (DataType::Float64, Form::Split) => Encoding::BYTE_STREAM_SPLIT,
            (DataType::Float64, Form::Alp) => Encoding::ALP,
            (DataType::Float64, _) | (DataType::Int64, Form::Plain) => Encoding::PLAIN,
            (DataType::Timestamp(..) | DataType::Int64, _) => Encoding::DELTA_BINARY_PACKED,
            // Text is best kept by a dictionary in all forms.
            _ => return builder.set_column_dictionary_enabled(path, true),
        };
        builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding)
    }

    fn encoded(self, table: &Table, symbols: Option<&[&str]>) -> Result<(Vec<u8>, Encoded)> {
        let (batch, note) = record_batch(table, symbols, self.form == Form::Delta)?;
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(self.properties(&batch.schema())))?;
        writer.write(&batch)?;
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
        let bytes = writer.into_inner()?;
        let size = bytes.len() as u64;
        Ok((bytes, Encoded { bytes: size, columns, note }))
    }
}

/// The table for Arrow. Times in milliseconds where that is exact, since they are smaller so. With `scale`, doubles as
/// integers where that is exact; the note names columns where it is not.
pub(crate) fn record_batch(
    table: &Table,
    symbols: Option<&[&str]>,
    scale: bool,
) -> Result<(RecordBatch, String)> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    let mut note = String::new();
    if let Some(symbols) = symbols {
        let array: DictionaryArray<arrow_array::types::Int32Type> = symbols.iter().copied().collect();
        fields.push(Field::new("symbol", arrow_array::Array::data_type(&array).clone(), false));
        arrays.push(Arc::new(array));
    }
    if table.time.iter().all(|time| time % 1_000_000 == 0) {
        fields.push(Field::new("time", DataType::Timestamp(TimeUnit::Millisecond, None), false));
        let millis: Vec<i64> = table.time.iter().map(|time| time / 1_000_000).collect();
        arrays.push(Arc::new(TimestampMillisecondArray::from(millis)));
    } else {
        fields.push(Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, None), false));
        arrays.push(Arc::new(TimestampNanosecondArray::from(table.time.clone())));
    }
    for (name, values) in &table.columns {
        let (kind, array, exponent): (DataType, ArrayRef, Option<u8>) = match values {
            Values::F64(values) => match if scale { scaled(values) } else { None } {
                Some(found) => {
                    (DataType::Int64, Arc::new(Int64Array::from(found.mantissas)), Some(found.exponent))
                }
                None => {
                    if scale {
                        note = format!("{note}{}{name} as f64", if note.is_empty() { "" } else { ", " });
                    }
                    (DataType::Float64, Arc::new(Float64Array::from(values.clone())), None)
                }
            },
            Values::I64(values) => (DataType::Int64, Arc::new(Int64Array::from(values.clone())), None),
            Values::Str(text) => {
                (DataType::Utf8, Arc::new(text.iter().map(Some).collect::<StringArray>()), None)
            }
            _ => return Err("tables hold numbers and text".into()),
        };
        let exponent = exponent.map(|exponent| ("exponent".to_owned(), exponent.to_string()));
        fields.push(
            Field::new(name, kind, false)
                .with_metadata(exponent.into_iter().collect::<std::collections::HashMap<_, _>>()),
        );
        arrays.push(array);
    }
    Ok((RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?, note))
}

/// A column of a batch as a piece.
pub(crate) fn piece<'a>(field: &Field, array: &'a ArrayRef) -> Piece<'a> {
    match field.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Piece::Millis(array.as_primitive::<TimestampMillisecondType>().values())
        }
        DataType::Timestamp(..) => Piece::I64(array.as_primitive::<TimestampNanosecondType>().values()),
        DataType::Float64 => Piece::F64(array.as_primitive::<Float64Type>().values()),
        _ => {
            let values = array.as_primitive::<Int64Type>().values();
            match field.metadata().get("exponent").and_then(|exponent| exponent.parse::<i32>().ok()) {
                Some(exponent) => Piece::Scaled(values, 10f64.powi(exponent)),
                None => Piece::I64(values),
            }
        }
    }
}

impl Contender for Parquet {
    fn name(&self) -> String {
        let form = match self.form {
            Form::Dictionary => "f64",
            Form::Plain => "f64 no dict",
            Form::Split => "f64 BYTE_STREAM_SPLIT",
            Form::Delta => "i64 DELTA",
            Form::Alp => "f64 ALP",
        };
        let codec = match self.codec {
            Codec::None => String::new(),
            Codec::Snappy => " snappy".to_owned(),
            Codec::Zstd(level) => format!(" zstd {level}"),
        };
        let pages = match self.pages {
            Pages::Default => "",
            Pages::Small => ", pages of 2,048 rows",
        };
        format!("parquet {form}{codec}{pages}")
    }

    fn encode(&self, group: &Group) -> Result<Encoded> {
        if let [table] = &group.tables[..] {
            return Ok(self.encoded(table, None)?.1);
        }
        let (table, symbols) = group.concatenated();
        Ok(self.encoded(&table, Some(&symbols))?.1)
    }

    fn write(&self, table: &Table, directory: &Path) -> Result<()> {
        let (bytes, _) = self.encoded(table, None)?;
        crate::machine::write_durably(&directory.join("table.parquet"), &bytes)
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Reader>> {
        let file = crate::machine::map(&File::open(directory.join("table.parquet"))?)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::load(&file, options)?;
        Ok(Box::new(ParquetReader { file, metadata }))
    }
}

struct ParquetReader {
    file: Bytes,
    metadata: ArrowReaderMetadata,
}

impl ParquetReader {
    /// The rows of all pages of times that meet a range: two bounds, since times ascend.
    fn rows_of_pages(&self, range: &Range<i64>) -> Range<usize> {
        let all = self.metadata.metadata();
        let factor = match self.metadata.schema().field(0).data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
            _ => 1,
        };
        let (mut first, mut end, mut before) = (None, 0, 0);
        for number in 0..all.num_row_groups() {
            let count = all.row_group(number).num_rows() as usize;
            let index = all.page_index_for_row_group(number);
            let column = index.column_index(0);
            let places = index.offset_index(0).map(OffsetIndexMetaData::page_locations);
            let (Some(ColumnIndexMetaData::INT64(column)), Some(places)) = (column, places) else {
                return 0..usize::MAX;
            };
            let bounds = column.min_values().iter().zip(column.max_values());
            for (page, (low, high)) in bounds.enumerate() {
                if low * factor < range.end && range.start <= high * factor {
                    let start = before + places[page].first_row_index as usize;
                    let next = places.get(page + 1).map_or(count, |place| place.first_row_index as usize);
                    first.get_or_insert(start);
                    end = before + next;
                }
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
                Ok(piece(schema.field(index), batch.column(index)))
            };
            let rows = if whole { 0..batch.num_rows() } else { find("time")?.rows_between(range) };
            let pieces: Result<Vec<Piece<'_>>> =
                columns.iter().map(|name| Ok(find(name)?.cut(rows.clone()))).collect();
            visit(&pieces?);
        }
        Ok(())
    }
}
