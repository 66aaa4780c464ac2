//! Opening what is imported: plain files, gzip, zstd, zip entries and standard input, told apart by their first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::fail::{Fail, Result};

/// Bytes read ahead of the parser by the decompressing thread, per buffer.
const AHEAD_BYTES: usize = 256 * 1024;
/// Most that is taken into memory from standard input when a second pass is needed.
const MEMORY_BYTES: u64 = 8 << 30;

/// Something to import.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input, readable once.
    Stdin,
    /// Standard input, taken into memory.
    Memory(Arc<[u8]>),
}

impl Input {
    /// `-` is standard input.
    pub(crate) fn new(argument: &Path) -> Self {
        if argument.as_os_str() == "-" { Self::Stdin } else { Self::File(argument.to_owned()) }
    }

    /// Name in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin | Self::Memory(_) => "standard input".to_owned(),
        }
    }

    /// The same input, but one that can be opened again.
    pub(crate) fn rewindable(self) -> Result<Self> {
        match self {
            Self::Stdin => {
                let mut bytes = Vec::new();
                io::stdin().lock().take(MEMORY_BYTES).read_to_end(&mut bytes)?;
                if bytes.len() as u64 == MEMORY_BYTES {
                    return Err(Fail::Usage(
                        "standard input is too long to be held; write it to a file first".into(),
                    ));
                }
                Ok(Self::Memory(bytes.into()))
            }
            other => Ok(other),
        }
    }

    /// Opens for reading from the start, decompressed. `entry` names a file inside a zip.
    pub(crate) fn open(&self, entry: Option<&str>) -> Result<Source> {
        let done = Arc::new(AtomicU64::new(0));
        let counted = |inner| Box::new(Counted { inner, done: Arc::clone(&done) }) as Box<dyn Read + Send>;
        let name = self.name();
        match self {
            Self::File(path) => {
                let open = || File::open(path).map_err(|error| Fail::file(path, "read", &error));
                let mut file = open()?;
                let about = file.metadata().map_err(|error| Fail::file(path, "read", &error))?;
                if about.is_dir() {
                    return Err(Fail::Usage(format!("{name} is a directory; name its files")));
                }
                let mut head = Vec::new();
                (&mut file)
                    .take(4)
                    .read_to_end(&mut head)
                    .map_err(|error| Fail::file(path, "read", &error))?;
                file.rewind().map_err(|error| Fail::file(path, "read", &error))?;
                let total = about.is_file().then_some(about.len());
                if Packing::of(&head) == Packing::Zip {
                    let zip = ZipPart::find(file, entry, &name)?;
                    let total = Some(zip.packed_bytes);
                    let read = zip.reader(counted(Box::new(zip.open(open()?)?)));
                    return Ok(Source::new(zip.label(&name), read, done, total));
                }
                refuse_entry(entry, &name)?;
                Source::unpack(name, &head, counted(Box::new(file)), done, total)
            }
            Self::Stdin => {
                let mut head = Vec::new();
                let mut stdin = io::stdin();
                (&mut stdin).take(4).read_to_end(&mut head)?;
                if Packing::of(&head) == Packing::Zip {
                    let Self::Memory(rest) = Self::Stdin.rewindable()? else {
                        unreachable!("stdin becomes memory")
                    };
                    return Self::Memory([&head, &*rest].concat().into()).open(entry);
                }
                refuse_entry(entry, &name)?;
                let whole = Cursor::new(head.clone()).chain(stdin);
                Source::unpack(name, &head, counted(Box::new(whole)), done, None)
            }
            Self::Memory(bytes) => {
                let (head, total) = (&bytes[..bytes.len().min(4)], Some(bytes.len() as u64));
                if Packing::of(head) == Packing::Zip {
                    let zip = ZipPart::find(Cursor::new(Arc::clone(bytes)), entry, &name)?;
                    let read = zip.reader(counted(Box::new(zip.open(Cursor::new(Arc::clone(bytes)))?)));
                    return Ok(Source::new(zip.label(&name), read, done, total));
                }
                refuse_entry(entry, &name)?;
                Source::unpack(name, head, counted(Box::new(Cursor::new(Arc::clone(bytes)))), done, total)
            }
        }
    }
}

