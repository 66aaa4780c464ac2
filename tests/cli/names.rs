//! Names of any kind, in every place where the command line or a file that it reads takes one: refused with one error that
//! can be read, or stored and found again.

use super::{Ended, Place, run, tape};

/// What each command needs to do something: its positional arguments, then options that it cannot do without.
const CALLS: &[(&str, &str)] = &[
    ("init", ""),
    ("import", "bars.csv --instrument B.X --frame 1m"),
    ("fetch", "binance BTCUSDT --plan --since 2024-01-01"),
    ("config check", "tape.toml"),
    ("alerts check", ""),
    ("alerts list", ""),
    ("alerts history", "A.X"),
    ("alerts ack", "0123"),
    ("alerts silence", "A.X"),
    ("status", ""),
    ("report", "A.X"),
    ("ls", "A"),
    ("info", "A.X 1m"),
    ("head", "A.X 1m"),
    ("tail", "A.X 1m"),
    ("show", "A.X 1m"),
    ("aggregate", "A.X 1m"),
    ("export", "A.X 1m"),
    ("latest", "A.X 1m"),
    ("resample", "A.X 1m --into 5m"),
    ("join", "A.X 1m 1m"),
    ("panel", "1m close"),
    ("average", "A.X 1m"),
    ("calendar", "XHKG 2024-01-02"),
    ("backtest", "A.X 1m --signal close"),
    ("backtest ls", ""),
    ("backtest show", "1"),
    ("backtest check", "1"),
    ("explore", "A.X --factors sma"),
    ("adjust", "A.X 1m"),
    ("book", "A.X"),
    ("table", "instruments"),
    ("factor list", "sma"),
    ("factor functions", ""),
    ("factor compute", "A.X --factors sma"),
    ("factor cache", ""),
    ("gaps", "A.X 1m"),
    ("coverage", "A.X 1m"),
    ("quality", "A.X 1m"),
    ("quality accept", "A.X 1m missing"),
    ("quality reopen", "A.X 1m missing"),
    ("quality compare", "A.X A.Y"),
    ("quality hazard", "import"),
    ("log", ""),
    ("schema apply", "schema.toml"),
    ("schema diff", "schema.toml"),
    ("schema validate", "schema.toml"),
    ("schema show", "ticks"),
    ("schema drop", "ticks"),
    ("snapshot create", "new"),
    ("snapshot ls", ""),
    ("snapshot drop", "old"),
    ("rollback", "1"),
    ("delete", "A.X 1m --from 2024-01-01T00:04"),
    ("retain", "ticks"),
    ("prune", "--keep-from 1"),
    ("compact", ""),
    ("verify", ""),
    ("repair", "saved"),
    ("inspect", "CURRENT"),
    ("stats", ""),
    ("backup", "copy"),
    ("completions", "bash"),
    ("demo", "--keep ."),
];

/// A path that leads out, text that drives a terminal and turns its direction, and more than any name has.
fn hostile() -> [String; 3] {
    ["../up".to_owned(), "a\u{202e}b\u{1b}[2J\u{9b}c\u{200b}\nd".to_owned(), "x".repeat(10_000)]
}

fn hidden(c: char) -> bool {
    c != '\n' && tapestore_text::is_hidden(c)
}

/// The subcommands that a help names, or none.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names =
        lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The options that take a value, as a help names them.
fn options(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Options:");
    let dashed = lines.map(str::trim_start).filter(|line| line.starts_with('-'));
    let value = dashed.filter(|line| line.contains(" <") || line.contains(" [<"));
    value
        .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")).map(str::to_owned))
        .collect()
}

/// How many positional arguments a help names.
fn positionals(help: &str) -> usize {
    let lines = help.lines().skip_while(|line| *line != "Arguments:").skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    let named = lines.filter(|line| line.starts_with("  <") || line.starts_with("  ["));
    // One that is wanted twice stands there twice.
    named.map(|line| line.trim().split("  ").next().unwrap_or_default().split(' ').count()).sum()
}

