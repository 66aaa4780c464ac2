//! Vectorised backtests: signals to positions, costs, an account, and what it is judged by.
//!
//! Pure kernels over columns, without input or output; [`results`] alone knows the store. A [`Market`] is made once of
//! bars and settings; any number of signals are run against it, on as many threads as wanted.
//!
//! # Definitions
//! Let `c_t` be the close, `r_t = c_t/c_{t−1} − 1` (`r_0 = 0`), `s_t ∈ [−1, 1]` the signal known at the close of bar `t`
//! (not finite: 0), `a` the allocation and `K` the capital.
//!
//! - Position: `p_t = a·s_{t−1}`, `p_0 = 0`. Traded: `Δ_t = |p_t − p_{t−1}|`; weights are kept for free as prices move,
//!   unless [`Rebalance::Paid`] says that keeping them is traded too.
//! - Gross `g_t = p_t·r_t`; cost `k_t = C(Δ_t·E_{t−1})/E_{t−1}` ([`costs::Mode::Proportional`]) or, for any change,
//!   `C(K·a)/K` ([`costs::Mode::Flat`]); net `x_t = g_t − k_t`; account `E_t = K·∏(1 + x)`.
//! - [`Fill::Close`]: trades happen at the close that made the signal, so the trade of bar `t` is dated by bar `t−1`.
//!   [`Fill::NextOpen`]: at the open `o_t`. The old position earns `o_t/c_{t−1} − 1`, the new one `c_t/o_t − 1`:
//!   `1 + x_t = (1 + p_{t−1}·(o_t/c_{t−1} − 1))·(1 + p_t·(c_t/o_t − 1) − k_t)`, with `k_t` of the account at the open.
//! - A price that is not positive, in any bar, is an error; so is a signal beyond −1 and 1.
//! - An account of which a bar would leave nothing is 0 from there on ([`Metrics::ruined_at`]).
//!
//! Ratios and correlations: [`Metrics`]. Bars a year: [`periods`]. Costs of Hong Kong by date: [`hong_kong`].
//!
//! ```
//! use tapestore_backtest::{Bars, Market, Scratch, Settings};
//!
//! let close = [100.0, 110.0, 99.0];
//! let time = [0, 60_000_000_000, 120_000_000_000];
//! let bars =
//!     Bars { time: &time, open: None, close: &close, after_hole: &[], sessions: None, intraday: true };
//! let settings = Settings { allocation: 1.0, ..Settings::default() };
//! let market = Market::new(&bars, &settings)?;
//! // Bought at 100, turned around at 110.
//! let metrics = market.run(&[1.0, -1.0, 0.0], &mut Scratch::default())?;
//! assert!((metrics.total_return - (1.1 * 1.1 - 1.0)).abs() < 1e-12);
//! assert_eq!((metrics.round_trips, metrics.open_at_end), (1, true));
//! # Ok::<(), tapestore_backtest::Error>(())
//! ```
//!
//! # Map
//! [`Market`] (`market`): what all signals share. `account`: positions to an account and round trips. `tally`: sums to
//! metrics. `moments`, `rank`: correlations. `run`: one signal, many signals. [`shape`]: columns to signals, several
//! signals to one. [`costs`], [`hong_kong`]: what trading costs. [`periods`]: bars in a year. [`results`]: what is kept
//! in a store.

mod account;
pub mod costs;
mod error;
pub mod hong_kong;
mod market;
mod metrics;
mod moments;
pub mod periods;
mod rank;
pub mod results;
mod run;
mod settings;
pub mod shape;
mod tally;
mod text;

pub use costs::{Commission, Costs, Schedule};
pub use error::{Error, Result};
pub use market::{Bars, Market};
pub use metrics::Metrics;
pub use periods::BarsPerYear;
pub use run::{Curves, Scratch, run_all};
pub use settings::{Fill, Gaps, Rebalance, Settings};
pub use shape::{Shape, Window, combine};
