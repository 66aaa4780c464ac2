//! Whole stores: a directory of changed files, opened for reading and for writing, verified, and read through.

use std::ops::ControlFlow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use tapestore::io::{MemoryStorage, Storage};
use tapestore::{
    Batch, Durability, Error, ErrorClass, Finding, Loss, LossKind, Options, SeriesKey, Store, Values,
    salvage_storage, schema, verify_storage,
};

use crate::corpus::stores;
use crate::{Outcome, Target, mend};

/// Rows of a series that are read, at most: a crafted store may claim billions.
const READ_ROWS: usize = 20_000;
/// Longest name of a file.
const NAME_BYTES: usize = 40;

/// A store: for each file a byte with the length of its name, the name, four bytes with its length, and its bytes.
pub(super) const STORE: Target = Target {
    name: "store",
    smoke: 48_000,
    longest: 20_000,
    fixed: true,
    // Rows of a few chunks of 65,536, and what a segment may take.
    bound: |length| 64 * (1 << 20) + 5000 * length,
    seeds: all_seeds,
    mend: |bytes| mended(bytes),
    check: store,
};

/// The same bytes as a store to be salvaged.
pub(super) const SALVAGE: Target = Target {
    name: "salvage",
    smoke: 6_000,
    // As above, and the new store beside the old one.
    bound: |length| 128 * (1 << 20) + 5000 * length,
    check: salvage,
    ..STORE
};

fn all_seeds() -> Vec<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEEDS
        .get_or_init(|| {
            let golden = stores(15_000).into_iter().map(|files| pack(&files));
            small().into_iter().chain(golden).collect()
        })
        .clone()
}

fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

/// The files: their names, and where they stand in the input.
fn files(input: &[u8]) -> Vec<(String, Range<usize>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(length) = input.get(at).map(|byte| usize::from(*byte).min(NAME_BYTES)) {
        let Some(name) = input.get(at + 1..at + 1 + length) else { break };
        let start = at + 5 + length;
        let Some(bytes) = input.get(start - 4..start) else { break };
        let bytes = u32::from_le_bytes(std::array::from_fn(|index| bytes[index])) as usize;
        let end = start.saturating_add(bytes).min(input.len());
        out.push((String::from_utf8_lossy(name).into_owned(), start..end));
        at = end;
    }
    out
}

fn mended(input: &mut [u8]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    for (name, file) in files(input) {
        let start = file.start;
        let bytes = &mut input[file.clone()];
        let found = if name.starts_with("segment-") {
            mend::segment(bytes)
        } else if name.starts_with("wal-") || name.starts_with("manifest-") {
            mend::log(bytes)
        } else {
            if name == "CURRENT" {
                mend::head(bytes);
            }
            std::iter::once(0..bytes.len()).collect()
        };
        places.extend(found.into_iter().map(|place| start + place.start..start + place.end));
    }
    places
}

fn options() -> Options {
    Options {
        background: false,
        cache_bytes: 1 << 20,
        durability: Durability::Appended,
        reserve_bytes: 0,
        ..Options::default()
    }
}

/// Stores of a few rows with everything in them, made by the engine.
fn small() -> Vec<Vec<u8>> {
    (0..4)
        .map(|manner| {
            let storage = MemoryStorage::new();
            storage.set_now_ns(1_704_110_400_000_000_000);
            make(&storage, manner).expect("a small store can be made");
            let files: Vec<(String, Vec<u8>)> = storage
                .files()
                .into_iter()
                .map(|(name, bytes)| (name, trimmed(&bytes).to_vec()))
                .filter(|file| !file.0.contains('/'))
                .collect();
            pack(&files)
        })
        .collect()
}

/// Without the zeros at the end that a log is preallocated with, but for some.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    if zeros > 200 { &bytes[..(bytes.len() - zeros).next_multiple_of(8) + 64] } else { bytes }
}

fn make(storage: &MemoryStorage, manner: u32) -> Result<(), Error> {
    let store = Store::create_on(Arc::new(storage.clone()), options())?;
    let bars = SeriesKey::new("A.B", "1m")?;
    let table = SeriesKey::new("C.D", "table")?;
    let minute = 60_000_000_000;
    for version in 0..3i64 {
        let mut transaction = store.begin();
        transaction.source("fuzz").message("some rows");
        transaction.create_series(&bars, schema::bars())?;
        let times: Vec<i64> = (0..6).map(|n| (n * 2 + version) * minute).collect();
        let mut batch = Batch::new(times);
        for column in ["open", "high", "low", "close", "volume"] {
            batch = batch.with(column, Values::F64((0..6).map(|n| 93.25 + f64::from(n)).collect()));
        }
        transaction.upsert(&bars, batch)?;
        transaction.create_series(&table, schema::bars())?;
        if version == 2 {
            transaction.delete_range(&bars, 0..3 * minute)?;
            transaction.confirm_absent(&bars, 100 * minute..120 * minute)?;
        }
        transaction.commit()?;
        if manner > 0 && version == 1 {
            store.seal()?;
            store.create_snapshot("one", None)?;
        }
    }
    if manner > 1 {
        store.seal()?;
    }
    if manner > 2 {
        store.compact()?;
    }
    store.close()
}

fn storage_of(input: &[u8]) -> Arc<dyn Storage> {
    let memory = MemoryStorage::new();
    memory.set_now_ns(1_704_196_800_000_000_000);
    for (name, file) in files(input) {
        let Ok(made) = memory.create_new(&name) else { continue };
        made.write_at(0, &input[file]).expect("a file in memory can be written");
    }
    Arc::new(memory)
}

