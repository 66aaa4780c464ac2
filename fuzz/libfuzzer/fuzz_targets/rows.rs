//! The target `rows` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("rows");
