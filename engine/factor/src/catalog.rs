//! The 72 factors: names, parameters, warm-up, and how far back each of them looks.
//!
//! Names and meanings are TA-Lib's (<https://ta-lib.org/functions/>); the number in a name is its period. TA-Lib's list
//! of the same 63 calls has a 73rd output, the D line of STOCHF(5, 3): it is STOCH_K(5, 3) to the bit, and left out.

use crate::error::{Error, Result};

/// How many factors there are.
pub const COUNT: usize = 72;

/// A factor; the discriminant is its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is described in the table")]
pub enum Factor {
    Sma,
    Ema,
    Wma,
    Dema,
    Tema,
    Trima,
    Kama,
    T3,
    Mama,
    Fama,
    HtTrendline,
    BbandsUpper,
    BbandsLower,
    Midpoint,
    Midprice,
    Sar,
    Rsi,
    Macd,
    MacdSignal,
    MacdHist,
    Apo,
    Ppo,
    Roc,
    Mom,
    Cmo,
    Cci,
    Willr,
    StochK,
    StochD,
    StochfK,
    StochrsiK,
    StochrsiD,
    Ultosc,
    Trix,
    Adx,
    Adxr,
    Dx,
    PlusDi,
    MinusDi,
    PlusDm,
    MinusDm,
    AroonUp,
    AroonDown,
    Aroonosc,
    Bop,
    Mfi,
    Atr,
    Natr,
    Trange,
    Stddev,
    Var,
    Obv,
    Ad,
    Adosc,
    Linearreg,
    LinearregSlope,
    LinearregAngle,
    LinearregIntercept,
    Tsf,
    Correl,
    Beta,
    HtDcperiod,
    HtDcphase,
    HtInphase,
    HtQuadrature,
    HtSine,
    HtLeadsine,
    HtTrendmode,
    Vwma,
    Cmf,
    Efi,
    Hma,
}

/// What a value depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// On so many bars, its own included, and on nothing before: recomputing those gives the same bits.
    Bars(usize),
    /// On all bars since the start of the run, ever less: computed from some hundred bars before, it agrees to 1e-9.
    Fading,
    /// On all bars since the start of the run, equally: a running total.
    Total,
}

/// The kernels that compute their factors together, out of the same intermediate results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Averages,
    Regression,
    Extremes,
    Motion,
    Flow,
    Pairs,
    Smooth,
    Wilder,
    Stop,
    Volume,
    Hilbert,
}

impl Group {
    pub(crate) const ALL: [Self; 11] = [
        Self::Averages,
        Self::Regression,
        Self::Extremes,
        Self::Motion,
        Self::Flow,
        Self::Pairs,
        Self::Smooth,
        Self::Wilder,
        Self::Stop,
        Self::Volume,
        Self::Hilbert,
    ];
}

struct Entry {
    factor: Factor,
    name: &'static str,
    warm_up: usize,
    memory: Memory,
    group: Group,
    parameters: &'static str,
    meaning: &'static str,
}

const fn entry(
    factor: Factor,
    name: &'static str,
    warm_up: usize,
    memory: Memory,
    group: Group,
    parameters: &'static str,
    meaning: &'static str,
) -> Entry {
    Entry { factor, name, warm_up, memory, group, parameters, meaning }
}

