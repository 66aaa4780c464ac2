//! Order books: rebuilt at any time from the nearest snapshot and the updates after it.
//!
//! The series `book` of an instrument is a sequence of updates ([`schema`]), in the order in which they happened. An
//! update sets the quantity of a price (level 2), or adds, changes or deletes an order (level 3). A snapshot is a
//! `clear`, and the whole book after it at the same time.
//!
//! # Invariants
//! - K1. A book at a time holds everything that happened at or before it.
//! - K2. What was before the last clear does not matter.
//! - K3. Orders of one price stand in the order in which they came; one that changes its price goes to the end.
//! - K5. After a clear that says up to which update its snapshot goes, updates of smaller numbers are older than that and
//!   do not count: they were under way when the snapshot was made. Updates of greater numbers that arrived before the
//!   snapshot come on top of it: they overtook it.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use tapestore::schema::SchemaBuilder;
use tapestore::{ColumnType, Error, Result, Rows, Schema, SeriesKey, Values, View};

/// The codes of the column `action`.
pub mod action {
    /// Everything goes: a snapshot follows.
    pub const CLEAR: u8 = 0;
    /// The quantity at a price is this; zero: none.
    pub const SET: u8 = 1;
    /// A new order.
    pub const ADD: u8 = 2;
    /// An order has this price and quantity now.
    pub const CHANGE: u8 = 3;
    /// An order is gone.
    pub const DELETE: u8 = 4;
}

/// A side of a book, with its code in the column `side`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Buyers: 0.
    Bid = 0,
    /// Sellers: 1.
    Ask = 1,
}

/// The schema of a series of updates.
pub fn schema() -> Schema {
    SchemaBuilder::sequence()
        .column("action", ColumnType::U8)
        .describe("0 clear, 1 set the quantity of a price, 2 add, 3 change, 4 delete an order")
        .column("side", ColumnType::U8)
        .describe("0 bid, 1 ask")
        .column("price", ColumnType::F64)
        .describe("price, as the source states it; 0 for clear")
        .column("quantity", ColumnType::F64)
        .describe("quantity at the price or of the order; 0 removes the price")
        .nullable("order", ColumnType::I64)
        .describe("number of the order, for actions 2 to 4")
        .nullable("update", ColumnType::I64)
        .describe("number of the update, as the source counts them")
        .build()
        .expect("a valid schema")
}

/// A price that sorts as numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Price(i64);

impl Price {
    fn new(price: f64) -> Self {
        // −0.0 is 0.0; negative numbers sort the other way round by their bits.
        let bits = (price + 0.0).to_bits() as i64;
        Self(bits ^ ((bits >> 63) as u64 >> 1) as i64)
    }

    fn get(self) -> f64 {
        f64::from_bits((self.0 ^ ((self.0 >> 63) as u64 >> 1) as i64) as u64)
    }
}

/// What stands at one price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The price.
    pub price: f64,
    /// The quantity of all orders.
    pub quantity: f64,
    /// Number of orders; 0 in a book of level 2, which does not tell.
    pub orders: u64,
}

/// One row of a series of updates, but for its time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Update {
    action: u8,
    side: u8,
    price: f64,
    quantity: f64,
    order: Option<i64>,
    number: Option<i64>,
}

/// The updates that rows of [`schema`] hold.
///
/// # Errors
/// [`Error::Usage`] if they have other columns.
fn updates_of(rows: &Rows) -> Result<impl ExactSizeIterator<Item = Update> + DoubleEndedIterator + '_> {
    let codes = |name: &str| match rows.column(name).map(|column| &column.values) {
        Some(Values::U8(codes)) => Some(codes),
        _ => None,
    };
    let (Some(actions), Some(sides), Some(prices), Some(quantities)) =
        (codes("action"), codes("side"), rows.f64("price"), rows.f64("quantity"))
    else {
        return Err(Error::Usage(
            "a book needs the columns action, side (u8), price and quantity (f64)".into(),
        ));
    };
    let numbers = |name: &str| rows.i64(name).zip(rows.column(name));
    let (orders, updates) = (numbers("order"), numbers("update"));
    Ok((0..rows.len()).map(move |row| Update {
        action: actions[row],
        side: sides[row],
        price: prices[row],
        quantity: quantities[row],
        order: orders.filter(|(_, column)| !column.is_null(row)).map(|(numbers, _)| numbers[row]),
        number: updates.filter(|(_, column)| !column.is_null(row)).map(|(numbers, _)| numbers[row]),
    }))
}

