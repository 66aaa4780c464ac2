//! The section `quality` of a configuration.
//!
//! ```toml
//! [quality]
//! soft = 8                                # any threshold of `Rules`, by its name
//! slo = "5m"                              # how late a bar may be
//! calendars = { "SPY.X" = "XNYS" }        # of instruments whose venue says nothing, or something else
//! others = { "BTCUSDT.BINANCE" = ["BTCUSDT.OKX"] }   # whose prices may repair whose
//! ```

use std::collections::HashMap;

use tapestore_catalog::file::{Node, Reader, Value};
use tapestore_catalog::span;

use crate::error::Result;
use crate::expected::Calendars;
use crate::returns::WINDOW;
use crate::rules::Rules;

const FIELDS: [&str; 18] = [
    "window",
    "soft",
    "hard",
    "reversion",
    "stale",
    "activity",
    "activity_floor",
    "activity_days",
    "repeated_bars",
    "rounding",
    "tick",
    "slo",
    "provisional",
    "source_share",
    "source_scales",
    "calendar",
    "calendars",
    "others",
];

/// What a configuration says of checks and repairs.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Thresholds.
    pub rules: Rules,
    /// Calendars.
    pub calendars: Calendars,
    /// Instruments of the same market that may repair one, in the order in which they are asked.
    pub others: HashMap<String, Vec<String>>,
}

impl Settings {
    /// Reads a section; `file` names the file in messages.
    ///
    /// # Errors
    /// [`crate::Error::Store`] names the line and what belongs there.
    pub fn read(file: &str, node: &Node) -> Result<Self> {
        let reader = Reader { file };
        let mut out = Self::default();
        for (name, _, value) in reader.fields(node, "quality", &FIELDS)? {
            let what = format!("quality.{name}");
            let number = |least: f64, most: f64| match value.value {
                Value::Float(number) if (least..=most).contains(&number) => Ok(number),
                Value::Integer(number) if (least..=most).contains(&(number as f64)) => Ok(number as f64),
                _ => Err(reader.expected(value, &what, &format!("a number from {least} to {most}"))),
            };
            let count = |range| reader.integer(value, &what, range).map(|count| count as usize);
            let rules = &mut out.rules;
            match name.as_str() {
                "window" => rules.window = count(5..=WINDOW as i64)?,
                "soft" => rules.soft = number(1.0, 1e6)?,
                "hard" => rules.hard = number(1.0, 1e6)?,
                "reversion" => rules.reversion = number(0.0, 1.0)?,
                "stale" => rules.stale = count(2..=200)?,
                "activity" => rules.activity = number(1.0, 1e6)?,
                "activity_floor" => rules.activity_floor = number(0.0, 100.0)?,
                "activity_days" => rules.activity_days = count(2..=20)?,
                "repeated_bars" => rules.repeated_bars = count(2..=100_000)?,
                "rounding" => rules.rounding = number(0.0, 1.0)?,
                "tick" => rules.tick = Some(number(1e-12, 1e12)?),
                "provisional" => rules.provisional = count(0..=1_000_000_000)? as u64,
                "source_share" => rules.source_share = number(0.0, 1.0)?,
                "source_scales" => rules.source_scales = number(0.0, 1e6)?,
                "slo" => {
                    let parsed = span::parse(&reader.text(value, &what)?).filter(|span| *span > 0);
                    rules.slo_ns =
                        parsed.ok_or_else(|| reader.expected(value, &what, "a span such as \"5m\""))?;
                }
                "calendar" => out.calendars.everywhere = Some(reader.text(value, &what)?),
                "calendars" => {
                    for (instrument, _, calendar) in reader.map(value, &what)? {
                        let calendar = reader.text(calendar, &what)?;
                        out.calendars.by_instrument.insert(instrument.clone(), calendar);
                    }
                }
                _ => {
                    for (instrument, _, others) in reader.map(value, &what)? {
                        out.others.insert(instrument.clone(), reader.texts(others, &what)?);
                    }
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use tapestore_catalog::file::{Language, tree};

    use super::*;

    fn read(text: &str) -> Result<Settings> {
        let node = tree("q.toml", text, Language::Toml)?;
        Settings::read("q.toml", &node)
    }

    #[test]
    fn thresholds_calendars_and_others_are_read() {
        let text =
            "soft = 9\nslo = \"10m\"\ncalendars = { \"A.X\" = \"XNYS\" }\nothers = { \"A.X\" = [\"A.Y\"] }\n";
        let settings = read(text).unwrap();
        assert!((settings.rules.soft - 9.0).abs() < f64::EPSILON);
        assert_eq!(settings.rules.slo_ns, 10 * tapestore::time::MINUTE_NS);
        assert_eq!(settings.calendars.name("A.X"), Some("XNYS"));
        assert_eq!(settings.calendars.name("0700.HK"), Some("XHKG"));
        assert_eq!(settings.others["A.X"], ["A.Y"]);
    }

    #[test]
    fn mistakes_name_line_and_fix() {
        let refused = |text: &str| read(text).unwrap_err().to_string();
        assert!(refused("soft = 9\nsofter = 1").contains("softer"));
        let text = refused("soft = 9\nhard = \"x\"");
        assert!(text.contains('2') && text.contains("a number from 1"), "{text}");
        assert!(refused("slo = \"soon\"").contains("5m"));
    }
}
