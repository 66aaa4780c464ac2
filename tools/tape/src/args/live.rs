//! The grammar of what follows a store while it grows: tail.

use clap::Args;

use super::Ends;

/// Arguments of `tail`.
#[derive(Args, Debug)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) ends: Ends,
    /// Then show rows as they are added or changed, whoever writes them, until Ctrl-C.
    #[arg(short, long, conflicts_with = "as_of")]
    pub(crate) follow: bool,
    /// How often to look for new commits: 20ms, 1s.
    #[arg(long, value_name = "SPAN", default_value = "100ms", requires = "follow")]
    pub(crate) interval: String,
}
