//! The commits that are left in the logs of a damaged store, up to the first that is lost.
//!
//! A commit states what it added, replaced and deleted. What a lost one did is unknown, so the state behind it is unknown as
//! well, for every series: the new store ends before it, at a version that there really was. Commits behind the damage that
//! can still be read are named, with what they hold, and not applied.

use std::collections::BTreeSet;

use tapestore_format::checksum::Identity;
use tapestore_format::header::HEADER_BYTES;
use tapestore_format::log::{FrameReader, RecordAssembler};
use tapestore_format::wal::{Effect, KIND_START, KIND_TRANSACTION, LogStart, TransactionRecord};

use super::evidence::{ids, next_frame};
use super::plan::pieces;
use super::report::{Loss, LossKind, SalvageReport};
use crate::apply::follows;
use crate::error::Result;
use crate::io::Storage;
use crate::wal::{LogReader, log_name};

/// What is left of the logs.
#[derive(Default)]
pub(super) struct Commits {
    /// Those that follow the sealed version without a gap.
    pub(super) whole: Vec<TransactionRecord>,
    /// All that can be read, those that were sealed as well: they define series.
    pub(super) sealed: Vec<TransactionRecord>,
}

/// Reads the logs from `first` on, or all of them.
pub(super) fn read(
    storage: &dyn Storage,
    store: [u8; 16],
    first: Option<u64>,
    sealed: u64,
    report: &mut SalvageReport,
) -> Result<Commits> {
    let mut commits = Commits::default();
    let logs = ids(storage, "wal-")?;
    let from = first.or_else(|| logs.first().copied());
    if let Some(from) = from {
        let mut found = Vec::new();
        let mut before = None;
        let replayed = LogReader { storage, store, visible: None }.replay(from, &mut |record| {
            let fits = before.is_none_or(|before| follows(record.version, before));
            before = Some(record.version);
            found.push((record, fits));
            Ok(())
        });
        let reaches = found
            .first()
            .is_none_or(|(record, _)| record.version <= sealed || follows(record.version, sealed));
        match replayed {
            Ok(replayed) if reaches && found.iter().all(|(_, fits)| *fits) => {
                if let Some(torn) = replayed.torn {
                    report.rebuilt.push(format!(
                        "{}: {} bytes at the end are a commit that was never finished",
                        storage.describe(&torn.file),
                        torn.bytes
                    ));
                }
                for (record, _) in found {
                    if record.version > sealed {
                        commits.whole.push(record);
                    } else {
                        commits.sealed.push(record);
                    }
                }
                report.newest_seen = report.newest_seen.max(sealed + commits.whole.len() as u64);
                return Ok(commits);
            }
            Ok(_) => report.rebuilt.push("the commits in the logs do not follow one another".into()),
            Err(error) => report.rebuilt.push(error.to_string()),
        }
    }
    let walk = Walk { storage, store, sealed, commits, behind: Vec::new(), missing: false, lost_in: None };
    Ok(walk.run(from.unwrap_or(0), &logs, report))
}

/// A look at every frame of every log.
struct Walk<'a> {
    storage: &'a dyn Storage,
    store: [u8; 16],
    sealed: u64,
    commits: Commits,
    /// Commits behind the first one that is lost.
    behind: Vec<(String, TransactionRecord)>,
    /// Whether anything was lost that may have been a commit behind the last one read.
    missing: bool,
    lost_in: Option<String>,
}

