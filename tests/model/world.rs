//! A store, the model of it, and the steps of a history done to both.

use std::fmt;
use std::rc::Rc;

use tapestore::{AsOf, CommitKind, ErrorClass, SeriesKey, Store, View};

use crate::compare::{self, Depth, Verdict, ensure, unexpected};
use crate::history::{Kind, Setting, Step};
use crate::oracle::{Logged, Oracle, State};
use crate::place::Place;
use crate::random::Random;
use crate::refuse;
use crate::series::keys;
use crate::writes::Writing;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    writes: u64,
    commits: u64,
    series_compared: u64,
    full_comparisons: u64,
    seals: u64,
    compactions: u64,
    reopened: u64,
    old_versions_read: u64,
    refusals: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.writes += other.writes;
        self.commits += other.commits;
        self.series_compared += other.series_compared;
        self.full_comparisons += other.full_comparisons;
        self.seals += other.seals;
        self.compactions += other.compactions;
        self.reopened += other.reopened;
        self.old_versions_read += other.old_versions_read;
        self.refusals += other.refusals;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps ({} writes in {} commits, {} explicit seals, {} compactions, {} reopenings, {} refusals); \
             {} series compared, {} whole stores, {} old versions",
            self.steps,
            self.writes,
            self.commits,
            self.seals,
            self.compactions,
            self.reopened,
            self.refusals,
            self.series_compared,
            self.full_comparisons,
            self.old_versions_read
        )
    }
}

/// A view kept for later, and what it has to show.
struct Held {
    view: View,
    state: Rc<State>,
}

/// The second handle, and what it has to show.
struct Reader {
    store: Store,
    state: Rc<State>,
}

/// The store under test, the model, and what is pinned.
pub(crate) struct World<'s> {
    setting: &'s Setting,
    place: Place,
    /// `None` only while reopening.
    store: Option<Store>,
    oracle: Oracle,
    held: Vec<Held>,
    reader: Option<Reader>,
    tally: Tally,
    /// One line for each thing done, if asked for.
    pub(crate) trace: Vec<String>,
    traced: bool,
}

impl<'s> World<'s> {
    pub(crate) fn new(setting: &'s Setting, traced: bool) -> Result<Self, String> {
        let place = Place::new(setting.files);
        let store = place.create(setting.options.clone()).map_err(unexpected("create"))?;
        Ok(Self {
            setting,
            place,
            store: Some(store),
            oracle: Oracle::new(),
            held: Vec::new(),
            reader: None,
            tally: Tally::default(),
            trace: Vec::new(),
            traced,
        })
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open between steps")
    }

    fn tell(&mut self, words: impl FnOnce() -> String) {
        if self.traced {
            self.trace.push(words());
        }
    }

    /// Does one step to both and compares.
    pub(crate) fn step(&mut self, step: Step) -> Verdict {
        let mut random = Random::new(step.seed);
        self.tally.steps += 1;
        if self.setting.clock_jumps && random.chance(10) {
            self.place.set_now_ns(random.between(-1_000_000, 1_000_000) * 1_000_000);
        }
        match step.kind {
            Kind::Append | Kind::Upsert | Kind::Merge | Kind::Delete => self.write(step, 1, &mut random),
            Kind::AddColumn | Kind::Drop | Kind::ConfirmAbsent | Kind::WithdrawAbsence => {
                self.write(step, 1, &mut random)
            }
            Kind::Transaction => self.write(step, 2 + random.below(5), &mut random),
            Kind::CreateSnapshot => self.create_snapshot(&mut random),
            Kind::DropSnapshot => self.drop_snapshot(&mut random),
            Kind::ReadOld => self.read_old(Depth::Glance, &mut random),
            Kind::Rollback => self.rollback(&mut random),
            Kind::Prune => self.prune(&mut random),
            Kind::Seal => self.seal(&mut random),
            Kind::Compact => self.compact(&mut random),
            Kind::Reopen => self.reopen(&mut random),
            Kind::Reader => self.reader(&mut random),
            Kind::Hold => {
                self.tell(|| "hold a view".into());
                self.held.push(Held { view: self.store().view(), state: self.oracle.now() });
                Ok(())
            }
            Kind::Release => self.release(&mut random),
            Kind::Refuse => self.refuse(&mut random),
            Kind::Books => self.books(&mut random),
            Kind::Verify => self.verify(random.chance(50)),
            Kind::CompareAll => self.compare_all(&mut random),
        }
    }

