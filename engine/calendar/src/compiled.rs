//! The calendars that are compiled in, their other names, and which of them an instrument's name speaks of.

use std::sync::LazyLock;

use crate::exchange::Exchange;
use crate::table::Table;

/// Name, other names, what was generated, what we add to it.
struct Source {
    name: &'static str,
    aliases: &'static [&'static str],
    generated: &'static str,
    own: &'static str,
}

macro_rules! source {
    ($name:literal, $aliases:expr) => {
        Source {
            name: $name,
            aliases: $aliases,
            generated: include_str!(concat!("../tables/", $name, ".calendar")),
            own: include_str!(concat!("../overrides/", $name, ".calendar")),
        }
    };
}

const SOURCES: [Source; 8] = [
    Source {
        name: "24x7",
        aliases: &[
            "24/7",
            "CRYPTO",
            "BINANCE",
            "BITFINEX",
            "BITSTAMP",
            "BYBIT",
            "COINBASE",
            "DERIBIT",
            "GATE",
            "HYPERLIQUID",
            "KRAKEN",
            "KUCOIN",
            "OKX",
        ],
        generated: "",
        own: include_str!("../overrides/24x7.calendar"),
    },
    source!("XHKG", &["HKEX", "SEHK", "HK"]),
    source!("XLON", &["LSE", "L"]),
    source!("XNAS", &["NASDAQ", "O"]),
    source!("XNYS", &["NYSE", "ARCA", "US", "N"]),
    source!("XSHE", &["SZSE", "SZ"]),
    source!("XSHG", &["SSE", "SH", "SS"]),
    source!("XTKS", &["TSE", "JPX", "T"]),
];

static ALL: LazyLock<Vec<Exchange>> =
    LazyLock::new(|| SOURCES.iter().map(|source| read(source, true)).collect());

/// `own`: with what we add.
fn read(source: &Source, own: bool) -> Exchange {
    let nothing = |_: &str| None;
    let file = |folder: &str| format!("{folder}/{}.calendar", source.name);
    // A test reads every one of them.
    let table = if source.generated.is_empty() {
        Table::parse(&file("overrides"), source.own, nothing)
    } else {
        Table::parse(&file("tables"), source.generated, nothing).and_then(|mut table| {
            if own {
                table.apply(&file("overrides"), source.own, true, nothing)?;
            }
            Ok(table)
        })
    };
    Exchange { table: table.expect("compiled calendars are sound") }
}

/// The calendars that are compiled in, by name.
pub fn all() -> &'static [Exchange] {
    &ALL
}

/// The compiled calendar of a name or another name of it, whatever the case.
pub fn compiled(name: &str) -> Option<&'static Exchange> {
    let at = SOURCES.iter().position(|source| source.known_as(name))?;
    Some(&ALL[at])
}

/// The names under which [`compiled`] knows an exchange, the first its own.
pub(crate) fn names_of(name: &str) -> Vec<&'static str> {
    let source = SOURCES.iter().find(|source| source.known_as(name));
    source.map_or(Vec::new(), |source| {
        std::iter::once(source.name).chain(source.aliases.iter().copied()).collect()
    })
}

impl Source {
    fn known_as(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// The compiled calendar that the venue of an instrument speaks of: `0700.HK`, `BTCUSDT.BINANCE`, `AAPL.NASDAQ`. `None` where
/// it speaks of none that is known.
pub fn of_instrument(instrument: &str) -> Option<&'static Exchange> {
    compiled(instrument.rsplit_once('.')?.1)
}

/// A calendar as it was generated, without what we add: to compare both.
#[doc(hidden)]
pub fn as_generated(name: &str) -> Option<Exchange> {
    let source = SOURCES.iter().find(|source| source.known_as(name) && !source.generated.is_empty())?;
    Some(read(source, false))
}
