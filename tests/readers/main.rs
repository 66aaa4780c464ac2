//! Real processes on one store: a writer, readers that follow it, and a writer that is killed.
//!
//! The test binary runs itself again for every process; `TAPE_READERS_ROLE` tells a child what it is.
//! `TAPE_READERS_SECONDS` says how long the readers follow the writer (3 by default; a full run takes 60).

mod roles;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use roles::{PATIENCE, check_whole, commit_next, options};
use tapestore::Store;
use tempfile::TempDir;

/// The entry of child processes; in a normal run it does nothing.
#[test]
fn child() {
    let Ok(role) = std::env::var("TAPE_READERS_ROLE") else { return };
    let path = |name| PathBuf::from(std::env::var_os(name).expect("the parent sets it"));
    let (store, stop) = (path("TAPE_READERS_STORE"), path("TAPE_READERS_STOP"));
    match role.as_str() {
        "writer" => roles::write(&store, &stop),
        "reader" => roles::read(&store, &stop),
        other => panic!("unknown role {other}"),
    }
}

/// A store and the file that ends all processes on it.
struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { directory: tempfile::tempdir().expect("a temporary directory can be made") };
        Store::create(scene.store(), options()).expect("create").close().expect("close");
        scene
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn stop(&self) -> PathBuf {
        self.directory.path().join("stop")
    }

    fn start(&self, role: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().expect("the test binary has a path"))
            .args(["child", "--exact", "--nocapture"])
            .env("TAPE_READERS_ROLE", role)
            .env("TAPE_READERS_STORE", self.store())
            .env("TAPE_READERS_STOP", self.stop())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test binary starts");
        let lines = listen(child.stdout.take().expect("piped"));
        Process { child, lines }
    }
}

/// The lines of a child, as they come.
fn listen(out: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Waits for the end of a process that must end well.
    fn end(mut self, what: &str) -> Vec<String> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be awaited") {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let _ = self.child.kill();
                panic!("{what} did not end");
            }
            thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "{what} failed: {status}");
        self.lines.iter().collect()
    }

    /// Kills the process as the kernel does when memory runs out, and returns all it said.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("the child can be killed");
        self.child.wait().expect("a child can be awaited");
        self.lines.iter().collect()
    }
}

/// The newest version that the writer acknowledged.
fn acknowledged(lines: &[String]) -> u64 {
    lines.iter().filter_map(|line| line.strip_prefix("ack ")?.parse().ok()).max().unwrap_or(0)
}

/// What a reader says at its end: versions seen, the last one, views checked again.
fn report(lines: &[String]) -> (u64, u64, u64) {
    let line = lines.iter().find(|line| line.starts_with("saw ")).expect("a reader reports");
    let numbers: Vec<u64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1], numbers[2])
}

fn seconds() -> Duration {
    let asked = std::env::var("TAPE_READERS_SECONDS").ok();
    Duration::from_secs(asked.map_or(3, |text| text.parse().expect("TAPE_READERS_SECONDS is a number")))
}

#[test]
fn readers_see_only_whole_versions_beside_a_live_writer() {
    let scene = Scene::new();
    let writer = scene.start("writer");
    let readers = [scene.start("reader"), scene.start("reader")];
    thread::sleep(seconds());
    // The writer ends first, so that the last refresh of each reader must show its last commit.
    std::fs::write(scene.stop(), "").expect("the stop file can be written");
    let last = acknowledged(&writer.end("the writer"));
    assert!(last >= 10, "the writer made only {last} versions");
    for (number, reader) in readers.into_iter().enumerate() {
        let (seen, newest, again) = report(&reader.end("a reader"));
        println!(
            "reader {number}: {seen} of {last} versions seen, the newest {newest}, {again} held views checked again"
        );
        assert!(seen >= 3, "a reader saw only {seen} versions");
        assert!(newest <= last, "a reader saw version {newest} of {last}");
    }
    finds_all(&scene.store(), last);
}

/// A new reader and then a new writer see everything up to `version`, whole.
fn finds_all(store: &Path, version: u64) {
    let reader = Store::open_read_only(store, options()).expect("open_read_only");
    assert!(reader.view().version() >= version, "version {version} was acknowledged");
    check_whole(&reader.view());
    let writer = roles::open_when_free(store);
    assert!(writer.view().version() >= version, "version {version} was acknowledged");
    check_whole(&writer.view());
    let next = commit_next(&writer).expect("commit");
    assert_eq!(reader.refresh().expect("refresh"), next, "the reader follows the new writer");
    check_whole(&reader.view());
    let findings = writer.verify(false).expect("verify");
    assert!(findings.is_empty(), "{findings:?}");
    writer.close().expect("close");
}

#[test]
fn every_acknowledged_commit_outlives_a_killed_writer() {
    let scene = Scene::new();
    let reader = scene.start("reader");
    let mut last = 0;
    // Three seconds make 12 kills, a full run 60.
    let rounds = (4 * seconds().as_secs()).clamp(1, 60);
    for round in 0..rounds {
        let writer = scene.start("writer");
        // Wait for the first commit of the round, then a little longer each time, so that kills meet commits,
        // seals and compactions alike.
        let first = writer.lines.recv_timeout(PATIENCE);
        assert!(first.is_ok(), "the writer of round {round} says nothing");
        thread::sleep(Duration::from_millis(20 + 37 * (round % 8)));
        last = last.max(acknowledged(&writer.kill()));
        finds_all(&scene.store(), last);
    }
    std::fs::write(scene.stop(), "").expect("the stop file can be written");
    let (seen, newest, _) = report(&reader.end("the reader"));
    assert!(newest >= last, "the reader ended at {newest}, {last} was acknowledged");
    println!("{rounds} writers killed, {last} acknowledged versions, none lost; the reader saw {seen}");
}
