//! Days of a market with sessions held against their minutes: real daily bars beside minutes made of real trades.

use std::error::Error;
use std::path::Path;

use tapestore::time::DAY_NS;
use tapestore::{Options, SeriesKey, Store, schema};
use tapestore_quality::inject::Columns;
use tapestore_quality::{Rule, Setup, marks};

use crate::read::{days_of, text, trades};

/// What is done to one day, and its name.
type Change = (&'static str, fn(&mut Columns, usize));

const CHANGES: [Change; 6] = [
    ("as they are", |_, _| {}),
    ("high 1 % lower", |bars, row| bars.prices[1][row] *= 0.99),
    ("low 1 % higher", |bars, row| bars.prices[2][row] *= 1.01),
    ("a tenth of the volume", |bars, row| bars.volume[row] /= 10.0),
    ("ten times the volume", |bars, row| bars.volume[row] *= 10.0),
    ("the bar of the day before", |bars, row| {
        if let Some(before) = row.checked_sub(1) {
            bars.prices.iter_mut().for_each(|column| column[row] = column[before]);
            bars.volume[row] = bars.volume[before];
        }
    }),
];

/// A change, how many days were changed so, and how many of them were found.
pub(crate) type Days = (&'static str, u64, u64);

/// Every change, day by day.
pub(crate) fn all(data: &Path) -> Result<Vec<Days>, Box<dyn Error>> {
    let daily = text(&data.join("daily/us-daily-21symbols.csv.gz"))?;
    let mut out: Vec<_> = CHANGES.iter().map(|change| (change.0, 0, 0)).collect();
    for symbol in ["SPY", "AIG"] {
        let minutes = trades(&text(&data.join(format!("trades/{symbol}_trade_201310.csv.gz")))?)?;
        let first = minutes.time[0].div_euclid(DAY_NS) * DAY_NS;
        let end = minutes.time[minutes.time.len() - 1];
        // The day before the first one has no minutes, and is there to be repeated.
        let real = days_of(&daily, symbol, first - 4 * DAY_NS..end)?;
        let store = Bench::new(symbol, &minutes)?;
        for ((_, change), out) in CHANGES.iter().zip(&mut out) {
            for row in real.time.partition_point(|time| *time < first)..real.time.len() {
                let mut bars = real.clone();
                change(&mut bars, row);
                out.1 += 1;
                out.2 += u64::from(store.finds(&bars, real.time[row])?);
            }
        }
    }
    Ok(out)
}

struct Bench {
    store: Store,
    days: SeriesKey,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(symbol: &str, minutes: &Columns) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let store = Store::create(directory.path().join("store"), Options::default())?;
        let name = format!("{symbol}.US");
        let (fine, days) = (SeriesKey::new(&name, "1m")?, SeriesKey::new(&name, "1d")?);
        let mut transaction = store.begin();
        transaction.create_series(&fine, schema::bars())?;
        transaction.upsert(&fine, minutes.batch())?;
        transaction.create_series(&days, schema::bars())?;
        transaction.commit()?;
        Ok(Self { store, days, _directory: directory })
    }

    /// Whether a day is told to differ from its minutes.
    fn finds(&self, bars: &Columns, day: i64) -> Result<bool, Box<dyn Error>> {
        let mut transaction = self.store.begin();
        transaction.upsert(&self.days, bars.batch())?;
        transaction.commit()?;
        let told = marks(&self.store.view(), &self.days, &Setup::default())?;
        Ok(told.iter().any(|(time, bits)| *time == day && bits & (1 << Rule::Coarser as u8) != 0))
    }
}
