//! A repair, taken back.

use std::ops::Range;

use tapestore::{AsOf, Batch, ColumnValues, Rows, RunVec, SeriesKey, Store, flags};

use super::REPAIR;
use crate::error::{Error, Result};

/// How the message of an undoing begins.
const UNDO: &str = "undo of repair";

/// What was taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// The version of the repair.
    pub repair: u64,
    /// The version in which it is taken back; the newest if there was nothing to do.
    pub version: u64,
    /// Bars that are as they were before.
    pub restored: u64,
    /// Bars that were not there before, and are gone.
    pub removed: u64,
    /// Series of the repair.
    pub series: Vec<SeriesKey>,
    /// Bars that changed since the repair, and were left as they are.
    pub kept: Vec<(SeriesKey, i64)>,
}

/// Takes back a repair: what it wrote is what it was before, to the bit, with the source and the flags of then. Without a
/// version, the last repair that was not taken back. Bars that changed since are left alone and told.
///
/// # Errors
/// [`Error::Usage`] if there is no such repair, or its versions were given up.
pub fn undo(store: &Store, version: Option<u64>) -> Result<Undone> {
    let repair = find(store, version)?;
    let given_up =
        |_| Error::Usage(format!("version {} was given up; the repair cannot be taken back", repair - 1));
    let before = store.as_of(&AsOf::Version(repair - 1)).map_err(given_up)?;
    let after = store.as_of(&AsOf::Version(repair)).map_err(given_up)?;
    let now = store.view();
    let mut transaction = store.begin();
    transaction.message(&format!("{UNDO} {repair}"));
    let mut undone = Undone { repair, ..Undone::default() };
    for key in after.keys().into_iter().filter(|key| !key.is_own()) {
        if before.schema(&key).is_err() || now.schema(&key).is_err() {
            continue;
        }
        let ranges = after.changes_since(&key, repair - 1, 0)?.unwrap_or_default();
        let mut touched = false;
        for range in ranges {
            let read = |view: &tapestore::View| view.read(&key).range(range.clone()).provenance().rows();
            let (then, wrote, stands) = (read(&before)?, read(&after)?, read(&now)?);
            let mut restore = Vec::new();
            for row in 0..wrote.len() {
                let time = wrote.time()[row];
                if wrote.set.version.get(row) != repair || wrote.set.flags.get(row) & flags::REPAIRED == 0 {
                    continue;
                }
                touched = true;
                let unchanged =
                    stands.time().binary_search(&time).is_ok_and(|at| stands.set.version.get(at) == repair);
                match then.time().binary_search(&time) {
                    _ if !unchanged => undone.kept.push((key.clone(), time)),
                    Ok(at) => restore.push(at),
                    Err(_) => {
                        transaction.delete_range(&key, time..time + 1)?;
                        undone.removed += 1;
                    }
                }
            }
            undone.restored += restore.len() as u64;
            for at in restore {
                let name = now.source_name(then.set.source.get(at)).unwrap_or_default();
                transaction.source(&name);
                transaction.upsert(&key, row_batch(&then, at..at + 1))?;
            }
        }
        if touched {
            transaction.expect_unchanged(&key, now.version());
            undone.series.push(key);
        }
    }
    undone.version =
        if undone.restored + undone.removed > 0 { transaction.commit()?.version } else { now.version() };
    Ok(undone)
}

/// The repair that is meant.
fn find(store: &Store, version: Option<u64>) -> Result<u64> {
    let log = store.log(usize::MAX)?;
    let is_repair = |text: &str| text.starts_with(REPAIR);
    if let Some(version) = version {
        let named = log.iter().find(|commit| commit.version == version);
        return match named {
            Some(commit) if is_repair(&commit.message) => Ok(version),
            Some(commit) => {
                let text = format!(
                    "version {version} is no repair, it says {:?}; tape log lists commits",
                    commit.message
                );
                Err(Error::Usage(text))
            }
            None => Err(Error::Usage(format!("there is no version {version}; tape log lists commits"))),
        };
    }
    let undone: Vec<&str> = log.iter().filter_map(|commit| commit.message.strip_prefix(UNDO)).collect();
    let open = |version: u64| !undone.iter().any(|text| text.trim() == version.to_string());
    let mut repairs: Vec<u64> =
        log.iter().filter(|commit| is_repair(&commit.message)).map(|commit| commit.version).collect();
    repairs.sort_unstable();
    repairs.into_iter().rev().find(|version| open(*version)).ok_or_else(|| {
        Error::Usage("there is no repair that was not taken back; tape log lists commits".to_owned())
    })
}

/// Rows as they were, flags and all.
fn row_batch(rows: &Rows, range: Range<usize>) -> Batch {
    let mut flags = RunVec::default();
    flags.extend_from(&rows.set.flags, range.clone());
    let batch = Batch::new(rows.time()[range.clone()].to_vec()).with_flags(flags);
    rows.columns.iter().zip(&rows.set.columns).fold(batch, |batch, (column, (_, values))| {
        let mut part = ColumnValues { values: values.values.empty_alike(), nulls: None };
        part.extend_from(values, range.clone());
        batch.with(&column.name, part)
    })
}
