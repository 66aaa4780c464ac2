//! The target `json` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("json");
