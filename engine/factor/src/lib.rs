//! Factors over bars: the 72 technical indicators of TA-Lib's names and meanings, computed whole, bar by bar, or kept.
//!
//! ```
//! use tapestore_factor::{Bars, Factor, Selection, Table, compute};
//!
//! let close: Vec<f64> = (0..40).map(|bar| 100.0 + f64::from(bar % 7)).collect();
//! let volume = vec![10.0; close.len()];
//! let bars = Bars::new(&close, &close, &close, &close, &volume)?;
//! let mut table = Table::default();
//! compute(&bars, &[0..bars.len()], Selection::ALL, &mut table);
//! let sma = table.column(Factor::Sma).expect("it was asked for");
//! assert!(sma[18].is_nan());
//! assert_eq!(sma[19], close[..20].iter().sum::<f64>() / 20.0);
//! # Ok::<(), tapestore_factor::Error>(())
//! ```
//!
//! # Invariants
//! - N1. A value knows of its own bar and those before it in its run, and of nothing else.
//! - N2. Before a factor's warm-up is over, and in rows of no run, there is NaN.
//! - N3. Bar by bar ([`Live`]) gives the same bits as all at once ([`compute`]).
//!
//! # Map
//!
//! [`Factor`]: what there is (`catalog`). [`Bars`] and [`Table`]: what goes in and comes out (`bars`). [`compute`]: all at
//! once (`compute`), through `finite` (windows, over `window`) and the recursive groups `smooth`, `wilder`, `running` and
//! `hilbert` (over `recurrence`). [`Live`]: one bar after another (`live`), [`Stream`]: in all timeframes
//! (`stream`). [`frames`] and [`compute_many`]: bars out of a store (`frame`), and what a gap is: [`GapPolicy`] (`gaps`).
//! [`keep`]: factors as series of the store, brought up to date by what changed (`keep`, `ledger`).
//! [`Expressions`]: factors as text (`expression`), of which [`alpha158`] is a pack; [`Custom`]: factors of one's own in Rust
//! (`custom`).

#![expect(clippy::inline_always, reason = "the step of a recurrence is the body of its loop over a column")]
#![allow(clippy::doc_markdown, reason = "HT_SINE and its like are names of factors")]

mod alpha158;
mod bars;
mod catalog;
mod compute;
mod custom;
mod error;
mod expression;
mod finite;
mod frame;
mod gaps;
mod hilbert;
mod keep;
mod ledger;
mod live;
mod pack;
mod recurrence;
mod running;
mod smooth;
mod stream;
mod wilder;
mod window;

pub use alpha158::alpha158;
pub use bars::{Bar, Bars, Table};
pub use catalog::{COUNT, Factor, Memory, Selection};
pub use compute::compute;
pub use custom::{Custom, compute_custom, find_look_ahead};
pub use error::{Error, Result};
pub use expression::{Expressions, FUNCTIONS};
pub use frame::{BarFrame, Setup, TIMEFRAMES, compute_many, frames, timeframes_of};
pub use gaps::GapPolicy;
pub use keep::{CODE, Kept, Outcome, definition, evict, keep};
pub use ledger::{Entry, entries};
pub use live::Live;
pub use pack::Pack;
pub use stream::{Finished, Stream};
