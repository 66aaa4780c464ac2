//! Import: from files as exchanges and tools write them to columns of a series.
//!
//! [`source`] opens and unpacks, [`records`] gives rows of text cells ([`csv`], [`json`]), [`columns`] decides which
//! cell is what, [`clock`] finds the unit of the times, [`infer`] the types of a table, [`batch`] fills columns. This
//! module drives them over one file. It knows nothing of the store: rows leave through a [`Sink`].

pub(crate) mod batch;
pub(crate) mod clock;
pub(crate) mod columns;
mod csv;
mod infer;
mod json;
mod kinds;
mod messages;
pub(crate) mod records;
pub(crate) mod source;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use ::csv::{ByteRecord, Writer, WriterBuilder};
use tapestore_catalog::{Kind, Table};
use tapestore_format::schema::{ColumnType, KeyPolicy, Schema};

use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::progress::Progress;
use batch::{Builder, Piece, Target, parse_bool};
use clock::{Clock, Unit, show};
use columns::{BAR_COLUMNS, FILE_COLUMNS, Mapping, Wishes, map_bars, map_table, too_many_columns};
use infer::Guess;
use kinds::map_kind;
use records::{Dialect, Header, Item, Records};
use source::Input;

/// A guessed time column must not hold times before 1990: prices read as seconds would.
const EARLIEST_GUESSED_NS: i64 = 631_152_000_000_000_000;

/// What a bad row does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnError {
    /// Ends the import; nothing of the file is committed.
    #[default]
    Stop,
    /// Is left out and counted.
    Skip,
    /// Is left out and written to a file beside.
    Quarantine,
}

/// How to import.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Overrides of what is found out about the file.
    pub(crate) dialect: Dialect,
    /// What the file holds, if the caller says so.
    pub(crate) kind: Option<Kind>,
    /// The table that is declared for the series.
    pub(crate) table: Option<Table>,
    /// What the caller says about columns.
    pub(crate) wishes: Wishes,
    /// Unit of the times, if given.
    pub(crate) unit: Option<Unit>,
    /// Take local clocks as they stand.
    pub(crate) drop_zone: bool,
    /// File inside a zip.
    pub(crate) entry: Option<String>,
    /// What a bad row does.
    pub(crate) on_error: OnError,
    /// Where bad rows go.
    pub(crate) quarantine: Option<PathBuf>,
    /// Most rows of one transaction.
    pub(crate) batch_rows: usize,
}

/// How far the file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progressed {
    /// Rows so far.
    pub(crate) read: u64,
    /// Bad ones among them.
    pub(crate) bad: u64,
    /// Whether this is the last piece.
    pub(crate) last: bool,
}

/// Takes the rows of one file.
pub(crate) trait Sink {
    /// The columns that will come; before the first piece.
    fn begin(&mut self, targets: &[Target]) -> Result<()>;
    /// Rows; a file is one piece up to the bound on rows.
    fn piece(&mut self, piece: Piece, progress: Progressed) -> Result<()>;
}

/// What importing one file came to, as far as the file goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Rows in the file, bad ones included.
    pub(crate) read: u64,
    /// Rows left out because they are bad.
    pub(crate) bad: u64,
    /// Rows left out because a filter says so.
    pub(crate) filtered: u64,
    /// Unfinished bars left out.
    pub(crate) unfinished: u64,
    /// Unit of the times.
    pub(crate) unit: Option<&'static str>,
    /// What the user may want to know.
    pub(crate) notes: Vec<String>,
}

