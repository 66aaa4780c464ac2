//! Logs: what is written is read again, ends that are torn are told from damage, and errors are told.

use super::*;
use crate::io::{MemoryStorage, failing::Failing};
use tapestore_format::wal::CommitKind;

const STORE: [u8; 16] = [4; 16];

fn transaction(version: u64) -> TransactionRecord {
    TransactionRecord {
        version,
        time: 0,
        kind: CommitKind::Write,
        message: "x".repeat(version as usize % 300),
        added: 0,
        updated: 0,
        deleted: 0,
        effects: Vec::new(),
    }
}

/// Two chained logs with transactions 1 to 10 and 11 to 20; every frame calls the one before it durable.
fn chain(storage: &dyn Storage) {
    let mut log =
        LogWriter::create(storage, STORE, 5, LogStart { previous_log: 0, previous_end: 0, version: 0 }, 1)
            .unwrap();
    for version in 1..=10 {
        append(&mut log, version);
    }
    let start = LogStart { previous_log: 5, previous_end: log.frames.offset(), version: 10 };
    let mut next = LogWriter::create(storage, STORE, 9, start, log.frames.next_sequence()).unwrap();
    for version in 11..=20 {
        append(&mut next, version);
    }
}

fn append(log: &mut LogWriter, version: u64) {
    let mut bytes = Vec::new();
    let at = log.frames.offset();
    let durable = log.frames.next_sequence() - 1;
    log.frames.push(KIND_TRANSACTION, &transaction(version).encode(), durable, &mut bytes);
    log.file.write_at(at, &bytes).unwrap();
}

fn replay(storage: &dyn Storage) -> Result<(Vec<u64>, Option<TornTail>)> {
    let reader = LogReader { storage, store: STORE, visible: None };
    let mut versions = Vec::new();
    let replayed = reader.replay(5, &mut |record| {
        versions.push(record.version);
        Ok(())
    })?;
    Ok((versions, replayed.torn))
}

#[test]
fn a_chain_of_logs_is_replayed_in_order() {
    let storage = MemoryStorage::new();
    chain(&storage);
    assert_eq!(replay(&storage).unwrap(), ((1..=20).collect(), None));
}

#[test]
fn every_truncation_of_the_newest_log_drops_whole_transactions_only() {
    let full = {
        let storage = MemoryStorage::new();
        chain(&storage);
        storage.length(&log_name(9)).unwrap()
    };
    for length in 0..full {
        let storage = MemoryStorage::new();
        chain(&storage);
        storage.open(&log_name(9)).unwrap().set_length(length).unwrap();
        let (versions, _) = replay(&storage).unwrap();
        assert!((10..20).contains(&versions.len()) && versions.iter().copied().eq(1..=versions.len() as u64));
    }
}

#[test]
fn damage_before_a_durable_frame_is_reported_never_cut() {
    let storage = MemoryStorage::new();
    chain(&storage);
    for (log, from) in [(5, 0), (9, HEADER_BYTES as u64)] {
        let file = storage.open(&log_name(log)).unwrap();
        let length = file.length().unwrap();
        // The last transaction of the newest log has no frame behind it: rot there looks like a torn tail.
        let last = if log == 9 { 24 + 40 + 20 } else { 0 };
        for position in from..length - last {
            let mut byte = [0];
            file.read_exact_at(position, &mut byte).unwrap();
            file.write_at(position, &[byte[0] ^ 0x40]).unwrap();
            let error = replay(&storage).expect_err("damage");
            // In a log that another one follows nothing can be torn: what is said is what is broken there.
            assert!(log == 9 || matches!(error, Error::Format { .. }), "log {log} byte {position}: {error}");
            file.write_at(position, &byte).unwrap();
        }
    }
}

