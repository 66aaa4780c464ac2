//! The page on fetching shows what the commands print.

use std::fs;
use std::path::Path;

use super::{compare, session, without_times};

const CONFIG: &str = r#"store = "market"

[sources.folder]
kind = "csv"
path = "prices/{symbol}.csv"
time = "date"
intervals = ["1d"]
complete = true
name = "{symbol}.NASDAQ"

[universes.all]
symbols = ["ACME"]
tier = "A"

[[fetch]]
source = "folder"
universe = "all"
timeframes = ["1d"]
since = "2025-01-06"
schedule = "30 22 * * 1-5"
"#;
const PRICES: &str = "date,open,high,low,close,volume
2025-01-06,10,10.5,9.9,10.2,700
2025-01-07,10.2,10.4,10.1,10.3,650
2025-01-09,10.3,10.9,10.3,10.8,900
";
const LATER: &str = "2025-01-10,10.8,11,10.6,10.7,800
2025-01-13,10.7,10.7,10.1,10.2,850
";

#[test]
fn the_page_on_fetching_shows_what_the_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/fetch/README.md");
    for chapter in ["Sources", "Configuration"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a writable directory");
            fs::write(path, text).expect("a writable directory");
        };
        write("tape.toml", CONFIG);
        write("prices/ACME.csv", PRICES);
        write("later/ACME.csv", &format!("{}{LATER}", PRICES.replace("10.8,900", "10.75,900")));
        let comment = format!("with TAPE_BLESS=1 it writes it anew. {chapter}.");
        let same = |old: &str, new: &str| without_times(old) == without_times(new);
        compare(&page, &comment, same, |block| session(block, directory.path()));
    }
}
