//! Schema files: both languages say the same, what is written reads back, mistakes are named with their lines.

use tapestore::ColumnType;
use tapestore::time::{DAY_NS, Timeframe};
use tapestore_catalog::file::{Language, parse, to_toml, to_yaml};
use tapestore_catalog::{Declarations, Key, Kind, Retention};

const TOML: &str = r#"# What the desk keeps.
[[tables]]
name = "ticks"
instruments = ["BTCUSDT.BINANCE", "*.OKX"]
frame = "trades"
comment = "Every trade"
tags = { desk = "crypto", rank = 1 }
retention = { keep = "30d", rollup = ["1m", "1h"] }

[[tables.columns]]
name = "price"
decimals = 2

[[tables.columns]]
name = "venue_flag"
type = "u8"
nullable = false
default = 0
comment = "as the venue states it"

[[tables]]
name = "symbols"
instruments = "reference"
frame = "symbols"
dedup = ["symbol"]

[[tables.columns]]
name = "symbol"
type = "VARCHAR(20)"
nullable = false

[[tables.columns]]
name = "fee"
type = "NUMERIC(10, 4)"
"#;

const YAML: &str = r#"# What the desk keeps.
tables:
  - name: ticks
    instruments: ["BTCUSDT.BINANCE", "*.OKX"]
    frame: trades
    comment: Every trade
    tags: { desk: crypto, rank: 1 }
    retention: { keep: 30d, rollup: [1m, 1h] }
    columns:
      - { name: price, decimals: 2 }
      - name: venue_flag
        type: u8
        nullable: false
        default: 0
        comment: "as the venue states it"
  - name: symbols
    instruments: reference
    frame: symbols
    dedup: [symbol]
    columns:
      - { name: symbol, type: VARCHAR(20), nullable: false }
      - { name: fee, type: "NUMERIC(10, 4)" }
"#;

fn without_lines(mut declarations: Declarations) -> Declarations {
    declarations.tables.iter_mut().for_each(|table| table.line = 0);
    declarations
}

fn toml(text: &str) -> Result<Declarations, String> {
    parse("s.toml", text, Language::Toml).map_err(|error| error.to_string())
}

fn yaml(text: &str) -> Result<Declarations, String> {
    parse("s.yaml", text, Language::Yaml).map_err(|error| error.to_string())
}

#[test]
fn toml_and_yaml_say_the_same() {
    let (one, two) = (toml(TOML).unwrap(), yaml(YAML).unwrap());
    assert_eq!(one.tables.iter().map(|table| table.line).collect::<Vec<_>>(), [3, 22]);
    assert_eq!(two.tables.iter().map(|table| table.line).collect::<Vec<_>>(), [3, 16]);
    assert_eq!(without_lines(one.clone()), without_lines(two));
    let ticks = one.table("ticks").unwrap();
    assert_eq!((ticks.kind, &ticks.key), (Some(Kind::Trades), &Key::Sequence(vec!["id".into()])));
    assert_eq!(ticks.tags["rank"], "1");
    let rollup = vec![Timeframe::parse("1m").unwrap(), Timeframe::parse("1h").unwrap()];
    assert_eq!(ticks.retention, Some(Retention { keep_ns: Some(30 * DAY_NS), rollup }));
    assert_eq!(
        ticks.column("price").map(|column| (column.decimals, column.nullable)),
        Some((Some(2), false))
    );
    let flag = ticks.column("venue_flag").unwrap();
    assert_eq!((flag.kind, flag.nullable, flag.default.as_deref()), (ColumnType::U8, false, Some("0")));
    let symbols = one.table("symbols").unwrap();
    assert_eq!(symbols.kind, None);
    assert_eq!(symbols.column("symbol").map(|column| column.kind), Some(ColumnType::String));
    assert_eq!(symbols.column("fee").map(|c| (c.kind, c.decimals)), Some((ColumnType::F64, Some(4))));
}

