//! The 64-byte header that begins every file of a store. Layout and rules H1 to H6: `format-spec/segment.md`.
//!
//! This layout and its checksum never change, not even with a new major version: a reader can always tell a newer
//! file from a damaged one.

use crate::checksum::Identity;
use crate::error::{ErrorKind, FormatError, Result};

/// Length of the header, in bytes.
pub const HEADER_BYTES: usize = 64;
/// First bytes of every file: a byte beyond ASCII, the name, and line ends that text-mode copies would change.
pub const MAGIC: [u8; 8] = [0x93, b'T', b'A', b'P', b'E', b'\r', b'\n', 0x1a];
/// Major version of the format that this crate writes, and the highest it reads.
pub const MAJOR: u8 = 1;
/// Minor version of the format that this crate writes.
pub const MINOR: u8 = 0;
/// Required feature bits: what a file may hold that its reader has to know.
pub mod features {
    /// Segments: columns with a model, coded integer blocks (K15, K16).
    pub const CODED: u32 = 1 << 0;
    /// Segments: integer blocks of differences from two values before.
    pub const ALTERNATE: u32 = 1 << 1;
    /// Segments: decimals times a factor (K17). Bit 2 stays free: vectors of before say that it is unknown.
    pub const FACTORS: u32 = 1 << 3;
    /// Segments: models with memory, coded blocks in lanes (K18, K19), dictionaries with a model.
    pub const LANES: u32 = 1 << 4;
    /// Segments: decimals of a group with further digits (K20).
    pub const DIGITS: u32 = 1 << 5;
    /// Segments: groups of adjusted singles (K21).
    pub const SINGLES: u32 = 1 << 6;
}
/// Required feature bits that this crate knows.
pub const KNOWN_REQUIRED: u32 = features::CODED
    | features::ALTERNATE
    | features::FACTORS
    | features::LANES
    | features::DIGITS
    | features::SINGLES;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileKind {
    /// Immutable columns of sealed rows.
    Segment = 1,
    /// Write-ahead log.
    Wal = 2,
    /// Which files make up which version.
    Manifest = 3,
}

impl FileKind {
    /// The kind with this frozen id.
    pub fn from_id(id: u8) -> Option<Self> {
        [Self::Segment, Self::Wal, Self::Manifest].into_iter().find(|kind| *kind as u8 == id)
    }

    /// Name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Wal => "log",
            Self::Manifest => "manifest",
        }
    }
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// What the file holds.
    pub kind: FileKind,
    /// Whose file it is, and which.
    pub identity: Identity,
    /// Features that a reader must know to read the file.
    pub required: u32,
    /// Features that a reader may ignore.
    pub optional: u32,
    /// Two numbers whose meaning belongs to the file kind; zero in segments.
    pub extra: [u64; 2],
}

impl FileHeader {
    /// A header without features or extra numbers.
    pub fn new(kind: FileKind, identity: Identity) -> Self {
        Self { kind, identity, required: 0, optional: 0, extra: [0; 2] }
    }