#[rustfmt::skip]
const TABLE: [Entry; COUNT] = {
    use Factor as F;
    use Group as G;
    use Memory::{Bars, Fading, Total};
    [
        entry(F::Sma, "SMA20", 19, Bars(20), G::Averages, "period 20", "mean of the closes of 20 bars"),
        entry(F::Ema, "EMA20", 19, Fading, G::Smooth, "period 20", "exponential mean of the close, begun with the mean of 20"),
        entry(F::Wma, "WMA20", 19, Bars(20), G::Averages, "period 20", "linearly weighted mean of the closes of 20 bars"),
        entry(F::Dema, "DEMA20", 38, Fading, G::Smooth, "period 20", "twice the exponential mean less the exponential mean of it"),
        entry(F::Tema, "TEMA20", 57, Fading, G::Smooth, "period 20", "3 e1 - 3 e2 + e3, of exponential means one of another"),
        entry(F::Trima, "TRIMA20", 19, Bars(20), G::Averages, "period 20", "mean of means: weights 1 to 10 and back to 1"),
        entry(F::Kama, "KAMA30", 30, Fading, G::Smooth, "period 30", "adaptive mean, quick where the close moves one way (Kaufman)"),
        entry(F::T3, "T3", 24, Fading, G::Smooth, "period 5, volume factor 0.7", "six exponential means one of another, weighted (Tillson)"),
        entry(F::Mama, "MAMA", 32, Fading, G::Hilbert, "fast limit 0.5, slow limit 0.05", "mean whose speed follows the phase of the cycle (Ehlers)"),
        entry(F::Fama, "FAMA", 32, Fading, G::Hilbert, "fast limit 0.5, slow limit 0.05", "mean that follows MAMA at half its speed"),
        entry(F::HtTrendline, "HT_TRENDLINE", 63, Fading, G::Hilbert, "", "mean of the close over the dominant cycle"),
        entry(F::BbandsUpper, "BBANDS_UPPER", 19, Bars(20), G::Averages, "period 20, deviations 2", "SMA20 plus two standard deviations"),
        entry(F::BbandsLower, "BBANDS_LOWER", 19, Bars(20), G::Averages, "period 20, deviations 2", "SMA20 less two standard deviations"),
        entry(F::Midpoint, "MIDPOINT14", 13, Bars(14), G::Extremes, "period 14", "middle of the highest and the lowest close"),
        entry(F::Midprice, "MIDPRICE14", 13, Bars(14), G::Extremes, "period 14", "middle of the highest high and the lowest low"),
        entry(F::Sar, "SAR", 1, Fading, G::Stop, "acceleration 0.02, maximum 0.2", "parabolic stop and reverse (Wilder)"),
        entry(F::Rsi, "RSI14", 14, Fading, G::Wilder, "period 14", "100 times mean gain over mean gain and loss"),
        entry(F::Macd, "MACD", 33, Fading, G::Smooth, "periods 12, 26, 9", "exponential mean over 12 bars less that over 26"),
        entry(F::MacdSignal, "MACD_SIGNAL", 33, Fading, G::Smooth, "periods 12, 26, 9", "exponential mean of MACD over 9 bars"),
        entry(F::MacdHist, "MACD_HIST", 33, Fading, G::Smooth, "periods 12, 26, 9", "MACD less its signal"),
        entry(F::Apo, "APO", 25, Bars(26), G::Averages, "periods 12, 26, simple means", "mean over 12 bars less that over 26"),
        entry(F::Ppo, "PPO", 25, Bars(26), G::Averages, "periods 12, 26, simple means", "APO in percent of the mean over 26 bars"),
        entry(F::Roc, "ROC10", 10, Bars(11), G::Motion, "period 10", "change of the close over 10 bars in percent"),
        entry(F::Mom, "MOM10", 10, Bars(11), G::Motion, "period 10", "change of the close over 10 bars"),
        entry(F::Cmo, "CMO14", 14, Fading, G::Wilder, "period 14", "100 times mean gain less mean loss over their sum"),
        entry(F::Cci, "CCI14", 13, Bars(14), G::Motion, "period 14", "distance of the typical price from its mean in mean deviations of 0.015"),
        entry(F::Willr, "WILLR14", 13, Bars(14), G::Extremes, "period 14", "where the close lies below the highest high, -100 to 0"),
        entry(F::StochK, "STOCH_K", 8, Bars(9), G::Extremes, "periods 5, 3, 3", "mean over 3 bars of STOCHF_K; the same as D of the fast form"),
        entry(F::StochD, "STOCH_D", 8, Bars(9), G::Extremes, "periods 5, 3, 3", "mean over 3 bars of STOCH_K"),
        entry(F::StochfK, "STOCHF_K", 6, Bars(7), G::Extremes, "periods 5, 3", "where the close lies between lowest low and highest high of 5 bars, 0 to 100"),
        entry(F::StochrsiK, "STOCHRSI_K", 20, Fading, G::Wilder, "periods 14, 5, 3", "where RSI14 lies between its extremes of 5 bars, 0 to 100"),
        entry(F::StochrsiD, "STOCHRSI_D", 20, Fading, G::Wilder, "periods 14, 5, 3", "mean over 3 bars of STOCHRSI_K"),
        entry(F::Ultosc, "ULTOSC", 28, Bars(29), G::Motion, "periods 7, 14, 28", "buying pressure over true range in three windows, weighted 4, 2, 1"),
        entry(F::Trix, "TRIX30", 88, Fading, G::Smooth, "period 30", "change in percent of a threefold exponential mean"),
        entry(F::Adx, "ADX14", 27, Fading, G::Wilder, "period 14", "smoothed DX14"),
        entry(F::Adxr, "ADXR14", 40, Fading, G::Wilder, "period 14", "mean of ADX14 now and 13 bars ago"),
        entry(F::Dx, "DX14", 14, Fading, G::Wilder, "period 14", "100 times the difference of the directional indicators over their sum"),
        entry(F::PlusDi, "PLUS_DI14", 14, Fading, G::Wilder, "period 14", "smoothed upward movement in percent of smoothed true range"),
        entry(F::MinusDi, "MINUS_DI14", 14, Fading, G::Wilder, "period 14", "smoothed downward movement in percent of smoothed true range"),
        entry(F::PlusDm, "PLUS_DM14", 13, Fading, G::Wilder, "period 14", "smoothed upward movement (Wilder sum)"),
        entry(F::MinusDm, "MINUS_DM14", 13, Fading, G::Wilder, "period 14", "smoothed downward movement (Wilder sum)"),
        entry(F::AroonUp, "AROON_UP14", 14, Bars(15), G::Extremes, "period 14", "how recent the highest high of 15 bars is, 0 to 100"),
        entry(F::AroonDown, "AROON_DOWN14", 14, Bars(15), G::Extremes, "period 14", "how recent the lowest low of 15 bars is, 0 to 100"),
        entry(F::Aroonosc, "AROONOSC14", 14, Bars(15), G::Extremes, "period 14", "AROON_UP14 less AROON_DOWN14"),
        entry(F::Bop, "BOP", 0, Bars(1), G::Motion, "", "(close - open) / (high - low)"),
        entry(F::Mfi, "MFI14", 14, Bars(15), G::Flow, "period 14", "RSI of money flow: typical price times volume"),
        entry(F::Atr, "ATR14", 14, Fading, G::Wilder, "period 14", "smoothed true range"),
        entry(F::Natr, "NATR14", 14, Fading, G::Wilder, "period 14", "ATR14 in percent of the close"),
        entry(F::Trange, "TRANGE", 1, Bars(2), G::Motion, "", "true range: the bar and the close before it"),
        entry(F::Stddev, "STDDEV20", 19, Bars(20), G::Averages, "period 20", "standard deviation of the close, of the population"),
        entry(F::Var, "VAR20", 19, Bars(20), G::Averages, "period 20", "variance of the close, of the population"),
        entry(F::Obv, "OBV", 0, Total, G::Volume, "", "running volume, up with rising closes and down with falling ones"),
        entry(F::Ad, "AD", 0, Total, G::Volume, "", "running volume, weighted by where the close lies in the bar"),
        entry(F::Adosc, "ADOSC", 9, Fading, G::Volume, "periods 3, 10", "exponential mean of AD over 3 bars less that over 10"),
        entry(F::Linearreg, "LINEARREG14", 13, Bars(14), G::Regression, "period 14", "end of the line fitted to the closes"),
        entry(F::LinearregSlope, "LINEARREG_SLOPE14", 13, Bars(14), G::Regression, "period 14", "slope of that line a bar"),
        entry(F::LinearregAngle, "LINEARREG_ANGLE14", 13, Bars(14), G::Regression, "period 14", "its angle in degrees"),
        entry(F::LinearregIntercept, "LINEARREG_INTERCEPT14", 13, Bars(14), G::Regression, "period 14", "beginning of that line"),
        entry(F::Tsf, "TSF14", 13, Bars(14), G::Regression, "period 14", "that line one bar ahead"),
        entry(F::Correl, "CORREL30", 29, Bars(30), G::Pairs, "period 30", "correlation (Pearson) of high and low"),
        entry(F::Beta, "BETA5", 5, Bars(6), G::Pairs, "period 5", "slope of returns of the low on returns of the high"),
        entry(F::HtDcperiod, "HT_DCPERIOD", 32, Fading, G::Hilbert, "", "length of the dominant cycle in bars"),
        entry(F::HtDcphase, "HT_DCPHASE", 63, Fading, G::Hilbert, "", "phase of the dominant cycle in degrees"),
        entry(F::HtInphase, "HT_INPHASE", 32, Fading, G::Hilbert, "", "in-phase component of the cycle"),
        entry(F::HtQuadrature, "HT_QUADRATURE", 32, Fading, G::Hilbert, "", "quadrature component of the cycle"),
        entry(F::HtSine, "HT_SINE", 63, Fading, G::Hilbert, "", "sine of HT_DCPHASE"),
        entry(F::HtLeadsine, "HT_LEADSINE", 63, Fading, G::Hilbert, "", "sine of HT_DCPHASE and 45 degrees"),
        entry(F::HtTrendmode, "HT_TRENDMODE", 63, Fading, G::Hilbert, "", "1 in a trend, 0 in a cycle"),
        entry(F::Vwma, "VWMA20", 19, Bars(20), G::Flow, "period 20", "mean of the closes of 20 bars, weighted by volume"),
        entry(F::Cmf, "CMF20", 19, Bars(20), G::Flow, "period 20", "money flow volume over volume of 20 bars (Chaikin)"),
        entry(F::Efi, "EFI13", 13, Fading, G::Volume, "period 13", "exponential mean of the change of the close times volume (Elder)"),
        entry(F::Hma, "HMA20", 22, Bars(23), G::Averages, "period 20", "weighted mean of 2 WMA10 - WMA20 over 4 bars (Hull)"),
    ]
};

