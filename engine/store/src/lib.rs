//! Tapestore: an embedded storage engine for market data.

pub mod io;
