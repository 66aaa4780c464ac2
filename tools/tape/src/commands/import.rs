//! `tape import`: from files into the store, one transaction a file.

use std::time::Instant;

use tapestore::{Batch, Error, Operation, Options, SeriesKey, Store};
use tapestore_catalog::kind::{Class, Identity};
use tapestore_catalog::{Kind, Table, declared};
use tapestore_format::schema::{Column, KeyPolicy, Schema};

use super::Context;
use super::operations::watched;
use crate::args::{Format, Import};
use crate::fail::{Fail, Result};
use crate::import::batch::{Piece, Target};
use crate::import::columns::{BAR_COLUMNS, OPTIONAL_BAR_COLUMNS, Wishes};
use crate::import::records::Dialect;
use crate::import::source::Input;
use crate::import::{Progressed, Settings, Sink, Tally, import_file};
use crate::number::grouped;
use crate::output::json::Object;
use crate::output::{Out, note};
use crate::progress::Progress;
use crate::when::now_ns;
use std::io::Write;

/// From this many rows on, an import leaves its rows in a segment: the next open has nothing to replay.
const SEAL_ROWS: u64 = 10_000;

/// What importing one file came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// As far as the file goes.
    pub(crate) tally: Tally,
    /// Rows that were not there.
    pub(crate) added: u64,
    /// Rows that were there with other values.
    pub(crate) updated: u64,
    /// Rows that were there already.
    pub(crate) unchanged: u64,
    /// Rows that the file itself holds twice.
    pub(crate) duplicates: u64,
    /// Version of the store afterwards.
    pub(crate) version: u64,
    /// Time it took.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// Rows a second.
    pub(crate) fn speed(&self) -> f64 {
        self.tally.read as f64 / self.seconds.max(1e-9)
    }
}

/// Runs `tape import`.
pub(crate) fn run(context: &Context, arguments: &Import) -> Result<()> {
    let target = target(arguments);
    let target = format!("{} {}", target.0.unwrap_or_default(), target.1.unwrap_or_default());
    let (key, settings, store) = watched(context, "import", &target, |_| prepare(context, arguments))?;
    let mut out = Out::stdout();
    let mut rows = 0;
    for file in &arguments.files {
        let operation = Operation::begin(now_ns(), "import", &key.to_string());
        let mut progress = Progress::new(context.quiet);
        let outcome =
            import_one(&store, &key, Input::new(file), &settings, arguments, &operation, &mut progress);
        progress.clear();
        let outcome = outcome.inspect_err(|fail| {
            let _ = store.note(&operation.failed(now_ns(), &fail.to_string()));
        })?;
        for text in &outcome.tally.notes {
            note(context.quiet, &format!("tape: {}: {text}", file.display()));
        }
        if context.json {
            out.write_all(&as_json(&key, &file.display().to_string(), &outcome).line())?;
        } else {
            writeln!(out, "{}", as_text(&key, &outcome))?;
        }
        out.flush()?;
        rows += outcome.added + outcome.updated;
    }
    if rows >= SEAL_ROWS {
        store.seal()?;
    }
    // Sealing and compaction run beside the import; many imports must not pile up small segments.
    store.wait_idle()?;
    store.close()?;
    out.finish()
}

/// Instrument and frame, as said or as the kind has them.
fn target(arguments: &Import) -> (Option<&str>, Option<&str>) {
    let kind = arguments.kind;
    let frame = kind.filter(|kind| *kind != Kind::Bars).map(Kind::name);
    (arguments.instrument.as_deref().or_else(|| kind?.instrument()), arguments.frame.as_deref().or(frame))
}

/// What can be wrong before a file is read.
fn prepare(context: &Context, arguments: &Import) -> Result<(SeriesKey, Settings, Store)> {
    let (Some(instrument), Some(frame)) = target(arguments) else {
        let kind = arguments.kind.map_or("", Kind::name);
        return Err(Fail::Usage(format!("of what are these {kind}? say --instrument, and of bars --frame")));
    };
    let key = SeriesKey::new(instrument, frame)?;
    if arguments.kind.is_some_and(|kind| (kind == Kind::Bars) != key.frame().timeframe().is_some()) {
        return Err(Fail::Usage("bars, and only they, have a timeframe as their frame".into()));
    }
    if key.frame().timeframe().is_some() && (!arguments.dedup.is_empty() || arguments.unique) {
        return Err(Fail::Usage(
            "--dedup and --unique are for trades and tables; bars are unique by time".into(),
        ));
    }
    for file in &arguments.files {
        if file.as_os_str() != "-" && !file.exists() {
            return Err(Fail::Io(format!("there is no file {}", file.display())));
        }
    }
    Ok((key, settings(arguments), open_or_create(context, arguments.tiers.options())?))
}

