//! All 72 columns against the crate `ta-lib`, the official port of TA-Lib.

use ta_lib::{Core, MAType, OutRange, RetCode};
use tapestore_factor::{Factor, Selection, Table, compute};

use super::series::{Series, difference};

use Factor as F;

/// A call of TA-Lib that writes into the columns given.
type Call<'a> = &'a mut dyn FnMut(&mut [&mut [f64]]) -> Result<OutRange, RetCode>;

/// What TA-Lib gives for a factor: values from the row of `from` on.
fn expected(factor: Factor, s: &Series) -> Vec<f64> {
    let core = Core::new();
    let last = s.close.len() - 1;
    let (h, l, c, v) = (&s.high[..], &s.low[..], &s.close[..], &s.volume[..]);
    let whole = |run: Call<'_>, which: usize| {
        let mut columns = vec![vec![0.0; s.close.len()]; 3];
        let mut borrowed: Vec<&mut [f64]> = columns.iter_mut().map(|column| &mut column[..]).collect();
        let given = run(&mut borrowed).expect("TA-Lib takes it");
        let mut out = vec![f64::NAN; s.close.len()];
        out[given.beg_idx..given.beg_idx + given.count].copy_from_slice(&columns[which][..given.count]);
        out
    };
    macro_rules! one {
        ($name:ident, $($argument:expr),*) => {
            whole(&mut |out| core.$name(0, last, $($argument,)* &mut out[0][..]), 0)
        };
    }
    macro_rules! two {
        ($which:expr, $name:ident, $($argument:expr),*) => {
            whole(&mut |out| {
                let (a, b) = out.split_at_mut(1);
                core.$name(0, last, $($argument,)* &mut a[0][..], &mut b[0][..])
            }, $which)
        };
    }
    macro_rules! three {
        ($which:expr, $name:ident, $($argument:expr),*) => {
            whole(&mut |out| {
                let (a, rest) = out.split_at_mut(1);
                let (b, d) = rest.split_at_mut(1);
                core.$name(0, last, $($argument,)* &mut a[0][..], &mut b[0][..], &mut d[0][..])
            }, $which)
        };
    }
    match factor {
        F::Sma => one!(sma, c, 20),
        F::Ema => one!(ema, c, 20),
        F::Wma => one!(wma, c, 20),
        F::Dema => one!(dema, c, 20),
        F::Tema => one!(tema, c, 20),
        F::Trima => one!(trima, c, 20),
        F::Kama => one!(kama, c, 30),
        F::T3 => one!(t3, c, 5, 0.7),
        F::Mama => two!(0, mama, c, 0.5, 0.05),
        F::Fama => two!(1, mama, c, 0.5, 0.05),
        F::HtTrendline => one!(ht_trendline, c),
        F::BbandsUpper => three!(0, bbands, c, 20, 2.0, 2.0, MAType::SMA),
        F::BbandsLower => three!(2, bbands, c, 20, 2.0, 2.0, MAType::SMA),
        F::Midpoint => one!(midpoint, c, 14),
        F::Midprice => one!(midprice, h, l, 14),
        F::Sar => one!(sar, h, l, 0.02, 0.2),
        F::Rsi => one!(rsi, c, 14),
        F::Macd => three!(0, macd, c, 12, 26, 9),
        F::MacdSignal => three!(1, macd, c, 12, 26, 9),
        F::MacdHist => three!(2, macd, c, 12, 26, 9),
        F::Apo => one!(apo, c, 12, 26, MAType::SMA),
        F::Ppo => one!(ppo, c, 12, 26, MAType::SMA),
        F::Roc => one!(roc, c, 10),
        F::Mom => one!(mom, c, 10),
        F::Cmo => one!(cmo, c, 14),
        F::Cci => one!(cci, h, l, c, 14),
        F::Willr => one!(willr, h, l, c, 14),
        F::StochK => two!(0, stoch, h, l, c, 5, 3, MAType::SMA, 3, MAType::SMA),
        F::StochD => two!(1, stoch, h, l, c, 5, 3, MAType::SMA, 3, MAType::SMA),
        F::StochfK => two!(0, stochf, h, l, c, 5, 3, MAType::SMA),
        F::StochrsiK => two!(0, stochrsi, c, 14, 5, 3, MAType::SMA),
        F::StochrsiD => two!(1, stochrsi, c, 14, 5, 3, MAType::SMA),
        F::Ultosc => one!(ultosc, h, l, c, 7, 14, 28),
        F::Trix => one!(trix, c, 30),
        F::Adx => one!(adx, h, l, c, 14),
        F::Adxr => one!(adxr, h, l, c, 14),
        F::Dx => one!(dx, h, l, c, 14),
        F::PlusDi => one!(plus_di, h, l, c, 14),
        F::MinusDi => one!(minus_di, h, l, c, 14),
        F::PlusDm => one!(plus_dm, h, l, 14),
        F::MinusDm => one!(minus_dm, h, l, 14),
        F::AroonUp => two!(1, aroon, h, l, 14),
        F::AroonDown => two!(0, aroon, h, l, 14),
        F::Aroonosc => one!(aroonosc, h, l, 14),
        F::Bop => one!(bop, &s.open, h, l, c),
        F::Mfi => one!(mfi, h, l, c, v, 14),
        F::Atr => one!(atr, h, l, c, 14),
        F::Natr => one!(natr, h, l, c, 14),
        F::Trange => one!(trange, h, l, c),
        F::Stddev => one!(stddev, c, 20, 1.0),
        F::Var => one!(var, c, 20, 1.0),
        F::Obv => one!(obv, c, v),
        F::Ad => one!(ad, h, l, c, v),
        F::Adosc => one!(adosc, h, l, c, v, 3, 10),
        F::Linearreg => one!(linearreg, c, 14),
        F::LinearregSlope => one!(linearreg_slope, c, 14),
        F::LinearregAngle => one!(linearreg_angle, c, 14),
        F::LinearregIntercept => one!(linearreg_intercept, c, 14),
        F::Tsf => one!(tsf, c, 14),
        F::Correl => one!(correl, h, l, 30),
        F::Beta => one!(beta, h, l, 5),
        F::HtDcperiod => one!(ht_dcperiod, c),
        F::HtDcphase => one!(ht_dcphase, c),
        F::HtInphase => two!(0, ht_phasor, c),
        F::HtQuadrature => two!(1, ht_phasor, c),
        F::HtSine => two!(0, ht_sine, c),
        F::HtLeadsine => two!(1, ht_sine, c),
        F::HtTrendmode => {
            let mut modes = vec![0; s.close.len()];
            let given = core.ht_trendmode(0, last, c, &mut modes).expect("TA-Lib takes it");
            let mut out = vec![f64::NAN; s.close.len()];
            for (out, mode) in out[given.beg_idx..].iter_mut().zip(&modes[..given.count]) {
                *out = f64::from(*mode);
            }
            out
        }
        F::Vwma => one!(vwma, c, v, 20),
        F::Cmf => one!(cmf, h, l, c, v, 20),
        F::Efi => one!(efi, c, v, 13),
        F::Hma => one!(hma, c, 20),
    }
}

