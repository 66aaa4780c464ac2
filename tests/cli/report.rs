//! `tape report`: one page that needs nothing else, whatever the store; opened in a browser where there is one.

use std::fmt::Write as _;

use super::browser::{Browser, program};
use super::{Place, member};

/// A name that would be markup, a script and a way out of an attribute.
const STRANGE: &str = "<script>alert(1)</script>'\" onload=x";

/// So many minute bars from a seed; without those of `left_out`, and with a spike where `spike` says.
fn bars(seed: u64, count: u64, left_out: std::ops::Range<u64>, spike: u64) -> String {
    let mut text = String::from("open_time,open,high,low,close,volume\n");
    let (mut state, mut open) = (seed, 10_000_i64);
    for minute in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let close = open + (state >> 40) as i64 % 21 - 10;
        let shown = if minute == spike { close * 2 } else { close };
        let (high, low) = (open.max(shown) + 3, open.min(shown) - 3);
        let price = |price: i64| format!("{}.{:02}", price / 100, price % 100);
        if !left_out.contains(&minute) {
            writeln!(
                text,
                "{},{},{},{},{},{}",
                1_704_067_200 + minute * 60,
                price(open),
                price(high),
                price(low),
                price(shown),
                100 + state % 50
            )
            .expect("a string takes text");
        }
        open = close;
    }
    text
}

/// A store with faults, among them names.
fn place() -> Place {
    let place = Place::new();
    for (name, file, left_out, spike) in [
        ("AAA.X", "a.csv", 700..760, 1500),
        ("BBB.X", "b.csv", 0..0, 3000),
        (STRANGE, "c.csv", 10..4000, 9999),
    ] {
        let file = place.write(file, bars(name.len() as u64, 5000, left_out, spike));
        place.tape_with(&["import", &file, "--instrument", name, "--frame", "1m"], b"").clean();
    }
    let told = place.tape("quality");
    assert!(told.out.contains("findings are new") || told.err.contains("findings are new"), "{told:?}");
    place
}

#[test]
fn the_page_is_one_file_without_script_or_address() {
    let place = place();
    let (page, data) = (place.path("report.html"), place.path("report.json"));
    let (page, data) = (page.display().to_string(), data.display().to_string());
    place.tape_with(&["report", "-o", &page, "--data", &data], b"").clean();
    let text = place.read("report.html");
    for never in
        ["<script", "http:", "https:", "src=", "href=", "url(", "@import", "onload=x\"", "'\" onload"]
    {
        assert!(!text.contains(never), "{never}");
    }
    for always in [
        "<!DOCTYPE html>",
        "default-src 'none'",
        "<h2>Days</h2>",
        "<h2>Series</h2>",
        "<h2>Storage</h2>",
        "<h2>Reading</h2>",
    ] {
        assert!(text.contains(always), "{always}");
    }
    let json = place.read("report.json");
    assert!(simd_json::to_borrowed_value(&mut json.clone().into_bytes()).is_ok());
    assert_eq!(member(&json, "rows"), 5000 - 60 + 5000 + 5000 - 3990);
    // Only some of it.
    let only = place
        .tape_with(&["report", "AAA.X", "-o", "-", "--from", "2024-01-02", "--to", "2024-01-03"], b"")
        .clean();
    assert!(
        !only.contains("BBB.X") && only.contains("instruments AAA.X; days and findings from 2024-01-02"),
        "{only}"
    );
    let error = place.tape("report NONE.X -o x.html").failed(2);
    assert!(error.contains("there is no instrument \"NONE.X\""), "{error}");
    assert!(place.tape("report").failed(2).contains("--output"));
    assert!(place.tape("report --json -o -").failed(2).contains("both write to standard output"));
    let printed = place.tape_with(&["report", "--json", "-o", &page], b"").clean();
    assert_eq!(member(&printed, "rows"), member(&json, "rows"));
    assert!(simd_json::to_borrowed_value(&mut printed.into_bytes()).is_ok());
}

