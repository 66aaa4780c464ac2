//! What a trade costs in Hong Kong, by date: stamp duty, levies, fees. Per side: buyer and seller each pay them.
//!
//! Every row of the table has the days on which it was in force and where that is written. The table begins on
//! 2015-02-13, the day on which exchange traded funds became free of stamp duty; for a trade before it there is no
//! answer, only an error. A trade is dated by the calendar of Hong Kong (UTC+8, no summer time).
//!
//! # Invariants
//! - H1. Money is counted in whole cents: the amount of an order is rounded to cents, levies and fees to the nearest cent
//!   (half up), stamp duty up to the next dollar.
//! - H2. The investor compensation levy (0.002 %) has been suspended since 2005-12-19 and is not charged.

use tapestore::time::{DAY_NS, HOUR_NS, days_from_date};

use crate::error::{Error, Result};

/// What is paid, to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// To the government, rounded up to the next dollar; exchange traded funds are exempt.
    StampDuty,
    /// Transaction levy of the Securities and Futures Commission.
    SfcLevy,
    /// Transaction levy of the Accounting and Financial Reporting Council.
    AfrcLevy,
    /// Trading fee of the exchange.
    TradingFee,
    /// A fixed amount of the exchange for each trade.
    TradingTariff,
    /// Settlement fee of the clearing house.
    SettlementFee,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What is paid.
    pub item: Item,
    /// First day, as days since the Unix epoch on Hong Kong's calendar.
    pub from_day: i64,
    /// The day after the last; `None`: in force as far as known.
    pub until_day: Option<i64>,
    /// Share of the amount traded, in units of 0.000001 % (10⁻⁸).
    pub rate_e8: u64,
    /// Least and greatest amount in cents; equal for a fixed amount.
    pub bounds_cents: (u64, u64),
    /// Where it is written.
    pub source: &'static str,
}

const NO_BOUNDS: (u64, u64) = (0, u64::MAX);
const BEGINNING: i64 = days_from_date(2015, 2, 13);

const fn charge(
    item: Item,
    days: (i64, Option<i64>),
    rate_e8: u64,
    bounds_cents: (u64, u64),
    source: &'static str,
) -> Charge {
    Charge { item, from_day: days.0, until_day: days.1, rate_e8, bounds_cents, source }
}

/// Everything that is known, by item and date.
pub const TABLE: [Charge; 10] = [
    charge(
        Item::StampDuty,
        (BEGINNING, Some(days_from_date(2021, 8, 1))),
        100_000,
        NO_BOUNDS,
        "Stamp Duty Ordinance (Cap. 117), head 2, as before the Budget 2021/22: 0.1 %",
    ),
    charge(
        Item::StampDuty,
        (days_from_date(2021, 8, 1), Some(days_from_date(2023, 11, 17))),
        130_000,
        NO_BOUNDS,
        "Inland Revenue Department, Budget 2021/22 (ird.gov.hk/eng/tax/budget2021_sd.htm): 0.13 % from 2021-08-01",
    ),
    charge(
        Item::StampDuty,
        (days_from_date(2023, 11, 17), None),
        100_000,
        NO_BOUNDS,
        "Stamp Duty (Amendment) (Stock Transfers) Ordinance 2023; HKEX circular CT/152/23: 0.1 % from 2023-11-17",
    ),
    charge(
        Item::SfcLevy,
        (BEGINNING, None),
        2_700,
        NO_BOUNDS,
        "Securities and Futures (Levy) (Amendment) Order 2014: 0.0027 % from 2014-11-01",
    ),
    charge(
        Item::AfrcLevy,
        (days_from_date(2022, 1, 1), None),
        150,
        NO_BOUNDS,
        "Financial Reporting Council transaction levy, from 2022-01-01: 0.00015 %",
    ),
    charge(
        Item::TradingFee,
        (BEGINNING, Some(days_from_date(2023, 1, 1))),
        5_000,
        NO_BOUNDS,
        "HKEX news release of 2022-11-01 (221101news): 0.005 % before 2023-01-01",
    ),
    charge(
        Item::TradingFee,
        (days_from_date(2023, 1, 1), None),
        5_650,
        NO_BOUNDS,
        "HKEX news release of 2022-11-01 (221101news): 0.00565 % from 2023-01-01",
    ),
    charge(
        Item::TradingTariff,
        (BEGINNING, Some(days_from_date(2023, 1, 1))),
        0,
        (50, 50),
        "HKEX news release of 2022-11-01 (221101news): HK$0.50 a trade, removed on 2023-01-01",
    ),
    charge(
        Item::SettlementFee,
        (BEGINNING, Some(days_from_date(2025, 6, 30))),
        2_000,
        (200, 10_000),
        "HKSCC settlement fee before 2025-06-30: 0.002 %, from HK$2 to HK$100",
    ),
    charge(
        Item::SettlementFee,
        (days_from_date(2025, 6, 30), None),
        4_200,
        NO_BOUNDS,
        "HKEX, settlement fee structure from 2025-06-30: 0.0042 %, without bounds",
    ),
];

