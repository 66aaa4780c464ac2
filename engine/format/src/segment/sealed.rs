//! Sealed bytes: metadata of any length, in pages that each carry a checksum (rules S5 and S6); and the memory of
//! which checksums were already found right.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::index::Footer;
use crate::checksum::Identity;
use crate::error::{FormatError, Result};
use crate::limits::CHECKED_BYTES;

/// Content bytes of a full page.
const PAGE: usize = CHECKED_BYTES - 4;
/// Bytes of file that one lazily allocated piece of the bitmap stands for.
const PIECE_BYTES: u64 = 1 << 18;
/// Units shorter than this are checked every time: two of them may begin in the same eight bytes.
const REMEMBERED_BYTES: usize = 8;

/// Remembers which checksums of a file were found right, so that each is computed once: one bit for eight bytes of
/// file, allocated where it is used. Shared by all readers of the file.
#[derive(Debug)]
pub struct Verified {
    pieces: Vec<OnceLock<Box<[AtomicU64; 512]>>>,
    trusting: bool,
    ends: OnceLock<Ends>,
}

/// What the two ends of a segment say, once found right: whose file it is, the features that its header requires, and
/// the footer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) identity: Identity,
    pub(super) required: u32,
    pub(super) footer: Footer,
}

impl Verified {
    /// Nothing verified yet, for a file of this length.
    pub fn new(file_bytes: u64) -> Self {
        let pieces = file_bytes.div_ceil(PIECE_BYTES) as usize;
        let pieces = (0..pieces).map(|_| OnceLock::new()).collect();
        Self { pieces, trusting: false, ends: OnceLock::new() }
    }

    /// Takes every checksum of parts, chunks and blocks for right. For tests that feed decoders with crafted bytes:
    /// a reader of real files must never use it.
    pub fn trusting() -> Self {
        Self { pieces: Vec::new(), trusting: true, ends: OnceLock::new() }
    }

    /// The ends of the file, if they were found right before.
    pub(super) fn ends(&self, identity: &Identity) -> Option<&Ends> {
        self.ends.get().filter(|ends| ends.identity == *identity)
    }

    pub(super) fn keep_ends(&self, ends: Ends) {
        // Crafted bytes may change beneath: they are asked each time.
        if !self.trusting {
            let _ = self.ends.set(ends);
        }
    }

    fn place(position: u64) -> (usize, usize, u64) {
        let bit = position % PIECE_BYTES / 8;
        ((position / PIECE_BYTES) as usize, (bit / 64) as usize, 1 << (bit % 64))
    }

    fn knows(&self, position: u64) -> bool {
        let (piece, word, bit) = Self::place(position);
        // Relaxed: the bit only saves work on bytes that never change.
        let piece = self.pieces.get(piece).and_then(OnceLock::get);
        piece.is_some_and(|words| words[word].load(Ordering::Relaxed) & bit != 0)
    }

    fn remember(&self, position: u64) {
        let (piece, word, bit) = Self::place(position);
        if let Some(piece) = self.pieces.get(piece) {
            let words = piece.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
            words[word].fetch_or(bit, Ordering::Relaxed);
        }
    }
}

/// Bytes of a file with what is needed to check them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) identity: Identity,
    pub(super) verified: &'a Verified,
    /// Required feature bits of the file.
    pub(super) required: u32,
}

