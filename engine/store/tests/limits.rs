//! Opening costs a bounded amount of memory, whatever the files hold.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tapestore::io::{MemoryStorage, RealStorage, Storage};
use tapestore::schema::SchemaBuilder;
use tapestore::{
    AsOf, Batch, ColumnType, CommitKind, Durability, Options, SeriesKey, Store, Values, salvage_storage,
    verify_storage,
};
use tapestore_format::checksum::Identity;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::log::FrameWriter;
use tapestore_format::manifest::{Current, ManifestRecord, StateRecord};
use tapestore_format::rows::{Mark, MarkKind, Strings};
use tapestore_format::segment::{PartSpec, Segment, SegmentWriter, Tier, Verified};
use tapestore_format::wal::{Effect, KIND_START, KIND_TRANSACTION, LogStart, TransactionRecord};

/// Counts what is held, and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `limits.md` promises: for each byte of logs and manifest, and besides.
const BYTES_PER_BYTE: usize = 128;
const BASE_BYTES: usize = 16 << 20;

/// The same for the index of a part.
const INDEX_BYTES_PER_BYTE: usize = 16;

const STORE: [u8; 16] = [5; 16];

/// The most memory that was taken meanwhile.
fn most<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let out = run();
    (out, MOST.load(Ordering::Relaxed) - before)
}

fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) {
    storage.create_new(name).unwrap().write_at(0, bytes).unwrap();
}

/// A store whose one log holds these records, framed as they should be.
fn store_of(records: &[(u8, Vec<u8>)]) -> Arc<dyn Storage> {
    let storage = MemoryStorage::new();
    storage.create_dir("leases").unwrap();
    let framed = |file: u64, kind: FileKind, first: u64, records: &[(u8, Vec<u8>)]| {
        let identity = Identity { store: STORE, file };
        let mut bytes = FileHeader::new(kind, identity).encode().to_vec();
        let mut frames = FrameWriter::new(identity, HEADER_BYTES as u64, first);
        for (kind, record) in records {
            frames.push(*kind, record, 0, &mut bytes);
        }
        bytes
    };
    let state = StateRecord { first_log: 1, next_file: 3, step: 1, ..StateRecord::default() };
    let state = ManifestRecord::State(state);
    let manifest = framed(2, FileKind::Manifest, 0, &[(state.kind(), state.encode())]);
    let current = Current { store: STORE, manifest: 2, length: manifest.len() as u64, step: 1, created: 0 };
    let start = LogStart { previous_log: 0, previous_end: 0, version: 0 };
    let mut log = vec![(KIND_START, start.encode())];
    log.extend_from_slice(records);
    put(&storage, "wal-000000000001.tape", &framed(1, FileKind::Wal, 1, &log));
    put(&storage, "manifest-000000000002.tape", &manifest);
    put(&storage, "CURRENT", &current.encode());
    Arc::new(storage)
}

fn commit(version: u64, effects: Vec<Effect>) -> Vec<u8> {
    let (time, kind, message) = (0, CommitKind::Write, String::new());
    TransactionRecord { version, time, kind, message, added: 0, updated: 0, deleted: 0, effects }.encode()
}

fn options() -> Options {
    Options { background: false, ..Options::default() }
}

/// Opens, verifies and salvages; none of it takes more than the bound for this many bytes.
fn within_bound(name: &str, storage: &Arc<dyn Storage>, bytes: usize) -> f64 {
    let bound = BYTES_PER_BYTE * bytes + BASE_BYTES;
    let ((), opened) = most(|| drop(Store::open_read_only_on(storage.clone(), options())));
    let ((), verified) = most(|| drop(verify_storage(storage, true)));
    assert!(opened <= bound && verified <= bound, "{name}: {opened} and {verified} bytes of {bound}");
    // What is saved goes to files, not to memory. The longest log or manifest is held whole.
    let place = tempfile::tempdir().unwrap();
    let to: Arc<dyn Storage> = Arc::new(RealStorage::new(place.path().join("saved")));
    let longest = storage.list("").unwrap().iter().map(|file| file.1).max().unwrap_or(0) as usize;
    let ((), salvaged) = most(|| drop(salvage_storage(storage, &to)));
    assert!(salvaged <= bound + longest, "{name}: salvage took {salvaged} bytes of {bound} and {longest}");
    opened.max(verified) as f64 / bytes as f64
}

