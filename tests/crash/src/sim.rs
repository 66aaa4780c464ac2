//! A simulated disk: a volatile page cache over durable content, faults on request, and power that can be cut.
//!
//! Every mutating call is counted; reading calls are counted by themselves, see [`crate::reads`]. With recording on, the disk as it is after each of them is kept. Cutting the power
//! at call `n` is then a matter of choosing what of the disk after call `n` survives: see [`crate::image`]. Nothing
//! here is random: the same calls give the same disk.
//!
//! What is durable when follows `tapestore::io`, read as unkindly as it allows: a file's sync says nothing of its
//! directory entry, a directory's sync nothing of the content of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tapestore::io::{
    Counts, LockGuard, LockKind, MappedBytes, Storage, StorageFile, check_directory, check_name,
};

use crate::reads::{ReadFault, ReadKind, ReadSite, Reads};
use crate::spoil::{Owed, Spoiler};

/// Longest file: a stray offset must not become an allocation.
const FILE_BYTES_MAX: u64 = 1 << 28;
/// In what files take space on a disk with a bound.
pub const UNIT_BYTES: u64 = 512;
/// Where the simulated clock stands at first, nanoseconds since the Unix epoch: it moves by a millisecond per look.
pub const CLOCK_START_NS: i64 = 1_700_000_000_000_000_000;

/// What a mutating call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// Creation of a file.
    Create,
    /// One write.
    Write,
    /// A sync of a file.
    Sync,
    /// Cutting or extending a file.
    SetLength,
    /// A rename.
    Rename,
    /// A removal.
    Remove,
    /// A sync of a directory.
    SyncDir,
    /// Creation of a directory.
    CreateDir,
}

/// A kind of call on a kind of file: what counts as one call site.
pub type Site = (CallKind, &'static str);

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// `EIO`, nothing done.
    Eio,
    /// `EIO`, although everything was done.
    EioDone,
    /// `EIO`, half of the write done.
    EioHalf,
    /// `EIO` at this call and at every later one, until [`SimStorage::mend`]: the device is gone.
    EioStays,
    /// `ENOSPC` at this call only.
    NoSpace,
    /// `ENOSPC` at this call and at every later one that needs space, until [`SimStorage::mend`].
    Full,
    /// `EINTR`, nothing done.
    Interrupted,
    /// Half of the bytes are taken.
    Short,
    /// A sync fails; the pages count as clean, are lost at a power cut, and stay readable until then. Of a directory: so do
    /// its entries.
    SyncKept,
    /// A sync fails; the pages count as clean and show what was durable before. Of a directory: so do its entries.
    SyncReverted,
    /// As [`Fault::SyncKept`], with `ENOSPC`: space for what was written is only looked for now.
    SyncNoSpace,
    /// A sync tells of success and does nothing: what a planted bug that leaves it out comes to. Not among
    /// [`Fault::ALL`]: nothing survives a device that lies.
    Ignored,
    /// A write tells of success and is not done: the sectors stay stale. Among [`Fault::LIES`].
    Stale,
    /// A write tells of success and lands a sector further on: a misdirected write. Among [`Fault::LIES`].
    Misdirected,
    /// One bit of what is written rots, at once. Among [`Fault::LIES`].
    Rot,
}

impl Fault {
    /// All that an engine has to survive.
    pub const ALL: [Self; 11] = [
        Self::Eio,
        Self::EioDone,
        Self::EioHalf,
        Self::EioStays,
        Self::NoSpace,
        Self::Full,
        Self::Interrupted,
        Self::Short,
        Self::SyncKept,
        Self::SyncReverted,
        Self::SyncNoSpace,
    ];

    /// What no engine survives unharmed, but each must notice: nothing wrong is ever read (I13).
    pub const LIES: [Self; 3] = [Self::Stale, Self::Misdirected, Self::Rot];

