//! The grammar of `tape calendar`.

use clap::Args;

use super::Span;

/// Arguments of `calendar`.
#[derive(Args, Debug)]
pub(crate) struct Calendar {
    /// Exchange, such as XHKG or HKEX, or a file ending in .calendar; all calendars are listed without it.
    pub(crate) exchange: Option<String>,
    /// Explain this day, by its date on the exchange's calendar.
    #[arg(value_name = "DAY", conflicts_with_all = ["from", "to"])]
    pub(crate) day: Option<String>,
    /// Days, by their dates; the next two weeks by default.
    #[command(flatten)]
    pub(crate) span: Span,
    /// Only days that are not as others.
    #[arg(long, requires = "exchange")]
    pub(crate) special: bool,
}