/// Reads a file into `sink`. `bars`: the frame is a timeframe. `schema`: that of the series, if it exists.
pub(crate) fn import_file(
    input: Input,
    settings: &Settings,
    bars: bool,
    schema: Option<&Schema>,
    progress: &mut Progress,
    sink: &mut dyn Sink,
) -> Result<Tally> {
    // Types of a table follow from the whole file, so it is read twice.
    let input = if bars { input } else { input.rewindable()? };
    let quarantine = Quarantine::new(&input, settings)?;
    let mut records = open(&input, settings, progress)?;
    let header = records.header().clone();
    let name = records.name().to_owned();
    let mut tally = Tally::default();
    if header.width() == 0 {
        tally.notes.push("there are no rows".to_owned());
        return Ok(tally);
    }
    if header.width() > FILE_COLUMNS {
        return Err(too_many_columns(&name));
    }
    let mapping = match settings.kind {
        _ if bars => map_bars(&name, &header, &settings.wishes)?,
        Some(kind) => map_kind(&name, &header, &settings.wishes, kind, records.is_json())?,
        None => map_table(&name, &header, &settings.wishes)?,
    };
    let guesses = if bars || schema.is_some_and(|schema| knows_all(schema, &mapping)) {
        Vec::new()
    } else {
        let guesses = infer_types(&mut records, &mapping, progress)?;
        records = open(&input, settings, progress)?;
        guesses
    };
    let targets = targets(&name, &mapping, bars, schema, settings, &guesses)?;
    note_columns(&mapping, &mut tally);
    sink.begin(&targets)?;
    let needed_cells = if records.is_json() { needed(settings.kind, &mapping.columns) } else { Vec::new() };
    let clock = Clock::new(settings.unit, settings.drop_zone);
    let mut run = Run {
        name,
        builder: Builder::new(clock, mapping.time, header.width(), &targets),
        needed: needed_cells,
        mapping,
        settings,
        header,
        quarantine,
        keep_times_together: schema.map_or(!bars, |schema| schema.key != KeyPolicy::Unique),
        time_is_a_guess: !bars
            && matches!(records.header(), Header::Positions { .. })
            && settings.wishes.columns.iter().all(|(name, _)| name != "time"),
        place: records.place(),
        symbol: None,
        highest_time: None,
        tally,
    };
    run.read_all(&mut records, progress, sink)?;
    Ok(run.tally)
}

fn open(input: &Input, settings: &Settings, progress: &mut Progress) -> Result<Records> {
    let source = input.open(settings.entry.as_deref())?;
    progress.follow(&source.name, &source.done, source.total);
    Records::open(source, &settings.dialect, settings.kind)
}

fn knows_all(schema: &Schema, mapping: &Mapping) -> bool {
    mapping.columns.iter().all(|mapped| schema.column(&mapped.name).is_some())
}

fn infer_types(records: &mut Records, mapping: &Mapping, progress: &mut Progress) -> Result<Vec<Guess>> {
    let mut guesses = vec![Guess::default(); mapping.columns.len()];
    let mut record = ByteRecord::new();
    let width = records.header().width();
    let mut rows = 0;
    loop {
        match records.read(&mut record)? {
            Item::Row(_) if record.len() == width && passes(mapping, &record) => {
                for (guess, mapped) in guesses.iter_mut().zip(&mapping.columns) {
                    mapped.cell.and_then(|cell| record.get(cell)).inspect(|cell| guess.see(cell));
                }
                rows += 1;
                progress.tick("looking at types", rows);
            }
            Item::Row(_) | Item::Bad { .. } => {}
            Item::End => return Ok(guesses),
        }
    }
}

fn passes(mapping: &Mapping, record: &ByteRecord) -> bool {
    mapping
        .filters
        .iter()
        .all(|(cell, wanted)| record.get(*cell).is_some_and(|cell| cell == wanted.as_bytes()))
}

