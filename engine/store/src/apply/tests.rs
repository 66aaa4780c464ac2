//! Applying records to states, and what no record may ask for.

use super::*;
use tapestore_format::rows::MarkKind;
use tapestore_format::schema::Column;
use tapestore_format::wal::CommitKind;

fn defining(version: u64, kind: ColumnType) -> TransactionRecord {
    let column = Column { id: 4, name: "x".into(), kind, nullable: true, description: String::new() };
    let schema = Schema { columns: vec![column], key: KeyPolicy::Unique };
    TransactionRecord {
        version,
        time: 0,
        kind: CommitKind::Write,
        message: String::new(),
        added: 0,
        updated: 0,
        deleted: 0,
        effects: vec![Effect::Define { series: 1, instrument: "A".into(), frame: "x".into(), schema }],
    }
}

/// Fuzzing found a log that gave a column another type: sealing, which puts rows of both definitions into one part,
/// panicked.
#[test]
fn a_column_that_changes_its_type_is_named() {
    let catalog = Catalog::default();
    let (state, _) = apply(&first_state(&catalog), &catalog, defining(1, ColumnType::I64), 0).unwrap();
    assert!(apply(&state, &catalog, defining(2, ColumnType::I64), 0).is_ok());
    let error = apply(&state, &catalog, defining(2, ColumnType::F64), 0).unwrap_err();
    assert!(error.to_string().contains("column 4 of series 1 changes its type"), "{error}");
}

#[test]
fn rows_come_from_sources_that_are_known() {
    let catalog = Catalog::default();
    let rows = |source: u16| RowSet { source: RunVec::constant(source, 2), ..rows_at(&[0, 60]) };
    let known = catalog.source_count() as u16;
    catalog.add_source(known, "exchange").unwrap();
    assert!(check_sources(1, &catalog, &rows(known)).is_ok());
    let error = check_sources(1, &catalog, &rows(known + 1)).unwrap_err();
    assert!(matches!(error, Error::Inconsistent { rule: "W7", .. }), "{error}");
    assert!(error.to_string().contains(&format!("source {}, of {}", known + 1, known + 1)), "{error}");
    assert!(check_sources(COMMITS, &catalog, &rows(known + 1)).is_ok(), "the log of commits has none");
}

/// Fuzzing found a log whose commit has the last number there is: verification looked for the one after it.
#[test]
fn nothing_follows_the_last_version() {
    assert!(follows(u64::MAX, u64::MAX - 1));
    assert!(!follows(0, u64::MAX));
    let catalog = Catalog::default();
    let last = State { version: u64::MAX, ..first_state(&catalog) };
    assert!(apply(&last, &catalog, defining(0, ColumnType::I64), 0).is_err());
    assert_eq!(last.next_version().unwrap_err().kind(), crate::ErrorClass::Limit);
}

/// Rows at these times, of versions, sources and flags that do not matter here.
fn rows_at(times: &[i64]) -> RowSet {
    RowSet {
        time: times.to_vec(),
        version: RunVec::constant(1, times.len()),
        source: RunVec::constant(0, times.len()),
        flags: RunVec::constant(0, times.len()),
        ..RowSet::default()
    }
}

fn definitions(key: KeyPolicy, kinds: &[ColumnType]) -> Definitions {
    let column = |(index, kind): (usize, &ColumnType)| Column {
        id: index as u16,
        name: format!("c{index}"),
        kind: *kind,
        nullable: true,
        description: String::new(),
    };
    let columns = kinds.iter().enumerate().map(column).collect();
    vec![(1, Some(Arc::new(Schema { columns, key })))]
}

