//! What a salvage of a damaged store saved, against what the store held: no row more, and none less than the damage costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapestore::io::{MemoryStorage, Storage};
use tapestore::{
    AsOf, Loss, LossKind, Rows, SalvageReport, SeriesKey, Store, Values, View, salvage_storage,
    verify_storage,
};

use crate::layout::COMMITS;
use crate::losses::{Fate, Lost, Reported};
use crate::parts::Part;
use crate::subject::{Files, Subject, disk, options};
use crate::truth::digest;

/// Rows of the newest version that a salvage saved, and did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Rows that the store held.
    pub held: u64,
    /// Rows that were saved.
    pub saved: u64,
    /// Rows that are missing, each named by a loss.
    pub missing: u64,
    /// Salvages of which each row was compared with what the damage costs.
    pub exactly: u64,
}

/// What a salvage made.
pub struct Saved {
    /// The new store.
    pub storage: Arc<dyn Storage>,
    /// What it says about it.
    pub report: SalvageReport,
}

/// Salvages a damaged store; the old one is not changed, the new one verifies clean, and all rows are accounted for.
///
/// # Errors
/// What is wrong.
pub fn check(subject: &Subject, after: &Files) -> Result<Count, String> {
    let saved = salvage(after)?;
    compare(subject, after, &saved).map_err(|why| format!("salvage: {why}"))
}

/// Salvages a damaged store.
///
/// # Errors
/// It changed the old one, or the new one does not verify.
pub fn salvage(after: &Files) -> Result<Saved, String> {
    let from = Arc::new(disk(after));
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let shared: Arc<dyn Storage> = from.clone();
    let report = salvage_storage(&shared, &storage).map_err(|error| format!("salvage: {error}"))?;
    if files(&from) != files(&disk(after)) {
        return Err("salvage changed the damaged store".to_owned());
    }
    if let Some(finding) = verify_storage(&storage, true).map_err(|error| error.to_string())?.first() {
        return Err(format!("what was saved does not verify: {finding:?}"));
    }
    Ok(Saved { storage, report })
}

/// Compares what was saved of a store with what it held.
///
/// # Errors
/// A row is missing that is not damaged, or one is there that never was; a loss is not named, or one is named that is none.
pub fn compare(subject: &Subject, after: &Files, saved: &Saved) -> Result<Count, String> {
    let open = |storage| Store::open_read_only_on(storage, options()).map_err(|error| error.to_string());
    let (whole, new) = (open(Arc::new(disk(&subject.files)))?, open(saved.storage.clone())?);
    let version = new.view().version();
    if version != saved.report.version {
        return Err(format!("version {version} was saved, {} is reported", saved.report.version));
    }
    let fate = Fate::of(subject, after);
    if !fate.sound {
        return loosely(subject, after, &fate, &whole, &new, &saved.report);
    }
    let reported = fate.read(&saved.report)?;
    let exact = Exact { subject, fate: &fate, report: &saved.report, reported: &reported, whole, new };
    exact.check(version)
}

/// A comparison where everything is known.
struct Exact<'a> {
    subject: &'a Subject,
    fate: &'a Fate<'a>,
    report: &'a SalvageReport,
    reported: &'a Reported,
    whole: Store,
    new: Store,
}

/// See [`Exact::find`]: rows are told by their stream and their number there.
type Found<'a> = (&'a Part, Vec<(usize, u64)>, Option<&'a Lost>);

/// A row by which it is looked for in the parts: its time and its commit.
type Place = (i64, u64);

