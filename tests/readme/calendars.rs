//! The page on calendars shows what the commands print.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{compare, session, without_times};

const MINE: &str = "# Hong Kong, without a day on which our line was down.
base XHKG
title Hong Kong, as we have it
closed 2023-10-06 our line was down
";
const HALTS: &str = "from,symbol,to,reason
2023-10-06T05:00:00Z,0700.HK,2023-10-06T06:30:00Z,announcement
";

/// Quarters of an hour of a Friday and of a Monday with a typhoon; two hours are missing.
fn quarters() -> String {
    let mut lines = String::from("time,open,high,low,close,volume\n");
    for (day, slots) in [("06", (6..16).chain(22..32)), ("09", (24..32).chain(0..0))] {
        for slot in slots.filter(|slot| (day, *slot) != ("06", 9)) {
            let (hour, minute) = (slot / 4, slot % 4 * 15);
            let open = 300.0 + f64::from(slot) / 4.0;
            let (high, low, close) = (open + 0.5, open - 0.25, open + 0.25);
            writeln!(
                lines,
                "2023-10-{day}T{hour:02}:{minute:02}:00Z,{open},{high},{low},{close},{}",
                100 * slot
            )
            .expect("a string takes all");
        }
    }
    lines
}

#[test]
fn the_page_on_calendars_shows_what_the_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/calendar/README.md");
    for chapter in ["Days", "Own", "Expected"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in [("mine.calendar", MINE), ("halts.csv", HALTS), ("bars.csv", &quarters())] {
            fs::write(directory.path().join(name), text).expect("a writable directory");
        }
        let comment = format!("with TAPE_BLESS=1 it writes it anew. {chapter}.");
        let same = |old: &str, new: &str| without_times(old) == without_times(new);
        compare(&page, &comment, same, |block| session(block, directory.path()));
    }
}
