//! What is watched: the series of a store and what a configuration says of them. For alerts, status and reports.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapestore::{Frame, SeriesKey, Store, View};
use tapestore_alert::measure::{Watched, measure};
use tapestore_alert::{Alerts, Error, look};
use tapestore_fetch::config::{Config, Entry, Universe};
use tapestore_fetch::plan::expected;
use tapestore_quality::{Rules, Score};
use tapestore_report::Knowledge;

use super::Context;
use super::config::{load, sessions};
use crate::fail::{Fail, Result};
use crate::number::grouped;

/// A configuration, and the store that it is about.
pub(super) struct Setup {
    /// If one was named.
    pub(super) config: Option<Config>,
    /// Its rules and sinks, or those that hold without one.
    pub(super) alerts: Alerts,
    /// With the directory of the store.
    pub(super) context: Context,
    /// Thresholds of quality.
    pub(super) rules: Rules,
}

impl Setup {
    /// Reads a configuration. The store is that of `--store`, or the only one that the configuration names.
    pub(super) fn load(context: &Context, file: Option<&Path>) -> Result<Self> {
        let Some(file) = file else {
            let (alerts, rules) = (Alerts::default(), Rules::default());
            return Ok(Self { config: None, alerts, context: context.clone(), rules });
        };
        let config = load(file)?;
        let alerts = config.sections.get("alerts").map(Alerts::read).transpose()?.unwrap_or_default();
        let mut stores: Vec<&PathBuf> = config.entries.iter().map(|entry| &entry.store).collect();
        stores.extend(&config.store);
        stores.sort();
        stores.dedup();
        let store = match (&context.store, stores.as_slice()) {
            (Some(store), _) => store.clone(),
            (None, [store]) => (*store).clone(),
            (None, []) => {
                let text =
                    format!("{} names no store: write store = \"DIR\", or use --store", file.display());
                return Err(Fail::Usage(text));
            }
            (None, several) => {
                let names: Vec<String> = several.iter().map(|store| store.display().to_string()).collect();
                let text =
                    format!("{} names several stores; which? --store {}", file.display(), names.join(" or "));
                return Err(Fail::Usage(text));
            }
        };
        let context = Context { store: Some(store), ..context.clone() };
        let rules = super::quality::settings_of(&config)?.rules;
        Ok(Self { config: Some(config), alerts, context, rules })
    }

    /// The bars of the store, and those that the configuration keeps current, be they there or not.
    pub(super) fn watched(&self, view: &View, now_ns: i64) -> Result<Vec<Watched>> {
        let mut found: BTreeMap<SeriesKey, Watched> = BTreeMap::new();
        let plain = |key: SeriesKey| Watched { key, kept: false, sessions: Ok(None), score: None };
        for key in view.keys().into_iter().filter(|key| !key.is_own() && key.frame().timeframe().is_some()) {
            found.insert(key.clone(), plain(key));
        }
        for checked in tapestore_quality::checked(view)? {
            if let Some(it) = found.get_mut(&checked.key) {
                let score = Score::of(checked.tally, None, &self.rules);
                let few = if score.provisional { ", of few bars" } else { "" };
                let text = format!(
                    "{} of {} expected bars can be used{few}; checked at version {}",
                    grouped(checked.tally.usable),
                    grouped(checked.tally.expected),
                    checked.version
                );
                it.score = Some((score.ratio, text));
            }
        }
        let Some(config) = &self.config else { return Ok(found.into_values().collect()) };
        for entry in config.entries.iter().filter(|entry| self.is_ours(entry)) {
            let source = config.source(&entry.source)?;
            let derived = entry.derive.iter().map(|timeframe| Frame::Bars(*timeframe));
            let frames: Vec<Frame> = entry.fetched().into_iter().chain(derived).collect();
            for symbol in &entry.symbols {
                for frame in frames.iter().filter(|frame| frame.timeframe().is_some()) {
                    // Derived bars carry the name that their source gives to the instrument.
                    let named = source.key(symbol, &entry.frames[0])?;
                    let key = SeriesKey::with_frame(named.instrument(), frame.clone())?;
                    found.entry(key.clone()).or_insert_with(|| plain(key)).kept = true;
                }
            }
            Self::expect(config, entry, view, now_ns, &mut found)?;
        }
        Ok(found.into_values().collect())
    }