/// Orders beyond this many cents are charged by the rates alone: there, rounding is beyond the precision of a double.
const EXACT_CENTS: f64 = 4.5e13;

/// What was in force on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tariff {
    stamp_e8: u64,
    levies_e8: [u64; 3],
    fixed_cents: u64,
    settlement_e8: u64,
    settlement_cents: (u64, u64),
}

impl Tariff {
    /// What was in force on the day, in Hong Kong, of a time.
    ///
    /// # Errors
    /// [`Error::NoCosts`] before 2015-02-13.
    pub fn at(time_ns: i64, stamp_exempt: bool) -> Result<Self> {
        let day = day(time_ns);
        if day < BEGINNING {
            return Err(Error::NoCosts { time_ns, first_ns: BEGINNING * DAY_NS });
        }
        let mut out = Self { settlement_cents: NO_BOUNDS, ..Self::default() };
        let in_force =
            |charge: &&Charge| charge.from_day <= day && charge.until_day.is_none_or(|until| day < until);
        for charge in TABLE.iter().filter(in_force) {
            match charge.item {
                Item::StampDuty if stamp_exempt => {}
                Item::StampDuty => out.stamp_e8 = charge.rate_e8,
                Item::SfcLevy => out.levies_e8[0] = charge.rate_e8,
                Item::AfrcLevy => out.levies_e8[1] = charge.rate_e8,
                Item::TradingFee => out.levies_e8[2] = charge.rate_e8,
                Item::TradingTariff => out.fixed_cents = charge.bounds_cents.0,
                Item::SettlementFee => {
                    out.settlement_e8 = charge.rate_e8;
                    out.settlement_cents = charge.bounds_cents;
                }
            }
        }
        Ok(out)
    }

    /// What one side of an order of `amount` Hong Kong dollars pays, in dollars. Nothing is paid for nothing.
    pub fn cost(&self, amount: f64) -> f64 {
        let cents = (amount * 100.0).round();
        if cents.is_nan() || cents < 1.0 {
            return 0.0;
        }
        if cents > EXACT_CENTS {
            let rates = self.stamp_e8 + self.levies_e8.iter().sum::<u64>() + self.settlement_e8;
            return amount * rates as f64 / 1e8;
        }
        let cents = cents as u64;
        let nearest = |rate_e8: u64| (cents * rate_e8 + 50_000_000) / 100_000_000;
        // A dollar of stamp duty is a hundred cents: 10⁸ · 100.
        let stamp = (cents * self.stamp_e8).div_ceil(10_000_000_000) * 100;
        let levies: u64 = self.levies_e8.iter().map(|rate| nearest(*rate)).sum();
        let (least, greatest) = self.settlement_cents;
        let settlement = nearest(self.settlement_e8).clamp(least, greatest);
        (stamp + levies + self.fixed_cents + settlement) as f64 / 100.0
    }
}

