//! The house rules that a machine can check.

use std::collections::BTreeSet;
use std::fs;

use format_spec_tests::{files_below, root};

const TOP_LEVEL: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "engine",
    "format-spec",
    "fuzz",
    "tests",
    "tools",
];
const FILE_LINES: usize = 1000;

fn sources() -> Vec<(String, String)> {
    let files = files_below(&root(), ".rs");
    assert!(files.len() > 50, "the sources are found");
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("source is text");
        (path.strip_prefix(root()).expect("below the root").display().to_string(), text)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn the_top_level_is_fixed() {
    let entries = fs::read_dir(root()).expect("the root is readable");
    let names: BTreeSet<String> = entries
        .map(|entry| entry.expect("a readable entry").file_name().to_string_lossy().into_owned())
        .collect();
    let allowed =
        |name: &&String| name.starts_with('.') || *name == "target" || TOP_LEVEL.contains(&name.as_str());
    let strangers: Vec<_> = names.iter().filter(|name| !allowed(name)).collect();
    assert!(strangers.is_empty(), "not at the top level: {strangers:?}");
    for needed in ["Cargo.toml", "LICENSE", "README.md", "engine", "format-spec", "tools", "tests"] {
        assert!(names.contains(needed), "{needed} is missing");
    }
}

#[test]
fn files_stay_readable() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(
            lines <= FILE_LINES,
            "{path} has {lines} lines; a file tells one story in at most {FILE_LINES}"
        );
    }
}

#[test]
fn nothing_is_left_undone_or_exported_wholesale() {
    // Put together, so that this file does not find itself.
    let forbidden = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", number + 1);
            let found = forbidden.iter().find(|word| line.contains(word.as_str()));
            assert!(found.is_none(), "{place}: {line}");
            let line = line.trim();
            let glob = line.starts_with("pub") && line.contains(" use ") && line.ends_with("::*;");
            assert!(!glob, "{place}: names are exported one by one");
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!") || text.starts_with("#!"), "{path} begins without a description");
    }
}

#[test]
fn decisions_are_numbered_from_one_without_holes() {
    let decisions = fs::read_dir(root().join("format-spec/decisions")).expect("there are decisions");
    let mut names: Vec<String> = decisions
        .map(|entry| entry.expect("a readable entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for (index, name) in names.iter().enumerate() {
        let number = format!("{:04}", index + 1);
        let text = fs::read_to_string(root().join("format-spec/decisions").join(name)).expect("a page");
        assert!(name.starts_with(&number), "{name} should be {number}");
        assert!(text.starts_with(&format!("# {number} ")), "{name} calls itself otherwise");
    }
}
