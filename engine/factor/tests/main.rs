//! The factors against TA-Lib's own port, against themselves with the future cut off, and bar by bar.

mod oracle;
mod series;
mod time;
