//! A frame of bars into its columns of factors, all at once.

use std::ops::Range;

use crate::bars::{Bars, Table};
use crate::catalog::{Factor as F, Group, Selection};
use crate::finite::{self, Scratch};
use crate::hilbert::Hilbert;
use crate::recurrence::Recurrence;
use crate::running::{Parabola, Volume};
use crate::smooth::Smooth;
use crate::wilder::Wilder;

/// Computes the selected factors of a frame into `table`, whose memory is used again.
///
/// `runs` are the rows of contiguous bars: sorted, disjoint ranges. Each is computed by itself, from its own warm-up on
/// (N2); rows of no run get NaN. All values of bars in runs are finite.
///
/// # Panics
/// If a run ends behind the last bar.
pub fn compute(bars: &Bars<'_>, runs: &[Range<usize>], selection: Selection, table: &mut Table) {
    table.reset(bars.len(), selection, runs);
    let mut scratch = Scratch::default();
    for rows in runs {
        let run = bars.slice(rows.clone());
        for group in Group::ALL.into_iter().filter(|group| selection.needs(*group)) {
            compute_group(group, &run, rows, table, &mut scratch);
        }
    }
}

/// The columns that each group computes, in the order in which its kernel gives them.
pub(crate) mod outputs {
    use super::F;

    pub(crate) const AVERAGES: [F; 10] =
        [F::Sma, F::Wma, F::Trima, F::BbandsUpper, F::BbandsLower, F::Apo, F::Ppo, F::Stddev, F::Var, F::Hma];
    pub(crate) const REGRESSION: [F; 5] =
        [F::Linearreg, F::LinearregSlope, F::LinearregAngle, F::LinearregIntercept, F::Tsf];
    pub(crate) const EXTREMES: [F; 9] = [
        F::Midpoint,
        F::Midprice,
        F::Willr,
        F::StochK,
        F::StochD,
        F::StochfK,
        F::AroonUp,
        F::AroonDown,
        F::Aroonosc,
    ];
    pub(crate) const MOTION: [F; 6] = [F::Roc, F::Mom, F::Cci, F::Ultosc, F::Bop, F::Trange];
    pub(crate) const FLOW: [F; 3] = [F::Mfi, F::Vwma, F::Cmf];
    pub(crate) const PAIRS: [F; 2] = [F::Correl, F::Beta];
    pub(crate) const SMOOTH: [F; 9] =
        [F::Ema, F::Dema, F::Tema, F::T3, F::Trix, F::Macd, F::MacdSignal, F::MacdHist, F::Kama];
    pub(crate) const WILDER: [F; 13] = [
        F::Rsi,
        F::Cmo,
        F::StochrsiK,
        F::StochrsiD,
        F::Atr,
        F::Natr,
        F::Adx,
        F::Adxr,
        F::Dx,
        F::PlusDi,
        F::MinusDi,
        F::PlusDm,
        F::MinusDm,
    ];
    pub(crate) const STOP: [F; 1] = [F::Sar];
    pub(crate) const VOLUME: [F; 4] = [F::Obv, F::Ad, F::Adosc, F::Efi];
    pub(crate) const HILBERT: [F; 10] = [
        F::Mama,
        F::Fama,
        F::HtTrendline,
        F::HtDcperiod,
        F::HtDcphase,
        F::HtInphase,
        F::HtQuadrature,
        F::HtSine,
        F::HtLeadsine,
        F::HtTrendmode,
    ];
}

fn compute_group(
    group: Group,
    run: &Bars<'_>,
    rows: &Range<usize>,
    table: &mut Table,
    scratch: &mut Scratch,
) {
    match group {
        Group::Averages => finite::averages(run, table.parts(outputs::AVERAGES, rows), scratch),
        Group::Regression => finite::regression(run, table.parts(outputs::REGRESSION, rows), scratch),
        Group::Extremes => finite::extremes(run, table.parts(outputs::EXTREMES, rows), scratch),
        Group::Motion => finite::motion(run, table.parts(outputs::MOTION, rows), scratch),
        Group::Flow => finite::flow(run, table.parts(outputs::FLOW, rows), scratch),
        Group::Pairs => finite::pairs(run, table.parts(outputs::PAIRS, rows), scratch),
        Group::Smooth => Smooth::default().run(run, table.parts(outputs::SMOOTH, rows)),
        Group::Wilder => Wilder::default().run(run, table.parts(outputs::WILDER, rows)),
        Group::Stop => Parabola::default().run(run, table.parts(outputs::STOP, rows)),
        Group::Volume => Volume::default().run(run, table.parts(outputs::VOLUME, rows)),
        Group::Hilbert => Hilbert::default().run(run, table.parts(outputs::HILBERT, rows)),
    }
}
