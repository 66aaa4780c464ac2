//! What is watched: the series of a store and what a configuration says of them. For alerts, status and reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapestore::{Frame, SeriesKey, Store, View};
use tapestore_alert::measure::{Watched, measure};
use tapestore_alert::{Alerts, Error, look};
use tapestore_fetch::config::{Config, Entry};
use tapestore_quality::{Markets, Score, Settings};
use tapestore_report::Knowledge;

use super::Context;
use super::config::load;
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
    /// Thresholds and calendars of quality.
    pub(super) quality: Settings,
}

/// The context with the store of `--store`, or the only one that a configuration names.
pub(super) fn with_store(context: &Context, file: &Path, config: &Config) -> Result<Context> {
    let mut stores: Vec<&PathBuf> = config.entries.iter().map(|entry| &entry.store).collect();
    stores.extend(&config.store);
    stores.sort();
    stores.dedup();
    let store = match (&context.store, stores.as_slice()) {
        (Some(store), _) => store.clone(),
        (None, [store]) => (*store).clone(),
        (None, []) => {
            let text = format!("{} names no store: write store = \"DIR\", or use --store", file.display());
            return Err(Fail::Usage(text));
        }
        (None, several) => {
            let names: Vec<String> = several.iter().map(|store| store.display().to_string()).collect();
            let text =
                format!("{} names several stores; which? --store {}", file.display(), names.join(" or "));
            return Err(Fail::Usage(text));
        }
    };
    Ok(Context { store: Some(store), ..context.clone() })
}

impl Setup {
    /// Reads a configuration. The store is that of `--store`, or the only one that the configuration names.
    pub(super) fn load(context: &Context, file: Option<&Path>) -> Result<Self> {
        let Some(file) = file else {
            let (alerts, quality) = (Alerts::default(), Settings::default());
            return Ok(Self { config: None, alerts, context: context.clone(), quality });
        };
        let config = load(file)?;
        let alerts = config.sections.get("alerts").map(Alerts::read).transpose()?.unwrap_or_default();
        let context = with_store(context, file, &config)?;
        let quality = super::quality::settings_of(&config)?;
        Ok(Self { config: Some(config), alerts, context, quality })
    }

    /// The bars of the store, and those that the configuration keeps current, be they there or not.
    pub(super) fn watched(&self, view: &View, now_ns: i64) -> Result<Vec<Watched>> {
        let mut found: BTreeMap<SeriesKey, Watched> = BTreeMap::new();
        let mut markets = Markets::read(view)?;
        let mut plain = |key: SeriesKey| {
            let first = view.info(&key).ok().and_then(|info| info.first_ns).unwrap_or(now_ns);
            let range = first.min(now_ns)..now_ns;
            let expected = markets.expected(view, &self.quality.calendars, &key, &range);
            let expected = expected.map(Arc::new).map_err(|error| error.to_string());
            Watched { key, kept: false, expected, score: None }
        };
        for key in view.keys().into_iter().filter(|key| !key.is_own() && key.frame().timeframe().is_some()) {
            found.insert(key.clone(), plain(key));
        }
        for checked in tapestore_quality::checked(view)? {
            if let Some(it) = found.get_mut(&checked.key) {
                let score = Score::of(checked.tally, None, &self.quality.rules);
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
        }
        Ok(found.into_values().collect())
    }

    /// What is known beyond the store, with alerts as they would be if one looked now; nothing is written, nobody is told.
    pub(super) fn knowledge(&self, store: &Store, view: &View, now_ns: i64) -> Result<Knowledge> {
        let watched = self.watched(view, now_ns)?;
        // A verification takes its time: what the last one found stays as it is.
        let measured = measure(store, view, &self.alerts.rules, &watched, false, now_ns)?;
        let alerts = look(view, &self.alerts, &measured, now_ns)?.open;
        let universes = self.config.as_ref().map(super::expected::universes).transpose()?.unwrap_or_default();
        Ok(Knowledge { watched, universes, rules: self.quality.rules.clone(), alerts })
    }

    fn is_ours(&self, entry: &Entry) -> bool {
        self.context.store.as_ref().is_none_or(|store| *store == entry.store)
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
