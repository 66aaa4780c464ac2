//! Rules: what is watched, from where on it is bad, and for whom.

use tapestore::SeriesKey;
use tapestore::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore_catalog::span;
use tapestore_text::number::{bytes, grouped};

use crate::machine::{Spans, Verdict};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Good to know.
    Low,
    /// To be looked at some time today.
    Medium,
    /// To be looked at soon.
    High,
    /// Now.
    Critical,
}

impl Level {
    /// From the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }

    /// The level of a name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share from 0 to 1.
    Share,
    /// Nanoseconds.
    Span,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// The score of a series: the share of expected bars that can be used.
    Quality,
    /// For how long the next expected bar of a series has been due.
    Freshness,
    /// Expected bars of a series that are not there.
    Gaps,
    /// Runs of a fetch that failed one after another, since the last that did not.
    Fetch,
    /// Bytes that are free where the store is.
    DiskFree,
    /// Share of the file system that is in use where the store is.
    DiskUsed,
    /// Findings of damage by a verification.
    Checksum,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Quality,
        Self::Freshness,
        Self::Gaps,
        Self::Fetch,
        Self::DiskFree,
        Self::DiskUsed,
        Self::Checksum,
    ];

    /// As configurations name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Freshness => "freshness",
            Self::Gaps => "gaps",
            Self::Fetch => "fetch",
            Self::DiskFree => "disk-free",
            Self::DiskUsed => "disk-used",
            Self::Checksum => "checksum",
        }
    }

    /// The check of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }

    /// What its values count.
    pub fn unit(self) -> Unit {
        match self {
            Self::Quality | Self::DiskUsed => Unit::Share,
            Self::Freshness => Unit::Span,
            Self::DiskFree => Unit::Bytes,
            Self::Gaps | Self::Fetch | Self::Checksum => Unit::Count,
        }
    }

    /// Whether small values are bad.
    pub fn is_bad_below(self) -> bool {
        matches!(self, Self::Quality | Self::DiskFree)
    }

    /// Whether it is of a series, not of the store.
    pub fn is_of_series(self) -> bool {
        matches!(self, Self::Quality | Self::Freshness | Self::Gaps)
    }

    /// A value for people: `97.25 %`, `12m`, `9.5 GB`, `17`.
    pub fn show(self, value: f64) -> String {
        match self.unit() {
            Unit::Share => format!("{:.2} %", value * 100.0),
            Unit::Span => brief_span(value as i64),
            Unit::Bytes => bytes(value.max(0.0) as u64),
            Unit::Count => grouped(value.max(0.0) as u64),
        }
    }
}

/// A span in its two largest units: `3d 4h`, `12m 5s`.
pub fn brief_span(span_ns: i64) -> String {
    let units = [("d", DAY_NS), ("h", HOUR_NS), ("m", MINUTE_NS), ("s", tapestore::time::SECOND_NS)];
    let Some(first) = units.iter().position(|unit| span_ns >= unit.1) else {
        return format!("{} ms", span_ns / 1_000_000);
    };
    let (name, unit) = units[first];
    let rest = units.get(first + 1).map(|(name, next)| (span_ns % unit / next, name));
    match rest.filter(|rest| rest.0 > 0) {
        Some((count, second)) => format!("{}{name} {count}{second}", span_ns / unit),
        None => format!("{}{name}", span_ns / unit),
    }
}

/// Instruments and frames, with `*` for any text and `?` for any letter: `*.BINANCE 1m`, `BTC*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// A pattern: of instruments, and after a space of frames.
    pub fn new(text: &str) -> Self {
        Self { text: text.split_whitespace().collect::<Vec<_>>().join(" ") }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it fits a series.
    pub fn fits(&self, key: &SeriesKey) -> bool {
        // Instruments may have spaces in their names: the last word is the frame, if there is one that fits.
        let frame = key.frame().to_string();
        let split = self.text.rsplit_once(' ');
        split.is_some_and(|(name, of)| glob(name, key.instrument()) && glob(of, &frame))
            || glob(&self.text, key.instrument())
    }

    /// Whether it fits a text as a whole.
    pub fn fits_text(&self, text: &str) -> bool {
        glob(&self.text, text)
    }
}

/// Matches in time proportional to the product of both lengths, whatever the stars.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut star, mut mark) = (0, None, 0);
    let mut place = 0;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some(at);
                mark = place;
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some(star) => {
                    at = star + 1;
                    mark += 1;
                    place = mark;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, of which there is one.
    pub name: String,
    /// What is measured.
    pub check: Check,
    /// How bad it is.
    pub level: Level,
    /// Of which series; empty: those that the configuration keeps current, or all bars if it keeps none (but for freshness:
    /// of what nobody keeps current nothing is late).
    pub series: Vec<Pattern>,
    /// Bad beyond this value.
    pub limit: f64,
    /// Good from this value on.
    pub clear: f64,
    /// How long things take.
    pub spans: Spans,
    /// For gaps and quality: how far back is looked, in nanoseconds; `None`: to the beginning.
    pub within_ns: Option<i64>,
    /// For checksums: how often the store is verified, in nanoseconds.
    pub every_ns: i64,
    /// For checksums: every byte is decoded, not only the structure checked.
    pub deep: bool,
    /// Names of those that are told; `None`: all.
    pub sinks: Option<Vec<String>>,
}

