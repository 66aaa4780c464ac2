//! What a reader gives for a store: every series at every version, gaps, findings and errors, as text.
//!
//! The text form is that of `format-spec/text.md`, written here once more, independently of the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::path::Path;

use tapestore::{
    AsOf, Column, ColumnType, ColumnValues, Error, ErrorClass, Options, Rows, SeriesKey, Store, Values, View,
    verify_directory,
};

/// Files by name.
pub type Files = BTreeMap<String, String>;

/// Rows of one series above which not every version is kept among the expected ones.
const MANY_ROWS: usize = 400;

/// A string of JSON.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// A finite float as text.md says, from the shortest digits that Ryū finds.
fn float(shortest: &str) -> String {
    let (sign, number) = shortest.strip_prefix('-').map_or(("", shortest), |number| ("-", number));
    let (mantissa, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return format!("{sign}0");
    }
    // The exponent of the first digit that is not zero.
    let leading = (all.len() - significant.len()) as i32;
    let exponent = exponent.parse::<i32>().expect("an exponent") + whole.len() as i32 - 1 - leading;
    let count = digits.len() as i32;
    let text = match exponent {
        21.. | ..-12 if count == 1 => format!("{digits}e{exponent}"),
        21.. | ..-12 => format!("{}.{}e{exponent}", &digits[..1], &digits[1..]),
        ..0 => format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize)),
        _ if exponent + 1 >= count => format!("{digits}{}", "0".repeat((exponent + 1 - count) as usize)),
        _ => format!("{}.{}", &digits[..=exponent as usize], &digits[exponent as usize + 1..]),
    };
    format!("{sign}{text}")
}

/// A double as text.md says.
pub fn float64(value: f64) -> String {
    if value.is_finite() { float(ryu::Buffer::new().format_finite(value)) } else { value.to_string() }
}

/// A single as text.md says.
pub fn float32(value: f32) -> String {
    if value.is_finite() { float(ryu::Buffer::new().format_finite(value)) } else { value.to_string() }
}

fn text(text: &str) -> String {
    let special = [',', '"', '\n', '\r'];
    if text.is_empty() || text.starts_with(' ') || text.ends_with(' ') || text.contains(special) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

/// A cell; `exact` shows the bits of floats.
fn cell(column: &Column, values: &ColumnValues, row: usize, exact: bool) -> String {
    if values.is_null(row) {
        return String::new();
    }
    match &values.values {
        Values::I64(values) => values[row].to_string(),
        Values::U8(values) if column.kind == ColumnType::Bool => (values[row] == 1).to_string(),
        Values::U8(values) => values[row].to_string(),
        Values::F64(values) if exact => format!("{:016x}", values[row].to_bits()),
        Values::F32(values) if exact => format!("{:08x}", values[row].to_bits()),
        Values::F64(values) => float64(values[row]),
        Values::F32(values) => float32(values[row]),
        Values::Str(values) => text(values.get(row)),
    }
}

/// The names of the columns, which end the header.
fn put_names(rows: &Rows, out: &mut String) {
    for column in &rows.columns {
        out.push(',');
        out.push_str(&text(&column.name));
    }
    out.push('\n');
}

fn csv(rows: &Rows) -> String {
    let mut out = String::from("time");
    put_names(rows, &mut out);
    for (row, time) in rows.time().iter().enumerate() {
        out += &time.to_string();
        for (column, (_, values)) in rows.columns.iter().zip(&rows.set.columns) {
            out.push(',');
            out += &cell(column, values, row, false);
        }
        out.push('\n');
    }
    out
}

/// Rows to the bit, with where they come from.
fn exact(store: &Store, rows: &Rows) -> String {
    let mut out = String::from("time,version,source,flags");
    put_names(rows, &mut out);
    for (row, time) in rows.time().iter().enumerate() {
        let source = store.source_name(rows.set.source.get(row)).unwrap_or_default();
        let _ =
            write!(out, "{time},{},{},{}", rows.set.version.get(row), text(&source), rows.set.flags.get(row));
        for (column, (_, values)) in rows.columns.iter().zip(&rows.set.columns) {
            out.push(',');
            out += &cell(column, values, row, true);
        }
        out.push('\n');
    }
    out
}

/// The class of an error and its rule, as errors.md names them.
struct Class<'a>(&'a Error);

impl fmt::Display for Class<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.0.kind() {
            ErrorClass::NotFound => "missing",
            ErrorClass::Corrupt => "corrupt",
            ErrorClass::Newer => "newer",
            ErrorClass::Foreign => "foreign",
            ErrorClass::Locked => "locked",
            ErrorClass::Limit => "limit",
            _ => "other",
        };
        let rule = match self.0 {
            Error::Format { source, .. } => source.rule,
            Error::Inconsistent { rule, .. } => rule,
            _ => return write!(f, "{{\"class\": \"{class}\"}}"),
        };
        write!(f, "{{\"class\": \"{class}\", \"rule\": \"{rule}\"}}")
    }
}

/// The files of `expected/`, in the making.
struct Observation<'a> {
    store: &'a Store,
    files: Files,
    cases: Vec<String>,
}