pub(super) fn open_or_create(context: &Context, options: Options) -> Result<Store> {
    let directory = context.directory()?;
    if directory.exists() {
        return Ok(Store::open(directory, options)?);
    }
    note(context.quiet, &format!("tape: creating a new store at {}", directory.display()));
    Ok(Store::create(directory, options)?)
}

fn settings(arguments: &Import) -> Settings {
    Settings {
        dialect: Dialect {
            header: match (arguments.header, arguments.no_header) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            delimiter: arguments.delimiter,
            json: arguments.format.map(|format| format == Format::Json),
        },
        kind: arguments.kind,
        table: None,
        wishes: Wishes {
            columns: arguments.columns.clone(),
            types: arguments.types.clone(),
            filters: arguments.filters.clone(),
            no_volume: arguments.no_volume,
        },
        unit: arguments.time_unit,
        drop_zone: arguments.drop_zone,
        entry: arguments.entry.clone(),
        on_error: arguments.on_error,
        quarantine: arguments.quarantine.clone(),
        batch_rows: usize::try_from(arguments.batch_rows).unwrap_or(usize::MAX),
    }
}

/// Imports one file into one series.
fn import_one(
    store: &Store,
    key: &SeriesKey,
    input: Input,
    settings: &Settings,
    arguments: &Import,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Outcome> {
    let message = arguments.message.clone().unwrap_or_else(|| {
        let name = input.name();
        format!("import {}", name.rsplit(['/', '\\']).next().unwrap_or(&name))
    });
    let mut sink = StoreSink::new(store, key, &arguments.source, &message, operation.clone())?;
    sink.kind = arguments.kind;
    sink.dedup.clone_from(&arguments.dedup);
    sink.unique = arguments.unique;
    sink.import(input, settings, progress)
}

/// Writes the rows of one file to one series.
pub(crate) struct StoreSink<'a> {
    store: &'a Store,
    key: &'a SeriesKey,
    schema: Option<Schema>,
    source: String,
    message: String,
    /// What the file holds, if that is said.
    pub(crate) kind: Option<Kind>,
    /// The table that is declared for the series.
    table: Option<Table>,
    /// Columns that identify a row of a new sequence.
    pub(crate) dedup: Vec<String>,
    /// A new table holds one row per time.
    pub(crate) unique: bool,
    targets: Vec<Target>,
    prepared: bool,
    operation: Operation,
    file: String,
    outcome: Outcome,
}

