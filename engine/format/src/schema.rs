//! Schemas: the columns of a series, their types, and what makes a row unique.

use std::collections::BTreeMap;

use crate::bytes::{ByteReader, ByteWriter};
use crate::error::Result;
use crate::limits::{COLUMNS, DEDUP_COLUMNS, DESCRIPTION_BYTES, NAME_BYTES};

/// Number of a column within its series; given once, never reused, so that old rows keep their meaning.
pub type ColumnId = u16;

/// Type of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ColumnType {
    /// Signed 64-bit integer.
    I64 = 1,
    /// IEEE 754 double; comes back bit for bit, NaN payloads and −0.0 included.
    F64 = 2,
    /// IEEE 754 single; comes back bit for bit.
    F32 = 3,
    /// Eight flag bits, or a small unsigned number.
    U8 = 4,
    /// True or false.
    Bool = 5,
    /// UTF-8 text.
    String = 6,
    /// Nanoseconds since the Unix epoch, UTC.
    Timestamp = 7,
}

impl ColumnType {
    /// Every type.
    pub const ALL: [Self; 7] =
        [Self::I64, Self::F64, Self::F32, Self::U8, Self::Bool, Self::String, Self::Timestamp];

    /// The type with this frozen id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == id)
    }

    /// Name in schema files and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::I64 => "i64",
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Timestamp => "timestamp",
        }
    }

    /// The type of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

/// One column of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Number within the series.
    pub id: ColumnId,
    /// Name, unique within the schema.
    pub name: String,
    /// Type of the values.
    pub kind: ColumnType,
    /// Whether a row may lack a value.
    pub nullable: bool,
    /// What the column means, and its unit.
    pub description: String,
}

/// What makes a row of a series unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// One row per timestamp; writing it again replaces it.
    Unique,
    /// Rows may share a timestamp and keep their order of arrival. With dedup columns (a trade id), a row equal to
    /// an earlier one in timestamp and these columns replaces it.
    Sequence {
        /// The columns that, with the timestamp, identify a row; empty: every row is distinct.
        dedup: Vec<ColumnId>,
    },
}

/// The columns of a series and its key policy. The timestamp is not a column: every row has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// In order of output.
    pub columns: Vec<Column>,
    /// What makes a row unique.
    pub key: KeyPolicy,
}

impl Schema {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of this id.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// Ids of the dedup columns; empty for `unique` and for plain sequences.
    pub fn dedup(&self) -> &[ColumnId] {
        match &self.key {
            KeyPolicy::Unique => &[],
            KeyPolicy::Sequence { dedup } => dedup,
        }
    }

