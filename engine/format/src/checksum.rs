//! Seeded CRC-32: a checksum that also covers where the bytes belong.
//!
//! `crc(seed, position, bytes)` is the IEEE CRC-32 of a 24-byte prefix followed by `bytes`. The prefix is the file's
//! [`Identity`] (store, file id) and the position of the bytes in the file. A block that was moved, or left over from
//! an older file, fails the check as surely as a damaged one; so do zeros.

use crc32fast::Hasher;

/// What a file is: whose, and which. Seeds every checksum in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Random identity of the store, from its creation.
    pub store: [u8; 16],
    /// Number of the file, never reused within a store.
    pub file: u64,
}

impl Identity {
    /// Checksum of `bytes` at `position` of this file.
    ///
    /// The store's identity and the file id are folded into one 16-byte prefix, the position follows as a
    /// little-endian `u64`, then the bytes. Callers keep `bytes` within [`crate::limits::CHECKED_BYTES`].
    pub fn crc(&self, position: u64, bytes: &[u8]) -> u32 {
        self.crc_parts(position, &[bytes])
    }

    /// Like [`Identity::crc`] over several slices as if they were one.
    pub fn crc_parts(&self, position: u64, parts: &[&[u8]]) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.prefix());
        hasher.update(&position.to_le_bytes());
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }

    /// The 16-byte prefix: the store's identity with the file id xored into its last eight bytes.
    pub fn prefix(&self) -> [u8; 16] {
        let mut prefix = self.store;
        for (byte, id) in prefix[8..].iter_mut().zip(self.file.to_le_bytes()) {
            *byte ^= id;
        }
        prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Identity = Identity { store: [7; 16], file: 3 };

    #[test]
    fn checksum_depends_on_store_file_and_position() {
        let bytes = b"the same bytes";
        let here = SOME.crc(64, bytes);
        assert_ne!(here, SOME.crc(128, bytes));
        assert_ne!(here, Identity { file: 4, ..SOME }.crc(64, bytes));
        assert_ne!(here, Identity { store: [8; 16], ..SOME }.crc(64, bytes));
        assert_eq!(here, SOME.crc_parts(64, &[b"the same", b" bytes"]));
    }

    #[test]
    fn zeros_do_not_validate() {
        assert_ne!(SOME.crc(0, &[0; 60]), 0);
    }

    /// Guards the frozen definition: a changed polynomial, prefix or order would orphan every store.
    #[test]
    fn never_change_this_checksum() {
        let plain = crc32fast::hash(&[&SOME.prefix()[..], &5u64.to_le_bytes(), b"abc"].concat());
        assert_eq!(SOME.crc(5, b"abc"), plain);
        assert_eq!(SOME.prefix(), [7, 7, 7, 7, 7, 7, 7, 7, 7 ^ 3, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }
}
