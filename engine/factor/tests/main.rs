//! The factors against TA-Lib's own port, against themselves with the future cut off and bar by bar, and what is kept of
//! them in a store against what is computed anew.

mod expressions;
mod kept;
mod market;
mod oracle;
mod series;
mod stream;
mod time;
