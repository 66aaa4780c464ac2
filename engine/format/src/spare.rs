//! Columns of a chunk whose memory is used again: for a chunk that is encoded, fresh memory costs as much as encoding.
//!
//! A thread keeps a few vectors, each of at most a chunk's numbers; what is never given back is merely freed.

use std::cell::RefCell;

use crate::limits::CHUNK_ROWS;
use crate::rows::{RowSet, Values};
use crate::schema::{ColumnId, ColumnType};

/// Vectors of a type that a thread keeps: those of a chunk of bars while it is encoded.
const KEPT: usize = 16;

/// Longest vector that is kept: a chunk of numbers of eight bytes.
const KEPT_BYTES: usize = CHUNK_ROWS * 8;

/// A type of which threads keep vectors.
pub(crate) trait Spare: Sized + 'static {
    /// What this thread keeps, unless it is ending.
    fn with<T>(act: impl FnOnce(&mut Vec<Vec<Self>>) -> T) -> Option<T>;
}

macro_rules! spare {
    ($kind:ty) => {
        impl Spare for $kind {
            fn with<T>(act: impl FnOnce(&mut Vec<Vec<Self>>) -> T) -> Option<T> {
                thread_local! {
                    static KEPT_HERE: RefCell<Vec<Vec<$kind>>> = const { RefCell::new(Vec::new()) };
                }
                KEPT_HERE.try_with(|kept| act(&mut kept.borrow_mut())).ok()
            }
        }
    };
}

spare!(i64);
spare!(f64);
spare!(u8);

/// An empty vector.
pub(crate) fn take<T: Spare>() -> Vec<T> {
    T::with(Vec::pop).flatten().unwrap_or_default()
}

/// Keeps the memory of a vector for the next one.
pub(crate) fn give<T: Spare>(mut numbers: Vec<T>) {
    if numbers.capacity() == 0 || numbers.capacity() * size_of::<T>() > KEPT_BYTES {
        return;
    }
    numbers.clear();
    T::with(|kept| {
        if kept.len() < KEPT {
            kept.push(numbers);
        }
    });
}

/// No rows, with these columns, in memory that was kept.
pub(crate) fn take_rows(columns: &[(ColumnId, ColumnType)]) -> RowSet {
    let mut rows = RowSet::with_columns(columns);
    rows.time = take();
    for (_, column) in &mut rows.columns {
        match &mut column.values {
            Values::I64(values) => *values = take(),
            Values::F64(values) => *values = take(),
            Values::F32(_) | Values::U8(_) | Values::Str(_) => {}
        }
    }
    rows
}

/// Keeps the memory of rows.
pub(crate) fn give_rows(rows: RowSet) {
    give(rows.time);
    for (_, column) in rows.columns {
        match column.values {
            Values::I64(values) => give(values),
            Values::F64(values) => give(values),
            Values::F32(_) | Values::U8(_) | Values::Str(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_empty_and_only_so_much_is_kept() {
        let numbers: Vec<i64> = (0..1000).collect();
        let place = numbers.as_ptr();
        give(numbers);
        let again = take::<i64>();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(take::<i64>().capacity() == 0, "it was the only one");
        give(vec![0i64; CHUNK_ROWS + 1]);
        give(Vec::<i64>::new());
        assert_eq!(take::<i64>().capacity(), 0);
        for _ in 0..2 * KEPT {
            give(vec![1.0f64]);
        }
        assert_eq!(f64::with(|kept| kept.len()), Some(KEPT));
    }
}
