//! The sources that there are.
//!
//! Adding one is a file beside this one, with a type that is a [`Source`], and a row in [`ALL`].

pub mod binance;
pub mod binance_dumps;
pub mod declared;
pub mod okx;
pub mod yahoo;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::source::{Manners, Naming, Source};
use crate::wire::Secret;

/// How a source is set up; everything has a default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where it is, without a slash at the end.
    pub url: Option<String>,
    /// How its symbols become instruments, such as `{symbol}.NASDAQ`.
    pub name: Option<String>,
    /// Headers with keys that go with every request.
    pub secrets: Vec<Secret>,
    /// What requests may weigh in a minute, if not what the source allows.
    pub weight_per_minute: Option<u32>,
    /// How many instruments are fetched at the same time.
    pub concurrency: Option<usize>,
}

impl Settings {
    /// The root of all URLs.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is none of HTTP.
    pub fn url_or(&self, default: &str) -> Result<String> {
        let url = self.url.as_deref().unwrap_or(default).trim_end_matches('/');
        if url.starts_with("http://") || url.starts_with("https://") {
            return Ok(url.to_owned());
        }
        Err(Error::Usage(format!("{url:?} is no URL; it begins with https:// or http://")))
    }

    /// The names of instruments.
    ///
    /// # Errors
    /// [`Error::Usage`] if the name does not tell instruments apart.
    pub fn naming_or(&self, default: &str) -> Result<Naming> {
        Naming::new(self.name.as_deref().unwrap_or(default))
    }

    /// How the source is treated.
    pub fn manners_or(&self, default: Manners) -> Manners {
        Manners {
            weight_per_minute: self.weight_per_minute.unwrap_or(default.weight_per_minute),
            concurrency: self.concurrency.unwrap_or(default.concurrency),
            ..default
        }
    }
}

/// A row of the table of sources.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// On the command line, in configurations, and in the provenance of rows.
    pub name: &'static str,
    /// What it gives.
    pub about: &'static str,
    /// Sets it up.
    pub make: fn(&Settings) -> Result<Arc<dyn Source>>,
}

/// Every source that needs no declaration.
pub const ALL: [Entry; 8] = [
    Entry {
        name: "binance",
        about: "Binance spot: bars and aggregated trades",
        make: |settings| binance::Binance::make(binance::Market::Spot, settings),
    },
    Entry {
        name: "binance-um",
        about: "Binance futures margined in USD: bars and aggregated trades",
        make: |settings| binance::Binance::make(binance::Market::UsdMargined, settings),
    },
    Entry {
        name: "binance-cm",
        about: "Binance futures margined in coins: bars and aggregated trades",
        make: |settings| binance::Binance::make(binance::Market::CoinMargined, settings),
    },
    Entry {
        name: "binance-dumps",
        about: "public files of Binance, spot: bars and aggregated trades; best for years",
        make: |settings| binance_dumps::Dumps::make(binance::Market::Spot, settings),
    },
    Entry {
        name: "binance-um-dumps",
        about: "public files of Binance, futures margined in USD",
        make: |settings| binance_dumps::Dumps::make(binance::Market::UsdMargined, settings),
    },
    Entry {
        name: "binance-cm-dumps",
        about: "public files of Binance, futures margined in coins",
        make: |settings| binance_dumps::Dumps::make(binance::Market::CoinMargined, settings),
    },
    Entry { name: "okx", about: "OKX spot, swaps and futures: bars", make: okx::Okx::make },
    Entry {
        name: "yahoo",
        about: "Yahoo's charts: bars, dividends, splits; best effort",
        make: yahoo::Yahoo::make,
    },
];

/// The source of a name.
///
/// # Errors
/// [`Error::Usage`] names those there are.
pub fn source(name: &str, settings: &Settings) -> Result<Arc<dyn Source>> {
    match ALL.iter().find(|entry| entry.name == name) {
        Some(entry) => (entry.make)(settings),
        None => {
            let known: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
            Err(Error::Usage(format!("there is no source {name:?}; the sources are {}", known.join(", "))))
        }
    }
}
