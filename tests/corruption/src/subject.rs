//! The stores that are damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use golden::storage::Clocked;
use golden::stores::STORES;
use tapestore::io::{MemoryStorage, Storage};
use tapestore::{
    AsOf, Batch, Durability, Error, Options, Result, SeriesKey, Store, Tier, Transaction, Values, schema,
};

use crate::layout::Layout;
use crate::truth::Truth;

/// Files by name.
pub type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// A store, what it gives, and what of it counts.
#[derive(Debug)]
pub struct Subject {
    /// Its name.
    pub name: &'static str,
    /// Its files.
    pub files: Files,
    /// Its files at earlier moments.
    pub earlier: Vec<Files>,
    /// What of the files counts.
    pub layout: Layout,
    /// What it gives.
    pub truth: Truth,
    /// Which series of `truth` has which number.
    pub numbers: BTreeMap<u32, usize>,
}

/// Options of every store here: small caches, no threads.
pub fn options() -> Options {
    // A reserve of a size to be damaged byte by byte.
    Options { background: false, cache_bytes: 1 << 20, reserve_bytes: 64, ..Options::default() }
}

/// A disk with these files.
pub fn disk(files: &Files) -> MemoryStorage {
    let storage = MemoryStorage::new();
    storage.create_dir("leases").expect("memory");
    for (name, bytes) in files {
        storage.create_new(name).expect("a new file").write_at(0, bytes).expect("memory");
    }
    storage.set_now_ns(golden::storage::START);
    storage
}

impl Subject {
    /// Takes a whole store.
    fn new(name: &'static str, files: Files, earlier: Vec<Files>) -> Result<Self> {
        let store = Store::open_read_only_on(Arc::new(disk(&files)), options())?;
        let truth = Truth::of(&store)?;
        let mut numbers = BTreeMap::new();
        for (version, contents) in &truth.versions {
            let view = store.as_of(&AsOf::Version(*version))?;
            for index in contents.keys() {
                numbers.insert(view.info(&truth.keys[*index])?.id, *index);
            }
        }
        let layout = Layout::of(&files);
        Ok(Self { name, files, earlier, layout, truth, numbers })
    }

    /// The name of a file by its number.
    pub fn file(&self, number: usize) -> &str {
        self.files.keys().nth(number).expect("a file of that number")
    }
}

fn shared(files: Vec<(String, Vec<u8>)>) -> Files {
    files.into_iter().map(|(name, bytes)| (name, Arc::new(bytes))).collect()
}

/// All of them: what the golden stores are made of, made by the engine at hand, and stores with a past.
///
/// # Errors
/// Those of the engine.
pub fn all() -> Result<Vec<Subject>> {
    let mut out = vec![grown()?, torn()?];
    for (name, _, make) in STORES {
        out.push(Subject::new(name, shared(make()?), Vec::new())?);
    }
    Ok(out)
}

const MINUTE: i64 = 60_000_000_000;

fn bars(from: i64, count: i64, price: f64) -> Batch {
    let column =
        |shift: f64| Values::F64((0..count).map(|row| price + shift + (row % 7) as f64 / 4.0).collect());
    Batch::new((from..from + count).map(|minute| minute * MINUTE).collect())
        .with("open", column(0.0))
        .with("high", column(3.0))
        .with("low", column(-3.0))
        .with("close", column(1.0))
        .with("volume", column(9.0))
}

/// A store in the making that remembers its files.
struct Growing {
    storage: Arc<Clocked>,
    store: Option<Store>,
    moments: Vec<Files>,
}

impl Growing {
    fn new() -> Result<Self> {
        let storage = Clocked::new();
        let store = Some(Store::create_on(storage.clone(), Self::options())?);
        Ok(Self { storage, store, moments: Vec::new() })
    }

    fn options() -> Options {
        Options { tier: Tier::Dense, young_segments: 100, ..options() }
    }

