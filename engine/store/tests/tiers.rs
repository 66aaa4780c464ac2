//! Tiers: what is stored in which, and that reading does not show it.

use std::sync::Arc;

use tapestore::io::{MemoryStorage, Storage};
use tapestore::schema::{SchemaBuilder, bars};
use tapestore::{Batch, Options, SeriesKey, Store, Tier, Values};
use tapestore_format::header::{
    FileHeader, FileKind,
    features::{ALTERNATE, CODED, DIGITS, FACTORS, LANES, SINGLES},
};

const MINUTE_NS: i64 = 60_000_000_000;
const ROWS: usize = 3 * 65_536 + 5_000;
/// What files with adjusted prices say of themselves, in whichever of two forms these are.
const ADJUSTED: u32 = FACTORS | SINGLES;

fn key() -> SeriesKey {
    SeriesKey::new("A.X", "1m").unwrap()
}

/// Bars that wander in hundredths, with volumes of all sizes, many of them round.
fn batch(start: usize, count: usize) -> Batch {
    let noise = |row: usize, salt: u64| {
        let mixed = (row as u64 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
    };
    let rows = start..start + count;
    let close: Vec<f64> =
        rows.clone().map(|row| (50_000 + row / 9 + noise(row, 1) as usize % 40) as f64).collect();
    let shift = |by: f64| Values::F64(close.iter().map(|close| (close + by) / 100.0).collect());
    let volume = |row| (noise(row, 2) % 997) as f64 * 10f64.powi((noise(row, 3) % 5) as i32);
    Batch::new(rows.clone().map(|row| row as i64 * MINUTE_NS).collect())
        .with("open", shift(-1.0))
        .with("high", shift(3.0))
        .with("low", shift(-4.0))
        .with("close", shift(0.0))
        .with("volume", Values::F64(rows.map(volume).collect()))
}

fn filled(cold_after_ns: Option<i64>) -> Store {
    let options = Options { background: false, memtable_bytes: 1 << 30, cold_after_ns, ..Options::default() };
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options).unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&key(), bars()).unwrap();
    transaction.merge(&key(), batch(0, ROWS)).unwrap();
    transaction.commit().unwrap();
    store.seal().unwrap();
    store
}

fn rows(store: &Store) -> Vec<Vec<u64>> {
    let rows = store.view().read(&key()).rows().unwrap();
    let bits = |name| rows.f64(name).unwrap().iter().map(|value| value.to_bits()).collect();
    let mut out: Vec<Vec<u64>> = ["open", "high", "low", "close", "volume"].map(bits).to_vec();
    out.push(rows.time().iter().map(|time| *time as u64).collect());
    out
}

fn tiers(store: &Store) -> [u64; 3] {
    store.view().tiers(&key()).unwrap().map(|(_, rows)| rows)
}

#[test]
fn a_store_moves_between_tiers_and_reads_the_same() {
    let store = filled(None);
    let before = rows(&store);
    let all = ROWS as u64;
    assert_eq!(tiers(&store), [0, all, 0]);
    let mut sizes = Vec::new();
    for (tier, expected) in [(Tier::Hot, [all, 0, 0]), (Tier::Dense, [0, all, 0]), (Tier::Cold, [0, 0, all])]
    {
        let report = store.compact_to(tier).unwrap();
        // The log of commits is a series as well.
        assert_eq!((report.rows, tiers(&store)), (all + 1, expected));
        assert_eq!(rows(&store), before);
        sizes.push(report.bytes_after);
    }
    assert!(sizes[0] > 2 * sizes[1] && sizes[1] * 10 > sizes[2] * 11, "hot, dense, cold: {sizes:?}");
}

#[test]
fn old_rows_become_cold_and_new_ones_do_not() {
    let age = 70_000 * MINUTE_NS;
    let store = filled(Some(age));
    let before = rows(&store);
    let all = ROWS as u64;
    assert_eq!(tiers(&store), [0, all, 0], "sealing does not look at ages");
    store.compact().unwrap();
    // The chunks that end 70,000 minutes before the last row: two of three whole ones.
    assert_eq!(tiers(&store), [0, all - 2 * 65_536, 2 * 65_536]);
    assert_eq!(rows(&store), before);
    let again = store.compact().unwrap();
    assert_eq!(again.rows, 0, "what is cold already is left alone");
    // As time goes on, another chunk becomes old.
    let mut transaction = store.begin();
    transaction.merge(&key(), batch(ROWS, 70_000)).unwrap();
    transaction.commit().unwrap();
    store.seal().unwrap();
    store.compact().unwrap();
    assert_eq!(tiers(&store)[2], 3 * 65_536);
}

