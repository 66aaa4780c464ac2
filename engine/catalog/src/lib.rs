//! What a Tapestore holds, in words: the kinds of data and their columns, the tables that a schema file declares, and
//! how a store is brought in line with them.
//!
//! # Map
//!
//! [`kind`]: trades, quotes, instruments, orders and so on, with their standard columns. [`declaration`]: tables as a
//! schema file declares them. [`mod@file`]: reading and writing such files, TOML and YAML. [`mod@declared`]: the tables
//! that a store knows. [`mod@plan`]: what is to be done so that a store is as declared, and doing it; [`rebuild`]: rows
//! under another schema. [`mod@validate`]: whether it is. [`span`]: lengths of time.
//!
//! Parsers of TOML and YAML are here and nowhere below.

pub mod declaration;
pub mod declared;
pub mod file;
pub mod kind;
pub mod plan;
pub mod rebuild;
pub mod span;
pub mod validate;

pub use declaration::{ColumnDeclaration, Declarations, Key, Retention, Table};
pub use declared::declared;
pub use kind::Kind;
pub use plan::{Change, Plan, drop_table, plan};
pub use validate::{Finding, validate};
