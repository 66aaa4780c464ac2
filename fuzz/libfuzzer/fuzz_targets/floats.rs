//! The target `floats` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("floats");
