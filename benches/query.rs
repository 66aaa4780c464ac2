//! Benches of `tapestore-query`: the as-of join and resampling, as kernels and out of a store.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tapestore::{ColumnType, ColumnValues, RowSet, Rows, Schema, Timeframe, Values, schema};
use tapestore_query::asof::gather;
use tapestore_query::resample::Resampler;
use tapestore_query::{AsOfJoin, Direction, Resample, Rule, resample};
use tempfile::tempdir;

use crate::data::{Bars, COLUMNS, MINUTE_NS, START_NS, key, quiet, sealed};

const MILLION: usize = 1_000_000;

/// Ascending times, `step_ns` apart in the mean, by a fixed rule that no processor predicts.
fn times(rows: usize, step_ns: i64, seed: u64) -> Vec<i64> {
    let (mut state, mut time) = (seed, START_NS);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        time += (state >> 33) as i64 % (2 * step_ns);
        time
    };
    (0..rows).map(|_| next()).collect()
}

/// A million trades with a million quotes; the peers search each trade's quote, and copy the columns.
pub(crate) fn bench_join(criterion: &mut Criterion) {
    let (trades, quotes) = (times(MILLION, 1_000_000, 1), times(MILLION, 1_000_000, 2));
    let bids: ColumnValues = Values::F64((0..MILLION).map(|row| row as f64).collect()).into();
    let mut group = criterion.benchmark_group("as-of join, 1 M with 1 M");
    group.throughput(Throughput::Elements(MILLION as u64)).sample_size(20);
    let (mut rows, mut found) = (Vec::new(), ColumnValues::empty(ColumnType::F64));
    for direction in [Direction::Backward, Direction::Forward, Direction::Nearest] {
        let how = AsOfJoin { direction, ..AsOfJoin::default() };
        group.bench_function(format!("{direction:?}, with one column"), |bencher| {
            bencher.iter(|| {
                how.rows(&trades, &quotes, &mut rows).expect("ascending times");
                gather(&bids, &rows, &mut found);
            });
        });
    }
    group.bench_function("peer: binary search for each row", |bencher| {
        bencher.iter(|| {
            rows.clear();
            let place = |time: &i64| quotes.partition_point(|quote| quote <= time) as u32;
            rows.extend(trades.iter().map(|time| place(time).wrapping_sub(1)));
            gather(&bids, &rows, &mut found);
        });
    });
    let mut copy = trades.clone();
    group.bench_function("peer: copy of two columns", |bencher| {
        bencher.iter(|| {
            copy.copy_from_slice(black_box(&trades));
            copy.copy_from_slice(black_box(&quotes));
        });
    });
    group.finish();
}

fn rows(bars: &Bars, schema: &Schema) -> Rows {
    let column = |name: &&str| {
        let at = COLUMNS.iter().position(|known| known == name).expect("a column of bars");
        ColumnValues::from(Values::F64(bars.columns[at].clone()))
    };
    let names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
    let columns = names.iter().map(column).zip(0..).map(|(values, id)| (id, values)).collect();
    Rows {
        columns: schema.columns.clone(),
        set: RowSet { time: bars.time.clone(), columns, ..RowSet::default() },
    }
}

/// Minutes to hours over the longest series there is; the peer copies the rows.
pub(crate) fn bench_resample(criterion: &mut Criterion) {
    let (name, source) = match Bars::real("BTCUSD.BITFINEX-1m.csv.gz") {
        Some(bars) => ("resample BTCUSD 1m to 1h, 2.6 M rows", bars),
        None => ("resample 1m to 1h, 2.6 M rows", Bars::complete(2_600_000)),
    };
    let schema = schema::bars();
    let all = rows(&source, &schema);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(source.bytes())).sample_size(20);
    group.bench_function("columns in memory", |bencher| {
        bencher.iter(|| {
            let frame = key(0).frame().clone();
            let rule = Rule::Time(Timeframe::H1);
            let mut resampler = Resampler::new(&frame, &schema, rule, None).expect("bars");
            resampler.push(&all).expect("the columns of bars");
            resampler.finish(Some(i64::MAX - MINUTE_NS), false).rows.len()
        });
    });
    let directory = tempdir().expect("a temporary directory can be made");
    let store = sealed(&directory.path().join("store"), &source, quiet());
    let (view, how) = (store.view(), Resample::to(Timeframe::H1));
    group.bench_function("out of a store", |bencher| {
        bencher.iter(|| resample(&view, &key(0), i64::MIN..i64::MAX, &how).expect("bars").rows.len());
    });
    let mut copy = all.clone();
    group.bench_function("peer: copy of the rows", |bencher| {
        bencher.iter(|| copy.set.clone_from(black_box(&all.set)));
    });
    group.finish();
}
