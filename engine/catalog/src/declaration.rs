//! Tables as a schema file declares them.
//!
//! ```toml
//! [[tables]]
//! name = "ticks"
//! instruments = ["BTCUSDT.BINANCE", "*.OKX"]
//! frame = "trades"                # its kind follows; kind = "none" if it is another
//! comment = "Every trade"
//! tags = { desk = "crypto" }
//! retention = { keep = "30d", rollup = ["1m", "1h"] }
//!
//! [[tables.columns]]              # beside the columns of the kind, or in their place
//! name = "venue_flag"
//! type = "u8"
//! nullable = false
//! default = 0
//! comment = "as the venue states it"
//! ```
//!
//! A table covers the series of its frame whose instruments it names, exactly or by patterns (`*` any letters, `?` one).
//! If several tables cover a series, the first of them counts.

use std::collections::BTreeMap;

use tapestore::schema::SchemaBuilder;
use tapestore::time::Timeframe;
use tapestore::{ColumnType, Frame, KeyPolicy, OWN_INSTRUMENT, Result, Schema, SeriesKey};

use crate::file::{Node, Reader, Value, mistake};
use crate::kind::{Identity, Kind, LEVELS};
use crate::span;

/// Most decimals that a column can declare: a double holds no more digits.
const DECIMALS: i64 = 18;

/// What makes a row of a table unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Its time.
    Unique,
    /// Its time and these columns; without any, every row counts.
    Sequence(Vec<String>),
}

/// How long rows are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Rows older than this go, in nanoseconds; `None`: never.
    pub keep_ns: Option<i64>,
    /// Coarser bars that are made of them before, and stay.
    pub rollup: Vec<Timeframe>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDeclaration {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Whether rows may lack a value.
    pub nullable: bool,
    /// What rows get that come without a value, as text in the form of the type.
    pub default: Option<String>,
    /// What it means, and its unit.
    pub comment: String,
    /// Most decimals of its values.
    pub decimals: Option<u8>,
}

/// A table: series of one frame, with the same columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its name in the file and in messages.
    pub name: String,
    /// Instruments, exactly or as patterns.
    pub instruments: Vec<String>,
    /// What is held of them.
    pub frame: Frame,
    /// The kind of data, if it is one of the known ones.
    pub kind: Option<Kind>,
    /// What makes a row unique.
    pub key: Key,
    /// In order of output.
    pub columns: Vec<ColumnDeclaration>,
    /// What it is for.
    pub comment: String,
    /// Names and values that mean something to their author.
    pub tags: BTreeMap<String, String>,
    /// How long rows are kept; `None`: nothing is said.
    pub retention: Option<Retention>,
    /// The line at which it begins in its file; 0 if it comes from elsewhere.
    pub line: usize,
}

/// The tables of a schema file, or of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declarations {
    /// In order: of tables that cover the same series, the first counts.
    pub tables: Vec<Table>,
}

/// Whether a name fits a pattern: `*` stands for any letters, `?` for one.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on if what follows the last `*` does not fit: behind it, one letter further.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

fn is_pattern(instrument: &str) -> bool {
    instrument.contains(['*', '?'])
}

impl Table {
    /// Whether it covers a series.
    pub fn covers(&self, key: &SeriesKey) -> bool {
        !key.is_own()
            && *key.frame() == self.frame
            && self.instruments.iter().any(|pattern| fits(pattern, key.instrument()))
    }

