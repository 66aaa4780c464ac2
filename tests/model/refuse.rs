//! Things that must be refused, and must leave no trace.

use tapestore::schema::SchemaBuilder;
use tapestore::{
    AsOf, Batch, ColumnType, ColumnValues, Error, ErrorClass, RunVec, Store, Strings, Transaction, Values,
};

use crate::compare::{Verdict, ensure};
use crate::oracle::{NewRow, Oracle, Series};
use crate::random::Random;
use crate::series::{batch, row, time};
use crate::world::key_there;

/// Tries one thing that must be refused with an error of a fitting class.
pub(crate) fn one(store: &Store, oracle: &Oracle, random: &mut Random) -> Verdict {
    let state = oracle.now();
    match random.below(8) {
        0 => {
            let future = AsOf::Version(oracle.version + 1 + random.below(3));
            refused("a future version", &[ErrorClass::NotFound], store.as_of(&future).map(drop))?;
            refused("a rollback to the future", &[ErrorClass::NotFound], store.rollback(&future).map(drop))
        }
        1 => {
            let unknown = AsOf::Snapshot("never made".into());
            refused("an unknown snapshot", &[ErrorClass::NotFound], store.as_of(&unknown).map(drop))
        }
        2 => {
            let Some(key) = key_there(&state, false, random) else { return Ok(()) };
            let view = store.view();
            refused("reading no series", &[ErrorClass::NotFound], view.read(&key).rows().map(drop))?;
            refused("info of no series", &[ErrorClass::NotFound], view.info(&key).map(drop))?;
            let mut transaction = store.begin();
            let staged = transaction.append(&key, Batch::new(vec![0]));
            refused(
                "writing to no series",
                &[ErrorClass::NotFound, ErrorClass::Rejected],
                ended(staged, transaction),
            )
        }
        3 => {
            let Some(key) = key_there(&state, true, random) else { return Ok(()) };
            let view = store.view();
            let read = view.read(&key).columns(&["no such column"]).rows().map(drop);
            refused("reading no column", &[ErrorClass::NotFound, ErrorClass::Usage], read)?;
            let mut transaction = store.begin();
            let other =
                SchemaBuilder::sequence().column("other", ColumnType::Bool).build().expect("a valid schema");
            let staged = transaction.create_series(&key, other);
            refused("another schema", &[ErrorClass::Rejected, ErrorClass::Usage], ended(staged, transaction))
        }
        _ => {
            let Some(key) = key_there(&state, true, random) else { return Ok(()) };
            let series = &state.series[&key];
            let mut transaction = store.begin();
            let Some(bad) = bad_batch(series, random) else { return Ok(()) };
            let staged = match (bad.append, random.below(2)) {
                (true, _) => transaction.append(&key, bad.batch),
                (false, 0) if !series.is_plain() => transaction.upsert(&key, bad.batch),
                _ => transaction.merge(&key, bad.batch),
            };
            let classes = [ErrorClass::Rejected, ErrorClass::Usage, ErrorClass::Limit];
            refused(bad.name, &classes, ended(staged, transaction))
        }
    }
}

/// The outcome of staging something, and of committing it if that went well.
fn ended(staged: Result<(), Error>, transaction: Transaction) -> Result<(), Error> {
    staged.and_then(|()| transaction.commit().map(drop))
}

fn refused(what: &str, classes: &[ErrorClass], outcome: Result<(), Error>) -> Verdict {
    match outcome {
        Ok(()) => Err(format!("{what} was not refused")),
        Err(error) => {
            ensure!(classes.contains(&error.kind()), "{what}: refused as {:?}: {error}", error.kind());
            Ok(())
        }
    }
}

struct Bad {
    name: &'static str,
    batch: Batch,
    /// Only `append` refuses it.
    append: bool,
}

/// A batch with something wrong, if the series allows for it.
fn bad_batch(series: &Series, random: &mut Random) -> Option<Bad> {
    let schema = &series.schema;
    let place = series.rows.len() as i64 + 9;
    let good: Vec<NewRow> = (0..3).map(|n| row(series, time(series, place + n, random), random)).collect();
    let times: Vec<i64> = good.iter().map(|row| row.time).collect();
    let make = |name, batch| Some(Bad { name, batch, append: false });
    match random.below(7) {
        0 => {
            let last = series.last_time().filter(|_| series.is_unique())?;
            let rows = [row(series, last, random)];
            Some(Bad { name: "append at the last time", batch: batch(schema, &rows, random), append: true })
        }
        1 => make("an unknown column", batch(schema, &good, random).with("nope", Values::U8(vec![0; 3]))),
        2 => {
            schema.columns.iter().find(|column| !column.nullable)?;
            make("a missing column", Batch::new(times))
        }
        3 => make("too many flags", batch(schema, &good, random).with_flags(RunVec::constant(1, 4))),
        4 => {
            let mut late = good.clone();
            late[1].time = *random.pick(&[i64::MIN, i64::MAX, 9_000_000_000_000_000_001]);
            make("a time beyond the limits", batch(schema, &late, random))
        }
        5 => {
            let column = schema.columns.first()?;
            let wrong =
                if column.kind == ColumnType::U8 { Values::I64(vec![0; 3]) } else { Values::U8(vec![9; 3]) };
            make("a column of another type", Batch::new(times).with(&column.name, wrong))
        }
        _ => {
            let (first, rest) = schema.columns.split_first()?;
            let mut batch = Batch::new(times).with(&first.name, short(first.kind));
            for column in rest {
                batch = batch.with(&column.name, short(column.kind));
            }
            make("columns of two rows at three times", batch)
        }
    }
}

/// Two values.
fn short(kind: ColumnType) -> ColumnValues {
    let mut values = Values::empty(kind);
    if let Values::Str(text) = &mut values {
        *text = ["a", "b"].iter().collect::<Strings>();
    } else {
        values.push_default(2);
    }
    values.into()
}
