//! Write-ahead logs: writing one, and reading the chain of them after a crash or beside a live writer.
//!
//! Layout: `format-spec/wal.md`. Not here: what a transaction means (`replay`), when a log ends (`seal`).
//!
//! # Invariants
//! - W4. A log accepts frames only after its header, its first record and its directory entry are durable.
//! - W5. Only the newest log may end torn. A valid frame behind a bad one that calls it durable means that
//!   acknowledged data was damaged: that is reported, never cut off.
//! - W6. Each log names the one before it and where that one ends; a log missing from the chain is reported. A log that
//!   names none, and those that follow it, are another chain: what an interrupted backup left beside an older one.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::{FRAME_HEADER_BYTES, FrameReader, FrameWriter, RecordAssembler};
use tapestore_format::wal::{KIND_START, KIND_TRANSACTION, LogStart, TransactionRecord};
use tapestore_format::{ErrorKind, FormatError};

use crate::error::{Error, Result};
use crate::frames::{self, FrameStream, Stop};
use crate::io::{Storage, StorageFile};

const PREFIX: &str = "wal-";
const SUFFIX: &str = ".tape";
/// Tells other processes how much of the newest log they may show. A hint: rewritten in place, never synced.
const VISIBLE: &str = "visible";
const VISIBLE_BYTES: usize = 32;

/// Bytes of a log that took no transaction: header and first record.
pub(crate) const EMPTY_LOG_BYTES: u64 = (HEADER_BYTES + FRAME_HEADER_BYTES + 24) as u64;

/// Name of a log file.
pub(crate) fn log_name(id: u64) -> String {
    format!("{PREFIX}{id:012}{SUFFIX}")
}

/// The file id in a log's name. The same id written otherwise is no name of a log (D1).
pub(crate) fn parse_log_name(name: &str) -> Option<u64> {
    let id = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
    (log_name(id) == name).then_some(id)
}

/// A log that takes transactions.
#[derive(Debug)]
pub(crate) struct LogWriter {
    pub(crate) id: u64,
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) frames: FrameWriter,
}

impl LogWriter {
    /// Creates a log behind another; durable when this returns (W4).
    pub(crate) fn create(
        storage: &dyn Storage,
        store: [u8; 16],
        id: u64,
        start: LogStart,
        next_sequence: u64,
    ) -> Result<Self> {
        let name = log_name(id);
        let failed = |action, error| Error::io(action, storage.describe(&name), error);
        let identity = Identity { store, file: id };
        let mut bytes = FileHeader::new(FileKind::Wal, identity).encode().to_vec();
        let mut frames = FrameWriter::new(identity, HEADER_BYTES as u64, next_sequence);
        frames.push(KIND_START, &start.encode(), next_sequence.saturating_sub(1), &mut bytes);
        let file = storage.create_new(&name).map_err(|error| failed("creating", error))?;
        file.write_at(0, &bytes).map_err(|error| failed("writing", error))?;
        file.sync_all().map_err(|error| failed("syncing", error))?;
        storage.sync_dir("").map_err(|error| failed("syncing the directory of", error))?;
        debug_assert_eq!(bytes.len() as u64, EMPTY_LOG_BYTES);
        Ok(Self { id, file, frames })
    }
}

/// Where reading of the chain of logs stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The log.
    pub(crate) log: u64,
    /// Offset behind its last whole record.
    pub(crate) offset: u64,
    /// Sequence number of the frame that would stand there.
    pub(crate) next_sequence: u64,
}

/// A torn end that was found and left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The log's file name.
    pub file: String,
    /// Where its whole records end.
    pub offset: u64,
    /// Bytes behind that.
    pub bytes: u64,
}

/// What reading a chain of logs came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Where the chain ends.
    pub(crate) end: Position,
    /// Bytes behind that.
    pub(crate) torn: Option<TornTail>,
    /// The logs of the chain, ascending.
    pub(crate) chain: Vec<u64>,
    /// Logs whose creation never became durable: they took no transaction and may go.
    pub(crate) stillborn: Vec<u64>,
}

/// What a live writer lets other processes see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visible {
    /// The newest log.
    pub(crate) log: u64,
    /// Bytes of it that may be shown.
    pub(crate) end: u64,
}

