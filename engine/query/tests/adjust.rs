//! Adjustment agrees with multiplying row by row, and with what a vendor of adjusted prices publishes.

use crate::common::{DAY, Random, cases, real};
use tapestore::schema::bars;
use tapestore::{Batch, Options, SeriesKey, Store, Strings, Values};
use tapestore_query::adjust::{Action, Field, What, actions, actions_schema, adjust, adjusted, steps};
use tapestore_query::{Adjustment, Anchor, Parts};

const PARTS: [Parts; 3] = [Parts::Splits, Parts::Dividends, Parts::Both];
const ANCHORS: [Anchor; 2] = [Anchor::Last, Anchor::First];

fn close_to(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// Each row by itself: all actions after it, or up to it.
fn row_by_row(
    time: i64,
    value: f64,
    known: &[(Action, Option<f64>)],
    how: (Parts, Anchor, i64),
    field: Field,
) -> f64 {
    let (parts, anchor, as_of) = how;
    let mut value = value;
    for (action, close) in known {
        let counts = action.ex_ns <= as_of && action.known_ns <= as_of;
        let applies = match anchor {
            Anchor::Last => time < action.ex_ns,
            Anchor::First => time >= action.ex_ns,
        };
        let factor = match (action.what, close) {
            (What::Split { old, new }, _) if parts != Parts::Dividends => match field {
                Field::Price => old / new,
                Field::Volume => new / old,
            },
            (What::Dividend { amount }, Some(close)) if parts != Parts::Splits && field == Field::Price => {
                1.0 - amount / close
            }
            _ => 1.0,
        };
        if counts && applies {
            value *= if anchor == Anchor::Last { factor } else { 1.0 / factor };
        }
    }
    value
}

#[test]
fn columns_agree_with_multiplying_row_by_row() {
    let (mut random, cases) = (Random(21), cases(500));
    for case in 0..cases {
        let rows = random.below(60) as usize;
        let time = random.times(rows, 20);
        let closes: Vec<f64> = (0..rows).map(|_| random.between(500, 9000) as f64 / 100.0).collect();
        let count = random.below(7);
        let mut actions: Vec<Action> = Vec::new();
        for _ in 0..count {
            let ex_ns = random.between(-60, 700);
            let what = if random.chance(50) {
                What::Split { old: 1.0 + random.below(5) as f64, new: 1.0 + random.below(9) as f64 }
            } else {
                What::Dividend { amount: random.between(1, 300) as f64 / 100.0 }
            };
            actions.push(Action { ex_ns, known_ns: ex_ns + random.between(-100, 50), what });
        }
        let close_before = |ex: i64| time.partition_point(|t| *t < ex).checked_sub(1).map(|row| closes[row]);
        let known: Vec<_> = actions.iter().map(|action| (*action, close_before(action.ex_ns))).collect();
        let as_of = random.between(-100, 900);
        for (parts, anchor) in PARTS.into_iter().flat_map(|parts| ANCHORS.map(|anchor| (parts, anchor))) {
            let steps = steps(&actions, parts, as_of, |ex| Ok(close_before(ex))).unwrap();
            for field in [Field::Price, Field::Volume] {
                let mut values = closes.clone();
                adjust(&time, &mut values, &steps, field, anchor);
                for (row, value) in values.iter().enumerate() {
                    let wanted = row_by_row(time[row], closes[row], &known, (parts, anchor, as_of), field);
                    assert!(close_to(*value, wanted), "case {case}, row {row}: {value} is not {wanted}");
                }
            }
        }
    }
    println!("torture: adjustment row by row | {} columns | seed 21 | failures 0", cases * 12);
}

#[test]
fn splits_of_decimals_stay_decimals_and_nonsense_is_refused() {
    let split = |old, new| Action { ex_ns: 10, known_ns: 0, what: What::Split { old, new } };
    let of = |action: Action| steps(&[action], Parts::Both, 100, |_| Ok(Some(5.0)));
    let mut prices = [1.23, 12.3];
    adjust(&[5, 15], &mut prices, &of(split(10.0, 1.0)).unwrap(), Field::Price, Anchor::Last);
    assert_eq!(prices, [12.3, 12.3], "ten shares became one");
    assert!(of(split(0.0, 1.0)).is_err() && of(split(1.0, f64::NAN)).is_err());
    let dividend = |amount| Action { ex_ns: 10, known_ns: 0, what: What::Dividend { amount } };
    assert!(of(dividend(5.0)).unwrap_err().to_string().contains("on a close of 5"));
    assert!(of(dividend(-1.0)).is_err());
}

fn store_with(key: &SeriesKey, time: &[i64], closes: &[f64]) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    let mut transaction = store.begin();
    transaction.create_series(key, bars()).unwrap();
    let batch = ["open", "high", "low", "close", "volume"]
        .into_iter()
        .fold(Batch::new(time.to_vec()), |batch, name| batch.with(name, Values::F64(closes.to_vec())));
    transaction.upsert(key, batch).unwrap();
    transaction.commit().unwrap();
    (directory, store)
}