fn refuse_entry(entry: Option<&str>, name: &str) -> Result<()> {
    match entry {
        Some(entry) => Err(Fail::Usage(format!("--entry {entry} needs a zip file, and {name} is none"))),
        None => Ok(()),
    }
}

/// An opened input: its text, and how far into the packed bytes it has been read.
pub(crate) struct Source {
    /// Name in messages.
    pub(crate) name: String,
    /// The text.
    pub(crate) reader: Box<dyn BufRead + Send>,
    /// Packed bytes read so far.
    pub(crate) done: Arc<AtomicU64>,
    /// Packed bytes in all, where known.
    pub(crate) total: Option<u64>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("total", &self.total).finish_non_exhaustive()
    }
}

impl Source {
    fn new(name: String, read: Box<dyn Read + Send>, done: Arc<AtomicU64>, total: Option<u64>) -> Self {
        Self { name, reader: Box::new(Ahead::new(read)), done, total }
    }

    fn unpack(
        name: String,
        head: &[u8],
        packed: Box<dyn Read + Send>,
        done: Arc<AtomicU64>,
        total: Option<u64>,
    ) -> Result<Self> {
        let read: Box<dyn Read + Send> = match Packing::of(head) {
            Packing::None | Packing::Zip => {
                return Ok(Self {
                    name,
                    reader: Box::new(BufReader::with_capacity(AHEAD_BYTES, packed)),
                    done,
                    total,
                });
            }
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Packing::Zstd => Box::new(zstd::Decoder::new(packed)?),
            Packing::Unsupported(what) => {
                return Err(Fail::Usage(format!(
                    "{name} is packed with {what}; unpack it first, or pipe it in as -"
                )));
            }
        };
        Ok(Self::new(name, read, done, total))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
    Zip,
    Unsupported(&'static str),
}

impl Packing {
    fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => Self::Zip,
            [0xfd, b'7', b'z', b'X'] => Self::Unsupported("xz"),
            [b'B', b'Z', b'h', ..] => Self::Unsupported("bzip2"),
            [b'P', b'A', b'R', b'1'] => Self::Unsupported("Parquet"),
            _ => Self::None,
        }
    }
}

/// Where one entry of a zip lies.
struct ZipPart {
    entry: String,
    several: bool,
    start: u64,
    packed_bytes: u64,
    bytes: u64,
    crc: u32,
    deflated: bool,
}

impl ZipPart {
    fn find(file: impl Read + Seek, entry: Option<&str>, name: &str) -> Result<Self> {
        let broken = |error: zip::result::ZipError| Fail::Io(format!("cannot read {name}: {error}"));
        let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
        let mut names = Vec::new();
        for index in 0..archive.len() {
            let file = archive.by_index_raw(index).map_err(broken)?;
            if !file.is_dir() {
                names.push((index, String::from_utf8_lossy(file.name_raw()).into_owned()));
            }
        }
        let chosen = match (entry, names.as_slice()) {
            (Some(entry), names) => names.iter().find(|(_, name)| name == entry),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let Some((index, entry)) = chosen.cloned() else {
            let some: Vec<_> = names.iter().take(5).map(|(_, name)| name.as_str()).collect();
            let dots = if names.len() > 5 { ", …" } else { "" };
            return Err(Fail::Usage(match entry {
                Some(entry) => format!("{name} holds no {entry}; it holds {}{dots}", some.join(", ")),
                None if names.is_empty() => format!("{name} is an empty zip"),
                None => format!(
                    "{name} holds {} files; choose one with --entry ({}{dots})",
                    names.len(),
                    some.join(", ")
                ),
            }));
        };
        let file = archive.by_index_raw(index).map_err(broken)?;
        let deflated = match file.compression() {
            zip::CompressionMethod::Stored => false,
            zip::CompressionMethod::Deflated => true,
            other => {
                return Err(Fail::Usage(format!(
                    "{entry} in {name} is packed with {other}; only deflate is read"
                )));
            }
        };
        if file.encrypted() {
            return Err(Fail::Usage(format!("{entry} in {name} is encrypted; unpack it first")));
        }
        let start = file.data_start().ok_or_else(|| Fail::Io(format!("cannot find {entry} in {name}")))?;
        Ok(Self {
            several: names.len() > 1,
            start,
            packed_bytes: file.compressed_size(),
            bytes: file.size(),
            crc: file.crc32(),
            deflated,
            entry,
        })
    }

    fn label(&self, name: &str) -> String {
        if self.several { format!("{name}:{}", self.entry) } else { name.to_owned() }
    }

    fn open<F: Read + Seek>(&self, mut file: F) -> Result<io::Take<F>> {
        file.seek(SeekFrom::Start(self.start))?;
        Ok(file.take(self.packed_bytes))
    }

    fn reader(&self, packed: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let inner: Box<dyn Read + Send> =
            if self.deflated { Box::new(flate2::read::DeflateDecoder::new(packed)) } else { packed };
        Box::new(Checked { inner, crc: flate2::Crc::new(), bytes: 0, expected: (self.crc, self.bytes) })
    }
}

/// Compares length and checksum of a zip entry at its end.
struct Checked {
    inner: Box<dyn Read + Send>,
    crc: flate2::Crc,
    bytes: u64,
    expected: (u32, u64),
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc.update(&buffer[..count]);
        self.bytes += count as u64;
        if count == 0 && !buffer.is_empty() && (self.crc.sum(), self.bytes) != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the zip entry fails its checksum"));
        }
        Ok(count)
    }
}