impl Factor {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; COUNT] = {
        let mut all = [Self::Sma; COUNT];
        let mut at = 0;
        while at < COUNT {
            all[at] = TABLE[at].factor;
            at += 1;
        }
        all
    };

    fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }

    /// Its column in a [`crate::Table`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name, such as `RSI14`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The factor of this name, whatever its case.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the names that resemble it.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|factor| factor.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let stem: String = name.chars().take_while(char::is_ascii_alphabetic).take(3).collect();
            let near =
                |factor: &Self| !stem.is_empty() && factor.name().starts_with(&stem.to_ascii_uppercase());
            Error::Unknown {
                name: name.to_owned(),
                near: Self::ALL.into_iter().filter(near).map(Self::name).collect(),
            }
        })
    }

    /// Bars of a run before its first value; they are NaN.
    pub fn warm_up(self) -> usize {
        self.entry().warm_up
    }

    /// What a value depends on.
    pub fn memory(self) -> Memory {
        self.entry().memory
    }

    /// Whether it depends on all bars of the run before, not on a window.
    pub fn is_recursive(self) -> bool {
        !matches!(self.memory(), Memory::Bars(_))
    }

    /// Periods and other constants, in words; empty if it has none.
    pub fn parameters(self) -> &'static str {
        self.entry().parameters
    }

    /// What it tells, in one line.
    pub fn meaning(self) -> &'static str {
        self.entry().meaning
    }

    pub(crate) fn group(self) -> Group {
        self.entry().group
    }
}

