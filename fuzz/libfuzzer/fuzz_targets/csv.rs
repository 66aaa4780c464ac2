//! The target `csv` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("csv");
