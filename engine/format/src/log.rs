//! Framed logs: the write-ahead log and the manifest are both a file header and a sequence of frames.
//!
//! Layout: `format-spec/log.md`. A *record* (a transaction, a manifest step) is cut into frames of at most 8 KiB, so
//! that no checksum covers more than [`CHECKED_BYTES`].
//!
//! # Invariants
//! - L1. Sequence numbers of consecutive frames differ by one, and go on across the logs of a chain.
//! - L2. Kind 0 does not exist and lengths are at least one, so zeros never validate.
//! - L3. A frame's checksum is seeded with store, file and offset: a stale or moved frame never validates.

use crate::bytes::{ByteReader, ByteWriter};
use crate::checksum::Identity;
use crate::error::{FormatError, Result};
use crate::limits::{CHECKED_BYTES, RECORD_BYTES};

/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 24;
/// Longest payload of one frame.
pub const FRAME_PAYLOAD_BYTES: usize = CHECKED_BYTES - FRAME_HEADER_BYTES;
/// Frames begin at multiples of this.
pub const FRAME_ALIGNMENT: usize = 8;

const FIRST: u8 = 1;
const LAST: u8 = 2;

/// One frame of a log, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where the frame begins in the file.
    pub offset: u64,
    /// Kind of the record it belongs to.
    pub kind: u8,
    /// Whether it begins a record.
    pub first: bool,
    /// Whether it ends a record.
    pub last: bool,
    /// Number of the frame in its chain of logs.
    pub sequence: u64,
    /// Every frame up to this one was on stable storage when this one was written.
    pub durable: u64,
    /// Piece of the record.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Where the next frame begins.
    pub fn end(&self) -> u64 {
        self.offset + framed_length(self.payload.len()) as u64
    }
}

fn framed_length(payload: usize) -> usize {
    (FRAME_HEADER_BYTES + payload).next_multiple_of(FRAME_ALIGNMENT)
}

/// Cuts records into frames and appends them to a buffer that the caller writes to the log.
#[derive(Clone, Debug)]
pub struct FrameWriter {
    identity: Identity,
    offset: u64,
    next_sequence: u64,
}

impl FrameWriter {
    /// Continues the log `identity` at `offset`, with `next_sequence` for its next frame.
    pub fn new(identity: Identity, offset: u64, next_sequence: u64) -> Self {
        debug_assert!(offset.is_multiple_of(FRAME_ALIGNMENT as u64));
        Self { identity, offset, next_sequence }
    }

    /// Where the next frame will begin.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Sequence number of the next frame.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Appends `record` as frames to `out`. `durable` is the newest sequence known to be on stable storage.
    pub fn push(&mut self, kind: u8, record: &[u8], durable: u64, out: &mut Vec<u8>) {
        assert!(kind != 0 && !record.is_empty(), "L2: records have a kind and at least one byte");
        let count = record.len().div_ceil(FRAME_PAYLOAD_BYTES);
        out.reserve(record.len() + count * (FRAME_HEADER_BYTES + FRAME_ALIGNMENT));
        for (index, payload) in record.chunks(FRAME_PAYLOAD_BYTES).enumerate() {
            let mut flags = 0;
            if index == 0 {
                flags |= FIRST;
            }
            if index + 1 == count {
                flags |= LAST;
            }
            let start = out.len();
            out.put_u32(0);
            out.put_u16(payload.len() as u16);
            out.put_u8(kind);
            out.put_u8(flags);
            out.put_u64(self.next_sequence);
            out.put_u64(durable);
            out.extend_from_slice(payload);
            out.resize(start + framed_length(payload.len()), 0);
            let crc = self.identity.crc(self.offset, &out[start + 4..]);
            out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
            self.offset += (out.len() - start) as u64;
            self.next_sequence += 1;
        }
    }
}

/// Reads frames from the bytes of a log.
#[derive(Clone, Debug)]
pub struct FrameReader<'a> {
    bytes: &'a [u8],
    /// Position in the file of `bytes[0]`.
    base: u64,
    identity: Identity,
    position: usize,
    next_sequence: Option<u64>,
}

impl<'a> FrameReader<'a> {
    /// Reads the frames of `bytes`, which stand at offset `base` of the log `identity`. The first frame must carry
    /// `next_sequence`, where that is known.
    pub fn new(bytes: &'a [u8], base: u64, identity: Identity, next_sequence: Option<u64>) -> Self {
        Self { bytes, base, identity, position: 0, next_sequence }
    }

