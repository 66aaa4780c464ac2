//! How good the bars of a Tapestore are: checks, findings, a score, and repair.
//!
//! # Map
//!
//! Rules have names and severities (`rule`), thresholds (`rules`), and mark bars (`bars`); a pass over days counts the
//! marks and tells findings (`scan`), and a run does so for what changed (`run`). What it found is kept in the store's own
//! tables: days and series (`ledger`), findings (`finding`). Which bars are expected, calendars say (`expected`). The
//! score is the share of expected bars that can be used (`score`). Bars are repaired by a plan that can be taken back (`repair`).
//!
//! Times are nanoseconds since the Unix epoch, UTC. Nothing here edits data, but for repairs that were asked for.

mod activity;
mod bars;
mod certain;
mod coarser;
mod cross;
mod error;
mod evidence;
mod expected;
mod finding;
pub mod hazard;
pub mod inject;
mod ledger;
mod repair;
mod repeated;
mod returns;
mod rule;
mod rules;
mod run;
mod scan;
mod score;
mod settings;
mod shifted;
mod still;
mod wide;

pub use cross::{Disagreement, compare, compare_and_note};
pub use error::{Error, Result};
pub use expected::{Calendars, Due, Expected, Markets};
pub use finding::{Finding, FindingState, findings};
pub use ledger::{Checked, Day, checked, days};
pub use repair::{Applied, Cell, Fix, Method, Plan, Refetch, Repairs, Undone, apply, plan_repairs, undo};
pub use rule::{Dimension, Rule, Severity};
pub use rules::Rules;
#[doc(hidden)]
pub use run::marks;
pub use run::{RunReport, Setup, check, is_checkable, reconsider};
pub use score::{Dimensions, Score, Tally, Tier};
pub use settings::Settings;
