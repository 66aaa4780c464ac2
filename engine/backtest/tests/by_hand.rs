//! Small cases, computed by hand.

use tapestore_backtest::{
    Bars, Commission, Costs, Curves, Error, Fill, Gaps, Market, Metrics, Rebalance, Schedule, Scratch,
    Settings, costs::Mode,
};

use crate::common::{MINUTE, START};

struct Case {
    open: Vec<f64>,
    close: Vec<f64>,
    after_hole: Vec<usize>,
    settings: Settings,
}

impl Case {
    fn of(close: &[f64]) -> Self {
        let settings = Settings { allocation: 1.0, ..Settings::default() };
        Self { open: close.to_vec(), close: close.to_vec(), after_hole: Vec::new(), settings }
    }

    fn rate(mut self, mode: Mode, rate: f64) -> Self {
        let schedule = Schedule::Rate(Commission { rate, minimum: 0.0 });
        self.settings.costs = Costs { mode, schedule };
        self
    }

    fn market(&self) -> Result<Market, Error> {
        let time: Vec<i64> = (0..self.close.len() as i64).map(|bar| START + bar * MINUTE).collect();
        let bars = Bars {
            time: &time,
            open: Some(&self.open),
            close: &self.close,
            after_hole: &self.after_hole,
            sessions: None,
            intraday: true,
        };
        Market::new(&bars, &self.settings)
    }

    fn run(&self, signal: &[f64]) -> (Metrics, Curves) {
        let mut curves = Curves::default();
        let metrics = self.market().unwrap().run_into(signal, &mut Scratch::default(), &mut curves).unwrap();
        (metrics, curves)
    }
}

#[track_caller]
fn near(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-12 * (1.0 + theirs.abs()), "{ours} is not {theirs}");
}

#[test]
fn a_position_earns_what_the_price_does_after_the_signal() {
    let (metrics, curves) = Case::of(&[100.0, 110.0, 99.0, 99.0]).run(&[1.0, -0.5, 0.0, 1.0]);
    assert_eq!(curves.position, [0.0, 1.0, -0.5, 0.0]);
    for (ours, theirs) in curves.net.iter().zip([0.0, 0.1, 0.05, 0.0]) {
        near(*ours, theirs);
    }
    near(curves.equity[3], 115_500.0);
    near(metrics.total_return, 0.155);
    assert_eq!((metrics.trades, metrics.round_trips, metrics.open_at_end), (3, 2, false));
    assert_eq!((metrics.bar_win_rate, metrics.profit_factor), (1.0, f64::INFINITY));
    near(metrics.mean_trade, 0.075);
    // Δ: 1, 1.5, 0.5 over four bars.
    near(metrics.turnover, 3.0 / 4.0 * 252.0);
}

#[test]
fn a_flip_pays_for_both_sides_proportionally_and_for_one_when_flat() {
    let flat = [100.0; 4];
    let signal = [1.0, -1.0, 0.0, 0.0];
    let (both, curves) = Case::of(&flat).rate(Mode::Proportional, 0.01).run(&signal);
    for (ours, theirs) in curves.net.iter().zip([0.0, -0.01, -0.02, -0.01]) {
        near(*ours, theirs);
    }
    near(both.total_return, 0.99 * 0.98 * 0.99 - 1.0);
    near(both.costs, 1000.0 + 0.02 * 99_000.0 + 0.01 * 97_020.0);
    // Two round trips: opened for 1 %, closed for half of the 2 % of the flip; opened for the other half, closed for 1 %.
    near(both.mean_trade, f64::midpoint(0.99 * 0.99 - 1.0, 0.99 * 0.99 - 1.0));
    assert_eq!(both.trade_win_rate, 0.0);
    let (one, curves) = Case::of(&flat).rate(Mode::Flat, 0.01).run(&signal);
    for (ours, theirs) in curves.net.iter().zip([0.0, -0.01, -0.01, -0.01]) {
        near(*ours, theirs);
    }
    assert_eq!(one.trades, 3);
}

#[test]
fn costs_of_hong_kong_are_those_of_the_order_and_its_day() {
    let mut case = Case::of(&[100.0; 3]);
    case.settings.allocation = 0.1;
    case.settings.costs.schedule =
        Schedule::HongKong { commission: Commission { rate: 0.0003, minimum: 50.0 }, stamp_exempt: false };
    // An order of 10,000: 11.28 and at least 50 of commission.
    near(case.run(&[1.0, 1.0, 1.0]).0.costs, 61.28);
    case.settings.costs.mode = Mode::Flat;
    near(case.run(&[0.2, 0.2, 0.2]).0.costs, 61.28);
    let time = [0, MINUTE];
    let bars =
        Bars { time: &time, open: None, close: &[1.0; 2], after_hole: &[], sessions: None, intraday: true };
    let error = Market::new(&bars, &case.settings).unwrap_err();
    assert!(matches!(error, Error::NoCosts { .. }) && error.to_string().contains("1970-01-01"), "{error}");
}

