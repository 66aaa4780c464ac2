//! The definitions, written plainly: a column and a loop for each step, an account of money and shares, and each metric
//! from its formula alone. Slow, and shares nothing with the kernels but their settings.

use tapestore_backtest::hong_kong::Tariff;
use tapestore_backtest::{Bars, Fill, Gaps, Rebalance, Schedule, Settings, costs::Mode};

/// What the twin finds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) position: Vec<f64>,
    pub(crate) net: Vec<f64>,
    pub(crate) equity: Vec<f64>,
    pub(crate) drawdown: Vec<f64>,
    /// Names and values in the order of `Metrics::numbers`.
    pub(crate) numbers: Vec<(&'static str, f64)>,
    pub(crate) trades: u64,
    pub(crate) trips: Vec<f64>,
}

/// What an order costs at a time.
fn price(settings: &Settings, time: i64, amount: f64) -> f64 {
    let commission = |commission: tapestore_backtest::Commission| {
        if amount > 0.0 { f64::max(amount * commission.rate, commission.minimum) } else { 0.0 }
    };
    match settings.costs.schedule {
        Schedule::Free => 0.0,
        Schedule::Rate(rate) => commission(rate),
        Schedule::HongKong { commission: rate, stamp_exempt } => {
            Tariff::at(time, stamp_exempt).expect("a day of the table").cost(amount) + commission(rate)
        }
    }
}

/// Backtests one signal.
pub(crate) fn backtest(bars: &Bars<'_>, signal: &[f64], settings: &Settings) -> Found {
    let rows = bars.close.len();
    let mut found = Found::default();
    for t in 0..rows {
        let known = if t == 0 { 0.0 } else { signal[t - 1] };
        found.position.push(if known.is_finite() { settings.allocation * known } else { 0.0 });
    }
    account(bars, settings, &mut found);
    let mut peak = settings.capital;
    for equity in &found.equity {
        peak = peak.max(*equity);
        found.drawdown.push(equity / peak - 1.0);
    }
    found.numbers = numbers(bars, signal, settings, &found);
    found
}

/// A round trip, as it goes on.
struct Trip {
    growth: f64,
}

fn account(bars: &Bars<'_>, settings: &Settings, found: &mut Found) {
    let (mut equity, mut weight) = (settings.capital, 0.0);
    let mut trip: Option<Trip> = None;
    let mut costs = 0.0;
    let (mut traded, mut order_bars) = (0.0, 0.0);
    for t in 0..bars.close.len() {
        if equity == 0.0 {
            found.position[t] = 0.0;
            found.net.push(0.0);
            found.equity.push(0.0);
            continue;
        }
        let before_bar = equity;
        let trips_before = found.trips.len();
        let broken = settings.gaps == Gaps::Break && bars.after_hole.contains(&t);
        let target = found.position[t];
        let last_close = if t == 0 { bars.close[0] } else { bars.close[t - 1] };
        let open = bars.open.map_or(last_close, |open| open[t]);
        let (to_trade, from_trade, when) = match settings.fill {
            Fill::Close => {
                let from = if t == 0 || broken { 0.0 } else { bars.close[t] / last_close - 1.0 };
                (0.0, from, bars.time[t.saturating_sub(1)])
            }
            Fill::NextOpen => {
                let to = if t == 0 || broken { 0.0 } else { open / last_close - 1.0 };
                (to, bars.close[t] / open - 1.0, bars.time[t])
            }
        };
        // Money and shares: what is held grows, the rest does not.
        let (mut held, mut cash) = (weight * equity, equity - weight * equity);
        held *= 1.0 + to_trade;
        let mut money = held + cash;
        let old = match settings.rebalance {
            Rebalance::Free => weight,
            Rebalance::Paid => held / money,
        };
        let mut change = (target - old).abs();
        if settings.rebalance == Rebalance::Paid && change < 1e-12 {
            change = 0.0;
        }
        let cost = match settings.costs.mode {
            _ if change == 0.0 => 0.0,
            Mode::Proportional => price(settings, when, change * money),
            Mode::Flat => {
                price(settings, when, settings.capital * settings.allocation) / settings.capital * money
            }
        };
        let closing = if change == 0.0 { 0.0 } else { cost * old.abs() / (old.abs() + target.abs()) };
        if let Some(trip) = &mut trip {
            trip.growth *= money / before_bar;
        }
        let turned = (old > 0.0) != (target > 0.0) || (old < 0.0) != (target < 0.0);
        let (mut money_of_trip, mut fresh) = (money, false);
        if change > 0.0 && turned {
            if let Some(trip) = trip.take() {
                found.trips.push(trip.growth * (1.0 - closing / money) - 1.0);
            }
            if target != 0.0 {
                trip = Some(Trip { growth: 1.0 });
                fresh = true;
                money_of_trip = money;
            }
        }
        held = target * money;
        cash = money - held - cost;
        held *= 1.0 + from_trade;
        let at_trade = money;
        money = held + cash;
        if at_trade <= 0.0 || money <= 0.0 {
            // What was open before the bar is lost whole; what the bar would have done did not happen.
            found.trips.truncate(trips_before);
            if weight != 0.0 {
                found.trips.push(-1.0);
            }
            trip = None;
            found.net.push(-1.0);
            found.equity.push(0.0);
            equity = 0.0;
            continue;
        }
        if let Some(trip) = &mut trip {
            let paid_by_others = if fresh { closing } else { 0.0 };
            trip.growth *= (money + paid_by_others) / money_of_trip;
        }
        equity = money;
        weight = match settings.rebalance {
            Rebalance::Free => target,
            Rebalance::Paid => held / money,
        };
        let mut net = equity / before_bar - 1.0;
        if net.abs() < 1e-14 {
            net = 0.0;
        }
        if change > 0.0 {
            found.trades += 1;
            order_bars += net;
            traded += change;
            costs += cost;
        }
        found.net.push(net);
        found.equity.push(equity);
    }
    found.numbers = vec![("costs", costs), ("traded", traded), ("order_bars", order_bars)];
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)).sqrt()
}

