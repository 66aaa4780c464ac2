//! Figures that the README and pages of decisions cite from `benches/RESULTS.md` are those that stand there.
//!
//! A page says where a figure of today is from in a comment right behind it, which nobody sees who reads the page:
//! `3.3<!-- RESULTS: BTCUSD.BITFINEX-1m > tapestore cold > scan -->` is the cell of that row and column below that heading;
//! with four names the second is the first cell of the table's header. A figure may have fewer digits than the cell, and a
//! cell more numbers than one. Figures of a day that is past have no comment, but the day.

use std::fs;

use format_spec_tests::{files_below, root};

const MARK: &str = "<!-- RESULTS: ";

/// A figure of a page, and where it is said to be from.
#[derive(Debug)]
struct Figure<'a> {
    number: &'a str,
    place: Vec<&'a str>,
}

fn results() -> String {
    fs::read_to_string(root().join("benches/RESULTS.md")).expect("the comparison was made")
}

fn figures(page: &str) -> Vec<Figure<'_>> {
    let mut found = Vec::new();
    for (at, _) in page.match_indices(MARK) {
        let before = page[..at].trim_end_matches('*');
        let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.' || *byte == b',';
        let length = before.bytes().rev().take_while(digit).count();
        let rest = &page[at + MARK.len()..];
        let place = rest.split_once(" -->").map_or(rest, |(place, _)| place);
        found.push(Figure { number: &before[before.len() - length..], place: place.split(" > ").collect() });
    }
    found
}

/// The cell at a place, or what of it is not there.
fn cell<'a>(results: &'a str, place: &[&str]) -> Result<&'a str, String> {
    let (heading, table, row, column) = match place {
        [heading, row, column] => (heading, None, row, column),
        [heading, table, row, column] => (heading, Some(table), row, column),
        _ => return Err(format!("{place:?} are not three or four names")),
    };
    let is_heading =
        |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim() == *heading);
    let mut lines = results.lines().skip_while(|line| is_heading(line) != Some(true));
    lines.next().ok_or_else(|| format!("no heading {heading:?}"))?;
    let mut header: Option<Vec<&str>> = None;
    for line in lines.take_while(|line| is_heading(line).is_none()) {
        let Some(line) = line.strip_prefix('|') else {
            header = None;
            continue;
        };
        let cells: Vec<&str> = line.trim_end_matches('|').split('|').map(str::trim).collect();
        let Some(names) = &header else {
            header = Some(cells);
            continue;
        };
        if cells[0] == *row && table.is_none_or(|table| names[0] == *table) {
            let at = names.iter().position(|name| name == column);
            return at.and_then(|at| cells.get(at).copied()).ok_or_else(|| format!("no column {column:?}"));
        }
    }
    Err(format!("no row {row:?}"))
}

/// Whether one of the numbers of a cell is this one, rounded to its digits.
fn states(cell: &str, number: &str) -> bool {
    let plain = |text: &str| text.replace(',', "").parse::<f64>().ok();
    let Some(figure) = plain(number) else { return false };
    let digits = number.split_once('.').map_or(0, |(_, digits)| digits.len());
    let half = 0.5 / 10f64.powi(i32::try_from(digits).expect("few digits"));
    let numbers = cell.split(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ',');
    numbers.filter_map(plain).any(|found| (found - figure).abs() <= half * 1.000_001)
}

#[test]
fn figures_of_pages_are_those_of_the_results() {
    let results = results();
    let mut checked = 0;
    let mut pages = files_below(&root().join("format-spec/decisions"), ".md");
    pages.push(root().join("README.md"));
    for path in pages {
        let page = fs::read_to_string(&path).expect("a page is text");
        for Figure { number, place } in figures(&page) {
            let found = cell(&results, &place).unwrap_or_else(|missing| {
                panic!("{}: {number} is of {place:?}, but benches/RESULTS.md has {missing}", path.display())
            });
            assert!(
                states(found, number),
                "{}: {number} is of {place:?}, where benches/RESULTS.md has {found:?}",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked >= LEAST, "only {checked} figures say where they are from");
}

/// The README tells two sizes of each kind of files: of the best of them and of the worst.
#[test]
fn the_readme_says_how_small_files_are_at_best_and_at_worst() {
    const COLUMN: &str = "dense / smallest Parquet";
    let (results, page) = (results(), fs::read_to_string(root().join("README.md")).expect("a README"));
    for heading in ["Bars", "Trades and quotes"] {
        let below = results.lines().skip_while(|line| *line != format!("### {heading}")).skip(1);
        let table = below.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
        let files = table.skip(2).filter_map(|line| line.split('|').nth(1));
        let size = |file: &str| {
            cell(&results, &[heading, file.trim(), COLUMN])?.parse().map_err(|_| file.to_owned())
        };
        let sizes: Vec<f64> = files.map(|file| size(file).expect("a size")).collect();
        let best = sizes.iter().copied().fold(f64::INFINITY, f64::min);
        let worst = sizes.iter().copied().fold(0.0, f64::max);
        let said = figures(&page).into_iter().filter(|figure| figure.place[0] == heading);
        let said: Vec<&str> = said.map(|figure| figure.number).collect();
        assert_eq!(said.len(), 2, "{heading}: README.md");
        assert!(states(&best.to_string(), said[0]), "{heading}: README.md has {said:?}, the best is {best}");
        assert!(
            states(&worst.to_string(), said[1]),
            "{heading}: README.md has {said:?}, the worst is {worst}"
        );
    }
}

/// So many figures are said to be from there, at least.
const LEAST: usize = 120;

#[test]
fn a_figure_that_does_not_stand_there_is_found() {
    let results = "# A\n## Times\n\n| file | scan | size |\n|-|-:|-:|\n| one | 64.30 ms (3.30×) | 19,245 |\n\n| two | scan |\n|-|-|\n| one | 7 |\n\n## More\n";
    let page =
        "so **3.3**<!-- RESULTS: Times > one > scan --> and 7<!-- RESULTS: Times > two > one > scan -->";
    let found = figures(page);
    assert_eq!(found.iter().map(|figure| figure.number).collect::<Vec<_>>(), ["3.3", "7"]);
    let at = |place: &[&str]| cell(results, place);
    assert!(found.iter().all(|figure| at(&figure.place).is_ok_and(|cell| states(cell, figure.number))));
    assert!(states(at(&["Times", "one", "size"]).expect("there"), "19,245"));
    for wrong in ["3.4", "3.31", "6.4", "643", "", "."] {
        assert!(!states("64.30 ms (3.30×)", wrong), "{wrong}");
    }
    assert_eq!(at(&["More", "one", "scan"]), Err("no row \"one\"".to_owned()));
    assert_eq!(at(&["Times", "three", "one", "scan"]), Err("no row \"one\"".to_owned()));
    assert_eq!(at(&["Times", "one", "rows"]), Err("no column \"rows\"".to_owned()));
    assert_eq!(at(&["Sizes", "one", "scan"]), Err("no heading \"Sizes\"".to_owned()));
    assert!(at(&["Times", "scan"]).is_err());
}