/// The columns to fill: types from the series, else from the caller, else as bars have them, else as inferred.
fn targets(
    file: &str,
    mapping: &Mapping,
    bars: bool,
    schema: Option<&Schema>,
    settings: &Settings,
    guesses: &[Guess],
) -> Result<Vec<Target>> {
    let wishes = &settings.wishes;
    let standard = |name: &str| settings.kind?.columns().iter().find(|column| column.name == name);
    let declared = |name: &str| settings.table.as_ref()?.column(name);
    if let Some((name, _)) =
        wishes.types.iter().find(|(name, _)| mapping.columns.iter().all(|mapped| mapped.name != *name))
    {
        return Err(Fail::Usage(format!("--type {name}=… names a column that {file} does not give")));
    }
    let mut targets = Vec::new();
    for (index, mapped) in mapping.columns.iter().enumerate() {
        let name = mapped.name.clone();
        let known = schema.and_then(|schema| schema.column(&name));
        let given = wishes.types.iter().find(|(wanted, _)| *wanted == name).map(|(_, kind)| *kind);
        if let (Some(known), Some(given)) = (known, given)
            && known.kind != given
        {
            return Err(Fail::Usage(format!(
                "column {name} of the series is {}, --type says {}; leave the option out",
                known.kind.name(),
                given.name()
            )));
        }
        let required_bar = bars && BAR_COLUMNS.contains(&name.as_str());
        let own = standard(&name);
        let default = mapped.fixed.map(str::to_owned).or_else(|| declared(&name)?.default.clone());
        let (kind, nullable) = match (known, given, guesses.get(index)) {
            (Some(known), _, _) => (known.kind, known.nullable),
            (None, Some(given), _) => (given, !required_bar && !own.is_some_and(|own| own.required)),
            (None, None, Some(guess)) if own.is_some() => {
                let own = own.expect("checked");
                let text = own.id && guess.kind().0 != ColumnType::I64;
                (if text { ColumnType::String } else { own.kind }, !own.required)
            }
            _ if settings.kind == Some(Kind::Depth) && is_level(&name) => (ColumnType::F64, true),
            (None, None, Some(guess)) => {
                let (kind, empty) = guess.kind();
                // A column added to an existing series has no value in older rows.
                (kind, empty || schema.is_some() || settings.kind.is_some())
            }
            (None, None, None) if bars && name == "trades" => (ColumnType::I64, true),
            (None, None, None) => (ColumnType::F64, !required_bar),
        };
        let words = own.map(|own| own.words).unwrap_or_default();
        targets.push(Target { name, kind, nullable, cell: mapped.cell, default, words });
    }
    if let Some(schema) = schema {
        for column in
            schema.columns.iter().filter(|column| mapping.columns.iter().all(|m| m.name != column.name))
        {
            if let Some(default) = declared(&column.name).and_then(|column| column.default.clone()) {
                let (name, kind, nullable) = (column.name.clone(), column.kind, column.nullable);
                targets.push(Target { name, kind, nullable, cell: None, default: Some(default), words: &[] });
            }
        }
        let missing = schema
            .columns
            .iter()
            .find(|column| !column.nullable && targets.iter().all(|target| target.name != column.name));
        if let Some(column) = missing {
            return Err(Fail::Usage(format!(
                "{file} has no column {0:?}, which every row of the series has; name it with --column {0}=NAME",
                column.name
            )));
        }
    }
    Ok(targets)
}

/// The cells of the columns that rows of a kind must have, or of all where none must be.
fn needed(kind: Option<Kind>, columns: &[columns::Mapped]) -> Vec<usize> {
    let Some(kind) = kind else { return Vec::new() };
    let required = |mapped: &&columns::Mapped| {
        let mut own = kind.columns().iter();
        own.any(|own| {
            own.name == mapped.name && (own.required || kind == Kind::Quotes && own.name != "update")
        })
    };
    columns.iter().filter(required).filter_map(|mapped| mapped.cell).collect()
}