#[test]
fn a_weekend_is_no_hole_in_the_pictures() {
    let place = Place::new();
    let mut text = String::from("open_time,open,high,low,close,volume\n");
    // Two months of Hong Kong's days from 2024-01-02, a Tuesday, but for one; and a high below its low.
    let closed = [41, 42, 17];
    for day in (0..60).filter(|day| (day + 1) % 7 < 5 && !closed.contains(day)) {
        let high = if day == 22 { 9 } else { 12 };
        writeln!(text, "{},10,{high},9.5,{},{}", 1_704_153_600 + day * 86_400, 10 + day % 2, 100 + day)
            .expect("a string takes text");
    }
    let file = place.write("days.csv", text);
    place.tape(&format!("import {file} --instrument 0700.HK --frame 1d")).clean();
    place.tape("quality").clean();
    let page = place.path("report.html").display().to_string();
    place.tape_with(&["report", "-o", &page], b"").clean();
    let text = place.read("report.html");
    let figure = text.split("<figure>").find(|part| part.contains(">range<")).expect("a picture of the bar");
    assert_eq!(figure.matches("class=\"hole\"").count(), 1, "{figure}");
    assert!(figure.contains("text-anchor=\"middle\">1<"), "{figure}");
}

#[test]
fn a_page_about_thousands_of_instruments_is_bounded_and_says_what_is_left_out() {
    let place = Place::new();
    let store = tapestore::Store::create(place.store(), tapestore::Options::default()).expect("a store");
    let mut transaction = store.begin();
    for number in 0..3000 {
        let key = tapestore::SeriesKey::new(&format!("S{number:04}.X"), "1d").expect("a key");
        transaction.create_series(&key, tapestore::schema::bars()).expect("a series");
        let times: Vec<i64> = (0..40).map(|day| (19_700 + day) * 86_400_000_000_000).collect();
        let values = || tapestore::Values::F64(vec![1.0; 40]);
        let names = ["open", "high", "low", "close", "volume"];
        let batch = names.iter().fold(tapestore::Batch::new(times), |batch, name| batch.with(name, values()));
        transaction.upsert(&key, batch).expect("rows");
    }
    transaction.commit().expect("a commit");
    store.close().expect("closes");
    let page = place.path("report.html").display().to_string();
    place.tape_with(&["report", "-o", &page], b"").clean();
    let text = place.read("report.html");
    assert!(text.len() < 500_000, "{} bytes", text.len());
    assert!(text.contains("60 of 3,000 instruments are shown; the others are left out."));
    assert!(text.contains("100 of 3,000 series are shown; the others are left out."));
}

#[cfg(unix)]
#[test]
fn a_browser_finds_nothing_to_complain_of_and_asks_for_nothing() {
    let Some(program) = program() else {
        eprintln!("skipped: there is no chromium");
        return;
    };
    let place = place();
    let page = place.path("report.html");
    place.tape_with(&["report", "-o", &page.display().to_string()], b"").clean();
    let bad = place.path("bad.html");
    std::fs::write(&bad, "<title>x</title><img src='http://example.org/x.png'><script>nothing()</script><p style='width:2000px'>wide")
        .expect("a file");
    let mut browser = Browser::start(program);
    // It would be noticed.
    let caught = browser.open(&bad, 390, "light");
    assert!(caught.requests.len() > 1 && !caught.console.is_empty() && caught.width > 390, "{caught:?}");
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
        let seen = browser.open(&page, width, scheme);
        assert_eq!(seen.console, Vec::<String>::new(), "{width} {scheme}");
        assert_eq!(seen.requests.len(), 1, "only the page itself: {:?}", seen.requests);
        assert!(seen.width <= width, "{width} {scheme}: the page is {} wide", seen.width);
        assert!(seen.content.0 >= 4 && seen.content.1 > 1000, "{:?}", seen.content);
    }
}
