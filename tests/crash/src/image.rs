//! What a power cut leaves of a disk.
//!
//! Everything that no sync has covered is a list of *atoms*, each of which survives or not, whatever becomes of the
//! others: a sector of a file, the length of a file, one change of a directory.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::random::Random;
use crate::sim::{DirOp, Disk, Inode, Names, Pending, apply_dir_op, parent};

/// Bytes that a device writes in one piece.
const SECTOR_BYTES: usize = 512;
/// Bytes that a page cache writes in one piece.
const PAGE_BYTES: usize = 4096;

/// Which atoms survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// One of them.
    Only(usize),
    /// All but one.
    Without(usize),
    /// All, but one of them only in part: the start of a sector, an older write of it, the new name beside the old.
    Torn(usize),
    /// Chance decides for each, also which of several writes of a sector, and what an unwritten sector holds.
    Random(u64),
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Everything => f.write_str("everything"),
            Self::Only(atom) => write!(f, "only:{atom}"),
            Self::Without(atom) => write!(f, "without:{atom}"),
            Self::Torn(atom) => write!(f, "torn:{atom}"),
            Self::Random(seed) => write!(f, "random:{seed}"),
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) = text.split_once(':').unwrap_or((text, "0"));
        let number: u64 = number.parse().map_err(|_| format!("{text:?} is no way to keep"))?;
        Ok(match kind {
            "nothing" => Self::Nothing,
            "everything" => Self::Everything,
            "only" => Self::Only(number as usize),
            "without" => Self::Without(number as usize),
            "torn" => Self::Torn(number as usize),
            "random" => Self::Random(number),
            _ => return Err(format!("{text:?} is no way to keep")),
        })
    }
}

/// What becomes of one atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lost,
    Kept,
    Torn,
}

/// Decides atom by atom, in the order of their numbers.
struct Judge {
    keep: Keep,
    next: usize,
    random: Random,
}

impl Judge {
    fn new(keep: Keep) -> Self {
        let seed = if let Keep::Random(seed) = keep { seed } else { 0 };
        Self { keep, next: 0, random: Random::new(seed) }
    }

    fn is_random(&self) -> bool {
        matches!(self.keep, Keep::Random(_))
    }

    fn fate(&mut self) -> Fate {
        let atom = self.next;
        self.next += 1;
        let kept = |kept: bool| if kept { Fate::Kept } else { Fate::Lost };
        match self.keep {
            Keep::Nothing => Fate::Lost,
            Keep::Only(one) => kept(atom == one),
            Keep::Without(one) => kept(atom != one),
            Keep::Torn(one) if atom == one => Fate::Torn,
            Keep::Everything | Keep::Torn(_) => Fate::Kept,
            Keep::Random(_) => match self.random.below(5) {
                0 | 1 => Fate::Kept,
                2 | 3 => Fate::Lost,
                _ => Fate::Torn,
            },
        }
    }
}

impl Disk {
    /// The number of atoms.
    pub fn atoms(&self) -> usize {
        let mut judge = Judge::new(Keep::Nothing);
        self.survive(&mut judge);
        judge.next
    }

    /// The disk that the machine finds after a power cut.
    #[must_use]
    pub fn image(&self, keep: Keep) -> Self {
        self.survive(&mut Judge::new(keep))
    }

    /// The disk that another process finds after this one ended without a power cut.
    #[must_use]
    pub fn after_crash(&self) -> Self {
        self.clone()
    }

    /// All files by name and content.
    pub fn digest(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for directory in self.directories.iter() {
            hasher.update(directory.as_bytes());
        }
        for (name, content) in self.files() {
            hasher.update(name.as_bytes());
            hasher.update(&(content.len() as u64).to_le_bytes());
            hasher.update(content);
        }
        hasher.digest128()
    }

    fn survive(&self, judge: &mut Judge) -> Self {
        let mut names = Names::clone(&self.durable_names);
        let mut directories = (*self.durable_directories).clone();
        for op in &self.dir_ops {
            let fate = judge.fate();
            let half = fate == Fate::Torn && matches!(op, DirOp::Rename { .. });
            if fate == Fate::Kept || half {
                apply_dir_op(op, &mut names, &mut directories, half);
            }
        }
        names.retain(|name, _| parent(name).is_empty() || directories.contains(parent(name)));
        let mut files = Vec::with_capacity(names.len());
        // In the order of inodes, so that the numbers of atoms do not depend on which names survive.
        let mut contents = std::collections::BTreeMap::new();
        for (number, inode) in &self.inodes {
            contents.insert(*number, survivor(inode, judge));
        }
        for (name, inode) in names {
            files.push((name, contents[&inode].clone()));
        }
        let mut image = Self::settled(files, directories);
        image.used_ids = self.used_ids.clone();
        image
    }
}

