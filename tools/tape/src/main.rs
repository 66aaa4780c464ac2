//! The Tapestore command line.

mod args;
mod calendar;
mod fail;
mod import;
mod number;
mod output;
mod progress;
mod when;

fn main() {}