impl<'a> Checked<'a> {
    /// The bytes at `offset`, unchecked.
    pub(super) fn slice(&self, offset: u64, length: u64) -> Result<&'a [u8]> {
        let end = offset.checked_add(length).filter(|end| *end <= self.bytes.len() as u64);
        match end {
            Some(end) => Ok(&self.bytes[offset as usize..end as usize]),
            None => Err(FormatError::corrupt(
                "S4",
                offset,
                format!("{length} bytes reach past the end of the file at {}", self.bytes.len()),
            )),
        }
    }

    /// Checks one unit of at most [`CHECKED_BYTES`] unless it was found right before.
    pub(super) fn unit(&self, offset: u64, length: usize, crc: u32) -> Result<&'a [u8]> {
        let unit = self.slice(offset, length as u64)?;
        let remembered = length >= REMEMBERED_BYTES;
        if self.verified.trusting || (remembered && self.verified.knows(offset)) {
            return Ok(unit);
        }
        if self.identity.crc(offset, unit) != crc {
            return Err(FormatError::corrupt(
                "S5",
                offset,
                format!("checksum of {length} bytes does not match"),
            ));
        }
        if remembered {
            self.verified.remember(offset);
        }
        Ok(unit)
    }

    /// The content of sealed bytes.
    pub(super) fn sealed(&self, offset: u64, content: usize) -> Result<Cow<'a, [u8]>> {
        let total = sealed_bytes(content);
        let pages = self.slice(offset, total as u64)?;
        let mut out = Vec::new();
        for (index, page) in pages.chunks(CHECKED_BYTES).enumerate() {
            let position = offset + (index * CHECKED_BYTES) as u64;
            let (inside, crc) = page.split_at(page.len().saturating_sub(4));
            let crc = u32::from_le_bytes(
                crc.try_into()
                    .map_err(|_| FormatError::corrupt("S6", position, "page without a checksum"))?,
            );
            let inside = self.unit(position, inside.len(), crc)?;
            if total <= CHECKED_BYTES {
                return Ok(Cow::Borrowed(inside));
            }
            out.extend_from_slice(inside);
        }
        Ok(Cow::Owned(out))
    }

    /// The content of sealed bytes that begin with a magic number and their own length, which must be at least 8.
    pub(super) fn sealed_with_magic(&self, offset: u64, magic: [u8; 4], what: &str) -> Result<Cow<'a, [u8]>> {
        let start = self.slice(offset, 8)?;
        if start[..4] != magic {
            return Err(FormatError::corrupt("S7", offset, format!("no {what} begins here")));
        }
        let content = u32::from_le_bytes([start[4], start[5], start[6], start[7]]) as usize;
        if content < 8 {
            return Err(FormatError::corrupt("S7", offset + 4, format!("{what} of {content} bytes")));
        }
        self.sealed(offset, content)
    }
}

/// Bytes that sealed content takes: with four bytes of checksum for every page.
pub(super) fn sealed_bytes(content: usize) -> usize {
    content + content.div_ceil(PAGE) * 4
}

/// Appends `content`, sealed, as it will stand at `position` of the file.
pub(super) fn seal(identity: &Identity, position: u64, content: &[u8], out: &mut Vec<u8>) {
    let mut position = position;
    for page in content.chunks(PAGE) {
        out.extend_from_slice(page);
        out.extend_from_slice(&identity.crc(position, page).to_le_bytes());
        position += page.len() as u64 + 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_content_comes_back_and_flips_are_found() {
        let identity = Identity { store: [3; 16], file: 9 };
        for length in [1usize, 7, 8, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 20_000] {
            let content: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let mut bytes = vec![0; 100];
            seal(&identity, 100, &content, &mut bytes);
            assert_eq!(bytes.len(), 100 + sealed_bytes(length));
            let verified = Verified::new(bytes.len() as u64);
            let checked = Checked { bytes: &bytes, identity, verified: &verified, required: 0 };
            assert_eq!(*checked.sealed(100, length).unwrap(), content);
            assert_eq!(*checked.sealed(100, length).unwrap(), content, "the second time from memory");
            for position in (100..bytes.len()).step_by(997) {
                let mut bad = bytes.clone();
                bad[position] ^= 4;
                let verified = Verified::new(bytes.len() as u64);
                assert!(
                    Checked { bytes: &bad, identity, verified: &verified, required: 0 }
                        .sealed(100, length)
                        .is_err()
                );
            }
        }
    }
}
