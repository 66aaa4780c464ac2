//! The mutants that cargo-mutants lists.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Genre {
    /// A function gives something without doing anything.
    Function,
    /// An operator between two expressions is another one.
    Binary,
    /// An operator before an expression is gone.
    Unary,
    /// An arm of a match is gone.
    Arm,
    /// The guard of an arm always holds, or never.
    Guard,
    /// A field is that of the default.
    Field,
}

/// A change of the source.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// As cargo-mutants calls it: file, line, column and change.
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) genre: Genre,
    /// Line and column, from 1.
    pub(crate) start: (usize, usize),
    pub(crate) replacement: String,
    /// What its function returns.
    pub(crate) returns: String,
    /// The change with the lines around it, without their numbers.
    pub(crate) diff: String,
}

fn mutant(value: &Value) -> Option<Mutant> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let genre = match value["genre"].as_str()? {
        "FnValue" => Genre::Function,
        "BinaryOperator" => Genre::Binary,
        "UnaryOperator" => Genre::Unary,
        "MatchArm" => Genre::Arm,
        "MatchArmGuard" => Genre::Guard,
        "StructField" => Genre::Field,
        _ => return None,
    };
    let start = &value["span"]["start"];
    let at = |name: &str| start[name].as_u64().map(|number| number as usize);
    let diff: Vec<&str> = value["diff"].as_str()?.lines().filter(|line| !line.starts_with("@@")).collect();
    Some(Mutant {
        name: text(&value["name"])?,
        file: text(&value["file"])?,
        genre,
        start: (at("line")?, at("column")?),
        replacement: text(&value["replacement"])?,
        returns: text(&value["function"]["return_type"]).unwrap_or_default(),
        diff: diff.join("\n"),
    })
}

/// All mutants of some files of a package.
pub(crate) fn list(root: &Path, package: &str, files: &[String]) -> Result<Vec<Mutant>, String> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "--package", package]).current_dir(root);
    for file in files {
        command.args(["--file", file]);
    }
    let output = command.output().map_err(|error| format!("cargo mutants: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo mutants --list failed (is it installed? cargo install cargo-mutants --locked):\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let values: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let values = values.as_array().ok_or("cargo mutants --list gave no list")?;
    let known = |value: &Value| mutant(value).ok_or_else(|| format!("a mutant of an unknown kind: {value}"));
    values.iter().map(known).collect()
}