    /// Offset in the file of the next frame.
    pub fn offset(&self) -> u64 {
        self.base + self.position as u64
    }

    /// Sequence number that the next frame must carry, once known.
    pub fn next_sequence(&self) -> Option<u64> {
        self.next_sequence
    }

    /// The next frame; `None` at the exact end of the bytes. After an error the reader stays where it is.
    ///
    /// # Errors
    /// A frame that breaks L1 to L3 or is cut off.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'a>>> {
        if self.position == self.bytes.len() {
            return Ok(None);
        }
        let frame = self.parse(self.position)?;
        if let Some(expected) = self.next_sequence
            && frame.sequence != expected
        {
            let detail = format!("frame has sequence {}, {expected} expected", frame.sequence);
            return Err(FormatError::corrupt("L1", frame.offset, detail));
        }
        self.position += (frame.end() - frame.offset) as usize;
        self.next_sequence = Some(frame.sequence.wrapping_add(1));
        Ok(Some(frame))
    }

    fn parse(&self, position: usize) -> Result<Frame<'a>> {
        let offset = self.base + position as u64;
        let bytes = &self.bytes[position..];
        let mut reader = ByteReader::new(bytes, "L2");
        let parsed = (|| {
            let crc = reader.u32()?;
            let length = reader.u16()? as usize;
            let kind = reader.u8()?;
            let flags = reader.u8()?;
            let sequence = reader.u64()?;
            let durable = reader.u64()?;
            if kind == 0 || length == 0 || length > FRAME_PAYLOAD_BYTES || flags & !(FIRST | LAST) != 0 {
                return Err(reader.error(format!("not a frame: kind {kind}, length {length}, flags {flags}")));
            }
            let payload = reader.take(length)?;
            let framed = framed_length(length);
            if framed > bytes.len() {
                return Err(reader.error("padding of the frame is cut off"));
            }
            Ok((
                crc,
                framed,
                Frame {
                    offset,
                    kind,
                    first: flags & FIRST != 0,
                    last: flags & LAST != 0,
                    sequence,
                    durable,
                    payload,
                },
            ))
        })();
        let (crc, framed, frame) = parsed.map_err(|error| error.shifted(offset))?;
        if self.identity.crc(offset, &bytes[4..framed]) != crc {
            return Err(FormatError::corrupt("L3", offset, "checksum of the frame does not match"));
        }
        Ok(frame)
    }

    /// The first valid frame with a later number than the missing one for which `wanted` holds: from the current position
    /// on, as a frame that should stand further behind may have been written over the missing one.
    ///
    /// Any such frame proves that the log went on behind the bad one; one that calls the bad one durable turns a torn
    /// tail into damage of acknowledged data. All must be asked: frames of one write share what they call durable.
    pub fn find_later(&self, wanted: impl Fn(&Frame<'a>) -> bool) -> Option<Frame<'a>> {
        let first = self.next_sequence.unwrap_or(0);
        let start = self.position.next_multiple_of(FRAME_ALIGNMENT);
        (start..self.bytes.len()).step_by(FRAME_ALIGNMENT).find_map(|position| {
            // Cheap before dear: a plausible sequence number is rare in bytes that are no frame.
            let head = self.bytes.get(position..position + FRAME_HEADER_BYTES)?;
            let sequence = u64::from_le_bytes(head[8..16].try_into().ok()?);
            let most = first.saturating_add(((position - self.position) / FRAME_HEADER_BYTES) as u64 + 1);
            if sequence < first || sequence > most {
                return None;
            }
            self.parse(position).ok().filter(&wanted)
        })
    }
}

/// Puts frames together to records.
#[derive(Clone, Debug)]
pub struct RecordAssembler {
    kind: u8,
    record: Vec<u8>,
    open: bool,
    most: usize,
}

impl Default for RecordAssembler {
    fn default() -> Self {
        Self { kind: 0, record: Vec::new(), open: false, most: RECORD_BYTES }
    }
}

impl RecordAssembler {
    /// Adds a frame; gives the kind and bytes of the record when it is complete. The slice is good until the next call.
    ///
    /// # Errors
    /// L4: a record begins inside another, goes on without a beginning, or changes its kind.
    /// L5: a record is longer than [`RECORD_BYTES`].
    pub fn push(&mut self, frame: &Frame<'_>) -> Result<Option<(u8, &[u8])>> {
        let fits = if frame.first { !self.open } else { self.open && self.kind == frame.kind };
        if !fits {
            let detail = "frame neither begins a record nor goes on with the open one";
            return Err(FormatError::corrupt("L4", frame.offset, detail));
        }
        if frame.first {
            self.record.clear();
            self.kind = frame.kind;
            self.open = true;
        }
        if self.record.len() + frame.payload.len() > self.most {
            let detail = format!("record beyond {} bytes", self.most);
            return Err(FormatError::limit("L5", frame.offset, detail));
        }
        self.record.extend_from_slice(frame.payload);
        if !frame.last {
            return Ok(None);
        }
        self.open = false;
        Ok(Some((self.kind, &self.record)))
    }

    /// Whether a record has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const SOME: Identity = Identity { store: [9; 16], file: 5 };

    fn log(lengths: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut writer = FrameWriter::new(SOME, 64, 11);
        let mut bytes = Vec::new();
        let records: Vec<Vec<u8>> =
            lengths.iter().map(|length| (0..*length).map(|i| (i * 7 + length) as u8).collect()).collect();
        for record in &records {
            writer.push(3, record, 10, &mut bytes);
        }
        assert_eq!(writer.offset(), 64 + bytes.len() as u64);
        (bytes, records)
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<FormatError>) {
        let mut reader = FrameReader::new(bytes, 64, SOME, Some(11));
        let mut assembler = RecordAssembler::default();
        let mut records = Vec::new();
        loop {
            match reader.next_frame() {
                Ok(None) => return (records, None),
                Err(error) => return (records, Some(error)),
                Ok(Some(frame)) => {
                    if let Some((3, record)) = assembler.push(&frame).unwrap() {
                        records.push(record.to_vec());
                    }
                }
            }
        }
    }

    #[test]
    fn records_of_every_length_around_a_frame_round_trip() {
        let edge = FRAME_PAYLOAD_BYTES;
        let (bytes, records) = log(&[1, 7, 8, edge - 1, edge, edge + 1, 3 * edge, 100_000]);
        assert_eq!(read(&bytes), (records, None));
    }

    /// L5, with a smaller limit: a record at the real one takes 2 GiB.
    #[test]
    fn a_record_beyond_the_limit_is_refused() {
        let most = 2 * FRAME_PAYLOAD_BYTES + 5;
        let assemble = |length: usize| {
            let (bytes, _) = log(&[length]);
            let mut reader = FrameReader::new(&bytes, 64, SOME, Some(11));
            let mut assembler = RecordAssembler { most, ..RecordAssembler::default() };
            while let Some(frame) = reader.next_frame()? {
                if let Some((_, record)) = assembler.push(&frame)? {
                    return Ok(record.len());
                }
            }
            unreachable!("the record ends")
        };
        assert_eq!(assemble(most), Ok(most));
        let error: FormatError = assemble(most + 1).unwrap_err();
        assert_eq!((error.kind, error.rule), (ErrorKind::Limit, "L5"));
        assert_eq!(RecordAssembler::default().most, RECORD_BYTES);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let (bytes, records) = log(&[5, 40, 300]);
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[position] ^= 1 << bit;
                let (found, error) = read(&bad);
                assert!(error.is_some() && records.starts_with(&found), "bit {bit} of byte {position}");
            }
            let (found, error) = read(&bytes[..position]);
            assert!(records.starts_with(&found) && found.len() < records.len());
            assert!(error.is_some() || position == 0 || found.len() < 3);
        }
    }

    #[test]
    fn a_frame_behind_a_bad_one_is_found() {
        let (mut bytes, _) = log(&[500, 40, 300]);
        bytes[100] ^= 1;
        let mut reader = FrameReader::new(&bytes, 64, SOME, Some(11));
        assert_eq!(reader.next_frame().unwrap_err().rule, "L3");
        let later = reader.find_later(|_| true).unwrap();
        assert_eq!((later.sequence, later.durable), (12, 10));
        let torn = FrameReader::new(&bytes[..524], 64, SOME, Some(11));
        assert_eq!(torn.find_later(|_| true), None);
        assert_eq!(reader.find_later(|frame| frame.durable > 10), None);
    }

    #[test]
    fn a_frame_of_another_place_or_file_does_not_validate() {
        let (bytes, _) = log(&[40]);
        assert_eq!(FrameReader::new(&bytes, 128, SOME, None).next_frame().unwrap_err().rule, "L3");
        let other = Identity { file: 6, ..SOME };
        assert_eq!(FrameReader::new(&bytes, 64, other, None).next_frame().unwrap_err().rule, "L3");
        assert!(FrameReader::new(&[0; 64], 64, SOME, None).next_frame().is_err());
    }
}