#[test]
fn fills_at_the_open_miss_the_move_overnight() {
    let mut case = Case::of(&[100.0, 120.0, 132.0]);
    case.open = vec![100.0, 110.0, 121.0];
    case.settings.fill = Fill::NextOpen;
    let (_, curves) = case.run(&[1.0, 0.0, 0.0]);
    // Bought at 110, held to 120; sold at 121.
    near(curves.net[1], 120.0 / 110.0 - 1.0);
    near(curves.net[2], 121.0 / 120.0 - 1.0);
    near(curves.equity[2], 110_000.0);
}

#[test]
fn keeping_a_weight_is_free_or_paid() {
    let mut case = Case::of(&[100.0, 200.0, 200.0]).rate(Mode::Proportional, 0.01);
    case.settings.allocation = 0.5;
    let signal = [1.0, 1.0, 1.0];
    assert_eq!(case.run(&signal).0.trades, 1);
    case.settings.rebalance = Rebalance::Paid;
    let (metrics, curves) = case.run(&signal);
    assert_eq!(metrics.trades, 2);
    // 50,000 doubled; 500 paid: 100,000 of 149,500 are held and have to become a half.
    near(curves.equity[1], 149_500.0);
    near(curves.equity[2], 149_500.0 - 0.01 * (100_000.0 - 74_750.0));
}

#[test]
fn what_happens_across_a_hole_counts_or_not() {
    let mut case = Case::of(&[100.0, 150.0, 165.0]);
    case.after_hole = vec![1];
    near(case.run(&[1.0, 1.0, 1.0]).0.total_return, 0.65);
    case.settings.gaps = Gaps::Break;
    let (metrics, _) = case.run(&[1.0, 1.0, 1.0]);
    near(metrics.total_return, 0.1);
    assert!(metrics.ic.is_nan(), "one pair is left");
}

#[test]
fn an_account_of_which_nothing_is_left_stays_at_nothing() {
    let mut case = Case::of(&[100.0, 250.0, 10.0, 1000.0]);
    case.settings.allocation = 1.0;
    let (metrics, curves) = case.run(&[-1.0, 1.0, 1.0, 1.0]);
    assert_eq!(curves.equity, [100_000.0, 0.0, 0.0, 0.0]);
    assert_eq!((curves.net[1], curves.net[2], curves.position[3]), (-1.0, 0.0, 0.0));
    assert_eq!((metrics.total_return, metrics.max_drawdown, metrics.ruined_at), (-1.0, -1.0, Some(1)));
    assert!(metrics.stability.is_nan() && !metrics.open_at_end);
}

#[test]
fn without_trades_or_variance_there_are_no_ratios() {
    let (metrics, _) = Case::of(&[100.0, 101.0, 99.0]).run(&[f64::NAN, 0.0, f64::INFINITY]);
    assert_eq!((metrics.total_return, metrics.max_drawdown, metrics.trades), (0.0, 0.0, 0));
    for value in [
        metrics.sharpe,
        metrics.stability,
        metrics.bar_win_rate,
        metrics.profit_factor,
        metrics.mean_trade,
        metrics.ic,
        metrics.rank_ic,
        metrics.autocorrelation,
    ] {
        assert!(value.is_nan(), "{metrics:?}");
    }
    let none = Case::of(&[]).run(&[]).0;
    assert_eq!((none.bars, none.total_return), (0, 0.0));
    assert_eq!(Case::of(&[5.0]).run(&[1.0]).0.trades, 0);
}

#[test]
fn what_cannot_be_traded_is_named() {
    let error = |case: &Case, signal: &[f64]| match case.market() {
        Err(error) => error.to_string(),
        Ok(market) => market.run(signal, &mut Scratch::default()).unwrap_err().to_string(),
    };
    let zero = error(&Case::of(&[1.0, 0.0]), &[]);
    assert!(
        zero.starts_with("close of row 1 (2026-01-05) is 0; a backtest needs a positive price"),
        "{zero}"
    );
    let beyond = error(&Case::of(&[1.0, 1.0]), &[0.0, 70.5]);
    assert!(beyond.starts_with("the signal of row 1 (2026-01-05) is 70.5; signals lie between"), "{beyond}");
    assert!(error(&Case::of(&[1.0, 1.0]), &[0.0]).contains("has 1 rows, but there are 2 times"));
    for change in [
        |settings: &mut Settings| settings.capital = 0.0,
        |settings: &mut Settings| settings.allocation = f64::NAN,
        |settings: &mut Settings| settings.bars_per_year = -1.0,
    ] {
        let mut case = Case::of(&[1.0]);
        change(&mut case.settings);
        assert!(error(&case, &[]).contains("positive number"));
    }
    let settings = Settings { fill: Fill::NextOpen, ..Settings::default() };
    let bars =
        Bars { time: &[0], open: None, close: &[1.0], after_hole: &[], sessions: None, intraday: true };
    assert!(Market::new(&bars, &settings).unwrap_err().to_string().contains("need a column of opens"));
    let twice = Bars { time: &[0, 0], close: &[1.0, 1.0], ..bars };
    assert!(matches!(Market::new(&twice, &Settings::default()), Err(Error::Order { row: 1 })));
}
