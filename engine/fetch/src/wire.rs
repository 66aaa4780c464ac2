//! Requests and replies, whatever carries them.

use std::fmt::{self, Debug};
use std::path::PathBuf;

use tapestore::time::SECOND_NS;

/// A header whose value is shown to nobody but the source.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Name of the header.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: (kept secret)", self.name)
    }
}

/// How a request is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// HTTP GET of a URL.
    Get(String),
    /// HTTP POST of JSON to a URL.
    Post {
        /// Where to.
        url: String,
        /// The body.
        json: String,
    },
    /// A program: its words; the request goes to its standard input, the reply comes from its standard output.
    Process {
        /// Program and arguments.
        command: Vec<String>,
        /// What it reads.
        input: String,
    },
    /// A file.
    File(PathBuf),
}

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How, and what.
    pub carrier: Carrier,
    /// What it weighs in the budget of its source; at least 1.
    pub weight: u32,
    /// Headers with keys.
    pub secrets: Vec<Secret>,
}

impl Request {
    /// A GET of this weight.
    pub fn get(url: String, weight: u32) -> Self {
        Self { carrier: Carrier::Get(url), weight, secrets: Vec::new() }
    }
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// HTTP status; 200 for programs that end well and files that exist, 404 for files that do not.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
    /// When it was received by the clock of this machine, nanoseconds since the Unix epoch, UTC.
    pub received_ns: i64,
}

impl Reply {
    /// The value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// The time when the source answered, as far as both clocks agree: its `Date`, but not later than when the reply was
    /// received by the clock of this machine. Nanoseconds since the Unix epoch, UTC.
    pub fn source_now_ns(&self) -> i64 {
        self.date_ns().unwrap_or(self.received_ns).min(self.received_ns)
    }

    fn date_ns(&self) -> Option<i64> {
        self.header("date").and_then(http_date)
    }

    /// What `Retry-After` asks for, in seconds.
    pub fn retry_after(&self) -> Option<u64> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(seconds);
        }
        let wait = http_date(value)?.saturating_sub(self.date_ns().unwrap_or(self.received_ns)).max(0);
        Some(wait.unsigned_abs().div_ceil(SECOND_NS.unsigned_abs()))
    }

    /// The beginning of the body, for messages.
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Why there is no reply. What it says holds no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// What happened.
    pub reason: String,
    /// Whether it may pass: a time-out, a connection that broke.
    pub passes: bool,
}

/// Carries requests.
pub trait Transport: Send + Sync + Debug {
    /// Sends a request and waits for the reply.
    ///
    /// # Errors
    /// If there is none. A status of any kind is a reply.
    fn send(&self, request: &Request) -> Result<Reply, WireError>;
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as nanoseconds since the Unix epoch (RFC 9110, 5.6.7; the preferred form).
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|known| *known == name)? as i64;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<i64>);
    let mut part = || clock.next()?.ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    if !(1970..2255).contains(&year) || !(1..=31).contains(&day) || words.next() != Some("GMT") {
        return None;
    }
    let midnight = tapestore::Timeframe::Mo1.slot_start((year - 1970) * 12 + month);
    let seconds = (day - 1) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(midnight + seconds * SECOND_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED_NS: i64 = 784_200_000 * SECOND_NS;

    fn reply(headers: &[(&str, &str)]) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Reply { headers, received_ns: RECEIVED_NS, ..Reply::default() }
    }

    #[test]
    fn the_clock_that_counts_is_the_earlier_of_its_date_and_ours() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(reply(&[date]).source_now_ns(), 784_111_777 * SECOND_NS);
        for unusable in [&[][..], &[("date", "yesterday")], &[("date", "Sun, 06 Nov 1999 08:49:37 GMT")]] {
            assert_eq!(reply(unusable).source_now_ns(), RECEIVED_NS, "{unusable:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(reply(&[("retry-after", "17")]).retry_after(), Some(17));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let after = ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(reply(&[date, after]).retry_after(), Some(30));
        assert_eq!(reply(&[("retry-after", "soon")]).retry_after(), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut request = Request::get("https://x/".into(), 1);
        request.secrets.push(Secret { name: "X-KEY".into(), value: "hunter2".into() });
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
