//! Fetching, against an exchange made here: in the process with a clock that waits for nothing, and over HTTP.
//!
//! [`exchange`]: what it answers, and its tricks; [`account`]: which requests are sent; [`truth`]: what becomes of
//! replies; [`manners`]: limits, bans and retries; [`http`]: the same over sockets; [`files`]: public files;
//! [`others`]: OKX and Yahoo; [`garbage`]: replies that are spoilt at random;
//! [`declared`]: sources of one's own.

mod account;
mod declared;
mod exchange;
mod files;
mod garbage;
mod http;
mod manners;
mod others;
mod server;
mod truth;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tapestore::time::MINUTE_NS;
use tapestore::{Durability, Frame, Options, SeriesKey, Store};
use tapestore_fetch::clock::{Stop, VirtualClock};
use tapestore_fetch::sources::{Settings, source};
use tapestore_fetch::wire::Transport;
use tapestore_fetch::{Event, Job, Plan, Runner, Summary, plan, run};

use exchange::{Exchange, START};

/// A store in a directory of its own, an exchange, and a clock that stands 20 s after a minute.
struct Bench {
    _directory: tempfile::TempDir,
    store: Store,
    clock: Arc<VirtualClock>,
    exchange: Arc<Exchange>,
    stop: Stop,
}

impl Bench {
    /// The clock shows this many minutes, and 20 s, after [`START`].
    fn at_minute(minutes: i64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = Options { durability: Durability::Appended, ..Options::default() };
        let store = Store::create(directory.path().join("store"), options).expect("a store");
        let clock = Arc::new(VirtualClock::new(START + minutes * MINUTE_NS + 20_000_000_000));
        let exchange = Arc::new(Exchange::new(clock.clone()));
        Self { _directory: directory, store, clock, exchange, stop: Stop::default() }
    }

    fn job(name: &str, symbol: &str, frame: &str, minutes: Range<i64>) -> Job {
        let source = source(name, &Settings::default()).expect("a source");
        let key = source.key(symbol, &Frame::parse(frame).expect("a frame")).expect("a key");
        let range = START + minutes.start * MINUTE_NS..START + minutes.end * MINUTE_NS;
        Job { source, symbol: symbol.into(), key, range, sessions: None, recheck: false }
    }

    fn plan(&self, jobs: Vec<Job>) -> Plan {
        let now = tapestore_fetch::clock::Clock::now_ns(&*self.clock);
        plan(&self.store.view(), jobs, now).expect("a plan")
    }

    fn runner(&self, transport: Arc<dyn Transport>) -> Runner {
        Runner {
            transport,
            clock: self.clock.clone(),
            stop: self.stop.clone(),
            concurrency: None,
            patience: Duration::from_mins(10),
        }
    }

    /// Fetches, and tells what happened.
    fn fetch(&self, jobs: Vec<Job>) -> (Summary, Vec<Event>) {
        let plan = self.plan(jobs);
        let events = parking_lot::Mutex::new(Vec::new());
        let watch = |event: &Event| events.lock().push(event.clone());
        let summary =
            run(&self.store, &plan, &self.runner(self.exchange.clone()), &watch).expect("the store works");
        (summary, events.into_inner())
    }

    /// One-minute bars of a symbol at Binance.
    fn minutes(&self, symbol: &str, minutes: Range<i64>) -> Summary {
        self.fetch(vec![Self::job("binance", symbol, "1m", minutes)]).0
    }

    /// Minutes after [`START`] that the store has.
    fn stored(&self, symbol: &str) -> Vec<i64> {
        let rows = self.store.view().read(&key(symbol)).columns(&[]).rows().expect("rows");
        rows.time().iter().map(|time| (time - START) / MINUTE_NS).collect()
    }

    /// Kind, minute, column, old and new of all findings.
    fn findings(&self) -> Vec<(String, i64, String)> {
        let rows = match self.store.view().read(&tapestore_fetch::ledger::findings_key()).rows() {
            Err(tapestore::Error::NotFound(_)) => return Vec::new(),
            rows => rows.expect("findings"),
        };
        let text = |name: &str, row: usize| match &rows.column(name).expect("a column").values {
            tapestore::Values::Str(texts) => texts.get(row).to_owned(),
            _ => panic!("{name} is no text"),
        };
        let at = rows.i64("at").expect("times");
        (0..rows.len())
            .map(|row| (text("kind", row), (at[row] - START) / MINUTE_NS, text("column", row)))
            .collect()
    }
}

fn key(symbol: &str) -> SeriesKey {
    SeriesKey::new(&format!("{symbol}.BINANCE"), "1m").expect("a key")
}
