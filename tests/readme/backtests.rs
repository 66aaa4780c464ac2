//! The page on backtests shows what the commands print.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{compare, session, without_times};

/// The first minute: 2026-01-05 01:30, UTC.
const START: i64 = 1_767_576_600;
const DAYS: i64 = 5;

/// A week of Hong Kong, minute by minute; prices go up and down by a rule, and so does a signal that half knows it.
fn files() -> [(&'static str, String); 3] {
    let (mut bars, mut signals) =
        (String::from("time,open,high,low,close,volume\n"), String::from("time,trend,level\n"));
    let mut sessions = String::new();
    let (mut state, mut open) = (1_u64, 400_000_i64);
    for day in 0..DAYS {
        for (from, to) in [(0, 150), (210, 390)] {
            let time = |minute: i64| START + day * 86_400 + minute * 60;
            writeln!(sessions, "{}000000000,{}000000000", time(from), time(to)).expect("a string takes text");
            for minute in from..to {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (state >> 40) as i64 % 401 - 200;
                let drift = if minute / 30 % 2 == 0 { 25 } else { -20 };
                let close = open + noise + drift;
                let (high, low) = (open.max(close), open.min(close));
                let price = |price: i64| format!("{}.{:03}", price / 1000, price % 1000);
                let prices = [open, high, low, close].map(price).join(",");
                writeln!(bars, "{},{prices},{}", time(minute), 100 + minute % 7)
                    .expect("a string takes text");
                let level = close / 100 - 4000;
                writeln!(signals, "{},{},{level}", time(minute), drift.signum())
                    .expect("a string takes text");
                open = close;
            }
        }
    }
    [("bars.csv", bars), ("signals.csv", signals), ("hk.csv", sessions)]
}

#[test]
fn the_page_on_backtests_shows_what_the_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/backtest/README.md");
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files() {
        fs::write(directory.path().join(name), text).expect("a writable directory");
    }
    let dated = |text: &str| -> String {
        // When a run was made differs from run to run.
        let lines = text.lines().filter(|line| !line.starts_with("  1  20"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let same = |old: &str, new: &str| dated(&without_times(old)) == dated(&without_times(new));
    let comment = "with TAPE_BLESS=1 it writes it anew.";
    compare(&page, comment, same, |block| session(block, directory.path()));
}
