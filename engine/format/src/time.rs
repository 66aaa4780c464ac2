//! Timeframes and their grids, and dates.
//!
//! All times are `i64` nanoseconds since the Unix epoch, UTC. A bar carries its **open** time. Ranges are half-open.
//! A *slot* is the number of a bar on its timeframe's grid: slot 0 holds the epoch, slots count up and down from it.

use std::fmt;

pub use crate::date::{date_from_days, date_text, days_from_date};
use crate::limits::NAME_BYTES;

/// Nanoseconds in one second.
pub const SECOND_NS: i64 = 1_000_000_000;
/// Nanoseconds in one minute.
pub const MINUTE_NS: i64 = 60 * SECOND_NS;
/// Nanoseconds in one hour.
pub const HOUR_NS: i64 = 60 * MINUTE_NS;
/// Nanoseconds in one day.
pub const DAY_NS: i64 = 24 * HOUR_NS;

/// The length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the lengths")]
pub enum Timeframe {
    S1 = 1,
    M1 = 2,
    M2 = 3,
    M3 = 4,
    M5 = 5,
    M10 = 6,
    M15 = 7,
    M30 = 8,
    H1 = 9,
    H2 = 10,
    H4 = 11,
    H6 = 12,
    H8 = 13,
    H12 = 14,
    D1 = 15,
    W1 = 16,
    Mo1 = 17,
}

impl Timeframe {
    /// Every timeframe, shortest first.
    pub const ALL: [Self; 17] = [
        Self::S1,
        Self::M1,
        Self::M2,
        Self::M3,
        Self::M5,
        Self::M10,
        Self::M15,
        Self::M30,
        Self::H1,
        Self::H2,
        Self::H4,
        Self::H6,
        Self::H8,
        Self::H12,
        Self::D1,
        Self::W1,
        Self::Mo1,
    ];

    /// The timeframe with this frozen id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|frame| *frame as u8 == id)
    }

    /// The usual name: `1m`, `4h`, `1mo`.
    pub fn name(self) -> &'static str {
        match self {
            Self::S1 => "1s",
            Self::M1 => "1m",
            Self::M2 => "2m",
            Self::M3 => "3m",
            Self::M5 => "5m",
            Self::M10 => "10m",
            Self::M15 => "15m",
            Self::M30 => "30m",
            Self::H1 => "1h",
            Self::H2 => "2h",
            Self::H4 => "4h",
            Self::H6 => "6h",
            Self::H8 => "8h",
            Self::H12 => "12h",
            Self::D1 => "1d",
            Self::W1 => "1w",
            Self::Mo1 => "1mo",
        }
    }

    /// Parses `1m`, and the spellings other tools use: `1min`, `1Min`, `60m`, `1H`, `1D`, `1W`, `1M` (a month).
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = text[..digits].parse().ok()?;
        let unit = match &text[digits..] {
            "s" | "S" | "sec" | "Sec" => SECOND_NS,
            "m" | "min" | "Min" | "T" => MINUTE_NS,
            "h" | "H" | "hour" | "Hour" => HOUR_NS,
            "d" | "D" | "day" | "Day" => DAY_NS,
            "w" | "W" | "wk" | "week" | "Week" => 7 * DAY_NS,
            "mo" | "M" | "mon" | "month" | "Month" => return (count == 1).then_some(Self::Mo1),
            _ => return None,
        };
        let step = count.checked_mul(unit)?;
        Self::ALL.into_iter().find(|frame| frame.step_ns() == Some(step))
    }

    /// Length of a bar in nanoseconds; `None` for a month, whose length varies.
    pub fn step_ns(self) -> Option<i64> {
        Some(match self {
            Self::S1 => SECOND_NS,
            Self::M1 => MINUTE_NS,
            Self::M2 => 2 * MINUTE_NS,
            Self::M3 => 3 * MINUTE_NS,
            Self::M5 => 5 * MINUTE_NS,
            Self::M10 => 10 * MINUTE_NS,
            Self::M15 => 15 * MINUTE_NS,
            Self::M30 => 30 * MINUTE_NS,
            Self::H1 => HOUR_NS,
            Self::H2 => 2 * HOUR_NS,
            Self::H4 => 4 * HOUR_NS,
            Self::H6 => 6 * HOUR_NS,
            Self::H8 => 8 * HOUR_NS,
            Self::H12 => 12 * HOUR_NS,
            Self::D1 => DAY_NS,
            Self::W1 => 7 * DAY_NS,
            Self::Mo1 => return None,
        })
    }

    /// Where slot 0 begins: the epoch, but for weeks, which begin on a Monday (1969-12-29).
    fn phase_ns(self) -> i64 {
        if self == Self::W1 { -3 * DAY_NS } else { 0 }
    }

    /// The slot that `time` lies in. Any time has one; those beyond the limits only so that no file can overflow it.
    pub fn slot(self, time: i64) -> i64 {
        match self.step_ns() {
            Some(step) => time.saturating_sub(self.phase_ns()).div_euclid(step),
            None => month_of(time.div_euclid(DAY_NS)),
        }
    }

    /// When `slot` begins. Saturates outside the range of `i64` nanoseconds.
    pub fn slot_start(self, slot: i64) -> i64 {
        match self.step_ns() {
            Some(step) => slot.saturating_mul(step).saturating_add(self.phase_ns()),
            None => first_day_of_month(slot).saturating_mul(DAY_NS),
        }
    }

    /// Whether a bar may open at exactly `time`.
    pub fn on_grid(self, time: i64) -> bool {
        self.slot_start(self.slot(time)) == time
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Months since January 1970 of a day counted from the epoch.
fn month_of(day: i64) -> i64 {
    let (year, month, _) = date_from_days(day);
    (year - 1970) * 12 + month - 1
}

/// The day, counted from the epoch, on which a month begins: the inverse of [`month_of`].
fn first_day_of_month(month: i64) -> i64 {
    let month = month.clamp(-12 * 100_000, 12 * 100_000);
    days_from_date(1970 + month.div_euclid(12), month.rem_euclid(12) + 1, 1)
}

/// What a series holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Frame {
    /// Bars of one length.
    Bars(Timeframe),
    /// Single trades.
    Trades,
    /// Best bid and ask.
    Quotes,
    /// Order-book snapshots and updates.
    Book,
    /// A named table or factor set; a [valid table name](Frame::parse).
    Table(String),
}