    /// The series that it names exactly: these exist once the table does.
    pub fn named(&self) -> Vec<SeriesKey> {
        let exact = self.instruments.iter().filter(|instrument| !is_pattern(instrument));
        exact.filter_map(|name| SeriesKey::with_frame(name, self.frame.clone()).ok()).collect()
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&ColumnDeclaration> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The schema of its series.
    ///
    /// # Errors
    /// [`tapestore::Error::Usage`] if it cannot be one.
    pub fn schema(&self) -> Result<Schema> {
        let (mut builder, dedup): (_, &[String]) = match &self.key {
            Key::Unique => (SchemaBuilder::unique(), &[]),
            Key::Sequence(dedup) => (SchemaBuilder::sequence(), dedup),
        };
        for column in &self.columns {
            builder = if column.nullable {
                builder.nullable(&column.name, column.kind)
            } else {
                builder.column(&column.name, column.kind)
            };
            builder = builder.describe(&column.comment);
        }
        builder.dedup(&dedup.iter().map(String::as_str).collect::<Vec<_>>()).build()
    }

    /// The table that a series amounts to by itself.
    pub fn of_series(key: &SeriesKey, schema: &Schema) -> Self {
        let columns = schema.columns.iter().map(|column| ColumnDeclaration {
            name: column.name.clone(),
            kind: column.kind,
            nullable: column.nullable,
            default: None,
            comment: column.description.clone(),
            decimals: None,
        });
        let dedup = schema.dedup().iter().filter_map(|id| schema.column_by_id(*id)).map(|c| c.name.clone());
        Self {
            name: key.to_string(),
            instruments: vec![key.instrument().to_owned()],
            frame: key.frame().clone(),
            kind: None,
            key: if schema.key == KeyPolicy::Unique { Key::Unique } else { Key::Sequence(dedup.collect()) },
            columns: columns.collect(),
            comment: String::new(),
            tags: BTreeMap::new(),
            retention: None,
            line: 0,
        }
    }
}

impl Declarations {
    /// The table that counts for a series.
    pub fn of(&self, key: &SeriesKey) -> Option<&Table> {
        self.tables.iter().find(|table| table.covers(key))
    }

    /// The table of a name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    pub(crate) fn read(file: &str, tree: &Node) -> Result<Self> {
        let reader = Reader { file };
        if tree.value == Value::Null {
            return Err(mistake(file, tree.line, "no tables are declared; begin with [[tables]] or tables:"));
        }
        let mut tables: Vec<Table> = Vec::new();
        for (name, line, value) in reader.map(tree, "a schema file")? {
            if name != "tables" {
                return Err(reader.unknown(*line, name, "a schema file", &["tables"]));
            }
            for node in reader.list(value, "tables")? {
                let table = reader.table(node)?;
                if let Some(other) = tables.iter().find(|known| known.name == table.name) {
                    let text = format!("table {:?} is declared already at line {}", table.name, other.line);
                    return Err(mistake(file, table.line, &text));
                }
                tables.push(table);
            }
        }
        Ok(Self { tables })
    }
}

const TABLE_FIELDS: [&str; 11] = [
    "name",
    "instruments",
    "frame",
    "kind",
    "levels",
    "key",
    "dedup",
    "columns",
    "comment",
    "tags",
    "retention",
];
const COLUMN_FIELDS: [&str; 6] = ["name", "type", "nullable", "default", "comment", "decimals"];

