//! Kinds of data: files go in under standard names and come back exactly.

use super::real::{data, text};
use super::{Place, member};

/// The text behind `"name":"` in a message.
fn quoted<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let start = message.find(&format!("\"{name}\":\""))? + name.len() + 4;
    Some(&message[start..start + message[start..].find('"')?])
}

/// The number behind `"name":` in a message.
fn number<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let start = message.find(&format!("\"{name}\":"))? + name.len() + 3;
    let end = message[start..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(0);
    Some(&message[start..start + end])
}

/// The pairs of price and quantity behind `"b":[[` or `"a":[[`.
fn pairs<'m>(message: &'m str, name: &str) -> Vec<(&'m str, &'m str)> {
    let start = message.find(&format!("\"{name}\":[")).expect("a list") + name.len() + 4;
    let list = &message[start
        ..start
            + message[start..]
                .find(if message[start..].starts_with(']') { "]" } else { "]]" })
                .expect("ends")];
    let quoted: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    quoted.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

fn bits(text: &str) -> u64 {
    text.parse::<f64>().expect("a number").to_bits()
}

/// Captures of an exchange: trades, quotes and depth of one file, each by its kind.
#[test]
fn captured_streams_come_back_by_kind() {
    let Some(data) = data() else { return };
    let name = "book/hftbacktest_spot_btcusdt_20240808.gz";
    let (file, source) = (data.join(name), text(&data.join(name)));
    let place = Place::new();
    let import = |kind: &str| {
        let line = format!("import {} --kind {kind} --instrument BTCUSDT.BINANCE --json", file.display());
        let report = place.tape(&line).clean();
        let export = format!("export BTCUSDT.BINANCE {kind} --csv --time ns");
        (member(&report, "added"), place.tape(&export).clean())
    };
    let messages = |of: &'static str| {
        source.lines().filter(move |line| line.contains(of)).map(|line| line.split_once(' ').expect("a time"))
    };
    let (added, trades) = import("trades");
    let mut count = 0;
    for (row, (time, message)) in trades.lines().skip(1).zip(messages("\"e\":\"trade\"")) {
        let cells: Vec<&str> = row.split(',').collect();
        let side = if number(message, "m") == Some("true") { "sell" } else { "buy" };
        assert_eq!([cells[0], cells[1], cells[4]], [time, number(message, "t").unwrap(), side]);
        assert_eq!(
            [bits(cells[2]), bits(cells[3])],
            ["p", "q"].map(|name| bits(quoted(message, name).unwrap()))
        );
        count += 1;
    }
    assert_eq!((count, trades.lines().count() as i64 - 1), (added, added));
    let (added, quotes) = import("quotes");
    let mut count = 0;
    for (row, (time, message)) in quotes.lines().skip(1).zip(messages("@bookTicker")) {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!([cells[0], cells[5]], [time, number(message, "u").unwrap()]);
        let wanted = ["b", "B", "a", "A"].map(|name| bits(quoted(message, name).unwrap()));
        assert_eq!([1, 2, 3, 4].map(|at: usize| bits(cells[at])), wanted);
        count += 1;
    }
    assert_eq!((count, quotes.lines().count() as i64 - 1), (added, added));
    let (added, book) = import("book");
    let mut rows = book.lines().skip(1);
    let mut count = 0;
    let mut next = || rows.next().expect("another row").split(',').map(str::to_owned).collect::<Vec<_>>();
    for line in source.lines().filter(|line| line.contains("depthUpdate") || line.contains("lastUpdateId")) {
        let (time, message) = line.split_once(' ').expect("a time");
        let whole = message.contains("lastUpdateId");
        if whole {
            assert_eq!(next()[..3], [time, "0", "0"]);
            count += 1;
        }
        for (side, names) in [("0", ["b", "bids"]), ("1", ["a", "asks"])] {
            for (price, quantity) in pairs(message, names[usize::from(whole)]) {
                let cells = next();
                assert_eq!(cells[..3], [time, "1", side]);
                assert_eq!([bits(&cells[3]), bits(&cells[4])], [bits(price), bits(quantity)]);
                count += 1;
            }
        }
    }
    assert!(rows.next().is_none() && count == added && added > 100_000, "{count} of {added}");
    // The book is never crossed: bids lie below asks.
    for at in ["2024-08-08T23:55:00Z", "2024-08-08T23:57:30Z", "2024-08-08T23:59:59Z"] {
        let out = place.tape(&format!("book BTCUSDT.BINANCE --at {at} --levels 1 --json")).clean();
        let prices: Vec<f64> = out
            .lines()
            .map(|line| {
                line[line.find("\"price\": ").unwrap() + 9..].split(',').next().unwrap().parse().unwrap()
            })
            .collect();
        assert!(prices[0] < prices[1] && prices[1] - prices[0] < 10.0, "{at}: {prices:?}");
    }
    assert_eq!(place.tape("verify --deep --json").clean(), "");
}

