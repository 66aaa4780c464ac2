//! The page on kinds of data and schema files shows what the commands print.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{compare, session, without_times};

const TRADES: &str = r#"{"e":"trade","E":1735804800101,"s":"BTCUSDT","t":4301,"p":"94500.10","q":"0.02","T":1735804800100,"m":true}
{"e":"trade","E":1735804800101,"s":"BTCUSDT","t":4302,"p":"94500.20","q":"0.5","T":1735804800100,"m":false}
{"e":"trade","E":1735804801341,"s":"BTCUSDT","t":4303,"p":"94500.20","q":"0.5","T":1735804801340,"m":false}
"#;
const QUOTES: &str = "timestamp,bid_price,bid_size,ask_price,ask_size,exchange
2025-01-02T14:29:59.000Z,243.4,300,243.6,100,P
2025-01-02T14:30:00.100Z,243.5,200,,,Q
2025-01-02T14:31:10.500Z,243.8,100,243.9,400,P
";
const DEPTH: &str = "timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,asks[1].price,asks[1].amount,bids[1].price,bids[1].amount
2025-01-02T00:00:00Z,94500.2,0.75,94500.1,0.5,94500.9,2,94500,1.25
2025-01-02T00:00:01Z,94500.3,0.1,94500.1,0.4,94500.9,2,94500,1.25
";
const UPDATES: &str = r#"{"e":"depthUpdate","E":1735776000100,"s":"BTCUSDT","U":11,"u":12,"b":[["94500.10","0.40"]],"a":[["94500.20","0.00"],["94500.30","0.10"]]}
{"e":"depthUpdate","E":1735776001200,"s":"BTCUSDT","U":13,"u":14,"b":[["94500.10","0.00"]],"a":[["94500.10","0.30"]]}
"#;
const ORDERS: &str = "id,timestamp,price,volume,action,direction
65595181,1430438400000,236.08,2,created,bid
65595187,1430438401000,236.47,1,created,ask
65595247,1430438404518,236.08,1.5,created,bid
65595181,1430438404635,236.08,0.5,changed,bid
65595187,1430438404637,236.47,0,deleted,ask
";
const CONSTITUENTS: &str = "valid_from,index,symbol,weight,valid_to,announced
2024-01-02,HSI,0700.HK,8.1,,2023-12-20
2024-01-02,HSI,0005.HK,7.9,,2023-12-20
2024-06-10,HSI,0700.HK,8.4,,2024-05-24
2024-06-10,HSI,1211.HK,2.2,,2024-05-24
2024-01-02,HSI,0005.HK,7.9,2024-06-10,2024-05-24
";
const INSTRUMENTS: &str = "date,symbol,name,exchange,currency,tick_size
2010-01-04,META.US,Facebook,NASDAQ,USD,0.01
2010-01-04,TWTR.US,Twitter,NYSE,USD,0.01
2021-10-28,META.US,Meta Platforms,NASDAQ,USD,0.01
";
const SOURCES: &str = "updated_at,provider,dataset,status,last_success,quality
2025-01-02T09:00:00Z,binance,BTCUSDT 1m,ok,2025-01-02T08:59:00Z,0.999
2025-01-02T09:00:00Z,yahoo,AAPL 1d,late,2024-12-31T21:00:00Z,0.97
2025-01-02T10:00:00Z,yahoo,AAPL 1d,ok,2025-01-02T09:58:00Z,0.99
";
const JOBS: &str = r#"[{"started_at":"2025-01-02T09:00:00Z","job":"daily bars","run":1,"status":"ok","finished":"2025-01-02T09:02:11Z","rows":83},
 {"started_at":"2025-01-02T10:00:00Z","job":"daily bars","run":2,"status":"failed","message":"HTTP 429: too many requests"}]
"#;
const STATES: &str = "time,order_id,symbol,side,order_type,price,qty,filled,status
2025-01-02T14:30:00Z,501,AAPL.NASDAQ,BUY,limit,243.5,100,0,new
2025-01-02T14:30:07Z,501,AAPL.NASDAQ,BUY,limit,243.5,100,40,partial
2025-01-02T14:31:12Z,501,AAPL.NASDAQ,BUY,limit,243.5,100,100,filled
2025-01-02T14:31:30Z,502,AAPL.NASDAQ,SELL,market,,100,0,new
";
const FILLS: &str = r#"[{"time":1735828207000,"trade_id":"f-1","order_id":501,"symbol":"AAPL.NASDAQ","side":"buy","price":"243.5","qty":"40","commission":"0.2"},
 {"time":1735828272000,"trade_id":"f-2","order_id":501,"symbol":"AAPL.NASDAQ","side":"buy","price":"243.4","qty":"60","commission":"0.3"}]