    fn remember(&mut self) {
        self.moments.push(shared(self.storage.files()));
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    fn commit(
        &mut self,
        durability: Durability,
        stage: impl FnOnce(&mut Transaction) -> Result<()>,
    ) -> Result<()> {
        let mut transaction = self.store().begin();
        transaction.source("test");
        stage(&mut transaction)?;
        transaction.commit_with(durability)?;
        self.remember();
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        self.store = None;
        self.store = Some(Store::open_on(self.storage.clone() as Arc<dyn Storage>, Self::options())?);
        self.remember();
        Ok(())
    }
}

/// Everything that changes files, and the files after each step: the past of which sectors and files can be stale.
fn grown() -> Result<Subject> {
    let (a, b) = (SeriesKey::new("A", "1m")?, SeriesKey::new("B", "1m")?);
    let mut growing = Growing::new()?;
    growing.commit(Durability::Durable, |transaction| {
        transaction.create_series(&a, schema::bars())?;
        transaction.create_series(&b, schema::bars())?;
        transaction.upsert(&a, bars(0, 40, 10.0))
    })?;
    growing.commit(Durability::Durable, |transaction| transaction.upsert(&b, bars(5, 30, 20.0)))?;
    growing.store().seal()?;
    growing.remember();
    growing.commit(Durability::Durable, |transaction| transaction.upsert(&a, bars(30, 20, 11.0)))?;
    growing.store().create_snapshot("early", None)?;
    growing.remember();
    growing.store().seal()?;
    growing.remember();
    growing
        .commit(Durability::Durable, |transaction| transaction.delete_range(&a, 3 * MINUTE..9 * MINUTE))?;
    growing.store().compact()?;
    growing.remember();
    growing.reopen()?;
    growing.commit(Durability::Durable, |transaction| transaction.confirm_absent(&b, 0..2 * MINUTE))?;
    growing.store().create_snapshot("late", None)?;
    growing.remember();
    growing.commit(Durability::Durable, |transaction| transaction.upsert(&b, bars(30, 20, 21.0)))?;
    growing.store().rollback(&AsOf::Version(4))?;
    growing.remember();
    growing.reopen()?;
    // Handed over without a sync, and then with one: frames that do not call one another durable.
    growing.commit(Durability::Appended, |transaction| transaction.upsert(&a, bars(60, 3, 12.0)))?;
    growing.commit(Durability::Appended, |transaction| transaction.upsert(&b, bars(60, 3, 22.0)))?;
    growing.commit(Durability::Durable, |transaction| transaction.upsert(&a, bars(70, 200, 13.0)))?;
    let files = growing.moments.pop().expect("remembered");
    growing.moments.dedup();
    Subject::new("grown", files, growing.moments)
}

/// Bytes that do not count, everywhere where there may be some.
fn torn() -> Result<Subject> {
    let key = SeriesKey::new("T", "1m")?;
    let mut growing = Growing::new()?;
    growing.commit(Durability::Durable, |transaction| {
        transaction.create_series(&key, schema::bars())?;
        transaction.upsert(&key, bars(0, 20, 10.0))
    })?;
    growing.commit(Durability::Durable, |transaction| transaction.upsert(&key, bars(20, 5, 10.0)))?;
    growing.store = None;
    let newest = |storage: &Clocked| -> Result<String> {
        let files = storage.files();
        let log = files.iter().map(|file| &file.0).filter(|name| name.starts_with("wal-")).max();
        log.cloned().ok_or_else(|| Error::Usage("no log".into()))
    };
    // The power failed in the middle of a commit; a writer went on behind it.
    for byte in [0xA5, 0x5A] {
        let log = newest(&growing.storage)?;
        let file = growing.storage.open(&log).expect("listed");
        file.write_at(file.length().expect("memory"), &[byte; 100]).expect("memory");
        growing.reopen()?;
        growing.commit(Durability::Durable, |transaction| {
            transaction.upsert(&key, bars(25, 5, f64::from(byte)))
        })?;
        growing.store = None;
    }
    // A log without a transaction.
    growing.reopen()?;
    growing.store = None;
    let mut files = shared(growing.storage.files());
    let manifest = files.iter_mut().find(|file| file.0.starts_with("manifest-")).expect("a manifest");
    Arc::make_mut(manifest.1).extend_from_slice(b"half a step");
    for (name, bytes) in [
        ("current.new", &b"TAPECURR"[..]),
        ("segment-000000008888.tape", b"never finished"),
        ("manifest-000000009999.tape", b"nothing"),
        ("wal-000000000000.tape", b"older than the first that counts"),
        ("wal-000000009999.tape", b"never born"),
    ] {
        files.insert(name.to_owned(), Arc::new(bytes.to_vec()));
    }
    Subject::new("torn", files, Vec::new())
}
