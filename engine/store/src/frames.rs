//! The frames of a log or manifest, read through a window: memory does not grow with the file.
//!
//! What frames are: `tapestore_format::log`, `format-spec/log.md`. A record is put together by the caller, from frames whose
//! checksums match: it is never longer than the bytes that are there.

use std::io;
use std::sync::Arc;

use tapestore_format::FormatError;
use tapestore_format::checksum::Identity;
use tapestore_format::limits::CHECKED_BYTES;
use tapestore_format::log::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, Frame, FrameReader};

use crate::io::StorageFile;

/// Bytes of a log in memory at a time, besides the record that is being put together.
const WINDOW_BYTES: usize = 1 << 20;

/// Why there is no next frame.
pub(crate) enum Stop {
    /// The file cannot be read.
    Io(io::Error),
    /// What stands there is no frame, or not the one that was expected.
    Format(FormatError),
}

/// Reads frames one after another.
pub(crate) struct FrameStream {
    file: Arc<dyn StorageFile>,
    identity: Identity,
    window: Vec<u8>,
    /// Offset in the file of the window, and of the next frame in the window.
    base: u64,
    position: usize,
    end: u64,
    next_sequence: Option<u64>,
}

impl FrameStream {
    /// Reads the frames between two offsets of a file; the first must carry `next_sequence`, where that is known.
    pub(crate) fn new(
        file: Arc<dyn StorageFile>,
        identity: Identity,
        from: u64,
        end: u64,
        next_sequence: Option<u64>,
    ) -> Self {
        Self { file, identity, window: Vec::new(), base: from, position: 0, end, next_sequence }
    }

    /// Offset in the file of the next frame.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.position as u64
    }

    /// Sequence number that the next frame must carry, once known.
    pub(crate) fn next_sequence(&self) -> Option<u64> {
        self.next_sequence
    }

    /// The next frame; `None` at the exact end. After an error the stream stays where it is.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Stop> {
        self.fill().map_err(Stop::Io)?;
        let offset = self.offset();
        let mut frames =
            FrameReader::new(&self.window[self.position..], offset, self.identity, self.next_sequence);
        let frame = frames.next_frame().map_err(Stop::Format)?;
        if let Some(frame) = &frame {
            self.position += (frame.end() - offset) as usize;
            self.next_sequence = frames.next_sequence();
        }
        Ok(frame)
    }

    /// Makes sure that the window holds the next frame, however long it is.
    fn fill(&mut self) -> io::Result<()> {
        let held = self.base + self.window.len() as u64;
        if self.window.len() - self.position >= CHECKED_BYTES || held == self.end {
            return Ok(());
        }
        self.window.drain(..self.position);
        (self.base, self.position) = (self.offset(), 0);
        let before = self.window.len();
        self.window.resize((self.end - self.base).min(WINDOW_BYTES as u64) as usize, 0);
        self.file.read_exact_at(held, &mut self.window[before..])
    }

    /// Whether behind a bad frame at the current position there is a valid one for which `wanted` holds, and where.
    ///
    /// As [`FrameReader::find_later`]: all of them are asked, and only numbers that the place allows are looked at.
    pub(crate) fn find_later(&self, wanted: impl Fn(&Frame<'_>) -> bool) -> io::Result<Option<u64>> {
        let (bad, first) = (self.offset(), self.next_sequence.unwrap_or(0));
        let from = bad.next_multiple_of(FRAME_ALIGNMENT as u64);
        let plausible = |offset: u64, sequence: u64| {
            let most = first.saturating_add((offset - bad) / FRAME_HEADER_BYTES as u64 + 1);
            (first..=most).contains(&sequence)
        };
        find(&*self.file, self.identity, from..self.end, &plausible, &wanted)
    }
}

