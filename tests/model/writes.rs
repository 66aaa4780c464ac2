//! Steps that write: what they put into a transaction, and what the model makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use tapestore::{Column, ColumnType, Durability, SeriesKey, Store, Transaction};

use crate::compare::{ALWAYS, Verdict, ensure, unexpected};
use crate::history::{Kind, Step};
use crate::oracle::{Counts, Logged, NewRow, Oracle, Series, State};
use crate::random::Random;
use crate::series::{TIMES, batch, keys, place, range, row, schema, some_place, time};

/// Where rows come from.
const SOURCES: [&str; 5] = ["unknown", "binance", "file:a.csv", "repair", "腾讯"];

/// A transaction in the making, for the engine and for the model.
pub(crate) struct Writing {
    transaction: Transaction,
    pub(crate) state: State,
    version: u64,
    source: Rc<str>,
    counts: Counts,
    /// How often each series was written to.
    pub(crate) touched: BTreeMap<SeriesKey, u32>,
    /// Where something other than rows changed.
    changed: BTreeSet<SeriesKey>,
    /// Series that the transaction made.
    created: BTreeSet<SeriesKey>,
    most_rows: usize,
    /// What was staged, in words, if anyone wants to know.
    pub(crate) told: Option<Vec<String>>,
}

impl Writing {
    pub(crate) fn begin(
        store: &Store,
        oracle: &Oracle,
        most_rows: usize,
        traced: bool,
        random: &mut Random,
    ) -> Self {
        let mut transaction = store.begin();
        let source = *random.pick(&SOURCES);
        if source != "unknown" {
            transaction.source(source);
        }
        Self {
            transaction,
            state: (*oracle.now()).clone(),
            version: oracle.version + 1,
            source: source.into(),
            counts: Counts::default(),
            touched: BTreeMap::new(),
            changed: BTreeSet::new(),
            created: BTreeSet::new(),
            most_rows,
            told: traced.then(Vec::new),
        }
    }

    /// Stages one write of this kind to a random series.
    pub(crate) fn stage(&mut self, kind: Kind, step: Step, random: &mut Random) -> Verdict {
        let index = random.below(keys().len() as u64) as usize;
        if step.spared & 1 << index != 0 {
            return Ok(());
        }
        let key = keys().swap_remove(index);
        if !self.state.series.contains_key(&key) {
            let schema = schema(index, random);
            self.tell(|| format!("create {key} {:?}", schema.key));
            self.transaction.create_series(&key, schema.clone()).map_err(unexpected("create_series"))?;
            self.state.series.insert(key.clone(), Rc::new(Series::new(&key, schema, self.version)));
            self.changed.insert(key.clone());
            self.created.insert(key.clone());
        }
        let times = self.touched.entry(key.clone()).or_default();
        *times += 1;
        if *times == 1 {
            self.state.edit(&key).begin();
        }
        let crowded = self.state.series[&key].rows.len() > self.most_rows;
        match kind {
            _ if crowded => self.delete(&key, random),
            Kind::Delete => self.delete(&key, random),
            Kind::AddColumn => self.add_column(&key, random),
            Kind::Drop => self.drop_series(&key),
            Kind::ConfirmAbsent | Kind::WithdrawAbsence => self.absence(kind, &key, random),
            _ => self.rows(kind, &key, step, random),
        }
    }

