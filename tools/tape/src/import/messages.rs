//! Messages of exchanges as rows of a kind: an object is a row; one that holds prices by level is a row for each of them
//! (updates of a book), or one wide row (a book of fixed depth).

use simd_json::StaticNode;
use simd_json::borrowed::{Object, Value};
use simd_json::prelude::Writable;
use tapestore_catalog::Kind;
use tapestore_query::book::Side;
use tapestore_query::depth::{LEVELS_MAX, column};

use crate::number::{push_f64, push_i64};

/// The column of a time that stands before the JSON of a line: when the message was received.
pub(crate) const RECEIVED: &str = "(received)";
/// How deep messages are looked for.
const DEPTH: usize = 6;
/// Most plain members of a message of a book that are kept: each of its levels carries them.
const MEMBERS: usize = 64;
const PRICES: [&str; 3] = ["price", "px", "p"];
const QUANTITIES: [&str; 6] = ["size", "sz", "qty", "quantity", "q", "amount"];
/// Columns of an update of a book.
const UPDATE: [&str; 5] = ["action", "side", "price", "quantity", "update"];
/// Under which names messages say which update they are, or up to which a whole book is.
const NUMBERS: [&str; 4] = ["u", "lastUpdateId", "seqId", "seq"];

/// A row: names and cells.
pub(crate) type Row = Vec<(String, Vec<u8>)>;

/// A line of a capture: the time before the JSON, if there is one, and the JSON.
pub(crate) fn received(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match line[digits..].trim_ascii_start() {
        rest @ [b'{' | b'[', ..] if digits >= 10 && line.get(digits) == Some(&b' ') => {
            (Some(&line[..digits]), rest)
        }
        _ => (None, line),
    }
}

/// Prices and quantities of a side.
type Levels<'v, 't> = Vec<(&'v Value<'t>, &'v Value<'t>)>;

/// The rows in a value.
pub(crate) fn rows_of(value: &Value<'_>, kind: Kind, received: Option<&[u8]>) -> Vec<Row> {
    let mut rows = Vec::new();
    let context = received.map(|stamp| (RECEIVED.to_owned(), stamp.to_vec())).into_iter().collect();
    find(value, kind, DEPTH, &context, &mut rows);
    rows
}

fn find(value: &Value<'_>, kind: Kind, depth: usize, context: &Row, rows: &mut Vec<Row>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| find(item, kind, depth - 1, context, rows)),
        Value::Object(object) => {
            if let (Kind::Book | Kind::Depth, Some(sides)) = (kind, sides(object)) {
                let own = with_scalars(context, object, MEMBERS);
                return if kind == Kind::Book {
                    updates(&own, &sides, rows);
                } else {
                    snapshot(own, &sides, rows);
                };
            }
            let nested = |value: &Value<'_>| match value {
                Value::Object(_) => true,
                Value::Array(items) => items.iter().any(|item| !is_plain(item)),
                _ => false,
            };
            let (has_nested, plain) =
                (object.values().any(nested), object.values().filter(|v| is_plain(v)).count());
            if !has_nested && plain >= 2 {
                // What a message says wins over what is said around it.
                return rows.push(with_scalars(context, object, usize::MAX));
            }
            // Times and kinds of books stand around them.
            let around = if matches!(kind, Kind::Book | Kind::Depth) {
                with_scalars(context, object, MEMBERS)
            } else {
                context.clone()
            };
            object.values().for_each(|member| find(member, kind, depth - 1, &around, rows));
        }
        _ => {}
    }
}

fn is_plain(value: &Value<'_>) -> bool {
    matches!(value, Value::Static(_) | Value::String(_))
}

/// What was said around an object, and its plain members, at most `most` of them.
fn with_scalars(context: &Row, object: &Object<'_>, most: usize) -> Row {
    let mut out = context.clone();
    let room = most.saturating_sub(out.len());
    for (name, value) in object.iter().filter(|(_, value)| is_plain(value)).take(room) {
        let mut cell = Vec::new();
        push_cell(&mut cell, value);
        match out.iter_mut().find(|known| known.0 == **name) {
            Some(known) => known.1 = cell,
            None => out.push((name.to_string(), cell)),
        }
    }
    out
}