/// An order book.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    /// By price and rank: 0 for a price's total, otherwise the order's place in the order of arrival (K3).
    sides: [BTreeMap<(Price, u64), f64>; 2],
    orders: HashMap<i64, (Side, Price, u64)>,
    rank: u64,
    /// Up to which update the last snapshot goes, if it says so (K5).
    snapshot_update: Option<i64>,
    /// Updates that arrived before that snapshot, and are newer (K5).
    overtook: Vec<Update>,
    /// Updates that were older than the snapshot before them (K5).
    pub stale: u64,
    /// Changes and deletions of orders that are not in the book, and updates that mean nothing.
    pub unknown: u64,
}

impl Book {
    /// Applies one update.
    pub fn apply(&mut self, action: u8, side: u8, price: f64, quantity: f64, order: Option<i64>) {
        let side = match side {
            0 => Side::Bid,
            1 => Side::Ask,
            _ => return self.unknown += 1,
        };
        let price = Price::new(price);
        match (action, order) {
            (action::CLEAR, _) => {
                self.sides = Default::default();
                self.orders.clear();
            }
            (action::SET, _) if quantity == 0.0 => drop(self.sides[side as usize].remove(&(price, 0))),
            (action::SET, _) => drop(self.sides[side as usize].insert((price, 0), quantity)),
            (action::ADD, Some(order)) => {
                self.remove(order);
                self.insert(order, side, price, quantity);
            }
            (action::CHANGE, Some(order)) => match self.orders.get(&order).copied() {
                Some((known, at, rank)) if (known, at) == (side, price) => {
                    self.sides[side as usize].insert((price, rank), quantity);
                }
                Some(_) => {
                    self.remove(order);
                    self.insert(order, side, price, quantity);
                }
                None => self.unknown += 1,
            },
            (action::DELETE, Some(order)) => {
                if !self.remove(order) {
                    self.unknown += 1;
                }
            }
            _ => self.unknown += 1,
        }
    }

    fn insert(&mut self, order: i64, side: Side, price: Price, quantity: f64) {
        self.rank += 1;
        self.orders.insert(order, (side, price, self.rank));
        self.sides[side as usize].insert((price, self.rank), quantity);
    }

    fn remove(&mut self, order: i64) -> bool {
        let known = self.orders.remove(&order);
        known.is_some_and(|(side, price, rank)| self.sides[side as usize].remove(&(price, rank)).is_some())
    }

    /// Applies the updates of rows of [`schema`].
    ///
    /// # Errors
    /// [`Error::Usage`] if they have other columns.
    pub fn apply_rows(&mut self, rows: &Rows) -> Result<()> {
        for update in updates_of(rows)? {
            if update.action == action::CLEAR {
                self.snapshot_update = update.number;
            } else if let Some((number, snapshot)) = update.number.zip(self.snapshot_update) {
                if number < snapshot {
                    self.stale += 1;
                    continue;
                }
                if number > snapshot {
                    self.catch_up();
                }
            }
            self.take(update);
        }
        Ok(())
    }

    fn take(&mut self, update: Update) {
        self.apply(update.action, update.side, update.price, update.quantity, update.order);
    }

    /// The snapshot is whole: what overtook it comes on top (K5).
    fn catch_up(&mut self) {
        for update in std::mem::take(&mut self.overtook) {
            self.take(update);
        }
    }

    /// The best `count` prices of a side, best first.
    pub fn levels(&self, side: Side, count: usize) -> Vec<Level> {
        let mut out: Vec<Level> = Vec::new();
        let add = |((price, rank), quantity): (&(Price, u64), &f64)| {
            let price = price.get();
            let one = u64::from(*rank > 0);
            let full = out.len() == count;
            match out.last_mut() {
                Some(last) if last.price == price => {
                    last.quantity += quantity;
                    last.orders += one;
                }
                _ if full => return ControlFlow::Break(()),
                _ => out.push(Level { price, quantity: *quantity, orders: one }),
            }
            ControlFlow::Continue(())
        };
        let _ = match side {
            Side::Ask => self.sides[1].iter().try_for_each(add),
            Side::Bid => self.sides[0].iter().rev().try_for_each(add),
        };
        out
    }

    /// The orders at a price, first come first, as numbers and quantities.
    pub fn orders_at(&self, side: Side, price: f64) -> Vec<(i64, f64)> {
        let price = Price::new(price);
        let mut orders: Vec<(u64, i64)> = self
            .orders
            .iter()
            .filter(|(_, place)| (place.0, place.1) == (side, price))
            .map(|(order, place)| (place.2, *order))
            .collect();
        orders.sort_unstable();
        let book = &self.sides[side as usize];
        orders.into_iter().map(|(rank, order)| (order, book[&(price, rank)])).collect()
    }