/// Reading the index of a part made of the smallest entries there are; what it took for each of its bytes.
fn index_within_bound() -> f64 {
    let identity = Identity { store: STORE, file: 4 };
    let mut writer = SegmentWriter::new(identity, Tier::Dense);
    writer.begin_part(PartSpec { series: 1, timeframe: None, columns: Vec::new(), unique: true, ohlc: None });
    let mark = |at: i64| Mark { kind: MarkKind::Delete, start: at, end: at + 1, version: 1 };
    (0..200_000).for_each(|at| writer.push_mark(mark(at % 60)));
    writer.end_part();
    writer.finish();
    let bytes = std::mem::take(writer.output());
    drop(writer);
    let verified = Verified::new(bytes.len() as u64);
    let segment = Segment::open(&bytes, identity, &verified).unwrap();
    let (index, taken) = most(|| segment.part(0).unwrap());
    assert_eq!(index.marks.len(), 200_000);
    assert!(bytes.len() < 200_000 * 5, "{} bytes: the entries are not the smallest", bytes.len());
    assert!(taken <= INDEX_BYTES_PER_BYTE * bytes.len(), "{taken} bytes for an index of {}", bytes.len());
    taken as f64 / bytes.len() as f64
}

/// What `limits.md` promises of rows, beside those that the caller asked for and those of the chunks that are written.
const ROWS_BYTES: usize = 256 << 20;

/// Rows that take next to nothing in files, and half a gibibyte in memory: one long text, again and again, in history. What
/// reading some of an old version took, what it took to tell what changed, and what compactions took: of one segment, of many.
fn history_within_bound() -> [usize; 4] {
    const TEXT: usize = 1024;
    const ROWS: i64 = 8192;
    const ROUNDS: i64 = 64;
    let options = Options { background: false, cache_bytes: 1 << 20, ..Options::default() };
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), options.clone()).unwrap();
    let key = SeriesKey::new("A", "notes").unwrap();
    let schema = SchemaBuilder::unique().column("round", ColumnType::I64).column("text", ColumnType::String);
    let schema = schema.build().unwrap();
    for round in 0..ROUNDS {
        let mut transaction = store.begin();
        transaction.create_series(&key, schema.clone()).unwrap();
        let text: Strings = std::iter::repeat_n("x".repeat(TEXT), ROWS as usize).collect();
        let batch = Batch::new((0..ROWS).collect())
            .with("round", Values::I64(vec![round; ROWS as usize]))
            .with("text", Values::Str(text));
        transaction.upsert(&key, batch).unwrap();
        transaction.commit_with(Durability::Appended).unwrap();
        store.seal().unwrap();
    }
    let (report, merged) = most(|| store.compact().unwrap());
    assert!(report.segments_before as i64 == ROUNDS && report.rows as i64 >= ROWS);
    drop(store);
    let store = Store::open_on(storage, options).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!(stats.history_rows as i64, ROWS * (ROUNDS - 1));
    assert!(stats.segment_bytes < 4 << 20, "{} bytes", stats.segment_bytes);
    let version = 1 + ROUNDS as u64 / 2;
    let some = || {
        let view = store.as_of(&AsOf::Version(version)).unwrap();
        view.read(&key).range(1000..1100).rows().unwrap()
    };
    let (rows, read) = most(some);
    assert_eq!(rows.i64("round").unwrap(), vec![version as i64 - 1; 100]);
    let (changes, told) = most(|| store.view().changes_since(&key, version, 0).unwrap().unwrap());
    assert_eq!(changes, [0..ROWS]);
    let (report, compacted) = most(|| store.compact_to(Tier::Hot).unwrap());
    assert!(report.rows as i64 >= ROWS);
    assert_eq!(some(), rows);
    // The chunk of history that is being written, in a buffer that doubles, and what it is doubled from.
    let written = 3 * 65_536 * TEXT;
    assert!(read < ROWS_BYTES / 8 && told < ROWS_BYTES / 8, "{read} and {told} bytes");
    assert!(
        compacted < ROWS_BYTES + written && merged < ROWS_BYTES + written,
        "{compacted} and {merged} bytes"
    );
    [read, told, compacted, merged]
}

