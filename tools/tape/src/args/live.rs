//! The grammar of what follows a store while it grows, and of what goes when it grows old: tail and retain.

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

/// Arguments of `retain`.
#[derive(Args, Debug)]
pub(crate) struct Retain {
    /// Only series whose instrument contains this.
    pub(crate) pattern: Option<String>,
    /// Do it. Without, only what would be done is shown.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Also delete rows that came after the bars of their time were made: they are in no bar.
    #[arg(long, requires = "apply")]
    pub(crate) late: bool,
}