/// Rows became cold only where someone called for a compaction, or a series happened to be merged.
#[test]
fn rows_that_age_become_cold_in_the_background() {
    let options = |background| Options {
        background,
        memtable_bytes: 1 << 30,
        own_segment_bytes: 1 << 16,
        cold_after_ns: Some(150_000 * MINUTE_NS),
        ..Options::default()
    };
    let storage = Arc::new(MemoryStorage::new());
    let names = ["A.X", "B.X", "C.X"].map(|name| SeriesKey::new(name, "1m").unwrap());
    let write = |store: &Store, start: usize, count: usize| {
        let mut transaction = store.begin();
        for name in &names {
            transaction.create_series(name, bars()).unwrap();
            transaction.merge(name, batch(start, count)).unwrap();
        }
        transaction.commit().unwrap();
        store.seal().unwrap();
    };
    let cold = |store: &Store| names.each_ref().map(|name| store.view().tiers(name).unwrap()[2].1);
    let store = Store::create_on(storage.clone(), options(true)).unwrap();
    write(&store, 0, 140_000);
    store.compact().unwrap();
    assert_eq!((store.stats().unwrap().segments, cold(&store)), (4, [0; 3]), "one for each, one for commits");
    // The first piece of each is old now. Sealing wakes the thread.
    write(&store, 140_000, 100_000);
    store.wait_idle().unwrap();
    assert_eq!(cold(&store), [65_536; 3]);
    assert_eq!(rows(&store)[5].len(), 240_000);
    // So does opening.
    store.close().unwrap();
    let store = Store::open_on(storage.clone(), options(false)).unwrap();
    write(&store, 240_000, 50_000);
    assert_eq!(cold(&store), [65_536; 3], "there is no thread");
    let before = rows(&store);
    store.close().unwrap();
    let store = Store::open_on(storage.clone(), options(true)).unwrap();
    store.wait_idle().unwrap();
    assert_eq!(cold(&store), [2 * 65_536; 3]);
    assert_eq!(rows(&store), before);
    // Nothing is written twice.
    store.close().unwrap();
    let once = segments(&storage);
    let store = Store::open_on(storage.clone(), options(true)).unwrap();
    store.wait_idle().unwrap();
    assert_eq!(segments(&storage), once);
}

/// What sealing writes is quick to read, what compaction writes is small.
#[test]
fn sealed_rows_move_to_the_tier_of_compaction() {
    let options = |background| Options {
        background,
        sealed_tier: Some(Tier::Hot),
        young_segments: 2,
        ..Options::default()
    };
    let write = |store: &Store, start: usize| {
        let mut transaction = store.begin();
        transaction.create_series(&key(), bars()).unwrap();
        transaction.merge(&key(), batch(start, 5000)).unwrap();
        transaction.commit().unwrap();
        store.seal().unwrap();
    };
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options(false)).unwrap();
    write(&store, 0);
    assert_eq!(tiers(&store), [5000, 0, 0]);
    store.compact().unwrap();
    assert_eq!(tiers(&store), [0, 5000, 0]);
    assert_eq!(store.compact().unwrap().rows, 0, "that was all");
    let store = Store::create_on(Arc::new(MemoryStorage::new()), options(true)).unwrap();
    write(&store, 0);
    store.wait_idle().unwrap();
    assert_eq!(tiers(&store), [5000, 0, 0], "one segment may stay alone");
    write(&store, 5000);
    store.wait_idle().unwrap();
    assert_eq!(tiers(&store), [0, 10_000, 0]);
}

/// Names of the segments.
fn segments(storage: &MemoryStorage) -> Vec<String> {
    let names = storage.list("").unwrap().into_iter().map(|file| file.0);
    names.filter(|name| name.starts_with("segment-")).collect()
}

/// What is cold is known for cold, however little of it the cold tier makes smaller: it is not written again and again.
#[test]
fn old_rows_become_cold_once() {
    let noise = |row: usize| (row as u64 + 77).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let shapes: [(&str, &dyn Fn(usize) -> f64); 4] = [
        ("steps", &|row| row as f64 * 0.01),
        ("one value", &|_| 7.0),
        ("noise", &|row| f64::from_bits(noise(row) & !(1 << 62))),
        ("few values", &|row| [100.0, 200.0, 250.0, 1000.0][(noise(row) >> 62) as usize]),
    ];
    for (name, value) in shapes {
        for timeframe in ["1m", "ticks"] {
            let storage = Arc::new(MemoryStorage::new());
            let options =
                Options { background: false, cold_after_ns: Some(60 * MINUTE_NS), ..Options::default() };
            let store = Store::create_on(storage.clone(), options).unwrap();
            let key = SeriesKey::new("A.X", timeframe).unwrap();
            let schema = match timeframe {
                "1m" => SchemaBuilder::unique(),
                _ => SchemaBuilder::sequence(),
            };
            let schema = schema.column("price", tapestore::ColumnType::F64).build().unwrap();
            let rows = 70_000usize;
            let time = |row: usize| {
                if timeframe == "1m" { row as i64 * MINUTE_NS } else { (row / 3) as i64 * MINUTE_NS }
            };
            let batch = Batch::new((0..rows).map(time).collect())
                .with("price", Values::F64((0..rows).map(value).collect()));
            let mut transaction = store.begin();
            transaction.create_series(&key, schema).unwrap();
            transaction.append(&key, batch).unwrap();
            transaction.commit().unwrap();
            store.seal().unwrap();
            store.compact().unwrap();
            let once = segments(&storage);
            store.compact().unwrap();
            assert_eq!(segments(&storage), once, "{name}, {timeframe}");
        }
    }
}

