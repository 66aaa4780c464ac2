//! The score: the share of expected bars that can be used. No weights, so the number means what it says.
//!
//! Usable is a bar that is there, not made up, breaks no rule of validity and consistency, and is no unresolved error of
//! accuracy (spike, wrong unit, stale). Soft outliers are findings and cost nothing.

use std::fmt;
use std::ops::{Add, AddAssign};

use crate::rules::Rules;

/// What was counted, over any stretch of bars. Bars, all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bars that are expected.
    pub expected: u64,
    /// Bars that are expected and there, and not made up.
    pub present: u64,
    /// Bars that were made up.
    pub synthetic: u64,
    /// Bars where none is expected.
    pub outside: u64,
    /// Of those present: that break a rule of validity.
    pub invalid: u64,
    /// Of those present: that break a rule of consistency.
    pub inconsistent: u64,
    /// Of those present: unresolved errors of accuracy.
    pub inaccurate: u64,
    /// Of those present: that break none of these.
    pub usable: u64,
    /// Of those present: worth a look (outliers, unusual volumes and the like).
    pub soft: u64,
}

impl Tally {
    /// Expected bars that are not there.
    pub fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.present)
    }

    /// What is left of these without others that are among them.
    pub(crate) fn without(self, part: Self) -> Self {
        Self {
            expected: self.expected.saturating_sub(part.expected),
            present: self.present.saturating_sub(part.present),
            synthetic: self.synthetic.saturating_sub(part.synthetic),
            outside: self.outside.saturating_sub(part.outside),
            invalid: self.invalid.saturating_sub(part.invalid),
            inconsistent: self.inconsistent.saturating_sub(part.inconsistent),
            inaccurate: self.inaccurate.saturating_sub(part.inaccurate),
            usable: self.usable.saturating_sub(part.usable),
            soft: self.soft.saturating_sub(part.soft),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.expected += other.expected;
        self.present += other.present;
        self.synthetic += other.synthetic;
        self.outside += other.outside;
        self.invalid += other.invalid;
        self.inconsistent += other.inconsistent;
        self.inaccurate += other.inaccurate;
        self.usable += other.usable;
        self.soft += other.soft;
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), Self::add)
    }
}

/// Grades of completeness and worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Less than 95 % usable.
    F,
    /// At least 95 % usable.
    C,
    /// At least 99 % usable.
    B,
    /// At least 99.5 % usable.
    A,
    /// At least 99.9 % usable.
    S,
}

impl Tier {
    /// From the best to the worst.
    pub const ALL: [Self; 5] = [Self::S, Self::A, Self::B, Self::C, Self::F];

    /// Its letter.
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::F => "F",
        }
    }

    /// The tier of a letter.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(name))
    }

    /// Usable bars of a million expected ones that it takes.
    fn millionths(self) -> u64 {
        match self {
            Self::S => 999_000,
            Self::A => 995_000,
            Self::B => 990_000,
            Self::C => 950_000,
            Self::F => 0,
        }
    }

    /// The tier of a share, in whole numbers: 999 of 1,000 is S.
    pub fn of(usable: u64, expected: u64) -> Self {
        let enough = |tier: &Self| {
            u128::from(usable) * 1_000_000 >= u128::from(expected) * u128::from(tier.millionths())
        };
        Self::ALL.into_iter().find(enough).unwrap_or(Self::F)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Five ratios between 0 and 1, beside the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dimensions {
    /// Bars present, of those expected.
    pub completeness: f64,
    /// Bars that break no rule of validity, of those present.
    pub validity: f64,
    /// Bars that break no rule of consistency, of those present.
    pub consistency: f64,
    /// Bars that are no unresolved error of accuracy, of those present.
    pub accuracy: f64,
    /// 1 as long as the newest bar is within its time; then the time it has, divided by its lag.
    pub timeliness: f64,
}

/// A score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// What it is made of.
    pub tally: Tally,
    /// Usable of expected, between 0 and 1; 1 where nothing is expected.
    pub ratio: f64,
    /// The grade, lag included.
    pub tier: Tier,
    /// The five ratios.
    pub dimensions: Dimensions,
    /// Fewer bars are expected than a grade needs.
    pub provisional: bool,
    /// How long the oldest bar that is due and not there has been due, in nanoseconds; `None`: not asked.
    pub lag_ns: Option<i64>,
    /// Whether the lag lowered the tier.
    pub held_back: bool,
}

impl Score {
    /// The score of what was counted. A lag above the objective allows B at most, above ten times the objective C.
    pub fn of(tally: Tally, lag_ns: Option<i64>, rules: &Rules) -> Self {
        let ratio = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        let lag = lag_ns.unwrap_or(0);
        let cap = if lag > rules.slo_ns.saturating_mul(10) {
            Tier::C
        } else if lag > rules.slo_ns {
            Tier::B
        } else {
            Tier::S
        };
        let earned = Tier::of(tally.usable, tally.expected);
        let kept = |broken: u64| ratio(tally.present.saturating_sub(broken), tally.present);
        Self {
            tally,
            ratio: ratio(tally.usable, tally.expected),
            tier: earned.min(cap),
            dimensions: Dimensions {
                completeness: ratio(tally.present, tally.expected),
                validity: kept(tally.invalid),
                consistency: kept(tally.inconsistent),
                accuracy: kept(tally.inaccurate),
                timeliness: if lag > rules.slo_ns { rules.slo_ns as f64 / lag as f64 } else { 1.0 },
            },
            provisional: tally.expected < rules.provisional,
            lag_ns,
            held_back: cap < earned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_whole_numbers_of_bars() {
        // Bad bars that a day of 1,440 and one of 330 bears.
        let worst = |expected: u64, tier: Tier| {
            (0..=expected).rev().find(|bad| Tier::of(expected - bad, expected) >= tier).unwrap()
        };
        let bars = |expected| [Tier::S, Tier::A, Tier::B, Tier::C].map(|tier| worst(expected, tier));
        assert_eq!(bars(1440), [1, 7, 14, 72]);
        assert_eq!(bars(330), [0, 1, 3, 16]);
        assert_eq!(
            [Tier::of(999, 1000), Tier::of(9989, 10_000), Tier::of(0, 0)],
            [Tier::S, Tier::A, Tier::S]
        );
    }

    #[test]
    fn lag_holds_back_and_few_bars_are_provisional() {
        let rules = Rules::default();
        let tally = Tally { expected: 1000, present: 1000, usable: 1000, ..Tally::default() };
        let score = |lag| Score::of(tally, Some(lag), &rules);
        assert_eq!(score(rules.slo_ns).tier, Tier::S);
        assert_eq!(score(rules.slo_ns + 1).tier, Tier::B);
        assert_eq!(score(10 * rules.slo_ns + 1).tier, Tier::C);
        assert!(score(rules.slo_ns + 1).held_back && !score(0).held_back && !score(0).provisional);
        assert!((score(2 * rules.slo_ns).dimensions.timeliness - 0.5).abs() < 1e-12);
        let few = Tally { expected: 999, ..tally };
        assert!(Score::of(few, None, &rules).provisional);
    }

    #[test]
    fn synthetic_bars_never_count_as_complete() {
        let tally = Tally { expected: 100, present: 90, synthetic: 10, usable: 90, ..Tally::default() };
        let score = Score::of(tally, None, &Rules::default());
        assert!((score.dimensions.completeness - 0.9).abs() < 1e-12 && (score.ratio - 0.9).abs() < 1e-12);
    }
}
