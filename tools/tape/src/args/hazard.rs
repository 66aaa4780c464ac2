//! The grammar of `tape quality hazard`.

use clap::Args;

/// Arguments of `quality hazard`.
#[derive(Args, Debug)]
pub(crate) struct Hazard {
    /// Only this source.
    pub(crate) source: Option<String>,
    /// Hours of the week that are listed, those with the highest hazard.
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    pub(crate) hours: usize,
    /// How late a bar may be, such as 5m.
    #[arg(long, default_value = "5m", value_name = "SPAN")]
    pub(crate) slo: String,
}