#[test]
fn every_factor_agrees_with_ta_lib() {
    let mut failures = Vec::new();
    for (series, still) in
        [(Series::walk(3000, 1), false), (Series::walk(3000, 2), false), (Series::flat(300), true)]
    {
        let mut table = Table::default();
        compute(&series.bars(), &[0..series.close.len()], Selection::ALL, &mut table);
        for factor in Factor::ALL {
            let ours = table.column(factor).expect("all were asked for");
            let theirs = expected(factor, &series);
            let begins = theirs.iter().position(|value| !value.is_nan());
            if factor != Factor::Vwma {
                assert_eq!(begins, Some(factor.warm_up()), "{}", factor.name());
            }
            // Where nothing moves, TA-Lib's slopes are the rounding of their sums, and so is their root mean square.
            let slope = matches!(factor, F::LinearregSlope | F::LinearregAngle);
            if still && slope {
                assert!(ours.iter().all(|value| value.is_nan() || *value == 0.0), "{}", factor.name());
                continue;
            }
            let (error, row) = difference(ours, &theirs);
            if error > 1e-9 {
                let name = factor.name();
                failures.push(format!("{name}: {error:e} in row {row}: {} for {}", ours[row], theirs[row]));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn short_series_are_warm_up_and_nothing_else() {
    for rows in 1..100 {
        let series = Series::walk(rows, 5);
        let mut table = Table::default();
        compute(&series.bars(), &[0..rows], Selection::ALL, &mut table);
        for factor in Factor::ALL {
            let column = table.column(factor).expect("all were asked for");
            let values = column.iter().skip(factor.warm_up()).filter(|value| !value.is_nan()).count();
            let undefined = factor == Factor::Vwma;
            assert!(column.iter().take(factor.warm_up()).all(|value| value.is_nan()), "{}", factor.name());
            assert!(undefined || values == rows.saturating_sub(factor.warm_up()), "{} {rows}", factor.name());
        }
    }
}
