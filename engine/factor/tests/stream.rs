//! One bar after another into all timeframes, against all at once; many instruments; gaps.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tapestore::time::{DAY_NS, MINUTE_NS, Timeframe};
use tapestore::{SeriesKey, flags};
use tapestore_factor::{
    Bar, COUNT, Factor, GapPolicy, Selection, Setup, Stream, TIMEFRAMES, Table, compute_many, frames,
    timeframes_of,
};

use super::market::{Market, minutes, sessions};

type Values = BTreeMap<(Timeframe, i64), Vec<u64>>;

fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn setup(gaps: GapPolicy, days: i64) -> Setup {
    Setup { timeframes: TIMEFRAMES.to_vec(), selection: Selection::ALL, gaps, sessions: Some(sessions(days)) }
}

fn at_once(market: &Market, setup: &Setup) -> Values {
    let out = Mutex::new(Values::new());
    let sources = [market.key.clone()];
    compute_many(&market.store.view(), &sources, &(i64::MIN..i64::MAX), setup, 2, |_, made| {
        let (frame, table) = made.expect("it can be computed");
        let mut out = out.lock().expect("no thread panics");
        for (row, time) in frame.time.iter().enumerate() {
            let value = |factor: Factor| bits(table.column(factor).expect("all were asked for")[row]);
            out.insert((frame.timeframe, *time), Factor::ALL.map(value).to_vec());
        }
    });
    out.into_inner().expect("no thread panics")
}

fn one_by_one(market: &Market, setup: &Setup) -> Values {
    let view = market.store.view();
    let rows = view.read(&market.key).provenance().rows().expect("rows");
    let absences = view.absences(&market.key).expect("absences");
    let mut stream = Stream::new(&market.key, setup, absences).expect("a stream");
    let mut out = Values::new();
    for row in 0..rows.len() {
        let synthetic = rows.set.flags.get(row) & flags::SYNTHETIC != 0;
        if synthetic && !matches!(setup.gaps, GapPolicy::Fills | GapPolicy::Rows) {
            continue;
        }
        let value = |name: &str| rows.f64(name).expect("doubles")[row];
        let bar = Bar {
            open: value("open"),
            high: value("high"),
            low: value("low"),
            close: value("close"),
            volume: value("volume"),
        };
        let take = |done: tapestore_factor::Finished<'_>| {
            let values: &[f64; COUNT] = done.values;
            let before = out.insert((done.timeframe, done.time_ns), values.map(bits).to_vec());
            assert!(before.is_none(), "{} {} is finished twice", done.timeframe, done.time_ns);
        };
        stream.push(rows.time()[row], &bar, take).expect("in order");
    }
    out
}

#[test]
fn a_stream_of_bars_gives_the_bits_of_whole_frames_in_every_timeframe_and_under_every_policy() {
    let market = Market::new();
    let mut times = minutes(&sessions(8));
    // Holes within sessions, a made-up stretch, a bar outside.
    times.retain(|time| !(1000..1003).contains(&(time / MINUTE_NS % 1440 + time / DAY_NS * 1440)));
    times.retain(|time| (time / MINUTE_NS) % 401 != 0);
    market.put(&times, 11);
    market.put_flagged(&times[700..704], 12, flags::SYNTHETIC);
    market.put(&[times[149] + 500 * MINUTE_NS], 13);
    for gaps in GapPolicy::ALL {
        let setup = setup(gaps, 8);
        let (whole, streamed) = (at_once(&market, &setup), one_by_one(&market, &setup));
        assert!(whole.len() > 4000);
        assert_eq!(whole.keys().collect::<Vec<_>>(), streamed.keys().collect::<Vec<_>>(), "{gaps:?}");
        for (place, values) in &whole {
            assert_eq!(values, &streamed[place], "{gaps:?} {place:?}");
        }
    }
}

#[test]
fn policies_differ_in_what_they_take_for_one_run() {
    let market = Market::new();
    let times = minutes(&sessions(2));
    market.put(&times[..400], 5);
    market.put(&times[410..], 6);
    market.put_flagged(&times[400..410], 7, flags::SYNTHETIC);
    let runs = |gaps: GapPolicy| {
        let setup = Setup { timeframes: vec![Timeframe::M1], ..setup(gaps, 2) };
        let view = market.store.view();
        let made = frames(&view, &market.key, i64::MIN..i64::MAX, &setup, 1).expect("frames");
        made[0].runs.clone()
    };
    assert_eq!(runs(GapPolicy::Break), [0..150, 150..330, 330..400, 400..470, 470..650]);
    assert_eq!(runs(GapPolicy::Bridge), [0..400, 400..650]);
    assert_eq!(runs(GapPolicy::Fills), [0..660]);
    assert_eq!(runs(GapPolicy::Rows), [0..660]);
}

#[test]
fn what_cannot_be_made_is_named_and_does_not_stop_the_rest() {
    let market = Market::new();
    market.put(&minutes(&sessions(2)), 5);
    let five = SeriesKey::new("0700.HK", "5m").unwrap();
    assert_eq!(timeframes_of(&five).unwrap()[0], Timeframe::M5);
    assert!(timeframes_of(&SeriesKey::new("0700.HK", "trades").unwrap()).is_err());
    let view = market.store.view();
    let bad = Setup::new(Timeframe::S1);
    let error = frames(&view, &market.key, i64::MIN..i64::MAX, &bad, 1).unwrap_err().to_string();
    assert!(error.contains("1s") && error.contains("1m"), "{error}");
    let (good, failed) = (Mutex::new(0), Mutex::new(Vec::new()));
    let sources = [SeriesKey::new("NO.HK", "1m").unwrap(), market.key.clone()];
    let done =
        |key: &SeriesKey, made: tapestore_factor::Result<(&tapestore_factor::BarFrame, &Table)>| match made {
            Ok(_) => *good.lock().unwrap() += 1,
            Err(error) => failed.lock().unwrap().push(format!("{key}: {error}")),
        };
    compute_many(&view, &sources, &(i64::MIN..i64::MAX), &setup(GapPolicy::Bridge, 2), 2, done);
    assert_eq!(good.into_inner().unwrap(), 11);
    let failed = failed.into_inner().unwrap();
    assert!(failed.len() == 1 && failed[0].contains("NO.HK"), "{failed:?}");
    let mut stream = Stream::new(&market.key, &setup(GapPolicy::Bridge, 2), Vec::new()).unwrap();
    let bar = Bar { open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
    let first = minutes(&sessions(2))[0];
    stream.push(first, &bar, |_| {}).unwrap();
    assert!(stream.push(first, &bar, |_| {}).unwrap_err().to_string().contains("start anew"));
}
