//! Fetching: exactly what is missing, from real sources, straight into a store.
//!
//! A plan is what is expected, less what is covered, less what a source confirmed to be absent; both come from the gap
//! index of the store, so planning reads no price and sends nothing. A run sends what is planned, page by page. Every
//! page is one commit: its rows, what it confirms to be absent, what was found, all or nothing. So a run may be
//! killed anywhere, and the next plan goes on where it was.
//!
//! # Invariants
//! - F1. A bar is written only if it had closed by the clock of the source (the `Date` of the reply) and by the clock of
//!   this machine; its place in the reply says nothing.
//! - F2. A reply is taken only if it answers the request: symbol and interval where it tells them, times inside the
//!   range, on the grid. Otherwise it is refused whole.
//! - F3. An absence is noted only where a good reply covers the range and the bars closed long enough ago
//!   ([`page::SETTLE_NS`]); never after an error.
//! - F4. The requests of a source share one budget; in no minute do they weigh more than the source allows.
//! - F5. A request is sent again only after an error that passes; what the source asks for (`Retry-After`) is waited
//!   for by all threads of that source.
//! - F6. Keys are sent and nothing else: they are in no error, event, row or log.
//!
//! # Map
//!
//! [`source`]: what a source is; [`sources`]: those there are, in a table. Adding one is a file and a row there.
//! [`mod@plan`]: what is missing, and what it costs. [`mod@run`]: doing it, with events for whoever watches.
//! [`page`]: checks of a reply, and writing it. [`mod@cross`]: bars that were fetched against bars that were made. [`ledger`]: findings and files, as tables of the store.
//! [`wire`]: requests and replies; [`http`]: sending them. [`budget`], [`retry`]: manners. [`clock`]: time, real or of

pub mod budget;
pub mod clock;
pub mod config;
pub mod cross;
mod error;
pub mod http;
mod json;
pub mod ledger;
pub mod page;
pub mod plan;
pub mod retry;
pub mod run;
pub mod source;
pub mod sources;
pub mod wire;

pub use error::{Error, Result};
pub use plan::{Item, Job, Piece, Plan, Reason, plan};
pub use run::{Event, Observer, Outcome, Runner, Summary, run};
pub use source::{Ask, Page, Refusal, Source, Step, Table};
