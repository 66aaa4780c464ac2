//! Bars to test with, made from a fixed seed.

use tapestore_factor::Bars;

/// Columns of bars.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) open: Vec<f64>,
    pub(crate) high: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) close: Vec<f64>,
    pub(crate) volume: Vec<f64>,
}

impl Series {
    /// A random walk in steps of a tick, with still minutes and minutes without a trade.
    pub(crate) fn walk(rows: usize, seed: u64) -> Self {
        let mut state = seed;
        let mut next = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut out, mut price) = (Self::empty(), 40_000_i64);
        for _ in 0..rows {
            let still = next(12) == 0;
            let open = price + if still { 0 } else { next(5) as i64 - 2 };
            let close = if still { open } else { open + next(41) as i64 - 20 };
            let (up, down) = if still { (0, 0) } else { (next(9) as i64, next(9) as i64) };
            let tick = |ticks: i64| ticks as f64 / 100.0;
            out.open.push(tick(open));
            out.high.push(tick(open.max(close) + up));
            out.low.push(tick(open.min(close) - down));
            out.close.push(tick(close));
            out.volume.push(if still { 0.0 } else { next(100_000) as f64 });
            price = close.max(1000);
        }
        out
    }

    /// A series in which nothing ever moves.
    pub(crate) fn flat(rows: usize) -> Self {
        let price = vec![10.1; rows];
        let volume = vec![0.0; rows];
        Self { open: price.clone(), high: price.clone(), low: price.clone(), close: price, volume }
    }

    fn empty() -> Self {
        Self { open: Vec::new(), high: Vec::new(), low: Vec::new(), close: Vec::new(), volume: Vec::new() }
    }

    pub(crate) fn bars(&self) -> Bars<'_> {
        Bars::new(&self.open, &self.high, &self.low, &self.close, &self.volume)
            .expect("columns of one length")
    }
}

/// Greatest difference and its row, relative to the value or, where that is smaller, to the root mean square of the
/// column: many factors pass through nought, where both carry the rounding of the prices that they are made of. Infinite
/// where one has a value and the other has none.
pub(crate) fn difference(ours: &[f64], theirs: &[f64]) -> (f64, usize) {
    let known: Vec<f64> = theirs.iter().copied().filter(|value| value.is_finite()).collect();
    let mean_square = known.iter().map(|value| value * value).sum::<f64>() / known.len().max(1) as f64;
    let floor = mean_square.sqrt();
    let mut worst = (0.0, 0);
    for (row, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let error = match (a.is_nan(), b.is_nan()) {
            (true, true) => continue,
            (false, false) if a == b => continue,
            (false, false) => (a - b).abs() / b.abs().max(floor),
            _ => f64::INFINITY,
        };
        if error > worst.0 {
            worst = (error, row);
        }
    }
    worst
}