impl Exact<'_> {
    fn check(&self, newest: u64) -> Result<Count, String> {
        self.snapshots(newest)?;
        self.commits(newest)?;
        let sources = (0..=u16::MAX).map_while(|id| Some((id, self.whole.source_name(id)?)));
        for (id, name) in sources {
            let found = self.new.source_name(id);
            // A source may be one of a commit that is lost.
            if found.as_ref() != Some(&name) && (found.is_some() || newest == self.subject.truth.newest) {
                return Err(format!("source {id} is {found:?}, not {name}"));
            }
        }
        let mut count = Count { exactly: 1, ..Count::default() };
        for version in 0..=newest {
            let at = AsOf::Version(version);
            match (self.whole.as_of(&at), self.new.as_of(&at)) {
                (Err(_), Ok(_)) => return Err(format!("version {version} could not be read before")),
                (Ok(_), Err(error)) if !self.may_be_gone(version) => {
                    return Err(format!("version {version}: {error}"));
                }
                (_, Err(_)) => {}
                (Ok(whole), Ok(new)) => {
                    let why = self.version(&whole, &new, version == newest, &mut count);
                    why.map_err(|why| format!("version {version}: {why}; {:?}", self.report))?;
                }
            }
        }
        Ok(count)
    }

    /// Whether a version is uncertain, because history is lost, and named.
    fn may_be_gone(&self, version: u64) -> bool {
        let is_snapshot = self.subject.truth.snapshots.iter().any(|snapshot| snapshot.version == version);
        let named = |loss: &Loss| match loss.kind {
            LossKind::Versions => !is_snapshot,
            LossKind::Snapshot => loss.versions == Some((version, version)),
            _ => false,
        };
        let from = |part: &Part| if is_snapshot { part.versions.0 } else { 0 };
        self.fate.without_history().any(|part| (from(part)..part.versions.1).contains(&version))
            && self.report.losses.iter().any(named)
    }

    /// All snapshots are kept, but for those whose version is lost, which are named.
    fn snapshots(&self, newest: u64) -> Result<(), String> {
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for snapshot in &self.subject.truth.snapshots {
            let lost = snapshot.version > newest || self.may_be_gone(snapshot.version);
            if lost {
                gone.push(snapshot.version);
            } else {
                kept.push(snapshot.clone());
            }
        }
        let named = self.report.losses.iter().filter(|loss| loss.kind == LossKind::Snapshot);
        let mut named: Vec<u64> = named.filter_map(|loss| Some(loss.versions?.0)).collect();
        named.sort_unstable();
        gone.sort_unstable();
        if self.new.snapshots() != kept || named != gone {
            return Err(format!("the snapshots are {:?}: {:?}", self.new.snapshots(), self.report));
        }
        Ok(())
    }

    /// The log of commits is the one there was, but for the rows of it that are named.
    fn commits(&self, newest: u64) -> Result<(), String> {
        let lost = |version: u64| {
            self.fate.parts(COMMITS).any(|part| {
                let rows = self.reported.get(&COMMITS).and_then(|parts| parts.get(&part.versions.0));
                let named = rows.into_iter().flat_map(|lost| &lost.rows[0]);
                named.into_iter().any(|row| part.rows[0][*row as usize].version == version)
            })
        };
        let held = self.subject.truth.commits.iter();
        let kept = held.filter(|commit| commit.version <= newest && !lost(commit.version));
        let found = self.new.log(usize::MAX).map_err(|error| error.to_string())?;
        if kept.eq(&found) {
            Ok(())
        } else {
            Err(format!("the log of commits is {found:?}: {:?}", self.report))
        }
    }

    fn version(&self, whole: &View, new: &View, newest: bool, count: &mut Count) -> Result<(), String> {
        if whole.keys() != new.keys() {
            return Err(format!("the series are {:?}, not {:?}", new.keys(), whole.keys()));
        }
        let mut buffer = Vec::new();
        for key in whole.keys() {
            let truth = &self.subject.truth;
            let index = truth.keys.iter().position(|known| *known == key).ok_or("an unknown series")?;
            let id =
                self.subject.numbers.iter().find(|(_, known)| **known == index).map_or(0, |known| *known.0);
            let damaged = self.reported.contains_key(&id);
            if damaged || newest {
                let why = self.rows(whole, new, &key, id, newest.then_some(&mut *count));
                why.map_err(|why| format!("{key}: {why}"))?;
            }
            if !damaged && truth.is_edge(whole.version(), index, new.version()) {
                let found = digest(new, &key, &mut buffer).map_err(|error| error.to_string())?;
                if Some(&found) != truth.versions[&whole.version()].get(&index) {
                    return Err(format!("{key}: nothing is named lost, and the content is another"));
                }
            }
        }
        Ok(())
    }

    /// The rows of a series at a version: those that are named are missing, all others are there.
    fn rows(
        &self,
        whole: &View,
        new: &View,
        key: &SeriesKey,
        id: u32,
        count: Option<&mut Count>,
    ) -> Result<(), String> {
        let (held, found) = (read(whole, key)?, read(new, key)?);
        let place = |rows: &Rows, row: usize| -> Place { (rows.time()[row], rows.set.version.get(row)) };
        let mut groups: BTreeMap<Place, (u64, u64)> = BTreeMap::new();
        let mut next = 0;
        for row in 0..held.len() {
            let place = place(&held, row);
            let group = groups.entry(place).or_default();
            group.0 += 1;
            let of_values = |column: &str| self.of_values(id, place, whole.version(), column);
            if next < found.len() && same_row(&held, row, &found, next, &of_values) {
                group.1 += 1;
                next += 1;
            }
        }
        if next < found.len() {
            return Err(format!("the row at {} was saved, and was never there", found.time()[next]));
        }
        for (place, (held, found)) in groups {
            self.group(id, place, whole.version(), held, found)?;
        }
        if let Some(count) = count {
            count.held += held.len() as u64;
            count.saved += found.len() as u64;
            count.missing += (held.len() - found.len()) as u64;
        }
        Ok(())
    }

    /// The part in which a row stands, the numbers of the rows there that may be it, and what is named of the part.
    fn find(&self, id: u32, place: Place, version: u64) -> Option<Found<'_>> {
        let holds = |part: &&Part| (part.versions.0..=part.versions.1).contains(&place.1);
        let part = self.fate.parts(id).find(holds)?;
        let mut numbers = Vec::new();
        for (stream, rows) in part.rows.iter().enumerate() {
            let shown = rows
                .iter()
                .enumerate()
                .filter(|(_, row)| (row.time, row.version) == place && version < row.until);
            numbers.extend(shown.map(|(number, _)| (stream, number as u64)));
        }
        Some((part, numbers, self.reported.get(&id).and_then(|parts| parts.get(&part.versions.0))))
    }

    /// Of the rows of one time and commit so many were held, and so many found.
    fn group(&self, id: u32, place: Place, version: u64, held: u64, found: u64) -> Result<(), String> {
        let Some((part, numbers, lost)) = self.find(id, place, version) else {
            // In a log: all that is not in a lost commit.
            return if held == found { Ok(()) } else { Err(format!("a row of commit {place:?} is missing")) };
        };
        let named = |(stream, row): &&(usize, u64)| lost.is_some_and(|lost| lost.rows[*stream].contains(row));
        let (all, named) = (numbers.len() as u64, numbers.iter().filter(named).count() as u64);
        if all < held {
            return Err(format!("the part has {all} rows at {place:?}, the version {held}"));
        }
        let newer = self.reported.get(&id).into_iter().flatten().filter(|(low, _)| **low > part.versions.1);
        let hidden = newer.filter(|(low, _)| **low <= version).any(|(_, lost)| {
            lost.marks || lost.times.iter().any(|times| (times.0..=times.1).contains(&place.0))
        });
        let fits = match named {
            _ if hidden => true,
            0 => found == held,
            _ if named == all => found == 0,
            _ => found + named >= held,
        };
        if fits {
            return Ok(());
        }
        Err(format!("of {held} rows at {place:?} {found} were saved; named as lost are {named} of {all}"))
    }

    /// Whether values of a column are named lost in a row, and in all rows that it may be.
    fn of_values(&self, id: u32, place: Place, version: u64, column: &str) -> (bool, bool) {
        let Some((_, numbers, Some(lost))) = self.find(id, place, version) else { return (false, false) };
        let named = |(stream, row): &(usize, u64)| {
            lost.values[*stream].get(row).is_some_and(|columns| columns.contains_key(column))
        };
        // A series that was dropped and created again may have had two columns of one name: the report does not say which.
        let one = self.subject.layout.columns_named(id, column) == 1;
        (numbers.iter().any(named), one && numbers.iter().all(named))
    }
}

