//! Salvage: everything of a damaged store that can be read, into a new store. The old one is never changed.
//!
//! What is kept is exact: a row, a version, or nothing. Rules:
//! - Blocks stand alone. A damaged one costs the values of its column in its rows, or these rows, if they cannot be told
//!   from others without it (`rows`).
//! - A newer layer that lost rows or deletions hides what lies beneath, between the times that are in question: a row that
//!   may have been replaced is never shown as the newest. Older versions show it as before.
//! - A layer that lost history makes the versions within it unreadable: the floor rises to its last commit.
//! - Commits behind a lost one are not applied (`logs`).
//! - A manifest that is whole says what counts. Of one that is not, the readable records name series and sources; segments
//!   are all that are there, but for those that another one contains; only the newest version is certain (`evidence`).
//! - A series of which no schema is left is reported, not saved.

mod evidence;
mod logs;
mod plan;
mod report;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use tapestore_format::checksum::Identity;
use tapestore_format::log::FrameWriter;
use tapestore_format::manifest::{SegmentRecord, SeriesRecord, StateRecord};
use tapestore_format::schema::ColumnId;
use tapestore_format::segment::{SegmentWriter, Tier};
use tapestore_format::wal::{Effect, KIND_TRANSACTION, LogStart, TransactionRecord};

pub use report::{Loss, LossKind, SalvageReport};

use crate::apply::{COMMITS, apply, first_state};
use crate::error::{Error, Result};
use crate::io::{LockKind, RealStorage, Storage, StorageFile};
use crate::lease::LEASES;
use crate::manifest::{Manifest, ManifestState};
use crate::open::{build_state, random_identity};
use crate::seal::series_record;
use crate::segment::segment_name;
use crate::state::Catalog;
use crate::store::LOCK;
use crate::verify::verify_storage;
use crate::wal::LogWriter;
use evidence::Evidence;

/// Saves what can be read of the store in one directory into a new one. The old store is not changed, not even by a lock.
///
/// # Errors
/// [`Error::Usage`] if something has the name of the new one, [`Error::Locked`] if a process writes to the old one,
/// [`Error::NotFound`] if there is no file of a store. What is damaged is no error: it is in the report.
pub fn salvage_directory(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<SalvageReport> {
    let (from, to) = (from.as_ref(), to.as_ref());
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(Error::Usage(format!("{} exists; name a directory that does not", to.display())));
    }
    let open = |path: &Path| -> Arc<dyn Storage> { Arc::new(RealStorage::new(path.to_path_buf())) };
    let saved = salvage_storage(&open(from), &open(to));
    if saved.is_err() {
        // It did not exist before, and without `CURRENT` it is no store.
        let _ = std::fs::remove_dir_all(to);
    }
    saved
}

/// As [`salvage_directory`], from and to any storage; the target must be empty.
///
/// # Errors
/// As [`salvage_directory`].
pub fn salvage_storage(from: &Arc<dyn Storage>, to: &Arc<dyn Storage>) -> Result<SalvageReport> {
    let mut report = SalvageReport::default();
    let files = from.list("").map_err(|error| Error::io("listing", from.describe(""), error))?;
    // A shared lock keeps writers out meanwhile. It creates nothing.
    let lock = files.iter().any(|(name, _)| name == LOCK).then(|| from.lock(LOCK, LockKind::Shared));
    if matches!(lock, Some(Ok(None))) {
        return Err(Error::Locked { path: from.describe("") });
    }
    let evidence = evidence::collect(&**from, &mut report)?;
    prepare(&**to)?;
    let own_lock = to.lock(LOCK, LockKind::Exclusive);
    let mut salvage = Salvage {
        from: from.clone(),
        to: to.clone(),
        old: evidence.store,
        new: random_identity(&**to),
        manifest: evidence.manifest.clone(),
        report,
        segments: BTreeMap::new(),
        next_file: 1,
        sources: 0,
        damaged_columns: BTreeSet::new(),
        damaged_history: Vec::new(),
    };
    salvage.run(&evidence)?;
    drop(own_lock);
    let damage = verify_storage(to, true)?.into_iter().find(|finding| finding.damage);
    match damage {
        None => Ok(salvage.report),
        Some(finding) => Err(Error::Inconsistent {
            path: finding.file,
            rule: "I3",
            offset: finding.offset,
            detail: format!("what was saved does not verify: rule {}: {}", finding.rule, finding.detail),
        }),
    }
}