    fn write(&mut self, step: Step, writes: u64, random: &mut Random) -> Verdict {
        let mut writing =
            Writing::begin(self.store(), &self.oracle, self.setting.most_rows, self.traced, random);
        let kinds = [
            Kind::Append,
            Kind::Upsert,
            Kind::Upsert,
            Kind::Merge,
            Kind::Delete,
            Kind::Drop,
            Kind::AddColumn,
        ];
        let mut verdict = Ok(());
        for _ in 0..writes.min(step.writes) {
            let rare = random.chance(92);
            let kind = match step.kind {
                Kind::Transaction => *random.pick(if rare { &kinds[..5] } else { &kinds }),
                kind => kind,
            };
            verdict = verdict.and_then(|()| writing.stage(kind, step, random));
            self.tally.writes += 1;
        }
        let told = writing.told.take().unwrap_or_default().join("; ");
        self.tell(|| format!("write {told}"));
        verdict?;
        let touched: Vec<_> = writing.touched.keys().cloned().collect();
        writing.commit(&mut self.oracle, random)?;
        self.tally.commits += 1;
        let (view, state) = (self.store().view(), self.oracle.now());
        ensure!(view.version() == self.oracle.version, "the view is of version {}", view.version());
        for key in touched {
            match state.series.get(&key) {
                Some(series) => compare::series(self.store(), &view, &key, series, Depth::Glance, random)
                    .map_err(|text| format!("after the commit, {key}: {text}"))?,
                None => ensure!(view.info(&key).is_err(), "{key} is still there"),
            }
            self.tally.series_compared += 1;
        }
        Ok(())
    }

    fn create_snapshot(&mut self, random: &mut Random) -> Verdict {
        let name = format!("named {}", random.below(6));
        let version = self.oracle.any_version(random.next());
        let at = AsOf::Version(version);
        let current = version == self.oracle.version;
        let made = self.store().create_snapshot(&name, (!current || random.chance(50)).then_some(&at));
        self.tell(|| format!("snapshot {name} of {version}"));
        if self.oracle.snapshots.contains_key(&name) {
            ensure!(made.is_err(), "a second snapshot {name} was made");
            return Ok(());
        }
        let made = made.map_err(unexpected("create_snapshot"))?;
        ensure!(made.name == name && made.version == version, "made {made:?}, expected {version}");
        self.oracle.snapshots.insert(name, version);
        Ok(())
    }

    fn drop_snapshot(&mut self, random: &mut Random) -> Verdict {
        let name = format!("named {}", random.below(6));
        self.tell(|| format!("drop snapshot {name}"));
        let dropped = self.store().drop_snapshot(&name);
        if self.oracle.snapshots.remove(&name).is_none() {
            let kind = dropped.err().map(|error| error.kind());
            ensure!(kind == Some(ErrorClass::NotFound), "dropping an unknown snapshot: {kind:?}");
            return Ok(());
        }
        self.oracle.forget();
        dropped.map_err(unexpected("drop_snapshot"))
    }

    /// A random readable version, and a way to name it.
    fn any_old(&self, random: &mut Random) -> (u64, AsOf) {
        let names: Vec<_> = self.oracle.snapshots.iter().collect();
        if !names.is_empty() && random.chance(30) {
            let (name, version) = random.pick(&names);
            return (**version, AsOf::Snapshot((*name).clone()));
        }
        let version = self.oracle.any_version(random.next());
        (version, AsOf::Version(version))
    }

    fn read_old(&mut self, depth: Depth, random: &mut Random) -> Verdict {
        let (version, at) = self.any_old(random);
        self.tell(|| format!("read {at:?}"));
        let view = self.store().as_of(&at).map_err(unexpected("as_of"))?;
        ensure!(view.version() == version, "as of {at:?} is version {}", view.version());
        self.tally.old_versions_read += 1;
        let state = Rc::clone(&self.oracle.versions[&version]);
        compare::view(self.store(), &view, &state, depth, random)
    }

