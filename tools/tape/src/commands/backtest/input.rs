//! What a backtest takes: bars, signals and settings, out of a store and of arguments.

use std::ops::Range;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{ColumnValues, Rows, SeriesKey, Values, View};
use tapestore_backtest::costs::Mode;
use tapestore_backtest::periods::{always_open, of_sessions};
use tapestore_backtest::{
    Bars, BarsPerYear, Commission, Costs, Fill, Gaps, Market, Rebalance, Schedule, Settings,
};
use tapestore_query::Sessions;

use crate::args::Series;
use crate::args::backtest::{CostArgument, FillArgument, GapsArgument, RebalanceArgument, Trading};
use crate::commands::calendar::{sessions_of, span_of};
use crate::commands::coverage::read_sessions;
use crate::commands::series;
use crate::fail::{Fail, Result};

/// Settings, but for what depends on the bars; and the sessions.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    settings: Settings,
    pub(crate) sessions: Option<Sessions>,
    given: Option<f64>,
}

/// Bars of a backtest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input {
    pub(crate) time: Vec<i64>,
    pub(crate) open: Option<Vec<f64>>,
    pub(crate) close: Vec<f64>,
    pub(crate) after_hole: Vec<usize>,
    /// Bars that are missing inside of the range, or of the sessions.
    pub(crate) missing: u64,
}

impl Plan {
    /// Reads the arguments, and the file of sessions if there is one; of an exchange's calendar, the years of the bars of
    /// `keys` inside of `range`.
    pub(crate) fn of(trading: &Trading, view: &View, keys: &[SeriesKey], range: &Range<i64>) -> Result<Self> {
        let settings = Settings {
            capital: trading.capital,
            allocation: trading.allocation,
            fill: match trading.fill {
                FillArgument::Close => Fill::Close,
                FillArgument::NextOpen => Fill::NextOpen,
            },
            costs: Costs {
                mode: match trading.cost_mode {
                    CostArgument::Proportional => Mode::Proportional,
                    CostArgument::Flat => Mode::Flat,
                },
                schedule: schedule(trading)?,
            },
            rebalance: match trading.rebalance {
                RebalanceArgument::Free => Rebalance::Free,
                RebalanceArgument::Paid => Rebalance::Paid,
            },
            gaps: match trading.gaps {
                GapsArgument::Bridge => Gaps::Bridge,
                GapsArgument::Break => Gaps::Break,
            },
            bars_per_year: trading.bars_per_year.unwrap_or(1.0),
            ..Settings::default()
        };
        settings.check()?;
        let sessions = match (&trading.sessions, &trading.calendar) {
            (Some(path), _) => Some(Sessions::of_ranges(read_sessions(path)?)?),
            (None, Some(exchange)) => Some(sessions_of(view, exchange, span_of(view, keys, range)?)?),
            (None, None) => None,
        };
        Ok(Self { settings, sessions, given: trading.bars_per_year })
    }

    /// The settings for bars of a frame, and where their number a year is from.
    pub(crate) fn settings(&self, key: &SeriesKey) -> Result<(Settings, String)> {
        let (value, basis) = match (self.given, key.frame().timeframe()) {
            (Some(value), _) => (value, "given with --bars-per-year".to_owned()),
            (None, Some(timeframe)) => {
                let BarsPerYear { value, basis } = self.count(timeframe)?;
                (value, basis)
            }
            (None, None) => {
                return Err(Fail::Usage(format!(
                    "{key} is no timeframe, so a calendar does not tell how many bars a year has; say it with \
                     --bars-per-year"
                )));
            }
        };
        // Another calendar is another result, even with as many bars a year.
        let calendar = self.sessions.as_ref().map_or(String::new(), |it| format!(", {}", fingerprint(it)));
        Ok((Settings { bars_per_year: value, ..self.settings }, basis + &calendar))
    }

    fn count(&self, timeframe: Timeframe) -> Result<BarsPerYear> {
        match &self.sessions {
            Some(sessions) => Ok(of_sessions(timeframe, sessions)?),
            None => Ok(always_open(timeframe)),
        }
    }
}

fn schedule(trading: &Trading) -> Result<Schedule> {
    let commission = Commission { rate: trading.commission, minimum: trading.minimum };
    match trading.costs.as_str() {
        "free" if commission == Commission::default() => Ok(Schedule::Free),
        "free" => Ok(Schedule::Rate(commission)),
        "hong-kong" => Ok(Schedule::HongKong { commission, stamp_exempt: false }),
        "hong-kong-etf" => Ok(Schedule::HongKong { commission, stamp_exempt: true }),
        text => match text.parse::<f64>() {
            Ok(rate) if trading.commission == 0.0 => Ok(Schedule::Rate(Commission { rate, ..commission })),
            Ok(_) => Err(Fail::Usage(format!(
                "--costs {text} and --commission {} say the same thing twice; give one",
                trading.commission
            ))),
            Err(_) => Err(Fail::Usage(format!(
                "--costs {text:?} is not known; write free, a share such as 0.001, hong-kong or hong-kong-etf"
            ))),
        },
    }
}

impl Input {
    /// Reads the bars of a series.
    pub(crate) fn read(view: &View, key: &SeriesKey, range: Range<i64>, plan: &Plan) -> Result<Self> {
        let schema = view.schema(key)?;
        if schema.column("close").is_none() {
            return Err(Fail::Usage(format!("{key} has no column close, so it cannot be traded")));
        }
        let fill = plan.settings.fill == Fill::NextOpen;
        let names: &[&str] = if fill { &["open", "close"] } else { &["close"] };
        let rows = view.read(key).range(range.clone()).columns(names).rows()?;
        let mut input = Self {
            time: rows.time().to_vec(),
            open: if fill { Some(numbers(&rows, "open", key)?) } else { None },
            close: numbers(&rows, "close", key)?,
            ..Self::default()
        };
        input.find_holes(view, key, plan)?;
        Ok(input)
    }

