//! When exchanges are open, and which bars are expected of a series.
//!
//! Calendars of [`Exchange`]s are compiled in: 24x7, Hong Kong, Shanghai, Shenzhen, New York, Nasdaq, London, Tokyo; generated
//! from the Python package `exchange_calendars`, with what it does not know kept apart. [`market`] finds one by its name: a
//! file of one's own, the store's table of calendars, or one of these. [`Listings`] says since when instruments are listed
//! and when they were halted, from the store's tables; [`expected`] puts it together: the slots in which a bar has to be.
//!
//! Times are nanoseconds since the Unix epoch, UTC; trading days are midnight UTC of their date on the exchange's calendar.
//! Outside of the days that a calendar speaks of there is an error, never a guess.

mod compiled;
mod error;
mod exchange;
mod expect;
mod listing;
mod market;
mod table;
mod zone;

#[doc(hidden)]
pub use compiled::as_generated;
pub use compiled::{all, compiled, of_instrument};
pub use error::{Error, Result};
pub use exchange::{Day, DayKind, Exchange};
pub use expect::{Cut, Expected, Need, Question, expected, in_sessions};
pub use listing::{Listing, Listings};
pub use market::{Market, market, named};
pub use zone::Zone;

/// The examples of the page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
