//! What is kept, after every kind of change, against what is computed anew.

use tapestore::time::{MINUTE_NS, Timeframe};
use tapestore::{AsOf, Rows, SeriesKey, flags};
use tapestore_factor::{
    Entry, Factor, GapPolicy, Kept, Outcome, Pack, Selection, Setup, Table, entries, evict, frames, keep,
};

use super::market::{Market, minutes, sessions};

const DAYS: i64 = 8;

fn setup(selection: Selection) -> Setup {
    let timeframes = vec![Timeframe::M1, Timeframe::M5, Timeframe::H2, Timeframe::D1];
    Setup { timeframes, selection, gaps: GapPolicy::Bridge, sessions: Some(sessions(DAYS)) }
}

fn bits(rows: &Rows, factor: Factor, row: usize) -> u64 {
    let column = rows.column(factor.name()).expect("a column");
    if column.is_null(row) {
        f64::NAN.to_bits()
    } else {
        rows.f64(factor.name()).expect("doubles")[row].to_bits()
    }
}

/// K1.
#[track_caller]
fn holds_what_is_computed_anew(market: &Market, setup: &Setup) {
    let view = market.store.view();
    for frame in frames(&view, &market.key, i64::MIN..i64::MAX, setup, 2).expect("frames") {
        let mut table = Table::default();
        frame.compute(setup.selection, &mut table);
        let kept = kept_key(&market.key, frame.timeframe).expect("a key");
        let rows = view.read(&kept).rows().expect("it is kept");
        assert_eq!(rows.time(), frame.time, "{kept}");
        for factor in setup.selection.factors() {
            let column = table.column(factor).expect("it was asked for");
            for (row, value) in column.iter().enumerate() {
                let value = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
                assert_eq!(bits(&rows, factor, row), value, "{kept} {} row {row}", factor.name());
            }
        }
    }
}

fn kept_key(source: &SeriesKey, timeframe: Timeframe) -> tapestore_factor::Result<SeriesKey> {
    Pack::Indicators(Selection::ALL).key(source, timeframe)
}

#[track_caller]
fn kept(market: &Market, setup: &Setup) -> Vec<Kept> {
    let kept =
        keep(&market.store, &market.key, setup, &Pack::Indicators(setup.selection), 2).expect("it is kept");
    holds_what_is_computed_anew(market, setup);
    kept
}

fn entry(market: &Market, timeframe: Timeframe) -> Entry {
    let target = kept_key(&market.key, timeframe).expect("a key");
    entries(&market.store.view())
        .expect("a table")
        .into_iter()
        .find(|entry| entry.target == target)
        .expect("a row")
}

#[test]
fn every_change_of_the_source_is_noticed_and_nothing_else_is_computed() {
    let market = Market::new();
    let times = minutes(&sessions(DAYS));
    let (hole, rest) = (700..705, 1200);
    market.put(&times[..hole.start], 1);
    market.put(&times[hole.end..rest], 2);
    let setup = setup(Selection::ALL);
    let first = kept(&market, &setup);
    assert!(first.iter().all(|kept| kept.outcome == Outcome::Made && kept.written == kept.rows));

    let again = kept(&market, &setup);
    assert!(again.iter().all(|kept| kept.outcome == Outcome::Hit && kept.computed == 0));
    let noted = entry(&market, Timeframe::M5);
    assert_eq!((noted.hits, noted.misses, noted.saved_ns), (1, 1, noted.took_ns));

    // New bars: only they.
    market.put(&times[rest..rest + 10], 3);
    let more = kept(&market, &setup);
    assert_eq!((more[0].outcome, more[0].computed, more[0].written), (Outcome::Updated, 10, 10));
    assert_eq!((more[1].computed, more[1].written), (2, 2));

    // An old bar repaired: from it to the end of its run.
    market.put(&times[100..101], 4);
    let repaired = kept(&market, &setup);
    assert_eq!((repaired[0].computed, repaired[0].rows), (600, 1205));
    assert!(repaired[0].written <= 600 && repaired[0].written > 500);
    // Bar 20 of five minutes holds minute 100; the hole is one bar, and ends their run as well.
    assert_eq!(repaired[1].computed, 700 / 5 - 20);

    // A bar gone, a hole filled, a bar made up.
    market.delete(times[300]..times[300] + 1);
    assert_eq!(kept(&market, &setup)[0].deleted, 1);
    market.put(&times[hole], 5);
    kept(&market, &setup);
    market.put_flagged(&times[1100..1101], 6, flags::SYNTHETIC);
    assert_eq!(kept(&market, &setup)[0].deleted, 1);
}

#[test]
fn windows_are_computed_as_far_as_they_reach() {
    let market = Market::new();
    let times = minutes(&sessions(DAYS));
    market.put(&times, 1);
    let windows = setup(Selection::of(&[Factor::Sma, Factor::Mom, Factor::Bop]));
    kept(&market, &windows);
    market.put(&times[500..501], 9);
    let repaired = kept(&market, &windows);
    assert_eq!((repaired[0].computed, repaired[0].written), (20, 20));
    assert_eq!(repaired[1].computed, 20);
    market.delete(times[40]..times[40] + 1);
    // The bar is gone, and the run begins anew behind it: all of that.
    let torn = kept(&market, &windows);
    assert_eq!((torn[0].deleted, torn[0].computed), (1, 20));
}

