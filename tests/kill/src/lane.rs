//! The rounds: start processes, kill them, look at what is left.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tapestore::{AsOf, ErrorClass, Store};
use tempfile::TempDir;

use crate::history::{History, Random};
use crate::roles::{compare, options};

/// Kills of one store; then a new one is begun, so that creation is interrupted too.
const ROUNDS: u64 = 40;
/// How long a process may take to end that was told to.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a lane did and saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Writers killed.
    pub(crate) kills: u64,
    /// Readers killed with them, or alone.
    pub(crate) readers_killed: u64,
    /// Commits whose acknowledgement arrived, and that survive a killed process.
    pub(crate) acknowledged: u64,
    /// Of these, not found again.
    pub(crate) lost: u64,
    /// Snapshots found again.
    pub(crate) snapshots: u64,
    /// Backups opened.
    pub(crate) backups: u64,
    /// Stores begun.
    pub(crate) stores: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.readers_killed += other.readers_killed;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.snapshots += other.snapshots;
        self.backups += other.backups;
        self.stores += other.stores;
    }
}

/// What is known of the store from what its writers said.
#[derive(Debug, Default)]
struct Promised {
    /// The newest commit that survives a killed process.
    version: u64,
    snapshots: BTreeSet<u64>,
    /// Snapshots that were about to be dropped.
    doubtful: BTreeSet<u64>,
    backups: Vec<(String, u64)>,
}

/// One store after another, killed again and again.
pub(crate) struct Lane {
    seed: u64,
    random: Random,
    seen: Seen,
}

/// A store and who works on it.
struct Scene {
    directory: TempDir,
    seed: u64,
    history: History,
    promised: Promised,
    reader: Option<Process>,
}

struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("the program has a path"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, out }
    }

    /// Kills the process as the kernel does when memory runs out; what it had said.
    fn kill(mut self) -> Result<String, String> {
        self.child.kill().map_err(|error| format!("kill: {error}"))?;
        self.child.wait().map_err(|error| format!("wait: {error}"))?;
        self.rest()
    }

    fn rest(&mut self) -> Result<String, String> {
        let mut said = String::new();
        self.out.read_to_string(&mut said).map_err(|error| format!("pipe: {error}"))?;
        match said.lines().find(|line| line.starts_with("wrong ")) {
            Some(line) => Err(line.to_owned()),
            None => Ok(said),
        }
    }

    /// Waits for the end of a process that must end well.
    fn end(mut self) -> Result<String, String> {
        let start = Instant::now();
        loop {
            match self.child.try_wait().map_err(|error| format!("wait: {error}"))? {
                Some(status) => {
                    let said = self.rest()?;
                    return if status.success() {
                        Ok(said)
                    } else {
                        Err(format!("a reader ended with {status}"))
                    };
                }
                None if start.elapsed() > PATIENCE => {
                    let _ = self.child.kill();
                    return Err("a reader does not end".into());
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Lane {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, random: Random(seed), seen: Seen::default() }
    }

    /// Kills as often as `take` allows.
    ///
    /// # Errors
    /// What is wrong, with the seed of the store and the round; the store stays where it is.
    pub(crate) fn work(mut self, take: &dyn Fn() -> bool) -> Result<Seen, String> {
        'stores: loop {
            let mut scene = Scene::new(self.random.next());
            self.seen.stores += 1;
            for round in 0..ROUNDS {
                if !take() {
                    break 'stores;
                }
                if let Err(what) = self.round(&mut scene, round) {
                    scene.directory.disable_cleanup(true);
                    let (seed, place) = (self.seed, scene.directory.path().display());
                    return Err(format!("{what}; lane {seed}, round {round}, store kept in {place}"));
                }
            }
        }
        Ok(self.seen)
    }

    fn round(&mut self, scene: &mut Scene, round: u64) -> Result<(), String> {
        let store = scene.directory.path().join("store");
        if scene.reader.is_none() && scene.promised.version > 0 && self.random.below(3) == 0 {
            scene.reader = Some(scene.start("read", None));
        }
        let writer = scene.start("write", Some(self.random.next()));
        let said = self.kill_sometime(writer)?;
        self.seen.kills += 1;
        if scene.reader.is_some() && self.random.below(3) == 0 {
            scene.reader.take().map(Process::kill).transpose()?;
            self.seen.readers_killed += 1;
        }
        self.listen(&mut scene.promised, &said)?;
        if !store.join("CURRENT").exists() {
            let untouched = scene.promised.version == 0;
            return if untouched { Ok(()) } else { Err("the store is gone".into()) };
        }
        // At once: a lock of a dead process is no lock.
        let opened = Store::open(&store, options(false)).map_err(|error| format!("open: {error}"))?;
        self.look(scene, &opened, round)?;
        opened.close().map_err(|error| format!("close: {error}"))?;
        self.backups(scene)?;
        if round % 10 == 9 { Self::tidy(scene) } else { Ok(()) }
    }

    /// Waits for a moment that chance decides, before or after the writer has opened, and kills it.
    fn kill_sometime(&mut self, mut writer: Process) -> Result<String, String> {
        let mut said = String::new();
        if self.random.below(8) == 0 {
            std::thread::sleep(Duration::from_micros(self.random.below(12_000)));
        } else {
            // A process that cannot open says what is wrong and ends.
            writer.out.read_line(&mut said).map_err(|error| format!("pipe: {error}"))?;
            std::thread::sleep(Duration::from_micros(self.random.below(60_000)));
        }
        let rest = writer.kill()?;
        said.push_str(&rest);
        match said.lines().find(|line| line.starts_with("wrong ")) {
            Some(line) => Err(format!("the writer: {line}")),
            None => Ok(said),
        }
    }

    /// Takes note of what a writer was promised.
    fn listen(&mut self, promised: &mut Promised, said: &str) -> Result<(), String> {
        for line in said.lines() {
            let mut words = line.split(' ');
            let what = words.next().unwrap_or_default();
            let last = words.next_back().and_then(|word| word.parse().ok());
            match (what, last) {
                ("open", _) | ("weak", Some(_)) => {}
                ("ack", Some(version)) => {
                    if version > promised.version {
                        self.seen.acknowledged += version - promised.version;
                        promised.version = version;
                    }
                }
                ("snapshot", Some(version)) => {
                    promised.version = promised.version.max(version);
                    promised.snapshots.insert(version);
                }
                ("dropping", Some(version)) => {
                    promised.snapshots.remove(&version);
                    promised.doubtful.insert(version);
                }
                ("dropped", Some(version)) => {
                    promised.doubtful.remove(&version);
                }
                ("backup", Some(version)) => {
                    let name = words.next().unwrap_or_default();
                    promised.backups.push((name.to_owned(), version));
                }
                _ => return Err(format!("the writer says {line:?}")),
            }
        }
        Ok(())
    }

    /// The state is that of a version of the history, no older than the newest acknowledged one.
    fn look(&mut self, scene: &mut Scene, store: &Store, round: u64) -> Result<(), String> {
        let view = store.view();
        let version = view.version();
        if version < scene.promised.version {
            self.seen.lost += scene.promised.version - version;
            return Err(format!("version {} was acknowledged, {version} is found", scene.promised.version));
        }
        // What is found now has survived, and must survive from here on.
        scene.promised.version = version;
        compare(&view, &scene.history.at(version))?;
        let older = version.saturating_sub(self.random.below(15));
        let as_of = |at: AsOf| store.as_of(&at).map_err(|error| format!("{at:?}: {error}"));
        compare(&as_of(AsOf::Version(older))?, &scene.history.at(older))?;
        let found: BTreeSet<u64> = store.snapshots().iter().map(|snapshot| snapshot.version).collect();
        let promised = &mut scene.promised;
        if let Some(missing) = promised.snapshots.iter().find(|version| !found.contains(version)) {
            return Err(format!("the snapshot at-{missing} was acknowledged and is gone"));
        }
        self.seen.snapshots += promised.snapshots.len() as u64;
        // One that nobody heard of may have been made: from here on it counts.
        promised.snapshots.clone_from(&found);
        promised.doubtful.clear();
        if let Some(snapshot) = found.iter().nth(self.random.below(found.len().max(1) as u64) as usize) {
            let view = as_of(AsOf::Snapshot(format!("at-{snapshot}")))?;
            compare(&view, &scene.history.at(*snapshot))?;
        }
        let findings = store.verify(round % 16 == 15).map_err(|error| format!("verify: {error}"))?;
        if findings.is_empty() { Ok(()) } else { Err(format!("verify: {findings:?}")) }
    }

    /// A backup that was acknowledged is a store of its version.
    fn backups(&mut self, scene: &mut Scene) -> Result<(), String> {
        for (name, version) in std::mem::take(&mut scene.promised.backups) {
            let directory = scene.directory.path().join(&name);
            let failed = |error| format!("{name}: {error}");
            let store = Store::open_read_only(&directory, options(false)).map_err(failed)?;
            let view = store.view();
            if view.version() < version {
                return Err(format!("{name} is of version {}, at least {version} expected", view.version()));
            }
            compare(&view, &scene.history.at(view.version())).map_err(|what| format!("{name}: {what}"))?;
            self.seen.backups += 1;
        }
        // Also those that were cut off.
        for entry in fs::read_dir(scene.directory.path()).map_err(|error| error.to_string())?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("backup-") {
                fs::remove_dir_all(entry.path()).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// With nobody else there, a writer collects every file that nothing counts, and every lease.
    fn tidy(scene: &mut Scene) -> Result<(), String> {
        scene.dismiss()?;
        let directory = scene.directory.path().join("store");
        let failed = |error: tapestore::Error| format!("tidy: {error}");
        let store = Store::open(&directory, options(false)).map_err(failed)?;
        // A second writer is refused while the first lives, and welcome when it is gone.
        match Store::open(&directory, options(false)) {
            Err(error) if error.kind() == ErrorClass::Locked => {}
            other => return Err(format!("a second writer: {other:?}")),
        }
        store.compact().map_err(failed)?;
        store.seal().map_err(failed)?;
        store.create_snapshot("tidy", None).map_err(failed)?;
        store.drop_snapshot("tidy").map_err(failed)?;
        let stats = store.stats().map_err(failed)?;
        store.close().map_err(failed)?;
        let mut counts = [0u64; 3];
        for entry in fs::read_dir(&directory).map_err(|error| error.to_string())?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.split('-').next() {
                Some("segment") => counts[0] += 1,
                Some("manifest") => counts[1] += 1,
                Some("wal") => counts[2] += 1,
                _ if ["CURRENT", "LOCK", "visible", "leases", "reserve"].contains(&name.as_str()) => {}
                _ => return Err(format!("the file {name} belongs to nothing")),
            }
        }
        if counts[0] != stats.segments || counts[1] != 1 || counts[2] > 2 {
            return Err(format!(
                "{counts:?} segments, manifests and logs, {} segments count",
                stats.segments
            ));
        }
        let leases = fs::read_dir(directory.join("leases")).map_err(|error| error.to_string())?.count();
        if leases == 0 { Ok(()) } else { Err(format!("{leases} leases of the dead are left")) }
    }
}

impl Scene {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (history, promised) = (History::new(seed), Promised::default());
        Self { directory, seed, history, promised, reader: None }
    }

    fn start(&self, role: &str, chance: Option<u64>) -> Process {
        let directory: PathBuf = self.directory.path().to_owned();
        let directory = directory.to_string_lossy();
        let (seed, chance) = (self.seed.to_string(), chance.map(|chance| chance.to_string()));
        let mut arguments = vec![role, &*directory, &seed];
        arguments.extend(chance.as_deref());
        Process::start(&arguments)
    }

    /// Lets the reader end by itself: what it says of the views that it held counts.
    fn dismiss(&mut self) -> Result<(), String> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        let stop = self.directory.path().join("stop");
        fs::write(&stop, "").map_err(|error| error.to_string())?;
        let said = reader.end().map_err(|what| format!("the reader: {what}"))?;
        fs::remove_file(&stop).map_err(|error| error.to_string())?;
        if said.starts_with("looked ") { Ok(()) } else { Err(format!("the reader says {said:?}")) }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(mut reader) = self.reader.take() {
            let _ = reader.child.kill();
            let _ = reader.child.wait();
        }
    }
}
