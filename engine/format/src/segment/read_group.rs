//! Reading the columns of bars that predict one another.

use std::ops::Range;

use super::Scratch;
use super::chunk::{Chunk, Entry, Key, STRAYS};
use super::read::{each_block, model_of, wrong_type};
use crate::bytes::ByteReader;
use crate::codec::decimal;
use crate::codec::group::Role;
use crate::codec::int::{self, Transform};
use crate::error::{FormatError, Result};
use crate::rows::{RowSet, Values};

impl Chunk<'_> {
    /// The columns of the group, block by block, so that what predicts is decoded once.
    pub(super) fn read_group(
        &self,
        range: &Range<usize>,
        out: &mut RowSet,
        scratch: &mut Scratch,
    ) -> Result<()> {
        scratch.group_models.iter_mut().for_each(|model| model.1 = false);
        each_block(range, |block, rows| {
            scratch.group_have = [false; 4];
            for (id, values) in &mut out.columns {
                let Some(entry) = self.entry(Key::Column(*id)) else { continue };
                let Some(role) = entry.role else { continue };
                let Values::F64(out) = &mut values.values else { return Err(wrong_type(entry)) };
                self.read_member(entry, role, block, rows.clone(), out, scratch)?;
                if let Some(nulls) = &mut values.nulls {
                    nulls.resize(out.len(), false);
                }
            }
            Ok(())
        })
    }

    fn read_member(
        &self,
        entry: &Entry,
        role: Role,
        block: usize,
        rows: Range<usize>,
        out: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.decode_member(role, block, scratch)?;
        let Some(scale) = entry.scale else { return Err(wrong_type(entry)) };
        let at = out.len();
        scale.extend(scratch.int.kernels, &scratch.group[role as usize][rows.clone()], out);
        if entry.flags & STRAYS == 0 {
            return Ok(());
        }
        // The exceptions stand behind the numbers.
        let (bytes, offset) = self.block(entry, block)?;
        let count = self.block_rows(block).len();
        let rest = scratch.group_rest[role as usize];
        let mut reader = ByteReader::new(&bytes[rest..], "K11");
        decimal::patch(&mut reader, count, rows.start, &mut out[at..], &mut scratch.bits)
            .and_then(|()| reader.finish())
            .map_err(|error| error.shifted(offset + rest as u64))
    }

    /// Decodes the mantissas of a member of the group, and first of those that predict it, unless they are there.
    fn decode_member(&self, role: Role, block: usize, scratch: &mut Scratch) -> Result<()> {
        let at = role as usize;
        if scratch.group_have[at] {
            return Ok(());
        }
        let entry = self.member(role)?;
        let (bytes, offset) = self.block(entry, block)?;
        let count = self.block_rows(block).len();
        let mut reader = ByteReader::new(bytes, "K13");
        let (model, known) = &mut scratch.group_models[at];
        if !*known {
            self.read_model(entry, model)?;
            *known = true;
        }
        let mut numbers = std::mem::take(&mut scratch.group[at]);
        let decoded =
            int::decode(&mut reader, &mut numbers[..count], &mut scratch.int, model_of(entry, model));
        scratch.group_rest[at] = reader.position();
        let finished = if entry.flags & STRAYS == 0 { reader.finish() } else { Ok(()) };
        scratch.group[at] = numbers;
        let transform = decoded.and_then(|transform| finished.map(|()| transform));
        if transform.map_err(|error| error.shifted(offset))? == Transform::Group {
            if role == Role::Close {
                return Err(FormatError::corrupt("K13", offset, "close is not predicted"));
            }
            self.decode_member(Role::Close, block, scratch)?;
            if role != Role::Open {
                self.decode_member(Role::Open, block, scratch)?;
            }
            let kernels = scratch.int.kernels;
            let [close, rest @ ..] = &mut scratch.group;
            let (open, rest) = rest.split_at_mut(1);
            let close = &close[..count];
            match role {
                Role::Open => (kernels.restore)(role, close, &[], &mut open[0][..count]),
                _ => (kernels.restore)(role, close, &open[0][..count], &mut rest[at - 2][..count]),
            }
        }
        scratch.group_have[at] = true;
        Ok(())
    }
}
