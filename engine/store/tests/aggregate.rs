//! Aggregates over ranges: the same as over the rows, without reading them; and projections that touch nothing else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tapestore::io::MemoryStorage;
use tapestore::schema::bars;
use tapestore::{
    Aggregate, AsOf, Batch, Column, ColumnType, ColumnValues, Error, KeyPolicy, Options, Schema, SeriesKey,
    Store, Tier, Values, View,
};
use tapestore_format::checksum::Identity;
use tapestore_format::segment::{Segment, Stream, Verified};

const MINUTE_NS: i64 = 60_000_000_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> i64 {
        (self.next() % bound) as i64
    }
}

fn key() -> SeriesKey {
    SeriesKey::new("A.X", "1m").unwrap()
}

fn column(id: u16, name: &str, kind: ColumnType, nullable: bool) -> Column {
    Column { id, name: name.into(), kind, nullable, description: String::new() }
}

fn schema() -> Schema {
    Schema {
        columns: vec![
            column(0, "price", ColumnType::F64, false),
            column(1, "noise", ColumnType::F64, true),
            column(2, "count", ColumnType::I64, false),
            column(3, "small", ColumnType::F32, false),
            column(4, "note", ColumnType::String, false),
        ],
        key: KeyPolicy::Unique,
    }
}

fn batch(random: &mut Random, times: Vec<i64>) -> Batch {
    let rows = times.len();
    let noise = |random: &mut Random| match random.below(40) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -0.0,
        _ => f64::from_bits((random.next() >> 12) | 0x3ff0_0000_0000_0000) - 1.5,
    };
    let nulls = (0..rows).map(|_| random.below(9) == 0).collect();
    let noises: Vec<f64> = (0..rows).map(|_| noise(random)).collect();
    let noises = noises.into_iter().map(|value| if value.is_infinite() { 7.0 } else { value }).collect();
    Batch::new(times)
        .with("price", Values::F64((0..rows).map(|_| random.below(100_000) as f64 / 100.0).collect()))
        .with("noise", ColumnValues { values: Values::F64(noises), nulls: Some(nulls) })
        .with("count", Values::I64((0..rows).map(|_| random.below(1 << 30) - (1 << 29)).collect()))
        .with("small", Values::F32((0..rows).map(|_| random.below(1000) as f32).collect()))
        .with("note", Values::Str((0..rows).map(|row| format!("{}", row % 3)).collect()))
}

/// The same by looking at every row.
fn brute(view: &View, range: std::ops::Range<i64>, name: &str) -> (u64, Vec<f64>, u64, u64) {
    let rows = view.read(&key()).range(range).columns(&[name]).rows().unwrap();
    let (_, column) = &rows.set.columns[0];
    let value = |row: usize| match &column.values {
        Values::F64(values) => values[row],
        Values::F32(values) => f64::from(values[row]),
        Values::I64(values) => values[row] as f64,
        _ => unreachable!("no other type is asked for"),
    };
    let is_null = |row: usize| column.nulls.as_ref().is_some_and(|nulls| nulls[row]);
    let live = || (0..rows.len()).filter(|row| !is_null(*row)).map(value);
    let nulls = (0..rows.len()).filter(|row| is_null(*row)).count() as u64;
    let nans = live().filter(|value| value.is_nan()).count() as u64;
    (rows.len() as u64, live().filter(|value| !value.is_nan()).collect(), nulls, nans)
}

fn compare(view: &View, range: &std::ops::Range<i64>) {
    let names = ["price", "noise", "count", "small"];
    let found = view.read(&key()).range(range.clone()).aggregate().unwrap();
    assert_eq!(found.iter().map(|each| each.column.name.as_str()).collect::<Vec<_>>(), names);
    for each in &found {
        let (rows, values, nulls, nans) = brute(view, range.clone(), &each.column.name);
        let name = &each.column.name;
        let counts = (each.rows, each.count, each.nulls, each.nans);
        assert_eq!(counts, (rows, values.len() as u64, nulls, nans), "{name}");
        let least = values.iter().copied().reduce(f64::min);
        let greatest = values.iter().copied().reduce(f64::max);
        assert_eq!((each.min, each.max), (least, greatest), "{name}");
        let sum: f64 = values.iter().sum();
        let size: f64 = values.iter().map(|value| value.abs()).sum();
        if name == "count" || name == "small" {
            assert_eq!(each.sum, sum, "sums of integers are exact");
        }
        let bound = f64::EPSILON * values.len() as f64 * size;
        assert!((each.sum - sum).abs() <= bound, "{name}: {} and {sum}", each.sum);
    }
}

