//! Alerts over a store: what is measured, when that is bad enough for long enough, and who is told.
//!
//! One look at a store ([`measure`](mod@measure)) gives readings: a rule, a subject (a series, or the store), a value. A [`machine`]
//! decides what each of them means, given the [`Incident`] that is known of it: nothing, an alert that begins, goes on or
//! is over. Incidents and events are tables of the store itself ([`ledger`]), so they survive restarts and are in every
//! backup. Afterwards whoever is to know is told ([`sink`]).
//!
//! # Invariants
//! - A1. What an alert is about, its rule and its subject, gives its fingerprint, the same on every machine and for ever.
//! - A2. All that one look changes is one commit; a look that changes nothing writes nothing.
//! - A3. An event is kept before it is sent, with who is owed it, and that is taken back after it arrived: after a crash
//!   in between it is sent again, never lost. A receiver tells repetitions by `fingerprint`, `since` and `event`.
//! - A4. A sink that fails stops no other, and is told of; it is owed the event, and gets it at the next look, for
//!   [`ledger::OWED_NS`].
//! - A5. What cannot be measured changes nothing: an alert is neither begun nor resolved by an error.
//! - A6. A store that cannot be written, because its disk is full, does not keep an alert from being sent.
//! - A7. Secrets come from the environment or from files, and are in no row, error, log or command line.
//!
//! # Map
//!
//! [`rule`]: what is watched, and those rules that hold unless others are given; [`config`]: the section `alerts` of a
//! configuration. [`mod@measure`]: readings; [`machine`]: states and events, without input and output. [`ledger`]: the tables.
//! [`mod@look`]: one look from measuring to telling. [`sink`]: logs, webhooks and commands; [`message`]: what they are given.

pub mod config;
mod error;
pub mod ledger;
pub mod look;
pub mod machine;
pub mod measure;
pub mod message;
pub mod rule;
pub mod sink;

pub use config::Alerts;
pub use error::{Error, Result};
pub use ledger::Incident;
pub use look::{Look, look};
pub use rule::{Check, Level, Rule};
