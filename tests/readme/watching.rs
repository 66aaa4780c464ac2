//! The pages on alerts and on reports show what the commands print.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{compare, session, without_times};

const CONFIG: &str = r#"store = "market"

[alerts]
defaults = false

[[alerts.rules]]
check = "gaps"
level = "HIGH"
within = "all"
series = ["ACME.* 1m"]

[alerts.sinks.journal]
kind = "log"
path = "alerts.jsonl"

[alerts.sinks.pager]
kind = "command"
command = ["tee", "paged.json"]
level = "HIGH"
"#;

/// Minutes of the first hours of 2025, as a CSV.
fn bars(minutes: impl Iterator<Item = i64>) -> String {
    let mut text = String::from("time,open,high,low,close,volume\n");
    for minute in minutes {
        let (open, close) = (1000 + minute % 7, 1000 + (minute + 1) % 7);
        let price = |price: i64| format!("{}.{:02}", price / 100, price % 100);
        let (high, low) = (open.max(close) + 1, open.min(close) - 1);
        let prices = [open, high, low, close].map(price).join(",");
        writeln!(text, "{},{prices},{}", 1_735_689_600 + minute * 60, 50 + minute % 11)
            .expect("a string takes text");
    }
    text
}

/// Without times that are not those of the bars, which are of 2025, and without the widths that go by them.
fn steady(text: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let timeless = without_times(text);
    for whole in timeless.split_whitespace() {
        let word = whole.trim_matches(['"', ',']);
        let digits = |range: std::ops::Range<usize>| {
            word.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let date = digits(0..4) && word.get(4..5) == Some("-") && digits(5..7) && !word.starts_with("2025");
        let clock = digits(0..2) && word.get(2..3) == Some(":") && digits(3..5);
        let time = digits(0..19) || word.contains("\"since\"") || word.contains("\"time\"");
        if clock && out.last() == Some(&"#") {
            continue;
        }
        out.push(if date || time { "#" } else { whole });
    }
    out.join(" ")
}

#[test]
fn the_pages_on_alerts_and_reports_show_what_the_commands_print() {
    for (page, chapter) in [("alert", "Rules"), ("report", "Status")] {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../engine/{page}/README.md"));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = [
            ("tape.toml", CONFIG.to_owned()),
            ("bars.csv", bars((0..1400).filter(|minute| !(600..612).contains(minute)))),
            ("rest.csv", bars(600..612)),
        ];
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("a writable directory");
        }
        let comment = format!("with TAPE_BLESS=1 it writes it anew. {chapter}.");
        let same = |old: &str, new: &str| steady(old) == steady(new);
        compare(&page, &comment, same, |block| session(block, directory.path()));
    }
}