impl Frame {
    /// Parses a timeframe, `trades`, `quotes`, `book`, or a table name: up to 64 ASCII letters, digits
    /// and `_ - . : @ /`, beginning with a letter or `_`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(timeframe) = Timeframe::parse(text) {
            return Some(Self::Bars(timeframe));
        }
        match text {
            "trades" => return Some(Self::Trades),
            "quotes" => return Some(Self::Quotes),
            "book" => return Some(Self::Book),
            _ => {}
        }
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let valid = text.len() <= NAME_BYTES
            && (first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"_-.:@/".contains(&b));
        valid.then(|| Self::Table(text.to_owned()))
    }

    /// The timeframe of bars; `None` for everything else.
    pub fn timeframe(&self) -> Option<Timeframe> {
        match self {
            Self::Bars(timeframe) => Some(*timeframe),
            _ => None,
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bars(timeframe) => timeframe.name(),
            Self::Trades => "trades",
            Self::Quotes => "quotes",
            Self::Book => "book",
            Self::Table(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_itself() {
        for frame in Timeframe::ALL {
            assert_eq!(Timeframe::parse(frame.name()), Some(frame));
            assert_eq!(Timeframe::from_id(frame as u8), Some(frame));
        }
        assert_eq!(Timeframe::parse("1min"), Some(Timeframe::M1));
        assert_eq!(Timeframe::parse("60m"), Some(Timeframe::H1));
        assert_eq!(Timeframe::parse("1M"), Some(Timeframe::Mo1));
        assert_eq!(Timeframe::parse("7m"), None);
        assert_eq!(Timeframe::parse("m"), None);
        assert_eq!(Timeframe::parse("99999999999999999999m"), None);
    }

    #[test]
    fn slots_and_times_are_inverse_on_every_grid() {
        for frame in Timeframe::ALL {
            for slot in -2000..2000 {
                let start = frame.slot_start(slot);
                assert_eq!(frame.slot(start), slot, "{frame} {slot}");
                assert_eq!(frame.slot(start - 1), slot - 1, "{frame} {slot}");
                assert!(frame.on_grid(start) && !frame.on_grid(start + 1));
            }
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        // 2024-01-01 was a Monday: 19,723 days after the epoch.
        assert!(Timeframe::W1.on_grid(19_723 * DAY_NS));
        assert!(Timeframe::Mo1.on_grid(19_723 * DAY_NS));
        assert_eq!(Timeframe::Mo1.slot(19_723 * DAY_NS), 54 * 12);
        assert!(Timeframe::Mo1.on_grid((19_723 + 31 + 29) * DAY_NS), "2024 is a leap year");
    }

    #[test]
    fn frames_parse_or_are_refused() {
        assert_eq!(Frame::parse("1m"), Some(Frame::Bars(Timeframe::M1)));
        assert_eq!(Frame::parse("trades"), Some(Frame::Trades));
        assert_eq!(Frame::parse("factors/ta@1m"), Some(Frame::Table("factors/ta@1m".into())));
        for bad in ["", "7q", "a b", "ä", "../x", "a\0", &"x".repeat(65)] {
            assert_eq!(Frame::parse(bad), None, "{bad:?}");
        }
    }
}