    fn rollback(&mut self, random: &mut Random) -> Verdict {
        let (version, at) = self.any_old(random);
        self.tell(|| format!("roll back to {at:?}"));
        let then = self.store().as_of(&at).map_err(unexpected("as of"))?;
        let head = self.store().view();
        let report = self.store().rollback(&at).map_err(unexpected("rollback"))?;
        let next = self.oracle.version + u64::from(report.changed);
        ensure!(report.version == next, "the rollback gives version {}, expected {next}", report.version);
        let old = Rc::clone(&self.oracle.versions[&version]);
        let now = self.oracle.now();
        let mut state = now.rolled_back_to(&old, next);
        if report.changed {
            let other = |key: &SeriesKey| column_ids(&head, key) != column_ids(&then, key);
            self.adopt_versions(&mut state, &now, next, other)?;
        }
        if report.changed {
            let entry = Logged { version: next, message: String::new(), is_rollback: true, counts: None };
            self.oracle.commit(state, entry);
        }
        self.oracle.durable = self.oracle.version;
        self.compare_all(random).map_err(|text| format!("after the rollback to {version}: {text}"))
    }

    /// A rollback may leave alone rows that are the same but for columns that went, or came, meanwhile: where it says
    /// so, a row has the version it had. Of a series with `other` columns than before, of the same name or not, it may
    /// write any row again: what a row held in a column that went and comes back must not come back with it.
    fn adopt_versions(
        &self,
        state: &mut State,
        now: &State,
        next: u64,
        other: impl Fn(&SeriesKey) -> bool,
    ) -> Verdict {
        let view = self.store().view();
        for key in state.series.keys().cloned().collect::<Vec<_>>() {
            let Some(before) = now.series.get(&key) else { continue };
            let found = view.read(&key).provenance().rows().map_err(unexpected("read"))?;
            let other = other(&key);
            let series = state.edit(&key);
            for (index, (position, row)) in series.rows.iter_mut().enumerate().take(found.len()) {
                let version = found.set.version.get(index);
                if other && version == next {
                    Rc::make_mut(row).version = next;
                }
                let mut there = before.rows.range((position.0, 0)..=(position.0, u64::MAX));
                if row.version == next && version != next && there.any(|(_, row)| row.version == version) {
                    Rc::make_mut(row).version = version;
                }
            }
        }
        Ok(())
    }

    fn prune(&mut self, random: &mut Random) -> Verdict {
        let floor = self.oracle.floor + random.below(self.oracle.version - self.oracle.floor + 1);
        self.tell(|| format!("prune before {floor}"));
        let report = self.store().prune(&AsOf::Version(floor)).map_err(unexpected("prune"))?;
        ensure!(report.floor == floor, "pruned to {}, asked for {floor}", report.floor);
        self.oracle.prune(floor);
        if floor > 0 && !self.oracle.versions.contains_key(&(floor - 1)) {
            let kind = self.store().as_of(&AsOf::Version(floor - 1)).err().map(|error| error.kind());
            ensure!(kind == Some(ErrorClass::NotFound), "a pruned version can be read: {kind:?}");
        }
        self.compare_all(random)?;
        self.read_old(Depth::Glance, random)
    }

    fn seal(&mut self, random: &mut Random) -> Verdict {
        self.tell(|| "seal".into());
        self.store().seal().map_err(unexpected("seal"))?;
        self.tally.seals += 1;
        self.oracle.durable = self.oracle.version;
        self.glance(random)
    }

    fn compact(&mut self, random: &mut Random) -> Verdict {
        self.tell(|| "compact".into());
        self.store().compact().map_err(unexpected("compact"))?;
        self.tally.compactions += 1;
        self.glance(random)
    }

    /// Compares the whole store, if in one way of reading only.
    fn glance(&mut self, random: &mut Random) -> Verdict {
        let (view, state) = (self.store().view(), self.oracle.now());
        self.tally.series_compared += state.series.len() as u64;
        compare::view(self.store(), &view, &state, Depth::Glance, random)
    }

