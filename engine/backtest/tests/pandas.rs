//! Numbers of `pandas_expected.py`, which computes them with pandas from the definitions.

use std::collections::BTreeMap;

use tapestore_backtest::{Bars, Commission, Costs, Market, Schedule, Scratch, Settings, costs::Mode};

use crate::common::{MINUTE, START};

#[test]
fn metrics_are_those_of_pandas() {
    let text = include_str!("pandas_expected.csv");
    let mut columns: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut expected: Vec<[&str; 4]> = Vec::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let cells = [(); 4].map(|()| cells.next().expect("four cells"));
        if cells[0] == "column" {
            columns.entry(cells[1]).or_default().push(cells[3].parse().expect("a number"));
        } else {
            expected.push(cells);
        }
    }
    let rows = columns["close"].len();
    let time: Vec<i64> =
        (0..rows as i64).map(|row| START + (90 + row / 100 * 1440 + row % 100) * MINUTE).collect();
    let bars = Bars {
        time: &time,
        open: None,
        close: &columns["close"],
        after_hole: &[],
        sessions: None,
        intraday: true,
    };
    let mut compared = 0;
    for mode in [Mode::Proportional, Mode::Flat] {
        let schedule = Schedule::Rate(Commission { rate: 0.0015, minimum: 0.0 });
        let costs = Costs { mode, schedule };
        let settings = Settings { costs, bars_per_year: 81_180.0, ..Settings::default() };
        let market = Market::new(&bars, &settings).unwrap();
        for signal in ["noise", "steps", "ties"] {
            let metrics = market.run(&columns[signal], &mut Scratch::default()).unwrap();
            for (name, ours) in metrics.numbers() {
                let wanted = |cells: &&[&str; 4]| cells[..3] == [mode.name(), signal, name];
                let Some(cells) = expected.iter().find(wanted) else { continue };
                let theirs: f64 = cells[3].parse().expect("a number");
                assert!((ours - theirs).abs() < 1e-10 * (1.0 + theirs.abs()), "{cells:?}, ours {ours}");
                compared += 1;
            }
        }
    }
    assert_eq!((compared, expected.len()), (72, 72));
}