    /// The universes of instruments, in words.
    pub(super) fn universes(&self) -> Result<HashMap<String, String>> {
        let mut found: HashMap<String, String> = HashMap::new();
        let Some(config) = &self.config else { return Ok(found) };
        for entry in config.entries.iter().filter(|entry| self.is_ours(entry)) {
            let source = config.source(&entry.source)?;
            for symbol in &entry.symbols {
                let holds = |it: &(&String, &Universe)| it.1.symbols.contains(symbol);
                let names: Vec<&str> =
                    config.universes.iter().filter(holds).map(|universe| universe.0.as_str()).collect();
                if !names.is_empty() {
                    let key = source.key(symbol, &entry.frames[0])?;
                    found.insert(key.instrument().to_owned(), names.join(", "));
                }
            }
        }
        Ok(found)
    }

    /// What is known beyond the store, with alerts as they would be if one looked now; nothing is written, nobody is told.
    pub(super) fn knowledge(&self, store: &Store, view: &View, now_ns: i64) -> Result<Knowledge> {
        let watched = self.watched(view, now_ns)?;
        // A verification takes its time: what the last one found stays as it is.
        let measured = measure(store, view, &self.alerts.rules, &watched, false, now_ns)?;
        let alerts = look(view, &self.alerts, &measured, now_ns)?.open;
        Ok(Knowledge { watched, universes: self.universes()?, rules: self.rules.clone(), alerts })
    }

    fn is_ours(&self, entry: &Entry) -> bool {
        self.context.store.as_ref().is_none_or(|store| *store == entry.store)
    }

    /// When bars of an entry are expected: from the first that there is on, one range for all of its series.
    fn expect(
        config: &Config,
        entry: &Entry,
        view: &View,
        now_ns: i64,
        found: &mut BTreeMap<SeriesKey, Watched>,
    ) -> Result<()> {
        if entry.calendar.is_none() {
            return Ok(());
        }
        let source = config.source(&entry.source)?;
        let mut names = Vec::new();
        for symbol in &entry.symbols {
            names.push(source.key(symbol, &entry.frames[0])?.instrument().to_owned());
        }
        let ours = |it: &&mut Watched| it.kept && names.iter().any(|name| name == it.key.instrument());
        let first = found.values_mut().filter(ours).filter_map(|it| view.info(&it.key).ok()?.first_ns).min();
        let range: Range<i64> = first.unwrap_or(now_ns).min(now_ns)..now_ns;
        let open = sessions(config, entry, view, &range).map_err(|fail| fail.to_string());
        let mut made: BTreeMap<String, Option<Arc<Vec<Range<i64>>>>> = BTreeMap::new();
        for it in found.values_mut().filter(ours) {
            it.sessions = match &open {
                Err(why) => Err(why.clone()),
                Ok(None) => Ok(None),
                Ok(Some(open)) => {
                    let make = || expected(open, it.key.frame()).map(Arc::new);
                    Ok(made.entry(it.key.frame().to_string()).or_insert_with(make).clone())
                }
            };
        }
        Ok(())
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Self::from(error),
            other => Self::Usage(other.to_string()),
        }
    }
}

impl From<tapestore_report::Error> for Fail {
    fn from(error: tapestore_report::Error) -> Self {
        match error {
            tapestore_report::Error::Store(error) => Self::from(error),
            tapestore_report::Error::Alerts(error) => Self::from(error),
            other => Self::Usage(other.to_string()),
        }
    }
}