/// Compares where the manifest is damaged: what is there is exact, what is not is named somehow.
fn loosely(
    subject: &Subject,
    after: &Files,
    fate: &Fate<'_>,
    whole: &Store,
    new: &Store,
    report: &SalvageReport,
) -> Result<Count, String> {
    fate.check_loosely(report)?;
    let version = report.version;
    // Where nothing was saved and the empty version is pruned, all that there is has to be named.
    let at = match whole.as_of(&AsOf::Version(version)) {
        Err(_) if version == 0 => whole.view(),
        at => at.map_err(|error| format!("the version saved: {error}"))?,
    };
    let names_commits = report.losses.iter().any(|loss| loss.kind == LossKind::Commits);
    let silent = version < subject.truth.newest && !names_commits && report.unknown.is_empty();
    if silent && after.get("CURRENT") == subject.files.get("CURRENT") && !is_torn(subject, after) {
        return Err(format!(
            "version {version} was saved of {}, and no loss named: {report:?}",
            subject.truth.newest
        ));
    }
    let mut count = Count::default();
    for key in at.keys() {
        let why = series(fate, &at, &new.view(), &key, report, &mut count);
        why.map_err(|why| format!("{key}: {why}"))?;
    }
    if let Some(key) = new.view().keys().iter().find(|key| at.info(key).is_err()) {
        return Err(format!("{key} is not a series of version {version}"));
    }
    Ok(count)
}