/// Trades of a US share, and orders of an exchange, in CSV.
#[test]
fn real_files_of_trades_and_quotes_go_in_by_kind() {
    let Some(data) = data() else { return };
    let place = Place::new();
    let file = data.join("trades/AIG_trade_201310.csv.gz");
    let line = format!(
        "import {} --kind trades --instrument AIG --column price=price_e4 --type cond_hex=string --json",
        file.display()
    );
    let source = text(&file);
    assert_eq!(member(&place.tape(&line).clean(), "added"), source.lines().count() as i64 - 1);
    let again = place.tape(&line).clean();
    assert_eq!(member(&again, "added"), 0, "{again}");
    let out = place
        .tape("export AIG trades --csv --time ms --columns price,quantity,exchange,cond_hex,suspicious")
        .clean();
    assert!(out.lines().skip(1).eq(source.lines().skip(1)), "trades differ");
    let file = data.join("trades/AIG_quote_201310_head.csv.gz");
    let line = format!(
        "import {} --kind quotes --instrument AIG --column bid=bid_e4 --column ask=ask_e4 --type cond_hex=string --json",
        file.display()
    );
    assert_eq!(member(&place.tape(&line).clean(), "added"), 1_500_000);
    let out = place
        .tape("head AIG quotes -n 1000 --csv --time ms --columns bid,bid_size,ask,ask_size,exchange")
        .clean();
    for (row, line) in out.lines().skip(1).zip(text(&file).lines().skip(1)) {
        assert!(line.starts_with(row), "{row} {line}");
    }
}

/// Recorded replies of exchanges become books and trades.
#[test]
fn replies_of_exchanges_are_understood_by_kind() {
    let Some(data) = data() else { return };
    let place = Place::new();
    for (name, kind, rows) in [
        ("binance-http_spot_market_trades", "trades", 10),
        ("binance-http_spot_market_agg_trades", "trades", 10),
        ("bybit-http_get_trades_recent", "trades", 1),
        ("okx-http_get_trades", "trades", 2),
        ("hyperliquid-http_recent_trades_btc", "trades", 3),
        ("coinbase-ws_market_trades", "trades", 2),
        ("bybit-http_get_orderbook", "book", 6),
        ("bybit-ws_orderbook_snapshot", "book", 5),
        ("coinbase-http_product_book", "book", 10),
        ("hyperliquid-http_l2_book_snapshot", "book", 10),
        ("kraken-ws_book_snapshot", "book", 7),
        ("okx-http_get_order_book", "book", 6),
        ("okx-http_get_order_book", "depth", 1),
        ("coinbase-http_product_book", "depth", 1),
    ] {
        let line = format!(
            "import {} --kind {kind} --instrument {name} --json",
            data.join(format!("api/{name}.json")).display()
        );
        assert_eq!(member(&place.tape(&line).clean(), "added"), rows, "{name}");
    }
    let out = place.tape("book okx-http_get_order_book --frame depth --levels 1 --json").clean();
    assert!(out.contains("\"price\": 41006.7, \"quantity\": 0.487921"), "{out}");
}

