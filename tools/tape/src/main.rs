//! The Tapestore command line.

mod calendar;
mod fail;
mod import;
mod number;
mod progress;
mod when;

fn main() {}