/// Sizes of trades are few numbers: the dense tier codes them, and the rows still count as dense.
#[test]
fn sizes_of_trades_are_coded_in_the_dense_tier() {
    let storage = Arc::new(MemoryStorage::new());
    let store =
        Store::create_on(storage.clone(), Options { background: false, ..Options::default() }).unwrap();
    let mixed = |row: usize| (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    // Half of the trades are of 100 shares, a quarter of 200, and so on.
    let size = |row: usize| 100 * (1 + i64::from(mixed(row).leading_zeros().min(12)));
    let rows = 50_000usize;
    let key = SeriesKey::new("A.X", "trades").unwrap();
    let schema = SchemaBuilder::sequence().column("qty", tapestore::ColumnType::I64).build().unwrap();
    let time: Vec<i64> = (0..rows).map(|row| row as i64 * 1_000 + (mixed(row) % 900) as i64).collect();
    let sizes: Vec<i64> = (0..rows).map(size).collect();
    let mut transaction = store.begin();
    transaction.create_series(&key, schema).unwrap();
    transaction.append(&key, Batch::new(time).with("qty", Values::I64(sizes.clone()))).unwrap();
    transaction.commit().unwrap();
    store.seal().unwrap();
    let view = store.view();
    assert_eq!(view.tiers(&key).unwrap().map(|(_, rows)| rows), [0, rows as u64, 0]);
    assert_eq!(view.read(&key).rows().unwrap().i64("qty").unwrap(), sizes);
    let newest = segments(&storage).into_iter().max().unwrap();
    // Times take 1.35 bytes a row, sizes a quarter of a byte; packed they take 0.35.
    let bytes = storage.open(&newest).unwrap().length().unwrap() as usize;
    assert!(bytes * 20 < rows * 33, "{bytes} bytes");
    store.compact_to(Tier::Cold).unwrap();
    let view = store.view();
    assert_eq!(view.tiers(&key).unwrap().map(|(_, rows)| rows), [0, 0, rows as u64]);
    assert_eq!(view.read(&key).rows().unwrap().i64("qty").unwrap(), sizes);
}

/// The features that the header of the newest segment asks of a reader.
fn required(storage: &MemoryStorage) -> u32 {
    let segments = storage.list("").unwrap().into_iter().map(|file| file.0);
    let newest = segments.filter(|name| name.starts_with("segment-")).max().unwrap();
    let bytes = storage.open(&newest).unwrap().read_all(1 << 30).unwrap();
    FileHeader::decode(&bytes, FileKind::Segment).unwrap().required
}

/// Quotes of one side each may be packed in a way of their own; bars may have further digits, and ask for nothing else.
#[test]
fn only_segments_with_ticks_ask_for_what_ticks_need() {
    let storage = Arc::new(MemoryStorage::new());
    let options = Options { background: false, ..Options::default() };
    let store = Store::create_on(storage.clone(), options).unwrap();
    let write = |name: &SeriesKey, schema: tapestore::Schema, batch: Batch| {
        let mut transaction = store.begin();
        transaction.create_series(name, schema).unwrap();
        transaction.append(name, batch).unwrap();
        transaction.commit().unwrap();
        store.seal().unwrap();
    };
    write(&key(), bars(), batch(0, 100));
    assert_eq!(required(&storage), DIGITS);
    let quotes = SeriesKey::new("A.X", "quotes").unwrap();
    let schema = SchemaBuilder::sequence().column("price", tapestore::ColumnType::F64).build().unwrap();
    let sides = |time: i64| if time % 2 == 0 { 10.0 } else { 10.5 };
    let batch = Batch::new((0..1000).collect()).with("price", Values::F64((0..1000).map(sides).collect()));
    write(&quotes, schema, batch);
    assert_eq!(required(&storage), ALTERNATE | CODED | LANES | DIGITS);
    store.compact().unwrap();
    assert_eq!(required(&storage), ALTERNATE | CODED | LANES | DIGITS, "bars and quotes together");
}

/// Open, high, low and close are packed by one another, if they are called so.
#[test]
fn bars_take_less_than_four_columns_of_their_own() {
    let bytes = |names: [&str; 4]| {
        let options = Options { background: false, ..Options::default() };
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options).unwrap();
        let builder = names
            .iter()
            .fold(SchemaBuilder::unique(), |builder, name| builder.column(name, tapestore::ColumnType::F64));
        let close = |row: i64| 50_000 + row * 7_919 % 631;
        let mut batch = Batch::new((0..20_000).map(|row| row * MINUTE_NS).collect());
        for (name, by) in names.iter().zip([-1, 3, -4, 0]) {
            let price = |row| (close(row) + by) as f64 / 100.0;
            batch = batch.with(name, Values::F64((0..20_000).map(price).collect()));
        }
        let mut transaction = store.begin();
        transaction.create_series(&key(), builder.build().unwrap()).unwrap();
        transaction.append(&key(), batch).unwrap();
        transaction.commit().unwrap();
        store.seal().unwrap();
        store.stats().unwrap().segment_bytes
    };
    let (group, alone) = (bytes(["open", "high", "low", "close"]), bytes(["o", "h", "l", "c"]));
    assert!(group * 10 < alone * 8, "{group} and {alone} bytes");
}

