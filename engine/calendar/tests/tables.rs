//! Calendars, listings and halts in tables of the store.

use tapestore::time::{HOUR_NS, MINUTE_NS};
use tapestore::{Batch, ColumnValues, Options, SeriesKey, Store, Values};
use tapestore_calendar::{Error, Listing, Listings, Market, market};
use tapestore_catalog::Kind;

use super::at;

struct Place {
    store: Store,
    _directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(directory.path().join("store"), Options::default()).unwrap();
        Self { store, _directory: directory }
    }

    /// Rows of a table of reference: time, texts by column, timestamps by column.
    fn write(&self, kind: Kind, time: &[i64], texts: &[(&str, &[&str])], stamps: &[(&str, &[Option<i64>])]) {
        let key = SeriesKey::new("reference", kind.name()).unwrap();
        let mut batch = Batch::new(time.to_vec());
        for (name, values) in texts {
            batch = batch.with(name, Values::Str(values.iter().copied().collect()));
        }
        for (name, values) in stamps {
            let nulls = Some(values.iter().map(Option::is_none).collect());
            let values = Values::I64(values.iter().map(|value| value.unwrap_or(0)).collect());
            batch = batch.with(name, ColumnValues { values, nulls });
        }
        let mut transaction = self.store.begin();
        if self.store.view().schema(&key).is_err() {
            transaction.create_series(&key, kind.schema()).unwrap();
        }
        transaction.upsert(&key, batch).unwrap();
        transaction.commit().unwrap();
    }
}

#[test]
fn a_table_of_the_store_goes_before_the_compiled_calendar() {
    let place = Place::new();
    let compiled = market(&place.store.view(), "HKEX").unwrap();
    assert!(matches!(&compiled, Market::Exchange(exchange) if exchange.name() == "XHKG"));
    assert_eq!(compiled.late_ns(), 10 * MINUTE_NS);
    let (day, open) = (at((2024, 3, 11), 0, 0), at((2024, 3, 11), 2, 0));
    let close = Some(open + HOUR_NS);
    place.write(
        Kind::Calendar,
        &[day],
        &[("exchange", &["XHKG"])],
        &[("open", &[Some(open)]), ("close", &[close])],
    );
    // Under any of its names.
    for name in ["XHKG", "hkex", "HK"] {
        let found = market(&place.store.view(), name).unwrap();
        assert!(matches!(found, Market::Table { .. }), "{name}");
        assert_eq!(found.sessions(open..open + 1).unwrap().ranges(), [open..open + HOUR_NS]);
        assert!(found.sessions(day..day + 30 * 24 * HOUR_NS).is_err(), "of other days it says nothing");
        assert_eq!((found.late_ns(), found.offset_ns(open)), (10 * MINUTE_NS, Some(8 * HOUR_NS)));
    }
    assert!(matches!(market(&place.store.view(), "XNYS").unwrap(), Market::Exchange(_)));
    let error = market(&place.store.view(), "XPAR").unwrap_err();
    assert!(matches!(error, Error::Unknown(_)));
    assert!(
        error.to_string().contains("24x7, XHKG") && error.to_string().contains("--kind calendar"),
        "{error}"
    );
}

#[test]
fn instruments_are_listed_while_a_row_says_so() {
    let place = Place::new();
    assert_eq!(Listings::read(&place.store.view(), None).unwrap().of("A.HK", Some("XHKG")), Listing::ALWAYS);
    // A: listed at 10, suspended from 20 to 30, delisted at 40. B: from 10 to 15, known only later to end at 12.
    place.write(
        Kind::Instruments,
        &[10, 20, 30, 40, 10, 10],
        &[
            ("symbol", &["A.HK", "A.HK", "A.HK", "A.HK", "B.HK", "B.HK"]),
            ("status", &["listed", "Suspended", "", "DELISTED", "", ""]),
        ],
        &[
            ("until", &[None, None, None, None, Some(15), Some(12)]),
            ("known", &[None, None, None, None, None, Some(99)]),
        ],
    );
    let listings = |known| Listings::read(&place.store.view(), known).unwrap();
    assert_eq!(listings(None).of("A.HK", None).listed, Some(vec![10..20, 30..40]));
    assert_eq!(listings(None).of("B.HK", None).listed, Some(vec![10..12]));
    assert_eq!(listings(Some(50)).of("B.HK", None).listed, Some(vec![10..15]));
    assert_eq!(listings(Some(25)).of("A.HK", None).listed, Some(vec![10..20]), "as far as it was known");
    assert_eq!(listings(None).of("C.HK", None).listed, None, "of it nothing is said");
}

#[test]
fn halts_hold_for_an_instrument_or_for_its_exchange() {
    let place = Place::new();
    place.write(
        Kind::Halts,
        &[10, 50, 20, 70],
        &[("symbol", &["A.HK", "A.HK", "HKEX", "A.HK"]), ("reason", &["news", "news", "storm", "mistake"])],
        &[("until", &[Some(25), None, Some(30), Some(70)])],
    );
    let listings = Listings::read(&place.store.view(), None).unwrap();
    assert_eq!(listings.of("A.HK", Some("XHKG")).halted, [10..30, 50..i64::MAX]);
    assert_eq!(listings.of("B.HK", Some("XHKG")).halted, [20..30]);
    assert_eq!(listings.of("A.HK", None).halted, [10..25, 50..i64::MAX]);
    // Known later: it ended at 60.
    place.write(
        Kind::Halts,
        &[50],
        &[("symbol", &["A.HK"])],
        &[("until", &[Some(60)]), ("known", &[Some(60)])],
    );
    let listings = Listings::read(&place.store.view(), None).unwrap();
    assert_eq!(listings.of("A.HK", None).halted, [10..25, 50..60]);
}