fn prepare(to: &dyn Storage) -> Result<()> {
    let failed = |action, error| Error::io(action, to.describe(""), error);
    to.create_dir("").map_err(|error| failed("creating", error))?;
    if !to.list("").map_err(|error| failed("listing", error))?.is_empty() {
        return Err(Error::Usage(format!("{} is not empty; name a new directory", to.describe(""))));
    }
    to.create_dir(LEASES).map_err(|error| failed("creating", error))
}

/// One salvage.
struct Salvage {
    from: Arc<dyn Storage>,
    to: Arc<dyn Storage>,
    /// Identity of the old store, and of the new one.
    old: [u8; 16],
    new: [u8; 16],
    /// What is known of the old store: series, sources, snapshots, state.
    manifest: ManifestState,
    report: SalvageReport,
    /// Segments of the new store.
    segments: BTreeMap<u64, SegmentRecord>,
    next_file: u64,
    /// One more than the highest number of a source that a saved row names.
    sources: usize,
    /// Columns that lost values.
    damaged_columns: BTreeSet<(u32, ColumnId)>,
    /// Lowest and highest commit of the parts that lost history.
    damaged_history: Vec<(u64, u64)>,
}

impl Salvage {
    fn run(&mut self, evidence: &Evidence) -> Result<()> {
        let first_log = Some(self.manifest.state.first_log).filter(|log| *log > 0);
        if !evidence.sound {
            // Commits that were sealed may still stand in logs, and name series.
            let mut scratch = SalvageReport::default();
            let commits = logs::read(&*self.from, self.old, None, u64::MAX - 1, &mut scratch)?;
            self.learn(&commits.sealed);
        }
        let plans = self.plan(evidence.sound)?;
        // A whole manifest says which version is sealed; otherwise the segments do.
        let found = plans.iter().map(|plan| plan.high).max().filter(|_| !evidence.sound).unwrap_or(0);
        let sealed = self.manifest.state.sealed_version.max(found);
        self.report.newest_seen = sealed;
        let mut commits = logs::read(&*self.from, self.old, first_log, sealed, &mut self.report)?;
        // What a commit defines that is not sealed, that commit defines again, if it is saved (M5).
        for series in self.manifest.series.values_mut() {
            series.definitions.retain(|definition| definition.0 <= sealed);
        }
        self.drop_unnamed(&mut commits.whole);
        self.fill_holes(plans.iter().map(|plan| plan.series).max().unwrap_or(0))?;
        self.copy_segments(&plans)?;
        self.name_sources(&commits.whole);
        let floor = self.floor(evidence.sound, sealed);
        for series in self.manifest.series.values_mut() {
            mend_schema(series, &self.damaged_columns);
        }
        let (log_id, manifest_id) = (self.next_file, self.next_file + 1);
        let state = StateRecord {
            sealed_version: sealed,
            first_log: log_id,
            next_file: manifest_id + 1,
            floor,
            step: 0,
        };
        let mut manifest = ManifestState {
            sources: self.manifest.sources.clone(),
            series: self.manifest.series.clone(),
            segments: self.segments.clone(),
            snapshots: self.manifest.snapshots.clone(),
            state,
        };
        let newest = self.check_commits(&manifest, &mut commits.whole)?;
        self.drop_snapshots(&mut manifest, newest);
        self.write_log(log_id, sealed, &commits.whole)?;
        let created = evidence.created.unwrap_or_else(|| self.to.now_ns());
        Manifest::create(self.to.clone(), self.new, created, manifest, manifest_id)?;
        self.report.version = newest;
        self.report.newest_seen = self.report.newest_seen.max(newest);
        Ok(())
    }

    /// Takes the names of series and sources from transactions.
    fn learn(&mut self, commits: &[TransactionRecord]) {
        let mut defined: BTreeMap<u32, SeriesRecord> = BTreeMap::new();
        for record in commits {
            for effect in &record.effects {
                match effect {
                    Effect::Source { id, name } => {
                        let sources = &mut self.manifest.sources;
                        while sources.len() <= usize::from(*id) {
                            sources.push(evidence::lost_source(sources.len()));
                        }
                        sources[usize::from(*id)].clone_from(name);
                    }
                    Effect::Define { series, instrument, frame, schema } => {
                        let known = defined.entry(*series).or_insert_with(|| SeriesRecord {
                            id: *series,
                            instrument: instrument.clone(),
                            frame: frame.clone(),
                            definitions: Vec::new(),
                        });
                        known.definitions.push((record.version, Some(schema.clone())));
                    }
                    Effect::Drop { series } => {
                        if let Some(known) = defined.get_mut(series) {
                            known.definitions.push((record.version, None));
                        }
                    }
                    Effect::Rows { .. } | Effect::Mark { .. } => {}
                }
            }
        }
        for mut series in defined.into_values() {
            series.definitions.dedup_by_key(|definition| definition.0);
            evidence::add_series(&mut self.manifest, series);
        }
    }

