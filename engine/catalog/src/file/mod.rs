//! Schema files: TOML and YAML, read with the line of every value, and written.
//!
//! Both become the same tree of values, from which [`crate::declaration`] takes tables; so both know the same fields
//! and name the same mistakes.

mod toml;
mod write;
mod yaml;

use tapestore::{Error, Result};

use crate::declaration::Declarations;

pub use write::{to_toml, to_yaml};

/// Languages of schema files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

impl Language {
    /// The language that a file name ends in: `.toml`, `.yaml`, `.yml`.
    pub fn of_file(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Names with their lines.
    Map(Vec<(String, usize, Node)>),
}

impl Value {
    /// What it is, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
        }
    }
}

/// A mistake in a schema file.
pub(crate) fn mistake(file: &str, line: usize, what: &str) -> Error {
    Error::Usage(format!("{file}, line {line}: {what}"))
}

/// Reads the text of a schema file; `file` is its name in messages.
///
/// # Errors
/// [`Error::Usage`] names file and line of the first mistake, and the fix.
pub fn parse(file: &str, text: &str, language: Language) -> Result<Declarations> {
    let tree = match language {
        Language::Toml => toml::parse(file, text)?,
        Language::Yaml => yaml::parse(file, text)?,
    };
    Declarations::read(file, &tree)
}
