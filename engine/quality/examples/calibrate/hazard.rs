//! The hazard of gaps on real series with their real holes.

use std::error::Error;
use std::path::Path;

use tapestore::{Options, SeriesKey, Store, schema};
use tapestore_quality::hazard::{SourceHazard, hazards};

use crate::read::{csv, text};

const FILES: [(&str, &str, &str); 4] = [
    ("EOSUSD.BITFINEX", "1m", "klines/EOSUSD.BITFINEX-1m.csv.gz"),
    ("LTCUSD.BITFINEX", "1m", "klines/LTCUSD.BITFINEX-1m.csv.gz"),
    ("BTCUSD.BITFINEX", "1m", "klines/BTCUSD.BITFINEX-1m.csv.gz"),
    ("BTCUSDT.BINANCE", "1h", "klines/binance_spot_BTCUSDT-1h-2017-2024.csv"),
];

/// Each series by itself, then all as their sources.
pub(crate) fn all(data: &Path) -> Result<Vec<(String, SourceHazard)>, Box<dyn Error>> {
    let mut out = Vec::new();
    for (name, frame, file) in FILES {
        out.push((format!("{name} {frame}"), of(data, &[(name, frame, file)])?.remove(0)));
    }
    for source in of(data, &FILES[..3])? {
        out.push((format!("all of {}", source.source), source));
    }
    Ok(out)
}

fn of(data: &Path, files: &[(&str, &str, &str)]) -> Result<Vec<SourceHazard>, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::create(directory.path().join("store"), Options::default())?;
    for (name, frame, file) in files {
        let key = SeriesKey::new(name, frame)?;
        let bars = csv(&text(&data.join(file))?)?;
        let mut transaction = store.begin();
        transaction.create_series(&key, schema::bars())?;
        transaction.upsert(&key, bars.batch())?;
        transaction.commit()?;
    }
    Ok(hazards(&store, &store.view())?)
}
