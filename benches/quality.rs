//! Benches of checking: 30 instruments in six timeframes over a year, all of it from a warm store, and after one new bar.

use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tapestore::schema::bars;
use tapestore::{Batch, Options, SeriesKey, Store, Values};
use tapestore_quality::{Setup, check};
use tempfile::tempdir;

const MINUTE_NS: i64 = 60_000_000_000;
const INSTRUMENTS: usize = 30;
const FRAMES: [(&str, usize); 6] = [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60), ("4h", 240), ("1d", 1440)];
const MINUTES: usize = 365 * 1440;
/// 2025-01-01.
const START_NS: i64 = 1_735_689_600_000_000_000;

/// Times, and open, high, low, close, volume.
type Table = (Vec<i64>, [Vec<f64>; 5]);

/// A walk in hundredths whose steps have fat tails, with volumes of four decimals.
fn walk(seed: u64) -> Table {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut out: Table = (Vec::with_capacity(MINUTES), [const { Vec::new() }; 5]);
    let mut price = 5_000_000_i64;
    for minute in 0..MINUTES {
        let wide = if next() % 50 == 0 { 4 } else { 1 };
        let steps: i64 = (0..4).map(|_| (next() % 1001) as i64 - 500).sum();
        let (open, close) = (price, price + steps * wide / 2);
        let (high, low) = (open.max(close) + (next() % 300) as i64, open.min(close) - (next() % 300) as i64);
        let hour = (minute / 60 % 24) as u64;
        let volume = (next() % 90_000 + 10_000) * (4 + hour.abs_diff(12));
        out.0.push(START_NS + minute as i64 * MINUTE_NS);
        let bar = [open, high, low, close].map(|price| price as f64 / 100.0);
        let bar = [bar[0], bar[1], bar[2], bar[3], volume as f64 / 10_000.0];
        out.1.iter_mut().zip(bar).for_each(|(column, value)| column.push(value));
        price = close.max(1_000_000);
    }
    out
}

fn coarser(fine: &Table, per: usize) -> Table {
    let mut out: Table = Table::default();
    for start in (0..fine.0.len()).step_by(per) {
        let rows = start..start + per;
        let fold = |column: usize, with: fn(f64, f64) -> f64| {
            fine.1[column][rows.clone()].iter().copied().reduce(with).expect("bars")
        };
        let bar = [
            fine.1[0][start],
            fold(1, f64::max),
            fold(2, f64::min),
            fine.1[3][start + per - 1],
            fold(4, |a, b| a + b),
        ];
        out.0.push(fine.0[start]);
        out.1.iter_mut().zip(bar).for_each(|(column, value)| column.push(value));
    }
    out
}

fn put(store: &Store, key: &SeriesKey, table: &Table) {
    let names = ["open", "high", "low", "close", "volume"];
    let batch = names.iter().zip(&table.1).fold(Batch::new(table.0.clone()), |batch, (name, values)| {
        batch.with(name, Values::F64(values.clone()))
    });
    let mut transaction = store.begin();
    transaction.create_series(key, bars()).expect("create_series");
    transaction.append(key, batch).expect("append");
    transaction.commit().expect("commit");
}

fn key(instrument: usize, frame: &str) -> SeriesKey {
    SeriesKey::new(&format!("I{instrument:02}.BENCH"), frame).expect("a name")
}

fn bench(criterion: &mut Criterion) {
    let directory = tempdir().expect("a temporary directory");
    // Warm: the files are in the cache of the system.
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path(), options).expect("create");
    let mut bars = 0;
    for instrument in 0..INSTRUMENTS {
        let fine = walk(instrument as u64);
        for (frame, per) in FRAMES {
            let table = coarser(&fine, per);
            bars += table.0.len();
            put(&store, &key(instrument, frame), &table);
        }
        store.seal().expect("seal");
    }
    store.compact().expect("compact");
    let setup = Setup { threads: 2, now_ns: START_NS + MINUTES as i64 * MINUTE_NS, ..Setup::default() };
    let report = check(&store, |_| true, &setup).expect("check");
    assert_eq!((report.bars, report.read), (bars as u64, 180));
    eprintln!("{bars} bars, {} findings", report.found);

    let mut group = criterion.benchmark_group("quality");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    let again = Setup { again: true, ..setup.clone() };
    group.bench_function("30 x 6 series, a year, everything", |bencher| {
        bencher.iter(|| check(&store, |_| true, &again).expect("check"));
    });
    let mut minute = MINUTES;
    let fresh = |minute: &mut usize, instruments: usize| {
        for instrument in 0..instruments {
            let time = START_NS + *minute as i64 * MINUTE_NS;
            let column = || Values::F64(vec![50_000.0]);
            let batch = ["open", "high", "low", "close", "volume"]
                .iter()
                .fold(Batch::new(vec![time]), |batch, name| batch.with(name, column()));
            let mut transaction = store.begin();
            transaction.append(&key(instrument, "1m"), batch).expect("append");
            transaction.commit().expect("commit");
        }
        *minute += 1;
    };
    for (name, instruments) in [("after one new bar", 1), ("after a new bar of each of 30 instruments", 30)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || fresh(&mut minute, instruments),
                |()| check(&store, |_| true, &setup).expect("check"),
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("nothing new", |bencher| {
        bencher.iter(|| check(&store, |_| true, &setup).expect("check"));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