/// What the headers of all segments ask for, but for digits, which all ask for that are not hot.
fn features_of(storage: &MemoryStorage) -> Vec<u32> {
    let files = storage.files();
    let segments = files.iter().filter(|(name, _)| name.starts_with("segment-"));
    segments.map(|(_, bytes)| u32::from(bytes[12]) & !DIGITS).collect()
}

/// Bars of a share that paid a dividend every thousand rows.
fn adjusted(start: usize, count: usize) -> Batch {
    let price = |row: usize, above: usize| {
        let cents = (2000 + row * row % 700 + above) as f64;
        cents / 100.0 * (1.0 + (9 - row / 1000) as f64 * 0.012_345_678_9)
    };
    let rows = start..start + count;
    let column = |above| Values::F64(rows.clone().map(|row| price(row, above)).collect());
    Batch::new(rows.clone().map(|row| row as i64 * MINUTE_NS).collect())
        .with("open", column(3))
        .with("high", column(9))
        .with("low", column(0))
        .with("close", column(7))
        .with("volume", Values::F64(rows.clone().map(|row| row as f64).collect()))
}

#[test]
fn segments_with_adjusted_prices_say_so_and_others_do_not() {
    let storage = Arc::new(MemoryStorage::new());
    let options = Options { background: false, own_segment_bytes: 4096, ..Options::default() };
    let store = Store::create_on(storage.clone(), options).unwrap();
    let write = |name: &str, batch: Batch| {
        let key = SeriesKey::new(name, "1m").unwrap();
        let mut transaction = store.begin();
        transaction.create_series(&key, bars()).unwrap();
        transaction.merge(&key, batch).unwrap();
        transaction.commit().unwrap();
    };
    write("PLAIN.X", batch(0, 5000));
    store.seal().unwrap();
    assert_eq!(features_of(&storage), [0], "bars as they were paid");
    write("A.X", adjusted(0, 6000));
    let expected = rows(&store);
    store.seal().unwrap();
    assert_eq!(features_of(&storage), [0, ADJUSTED]);
    assert_eq!(rows(&store), expected);
    // Each series moves to a segment of its own; only that of the adjusted one says so.
    let report = store.compact().unwrap();
    let found = features_of(&storage);
    assert!(found.len() >= 2 && found.iter().sum::<u32>() == ADJUSTED, "{found:?}");
    assert!((11_000..11_010).contains(&report.rows), "each row is counted once: {}", report.rows);
    assert_eq!(rows(&store), expected);
    // Hot segments have no use for factors; what comes from them finds them again.
    store.compact_to(Tier::Hot).unwrap();
    assert!(features_of(&storage).iter().all(|bits| bits & ADJUSTED == 0));
    assert_eq!(rows(&store), expected);
    store.compact_to(Tier::Cold).unwrap();
    assert_eq!(features_of(&storage).iter().filter(|bits| **bits == ADJUSTED | CODED | LANES).count(), 1);
    assert_eq!(rows(&store), expected);
    store.compact_to(Tier::Dense).unwrap();
    assert_eq!(features_of(&storage).iter().filter(|bits| **bits == ADJUSTED).count(), 1);
    assert_eq!(rows(&store), expected);
}