/// Counts packed bytes for the progress line.
struct Counted {
    inner: Box<dyn Read + Send>,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads on a second thread, so that decompressing and parsing overlap. At most four buffers are under way.
struct Ahead {
    buffers: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    position: usize,
    ended: bool,
}

impl Ahead {
    fn new(mut inner: Box<dyn Read + Send>) -> Self {
        let (send, buffers) = sync_channel(4);
        std::thread::spawn(move || {
            loop {
                let mut buffer = Vec::with_capacity(AHEAD_BYTES);
                let outcome = (&mut inner).take(AHEAD_BYTES as u64).read_to_end(&mut buffer);
                let last = outcome.is_err() || buffer.is_empty();
                // What was decompressed before a failure is delivered first, then the failure.
                if !buffer.is_empty() && send.send(Ok(buffer)).is_err() {
                    return;
                }
                if let Err(error) = outcome {
                    let _ = send.send(Err(error));
                }
                if last {
                    return;
                }
            }
        });
        Self { buffers, current: Vec::new(), position: 0, ended: false }
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position == self.current.len() && !self.ended {
            match self.buffers.recv() {
                Ok(next) => {
                    self.current = next?;
                    self.position = 0;
                }
                Err(_) => self.ended = true,
            }
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let count = available.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] = b"time,open\n1,2\n";

    fn text_of(bytes: &[u8], entry: Option<&str>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Input::Memory(bytes.into()).open(entry)?.reader.read_to_end(&mut out)?;
        Ok(out)
    }

    fn zipped(names: &[&str]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(TEXT).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn packing_is_found_by_the_first_bytes() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(TEXT).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(text_of(&gzip, None).unwrap(), TEXT);
        assert_eq!(text_of(&[gzip.clone(), gzip].concat(), None).unwrap(), [TEXT, TEXT].concat());
        assert_eq!(text_of(&zstd::encode_all(TEXT, 1).unwrap(), None).unwrap(), TEXT);
        assert_eq!(text_of(&zipped(&["a.csv"]), None).unwrap(), TEXT);
        assert_eq!(text_of(TEXT, None).unwrap(), TEXT);
        assert_eq!(text_of(b"", None).unwrap(), b"");
    }

    #[test]
    fn a_zip_of_several_files_asks_which() {
        let bytes = zipped(&["a.csv", "b.csv"]);
        let error = text_of(&bytes, None).unwrap_err().to_string();
        assert!(error.contains("--entry") && error.contains("a.csv, b.csv"), "{error}");
        assert_eq!(text_of(&bytes, Some("b.csv")).unwrap(), TEXT);
        assert!(text_of(&bytes, Some("c.csv")).is_err());
        assert!(text_of(TEXT, Some("c.csv")).is_err());
    }

    #[test]
    fn damage_in_a_packed_file_is_an_error() {
        let mut bytes = zipped(&["a.csv"]);
        let position = 30 + "a.csv".len() + 4;
        bytes[position] ^= 0x40;
        assert!(text_of(&bytes, None).is_err());
        let packed = zstd::encode_all(&vec![7_u8; 100_000][..], 1).unwrap();
        assert!(text_of(&packed[..packed.len() - 3], None).is_err());
    }
}
