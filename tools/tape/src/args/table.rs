//! The grammar of `tape table`.

use clap::Args;

use super::{Form, State};

/// Arguments of `table`.
#[derive(Args, Debug)]
pub(crate) struct TableAt {
    /// The table: instruments, contracts, constituents, positions, or another name.
    pub(crate) frame: String,
    /// Under which instrument it is kept; kinds of tables have one of their own: reference, metadata, transactions.
    #[arg(long, value_name = "INSTRUMENT")]
    pub(crate) instrument: Option<String>,
    /// What was valid then; by default now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// As far as it was known then: by the column known, or else by the versions of the store.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "as_of")]
    pub(crate) known_at: Option<String>,
    /// Columns by which rows are told apart, separated by commas; kinds of tables have their own.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) by: Option<Vec<String>>,
    /// Only rows with this value in this column.
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = super::pair)]
    pub(crate) filters: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) form: Form,
    #[command(flatten)]
    pub(crate) state: State,
}
