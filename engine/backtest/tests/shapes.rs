//! Columns to signals, beside the plain definition.

use tapestore_backtest::{Shape, Window, combine};

use crate::common::{Random, signal};

fn window(values: &[f64], row: usize, window: Window) -> Vec<f64> {
    let start = match window {
        Window::Expanding => 0,
        Window::Rolling(count) => (row + 1).saturating_sub(count),
    };
    values[start..=row].iter().copied().filter(|value| value.is_finite()).collect()
}

#[track_caller]
fn near(ours: f64, theirs: f64, what: &str) {
    let same = ours == theirs || (ours.is_nan() && theirs.is_nan());
    assert!(same || (ours - theirs).abs() < 1e-9, "{what}: {ours} is not {theirs}");
}

#[test]
fn shapes_are_what_their_definitions_say() {
    for case in 0..200 {
        let mut random = Random(case);
        let scale = [1.0, 1e-7, 1e9][random.below(3) as usize];
        let shift = [0.0, 10.0, -3.0][random.below(3) as usize];
        let values: Vec<f64> = signal(&mut random, 200).iter().map(|value| (value + shift) * scale).collect();
        for over in [Window::Expanding, Window::Rolling(2), Window::Rolling(30)] {
            let (mut largest, mut score) = (values.clone(), values.clone());
            Shape::MaxAbs(over).apply(&mut largest);
            Shape::ZScore(over).apply(&mut score);
            for (row, value) in values.iter().enumerate() {
                let seen = window(&values, row, over);
                let most = seen.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
                let mean = seen.iter().sum::<f64>() / seen.len() as f64;
                let squares: f64 = seen.iter().map(|value| (value - mean).powi(2)).sum();
                let deviation = (squares / (seen.len() as f64 - 1.0)).sqrt();
                let constant = seen.windows(2).all(|pair| pair[0] == pair[1]);
                let (by_largest, by_score) = match value {
                    value if !value.is_finite() => (f64::NAN, f64::NAN),
                    _ if seen.len() < 2 => (if most == 0.0 { 0.0 } else { value / most }, f64::NAN),
                    _ if constant => (if most == 0.0 { 0.0 } else { value / most }, 0.0),
                    value => (value / most, ((value - mean) / deviation).clamp(-1.0, 1.0)),
                };
                near(largest[row], by_largest, &format!("case {case}, row {row}, {over:?}, largest"));
                near(score[row], by_score, &format!("case {case}, row {row}, {over:?}, score"));
            }
        }
    }
}

#[test]
fn signs_keep_what_has_none() {
    let mut values = [3.0, -0.1, 0.0, -0.0, f64::NAN, f64::INFINITY];
    Shape::Sign.apply(&mut values);
    assert_eq!(values[..4], [1.0, -1.0, 0.0, -0.0]);
    assert!(values[4].is_nan() && values[5].is_nan());
}

#[test]
fn names_are_read_as_they_are_written() {
    for text in ["raw", "sign", "maxabs", "maxabs:250", "zscore", "zscore:20"] {
        assert_eq!(Shape::parse(text).unwrap().name(), text);
    }
    for text in ["", "raw:3", "zscore:1", "zscore:x", "rank", "maxabs:"] {
        assert_eq!(Shape::parse(text), None, "{text}");
    }
}

#[test]
fn weighted_signals_are_added_and_divided_by_their_largest_so_far() {
    let (a, b) = ([1.0, -2.0, f64::NAN, 4.0, f64::NAN], [0.0, 1.0, 1.0, f64::INFINITY, f64::NAN]);
    let mut out = [0.0; 5];
    combine(&[(&a, 1.0), (&b, -1.0)], Window::Expanding, &mut out).unwrap();
    // Sums: 1, -3, -1, 4, none; largest so far: 1, 3, 3, 4.
    assert_eq!(out[..4], [1.0, -1.0, -1.0 / 3.0, 1.0]);
    assert!(out[4].is_nan());
    combine(&[(&a, 1.0), (&b, -1.0)], Window::Rolling(2), &mut out).unwrap();
    assert_eq!(out[..4], [1.0, -1.0, -1.0 / 3.0, 1.0]);
    assert!(combine(&[(&a[..2], 1.0)], Window::Expanding, &mut out).is_err());
    assert!(combine(&[(&a, f64::NAN)], Window::Expanding, &mut out).is_err());
}
