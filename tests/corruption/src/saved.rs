//! What a salvage of a damaged store saved, against what the store held: no row more, and none less that is not named.

use std::sync::Arc;

use tapestore::io::{MemoryStorage, Storage};
use tapestore::{
    AsOf, Loss, LossKind, Rows, SalvageReport, SeriesKey, Store, Values, View, salvage_storage,
    verify_storage,
};

use crate::subject::{Files, Subject, disk, options};

/// Rows of the newest version that a salvage saved, and did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Rows that the store held.
    pub held: u64,
    /// Rows that were saved.
    pub saved: u64,
    /// Rows that are missing, each named by a loss.
    pub missing: u64,
}

/// Salvages a damaged store; the old one is not changed, the new one verifies clean, and all rows are accounted for.
///
/// # Errors
/// What is wrong.
pub fn check(subject: &Subject, after: &Files) -> Result<Count, String> {
    let from = Arc::new(disk(after));
    let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let shared: Arc<dyn Storage> = from.clone();
    let report = salvage_storage(&shared, &to).map_err(|error| format!("salvage: {error}"))?;
    if files(&from) != files(&disk(after)) {
        return Err("salvage changed the damaged store".to_owned());
    }
    if let Some(finding) = verify_storage(&to, true).map_err(|error| error.to_string())?.first() {
        return Err(format!("what was saved does not verify: {finding:?}"));
    }
    let open = |storage| Store::open_read_only_on(storage, options()).map_err(|error| error.to_string());
    let (whole, saved) = (open(Arc::new(disk(&subject.files)))?, open(to)?);
    let version = saved.view().version();
    if version != report.version {
        return Err(format!("version {version} was saved, {} is reported", report.version));
    }
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
        series(&at, &saved.view(), &key, &report, &mut count).map_err(|why| format!("{key}: {why}"))?;
    }
    if let Some(key) = saved.view().keys().iter().find(|key| at.info(key).is_err()) {
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

/// The rows of a series: those saved are rows that were there, in their order; of those missing each is named.
fn series(
    whole: &View,
    saved: &View,
    key: &SeriesKey,
    report: &SalvageReport,
    count: &mut Count,
) -> Result<(), String> {
    let rows = |view: &View| view.read(key).provenance().rows().map_err(|error| format!("reading: {error}"));
    let held = rows(whole)?;
    let found = if saved.info(key).is_ok() { rows(saved)? } else { Rows::default() };
    let name = key.to_string();
    let mut next = 0;
    for row in 0..held.len() {
        if next < found.len() && same_row(&held, row, &found, next, &name, &report.losses) {
            next += 1;
            continue;
        }
        if !report.losses.iter().any(|loss| explains(loss, &name, held.time()[row])) {
            return Err(format!(
                "the row at {} is missing, and no loss names it: {report:?}",
                held.time()[row]
            ));
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
    let whole_rows = matches!(loss.kind, LossKind::Rows | LossKind::Marks | LossKind::Unnamed);
    let named = match &loss.series {
        Some(name) => name == series,
        None => loss.kind == LossKind::Unnamed,
    };
    whole_rows
        && !loss.history
        && named
        && loss.times.is_none_or(|(first, last)| (first..=last).contains(&time))
}

/// Whether a row saved is the row held: to the bit, but for values that a loss names.
fn same_row(held: &Rows, row: usize, found: &Rows, at: usize, series: &str, losses: &[Loss]) -> bool {
    let (old, new) = (&held.set, &found.set);
    if old.time[row] != new.time[at]
        || old.version.get(row) != new.version.get(at)
        || old.source.get(row) != new.source.get(at)
        || old.flags.get(row) != new.flags.get(at)
    {
        return false;
    }
    held.columns.iter().zip(&old.columns).all(|(column, (_, values))| {
        // A column whose name is lost is named by its number.
        let is_it = |name: &str| name == column.name || name == format!("column {}", column.id);
        let lost = || {
            losses.iter().any(|loss| {
                loss.kind == LossKind::Values
                    && loss.series.as_deref() == Some(series)
                    && loss.column.as_deref().is_some_and(is_it)
            })
        };
        match (values.is_null(row), found.column(&column.name)) {
            (null, None) => null || lost(),
            (true, Some(there)) => there.is_null(at),
            (false, Some(there)) if there.is_null(at) => lost(),
            (false, Some(there)) => same_value(&values.values, row, &there.values, at),
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
