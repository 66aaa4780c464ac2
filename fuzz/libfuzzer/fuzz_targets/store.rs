//! The target `store` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("store");