/// The day in Hong Kong of a time, as days since the Unix epoch.
pub(crate) fn day(time_ns: i64) -> i64 {
    time_ns.saturating_add(8 * HOUR_NS).div_euclid(DAY_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(date: (i64, i64, i64), amount: f64) -> f64 {
        Tariff::at(days_from_date(date.0, date.1, date.2) * DAY_NS, false).unwrap().cost(amount)
    }

    #[test]
    fn costs_are_those_of_the_day() {
        // By hand. 2026: stamp 10, SFC 0.27, AFRC 0.015 → 0.02, fee 0.565 → 0.57, settlement 0.42.
        assert_eq!(cost((2026, 1, 5), 10_000.0), 11.28);
        // 2024: settlement 0.2 → at least 2.
        assert_eq!(cost((2024, 1, 5), 10_000.0), 12.86);
        // 2023-11-16: 0.13 %, 2023-11-17: 0.1 %.
        assert_eq!(cost((2023, 11, 16), 10_000.0), 15.86);
        assert_eq!(cost((2023, 11, 17), 10_000.0), 12.86);
        // 2022: stamp 13, SFC 0.27, AFRC 0.02, fee 0.5, tariff 0.5, settlement 2.
        assert_eq!(cost((2022, 12, 30), 10_000.0), 16.29);
        // 2021-07-30: stamp 10, SFC 0.27, fee 0.5, tariff 0.5, settlement 2.
        assert_eq!(cost((2021, 7, 30), 10_000.0), 13.27);
        // A big one: stamp 10,000, SFC 270, fee 500, tariff 0.5, settlement 200 → at most 100.
        assert_eq!(cost((2021, 7, 30), 10_000_000.0), 10_870.5);
    }

    #[test]
    fn stamp_duty_is_rounded_up_to_dollars_and_levies_to_cents() {
        // 10,001 dollars: stamp 10.001 → 11.
        assert_eq!(cost((2026, 1, 5), 10_001.0), 12.28);
        // One cent: stamp 1 dollar, nothing else.
        assert_eq!(cost((2026, 1, 5), 0.01), 1.0);
        assert_eq!(cost((2026, 1, 5), 0.0), 0.0);
        assert_eq!(cost((2026, 1, 5), f64::NAN), 0.0);
        // An amount that arithmetic missed by a hair is still the amount.
        assert_eq!(cost((2026, 1, 5), 10_000.000_000_000_002), 11.28);
        assert!((cost((2026, 1, 5), 1e12) / 1e12 - 0.001_127).abs() < 1e-15);
    }

    #[test]
    fn funds_are_exempt_from_stamp_duty_only() {
        let tariff = Tariff::at(days_from_date(2026, 1, 5) * DAY_NS, true).unwrap();
        assert_eq!(tariff.cost(10_000.0), 1.28);
    }

    #[test]
    fn days_are_those_of_hong_kong_and_there_is_nothing_before_the_table() {
        // 2025-06-29 16:00 UTC is midnight of the 30th in Hong Kong.
        let midnight = days_from_date(2025, 6, 29) * DAY_NS + 16 * HOUR_NS;
        let cost = |time| Tariff::at(time, false).unwrap().cost(10_000.0);
        assert_eq!([cost(midnight - 1), cost(midnight)], [12.86, 11.28]);
        let error = Tariff::at(BEGINNING * DAY_NS - 9 * HOUR_NS, false).unwrap_err().to_string();
        assert!(error.contains("begins on 2015-02-13") && error.contains("2015-02-12"), "{error}");
    }

    #[test]
    fn the_table_has_no_holes_and_no_overlaps() {
        for item in [
            Item::StampDuty,
            Item::SfcLevy,
            Item::AfrcLevy,
            Item::TradingFee,
            Item::TradingTariff,
            Item::SettlementFee,
        ] {
            let rows: Vec<&Charge> = TABLE.iter().filter(|charge| charge.item == item).collect();
            for pair in rows.windows(2) {
                assert_eq!(pair[0].until_day, Some(pair[1].from_day), "{item:?}");
            }
            assert!(rows.iter().all(|row| !row.source.is_empty()));
        }
    }
}