#[test]
fn kinds_have_their_columns_and_their_identity() {
    let place = Place::new();
    let file = place.write(
        "t.csv",
        "trade_id,ts,px,qty,direction,venue\n7,1704067200000,1.5,2,BUY,X\n8,1704067200000,1.5,2,s,X\n",
    );
    let line = format!("import {file} --kind trades --instrument A.X --json");
    assert_eq!(member(&place.tape(&line).clean(), "added"), 2);
    assert_eq!(member(&place.tape(&line).clean(), "unchanged"), 2, "trades are told apart by their ids");
    let out = place.tape("export A.X trades --csv --time ms").clean();
    assert_eq!(
        out,
        "time,id,price,quantity,side,venue\n1704067200000,7,1.5,2,buy,X\n1704067200000,8,1.5,2,sell,X\n"
    );
    let bad = place.write("bad.csv", "id,ts,price,qty,side\n9,1704067200000,1.5,2,up\n");
    let error = place.tape(&format!("import {bad} --kind trades --instrument A.X")).failed(1);
    assert!(error.contains("side is none of buy"), "{error}");
    let error = place.tape(&format!("import {bad} --kind fills")).failed(2);
    assert!(error.contains("--column instrument="), "{error}");
    assert!(place.tape(&format!("import {bad} --kind trades")).failed(2).contains("--instrument"));
    assert!(place.tape(&format!("import {bad} --kind nonsense")).failed(2).contains("positions"));
    let without = place.write("without.csv", "ts,price,qty\n1704067200000,1.5,2\n1704067200000,1.5,3\n");
    let error = place.tape(&format!("import {without} --kind trades --instrument A.X")).failed(2);
    assert!(error.contains("would replace one another"), "{error}");
    // Text ids are kept as text; what a table lacks is null.
    let orders = place.write("o.json", "[{\"time\":1704067200000,\"orderId\":\"x-1\",\"symbol\":\"A.X\",\"side\":\"SELL\",\"qty\":\"3\",\"status\":\"new\"}]");
    place.tape(&format!("import {orders} --kind orders")).clean();
    let out =
        place.tape("show transactions orders --json --columns order,instrument,side,price,quantity").clean();
    assert!(out.contains("\"order\": \"x-1\", \"instrument\": \"A.X\", \"side\": \"sell\", \"price\": null, \"quantity\": 3"), "{out}");
    let depth = place.write(
        "d.csv",
        "timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount\n1704067200000,2,1,1,5\n",
    );
    place.tape(&format!("import {depth} --kind depth --instrument D.X")).clean();
    let out = place.tape("book D.X --json").clean();
    assert!(out.contains("\"side\": \"bid\", \"level\": 1, \"price\": 1, \"quantity\": 5"), "{out}");
}

#[test]
fn declared_tables_shape_what_is_imported() {
    let place = Place::new();
    let schema = place.write(
        "s.toml",
        "[[tables]]\nname = \"ticks\"\ninstruments = \"*.X\"\nframe = \"ticks\"\ndedup = [\"id\"]\n\
         [[tables.columns]]\nname = \"id\"\ntype = \"string\"\nnullable = false\n\
         [[tables.columns]]\nname = \"price\"\ntype = \"f64\"\nnullable = false\n\
         [[tables.columns]]\nname = \"venue\"\ntype = \"string\"\nnullable = false\ndefault = \"main\"\ncomment = \"where\"\n",
    );
    place.tape(&format!("schema apply {schema}")).clean();
    let file = place.write("t.csv", "time,id,price\n1704067200000,7,1\n");
    place.tape(&format!("import {file} --instrument A.X --frame ticks")).clean();
    let more = place.write("m.csv", "time,id,price,venue\n1704067200000,8,1.5,\n1704067200000,9,2,dark\n");
    place.tape(&format!("import {more} --instrument A.X --frame ticks")).clean();
    let out = place.tape("export A.X ticks --csv --time s").clean();
    assert_eq!(out, "time,id,price,venue\n1704067200,7,1,main\n1704067200,8,1.5,main\n1704067200,9,2,dark\n");
    place.tape(&format!("schema validate {schema}")).clean();
    place.tape(&format!("schema diff {schema}")).clean();
    let wider = place.write(
        "w.toml",
        place
            .read("s.toml")
            .replace("\"f64\"", "\"f32\"")
            .replace("nullable = false\n[[", "nullable = true\n[["),
    );
    let ended = place.tape(&format!("schema diff {wider} --json"));
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.out.contains("\"change\": \"rewrite\"") && ended.out.contains("\"loses_data\": false"),
        "{}",
        ended.out
    );
    let broken = place.write("b.toml", "[[tables]]\nname = \"x\"\nframes = 1\n");
    assert!(place.tape(&format!("schema apply {broken}")).failed(2).contains("b.toml, line 3: "));
    let log = place.tape("log --operations --kind schema --json").clean();
    assert!(log.contains("b.toml, line 3") && log.contains("declare table"), "{log}");
    assert!(place.tape("schema drop ticks").failed(2).contains("3 rows"));
    place.tape("schema drop ticks --force").clean();
    assert!(!place.tape("ls").clean().contains("A.X"));
}

