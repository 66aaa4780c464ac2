//! `tape schema`: stores as schema files declare them.

use std::io::Write;
use std::path::Path;

use tapestore::{Operation, Options, Store};
use tapestore_catalog::file::{Language, parse, to_toml, to_yaml};
use tapestore_catalog::validate::undeclared;
use tapestore_catalog::{
    Change, Declarations, Finding, Key, Kind, Plan, declared, drop_table, plan, validate,
};

use super::import::open_or_create;
use super::operations::{note_done, watched};
use super::{Context, as_of};
use crate::args::schema::{Apply, DropTable, Schema, SchemaFile, ShowSchema, Validate};
use crate::fail::{Fail, Result};
use crate::output::json::{Object, texts};
use crate::output::{Out, plain};
use crate::when::now_ns;

/// Most bytes of a schema file.
const FILE_BYTES: u64 = 16 << 20;

/// Runs `tape schema`.
pub(crate) fn run(context: &Context, command: &Schema) -> Result<()> {
    match command {
        Schema::Apply(arguments) if !arguments.dry_run => {
            let target = arguments.file.file.display().to_string();
            watched(context, "schema apply", &target, |operation| apply(context, arguments, operation))
        }
        Schema::Apply(Apply { file, .. }) | Schema::Diff(file) => diff(context, file),
        Schema::Validate(arguments) => check(context, arguments),
        Schema::Show(arguments) => show(context, arguments),
        Schema::Drop(arguments) => watched(context, "schema drop", &arguments.table, |operation| {
            forget(context, arguments, operation)
        }),
    }
}

