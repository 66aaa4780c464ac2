//! Every rule has one number, one line in `errors.md`, and its place in a chapter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use format_spec_tests::{chapter, files_below, root, section, tables};

fn is_rule(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|letter| letter.is_ascii_uppercase())
        && (1..=2).contains(&(text.len() - 1))
        && characters.all(|digit| digit.is_ascii_digit())
}

fn first_cells(heading: &str) -> BTreeSet<String> {
    let text = chapter("errors.md");
    let rows = tables(section(&text, heading), &["rule"]);
    let rules: BTreeSet<String> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(rules.len(), rows.len(), "no rule twice");
    rules
}

/// Rules in quotes in the code that is not a test: those that errors name.
fn cited(directory: &Path) -> BTreeMap<String, String> {
    let mut rules = BTreeMap::new();
    for path in files_below(directory, ".rs").into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = fs::read_to_string(&path).expect("source is text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.contains("assert")) {
            for rule in line.split('"').skip(1).step_by(2).filter(|text| is_rule(text)) {
                rules.insert(rule.to_owned(), path.display().to_string());
            }
        }
    }
    rules
}

#[test]
fn errors_name_exactly_the_rules_of_the_table() {
    let mut rules = cited(&root().join("engine/format/src"));
    rules.extend(cited(&root().join("engine/store/src")));
    assert!(rules.len() > 40, "the search finds the rules: {rules:?}");
    let listed = first_cells("## Rules that errors name");
    let unlisted: Vec<_> = rules.iter().filter(|(rule, _)| !listed.contains(*rule)).collect();
    assert!(unlisted.is_empty(), "not in errors.md: {unlisted:?}");
    let unused: Vec<_> = listed.iter().filter(|rule| !rules.contains_key(*rule)).collect();
    assert!(unused.is_empty(), "in errors.md, but no error names them: {unused:?}");
}

#[test]
fn chapters_state_exactly_the_rules_of_the_tables() {
    let mut stated: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files_below(&root().join("format-spec"), ".md") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.parent().is_some_and(|parent| parent.ends_with("decisions")) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a chapter is text");
        for rule in text.split("**").skip(1).step_by(2).filter(|text| is_rule(text)) {
            stated.entry(rule.to_owned()).or_default().push(name.clone());
        }
    }
    let mut listed = first_cells("## Rules that errors name");
    listed.extend(first_cells("## Rules that errors do not name"));
    let unlisted: Vec<_> = stated.keys().filter(|rule| !listed.contains(*rule)).collect();
    assert!(unlisted.is_empty(), "not in errors.md: {unlisted:?}");
    let unstated: Vec<_> = listed.iter().filter(|rule| !stated.contains_key(*rule)).collect();
    assert!(unstated.is_empty(), "stated in no chapter: {unstated:?}");
    for (rule, places) in stated {
        // What is referred to must be durable first: stated where segments are named, and among the promises.
        let allowed = if rule == "I3" { 2 } else { 1 };
        assert!(places.len() <= allowed, "{rule} is stated in {places:?}");
    }
}

/// Rules named in the lines of a file of JSON: by a field `rule`, alone or within an object.
fn rules_in(text: &str) -> BTreeSet<String> {
    let named = text.split("\"rule\": \"").skip(1).filter_map(|rest| rest.split('"').next());
    named.filter(|rule| is_rule(rule)).map(str::to_owned).collect()
}

#[test]
fn every_rule_has_an_invalid_case_or_a_reason_why_not() {
    let spec = root().join("format-spec");
    let mut shown = BTreeSet::new();
    for path in files_below(&spec.join("vectors/invalid"), ".json") {
        shown.append(&mut rules_in(&fs::read_to_string(&path).expect("a vector is text")));
    }
    for path in files_below(&spec.join("golden"), "case.json") {
        shown.append(&mut rules_in(&fs::read_to_string(&path).expect("a case is text")));
    }
    assert!(shown.len() > 40, "the search finds the rules: {shown:?}");
    let text = chapter("vectors/README.md");
    let rows = tables(section(&text, "## Rules that no invalid vector shows"), &["rule"]);
    let excused: BTreeSet<String> = rows.iter().map(|row| row[0].clone()).collect();
    assert!(rows.iter().all(|row| row[1].len() > 10), "each with its reason");
    let mut listed = first_cells("## Rules that errors name");
    listed.extend(first_cells("## Rules that errors do not name"));
    let missing: Vec<_> =
        listed.iter().filter(|rule| !shown.contains(*rule) && !excused.contains(*rule)).collect();
    assert!(missing.is_empty(), "no invalid vector, and no reason why not: {missing:?}");
    let needless: Vec<_> =
        excused.iter().filter(|rule| shown.contains(*rule) || !listed.contains(*rule)).collect();
    assert!(needless.is_empty(), "excused, but shown or unknown: {needless:?}");
}

#[test]
fn no_rule_stands_in_both_tables() {
    let both: Vec<_> = first_cells("## Rules that errors name")
        .intersection(&first_cells("## Rules that errors do not name"))
        .cloned()
        .collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn links_lead_somewhere() {
    for path in files_below(&root().join("format-spec"), ".md") {
        let text = fs::read_to_string(&path).expect("a chapter is text");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let there =
                target.contains("://") || path.parent().is_some_and(|parent| parent.join(file).exists());
            assert!(there, "{}: {target}", path.display());
        }
    }
}
