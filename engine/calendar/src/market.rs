//! Whose calendar: a file of one's own, the store's table, or a compiled one.

use std::ops::Range;
use std::path::Path;

use tapestore::time::{DAY_NS, date_from_days, days_from_date};
use tapestore::{SeriesKey, View};
use tapestore_catalog::Kind;
use tapestore_query::{Calendar, Sessions};

use crate::compiled::{compiled, names_of};
use crate::error::{Error, Result};
use crate::exchange::Exchange;

/// A calendar, wherever it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Market {
    /// Of the store's table.
    Table {
        /// The exchange.
        name: String,
        /// What the table says.
        calendar: Calendar,
    },
    /// Compiled in, or of a file.
    Exchange(Box<Exchange>),
}

impl Market {
    /// The name of the exchange.
    pub fn name(&self) -> &str {
        match self {
            Self::Table { name, .. } => name,
            Self::Exchange(exchange) => exchange.name(),
        }
    }

    /// The sessions, if the calendar speaks of all of `range`.
    ///
    /// # Errors
    /// [`Error::Outside`], or the store's error for a table, names the days that are missing.
    pub fn sessions(&self, range: Range<i64>) -> Result<Sessions> {
        match self {
            Self::Table { calendar, .. } => Ok(calendar.clone().covering(range)?),
            Self::Exchange(exchange) => exchange.sessions(range),
        }
    }

    /// The sessions of the whole years that `range` touches, as far as the calendar speaks of them, if it speaks of all of
    /// `range`: for what counts bars a year, and for what is kept and made anew when its sessions change. Of a table, all it has.
    ///
    /// # Errors
    /// As [`Market::sessions`].
    pub fn sessions_of_years(&self, range: Range<i64>) -> Result<Sessions> {
        let Self::Exchange(exchange) = self else { return self.sessions(range) };
        exchange.calendar(range.clone())?;
        if range.is_empty() {
            return Ok(Sessions::default());
        }
        let year = |time: i64| date_from_days(exchange.date_ns(time).div_euclid(DAY_NS)).0;
        let start = |year: i64| days_from_date(year, 1, 1) * DAY_NS;
        let days = exchange.days();
        let (first, last) = (start(year(range.start)), start(year(range.end - 1) + 1));
        let days = exchange.days_in(first.max(days.start)..last.min(days.end))?;
        Ok(Sessions::new(days.flat_map(|day| day.sessions).collect())?)
    }

    /// For how long after the last session of a day bars are allowed, though none is expected. Tables say nothing of that;
    /// then it is what the compiled calendar of that name says.
    pub fn late_ns(&self) -> i64 {
        match self {
            Self::Table { name, .. } => compiled(name).map_or(0, Exchange::late_ns),
            Self::Exchange(exchange) => exchange.late_ns(),
        }
    }

    /// How far the exchange's clock is ahead of UTC at a time; a table does not say, unless a compiled calendar has its name.
    pub fn offset_ns(&self, utc_ns: i64) -> Option<i64> {
        match self {
            Self::Table { name, .. } => compiled(name).map(|exchange| exchange.zone().offset_ns(utc_ns)),
            Self::Exchange(exchange) => Some(exchange.zone().offset_ns(utc_ns)),
        }
    }
}

/// The calendar of a name: the file, if the name ends in `.calendar`; else what the store's table says of the exchange, under
/// this or another of its names; else the compiled one.
///
/// # Errors
/// [`Error::Unknown`] names those there are; [`Error::File`]; [`Error::Store`] if the table cannot be read, or makes no sense.
pub fn market(view: &View, name: &str) -> Result<Market> {
    if is_file(name) {
        return named(name);
    }
    let names = names_of(name);
    // As it was asked for, first.
    for name in std::iter::once(name).chain(names.iter().copied().filter(|other| *other != name)) {
        if let Some(calendar) = of_table(view, name)? {
            return Ok(Market::Table { name: name.to_owned(), calendar });
        }
    }
    named(name)
}

/// The calendar of a name where there is no store: a file, or a compiled one.
///
/// # Errors
/// As [`market`].
pub fn named(name: &str) -> Result<Market> {
    if is_file(name) {
        let failed = |what: String| Error::File { file: name.to_owned(), line: 0, what };
        let text =
            std::fs::read_to_string(name).map_err(|error| failed(format!("cannot be read: {error}")))?;
        return Ok(Market::Exchange(Box::new(Exchange::parse(name, &text)?)));
    }
    let exchange = compiled(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
    Ok(Market::Exchange(Box::new(exchange.clone())))
}

fn is_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "calendar")
}

fn of_table(view: &View, exchange: &str) -> Result<Option<Calendar>> {
    let instrument = Kind::Calendar.instrument().expect("tables of reference have a place");
    let table = SeriesKey::new(instrument, Kind::Calendar.name())?;
    match view.schema(&table).and_then(|_| tapestore_query::calendar(view, &table, exchange, None)) {
        Ok(calendar) => Ok(Some(calendar)),
        Err(tapestore::Error::NotFound(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
