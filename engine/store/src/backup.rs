//! Backups: a consistent copy of one version into another directory, beside a live writer.
//!
//! Files never change but by growing (logs, manifests) or by being replaced in one step (`CURRENT`), so a copy of the
//! files that one `CURRENT` counts is a store. `CURRENT` is copied last. Files that an earlier backup copied are left alone:
//! they are the same.
//!
//! An earlier backup stays whole until the next one counts. If the source sealed in between, the logs of the next one do not
//! follow those of the earlier one; so the first of them is copied as the first of a chain of its own, which the older
//! `CURRENT` passes over (W6).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tapestore_format::header::HEADER_BYTES;
use tapestore_format::manifest::Current;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::follow::live_writer;
use crate::io::{RealStorage, Storage};
use crate::lease::{LEASES, Lease};
use crate::manifest::{load, manifest_name, read_current, write_current};
use crate::segment::segment_name;
use crate::store::Store;
use crate::wal::{LogReader, Replayed, Visible, log_name};

const PIECE_BYTES: usize = 1 << 20;

/// What a backup did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// The version that the copy holds.
    pub version: u64,
    /// Files copied.
    pub files_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Files that were there already.
    pub files_kept: u64,
}

impl Store {
    /// Copies the newest version that was acknowledged to a directory: empty, or holding an earlier backup of this store,
    /// of which only what is new is copied. Works beside a writer, in this process or another, and on a handle that
    /// failed.
    ///
    /// # Errors
    /// [`Error::Usage`] if the directory holds something else. After any other error an earlier backup there still holds
    /// what it held, or more.
    pub fn backup(&self, directory: impl AsRef<Path>) -> Result<BackupReport> {
        self.backup_to(&RealStorage::new(directory.as_ref().to_path_buf()))
    }

    /// As [`Store::backup`], to any storage.
    pub fn backup_to(&self, target: &dyn Storage) -> Result<BackupReport> {
        if let Ok(role) = self.shared.writer() {
            // A poisoned handle writes nothing more; what it acknowledged is on disk.
            drop(role.pipeline.quiesce(&self.shared));
        }
        let source = self.shared.storage.clone();
        let _lease = Lease::take(&source).ok();
        let current = read_current(&*source)?
            .ok_or_else(|| Error::NotFound(format!("{} holds no store", source.describe(""))))?;
        let copy = Copy { source, target, current, report: BackupReport::default() };
        copy.run(|| self.acknowledged())
    }

    /// How far the newest log goes that a copy may have: what stands behind that is on its way, or failed.
    fn acknowledged(&self) -> Result<Option<Visible>> {
        match self.shared.writer() {
            Ok(role) => Ok(Some(role.pipeline.lock_idle().shown)),
            Err(_) => live_writer(&*self.shared.storage, self.shared.store),
        }
    }
}

/// The name of a copy until it is whole.
pub(crate) const PARTIAL: &str = "copy.new";

/// Removes a copy that was cut off.
pub(crate) fn remove_partial(storage: &dyn Storage) -> Result<()> {
    match storage.remove(PARTIAL) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("removing", storage.describe(PARTIAL), error))
        }
        _ => Ok(()),
    }
}

struct Copy<'a> {
    source: Arc<dyn Storage>,
    target: &'a dyn Storage,
    current: Current,
    report: BackupReport,
}