    /// The byte form.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8] = self.kind as u8;
        out[9] = MAJOR;
        out[10] = MINOR;
        out[12..16].copy_from_slice(&self.required.to_le_bytes());
        out[16..32].copy_from_slice(&self.identity.store);
        out[32..40].copy_from_slice(&self.identity.file.to_le_bytes());
        out[40..48].copy_from_slice(&self.extra[0].to_le_bytes());
        out[48..56].copy_from_slice(&self.extra[1].to_le_bytes());
        out[56..60].copy_from_slice(&self.optional.to_le_bytes());
        let crc = crc32fast::hash(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the header at the start of `bytes`, which may be longer.
    ///
    /// # Errors
    /// [`ErrorKind::Foreign`] for other magic or another kind of file, [`ErrorKind::Newer`] for a higher major version
    /// or an unknown required feature, [`ErrorKind::Corrupt`] for everything else.
    pub fn decode(bytes: &[u8], expected: FileKind) -> Result<Self> {
        if bytes.len() < HEADER_BYTES {
            let found = bytes.len();
            return Err(FormatError::corrupt(
                "H1",
                0,
                format!("file of {found} bytes has no room for a header"),
            ));
        }
        if bytes[..8] != MAGIC {
            return Err(foreign("H2", 0, "no Tapestore magic".to_owned()));
        }
        let crc = u32::from_le_bytes(array(bytes, 60));
        if crc32fast::hash(&bytes[..60]) != crc {
            return Err(FormatError::corrupt("H3", 60, "checksum of the header does not match"));
        }
        let major = bytes[9];
        if major > MAJOR {
            return Err(newer(9, format!("major version {major}, this reader knows up to {MAJOR}")));
        }
        let required = u32::from_le_bytes(array(bytes, 12));
        if required & !KNOWN_REQUIRED != 0 {
            return Err(newer(12, format!("unknown required features {:#x}", required & !KNOWN_REQUIRED)));
        }
        if major == 0 || bytes[11] != 0 {
            return Err(FormatError::corrupt("H5", 9, "major version 0, or a reserved byte is not zero"));
        }
        match FileKind::from_id(bytes[8]) {
            Some(kind) if kind == expected => {}
            Some(kind) => {
                let detail = format!("a {} file where a {} was expected", kind.name(), expected.name());
                return Err(foreign("H6", 8, detail));
            }
            None => return Err(FormatError::corrupt("H6", 8, format!("unknown file kind {}", bytes[8]))),
        }
        Ok(Self {
            kind: expected,
            identity: Identity { store: array(bytes, 16), file: u64::from_le_bytes(array(bytes, 32)) },
            required,
            optional: u32::from_le_bytes(array(bytes, 56)),
            extra: [u64::from_le_bytes(array(bytes, 40)), u64::from_le_bytes(array(bytes, 48))],
        })
    }

    /// Reads the header and checks that the file is the expected one of the expected store.
    ///
    /// # Errors
    /// Those of [`FileHeader::decode`], and [`ErrorKind::Foreign`] for another store or file.
    pub fn check(bytes: &[u8], kind: FileKind, identity: &Identity) -> Result<Self> {
        let header = Self::decode(bytes, kind)?;
        if header.identity.store != identity.store {
            return Err(foreign("H7", 16, "the file belongs to another store".to_owned()));
        }
        if header.identity.file != identity.file {
            let (found, expected) = (header.identity.file, identity.file);
            return Err(foreign("H7", 32, format!("this is file {found}, expected file {expected}")));
        }
        Ok(header)
    }
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}

fn foreign(rule: &'static str, offset: u64, detail: String) -> FormatError {
    FormatError { kind: ErrorKind::Foreign, rule, offset, detail }
}

fn newer(offset: u64, detail: String) -> FormatError {
    FormatError { kind: ErrorKind::Newer, rule: "H4", offset, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Identity = Identity { store: *b"0123456789abcdef", file: 77 };

    fn reseal(bytes: &mut [u8; 64]) {
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
    }

    #[test]
    fn header_round_trips_and_every_flip_is_refused() {
        let header = FileHeader { optional: 5, extra: [9, u64::MAX], ..FileHeader::new(FileKind::Wal, SOME) };
        let bytes = header.encode();
        assert_eq!(FileHeader::check(&bytes, FileKind::Wal, &SOME).unwrap(), header);
        for bit in 0..512 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&bad, FileKind::Wal).is_err(), "bit {bit}");
        }
        for length in 0..64 {
            assert!(FileHeader::decode(&bytes[..length], FileKind::Wal).is_err());
        }
        assert!(FileHeader::decode(&[0; 64], FileKind::Wal).is_err());
    }

    #[test]
    fn errors_tell_foreign_newer_and_corrupt_apart() {
        let bytes = FileHeader::new(FileKind::Segment, SOME).encode();
        let kind = |bytes: &[u8], identity: &Identity| {
            FileHeader::check(bytes, FileKind::Segment, identity).unwrap_err().kind
        };
        assert_eq!(kind(&[b'x'; 64], &SOME), ErrorKind::Foreign);
        assert_eq!(kind(&bytes, &Identity { file: 78, ..SOME }), ErrorKind::Foreign);
        assert_eq!(kind(&bytes, &Identity { store: [0; 16], ..SOME }), ErrorKind::Foreign);
        let other = FileHeader::decode(&bytes, FileKind::Wal).unwrap_err();
        assert_eq!(other.kind, ErrorKind::Foreign);
        assert_eq!(other.detail, "a segment file where a log was expected");
        for (offset, value, expected) in [
            (9, 2, ErrorKind::Newer),
            (15, 0x80, ErrorKind::Newer),
            (8, 9, ErrorKind::Corrupt),
            (11, 1, ErrorKind::Corrupt),
        ] {
            let mut other = bytes;
            other[offset] = value;
            assert_eq!(kind(&other, &SOME), ErrorKind::Corrupt, "a flip is damage");
            reseal(&mut other);
            assert_eq!(kind(&other, &SOME), expected);
        }
    }
}
