//! A source with all its mutants in it, each behind a switch: `a < b` becomes
//! `(if on(7) { a > b } else if on(8) { a == b } else { a < b })`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::list::{Genre, Mutant};
use crate::places::{Places, Range};

/// What stands in place of a piece of source.
#[derive(Debug)]
enum Kind {
    /// An expression, or one of those instead of it.
    Choice(Vec<(u32, String)>),
    /// Before the first statement of a function: one of those is returned.
    Return(Vec<(u32, String)>),
    /// Behind the pattern of an arm that may be left out.
    Guard(u32),
    /// The guard of an arm that may be left out, or may be another one.
    OtherGuard(Option<u32>, Vec<(u32, String)>),
}

/// A piece of source that has mutants.
#[derive(Debug)]
struct Site {
    range: Range,
    kind: Kind,
}

/// Lines of the woven source, both ends included, and whose they are.
#[derive(Debug, PartialEq, Eq)]
struct Lines {
    first: usize,
    last: usize,
    ids: Vec<u32>,
    /// Whether this is the mutated text itself, so that an error in it is that of the mutant.
    mutated: bool,
}

/// A source with its mutants.
pub(crate) struct Woven {
    /// The text.
    pub(crate) text: String,
    /// Mutants that no switch can choose while the program runs: those of constants, and of what is computed by the compiler.
    pub(crate) fixed: BTreeSet<u32>,
    lines: Vec<Lines>,
}

impl Woven {
    /// Whose line this is, counted from 1, and whether it is a mutated text.
    pub(crate) fn owners(&self, line: usize) -> Option<(&[u32], bool)> {
        let around = self.lines.iter().filter(|lines| (lines.first..=lines.last).contains(&line));
        let least = around.min_by_key(|lines| lines.last - lines.first)?;
        Some((&least.ids, least.mutated))
    }
}

/// Where a mutant goes; `None` if no switch can choose it.
fn site(text: &str, places: &Places, id: u32, mutant: &Mutant) -> Option<Site> {
    let start = places.offset(mutant.start);
    // A body may begin with a constant, which is no reason against returning before it.
    if places.is_constant(if mutant.genre == Genre::Function { start.saturating_sub(1) } else { start }) {
        return None;
    }
    let choice = |range: Range, other: String| Site { range, kind: Kind::Choice(vec![(id, other)]) };
    let with = |other: &str| vec![(id, other.to_owned())];
    match mutant.genre {
        Genre::Function if mutant.returns.contains("impl ") => None,
        Genre::Function => {
            Some(Site { range: (start, start), kind: Kind::Return(with(&mutant.replacement)) })
        }
        Genre::Binary => {
            let binary = places.binaries.get(&start)?;
            let (left, right) = (&text[binary.left.0..binary.left.1], &text[binary.right.0..binary.right.1]);
            Some(choice((binary.left.0, binary.right.1), format!("{left}\n{} {right}", mutant.replacement)))
        }
        Genre::Unary => {
            let (whole, rest) = places.unaries.get(&start)?;
            Some(choice(*whole, text[rest.0..rest.1].to_owned()))
        }
        Genre::Arm => {
            let arm = places.arms.get(&start)?;
            Some(match arm.guard {
                Some(guard) => Site { range: guard, kind: Kind::OtherGuard(Some(id), Vec::new()) },
                None => Site { range: (arm.pattern_end, arm.pattern_end), kind: Kind::Guard(id) },
            })
        }
        Genre::Guard => {
            let guard = places.guards.get(&start)?;
            Some(Site { range: *guard, kind: Kind::OtherGuard(None, with(&mutant.replacement)) })
        }
        Genre::Field => {
            let (whole, field) = places.fields.get(&start)?;
            Some(choice(*whole, format!("{}{}", &text[whole.0..field.0], &text[field.1..whole.1])))
        }
    }
}

/// Melts two sites of the same place.
fn melt(one: &mut Kind, other: Kind) {
    match (one, other) {
        (Kind::Choice(one), Kind::Choice(other)) | (Kind::Return(one), Kind::Return(other)) => {
            one.extend(other);
        }
        (Kind::OtherGuard(out, one), Kind::OtherGuard(also_out, other)) => {
            *out = out.or(also_out);
            one.extend(other);
        }
        (one, other) => unreachable!("{one:?} and {other:?} in one place"),
    }
}

/// What is being written.
struct Writer<'a> {
    source: &'a str,
    sites: Vec<Site>,
    next: usize,
    /// How the switch is called.
    on: &'a str,
    text: String,
    line: usize,
    lines: Vec<Lines>,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        self.line += text.matches('\n').count();
        self.text.push_str(text);
    }

    /// Writes the mutated texts, each in lines of its own.
    fn others(&mut self, others: &[(u32, String)], before: &str, behind: &str) {
        for (id, other) in others {
            self.push(&format!("if {}({id}) {{\n{before}", self.on));
            let first = self.line;
            self.push(other);
            self.push(behind);
            self.lines.push(Lines { first, last: self.line, ids: vec![*id], mutated: true });
            self.push("\n} else ");
        }
    }

    /// Writes a piece of source with the sites in it.
    fn piece(&mut self, (start, end): Range) {
        let mut at = start;
        while let Some(site) = self.sites.get(self.next).filter(|site| site.range.0 < end) {
            let (from, to) = site.range;
            let kind = std::mem::replace(&mut self.sites[self.next].kind, Kind::Guard(0));
            self.next += 1;
            let before = &self.source[at..from];
            self.push(before);
            at = to;
            let first = self.line;
            let mut ids = Vec::new();
            match kind {
                Kind::Return(others) => {
                    ids.extend(others.iter().map(|other| other.0));
                    self.others(&others, "return ", ";");
                    self.push("{}\n");
                }
                Kind::Guard(id) => {
                    ids.push(id);
                    let guard = format!(" if !{}({id}) ", self.on);
                    self.push(&guard);
                }
                Kind::Choice(others) => {
                    ids.extend(others.iter().map(|other| other.0));
                    self.push("(");
                    self.others(&others, "(", "\n)");
                    self.push("{\n(");
                    self.piece((from, to));
                    self.push("\n)})");
                }
                Kind::OtherGuard(out, others) => {
                    ids.extend(out.iter().copied().chain(others.iter().map(|other| other.0)));
                    if let Some(id) = out {
                        let not = format!("!{}({id}) && ", self.on);
                        self.push(&not);
                    }
                    self.push("(");
                    self.others(&others, "(", "\n)");
                    self.push("{\n(");
                    self.piece((from, to));
                    self.push("\n)})");
                }
            }
            self.lines.push(Lines { first, last: self.line, ids, mutated: false });
        }
        let rest = &self.source[at..end];
        self.push(rest);
    }
}

