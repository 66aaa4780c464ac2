//! Tiers on the command line: what becomes cold with age, how new rows are sealed, and what is no age.

use super::{Place, member};

/// So many bars a minute apart, in hundredths that wander, with volumes of all sizes.
fn imported(count: u64, options: &str) -> Place {
    let place = Place::new();
    let row = |row: u64| {
        let mixed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        let (close, volume) = (50_000 + row / 9 + noise % 40, noise);
        let price = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
        let (high, low) = (price(close + 3), price(close - 4));
        format!("{},{},{high},{low},{},{volume}", 1_704_067_200 + row * 60, price(close - 1), price(close))
    };
    let file = place.write("wander.csv", (0..count).map(row).collect::<Vec<_>>().join("\n"));
    place.tape(&format!("import {file} --instrument A.X --frame 1m {options}")).clean();
    place
}

/// Rows that are hot, dense and cold.
fn tiers(place: &Place) -> [i64; 3] {
    let info = place.tape("info A.X 1m --json").clean();
    ["hot_rows", "dense_rows", "cold_rows"].map(|name| member(&info, name))
}

fn compact(place: &Place, line: &str) -> i64 {
    member(&place.tape(&format!("compact --json {line}")).clean(), "rows")
}

#[test]
fn rows_become_cold_with_age_and_are_written_once() {
    const ROWS: i64 = 500_000;
    const PIECE: i64 = 65_536;
    let place = imported(500_000, "");
    let before = place.tape("export A.X 1m --csv").clean();
    assert!(compact(&place, "") >= ROWS);
    assert_eq!(tiers(&place), [0, ROWS, 0], "nothing grows old unless it is asked for");
    // Of the pieces five end 144,000 minutes before the newest bar, and six 43,200 minutes.
    assert!(compact(&place, "--cold-after 100d") >= ROWS);
    assert_eq!(tiers(&place), [0, ROWS - 5 * PIECE, 5 * PIECE]);
    assert!(compact(&place, "--cold-after 100d") < 100, "what is cold is left alone");
    assert!(compact(&place, "--cold-after 30d") >= ROWS);
    assert_eq!(tiers(&place), [0, ROWS - 6 * PIECE, 6 * PIECE]);
    assert!(compact(&place, "") < 100, "and stays cold while nothing is merged with it");
    assert_eq!(tiers(&place)[2], 6 * PIECE);
    assert_eq!(place.tape("export A.X 1m --csv").clean(), before);
    assert_eq!(place.tape("verify --deep --json").clean(), "");
}

/// A series with segments of its own needs no compaction: an import that may goes over what has grown old.
#[test]
fn an_import_makes_cold_what_has_grown_old() {
    let place = imported(500_000, "");
    compact(&place, "");
    let file = place.write("more.csv", format!("{},600,601,599,600,1", 1_704_067_200 + 500_000 * 60));
    let import = |options: &str| {
        place.tape(&format!("import {file} --instrument A.X --frame 1m {options}")).clean();
        tiers(&place)[2]
    };
    assert_eq!(import(""), 0);
    assert_eq!(import("--cold-after 100d"), 5 * 65_536);
}

/// A small series stands in one segment with others, here the store's log, and is written again with them.
#[test]
fn an_age_is_not_remembered_where_rows_are_merged_again() {
    let place = imported(140_000, "");
    compact(&place, "--cold-after 30d");
    assert_eq!(tiers(&place), [0, 140_000 - 65_536, 65_536]);
    compact(&place, "");
    assert_eq!(tiers(&place), [0, 140_000, 0]);
}

#[test]
fn new_rows_are_sealed_in_the_tier_that_was_asked_for() {
    let place = imported(20_000, "--sealed-tier hot");
    assert_eq!(tiers(&place), [20_000, 0, 0]);
    // Others beside it: there is something to merge.
    let file = place.write("others.csv", super::minutes(20_000));
    place.tape(&format!("import {file} --instrument B.X --frame 1m")).clean();
    place.tape("compact").clean();
    assert_eq!(tiers(&place), [0, 20_000, 0]);
    let place = imported(140_000, "--sealed-tier hot --cold-after 30d");
    place.tape("compact --tier dense").clean();
    assert_eq!(tiers(&place), [0, 140_000, 0], "a tier that is asked for holds for all rows");
}

#[test]
fn what_is_no_age_is_told_with_an_example() {
    let place = Place::with_bars();
    for line in
        ["--cold-after soon", "--cold-after 30", "--cold-after 0d", "--cold-after -1d", "--cold-after="]
    {
        let error = place.tape(&format!("compact {line}")).failed(2);
        assert!(error.contains("--cold-after") && error.contains("30d"), "{line}: {error}");
    }
    let error = place.tape("compact --tier dense --cold-after 30d").failed(2);
    assert!(error.contains("--tier") && error.contains("--cold-after"), "{error}");
    let error = place.tape("import bars.csv --instrument A.X --frame 1m --sealed-tier warm").failed(2);
    assert!(error.contains("hot") && error.contains("dense"), "{error}");
}
