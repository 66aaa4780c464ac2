//! Rows in memory: typed columns, run-length vectors for what rarely changes, and the row set of a series.

use std::ops::Range;

use crate::schema::{ColumnId, ColumnType};

/// Strings end to end, with the end of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    ends: Vec<u32>,
    text: String,
}

impl Strings {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string at `index`.
    pub fn get(&self, index: usize) -> &str {
        &self.text[self.start(index)..self.ends[index] as usize]
    }

    /// Where a string begins.
    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// Appends one string.
    pub fn push(&mut self, text: &str) {
        self.append(text, [text.len()]);
    }

    /// Appends the same string so many times.
    pub(crate) fn push_times(&mut self, text: &str, count: usize) {
        self.append(&text.repeat(count), (1..=count).map(|many| text.len() * many));
    }

    /// Appends a range of others.
    pub(crate) fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let start = other.start(range.start);
        let ends = other.ends[range].iter().map(|end| *end as usize - start);
        let length = ends.clone().next_back().unwrap_or(0);
        self.append(&other.text[start..start + length], ends);
    }

    /// Appends strings that stand end to end; `ends` says where each one ends.
    pub(crate) fn append(&mut self, text: &str, ends: impl IntoIterator<Item = usize>) {
        let start = self.text.len();
        u32::try_from(start + text.len()).expect("batches of strings stay under 4 GiB");
        self.text.push_str(text);
        self.ends.extend(ends.into_iter().map(|end| (start + end) as u32));
    }

    /// All strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }
}

impl<S: AsRef<str>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(items: I) -> Self {
        let mut out = Self::default();
        for item in items {
            out.push(item.as_ref());
        }
        out
    }
}

/// The values of one column, by physical type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `i64` and `timestamp`.
    I64(Vec<i64>),
    /// `f64`.
    F64(Vec<f64>),
    /// `f32`.
    F32(Vec<f32>),
    /// `u8`, and `bool` as 0 or 1.
    U8(Vec<u8>),
    /// `string`.
    Str(Strings),
}

macro_rules! each {
    ($values:expr, $v:ident => $body:expr) => {
        match $values {
            Values::I64($v) => $body,
            Values::F64($v) => $body,
            Values::F32($v) => $body,
            Values::U8($v) => $body,
            Values::Str($v) => $body,
        }
    };
}

impl Values {
    /// No values, of the physical type of `kind`.
    pub fn empty(kind: ColumnType) -> Self {
        match kind {
            ColumnType::I64 | ColumnType::Timestamp => Self::I64(Vec::new()),
            ColumnType::F64 => Self::F64(Vec::new()),
            ColumnType::F32 => Self::F32(Vec::new()),
            ColumnType::U8 | ColumnType::Bool => Self::U8(Vec::new()),
            ColumnType::String => Self::Str(Strings::default()),
        }
    }

    /// No values, of the type of these.
    #[must_use]
    pub fn empty_alike(&self) -> Self {
        match self {
            Self::I64(_) => Self::I64(Vec::new()),
            Self::F64(_) => Self::F64(Vec::new()),
            Self::F32(_) => Self::F32(Vec::new()),
            Self::U8(_) => Self::U8(Vec::new()),
            Self::Str(_) => Self::empty(ColumnType::String),
        }
    }

