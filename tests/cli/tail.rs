//! `tape tail -f`: what other processes commit is shown, whatever happens to them and to the store.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tapestore::{Batch, Options, SeriesKey, Store, Values};

use super::{Place, member, tape};

const PATIENCE: Duration = Duration::from_mins(1);
const START: i64 = 1_704_067_200;

/// A `tape tail -f` and the lines that it prints, as they come.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start(place: &Place, arguments: &str) -> Self {
        let mut command = tape();
        command.arg("--store").arg(place.store()).args(arguments.split_whitespace());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// Waits for the end of the process; its exit code and what it said on standard error.
    fn ended(self) -> (Option<i32>, String) {
        let start = Instant::now();
        let mut child = self.child;
        while child.try_wait().expect("a child can be awaited").is_none() {
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("tail did not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().expect("ended");
        (output.status.code(), String::from_utf8(output.stderr).expect("prints UTF-8"))
    }

    fn interrupt(self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("a kill").success());
        self.ended()
    }
}

/// The entry of the writing process; in a normal run it does nothing. Commits every line of its input: minute and close.
#[test]
fn writing_process() {
    let Some(store) = std::env::var_os("TAPE_TAIL_STORE") else { return };
    let store = Store::open(store, Options::default()).expect("opens");
    let key = SeriesKey::new("A.X", "1m").expect("a key");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let numbers: Vec<i64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
        let column = |value: f64| Values::F64(vec![value]);
        let rows = ["open", "high", "low", "close"].into_iter().fold(
            Batch::new(vec![(START + 60 * numbers[0]) * 1_000_000_000]).with("volume", column(7.0)),
            |batch, name| batch.with(name, column(numbers[1] as f64)),
        );
        let mut transaction = store.begin();
        transaction.upsert(&key, rows).expect("a bar");
        transaction.commit().expect("commits");
    }
    store.close().expect("closes");
}

/// A process that commits every row it is given.
struct Writer {
    child: Child,
    rows: ChildStdin,
}

impl Writer {
    fn start(place: &Place) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("the test binary has a path"));
        command
            .args(["tail::writing_process", "--exact", "--nocapture"])
            .env("TAPE_TAIL_STORE", place.store());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        Self { rows: child.stdin.take().expect("piped"), child }
    }

    fn row(&mut self, minute: i64, close: i64) {
        // It may have been killed.
        let _ = writeln!(self.rows, "{minute} {close}");
    }

    fn finish(self) {
        drop(self.rows);
        let output = self.child.wait_with_output().expect("ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn kill(mut self) {
        self.child.kill().expect("can be killed");
        self.child.wait().expect("can be awaited");
    }
}

/// Takes printed rows into what is known: time to close.
fn take(known: &mut BTreeMap<i64, i64>, line: &str) {
    known.insert(member(line, "time"), member(line, "close"));
}

fn stored(place: &Place) -> BTreeMap<i64, i64> {
    let mut known = BTreeMap::new();
    let shown = place.tape("show A.X 1m --json --time s").clean();
    shown.lines().for_each(|line| take(&mut known, line));
    known
}

#[test]
fn rows_are_followed_over_killed_and_restarted_writers_and_all_upkeep() {
    let place = Place::with_bars();
    let tail = Tail::start(&place, "tail A.X 1m -f -n 100 --json --time s --interval 5ms");
    let mut known = BTreeMap::new();
    (0..4).for_each(|_| take(&mut known, &tail.line()));
    for round in 0..4 {
        let mut writer = Writer::start(&place);
        // Each row is seen while the writer lives.
        for minute in 10 * round + 10..10 * round + 15 {
            writer.row(minute, 1000 + minute);
            // The last rows of a writer that was killed may come first.
            while known.get(&(START + 60 * minute)) != Some(&(1000 + minute)) {
                take(&mut known, &tail.line());
            }
        }
        if round % 2 == 0 {
            // Killed with rows on their way: some of them may be committed, none may be lost to the follower.
            (10 * round + 15..10 * round + 18).for_each(|minute| writer.row(minute, 5));
            writer.kill();
        } else {
            writer.finish();
        }
        match round {
            0 => drop(place.tape("compact").clean()),
            1 => drop(place.tape("prune --keep-from 3").clean()),
            2 => drop(place.tape("rollback 6").clean()),
            _ => {}
        }
    }
    let last = place.write("last.csv", format!("{},9,9,9,9,9\n", START + 60 * 99));
    place.tape(&format!("import {last} --no-header --instrument A.X --frame 1m")).clean();
    while !known.contains_key(&(START + 60 * 99)) {
        take(&mut known, &tail.line());
    }
    let stored = stored(&place);
    for (time, close) in &stored {
        assert_eq!(known.get(time), Some(close), "at {time}");
    }
    let (code, said) = tail.interrupt();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("rows of A.X 1m were deleted: version"), "{said}");
    let leases = std::fs::read_dir(place.store().join("leases")).expect("a directory").count();
    assert_eq!(leases, 0, "no lease is left behind");
}

#[test]
fn a_tail_ends_when_nobody_reads_it_though_nothing_is_written() {
    let place = Place::with_bars();
    let mut command = tape();
    command.arg("--store").arg(place.store()).args(["tail", "A.X", "1m", "-f", "-n", "1", "--csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut head = String::new();
    out.read_line(&mut head).expect("a head");
    assert!(head.starts_with("time,open"), "{head}");
    drop(out);
    let (sender, lines) = channel();
    drop(sender);
    assert_eq!(Tail { child, lines }.ended(), (Some(0), String::new()));
}

#[test]
fn a_series_that_is_dropped_and_comes_back_is_followed_on() {
    let place = Place::with_bars();
    let tail = Tail::start(&place, "tail A.X 1m -f -n 1 --csv --columns close --interval 5ms");
    assert_eq!([tail.line(), tail.line()], ["time,close", "2024-01-01T00:05:00Z,-0"]);
    let fix = place.write("fix.csv", "1704067200,1,1,1,42,1\n1704067260,1.75,1.8,1.7,1.8,8e-8\n");
    place.tape(&format!("import {fix} --no-header --instrument A.X --frame 1m")).clean();
    assert_eq!(tail.line(), "2024-01-01T00:00:00Z,42", "a row that did not change is not shown");
    let other = place.write("other.csv", "1704067200,1,1,1,1,1\n");
    place.tape(&format!("import {other} --no-header --instrument B.X --frame 1m")).clean();
    place.tape("rollback 1").clean();
    assert_eq!(tail.line(), "2024-01-01T00:00:00Z,1.75", "a rollback changes it back");
    let (code, said) = tail.interrupt();
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn wrong_calls_are_named() {
    let place = Place::with_bars();
    assert!(place.tape("tail A.X 1m -f --interval soon").failed(2).contains("\"soon\" is no span of time"));
    assert!(place.tape("tail A.X 1m -f --as-of 1").failed(2).contains("--as-of"));
    assert!(place.tape("tail A.X 1m --interval 1s").failed(2).contains("--follow"));
    assert!(place.tape("tail B.X 1m -f").failed(2).contains("there is no series B.X 1m"));
    assert_eq!(place.tape("tail A.X 1m -n 2 --csv").clean().lines().count(), 3);
}
