//! Sums over net returns and the account, from which metrics are made at the end.

use crate::account::{Account, Block};
use crate::market::Market;
use crate::metrics::Metrics;

const LANES: usize = 4;

/// Sums that do not depend on order, in lanes that a processor adds at once.
#[derive(Clone, Copy, Debug, Default)]
struct Lanes {
    sum: [f64; LANES],
    squares: [f64; LANES],
    gains: [f64; LANES],
    losses: [f64; LANES],
    wins: [f64; LANES],
    moves: [f64; LANES],
    crossed: [f64; LANES],
}

/// Sums of the bars so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    lanes: Lanes,
    bars: usize,
    first: f64,
    last: f64,
    /// The net return before each of the block, to cross with.
    shifted: Vec<f64>,
    logs: Vec<f64>,
    /// Σ ln(1+x) so far.
    log: f64,
    /// Σ y, Σ y², Σ t·y of y = Σ ln(1+x).
    line: [f64; 3],
    peak: f64,
    drawdown: f64,
}

impl Tally {
    pub(crate) fn new(capital: f64) -> Self {
        Self { peak: capital, ..Self::default() }
    }

    /// Adds bars.
    pub(crate) fn add(&mut self, block: &Block, len: usize) {
        let net = &block.net[..len];
        if self.bars == 0 {
            self.first = net.first().copied().unwrap_or(0.0);
        }
        self.shifted.clear();
        self.shifted.push(if self.bars == 0 { 0.0 } else { self.last });
        self.shifted.extend_from_slice(&net[..len - 1]);
        let whole = len / LANES * LANES;
        for (x, before) in net[..whole].chunks_exact(LANES).zip(self.shifted.chunks_exact(LANES)) {
            self.lanes.add(x, before);
        }
        self.lanes.add(&net[whole..], &self.shifted[whole..]);
        self.add_logs(net);
        for equity in &block.equity[..len] {
            self.peak = self.peak.max(*equity);
            self.drawdown = self.drawdown.min(equity / self.peak - 1.0);
        }
        self.last = net[len - 1];
        self.bars += len;
    }

    /// Writes how far each bar of the block is below the peak; to be called before [`Tally::add`].
    pub(crate) fn drawdowns(&self, equity: &[f64], out: &mut Vec<f64>) {
        let mut peak = self.peak;
        out.extend(equity.iter().map(|equity| {
            peak = peak.max(*equity);
            equity / peak - 1.0
        }));
    }

    fn add_logs(&mut self, net: &[f64]) {
        self.logs.clear();
        if net.iter().fold(0.0_f64, |most, x| most.max(x.abs())) <= 0.01 {
            // The series of ln(1+x); what is left out is below 10⁻¹⁶ of it.
            self.logs.extend(net.iter().map(|x| {
                let tail = 1.0 / 5.0 - x * (1.0 / 6.0 - x * (1.0 / 7.0 - x * (1.0 / 8.0)));
                x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - x * (0.25 - x * tail))))
            }));
        } else {
            self.logs.extend(net.iter().map(|x| x.ln_1p()));
        }
        let (mut log, [mut sum, mut squares, mut crossed]) = (self.log, self.line);
        let mut time = self.bars as f64;
        for step in &self.logs {
            log += step;
            sum += log;
            squares += log * log;
            crossed += time * log;
            time += 1.0;
        }
        (self.log, self.line) = (log, [sum, squares, crossed]);
    }

    fn stability(&self) -> f64 {
        let count = self.bars as f64;
        let [sum, squares, crossed] = self.line;
        let mean_time = (count - 1.0) / 2.0;
        let time_squares = count * (count * count - 1.0) / 12.0;
        let (vary, together) = (squares - sum * sum / count, crossed - mean_time * sum);
        if !(vary > 0.0 && time_squares > 0.0) || self.lanes.squares.iter().sum::<f64>() == 0.0 {
            return f64::NAN;
        }
        (together * together / (time_squares * vary)).min(1.0)
    }

    fn autocorrelation(&self) -> f64 {
        if self.bars < 3 {
            return f64::NAN;
        }
        let count = self.bars as f64 - 1.0;
        let (sum, squares) = (total(self.lanes.sum), total(self.lanes.squares));
        // Without the last, and without the first.
        let (early, late) = (sum - self.last, sum - self.first);
        let vary_early = squares - self.last * self.last - early * early / count;
        let vary_late = squares - self.first * self.first - late * late / count;
        let together = total(self.lanes.crossed) - early * late / count;
        // Rounding of the sums is no variance.
        let least = squares * count * f64::EPSILON;
        if !(vary_early > least && vary_late > least) {
            return f64::NAN;
        }
        (together / (vary_early.sqrt() * vary_late.sqrt())).clamp(-1.0, 1.0)
    }

    /// What came of it. Correlations with the signal are left to the caller.
    pub(crate) fn metrics(&self, market: &Market, account: &Account) -> Metrics {
        let count = self.bars as f64;
        let (sum, squares) = (total(self.lanes.sum), total(self.lanes.squares));
        let (gains, losses) = (total(self.lanes.gains), total(self.lanes.losses));
        let (wins, moves) = (total(self.lanes.wins), total(self.lanes.moves));
        let mean = sum / count;
        let deviation = ((squares - sum * mean).max(0.0) / (count - 1.0)).sqrt();
        let per_year = market.settings.bars_per_year;
        Metrics {
            bars: self.bars as u64,
            total_return: account.equity / market.settings.capital - 1.0,
            sharpe: ratio(mean, deviation) * per_year.sqrt(),
            max_drawdown: self.drawdown,
            stability: self.stability(),
            bar_win_rate: ratio(wins, moves),
            trade_win_rate: ratio(account.winning_trips as f64, account.trips as f64),
            profit_factor: if gains > 0.0 { gains / losses } else { ratio(gains, losses) },
            trades: account.orders,
            round_trips: account.trips,
            open_at_end: account.is_open(),
            mean_trade: ratio(account.trip_returns, account.trips as f64),
            mean_order_bar: ratio(account.order_bars, account.orders as f64),
            turnover: account.traded / count * per_year,
            ic: f64::NAN,
            rank_ic: f64::NAN,
            icir: f64::NAN,
            ic_days: 0,
            autocorrelation: self.autocorrelation(),
            costs: account.costs,
            ruined_at: account.ruined_at,
        }
    }
}

impl Lanes {
    #[inline]
    fn add(&mut self, net: &[f64], before: &[f64]) {
        for (lane, (x, before)) in net.iter().zip(before).enumerate().take(LANES) {
            self.sum[lane] += x;
            self.squares[lane] += x * x;
            self.gains[lane] += x.max(0.0);
            self.losses[lane] -= x.min(0.0);
            self.wins[lane] += if *x > 0.0 { 1.0 } else { 0.0 };
            self.moves[lane] += if *x == 0.0 { 0.0 } else { 1.0 };
            self.crossed[lane] += x * before;
        }
    }
}

fn total(lanes: [f64; LANES]) -> f64 {
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

/// NaN instead of a division by zero.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { f64::NAN } else { part / whole }
}