/// Whether the newest log is another: what is missing at its end looks as if it had never been written (W5).
fn is_torn(subject: &Subject, after: &Files) -> bool {
    subject.layout.logs.last().is_some_and(|log| after.get(&log.name) != subject.files.get(&log.name))
}

fn files(storage: &MemoryStorage) -> Vec<(String, Vec<u8>)> {
    let read = |name: &str, length| storage.open_read(name).and_then(|file| file.read_all(length));
    let listed = storage.list("").expect("memory");
    listed.into_iter().map(|(name, length)| (name.clone(), read(&name, length).expect("memory"))).collect()
}

fn read(view: &View, key: &SeriesKey) -> Result<Rows, String> {
    view.read(key).provenance().rows().map_err(|error| format!("reading: {error}"))
}

/// The rows of a series: those saved are rows that were there, in their order; of those missing each is named.
fn series(
    fate: &Fate<'_>,
    whole: &View,
    saved: &View,
    key: &SeriesKey,
    report: &SalvageReport,
    count: &mut Count,
) -> Result<(), String> {
    let held = read(whole, key)?;
    let found = if saved.info(key).is_ok() { read(saved, key)? } else { Rows::default() };
    let (name, id) = (key.to_string(), whole.info(key).map_err(|error| error.to_string())?.id);
    let of_values = |column: &str| {
        // A column whose name is lost is named by its number.
        let number = held.columns.iter().find(|known| known.name == column).map(|known| known.id);
        let is_it = |name: &str| name == column || number.is_some_and(|id| name == format!("column {id}"));
        let lost = report.losses.iter().any(|loss| {
            loss.kind == LossKind::Values
                && loss.series.as_deref() == Some(&*name)
                && loss.column.as_deref().is_some_and(is_it)
        });
        (lost, false)
    };
    let mut next = 0;
    for row in 0..held.len() {
        if next < found.len() && same_row(&held, row, &found, next, &of_values) {
            next += 1;
            continue;
        }
        let (time, version) = (held.time()[row], held.set.version.get(row));
        let explains =
            |loss: &Loss| explains(loss, &name, time) || is_unnamed(fate, loss, &name, id, time, version);
        if !report.losses.iter().any(explains) {
            return Err(format!("the row at {time} is missing, and no loss names it: {report:?}"));
        }
        count.missing += 1;
    }
    if next < found.len() {
        return Err(format!("the row at {} was saved, and was never there", found.time()[next]));
    }
    count.held += held.len() as u64;
    count.saved += found.len() as u64;
    Ok(())
}

/// Whether a loss is the reason why a row of a series at a time is missing.
fn explains(loss: &Loss, series: &str, time: i64) -> bool {
    matches!(loss.kind, LossKind::Rows | LossKind::Marks)
        && !loss.history
        && loss.series.as_deref() == Some(series)
        && loss.times.is_none_or(|(first, last)| (first..=last).contains(&time))
}

/// Whether the name of the series is lost, or the file in which the row stood.
fn is_unnamed(fate: &Fate<'_>, loss: &Loss, series: &str, id: u32, time: i64, version: u64) -> bool {
    loss.kind == LossKind::Unnamed
        && loss.series.as_deref().is_none_or(|name| name == series)
        && fate.is_unnamed(loss, id, version)
        && loss.times.is_none_or(|(first, last)| (first..=last).contains(&time))
}

