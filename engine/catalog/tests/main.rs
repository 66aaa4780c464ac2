//! Schema files and what comes of them.

mod files;
