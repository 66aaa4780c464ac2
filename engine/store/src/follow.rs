//! Following: handles that only read, beside a writer in another process.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use tapestore_format::manifest::Current;

use crate::apply::apply;
use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::io::{LockKind, Storage};
use crate::latest::hand_over;
use crate::lease::Lease;
use crate::live::Listeners;
use crate::manifest::{ManifestState, load};
use crate::open::{build_state, find_store};
use crate::options::Options;
use crate::segment::SegmentFile;
use crate::state::{Catalog, State};
use crate::store::{LOCK, LOCK_TRIES, Role, Shared, Store, retained_of};
use crate::sync::{Mistake, Mutex, RwLock, mistaken, thread};
use crate::wal::{LogReader, Position, Visible};

/// What only a follower has.
#[derive(Debug)]
pub(crate) struct ReaderRole {
    follower: Mutex<Follower>,
    lease: Option<Lease>,
}

impl ReaderRole {
    /// While this is held, nothing new becomes visible.
    pub(crate) fn lock(&self) -> impl Sized + '_ {
        self.follower.lock()
    }
}

/// Where a follower stands.
#[derive(Clone, Copy, Debug)]
struct Follower {
    /// The manifest step that it loaded.
    step: u64,
    /// The end of the transactions that it applied.
    position: Position,
}

impl Store {
    /// As [`Store::open_read_only`], on any storage.
    ///
    /// # Errors
    /// As [`Store::open_read_only`].
    pub fn open_read_only_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        // Without a lease, on a medium that takes no files, everything is mapped before anything can go.
        let late = mistaken(Mistake::LeaseTooLate);
        let lease = if late { None } else { Lease::of_a_store(&storage)? };
        let catalog = Catalog::default();
        let loaded = load_follower(&storage, None, &catalog, &HashMap::new())?;
        let store = loaded.current.store;
        let lease = if late { Lease::of_a_store(&storage)? } else { lease };
        if let Some(lease) = &lease {
            lease.move_to(store, loaded.follower.step);
        }
        let (retained, snapshots) = retained_of(&loaded.manifest);
        let shared = Arc::new(Shared {
            cache: BlockCache::new(options.cache_bytes),
            storage,
            store,
            created: loaded.current.created,
            options,
            catalog,
            published: RwLock::new(Arc::new(loaded.state)),
            retained: RwLock::new(retained),
            snapshots: RwLock::new(snapshots),
            files: Mutex::new(HashMap::new()),
            listeners: Listeners::default(),
            role: Role::Reader(Box::new(ReaderRole { follower: Mutex::new(loaded.follower), lease })),
        });
        shared.remember_files();
        if let Role::Reader(role) = &shared.role
            && role.lease.is_none()
        {
            shared.open_all_files()?;
        }
        Ok(Self::new(shared, Vec::new()))
    }

    /// For handles that only read: moves to the newest version that the writer shows; returns it.
    /// A handle that writes is always there.
    ///
    /// # Errors
    /// Damage is named; the handle then stays at its version.
    pub fn refresh(&self) -> Result<u64> {
        let shared = &self.shared;
        let Role::Reader(role) = &shared.role else { return Ok(shared.published.read().version) };
        let mut follower = role.follower.lock();
        let current = find_store(&*shared.storage)?;
        same_store(&*shared.storage, &current, shared.store)?;
        if current.step == follower.step {
            let mut state = (**shared.published.read()).clone();
            let visible = live_writer(&*shared.storage, shared.store)?;
            let reader = LogReader { storage: &*shared.storage, store: shared.store, visible };
            let mut drafts = VecDeque::new();
            let position = reader.resume(follower.position, &mut |transaction| {
                if transaction.version > state.version {
                    drafts.extend(shared.listeners.draft(&state, &transaction));
                    state = apply(&state, &shared.catalog, transaction, 0)?.0;
                }
                Ok(())
            });
            // A log that is gone, or cut where a new writer recovered: the manifest tells.
            if let Ok(position) = position {
                follower.position = position;
                let version = state.version;
                shared.publish(Arc::new(state));
                shared.listeners.tell(&mut drafts, version);
                return Ok(version);
            }
        }
        let known =
            shared.files.lock().iter().filter_map(|(id, file)| Some((*id, file.upgrade()?))).collect();
        let loaded = load_follower(&shared.storage, Some(shared.store), &shared.catalog, &known)?;
        // Files that only views of this process still use must be open before the lease moves on (I7).
        for file in known.values().filter(|file| !loaded.manifest.segments.contains_key(&file.id())) {
            if !mistaken(Mistake::LeaseMovesTooSoon) {
                file.open()?;
            }
        }
        let version = loaded.state.version;
        let published = shared.published.read().version;
        if version < published {
            return Ok(published);
        }
        (*shared.retained.write(), *shared.snapshots.write()) = retained_of(&loaded.manifest);
        hand_over(&shared.published.read().clone(), &loaded.state);
        *shared.published.write() = Arc::new(loaded.state);
        shared.remember_files();
        *follower = loaded.follower;
        match &role.lease {
            Some(lease) => lease.move_to(shared.store, loaded.follower.step),
            None => shared.open_all_files()?,
        }
        // What happened in between is in segments, not in logs.
        shared.listeners.miss(published, version);
        Ok(version)
    }
}

