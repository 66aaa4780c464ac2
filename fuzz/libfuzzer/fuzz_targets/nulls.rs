//! The target `nulls` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("nulls");