    /// Whether the physical type is that of `kind`.
    pub fn fits(&self, kind: ColumnType) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(&Self::empty(kind))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        each!(self, v => v.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for `count` more values. Text grows as it comes.
    pub fn reserve(&mut self, count: usize) {
        match self {
            Self::I64(v) => v.reserve_exact(count),
            Self::F64(v) => v.reserve_exact(count),
            Self::F32(v) => v.reserve_exact(count),
            Self::U8(v) => v.reserve_exact(count),
            Self::Str(v) => v.ends.reserve_exact(count),
        }
    }

    /// Appends `count` zeros or empty strings: the canonical value under a null.
    pub fn push_default(&mut self, count: usize) {
        match self {
            Self::I64(v) => v.resize(v.len() + count, 0),
            Self::F64(v) => v.resize(v.len() + count, 0.0),
            Self::F32(v) => v.resize(v.len() + count, 0.0),
            Self::U8(v) => v.resize(v.len() + count, 0),
            Self::Str(v) => v.push_times("", count),
        }
    }

    /// Appends a range of another column of the same physical type.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        match (self, other) {
            (Self::I64(to), Self::I64(from)) => to.extend_from_slice(&from[range]),
            (Self::F64(to), Self::F64(from)) => to.extend_from_slice(&from[range]),
            (Self::F32(to), Self::F32(from)) => to.extend_from_slice(&from[range]),
            (Self::U8(to), Self::U8(from)) => to.extend_from_slice(&from[range]),
            (Self::Str(to), Self::Str(from)) => to.extend_from(from, range),
            _ => unreachable!("columns of one id share a type"),
        }
    }

    /// Whether two values are the same to the bit.
    pub fn same(&self, index: usize, other: &Self, other_index: usize) -> bool {
        match (self, other) {
            (Self::I64(a), Self::I64(b)) => a[index] == b[other_index],
            (Self::F64(a), Self::F64(b)) => a[index].to_bits() == b[other_index].to_bits(),
            (Self::F32(a), Self::F32(b)) => a[index].to_bits() == b[other_index].to_bits(),
            (Self::U8(a), Self::U8(b)) => a[index] == b[other_index],
            (Self::Str(a), Self::Str(b)) => a.get(index) == b.get(other_index),
            _ => false,
        }
    }

    /// Approximate bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            Self::I64(v) => v.len() * 8,
            Self::F64(v) => v.len() * 8,
            Self::F32(v) => v.len() * 4,
            Self::U8(v) => v.len(),
            Self::Str(v) => v.ends.len() * 4 + v.text.len(),
        }
    }

    /// Removes all values, keeping the memory.
    pub fn clear(&mut self) {
        match self {
            Self::Str(v) => {
                v.ends.clear();
                v.text.clear();
            }
            Self::I64(v) => v.clear(),
            Self::F64(v) => v.clear(),
            Self::F32(v) => v.clear(),
            Self::U8(v) => v.clear(),
        }
    }
}

/// The values of one column and which of them are null.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnValues {
    /// A value per row; zero or empty under a null.
    pub values: Values,
    /// `true` where the row has no value; `None`: no row is null.
    pub nulls: Option<Vec<bool>>,
}

impl ColumnValues {
    /// No rows, of the physical type of `kind`.
    pub fn empty(kind: ColumnType) -> Self {
        Self { values: Values::empty(kind), nulls: None }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether the row has no value.
    pub fn is_null(&self, index: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls[index])
    }

    /// Appends `count` nulls.
    pub fn push_nulls(&mut self, count: usize) {
        let length = self.len();
        self.values.push_default(count);
        self.nulls.get_or_insert_with(|| vec![false; length]).resize(length + count, true);
    }

