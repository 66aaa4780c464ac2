//! As-of join: for each row on the left, the row on the right that was in force at its time.
//!
//! The kernels map rows to rows, whole columns at once, into the caller's buffer; [`gather`] fetches values by such a
//! map. [`join`] is the same for two series of a store, [`join_by`] for a table that names instruments and their series.
//!
//! # Invariants
//! - J1. Among right rows of equal time, backward takes the last and forward the first: the one nearest to the left row
//!   on its own side.
//! - J2. Nearest takes the earlier of two rows that are equally far.

mod walk;
#[cfg(target_arch = "x86_64")]
mod walk_avx2;

use std::collections::BTreeMap;
use std::ops::Range;

use tapestore::{
    Column, ColumnType, ColumnValues, Error, Frame, Read, Result, RowSet, Rows, SeriesKey, Strings, Values,
    View,
};

use walk::{BLOCK, Walk, Wanted, check};

/// Stands where no row matches.
pub const NO_ROW: u32 = u32::MAX;

/// On which side of the left row's time the right row may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The last row at or before it: what was known then.
    #[default]
    Backward,
    /// The first row at or after it.
    Forward,
    /// The nearer of both.
    Nearest,
}

/// How rows are matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOfJoin {
    /// On which side.
    pub direction: Direction,
    /// Largest distance in nanoseconds; `None`: any.
    pub tolerance_ns: Option<u64>,
    /// Whether a row of exactly the same time does not match.
    pub strict: bool,
}

/// Times and the group of each row: the instrument, as a number below the number of rows of both sides.
#[derive(Clone, Copy, Debug)]
pub struct Grouped<'a> {
    /// Nanoseconds, ascending over all groups.
    pub time: &'a [i64],
    /// One number per time; see [`codes`].
    pub group: &'a [u32],
}

impl AsOfJoin {
    /// For each left time the right row that matches, or [`NO_ROW`]. `O(left + right)`, and less where one side is much
    /// longer. What `out` held is dropped.
    ///
    /// # Errors
    /// [`Error::Usage`] if times do not ascend, [`Error::Limit`] from 2^32 − 1 rows on the right.
    pub fn rows(&self, left: &[i64], right: &[i64], out: &mut Vec<u32>) -> Result<()> {
        let mut matching = Matching::new(self, right)?;
        // Every place is written: what `out` held may stay until then.
        out.resize(left.len(), NO_ROW);
        for (left, out) in left.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            matching.block(left, out)?;
        }
        matching.finish()
    }

    /// The values of `columns` of the right side at the rows that match, null where none does; as [`AsOfJoin::rows`] and
    /// [`gather`], in less time, since the rows found are still at hand.
    ///
    /// # Errors
    /// As [`AsOfJoin::rows`]; [`Error::Usage`] if a column has not one value per right time, or has no place in `out`.
    pub fn values(
        &self,
        left: &[i64],
        right: &[i64],
        columns: &[&ColumnValues],
        out: &mut [ColumnValues],
    ) -> Result<()> {
        if columns.len() != out.len() || columns.iter().any(|column| column.len() != right.len()) {
            return Err(Error::Usage("a join needs one value per time and one place per column".into()));
        }
        let mut matching = Matching::new(self, right)?;
        let mut rows = [NO_ROW; BLOCK];
        for (column, out) in columns.iter().zip(&mut *out) {
            empty(column, out);
        }
        for left in left.chunks(BLOCK) {
            let rows = &mut rows[..left.len()];
            matching.block(left, rows)?;
            for (column, out) in columns.iter().zip(&mut *out) {
                gather_behind(column, rows, out);
            }
        }
        matching.finish()
    }

    /// The same within groups: a left row matches right rows of its own group only. `O(left + right)`.
    ///
    /// # Errors
    /// As [`AsOfJoin::rows`]; [`Error::Usage`] if there is not one group per time, or a number that is too large.
    pub fn rows_by(&self, left: Grouped<'_>, right: Grouped<'_>, out: &mut Vec<u32>) -> Result<()> {
        countable(right.time)?;
        check(left.time.is_sorted() && right.time.is_sorted())?;
        let rows = left.time.len() + right.time.len();
        if left.group.len() != left.time.len() || right.group.len() != right.time.len() {
            return Err(Error::Usage("a join by group needs one group per row".into()));
        }
        let groups = left.group.iter().chain(right.group).max().map_or(0, |group| *group as usize + 1);
        if groups > rows {
            return Err(Error::Usage(format!("group {} in a join of {rows} rows", groups - 1)));
        }
        out.clear();
        out.resize(left.time.len(), NO_ROW);
        let mut known = vec![NO_ROW; groups];
        match self.direction {
            Direction::Backward => backward_by(left, right, self.strict, &mut known, out),
            Direction::Forward => forward_by(left, right, self.strict, &mut known, out),
            Direction::Nearest => {
                backward_by(left, right, self.strict, &mut known, out);
                known.fill(NO_ROW);
                let mut later = vec![NO_ROW; left.time.len()];
                forward_by(left, right, self.strict, &mut known, &mut later);
                for ((row, later), time) in out.iter_mut().zip(later).zip(left.time) {
                    *row = nearer(*time, right.time, *row, later);
                }
            }
        }
        self.limit(left.time, right.time, out);
        Ok(())
    }

    fn limit(&self, left: &[i64], right: &[i64], out: &mut [u32]) {
        let Some(tolerance) = self.tolerance_ns else { return };
        for (row, time) in out.iter_mut().zip(left) {
            if right.get(*row as usize).is_some_and(|other| other.abs_diff(*time) > tolerance) {
                *row = NO_ROW;
            }
        }
    }
}

