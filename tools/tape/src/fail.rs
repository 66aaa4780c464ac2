//! How a command can end badly, and the exit code that says so.

use std::fmt;
use std::io;
use std::path::Path;

/// Exit code: all went well.
pub(crate) const CLEAN: u8 = 0;
/// Exit code: it ran, and found something that deserves attention.
pub(crate) const FINDINGS: u8 = 1;
/// Exit code: the call itself is wrong.
pub(crate) const USAGE: u8 = 2;
/// Exit code: a file could not be read, written or locked.
pub(crate) const IO: u8 = 3;
/// Exit code: the store is damaged.
pub(crate) const CORRUPT: u8 = 4;

/// Why a command ended. The text is one line that names the thing and the fix.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The call cannot be carried out as it stands.
    Usage(String),
    /// The data given is bad, or a check found something; the text has been or will be shown.
    Findings(String),
    /// A file, a lock, or the operating system.
    Io(String),
    /// Damage in the store.
    Corrupt(String),
    /// Alerts fire, or the state of the store is as bad: the code says how bad.
    Alert(u8, String),
    /// Whoever read our output went away: nothing to say.
    Quiet,
}

impl Fail {
    /// The process exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Findings(_) => FINDINGS,
            Self::Io(_) => IO,
            Self::Corrupt(_) => CORRUPT,
            Self::Alert(code, _) => *code,
            Self::Quiet => CLEAN,
        }
    }

    /// An I/O error on a named file.
    pub(crate) fn file(path: &Path, doing: &str, error: &io::Error) -> Self {
        Self::Io(format!("cannot {doing} {}: {error}", path.display()))
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text)
            | Self::Findings(text)
            | Self::Io(text)
            | Self::Corrupt(text)
            | Self::Alert(_, text) => f.write_str(text),
            Self::Quiet => Ok(()),
        }
    }
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Quiet,
            _ => Self::Io(error.to_string()),
        }
    }
}

/// Result of everything that can end a command.
pub(crate) type Result<T> = std::result::Result<T, Fail>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        assert_eq!([CLEAN, FINDINGS, USAGE, IO, CORRUPT], [0, 1, 2, 3, 4]);
        assert_eq!(Fail::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0);
        assert_eq!(Fail::from(io::Error::from(io::ErrorKind::NotFound)).code(), 3);
    }
}