/// What every kind of table makes of a file, and of the same in JSON: kind, file, and what is stored.
const TABLES: [(&str, &str, &str); 7] = [
    (
        "exchanges",
        "date,mic,name,country,tz\n2000-01-01,XHKG,Hong Kong,HK,Asia/Hong_Kong\n",
        "time,exchange,name,country,timezone,currency,until,known\n946684800,XHKG,Hong Kong,HK,Asia/Hong_Kong,,,\n",
    ),
    (
        "contracts",
        "date,symbol,uly,ctVal,expTime,strike\n2024-01-01,BTC-240628,BTC,0.01,2024-06-28,\n",
        "time,symbol,underlying,exchange,multiplier,tick_size,margin,expiry,strike,settlement,currency,until,known\n\
         1704067200,BTC-240628,BTC,,0.01,,,1719532800,,,,,\n",
    ),
    (
        "calendar",
        "day,exchange,status,session_open,session_close,holiday\n2024-01-02,XHKG,open,2024-01-02T01:30:00Z,2024-01-02T04:00:00Z,\n\
         2024-01-02,XHKG,open,2024-01-02T05:00:00Z,2024-01-02T08:00:00Z,\n2024-02-12,XHKG,closed,,,New Year\n",
        "time,exchange,status,open,close,note,known\n1704153600,XHKG,open,1704159000,1704168000,,\n\
         1704153600,XHKG,open,1704171600,1704182400,,\n1707696000,XHKG,closed,,,New Year,\n",
    ),
    (
        "halts",
        "from,ticker,to,note\n2024-01-02T02:00:00Z,0700.HK,2024-01-02T05:00:00Z,news\n2024-01-03,0005.HK,,\n",
        "time,symbol,reason,until,known\n1704160800,0700.HK,news,1704171600,\n1704240000,0005.HK,,,\n",
    ),
    (
        "actions",
        "ex_date,type,old,new,amount,announced\n2025-01-06,dividend,,,2,2025-01-02\n2025-01-07,split,1,4,,2025-01-03\n",
        "time,kind,old,new,amount,known\n1736121600,dividend,,,2,1735776000\n1736208000,split,1,4,,1735862400\n",
    ),
    (
        "parameters",
        "effective,strategy,parameter,value\n2024-01-01,momentum,window,20\n2024-02-01,momentum,window,30\n",
        "time,owner,name,value,until,known\n1704067200,momentum,window,20,,\n1706745600,momentum,window,30,,\n",
    ),
    (
        "cash",
        "time,asset,total\n2024-01-01,USD,1000.25\n",
        "time,account,currency,balance,available,margin,equity\n1704067200,,USD,1000.25,,,\n",
    ),
];

/// The rows of a CSV as JSON objects, every value a string.
fn as_json(csv: &str) -> String {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let row = |line: &str| {
        let cells = names.iter().zip(line.split(',')).filter(|(_, cell)| !cell.is_empty());
        let members: Vec<String> = cells.map(|(name, cell)| format!("\"{name}\": \"{cell}\"")).collect();
        format!("{{{}}}", members.join(", "))
    };
    format!("[{}]", lines.map(row).collect::<Vec<_>>().join(",\n"))
}

#[test]
fn tables_of_every_kind_come_from_csv_and_json() {
    for (kind, csv, stored) in TABLES {
        for (name, text) in [("t.csv", csv.to_owned()), ("t.json", as_json(csv))] {
            let place = Place::new();
            let file = place.write(name, text);
            let line = format!("import {file} --kind {kind} --instrument X.Y --json");
            let rows = csv.lines().count() as i64 - 1;
            assert_eq!(member(&place.tape(&line).clean(), "added"), rows, "{kind} {name}");
            assert_eq!(member(&place.tape(&line).clean(), "unchanged"), rows, "{kind} {name}");
            let out = place.tape(&format!("export X.Y {kind} --csv --time s")).clean();
            assert_eq!(out, stored, "{kind} {name}");
        }
    }
    let place = Place::new();
    let parameters = TABLES.iter().find(|table| table.0 == "parameters").expect("a table");
    let file = place.write("t.csv", parameters.1);
    place.tape(&format!("import {file} --kind parameters")).clean();
    let at = |time: &str| place.tape(&format!("table parameters --at {time} --json --columns value")).clean();
    assert!(at("2024-01-15").contains("\"value\": \"20\"") && at("2024-02-01").contains("\"value\": \"30\""));
    assert_eq!(at("2023-12-31"), "");
    let ended = place.tape("table parameters --by nothing").failed(2);
    assert!(ended.contains("nothing"), "{ended}");
}
