//! The grammar of `tape schema`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::State;

/// What to do with schemas.
#[derive(Debug, Subcommand)]
pub(crate) enum Schema {
    /// Make the store as a schema file declares it; creates the store if need be.
    Apply(Apply),
    /// What `apply` would do; ends with 1 if that is anything.
    Diff(SchemaFile),
    /// Compare the store, with its values, with a schema file, or with what was applied; ends with 1 if it contradicts.
    Validate(Validate),
    /// What is declared in the store, as a schema file.
    Show(ShowSchema),
    /// Forget a table, and drop its series.
    Drop(DropTable),
}

/// A schema file.
#[derive(Args, Debug)]
pub(crate) struct SchemaFile {
    /// Schema file: .toml, .yaml or .yml.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Arguments of `schema apply`.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) file: SchemaFile,
    /// Also what loses data: columns that go, values that their new type cannot hold.
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `schema validate`.
#[derive(Args, Debug)]
pub(crate) struct Validate {
    /// Schema file; without, what was applied.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Arguments of `schema show`.
#[derive(Args, Debug)]
pub(crate) struct ShowSchema {
    /// One table; all when absent.
    #[arg(value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Write YAML instead of TOML.
    #[arg(long)]
    pub(crate) yaml: bool,
    /// The series that no table covers, as tables: to begin a schema file with.
    #[arg(long, conflicts_with = "table")]
    pub(crate) undeclared: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

/// Arguments of `schema drop`.
#[derive(Args, Debug)]
pub(crate) struct DropTable {
    /// Name of the table.
    #[arg(value_name = "TABLE")]
    pub(crate) table: String,
    /// Also series that have rows. Older versions keep them.
    #[arg(short, long, conflicts_with = "keep_data")]
    pub(crate) force: bool,
    /// Only forget the declaration.
    #[arg(long)]
    pub(crate) keep_data: bool,
}
