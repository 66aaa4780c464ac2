//! Sources as a configuration declares or changes them.

use std::path::Path;
use std::sync::Arc;

use tapestore::Timeframe;
use tapestore_catalog::file::{Node, Reader, Value, mistake};

use super::{Members, Reading, member};
use crate::error::{Error, Result};
use crate::source::{Manners, Naming, Source};
use crate::sources::declared::{Declared, MORE_COLUMNS, Place, Shape, Unit, share};
use crate::sources::{self, Settings};
use crate::wire::Secret;

const SETTINGS: [&str; 6] = ["kind", "url", "name", "keys", "concurrency", "weight_per_minute"];
const DECLARED: [&str; 11] = [
    "path",
    "command",
    "time",
    "time_unit",
    "utc_offset",
    "columns",
    "intervals",
    "page_bars",
    "complete",
    "rows",
    "delimiter",
];

impl Reading<'_> {
    fn settings(&self, members: Members<'_>) -> Result<Settings> {
        let number = |name: &str, most: i64| {
            Self::optional(members, name, |node| Ok(self.reader.integer(node, name, 1..=most)?))
        };
        let keys = Self::optional(members, "keys", |node| {
            let keys = self.reader.list(node, "keys")?;
            keys.iter().map(|node| secret(self.reader, &self.folder, node)).collect::<Result<Vec<_>>>()
        })?;
        Ok(Settings {
            url: self.text(members, "url")?,
            name: self.text(members, "name")?,
            secrets: keys.unwrap_or_default(),
            weight_per_minute: number("weight_per_minute", 1_000_000)?.map(|number| number as u32),
            concurrency: number("concurrency", 64)?.map(|number| number as usize),
        })
    }

    pub(super) fn source(&self, name: &str, line: usize, node: &Node) -> Result<Arc<dyn Source>> {
        let kind = match self.reader.map(node, "a source")?.iter().find(|member| member.0 == "kind") {
            Some((_, _, node)) => self.reader.text(node, "kind")?,
            None => name.to_owned(),
        };
        if !matches!(kind.as_str(), "csv" | "json" | "process") {
            let settings = self.settings(self.fields(node, "a source", &SETTINGS)?)?;
            return match sources::source(&kind, &settings) {
                Err(Error::Usage(text)) => {
                    Err(self.wrong(line, &format!("{text}, and one's own of kind csv, json and process")))
                }
                source => source,
            };
        }
        let known: Vec<&str> = SETTINGS.into_iter().chain(DECLARED).collect();
        let members = self.fields(node, "a source", &known)?;
        self.declared(name, &kind, line, members).map(share)
    }

    fn declared(&self, name: &str, kind: &str, line: usize, members: Members<'_>) -> Result<Declared> {
        let settings = self.settings(members)?;
        let command = Self::optional(members, "command", |node| Ok(self.reader.texts(node, "command")?))?;
        let place = match (kind, &settings.url, self.text(members, "path")?, command) {
            ("process", None, None, Some(command)) if !command.is_empty() => Place::Process(command),
            ("process", ..) => return Err(self.wrong(line, "a process needs command = [\"program\", …]")),
            (_, Some(url), None, None) if url.starts_with("http://") || url.starts_with("https://") => {
                Place::Http(url.clone())
            }
            (_, None, Some(path), None) => Place::File(self.path(&path).display().to_string()),
            _ => return Err(self.wrong(line, "a source of csv or json needs a url or a path")),
        };
        let delimiter = self.text(members, "delimiter")?.unwrap_or_else(|| ",".to_owned());
        let time = Self::optional(members, "time", |node| Ok(self.reader.scalar(node, "time")?))?;
        let time = time.unwrap_or_else(|| "time".to_owned());
        let shape = match kind {
            "csv" => match delimiter.as_bytes() {
                [delimiter] => Shape::Csv { delimiter: *delimiter, header: time.parse::<usize>().is_err() },
                _ => return Err(self.wrong(line, "a delimiter is one letter")),
            },
            "json" => {
                let rows = self.text(members, "rows")?.unwrap_or_default();
                Shape::Json(rows.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect())
            }
            _ => Shape::Either,
        };
        let page = Self::optional(members, "page_bars", |node| {
            Ok(self.reader.integer(node, "page_bars", 1..=10_000_000)?)
        })?;
        let complete = Self::optional(members, "complete", |node| match node.value {
            Value::Bool(yes) => Ok(yes),
            _ => Err(self.reader.expected(node, "complete", "true or false").into()),
        })?;
        Ok(Declared {
            name: name.to_owned(),
            place,
            shape,
            time,
            unit: self.unit(members)?,
            utc_offset_ns: self.span(members, "utc_offset")?.unwrap_or(0),
            columns: self.columns(members, kind == "process")?,
            intervals: self.intervals(line, members)?,
            page_bars: page.unwrap_or(1000).unsigned_abs(),
            complete: complete.unwrap_or(false),
            naming: Naming::new(settings.name.as_deref().unwrap_or("{symbol}"))?,
            secrets: settings.secrets,
            manners: Manners {
                weight_per_minute: settings.weight_per_minute.unwrap_or(600),
                used_header: None,
                concurrency: settings.concurrency.unwrap_or(1),
            },
        })
    }

    fn unit(&self, members: Members<'_>) -> Result<Unit> {
        let unit = Self::optional(members, "time_unit", |node| {
            match self.reader.text(node, "time_unit")?.as_str() {
                "s" => Ok(Unit::Of(1_000_000_000)),
                "ms" => Ok(Unit::Of(1_000_000)),
                "us" => Ok(Unit::Of(1000)),
                "ns" => Ok(Unit::Of(1)),
                other => Err(self.wrong(node.line, &format!("{other:?} is no unit; write s, ms, us or ns"))),
            }
        })?;
        Ok(unit.unwrap_or(Unit::BySize))
    }

    /// Where the columns are; by their own names unless it is said.
    fn columns(&self, members: Members<'_>, all: bool) -> Result<Vec<(&'static str, String)>> {
        const PRICES: [&str; 4] = ["open", "high", "low", "close"];
        let known = || PRICES.into_iter().chain(MORE_COLUMNS);
        let Some(node) = member(members, "columns") else {
            let count = if all { PRICES.len() + MORE_COLUMNS.len() } else { PRICES.len() + 1 };
            return Ok(known().take(count).map(|name| (name, name.to_owned())).collect());
        };
        let names: Vec<&str> = known().collect();
        let given = self.fields(node, "columns", &names)?;
        if let Some(missing) = PRICES.iter().find(|name| member(given, name).is_none()) {
            return Err(self.wrong(node.line, &format!("the column of {missing} is not said")));
        }
        let mut columns = Vec::new();
        for name in known() {
            if let Some(node) = member(given, name) {
                columns.push((name, self.reader.scalar(node, name)?));
            }
        }
        Ok(columns)
    }

    /// Timeframes by what the source calls them, or a list of timeframes that it calls as we do.
    fn intervals(&self, line: usize, members: Members<'_>) -> Result<Vec<(Timeframe, String)>> {
        let Some(node) = member(members, "intervals") else {
            return Err(
                self.wrong(line, "a source needs the field \"intervals\": { 1d = \"day\" } or [\"1d\"]")
            );
        };
        let parse = |name: &str, line: usize| {
            let timeframe = Timeframe::parse(name);
            timeframe.ok_or_else(|| self.wrong(line, &format!("{name:?} is no timeframe")))
        };
        if let Value::Map(given) = &node.value {
            let pair = |(name, line, node): &(String, usize, Node)| {
                Ok((parse(name, *line)?, self.reader.scalar(node, name)?))
            };
            return given.iter().map(pair).collect();
        }
        let names = self.reader.texts(node, "intervals")?;
        names.into_iter().map(|name| Ok((parse(&name, node.line)?, name))).collect()
    }
}

/// A header and where its value is: `{ header = "X-KEY", env = "VARIABLE" }`, or `file`, from `folder`. The value itself
/// never stands in a configuration.
///
/// # Errors
/// [`Error::Store`] names file and line of a mistake, of a variable that is not set and of a file that cannot be read.
pub fn secret(reader: Reader<'_>, folder: &Path, node: &Node) -> Result<Secret> {
    let members = reader.fields(node, "a key", &["header", "env", "file"])?;
    let wrong = |what: &str| Error::Store(mistake(reader.file, node.line, what));
    let text = |name: &str| member(members, name).map(|node| reader.text(node, name)).transpose();
    let name = text("header")?.ok_or_else(|| wrong("a key needs the field \"header\""))?;
    let value = match (text("env")?, text("file")?) {
        (Some(variable), None) => std::env::var(&variable)
            .map_err(|_| wrong(&format!("the environment has no variable {variable}")))?,
        (None, Some(file)) => std::fs::read_to_string(folder.join(&file))
            .map_err(|error| wrong(&format!("cannot read {file}: {error}")))?
            .trim()
            .to_owned(),
        _ => return Err(wrong("a key is in env or in file")),
    };
    Ok(Secret { name, value })
}