/// Whether a column is one of a book of fixed depth.
fn is_level(name: &str) -> bool {
    let rest = name.strip_prefix("bid").or_else(|| name.strip_prefix("ask")).unwrap_or_default();
    let digits = rest.strip_suffix("_size").unwrap_or(rest);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn note_columns(mapping: &Mapping, tally: &mut Tally) {
    if !mapping.ignored.is_empty() {
        let listing: Vec<_> = mapping.ignored.iter().map(|name| format!("{name:?}")).collect();
        tally
            .notes
            .push(format!("columns left out: {} (keep one with --column NAME=COLUMN)", listing.join(", ")));
    }
    for (from, to) in &mapping.renamed {
        tally.notes.push(format!("column {from:?} becomes {to:?}: rows use that name themselves"));
    }
}

/// One pass over a file.
struct Run<'a> {
    name: String,
    builder: Builder,
    mapping: Mapping,
    settings: &'a Settings,
    header: Header,
    quarantine: Option<Quarantine>,
    /// Rows of one time must reach the store together.
    keep_times_together: bool,
    /// No name says which column is the time: the first was taken.
    time_is_a_guess: bool,
    /// What rows are counted by in messages: lines, or rows of a document.
    place: &'static str,
    /// Cells of which a row of JSON has one at least, if it is of the kind.
    needed: Vec<usize>,
    symbol: Option<Vec<u8>>,
    highest_time: Option<i64>,
    tally: Tally,
}