    /// Holes between the bars that were read: on the timeframe's grid, inside of the sessions if there are some.
    fn find_holes(&mut self, view: &View, key: &SeriesKey, plan: &Plan) -> Result<()> {
        let (Some(first), Some(last), Some(timeframe)) =
            (self.time.first(), self.time.last(), key.frame().timeframe())
        else {
            return Ok(());
        };
        let within_days = timeframe.step_ns().is_some_and(|step| step < DAY_NS);
        let gaps = match plan.sessions.as_ref().filter(|_| within_days) {
            Some(sessions) => view.gaps_in_sessions(key, &sessions.ranges())?,
            None => view.gaps(key, Some(*first..last.saturating_add(1)))?,
        };
        for gap in gaps.iter().filter(|gap| gap.end > *first && gap.start < *last) {
            self.missing += gap.missing;
            let row = self.time.partition_point(|time| *time < gap.end);
            if row < self.time.len() && self.after_hole.last() != Some(&row) {
                self.after_hole.push(row);
            }
        }
        Ok(())
    }

    /// The bars, ready for signals.
    pub(crate) fn market(&self, settings: &Settings, sessions: Option<&Sessions>) -> Result<Market> {
        let day = |time: &i64| time.div_euclid(DAY_NS);
        let bars = Bars {
            time: &self.time,
            open: self.open.as_deref(),
            close: &self.close,
            after_hole: &self.after_hole,
            sessions,
            intraday: self.time.windows(2).any(|pair| day(&pair[0]) == day(&pair[1])),
        };
        Ok(Market::new(&bars, settings)?)
    }

    /// Reads a signal and lays it beside the bars: where it has no row of the very time of a bar, there is none.
    pub(crate) fn signal(&self, view: &View, key: &SeriesKey, text: &str) -> Result<Vec<f64>> {
        let (from, column) = locate(view, key, text)?;
        let (Some(first), Some(last)) = (self.time.first(), self.time.last()) else { return Ok(Vec::new()) };
        if view.schema(&from)?.column(&column).is_none() {
            let schema = view.schema(&from)?;
            let names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
            return Err(Fail::Usage(format!(
                "{from} has no column {column:?}; the columns are {}",
                names.join(", ")
            )));
        }
        let rows = view.read(&from).range(*first..last.saturating_add(1)).columns(&[&column]).rows()?;
        let values = numbers(&rows, &column, &from)?;
        if rows.time() == self.time {
            return Ok(values);
        }
        let mut next = 0;
        let at = |time: &i64| {
            while rows.time().get(next).is_some_and(|known| known < time) {
                next += 1;
            }
            if rows.time().get(next) == Some(time) { values[next] } else { f64::NAN }
        };
        Ok(self.time.iter().map(at).collect())
    }
}

/// Sessions in a few letters (FNV-1a over their times).
fn fingerprint(sessions: &Sessions) -> String {
    let numbers = sessions.all().iter().flat_map(|it| [it.open.start, it.open.end, it.day_ns]);
    let hash = numbers.flat_map(i64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} sessions {hash:016x}", sessions.all().len())
}

/// The series and the column that a signal names.
fn locate(view: &View, key: &SeriesKey, text: &str) -> Result<(SeriesKey, String)> {
    let Some((name, column)) = text.rsplit_once(':') else { return Ok((key.clone(), text.to_owned())) };
    let (instrument, frame) = name.rsplit_once(' ').unwrap_or((key.instrument(), name));
    let wanted = Series { instrument: instrument.trim().to_owned(), frame: frame.to_owned() };
    let (from, _) = series(view, &wanted)?;
    let (bars, theirs) = (key.frame().timeframe(), from.frame().timeframe());
    if let (Some(bars), Some(theirs)) = (bars, theirs)
        && bars != theirs
    {
        return Err(Fail::Usage(format!(
            "{from} are bars of {theirs}, which are complete only when they end: at the open times of {bars} bars their \
             values are not known yet. Make a series of signals at the times at which they are"
        )));
    }
    Ok((from, column.to_owned()))
}

/// A column as doubles; what is null is NaN.
fn numbers(rows: &Rows, name: &str, key: &SeriesKey) -> Result<Vec<f64>> {
    let column = rows.column(name).ok_or_else(|| Fail::Usage(format!("{key} has no column {name:?}")))?;
    let mut values: Vec<f64> = match &column.values {
        Values::F64(values) => values.clone(),
        Values::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::I64(values) => values.iter().map(|value| *value as f64).collect(),
        Values::U8(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::Str(_) => {
            return Err(Fail::Usage(format!("column {name:?} of {key} holds text, not numbers")));
        }
    };
    clear_nulls(column, &mut values);
    Ok(values)
}

fn clear_nulls(column: &ColumnValues, values: &mut [f64]) {
    for (value, null) in values.iter_mut().zip(column.nulls.iter().flatten()) {
        if *null {
            *value = f64::NAN;
        }
    }
}

impl From<tapestore_backtest::Error> for Fail {
    fn from(error: tapestore_backtest::Error) -> Self {
        match error {
            tapestore_backtest::Error::Store(error) => error.into(),
            other => Self::Usage(other.to_string()),
        }
    }
}