/// Several frames of one write all call the same older frame durable; only later writes prove more.
#[test]
fn damage_inside_a_transaction_of_many_frames_is_reported() {
    let storage = MemoryStorage::new();
    let start = LogStart { previous_log: 0, previous_end: 0, version: 0 };
    let mut log = LogWriter::create(&storage, STORE, 5, start, 1).unwrap();
    let at = log.frames.offset();
    let drops = vec![tapestore_format::wal::Effect::Drop { series: 1 }; 5000];
    let large = TransactionRecord { effects: drops, ..transaction(1) };
    let mut bytes = Vec::new();
    log.frames.push(KIND_TRANSACTION, &large.encode(), 1, &mut bytes);
    log.file.write_at(at, &bytes).unwrap();
    append(&mut log, 2);
    let mut byte = [0];
    log.file.read_exact_at(at + 100, &mut byte).unwrap();
    log.file.write_at(at + 100, &[byte[0] ^ 1]).unwrap();
    assert!(replay(&storage).unwrap_err().to_string().contains("acknowledged data is damaged"));
}

#[test]
fn a_log_that_was_never_born_is_passed_over_wherever_it_stands() {
    let storage = MemoryStorage::new();
    chain(&storage);
    storage.create_new(&log_name(7)).unwrap().write_at(0, &[0; 40]).unwrap();
    storage.create_new(&log_name(12)).unwrap();
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    let mut count = 0;
    let replayed = reader
        .replay(5, &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((count, replayed.stillborn), (20, vec![7, 12]));
}

/// The beginning of the newest log and all that followed it were destroyed; it passed for one never born, and the
/// commits in it were gone without a word.
#[test]
fn a_log_longer_than_its_beginning_is_damaged_and_not_stillborn() {
    let length = |log: &Arc<dyn StorageFile>| log.length().unwrap() as usize;
    let destroyed: [fn(usize) -> Vec<u8>; 3] =
        [|length| vec![0; length], |length| vec![0xFF; length], |_| vec![0; EMPTY_LOG_BYTES as usize + 1]];
    for destroy in destroyed {
        let storage = MemoryStorage::new();
        chain(&storage);
        let log = storage.open(&log_name(9)).unwrap();
        let content = destroy(length(&log));
        log.set_length(content.len() as u64).unwrap();
        log.write_at(0, &content).unwrap();
        assert!(replay(&storage).unwrap_err().to_string().contains("wal-000000000009.tape"));
    }
    // Whole, but another log: exchanged by hand.
    let storage = MemoryStorage::new();
    chain(&storage);
    let other = storage.open(&log_name(5)).unwrap().read_all(1 << 20).unwrap();
    storage.open(&log_name(9)).unwrap().write_at(0, &other).unwrap();
    assert!(replay(&storage).unwrap_err().to_string().contains("this is file 5"));
}

/// What a backup leaves beside an older one, if it is cut off: a log that names none before it, and its successors.
#[test]
fn another_chain_is_passed_over_and_the_chain_goes_on_behind_it() {
    let storage = MemoryStorage::new();
    chain(&storage);
    let end = storage.length(&log_name(9)).unwrap();
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    let cut = reader.first_of_chain(9).unwrap();
    let append_log = |id, previous_log, previous_end, version, sequence| {
        let start = LogStart { previous_log, previous_end, version };
        let mut log = LogWriter::create(&storage, STORE, id, start, sequence).unwrap();
        append(&mut log, version + 1);
    };
    let next_sequence = reader.replay(5, &mut |_| Ok(())).unwrap().end.next_sequence;
    append_log(12, 0, 0, 70, 400);
    append_log(15, 12, 200, 71, 402);
    append_log(20, 9, end, 20, next_sequence);
    assert_eq!(replay(&storage).unwrap(), ((1..=21).collect(), None));
    let replayed = reader.replay(5, &mut |_| Ok(())).unwrap();
    assert_eq!((replayed.chain, replayed.end.log), (vec![5, 9, 20], 20));
    // The first of the other chain is missing: what its successor follows is unknown.
    storage.remove(&log_name(12)).unwrap();
    assert!(replay(&storage).unwrap_err().to_string().contains("rule W6"));
    storage.remove(&log_name(15)).unwrap();
    assert_eq!(replay(&storage).unwrap().0.len(), 21);
    // A log of the chain that is made the first of another one takes its successors with it.
    storage.open(&log_name(9)).unwrap().write_at(HEADER_BYTES as u64, &cut).unwrap();
    assert_eq!(replay(&storage).unwrap().0, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_missing_log_is_named() {
    let storage = MemoryStorage::new();
    chain(&storage);
    storage.remove(&log_name(5)).unwrap();
    assert!(replay(&storage).unwrap_err().to_string().contains("wal-000000000005.tape"));
}

#[test]
fn the_visible_mark_hides_what_is_not_yet_acknowledged() {
    let storage = MemoryStorage::new();
    chain(&storage);
    let mut log_ends = Vec::new();
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    let mut stop = None;
    let end = reader
        .replay(5, &mut |record| {
            log_ends.push(record.version);
            Ok(())
        })
        .unwrap()
        .end;
    for cut in (HEADER_BYTES as u64..=end.offset).step_by(8) {
        let reader =
            LogReader { storage: &storage, store: STORE, visible: Some(Visible { log: 9, end: cut }) };
        let mut count = 0;
        let position = reader
            .replay(5, &mut |_| {
                count += 1;
                Ok(())
            })
            .unwrap()
            .end;
        assert!(position.offset <= cut.max(HEADER_BYTES as u64));
        stop = Some((position, count));
    }
    let (position, count) = stop.unwrap();
    assert_eq!((position.offset, count), (end.offset, 20));
    let hint = Visible { log: 3, end: 77 };
    assert_eq!(Visible::decode(&hint.encode(STORE), STORE), Some(hint));
    assert_eq!(Visible::decode(&hint.encode(STORE), [5; 16]), None);
}

/// What the logs say that begin with log 5: what [`replay`] says, and an error of this rule.
fn refused(storage: &MemoryStorage, rule: &str) -> String {
    let error = replay(storage).expect_err("refused").to_string();
    assert!(error.contains(&format!("rule {rule}")), "{error}");
    error
}

/// Begins log 5, with one transaction.
fn first_log(storage: &MemoryStorage) -> LogWriter {
    let start = LogStart { previous_log: 0, previous_end: 0, version: 0 };
    let mut log = LogWriter::create(storage, STORE, 5, start, 1).unwrap();
    append(&mut log, 1);
    log
}

/// A transaction that takes several frames.
fn long_transaction(version: u64) -> TransactionRecord {
    let drops = vec![tapestore_format::wal::Effect::Drop { series: 1 }; 5000];
    TransactionRecord { effects: drops, ..transaction(version) }
}

#[test]
fn a_follower_goes_on_where_it_stands_through_newer_logs() {
    let storage = MemoryStorage::new();
    let mut log = first_log(&storage);
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    let mut versions = Vec::new();
    let mut resume = |from: Position| {
        versions.clear();
        let position = reader.resume(from, &mut |record| {
            versions.push(record.version);
            Ok(())
        });
        (position.unwrap(), versions.clone())
    };
    let begin = Position { log: 5, offset: HEADER_BYTES as u64, next_sequence: 1 };
    let (position, seen) = resume(begin);
    let expected =
        Position { log: 5, offset: log.frames.offset(), next_sequence: log.frames.next_sequence() };
    assert_eq!((position, seen), (expected, vec![1]));
    assert_eq!(resume(position), (expected, vec![]), "nothing new");
    append(&mut log, 2);
    let start = LogStart { previous_log: 5, previous_end: log.frames.offset(), version: 2 };
    let mut log = LogWriter::create(&storage, STORE, 9, start, log.frames.next_sequence()).unwrap();
    append(&mut log, 3);
    let start = LogStart { previous_log: 9, previous_end: log.frames.offset(), version: 3 };
    let log = LogWriter::create(&storage, STORE, 12, start, log.frames.next_sequence()).unwrap();
    let (position, seen) = resume(position);
    let expected = Position { log: 12, offset: EMPTY_LOG_BYTES, next_sequence: log.frames.next_sequence() };
    assert_eq!((position, seen), (expected, vec![2, 3]));
    assert_eq!(resume(position), (expected, vec![]), "nothing new");
}

#[test]
fn the_end_of_a_chain_and_what_is_torn_behind_it_are_told_to_the_byte() {
    let storage = MemoryStorage::new();
    let mut log = first_log(&storage);
    let (end, next_sequence) = (log.frames.offset(), log.frames.next_sequence());
    append(&mut log, 2);
    let whole = log.frames.offset();
    log.file.set_length(whole - 3).unwrap();
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    let replayed = reader.replay(5, &mut |_| Ok(())).unwrap();
    assert_eq!(replayed.end, Position { log: 5, offset: end, next_sequence });
    let torn = TornTail { file: log_name(5), offset: end, bytes: whole - 3 - end };
    assert_eq!(replayed.torn, Some(torn));
    log.file.set_length(end).unwrap();
    assert_eq!(replay(&storage).unwrap(), (vec![1], None));
}

#[test]
fn a_log_that_does_not_fit_the_one_before_it_is_refused() {
    // Its frames do not go on with the numbers of the log before.
    let storage = MemoryStorage::new();
    let log = first_log(&storage);
    let start = LogStart { previous_log: 5, previous_end: log.frames.offset(), version: 1 };
    LogWriter::create(&storage, STORE, 9, start, log.frames.next_sequence() + 1).unwrap();
    assert!(replay(&storage).is_err());
    // It says that the log before ends behind the end of that, or inside a record of it.
    for (length, inside) in [(8, false), (0, true)] {
        let storage = MemoryStorage::new();
        let mut log = first_log(&storage);
        let at = log.frames.offset();
        let mut bytes = Vec::new();
        log.frames.push(KIND_TRANSACTION, &long_transaction(2).encode(), 1, &mut bytes);
        log.file.write_at(at, &bytes).unwrap();
        let (mut end, mut next) = (log.frames.offset() + length, log.frames.next_sequence());
        if inside {
            let identity = Identity { store: STORE, file: 5 };
            let mut frames = FrameReader::new(&bytes, at, identity, None);
            let first = frames.next_frame().ok().flatten().unwrap();
            (end, next) = (first.end(), first.sequence + 1);
        }
        let start = LogStart { previous_log: 5, previous_end: end, version: 2 };
        LogWriter::create(&storage, STORE, 9, start, next).unwrap();
        let error = refused(&storage, "W5");
        assert!(error.contains(&format!("{end}")) && error.contains("wal-000000000005"), "{error}");
    }
}

#[test]
fn damage_of_several_frames_before_a_durable_one_is_reported() {
    let storage = MemoryStorage::new();
    let mut log = first_log(&storage);
    let mut ends = Vec::new();
    for version in 2..=12 {
        append(&mut log, version);
        ends.push(log.frames.offset());
    }
    // All frames but the last, from the second transaction on.
    let (from, to) = (ends[0] as usize, ends[9] as usize);
    log.file.write_at(from as u64, &vec![0x55; to - from]).unwrap();
    assert!(refused(&storage, "W5").contains("acknowledged data is damaged"));
    log.file.set_length(to as u64).unwrap();
    assert_eq!(replay(&storage).unwrap().0, [1, 2], "a torn end");
}

#[test]
fn the_first_record_of_a_log_is_its_start() {
    let start = LogStart { previous_log: 0, previous_end: 0, version: 0 };
    let identity = Identity { store: STORE, file: 5 };
    let first = |kind: u8, record: &[u8]| {
        let storage = MemoryStorage::new();
        let mut bytes = FileHeader::new(FileKind::Wal, identity).encode().to_vec();
        FrameWriter::new(identity, HEADER_BYTES as u64, 1).push(kind, record, 0, &mut bytes);
        storage.create_new(&log_name(5)).unwrap().write_at(0, &bytes).unwrap();
        replay(&storage)
    };
    assert_eq!(first(KIND_START, &start.encode()).unwrap(), (vec![], None));
    for record in [start.encode(), transaction(1).encode()] {
        let error = first(KIND_TRANSACTION, &record).expect_err("refused").to_string();
        assert!(error.contains("the log has no first record"), "{error}");
    }
}

#[test]
fn the_start_of_a_log_is_told_and_made_that_of_a_first_one() {
    let storage = MemoryStorage::new();
    chain(&storage);
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    let start = reader.start(9).expect("it can be read");
    assert_eq!((start.previous_log, start.version), (5, 10));
    assert!(start.previous_end > EMPTY_LOG_BYTES);
    assert!(reader.start(7).is_err());
    let framed = reader.first_of_chain(9).unwrap();
    let identity = Identity { store: STORE, file: 9 };
    let mut frames = FrameReader::new(&framed, HEADER_BYTES as u64, identity, None);
    let frame = frames.next_frame().ok().flatten().unwrap();
    let first = LogStart::decode(frame.payload).unwrap();
    assert_eq!(first, LogStart { previous_log: 0, previous_end: 0, version: 10 });
}

#[test]
fn a_writer_that_went_on_in_a_newer_log_shows_the_beginning_of_that() {
    let storage = MemoryStorage::new();
    chain(&storage);
    let shown = |log: u64| {
        let visible = Some(Visible { log, end: 100 });
        let mut count = 0;
        let reader = LogReader { storage: &storage, store: STORE, visible };
        let end = reader.replay(5, &mut |_| {
            count += 1;
            Ok(())
        });
        (count, end.unwrap().end.offset)
    };
    assert_eq!(shown(5), (10, EMPTY_LOG_BYTES));
    let length = storage.length(&log_name(9)).unwrap();
    assert_eq!(shown(12), (20, length), "the log that it writes is not there yet");
}

/// Neither whole nor newer than what can be read: only damage makes a log one that was never born.
#[test]
fn a_log_with_a_newer_feature_is_not_stillborn() {
    let storage = MemoryStorage::new();
    chain(&storage);
    let log = storage.create_new(&log_name(12)).unwrap();
    let mut header = FileHeader::new(FileKind::Wal, Identity { store: STORE, file: 12 });
    header.required = 1 << 31;
    log.write_at(0, &header.encode()).unwrap();
    assert!(replay(&storage).unwrap_err().to_string().contains("newer"));
    // Exactly a beginning, of nothing that is a frame: never born.
    log.write_at(0, &vec![0; EMPTY_LOG_BYTES as usize]).unwrap();
    assert_eq!(replay(&storage).unwrap().0.len(), 20);
}

/// A log that the directory lists and that is gone when it is opened took no transaction that counts; one that cannot be
/// opened may have.
#[test]
fn a_log_that_vanishes_is_passed_over_and_one_that_cannot_be_opened_is_named() {
    let storage = Failing::default();
    chain(&storage);
    storage.ghosts.lock().unwrap().push(log_name(12));
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    let replayed = reader.replay(5, &mut |_| Ok(())).unwrap();
    assert_eq!((replayed.chain, replayed.stillborn), (vec![5, 9], vec![12]));
    storage.refuse(&log_name(9), io::ErrorKind::PermissionDenied);
    let error = replay(&storage).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains(&log_name(9)), "{error}");
}

#[test]
fn a_log_that_took_nothing_may_be_damaged() {
    let storage = MemoryStorage::new();
    chain(&storage);
    let start = LogStart { previous_log: 9, previous_end: 400, version: 20 };
    let log = LogWriter::create(&storage, STORE, 12, start, 90).unwrap();
    log.file.write_at(20, &[0x55; 8]).unwrap();
    let reader = LogReader { storage: &storage, store: STORE, visible: None };
    assert_eq!(reader.replay(5, &mut |_| Ok(())).unwrap().stillborn, [12]);
}

#[test]
fn the_hint_of_what_is_visible_is_opened_or_made_and_errors_are_told() {
    let storage = Failing::default();
    Visible::open(&storage).unwrap().write_at(0, b"kept").unwrap();
    assert_eq!(Visible::open(&storage).unwrap().read_all(8).unwrap(), b"kept");
    storage.refuse_new(VISIBLE, io::ErrorKind::PermissionDenied);
    assert!(Visible::open(&storage).unwrap_err().to_string().contains("visible"));
}

/// The beginning of a log is damaged, and whether anything follows cannot be read: it may have taken transactions.
#[test]
fn a_damaged_log_that_cannot_be_opened_again_is_not_stillborn() {
    let storage = Failing::default();
    chain(&storage);
    storage.inner.open(&log_name(9)).unwrap().write_at(HEADER_BYTES as u64, &[0x55; 8]).unwrap();
    let damaged = replay(&storage).unwrap_err();
    assert!(matches!(damaged, Error::Format { .. }), "{damaged}");
    // It is opened once before it is known to be damaged.
    storage.refuse_after(1, &log_name(9), io::ErrorKind::PermissionDenied);
    let error = replay(&storage).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains(&log_name(9)), "{error}");
}
