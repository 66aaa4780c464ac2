//! The thresholds of all rules, in one place.

use tapestore::time::MINUTE_NS;

/// Thresholds. The defaults come from calibration with injected faults, see `CALIBRATION.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Past returns that a return is compared with, at most 61; half of them have to be there.
    pub window: usize,
    /// Scales (1.4826 times the median absolute deviation, or the tick) beyond which a return is an outlier.
    pub soft: f64,
    /// Scales beyond which a return that the next one takes back is a spike.
    pub hard: f64,
    /// Largest share of a spike's return that is left after the next bar.
    pub reversion: f64,
    /// Bars of a run of equal bars, volume included, from which on it is stale.
    pub stale: usize,
    /// Scales beyond which a volume is unlike its time of day.
    pub activity: f64,
    /// Least scale of ln(1 + volume).
    pub activity_floor: f64,
    /// Least number of days with a bar at the same time that an activity is compared with.
    pub activity_days: usize,
    /// Least number of bars of a day that is compared with the days before.
    pub repeated_bars: usize,
    /// Largest difference of volumes that is rounding, as a share.
    pub rounding: f64,
    /// Step of prices, where it is known.
    pub tick: Option<f64>,
    /// How late a bar may be, in nanoseconds: later, the tier is at most B, ten times later at most C.
    pub slo_ns: i64,
    /// Expected bars below which a score is provisional.
    pub provisional: u64,
    /// Share of the price by which two sources may differ.
    pub source_share: f64,
    /// Median absolute deviations by which two sources may differ.
    pub source_scales: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            window: 61,
            soft: 8.0,
            hard: 10.0,
            reversion: 0.25,
            stale: 3,
            activity: 8.0,
            activity_floor: 0.1,
            activity_days: 10,
            repeated_bars: 12,
            rounding: 1e-9,
            tick: None,
            slo_ns: 5 * MINUTE_NS,
            provisional: 1000,
            source_share: 0.005,
            source_scales: 10.0,
        }
    }
}
