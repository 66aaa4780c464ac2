//! Changes to bytes that are likely to break a decoder: edges of numbers, of widths, of counts.

use std::ops::Range;

use tapestore_format::bytes::ByteWriter as _;

use crate::random::Random;

/// Numbers at the edges of counts, blocks, widths and times.
const EDGES: [u64; 30] = [
    0,
    1,
    2,
    7,
    8,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    1023,
    1024,
    1025,
    4095,
    4096,
    4097,
    8168,
    8192,
    65_535,
    65_536,
    65_537,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
    9_000_000_000_000_000_000,
];

/// Changes bytes within `place` and keeps their number.
pub fn in_place(random: &mut Random, bytes: &mut [u8], place: Range<usize>) {
    let place = place.start.min(bytes.len())..place.end.min(bytes.len());
    if place.is_empty() {
        return;
    }
    let window = &mut bytes[place];
    let at = random.below(window.len());
    match random.below(10) {
        0 | 1 => window[at] ^= 1 << random.below(8),
        2 => window[at] = random.next() as u8,
        3 => window[at] = window[at].wrapping_add(random.pick(&[1, 2, 255, 254, 16, 240])),
        4 => window[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
        5 => {
            let width = random.pick(&[2, 4, 8]);
            let number = edge(random).to_le_bytes();
            let end = window.len().min(at + width);
            window[at..end].copy_from_slice(&number[..end - at]);
        }
        6 => {
            let mut varint = Vec::new();
            varint.put_varint(edge(random));
            let end = window.len().min(at + varint.len());
            window[at..end].copy_from_slice(&varint[..end - at]);
        }
        7 => {
            // Bytes move up within the window: what was a field becomes the one before it.
            let by = 1 + random.below(4.min(window.len()));
            if at + by < window.len() {
                window.copy_within(at..window.len() - by, at + by);
            }
        }
        8 => {
            let by = 1 + random.below(4.min(window.len()));
            if at + by < window.len() {
                window.copy_within(at + by.., at);
            }
        }
        _ => {
            let from = random.below(window.len());
            let length = (1 + random.below(16)).min(window.len() - at.max(from));
            window.copy_within(from..from + length, at);
        }
    }
}

/// Changes bytes and their number. `other` is a donor of pieces.
pub fn freely(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8], longest: usize) {
    match random.below(12) {
        0 if !bytes.is_empty() => {
            let start = random.below(bytes.len());
            let length = (1 + random.below(8)).min(bytes.len() - start);
            bytes.drain(start..start + length);
        }
        1 if !bytes.is_empty() => bytes.truncate(random.below(bytes.len())),
        2 => {
            let at = random.below(bytes.len() + 1);
            let count = 1 + random.below(8);
            let fresh: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
            bytes.splice(at..at, fresh);
        }
        3 => {
            let at = random.below(bytes.len() + 1);
            let mut varint = Vec::new();
            varint.put_varint(edge(random));
            bytes.splice(at..at, varint);
        }
        4 if !bytes.is_empty() => {
            let start = random.below(bytes.len());
            let length = (1 + random.below(64)).min(bytes.len() - start);
            let copy = bytes[start..start + length].to_vec();
            let at = random.below(bytes.len() + 1);
            bytes.splice(at..at, copy);
        }
        5 if !other.is_empty() => {
            let start = random.below(other.len());
            let length = (1 + random.below(64)).min(other.len() - start);
            let at = random.below(bytes.len() + 1);
            let end = if random.chance(2) { at } else { bytes.len().min(at + length) };
            bytes.splice(at..end, other[start..start + length].iter().copied());
        }
        6 if !other.is_empty() => {
            // The head of one and the tail of the other.
            let at = random.below(bytes.len() + 1);
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            let whole = 0..bytes.len();
            in_place(random, bytes, whole);
        }
    }
    bytes.truncate(longest);
}

/// A number at an edge, or beside it, or any.
pub fn edge(random: &mut Random) -> u64 {
    let number = random.pick(&EDGES);
    match random.below(4) {
        0 => number.wrapping_sub(1),
        1 => random.next() >> random.below(64),
        _ => number,
    }
}
