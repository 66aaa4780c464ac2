//! What a configuration says of instruments: whose calendar they follow, which universes hold them. One answer for checks,
//! repairs, alerts, status and reports.

use std::collections::HashMap;
use std::sync::Arc;

use tapestore::time::{DAY_NS, days_from_date};
use tapestore_calendar::Market;
use tapestore_fetch::config::{Calendar, Config};
use tapestore_quality::Calendars;
use tapestore_query::{Calendar as Days, Sessions};

use super::coverage::read_sessions;
use crate::fail::{Fail, Result};

/// The years that weekdays of a configuration are laid out for.
const YEARS: std::ops::Range<i64> = 1990..2050;

/// Adds what the sections of a configuration that fetch say of calendars, where the section `quality` says nothing of an
/// instrument.
pub(super) fn add_calendars(config: &Config, calendars: &mut Calendars) -> Result<()> {
    for (name, calendar) in &config.calendars {
        if let Some(market) = market(name, calendar)? {
            calendars.declared.insert(name.clone(), Arc::new(market));
        }
        if let Calendar::Exchange(exchange) = calendar {
            let named = calendars.by_instrument.values_mut().chain(&mut calendars.everywhere);
            named.filter(|it| *it == name).for_each(|it| it.clone_from(exchange));
        }
    }
    for entry in &config.entries {
        let name = match (config.calendar(entry), &entry.calendar) {
            (Some(Calendar::Exchange(exchange)), _) => exchange,
            (Some(_), Some(name)) => name.clone(),
            _ => continue,
        };
        let source = config.source(&entry.source)?;
        for symbol in &entry.symbols {
            let key = source.key(symbol, &entry.frames[0])?;
            calendars.by_instrument.entry(key.instrument().to_owned()).or_insert_with(|| name.clone());
        }
    }
    Ok(())
}

/// The universes that hold an instrument, by name, sorted.
pub(super) fn universes(config: &Config) -> Result<HashMap<String, Vec<String>>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for entry in &config.entries {
        let source = config.source(&entry.source)?;
        for (name, universe) in &config.universes {
            for symbol in entry.symbols.iter().filter(|symbol| universe.symbols.contains(symbol)) {
                let key = source.key(symbol, &entry.frames[0])?;
                let names = found.entry(key.instrument().to_owned()).or_default();
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
    }
    found.values_mut().for_each(|names| names.sort());
    Ok(found)
}

/// A calendar that is spelled out; `None` for the name of an exchange.
fn market(name: &str, calendar: &Calendar) -> Result<Option<Market>> {
    let (sessions, days) = match calendar {
        Calendar::Exchange(_) => return Ok(None),
        // What the file does not name is closed.
        Calendar::File(path) => (Sessions::of_ranges(read_sessions(path)?)?, i64::MIN / 2..i64::MAX / 2),
        hours @ Calendar::Weekdays { .. } => {
            let start = |year: i64| days_from_date(year, 1, 1) * DAY_NS;
            let days = start(YEARS.start)..start(YEARS.end);
            (hours.sessions(&days).map_err(Fail::from)?.unwrap_or_default(), days)
        }
    };
    Ok(Some(Market::Table { name: name.to_owned(), calendar: Days { sessions, days } }))
}
