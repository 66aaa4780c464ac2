//! Schema files: TOML and YAML, read with the line of every value, and written.
//!
//! Both become the same tree of values, from which [`crate::declaration`] takes tables; so both know the same fields
//! and name the same mistakes.

mod reader;
mod toml;
mod write;
mod yaml;

use tapestore::{Error, Result};

use crate::declaration::Declarations;

pub use reader::Reader;
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
pub struct Node {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Text; dates are such.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Names with their lines.
    Map(Vec<(String, usize, Node)>),
}

impl Value {
    /// What it is, for messages.
    pub fn name(&self) -> &'static str {
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

/// A mistake in a file.
pub fn mistake(file: &str, line: usize, what: &str) -> Error {
    Error::Usage(format!("{file}, line {line}: {what}"))
}

/// Reads the text of a schema file; `file` is its name in messages.
///
/// # Errors
/// [`Error::Usage`] names file and line of the first mistake, and the fix.
pub fn parse(file: &str, text: &str, language: Language) -> Result<Declarations> {
    Declarations::read(file, &tree(file, text, language)?)
}

/// Reads the text of any file of these languages as a tree; `file` is its name in messages.
///
/// # Errors
/// [`Error::Usage`] names file and line of the first mistake.
pub fn tree(file: &str, text: &str, language: Language) -> Result<Node> {
    match language {
        Language::Toml => toml::parse(file, text),
        Language::Yaml => yaml::parse(file, text),
    }
}