#[test]
fn aggregates_are_those_of_the_rows_whatever_the_layers() {
    for (seed, tier) in [(1, Tier::Dense), (2, Tier::Hot), (3, Tier::Cold)] {
        let mut random = Random(seed);
        let options = Options { background: false, memtable_bytes: 1 << 30, tier, ..Options::default() };
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options).unwrap();
        let mut transaction = store.begin();
        transaction.create_series(&key(), schema()).unwrap();
        transaction.commit().unwrap();
        let span = 90_000;
        for round in 0..6 {
            let start = random.below(span as u64);
            let rows = if round == 0 { span } else { random.below(3000) + 1 };
            let start = if round == 0 { 0 } else { start };
            let times = (start..start + rows).filter(|_| random.below(7) != 0);
            let times: Vec<i64> = times.map(|minute| minute * MINUTE_NS).collect();
            let mut transaction = store.begin();
            transaction.merge(&key(), batch(&mut random, times)).unwrap();
            if round % 2 == 1 {
                let start = random.below(span as u64) * MINUTE_NS;
                transaction.delete_range(&key(), start..start + 2000 * MINUTE_NS).unwrap();
            }
            transaction.commit().unwrap();
            match round {
                0 | 2 | 4 => assert!(store.seal().unwrap()),
                3 => drop(store.compact().unwrap()),
                _ => {}
            }
            let versions = store.view().version();
            for _ in 0..4 {
                let (a, b) = (random.below(span as u64), random.below(span as u64));
                let range = a.min(b) * MINUTE_NS..a.max(b) * MINUTE_NS + random.below(2);
                compare(&store.view(), &range);
                let old = store.as_of(&AsOf::Version(1 + random.below(versions) as u64)).unwrap();
                compare(&old, &range);
            }
            compare(&store.view(), &(i64::MIN..i64::MAX));
        }
    }
}

#[test]
fn strings_have_no_sum() {
    let store = Store::create_on(Arc::new(MemoryStorage::new()), Options::default()).unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&key(), schema()).unwrap();
    transaction.commit().unwrap();
    let view = store.view();
    let refused = view.read(&key()).columns(&["note"]).aggregate();
    assert!(matches!(refused, Err(Error::Usage(_))));
    let empty: Vec<Aggregate> = view.read(&key()).aggregate().unwrap();
    assert!(empty.iter().all(|each| (each.rows, each.min, each.sum) == (0, None, 0.0)));
}

/// Flips a byte in each of some blocks of all columns but those left alone, in the only segment of a store.
fn damage(directory: &Path, spare: &[u16], middle_only: bool) {
    let mut segments: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tape"))
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("segment-"))
        .collect();
    segments.sort_by_key(|path| fs::metadata(path).unwrap().len());
    let path = segments.pop().expect("a segment");
    let mut bytes = fs::read(&path).unwrap();
    let identity = Identity {
        store: bytes[16..32].try_into().unwrap(),
        file: u64::from_le_bytes(bytes[32..40].try_into().unwrap()),
    };
    let copy = bytes.clone();
    let verified = Verified::new(copy.len() as u64);
    let segment = Segment::open(&copy, identity, &verified).unwrap();
    let mut damaged = 0;
    for ordinal in 0..segment.part_count() {
        let part = segment.part(ordinal).unwrap();
        for number in 0..part.live.len() {
            let chunk = segment.chunk(&part, Stream::Live, number).unwrap();
            for column in chunk.columns().filter(|column| column.id.is_some_and(|id| !spare.contains(&id))) {
                if column.bytes > 0 && chunk.rows() > 5000 {
                    let at = if middle_only { column.offset + column.bytes / 2 } else { column.offset };
                    bytes[at as usize] ^= 0x40;
                    damaged += 1;
                }
            }
        }
    }
    assert!(damaged > 0, "something was damaged");
    fs::write(&path, bytes).unwrap();
}

/// A store in a directory with sealed bars, closed.
fn sealed(directory: &Path) {
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory, options).unwrap();
    let mut random = Random(9);
    let rows = 20_000;
    let mut prices = |by: i64| {
        Values::F64(
            (0..rows).map(|row| (100_000 + row % 777 + by + random.below(3)) as f64 / 100.0).collect(),
        )
    };
    let all = Batch::new((0..rows).map(|minute| minute * MINUTE_NS).collect())
        .with("open", prices(0))
        .with("high", prices(10))
        .with("low", prices(-10))
        .with("close", prices(1))
        .with("volume", prices(5000));
    let mut transaction = store.begin();
    transaction.create_series(&key(), bars()).unwrap();
    transaction.merge(&key(), all).unwrap();
    transaction.commit().unwrap();
    store.seal().unwrap();
    store.compact().unwrap();
    store.close().unwrap();
}

#[test]
fn aggregates_read_no_block_within_the_range() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    sealed(&path);
    let before =
        Store::open_read_only(&path, Options::default()).unwrap().view().read(&key()).aggregate().unwrap();
    damage(&path, &[], true);
    let store = Store::open_read_only(&path, Options::default()).unwrap();
    let view = store.view();
    assert!(view.read(&key()).rows().is_err(), "rows under the damage are refused");
    assert_eq!(view.read(&key()).aggregate().unwrap(), before);
    // Edges that cut blocks away from the damage are read; what lies between is not.
    let range = 100 * MINUTE_NS..19_900 * MINUTE_NS;
    assert_eq!(view.read(&key()).range(range).aggregate().unwrap()[0].rows, 19_800);
}

#[test]
fn close_alone_touches_no_other_column() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    sealed(&path);
    let names = ["open", "high", "low", "close", "volume"];
    let id = {
        let store = Store::open_read_only(&path, Options::default()).unwrap();
        let view = store.view();
        let rows = view.read(&key()).rows().unwrap();
        rows.columns.iter().find(|column| column.name == "close").unwrap().id
    };
    damage(&path, &[id], false);
    let store = Store::open_read_only(&path, Options::default()).unwrap();
    let view = store.view();
    for name in names {
        let read = view.read(&key()).columns(&[name]).rows();
        assert_eq!(read.is_ok(), name == "close", "{name}");
        let visited = view.read(&key()).visit_column(name, |_| std::ops::ControlFlow::Continue(()));
        assert_eq!(visited.is_ok(), name == "close", "{name}");
    }
}
