//! One file that names what to keep current, TOML or YAML.
//!
//! ```toml
//! store = "market"                       # a directory, beside this file unless absolute
//!
//! [universes.majors]
//! symbols = ["BTCUSDT", "ETHUSDT"]
//! tier = "S"                             # S, A or B: how complete it is expected to be
//!
//! [sources.binance]                      # a source that there is, with other settings
//! concurrency = 8
//! keys = [{ header = "X-MBX-APIKEY", env = "BINANCE_KEY" }]      # or file = "path"
//!
//! [sources.mine]                         # a source of one's own: csv, json or process
//! kind = "csv"
//! url = "https://example.org/{symbol}.csv?from={start_ms}&to={end_ms}&tf={interval}"
//! time = "date"
//! columns = { open = "o", high = "h", low = "l", close = "c", volume = "v" }
//! intervals = { 1d = "day" }
//!
//! [calendars.hk]
//! open = ["09:30-12:00", "13:00-16:00"]  # or sessions = "file.csv", or exchange = "XHKG" (table of the store, compiled) or "mine.calendar"
//! utc_offset = "8h"
//! closed = ["2026-01-01"]
//!
//! [[fetch]]
//! source = "binance"
//! universe = "majors"                    # or symbols = [...]
//! timeframes = ["1m"]
//! since = "30d"
//! derive = ["5m", "1h"]                  # made of the finest of timeframes
//! cross_check = ["1d"]                   # fetched, and compared with what the finest gives
//! schedule = "30m"                       # for whoever runs it: a span, or five fields of cron
//! ```
//!
//! Sections `alerts` and `quality` belong to other crates, which read them from [`Config::sections`].

mod source;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore::{Frame, Timeframe};
use tapestore_catalog::file::{Language, Node, Reader, mistake, tree};
use tapestore_catalog::span;
use tapestore_query::session::Sessions;

use crate::error::{Error, Result};
use crate::source::Source;
use crate::sources::{self, Settings};

pub use source::secret;

/// Symbols under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Universe {
    /// As its source names them.
    pub symbols: Vec<String>,
    /// `S`, `A` or `B`: 99.9, 99.5 or 99 % of the bars are expected to be there; `None`: nothing is said.
    pub tier: Option<char>,
}

/// When bars are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// A file of sessions, `start,end` a line.
    File(PathBuf),
    /// An exchange: of the store's table of calendars, compiled in, or a file ending in `.calendar`.
    Exchange(String),
    /// The same hours on every weekday.
    Weekdays {
        /// Nanoseconds of the day, on the exchange's clock.
        hours: Vec<Range<i64>>,
        /// How far that is ahead of UTC, in nanoseconds.
        utc_offset_ns: i64,
        /// Midnights of days without trade.
        closed: Vec<i64>,
    },
}

impl Calendar {
    /// The sessions of a range of time, for a calendar of hours; the others are not told here.
    ///
    /// # Errors
    /// [`Error::Usage`] if hours overlap.
    pub fn sessions(&self, range: &Range<i64>) -> Result<Option<Sessions>> {
        match self {
            Self::File(_) | Self::Exchange(_) => Ok(None),
            Self::Weekdays { hours, utc_offset_ns, closed } => {
                let days = range.start.saturating_sub(DAY_NS)..range.end.saturating_add(DAY_NS);
                let sessions = Sessions::on_weekdays(days, *utc_offset_ns, hours, closed);
                Ok(Some(sessions.map_err(|error| Error::Usage(error.to_string()))?))
            }
        }
    }
}

/// What to keep current.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands in the file.
    pub line: usize,
    /// Name of the source.
    pub source: String,
    /// Instruments, as the source names them.
    pub symbols: Vec<String>,
    /// What of them.
    pub frames: Vec<Frame>,
    /// Since when, as people write it; `None`: since the series begins, or five years.
    pub since: Option<String>,
    /// Name of a calendar: of those declared, or of one that is compiled in.
    pub calendar: Option<String>,
    /// Coarser bars that are made of the finest.
    pub derive: Vec<Timeframe>,
    /// Coarser bars that are fetched, and compared with what the finest gives.
    pub cross_check: Vec<Timeframe>,
    /// How often, for whoever runs it.
    pub schedule: Option<String>,
    /// The directory of the store.
    pub store: PathBuf,
}

impl Entry {
    /// The shortest of its timeframes.
    pub fn finest(&self) -> Option<Timeframe> {
        self.frames.iter().filter_map(Frame::timeframe).min()
    }