    fn compare_all(&mut self, random: &mut Random) -> Verdict {
        let (view, state) = (self.store().view(), self.oracle.now());
        ensure!(view.version() == self.oracle.version, "the view is of version {}", view.version());
        self.tally.full_comparisons += 1;
        self.tally.series_compared += state.series.len() as u64;
        compare::view(self.store(), &view, &state, Depth::Everything, random)
    }

    fn reopen(&mut self, random: &mut Random) -> Verdict {
        self.tell(|| "reopen".into());
        // Views of the handle that goes are checked first and let go.
        while !self.held.is_empty() {
            self.release(random)?;
        }
        let store = self.store.take().expect("open between steps");
        store.close().map_err(unexpected("close"))?;
        let store = self.place.open(self.setting.options.clone()).map_err(unexpected("open"))?;
        self.store = Some(store);
        self.tally.reopened += 1;
        self.oracle.durable = self.oracle.version;
        self.compare_all(random)?;
        self.books(random)
    }

    fn reader(&mut self, random: &mut Random) -> Verdict {
        if self.reader.is_some() && random.chance(15) {
            self.tell(|| "close the reader".into());
            let reader = self.reader.take().expect("just seen");
            return reader.store.close().map_err(unexpected("close of the reader"));
        }
        if let Some(reader) = &self.reader
            && random.chance(30)
        {
            // Without a refresh it shows what it showed, whatever the writer did since.
            let (view, state) = (reader.store.view(), Rc::clone(&reader.state));
            compare::view(&reader.store, &view, &state, Depth::Glance, random)
                .map_err(|text| format!("the reader, not refreshed: {text}"))?;
            self.tell(|| "read again in the reader".into());
            return Ok(());
        }
        self.tell(|| "refresh the reader".into());
        let mut options = self.setting.options.clone();
        options.cache_bytes = 4096;
        let (store, before) = match self.reader.take() {
            Some(reader) => (reader.store, true),
            None => (self.place.open_read_only(options).map_err(unexpected("open_read_only"))?, false),
        };
        let version = if before || random.chance(50) {
            store.refresh().map_err(unexpected("refresh"))?
        } else {
            store.view().version()
        };
        let (low, high) = (self.oracle.durable, self.oracle.version);
        ensure!(
            (low..=high).contains(&version),
            "the reader sees version {version}, expected {low} to {high}"
        );
        let Some(state) = self.oracle.versions.get(&version) else {
            return Err(format!("the reader sees version {version}, which was pruned"));
        };
        let state = Rc::clone(state);
        let view = store.view();
        ensure!(view.version() == version, "refresh says {version}, the view is of {}", view.version());
        compare::view(&store, &view, &state, Depth::Glance, random)
            .map_err(|text| format!("the reader: {text}"))?;
        let refused = store.begin().commit().err().map(|error| error.kind());
        ensure!(matches!(refused, None | Some(ErrorClass::ReadOnly)), "a reader's commit: {refused:?}");
        self.reader = Some(Reader { store, state });
        Ok(())
    }

    fn release(&mut self, random: &mut Random) -> Verdict {
        if self.held.is_empty() {
            return Ok(());
        }
        let index = random.below(self.held.len() as u64) as usize;
        let held = self.held.swap_remove(index);
        self.tell(|| format!("check and release the view of {}", held.view.version()));
        self.tally.old_versions_read += 1;
        compare::view(self.store(), &held.view, &held.state, Depth::Glance, random)
            .map_err(|text| format!("a view held since: {text}"))
    }

    fn refuse(&mut self, random: &mut Random) -> Verdict {
        let told = refuse::one(self.store(), &self.oracle, random);
        self.tell(|| format!("refuse: {told:?}"));
        told?;
        self.tally.refusals += 1;
        let version = self.store().view().version();
        ensure!(version == self.oracle.version, "something refused made version {version}");
        Ok(())
    }