impl<'a> StoreSink<'a> {
    /// A sink for one file.
    pub(crate) fn new(
        store: &'a Store,
        key: &'a SeriesKey,
        source: &str,
        message: &str,
        operation: Operation,
    ) -> Result<Self> {
        let view = store.view();
        let schema = match view.info(key) {
            Ok(info) => Some(Schema::clone(&info.schema)),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let table = declared(&view)?.of(key).cloned();
        let outcome = Outcome { version: view.version(), ..Outcome::default() };
        Ok(Self {
            store,
            key,
            schema,
            source: source.to_owned(),
            message: message.to_owned(),
            kind: None,
            table,
            dedup: Vec::new(),
            unique: false,
            targets: Vec::new(),
            prepared: false,
            operation,
            file: String::new(),
            outcome,
        })
    }

    /// Imports the file.
    pub(crate) fn import(
        mut self,
        input: Input,
        settings: &Settings,
        progress: &mut Progress,
    ) -> Result<Outcome> {
        let started = Instant::now();
        self.file = input.name();
        let bars = self.key.frame().timeframe().is_some();
        // A series that does not exist yet becomes as it is declared.
        let schema = match (&self.schema, &self.table) {
            (None, Some(table)) => Some(table.schema()?),
            (known, _) => known.clone(),
        };
        let settings = &Settings { table: self.table.clone(), ..settings.clone() };
        let tally = import_file(input, settings, bars, schema.as_ref(), progress, &mut self)?;
        if !self.prepared {
            let progress = Progressed { read: tally.read, bad: tally.bad, last: true };
            self.store.note(&self.noted(progress))?;
        }
        self.outcome.tally = tally;
        self.outcome.seconds = started.elapsed().as_secs_f64();
        Ok(self.outcome)
    }

    /// The import as the log of operations shows it.
    fn noted(&self, progress: Progressed) -> Operation {
        let mut detail = format!("{} rows read from {}", grouped(progress.read), self.file);
        if progress.bad > 0 {
            detail += &format!(", {} bad ones left out", grouped(progress.bad));
        }
        if progress.last {
            self.operation.done(now_ns(), &detail)
        } else {
            self.operation.running(now_ns(), &detail)
        }
    }

    fn new_schema(&self) -> Result<Schema> {
        let bars = self.key.frame().timeframe().is_some();
        if let Some(table) = &self.table {
            return self.declared_schema(table);
        }
        let mut columns = self.standard_columns();
        let plain = if bars {
            let optional: Vec<&str> = self
                .targets
                .iter()
                .map(|target| target.name.as_str())
                .filter(|name| OPTIONAL_BAR_COLUMNS.contains(name))
                .collect();
            Some(tapestore::schema::bars_with(&optional)?)
        } else {
            None
        };
        if let Some(plain) = &plain {
            columns.clone_from(&plain.columns);
        }
        let known = |name: &str| BAR_COLUMNS.contains(&name) || OPTIONAL_BAR_COLUMNS.contains(&name);
        let standard = columns.len();
        for target in self.targets.iter().filter(|target| !bars || !known(&target.name)) {
            if columns[..standard].iter().any(|column| column.name == target.name) {
                continue;
            }
            columns.push(Column {
                id: columns.len() as u16,
                name: target.name.clone(),
                kind: target.kind,
                nullable: target.nullable,
                description: String::new(),
            });
        }
        let id_of =
            |name: &String| {
                columns.iter().find(|column| column.name == *name).map(|column| column.id).ok_or_else(|| {
                    Fail::Usage(format!("--dedup names {name:?}, which is no column of the file"))
                })
            };
        let identity = self.identity(&columns);
        let dedup = identity.iter().map(id_of).collect::<Result<_>>()?;
        let key = if bars || self.unique { KeyPolicy::Unique } else { KeyPolicy::Sequence { dedup } };
        let schema = Schema { columns, key };
        match schema.problem() {
            None => Ok(schema),
            Some(problem) => Err(Fail::Usage(format!("{}: {problem}", self.key))),
        }
    }

    /// The columns of the kind: of market data those that the file has, of tables all.
    fn standard_columns(&self) -> Vec<Column> {
        let Some(kind) = self.kind.filter(|kind| !matches!(kind, Kind::Bars | Kind::Depth)) else {
            return Vec::new();
        };
        let target = |name: &str| self.targets.iter().find(|target| target.name == name);
        let mut columns = kind.schema().columns;
        columns.retain(|column| kind.class() != Class::Market || target(&column.name).is_some());
        for (column, id) in columns.iter_mut().zip(0..) {
            column.id = id;
            if let Some(target) = target(&column.name) {
                (column.kind, column.nullable) = (target.kind, target.nullable);
            }
        }
        columns
    }

    /// The names of the columns that identify a row of a new sequence.
    fn identity(&self, columns: &[Column]) -> Vec<String> {
        match self.kind.map(Kind::identity) {
            Some(Identity::Columns(names)) if self.dedup.is_empty() && !self.unique => {
                let has = |name: &&&str| columns.iter().any(|column| column.name == ***name);
                names.iter().filter(has).map(|name| (*name).to_owned()).collect()
            }
            _ => self.dedup.clone(),
        }
    }

    /// The schema that is declared, and further columns of the file.
    fn declared_schema(&self, table: &Table) -> Result<Schema> {
        let mut schema = table.schema()?;
        for target in &self.targets {
            if schema.column(&target.name).is_none() {
                schema.columns.push(Column {
                    id: schema.columns.len() as u16,
                    name: target.name.clone(),
                    kind: target.kind,
                    nullable: true,
                    description: String::new(),
                });
            }
        }
        self.check_key(&schema)?;
        Ok(schema)
    }

    /// Rows without any of the columns that tell rows apart would replace one another.
    fn check_identity(&self) -> Result<()> {
        let declared = self.table.as_ref().map(Table::schema).transpose()?;
        let Some(schema) = self.schema.as_ref().or(declared.as_ref()) else { return Ok(()) };
        let dedup = schema.dedup().iter().filter_map(|id| schema.column_by_id(*id));
        let names: Vec<&str> = dedup.map(|column| column.name.as_str()).collect();
        let given = |name: &&str| self.targets.iter().any(|target| target.name == **name);
        if names.is_empty() || names.iter().any(given) {
            return Ok(());
        }
        Err(Fail::Usage(format!(
            "rows of {} are told apart by {}, which {} does not have: those of one time would replace one another; name it with --column {}=NAME, or import into another series",
            self.key,
            names.join(", "),
            self.file,
            names[0]
        )))
    }

    fn check_key(&self, schema: &Schema) -> Result<()> {
        if self.unique && schema.key != KeyPolicy::Unique {
            return Err(Fail::Usage(format!(
                "{} exists and is not unique by time; leave --unique out",
                self.key
            )));
        }
        let names: Vec<&str> = schema
            .dedup()
            .iter()
            .filter_map(|id| schema.column_by_id(*id))
            .map(|column| column.name.as_str())
            .collect();
        if !self.dedup.is_empty() && names != self.dedup {
            return Err(Fail::Usage(format!(
                "{} exists and its rows are identified by {names:?}; leave --dedup out",
                self.key
            )));
        }
        Ok(())
    }
}

impl Sink for StoreSink<'_> {
    fn begin(&mut self, targets: &[Target]) -> Result<()> {
        self.targets = targets.to_vec();
        match &self.schema {
            Some(schema) => self.check_key(schema),
            // Wrong wishes are told before the file is read.
            None => self.new_schema().map(|_| ()),
        }?;
        self.check_identity()
    }

