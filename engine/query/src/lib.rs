//! What is asked of a Tapestore beyond reading it: as-of joins, resampling, adjustment, averages, panels, order books.
//!
//! Every subject has kernels, pure functions over whole columns that write into the caller's buffers, and thin functions
//! that feed them from a [`tapestore::View`]. The layers above (fetching, quality, factors) share what is here and
//! depend on nothing of one another.
//!
//! # Map
//!
//! [`asof`]: rows of one series to rows of another. [`session`]: when a market is open;
//! [`mod@calendar`]: where a table says so. [`bucket`]: which rows make a
//! bar; [`fold`]: what becomes of their values; [`mod@resample`]: both together; [`mod@derive`]: bars that are stored
//! and follow their source; [`coarser`]: bars held against finer ones; [`retain`]: what stays of rows that grow old. [`average`]: by volume and by time. [`mod@panel`]: one field
//! of many instruments. [`adjust`]: splits and dividends. [`book`]: order books at any time;
//! [`depth`]: out of snapshots of fixed depth. [`mod@in_force`]: reference tables as they were valid and known at a time.

pub mod adjust;
pub mod asof;
pub mod average;
pub mod book;
pub mod bucket;
pub mod calendar;
pub mod coarser;
pub mod depth;
pub mod derive;
pub mod fold;
pub mod in_force;
pub mod panel;
pub mod resample;
pub mod retain;
pub mod session;

pub use adjust::{Adjustment, Anchor, Parts};
pub use asof::{AsOfJoin, Direction};
pub use book::{Book, book_at};
pub use bucket::Rule;
pub use calendar::{Calendar, calendar};
pub use derive::{Derivation, DeriveReport, derivations, derive, derived_key};
pub use in_force::{Moment, in_force, view_known_at};
pub use panel::{Times, panel};
pub use resample::{Resample, Resampled, resample};
pub use retain::Policy;
pub use session::{Session, Sessions};

/// How many leading times satisfy `holds`, for sorted times: doubling steps, then bisection.
pub(crate) fn gallop(times: &[i64], holds: impl Fn(i64) -> bool) -> usize {
    let mut bound = 1;
    while bound <= times.len() && holds(times[bound - 1]) {
        bound *= 2;
    }
    let (low, high) = (bound / 2, bound.min(times.len()));
    low + times[low..high].partition_point(|time| holds(*time))
}
