//! What many series and many rows cost, counted in calls and blocks rather than in time.

mod gaps;
mod many;

use tapestore::{Batch, SeriesKey, Values};

const MINUTE_NS: i64 = 60_000_000_000;

fn key(number: usize) -> SeriesKey {
    SeriesKey::new(&format!("S{number:05}.TEST"), "1m").expect("a valid name")
}

/// Bars at these minutes; prices in hundredths that go up and down with the minute, volumes that vary.
fn bars_at(minutes: impl Iterator<Item = i64>) -> Batch {
    let minutes: Vec<i64> = minutes.collect();
    let column = |offset: i64, range: i64| {
        let value = |minute: &i64| (10_000 + (minute * 7 + offset).rem_euclid(range)) as f64 / 100.0;
        Values::F64(minutes.iter().map(value).collect())
    };
    Batch::new(minutes.iter().map(|minute| minute * MINUTE_NS).collect())
        .with("open", column(0, 400))
        .with("high", column(0, 400))
        .with("low", column(0, 400))
        .with("close", column(3, 400))
        .with("volume", column(11, 9973))
}