    /// Prices on a side.
    pub fn depth(&self, side: Side) -> usize {
        let mut prices: Vec<Price> = self.sides[side as usize].keys().map(|key| key.0).collect();
        prices.dedup();
        prices.len()
    }

    /// The book as a snapshot: a clear and what stands in the book, for [`schema`] without orders' numbers of updates.
    pub fn snapshot(&self) -> Vec<(u8, Side, f64, f64, Option<i64>)> {
        let mut out = vec![(action::CLEAR, Side::Bid, 0.0, 0.0, None)];
        let by_rank: HashMap<u64, i64> =
            self.orders.iter().map(|(order, (_, _, rank))| (*rank, *order)).collect();
        for side in [Side::Bid, Side::Ask] {
            // By rank, so that orders come in as they came.
            let mut levels: Vec<_> = self.sides[side as usize].iter().collect();
            levels.sort_by_key(|((price, rank), _)| (*rank, *price));
            for ((price, rank), quantity) in levels {
                let order = by_rank.get(rank).copied();
                let code = if order.is_some() { action::ADD } else { action::SET };
                out.push((code, side, price.get(), *quantity, order));
            }
        }
        out
    }
}

/// The book at a time, with all that happened at that time. Searches back for the last snapshot and replays what came
/// after it: costs what lies between, or everything if there is none.
///
/// # Errors
/// [`Error::NotFound`] if the series does not exist; [`Error::Usage`] if it holds no updates of a book.
pub fn book_at(view: &View, key: &SeriesKey, time: i64) -> Result<Book> {
    replay(view, key, None, Book::default(), time.saturating_add(1))
}

/// Updates before `end` on top of a book that holds everything at or before `from`; or, if there is one after that, from
/// the last clear on.
pub(crate) fn replay(
    view: &View,
    key: &SeriesKey,
    from: Option<i64>,
    mut book: Book,
    end: i64,
) -> Result<Book> {
    let clear = last_clear(view, key, from.unwrap_or(i64::MIN), end)?;
    let start = match (from, clear) {
        (_, Some(clear)) => clear,
        (Some(from), None) => from.saturating_add(1),
        (None, None) => i64::MIN,
    };
    if start >= end {
        return Ok(book);
    }
    if clear.is_some() {
        book.overtook = overtook(view, key, start)?;
    }
    let mut failure = None;
    view.read(key).range(start..end).visit(|rows| match book.apply_rows(rows) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match failure {
        Some(error) => Err(error),
        None => {
            book.catch_up();
            Ok(book)
        }
    }
}

/// The updates that stand before the last clear of a time, and are newer than its snapshot (K5).
fn overtook(view: &View, key: &SeriesKey, clear: i64) -> Result<Vec<Update>> {
    let mut count = 4096;
    loop {
        let rows = view.read(key).range(i64::MIN..clear.saturating_add(1)).last(count)?;
        let whole = rows.len() < count;
        let mut before = updates_of(&rows)?.rev().skip_while(|update| update.action != action::CLEAR);
        let Some(snapshot) = before.next().and_then(|clear| clear.number) else {
            if whole || rows.time().first().is_some_and(|first| *first < clear) {
                return Ok(Vec::new());
            }
            count *= 4;
            continue;
        };
        let mut newer: Vec<Update> = Vec::new();
        let older = before.find(|update| {
            let is_newer = update.number.is_some_and(|number| number > snapshot);
            if is_newer {
                newer.push(*update);
            }
            !is_newer
        });
        if older.is_some() || whole {
            newer.reverse();
            return Ok(newer);
        }
        count *= 4;
    }
}

/// The time of the last clear in `from..end`.
fn last_clear(view: &View, key: &SeriesKey, from: i64, end: i64) -> Result<Option<i64>> {
    let mut count = 4096;
    let mut until = end;
    loop {
        let rows = view.read(key).range(from..until).columns(&["action"]).last(count)?;
        let Some(Values::U8(actions)) = rows.column("action").map(|column| &column.values) else {
            return Err(Error::Usage(format!("{key} holds no updates of a book")));
        };
        if let Some(row) = actions.iter().rposition(|code| *code == action::CLEAR) {
            // Rows of that very time before it are replayed and cleared (K2).
            return Ok(Some(rows.time()[row]));
        }
        match rows.time().first() {
            // All rows of the first time were not seen for sure: look at that time again.
            Some(first) if rows.len() == count => {
                until = if *first + 1 < until { *first + 1 } else { until };
                count *= 4;
            }
            _ => return Ok(None),
        }
    }
}
