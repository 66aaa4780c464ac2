//! Reading columns of strings.

use std::ops::Range;

use super::Scratch;
use super::chunk::{Chunk, Entry};
use super::read::{append_nulls, each_block, wrong_type};
use crate::bytes::ByteReader;
use crate::codec::int;
use crate::error::{FormatError, Result};
use crate::limits::{BLOCK_ROWS, STRING_BYTES};
use crate::rows::{ColumnValues, Strings, Values};

impl Chunk<'_> {
    /// Appends strings of a column of codes: the dictionary is read once, however many blocks follow.
    pub(super) fn read_dictionary(
        &self,
        entry: &Entry,
        range: &Range<usize>,
        out: &mut ColumnValues,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let heap = self.file.sealed(entry.offset, entry.heap)?;
        let mut parameters = ByteReader::new(&self.head.content[entry.parameters.clone()], "K14");
        let distinct = parameters.varint()?;
        let texts = parse_heap(&heap, distinct).map_err(|error| error.shifted(entry.offset))?;
        let mut short = Short::of(&texts, range.len().min(BLOCK_ROWS));
        self.read_model(entry, &mut scratch.models, &mut scratch.int)?;
        each_block(range, |block, rows| {
            let some = self.decode_integers(entry, block, scratch)?;
            let at = out.len();
            let Values::Str(strings) = &mut out.values else { return Err(wrong_type(entry)) };
            let codes = &scratch.numbers[rows.clone()];
            let text = |(row, code): (usize, &i64)| {
                if some && scratch.nulls[row] {
                    return Ok("");
                }
                usize::try_from(*code).ok().and_then(|at| texts.get(at).copied()).ok_or(*code)
            };
            let appended = match &mut short {
                Some(short) if !some => short.append(codes, strings),
                _ => rows.clone().zip(codes).try_for_each(|row| text(row).map(|text| strings.push(text))),
            };
            appended.map_err(|code| {
                FormatError::corrupt("K14", entry.offset, format!("code {code} of {distinct}"))
            })?;
            if some {
                append_nulls(out, at, &scratch.nulls[rows]);
            }
            Ok(())
        })
    }

    /// Appends strings of a block that stand end to end.
    pub(super) fn read_text(
        &self,
        entry: &Entry,
        block: usize,
        rows: Range<usize>,
        out: &mut Values,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let (bytes, offset) = self.block(entry, block)?;
        let count = self.block_rows(block).len();
        let mut reader = ByteReader::new(bytes, "K12");
        let Values::Str(out) = out else { return Err(reader.error("text in a column of numbers")) };
        let decoded = (|| {
            let (some, all) = Self::read_nulls(entry, &mut reader, count, scratch)?;
            let lengths = &mut scratch.numbers[..count];
            if all {
                lengths.fill(0);
            } else {
                int::decode_plain(&mut reader, lengths, &mut scratch.int)?;
            }
            for (index, length) in lengths.iter().enumerate() {
                if *length < 0 || *length > STRING_BYTES as i64 {
                    return Err(reader.error(format!("string of {length} bytes")));
                }
                let text = std::str::from_utf8(reader.take(*length as usize)?);
                let text = text.map_err(|_| reader.error("string is not UTF-8"))?;
                let null = some && scratch.nulls[index];
                if null && !text.is_empty() {
                    return Err(reader.error("text under a null"));
                }
                if rows.contains(&index) {
                    out.push(text);
                }
            }
            reader.finish().map(|()| some)
        })();
        decoded.map_err(|error: FormatError| error.shifted(offset))
    }
}

/// The bytes that a short string has at most.
const SHORT: usize = 16;

/// A dictionary of short strings: each is copied as one word, of which the next one covers what is too much.
struct Short {
    words: Vec<([u8; SHORT], usize)>,
    /// Room for the strings of a block, and where they end.
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Short {
    /// With room for so many rows at a time. `None` if some are long.
    fn of(texts: &[&str], rows: usize) -> Option<Self> {
        let word = |text: &&str| {
            let mut word = [0; SHORT];
            word.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
            Some((word, text.len()))
        };
        let words = texts.iter().map(word).collect::<Option<_>>()?;
        Some(Self { words, text: vec![0; rows * SHORT], ends: vec![0; rows] })
    }

    /// Appends the strings of the codes of a block, which has none else; or gives the code that stands for none.
    fn append(&mut self, codes: &[i64], out: &mut Strings) -> std::result::Result<(), i64> {
        let mut end = 0;
        for (code, ends) in codes.iter().zip(&mut self.ends) {
            let (word, length) =
                usize::try_from(*code).ok().and_then(|at| self.words.get(at)).ok_or(*code)?;
            self.text[end..][..SHORT].copy_from_slice(word);
            end += length;
            *ends = end;
        }
        let text = std::str::from_utf8(&self.text[..end]).expect("strings end to end");
        out.append(text, self.ends[..codes.len()].iter().copied());
        Ok(())
    }
}

/// The strings of a dictionary.
fn parse_heap(heap: &[u8], distinct: u64) -> Result<Vec<&str>> {
    let mut reader = ByteReader::new(heap, "K14");
    // Every string takes at least the byte of its length.
    let mut texts = Vec::with_capacity((distinct as usize).min(heap.len()));
    for _ in 0..distinct {
        let length = reader.varint()?;
        if length > STRING_BYTES as u64 {
            return Err(reader.error(format!("string of {length} bytes")));
        }
        let text = std::str::from_utf8(reader.take(length as usize)?);
        texts.push(text.map_err(|_| reader.error("string is not UTF-8"))?);
    }
    reader.finish()?;
    Ok(texts)
}
