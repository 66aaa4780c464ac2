//! Order books agree with plain maps, wherever the snapshots are.

use std::collections::BTreeMap;

use crate::common::{Random, cases, real};
use tapestore::{Batch, ColumnValues, Options, SeriesKey, Store, Values};
use tapestore_query::book::{Book, Level, Side, action, schema};
use tapestore_query::book_at;

/// One update: time, action, side, price, quantity, order.
type Update = (i64, u8, u8, f64, f64, Option<i64>);

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    (directory, store)
}

fn write(store: &Store, key: &SeriesKey, updates: &[Update]) {
    let orders = ColumnValues {
        values: Values::I64(updates.iter().map(|update| update.5.unwrap_or(0)).collect()),
        nulls: Some(updates.iter().map(|update| update.5.is_none()).collect()),
    };
    let batch = Batch::new(updates.iter().map(|update| update.0).collect())
        .with("action", Values::U8(updates.iter().map(|update| update.1).collect()))
        .with("side", Values::U8(updates.iter().map(|update| update.2).collect()))
        .with("price", Values::F64(updates.iter().map(|update| update.3).collect()))
        .with("quantity", Values::F64(updates.iter().map(|update| update.4).collect()))
        .with("order", orders);
    let mut transaction = store.begin();
    transaction.create_series(key, schema()).unwrap();
    transaction.append(key, batch).unwrap();
    transaction.commit().unwrap();
}

/// The book of both kinds in the plainest form: ticks of price to quantity, and a list of orders in order of arrival.
#[derive(Clone, Default)]
struct Plain {
    levels: [BTreeMap<i64, f64>; 2],
    orders: Vec<(i64, usize, i64, f64)>,
}

impl Plain {
    fn apply(&mut self, update: &Update) {
        let (_, code, side, price, quantity, order) = *update;
        let (side, tick) = (side as usize, (price * 100.0).round() as i64);
        let order = order.unwrap_or(-1);
        let known = self.orders.iter().position(|known| known.0 == order);
        match code {
            action::CLEAR => *self = Self::default(),
            action::SET if quantity == 0.0 => drop(self.levels[side].remove(&tick)),
            action::SET => drop(self.levels[side].insert(tick, quantity)),
            action::ADD => {
                self.orders.retain(|known| known.0 != order);
                self.orders.push((order, side, tick, quantity));
            }
            action::CHANGE => {
                if let Some(known) = known {
                    let place = &mut self.orders[known];
                    if (place.1, place.2) == (side, tick) {
                        place.3 = quantity;
                    } else {
                        self.orders.remove(known);
                        self.orders.push((order, side, tick, quantity));
                    }
                }
            }
            _ => self.orders.retain(|known| known.0 != order),
        }
    }

    fn levels(&self, side: Side) -> Vec<Level> {
        let mut all: BTreeMap<i64, (f64, u64)> =
            self.levels[side as usize].iter().map(|(tick, quantity)| (*tick, (*quantity, 0))).collect();
        for (_, of, tick, quantity) in &self.orders {
            if *of == side as usize {
                let level = all.entry(*tick).or_insert((0.0, 0));
                *level = (level.0 + quantity, level.1 + 1);
            }
        }
        let mut out: Vec<Level> = all
            .iter()
            .map(|(tick, (quantity, orders))| Level {
                price: *tick as f64 / 100.0,
                quantity: *quantity,
                orders: *orders,
            })
            .collect();
        if side == Side::Bid {
            out.reverse();
        }
        out
    }
}

fn random_updates(random: &mut Random, count: usize, clears: u64) -> Vec<Update> {
    let mut time = random.between(-100, 100);
    let mut update = || {
        time += if random.chance(40) { 0 } else { random.between(0, 9) };
        let (side, quantity) = (random.below(2) as u8, random.below(20) as f64);
        let price = random.between(-20, 60) as f64 / 100.0;
        let order = random.below(40) as i64;
        match random.below(1000) {
            roll if roll < clears => (time, action::CLEAR, 0, 0.0, 0.0, None),
            roll if roll < 400 => (time, action::SET, side, price, quantity, None),
            roll if roll < 700 => (time, action::ADD, side, price, 1.0 + quantity, Some(order)),
            roll if roll < 850 => (time, action::CHANGE, side, price, 1.0 + quantity, Some(order)),
            _ => (time, action::DELETE, side, price, 0.0, Some(order)),
        }
    };
    (0..count).map(|_| update()).collect()
}

