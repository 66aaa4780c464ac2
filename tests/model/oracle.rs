//! The model: what a store has to contain, kept as plainly as possible.
//!
//! Every version is a full copy (shared where nothing changed). A series is a `BTreeMap` from time and arrival to
//! row; absences are a set of slots. There is nothing here to be clever about, and so nothing to get wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use tapestore::{Frame, KeyPolicy, Schema, SeriesKey, Timeframe};

/// One value, compared by its bits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Null,
    I64(i64),
    F64(u64),
    F32(u32),
    U8(u8),
    Str(Rc<str>),
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("-"),
            Self::I64(value) => write!(f, "{value}"),
            Self::F64(bits) if f64::from_bits(*bits).is_nan() => write!(f, "{bits:#x}"),
            Self::F64(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::F32(bits) if f32::from_bits(*bits).is_nan() => write!(f, "{bits:#x}f32"),
            Self::F32(bits) => write!(f, "{:?}f32", f32::from_bits(*bits)),
            Self::U8(value) => write!(f, "{value}u8"),
            Self::Str(text) => write!(f, "{text:?}"),
        }
    }
}

/// One stored row; its time is the key of the map that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// In the order of the schema.
    pub(crate) cells: Vec<Cell>,
    pub(crate) source: Rc<str>,
    pub(crate) flags: u16,
    /// The commit that wrote it.
    pub(crate) version: u64,
}

/// One row to be written.
#[derive(Clone)]
pub(crate) struct NewRow {
    pub(crate) time: i64,
    pub(crate) cells: Vec<Cell>,
    pub(crate) flags: u16,
}

impl fmt::Debug for NewRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.time, self.cells)?;
        if self.flags == 0 { Ok(()) } else { write!(f, " flags {}", self.flags) }
    }
}

/// Time, then order of arrival (always 0 in a series with unique times).
pub(crate) type Position = (i64, u64);

/// What a commit says it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) added: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
    pub(crate) duplicates: u64,
    pub(crate) deleted: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.duplicates += other.duplicates;
        self.deleted += other.deleted;
    }
}

/// The content of one series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) schema: Schema,
    pub(crate) frame: Frame,
    pub(crate) rows: BTreeMap<Position, Rc<Row>>,
    /// Slots whose absence is confirmed.
    pub(crate) absent: BTreeSet<i64>,
    next_arrival: u64,
    /// The commit that created it: a series dropped and created again is another one.
    born: u64,
    /// Within a transaction: the rows before it that it did not delete. Writing such a row again, bit for bit, is no
    /// change, whatever the transaction did to it in between.
    before: BTreeMap<Position, Rc<Row>>,
}

impl Series {
    pub(crate) fn new(key: &SeriesKey, schema: Schema, born: u64) -> Self {
        Self {
            schema,
            frame: key.frame().clone(),
            rows: BTreeMap::new(),
            absent: BTreeSet::new(),
            next_arrival: 1,
            born,
            before: BTreeMap::new(),
        }
    }

    /// A transaction begins to change the series.
    pub(crate) fn begin(&mut self) {
        self.before = self.rows.clone();
    }

    /// The transaction ends.
    pub(crate) fn end(&mut self) {
        self.before.clear();
    }

    pub(crate) fn is_unique(&self) -> bool {
        self.schema.key == KeyPolicy::Unique
    }