    /// Everything that is fetched: its frames, and what is compared.
    pub fn fetched(&self) -> Vec<Frame> {
        let mut frames = self.frames.clone();
        let more = self.cross_check.iter().map(|timeframe| Frame::Bars(*timeframe));
        frames.extend(more.filter(|frame| !self.frames.contains(frame)));
        frames
    }
}

/// A part of the file that a layer above reads: alerts, quality.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name of the file, for messages.
    pub file: String,
    /// Where paths in it are taken from.
    pub folder: PathBuf,
    /// What it says, with the line of every value.
    pub node: Node,
}

/// A configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the store of all that names no other.
    pub store: Option<PathBuf>,
    /// What layers above read, by name.
    pub sections: BTreeMap<&'static str, Section>,
    /// Symbols by name.
    pub universes: BTreeMap<String, Universe>,
    /// Sources that it declares or changes, by name.
    pub sources: BTreeMap<String, Arc<dyn Source>>,
    /// Calendars by name.
    pub calendars: BTreeMap<String, Calendar>,
    /// What to keep current, in order.
    pub entries: Vec<Entry>,
}

impl Config {
    /// Reads a file; paths in it are taken from its folder. Keys are read from the environment and from files.
    ///
    /// # Errors
    /// [`Error::Usage`] names file and line of the first mistake.
    pub fn load(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let usage = |text: String| Error::Usage(text);
        let language = Language::of_file(&file)
            .ok_or_else(|| usage(format!("{file}: a configuration ends in .toml, .yaml or .yml")))?;
        let text =
            std::fs::read_to_string(path).map_err(|error| usage(format!("cannot read {file}: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let parsed = tree(&file, &text, language).map_err(|error| usage(error.to_string()))?;
        let reading = Reading { reader: Reader { file: &file }, file: &file, folder };
        reading.config(&parsed).map_err(|error| match error {
            Error::Store(error) => usage(error.to_string()),
            other => other,
        })
    }

    /// The calendar of an entry: one that is declared, or the compiled one of that name; `None`: it never closes.
    pub fn calendar(&self, entry: &Entry) -> Option<Calendar> {
        let name = entry.calendar.as_ref()?;
        Some(self.calendars.get(name).cloned().unwrap_or_else(|| Calendar::Exchange(name.clone())))
    }

    /// The source of a name: one of its own, or one that there is.
    ///
    /// # Errors
    /// [`Error::Usage`] names those there are.
    pub fn source(&self, name: &str) -> Result<Arc<dyn Source>> {
        match self.sources.get(name) {
            Some(source) => Ok(Arc::clone(source)),
            None => sources::source(name, &Settings::default()),
        }
    }
}

type Members<'n> = &'n [(String, usize, Node)];

/// Parts of the file that are read by others.
const SECTIONS: [&str; 2] = ["alerts", "quality"];
const TOP: [&str; 7] = ["store", "universes", "sources", "calendars", "fetch", SECTIONS[0], SECTIONS[1]];
const UNIVERSE: [&str; 2] = ["symbols", "tier"];
const CALENDAR: [&str; 5] = ["exchange", "sessions", "open", "utc_offset", "closed"];
const ENTRY: [&str; 11] = [
    "source",
    "universe",
    "symbols",
    "timeframes",
    "since",
    "calendar",
    "derive",
    "cross_check",
    "schedule",
    "store",
    "comment",
];

struct Reading<'a> {
    reader: Reader<'a>,
    file: &'a str,
    folder: PathBuf,
}

fn member<'n>(members: Members<'n>, name: &str) -> Option<&'n Node> {
    members.iter().find(|member| member.0 == name).map(|member| &member.2)
}

