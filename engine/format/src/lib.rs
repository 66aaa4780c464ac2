//! The Tapestore on-disk format: bytes to columns and back, without any I/O.
//!
//! Everything here is a pure function of bytes. The byte layouts are specified in `format-spec/`; the rule numbers
//! in [`FormatError`] are the ones of that specification. Opening files, caching and ordering commits is the business
//! of the `tapestore` crate.
//!
//! Reading order: [`limits`], [`schema`], [`rows`], [`time`], [`coverage`], then the structures that are written.
//!
//! Nothing in this crate panics, loops without bound or allocates beyond a stated limit on hostile bytes.

pub mod bytes;
pub mod checksum;
pub mod codec;
pub mod coverage;
mod date;
pub mod error;
pub mod header;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod number;
pub mod rows;
pub mod schema;
pub mod segment;
mod spare;
pub mod time;
pub mod wal;

pub use error::{ErrorKind, FormatError, Result};
