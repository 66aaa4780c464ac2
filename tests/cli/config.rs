//! Configurations of fetching: what they mean, what is wrong with them, and keeping stores current by them.

use super::fetch::{direct, exchange, fetch};
use super::{Place, member};

/// A configuration for an exchange at this address.
fn toml(url: &str) -> String {
    format!(
        r#"store = "market"

[universes.majors]
symbols = ["BTCUSDT", "ETHUSDT"]
tier = "S"

[sources.binance]
url = "{url}"
concurrency = 2
keys = [{{ header = "X-MBX-APIKEY", env = "TAPE_TEST_KEY" }}]

[calendars.office]
open = ["09:30-12:00", "13:00-16:00"]
utc_offset = "8h"
closed = ["2026-02-04"]

[[fetch]]
source = "binance"
universe = "majors"
timeframes = ["1m"]
since = "2026-02-02"
derive = ["5m", "15m"]
cross_check = ["1h"]
schedule = "30m"

[[fetch]]
source = "binance"
symbols = ["SOLUSDT"]
timeframes = ["1m"]
since = "2026-02-02"
calendar = "office"
"#
    )
}

const YAML: &str = "store: market
universes:
  majors:
    symbols: [BTCUSDT, ETHUSDT]
fetch:
  - source: okx
    universe: majors
    timeframes: [1h, 1d]
    schedule: '*/5 * * * 1-5'
";