/// Whether a row saved is the row held: to the bit, but for values of columns that are named lost: perhaps, or surely.
fn same_row(
    held: &Rows,
    row: usize,
    found: &Rows,
    at: usize,
    of_values: &dyn Fn(&str) -> (bool, bool),
) -> bool {
    let (old, new) = (&held.set, &found.set);
    if old.time[row] != new.time[at]
        || old.version.get(row) != new.version.get(at)
        || old.source.get(row) != new.source.get(at)
        || old.flags.get(row) != new.flags.get(at)
    {
        return false;
    }
    held.columns.iter().zip(&old.columns).all(|(column, (_, values))| {
        let lost = || of_values(&column.name);
        match (values.is_null(row), found.column(&column.name)) {
            (null, None) => null || lost().0,
            (true, Some(there)) => there.is_null(at),
            (false, Some(there)) if there.is_null(at) => lost().0,
            (false, Some(there)) => same_value(&values.values, row, &there.values, at) && !lost().1,
        }
    })
}

fn same_value(old: &Values, row: usize, new: &Values, at: usize) -> bool {
    match (old, new) {
        (Values::I64(old), Values::I64(new)) => old[row] == new[at],
        (Values::F64(old), Values::F64(new)) => old[row].to_bits() == new[at].to_bits(),
        (Values::F32(old), Values::F32(new)) => old[row].to_bits() == new[at].to_bits(),
        (Values::U8(old), Values::U8(new)) => old[row] == new[at],
        (Values::Str(old), Values::Str(new)) => old.get(row) == new.get(at),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::damage::Damage;
    use crate::parts::Cost;
    use crate::subject::all;

    /// A store with a damaged block: the subject, the files, and what a salvage of them makes.
    fn damaged(values: bool) -> (Subject, Files, Saved) {
        let subject = all().unwrap().into_iter().find(|subject| subject.name == "compacted").unwrap();
        let (name, contents) = subject.layout.segments.first_key_value().unwrap();
        let file = subject.files.keys().position(|known| known == name).unwrap();
        let wanted = |cost: &Cost| matches!(cost, Cost::Values(_)) == values && !matches!(cost, Cost::Index);
        let of_users = |part: usize| contents.parts[part].series != COMMITS;
        let mut pieces = contents.pieces.iter().rev();
        let piece = pieces
            .find(|piece| wanted(&piece.cost) && of_users(piece.part) && piece.stream as usize == 0)
            .unwrap();
        let damage = Damage::Flip { file, offset: piece.bytes.start + 1, mask: 4 };
        let after = subject.damaged(damage);
        let saved = salvage(&after).unwrap();
        (subject, after, saved)
    }

    /// Everything that a repair which gives up on its segments makes of a store: no row, and a loss for each part.
    fn useless(subject: &Subject) -> Saved {
        salvage(&useless_files(subject)).unwrap()
    }

    #[test]
    fn a_repair_that_saves_nothing_and_names_all_as_lost_is_refused() {
        let (subject, after, saved) = damaged(true);
        compare(&subject, &after, &saved).unwrap();
        let useless = useless(&subject);
        let why = compare(&subject, &after, &useless).unwrap_err();
        assert!(why.contains("is not damaged"), "{why}");
        // Each missing row is named by some loss: that alone says nothing.
        let open = |storage| Store::open_read_only_on(storage, options()).unwrap();
        let (whole, new) = (open(Arc::new(disk(&subject.files))), open(useless.storage.clone()));
        let broken = useless_files(&subject);
        let fate = Fate::of(&subject, &broken);
        let count = loosely(&subject, &broken, &fate, &whole, &new, &useless.report).unwrap();
        assert_eq!((count.saved, count.missing), (0, count.held));
        // Where the segments are gone, it is all that can be done.
        compare(&subject, &broken, &useless).unwrap();
    }

    /// Where the manifest is damaged less is known, but not nothing: blocks are as whole as before.
    #[test]
    fn a_damaged_manifest_is_no_reason_to_lose_rows() {
        let subject = all().unwrap().into_iter().find(|subject| subject.name == "compacted").unwrap();
        let file = subject.files.keys().position(|name| *name == subject.layout.manifest).unwrap();
        let frame = subject.layout.manifest_frames.iter().rfind(|frame| frame.1.is_none()).unwrap();
        let damage = Damage::Flip { file, offset: frame.0.start + 30, mask: 1 };
        let after = subject.damaged(damage);
        compare(&subject, &after, &salvage(&after).unwrap()).unwrap();
        let mut broken = after.clone();
        broken.extend(subject.layout.segments.keys().map(|name| (name.clone(), Arc::default())));
        let useless = salvage(&broken).unwrap();
        let why = compare(&subject, &after, &useless).unwrap_err();
        assert!(why.contains("segments are whole"), "{why}");
    }

    fn useless_files(subject: &Subject) -> Files {
        let segments = subject.layout.segments.keys().map(|name| (name.clone(), Arc::default()));
        subject.files.clone().into_iter().chain(segments).collect()
    }

    /// What a report may say wrongly: too little, too much, the wrong rows, the wrong number, nothing.
    #[test]
    fn a_report_that_names_other_rows_than_those_missing_is_refused() {
        for values in [false, true] {
            let (subject, after, saved) = damaged(values);
            compare(&subject, &after, &saved).unwrap();
            let kind = if values { LossKind::Values } else { LossKind::Rows };
            let at = saved.report.losses.iter().position(|loss| loss.kind == kind).unwrap();
            let changed = |change: &dyn Fn(&mut SalvageReport)| {
                let mut report = saved.report.clone();
                change(&mut report);
                compare(&subject, &after, &Saved { storage: saved.storage.clone(), report })
            };
            let rows = |report: &mut SalvageReport| report.losses[at].rows.clone().unwrap();
            changed(&|_| ()).unwrap();
            changed(&|report| drop(report.losses.remove(at))).unwrap_err();
            changed(&|report| report.losses.push(report.losses[at].clone())).unwrap_err();
            changed(&|report| report.losses[at].count += 1).unwrap_err();
            changed(&|report| report.losses[at].series = Some("B 1m".to_owned())).unwrap_err();
            changed(&|report| report.losses[at].kind = LossKind::Unnamed).unwrap_err();
            changed(&|report| report.losses[at].times = Some((i64::MIN, i64::MAX))).unwrap_err();
            changed(&|report| report.losses[at].times = Some((0, 0))).unwrap_err();
            changed(&|report| report.losses[at].history = true).unwrap_err();
            changed(&|report| {
                // One row of the block less.
                let rows = rows(report);
                report.losses[at].rows = Some(rows.start..rows.end - 1);
                report.losses[at].count -= 1;
                report.rows += u64::from(!values);
            })
            .unwrap_err();
            changed(&|report| report.rows -= 1).unwrap_err();
            changed(&|report| report.unknown.push("whatever".to_owned())).unwrap_err();
            changed(&|report| report.newest_seen += 1).unwrap_err();
        }
    }

    /// Rows, versions and snapshots that are gone without need.
    #[test]
    fn a_store_from_which_more_is_gone_than_was_damaged_is_refused() {
        let (subject, after, mut saved) = damaged(true);
        let rewrite = |saved: &Saved, change: &dyn Fn(&Store)| {
            let store = Store::open_on(saved.storage.clone(), options()).unwrap();
            change(&store);
        };
        let snapshot = subject.truth.snapshots[0].name.clone();
        rewrite(&saved, &|store| store.drop_snapshot(&snapshot).unwrap());
        let why = compare(&subject, &after, &saved).unwrap_err();
        assert!(why.contains("snapshots"), "{why}");
        saved = salvage(&after).unwrap();
        rewrite(&saved, &|store| assert_eq!(store.prune(&AsOf::Version(5)).unwrap().floor, 5));
        let why = compare(&subject, &after, &saved).unwrap_err();
        assert!(why.contains("version 0"), "{why}");
        // A block of rows is gone, and the report is that of a repair that saved them.
        let (saved, worse) = (salvage(&after).unwrap(), damaged(false).2);
        let why = compare(&subject, &after, &Saved { storage: worse.storage, ..saved }).unwrap_err();
        assert!(why.contains("0 were saved"), "{why}");
    }
}