impl Walk<'_> {
    fn run(mut self, first: u64, logs: &[u64], report: &mut SalvageReport) -> Commits {
        let reader = LogReader { storage: self.storage, store: self.store, visible: None };
        let mut elsewhere = BTreeSet::new();
        let mut chain: Vec<(u64, Option<LogStart>)> = Vec::new();
        for id in logs.iter().copied().filter(|id| *id >= first) {
            let start = reader.start(id).ok();
            let previous = start.map(|start| start.previous_log);
            // Without a manifest nothing says which log is the first: what cannot be read is not, before one that can.
            if previous == Some(0) && chain.iter().all(|(_, start)| start.is_none()) {
                chain.clear();
            }
            if !chain.is_empty() && previous.is_some_and(|id| id == 0 || elsewhere.contains(&id)) {
                elsewhere.insert(id);
            } else {
                chain.push((id, start));
            }
        }
        for (index, (id, start)) in chain.iter().enumerate() {
            report.newest_seen = report.newest_seen.max(start.map_or(0, |start| start.version));
            let end = chain.get(index + 1).and_then(|(_, next)| *next);
            let end = end.filter(|next| next.previous_log == *id).map(|next| next.previous_end);
            self.log(*id, end, index + 1 == chain.len());
        }
        self.report(report)
    }

    /// Reads one log, over damage.
    fn log(&mut self, id: u64, end: Option<u64>, newest: bool) {
        let name = log_name(id);
        let file = self.storage.describe(&name);
        let read = self.storage.open_read(&name).and_then(|file| {
            let length = file.length()?;
            Ok(file.read_all(length).map_or_else(|_| pieces(&*file, length), |bytes| (bytes, None)))
        });
        let (mut bytes, unread) = read.unwrap_or((Vec::new(), Some(u64::MAX)));
        if let Some(end) = end {
            if (bytes.len() as u64) < end {
                self.lose(&file);
            }
            bytes.truncate(end as usize);
        }
        let identity = Identity { store: self.store, file: id };
        let mut position = HEADER_BYTES.min(bytes.len());
        let mut reached = position as u64;
        let mut assembler = RecordAssembler::default();
        while position < bytes.len() {
            let mut frames = FrameReader::new(&bytes[position..], position as u64, identity, None);
            let mut stopped = false;
            loop {
                let frame = match frames.next_frame() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(_) => {
                        stopped = true;
                        break;
                    }
                };
                reached = frame.end();
                match assembler.push(&frame) {
                    Ok(Some((KIND_TRANSACTION, record))) => match TransactionRecord::decode(record) {
                        Ok(record) => self.commit(&file, record),
                        Err(_) => self.lose(&file),
                    },
                    Ok(Some((KIND_START, _)) | None) => {}
                    Ok(Some(_)) | Err(_) => self.lose(&file),
                }
            }
            if !stopped {
                break;
            }
            let later = next_frame(&bytes, frames.offset() as usize, identity);
            // Nothing behind it: the end of the newest log is torn, that of another one is not.
            if later.is_some() || !newest {
                self.lose(&file);
            }
            assembler = RecordAssembler::default();
            position = later.unwrap_or(bytes.len());
        }
        // Behind the last whole record there may have been another.
        if assembler.is_open() && !newest || unread.is_some_and(|end| end > reached) {
            self.lose(&file);
        }
    }

    /// The version that is certain so far.
    fn newest(&self) -> u64 {
        self.sealed + self.commits.whole.len() as u64
    }

    fn lose(&mut self, file: &str) {
        self.missing = true;
        self.lost_in.get_or_insert_with(|| file.to_owned());
    }

    fn commit(&mut self, file: &str, record: TransactionRecord) {
        if record.version <= self.sealed {
            self.commits.sealed.push(record);
            self.missing = false;
        } else if follows(record.version, self.newest()) && self.behind.is_empty() {
            // What was lost before it was no commit: nothing is missing up to here.
            (self.missing, self.lost_in) = (false, None);
            self.commits.whole.push(record);
        } else if record.version > self.newest() {
            self.behind.push((file.to_owned(), record));
        }
    }

    fn report(self, report: &mut SalvageReport) -> Commits {
        let newest = self.newest();
        let file = self.lost_in.clone();
        let file = file.or_else(|| self.behind.first().map(|(file, _)| file.clone())).unwrap_or_default();
        let readable: BTreeSet<u64> = self.behind.iter().map(|(_, record)| record.version).collect();
        let mut before = newest;
        for version in readable {
            if !follows(version, before) {
                report.losses.push(unreadable(&file, before + 1, version - 1));
            }
            before = version;
        }
        if report.newest_seen > before {
            report.losses.push(unreadable(&file, before + 1, report.newest_seen));
        }
        report.newest_seen = report.newest_seen.max(before);
        if self.missing && report.newest_seen == newest {
            report.unknown.push(format!(
                "{file}: damaged behind version {newest}; whether there was another commit, and more, is unknown"
            ));
        }
        for (file, record) in &self.behind {
            report.losses.push(behind(file, record));
        }
        self.commits
    }
}

/// The commits of the versions from `first` to `last`: of them there is nothing but the number.
fn unreadable(file: &str, first: u64, last: u64) -> Loss {
    let mut loss = Loss::new(LossKind::Commits, file, "cannot be read");
    (loss.count, loss.versions) = ((last - first).saturating_add(1), Some((first, last)));
    loss
}

/// What a commit behind the damage holds.
fn behind(file: &str, record: &TransactionRecord) -> Loss {
    let mut held = Vec::new();
    let mut rows_held = 0;
    for effect in &record.effects {
        if let Effect::Rows { series, rows } = effect
            && let (Some(first), Some(last)) = (rows.time.first(), rows.time.last())
        {
            rows_held += rows.len();
            held.push(format!("series {series}: {} rows from {first} to {last}", rows.len()));
        }
    }
    let detail = format!(
        "can be read, but stands behind a lost commit and is not applied: {rows_held} rows ({})",
        if held.is_empty() { "none".to_owned() } else { held.join("; ") }
    );
    let mut loss = Loss::new(LossKind::Commits, file, detail);
    (loss.count, loss.versions) = (1, Some((record.version, record.version)));
    loss
}

#[cfg(test)]
mod tests {
    use tapestore_format::wal::CommitKind;

    use super::*;
    use crate::io::MemoryStorage;

    fn commit(version: u64) -> TransactionRecord {
        TransactionRecord {
            version,
            time: 0,
            kind: CommitKind::Write,
            message: String::new(),
            added: 0,
            updated: 0,
            deleted: 0,
            effects: Vec::new(),
        }
    }

    /// A log may say any number; naming what lies between must not take as many steps.
    #[test]
    fn lost_commits_are_named_as_ranges_up_to_the_last_number_there_is() {
        let behind = [7, 1 << 60, u64::MAX].map(|version| ("wal-2".to_owned(), commit(version)));
        let walk = Walk {
            storage: &MemoryStorage::new(),
            store: [0; 16],
            sealed: 4,
            commits: Commits::default(),
            behind: behind.into(),
            missing: true,
            lost_in: Some("wal-1".into()),
        };
        let mut report = SalvageReport::default();
        walk.report(&mut report);
        let lost: Vec<_> = report.losses.iter().map(|loss| (loss.count, loss.versions.unwrap())).collect();
        let between = [(5, 6), (8, (1 << 60) - 1), ((1 << 60) + 1, u64::MAX - 1)];
        let unreadable = between.map(|(first, last)| (last - first + 1, (first, last)));
        assert_eq!(lost[..3], unreadable);
        assert_eq!(lost[3..], [7, 1 << 60, u64::MAX].map(|version| (1, (version, version))));
        assert_eq!(report.newest_seen, u64::MAX);
    }
}
