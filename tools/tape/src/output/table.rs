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
    /// Of the columns as written so far; empty before the heads are.
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these column heads.
    pub(crate) fn new<'a>(heads: impl IntoIterator<Item = (&'a str, Side)>) -> Self {
        Self {
            heads: heads.into_iter().map(|(head, side)| (head.to_owned(), side)).collect(),
            widths: Vec::new(),
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
    pub(crate) fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.write_more(out)
    }

    /// Writes the rows added since the last time, the first time with heads: in columns as wide as any before.
    pub(crate) fn write_more(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| head.clone()).collect();
        let heads = if self.widths.is_empty() { Some(heads) } else { None };
        self.widths.resize(self.heads.len(), 0);
        for row in heads.iter().chain(&self.rows) {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in heads.iter().chain(&self.rows) {
            let mut line = String::new();
            for (column, ((cell, width), (_, side))) in
                row.iter().zip(&self.widths).zip(&self.heads).enumerate()
            {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) = if *side == Side::Right { (&*space, "") } else { ("", &*space) };
                line.push_str(if column == 0 { "" } else { "  " });
                line.push_str(before);
                line.push_str(cell);
                line.push_str(after);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        self.rows.clear();
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
        table.write_more(&mut out).unwrap();
        let expected = "name     rows  note\na           1  x\nlonger  12345  bell·\n";
        assert_eq!(String::from_utf8(std::mem::take(&mut out)).unwrap(), expected);
        table.row(["b".into(), "1234567".into(), "y".into()]);
        table.write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "b       1234567  y\n");
    }
}
