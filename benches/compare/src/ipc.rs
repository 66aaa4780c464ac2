//! Arrow IPC files: plain, LZ4, zstd. In blocks of 65,536 rows with an index of times beside them, which the format
//! itself does not have.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{Block, CompressionType, root_as_footer};
use arrow_schema::SchemaRef;

use crate::contender::{ALWAYS, Contender, Encoded, Encoder, Piece, Reader, Result};
use crate::parquet::{Numbers, piece, record_batch};
use crate::table::{Group, Table};

/// Rows of a block.
const BLOCK_ROWS: usize = 65_536;

/// One setting.
pub(crate) struct Ipc(pub(crate) Option<CompressionType>);

impl Ipc {
    pub(crate) const ALL: [Self; 3] =
        [Self(None), Self(Some(CompressionType::LZ4_FRAME)), Self(Some(CompressionType::ZSTD))];

    fn encoded(&self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let options = IpcWriteOptions::default().try_with_compression(self.0)?;
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
        for start in (0..batch.num_rows()).step_by(BLOCK_ROWS) {
            writer.write(&batch.slice(start, BLOCK_ROWS.min(batch.num_rows() - start)))?;
        }
        writer.finish()?;
        Ok(writer.into_inner()?)
    }
}

impl Contender for Ipc {
    fn name(&self) -> String {
        let codec = match self.0 {
            None => "",
            Some(CompressionType::ZSTD) => " zstd",
            Some(_) => " lz4",
        };
        format!("arrow ipc{codec}")
    }

    fn encoder<'a>(&'a self, group: &'a Group) -> Result<Encoder<'a>> {
        let batch = if let [table] = &group.tables[..] {
            record_batch(table, None, Numbers::Doubles)?.batch
        } else {
            let (table, symbols) = group.concatenated();
            record_batch(&table, Some(&symbols), Numbers::Doubles)?.batch
        };
        Ok(Box::new(move || {
            let bytes = self.encoded(&batch)?;
            Ok(Encoded { bytes: bytes.len() as u64, ..Encoded::default() })
        }))
    }

    fn write(&self, table: &Table, directory: &Path) -> Result<()> {
        crate::machine::write_durably(
            &directory.join("table.arrow"),
            &self.encoded(&record_batch(table, None, Numbers::Doubles)?.batch)?,
        )
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Reader>> {
        let buffer = Buffer::from(crate::machine::map(&File::open(directory.join("table.arrow"))?)?);
        let trailer = buffer.len() - 10;
        let length = read_footer_length(buffer[trailer..].try_into()?)?;
        let footer = root_as_footer(&buffer[trailer - length..trailer]).map_err(|error| error.to_string())?;
        let schema = Arc::new(try_fb_to_schema(footer.schema().ok_or("a file without a schema")?)?);
        let blocks: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
        let version = footer.version();
        Ok(Box::new(IpcReader { version, schema, blocks, buffer, starts: Vec::new() }))
    }
}

struct IpcReader {
    version: arrow_ipc::MetadataVersion,
    schema: SchemaRef,
    blocks: Vec<Block>,
    buffer: Buffer,
    /// First time of each block, found by the first read of a range.
    starts: Vec<i64>,
}

impl IpcReader {
    fn block(&self, decoder: &FileDecoder, number: usize) -> Result<arrow_array::RecordBatch> {
        let block = &self.blocks[number];
        let length = block.bodyLength() as usize + block.metaDataLength() as usize;
        let bytes = self.buffer.slice_with_length(block.offset() as usize, length);
        Ok(decoder.read_record_batch(block, &bytes)?.ok_or("an empty block")?)
    }

    fn decoder(&self, columns: &[&str]) -> Result<FileDecoder> {
        let mut wanted = Vec::new();
        for name in columns {
            wanted.push(self.schema.index_of(name)?);
        }
        wanted.sort_unstable();
        Ok(FileDecoder::new(self.schema.clone(), self.version).with_projection(wanted))
    }

    fn first_times(&mut self) -> Result<()> {
        if self.starts.is_empty() {
            let decoder = self.decoder(&["time"])?;
            for number in 0..self.blocks.len() {
                let batch = self.block(&decoder, number)?;
                self.starts.push(match piece(self.schema.field(0), batch.column(0)) {
                    Piece::Millis(times) => times[0] * 1_000_000,
                    Piece::I64(times) | Piece::Scaled(times, _) => times[0],
                    _ => return Err("times are integers of 64 bits".into()),
                });
            }
        }
        Ok(())
    }
}

impl Reader for IpcReader {
    fn pieces(
        &mut self,
        columns: &[&str],
        range: &Range<i64>,
        visit: &mut dyn FnMut(&[Piece<'_>]),
    ) -> Result<()> {
        let whole = *range == ALWAYS;
        let mut names = columns.to_vec();
        let mut blocks = 0..self.blocks.len();
        if !whole {
            self.first_times()?;
            let first = self.starts.partition_point(|start| *start <= range.start).saturating_sub(1);
            blocks = first..self.starts.partition_point(|start| *start < range.end);
            if !names.contains(&"time") {
                names.push("time");
            }
        }
        let decoder = self.decoder(&names)?;
        for number in blocks {
            let batch = self.block(&decoder, number)?;
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