/// Pearson's correlation.
pub(crate) fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let constant = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
    if a.len() < 2 || constant(a) || constant(b) {
        return f64::NAN;
    }
    let (mean_a, mean_b) = (mean(a), mean(b));
    let crossed: f64 = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
    let squares = |values: &[f64], mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    crossed / (squares(a, mean_a) * squares(b, mean_b)).sqrt()
}

/// Ranks from 1, the mean for equal ones.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].partial_cmp(&values[*b]).expect("numbers"));
    let mut out = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        for row in &order[start..end] {
            out[*row] = (start + 1 + end) as f64 / 2.0;
        }
        start = end;
    }
    out
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { f64::NAN } else { part / whole }
}

fn numbers(bars: &Bars<'_>, signal: &[f64], settings: &Settings, found: &Found) -> Vec<(&'static str, f64)> {
    let rows = bars.close.len();
    let x = &found.net;
    let known = |name: &str| found.numbers.iter().find(|(known, _)| *known == name).expect("a number").1;
    let logs: Vec<f64> = x
        .iter()
        .scan(0.0, |sum, x| {
            *sum += f64::ln_1p(*x);
            Some(*sum)
        })
        .collect();
    let time: Vec<f64> = (0..rows).map(|row| row as f64).collect();
    let stability =
        if logs.iter().all(|log| log.is_finite()) { pearson(&time, &logs).powi(2) } else { f64::NAN };
    let count = |holds: &dyn Fn(&f64) -> bool| x.iter().filter(|x| holds(x)).count() as f64;
    let (wins, moves) = (count(&|x| *x > 0.0), count(&|x| *x != 0.0));
    let gains: f64 = x.iter().filter(|x| **x > 0.0).sum();
    let losses: f64 = -x.iter().filter(|x| **x < 0.0).sum::<f64>();
    let sharpe = ratio(mean(x), deviation(x)) * settings.bars_per_year.sqrt();
    // Pairs of the signal and what the close after brings.
    let mut pairs: Vec<(i64, f64, f64)> = Vec::new();
    for (t, signal) in signal.iter().enumerate().take(rows - 1) {
        let broken = settings.gaps == Gaps::Break && bars.after_hole.contains(&(t + 1));
        if signal.is_finite() && !broken {
            pairs.push((
                bars.time[t].div_euclid(86_400_000_000_000),
                *signal,
                bars.close[t + 1] / bars.close[t] - 1.0,
            ));
        }
    }
    let (s, f): (Vec<f64>, Vec<f64>) = pairs.iter().map(|pair| (pair.1, pair.2)).unzip();
    let daily: Vec<f64> = pairs
        .chunk_by(|a, b| a.0 == b.0)
        .filter_map(|of_day| {
            let (s, f): (Vec<f64>, Vec<f64>) = of_day.iter().map(|pair| (pair.1, pair.2)).unzip();
            Some(pearson(&s, &f)).filter(|ic| ic.is_finite() && of_day.len() >= 3)
        })
        .collect();
    let icir = if daily.len() > 1 { ratio(mean(&daily), deviation(&daily)) } else { f64::NAN };
    let trips = &found.trips;
    vec![
        ("total_return", found.equity[rows - 1] / settings.capital - 1.0),
        ("sharpe", sharpe),
        ("max_drawdown", found.drawdown.iter().copied().fold(0.0, f64::min)),
        ("stability", stability),
        ("bar_win_rate", ratio(wins, moves)),
        (
            "trade_win_rate",
            ratio(trips.iter().filter(|trip| **trip > 1e-14).count() as f64, trips.len() as f64),
        ),
        ("profit_factor", if losses == 0.0 && gains > 0.0 { f64::INFINITY } else { ratio(gains, losses) }),
        ("mean_trade", ratio(trips.iter().sum(), trips.len() as f64)),
        ("mean_order_bar", ratio(known("order_bars"), found.trades as f64)),
        ("turnover", known("traded") / rows as f64 * settings.bars_per_year),
        ("ic", pearson(&s, &f)),
        ("rank_ic", pearson(&ranks(&s), &ranks(&f))),
        ("icir", icir),
        ("autocorrelation", pearson(&x[..rows - 1], &x[1..])),
        ("costs", known("costs")),
    ]
}
