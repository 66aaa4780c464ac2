//! Order books of fixed depth: one row is the best prices of both sides at a time.
//!
//! # Invariants
//! - K4. A snapshot holds everything that happened at or before its time: of updates, only later ones come on top of it.

use tapestore::schema::SchemaBuilder;
use tapestore::{ColumnType, Error, Result, Rows, Schema, SeriesKey, View};

use crate::book::{self, Book, Side, action};

/// Most levels of a side.
pub const LEVELS_MAX: usize = 250;

/// Name of the column of a price, or of its quantity. Levels count from 1, the best.
pub fn column(side: Side, level: usize, size: bool) -> String {
    let side = if side == Side::Bid { "bid" } else { "ask" };
    format!("{side}{level}{}", if size { "_size" } else { "" })
}

/// The schema of snapshots with `levels` prices on each side. A side that has fewer is null from there on.
pub fn schema(levels: usize) -> Schema {
    let mut builder = SchemaBuilder::sequence();
    for level in 1..=levels {
        for (side, name) in [(Side::Bid, "bid"), (Side::Ask, "ask")] {
            builder = builder
                .nullable(&column(side, level, false), ColumnType::F64)
                .describe(&format!("{name} {level}, the best is 1"))
                .nullable(&column(side, level, true), ColumnType::F64)
                .describe(&format!("quantity at {name} {level}"));
        }
    }
    builder.build().expect("names are different")
}

/// How many levels the snapshots of a series have; 0 if it holds none.
pub fn levels(schema: &Schema) -> usize {
    let has = |level: &usize| {
        let known = |side, size| {
            schema.column(&column(side, *level, size)).is_some_and(|column| column.kind == ColumnType::F64)
        };
        [Side::Bid, Side::Ask].into_iter().all(|side| known(side, false) && known(side, true))
    };
    (1..=LEVELS_MAX).take_while(has).count()
}

/// The book that a row of a snapshot shows.
///
/// # Errors
/// [`Error::Usage`] if the rows are no snapshots.
pub fn book(rows: &Rows, row: usize) -> Result<Book> {
    let schema = Schema { columns: rows.columns.clone(), key: tapestore::KeyPolicy::Unique };
    let levels = levels(&schema);
    if levels == 0 {
        return Err(Error::Usage("a snapshot needs the columns bid1, bid1_size, ask1 and ask1_size".into()));
    }
    let mut book = Book::default();
    for level in 1..=levels {
        for side in [Side::Bid, Side::Ask] {
            let value = |size| {
                let name = column(side, level, size);
                rows.column(&name).filter(|column| !column.is_null(row)).and(rows.f64(&name)).map(|v| v[row])
            };
            if let (Some(price), Some(quantity)) = (value(false), value(true)) {
                book.apply(action::SET, side as u8, price, quantity, None);
            }
        }
    }
    Ok(book)
}

/// The book at a time, out of the nearest snapshot at or before it, and the updates after that. Updates that hold a whole
/// book themselves (a clear, and what follows) are a snapshot, too; of one time, theirs is taken.
///
/// # Errors
/// [`Error::NotFound`] if a series does not exist; [`Error::Usage`] if it holds something else.
pub fn book_at(view: &View, snapshots: &SeriesKey, updates: Option<&SeriesKey>, time: i64) -> Result<Book> {
    let end = time.saturating_add(1);
    let rows = view.read(snapshots).range(i64::MIN..end).last(1)?;
    let from = rows.time().first().copied();
    let start = match from {
        Some(_) => book(&rows, 0)?,
        None => Book::default(),
    };
    match updates {
        None => Ok(start),
        Some(updates) => book::replay(view, updates, from, start, end),
    }
}
