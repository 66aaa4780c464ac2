//! The target `singles` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("singles");