fn place() -> Place {
    let place = Place::with_bars();
    std::fs::create_dir(place.path("here")).unwrap();
    std::fs::copy(place.path("bars.csv"), place.path("here").join("bars.csv")).unwrap();
    std::fs::write(place.path("here").join("tape.toml"), "store = \"../store\"\n").unwrap();
    let schema = "[[tables]]\nname = \"ticks\"\ninstruments = \"*.T\"\nframe = \"ticks\"\n\
         [[tables.columns]]\nname = \"price\"\ntype = \"f64\"\n";
    std::fs::write(place.path("here").join("schema.toml"), schema).unwrap();
    place.tape(&format!("schema apply {}", place.path("here").join("schema.toml").display())).clean();
    place.tape("snapshot create old").clean();
    place
}

fn call(place: &Place, arguments: &[&str]) -> Ended {
    let mut command = tape();
    command.current_dir(place.path("here")).env("TAPE_STORE", place.store()).args(arguments);
    run(command, b"")
}

/// It ended as documented, and what it said can be read.
#[track_caller]
fn readable(arguments: &[&str], ended: &Ended) {
    let told = || {
        let short = |text: &str| text.chars().take(300).collect::<String>();
        (
            arguments.iter().map(|argument| short(argument)).collect::<Vec<_>>(),
            short(&ended.err),
            short(&ended.out),
        )
    };
    // From 11 on they tell of alerts.
    assert!((0..=4).contains(&ended.code) || (11..=14).contains(&ended.code), "{}: {:?}", ended.code, told());
    assert!(!ended.err.contains("panicked"), "{:?}", told());
    assert!(!ended.err.chars().any(hidden) && !ended.out.chars().any(hidden), "{:?}", told());
    // One error, and no more of what was given than tells it apart.
    assert!(ended.err.lines().all(|line| line.len() < 2_100), "{} bytes: {:?}", ended.err.len(), told());
    if ended.code == 2 {
        let named = |line: &str| line.starts_with("tape: ") || line.starts_with("error: ");
        assert_eq!(ended.err.lines().filter(|line| named(line)).count(), 1, "{:?}", told());
    }
}

/// The store is whole, and its files have the names of its format.
#[track_caller]
fn sound(place: &Place, what: &str) {
    let verified = call(place, &["verify", "--deep"]);
    assert_eq!(verified.code, 0, "{what}: {verified:?}");
    let entries = std::fs::read_dir(place.store()).unwrap().map(|entry| entry.unwrap().file_name());
    for name in entries.map(|name| name.into_string().unwrap()) {
        let known = ["CURRENT", "LOCK", "visible", "reserve", "leases"].contains(&name.as_str())
            || ["wal-", "segment-", "manifest-"].iter().any(|kind| name.starts_with(kind));
        assert!(known, "{what}: {name}");
    }
}

/// Every option and every argument of one command; how many calls that were.
fn every_place(command: &str, line: &str) -> usize {
    let place = place();
    let words: Vec<&str> = command.split(' ').collect();
    let help = call(&place, &[words.as_slice(), &["--help"]].concat()).clean();
    let given: Vec<&str> = line.split_whitespace().collect();
    let first_option = given.iter().position(|word| word.starts_with("--")).unwrap_or(given.len());
    assert_eq!(positionals(&help), first_option, "{command}: a value for each argument\n{help}");
    let mut calls = 0;
    for name in hostile() {
        let mut lines: Vec<Vec<&str>> = Vec::new();
        for at in 0..first_option {
            let mut line = given.clone();
            line[at] = &name;
            lines.push(line);
        }
        let options = options(&help);
        for option in &options {
            // Given already, with a value that works.
            let line = match given.iter().position(|word| word == option) {
                Some(at) => {
                    let mut line = given.clone();
                    line[at + 1] = &name;
                    line
                }
                None => [given.as_slice(), &[option.as_str(), &name]].concat(),
            };
            lines.push(line);
        }
        for line in lines {
            let arguments = [words.as_slice(), line.as_slice()].concat();
            readable(&arguments, &call(&place, &arguments));
            calls += 1;
        }
    }
    sound(&place, command);
    calls
}