/// Puts mutants into the text of a file. `on` is how the switch is called there.
pub(crate) fn weave(text: &str, mutants: &BTreeMap<u32, &Mutant>, on: &str) -> Result<Woven, String> {
    let places = Places::of(text)?;
    let mut fixed = BTreeSet::new();
    let mut sites: BTreeMap<(usize, Reverse<usize>, bool), Site> = BTreeMap::new();
    for (&id, mutant) in mutants {
        let Some(site) = site(text, &places, id, mutant) else {
            fixed.insert(id);
            continue;
        };
        // What is put before an expression comes before it, and a guard is around its expression.
        let end = if site.range.0 == site.range.1 { usize::MAX } else { site.range.1 };
        let key = (site.range.0, Reverse(end), matches!(site.kind, Kind::Choice(_)));
        match sites.get_mut(&key) {
            Some(there) => melt(&mut there.kind, site.kind),
            None => drop(sites.insert(key, site)),
        }
    }
    let sites = sites.into_values().collect();
    let mut writer =
        Writer { source: text, sites, next: 0, on, text: String::new(), line: 1, lines: Vec::new() };
    writer.piece((0, text.len()));
    let mut text = writer.text;
    let _ = writeln!(text);
    Ok(Woven { text, fixed, lines: writer.lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Genre;

    fn mutant(genre: Genre, line: usize, column: usize, replacement: &str) -> Mutant {
        Mutant {
            name: String::new(),
            file: String::new(),
            genre,
            start: (line, column),
            replacement: replacement.to_owned(),
            returns: String::new(),
            diff: String::new(),
        }
    }

    fn woven(text: &str, mutants: &[Mutant]) -> Woven {
        let mutants = (1..).zip(mutants).collect();
        weave(text, &mutants, "on").unwrap()
    }

    /// Without white space.
    fn tight(text: &str) -> String {
        text.split_whitespace().collect()
    }

    #[test]
    fn each_mutant_gets_a_switch_and_the_source_stays_behind_it() {
        let text = "fn f(a: u8) -> bool {\n    a + 1 < 3\n}\n";
        let found = woven(
            text,
            &[
                mutant(Genre::Function, 2, 5, "true"),
                mutant(Genre::Binary, 2, 7, "-"),
                mutant(Genre::Binary, 2, 11, ">"),
                mutant(Genre::Binary, 2, 11, "=="),
            ],
        );
        let expected = "fn f(a: u8) -> bool { if on(1) { return true; } else {} \
            (if on(3) {(a + 1 > 3)} else if on(4) {(a + 1 == 3)} else {(\
            (if on(2) {(a - 1)} else {(a + 1)}) < 3)}) }";
        assert_eq!(tight(&found.text), tight(expected));
        assert!(found.fixed.is_empty());
        let line = 1 + found.text[..found.text.find("> 3").unwrap()].matches('\n').count();
        assert_eq!(found.owners(line), Some((&[3][..], true)));
    }

    #[test]
    fn arms_guards_and_fields_are_left_out_by_a_switch() {
        let text = "fn f(a: u8) -> u8 {\n    match a {\n        1 if a > 0 => 2,\n        3 => 4,\n        _ => !a,\n    }\n}\n";
        let found = woven(
            text,
            &[
                mutant(Genre::Arm, 3, 9, ""),
                mutant(Genre::Guard, 3, 14, "false"),
                mutant(Genre::Arm, 4, 9, ""),
                mutant(Genre::Unary, 5, 14, ""),
                mutant(Genre::Binary, 3, 16, "<"),
            ],
        );
        let expected = "fn f(a: u8) -> u8 { match a {\
            1 if !on(1) && (if on(2) {(false)} else {((if on(5) {(a < 0)} else {(a > 0)}))}) => 2,\
            3 if !on(3) => 4, _ => (if on(4) {(a)} else {(!a)}), } }";
        assert_eq!(tight(&found.text), tight(expected));
    }

    #[test]
    fn constants_have_no_switch() {
        let found = woven(
            "const A: u8 = 1 + 2;\nconst fn f() -> u8 {\n    3\n}\nfn g() -> u8 {\n    const B: u8 = 4;\n    B\n}\n",
            &[
                mutant(Genre::Binary, 1, 17, "-"),
                mutant(Genre::Function, 3, 5, "0"),
                mutant(Genre::Function, 6, 5, "0"),
            ],
        );
        assert_eq!(found.fixed, BTreeSet::from([1, 2]), "a body that begins with a constant is left early");
    }
}
