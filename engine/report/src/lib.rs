//! The state of a store for people: in numbers ([`Overview`], what `tape status` shows), as JSON ([`json`]), and as one
//! page that needs nothing else ([`page`]).
//!
//! # Invariants
//! - R1. Whatever a store, a configuration or an error names is text on a page, never markup; nothing on a page is asked of
//!   a network, and no script is in it.
//! - R2. A page is bounded, whatever the store: what is left out is counted and said ([`gather::Bounds`]).
//! - R3. What was not measured is not shown as a number.
//!
//! # Map
//!
//! [`overview`]: what is there; [`gather`]: what else a page shows, read within bounds. [`page`]: the page, section by
//! section; [`html`]: escaping, the frame of a page and its style, for other pages as well; [`draw`]: pictures, as SVG.

pub mod draw;
mod error;
pub mod gather;
pub mod html;
pub mod json;
pub mod overview;
pub mod page;

pub use error::{Error, Result};
pub use gather::{Bounds, Report};
pub use overview::{Health, Knowledge, Overview};