#[test]
fn a_book_at_any_time_is_what_replaying_everything_gives() {
    let (mut random, cases) = (Random(31), cases(20));
    let mut asked = 0;
    for case in 0..cases {
        let (_directory, store) = new_store();
        let key = SeriesKey::new("A.X", "book").unwrap();
        // Some without a snapshot, some whose last one lies thousands of updates back.
        let (count, clears) = (100 + random.below(9000) as usize, [0, 1, 30][random.below(3) as usize]);
        let updates = random_updates(&mut random, count, clears);
        write(&store, &key, &updates);
        let view = store.view();
        for _ in 0..12 {
            let time = random.between(updates[0].0 - 5, updates[count - 1].0 + 5);
            let mut plain = Plain::default();
            updates.iter().filter(|update| update.0 <= time).for_each(|update| plain.apply(update));
            let book = book_at(&view, &key, time).unwrap();
            for side in [Side::Bid, Side::Ask] {
                assert_eq!(book.levels(side, usize::MAX), plain.levels(side), "case {case} at {time}");
                assert_eq!(book.levels(side, 3), plain.levels(side).into_iter().take(3).collect::<Vec<_>>());
                assert_eq!(book.depth(side), plain.levels(side).len());
                for level in book.levels(side, 5) {
                    let queue: Vec<(i64, f64)> = plain
                        .orders
                        .iter()
                        .filter(|order| {
                            order.1 == side as usize && order.2 == (level.price * 100.0).round() as i64
                        })
                        .map(|order| (order.0, order.3))
                        .collect();
                    assert_eq!(book.orders_at(side, level.price), queue, "K3");
                }
            }
            // A book out of its own snapshot is the same book.
            let mut again = Book::default();
            for (code, side, price, quantity, order) in book.snapshot() {
                again.apply(code, side as u8, price, quantity, order);
            }
            for side in [Side::Bid, Side::Ask] {
                assert_eq!(again.levels(side, usize::MAX), book.levels(side, usize::MAX));
            }
            asked += 1;
        }
    }
    println!("torture: order books against plain maps | {asked} books | seed 31 | failures 0");
}

#[test]
fn updates_that_mean_nothing_are_counted() {
    let mut book = Book::default();
    book.apply(action::DELETE, 0, 1.0, 0.0, Some(7));
    book.apply(action::CHANGE, 0, 1.0, 2.0, Some(7));
    book.apply(action::ADD, 0, 1.0, 2.0, None);
    book.apply(9, 0, 1.0, 2.0, None);
    book.apply(action::SET, 7, 1.0, 2.0, None);
    assert_eq!((book.unknown, book.depth(Side::Bid)), (5, 0));
}

/// The pairs of price and quantity behind `"b":[[` or `"a":[[` of a message.
fn pairs<'a>(message: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let start = message.find(&format!("\"{name}\":[")).expect("a list") + name.len() + 4;
    if message[start..].starts_with(']') {
        return Vec::new();
    }
    let list = &message[start..start + message[start..].find("]]").expect("the list ends")];
    let quoted: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    quoted.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Two captures of Binance: depth updates go in and come back exactly, and give the books that their texts give.
#[test]
fn captured_depth_updates_come_back_and_make_the_same_books() {
    for name in ["spot", "usdm"] {
        let Some(text) = real(&format!("book/hftbacktest_{name}_btcusdt_20240808.gz")) else { return };
        let mut updates: Vec<Update> = Vec::new();
        // By the text of the price, so that the engine's numbers are compared with what the exchange wrote.
        let mut texts: Vec<(i64, usize, &str, &str)> = Vec::new();
        for line in text.lines().filter(|line| line.contains("\"depthUpdate\"")) {
            let (time, message) = line.split_once(' ').unwrap();
            let time: i64 = time.parse().unwrap();
            for (side, name) in [(0, "b"), (1, "a")] {
                for (price, quantity) in pairs(message, name) {
                    let (p, q) = (price.parse().unwrap(), quantity.parse().unwrap());
                    updates.push((time, action::SET, side, p, q, None));
                    texts.push((time, side as usize, price, quantity));
                }
            }
        }
        assert!(updates.len() > 10_000, "{name}: {} updates", updates.len());
        let (_directory, store) = new_store();
        let key = SeriesKey::new("BTCUSDT.BINANCE", "book").unwrap();
        write(&store, &key, &updates);
        store.seal().unwrap();
        let view = store.view();
        let rows = view.read(&key).rows().unwrap();
        assert_eq!(rows.len(), updates.len());
        for (row, update) in updates.iter().enumerate() {
            let number = |name: &str| rows.f64(name).unwrap()[row].to_bits();
            let own = (rows.time()[row], number("price"), number("quantity"));
            assert_eq!(own, (update.0, update.3.to_bits(), update.4.to_bits()));
        }
        let mut random = Random(41);
        for _ in 0..10 {
            let time = texts[random.below(texts.len() as u64) as usize].0;
            let mut plain: [BTreeMap<String, f64>; 2] = Default::default();
            for (_, side, price, quantity) in texts.iter().take_while(|update| update.0 <= time) {
                // Prices of equal length sort by their texts.
                let price = format!("{price:0>20}");
                match quantity.parse().unwrap() {
                    0.0 => drop(plain[*side].remove(&price)),
                    quantity => drop(plain[*side].insert(price, quantity)),
                }
            }
            let book = book_at(&view, &key, time).unwrap();
            let found = |side| book.levels(side, usize::MAX).into_iter().map(|l| (l.price, l.quantity));
            let wanted =
                |side: usize| plain[side].iter().map(|(price, quantity)| (price.parse().unwrap(), *quantity));
            assert!(found(Side::Ask).eq(wanted(1)), "{name} at {time}");
            assert!(found(Side::Bid).eq(wanted(0).rev()), "{name} at {time}");
        }
        println!("{name}: {} updates of levels, 10 books compared", updates.len());
    }
}
