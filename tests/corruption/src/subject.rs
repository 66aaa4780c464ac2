//! The stores that are damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use golden::storage::Clocked;
use golden::stores::STORES;
use golden::values::Random;
use tapestore::io::{MemoryStorage, Storage};
use tapestore::schema::SchemaBuilder;
use tapestore::{
    AsOf, Batch, ColumnType, ColumnValues, Durability, Error, Options, Result, SeriesKey, Store, Strings,
    Tier, Transaction, Values, schema,
};

use crate::damage::Damage;
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
    /// The files of other stores.
    pub others: Vec<Files>,
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
        Ok(Self { name, files, earlier, others: Vec::new(), layout, truth, numbers })
    }

    /// The files with a damage.
    pub fn damaged(&self, damage: Damage) -> Files {
        damage.apply(&self.files, &self.earlier, &self.others)
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
    let mut out = vec![
        grown()?,
        torn()?,
        forms()?,
        grouped("mixed", "1m", 90, |count| bars_of(mixed(count), 1))?,
        grouped("single", "1d", 150, |count| bars_of(singles(count), 1440))?,
        pages()?,
    ];
    for (name, _, make) in STORES {
        out.push(Subject::new(name, shared(make()?), Vec::new())?);
    }
    let files: Vec<Files> = out.iter().map(|subject| subject.files.clone()).collect();
    for (own, subject) in out.iter_mut().enumerate() {
        subject.others =
            files.iter().enumerate().filter(|(at, _)| *at != own).map(|(_, files)| files.clone()).collect();
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
    tier: Tier,
    moments: Vec<Files>,
}

impl Growing {
    fn new() -> Result<Self> {
        let storage = Clocked::new();
        let store = Some(Store::create_on(storage.clone(), Self::options(Tier::Dense))?);
        Ok(Self { storage, store, tier: Tier::Dense, moments: Vec::new() })
    }

    fn options(tier: Tier) -> Options {
        Options { tier, young_segments: 100, ..options() }
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
        self.store =
            Some(Store::open_on(self.storage.clone() as Arc<dyn Storage>, Self::options(self.tier))?);
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

/// Prices of days in cents that were paid, adjusted for a dividend every so many rows.
fn adjusted(random: &mut Random, count: i64, every: i64) -> Batch {
    let mut cents = 4_000;
    let mut columns: [Vec<f64>; 5] = Default::default();
    for row in 0..count {
        let open = cents + random.below(9) / 8;
        cents = open + skewed(random) - 3;
        let (high, low) = (open.max(cents) + skewed(random), open.min(cents) - skewed(random));
        let factor = 1.0 + ((count - 1 - row) / every) as f64 * 0.012_345_678_9;
        for (column, price) in columns.iter_mut().zip([open, high, low, cents]) {
            column.push(price as f64 * factor / 100.0);
        }
        columns[4].push(skewed(random) as f64);
    }
    let names = ["open", "high", "low", "close", "volume"];
    let batch = Batch::new((0..count).map(|day| day * 1440 * MINUTE).collect());
    names.into_iter().zip(columns).fold(batch, |batch, (name, values)| batch.with(name, Values::F64(values)))
}

/// Small numbers mostly, and now and then large ones: that is what models save most with.
fn skewed(random: &mut Random) -> i64 {
    let bits = random.below(3) * random.below(6);
    random.below(1 << bits)
}

/// Columns in the ways of storing that bars have not.
fn columns(random: &mut Random, count: i64) -> [(&'static str, ColumnType, ColumnValues); 6] {
    let noise = (0..count).map(|_| f64::from_bits(random.word())).collect();
    // Noise behind digits that are much the same.
    let roots = (0..count).map(|_| (1e12 + random.below(1 << 36) as f64).sqrt()).collect();
    let factor = |row: i64| 1.0 + ((count - 1 - row) / 30) as f64 * 0.012_345_678_9;
    let adjusted = (0..count).map(|row| (4_000 + random.below(300)) as f64 * factor(row) / 100.0).collect();
    let side = (0..count).map(|row| ["buy", "sell", ""][row as usize % 3]).collect();
    let note = (0..count).map(|row| format!("{:x}", row * 7919)).collect::<Strings>();
    let never = Values::U8(vec![0; count as usize]);
    let all = |values| ColumnValues { values, nulls: None };
    let some = |values| ColumnValues { values, nulls: Some((0..count).map(|row| row % 40 == 7).collect()) };
    [
        ("noise", ColumnType::F64, all(Values::F64(noise))),
        ("roots", ColumnType::F64, all(Values::F64(roots))),
        ("adjusted", ColumnType::F64, some(Values::F64(adjusted))),
        ("side", ColumnType::String, some(Values::Str(side))),
        ("note", ColumnType::String, some(Values::Str(note))),
        ("never", ColumnType::U8, ColumnValues { values: never, nulls: Some(vec![true; count as usize]) }),
    ]
}

/// The ways to store a column that other small stores lack, in few rows: factors, halves, groups with models, raw values;
/// and a past.
fn forms() -> Result<Subject> {
    let mut random = Random(12);
    let mut growing = Growing::new()?;
    let (dense, cold) = (SeriesKey::new("DENSE", "1d")?, SeriesKey::new("COLD", "1d")?);
    let table = SeriesKey::new("DENSE", "table")?;
    growing.commit(Durability::Durable, |transaction| {
        transaction.create_series(&dense, schema::bars())?;
        transaction.append(&dense, adjusted(&mut random, 90, 40))
    })?;
    growing.commit(Durability::Durable, |transaction| {
        let mut schema = SchemaBuilder::unique();
        let mut batch = Batch::new((0..90).map(|row| row * row * 1_000).collect());
        for (name, kind, values) in columns(&mut random, 90) {
            schema = schema.nullable(name, kind);
            batch = batch.with(name, values);
        }
        transaction.create_series(&table, schema.build()?)?;
        transaction.append(&table, batch)
    })?;
    growing.store().seal()?;
    growing.remember();
    growing.tier = Tier::Cold;
    growing.reopen()?;
    growing.commit(Durability::Durable, |transaction| {
        transaction.create_series(&cold, schema::bars())?;
        transaction.append(&cold, adjusted(&mut random, 500, 1000))
    })?;
    growing.store().seal()?;
    growing.remember();
    growing
        .commit(Durability::Durable, |transaction| transaction.upsert(&dense, adjusted(&mut random, 5, 9)))?;
    let files = growing.moments.pop().expect("remembered");
    growing.moments.dedup();
    Subject::new("forms", files, growing.moments)
}

/// Prices in cents, among which some have eight places: highs and lows, opens and closes equal them, or end them. So that
/// every rule of further digits is met, some prices of two places stand where those of eight would carry over.
pub fn mixed(count: usize) -> [Vec<f64>; 4] {
    let mut random = Random(77);
    let mut columns: [Vec<f64>; 4] = Default::default();
    let mut price = |cents: i64| match random.below(6) {
        0 => (cents * 1_000_000 + 1 + random.below(999_999)) as f64 / 1e8,
        _ => cents as f64 / 100.0,
    };
    let mut random = Random(78);
    let (mut cents, mut close) = (431_000, 4310.0);
    for _ in 0..count {
        // Mostly a bar opens where the last one ended; at the same cent, if not at the same price.
        let open = if random.below(3) > 0 { close } else { price(cents) };
        let before = cents;
        cents += random.below(9) - 4;
        close = if random.below(4) > 0 { price(cents) } else { open };
        let (mut high, mut low) = (open.max(close), open.min(close));
        match random.below(5) {
            0 => high = price(before.max(cents) + random.below(4)),
            1 => low = price(before.min(cents) - random.below(4)),
            // The same cent as the price beside it, without what that has beyond.
            2 => low = (low * 100.0).floor() / 100.0,
            _ => {}
        }
        columns.iter_mut().zip([open, high, low, close]).for_each(|(column, price)| column.push(price));
    }
    columns
}

/// Bars of days in cents, as a source that keeps singles adjusts them for a dividend every 40 days until day 800: close to another single, the
/// others by what that is of close. One in fifty is none of these.
pub fn singles(count: usize) -> [Vec<f64>; 4] {
    let mut random = Random(79);
    let mut columns: [Vec<f64>; 4] = Default::default();
    let mut close = 4310;
    for row in 0..count {
        let open = close + random.below(9) - 4;
        close = open + random.below(31) - 15;
        let (high, low) = (open.max(close) + random.below(5), open.min(close) - random.below(5));
        let paid = [open, high, low, close].map(|cents| f64::from((cents as f64 / 100.0) as f32));
        let dividends = 20 - (row / 40).min(20);
        let adjusted = f64::from((paid[3] * (1.0 - dividends as f64 * 0.007_654_321)) as f32);
        let ratio = adjusted / paid[3];
        let strange = if random.below(50) == 0 { random.below(4) } else { 4 };
        for (at, column) in columns.iter_mut().enumerate() {
            let value = if at == 3 { adjusted } else { paid[at] * ratio };
            column.push(if at as i64 == strange { value + 1.0 / 3.0 } else { value });
        }
    }
    columns
}

/// Bars of these prices, one for every timeframe of so many minutes, and a volume.
fn bars_of(prices: [Vec<f64>; 4], minutes: i64) -> Batch {
    let count = prices[0].len();
    let [open, high, low, close] = prices.map(Values::F64);
    let volume = Values::F64((0..count).map(|row| (row % 13) as f64).collect());
    Batch::new((0..count as i64).map(|bar| bar * minutes * MINUTE).collect())
        .with("open", open)
        .with("high", high)
        .with("low", low)
        .with("close", close)
        .with("volume", volume)
}

/// Bars of which a group is told by another: few of them, packed; a block and some, coded by a model; and a past.
fn grouped(
    name: &'static str,
    timeframe: &str,
    few: usize,
    bars: impl Fn(usize) -> Batch,
) -> Result<Subject> {
    let mut growing = Growing::new()?;
    let (dense, cold) = (SeriesKey::new("DENSE", timeframe)?, SeriesKey::new("COLD", timeframe)?);
    growing.commit(Durability::Durable, |transaction| {
        transaction.create_series(&dense, schema::bars())?;
        transaction.append(&dense, bars(few))
    })?;
    growing.store().seal()?;
    growing.remember();
    growing.tier = Tier::Cold;
    growing.reopen()?;
    growing.commit(Durability::Durable, |transaction| {
        transaction.create_series(&cold, schema::bars())?;
        transaction.append(&cold, bars(1100))
    })?;
    growing.store().seal()?;
    growing.remember();
    growing.commit(Durability::Durable, |transaction| transaction.upsert(&dense, bars(5)))?;
    let files = growing.moments.pop().expect("remembered");
    growing.moments.dedup();
    Subject::new(name, files, growing.moments)
}

/// Structures of several pages and records of several frames, each as long as the one beside it: what stands in the place of
/// another is told from it by its place alone.
fn pages() -> Result<Subject> {
    let key = SeriesKey::new("P", "table")?;
    let mut growing = Growing::new()?;
    // Pages of a dictionary hold 8188 bytes: 92 texts of 88 bytes and one of their length.
    let text = |code: i64| format!("{:088}", code * 7919);
    growing.commit(Durability::Durable, |transaction| {
        transaction
            .create_series(&key, SchemaBuilder::unique().column("name", ColumnType::String).build()?)?;
        let names = (0..920).map(|row| text(row % 300)).collect::<Strings>();
        transaction.append(&key, Batch::new((0..920).collect()).with("name", Values::Str(names)))
    })?;
    growing.store().seal()?;
    growing.remember();
    growing.commit(Durability::Durable, |transaction| {
        let names = (0..300).map(text).collect::<Strings>();
        transaction.append(&key, Batch::new((1000..1300).collect()).with("name", Values::Str(names)))
    })?;
    let files = growing.moments.pop().expect("remembered");
    Subject::new("pages", files, Vec::new())
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
