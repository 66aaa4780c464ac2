//! The account, bar by bar: what is traded, what it costs, what is left; and the round trips.
//!
//! # Invariants
//! - A1. The position of a bar depends on signals of earlier bars only; nothing depends on later ones.
//! - A2. What cannot be paid is not: once a bar would leave nothing, the account is 0 and trades no more.
//! - A3. The cost of turning a position around belongs to the closed and the opened round trip in proportion to what is
//!   sold of the one and bought of the other.

use crate::costs::{Mode, Price};
use crate::market::Market;
use crate::settings::{Fill, Rebalance};

/// Bars that are computed together, so that they stay in the nearest cache.
pub(crate) const BLOCK: usize = 512;

/// A weight that is off by less is where it should be: the rest is rounding.
const SAME_WEIGHT: f64 = 1e-12;

/// A price that comes back to where it was gives no return, whatever way it went.
fn without_rounding(net: f64) -> f64 {
    if net.abs() < 1e-14 { 0.0 } else { net }
}

/// Bars of a block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) position: [f64; BLOCK],
    pub(crate) net: [f64; BLOCK],
    pub(crate) equity: [f64; BLOCK],
}

impl Default for Block {
    fn default() -> Self {
        Self { position: [0.0; BLOCK], net: [0.0; BLOCK], equity: [0.0; BLOCK] }
    }
}

/// The account after some bars.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) equity: f64,
    /// Share of the account that is held.
    weight: f64,
    /// What the account was worth before the open round trip.
    entry: f64,
    pub(crate) ruined_at: Option<u64>,
    pub(crate) orders: u64,
    /// Σ Δ.
    pub(crate) traded: f64,
    /// Σ x of the bars with an order.
    pub(crate) order_bars: f64,
    /// In the currency of the account.
    pub(crate) costs: f64,
    pub(crate) trips: u64,
    pub(crate) winning_trips: u64,
    pub(crate) trip_returns: f64,
}

impl Account {
    pub(crate) fn new(capital: f64) -> Self {
        Self {
            equity: capital,
            weight: 0.0,
            entry: capital,
            ruined_at: None,
            orders: 0,
            traded: 0.0,
            order_bars: 0.0,
            costs: 0.0,
            trips: 0,
            winning_trips: 0,
            trip_returns: 0.0,
        }
    }

    /// Whether a position is held.
    pub(crate) fn is_open(&self) -> bool {
        self.weight != 0.0
    }

    /// The next `len` bars, from `row` on, whose positions are in the block: fills in what they return and leave.
    pub(crate) fn advance(&mut self, market: &Market, row: usize, len: usize, block: &mut Block) {
        let mut done = 0;
        while done < len {
            let at = row + done;
            let group = market.prices.partition_point(|(rows, _)| rows.end <= at);
            let (rows, price) = &market.prices[group];
            let end = rows.end.min(row + len) - row;
            self.charge(market, row, done..end, *price, block);
            done = end;
        }
    }

    fn charge(
        &mut self,
        market: &Market,
        row: usize,
        bars: std::ops::Range<usize>,
        price: Price,
        block: &mut Block,
    ) {
        let flat = market.settings.costs.mode == Mode::Flat;
        match price {
            Price::Free => self.fill(market, row, bars, |_, _| 0.0, block),
            Price::Share(share) if flat => {
                let cost = |change: f64, _| if change > 0.0 { share } else { 0.0 };
                self.fill(market, row, bars, cost, block);
            }
            Price::Share(share) => self.fill(market, row, bars, |change, _| change * share, block),
            Price::Commission(_) | Price::HongKong(..) => {
                let cost = |change: f64, equity: f64| {
                    if change > 0.0 { price.cost(change * equity) / equity } else { 0.0 }
                };
                self.fill(market, row, bars, cost, block);
            }
        }
    }

    fn fill(
        &mut self,
        market: &Market,
        row: usize,
        bars: std::ops::Range<usize>,
        cost: impl Fn(f64, f64) -> f64,
        block: &mut Block,
    ) {
        match (market.settings.fill, market.settings.rebalance) {
            (Fill::Close, Rebalance::Free) => self.trade::<false, false>(market, row, bars, cost, block),
            (Fill::Close, Rebalance::Paid) => self.trade::<false, true>(market, row, bars, cost, block),
            (Fill::NextOpen, Rebalance::Free) => self.trade::<true, false>(market, row, bars, cost, block),
            (Fill::NextOpen, Rebalance::Paid) => self.trade::<true, true>(market, row, bars, cost, block),
        }
    }

    /// `OPEN`: fills at the open. `PAID`: a weight that prices moved is traded back. `cost` is k of Δ and the account
    /// before the trade.
    fn trade<const OPEN: bool, const PAID: bool>(
        &mut self,
        market: &Market,
        row: usize,
        bars: std::ops::Range<usize>,
        cost: impl Fn(f64, f64) -> f64,
        block: &mut Block,
    ) {
        let (gaps, moves) = match &market.around_open {
            Some((gaps, inside)) if OPEN => (&gaps[row..], &inside[row..]),
            _ => (&market.returns[row..], &market.returns[row..]),
        };
        for at in bars {
            if self.equity == 0.0 {
                (block.position[at], block.net[at], block.equity[at]) = (0.0, 0.0, 0.0);
                continue;
            }
            let target = block.position[at];
            let (base, before) = if OPEN {
                let base = 1.0 + self.weight * gaps[at];
                (base, if PAID { self.weight * (1.0 + gaps[at]) / base } else { self.weight })
            } else {
                (1.0, self.weight)
            };
            let mut change = (target - before).abs();
            if PAID && change < SAME_WEIGHT {
                change = 0.0;
            }
            let money = self.equity * base;
            let gain = target * moves[at];
            let cost = if change > 0.0 { cost(change, money) } else { 0.0 };
            let inside = 1.0 + (gain - cost);
            let net = if OPEN { without_rounding(base * inside - 1.0) } else { gain - cost };
            if base <= 0.0 || inside <= 0.0 {
                self.ruin((row + at) as u64);
                (block.net[at], block.equity[at]) = (-1.0, 0.0);
                continue;
            }
            let equity = if OPEN { money * inside } else { self.equity * (1.0 + net) };
            if change > 0.0 {
                self.orders += 1;
                self.traded += change;
                self.order_bars += net;
                self.costs += cost * money;
                if (before > 0.0) != (target > 0.0) || (before < 0.0) != (target < 0.0) {
                    let closing = cost * before.abs() / (before.abs() + target.abs());
                    self.turn(before, target, money * (1.0 - closing), equity / (inside + closing));
                }
            }
            self.weight = if PAID { target * (1.0 + moves[at]) / inside } else { target };
            self.equity = equity;
            (block.net[at], block.equity[at]) = (net, equity);
        }
    }

    /// A position is closed, opened, or turned around (A3): what the account is worth after closing, and what it was
    /// before opening, as far as the new position is concerned.
    fn turn(&mut self, before: f64, target: f64, closed: f64, opened: f64) {
        if before != 0.0 {
            self.close_trip(closed / self.entry - 1.0);
        }
        if target != 0.0 {
            self.entry = opened;
        }
    }

    fn close_trip(&mut self, gain: f64) {
        let gain = without_rounding(gain);
        self.trips += 1;
        self.winning_trips += u64::from(gain > 0.0);
        self.trip_returns += gain;
    }

    fn ruin(&mut self, row: u64) {
        if self.weight != 0.0 {
            self.close_trip(-1.0);
        }
        self.ruined_at = Some(row);
        self.equity = 0.0;
        self.weight = 0.0;
    }
}