fn store(input: &[u8]) -> Outcome {
    let storage = storage_of(input);
    let findings = match verify_storage(&storage, true) {
        Ok(findings) => findings,
        Err(error) => {
            let opened = Store::open_read_only_on(Arc::clone(&storage), options());
            assert!(opened.is_err(), "what cannot be verified does not open");
            return refused(&error);
        }
    };
    let damage = findings.iter().any(|finding| finding.damage);
    let read = Store::open_read_only_on(Arc::clone(&storage), options()).and_then(|store| {
        let seen = read_all(&store, damage)?;
        store.close()?;
        Ok(seen)
    });
    assert!(damage || read.is_ok(), "verification finds no damage, and reading fails: {:?}", read.err());
    let written = write(&storage);
    // A store may stand at its last version, or the last number of a file.
    let at_an_end = written.as_ref().is_err_and(|error| error.kind() == ErrorClass::Limit);
    assert!(
        damage || at_an_end || written.is_ok(),
        "verification finds no damage, and writing fails: {:?}",
        written.err()
    );
    if !damage {
        let after = verify_storage(&storage, true).expect("a store is there");
        assert_eq!(after, Vec::<Finding>::new(), "a sound store that is written to is sound");
    }
    match (read, findings.first()) {
        (Ok(seen), None) => Outcome::Accepted(seen),
        (Ok(seen), Some(_)) => Outcome::Refused("findings", seen),
        (Err(error), _) => refused(&error),
    }
}

/// A sound store is saved whole. Of any other, what is saved makes a sound store, or is refused: bytes with right
/// checksums that contradict one another were never damaged, but made.
fn salvage(input: &[u8]) -> Outcome {
    let from = storage_of(input);
    let sound = verify_storage(&from, true).is_ok_and(|findings| findings.is_empty());
    let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let report = match salvage_storage(&from, &to) {
        Ok(report) => report,
        Err(error) => {
            // A file of a newer version may stand beside a store that does not name it.
            let newer = error.kind() == ErrorClass::Newer;
            assert!(newer || !sound, "a sound store is not saved: {error}");
            return refused(&error);
        }
    };
    // A snapshot of a version that was never made is no damage (Y5), nor is a column that no schema names: neither is
    // saved, and nobody could read them.
    let nameless = |loss: &Loss| {
        loss.kind == LossKind::Values
            && loss.column.as_ref().is_some_and(|column| column.starts_with("column "))
    };
    let spared = |loss: &Loss| loss.kind == LossKind::Snapshot || nameless(loss);
    let whole = report.unknown.is_empty() && report.losses.iter().all(spared);
    assert!(whole || !sound, "a sound store lost something: {report:?}");
    let read = Store::open_read_only_on(to, options()).and_then(|store| {
        let seen = read_all(&store, false)?;
        store.close()?;
        Ok(seen)
    });
    match read {
        Ok(seen) if report.is_complete() => Outcome::Accepted(seen),
        Ok(seen) => Outcome::Refused("losses", seen),
        Err(error) => panic!("what was saved cannot be read: {error}"),
    }
}

fn refused(error: &Error) -> Outcome {
    match error {
        Error::Format { source, .. } => Outcome::Refused(source.rule, 1),
        Error::Inconsistent { rule, .. } => Outcome::Refused(rule, 2),
        other => {
            assert!(
                !matches!(other.kind(), ErrorClass::Poisoned | ErrorClass::Locked),
                "nobody else is there: {other}"
            );
            Outcome::Refused("store", other.to_string().len() as u64 % 64)
        }
    }
}

/// Reads everything there is to read, once.
fn read_all(store: &Store, damage: bool) -> Result<u64, Error> {
    let view = store.view();
    let mut seen = 0u64;
    for key in view.keys() {
        let info = view.info(&key)?;
        let mut rows = 0;
        view.read(&key).provenance().visit(|page| {
            rows += page.len();
            if rows > READ_ROWS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        // Counted through indexes, which verification holds against the rows.
        let same = damage || rows > READ_ROWS || rows as u64 == info.rows;
        assert!(same, "{key}: {rows} rows read, {} counted", info.rows);
        view.latest(&key)?;
        view.absences(&key)?;
        if key.frame().timeframe().is_some() {
            view.gaps(&key, None)?;
            view.coverage(&key, None)?;
        }
        seen = seen.wrapping_mul(31).wrapping_add(rows.min(30) as u64);
    }
    store.log(10)?;
    store.stats()?;
    for snapshot in store.snapshots() {
        // A manifest may name a version that was never made (Y5): refused, and no damage.
        let Ok(old) = store.as_of(&tapestore::AsOf::Snapshot(snapshot.name)) else { continue };
        for key in old.keys() {
            old.count(&key, i64::MIN..i64::MAX)?;
        }
    }
    Ok(seen)
}

/// Opens for writing, commits a row to a series of its own, seals and closes.
fn write(storage: &Arc<dyn Storage>) -> Result<(), Error> {
    let store = Store::open_on(Arc::clone(storage), options())?;
    let key = SeriesKey::new("NEW.FUZZ", "1m")?;
    let mut transaction = store.begin();
    transaction.source("fuzz").create_series(&key, schema::bars())?;
    let mut batch = Batch::new(vec![0]);
    for column in ["open", "high", "low", "close", "volume"] {
        batch = batch.with(column, Values::F64(vec![1.5]));
    }
    transaction.upsert(&key, batch)?;
    let version = transaction.commit()?.version;
    assert_eq!(store.view().count(&key, i64::MIN..i64::MAX)?, 1, "version {version}");
    store.seal()?;
    store.close()
}