impl Visible {
    pub(crate) fn encode(&self, store: [u8; 16]) -> [u8; VISIBLE_BYTES] {
        let mut out = [0; VISIBLE_BYTES];
        out[..8].copy_from_slice(&self.log.to_le_bytes());
        out[8..16].copy_from_slice(&self.end.to_le_bytes());
        let crc = Identity { store, file: 0 }.crc(0, &out[..16]);
        out[16..20].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], store: [u8; 16]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let crc = u32::from_le_bytes(bytes.get(16..20)?.try_into().ok()?);
        (Identity { store, file: 0 }.crc(0, &bytes[..16]) == crc).then_some(())?;
        Some(Self { log: word(0)?, end: word(8)? })
    }

    /// Opens the hint for the writer, creating it if need be.
    pub(crate) fn open(storage: &dyn Storage) -> Result<Arc<dyn StorageFile>> {
        let opened = match storage.create_new(VISIBLE) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => storage.open(VISIBLE),
            other => other,
        };
        opened.map_err(|error| Error::io("opening", storage.describe(VISIBLE), error))
    }

    /// The hint as it stands; `None` where it cannot be read, which happens in the middle of a change.
    pub(crate) fn read(storage: &dyn Storage, store: [u8; 16]) -> Option<Self> {
        let bytes = storage.open_read(VISIBLE).ok()?.read_all(VISIBLE_BYTES as u64).ok()?;
        Self::decode(&bytes, store)
    }
}

/// The logs of a store that count: ids from `first` on, ascending.
pub(crate) fn list_logs(storage: &dyn Storage, first: u64) -> Result<Vec<u64>> {
    let names = storage.names("").map_err(|error| Error::io("listing", storage.describe(""), error))?;
    let mut ids: Vec<u64> = names.iter().filter_map(|name| parse_log_name(name)).collect();
    ids.retain(|id| *id >= first);
    ids.sort_unstable();
    Ok(ids)
}

/// Reads chains of logs.
pub(crate) struct LogReader<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) store: [u8; 16],
    /// The end of the newest log as far as a live writer shows it; `None`: all of it counts.
    pub(crate) visible: Option<Visible>,
}

/// The logs that count, with what each says of the one before it.
struct Chain {
    logs: Vec<(u64, LogStart)>,
    stillborn: Vec<u64>,
}

/// Where one log's records end, as far as is known before reading.
enum End {
    /// Its successor says so.
    At(u64),
    /// It is the newest one.
    Open,
}

