//! The target `digits` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("digits");
