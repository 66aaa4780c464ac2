//! Names of series.

use std::fmt;

use tapestore_format::limits::{INSTRUMENT_BYTES, NAME_BYTES};
use tapestore_format::time::Frame;

use crate::error::{Error, Result};

/// The instrument under which a store keeps its own tables: of what derived series are made, what was declared, what was
/// done. They are read like other series, and count for no commit.
pub const OWN_INSTRUMENT: &str = "tapestore";

/// The name of a series: an instrument and what is held of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    instrument: String,
    frame: Frame,
}

impl SeriesKey {
    /// Makes a key from an instrument such as `BTCUSDT.BINANCE` and a frame such as `1m`, `trades` or `orders`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the instrument is empty, longer than 128 bytes of UTF-8, or holds control or
    /// direction-changing characters; or if the frame is neither a timeframe nor a [valid name](Frame::parse).
    pub fn new(instrument: &str, frame: &str) -> Result<Self> {
        check_printable("instrument", instrument, INSTRUMENT_BYTES)?;
        let parsed = Frame::parse(frame).ok_or_else(|| no_frame(frame))?;
        Ok(Self { instrument: instrument.to_owned(), frame: parsed })
    }

    /// The key that a file of the store names: in exactly the form in which it was written, or none.
    pub(crate) fn recorded(instrument: &str, frame: &str) -> Option<Self> {
        Self::new(instrument, frame).ok().filter(|key| key.frame.to_string() == frame)
    }

    /// A key of the parts.
    ///
    /// # Errors
    /// As [`SeriesKey::new`].
    pub fn with_frame(instrument: &str, frame: Frame) -> Result<Self> {
        check_printable("instrument", instrument, INSTRUMENT_BYTES)?;
        match &frame {
            // What is written is the text: it has to be read back as the same frame.
            Frame::Table(name) if Frame::parse(name).as_ref() != Some(&frame) => Err(no_frame(name)),
            _ => Ok(Self { instrument: instrument.to_owned(), frame }),
        }
    }

    /// The instrument.
    pub fn instrument(&self) -> &str {
        &self.instrument
    }

    /// Whether it is one of the store's own tables.
    pub fn is_own(&self) -> bool {
        self.instrument == OWN_INSTRUMENT
    }

    /// What is held of it.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.instrument, self.frame)
    }
}

fn no_frame(text: &str) -> Error {
    Error::Usage(format!(
        "frame {} is neither a timeframe (1s 1m 2m 3m 5m 10m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w 1mo) nor a name \
         (at most {NAME_BYTES} ASCII letters, digits and _-.:@/, beginning with a letter)",
        Quoted(text)
    ))
}

/// A name as errors tell of it: in quotes, escaped. One that is too long to be one is told by its beginning.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARS: usize = 128;
        match self.0.char_indices().nth(CHARS) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}… ({} bytes)", &self.0[..end], self.0.len()),
        }
    }
}

/// Refuses names that cannot be shown safely: empty, too long, with control or bidirectional characters.
pub(crate) fn check_printable(what: &str, text: &str, limit: usize) -> Result<()> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if text.is_empty() {
        return Err(Error::Usage(format!("{what} must not be empty")));
    }
    if text.len() > limit {
        return Err(Error::Usage(format!("{what} has {} bytes, at most {limit} are allowed", text.len())));
    }
    if text.chars().any(hidden) {
        return Err(Error::Usage(format!(
            "{what} {} holds control or direction-changing characters",
            Quoted(text)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_show_themselves_and_sort_by_instrument() {
        let a = SeriesKey::new("BTCUSDT.BINANCE", "1min").unwrap();
        assert_eq!(a.to_string(), "BTCUSDT.BINANCE 1m");
        assert!(a < SeriesKey::new("ETHUSDT.BINANCE", "1m").unwrap());
        assert!(SeriesKey::new("../../etc/passwd", "1m").is_ok(), "names never become paths");
        assert!(SeriesKey::new("腾讯.HK", "1d").is_ok());
    }

    #[test]
    fn names_that_hide_something_are_refused() {
        for bad in ["", "a\0b", "a\u{202e}b", "a\nb", &"x".repeat(129)] {
            assert!(SeriesKey::new(bad, "1m").is_err(), "{bad:?}");
        }
        assert!(SeriesKey::new("A", "7q").is_err());
    }
}
