//! Columns of files of a known kind: trades, quotes, depth, orders and so on, under the names that kinds know.

use tapestore_catalog::Kind;
use tapestore_catalog::kind::KindColumn;
use tapestore_query::book::Side;
use tapestore_query::depth;

use super::columns::{Mapped, Mapping, Names, RESERVED, SYMBOLS, Wishes, plain, take_named};
use super::messages::RECEIVED;
use super::records::Header;
use crate::fail::{Fail, Result};

/// Maps a file of a kind. `json`: messages carry much that is no data; only what the kind knows is taken of them.
///
/// # Errors
/// A required column is missing, or the caller names one that is not there.
pub(crate) fn map_kind(
    file: &str,
    header: &Header,
    wishes: &Wishes,
    kind: Kind,
    json: bool,
) -> Result<Mapping> {
    let mut names = Names::new(file, header, None);
    let filters = names.filters(wishes)?;
    let mut explicit = names.named(wishes)?;
    let levels = if kind == Kind::Depth { level_columns(&names) } else { Vec::new() };
    for (_, cell) in &levels {
        names.take(*cell);
    }
    let time = match take_named(&mut explicit, "time") {
        Some(index) => index,
        None => {
            match std::iter::once(&RECEIVED).chain(kind.time_names()).find_map(|name| names.written_as(name))
            {
                Some(index) => names.take(index),
                None => names.time()?,
            }
        }
    };
    let market = kind.class() == tapestore_catalog::kind::Class::Market;
    let symbol = if market { SYMBOLS.iter().find_map(|name| names.find(name)) } else { None };
    let mut columns = Vec::new();
    for column in kind.columns() {
        let cell = take_named(&mut explicit, column.name).or_else(|| find(&mut names, column));
        match (cell, absent(kind, column)) {
            (None, None) if column.required => {
                return Err(Fail::Usage(format!(
                    "{file} has no column for {0} of {1}; name it with --column {0}=NAME; {2}",
                    column.name,
                    kind.name(),
                    names.listing()
                )));
            }
            (None, None) => {}
            (cell, value) => columns.push(Mapped {
                name: column.name.to_owned(),
                fixed: value.filter(|_| cell.is_none()),
                cell,
            }),
        }
    }
    if kind == Kind::Depth && levels.is_empty() {
        return Err(Fail::Usage(format!(
            "{file} has no prices by level, such as bid1, bid1_size, ask1 and ask1_size; {}",
            names.listing()
        )));
    }
    columns.extend(levels.into_iter().map(|(name, cell)| Mapped { name, cell: Some(cell), fixed: None }));
    columns.extend(explicit.into_iter().map(|(name, cell)| Mapped { name, cell: Some(cell), fixed: None }));
    let filtered = |index: usize| filters.iter().any(|(cell, _)| *cell == index);
    let symbol = symbol.filter(|index| !filtered(*index));
    let (mut ignored, mut renamed) = (Vec::new(), Vec::new());
    for index in names.untaken() {
        if Some(index) == symbol || filtered(index) {
            continue;
        }
        let written = names.written(index).to_owned();
        if json {
            ignored.push(written);
            continue;
        }
        let mut name = if written.is_empty() { format!("c{}", index + 1) } else { written.clone() };
        if RESERVED.contains(&name.as_str()) || columns.iter().any(|mapped| mapped.name == name) {
            name.push('_');
            renamed.push((written, name.clone()));
        }
        columns.push(Mapped { name, cell: Some(index), fixed: None });
    }
    Ok(Mapping { time, columns, finished: None, symbol, filters, ignored, renamed })
}

/// The value of a column that files of a kind may lack although every row has it: updates by price do not say so.
fn absent(kind: Kind, column: &KindColumn) -> Option<&'static str> {
    (kind == Kind::Book && column.name == "action").then_some("1")
}

/// A column by its name, then by the other names of it; as written first, since messages tell `m` from `M`.
fn find(names: &mut Names, column: &KindColumn) -> Option<usize> {
    let all = || std::iter::once(&column.name).chain(column.aliases);
    let index =
        all().find_map(|name| names.written_as(name)).or_else(|| all().find_map(|name| names.find(name)))?;
    Some(names.take(index))
}