"#;
const POSITIONS: &str = "time,account,symbol,quantity,avg_price
2025-01-02T14:30:07Z,main,AAPL.NASDAQ,40,243.5
2025-01-02T14:31:12Z,main,AAPL.NASDAQ,100,243.44
";
const CASH: &str = "time,account,asset,total,free
2025-01-02T14:30:00Z,main,USD,100000,75650
2025-01-02T14:31:12Z,main,USD,75655.5,75655.5
";
const MARKET: &str = r#"[[tables]]
name = "ticks"
instruments = ["BTCUSDT.BINANCE", "*.OKX"]
frame = "trades"
comment = "Every trade"
tags = { desk = "crypto" }
retention = { keep = "30d", rollup = ["1m", "1h"] }

[[tables.columns]]
name = "price"
decimals = 2

[[tables]]
name = "news"
instruments = "*"
frame = "news"
dedup = ["headline"]

[[tables.columns]]
name = "headline"
type = "string"
nullable = false

[[tables.columns]]
name = "score"
type = "i64"
comment = "from 0 to 100"
"#;
const NEWS: &str = "time,headline,score
2025-01-02T14:30:00Z,A new phone,40
2025-01-02T15:00:00Z,A lawsuit,85
";
const WIDER: &str = "tables:
  - name: news
    instruments: '*'
    frame: news
    dedup: [headline]
    comment: What the wires say
    columns:
      - { name: headline, type: string, nullable: false }
      - { name: score, type: f64, comment: from 0 to 100 }
      - { name: wire, type: string, nullable: false, default: unknown }
";
const NARROW: &str = "tables:
  - name: news
    instruments: '*'
    frame: news
    dedup: [headline]
    columns:
      - { name: headline, type: string, nullable: false }
      - { name: score, type: f64, comment: from 0 to 100 }
";
const DAYS: &str = "day,exchange,status,open,close,note,known
2023-09-07,XHKG,open,2023-09-07T01:30:00Z,2023-09-07T04:00:00Z,,
2023-09-07,XHKG,open,2023-09-07T05:00:00Z,2023-09-07T08:00:00Z,,
2023-09-08,XHKG,open,2023-09-08T01:30:00Z,2023-09-08T04:00:00Z,,
2023-09-08,XHKG,open,2023-09-08T05:00:00Z,2023-09-08T08:00:00Z,,
2023-09-08,XHKG,closed,,,black rainstorm,2023-09-07T22:00:00Z
2023-09-11,XHKG,open,2023-09-11T01:30:00Z,2023-09-11T04:00:00Z,,
2023-09-11,XHKG,open,2023-09-11T05:00:00Z,2023-09-11T08:00:00Z,,
";
const BAD: &str = "open_time,open,high,low,close,volume
1735689600000,93500.1,93510,93480.5,93490,1.25
1735689660000,oops,93495.5,93470,93471.2,0.8
";

/// Bars of half an hour on both sides of a day without any; two are missing.
fn half_hours() -> String {
    let mut lines = String::from("time,open,high,low,close,volume\n");
    for day in ["07", "11"] {
        for slot in
            (3..8).chain(10..16).filter(|slot| (day, *slot) != ("07", 7) && (day, *slot) != ("11", 10))
        {
            let (hour, minute) = (slot / 2, slot % 2 * 30);
            let open = 320.0 + f64::from(slot) / 4.0;
            let (high, low, close) = (open + 0.5, open - 0.25, open + 0.25);
            writeln!(
                lines,
                "2023-09-{day}T{hour:02}:{minute:02}:00Z,{open},{high},{low},{close},{}",
                100 * slot
            )
            .expect("a string takes all");
        }
    }
    lines
}

#[test]
fn the_page_on_kinds_shows_what_the_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/catalog/README.md");
    let chapters = [
        "Trades",
        "Quotes",
        "Depth",
        "Reference",
        "Calendars",
        "Metadata",
        "Transactions",
        "Schemas",
        "Operations",
    ];
    for chapter in chapters {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = [
            ("trades.json", TRADES),
            ("quotes.csv", QUOTES),
            ("depth.csv", DEPTH),
            ("updates.json", UPDATES),
            ("orders.csv", ORDERS),
            ("constituents.csv", CONSTITUENTS),
            ("instruments.csv", INSTRUMENTS),
            ("days.csv", DAYS),
            ("bars.csv", &half_hours()),
            ("sources.csv", SOURCES),
            ("jobs.json", JOBS),
            ("states.csv", STATES),
            ("fills.json", FILLS),
            ("positions.csv", POSITIONS),
            ("cash.csv", CASH),
            ("market.toml", MARKET),
            ("news.csv", NEWS),
            ("wider.yaml", WIDER),
            ("narrow.yaml", NARROW),
            ("bad.csv", BAD),
        ];
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("a writable directory");
        }
        let comment = format!("with TAPE_BLESS=1 it writes it anew. {chapter}.");
        let same = |old: &str, new: &str| without_times(old) == without_times(new);
        compare(&page, &comment, same, |block| session(block, directory.path()));
    }
}
