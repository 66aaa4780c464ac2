//! Results in a store.

use tapestore::{Options, SeriesKey, Store};
use tapestore_backtest::results::{self, CODE, Record};
use tapestore_backtest::{Curves, Scratch, Settings};

use crate::common::{Random, Series, settings, signal};

#[test]
fn settings_read_back_to_the_same_bits() {
    for case in 0..200 {
        let mut random = Random(case);
        let mut settings = settings(&mut random);
        settings.capital = 1e5 + random.unit() / 3.0;
        settings.rank_ic = random.chance(50);
        assert_eq!(Settings::from_text(&settings.to_text()).unwrap(), settings);
    }
    let text = Settings::default().to_text();
    for (from, to) in [
        ("fill=close", "fill=yesterday"),
        ("capital=100000", "capital=much"),
        ("allocation=0.1", "allocation=-1"),
        (" gaps=bridge", ""),
        ("schedule=free", "schedule=rate"),
        ("schedule=free", "schedule=cheap"),
    ] {
        let bad = text.replace(from, to);
        assert_ne!(bad, text);
        assert!(Settings::from_text(&bad).is_err(), "{bad}");
    }
}

#[test]
fn results_come_back_as_they_were_kept_and_runs_are_numbered() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    assert_eq!(results::load(&store.view()).unwrap(), []);
    let mut all = Vec::new();
    for run in 1..=3 {
        assert_eq!(results::next_run(&store.view()).unwrap(), run);
        let mut random = Random(run);
        let series = Series::random(&mut random, 200);
        let settings = settings(&mut random);
        let market = series.market(&settings);
        let records: Vec<Record> = (0..run)
            .map(|number| {
                let metrics = market.run(&signal(&mut random, 200), &mut Scratch::default()).unwrap();
                Record {
                    time_ns: run as i64,
                    run,
                    instrument: "A.X".into(),
                    frame: "1m".into(),
                    signal: format!("signal {number}"),
                    shape: "raw".into(),
                    settings: settings.to_text(),
                    basis: "given".into(),
                    call: "tape backtest".into(),
                    code: CODE.into(),
                    curves: String::new(),
                    store_version: 7,
                    bars_ns: (series.time[0], series.time[199]),
                    values: results::values(&metrics),
                }
            })
            .collect();
        results::save(&store, &records).unwrap();
        all.extend(records);
    }
    let kept = results::load(&store.view()).unwrap();
    // Bits, since NaN is a value here.
    assert_eq!(format!("{kept:?}"), format!("{all:?}"));
    assert_eq!(kept[0].value("bars"), 200.0);
    assert!(kept[0].value("nonsense").is_nan());
}

#[test]
fn the_series_behind_a_result_are_rows_of_its_instrument() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    let mut random = Random(1);
    let series = Series::random(&mut random, 100);
    let mut curves = Curves::default();
    let market = series.market(&Settings::default());
    market.run_into(&signal(&mut random, 100), &mut Scratch::default(), &mut curves).unwrap();
    let key = SeriesKey::new("A.X", "backtest-1").unwrap();
    let mut transaction = store.begin();
    results::stage_curves(&mut transaction, &key, &series.time, &curves).unwrap();
    transaction.commit().unwrap();
    let rows = store.view().read(&key).rows().unwrap();
    assert_eq!(rows.time(), series.time);
    assert_eq!(
        (rows.f64("equity"), rows.f64("drawdown")),
        (Some(&curves.equity[..]), Some(&curves.drawdown[..]))
    );
}