    /// Why this schema may not be used, if so: names and ids must be unique, names non-empty and printable, counts
    /// within [`crate::limits`], dedup columns present.
    pub fn problem(&self) -> Option<String> {
        if self.columns.len() > COLUMNS {
            return Some(format!("{} columns, at most {COLUMNS} allowed", self.columns.len()));
        }
        let mut names = std::collections::HashSet::new();
        let mut ids = std::collections::HashSet::new();
        for column in &self.columns {
            let name = &column.name;
            if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
                return Some(format!("column name {name:?} must be 1 to {NAME_BYTES} bytes and printable"));
            }
            if ["time", "source", "flags", "version"].contains(&name.as_str()) {
                return Some(format!("column name {name:?} is reserved"));
            }
            if column.description.len() > DESCRIPTION_BYTES {
                return Some(format!(
                    "description of column {name:?} is longer than {DESCRIPTION_BYTES} bytes"
                ));
            }
            if !names.insert(name) {
                return Some(format!("column {name:?} appears twice"));
            }
            if column.id == crate::rows::ORDINAL {
                return Some(format!("column id {} is reserved", column.id));
            }
            if !ids.insert(column.id) {
                return Some(format!("column id {} appears twice", column.id));
            }
        }
        if self.dedup().len() > DEDUP_COLUMNS {
            return Some(format!("more than {DEDUP_COLUMNS} dedup columns"));
        }
        let missing = self.dedup().iter().find(|id| !ids.contains(id));
        missing.map(|id| format!("dedup column id {id} is not a column"))
    }

    /// Appends the byte form (`format-spec/schema.md`).
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.key {
            KeyPolicy::Unique => out.put_u8(1),
            KeyPolicy::Sequence { dedup } => {
                out.put_u8(2);
                out.put_u8(dedup.len() as u8);
                for id in dedup {
                    out.put_u16(*id);
                }
            }
        }
        out.put_u16(self.columns.len() as u16);
        for column in &self.columns {
            out.put_u16(column.id);
            out.put_u8(column.kind as u8);
            out.put_u8(u8::from(column.nullable));
            out.put_string(&column.name);
            out.put_string(&column.description);
        }
    }

    /// Reads the byte form.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let key = match reader.u8()? {
            1 => KeyPolicy::Unique,
            2 => {
                let count = reader.u8()?;
                KeyPolicy::Sequence { dedup: (0..count).map(|_| reader.u16()).collect::<Result<_>>()? }
            }
            other => return Err(reader.error(format!("unknown key policy {other}"))),
        };
        let count = reader.u16()? as usize;
        let mut columns = Vec::with_capacity(count.min(COLUMNS));
        for _ in 0..count {
            let id = reader.u16()?;
            let kind = reader.u8()?;
            let kind = ColumnType::from_id(kind)
                .ok_or_else(|| reader.error(format!("unknown column type {kind}")))?;
            let nullable = match reader.u8()? {
                0 => false,
                1 => true,
                other => return Err(reader.error(format!("nullable must be 0 or 1, found {other}"))),
            };
            let name = reader.string(NAME_BYTES)?;
            let description = reader.string(DESCRIPTION_BYTES)?;
            columns.push(Column { id, name, kind, nullable, description });
        }
        let schema = Self { columns, key };
        match schema.problem() {
            None => Ok(schema),
            Some(problem) => Err(reader.error(problem)),
        }
    }
}

/// The types of all columns that the definitions of one series have named so far: they never change (A4).
#[derive(Clone, Debug, Default)]
pub struct ColumnTypes(BTreeMap<ColumnId, ColumnType>);

impl ColumnTypes {
    /// Takes in one more definition. Returns a column that had another type before, if there is one.
    pub fn add(&mut self, schema: &Schema) -> Option<ColumnId> {
        let changed = |column: &&Column| *self.0.entry(column.id).or_insert(column.kind) != column.kind;
        schema.columns.iter().find(changed).map(|column| column.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Schema {
        let columns = ColumnType::ALL
            .into_iter()
            .zip(0..)
            .map(|(kind, id)| Column {
                id,
                name: kind.name().to_owned(),
                kind,
                nullable: id % 2 == 0,
                description: String::new(),
            })
            .collect();
        Schema { columns, key: KeyPolicy::Sequence { dedup: vec![0, 5] } }
    }

    #[test]
    fn schema_round_trips_and_every_truncation_is_refused() {
        let mut bytes = Vec::new();
        some().encode(&mut bytes);
        let mut reader = ByteReader::new(&bytes, "T");
        assert_eq!(Schema::decode(&mut reader).unwrap(), some());
        reader.finish().unwrap();
        for length in 0..bytes.len() {
            assert!(Schema::decode(&mut ByteReader::new(&bytes[..length], "T")).is_err());
        }
    }

    #[test]
    fn unusable_schemas_are_named() {
        let mut twice = some();
        twice.columns[1].name = "i64".into();
        assert!(twice.problem().unwrap().contains("twice"));
        let mut reserved = some();
        reserved.columns[1].name = "time".into();
        assert!(reserved.problem().unwrap().contains("reserved"));
        let mut dangling = some();
        dangling.key = KeyPolicy::Sequence { dedup: vec![99] };
        assert!(dangling.problem().unwrap().contains("99"));
    }
}
