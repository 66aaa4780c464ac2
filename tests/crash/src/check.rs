//! The check of a store, or of what a power cut left of one, against the model.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tapestore::io::{LockKind, Storage};
use tapestore::{AsOf, Error, ErrorClass, SeriesKey, Store, View};

use crate::run::{MINUTE_NS, Moment, Run, SERIES, SeriesContent, key, options};
use crate::sim::{Disk, SimStorage};

/// Why a version is not read as it should be.
enum Trouble {
    /// An error that names damage.
    Refused(String),
    /// Anything else.
    Wrong(String),
}

impl Trouble {
    fn text(self) -> String {
        match self {
            Self::Refused(text) | Self::Wrong(text) => text,
        }
    }
}

/// Whether an error is one that damage gives: a file that breaks a rule.
fn names_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorClass::Corrupt | ErrorClass::Foreign)
}

impl Run {
    /// Whether this handle still reads what its version holds: after a fault.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_reads(&self) -> Result<(), String> {
        let Some(store) = &self.store else { return Ok(()) };
        let version = store.view().version();
        if version > self.now.issued.version as u64 {
            return Err(format!("shows version {version}, which was never issued"));
        }
        self.check_version(store, version)
    }

    /// Opens an image for writing and checks it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_image(&self, storage: &SimStorage, moment: &Moment, least: usize) -> Result<usize, String> {
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let store = Store::open_on(shared.clone(), options()).map_err(|error| format!("open: {error}"))?;
        let version = self.check_store(&store, moment, least)?;
        let findings = store.verify(true).map_err(|error| format!("verify: {error}"))?;
        if let Some(finding) = findings.first() {
            return Err(format!("verify after recovery: {finding:?}"));
        }
        if let Some(name) = storage.disk().reused_id() {
            return Err(format!("I4: {name} has an id that a file had before"));
        }
        Ok(version)
    }

    /// Opens an image for reading only and checks it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_reader(&self, disk: &Disk, moment: &Moment, least: usize) -> Result<usize, String> {
        let storage: Arc<dyn Storage> = Arc::new(SimStorage::from_disk(disk.clone()));
        let store =
            Store::open_read_only_on(storage, options()).map_err(|error| format!("open to read: {error}"))?;
        self.check_store(&store, moment, least).map_err(|error| format!("reader: {error}"))
    }

    /// I1, I2, I6 and the snapshots.
    pub(crate) fn check_store(&self, store: &Store, moment: &Moment, least: usize) -> Result<usize, String> {
        let version = store.view().version();
        let bounds = least as u64..=moment.issued.version as u64;
        if !bounds.contains(&version) {
            return Err(format!("version {version} is outside {bounds:?}"));
        }
        let floor = store.stats().map_err(|error| format!("stats: {error}"))?.floor;
        let floors = [moment.acknowledged.floor, moment.before.floor, moment.issued.floor];
        if !floors.contains(&floor) {
            return Err(format!("floor {floor} is none of {floors:?}"));
        }
        if floor > version {
            return Err(format!("the floor {floor} is above the newest version {version}"));
        }
        let found: BTreeMap<String, u64> =
            store.snapshots().into_iter().map(|snapshot| (snapshot.name, snapshot.version)).collect();
        let certain = |(name, version): &(&String, &u64)| {
            moment.before.snapshots.get(*name) == Some(*version)
                && moment.issued.snapshots.get(*name) == Some(*version)
        };
        for (name, version) in moment.acknowledged.snapshots.iter().filter(certain) {
            if found.get(name) != Some(version) {
                return Err(format!("snapshot {name} of version {version} is lost: {found:?}"));
            }
        }
        for (name, at) in &found {
            let known = [&moment.acknowledged, &moment.issued, &moment.before];
            if !known.iter().any(|facts| facts.snapshots.get(name) == Some(at)) || *at > version {
                return Err(format!("snapshot {name} of version {at} was never made"));
            }
        }
        for version in (floor..=version).chain(found.into_values()) {
            self.check_version(store, version)?;
        }
        Ok(version as usize)
    }

    pub(crate) fn check_version(&self, store: &Store, version: u64) -> Result<(), String> {
        self.try_version(store, version).map_err(Trouble::text)
    }

    fn try_version(&self, store: &Store, version: u64) -> Result<(), Trouble> {
        let failed = |error: Error| {
            let text = format!("reading version {version}: {error}");
            if names_damage(&error) { Trouble::Refused(text) } else { Trouble::Wrong(text) }
        };
        let expected = &*self.versions[version as usize];
        let view = store.as_of(&AsOf::Version(version)).map_err(failed)?;
        let keys: Vec<SeriesKey> = expected.keys().map(|series| key(*series)).collect();
        if view.keys() != keys {
            return Err(Trouble::Wrong(format!(
                "version {version} has series {:?}, not {keys:?}",
                view.keys()
            )));
        }
        for (series, content) in expected {
            let found = differs(&view, *series, content).map_err(failed)?;
            if let Some(what) = found {
                return Err(Trouble::Wrong(format!(
                    "version {version} of {}: other {what}",
                    SERIES[*series]
                )));
            }
        }
        Ok(())
    }

    /// Opens a disk on which bytes were damaged behind the engine's back: nothing wrong is read (I13). An error that names
    /// the damage is right, and so is a version before the newest: a damaged end of the newest log looks torn.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_damaged(&self, disk: &Disk, moment: &Moment) -> Result<(), String> {
        let storage: Arc<dyn Storage> = Arc::new(SimStorage::from_disk(disk.clone()));
        let store = match Store::open_read_only_on(storage, options()) {
            Ok(store) => store,
            Err(error) if names_damage(&error) => return Ok(()),
            Err(error) => return Err(format!("open: {error}")),
        };
        let newest = store.view().version();
        if newest > moment.issued.version as u64 {
            return Err(format!("shows version {newest}, which was never issued"));
        }
        for version in 0..=newest {
            match self.try_version(&store, version) {
                Err(Trouble::Wrong(why)) if !why.contains("was pruned") => return Err(why),
                _ => {}
            }
        }
        Ok(())
    }

    /// The version that a reader beside the writer shows at this moment (I12).
    ///
    /// # Errors
    /// What is wrong.
    pub fn shown_beside_writer(&self, disk: &Disk) -> Result<usize, String> {
        let storage = SimStorage::from_disk(disk.clone());
        let held = storage.lock("LOCK", LockKind::Exclusive).map_err(|error| error.to_string())?;
        let shared: Arc<dyn Storage> = Arc::new(storage);
        let store = Store::open_read_only_on(shared, options());
        let store = store.map_err(|error| format!("open beside a writer: {error}"))?;
        let version = store.view().version();
        drop(held);
        self.check_version(&store, version)?;
        Ok(version as usize)
    }
}

/// What of a series is other than the model has it.
fn differs(view: &View, series: usize, content: &SeriesContent) -> Result<Option<&'static str>, Error> {
    let rows = view.read(&key(series)).rows()?;
    if !rows.time().iter().copied().eq(content.rows.keys().map(|minute| minute * MINUTE_NS)) {
        return Ok(Some("times"));
    }
    for (name, shift) in [("open", 0.0), ("high", 1.0), ("low", -1.0), ("close", 0.0), ("volume", 7.0)] {
        let values = rows.f64(name).unwrap_or_default();
        if !values.iter().copied().eq(content.rows.values().map(|close| close + shift)) {
            return Ok(Some(name));
        }
    }
    let minutes = |range: &Range<i64>| range.start / MINUTE_NS..range.end / MINUTE_NS;
    let absent = view.absences(&key(series))?;
    if !absent.iter().flat_map(minutes).eq(content.absent.iter().copied()) {
        return Ok(Some("absences"));
    }
    let gaps = view.gaps(&key(series), None)?;
    let found = gaps.iter().flat_map(|gap| minutes(&(gap.start..gap.end)));
    if found.eq(content.missing()) { Ok(None) } else { Ok(Some("gaps")) }
}