/// What [`check_rows`] says of rows; empty if they fit.
fn complaint(definitions: &Definitions, rows: &RowSet) -> String {
    match check_rows(3, definitions, rows) {
        Ok(()) => String::new(),
        Err(Error::Inconsistent { rule: "W7", detail, .. }) => detail,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn times_of_rows_are_in_order_and_range() {
    let unique = definitions(KeyPolicy::Unique, &[]);
    let sequence = definitions(KeyPolicy::Sequence { dedup: Vec::new() }, &[]);
    let wrong = "times of rows of series 3 are out of order or range";
    for (times, in_unique, in_sequence) in [
        (&[5, 6][..], "", ""),
        (&[5, 5], wrong, ""),
        (&[6, 5], wrong, wrong),
        (&[TIME_MIN, 0, TIME_MAX], "", ""),
        (&[TIME_MIN - 1, 0], wrong, wrong),
        (&[0, TIME_MAX + 1], wrong, wrong),
        (&[TIME_MAX + 2], wrong, wrong),
    ] {
        assert_eq!(complaint(&unique, &rows_at(times)), in_unique, "{times:?}");
        assert_eq!(complaint(&sequence, &rows_at(times)), in_sequence, "{times:?}");
    }
    let dropped: Definitions = vec![(1, unique[0].1.clone()), (2, None)];
    assert_eq!(complaint(&dropped, &rows_at(&[0])), "rows of series 3, which does not exist");
    assert_eq!(complaint(&dropped, &rows_at(&[])), "");
}

#[test]
fn values_of_rows_are_of_the_columns_that_there_are() {
    let known = definitions(KeyPolicy::Unique, &[ColumnType::Bool, ColumnType::F64]);
    let of = |id: u16, values: Values, nulls: Option<Vec<bool>>| RowSet {
        columns: vec![(id, tapestore_format::rows::ColumnValues { values, nulls })],
        ..rows_at(&[1, 2])
    };
    let bools = |values: [u8; 2], nulls| complaint(&known, &of(0, Values::U8(values.to_vec()), nulls));
    assert_eq!(bools([0, 1], None), "");
    assert_eq!(bools([1, 2], None), "column 0 of series 3 holds a bool above 1");
    assert_eq!(bools([1, 2], Some(vec![true, false])), "column 0 of series 3 holds a bool above 1");
    assert_eq!(bools([1, 2], Some(vec![false, true])), "", "what stands under a null does not matter");
    let numbers = || Values::I64(vec![7, 8]);
    assert_eq!(complaint(&known, &of(1, numbers(), None)), "column 1 of series 3 holds f64");
    assert_eq!(complaint(&known, &of(2, numbers(), None)), "series 3 has no column 2");
    assert_eq!(complaint(&known, &of(ORDINAL, numbers(), None)), "", "the engine's own column");
}

fn record(version: u64, effects: Vec<Effect>) -> TransactionRecord {
    TransactionRecord { effects, ..defining(version, ColumnType::I64) }
}

/// A definition of a series of its own.
fn define(series: u32) -> Effect {
    let Effect::Define { frame, schema, .. } = defining(0, ColumnType::I64).effects.remove(0) else {
        unreachable!("made above")
    };
    Effect::Define { series, instrument: format!("A{series}"), frame, schema }
}

#[test]
fn the_log_of_commits_tells_of_each_commit_and_cannot_be_written() {
    let catalog = Catalog::default();
    let start = first_state(&catalog);
    let source = Effect::Source { id: catalog.source_count() as u16, name: "exchange".into() };
    let mark = Mark { kind: MarkKind::Absent, start: 0, end: 60, version: 1 };
    let effects = vec![source, define(1), define(2), Effect::Mark { series: 2, mark }];
    let commit =
        TransactionRecord { message: "why".into(), added: 4, updated: 5, deleted: 6, ..record(1, effects) };
    let (state, bytes) = apply(&start, &catalog, commit, 0).unwrap();
    let layers = |id: u32| match &state.series(id).unwrap().layers[..] {
        [Layer::Mem(layer)] => layer.clone(),
        _ => panic!("one layer in memory"),
    };
    let row = layers(COMMITS).live.clone();
    let numbers = [CommitKind::Write as i64, 2, 4, 5, 6];
    for (id, number) in numbers.into_iter().enumerate() {
        let expected = match id {
            0 => Values::U8(vec![number as u8]),
            _ => Values::I64(vec![number]),
        };
        assert_eq!(row.column(id as u16).unwrap().values, expected, "column {id}");
    }
    assert_eq!(row.column(5).unwrap().values, Values::Str(["why"].into_iter().collect()));
    assert_eq!(bytes, layers(COMMITS).bytes() + layers(2).bytes());

    let forbidden = [
        Effect::Drop { series: COMMITS },
        Effect::Rows { series: COMMITS, rows: rows_at(&[1]) },
        Effect::Mark { series: COMMITS, mark },
        define(COMMITS),
    ];
    for effect in forbidden {
        let error = apply(&start, &Catalog::default(), record(1, vec![effect]), 0).unwrap_err();
        assert!(error.to_string().contains("the log of commits cannot be written"), "{error}");
    }
}

#[test]
fn marks_stay_within_the_limits_of_times() {
    let catalog = Catalog::default();
    let (state, _) = apply(&first_state(&catalog), &catalog, record(1, vec![define(1)]), 0).unwrap();
    for (start, end, fits) in [
        (TIME_MIN, TIME_MAX + 1, true),
        (TIME_MIN - 1, 0, false),
        (0, TIME_MAX + 2, false),
        (TIME_MIN - 1, TIME_MAX + 2, false),
    ] {
        let mark = Mark { kind: MarkKind::Delete, start, end, version: 2 };
        let marked = apply(&state, &catalog, record(2, vec![Effect::Mark { series: 1, mark }]), 0);
        assert_eq!(marked.is_ok(), fits, "{start} to {end}");
    }
}

#[test]
fn the_last_row_is_known_as_long_as_nothing_is_deleted() {
    let last = |time: i64| Some(Some(Arc::new(LastRow::new(rows_at(&[time])))));
    let time = |latest: Option<Option<Arc<LastRow>>>| latest.map(|row| row.map(|row| row.time_ns()));
    let mark = |kind| [Mark { kind, start: 0, end: 60, version: 1 }];
    let none = rows_at(&[]);
    assert_eq!(time(next_latest(None, &rows_at(&[5]), &[])), None, "not known before");
    assert_eq!(time(next_latest(Some(None), &none, &[])), Some(None), "an empty series");
    assert_eq!(time(next_latest(Some(None), &rows_at(&[4, 5]), &[])), Some(Some(5)));
    assert_eq!(time(next_latest(last(7), &rows_at(&[4, 5]), &[])), Some(Some(7)), "rows of earlier");
    assert_eq!(time(next_latest(last(7), &rows_at(&[8]), &[])), Some(Some(8)));
    assert_eq!(time(next_latest(last(7), &none, &mark(MarkKind::Absent))), Some(Some(7)));
    assert_eq!(time(next_latest(last(7), &none, &mark(MarkKind::Delete))), None, "perhaps it is deleted");
    // The newer row of a time is the last one.
    let known = last(7);
    let newer = next_latest(known.clone(), &rows_at(&[7]), &[]);
    assert!(!Arc::ptr_eq(&newer.unwrap().unwrap(), &known.unwrap().unwrap()));
}

/// A series to lay layers upon.
fn any_series() -> SeriesState {
    let key = Arc::new(SeriesKey::new("A.B", "x").expect("a name"));
    SeriesState::new(1, key, Arc::new(vec![(0, Some(COMMITS_SCHEMA.clone()))]), Vec::new())
}

/// Sizes of the layers after layers of (rows, generation) were pushed.
fn sizes_after(pushed: &[(usize, u64)]) -> Vec<usize> {
    let (mut layers, mut time, series) = (Vec::new(), 0, any_series());
    for (version, (count, generation)) in (1..).zip(pushed) {
        let rows = rows_at(&(time..time + *count as i64).collect::<Vec<_>>());
        time += *count as i64;
        push_layer(&mut layers, MemLayer::new(rows, Vec::new(), version, *generation), &series);
    }
    let size = |layer: &Layer| match layer {
        Layer::Mem(layer) => layer.size(),
        Layer::Part(_) => unreachable!("nothing was sealed"),
    };
    layers.iter().map(size).collect()
}

#[test]
fn layers_are_merged_with_their_like() {
    assert_eq!(sizes_after(&[(1, 0); 2]), [2], "short ones two at a time");
    assert_eq!(sizes_after(&[(1, 0); 4]), [3, 1]);
    assert_eq!(sizes_after(&[(9, 0), (4, 0)]), [9, 4], "not with one more than twice as long");
    assert_eq!(sizes_after(&[(8, 0), (4, 0)]), [12]);
    assert_eq!(sizes_after(&[(4, 0), (4, 1)]), [4, 4], "not with one of another generation");
    assert_eq!(sizes_after(&[(LONG_LAYER - 1, 0); 2]), [2 * LONG_LAYER - 2]);
    assert_eq!(sizes_after(&[(LONG_LAYER, 0); 7]), [LONG_LAYER; 7], "long ones eight at a time");
    assert_eq!(sizes_after(&[(LONG_LAYER, 0); 8]), [8 * LONG_LAYER]);
    assert_eq!(sizes_after(&[(2 * LONG_LAYER, 0); 7]), [2 * LONG_LAYER; 7]);
}

/// However rows arrive, a series has few layers, and none is lost.
#[test]
fn layers_stay_few() {
    let mut state = 1u64;
    let mut random = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % bound) as usize
    };
    let series = any_series();
    for pattern in 0..4 {
        let (mut layers, mut time, mut most) = (Vec::new(), 0i64, 0);
        for version in 1..2000u64 {
            let count = match pattern {
                0 => 1,
                1 => LONG_LAYER,
                2 => [1, LONG_LAYER][version as usize % 2],
                _ => 1 << random(11),
            };
            let rows = RowSet {
                time: (time..time + count as i64).collect(),
                version: RunVec::constant(version, count),
                source: RunVec::constant(0, count),
                flags: RunVec::constant(0, count),
                ..RowSet::default()
            };
            time += count as i64;
            push_layer(&mut layers, MemLayer::new(rows, Vec::new(), version, 0), &series);
            most = most.max(layers.len());
        }
        let all: Vec<i64> = layers
            .iter()
            .flat_map(|layer| match layer {
                Layer::Mem(layer) => layer.live.time.clone(),
                Layer::Part(_) => unreachable!("nothing was sealed"),
            })
            .collect();
        assert_eq!(all, (0..time).collect::<Vec<_>>(), "pattern {pattern}");
        println!("pattern {pattern}: at most {most} layers of {time} rows");
        assert!(most <= 32, "pattern {pattern}: {most} layers");
    }
}
