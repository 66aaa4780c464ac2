//! Expressions: values against Qlib's formulas in pandas, windows against plain loops, errors with their place.

use tapestore_factor::{
    Bars, Custom, Error, Expressions, FUNCTIONS, alpha158, compute_custom, find_look_ahead,
};

use super::series::Series;

/// What pandas says, written by `oracle/alpha158.py`: bars, then the last five values of each factor.
const FROZEN: &str = include_str!("alpha158.csv");

fn value(text: &str, series: &Series) -> Vec<f64> {
    let mut program = Expressions::new();
    program.add("x", text).expect("a sound expression");
    program.compute(&series.bars(), &[0..series.close.len()]).remove(0)
}

#[test]
fn alpha158_is_what_pandas_makes_of_it() {
    let mut columns: [Vec<f64>; 5] = Default::default();
    let (mut expected, mut names) = (Vec::new(), Vec::new());
    for line in FROZEN.lines() {
        let mut cells = line.split(',');
        let name = cells.next().expect("a name");
        let values: Vec<f64> = cells.map(|cell| cell.parse().expect("a number")).collect();
        if name == "bar" {
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        } else {
            names.push(name);
            expected.push(values);
        }
    }
    let [open, high, low, close, volume] = &columns;
    let bars = Bars::new(open, high, low, close, volume).expect("columns of one length");
    let pack = alpha158().expect("its expressions are sound");
    assert_eq!(pack.names().collect::<Vec<_>>(), names);
    assert_eq!(pack.len(), 158);
    let made = pack.compute(&bars, &[0..80]);
    for ((name, ours), theirs) in names.iter().zip(&made).zip(&expected) {
        for (a, b) in ours[75..].iter().zip(theirs) {
            assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{name}: {a} for {b}");
        }
    }
}

#[test]
fn values_reach_as_far_as_stated_and_never_ahead() {
    let series = Series::walk(400, 21);
    let pack = alpha158().expect("its expressions are sound");
    let whole = pack.compute(&series.bars(), &[0..400]);
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    for rows in [1, 7, 59, 60, 61, 62, 200, 399] {
        let cut = pack.compute(&series.bars().slice(0..rows), &[0..rows]);
        for (number, column) in cut.iter().enumerate() {
            assert!(
                (0..rows).all(|row| same(column[row], whole[number][row])),
                "output {number} of {rows} rows"
            );
        }
    }
    for (number, column) in whole.iter().enumerate() {
        let reach = pack.reach(number);
        assert!(reach <= 61);
        for row in [61, 200, 399] {
            let window = row + 1 - reach..row + 1;
            let alone = pack.compute(&series.bars().slice(window), &[0..reach]);
            assert!(same(alone[number][reach - 1], column[row]), "output {number} row {row}");
        }
    }
    // Two runs are computed each by itself.
    let halves = pack.compute(&series.bars(), &[0..200, 200..400]);
    let second = pack.compute(&series.bars().slice(200..400), &[0..200]);
    assert!(
        (0..158).all(|number| (200..400).all(|row| same(halves[number][row], second[number][row - 200])))
    );
}