impl Copy<'_> {
    fn run(mut self, acknowledged: impl Fn() -> Result<Option<Visible>>) -> Result<BackupReport> {
        self.prepare_target()?;
        let (manifest, _) = load(&*self.source, &self.current)?;
        let mut counted = BTreeSet::new();
        let durable = self.counted_before()?;
        for segment in manifest.segments.values() {
            let name = segment_name(segment.id);
            let same_length = self.target.length(&name).is_ok_and(|length| length == segment.length);
            if same_length && hash_of(self.target, &name)? == segment.hash {
                if !durable.contains(&segment.id) {
                    self.name_again(&name)?;
                }
                self.report.files_kept += 1;
            } else {
                self.copy(&name, segment.length, None)?;
            }
            counted.insert(name);
        }
        let first = manifest.state.first_log;
        let replayed = self.replay(first, manifest.state.sealed_version, acknowledged)?;
        for log in replayed.chain {
            let name = log_name(log);
            let length = if log == replayed.end.log {
                replayed.end.offset
            } else {
                self.source
                    .length(&name)
                    .map_err(|error| Error::io("reading", self.source.describe(&name), error))?
            };
            let start = if log == first { self.first_of_chain(log)? } else { None };
            self.copy(&name, length, start.as_deref())?;
            // A log must not survive without the longer copy of the one before it: they would not be a chain.
            self.target
                .sync_dir("")
                .map_err(|error| Error::io("syncing", self.target.describe(""), error))?;
            counted.insert(name);
        }
        let name = manifest_name(self.current.manifest);
        self.copy(&name, self.current.length, None)?;
        counted.insert(name);
        self.target.sync_dir("").map_err(|error| Error::io("syncing", self.target.describe(""), error))?;
        write_current(self.target, &self.current)?;
        self.sweep(&counted)?;
        Ok(self.report)
    }

    fn prepare_target(&self) -> Result<()> {
        let failed = |action, error| Error::io(action, self.target.describe(""), error);
        self.target.create_dir("").map_err(|error| failed("creating", error))?;
        self.target.create_dir(LEASES).map_err(|error| failed("creating", error))?;
        if self.source.root().is_some() && self.source.root() == self.target.root() {
            return Err(Error::Usage("a store cannot be backed up into itself".into()));
        }
        match read_current(self.target)? {
            Some(there) if there.store != self.current.store => Err(Error::Usage(format!(
                "{} holds another store; back up elsewhere",
                self.target.describe("")
            ))),
            Some(_) => Ok(()),
            None => {
                let files = self.target.list("").map_err(|error| failed("listing", error))?;
                // What an interrupted first backup left has the names of a store's files.
                let foreign = files.iter().find(|(name, _)| !is_store_file(name));
                match foreign {
                    None => Ok(()),
                    Some((name, _)) => Err(Error::Usage(format!(
                        "{} is not empty (it holds {name}); back up to an empty directory",
                        self.target.describe("")
                    ))),
                }
            }
        }
    }

    /// Reads the logs, which must be whole, up to what was acknowledged.
    fn replay(
        &mut self,
        first: u64,
        sealed: u64,
        acknowledged: impl Fn() -> Result<Option<Visible>>,
    ) -> Result<Replayed> {
        loop {
            let visible = acknowledged()?;
            let reader = LogReader { storage: &*self.source, store: self.current.store, visible };
            let mut version = sealed;
            let replayed = reader.replay(first, &mut |record| {
                version = version.max(record.version);
                Ok(())
            })?;
            // A log that took over meanwhile was read to its very end: what of that is acknowledged is asked again.
            if acknowledged()?.map(|shown| shown.log) == visible.map(|shown| shown.log) {
                self.report.version = version;
                return Ok(replayed);
            }
        }
    }

    /// What the first log of the copy begins with instead, if the log that it follows is not there (W6). It is there if an
    /// earlier backup holds both: then they stay the chain that the earlier `CURRENT` needs.
    fn first_of_chain(&self, log: u64) -> Result<Option<Vec<u8>>> {
        let source = LogReader { storage: &*self.source, store: self.current.store, visible: None };
        let target = LogReader { storage: self.target, ..source };
        let previous = source.start(log)?.previous_log;
        let there = match target.start(log) {
            Ok(start) => Some(start.previous_log),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            // Unknown: what the earlier `CURRENT` needs is not to be replaced.
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(_) => None,
        };
        if previous == 0 || there == Some(previous) {
            return Ok(None);
        }
        source.first_of_chain(log).map(Some)
    }

    /// The segments that an earlier backup counts: their names are durable. One that is damaged counts nothing.
    fn counted_before(&self) -> Result<BTreeSet<u64>> {
        let there = read_current(self.target).and_then(|current| match current {
            Some(current) => Ok(load(self.target, &current)?.0.segments.into_keys().collect()),
            None => Ok(BTreeSet::new()),
        });
        match there {
            // Unknown: what the earlier backup counts is not to be moved.
            Err(error @ Error::Io { .. }) => Err(error),
            other => Ok(other.unwrap_or_default()),
        }
    }

    /// Gives a file that a backup left which was cut off or failed its name once more. Its content is durable, its name may not be:
    /// a sync of the directory that failed may have given the name up without another look at it (I8).
    fn name_again(&self, name: &str) -> Result<()> {
        let failed = |error| Error::io("renaming", self.target.describe(name), error);
        remove_partial(self.target)?;
        self.target.rename(name, PARTIAL).map_err(failed)?;
        self.target.rename(PARTIAL, name).map_err(failed)
    }

    /// Copies the first `length` bytes of a file under another name, with `start` in place of what stands behind the
    /// header, makes them durable, and gives them their name.
    fn copy(&mut self, name: &str, length: u64, start: Option<&[u8]>) -> Result<()> {
        let reading = |error| Error::io("reading", self.source.describe(name), error);
        let writing = |error| Error::io("writing", self.target.describe(name), error);
        remove_partial(self.target)?;
        let from = self.source.open_read(name).map_err(reading)?;
        let to = self.target.create_new(PARTIAL).map_err(writing)?;
        let mut buffer = vec![0; length.min(PIECE_BYTES as u64) as usize];
        let mut done = 0;
        while done < length {
            let piece = &mut buffer[..(length - done).min(PIECE_BYTES as u64) as usize];
            from.read_exact_at(done, piece).map_err(reading)?;
            to.write_at(done, piece).map_err(writing)?;
            done += piece.len() as u64;
        }
        if let Some(start) = start {
            to.write_at(HEADER_BYTES as u64, start).map_err(writing)?;
        }
        to.sync_all().map_err(writing)?;
        self.target.rename(PARTIAL, name).map_err(writing)?;
        self.report.files_copied += 1;
        self.report.bytes_copied += length;
        Ok(())
    }

    /// Removes files of earlier backups that no longer count.
    fn sweep(&self, counted: &BTreeSet<String>) -> Result<()> {
        let failed = |action, error| Error::io(action, self.target.describe(""), error);
        for (name, _) in self.target.list("").map_err(|error| failed("listing", error))? {
            let old =
                name.starts_with("segment-") || name.starts_with("wal-") || name.starts_with("manifest-");
            if old && !counted.contains(&name) {
                self.target.remove(&name).map_err(|error| failed("removing from", error))?;
            }
        }
        Ok(())
    }
}

fn is_store_file(name: &str) -> bool {
    ["LOCK", "visible", "current.new", PARTIAL].contains(&name)
        || ["segment-", "wal-", "manifest-"].iter().any(|prefix| name.starts_with(prefix))
}

/// XXH3-128 of a whole file.
pub(crate) fn hash_of(storage: &dyn Storage, name: &str) -> Result<u128> {
    let failed = |error| Error::io("reading", storage.describe(name), error);
    let file = storage.open_read(name).map_err(failed)?;
    let length = file.length().map_err(failed)?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; length.min(PIECE_BYTES as u64) as usize];
    let mut done = 0;
    while done < length {
        let piece = &mut buffer[..(length - done).min(PIECE_BYTES as u64) as usize];
        file.read_exact_at(done, piece).map_err(failed)?;
        hasher.update(piece);
        done += piece.len() as u64;
    }
    Ok(hasher.digest128())
}
