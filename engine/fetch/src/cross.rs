//! Bars that were fetched, held against bars of the same length that finer ones give.

use std::ops::Range;

use tapestore::{Error as StoreError, SeriesKey, Store, Timeframe};
use tapestore_query::{Resample, resample};

use crate::error::Result;
use crate::ledger::{Finding, note_findings};

/// Largest difference of a volume that is rounding, as a share of it: volumes are sums of decimals.
const VOLUME_SHARE: f64 = 1e-9;

/// What came of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Bars that both have.
    pub bars: u64,
    /// Values that differ, each noted as a finding of kind `differs`: `old` is what was fetched, `new` what the finer
    /// bars give.
    pub differences: u64,
}

/// Compares the stored bars of `coarse` with what the bars of `fine` give, where these are whole, and notes where they
/// differ.
///
/// # Errors
/// Damage, and failure of the store.
pub fn cross_check(
    store: &Store,
    fine: &SeriesKey,
    coarse: Timeframe,
    range: &Range<i64>,
    source: &str,
    now_ns: i64,
) -> Result<Compared> {
    let view = store.view();
    let key = SeriesKey::with_frame(fine.instrument(), tapestore::Frame::Bars(coarse))?;
    let first = coarse.slot_start(coarse.slot(range.start));
    // The last bar is whole, too, wherever in it the range ends.
    let whole = first..coarse.slot_start(coarse.slot(range.end.saturating_sub(1)).saturating_add(1));
    let fetched = match view.read(&key).range(whole.clone()).rows() {
        Err(StoreError::NotFound(_)) => return Ok(Compared::default()),
        rows => rows?,
    };
    let made = resample(&view, fine, whole, &Resample::to(coarse))?.rows;
    let mut compared = Compared::default();
    let mut findings = Vec::new();
    for (row, time) in fetched.time().iter().enumerate() {
        let Ok(at) = made.time().binary_search(time) else { continue };
        let end = coarse.slot_start(coarse.slot(*time) + 1);
        if !view.gaps(fine, Some(*time..end))?.is_empty() {
            continue;
        }
        compared.bars += 1;
        for name in ["open", "high", "low", "close", "volume"] {
            let (Some(old), Some(new)) = (fetched.f64(name), made.f64(name)) else { continue };
            let (old, new) = (old[row], new[at]);
            let rounding = if name == "volume" { VOLUME_SHARE * old.abs() } else { 0.0 };
            if (old - new).abs() > rounding {
                let (old, new, column) = (old.to_string(), new.to_string(), name.to_owned());
                findings.push(Finding { at_ns: *time, kind: "differs", column, old, new });
            }
        }
    }
    compared.differences = findings.len() as u64;
    if !findings.is_empty() {
        let mut transaction = store.begin();
        transaction.source(source).message(&format!("cross-check of {key} with {fine}"));
        note_findings(&mut transaction, &key, source, &findings, now_ns)?;
        transaction.commit()?;
    }
    Ok(compared)
}
