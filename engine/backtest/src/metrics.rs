//! What a backtest is judged by.

/// Metrics of one signal. What cannot be told (no trade, no variance) is NaN.
///
/// `x` are the net returns of the bars, `E` the account after each, `K` before the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Bars.
    pub bars: u64,
    /// `E_T/K − 1`.
    pub total_return: f64,
    /// `mean(x)/std(x)·√B`, with the sample deviation; NaN without variance.
    pub sharpe: f64,
    /// Least `E/max(K, E before) − 1`: 0 or negative.
    pub max_drawdown: f64,
    /// R² of a straight line through the cumulative log returns (as in empyrical).
    pub stability: f64,
    /// Share of the bars with `x > 0` among those with `x ≠ 0`.
    pub bar_win_rate: f64,
    /// Share of the round trips that gained.
    pub trade_win_rate: f64,
    /// Sum of the gains over that of the losses; infinite without losses.
    pub profit_factor: f64,
    /// Bars with an order.
    pub trades: u64,
    /// Positions that were opened and closed again, or turned around. One open at the end is not among them.
    pub round_trips: u64,
    /// Whether a position is open at the end.
    pub open_at_end: bool,
    /// Mean return of the round trips, on the account, with the costs of opening and closing.
    pub mean_trade: f64,
    /// Mean `x` of the bars with an order: what simple engines call average trade.
    pub mean_order_bar: f64,
    /// Σ Δ a year: how often the account is turned over.
    pub turnover: f64,
    /// Pearson correlation of the signal with the return of the next bar, over bars that have both.
    pub ic: f64,
    /// Spearman's, with mean ranks for equal values.
    pub rank_ic: f64,
    /// Mean over sample deviation of the correlations of single days with three pairs or more; NaN for daily bars.
    pub icir: f64,
    /// Days among them.
    pub ic_days: u64,
    /// Pearson correlation of `x` with the `x` of the next bar. (Sometimes sold as an information coefficient.)
    pub autocorrelation: f64,
    /// What all orders cost, in the currency of the account.
    pub costs: f64,
    /// The bar after which nothing was left; the account is 0 from there on.
    pub ruined_at: Option<u64>,
}

impl Metrics {
    /// Metrics that are numbers, by name, in the order in which they are shown and stored.
    pub fn numbers(&self) -> [(&'static str, f64); 15] {
        [
            ("total_return", self.total_return),
            ("sharpe", self.sharpe),
            ("max_drawdown", self.max_drawdown),
            ("stability", self.stability),
            ("bar_win_rate", self.bar_win_rate),
            ("trade_win_rate", self.trade_win_rate),
            ("profit_factor", self.profit_factor),
            ("mean_trade", self.mean_trade),
            ("mean_order_bar", self.mean_order_bar),
            ("turnover", self.turnover),
            ("ic", self.ic),
            ("rank_ic", self.rank_ic),
            ("icir", self.icir),
            ("autocorrelation", self.autocorrelation),
            ("costs", self.costs),
        ]
    }

    /// Metrics that are counts, likewise.
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("bars", self.bars),
            ("trades", self.trades),
            ("round_trips", self.round_trips),
            ("open_at_end", u64::from(self.open_at_end)),
            ("ic_days", self.ic_days),
            ("ruined", u64::from(self.ruined_at.is_some())),
        ]
    }
}
