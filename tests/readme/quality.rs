//! The page on quality shows what the commands print.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{compare, run, session, without_times};

/// Two days of minutes from 2025-01-01, with faults or, at another exchange, without.
fn bars(faulty: bool) -> String {
    let mut text = String::from("open_time,open,high,low,close,volume\n");
    let (mut state, mut price) = (7_u64, 935_000_i64);
    for minute in 0..2880_i64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = |shift: u32, below: u64| ((state >> shift) % below) as i64;
        let (open, close) = (price, price + random(20, 401) - 200);
        let (high, low) = (open.max(close) + random(33, 90), open.min(close) - random(40, 90));
        price = close;
        let times = match minute {
            700 if faulty => 1.1,
            1500..1510 if faulty => 100.0,
            _ if faulty => 1.0,
            _ => 1.0002,
        };
        if faulty && (100..107).contains(&minute) {
            continue;
        }
        let shown = |tenths: i64| (tenths as f64 * times).round() / 10.0;
        let volume = (random(13, 9000) + 100) as f64 / 1000.0;
        let time = 1_735_689_600_000 + minute * 60_000;
        let (open, high, low, close) = (shown(open), shown(high), shown(low), shown(close));
        writeln!(text, "{time},{open},{high},{low},{close},{volume}").expect("a string takes all");
    }
    text
}

#[test]
fn the_page_on_quality_shows_what_the_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/quality/README.md");
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("bars.csv"), bars(true)).expect("a writable directory");
    fs::write(directory.path().join("twin.csv"), bars(false)).expect("a writable directory");
    let same = |old: &str, new: &str| without_times(old) == without_times(new);
    compare(&page, "<!-- A test runs these commands", same, |block| session(block, directory.path()));
    let rules =
        |_: &str| format!("$ tape quality --rules\n{}", run("tape quality --rules", directory.path(), None));
    compare(&page, "<!-- A test runs this command", |old, new| old == new, rules);
}