/// What survives of a file.
fn survivor(inode: &Inode, judge: &mut Judge) -> Arc<Vec<u8>> {
    if inode.pending.is_empty() {
        return inode.durable.clone();
    }
    let mut lengths = vec![inode.durable.len()];
    for change in &inode.pending {
        let last = lengths[lengths.len() - 1];
        lengths.push(match change {
            Pending::Length(length) => *length,
            Pending::Write { offset, bytes } => last.max(offset + bytes.len()),
        });
    }
    let newest = lengths[lengths.len() - 1];
    let length = if inode.durable.len() == newest && lengths.iter().all(|length| *length == newest) {
        newest
    } else {
        match judge.fate() {
            Fate::Kept => newest,
            Fate::Lost => inode.durable.len(),
            Fate::Torn if judge.is_random() => lengths[judge.random.below(lengths.len())],
            Fate::Torn => inode.durable.len().midpoint(newest),
        }
    };
    let unit = if judge.is_random() && judge.random.once_in(2) { PAGE_BYTES } else { SECTOR_BYTES };
    let garbage = judge.is_random() && judge.random.once_in(2);
    let widest = lengths.iter().copied().max().unwrap_or(0);
    let mut content = (*inode.durable).clone();
    content.resize(widest, 0);
    for start in (0..widest).step_by(unit) {
        let end = (start + unit).min(widest);
        let touching: Vec<&Pending> =
            inode.pending.iter().filter(|change| touches(change, start, end)).collect();
        if touching.is_empty() {
            continue;
        }
        let fate = judge.fate();
        if fate == Fate::Lost {
            if garbage {
                let from = start.max(inode.durable.len().min(end));
                content[from..end].iter_mut().for_each(|byte| *byte = judge.random.draw() as u8);
            }
            continue;
        }
        let older = fate == Fate::Torn && judge.is_random() && touching.len() > 1;
        let count = if older { 1 + judge.random.below(touching.len()) } else { touching.len() };
        let before = content[start..end].to_vec();
        touching[..count].iter().for_each(|change| apply(change, &mut content, start, end));
        // An older write may also have arrived whole.
        if fate == Fate::Torn && !(older && judge.random.once_in(2)) {
            let new = if judge.is_random() {
                judge.random.below(end - start)
            } else {
                tear(&before, &content[start..end])
            };
            content[start + new..end].copy_from_slice(&before[new..]);
        }
    }
    content.resize(length, 0);
    Arc::new(content)
}

/// Behind which byte a sector is torn: in the middle of what changed.
fn tear(before: &[u8], after: &[u8]) -> usize {
    let differs = |index: &usize| before[*index] != after[*index];
    let first = (0..before.len()).find(differs).unwrap_or(0);
    let last = (0..before.len()).rev().find(differs).unwrap_or(0);
    usize::midpoint(first, last + 1)
}

fn touches(change: &Pending, start: usize, end: usize) -> bool {
    match change {
        Pending::Write { offset, bytes } => *offset < end && offset + bytes.len() > start,
        Pending::Length(length) => *length < end,
    }
}

fn apply(change: &Pending, content: &mut [u8], start: usize, end: usize) {
    match change {
        Pending::Length(length) => content[(*length).clamp(start, end)..end].fill(0),
        Pending::Write { offset, bytes } => {
            let (from, to) = (start.max(*offset), end.min(offset + bytes.len()));
            content[from..to].copy_from_slice(&bytes[from - offset..to - offset]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Fault, SimStorage};
    use tapestore::io::Storage;

    fn files(disk: &Disk) -> Vec<(String, Vec<u8>)> {
        disk.files().map(|(name, content)| (name.to_owned(), content.to_vec())).collect()
    }

    #[test]
    fn what_was_synced_survives_and_nothing_else_must() {
        let storage = SimStorage::new();
        let file = storage.create_new("a").unwrap();
        file.write_at(0, &[1; 600]).unwrap();
        file.sync_all().unwrap();
        assert!(files(&storage.disk().image(Keep::Nothing)).is_empty());
        storage.sync_dir("").unwrap();
        file.write_at(500, &[2; 600]).unwrap();
        let disk = storage.disk();
        assert_eq!(disk.atoms(), 4, "a length and three sectors");
        assert_eq!(files(&disk.image(Keep::Nothing)), [("a".to_owned(), vec![1; 600])]);
        assert_eq!(files(&disk.image(Keep::Everything)), files(&disk));
        let grown = &files(&disk.image(Keep::Only(0)))[0].1;
        assert_eq!((grown.len(), grown[599], grown[600]), (1100, 1, 0));
        let torn = &files(&disk.image(Keep::Torn(1)))[0].1;
        assert_eq!((torn[499], torn[500], torn[511], torn[512]), (1, 2, 1, 2));
        assert_eq!(disk.image(Keep::Random(3)).digest(), disk.image(Keep::Random(3)).digest());
    }

    #[test]
    fn a_rename_leaves_the_old_or_the_new_never_neither() {
        let storage = SimStorage::new();
        for (name, byte) in [("CURRENT", 1), ("current.new", 2)] {
            let file = storage.create_new(name).unwrap();
            file.write_at(0, &[byte]).unwrap();
            file.sync_all().unwrap();
        }
        storage.sync_dir("").unwrap();
        storage.rename("current.new", "CURRENT").unwrap();
        for seed in 0..50 {
            let image = storage.disk().image(Keep::Random(seed));
            let files = files(&image);
            assert!(files[0].0 == "CURRENT" && [1, 2].contains(&files[0].1[0]));
        }
    }

    #[test]
    fn pages_of_a_failed_sync_count_as_clean() {
        for fault in [Fault::SyncKept, Fault::SyncReverted, Fault::SyncNoSpace] {
            let storage = SimStorage::new();
            let file = storage.create_new("a").unwrap();
            file.sync_all().unwrap();
            storage.sync_dir("").unwrap();
            storage.fail_at(2, fault);
            file.write_at(0, b"abc").unwrap();
            let full = file.sync_data().unwrap_err().kind() == std::io::ErrorKind::StorageFull;
            assert_eq!(full, fault == Fault::SyncNoSpace);
            file.sync_data().unwrap();
            let kept = fault != Fault::SyncReverted;
            assert_eq!(file.read_all(9).unwrap(), if kept { *b"abc" } else { *b"\0\0\0" });
            assert_eq!(files(&storage.disk().image(Keep::Everything))[0].1, b"\0\0\0");
        }
    }
}
