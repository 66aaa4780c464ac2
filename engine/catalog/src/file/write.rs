//! Tables as the text of a schema file. What is written reads back as the same tables.

use crate::declaration::{ColumnDeclaration, Declarations, Key, Table};
use crate::kind::Kind;
use crate::span;
use tapestore::ColumnType;

/// A field of a table or of a column: its name and its value in words that both languages have.
type Field = (&'static str, String);

/// A text in double quotes, as TOML and YAML have it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Both languages take four digits; what needs more is printable. What changes the direction of text is, too, but
            // not as it stands.
            letter
                if letter.is_control()
                    || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
            {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(quoted).collect();
    format!("[{}]", items.join(", "))
}

/// The fields of a table but its columns. `pair` joins a name and a value within braces.
fn table_fields(table: &Table, pair: &str) -> Vec<Field> {
    let mut out = vec![
        ("name", quoted(&table.name)),
        ("instruments", list(table.instruments.iter().map(String::as_str))),
        ("frame", quoted(&table.frame.to_string())),
    ];
    match table.kind {
        Some(kind) if Kind::of_frame(&table.frame) != table.kind => out.push(("kind", quoted(kind.name()))),
        None if Kind::of_frame(&table.frame).is_some() => out.push(("kind", quoted("none"))),
        _ => {}
    }
    if let (Some(Kind::Depth), Ok(schema)) = (table.kind, table.schema()) {
        out.push(("levels", tapestore_query::depth::levels(&schema).to_string()));
    }
    match &table.key {
        Key::Unique => out.push(("key", quoted("unique"))),
        Key::Sequence(dedup) => {
            if table.frame.timeframe().is_none() {
                out.push(("key", quoted("sequence")));
            }
            out.push(("dedup", list(dedup.iter().map(String::as_str))));
        }
    }
    if !table.comment.is_empty() {
        out.push(("comment", quoted(&table.comment)));
    }
    if !table.tags.is_empty() {
        let tags = table.tags.iter().map(|(name, value)| format!("{}{pair}{}", quoted(name), quoted(value)));
        out.push(("tags", format!("{{ {} }}", tags.collect::<Vec<_>>().join(", "))));
    }
    if let Some(retention) = &table.retention {
        let keep = retention.keep_ns.map_or_else(|| "forever".to_owned(), span::show);
        let rollup = list(retention.rollup.iter().map(|timeframe| timeframe.name()));
        out.push(("retention", format!("{{ keep{pair}{}, rollup{pair}{rollup} }}", quoted(&keep))));
    }
    out
}

fn column_fields(column: &ColumnDeclaration) -> Vec<Field> {
    let mut out = vec![
        ("name", quoted(&column.name)),
        ("type", quoted(column.kind.name())),
        ("nullable", column.nullable.to_string()),
    ];
    if let Some(default) = &column.default {
        let bare = matches!(column.kind, ColumnType::I64 | ColumnType::U8 | ColumnType::Bool);
        out.push(("default", if bare { default.clone() } else { quoted(default) }));
    }
    if !column.comment.is_empty() {
        out.push(("comment", quoted(&column.comment)));
    }
    if let Some(decimals) = column.decimals {
        out.push(("decimals", decimals.to_string()));
    }
    out
}

/// The tables as TOML.
pub fn to_toml(declarations: &Declarations) -> String {
    let mut out = String::new();
    for table in &declarations.tables {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str("[[tables]]\n");
        for (name, value) in table_fields(table, " = ") {
            out.push_str(&format!("{name} = {value}\n"));
        }
        for column in &table.columns {
            out.push_str("\n[[tables.columns]]\n");
            for (name, value) in column_fields(column) {
                out.push_str(&format!("{name} = {value}\n"));
            }
        }
    }
    out
}

/// The tables as YAML.
pub fn to_yaml(declarations: &Declarations) -> String {
    if declarations.tables.is_empty() {
        return "tables: []\n".to_owned();
    }
    let mut out = String::from("tables:\n");
    let item = |out: &mut String, indent: &str, fields: Vec<Field>| {
        for (number, (name, value)) in fields.into_iter().enumerate() {
            let mark = if number == 0 { "- " } else { "  " };
            out.push_str(&format!("{indent}{mark}{name}: {value}\n"));
        }
    };
    for table in &declarations.tables {
        item(&mut out, "  ", table_fields(table, ": "));
        out.push_str("    columns:\n");
        for column in &table.columns {
            item(&mut out, "      ", column_fields(column));
        }
    }
    out
}