fn countable(right: &[i64]) -> Result<()> {
    if right.len() < NO_ROW as usize {
        return Ok(());
    }
    Err(Error::Limit(format!("a join with {} rows on the right", right.len())))
}

/// A join under way: left times block by block.
struct Matching<'a> {
    how: &'a AsOfJoin,
    right: &'a [i64],
    walk: Walk<'a>,
    /// The later side of the nearest.
    later: Walk<'a>,
    later_rows: Vec<u32>,
}

impl<'a> Matching<'a> {
    fn new(how: &'a AsOfJoin, right: &'a [i64]) -> Result<Self> {
        countable(right)?;
        let strict = how.strict;
        let (before, after) = (Wanted::Before { strict }, Wanted::After { strict });
        let wanted = if how.direction == Direction::Forward { after } else { before };
        Ok(Self {
            how,
            right,
            walk: Walk::new(right, wanted),
            later: Walk::new(right, after),
            later_rows: Vec::new(),
        })
    }

    fn block(&mut self, left: &[i64], out: &mut [u32]) -> Result<()> {
        self.walk.rows(left, out)?;
        if self.how.direction == Direction::Nearest {
            self.later_rows.resize(left.len(), NO_ROW);
            self.later.rows(left, &mut self.later_rows)?;
            for ((row, later), time) in out.iter_mut().zip(&self.later_rows).zip(left) {
                *row = nearer(*time, self.right, *row, *later);
            }
        }
        self.how.limit(left, self.right, out);
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.walk.finish()
    }
}

/// J2.
fn nearer(time: i64, right: &[i64], before: u32, after: u32) -> u32 {
    match (right.get(before as usize), right.get(after as usize)) {
        (Some(a), Some(b)) if b.abs_diff(time) < a.abs_diff(time) => after,
        (Some(_), _) => before,
        (None, _) => after,
    }
}

fn backward_by(left: Grouped<'_>, right: Grouped<'_>, strict: bool, last: &mut [u32], out: &mut [u32]) {
    let mut next = 0;
    for (row, time) in left.time.iter().enumerate() {
        while next < right.time.len()
            && (if strict { right.time[next] < *time } else { right.time[next] <= *time })
        {
            last[right.group[next] as usize] = next as u32;
            next += 1;
        }
        out[row] = last[left.group[row] as usize];
    }
}