    /// Appends a range of another column of the same physical type.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let length = self.len();
        self.values.extend_from(&other.values, range.clone());
        match (&mut self.nulls, &other.nulls) {
            (None, None) => {}
            (Some(to), None) => to.resize(length + range.len(), false),
            (to, Some(from)) => {
                to.get_or_insert_with(|| vec![false; length]).extend_from_slice(&from[range]);
            }
        }
    }

    /// Whether two rows hold the same value to the bit, or both none.
    pub fn same(&self, index: usize, other: &Self, other_index: usize) -> bool {
        match (self.is_null(index), other.is_null(other_index)) {
            (false, false) => self.values.same(index, &other.values, other_index),
            (a, b) => a == b,
        }
    }

    /// Looks at a number, so that the memory around it comes nearer; 0 for text, and where there is none.
    #[inline]
    pub fn touch(&self, index: usize) -> u64 {
        let bits = match &self.values {
            Values::I64(v) => v.get(index).map(|number| *number as u64),
            Values::F64(v) => v.get(index).map(|number| number.to_bits()),
            Values::F32(v) => v.get(index).map(|number| u64::from(number.to_bits())),
            Values::U8(v) => v.get(index).map(|number| u64::from(*number)),
            Values::Str(_) => None,
        };
        bits.unwrap_or(0)
    }

    /// Approximate bytes held.
    pub fn bytes(&self) -> usize {
        self.values.bytes() + self.nulls.as_ref().map_or(0, Vec::len)
    }

    /// Removes all rows, keeping the memory.
    pub fn clear(&mut self) {
        self.values.clear();
        self.nulls = None;
    }
}

impl From<Values> for ColumnValues {
    fn from(values: Values) -> Self {
        Self { values, nulls: None }
    }
}

/// A vector of values that rarely change, as runs.
///
/// # Invariants
/// - R1. Ends increase strictly; neighbouring runs differ in value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunVec<T> {
    runs: Vec<(usize, T)>,
}

impl<T> Default for RunVec<T> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<T: Copy + PartialEq> RunVec<T> {
    /// `count` times `value`.
    pub fn constant(value: T, count: usize) -> Self {
        let mut out = Self::default();
        out.push(value, count);
        out
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.runs.last().map_or(0, |run| run.0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Appends `count` times `value`.
    pub fn push(&mut self, value: T, count: usize) {
        if count == 0 {
            return;
        }
        let end = self.len() + count;
        match self.runs.last_mut() {
            Some(last) if last.1 == value => last.0 = end,
            _ => self.runs.push((end, value)),
        }
    }

    /// The value at `index`. `O(log runs)`.
    pub fn get(&self, index: usize) -> T {
        self.runs[self.runs.partition_point(|run| run.0 <= index)].1
    }

    /// The runs that meet `range`, as pieces of it with their value.
    pub fn pieces(&self, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, T)> + '_ {
        let first = self.runs.partition_point(|run| run.0 <= range.start);
        let mut start = range.start;
        self.runs[first..].iter().map_while(move |&(end, value)| {
            let piece = start..end.min(range.end);
            start = piece.end;
            (piece.start < piece.end).then_some((piece, value))
        })
    }

    /// All values in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.pieces(0..self.len()).flat_map(|(range, value)| range.map(move |_| value))
    }

    /// Appends a range of another vector.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        for (piece, value) in other.pieces(range) {
            self.push(value, piece.len());
        }
    }

    /// Keeps the first `count` values; does nothing if there are no more.
    pub fn truncate(&mut self, count: usize) {
        if count >= self.len() {
            return;
        }
        let whole = self.runs.partition_point(|run| run.0 < count);
        self.runs.truncate(if count == 0 { 0 } else { whole + 1 });
        if let Some(last) = self.runs.last_mut() {
            last.0 = count;
        }
    }

    /// The single value, if all are equal.
    pub fn single(&self) -> Option<T> {
        match self.runs.as_slice() {
            [(_, value)] => Some(*value),
            _ => None,
        }
    }

    /// Number of runs.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// Removes all values, keeping the memory.
    pub fn clear(&mut self) {
        self.runs.clear();
    }
}

impl<T: Copy + PartialEq> FromIterator<T> for RunVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut out = Self::default();
        for item in items {
            out.push(item, 1);
        }
        out
    }
}

/// A hidden `i64` column of sequences with dedup columns: the row's number among the rows of its time in its commit.
///
/// Rows of one time and commit may be replaced one by one; the number keeps their order of arrival for older versions.
pub const ORDINAL: ColumnId = ColumnId::MAX;

