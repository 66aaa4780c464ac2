//! Buffers that visits show rows in. A thread keeps the one of the visit that ended for the next: fresh memory costs
//! more than decoding into it.

use std::cell::Cell;

use tapestore_format::rows::{RowSet, Values};
use tapestore_format::schema::{ColumnId, ColumnType};

use crate::scan::SHOWN_ROWS;

/// Bytes of a buffer that is kept, at most. Sixteen columns of numbers and the time take an eighth of it.
const KEPT_BYTES: usize = 8 << 20;

thread_local! {
    static KEPT: Cell<Option<RowSet>> = const { Cell::new(None) };
}

/// An empty buffer of these columns, with room for what is shown at a time.
pub(crate) fn take(columns: &[(ColumnId, ColumnType)]) -> RowSet {
    let fits = |set: &RowSet| {
        let mut pairs = set.columns.iter().zip(columns);
        set.columns.len() == columns.len()
            && pairs.all(|((id, values), (wanted, kind))| id == wanted && values.values.fits(*kind))
    };
    match KEPT.try_with(Cell::take).ok().flatten().filter(fits) {
        Some(mut set) => {
            set.clear();
            set
        }
        None => {
            let mut set = RowSet::with_columns(columns);
            set.reserve(SHOWN_ROWS);
            set
        }
    }
}

/// Keeps a buffer for the next visit, unless it is large. Rows of numbers take little however many were shown; what text
/// took before it was cleared is not known.
pub(crate) fn keep(set: RowSet) {
    let text = set.columns.iter().any(|column| matches!(column.1.values, Values::Str(_)));
    if !text && set.bytes() <= KEPT_BYTES {
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(Some(set)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_serves_the_same_columns_again_and_no_others() {
        let columns = [(0, ColumnType::F64), (3, ColumnType::I64)];
        let mut set = take(&columns);
        set.time.push(1);
        set.columns[0].1.push_nulls(1);
        set.columns[1].1.values = Values::I64(vec![7]);
        let place = set.time.as_ptr();
        keep(set);
        let again = take(&columns);
        assert_eq!(again.time.as_ptr(), place);
        assert!(again.is_empty() && again.columns.iter().all(|column| column.1.is_empty()));
        assert_eq!(again.columns[0].1.nulls, None);
        // One at a time: what shows rows inside of a visit has its own.
        assert_ne!(take(&columns).time.as_ptr(), place);
        keep(again);
        let other = take(&[(0, ColumnType::F64), (3, ColumnType::F64)]);
        assert!(other.columns[1].1.values.fits(ColumnType::F64));
    }

    #[test]
    fn buffers_of_text_are_not_kept() {
        let columns = [(0, ColumnType::String)];
        keep(take(&columns));
        assert!(KEPT.take().is_none());
    }

    #[test]
    fn large_buffers_are_not_kept() {
        let mut set = take(&[]);
        set.time = vec![0; KEPT_BYTES / 8 + 1];
        let place = set.time.as_ptr();
        keep(set);
        assert!(take(&[]).time.is_empty());
        assert_ne!(take(&[]).time.as_ptr(), place);
    }
}
