//! Comparing what a view says with what the model says.

use std::ops::{ControlFlow, Range};

use tapestore::{ErrorClass, Rows, Run, Schema, SeriesKey, Store, View};

use crate::oracle::{Cell, Row, Series, State};
use crate::random::Random;
use crate::series::{holds, range, read_cell};

/// The whole of time.
pub(crate) const ALWAYS: Range<i64> = i64::MIN..i64::MAX;

/// Returns an `Err` with the message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;

/// A way of reading, compared with the model.
type Look = fn(&View, &SeriesKey, &Series, &mut Random) -> Verdict;

/// What a comparison found to be wrong.
pub(crate) type Verdict = Result<(), String>;

/// An error of the engine as a finding: the operation must not fail.
pub(crate) fn unexpected(what: &str) -> impl Fn(tapestore::Error) -> String + '_ {
    move |error| format!("{what} failed: {error}")
}

/// How thoroughly to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All rows and counts, and one of the other ways of reading.
    Glance,
    /// Every way of reading.
    Everything,
}

/// Compares a whole view.
pub(crate) fn view(store: &Store, view: &View, state: &State, depth: Depth, random: &mut Random) -> Verdict {
    let keys: Vec<SeriesKey> = state.series.keys().cloned().collect();
    let found = view.keys();
    ensure!(found == keys, "keys of version {}: {found:?}, expected {keys:?}", view.version());
    for (key, expected) in &state.series {
        series(store, view, key, expected, depth, random)
            .map_err(|text| format!("version {}, {key}: {text}", view.version()))?;
    }
    many(view, state, random)
}

/// Reading many series at once is the same as reading each.
fn many(view: &View, state: &State, random: &mut Random) -> Verdict {
    let keys: Vec<SeriesKey> = state.series.keys().filter(|_| random.chance(70)).cloned().collect();
    let Some(series) = keys.first().map(|key| &state.series[key]) else { return Ok(()) };
    let span = range(series, random);
    let found = view.read_many(&keys, span.clone(), &[]);
    ensure!(found.len() == keys.len(), "read_many of {} series gave {}", keys.len(), found.len());
    for (key, rows) in keys.iter().zip(found) {
        let rows = rows.map_err(unexpected("read_many"))?;
        let expected = state.series[key].within(&span);
        ensure!(
            rows.time().iter().copied().eq(expected.iter().map(|row| row.0)),
            "read_many {span:?} of {key}"
        );
    }
    Ok(())
}

/// Compares one series.
pub(crate) fn series(
    store: &Store,
    view: &View,
    key: &SeriesKey,
    expected: &Series,
    depth: Depth,
    random: &mut Random,
) -> Verdict {
    let rows = view.read(key).provenance().rows().map_err(unexpected("read"))?;
    content(store, &rows, &expected.all(), &expected.schema)?;
    summary(view, key, expected, random)?;
    let looks: [Look; 5] = [ranges, ends, pages, pieces, slots];
    match depth {
        Depth::Everything => looks.iter().try_for_each(|look| look(view, key, expected, random)),
        Depth::Glance => random.pick(&looks)(view, key, expected, random),
    }
}

