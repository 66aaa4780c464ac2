//! How a backtest is run.

use crate::costs::Costs;
use crate::error::{Error, Result};

/// At which price a signal is acted upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// At the close that made it: the best case, and what most vectorised engines assume.
    #[default]
    Close,
    /// At the open of the next bar.
    NextOpen,
}

impl Fill {
    /// `close` or `next-open`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::NextOpen => "next-open",
        }
    }
}

/// What is traded to keep a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rebalance {
    /// Δ is the change of the weight: holding it as prices move is free.
    #[default]
    Free,
    /// Δ is what has to be traded: the weight, less what the weight before has become.
    Paid,
}

impl Rebalance {
    /// `free` or `paid`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Paid => "paid",
        }
    }
}

/// What becomes of a position across missing bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gaps {
    /// It is held, and earns what the price did meanwhile, as overnight.
    #[default]
    Bridge,
    /// The move across the hole counts for nothing: neither for the account nor for correlations.
    Break,
}

impl Gaps {
    /// `bridge` or `break`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Break => "break",
        }
    }
}

/// Settings of a backtest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// K: the account at the start, in the currency of the prices.
    pub capital: f64,
    /// a: share of the account that a signal of 1 holds. Above 1 it is borrowed, for nothing.
    pub allocation: f64,
    /// At which price a signal is acted upon.
    pub fill: Fill,
    /// What trading costs.
    pub costs: Costs,
    /// What is traded to keep a weight.
    pub rebalance: Rebalance,
    /// What becomes of a position across missing bars.
    pub gaps: Gaps,
    /// B: bars in a year, by which ratios are annualised; see [`crate::periods`].
    pub bars_per_year: f64,
    /// Whether to compute the rank correlation, which sorts every signal and takes most of the time.
    pub rank_ic: bool,
}

impl Default for Settings {
    /// 100,000, a tenth of it for a signal of 1, fills at the close, no costs, 252 bars a year.
    fn default() -> Self {
        Self {
            capital: 100_000.0,
            allocation: 0.1,
            fill: Fill::Close,
            costs: Costs::default(),
            rebalance: Rebalance::Free,
            gaps: Gaps::Bridge,
            bars_per_year: 252.0,
            rank_ic: true,
        }
    }
}

impl Settings {
    /// What cannot be.
    ///
    /// # Errors
    /// [`Error::Setting`] names it.
    pub fn check(&self) -> Result<()> {
        let positive = |value: f64, what: &str| {
            if value > 0.0 && value.is_finite() {
                return Ok(());
            }
            Err(Error::Setting(format!("{what} is {value}; it has to be a positive number")))
        };
        positive(self.capital, "the capital")?;
        positive(self.allocation, "the allocation")?;
        positive(self.bars_per_year, "the number of bars a year")?;
        self.costs.check()
    }
}