/// Prices and quantities of both sides, if an object holds any: each level a list or an object.
fn sides<'v, 't>(object: &'v Object<'t>) -> Option<[Levels<'v, 't>; 2]> {
    let list = |value: &'v Value<'t>| match value {
        Value::Array(items) => items.iter().map(level).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let side = |names: [&str; 2]| names.iter().find_map(|name| object.get(*name)).map(list);
    if let Some(Value::Array(both)) = object.get("levels")
        && let [bids, asks] = both.as_slice()
    {
        return Some([list(bids)?, list(asks)?]);
    }
    match (side(["bids", "b"]), side(["asks", "a"])) {
        (None, None) => None,
        (bids, asks) => {
            Some([bids.unwrap_or_else(|| Some(Vec::new()))?, asks.unwrap_or_else(|| Some(Vec::new()))?])
        }
    }
}

fn level<'v, 't>(value: &'v Value<'t>) -> Option<(&'v Value<'t>, &'v Value<'t>)> {
    match value {
        Value::Array(cells) => Some((cells.first()?, cells.get(1)?)),
        Value::Object(object) => {
            let of = |names: &[&str]| names.iter().find_map(|name| object.get(*name));
            Some((of(&PRICES)?, of(&QUANTITIES)?))
        }
        _ => None,
    }
}

fn updates(own: &Row, sides: &[Levels<'_, '_>; 2], rows: &mut Vec<Row>) {
    let says = |name: &str| own.iter().find(|member| member.0 == name).map(|member| member.1.as_slice());
    // A reply that holds a whole book says up to which update; a stream says what kind a message is.
    let whole = says("lastUpdateId").is_some()
        || ["type", "action", "e"].iter().any(|name| says(name) == Some(b"snapshot"));
    let number = NUMBERS.iter().find_map(|name| says(name)).unwrap_or_default();
    let base: Row = own.iter().filter(|member| !UPDATE.contains(&&*member.0)).cloned().collect();
    let mut push = |action: &[u8], side: &[u8], price: &[u8], quantity: &[u8]| {
        let mut row = base.clone();
        for (name, cell) in UPDATE.iter().zip([action, side, price, quantity, number]) {
            row.push(((*name).to_owned(), cell.to_vec()));
        }
        rows.push(row);
    };
    if whole {
        push(b"0", b"0", b"0", b"0");
    }
    for (side, levels) in [b"0", b"1"].into_iter().zip(sides) {
        for (price, quantity) in levels {
            push(b"1", side, &text(price), &text(quantity));
        }
    }
}

fn snapshot(mut own: Row, sides: &[Levels<'_, '_>; 2], rows: &mut Vec<Row>) {
    for (side, levels) in [Side::Bid, Side::Ask].into_iter().zip(sides) {
        for ((price, quantity), number) in levels.iter().take(LEVELS_MAX).zip(1..) {
            own.push((column(side, number, false), text(price)));
            own.push((column(side, number, true), text(quantity)));
        }
    }
    rows.push(own);
}

fn text(value: &Value<'_>) -> Vec<u8> {
    let mut cell = Vec::new();
    push_cell(&mut cell, value);
    cell
}

/// The text of a plain value, as CSV would hold it; floats in the shortest form, so nothing is lost.
pub(crate) fn push_cell(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        Value::Static(StaticNode::I64(number)) => push_i64(out, *number),
        Value::Static(StaticNode::U64(number)) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Static(StaticNode::F64(number)) => push_f64(out, *number),
        Value::Static(StaticNode::Bool(yes)) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Static(StaticNode::Null) => {}
        nested => out.extend_from_slice(nested.encode().as_bytes()),
    }
}
