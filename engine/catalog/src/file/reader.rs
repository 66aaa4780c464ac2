//! Taking values out of a tree, with mistakes that name their lines.

use tapestore::{Error, Result};

use super::{Node, Value, mistake};

/// Takes values out of a tree; mistakes are named with their lines.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Name of the file in messages.
    pub file: &'a str,
}

impl Reader<'_> {
    /// A value that is something else than is `wanted`.
    pub fn expected(&self, node: &Node, what: &str, wanted: &str) -> Error {
        mistake(self.file, node.line, &format!("{what} is {}, {wanted} is expected", node.value.name()))
    }

    /// A field that there is not.
    pub fn unknown(&self, line: usize, name: &str, place: &str, known: &[&str]) -> Error {
        let known = known.join(", ");
        mistake(self.file, line, &format!("{place} has no field {name:?}; the fields are {known}"))
    }

    /// The members of a table, with their lines.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is something else.
    pub fn map<'n>(&self, node: &'n Node, what: &str) -> Result<&'n [(String, usize, Node)]> {
        match &node.value {
            Value::Map(members) => Ok(members),
            _ => Err(self.expected(node, what, "a table of names and values")),
        }
    }

    /// The members of a table that may have these fields and no others.
    ///
    /// # Errors
    /// As [`Reader::map`]; names a field that is unknown, and those there are.
    pub fn fields<'n>(
        &self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Result<&'n [(String, usize, Node)]> {
        let members = self.map(node, what)?;
        match members.iter().find(|member| !known.contains(&member.0.as_str())) {
            Some((name, line, _)) => Err(self.unknown(*line, name, what, known)),
            None => Ok(members),
        }
    }

    /// The items of a list.
    ///
    /// # Errors
    /// As [`Reader::map`].
    pub fn list<'n>(&self, node: &'n Node, what: &str) -> Result<&'n [Node]> {
        match &node.value {
            Value::List(items) => Ok(items),
            _ => Err(self.expected(node, what, "a list")),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// As [`Reader::map`].
    pub fn text(&self, node: &Node, what: &str) -> Result<String> {
        match &node.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.expected(node, what, "a text in quotes")),
        }
    }

    /// A text, or a list of such.
    ///
    /// # Errors
    /// As [`Reader::map`].
    pub fn texts(&self, node: &Node, what: &str) -> Result<Vec<String>> {
        match &node.value {
            Value::List(items) => items.iter().map(|item| self.text(item, what)).collect(),
            _ => Ok(vec![self.text(node, what)?]),
        }
    }

    /// A whole number of a range.
    ///
    /// # Errors
    /// As [`Reader::map`].
    pub fn integer(&self, node: &Node, what: &str, range: std::ops::RangeInclusive<i64>) -> Result<i64> {
        match node.value {
            Value::Integer(number) if range.contains(&number) => Ok(number),
            _ => {
                let wanted = format!("a number from {} to {}", range.start(), range.end());
                Err(self.expected(node, what, &wanted))
            }
        }
    }

    /// A plain value as text.
    ///
    /// # Errors
    /// As [`Reader::map`].
    pub fn scalar(&self, node: &Node, what: &str) -> Result<String> {
        Ok(match &node.value {
            Value::Text(text) => text.clone(),
            Value::Bool(yes) => yes.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => return Err(self.expected(node, what, "a text, a number, true or false")),
        })
    }
}
