//! A source, asked again: what it gives goes into a store in memory first, by the same way as always, and is judged there.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tapestore::io::MemoryStorage;
use tapestore::{Rows, SeriesKey, Store};
use tapestore_fetch::clock::{Stop, SystemClock};
use tapestore_fetch::http::{Http, Timeouts};
use tapestore_fetch::sources::{Settings, source};
use tapestore_fetch::{Event, Job, Runner, Source, plan, run};
use tapestore_quality::{Error, Refetch};

use crate::commands::write_options;
use crate::fail::Result;
use crate::when::now_ns;

/// Longest wait that a source may ask for.
const PATIENCE: Duration = Duration::from_mins(5);

/// Asks a source again.
pub(super) struct Again {
    source: Arc<dyn Source>,
    runner: Runner,
    /// Symbols of the series whose newest bar comes from the source.
    symbols: HashMap<SeriesKey, String>,
}

impl Again {
    /// For the series of a store that come from the source of a name.
    pub(super) fn new(store: &Store, name: &str, url: Option<String>) -> Result<Self> {
        let source = source(name, &Settings { url, ..Settings::default() })?;
        let view = store.view();
        let mut symbols = HashMap::new();
        for key in view.keys().into_iter().filter(|key| key.frame().timeframe().is_some() && !key.is_own()) {
            let newest = view.read(&key).columns(&[]).provenance().last(1)?;
            if newest.is_empty() {
                continue;
            }
            let origin = view.source_name(newest.set.source.get(0));
            let symbol = key.instrument().split('.').next().unwrap_or_default().to_owned();
            let named = source.key(&symbol, key.frame()).is_ok_and(|named| named == key);
            if named && origin.as_deref() == Some(name) {
                symbols.insert(key, symbol);
            }
        }
        let runner = Runner {
            transport: Arc::new(Http::new(Timeouts::default())),
            clock: Arc::new(SystemClock::default()),
            stop: Stop::default(),
            concurrency: None,
            patience: PATIENCE,
        };
        Ok(Self { source, runner, symbols })
    }

    fn fetch(&self, key: &SeriesKey, symbol: &str, range: &Range<i64>) -> std::result::Result<Rows, Error> {
        let failed = |error: tapestore_fetch::Error| match error {
            tapestore_fetch::Error::Store(error) => Error::Store(error),
            other => Error::Source(format!("{key}: {other}")),
        };
        let aside = Store::create_on(Arc::new(MemoryStorage::new()), write_options())?;
        let job = Job {
            source: Arc::clone(&self.source),
            symbol: symbol.to_owned(),
            key: key.clone(),
            range: range.clone(),
            sessions: None,
            recheck: false,
        };
        let plan = plan(&aside.view(), vec![job], now_ns()).map_err(failed)?;
        if let Some((_, reason)) = plan.failed.first() {
            return Err(Error::Source(format!("{key}: {reason}")));
        }
        let summary = run(&aside, &plan, &self.runner, &|_: &Event| {}).map_err(failed)?;
        if let Some(error) = summary.failed().find_map(|outcome| outcome.error.clone()) {
            return Err(Error::Source(format!("{key}: {error}")));
        }
        match aside.view().read(key).range(range.clone()).rows() {
            // It has nothing there.
            Err(tapestore::Error::NotFound(_)) => Ok(Rows::default()),
            rows => Ok(rows?),
        }
    }
}

impl Refetch for Again {
    fn origin(&self, key: &SeriesKey) -> Option<String> {
        self.symbols.contains_key(key).then(|| self.source.name().to_owned())
    }

    fn bars(&mut self, key: &SeriesKey, range: &Range<i64>) -> std::result::Result<Rows, Error> {
        let Some(symbol) = self.symbols.get(key) else { return Ok(Rows::default()) };
        self.fetch(key, symbol, range)
    }
}
