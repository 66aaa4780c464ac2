//! N1 and N3: the future changes nothing, and bar by bar is all at once.

use tapestore_factor::{Factor, Live, Memory, Selection, Table, compute};

use super::series::{Series, difference};

fn computed(series: &Series, rows: std::ops::Range<usize>) -> Table {
    let mut table = Table::default();
    let bars = series.bars().slice(rows);
    compute(&bars, &[0..bars.len()], Selection::ALL, &mut table);
    table
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn no_factor_knows_the_future() {
    let series = Series::walk(700, 3);
    let whole = computed(&series, 0..700);
    for rows in (1..140).chain([255, 256, 257, 400, 511, 699]) {
        let cut = computed(&series, 0..rows);
        for factor in Factor::ALL {
            let (past, full) = (cut.column(factor).unwrap(), whole.column(factor).unwrap());
            for row in 0..rows {
                assert!(same(past[row], full[row]), "{} row {row} of {rows}", factor.name());
            }
        }
    }
    // Another future, the same past.
    let mut other = series.clone();
    let strange = Series::walk(700, 99);
    other.open[400..].copy_from_slice(&strange.open[400..]);
    other.high[400..].copy_from_slice(&strange.high[400..]);
    other.low[400..].copy_from_slice(&strange.low[400..]);
    other.close[400..].copy_from_slice(&strange.close[400..]);
    other.volume[400..].copy_from_slice(&strange.volume[400..]);
    let otherwise = computed(&other, 0..700);
    for factor in Factor::ALL {
        let (a, b) = (otherwise.column(factor).unwrap(), whole.column(factor).unwrap());
        assert!((0..400).all(|row| same(a[row], b[row])), "{}", factor.name());
        assert!((400..700).any(|row| !same(a[row], b[row])), "{} would not notice anything", factor.name());
    }
}

#[test]
fn bar_by_bar_gives_the_bits_of_all_at_once() {
    let series = Series::walk(900, 4);
    let whole = computed(&series, 0..900);
    let mut live = Live::new(Selection::ALL);
    let mut saved = None;
    for row in 0..900 {
        let given = *live.push(&series.bars().bar(row));
        for factor in Factor::ALL {
            let expected = whole.column(factor).unwrap()[row];
            let value = given[factor.index()];
            assert!(same(value, expected), "{} row {row}: {value} for {expected}", factor.name());
        }
        if row == 500 {
            saved = Some(live.clone());
        }
    }
    let mut resumed = saved.expect("it was saved");
    for row in 501..900 {
        let given = *resumed.push(&series.bars().bar(row));
        let expected = |factor: Factor| whole.column(factor).unwrap()[row];
        assert!(
            Factor::ALL.into_iter().all(|factor| same(given[factor.index()], expected(factor))),
            "row {row}"
        );
    }
}

/// Recomputing from so many bars before gives the same bits for windows, and 1e-9 where memory fades.
#[test]
fn memory_is_as_stated() {
    const FADED: usize = 1500;
    let series = Series::walk(4000, 6);
    let whole = computed(&series, 0..4000);
    for from in [1, 777, 2000] {
        let part = computed(&series, from..4000);
        for factor in Factor::ALL {
            let (part, full) = (part.column(factor).unwrap(), &whole.column(factor).unwrap()[from..]);
            match factor.memory() {
                Memory::Bars(bars) => {
                    let rows = bars - 1..part.len();
                    assert!(rows.clone().all(|row| same(part[row], full[row])), "{}", factor.name());
                }
                Memory::Fading => {
                    let (error, row) = difference(&part[FADED..], &full[FADED..]);
                    assert!(error <= 1e-9, "{} from {from}: {error:e} in row {row}", factor.name());
                }
                Memory::Total => {
                    let shift = part[1500] - full[1500];
                    assert!(shift != 0.0, "{} is no running total", factor.name());
                }
            }
        }
    }
}
