//! What a Tapestore holds, in words: the kinds of data and their columns, the tables that a schema file declares, and
//! how a store is brought in line with them.
//!
//! # Map
//!
//! [`kind`]: trades, quotes, instruments, orders and so on, with their standard columns. [`declaration`]: tables as a
//! schema file declares them. [`mod@file`]: reading and writing such files, TOML and YAML. [`span`]: lengths of time.
//!
//! Parsers of TOML and YAML are here and nowhere below.

pub mod declaration;
pub mod file;
pub mod kind;
pub mod span;

pub use declaration::{ColumnDeclaration, Declarations, Key, Retention, Table};
pub use kind::Kind;
