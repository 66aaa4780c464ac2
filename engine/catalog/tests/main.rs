//! Schema files and what comes of them.

mod apply;
mod files;