    /// Whether this can happen at such a call.
    pub fn fits(self, kind: CallKind) -> bool {
        match self {
            Self::Eio | Self::EioDone | Self::EioStays => true,
            Self::EioHalf | Self::Short | Self::Stale | Self::Misdirected | Self::Rot => {
                kind == CallKind::Write
            }
            Self::NoSpace | Self::Full => {
                matches!(kind, CallKind::Create | CallKind::Write | CallKind::CreateDir | CallKind::Rename)
            }
            Self::Interrupted => matches!(kind, CallKind::Write | CallKind::Sync),
            Self::SyncKept | Self::SyncReverted | Self::SyncNoSpace | Self::Ignored => {
                matches!(kind, CallKind::Sync | CallKind::SyncDir)
            }
        }
    }
}

/// A change of a file that no sync has covered yet.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    Write { offset: usize, bytes: Arc<[u8]> },
    Length(usize),
}

/// What Unix calls an inode.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inode {
    /// What reads show.
    pub(crate) content: Arc<Vec<u8>>,
    /// What survives a power cut for certain.
    pub(crate) durable: Arc<Vec<u8>>,
    pub(crate) pending: Vec<Pending>,
}

/// A change of a directory that no sync has covered yet.
#[derive(Clone, Debug)]
pub(crate) enum DirOp {
    Create { name: Arc<str>, inode: u64 },
    Rename { from: Arc<str>, to: Arc<str>, inode: u64 },
    Remove { name: Arc<str>, inode: u64 },
    MakeDir { name: Arc<str> },
}

impl DirOp {
    /// The directory whose sync covers this.
    fn directory(&self) -> &str {
        match self {
            Self::Create { name, .. } | Self::Remove { name, .. } => parent(name),
            Self::Rename { to, .. } => parent(to),
            Self::MakeDir { .. } => "",
        }
    }
}

pub(crate) type Names = BTreeMap<Arc<str>, u64>;

/// A disk at one moment. Cheap to clone: everything large is shared.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub(crate) inodes: BTreeMap<u64, Arc<Inode>>,
    next_inode: u64,
    pub(crate) names: Arc<Names>,
    pub(crate) directories: Arc<BTreeSet<Arc<str>>>,
    pub(crate) durable_names: Arc<Names>,
    pub(crate) durable_directories: Arc<BTreeSet<Arc<str>>>,
    pub(crate) dir_ops: Vec<DirOp>,
    /// Ids of numbered files that were ever created here, whatever became of the files.
    pub(crate) used_ids: Arc<BTreeSet<u64>>,
    /// A numbered file that was created with an id that another had before (I4).
    pub(crate) reused_id: Option<Arc<str>>,
}

/// The id in the name of a numbered file.
fn id_of(name: &str) -> Option<u64> {
    name.strip_suffix(".tape")?.rsplit_once('-')?.1.parse().ok()
}