    /// Rows name their source by number: where the name went with the manifest, the number gets one that says so.
    fn name_sources(&mut self, commits: &[TransactionRecord]) {
        let sources = &mut self.manifest.sources;
        let mut count = sources.len().max(self.sources);
        for effect in commits.iter().flat_map(|record| &record.effects) {
            match effect {
                // Numbers are given in order: the first that is given says how many there were.
                Effect::Source { id, .. } if usize::from(*id) >= count => {
                    count = usize::from(*id);
                    break;
                }
                Effect::Rows { series, rows } if *series != COMMITS => {
                    count = count.max(rows::sources_of(rows));
                }
                _ => {}
            }
        }
        sources.extend((sources.len()..count).map(evidence::lost_source));
        let lost =
            sources.iter().enumerate().filter(|(id, name)| **name == evidence::lost_source(*id)).count();
        if lost > 0 {
            let detail = "names of sources are lost with the manifest; their numbers are kept";
            let mut loss = Loss::new(LossKind::Sources, self.from.describe("CURRENT"), detail);
            loss.count = lost as u64;
            self.report.losses.push(loss);
        }
    }

    /// Takes out of commits what they did to series whose schema is lost.
    fn drop_unnamed(&mut self, commits: &mut [TransactionRecord]) {
        let defined = |series: &SeriesRecord| (!series.definitions.is_empty()).then_some(series.id);
        let mut named: BTreeSet<u32> = self.manifest.series.values().filter_map(defined).collect();
        for record in commits {
            named.extend(record.effects.iter().filter_map(|effect| match effect {
                Effect::Define { series, .. } => Some(*series),
                _ => None,
            }));
            let losses = &mut self.report.losses;
            let version = record.version;
            record.effects.retain(|effect| {
                let (series, rows) = match effect {
                    Effect::Source { .. } | Effect::Define { .. } => return true,
                    Effect::Rows { series, rows } => (*series, Some(rows)),
                    Effect::Drop { series } | Effect::Mark { series, .. } => (*series, None),
                };
                if !named.contains(&series) {
                    let detail = format!("series {series}: its name and columns are lost with the manifest");
                    let mut loss = Loss::new(LossKind::Unnamed, "the logs", detail);
                    loss.versions = Some((version, version));
                    if let Some(rows) = rows {
                        loss.count = rows.len() as u64;
                        loss.times = rows.time.first().copied().zip(rows.time.last().copied());
                    }
                    losses.push(loss);
                }
                named.contains(&series)
            });
        }
    }

    /// The log of commits has a record, and each series up to the last one: ids leave no holes (M5).
    fn fill_holes(&mut self, last_sealed: u32) -> Result<()> {
        let first = first_state(&Catalog::default());
        let commits = first.series(COMMITS).map(|series| series_record(series));
        if let Some(record) = commits {
            self.manifest.series.entry(COMMITS).or_insert(record);
        }
        let last = self.manifest.series.keys().next_back().copied().unwrap_or(0).max(last_sealed);
        let count = u64::from(last) + 1;
        if count > 4 * self.manifest.series.len() as u64 + 65_536 {
            let text = format!("{} series are known, the last has number {last}", self.manifest.series.len());
            return Err(Error::Limit(text));
        }
        for id in 0..=last {
            self.manifest.series.entry(id).or_insert_with(|| SeriesRecord {
                id,
                instrument: "salvage.lost".into(),
                frame: format!("series-{id}"),
                definitions: Vec::new(),
            });
        }
        Ok(())
    }

    /// The oldest version that can be read, but for snapshots.
    fn floor(&mut self, sound: bool, sealed: u64) -> u64 {
        let old = self.manifest.state.floor;
        let lost = self.damaged_history.iter().map(|(_, high)| *high).max().unwrap_or(0);
        let floor = if sound { old.max(lost) } else { sealed };
        if floor > old {
            let why = if sound {
                "rows that were replaced or deleted are lost; versions before cannot be read, but for snapshots"
            } else {
                "which versions were kept is lost with the manifest; only the newest sealed one and later are certain"
            };
            let mut loss = Loss::new(LossKind::Versions, self.from.describe("CURRENT"), why);
            (loss.count, loss.versions) = (floor - old, Some((old, floor - 1)));
            self.report.losses.push(loss);
        }
        floor
    }

