//! The rules: what each says, how bad it is, and whether a bar that breaks it can be used.

use std::fmt;

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Whether the bars that are expected are there.
    Completeness,
    /// Whether a value can be what it says it is.
    Validity,
    /// Whether values agree with one another.
    Consistency,
    /// Whether values are likely.
    Accuracy,
    /// Whether bars come in time.
    Timeliness,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Completeness, Self::Validity, Self::Consistency, Self::Accuracy, Self::Timeliness];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completeness => "completeness",
            Self::Validity => "validity",
            Self::Consistency => "consistency",
            Self::Accuracy => "accuracy",
            Self::Timeliness => "timeliness",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth a look; the bar counts as usable.
    Low,
    /// Bars are missing, or a level changed for good.
    Medium,
    /// The bar cannot be used.
    High,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The severity of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

macro_rules! rules {
    ($($name:ident $text:literal $dimension:ident $severity:ident $meaning:literal)*) => {
        /// One rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Rule { $(#[doc = $meaning] $name,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as it stands in the table of findings.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it is about.
            pub fn dimension(self) -> Dimension {
                match self { $(Self::$name => Dimension::$dimension,)* }
            }

            /// How bad it is to break it.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it says.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

rules! {
    Missing "missing" Completeness Medium "a bar is expected and not there"
    Synthetic "synthetic" Completeness Medium "a bar was made up (flag synthetic): it never counts as complete"
    Outside "outside" Validity Low "a bar stands where none is expected: outside of all sessions"
    Finite "finite" Validity High "open, high, low, close and volume are there and finite"
    Price "price" Validity High "prices are greater than zero"
    Volume "volume" Validity High "volume, amounts and counts are not negative"
    Grid "grid" Validity High "a bar opens where a bar of its timeframe may open"
    CloseTime "close-time" Validity High "the close time, where it is stored, is the end of the bar or one unit before it"
    Tick "tick" Validity High "prices are multiples of the tick, where one is declared"
    Range "range" Consistency High "low ≤ open, close ≤ high"
    Flat "flat" Consistency High "without volume nothing moves: open = high = low = close"
    Amount "amount" Consistency High "quote volume / volume lies between low and high"
    Taker "taker" Consistency High "takers buy no more than was traded"
    Coarser "coarser" Consistency High "a bar equals the aggregate of the finer bars in it"
    Repeated "repeated" Consistency High "a day does not repeat the bars of another"
    Shifted "shifted" Consistency High "a day's bars stand at the hours of its sessions"
    Spike "spike" Accuracy High "a return far out of the local scale that the next bar takes back"
    Unit "unit" Accuracy High "prices are not 89 to 111 times those around them"
    Stale "stale" Accuracy High "bars with volume do not repeat one another, volume included"
    Outlier "outlier" Accuracy Low "a return lies within the local scale (Hampel)"
    Level "level" Accuracy Medium "a price level does not change 89 to 111 fold for good"
    Flatline "flatline" Accuracy Low "prices stand still no longer than this series is used to"
    Activity "activity" Accuracy Low "volume is like that of the same time of day in the sessions before"
    Source "source" Accuracy Low "another source of the same market says about the same"
}

impl Rule {
    /// The rule of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }

    /// The bit of the rule in the marks of a bar.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The bits of all rules of a dimension whose breach makes a bar unusable.
    pub(crate) fn spoiling(dimension: Dimension) -> u32 {
        let spoils = |rule: &&Self| rule.dimension() == dimension && rule.severity() == Severity::High;
        Self::ALL.iter().filter(spoils).fold(0, |bits, rule| bits | rule.bit())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_bit_and_a_name_of_its_own() {
        assert!(Rule::ALL.len() <= 32);
        for (at, rule) in Rule::ALL.iter().enumerate() {
            assert_eq!((*rule as usize, Rule::parse(rule.name())), (at, Some(*rule)));
        }
    }
}