fn forward_by(left: Grouped<'_>, right: Grouped<'_>, strict: bool, first: &mut [u32], out: &mut [u32]) {
    let mut next = right.time.len();
    for (row, time) in left.time.iter().enumerate().rev() {
        while next > 0 && (if strict { right.time[next - 1] > *time } else { right.time[next - 1] >= *time })
        {
            next -= 1;
            first[right.group[next] as usize] = next as u32;
        }
        out[row] = first[left.group[row] as usize];
    }
}

/// Numbers for the texts of two columns, equal where the texts are: groups for [`AsOfJoin::rows_by`].
pub fn codes(left: &Strings, right: &Strings) -> (Vec<u32>, Vec<u32>) {
    let mut known = std::collections::HashMap::new();
    let mut code = |text| {
        let next = known.len() as u32;
        *known.entry(text).or_insert(next)
    };
    // The closure borrows from both columns, so both stay alive as long as the map.
    let left_codes = left.iter().map(&mut code).collect();
    let right_codes = right.iter().map(&mut code).collect();
    (left_codes, right_codes)
}

/// The values at `rows`; null where there is no row, or a null. What `out` held is dropped, its memory is used again if
/// it is of the same type.
pub fn gather(from: &ColumnValues, rows: &[u32], out: &mut ColumnValues) {
    empty(from, out);
    gather_behind(from, rows, out);
}

/// Makes room for values of a column.
fn empty(from: &ColumnValues, out: &mut ColumnValues) {
    match (&from.values, &mut out.values) {
        (Values::I64(_), Values::I64(out)) => out.clear(),
        (Values::F64(_), Values::F64(out)) => out.clear(),
        (Values::F32(_), Values::F32(out)) => out.clear(),
        (Values::U8(_), Values::U8(out)) => out.clear(),
        (from, out) => *out = from.empty_alike(),
    }
    out.nulls = None;
}

/// Puts the values at `rows` behind those in `out`, which are of the same type.
fn gather_behind(from: &ColumnValues, rows: &[u32], out: &mut ColumnValues) {
    /// Whether every row is there.
    fn pick<T: Copy + Default>(from: &[T], rows: &[u32], out: &mut Vec<T>) -> bool {
        let mut all = true;
        // NO_ROW lies behind the end of every column.
        out.extend(rows.iter().map(|row| {
            let value = from.get(*row as usize);
            all &= value.is_some();
            value.copied().unwrap_or_default()
        }));
        all
    }
    let before = out.len();
    let all = match (&from.values, &mut out.values) {
        (Values::I64(from), Values::I64(out)) => pick(from, rows, out),
        (Values::F64(from), Values::F64(out)) => pick(from, rows, out),
        (Values::F32(from), Values::F32(out)) => pick(from, rows, out),
        (Values::U8(from), Values::U8(out)) => pick(from, rows, out),
        (Values::Str(from), Values::Str(out)) => {
            let there = |row: u32| (row as usize) < from.len();
            rows.iter().for_each(|row| out.push(if there(*row) { from.get(*row as usize) } else { "" }));
            rows.iter().all(|row| there(*row))
        }
        _ => unreachable!("made alike by `empty`"),
    };
    let null = |row: &u32| *row == NO_ROW || from.is_null(*row as usize);
    if out.nulls.is_some() || !all || from.nulls.is_some() && rows.iter().any(null) {
        out.nulls.get_or_insert_with(|| vec![false; before]).extend(rows.iter().map(null));
    }
}

/// Whole rows, without provenance, in the order asked for.
pub fn gather_rows(from: &Rows, rows: &[u32]) -> Rows {
    let pick = |(id, values): &(u16, ColumnValues)| {
        let mut out = ColumnValues::from(Values::empty(ColumnType::I64));
        gather(values, rows, &mut out);
        (*id, out)
    };
    let time = rows.iter().map(|row| from.time()[*row as usize]).collect();
    let columns = from.set.columns.iter().map(pick).collect();
    Rows { columns: from.columns.clone(), set: RowSet { time, columns, ..RowSet::default() } }
}