    fn piece(&mut self, piece: Piece, progress: Progressed) -> Result<()> {
        let mut transaction = self.store.begin();
        transaction.source(&self.source).message(&self.message);
        let mut alters = false;
        if !self.prepared {
            match &self.schema {
                None => {
                    transaction.create_series(self.key, self.new_schema()?)?;
                    alters = true;
                }
                Some(schema) => {
                    for target in self.targets.iter().filter(|target| schema.column(&target.name).is_none()) {
                        transaction.add_column(self.key, &target.name, target.kind, "")?;
                        alters = true;
                    }
                }
            }
        }
        let mut batch = Batch::new(piece.time);
        for (name, values) in piece.columns {
            batch = batch.with(&name, values);
        }
        transaction.merge(self.key, batch)?;
        transaction.note(&self.noted(progress))?;
        let report = transaction.commit()?;
        self.prepared = true;
        self.outcome.added += report.added;
        self.outcome.updated += report.updated;
        self.outcome.unchanged += report.unchanged;
        self.outcome.duplicates += report.duplicates;
        // Where nothing is new, the version is the one that held the rows already; the next one only tells of this import.
        if alters || report.added + report.updated > 0 {
            self.outcome.version = report.version;
        }
        Ok(())
    }
}

fn as_json(key: &SeriesKey, file: &str, outcome: &Outcome) -> Object {
    let tally = &outcome.tally;
    Object::new()
        .text("file", file)
        .text("instrument", key.instrument())
        .text("frame", &key.frame().to_string())
        .count("rows", tally.read)
        .count("added", outcome.added)
        .count("updated", outcome.updated)
        .count("unchanged", outcome.unchanged)
        .count("duplicates", outcome.duplicates)
        .count("bad", tally.bad)
        .count("filtered", tally.filtered)
        .count("unfinished", tally.unfinished)
        .text("time_unit", tally.unit.unwrap_or("unknown"))
        .count("version", outcome.version)
        .float("seconds", (outcome.seconds * 1e3).round() / 1e3)
        .float("rows_per_second", outcome.speed().round())
}

fn as_text(key: &SeriesKey, outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut parts = vec![format!("{} rows read", grouped(tally.read))];
    if outcome.added + outcome.updated == 0 && tally.read > 0 {
        parts.push("nothing new".to_owned());
    }
    for (count, what, always) in [
        (outcome.added, "added", true),
        (outcome.updated, "updated", true),
        (outcome.unchanged, "unchanged", true),
        (outcome.duplicates, "duplicates", true),
        (tally.bad, "bad", true),
        (tally.filtered, "of other instruments or kinds", false),
        (tally.unfinished, "unfinished", false),
    ] {
        if always || count > 0 {
            parts.push(format!("{} {what}", grouped(count)));
        }
    }
    let unit = tally.unit.map(|unit| format!("; times in {unit}")).unwrap_or_default();
    format!(
        "{key}: {}{unit}; {:.2} s, {} rows/s; version {}",
        parts.join(", "),
        outcome.seconds,
        grouped(outcome.speed() as u64),
        outcome.version
    )
}
