//! TOML to a tree.

use tapestore::Result;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Node, Value, mistake};

pub(super) fn parse(file: &str, text: &str) -> Result<Node> {
    let lines = Lines::new(text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.of(span.start));
        mistake(file, line, error.message())
    })?;
    let line = lines.of(table.span().start);
    Ok(Node { line, value: Tree { file, lines: &lines }.map(table.get_ref())? })
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(ends).collect())
    }

    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

struct Tree<'a> {
    file: &'a str,
    lines: &'a Lines,
}

impl Tree<'_> {
    fn map(&self, table: &DeTable<'_>) -> Result<Value> {
        let mut members = Vec::new();
        for (name, value) in table {
            let line = self.lines.of(name.span().start);
            members.push((name.get_ref().to_string(), line, self.node(value)?));
        }
        // The parser sorts by name; as written, they are sorted by place.
        members.sort_by_key(|member| member.1);
        Ok(Value::Map(members))
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Result<Node> {
        let line = self.lines.of(value.span().start);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                Value::Integer(
                    parsed.map_err(|_| mistake(self.file, line, "the integer does not fit 64 bits"))?,
                )
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse();
                Value::Float(parsed.map_err(|_| mistake(self.file, line, "not a number"))?)
            }
            DeValue::Datetime(stamp) => Value::Text(stamp.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item)).collect::<Result<_>>()?)
            }
            DeValue::Table(table) => self.map(table)?,
        };
        Ok(Node { line, value })
    }
}