impl Run<'_> {
    fn read_all(
        &mut self,
        records: &mut Records,
        progress: &mut Progress,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let mut record = ByteRecord::new();
        let delimiter = records.delimiter();
        loop {
            match records.read(&mut record)? {
                Item::Row(line) => {
                    self.tally.read += 1;
                    self.take_row(&record, line, delimiter, sink)?;
                }
                Item::Bad { line, what, text } => {
                    self.tally.read += 1;
                    self.bad_row(&ByteRecord::from(vec![text]), line, delimiter, &what)?;
                }
                Item::End => break,
            }
            progress.tick("reading", self.tally.read);
        }
        self.tally.unit = self.builder.unit().map(Unit::name);
        if self.builder.len() > 0 {
            self.flush(true, sink)?;
        }
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.finish()?;
        }
        Ok(())
    }

    fn take_row(&mut self, record: &ByteRecord, line: u64, delimiter: u8, sink: &mut dyn Sink) -> Result<()> {
        if record.len() == self.header.width() {
            if !passes(&self.mapping, record) || self.is_other_message(record) {
                self.tally.filtered += 1;
                return Ok(());
            }
            let unfinished = self.mapping.finished.and_then(|cell| record.get(cell)).and_then(parse_bool);
            if unfinished == Some(false) {
                self.tally.unfinished += 1;
                return Ok(());
            }
            self.check_symbol(record, line)?;
        }
        if self.builder.len() >= self.settings.batch_rows {
            let last = self.builder.last_time();
            if !self.keep_times_together || last != self.builder.peek_time(record) {
                self.flush(false, sink)?;
            }
        }
        match self.builder.push(record) {
            Ok(()) => Ok(()),
            Err(what) => self.bad_row(record, line, delimiter, &what),
        }
    }

    /// Whether a row of JSON has none of the values that rows of the kind must have: another message of the same stream.
    fn is_other_message(&self, record: &ByteRecord) -> bool {
        !self.needed.is_empty()
            && self
                .needed
                .iter()
                .all(|cell| record.get(*cell).is_none_or(|cell| cell.trim_ascii().is_empty()))
    }

    /// Bars of two instruments in one series would overwrite each other.
    fn check_symbol(&mut self, record: &ByteRecord, line: u64) -> Result<()> {
        let Some(cell) = self.mapping.symbol.and_then(|cell| record.get(cell)) else { return Ok(()) };
        // Messages of one stream need not all say of what they are.
        if self.settings.kind.is_some() && cell.is_empty() {
            return Ok(());
        }
        match &self.symbol {
            None => self.symbol = Some(cell.to_vec()),
            Some(symbol) if symbol != cell => {
                let column = match &self.header {
                    Header::Names(names) => {
                        self.mapping.symbol.map_or("symbol", |index| names[index].as_str())
                    }
                    Header::Positions { .. } => "symbol",
                };
                return Err(Fail::Usage(format!(
                    "{}, {} {line}: the file holds several instruments ({} and {}); choose one with --where {column}={}",
                    self.name,
                    self.place,
                    show(symbol),
                    show(cell),
                    String::from_utf8_lossy(symbol)
                )));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn bad_row(&mut self, record: &ByteRecord, line: u64, delimiter: u8, what: &str) -> Result<()> {
        self.tally.bad += 1;
        match self.settings.on_error {
            OnError::Stop => {
                let so_far = if self.highest_time.is_some() {
                    "earlier batches of it are committed"
                } else {
                    "nothing of it is committed"
                };
                return Err(Fail::Findings(format!(
                    "{}, {} {line}: {what}; {so_far}; leave bad rows out with --on-error skip or quarantine",
                    self.name, self.place
                )));
            }
            OnError::Skip => {}
            OnError::Quarantine => {
                if let Some(quarantine) = &mut self.quarantine {
                    quarantine.write(record, &self.header, delimiter)?;
                }
            }
        }
        if self.tally.bad <= 5 {
            self.tally.notes.push(format!("{} {line}: {what}", self.place));
        }
        Ok(())
    }

    fn flush(&mut self, last: bool, sink: &mut dyn Sink) -> Result<()> {
        let piece = self.builder.take();
        let earliest = piece.time.iter().min().copied().unwrap_or(0);
        if self.time_is_a_guess && earliest < EARLIEST_GUESSED_NS {
            return Err(Fail::Usage(format!(
                "{} has no names, and its first column does not look like a time ({}); say which is with --column time=N",
                self.name,
                brief(earliest)
            )));
        }
        if self.keep_times_together {
            let lowest = piece.time.iter().min().copied();
            if let (Some(highest), Some(lowest)) = (self.highest_time, lowest)
                && lowest <= highest
            {
                return Err(Fail::Usage(format!(
                    "{} is not in order of time across its batches of {} rows, so equal rows cannot be told from repeated ones; sort it, or raise --batch-rows",
                    self.name, self.settings.batch_rows
                )));
            }
        }
        self.highest_time = self.highest_time.max(piece.time.iter().max().copied());
        sink.piece(piece, Progressed { read: self.tally.read, bad: self.tally.bad, last })
    }
}

/// Where bad rows go: written on the first one.
struct Quarantine {
    path: PathBuf,
    writer: Option<Writer<BufWriter<File>>>,
}

impl Quarantine {
    fn new(input: &Input, settings: &Settings) -> Result<Option<Self>> {
        if settings.on_error != OnError::Quarantine {
            return Ok(None);
        }
        let path = match (&settings.quarantine, input) {
            (Some(path), _) => path.clone(),
            (None, Input::File(path)) => {
                let mut name = path.clone().into_os_string();
                name.push(".quarantine");
                name.into()
            }
            (None, _) => {
                return Err(Fail::Usage("say where bad rows of standard input go: --quarantine FILE".into()));
            }
        };
        Ok(Some(Self { path, writer: None }))
    }

    fn write(&mut self, record: &ByteRecord, header: &Header, delimiter: u8) -> Result<()> {
        let failed = |error: ::csv::Error| Fail::file(&self.path, "write", &error.into());
        if self.writer.is_none() {
            let file = File::create(&self.path).map_err(|error| Fail::file(&self.path, "write", &error))?;
            let mut writer =
                WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(BufWriter::new(file));
            if let Header::Names(names) = header {
                writer.write_record(names).map_err(failed)?;
            }
            self.writer = Some(writer);
        }
        let writer = self.writer.as_mut().expect("opened above");
        writer.write_byte_record(record).map_err(|error| Fail::file(&self.path, "write", &error.into()))
    }

    fn finish(&mut self) -> Result<()> {
        match &mut self.writer {
            Some(writer) => writer.flush().map_err(|error| Fail::file(&self.path, "write", &error)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