#[test]
fn a_configuration_is_explained() {
    let place = Place::new();
    let file = place.write("tape.toml", toml("https://example.org"));
    let mut command = direct(&place, &format!("config check {file}"));
    command.env("TAPE_TEST_KEY", "hunter2");
    let told = super::run(command, b"").clean();
    assert!(
        told.contains("binance        2  1m       5m 15m   1h        2026-02-02  always open  30m"),
        "{told}"
    );
    assert!(told.contains("universe majors: 2 symbols, tier S\n"), "{told}");
    assert!(told.contains("source binance: a weight of 6,000 a minute, 2 instruments at a time\n"), "{told}");
    assert!(told.contains("sound: 5 series;") && !told.contains("hunter2"), "{told}");
    let unset = fetch(&place, &format!("config check {file}")).failed(2);
    assert!(unset.contains("line 10: the environment has no variable TAPE_TEST_KEY"), "{unset}");
    let file = place.write("tape.yaml", YAML);
    let told = fetch(&place, &format!("config check {file} --json")).clean();
    assert!(told.contains(r#""timeframes": ["1h", "1d"], "derive": []"#), "{told}");
    assert_eq!(member(&told, "weight_per_minute"), 150);
}

#[test]
fn mistakes_are_named_with_their_lines() {
    let place = Place::new();
    let base = YAML.replace("okx", "binance");
    for (from, to, hint) in [
        ("source: binance", "source: nowhere", "line 6: there is no source \"nowhere\""),
        ("universe: majors", "universe: minors", "line 6: there is no universe \"minors\""),
        ("symbols:", "symbol:", "line 4: a universe has no field \"symbol\""),
        ("[1h, 1d]", "[1h, 7q]", "line 8: \"7q\" is neither a timeframe"),
        ("[1h, 1d]", "[2m]", "binance has no 2m"),
        ("'*/5 * * * 1-5'", "sometimes", "\"sometimes\" is no schedule"),
        ("schedule:", "derive: [1h]\n    schedule:", "1h cannot be made of what is fetched"),
        ("schedule:", "derive: [1d]\n    schedule:", "1d is fetched and derived"),
        ("schedule:", "calendar: mars\n    schedule:", "there is no calendar \"mars\""),
        ("schedule:", "since: someday\n    schedule:", "\"someday\" is not a time"),
        ("fetch:", "fetches:", "a configuration has no field \"fetches\""),
        ("fetch:", "calendars: {hk: {open: ['9-12']}}\nfetch:", "\"9-12\" are no hours"),
        ("fetch:", "sources: {x: {kind: csv, path: a.csv}}\nfetch:", "needs the field \"intervals\""),
        ("fetch:", "sources: {x: {kind: process, intervals: [1d]}}\nfetch:", "needs command"),
    ] {
        let file = place.write("tape.yaml", base.replacen(from, to, 1));
        let error = fetch(&place, &format!("config check {file}")).failed(2);
        assert!(error.contains(hint), "{to}: {error}");
    }
    let error = fetch(&place, "config check nothing.toml").failed(2);
    assert!(error.contains("cannot read nothing.toml"), "{error}");
}

#[test]
fn a_configuration_keeps_a_store_current_derives_and_compares() {
    let (exchange, server) = exchange(std::time::Duration::ZERO);
    let place = Place::new();
    let file = place.write("tape.toml", toml(&server.url));
    let run = |line: &str| {
        let mut command = super::tape();
        command.env("TAPE_TEST_KEY", "hunter2").env("NO_PROXY", "127.0.0.1").args(line.split_whitespace());
        super::run(command, b"")
    };
    let plan = run(&format!("fetch --config {file} --plan --until 2026-02-04"));
    let plan = plan.clean();
    assert!(
        plan.contains("SOLUSDT.BINANCE  1m     first  2026-02-03 01:30  2026-02-03 08:00      330"),
        "{plan}"
    );
    assert!(exchange.sent().is_empty());
    let done = run(&format!("fetch --config {file} --until 2026-02-04"));
    assert_eq!(done.code, 1, "the hours of this exchange are not made of its minutes: {done:?}");
    // Two days: 576 and 192 bars of each of the two, and 48 hours of which high, close and volume differ.
    assert!(done.out.contains("1,536 coarser bars made; 96 compared, 288 values differ"), "{done:?}");
    assert!(done.err.contains("288 findings"), "{done:?}");
    let store = place.path("market").display().to_string();
    let five =
        run(&format!("export BTCUSDT.BINANCE 5m --store {store} --csv --time ms --columns close,volume"));
    assert_eq!(five.clean().lines().nth(1), Some("1769990400000,46084,60.625"));
    let sent = exchange.sent().len();
    let again = run(&format!("fetch --config {file} --until 2026-02-04")).clean();
    assert!(again.contains("5 series are current"), "{again}");
    assert_eq!(exchange.sent().len(), sent);
    let all =
        std::fs::read_dir(place.path("market")).unwrap().map(|entry| std::fs::read(entry.unwrap().path()));
    let leaked = all.filter_map(Result::ok).any(|bytes| bytes.windows(7).any(|part| part == b"hunter2"));
    assert!(!leaked && !done.out.contains("hunter2") && !done.err.contains("hunter2"));
}

#[test]
fn sources_of_ones_own_are_folders_and_programs() {
    let place = Place::new();
    let mut csv = String::from("Date;Open;High;Low;Close;Vol\n");
    for day in 2..7 {
        csv.push_str(&format!("2026-02-{day:02};1.5;2;1;1.75;{day}\n"));
    }
    place.write("X1.csv", csv);
    let script = place.write(
        "source.py",
        format!(
            "import sys\n\
             sys.path.insert(0, {:?})\n\
             sys.dont_write_bytecode = True\n\
             from tape_source import serve\n\
             def bars(ask):\n    \
                 if ask.symbol == 'NONE':\n        sys.exit('no such symbol')\n    \
                 return [(at, 1, 2, 0.5, 1.25, 7) for at in range(ask.start_ns, ask.end_ns, 3600 * 10**9)]\n\
             serve(bars)\n",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../engine/fetch/examples")
        ),
    );
    let file = place.write(
        "tape.toml",
        format!(
            "store = \"market\"\n\
             [sources.folder]\nkind = \"csv\"\npath = \"{{symbol}}.csv\"\ndelimiter = \";\"\ntime = \"Date\"\n\
             columns = {{ open = \"Open\", high = \"High\", low = \"Low\", close = \"Close\", volume = \"Vol\" }}\n\
             intervals = [\"1d\"]\nname = \"{{symbol}}.MINE\"\n\
             [sources.program]\nkind = \"process\"\ncommand = [\"python3\", {script:?}]\nintervals = [\"1h\"]\n\
             page_bars = 24\n\
             [[fetch]]\nsource = \"folder\"\nsymbols = [\"X1\"]\ntimeframes = [\"1d\"]\nsince = \"2026-02-02\"\n\
             [[fetch]]\nsource = \"program\"\nsymbols = [\"A.B\", \"NONE\"]\ntimeframes = [\"1h\"]\n\
             since = \"2026-02-02\"\n"
        ),
    );
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let mut command = super::tape();
    command.args(["fetch", "--config", &file, "--until", "2026-02-04"]);
    let done = super::run(command, b"");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("NONE 1h: program declines: python3 ended with 1: no such symbol"), "{done:?}");
    let store = place.path("market").display().to_string();
    let list = |line: &str| {
        let mut command = super::tape();
        command.args(line.split_whitespace()).args(["--store", &store]);
        super::run(command, b"").clean()
    };
    assert_eq!(member(&list("info A.B 1h --json"), "rows"), 48);
    let rows = list("export X1.MINE 1d --csv --time iso");
    assert_eq!(
        rows,
        "time,open,high,low,close,volume\n\
         2026-02-02T00:00:00Z,1.5,2,1,1.75,2\n\
         2026-02-03T00:00:00Z,1.5,2,1,1.75,3\n"
    );
}