    fn tell(&mut self, words: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(words());
        }
    }

    fn rows(&mut self, kind: Kind, key: &SeriesKey, step: Step, random: &mut Random) -> Verdict {
        let series = &self.state.series[key];
        let (unique, plain) = (series.is_unique(), series.is_plain());
        // A plain sequence has no keys to replace rows by.
        let kind = if kind == Kind::Upsert && plain { Kind::Append } else { kind };
        let rows = if kind == Kind::Append {
            later(series, step.size, random)
        } else {
            anywhere(series, step.size, random)
        };
        let source = Rc::clone(&self.source);
        if let Some(told) = &mut self.told {
            told.push(format!("{kind:?} {key} from {source}: {}", tell(&rows)));
        }
        let given = batch(&series.schema, &rows, random);
        match kind {
            Kind::Append => self.transaction.append(key, given).map_err(unexpected("append"))?,
            Kind::Upsert => self.transaction.upsert(key, given).map_err(unexpected("upsert"))?,
            _ => self.transaction.merge(key, given).map_err(unexpected("merge"))?,
        }
        let mut rows = rows;
        rows.sort_by_key(|row| row.time);
        let version = self.version;
        let series = self.state.edit(key);
        let counts = match kind {
            Kind::Append if plain => series.append_all(rows, &source, version),
            Kind::Merge if plain => series.merge_plain(rows, &source, version),
            _ => series.upsert(rows, &source, version),
        };
        debug_assert!(unique || !plain || counts.updated == 0, "plain sequences replace nothing");
        self.counts.add(counts);
        Ok(())
    }

    fn delete(&mut self, key: &SeriesKey, random: &mut Random) -> Verdict {
        let span = if random.chance(8) { ALWAYS } else { range(&self.state.series[key], random) };
        self.tell(|| format!("delete {key} {span:?}"));
        self.transaction.delete_range(key, span.clone()).map_err(unexpected("delete_range"))?;
        let counts = self.state.edit(key).delete(&span);
        self.counts.add(counts);
        Ok(())
    }

    fn add_column(&mut self, key: &SeriesKey, random: &mut Random) -> Verdict {
        let mut schema = self.state.series[key].schema.clone();
        let name = format!("added_{}", schema.columns.len());
        let kind = *random.pick(&ColumnType::ALL);
        if schema.columns.len() > 18 || schema.column(&name).is_some() {
            return Ok(());
        }
        self.tell(|| format!("add column {name} {kind:?} to {key}"));
        self.transaction.add_column(key, &name, kind, "later").map_err(unexpected("add_column"))?;
        let id = schema.columns.iter().map(|column| column.id + 1).max().unwrap_or(0);
        schema.columns.push(Column { id, name, kind, nullable: true, description: "later".into() });
        self.state.edit(key).add_column(schema);
        self.changed.insert(key.clone());
        Ok(())
    }

    fn drop_series(&mut self, key: &SeriesKey) -> Verdict {
        self.tell(|| format!("drop {key}"));
        self.transaction.drop_series(key).map_err(unexpected("drop_series"))?;
        let gone = self.state.series.remove(key).expect("it was there");
        self.counts.deleted += gone.rows.len() as u64;
        if self.created.remove(key) {
            // As if it had never been.
            self.changed.remove(key);
        } else {
            self.changed.insert(key.clone());
        }
        Ok(())
    }

    fn absence(&mut self, kind: Kind, key: &SeriesKey, random: &mut Random) -> Verdict {
        let Some(frame) = self.state.series[key].timeframe() else { return Ok(()) };
        let place =
            frame.slot(time(&self.state.series[key], some_place(&self.state.series[key], random), random));
        let slots: Range<i64> = place..place + random.between(1, 30);
        let span = frame.slot_start(slots.start)..frame.slot_start(slots.end);
        self.tell(|| format!("{kind:?} {key} {span:?}"));
        let series = self.state.edit(key);
        let before = series.absent.len();
        if kind == Kind::ConfirmAbsent {
            self.transaction.confirm_absent(key, span).map_err(unexpected("confirm_absent"))?;
            series.absent.extend(slots);
        } else {
            self.transaction.withdraw_absence(key, span).map_err(unexpected("withdraw_absence"))?;
            series.absent.retain(|slot| !slots.contains(slot));
        }
        if series.absent.len() != before {
            self.changed.insert(key.clone());
        }
        Ok(())
    }

    /// Commits, compares what the engine says it did, and lets the model follow.
    pub(crate) fn commit(mut self, oracle: &mut Oracle, random: &mut Random) -> Verdict {
        let message =
            if random.chance(30) { format!("commit {:x}", random.below(1 << 20)) } else { String::new() };
        if !message.is_empty() {
            self.transaction.message(&message);
        }
        let weaker = [Durability::Appended, Durability::Volatile, Durability::Durable];
        let durability = if random.chance(80) { Durability::Durable } else { *random.pick(&weaker) };
        let report = if durability == Durability::Durable && random.chance(50) {
            self.transaction.commit()
        } else {
            self.transaction.commit_with(durability)
        };
        let report = report.map_err(unexpected("commit"))?;
        let want = self.counts;
        let changed = !self.changed.is_empty() || want.added + want.updated + want.deleted > 0;
        // How several writes to one series in one transaction are counted is left open.
        let simple = self.touched.values().all(|times| *times == 1);
        if simple {
            let found = Counts {
                added: report.added,
                updated: report.updated,
                unchanged: report.unchanged,
                duplicates: report.duplicates,
                deleted: report.deleted,
            };
            ensure!(found == want, "the commit counts {found:?}, expected {want:?}");
            ensure!(report.changed == changed, "changed is {}, expected {changed}", report.changed);
        }
        let next = oracle.version + u64::from(report.changed);
        ensure!(report.version == next, "the commit gives version {}, expected {next}", report.version);
        if report.changed {
            let entry = Logged { version: next, message, is_rollback: false, counts: simple.then_some(want) };
            for key in self
                .touched
                .keys()
                .filter(|key| self.state.series.contains_key(key))
                .cloned()
                .collect::<Vec<_>>()
            {
                self.state.edit(&key).end();
            }
            oracle.commit(self.state, entry);
        }
        if durability == Durability::Durable {
            oracle.durable = oracle.version;
        }
        Ok(())
    }
}

