//! Stores are brought in line with schema files, and nothing is lost unless forced.

use std::collections::BTreeMap;

use tapestore::{
    AsOf, Batch, Column, ColumnType, ColumnValues, KeyPolicy, Operation, Options, RunVec, Schema, SeriesKey,
    Store, Values,
};
use tapestore_catalog::file::{Language, parse};
use tapestore_catalog::{ColumnDeclaration, Declarations, Key, Table, declared, drop_table, plan, validate};

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { background: false, ..Options::default() };
    let store = Store::create(directory.path().join("store"), options).unwrap();
    (directory, store)
}

fn file(text: &str) -> Declarations {
    parse("s.yaml", text, Language::Yaml).unwrap()
}

fn apply(store: &Store, wanted: &Declarations, force: bool) -> Result<u64, String> {
    let plan = plan(&store.view(), wanted).map_err(|error| error.to_string())?;
    let operation = Operation::begin(store.view().version() as i64, "schema apply", "");
    plan.carry_out(store, force, &operation).map(|report| report.version).map_err(|error| error.to_string())
}

fn changes(store: &Store, wanted: &Declarations) -> Vec<String> {
    plan(&store.view(), wanted).unwrap().changes.iter().map(ToString::to_string).collect()
}

fn wrong(store: &Store, wanted: &Declarations) -> Vec<String> {
    let findings = validate(&store.view(), wanted).unwrap();
    findings.into_iter().filter(|finding| finding.wrong).map(|finding| finding.what).collect()
}

#[test]
fn tables_are_created_altered_and_dropped() {
    let (_directory, store) = store();
    let first = file(
        "tables: [{ name: notes, instruments: [A, B], frame: notes, key: unique, columns: [
            { name: score, type: i64, nullable: false, comment: from 0 to 10 }] }]",
    );
    assert_eq!(
        changes(&store, &first),
        ["declare table \"notes\"", "create A notes with 1 columns", "create B notes with 1 columns"]
    );
    assert_eq!(wrong(&store, &first), ["does not exist", "does not exist"]);
    apply(&store, &first, false).unwrap();
    assert!(changes(&store, &first).is_empty() && wrong(&store, &first).is_empty());
    assert_eq!(declared(&store.view()).unwrap().tables[0].columns, first.tables[0].columns);

    let key = SeriesKey::new("A", "notes").unwrap();
    let mut transaction = store.begin();
    transaction.source("one");
    transaction
        .upsert(&key, Batch::new(vec![1, 2]).with("score", Values::I64(vec![3, (1 << 60) + 1])))
        .unwrap();
    transaction.source("two");
    let flagged = Batch::new(vec![3]).with("score", Values::I64(vec![7])).with_flags(RunVec::constant(4, 1));
    transaction.upsert(&key, flagged).unwrap();
    transaction.confirm_absent(&key, 10..20).unwrap();
    let before = transaction.commit().unwrap().version;

    // A comment and a column: nothing is rewritten.
    let more = file(
        "tables: [{ name: notes, instruments: [A, B], frame: notes, key: unique, columns: [
            { name: score, type: i64, comment: from 0 on }, { name: text, type: string }] }]",
    );
    apply(&store, &more, false).unwrap();
    let schema = store.view().schema(&key).unwrap();
    assert_eq!(schema.column("score").unwrap().description, "from 0 on");
    assert!(schema.column("text").unwrap().nullable && schema.column("score").unwrap().nullable);

    // A wider type, and a column filled with its default.
    let wider = |kind: &str| {
        file(&format!(
            "tables: [{{ name: notes, instruments: [A, B], frame: notes, key: unique, columns: [
                {{ name: score, type: {kind}, comment: from 0 on }}, {{ name: text, type: string }},
                {{ name: level, type: u8, nullable: false, default: 9 }}] }}]"
        ))
    };
    let error = apply(&store, &wider("f32"), false).unwrap_err();
    assert!(error.contains("would lose data") && error.contains("1152921504606846977"), "{error}");
    apply(&store, &wider("string"), false).unwrap();
    let view = store.view();
    let rows = view.read(&key).provenance().rows().unwrap();
    let Values::Str(scores) = &rows.column("score").unwrap().values else { panic!() };
    assert_eq!(scores.iter().collect::<Vec<_>>(), ["3", "1152921504606846977", "7"]);
    assert_eq!(rows.column("level").unwrap().values, Values::U8(vec![9, 9, 9]));
    let sources: Vec<_> = (0..3).map(|row| view.source_name(rows.set.source.get(row)).unwrap()).collect();
    assert_eq!(sources, ["one", "one", "two"], "B2");
    assert_eq!((0..3).map(|row| rows.set.flags.get(row)).collect::<Vec<_>>(), [0, 0, 4]);
    assert_eq!(view.absences(&key).unwrap(), [10..20]);
    let old = store.as_of(&AsOf::Version(before)).unwrap().read(&key).rows().unwrap();
    assert_eq!(old.i64("score"), Some(&[3, (1 << 60) + 1, 7][..]), "older versions stay as they were");
    apply(&store, &wider("i64"), false).unwrap();
    assert_eq!(store.view().read(&key).rows().unwrap().i64("score"), Some(&[3, (1 << 60) + 1, 7][..]));

    // Without its column, and without its table.
    let error = apply(&store, &more, false).unwrap_err();
    assert!(error.contains("column \"level\" goes with 3 rows"), "{error}");
    apply(&store, &more, true).unwrap();
    assert!(store.view().schema(&key).unwrap().column("level").is_none());
    let operation = Operation::begin(0, "schema drop", "notes");
    let error = drop_table(&store, "notes", false, false, &operation).unwrap_err().to_string();
    assert!(error.contains("A notes has 3 rows"), "{error}");
    assert_eq!(drop_table(&store, "notes", false, true, &operation).unwrap().len(), 2);
    assert!(store.view().keys().iter().all(SeriesKey::is_own));
    assert!(declared(&store.view()).unwrap().tables.is_empty());
    assert!(drop_table(&store, "notes", false, true, &operation).is_err());
    assert!(tapestore::verify_directory(store.directory().unwrap(), true).unwrap().is_empty());
}