impl Observation<'_> {
    /// Keeps a text under a name; the same text of the same series is kept once. Returns the name it has.
    fn keep(&mut self, series: usize, version: &str, ending: &str, text: String) -> String {
        let prefix = format!("s{series}-");
        let known = |(name, other): &(&String, &String)| {
            name.starts_with(&prefix) && name.ends_with(ending) && **other == text
        };
        if let Some((name, _)) = self.files.iter().find(known) {
            return name.clone();
        }
        let name = format!("{prefix}{version}{ending}");
        self.files.insert(name.clone(), text);
        name
    }

    fn case(&mut self, number: usize, key: &SeriesKey, as_of: Option<&AsOf>) {
        let label = match as_of {
            None => "null".to_owned(),
            Some(AsOf::Version(version)) => json(&version.to_string()),
            Some(AsOf::Snapshot(name)) => json(name),
            Some(AsOf::Time(time)) => json(&time.to_string()),
        };
        let head = format!(
            "{{\"instrument\": {}, \"frame\": {}, \"as_of\": {label}",
            json(key.instrument()),
            json(&key.frame().to_string())
        );
        let view = as_of.map_or_else(|| Ok(self.store.view()), |as_of| self.store.as_of(as_of));
        let found = view.and_then(|view| {
            let newest = as_of.is_none().then(|| view.read(key).provenance().rows()).transpose()?;
            Ok((view.read(key).rows()?, gaps(&view, key), newest, view.version()))
        });
        let (rows, gaps, newest, version) = match found {
            Ok(found) => found,
            Err(error) => {
                self.cases.push(format!("{head}, \"error\": {}}}", Class(&error)));
                return;
            }
        };
        let version = format!("v{version}");
        let mut line = format!("{head}, \"csv\": \"{}\"", self.keep(number, &version, ".csv", csv(&rows)));
        if let Some(gaps) = gaps {
            let _ = write!(line, ", \"gaps\": \"{}\"", self.keep(number, &version, ".gaps", gaps));
        }
        if let Some(rows) = newest {
            let name = self.keep(number, &version, ".exact", exact(self.store, &rows));
            let _ = write!(line, ", \"exact\": \"{name}\"");
        }
        self.cases.push(line + "}");
    }
}

/// Gaps of a series of bars, an object a line.
fn gaps(view: &View, key: &SeriesKey) -> Option<String> {
    key.frame().timeframe()?;
    let gaps = match view.gaps(key, None) {
        Ok(gaps) => gaps,
        Err(error) => return Some(format!("{{\"error\": {}}}\n", Class(&error))),
    };
    let line = |gap: &tapestore::Gap| {
        format!("{{\"start\": {}, \"end\": {}, \"missing\": {}}}\n", gap.start, gap.end, gap.missing)
    };
    Some(gaps.iter().map(line).collect())
}

/// The damage that a deep verification finds. What a writer mends by itself, such as a torn tail, is left out.
fn findings(directory: &Path) -> String {
    let line = |file: &str, rule: &str| {
        let file = Path::new(file).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        format!("{{\"file\": {}, \"rule\": \"{rule}\"}}", json(&file))
    };
    let found: BTreeSet<String> = match verify_directory(directory, true) {
        Ok(findings) => {
            findings.iter().filter(|finding| finding.damage).map(|f| line(&f.file, &f.rule)).collect()
        }
        Err(error) => [format!("{{\"error\": {}}}", Class(&error))].into(),
    };
    format!("[{}]", found.into_iter().collect::<Vec<_>>().join(", "))
}

/// The exports of an open store: the cases, and the files that they name.
pub fn exports(store: &Store) -> (Vec<String>, Files) {
    let mut out = Observation { store, files: Files::new(), cases: Vec::new() };
    let newest = store.view().version();
    let versions: Vec<(u64, View)> = (1..=newest)
        .filter_map(|version| Some((version, store.as_of(&AsOf::Version(version)).ok()?)))
        .collect();
    let keys: BTreeSet<SeriesKey> =
        versions.iter().flat_map(|(_, view)| view.keys()).chain(store.view().keys()).collect();
    let snapshots = store.snapshots();
    for (number, key) in keys.iter().enumerate() {
        out.case(number, key, None);
        let long = store.view().count(key, i64::MIN..i64::MAX).is_ok_and(|rows| rows as usize > MANY_ROWS);
        let last_few = newest.saturating_sub(3);
        for version in (1..=newest).filter(|version| !long || *version == 1 || *version == last_few) {
            out.case(number, key, Some(&AsOf::Version(version)));
        }
        for snapshot in &snapshots {
            out.case(number, key, Some(&AsOf::Snapshot(snapshot.name.clone())));
        }
    }
    (out.cases, out.files)
}

/// Everything a reader gives for the store in a directory: the files of `expected/`.
pub fn observe(directory: &Path) -> Files {
    let (newest, opening, (cases, mut files)) = match Store::open_read_only(directory, Options::default()) {
        Ok(store) => (store.view().version().to_string(), "null".to_owned(), exports(&store)),
        Err(error) => ("null".into(), Class(&error).to_string(), Default::default()),
    };
    let lead = if cases.is_empty() { "" } else { "\n    " };
    let cases = cases.join(",\n    ");
    let case = format!(
        "{{\n  \"newest\": {newest},\n  \"error\": {opening},\n  \"findings\": {},\n  \"exports\": [{lead}{cases}\n  ]\n}}\n",
        findings(directory)
    );
    files.insert("case.json".into(), case);
    files
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_look_as_the_chapter_says() {
        let cases = [
            (93.25, "93.25"),
            (-0.000_000_08, "-0.00000008"),
            (100.0, "100"),
            (1e21, "1e21"),
            (1.5e-13, "1.5e-13"),
            (1e-12, "0.000000000001"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (-0.0, "-0"),
            (5e-324, "5e-324"),
            (0.001, "0.001"),
            (1234.5, "1234.5"),
        ];
        for (value, text) in cases {
            assert_eq!(float(ryu::Buffer::new().format_finite(value)), text);
        }
    }
}