impl LogReader<'_> {
    /// Reads every transaction from log `first` on.
    ///
    /// # Errors
    /// W5, W6, or a record that does not decode; and whatever `apply` returns.
    pub(crate) fn replay(
        &self,
        first: u64,
        apply: &mut dyn FnMut(TransactionRecord) -> Result<()>,
    ) -> Result<Replayed> {
        let Chain { logs, stillborn } = self.chain(first)?;
        let mut position = Position { log: first, offset: 0, next_sequence: 0 };
        let mut torn = None;
        for (index, (id, _)) in logs.iter().enumerate() {
            let expected = (index > 0).then_some(position.next_sequence);
            let end = logs.get(index + 1).map_or(End::Open, |(_, next)| End::At(next.previous_end));
            let from = Position { log: *id, offset: HEADER_BYTES as u64, ..position };
            (position, torn) = self.read_log(from, expected, &end, apply)?;
        }
        let chain = logs.into_iter().map(|log| log.0).collect();
        Ok(Replayed { end: position, torn, chain, stillborn })
    }

    /// The logs that count, from `first` on (W6).
    fn chain(&self, first: u64) -> Result<Chain> {
        let ids = list_logs(self.storage, first)?;
        if ids.first() != Some(&first) {
            return Err(self.inconsistent(first, "the manifest needs this log, but it is missing"));
        }
        let mut chain = Chain { logs: Vec::with_capacity(ids.len()), stillborn: Vec::new() };
        let mut elsewhere = BTreeSet::new();
        for id in ids {
            let start = match self.start(id) {
                Ok(start) => start,
                // A log whose creation never became durable took no transaction (W4); no other log names it.
                Err(error) if id != first && self.is_stillborn(id, &error)? => {
                    chain.stillborn.push(id);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let previous = start.previous_log;
            match chain.logs.last() {
                Some(_) if previous == 0 || elsewhere.contains(&previous) => {
                    elsewhere.insert(id);
                }
                Some((last, _)) if previous != *last => {
                    let detail = format!("log {id} says that log {previous} came before it");
                    return Err(self.inconsistent(previous, &detail));
                }
                _ => chain.logs.push((id, start)),
            }
        }
        Ok(chain)
    }

    /// What a log says of the one before it.
    pub(crate) fn start(&self, id: u64) -> Result<LogStart> {
        Ok(self.read_start_frame(id)?.0)
    }

    /// The first record of a log, framed as it would stand there if no log came before it (W6).
    pub(crate) fn first_of_chain(&self, id: u64) -> Result<Vec<u8>> {
        let (start, sequence, durable) = self.read_start_frame(id)?;
        let start = LogStart { previous_log: 0, previous_end: 0, ..start };
        let identity = Identity { store: self.store, file: id };
        let mut bytes = Vec::new();
        let mut frames = FrameWriter::new(identity, HEADER_BYTES as u64, sequence);
        frames.push(KIND_START, &start.encode(), durable, &mut bytes);
        Ok(bytes)
    }

    /// Goes on behind `from`: reads what was written since, in its log and in newer ones.
    pub(crate) fn resume(
        &self,
        from: Position,
        apply: &mut dyn FnMut(TransactionRecord) -> Result<()>,
    ) -> Result<Position> {
        let mut position = from;
        loop {
            // Without a readable successor, or with one that is being created, this log is the newest.
            let successor = list_logs(self.storage, position.log + 1)?.into_iter().find_map(|id| {
                let start = self.start(id).ok()?;
                (start.previous_log == position.log).then_some((id, start.previous_end))
            });
            let end = successor.map_or(End::Open, |(_, previous_end)| End::At(previous_end));
            position = self.read_log(position, Some(position.next_sequence), &end, apply)?.0;
            let Some((id, _)) = successor else { return Ok(position) };
            position = Position { log: id, offset: HEADER_BYTES as u64, ..position };
        }
    }

    fn path(&self, id: u64) -> String {
        self.storage.describe(&log_name(id))
    }

    fn inconsistent(&self, id: u64, detail: &str) -> Error {
        Error::Inconsistent { path: self.path(id), rule: "W6", offset: 0, detail: detail.to_owned() }
    }

    fn open(&self, id: u64) -> Result<Arc<dyn StorageFile>> {
        self.storage.open_read(&log_name(id)).map_err(|error| Error::io("opening", self.path(id), error))
    }

    /// A log, opened, and its length.
    fn open_with_length(&self, id: u64) -> Result<(Arc<dyn StorageFile>, u64)> {
        let file = self.open(id)?;
        let length = file.length().map_err(|error| Error::io("reading", self.path(id), error))?;
        Ok((file, length))
    }

    /// The first record, with the sequence number of its frame and what that calls durable.
    fn read_start_frame(&self, id: u64) -> Result<(LogStart, u64, u64)> {
        let identity = Identity { store: self.store, file: id };
        let (file, length) = self.open_with_length(id)?;
        let mut bytes = vec![0; length.min(HEADER_BYTES as u64 + 128) as usize];
        file.read_exact_at(0, &mut bytes).map_err(|error| Error::io("reading", self.path(id), error))?;
        let broken = |error| Error::format(self.path(id), error);
        FileHeader::check(&bytes, FileKind::Wal, &identity).map_err(broken)?;
        let mut frames = FrameReader::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, identity, None);
        match frames.next_frame().map_err(broken)? {
            Some(frame) if frame.kind == KIND_START && frame.first && frame.last => {
                let start = LogStart::decode(frame.payload);
                let start = start.map_err(|error| broken(error.shifted(frame.offset)))?;
                Ok((start, frame.sequence, frame.durable))
            }
            _ => Err(broken(FormatError::corrupt("W1", HEADER_BYTES as u64, "the log has no first record"))),
        }
    }

    /// Whether a log that cannot be read never became durable: damage, and not one whole frame in it.
    fn is_stillborn(&self, id: u64, error: &Error) -> Result<bool> {
        let damaged = match error {
            Error::Format { source, .. } => {
                source.kind == ErrorKind::Corrupt || source.kind == ErrorKind::Foreign
            }
            Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        };
        if !damaged {
            return Ok(false);
        }
        let identity = Identity { store: self.store, file: id };
        let (file, length) = match self.open_with_length(id) {
            Ok(opened) => opened,
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        // Creation writes header and first record, and is durable before a byte follows (W4): what is longer was born.
        if length > EMPTY_LOG_BYTES {
            return Ok(false);
        }
        let from = (HEADER_BYTES as u64).min(length);
        // Any frame at all, whatever its number: try every aligned place.
        let any =
            frames::find(&*file, identity, from..length, &|_, _| true, &|frame| frame.kind != KIND_START);
        let any = any.map_err(|error| Error::io("reading", self.path(id), error))?.is_some();
        Ok(!any)
    }

    /// Reads the records of one log from `from` on. `expected` is the sequence number that must come next, if known.
    fn read_log(
        &self,
        from: Position,
        expected: Option<u64>,
        end: &End,
        apply: &mut dyn FnMut(TransactionRecord) -> Result<()>,
    ) -> Result<(Position, Option<TornTail>)> {
        let id = from.log;
        let (file, length) = self.open_with_length(id)?;
        let (stop, may_be_torn) = match (end, self.visible.map(|visible| (visible.log.cmp(&id), visible.end)))
        {
            (End::At(end), _) => (*end, false),
            // The hint may be older than what was already read; it never takes anything back.
            (End::Open, Some((Equal, shown))) => (shown.clamp(from.offset, length.max(from.offset)), true),
            // The writer went on in this log since it was asked: what of it is acknowledged is not known (I12). Its first
            // record counts: it was durable before (W4).
            (End::Open, Some((Less, _))) => {
                (EMPTY_LOG_BYTES.clamp(from.offset, length.max(from.offset)), true)
            }
            (End::Open, None | Some((Greater, _))) => (length, true),
        };
        if stop > length || stop < from.offset {
            let detail = format!("{length} bytes, but its records end at {stop}");
            return Err(Error::Inconsistent { path: self.path(id), rule: "W5", offset: length, detail });
        }
        let identity = Identity { store: self.store, file: id };
        let broken = |error| Error::format(self.path(id), error);
        let mut frames = FrameStream::new(file, identity, from.offset, stop, expected);
        let mut assembler = RecordAssembler::default();
        let mut position = from;
        loop {
            let frame = match frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(Stop::Format(error)) if may_be_torn => {
                    self.check_torn(&frames, id, &error)?;
                    break;
                }
                Err(Stop::Format(error)) => return Err(broken(error)),
                Err(Stop::Io(error)) => return Err(Error::io("reading", self.path(id), error)),
            };
            let Some((kind, record)) = assembler.push(&frame).map_err(broken)? else { continue };
            match kind {
                KIND_START => {}
                KIND_TRANSACTION => {
                    let decoded = TransactionRecord::decode(record);
                    let decoded = decoded.map_err(|error| broken(error.shifted(frame.offset)))?;
                    apply(decoded).map_err(|error| self.name_log(id, frame.offset, error))?;
                }
                other => {
                    let detail = format!("unknown record kind {other}");
                    return Err(broken(FormatError::corrupt("W1", frame.offset, detail)));
                }
            }
            position.offset = frame.end();
            position.next_sequence = frame.sequence + 1;
        }
        if position.offset < stop && !may_be_torn {
            let detail = format!("records end at {}, {stop} expected", position.offset);
            let offset = position.offset;
            return Err(Error::Inconsistent { path: self.path(id), rule: "W5", offset, detail });
        }
        let torn = (position.offset < stop).then(|| TornTail {
            file: log_name(id),
            offset: position.offset,
            bytes: stop - position.offset,
        });
        Ok((position, torn))
    }

    /// Names the log in what is wrong with the transaction at an offset of it.
    fn name_log(&self, id: u64, offset: u64, error: Error) -> Error {
        match error {
            Error::Inconsistent { rule, detail, .. } => {
                Error::Inconsistent { path: self.path(id), rule, offset, detail }
            }
            other => other,
        }
    }

    /// W5: a bad frame is a torn tail unless a later one proves that it was durable.
    fn check_torn(&self, frames: &FrameStream, id: u64, error: &FormatError) -> Result<()> {
        let bad = frames.next_sequence().unwrap_or(0);
        let later = frames.find_later(|later| later.durable >= bad);
        match later.map_err(|error| Error::io("reading", self.path(id), error))? {
            Some(later) => {
                let detail = format!(
                    "{error}; a frame at offset {later} says that the missing one was durable: acknowledged data is damaged"
                );
                Err(Error::Inconsistent { path: self.path(id), rule: "W5", offset: error.offset, detail })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