#[test]
fn what_cannot_be_is_refused() {
    let (_directory, store) = store();
    let key = SeriesKey::new("A.X", "1m").unwrap();
    let mut transaction = store.begin();
    transaction.create_series(&key, tapestore::schema::bars_with(&["trades"]).unwrap()).unwrap();
    let value = || Values::F64(vec![1.25]);
    let names = ["open", "high", "low", "close", "volume"];
    let batch = names.iter().fold(Batch::new(vec![0]), |batch, name| batch.with(name, value()));
    transaction.upsert(&key, batch).unwrap();
    transaction.commit().unwrap();
    let bars = file(
        "tables: [{ name: bars, frame: 1m, instruments: '*', columns: [{ name: close, decimals: 1 }] }]",
    );
    apply(&store, &bars, false).unwrap();
    assert_eq!(wrong(&store, &bars), ["1 values have more than 1 decimals, the first is 1.25 at 0"]);
    let needed = "tables: [{ name: bars, frame: 1m, instruments: '*', columns: [{ name: trades, type: i64, nullable: false }] }]";
    assert!(wrong(&store, &file(needed)).contains(&"is null in 1 rows".to_owned()));
    let error = apply(&store, &file(needed), false).unwrap_err();
    assert!(error.contains("have no value in column \"trades\""), "{error}");
    let missing = needed.replace("trades", "vwap");
    let error = apply(&store, &file(&missing), true).unwrap_err();
    assert!(error.contains("declare a default"), "{error}");
    let filled = needed.replace("nullable: false", "nullable: false, default: -1");
    apply(&store, &file(&filled), false).unwrap();
    assert_eq!(store.view().read(&key).rows().unwrap().i64("trades"), Some(&[-1][..]));
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A value of the oracle: whole numbers, which every type but u8 and bool holds.
type Row = BTreeMap<String, Option<i64>>;

const KINDS: [ColumnType; 4] = [ColumnType::I64, ColumnType::F64, ColumnType::String, ColumnType::Timestamp];

fn random_table(random: &mut Random) -> Table {
    let columns = ["a", "b", "c", "d"].into_iter().filter(|_| random.below(4) > 0).collect::<Vec<_>>();
    let mut columns: Vec<_> = columns
        .into_iter()
        .map(|name| ColumnDeclaration {
            name: name.to_owned(),
            kind: KINDS[random.below(4) as usize],
            nullable: random.below(3) > 0,
            default: Some("5".to_owned()).filter(|_| random.below(2) > 0),
            comment: ["", "x", "y"][random.below(3) as usize].to_owned(),
            decimals: None,
        })
        .collect();
    let key = if random.below(2) == 0 { Key::Unique } else { Key::Sequence(Vec::new()) };
    if columns.is_empty() {
        columns.push(ColumnDeclaration {
            name: "a".into(),
            kind: ColumnType::I64,
            nullable: true,
            default: None,
            comment: String::new(),
            decimals: None,
        });
    }
    Table {
        name: "t".into(),
        instruments: vec!["A".into()],
        frame: SeriesKey::new("A", "t").unwrap().frame().clone(),
        kind: None,
        key,
        columns,
        comment: String::new(),
        tags: BTreeMap::new(),
        retention: None,
        line: 0,
    }
}

fn number(column: &Column, values: &ColumnValues, row: usize) -> Option<i64> {
    (!values.is_null(row)).then(|| match (&values.values, column.kind) {
        (Values::I64(values), _) => values[row],
        (Values::F64(values), _) => values[row] as i64,
        (Values::Str(values), _) => values.get(row).parse().unwrap(),
        _ => panic!("another type"),
    })
}

fn rows_of(store: &Store, key: &SeriesKey) -> Vec<(i64, Row)> {
    let rows = store.view().read(key).rows().unwrap();
    let row = |at: usize| {
        let cells = rows.columns.iter().zip(&rows.set.columns);
        let cells = cells.map(|(column, (_, values))| (column.name.clone(), number(column, values, at)));
        (rows.time()[at], cells.collect())
    };
    (0..rows.len()).map(row).collect()
}

/// What a table makes of rows, in the plainest form; `None` if a row would lack a value that it needs.
fn expected(before: &[(i64, Row)], known: Option<&Schema>, table: &Table) -> Option<Vec<(i64, Row)>> {
    let mut out: Vec<(i64, Row)> = Vec::new();
    for (time, row) in before {
        let mut new = Row::new();
        for column in &table.columns {
            let default = column.default.as_ref().map(|text| text.parse::<i64>().unwrap());
            let value = match known.and_then(|schema| schema.column(&column.name)) {
                Some(_) => row[&column.name].or(default.filter(|_| !column.nullable)),
                None => default,
            };
            if value.is_none() && !column.nullable {
                return None;
            }
            new.insert(column.name.clone(), value);
        }
        if table.key == Key::Unique {
            out.retain(|known| known.0 != *time);
        }
        out.push((*time, new));
    }
    Some(out)
}

#[test]
fn stores_become_what_random_tables_say() {
    let mut random = Random(77);
    let (mut applied, mut refused) = (0, 0);
    for case in 0..25 {
        let (_directory, store) = store();
        let key = SeriesKey::new("A", "t").unwrap();
        for step in 0..6 {
            let table = random_table(&mut random);
            let wanted = Declarations { tables: vec![table.clone()] };
            let known = store.view().schema(&key).ok();
            let before = known.as_ref().map(|_| rows_of(&store, &key)).unwrap_or_default();
            let after = expected(&before, known.as_deref(), &table);
            let loses = known.as_ref().is_some_and(|schema| {
                let dropped = schema.columns.iter().any(|column| table.column(&column.name).is_none());
                !before.is_empty() && dropped
            }) || after.as_ref().is_none_or(|after| after.len() < before.len());
            let at = format!("case {case}, step {step}");
            match apply(&store, &wanted, false) {
                Ok(_) => assert!(!loses, "P2 {at}: {}", changes(&store, &wanted).join("; ")),
                Err(error) => {
                    assert!(loses, "{at}: {error}");
                    assert_eq!(known.as_ref().map(|_| rows_of(&store, &key)).unwrap_or_default(), before);
                    refused += 1;
                    if after.is_none() || apply(&store, &wanted, true).is_err() {
                        continue;
                    }
                }
            }
            applied += 1;
            assert_eq!(rows_of(&store, &key), after.unwrap(), "{at}");
            assert!(changes(&store, &wanted).is_empty(), "P1 {at}");
            assert!(wrong(&store, &wanted).is_empty(), "{at}");
            let schema = store.view().schema(&key).unwrap();
            let plain = schema.key != KeyPolicy::Unique;
            let mut time = random.below(3) as i64;
            let count = random.below(6) as usize;
            let times: Vec<i64> = (0..count)
                .map(|_| {
                    time += i64::from(!plain) + random.below(2) as i64;
                    time + 10 * step
                })
                .collect();
            let mut batch = Batch::new(times);
            for column in &schema.columns {
                let numbers: Vec<i64> = (0..count).map(|_| random.below(100) as i64).collect();
                let values = match column.kind {
                    ColumnType::F64 => Values::F64(numbers.iter().map(|number| *number as f64).collect()),
                    ColumnType::String => Values::Str(numbers.iter().map(ToString::to_string).collect()),
                    _ => Values::I64(numbers),
                };
                let nulls = column.nullable.then(|| (0..count).map(|_| random.below(3) == 0).collect());
                batch = batch.with(&column.name, ColumnValues { values, nulls });
            }
            let mut transaction = store.begin();
            transaction.merge(&key, batch).unwrap();
            transaction.commit().unwrap();
        }
    }
    println!(
        "torture: schema files against plain rows | {applied} applied, {refused} refused | seed 77 | failures 0"
    );
    assert!(applied > 50 && refused > 20, "{applied} {refused}");
}
