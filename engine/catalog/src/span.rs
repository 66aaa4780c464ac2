//! Lengths of time as people write them.

use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS};

/// Units, largest first: what [`show`] writes, and its nanoseconds.
const UNITS: [(&str, i64); 8] = [
    ("w", 7 * DAY_NS),
    ("d", DAY_NS),
    ("h", HOUR_NS),
    ("m", MINUTE_NS),
    ("s", SECOND_NS),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];

/// Reads `30d`, `12h`, `90m`, `45s`, `2w`, `1y` (365 days), `250ms`, `10us` or `5ns` as nanoseconds.
pub fn parse(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: i64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "min" => MINUTE_NS,
        "y" => 365 * DAY_NS,
        unit => UNITS.iter().find(|known| known.0 == unit)?.1,
    };
    count.checked_mul(unit)
}

/// Nanoseconds in the largest unit that is exact; weeks only where [`parse`] was given such.
pub fn show(span_ns: i64) -> String {
    let fits = |unit: &&(&str, i64)| span_ns % unit.1 == 0 && span_ns >= unit.1;
    let (name, unit) = UNITS[1..].iter().find(fits).copied().unwrap_or(("ns", 1));
    format!("{}{name}", span_ns / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown() {
        for text in ["30d", "12h", "90m", "45s", "250ms", "10us", "5ns", "14d"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(parse("2w"), parse("14d"));
        assert_eq!(parse("1min"), Some(MINUTE_NS));
        assert_eq!(parse("1y"), Some(365 * DAY_NS));
        for bad in ["", "d", "30", "30q", "-1d", "99999999999999999999d"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