impl Reader<'_> {
    fn table(&self, node: &Node) -> Result<Table> {
        let members = self.map(node, "an item of tables")?;
        let line = members.first().map_or(node.line, |member| member.1);
        if let Some((name, line, _)) = members.iter().find(|member| !TABLE_FIELDS.contains(&&*member.0)) {
            return Err(self.unknown(*line, name, "a table", &TABLE_FIELDS));
        }
        let get = |name: &str| members.iter().find(|member| member.0 == name).map(|member| &member.2);
        let needed = |name: &str| {
            get(name).ok_or_else(|| mistake(self.file, line, &format!("a table needs the field {name:?}")))
        };
        let name = self.text(needed("name")?, "name")?;
        let (frame_node, columns_node) = (needed("frame")?, get("columns"));
        let text = self.text(frame_node, "frame")?;
        let frame = Frame::parse(&text).ok_or_else(|| {
            mistake(self.file, frame_node.line, &format!("{text:?} is neither a timeframe nor a name"))
        })?;
        let kind = match get("kind") {
            Some(node) => self.kind(node, &frame)?,
            None => Kind::of_frame(&frame),
        };
        let instruments = self.instruments(get("instruments"), kind, line)?;
        let levels = match get("levels") {
            Some(node) if kind == Some(Kind::Depth) => self.integer(node, "levels", 1..=250)? as usize,
            Some(node) => return Err(mistake(self.file, node.line, "only tables of kind depth have levels")),
            None => LEVELS,
        };
        let mut columns = kind.map(|kind| standard(kind, levels)).unwrap_or_default();
        for node in columns_node.map(|node| self.list(node, "columns")).transpose()?.unwrap_or_default() {
            self.column(node, &mut columns)?;
        }
        if columns.is_empty() {
            let text = format!("table {name:?} has no columns; name some, or its kind");
            return Err(mistake(self.file, line, &text));
        }
        let key = self.key(get("key"), get("dedup"), kind, &frame, &columns)?;
        let table = Table {
            instruments,
            frame,
            kind,
            key,
            columns,
            comment: get("comment").map(|node| self.text(node, "comment")).transpose()?.unwrap_or_default(),
            tags: get("tags").map(|node| self.tags(node)).transpose()?.unwrap_or_default(),
            retention: get("retention").map(|node| self.retention(node)).transpose()?,
            name,
            line,
        };
        match table.schema() {
            Ok(_) => Ok(table),
            Err(error) => Err(mistake(self.file, line, &format!("table {:?}: {error}", table.name))),
        }
    }

    fn kind(&self, node: &Node, frame: &Frame) -> Result<Option<Kind>> {
        let text = self.text(node, "kind")?;
        if text == "none" {
            return Ok(None);
        }
        let kind = Kind::parse(&text).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
            mistake(
                self.file,
                node.line,
                &format!("{text:?} is no kind; the kinds are {}, or none", names.join(", ")),
            )
        })?;
        if (kind == Kind::Bars) != frame.timeframe().is_some() {
            return Err(mistake(
                self.file,
                node.line,
                "bars, and only they, have a timeframe as their frame",
            ));
        }
        Ok(Some(kind))
    }

    fn instruments(&self, node: Option<&Node>, kind: Option<Kind>, line: usize) -> Result<Vec<String>> {
        let Some(node) = node else {
            let usual = kind.and_then(Kind::instrument);
            let missing = || mistake(self.file, line, "a table needs the field \"instruments\"");
            return Ok(vec![usual.ok_or_else(missing)?.to_owned()]);
        };
        let names = self.texts(node, "instruments")?;
        for name in &names {
            if name == OWN_INSTRUMENT {
                let text = format!("{name:?} holds the store's own tables; choose another name");
                return Err(mistake(self.file, node.line, &text));
            }
            SeriesKey::new(name, "x").map_err(|error| mistake(self.file, node.line, &error.to_string()))?;
        }
        if names.is_empty() {
            return Err(mistake(self.file, node.line, "name at least one instrument, or \"*\" for all"));
        }
        Ok(names)
    }

    fn key(
        &self,
        key: Option<&Node>,
        dedup: Option<&Node>,
        kind: Option<Kind>,
        frame: &Frame,
        columns: &[ColumnDeclaration],
    ) -> Result<Key> {
        let named = match dedup {
            Some(node) => {
                let names = self.texts(node, "dedup")?;
                match names.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
                    Some(name) => {
                        let text = format!("dedup names {name:?}, which is no column of the table");
                        return Err(mistake(self.file, node.line, &text));
                    }
                    None => Some(names),
                }
            }
            None => None,
        };
        let word = key.map(|node| Ok((self.text(node, "key")?, node.line))).transpose()?;
        let usual = match kind.map(Kind::identity) {
            Some(Identity::Columns(names)) => names.iter().map(|name| (*name).to_owned()).collect(),
            _ => Vec::new(),
        };
        let bars = frame.timeframe().is_some();
        match (word.as_ref().map(|(word, line)| (word.as_str(), *line)), named) {
            (Some(("unique", line)), Some(_)) => {
                Err(mistake(self.file, line, "dedup columns belong to the key \"sequence\""))
            }
            (Some(("sequence", line)), _) if bars => {
                Err(mistake(self.file, line, "bars have one row per open time: their key is \"unique\""))
            }
            (Some(("unique", _)), None) => Ok(Key::Unique),
            (Some(("sequence", _)) | None, Some(names)) if !bars => Ok(Key::Sequence(names)),
            (None, None) if bars => Ok(Key::Unique),
            (Some(("sequence", _)) | None, None) => Ok(Key::Sequence(usual)),
            (Some(("sequence", _)) | None, Some(_)) => {
                let line = dedup.map_or(1, |node| node.line);
                Err(mistake(self.file, line, "bars are told apart by their time alone"))
            }
            (Some((word, line)), _) => Err(mistake(
                self.file,
                line,
                &format!("{word:?} is no key; write \"unique\" or \"sequence\""),
            )),
        }
    }

    fn tags(&self, node: &Node) -> Result<BTreeMap<String, String>> {
        let members = self.map(node, "tags")?.iter();
        members.map(|(name, _, value)| Ok((name.clone(), self.scalar(value, name)?))).collect()
    }

    fn retention(&self, node: &Node) -> Result<Retention> {
        let mut out = Retention::default();
        for (name, line, value) in self.map(node, "retention")? {
            match name.as_str() {
                "keep" => {
                    let text = self.text(value, "keep")?;
                    out.keep_ns = if text == "forever" {
                        None
                    } else {
                        let keep = span::parse(&text).filter(|keep| *keep > 0).ok_or_else(|| {
                            let what =
                                format!("keep {text:?} is no length of time; write 30d, 12h or forever");
                            mistake(self.file, value.line, &what)
                        })?;
                        Some(keep)
                    };
                }
                "rollup" => {
                    for text in self.texts(value, "rollup")? {
                        out.rollup.push(Timeframe::parse(&text).ok_or_else(|| {
                            mistake(
                                self.file,
                                value.line,
                                &format!("{text:?} is no timeframe; write 1m or 1h"),
                            )
                        })?);
                    }
                }
                _ => return Err(self.unknown(*line, name, "retention", &["keep", "rollup"])),
            }
        }
        Ok(out)
    }

    /// A column beside the others, or what is different of one of them.
    fn column(&self, node: &Node, columns: &mut Vec<ColumnDeclaration>) -> Result<()> {
        let members = self.map(node, "an item of columns")?;
        let line = members.first().map_or(node.line, |member| member.1);
        if let Some((name, line, _)) = members.iter().find(|member| !COLUMN_FIELDS.contains(&&*member.0)) {
            return Err(self.unknown(*line, name, "a column", &COLUMN_FIELDS));
        }
        let get = |name: &str| members.iter().find(|member| member.0 == name).map(|member| &member.2);
        let name = match get("name") {
            Some(node) => self.text(node, "name")?,
            None => return Err(mistake(self.file, line, "a column needs the field \"name\"")),
        };
        let known = columns.iter().position(|column| column.name == name);
        let usual = known.map(|at| columns[at].clone());
        let (kind, scale) = match (get("type"), &usual) {
            (Some(node), _) => self.column_type(node)?,
            (None, Some(usual)) => (usual.kind, usual.decimals),
            (None, None) => {
                return Err(mistake(self.file, line, &format!("column {name:?} needs the field \"type\"")));
            }
        };
        let nullable = match get("nullable").map(|node| (node, &node.value)) {
            Some((_, Value::Bool(yes))) => *yes,
            Some((node, _)) => return Err(self.expected(node, "nullable", "true or false")),
            None => usual.as_ref().is_none_or(|usual| usual.nullable),
        };
        let default = match get("default") {
            Some(node) => Some(self.default(node, kind)?),
            None => usual.as_ref().and_then(|usual| usual.default.clone()),
        };
        let decimals = match get("decimals") {
            Some(node) if kind == ColumnType::F64 || kind == ColumnType::F32 => {
                Some(self.integer(node, "decimals", 0..=DECIMALS)? as u8)
            }
            Some(node) => return Err(mistake(self.file, node.line, "only f64 and f32 have decimals")),
            None => scale,
        };
        let comment = match get("comment") {
            Some(node) => self.text(node, "comment")?,
            None => usual.map(|usual| usual.comment).unwrap_or_default(),
        };
        let column = ColumnDeclaration { name, kind, nullable, default, comment, decimals };
        match known {
            Some(at) => columns[at] = column,
            None => columns.push(column),
        }
        Ok(())
    }

    /// A type by its name, or by what SQL calls it; `numeric(10,4)` also has decimals.
    fn column_type(&self, node: &Node) -> Result<(ColumnType, Option<u8>)> {
        let text = self.text(node, "type")?;
        let lower = text.to_ascii_lowercase();
        let (base, arguments) = lower.split_once('(').unwrap_or((&lower, ""));
        if let Some(kind) = ColumnType::parse(base.trim()) {
            return Ok((kind, None));
        }
        Ok(match base.trim() {
            "bigint" | "int" | "integer" | "smallint" => (ColumnType::I64, None),
            "double" | "double precision" => (ColumnType::F64, None),
            "numeric" | "decimal" => {
                let scale =
                    arguments.trim_end_matches(')').split(',').nth(1).map(|scale| scale.trim().parse());
                match scale {
                    None => (ColumnType::F64, None),
                    Some(Ok(scale)) if i64::from(scale) <= DECIMALS => (ColumnType::F64, Some(scale)),
                    Some(_) => {
                        let what = format!("{text:?} has no number of decimals from 0 to {DECIMALS}");
                        return Err(mistake(self.file, node.line, &what));
                    }
                }
            }
            "float" | "real" => (ColumnType::F32, None),
            "tinyint" => (ColumnType::U8, None),
            "boolean" => (ColumnType::Bool, None),
            "varchar" | "char" | "text" | "json" => (ColumnType::String, None),
            "date" | "datetime" => (ColumnType::Timestamp, None),
            _ => {
                let names: Vec<&str> = ColumnType::ALL.into_iter().map(ColumnType::name).collect();
                let what = format!("{text:?} is no type; the types are {}", names.join(", "));
                return Err(mistake(self.file, node.line, &what));
            }
        })
    }

    fn default(&self, node: &Node, kind: ColumnType) -> Result<String> {
        let text = self.scalar(node, "default")?;
        let good = match kind {
            ColumnType::I64 | ColumnType::Timestamp => text.parse::<i64>().is_ok(),
            ColumnType::F64 | ColumnType::F32 => text.parse::<f64>().is_ok(),
            ColumnType::U8 => text.parse::<u8>().is_ok(),
            ColumnType::Bool => text.parse::<bool>().is_ok(),
            ColumnType::String => true,
        };
        if good {
            return Ok(text);
        }
        let wanted = if kind == ColumnType::Timestamp {
            "integer nanoseconds since the Unix epoch"
        } else {
            kind.name()
        };
        Err(mistake(self.file, node.line, &format!("default {text:?} is not of the column's type: {wanted}")))
    }
}

/// The columns of a kind.
fn standard(kind: Kind, levels: usize) -> Vec<ColumnDeclaration> {
    let schema = if kind == Kind::Depth { tapestore_query::depth::schema(levels) } else { kind.schema() };
    let columns = schema.columns.into_iter().map(|column| ColumnDeclaration {
        name: column.name,
        kind: column.kind,
        nullable: column.nullable,
        default: None,
        comment: column.description,
        decimals: None,
    });
    columns.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_any_letters_or_one() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*.HK", "0700.HK", true),
            ("*.HK", "0700.HKX", false),
            ("0?00.*", "0700.HK", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("", "x", false),
            ("腾?.HK", "腾讯.HK", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