/// The first place at a multiple of eight in a range of a file where a frame validates that is `wanted`. `plausible` is asked
/// first, for offset and sequence number: cheap before dear.
pub(crate) fn find(
    file: &dyn StorageFile,
    identity: Identity,
    range: std::ops::Range<u64>,
    plausible: &dyn Fn(u64, u64) -> bool,
    wanted: &dyn Fn(&Frame<'_>) -> bool,
) -> io::Result<Option<u64>> {
    let mut base = range.start;
    while base < range.end {
        let length = (range.end - base).min((WINDOW_BYTES + CHECKED_BYTES) as u64) as usize;
        let mut window = vec![0; length];
        file.read_exact_at(base, &mut window)?;
        for at in (0..length.min(WINDOW_BYTES)).step_by(FRAME_ALIGNMENT) {
            let offset = base + at as u64;
            let Some(head) = window.get(at..at + FRAME_HEADER_BYTES) else { break };
            let sequence = u64::from_le_bytes(head[8..16].try_into().expect("8 bytes"));
            if !plausible(offset, sequence) {
                continue;
            }
            let mut frames = FrameReader::new(&window[at..], offset, identity, None);
            if let Ok(Some(frame)) = frames.next_frame()
                && wanted(&frame)
            {
                return Ok(Some(offset));
            }
        }
        base += WINDOW_BYTES as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tapestore_format::log::FrameWriter;

    use super::*;
    use crate::io::{MemoryStorage, Storage};

    /// A frame is found wherever it stands: at the ends of windows, across them, and in the last of several.
    #[test]
    fn a_frame_is_found_in_any_window() {
        let identity = Identity { store: [3; 16], file: 8 };
        let storage = MemoryStorage::new();
        let payload = vec![7; 4000];
        for at in [0, 8, WINDOW_BYTES - 4096, WINDOW_BYTES - 8, WINDOW_BYTES, 2 * WINDOW_BYTES + 40] {
            for begin in [0, 24] {
                let (mut bytes, mut frame) = (vec![0x11; begin + at], Vec::new());
                FrameWriter::new(identity, bytes.len() as u64, 0x1234_5678).push(5, &payload, 0, &mut frame);
                bytes.extend(&frame);
                let _ = storage.remove("log");
                let file = storage.create_new("log").unwrap();
                file.write_at(0, &bytes).unwrap();
                let range = begin as u64..bytes.len() as u64;
                let found = |sequence: u64, kind: u8| {
                    let plausible = |_: u64, found: u64| found == sequence;
                    find(&*file, identity, range.clone(), &plausible, &|frame| frame.kind == kind).unwrap()
                };
                assert_eq!(found(0x1234_5678, 5), Some((begin + at) as u64), "at {at} from {begin}");
                assert_eq!(found(0x1234_5678, 6), None, "not wanted");
                assert_eq!(found(0x1234_5679, 5), None, "not plausible");
            }
        }
    }

    /// A file that notes how often it is read, and the most that was asked for at once.
    #[derive(Debug)]
    struct Noted {
        file: Arc<dyn StorageFile>,
        reads: AtomicUsize,
        most: AtomicUsize,
    }

    impl StorageFile for Noted {
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.most.fetch_max(buffer.len(), Ordering::Relaxed);
            self.file.read_at(offset, buffer)
        }
        fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            self.file.write_once_at(offset, bytes)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.file.sync_data()
        }
        fn sync_all(&self) -> io::Result<()> {
            self.file.sync_all()
        }
        fn set_length(&self, length: u64) -> io::Result<()> {
            self.file.set_length(length)
        }
        fn length(&self) -> io::Result<u64> {
            self.file.length()
        }
    }

    /// Whatever the length of a file, memory holds a window of it, and each is read once.
    #[test]
    fn a_file_is_read_window_by_window() {
        let identity = Identity { store: [3; 16], file: 8 };
        let (mut bytes, mut writer) = (Vec::new(), FrameWriter::new(identity, 0, 1));
        while bytes.len() < 3 * WINDOW_BYTES {
            writer.push(5, &[7; 400], 0, &mut bytes);
        }
        let file = MemoryStorage::new().create_new("log").unwrap();
        file.write_at(0, &bytes).unwrap();
        let (reads, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let noted = Arc::new(Noted { file, reads, most });
        let mut stream = FrameStream::new(noted.clone(), identity, 0, bytes.len() as u64, Some(1));
        let mut frames = 0;
        while let Ok(Some(_)) = stream.next_frame() {
            frames += 1;
        }
        assert_eq!(frames + 1, writer.next_sequence());
        let (reads, most) = (noted.reads.swap(0, Ordering::Relaxed), noted.most.swap(0, Ordering::Relaxed));
        assert!(reads <= 5 && most <= WINDOW_BYTES, "{reads} reads of {most} bytes at most");
        let range = 0..bytes.len() as u64;
        assert_eq!(find(&*noted, identity, range, &|_, _| true, &|frame| frame.kind == 6).unwrap(), None);
        let (reads, most) = (noted.reads.load(Ordering::Relaxed), noted.most.load(Ordering::Relaxed));
        assert!(reads <= 4 && most <= WINDOW_BYTES + CHECKED_BYTES, "{reads} reads of {most} bytes at most");
    }
}