    /// Every row is distinct: a sequence without dedup columns.
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_unique() && self.schema.dedup().is_empty()
    }

    pub(crate) fn timeframe(&self) -> Option<Timeframe> {
        self.frame.timeframe()
    }

    pub(crate) fn last_time(&self) -> Option<i64> {
        self.rows.last_key_value().map(|(position, _)| position.0)
    }

    /// Positions of columns that, with the time, identify a row.
    fn dedup_columns(&self) -> Vec<usize> {
        let position = |id| self.schema.columns.iter().position(|column| column.id == id);
        self.schema.dedup().iter().map(|id| position(*id).expect("a dedup column exists")).collect()
    }

    /// What identifies a row among those of its time.
    fn identity(dedup: &[usize], cells: &[Cell]) -> Vec<Cell> {
        dedup.iter().map(|column| cells[*column].clone()).collect()
    }

    /// Where the row of a time and identity stands.
    fn find(
        rows: &BTreeMap<Position, Rc<Row>>,
        time: i64,
        dedup: &[usize],
        identity: &[Cell],
    ) -> Option<Position> {
        let mut there = rows.range((time, 0)..=(time, u64::MAX));
        there.find(|(_, row)| Self::identity(dedup, &row.cells) == identity).map(|(position, _)| *position)
    }

    fn insert(&mut self, row: NewRow, source: &Rc<str>, version: u64) {
        let arrival = if self.is_unique() { 0 } else { self.next_arrival };
        self.next_arrival += 1;
        let stored = Row { cells: row.cells, source: Rc::clone(source), flags: row.flags, version };
        self.rows.insert((row.time, arrival), Rc::new(stored));
    }

    /// Adds all rows of a plain sequence.
    pub(crate) fn append_all(&mut self, batch: Vec<NewRow>, source: &Rc<str>, version: u64) -> Counts {
        let mut counts = Counts::default();
        for row in batch {
            counts.added += 1;
            self.insert(row, source, version);
        }
        counts
    }

    /// Writes rows that replace those of equal key; of several rows of one key in the batch, the last counts.
    pub(crate) fn upsert(&mut self, batch: Vec<NewRow>, source: &Rc<str>, version: u64) -> Counts {
        let dedup = self.dedup_columns();
        let mut counts = Counts::default();
        let mut last: BTreeMap<(i64, Vec<Cell>), usize> = BTreeMap::new();
        for (index, row) in batch.iter().enumerate() {
            let before = last.insert((row.time, Self::identity(&dedup, &row.cells)), index);
            counts.duplicates += u64::from(before.is_some());
        }
        for (index, row) in batch.into_iter().enumerate() {
            let identity = Self::identity(&dedup, &row.cells);
            if last[&(row.time, identity.clone())] != index {
                continue;
            }
            let same = |old: &Row| old.cells == row.cells && old.flags == row.flags;
            let before = Self::find(&self.before, row.time, &dedup, &identity);
            let position = Self::find(&self.rows, row.time, &dedup, &identity);
            if let Some(position) = position {
                self.rows.remove(&position);
            }
            match before.filter(|before| same(&self.before[before])) {
                Some(before) => {
                    counts.unchanged += 1;
                    self.rows.insert(before, Rc::clone(&self.before[&before]));
                }
                None => {
                    counts.added += u64::from(position.is_none());
                    counts.updated += u64::from(position.is_some());
                    self.insert(row, source, version);
                }
            }
        }
        counts
    }

    /// Adds to a plain sequence what it lacks: a row as often as the batch holds it more often than the series.
    pub(crate) fn merge_plain(&mut self, batch: Vec<NewRow>, source: &Rc<str>, version: u64) -> Counts {
        let mut present: BTreeMap<(i64, Vec<Cell>, u16), u64> = BTreeMap::new();
        for (position, row) in &self.rows {
            *present.entry((position.0, row.cells.clone(), row.flags)).or_default() += 1;
        }
        let mut counts = Counts::default();
        for row in batch {
            match present.get_mut(&(row.time, row.cells.clone(), row.flags)) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    counts.unchanged += 1;
                }
                _ => {
                    counts.added += 1;
                    self.insert(row, source, version);
                }
            }
        }
        counts
    }

    pub(crate) fn delete(&mut self, range: &Range<i64>) -> Counts {
        let before = self.rows.len();
        self.rows.retain(|position, _| !range.contains(&position.0));
        self.before.retain(|position, _| !range.contains(&position.0));
        Counts { deleted: (before - self.rows.len()) as u64, ..Counts::default() }
    }

    pub(crate) fn add_column(&mut self, schema: Schema) {
        self.schema = schema;
        let width = self.schema.columns.len();
        for row in self.rows.values_mut().chain(self.before.values_mut()) {
            Rc::make_mut(row).cells.resize(width, Cell::Null);
        }
    }

    /// The rows with times in `range`, in order.
    pub(crate) fn within(&self, range: &Range<i64>) -> Vec<(i64, &Row)> {
        if range.start >= range.end {
            return Vec::new();
        }
        let rows = self.rows.range((range.start, 0)..(range.end, 0));
        rows.map(|(position, row)| (position.0, row.as_ref())).collect()
    }

    /// All rows, in order.
    pub(crate) fn all(&self) -> Vec<(i64, &Row)> {
        self.rows.iter().map(|(position, row)| (position.0, row.as_ref())).collect()
    }

    /// The slots that hold a bar.
    pub(crate) fn covered(&self) -> BTreeSet<i64> {
        let timeframe = self.timeframe().expect("only bars have slots");
        self.rows.keys().map(|position| timeframe.slot(position.0)).collect()
    }

    /// The slots in `slots` that lack a bar and whose absence nobody confirmed.
    pub(crate) fn missing(&self, slots: Range<i64>) -> Vec<i64> {
        let covered = self.covered();
        slots.filter(|slot| !covered.contains(slot) && !self.absent.contains(slot)).collect()
    }
}