/// Rows after the last one.
fn later(series: &Series, size: u64, random: &mut Random) -> Vec<NewRow> {
    let mut place = series.last_time().map_or(0, |last| place(series, last) + 1);
    if series.last_time().is_some() && !series.is_unique() {
        // Sequences may go on within the last time, or come late.
        place -= random.between(0, 6);
    }
    let mut rows = Vec::new();
    for _ in 0..=random.below(size) {
        if random.chance(10) {
            place += random.between(0, 8);
        }
        let time = time(series, place, random);
        if series.is_unique() && series.last_time().is_some_and(|last| time <= last) || !TIMES.contains(&time)
        {
            place += 1;
            continue;
        }
        rows.push(row(series, time, random));
        place += 1;
    }
    rows
}

/// Rows among those that are there: new ones, the very same, and changed ones; in any order, some twice.
fn anywhere(series: &Series, size: u64, random: &mut Random) -> Vec<NewRow> {
    let mut place = some_place(series, random);
    let mut rows = Vec::new();
    for _ in 0..=random.below(size) {
        let time = time(series, place, random);
        if !TIMES.contains(&time) {
            break;
        }
        let there: Vec<_> =
            series.rows.range((time, 0)..=(time, u64::MAX)).map(|(_, row)| Rc::clone(row)).collect();
        if there.is_empty() || random.chance(40) {
            rows.push(row(series, time, random));
        } else {
            let old = random.pick(&there);
            let mut new = NewRow { time, cells: old.cells.clone(), flags: old.flags };
            if random.chance(40) {
                let other = row(series, time, random);
                let column = random.below(new.cells.len() as u64) as usize;
                new.cells[column] = other.cells[column].clone();
            }
            rows.push(new);
        }
        if random.chance(3) {
            rows.push(row(series, time, random));
        }
        place += i64::from(random.chance(90)) * (1 + i64::from(random.chance(10)) * random.between(0, 10));
    }
    if random.chance(25) {
        for index in (1..rows.len()).rev() {
            rows.swap(index, random.below(index as u64 + 1) as usize);
        }
    }
    rows
}

/// A few rows in words.
fn tell(rows: &[NewRow]) -> String {
    let shown = &rows[..rows.len().min(6)];
    format!("{} rows {shown:?}{}", rows.len(), if rows.len() > 6 { " …" } else { "" })
}
