//! What trading costs, and when it is charged.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::hong_kong::{self, Tariff};

/// How what an order costs is charged to a bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By what is traded: `k = C(Δ·E)/E`. A flip from +1 to −1 pays for both sides.
    #[default]
    Proportional,
    /// The same for every change of the position, however large: `k = C(K·a)/K`. As in many simple engines; a flip pays for
    /// one side only.
    Flat,
}

impl Mode {
    /// `proportional` or `flat`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proportional => "proportional",
            Self::Flat => "flat",
        }
    }
}

/// A share of the amount, and the least that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Commission {
    /// Share of the amount: 0.001 is 0.1 %.
    pub rate: f64,
    /// The least, in the currency of the account.
    pub minimum: f64,
}

impl Commission {
    /// What an order of `amount` pays. Nothing is paid for nothing.
    pub fn cost(self, amount: f64) -> f64 {
        if amount > 0.0 { (amount * self.rate).max(self.minimum) } else { 0.0 }
    }
}

/// What an order costs: the function C of the definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Schedule {
    /// Nothing.
    #[default]
    Free,
    /// The same on every day.
    Rate(Commission),
    /// What is in force in Hong Kong on the day of the trade, and a commission.
    HongKong {
        /// Of the broker.
        commission: Commission,
        /// Exchange traded funds pay no stamp duty.
        stamp_exempt: bool,
    },
}

/// Costs of a backtest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// How they are charged.
    pub mode: Mode,
    /// What they are.
    pub schedule: Schedule,
}

impl Costs {
    pub(crate) fn check(&self) -> Result<()> {
        let commission = match self.schedule {
            Schedule::Free => return Ok(()),
            Schedule::Rate(commission) | Schedule::HongKong { commission, .. } => commission,
        };
        if !(0.0..1.0).contains(&commission.rate) {
            let text =
                format!("a commission of {} is no share from 0 to 1 (0.001 is 0.1 %)", commission.rate);
            return Err(Error::Setting(text));
        }
        if !(commission.minimum >= 0.0 && commission.minimum.is_finite()) {
            return Err(Error::Setting(format!("a least commission of {} is no amount", commission.minimum)));
        }
        Ok(())
    }
}

/// The function C of some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Price {
    /// Nothing.
    Free,
    /// A share of the amount.
    Share(f64),
    /// A share, and a least amount.
    Commission(Commission),
    /// Hong Kong's, and a commission.
    HongKong(Tariff, Commission),
}

impl Price {
    pub(crate) fn cost(&self, amount: f64) -> f64 {
        match self {
            Self::Free => 0.0,
            Self::Share(rate) => amount * rate,
            Self::Commission(commission) => commission.cost(amount),
            Self::HongKong(tariff, commission) => tariff.cost(amount) + commission.cost(amount),
        }
    }
}

/// The prices of all rows, as ranges of rows that share one. `traded` gives the time of the trade of a row.
///
/// # Errors
/// [`Error::NoCosts`] for a row before the table.
pub(crate) fn by_row(
    schedule: &Schedule,
    rows: usize,
    traded: impl Fn(usize) -> i64,
) -> Result<Vec<(Range<usize>, Price)>> {
    let (commission, stamp_exempt) = match *schedule {
        Schedule::Free => return Ok(vec![(0..rows, Price::Free)]),
        Schedule::Rate(commission) if commission.minimum == 0.0 => {
            return Ok(vec![(0..rows, Price::Share(commission.rate))]);
        }
        Schedule::Rate(commission) => return Ok(vec![(0..rows, Price::Commission(commission))]),
        Schedule::HongKong { commission, stamp_exempt } => (commission, stamp_exempt),
    };
    let mut out: Vec<(Range<usize>, Price)> = Vec::new();
    let mut start = 0;
    while start < rows {
        let tariff = Tariff::at(traded(start), stamp_exempt)?;
        let day = hong_kong::day(traded(start));
        let next = hong_kong::TABLE.iter().map(|charge| charge.from_day).filter(|from| *from > day).min();
        let before = |row: usize| next.is_none_or(|next| hong_kong::day(traded(row)) < next);
        let (mut low, mut high) = (start + 1, rows);
        while low < high {
            let middle = low.midpoint(high);
            if before(middle) { low = middle + 1 } else { high = middle }
        }
        out.push((start..low, Price::HongKong(tariff, commission)));
        start = low;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore::time::DAY_NS;
    use tapestore::time::days_from_date;

    #[test]
    fn rows_are_grouped_by_what_is_in_force() {
        let first = days_from_date(2020, 1, 1);
        let schedule = Schedule::HongKong { commission: Commission::default(), stamp_exempt: false };
        let groups = by_row(&schedule, 3000, |row| (first + row as i64) * DAY_NS).unwrap();
        let starts: Vec<i64> = groups.iter().map(|(rows, _)| first + rows.start as i64).collect();
        let changes = [(2021, 8, 1), (2022, 1, 1), (2023, 1, 1), (2023, 11, 17), (2025, 6, 30)]
            .map(|d| days_from_date(d.0, d.1, d.2));
        assert_eq!(starts[1..], changes);
        assert_eq!(groups.last().unwrap().0.end, 3000);
        for (rows, price) in &groups {
            for row in [rows.start, rows.end - 1] {
                let tariff = Tariff::at((first + row as i64) * DAY_NS, false).unwrap();
                assert_eq!(*price, Price::HongKong(tariff, Commission::default()));
            }
        }
    }

    #[test]
    fn bad_commissions_are_refused() {
        for (rate, minimum) in [(-0.1, 0.0), (1.0, 0.0), (f64::NAN, 0.0), (0.1, -1.0), (0.1, f64::INFINITY)] {
            let schedule = Schedule::Rate(Commission { rate, minimum });
            assert!(Costs { schedule, ..Costs::default() }.check().is_err(), "{rate} {minimum}");
        }
    }
}
