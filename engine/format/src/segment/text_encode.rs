//! A column of strings to bytes: a dictionary of the distinct ones, or end to end.

use std::collections::HashMap;

use super::chunk::{Encoding, Key};
use super::column_encode::{Encoded, Ways, coded_if_smaller, null_flag, put_nulls};
use crate::bytes::ByteWriter;
use crate::codec::int_encode::{self, Forms};
use crate::limits::BLOCK_ROWS;
use crate::rows::Strings;
use crate::schema::ColumnType;

/// Largest dictionary, in bytes: all of it is read with any block.
pub(super) const HEAP_BYTES: usize = 1 << 16;

/// Strings of which the codes are kept at hand.
const RECENT: usize = 64;
/// Strings of so many bytes are compared by their [`edges`].
const SHORT: usize = 8;

/// Encodes with a dictionary, if most strings repeat and the distinct ones are few.
pub(super) fn encode(
    key: Key,
    kind: ColumnType,
    texts: &Strings,
    nulls: Option<&[bool]>,
    ways: Ways<'_>,
) -> Encoded {
    dictionary(key, kind, texts, nulls, ways).unwrap_or_else(|| plain(key, kind, texts, nulls, ways.forms))
}

fn dictionary(
    key: Key,
    kind: ColumnType,
    texts: &Strings,
    nulls: Option<&[bool]>,
    ways: Ways<'_>,
) -> Option<Encoded> {
    let mut known: HashMap<&str, i64> = HashMap::new();
    let mut heap = Vec::new();
    let mut codes = Vec::with_capacity(texts.len());
    // The strings that were met last: most are one of these, and found without the table.
    let mut recent: [Option<(u64, &str, i64)>; RECENT] = [None; RECENT];
    let mut last = 0;
    for (row, text) in texts.iter().enumerate() {
        if nulls.is_some_and(|nulls| nulls[row]) {
            codes.push(last);
            continue;
        }
        let edges = edges(text.as_bytes());
        let place = &mut recent[(edges.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % RECENT];
        last = match *place {
            Some((known, before, code)) if known == edges && same(before, text) => code,
            _ => {
                let next = known.len() as i64;
                *known.entry(text).or_insert_with(|| {
                    heap.put_varint(text.len() as u64);
                    heap.extend_from_slice(text.as_bytes());
                    next
                })
            }
        };
        *place = Some((edges, text, last));
        codes.push(last);
        if heap.len() > HEAP_BYTES || known.len() * 2 > texts.len() {
            return None;
        }
    }
    Some(coded_if_smaller(ways, &codes, None, |blocks| {
        let mut out = Encoded::new(key, kind, Encoding::Dictionary, null_flag(nulls));
        out.entry.put_varint(known.len() as u64);
        out.entry.put_varint(heap.len() as u64);
        out.heap.clone_from(&heap);
        out.put_model(blocks.coding);
        for (index, block) in codes.chunks(BLOCK_ROWS).enumerate() {
            let start = index * BLOCK_ROWS;
            out.block(|payload| {
                if put_nulls(nulls.map(|nulls| &nulls[start..start + block.len()]), payload) {
                    blocks.put(index, block, None, payload);
                }
            });
        }
        out.finish()
    }))
}

/// The first and the last four bytes of a string: with its length, all of one that has at most [`SHORT`].
fn edges(text: &[u8]) -> u64 {
    let word = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => word(first) | word(last) << 32,
        _ => text.iter().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
    }
}

/// Whether strings of the same edges are the same.
fn same(text: &str, other: &str) -> bool {
    text.len() == other.len() && (text.len() <= SHORT || text == other)
}

fn plain(key: Key, kind: ColumnType, texts: &Strings, nulls: Option<&[bool]>, forms: Forms) -> Encoded {
    let mut out = Encoded::new(key, kind, Encoding::Text, null_flag(nulls));
    for start in (0..texts.len()).step_by(BLOCK_ROWS) {
        let rows = start..texts.len().min(start + BLOCK_ROWS);
        out.block(|payload| {
            if put_nulls(nulls.map(|nulls| &nulls[rows.clone()]), payload) {
                let lengths: Vec<i64> = rows.clone().map(|row| texts.get(row).len() as i64).collect();
                int_encode::encode_with(forms, &lengths, None, payload);
                rows.for_each(|row| payload.extend_from_slice(texts.get(row).as_bytes()));
            }
        });
    }
    out.finish()
}