/// Which factors are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Selection(u128);

impl Selection {
    /// All 72.
    pub const ALL: Self = Self((1 << COUNT) - 1);

    /// These.
    pub fn of(factors: &[Factor]) -> Self {
        Self(factors.iter().fold(0, |bits, factor| bits | 1 << factor.index()))
    }

    /// Factors by name; `all` stands for all of them.
    ///
    /// # Errors
    /// As [`Factor::parse`].
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut bits = 0;
        for name in names {
            bits |= if name.eq_ignore_ascii_case("all") {
                Self::ALL.0
            } else {
                1 << Factor::parse(name)?.index()
            };
        }
        Ok(Self(bits))
    }

    /// Whether it holds a factor.
    pub fn contains(self, factor: Factor) -> bool {
        self.0 >> factor.index() & 1 == 1
    }

    /// The factors, in the order of their columns.
    pub fn factors(self) -> Vec<Factor> {
        Factor::ALL.into_iter().filter(|factor| self.contains(*factor)).collect()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn needs(self, group: Group) -> bool {
        Factor::ALL.into_iter().any(|factor| self.contains(factor) && factor.group() == group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_columns() {
        for (column, factor) in Factor::ALL.into_iter().enumerate() {
            assert_eq!(factor.index(), column, "{}", factor.name());
            assert_eq!(Factor::parse(&factor.name().to_lowercase()).unwrap(), factor);
            // Tables are cleared so far.
            assert!(factor.warm_up() < 128, "{}", factor.name());
            if let Memory::Bars(bars) = factor.memory() {
                assert_eq!(bars, factor.warm_up() + 1, "{}", factor.name());
            }
        }
        assert_eq!(Factor::ALL.into_iter().filter(|factor| !factor.is_recursive()).count(), FINITE);
    }

    const FINITE: usize = 35;

    #[test]
    fn unknown_names_are_told_with_their_neighbours() {
        let error = Factor::parse("RSI").unwrap_err().to_string();
        assert!(error.contains("RSI14"), "{error}");
        assert!(Selection::parse(["sma20", "all"]).unwrap() == Selection::ALL);
        assert_eq!(Selection::parse(["bop", "SMA20"]).unwrap().factors(), [Factor::Sma, Factor::Bop]);
    }
}
