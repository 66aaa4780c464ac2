//! Whole files through the import, into memory.

use tapestore_format::rows::{ColumnValues, Values};
use tapestore_format::schema::{Column, ColumnType, KeyPolicy, Schema};

use super::*;

#[derive(Debug, Default)]
struct Collect {
    targets: Vec<Target>,
    pieces: Vec<Piece>,
}

impl Sink for Collect {
    fn begin(&mut self, targets: &[Target]) -> Result<()> {
        self.targets = targets.to_vec();
        Ok(())
    }

    fn piece(&mut self, piece: Piece, _: Progressed) -> Result<()> {
        self.pieces.push(piece);
        Ok(())
    }
}

impl Collect {
    fn time(&self) -> Vec<i64> {
        self.pieces.iter().flat_map(|piece| piece.time.iter().copied()).collect()
    }

    fn column(&self, name: &str) -> &ColumnValues {
        &self.pieces[0].columns.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn f64(&self, name: &str) -> &[f64] {
        let Values::F64(values) = &self.column(name).values else { panic!("{name} is not f64") };
        values
    }
}

fn settings() -> Settings {
    Settings { batch_rows: 1000, ..Settings::default() }
}

fn run(text: &str, bars: bool, settings: &Settings) -> Result<(Tally, Collect)> {
    run_with(text, bars, settings, None)
}

fn run_with(
    text: &str,
    bars: bool,
    settings: &Settings,
    schema: Option<&Schema>,
) -> Result<(Tally, Collect)> {
    let mut sink = Collect::default();
    let input = Input::Memory(text.as_bytes().into());
    let tally = import_file(input, settings, bars, schema, &mut Progress::new(true), &mut sink)?;
    Ok((tally, sink))
}

const BARS: &str = "open_time,open,high,low,close,volume\n\
    1364774820000,93.25,93.3,93.25,93.3,93.3\n1364774880000,100,100,100,100,8e-8\n";

#[test]
fn bars_become_columns_bit_for_bit() {
    let (tally, rows) = run(BARS, true, &settings()).unwrap();
    assert_eq!((tally.read, tally.bad, tally.unit), (2, 0, Some("milliseconds")));
    assert_eq!(rows.time(), [1_364_774_820_000_000_000, 1_364_774_880_000_000_000]);
    assert_eq!(rows.f64("open"), [93.25, 100.0]);
    assert_eq!(rows.f64("volume")[1].to_bits(), 8e-8_f64.to_bits());
    assert!(rows.targets.iter().all(|target| !target.nullable && target.kind == ColumnType::F64));
}

#[test]
fn headerless_dumps_and_replies_are_the_same_bars() {
    let (_, named) = run(BARS, true, &settings()).unwrap();
    let bare = BARS.lines().skip(1).collect::<Vec<_>>().join("\n");
    let array: Vec<_> =
        BARS.lines().skip(1).map(|line| format!("[\"{}\"]", line.replace(',', "\",\""))).collect();
    let reply = format!("{{\"code\":\"0\",\"data\":[{}]}}", array.join(","));
    let lines = array.join("\n");
    for text in [bare, reply, lines] {
        let (_, rows) = run(&text, true, &settings()).unwrap();
        assert_eq!(rows.time(), named.time(), "{text}");
        assert_eq!(rows.f64("volume"), named.f64("volume"), "{text}");
    }
}

#[test]
fn a_bad_row_stops_is_skipped_or_goes_to_quarantine() {
    let text = format!("{BARS}1364774940000,oops,1,1,1,1\n1364775000000,1,1,1,1,1\n");
    let error = run(&text, true, &settings()).unwrap_err();
    assert_eq!(error.code(), crate::fail::FINDINGS);
    let error = error.to_string();
    assert!(error.contains("line 4") && error.contains("open") && error.contains("oops"), "{error}");

    let (tally, rows) = run(&text, true, &Settings { on_error: OnError::Skip, ..settings() }).unwrap();
    assert_eq!((tally.read, tally.bad, rows.time().len()), (4, 1, 3));
    assert!(tally.notes[0].contains("line 4"));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.csv");
    let quarantine = Settings { on_error: OnError::Quarantine, quarantine: Some(path.clone()), ..settings() };
    run(&text, true, &quarantine).unwrap();
    let expected = "open_time,open,high,low,close,volume\n1364774940000,oops,1,1,1,1\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
}

#[test]
fn mixed_units_and_ragged_rows_name_the_line() {
    let mixed = format!("{BARS}1364774940,1,1,1,1,1\n");
    assert!(run(&mixed, true, &settings()).unwrap_err().to_string().contains("line 4"));
    let ragged = format!("{BARS}1364774940000,1,1\n");
    assert!(run(&ragged, true, &settings()).unwrap_err().to_string().contains("3 cells"));
}

#[test]
fn several_instruments_in_one_file_are_refused_until_one_is_chosen() {
    let text = "symbol,date,open,high,low,close,volume\nAAA,2024-01-01,1,1,1,1,1\nBBB,2024-01-01,2,2,2,2,2\n";
    let error = run(text, true, &settings()).unwrap_err().to_string();
    assert!(error.contains("--where symbol=AAA"), "{error}");
    let mut one = settings();
    one.wishes.filters = vec![("symbol".into(), "BBB".into())];
    let (tally, rows) = run(text, true, &one).unwrap();
    assert_eq!((tally.filtered, rows.f64("open")), (1, [2.0].as_slice()));
}

#[test]
fn unfinished_bars_are_left_out() {
    let reply = r#"{"code":"0","data":[["1747094040000","1","1","1","1","5","6","7","0"],["1747093980000","1","1","1","1","5","6","7","1"]]}"#;
    let (tally, rows) = run(reply, true, &settings()).unwrap();
    assert_eq!((tally.unfinished, rows.time().len()), (1, 1));
    assert_eq!(rows.f64("quote_volume"), [7.0]);
}

const TRADES: &str = "ts_ms_utc,price_e4,qty,exchange,cond_hex,note\n\
    1381132800688,491800,300,P,2000,\n1381132800688,491800,300,P,2000,\n1381132981540,488700,2000,Q,20002020,x\n";

#[test]
fn tables_infer_types_over_the_whole_file_and_keep_equal_rows() {
    let (tally, rows) = run(TRADES, false, &settings()).unwrap();
    assert_eq!((tally.read, rows.time().len()), (3, 3));
    let kinds: Vec<_> = rows.targets.iter().map(|target| (target.kind, target.nullable)).collect();
    let (int, text) = (ColumnType::I64, ColumnType::String);
    assert_eq!(kinds, [(int, false), (int, false), (text, false), (int, false), (text, true)]);
    let mut typed = settings();
    typed.wishes.types = vec![("cond_hex".into(), text), ("qty".into(), ColumnType::F64)];
    let (_, rows) = run(TRADES, false, &typed).unwrap();
    assert_eq!(rows.targets[3].kind, text);
    assert_eq!(rows.f64("qty"), [300.0, 300.0, 2000.0]);
}

#[test]
fn batches_split_only_where_the_time_changes() {
    let small = Settings { batch_rows: 1, ..settings() };
    let (_, rows) = run(TRADES, false, &small).unwrap();
    assert_eq!(rows.pieces.iter().map(|piece| piece.time.len()).collect::<Vec<_>>(), [2, 1]);
    let unsorted = "ts,p\n1704110402,1\n1704110400,1\n1704110401,1\n";
    assert!(run(unsorted, false, &small).unwrap_err().to_string().contains("--batch-rows"));
    let (_, rows) = run(BARS, true, &small).unwrap();
    assert_eq!(rows.pieces.len(), 2);
}

#[test]
fn an_existing_schema_decides_the_types() {
    let column = |id, name: &str, kind, nullable| Column {
        id,
        name: name.into(),
        kind,
        nullable,
        description: String::new(),
    };
    let schema = Schema {
        columns: vec![column(0, "p", ColumnType::F64, false), column(1, "s", ColumnType::String, true)],
        key: KeyPolicy::Sequence { dedup: vec![] },
    };
    let (_, rows) = run_with("ts,p,s,extra\n1704110400,1,2,3\n", false, &settings(), Some(&schema)).unwrap();
    let kinds: Vec<_> = rows.targets.iter().map(|target| (target.kind, target.nullable)).collect();
    assert_eq!(kinds, [(ColumnType::F64, false), (ColumnType::String, true), (ColumnType::I64, true)]);
    let error = run_with("ts,s\n1704110400,2\n", false, &settings(), Some(&schema)).unwrap_err().to_string();
    assert!(error.contains("--column p="), "{error}");
}

#[test]
fn empty_files_are_no_rows() {
    for text in ["", "[]", "\n\n", "open_time,open,high,low,close,volume\n"] {
        let (tally, rows) = run(text, true, &settings()).unwrap();
        assert_eq!((tally.read, rows.pieces.len()), (0, 0), "{text:?}");
    }
}

#[test]
fn a_header_without_end_is_refused_before_its_names_are_compared() {
    let wide = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let error = run(&format!("ts,{}\n", wide(1_000_000)), false, &settings()).unwrap_err().to_string();
    assert!(error.contains("more than 4096 columns"), "{error}");
    let lines: String = (0..5000).map(|n| format!("{{\"ts\":{n},\"c{n}\":1}}\n")).collect();
    let error = run(&lines, false, &settings()).unwrap_err().to_string();
    assert!(error.contains("more than 4096 columns"), "{error}");
}