/// Rows of one series, in order of time (and of arrival within one time), with the system columns.
///
/// Every vector has one entry per row, but for `until`, which is empty for live rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSet {
    /// Nanoseconds since the Unix epoch, UTC; for bars the open time.
    pub time: Vec<i64>,
    /// The commit that wrote the row.
    pub version: RunVec<u64>,
    /// For history: the commit that replaced or deleted the row. Empty for live rows.
    pub until: RunVec<u64>,
    /// Where the row came from: an id in the store's table of sources.
    pub source: RunVec<u16>,
    /// Bits of [`crate::rows::flags`].
    pub flags: RunVec<u16>,
    /// The user's columns, in any fixed order.
    pub columns: Vec<(ColumnId, ColumnValues)>,
}

impl RowSet {
    /// No rows, with these columns.
    pub fn with_columns(columns: &[(ColumnId, ColumnType)]) -> Self {
        let columns = columns.iter().map(|(id, kind)| (*id, ColumnValues::empty(*kind))).collect();
        Self { columns, ..Self::default() }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Makes room for `count` more rows, and no more: for sets that are filled once.
    pub fn reserve(&mut self, count: usize) {
        self.time.reserve_exact(count);
        for (_, column) in &mut self.columns {
            column.values.reserve(count);
        }
    }

    /// Makes room for `count` more rows, and for more where the set grows again and again.
    pub fn make_room(&mut self, count: usize) {
        let reached = self.len() + count;
        if reached > self.time.capacity() {
            self.reserve(reached.max(2 * self.time.capacity()) - self.len());
        }
    }

    /// The values of a column, if this set has it.
    pub fn column(&self, id: ColumnId) -> Option<&ColumnValues> {
        self.columns.iter().find(|column| column.0 == id).map(|column| &column.1)
    }

    /// Appends rows of another set. Columns that only this set has become null in the new rows.
    /// `until` is appended when both sets carry it.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        self.time.extend_from_slice(&other.time[range.clone()]);
        self.version.extend_from(&other.version, range.clone());
        if !other.until.is_empty() {
            self.until.extend_from(&other.until, range.clone());
        }
        self.source.extend_from(&other.source, range.clone());
        self.flags.extend_from(&other.flags, range.clone());
        for (position, (id, values)) in self.columns.iter_mut().enumerate() {
            let twin = match other.columns.get(position) {
                Some((twin, from)) if twin == id => Some(from),
                _ => other.column(*id),
            };
            match twin {
                Some(from) => values.extend_from(from, range.clone()),
                None => values.push_nulls(range.len()),
            }
        }
    }

    /// Rows with times in `[start, end)`.
    pub fn rows_between(&self, start: i64, end: i64) -> Range<usize> {
        let first = self.time.partition_point(|time| *time < start);
        let last = self.time.partition_point(|time| *time < end);
        first..last.max(first)
    }

    /// Approximate bytes held.
    pub fn bytes(&self) -> usize {
        let system = self.version.run_count() + self.until.run_count() + self.source.run_count();
        self.len() * 8
            + (system + self.flags.run_count()) * 16
            + self.columns.iter().map(|(_, values)| values.bytes()).sum::<usize>()
    }

    /// Removes all rows, keeping the memory.
    pub fn clear(&mut self) {
        self.time.clear();
        self.version.clear();
        self.until.clear();
        self.source.clear();
        self.flags.clear();
        for (_, values) in &mut self.columns {
            values.clear();
        }
    }
}

/// Bits of a row's flags.
pub mod flags {
    /// Replaced by a repair.
    pub const REPAIRED: u16 = 1;
    /// Made up (a forward fill): never counts as complete.
    pub const SYNTHETIC: u16 = 2;
    /// Built from finer bars.
    pub const REBUILT: u16 = 4;
    /// Taken from another source.
    pub const CROSS: u16 = 8;
    /// A mild outlier.
    pub const OUTLIER_SOFT: u16 = 16;
    /// A hard outlier.
    pub const OUTLIER_HARD: u16 = 32;
    /// Part of a stale run.
    pub const STALE: u16 = 64;
    /// Covers less than its timeframe.
    pub const PARTIAL: u16 = 128;
}