impl Reading<'_> {
    fn wrong(&self, line: usize, what: &str) -> Error {
        Error::Store(mistake(self.file, line, what))
    }

    /// The members of a table that may have these fields.
    fn fields<'n>(&self, node: &'n Node, what: &str, known: &[&str]) -> Result<Members<'n>> {
        Ok(self.reader.fields(node, what, known)?)
    }

    fn optional<'n, T>(
        members: Members<'n>,
        name: &str,
        read: impl FnOnce(&'n Node) -> Result<T>,
    ) -> Result<Option<T>> {
        member(members, name).map(read).transpose()
    }

    fn text(&self, members: Members<'_>, name: &str) -> Result<Option<String>> {
        Self::optional(members, name, |node| Ok(self.reader.text(node, name)?))
    }

    fn span(&self, members: Members<'_>, name: &str) -> Result<Option<i64>> {
        Self::optional(members, name, |node| {
            let text = self.reader.text(node, name)?;
            let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |rest| (-1, rest));
            let span = span::parse(digits).map(|span| sign * span);
            span.ok_or_else(|| self.wrong(node.line, &format!("{text:?} is no span of time; write 8h")))
        })
    }

    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    fn config(&self, root: &Node) -> Result<Config> {
        let members = self.fields(root, "a configuration", &TOP)?;
        let store = self.text(members, "store")?;
        let mut config = Config {
            store: store.as_ref().map(|store| self.path(store)),
            sections: BTreeMap::new(),
            universes: BTreeMap::new(),
            sources: BTreeMap::new(),
            calendars: BTreeMap::new(),
            entries: Vec::new(),
        };
        let each = |name: &str| -> Result<Members<'_>> {
            member(members, name).map_or(Ok(&[][..]), |node| Ok(self.reader.map(node, name)?))
        };
        for (name, _, node) in each("universes")? {
            config.universes.insert(name.clone(), self.universe(node)?);
        }
        for (name, line, node) in each("sources")? {
            config.sources.insert(name.clone(), self.source(name, *line, node)?);
        }
        for (name, _, node) in each("calendars")? {
            config.calendars.insert(name.clone(), self.calendar(node)?);
        }
        for name in SECTIONS {
            if let Some(node) = member(members, name) {
                let (file, folder) = (self.file.to_owned(), self.folder.clone());
                config.sections.insert(name, Section { file, folder, node: node.clone() });
            }
        }
        match member(members, "fetch") {
            Some(list) => {
                for node in self.reader.list(list, "fetch")? {
                    let entry = self.entry(node, store.as_deref(), &config)?;
                    config.entries.push(entry);
                }
            }
            None if config.sections.is_empty() => {
                return Err(self.wrong(root.line, "nothing is to be fetched; begin with [[fetch]] or fetch:"));
            }
            None => {}
        }
        Ok(config)
    }

    fn universe(&self, node: &Node) -> Result<Universe> {
        let members = self.fields(node, "a universe", &UNIVERSE)?;
        let symbols = Self::optional(members, "symbols", |node| Ok(self.reader.texts(node, "symbols")?))?;
        let symbols =
            symbols.ok_or_else(|| self.wrong(node.line, "a universe needs the field \"symbols\""))?;
        let tier = Self::optional(members, "tier", |node| match self.reader.text(node, "tier")?.as_str() {
            "S" => Ok('S'),
            "A" => Ok('A'),
            "B" => Ok('B'),
            other => Err(self.wrong(node.line, &format!("{other:?} is no tier; the tiers are S, A and B"))),
        })?;
        Ok(Universe { symbols, tier })
    }

    fn calendar(&self, node: &Node) -> Result<Calendar> {
        let members = self.fields(node, "a calendar", &CALENDAR)?;
        if let Some(file) = self.text(members, "sessions")? {
            return Ok(Calendar::File(self.path(&file)));
        }
        if let Some(exchange) = self.text(members, "exchange")? {
            let file = Path::new(&exchange).extension().is_some_and(|extension| extension == "calendar");
            let exchange = if file { self.path(&exchange).display().to_string() } else { exchange };
            return Ok(Calendar::Exchange(exchange));
        }
        let hours = Self::optional(members, "open", |node| {
            let texts = self.reader.texts(node, "open")?;
            let parsed = texts.iter().map(|text| {
                let hours = hours(text);
                hours.ok_or_else(|| {
                    self.wrong(node.line, &format!("{text:?} are no hours; write 09:30-12:00"))
                })
            });
            parsed.collect::<Result<Vec<_>>>()
        })?;
        let hours = hours.ok_or_else(|| {
            self.wrong(node.line, "a calendar needs \"open\", \"sessions\" or \"exchange\"")
        })?;
        let closed = Self::optional(members, "closed", |node| {
            let texts = self.reader.texts(node, "closed")?;
            let parsed = texts.iter().map(|text| {
                date(text)
                    .ok_or_else(|| self.wrong(node.line, &format!("{text:?} is no date; write 2026-01-01")))
            });
            parsed.collect::<Result<Vec<_>>>()
        })?;
        let utc_offset_ns = self.span(members, "utc_offset")?.unwrap_or(0);
        Ok(Calendar::Weekdays { hours, utc_offset_ns, closed: closed.unwrap_or_default() })
    }

    fn entry(&self, node: &Node, store: Option<&str>, config: &Config) -> Result<Entry> {
        let members = self.fields(node, "an item of fetch", &ENTRY)?;
        let line = members.first().map_or(node.line, |member| member.1);
        let needs = |name: &str| self.wrong(line, &format!("an item of fetch needs the field {name:?}"));
        let source = self.text(members, "source")?.ok_or_else(|| needs("source"))?;
        let given = config.source(&source).map_err(|error| self.wrong(line, &error.to_string()))?;
        let mut symbols =
            Self::optional(members, "symbols", |node| Ok(self.reader.texts(node, "symbols")?))?
                .unwrap_or_default();
        if let Some(name) = self.text(members, "universe")? {
            let universe = config.universes.get(&name);
            let universe =
                universe.ok_or_else(|| self.wrong(line, &format!("there is no universe {name:?}")))?;
            symbols.extend(universe.symbols.iter().cloned());
        }
        if symbols.is_empty() {
            return Err(needs("symbols"));
        }
        let frames = Self::optional(members, "timeframes", |node| self.frames(node))?;
        let calendar = self.text(members, "calendar")?;
        let known = |name: &&String| {
            config.calendars.contains_key(*name) || tapestore_calendar::compiled(name).is_some()
        };
        if let Some(name) = calendar.as_ref().filter(|name| !known(name)) {
            return Err(
                self.wrong(line, &format!("there is no calendar {name:?}; declare it under calendars"))
            );
        }
        let store = self.text(members, "store")?.or_else(|| store.map(str::to_owned));
        let entry = Entry {
            line,
            source,
            symbols,
            frames: frames.ok_or_else(|| needs("timeframes"))?,
            since: self.text(members, "since")?,
            calendar,
            derive: self.coarser(members, "derive")?,
            cross_check: self.coarser(members, "cross_check")?,
            schedule: self.text(members, "schedule")?,
            store: self.path(&store.ok_or_else(|| needs("store"))?),
        };
        for frame in entry.fetched() {
            given.reach(&frame).map_err(|error| self.wrong(line, &error.to_string()))?;
        }
        let finest = entry.finest();
        let coarser = entry.derive.iter().chain(&entry.cross_check);
        if let Some(wrong) = coarser.into_iter().find(|coarse| finest.is_none_or(|finest| **coarse <= finest))
        {
            return Err(self.wrong(line, &format!("{wrong} cannot be made of what is fetched")));
        }
        let fetched = entry.fetched();
        if let Some(both) = entry.derive.iter().find(|derived| fetched.contains(&Frame::Bars(**derived))) {
            return Err(self.wrong(line, &format!("{both} is fetched and derived; it can be one of them")));
        }
        if let Some(text) = entry.schedule.as_ref().filter(|text| !is_schedule(text)) {
            let text = format!("{text:?} is no schedule; write 30m, or five fields of cron");
            return Err(self.wrong(line, &text));
        }
        Ok(entry)
    }

    fn frames(&self, node: &Node) -> Result<Vec<Frame>> {
        let texts = self.reader.texts(node, "timeframes")?;
        let frame = |text: &String| {
            let frame = Frame::parse(text).filter(|frame| !matches!(frame, Frame::Table(_)));
            frame.ok_or_else(|| self.wrong(node.line, &format!("{text:?} is neither a timeframe nor trades")))
        };
        texts.iter().map(frame).collect()
    }

    fn coarser(&self, members: Members<'_>, name: &str) -> Result<Vec<Timeframe>> {
        let frames = Self::optional(members, name, |node| {
            let frames = self.frames(node)?;
            let bars = frames.iter().map(|frame| {
                frame.timeframe().ok_or_else(|| self.wrong(node.line, &format!("{frame} is no timeframe")))
            });
            bars.collect::<Result<Vec<_>>>()
        })?;
        Ok(frames.unwrap_or_default())
    }
}

/// `09:30-12:00` as nanoseconds of the day.
fn hours(text: &str) -> Option<Range<i64>> {
    let clock = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
        ((0..=24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * HOUR_NS + minute * MINUTE_NS)
    };
    let (start, end) = text.split_once('-')?;
    let range = clock(start)?..clock(end)?;
    (!range.is_empty()).then_some(range)
}

/// `2026-01-01` as midnight UTC.
fn date(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(str::parse::<i64>);
    let mut part = || parts.next()?.ok();
    let (year, month, day) = (part()?, part()?, part()?);
    let sound = (1970..2250).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    sound.then(|| Timeframe::Mo1.slot_start((year - 1970) * 12 + month - 1) + (day - 1) * DAY_NS)
}

/// A span of time, or five fields of cron by their letters.
fn is_schedule(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let field =
        |field: &&str| field.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"*/,-".contains(&byte));
    span::parse(text).is_some() || (fields.len() == 5 && fields.iter().all(field))
}
