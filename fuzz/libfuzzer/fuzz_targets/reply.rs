//! The target `reply` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("reply");