pub(crate) fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Disk {
    /// A disk on which everything is durable.
    pub(crate) fn settled(files: Vec<(Arc<str>, Arc<Vec<u8>>)>, directories: BTreeSet<Arc<str>>) -> Self {
        let mut disk = Self::default();
        let mut names = Names::new();
        for (name, content) in files {
            disk.next_inode += 1;
            names.insert(name, disk.next_inode);
            let inode = Inode { durable: content.clone(), content, pending: Vec::new() };
            disk.inodes.insert(disk.next_inode, Arc::new(inode));
        }
        disk.names = Arc::new(names);
        disk.durable_names = disk.names.clone();
        disk.directories = Arc::new(directories);
        disk.durable_directories = disk.directories.clone();
        disk
    }

    /// A file that was created with an id that another had before, if there is one (I4). A creation of the whole store
    /// that was cut off and begins anew is no such case: no store was there.
    pub fn reused_id(&self) -> Option<&str> {
        self.reused_id.as_deref()
    }

    /// Every file with its content, as reads show it.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.names.iter().map(|(name, inode)| (&**name, self.inodes[inode].content.as_slice()))
    }

    /// Changes bytes of a file on the medium itself: rot, a stale or a misdirected sector.
    pub fn damage(&mut self, name: &str, change: impl FnOnce(&mut [u8])) {
        let inode = self.names[name];
        let inode = Arc::make_mut(self.inodes.get_mut(&inode).expect("a name has an inode"));
        let content: &mut Vec<u8> = Arc::make_mut(&mut inode.content);
        change(content);
        inode.durable = inode.content.clone();
    }

    fn check_parent(&self, name: &str) -> io::Result<()> {
        self.check_directory_exists(parent(name))
    }

    fn check_directory_exists(&self, directory: &str) -> io::Result<()> {
        if directory.is_empty() || self.directories.contains(directory) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn find(&self, name: &str) -> io::Result<u64> {
        check_name(name)?;
        self.check_parent(name)?;
        if self.directories.contains(name) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&mut self, inode: u64) -> &mut Inode {
        Arc::make_mut(self.inodes.get_mut(&inode).expect("handles keep their inodes"))
    }

    fn create(&mut self, name: &str) -> u64 {
        self.next_inode += 1;
        if id_of(name).is_some_and(|id| !Arc::make_mut(&mut self.used_ids).insert(id)) {
            self.reused_id.get_or_insert_with(|| name.into());
        }
        let (name, inode) = (Arc::<str>::from(name), self.next_inode);
        self.inodes.insert(inode, Arc::default());
        Arc::make_mut(&mut self.names).insert(name.clone(), inode);
        self.dir_ops.push(DirOp::Create { name, inode });
        inode
    }

    fn write(&mut self, inode: u64, offset: usize, bytes: &[u8]) {
        let inode = self.inode(inode);
        let content = Arc::make_mut(&mut inode.content);
        if content.len() < offset + bytes.len() {
            content.resize(offset + bytes.len(), 0);
        }
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        inode.pending.push(Pending::Write { offset, bytes: bytes.into() });
    }

    fn set_length(&mut self, inode: u64, length: usize) {
        let inode = self.inode(inode);
        Arc::make_mut(&mut inode.content).resize(length, 0);
        inode.pending.push(Pending::Length(length));
    }

    fn sync(&mut self, inode: u64) {
        let inode = self.inode(inode);
        // Not simply the content: pages that a failed sync marked clean stay lost.
        let pending = std::mem::take(&mut inode.pending);
        if pending.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut inode.durable);
        for change in pending {
            match change {
                Pending::Length(length) => durable.resize(length, 0),
                Pending::Write { offset, bytes } => {
                    if durable.len() < offset + bytes.len() {
                        durable.resize(offset + bytes.len(), 0);
                    }
                    durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
    }

    fn fail_sync(&mut self, inode: u64, revert: bool) {
        let inode = self.inode(inode);
        inode.pending.clear();
        let length = inode.content.len();
        // The length is metadata and went its own way; the pages hold zeros.
        Arc::make_mut(&mut inode.durable).resize(length, 0);
        if revert {
            inode.content = inode.durable.clone();
        }
    }

    /// The entries of a directory count as clean and are lost at a power cut, or at once.
    fn fail_sync_dir(&mut self, directory: &str, revert: bool) {
        self.dir_ops.retain(|op| op.directory() != directory);
        if revert {
            let mut names = Names::clone(&self.durable_names);
            let mut directories = (*self.durable_directories).clone();
            for op in &self.dir_ops {
                apply_dir_op(op, &mut names, &mut directories, false);
            }
            (self.names, self.directories) = (Arc::new(names), Arc::new(directories));
        }
    }

    fn rename(&mut self, from: &str, to: &str, inode: u64) {
        let names = Arc::make_mut(&mut self.names);
        let (from, _) = names.remove_entry(from).expect("found above");
        let to = Arc::<str>::from(to);
        names.insert(to.clone(), inode);
        self.dir_ops.push(DirOp::Rename { from, to, inode });
    }

    fn remove(&mut self, name: &str, inode: u64) {
        let (name, _) = Arc::make_mut(&mut self.names).remove_entry(name).expect("found above");
        self.dir_ops.push(DirOp::Remove { name, inode });
    }

    fn sync_dir(&mut self, directory: &str) {
        let (names, directories) = (&mut self.durable_names, &mut self.durable_directories);
        self.dir_ops.retain(|op| {
            let covered = op.directory() == directory;
            if covered {
                apply_dir_op(op, Arc::make_mut(names), Arc::make_mut(directories), false);
            }
            !covered
        });
    }
}

/// Applies a change of a directory; `half`: of a rename, the old name stays as well.
pub(crate) fn apply_dir_op(op: &DirOp, names: &mut Names, directories: &mut BTreeSet<Arc<str>>, half: bool) {
    match op {
        DirOp::Create { name, inode } => {
            names.insert(name.clone(), *inode);
        }
        DirOp::Rename { from, to, inode } => {
            if names.get(from) == Some(inode) && !half {
                names.remove(from);
            }
            names.insert(to.clone(), *inode);
        }
        DirOp::Remove { name, inode } => {
            if names.get(name) == Some(inode) {
                names.remove(name);
            }
        }
        DirOp::MakeDir { name } => {
            directories.insert(name.clone());
        }
    }
}

/// Who holds the lock of a file.
#[derive(Debug, Default)]
struct Holders {
    shared_count: u64,
    exclusive: bool,
}

#[derive(Debug, Default)]
struct World {
    disk: Disk,
    /// Files synced since they were created here, and files opened that were there before.
    settled: BTreeSet<u64>,
    owed: Vec<Owed>,
    holders: BTreeMap<u64, Holders>,
    calls: u64,
    sites: Vec<Site>,
    record: Option<Vec<Disk>>,
    fault: Option<(u64, Fault)>,
    fault_hit: bool,
    full: bool,
    /// No call is answered any more.
    gone: bool,
    /// Units that all files together may take, if there is a bound.
    capacity: Option<u64>,
    clock_ns: i64,
    /// Reading calls, while someone watches them.
    reads: Option<Reads>,
}

/// What a call that may fail has to do.
enum Verdict {
    Go,
    /// Do it, then fail.
    GoThen(io::ErrorKind),
    /// Do half of it, then fail or tell of the half.
    Half(Option<io::ErrorKind>),
    /// Do nothing, and tell of success.
    Skip,
    /// Write it a sector further on, and tell of success.
    Astray,
    /// Write it with a bit flipped, and tell of success.
    Rotten,
    /// A sync that fails and marks pages, or entries, clean.
    Clean {
        error: io::ErrorKind,
        revert: bool,
    },
}

impl World {
    /// Counts a reading call, if someone watches; whether it is cut short.
    fn begin_read(&mut self, kind: ReadKind, name: &str) -> io::Result<bool> {
        self.reads.as_mut().map_or(Ok(false), |reads| reads.begin(kind, name))
    }

    /// Counts a call and says what becomes of it.
    fn begin(&mut self, kind: CallKind, name: &str, grows: bool) -> io::Result<Verdict> {
        self.calls += 1;
        self.sites.push((kind, class(name)));
        if let Some((_, fault)) = self.fault.filter(|(call, fault)| *call == self.calls && fault.fits(kind)) {
            self.fault_hit = true;
            let eio = io::ErrorKind::Other;
            return match fault {
                Fault::Eio => Err(io::Error::other("simulated EIO")),
                Fault::EioDone => Ok(Verdict::GoThen(eio)),
                Fault::EioHalf => Ok(Verdict::Half(Some(eio))),
                Fault::NoSpace => Err(io::ErrorKind::StorageFull.into()),
                Fault::Full => {
                    self.full = true;
                    if grows { Err(io::ErrorKind::StorageFull.into()) } else { Ok(Verdict::Go) }
                }
                Fault::Interrupted => Err(io::ErrorKind::Interrupted.into()),
                Fault::Short => Ok(Verdict::Half(None)),
                Fault::EioStays => {
                    self.gone = true;
                    Err(io::Error::other("simulated EIO"))
                }
                Fault::SyncKept => Ok(Verdict::Clean { error: eio, revert: false }),
                Fault::SyncReverted => Ok(Verdict::Clean { error: eio, revert: true }),
                Fault::SyncNoSpace => Ok(Verdict::Clean { error: io::ErrorKind::StorageFull, revert: false }),
                Fault::Ignored | Fault::Stale => Ok(Verdict::Skip),
                Fault::Misdirected => Ok(Verdict::Astray),
                Fault::Rot => Ok(Verdict::Rotten),
            };
        }
        if self.gone {
            return Err(io::Error::other("simulated EIO"));
        }
        if self.full && grows {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(Verdict::Go)
    }

    /// Whether a spoiler leaves out the sync that has just begun.
    fn spoils(&mut self, inode: Option<u64>, directory: &str) -> bool {
        let Some(spoiler) = Spoiler::chosen() else { return false };
        let label = self.label(inode);
        if spoiler.sync != label {
            return false;
        }
        if spoiler.after.is_some() {
            self.owed.push(inode.map_or_else(|| Owed::Directory(directory.into()), Owed::File));
        }
        true
    }

    /// What the last call was: for files, whether it was their first sync; for directories, what came before.
    fn label(&mut self, inode: Option<u64>) -> String {
        let (kind, class) = self.sites[self.sites.len() - 1];
        match (kind, inode) {
            (CallKind::Sync, Some(inode)) if self.settled.insert(inode) => format!("Sync {class} first"),
            (CallKind::SyncDir, _) => {
                let before = self.sites.len().checked_sub(2).map(|at| self.sites[at]);
                before.map_or_else(String::new, |(kind, class)| format!("SyncDir after {kind:?} {class}"))
            }
            _ => format!("{kind:?} {class}"),
        }
    }

    /// Makes up for syncs that a spoiler left out.
    fn pay(&mut self) {
        let Some(Spoiler { after: Some(after), .. }) = Spoiler::chosen() else { return };
        let Some((kind, class)) = self.sites.last() else { return };
        if self.owed.is_empty() || *after != format!("{kind:?} {class}") {
            return;
        }
        for owed in std::mem::take(&mut self.owed) {
            match owed {
                Owed::File(inode) => self.disk.sync(inode),
                Owed::Directory(directory) => self.disk.sync_dir(&directory),
            }
        }
    }

    /// Units that a file of this length takes.
    fn units(length: u64) -> u64 {
        length.div_ceil(UNIT_BYTES)
    }

    /// Units that all files take. One that was removed takes none: nobody is waited for who still reads it.
    fn used(&self) -> u64 {
        self.disk.files().map(|(_, content)| Self::units(content.len() as u64)).sum()
    }

    /// How many of `count` bytes at `offset` of a file there is space for.
    fn room(&self, inode: u64, offset: u64, count: usize) -> usize {
        let Some(capacity) = self.capacity else { return count };
        let own = Self::units(self.disk.inodes[&inode].content.len() as u64);
        let end = (own + capacity.saturating_sub(self.used())) * UNIT_BYTES;
        count.min(end.saturating_sub(offset) as usize)
    }

    /// Keeps the disk as it is after a call.
    fn end(&mut self) {
        if let Some(record) = &mut self.record {
            record.push(self.disk.clone());
        }
        self.pay();
    }

    /// A call on names: counted, perhaps failed, done, recorded.
    fn call<T>(
        &mut self,
        kind: CallKind,
        name: &str,
        grows: bool,
        act: impl FnOnce(&mut Disk) -> T,
    ) -> io::Result<T> {
        let result = match self.begin(kind, name, grows) {
            Err(error) => Err(error),
            Ok(Verdict::GoThen(error)) => {
                act(&mut self.disk);
                Err(error.into())
            }
            Ok(_) => Ok(act(&mut self.disk)),
        };
        self.end();
        result
    }
}

/// The kind of a file, from its name.
pub(crate) fn class(name: &str) -> &'static str {
    const KINDS: [(&str, &str); 10] = [
        ("wal-", "wal"),
        ("segment-", "segment"),
        ("manifest-", "manifest"),
        ("current.new", "current.new"),
        ("CURRENT", "CURRENT"),
        ("visible", "visible"),
        ("leases", "leases"),
        ("LOCK", "LOCK"),
        ("copy.new", "copy"),
        ("reserve", "reserve"),
    ];
    if name.is_empty() {
        return "root";
    }
    KINDS.iter().find(|(prefix, _)| name.starts_with(prefix)).map_or("other", |kind| kind.1)
}

/// The simulated disk behind the engine's `Storage`. Clones are handles of the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimStorage {
    world: Arc<Mutex<World>>,
}

impl SimStorage {
    /// An empty disk.
    pub fn new() -> Self {
        Self::from_disk(Disk::default())
    }

    /// A machine that starts with this disk: no lock is held, no call was made.
    pub fn from_disk(disk: Disk) -> Self {
        let settled = disk.inodes.keys().copied().collect();
        let world = World { disk, settled, clock_ns: CLOCK_START_NS, ..World::default() };
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// Keeps the disk as it is after every mutating call from now on, and counts them from zero.
    pub fn record(&self) {
        let mut world = self.world.lock();
        world.calls = 0;
        world.sites.clear();
        let disk = world.disk.clone();
        world.record = Some(vec![disk]);
    }

    /// The disks kept: the first is the one before any call, number `n` the one after call `n`.
    pub fn take_record(&self) -> Vec<Disk> {
        self.world.lock().record.take().unwrap_or_default()
    }

    /// Mutating calls since the beginning or [`SimStorage::record`].
    pub fn calls(&self) -> u64 {
        self.world.lock().calls
    }

    /// What each of these calls was.
    pub fn sites(&self) -> Vec<Site> {
        self.world.lock().sites.clone()
    }

    /// Lets call `call` fail; counts from zero.
    pub fn fail_at(&self, call: u64, fault: Fault) {
        let mut world = self.world.lock();
        (world.calls, world.fault, world.fault_hit) = (0, Some((call, fault)), false);
    }

    /// Whether the fault has happened.
    pub fn fault_hit(&self) -> bool {
        self.world.lock().fault_hit
    }

    /// Fills the disk: nothing can grow or be created any more.
    pub fn fill(&self) {
        self.world.lock().full = true;
    }

    /// Ends a full disk, and one that was gone.
    pub fn mend(&self) {
        let mut world = self.world.lock();
        (world.full, world.gone) = (false, false);
    }

    /// Leaves this many units of space; `None`: as much as anyone wants.
    pub fn leave(&self, units: Option<u64>) {
        let mut world = self.world.lock();
        world.capacity = units.map(|units| units + world.used());
    }

    /// The disk as it is, page cache included.
    pub fn disk(&self) -> Disk {
        self.world.lock().disk.clone()
    }

    /// Moves the clock.
    pub fn jump(&self, by_ns: i64) {
        let mut world = self.world.lock();
        world.clock_ns = world.clock_ns.saturating_add(by_ns);
    }

    /// Counts reading calls from here, by themselves; the call of this number fails.
    pub fn watch_reads(&self, fault: Option<(u64, ReadFault)>) {
        self.world.lock().reads = Some(Reads::failing(fault));
    }

    /// What each reading call was.
    pub fn read_sites(&self) -> Vec<ReadSite> {
        self.world.lock().reads.as_ref().map_or_else(Vec::new, |reads| reads.sites.clone())
    }

    /// The file at which the reading call failed, as errors name it.
    pub fn read_fault_hit(&self) -> Option<String> {
        let hit = self.world.lock().reads.as_ref()?.hit.clone();
        hit.map(|name| self.describe(&name))
    }

    /// Reads are answered again.
    pub fn heal_reads(&self) {
        if let Some(reads) = &mut self.world.lock().reads {
            reads.heal();
        }
    }

    /// The inode of a file that is being opened.
    fn find(&self, name: &str) -> io::Result<u64> {
        let mut world = self.world.lock();
        world.begin_read(ReadKind::Open, name)?;
        world.disk.find(name)
    }

    fn file(&self, inode: u64, name: &str, writable: bool) -> SimFile {
        SimFile { world: self.world.clone(), inode, name: name.into(), writable }
    }
}

impl Storage for SimStorage {
    fn create_new(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        check_name(name)?;
        let mut world = self.world.lock();
        world.disk.check_parent(name)?;
        if world.disk.names.contains_key(name) || world.disk.directories.contains(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = world.call(CallKind::Create, name, true, |disk| disk.create(name))?;
        Ok(Arc::new(self.file(inode, name, true)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.find(name)?;
        Ok(Arc::new(self.file(inode, name, true)))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.find(name)?;
        Ok(Arc::new(self.file(inode, name, false)))
    }

    fn map(&self, name: &str, length: u64) -> io::Result<Arc<dyn MappedBytes>> {
        let mut world = self.world.lock();
        world.begin_read(ReadKind::Map, name)?;
        let content = world.disk.inodes[&world.disk.find(name)?].content.clone();
        if content.len() as u64 != length {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Arc::new(SimMap { content }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(to)?;
        let mut world = self.world.lock();
        let inode = world.disk.find(from)?;
        world.disk.check_parent(to)?;
        world.call(CallKind::Rename, to, false, |disk| disk.rename(from, to, inode))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world.lock();
        let inode = world.disk.find(name)?;
        world.call(CallKind::Remove, name, false, |disk| disk.remove(name, inode))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        check_directory(directory)?;
        let mut world = self.world.lock();
        world.begin_read(ReadKind::List, directory)?;
        world.disk.check_directory_exists(directory)?;
        let files = world.disk.files().filter(|(name, _)| parent(name) == directory);
        Ok(files.map(|(name, content)| (name.to_owned(), content.len() as u64)).collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let mut world = self.world.lock();
        world.begin_read(ReadKind::Length, name)?;
        Ok(world.disk.inodes[&world.disk.find(name)?].content.len() as u64)
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        check_directory(directory)?;
        let mut world = self.world.lock();
        world.disk.check_directory_exists(directory)?;
        let result = match world.begin(CallKind::SyncDir, directory, false) {
            Err(error) => Err(error),
            Ok(Verdict::Skip) => Ok(()),
            Ok(Verdict::Clean { error, revert }) => {
                world.disk.fail_sync_dir(directory, revert);
                Err(error.into())
            }
            Ok(_) if world.spoils(None, directory) => Ok(()),
            Ok(verdict) => {
                world.disk.sync_dir(directory);
                if let Verdict::GoThen(error) = verdict { Err(error.into()) } else { Ok(()) }
            }
        };
        world.end();
        result
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        check_directory(directory)?;
        let mut world = self.world.lock();
        if world.disk.names.contains_key(directory) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if directory.is_empty() || world.disk.directories.contains(directory) {
            return Ok(());
        }
        world.call(CallKind::CreateDir, directory, true, |disk| {
            let name = Arc::<str>::from(directory);
            Arc::make_mut(&mut disk.directories).insert(name.clone());
            disk.dir_ops.push(DirOp::MakeDir { name });
        })
    }

    fn lock(&self, name: &str, kind: LockKind) -> io::Result<Option<Box<dyn LockGuard>>> {
        let mut world = self.world.lock();
        world.begin_read(ReadKind::Lock, name)?;
        let inode = match world.disk.find(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                world.disk.check_parent(name)?;
                world.call(CallKind::Create, name, true, |disk| disk.create(name))?
            }
            other => other?,
        };
        let holders = world.holders.entry(inode).or_default();
        match kind {
            LockKind::Shared if !holders.exclusive => holders.shared_count += 1,
            LockKind::Exclusive if !holders.exclusive && holders.shared_count == 0 => {
                holders.exclusive = true;
            }
            _ => return Ok(None),
        }
        Ok(Some(Box::new(SimLock { file: self.file(inode, name, true), kind })))
    }

    fn now_ns(&self) -> i64 {
        let mut world = self.world.lock();
        world.clock_ns = world.clock_ns.saturating_add(1_000_000);
        world.clock_ns
    }

    fn describe(&self, name: &str) -> String {
        format!("sim:{}", name.escape_debug())
    }

    fn root(&self) -> Option<PathBuf> {
        None
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (kind, _) in &self.world.lock().sites {
            match kind {
                CallKind::Create => counts.creates += 1,
                CallKind::Write => counts.writes += 1,
                CallKind::Sync => counts.syncs += 1,
                CallKind::SyncDir => counts.dir_syncs += 1,
                CallKind::Rename => counts.renames += 1,
                CallKind::Remove => counts.removes += 1,
                CallKind::SetLength | CallKind::CreateDir => {}
            }
        }
        counts
    }
}

#[derive(Debug)]
struct SimFile {
    world: Arc<Mutex<World>>,
    inode: u64,
    name: Box<str>,
    writable: bool,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

fn checked_size(length: u64) -> io::Result<usize> {
    if length > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(length as usize)
}

impl StorageFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut world = self.world.lock();
        let short = world.begin_read(ReadKind::Read, &self.name)?;
        let content = &world.disk.inodes[&self.inode].content;
        let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
        let count = buffer.len().min(content.len() - start);
        let count = if short { count.div_ceil(2) } else { count };
        buffer[..count].copy_from_slice(&content[start..start + count]);
        Ok(count)
    }

    fn write_once_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let end = checked_size(offset.saturating_add(bytes.len() as u64))?;
        let offset = offset as usize;
        let mut world = self.world.lock();
        let grows = world.disk.inodes[&self.inode].content.len() < end;
        let room = world.room(self.inode, offset as u64, bytes.len());
        let result = match world.begin(CallKind::Write, &self.name, grows) {
            Err(error) => Err(error),
            Ok(Verdict::Half(error)) => {
                let half = bytes.len().div_ceil(2);
                world.disk.write(self.inode, offset, &bytes[..half]);
                error.map_or(Ok(half), |error| Err(error.into()))
            }
            Ok(Verdict::Skip) => {
                // The length is metadata and went its own way.
                let length = world.disk.inodes[&self.inode].content.len().max(end);
                world.disk.set_length(self.inode, length);
                Ok(bytes.len())
            }
            Ok(Verdict::Astray) => {
                world.disk.write(self.inode, offset + 512, bytes);
                Ok(bytes.len())
            }
            Ok(Verdict::Rotten) => {
                let mut rotten = bytes.to_vec();
                rotten[bytes.len() / 2] ^= 0x10;
                world.disk.write(self.inode, offset, &rotten);
                Ok(bytes.len())
            }
            Ok(_) if room == 0 => Err(io::ErrorKind::StorageFull.into()),
            Ok(Verdict::Go) if room < bytes.len() => {
                world.disk.write(self.inode, offset, &bytes[..room]);
                Ok(room)
            }
            Ok(verdict) => {
                world.disk.write(self.inode, offset, bytes);
                if let Verdict::GoThen(error) = verdict { Err(error.into()) } else { Ok(bytes.len()) }
            }
        };
        world.end();
        result
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut world = self.world.lock();
        let inode = self.inode;
        let result = match world.begin(CallKind::Sync, &self.name, false) {
            Err(error) => Err(error),
            Ok(Verdict::Skip) => Ok(()),
            Ok(Verdict::Clean { error, revert }) => {
                world.disk.fail_sync(inode, revert);
                Err(error.into())
            }
            Ok(_) if world.spoils(Some(inode), "") => Ok(()),
            Ok(verdict) => {
                world.disk.sync(inode);
                if let Verdict::GoThen(error) = verdict { Err(error.into()) } else { Ok(()) }
            }
        };
        world.end();
        result
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.check_writable()?;
        let length = checked_size(length)?;
        let inode = self.inode;
        self.world.lock().call(CallKind::SetLength, &self.name, false, |disk| disk.set_length(inode, length))
    }

    fn length(&self) -> io::Result<u64> {
        let mut world = self.world.lock();
        world.begin_read(ReadKind::Length, &self.name)?;
        Ok(world.disk.inodes[&self.inode].content.len() as u64)
    }
}

#[derive(Debug)]
struct SimLock {
    file: SimFile,
    kind: LockKind,
}

impl LockGuard for SimLock {
    fn file(&self) -> &dyn StorageFile {
        &self.file
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.file.world.lock();
        let holders = world.holders.entry(self.file.inode).or_default();
        match self.kind {
            LockKind::Shared => holders.shared_count -= 1,
            LockKind::Exclusive => holders.exclusive = false,
        }
    }
}

struct SimMap {
    content: Arc<Vec<u8>>,
}

impl MappedBytes for SimMap {
    fn bytes(&self) -> &[u8] {
        &self.content
    }
}
