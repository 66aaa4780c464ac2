//! What the README shows is what the commands print. Set `TAPE_BLESS=1` to write it anew.
#![cfg(unix)]

mod backtests;
mod calendars;
mod catalog;
mod fetching;
mod quality;
mod queries;
mod watching;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BARS: &str = "open_time,open,high,low,close,volume
1735689600000,93500.1,93510,93480.5,93490,1.25
1735689660000,93490,93495.5,93470,93471.2,0.8
1735689840000,93471.2,93480,93460,943479.9,2.5
";
const FIX: &str = "open_time,open,high,low,close,volume
1735689840000,93471.2,93480,93460,93479.9,2.5
";

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")
}

/// Runs a line in a shell in which `tape` is the program under test.
fn run(line: &str, directory: &Path, store: Option<&str>) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tape"));
    let mut paths = vec![program.parent().expect("a program lies in a directory").to_path_buf()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(directory).env_remove("TAPE_STORE");
    command.env("PATH", std::env::join_paths(paths).expect("paths without colons"));
    if let Some(store) = store {
        command.env("TAPE_STORE", store);
    }
    let output = command.output().expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

/// Replaces the text between a comment of a page and the end of its block by what `make` gives for it.
fn compare(page: &Path, comment: &str, same: impl Fn(&str, &str) -> bool, make: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(page).expect("there is such a page");
    let from = text.find(comment).unwrap_or_else(|| panic!("no comment {comment:?}"));
    let fence = from + text[from..].find("```").expect("a block follows");
    let start = fence + text[fence..].find('\n').expect("a line ends") + 1;
    let end = start + text[start..].find("```").expect("the block ends");
    let made = make(&text[start..end]);
    if same(&text[start..end], &made) {
        return;
    }
    if std::env::var_os("TAPE_BLESS").is_some() {
        fs::write(page, format!("{}{made}{}", &text[..start], &text[end..])).expect("a writable page");
    } else {
        panic!("the page shows\n{}\nbut the commands print\n{made}", &text[start..end]);
    }
}

/// The commands of a block, each with what it prints.
fn session(block: &str, directory: &Path) -> String {
    let mut store = None;
    let mut out = String::new();
    for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        out.extend(["$ ", line, "\n"]);
        match line.strip_prefix("export TAPE_STORE=") {
            Some(name) => store = Some(name.to_owned()),
            None => out += &run(line, directory, store.as_deref()),
        }
    }
    out
}

/// The text without what differs from run to run: numbers before a unit of time or of speed.
fn without_times(text: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for word in text.split_inclusive([' ', '\n']) {
        let unit = word.trim().trim_end_matches([';', ',', '.', ')', ':']);
        if ["s", "ms", "µs", "ns", "rows/s"].contains(&unit) {
            out.pop();
            out.push("# ");
        }
        out.push(word);
    }
    out.concat()
}

// One test: both write the same file when they bless.
#[test]
fn the_readme_shows_what_the_commands_print() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("bars.csv"), BARS).expect("a writable directory");
    fs::write(directory.path().join("fix.csv"), FIX).expect("a writable directory");
    let same = |old: &str, new: &str| without_times(old) == without_times(new);
    compare(&readme(), "<!-- A test runs these commands", same, |block| session(block, directory.path()));
    compare(&readme(), "<!-- A test runs the demo", same, |_| run("tape demo", directory.path(), None));
}

#[test]
fn times_are_left_out_of_the_comparison() {
    let one = "269,157 rows in 1.03 s: 261,704 rows/s\n3 bars in 38 µs; volume 7";
    let two = "269,157 rows in 0.9 s: 9 rows/s\n3 bars in 5 µs; volume 7";
    assert_eq!(without_times(one), without_times(two));
    assert_ne!(without_times(one), without_times(&two.replace("volume 7", "volume 8")));
}