fn read(path: &Path) -> Result<Declarations> {
    let name = path.display().to_string();
    let language = Language::of_file(&name).ok_or_else(|| {
        Fail::Usage(format!("{name} is no schema file: its name ends in .toml, .yaml or .yml"))
    })?;
    let failed = |error: std::io::Error| Fail::file(path, "read", &error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES {
        return Err(Fail::Usage(format!("{name} is longer than 16 MB; a schema file is not")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(parse(&name, &text, language)?)
}

fn apply(context: &Context, arguments: &Apply, operation: &Operation) -> Result<()> {
    let wanted = read(&arguments.file.file)?;
    let store = open_or_create(context, Options::default())?;
    let plan = plan(&store.view(), &wanted)?;
    let mut detail: Vec<String> = plan.changes.iter().map(ToString::to_string).collect();
    if detail.is_empty() {
        detail.push("nothing to do".to_owned());
    }
    let done = operation.done(now_ns(), &detail.join("; "));
    let report = plan.carry_out(&store, arguments.force, &done)?;
    store.close()?;
    let mut out = Out::stdout();
    write_changes(context, &plan, &mut out)?;
    if !context.json {
        let count = plan.changes.len();
        match count {
            0 => writeln!(out, "nothing to do: the store is as declared")?,
            _ => writeln!(out, "{count} changes; version {}", report.version)?,
        }
    }
    out.finish()
}

fn write_changes(context: &Context, plan: &Plan, out: &mut Out) -> Result<()> {
    for change in &plan.changes {
        if context.json {
            let mut object = Object::new().text("change", change.kind()).text("what", &change.to_string());
            if let Change::Create { key, .. }
            | Change::AddColumn { key, .. }
            | Change::AlterColumn { key, .. }
            | Change::Rebuild { key, .. } = change
            {
                object = object.text("instrument", key.instrument()).text("frame", &key.frame().to_string());
            }
            out.write_all(&object.flag("loses_data", !change.losses().is_empty()).line())?;
        } else {
            writeln!(out, "{}", plain(&change.to_string()))?;
        }
    }
    Ok(())
}

fn diff(context: &Context, arguments: &SchemaFile) -> Result<()> {
    let wanted = read(&arguments.file)?;
    let store = context.open_to_read()?;
    let plan = plan(&store.view(), &wanted)?;
    let mut out = Out::stdout();
    write_changes(context, &plan, &mut out)?;
    if plan.is_empty() && !context.json {
        writeln!(out, "no difference: the store is as declared")?;
    }
    out.finish()?;
    match plan.changes.len() {
        0 => Ok(()),
        count => Err(Fail::Findings(format!("{count} changes; tape schema apply makes them"))),
    }
}

fn check(context: &Context, arguments: &Validate) -> Result<()> {
    let given = arguments.file.as_deref().map(read).transpose()?;
    let store = context.open_to_read()?;
    let wanted = match given {
        Some(wanted) => wanted,
        None => declared(&store.view())?,
    };
    if wanted.tables.is_empty() {
        return Err(Fail::Usage("no table is declared; name a schema file, or apply one".into()));
    }
    let findings = validate(&store.view(), &wanted)?;
    let wrong = findings.iter().filter(|finding| finding.wrong).count();
    drop(store);
    note_validation(context, arguments, wrong);
    let mut out = Out::stdout();
    for finding in &findings {
        if context.json {
            out.write_all(&as_json(finding).line())?;
        } else {
            writeln!(out, "{}", plain(&as_text(finding)))?;
        }
    }
    if wrong == 0 && !context.json {
        writeln!(out, "the store is as declared: {} tables", wanted.tables.len())?;
    }
    out.finish()?;
    match wrong {
        0 => Ok(()),
        count => Err(Fail::Findings(format!(
            "{count} contradictions; tape schema diff shows what would mend them"
        ))),
    }
}

/// Checking changes nothing, so it is noted only where nobody else writes.
fn note_validation(context: &Context, arguments: &Validate, wrong: usize) {
    let target = arguments.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let operation = Operation::begin(now_ns(), "schema validate", &target);
    let Ok(store) = context.open_to_write() else { return };
    let _ = match wrong {
        0 => note_done(&store, &operation, "as declared"),
        count => store
            .note(&operation.failed(now_ns(), &format!("{count} contradictions")))
            .map(drop)
            .map_err(Fail::from),
    };
    let _ = Store::close(store);
}

fn as_json(finding: &Finding) -> Object {
    let mut object = Object::new().text("table", &finding.table);
    if let Some(series) = &finding.series {
        object = object.text("instrument", series.instrument()).text("frame", &series.frame().to_string());
    }
    if let Some(column) = &finding.column {
        object = object.text("column", column);
    }
    object.text("what", &finding.what).flag("wrong", finding.wrong)
}

fn as_text(finding: &Finding) -> String {
    let class = if finding.wrong { "wrong" } else { "note" };
    let series = finding.series.as_ref().map(|series| format!(": {series}")).unwrap_or_default();
    let column = finding.column.as_ref().map(|column| format!(" column {column:?}")).unwrap_or_default();
    format!("{class}: table {:?}{series}{column} {}", finding.table, finding.what)
}

fn show(context: &Context, arguments: &ShowSchema) -> Result<()> {
    let store = context.open_to_read()?;
    let view = match &arguments.state.as_of {
        Some(text) => store.as_of(&as_of(&store, text)?)?,
        None => store.view(),
    };
    let mut known = declared(&view)?;
    if arguments.undeclared {
        known = undeclared(&view, &known)?;
    }
    if let Some(name) = &arguments.table {
        let names: Vec<String> = known.tables.iter().map(|table| table.name.clone()).collect();
        known.tables.retain(|table| table.name == *name);
        if known.tables.is_empty() {
            let names = names.join(", ");
            return Err(Fail::Usage(format!("no table {name:?} is declared; declared are {names}")));
        }
    }
    let mut out = Out::stdout();
    if context.json {
        for table in &known.tables {
            let series = view.keys().into_iter().filter(|key| known.of(key) == Some(table)).count();
            let columns = table.columns.iter().map(|column| {
                let mut object = Object::new()
                    .text("name", &column.name)
                    .text("type", column.kind.name())
                    .flag("nullable", column.nullable);
                if let Some(default) = &column.default {
                    object = object.text("default", default);
                }
                object.text("comment", &column.comment)
            });
            let (key, dedup) = match &table.key {
                Key::Unique => ("unique", &[][..]),
                Key::Sequence(dedup) => ("sequence", dedup.as_slice()),
            };
            let tags = table.tags.iter().fold(Object::new(), |tags, (name, value)| tags.text(name, value));
            let mut object = Object::new()
                .text("table", &table.name)
                .raw("instruments", &texts(&table.instruments))
                .text("frame", &table.frame.to_string())
                .text("kind", table.kind.map_or("none", Kind::name))
                .text("key", key)
                .raw("dedup", &texts(dedup))
                .text("comment", &table.comment)
                .raw("tags", &tags.closed());
            if let Some(retention) = &table.retention {
                let rollup: Vec<&str> = retention.rollup.iter().map(|bars| bars.name()).collect();
                object = object.maybe_int("keep_ns", retention.keep_ns).raw("rollup", &texts(&rollup));
            }
            let object = object.count("series", series as u64).objects("columns", columns);
            out.write_all(&object.line())?;
        }
    } else {
        let text = if arguments.yaml { to_yaml(&known) } else { to_toml(&known) };
        out.write_all(text.as_bytes())?;
    }
    out.finish()
}

fn forget(context: &Context, arguments: &DropTable, operation: &Operation) -> Result<()> {
    let store = context.open_to_write()?;
    let done = operation.done(now_ns(), if arguments.keep_data { "the data is kept" } else { "" });
    let dropped = drop_table(&store, &arguments.table, arguments.keep_data, arguments.force, &done)?;
    store.close()?;
    let mut out = Out::stdout();
    if context.json {
        let object = Object::new().text("table", &arguments.table).count("series", dropped.len() as u64);
        out.write_all(&object.line())?;
    } else {
        let series = match (arguments.keep_data, dropped.len()) {
            (true, _) => "its series are kept".to_owned(),
            (_, count) => format!("{count} series are dropped; older versions keep them"),
        };
        writeln!(out, "table {:?} is forgotten, {series}", arguments.table)?;
    }
    out.finish()
}
