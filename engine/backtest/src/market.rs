//! Bars made ready: returns, forward returns and their order, days, and costs by row; once for all signals.

use std::ops::Range;

use tapestore::time::DAY_NS;
use tapestore_query::Sessions;

use crate::costs::{self, Mode, Price, Schedule};
use crate::error::{Error, Result};
use crate::settings::{Fill, Gaps, Settings};

/// Bars of one instrument, column by column.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'a> {
    /// Open times, nanoseconds since the Unix epoch, UTC, ascending.
    pub time: &'a [i64],
    /// First prices; needed for [`Fill::NextOpen`] only.
    pub open: Option<&'a [f64]>,
    /// Last prices.
    pub close: &'a [f64],
    /// Rows that follow a hole: bars are missing before them. Only [`Gaps::Break`] looks at it.
    pub after_hole: &'a [usize],
    /// When the market is open, for days; without, a day is one of UTC.
    pub sessions: Option<&'a Sessions>,
    /// Whether a day has several bars, so that correlations of single days make sense.
    pub intraday: bool,
}

/// Bars, ready for any number of signals.
#[derive(Clone, Debug)]
pub struct Market {
    pub(crate) settings: Settings,
    pub(crate) time: Vec<i64>,
    /// `c_t/c_{t−1} − 1`; 0 at the first bar, and after a hole that breaks.
    pub(crate) returns: Vec<f64>,
    /// For fills at the open: from the close before to the open, and from the open to the close.
    pub(crate) around_open: Option<(Vec<f64>, Vec<f64>)>,
    /// What the close after brings, `c_{t+1}/c_t − 1`; NaN where there is none.
    pub(crate) forward: Vec<f64>,
    /// Rows with a forward return, in its order.
    pub(crate) forward_order: Vec<u32>,
    /// First rows of the days and the end, if there are several bars a day.
    pub(crate) days: Option<Vec<usize>>,
    pub(crate) prices: Vec<(Range<usize>, Price)>,
}

impl Market {
    /// Checks bars and settings, and computes what all signals share. Time and memory in proportion to the rows.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Order`], [`Error::Price`], [`Error::NoCosts`], and [`Error::Setting`].
    pub fn new(bars: &Bars<'_>, settings: &Settings) -> Result<Self> {
        settings.check()?;
        check(bars, settings)?;
        let rows = bars.time.len();
        let close = bars.close;
        let mut returns = vec![0.0; rows];
        for row in 1..rows {
            returns[row] = close[row] / close[row - 1] - 1.0;
        }
        let mut forward = returns.get(1..).unwrap_or_default().to_vec();
        forward.resize(rows, f64::NAN);
        let mut around_open = match (settings.fill, bars.open) {
            (Fill::NextOpen, Some(open)) => {
                let gap = |row: usize| if row == 0 { 0.0 } else { open[row] / close[row - 1] - 1.0 };
                let inside = open.iter().zip(close).map(|(open, close)| close / open - 1.0);
                Some(((0..rows).map(gap).collect::<Vec<_>>(), inside.collect::<Vec<_>>()))
            }
            _ => None,
        };
        if settings.gaps == Gaps::Break {
            for row in bars.after_hole.iter().copied().filter(|row| *row > 0 && *row < rows) {
                returns[row] = 0.0;
                forward[row - 1] = f64::NAN;
                if let Some((gap, _)) = &mut around_open {
                    gap[row] = 0.0;
                }
            }
        }
        let mut forward_order: Vec<u32> =
            (0..rows as u32).filter(|row| !forward[*row as usize].is_nan()).collect();
        forward_order.sort_unstable_by(|a, b| forward[*a as usize].total_cmp(&forward[*b as usize]));
        let traded = |row: usize| match settings.fill {
            Fill::Close => bars.time[row.saturating_sub(1)],
            Fill::NextOpen => bars.time[row],
        };
        Ok(Self {
            settings: *settings,
            time: bars.time.to_vec(),
            returns,
            around_open,
            forward,
            forward_order,
            days: bars.intraday.then(|| days(bars)),
            prices: charged(settings, costs::by_row(&settings.costs.schedule, rows, traded)?),
        })
    }

    /// Number of bars.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Flat costs are those of one order: from there on, a constant for each range of rows.
fn charged(settings: &Settings, prices: Vec<(Range<usize>, Price)>) -> Vec<(Range<usize>, Price)> {
    if settings.costs.mode == Mode::Proportional || settings.costs.schedule == Schedule::Free {
        return prices;
    }
    let order = settings.capital * settings.allocation;
    let flat = |price: Price| Price::Share(price.cost(order) / settings.capital);
    prices.into_iter().map(|(rows, price)| (rows, flat(price))).collect()
}

fn check(bars: &Bars<'_>, settings: &Settings) -> Result<()> {
    let times = bars.time.len();
    if times >= u32::MAX as usize {
        return Err(Error::Setting(format!("{times} bars are more than a backtest takes")));
    }
    if let Some(row) = bars.time.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(Error::Order { row: row + 1 });
    }
    let open = match (settings.fill, bars.open) {
        (Fill::NextOpen, None) => {
            return Err(Error::Setting("fills at the next open need a column of opens".into()));
        }
        (Fill::NextOpen, open) => open,
        (Fill::Close, _) => None,
    };
    for (what, prices) in [("close", Some(bars.close)), ("open", open)] {
        let Some(prices) = prices else { continue };
        if prices.len() != times {
            return Err(Error::Length { what, times, rows: prices.len() });
        }
        if let Some(row) = prices.iter().position(|price| !(*price > 0.0 && price.is_finite())) {
            return Err(Error::Price { what, row, time_ns: bars.time[row], value: prices[row] });
        }
    }
    Ok(())
}

/// First rows of the days, and the end.
fn days(bars: &Bars<'_>) -> Vec<usize> {
    let mut session = 0;
    let mut day_of = |time: i64| match bars.sessions {
        Some(sessions) => {
            let all = sessions.all();
            while session + 1 < all.len() && all[session].open.end <= time {
                session += 1;
            }
            all.get(session).map_or(time.div_euclid(DAY_NS), |session| session.day_ns)
        }
        None => time.div_euclid(DAY_NS),
    };
    let mut out = Vec::new();
    let mut last = None;
    for (row, time) in bars.time.iter().enumerate() {
        let day = Some(day_of(*time));
        if day != last {
            out.push(row);
            last = day;
        }
    }
    out.push(bars.time.len());
    out
}
