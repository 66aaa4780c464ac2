//! Benches of the engine, each beside a peer that does the least any program would have to do, measured in the same
//! run: so a ratio can be read whatever the machine.
//!
//! `cargo bench -p tape-benches`; a name after `--` picks some.

mod backtest;
mod data;
mod fetch;
mod live;
mod query;
#[path = "../engine/backtest/tests/twin.rs"]
mod twin;

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tapestore::io::MemoryStorage;
use tapestore::schema::bars;
use tapestore::{Options, SeriesKey, Store};
use tempfile::tempdir;

use data::{Bars, DAY_NS, MINUTE_NS, ROW_BYTES, START_NS, import, key, quiet, sealed};

/// Rows of a year and eleven months of minutes.
const MILLION: usize = 1_000_000;

const SERIES: usize = 10_000;

/// Importing into an empty store in memory, sealing included; the peer copies the same rows.
fn bench_import(criterion: &mut Criterion) {
    let source = Bars::complete(250_000);
    let mut group = criterion.benchmark_group("import");
    group.throughput(Throughput::Bytes(source.bytes())).sample_size(10);
    group.bench_function("250k rows, sealed", |bencher| {
        bencher.iter_batched(
            || Store::create_on(Arc::new(MemoryStorage::new()), quiet()).expect("create"),
            |store| {
                import(&store, &key(0), &source);
                store.seal().expect("seal");
                store
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("peer: copy of the rows", |bencher| bencher.iter(|| black_box(source.clone())));
    group.finish();
}

/// Durable commits; the peers append the same bytes to a file and sync it.
fn bench_commit(criterion: &mut Criterion) {
    let directory = tempdir().expect("a temporary directory can be made");
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(20).measurement_time(Duration::from_secs(3));

    let store = Store::create(directory.path().join("one"), quiet()).expect("create");
    let rows = Bars::complete(MILLION);
    let mut next = 0;
    group.bench_function("1 row, durable", |bencher| {
        bencher.iter(|| {
            let mut transaction = store.begin();
            transaction.create_series(&key(0), bars()).expect("create_series");
            transaction.append(&key(0), rows.batch(next..next + 1)).expect("append");
            next += 1;
            transaction.commit().expect("commit")
        });
    });
    let mut file = File::create(directory.path().join("plain")).expect("a file");
    group.bench_function("peer: append 48 bytes and sync", |bencher| {
        bencher.iter(|| {
            file.write_all(&[7; ROW_BYTES as usize]).expect("write");
            file.sync_data().expect("sync");
        });
    });

    let store = Store::create(directory.path().join("many"), quiet()).expect("create");
    let keys: Vec<SeriesKey> = (0..SERIES).map(key).collect();
    let mut next = 0;
    group.throughput(Throughput::Elements(SERIES as u64)).sample_size(10);
    group.bench_function("10k series, one row each, durable", |bencher| {
        bencher.iter(|| {
            commit_all(&store, &keys, &rows, next);
            next += 1;
        });
    });
    let bytes = vec![7; SERIES * ROW_BYTES as usize];
    group.bench_function("peer: append 10k x 48 bytes and sync", |bencher| {
        bencher.iter(|| {
            file.write_all(&bytes).expect("write");
            file.sync_data().expect("sync");
        });
    });
    group.finish();
}

/// Row `number` of `rows` for every series.
fn commit_all(store: &Store, keys: &[SeriesKey], rows: &Bars, number: usize) {
    let mut transaction = store.begin();
    for key in keys {
        transaction.create_series(key, bars()).expect("create_series");
        transaction.append(key, rows.batch(number..number + 1)).expect("append");
    }
    transaction.commit().expect("commit");
}

/// Reading everything, with all blocks decoded before (`warm`) and with none kept (`cold`); the peer copies.
fn bench_scan(criterion: &mut Criterion) {
    scan_of(criterion, "scan", &Bars::complete(MILLION));
    if let Some(real) = Bars::real("EOSUSD.BITFINEX-1m.csv.gz") {
        scan_of(criterion, "scan of EOSUSD", &real);
    }
}

fn scan_of(criterion: &mut Criterion, name: &str, source: &Bars) {
    let directory = tempdir().expect("a temporary directory can be made");
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    for (heat, cache_bytes) in [("warm", 1 << 30), ("cold", 0)] {
        let store = sealed(&directory.path().join(heat), source, Options { cache_bytes, ..quiet() });
        let view = store.view();
        let mut rows = view.read(&key(0)).rows().expect("read");
        group.throughput(Throughput::Bytes(source.bytes()));
        group.bench_function(format!("all columns, {heat}"), |bencher| {
            bencher.iter(|| view.read(&key(0)).rows_into(&mut rows).expect("read"));
        });
        let mut rows = view.read(&key(0)).columns(&["close"]).rows().expect("read");
        group.throughput(Throughput::Bytes(source.bytes() / 3));
        group.bench_function(format!("close only, {heat}"), |bencher| {
            bencher.iter(|| view.read(&key(0)).columns(&["close"]).rows_into(&mut rows).expect("read"));
        });
    }
    let mut target = source.clone();
    group.throughput(Throughput::Bytes(source.bytes()));
    group.bench_function("peer: copy of all columns", |bencher| {
        bencher.iter(|| {
            target.time.copy_from_slice(black_box(&source.time));
            for (to, from) in target.columns.iter_mut().zip(&source.columns) {
                to.copy_from_slice(black_box(from));
            }
        });
    });
    group.finish();
}

/// One day out of two years, and the latest row; the peers search and copy from vectors.
fn bench_range(criterion: &mut Criterion) {
    let source = Bars::complete(MILLION);
    let directory = tempdir().expect("a temporary directory can be made");
    let store = sealed(&directory.path().join("store"), &source, quiet());
    let view = store.view();
    let days = MILLION as i64 / 1440 - 1;
    let mut group = criterion.benchmark_group("range");
    group.throughput(Throughput::Bytes(1440 * ROW_BYTES));
    let mut turn = 0;
    let mut day = move || {
        turn = (turn + 331) % days;
        START_NS + turn * DAY_NS..START_NS + (turn + 1) * DAY_NS
    };
    let mut rows = view.read(&key(0)).range(day()).rows().expect("read");
    group.bench_function("one day of years", |bencher| {
        bencher.iter(|| view.read(&key(0)).range(day()).rows_into(&mut rows).expect("read"));
    });
    let mut found = source.clone();
    group.bench_function("peer: search and copy in vectors", |bencher| {
        bencher.iter(|| {
            let span = day();
            let first = source.time.partition_point(|time| *time < span.start);
            let last = source.time.partition_point(|time| *time < span.end);
            found.time.clear();
            found.time.extend_from_slice(&source.time[first..last]);
            for (to, from) in found.columns.iter_mut().zip(&source.columns) {
                to.clear();
                to.extend_from_slice(&from[first..last]);
            }
            found.len()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("latest");
    group.bench_function("latest row", |bencher| bencher.iter(|| view.latest(&key(0)).expect("latest")));
    group.bench_function("peer: last of each vector", |bencher| {
        bencher.iter(|| {
            let columns: Vec<Vec<f64>> =
                source.columns.iter().map(|column| column[column.len() - 1..].to_vec()).collect();
            black_box((source.time.last(), columns))
        });
    });
    group.finish();
}

/// Gaps from the index; the peer walks over all times in memory.
fn bench_gaps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gaps");
    let complete = |rows| Bars::complete(rows);
    let mut cases = vec![
        ("complete, 100 k", complete(100_000)),
        ("complete, 2.6 M", complete(2_600_000)),
        ("sparse, 1 M", Bars::sparse(MILLION)),
    ];
    if let Some(real) = Bars::real("BTCUSD.BITFINEX-1m.csv.gz") {
        cases.push(("BTCUSD, sparse, 2.6 M", real));
    }
    for (name, source) in cases {
        let directory = tempdir().expect("a temporary directory can be made");
        let store = sealed(&directory.path().join("store"), &source, quiet());
        let view = store.view();
        group.bench_function(name, |bencher| bencher.iter(|| view.gaps(&key(0), None).expect("gaps").len()));
        let (middle, key) = (source.time[source.len() / 2], key(0));
        group.bench_function(format!("{name}, one day"), |bencher| {
            bencher.iter(|| view.gaps(&key, Some(middle..middle + DAY_NS)).expect("gaps").len());
        });
        group.bench_function(format!("peer: walk over the times, {name}"), |bencher| {
            bencher.iter(|| {
                let holes = source.time.windows(2).filter(|pair| pair[1] - pair[0] != MINUTE_NS);
                holes.map(|pair| (pair[0] + MINUTE_NS, pair[1])).collect::<Vec<_>>().len()
            });
        });
    }
    group.finish();
}

/// Opening a store of 10,000 series, each with rows in ten segments.
fn bench_open(criterion: &mut Criterion) {
    let directory = tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("store");
    let options = Options { young_segments: 1000, ..quiet() };
    let store = Store::create(&path, options.clone()).expect("create");
    let keys: Vec<SeriesKey> = (0..SERIES).map(key).collect();
    let rows = Bars::complete(10);
    for number in 0..10 {
        commit_all(&store, &keys, &rows, number);
        store.seal().expect("seal");
    }
    store.close().expect("close");
    let mut group = criterion.benchmark_group("open");
    group.sample_size(10);
    group.bench_function("10k series x 10 segments, for reading", |bencher| {
        bencher.iter(|| Store::open_read_only(&path, options.clone()).expect("open"));
    });
    group.bench_function("10k series x 10 segments, for writing", |bencher| {
        bencher.iter(|| Store::open(&path, options.clone()).expect("open").close().expect("close"));
    });
    group.bench_function("peer: read all bytes of the store", |bencher| {
        bencher.iter(|| {
            let entries = std::fs::read_dir(&path).expect("a readable directory");
            let files = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
            files.map(|path| std::fs::read(path).expect("a readable file").len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(
    benches,
    bench_import,
    bench_commit,
    bench_scan,
    bench_range,
    bench_gaps,
    bench_open,
    fetch::bench_pages,
    live::bench_latest,
    query::bench_join,
    query::bench_resample,
    backtest::bench_backtest
);
criterion_main!(benches);