    /// Snapshots of versions that are lost, or within a part that lost history, go.
    fn drop_snapshots(&mut self, manifest: &mut ManifestState, newest: u64) {
        let lost = &self.damaged_history;
        let losses = &mut self.report.losses;
        manifest.snapshots.retain(|name, snapshot| {
            let version = snapshot.version;
            let keep = version <= newest && !lost.iter().any(|(low, high)| (*low..*high).contains(&version));
            if !keep {
                let detail = format!("snapshot {name:?}: its version is lost, or not certain any more");
                let mut loss = Loss::new(LossKind::Snapshot, "CURRENT", detail);
                loss.versions = Some((version, version));
                losses.push(loss);
            }
            keep
        });
        manifest.state.floor = manifest.state.floor.min(newest);
    }

    /// Applies the commits to what was saved; drops those that do not fit. Returns the newest version.
    fn check_commits(
        &mut self,
        manifest: &ManifestState,
        commits: &mut Vec<TransactionRecord>,
    ) -> Result<u64> {
        let catalog = Catalog::default();
        let mut state = build_state(&self.to, self.new, manifest, &catalog, &HashMap::new())?;
        for (index, record) in commits.iter().enumerate() {
            match apply(&state, &catalog, record.clone(), 0) {
                Ok((next, _)) => state = next,
                Err(error) => {
                    let mut loss =
                        Loss::new(LossKind::Commits, self.from.describe(""), format!("not applied: {error}"));
                    loss.count = (commits.len() - index) as u64;
                    loss.versions = Some((record.version, record.version + loss.count - 1));
                    self.report.losses.push(loss);
                    commits.truncate(index);
                    break;
                }
            }
        }
        self.report.commits = commits.len() as u64;
        let shown =
            |id: u32| id != COMMITS && state.series(id).is_some_and(|s| s.schema_at(state.version).is_some());
        self.report.series = state.series.iter().filter(|series| shown(series.id)).count() as u64;
        Ok(state.version)
    }

    fn write_log(&self, id: u64, version: u64, commits: &[TransactionRecord]) -> Result<()> {
        let start = LogStart { previous_log: 0, previous_end: 0, version };
        let log = LogWriter::create(&*self.to, self.new, id, start, 1)?;
        let path = self.to.describe(&crate::wal::log_name(id));
        let mut frames: FrameWriter = log.frames;
        for record in commits {
            let (mut bytes, at, durable) = (Vec::new(), frames.offset(), frames.next_sequence() - 1);
            frames.push(KIND_TRANSACTION, &record.encode(), durable, &mut bytes);
            log.file.write_at(at, &bytes).map_err(|error| Error::io("writing", path.as_str(), error))?;
        }
        log.file.sync_all().map_err(|error| Error::io("syncing", path.as_str(), error))
    }
}

/// A column that lost values may be null from its first definition on.
fn mend_schema(series: &mut SeriesRecord, damaged: &BTreeSet<(u32, ColumnId)>) {
    for schema in series.definitions.iter_mut().filter_map(|definition| definition.1.as_mut()) {
        for column in &mut schema.columns {
            column.nullable |= damaged.contains(&(series.id, column.id));
        }
    }
}

/// A segment of the new store being written.
struct Output {
    writer: SegmentWriter,
    file: Arc<dyn StorageFile>,
    path: String,
    id: u64,
    written: u64,
}

impl Output {
    fn create(to: &dyn Storage, store: [u8; 16], id: u64) -> Result<Self> {
        let (name, path) = (segment_name(id), to.describe(&segment_name(id)));
        let file = to.create_new(&name).map_err(|error| Error::io("creating", path.as_str(), error))?;
        let writer = SegmentWriter::new(Identity { store, file: id }, Tier::Dense);
        Ok(Self { writer, file, path, id, written: 0 })
    }

    /// Hands what was produced so far to the file.
    fn drain(&mut self) -> Result<()> {
        let bytes = self.writer.output();
        self.file
            .write_at(self.written, bytes)
            .map_err(|error| Error::io("writing", self.path.as_str(), error))?;
        self.written += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }

    fn finish(mut self, to: &dyn Storage, level: u8) -> Result<SegmentRecord> {
        let summary = self.writer.finish();
        self.drain()?;
        self.file.sync_all().map_err(|error| Error::io("syncing", self.path.as_str(), error))?;
        to.sync_dir("").map_err(|error| Error::io("syncing", to.describe(""), error))?;
        let (length, hash, parts) = (summary.length, summary.hash, summary.parts);
        Ok(SegmentRecord { id: self.id, length, hash, level, parts })
    }
}
