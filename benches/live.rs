//! Benches of the hot state: the last row of one of 10,000 series, of all of them, and in another handle that follows.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use tapestore::schema::bars;
use tapestore::{Durability, Options, SeriesKey, Store};
use tempfile::tempdir;

use crate::data::{Bars, COLUMNS, key, quiet};

const SERIES: usize = 10_000;

fn commit(store: &Store, keys: &[SeriesKey], rows: &Bars, row: usize) {
    let mut transaction = store.begin();
    for key in keys {
        transaction.create_series(key, bars()).expect("create_series");
        transaction.append(key, rows.batch(row..row + 1)).expect("append");
    }
    transaction.commit_with(Durability::Appended).expect("commit");
}

/// A server that answers `GET`s of the Redis protocol out of a map: the least that any of its kind has to do.
fn serve(stream: UnixStream, values: &HashMap<String, String>) {
    let mut requests = BufReader::new(stream.try_clone().expect("a socket"));
    let (mut stream, mut line, mut reply) = (stream, String::new(), String::new());
    let mut next = |line: &mut String| {
        line.clear();
        requests.read_line(line).unwrap_or(0) > 0
    };
    // *2, $3, GET, the length of the key, the key.
    loop {
        for _ in 0..5 {
            if !next(&mut line) {
                return;
            }
        }
        let value = &values[line.trim_end()];
        reply.clear();
        let _ = write!(reply, "${}\r\n{value}\r\n", value.len());
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Asks for a value as a client of Redis does, and takes its numbers apart.
fn ask(stream: &mut UnixStream, key: &str, buffer: &mut [u8]) -> f64 {
    let request = format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
    stream.write_all(request.as_bytes()).expect("a server");
    let length = stream.read(buffer).expect("a server");
    let text = std::str::from_utf8(&buffer[..length]).expect("text");
    let close = text.split(',').nth(4).expect("a bar");
    close.parse().expect("a number")
}

pub(crate) fn bench_latest(criterion: &mut Criterion) {
    let directory = tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("store");
    let store = Store::create(&path, Options { memtable_bytes: 1 << 30, ..quiet() }).expect("create");
    let keys: Vec<SeriesKey> = (0..SERIES).map(key).collect();
    let rows = Bars::complete(100_000);
    (0..4).for_each(|row| commit(&store, &keys, &rows, row));
    store.seal().expect("seal");
    commit(&store, &keys, &rows, 4);

    let mut turn = 0;
    let mut pick = move || {
        turn = (turn + 7919) % SERIES;
        turn
    };
    let mut group = criterion.benchmark_group("latest of 10 k series");
    let view = store.view();
    group.bench_function("one", |bencher| {
        bencher.iter(|| view.latest_row(&keys[pick()]).expect("a series").expect("a row").f64("close"));
    });
    group.bench_function("one, with a view of its own", |bencher| {
        bencher
            .iter(|| store.view().latest_row(&keys[pick()]).expect("a series").expect("a row").f64("close"));
    });
    let follower = Store::open_read_only(&path, quiet()).expect("open");
    let start = Instant::now();
    let first = follower.view().latest_rows(|_| true).expect("rows").len();
    println!("the first {first} of a follower that was just opened: {:?}", start.elapsed());
    group.bench_function("one, in a follower", |bencher| {
        bencher.iter(|| {
            follower.view().latest_row(&keys[pick()]).expect("a series").expect("a row").f64("close")
        });
    });
    let map: HashMap<SeriesKey, (i64, Vec<f64>)> = keys
        .iter()
        .map(|key| (key.clone(), (rows.time[4], rows.columns.iter().map(|column| column[4]).collect())))
        .collect();
    group.bench_function("peer: a hash map of last rows", |bencher| {
        bencher.iter(|| map[&keys[pick()]].1[3]);
    });
    let values = map.iter().map(|(key, (time, row))| {
        let numbers: Vec<String> = row.iter().map(f64::to_string).collect();
        (key.to_string(), format!("{time},{}", numbers.join(",")))
    });
    let values: HashMap<String, String> = values.collect();
    let names: Vec<String> = keys.iter().map(SeriesKey::to_string).collect();
    std::thread::scope(|scope| {
        let (mut client, server) = UnixStream::pair().expect("sockets");
        scope.spawn(|| serve(server, &values));
        let mut buffer = [0; 1024];
        group.bench_function("peer: GET of the Redis protocol, Unix socket", |bencher| {
            bencher.iter(|| ask(&mut client, &names[pick()], &mut buffer));
        });
        drop(client);
    });
    group.finish();

    let mut group = criterion.benchmark_group("latest of all 10 k series");
    group.throughput(Throughput::Elements(SERIES as u64));
    let close = COLUMNS.iter().position(|name| *name == "close").expect("a column of bars");
    group.bench_function("in one call", |bencher| {
        bencher.iter(|| view.latest_rows(|_| true).expect("rows").len());
    });
    group.bench_function("in one call, with their closes", |bencher| {
        bencher.iter(|| {
            let all = view.latest_rows(|_| true).expect("rows");
            all.iter().filter_map(|(_, row)| row.f64("close")).sum::<f64>()
        });
    });
    group.bench_function("peer: closes of a hash map", |bencher| {
        bencher.iter(|| black_box(&map).values().map(|row| row.1[close]).sum::<f64>());
    });
    group.finish();

    let mut group = criterion.benchmark_group("latest across handles");
    let mut row = 5;
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    group.bench_function("refresh after a commit of one row, and its row", |bencher| {
        bencher.iter_custom(|times| {
            (0..times).fold(Duration::ZERO, |sum, _| {
                commit(&store, &keys[..1], &rows, row);
                row += 1;
                let start = Instant::now();
                follower.refresh().expect("refresh");
                let close =
                    follower.view().latest_row(&keys[0]).expect("a series").expect("a row").f64("close");
                assert_eq!(black_box(close), Some(rows.columns[3][row - 1]));
                sum + start.elapsed()
            })
        });
    });
    group.bench_function("refresh with nothing new", |bencher| {
        bencher.iter(|| follower.refresh().expect("refresh"));
    });
    group.finish();
}
