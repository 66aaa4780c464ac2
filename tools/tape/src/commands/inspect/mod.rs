//! `tape inspect`: what the files of a store are made of. Reads the files themselves, so it works on damaged stores.

mod logs;
mod segment;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tapestore_format::FormatError;
use tapestore_format::header::{FileHeader, FileKind, HEADER_BYTES};
use tapestore_format::manifest::{ManifestRecord, SeriesRecord};

use super::Context;
use crate::args::Inspect;
use crate::fail::{Fail, Result};
use crate::number::{bytes, grouped};
use crate::output::Out;
use crate::output::json::Object;
use crate::output::table::{Side, Table, facts};

/// Most bytes of one hexdump.
const DUMP_BYTES: u64 = 16 << 20;

/// Runs `tape inspect`.
pub(crate) fn run(context: &Context, arguments: &Inspect) -> Result<()> {
    let Some(file) = &arguments.file else { return list(context) };
    let path = find(context, file)?;
    let mut out = Out::stdout();
    match arguments.hexdump {
        Some((offset, length)) => hexdump(&path, offset, length, &mut out)?,
        None => structure(context, &path, &mut out)?,
    }
    out.finish()
}

/// A file by path, or by its name within the store.
fn find(context: &Context, file: &Path) -> Result<PathBuf> {
    let within = context.store.as_ref().map(|directory| directory.join(file)).filter(|path| path.is_file());
    if let Some(path) = within {
        return Ok(path);
    }
    if file.is_file() {
        return Ok(file.to_owned());
    }
    Err(Fail::Usage(format!(
        "there is no file {}; tape inspect lists the files of the store",
        file.display()
    )))
}

/// What a file of the store is, by its header.
fn kind_of(path: &Path) -> String {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut head));
    if read.is_err() {
        return "unreadable".to_owned();
    }
    let named = |wanted: &str| path.file_name().is_some_and(|name| name == wanted);
    match any_header(&head) {
        Ok(header) => header.kind.name().to_owned(),
        Err(_) if named("CURRENT") => "pointer to the manifest that counts".to_owned(),
        Err(_) if named("LOCK") => "held by the writer".to_owned(),
        Err(_) if named("visible") => "hint for readers: how far the log is written".to_owned(),
        Err(_) if path.parent().and_then(Path::file_name).is_some_and(|name| name == "leases") => {
            "lease of a reader".to_owned()
        }
        Err(_) if head.is_empty() => "empty".to_owned(),
        Err(error) => format!("no header ({})", error.detail),
    }
}

/// The header, whatever kind of file it is.
fn any_header(head: &[u8]) -> std::result::Result<FileHeader, FormatError> {
    let kind = head.get(8).copied().and_then(FileKind::from_id).unwrap_or(FileKind::Segment);
    FileHeader::decode(head, kind)
}

fn list(context: &Context) -> Result<()> {
    let directory = context.directory()?;
    let mut out = Out::stdout();
    let mut table = Table::new([("file", Side::Left), ("bytes", Side::Right), ("what", Side::Left)]);
    let mut total = 0;
    for (path, length) in files(directory)? {
        let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
        let what = kind_of(&path);
        if context.json {
            out.write_all(
                &Object::new().text("file", &name).count("bytes", length).text("kind", &what).line(),
            )?;
        } else {
            table.row([name, grouped(length), what]);
        }
        total += length;
    }
    if !context.json {
        table.write(&mut out)?;
        writeln!(out, "{} in all", bytes(total))?;
    }
    out.finish()
}

/// The files of a store, also those of its directories, by name.
fn files(directory: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let failed = |error: &std::io::Error| Fail::file(directory, "list", error);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let about = entry.metadata().map_err(|error| failed(&error))?;
        if about.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push((entry.path(), about.len()));
        }
    }
    found.sort();
    Ok(found)
}

