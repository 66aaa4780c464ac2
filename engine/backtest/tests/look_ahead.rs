//! Nothing of the past depends on the future: cut off, it is the same to the bit.

use tapestore_backtest::{Curves, Scratch, Shape, Window, combine};

use crate::common::{Random, Series, settings, signal};

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_series_of_a_backtest_is_the_same_without_the_future() {
    let mut scratch = Scratch::default();
    let (mut whole, mut part) = (Curves::default(), Curves::default());
    for case in 0..120 {
        let mut random = Random(case);
        let series = Series::random(&mut random, 1100);
        let (settings, signal) = (settings(&mut random), signal(&mut random, 1100));
        series.market(&settings).run_into(&signal, &mut scratch, &mut whole).unwrap();
        let rows = 1 + random.below(1099) as usize;
        let market = series.until(rows).market(&settings);
        market.run_into(&signal[..rows], &mut scratch, &mut part).unwrap();
        for (name, whole, part) in [
            ("position", &whole.position, &part.position),
            ("net", &whole.net, &part.net),
            ("equity", &whole.equity, &part.equity),
            ("drawdown", &whole.drawdown, &part.drawdown),
        ] {
            assert_eq!(bits(&whole[..rows]), bits(part), "case {case}: {name} at {rows} rows, {settings:?}");
        }
    }
}

#[test]
fn a_signal_acts_on_the_bar_after_it_and_not_before() {
    let mut random = Random(5);
    let series = Series::random(&mut random, 40);
    for case in 0..40 {
        let settings = settings(&mut Random(case));
        let market = series.market(&settings);
        let (mut without, mut with) = (Curves::default(), Curves::default());
        let mut signal = vec![0.5; 40];
        market.run_into(&signal, &mut Scratch::default(), &mut without).unwrap();
        signal[20] = -1.0;
        market.run_into(&signal, &mut Scratch::default(), &mut with).unwrap();
        assert_eq!(bits(&with.equity[..21]), bits(&without.equity[..21]), "case {case}");
        assert_ne!(with.position[21].to_bits(), without.position[21].to_bits(), "case {case}");
    }
}

#[test]
fn every_shape_and_combination_is_the_same_without_the_future() {
    let windows = [Window::Expanding, Window::Rolling(2), Window::Rolling(37)];
    let mut shapes = vec![Shape::Raw, Shape::Sign];
    shapes.extend(windows.iter().flat_map(|window| [Shape::MaxAbs(*window), Shape::ZScore(*window)]));
    for case in 0..60 {
        let mut random = Random(case);
        let values: Vec<f64> = signal(&mut random, 300).iter().map(|value| value * 1e3 + 50.0).collect();
        let other = signal(&mut random, 300);
        let rows = 1 + random.below(299) as usize;
        for shape in &shapes {
            let (mut whole, mut part) = (values.clone(), values[..rows].to_vec());
            shape.apply(&mut whole);
            shape.apply(&mut part);
            assert_eq!(bits(&whole[..rows]), bits(&part), "case {case}: {shape:?} at {rows} rows");
        }
        for window in windows {
            let (mut whole, mut part) = (vec![0.0; 300], vec![0.0; rows]);
            combine(&[(&values, 0.3), (&other, -0.7)], window, &mut whole).unwrap();
            combine(&[(&values[..rows], 0.3), (&other[..rows], -0.7)], window, &mut part).unwrap();
            assert_eq!(bits(&whole[..rows]), bits(&part), "case {case}: {window:?} at {rows} rows");
        }
    }
}