/// Joins two series: the rows of `left` in `range`, each with the row of `right` that matches, wherever in time that is.
/// `None` of columns means all of them.
///
/// The columns of the right series follow those of the left; a name that both have gets the suffix `_right`. The last
/// column, `time_right`, is the time of the row that matched. What has no match is null.
///
/// # Errors
/// [`Error::NotFound`] names a missing series or column; as [`AsOfJoin::rows`].
pub fn join(
    view: &View,
    left: (&SeriesKey, Option<&[&str]>),
    right: (&SeriesKey, Option<&[&str]>),
    range: Range<i64>,
    how: &AsOfJoin,
) -> Result<Rows> {
    let mut joiner = Joiner::default();
    joiner.join(view, left, right, range, how)?;
    Ok(joiner.out)
}

/// [`join`], again and again: the memory of one answer serves for the next. Fresh memory costs more than the join.
#[derive(Debug, Default)]
pub struct Joiner {
    out: Rows,
    other: Rows,
    /// Columns of the last answer that came from the right.
    attached: usize,
}

impl Joiner {
    /// The rows of [`join`].
    ///
    /// # Errors
    /// As [`join`].
    pub fn join(
        &mut self,
        view: &View,
        left: (&SeriesKey, Option<&[&str]>),
        right: (&SeriesKey, Option<&[&str]>),
        range: Range<i64>,
        how: &AsOfJoin,
    ) -> Result<&Rows> {
        let Self { out, other, attached } = self;
        // What was attached to the last answer leaves its memory to this one.
        let own = out.columns.len() - std::mem::take(attached);
        out.columns.truncate(own);
        let room = out.set.columns.split_off(own).into_iter().map(|(_, column)| column);
        read(view, left, range).rows_into(out)?;
        let reach = match (out.time().first(), out.time().last()) {
            (Some(first), Some(last)) => reach(view, right.0, how.direction, *first..*last)?,
            _ => 0..0,
        };
        read(view, right, reach).rows_into(other)?;
        let left = std::mem::take(&mut out.set.time);
        *attached = other.columns.len() + 1;
        let joined =
            attach(out, other, room.collect(), |right, from, found| how.values(&left, right, from, found));
        out.set.time = left;
        joined?;
        Ok(out)
    }
}

/// Joins a table whose rows name their instruments, as fills or orders do: each row in `range` with the row that matches
/// of the series that the instrument in its column `by` has under `frame`. Columns as in [`join`]. An instrument without
/// such a series has no matches.
///
/// # Errors
/// As [`join`]; [`Error::Usage`] if the series of two instruments have other columns.
pub fn join_by(
    view: &View,
    (left, columns): (&SeriesKey, Option<&[&str]>),
    by: &str,
    (frame, right_columns): (&Frame, Option<&[&str]>),
    range: Range<i64>,
    how: &AsOfJoin,
) -> Result<Rows> {
    let mut out = read(view, (left, columns), range.clone()).rows()?;
    let names = view.read(left).range(range).columns(&[by]).rows()?;
    let Some(Values::Str(names)) = names.column(by).map(|column| &column.values) else {
        return Err(Error::Usage(format!("column {by:?} of {left} holds no names of instruments")));
    };
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    names.iter().enumerate().for_each(|(row, name)| groups.entry(name).or_default().push(row));
    let mut matched = vec![NO_ROW; out.len()];
    let mut all: Option<Rows> = None;
    let mut found = Vec::new();
    for (name, rows) in groups.into_iter().filter(|(name, _)| !name.is_empty()) {
        let right = SeriesKey::with_frame(name, frame.clone())?;
        if matches!(view.schema(&right), Err(Error::NotFound(_))) {
            continue;
        }
        let times: Vec<i64> = rows.iter().map(|row| out.time()[*row]).collect();
        let reach = reach(view, &right, how.direction, times[0]..times[times.len() - 1])?;
        let other = read(view, (&right, right_columns), reach).rows()?;
        how.rows(&times, other.time(), &mut found)?;
        let base = all.as_ref().map_or(0, Rows::len);
        for (row, place) in rows.into_iter().zip(&found).filter(|(_, place)| **place != NO_ROW) {
            matched[row] = u32::try_from(base + *place as usize)
                .map_err(|_| Error::Limit(format!("a join with more than {NO_ROW} rows on the right")))?;
        }
        match &mut all {
            None => all = Some(other),
            Some(all) => append(all, &other, &right)?,
        }
    }
    let Some(mut all) = all else {
        return Err(Error::NotFound(format!("no instrument of {left} has a series {frame}")));
    };
    attach(&mut out, &mut all, Vec::new(), |_, from, found| {
        from.iter().zip(found).for_each(|(from, found)| gather(from, &matched, found));
        Ok(())
    })?;
    Ok(out)
}