/// Another store may have been put into the directory: nothing of it belongs to this handle.
fn same_store(storage: &dyn Storage, current: &Current, store: [u8; 16]) -> Result<()> {
    if current.store == store {
        return Ok(());
    }
    let place = storage.describe("");
    Err(Error::Usage(format!("{place} holds another store than when it was opened; open it again")))
}

/// How far a living writer lets others see; `None` if there is no writer.
pub(crate) fn live_writer(storage: &dyn Storage, store: [u8; 16]) -> Result<Option<Visible>> {
    for _ in 0..LOCK_TRIES {
        match storage.lock(LOCK, LockKind::Shared) {
            // Nobody writes: what is there is all there is.
            Ok(Some(_)) => return Ok(None),
            Err(error) if nobody_can_write(storage, &error) => return Ok(None),
            Err(error) => return Err(Error::io("locking", storage.describe(LOCK), error)),
            Ok(None) => {}
        }
        if let Some(visible) = Visible::read(storage, store) {
            return Ok(Some(visible));
        }
        thread::sleep(std::time::Duration::from_millis(1));
    }
    Err(Error::Inconsistent {
        path: storage.describe("visible"),
        rule: "V1",
        offset: 0,
        detail: "a writer holds the lock, but does not say what is visible".into(),
    })
}

/// Whether an error of the lock tells that no writer can live: it locks this very file.
fn nobody_can_write(storage: &dyn Storage, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::Unsupported => true,
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            storage.length(LOCK).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        }
        _ => false,
    }
}

/// What a follower loads.
struct Loaded {
    current: Current,
    manifest: ManifestState,
    state: State,
    follower: Follower,
}

/// Loads what counts now, of a store of a known identity or of whichever is there.
fn load_follower(
    storage: &Arc<dyn Storage>,
    mut store: Option<[u8; 16]>,
    catalog: &Catalog,
    known: &HashMap<u64, Arc<SegmentFile>>,
) -> Result<Loaded> {
    let mut tries = 0;
    loop {
        tries += 1;
        let current = find_store(&**storage)?;
        same_store(&**storage, &current, *store.get_or_insert(current.store))?;
        match load_at(storage, catalog, known, current) {
            Ok(loaded) => return Ok(loaded),
            // The writer went on while we read: begin again with what counts now. Without that, it is damage. Looked at
            // in this order: without a writer nothing moves any more.
            Err(error) => {
                let alone = matches!(storage.lock(LOCK, LockKind::Shared), Ok(Some(_)));
                let moved = find_store(&**storage)?.step != current.step;
                if !moved && (alone || tries > 3) {
                    return Err(error);
                }
                thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}

fn load_at(
    storage: &Arc<dyn Storage>,
    catalog: &Catalog,
    known: &HashMap<u64, Arc<SegmentFile>>,
    current: Current,
) -> Result<Loaded> {
    let (manifest, _) = load(&**storage, &current)?;
    let mut state = build_state(storage, current.store, &manifest, catalog, known)?;
    let sealed = state.version;
    let visible = live_writer(&**storage, current.store)?;
    let reader = LogReader { storage: &**storage, store: current.store, visible };
    let replayed = reader.replay(manifest.state.first_log, &mut |transaction| {
        if transaction.version > sealed {
            state = apply(&state, catalog, transaction, 0)?.0;
        }
        Ok(())
    })?;
    Ok(Loaded { current, manifest, state, follower: Follower { step: current.step, position: replayed.end } })
}