/// A range of times with a meaning of its own, from one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What the range means.
    pub kind: MarkKind,
    /// First time, inclusive.
    pub start: i64,
    /// Last time, exclusive.
    pub end: i64,
    /// The commit that made the mark.
    pub version: u64,
}

/// What a [`Mark`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MarkKind {
    /// All rows of older layers in the range are deleted.
    Delete = 1,
    /// The source confirmed that there is nothing in the range.
    Absent = 2,
    /// An earlier confirmation is withdrawn.
    Expected = 3,
}

impl MarkKind {
    /// The kind with this frozen id.
    pub fn from_id(id: u8) -> Option<Self> {
        [Self::Delete, Self::Absent, Self::Expected].into_iter().find(|kind| *kind as u8 == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_vectors_behave_like_vectors() {
        let plain: Vec<u16> = vec![1, 1, 1, 2, 2, 1, 3, 3, 3, 3];
        let runs: RunVec<u16> = plain.iter().copied().collect();
        assert_eq!(runs.run_count(), 4);
        assert_eq!(runs.iter().collect::<Vec<_>>(), plain);
        for start in 0..=plain.len() {
            for end in start..=plain.len() {
                let mut part = RunVec::default();
                part.extend_from(&runs, start..end);
                assert_eq!(part.iter().collect::<Vec<_>>(), plain[start..end]);
            }
        }
        for count in 0..=plain.len() + 1 {
            let mut cut = runs.clone();
            cut.truncate(count);
            assert_eq!(cut.iter().collect::<Vec<_>>(), plain[..count.min(plain.len())]);
        }
        assert_eq!(RunVec::constant(7, 5).single(), Some(7));
        assert_eq!(runs.get(5), 1);
    }

    #[test]
    fn missing_columns_become_null_and_bits_are_compared() {
        let kinds = [(0, ColumnType::F64), (1, ColumnType::String)];
        let mut narrow = RowSet::with_columns(&kinds[..1]);
        narrow.time = vec![1, 2];
        narrow.version = RunVec::constant(1, 2);
        narrow.source = RunVec::constant(0, 2);
        narrow.flags = RunVec::constant(0, 2);
        narrow.columns[0].1 = Values::F64(vec![0.0, -0.0]).into();
        let mut wide = RowSet::with_columns(&kinds);
        wide.extend_from(&narrow, 0..2);
        assert!(wide.columns[1].1.is_null(1));
        let values = &wide.columns[0].1;
        assert!(!values.same(0, values, 1), "0.0 and -0.0 differ in their bits");
        assert_eq!(wide.rows_between(2, 9), 1..2);
    }

    #[test]
    fn room_is_made_at_once_and_doubled_where_it_is_asked_for_again() {
        let mut set = RowSet::with_columns(&[(3, ColumnType::F64)]);
        let room = |set: &RowSet| match &set.columns[0].1.values {
            Values::F64(values) => (set.time.capacity(), values.capacity()),
            _ => unreachable!("made above"),
        };
        let fill = |set: &mut RowSet, count: usize| {
            set.time.resize(set.len() + count, 7);
            set.columns[0].1.values.push_default(count);
        };
        set.make_room(1000);
        assert_eq!(room(&set), (1000, 1000));
        fill(&mut set, 1000);
        set.make_room(0);
        assert_eq!(room(&set), (1000, 1000));
        set.make_room(1);
        assert_eq!(room(&set), (2000, 2000));
        fill(&mut set, 10);
        set.make_room(990);
        assert_eq!(room(&set), (2000, 2000), "there was room");
        set.make_room(5000);
        assert_eq!(room(&set), (6010, 6010));
    }
}