impl Rule {
    /// A rule of a check with what holds where nothing else is said.
    pub fn of(check: Check) -> Self {
        let (level, limit, clear) = match check {
            Check::Quality => (Level::High, 0.95, 0.95),
            Check::Freshness => (Level::Medium, (5 * MINUTE_NS) as f64, (5 * MINUTE_NS) as f64),
            Check::Gaps => (Level::Medium, 0.0, 0.0),
            Check::Fetch => (Level::High, 2.0, 0.0),
            Check::DiskFree => (Level::Critical, 10e9, 11e9),
            Check::DiskUsed => (Level::Medium, 0.80, 0.78),
            Check::Checksum => (Level::Critical, 0.0, 0.0),
        };
        Self {
            name: check.name().to_owned(),
            check,
            level,
            series: Vec::new(),
            limit,
            clear,
            spans: Spans { hold_ns: 0, clear_ns: 0, repeat_ns: 4 * HOUR_NS },
            within_ns: (check == Check::Gaps).then_some(7 * DAY_NS),
            every_ns: DAY_NS,
            deep: false,
            sinks: None,
        }
    }

    /// The rules that hold unless a configuration says otherwise, one a check.
    pub fn defaults() -> Vec<Self> {
        Check::ALL.into_iter().map(Self::of).collect()
    }

    /// What a value is.
    pub fn verdict(&self, value: f64) -> Verdict {
        let (bad, good) = if self.check.is_bad_below() {
            (value < self.limit, value >= self.clear)
        } else {
            (value > self.limit, value <= self.clear)
        };
        match (bad, good) {
            (true, _) => Verdict::Bad,
            (_, true) => Verdict::Good,
            _ => Verdict::Between,
        }
    }

    /// When it is bad, in words: `below 95.00 %`, `above 5m for 10m`.
    pub fn condition(&self) -> String {
        let side = if self.check.is_bad_below() { "below" } else { "above" };
        let mut text = format!("{side} {}", self.check.show(self.limit));
        if self.spans.hold_ns > 0 {
            text.push_str(&format!(" for {}", span::show(self.spans.hold_ns)));
        }
        text
    }

    /// What an incident of this rule and a subject is known by, on every machine and for ever: 16 hexadecimal digits of
    /// XXH3 over both names.
    pub fn fingerprint(&self, subject: &str) -> String {
        fingerprint(&self.name, subject)
    }
}

/// See [`Rule::fingerprint`].
pub fn fingerprint(rule: &str, subject: &str) -> String {
    // A zero byte is in neither name.
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{rule}\0{subject}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_series() {
        let key = SeriesKey::new("BTCUSDT.BINANCE", "1m").unwrap();
        for (pattern, fits) in [
            ("*", true),
            ("BTC*", true),
            ("BTC* 1m", true),
            ("BTC*  1?", true),
            ("BTC* 5m", false),
            ("*.OKX", false),
            ("?TC*E 1m", true),
            ("btc*", false),
            ("", false),
            ("*a*a*a*a*a*a*a*a*b", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(&key), fits, "{pattern}");
        }
        let spaced = SeriesKey::new("S&P 500", "1d").unwrap();
        assert!(Pattern::new("S&P 500").fits(&spaced) && Pattern::new("S&P 500 1d").fits(&spaced));
    }

    #[test]
    fn never_change_fingerprints() {
        assert_eq!(fingerprint("freshness", "BTCUSDT.BINANCE 1m"), "f87be9b7716f22c1");
        assert_ne!(fingerprint("a", "bc"), fingerprint("ab", "c"));
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let told: Vec<String> = Rule::defaults()
            .iter()
            .map(|rule| format!("{} {} {}", rule.name, rule.level.name(), rule.condition()))
            .collect();
        assert_eq!(
            told,
            [
                "quality HIGH below 95.00 %",
                "freshness MEDIUM above 5m",
                "gaps MEDIUM above 0",
                "fetch HIGH above 2",
                "disk-free CRITICAL below 10.0 GB",
                "disk-used MEDIUM above 80.00 %",
                "checksum CRITICAL above 0",
            ]
        );
    }

    #[test]
    fn values_are_judged_with_a_band_between() {
        let free = Rule::of(Check::DiskFree);
        let verdicts = [9.9e9, 10e9, 10.9e9, 11e9].map(|value| free.verdict(value));
        assert_eq!(verdicts, [Verdict::Bad, Verdict::Between, Verdict::Between, Verdict::Good]);
        let used = Rule::of(Check::DiskUsed);
        assert_eq!(
            [0.81, 0.8, 0.78].map(|v| used.verdict(v)),
            [Verdict::Bad, Verdict::Between, Verdict::Good]
        );
    }

    #[test]
    fn values_are_shown_in_their_units() {
        assert_eq!(brief_span(3 * DAY_NS + 4 * HOUR_NS + 1), "3d 4h");
        assert_eq!(brief_span(12 * MINUTE_NS), "12m");
        assert_eq!(brief_span(5_000_000), "5 ms");
        assert_eq!(Check::Gaps.show(1234.0), "1,234");
    }
}
