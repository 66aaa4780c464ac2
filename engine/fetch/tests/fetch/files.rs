//! The public files of Binance: months and days, checksums, headers, units of time, files that are replaced or missing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tapestore::time::{DAY_NS, MINUTE_NS};
use tapestore::{Error as StoreError, Frame, SeriesKey};
use tapestore_fetch::wire::{Carrier, Reply, Request, Transport, WireError};
use tapestore_fetch::{Error, Event, Job, Summary, run};

use crate::Bench;
use crate::exchange::START;

/// Files by path, and what was asked for.
#[derive(Debug, Default)]
struct Bucket {
    files: Mutex<HashMap<String, Vec<u8>>>,
    log: Mutex<Vec<String>>,
}

impl Transport for Bucket {
    fn send(&self, request: &Request) -> Result<Reply, WireError> {
        let Carrier::Get(url) = &request.carrier else { panic!("{request:?}") };
        let path = url.strip_prefix("https://data.binance.vision/").expect("the host");
        self.log.lock().push(path.to_owned());
        let found = self.files.lock().get(path).cloned();
        let status = if found.is_some() { 200 } else { 404 };
        let body = found.unwrap_or_else(|| b"<Error><Code>NoSuchKey</Code></Error>".to_vec());
        Ok(Reply { status, body, received_ns: i64::MAX / 2, ..Reply::default() })
    }
}

impl Bucket {
    fn put_zip(&self, path: &str, zip: Vec<u8>) {
        let sum: String = Sha256::digest(&zip).iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("{sum}  {}\n", path.rsplit('/').next().unwrap());
        let mut files = self.files.lock();
        files.insert(format!("{path}.CHECKSUM"), line.into_bytes());
        files.insert(path.to_owned(), zip);
    }

    /// A file with this text, in an entry named as the file is.
    fn put(&self, path: &str, text: &str) {
        let name = path.rsplit('/').next().unwrap().replace(".zip", ".csv");
        self.put_zip(path, zipped(&name, text));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock())
    }
}

