//! Aligned tables for people.

use std::io::{self, Write};

use super::plain;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Collects rows, then writes them aligned. Held in memory, so it is for bounded lists only.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    heads: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these column heads.
    pub(crate) fn new<'a>(heads: impl IntoIterator<Item = (&'a str, Side)>) -> Self {
        Self {
            heads: heads.into_iter().map(|(head, side)| (head.to_owned(), side)).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain(&cell)).collect());
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes head and rows.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
            cells.chain([self.heads[column].0.as_str()]).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| head.clone()).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (column, ((cell, width), (_, side))) in row.iter().zip(&widths).zip(&self.heads).enumerate() {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) = if *side == Side::Right { (&*space, "") } else { ("", &*space) };
                line.push_str(if column == 0 { "" } else { "  " });
                line.push_str(before);
                line.push_str(cell);
                line.push_str(after);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Lines of `name  value`, values aligned.
pub(crate) fn facts(out: &mut dyn Write, facts: &[(&str, String)]) -> io::Result<()> {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in facts {
        writeln!(out, "{name:width$}  {}", plain(value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new([("name", Side::Left), ("rows", Side::Right), ("note", Side::Left)]);
        table.row(["a".into(), "1".into(), "x".into()]);
        table.row(["longer".into(), "12345".into(), "bell\u{7}".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let expected = "name     rows  note\na           1  x\nlonger  12345  bell·\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
