//! Sets of factors that are kept under one name.

use std::ops::Range;
use std::sync::Arc;

use tapestore::SeriesKey;
use tapestore::time::Timeframe;

use crate::alpha158::alpha158;
use crate::bars::{Bars, Table};
use crate::catalog::{Factor, Memory, Selection};
use crate::compute::compute;
use crate::error::Result;
use crate::expression::Expressions;

/// A set of factors.
#[derive(Clone, Debug)]
pub enum Pack {
    /// Of TA-Lib's names; kept as `ta`.
    Indicators(Selection),
    /// As text.
    Expressions {
        /// The name under which they are kept: ASCII letters, digits, `_ - .`.
        name: String,
        /// The factors.
        all: Arc<Expressions>,
    },
}

impl Pack {
    /// Alpha158, see [`alpha158`]; kept as `alpha158`.
    ///
    /// # Errors
    /// As [`alpha158`].
    pub fn alpha158() -> Result<Self> {
        Ok(Self::Expressions { name: "alpha158".to_owned(), all: Arc::new(alpha158()?) })
    }

    /// The name under which it is kept.
    pub fn name(&self) -> &str {
        match self {
            Self::Indicators(_) => "ta",
            Self::Expressions { name, .. } => name,
        }
    }

    /// The series in which the factors of a source in a timeframe are kept.
    ///
    /// # Errors
    /// If the name cannot be that of a series.
    pub fn key(&self, source: &SeriesKey, timeframe: Timeframe) -> Result<SeriesKey> {
        Ok(SeriesKey::new(source.instrument(), &format!("factors/{}@{timeframe}", self.name()))?)
    }

    /// Name and meaning of each column.
    pub fn columns(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Indicators(selection) => {
                selection.factors().into_iter().map(|factor| (factor.name(), factor.meaning())).collect()
            }
            Self::Expressions { all, .. } => all.texts().collect(),
        }
    }

    /// Computes all of it: a column for each, in their order; NaN in rows of no run.
    pub fn compute(&self, bars: &Bars<'_>, runs: &[Range<usize>]) -> Vec<Vec<f64>> {
        match self {
            Self::Indicators(selection) => {
                let mut table = Table::default();
                compute(bars, runs, *selection, &mut table);
                let take = |factor: Factor| std::mem::take(&mut table.columns[factor.index()]);
                selection.factors().into_iter().map(take).collect()
            }
            Self::Expressions { all, .. } => all.compute(bars, runs),
        }
    }

    /// How many bars, its own included, the longest window sees; `None` if a factor remembers all of its run.
    pub(crate) fn reach(&self) -> Option<usize> {
        match self {
            Self::Indicators(selection) => {
                selection.factors().into_iter().try_fold(1, |most, factor| match factor.memory() {
                    Memory::Bars(bars) => Some(most.max(bars)),
                    Memory::Fading | Memory::Total => None,
                })
            }
            Self::Expressions { all, .. } => (0..all.len()).map(|number| all.reach(number)).max(),
        }
    }

    /// In words that are equal only if the factors are.
    pub(crate) fn definition(&self) -> String {
        match self {
            Self::Indicators(selection) if *selection == Selection::ALL => "all".to_owned(),
            Self::Indicators(_) => {
                self.columns().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
            }
            Self::Expressions { all, .. } => {
                let bytes = all
                    .texts()
                    .flat_map(|(name, text)| name.bytes().chain([0]).chain(text.bytes()).chain([0]));
                format!("{} expressions {:016x}", all.len(), hash(bytes))
            }
        }
    }
}

/// FNV-1a.
pub(crate) fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