/// Compares rows as read with rows as they should be.
fn content(store: &Store, found: &Rows, expected: &[(i64, &Row)], schema: &Schema) -> Verdict {
    same_schema(&found.columns, &schema.columns)?;
    ensure!(found.len() == expected.len(), "{} rows, expected {}", found.len(), expected.len());
    ensure!(found.set.columns.len() == schema.columns.len(), "columns of the row set");
    // The source of the row before, and its name.
    let mut source: Option<(u16, Option<String>)> = None;
    for (index, (time, row)) in expected.iter().enumerate() {
        ensure!(found.time()[index] == *time, "row {index}: time {}, expected {time}", found.time()[index]);
        let system = (found.set.version.get(index), found.set.flags.get(index));
        let want = (row.version, row.flags);
        ensure!(system == want, "row {index} at {time}: version and flags {system:?}, expected {want:?}");
        let id = found.set.source.get(index);
        if source.as_ref().is_none_or(|known| known.0 != id) {
            source = Some((id, store.source_name(id)));
        }
        let name = source.as_ref().and_then(|known| known.1.as_deref());
        ensure!(name == Some(&*row.source), "row {index}: source {name:?}, not {:?}", row.source);
    }
    for (position, column) in schema.columns.iter().enumerate() {
        let values = &found.set.columns[position].1;
        ensure!(values.len() == expected.len(), "column {:?} has {} values", column.name, values.len());
        for (index, (time, row)) in expected.iter().enumerate() {
            let (want, name) = (&row.cells[position], &column.name);
            let cell = || read_cell(values, index);
            ensure!(
                holds(values, index, want),
                "row {index} at {time}, {name}: {:?}, expected {want:?}",
                cell()
            );
        }
    }
    Ok(())
}

/// Column numbers are the engine's own business; all else must agree.
fn same_schema(found: &[tapestore::Column], expected: &[tapestore::Column]) -> Verdict {
    let face = |columns: &[tapestore::Column]| -> Vec<_> {
        let face = |c: &tapestore::Column| (c.name.clone(), c.kind, c.nullable, c.description.clone());
        columns.iter().map(face).collect()
    };
    ensure!(face(found) == face(expected), "columns {found:?}, expected {expected:?}");
    Ok(())
}

fn summary(view: &View, key: &SeriesKey, expected: &Series, random: &mut Random) -> Verdict {
    let info = view.info(key).map_err(unexpected("info"))?;
    let all = expected.all();
    let face = (info.rows, info.first_ns, info.last_ns);
    let want = (all.len() as u64, all.first().map(|row| row.0), all.last().map(|row| row.0));
    ensure!(face == want, "info says {face:?}, expected {want:?}");
    ensure!(info.key == *key, "info of another series");
    same_schema(&info.schema.columns, &expected.schema.columns)?;
    let names = |schema: &Schema| -> Vec<String> {
        let name = |id: &u16| schema.column_by_id(*id).map(|column| column.name.clone());
        schema.dedup().iter().filter_map(name).collect()
    };
    ensure!(names(&info.schema) == names(&expected.schema), "dedup columns {:?}", info.schema.dedup());
    let latest = view.latest(key).map_err(unexpected("latest"))?;
    let found = latest.as_ref().map(|rows| (rows.len(), rows.time()[0], last_cells(rows, 0)));
    let want = all.last().map(|(time, row)| (1, *time, row.cells.clone()));
    ensure!(found == want, "latest {found:?}, expected {want:?}");
    for span in [ALWAYS, range(expected, random)] {
        let found = view.count(key, span.clone()).map_err(unexpected("count"))?;
        let want = expected.within(&span).len() as u64;
        ensure!(found == want, "count in {span:?} is {found}, expected {want}");
    }
    Ok(())
}

fn last_cells(rows: &Rows, row: usize) -> Vec<Cell> {
    rows.set.columns.iter().map(|(_, values)| read_cell(values, row)).collect()
}

/// Compares times and some columns, in that order, with expected rows.
fn projected(found: &Rows, columns: &[usize], expected: &[(i64, &Row)], schema: &Schema) -> Verdict {
    let names: Vec<_> = columns.iter().map(|column| &schema.columns[*column].name).collect();
    let given: Vec<_> = found.columns.iter().map(|column| &column.name).collect();
    ensure!(given == names, "columns {given:?}, asked for {names:?}");
    ensure!(found.len() == expected.len(), "{} rows, expected {}", found.len(), expected.len());
    for (index, (time, row)) in expected.iter().enumerate() {
        ensure!(found.time()[index] == *time, "row {index}: time {}, expected {time}", found.time()[index]);
        for (position, column) in columns.iter().enumerate() {
            let (values, want, name) = (&found.set.columns[position].1, &row.cells[*column], names[position]);
            let cell = || read_cell(values, index);
            ensure!(
                holds(values, index, want),
                "row {index} at {time}, {name}: {:?}, expected {want:?}",
                cell()
            );
        }
    }
    Ok(())
}