#[test]
fn rollbacks_absences_and_definitions_are_noticed() {
    let market = Market::new();
    let times = minutes(&sessions(DAYS));
    market.put(&times[..600], 1);
    market.put(&times[601..900], 2);
    let all = setup(Selection::ALL);
    kept(&market, &all);
    let version = market.store.view().version();
    market.put(&times[50..60], 7);
    kept(&market, &all);
    market.store.rollback(&AsOf::Version(version)).expect("a rollback");
    assert!(kept(&market, &all).iter().all(|kept| kept.outcome != Outcome::Made));

    let mut transaction = market.store.begin();
    transaction.confirm_absent(&market.key, times[600]..times[600] + MINUTE_NS).expect("an absence");
    transaction.commit().expect("a commit");
    assert!(kept(&market, &all).iter().all(|kept| kept.outcome == Outcome::Made));

    let few = setup(Selection::parse(["RSI14", "ATR14"]).expect("names"));
    assert!(kept(&market, &few).iter().all(|kept| kept.outcome == Outcome::Made));
    let bridged = Setup { gaps: GapPolicy::Break, ..few };
    assert!(kept(&market, &bridged).iter().all(|kept| kept.outcome == Outcome::Made));
    assert_eq!(entry(&market, Timeframe::M1).misses, 5);
}

#[test]
fn a_budget_drops_what_was_used_longest_ago() {
    let market = Market::new();
    market.put(&minutes(&sessions(DAYS)), 1);
    let selection = Selection::of(&[Factor::Sma]);
    let of = |timeframe: Timeframe| Setup { timeframes: vec![timeframe], ..setup(selection) };
    for timeframe in [Timeframe::M5, Timeframe::M1, Timeframe::H2, Timeframe::M5] {
        kept(&market, &of(timeframe));
    }
    let budget = entry(&market, Timeframe::M5).bytes + entry(&market, Timeframe::H2).bytes;
    assert!(evict(&market.store, u64::MAX).expect("a store").is_empty());
    let dropped = evict(&market.store, budget).expect("a store");
    assert_eq!(dropped, [kept_key(&market.key, Timeframe::M1).expect("a key")]);
    let view = market.store.view();
    assert!(view.schema(&dropped[0]).is_err());
    assert!(view.schema(&SeriesKey::new("0700.HK", "factors/ta@5m").unwrap()).is_ok());
    assert_eq!(kept(&market, &of(Timeframe::M1))[0].outcome, Outcome::Made);
    assert_eq!((entry(&market, Timeframe::M1).misses, entry(&market, Timeframe::M5).hits), (2, 1));
}

#[test]
fn packs_of_expressions_are_kept_beside_and_brought_up_to_date() {
    let market = Market::new();
    let times = minutes(&sessions(DAYS));
    market.put(&times[..1000], 1);
    let setup = Setup { timeframes: vec![Timeframe::M1], ..setup(Selection::ALL) };
    let pack = Pack::alpha158().expect("sound expressions");
    let first = keep(&market.store, &market.key, &setup, &pack, 2).expect("it is kept");
    assert_eq!(
        (first[0].outcome, first[0].target.to_string()),
        (Outcome::Made, "0700.HK factors/alpha158@1m".into())
    );
    market.put(&times[500..501], 9);
    let repaired = keep(&market.store, &market.key, &setup, &pack, 2).expect("it is kept");
    assert_eq!((repaired[0].outcome, repaired[0].computed), (Outcome::Updated, 61));
    let view = market.store.view();
    let frame = frames(&view, &market.key, i64::MIN..i64::MAX, &setup, 1).expect("frames").remove(0);
    let rows = view.read(&first[0].target).rows().expect("it is kept");
    for ((name, _), column) in pack.columns().into_iter().zip(pack.compute(&frame.bars(), &frame.runs)) {
        let kept = rows.f64(name).expect("doubles");
        let nulls = rows.column(name).expect("a column");
        let same = |row: usize| {
            if column[row].is_nan() {
                nulls.is_null(row)
            } else {
                kept[row].to_bits() == column[row].to_bits()
            }
        };
        assert!((0..1000).all(same), "{name}");
    }
    // Another expression of the same name is another definition.
    let pack = |text: &str| {
        let mut all = tapestore_factor::Expressions::new();
        all.add("x", text).expect("a sound expression");
        Pack::Expressions { name: "mine".into(), all: std::sync::Arc::new(all) }
    };
    for (text, outcome) in [
        ("Mean($close, 5)", Outcome::Made),
        ("Mean($close, 5)", Outcome::Hit),
        ("Mean($close, 6)", Outcome::Made),
    ] {
        assert_eq!(
            keep(&market.store, &market.key, &setup, &pack(text), 1).expect("it is kept")[0].outcome,
            outcome
        );
    }
    let bad = Pack::Expressions { name: "no name".into(), all: std::sync::Arc::default() };
    assert!(keep(&market.store, &market.key, &setup, &bad, 1).is_err());
}
