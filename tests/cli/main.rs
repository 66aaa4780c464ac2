//! The command line as a process: what it prints, where, and how it exits.
//!
//! One file a subject: [`alerts`] what is wrong and who is told, [`backtest`] signals and what they are worth, [`explore`] all factors at once,
//! [`contract`] what scripts rely on, [`factor`]
//! technical indicators, [`import`] what files become, [`history`] versions,
//! [`report`] the page of a store, in a [`browser`] as well, [`fetch`] what comes from
//! sources, [`config`] what is to be kept current, [`failures`] wrong calls, damage and exit codes, [`full_disk`] a disk without space, [`looks`] what people see,
//! [`kinds`] kinds of data, [`market`] questions of market data, [`names`] names of any kind, [`operations`] what was done, [`repair`] what is saved
//! of damaged stores, [`status`] how a store is, [`retain`] what goes when it grows old, [`tail`] following a store, [`tiers`] how rows are encoded, [`real`] the market data files.

mod alerts;
mod backtest;
mod browser;
mod calendar;
mod config;
mod contract;
#[expect(dead_code, reason = "the tests of the crate use all of it")]
#[path = "../../engine/fetch/tests/fetch/exchange.rs"]
mod exchange;
mod explore;
mod factor;
mod failures;
mod fetch;
mod full_disk;
mod hazard;
mod history;
mod import;
mod kinds;
mod looks;
mod market;
mod names;
mod operations;
mod quality;
mod real;
mod repair;
mod report;
mod retain;
#[expect(dead_code, reason = "the tests of the crate use all of it")]
#[path = "../../engine/fetch/tests/fetch/server.rs"]
mod server;
mod status;
mod tail;
mod tiers;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A directory for one test, with a store in it once something is imported.
struct Place {
    directory: tempfile::TempDir,
}

/// How a call ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    /// Standard output of a call that must be clean.
    #[track_caller]
    fn clean(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// Standard error of a call that must end with this code, and print no data.
    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.starts_with("tape: ") || self.err.starts_with("error: "), "{self:?}");
        self.err
    }
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).expect("writes a file");
        self.path(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("reads a file")
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Runs `tape --store STORE` with these arguments, divided at spaces.
    fn tape(&self, line: &str) -> Ended {
        self.tape_with(&line.split_whitespace().collect::<Vec<_>>(), b"")
    }

    fn tape_with(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut command = tape();
        command.arg("--store").arg(self.store()).args(arguments);
        run(command, input)
    }

    /// A store with four bars of `A.X 1m`: minutes 0, 1, 4 and 5.
    fn with_bars() -> Self {
        let place = Self::new();
        let file = place.write("bars.csv", BARS);
        place.tape(&format!("import {file} --instrument A.X --frame 1m")).clean();
        place
    }
}

const BARS: &str = "open_time,open,high,low,close,volume\n\
    1704067200000,1.5,2,1,1.75,10\n\
    1704067260000,1.75,1.8,1.7,1.8,8e-8\n\
    1704067440000,1.8,1.8,1.8,1.8,0.1\n\
    1704067500000,1.8,100,0.1,-0,3\n";

/// This many bars without a header, a minute apart.
fn minutes(count: u64) -> String {
    let rows: Vec<String> = (0..count).map(|row| format!("{},1,1,1,1,1", 1_704_067_200 + row * 60)).collect();
    rows.join("\n")
}

fn tape() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tape"));
    command.env_remove("TAPE_STORE");
    command
}

fn run(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts the command");
    // A command that fails early does not read its input.
    let _ = child.stdin.take().expect("has an input").write_all(input);
    let output = child.wait_with_output().expect("ends");
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("prints UTF-8"),
        err: String::from_utf8(output.stderr).expect("prints UTF-8"),
    }
}

/// The value of an integer member in a line of JSON.
#[track_caller]
fn member(line: &str, name: &str) -> i64 {
    let key = format!("\"{name}\": ");
    let start = line.find(&key).unwrap_or_else(|| panic!("no {name} in {line}")) + key.len();
    let digits: String = line[start..].chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    digits.parse().unwrap_or_else(|_| panic!("{name} is no integer in {line}"))
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(false)
}