/// Columns of a book of fixed depth, in order of the standard: `bid1_size` may be `bids[0].amount`, `bid_sz_00`,
/// `BidSize1` or `b1_qty` in the file.
fn level_columns(names: &Names) -> Vec<(String, usize)> {
    let mut found: Vec<(usize, Side, bool, usize)> = Vec::new();
    for index in names.untaken() {
        if let Some((side, level, size)) = level_of(names.written(index)) {
            found.push((level, side, size, index));
        }
    }
    // Files count from 0 or from 1.
    let first = found.iter().map(|column| column.0).min().unwrap_or(0);
    if first > 1 {
        return Vec::new();
    }
    found.sort_by_key(|(level, side, size, _)| (*level, *side as u8, *size));
    found.dedup_by_key(|(level, side, size, _)| (*level, *side as u8, *size));
    let kept = found.into_iter().filter(|(level, ..)| level - first < depth::LEVELS_MAX);
    kept.map(|(level, side, size, index)| (depth::column(side, level - first + 1, size), index)).collect()
}

/// Side, number and whether it is a quantity, from the name of a column.
fn level_of(name: &str) -> Option<(Side, usize, bool)> {
    let name = plain(name);
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let words: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    let sides = [
        ("bids", Side::Bid),
        ("asks", Side::Ask),
        ("bid", Side::Bid),
        ("ask", Side::Ask),
        ("b", Side::Bid),
        ("a", Side::Ask),
    ];
    let (side, size) =
        sides.into_iter().find_map(|(word, side)| Some((side, is_size(words.strip_prefix(word)?)?)))?;
    Some((side, digits.parse().ok()?, size))
}

/// Whether what follows the side in a name means a quantity; `None` if it means nothing.
fn is_size(word: &str) -> Option<bool> {
    match word {
        "" | "p" | "px" | "price" => Some(false),
        "size" | "sz" | "s" | "qty" | "q" | "quantity" | "amount" | "volume" | "vol" | "v" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str, kind: Kind, json: bool) -> Result<Mapping> {
        let header = Header::Names(text.split(',').map(str::to_owned).collect());
        map_kind("f", &header, &Wishes::default(), kind, json)
    }

    fn cells(mapping: &Mapping) -> Vec<(&str, usize)> {
        mapping.columns.iter().map(|mapped| (mapped.name.as_str(), mapped.cell.unwrap_or(99))).collect()
    }

    #[test]
    fn trades_of_exchanges_are_understood() {
        let binance = map("e,E,s,t,p,q,T,m,M", Kind::Trades, true).unwrap();
        assert_eq!((binance.time, binance.symbol), (6, Some(2)));
        assert_eq!(cells(&binance), [("id", 3), ("price", 4), ("quantity", 5), ("side", 7)]);
        let okx = map("instId,tradeId,px,sz,side,ts", Kind::Trades, true).unwrap();
        assert_eq!((okx.time, cells(&okx)), (5, vec![("id", 1), ("price", 2), ("quantity", 3), ("side", 4)]));
        let csv = map("time,price,quantity,venue", Kind::Trades, false).unwrap();
        assert_eq!(cells(&csv), [("price", 1), ("quantity", 2), ("venue", 3)]);
        let error = map("time,price", Kind::Trades, false).unwrap_err().to_string();
        assert!(error.contains("--column quantity="), "{error}");
    }

    #[test]
    fn levels_are_found_however_they_are_written() {
        let standard =
            [("bid1", 1), ("bid1_size", 2), ("ask1", 3), ("ask1_size", 4), ("bid2", 5), ("bid2_size", 6)];
        for text in [
            "timestamp,bids[0].price,bids[0].amount,asks[0].price,asks[0].amount,bids[1].price,bids[1].amount",
            "ts_event,bid_px_00,bid_sz_00,ask_px_00,ask_sz_00,bid_px_01,bid_sz_01",
            "time,BidPrice1,BidSize1,AskPrice1,AskSize1,BidPrice2,BidSize2",
            "time,b1_p,b1_q,a1_p,a1_q,b2_p,b2_q",
        ] {
            assert_eq!(cells(&map(text, Kind::Depth, false).unwrap()), standard, "{text}");
        }
        assert!(map("time,open", Kind::Depth, false).is_err());
    }

    #[test]
    fn updates_without_an_action_set_quantities() {
        let tardis = map("symbol,timestamp,local_timestamp,is_snapshot,side,price,amount", Kind::Book, false);
        let tardis = tardis.unwrap();
        assert_eq!(tardis.columns[0], Mapped { name: "action".into(), cell: None, fixed: Some("1") });
        let orders = map("id,timestamp,price,volume,action,direction", Kind::Book, false).unwrap();
        assert_eq!(cells(&orders), [("action", 4), ("side", 5), ("price", 2), ("quantity", 3), ("order", 0)]);
    }
}
