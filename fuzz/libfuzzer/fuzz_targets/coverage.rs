//! The target `coverage` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("coverage");