fn zipped(name: &str, text: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(text.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

const HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,\
    taker_buy_quote_volume,ignore\n";

/// Bars of an hour, in milliseconds or microseconds.
fn hours(hours: Range<i64>, per_ms: i64) -> String {
    let mut out = String::new();
    for hour in hours {
        let open = (START / 1_000_000 + hour * 3_600_000) * per_ms;
        let close = open + 3_600_000 * per_ms - 1;
        writeln!(out, "{open},1.5,2.5,0.5,{hour},7,{close},8,9,10,11,0").unwrap();
    }
    out
}

fn path(often: &str, date: &str) -> String {
    format!("data/spot/{often}/klines/BTCUSDT/1h/BTCUSDT-1h-{date}.zip")
}

/// The hours after [`START`] in question, as a job.
fn job(hours: Range<i64>) -> Job {
    Bench::job("binance-dumps", "BTCUSDT", "1h", hours.start * 60..hours.end * 60)
}

fn fetch(bench: &Bench, bucket: &Arc<Bucket>, jobs: Vec<Job>) -> Summary {
    let plan = bench.plan(jobs);
    run(&bench.store, &plan, &bench.runner(bucket.clone()), &|_: &Event| {}).expect("the store works")
}

fn key() -> SeriesKey {
    SeriesKey::new("BTCUSDT.BINANCE", "1h").unwrap()
}

fn count(bench: &Bench) -> u64 {
    bench.store.view().count(&key(), i64::MIN..i64::MAX).unwrap_or(0)
}

#[test]
fn months_come_whole_and_the_rest_by_days_with_and_without_header_in_both_units() {
    // The 3rd of March: the file of February is not out yet for sure.
    let bench = Bench::at_minute((31 + 28 + 2) * 1440);
    let bucket = Arc::new(Bucket::default());
    bucket.put(&path("monthly", "2026-01"), &hours(0..31 * 24, 1));
    for day in 0..30 {
        let date =
            if day < 28 { format!("2026-02-{:02}", day + 1) } else { format!("2026-03-{:02}", day - 27) };
        let (first, per_ms) = ((31 + day) * 24, if day % 2 == 0 { 1 } else { 1000 });
        let header = if day % 3 == 0 { HEADER } else { "" };
        bucket.put(&path("daily", &date), &format!("{header}{}", hours(first..first + 24, per_ms)));
    }
    let jobs = || vec![job(0..61 * 24)];
    let summary = fetch(&bench, &bucket, jobs());
    assert_eq!((summary.failed().count(), count(&bench)), (0, 61 * 24), "{summary:?}");
    let asked = bucket.asked();
    assert_eq!(asked.len(), 2 + 30 * 2);
    assert_eq!(asked[..2], [format!("{}.CHECKSUM", path("monthly", "2026-01")), path("monthly", "2026-01")]);
    let view = bench.store.view();
    let rows = view.read(&key()).rows().unwrap();
    assert_eq!((rows.f64("close").unwrap()[1000], rows.i64("trades").unwrap()[1000]), (1000.0, 9));
    assert!(bench.plan(jobs()).items[0].pieces.is_empty());
}

#[test]
fn a_wrong_checksum_or_a_wrong_name_inside_is_not_taken() {
    let bench = Bench::at_minute(60 * 1440);
    let bucket = Arc::new(Bucket::default());
    let path = path("monthly", "2026-01");
    bucket.put(&path, &hours(0..31 * 24, 1));
    let good = bucket.files.lock()[&path].clone();
    bucket.files.lock().insert(path.clone(), good[..good.len() - 1].to_vec());
    let summary = fetch(&bench, &bucket, vec![job(0..31 * 24)]);
    let error = summary.failed().next().and_then(|outcome| outcome.error.clone()).unwrap();
    assert!(matches!(&*error, Error::GaveUp { reason, .. } if reason.contains("checksum")), "{error}");
    bucket.put_zip(&path, zipped("ETHUSDT-1h-2026-01.csv", &hours(0..31 * 24, 1)));
    let summary = fetch(&bench, &bucket, vec![job(0..31 * 24)]);
    let error = summary.failed().next().and_then(|outcome| outcome.error.clone()).unwrap();
    assert!(matches!(&*error, Error::Refused { reason, .. } if reason.contains("ETHUSDT")), "{error}");
    bucket.put(&path, &hours(100..31 * 24 + 100, 1));
    let summary = fetch(&bench, &bucket, vec![job(0..31 * 24)]);
    let error = summary.failed().next().and_then(|outcome| outcome.error.clone()).unwrap();
    assert!(matches!(&*error, Error::Refused { .. }), "rows of another month: {error}");
    assert!(matches!(bench.store.view().info(&key()), Err(StoreError::NotFound(_))));
}

#[test]
fn a_missing_file_confirms_nothing_and_stops_nothing() {
    let bench = Bench::at_minute(100 * 1440);
    let bucket = Arc::new(Bucket::default());
    let february = 31 * 24..59 * 24;
    bucket.put(&path("monthly", "2026-02"), &hours(february.clone(), 1));
    let summary = fetch(&bench, &bucket, vec![job(0..59 * 24)]);
    assert_eq!((summary.failed().count(), count(&bench)), (0, 28 * 24));
    assert!(bench.store.view().absences(&key()).unwrap().is_empty());
    assert_eq!(bench.plan(vec![job(0..59 * 24)]).missing(), 31 * 24, "January is still missed");
    // A hole in a file that is there is the source's word.
    bucket.put(&path("monthly", "2026-01"), &hours(24..31 * 24, 1));
    fetch(&bench, &bucket, vec![job(0..59 * 24)]);
    assert_eq!(bench.store.view().absences(&key()).unwrap(), [START..START + DAY_NS]);
}

#[test]
fn a_replaced_file_is_noticed_by_its_checksum() {
    let bench = Bench::at_minute(100 * 1440);
    let bucket = Arc::new(Bucket::default());
    let path = path("monthly", "2026-01");
    bucket.put(&path, &hours(0..31 * 24, 1));
    fetch(&bench, &bucket, vec![job(0..31 * 24)]);
    bucket.asked();
    let again = || vec![Job { recheck: true, ..job(0..31 * 24) }];
    fetch(&bench, &bucket, again());
    assert_eq!(bucket.asked(), [format!("{path}.CHECKSUM")], "the same file is not taken again");
    bucket.put(&path, &hours(0..31 * 24, 1).replace(",5,7,", ",5.5,7,"));
    let summary = fetch(&bench, &bucket, again());
    assert_eq!(
        (bucket.asked().len(), summary.written().commit.updated, summary.written().findings),
        (2, 1, 1)
    );
    assert_eq!(bench.findings(), [("revision".into(), 300, "close".into())]);
    fetch(&bench, &bucket, again());
    assert_eq!(bucket.asked().len(), 1, "its new checksum is known");
}

#[test]
fn a_small_hole_costs_the_file_of_its_day() {
    let bench = Bench::at_minute(100 * 1440);
    let bucket = Arc::new(Bucket::default());
    bucket.put(&path("monthly", "2026-01"), &hours(0..31 * 24, 1));
    bucket.put(&path("daily", "2026-01-03"), &hours(48..72, 1));
    fetch(&bench, &bucket, vec![job(0..31 * 24)]);
    bucket.asked();
    let mut transaction = bench.store.begin();
    let hour = |hour: i64| START + hour * 60 * MINUTE_NS;
    transaction.delete_range(&key(), hour(50)..hour(53)).unwrap();
    transaction.commit().unwrap();
    let summary = fetch(&bench, &bucket, vec![job(0..31 * 24)]);
    assert_eq!((summary.written().commit.added, bucket.asked()[1].clone()), (3, path("daily", "2026-01-03")));
}

#[test]
fn trades_come_by_days_and_go_on_by_number() {
    let bench = Bench::at_minute(3 * 1440);
    let bucket = Arc::new(Bucket::default());
    let day = |day: i64| {
        let mut text = String::from(
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n",
        );
        for trade in 0..100 {
            let (id, at) = (day * 100 + trade, START / 1_000_000 + day * 86_400_000 + trade * 1000);
            writeln!(text, "{id},1.5,2,1,1,{at},{}", id % 2 == 0).unwrap();
        }
        let date = format!("2026-01-{:02}", day + 1);
        let folder = "data/futures/um/daily/aggTrades/BTCUSDT";
        bucket.put(&format!("{folder}/BTCUSDT-aggTrades-{date}.zip"), &text);
    };
    day(0);
    let job = || vec![Bench::job("binance-um-dumps", "BTCUSDT", "trades", 0..9999)];
    let trades = SeriesKey::with_frame("BTCUSDT.BINANCE-UM", Frame::Trades).unwrap();
    let count = || bench.store.view().count(&trades, i64::MIN..i64::MAX).unwrap();
    assert_eq!(fetch(&bench, &bucket, job()).failed().count(), 0);
    assert_eq!(count(), 100);
    day(1);
    fetch(&bench, &bucket, job());
    assert_eq!(count(), 200);
}

#[test]
fn a_real_month_is_read() {
    let folder =
        std::env::var_os("TAPE_DATA").map(|data| std::path::PathBuf::from(data).join("klines/binance-um"));
    let name = "NEARUSDT-1m-2024-02.zip";
    let Some(zip) = folder.and_then(|folder| std::fs::read(folder.join(name)).ok()) else {
        eprintln!("skipped: TAPE_DATA names no directory with klines/binance-um/{name}");
        return;
    };
    let bench = Bench::at_minute(0);
    let bucket = Arc::new(Bucket::default());
    bucket.put_zip(&format!("data/futures/um/monthly/klines/NEARUSDT/1m/{name}"), zip);
    let mut job = Bench::job("binance-um-dumps", "NEARUSDT", "1m", 0..1);
    // February 2024.
    job.range = 1_706_745_600_000_000_000..1_709_251_200_000_000_000;
    let (key, summary) = (job.key.clone(), fetch(&bench, &bucket, vec![job]));
    assert_eq!((summary.failed().count(), summary.written().commit.added), (0, 41_760), "{summary:?}");
    assert!(bench.store.view().gaps(&key, None).unwrap().is_empty());
}
