//! Benches of `tapestore-fetch`: pages of bars as they come from the network, read and written. One thread; the store is in
//! memory, so that no device is measured.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use simd_json::prelude::*;
use tapestore::io::MemoryStorage;
use tapestore::{Frame, Store};
use tapestore_fetch::page::{self, Target};
use tapestore_fetch::sources::{Settings, source};
use tapestore_fetch::wire::Reply;
use tapestore_fetch::{Ask, Page, Source, Step};

use crate::data::{Bars, MINUTE_NS, START_NS, quiet};

const PAGES: usize = 250;
const PAGE_ROWS: usize = 1000;

/// Replies of Binance: arrays of twelve, decimals as text.
fn replies() -> Vec<Reply> {
    let bars = Bars::complete(PAGES * PAGE_ROWS);
    let row = |row: usize| {
        let open = bars.time[row] / 1_000_000;
        let [o, h, l, c, v] = &bars.columns;
        format!(
            "[{open},\"{:.8}\",\"{:.8}\",\"{:.8}\",\"{:.8}\",\"{:.8}\",{},\"{:.8}\",{},\"{:.8}\",\"{:.8}\",\"0\"]",
            o[row],
            h[row],
            l[row],
            c[row],
            v[row],
            open + 59_999,
            v[row] * c[row],
            row % 977,
            v[row] / 2.0,
            v[row] * c[row] / 2.0
        )
    };
    (0..PAGES)
        .map(|page| {
            let rows: Vec<String> = (page * PAGE_ROWS..(page + 1) * PAGE_ROWS).map(row).collect();
            let body = format!("[{}]", rows.join(",")).into_bytes();
            Reply { status: 200, headers: Vec::new(), body, received_ns: i64::MAX / 2 }
        })
        .collect()
}

fn ask(page: usize) -> Ask {
    let minute = |row: usize| START_NS + row as i64 * MINUTE_NS;
    Ask {
        symbol: "BTCUSDT".into(),
        frame: Frame::parse("1m").expect("a frame"),
        range: minute(page * PAGE_ROWS)..minute((page + 1) * PAGE_ROWS),
        after_id: None,
        before_id: None,
        known_files: std::collections::HashMap::new(),
        recheck: false,
        now_ns: i64::MAX / 2,
    }
}

fn read(source: &dyn Source, ask: &Ask, reply: &Reply) -> Page {
    match source.step(ask, std::slice::from_ref(reply)).expect("a good reply") {
        Step::Done(mut done) => {
            page::check(ask, &mut done).expect("it answers");
            *done
        }
        Step::Send(request) => panic!("{request:?}"),
    }
}

/// 250,000 bars in pages of 1,000: read, and read and written in a commit each, sealed in the end. The peer reads the same
/// text into a tree and takes the same numbers out of it.
pub(crate) fn bench_pages(criterion: &mut Criterion) {
    let replies = replies();
    let source = source("binance", &Settings::default()).expect("a source");
    let key = source.key("BTCUSDT", &ask(0).frame).expect("a key");
    let schema = source.schema(&ask(0).frame);
    let mut group = criterion.benchmark_group("fetched pages");
    group.throughput(Throughput::Elements((PAGES * PAGE_ROWS) as u64)).sample_size(10);
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            for (page, reply) in replies.iter().enumerate() {
                black_box(read(&*source, &ask(page), reply));
            }
        });
    });
    group.bench_function("read and written, sealed", |bencher| {
        bencher.iter_batched(
            || Store::create_on(Arc::new(MemoryStorage::new()), quiet()).expect("create"),
            |store| {
                let target =
                    Target { store: &store, key: &key, schema: &schema, source: "binance", sessions: None };
                for (page, reply) in replies.iter().enumerate() {
                    let ask = ask(page);
                    page::write(target, &ask, read(&*source, &ask, reply)).expect("a commit");
                }
                store.seal().expect("seal");
                store
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("peer: simd-json to a tree, and numbers out of it", |bencher| {
        bencher.iter(|| {
            let mut columns: [Vec<f64>; 10] = Default::default();
            for reply in &replies {
                let mut body = reply.body.clone();
                let tree = simd_json::to_borrowed_value(&mut body).expect("JSON");
                for bar in tree.as_array().expect("a list") {
                    let bar = bar.as_array().expect("a bar");
                    for (column, field) in columns.iter_mut().zip([0, 1, 2, 3, 4, 5, 7, 8, 9, 10]) {
                        let field = &bar[field];
                        let text = field.as_str().map(|text| text.parse::<f64>().expect("a number"));
                        column.push(text.unwrap_or_else(|| field.as_i64().expect("a number") as f64));
                    }
                }
            }
            columns
        });
    });
    group.finish();
}
