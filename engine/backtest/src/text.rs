//! Settings as a line of text, and back: what is stored with results, so that they can be made again.

use std::fmt::Write as _;

use crate::costs::{Commission, Costs, Mode, Schedule};
use crate::error::{Error, Result};
use crate::settings::{Fill, Gaps, Rebalance, Settings};

impl Settings {
    /// `capital=100000 allocation=0.1 fill=close costs=proportional schedule=rate rate=0.001 minimum=0 …`: every setting,
    /// numbers in the shortest form that reads back to the same bits.
    pub fn to_text(&self) -> String {
        let mut out = format!(
            "capital={} allocation={} fill={} rebalance={} gaps={} bars_per_year={} rank_ic={} costs={}",
            self.capital,
            self.allocation,
            self.fill.name(),
            self.rebalance.name(),
            self.gaps.name(),
            self.bars_per_year,
            self.rank_ic,
            self.costs.mode.name()
        );
        let (name, commission) = match self.costs.schedule {
            Schedule::Free => ("free", None),
            Schedule::Rate(commission) => ("rate", Some(commission)),
            Schedule::HongKong { commission, stamp_exempt: false } => ("hong-kong", Some(commission)),
            Schedule::HongKong { commission, stamp_exempt: true } => ("hong-kong-etf", Some(commission)),
        };
        let _ = write!(out, " schedule={name}");
        if let Some(commission) = commission {
            let _ = write!(out, " rate={} minimum={}", commission.rate, commission.minimum);
        }
        out
    }

    /// Reads what [`Settings::to_text`] writes.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing, unknown or no setting.
    pub fn from_text(text: &str) -> Result<Self> {
        let get = |name: &str| {
            let value = text.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            value.ok_or_else(|| Error::Setting(format!("settings without {name}: {text:?}")))
        };
        let bad = |name: &str, value: &str| Error::Setting(format!("{value:?} is no {name}"));
        let number = |name: &str| {
            let value = get(name)?;
            value.parse::<f64>().map_err(|_| bad(name, value))
        };
        let commission = || Ok::<_, Error>(Commission { rate: number("rate")?, minimum: number("minimum")? });
        let schedule = match get("schedule")? {
            "free" => Schedule::Free,
            "rate" => Schedule::Rate(commission()?),
            "hong-kong" => Schedule::HongKong { commission: commission()?, stamp_exempt: false },
            "hong-kong-etf" => Schedule::HongKong { commission: commission()?, stamp_exempt: true },
            other => return Err(bad("schedule", other)),
        };
        let settings = Self {
            capital: number("capital")?,
            allocation: number("allocation")?,
            fill: choice("fill", get("fill")?, &[Fill::Close, Fill::NextOpen].map(|it| (it.name(), it)))?,
            costs: Costs {
                mode: choice(
                    "costs",
                    get("costs")?,
                    &[Mode::Proportional, Mode::Flat].map(|it| (it.name(), it)),
                )?,
                schedule,
            },
            rebalance: choice(
                "rebalance",
                get("rebalance")?,
                &[Rebalance::Free, Rebalance::Paid].map(|it| (it.name(), it)),
            )?,
            gaps: choice("gaps", get("gaps")?, &[Gaps::Bridge, Gaps::Break].map(|it| (it.name(), it)))?,
            bars_per_year: number("bars_per_year")?,
            rank_ic: choice("rank_ic", get("rank_ic")?, &[("true", true), ("false", false)])?,
        };
        settings.check()?;
        Ok(settings)
    }
}

/// The value of a name.
fn choice<T: Copy>(name: &str, value: &str, all: &[(&str, T)]) -> Result<T> {
    let found = all.iter().find(|(known, _)| *known == value);
    found.map(|known| known.1).ok_or_else(|| Error::Setting(format!("{value:?} is no {name}")))
}