#[test]
fn every_argument_of_every_command_takes_any_name_or_says_why_not() {
    let place = Place::new();
    std::fs::create_dir(place.path("here")).unwrap();
    let mut found = Vec::new();
    for command in commands(&call(&place, &["--help"]).clean()) {
        let help = call(&place, &[&command, "--help"]).clean();
        let below = commands(&help);
        found.extend(below.iter().map(|below| format!("{command} {below}")));
        // Some do something of their own, and have commands below.
        if below.is_empty() || positionals(&help) > 0 {
            found.push(command);
        }
    }
    let listed: Vec<&str> = CALLS.iter().map(|call| call.0).collect();
    found.retain(|command| !listed.contains(&command.as_str()));
    assert!(found.is_empty(), "commands without a line in CALLS: {found:?}");
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut calls = 0;
        while let Some((command, line)) = CALLS.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            calls += every_place(command, line);
        }
        calls
    };
    let calls: usize = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().expect("no failure")).iter().sum()
    });
    assert!(calls > 900, "{calls} calls");
}

/// A file that names something, and the call that reads it. `{}` stands for the name, as TOML and JSON write it.
const FILES: &[(&str, &str, &str)] = &[
    (
        "table",
        "[[tables]]\nname = {}\ninstruments = \"*.S\"\nframe = \"s\"\n[[tables.columns]]\nname = \"a\"\ntype = \"f64\"\n",
        "schema apply file.toml",
    ),
    (
        "instruments",
        "[[tables]]\nname = \"s\"\ninstruments = {}\nframe = \"s\"\n[[tables.columns]]\nname = \"a\"\ntype = \"f64\"\n",
        "schema apply file.toml",
    ),
    (
        "frame",
        "[[tables]]\nname = \"s\"\ninstruments = \"S.S\"\nframe = {}\n[[tables.columns]]\nname = \"a\"\ntype = \"f64\"\n",
        "schema apply file.toml",
    ),
    (
        "column",
        "[[tables]]\nname = \"s\"\ninstruments = \"S.S\"\nframe = \"s\"\n[[tables.columns]]\nname = {}\ntype = \"f64\"\n",
        "schema apply file.toml",
    ),
    (
        "type",
        "[[tables]]\nname = \"s\"\ninstruments = \"S.S\"\nframe = \"s\"\n[[tables.columns]]\nname = \"a\"\ntype = {}\n",
        "schema apply file.toml",
    ),
    (
        "comment",
        "[[tables]]\nname = \"s\"\ninstruments = \"S.S\"\nframe = \"s\"\ncomment = {}\n\
         [[tables.columns]]\nname = \"a\"\ntype = \"f64\"\ncomment = {}\n",
        "schema apply file.toml",
    ),
    (
        "dedup",
        "[[tables]]\nname = \"s\"\ninstruments = \"S.S\"\nframe = \"s\"\ndedup = [{}]\n\
         [[tables.columns]]\nname = \"a\"\ntype = \"f64\"\n",
        "schema apply file.toml",
    ),
    ("unknown field", "[[tables]]\n{} = 1\n", "schema apply file.toml"),
    ("store", "store = {}\n", "config check file.toml"),
    ("source", "store = \"../store\"\n[sources.{}]\nurl = \"http://localhost\"\n", "config check file.toml"),
    (
        "universe",
        "store = \"../store\"\n[universes.{}]\nsymbols = [\"A\"]\n[[fetch]]\nsource = \"okx\"\nuniverse = {}\n\
         timeframes = [\"1h\"]\n",
        "config check file.toml",
    ),
    (
        "symbol",
        "store = \"../store\"\n[[fetch]]\nsource = \"okx\"\nsymbols = [{}]\ntimeframes = [\"1h\"]\n",
        "config check file.toml",
    ),
    (
        "calendar",
        "store = \"../store\"\n[calendars.{}]\nopen = [\"09:30-12:00\"]\n",
        "config check file.toml",
    ),
    (
        "rule",
        "store = \"../store\"\n[alerts]\n[[alerts.rules]]\nname = {}\n",
        "alerts check --config file.toml",
    ),
    (
        "sink",
        "store = \"../store\"\n[alerts]\n[alerts.sinks.{}]\nkind = \"file\"\npath = {}\n",
        "alerts check --config file.toml",
    ),
    (
        "member of JSON",
        "[{\"time\": 1704067200, {}: 1.5}]",
        "import file.toml --format json --instrument J.J --frame j",
    ),
    (
        "value of JSON",
        "[{\"time\": 1704067200, \"a\": {}}]",
        "import file.toml --format json --instrument J.J --frame j --type a=string",
    ),
];