/// One test, since the allocator counts for the whole process.
#[test]
fn no_content_of_logs_and_manifests_costs_more_than_the_stated_bound() {
    let (mut cases, mut worst) = (0u32, 0.0f64);
    let mut check = |name: &str, storage: &Arc<dyn Storage>| {
        let bytes: u64 = storage.list("").unwrap().iter().map(|file| file.1).sum();
        let found = within_bound(name, storage, bytes as usize);
        cases += 1;
        if bytes > 1 << 20 {
            worst = worst.max(found);
        }
    };
    // The smallest effects there are, as many as fit; the smallest commits.
    check("drops", &store_of(&[(KIND_TRANSACTION, commit(1, vec![Effect::Drop { series: 1 }; 400_000]))]));
    let commits: Vec<_> =
        (1..40_000).map(|version| (KIND_TRANSACTION, commit(version, Vec::new()))).collect();
    check("commits", &store_of(&commits));
    // Every count at its most, with nothing behind it.
    let prefix = commit(1, Vec::new());
    let without_count = &prefix[..prefix.len() - 1];
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let rows = |tail: &[u8]| [without_count, &[1, 4, 1, 0, 0, 0], tail].concat();
    for (name, record) in [
        ("effects", [without_count, &huge].concat()),
        ("rows", rows(&[0xff; 4])),
        ("runs", rows(&[&[0, 0, 0, 0], &huge[..]].concat())),
        ("columns", rows(&[0, 0, 0, 0, 0, 0, 0xff, 0xff])),
        ("columns that are allowed", rows(&[0, 0, 0, 0, 0, 0, 1, 4])),
        (
            "columns of a schema",
            [without_count, &[1, 2, 1, 0, 0, 0, 1, 0, b'A', 2, 0, b'1', b'm', 0xff, 0xff]].concat(),
        ),
    ] {
        check(name, &store_of(&[(KIND_TRANSACTION, record)]));
    }
    // `CURRENT` counts more bytes than there are; a log names an end beyond all files.
    let storage = store_of(&[]);
    let file = storage.open("CURRENT").unwrap();
    let current = Current { store: STORE, manifest: 2, length: u64::MAX, step: 1, created: 0 };
    file.write_at(0, &current.encode()).unwrap();
    check("length in CURRENT", &storage);
    // A long log of zeros, of noise, and of one record that never ends: a window of it is held, or nothing.
    for (name, fill) in [("zeros", 0u8), ("noise", 0xa5)] {
        let storage = store_of(&[]);
        let log = storage.open("wal-000000000001.tape").unwrap();
        let end = log.length().unwrap();
        let noise: Vec<u8> = (0..32u32 << 20)
            .map(|at| if fill == 0 { 0 } else { (at.wrapping_mul(2_654_435_761) >> 24) as u8 })
            .collect();
        log.write_at(end, &noise).unwrap();
        let length = noise.len();
        drop(noise);
        let ((), opened) = most(|| drop(Store::open_read_only_on(storage.clone(), options())));
        assert!(opened < 8 << 20, "{name}: {opened} bytes for a log of {length}");
        cases += 1;
    }
    let mib = history_within_bound().map(|bytes| bytes as f64 / f64::from(1 << 20));
    println!(
        "history: {:.1} MiB to read some, {:.1} to tell changes, {:.1} and {:.1} to compact",
        mib[0], mib[1], mib[2], mib[3]
    );
    println!("an index takes {:.1} bytes for each of its bytes", index_within_bound());
    println!(
        "torture: memory of hostile logs and manifests | {cases} files, {worst:.0} bytes per byte at most | seed 0 | failures 0"
    );
}