fn structure(context: &Context, path: &Path, out: &mut Out) -> Result<()> {
    let content = fs::read(path).map_err(|error| Fail::file(path, "read", &error))?;
    let damaged = |error: FormatError| Fail::Corrupt(format!("{}: {error}", path.display()));
    let header = any_header(&content).map_err(damaged)?;
    if !context.json {
        let store = u128::from_be_bytes(header.identity.store);
        facts(
            out,
            &[
                ("file", path.display().to_string()),
                ("kind", header.kind.name().to_owned()),
                ("bytes", grouped(content.len() as u64)),
                ("store", format!("{store:032x}")),
                ("id", header.identity.file.to_string()),
            ],
        )?;
        writeln!(out)?;
    }
    match header.kind {
        FileKind::Segment => {
            let names = Names::of(path.parent().unwrap_or(Path::new(".")));
            segment::inspect(context, path, &content, &header, &names, out)
        }
        FileKind::Wal | FileKind::Manifest => logs::inspect(context, path, &content, &header, out),
    }
}

/// Names of series and columns, from the manifests beside a file. Ids where there are none.
#[derive(Debug, Default)]
struct Names {
    series: BTreeMap<u32, SeriesRecord>,
}

impl Names {
    fn of(directory: &Path) -> Self {
        let mut names = Self::default();
        for (path, _) in files(directory).unwrap_or_default() {
            let Ok(content) = fs::read(&path) else { continue };
            let Ok(header) = FileHeader::decode(&content, FileKind::Manifest) else { continue };
            logs::records(&content, &header, |_, kind, record| {
                if let Ok(ManifestRecord::Series(series)) = ManifestRecord::decode(kind, record) {
                    names.series.insert(series.id, series);
                }
            });
        }
        names
    }

    fn series(&self, id: u32) -> String {
        match self.series.get(&id) {
            Some(series) => format!("{} {}", series.instrument, series.frame),
            None => format!("series {id}"),
        }
    }

    fn column(&self, series: u32, id: u16) -> String {
        let schemas = self.series.get(&series).into_iter().flat_map(|series| &series.definitions);
        let column = schemas.filter_map(|(_, schema)| schema.as_ref()?.column_by_id(id)).next_back();
        column.map_or_else(|| format!("column {id}"), |column| column.name.clone())
    }
}

fn hexdump(path: &Path, offset: u64, length: u64, out: &mut Out) -> Result<()> {
    let failed = |error: &std::io::Error| Fail::file(path, "read", error);
    if length > DUMP_BYTES {
        return Err(Fail::Usage(format!("a hexdump is at most {DUMP_BYTES} bytes long")));
    }
    let mut file = File::open(path).map_err(|error| failed(&error))?;
    let total = file.metadata().map_err(|error| failed(&error))?.len();
    if offset >= total && total > 0 {
        return Err(Fail::Usage(format!(
            "offset {offset} lies behind the end, {} has {total} bytes",
            path.display()
        )));
    }
    file.seek(SeekFrom::Start(offset)).map_err(|error| failed(&error))?;
    let mut content = Vec::new();
    file.take(length).read_to_end(&mut content).map_err(|error| failed(&error))?;
    let mut text = String::new();
    for (index, line) in content.chunks(16).enumerate() {
        dump_line(&mut text, offset + index as u64 * 16, line);
    }
    Ok(out.write_all(text.as_bytes())?)
}

fn dump_line(text: &mut String, offset: u64, line: &[u8]) {
    use std::fmt::Write as _;
    let _ = write!(text, "{offset:08x} ");
    for index in 0..16 {
        let space = if index == 8 { "  " } else { " " };
        let _ = match line.get(index) {
            Some(byte) => write!(text, "{space}{byte:02x}"),
            None => write!(text, "{space}  "),
        };
    }
    text.push_str("  |");
    text.extend(line.iter().map(|byte| if (0x20..0x7f).contains(byte) { *byte as char } else { '.' }));
    text.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_look_like_those_of_other_tools() {
        let mut text = String::new();
        dump_line(&mut text, 0x40, b"Tapestore\x00\xff");
        let expected = "00000040  54 61 70 65 73 74 6f 72  65 00 ff                 |Tapestore..|\n";
        assert_eq!(text, expected);
    }
}