#[test]
fn what_is_written_reads_back() {
    let mut declared = without_lines(toml(TOML).unwrap());
    declared.tables[0].comment = "\"quotes\", back\\slash,\ttab\nline \u{7} 腾讯 \u{2028} #: {}".into();
    declared.tables[1].columns[0].default = Some("no: yes".into());
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Bars) {
        let text = format!("tables: [{{ name: x, frame: {0}, kind: {0}, instruments: [A] }}]", kind.name());
        let mut table = without_lines(yaml(&text).unwrap()).tables.remove(0);
        table.name = kind.name().into();
        declared.tables.push(table);
    }
    let bars = yaml("tables: [{ name: bars, frame: 1min, instruments: '*', retention: { keep: forever } }]")
        .unwrap();
    declared.tables.extend(without_lines(bars).tables);
    let other = yaml("tables: [{ name: other, frame: fills, kind: orders }, { name: deep, frame: d, instruments: A,
        kind: depth, levels: 20 }, { name: own, frame: trades, kind: none, instruments: A, columns: [{ name: a, type: i64 }] }]");
    declared.tables.extend(without_lines(other.unwrap()).tables);
    assert_eq!(without_lines(toml(&to_toml(&declared)).unwrap()), declared);
    assert_eq!(without_lines(yaml(&to_yaml(&declared)).unwrap()), declared);
    let none = Declarations::default();
    assert_eq!(yaml(&to_yaml(&none)), Ok(none));
}

#[test]
fn mistakes_are_named_with_their_lines() {
    let table = "[[tables]]\nname = \"t\"\nframe = \"x\"\ninstruments = \"A\"\n";
    for (text, line, what) in [
        ("[[tables]\n".to_owned(), 1, ""),
        ("\n\nx = 1\n".to_owned(), 3, "no field \"x\"; the fields are tables"),
        ("tables = 3\n".to_owned(), 1, "a list is expected"),
        ("[[tables]]\nname = \"t\"\n".to_owned(), 2, "needs the field \"frame\""),
        (format!("{table}colums = []\n"), 5, "colums"),
        (table.to_owned(), 2, "no columns"),
        (format!("{table}[[tables.columns]]\nname = \"a\"\n"), 6, "needs the field \"type\""),
        (format!("{table}[[tables.columns]]\nname = \"a\"\ntype = \"blob\"\n"), 7, "i64, f64"),
        (format!("{table}[[tables.columns]]\nname = \"time\"\ntype = \"i64\"\n"), 2, "reserved"),
        (format!("{table}[[tables.columns]]\nname = \"a\"\ntype = \"u8\"\ndefault = 256\n"), 8, "256"),
        // Found by fuzzing: decimals of numbers as SQL writes them were not bounded.
        (format!("{table}[[tables.columns]]\nname = \"a\"\ntype = \"numeric(9,54)\"\n"), 7, "from 0 to 18"),
        (format!("{table}[[tables.columns]]\nname = \"a\"\ntype = \"u8\"\ndecimals = 2\n"), 8, "only f64"),
        (
            format!("{table}dedup = [\"q\"]\n[[tables.columns]]\nname = \"a\"\ntype = \"u8\"\n"),
            5,
            "no column",
        ),
        (format!("{table}kind = \"trade\"\n"), 5, "trades"),
        (format!("{table}kind = \"trades\"\nkey = \"primary\"\n"), 6, "\"unique\" or \"sequence\""),
        (format!("{table}kind = \"trades\"\nretention = {{ keep = \"soon\" }}\n"), 6, "30d"),
        (format!("{table}kind = \"trades\"\n\n{table}kind = \"trades\"\n"), 8, "line 2"),
        (table.replace("\"A\"", "\"tapestore\"") + "kind = \"trades\"\n", 4, "own tables"),
        (table.replace("\"x\"", "\"1m\"") + "key = \"sequence\"\n", 5, "\"unique\""),
    ] {
        let error = toml(&text).unwrap_err();
        assert!(error.contains(&format!("s.toml, line {line}: ")) && error.contains(what), "{text}\n{error}");
    }
    for (text, line, what) in [
        ("", 1, "no tables"),
        ("tables:\n  - name: a\n   frame: b\n", 3, ""),
        ("tables:\n  - &a {}\n  - *a\n", 3, "aliases"),
        ("a: &a 1\nb: *a\n", 2, "aliases"),
        ("tables: []\n---\ntables: []\n", 3, "one document"),
        ("tables: []\ntables: []\n", 2, "twice"),
        ("tables:\n  - name: a\n    frame: 7q\n", 3, "7q"),
        ("tables:\n  - name: 7\n", 2, "a text in quotes"),
    ] {
        let error = yaml(text).unwrap_err();
        assert!(error.contains(&format!("s.yaml, line {line}: ")) && error.contains(what), "{text}\n{error}");
    }
}
