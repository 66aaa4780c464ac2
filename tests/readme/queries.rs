//! The page on questions of market data shows what the commands print.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{compare, session, without_times};

const TRADES: &str = "time,price,quantity
2025-01-02T14:30:00.100Z,243.5,0.1
2025-01-02T14:30:00.100Z,243.6,0.1
2025-01-02T14:30:07.000Z,243.4,0.1
2025-01-02T14:31:12.000Z,243.9,0.2
2025-01-02T14:31:40.500Z,243.8,0.4
2025-01-02T14:32:05.000Z,244,1
";
const QUOTES: &str = "time,bid,ask
2025-01-02T14:29:59.000Z,243.4,243.6
2025-01-02T14:30:00.100Z,243.5,243.7
2025-01-02T14:31:10.500Z,243.8,243.9
2025-01-02T14:32:00.000Z,243.9,244.1
";
const SESSIONS: &str = "2025-01-02T01:30:00Z,2025-01-02T04:00:00Z
2025-01-02T05:00:00Z,2025-01-02T08:00:00Z
2025-01-03T01:30:00Z,2025-01-03T04:00:00Z
";
const REPAIR: &str = "time,open,high,low,close,volume
2025-01-02T02:07:00Z,400,401,399,400,900
";
const SCHEMA: &str = "[[tables]]
name = \"minutes\"
kind = \"bars\"
frame = \"1m\"
instruments = [\"*.HK\"]
retention = { keep = \"12h\", rollup = [\"5m\", \"1h\"] }
";
const DAYS: &str = "date,open,high,low,close,volume
2025-01-02,400,404,399,400,1000
2025-01-03,400,402,396,398,1200
2025-01-06,398,410,398,408,900
2025-01-07,102,103,101,102,4400
2025-01-08,101,102,100,101.5,4000
";
const ACTIONS: &str = "time,kind,old,new,amount,known
2025-01-06,dividend,,,2,2025-01-02
2025-01-07,split,1,4,,2025-01-03
";
const UPDATES: &str = "time,action,side,price,quantity
2025-01-02T00:00:00.000Z,0,0,0,0
2025-01-02T00:00:00.000Z,1,0,94500.1,0.5
2025-01-02T00:00:00.000Z,1,0,94500,1.25
2025-01-02T00:00:00.000Z,1,1,94500.2,0.75
2025-01-02T00:00:00.000Z,1,1,94500.9,2
2025-01-02T00:00:00.100Z,1,0,94500.1,0.4
2025-01-02T00:00:00.200Z,1,0,94500.1,0
2025-01-02T00:00:00.200Z,1,1,94500.1,0.3
";

/// A day of Hong Kong, minute by minute, and the first minutes of the next. Prices walk up and down by a rule.
fn minutes() -> String {
    let mut out = String::from("time,open,high,low,close,volume\n");
    let (day, minute) = (1_735_776_000, 60);
    let hours = [(90, 240), (300, 480), (1440 + 90, 1440 + 100)];
    for (count, at) in hours.into_iter().flat_map(|(from, to)| from..to).enumerate() {
        let open = 3800 + 2 * (count as i64 % 40 - 20).abs();
        let close = 3800 + 2 * ((count as i64 + 1) % 40 - 20).abs();
        let (high, low) = (open.max(close) + 1, open.min(close) - 1);
        let text = |tenths: i64| format!("{}.{}", tenths / 10, tenths % 10);
        let prices = [open, high, low, close].map(text).join(",");
        writeln!(out, "{},{prices},{}", day + at * minute, 100 + 10 * (count % 7))
            .expect("a string takes text");
    }
    out
}

#[test]
fn the_page_on_queries_shows_what_the_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/query/README.md");
    let minutes = minutes();
    for chapter in ["Trades", "Bars", "Live", "Retention", "Actions", "Books"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = [
            ("trades.csv", TRADES),
            ("quotes.csv", QUOTES),
            ("minutes.csv", &minutes),
            ("sessions.csv", SESSIONS),
            ("repair.csv", REPAIR),
            ("schema.toml", SCHEMA),
            ("days.csv", DAYS),
            ("actions.csv", ACTIONS),
            ("updates.csv", UPDATES),
        ];
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("a writable directory");
        }
        let comment = format!("with TAPE_BLESS=1 it writes it anew. {chapter}.");
        let same = |old: &str, new: &str| without_times(old) == without_times(new);
        compare(&page, &comment, same, |block| session(block, directory.path()));
    }
}