/// Some columns of the schema, in any order.
fn some_columns(schema: &Schema, random: &mut Random) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..schema.columns.len()).filter(|_| random.chance(50)).collect();
    if columns.is_empty() {
        columns.push(random.below(schema.columns.len() as u64) as usize);
    }
    if random.chance(30) {
        columns.reverse();
    }
    columns
}

fn ranges(view: &View, key: &SeriesKey, expected: &Series, random: &mut Random) -> Verdict {
    let schema = &expected.schema;
    let mut reused: Option<Rows> = None;
    for _ in 0..3 {
        let (span, columns) = (range(expected, random), some_columns(schema, random));
        let names: Vec<&str> = columns.iter().map(|column| schema.columns[*column].name.as_str()).collect();
        let read = view.read(key).range(span.clone()).columns(&names);
        let rows = match reused.take() {
            None => read.rows().map_err(unexpected("ranged read"))?,
            Some(mut rows) => {
                read.rows_into(&mut rows).map_err(unexpected("read into used rows"))?;
                rows
            }
        };
        projected(&rows, &columns, &expected.within(&span), schema)
            .map_err(|text| format!("range {span:?}: {text}"))?;
        reused = Some(rows);
    }
    Ok(())
}

fn ends(view: &View, key: &SeriesKey, expected: &Series, random: &mut Random) -> Verdict {
    let schema = &expected.schema;
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    for span in [ALWAYS, range(expected, random)] {
        let rows = expected.within(&span);
        let count = random.below(20) as usize;
        let first = view.read(key).range(span.clone()).first(count).map_err(unexpected("first"))?;
        let last = view.read(key).range(span.clone()).last(count).map_err(unexpected("last"))?;
        let cut = rows.len().saturating_sub(count);
        projected(&first, &all, &rows[..count.min(rows.len())], schema)
            .map_err(|text| format!("first {count} of {span:?}: {text}"))?;
        projected(&last, &all, &rows[cut..], schema)
            .map_err(|text| format!("last {count} of {span:?}: {text}"))?;
    }
    Ok(())
}

fn pages(view: &View, key: &SeriesKey, expected: &Series, random: &mut Random) -> Verdict {
    let schema = &expected.schema;
    let (span, columns) = (range(expected, random), some_columns(schema, random));
    let names: Vec<&str> = columns.iter().map(|column| schema.columns[*column].name.as_str()).collect();
    let rows = expected.within(&span);
    let page_rows = 1 + random.below(rows.len() as u64 / 2 + 5) as usize;
    let open =
        || view.read(key).range(span.clone()).columns(&names).cursor(page_rows).map_err(unexpected("cursor"));
    let mut cursor = open()?;
    let mut done = 0;
    while let Some(page) = cursor.next() {
        let page = page.map_err(unexpected("a page"))?;
        let left = rows.len() - done;
        ensure!(
            page.len() == page_rows.min(left),
            "a page of {} after {done} of {} rows",
            page.len(),
            rows.len()
        );
        ensure!(!page.is_empty(), "an empty page");
        projected(&page, &columns, &rows[done..done + page.len()], schema)
            .map_err(|text| format!("page of {page_rows} at {done} in {span:?}: {text}"))?;
        done += page.len();
        if random.chance(30) {
            cursor = open()?.starting_at(cursor.place());
        }
    }
    ensure!(done == rows.len(), "pages hold {done} rows, expected {}", rows.len());
    Ok(())
}

