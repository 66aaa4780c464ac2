//! The comparison on files that somebody names: each is measured or refused by itself, and the report is written.

use std::process::{Command, Output};

fn compare(directory: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tape-compare"))
        .args(arguments)
        .args(["--rounds", "1", "--out", "."])
        .current_dir(directory)
        .output()
        .expect("the comparison runs")
}

/// Daily bars, whose timeframe is longer than an hour; they once ended the run before a report was written.
#[test]
fn a_file_that_is_not_understood_keeps_no_other_from_the_report() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let bars: String = (0..200)
        .map(|day| format!("{},1.5,2.5,1.0,2.0,{}\n", 1_577_836_800 + day * 86_400, day * 7))
        .collect();
    std::fs::write(place("days.csv"), format!("Date,Open,High,Low,Close,Volume\n{bars}")).unwrap();
    let ends: String = bars.lines().step_by(30).map(|line| format!("{line}\n")).collect();
    std::fs::write(place("odd.csv"), format!("Date;Open;High;Low;Close\n{}", ends.replace(',', ";")))
        .unwrap();
    std::fs::write(place("weather.csv"), "time,temperature\n1577836800,4\n1577836860,5\n").unwrap();
    std::fs::create_dir(place("other")).unwrap();
    std::fs::write(place("other/odd.csv"), format!("Date,Open,High,Low,Close,Volume\n{ends}\n")).unwrap();
    let files = ["weather.csv", "days.csv", "missing.csv", "odd.csv", "other/odd.csv"];
    let run = compare(directory.path(), &[&files[..], &["--only", "tapestore"]].concat());
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success(), "two files could not be read");
    assert!(told.contains("weather.csv: no column is a price: found \"time\", \"temperature\""), "{told}");
    assert!(told.contains("2 of 5 files failed, as said above: weather.csv, missing.csv"), "{told}");
    let report = std::fs::read_to_string(place("RESULTS.md")).expect("the report is written all the same");
    for part in [
        "days.csv",
        "timeframe: 1d",
        "odd.csv",
        "timeframe: none",
        "weather.csv",
        "missing.csv",
        "\n### gaps\n",
        "\n| odd.csv | 7 |",
        "\n| other/odd.csv | 7 |",
    ] {
        assert!(report.contains(part), "no {part} in\n{report}");
    }
    assert!(!report.contains("NaN"), "what was not measured is a dash:\n{report}");
}
