//! YAML to a tree: the core schema, one document, no anchors.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use tapestore::{Error, Result};

use super::{Node, Value, mistake};

/// How deep values may be nested.
const DEPTH: usize = 32;

pub(super) fn parse(file: &str, text: &str) -> Result<Node> {
    let mut tree = Tree { file, events: Parser::new_from_str(text) };
    let mut root = None;
    loop {
        let (event, line) = tree.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => return Err(mistake(file, line, "a schema file is one document")),
            event => root = Some(tree.node(event, line, 0)?),
        }
    }
    Ok(root.unwrap_or(Node { line: 1, value: Value::Null }))
}

struct Tree<'a, E> {
    file: &'a str,
    events: E,
}

impl<'t, E: Iterator<Item = std::result::Result<(Event<'t>, Span), ScanError>>> Tree<'_, E> {
    fn next(&mut self) -> Result<(Event<'t>, usize)> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(mistake(self.file, error.marker().line(), error.info())),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn node(&mut self, event: Event<'t>, line: usize, depth: usize) -> Result<Node> {
        if depth > DEPTH {
            return Err(self.refuse(line, "values are nested too deep"));
        }
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        (event, line) => items.push(self.node(event, line, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut members: Vec<(String, usize, Node)> = Vec::new();
                loop {
                    let (name, line) = match self.next()? {
                        (Event::MappingEnd, _) => break Value::Map(members),
                        (Event::Scalar(name, ..), line) => (name.into_owned(), line),
                        (_, line) => return Err(self.refuse(line, "a name is a plain text")),
                    };
                    if members.iter().any(|member| member.0 == name) {
                        return Err(self.refuse(line, &format!("{name:?} is given twice")));
                    }
                    let (event, place) = self.next()?;
                    members.push((name, line, self.node(event, place, depth + 1)?));
                }
            }
            Event::Alias(_) => return Err(self.refuse(line, "aliases are not read; write the value out")),
            _ => return Err(self.refuse(line, "a value is missing")),
        };
        Ok(Node { line, value })
    }

    fn refuse(&self, line: usize, what: &str) -> Error {
        mistake(self.file, line, what)
    }
}

/// A scalar without quotes, by the rules of YAML 1.2's core schema.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Integer(number);
    }
    let numeric = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(number) if numeric => Value::Float(number),
        _ => Value::Text(text.to_owned()),
    }
}