/// As TOML and JSON alike write a text.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if tapestore_text::is_hidden(c) => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

#[test]
fn names_in_files_are_taken_or_refused_clearly() {
    let mut names = hostile().to_vec();
    names.extend(["", "a\0b", "/etc/passwd", "..", "CURRENT"].map(str::to_owned));
    for (what, content, line) in FILES {
        let place = place();
        for name in &names {
            let file = place.path("here").join("file.toml");
            std::fs::write(&file, content.replace("{}", &quoted(name))).unwrap();
            let arguments: Vec<&str> = line.split(' ').collect();
            let ended = call(&place, &arguments);
            readable(&[&[*what, name], arguments.as_slice()].concat(), &ended);
            for show in [
                ["schema", "show"].as_slice(),
                &["ls"],
                &["status"],
                &["log"],
                &["log", "--operations"],
                &["show", "J.J", "j"],
            ] {
                readable(&[&[*what, name], show].concat(), &call(&place, show));
            }
        }
        sound(&place, what);
    }
}

/// The header of a file names columns: what cannot be shown is no name of one.
#[test]
fn names_in_headers_are_taken_or_refused_clearly() {
    let place = place();
    let mut names = hostile().to_vec();
    names.extend(["a\u{202e}b", "a\0b", "..", "/etc/passwd", "腾讯"].map(str::to_owned));
    for (number, name) in names.iter().enumerate() {
        let text = format!("time,\"{name}\"\n1704067200,1.5\n1704067260,2.5\n");
        std::fs::write(place.path("here").join("file.csv"), text).unwrap();
        let frame = format!("h{number}");
        let arguments = ["import", "file.csv", "--instrument", "H.H", "--frame", &frame];
        let ended = call(&place, &arguments);
        readable(&[&[name.as_str()], arguments.as_slice()].concat(), &ended);
        let fits = !name.chars().any(tapestore_text::is_hidden) && name.len() <= 64;
        assert_eq!(ended.code == 0, fits, "{name:?}: {ended:?}");
        if fits {
            let shown = call(&place, &["show", "H.H", &frame, "--csv", "--columns", name]).clean();
            assert!(shown.starts_with(&format!("time,{name}\n")) && shown.lines().count() == 3, "{shown}");
        }
    }
    sound(&place, "headers");
}

/// What describes a commit or a row is free text: kept to the byte, and shown without its power over a terminal.
#[test]
fn sources_and_messages_are_kept_and_shown_harmlessly() {
    let place = place();
    for (number, name) in hostile().iter().enumerate() {
        let instrument = format!("S{number}.X");
        let import = [
            "import",
            "bars.csv",
            "--instrument",
            &instrument,
            "--frame",
            "1m",
            "--source",
            name,
            "-m",
            name,
        ];
        let ended = call(&place, &import);
        readable(&import, &ended);
        assert_eq!(ended.code, 0, "{ended:?}");
        for show in [["show", &instrument, "1m", "--provenance"].as_slice(), &["log"], &["stats"], &["ls"]] {
            let ended = call(&place, show);
            readable(show, &ended);
            assert_eq!(ended.code, 0, "{ended:?}");
        }
        let newest = call(&place, &["log", "-n", "1", "--json"]).clean();
        let kept: String = name.chars().take(512).collect();
        let mut written = Vec::new();
        tapestore_text::json::push_string(&mut written, &kept);
        assert!(newest.contains(std::str::from_utf8(&written).unwrap()), "{newest}");
    }
    sound(&place, "sources");
}