#[test]
fn operators_bind_as_usual_and_nothing_is_made_of_nothing() {
    let series = Series::walk(30, 22);
    let close = &series.close;
    assert_eq!(value("1+2*3-4/2", &series)[0], 5.0);
    assert_eq!(value("-(1 + 2) * 3 > -10 & 1", &series)[0], 1.0);
    assert_eq!(value("2e1 - .5E+1", &series)[0], 15.0);
    assert_eq!(value("Ref($close, 3)", &series)[3], close[0]);
    assert!(value("Ref($close, 3) > 0", &series)[2].is_nan());
    assert_eq!(value("If($close > Ref($close, 1), 1, If($close < Ref($close, 1), -1, 0))", &series)[5], {
        if close[5] > close[4] {
            1.0
        } else if close[5] < close[4] {
            -1.0
        } else {
            0.0
        }
    });
    let med = value("Med($close, 4)", &series);
    let mut window = close[6..10].to_vec();
    window.sort_by(f64::total_cmp);
    assert_eq!(med[9], f64::midpoint(window[1], window[2]));
    assert!(med[..3].iter().all(|value| value.is_nan()));
    // A window with a hole gives nothing, as long as it holds the hole.
    let holes = value("Mean(Log($close - Ref($close, 1)), 3)", &series);
    let rising = |row: usize| close[row] > close[row - 1];
    for (row, value) in holes.iter().enumerate().skip(3) {
        assert_eq!(!value.is_nan(), rising(row) && rising(row - 1) && rising(row - 2), "row {row}");
    }
    assert!(value("Corr($close, 1, 5)", &series).iter().all(|value| value.is_nan()));
    // What is written twice is computed once, and gives the same.
    let both = value("Std($close, 7) - Std($close, 7)", &series);
    assert!(both[6..].iter().all(|value| *value == 0.0));
}

#[test]
fn every_function_that_is_named_can_be_called() {
    let series = Series::walk(40, 23);
    for (call, _) in FUNCTIONS {
        let text = call.replace("(x", "($close").replace("(c", "($close").replace(", x", ", $open");
        let text = text.replace(", y", ", $high").replace(", n", ", 5").replace(", q", ", 0.25");
        let column = value(&text, &series);
        assert!(!column[20].is_nan(), "{text}");
    }
    for name in ["Ge", "Lt", "Le", "Eq", "Ne", "Sub", "Mul", "Div"] {
        assert!(value(&format!("{name}($close, $open)"), &series)[0].is_finite());
    }
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    for (text, at, reason) in [
        ("Mean($close, 5", 14, "the ) of the ( at 5"),
        ("$clos + 1", 0, "$open $high $low $close $volume"),
        ("close + 1", 6, "columns are written with a $"),
        ("mean($close, 5)", 0, "did you mean Mean(x, n)?"),
        ("Foo($close)", 0, "there is no function Foo; there are Ref"),
        ("Ref($close, -1)", 12, "the future is not known"),
        ("Std($close, 1)", 12, "a whole number from 2"),
        ("Mean($close, 2.5)", 13, "a whole number from 1"),
        ("Mean($close, $open)", 13, "expected a number"),
        ("Mean($close)", 11, "a comma and a further argument"),
        ("Quantile($close, 5, 2)", 20, "a share from 0 to 1"),
        ("1 +", 3, "a value"),
        ("1 2", 2, "an operator, or the end"),
        ("", 0, "a value"),
        ("ä", 0, "found 'ä'"),
        ("(1 + ß)", 5, "found 'ß'"),
    ] {
        let error = Expressions::new().add("x", text).map(|_| ()).unwrap_err();
        let Error::Expression { at: place, .. } = &error else { panic!("{error}") };
        assert_eq!(*place, at, "{text}: {error}");
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Expressions::new().add("x", &deep).is_err());
    assert!(Expressions::new().add("x", &"-".repeat(100_000)).is_err());
}

struct Peeking;

impl Custom for Peeking {
    fn name(&self) -> &'static str {
        "PEEKING"
    }

    fn compute(&self, run: &Bars<'_>, out: &mut [f64]) {
        for (row, out) in out.iter_mut().enumerate() {
            *out = run.bar((row + 1).min(run.len() - 1)).close;
        }
    }
}

#[test]
fn a_factor_of_ones_own_that_looks_ahead_is_found_out() {
    let series = Series::walk(50, 24);
    let ahead = find_look_ahead(&Peeking, &series.bars()).expect("it looks ahead");
    let changes = |row: &usize| series.close[*row] != series.close[row + 1];
    assert_eq!(Some(ahead), (0..49).find(changes));
    assert_eq!(compute_custom(&series.bars(), &[1..50], &[&Peeking])[0][1], series.close[2]);
}