fn write_actions(store: &Store, table: &SeriesKey, rows: &[Action]) {
    let column = |of: &dyn Fn(&What) -> Option<f64>| tapestore::ColumnValues {
        values: Values::F64(rows.iter().map(|row| of(&row.what).unwrap_or(0.0)).collect()),
        nulls: Some(rows.iter().map(|row| of(&row.what).is_none()).collect()),
    };
    let kind = |row: &Action| if matches!(row.what, What::Split { .. }) { "split" } else { "dividend" };
    let batch = Batch::new(rows.iter().map(|row| row.ex_ns).collect())
        .with("kind", Values::Str(rows.iter().map(kind).collect::<Strings>()))
        .with("old", column(&|what| if let What::Split { old, .. } = what { Some(*old) } else { None }))
        .with("new", column(&|what| if let What::Split { new, .. } = what { Some(*new) } else { None }))
        .with(
            "amount",
            column(&|what| if let What::Dividend { amount } = what { Some(*amount) } else { None }),
        )
        .with("known", Values::I64(rows.iter().map(|row| row.known_ns).collect()));
    let mut transaction = store.begin();
    transaction.create_series(table, actions_schema()).unwrap();
    transaction.upsert(table, batch).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_point_in_time_shows_only_what_was_known() {
    let key = SeriesKey::new("A.X", "1d").unwrap();
    let table = SeriesKey::new("A.X", "actions").unwrap();
    let time: Vec<i64> = (0..10).map(|day| day * DAY).collect();
    let (_directory, store) = store_with(&key, &time, &[100.0; 10]);
    let split = |day: i64, known: i64, new| {
        let what = What::Split { old: 1.0, new };
        Action { ex_ns: day * DAY, known_ns: known * DAY, what }
    };
    // One announced ahead, one found out late, one to come.
    let written = [split(3, 1, 2.0), split(5, 8, 5.0), split(20, 2, 4.0)];
    write_actions(&store, &table, &written);
    let view = store.view();
    let read = actions(&view, &table).unwrap();
    assert_eq!(read, written);
    let first_close = |as_of: Option<i64>, anchor| {
        let how = Adjustment { as_of_ns: as_of.map(|day| day * DAY), anchor, ..Adjustment::default() };
        let rows = adjusted(&view, &key, 0..i64::MAX, Some(&["close", "volume"]), &read, &how).unwrap();
        let (closes, volumes) = (rows.f64("close").unwrap(), rows.f64("volume").unwrap());
        (closes[0], closes[9], volumes[0])
    };
    assert_eq!(first_close(Some(2), Anchor::Last), (100.0, 100.0, 100.0), "not in force yet");
    assert_eq!(first_close(Some(4), Anchor::Last), (50.0, 100.0, 200.0));
    assert_eq!(first_close(Some(7), Anchor::Last), (50.0, 100.0, 200.0), "in force, but nobody knew");
    assert_eq!(first_close(Some(8), Anchor::Last), (10.0, 100.0, 1000.0));
    assert_eq!(first_close(None, Anchor::Last), (10.0, 100.0, 1000.0), "the third is yet to come");
    assert_eq!(first_close(Some(25), Anchor::Last), (2.5, 25.0, 4000.0));
    assert_eq!(first_close(None, Anchor::First), (100.0, 1000.0, 100.0));
    // P3.
    let how = Adjustment::default();
    let part = adjusted(&view, &key, 0..2 * DAY, Some(&["close"]), &read, &how).unwrap();
    assert_eq!(part.f64("close").unwrap(), [10.0, 10.0]);
}

/// A dividend after days without trade was taken for one on a price of nothing.
#[test]
fn a_dividend_is_measured_by_the_last_close_that_there_is() {
    let key = SeriesKey::new("A.X", "1d").unwrap();
    let time: Vec<i64> = (0..50).map(|day| day * DAY).collect();
    let mut closes = vec![100.0; 50];
    closes[3..40].fill(f64::NAN);
    let (_directory, store) = store_with(&key, &time, &closes);
    let dividend = Action { ex_ns: 40 * DAY, known_ns: 0, what: What::Dividend { amount: 25.0 } };
    let view = store.view();
    let read = |action: &Action| {
        adjusted(&view, &key, 0..DAY, Some(&["close"]), &[*action], &Adjustment::default())
            .map(|rows| rows.f64("close").unwrap()[0])
    };
    assert_eq!(read(&dividend).unwrap(), 75.0);
    let first = Action { ex_ns: 0, ..dividend };
    assert_eq!(read(&first).unwrap(), 100.0, "before the first close there is nothing to adjust");
}

/// The numbers behind `"name":[…]` in a document of JSON, and the objects behind `"dividends":`.
fn numbers(text: &str, name: &str) -> Vec<f64> {
    let start = text.find(&format!("\"{name}\": [")).unwrap_or_else(|| panic!("no {name}"));
    let list = &text[start + name.len() + 5..];
    list[..list.find(']').unwrap()].split(',').map(|number| number.trim().parse().unwrap()).collect()
}

/// A year of Microsoft with four dividends: Yahoo's own adjusted closes.
#[test]
fn dividends_adjust_as_a_vendor_does() {
    let name = "api/yahoo-historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json";
    let Some(text) = real(name) else { return };
    let text = text.replace("\":[", "\": [");
    let seconds = numbers(&text, "timestamp");
    let (closes, wanted) =
        (numbers(&text, "close"), numbers(&text[text.find("\"adjclose\"").unwrap() + 5..], "adjclose"));
    let time: Vec<i64> = seconds.iter().map(|second| *second as i64 * 1_000_000_000).collect();
    let events = &text[text.find("\"dividends\"").unwrap()..];
    let mut paid = Vec::new();
    for event in events[..events.find("\"indicators\"").unwrap()].split("\"amount\"").skip(1) {
        let number = |text: &str| -> String {
            text.chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect()
        };
        let amount: f64 = number(event).parse().unwrap();
        let date: i64 = number(&event[event.find("\"date\"").unwrap()..]).parse().unwrap();
        let ex_ns = date * 1_000_000_000;
        paid.push(Action { ex_ns, known_ns: ex_ns, what: What::Dividend { amount } });
    }
    assert_eq!(paid.len(), 4);
    let key = SeriesKey::new("MSFT.US", "trades_day").unwrap();
    let (_directory, store) = store_with(&key, &time, &closes);
    let rows =
        adjusted(&store.view(), &key, i64::MIN..i64::MAX, Some(&["close"]), &paid, &Adjustment::default());
    let rows = rows.unwrap();
    // Later dividends than the file has lower all of Yahoo's numbers alike.
    let later = wanted[wanted.len() - 1] / closes[closes.len() - 1];
    let worst = rows
        .f64("close")
        .unwrap()
        .iter()
        .zip(&wanted)
        .map(|(own, wanted)| (own * later / wanted - 1.0).abs());
    let worst = worst.fold(0.0, f64::max);
    println!("{} days of MSFT, 4 dividends: the largest difference to Yahoo is {worst:.1e}", time.len());
    assert!(worst < 1e-6, "{worst}");
}