/// The content of a store at one version.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) series: BTreeMap<SeriesKey, Rc<Series>>,
}

impl State {
    /// The series for change; copied first if another version shares it.
    pub(crate) fn edit(&mut self, key: &SeriesKey) -> &mut Series {
        Rc::make_mut(self.series.get_mut(key).expect("the series exists"))
    }

    /// The content after a rollback to `old`. Rows at a time at which nothing differs keep their version, all others
    /// are written again by the commit `version`.
    pub(crate) fn rolled_back_to(&self, old: &Self, version: u64) -> Self {
        let mut result = old.clone();
        for (key, series) in &mut result.series {
            let Some(now) = self.series.get(key) else {
                let series = Rc::make_mut(series);
                series.rows.values_mut().for_each(|row| Rc::make_mut(row).version = version);
                series.born = version;
                continue;
            };
            let times: BTreeSet<i64> = series.rows.keys().map(|position| position.0).collect();
            let same_columns = now.born == series.born && now.schema == series.schema;
            let series = Rc::make_mut(series);
            if now.born != series.born {
                series.born = version;
            }
            // Rows written later must stand behind these, whatever was written since the old version.
            series.next_arrival = now.next_arrival.max(series.next_arrival);
            for time in times {
                let then: Vec<_> = series.rows.range((time, 0)..=(time, u64::MAX)).collect();
                let there: Vec<_> = now.rows.range((time, 0)..=(time, u64::MAX)).collect();
                let equal = same_columns
                    && then.len() == there.len()
                    && then.iter().zip(&there).all(|(a, b)| same_row(a.1, b.1));
                let versions: Vec<u64> = there.iter().map(|(_, row)| row.version).collect();
                for (index, (_, row)) in series.rows.range_mut((time, 0)..=(time, u64::MAX)).enumerate() {
                    Rc::make_mut(row).version = if equal { versions[index] } else { version };
                }
            }
        }
        result
    }
}

/// Whether two rows agree in everything but the commit that wrote them.
pub(crate) fn same_row(a: &Row, b: &Row) -> bool {
    a.cells == b.cells && a.source == b.source && a.flags == b.flags
}

/// One entry of the commit log.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) version: u64,
    pub(crate) message: String,
    pub(crate) is_rollback: bool,
    pub(crate) counts: Option<Counts>,
}

/// Everything that a store has to remember.
pub(crate) struct Oracle {
    pub(crate) version: u64,
    /// The oldest version that pruning left.
    pub(crate) floor: u64,
    /// All versions that can be read: those from the floor on, and named ones.
    pub(crate) versions: BTreeMap<u64, Rc<State>>,
    pub(crate) snapshots: BTreeMap<String, u64>,
    /// Oldest first.
    pub(crate) log: Vec<Logged>,
    /// The newest version that is on stable storage for certain.
    pub(crate) durable: u64,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        Self {
            version: 0,
            floor: 0,
            versions: BTreeMap::from([(0, Rc::default())]),
            snapshots: BTreeMap::new(),
            log: Vec::new(),
            durable: 0,
        }
    }

    pub(crate) fn now(&self) -> Rc<State> {
        Rc::clone(&self.versions[&self.version])
    }

    /// Makes `state` the next version.
    pub(crate) fn commit(&mut self, state: State, entry: Logged) {
        self.version += 1;
        assert_eq!(self.version, entry.version, "the caller numbers versions as the oracle does");
        self.versions.insert(self.version, Rc::new(state));
        self.log.push(entry);
    }

    pub(crate) fn prune(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        self.forget();
    }

    /// Drops versions that neither the floor nor a name keeps.
    pub(crate) fn forget(&mut self) {
        let (floor, snapshots) = (self.floor, &self.snapshots);
        self.versions
            .retain(|version, _| *version >= floor || snapshots.values().any(|named| named == version));
    }

    /// A random readable version.
    pub(crate) fn any_version(&self, number: u64) -> u64 {
        *self
            .versions
            .keys()
            .nth((number % self.versions.len() as u64) as usize)
            .expect("one is always there")
    }
}