fn pieces(view: &View, key: &SeriesKey, expected: &Series, random: &mut Random) -> Verdict {
    let schema = &expected.schema;
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let span = range(expected, random);
    let rows = expected.within(&span);
    let mut done = 0;
    let mut verdict = Ok(());
    let visited = view.read(key).range(span.clone()).visit(|piece| {
        if done + piece.len() > rows.len() {
            verdict = Err(format!("pieces hold more than {} rows", rows.len()));
            return ControlFlow::Break(());
        }
        verdict = projected(piece, &all, &rows[done..done + piece.len()], schema);
        done += piece.len();
        if verdict.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    visited.map_err(unexpected("visit"))?;
    verdict.map_err(|text| format!("visit of {span:?}: {text}"))?;
    ensure!(done == rows.len(), "visit gave {done} rows, expected {}", rows.len());
    Ok(())
}

/// Coverage, gaps and absences against sets of slots.
fn slots(view: &View, key: &SeriesKey, expected: &Series, random: &mut Random) -> Verdict {
    let Some(frame) = expected.timeframe() else {
        let kind = view.coverage(key, None).err().map(|error| error.kind());
        ensure!(kind == Some(ErrorClass::Usage), "coverage of a series without a grid: {kind:?}");
        return Ok(());
    };
    let covered: Vec<i64> = expected.covered().into_iter().collect();
    let whole = covered.first().copied().unwrap_or(0)..covered.last().map_or(0, |last| last + 1);
    let span = range(expected, random);
    // A slot belongs to a range if it begins in it.
    let first_in = |time: i64| frame.slot(time) + i64::from(!frame.on_grid(time));
    let inside = first_in(span.start)..first_in(span.end).max(first_in(span.start));

    let found = view.coverage(key, None).map_err(unexpected("coverage"))?;
    ensure!(found == runs(&covered), "coverage {found:?}, expected {:?}", runs(&covered));
    let found = view.coverage(key, Some(span.clone())).map_err(unexpected("coverage"))?;
    let want: Vec<i64> = covered.iter().copied().filter(|slot| inside.contains(slot)).collect();
    ensure!(found == runs(&want), "coverage in {span:?}: {found:?}, expected {:?}", runs(&want));

    let sessions = [range(expected, random), range(expected, random)];
    let mut in_sessions: Vec<i64> = Vec::new();
    for (asked, slots) in [(None, whole), (Some(span.clone()), inside)] {
        let gaps = view.gaps(key, asked).map_err(unexpected("gaps"))?;
        let found: Vec<_> = gaps.iter().map(|gap| (gap.start, gap.end, gap.missing)).collect();
        let want = gaps_of(&expected.missing(slots.clone()), frame);
        ensure!(found == want, "gaps in slots {slots:?}: {found:?}, expected {want:?}");
    }
    if sessions[0].end <= sessions[1].start {
        for session in &sessions {
            in_sessions.extend(expected.missing(first_in(session.start)..first_in(session.end)));
        }
        let gaps = view.gaps_in_sessions(key, &sessions).map_err(unexpected("gaps in sessions"))?;
        let total: u64 = gaps.iter().map(|gap| gap.missing).sum();
        ensure!(
            total == in_sessions.len() as u64,
            "gaps in {sessions:?}: {total}, expected {}",
            in_sessions.len()
        );
    }

    let found = view.absences(key).map_err(unexpected("absences"))?;
    let absent: Vec<i64> = expected.absent.iter().copied().collect();
    let want: Vec<_> = gaps_of(&absent, frame).into_iter().map(|(start, end, _)| start..end).collect();
    ensure!(found == want, "absences {found:?}, expected {want:?}");
    Ok(())
}

/// Sorted slots as runs.
fn runs(slots: &[i64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for slot in slots {
        match runs.last_mut() {
            Some(run) if run.end == *slot => run.end += 1,
            _ => runs.push(Run { start: *slot, end: slot + 1 }),
        }
    }
    runs
}

/// Sorted slots as gaps: start, end and number.
fn gaps_of(slots: &[i64], frame: tapestore::Timeframe) -> Vec<(i64, i64, u64)> {
    let gap = |run: Run| (frame.slot_start(run.start), frame.slot_start(run.end), run.slots());
    runs(slots).into_iter().map(gap).collect()
}