    /// The log, the snapshots and the statistics.
    fn books(&mut self, random: &mut Random) -> Verdict {
        self.tell(|| "look at the books".into());
        let store = self.store();
        let log = store.log(usize::MAX).map_err(unexpected("log"))?;
        let want: Vec<_> =
            self.oracle.log.iter().rev().filter(|entry| entry.version > self.oracle.floor).collect();
        ensure!(log.len() >= want.len(), "the log has {} entries, expected {}", log.len(), want.len());
        for (found, want) in log.iter().zip(want) {
            ensure!(
                found.version == want.version,
                "log: version {}, expected {}",
                found.version,
                want.version
            );
            let rollback = matches!(found.kind, CommitKind::Rollback);
            ensure!(rollback == want.is_rollback, "log: kind of {}", want.version);
            ensure!(rollback || found.message == want.message, "log: message {:?}", found.message);
            if let Some(counts) = want.counts {
                let found = (found.added, found.updated, found.deleted);
                let want = (counts.added, counts.updated, counts.deleted);
                ensure!(found == want, "log: counts {found:?}, expected {want:?}");
            }
        }
        if let Some(entry) = log.get(random.below(log.len().max(1) as u64) as usize)
            && entry.version >= self.oracle.floor
            && log.is_sorted_by(|newer, older| newer.time_ns >= older.time_ns)
        {
            let view = store.as_of(&AsOf::Time(entry.time_ns)).map_err(unexpected("as_of a time"))?;
            let newest =
                log.iter().filter(|other| other.time_ns <= entry.time_ns).map(|other| other.version).max();
            ensure!(
                Some(view.version()) == newest,
                "as of the time of {} is {}",
                entry.version,
                view.version()
            );
        }
        let mut found: Vec<_> = store.snapshots().into_iter().map(|made| (made.name, made.version)).collect();
        found.sort();
        let want: Vec<_> =
            self.oracle.snapshots.iter().map(|(name, version)| (name.clone(), *version)).collect();
        ensure!(found == want, "snapshots {found:?}, expected {want:?}");
        let stats = store.stats().map_err(unexpected("stats"))?;
        let now = self.oracle.now();
        let rows: usize = now.series.values().map(|series| series.rows.len()).sum();
        let want = (self.oracle.version, now.series.len() as u64, rows as u64);
        let found = (stats.version, stats.series, stats.rows);
        ensure!(found == want, "stats: version, series, rows {found:?}, expected {want:?}");
        ensure!(stats.floor == self.oracle.floor, "stats: floor {}", stats.floor);
        Ok(())
    }

    fn verify(&mut self, deep: bool) -> Verdict {
        self.tell(|| format!("verify, deep {deep}"));
        let findings = self.store().verify(deep).map_err(unexpected("verify"))?;
        ensure!(findings.is_empty(), "verify of a healthy store: {findings:?}");
        Ok(())
    }

    /// Compares everything once more, old versions too, and closes the store.
    pub(crate) fn finish(mut self, thorough: bool) -> Result<Tally, String> {
        let mut random = Random::new(self.setting.seed ^ 0xe4d);
        self.store().wait_idle().map_err(unexpected("wait_idle"))?;
        self.compare_all(&mut random)?;
        self.read_old(Depth::Everything, &mut random)?;
        if thorough {
            for (version, state) in &self.oracle.versions {
                let view = self.store().as_of(&AsOf::Version(*version)).map_err(unexpected("as_of"))?;
                compare::view(self.store(), &view, state, Depth::Glance, &mut random)?;
            }
        }
        self.verify(true)?;
        self.reopen(&mut random)?;
        self.read_old(Depth::Everything, &mut random)?;
        drop(self.reader.take());
        self.store.take().expect("open at the end").close().map_err(unexpected("close"))?;
        Ok(self.tally)
    }
}

/// Every key, for steps that want one that is there or one that is not.
pub(crate) fn key_there(state: &State, there: bool, random: &mut Random) -> Option<SeriesKey> {
    let keys: Vec<_> = keys().into_iter().filter(|key| state.series.contains_key(key) == there).collect();
    (!keys.is_empty()).then(|| random.pick(&keys).clone())
}

/// The numbers of the columns of a series; none if it does not exist.
fn column_ids(view: &View, key: &SeriesKey) -> Vec<u16> {
    let columns = view.info(key).map(|info| info.schema.columns.clone()).unwrap_or_default();
    columns.iter().map(|column| column.id).collect()
}