fn read<'v>(view: &'v View, (key, columns): (&SeriesKey, Option<&[&str]>), range: Range<i64>) -> Read<'v> {
    let read = view.read(key).range(range);
    columns.map_or(read.clone(), |columns| read.columns(columns))
}

/// Puts the rows of another series behind those of the same columns.
fn append(all: &mut Rows, other: &Rows, key: &SeriesKey) -> Result<()> {
    let same = |(a, b): (&Column, &Column)| (&a.name, a.kind) == (&b.name, b.kind);
    if all.columns.len() != other.columns.len() || !all.columns.iter().zip(&other.columns).all(same) {
        return Err(Error::Usage(format!("{key} has other columns than the series of other instruments")));
    }
    all.set.time.extend_from_slice(&other.set.time);
    for ((_, to), (_, from)) in all.set.columns.iter_mut().zip(&other.set.columns) {
        to.extend_from(from, 0..other.len());
    }
    Ok(())
}

/// Appends the columns of the right side, and its times, in `room` that other answers left: `fill` takes the times, the
/// columns and where to put what matched of them.
fn attach(
    out: &mut Rows,
    other: &mut Rows,
    mut room: Vec<ColumnValues>,
    fill: impl FnOnce(&[i64], &[&ColumnValues], &mut [ColumnValues]) -> Result<()>,
) -> Result<()> {
    let time = Column {
        id: 0,
        name: "time".into(),
        kind: ColumnType::Timestamp,
        nullable: true,
        description: "time of the row that matched".into(),
    };
    room.resize_with(other.columns.len() + 1, || ColumnValues::empty(ColumnType::F64));
    let times = ColumnValues::from(Values::I64(std::mem::take(&mut other.set.time)));
    let Values::I64(right) = &times.values else { unreachable!("times are whole numbers") };
    let from: Vec<&ColumnValues> =
        other.set.columns.iter().map(|(_, column)| column).chain([&times]).collect();
    let filled = fill(right, &from, &mut room);
    for (column, values) in other.columns.iter().chain([&time]).zip(room) {
        let id = out.columns.len() as u16;
        let taken = |name: &str| name == "time" || out.columns.iter().any(|column| column.name == name);
        let mut name = column.name.clone();
        while taken(&name) {
            name += "_right";
        }
        out.set.columns.push((id, values));
        out.columns.push(Column { id, name, nullable: true, ..column.clone() });
    }
    if let Values::I64(times) = times.values {
        other.set.time = times;
    }
    filled
}

/// The range of the right series that holds every row that can match left rows from `span.start` to `span.end`.
fn reach(view: &View, right: &SeriesKey, direction: Direction, span: Range<i64>) -> Result<Range<i64>> {
    let (mut start, mut end) = (span.start, span.end.saturating_add(1));
    if direction != Direction::Forward {
        let before = view.read(right).columns(&[]).range(i64::MIN..start).last(1)?;
        start = before.time().first().copied().unwrap_or(start);
    }
    if direction != Direction::Backward {
        let after = view.read(right).columns(&[]).range(end..i64::MAX).first(1)?;
        end = after.time().first().map_or(end, |time| time.saturating_add(1));
    }
    Ok(start..end)
}
